"""Incidents of perpetual futures, shaped after Mango; quiet days made up."""

from __future__ import annotations

from relay.core.observations import Field
from relay.plans.rows import Observations
from tests.incidents.diary import DAY_S, HOME, HOUR_S, Diary, Noise, Scenario, at, filled
from tests.incidents.prices import Feed, Path, price_at, tell, walk

SIZE_UNITS = 10**18
INTEREST = 60_000_000
"""Open interest of a quiet market, in whole units."""
CENT_PRICE = 10**6
"""What a feed of eight decimals says of a cent."""
MANGO_S = at("2022-10-11T22:25")
_MANGO_PATH = ((0, 380), (2, 500), (5, 2_000), (11, 9_100), (14, 6_000), (20, 5_500), (40, 300))
"""Minutes since the position was opened, and the price in 1/10,000 of a dollar."""
_PRICE_UNIT = 10**8
"""A dollar, of eight decimals."""


def trade_fields(account: int, size: int, *, is_buy: bool, price: int) -> dict[str, Field]:
    """Give a trade of whole units at a price of eight decimals; quote has six."""
    return {
        "account": f"0x{account:040x}",
        "isBuy": is_buy,
        "size": size * SIZE_UNITS,
        "quote": size * price // 100,
    }


def traffic(diary: Diary, noise: Noise, path: Path, interest: int) -> int:
    """Let 400 accounts trade about every three minutes, within half a percent of the market; give the open
    interest at the end.
    """
    start_s, end_s = path[0][0], path[-1][0]
    diary.state(start_s, interest=interest * SIZE_UNITS)
    for time_s in noise.often(start_s, end_s, 180):
        size = noise.heavy(interest // 4_000, interest // 20)
        market = _market(path, time_s)
        price = market + market * noise.wobble(20) // 10_000
        is_buy = bool(noise.between(0, 1))
        diary.event(
            time_s, HOME, "Trade", **trade_fields(noise.between(1, 400), size, is_buy=is_buy, price=price)
        )
        interest += noise.wobble(size // 3) if size > 3 else 0
        diary.state(time_s, interest=interest * SIZE_UNITS)
    return interest


def _market(path: Path, time_s: int) -> int:
    """Give the price of a long path: its points are 300 s apart."""
    place = (time_s - path[0][0]) // 300
    return price_at(path[place : place + 2], time_s)


def mango(noise: Noise) -> Observations:
    """Shaped after Mango, 11 October 2022: a position with oneself, a price driven up, loans against the
    gain.

    Public: at 22:25 UTC one account sold another one 483 million MNGO futures at 3.8 cents; purchases on
    three thin markets drove the price to 91 cents within ten minutes; against the gain 116 M USD were
    borrowed; all took 40 minutes. Invented: an EVM chain, an open interest of 60 million before, the
    shape of the rise, a feed that follows it (1 % or an hour), twelve loans from minute 12 to minute 23,
    and two quiet days before.
    """
    diary, start_s = Diary(), MANGO_S - 2 * DAY_S
    calm = walk(noise, start_s, MANGO_S - 300, price=38 * CENT_PRICE // 10, step_bp=40)
    interest = traffic(diary, noise, calm, INTEREST)
    surge = tuple((MANGO_S + minute * 60, bp * _PRICE_UNIT // 10_000) for minute, bp in _MANGO_PATH)
    tell_feed(diary, noise, (*calm, *surge))
    size = 483_000_000
    for account, is_buy in ((1_001, False), (1_002, True)):
        fields = trade_fields(account, size, is_buy=is_buy, price=38 * CENT_PRICE // 10)
        diary.attack(MANGO_S, HOME, "Trade", 0, **fields)
    diary.state(MANGO_S, interest=(interest + size) * SIZE_UNITS)
    for loan in range(12):
        time_s = MANGO_S + (12 + loan) * 60
        diary.attack_state(
            time_s, 9_666_666 + (8 if loan == 11 else 0), interest=(interest + size) * SIZE_UNITS
        )
    return diary.observations()


def tell_feed(diary: Diary, noise: Noise, path: Path) -> None:
    """Let the market's feed follow a path. Metrics of one contract share a series: it is told in one's
    name.
    """
    rounds = tell(diary, noise, Feed("highest", 100, HOUR_S, 5), path)
    diary.state(rounds[0][0], feed=rounds[0][1], moved=rounds[0][1])


def scenarios() -> tuple[Scenario, ...]:
    """Give the incidents of futures."""
    return (
        Scenario(
            "Mango 2022: a position with oneself, a price driven up",
            "perps",
            filled("perps"),
            seed=20221011,
            made=mango,
            rules=("concentration", "volatility"),
            in_fact="after the last loan",
            most_delay_s=60,
            most_share=0.00,
        ),
    )
