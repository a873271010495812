"""Which nonces have signed: rows of the guard's file, one per commitment and unique (threshold SPEC 4).

A nonce itself is in memory alone. What is written here survives a process image that is put back.
"""

from __future__ import annotations

import sqlite3
from dataclasses import dataclass
from typing import Final

from proofs.hashes import tagged
from relay.core.errors import GuardRefusal
from relay.core.types import Digest

__all__ = ["SPENT_TABLES", "Spending", "begin_boot", "raise_boot", "spend"]

SPENT_TABLES: Final = (
    "CREATE TABLE spent (nonce BLOB NOT NULL PRIMARY KEY, digest BLOB NOT NULL) STRICT, WITHOUT ROWID",
    # How often a signer was opened with this file: nonces of an earlier time are dead.
    "CREATE TABLE signer (one INTEGER PRIMARY KEY CHECK (one = 1), boot INTEGER NOT NULL) STRICT",
    "INSERT INTO signer VALUES (1, 0)",
)


@dataclass(frozen=True, slots=True)
class Spending:
    """The use of one nonce pair, known by its commitments, for a signature over `digest`."""

    hiding: bytes
    binding: bytes
    digest: Digest
    boot: int

    @property
    def nonce(self) -> Digest:
        """What the row is known by."""
        return tagged("tocsin/nonce/1", self.hiding + self.binding)


def begin_boot(connection: sqlite3.Connection) -> int:
    """Count a signer's start, and give its number; from 1 on."""
    connection.execute("UPDATE signer SET boot = boot + 1")
    (boot,) = connection.execute("SELECT boot FROM signer").fetchone()
    return int(boot)


def raise_boot(connection: sqlite3.Connection, least: int) -> None:
    """Count on from `least` where that is more: a copy that is put back does not know of the later starts."""
    connection.execute("UPDATE signer SET boot = max(boot, ?)", (least,))


def spend(connection: sqlite3.Connection, spending: Spending) -> None:
    """Note that a nonce is used; never pruned.

    Raises:
        GuardRefusal: `nonce dead` (a signer was started since), `nonce spent`.
    """
    (boot,) = connection.execute("SELECT boot FROM signer").fetchone()
    # SECURITY: a process image that is put back after another start has the nonces of a lower boot.
    if boot != spending.boot:
        raise GuardRefusal("nonce dead", f"expected boot {boot}, got {spending.boot}")
    row = connection.execute("SELECT 1 FROM spent WHERE nonce = ?", (spending.nonce,)).fetchone()
    if row is not None:
        raise GuardRefusal("nonce spent", "expected a nonce that was never used, got one that was")
    connection.execute("INSERT INTO spent VALUES (?, ?)", (spending.nonce, spending.digest))
