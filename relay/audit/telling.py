"""A decision as a reader meets it: who said what, on which values, what was called, and what came of it."""

from __future__ import annotations

from collections.abc import Iterable, Iterator, Mapping, Sequence
from dataclasses import replace
from itertools import islice
from typing import Final

from proofs.canonical import Value
from proofs.committee import malicious_bound
from proofs.decision import BlockRef, decision_id
from proofs.ground import Ground
from proofs.kinds import Identity
from proofs.verdict import ActVerdict, DecisionVerdict, SeenOutcome, SignedByMembers
from relay.audit.case import Case, Said
from relay.audit.plan_words import PlanWords
from relay.audit.rule_words import TruePart, true_parts
from relay.audit.story import (
    CallStory,
    Clock,
    DecisionStory,
    EffectStory,
    MetricStory,
    Moment,
    PinStory,
    Reading,
    Voice,
)
from relay.core.messages import Attestation, Header, Outcome

__all__ = ["block_moment", "member_of_log", "said_moment", "tell_decision", "witnessed_moment"]

_STRENGTH: Final = {"attest": 3, "dissent": 3, "astray": 2, "abstain": 1}
_MAX_ROWS: Final = 256
"""Of values of one decision: a map may have 64 entries, and 64 metrics are maps."""
_NOTHING: Final = "none"
_EACH_ITS_OWN: Final = "disagreement"
"""The one metric that tells of a member's own endpoints (plans SPEC 1.2)."""


def block_moment(block: BlockRef) -> Moment:
    """Give a block's time, by its own word."""
    return Moment(block.timestamp * 1_000, Clock.BLOCK, f"block {block.number:,} of {block.chain}")


def said_moment(said: Said) -> Moment:
    """Give when an author says that he said it."""
    return Moment(said.envelope.at_ms, Clock.SELF_ASSERTED, said.member)


def witnessed_moment(said: Said) -> Moment | None:
    """Give when cosigners saw it in a log, if any did."""
    if said.witnessed is None:
        return None
    count = said.witnessed.cosigners
    return Moment(
        said.witnessed.at_s * 1_000, Clock.WITNESSED, f"{count} cosigner{'' if count == 1 else 's'}"
    )


def member_of_log(case: Case, origin: str) -> str:
    """Give the name of the member that keeps a log, or the log's own name."""
    prefix, _, name = origin.rpartition("/")
    known = {member.name for document in case.documents for member in document.members}
    return name if prefix == case.documents[0].name and name in known else origin


def tell_decision(case: Case, verdict: DecisionVerdict) -> DecisionStory:
    """Tell one decision, with everything that bundles and logs say of it."""
    decision, plan = verdict.decision, case.plans[verdict.decision.plan_hash]
    document = case.document_of(decision.key_epoch)
    heard = _attestations(case, verdict)
    voices = _voices(case, verdict, heard)
    return DecisionStory(
        id=verdict.decision_id.hex(),
        protocol=plan.protocol,
        reason=plan.reason,
        plan_hash=decision.plan_hash.hex(),
        op=decision.op.name.lower(),
        tier=decision.tier.name.lower(),
        subject=decision.subject,
        rung=decision.rung,
        parent=None if decision.parent is None else decision.parent.hex(),
        anchor=block_moment(decision.anchor),
        anchor_number=decision.anchor.number,
        anchor_hash=decision.anchor.hash.hex(),
        not_after=Moment(verdict.not_after * 1_000, Clock.BLOCK, decision.anchor.chain),
        condition=plan.condition(decision),
        condition_words=plan.condition_words(decision),
        certificate=_certificate(verdict),
        certified_by=tuple(sorted(verdict.certified_by)),
        threshold=verdict.threshold,
        members=len(document.members),
        f=malicious_bound(len(document.members)),
        reporters=tuple(f"ed25519:{key.hex()}" for key in verdict.reporters),
        voices=voices,
        metrics=_metrics(plan, heard, tuple(_true_parts(plan, verdict, heard))),
        pins=_pins(heard),
        calls=tuple(_call(case, verdict, act, plan) for act in verdict.acts),
    )


def _certificate(verdict: DecisionVerdict) -> str:
    if isinstance(verdict.certificate, SignedByMembers):
        return f"a list of {len(verdict.certificate.signers)} members' signatures"
    return f"one signature by the group key {verdict.certificate.group}"


_Heard = tuple[Said, Attestation]


def _attestations(case: Case, verdict: DecisionVerdict) -> list[_Heard]:
    """Give what members said to this decision, by the time that they name."""
    return [
        (said, said.message)
        for said in case.said
        if isinstance(said.message, Attestation)
        and decision_id(case.network, said.message.decision) == verdict.decision_id
    ]


def _stance(verdict: DecisionVerdict, message: Attestation) -> str:
    """Give a member's stance: who signed another mandate, or speaks of another block's time, went astray."""
    signs_another = message.digest is not None and message.digest != verdict.digest
    is_other = message.decision != verdict.decision
    return "astray" if signs_another or is_other else message.verdict.value


def _voices(case: Case, verdict: DecisionVerdict, heard: Sequence[_Heard]) -> tuple[Voice, ...]:
    strongest: dict[str, _Heard] = {}
    for said, message in heard:
        known = strongest.get(said.member)
        rank = _STRENGTH[_stance(verdict, message)]
        if known is None or rank > _STRENGTH[_stance(verdict, known[1])]:
            strongest[said.member] = (said, message)
    names = [member.name for member in case.document_of(verdict.decision.key_epoch).members]
    names += [name for name in strongest if name not in names]
    return tuple(_voice(case, verdict, name, strongest.get(name)) for name in sorted(names))


def _voice(case: Case, verdict: DecisionVerdict, name: str, heard: _Heard | None) -> Voice:
    if heard is None:
        return Voice(name, "absent", None, None, None, (), _NOTHING, (), is_certifying=False)
    said, message = heard
    result, faulted = message.trace.get("result"), message.trace.get("faulted")
    return Voice(
        member=name,
        stance=_stance(verdict, message),
        said=said_moment(said),
        witnessed=witnessed_moment(said),
        digest=said.envelope.digest.hex(),
        logs=tuple(sorted(member_of_log(case, origin) for origin in said.places)),
        result=_NOTHING if result is None else str(result).lower(),
        faulted=tuple(str(each) for each in faulted) if isinstance(faulted, (list, tuple)) else (),
        is_certifying=name in verdict.certified_by,
    )


_Readings = dict[str, list[str]]
"""Who read what: members by value."""


def _true_parts(plan: PlanWords, verdict: DecisionVerdict, heard: Iterable[_Heard]) -> Iterator[TruePart]:
    """Give the entries at which the rule was true, of the values on which all agree who attested."""
    told: dict[tuple[str, str], set[int]] = {}
    unclear: set[tuple[str, str]] = set()
    for _, message in heard:
        if _stance(verdict, message) != "attest":
            continue
        for name, value in _values(message.trace):
            for key, entry in value.items() if isinstance(value, Mapping) else [("", value)]:
                if isinstance(entry, int) and not isinstance(entry, bool):
                    told.setdefault((name, key), set()).add(entry)
                else:
                    unclear.add((name, key))
    agreed = {
        place: value
        for place, found in told.items()
        for value in found
        if len(found) == 1 and place not in unclear
    }
    return true_parts(plan.condition(verdict.decision), agreed, plan.limits)


def _metrics(plan: PlanWords, heard: Iterable[_Heard], parts: Sequence[TruePart]) -> tuple[MetricStory, ...]:
    """Give each value that was read, once, with those who read it."""
    readings: dict[tuple[str, str], _Readings] = {}
    authors: _Readings = {}
    for said, message in heard:
        for name, value in _values(message.trace):
            authors.setdefault(name, []).append(said.member)
            entries = value.items() if isinstance(value, Mapping) else [("", value)]
            for key, entry in entries:
                who = readings.setdefault((name, key), {}).setdefault(str(entry), [])
                if said.member not in who:
                    who.append(said.member)
    true_at = {(name, part.key): part.text for part in parts for name in part.metrics}
    # What makes the rule true is told before the bound is reached, and the 0 that it is compared with too.
    ordered = sorted(readings.items(), key=lambda each: (each[0] not in true_at, each[0]))
    rows = (
        replace(row, makes_true=true_at.get(place, ""))
        for place, told in ordered
        if not _is_empty(row := _metric(plan, place, told, authors[place[0]])) or place in true_at
    )
    return tuple(sorted(islice(rows, _MAX_ROWS), key=lambda each: each.name))


def _metric(plan: PlanWords, place: tuple[str, str], told: _Readings, authors: Iterable[str]) -> MetricStory:
    """Give one row. Who has no such entry read `none`."""
    name, key = place
    without = [each for each in dict.fromkeys(authors) if not any(each in who for who in told.values())]
    shown = {**told, _NOTHING: without} if without else told
    words = plan.metric(name)
    return MetricStory(
        name=f"{name}[{key}]" if key else name,
        read=words.read,
        unit=words.unit,
        chain=words.chain,
        source=words.source,
        readings=tuple(Reading(value, tuple(sorted(who))) for value, who in sorted(shown.items())),
        differs=len(shown) > 1 and words.read != _EACH_ITS_OWN,
    )


def _is_empty(row: MetricStory) -> bool:
    """Tell whether it is the entry of a map that is 0 for all."""
    return "[" in row.name and [each.value for each in row.readings] == ["0"]


def _values(trace: Mapping[str, Value]) -> list[tuple[str, Value]]:
    values = trace.get("values")
    return list(values.items()) if isinstance(values, Mapping) else []


def _pins(heard: Iterable[_Heard]) -> tuple[PinStory, ...]:
    members: dict[tuple[str, int, str, int], list[str]] = {}
    for said, message in heard:
        pins = message.trace.get("pins")
        for chain, pin in pins.items() if isinstance(pins, Mapping) else ():
            place = _place(pin)
            if place is not None:
                told = members.setdefault((chain, *place), [])
                if said.member not in told:
                    told.append(said.member)
    return tuple(
        PinStory(
            chain,
            number,
            block,
            Moment(time_s * 1_000, Clock.BLOCK, f"block {number:,} of {chain}"),
            tuple(sorted(who)),
        )
        for (chain, number, block, time_s), who in sorted(members.items())
    )


def _place(pin: Value) -> tuple[int, str, int] | None:
    if not isinstance(pin, Mapping):
        return None
    number, block, time_s = pin.get("number"), pin.get("hash"), pin.get("timestamp")
    if isinstance(number, int) and isinstance(block, bytes) and isinstance(time_s, int):
        return number, block.hex(), time_s
    return None


def _call(case: Case, verdict: DecisionVerdict, act: ActVerdict, plan: PlanWords) -> CallStory:
    words = plan.act(act.name)
    return CallStory(
        act=act.name,
        verb=words.verb,
        chain=act.chain,
        gateway=plan.gateway(act.chain) or f"0x{act.gateway.hex()}",
        target=words.target,
        call=words.call,
        duration_s=act.duration_s,
        effects=_effects(case, verdict, act),
    )


def _effects(case: Case, verdict: DecisionVerdict, act: ActVerdict) -> tuple[EffectStory, ...]:
    """Give what members saw of an act, in bundles and logs, in the order of the blocks' times."""
    seen: dict[Outcome, dict[Identity, str]] = {}
    for said in case.said:
        message = said.message
        if (
            isinstance(message, Outcome)
            and message.mandate_digest == verdict.digest
            and (message.chain, message.gateway, message.act_id) == (act.chain, act.gateway, act.act_id)
        ):
            seen.setdefault(message, {})[said.envelope.author] = said.member
    ordered = sorted(seen.items(), key=lambda each: (each[0].block.timestamp, each[0].effect))
    ground = Ground(case.network, case.documents, {})
    key_epoch = verdict.decision.key_epoch
    return tuple(
        _effect(case, act, outcome, who, is_honest=ground.weigh(who, key_epoch).has_honest)
        for outcome, who in ordered
    )


def _effect(
    case: Case, act: ActVerdict, outcome: Outcome, who: Mapping[Identity, str], *, is_honest: bool
) -> EffectStory:
    shown = next((each for each in act.outcomes if _is_same(each, outcome)), None)
    receipt = None if shown is None else shown.receipt
    place = None if receipt is None else f"transaction {receipt.tx_index} of the block, log {receipt.log}"
    return EffectStory(
        effect=outcome.effect,
        block_number=outcome.block.number,
        block_hash=outcome.block.hash.hex(),
        at=block_moment(outcome.block),
        tx=outcome.tx.hex(),
        until=Moment(outcome.until * 1_000, Clock.BLOCK, outcome.chain) if outcome.until else None,
        gas=outcome.gas_used,
        seen_by=tuple(sorted(set(who.values()))),
        is_seen_by_an_honest_member=is_honest,
        receipt=place,
        final_by=_final_by(case, outcome),
    )


def _is_same(shown: SeenOutcome, outcome: Outcome) -> bool:
    theirs = (shown.effect, shown.block, shown.tx, shown.until, shown.gas_used)
    return theirs == (outcome.effect, outcome.block, outcome.tx, outcome.until, outcome.gas_used)


def _final_by(case: Case, outcome: Outcome) -> tuple[str, ...]:
    """Give who signed that an outcome's block is final."""
    told = {
        said.member
        for said in case.said
        if isinstance(said.message, Header)
        and (said.message.decision_id, said.message.block) == (outcome.decision_id, outcome.block)
    }
    return tuple(sorted(told))
