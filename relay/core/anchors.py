"""Anchors of one series that a node found right: one certificate does the work of all (SPEC 5.4)."""

from __future__ import annotations

from collections.abc import Callable, Container
from dataclasses import dataclass, field

from relay.core.entries import Key
from relay.core.types import PlanHash

__all__ = ["Anchors", "Series"]

Series = tuple[PlanHash, tuple[str, int, int, int]]
"""A plan, and rule, slot, rung and tier."""


@dataclass(slots=True)
class Anchors:
    """Decisions that differ in their anchor only, by series."""

    _found: dict[Series, dict[Key, None]] = field(default_factory=dict)

    def note(self, series: Series | None, key: Key) -> None:
        """Remember that we found this anchor right."""
        if series is not None:
            self._found.setdefault(series, {})[key] = None

    def has_sibling(self, series: Series | None, key: Key, holds: Callable[[Key], bool]) -> bool:
        """Tell whether another anchor of the series exists of which `holds` is true."""
        found = self._found.get(series, ()) if series is not None else ()
        return any(holds(other) for other in found if other != key)

    def keep(self, known: Container[Key]) -> None:
        """Forget what is not among `known` any more."""
        left = {series: {key: None for key in keys if key in known} for series, keys in self._found.items()}
        self._found = {series: keys for series, keys in left.items() if keys}
