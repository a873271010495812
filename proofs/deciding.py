"""Whether a decision of a bundle follows from committee, plan and records (`proofs/SPEC.md` 10)."""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass

from proofs.bundle import BundleDecision
from proofs.canonical import Value
from proofs.committee import CommitteeDocument, CommitteeMember
from proofs.decision import decision_id
from proofs.effects import ShownEffect, check_effect
from proofs.envelope import Envelope
from proofs.errors import ProofError
from proofs.fields import FieldError
from proofs.groupkeys import KeysDocument, group_name
from proofs.hashes import keccak256
from proofs.kinds import Address, Digest, Identity, NetworkId, PlanHash, Seconds
from proofs.mandate import (
    CERTIFICATE_FROST,
    ActLeaf,
    Mandate,
    acts_root,
    mandate_digest,
    recover_address,
    split_certificate,
    verify_certificate,
    verify_frost_certificate,
)
from proofs.reported import check_reports
from proofs.reports import read_report
from proofs.statements import OutcomeStatement, Stance, read_attestation, read_outcome
from proofs.terms import PlanTerms, check_under_plan
from proofs.verdict import (
    ActVerdict,
    DecisionVerdict,
    SeenOutcome,
    ShownReceipt,
    SignedByGroup,
    SignedByMembers,
    keys_anchor,
)

__all__ = ["DecidingError", "Ground", "check_decision"]


class DecidingError(ProofError):
    """A part of a decision does not follow from the others; SPEC 10 lists the checks."""


@dataclass(frozen=True, slots=True)
class Ground:
    """The network, its committee documents from genesis on, and keys documents by key epoch, all checked."""

    network: NetworkId
    documents: tuple[CommitteeDocument, ...]
    keys: Mapping[int, KeysDocument]

    def check_author(self, envelope: Envelope) -> None:
        """Check that an envelope is of this network, by a member of the epoch that it names.

        Raises:
            DecidingError: `record-network`, `record-epoch`, `record-author`.
        """
        if envelope.network != self.network:
            raise DecidingError(
                "record-network", f"expected network {self.network.hex()}, got {envelope.network.hex()}"
            )
        if not 1 <= envelope.committee_epoch <= len(self.documents):
            raise DecidingError(
                "record-epoch",
                f"expected an epoch up to {len(self.documents)}, got {envelope.committee_epoch}",
            )
        self.name_of(envelope)

    def member_of(self, envelope: Envelope) -> CommitteeMember:
        """Give an envelope's author as the document of its epoch has it."""
        member = self.documents[envelope.committee_epoch - 1].member(envelope.author)
        if member is None:
            raise DecidingError(
                "record-author",
                f"expected a member of epoch {envelope.committee_epoch}, got {envelope.author.hex()}",
            )
        return member

    def name_of(self, envelope: Envelope) -> str:
        """Give the name of an envelope's author."""
        return self.member_of(envelope).name

    def of_key_epoch(self, key_epoch: int) -> CommitteeDocument:
        """Give the newest document of a key epoch: all of them have the same attesters."""
        documents = [document for document in self.documents if document.key_epoch == key_epoch]
        if not documents:
            raise DecidingError("key-epoch", f"expected a key epoch of the committee, got {key_epoch}")
        return documents[-1]


@dataclass(frozen=True, slots=True)
class _Voices:
    """What members said to a decision: names by stance, and the ECDSA signatures by attester.

    `astray` attested to another mandate than the decision gives: a liar's word stops no honest bundle.
    """

    names: Mapping[Stance, tuple[str, ...]]
    astray: tuple[str, ...]
    signatures: Mapping[Address, bytes]


def check_decision(
    entry: BundleDecision,
    ground: Ground,
    envelopes: Sequence[Envelope],
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
    said = [read_report(_body_of(_record(envelopes, at))) for at in entry.reports]
    reporters = check_reports(terms, ground.network, entry.decision, said)
    digest = mandate_digest(entry.mandate)
    document = ground.of_key_epoch(entry.decision.key_epoch)
    certificate = _certificate(entry, digest, ground)
    voices = _voices(entry, digest, ground, [_record(envelopes, at) for at in entry.attestations])
    certified_by = _standing(entry, certificate, document, voices)
    acts = _acts(entry, act_names, document, ground, [_record(envelopes, at) for at in entry.outcomes])
    heard = {name for names in voices.names.values() for name in names} | set(voices.astray)
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
        silent=tuple(member.name for member in document.members if member.name not in heard),
        acts=acts,
        reporters=reporters,
    )


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


def _record(envelopes: Sequence[Envelope], number: int) -> Envelope:
    if number >= len(envelopes):
        raise DecidingError("record-missing", f"expected a record below {len(envelopes)}, got {number}")
    return envelopes[number]


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
    return _Voices(names, tuple(final[author][0] for author in final if author in astray), signatures)


def _signer(signature: bytes, author: CommitteeMember, digest: Digest) -> Address:
    """Give the address of an attestation's ECDSA signature, which must be its author's."""
    signer = recover_address(digest, signature)
    if signer != author.attester:
        raise DecidingError("attestation-signer", f"expected the author's attester key, got 0x{signer.hex()}")
    return signer


def _acts(
    entry: BundleDecision,
    names: Sequence[str],
    document: CommitteeDocument,
    ground: Ground,
    envelopes: Sequence[Envelope],
) -> tuple[ActVerdict, ...]:
    by_id = {bytes(keccak256(name.encode())): name for name in names}
    seen: dict[OutcomeStatement, dict[str, None]] = {}
    said: dict[int, OutcomeStatement] = {}
    for number, envelope in zip(entry.outcomes, envelopes, strict=True):
        outcome, name = read_outcome(envelope), ground.name_of(envelope)
        _check_outcome(entry, outcome)
        said[number] = outcome
        seen.setdefault(outcome, {})[name] = None
    account = _Account(document, seen, _shown_effects(entry, said))
    return tuple(_act(leaf, by_id[leaf.act_id], account) for leaf in entry.leaves)


def _check_outcome(entry: BundleDecision, outcome: OutcomeStatement) -> None:
    if outcome.decision_id != entry.mandate.decision_id or outcome.mandate_digest != mandate_digest(
        entry.mandate
    ):
        raise DecidingError("outcome-mandate", "expected an event of this mandate, got one of another")
    places = {(leaf.chain, leaf.gateway, leaf.act_id) for leaf in entry.leaves}
    if (outcome.chain, outcome.gateway, outcome.act_id) not in places:
        raise DecidingError("outcome-act", f"expected an act of this decision, got {outcome.act_id.hex()}")


def _shown_effects(
    entry: BundleDecision, said: Mapping[int, OutcomeStatement]
) -> dict[OutcomeStatement, ShownEffect]:
    """Give what receipts prove, each of the very outcome that it is for."""
    shown: dict[OutcomeStatement, ShownEffect] = {}
    for receipt in entry.receipts:
        outcome = said.get(receipt.outcome)
        if outcome is None:
            raise DecidingError(
                "receipt-outcome", f"expected an outcome of this decision, got {receipt.outcome}"
            )
        if outcome in shown:
            raise DecidingError("receipt-twice", "expected one receipt for each outcome, got two")
        shown[outcome] = check_effect(receipt.proof, outcome, entry.mandate)
    return shown


@dataclass(frozen=True, slots=True)
class _Account:
    """What is known of a decision's effects: who signed to have seen which, and which a receipt shows."""

    document: CommitteeDocument
    seen: Mapping[OutcomeStatement, Mapping[str, None]]
    shown: Mapping[OutcomeStatement, ShownEffect]

    def outcome(self, outcome: OutcomeStatement) -> SeenOutcome:
        voices = tuple(self.seen[outcome])
        return SeenOutcome(
            effect=outcome.effect,
            block=outcome.block,
            tx=outcome.tx,
            until=outcome.until,
            gas_used=outcome.gas_used,
            seen_by=voices,
            source=f"seen and signed by {self._weight(voices)}",
            receipt=self._receipt(outcome),
        )

    def _receipt(self, outcome: OutcomeStatement) -> ShownReceipt | None:
        effect = self.shown.get(outcome)
        if effect is None:
            return None
        named = {name: None for other, by in self.seen.items() if other.block == outcome.block for name in by}
        source = f"the block's hash is signed by {self._weight(tuple(named))}"
        if not effect.names_mandate:
            source += "; the event names no mandate: whose record it ended is the members' word"
        return ShownReceipt(effect.index, effect.log, effect.names_mandate, tuple(named), source)

    def _weight(self, voices: Sequence[str]) -> str:
        f = self.document.f
        honest = "one of them honest" if len(voices) > f else f"too few to exclude lies (f = {f})"
        return f"{len(voices)} of {len(self.document.members)} members, {honest}"


def _act(leaf: ActLeaf, name: str, account: _Account) -> ActVerdict:
    place = (leaf.chain, leaf.gateway, leaf.act_id)
    return ActVerdict(
        name=name,
        chain=leaf.chain,
        gateway=leaf.gateway,
        act_id=leaf.act_id,
        act_hash=leaf.act_hash,
        duration_s=Seconds(leaf.duration_s),
        outcomes=tuple(
            account.outcome(outcome)
            for outcome in account.seen
            if (outcome.chain, outcome.gateway, outcome.act_id) == place
        ),
    )
