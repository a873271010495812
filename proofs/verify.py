"""The offline verifier: holds what a bundle says against what its signers signed (`proofs/SPEC.md` 10).

Every check has a name; the first that fails is raised. Nobody's server is asked.
"""

from collections.abc import Collection, Sequence

from proofs.bundle import Bundle, decode_bundle
from proofs.committee import (
    CommitteeDocument,
    SignedCommittee,
    parse_committee,
    verify_committee_chain,
)
from proofs.deciding import check_decision
from proofs.errors import ProofError
from proofs.ground import Ground
from proofs.groupkeys import KeysDocument, SignedKeys, parse_keys, verify_keys
from proofs.hashes import sha256
from proofs.kinds import PlanHash
from proofs.limits import not_proved
from proofs.logged import check_records
from proofs.opened import check_disclosed
from proofs.policy import Policy, parse_policy
from proofs.reported import is_reported
from proofs.terms import PlanTerms, hash_of_plan, parse_plan_terms
from proofs.verdict import DecisionVerdict, EpochAnchor, SignedByGroup, Verdict, keys_anchor

__all__ = ["CHECKS", "VerifyError", "verify_bundle"]

CHECKS = (
    "bundle is in its one spelling and within its limits",
    "every checkpoint is cosigned as the policy asks",
    "committee documents are in force from genesis on, and give the network id",
    "every keys document is of its committee epoch, on one polynomial for each group, signed by every holder",
    "log key is one of the policy, or without a policy that of a member",
    "every record is an envelope signed by a member of its epoch",
    "every record is in the log, under a signed checkpoint",
    "every plan has its hash",
    "every decision id, mandate, acts root and lifetime follows from decision and plan",
    "every certificate is signed by enough attesters of its key epoch, or by the group key of its tier there",
    "every signer of a list has its attestation in the log, and behind a group's signature stand enough",
    "every decision of reports is called for by enough reporters of its plan, under its own subject",
    "every outcome names the mandate and an act of it",
    "every receipt stands in the block that its outcome names, with the gateway's event that it tells of",
    "every header is of a block of an outcome, every contradiction real",
    "every statement is of its decision, a signal of its plan",
    "every disclosed field is what its author sealed in its record",
    "every record and plan belongs to a decision, and every parent is here",
)
_QUORUM_CHECK = CHECKS[1]
_PIN_CHECKS = ("policy is the pinned one", "network is the pinned one", "every plan is a pinned one")


class VerifyError(ProofError):
    """The parts of a bundle do not belong together; SPEC 10 lists the checks."""


def verify_bundle(  # noqa: PLR0913  each is something that the reader trusts or brings
    data: bytes,
    *,
    policy: bytes | None = None,
    policy_hash: bytes | None = None,
    network: bytes | None = None,
    plan_hashes: Collection[bytes] = (),
    disclosures: Sequence[bytes] = (),
    now_s: int | None = None,
) -> Verdict:
    """Verify a bundle, its log under `policy` (a C2SP policy file) if there is one.

    With `policy_hash` (32 bytes) the policy must be that one, with `network` (32 bytes) the network, with
    `plan_hashes` (32 bytes each) every plan one of them; they count as pinned. `disclosures` are files of
    sealed fields of its records (SPEC 13). With the reader's clock `now_s` (seconds), cosignatures from ahead
    of it count for nothing (SPEC 12).

    Raises:
        ProofError: with `.check`, the first check that failed.
    """
    bundle = decode_bundle(data)
    pinned = _policy(policy, policy_hash)
    ground = _ground(bundle)
    if network is not None and network != ground.network:
        raise VerifyError("network-pinned", f"expected {network.hex()}, got {ground.network.hex()}")
    logged = check_records(bundle, ground, pinned, now_s)
    terms = _plans(bundle)
    _check_plans_pinned(terms, plan_hashes)
    decisions = tuple(check_decision(entry, ground, logged.records, terms) for entry in bundle.decisions)
    disclosed = check_disclosed(bundle.disclosed, disclosures, logged.records, ground)
    _check_nothing_extra(bundle, decisions)
    has_quorum = pinned is not None and pinned.quorum is not None
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
        log=logged.log,
        records=len(logged.records),
        decisions=decisions,
        disclosed=disclosed,
        checks=_checks(has_quorum=has_quorum, pins=(policy_hash, network, plan_hashes)),
        not_proved=not_proved(
            decisions,
            has_quorum=has_quorum,
            is_of_one_size=logged.is_of_one_size,
        ),
    )


def _checks(
    *, has_quorum: bool, pins: Sequence[Collection[int] | Collection[bytes] | None]
) -> tuple[str, ...]:
    """Give what was checked: what the reader did not ask for was not."""
    held = tuple(check for check in CHECKS if has_quorum or check != _QUORUM_CHECK)
    return (*held, *(check for check, pin in zip(_PIN_CHECKS, pins, strict=True) if pin))


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
    used = [number for entry in bundle.decisions for number in entry.numbers()]
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
