"""Quiet days of each kind, as realistic as chance from a seed makes them; incidents are put behind them."""

from __future__ import annotations

from collections.abc import Callable, Mapping
from dataclasses import dataclass

from relay.plans.rows import Observations
from tests.incidents import bridges, futures, markets
from tests.incidents.diary import AWAY, DAY_S, HOME, HOUR_S, Diary, Noise, at, example_values, filled
from tests.incidents.prices import Feed, tell, walk

START_S = at("2025-06-02T00:00")
TOKEN = 10**18


@dataclass(frozen=True)
class Course:
    """Rows of quiet time, and when it ends."""

    diary: Diary
    end_s: int

    def last(self, metric: str) -> int:
        """Give the newest value of a state."""
        row = max((row for row in self.diary.samples if row.metric == metric), key=lambda row: row.timestamp)
        assert row.value is not None, f"expected a value of {metric}"
        return row.value


def messages(noise: Noise, hours: int) -> Course:
    """Messages both ways, about four an hour, each a quarter of an hour under way."""
    diary, end_s = Diary(), START_S + hours * HOUR_S
    for number, time_s in enumerate(noise.often(START_S, end_s - HOUR_S, 900)):
        chains = (AWAY, HOME) if noise.between(0, 1) else (HOME, AWAY)
        diary.event(time_s, chains[0], "Sent", id=f"0x{number:064x}")
        diary.event(time_s + noise.between(300, 1_800), chains[1], "Executed", id=f"0x{number:064x}")
    return Course(diary, end_s)


def vault(noise: Noise, hours: int) -> Course:
    """A vault of about ten millions with deposits and withdrawals of up to a hundredth of it."""
    diary, end_s, held = Diary(), START_S + hours * HOUR_S, 10_000_000
    diary.state(START_S, held=held * TOKEN, held_before=held * TOKEN, base=held * TOKEN)
    for time_s in noise.often(START_S, end_s, 300):
        amount = noise.heavy(5_000, 100_000)
        held += amount if noise.between(0, held) < 5_000_000 else -amount
        diary.state(time_s, held=held * TOKEN)
    return Course(diary, end_s)


def coin(noise: Noise, hours: int) -> Course:
    """Two feeds of a coin within 0.3 % of its peg, and a print of half the price of the first, once a
    day, that is gone at the next block.
    """
    diary, end_s = Diary(), START_S + hours * HOUR_S
    path = walk(noise, START_S, end_s, price=10**8, step_bp=3)
    rounds = tell(diary, noise, Feed("coin", 25, DAY_S, 4), path)
    tell(diary, noise, Feed("second", 25, DAY_S, 6), path)
    for time_s in range(START_S + HOUR_S + 6, end_s - HOUR_S, DAY_S):
        before = next(price for told_s, price in reversed(rounds) if told_s <= time_s)
        diary.state(time_s, coin=before // 2)
        diary.state(time_s + 12, coin=before)
    return Course(diary, path[-1][0])


def feeds(noise: Noise, hours: int) -> Course:
    """Two feeds of ether, a round at half a percent or an hour; once a day the first is 2.85 % low for a
    round.
    """
    diary, end_s = Diary(), START_S + hours * HOUR_S
    path = walk(noise, START_S, end_s, price=2_000 * 10**8, step_bp=20)
    rounds = tell(diary, noise, Feed("feed", 50, HOUR_S, 10), path)
    tell(diary, noise, Feed("second", 50, HOUR_S, 15), path)
    for time_s in range(START_S + HOUR_S + 6, end_s - HOUR_S, DAY_S):
        before = next(price for told_s, price in reversed(rounds) if told_s <= time_s)
        diary.state(time_s, feed=before * 9_715 // 10_000)
    return Course(diary, path[-1][0])


def supply(noise: Noise, hours: int) -> Course:
    """A coin of about 102 millions, minted and burned by up to 0.3 % every ten minutes or so."""
    diary, end_s, supplied = Diary(), START_S + hours * HOUR_S, 102_000_000
    diary.state(START_S, **dict.fromkeys(("hour_ago", "day_ago", "supplied"), supplied * TOKEN))
    for time_s in noise.often(START_S, end_s, 600):
        amount = noise.heavy(5_000, 300_000)
        supplied += amount if noise.between(0, supplied) < 51_000_000 else -amount
        diary.state(time_s, supplied=supplied * TOKEN)
    return Course(diary, end_s)


_GUARD = example_values("guard")
GUARD_STATES = {
    "owner_kept": int(_GUARD["owner"], 16),
    "implementation_kept": int(_GUARD["implementation"], 16),
    "signers": int(_GUARD["least_signers"]),
    "delay_s": int(_GUARD["least_delay_s"]),
    "pause_kept": 1,
}
"""What a guarded protocol's states are while nobody changes anything."""
SOMEBODY = "0x" + "66" * 20


def guard(noise: Noise, hours: int) -> Course:
    """A protocol whose minor roles are granted every other week."""
    diary, end_s = Diary(), START_S + hours * HOUR_S
    diary.state(START_S, **GUARD_STATES)
    for time_s in [START_S + 60, *noise.often(START_S, end_s, 14 * DAY_S)]:
        diary.event(time_s, HOME, "RoleGranted", role="0x" + "77" * 32, account=SOMEBODY, sender=SOMEBODY)
        diary.state(time_s, **GUARD_STATES)
    return Course(diary, end_s)


def endpoints(noise: Noise, hours: int) -> Course:
    """Three endpoints of which one lags every five minutes or so for a block or two, now and then two."""
    diary, end_s = Diary(), START_S + hours * HOUR_S
    diary.state(START_S, odd=0)
    for time_s in noise.often(START_S, end_s - 60, 300):
        diary.state(time_s, odd=1 if noise.between(0, 9) else 2)
        diary.state(time_s + 12 * noise.between(1, 2), odd=0)
    return Course(diary, end_s)


def market(noise: Noise, hours: int) -> Course:
    """Futures of 400 accounts, twenty trades an hour."""
    diary, end_s = Diary(), START_S + hours * HOUR_S
    path = walk(noise, START_S, end_s, price=38 * futures.CENT_PRICE // 10, step_bp=40)
    futures.traffic(diary, noise, path, futures.INTEREST)
    futures.tell_feed(diary, noise, path)
    return Course(diary, path[-1][0])


def bridge(noise: Noise, hours: int) -> Course:
    """Transfers both ways over a bridge, and bursts of small equal withdrawals."""
    course = bridges.Bridge(Diary(), noise, bridges.DOLLAR, 80_000_000 * 10**6)
    course.go_on(START_S, START_S + hours * HOUR_S, (bridges.DOLLAR,))
    course.settle(START_S)
    return Course(course.diary, START_S + hours * HOUR_S)


def pool(noise: Noise, hours: int) -> Course:
    """A lending pool with deposits, loans and interest, and two feeds."""
    diary, end_s = Diary(), START_S + hours * HOUR_S
    markets.lend(diary, noise, START_S, end_s)
    return Course(diary, end_s)


def collateral(noise: Noise, hours: int) -> Course:
    """A market of ether against a token that is minted and burned."""
    diary, end_s = Diary(), START_S + hours * HOUR_S
    markets.trade_collateral(diary, noise, START_S, end_s)
    return Course(diary, end_s)


@dataclass(frozen=True)
class Campaign:
    """Long quiet time of a ready plan."""

    plan: str
    made: Callable[[Noise, int], Course]
    text: str
    days: int
    seed: int = 11

    def observations(self) -> Observations:
        """Give the rows."""
        return self.made(Noise.of(self.seed), self.days * 24).diary.observations()


def campaigns() -> Mapping[str, Campaign]:
    """Give the long quiet time of each ready plan, by name."""
    listed = (
        Campaign("aave-v3", collateral, filled("aave-v3"), 180),
        Campaign("bridge", bridge, bridges.bridge_plan(bridges.DOLLAR), 20),
        Campaign("bridge-messages", messages, filled("bridge-messages"), 180),
        Campaign("guard", guard, filled("guard"), 3_650),
        Campaign("lending", pool, filled("lending"), 180),
        Campaign("oracle", feeds, filled("oracle"), 20),
        Campaign("pausable", vault, filled("pausable"), 20),
        Campaign("perps", market, filled("perps"), 45),
        Campaign("sentinel", endpoints, filled("sentinel"), 20),
        Campaign("stablecoin", coin, filled("stablecoin"), 20),
        Campaign("supply", supply, filled("supply"), 90),
    )
    return {campaign.plan: campaign for campaign in listed}
