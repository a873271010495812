"""One decision on its way to a certificate: who said what, and whether it is enough (SPEC 6.1, 6.2)."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, field, replace
from enum import StrEnum

from proofs.committee import CommitteeDocument
from proofs.envelope import Envelope
from proofs.mandate import CertificateError, encode_certificate, recover_address
from relay.core.decisions import Prepared
from relay.core.messages import Attestation, Verdict
from relay.core.types import Address, Digest, Identity

__all__ = ["Slot", "Taken", "Tally", "is_said", "is_well_signed", "take"]


@dataclass(frozen=True, slots=True)
class Slot:
    """A member's word on one decision; `raw` is its envelope, `digest` the envelope's."""

    verdict: Verdict
    signature: bytes | None
    digest: Digest
    raw: bytes = field(repr=False)
    mandate_digest: bytes | None = None
    has_abstained: bool = False
    """Whether an abstention was taken, before a verdict or after it: words may come in any order."""


@dataclass(frozen=True, slots=True)
class Tally:
    """A decision and the members' words on it; replaced, never changed.

    gathering --threshold-th valid attestation--> certified     (final)
    """

    prepared: Prepared
    slots: Mapping[Identity, Slot] = field(default_factory=dict)
    certificate: bytes | None = None

    def attesters(self) -> tuple[Identity, ...]:
        """Give who attests to the mandate that the plan gives, in order of identity."""
        return tuple(
            sorted(
                identity
                for identity, slot in self.slots.items()
                if slot.verdict is Verdict.ATTEST and slot.mandate_digest == self.prepared.digest
            )
        )


class Taken(StrEnum):
    """What became of an attestation."""

    COUNTED = "counted"
    CERTIFIED = "certified"
    REPEATED = "repeated"
    BAD_DIGEST = "bad mandate digest"
    BAD_SIGNATURE = "bad mandate signature"


def is_said(held: Slot | None, verdict: Verdict) -> bool:
    """Tell whether a member's slot has no place for this verdict any more."""
    if held is None:
        return False
    return held.has_abstained if verdict is Verdict.ABSTAIN else held.verdict is not Verdict.ABSTAIN


def take(
    tally: Tally, envelope: Envelope, attestation: Attestation, committee: CommitteeDocument
) -> tuple[Tally, Taken]:
    """Put a member's word into its slot (SPEC 6.1, 6.2).

    A slot is filled once by attest or dissent, and takes at most one abstention, which stands until there is
    a verdict. An attestation over another digest than the plan gives takes the slot's place for nothing; one
    with a signature that is not the member's takes none.
    """
    author = envelope.author
    held = tally.slots.get(author)
    if is_said(held, attestation.verdict):
        return tally, Taken.REPEATED
    abstains = attestation.verdict is Verdict.ABSTAIN
    if held is not None and abstains:
        return replace(tally, slots={**tally.slots, author: replace(held, has_abstained=True)}), Taken.COUNTED
    slot = Slot(
        verdict=attestation.verdict,
        signature=attestation.signature,
        digest=envelope.digest,
        raw=envelope.raw,
        mandate_digest=attestation.digest,
        has_abstained=abstains or held is not None,
    )
    if attestation.verdict is Verdict.ATTEST:
        if attestation.digest != tally.prepared.digest:
            return replace(tally, slots={**tally.slots, author: slot}), Taken.BAD_DIGEST
        if not is_well_signed(tally.prepared, author, attestation, committee):
            return tally, Taken.BAD_SIGNATURE
    tally = replace(tally, slots={**tally.slots, author: slot})
    if tally.certificate is not None:
        return tally, Taken.COUNTED
    certificate = _certificate(tally, committee)
    if certificate is None:
        return tally, Taken.COUNTED
    return replace(tally, certificate=certificate), Taken.CERTIFIED


def is_well_signed(
    prepared: Prepared, author: Identity, attestation: Attestation, committee: CommitteeDocument
) -> bool:
    """Tell whether the mandate's signature is the member's, where the word carries one for this mandate."""
    if attestation.verdict is not Verdict.ATTEST or attestation.digest != prepared.digest:
        return True
    member = committee.member(author)
    if member is None or attestation.signature is None:
        return False
    try:
        return recover_address(attestation.digest, attestation.signature) == member.attester
    except CertificateError:
        return False


def _certificate(tally: Tally, committee: CommitteeDocument) -> bytes | None:
    """Give the certificate (SPEC 4.5) when the tier's threshold is reached."""
    signatures: dict[Address, bytes] = {}
    for identity in tally.attesters():
        member, signature = committee.member(identity), tally.slots[identity].signature
        if member is not None and signature is not None:
            signatures[member.attester] = signature
    threshold = committee.threshold(tally.prepared.decision.tier)
    if len(signatures) < threshold:
        return None
    return encode_certificate({address: signatures[address] for address in sorted(signatures)[:threshold]})
