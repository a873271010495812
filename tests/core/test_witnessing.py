"""What members say of checkpoints: one shape for each kind; and evidence of forks, taken once a log."""

from __future__ import annotations

import pytest

from proofs.canonical import Value
from proofs.envelope import MAX_ENVELOPE_BYTES, Envelope, signing_bytes
from proofs.fields import FieldError
from proofs.forks import decode_fork
from proofs.kinds import Digest, Identity
from relay.core.bodies import body_of, read_body
from relay.core.ceremony_effects import KeepEvidence
from relay.core.committees import Committees
from relay.core.effects import Effect, LogEntry, Notice, Page, PageKind, Releasable, SignStatement
from relay.core.events import ForkFound, is_journalled
from relay.core.forks import Forks
from relay.core.history import event_from_bytes, event_to_bytes
from relay.core.messages import KIND, LOGGED, PASSING, Message
from relay.core.types import Millis
from relay.core.wire import payload_of, seal
from relay.core.witnessing import (
    MAX_LANE_REQUEST_BYTES,
    MAX_NOTES,
    MAX_WITNESSED_NOTE_BYTES,
    AddCheckpointAsked,
    CheckpointAdded,
    Consistency,
    ForkShown,
    ProveConsistency,
    Witnessed,
)
from tests.shells.witness.circle import Secrets, committee_of, key_of_log, story_of

COMMITTEE = committee_of()
COMMITTEES = Committees((COMMITTEE,))
HASH = Digest(bytes(range(32)))
SAID: list[Message] = [
    AddCheckpointAsked(b"old 0\n"),
    CheckpointAdded(HASH, 409, b"5\n"),
    Witnessed(("net/alice\n…\n", "another")),
    Witnessed(()),
    ProveConsistency(1, 2),
    Consistency(3, 1 << 62, (HASH, HASH)),
    ForkShown("first\n", "second\n"),
]


@pytest.mark.parametrize("message", SAID, ids=lambda message: KIND[type(message)])
def test_what_is_said_is_read_as_it_was_meant(message: Message) -> None:
    assert read_body(KIND[type(message)], body_of(message)) == message


def test_only_a_fork_is_more_than_a_word_of_the_running_process() -> None:
    kinds = {type(message) for message in SAID}

    assert kinds & set(LOGGED) == {ForkShown}
    assert kinds - set(PASSING) == {ForkShown}


@pytest.mark.parametrize(
    ("kind", "body"),
    [
        ("add_checkpoint", {"body": bytes(MAX_LANE_REQUEST_BYTES + 1)}),
        ("add_checkpoint", {"body": "text"}),
        ("checkpoint_added", {"about": bytes(31), "body": b"", "status": 200}),
        ("checkpoint_added", {"about": HASH, "body": bytes(4_097), "status": 200}),
        ("checkpoint_added", {"about": HASH, "body": b"", "status": 600}),
        ("witnessed", {"notes": (b"",) * (MAX_NOTES + 1)}),
        ("witnessed", {"notes": (bytes(MAX_WITNESSED_NOTE_BYTES + 1),)}),
        ("witnessed", {"notes": (b"\xff",)}),
        ("witnessed", {"notes": ("text",)}),
        ("prove_consistency", {"first": 0, "second": 1}),
        ("prove_consistency", {"first": 5, "second": 5}),
        ("prove_consistency", {"first": 1, "second": 1 << 63}),
        ("consistency", {"first": 1, "second": 2, "proof": (bytes(31),)}),
        ("consistency", {"first": 1, "second": 2, "proof": (HASH,) * 64}),
        ("fork", {"first": "x", "second": b"x"}),
        ("fork", {"first": "x", "second": "x" * 4_097}),
        ("fork", {"first": "x"}),
    ],
)
def test_another_shape_is_refused(kind: str, body: dict[str, Value]) -> None:
    with pytest.raises(FieldError):
        read_body(kind, body)


def test_the_largest_words_fit_into_an_envelope() -> None:
    for message in (
        AddCheckpointAsked(bytes(MAX_LANE_REQUEST_BYTES)),
        Witnessed(("x" * MAX_WITNESSED_NOTE_BYTES,) * MAX_NOTES),
        ForkShown("x" * 4_096, "y" * 4_096),
    ):
        assert len(said("alice", message).raw) <= MAX_ENVELOPE_BYTES


# ---- forks


def said(name: str, message: Message) -> Envelope:
    key = Secrets(name).identity
    author = Identity(bytes(key.verify_key))
    payload = payload_of(message, committee=COMMITTEE, author=author, at_ms=Millis(5))
    return seal(payload, bytes(key.sign(signing_bytes(payload)).signature))[0]


def two_stories(name: str = "alice", size: int = 4, other: str = "another") -> ForkShown:
    return ForkShown(story_of(COMMITTEE, name, size).note(), story_of(COMMITTEE, name, size, other).note())


def hear(forks: Forks, author: str, message: ForkShown) -> list[Effect]:
    return forks.heard(said(author, message), message, COMMITTEES)


def test_the_first_evidence_of_a_log_is_logged_kept_and_paged() -> None:
    forks, evidence = Forks(), two_stories()

    logged, releasable, kept, page = hear(forks, "bob", evidence)

    envelope = said("bob", evidence)
    assert logged == LogEntry(envelope.digest, envelope.raw)
    assert releasable == Releasable((envelope.digest,))
    assert isinstance(kept, KeepEvidence)
    assert decode_fork(kept.raw) == forks.taken[key_of_log(COMMITTEE, "alice")]
    assert isinstance(page, Page)
    assert (page.kind, "net/alice has two roots at size 4" in page.text) == (PageKind.FORK_EVIDENCE, True)


def test_more_of_it_is_dropped_whoever_says_it_and_however() -> None:
    forks = Forks()
    hear(forks, "bob", two_stories())

    again = [hear(forks, "bob", two_stories()), hear(forks, "carol", two_stories(size=3, other="third"))]

    dropped = Notice("statement dropped", {"reason": "not wanted", "kind": "fork"})
    assert again == [[dropped], [dropped]]
    assert len(hear(forks, "carol", two_stories("dave"))) == 4


@pytest.mark.parametrize(
    "message",
    [
        ForkShown("", ""),
        ForkShown(two_stories().first, two_stories().first),
        ForkShown(two_stories().first, two_stories("bob").second),
        ForkShown(two_stories().first, two_stories(size=5).second),
        ForkShown(*(story_of(committee_of(network="other"), "alice", 4, each).note() for each in ("", "x"))),
    ],
)
def test_what_convicts_nobody_of_the_committee_is_dropped(message: ForkShown) -> None:
    forks = Forks()

    assert hear(forks, "bob", message) == [
        Notice("statement dropped", {"reason": "bad evidence", "kind": "fork"})
    ]
    assert forks.taken == {}


def test_what_our_witness_finds_is_said_once() -> None:
    forks, evidence = Forks(), two_stories()
    event = ForkFound(evidence.second, evidence.first, Millis(7))

    (effect,) = forks.found(event, COMMITTEES)

    assert isinstance(effect, SignStatement)
    assert isinstance(effect.message, ForkShown)
    hear(forks, "alice", effect.message)
    assert forks.found(event, COMMITTEES) == []


def test_a_find_is_journalled_as_it_was() -> None:
    event = ForkFound("first\n", "second\n", Millis(7))

    assert is_journalled(event)
    assert event_from_bytes(event_to_bytes(event)) == event
