"""The offline verifier: holds what a bundle says against what its signers signed (`proofs/SPEC.md` 10).

Every check has a name; the first that fails is raised. Nobody's server is asked.
"""

from collections.abc import Collection, Sequence
from dataclasses import dataclass

from proofs.bundle import Bundle, decode_bundle
from proofs.checkpoint import SignedCheckpoint, open_checkpoint
from proofs.committee import (
    CommitteeDocument,
    SignedCommittee,
    parse_committee,
    verify_committee_chain,
)
from proofs.deciding import Ground, check_decision
from proofs.envelope import Envelope, open_envelope
from proofs.errors import ProofError
from proofs.groupkeys import KeysDocument, SignedKeys, parse_keys, verify_keys
from proofs.hashes import sha256
from proofs.kinds import Digest, PlanHash
from proofs.note import KeyKind, VerifierKey, format_verifier_key, parse_verifier_key
from proofs.policy import Policy, open_checkpoint_under, parse_policy
from proofs.reported import is_reported
from proofs.terms import PlanTerms, hash_of_plan, parse_plan_terms
from proofs.tlogproof import parse_tlog_proof
from proofs.tree import leaf_digest, verify_inclusion
from proofs.verdict import (
    DecisionVerdict,
    EpochAnchor,
    LogAnchor,
    SignedByGroup,
    Verdict,
    keys_anchor,
)

__all__ = ["CHECKS", "VerifyError", "verify_bundle"]

CHECKS = (
    "bundle is in its one spelling and within its limits",
    "policy is the pinned one",
    "committee documents are in force from genesis on, and give the network id",
    "every keys document is of its committee epoch, on one polynomial for each group, signed by every holder",
    "network is the pinned one",
    "log key is one of the policy, or without a policy that of a member",
    "every record is an envelope signed by a member of its epoch",
    "every record is in the log, under a signed checkpoint",
    "every plan has its hash, and is a pinned one",
    "every decision id, mandate, acts root and lifetime follows from decision and plan",
    "every certificate is signed by enough attesters of its key epoch, or by the group key of its tier there",
    "every signer of a list has its attestation in the log, and behind a group's signature stand enough",
    "every decision of reports is called for by enough reporters of its plan, under its own subject",
    "every outcome names the mandate and an act of it",
    "every receipt stands in the block that its outcome names, with the gateway's event that it tells of",
    "every record and plan belongs to a decision, and every parent is here",
)


class VerifyError(ProofError):
    """The parts of a bundle do not belong together; SPEC 10 lists the checks."""


def verify_bundle(
    data: bytes,
    *,
    policy: bytes | None = None,
    policy_hash: bytes | None = None,
    network: bytes | None = None,
    plan_hashes: Collection[bytes] = (),
) -> Verdict:
    """Verify a bundle, its log under `policy` (a C2SP policy file) if there is one.

    With `policy_hash` (32 bytes) the policy must be that one, with `network` (32 bytes) the network, with
    `plan_hashes` (32 bytes each) every plan one of them; they count as pinned.

    Raises:
        ProofError: with `.check`, the first check that failed.
    """
    bundle = decode_bundle(data)
    pinned = _policy(policy, policy_hash)
    ground = _ground(bundle)
    if network is not None and network != ground.network:
        raise VerifyError("network-pinned", f"expected {network.hex()}, got {ground.network.hex()}")
    log_key, holder = _log_key(bundle, ground, pinned)
    newest, envelopes = _records(bundle, ground, log_key, pinned)
    terms = _plans(bundle)
    _check_plans_pinned(terms, plan_hashes)
    decisions = tuple(check_decision(entry, ground, envelopes, terms) for entry in bundle.decisions)
    _check_nothing_extra(bundle, decisions)
    return Verdict(
        network=bundle.network,
        network_name=ground.documents[0].name,
        network_pinned=network is not None,
        policy_hash=None if policy is None else sha256(policy),
        policy_pinned=policy_hash is not None,
        epochs=tuple(_anchor(document) for document in ground.documents),
        keys=tuple(
            keys_anchor(keys, ground.documents[keys.committee_epoch - 1]) for keys in ground.keys.values()
        ),
        plans=tuple(plan.plan_hash for plan in bundle.plans),
        plans_pinned=bool(plan_hashes),
        log=LogAnchor(
            vkey=bundle.log,
            member=holder,
            newest=newest.signed.checkpoint,
            witnesses=tuple(signature.key.name for signature in newest.signed.cosigned),
        ),
        records=len(envelopes),
        decisions=decisions,
        checks=CHECKS,
        not_proved=_not_proved(pinned, newest, decisions),
    )


@dataclass(frozen=True, slots=True)
class _Newest:
    """The largest checkpoint of the records, and whether there were others beside it."""

    signed: SignedCheckpoint
    is_only: bool


def _policy(raw: bytes | None, policy_hash: bytes | None) -> Policy | None:
    if raw is None:
        if policy_hash is not None:
            raise VerifyError("policy-missing", "expected the policy file of the hash, got none")
        return None
    if policy_hash is not None and sha256(raw) != policy_hash:
        raise VerifyError("policy-pin", f"expected policy {policy_hash.hex()}, got {sha256(raw).hex()}")
    return parse_policy(raw)


def _ground(bundle: Bundle) -> Ground:
    chain = [
        SignedCommittee(parse_committee(committee.document), committee.signatures)
        for committee in bundle.committees
    ]
    network = verify_committee_chain(chain)
    if network != bundle.network:
        raise VerifyError(
            "network", f"expected {network.hex()} of the genesis document, got {bundle.network.hex()}"
        )
    documents = tuple(signed.document for signed in chain)
    return Ground(network, documents, _keys(bundle, documents))


def _keys(bundle: Bundle, committees: Sequence[CommitteeDocument]) -> dict[int, KeysDocument]:
    """Give the keys documents of a bundle by their key epoch, each in force."""
    by_epoch: dict[int, KeysDocument] = {}
    for keys in bundle.keys:
        signed = SignedKeys(parse_keys(keys.document), keys.signatures)
        epoch, key_epoch = signed.document.committee_epoch, signed.document.key_epoch
        if epoch > len(committees):
            raise VerifyError(
                "keys-epoch", f"expected a committee epoch up to {len(committees)}, got {epoch}"
            )
        verify_keys(signed, committees[epoch - 1])
        if key_epoch in by_epoch:
            raise VerifyError("keys-twice", f"expected one document of key epoch {key_epoch}, got two")
        by_epoch[key_epoch] = signed.document
    return by_epoch


def _log_key(bundle: Bundle, ground: Ground, policy: Policy | None) -> tuple[VerifierKey, str | None]:
    """Give the key of the log and the name of the member that holds it."""
    key = parse_verifier_key(bundle.log)
    if key.kind is not KeyKind.ED25519:
        raise VerifyError("log-key", f"expected a key of kind 01, got {key.kind:02x}")
    holders = [
        member.name
        for document in ground.documents
        for member in document.members
        if member.log == key.public_key
    ]
    if policy is not None and key not in policy.logs:
        raise VerifyError("log-key", f"expected a log of the policy, got {format_verifier_key(key)}")
    if policy is None and not holders:
        raise VerifyError("log-key", f"expected the log key of a member, got {format_verifier_key(key)}")
    return key, holders[-1] if holders else None


def _records(
    bundle: Bundle, ground: Ground, log_key: VerifierKey, policy: Policy | None
) -> tuple[_Newest, tuple[Envelope, ...]]:
    opened: dict[str, SignedCheckpoint] = {}
    roots: dict[int, Digest] = {}
    envelopes: list[Envelope] = []
    for record in bundle.records:
        envelope = open_envelope(record.envelope)
        ground.check_author(envelope)
        proof = parse_tlog_proof(record.tlog_proof)
        if proof.extra is not None:
            raise VerifyError("record-extra", "expected a proof without extra data, got some")
        if proof.checkpoint not in opened:
            opened[proof.checkpoint] = _open(proof.checkpoint, log_key, policy)
        checkpoint = opened[proof.checkpoint].checkpoint
        if roots.setdefault(checkpoint.size, checkpoint.root) != checkpoint.root:
            raise VerifyError(
                "log-fork", f"expected one root at size {checkpoint.size}, got two, both signed"
            )
        verify_inclusion(leaf_digest(envelope.raw), proof.index, checkpoint.size, proof.path, checkpoint.root)
        envelopes.append(envelope)
    if not opened:
        raise VerifyError("record-none", "expected records, got none")
    if len({envelope.digest for envelope in envelopes}) != len(envelopes):
        raise VerifyError("record-twice", "expected each envelope once, got one twice")
    newest = max(opened.values(), key=lambda signed: (signed.checkpoint.size, len(signed.cosigned)))
    return _Newest(newest, is_only=len(roots) == 1), tuple(envelopes)


def _open(raw: str, log_key: VerifierKey, policy: Policy | None) -> SignedCheckpoint:
    signed = open_checkpoint(raw, [log_key]) if policy is None else open_checkpoint_under(raw, policy)
    if signed.log != log_key:
        raise VerifyError("log-key", f"expected checkpoints of {log_key.name}, got one of {signed.log.name}")
    return signed


def _plans(bundle: Bundle) -> dict[PlanHash, PlanTerms]:
    terms: dict[PlanHash, PlanTerms] = {}
    for plan in bundle.plans:
        hashed = hash_of_plan(plan.canonical)
        if hashed != plan.plan_hash:
            raise VerifyError("plan-hash", f"expected {plan.plan_hash.hex()}, got {hashed.hex()}")
        if hashed in terms:
            raise VerifyError("plan-twice", f"expected each plan once, got {hashed.hex()} twice")
        terms[hashed] = parse_plan_terms(plan.canonical)
    return terms


def _check_plans_pinned(terms: Collection[PlanHash], pinned: Collection[bytes]) -> None:
    for plan_hash in terms if pinned else ():
        if plan_hash not in pinned:
            wanted = ", ".join(each.hex() for each in pinned)
            raise VerifyError("plan-pinned", f"expected one of {wanted}, got {plan_hash.hex()}")


def _check_nothing_extra(bundle: Bundle, decisions: Sequence[DecisionVerdict]) -> None:
    if not decisions:
        raise VerifyError("decision-none", "expected a decision, got none")
    used = [
        number
        for entry in bundle.decisions
        for number in (*entry.reports, *entry.attestations, *entry.outcomes)
    ]
    if len(set(used)) != len(used):
        raise VerifyError("record-twice", "expected each record to belong to one place, got one in two")
    if len(used) != len(bundle.records):
        extra = min(set(range(len(bundle.records))) - set(used))
        raise VerifyError(
            "record-unused", f"expected every record to belong to a decision, got {extra} alone"
        )
    if {plan.plan_hash for plan in bundle.plans} != {entry.decision.plan_hash for entry in bundle.decisions}:
        raise VerifyError("plan-unused", "expected every plan to belong to a decision, got one alone")
    epochs = {
        decision.certificate.keys.key_epoch
        for decision in decisions
        if isinstance(decision.certificate, SignedByGroup)
    }
    if len(epochs) != len(bundle.keys):
        raise VerifyError(
            "keys-unused", "expected every keys document to belong to a certificate, got one alone"
        )
    known = {(verdict.decision_id, verdict.decision.key_epoch) for verdict in decisions}
    if len(known) != len(decisions):
        raise VerifyError("decision-twice", "expected each decision once, got one twice")
    linked = [each.decision for each in decisions if not is_reported(each.decision)]
    parents = {decision.parent for decision in linked} - {None}
    if not parents <= {identity for identity, _ in known}:
        raise VerifyError("parent", "expected the parent decision in this bundle, got none")


def _anchor(document: CommitteeDocument) -> EpochAnchor:
    return EpochAnchor(
        committee_epoch=document.committee_epoch,
        key_epoch=document.key_epoch,
        digest=sha256(document.raw),
        members=len(document.members),
        f=document.f,
        demo=document.demo,
    )


def _not_proved(
    policy: Policy | None, newest: _Newest, decisions: Sequence[DecisionVerdict]
) -> tuple[str, ...]:
    limits = [
        *_not_shown(decisions),
        *_not_told(decisions),
        "that a block is of its chain: members signed its hash; a receipt proves what that block commits to",
        "transaction hashes and gas used: members' words, which receipts do not hold",
        "that the chains say what the traces say: read them at the pinned blocks to derive it again",
        "that the act hashes are those of the plan's calls: that takes the chain's adapter",
        "that nothing was left out: a bundle holds what its maker put in; the log itself holds everything",
    ]
    if policy is None or policy.quorum is None:
        limits.append("that the log shows everybody the same: no witness quorum was asked for")
    if not newest.is_only:
        limits.append("that its checkpoints are of one history: ask the log for consistency proofs")
    return tuple(limits)


def _not_told(decisions: Sequence[DecisionVerdict]) -> tuple[str, ...]:
    """Say what a group's signature leaves open, if there is one."""
    if not any(isinstance(decision.certificate, SignedByGroup) for decision in decisions):
        return ()
    return (
        "which holders made a group's signature: shares are no evidence, any threshold of holders can make"
        " another's; who stands behind it is told by attestations",
    )


def _not_shown(decisions: Sequence[DecisionVerdict]) -> tuple[str, ...]:
    """Name the outcomes that rest on members' words alone."""
    return tuple(
        f"not shown: receipt of act {act.name} on chain {act.chain}"
        f" ({outcome.effect}, block {outcome.block.number})"
        for decision in decisions
        for act in decision.acts
        for outcome in act.outcomes
        if outcome.receipt is None
    )
