"""What is to be known before a story is read, what comparing logs showed, and what remains open (SPEC 4)."""

from __future__ import annotations

from collections.abc import Iterator, Sequence, Set
from typing import Final

from proofs.limits import LEFT_OUT, ONE_HISTORY
from relay.audit.case import Case
from relay.audit.clock_words import gap_words
from relay.audit.stamps import clock_gap_ms, first_of
from relay.audit.story import DecisionStory, Finding
from relay.core.words import count_words

__all__ = ["compared", "not_shown", "notices"]

_LACKING: Final = frozenset({"omitted-own", "omitted", "missing"})
_APART: Final = frozenset({"fork", "inconsistent", "rollback"})
_UNREAD: Final = frozenset({"log", "no-log", "silent"})


def notices(case: Case, decisions: Sequence[DecisionStory]) -> tuple[str, ...]:
    """Say what a reader must know first: that it is a demonstration, that clocks are far apart."""
    is_demo = any(document.demo for document in case.documents)
    told = (
        ["This network calls itself a demonstration: its committee document says “demo”."] if is_demo else []
    )
    gap_ms = clock_gap_ms(first_of(decisions))
    if gap_ms:
        gap = f"The members' clocks are {gap_words(gap_ms)} the chains'"
        why = "a demonstration's chains may keep a time of their own" if is_demo else "one of them is wrong"
        told.append(f"{gap}; {why}. Compare times of one clock only.")
    return tuple(told)


def compared(case: Case, findings: Sequence[Finding]) -> tuple[str, ...]:
    """Say what comparing the logs showed; nothing where fewer than two were read."""
    logs = {log.origin for log in case.logs}
    if len(logs) < 2:
        return ()
    names = {finding.name for finding in findings}
    of = f"the {len(logs)} logs"
    if names & _LACKING:
        words = (
            f"Of the statements about this incident, not all stand in all of {of}: the findings name them."
        )
    else:
        words = f"Every statement about this incident that stands in one of {of} stands in all of them."
    told = [words]
    if names & _APART:
        told.append("Not all checkpoints of a log are of one history: the findings name them.")
    elif _is_of_one_history(case, names):
        told.append("Each log begins with every checkpoint of it that a bundle or a copy shows: one history.")
    return tuple(told)


def not_shown(
    case: Case, findings: Sequence[Finding], skipped: Sequence[str], *, has_anchors: bool
) -> tuple[str, ...]:
    """Say what remains open: what the bundles do not prove, and what this comparison does not."""
    names = {finding.name for finding in findings}
    limits = [limit for opened in case.bundles for limit in opened.verdict.not_proved]
    lifted = {LEFT_OUT} if case.logs else set()
    lifted |= {ONE_HISTORY} if _is_of_one_history(case, names) else set()
    own = [
        "who attacked, how, and what was lost: the log holds what rules read and what was done about it",
        *_not_logged(case, names),
        "times by a member's own clock: they are its word; a cosigner's time is the word of the cosigner",
    ]
    if not has_anchors:
        own.append("anchors were not looked at: give --rpc CHAIN=URL to read them from the chain")
    if skipped:
        own.append(f"logs of the policy that no source showed: {', '.join(skipped)}")
    return tuple(dict.fromkeys([*own, *(limit for limit in limits if limit not in lifted)]))


def _not_logged(case: Case, names: Set[str]) -> Iterator[str]:
    """Say what logs that were read leave open about statements, and about what they show later."""
    logs = {log.origin for log in case.logs}
    if not logs:
        return
    if "too-few-logs" in names:
        yield f"that nothing was left out of {count_words(len(logs), 'log')}: too few were read to compare"
    else:
        lying = count_words(case.f, "member lies", "members lie")
        yield (
            f"what none of the {len(logs)} logs holds: if at most {lying}, one of any {case.f + 1} logs is an"
            " honest member's, who logs what it hears; what no honest member heard may stand in none"
        )
    yield "what the logs show later, and to others: tocsin audit follow watches that"


def _is_of_one_history(case: Case, names: Set[str]) -> bool:
    """Tell whether every checkpoint of the bundles was held against a log at least as long (SPEC 4)."""
    sizes: dict[str, int] = {}
    for log in case.logs:
        sizes[log.origin] = max(log.signed.checkpoint.size, sizes.get(log.origin, 0))
    return not names & (_APART | _UNREAD) and all(
        signed.checkpoint.size <= sizes.get(signed.checkpoint.origin, -1)
        for opened in case.bundles
        for signed, _ in opened.places
    )
