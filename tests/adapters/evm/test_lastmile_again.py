"""A call that was given up is carried when it is needed again: an old verdict is no news."""

import asyncio
from contextlib import AsyncExitStack

import pytest
import pytest_asyncio

from relay.core.ports import EffectSeen, SubmissionStatus
from tests.adapters.evm.mile import Mode, mine_until, on_both, open_mile, until


@pytest_asyncio.fixture
async def miles(tmp_path):
    async with AsyncExitStack() as stack:
        yield [await stack.enter_async_context(open_mile(tmp_path)) for _ in range(2)]


async def given_up(mile, submitter, call, owner_does):
    """Submit a call that reaches nobody, until what the owner does makes it pointless; gives the verdict."""
    mile.set_modes(*(Mode.SWALLOW_SENDS,) * 3)
    async with asyncio.TaskGroup() as group:
        task = group.create_task(submitter.submit(call))
        await until(lambda: asyncio.sleep(0, mile.proxies[0].sends))
        await owner_does()
        return await task


@pytest.mark.asyncio
async def test_what_became_needless_lands_when_the_guardian_takes_his_own_pause_back(miles):
    async def play(mile):
        call, replica = await mile.door.protect(), mile.door.replica
        async with mile.submitter() as submitter, asyncio.TaskGroup() as group:
            told = await given_up(mile, submitter, call, lambda: mile.door.call(replica, "pause"))
            assert told.status is SubmissionStatus.NEEDLESS, told

            await mile.door.call(replica, "unpause")
            mile.set_modes(*(Mode.HONEST,) * 3)
            submission = await mine_until(mile, group.create_task(submitter.submit(call)))

        assert (submission.status, submission.effect) == (SubmissionStatus.LANDED, EffectSeen.CONFIRMED)
        await mile.assert_once()

    await on_both(miles, play)


@pytest.mark.asyncio
async def test_what_a_paused_gateway_refused_lands_when_the_pause_is_over(miles):
    async def play(mile):
        call = await mile.door.protect()
        gateway = "0x" + call.gateway[-20:].hex()
        async with mile.submitter() as submitter, asyncio.TaskGroup() as group:
            told = await given_up(mile, submitter, call, lambda: mile.door.call(gateway, "pauseGateway"))
            assert (told.status, told.reason) == (SubmissionStatus.REFUSED, "GatewayIsPaused"), told

            await mile.door.call(gateway, "unpauseGateway")
            mile.set_modes(*(Mode.HONEST,) * 3)
            submission = await mine_until(mile, group.create_task(submitter.submit(call)))

        assert (submission.status, submission.effect) == (SubmissionStatus.LANDED, EffectSeen.CONFIRMED)
        await mile.assert_once()

    await on_both(miles, play)
