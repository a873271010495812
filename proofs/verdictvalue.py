"""A verdict as a JSON object, for programs (`proofs/SPEC.md` 10): bytes are hex, times name their source."""

from collections.abc import Mapping

from proofs.canonical import Value
from proofs.decision import BlockRef
from proofs.verdict import (
    ActVerdict,
    DecisionVerdict,
    DisclosedField,
    EpochAnchor,
    KeysAnchor,
    LogAnchor,
    MemberStatement,
    SeenOutcome,
    ShownReceipt,
    SignedByGroup,
    SignedByMembers,
    Verdict,
    Witnessed,
)

__all__ = ["VERDICT_SCHEMA", "verdict_value"]

VERDICT_SCHEMA = "tocsin/verdict/1"


def verdict_value(verdict: Verdict) -> dict[str, Value]:
    """Give the verdict as a JSON object; bytes are hex."""
    return {
        "schema": VERDICT_SCHEMA,
        "verified": True,
        "network": verdict.network.hex(),
        "network_name": verdict.network_name,
        "network_pinned": verdict.network_pinned,
        "policy_hash": None if verdict.policy_hash is None else verdict.policy_hash.hex(),
        "policy_pinned": verdict.policy_pinned,
        "epochs": [_epoch_value(epoch) for epoch in verdict.epochs],
        "keys": [_keys_value(keys) for keys in verdict.keys],
        "plans": [plan.hex() for plan in verdict.plans],
        "plans_pinned": verdict.plans_pinned,
        "log": _log_value(verdict.log),
        "records": verdict.records,
        "decisions": [_decision_value(decision) for decision in verdict.decisions],
        "disclosed": [_disclosed_value(field) for field in verdict.disclosed],
        "checks": list(verdict.checks),
        "not_proved": list(verdict.not_proved),
    }


def _log_value(log: LogAnchor) -> dict[str, Value]:
    return {
        "vkey": log.vkey,
        "member": log.member,
        "size": log.newest.size,
        "root": log.newest.root.hex(),
        "witnesses": list(log.witnesses),
        "missing_witnesses": list(log.missing),
        "quorum": log.quorum,
    }


def _epoch_value(epoch: EpochAnchor) -> dict[str, Value]:
    return {
        "committee_epoch": epoch.committee_epoch,
        "key_epoch": epoch.key_epoch,
        "digest": epoch.digest.hex(),
        "members": epoch.members,
        "f": epoch.f,
        "demo": epoch.demo,
    }


def _keys_value(keys: KeysAnchor) -> dict[str, Value]:
    return {
        "committee_epoch": keys.committee_epoch,
        "key_epoch": keys.key_epoch,
        "generation": keys.generation,
        "ceremony": keys.ceremony.hex(),
        "digest": keys.digest.hex(),
        "holders": list(keys.holders),
    }


def _certificate_value(certificate: SignedByMembers | SignedByGroup) -> dict[str, Value]:
    if isinstance(certificate, SignedByMembers):
        return {"kind": "ecdsa", "signers": list(certificate.signers)}
    return {
        "kind": "frost",
        "group": certificate.group,
        "key": certificate.key.hex(),
        "keys": certificate.keys.digest.hex(),
        "ceremony": certificate.keys.ceremony.hex(),
        "generation": certificate.keys.generation,
    }


def _decision_value(verdict: DecisionVerdict) -> dict[str, Value]:
    decision = verdict.decision
    return {
        "decision_id": verdict.decision_id.hex(),
        "op": decision.op.name.lower(),
        "tier": decision.tier.name.lower(),
        "subject": decision.subject,
        "rung": decision.rung,
        "plan_hash": decision.plan_hash.hex(),
        "parent": None if decision.parent is None else decision.parent.hex(),
        "key_epoch": decision.key_epoch,
        "anchor": _block_value(decision.anchor),
        "digest": verdict.digest.hex(),
        "not_after": verdict.not_after,
        "threshold": verdict.threshold,
        "certificate": _certificate_value(verdict.certificate),
        "certified_by": list(verdict.certified_by),
        "attested": list(verdict.attested),
        "dissented": list(verdict.dissented),
        "abstained": list(verdict.abstained),
        "astray": list(verdict.astray),
        "silent": list(verdict.silent),
        "reporters": [f"ed25519:{reporter.hex()}" for reporter in verdict.reporters],
        "acts": [_act_value(act) for act in verdict.acts],
        "statements": [_statement_value(statement) for statement in verdict.statements],
        "witnessed": None if verdict.witnessed is None else _witnessed_value(verdict.witnessed),
    }


def _statement_value(statement: MemberStatement) -> dict[str, Value]:
    return {
        "kind": statement.kind,
        "said_by": statement.said_by,
        "at_ms": statement.at_ms,
        "at_source": "self-asserted",
        "record": statement.record.hex(),
        "words": statement.words,
        "facts": dict(statement.facts),
    }


def _witnessed_value(witnessed: Witnessed) -> dict[str, Value]:
    return {
        "at_s": witnessed.at_s,
        "at_source": "witnessed",
        "by": witnessed.by,
        "size": witnessed.size,
    }


def _disclosed_value(disclosed: DisclosedField) -> dict[str, Value]:
    return {
        "record": disclosed.record.hex(),
        "kind": disclosed.kind,
        "said_by": disclosed.said_by,
        "field": disclosed.field,
        "value": _plain(disclosed.value),
    }


def _plain(value: Value) -> Value:
    """Give a value as JSON can say it."""
    if isinstance(value, bytes):
        return value.hex()
    if isinstance(value, Mapping):
        return {key: _plain(item) for key, item in value.items()}
    return [_plain(item) for item in value] if isinstance(value, list | tuple) else value


def _act_value(act: ActVerdict) -> dict[str, Value]:
    return {
        "name": act.name,
        "chain": act.chain,
        "gateway": act.gateway.hex(),
        "act_id": act.act_id.hex(),
        "act_hash": act.act_hash.hex(),
        "duration_s": act.duration_s,
        "outcomes": [_outcome_value(outcome) for outcome in act.outcomes],
    }


def _outcome_value(outcome: SeenOutcome) -> dict[str, Value]:
    return {
        "effect": outcome.effect,
        "block": _block_value(outcome.block),
        "tx": outcome.tx.hex(),
        "until": outcome.until,
        "gas_used": outcome.gas_used,
        "seen_by": list(outcome.seen_by),
        "source": outcome.source,
        "receipt": None if outcome.receipt is None else _receipt_value(outcome.receipt),
        "final": {
            "said_by": list(outcome.finality.said_by),
            "is_agreed": outcome.finality.is_agreed,
            "source": outcome.finality.source,
        },
    }


def _receipt_value(receipt: ShownReceipt) -> dict[str, Value]:
    return {
        "tx_index": receipt.tx_index,
        "log": receipt.log,
        "names_mandate": receipt.names_mandate,
        "header_named_by": list(receipt.header_named_by),
        "source": receipt.source,
    }


def _block_value(block: BlockRef) -> dict[str, Value]:
    return {
        "chain": block.chain,
        "hash": block.hash.hex(),
        "number": block.number,
        "timestamp": block.timestamp,
        "timestamp_source": "block",
    }
