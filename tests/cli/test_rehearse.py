"""`tocsin plan rehearse` and the doctor's look at the last mile, from the command line to real chains."""

from __future__ import annotations

import asyncio
import itertools
import json
from collections.abc import AsyncIterator
from dataclasses import dataclass
from pathlib import Path

import pytest
import pytest_asyncio

from adapters.evm.demo.traffic import Call, Driver, encode_arguments, encode_call
from adapters.evm.devchain import AnvilSettings, artifact_code, start_anvil
from relay.cli.plan import read_plan
from relay.cli.rehearsal_record import FRESH_S, Record, read_record, words_of_record
from relay.cli.settings import Answer
from tests.cli.calls import Said, tocsin

CHAIN_IDS = itertools.count(931_001)
PLAN = """
format = "tocsin/plan/1"
protocol = "acme"
version = 1
mode = "armed"
reason = "Too much leaves"
contacts = ["mailto:security@acme.example"]
[clock]
reference = "{chain}"
[chains."{chain}"]
gateway = "{gateway}"
targets = ["{target}"]
since = 0
[metrics.paused]
read = "call"
chain = "{chain}"
from = "{target}"
call = "paused() returns (bool)"
[rules.halted]
when = "paused == 7"
ladder = [["halt"]]
[acts.halt]
verb = "pause"
chain = "{chain}"
target = "{target}"
call = "pause()"
state = "paused()"
value = true
undo = "unpause()"
tier = "fast"
gas = 150_000
[release]
when = "paused == 0"
"""
GATEWAY = "0x" + "67" * 20


async def said(*arguments: object) -> Said:
    """A command, which has an event loop of its own."""
    return await asyncio.to_thread(tocsin, *arguments)


@dataclass
class Stage:
    """A bridge with roles, and the plan that is to pause it."""

    driver: Driver
    owner: str
    target: str
    plan: Path

    async def grant(self, account: str) -> None:
        found = await self.driver.anvil.rpc(
            "eth_call", {"to": self.target, "data": "0x" + encode_call("PAUSER_ROLE()").hex()}, "latest"
        )
        role = bytes.fromhex(str(found)[2:])
        call = Call(self.owner, self.target, encode_call("grantRole(bytes32,address)", role, account))
        [tx] = await self.driver.block(await self.driver.next_time(), [call])
        assert (await self.driver.succeeded([tx])) == [True]

    @property
    def fork(self) -> tuple[str, str]:
        return "--fork", f"{self.driver.anvil.chain}={self.driver.anvil.url}"


@pytest_asyncio.fixture
async def stage(tmp_path: Path) -> AsyncIterator[Stage]:
    async with start_anvil(AnvilSettings(next(CHAIN_IDS))) as anvil:
        driver = Driver(anvil)
        owner = (await anvil.accounts())[0]
        arguments = encode_arguments("(address,address,bytes32)", owner, owner, bytes(32))
        target = await driver.deploy(owner, artifact_code("DemoReplica") + arguments)
        plan = tmp_path / "acme.plan.toml"
        plan.write_text(PLAN.format(chain=anvil.chain, gateway=GATEWAY, target=target))
        yield Stage(driver, owner, target, plan)


@pytest.mark.asyncio
async def test_before_the_role_is_granted_it_is_named_and_after_it_all_holds(stage: Stage) -> None:
    before = await said("plan", "rehearse", stage.plan, *stage.fork)
    as_owner = await said("plan", "rehearse", stage.plan, *stage.fork, "--as", stage.owner, "--no-record")
    await stage.grant(GATEWAY)
    after = await said("plan", "rehearse", stage.plan, *stage.fork)

    assert before.code == Answer.NO
    assert "lacks PAUSER_ROLE" in before.out
    assert f"try: ask the owner of {stage.target} to grant PAUSER_ROLE to {GATEWAY}" in before.out
    assert as_owner.code == Answer.YES, "the owner of this bridge is a pauser"
    assert after.code == Answer.YES, after.out
    assert "halt" in after.out


@pytest.mark.asyncio
@pytest.mark.parametrize("options", [(), ("--no-anvil",)])
async def test_the_answer_for_programs_has_every_figure(stage: Stage, options: tuple[str, ...]) -> None:
    await stage.grant(GATEWAY)

    found = await said("plan", "rehearse", stage.plan, *stage.fork, *options, "--json")

    assert (found.code, found.document["schema"], found.document["held"]) == (
        Answer.YES,
        "tocsin/plan-rehearse/1",
        True,
    )
    (plan,) = json.loads(found.out)["plans"]
    (act,) = plan["acts"]
    assert (act["name"], act["call"]["outcome"], act["undo"]["outcome"]) == ("halt", "done", "done")
    assert 0 < act["call"]["gas_used"] < act["call"]["gas_cap"] == 150_000
    assert act["caller"] == GATEWAY


@pytest.mark.asyncio
async def test_a_record_beside_the_plan_says_what_was_found_and_when(stage: Stage) -> None:
    await said("plan", "rehearse", stage.plan, *stage.fork)
    plan = read_plan(stage.plan)
    record = read_record(stage.plan, plan.hash)

    assert record is not None
    assert (record.plan_hash, record.held, record.failed) == (plan.hash.hex(), False, ("halt",))
    assert words_of_record(record, record.at_s + 7_200) == "rehearsed 2 h ago, failed: halt"
    assert "older than 7 d, failed: halt" in words_of_record(record, record.at_s + FRESH_S + 1)
    assert words_of_record(Record("", 0, None, ()), 0) == "rehearsed 0 h ago, not told"
    assert words_of_record(None, 0) == "never rehearsed"
    assert "rehearsed 0 h ago, failed: halt" in (await said("plan", "check", stage.plan)).out


@pytest.mark.asyncio
async def test_a_record_of_another_version_counts_for_nothing(stage: Stage) -> None:
    await said("plan", "rehearse", stage.plan, *stage.fork)
    stage.plan.write_text(stage.plan.read_text().replace("version = 1", "version = 2"))

    assert read_record(stage.plan, read_plan(stage.plan).hash) is None


@pytest.mark.asyncio
async def test_an_endpoint_that_is_away_is_could_not_tell(stage: Stage) -> None:
    away = await said("plan", "rehearse", stage.plan, "--fork", "http://127.0.0.1:1", "--no-record", "--json")

    assert (away.code, away.document["held"]) == (Answer.UNKNOWN, None)
    (plan,) = json.loads(away.out)["plans"]
    assert "no answer" in plan["problems"][stage.driver.anvil.chain]
    assert not list(stage.plan.parent.glob("*.rehearsal.json"))


@pytest.mark.asyncio
async def test_what_is_given_wrongly_is_exit_code_2(stage: Stage) -> None:
    nowhere = await said("plan", "rehearse", stage.plan)
    no_url = await said("plan", "rehearse", stage.plan, "--fork", "secret-text")
    nobody = await said("plan", "rehearse", stage.plan, *stage.fork, "--as", "0x12")
    no_plans = await said("plan", "rehearse")

    assert {each.code for each in (nowhere, no_url, nobody, no_plans)} == {Answer.USAGE}
    assert f"give --fork {stage.driver.anvil.chain}=URL" in nowhere.err
    assert "secret-text" not in no_url.err
