"""A proposal beside the documents that it names: who deals, who receives, with which thresholds (SPEC 3)."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from typing import Final

from proofs.committee import CommitteeDocument
from proofs.groupkeys import KeysDocument, group_suite, group_tier
from proofs.hashes import sha256, tagged
from proofs.kinds import Digest, Identity
from relay.threshold.bodies import ceremony_id
from relay.threshold.errors import ThresholdError
from relay.threshold.frost import lagrange
from relay.threshold.groups import GROUPS, Group
from relay.threshold.messages import Proposal, RotationTerms

__all__ = ["MAX_ROTATION_S", "Terms", "group_of", "joins_digest", "open_terms", "transcript_digest"]

MAX_ROTATION_S: Final = 90 * 86_400
"""How long after a ceremony's deadline its rotations end at the latest: meanwhile no member signs another."""


@dataclass(frozen=True, slots=True)
class Terms:
    """What a ceremony is about, checked by `open_terms`; `base` is the keys document that is reshared."""

    id: Digest
    proposal: Proposal
    committee: CommitteeDocument
    base: KeysDocument | None

    @property
    def participants(self) -> tuple[Identity, ...]:
        """Dealers and receivers, ascending: all who join."""
        return tuple(sorted({*self.proposal.dealers, *self.proposal.receivers}))

    def threshold(self, name: str) -> int:
        """Give how many holders sign with the group of that name, by the size of the new committee."""
        return self.committee.threshold(group_tier(name))

    def identifier(self, receiver: Identity) -> int:
        """Give the number, from 1 on, at which polynomials are evaluated for a receiver."""
        return self.proposal.receivers.index(receiver) + 1

    def others(self, identities: tuple[Identity, ...], me: Identity) -> tuple[Identity, ...]:
        """Give `identities` without `me`."""
        return tuple(identity for identity in identities if identity != me)

    def weights(self, name: str) -> dict[Identity, int]:
        """Give by what each dealer's polynomial counts: 1 in a DKG, its Lagrange coefficient in a reshare."""
        if self.base is None:
            return dict.fromkeys(self.proposal.dealers, 1)
        group = group_of(name)
        numbers = {dealer: self.base.holders.index(dealer) + 1 for dealer in self.proposal.dealers}
        return {
            dealer: lagrange(group, number, tuple(numbers.values())) for dealer, number in numbers.items()
        }

    def old_share(self, name: str, dealer: Identity) -> bytes | None:
        """Give the dealer's verification share in `base`; None in a DKG."""
        if self.base is None:
            return None
        group = self.base.group(name)
        assert group is not None
        return group.shares[self.base.holders.index(dealer)]


def group_of(name: str) -> Group:
    """Give the group that the keys of that name live in."""
    return GROUPS[group_suite(name).value]


def joins_digest(joins: Mapping[Identity, Digest]) -> Digest:
    """Give what a deal names the joins by, from the digests of all of them."""
    return tagged("tocsin/ceremony-joins/1", b"".join(joins[author] for author in sorted(joins)))


def transcript_digest(
    ceremony: Digest, joins: Mapping[Identity, Digest], deals: Mapping[Identity, Digest]
) -> Digest:
    """Give what the keys document names the whole ceremony by, from the digests of joins and deals."""
    parts = [ceremony]
    parts += [joins[author] for author in sorted(joins)]
    parts += [deals[author] for author in sorted(deals)]
    return tagged("tocsin/ceremony-transcript/1", b"".join(parts))


def open_terms(
    proposer: Identity, proposal: Proposal, committee: CommitteeDocument, base: KeysDocument | None
) -> Terms:
    """Check a proposal against the committee document and the keys document that it names (SPEC 3).

    `base` is not looked at unless the proposal names one.

    Raises:
        ThresholdError: `ceremony`, with what the proposal should have said.
    """
    _check_committee(proposal, committee)
    if not proposal.groups:
        raise _unfit("at least one group", "none")
    if proposal.base is None:
        _check_new(proposal, committee)
        named = None
    else:
        named = _named_base(proposal, base)
        _check_reshared(proposal, committee, named)
        _check_holders(proposal, named)
    return Terms(ceremony_id(proposal, proposer), proposal, committee, named)


def _check_committee(proposal: Proposal, committee: CommitteeDocument) -> None:
    if proposal.network != committee.network:
        raise _unfit(f"network {committee.network.hex()}", proposal.network.hex())
    if proposal.committee != sha256(committee.raw):
        raise _unfit("the digest of the committee document at hand", proposal.committee.hex())
    epochs = (committee.committee_epoch, committee.key_epoch)
    if (proposal.committee_epoch, proposal.key_epoch) != epochs:
        stated = (proposal.committee_epoch, proposal.key_epoch)
        raise _unfit(f"committee and key epoch {epochs}", f"{stated}")
    for receiver in proposal.receivers:
        if committee.member(receiver) is None:
            raise _unfit("members of the committee as receivers", receiver.hex())
    if len(proposal.receivers) < committee.full:
        raise _unfit(
            f"at least {committee.full} receivers, else no full mandate could be signed",
            f"{len(proposal.receivers)}",
        )
    if proposal.rotation is not None:
        _check_rotation(proposal.rotation, proposal.deadline_ms // 1_000 + MAX_ROTATION_S)


def _check_rotation(rotation: RotationTerms, latest: int) -> None:
    if rotation.not_after <= rotation.not_before:
        raise _unfit("a rotation that ends after it begins", f"{rotation.not_before} to {rotation.not_after}")
    if rotation.not_after > latest:
        raise _unfit(f"a rotation that ends by {latest}", f"{rotation.not_after}")


def _check_new(proposal: Proposal, committee: CommitteeDocument) -> None:
    for dealer in proposal.dealers:
        if dealer not in proposal.receivers:
            raise _unfit("dealers of new keys among the receivers", dealer.hex())
    # One of f+1 is honest, so that nobody knows the group key.
    if len(proposal.dealers) <= committee.f:
        raise _unfit(f"at least {committee.f + 1} dealers", f"{len(proposal.dealers)}")


def _named_base(proposal: Proposal, base: KeysDocument | None) -> KeysDocument:
    if base is None or base.digest != proposal.base:
        got = "none" if base is None else base.digest.hex()
        raise _unfit("the keys document that is reshared at hand", got)
    return base


def _check_reshared(proposal: Proposal, committee: CommitteeDocument, base: KeysDocument) -> None:
    if base.network != proposal.network or base.key_epoch != proposal.key_epoch:
        raise _unfit("keys of this network and key epoch", f"keys of key epoch {base.key_epoch}")
    if base.committee_epoch > committee.committee_epoch:
        raise _unfit(f"a committee epoch from {base.committee_epoch} on", f"{committee.committee_epoch}")
    if proposal.generation <= base.generation:
        raise _unfit(f"a generation above {base.generation}", f"{proposal.generation}")
    if tuple(group.name for group in base.groups) != proposal.groups:
        raise _unfit("the groups of the keys that are reshared", ", ".join(proposal.groups))
    if proposal.rotation is not None:
        raise _unfit("no rotation with a reshare: the group keys stay as they are", "one")


def _check_holders(proposal: Proposal, base: KeysDocument) -> None:
    for dealer in proposal.dealers:
        if base.identifier(dealer) is None:
            raise _unfit("holders of the keys as dealers", dealer.hex())
    needed = max(group.threshold for group in base.groups)
    if len(proposal.dealers) < needed:
        raise _unfit(f"at least {needed} dealers, else the keys are not theirs", f"{len(proposal.dealers)}")


def _unfit(expected: str, got: str) -> ThresholdError:
    return ThresholdError("ceremony", f"the proposal: expected {expected}, got {got}")
