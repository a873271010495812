"""What a member's operator can do to his own database while his node is stopped."""

from __future__ import annotations

import shutil
import sqlite3
from collections.abc import Iterator
from contextlib import closing, contextmanager
from dataclasses import replace

from nacl.signing import SigningKey

from adapters.evm.demo.network import Member
from proofs.checkpoint import Checkpoint, checkpoint_text, parse_checkpoint
from proofs.envelope import assemble_envelope, build_payload, parse_envelope, signing_bytes
from proofs.hashes import sha256
from proofs.kinds import Millis
from proofs.note import KeyKind, Note, format_note, note_signature, parse_note, verifier_key
from proofs.tree import CompactRange, leaf_digest, range_to_bytes
from relay.keys import Secret
from relay.keys.keyring import open_keyring

__all__ = ["flip_a_byte", "rewrite_history"]


@contextmanager
def _journal(member: Member) -> Iterator[sqlite3.Connection]:
    with closing(sqlite3.connect(member.directory.journal_file, timeout=30)) as journal, journal:
        yield journal


def flip_a_byte(member: Member) -> None:
    """Change one bit in the middle of a published statement, and nothing else; twice is as if never."""
    with _journal(member) as journal:
        number, raw = journal.execute(
            "SELECT number, bytes FROM envelope WHERE log_index IS NOT NULL ORDER BY log_index LIMIT 1"
        ).fetchone()
        altered = bytearray(raw)
        altered[len(raw) // 2] ^= 0x01
        journal.execute("UPDATE envelope SET bytes = ? WHERE number = ?", (bytes(altered), number))


def rewrite_history(member: Member, passphrase: str) -> Checkpoint:
    """Let a member have said something else than it did, wherever it keeps that; gives the log's new end.

    One of its own published statements gets another time, under its own signature; the log is made anew as
    large as it was, signed with its own key and served; its own witness remembers nothing.
    """
    directory = member.directory
    keys = open_keyring(directory.keys, Secret(passphrase.encode()))
    checkpoint = directory.log / "checkpoint"
    served = parse_checkpoint(parse_note(checkpoint.read_text()).text)
    with _journal(member) as journal:
        _restate(journal, member, keys.identity)
        entries = journal.execute(
            "SELECT bytes FROM envelope WHERE log_index < ? ORDER BY log_index", (served.size,)
        )
        tree = CompactRange()
        for (raw,) in entries.fetchall():
            tree = tree.append(leaf_digest(raw))
        journal.execute("UPDATE meta SET value = ? WHERE key = 'log/signed'", (range_to_bytes(tree),))
    for file in directory.journal_file.parent.glob("witness.sqlite*"):
        file.unlink()
    shutil.rmtree(directory.log)
    directory.log.mkdir()
    new = Checkpoint(served.origin, tree.size, tree.root())
    assert (new.size, new.root == served.root) == (served.size, False)
    text, key = checkpoint_text(new), verifier_key(served.origin, KeyKind.ED25519, member.public.log)
    signature = keys.log.sign(text.encode()).signature
    checkpoint.write_text(format_note(Note(text, (note_signature(key, signature),))))
    return new


def _restate(journal: sqlite3.Connection, member: Member, identity: SigningKey) -> None:
    """Give the first statement of the member's own that is published another time, a millisecond later."""
    rows = journal.execute(
        "SELECT number, bytes FROM envelope WHERE log_index IS NOT NULL ORDER BY log_index"
    ).fetchall()
    number, raw = next(row for row in rows if parse_envelope(row[1]).fields.author == member.public.identity)
    fields = parse_envelope(raw).fields
    payload = build_payload(replace(fields, at_ms=Millis(fields.at_ms + 1)))
    restated = assemble_envelope(payload, identity.sign(signing_bytes(payload)).signature)
    assert len(restated) == len(raw), "the event around it stays as it is"
    journal.execute(
        "UPDATE envelope SET bytes = ?, digest = ? WHERE number = ?", (restated, sha256(restated), number)
    )
