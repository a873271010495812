"""What a node tells of logs through `/v1/log`: its own, those it witnesses, forks, debts."""

from __future__ import annotations

from collections.abc import Mapping, Sequence

from proofs.checkpoint import Checkpoint
from proofs.errors import ProofError
from proofs.note import VerifierKey, format_verifier_key, parse_note, verify_note
from relay.api import Json
from relay.core.node import Node
from relay.journal import AuditLog
from relay.witness.desk import WitnessDesk
from relay.witness.logs import Quorum
from relay.witness.pushing import Publisher

__all__ = ["cosigners_of", "log_view"]


def log_view(
    node: Node, audit: AuditLog, publisher: Publisher, desk: WitnessDesk, quorum: Quorum
) -> Mapping[str, Json]:
    """Give the document, without its schema."""
    signed, published = publisher.pending, audit.published
    witnesses = publisher.witnesses()
    return {
        "log": {
            "origin": audit.origin,
            "vkey": audit.vkey,
            "quorum": quorum.threshold,
            "of": len(quorum.cosigners),
            "signed": None if signed is None else _checkpoint(signed.checkpoint),
            "published": None if published is None else _checkpoint(published.checkpoint),
            "cosigned": [] if published is None else cosigners_of(published.note, witnesses),
            "missing": [
                {"name": each.key.name, "since_ms": each.since_ms, "reason": each.reason}
                for each in publisher.missing()
            ],
            "waiting_ms": publisher.waiting_ms(),
            "stopped": publisher.stopped,
        },
        "witness": {"working": desk.is_working},
        "witnessed": [
            {
                "origin": key.name,
                "vkey": format_verifier_key(key),
                "size": row.held.size,
                "root": row.held.root.hex(),
                "at_s": row.at_s,
            }
            for key, row in desk.held().items()
        ],
        "forks": [
            {
                "origin": fork.origin,
                "vkey": format_verifier_key(key),
                "size": fork.size,
                "roots": [fork.first_root.hex(), fork.second_root.hex()],
            }
            for key, fork in node.forks.items()
        ],
        "debts": [
            {
                "origin": debt.key.name,
                "size": debt.size,
                "root": debt.root.hex(),
                "since_ms": debt.since_ms,
                "owes": debt.owes,
            }
            for debt in desk.debts()
        ],
    }


def cosigners_of(note: str, witnesses: Sequence[VerifierKey]) -> list[Mapping[str, Json]]:
    """Give who of these has cosigned a note, with the time in the cosignature."""
    try:
        verified = verify_note(parse_note(note), witnesses)
    except ProofError:
        return []  # none of them; the note is our own
    return [{"name": each.key.name, "at_s": each.at_s} for each in verified]


def _checkpoint(checkpoint: Checkpoint) -> Mapping[str, Json]:
    return {"size": checkpoint.size, "root": checkpoint.root.hex()}
