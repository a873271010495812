"""Calls whose event is the point: a protection that changes nothing, and the anchor of an audit log."""

from dataclasses import replace

import pytest
import pytest_asyncio

from adapters.evm.gateway_events import LOG_ANCHORED
from relay.core.observations import ChainQueries, GatewayEventKind
from relay.core.ports import AnchorLog, SubmissionStatus
from tests.adapters.evm.door import build_door


@pytest_asyncio.fixture
async def door(bench):
    return await build_door(bench)


async def said(door, submission):
    """The gateway's events in the block in which a call landed, as every node reads them."""
    header = await door.bench.endpoint.head()
    (first,) = await door.bench.endpoint.headers(submission.block.number, submission.block.number)
    assert header.block.number >= first.block.number
    queries = ChainQueries(door.bench.anvil.chain, gateways=(door.act.gateway,))
    (reads,) = await door.bench.endpoint.observe([first], queries)
    return reads.gateway_events


@pytest.mark.asyncio
async def test_a_protection_that_changes_nothing_is_sent_where_the_gateway_shall_say_so(door):
    await door.call(door.replica, "pause")
    call = await door.protect()
    assert (await door.submit(call)).status is SubmissionStatus.NEEDLESS

    submission = await door.submit_automined(replace(call, says_noop=True))

    assert submission.status is SubmissionStatus.LANDED, submission
    (event,) = await said(door, submission)
    assert (event.kind, event.decision_id) == (GatewayEventKind.NOOP, call.mandate.decision_id)


@pytest.mark.asyncio
async def test_an_anchor_lands_with_its_event_and_is_no_event_of_an_act(door):
    anchor = AnchorLog(
        door.bench.anvil.chain, door.act.gateway, b"\x05" * 32, b"\x06" * 32, 4_482, b"\x07" * 32
    )

    submission = await door.submit_automined(anchor)

    assert submission.status is SubmissionStatus.LANDED, submission
    assert await said(door, submission) == ()
    receipt = await door.bench.anvil.rpc("eth_getTransactionReceipt", "0x" + submission.tx.hex())
    (log,) = receipt["logs"]
    assert log["topics"] == [f"0x{topic.hex()}" for topic in (LOG_ANCHORED, b"\x05" * 32, b"\x06" * 32)]
    assert bytes.fromhex(log["data"][2:]) == (4_482).to_bytes(32, "big") + b"\x07" * 32
