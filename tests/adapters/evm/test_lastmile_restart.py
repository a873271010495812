"""A submitter that ends at each durable point, two chains at once: its successor finishes, never twice."""

import asyncio
from contextlib import AsyncExitStack
from dataclasses import replace

import pytest
import pytest_asyncio

from adapters.evm.gateway_events import STARTED
from adapters.evm.rows import row_from_bytes
from adapters.evm.submit import open_submitter
from relay.core.errors import JournalError
from relay.core.ports import EffectSeen, SubmissionStatus
from tests.adapters.evm.mile import CALM, Mode, mine_until, on_both, open_mile, submitting, until

HONEST = Mode.HONEST


@pytest_asyncio.fixture
async def miles(tmp_path):
    async with AsyncExitStack() as stack:
        yield [await stack.enter_async_context(open_mile(tmp_path)) for _ in range(2)]


def assert_effect(submission):
    assert submission.status is SubmissionStatus.LANDED, submission
    assert submission.effect is EffectSeen.CONFIRMED, submission


async def finish(mile, call):
    """The successor is asked for the same call."""
    mile.pace = CALM
    async with mile.submitter() as submitter, asyncio.TaskGroup() as group:
        return await mine_until(mile, group.create_task(submitter.submit(call)))


async def held(mile):
    return all(proxy.held for proxy in mile.proxies)


async def kill_while(mile, mode, call):
    """End a submitter while every endpoint holds its transaction in this mode; gives what was signed."""
    async with mile.submitter() as submitter, asyncio.TaskGroup() as group:
        mile.set_modes(mode, mode, mode)
        task = group.create_task(submitter.submit(call))
        await until(lambda: held(mile))
        task.cancel()
    (row,) = (await mile.rows()).values()
    return row_from_bytes(row)


@pytest.mark.asyncio
async def test_ended_between_signing_and_sending_the_same_bytes_are_sent(miles):
    async def play(mile):
        call = await mile.door.protect()
        row = await kill_while(mile, Mode.HOLD_SENDS, call)
        assert not await mile.pool()
        mile.set_modes(HONEST, HONEST, HONEST)

        submission = await finish(mile, call)

        assert_effect(submission)
        assert submission.tx == row.hashes[0]
        assert mile.key.signed == 1
        await mile.assert_once()

    await on_both(miles, play)


@pytest.mark.asyncio
async def test_ended_after_sending_the_pooled_transaction_is_waited_for(miles):
    async def play(mile):
        call = await mile.door.protect()
        row = await kill_while(mile, Mode.HOLD_ANSWERS, call)
        await mile.pooled()
        mile.set_modes(HONEST, HONEST, HONEST)

        submission = await finish(mile, call)

        assert_effect(submission)
        assert (submission.tx, mile.key.signed) == (row.hashes[0], 1)
        assert await mile.nonce() == 1
        await mile.assert_once()

    await on_both(miles, play)


@pytest.mark.asyncio
async def test_ended_before_the_receipt_the_landing_is_found(miles):
    async def play(mile):
        call = await mile.door.protect()
        row = await kill_while(mile, Mode.HOLD_ANSWERS, call)
        await mile.pooled()
        mile.set_modes(HONEST, HONEST, HONEST)
        await mile.anvil.mine()

        async with mile.submitter() as submitter:
            submission = await submitter.submit(call)

        assert_effect(submission)
        assert (submission.tx, mile.key.signed) == (row.hashes[0], 1)
        await mile.assert_once()

    await on_both(miles, play)


@pytest.mark.asyncio
async def test_ended_after_a_higher_fee_either_transaction_is_known_again(miles):
    async def play(mile):
        call = await mile.door.protect()
        async with submitting(mile, call) as task:
            await until(lambda: stored(mile, 2))
            task.cancel()
        await mile.anvil.mine()

        async with mile.submitter() as submitter:
            submission = await submitter.submit(call)

        assert_effect(submission)
        await mile.assert_once()

    await on_both(miles, play)


async def stored(mile, count):
    """So many transactions of one nonce are on disk."""
    return any(len(row_from_bytes(row).hashes) >= count for row in (await mile.rows()).values())


@pytest.mark.asyncio
async def test_what_nobody_asks_for_again_is_cancelled_and_blocks_nothing(miles):
    async def play(mile):
        call = await mile.door.protect()
        await kill_while(mile, Mode.HOLD_ANSWERS, call)
        await mile.pooled()
        (before,) = (await mile.pool()).values()
        mile.set_modes(HONEST, HONEST, HONEST)

        mile.pace = replace(mile.pace, unwanted_s=0.2)
        async with mile.submitter():
            await until(lambda: replaced(mile, before))
            await mile.anvil.mine()
            await until(mile.nonce, lambda nonce: nonce == 1)
            await mile.anvil.mine(4)
            await until(mile.rows, lambda rows: not rows)

        assert await mile.events(STARTED) == 0

    await on_both(miles, play)


async def replaced(mile, before):
    return [tx for tx in (await mile.pool()).values() if tx != before]


@pytest.mark.asyncio
async def test_another_call_takes_the_nonce_of_one_that_nobody_waits_for(miles):
    async def play(mile):
        old = await mile.door.protect()
        await kill_while(mile, Mode.HOLD_ANSWERS, old)
        await mile.pooled()
        mile.set_modes(HONEST, HONEST, HONEST)

        (before,) = (await mile.pool()).values()
        newer = await mile.door.protect(decision=b"\x08" * 32)
        async with mile.submitter() as submitter, asyncio.TaskGroup() as group:
            task = group.create_task(submitter.submit(newer))
            await until(lambda: replaced(mile, before))
            submission = await mine_until(mile, task)

        assert_effect(submission)
        assert submission.nonce == 0
        await mile.assert_once()

    await on_both(miles, play)


@pytest.mark.asyncio
async def test_a_nonce_used_by_others_while_we_were_away_is_seen(miles):
    async def play(mile):
        call = await mile.door.protect()
        await kill_while(mile, Mode.HOLD_ANSWERS, call)
        await mile.pooled()
        await mile.foreign(0)
        await mile.anvil.mine()
        mile.set_modes(HONEST, HONEST, HONEST)

        submission = await finish(mile, call)

        assert_effect(submission)
        assert submission.nonce == 1
        await mile.assert_once()

    await on_both(miles, play)


class FailingStore:
    """A store whose disk takes no more."""

    def __init__(self, inner, is_stored):
        self.inner, self.is_stored = inner, is_stored

    async def rows(self):
        return await self.inner.rows()

    async def drop(self, nonce):
        await self.inner.drop(nonce)

    async def put(self, nonce, row):
        if self.is_stored:
            await self.inner.put(nonce, row)
        raise JournalError("the disk is gone")


@pytest.mark.asyncio
@pytest.mark.parametrize("is_stored", [False, True])
async def test_what_could_not_be_stored_is_not_sent(miles, is_stored):
    async def play(mile):
        call = await mile.door.protect()
        store = FailingStore(mile.outbox.of(mile.anvil.chain, mile.key.submitter), is_stored)
        async with open_submitter(mile.settings, mile.key, store, pace=mile.pace) as submitter:
            with pytest.raises(JournalError):
                await submitter.submit(call)
        assert not any(proxy.sends for proxy in mile.proxies)

        submission = await finish(mile, call)

        assert_effect(submission)
        assert mile.key.signed == (1 if is_stored else 2)
        await mile.assert_once()

    await on_both(miles, play)


@pytest.mark.asyncio
async def test_an_act_has_the_gas_it_may_need_though_the_simulation_changed_nothing(tmp_path):
    """Somebody protects already when the call is simulated, and lets go in the block in which it lands."""
    async with open_mile(tmp_path, gas=4_000_000) as mile:
        await mile.door.call(mile.door.replica, "pause")
        call = replace(await mile.door.protect(), says_noop=True)
        async with submitting(mile, call) as task:
            await mile.owner_call(mile.door.replica, "unpause")
            await mile.anvil.mine()
            submission = await task

        assert_effect(submission)
        await mile.assert_once()


@pytest.mark.asyncio
async def test_a_store_of_another_version_stops_the_start(miles):
    mile = miles[0]
    await mile.outbox.of(mile.anvil.chain, mile.key.submitter).put(0, b"\x91\x02")

    with pytest.raises(JournalError, match="expected a sent transaction"):
        async with mile.submitter():
            pass
