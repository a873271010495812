"""Seven members, two of which lie: the others certify with one signature, and go on (threshold SPEC 4)."""

from __future__ import annotations

import random
from collections.abc import AsyncIterator, Sequence
from dataclasses import dataclass
from pathlib import Path
from string import Template

import pytest
import pytest_asyncio

from adapters.evm.demo import world as worlds
from adapters.evm.demo.network import Member
from adapters.evm.demo.watch import Sighting
from adapters.evm.encode import sent_certificate
from proofs.mandate import CERTIFICATE_FROST
from relay.core.effects import PageKind
from tests.e2e.scene import FINAL_BLOCKS, Scene, log_lines, open_scene, statements, until
from tests.e2e.vestry import Vestry

pytestmark = [
    pytest.mark.slow,
    pytest.mark.timeout(900),
    pytest.mark.asyncio(loop_scope="module"),
]

CHAIN_IDS = (724_131, 724_132)
HONEST = ("alice", "bob", "carol", "dave", "erin")
LIARS = {"mallory": "rush", "trudy": "mute"}
"""What their processes do, of `tests.e2e.turned`."""
SLOT_S = 1_800
SLOTS = 4
"""So many at most until the liars coordinate no mandate with the member that is killed: 1 of 35 is so."""
NAMED_S = 30.0
PATIENCE_MS = 60_000
"""The list is not to go out because the machine is busy."""


class Patient(Template):
    """A plan whose calls wait for the signature."""

    def __init__(self, template: str) -> None:
        super().__init__(template.replace("[clock]", f"[clock]\nfrost_patience_ms = {PATIENCE_MS}"))


@dataclass(frozen=True, slots=True)
class Aftermath:
    """`named` are those that honest members know for bad shares while one is away; `signed` the decisions
    of the slot after its return that have a full quorum's signature at all of them.
    """

    named: frozenset[str]
    signed: frozenset[str]


@pytest_asyncio.fixture(scope="module", loop_scope="module")
async def scene(tmp_path_factory: pytest.TempPathFactory) -> AsyncIterator[Scene]:
    """Seven members with group keys on two chains, two of them turned."""
    seed = random.SystemRandom().getrandbits(32)
    print(f"scenario seed {seed}")
    home: Path = tmp_path_factory.mktemp("liars")
    with pytest.MonkeyPatch.context() as patch:
        patch.setattr(worlds, "Template", Patient)
        names = (*HONEST, *LIARS)
        async with open_scene(home, seed=seed, chain_ids=CHAIN_IDS, names=names, has_keys=True) as running:
            vestry = Vestry(running.network)
            for name, lie in LIARS.items():
                await vestry.turn(running.member(name), f"from tests.e2e.turned import {lie}\n{lie}()")
            for member in running.network.members:
                await running.wait_ready(member)
            await running.read_by_all()
            yield running


@pytest_asyncio.fixture(scope="module", loop_scope="module")
async def contained(scene: Scene) -> Sequence[Sighting]:
    """What alice tells once both chains are protected."""
    thefts = [scene.bridge.steal(step) for step in scene.thefts()]
    await scene.mine(near=thefts[:2])

    async def acts_on_both_chains() -> Sequence[Sighting]:
        seen = await scene.sightings(scene.member("alice"))
        chains = {act.chain for each in seen for act in each.acts}
        return seen if chains == {scene.near, scene.far} else ()

    return await scene.mine_until("acts on both chains", acts_on_both_chains)


@pytest_asyncio.fixture(scope="module", loop_scope="module")
async def aftermath(scene: Scene, contained: Sequence[Sighting]) -> Aftermath:
    """The next slot: erin is killed once she has attested, and comes back when the liar is known.

    Without her nobody signs in full but with a liar: one of five that are asked gives a bad share, or none.
    """
    alice, erin = scene.member("alice"), scene.member("erin")
    known = {seen.id for seen in await scene.sightings(alice)}
    await scene.mine(after_s=SLOT_S)

    async def erin_attested() -> bool:
        seen = await scene.sightings(alice)
        return any(each.id not in known and each.verdicts.get("erin") == "attest" for each in seen)

    await until("alice hears that erin attests", erin_attested)
    await scene.kill(erin)
    await to_finality(scene)
    for _ in range(SLOTS):
        if await knows_the_liar(scene):
            break
        await scene.mine(after_s=SLOT_S)
        await to_finality(scene)
    found = frozenset(named(scene))
    await scene.start(erin)
    since = {seen.id for seen in await scene.sightings(alice)}
    await scene.mine(after_s=SLOT_S)
    await to_finality(scene)

    async def signed_by_all() -> frozenset[str]:
        views = [full_signatures(await scene.sightings(member)) for member in honest(scene)]
        return frozenset[str].intersection(*views) - since

    return Aftermath(found, await until("all honest members have a full signature", signed_by_all))


async def to_finality(scene: Scene) -> None:
    for _ in range(FINAL_BLOCKS):
        await scene.mine()
    await scene.read_by_all([member for member in scene.running() if member.name in HONEST])


def honest(scene: Scene) -> list[Member]:
    return [scene.member(name) for name in HONEST]


def full_signatures(seen: Sequence[Sighting]) -> frozenset[str]:
    return frozenset(each.id for each in seen if each.tier == "full" and each.threshold_signed_us)


def named(scene: Scene) -> set[str]:
    """Whom honest members name for bad shares."""
    names = {member.public.identity.hex()[:16]: member.name for member in scene.network.members}
    lines = [line for member in honest(scene) for line in log_lines(member)]
    return {names[str(line["member"])] for line in lines if line["event"] == "bad signature share"}


async def knows_the_liar(scene: Scene) -> bool:
    async def is_named() -> bool:
        return "mallory" in named(scene)

    try:
        return await until("mallory is named", is_named, within_s=NAMED_S)
    except AssertionError:
        return False


async def certificate_kind(scene: Scene, chain: str, tx: str) -> int:
    driver = scene.world.near if chain == scene.near else scene.world.far
    sent = await driver.anvil.rpc("eth_getTransactionByHash", f"0x{tx}")
    assert isinstance(sent, dict)
    certificate = sent_certificate(bytes.fromhex(sent["input"].removeprefix("0x")))
    assert certificate is not None
    return certificate[0]


async def test_with_two_liars_of_seven_both_chains_are_contained_by_one_signature_each(
    scene: Scene, contained: Sequence[Sighting]
) -> None:
    acts = {(act.chain, act.tx) for seen in contained for act in seen.acts}

    assert {chain for chain, _ in acts} == {scene.near, scene.far}
    assert {await certificate_kind(scene, *act) for act in acts} == {CERTIFICATE_FROST}
    assert await scene.is_halted()
    assert not await scene.takes_collateral()


async def test_every_honest_member_has_the_list_and_the_signature(
    scene: Scene, contained: Sequence[Sighting]
) -> None:
    acted = {seen.id for seen in contained if seen.acts}

    for member in honest(scene):

        async def has_both(member: Member = member) -> bool:
            seen = {each.id: each for each in await scene.sightings(member)}
            return all(
                each in seen and seen[each].certified and seen[each].threshold_signed_us > 0 for each in acted
            )

        await until(f"{member.name} has both certificates", has_both)


async def test_who_gives_bad_shares_is_named_and_nobody_else(scene: Scene, aftermath: Aftermath) -> None:
    assert aftermath.named == {"mallory"}
    assert named(scene) == {"mallory"}


async def test_a_signer_that_is_killed_in_the_middle_comes_back_and_all_go_on_signing(
    scene: Scene, aftermath: Aftermath
) -> None:
    verdicts = [seen.verdicts for seen in await scene.sightings(scene.member("alice"))]

    assert aftermath.signed
    assert {member.name for member in scene.running()} == {*HONEST, *LIARS}
    assert any(each.get("erin") == "attest" for each in verdicts)


async def test_what_liars_say_is_dropped_by_everybody_and_no_honest_member_signs_two_mandates(
    scene: Scene, aftermath: Aftermath
) -> None:
    mallory = scene.member("mallory").public.identity.hex()[:16]
    for member in honest(scene):
        lines = [line for line in log_lines(member) if line.get("signer") == mallory]
        dropped = {str(line["reason"]) for line in lines}
        assert "bad mandate signature" in dropped, "of a mandate"
        assert any(line["event"] == "session message dropped" for line in lines), "of a session"
        assert not [line for line in log_lines(member) if line["event"] == PageKind.FORK_EVIDENCE.value]

    held: dict[tuple[bytes, int], set[bytes]] = {}
    for member in honest(scene):
        for decision, digest in statements(member).items():
            held.setdefault(decision, set()).add(digest)
    assert held
    assert all(len(digests) == 1 for digests in held.values())
