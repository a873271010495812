"""Polynomials and commitments to them: the arithmetic of the ceremony (SPEC 3), with nobody in it.

A polynomial is its coefficients, the constant term first; its commitments are the coefficients times the
base point. A value that is the identity is `None` here, since it has no encoding: an honest dealer gives
none, and a dishonest one must not stop the others from finding out who it was.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence

from proofs.canonical import encode
from proofs.groupkeys import KeyGroup, KeysDocument, KeysStatement, build_keys, group_suite
from proofs.hashes import tagged
from proofs.kinds import Digest, Identity
from relay.threshold.errors import ThresholdError
from relay.threshold.groups import Group
from relay.threshold.messages import Deal, GroupDeal
from relay.threshold.terms import Terms, group_of

__all__ = [
    "combine",
    "commit_to",
    "derive_keys",
    "evaluate",
    "evaluate_commitments",
    "fits",
    "group_deal",
    "proof_message",
    "share_message",
]


def evaluate(group: Group, coefficients: Sequence[int], at: int) -> int:
    """Give the value of the polynomial at `at`, by Horner's rule."""
    value = 0
    for coefficient in reversed(coefficients):
        value = (value * at + coefficient) % group.order
    return value


def commit_to(group: Group, coefficients: Sequence[int]) -> tuple[bytes, ...]:
    """Give the commitments to a polynomial (Feldman); no coefficient is zero."""
    return tuple(group.base(coefficient) for coefficient in coefficients)


def evaluate_commitments(group: Group, commitments: Sequence[bytes | None], at: int) -> bytes | None:
    """Give the polynomial's value at `at` times the base point, from the commitments alone."""
    terms: list[tuple[int, bytes | None]] = []
    power = 1
    for commitment in commitments:
        terms.append((power, commitment))
        power = power * at % group.order
    return _weighted_sum(group, terms)


def combine(
    group: Group, commitments: Mapping[Identity, Sequence[bytes]], weights: Mapping[Identity, int]
) -> tuple[bytes | None, ...]:
    """Give the commitments to the weighted sum of all dealers' polynomials, which are of one degree."""
    columns = zip(*(commitments[dealer] for dealer in sorted(commitments)), strict=True)
    ordered = [weights[dealer] for dealer in sorted(commitments)]
    return tuple(_weighted_sum(group, list(zip(ordered, column, strict=True))) for column in columns)


def fits(group: Group, commitments: Sequence[bytes], at: int, share: int) -> bool:
    """Tell whether `share` is the value at `at` of the polynomial behind the commitments, and not zero."""
    return bool(share) and group.base(share) == evaluate_commitments(group, commitments, at)


def _weighted_sum(group: Group, terms: Sequence[tuple[int, bytes | None]]) -> bytes | None:
    """Give the sum of the points, each times its weight; a term that is None counts nothing."""
    points = [
        point if weight == 1 else group.multiply(point, weight)
        for weight, point in terms
        if point is not None and weight % group.order
    ]
    try:
        return group.add(points)
    except ThresholdError as error:
        if error.check != "identity-point":
            raise
        return None


def proof_message(ceremony: Digest, dealer: Identity, name: str, commitments: Sequence[bytes]) -> Digest:
    """Give what a dealer signs with its constant term."""
    return tagged("tocsin/ceremony-proof/1", encode([ceremony, dealer, name, list(commitments)]))


def share_message(document: Digest, name: str, receiver: Identity) -> Digest:
    """Give what a receiver signs with its share, to show that it has it."""
    return tagged("tocsin/ceremony-share/1", encode([document, name, receiver]))


def group_deal(deal: Deal, name: str) -> GroupDeal:
    """Give what the deal says of the group of that name; it has been checked to say something."""
    return next(group for group in deal.groups if group.name == name)


def derive_keys(terms: Terms, transcript: Digest, deals: Mapping[Identity, Deal]) -> KeysDocument | None:
    """Give the keys document that all dealers' commitments make; `deals` passed `check_deal`.

    None: a key or a share would be the identity. Commitments can be made so, but no sub-shares to them.

    Raises:
        ThresholdError: `ceremony` if a reshare gave another group key: the base is not on one polynomial.
    """
    groups: list[KeyGroup] = []
    for name in terms.proposal.groups:
        made = _key_group(terms, name, deals)
        if made is None:
            return None
        groups.append(made)
    proposal = terms.proposal
    return build_keys(
        KeysStatement(
            network=proposal.network,
            ceremony=terms.id,
            transcript=transcript,
            committee_epoch=proposal.committee_epoch,
            key_epoch=proposal.key_epoch,
            generation=proposal.generation,
            holders=proposal.receivers,
            groups=tuple(groups),
        )
    )


def _key_group(terms: Terms, name: str, deals: Mapping[Identity, Deal]) -> KeyGroup | None:
    group = group_of(name)
    commitments = {dealer: group_deal(deal, name).commitments for dealer, deal in deals.items()}
    combined = combine(group, commitments, terms.weights(name))
    key = combined[0]
    count = len(terms.proposal.receivers)
    shares = [evaluate_commitments(group, combined, at) for at in range(1, count + 1)]
    known = tuple(share for share in shares if share is not None)
    if key is None or len(known) != count:
        return None
    old = None if terms.base is None else terms.base.group(name)
    if old is not None and old.key != key:
        raise ThresholdError("ceremony", f"{name}: expected the group key that is reshared, got another")
    return KeyGroup(name, group_suite(name), terms.threshold(name), key, known)
