"""Each ready rule on a short course of events that must ring it, and on quiet days that must not."""

from __future__ import annotations

from collections.abc import Callable, Mapping
from dataclasses import dataclass, field

from relay.plans.rows import Observations
from tests.incidents import bridges, futures, markets
from tests.incidents.diary import AWAY, DAY_S, HOME, HOUR_S, Diary, Noise, at, example_values, filled
from tests.incidents.prices import Feed, tell, walk

START_S = at("2025-06-02T00:00")
TOKEN = 10**18


@dataclass(frozen=True)
class Case:
    """A rule of a ready plan.

    `made` gives the rows, quiet ones without the incident. With the limits `blunt` the incident does not ring
    it, with `sharp` the quiet days do: both tell that the data test the limit. `changed` are places of the
    plan that are filled otherwise, `announced` those of a version that knows of the change: it is another
    way to be blunt. `within_s` is the most that may pass from the incident to the rule.
    """

    number: int
    plan: str
    rule: str
    made: Callable[[Noise, bool], Observations]
    within_s: int
    blunt: Mapping[str, int] = field(default_factory=dict)
    sharp: Mapping[str, int] = field(default_factory=dict)
    changed: Mapping[str, str] = field(default_factory=dict)
    announced: Mapping[str, str] | None = None
    label: str = ""

    def __str__(self) -> str:
        return f"{self.number}-{self.label or self.rule}"

    def text(self, **limits: int) -> str:
        """Give the plan, with other limits."""
        return filled(self.plan, self.changed, **limits)


def _bridge(noise: Noise, is_incident: bool, steal: Callable[[bridges.Bridge, int], None]) -> Observations:
    bridge = bridges.Bridge(Diary(), noise, bridges.DOLLAR, 80_000_000 * 10**6)
    end_s = START_S + DAY_S // 2
    bridge.go_on(START_S, end_s, (bridges.DOLLAR,))
    for place in range(8):
        bridge.leave(START_S + HOUR_S + 20 * place, bridges.DOLLAR, 50 * 10**6)
    if is_incident:
        steal(bridge, end_s)
    return bridge.settle(START_S)


def unbacked(noise: Noise, is_incident: bool) -> Observations:
    """Traffic of a bridge; somebody gets a hundred dollars that nobody burned more than ever was."""

    def steal(bridge: bridges.Bridge, time_s: int) -> None:
        bridge.steal(time_s, bridges.DOLLAR, 100 * 10**6)

    return _bridge(noise, is_incident, steal)


def unbacked_mint(noise: Noise, is_incident: bool) -> Observations:
    """Traffic of a bridge; somebody gets minted on the other chain what nobody locked."""

    def steal(bridge: bridges.Bridge, time_s: int) -> None:
        bridge.diary.attack(time_s, AWAY, "Mint", 5_000_000, token=bridges.USDC, amount=5_000_000 * 10**6)

    return _bridge(noise, is_incident, steal)


def repeated(noise: Noise, is_incident: bool) -> Observations:
    """Traffic with bursts of small equal withdrawals; five honest-looking ones of 30,000 USD in two minutes."""

    def steal(bridge: bridges.Bridge, time_s: int) -> None:
        for place in range(5):
            bridge.steal(time_s + 24 * place, bridges.DOLLAR, 30_000 * 10**6)

    return _bridge(noise, is_incident, steal)


def messages(noise: Noise, is_incident: bool) -> Observations:
    """Messages both ways, each a quarter of an hour under way; one is executed that was never sent."""
    diary, end_s = Diary(), START_S + 2 * DAY_S
    for number, time_s in enumerate(noise.often(START_S, end_s - HOUR_S, 900)):
        chains = (AWAY, HOME) if noise.between(0, 1) else (HOME, AWAY)
        diary.event(time_s, chains[0], "Sent", id=f"0x{number:064x}")
        diary.event(time_s + noise.between(300, 1_800), chains[1], "Executed", id=f"0x{number:064x}")
    if is_incident:
        diary.attack(end_s, HOME, "Executed", 1_000_000, id="0x" + "ff" * 32)
    return diary.observations()


def drain(noise: Noise, is_incident: bool) -> Observations:
    """A vault with deposits and withdrawals of up to a hundredth; then a third of it leaves in ten pieces."""
    diary, end_s, held = Diary(), START_S + DAY_S, 10_000_000
    diary.state(START_S, held=held * TOKEN, held_before=held * TOKEN, base=held * TOKEN)
    for time_s in noise.often(START_S, end_s, 300):
        held += noise.heavy(5_000, 100_000) * (1 if noise.between(0, 1) else -1)
        diary.state(time_s, held=held * TOKEN)
    for piece in range(10 if is_incident else 0):
        held -= 333_000
        diary.attack_state(end_s + 60 * piece, 333_000, held=held * TOKEN)
    return diary.observations()


def depeg(noise: Noise, is_incident: bool) -> Observations:
    """Two feeds of a coin within 0.3 % of its peg; then both fall to 0.95."""
    diary, end_s = Diary(), START_S + DAY_S
    path = list(walk(noise, START_S, end_s, price=10**8, step_bp=3))
    if is_incident:
        path += [(end_s, 99_500_000), (end_s + HOUR_S, 95_000_000)]
    for feed in (Feed("coin", 25, DAY_S, 4), Feed("second", 25, DAY_S, 6)):
        tell(diary, noise, feed, path)
    if is_incident:
        diary.attack_state(end_s, 0, coin=99_500_000)
    return diary.observations()


def _two_feeds(noise: Noise, days: int) -> tuple[Diary, int]:
    diary, end_s = Diary(), START_S + days * DAY_S
    path = walk(noise, START_S, end_s, price=2_000 * 10**8, step_bp=20)
    for feed in (Feed("feed", 50, HOUR_S, 10), Feed("second", 50, HOUR_S, 15)):
        tell(diary, noise, feed, path)
    return diary, end_s - 300


def deviation(noise: Noise, is_incident: bool) -> Observations:
    """Two feeds with noise of their own, one of them 2.85 % low for 90 minutes; then it is a third high."""
    diary, end_s = _two_feeds(noise, 1)
    rounds = [row for row in diary.samples if row.metric == "feed"]
    assert rounds[-1].value is not None
    diary.state(START_S + 6 * HOUR_S, feed=rounds[len(rounds) // 4].value * 9_715 // 10_000)
    if is_incident:
        diary.attack_state(end_s, 0, feed=rounds[-1].value * 4 // 3)
        diary.attack_state(end_s + 600, 1_000_000, feed=rounds[-1].value * 4 // 3)
    return diary.observations()


def stale(noise: Noise, is_incident: bool) -> Observations:
    """Two feeds with a heartbeat of an hour; then the one that is used says nothing for four hours."""
    diary, end_s = _two_feeds(noise, 1)
    if is_incident:
        for hour in range(1, 5):
            diary.attack_state(end_s + hour * HOUR_S, 0, second=2_000 * 10**8)
    return diary.observations()


def ratio(noise: Noise, is_incident: bool) -> Observations:
    """A lending pool; then both feeds lose half."""
    return _pool(noise, is_incident, "feed")


def bad_debt(noise: Noise, is_incident: bool) -> Observations:
    """A lending pool; then two millions of cash are gone that nobody owes."""
    return _pool(noise, is_incident, "cash")


def _pool(noise: Noise, is_incident: bool, kind: str) -> Observations:
    quiet = markets.quiet_pool(noise, days=3)
    diary = Diary(samples=list(quiet.series))
    last = {row.metric: row.value or 0 for row in quiet.series}
    end_s = quiet.last_s + 60
    if is_incident and kind == "feed":
        diary.attack_state(end_s, 0, feed=last["feed"] // 2, second=last["second"] // 2)
    elif is_incident and kind == "cash":
        diary.attack_state(end_s, 2_000_000, cash=last["cash"] - 2_000_000 * 10**6)
    elif is_incident:
        diary.attack_state(end_s, 0, lent=last["lent"] + last["cash"], cash=0)
    return diary.observations()


def utilisation(noise: Noise, is_incident: bool) -> Observations:
    """A lending pool; then all of its cash is borrowed."""
    return _pool(noise, is_incident, "lent")


_GUARD = example_values("guard")
_STATES = {
    "owner_kept": int(_GUARD["owner"], 16),
    "implementation_kept": int(_GUARD["implementation"], 16),
    "signers": int(_GUARD["least_signers"]),
    "delay_s": int(_GUARD["least_delay_s"]),
    "pause_kept": 1,
}
THIEF = "0x" + "66" * 20
_ADMIN = "0x" + "00" * 32


def tampered(noise: Noise, is_incident: bool, *, states: Mapping[str, int], is_grant: bool = False) -> Observations:
    """A year of a protocol whose minor roles are granted now and then; then something is changed."""
    diary, end_s = Diary(), START_S + 365 * DAY_S
    diary.state(START_S, **_STATES)
    for time_s in noise.often(START_S, end_s, 20 * DAY_S):
        diary.event(time_s, HOME, "RoleGranted", role="0x" + "77" * 32, account=THIEF, sender=THIEF)
        diary.state(time_s, **_STATES)
    if is_incident and is_grant:
        diary.attack(end_s, HOME, "RoleGranted", 0, role=_ADMIN, account=THIEF, sender=THIEF)
    elif is_incident:
        diary.attack_state(end_s, 0, **states)
    return diary.observations()


def _tamper(label: str, rule: str = "guard-tamper", *, announced: Mapping[str, str], **states: int) -> Case:
    def made(noise: Noise, is_incident: bool) -> Observations:
        return tampered(noise, is_incident, states=states, is_grant=not states)

    return Case(7, "guard", rule, made, 0, announced=announced, label=label)


def jump(noise: Noise, is_incident: bool) -> Observations:
    """A coin of 102 millions, minted and burned; then, as from Resolv in 2026, 50 millions at one stroke, and 30
    millions 80 minutes later.
    """
    diary, end_s = _supply(noise)
    supplied = diary.samples[-1].value or 0
    if is_incident:
        diary.attack_state(end_s, 15_000_000, supplied=supplied + 50_000_000 * TOKEN)
        diary.attack_state(end_s + 80 * 60, 9_000_000, supplied=supplied + 80_000_000 * TOKEN)
    return diary.observations()


def creep(noise: Noise, is_incident: bool) -> Observations:
    """The same coin; then three hundredths more every hour."""
    diary, end_s = _supply(noise)
    supplied = diary.samples[-1].value or 0
    for hour in range(12 if is_incident else 0):
        diary.attack_state(end_s + hour * HOUR_S, 3_000_000, supplied=supplied + supplied * 3 * (hour + 1) // 100)
    return diary.observations()


def _supply(noise: Noise) -> tuple[Diary, int]:
    diary, end_s, supplied = Diary(), START_S + 10 * DAY_S, 102_000_000
    diary.state(START_S, **dict.fromkeys(("hour_ago", "day_ago", "supplied"), supplied * TOKEN))
    for time_s in noise.often(START_S, end_s, 600):
        supplied += noise.heavy(5_000, 300_000) * (1 if noise.between(0, 1) else -1)
        diary.state(time_s, supplied=supplied * TOKEN)
    return diary, end_s


def _market(noise: Noise) -> tuple[Diary, int, int]:
    """Give two days of futures, when they end, and the last price."""
    diary, end_s = Diary(), START_S + 2 * DAY_S
    path = walk(noise, START_S, end_s, price=38 * futures.CENT_PRICE // 10, step_bp=40)
    futures.traffic(diary, noise, path, 60_000_000)
    futures.tell_feed(diary, noise, path)
    return diary, end_s, path[-1][1]


def volatility(noise: Noise, is_incident: bool) -> Observations:
    """Two days of futures; then the price rises by a fifth within three minutes."""
    diary, end_s, price = _market(noise)
    for minute in range(3 if is_incident else 0):
        diary.attack_state(end_s + 60 * minute, 0, highest=price + price * (minute + 1) // 15)
    return diary.observations()


def slippage(noise: Noise, is_incident: bool) -> Observations:
    """Two days of futures; then a trade at a price 30 % above the feed's."""
    diary, end_s, price = _market(noise)
    if is_incident:
        dear = price * 13 // 10
        _attack_trade(diary, end_s, 7, 10_000, dear)
    return diary.observations()


def _attack_trade(diary: Diary, time_s: int, account: int, size: int, price: int) -> None:
    fields = {"account": f"0x{account:040x}", "isBuy": True, "size": size * TOKEN, "quote": size * price // 100}
    diary.attack(time_s, HOME, "Trade", 0, **fields)


def concentration(noise: Noise, is_incident: bool) -> Observations:
    """Two days of futures of 400 accounts; then one buys half of the open interest in ten trades."""
    diary, end_s, price = _market(noise)
    for place in range(10 if is_incident else 0):
        _attack_trade(diary, end_s + 30 * place, 7, 3_000_000, price)
    return diary.observations()


def imbalance(noise: Noise, is_incident: bool) -> Observations:
    """Two days of futures; then sixty accounts buy for half an hour, and nobody sells."""
    diary, end_s, price = _market(noise)
    for place in range(60 if is_incident else 0):
        _attack_trade(diary, end_s + HOUR_S // 2 + 30 * place, 500 + place, 200_000, price)
    return diary.observations()


def disagreement(noise: Noise, is_incident: bool) -> Observations:
    """Three endpoints of which one lags now and then for a block or two; then two tell another chain."""
    diary, end_s = Diary(), START_S + 5 * DAY_S
    diary.state(START_S, odd=0)
    for time_s in noise.often(START_S, end_s, 1_200):
        diary.state(time_s, odd=1 if noise.between(0, 9) else 2)
        diary.state(time_s + 12 * noise.between(1, 2), odd=0)
    if is_incident:
        diary.attack_state(end_s + 60, 0, odd=2)
        diary.attack_state(end_s + 600, 0, odd=2)
    return diary.observations()


_USDC = {"decimals": "6", "scale": "0"}
CASES = (
    Case(1, "bridge", "unbacked-release", unbacked, 0, {"slack": 10**15}, {"slack": -1}, _USDC),
    Case(1, "bridge", "unbacked-mint", unbacked_mint, 132, {"slack": 10**15}, {"slack": -1}, _USDC),
    Case(1, "bridge-messages", "forged-message", messages, 0, {"under_way": 1}, {"under_way": -1}),
    Case(
        2,
        "bridge",
        "repeated-withdrawals",
        repeated,
        72,
        {"repeated_cents": 10**10},
        {"repeated_cents": 1_000},
        _USDC,
    ),
    Case(3, "pausable", "drain", drain, 480, {"drain_bp": 4_000}, {"drain_bp": 20}),
    Case(4, "stablecoin", "depeg", depeg, HOUR_S, {"floor": 9_000}, {"floor": 10_000}),
    Case(5, "oracle", "deviation", deviation, 24, {"deviation_bp": 4_000}, {"deviation_bp": 200}),
    Case(5, "oracle", "stale", stale, 3 * HOUR_S, {"max_age_s": DAY_S}, {"max_age_s": 3_000}),
    Case(6, "lending", "collateral-ratio", ratio, 24, {"ratio_bp": 5_000}, {"ratio_bp": 20_000}),
    Case(6, "lending", "bad-debt", bad_debt, 0, {"shortfall_bp": 100}, {"shortfall_bp": -10}),
    _tamper("owner", announced={"owner": THIEF}, owner_kept=int(THIEF, 16)),
    _tamper("implementation", announced={"implementation": THIEF}, implementation_kept=int(THIEF, 16)),
    _tamper("threshold", announced={"least_signers": "1"}, signers=1),
    _tamper("delay", announced={"least_delay_s": "0"}, delay_s=0),
    _tamper("role", announced={"admin_role": "0x" + "11" * 32}),
    _tamper("pause-right", "pause-right-lost", announced={}, pause_kept=0),
    Case(8, "supply", "supply-jump", jump, 0, {"jump_bp": 6_000}, {"jump_bp": 20}),
    Case(8, "supply", "supply-creep", creep, 8 * HOUR_S, {"creep_bp": 5_000}, {"creep_bp": 50}),
    Case(9, "perps", "volatility", volatility, 180, {"variance_bp2": 10**9}, {"variance_bp2": 5_000}),
    Case(10, "perps", "slippage", slippage, 24, {"slippage_bp": 4_000}, {"slippage_bp": 20}),
    Case(11, "perps", "concentration", concentration, 300, {"concentration_bp": 9_000}, {"concentration_bp": 200}),
    Case(
        12,
        "perps",
        "imbalance",
        imbalance,
        HOUR_S,
        {"imbalance_bp": 10_000},
        {"imbalance_bp": 2_000, "least_trades": 5, "least_flow": 1},
    ),
    Case(13, "lending", "utilisation", utilisation, 300, {"utilisation_bp": 10_001}, {"utilisation_bp": 4_900}),
    Case(14, "sentinel", "rpc-disagreement", disagreement, 48, {"odd_endpoints": 2}, {"odd_endpoints": -1}),
)
"""Rule 15 has blocks that do not come, which rows cannot tell: its test makes the blocks."""
