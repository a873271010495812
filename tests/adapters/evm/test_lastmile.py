"""The fault table of the last mile, two real chains at once: each ends in the effect, once, or in a name."""

import asyncio
from contextlib import AsyncExitStack
from dataclasses import replace

import pytest
import pytest_asyncio

from adapters.evm.encode import address_text
from adapters.evm.fees import GWEI
from adapters.evm.gateway_events import STARTED
from relay.core.ports import EffectSeen, SubmissionStatus
from tests.adapters.evm.mile import (
    CALM,
    FUNDS,
    mine_until,
    new_key,
    on_both,
    open_mile,
    submitting,
    until,
)

LANDED, REFUSED, NEEDLESS = SubmissionStatus.LANDED, SubmissionStatus.REFUSED, SubmissionStatus.NEEDLESS


@pytest_asyncio.fixture
async def miles(tmp_path):
    async with AsyncExitStack() as stack:
        yield [await stack.enter_async_context(open_mile(tmp_path)) for _ in range(2)]


def assert_effect(submission):
    assert submission.status is LANDED, submission
    assert submission.effect is EffectSeen.CONFIRMED, submission


@pytest.mark.asyncio
async def test_without_a_fault_the_act_is_in_effect_once_and_told_whole(miles):
    async def play(mile):
        mile.pace = CALM
        async with submitting(mile, await mile.door.protect()) as task:
            submission = await mine_until(mile, task)

        assert_effect(submission)
        assert (submission.nonce, submission.attempts, submission.reason) == (0, 1, "")
        assert submission.fee_wei >= submission.gas_used > 21_000
        await mile.assert_once()

    await on_both(miles, play)


@pytest.mark.asyncio
async def test_two_submitters_at_once_have_one_effect(miles):
    async def play(mile):
        call, bob = await mile.door.protect(), new_key()
        await mile.fund(key=bob)
        async with submitting(mile, call) as first, submitting(mile, call, bob) as second:
            told = [await mine_until(mile, first), await mine_until(mile, second)]

        assert LANDED in [one.status for one in told], told
        assert {one.status for one in told} <= {LANDED, NEEDLESS}, told
        await mile.assert_once(noops=1)

    await on_both(miles, play)


@pytest.mark.asyncio
async def test_two_calls_for_the_same_thing_share_one_transaction(miles):
    async def play(mile):
        call = await mile.door.protect()
        async with mile.submitter() as submitter, asyncio.TaskGroup() as group:
            tasks = [group.create_task(submitter.submit(call)) for _ in range(3)]
            await mile.pooled()
            told = [await mine_until(mile, task) for task in tasks]

        assert {one.tx for one in told} == {told[0].tx}
        assert await mile.nonce() == 1
        await mile.assert_once()

    await on_both(miles, play)


@pytest.mark.asyncio
async def test_a_nonce_used_by_another_process_is_left_and_the_call_takes_the_next(miles):
    async def play(mile):
        async with submitting(mile, await mile.door.protect()) as task:
            taken = await mile.foreign(0)
            await mile.anvil.mine()
            assert (await mile.anvil.receipt(taken)).succeeded
            submission = await mine_until(mile, task)

        assert_effect(submission)
        assert submission.nonce == 1
        await mile.assert_once()

    await on_both(miles, play)


@pytest.mark.asyncio
async def test_a_nonce_that_another_process_holds_is_not_fought_for(miles):
    async def play(mile):
        held = await mile.foreign(0)
        async with submitting(mile, await mile.door.protect()) as task:
            await mile.pooled(2)
            assert (await mile.pool())[0] == "0x" + held.hex()
            submission = await mine_until(mile, task)

        assert_effect(submission)
        assert (await mile.anvil.receipt(held)).succeeded
        await mile.assert_once()

    await on_both(miles, play)


@pytest.mark.asyncio
async def test_a_hole_below_the_call_is_filled(miles):
    async def play(mile):
        held = await mile.foreign(0)
        async with submitting(mile, await mile.door.protect()) as task:
            await mile.pooled(2)
            await mile.anvil.rpc("anvil_dropTransaction", "0x" + held.hex())
            submission = await mine_until(mile, task)

        assert_effect(submission)
        assert submission.nonce == 1
        assert await mile.nonce() == 2
        await mile.assert_once()

    await on_both(miles, play)


@pytest.mark.asyncio
async def test_a_base_fee_twenty_times_as_high_is_followed_within_a_bump(miles):
    async def play(mile):
        async with submitting(mile, await mile.door.protect()) as task:
            head = await mile.anvil.rpc("eth_getBlockByNumber", "latest", False)
            dear = 20 * int(head["baseFeePerGas"], 16)
            await mile.anvil.rpc("anvil_setNextBlockBaseFeePerGas", hex(dear))
            await mile.anvil.mine()
            assert await mile.nonce() == 0, "expected the first transaction to be too cheap"
            signed = mile.key.signed
            await until(lambda: bumped(mile, signed))
            await until(lambda: pays(mile, dear))
            assert mile.key.signed <= signed + 2, "expected the newest base fee to be followed at once"
            await mile.anvil.rpc("anvil_setNextBlockBaseFeePerGas", hex(dear))
            await mile.anvil.mine()
            submission = await mine_until(mile, task)

        assert_effect(submission)
        assert submission.attempts >= 2
        await mile.assert_once()

    await on_both(miles, play)


async def pays(mile, wei):
    """Whether what is in the pool pays a base fee."""
    transactions = [
        await mile.anvil.rpc("eth_getTransactionByHash", tx) for tx in (await mile.pool()).values()
    ]
    return [one for one in transactions if int(one["maxFeePerGas"], 16) >= wei]


async def bumped(mile, signed):
    return mile.key.signed > signed


@pytest.mark.asyncio
async def test_at_the_fee_cap_the_call_is_sent_on_and_the_reason_named(miles):
    async def play(mile):
        mile.settings = replace(mile.settings, fee_cap_gwei=4)
        mile.pace = replace(mile.pace, give_up_s=4.0)
        call = await mile.door.protect()
        async with submitting(mile, call) as task:
            await mile.anvil.rpc("anvil_setNextBlockBaseFeePerGas", hex(40 * GWEI))
            await mile.anvil.mine()
            sends = mile.proxies[0].sends
            told = await task

        assert told.status is SubmissionStatus.TIMED_OUT
        assert "at the fee cap of 4 gwei" in told.reason
        assert mile.proxies[0].sends >= sends + 2

        mile.pace = replace(mile.pace, give_up_s=8.0)
        await mile.anvil.rpc("anvil_setNextBlockBaseFeePerGas", hex(GWEI))
        await mile.anvil.mine()
        async with mile.submitter() as submitter, asyncio.TaskGroup() as group:
            submission = await mine_until(mile, group.create_task(submitter.submit(call)))
        assert_effect(submission)
        assert submission.nonce == 0
        await mile.assert_once()

    await on_both(miles, play)


@pytest.mark.asyncio
async def test_a_base_fee_above_the_cap_from_the_first_is_named(miles):
    async def play(mile):
        mile.settings = replace(mile.settings, fee_cap_gwei=4)
        mile.pace = replace(mile.pace, give_up_s=1.0)
        await mile.anvil.rpc("anvil_setNextBlockBaseFeePerGas", hex(40 * GWEI))
        await mile.anvil.mine()
        async with mile.submitter() as submitter:
            told = await submitter.submit(await mile.door.protect())

        assert told.status is not LANDED
        assert "fee cap of 4 gwei" in told.reason, told

    await on_both(miles, play)


@pytest.mark.asyncio
async def test_out_of_funds_is_named_and_healed_by_funds(miles):
    async def play(mile):
        await mile.fund(1_000)
        call = await mile.door.protect()
        async with mile.submitter() as submitter:
            told = await submitter.submit(call)
            assert told.status is SubmissionStatus.UNFUNDED, told
            assert mile.key.signed == 0

            await mile.fund(FUNDS)
            async with asyncio.TaskGroup() as group:
                submission = await mine_until(mile, group.create_task(submitter.submit(call)))

        assert_effect(submission)
        await mile.assert_once()

    await on_both(miles, play)


@pytest.mark.asyncio
async def test_what_the_mempool_drops_is_sent_again(miles):
    async def play(mile):
        async with submitting(mile, await mile.door.protect()) as task:
            (tx,) = (await mile.pool()).values()
            await mile.anvil.rpc("anvil_dropTransaction", tx)
            await mile.pooled()
            submission = await mine_until(mile, task)

        assert_effect(submission)
        assert submission.nonce == 0
        await mile.assert_once()

    await on_both(miles, play)


@pytest.mark.asyncio
async def test_a_reorg_that_removes_the_act_is_mended_without_being_asked(miles):
    async def play(mile):
        async with submitting(mile, await mile.door.protect()) as task:
            submission = await mine_until(mile, task)
            assert_effect(submission)
            head = int(await mile.anvil.rpc("eth_blockNumber"), 16)
            await mile.anvil.rpc("anvil_reorg", head - submission.block.number + 1, [])
            assert await mile.nonce() == 0, "expected the act to leave its block"

            await mile.pooled()
            await mile.anvil.mine()
            await mile.assert_once()

            await mile.anvil.mine(4)
            await until(mile.rows, lambda rows: not rows)
        assert await mile.nonce() == 1

    await on_both(miles, play)


@pytest.mark.asyncio
async def test_what_is_final_is_forgotten_and_what_is_not_is_kept(miles):
    async def play(mile):
        async with submitting(mile, await mile.door.protect()) as task:
            assert_effect(await mine_until(mile, task))
            assert list(await mile.rows()) == [0]

            await mile.anvil.mine(4)
            await until(mile.rows, lambda rows: not rows)

    await on_both(miles, play)


@pytest.mark.asyncio
async def test_a_gateway_that_its_owner_left_refuses_by_name(miles):
    async def play(mile):
        call = await mile.door.protect()
        await mile.door.call(address_text(mile.door.act.gateway), "leaveNetwork")
        async with mile.submitter() as submitter:
            told = await submitter.submit(call)

        assert told.status is REFUSED
        assert told.reason[0].isupper(), "expected a named error of the gateway"
        assert mile.key.signed == 0

    await on_both(miles, play)


@pytest.mark.asyncio
async def test_the_guardian_who_pauses_first_makes_the_call_needless(miles):
    async def play(mile):
        call = await mile.door.protect()
        async with submitting(mile, call) as task:
            await mile.owner_call(mile.door.replica, "pause")
            told = await mine_until(mile, task)

        assert told.status is LANDED
        assert told.effect is EffectSeen.CONFIRMED
        assert await mile.events(STARTED) == 0

    await on_both(miles, play)


@pytest.mark.asyncio
async def test_an_act_that_is_dismissed_in_its_own_block_is_told_without_effect(miles):
    async def play(mile):
        async with submitting(mile, await mile.door.protect()) as task:
            gateway, act = address_text(mile.door.act.gateway), mile.door.act.act_id
            head = await mile.anvil.rpc("eth_getBlockByNumber", "latest", False)
            little = int(head["baseFeePerGas"], 16) * 9 // 8
            await mile.owner_call(gateway, "dismiss", ("bytes32",), act, price_wei=little)
            await mile.anvil.mine()
            told = await task

        assert (told.status, told.effect) == (LANDED, EffectSeen.ABSENT), told
        assert told.reason == "the record had ended again by the end of the block"
        assert await mile.events(STARTED) == 1

    await on_both(miles, play)


@pytest.mark.asyncio
async def test_a_call_that_became_needless_is_not_outbid(miles):
    async def play(mile):
        call = await mile.door.protect()
        async with submitting(mile, call) as task:
            (tx,) = (await mile.pool()).values()
            await mile.anvil.rpc("anvil_dropTransaction", tx)
            await mile.owner_call(mile.door.replica, "pause")
            await mile.anvil.mine()
            told = await task

        assert told.status is NEEDLESS, told

    await on_both(miles, play)


@pytest.mark.asyncio
async def test_what_nobody_wants_any_more_is_out_of_the_way_of_what_is_wanted(miles):
    async def play(mile):
        await mile.anvil.rpc("anvil_setNextBlockBaseFeePerGas", hex(GWEI))
        await mile.anvil.mine()
        async with mile.submitter() as submitter, asyncio.TaskGroup() as group:
            first = group.create_task(submitter.submit(await mile.door.protect()))
            await mile.pooled(1)
            second = group.create_task(submitter.submit(await mile.door.protect(decision=b"\x08" * 32)))
            await mile.pooled(2)
            first.cancel()
            (before, _) = (await mile.pool()).values()
            await until(lambda: cancelled(mile, before))
            submission = await mine_until(mile, second)

        assert_effect(submission)
        assert submission.nonce == 1
        await mile.assert_once()

    await on_both(miles, play)


async def cancelled(mile, before):
    tx = (await mile.pool())[0]
    if tx == before:
        return False
    transaction = await mile.anvil.rpc("eth_getTransactionByHash", tx)
    return transaction["to"] == "0x" + mile.key.submitter.hex()
