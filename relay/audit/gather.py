"""Asking every source for an incident: its bundle, its log, the newer end of that log (SPEC 4).

Sources are asked side by side. What one of them does not give is a finding, never an error of the whole.
"""

from __future__ import annotations

import json
from collections.abc import Iterator, Mapping, Sequence
from concurrent.futures import ThreadPoolExecutor
from dataclasses import dataclass, field
from pathlib import Path
from typing import Final

from proofs.bundle import BUNDLE_SCHEMA, MAX_BUNDLE_BYTES
from proofs.checkpoint import SignedCheckpoint
from proofs.errors import ProofError
from proofs.policy import open_checkpoint_under
from relay.audit.case import OpenedBundle
from relay.audit.opening import Trust, open_bundle
from relay.audit.sources import (
    FolderSource,
    Source,
    SourceError,
    SourceMissing,
    SourceSilent,
    closed_on_failure,
    read_checkpoint,
)
from relay.audit.story import Answer, Finding
from relay.audit.web import Patience, WebSource

__all__ = ["MAX_SOURCES", "Ambiguous", "Found", "Place", "gather_bundles", "places_of"]

MAX_SOURCES: Final = 64
MAX_FILES: Final = 64
"""Bundle files of a folder that are looked at."""
_PATIENCE: Final = Patience(altogether_s=900.0)
_MAX_LIST_BYTES: Final = 4 << 20
_MAX_INCIDENTS: Final = 64
_MAX_TRIES: Final = 8
"""Decisions of one incident for which a node is asked for the bundle: the first may not be published yet."""
_THREADS: Final = 8
_HEAD_BYTES: Final = 4_096
_ID_CHARACTERS: Final = 64
_LOG_FOLDERS: Final = ("", "log")


class Ambiguous(Exception):
    """The beginning of an id is that of several incidents; `ids` are whole ids of decisions of each."""

    def __init__(self, ids: Sequence[str]) -> None:
        super().__init__(f"begins decisions of {len(ids)} incidents")
        self.ids = tuple(ids)


@dataclass(frozen=True, slots=True)
class Place:
    """A source as it was named: where its bundles come from, and its log, if it has one."""

    name: str
    log: Source | None
    node: WebSource | None = None
    files: tuple[Path, ...] = ()
    is_live: bool = False


@dataclass(slots=True)
class Found:
    """What one source gave: bundles that verify, its checkpoint, and what is to be said of it."""

    place: Place
    bundles: list[OpenedBundle] = field(default_factory=list)
    note: str = ""
    signed: SignedCheckpoint | None = None
    findings: list[Finding] = field(default_factory=list)

    def fail(self, name: str, answer: Answer, words: str, **facts: str) -> None:
        """Note what this source did not give, or gave wrongly."""
        whole = f"{self.place.name}: {words}"
        # A node that is gone is gone for its bundle and its log.
        if whole not in [finding.words for finding in self.findings]:
            self.findings.append(Finding(name, answer, whole, {"source": self.place.name, **facts}))


def places_of(names: Sequence[str], token: str | None) -> Iterator[Place]:
    """Give the sources that a person named: addresses of nodes, folders, bundle files.

    Raises:
        ConfigError: one is none of these.
        OSError: a folder cannot be listed.
    """
    for name in names:
        path = Path(name)
        if "://" in name:
            node = WebSource(name, _PATIENCE, token)
            yield Place(name, node, node=node, is_live=True)
        elif path.is_file():
            yield Place(name, None, files=(path,))
        else:
            folder = FolderSource(path)
            yield Place(name, _log_of(path, folder), files=_bundle_files(path))


def _log_of(path: Path, folder: FolderSource) -> Source | None:
    for below in _LOG_FOLDERS:
        if (path / below / "checkpoint").is_file():
            return FolderSource(path / below) if below else folder
    return None


def _bundle_files(folder: Path) -> tuple[Path, ...]:
    """Give the files of a folder that say they are bundles."""
    files = sorted(
        each for each in folder.iterdir() if each.suffix in {".json", ".bundle"} and each.is_file()
    )
    return tuple(each for each in files[:MAX_FILES] if _says_bundle(each))


def _says_bundle(file: Path) -> bool:
    # Keys are sorted, so the schema stands at the end; the beginning tells a bundle from other JSON.
    with file.open("rb") as opened:
        head = opened.read(_HEAD_BYTES)
    return head.startswith(b'{\n "committees": [') or BUNDLE_SCHEMA.encode() in head


def gather_bundles(places: Sequence[Place], prefix: str, trust: Trust) -> list[Found]:
    """Ask every source for the incident that a decision with this beginning of its id belongs to.

    Raises:
        Ambiguous: the beginning is that of several incidents.
    """
    logs = [place.log for place in places if place.log is not None]
    with ThreadPoolExecutor(_THREADS) as pool, closed_on_failure(*logs):
        found = list(pool.map(lambda place: _ask(place, prefix, trust), places))
    _check_one(found, prefix)
    return found


def _check_one(found: Sequence[Found], prefix: str) -> None:
    """See that all bundles with such a decision share one: an incident's do."""
    incidents: list[set[str]] = []
    for opened in (bundle for each in found for bundle in each.bundles):
        ids = {decision.decision_id.hex() for decision in opened.verdict.decisions}
        joined = [known for known in incidents if known & ids]
        incidents = [known for known in incidents if not known & ids] + [ids.union(*joined)]
    if len(incidents) > 1:
        raise Ambiguous([min(ids, key=lambda each: (not each.startswith(prefix), each)) for ids in incidents])


def _ask(place: Place, prefix: str, trust: Trust) -> Found:
    found = Found(place)
    if place.node is not None:
        _ask_node(found, place.node, prefix, trust)
    for file in place.files:
        _take_file(found, file, prefix, trust)
    if place.log is not None:
        _ask_log(found, place.log, trust)
    if not found.bundles and not found.findings and place.log is None:
        found.fail("no-bundle", Answer.UNKNOWN, f"expected a bundle with a decision {prefix}, got none")
    return found


def _ask_node(found: Found, node: WebSource, prefix: str, trust: Trust) -> None:
    try:
        decisions = _decisions_of(node, prefix)
        for number, decision in enumerate(decisions[:_MAX_TRIES], start=1):
            try:
                data = node.fetch(f"v1/decisions/{decision}/bundle", MAX_BUNDLE_BYTES)
            except SourceMissing:
                if number == min(len(decisions), _MAX_TRIES):
                    raise
                continue
            # What was asked for may never have been certified: its incident's bundle is by another then.
            _take(found, found.place.name, data, decision, trust)
            return
    except SourceSilent as error:
        found.fail("silent", Answer.UNKNOWN, error.problem, path=error.path)
        return
    except SourceMissing:
        found.fail("no-bundle", Answer.UNKNOWN, "it has no bundle of this incident, or not yet")
        return
    except SourceError as error:
        found.fail("refused", Answer.UNKNOWN, error.problem, path=error.path)
        return
    found.fail("no-bundle", Answer.UNKNOWN, f"it knows no incident with a decision {prefix}")


def _decisions_of(node: WebSource, prefix: str) -> list[str]:
    """Give whole ids of decisions to ask for: that which was named, then the others of its incident."""
    names = [prefix] if len(prefix) == _ID_CHARACTERS else _ids(node, "v1/incidents", "incidents")
    matching = [each for each in names if each.startswith(prefix)]
    if len(matching) > 1:
        raise Ambiguous(matching)
    if matching:
        return list(dict.fromkeys([matching[0], *_inside(node, matching[0])]))
    # The beginning may be that of a later decision: incidents are listed by their first.
    for name in names[:_MAX_INCIDENTS]:
        inside = _inside(node, name)
        named = [each for each in inside if each.startswith(prefix)]
        if named:
            return list(dict.fromkeys([*named, *inside]))
    return []


def _inside(node: WebSource, name: str) -> list[str]:
    """Give the ids of the decisions of an incident that a node knows by any of them."""
    try:
        return _ids(node, f"v1/incidents/{name}", "incident", "decisions")
    except SourceMissing:
        return []


def _ids(node: WebSource, path: str, *keys: str) -> list[str]:
    """Give the ids in a list of an answer; what has another form than ours has none."""
    value: object = _json(node.fetch(path, _MAX_LIST_BYTES))
    for key in keys:
        value = value.get(key) if isinstance(value, dict) else None
    items = value if isinstance(value, list) else []
    ids = [str(each.get("id")) for each in items if isinstance(each, dict)]
    return [each for each in ids if _is_id(each)]


def _is_id(text: str) -> bool:
    return len(text) == _ID_CHARACTERS and all(each in "0123456789abcdef" for each in text)


def _json(data: bytes) -> Mapping[str, object]:
    try:
        value = json.loads(data)
    except (ValueError, RecursionError):
        return {}
    return value if isinstance(value, dict) else {}


def _take_file(found: Found, file: Path, prefix: str, trust: Trust) -> None:
    try:
        with file.open("rb") as opened:
            data = opened.read(MAX_BUNDLE_BYTES + 1)
    except OSError as error:
        found.fail("silent", Answer.UNKNOWN, f"{file.name}: {error.strerror}")
        return
    _take(found, str(file), data, prefix, trust)


def _take(found: Found, source: str, data: bytes, prefix: str, trust: Trust) -> None:
    try:
        opened = open_bundle(source, data, trust)
    except ProofError as error:
        words = f"its bundle does not verify: {error.check}: {error.message}"
        found.fail("bundle", Answer.NO, words, check=error.check)
        return
    if any(each.decision_id.hex().startswith(prefix) for each in opened.verdict.decisions):
        found.bundles.append(opened)
    elif found.place.node is not None:
        found.fail("bundle", Answer.NO, "its bundle is of another incident than was asked for")


def _ask_log(found: Found, source: Source, trust: Trust) -> None:
    try:
        found.note = read_checkpoint(source)
        found.signed = open_checkpoint_under(found.note, trust.policy, now_s=trust.now_s)
    except SourceSilent as error:
        found.fail("silent", Answer.UNKNOWN, error.problem, path=error.path)
    except SourceMissing:
        found.fail("no-log", Answer.UNKNOWN, "it serves no checkpoint of a log")
    except SourceError as error:
        found.fail("refused", Answer.UNKNOWN, error.problem, path=error.path)
    except ProofError as error:
        words = f"its checkpoint does not stand under the policy: {error.check}: {error.message}"
        found.fail("checkpoint", Answer.NO, words, check=error.check)
