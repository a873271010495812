"""Which keys documents this member has signed (threshold SPEC 2): rows of the guard's own table.

A node knows it from its journal, but for a word that left just before a crash. Two documents of one
generation could both come into force, and nobody would know which of them counts.
"""

from __future__ import annotations

import sqlite3

from proofs.groupkeys import KeysDocument
from proofs.hashes import tagged
from relay.core.errors import GuardRefusal

__all__ = ["permit_keys"]

_GENERATION_BYTES = 8


def permit_keys(connection: sqlite3.Connection, document: KeysDocument) -> None:
    """Let a signature under a keys document out; the same again is let out again.

    Raises:
        GuardRefusal: `conflicting digest`: another one of its key epoch and generation was let out.
    """
    generation = document.generation.to_bytes(_GENERATION_BYTES)
    key = tagged("tocsin/keys-generation/1", document.network + generation)
    row = connection.execute(
        "SELECT digest FROM statement WHERE decision_id = ? AND key_epoch = ?", (key, document.key_epoch)
    ).fetchone()
    if row is None:
        # The column holds no time: what was signed here ends with no mandate.
        connection.execute(
            "INSERT INTO statement VALUES (?, ?, ?, 0)", (key, document.key_epoch, document.digest)
        )
    elif row[0] != document.digest:
        raise GuardRefusal(
            "conflicting digest",
            f"keys of epoch {document.key_epoch}, generation {document.generation}: "
            f"expected {row[0].hex()}, got {document.digest.hex()}",
        )
