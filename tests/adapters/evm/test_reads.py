"""Reading one block, and many, from a real chain: facts are facts, everything else is unavailability."""

import asyncio
from dataclasses import replace

import pytest
from eth_abi import encode

from adapters.evm import adapter
from adapters.evm.abi import selector
from adapters.evm.encode import gateway_of
from adapters.evm.endpoint import open_endpoint, parse_finality
from relay.core.errors import ConfigError, EndpointUnavailable, WrongChain
from relay.core.observations import ChainQueries, EndedHow, GatewayEventKind, ReadKind, StateRead
from relay.core.ports import ChainSettings, EndpointAddress
from relay.core.types import Header

TOKEN = "0x" + "ab" * 20
RELEASE = "Release(uint256 indexed id, address indexed token, uint256 amount, string memo)"
MOVED = "Moved(int64 delta, bool up, bytes payload)"


def calldata(signature, *values):
    name, _, types = signature[:-1].partition("(")
    kinds = types.split(",") if types else []
    return selector(name, tuple(kinds)) + encode(kinds, values)


def queries(bench, *, events=(), calls=(), gateways=()):
    make = adapter()
    return ChainQueries(
        bench.anvil.chain,
        tuple(make.event_query(bench.anvil.chain, bench.probe, event)[0] for event in events),
        tuple(
            make.state_queries(StateRead(bench.anvil.chain, ReadKind.CALL, bench.probe, call, args, word))[0]
            for call, args, word in calls
        ),
        tuple(gateway_of(gateway) for gateway in gateways),
    )


async def emit(bench, signature, *values, to=None):
    return await bench.anvil.send(bench.account, to or bench.probe, calldata(signature, *values))


async def release(bench, number, amount, memo="m"):
    return await emit(bench, "release(uint256,address,uint256,string)", number, TOKEN, amount, memo)


async def newest(bench):
    return await bench.endpoint.head()


async def read(bench, asked):
    (reads,) = await bench.endpoint.observe([await newest(bench)], asked)
    return reads


@pytest.mark.asyncio
async def test_a_block_gives_its_events_in_order_with_fields_by_name(bench):
    tx = await release(bench, 5, 10**30, "first")
    await release(bench, 6, 0, "second")
    await emit(bench, "move(int64,bool,bytes)", -9, True, b"\x01\x02")
    await bench.anvil.mine()

    reads = await read(bench, queries(bench, events=(MOVED, RELEASE)))

    assert [(row.query, row.log_index) for row in reads.rows] == [(1, 0), (1, 1), (0, 2)]
    assert reads.rows[0].tx == tx
    assert reads.rows[0].fields == {"id": 5, "token": TOKEN, "amount": 10**30, "memo": "first"}
    assert reads.rows[2].fields == {"delta": -9, "up": True, "payload": "0x0102"}


@pytest.mark.asyncio
async def test_a_log_with_unreadable_text_is_still_seen(bench):
    data = encode(["uint256", "bytes"], [77, b"\xff\xfe bad utf-8"])
    await emit(bench, "releaseRaw(uint256,address,bytes)", 1, TOKEN, data)
    await bench.anvil.mine()

    reads = await read(bench, queries(bench, events=(RELEASE,)))

    assert reads.rows[0].fields["amount"] == 77
    assert reads.rows[0].fields["memo"] == "\\xff\\xfe bad utf-8"


@pytest.mark.asyncio
async def test_a_log_of_the_same_topic_but_another_shape_is_another_event(bench):
    await emit(bench, "releaseRaw(uint256,address,bytes)", 1, TOKEN, b"\x00" * 40)
    await bench.anvil.mine()

    asked = queries(
        bench, events=(RELEASE, "Release(uint256 id, address token, uint256 amount, string memo)")
    )

    assert (await read(bench, asked)).rows == ()


CALLS = [
    ("cap() returns (uint256)", (), 0, 7, None),
    ("paused() returns (bool)", (), 0, 0, None),
    ("drift() returns (int64)", (), 0, -5, None),
    ("pair(uint256) returns (uint256,bool)", (41,), 0, 42, None),
    ("pair(uint256) returns (uint256,bool)", (41,), 1, 1, None),
    ("wild() returns (bool)", (), 0, None, "answer not decodable"),
    ("reverting()", (), 0, None, "call failed"),
    ("halting()", (), 0, None, "call failed"),
    ("short()", (), 0, None, "answer not decodable"),
    ("nothing()", (), 0, None, "empty answer"),
    ("absent()", (), 0, None, "call failed"),
    ("endless()", (), 0, None, "call failed"),
]


@pytest.mark.asyncio
async def test_what_a_contract_answers_is_a_fact_whether_it_is_a_value_or_a_failure(bench):
    asked = queries(bench, calls=[call[:3] for call in CALLS])

    reads = await read(bench, asked)

    assert [(value.query, value.value, value.fault) for value in reads.calls] == [
        (index, value, fault) for index, (*_, value, fault) in enumerate(CALLS)
    ]


@pytest.mark.asyncio
async def test_an_account_without_code_answers_empty(bench):
    asked = ChainQueries(
        bench.anvil.chain,
        calls=adapter().state_queries(StateRead(bench.anvil.chain, ReadKind.CALL, TOKEN, "cap()")),
    )

    assert (await read(bench, asked)).calls[0].fault == "empty answer"


@pytest.mark.asyncio
async def test_calls_are_read_at_the_block_asked_for_not_at_the_newest(bench):
    before = await newest(bench)
    await emit(bench, "setCap(uint256)", 1000)
    await bench.anvil.mine()
    asked = queries(bench, calls=[("cap()", (), 0)])

    (old,) = await bench.endpoint.observe([before], asked)

    assert old.calls[0].value == 7
    assert (await read(bench, asked)).calls[0].value == 1000


@pytest.mark.asyncio
async def test_a_block_the_endpoint_does_not_have_is_unavailable_not_empty(bench):
    head = (await newest(bench)).block
    other = Header(replace(head, hash=b"\x11" * 32), b"\x22" * 32)

    for asked in (
        queries(bench, events=(RELEASE,)),
        queries(bench, calls=[("cap()", (), 0)]),
        queries(bench),
    ):
        with pytest.raises(EndpointUnavailable):
            await bench.endpoint.observe([other], asked)


@pytest.mark.asyncio
async def test_a_header_with_a_false_timestamp_or_parent_is_not_confirmed(bench):
    head = await newest(bench)
    late = replace(head.block, timestamp=head.block.timestamp + 1)

    for false in (Header(late, head.parent), Header(head.block, b"\x33" * 32)):
        with pytest.raises(EndpointUnavailable, match="not the one asked for"):
            await bench.endpoint.observe([false], queries(bench))


@pytest.mark.asyncio
async def test_a_range_reads_the_same_as_block_by_block(bench):
    for number in range(6):
        await release(bench, number, number)
        await emit(bench, "setCap(uint256)", 100 + number)
        if number % 2:
            await emit(bench, "expire(bytes32)", bytes(32), to=bench.gateway)
        await bench.anvil.mine(1 + number % 3)
    head = await newest(bench)
    asked = queries(bench, events=(RELEASE,), calls=[("cap()", (), 0)], gateways=(bench.gateway,))
    headers = await bench.endpoint.headers(0, head.block.number)

    ranged = await bench.endpoint.observe(headers, asked)

    single = [(await bench.endpoint.observe([header], asked))[0] for header in headers]
    assert list(ranged) == single
    assert sum(len(reads.rows) for reads in ranged) == 6
    assert sum(len(reads.gateway_events) for reads in ranged) == 3


@pytest.mark.asyncio
async def test_calls_begin_at_the_block_from_which_a_plan_counts_them(bench):
    await bench.anvil.mine(5)
    head = await newest(bench)
    since = head.block.number - 2
    asked = replace(queries(bench, events=(RELEASE,), calls=[("cap()", (), 0)]), calls_since=since)
    headers = await bench.endpoint.headers(0, head.block.number)

    ranged = await bench.endpoint.observe(headers, asked)

    assert [bool(reads.calls) for reads in ranged] == [header.block.number >= since for header in headers]
    assert list(ranged) == [(await bench.endpoint.observe([header], asked))[0] for header in headers]


@pytest.mark.asyncio
async def test_a_range_that_was_reorganised_away_is_unavailable(bench):
    await bench.anvil.mine(5)
    head = await newest(bench)
    headers = await bench.endpoint.headers(head.block.number - 3, head.block.number)
    await bench.anvil.rpc("anvil_reorg", 2, [])

    with pytest.raises(EndpointUnavailable):
        await bench.endpoint.observe(headers, queries(bench, events=(RELEASE,)))


@pytest.mark.asyncio
async def test_headers_end_where_the_chain_ends(bench):
    head = await newest(bench)

    headers = await bench.endpoint.headers(head.block.number - 1, head.block.number + 50)

    assert [header.block.number for header in headers] == [head.block.number - 1, head.block.number]
    assert headers[1].parent == headers[0].block.hash


@pytest.mark.asyncio
async def test_finality_by_depth_and_by_tag(bench):
    await bench.anvil.mine(100)
    head = await newest(bench)
    tagged = ChainSettings(bench.anvil.chain, bench.settings.endpoints, finality="finalized")

    deep = await bench.endpoint.finalized()
    async with open_endpoint(tagged, tagged.endpoints[0]) as endpoint:
        final = await endpoint.finalized()

    assert deep.block.number == head.block.number - 2
    assert final.block.number <= head.block.number - 32


@pytest.mark.parametrize("text", ["", "latest", "depth:", "depth:-1", "depth:1x", "depth:9999999"])
def test_an_unknown_finality_is_refused(text):
    with pytest.raises(ConfigError, match="expected finalized, safe or depth:N"):
        parse_finality(text)


@pytest.mark.asyncio
async def test_an_endpoint_of_another_chain_is_named_with_both_ids(bench):
    settings = ChainSettings("eip155:1", (EndpointAddress("mallory-rpc", bench.anvil.url),))

    async with open_endpoint(settings, settings.endpoints[0]) as endpoint:
        with pytest.raises(WrongChain, match=rf"eip155:1 by mallory-rpc: .*{bench.anvil.chain}.*eip155:1"):
            await endpoint.head()


@pytest.mark.asyncio
async def test_new_heads_arrive_by_websocket(bench):
    heads = bench.endpoint.heads()
    async with asyncio.timeout(10):
        newest = await anext(heads)
        await bench.anvil.mine()
        new = await anext(heads)
    await heads.aclose()

    assert newest.block.number == 2
    assert new.parent == newest.block.hash


@pytest.mark.asyncio
async def test_a_gateways_steps_carry_mandate_decision_and_gas(bench):
    mandate = (b"\x01" * 32, 1, 2, b"\x02" * 32, 1, b"\x03" * 32, b"\x04" * 32, 1000, 2000)
    act, kinds = b"\x07" * 32, "(bytes32,uint32,uint8,bytes32,uint8,bytes32,bytes32,uint64,uint64)"
    for op in (1, 2, 3):
        body = encode(
            [kinds, "bytes32", "uint64", "bytes32[]", "bytes"],
            [(*mandate[:4], op, *mandate[5:]), act, 60, [], b"\x01"],
        )
        await bench.anvil.send(
            bench.account,
            bench.gateway,
            selector("execute", (kinds, "bytes32", "uint64", "bytes32[]", "bytes")) + body,
        )
    ended = await emit(bench, "expire(bytes32)", act, to=bench.gateway)
    await emit(bench, "setPlan(bytes32,bytes32,uint64)", b"\x08" * 32, b"\x09" * 32, 77, to=bench.gateway)
    await emit(bench, "oddEnd(bytes32)", act, to=bench.gateway)
    await bench.anvil.mine()

    reads = await read(bench, queries(bench, gateways=(bench.gateway,)))

    started, extended, noop, end = reads.gateway_events
    assert [started.kind, extended.kind, noop.kind, end.kind] == list(GatewayEventKind)
    assert (started.decision_id, started.tier, started.until, started.act_id) == (b"\x03" * 32, 2, 1060, act)
    assert extended.until == 1060
    assert started.mandate is not None
    assert noop.decision_id == b"\x03" * 32
    assert (end.mandate, end.how, end.ended_at, end.undone) == (None, EndedHow.EXPIRE, 1234, True)
    assert end.gas_used == (await bench.anvil.receipt(ended)).gas_used > 21_000
    (plan,) = reads.plans
    assert (plan.current, plan.following, plan.overlap_until) == (b"\x08" * 32, b"\x09" * 32, 77)
