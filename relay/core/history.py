"""Events as bytes, and back: what the journal holds (SPEC 7.1). Canonical msgpack, one array per event."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Final

from proofs.canonical import Value, decode, encode
from proofs.committee import parse_committee
from proofs.decision import BlockRef, block_value, parse_block
from proofs.disclosure import SEED_BYTES
from proofs.envelope import Envelope, PayloadFields, UnverifiedEnvelope, parse_envelope
from proofs.errors import ProofError
from proofs.groupkeys import parse_keys
from proofs.hashes import sha256
from proofs.reports import read_report, report_body
from relay.core.ceremony_effects import CeremonyJoined, CeremonyLeft, CeremonyProposed
from relay.core.errors import JournalError, WireError
from relay.core.events import (
    AnchorEnded,
    BlockObserved,
    ChainFinalized,
    ChainReorged,
    CommitteeLearned,
    Event,
    ForkFound,
    KeysInForce,
    OwnStatementFound,
    ReadinessChanged,
    Received,
    ReportTold,
    SignalTold,
    Signed,
    SigningRefused,
    Started,
    SubmissionEnded,
    ThresholdSigned,
    VerifierSeen,
)
from relay.core.observations import (
    BlockReads,
    CallValue,
    EndedHow,
    EventRow,
    Field,
    GatewayEvent,
    GatewayEventKind,
    PlanRegistered,
)
from relay.core.ports import EffectSeen, Submission, SubmissionStatus
from relay.core.rotation_values import state_of, state_value
from relay.core.types import (
    ActId,
    Caip2,
    DecisionId,
    Digest,
    Gateway,
    Header,
    Millis,
    PlanHash,
)
from relay.core.wire import read_message
from relay.threshold.bodies import CEREMONY_KIND, ceremony_body, read_ceremony_body
from relay.threshold.messages import Proposal

__all__ = ["MAX_EVENT_BYTES", "event_from_bytes", "event_to_bytes"]

MAX_EVENT_BYTES: Final = 16 * 1024 * 1024


def event_to_bytes(event: Event) -> bytes:
    """Give the journal's bytes of an event that `is_journalled` says goes to disk."""
    return encode(_packed(event))


def event_from_bytes(data: bytes) -> Event:
    """Read what `event_to_bytes` wrote. Signatures are not checked again: the journal is our own.

    Raises:
        JournalError: the bytes are no event of this version.
    """
    try:
        value = decode(data, limit_bytes=MAX_EVENT_BYTES)
        return _unpacked(value)
    except (ProofError, WireError, ValueError, TypeError, KeyError) as error:
        raise JournalError(f"expected an event, got {data[:16].hex()}…: {error}") from error


def _packed(event: Event) -> Value:  # noqa: C901  one case per kind, closed
    match event:
        case Started(at_ms, boot, instance):
            return ["started", at_ms, boot, instance]
        case CommitteeLearned(document):
            return ["committee", document.raw]
        case BlockObserved(reads, agreeing, asked, head):
            return ["block", _pack_reads(reads), agreeing, asked, block_value(head)]
        case ChainReorged(chain, ancestor):
            return ["reorg", chain, block_value(ancestor)]
        case ChainFinalized(block):
            return ["final", block_value(block)]
        case Received(envelope, _, at_ms):
            return ["received", envelope.raw, at_ms]
        case Signed(envelope, _, at_ms):
            return ["signed", envelope.raw, at_ms]
        case SigningRefused(decision_id, key_epoch, reason):
            return ["refused", decision_id, key_epoch, reason]
        case OwnStatementFound(digest, is_held):
            return ["own", digest, is_held]
        case KeysInForce(document, at_ms):
            return ["keys", document.raw, at_ms]
        case ThresholdSigned(digest, key_id, certificate, at_ms):
            return ["threshold", digest, key_id, certificate, at_ms]
        case SubmissionEnded(key, submission):
            return ["submission", key, _pack_submission(submission)]
        case AnchorEnded(incident_id, chain, decisions, Submission() as submission):
            return ["anchor", incident_id, chain, decisions, _pack_submission(submission)]
        case VerifierSeen(gateway, state, at_ms):
            return ["verifier", gateway, state_value(state), at_ms]
        case SignalTold(plan_hash, subject, reporter, note, seed, at_ms):
            return ["signal", plan_hash, subject, reporter, note, seed, at_ms]
        case ReadinessChanged(fact, standing, reason, remedy, seed, at_ms):
            return ["readiness", fact, standing, reason, remedy, seed, at_ms]
        case ForkFound(first, second, at_ms):
            return ["fork", first, second, at_ms]
        case ReportTold(report, at_ms):
            return ["report", report_body(report), at_ms]
        case CeremonyProposed(proposal, at_ms):
            return ["ceremony-proposed", ceremony_body(proposal), at_ms]
        case CeremonyJoined(ceremony, at_ms):
            return ["ceremony-joined", ceremony, at_ms]
        case CeremonyLeft(ceremony, at_ms):
            return ["ceremony-left", ceremony, at_ms]
        case _:
            raise AssertionError(f"{type(event).__name__} is not journalled")


def _unpacked(value: Value) -> Event:  # noqa: C901  one case per kind, closed
    match value:
        case ("started", int(at_ms), int(boot), bytes(instance)):
            return Started(Millis(at_ms), boot, instance)
        case ("committee", bytes(raw)):
            return CommitteeLearned(parse_committee(raw))
        case ("block", reads, int(agreeing), int(asked), head):
            return BlockObserved(_unpack_reads(reads), agreeing, asked, parse_block(head))
        case ("reorg", str(chain), ancestor):
            return ChainReorged(Caip2(chain), parse_block(ancestor))
        case ("final", block):
            return ChainFinalized(parse_block(block))
        case ("received", bytes(raw), int(at_ms)):
            envelope = _own_copy(parse_envelope(raw))
            return Received(envelope, read_message(envelope), Millis(at_ms))
        case ("signed", bytes(raw), int(at_ms)):
            envelope = _own_copy(parse_envelope(raw))
            return Signed(envelope, read_message(envelope), Millis(at_ms))
        case ("refused", bytes(decision_id), int(key_epoch), str(reason)):
            return SigningRefused(DecisionId(decision_id), key_epoch, reason)
        case ("own", bytes(digest), bool(is_held)):
            return OwnStatementFound(Digest(digest), is_held)
        case ("keys", bytes(raw), int(at_ms)):
            return KeysInForce(parse_keys(raw), Millis(at_ms))
        case ("threshold", bytes(digest), bytes(key_id), bytes(certificate), int(at_ms)):
            return ThresholdSigned(Digest(digest), Digest(key_id), certificate, Millis(at_ms))
        case ("submission", bytes(key), submission):
            return SubmissionEnded(key, _unpack_submission(submission))
        case ("anchor", bytes(incident_id), str(chain), int(decisions), submission):
            ended = _unpack_submission(submission)
            return AnchorEnded(DecisionId(incident_id), Caip2(chain), decisions, ended)
        case ("verifier", bytes(gateway), state, int(at_ms)):
            return VerifierSeen(Gateway(gateway), state_of(state), Millis(at_ms))
        case ("signal", bytes(plan_hash), str(subject), str(reporter), str(note), bytes(seed), int(at_ms)):
            return SignalTold(plan_hash, subject, reporter, note, _seed(seed), Millis(at_ms))
        case ("readiness", str(fact), str(word), str(reason), str(remedy), bytes(seed), int(at_ms)):
            return ReadinessChanged(fact, word, reason, remedy, _seed(seed), Millis(at_ms))
        case ("fork", str(first), str(second), int(at_ms)):
            return ForkFound(first, second, Millis(at_ms))
        case ("report", body, int(at_ms)):
            return ReportTold(read_report(body), Millis(at_ms))
        case ("ceremony-proposed", body, int(at_ms)):
            return CeremonyProposed(_proposal(body), Millis(at_ms))
        case ("ceremony-joined", bytes(ceremony), int(at_ms)):
            return CeremonyJoined(Digest(ceremony), Millis(at_ms))
        case ("ceremony-left", bytes(ceremony), int(at_ms)):
            return CeremonyLeft(Digest(ceremony), Millis(at_ms))
        case _:
            raise ValueError("unknown form")


def _seed(seed: bytes) -> bytes:
    if len(seed) != SEED_BYTES:
        raise ValueError(f"expected a seed of {SEED_BYTES} bytes, got {len(seed)}")
    return seed


def _proposal(body: Value) -> Proposal:
    message = read_ceremony_body(CEREMONY_KIND[Proposal], body)
    assert isinstance(message, Proposal), "a reader gives its own kind"
    return message


def _own_copy(unverified: UnverifiedEnvelope) -> Envelope:
    """Take an envelope whose signature was checked before it was written."""
    fields: PayloadFields = unverified.fields
    return Envelope(
        raw=unverified.raw,
        digest=sha256(unverified.raw),
        network=fields.network,
        author=fields.author,
        committee_epoch=fields.committee_epoch,
        kind=fields.kind,
        at_ms=fields.at_ms,
        body=fields.body,
    )


def _pack_reads(reads: BlockReads) -> Value:
    return [
        block_value(reads.header.block),
        reads.header.parent,
        [[row.query, row.log_index, row.tx, dict(row.fields)] for row in reads.rows],
        [[call.query, call.value, call.fault] for call in reads.calls],
        [_pack_gateway_event(event) for event in reads.gateway_events],
        [[p.gateway, p.log_index, p.current, p.following, p.overlap_until] for p in reads.plans],
    ]


def _unpack_reads(value: Value) -> BlockReads:
    block, parent, rows, calls, gateway_events, plans = _items(value)
    return BlockReads(
        header=Header(parse_block(block), _bytes(parent)),
        rows=tuple(_unpack_row(row) for row in _items(rows)),
        calls=tuple(_unpack_call(call) for call in _items(calls)),
        gateway_events=tuple(_unpack_gateway_event(event) for event in _items(gateway_events)),
        plans=tuple(_unpack_plan(plan) for plan in _items(plans)),
    )


def _unpack_row(value: Value) -> EventRow:
    match value:
        case (int(query), int(log_index), bytes(tx), dict(fields)):
            read: dict[str, Field] = {k: v for k, v in fields.items() if isinstance(v, int | str)}
            return EventRow(query, log_index, tx, read)
        case _:
            raise ValueError("expected an event row")


def _unpack_call(value: Value) -> CallValue:
    match value:
        case (int(query), int() | None as result, str() | None as fault):
            return CallValue(query, result, fault)
        case _:
            raise ValueError("expected a call's value")


def _unpack_plan(value: Value) -> PlanRegistered:
    match value:
        case (bytes(gateway), int(log_index), bytes(current), bytes(following), int(overlap_until)):
            return PlanRegistered(
                Gateway(gateway), log_index, PlanHash(current), PlanHash(following), overlap_until
            )
        case _:
            raise ValueError("expected a registered plan")


def _pack_gateway_event(event: GatewayEvent) -> Value:
    return {
        "act_id": event.act_id,
        "decision_id": event.decision_id,
        "ended_at": event.ended_at,
        "gas_used": event.gas_used,
        "gateway": event.gateway,
        "how": event.how.value if event.how is not None else None,
        "kind": event.kind.value,
        "log_index": event.log_index,
        "mandate": event.mandate,
        "tier": event.tier,
        "tx": event.tx,
        "undone": event.undone,
        "until": event.until,
    }


def _unpack_gateway_event(value: Value) -> GatewayEvent:
    match value:
        case {
            "act_id": bytes(act_id),
            "decision_id": bytes() | None as decision_id,
            "ended_at": int(ended_at),
            "gas_used": int(gas_used),
            "gateway": bytes(gateway),
            "how": str() | None as how,
            "kind": str(kind),
            "log_index": int(log_index),
            "mandate": bytes() | None as mandate,
            "tier": int(tier),
            "tx": bytes(tx),
            "undone": bool(undone),
            "until": int(until),
        }:
            return GatewayEvent(
                gateway=Gateway(gateway),
                kind=GatewayEventKind(kind),
                act_id=ActId(act_id),
                tx=tx,
                log_index=log_index,
                gas_used=gas_used,
                mandate=None if mandate is None else Digest(mandate),
                decision_id=None if decision_id is None else DecisionId(decision_id),
                tier=tier,
                until=until,
                how=None if how is None else EndedHow(how),
                ended_at=ended_at,
                undone=undone,
            )
        case _:
            raise ValueError("expected a gateway event")


def _pack_submission(submission: Submission) -> Value:
    block = block_value(submission.block) if submission.block is not None else None
    seen = [submission.status.value, submission.tx, block, submission.gas_used, submission.reason]
    return [*seen, submission.nonce, submission.effect.value, submission.attempts, submission.fee_wei]


def _unpack_submission(value: Value) -> Submission:
    match value:
        case (str(status), bytes() | None as tx, block, int(gas_used), str(reason)):
            # As journals had it before a submission told its nonce, effect, attempts and fee.
            return Submission(SubmissionStatus(status), tx, _block_or_none(block), gas_used, reason)
        case (
            str(status),
            bytes() | None as tx,
            block,
            int(gas_used),
            str(reason),
            int() | None as nonce,
            str(effect),
            int(attempts),
            int(fee_wei),
        ):
            return Submission(
                status=SubmissionStatus(status),
                tx=tx,
                block=_block_or_none(block),
                gas_used=gas_used,
                reason=reason,
                nonce=nonce,
                effect=EffectSeen(effect),
                attempts=attempts,
                fee_wei=fee_wei,
            )
        case _:
            raise ValueError("expected a submission")


def _block_or_none(value: Value) -> BlockRef | None:
    return None if value is None else parse_block(value)


def _items(value: Value) -> Sequence[Value]:
    if not isinstance(value, tuple | list):
        raise TypeError("expected an array")
    return value


def _bytes(value: Value) -> bytes:
    if not isinstance(value, bytes):
        raise TypeError("expected bytes")
    return value
