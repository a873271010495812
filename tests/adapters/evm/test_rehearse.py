"""A rehearsal against targets as protocols have them: what goes through, what not, what is warned of."""

from __future__ import annotations

import json
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from dataclasses import dataclass, replace

import aiohttp
import pytest
import pytest_asyncio
from aiohttp import web

from adapters.evm import adapter
from adapters.evm.abi import selector
from adapters.evm.devchain import Anvil, AnvilSettings, start_anvil
from adapters.evm.reading_only import READS, open_door
from adapters.evm.reverts import name_refusal
from proofs.hashes import keccak256
from proofs.mandate import Tier
from relay.core.errors import ChainError, PlanError, WrongChain
from relay.core.ports import ActText, EndpointAddress
from relay.core.readiness import ActToKeep
from relay.core.rehearsal import ActRehearsal, Outcome, RehearsalSettings
from tests.adapters.evm.conftest import CHAIN_IDS

GATEWAY = "0x" + "67" * 20
HOUR_S = 3_600


@dataclass
class Stage:
    """A chain with targets on it; the gateway is only an address."""

    anvil: Anvil
    contracts: dict[str, bytes]
    account: str

    async def deploy(self, name: str) -> str:
        return await self.anvil.deploy(self.account, self.contracts[name])

    async def tell(self, target: str, call: str, *words: bytes) -> None:
        name, _, types = call.rstrip(")").partition("(")
        data = selector(name, tuple(types.split(",")) if types else ())
        arguments = b"".join(word.rjust(32, b"\0") for word in words)
        tx = await self.anvil.send(self.account, target, data + arguments)
        await self.anvil.mine()
        assert (await self.anvil.receipt(tx)).succeeded, call

    async def switch(self, name: str = "Switch", *, granted: bool = True) -> str:
        target = await self.deploy(name)
        if granted:
            await self.tell(target, "grant(address)", bytes.fromhex(GATEWAY[2:]))
        return target

    def act(self, target: str, **changes: object) -> ActToKeep:
        text = ActText(
            name="halt",
            chain=self.anvil.chain,
            gateway=GATEWAY,
            target=target,
            call="pause()",
            state="paused()",
            value=True,
            undo="unpause()",
            gas=100_000,
        )
        return ActToKeep("halt", adapter().encode_act(replace(text, **changes)), Tier.FAST, 6 * HOUR_S)

    async def rehearse(self, act: ActToKeep, **changes: object) -> ActRehearsal:
        settings = RehearsalSettings(self.anvil.chain, self.anvil.url)
        async with adapter().rehearser(replace(settings, **changes)) as rehearser:
            return await rehearser.rehearse(act)


@pytest_asyncio.fixture
async def stage(contracts: dict[str, bytes]) -> AsyncIterator[Stage]:
    async with start_anvil(AnvilSettings(next(CHAIN_IDS))) as anvil:
        yield Stage(anvil, contracts, (await anvil.accounts())[0])


def cap(target: str, **changes: object) -> dict[str, object]:
    lowered = {"call": "setCap(uint256 10)", "state": "cap()", "value": 10, "compare": "<=", "undo": None}
    return {"target": target, **lowered, "restore": "setCap(uint256 _)", **changes}


@pytest.mark.asyncio
@pytest.mark.parametrize("forks", [True, False], ids=["fork", "endpoint itself"])
async def test_an_act_whose_role_is_granted_goes_through_with_its_undo(stage: Stage, forks: bool) -> None:
    found = await stage.rehearse(stage.act(await stage.switch()), forks=forks)

    assert (found.held, found.warnings) == (True, ())
    assert (found.call.outcome, found.check.outcome, found.undo.outcome) == (Outcome.DONE,) * 3
    assert 20_000 < found.call.gas_used < 30_000
    assert 2_000 < found.undo.gas_used < 15_000
    assert (found.caller, found.call.gas_cap) == (GATEWAY, 100_000)


@pytest.mark.asyncio
async def test_a_missing_role_is_named_with_who_can_grant_it(stage: Stage) -> None:
    target = await stage.switch(granted=False)

    found = await stage.rehearse(stage.act(target))

    assert (found.held, found.call.outcome, found.undo.outcome) == (False, Outcome.REVERTED, Outcome.UNTRIED)
    assert found.call.reason == f"AccessControlUnauthorizedAccount: {GATEWAY} lacks PAUSER_ROLE"
    assert found.call.remedy == f"ask the owner of {target} to grant PAUSER_ROLE to {GATEWAY}"


@pytest.mark.asyncio
async def test_before_any_role_is_granted_a_holder_can_stand_in_for_the_gateway(stage: Stage) -> None:
    target = await stage.switch(granted=False)
    await stage.tell(target, "grant(address)", bytes.fromhex(stage.account[2:]))

    found = await stage.rehearse(stage.act(target), caller=stage.account.lower())

    assert (found.held, found.caller) == (True, stage.account.lower())


@pytest.mark.asyncio
async def test_an_expired_power_to_pause_shows_as_a_call_that_reverts(stage: Stage) -> None:
    target = await stage.switch("WindowedSwitch")
    assert (await stage.rehearse(stage.act(target))).held is True

    await stage.anvil.rpc("evm_increaseTime", 2 * 24 * HOUR_S)
    await stage.anvil.mine()
    found = await stage.rehearse(stage.act(target))

    error = keccak256(b"PauseWindowOver(uint256)")[:4].hex()
    assert (found.held, found.call.reason) == (False, f"unknown error 0x{error}")
    assert target in found.call.remedy


@pytest.mark.asyncio
async def test_an_undo_that_reverts_fails_the_rehearsal(stage: Stage) -> None:
    found = await stage.rehearse(stage.act(await stage.switch("StuckSwitch")))

    assert (found.held, found.call.held, found.undo.outcome) == (False, True, Outcome.REVERTED)
    assert found.undo.reason == "Error: the lock is jammed"


@pytest.mark.asyncio
async def test_an_error_code_in_place_of_a_revert_is_found_out(stage: Stage) -> None:
    text = {"call": "setFactor(uint256 0)", "state": "factor()", "value": 0, "undo": None}

    found = await stage.rehearse(stage.act(await stage.deploy("Comptroller"), **text))

    assert (found.held, found.call.outcome, found.check.outcome) == (False, Outcome.DONE, Outcome.NO_EFFECT)
    assert "the state is 75 after the call, expected exactly 0; the call answered 1" in found.check.reason


@pytest.mark.asyncio
async def test_a_restore_gives_back_the_very_value(stage: Stage) -> None:
    target = await stage.deploy("Capped")
    await stage.tell(target, "hand(address)", bytes.fromhex(GATEWAY[2:]))

    found = await stage.rehearse(stage.act(**cap(target)))
    wrong = await stage.rehearse(stage.act(**cap(target, restore=None, undo="setCap(uint256 10)")))

    assert (found.held, found.undo.outcome) == (True, Outcome.DONE)
    assert (wrong.held, wrong.undo.outcome) == (False, Outcome.NO_EFFECT)
    assert wrong.undo.reason == "the state is still 10 after the undo"


@pytest.mark.asyncio
async def test_an_owner_of_the_old_kind_is_named_too(stage: Stage) -> None:
    target = await stage.deploy("Capped")

    found = await stage.rehearse(stage.act(**cap(target)))

    assert found.call.reason == f"Ownable: {GATEWAY} is not the owner"
    assert "as a module of the owner's Safe" in found.call.remedy


@pytest.mark.asyncio
async def test_an_act_in_force_is_undone_before_it_is_rehearsed(stage: Stage) -> None:
    target = await stage.switch()
    await stage.tell(target, "grant(address)", bytes.fromhex(stage.account[2:]))
    await stage.tell(target, "pause()")

    found = await stage.rehearse(stage.act(target))

    assert (found.held, found.call.outcome, found.undo.outcome) == (True, Outcome.DONE, Outcome.DONE)
    assert found.warnings == ("the act is in force: for the rehearsal it was undone first",)


@pytest.mark.asyncio
async def test_an_act_in_force_that_cannot_be_undone_is_no_proof(stage: Stage) -> None:
    target = await stage.switch("StuckSwitch")
    await stage.tell(target, "grant(address)", bytes.fromhex(stage.account[2:]))
    await stage.tell(target, "pause()")
    capped = await stage.deploy("Capped")
    await stage.tell(capped, "setCap(uint256)", (9).to_bytes(32, "big"))

    stuck = await stage.rehearse(stage.act(target))
    stricter = await stage.rehearse(stage.act(**cap(capped)))

    assert (stuck.held, stuck.call.outcome, stuck.undo.outcome) == (False, Outcome.IN_FORCE, Outcome.REVERTED)
    assert (stricter.held, stricter.call.outcome) == (None, Outcome.IN_FORCE)
    assert any("in force already" in warning for warning in stricter.warnings)


@pytest.mark.asyncio
async def test_a_protection_that_ends_by_itself_needs_no_undo(stage: Stage) -> None:
    target = await stage.deploy("TimedSwitch")

    found = await stage.rehearse(stage.act(target, call="pauseFor(uint256 3600)", undo="pauseFor(uint256 0)"))

    assert (found.held, found.undo.outcome) == (True, Outcome.NONE)
    assert any("had ended by itself" in warning for warning in found.warnings)


@pytest.mark.asyncio
async def test_what_a_stranger_can_bend_is_warned_of(stage: Stage) -> None:
    bendable = await stage.rehearse(stage.act(**cap(await stage.deploy("Bendable"), value=15)))
    opened = await stage.rehearse(stage.act(await stage.deploy("OpenSwitch")))

    words = "; ".join(bendable.warnings)
    assert "the state also depends on 0x" in words
    assert "the state follows the coins that its contract holds" in words
    assert (bendable.call.held, bendable.check.held) == (True, True), "a warning fails nothing"
    assert "a stranger's call changes the state as the act's does: anybody may bend it" in opened.warnings
    assert "a stranger's undo changes the state: anybody may end the protection" in opened.warnings


@pytest.mark.asyncio
async def test_gas_near_its_cap_is_warned_of_and_too_little_fails(stage: Stage) -> None:
    target = await stage.switch("Hungry")

    near = await stage.rehearse(stage.act(target, gas=130_000))
    short = await stage.rehearse(stage.act(target, gas=60_000))

    assert near.held is True
    assert any("of its gas cap of 130000" in warning for warning in near.warnings)
    assert (short.held, short.call.reason) == (False, "used up its gas cap of 60000")
    assert short.call.remedy == "raise `gas` of the act in the plan"


@pytest.mark.asyncio
async def test_a_getter_that_does_not_answer_fails_by_name(stage: Stage) -> None:
    found = await stage.rehearse(stage.act(await stage.switch(), state="isHalted()"))

    assert (found.held, found.call.outcome) == (False, Outcome.UNREADABLE)


@pytest.mark.asyncio
async def test_nothing_but_reads_reaches_the_forked_chain(stage: Stage) -> None:
    act = stage.act(await stage.switch())
    before = await stage.anvil.rpc("eth_blockNumber")

    await stage.rehearse(act)

    assert await stage.anvil.rpc("txpool_status") == {"pending": "0x0", "queued": "0x0"}
    assert await stage.anvil.rpc("eth_blockNumber") == before


@pytest.mark.asyncio
@pytest.mark.parametrize(
    "body",
    [
        {"method": "eth_sendRawTransaction", "params": ["0x00"]},
        [{"method": "eth_chainId"}, {"method": "eth_sendTransaction"}],
        {"method": "anvil_mine"},
        [],
        {"params": 1},
        5,
    ],
)
async def test_the_door_lets_no_other_method_through(stage: Stage, body: object) -> None:
    async with open_door(stage.anvil.url, 2_000) as door, aiohttp.ClientSession() as session:
        async with session.post(door.url, json=body) as response:
            said = await response.json()
        assert "only reads pass here" in said["error"]["message"]
        assert (door.passed, door.refused) == (0, 1)

    assert not any("send" in method or "sign" in method for method in READS)


@asynccontextmanager
async def simple_endpoint(url: str, *, has_overrides: bool) -> AsyncIterator[str]:
    """An endpoint that simulates no blocks, and passes state overrides over where it has none."""

    async def answer(request: web.Request) -> web.Response:
        calls = json.loads(await request.read())
        for call in calls if isinstance(calls, list) else [calls]:
            if call["method"] == "eth_simulateV1":
                call["method"] = "eth_unheardOf"
            if call["method"] == "eth_call" and not has_overrides:
                call["params"] = call["params"][:2]
        async with aiohttp.ClientSession() as session, session.post(url, json=calls) as response:
            return web.Response(body=await response.read(), content_type="application/json")

    application = web.Application()
    application.router.add_post("/", answer)
    runner = web.AppRunner(application, access_log=None, handle_signals=False)
    await runner.setup()
    try:
        await web.TCPSite(runner, "127.0.0.1", 0).start()
        yield f"http://127.0.0.1:{runner.addresses[0][1]}"
    finally:
        await runner.cleanup()


@pytest.mark.asyncio
async def test_an_endpoint_with_overrides_alone_tries_both_in_one_transaction(stage: Stage) -> None:
    good = stage.act(await stage.switch())
    stuck = stage.act(await stage.switch("StuckSwitch"))
    nameless = stage.act(await stage.switch(granted=False))

    async with simple_endpoint(stage.anvil.url, has_overrides=True) as url:
        found = [await stage.rehearse(act, url=url, forks=False) for act in (good, stuck, nameless)]

    assert [each.held for each in found] == [True, False, False]
    assert "act and undo were tried in one transaction: the endpoint simulates no blocks" in found[0].warnings
    assert found[1].undo.reason == "Error: the lock is jammed"
    assert "lacks PAUSER_ROLE" in found[2].call.reason


@pytest.mark.asyncio
async def test_an_endpoint_that_simulates_nothing_leaves_effect_and_undo_untold(stage: Stage) -> None:
    good = stage.act(await stage.switch())
    nameless = stage.act(await stage.switch(granted=False))

    async with simple_endpoint(stage.anvil.url, has_overrides=False) as url:
        found = [await stage.rehearse(act, url=url, forks=False) for act in (good, nameless)]
        survey = await adapter().survey(stage.anvil.chain, EndpointAddress("simple", url), 5_000)

    assert [each.held for each in found] == [None, False]
    assert (found[0].call.outcome, found[0].check.outcome, found[0].undo.outcome) == (
        Outcome.DONE,
        Outcome.UNTRIED,
        Outcome.UNTRIED,
    )
    assert "lacks PAUSER_ROLE" in found[1].call.reason
    assert survey.simulation == "calls"


@asynccontextmanager
async def another_chain() -> AsyncIterator[Anvil]:
    async with start_anvil(AnvilSettings(next(CHAIN_IDS))) as anvil:
        yield anvil


@pytest.mark.asyncio
async def test_a_fork_of_another_chain_is_refused(stage: Stage) -> None:
    target = await stage.switch()

    async with another_chain() as other:
        with pytest.raises(WrongChain, match=f"endpoint serves {other.chain}"):
            await stage.rehearse(stage.act(target), url=other.url)


@pytest.mark.asyncio
async def test_an_endpoint_that_is_away_and_a_caller_that_is_none_are_named(stage: Stage) -> None:
    act = stage.act(await stage.switch())

    with pytest.raises(ChainError, match="no answer"):
        await stage.rehearse(act, url="http://127.0.0.1:1")
    with pytest.raises(PlanError):
        await stage.rehearse(act, caller="0x12")


@pytest.mark.parametrize(
    ("answer", "reason"),
    [
        (b"", "reverted without data"),
        (selector("AccessManagedUnauthorized", ("address",)) + bytes(32), "has no role for this function"),
        (selector("AccessManagedUnauthorized", ("address",)) + bytes(3), "AccessManagedUnauthorized"),
        (selector("EnforcedPause", ()), "is paused already"),
        (b"\x01\x02\x03\x04", "unknown error 0x01020304"),
        (b"\x01", "unknown error 0x01"),
    ],
)
def test_every_revert_has_words(answer: bytes, reason: str) -> None:
    assert reason in name_refusal(answer, "", caller=GATEWAY, target="0x" + "22" * 20).reason
