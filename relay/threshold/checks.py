"""Who is at fault: each message of a ceremony judged against the proposal and what came before (SPEC 3).

A check gives what is wrong in words, or None. All of it follows from what the author signed, so that
whoever has the envelopes comes to the same judgement.
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from typing import Final

from nacl.exceptions import BadSignatureError
from nacl.exceptions import ValueError as NaclValueError
from nacl.signing import VerifyKey

from proofs.groupkeys import KeysDocument, keys_signing_bytes
from proofs.kinds import Identity
from relay.threshold import frost
from relay.threshold.boxes import box_bytes, is_pair_key, open_box, public_key
from relay.threshold.errors import ThresholdError
from relay.threshold.groups import SCALAR_BYTES
from relay.threshold.keygen import fits, group_deal, proof_message, share_message
from relay.threshold.messages import Complaint, Deal, GroupDeal, Join, Transcript
from relay.threshold.terms import Terms, group_of

__all__ = [
    "Judgement",
    "check_deal",
    "check_join",
    "check_transcript",
    "judge_complaint",
    "opened_shares",
    "wrong_share",
]

_NOT_OPENED: Final = "its box does not open"


@dataclass(frozen=True, slots=True)
class Judgement:
    """Who is at fault, and for what."""

    culprit: Identity
    reason: str


def check_join(terms: Terms, author: Identity, join: Join) -> str | None:
    """Tell what is wrong with a participant's pair keys."""
    receives = author in terms.proposal.receivers
    wanted = terms.others(terms.proposal.dealers, author) if receives else ()
    if tuple(sorted(join.pairs)) != wanted:
        return "pair keys for others than the dealers"
    if len(set(join.pairs.values())) != len(join.pairs):
        return "one pair key for two dealers"
    if not all(is_pair_key(key) for key in join.pairs.values()):
        return "a pair key of small order or not in canonical form"
    return None


def check_deal(terms: Terms, dealer: Identity, deal: Deal) -> str | None:
    """Tell what is wrong with a deal but for what its boxes hold and which joins it is over."""
    if tuple(group.name for group in deal.groups) != terms.proposal.groups:
        return "a deal of other groups"
    wrong = _check_sealed(terms, dealer, deal)
    if wrong is not None:
        return wrong
    for dealt in deal.groups:
        wrong = _check_group_deal(terms, dealer, dealt)
        if wrong is not None:
            return f"{dealt.name}: {wrong}"
    return None


def _check_sealed(terms: Terms, dealer: Identity, deal: Deal) -> str | None:
    if tuple(sorted(deal.sealed)) != terms.others(terms.proposal.receivers, dealer):
        return "boxes for others than the receivers"
    length = box_bytes(len(terms.proposal.groups) * SCALAR_BYTES)
    if any(len(sealed) != length for sealed in deal.sealed.values()):
        return f"a box that has not {length} bytes"
    keys = [public_key(sealed) for sealed in deal.sealed.values()]
    if len(set(keys)) != len(keys):
        return "one sealing key for two receivers"
    if not all(is_pair_key(key) for key in keys):
        return "a sealing key of small order or not in canonical form"
    return None


def _check_group_deal(terms: Terms, dealer: Identity, dealt: GroupDeal) -> str | None:
    group = group_of(dealt.name)
    if len(dealt.commitments) != terms.threshold(dealt.name):
        return f"expected {terms.threshold(dealt.name)} commitments, got {len(dealt.commitments)}"
    try:
        for commitment in dealt.commitments:
            group.read_point(commitment)
    except ThresholdError:
        return "a commitment that is no point of the group"
    constant = dealt.commitments[0]
    # SECURITY: who deals another secret than its old share would change the group key, or keep it from all.
    if terms.old_share(dealt.name, dealer) not in (None, constant):
        return "a constant term that is not the dealer's share"
    # SECURITY: who cannot sign with its constant term has chosen it after those of the others.
    message = proof_message(terms.id, dealer, dealt.name, dealt.commitments)
    try:
        frost.verify(group, constant, message, dealt.proof)
    except ThresholdError:
        return "a wrong proof of the constant term"
    return None


def opened_shares(terms: Terms, opened: bytes) -> dict[str, int] | None:
    """Read the sub-shares that a box held, by group; None if one is no scalar or zero."""
    shares: dict[str, int] = {}
    for index, name in enumerate(terms.proposal.groups):
        encoded = opened[index * SCALAR_BYTES : (index + 1) * SCALAR_BYTES]
        try:
            shares[name] = group_of(name).read_scalar(encoded)
        except ThresholdError:
            return None
    return shares if all(shares.values()) else None


def wrong_share(terms: Terms, receiver: Identity, deal: Deal, shares: Mapping[str, int]) -> str | None:
    """Give the name of the first group whose sub-share does not agree with the deal's commitments."""
    at = terms.identifier(receiver)
    for name, share in shares.items():
        if not fits(group_of(name), group_deal(deal, name).commitments, at, share):
            return name
    return None


def judge_complaint(
    terms: Terms, pair_key: bytes, deal: Deal, complainer: Identity, complaint: Complaint
) -> Judgement:
    """Judge between a dealer and a receiver; one of the two is at fault.

    `pair_key` is the one that the complainer's join has for this dealer, among the joins that `deal` is over;
    `deal` passed `check_deal`, and is the one complained of.
    """
    opening = open_box(deal.sealed[complainer], pair_key, complaint.secret)
    if opening is None:
        return Judgement(complainer, "a complaint with a secret that is not of its pair key")
    if opening.content is None:
        return Judgement(complaint.dealer, f"a bad deal: {_NOT_OPENED}")
    shares = opened_shares(terms, opening.content)
    if shares is None:
        return Judgement(complaint.dealer, "a bad deal: a sub-share that is no scalar")
    wrong = wrong_share(terms, complainer, deal, shares)
    if wrong is not None:
        return Judgement(complaint.dealer, f"a bad deal: {wrong}: a sub-share off the commitments")
    return Judgement(complainer, "a complaint about a good deal")


def check_transcript(document: KeysDocument, author: Identity, transcript: Transcript) -> str | None:
    """Tell what is wrong with a receiver's word on `document`, which is the one that it names."""
    try:
        VerifyKey(author).verify(keys_signing_bytes(document.raw), transcript.signature)
    except (BadSignatureError, NaclValueError):
        return "a wrong signature under the keys document"
    if tuple(sorted(transcript.proofs)) != tuple(group.name for group in document.groups):
        return "share proofs of other groups"
    for keys in document.groups:
        share = keys.shares[document.holders.index(author)]
        message = share_message(document.digest, keys.name, author)
        try:
            frost.verify(group_of(keys.name), share, message, transcript.proofs[keys.name])
        except ThresholdError:
            return f"{keys.name}: a wrong share proof"
    return None
