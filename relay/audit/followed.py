"""What a follower remembers of each log: one file a log, replaced whole (SPEC 3)."""

from __future__ import annotations

import json
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path

from proofs.canonical import Value
from proofs.checkpoint import Checkpoint, SignedCheckpoint, open_checkpoint
from proofs.errors import ProofError
from proofs.fields import FieldError, Fields, fields_of
from proofs.nesting import json_value
from proofs.note import MAX_NOTE_BYTES, VerifierKey, format_verifier_key
from relay.audit.evidence import EVIDENCE, log_name
from relay.core.errors import ConfigError
from relay.disk import lock_file, make_directory, replace_file

__all__ = ["FOLLOWED_SCHEMA", "Followed", "convictions", "following", "read_followed", "write_followed"]

FOLLOWED_SCHEMA = "tocsin/followed/1"
MAX_STATE_BYTES = 8 * MAX_NOTE_BYTES
"""A note may be written in escapes of six characters."""
_LOCK = ".lock"
_MAX_DEPTH = 2
_MAX_TOKENS = 64
_MAX_TIME_S = 1 << 62
_KEYS = ("behind_since_s", "note", "schema", "seen_at_s", "source", "vkey")


@dataclass(frozen=True, slots=True)
class Followed:
    """One log at the last visit that found nothing against its history.

    `seen_at_s` is when that was, by our clock; `behind_since_s` when another log was first seen to grow since
    this one last did, None if none was; `source` showed this checkpoint.
    """

    note: str
    signed: SignedCheckpoint
    seen_at_s: int
    behind_since_s: int | None
    source: str

    @property
    def checkpoint(self) -> Checkpoint:
        """The checkpoint of that visit."""
        return self.signed.checkpoint


@contextmanager
def following(state: Path) -> Iterator[None]:
    """Hold the folder of what is remembered for this process alone; it is made if it is not there.

    Raises:
        ConfigError: another process follows from there.
        OSError: the disk refuses.
    """
    make_directory(state)
    with lock_file(state / _LOCK):
        yield


def read_followed(state: Path, log: VerifierKey) -> Followed | None:
    """Give what is remembered of a log; None before the first visit.

    Raises:
        ConfigError: the file cannot be read, or is not what was written.
    """
    path = _file(state, log)
    try:
        with path.open("rb") as file:
            data = file.read(MAX_STATE_BYTES + 1)
    except FileNotFoundError:
        return None
    except OSError as error:
        raise ConfigError(str(path), f"expected a state that can be read, got: {error.strerror}") from error
    try:
        value = json_value(data, max_bytes=MAX_STATE_BYTES, max_depth=_MAX_DEPTH, max_tokens=_MAX_TOKENS)
        return _followed(value, log)
    except (ValueError, ProofError) as error:
        raise ConfigError(
            str(path),
            f"expected what the last visit wrote, got: {str(error)[:200]}",
            remedy="keep the file for whoever asks how it changed, and move it away: then the next visit is"
            " the first",
        ) from error


def write_followed(state: Path, followed: Followed) -> None:
    """Remember a visit, durably, in place of the one before.

    Raises:
        OSError: the disk refuses; the old one stands.
    """
    log = followed.signed.log
    value = {
        "schema": FOLLOWED_SCHEMA,
        "vkey": format_verifier_key(log),
        "note": followed.note,
        "seen_at_s": followed.seen_at_s,
        "behind_since_s": followed.behind_since_s,
        "source": followed.source,
    }
    replace_file(_file(state, log), json.dumps(value, indent=1, sort_keys=True).encode() + b"\n")


def convictions(state: Path, log: VerifierKey) -> tuple[Path, ...]:
    """Give the evidence that was kept of forks of this log."""
    return tuple(sorted((state / EVIDENCE).glob(f"{log_name(log)}-fork-*.json")))


def _file(state: Path, log: VerifierKey) -> Path:
    return state / f"{log_name(log)}.json"


def _followed(value: Value, log: VerifierKey) -> Followed:
    fields = fields_of(value, "state", _KEYS)
    if fields.raw("schema") != FOLLOWED_SCHEMA or fields.raw("vkey") != format_verifier_key(log):
        raise FieldError("state", f"{FOLLOWED_SCHEMA} of {format_verifier_key(log)}", "another")
    note, source = fields.raw("note"), fields.raw("source")
    if not isinstance(note, str) or not isinstance(source, str):
        raise FieldError(fields.path("note"), "a signed note, and its source", "another")
    # SECURITY: the log's signature stands in it, so a state that was altered is not taken for one.
    signed = open_checkpoint(note, [log])
    behind = None if fields.is_nil("behind_since_s") else _time(fields, "behind_since_s")
    return Followed(note, signed, _time(fields, "seen_at_s"), behind, source)


def _time(fields: Fields, key: str) -> int:
    return fields.integer(key, maximum=_MAX_TIME_S)
