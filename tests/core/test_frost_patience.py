"""Which certificate goes out, and when: the group's in time, else the list (threshold SPEC 4.1)."""

from __future__ import annotations

import random
from dataclasses import dataclass

import pytest

from proofs.hashes import sha256
from proofs.kinds import Digest, Millis
from proofs.mandate import CERTIFICATE_ECDSA, CERTIFICATE_FROST, Tier, encode_frost_certificate
from relay.core.calls import Pending
from relay.core.effects import Effect, Page, Submit
from relay.core.events import KeysInForce, SubmissionEnded, ThresholdSigned, Ticked
from relay.core.history import event_from_bytes, event_to_bytes
from relay.core.node import is_journalled
from relay.core.ports import Execute, Submission, SubmissionStatus
from relay.core.submission import stagger_ms
from relay.core.types import BlockRef
from relay.threshold.frost import sign_alone
from relay.threshold.groups import SECP256K1
from tests.core.landings import certified, mine
from tests.core.stage import BLOCK_S, Stage
from tests.sim.dealer import Dealt, deal

PATIENCE_MS = 1_000
STAGGER_MS = stagger_ms(BLOCK_S * 1_000)
REFUSED = Submission(SubmissionStatus.REFUSED, reason="UnknownGroupKey")


@dataclass
class Scene:
    """A node with keys in force, and a drain in block 2 that nobody has attested."""

    stage: Stage
    dealt: Dealt
    anchor: BlockRef

    def certificate(self, *, tier: Tier = Tier.FAST, name: str = "fast") -> ThresholdSigned:
        """Give what sessions end in; `name` is the group that signs."""
        digest = self.stage.prepared(self.stage.decision(self.anchor, tier=tier)).digest
        return self.signed(digest, self.dealt.secrets[name], self.dealt.document.key_id(name))

    def signed(self, digest: bytes, secret: int, key_id: Digest) -> ThresholdSigned:
        signature = sign_alone(SECP256K1, secret, digest, bytes(32))
        certificate = encode_frost_certificate(signature)
        return ThresholdSigned(Digest(digest), key_id, certificate, Millis(self.stage.now_ms))

    def pass_ms(self, span_ms: int) -> list[Effect]:
        """Let time pass."""
        self.stage.now_ms += span_ms
        return self.stage.run(Ticked(Millis(self.stage.now_ms)))

    def wait_ms(self) -> int:
        """Give for how long the call still waits."""
        return mine(self.stage).due_ms - self.stage.now_ms


@pytest.fixture
def scene() -> Scene:
    stage = Stage()
    anchor = stage.drained()
    members = [member.identity for member in stage.committee.members]
    dealt = deal(members, stage.committee.network, random.Random(1))
    stage.run(KeysInForce(dealt.document, Millis(stage.now_ms)))
    return Scene(stage, dealt, anchor)


def kind(pending: Pending) -> int:
    assert isinstance(pending.call, Execute)
    return pending.call.certificate[0]


def sent(effects: list[Effect]) -> list[int]:
    """Give the kinds of certificate that were sent."""
    calls = [effect.call for effect in effects if isinstance(effect, Submit)]
    return [call.certificate[0] for call in calls if isinstance(call, Execute)]


def test_a_call_waits_for_the_threshold_certificate_before_its_place_in_the_order(scene: Scene) -> None:
    certified(scene.stage, scene.anchor)

    assert scene.wait_ms() == PATIENCE_MS + mine(scene.stage).place * STAGGER_MS
    assert sent(scene.pass_ms(scene.wait_ms())) == [CERTIFICATE_ECDSA]


def test_a_call_goes_out_with_the_threshold_certificate_as_soon_as_it_comes(scene: Scene) -> None:
    certified(scene.stage, scene.anchor)
    scene.pass_ms(300)

    effects = scene.stage.run(scene.certificate())

    place = mine(scene.stage).place
    assert kind(mine(scene.stage)) == CERTIFICATE_FROST
    assert place or sent(effects) == [CERTIFICATE_FROST]
    assert not place or scene.wait_ms() == place * STAGGER_MS


def test_a_late_one_replaces_the_list_where_nothing_is_under_way(scene: Scene) -> None:
    certified(scene.stage, scene.anchor)
    scene.pass_ms(scene.wait_ms())

    scene.stage.run(scene.certificate())
    assert kind(mine(scene.stage)) == CERTIFICATE_ECDSA  # under way

    ended = SubmissionEnded(mine(scene.stage).key, Submission(SubmissionStatus.TIMED_OUT))
    scene.stage.run(ended, scene.certificate())
    assert kind(mine(scene.stage)) == CERTIFICATE_FROST


def test_one_that_is_there_before_the_list_is_sent_at_once(scene: Scene) -> None:
    scene.stage.run(scene.stage.attests("bob", scene.stage.decision(scene.anchor)))
    scene.stage.run(scene.certificate())

    certified(scene.stage, scene.anchor)

    assert kind(mine(scene.stage)) == CERTIFICATE_FROST
    assert scene.wait_ms() == mine(scene.stage).place * STAGGER_MS or mine(scene.stage).in_flight


def test_without_keys_of_the_tier_or_epoch_nobody_waits() -> None:
    stage = Stage()
    anchor = stage.drained()
    members = [member.identity for member in stage.committee.members]
    later = deal(members, stage.committee.network, random.Random(1), key_epoch=2)
    stage.run(KeysInForce(later.document, Millis(stage.now_ms)))

    certified(stage, anchor)

    pending = mine(stage)
    assert pending.due_ms - pending.since_ms == pending.place * STAGGER_MS


def test_a_certificate_that_is_not_the_keys_changes_nothing(scene: Scene) -> None:
    certified(scene.stage, scene.anchor)
    good = scene.certificate()
    foreign = random.Random(2).randrange(1, SECP256K1.order)
    fast, full = (scene.dealt.document.key_id(name) for name in ("fast", "full"))
    secret = scene.dealt.secrets["fast"]
    for forged in (
        scene.signed(good.digest, foreign, fast),  # another network's, generation's or epoch's key
        scene.signed(good.digest, secret, full),  # under another name
        scene.signed(good.digest, scene.dealt.secrets["full"], full),  # the key of another tier
        scene.signed(good.digest, secret, Digest(bytes(32))),
        scene.signed(sha256(b"another message"), secret, fast),
        ThresholdSigned(good.digest, fast, scene.certificate(tier=Tier.FULL).certificate, good.at_ms),
        ThresholdSigned(good.digest, fast, good.certificate[:-1], good.at_ms),
        ThresholdSigned(good.digest, fast, b"", good.at_ms),
    ):
        assert scene.stage.run(forged) == []

    assert kind(mine(scene.stage)) == CERTIFICATE_ECDSA
    scene.stage.run(good)
    assert kind(mine(scene.stage)) == CERTIFICATE_FROST


def test_a_verifier_that_refuses_one_certificate_gets_the_other_at_once_and_then_people_are_woken(
    scene: Scene,
) -> None:
    certified(scene.stage, scene.anchor)
    scene.stage.run(scene.certificate())
    scene.pass_ms(scene.wait_ms())

    effects = scene.stage.run(SubmissionEnded(mine(scene.stage).key, REFUSED))
    assert effects == [effects[0]]  # the notice of the submission's end alone
    assert sent(scene.pass_ms(1)) == [CERTIFICATE_ECDSA]

    effects = scene.stage.run(SubmissionEnded(mine(scene.stage).key, REFUSED))
    assert any(isinstance(effect, Page) for effect in effects)


def test_a_refusal_that_is_a_race_is_no_reason_for_the_other_certificate(scene: Scene) -> None:
    certified(scene.stage, scene.anchor)
    scene.stage.run(scene.certificate())
    scene.pass_ms(scene.wait_ms())

    race = Submission(SubmissionStatus.REFUSED, reason="MandateEarly")
    scene.stage.run(SubmissionEnded(mine(scene.stage).key, race))

    assert kind(mine(scene.stage)) == CERTIFICATE_FROST


def test_keys_and_certificates_come_back_from_the_journal(scene: Scene) -> None:
    for event in (KeysInForce(scene.dealt.document, Millis(7)), scene.certificate()):
        assert is_journalled(event)
        assert event_from_bytes(event_to_bytes(event)) == event
