"""Following logs: whether each has only grown since the last visit, and who stands behind it (SPEC 3)."""

from __future__ import annotations

from collections.abc import Collection, Iterator, Sequence
from concurrent.futures import ThreadPoolExecutor
from dataclasses import dataclass, field, replace
from enum import StrEnum
from pathlib import Path

from proofs.checkpoint import Checkpoint, SignedCheckpoint, open_checkpoint
from proofs.errors import ProofError
from proofs.kinds import Digest
from proofs.logreading import LogError
from proofs.note import MAX_TIME_AHEAD_S, VerifierKey, is_timely
from proofs.policy import Policy, PolicyError, missing_witnesses, open_checkpoint_under
from relay.audit.evidence import Noted, keep_evidence
from relay.audit.followed import Followed, convictions, read_followed, write_followed
from relay.audit.reading import LogReading, contradiction, signed_contradiction
from relay.audit.sources import (
    Source,
    SourceError,
    SourceMissing,
    SourceRefused,
    closed_on_failure,
    read_checkpoint,
)

__all__ = ["HISTORY", "UNTOLD", "Alarm", "Alarmed", "FollowTerms", "LogLook", "Look", "look"]

_WORKERS = 16


class Alarm(StrEnum):
    """What a follower warns of."""

    FORK = "fork"
    ROLLBACK = "rollback"
    INCONSISTENT = "inconsistent"
    SIGNATURE = "signature"
    UNWITNESSED = "unwitnessed"
    FUTURE = "future"
    STALE = "stale"
    MISSING = "missing"
    SILENT = "silent"
    REFUSED = "refused"
    UNSERVED = "unserved"


HISTORY = frozenset({Alarm.FORK, Alarm.ROLLBACK, Alarm.INCONSISTENT})
"""The log is not the one of before: what is remembered of it stays."""
UNTOLD = frozenset({Alarm.MISSING, Alarm.SILENT, Alarm.REFUSED, Alarm.UNSERVED})
"""Nothing was found wrong, and nothing could be told."""


@dataclass(frozen=True, slots=True)
class Alarmed:
    """One alarm: about which log, as far as that is known, by which source; `problem` in words."""

    alarm: Alarm
    log: str | None
    source: str | None
    problem: str
    evidence: tuple[Path, ...] = ()


@dataclass(frozen=True, slots=True)
class FollowTerms:
    """Under which policy, where what is remembered lies, what our clock says, how long a log may lag."""

    policy: Policy
    state: Path
    now_s: int
    stale_s: int = 3_600


@dataclass(frozen=True, slots=True)
class LogLook:
    """One log at this visit: the newest checkpoint that a source gave, or None.

    `before` is its size at the last visit, None at the first; `seen_at_s` when that was. `cosigned_at_s` is
    the newest time of a cosignature, by that witness's clock; `cosigned` and `missing` are the witnesses with
    and without one, by the policy's names.
    """

    key: VerifierKey
    signed: SignedCheckpoint | None
    sources: tuple[str, ...]
    before: int | None
    seen_at_s: int | None
    cosigned_at_s: int | None
    cosigned: tuple[str, ...]
    missing: tuple[str, ...]
    alarms: tuple[Alarmed, ...]

    @property
    def name(self) -> str:
        return self.key.name

    @property
    def grown(self) -> int | None:
        """By how many entries; None where nothing was told, or nothing was known."""
        if self.signed is None or self.before is None or not self.holds:
            return None
        return self.signed.checkpoint.size - self.before

    @property
    def holds(self) -> bool:
        """Whether it was told that this log is the one of the last visit."""
        return self.signed is not None and not any(each.alarm in HISTORY | UNTOLD for each in self.alarms)


@dataclass(frozen=True, slots=True)
class Look:
    """One visit to all sources: every log of the policy (of one source, its own), and what else was met."""

    at_s: int
    logs: tuple[LogLook, ...]
    others: tuple[Alarmed, ...]

    @property
    def alarms(self) -> tuple[Alarmed, ...]:
        return (*(alarm for log in self.logs for alarm in log.alarms), *self.others)

    @property
    def answer(self) -> bool | None:
        """True, all holds; False, something does not; None, it could not be told."""
        found = {each.alarm for each in self.alarms}
        return False if found - UNTOLD else None if found else True


@dataclass(frozen=True, slots=True)
class _Found:
    """A checkpoint of a source."""

    source: Source
    noted: Noted

    @property
    def checkpoint(self) -> Checkpoint:
        return self.noted.signed.checkpoint


@dataclass(frozen=True, slots=True)
class _Visit:
    """All that is known of one log at this visit."""

    key: VerifierKey
    found: tuple[_Found, ...]
    before: Followed | None
    alarms: tuple[Alarmed, ...] = field(default=())

    @property
    def newest(self) -> _Found | None:
        return max(self.found, key=lambda each: each.checkpoint.size, default=None)


def look(sources: Sequence[Source], terms: FollowTerms) -> Look:
    """Visit every source once, hold what it shows against the last visit, and remember it.

    Raises:
        ConfigError: what is remembered cannot be read.
        OSError: the disk does not take what is to be remembered, or the evidence.
    """
    before = {key: read_followed(terms.state, key) for key in terms.policy.logs}
    with ThreadPoolExecutor(_WORKERS, "follow") as pool, closed_on_failure(*sources):
        came = list(pool.map(lambda source: _ask(source, terms.policy), sources))
        found = [each for each in came if isinstance(each, _Found)]
        visits = [
            _Visit(key, tuple(each for each in found if each.noted.signed.log == key), before[key])
            for key in terms.policy.logs
        ]
        visits = list(pool.map(lambda visit: _examined(visit, terms), visits))
    if len(sources) == 1:  # somebody who follows one log asks nothing of the others
        visits = [visit for visit in visits if visit.found or _showed(visit, sources[0])]
    grown = {visit.key for visit in visits if _has_grown(visit)}
    logs = tuple(_remembered(visit, grown, terms) for visit in visits)
    others = [each for each in came if isinstance(each, Alarmed)]
    return Look(terms.now_s, logs, (*others, *_unserved(visits)))


def _ask(source: Source, policy: Policy) -> _Found | Alarmed:
    try:
        note = read_checkpoint(source)
        signed = open_checkpoint(note, policy.logs, tuple(policy.witnesses.values()))
    except SourceError as error:
        return _unread(error, None)
    except ProofError as error:
        return Alarmed(Alarm.SIGNATURE, None, source.name, str(error))
    return _Found(source, Noted(note, signed))


def _unread(error: SourceError, log: str | None) -> Alarmed:
    alarm = Alarm.SILENT
    if isinstance(error, SourceMissing | SourceRefused):
        alarm = Alarm.MISSING if isinstance(error, SourceMissing) else Alarm.REFUSED
    return Alarmed(alarm, log, error.source, f"{error.path}: {error.problem}")


def _showed(visit: _Visit, source: Source) -> bool:
    """Tell whether this source showed that log at the last visit: another one in its place proves nothing."""
    return visit.before is not None and visit.before.source == source.name


def _unserved(visits: Sequence[_Visit]) -> Iterator[Alarmed]:
    for visit in visits:
        if not visit.found:
            problem = "expected a source that serves this log of the policy, got none"
            yield Alarmed(Alarm.UNSERVED, visit.key.name, None, problem)


def _examined(visit: _Visit, terms: FollowTerms) -> _Visit:
    """Find out all that this visit alone can tell of a log."""
    newest = visit.newest
    if newest is None:
        return visit
    alarms = [*_history(visit, newest, terms.state), *_support(newest, terms)]
    kept = convictions(terms.state, visit.key)
    if kept and not any(each.alarm is Alarm.FORK for each in alarms):
        problem = "this log's key has signed two roots for one size before"
        alarms.insert(0, Alarmed(Alarm.FORK, visit.key.name, None, problem, kept))
    return replace(visit, alarms=tuple(alarms))


@dataclass(frozen=True, slots=True)
class _Shown:
    """A checkpoint of a log, and where it was seen."""

    noted: Noted
    where: str

    @property
    def checkpoint(self) -> Checkpoint:
        return self.noted.signed.checkpoint


def _history(visit: _Visit, newest: _Found, state: Path) -> Iterator[Alarmed]:
    """Hold the newest checkpoint against the last visit, and against what other sources show now."""
    now = _Shown(newest.noted, newest.source.name)
    before = visit.before
    past = [] if before is None else [_Shown(Noted(before.note, before.signed), "the last visit")]
    beside = [_Shown(each.noted, each.source.name) for each in visit.found if each is not newest]
    # Signatures convict, whether or not a tile comes: a forked log need only hold its tiles back.
    yield from _forks([*past, now, *beside], state)
    for other in past:
        if other.checkpoint.size > now.checkpoint.size:
            yield _against(other, now, signed_contradiction(now.checkpoint, other.checkpoint), state)
    older = [each for each in (*past, *beside) if each.checkpoint.size < now.checkpoint.size]
    yield from _proved(newest, now, older, state)


def _forks(shown: Sequence[_Shown], state: Path) -> Iterator[Alarmed]:
    """Name each root beside the first of its size."""
    roots: dict[int, dict[Digest, _Shown]] = {}
    for each in shown:
        known = roots.setdefault(each.checkpoint.size, {})
        if known and each.checkpoint.root not in known:
            first = next(iter(known.values()))
            yield _against(first, each, signed_contradiction(each.checkpoint, first.checkpoint), state)
        known.setdefault(each.checkpoint.root, each)


def _against(other: _Shown, now: _Shown, found: tuple[str, str] | None, state: Path) -> Alarmed:
    assert found is not None, "these two contradict each other"
    evidence = keep_evidence(state, [other.noted, now.noted])
    problem = f"against {other.where}: {found[1]}"
    return Alarmed(Alarm(found[0]), now.checkpoint.origin, now.where, problem, evidence)


def _proved(newest: _Found, now: _Shown, older: Sequence[_Shown], state: Path) -> Iterator[Alarmed]:
    """Prove by the newest log's tiles that it begins with every older one."""
    name = now.checkpoint.origin
    try:
        # Its newest tiles are there and give the root, also at the first visit.
        reader = LogReading(newest.source, newest.checkpoint).log()
        for other in older:
            found = contradiction(reader, other.checkpoint)
            if found is not None:
                yield _against(other, now, found, state)
    except SourceError as error:
        yield _unread(error, name)
    except LogError as error:
        alarm = Alarm.MISSING if error.check == "log-missing" else Alarm.INCONSISTENT
        yield Alarmed(alarm, name, now.where, str(error))
    except ProofError as error:
        yield Alarmed(Alarm.INCONSISTENT, name, now.where, str(error))


def _support(newest: _Found, terms: FollowTerms) -> Iterator[Alarmed]:
    """Say who of the witnesses does not stand behind a checkpoint, and whose clock is ahead."""
    signed, name, where = newest.noted.signed, newest.noted.signed.log.name, newest.source.name
    for each in signed.cosigned:
        if each.at_s is not None and each.at_s > terms.now_s + MAX_TIME_AHEAD_S:
            ahead = each.at_s - terms.now_s
            problem = f"expected times up to {MAX_TIME_AHEAD_S} s ahead of ours, got {ahead} s"
            yield Alarmed(Alarm.FUTURE, name, where, f"{problem} by {each.key.name}")
    try:
        open_checkpoint_under(newest.noted.note, terms.policy, now_s=terms.now_s)
    except PolicyError as error:
        missing = ", ".join(_missing(signed, terms)) or "nobody"
        yield Alarmed(Alarm.UNWITNESSED, name, where, f"{error.message}; missing: {missing}")


def _timely(signed: SignedCheckpoint, now_s: int) -> SignedCheckpoint:
    """Leave out the cosignatures whose time does not count."""
    timely = (each for each in signed.cosigned if each.at_s is not None and is_timely(each.at_s, now_s))
    return replace(signed, cosigned=tuple(timely))


def _missing(signed: SignedCheckpoint, terms: FollowTerms) -> tuple[str, ...]:
    names = {key: name for name, key in terms.policy.witnesses.items()}
    return tuple(names[key] for key in missing_witnesses(terms.policy, _timely(signed, terms.now_s)))


def _has_grown(visit: _Visit) -> bool:
    newest, before = visit.newest, visit.before
    if newest is None or before is None or any(each.alarm in HISTORY | UNTOLD for each in visit.alarms):
        return False
    return newest.checkpoint.size > before.checkpoint.size


def _behind_since_s(visit: _Visit, grown: Collection[VerifierKey], now_s: int) -> int | None:
    """Give when another log was first seen to grow since this one did."""
    if visit.before is None or visit.key in grown:
        return None
    since = visit.before.behind_since_s
    return now_s if since is None and grown else since


def _remembered(visit: _Visit, grown: Collection[VerifierKey], terms: FollowTerms) -> LogLook:
    newest, before, now_s = visit.newest, visit.before, terms.now_s
    behind = _behind_since_s(visit, grown, now_s)
    alarms = list(visit.alarms)
    if newest is not None and behind is not None and now_s - behind > terms.stale_s:
        problem = f"expected growth as of other logs of the policy, got none for {now_s - behind} s"
        alarms.append(Alarmed(Alarm.STALE, visit.key.name, newest.source.name, problem))
    signed = None if newest is None else _timely(newest.noted.signed, now_s)
    missing = () if signed is None else _missing(signed, terms)
    found = LogLook(
        key=visit.key,
        signed=signed,
        sources=tuple(each.source.name for each in visit.found),
        before=None if before is None else before.checkpoint.size,
        seen_at_s=None if before is None else before.seen_at_s,
        cosigned_at_s=max((each.at_s or 0 for each in signed.cosigned), default=None) if signed else None,
        cosigned=()
        if signed is None
        else tuple(name for name in terms.policy.witnesses if name not in missing),
        missing=missing,
        alarms=tuple(alarms),
    )
    if newest is not None and found.holds:
        # DURABLE: what was seen is remembered before anybody is told of it.
        noted = newest.noted
        write_followed(terms.state, Followed(noted.note, noted.signed, now_s, behind, newest.source.name))
    return found
