"""What makes a committee unfit although its document is in order (core SPEC 2.3)."""

from __future__ import annotations

from collections import Counter
from dataclasses import dataclass
from enum import StrEnum

from proofs.committee import CommitteeDocument, CommitteeMember
from proofs.kinds import Caip2

ENOUGH_MEMBERS = 7
"""With seven, two may be malicious, and no fast mandate rests on two members alone."""
ENOUGH_PROVIDERS = 3
"""With three, two must agree, so that none of them decides alone."""


class RefusalKind(StrEnum):
    FEW_MEMBERS = "too few members to arm a plan"
    ONE_OPERATOR = "one operator runs more than f members"
    ONE_PROVIDER = "one provider decides the reads of more than f members"


@dataclass(frozen=True, slots=True)
class Refusal:
    """Why not: `who` has power over `members` (names), on `chain` or on all of them (None)."""

    kind: RefusalKind
    who: str
    chain: Caip2 | None
    members: tuple[str, ...]
    bound: int

    def __str__(self) -> str:
        if self.kind is RefusalKind.FEW_MEMBERS:
            return f"expected at least {self.bound} members, got {len(self.members)}"
        over = "" if self.chain is None else f" of {self.chain}"
        names = ", ".join(self.members)
        return f"expected power over at most {self.bound} members' reads{over}, got {self.who} over {names}"


def committee_refusals(document: CommitteeDocument) -> tuple[Refusal, ...]:
    """Say whether the members are too few, and give all with power over the chain reads of more than f.

    The sizes of SPEC 2.3 are refused when a document is parsed. With `document.demo` these are warnings.
    Names are compared without regard to case.
    """
    operators = _over_bound(document, [(member.operator, member) for member in document.members])
    refusals = _few(document)
    refusals += [Refusal(RefusalKind.ONE_OPERATOR, who, None, names, document.f) for who, names in operators]
    chains = sorted({chain for member in document.members for chain in member.providers})
    for chain in chains:
        deciding = [
            (provider, member) for member in document.members for provider in _deciding(member, chain)
        ]
        refusals += [
            Refusal(RefusalKind.ONE_PROVIDER, who, chain, names, document.f)
            for who, names in _over_bound(document, deciding)
        ]
    return tuple(refusals)


def _few(document: CommitteeDocument) -> list[Refusal]:
    names = tuple(member.name for member in document.members)
    few = len(names) < ENOUGH_MEMBERS
    return [Refusal(RefusalKind.FEW_MEMBERS, "", None, names, ENOUGH_MEMBERS)] if few else []


def _deciding(member: CommitteeMember, chain: Caip2) -> tuple[str, ...]:
    """The providers any of which can make this member's reads wrong or absent."""
    declared = {provider.casefold(): provider for provider in member.providers.get(chain, ())}
    return tuple(declared.values()) if len(declared) < ENOUGH_PROVIDERS else ()


def _over_bound(
    document: CommitteeDocument, powers: list[tuple[str, CommitteeMember]]
) -> list[tuple[str, tuple[str, ...]]]:
    counts = Counter(who.casefold() for who, _ in powers)
    shown = {who.casefold(): who for who, _ in powers}
    return [
        (shown[folded], tuple(member.name for who, member in powers if who.casefold() == folded))
        for folded in sorted(counts)
        if counts[folded] > document.f
    ]


__all__ = ["ENOUGH_PROVIDERS", "Refusal", "RefusalKind", "committee_refusals"]
