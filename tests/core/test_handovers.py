"""Handing verifiers over to the next key epoch: who signs what, who announces it (threshold SPEC 5)."""

from __future__ import annotations

import random
from collections.abc import Sequence
from dataclasses import dataclass, field, replace

import pytest

from proofs.groupkeys import KeysDocument, group_name
from proofs.kinds import Address, Caip2, Digest, Gateway, Millis
from proofs.mandate import (
    Tier,
    encode_frost_certificate,
    key_proof_digest,
    split_certificate,
    verify_certificate,
)
from relay.core.committees import Committees
from relay.core.effects import Effect, LogEntry, Notice, Releasable, SignRotation, SubmitRotation
from relay.core.handovers import AGAIN_MS, SETTLING_MS, Handover, Handovers, Sources
from relay.core.messages import RotationSigned
from relay.core.ports import Submission, SubmissionStatus
from relay.core.rotations import Rotation, VerifierEpoch, VerifierState, struct_digest
from relay.core.submission import rank
from relay.threshold.frost import sign_alone
from relay.threshold.groups import SECP256K1
from relay.threshold.messages import RotationTerms
from tests.sim.dealer import Dealt, deal
from tests.sim.keys import Keys, committee_after, committee_of

NEAR, FAR = Caip2("sim:home"), Caip2("sim:away")
GATEWAY = Gateway(bytes(31) + b"g")
OLD, _ = committee_of(4)
NEW = committee_after(OLD, ("alice", "bob", "carol", "erin"), activates_at=10_000)
TERMS = RotationTerms(not_before=1_000, not_after=5_000, revoke=False)
NOW_MS = Millis(2_000_000)
OPEN_END = (1 << 40) - 1


def form(rotation: Rotation) -> bytes:
    """Give the bytes of a rotation as no chain in particular has them: eleven words, all of it in them."""
    keys = b"".join(rotation.groups or ())
    words = [
        rotation.network,
        rotation.chain.encode().rjust(32, b"\0"),
        rotation.verifier,
        rotation.new_epoch.to_bytes(32, "big"),
        b"".join(rotation.attesters)[:32],
        keys[1:33].ljust(32, b"\0"),
        rotation.fast.to_bytes(32, "big"),
        rotation.full.to_bytes(32, "big"),
        rotation.not_before.to_bytes(32, "big"),
        rotation.not_after.to_bytes(32, "big"),
        int(rotation.revoke_previous).to_bytes(32, "big"),
    ]
    return b"".join(words)


def group_keys(key_epoch: int = 2, committee_epoch: int = 2) -> Dealt:
    members = [member.identity for member in NEW.members]
    return deal(members, OLD.network, random.Random(5), key_epoch=key_epoch, committee_epoch=committee_epoch)


DEALT = group_keys()


def possession(key: bytes) -> bytes | None:
    """Give what holders sign together, by the dealer's hand."""
    for tier in (Tier.FAST, Tier.FULL):
        name = group_name(tier)
        group = DEALT.document.group(name)
        assert group is not None
        if group.key == key:
            digest = key_proof_digest(OLD.network, 2, tier, group.key)
            signature = sign_alone(SECP256K1, DEALT.secrets[name], digest, b"seed")
            return encode_frost_certificate(signature)
    return None


def epoch(
    number: int, attesters: Sequence[Address], *, until: int = OPEN_END, start: int = 0
) -> VerifierEpoch:
    return VerifierEpoch(number, tuple(sorted(attesters)), 2, 3, None, start, until)


def verifier(chain: Caip2 = NEAR, number: int = 1) -> VerifierState:
    return VerifierState(
        chain, Gateway(bytes(31) + bytes([number])), OLD.network, 60, 600, (epoch(1, list(OLD.attesters())),)
    )


@dataclass
class Bench:
    """One member's handovers, and what it knows."""

    name: str = "alice"
    documents: list[KeysDocument] = field(default_factory=lambda: [DEALT.document])
    terms: RotationTerms | None = TERMS
    shows: bool = True
    committees: Committees = field(default_factory=lambda: Committees((OLD, NEW)))

    def __post_init__(self) -> None:
        sources = Sources(
            documents=lambda: tuple(self.documents),
            terms=lambda _: self.terms,
            possession=lambda key: possession(key) if self.shows else None,
        )
        times = {NEAR: 12_000, FAR: 2_000}
        self.core = Handovers(Keys(self.name).identity, self.committees, form, times, sources)

    def see(self, *states: VerifierState) -> None:
        for state in states:
            self.core.seen(GATEWAY, state)

    def only(self) -> Handover:
        (found,) = self.core.all()
        return found

    def due(self, at_ms: int = NOW_MS, heads: dict[str, int] | None = None) -> list[Effect]:
        return self.core.due(Millis(at_ms), heads or {})

    def hear(self, name: str, *, struct: bytes | None = None, by: str | None = None) -> list[Effect]:
        """Let a member sign; with another's key or over other bytes if the test says so."""
        handover = self.core.all()[0]
        struct = handover.struct if struct is None else struct
        signature = Keys(by or name).sign_mandate(struct_digest(struct))
        said = RotationSigned(handover.rotation.chain, handover.rotation.verifier, struct, signature)
        envelope, _ = Keys(name).say(said, OLD if OLD.member(Keys(name).identity) else NEW, NOW_MS)
        return self.core.heard(envelope, said)

    def signed_by_all(self) -> None:
        for name in ("alice", "bob", "carol"):
            self.hear(name)


def reason(effects: list[Effect]) -> object:
    (dropped,) = effects
    assert isinstance(dropped, Notice)
    return dropped.facts["reason"]


def submissions(effects: list[Effect]) -> list[SubmitRotation]:
    return [effect for effect in effects if isinstance(effect, SubmitRotation)]


def first_f_plus_1(handover: Handover) -> list[str]:
    members = [member.identity for member in OLD.members]
    names = {Keys(name).identity: name for name in ("alice", "bob", "carol", "dave")}
    places = {rank(handover.digest, handover.rotation.chain, members, me): names[me] for me in members}
    return [places[number] for number in range(OLD.f + 1)]


def of_the_first() -> Bench:
    """Give the member whose turn is first, with a full quorum of signatures."""
    probe = Bench()
    probe.see(verifier())
    bench = Bench(first_f_plus_1(probe.only())[0])
    bench.see(verifier())
    bench.signed_by_all()
    return bench


# ---- signing


def test_every_member_of_the_epoch_before_signs_the_rotation_of_every_verifier_once() -> None:
    bench = Bench("dave")
    bench.see(verifier())
    bench.core.seen(GATEWAY, verifier(FAR, 2))

    asked = [effect for effect in bench.due() if isinstance(effect, SignRotation)]

    assert {(each.rotation.chain, each.rotation.verifier[-1]) for each in asked} == {(NEAR, 1), (FAR, 2)}
    assert {each.committee_epoch for each in asked} == {1}
    rotation = asked[0].rotation
    assert rotation.attesters == tuple(sorted(NEW.attesters()))
    assert (rotation.new_epoch, rotation.fast, rotation.full) == (2, NEW.fast, NEW.full)
    assert rotation.groups == tuple(group.key for group in DEALT.document.groups)
    assert (rotation.not_before, rotation.not_after, rotation.revoke_previous) == (1_000, 5_000, False)
    assert bench.due() == []


def test_who_only_joins_signs_nothing() -> None:
    bench = Bench("erin")
    bench.see(verifier())
    bench.signed_by_all()

    assert bench.due() == []


@pytest.mark.parametrize(
    "changes",
    [
        {"documents": []},
        {"terms": None},
        {"committees": Committees((OLD,))},
        {"documents": [group_keys(key_epoch=3).document]},
        {"documents": [group_keys(committee_epoch=3).document]},
    ],
    ids=["no keys", "no terms", "no document", "another key epoch", "another committee"],
)
def test_without_keys_terms_and_document_in_force_nothing_is_signed(changes: dict[str, object]) -> None:
    bench = Bench(**changes)  # type: ignore[arg-type]
    bench.see(verifier())

    assert bench.core.all() == ()
    assert bench.due() == []


def test_a_verifier_of_another_network_is_left_alone() -> None:
    bench = Bench()
    bench.see(replace(verifier(), network=Digest(bytes(32))))

    assert bench.due() == []


def test_after_its_time_nothing_is_signed_or_sent_and_that_is_told_once() -> None:
    bench = of_the_first()
    late = {str(NEAR): TERMS.not_after + 1}

    (told,) = bench.due(heads=late)

    assert isinstance(told, Notice)
    assert told.name == "rotation out of time"
    assert bench.due(heads=late) == []


def test_a_restarted_process_asks_its_signer_again() -> None:
    bench = Bench()
    bench.see(verifier())
    bench.due()

    bench.core.started()

    assert [type(effect) for effect in bench.due()] == [SignRotation]


# ---- hearing


def test_a_signature_is_logged_once_and_may_be_published() -> None:
    bench = Bench()
    bench.see(verifier())

    assert [type(effect) for effect in bench.hear("bob")] == [LogEntry, Releasable]
    assert bench.hear("bob") == []
    assert bench.core.attesters(bench.only()) == {Keys("bob").identity}


def test_signatures_that_are_not_the_member_s_over_these_very_bytes_count_for_nothing() -> None:
    bench = Bench()
    bench.see(verifier())
    other = replace(bench.only().rotation, full=4)

    assert reason(bench.hear("bob", by="carol")) == "bad rotation signature"
    assert reason(bench.hear("erin")) == "bad rotation signature"
    assert reason(bench.hear("bob", struct=form(other))) == "another rotation"
    assert bench.core.attesters(bench.only()) == frozenset()


def test_what_comes_before_the_keys_is_dropped_and_taken_when_it_comes_again() -> None:
    early, bench = Bench(documents=[]), Bench()
    bench.see(verifier())
    early.see(verifier())
    handover = bench.only()
    signature = Keys("bob").sign_mandate(handover.digest)
    said = RotationSigned(NEAR, handover.rotation.verifier, handover.struct, signature)
    envelope, _ = Keys("bob").say(said, OLD, NOW_MS)

    assert reason(early.core.heard(envelope, said)) == "no such rotation is due"
    early.documents.append(DEALT.document)
    assert [type(effect) for effect in early.core.heard(envelope, said)] == [LogEntry, Releasable]


def test_who_signs_late_is_logged_after_the_verifier_has_the_keys() -> None:
    bench = Bench()
    bench.see(verifier())
    rotation = bench.only().rotation
    bench.see(replace(verifier(), epochs=(*verifier().epochs, announced(rotation))))

    assert bench.only().is_done
    assert [type(effect) for effect in bench.hear("dave")] == [LogEntry, Releasable]


# ---- announcing


def announced(rotation: Rotation, *, start: int = 3_000) -> VerifierEpoch:
    return VerifierEpoch(
        2, rotation.attesters, rotation.fast, rotation.full, rotation.groups, start, OPEN_END
    )


def test_a_full_quorum_makes_the_certificate_and_the_first_f_plus_1_send_it() -> None:
    probe = Bench()
    probe.see(verifier())
    order = first_f_plus_1(probe.only())
    senders = []
    for name in ("alice", "bob", "carol", "dave", "erin"):
        bench = Bench(name)
        bench.see(verifier())
        bench.signed_by_all()
        sent = [submissions(bench.due(NOW_MS + late_ms)) for late_ms in range(0, 120_001, 24_000)]
        senders += [(name, place) for place, found in enumerate(sent) if found]
        for call in (each.call for found in sent for each in found):
            signers = verify_certificate(
                struct_digest(form(call.rotation)), call.certificate, set(OLD.attesters()), OLD.full
            )
            assert len(signers) == len(split_certificate(call.certificate)) == OLD.full
            assert call.groups is not None
            assert call.groups.keys == call.rotation.groups

    assert sorted(senders) == sorted([(order[0], 0), (order[1], 1)])


def test_one_signature_too_few_sends_nothing() -> None:
    bench = of_the_first()
    few = Bench(bench.name)
    few.see(verifier())
    for name in ("alice", "bob"):
        few.hear(name)

    assert submissions(bench.due())
    assert not submissions(few.due())


def test_nothing_is_sent_before_its_time_or_before_the_keys_are_shown() -> None:
    early, hidden = of_the_first(), of_the_first()
    hidden.shows = False

    assert not submissions(early.due(heads={str(NEAR): TERMS.not_before - 1}))
    assert submissions(early.due(heads={str(NEAR): TERMS.not_before}))
    assert not submissions(hidden.due())
    hidden.shows = True
    assert submissions(hidden.due())


def test_what_did_not_land_is_tried_again_and_what_did_only_after_the_next_looks() -> None:
    bench = of_the_first()
    (sent,) = submissions(bench.due())
    assert not submissions(bench.due(NOW_MS + 999_999))

    bench.core.ended(sent.key, Submission(SubmissionStatus.REFUSED, reason="RotationPending"), NOW_MS)
    assert not submissions(bench.due(NOW_MS + AGAIN_MS - 1))
    assert submissions(bench.due(NOW_MS + AGAIN_MS))
    told = bench.core.ended(sent.key, Submission(SubmissionStatus.LANDED), NOW_MS)
    assert told == [Notice("rotation ended", {"status": "landed", "reason": ""})]
    assert not submissions(bench.due(NOW_MS + SETTLING_MS - 1))
    assert bench.core.next_due_ms() == NOW_MS + SETTLING_MS


def test_a_verifier_that_shows_the_keys_is_done() -> None:
    bench = of_the_first()
    rotation = bench.only().rotation

    (told,) = bench.core.seen(GATEWAY, replace(verifier(), epochs=(*verifier().epochs, announced(rotation))))

    assert isinstance(told, Notice)
    assert told.facts == {"chain": NEAR, "key_epoch": 2, "valid_from": 3_000}
    assert bench.due() == []
    assert bench.core.is_accepted(1, 9_999_999)


def test_a_verifier_that_shows_other_keys_of_this_epoch_is_left_alone() -> None:
    bench = of_the_first()
    foreign = replace(announced(bench.only().rotation), full=4)
    bench.see(replace(verifier(), epochs=(*verifier().epochs, foreign)))

    assert bench.core.all() == ()
    assert bench.due() == []


def test_gateways_of_one_verifier_make_one_handover() -> None:
    bench = Bench()
    bench.see(verifier())
    bench.core.seen(Gateway(bytes(31) + b"h"), verifier())

    assert len(bench.core.all()) == 1


def test_stolen_keys_are_revoked_with_the_rotation() -> None:
    bench = Bench(terms=replace(TERMS, revoke=True))
    bench.see(verifier())

    assert bench.only().rotation.revoke_previous


def test_terms_of_a_later_ceremony_take_the_place_of_those_that_are_over() -> None:
    bench = Bench()
    bench.see(verifier())
    first = bench.only()
    bench.terms = replace(TERMS, not_before=6_000, not_after=9_000)

    again = bench.only()

    assert again.digest != first.digest
    assert [type(effect) for effect in bench.due(7_000_000)] == [SignRotation]


def test_without_an_adapter_nothing_is_handed_over() -> None:
    bench = Bench()
    bench.core.form = None
    bench.see(verifier())

    assert bench.due() == []


def test_nobody_wakes_up_for_a_call_that_is_not_to_be_sent_any_more() -> None:
    for end in ("out of time", "chain went back", "shown", "gone"):
        bench = of_the_first()
        (sent,) = submissions(bench.due())
        bench.core.ended(sent.key, Submission(SubmissionStatus.UNFUNDED), NOW_MS)
        assert bench.core.next_due_ms() == NOW_MS + AGAIN_MS
        heads = {"out of time": TERMS.not_after + 1, "chain went back": TERMS.not_before - 1}
        if end == "shown":
            rotation = bench.only().rotation
            bench.see(replace(verifier(), epochs=(*verifier().epochs, announced(rotation))))
        elif end == "gone":
            bench.see(replace(verifier(), network=Digest(bytes(32))))

        bench.due(NOW_MS + AGAIN_MS, {str(NEAR): heads.get(end, TERMS.not_before)})

        assert bench.core.next_due_ms() is None, end
