"""Each ready rule on a short course of events that must ring it, and on quiet days that must not."""

from __future__ import annotations

from collections.abc import Callable, Mapping
from dataclasses import dataclass, field

from relay.plans.rows import Observations
from tests.incidents import bridges, futures, markets, quiet
from tests.incidents.diary import AWAY, DAY_S, HOME, HOUR_S, Diary, Noise, filled
from tests.incidents.quiet import START_S


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
    end_s = START_S + 6 * HOUR_S
    bridge.go_on(START_S, end_s, (bridges.DOLLAR,))
    for place in range(8):
        bridge.leave(START_S + HOUR_S + 20 * place, bridges.DOLLAR, 50 * 10**6, takes_s=HOUR_S)
    if is_incident:
        steal(bridge, end_s)
    return bridge.settle(START_S)


def unbacked(noise: Noise, is_incident: bool) -> Observations:
    """Traffic of a bridge; somebody gets a hundred dollars that nobody burned."""

    def steal(bridge: bridges.Bridge, time_s: int) -> None:
        bridge.steal(time_s, bridges.DOLLAR, 100 * 10**6)

    return _bridge(noise, is_incident, steal)


def unbacked_mint(noise: Noise, is_incident: bool) -> Observations:
    """Traffic of a bridge; somebody gets minted on the other chain what nobody locked."""

    def steal(bridge: bridges.Bridge, time_s: int) -> None:
        bridge.diary.attack(time_s, AWAY, "Mint", 5_000_000, token=bridges.USDC, amount=5_000_000 * 10**6)

    return _bridge(noise, is_incident, steal)


def repeated(noise: Noise, is_incident: bool) -> Observations:
    """Traffic with small equal withdrawals; then five of 30,000 USD in two minutes."""

    def steal(bridge: bridges.Bridge, time_s: int) -> None:
        for place in range(5):
            bridge.steal(time_s + 24 * place, bridges.DOLLAR, 30_000 * 10**6)

    return _bridge(noise, is_incident, steal)


def forged(noise: Noise, is_incident: bool) -> Observations:
    """Messages both ways; one is executed that was never sent."""
    course = quiet.messages(noise, 48)
    if is_incident:
        course.diary.attack(course.end_s, HOME, "Executed", 1_000_000, id="0x" + "ff" * 32)
    return course.diary.observations()


def drained(noise: Noise, is_incident: bool) -> Observations:
    """A vault; then a third of it leaves in ten pieces, one a minute."""
    course = quiet.vault(noise, 6)
    held = course.last("held")
    for piece in range(10 if is_incident else 0):
        held -= 333_000 * quiet.TOKEN
        course.diary.attack_state(course.end_s + 60 * piece, 333_000, held=held)
    return course.diary.observations()


def depegged(noise: Noise, is_incident: bool) -> Observations:
    """A coin at its peg; then both feeds fall to 0.95 within half an hour."""
    course = quiet.coin(noise, 5)
    for place in range(6 if is_incident else 0):
        price = 10**8 - (place + 1) * 900_000
        course.diary.attack_state(course.end_s + 360 * place, 0, coin=price, second=price)
    return course.diary.observations()


def deviant(noise: Noise, is_incident: bool) -> Observations:
    """Two feeds, one of them 2.85 % low for a while; then it is a third high for ten minutes."""
    course = quiet.feeds(noise, 5)
    high = course.last("feed") * 4 // 3
    for time_s in (0, 600) if is_incident else ():
        course.diary.attack_state(course.end_s + time_s, 0, feed=high)
    return course.diary.observations()


def stale(noise: Noise, is_incident: bool) -> Observations:
    """Two feeds with a heartbeat of an hour; then the one that is used says nothing for four hours."""
    course = quiet.feeds(noise, 5)
    for hour in range(1, 5 if is_incident else 1):
        course.diary.attack_state(course.end_s + hour * HOUR_S, 0, second=course.last("second"))
    return course.diary.observations()


def halved(noise: Noise, is_incident: bool) -> Observations:
    """A lending pool; then both feeds lose half."""
    course = quiet.pool(noise, 24)
    if is_incident:
        prices = {name: course.last(name) // 2 for name in ("feed", "second")}
        course.diary.attack_state(course.end_s, 0, **prices)
    return course.diary.observations()


def uncovered(noise: Noise, is_incident: bool) -> Observations:
    """A lending pool; then two millions of cash are gone that nobody owes."""
    course = quiet.pool(noise, 24)
    if is_incident:
        cash = course.last("cash") - 2_000_000 * markets.USDC_UNITS
        course.diary.attack_state(course.end_s, 2_000_000, cash=cash)
    return course.diary.observations()


def lent_out(noise: Noise, is_incident: bool) -> Observations:
    """A lending pool; then all of its cash is borrowed."""
    course = quiet.pool(noise, 24)
    if is_incident:
        lent = course.last("lent") + course.last("cash")
        course.diary.attack_state(course.end_s, 0, lent=lent, cash=0)
    return course.diary.observations()


def _tamper(label: str, rule: str = "guard-tamper", *, announced: Mapping[str, str], **states: int) -> Case:
    """A month of a protocol; then a state is changed, or an admin's role granted where none is named."""

    def made(noise: Noise, is_incident: bool) -> Observations:
        course = quiet.guard(noise, 30 * 24)
        if is_incident and states:
            course.diary.attack_state(course.end_s, 0, **states)
        elif is_incident:
            who = quiet.SOMEBODY
            course.diary.attack(course.end_s, HOME, "RoleGranted", 0, role=_ADMIN, account=who, sender=who)
        return course.diary.observations()

    return Case(7, "guard", rule, made, 0, announced=announced, label=label)


def jumped(noise: Noise, is_incident: bool) -> Observations:
    """A coin of 102 millions; then, as from Resolv in 2026, 50 millions at one stroke, and 30 millions 80
    minutes later.
    """
    course = quiet.supply(noise, 48)
    before = course.last("supplied")
    if is_incident:
        course.diary.attack_state(course.end_s, 15_000_000, supplied=before + 50_000_000 * quiet.TOKEN)
        second_s = course.end_s + 80 * 60
        course.diary.attack_state(second_s, 9_000_000, supplied=before + 80_000_000 * quiet.TOKEN)
    return course.diary.observations()


def crept(noise: Noise, is_incident: bool) -> Observations:
    """The same coin; then three hundredths more every hour."""
    course = quiet.supply(noise, 48)
    before = course.last("supplied")
    for hour in range(12 if is_incident else 0):
        supplied = before + before * 3 * (hour + 1) // 100
        course.diary.attack_state(course.end_s + hour * HOUR_S, 3_000_000, supplied=supplied)
    return course.diary.observations()


def surged(noise: Noise, is_incident: bool) -> Observations:
    """Futures; then the price rises by a fifth within three minutes."""
    course = quiet.market(noise, 8)
    price = course.last("highest")
    for minute in range(3 if is_incident else 0):
        higher = price + price * (minute + 1) // 15
        course.diary.attack_state(course.end_s + 60 * minute, 0, highest=higher)
    return course.diary.observations()


def overpaid(noise: Noise, is_incident: bool) -> Observations:
    """Futures; then a trade at a price 30 % above the feed's."""
    course = quiet.market(noise, 8)
    if is_incident:
        _trade(course, 0, account=7, size=10_000, price=course.last("highest") * 13 // 10)
    return course.diary.observations()


def concentrated(noise: Noise, is_incident: bool) -> Observations:
    """Futures of 400 accounts; then one buys half of the open interest in ten trades."""
    course = quiet.market(noise, 8)
    for place in range(10 if is_incident else 0):
        _trade(course, 30 * place, account=7, size=3_000_000, price=course.last("highest"))
    return course.diary.observations()


def one_sided(noise: Noise, is_incident: bool) -> Observations:
    """Futures; then sixty accounts buy for half an hour, and nobody sells."""
    course = quiet.market(noise, 8)
    for place in range(60 if is_incident else 0):
        price = course.last("highest")
        _trade(course, HOUR_S // 2 + 30 * place, account=500 + place, size=200_000, price=price)
    return course.diary.observations()


def _trade(course: quiet.Course, after_s: int, *, account: int, size: int, price: int) -> None:
    fields = futures.trade_fields(account, size, is_buy=True, price=price)
    course.diary.attack(course.end_s + after_s, HOME, "Trade", 0, **fields)


def contradicted(noise: Noise, is_incident: bool) -> Observations:
    """Three endpoints; then two of them tell another chain for ten minutes."""
    course = quiet.endpoints(noise, 6)
    for time_s in (60, 660) if is_incident else ():
        course.diary.attack_state(course.end_s + time_s, 0, odd=2)
    return course.diary.observations()


_ADMIN = "0x" + "00" * 32
_THIEF = quiet.SOMEBODY
_USDC = {"decimals": "6", "scale": "0"}
CASES = (
    Case(1, "bridge", "unbacked-release", unbacked, 0, {"slack": 10**15}, {"slack": -1}, _USDC),
    Case(1, "bridge", "unbacked-mint", unbacked_mint, 132, {"slack": 10**15}, {"slack": -1}, _USDC),
    Case(1, "bridge-messages", "forged-message", forged, 0, {"under_way": 1}, {"under_way": -1}),
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
    Case(3, "pausable", "drain", drained, 480, {"drain_bp": 4_000}, {"drain_bp": 20}),
    Case(4, "stablecoin", "depeg", depegged, HOUR_S, {"floor": 9_000}, {"floor": 10_050}),
    Case(5, "oracle", "deviation", deviant, 24, {"deviation_bp": 4_000}, {"deviation_bp": 200}),
    Case(5, "oracle", "stale", stale, 3 * HOUR_S, {"max_age_s": DAY_S}, {"max_age_s": 3_000}),
    Case(6, "lending", "collateral-ratio", halved, 24, {"ratio_bp": 5_000}, {"ratio_bp": 20_000}),
    Case(6, "lending", "bad-debt", uncovered, 0, {"shortfall_bp": 100}, {"shortfall_bp": -10}),
    _tamper("owner", announced={"owner": _THIEF}, owner_kept=int(_THIEF, 16)),
    _tamper("implementation", announced={"implementation": _THIEF}, implementation_kept=int(_THIEF, 16)),
    _tamper("threshold", announced={"least_signers": "1"}, signers=1),
    _tamper("delay", announced={"least_delay_s": "0"}, delay_s=0),
    _tamper("role", announced={"admin_role": "0x" + "11" * 32}),
    _tamper("pause-right", "pause-right-lost", announced={}, pause_kept=0),
    Case(8, "supply", "supply-jump", jumped, 0, {"jump_bp": 6_000}, {"jump_bp": 5}),
    Case(8, "supply", "supply-creep", crept, 8 * HOUR_S, {"creep_bp": 5_000}, {"creep_bp": 10}),
    Case(9, "perps", "volatility", surged, 180, {"variance_bp2": 10**9}, {"variance_bp2": 5_000}),
    Case(10, "perps", "slippage", overpaid, 24, {"slippage_bp": 4_000}, {"slippage_bp": 20}),
    Case(
        11,
        "perps",
        "concentration",
        concentrated,
        300,
        {"concentration_bp": 9_000},
        {"concentration_bp": 200},
    ),
    Case(
        12,
        "perps",
        "imbalance",
        one_sided,
        HOUR_S,
        {"imbalance_bp": 10_000},
        {"imbalance_bp": 2_000, "least_trades": 5, "least_flow": 1},
    ),
    Case(13, "lending", "utilisation", lent_out, 300, {"utilisation_bp": 10_001}, {"utilisation_bp": 4_900}),
    Case(14, "sentinel", "rpc-disagreement", contradicted, 48, {"odd_endpoints": 2}, {"odd_endpoints": -1}),
)
"""Rule 15 has blocks that do not come, which rows cannot tell: its test makes the blocks."""
