"""Holding logs against each other: what one left out, contradictions, two histories of one log (SPEC 4).

Pure: what could be read was read before. Nobody is accused of leaving out what he had no time to publish, or
what may stand further back in his log than it was read.
"""

from __future__ import annotations

from collections.abc import Iterable, Iterator, Mapping, Sequence
from typing import Final

from proofs.checkpoint import SignedCheckpoint
from proofs.decision import decision_id
from proofs.kinds import DecisionId, Identity
from relay.audit.case import Case, LogRead, Said
from relay.audit.story import Answer, DecisionStory, Finding
from relay.audit.telling import member_of_log
from relay.core.messages import (
    Absence,
    Accusation,
    Attestation,
    Equivocation,
    Header,
    Message,
    Outcome,
    Unlanded,
    Verdict,
    Void,
)
from relay.core.words import count_words, span

__all__ = ["MERGE_DELAY_S", "compare", "missing_in"]

MERGE_DELAY_S: Final = 60
"""Within this an honest node publishes what it took and may release (core SPEC 7.3)."""
CLOCKS_S: Final = 60
"""By how much clocks of honest members, and the auditor's, may differ."""
HEADS_S: Final = 1_800
"""By how much the newest block that an honest member sees may be behind its clock."""
_MOST_OF_A_KIND: Final = 64
"""Outcomes and voids, or headers, of one member that a node takes of a decision (core SPEC 6.5)."""
_ABOUT_ONE: Final = (Absence, Accusation, Header, Outcome, Unlanded, Void)
MAX_ALIKE: Final = 16
"""Findings of one name about one log and author that are listed one by one."""
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
    alike: dict[tuple[str, str, str], int] = {}
    for log in _newest(case.logs):
        for said in missing_in(case, log):
            is_own = said.member == log.member
            finding = _omission(case, log, said, is_own=is_own)
            kind = (finding.name, log.origin, said.member)
            alike[kind] = alike.get(kind, 0) + 1
            if alike[kind] <= MAX_ALIKE:
                found.append((not is_own, finding))
    return [*(finding for _, finding in sorted(found, key=lambda each: each[0])), *_more(case, alike)]


def _more(case: Case, alike: Mapping[tuple[str, str, str], int]) -> Iterator[Finding]:
    """Say how many findings are not listed one by one."""
    for (name, origin, author), count in alike.items():
        if count > MAX_ALIKE:
            keeper = member_of_log(case, origin)
            words = f"the log of {keeper} has not {count - MAX_ALIKE:,} more statements of {author}"
            answer = Answer.UNKNOWN if name == "missing" else Answer.NO
            yield Finding(name, answer, words, {"log": origin, "keeper": keeper, "author": author})


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
    due_s = _due_s(case, log, said)
    if doubt is None and due_s is None:
        doubt = "when it stood there is told by no cosignature"
    if doubt is None and due_s is not None and log.seen_at_s is not None and log.seen_at_s <= due_s:
        doubt = f"it has {due_s + 1 - log.seen_at_s} s left to publish it: ask again then"
    if doubt is not None:
        due = {} if due_s is None else {"due_at_s": due_s + 1}
        return Finding("missing", Answer.UNKNOWN, f"{words}; {doubt}", {**facts, **due})
    name = "omitted-own" if is_own else "omitted"
    late = (log.seen_at_s or 0) - (due_s or 0)
    return Finding(name, Answer.NO, f"{words}: {span(late)} overdue at least", {**facts, "late_s": late})


def _doubt(case: Case, log: LogRead, said: Said) -> str | None:
    """Say why a missing statement convicts nobody however long it is missing; None where it may."""
    if log.first > 0:
        return f"it may stand before entry {log.first}, to which the log was read"
    if log.seen_at_s is None:
        return "when this copy of the log was so is told by no cosignature"
    if said.envelope.author == log.keeper:
        return None
    if len(_holders(case, said)) <= case.f:
        return "no honest member's log is known to hold it: who keeps this one may never have been told"
    if not isinstance(said.message, (Attestation, *_ABOUT_ONE)):
        return "of these a node takes only so many an hour, and which depends on the order in which they come"
    return _full(case, log, said)


def _full(case: Case, log: LogRead, said: Said) -> str | None:
    """Say whether its author used up his place in this log (core SPEC 6.5): what came first counts."""
    about = _about(case, said.message)
    if isinstance(said.message, Attestation) and not any(
        verdict.decision == said.message.decision for verdict in case.decisions
    ):
        return "it speaks of another block or key epoch than the decision that was certified"
    theirs = [
        each.message
        for each in case.said
        if each.envelope.author == said.envelope.author
        and log.origin in each.places
        and _about(case, each.message) == about
    ]
    place = _place(said.message)
    if place is not None and place in map(_place, theirs):
        return f"{said.member} said something else in its place, which stands here"
    kinds = next((kinds for kinds in ((Header,), (Outcome, Void)) if isinstance(said.message, kinds)), ())
    if kinds and sum(isinstance(message, kinds) for message in theirs) >= _MOST_OF_A_KIND:
        return f"{said.member} said as much of it as a node takes, which stands here"
    return None


def _due_s(case: Case, log: LogRead, said: Said) -> int | None:
    """Give by when a statement must stand in a log, by everybody's clock; None where nothing tells."""
    times = sorted(time for time in _holders(case, said).values() if time is not None)
    needed = 0 if said.envelope.author == log.keeper else case.f
    if len(times) <= needed:
        return None
    # Of f+1 logs one is an honest member's, who passes it on; a liar may have had it long before.
    known_s = times[needed]
    if isinstance(said.message, Attestation):
        known_s = max(known_s, _released_s(case, log, said.message))
    return known_s + MERGE_DELAY_S + CLOCKS_S


def _holders(case: Case, said: Said) -> dict[Identity, int | None]:
    """Give the members in whose logs it stands, and by when it did, where that is told."""
    keepers = {origin: case.keeper_of(origin) for origin in said.places}
    return {keeper: said.since_s.get(origin) for origin, keeper in keepers.items() if keeper is not None}


def _released_s(case: Case, log: LogRead, message: Attestation) -> int:
    """Give by when a log's keeper had to release a verdict (core SPEC 7.3): by what he released of that
    decision himself, at the latest when its mandate had ended. Another may release it, and lie, earlier.
    """
    about = _about(case, message)
    own = [
        each.since_s[log.origin]
        for each in case.said
        if isinstance(each.message, Attestation)
        and log.origin in each.since_s
        and _about(case, each.message) == about
    ]
    ends = [verdict.not_after + HEADS_S for verdict in case.decisions if verdict.decision_id == about]
    return min([*own, *ends])


def _about(case: Case, message: Message) -> DecisionId | None:
    """Give the decision that a statement is about."""
    if isinstance(message, Attestation):
        return decision_id(case.network, message.decision)
    return message.decision_id if isinstance(message, _ABOUT_ONE) else None


def _place(message: Message) -> object:
    """Give the place that one member's statement on a decision has in a log alone; None: it has many."""
    match message:
        case Attestation(_, verdict):
            return "abstention" if verdict is Verdict.ABSTAIN else "verdict"
        case Absence():
            return "absence"
        case Accusation(_, member):
            return "accusation", member
        case Header(_, chain, block):
            return "header", chain, block
        case Unlanded():
            return "unlanded", message.chain, message.act_id
        case _:
            return None


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
    spoken: dict[tuple[Identity, DecisionId, int], Said] = {}
    for said in case.said:
        message = said.message
        if not isinstance(message, Attestation) or message.verdict is Verdict.ABSTAIN:
            continue
        decision = message.decision  # the key epoch is not in its id (core SPEC 4.1, 6.4)
        place = (said.envelope.author, decision_id(case.network, decision), decision.key_epoch)
        known = spoken.setdefault(place, said)
        # A crash may make a member say once more what had left it: that contradicts nothing.
        if _stance(known.message) != _stance(message):
            yield _contradiction(case, known, said)


def _stance(message: Message) -> object:
    return (message.verdict, message.digest) if isinstance(message, Attestation) else None


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
