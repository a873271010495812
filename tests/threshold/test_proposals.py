"""Proposals beside the documents that they name, and the bodies of all messages (SPEC 3)."""

from __future__ import annotations

from dataclasses import replace

import pytest

from proofs.canonical import Value, decode, encode
from proofs.committee import CommitteeDocument
from proofs.fields import FieldError
from proofs.kinds import Digest, Identity
from relay.core.bodies import body_of, read_body
from relay.core.messages import KIND, LOGGED
from relay.threshold.bodies import statement_digest
from relay.threshold.ceremony import Step, take
from relay.threshold.messages import (
    Complaint,
    Proposal,
    RotationTerms,
)
from relay.threshold.secrets import deal_of, join_of
from relay.threshold.terms import MAX_ROTATION_S, open_terms
from tests.threshold.shares import refused
from tests.threshold.troupe import Troupe, seven

ROTATION = RotationTerms(not_before=100, not_after=100, revoke=False)


@pytest.mark.parametrize(
    ("changes", "expected"),
    [
        ({"network": bytes(32)}, "network"),
        ({"committee": Digest(bytes(32))}, "committee document"),
        ({"committee_epoch": 2}, "epoch"),
        ({"key_epoch": 2}, "epoch"),
        ({"groups": ()}, "at least one group"),
        ({"rotation": ROTATION}, "ends after it begins"),
        ({"dealers": (Identity(bytes(32)),)}, "among the receivers"),
    ],
)
def test_a_proposal_that_does_not_fit_is_refused_by_what_it_should_say(
    changes: dict[str, object], expected: str
) -> None:
    troupe = seven()[0]
    proposal = troupe.proposal(**changes)  # type: ignore[arg-type]  # names are the dataclass's own

    with pytest.raises(Exception, match=expected):
        open_terms(troupe.identities[0], proposal, troupe.committee, None)


def test_a_rotation_is_to_be_over_within_a_bounded_time() -> None:
    troupe = seven()[0]
    last_s = troupe.proposal().deadline_ms // 1_000 + MAX_ROTATION_S

    def rotating(not_before: int, not_after: int) -> Proposal:
        return troupe.proposal(rotation=RotationTerms(not_before, not_after, revoke=False))

    # Whoever signed one for a year to come may sign no other for that verifier before.
    with refused("ceremony"):
        open_terms(troupe.identities[0], rotating(100, last_s + 1), troupe.committee, None)
    open_terms(troupe.identities[0], rotating(last_s - 1, last_s), troupe.committee, None)


def test_receivers_and_dealers_are_members_and_enough() -> None:
    troupe = seven()[0]
    committee: CommitteeDocument = troupe.committee
    alice, few = troupe.identities[0], troupe.identities[: committee.full - 1]
    enough = troupe.identities[: committee.full]
    stranger = tuple(sorted([*enough, Identity(b"\xff" * 32)]))

    for wrong in (
        troupe.proposal(dealers=few, receivers=few),
        troupe.proposal(dealers=enough, receivers=stranger),
        troupe.proposal(dealers=troupe.identities[: committee.f]),
    ):
        with refused("ceremony"):
            open_terms(alice, wrong, committee, None)
    open_terms(alice, troupe.proposal(dealers=troupe.identities[: committee.f + 1]), committee, None)


def test_a_reshare_fits_its_base() -> None:
    troupe, made = seven()
    alice, base, committee = troupe.identities[0], made.document, troupe.committee
    other = troupe.perform(troupe.proposal(salt=b"another salt 123")).document
    good = troupe.reshare(base)
    sound = RotationTerms(not_before=100, not_after=200, revoke=True)
    later = replace(base, committee_epoch=2)

    open_terms(alice, good, committee, base)
    for proposal, document in [
        (good, None),
        (good, other),
        (replace(good, generation=1), base),
        (replace(good, groups=("fast",)), base),
        (replace(good, rotation=sound), base),
        (replace(good, dealers=troupe.identities[: committee.full - 1]), base),
        (replace(good, dealers=(*troupe.identities[1:], Identity(b"\xff" * 32))), base),
        (good, later),
        (good, replace(base, key_epoch=2)),
    ]:
        with refused("ceremony"):
            open_terms(alice, proposal, committee, document)


def test_retries_take_a_higher_generation() -> None:
    """A generation that some have signed for and that has not come into force is never used again."""
    troupe, made = seven()
    proposal = troupe.reshare(made.document, generation=5)

    retried = troupe.perform(proposal, base=made.document, old=made.shares)

    assert retried.document.generation == 5


# ---- bodies


def test_bodies_come_back_as_they_were_and_are_not_logged() -> None:
    troupe, made = seven()
    complaint = Complaint(made.ceremony.id, troupe.identities[0], Digest(bytes(32)), bytes(32))
    rotated = troupe.proposal(rotation=RotationTerms(1, 2, revoke=True))
    for message in [*(message for _, message in made.envelopes), complaint, rotated]:
        kind, body = KIND[type(message)], body_of(message)
        again = read_body(kind, decode(encode(body), limit_bytes=65_535))
        assert again == message
        assert kind not in {KIND[logged] for logged in LOGGED}


def test_a_deal_of_fifty_members_fits_an_envelope() -> None:
    troupe = Troupe.of(50)
    proposal = troupe.proposal(("fast", "fast/ed25519", "full", "full/ed25519"))
    ceremony = troupe.begin(proposal)
    for who in troupe.identities:
        join = join_of(troupe.players[who].seed, ceremony.terms, who)
        ceremony, _ = take(ceremony, troupe.envelope(who, join), join)
    alice = troupe.identities[0]

    deal = deal_of(troupe.players[alice].seed, ceremony, alice, None)

    envelope = troupe.envelope(alice, deal)
    ceremony, _ = take(ceremony, envelope, deal)
    said = ceremony.word(Step.DEAL, alice)
    assert said is not None
    assert said.judgement is None
    assert said.digest == statement_digest(alice, deal)
    assert len(envelope.raw) < 20_000


IDENTITY = bytes(32)
JOIN: dict[str, Value] = {"ceremony": bytes(32), "pairs": [[bytes(32), bytes(32)]]}
DEAL: dict[str, Value] = {
    "ceremony": bytes(32),
    "joins": bytes(32),
    "groups": [{"commitments": [bytes(33)], "name": "fast", "proof": bytes(65)}],
    "sealed": [[bytes(32), bytes(80)]],
}
TRANSCRIPT: dict[str, Value] = {
    "ceremony": bytes(32),
    "document": bytes(32),
    "proofs": [["fast", bytes(65)]],
    "signature": bytes(64),
}
COMPLAINT: dict[str, Value] = {
    "ceremony": bytes(32),
    "deal": bytes(32),
    "dealer": bytes(32),
    "secret": bytes(32),
}


@pytest.mark.parametrize(
    ("kind", "body", "change"),
    [
        ("ceremony_join", JOIN, {"pairs": [[bytes(32), bytes(31)]]}),
        ("ceremony_join", JOIN, {"pairs": [[bytes(31), bytes(32)]]}),
        ("ceremony_join", JOIN, {"pairs": [[bytes(32)]]}),
        ("ceremony_join", JOIN, {"pairs": [[bytes(32), bytes(32)]] * 2}),
        ("ceremony_join", JOIN, {"pairs": [[b"\1" * 32, bytes(32)], [bytes(32), bytes(32)]]}),
        ("ceremony_join", JOIN, {"pairs": [[bytes([i]) * 32, bytes(32)] for i in range(51)]}),
        ("ceremony_join", JOIN, {"more": 1}),
        ("ceremony_deal", DEAL, {"groups": [{"commitments": [bytes(34)], "name": "fast", "proof": b""}]}),
        ("ceremony_deal", DEAL, {"groups": [{"commitments": [1], "name": "fast", "proof": b""}]}),
        ("ceremony_deal", DEAL, {"groups": [{"commitments": [], "name": "slow", "proof": b""}]}),
        ("ceremony_deal", DEAL, {"groups": [{"commitments": [], "name": "full", "proof": bytes(66)}]}),
        ("ceremony_deal", DEAL, {"groups": [{"commitments": [], "name": "full", "proof": b""}] * 2}),
        ("ceremony_deal", DEAL, {"sealed": [[bytes(32), bytes(257)]]}),
        ("ceremony_deal", DEAL, {"joins": bytes(31)}),
        ("ceremony_transcript", TRANSCRIPT, {"signature": bytes(63)}),
        ("ceremony_transcript", TRANSCRIPT, {"proofs": [["fast", bytes(66)]]}),
        ("ceremony_transcript", TRANSCRIPT, {"proofs": [["fast", b""], ["fast", b""]]}),
        ("ceremony_transcript", TRANSCRIPT, {"proofs": [["full", b""], ["fast", b""]]}),
        ("ceremony_complaint", COMPLAINT, {"secret": bytes(33)}),
        ("ceremony_complaint", COMPLAINT, {"dealer": None}),
        ("ceremony_gossip", COMPLAINT, {}),
    ],
)
def test_bodies_of_another_form_are_refused(
    kind: str, body: dict[str, Value], change: dict[str, Value]
) -> None:
    read_body(kind, body) if kind != "ceremony_gossip" else None

    with pytest.raises(FieldError):
        read_body(kind, {**body, **change})


@pytest.mark.parametrize(
    ("key", "value"),
    [
        ("base", bytes(31)),
        ("committee", bytes(33)),
        ("committee_epoch", 0),
        ("generation", 0),
        ("deadline_ms", -1),
        ("dealers", [b"\1" * 32, bytes(32)]),
        ("receivers", [bytes(32), bytes(32)]),
        ("receivers", [bytes([i]) * 32 for i in range(51)]),
        ("groups", ["full", "fast"]),
        ("groups", ["slow"]),
        ("rotation", {"not_after": 1, "not_before": 1}),
        ("rotation", {"not_after": 1, "not_before": 1, "revoke": 1}),
        ("salt", bytes(15)),
    ],
)
def test_proposals_of_another_form_are_refused(key: str, value: Value) -> None:
    body = body_of(seven()[0].proposal())

    assert isinstance(read_body("ceremony_proposal", body), Proposal)
    with pytest.raises(FieldError, match=key):
        read_body("ceremony_proposal", {**body, key: value})
