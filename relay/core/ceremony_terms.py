"""From what an operator asks for to a proposal (threshold SPEC 3): who deals, who receives, which keys."""

from __future__ import annotations

from collections.abc import Collection, Sequence
from dataclasses import dataclass
from typing import Final

from proofs.committee import CommitteeDocument
from proofs.groupkeys import GROUP_NAMES, KeysDocument
from proofs.hashes import sha256
from relay.core.errors import TocsinError
from relay.core.types import Identity, Millis
from relay.threshold.messages import Proposal, RotationTerms
from relay.threshold.terms import MAX_ROTATION_S

__all__ = ["DEFAULT_GROUPS", "CeremonyWish", "WishRefused", "propose_dkg", "propose_reshare"]

DEFAULT_GROUPS: Final = ("fast", "full")
SALT_BYTES: Final = 16


class WishRefused(TocsinError):
    """No proposal can be made of what was asked for; `remedy` says what to do."""

    def __init__(self, problem: str, remedy: str = "") -> None:
        super().__init__(problem)
        self.remedy = remedy


@dataclass(frozen=True, slots=True)
class CeremonyWish:
    """What an operator asks for; members by name. `groups` empty means both tiers on secp256k1."""

    without: tuple[str, ...]
    replace: tuple[str, ...]
    groups: tuple[str, ...]
    rotation: RotationTerms | None
    deadline_ms: Millis
    generation: int
    """Higher than any of which somebody may have signed a document."""
    salt: bytes


def propose_dkg(wish: CeremonyWish, committee: CommitteeDocument, in_force: CommitteeDocument) -> Proposal:
    """Make the proposal of new keys for `committee`, which may be the next one.

    Raises:
        WishRefused: a name is no member's, too few are left, or the rotation terms are missing or out of
            place.
    """
    if wish.replace:
        raise WishRefused("replace: expected a reshare, got new keys", "use: tocsin ceremony reshare")
    _check_rotation(wish, committee, in_force)
    receivers = _members(committee, _named(committee, wish.without, "without"))
    return _proposal(wish, committee, dealers=receivers, receivers=receivers)


def propose_reshare(wish: CeremonyWish, committee: CommitteeDocument, base: KeysDocument | None) -> Proposal:
    """Make the proposal of new shares of the keys `base` for `committee`.

    Raises:
        WishRefused: there is no such base, a name is no member's, or too few can deal or are left.
    """
    if base is None or base.key_epoch != committee.key_epoch:
        problem = f"expected keys of key epoch {committee.key_epoch} to reshare, got none in force here"
        raise WishRefused(problem, "make keys first: tocsin ceremony start")
    if wish.rotation is not None:
        raise WishRefused("rotation: expected none, got one: a reshare changes no key on any chain")
    left_out = _named(committee, wish.without, "without")
    silent = left_out | _named(committee, wish.replace, "replace")
    dealers = tuple(holder for holder in base.holders if holder not in silent)
    least = max(group.threshold for group in base.groups)
    if len(dealers) < least:
        problem = f"expected at least {least} members that hold shares and deal, got {len(dealers)}"
        raise WishRefused(problem, "with fewer the keys cannot be shared anew: make new ones and rotate")
    return _proposal(wish, committee, dealers=dealers, receivers=_members(committee, left_out), base=base)


def _proposal(
    wish: CeremonyWish,
    committee: CommitteeDocument,
    *,
    dealers: Sequence[Identity],
    receivers: Sequence[Identity],
    base: KeysDocument | None = None,
) -> Proposal:
    if len(receivers) < committee.full:
        problem = f"expected at least {committee.full} members to hold shares, got {len(receivers)}"
        raise WishRefused(problem, "leave fewer out: without them no full mandate could be signed")
    asked = wish.groups or DEFAULT_GROUPS
    groups = tuple(group.name for group in base.groups) if base is not None else tuple(sorted(set(asked)))
    unknown = [name for name in groups if name not in GROUP_NAMES]
    if unknown or not set(DEFAULT_GROUPS) <= set(groups):
        problem = f"groups: expected fast and full, and of {', '.join(GROUP_NAMES)}, got {', '.join(groups)}"
        raise WishRefused(problem)
    assert len(wish.salt) == SALT_BYTES, "a salt has 16 bytes"
    return Proposal(
        network=committee.network,
        committee=sha256(committee.raw),
        committee_epoch=committee.committee_epoch,
        key_epoch=committee.key_epoch,
        generation=wish.generation,
        base=None if base is None else base.digest,
        dealers=tuple(sorted(dealers)),
        receivers=tuple(sorted(receivers)),
        groups=groups,
        rotation=wish.rotation,
        deadline_ms=wish.deadline_ms,
        salt=wish.salt,
    )


def _check_rotation(wish: CeremonyWish, committee: CommitteeDocument, in_force: CommitteeDocument) -> None:
    """A proposal for the next key epoch, and no other, says when verifiers are told (SPEC 5)."""
    is_next = committee.key_epoch == in_force.key_epoch + 1
    if is_next and wish.rotation is None:
        problem = (
            f"expected the time in which verifiers are told of key epoch {committee.key_epoch}, got none"
        )
        raise WishRefused(problem, "give --rotate-from and --rotate-until")
    if not is_next and wish.rotation is not None:
        problem = f"expected no rotation: key epoch {committee.key_epoch} is not the next one"
        raise WishRefused(problem, "leave --rotate-from and --rotate-until away")
    if wish.rotation is not None:
        _check_window(wish.rotation, wish.deadline_ms // 1_000 + MAX_ROTATION_S)


def _check_window(rotation: RotationTerms, latest: int) -> None:
    if rotation.not_after <= rotation.not_before:
        raise WishRefused("rotation: expected an end after its beginning, got none")
    if rotation.not_after > latest:
        problem = f"rotation: expected an end by {latest}, got {rotation.not_after}"
        raise WishRefused(problem, "give times soon after the ceremony's deadline")


def _named(committee: CommitteeDocument, names: Collection[str], where: str) -> frozenset[Identity]:
    by_name = {member.name: member.identity for member in committee.members}
    unknown = sorted(set(names) - by_name.keys())
    if unknown:
        problem = f"{where}: expected members of {committee.name}, got {', '.join(unknown)}"
        raise WishRefused(problem, f"they are {', '.join(sorted(by_name))}")
    return frozenset(by_name[name] for name in names)


def _members(committee: CommitteeDocument, left_out: frozenset[Identity]) -> tuple[Identity, ...]:
    return tuple(member.identity for member in committee.members if member.identity not in left_out)
