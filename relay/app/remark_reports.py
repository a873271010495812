"""What members remark of a decision, for people: who was absent, who is accused, which blocks are final."""

from __future__ import annotations

from collections.abc import Mapping

from relay.api import Json
from relay.core.incidents import DecisionState
from relay.core.messages import Absence, Accusation, Header
from relay.core.node import Node
from relay.core.types import BlockRef

__all__ = ["remarks_about"]


def remarks_about(node: Node, state: DecisionState) -> Mapping[str, Json]:
    """Give `absent`, `accused` and `final`, each with the members who say so."""
    name_of = node.committees.name_of
    absent: list[Json] = []
    accused: list[Json] = []
    final: dict[BlockRef, list[str]] = {}
    for author, remark in node.hearing.remarks.about(state.id):
        match remark:
            case Absence(_, members):
                absent.append({"by": name_of(author), "members": [name_of(each) for each in members]})
            case Accusation(_, member, reason, evidence):
                accused.append(
                    {
                        "by": name_of(author),
                        "member": name_of(member),
                        "reason": reason,
                        "evidence": evidence.hex(),
                    }
                )
            case Header(_, _, block):
                final.setdefault(block, []).append(name_of(author))
    blocks = sorted(final, key=lambda block: (block.chain, block.number, block.hash))
    return {
        "absent": absent,
        "accused": accused,
        "final": [
            {
                "chain": block.chain,
                "number": block.number,
                "hash": block.hash.hex(),
                "members": sorted(final[block]),
            }
            for block in blocks
        ],
    }
