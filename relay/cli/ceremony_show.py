"""A ceremony in words, and how far it has come; from the node's own document of it."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import Final

from rich.console import Console

from relay.cli.gateway_words import instant, span
from relay.cli.settings import Answer

__all__ = [
    "DONE",
    "OPEN",
    "answer_of",
    "explain",
    "explained",
    "line",
    "objects",
    "progress",
    "summary_row",
    "words",
]

OPEN: Final = frozenset({"waiting", "proposed", "joined", "dealt"})
DONE: Final = "done"
BAR: Final = 20
_STEP_WORDS: Final = {
    "join": "operators have joined",
    "deal": "dealers have dealt",
    "sign": "receivers have signed the keys",
}
SHOWN_ID_CHARS: Final = 16


@dataclass(frozen=True, slots=True)
class Step:
    """One step of a ceremony: how many of those asked have done it, and who has not."""

    name: str
    done: int
    of: int
    missing: tuple[str, ...]


def answer_of(ceremony: Mapping[str, object]) -> Answer:
    """Give the exit code that a ceremony's state is: done, ended without keys, or still open."""
    state = str(ceremony.get("state"))
    if state == DONE:
        return Answer.YES
    return Answer.UNKNOWN if state in OPEN else Answer.NO


def explain(console: Console, ceremony: Mapping[str, object]) -> None:
    """Print what a proposal means."""
    for line in explained(ceremony):
        console.print(line, markup=False)


def explained(ceremony: Mapping[str, object]) -> list[str]:
    """Say what a proposal means: who, which keys, how many must sign, and what happens on chain."""
    is_reshare = ceremony.get("kind") == "reshare"
    what = "new shares of the same keys" if is_reshare else "new keys"
    epochs = f"committee epoch {ceremony.get('committee_epoch')}, key epoch {ceremony.get('key_epoch')}"
    which = f"{epochs}, generation {ceremony.get('generation')}"
    lines = [
        f"{_clean(ceremony.get('proposer'))} proposes {what}: {which}",
        f"  deal     {words(ceremony.get('dealers'))}",
        f"  receive  {words(ceremony.get('receivers'))}",
    ]
    holders = len(_list(ceremony.get("receivers")))
    for group in objects(ceremony.get("groups")):
        name = _clean(group.get("name"))
        lines.append(f"  {name}: any {group.get('threshold')} of these {holders} can sign; fewer can not")
    left = _list(ceremony.get("left_out"))
    if left:
        lines.append(f"  members that hold no share of these keys: {words(left)}")
    lines.append(f"  on chain: {_on_chain(ceremony, is_reshare=is_reshare)}")
    lines.append(f"  until {_deadline(ceremony)}; if it is not complete by then, all stays as it is")
    return lines


def progress(console: Console, ceremony: Mapping[str, object]) -> None:
    """Print how far a ceremony has come: a bar for each step, who is missing, who is at fault."""
    state = _clean(ceremony.get("state"))
    console.print(f"{_id(ceremony)}  {_clean(ceremony.get('kind'))}  {state}", markup=False, style="bold")
    for step in _steps(ceremony):
        filled = BAR * step.done // step.of if step.of else 0
        waiting = f"  waiting for {', '.join(step.missing)}" if step.missing and state in OPEN else ""
        silent = f"  missing: {', '.join(step.missing)}" if step.missing and state not in OPEN else ""
        bar = "█" * filled + "░" * (BAR - filled)
        console.print(f"  {step.name:<5}{bar} {step.done}/{step.of}{waiting}{silent}", markup=False)
    if state in OPEN:
        console.print(f"  until {_deadline(ceremony)}", markup=False)
    if ceremony.get("reason"):
        console.print(f"  {_clean(ceremony.get('reason'))}", markup=False)
    for fault in objects(ceremony.get("faults")):
        console.print(f"  at fault: {_clean(fault.get('party'))}: {_clean(fault.get('what'))}", markup=False)
        if fault.get("evidence"):
            console.print(f"    tocsin ceremony blame {_clean(fault.get('evidence'))}", markup=False)
    if state == DONE:
        console.print(f"  keys {_clean(ceremony.get('document'))}", markup=False)
        console.print(f"    tocsin ceremony verify {_clean(ceremony.get('file'))}", markup=False)


def line(ceremony: Mapping[str, object]) -> str:
    """Give a ceremony's state as one line, to be said when it changes."""
    state = _clean(ceremony.get("state"))
    for step in _steps(ceremony):
        if step.missing and state in OPEN:
            done = f"{step.done} of {step.of} {_STEP_WORDS[step.name]}"
            return f"{state}: {done}, waiting for {words(step.missing)}"
    reason = _clean(ceremony.get("reason")) if ceremony.get("reason") else ""
    return f"{state}: {reason}" if reason else state


def summary_row(ceremony: Mapping[str, object]) -> list[object]:
    """Give the row of a ceremony in the list of them."""
    missing = next((step.missing for step in _steps(ceremony) if step.missing), ())
    return [
        _id(ceremony)[:SHOWN_ID_CHARS],
        ceremony.get("kind"),
        ceremony.get("state"),
        f"{ceremony.get('key_epoch')}/{ceremony.get('generation')}",
        ceremony.get("proposer"),
        instant(_number(ceremony.get("deadline_ms")) // 1_000),
        ", ".join(missing),
    ]


def words(names: object) -> str:
    """Give names as text; a dash for none."""
    return ", ".join(_clean(name) for name in _list(names)) or "–"


def objects(value: object) -> list[dict[str, object]]:
    """Give the objects of a JSON list."""
    return [{str(key): what for key, what in item.items()} for item in _list(value) if isinstance(item, dict)]


def _on_chain(ceremony: Mapping[str, object], *, is_reshare: bool) -> str:
    if is_reshare:
        return "nothing; the group keys stay, the old shares are erased when this is done"
    rotation = ceremony.get("rotation")
    if not isinstance(rotation, dict):
        return "nothing by itself; verifiers that are deployed later can take these keys"
    from_s, until_s = _number(rotation.get("not_before")), _number(rotation.get("not_after"))
    ends = "end when the new ones begin" if rotation.get("revoke") else "end after the verifiers' overlap"
    told = f"every verifier is told of the key epoch between {instant(from_s)} and {instant(until_s)}"
    return f"{told}; the keys of the epoch before {ends}"


def _deadline(ceremony: Mapping[str, object]) -> str:
    deadline_ms, now_ms = _number(ceremony.get("deadline_ms")), _number(ceremony.get("now_ms"))
    left_s = (deadline_ms - now_ms) // 1_000
    return f"{instant(deadline_ms // 1_000)} ({f'{span(left_s)} left' if left_s > 0 else 'over'})"


def _steps(ceremony: Mapping[str, object]) -> list[Step]:
    return [
        Step(
            str(each.get("name")),
            _number(each.get("done")),
            _number(each.get("of")),
            tuple(_clean(name) for name in _list(each.get("missing"))),
        )
        for each in objects(ceremony.get("steps"))
        if each.get("name") in _STEP_WORDS
    ]


def _id(ceremony: Mapping[str, object]) -> str:
    return _clean(ceremony.get("id"))


def _list(value: object) -> Sequence[object]:
    return value if isinstance(value, list | tuple) else ()


def _number(value: object) -> int:
    return value if isinstance(value, int) and not isinstance(value, bool) else 0


def _clean(value: object) -> str:
    """Give a value as text without control characters; names are other people's."""
    text = "–" if value is None else str(value)
    return text if text.isprintable() else repr(text)
