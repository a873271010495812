"""Asking a witness and judging as one: C2SP tlog-witness, `add-checkpoint` (`proofs/SPEC.md` 12).

A witness judges in two steps, because what it holds depends on the log that the request names:
`open_request` looks at the request alone, `judge` at what was held. The asker reads the answer with
`read_answer`. Nothing here stores or sends; what `judge` accepts must be on disk before it is answered.
"""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import Final

from proofs.checkpoint import Checkpoint, CheckpointError, checkpoint_text, parse_checkpoint
from proofs.errors import ProofError
from proofs.kinds import Digest
from proofs.note import (
    MAX_NOTE_BYTES,
    Note,
    NoteError,
    NoteSignature,
    VerifiedSignature,
    VerifierKey,
    format_note,
    format_signatures,
    is_timely,
    parse_note,
    parse_signatures,
    verify_note,
)
from proofs.text import base64_text, decimal, from_base64
from proofs.tree import EMPTY_ROOT, HASH_BYTES, TreeError, verify_consistency

__all__ = [
    "MAX_REQUEST_BYTES",
    "NOTHING_HELD",
    "SIZE_CONTENT",
    "TEXT_CONTENT",
    "Accepted",
    "AddCheckpoint",
    "Answer",
    "Cosigned",
    "Held",
    "Opened",
    "Refused",
    "WitnessError",
    "WrongSize",
    "accepted_answer",
    "add_cosignatures",
    "format_add_checkpoint",
    "judge",
    "open_request",
    "parse_add_checkpoint",
    "read_answer",
]

MAX_REQUEST_BYTES: Final = 65_536
MAX_PROOF_LINES: Final = 63
TEXT_CONTENT: Final = "text/plain; charset=utf-8"
SIZE_CONTENT: Final = "text/x.tlog.size"
_MAX_WHY_CHARACTERS: Final = 200


class WitnessError(ProofError):
    """`witness-form`: a request of another form."""


@dataclass(frozen=True, slots=True)
class AddCheckpoint:
    """A request: cosign `checkpoint` (the note as it came), which `proof` leads to from size `old`."""

    old: int
    proof: tuple[Digest, ...]
    checkpoint: str


@dataclass(frozen=True, slots=True)
class Held:
    """Size and root of the newest checkpoint of a log that the witness cosigned."""

    size: int
    root: Digest


NOTHING_HELD: Final = Held(0, EMPTY_ROOT)


@dataclass(frozen=True, slots=True)
class Opened:
    """A request whose checkpoint `key`, a known key of the log, has signed. Nothing was compared yet."""

    request: AddCheckpoint
    note: Note
    checkpoint: Checkpoint
    key: VerifierKey


@dataclass(frozen=True, slots=True)
class Accepted:
    """The checkpoint follows from what was held: store `held`, then cosign `text`, then answer."""

    held: Held
    text: str


@dataclass(frozen=True, slots=True)
class Answer:
    """What a witness answers: an HTTP status, a body, and its content type."""

    status: int
    body: bytes
    content_type: str = TEXT_CONTENT


@dataclass(frozen=True, slots=True)
class Cosigned:
    """The witness cosigned at its time `at_s`; the line was checked."""

    line: NoteSignature
    at_s: int


@dataclass(frozen=True, slots=True)
class WrongSize:
    """The witness holds a checkpoint of another size, by its own word."""

    held: int


@dataclass(frozen=True, slots=True)
class Refused:
    """No cosignature; `reason` is the witness's own text, or what is wrong with its answer."""

    status: int
    reason: str


def format_add_checkpoint(request: AddCheckpoint) -> bytes:
    """Give the body of a request."""
    lines = [f"old {request.old}", *map(base64_text, request.proof)]
    return ("\n".join(lines) + "\n\n" + request.checkpoint).encode()


def parse_add_checkpoint(raw: bytes) -> AddCheckpoint:
    """Read the body of a request; the checkpoint in it is not looked at.

    Raises:
        WitnessError: `witness-form`.
    """
    if len(raw) > MAX_REQUEST_BYTES:
        raise WitnessError("witness-form", f"expected at most {MAX_REQUEST_BYTES} bytes, got {len(raw)}")
    try:
        head, blank, checkpoint = raw.decode().partition("\n\n")
    except UnicodeDecodeError as error:
        raise WitnessError("witness-form", "expected UTF-8, got other bytes") from error
    first, *lines = head.split("\n")
    old = decimal(first.removeprefix("old ")) if first.startswith("old ") else None
    if old is None or not blank:
        raise WitnessError(
            "witness-form", "expected a line old <size>, a proof and an empty line, got another"
        )
    path = [from_base64(line) for line in lines]
    proof = tuple(Digest(node) for node in path if node is not None and len(node) == HASH_BYTES)
    if len(proof) != len(path) or len(path) > MAX_PROOF_LINES:
        raise WitnessError("witness-form", f"expected at most {MAX_PROOF_LINES} hashes in base64, got others")
    return AddCheckpoint(old, proof, checkpoint)


def open_request(raw: bytes, logs: Mapping[str, Sequence[VerifierKey]]) -> Opened | Answer:
    """Judge a request by itself: form, origin, signature, and that `old` is no more than the size.

    `logs` has the keys that count for each origin that is witnessed. The answer, if there is one, says no.
    """
    try:
        request = parse_add_checkpoint(raw)
        note = parse_note(request.checkpoint)
        checkpoint = parse_checkpoint(note.text)
    except (WitnessError, NoteError, CheckpointError) as error:
        return _no(400, str(error))
    keys = logs.get(checkpoint.origin)
    if keys is None:
        return _no(404, f"expected a log that is witnessed here, got {checkpoint.origin!r}")
    try:
        key = verify_note(note, keys)[0].key
    except NoteError as error:
        return _no(403, str(error))
    if request.old > checkpoint.size:
        return _no(400, f"expected an old size up to {checkpoint.size}, got {request.old}")
    return Opened(request, note, checkpoint, key)


def judge(opened: Opened, held: Held | None) -> Accepted | Answer:
    """Judge an opened request by what the witness holds of that log, `None` if nothing yet.

    The caller compares and stores within one step: between two requests for one log nothing may come.
    """
    held = NOTHING_HELD if held is None else held
    request, checkpoint = opened.request, opened.checkpoint
    if request.old != held.size:
        return Answer(409, f"{held.size}\n".encode(), SIZE_CONTENT)
    if checkpoint.size == held.size and checkpoint.root != held.root:
        return _no(409, f"expected root {held.root.hex()} at size {held.size}, got {checkpoint.root.hex()}")
    try:
        verify_consistency((held.size, held.root), (checkpoint.size, checkpoint.root), request.proof)
    except TreeError as error:
        return _no(422, str(error))
    return Accepted(Held(checkpoint.size, checkpoint.root), opened.note.text)


def accepted_answer(cosignatures: Sequence[NoteSignature]) -> Answer:
    """Give the answer that carries the cosignatures of an accepted checkpoint, one at least."""
    return Answer(200, format_signatures(cosignatures).encode())


def read_answer(
    status: int, body: bytes, asked: tuple[Checkpoint, VerifierKey], *, now_s: int | None = None
) -> Cosigned | WrongSize | Refused:
    """Read a witness's answer; `asked` is the checkpoint that it was sent and the witness's key.

    Lines of other keys are passed over. With `now_s`, a cosignature too far ahead of it is refused.
    A 409 that names no size (another root at this size) is a refusal.
    """
    if len(body) > MAX_NOTE_BYTES:
        return Refused(status, f"expected at most {MAX_NOTE_BYTES} bytes, got {len(body)}")
    text = body.decode(errors="replace")
    if status == 409 and text.endswith("\n") and (held := decimal(text[:-1])) is not None:
        return WrongSize(held)
    if status != 200:
        return Refused(status, "".join(c for c in text[:_MAX_WHY_CHARACTERS] if c.isprintable()))
    checkpoint, key = asked
    try:
        lines = parse_signatures(text)
        verified = verify_note(Note(checkpoint_text(checkpoint), lines), [key])[0]
    except NoteError as error:
        return Refused(status, str(error))
    line = next(line for line in lines if (line.name, line.key_id) == (key.name, key.key_id))
    return _timed(status, verified, line, now_s)


def add_cosignatures(note: str, cosignatures: Sequence[NoteSignature]) -> str:
    """Give the signed checkpoint `note` with more signature lines under it.

    The lines of the log (named as its origin) come first, then the others by name and key id. Of a key the
    note's own line stays, and of several new ones the first.

    Raises:
        NoteError: `note-form`, `note` is none, or it would have too many lines.
    """
    parsed = parse_note(note)
    origin = parsed.text.partition("\n")[0]
    lines: dict[tuple[str, bytes], NoteSignature] = {}
    for line in (*parsed.signatures, *cosignatures):
        lines.setdefault((line.name, line.key_id), line)
    ordered = sorted(lines.values(), key=lambda line: (line.name != origin, line.name, line.key_id))
    merged = format_note(Note(parsed.text, tuple(ordered)))
    parse_note(merged)
    return merged


def _timed(
    status: int, verified: VerifiedSignature, line: NoteSignature, now_s: int | None
) -> Cosigned | Refused:
    if verified.at_s is None or not is_timely(verified.at_s, now_s):
        return Refused(status, f"expected a cosignature of our time, got one of {verified.at_s}")
    return Cosigned(line, verified.at_s)


def _no(status: int, why: str) -> Answer:
    return Answer(status, f"{why[:_MAX_WHY_CHARACTERS]}\n".encode())
