"""Detection delay against false triggers, drawn: the same file for the same input (plans SPEC 4)."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, replace
from pathlib import Path
from typing import TYPE_CHECKING, Final

from relay.core.errors import ConfigError
from relay.plans.results import PlanResult
from relay.plans.sweep import Span

try:
    from matplotlib import rc_context
    from matplotlib.figure import Figure
except ModuleNotFoundError as error:
    raise ConfigError(
        "--plot", "expected the package matplotlib, got none", remedy="pip install 'tocsin[plans]'"
    ) from error

if TYPE_CHECKING:
    from matplotlib.axes import Axes

__all__ = ["KINDS", "plot_sweep"]

KINDS: Final = (".png", ".svg")
_MISSED: Final = "not detected"


def plot_sweep(file: Path, protocol: str, span: Span, results: Mapping[int, PlanResult]) -> None:
    """Draw a sweep: a point for each value of the limit, with the 95 % interval of its false triggers.

    Raises:
        ConfigError: the file's name ends otherwise than in `KINDS`, or cannot be written.
    """
    if file.suffix not in KINDS:
        raise ConfigError(str(file), f"expected a name that ends in {' or '.join(KINDS)}")
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
    delays = [point.delay_s for point in points if point.delay_s is not None]
    missed_at = 1.15 * max([*delays, 1])
    for detected, colour, marker in ((True, "#1f6f8b", "o"), (False, "#b23a48", "X")):
        own = [point for point in points if (point.delay_s is not None) is detected]
        if not own:
            continue
        places = [missed_at if point.delay_s is None else point.delay_s for point in own]
        rates = [point.rate for point in own]
        spans = [[point.rate - point.low for point in own], [point.high - point.rate for point in own]]
        axes.errorbar(rates, places, xerr=spans, fmt="none", ecolor=colour, alpha=0.35, capsize=3)
        axes.scatter(rates, places, color=colour, marker=marker, s=36, zorder=3)
        for point, place in zip(own, places, strict=True):
            axes.annotate(
                point.name, (point.rate, place), xytext=(5, 6), textcoords="offset points", fontsize=8
            )
    if len(delays) < len(points):
        axes.axhline(missed_at, color="#b23a48", linewidth=0.8, linestyle=":")
        beside = axes.get_yaxis_transform()
        axes.text(1.0, missed_at, _MISSED, color="#b23a48", ha="right", va="bottom", transform=beside)
    axes.set_xlabel("false triggers per 1,000 quiet hours, with 95 % interval")
    axes.set_ylabel("seconds from the first attack row to detection")
    axes.set_xlim(left=-0.02 * max([point.high for point in points] + [1.0]))
    axes.set_ylim(bottom=-0.03 * missed_at, top=1.1 * missed_at)
    axes.grid(visible=True, alpha=0.25)
