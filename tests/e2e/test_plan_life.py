"""A plan's whole life on a real chain: protect, renew, extend, adopt, release in stages; one verdict for all.

Four relay processes read one chain. dave comes only after the theft, bob is restarted in the middle of it,
and one operator lies to everybody who reads from it.
"""

from __future__ import annotations

import asyncio
import json
import shutil
from collections import defaultdict
from collections.abc import AsyncIterator, Callable, Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import pytest
import pytest_asyncio

from adapters.evm.demo import setup
from adapters.evm.demo.practice_report import Entry, Kind
from adapters.evm.demo.traffic import encode_call
from adapters.evm.devchain import stop_process
from proofs.canonical import encode
from proofs.decision import decision_id
from proofs.hashes import sha256
from proofs.policy import committee_policy, format_policy
from relay.cli.settings import Answer
from relay.core.messages import Verdict
from tests.cli.calls import Said as Answered
from tests.cli.calls import tocsin
from tests.e2e.house import House, Said, open_house
from tests.e2e.scene import log_lines, until

pytestmark = [
    pytest.mark.slow,
    pytest.mark.asyncio(loop_scope="module"),
    pytest.mark.timeout(600),
]

CHAIN_ID = 724_311
LIAR = "north"
"""alice, carol and dave read from it, each with two honest ones beside."""
MINUTE_S = 60
LIMIT = 1_000_000_000
ANCHOR = "anchorLog(bytes32,bytes32,uint64,bytes32)"
MOST_ANCHOR_ROUNDS = 30
JUDGED = ("rule", "result", "values", "pins")
"""What of a trace is the same for all; how many endpoints agreed is each member's own."""


@dataclass(frozen=True, slots=True)
class Story:
    """What was seen while it happened."""

    house: House
    was_slow: bool
    was_paused: bool
    took_collateral: bool
    bundle: bytes


@pytest_asyncio.fixture(scope="module", loop_scope="module")
async def story(tmp_path_factory: pytest.TempPathFactory) -> AsyncIterator[Story]:
    """The theft, an hour of it, half of the money back, the guardian's word, and the reopening."""
    home: Path = tmp_path_factory.mktemp("house")
    async with open_house(home, chain_id=CHAIN_ID, late=("dave",)) as house:
        await house.switch(LIAR, "lie-calls")
        await _rob(house)
        await _bring_in_dave_and_restart_bob(house)
        await _pass_until(house, "the record is renewed", lambda: house.events("vault", Kind.RENEWED))
        was = (await house.rate_limit() == LIMIT, await house.is_paused(), await house.takes_collateral())
        await house.vault.give_back(part=3)
        await house.adopt("market", "no-collateral")
        await _pass_until(house, "the record is extended", lambda: house.events("vault", Kind.EXTENDED))
        await house.vault.give_back()
        await _pass_until(
            house, "both acts have ended", lambda: len(house.events("vault", Kind.ENDED)) >= 2, after_s=12
        )
        yield Story(house, *was, await _bundle(house))


async def _rob(house: House) -> None:
    for _ in range(2):
        assert await house.stage.mine([house.vault.theft()]) == [True]
        # A development chain that mines while it is asked may answer for a block with the state of the next.
        await house.settle()

    async def has_landed() -> bool:
        await house.settle()
        return all(house.stages[plan].in_force for plan in ("vault", "market"))

    await until("the first rung lands, and the market's act", has_landed)


async def _bring_in_dave_and_restart_bob(house: House) -> None:
    """dave begins to read when the first acts stand; bob ends and begins again meanwhile."""
    members = {member.name: member for member in house.network.members}
    bob, dave = members["bob"], members["dave"]
    assert bob.process is not None
    await stop_process(bob.process)
    await house.network.start(bob)
    await house.network.start(dave)
    for member in (bob, dave):
        # Not more: readiness says that the fast budget is spent, which it is.
        await house.network.wait_together(member)


async def _pass_until(
    house: House, what: str, holds: Callable[[], object], *, after_s: int = MINUTE_S, most: int = 20
) -> None:
    for _ in range(most):
        if holds():
            return
        await house.pass_time(10, after_s=after_s)
    timeline = "\n".join(f"{entry.clock} {entry.text}" for entry in house.stage.report.timeline)
    raise AssertionError(f"in vain: {what}\n{timeline}")


def _first_decision(house: House) -> str:
    first = min(
        (said.attestation.decision for said in house.said("drain")),
        key=lambda decision: (decision.anchor.number, decision.tier, decision.rung),
    )
    return decision_id(house.network.committee.network, first).hex()


async def _bundle(house: House) -> bytes:
    """Give the bundle of the first decision, which is public once its mandate is over."""
    carol = next(member for member in house.network.members if member.name == "carol")
    name = _first_decision(house)

    async def published() -> bytes | None:
        return await house.network.fetch(carol, f"/v1/decisions/{name}/bundle")

    return await until("carol gives the bundle", published)


def of(entries: list[Entry], act: str) -> list[Entry]:
    return [entry for entry in entries if entry.act == act]


async def test_the_first_rung_slows_and_the_linked_market_follows(story: Story) -> None:
    [slow] = of(story.house.events("vault", Kind.STARTED), "slow")
    [linked] = story.house.events("market", Kind.STARTED)

    assert slow.tier == "fast"
    assert story.was_slow
    assert linked.act == "no-collateral"
    assert not story.took_collateral


async def test_where_the_fast_budget_is_spent_the_full_copy_protects(story: Story) -> None:
    [stop] = of(story.house.events("vault", Kind.STARTED), "stop")

    assert stop.tier == "full", "the budget has one fast record, and the first rung took it"
    assert story.was_paused


async def test_protection_is_decided_in_every_slot_and_renews_the_record(story: Story) -> None:
    [slow] = of(story.house.events("vault", Kind.STARTED), "slow")
    renewed = story.house.events("vault", Kind.RENEWED)
    slots = sorted(story.house.stage.slots)

    assert slots == list(range(slots[0], slots[0] + len(slots))), "no slot was left out"
    assert len(slots) >= 3
    assert max(entry.until_s for entry in of(renewed, "slow")) > slow.until_s


async def test_a_record_is_extended_below_half_of_its_time_while_no_release_has_held(story: Story) -> None:
    extended = story.house.events("vault", Kind.EXTENDED)

    assert extended
    for entry in extended:
        before = [
            each
            for each in story.house.stage.report.timeline
            if each.act == entry.act and each.until_s and each.block < entry.block
        ]
        lasts_s = story.house.stage.plan.plan.acts[entry.act].lasts_s
        assert before[-1].until_s - entry.at_s < lasts_s / 2
        assert entry.until_s > before[-1].until_s


async def test_what_the_guardian_adopted_stays_and_is_left_alone(story: Story) -> None:
    [ended] = story.house.events("market", Kind.ENDED)

    assert ended.text == "no-collateral adopted by the guardian"
    assert not await story.house.takes_collateral()
    assert story.house.stages["market"].in_force == {}


async def test_it_reopens_in_the_order_of_its_stages(story: Story) -> None:
    ended = story.house.events("vault", Kind.ENDED)

    assert [entry.act for entry in ended] == ["stop", "slow"]
    assert all(entry.text.endswith("released by the members, undone") for entry in ended)
    rearm_s = story.house.stage.plan.plan.clock.rearm_s
    assert ended[0].at_s // rearm_s < ended[1].at_s // rearm_s, "a slot of their own each"
    assert not await story.house.is_paused()
    assert await story.house.rate_limit() > LIMIT
    assert await story.house.stage.mine([story.house.vault.withdrawal()]) == [True]


async def test_a_plan_in_shadow_tells_what_it_would_have_done_and_sends_nothing(story: Story) -> None:
    members = story.house.stage.running()

    told = [line for line in log_lines(members[0]) if line["event"] == "shadow decision"]

    assert {line["plan"] for line in told} == {"watcher"}
    assert {line["subject"] for line in told} == {"drain"}
    assert story.house.stages["watcher"].report.timeline == []
    watcher = story.house.stages["watcher"].plan.plan.hash
    assert not [said for said in story.house.said("drain") if said.attestation.decision.plan_hash == watcher]


def judged(said: Said) -> bytes:
    """The bytes of a trace that must be the same for all."""
    return encode({name: said.attestation.trace[name] for name in JUDGED})


async def test_all_members_judge_one_chain_by_the_same_bytes(story: Story) -> None:
    by_decision: dict[bytes, dict[str, Said]] = defaultdict(dict)
    for said in story.house.said("drain"):
        name = decision_id(story.house.network.committee.network, said.attestation.decision)
        if said.attestation.verdict is not Verdict.ABSTAIN:
            by_decision[name][said.member] = said

    complete = {name: heard for name, heard in by_decision.items() if len(heard) == 4}

    assert complete, "bob after his restart, dave who came late, and all who read from the liar"
    for heard in complete.values():
        assert len({judged(said) for said in heard.values()}) == 1
        assert {said.attestation.verdict for said in heard.values()} == {Verdict.ATTEST}
        assert len({said.attestation.digest for said in heard.values()}) == 1


async def test_the_liar_is_noticed_by_those_who_read_from_it(story: Story) -> None:
    alice = story.house.network.members[0]

    named = {line["operators"] for line in log_lines(alice) if line["event"] == "endpoints disagree"}

    assert named == {LIAR}


async def test_the_bundle_replays_to_the_same_bytes(story: Story, tmp_path: Path) -> None:
    bundle = tmp_path / "drain.bundle"
    bundle.write_bytes(story.bundle)
    plan = tmp_path / "vault.plan.toml"
    alice = story.house.network.members[0]
    plan.write_text((alice.directory.plans / "vault" / "1.plan.toml").read_text())

    said = tocsin("audit", "replay", bundle, "--plan", plan, "--json")

    assert said.code == Answer.YES, said.out + said.err
    told = said.document["attestations"]
    assert isinstance(told, list)
    assert told
    assert all(each["same"] for each in told)
    assert {(each["op"], each["tier"]) for each in told} >= {("protect", "fast")}


async def test_another_plan_than_the_bundles_is_refused(story: Story, tmp_path: Path) -> None:
    bundle = tmp_path / "drain.bundle"
    bundle.write_bytes(story.bundle)
    plan = tmp_path / "other.plan.toml"
    alice = story.house.network.members[0]
    text = (alice.directory.plans / "vault" / "1.plan.toml").read_text()
    plan.write_text(text.replace("least = 900_000", "least = 900_001"))

    said = tocsin("audit", "replay", bundle, "--plan", plan, "--json")

    assert said.code == Answer.NO
    assert said.document["check"] == "plan-file"


async def test_a_members_whole_log_replays_to_the_same_bytes(story: Story, tmp_path: Path) -> None:
    bob = next(member for member in story.house.network.members if member.name == "bob")
    log = shutil.copytree(bob.directory.log, tmp_path / "log")
    plans = sorted(bob.directory.plans.glob("*/1.plan.toml"))  # the one in shadow mode is logged too
    given = [word for plan in plans for word in ("--plan", plan)]

    said = tocsin("audit", "replay", log, *given, "--json")

    assert said.code == Answer.YES, said.err
    told = said.document["attestations"]
    assert isinstance(told, list)
    assert all(each["same"] for each in told)
    assert {each["op"] for each in told} >= {"protect", "extend"}, "the rest is not published yet"
    assert "link:vault" in {each["subject"] for each in told}

    policy, committee = tmp_path / "policy.txt", story.house.network.committee
    policy.write_bytes(format_policy(committee_policy([committee])))
    assert tocsin("audit", "mirror", log, tmp_path / "mirror", "--policy", policy).code == Answer.YES
    of_mirror = tocsin("audit", "replay", tmp_path / "mirror", *given, "--policy", policy, "--json")
    assert (of_mirror.code, of_mirror.document["attestations"]) == (Answer.YES, told)

    for entries in filter(Path.is_file, (log / "tile" / "entries").rglob("*")):
        altered = bytearray(entries.read_bytes())
        altered[-1] ^= 1
        entries.write_bytes(altered)
    assert tocsin("audit", "replay", log, *given).code == Answer.NO


async def test_what_has_closed_is_anchored_and_an_auditor_with_an_endpoint_finds_that_the_logs_agree(
    story: Story, tmp_path: Path
) -> None:
    house, incident = story.house, _first_decision(story.house)
    committee, anvil = house.network.committee, house.vault.driver.anvil
    policy = tmp_path / "policy.txt"
    policy.write_bytes(format_policy(committee_policy([committee])))
    urls = [member.url for member in house.network.members]
    endpoint = ("--rpc", f"{anvil.chain}={anvil.url}")

    async def told() -> tuple[Answered, Mapping[str, Any]]:
        words = ("incident", incident[:16], *urls, "--policy", policy, *endpoint, "--json")
        said = await asyncio.to_thread(tocsin, "audit", *words)
        return said, json.loads(said.out)

    anchors: list[Mapping[str, Any]] = []
    for _ in range(MOST_ANCHOR_ROUNDS):
        anchors = (await told())[1]["story"]["anchors"]
        if len(anchors) > committee.f:
            break
        await house.pass_time(10, after_s=MINUTE_S)

    assert len({each["log"] for each in anchors}) == committee.f + 1, "one of them is honest"
    assert all(each["is_consistent"] is True for each in anchors), anchors

    # Anybody may call it: what a stranger says of a member's log convicts nobody.
    origin = sha256(f"{committee.name}/{anchors[0]['log']}".encode())
    lie = encode_call(ANCHOR, bytes.fromhex(incident), origin, 1, bytes(32))
    await setup.act(house.vault.driver, house.vault.owner, house.stage.gateway, lie)
    said, document = await told()

    assert said.code == Answer.UNKNOWN
    [finding] = [each for each in document["findings"] if each["name"] == "anchor"]
    assert finding["answer"] == "unknown"
    assert [each["is_consistent"] for each in document["story"]["anchors"]].count(False) == 1
