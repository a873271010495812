"""`tocsin audit incident`, without its words: ask the sources, read their logs, tell the story (SPEC 4)."""

from __future__ import annotations

from collections.abc import Callable, Iterable, Mapping, Sequence
from concurrent.futures import ThreadPoolExecutor
from dataclasses import dataclass, field
from typing import Final

from proofs.checkpoint import Checkpoint, SignedCheckpoint
from proofs.committee import CommitteeDocument
from proofs.errors import ProofError
from proofs.kinds import Digest
from relay.audit.back import BackReader, Read
from relay.audit.case import Case, LogRead, Scope, case_of, scope_of
from relay.audit.compare import MERGE_DELAY_S, missing_in
from relay.audit.gather import Found, Place, gather_bundles
from relay.audit.opening import Trust, keeper_of
from relay.audit.reading import contradiction
from relay.audit.sources import SourceError, closed_on_failure
from relay.audit.story import Answer, Finding
from relay.core.messages import Attestation

__all__ = ["Investigation", "NoBundle", "investigate"]

_THREADS: Final = 8


class NoBundle(Exception):
    """No source gave a bundle that verifies and holds the incident."""

    def __init__(self, findings: Sequence[Finding]) -> None:
        super().__init__("no bundle of the incident")
        self.findings = tuple(findings)


@dataclass(slots=True)
class Investigation:
    """What was gathered: the case, the logs at hand for more questions (by origin), and what went wrong."""

    case: Case
    findings: list[Finding] = field(default_factory=list)
    readers: dict[str, BackReader] = field(default_factory=dict)
    unshown: tuple[str, ...] = ()


@dataclass(frozen=True, slots=True)
class _Times:
    """Our clock before the first source was asked, and after the last had answered, in seconds."""

    asked_s: int
    answered_s: int


def investigate(
    places: Sequence[Place],
    prefix: str,
    trust: Trust,
    clock_s: Callable[[], int],
    *,
    earlier: Mapping[Digest, Mapping[str, int]] | None = None,
    also: Iterable[Digest] = (),
) -> Investigation:
    """Gather an incident from `places`; `prefix` is the beginning of the id of one of its decisions.

    `earlier` tells by when statements stood in each log when it was asked before, in seconds; `also` are
    digests of records to look out for beside what is about the incident.

    Raises:
        Ambiguous: of several incidents.
        NoBundle: nobody has it, or no bundle verifies.
    """
    found = gather_bundles(places, prefix, trust)
    findings = [finding for each in found for finding in each.findings]
    # One incident's, as was checked, and so one network's: ids of decisions hold the network's.
    bundles = [bundle for each in found for bundle in each.bundles]
    if not bundles:
        raise NoBundle(findings)
    # Who serves a log and no bundle is a source all the same: what it leaves out shows in its log.
    served = {each.place.name for each in found if each.signed is not None}
    findings = [each for each in findings if each.name != "no-bundle" or each.facts["source"] not in served]
    documents = max((opened.documents for opened in bundles), key=len)
    scope = scope_of(bundles, also)
    opened = _open_logs(found, documents, scope, _Times(trust.now_s, clock_s() + 1))
    _read_all(opened, findings, _start_ms(case_of(bundles, ())), case_of(bundles, ()).f)
    case = case_of(bundles, _results(opened))
    _read_on(opened, case, findings)
    case = case_of(bundles, _results(opened))
    _remember(case, earlier or {})
    findings += _inconsistent(case, opened)
    readers = _largest(opened)
    return Investigation(
        case=case,
        findings=findings,
        readers=readers,
        unshown=tuple(key.name for key in trust.policy.logs if key.name not in readers),
    )


def _remember(case: Case, earlier: Mapping[Digest, Mapping[str, int]]) -> None:
    for said in case.said:
        for origin, since_s in earlier.get(said.envelope.digest, {}).items():
            said.since_s[origin] = min(since_s, said.since_s.get(origin, since_s))


def _open_logs(
    found: Sequence[Found], documents: Sequence[CommitteeDocument], scope: Scope, times: _Times
) -> list[BackReader]:
    opened: list[BackReader] = []
    for each in found:
        if each.signed is None or each.place.log is None:
            continue
        seen_at_s = times.asked_s if each.place.is_live else _still_so_s(each.signed, documents[-1].f)
        keeper = keeper_of(each.signed.log, documents)
        read = Read(
            source=each.place.name,
            files=each.place.log,
            member=each.signed.log.name if keeper is None else keeper.name,
            keeper=None if keeper is None else keeper.identity,
            note=each.note,
            signed=each.signed,
            seen_at_s=seen_at_s,
            held_by_s=times.answered_s,
            is_live=each.place.is_live,
        )
        opened.append(BackReader(read, scope, documents))
    return opened


def _still_so_s(signed: SignedCheckpoint, f: int) -> int | None:
    """Give a time at which an honest cosigner still saw a copy's checkpoint: the (f+1)-th latest."""
    times = sorted((each.at_s for each in signed.cosigned if each.at_s is not None), reverse=True)
    return times[f] if len(times) > f else None


def _start_ms(case: Case) -> int:
    """Give when the incident began by an honest member's clock, less the time to publish: f may lie."""
    times = sorted(said.envelope.at_ms for said in case.said if isinstance(said.message, Attestation))
    earliest = times[min(case.f, len(times) - 1)] if times else 0
    return earliest - MERGE_DELAY_S * 1_000


def _read_all(opened: list[BackReader], findings: list[Finding], start_ms: int, f: int) -> None:
    _each(opened, findings, lambda each: each.back_to(start_ms, f))


def _read_on(opened: list[BackReader], case: Case, findings: list[Finding]) -> None:
    """Read further back where something is missing: what stands there is not left out."""
    missing = {id(each): [said.envelope.digest for said in missing_in(case, each.result)] for each in opened}
    wanting = [each for each in opened if missing[id(each)]]
    failed = _each(wanting, findings, lambda each: each.until_found(missing[id(each)]))
    for each in failed:
        opened.remove(each)


def _each(
    opened: list[BackReader], findings: list[Finding], work: Callable[[BackReader], None]
) -> list[BackReader]:
    """Do this with each log, side by side; those that cannot be read are taken out and named."""

    def attempt(each: BackReader) -> Finding | None:
        name = each.read.source
        try:
            work(each)
        except SourceError as error:
            facts = {"source": name, "path": error.path}
            return Finding("silent", Answer.UNKNOWN, f"{name}: {error.path}: {error.problem}", facts)
        except ProofError as error:
            return _unread(name, error, {"source": name, "check": error.check})
        return None

    with ThreadPoolExecutor(_THREADS) as pool, closed_on_failure(*(each.read.files for each in opened)):
        results = list(pool.map(attempt, opened))
    failed = [each for each, finding in zip(opened, results, strict=True) if finding is not None]
    findings += [finding for finding in results if finding is not None]
    for each in failed:
        opened.remove(each)
    return failed


def _unread(name: str, error: ProofError, facts: Mapping[str, str]) -> Finding:
    """Say why a log could not be read: what is gone proves nothing."""
    if error.check == "log-missing":
        return Finding("no-log", Answer.UNKNOWN, f"{name}: a part of its log is gone: {error.message}", facts)
    words = f"{name}: its log is not what its checkpoint says: {error.check}: {error.message}"
    return Finding("log", Answer.NO, words, facts)


def _results(opened: Sequence[BackReader]) -> list[LogRead]:
    return [each.result for each in opened]


def _largest(opened: Sequence[BackReader]) -> dict[str, BackReader]:
    """Give the longest copy of each log, by origin."""
    largest: dict[str, BackReader] = {}
    for each in opened:
        checkpoint = each.read.signed.checkpoint
        known = largest.get(checkpoint.origin)
        if known is None or checkpoint.size > known.read.signed.checkpoint.size:
            largest[checkpoint.origin] = each
    return largest


def _inconsistent(case: Case, opened: Sequence[BackReader]) -> list[Finding]:
    """Hold every checkpoint of a log that a bundle or a copy shows against what is served of it now.

    The longest copy must begin with each. A node that is asked must hold each: what was published before
    cannot be more than what it has. An older copy may hold less.
    """
    older = {signed.checkpoint: bundle.source for bundle in case.bundles for signed, _ in bundle.places}
    older |= {each.read.signed.checkpoint: each.read.source for each in opened if not each.read.is_live}
    largest = _largest(opened).values()
    findings: list[Finding] = []
    for checkpoint, source in older.items():
        for each in opened:
            now = each.read.signed.checkpoint
            is_longer = any(each is longest for longest in largest) and checkpoint.size < now.size
            if now.origin == checkpoint.origin and (
                is_longer or (each.read.is_live and checkpoint.size > now.size)
            ):
                findings += _held_against(each, source, checkpoint)
    return findings


def _held_against(newest: BackReader, source: str, older: Checkpoint) -> list[Finding]:
    name = newest.read.source
    facts = {"log": older.origin, "source": source, "against": name}
    try:
        found = contradiction(newest.log(), older)
    except ProofError as error:
        return [_unread(name, error, facts)]
    except SourceError as error:
        return [Finding("silent", Answer.UNKNOWN, f"{name}: {error.path}: {error.problem}", facts)]
    if found is None:
        return []
    check, problem = found
    return [Finding(check, Answer.NO, f"{name}, against what {source} shows: {problem}", facts)]
