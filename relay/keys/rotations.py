"""Which rotations of verifiers the attester key may sign (threshold SPEC 5): rows of the guard's own table.

A verifier takes one rotation to an epoch. Two with other keys whose times overlap could land on different
chains, or one after another look like a choice; so the guard holds one, and lets out another only for a time
after it. The rows of one verifier and epoch are linked: the key of the next is made of the one before.
"""

from __future__ import annotations

import sqlite3

from proofs.hashes import tagged
from relay.core.errors import GuardRefusal
from relay.core.rotations import RotationWords
from relay.core.types import Digest

__all__ = ["permit_rotation"]

MAX_ROWS = 64
"""Of one verifier and epoch: nobody announces the same epoch so often."""


def permit_rotation(connection: sqlite3.Connection, words: RotationWords, digest: Digest) -> None:
    """Let a rotation out; the same again is let out again.

    Raises:
        GuardRefusal: `conflicting digest`: another one was let out whose time is not over when this begins;
            `older than the watermark`.
    """
    key = tagged("tocsin/rotation/1", words.network + words.place)
    for _ in range(MAX_ROWS):
        row = connection.execute(
            "SELECT digest, not_before FROM statement WHERE decision_id = ? AND key_epoch = ?",
            (key, words.new_epoch),
        ).fetchone()
        if row is None:
            _check_watermark(connection, words)
            # The column holds the rotation's end: the next may begin after it.
            connection.execute(
                "INSERT INTO statement VALUES (?, ?, ?, ?)", (key, words.new_epoch, digest, words.not_after)
            )
            return
        held, until = row
        if held == digest:
            return
        if until >= words.not_before:
            raise GuardRefusal(
                "conflicting digest", f"expected {held.hex()} until {until}, got {digest.hex()}"
            )
        key = tagged("tocsin/rotation/1", key + held)
    raise GuardRefusal("conflicting digest", f"expected at most {MAX_ROWS} rotations to one epoch, got more")


def _check_watermark(connection: sqlite3.Connection, words: RotationWords) -> None:
    (watermark,) = connection.execute("SELECT watermark FROM guard").fetchone()
    if words.not_before < watermark:
        raise GuardRefusal(
            "older than the watermark", f"expected at least {watermark}, got {words.not_before}"
        )
