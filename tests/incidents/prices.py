"""Price feeds as chains have them: a new round when the price moved enough, or at the heartbeat."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass

from tests.incidents.diary import Diary, Noise


@dataclass(frozen=True)
class Feed:
    """A feed under the name of a metric.

    `deviation_bp` and `heartbeat_s` say when it tells a new price, `noise` is how far its provider may be off
    the market, in 1/10,000.
    """

    metric: str
    deviation_bp: int
    heartbeat_s: int
    noise_bp: int = 0


Path = Sequence[tuple[int, int]]
"""A market price at some times, in base units: straight lines between."""


def price_at(path: Path, time_s: int) -> int:
    """Give the price of a path at a time."""
    before = path[0]
    for point in path:
        if point[0] > time_s:
            span_s = point[0] - before[0]
            return before[1] + (point[1] - before[1]) * (time_s - before[0]) // span_s
        before = point
    return before[1]


def walk(noise: Noise, start_s: int, end_s: int, *, price: int, step_bp: int, every_s: int = 300) -> Path:
    """Give a market that goes its way: every five minutes up or down, three times in four less than
    `step_bp`, drawn back to where it began like a pendulum, so that long series stay sensible.
    """
    path, now = [], price
    for time_s in range(start_s, end_s, every_s):
        path.append((time_s, now))
        now += now * noise.wobble(step_bp) // 20_000 + (price - now) // 500
    return path


def tell(diary: Diary, noise: Noise, feed: Feed, path: Path) -> list[tuple[int, int]]:
    """Let a feed follow a path, looked at every minute, and give its rounds."""
    rounds: list[tuple[int, int]] = []
    at, end_s = 0, path[-1][0]
    for time_s in range(path[0][0], end_s + 1, 60):
        while at + 1 < len(path) and path[at + 1][0] <= time_s:
            at += 1
        market = price_at(path[at : at + 2], time_s)
        seen = market + market * noise.wobble(feed.noise_bp) // 30_000
        if not rounds or _is_due(feed, rounds[-1], (time_s, seen)):
            rounds.append((time_s, seen))
            diary.state(time_s, **{feed.metric: seen})
    return rounds


def _is_due(feed: Feed, last: tuple[int, int], now: tuple[int, int]) -> bool:
    moved = abs(now[1] - last[1]) * 10_000 >= last[1] * feed.deviation_bp
    return moved or now[0] - last[0] >= feed.heartbeat_s
