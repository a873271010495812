"""Whether a decision of a bundle follows from committee, plan and records (`proofs/SPEC.md` 10)."""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass

from proofs.accounts import check_outcomes
from proofs.bundledecision import BundleDecision
from proofs.canonical import Value
from proofs.committee import CommitteeDocument, CommitteeMember
from proofs.decision import decision_id
from proofs.envelope import Envelope
from proofs.fields import FieldError
from proofs.ground import DecidingError, Ground, LoggedRecord, record_at
from proofs.groupkeys import group_name
from proofs.kinds import Address, Digest, Identity, NetworkId, PlanHash
from proofs.mandate import (
    CERTIFICATE_FROST,
    Mandate,
    acts_root,
    mandate_digest,
    recover_address,
    split_certificate,
    verify_certificate,
    verify_frost_certificate,
)
from proofs.remarked import check_statements
from proofs.reported import check_reports
from proofs.reports import read_report
from proofs.statements import Stance, read_attestation
from proofs.terms import PlanTerms, check_under_plan
from proofs.verdict import DecisionVerdict, SignedByGroup, SignedByMembers, Witnessed, keys_anchor

__all__ = ["check_decision"]


@dataclass(frozen=True, slots=True)
class _Voices:
    """What members said to a decision: names by stance, all who spoke, and the ECDSA signatures by attester.

    `astray` attested to another mandate than the decision gives: a liar's word stops no honest bundle.
    """

    names: Mapping[Stance, tuple[str, ...]]
    astray: tuple[str, ...]
    heard: frozenset[Identity]
    signatures: Mapping[Address, bytes]


def check_decision(
    entry: BundleDecision,
    ground: Ground,
    records: Sequence[LoggedRecord],
    plans: Mapping[PlanHash, PlanTerms],
) -> DecisionVerdict:
    """Check one decision with all that hangs on it, and give what it says.

    Raises:
        ProofError: the first check that failed.
    """
    terms = plans.get(entry.decision.plan_hash)
    if terms is None:
        raise DecidingError("plan-unknown", f"expected plan {entry.decision.plan_hash.hex()}, got none")
    _check_mandate(entry, ground.network)
    act_names = check_under_plan(terms, entry.decision, entry.mandate, entry.leaves)
    said = [read_report(_body_of(record_at(records, at).envelope)) for at in entry.reports]
    reporters = check_reports(terms, ground.network, entry.decision, said)
    digest = mandate_digest(entry.mandate)
    document = ground.of_key_epoch(entry.decision.key_epoch)
    certificate = _certificate(entry, digest, ground)
    voices = _voices(entry, digest, ground, [record_at(records, at).envelope for at in entry.attestations])
    certified_by = _standing(entry, certificate, document, voices)
    acts = check_outcomes(entry, act_names, ground, records)
    return DecisionVerdict(
        decision_id=entry.mandate.decision_id,
        decision=entry.decision,
        digest=digest,
        not_after=entry.mandate.not_after,
        threshold=document.threshold(entry.decision.tier),
        certificate=certificate,
        certified_by=certified_by,
        attested=voices.names[Stance.ATTEST],
        dissented=voices.names[Stance.DISSENT],
        abstained=voices.names[Stance.ABSTAIN],
        astray=voices.astray,
        silent=tuple(member.name for member in document.members if member.identity not in voices.heard),
        acts=acts,
        reporters=reporters,
        statements=check_statements(entry, ground, records),
        witnessed=_witnessed([record_at(records, at) for at in entry.numbers()]),
    )


def _witnessed(records: Sequence[LoggedRecord]) -> Witnessed | None:
    """Give when all of a decision's records stood in the log by a witness's clock: the first that says so."""
    last: Witnessed | None = None
    for checkpoint in {id(record.checkpoint): record.checkpoint for record in records}.values():
        times = [(each.at_s, each.key.name) for each in checkpoint.cosigned if each.at_s is not None]
        if not times:
            return None
        at_s, by = min(times)
        if last is None or at_s > last.at_s:
            last = Witnessed(at_s, by, checkpoint.checkpoint.size)
    return last


def _body_of(envelope: Envelope) -> Value:
    if envelope.kind != "report":
        raise FieldError("envelope.kind", "report", repr(envelope.kind))
    return envelope.body


def _certificate(entry: BundleDecision, digest: Digest, ground: Ground) -> SignedByMembers | SignedByGroup:
    """Check the certificate over the mandate's digest, and give who signed: members, or a group's key."""
    decision = entry.decision
    document = ground.of_key_epoch(decision.key_epoch)
    if entry.certificate[:1] != bytes([CERTIFICATE_FROST]):
        attesters = document.attesters()
        signers = verify_certificate(digest, entry.certificate, attesters, document.threshold(decision.tier))
        return SignedByMembers(tuple(attesters[signer].name for signer in signers))
    keys = ground.keys.get(decision.key_epoch)
    group = None if keys is None else keys.group(group_name(decision.tier))
    if keys is None or group is None:
        raise DecidingError(
            "keys-missing",
            f"expected the keys document of key epoch {decision.key_epoch} with a group of tier "
            f"{group_name(decision.tier)}, got none",
        )
    verify_frost_certificate(digest, entry.certificate, group.key)
    return SignedByGroup(group.name, group.key, keys_anchor(keys, ground.documents[keys.committee_epoch - 1]))


def _standing(
    entry: BundleDecision,
    certificate: SignedByMembers | SignedByGroup,
    document: CommitteeDocument,
    voices: _Voices,
) -> tuple[str, ...]:
    """Give who stands behind a certificate: members whose attestation to this very mandate is in the log.

    Of a list these are its signers. A group's signature does not say who made it, and signature shares would
    not either: any threshold of holders can make another's. So a full threshold must have attested.
    """
    if isinstance(certificate, SignedByMembers):
        attesters = document.attesters()
        signatures = {attesters[signer].name: said for signer, said in voices.signatures.items()}
        for name, signature in zip(certificate.signers, split_certificate(entry.certificate), strict=True):
            if signatures.get(name) != signature:
                raise DecidingError(
                    "certificate-attestation",
                    f"expected the attestation of {name} among the records, got none",
                )
        return certificate.signers
    behind = tuple(member.name for member in document.members if member.attester in voices.signatures)
    threshold = document.threshold(entry.decision.tier)
    if len(behind) < threshold:
        raise DecidingError(
            "certificate-attestation",
            f"expected the attestations of {threshold} members among the records, got {len(behind)}",
        )
    return behind


def _check_mandate(entry: BundleDecision, network: NetworkId) -> None:
    decision, mandate = entry.decision, entry.mandate
    derived = Mandate(
        network=network,
        key_epoch=decision.key_epoch,
        tier=decision.tier,
        plan_hash=decision.plan_hash,
        op=decision.op,
        decision_id=decision_id(network, decision),
        acts_root=acts_root(entry.leaves),
        not_before=decision.anchor.timestamp,
        not_after=mandate.not_after,
    )
    for name in Mandate.__dataclass_fields__:
        expected, got = getattr(derived, name), getattr(mandate, name)
        if expected != got:
            raise DecidingError(
                f"mandate-{name.replace('_', '-')}", f"expected {_shown(expected)}, got {_shown(got)}"
            )


def _shown(value: object) -> str:
    return value.hex() if isinstance(value, bytes) else str(value)


def _voices(entry: BundleDecision, digest: Digest, ground: Ground, envelopes: Sequence[Envelope]) -> _Voices:
    attesters = ground.of_key_epoch(entry.decision.key_epoch).attesters()
    final: dict[Identity, tuple[str, Stance]] = {}
    abstained: dict[Identity, tuple[str, Stance]] = {}
    astray: set[Identity] = set()
    signatures: dict[Address, bytes] = {}
    for envelope in envelopes:
        statement, name = read_attestation(envelope), ground.name_of(envelope)
        if statement.decision != entry.decision:
            raise DecidingError("attestation-decision", f"expected this decision, got another by {name}")
        if ground.member_in(envelope.author, entry.decision.key_epoch) is None:
            raise DecidingError("attestation-signer", f"expected a member of the key epoch, got {name}")
        said = abstained if statement.stance is Stance.ABSTAIN else final
        if envelope.author in said:
            raise DecidingError("attestation-twice", f"expected one verdict of {name}, got two")
        said[envelope.author] = (name, statement.stance)
        if statement.signature is not None and statement.digest == digest:
            signer = _signer(statement.signature, ground.member_of(envelope), digest)
            if signer not in attesters:
                problem = f"expected an attester of the key epoch, got 0x{signer.hex()}"
                raise DecidingError("attestation-signer", problem)
            signatures[signer] = statement.signature
        elif statement.stance is Stance.ATTEST:
            astray.add(envelope.author)
    spoken = {author: word for author, word in {**abstained, **final}.items() if author not in astray}
    names = {
        stance: tuple(name for name, said_stance in spoken.values() if said_stance is stance)
        for stance in Stance
    }
    misled = tuple(final[author][0] for author in final if author in astray)
    return _Voices(names, misled, frozenset({*final, *abstained}), signatures)


def _signer(signature: bytes, author: CommitteeMember, digest: Digest) -> Address:
    """Give the address of an attestation's ECDSA signature, which must be its author's."""
    signer = recover_address(digest, signature)
    if signer != author.attester:
        raise DecidingError("attestation-signer", f"expected the author's attester key, got 0x{signer.hex()}")
    return signer
