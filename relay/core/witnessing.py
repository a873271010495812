"""What members say to each other about the checkpoints of their logs (relay/witness/SPEC.md 4).

All but `ForkShown` concerns the running process only: the witness desk takes it, not the node.
"""

from __future__ import annotations

from collections.abc import Callable, Mapping
from dataclasses import dataclass
from typing import Final

from proofs.canonical import Value
from proofs.fields import FieldError, Fields, fields_of
from proofs.kinds import Digest
from proofs.tree import HASH_BYTES, MAX_PATH, MAX_SIZE

__all__ = [
    "MAX_ANSWER_BYTES",
    "MAX_LANE_REQUEST_BYTES",
    "MAX_NOTES",
    "MAX_WITNESSED_NOTE_BYTES",
    "WITNESSING",
    "WITNESSING_KIND",
    "WITNESSING_READERS",
    "AddCheckpointAsked",
    "CheckpointAdded",
    "Consistency",
    "ForkShown",
    "ProveConsistency",
    "Witnessed",
    "WitnessingMessage",
    "fork_body",
    "read_fork_shown",
    "witnessing_body",
]

MAX_LANE_REQUEST_BYTES: Final = 16_384
"""A request on the lane: a proof of 63 hashes and a note take less, and an envelope is a log entry's size."""
MAX_ANSWER_BYTES: Final = 4_096
MAX_WITNESSED_NOTE_BYTES: Final = 1_024
"""Two key names of at most 138 bytes, a checkpoint and two signatures take less."""
MAX_NOTES: Final = 56
MAX_FORK_NOTE_BYTES: Final = 4_096
_STATUSES: Final = (100, 599)


@dataclass(frozen=True, slots=True)
class AddCheckpointAsked:
    """Cosign this: the body of a C2SP `add-checkpoint` request."""

    body: bytes


@dataclass(frozen=True, slots=True)
class CheckpointAdded:
    """What the author answers to the request with this hash: HTTP status and body."""

    about: Digest
    status: int
    body: bytes


@dataclass(frozen=True, slots=True)
class Witnessed:
    """The newest checkpoints that the author has cosigned, each with its cosignature."""

    notes: tuple[str, ...]


@dataclass(frozen=True, slots=True)
class ProveConsistency:
    """Show that your log of `first` entries is the start of that of `second`."""

    first: int
    second: int


@dataclass(frozen=True, slots=True)
class Consistency:
    """The proof for these two sizes of the author's log."""

    first: int
    second: int
    proof: tuple[Digest, ...]


@dataclass(frozen=True, slots=True)
class ForkShown:
    """Two checkpoints of one log that contradict each other (proofs SPEC 12.1). Logged."""

    first: str
    second: str


WitnessingMessage = AddCheckpointAsked | CheckpointAdded | Witnessed | ProveConsistency | Consistency
WITNESSING: Final = (AddCheckpointAsked, CheckpointAdded, Witnessed, ProveConsistency, Consistency)
WITNESSING_KIND: Final[Mapping[type[WitnessingMessage], str]] = {
    AddCheckpointAsked: "add_checkpoint",
    CheckpointAdded: "checkpoint_added",
    Witnessed: "witnessed",
    ProveConsistency: "prove_consistency",
    Consistency: "consistency",
}


# ---- writing


def witnessing_body(message: WitnessingMessage) -> dict[str, Value]:
    """Give the body of an envelope of witnessing."""
    match message:
        case AddCheckpointAsked(body):
            return {"body": body}
        case CheckpointAdded(about, status, body):
            return {"about": about, "body": body, "status": status}
        case Witnessed(notes):
            return {"notes": tuple(note.encode() for note in notes)}
        case ProveConsistency(first, second):
            return {"first": first, "second": second}
        case Consistency(first, second, proof):
            return {"first": first, "proof": proof, "second": second}


def fork_body(message: ForkShown) -> dict[str, Value]:
    """Give the body of a `fork` envelope (core SPEC 3)."""
    return {"first": message.first, "second": message.second}


# ---- reading


def _add_checkpoint(body: Value) -> AddCheckpointAsked:
    fields = fields_of(body, "add_checkpoint", ("body",))
    return AddCheckpointAsked(fields.binary("body", max_bytes=MAX_LANE_REQUEST_BYTES))


def _checkpoint_added(body: Value) -> CheckpointAdded:
    fields = fields_of(body, "checkpoint_added", ("about", "body", "status"))
    least, most = _STATUSES
    return CheckpointAdded(
        about=Digest(fields.binary("about", length=HASH_BYTES)),
        status=fields.integer("status", minimum=least, maximum=most),
        body=fields.binary("body", max_bytes=MAX_ANSWER_BYTES),
    )


def _witnessed(body: Value) -> Witnessed:
    fields = fields_of(body, "witnessed", ("notes",))
    where = fields.path("notes")
    notes: list[str] = []
    for item in fields.array("notes", max_items=MAX_NOTES):
        if not isinstance(item, bytes) or len(item) > MAX_WITNESSED_NOTE_BYTES:
            raise FieldError(where, f"notes of at most {MAX_WITNESSED_NOTE_BYTES} bytes", "another item")
        try:
            notes.append(item.decode())
        except UnicodeDecodeError as error:
            raise FieldError(where, "notes in UTF-8", "other bytes") from error
    return Witnessed(tuple(notes))


def _prove_consistency(body: Value) -> ProveConsistency:
    fields = fields_of(body, "prove_consistency", ("first", "second"))
    return ProveConsistency(*_sizes(fields))


def _consistency(body: Value) -> Consistency:
    fields = fields_of(body, "consistency", ("first", "proof", "second"))
    first, second = _sizes(fields)
    items = fields.array("proof", max_items=MAX_PATH)
    proof = tuple(Digest(item) for item in items if isinstance(item, bytes) and len(item) == HASH_BYTES)
    if len(proof) != len(items):
        raise FieldError(fields.path("proof"), f"hashes of {HASH_BYTES} bytes", "other items")
    return Consistency(first, second, proof)


def _sizes(fields: Fields) -> tuple[int, int]:
    first = fields.integer("first", minimum=1, maximum=MAX_SIZE)
    return first, fields.integer("second", minimum=first + 1, maximum=MAX_SIZE)


def read_fork_shown(body: Value) -> ForkShown:
    """Read the body of a `fork` envelope; the notes in it are not looked at.

    Raises:
        FieldError: it has another shape.
    """
    fields = fields_of(body, "fork", ("first", "second"))
    return ForkShown(_note(fields, "first"), _note(fields, "second"))


def _note(fields: Fields, key: str) -> str:
    note = fields.raw(key)
    # A note has line ends; everything else about it is for `check_fork` to say.
    if not isinstance(note, str) or len(note.encode()) > MAX_FORK_NOTE_BYTES:
        raise FieldError(fields.path(key), f"a note of at most {MAX_FORK_NOTE_BYTES} bytes", "another value")
    return note


WITNESSING_READERS: Final[Mapping[str, Callable[[Value], WitnessingMessage]]] = {
    "add_checkpoint": _add_checkpoint,
    "checkpoint_added": _checkpoint_added,
    "witnessed": _witnessed,
    "prove_consistency": _prove_consistency,
    "consistency": _consistency,
}
