"""Keys and values of a plan's canonical form in words, and what a change of each means to users."""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence

from proofs.canonical import Value
from relay.core.plan import Verb
from relay.core.words import span

__all__ = ["JUDGES", "Judge", "Leaf", "key_words", "value_words"]

Leaf = Value
Judge = Callable[[Leaf, Leaf], tuple[int, str]]
"""From a value before and after to +1 stricter for users, -1 weaker protection, 0 neutral; and why."""

_KINDS = {
    "acts": "act",
    "chains": "chain",
    "limits": "limit",
    "listen": "link",
    "metrics": "metric",
    "reports": "reports",
    "rules": "rule",
}
_SPANS = frozenset({"lasts", "step", "rearm", "window", "fast_time", "frozen_time"})
_HEAVY = [verb.value for verb in Verb]


def key_words(path: Sequence[str]) -> str:
    """Give a key as `act halt: lasts`."""
    kind = _KINDS.get(path[0], path[0])
    if path[0] in _KINDS and len(path) > 1:
        rest = ".".join(path[2:])
        return f"{kind} {path[1]}" + (f": {rest}" if rest else "")
    return ".".join(path)


def value_words(path: Sequence[str], value: Leaf | None) -> str:
    """Give a value: spans as such, arrays as such, an absent one as `nothing`."""
    if value is None:
        return "nothing"
    if isinstance(value, bool):
        return "true" if value else "false"
    if isinstance(value, int):
        is_span = path[-1] in _SPANS or path[-1].endswith("_s")
        return span(value) if is_span else f"{value:,}"
    if isinstance(value, str):
        return value if value else "an empty text"
    if isinstance(value, bytes):
        return "0x" + value.hex()
    if isinstance(value, Mapping):
        return (
            ", ".join(f"{key} {value_words((*path, key), inner)}" for key, inner in value.items())
            or "nothing"
        )
    return "[" + ", ".join(value_words(path, item) for item in value) + "]"


def _more(sign: int, more: str = "", less: str = "") -> Judge:
    """The more, the stricter (+1) or the weaker (-1)."""

    def judge(before: Leaf, after: Leaf) -> tuple[int, str]:
        if not isinstance(before, int) or not isinstance(after, int):
            return 0, ""
        return (sign, more) if after > before else (-sign, less)

    return judge


def _always(sign: int, why: str) -> Judge:
    def judge(_before: Leaf, _after: Leaf) -> tuple[int, str]:
        return sign, why

    return judge


def _either(values: Mapping[str, int], why: Mapping[str, str]) -> Judge:
    """By what it becomes."""

    def judge(_before: Leaf, after: Leaf) -> tuple[int, str]:
        return (values.get(after, 0), why.get(after, "")) if isinstance(after, str) else (0, "")

    return judge


def _verb(before: Leaf, after: Leaf) -> tuple[int, str]:
    if before not in _HEAVY or after not in _HEAVY:
        return 0, ""
    is_heavier = _HEAVY.index(str(after)) > _HEAVY.index(str(before))
    return (1, "heavier") if is_heavier else (-1, "lighter")


def _members(sign: int, what: str) -> Judge:
    """An array by what stands in it: whatever is new there counts, also where something else went."""

    def judge(before: Leaf, after: Leaf) -> tuple[int, str]:
        first, second = _items(before), _items(after)
        if second - first:
            return sign, f"{'others' if first - second else 'more'} {what}"
        return (-sign, f"fewer {what}") if first - second else (0, "")

    return judge


def _items(value: Leaf) -> set[str]:
    """Give the texts of an array, also of one of arrays."""
    if isinstance(value, str):
        return {value}
    if isinstance(value, Sequence) and not isinstance(value, bytes):
        return {text for item in value for text in _items(item)}
    return set()


def _presence(sign: int, more: str, less: str, *, other: tuple[int, str] = (0, "")) -> Judge:
    """A key that is there or not; `other` where it is there before and after."""

    def judge(before: Leaf, after: Leaf) -> tuple[int, str]:
        if before is None or after is None:
            return (sign, more) if before is None else (-sign, less)
        return other

    return judge


def _ladder(before: Leaf, after: Leaf) -> tuple[int, str]:
    """Rungs of acts: one that is new, or on an earlier rung, counts, also where others went."""
    first, second = _rungs(before), _rungs(after)
    gone = first.keys() - second.keys()
    if second.keys() - first.keys():
        return 1, "other acts: read them" if gone else "more acts"
    if any(second[act] < first[act] for act in second):
        return 1, "an act comes earlier" + (", another is gone" if gone else "")
    if gone:
        return -1, "fewer acts"
    return (-1, "an act comes later") if first != second else (0, "")


def _rungs(value: Leaf) -> Mapping[str, int]:
    """Give the first rung of each act of a ladder."""
    rungs = value if isinstance(value, Sequence) and not isinstance(value, str | bytes) else ()
    found: dict[str, int] = {}
    for place, rung in enumerate(rungs):
        for act in _items(rung):
            found.setdefault(act, place)
    return found


_LATER = _more(-1, "later", "earlier")
_LONGER = _more(1, "longer", "shorter")
_POWER = _more(1, "more power", "less power")
_OTHER = (1, "another power: read it")
_OTHER_POWER = _always(*_OTHER)
_BACK = _presence(-1, "taken back by itself", "nothing takes it back", other=_OTHER)
_ANEW = _more(-1, "decides anew later", "decides anew sooner")
_DONE = _always(0, "it tells whether the call is needed: read it")

JUDGES: Sequence[tuple[tuple[str, ...], Judge]] = (
    (("mode",), _either({"armed": 1, "shadow": -1}, {"armed": "it acts", "shadow": "it only watches"})),
    (("clock", "every"), _LATER),
    (("clock", "lag_s"), _LATER),
    (("clock", "patience_s"), _LATER),
    (("clock", "fast_after"), _LATER),
    (("clock", "rearm_s"), _ANEW),
    (("clock", "frost_patience_ms"), _LATER),
    (("clock", "mandate_fast_s"), _LONGER),
    (("clock", "mandate_full_s"), _LONGER),
    (("chains", "*", "gateway"), _always(1, "another contract keeps the bounds: read it")),
    (("chains", "*", "lag_s"), _LATER),
    (
        ("chains", "*", "targets"),
        _members(1, "contracts may be acted on"),
    ),
    (
        ("metrics", "*", "on_fault"),
        _either(
            {"trigger": 1, "false": -1},
            {"trigger": "what cannot be read counts as an alarm", "false": "what cannot be read is no alarm"},
        ),
    ),
    (("rules", "*", "hold"), _LATER),
    (("rules", "*", "rearm"), _ANEW),
    (("rules", "*", "step"), _LATER),
    (("rules", "*", "ladder"), _ladder),
    (("acts", "*", "verb"), _verb),
    (
        ("acts", "*", "tier"),
        _either(
            {"fast": 1, "full": -1}, {"fast": "fewer members are enough", "full": "more members must agree"}
        ),
    ),
    (("acts", "*", "lasts"), _LONGER),
    (("acts", "*", "chain"), _OTHER_POWER),
    (("acts", "*", "target"), _OTHER_POWER),
    (("acts", "*", "call"), _OTHER_POWER),
    (("acts", "*", "value"), _OTHER_POWER),
    (("acts", "*", "undo"), _BACK),
    (("acts", "*", "restore"), _BACK),
    *((("acts", "*", key), _DONE) for key in ("compare", "state", "state_target", "state_word")),
    (("release",), _presence(-1, "may end early", "ends by time alone")),
    (("release", "hold"), _more(1, "opens later", "opens earlier")),
    (("budget", "window"), _more(-1, "the same for longer", "the same more often")),
    (("budget", "fast_time"), _POWER),
    (("budget", "fast_records"), _POWER),
    (("budget", "frozen_time"), _POWER),
    (("listen", "*", "plan"), _OTHER_POWER),
    (("listen", "*", "ladder"), _ladder),
    (("listen", "*", "max_hops"), _POWER),
    (("listen", "*", "records"), _POWER),
    (("reports", "*", "ladder"), _ladder),
    (("reports", "*", "reporters"), _members(1, "may report")),
    (("reports", "*", "need"), _more(-1, "more must agree", "fewer are enough")),
    (("reports", "*", "records"), _POWER),
    (
        ("reports", "*", "when"),
        _presence(-1, "the plan's own metrics must confirm it", "reports alone decide"),
    ),
)
