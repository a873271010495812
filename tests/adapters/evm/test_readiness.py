"""What must hold before a call can land, on a real gateway: each fact falls by itself, and comes back."""

from __future__ import annotations

from collections.abc import AsyncIterator
from dataclasses import replace

import pytest
import pytest_asyncio

from adapters.evm.encode import gateway_of
from adapters.evm.proxy import Mode
from relay.core.readiness import Fact, Standing
from relay.core.types import NetworkId, PlanHash
from tests.adapters.evm.field import HOURS_6, NETWORK, PLAN, Contracts, Field, open_field


@pytest_asyncio.fixture
async def field(contracts: Contracts) -> AsyncIterator[Field]:
    async with open_field(contracts) as opened:
        yield opened


NAMES = (
    "gateway acme",
    "plan acme",
    "budget acme",
    "registration acme/halt",
    "act acme/halt",
    "undo acme/halt",
)


@pytest.mark.asyncio
async def test_everything_that_a_call_needs_is_a_fact_of_its_own(field: Field) -> None:
    found = await field.look()

    assert tuple(found) == NAMES
    assert {fact.standing for fact in found.values()} == {Standing.HELD}, found


@pytest.mark.asyncio
async def test_a_paused_gateway_fails_and_holds_again(field: Field) -> None:
    await field.call(field.gateway, "pauseGateway()")
    failing = await field.failing()
    await field.call(field.gateway, "unpauseGateway()")

    assert failing == {"gateway acme": f"{field.gateway}: it is paused"}
    assert await field.failing() == {}


@pytest.mark.asyncio
async def test_a_gateway_of_others_or_of_another_key_epoch_is_named(field: Field) -> None:
    other = await field.failing(field.question(network=NetworkId(b"\x0d" * 32)))
    later = await field.failing(field.question(key_epoch=2))
    await field.call(field.gateway, "refuseEpochsFrom(uint32)", 1)
    refused = await field.failing()
    await field.call(field.gateway, "setVerifier(address)", "0x" + "00" * 20)
    trustless = await field.failing()

    assert "it serves the network 0x0a0a" in other["gateway acme"]
    assert f"its verifier {field.verifier} does not accept key epoch 2" in later["gateway acme"]
    assert "it refuses key epochs from 1 on, ours is 1" in refused["gateway acme"]
    assert "it trusts no verifier" in trustless["gateway acme"]


@pytest.mark.asyncio
async def test_a_plan_counts_as_current_and_as_next(field: Field) -> None:
    now = await field.driver.next_time()
    other = PlanHash(b"\x0e" * 32)
    await field.call(field.gateway, "setPlan(bytes32,bytes32,uint64)", other, PLAN, now + 3_600)
    as_next = await field.look()
    await field.call(field.gateway, "setPlan(bytes32,bytes32,uint64)", other, bytes(32), 0)
    gone = (await field.look())["plan acme"]

    assert as_next["plan acme"].standing is Standing.HELD
    assert gone.standing is Standing.FAILED
    assert f"to call setPlan with 0x{PLAN.hex()}" in gone.remedy


@pytest.mark.asyncio
async def test_an_act_that_is_off_another_or_for_less_time_is_told_apart(field: Field) -> None:
    longer = replace(field.act(), lasts_s=HOURS_6 + 1)
    other = field.act(gas=100_001)
    asked = {
        name: (await field.failing(field.question(acts=(act,))))["registration acme/halt"]
        for name, act in (("longer", longer), ("other", other))
    }
    await field.call(field.gateway, "revokeAct(bytes32)", field.act().encoded.act_id)
    off = await field.failing()

    assert asked["longer"] == f"the gateway permits {HOURS_6} s, the plan asks for {HOURS_6 + 1} s"
    assert asked["other"].startswith("the gateway has another act: 0x")
    assert off == {"registration acme/halt": "the act is not registered, or off"}


@pytest.mark.asyncio
async def test_a_role_that_is_granted_shows_in_the_next_look(field: Field, contracts: Contracts) -> None:
    target = await field.driver.deploy(field.owner, contracts["Switch"])
    question = field.question(acts=(field.act(target=target),))

    act = (await field.look(question))["act acme/halt"]
    await field.call(target, "grant(address)", field.gateway)

    assert act.standing is Standing.FAILED
    assert act.remedy == f"ask the owner of {target} to grant PAUSER_ROLE to {field.gateway}"
    assert (await field.look(question))["act acme/halt"].standing is Standing.HELD


@pytest.mark.asyncio
async def test_a_pause_window_that_ends_is_a_fact_that_falls(field: Field, contracts: Contracts) -> None:
    target = await field.driver.deploy(field.owner, contracts["WindowedSwitch"])
    await field.call(target, "grant(address)", field.gateway)
    question = field.question(acts=(field.act(target=target),))
    assert (await field.look(question))["act acme/halt"].standing is Standing.HELD

    await field.wait(2 * 86_400)

    assert (await field.look(question))["act acme/halt"].standing is Standing.FAILED


@pytest.mark.asyncio
async def test_an_undo_that_fails_is_told_of_the_undo(field: Field, contracts: Contracts) -> None:
    target = await field.driver.deploy(field.owner, contracts["StuckSwitch"])
    await field.call(target, "grant(address)", field.gateway)

    found = await field.look(field.question(acts=(field.act(target=target),)))

    assert found["act acme/halt"].standing is Standing.HELD
    assert (found["undo acme/halt"].standing, found["undo acme/halt"].reason) == (
        Standing.FAILED,
        "Error: the lock is jammed",
    )


@pytest.mark.asyncio
async def test_what_is_protected_already_is_fine(field: Field) -> None:
    await field.call(field.target, "grant(address)", field.owner)
    await field.call(field.target, "pause()")

    found = await field.look()

    assert found["act acme/halt"] == Fact(
        "act acme/halt", Standing.HELD, "protected already by somebody else: the state is 1"
    )


@pytest.mark.asyncio
async def test_an_act_in_force_is_fine_while_its_undo_works(field: Field, contracts: Contracts) -> None:
    code = contracts["CredulousVerifier"] + NETWORK
    await field.call(field.gateway, "setVerifier(address)", await field.driver.deploy(field.owner, code))
    await field.execute()
    in_force = await field.look()
    await field.wait(HOURS_6 + 600)
    run_out = await field.look()
    await field.call(field.target, "grant(address)", field.owner)
    await field.call(field.target, "unpause()")
    taken_over = await field.look()

    for found in (in_force, run_out, taken_over):
        assert {fact.standing for fact in found.values()} == {Standing.HELD}, found
        assert found["act acme/halt"].reason.startswith("in force until ")
    assert in_force["undo acme/halt"].reason == ""
    assert "it will be closed without undo" in taken_over["undo acme/halt"].reason
    assert "2 fast records" in in_force["budget acme"].reason


@pytest.mark.asyncio
async def test_a_spent_budget_is_a_fact_that_falls(field: Field) -> None:
    await field.call(field.gateway, "setBudget((uint64,uint64,uint32))", (86_400, 21 * 86_400, 0))

    failing = await field.failing()

    assert failing == {"budget acme": "left in this window: 0 fast records, 86400 s, 1814400 s in all"}


@pytest.mark.asyncio
async def test_an_address_without_gateway_fails_every_fact(field: Field) -> None:
    found = await field.look(field.question(gateway=gateway_of(field.target)))

    assert {fact.standing for fact in found.values()} == {Standing.FAILED}
    assert {fact.reason for fact in found.values()} == {f"no gateway answers at {field.target}"}


@pytest.mark.asyncio
@pytest.mark.parametrize("mode", [Mode.LIE_CALLS, Mode.REFUSE, Mode.DROP, Mode.WRONG_CHAIN])
async def test_one_endpoint_alone_can_neither_raise_nor_lower_a_fact(field: Field, mode: Mode) -> None:
    field.proxies[0].mode = mode
    alone = await field.look()
    field.proxies[1].mode = mode
    two = await field.look()

    assert {fact.standing for fact in alone.values()} == {Standing.HELD}
    if mode is not Mode.LIE_CALLS:
        assert {fact.standing for fact in two.values()} == {Standing.UNTOLD}
        assert "1 of 2 needed endpoints answered" in two["gateway acme"].reason


@pytest.mark.asyncio
async def test_a_look_takes_a_bounded_number_of_bodies(field: Field) -> None:
    acts = tuple(replace(field.act(), name=f"halt-{number}") for number in range(3))
    before = [proxy.requests for proxy in field.proxies]

    await field.look(field.question(acts=acts))

    # Two for the gateway, one for each act.
    assert [proxy.requests - count for proxy, count in zip(field.proxies, before, strict=True)] == [5, 5, 5]
