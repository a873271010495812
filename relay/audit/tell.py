"""From a case to its story: everything put into the order in which it is read (SPEC 4)."""

from __future__ import annotations

from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass

from relay.audit.case import Case, LogRead, OpenedBundle, witnessed_of
from relay.audit.compare import compare
from relay.audit.lead import lead_of
from relay.audit.limits import compared, not_shown, notices
from relay.audit.remarks import Opened, remarks_of
from relay.audit.stamps import Given, first_of, stamps_of
from relay.audit.story import (
    AnchorStory,
    Answer,
    BundleStory,
    Clock,
    DecisionStory,
    Finding,
    Ground,
    LogStory,
    Moment,
    Story,
)
from relay.audit.telling import member_of_log, tell_decision
from relay.audit.timeline import timeline_of

__all__ = ["Told", "answer_of", "tell"]


@dataclass(frozen=True, slots=True)
class Told:
    """What is told beside the case: what failed before, what the auditor knows, anchors if they were read."""

    findings: tuple[Finding, ...] = ()
    given: Given = Given()
    opened: tuple[Opened, ...] = ()
    anchors: tuple[AnchorStory, ...] | None = None
    skipped: tuple[str, ...] = ()
    """Origins of logs of the policy that no source showed."""


def answer_of(findings: Iterable[Finding]) -> Answer:
    """Give the answer to all of it: what does not hold weighs more than what could not be told."""
    answers = {finding.answer for finding in findings}
    return next((each for each in (Answer.NO, Answer.UNKNOWN) if each in answers), Answer.YES)


def tell(case: Case, told: Told) -> Story:
    """Tell the story of a case."""
    decisions = tuple(tell_decision(case, verdict) for verdict in case.decisions)
    remarks = remarks_of(case, told.opened)
    findings = tuple(sorted((*told.findings, *compare(case, decisions)), key=_gravity))
    answer = answer_of(findings)
    first = first_of(decisions)
    return Story(
        incident="" if first is None else first.id,
        title=_title(first),
        answer=answer,
        lead=lead_of(decisions, findings, answer),
        ground=_ground(case),
        stamps=stamps_of(decisions, told.given),
        timeline=timeline_of(decisions, remarks),
        decisions=decisions,
        gas=_gas(decisions),
        logs=tuple(_log(case, log) for log in case.logs),
        logs_needed=case.f + 1,
        bundles=tuple(_bundle(case, opened) for opened in case.bundles),
        findings=findings,
        remarks=remarks,
        anchors=told.anchors,
        compared=compared(case, findings),
        not_shown=not_shown(case, findings, told.skipped, has_anchors=told.anchors is not None),
        notices=notices(case, decisions),
    )


def _gravity(finding: Finding) -> bool:
    return finding.answer is not Answer.NO


def _title(first: DecisionStory | None) -> str:
    return "An incident" if first is None else f"{first.protocol}: {first.subject}"


def _ground(case: Case) -> Ground:
    verdicts = [opened.verdict for opened in case.bundles]
    policy = verdicts[0].policy_hash
    return Ground(
        network=case.network.hex(),
        network_name=case.documents[0].name,
        network_pinned=all(verdict.network_pinned for verdict in verdicts),
        policy_hash="" if policy is None else policy.hex(),
        policy_pinned=all(verdict.policy_pinned for verdict in verdicts),
        plans=tuple(plan.hex() for plan in sorted(case.plans)),
        plans_pinned=all(verdict.plans_pinned for verdict in verdicts),
        epochs=len(case.documents),
        members=tuple(sorted(member.name for member in case.documents[-1].members)),
        f=case.f,
        is_demo=any(document.demo for document in case.documents),
    )


def _gas(decisions: Sequence[DecisionStory]) -> Mapping[str, int]:
    """Give the gas of the transactions that carried the calls, each once, by chain: members' words."""
    used: dict[tuple[str, str], int] = {}
    for decision in decisions:
        for call in decision.calls:
            for effect in call.effects:
                place = (call.chain, effect.tx)
                used[place] = max(used.get(place, 0), effect.gas)
    return {chain: sum(gas for (on, _), gas in used.items() if on == chain) for chain, _ in sorted(used)}


def _log(case: Case, log: LogRead) -> LogStory:
    seen = witnessed_of(log.signed, case.f)
    return LogStory(
        origin=log.origin,
        member=log.member,
        source=log.source,
        size=log.signed.checkpoint.size,
        root=log.signed.checkpoint.root.hex(),
        cosigned_by=tuple(sorted(signature.key.name for signature in log.signed.cosigned)),
        witnessed=None
        if seen is None
        else Moment(seen.at_s * 1_000, Clock.WITNESSED, f"{seen.cosigners} cosigners"),
        entries_read=log.signed.checkpoint.size - log.first,
        is_read_whole=log.first == 0,
        statements=len(log.found),
        strange_entries=log.strange,
    )


def _bundle(case: Case, opened: OpenedBundle) -> BundleStory:
    return BundleStory(
        source=opened.source,
        member=opened.verdict.log.member or member_of_log(case, opened.verdict.log.newest.origin),
        decisions=len(opened.verdict.decisions),
        records=opened.verdict.records,
    )
