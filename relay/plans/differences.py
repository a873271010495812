"""What another version of a plan changes, in words (design: `plan diff`). Pure.

The canonical forms are compared key by key, so that no change is left out; the words and the group are for
people. A change is *stricter* for users where the network gets more power over them, for longer or earlier;
*weaker* where it protects less, later or for a shorter time; else *neutral*, or the text does not tell.
"""

from __future__ import annotations

from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass
from enum import StrEnum

from proofs.canonical import Value, decode
from relay.core.plan import Plan
from relay.core.plan_file import MAX_CANONICAL_BYTES
from relay.plans.difference_words import JUDGES, Judge, Leaf, key_words, value_words
from relay.plans.directions import literal_direction, name_direction, tokens_of

__all__ = ["Change", "Group", "differences"]


class Group(StrEnum):
    """What a change means to people."""

    STRICTER = "stricter for users"
    WEAKER = "weaker protection"
    NEUTRAL = "neutral"


@dataclass(frozen=True, slots=True)
class Change:
    """One changed key of the canonical form; `before` or `after` is None where it is not there."""

    key: str
    group: Group
    words: str
    before: Leaf | None
    after: Leaf | None


_NAMED = ("acts", "chains", "limits", "metrics", "rules", "listen", "reports")
_GROUPS = {1: Group.STRICTER, 0: Group.NEUTRAL, -1: Group.WEAKER}

_WAYS_BACK = ("undo", "restore")

_ADDED = {"acts": 1, "rules": 1, "listen": 1, "reports": 1}
"""What more of a kind of parts means to users; less is the contrary."""


def differences(old: Plan, new: Plan) -> tuple[Change, ...]:
    """Give every change, the stricter first, then the weaker; in each group in the order of the keys."""
    before, after = _tree(old), _tree(new)
    changes = list(_changes(before, after, old, new))
    order = list(Group)
    return tuple(sorted(changes, key=lambda change: (order.index(change.group), change.key)))


def _tree(plan: Plan) -> dict[str, Value]:
    """Give the canonical form with arrays of named tables as tables."""
    tree = decode(plan.canonical, limit_bytes=MAX_CANONICAL_BYTES)
    assert isinstance(tree, Mapping)
    named = dict(tree)
    for key in ("listen", "reports"):
        items = named.get(key)
        if isinstance(items, Sequence) and not isinstance(items, str | bytes):
            tables = [item for item in items if isinstance(item, Mapping)]
            named[key] = {str(item["name"]): item for item in tables}
    return named


def _changes(
    before: Mapping[str, Value], after: Mapping[str, Value], old: Plan, new: Plan
) -> Iterator[Change]:
    for kind in sorted(before.keys() | after.keys()):
        first, second = before.get(kind), after.get(kind)
        if kind in _NAMED:
            yield from _of_named(kind, _table(first), _table(second), (old, new))
        else:
            yield from _of_leaves((kind,), first, second, (old, new))


def _of_named(
    kind: str, before: Mapping[str, Value], after: Mapping[str, Value], plans: tuple[Plan, Plan]
) -> Iterator[Change]:
    """What came, what went, and what changed within tables of one kind, by name."""
    for name in sorted(before.keys() | after.keys()):
        if name in before and name in after:
            yield from _of_leaves((kind, name), before[name], after[name], plans)
            continue
        sign = 1 if name in after else -1
        group = _GROUPS[sign * _ADDED.get(kind, 0)]
        verb = "added" if sign > 0 else "removed"
        what = key_words((kind, name))
        yield Change(_key((kind, name)), group, f"{what} is {verb}", before.get(name), after.get(name))


def _of_leaves(
    path: tuple[str, ...], before: Leaf, after: Leaf, plans: tuple[Plan, Plan]
) -> Iterator[Change]:
    """Walk down to the keys that differ."""
    if before == after and type(before) is type(after):
        return
    if isinstance(before, Mapping) and isinstance(after, Mapping):
        for key in sorted(before.keys() | after.keys()):
            yield from _of_leaves((*path, key), before.get(key), after.get(key), plans)
        return
    sign, why = _judge(path, before, after, plans)
    words = f"{key_words(path)}: {value_words(path, before)} → {value_words(path, after)}"
    yield Change(_key(path), _GROUPS[sign], words + (f" ({why})" if why else ""), before, after)


def _judge(path: tuple[str, ...], before: Leaf, after: Leaf, plans: tuple[Plan, Plan]) -> tuple[int, str]:
    """Give +1 stricter, -1 weaker or 0, and why."""
    if path[0] == "limits" and isinstance(before, int) and isinstance(after, int):
        return _of_limit(path[1], before, after, plans[1])
    if path[-1] == "when" and isinstance(before, str) and isinstance(after, str):
        return _of_condition(path, before, after)
    if path[0] == "acts" and path[-1] in _WAYS_BACK and all(_has_way_back(plan, path[1]) for plan in plans):
        return 1, "taken back by another call: read it"
    judge = _found(path)
    if judge is not None:
        return judge(before, after)
    is_reading = path[0] == "metrics" and path[-1] not in ("unit", "name")
    return 0, "rules read something else: which way it works is not told" if is_reading else ""


def _has_way_back(plan: Plan, act: str) -> bool:
    text = plan.acts[act].text
    return text.undo is not None or text.restore is not None


def _found(path: tuple[str, ...]) -> Judge | None:
    for pattern, judge in JUDGES:
        if len(pattern) == len(path) and all(p in ("*", step) for p, step in zip(pattern, path, strict=True)):
            return judge
    return None


def _of_limit(name: str, before: int, after: int, plan: Plan) -> tuple[int, str]:
    """A limit by the conditions that use it: a rule, a link and a report act, a release ends."""
    acting = [rule.when for rule in plan.rules.values()] + [link.when for link in plan.listen]
    acting += [report.when for report in plan.reports.values() if report.when is not None]
    ending = [] if plan.release is None else [plan.release.when]
    up = 1 if after > before else -1
    found = {up * name_direction(text, name) for text in acting if name in tokens_of(text)}
    found |= {-up * name_direction(text, name) for text in ending if name in tokens_of(text)}
    if not found:
        return 0, "no condition uses it"
    sign = found.pop() if len(found) == 1 else 0
    return sign, _WHEN_TOLD[sign]


_WHEN_TOLD = {1: "acts earlier, or longer", -1: "acts later, or shorter", 0: "which way it works is not told"}


def _of_condition(path: tuple[str, ...], before: str, after: str) -> tuple[int, str]:
    """A condition in which nothing but numbers changed."""
    first, second = tokens_of(before), tokens_of(after)
    if len(first) != len(second):
        return 0, _WHEN_TOLD[0]
    ends = -1 if path[0] == "release" else 1
    signs: set[int] = set()
    for index, (old, new) in enumerate(zip(first, second, strict=True)):
        if old == new:
            continue
        if not (old.isdigit() and new.isdigit()):
            return 0, _WHEN_TOLD[0]
        signs.add(ends * literal_direction(first, index) * (1 if int(new) > int(old) else -1))
    sign = signs.pop() if len(signs) == 1 else 0
    return sign, _WHEN_TOLD[sign]


def _table(value: Leaf | None) -> Mapping[str, Value]:
    return value if isinstance(value, Mapping) else {}


def _key(path: Sequence[str]) -> str:
    return ".".join(
        part if part.replace("-", "").replace("_", "").isalnum() else f'"{part}"' for part in path
    )
