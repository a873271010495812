"""A node that hands a verifier over: from the keys of the next epoch to the call, also after a restart."""

from __future__ import annotations

import random
from collections.abc import Iterable
from dataclasses import replace

import pytest

from proofs.canonical import Value
from proofs.fields import FieldError
from proofs.groupkeys import group_name
from proofs.hashes import sha256
from proofs.kinds import Digest, Gateway, Millis
from proofs.mandate import Tier, encode_frost_certificate, key_proof_digest
from relay.core.bodies import body_of, read_body
from relay.core.effects import Effect, LogEntry, Page, PageKind, SignRotation, SubmitRotation
from relay.core.events import (
    CommitteeLearned,
    Event,
    KeysInForce,
    Received,
    RotationEnded,
    RotationRefused,
    Signed,
    ThresholdSigned,
    Ticked,
    VerifierSeen,
    is_journalled,
)
from relay.core.history import event_from_bytes, event_to_bytes
from relay.core.messages import RotationSigned
from relay.core.node import Node
from relay.core.ports import Submission, SubmissionStatus
from relay.core.rotations import VerifierEpoch, VerifierState, struct_digest
from relay.core.submission import rank
from relay.threshold.bodies import ceremony_id
from relay.threshold.frost import sign_alone
from relay.threshold.groups import SECP256K1
from relay.threshold.messages import Proposal, RotationTerms
from tests.core.stage import BEGIN_S, Stage
from tests.core.test_handovers import form
from tests.sim.dealer import Dealt, deal
from tests.sim.keys import Keys, committee_after
from tests.sim.plans import HOME

NAMES = ("alice", "bob", "carol", "erin")
GATEWAY = Gateway(bytes(31) + b"g")
PATIENT_MS = 600_000


class Rotating:
    """Alice's node, in the committee before, with all that she hears until the rotation can be signed."""

    def __init__(self) -> None:
        self.stage = stage = Stage()
        self.after = committee_after(stage.committee, NAMES, activates_at=BEGIN_S + 9_000)
        self.node = Node(replace(stage.node.settings, rotation_form=form))
        stage.node = self.node
        self.journal: list[bytes] = []
        self.proposal = self._proposal()
        self.dealt = self._dealt()

    def feed(self, *events: Event) -> list[Effect]:
        """Feed what happens, and journal what goes to disk."""
        self.journal += [event_to_bytes(event) for event in events if is_journalled(event)]
        return [effect for event in events for effect in self.node.advance(event)]

    def release(self) -> list[Effect]:
        effects = self.feed(self.stage.started())
        for name in ("bob", "carol", "dave"):
            effects += self.feed(self.stage.recalled(name))
        return effects

    def prepare(self) -> None:
        """Everything but the verifier: the document, the ceremony's terms, the keys, their possession."""
        heard = Signed if self.stage.me == Keys("bob").identity else Received
        proposed, message = Keys("bob").say(self.proposal, self.stage.committee, self.stage.now_ms)
        self.feed(
            CommitteeLearned(self.after),
            heard(proposed, message, self.now()),
            KeysInForce(self.dealt.document, self.now()),
        )
        for tier in (Tier.FAST, Tier.FULL):
            self.feed(self._shown(tier))

    def seen(self) -> VerifierSeen:
        attesters = tuple(sorted(self.stage.committee.attesters()))
        epoch = VerifierEpoch(1, attesters, 2, 3, None, 0, (1 << 40) - 1)
        network = self.stage.committee.network
        state = VerifierState(HOME, Gateway(bytes(31) + b"v"), network, 60, 600, (epoch,))
        return VerifierSeen(GATEWAY, state, self.now())

    def signs(self, name: str, asked: SignRotation, *, own: bool = False) -> Event:
        signature = Keys(name).sign_mandate(struct_digest(asked.struct))
        said = RotationSigned(asked.rotation.chain, asked.rotation.verifier, asked.struct, signature)
        envelope, message = Keys(name).say(said, self.stage.committee, self.stage.now_ms)
        return (Signed if own else Received)(envelope, message, self.now())

    def later(self) -> Ticked:
        self.stage.now_ms += PATIENT_MS
        return Ticked(self.now())

    def now(self) -> Millis:
        return Millis(self.stage.now_ms)

    def _proposal(self) -> Proposal:
        members = tuple(member.identity for member in self.after.members)
        return Proposal(
            network=self.after.network,
            committee=sha256(self.after.raw),
            committee_epoch=2,
            key_epoch=2,
            generation=1,
            base=None,
            dealers=members,
            receivers=members,
            groups=("fast", "full"),
            rotation=RotationTerms(BEGIN_S, BEGIN_S + 5_000, revoke=False),
            deadline_ms=self.stage.now_ms + 60_000,
            salt=bytes(16),
        )

    def _dealt(self) -> Dealt:
        members = [member.identity for member in self.after.members]
        ceremony = ceremony_id(self.proposal, Keys("bob").identity)
        chance = random.Random(3)
        return deal(members, self.after.network, chance, key_epoch=2, committee_epoch=2, ceremony=ceremony)

    def _shown(self, tier: Tier) -> ThresholdSigned:
        """Give what the holders' session over the possession of a key ends in."""
        name, document = group_name(tier), self.dealt.document
        group = document.group(name)
        assert group is not None
        digest = key_proof_digest(document.network, 2, tier, group.key)
        certificate = encode_frost_certificate(
            sign_alone(SECP256K1, self.dealt.secrets[name], digest, b"seed")
        )
        return ThresholdSigned(digest, document.key_id(name), certificate, self.now())


def of(kind: type[SignRotation], effects: Iterable[Effect]) -> list[SignRotation]:
    return [effect for effect in effects if isinstance(effect, kind)]


def sent(effects: Iterable[Effect]) -> list[SubmitRotation]:
    return [effect for effect in effects if isinstance(effect, SubmitRotation)]


def is_first(rotating: Rotating, digest: Digest) -> bool:
    members = [member.identity for member in rotating.stage.committee.members]
    return rank(digest, HOME, members, rotating.stage.me) <= rotating.stage.committee.f


def test_a_member_signs_as_soon_as_it_may_and_has_seen_the_verifier() -> None:
    rotating = Rotating()
    early = rotating.feed(rotating.seen())
    rotating.prepare()
    assert of(SignRotation, early) == []

    (asked,) = of(SignRotation, [*rotating.release(), *rotating.feed(rotating.later())])

    assert asked.committee_epoch == 1
    assert asked.rotation.new_epoch == 2
    assert of(SignRotation, rotating.feed(rotating.later())) == []


def test_a_full_quorum_is_announced_in_its_turn_and_again_after_a_restart() -> None:
    rotating = Rotating()
    rotating.release()
    rotating.prepare()
    (asked,) = of(SignRotation, rotating.feed(rotating.seen()))

    logged = rotating.feed(rotating.signs("alice", asked, own=True))
    for name in ("bob", "carol"):
        logged += rotating.feed(rotating.signs(name, asked))
    effects = rotating.feed(rotating.later(), rotating.later())

    assert sum(isinstance(effect, LogEntry) for effect in logged) == 3
    calls = [*sent(logged), *sent(effects)]
    assert bool(calls) is is_first(rotating, struct_digest(asked.struct))

    again = Node(rotating.node.settings)
    for data in rotating.journal:
        again.advance(event_from_bytes(data))
    assert again.handovers.all() == rotating.node.handovers.all()
    (handover,) = again.handovers.all()
    assert len(again.handovers.attesters(handover)) == 3
    assert again.signing.possessions == rotating.node.signing.possessions


def test_the_first_in_the_order_sends_and_hears_what_became_of_it() -> None:
    for name in ("bob", "carol", "dave", "alice"):
        rotating = Rotating()
        rotating.stage.me = Keys(name).identity
        rotating.node = Node(replace(rotating.node.settings, me=rotating.stage.me))
        rotating.stage.node = rotating.node
        rotating.feed(rotating.stage.started())
        for other in ("alice", "bob", "carol", "dave"):
            if other != name:
                rotating.feed(rotating.stage.recalled(other))
        rotating.prepare()
        (asked,) = of(SignRotation, rotating.feed(rotating.seen()))
        effects: list[Effect] = []
        for other in ("alice", "bob", "carol", "dave"):
            effects += rotating.feed(rotating.signs(other, asked, own=other == name))
        calls = sent([*effects, *rotating.feed(rotating.later(), rotating.later())])
        if not is_first(rotating, struct_digest(asked.struct)):
            assert calls == []
            continue
        assert calls
        for call in calls:
            ended = RotationEnded(call.key, Submission(SubmissionStatus.UNFUNDED), rotating.now())
            names = [getattr(effect, "name", "") for effect in rotating.feed(ended)]
            assert names == ["rotation ended"]


def test_a_refusal_of_the_guard_wakes_somebody() -> None:
    rotating = Rotating()

    (page,) = rotating.feed(RotationRefused(HOME, 2, "conflicting digest"))

    assert isinstance(page, Page)
    assert page.kind is PageKind.CANNOT_SIGN
    assert "key epoch 2: conflicting digest" in page.text


@pytest.mark.parametrize(
    "changes",
    [
        {"rotation": bytes(351)},
        {"rotation": bytes(353)},
        {"signature": bytes(64)},
        {"verifier": bytes(20)},
        {"chain": ""},
        {"chain": "x" * 129},
        {"more": 1},
    ],
    ids=lambda changes: next(iter(changes)),
)
def test_a_rotation_s_body_is_of_one_form(changes: dict[str, Value]) -> None:
    said = RotationSigned(HOME, Gateway(bytes(32)), bytes(352), bytes(65))

    assert read_body("rotation", body_of(said)) == said
    with pytest.raises(FieldError):
        read_body("rotation", {**body_of(said), **changes})
