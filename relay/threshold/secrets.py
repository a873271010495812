"""What a member keeps to itself in a ceremony, as pure functions of one seed (SPEC 3, *Secrets*).

Everything secret derives from the seed with the ceremony's id, what it is for and for whom: the same seed
says the same bytes again after a restart, and in another ceremony all of it is different. A seed is 32 bytes
from the signer's randomness.
"""

from __future__ import annotations

import hashlib
import hmac
from collections.abc import Callable, Mapping
from dataclasses import dataclass, field
from typing import Final

from proofs.canonical import encode
from proofs.groupkeys import KeysDocument, keys_signing_bytes
from proofs.kinds import Digest, Identity
from relay.threshold.boxes import open_box, pair_key, seal_box
from relay.threshold.checks import opened_shares, wrong_share
from relay.threshold.errors import ThresholdError
from relay.threshold.frost import sign_alone
from relay.threshold.keygen import commit_to, evaluate, proof_message, share_message
from relay.threshold.messages import Complaint, Deal, GroupDeal, Join, Transcript
from relay.threshold.record import Ceremony, Step
from relay.threshold.terms import Terms, group_of

__all__ = ["SEED_BYTES", "Shares", "deal_of", "join_of", "open_deals", "pair_secret", "transcript_of"]

SEED_BYTES: Final = 32
_TAG: Final = b"tocsin/ceremony-secret/1\n"


@dataclass(frozen=True, slots=True)
class Shares:
    """A receiver's shares of the keys of `document`, by group: scalars."""

    document: KeysDocument
    secrets: Mapping[str, int] = field(repr=False, hash=False)


def join_of(seed: bytes, terms: Terms, me: Identity) -> Join:
    """Give the pair keys of `me`: one for each dealer but itself, none for who receives nothing."""
    receives = me in terms.proposal.receivers
    dealers = terms.others(terms.proposal.dealers, me) if receives else ()
    return Join(terms.id, {dealer: pair_key(pair_secret(seed, terms.id, dealer)) for dealer in dealers})


def deal_of(seed: bytes, ceremony: Ceremony, me: Identity, old_shares: Mapping[str, int] | None) -> Deal:
    """Give the deal of `me` over everybody's joins; `old_shares` are those of the base, None in a DKG.

    Raises:
        ThresholdError: `ceremony` unless all have joined; `share` if an old share is not the one of the base.
    """
    joins, digest, terms = ceremony.joins(), ceremony.joins_digest(), ceremony.terms
    if joins is None or digest is None:
        raise ThresholdError("ceremony", "expected a good join of every participant before dealing")
    polynomials = _polynomials(seed, terms, me, old_shares)
    groups = tuple(_group_deal(seed, terms, me, name, polynomial) for name, polynomial in polynomials.items())
    sealed = {
        receiver: seal_box(
            _sub_shares(terms, receiver, polynomials),
            joins[receiver].pairs[me],
            _derive(seed, terms.id, "seal", receiver)[:32],
        )
        for receiver in terms.others(terms.proposal.receivers, me)
    }
    return Deal(terms.id, digest, groups, sealed)


def open_deals(
    seed: bytes, ceremony: Ceremony, me: Identity, old_shares: Mapping[str, int] | None
) -> Shares | tuple[Complaint, ...]:
    """Open all that was dealt to `me`: its shares, or a complaint about each dealer that dealt it wrong.

    Raises:
        ThresholdError: `ceremony` unless all have dealt; `share` if what `me` has said is not of this seed,
            so that nothing can be told of the others.
    """
    joins, deals, terms = ceremony.joins(), ceremony.deals(), ceremony.terms
    if joins is None or deals is None:
        raise ThresholdError("ceremony", "expected a good deal of every dealer before opening them")
    if joins[me] != join_of(seed, terms, me):
        raise ThresholdError("share", "expected the seed that the own join was made of, got another")
    dealt: dict[Identity, dict[str, int]] = {}
    wrong: list[Identity] = []
    for dealer, deal in deals.items():
        shares = _opened(seed, terms, me, dealer, deal, old_shares)
        if shares is None:
            wrong.append(dealer)
        else:
            dealt[dealer] = shares
    if not wrong:
        summed = _summed(terms, dealt)
        # What all of it adds up to is right: no dealer need be looked at.
        if ceremony.document is not None and _is_share(ceremony.document, me, summed):
            return Shares(ceremony.document, summed)
        wrong = [who for who, shares in dealt.items() if wrong_share(terms, me, deals[who], shares)]
    if not wrong or me in wrong:
        raise ThresholdError("share", "expected the own deal to be of this seed, got another")
    return tuple(_complaint(seed, ceremony, dealer) for dealer in sorted(wrong))


def transcript_of(
    seed: bytes, ceremony: Ceremony, me: Identity, shares: Shares, sign: Callable[[bytes], bytes]
) -> Transcript:
    """Give the word of `me` on the keys document; `sign` makes an Ed25519 signature by its identity key.

    The shares have to be on disk before what it gives leaves.

    Raises:
        ThresholdError: `share` if they are not shares of this ceremony's document.
    """
    document = shares.document
    if document.ceremony != ceremony.id or not _is_share(document, me, shares.secrets):
        raise ThresholdError("share", "expected shares of this ceremony's keys, got others")
    proofs = {
        name: sign_alone(
            group_of(name),
            share,
            share_message(document.digest, name, me),
            _derive(seed, ceremony.id, "share", name),
        )
        for name, share in shares.secrets.items()
    }
    return Transcript(ceremony.id, document.digest, sign(keys_signing_bytes(document.raw)), proofs)


# ---- what derives from the seed


def _derive(seed: bytes, ceremony: Digest, role: str, *index: str | bytes | int) -> bytes:
    """Give 64 bytes for one purpose."""
    if len(seed) != SEED_BYTES:
        raise ThresholdError("ceremony", f"expected a seed of {SEED_BYTES} bytes, got {len(seed)}")
    return hmac.digest(seed, _TAG + encode([ceremony, role, *index]), hashlib.sha512)


def pair_secret(seed: bytes, ceremony: Digest, dealer: Identity) -> bytes:
    """Give the X25519 secret (32 bytes) of the pair with this dealer."""
    return _derive(seed, ceremony, "pair", dealer)[:32]


def _polynomials(
    seed: bytes, terms: Terms, me: Identity, old_shares: Mapping[str, int] | None
) -> dict[str, tuple[int, ...]]:
    """Give the coefficients of each group's polynomial; in a reshare the first is the old share."""
    found: dict[str, tuple[int, ...]] = {}
    for name in terms.proposal.groups:
        group = group_of(name)
        # 512 bits modulo the order are even enough; zero would be the identity as a commitment.
        coefficients = [
            1 + int.from_bytes(_derive(seed, terms.id, "coefficient", name, k)) % (group.order - 1)
            for k in range(terms.threshold(name))
        ]
        public = terms.old_share(name, me)
        if public is not None:
            old = (old_shares or {}).get(name, 0)
            if not old or group.base(old) != public:
                raise ThresholdError("share", f"{name}: expected the share of the keys that are reshared")
            coefficients[0] = old
        found[name] = tuple(coefficients)
    return found


def _group_deal(seed: bytes, terms: Terms, me: Identity, name: str, polynomial: tuple[int, ...]) -> GroupDeal:
    group = group_of(name)
    commitments = commit_to(group, polynomial)
    message = proof_message(terms.id, me, name, commitments)
    nonce_seed = _derive(seed, terms.id, "proof", name)
    return GroupDeal(name, commitments, sign_alone(group, polynomial[0], message, nonce_seed))


def _sub_shares(terms: Terms, receiver: Identity, polynomials: Mapping[str, tuple[int, ...]]) -> bytes:
    at = terms.identifier(receiver)
    return b"".join(
        group_of(name).scalar_to_bytes(evaluate(group_of(name), polynomial, at))
        for name, polynomial in polynomials.items()
    )


def _opened(
    seed: bytes,
    terms: Terms,
    me: Identity,
    dealer: Identity,
    deal: Deal,
    old_shares: Mapping[str, int] | None,
) -> dict[str, int] | None:
    """Give the sub-shares of one dealer; None if its box does not open or holds none."""
    if dealer == me:
        return opened_shares(terms, _sub_shares(terms, me, _polynomials(seed, terms, me, old_shares)))
    secret = pair_secret(seed, terms.id, dealer)
    opening = open_box(deal.sealed[me], pair_key(secret), secret)
    if opening is None or opening.content is None:
        return None
    return opened_shares(terms, opening.content)


def _complaint(seed: bytes, ceremony: Ceremony, dealer: Identity) -> Complaint:
    deal = ceremony.word(Step.DEAL, dealer)
    assert deal is not None
    return Complaint(ceremony.id, dealer, deal.digest, pair_secret(seed, ceremony.id, dealer))


def _summed(terms: Terms, dealt: Mapping[Identity, Mapping[str, int]]) -> dict[str, int]:
    """Give the shares that the sub-shares of all dealers make."""
    summed: dict[str, int] = {}
    for name in terms.proposal.groups:
        weights = terms.weights(name)
        total = sum(weights[dealer] * shares[name] for dealer, shares in dealt.items())
        summed[name] = total % group_of(name).order
    return summed


def _is_share(document: KeysDocument, me: Identity, shares: Mapping[str, int]) -> bool:
    number = document.identifier(me)
    if number is None or tuple(sorted(shares)) != tuple(keys.name for keys in document.groups):
        return False
    return all(
        shares[keys.name] and group_of(keys.name).base(shares[keys.name]) == keys.shares[number - 1]
        for keys in document.groups
    )
