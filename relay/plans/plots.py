"""Detection delay against false triggers, drawn: the same file for the same input (plans SPEC 4)."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, replace
from pathlib import Path
from typing import TYPE_CHECKING, Final

from relay.core.errors import ConfigError
from relay.plans.results import PlanResult
from relay.plans.sweep import Span

try:
    from matplotlib import rc_context
    from matplotlib.figure import Figure
    from matplotlib.ticker import MaxNLocator
except ModuleNotFoundError as error:
    raise ConfigError(
        "--plot", "expected the package matplotlib, got none", remedy="pip install 'tocsin[plans]'"
    ) from error

if TYPE_CHECKING:
    from matplotlib.axes import Axes

__all__ = ["plot_sweep"]

_LABELS: Final = 24
"""Points of one kind that bear their value: more would cover each other."""
_SEEN: Final = "#1f6f8b"
_MISSED: Final = "#b23a48"


def plot_sweep(file: Path, protocol: str, span: Span, results: Mapping[int, PlanResult]) -> None:
    """Draw a sweep: a point for each value of the limit, with the 95 % interval of its false triggers.

    The ending of the file's name says how: `.png` or `.svg`.

    Raises:
        ConfigError: the file cannot be written.
    """
    # SVG names its parts by chance, unless it is given what to hash.
    with rc_context({"svg.hashsalt": "tocsin", "axes.spines.top": False, "axes.spines.right": False}):
        figure = Figure(figsize=(8, 5), dpi=150, layout="constrained")
        axes = figure.add_subplot()
        _draw(axes, results)
        axes.set_title(f"{protocol}: {span.limit} from {span.values[0]:,} to {span.values[-1]:,}", loc="left")
        try:
            figure.savefig(file, metadata={"Date": None} if file.suffix == ".svg" else {"Software": None})
        except OSError as error:
            raise ConfigError(str(file), f"expected a file that can be written: {error.strerror}") from error


@dataclass(frozen=True, slots=True)
class _Point:
    """Values of the limit that come to the same: false triggers with their bounds, and the delay."""

    first: int
    last: int
    rate: float
    low: float
    high: float
    delay_s: int | None

    @property
    def name(self) -> str:
        return f"{self.first:,}" if self.first == self.last else f"{self.first:,} … {self.last:,}"


def _points(results: Mapping[int, PlanResult]) -> list[_Point]:
    points: list[_Point] = []
    for value, result in results.items():
        rate, detection = result.plan.rate, result.plan.detection
        found = (0.0, 0.0, 0.0) if rate is None else (rate.counted, rate.low, rate.high)
        point = _Point(value, value, *found, None if detection is None else detection.delay_s)
        last = points[-1] if points else None
        if last is not None and (last.rate, last.delay_s) == (point.rate, point.delay_s):
            points[-1] = replace(last, last=value)
        else:
            points.append(point)
    return points


def _draw(axes: Axes, results: Mapping[int, PlanResult]) -> None:
    points = _points(results)
    seen = [point for point in points if point.delay_s is not None]
    missed = [point for point in points if point.delay_s is None]
    top = 1.15 * max([point.delay_s or 0 for point in seen] + [1])
    _scatter(axes, seen, [point.delay_s or 0 for point in seen], _SEEN)
    for point in seen[:: max(1, -(-len(seen) // _LABELS))]:
        place = (point.rate, point.delay_s or 0)
        axes.annotate(point.name, place, xytext=(5, 6), textcoords="offset points", fontsize=8)
    if missed:
        _scatter(axes, missed, [top] * len(missed), _MISSED)
        axes.axhline(top, color=_MISSED, linewidth=0.8, linestyle=":")
        name = replace(missed[0], last=missed[-1].last).name
        beside = axes.get_yaxis_transform()
        axes.text(1.0, top, f"not detected: {name}", color=_MISSED, ha="right", va="bottom", transform=beside)
    axes.set_xlabel("false triggers per 1,000 quiet hours, with 95 % interval")
    axes.set_ylabel("seconds from the first attack row to detection")
    axes.set_xlim(left=-0.02 * max([point.high for point in points] + [1.0]))
    axes.set_ylim(bottom=-0.03 * top, top=1.1 * top)
    axes.yaxis.set_major_locator(MaxNLocator(integer=True))
    axes.grid(visible=True, alpha=0.25)


def _scatter(axes: Axes, points: Sequence[_Point], places: Sequence[float], colour: str) -> None:
    rates = [point.rate for point in points]
    spans = [[point.rate - point.low for point in points], [point.high - point.rate for point in points]]
    axes.errorbar(rates, places, xerr=spans, fmt="none", ecolor=colour, alpha=0.35, capsize=3)
    axes.scatter(rates, places, color=colour, s=36, zorder=3)
