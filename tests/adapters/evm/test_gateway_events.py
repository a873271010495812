"""A hostile contract named as a gateway: its impossible words are no events, and stop nobody's reading."""

import pytest

from adapters.evm.encode import gateway_of
from adapters.evm.gateway_events import ENDED, EXTENDED, NOOP, PLAN_SET, STARTED
from adapters.evm.reads import block_reads, compile_queries
from adapters.evm.shapes import Log
from relay.core.messages import MAX_TIME
from relay.core.observations import ChainQueries
from relay.core.types import BlockRef, Caip2, Header

CHAIN = Caip2("eip155:990101")
GATEWAY = "0x" + "6a" * 20
BLOCK = BlockRef(CHAIN, 7, b"\x07" * 32, 1_700_000_000)
TX = b"\x0a" * 32
MANDATE, ACT, DECISION = b"\x01" * 32, b"\x02" * 32, b"\x03" * 32
LATER = 1_700_003_600


def log(index, topics, *words):
    data = b"".join(word if isinstance(word, bytes) else word.to_bytes(32, "big") for word in words)
    return Log(GATEWAY, topics, data, BLOCK.hash, BLOCK.number, TX, index)


def started(index, tier=1, since=1_700_000_000, until=LATER):
    return log(index, (STARTED, MANDATE, ACT, DECISION), tier, since, until, 2**256 - 1)


def extended(index, tier=2, until=LATER):
    return log(index, (EXTENDED, MANDATE, ACT, DECISION), tier, until)


def ended(index, how=2, at=LATER, undone=1):
    return log(index, (ENDED, MANDATE, ACT), how, at, undone)


def plan_set(index, until):
    return log(index, (PLAN_SET,), b"\x08" * 32, b"\x09" * 32, until)


def read(*logs):
    queries = compile_queries(ChainQueries(CHAIN, gateways=(gateway_of(GATEWAY),)))
    return block_reads(Header(BLOCK, b"\x06" * 32), queries, logs, (), {TX: 90_000})


HOSTILE = {
    "started until 2^200": started(1, until=2**200),
    "started until just too late": started(1, until=MAX_TIME + 1),
    "started since 2^63": started(1, since=2**63),
    "started at tier 0": started(1, tier=0),
    "started at tier 3": started(1, tier=3),
    "started at tier 257": started(1, tier=257),
    "extended until 2^64": extended(1, until=2**64),
    "extended at tier 2^255": extended(1, tier=2**255),
    "ended at 2^41": ended(1, at=2**41),
    "ended how 0": ended(1, how=0),
    "ended how 7": ended(1, how=7),
    "ended, undone 2": ended(1, undone=2),
    "plans until 2^64": plan_set(1, 2**64),
}


@pytest.mark.parametrize("hostile", HOSTILE.values(), ids=HOSTILE)
def test_an_impossible_word_leaves_out_its_log_alone(hostile):
    noop = log(2, (NOOP, MANDATE, ACT, DECISION))

    reads = read(started(0), hostile, noop, plan_set(3, LATER))

    assert [event.log_index for event in reads.gateway_events] == [0, 2]
    assert [plan.log_index for plan in reads.plans] == [3]


def test_the_last_times_that_a_message_may_carry_are_read():
    first, second, third = read(
        started(0, until=MAX_TIME), extended(1, until=MAX_TIME), ended(2, at=MAX_TIME)
    ).gateway_events

    assert first.until == second.until == third.ended_at == MAX_TIME


def test_an_overlap_without_end_still_registers_both_plans():
    (plan,) = read(plan_set(0, 2**64 - 1)).plans

    assert (plan.current, plan.following) == (b"\x08" * 32, b"\x09" * 32)
    assert plan.overlap_until == MAX_TIME
