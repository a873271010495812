"""What a plan says, read from its canonical bytes for eyes alone: no field must be there or fit.

A plan's hash was checked before, so these are the words that its decisions were made under. Reading it as a
node does takes the rules' interpreter, which the base install has not.
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from typing import Final

from proofs.canonical import Value, decode
from proofs.decision import Decision
from proofs.mandate import Op
from proofs.reports import REPORT_PREFIX
from proofs.terms import MAX_PLAN_BYTES
from relay.core.words import condition_words

__all__ = ["LINK_PREFIX", "ActWords", "MetricWords", "PlanWords", "read_plan_words"]

LINK_PREFIX: Final = "link:"
MAX_SHOWN: Final = 600
"""Characters of a plan's text that a story repeats."""


@dataclass(frozen=True, slots=True)
class MetricWords:
    """A metric: its kind (`event_sum`, `call` …), unit, chain, what it reads; empty where not told."""

    read: str
    unit: str
    chain: str
    source: str


@dataclass(frozen=True, slots=True)
class ActWords:
    """An act: verb, target address and call, and what is then read there, all as written in the plan."""

    verb: str
    target: str
    call: str
    state: str


@dataclass(frozen=True, slots=True)
class PlanWords:
    """The canonical map of a plan, and how to find one's way in it."""

    values: Mapping[str, Value]

    @property
    def protocol(self) -> str:
        """The protocol's name."""
        return _text(self.values, "protocol") or "a protocol without a name"

    @property
    def reason(self) -> str:
        """Why the plan exists, in its makers' words."""
        return _text(self.values, "reason").rstrip(".")

    @property
    def limits(self) -> Mapping[str, int]:
        """The numbers that conditions name."""
        return {
            name: limit
            for name, limit in _map(self.values.get("limits")).items()
            if isinstance(limit, int) and not isinstance(limit, bool)
        }

    def condition(self, decision: Decision) -> str:
        """The condition that a decision rests on, as written; empty where the plan has none."""
        if decision.op is not Op.PROTECT:
            return _text(_map(self.values.get("release")), "when")
        for prefix, key in ((LINK_PREFIX, "listen"), (REPORT_PREFIX, "reports")):
            if decision.subject.startswith(prefix):
                return _text(_named(self.values.get(key), decision.subject.removeprefix(prefix)), "when")
        return _text(_map(_map(self.values.get("rules")).get(decision.subject)), "when")

    def condition_words(self, decision: Decision) -> str:
        """The condition with its operators in words and its limits in numbers."""
        return condition_words(self.condition(decision), self.limits)

    def metric(self, name: str) -> MetricWords:
        """What is known of a metric."""
        metric = _map(_map(self.values.get("metrics")).get(name))
        what = _text(metric, "event") or _text(metric, "call") or _text(metric, "slot")
        source = _text(metric, "from")
        return MetricWords(
            read=_text(metric, "read"),
            unit=_text(metric, "unit"),
            chain=_text(metric, "chain"),
            source=f"{what} of {source}" if what and source else what or source,
        )

    def gateway(self, chain: str) -> str:
        """The gateway of a chain, as written."""
        return _text(_map(_map(self.values.get("chains")).get(chain)), "gateway")

    def act(self, name: str) -> ActWords:
        """What is known of an act."""
        act = _map(_map(self.values.get("acts")).get(name))
        return ActWords(_text(act, "verb"), _text(act, "target"), _text(act, "call"), _text(act, "state"))


def read_plan_words(canonical: bytes) -> PlanWords:
    """Read a plan that a verified bundle holds.

    Raises:
        CanonicalError: the bytes are not canonical; of a verified bundle they are.
    """
    return PlanWords(_map(decode(canonical, limit_bytes=MAX_PLAN_BYTES)))


def _map(value: Value) -> Mapping[str, Value]:
    return value if isinstance(value, Mapping) else {}


def _text(values: Mapping[str, Value], key: str) -> str:
    value = values.get(key)
    if not isinstance(value, str):
        return ""
    return value if len(value) <= MAX_SHOWN else f"{value[:MAX_SHOWN]}…"


def _named(tables: Value, name: str) -> Mapping[str, Value]:
    if not isinstance(tables, (list, tuple)):
        return {}
    return next((each for each in map(_map, tables) if each.get("name") == name), {})
