"""Holding logs against each other: what one left out, contradictions, two histories of one log (SPEC 4).

Pure: what could be read was read before. Nobody is accused of leaving out what he had no time to publish, or
what may stand further back in his log than it was read.
"""

from __future__ import annotations

from collections.abc import Iterable, Iterator, Mapping, Sequence
from typing import Final

from proofs.checkpoint import SignedCheckpoint
from proofs.decision import decision_id
from proofs.kinds import DecisionId
from relay.audit.case import Case, LogRead, Said
from relay.audit.story import Answer, DecisionStory, Finding
from relay.audit.telling import member_of_log
from relay.core.committees import LASTING_S
from relay.core.messages import Attestation, Equivocation, Message, Verdict
from relay.core.words import count_words, span

__all__ = ["MERGE_DELAY_S", "compare", "missing_in"]

MERGE_DELAY_S: Final = 60
"""Within this an honest node publishes what it took and may release (core SPEC 7.3)."""
SIGNING_S: Final = 5
"""A node logs its own words as they are signed; those of one moment may be signed in another order."""
_DIGEST_SHOWN: Final = 16
_STANCES: Final[Mapping[Verdict, str]] = {
    Verdict.ATTEST: "attestation",
    Verdict.DISSENT: "dissent",
    Verdict.ABSTAIN: "abstention",
}


def compare(case: Case, decisions: Sequence[DecisionStory]) -> list[Finding]:
    """Give everything that logs and statements have against each other, the gravest first."""
    return [
        *_forks(case),
        *_contradictions(case),
        *_convicted(case),
        *_omissions(case),
        *_too_few(case),
        *_differing(decisions),
    ]


def missing_in(case: Case, log: LogRead) -> list[Said]:
    """Give the statements that other logs hold and this one does not, as far as it was read."""
    return [
        said
        for said in case.said
        if said.envelope.digest not in log.digests and log.origin not in said.places
    ]


def _omissions(case: Case) -> list[Finding]:
    """Name what is missing, a member's own word in its own log first."""
    found: list[tuple[bool, Finding]] = []
    for log in _newest(case.logs):
        for said in missing_in(case, log):
            is_own = said.member == log.member
            found.append((not is_own, _omission(case, log, said, is_own=is_own)))
    return [finding for _, finding in sorted(found, key=lambda each: each[0])]


def _omission(case: Case, log: LogRead, said: Said, *, is_own: bool) -> Finding:
    what = _what(said.message)
    digest = said.envelope.digest.hex()
    whose = "its own" if is_own else f"{said.member}'s"
    others = tuple(sorted(member_of_log(case, origin) for origin in said.places))
    facts: dict[str, str | int | tuple[str, ...]] = {
        "log": log.origin,
        "keeper": log.member,
        "author": said.member,
        "kind": said.envelope.kind,
        "what": what,
        "digest": digest,
        "stands_in": others,
    }
    words = (
        f"the log of {log.member} has not {whose} {what} {digest[:_DIGEST_SHOWN]}…, which stands in that of"
    )
    words = f"{words} {', '.join(others)}"
    doubt = _doubt(case, log, said)
    if doubt is not None:
        due = {} if said.published_s is None else {"due_at_s": said.published_s + MERGE_DELAY_S + 1}
        return Finding("missing", Answer.UNKNOWN, f"{words}; {doubt}", {**facts, **due})
    name = "omitted-own" if is_own else "omitted"
    late = (log.seen_at_s or 0) - (said.published_s or 0)
    return Finding(name, Answer.NO, f"{words} for {span(late)} at least", {**facts, "late_s": late})


def _doubt(case: Case, log: LogRead, said: Said) -> str | None:
    """Say why a missing statement convicts nobody, if it does not."""
    if log.first > 0:
        return f"it may stand before entry {log.first}, to which the log was read"
    if log.seen_at_s is None:
        return "when this copy of the log was so is told by no cosignature"
    if said.published_s is None:
        return "when the other log held it is told by no cosignature"
    left = said.published_s + MERGE_DELAY_S - log.seen_at_s
    if left >= 0:
        return f"it has {left + 1} s left to publish it: ask again then"
    if left < -LASTING_S or _has_moved_past(case, log, said, said.published_s):
        return None
    return "it may wait there for the release of an older entry: nothing that was said later is there either"


def _has_moved_past(case: Case, log: LogRead, said: Said, published_s: int) -> bool:
    """Tell whether a log holds what was said after it should have taken this: entries come out in order.

    The keeper's own clock binds him; of other authors f may lie about theirs.
    """
    by_then_ms = 1_000 * (published_s + MERGE_DELAY_S)
    later = {author for author, at_ms in log.latest_ms.items() if at_ms > by_then_ms}
    if log.keeper in later or len(later) > case.f:
        return True
    own_ms = 0 if log.keeper is None else log.latest_ms.get(log.keeper, 0)
    is_own = said.envelope.author == log.keeper
    return is_own and own_ms > said.envelope.at_ms + 1_000 * SIGNING_S


def _newest(logs: Iterable[LogRead]) -> list[LogRead]:
    """Give the newest reading of each log: a copy from another source may be older."""
    newest: dict[str, LogRead] = {}
    for log in logs:
        known = newest.get(log.origin)
        if known is None or log.signed.checkpoint.size > known.signed.checkpoint.size:
            newest[log.origin] = log
    return list(newest.values())


def _forks(case: Case) -> Iterator[Finding]:
    """Name each log of which two roots of one size are here, both signed by its key."""
    roots: dict[tuple[str, int], tuple[bytes, str]] = {}
    named: set[str] = set()
    for source, signed in _checkpoints(case):
        checkpoint = signed.checkpoint
        place = (checkpoint.origin, checkpoint.size)
        root, first = roots.setdefault(place, (checkpoint.root, source))
        if root != checkpoint.root and checkpoint.origin not in named:
            named.add(checkpoint.origin)
            keeper = member_of_log(case, checkpoint.origin)
            words = (
                f"the log of {keeper} has two roots of size {checkpoint.size:,}, both signed by its key:"
                f" {root.hex()[:_DIGEST_SHOWN]}… from {first},"
                f" {checkpoint.root.hex()[:_DIGEST_SHOWN]}… from {source}"
            )
            facts: dict[str, str | int | tuple[str, ...]] = {
                "log": checkpoint.origin,
                "keeper": keeper,
                "size": checkpoint.size,
                "roots": (root.hex(), checkpoint.root.hex()),
                "sources": (first, source),
            }
            yield Finding("fork", Answer.NO, words, facts)


def _checkpoints(case: Case) -> Iterator[tuple[str, SignedCheckpoint]]:
    """Give every checkpoint that was gathered, with its source."""
    for opened in case.bundles:
        for signed, _ in opened.places:
            yield opened.source, signed
    for log in case.logs:
        yield log.source, log.signed


def _contradictions(case: Case) -> Iterator[Finding]:
    """Name each member that signed two verdicts on one decision; abstaining first is none (core SPEC 6)."""
    spoken: dict[tuple[str, DecisionId], Said] = {}
    for said in case.said:
        message = said.message
        if not isinstance(message, Attestation) or message.verdict is Verdict.ABSTAIN:
            continue
        known = spoken.setdefault((said.member, decision_id(case.network, message.decision)), said)
        if known is not said:
            yield _contradiction(case, known, said)


def _contradiction(case: Case, first: Said, second: Said) -> Finding:
    both = f"{_what(first.message)} and {_what(second.message)}"
    words = f"{first.member} signed two verdicts on one decision: {both}"
    facts: dict[str, str | int | tuple[str, ...]] = {
        "member": first.member,
        "digests": (first.envelope.digest.hex(), second.envelope.digest.hex()),
        "stands_in": tuple(
            ", ".join(sorted(member_of_log(case, origin) for origin in said.places))
            for said in (first, second)
        ),
    }
    return Finding("contradiction", Answer.NO, words, facts)


def _convicted(case: Case) -> Iterator[Finding]:
    """Name the evidence of equivocation that members logged; it was checked when it was read."""
    for said in case.said:
        if isinstance(said.message, Equivocation):
            words = f"{said.member} logged two signed statements of one member that contradict each other"
            yield Finding("equivocation", Answer.NO, words, {"digest": said.envelope.digest.hex()})


def _too_few(case: Case) -> Iterator[Finding]:
    compared = sorted({log.member for log in case.logs})
    if len(compared) <= case.f:
        words = (
            f"{count_words(len(compared), 'log')} could be read, and {case.f + 1} are needed for an honest"
            " one among them: a statement that all of them leave out is not noticed"
        )
        yield Finding("too-few-logs", Answer.UNKNOWN, words, {"logs": len(compared), "needed": case.f + 1})


def _differing(decisions: Iterable[DecisionStory]) -> Iterator[Finding]:
    for decision in decisions:
        metrics = tuple(metric.name for metric in decision.metrics if metric.differs)
        if metrics:
            words = f"members read different values for {decision.subject}: {', '.join(metrics)}"
            yield Finding("values-differ", Answer.NO, words, {"decision": decision.id, "metrics": metrics})


def _what(message: Message) -> str:
    """Give the word for a statement, a verdict by its stance."""
    if isinstance(message, Attestation):
        return _STANCES[message.verdict]
    return type(message).__name__.lower()
