"""Ready plans that are filled in: `tocsin plan new` (plans SPEC 1). Text in, text out.

A template is a plan file with placeholders as `$target`. Its first lines are comments: what it is for, a line
`# $name  what it is [an example]` for each placeholder, or `# $name = default  what it is`, and notes.
"""

from __future__ import annotations

import re
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from importlib.resources import files
from itertools import takewhile
from string import Template

from relay.core.errors import ConfigError

__all__ = ["SUFFIX", "Placeholder", "ReadyPlan", "check_value", "ready_plan", "ready_plans"]

SUFFIX = ".plan.toml"
MAX_VALUE_CHARS = 256
_PLACE = re.compile(r"#\s*\$([a-z_][a-z0-9_]*)(?:\s*=\s*(\S+))?\s\s+(\S.*?)(?:\s+\[(.*)\])?")
_SPOT = re.compile(r"(?<!\$)\$\{?([a-zA-Z_][a-zA-Z0-9_]*)\}?")

_NUMBER = re.compile(r"-?[0-9][0-9_]*")


@dataclass(frozen=True, slots=True)
class Placeholder:
    """What is to be filled in: its name, what it is, an example, and what stands there otherwise."""

    name: str
    about: str
    example: str = ""
    default: str | None = None

    @property
    def words(self) -> str:
        """What it is, with its example and default."""
        told = f", for example {self.example}" if self.example else ""
        return (
            f"{self.about}{told}"
            if self.default is None
            else f"{self.about}{told} (if not given: {self.default})"
        )


@dataclass(frozen=True, slots=True)
class ReadyPlan:
    """A template by name, what it is for, its placeholders in the order of their table, and notes."""

    name: str
    about: str
    notes: str
    placeholders: tuple[Placeholder, ...]
    body: str

    def missing(self, values: Mapping[str, str]) -> tuple[Placeholder, ...]:
        """Give the placeholders that have neither a value nor a default."""
        return tuple(each for each in self.placeholders if each.name not in values and each.default is None)

    def fill(self, values: Mapping[str, str]) -> str:
        """Give the plan file with `values` in the places.

        Raises:
            ConfigError: a value is missing, unknown, or would not stay within its place.
        """
        known = {each.name: each for each in self.placeholders}
        numbers = _outside_quotes(self.body)
        for name, value in values.items():
            if name not in known:
                what = "; ".join(f"{each.name}: {each.words}" for each in self.placeholders)
                raise ConfigError(f"--set {name}", f"expected one of {', '.join(known)}", remedy=what)
            check_value(f"--set {name}", value)
            if name in numbers and not _NUMBER.fullmatch(value):
                raise ConfigError(f"--set {name}", f"expected a whole number, got {value!r}")
        missing = self.missing(values)
        if missing:
            what = "; ".join(f"--set {each.name}=…: {each.words}" for each in missing)
            names = ", ".join(each.name for each in missing)
            raise ConfigError(self.name, f"expected a value for {names}, got none", remedy=what)
        defaults = {each.name: each.default for each in self.placeholders if each.default is not None}
        return Template(self.body).substitute({**defaults, **values})


def ready_plans() -> tuple[ReadyPlan, ...]:
    """Give every template that is installed, in ascending order of names."""
    folder = files("relay.plans") / "ready"
    found = {
        entry.name.removesuffix(SUFFIX): entry for entry in folder.iterdir() if entry.name.endswith(SUFFIX)
    }
    return tuple(read_template(name, entry.read_text("utf-8")) for name, entry in sorted(found.items()))


def ready_plan(name: str) -> ReadyPlan:
    """Give one template.

    Raises:
        ConfigError: there is none of this name.
    """
    plans = {plan.name: plan for plan in ready_plans()}
    if name not in plans:
        raise ConfigError("--from", f"expected one of {', '.join(plans) or 'none'}, got {name!r}")
    return plans[name]


def read_template(name: str, text: str) -> ReadyPlan:
    """Read a template.

    Raises:
        ConfigError: a placeholder of its text is not in its table, or the other way round.
    """
    lines = text.splitlines(keepends=True)
    header = list(takewhile(lambda line: line.startswith("#"), lines))
    told_lines = [(line, _PLACE.fullmatch(line.strip())) for line in header]
    places = tuple(
        Placeholder(found[1], found[3], found[4] or "", found[2]) for _, found in told_lines if found
    )
    first = next((index for index, (_, found) in enumerate(told_lines) if found), len(header))
    # The table's lines go: they would be wrong in a plan that is filled in.
    kept = [line for line, found in told_lines if not found]
    body = "".join([*kept, *lines[len(header) :]])
    used, told = set(_SPOT.findall(body)), {each.name for each in places}
    if used != told:
        odd = ", ".join(sorted(used ^ told))
        raise ConfigError(
            f"template {name}", f"expected its table to name what it uses, got a difference: {odd}"
        )
    return ReadyPlan(name, _prose(kept[:first]), _prose(kept[first:]), places, body)


def _outside_quotes(body: str) -> frozenset[str]:
    """Give the places that stand outside quotes somewhere: a number, and nothing else, stays in them."""
    lines = (line for line in body.splitlines() if not line.startswith("#"))
    return frozenset(
        spot[1] for line in lines for spot in _SPOT.finditer(line) if not line.count('"', 0, spot.start()) % 2
    )


def _prose(lines: Sequence[str]) -> str:
    """Give comment lines as running text."""
    return " ".join(words for line in lines if (words := line.strip().lstrip("#").strip()))


def check_value(where: str, value: str) -> None:
    """Refuse a value that would not stay within its place.

    Raises:
        ConfigError: it is empty, too long, or has quotes, backslashes or characters that are not printed.
    """
    # SECURITY: a value stands between quotes or as a number; what ends one would write more keys.
    if not value or len(value) > MAX_VALUE_CHARS or not value.isprintable() or set(value) & set("\"'\\"):
        problem = f"expected 1 to {MAX_VALUE_CHARS} printable characters without quotes and backslashes"
        raise ConfigError(where, problem)
