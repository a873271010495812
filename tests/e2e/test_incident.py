"""One incident on real parts, with a member killed in the middle of it and an RPC operator that lies."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from pathlib import Path

import pytest

from adapters.evm.demo.network import Member
from proofs.decision import decision_id
from proofs.envelope import open_envelope
from proofs.hashes import sha256
from relay.cli.settings import Answer
from relay.core.messages import Attestation, Verdict
from relay.core.wire import read_message
from tests.cli.calls import Said, tocsin
from tests.e2e.scene import Scene, log_lines, logged, statements, until
from tests.e2e.story import LIAR, Story

pytestmark = [
    pytest.mark.asyncio(loop_scope="session"),
    pytest.mark.timeout(900),
]


@dataclass(frozen=True, slots=True)
class Evidence:
    """What an auditor got: a bundle, and the policy that he pinned."""

    bundle: Path
    policy: Path

    def verify(self) -> Said:
        """Ask the command line."""
        pinned = sha256(self.policy.read_bytes()).hex()
        return tocsin(
            "audit", "verify", self.bundle, "--policy", self.policy, "--policy-hash", pinned, "--json"
        )


async def evidence(scene: Scene, member: Member, decision: str, folder: Path) -> Evidence:
    """Ask a member for a decision's bundle, as soon as its log has published what belongs in it."""

    async def bundle() -> bytes | None:
        return await scene.network.fetch(member, f"/v1/decisions/{decision}/bundle")

    found = Evidence(folder / "incident.bundle", folder / "policy.txt")
    found.bundle.write_bytes(await until(f"{member.name} gives the bundle", bundle))
    found.policy.write_text(scene.network.policy())
    return found


async def bystander_of(scene: Scene) -> Member:
    """A member that paid for none of the protective calls."""
    acts = {(act.chain, act.tx) for seen in await scene.sightings(scene.member("alice")) for act in seen.acts}
    senders = {await scene.sender_of(*act) for act in acts}
    paid = {member.name: "0x" + member.public.submitters["default"].hex() for member in scene.network.members}
    return next(member for member in scene.network.members if paid[member.name] not in senders)


async def test_both_chains_are_contained(scene: Scene, story: Story) -> None:
    assert await scene.is_halted()
    assert not await scene.takes_collateral()
    assert (story.out, story.stopped, story.borrowed) == (2, 4, False)


async def test_every_member_knows_the_same_acts(scene: Scene, story: Story) -> None:
    async def acts() -> set[frozenset[tuple[str, str, str, int]]]:
        views = [await scene.sightings(member) for member in scene.network.members]
        return {
            frozenset((act.chain, act.act, act.tx, act.block) for seen in view for act in seen.acts)
            for view in views
        }

    async def is_one() -> bool:
        return len(await acts()) == 1

    await until("all members tell of the same acts", is_one)
    [told] = await acts()
    assert {(chain, act) for chain, act, _, _ in told} == {
        (scene.near, "halt-replica"),
        (scene.far, "no-new-collateral"),
    }


async def test_a_member_killed_mid_incident_gets_the_same_envelopes_byte_for_byte(
    scene: Scene, story: Story
) -> None:
    others = [member for member in scene.network.members if member is not story.killed]
    said: dict[bytes, bytes] = {}
    for member in others:
        said |= logged(member)

    async def has_all() -> bool:
        return said.keys() <= logged(story.killed).keys()

    await until("the killed member's log holds what the others' do", has_all)
    after = logged(story.killed)
    assert all(after[digest] == raw for digest, raw in said.items())
    assert all(after[digest] == raw for digest, raw in story.logged_before.items()), "nothing is lost"


async def test_no_guard_ever_contradicts_itself(scene: Scene, story: Story) -> None:
    assert story.held_before, "it had signed before it was killed"
    after = statements(story.killed)
    assert {key: after.get(key) for key in story.held_before} == dict(story.held_before)

    digests: dict[tuple[bytes, bytes, int], set[bytes | None]] = {}
    for member in scene.network.members:
        for raw in logged(member).values():
            envelope = open_envelope(raw)
            message = read_message(envelope)
            if isinstance(message, Attestation) and message.verdict is Verdict.ATTEST:
                key = (envelope.author, decision_id(envelope.network, message.decision))
                digests.setdefault((*key, message.decision.key_epoch), set()).add(message.digest)
    assert digests
    assert all(len(signed) == 1 for signed in digests.values())


async def test_the_bundle_of_a_member_that_submitted_nothing_verifies_offline(
    scene: Scene, story: Story, tmp_path: Path
) -> None:
    bystander = await bystander_of(scene)
    files = await evidence(scene, bystander, story.decision, tmp_path)

    said = files.verify()

    assert said.code == Answer.YES, said.out + said.err
    assert said.document["verified"] is True
    assert said.document["policy_pinned"] is True
    assert story.decision in said.out
    outcomes = [
        (act["chain"], act["name"], outcome["effect"], outcome["receipt"] is not None)
        for decision in said.document["decisions"]
        for act in decision["acts"]
        for outcome in act["outcomes"]
    ]
    assert {(chain, name) for chain, name, _, is_shown in outcomes if is_shown} == {
        (scene.near, "halt-replica"),
        (scene.far, "no-new-collateral"),
    }
    assert all(is_shown for *_, is_shown in outcomes), outcomes


async def test_one_flipped_byte_anywhere_fails_with_a_named_check(
    scene: Scene, story: Story, tmp_path: Path
) -> None:
    files = await evidence(scene, scene.member("bob"), story.decision, tmp_path)
    whole = files.bundle.read_bytes()
    untouched = unwitnessed(files.verify().document)

    for position in range(0, len(whole), len(whole) // 7):
        altered = bytearray(whole)
        altered[position] ^= 0x01
        files.bundle.write_bytes(altered)
        said = files.verify()

        if said.code == Answer.YES:
            # One more cosignature than it takes, now a line of a key that nobody knows: it is passed over.
            assert unwitnessed(said.document) == untouched, f"byte {position}"
            continue
        assert said.code == Answer.NO, f"byte {position}: {said.out}{said.err}"
        assert said.document["check"], f"byte {position}"


def unwitnessed(verdict: object) -> object:
    """Give a verdict without who has witnessed the log, and when."""
    if isinstance(verdict, Mapping):
        return {name: unwitnessed(value) for name, value in verdict.items() if "witness" not in name}
    return [unwitnessed(each) for each in verdict] if isinstance(verdict, list) else verdict


async def test_an_rpc_operator_that_lies_is_noticed_and_changes_nothing(scene: Scene, story: Story) -> None:
    for name in ("alice", "carol"):
        member = scene.member(name)

        async def is_counted(member: Member = member) -> bool:
            return await scene.count(member, "notices_total", notice="endpoints disagree") > 0

        await until(f"{name} counts a disagreement", is_counted)
        named = {line["operators"] for line in log_lines(member) if line["event"] == "endpoints disagree"}
        assert named == {LIAR}
