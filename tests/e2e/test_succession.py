"""A member leaves, another takes its place: the keys rotate on both gateways, and nothing stops meanwhile."""

from __future__ import annotations

import json
import random
from collections.abc import AsyncIterator, Mapping

import pytest
import pytest_asyncio

from adapters.evm.demo.network import Member
from tests.e2e.scene import Scene, until
from tests.e2e.succession import DELAY_S, Succession, open_succession
from tests.e2e.vestry import Vestry, ended

pytestmark = [
    pytest.mark.slow,
    pytest.mark.timeout(1_200),
    pytest.mark.asyncio(loop_scope="module"),
]

CHAIN_IDS = (724_121, 724_122)
SLOT_S = 1_800
STEP_S = 300
"""Of chain time between two blocks while the notice runs."""


@pytest_asyncio.fixture(scope="module", loop_scope="module")
async def succession(tmp_path_factory: pytest.TempPathFactory) -> AsyncIterator[Succession]:
    seed = random.SystemRandom().getrandbits(32)
    print(f"scenario seed {seed}")
    home = tmp_path_factory.mktemp("succession")
    with pytest.MonkeyPatch.context() as patch:
        async with open_succession(home, seed=seed, chain_ids=CHAIN_IDS, patch=patch) as running:
            yield running


async def certified(scene: Scene, member: Member) -> dict[int, list[Mapping[str, object]]]:
    """The certified decisions of the rule that holds, as a member tells of them, by slot of their anchor."""
    found: dict[int, list[Mapping[str, object]]] = {}
    listing = await scene.network.ask(member, "/v1/incidents")
    assert isinstance(listing, dict)
    for short in listing["incidents"]:
        whole = await scene.network.ask(member, f"/v1/incidents/{short['id']}")
        assert isinstance(whole, dict)
        for decision in whole["incident"]["decisions"]:
            if decision["certified"] and decision["subject"] == "unbacked":
                found.setdefault(decision["anchor"]["timestamp"] // SLOT_S, []).append(decision)
    return found


async def all_certified(scene: Scene, member: Member, slots: range) -> list[list[Mapping[str, object]]]:
    """Wait until a member has every slot certified, and give its decisions, slot by slot.

    What it has not heard is brought by anti-entropy, some seconds later.
    """

    async def found() -> list[list[Mapping[str, object]]] | None:
        by_slot = await certified(scene, member)
        return list(by_slot.values()) if by_slot.keys() >= set(slots) else None

    return await until(f"{member.name} has the slots {slots} certified", found)


async def facts(scene: Scene, member: Member) -> dict[str, Mapping[str, object]]:
    answer = await scene.network.ask(member, "/readyz")
    assert isinstance(answer, dict)
    return {str(fact["name"]): fact for fact in answer["facts"]}


async def sent(scene: Scene) -> dict[tuple[str, str], object]:
    """How many transactions each member's account has sent on each chain, and each chain's height."""
    found: dict[tuple[str, str], object] = {}
    for driver in (scene.world.near, scene.world.far):
        found[driver.anvil.chain, "height"] = await driver.number()
        for member in scene.network.members:
            account = "0x" + member.public.submitters["default"].hex()
            count = await driver.anvil.rpc("eth_getTransactionCount", account, "pending")
            found[driver.anvil.chain, member.name] = count
    return found


async def shown(vestry: Vestry, member: Member) -> dict[str, object]:
    """The group keys that a member has in force, each with its possession as that member has it."""
    (keys,) = await vestry.keys(member)
    groups = keys["groups"]
    assert isinstance(groups, list)
    return {group["key"]: group["possession"] for group in groups}


async def test_a_running_network_shares_its_keys_anew_without_a_transaction(succession: Succession) -> None:
    scene, vestry = succession.scene, succession.vestry
    members = [vestry.member(name) for name in ("alice", "bob", "carol", "dave")]
    before = await sent(scene)
    first = {member.name: await shown(vestry, member) for member in members}

    reshare = await vestry.spawn(members[0], "reshare", "--yes")
    name = await vestry.proposed(members[1])
    await vestry.join(name, *members[1:])
    code, said = await ended(reshare)
    assert code == 0, said
    await vestry.done(name)

    for member in members:
        (keys,) = await vestry.keys(member)
        assert (keys["generation"], keys["share"]) == (2, "held by this node")
        after = await shown(vestry, member)
        assert after.keys() == first[member.name].keys(), "the keys are as they were"
        for key, possession in first[member.name].items():
            assert possession in (None, after[key]), "what was proved of them is too"
    assert await sent(scene) == before


async def hold_ceremony(succession: Succession) -> None:
    """Make the keys of the next epoch, by the operators of those who are in it."""
    scene, vestry = succession.scene, succession.vestry
    alice, *others = (vestry.member(name) for name in ("alice", "bob", "carol", "erin"))
    document = alice.directory.committee / "epoch-0002.toml"
    window = ("--rotate-from", str(scene.now_s - 600), "--rotate-until", str(scene.now_s + 1_500))
    said = await vestry.call(alice, "propose", "--committee", document, *window, "--json")
    assert said.code == 0, said.out
    name = json.loads(said.out)["ceremony"]["id"]
    await vestry.join(name, alice, *others)
    await vestry.done(name)
    for member in vestry.network.members:
        share = {keys["key_epoch"]: keys["share"] for keys in await vestry.keys(member)}
        lacks = {"dave": 2, "erin": 1}.get(member.name)
        assert share == {
            epoch: "none on this node" if epoch == lacks else "held by this node" for epoch in (1, 2)
        }


async def told(scene: Scene, member: Member) -> bool:
    """Whether the verifiers of all gateways show the next key epoch, as a member sees them."""
    keys = [fact for name, fact in (await facts(scene, member)).items() if name.startswith("keys ")]
    return len(keys) == 2 and all("key epoch 2 from" in str(fact["reason"]) for fact in keys)


async def go_on(succession: Succession, last: int) -> None:
    """Mine through the notice and until the last slot; who has left is switched off when he has."""
    scene, dave = succession.scene, succession.vestry.member("dave")
    while scene.now_s // SLOT_S <= last:
        await scene.mine(after_s=STEP_S)
        await scene.read_by_all()
        if scene.now_s >= succession.activates_at and dave in scene.running():
            assert await scene.stop(dave) == 0


def check_slot(decisions: list[Mapping[str, object]], activates_at: int) -> None:
    """Decisions are those of the committee at their anchor: dave's before, erin's after."""
    for decision in decisions:
        anchor, verdicts = decision["anchor"], decision["verdicts"]
        assert isinstance(anchor, dict)
        assert isinstance(verdicts, dict)
        stranger = "dave" if anchor["timestamp"] >= activates_at else "erin"
        assert stranger not in verdicts, decision
        assert "alice" in verdicts


def is_new(decision: Mapping[str, object], succession: Succession) -> bool:
    """Whether a decision is one of the next committee, by its anchor."""
    anchor = decision["anchor"]
    assert isinstance(anchor, dict)
    return int(anchor["timestamp"]) >= succession.activates_at


def effects(decision: Mapping[str, object]) -> set[str]:
    """What its calls did at gateways."""
    acts = decision["acts"]
    assert isinstance(acts, list)
    return {act["effect"] for act in acts}


async def test_a_removal_rotates_the_keys_on_both_gateways_while_every_slot_is_certified(
    succession: Succession,
) -> None:
    scene, vestry = succession.scene, succession.vestry
    alice, erin = vestry.member("alice"), vestry.member("erin")
    # The rule begins to hold, and does for ever: every slot has to be certified from here on.
    await scene.mine(near=[scene.bridge.steal(step) for step in scene.thefts()[:2]])
    began = scene.now_s // SLOT_S
    await scene.read_by_all()

    async def is_certified(slot: int) -> bool:
        return slot in await certified(scene, alice)

    await scene.mine_until("the attack is certified", lambda: is_certified(began))
    await hold_ceremony(succession)
    await scene.mine_until("both verifiers are told of the next epoch", lambda: told(scene, alice), most=40)
    assert scene.now_s + DELAY_S <= succession.activates_at

    # Half of the record's time is over then: it is lengthened by a mandate of the next epoch.
    last = succession.activates_at // SLOT_S + 4
    await go_on(succession, last)
    await until("the last slot is certified", lambda: is_certified(last))

    async def is_lengthened() -> bool:
        found = [each for slot in (await certified(scene, erin)).values() for each in slot]
        return any(is_new(each, succession) and "extended" in effects(each) for each in found)

    await scene.mine_until("a gateway takes the new keys", is_lengthened, most=40)

    for member in (alice, erin):
        for decisions in await all_certified(scene, member, range(began, last + 1)):
            check_slot(decisions, succession.activates_at)

    async def is_erased() -> bool:
        return not list((alice.directory.keys / "threshold").glob("1-*.shares"))

    await until("the shares that no verifier takes any more are erased", is_erased)
    assert list((alice.directory.keys / "threshold").glob("2-*.shares"))
    both = [each for slot in (await certified(scene, alice)).values() for each in slot]
    for epoch in (True, False):
        signed = [
            each
            for each in both
            if is_new(each, succession) is epoch and "threshold_signed" in each["timeline_us"]
        ]  # type: ignore[operator] - JSON
        assert signed, "one signature by the group key, before and after"
    for name, fact in (await facts(scene, erin)).items():
        assert fact["ready"] or not name.startswith("keys "), fact
