"""Operators that swallow, lie, are late, dead or elsewhere, two chains at once: none decides alone."""

import asyncio
from contextlib import AsyncExitStack
from dataclasses import replace

import pytest
import pytest_asyncio

from relay.core.ports import EffectSeen, EndpointAddress, FeeKind, SubmissionStatus
from tests.adapters.evm.mile import CALM, Mode, mine_until, on_both, open_mile, submitting, until

LANDED = SubmissionStatus.LANDED
HONEST = Mode.HONEST


@pytest_asyncio.fixture
async def miles(tmp_path):
    async with AsyncExitStack() as stack:
        yield [await stack.enter_async_context(open_mile(tmp_path)) for _ in range(2)]


def assert_effect(submission):
    assert submission.status is LANDED, submission
    assert submission.effect is EffectSeen.CONFIRMED, submission


@pytest.mark.asyncio
@pytest.mark.parametrize(
    "mode",
    [
        Mode.SWALLOW_SENDS,
        Mode.LIE_RECEIPTS,
        Mode.HIDE_RECEIPTS,
        Mode.LIE_CALLS,
        Mode.LIE_HEAD,
        Mode.LIE_HEADERS,
        Mode.LIE_NONCES,
        Mode.WRONG_CHAIN,
        Mode.DROP,
        Mode.REFUSE,
        Mode.HOLD_SENDS,
        Mode.HOLD_ANSWERS,
    ],
)
async def test_one_operator_of_three_changes_nothing(miles, mode):
    async def play(mile):
        async with mile.submitter() as submitter, asyncio.TaskGroup() as group:
            mile.set_modes(mode, HONEST, HONEST)
            task = group.create_task(submitter.submit(await mile.door.protect()))
            await mile.pooled()
            assert not task.done(), "expected nobody to believe one operator's receipt"
            submission = await mine_until(mile, task)
            mile.set_modes(HONEST, HONEST, HONEST)

        assert_effect(submission)
        assert submission.reason == ""
        await mile.assert_once()

    await on_both(miles, play)


@pytest.mark.asyncio
async def test_a_late_operator_delays_nothing(miles):
    async def play(mile):
        async with mile.submitter() as submitter, asyncio.TaskGroup() as group:
            mile.set_modes(Mode.DELAY, HONEST, HONEST)
            async with asyncio.timeout(mile.late_s - 1):
                task = group.create_task(submitter.submit(await mile.door.protect()))
                await mile.pooled()
                submission = await mine_until(mile, task)

        assert_effect(submission)
        await mile.assert_once()

    await on_both(miles, play)


@pytest.mark.asyncio
async def test_with_one_operator_left_the_call_lands_and_says_who_alone_confirms_it(miles):
    async def play(mile):
        async with mile.submitter() as submitter, asyncio.TaskGroup() as group:
            mile.set_modes(HONEST, Mode.DROP, Mode.REFUSE)
            task = group.create_task(submitter.submit(await mile.door.protect()))
            await mile.pooled()
            submission = await mine_until(mile, task)

        assert submission.status is LANDED, submission
        assert "only alice-rpc confirms it" in submission.reason
        await mile.assert_once()

    await on_both(miles, play)


@pytest.mark.asyncio
async def test_operators_that_failed_and_now_hang_are_not_waited_for(miles):
    async def play(mile):
        mile.settings = replace(mile.settings, timeout_ms=30_000)
        async with mile.submitter() as submitter, asyncio.TaskGroup() as group:
            mile.set_modes(HONEST, Mode.REFUSE, Mode.REFUSE)
            await submitter.balance()
            mile.set_modes(HONEST, Mode.HANG, Mode.HANG)
            task = group.create_task(submitter.submit(await mile.door.protect()))
            await mile.pooled()
            submission = await mine_until(mile, task)
            mile.set_modes(HONEST, HONEST, HONEST)

        assert submission.status is LANDED, submission
        await mile.assert_once()

    await on_both(miles, play)


@pytest.mark.asyncio
async def test_one_liar_alone_against_one_honest_operator_fakes_no_landing(miles):
    async def play(mile):
        mile.pace = replace(mile.pace, give_up_s=1.0)
        async with mile.submitter() as submitter:
            mile.set_modes(Mode.LIE_RECEIPTS, HONEST, Mode.DROP)
            told = await submitter.submit(await mile.door.protect())

        assert told.status is SubmissionStatus.TIMED_OUT
        assert "only alice-rpc shows it in a block" in told.reason

    await on_both(miles, play)


@pytest.mark.asyncio
async def test_one_liar_left_alone_leads_us_to_a_false_nonce_only_until_another_answers(miles):
    async def play(mile):
        async with mile.submitter() as submitter, asyncio.TaskGroup() as group:
            mile.set_modes(Mode.LIE_NONCES, Mode.DROP, Mode.DROP)
            task = group.create_task(submitter.submit(await mile.door.protect()))
            await mile.pooled()
            assert min(await mile.pool()) == 1_000
            mile.set_modes(Mode.LIE_NONCES, HONEST, HONEST)
            submission = await mine_until(mile, task)

        assert_effect(submission)
        assert submission.nonce == 0
        assert await mile.nonce() == 1, "expected no nonce to be paid for in vain"
        await mile.assert_once()

    await on_both(miles, play)


@pytest.mark.asyncio
async def test_a_landing_that_one_liar_alone_told_is_taken_back_when_others_answer(miles):
    async def play(mile):
        async with mile.submitter() as submitter, asyncio.TaskGroup() as group:
            mile.set_modes(Mode.LIE_RECEIPTS, Mode.DROP, Mode.DROP)
            call = await mile.door.protect()
            told = await submitter.submit(call)
            assert "no event of the gateway" in told.reason, told

            mile.set_modes(Mode.LIE_RECEIPTS, HONEST, HONEST)
            submission = await mine_until(mile, group.create_task(submitter.submit(call)))

        # What was sent first may land before the second submission looks.
        if submission.status is not SubmissionStatus.NEEDLESS:
            assert_effect(submission)
        assert await mile.nonce() == 1
        await mile.assert_once()

    await on_both(miles, play)


@pytest.mark.asyncio
async def test_operators_that_all_swallow_for_a_while_get_it_again(miles):
    async def play(mile):
        async with mile.submitter() as submitter, asyncio.TaskGroup() as group:
            mile.set_modes(*[Mode.SWALLOW_SENDS] * 3)
            task = group.create_task(submitter.submit(await mile.door.protect()))
            await until(lambda: sent(mile, 3))
            assert not await mile.pool()
            mile.set_modes(HONEST, HONEST, HONEST)
            submission = await mine_until(mile, task)

        assert_effect(submission)
        assert submission.nonce == 0
        await mile.assert_once()

    await on_both(miles, play)


async def sent(mile, times):
    return sum(proxy.sends for proxy in mile.proxies) >= times


@pytest.mark.asyncio
async def test_when_all_stop_after_the_call_was_sent_it_is_found_when_they_come_back(miles):
    async def play(mile):
        async with submitting(mile, await mile.door.protect()) as task:
            mile.set_modes(Mode.DROP, Mode.DROP, Mode.DROP)
            await mile.anvil.mine()
            mile.set_modes(HONEST, HONEST, HONEST)
            submission = await task

        assert_effect(submission)
        await mile.assert_once()

    await on_both(miles, play)


@pytest.mark.asyncio
async def test_a_dead_operator_is_shown_and_left_alone_and_taken_up_again(miles):
    async def play(mile):
        async with mile.submitter() as submitter:
            mile.set_modes(HONEST, Mode.REFUSE, HONEST)
            for _ in range(3):
                await submitter.balance()
            states = {one.operator: one for one in submitter.health()}
            assert [states[name].is_up for name in ("alice-rpc", "bob-rpc", "mallory-rpc")] == [
                True,
                False,
                True,
            ]
            assert states["bob-rpc"].problem == "HTTP status 503, expected 200"
            assert states["bob-rpc"].retry_in_ms > 0

            mile.set_modes(HONEST, HONEST, HONEST)
            await until(lambda: healed(submitter))

    await on_both(miles, play)


async def healed(submitter):
    await submitter.balance()
    return all(one.is_up for one in submitter.health())


@pytest.mark.asyncio
async def test_a_private_endpoint_has_the_call_alone(miles):
    async def play(mile):
        mile.settings = replace(mile.settings, private=EndpointAddress("hidden", mile.hidden.url))
        mile.pace = CALM
        async with submitting(mile, await mile.door.protect()) as task:
            submission = await mine_until(mile, task)

        assert_effect(submission)
        assert mile.hidden.sends == 1
        assert not any(proxy.sends for proxy in mile.proxies)
        await mile.assert_once()

    await on_both(miles, play)


@pytest.mark.asyncio
@pytest.mark.parametrize("mode", [Mode.SWALLOW_SENDS, Mode.DROP, Mode.REFUSE])
async def test_a_private_endpoint_that_swallows_stops_the_call_for_two_blocks_only(miles, mode):
    async def play(mile):
        mile.settings = replace(mile.settings, private=EndpointAddress("hidden", mile.hidden.url))
        mile.hidden.mode = mode
        async with mile.submitter() as submitter, asyncio.TaskGroup() as group:
            task = group.create_task(submitter.submit(await mile.door.protect()))
            await until(lambda: reached(mile))
            await mile.anvil.mine()
            hidden = mile.hidden.requests
            await until(lambda: asked(mile, hidden))
            assert not any(proxy.sends for proxy in mile.proxies), (
                "expected nothing in public after one block"
            )
            await mile.anvil.mine()
            await mile.pooled()
            submission = await mine_until(mile, task)

        assert_effect(submission)
        await mile.assert_once()

    await on_both(miles, play)


async def reached(mile):
    return mile.hidden.requests


async def asked(mile, before):
    """Another attempt at the private endpoint: the submitter has gone on since."""
    return mile.hidden.requests > before


@pytest.mark.asyncio
async def test_a_chain_with_one_gas_price_is_paid_its_way(miles):
    async def play(mile):
        mile.settings = replace(mile.settings, fees=FeeKind.LEGACY)
        async with submitting(mile, await mile.door.protect()) as task:
            (before,) = (await mile.pool()).values()
            await until(lambda: replaced(mile, before))
            submission = await mine_until(mile, task)

        assert_effect(submission)
        transaction = await mile.anvil.rpc("eth_getTransactionByHash", "0x" + submission.tx.hex())
        assert int(transaction["type"], 16) == 0
        await mile.assert_once()

    await on_both(miles, play)


async def replaced(mile, before):
    return [tx for tx in (await mile.pool()).values() if tx != before]
