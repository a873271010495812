"""Incidents of prices and loans, shaped after the USDC depeg, Euler, Kelp and Aave's CAPO; quiet days
made up.
"""

from __future__ import annotations

from relay.plans.rows import Observations
from tests.incidents.diary import DAY_S, HOUR_S, Diary, Noise, Scenario, at, filled
from tests.incidents.prices import Feed, Path, price_at, tell, walk

DOLLAR_UNITS = 10**8
"""What a price feed of eight decimals says of a dollar."""
USDC_UNITS = 10**6
ETHER_UNITS = 10**18
DEPEG_S = at("2023-03-10T23:30")
_DEPEG_PATH = (
    (0, 9_900),
    (420, 9_500),
    (460, 8_774),
    (795, 9_100),
    (1_500, 9_300),
)
"""Minutes since USDC was first below 0.99, and its price in 1/10,000 of a dollar."""


def usdc(noise: Noise) -> Observations:
    """Shaped after USDC, 10 to 13 March 2023: a bank that held 8 % of its reserves failed on a Friday.

    Public: below 0.99 seven hours before 0.95, 0.8774 at the lowest about 07:00 UTC on 11 March, 0.91 at
    12:45, back at 0.99 on 13 March, after the end of this; 2.2 bn USDC went into one protocol that took
    it at its face. Invented: the hours between, the rounds of two feeds (0.25 % or a day; 0.5 % or a
    day), that those 2.2 bn came evenly over 24 hours; what left is their discount. A quiet day before, up
    to 0.3 % off the peg.
    """
    diary, start_s = Diary(), DEPEG_S - DAY_S
    fall = tuple((DEPEG_S + minutes * 60, bp * DOLLAR_UNITS // 10_000) for minutes, bp in _DEPEG_PATH)
    path = (*walk(noise, start_s, DEPEG_S - 300, price=DOLLAR_UNITS, step_bp=3), *fall)
    tell(diary, noise, Feed("second", 50, DAY_S, 6), path)
    rounds = tell(diary, noise, Feed("coin", 25, DAY_S, 4), path)
    for minute in range(0, 24 * 60, 5):
        time_s = DEPEG_S + minute * 60
        discount = DOLLAR_UNITS - price_at(path, time_s)
        taken_usd = 2_200_000_000 // (24 * 12)
        told = next(price for told_s, price in reversed(rounds) if told_s <= time_s)
        diary.attack_state(time_s, taken_usd * discount // DOLLAR_UNITS, coin=told)
    return diary.observations()


EULER_S = at("2023-03-13T08:50")
_EULER_MINUTES = (0, 3, 6, 10, 14, 18)
_EULER_USD = (8_900_000, 18_600_000, 116_000_000, 34_200_000, 12_600_000, 6_000_000)


class _Pool:
    """A lending pool: owed to depositors, lent, and in cash, in USDC's base units; and the ether behind
    it.
    """

    def __init__(self, diary: Diary, *, owed_usd: int, lent_usd: int, ether: int) -> None:
        self._diary = diary
        self.owed, self.lent = owed_usd * USDC_UNITS, lent_usd * USDC_UNITS
        self.cash = self.owed - self.lent
        self.ether = ether

    def tell(self, time_s: int, out_usd: int | None = None) -> None:
        """Tell how it stands; `out_usd` where the incident brought it there."""
        values = {
            "owed": self.owed,
            "lent": self.lent,
            "cash": self.cash,
            "collateral": self.ether * ETHER_UNITS,
        }
        if out_usd is None:
            self._diary.state(time_s, **values)
        else:
            self._diary.attack_state(time_s, out_usd, **values)

    def go_on(self, noise: Noise, start_s: int, end_s: int) -> None:
        """Let people deposit, withdraw, borrow against ether, and repay, each about once an hour; interest is
        a little more than what is owed for it, as part goes to the pool's reserve.
        """
        self.tell(start_s)
        for time_s in noise.often(start_s, end_s, HOUR_S // 4):
            amount = noise.heavy(20_000, 2_000_000) * USDC_UNITS
            self._step(noise.between(0, 3), amount)
            earned = self.lent // 500_000
            self.lent, self.owed = self.lent + earned, self.owed + earned * 9 // 10
            self.tell(time_s)

    def _step(self, kind: int, amount: int) -> None:
        spare = max(0, self.cash - self.owed // 12)
        ether = amount // USDC_UNITS * 100 // 65 // 1_700
        if kind == 0:
            self.owed, self.cash = self.owed + amount, self.cash + amount
        elif kind == 1:
            gone = min(amount, spare)
            self.owed, self.cash = self.owed - gone, self.cash - gone
        elif kind == 2 and amount <= spare:
            self.lent, self.cash, self.ether = self.lent + amount, self.cash - amount, self.ether + ether
        elif kind == 3 and amount * 4 < self.lent:
            self.lent, self.cash, self.ether = self.lent - amount, self.cash + amount, self.ether - ether


def euler(noise: Noise) -> Observations:
    """Shaped after Euler, 13 March 2023: a donation without a check of health, then a liquidation of oneself.

    Public: six drains between 08:50 and 09:08 UTC, the first of 8.9 M USD, 197 M in all, of six assets: each
    leaves an account with more debt than collateral. Invented: one pool in the place of six, minutes 0, 3, 6,
    10, 14 and 18, the order of the amounts after the first, and that the liquidation writes the uncovered
    debt off, as Aave does since v3.3. (Euler's did not: there the accounts still added up, and what told the
    attack was a pool lent out to the last coin: rule `utilisation`, whose hold is five minutes.)
    """
    diary, start_s = Diary(), EULER_S - 10 * DAY_S
    pool = _Pool(diary, owed_usd=420_000_000, lent_usd=210_000_000, ether=260_000)
    for feed in (Feed("feed", 50, HOUR_S, 10), Feed("second", 50, HOUR_S, 15)):
        tell(diary, noise, feed, _ether_market(noise, start_s, EULER_S + 2 * HOUR_S))
    pool.go_on(noise, start_s, EULER_S)
    for minute, usd in zip(_EULER_MINUTES, _EULER_USD, strict=True):
        pool.cash -= usd * USDC_UNITS
        pool.tell(EULER_S + minute * 60, usd)
    return diary.observations()


def _ether_market(noise: Noise, start_s: int, end_s: int) -> Path:
    return walk(noise, start_s, end_s, price=1_700 * DOLLAR_UNITS, step_bp=20)


CAPO_S = at("2026-03-10T11:46")


def capo(noise: Noise) -> Observations:
    """Shaped after Aave's CAPO, 10 March 2026: a cap on a rate was set from parameters that did not match.

    Public: the feed said 2.85 % less than the market (1.1939 in the place of 1.228), and accounts of 26
    to 28 M USD were liquidated wrongly, while nothing had happened. Invented: that it lasted 90 minutes,
    and, worse than public, a reading of half the price for one block an hour before; a pool whose
    collateral is worth 112 % of its debt, less than 110 % by the false reading. Nothing of it is an
    incident of the pool: no rule may fire, and a market is not to be paused on one feed's word.
    """
    diary, start_s = Diary(), CAPO_S - 10 * DAY_S
    end_s = CAPO_S + DAY_S
    pool = _Pool(diary, owed_usd=420_000_000, lent_usd=210_000_000, ether=140_200)
    path = walk(noise, start_s, end_s, price=1_700 * DOLLAR_UNITS, step_bp=4)
    pool.go_on(noise, start_s, end_s)
    rounds = tell(Diary(), noise, Feed("feed", 50, HOUR_S, 10), path)
    for time_s, price in rounds:
        is_false = CAPO_S <= time_s < CAPO_S + 90 * 60
        diary.state(time_s, feed=price * 9_715 // 10_000 if is_false else price)
    diary.state(CAPO_S, feed=price_at(path, CAPO_S) * 9_715 // 10_000)
    diary.state(CAPO_S - HOUR_S, feed=price_at(path, CAPO_S) // 2)
    diary.state(CAPO_S - HOUR_S + 12, feed=price_at(path, CAPO_S - HOUR_S))
    tell(diary, noise, Feed("second", 50, HOUR_S, 15), path)
    return diary.observations()


def plan_of_one_feed() -> str:
    """Give the ready lending plan as somebody would write it who believes one feed."""
    text, spared = filled("lending"), " && collateral * second.price < lent * ratio_bp"
    assert spared in text, "expected a rule that asks both feeds"
    return text.replace(spared, "")


KELP_S = at("2026-04-18T17:35")


def kelp(noise: Noise) -> Observations:
    """Shaped after Kelp, 18 April 2026: a forged message released 116,500 rsETH, which became collateral.

    Public: 17:35 UTC, 18 % of the supply, 292 M USD at its face; within the hour most of it was deposited
    in Aave and about 190 M USD of ether borrowed against it, the pool of ether was lent out; the token
    was paused after 46 minutes, frozen in Aave after 77. Invented: that the tokens were minted on the
    market's own chain (they were released from a lock there), twenty loans from minute 4 to minute 44,
    the size of the pools, and the twenty quiet days before, in which supply grows by a hundredth a day at
    most.
    """
    diary = Diary()
    supplied, deposited, lendable, lent = trade_collateral(diary, noise, KELP_S - 20 * DAY_S, KELP_S)
    supplied += 116_500
    _tell_market(diary, KELP_S, 0, supplied, deposited, lendable, lent)
    for loan in range(20):
        deposited += 89_600 // 20
        lent += 82_600 // 20
        _tell_market(
            diary, KELP_S + (4 + 2 * loan) * 60, 190_000_000 // 20, supplied, deposited, lendable, lent
        )
    return diary.observations()


def trade_collateral(diary: Diary, noise: Noise, start_s: int, end_s: int) -> tuple[int, int, int, int]:
    """Let a token be minted and burned, deposited as collateral, and ether lent against it; give how it
    stands at the end, in whole tokens.
    """
    supplied, deposited, lendable, lent = 640_000, 380_000, 2_400_000, 2_050_000
    for time_s in [start_s, *noise.often(start_s, end_s, HOUR_S // 2)]:
        change = noise.heavy(40, 2_000)
        supplied += change if noise.between(0, supplied) < 320_000 else -change
        deposited += noise.wobble(60)
        moved = noise.wobble(1_500) + (2_400_000 - lendable) // 100
        lendable += moved
        lent = min(lent + noise.wobble(1_500) + (2_050_000 - lent) // 100, lendable * 94 // 100)
        _tell_market(diary, time_s, None, supplied, deposited, lendable, lent)
    return supplied, deposited, lendable, lent


def _tell_market(diary: Diary, time_s: int, out_usd: int | None, *tokens: int) -> None:
    names = ("supplied", "deposited", "lendable", "lent")
    values = {name: amount * ETHER_UNITS for name, amount in zip(names, tokens, strict=True)}
    values |= {"supplied_before": values["supplied"], "deposited_before": values["deposited"]}
    if out_usd is None:
        diary.state(time_s, **values)
    else:
        diary.attack_state(time_s, out_usd, **values)


def lend(diary: Diary, noise: Noise, start_s: int, end_s: int) -> None:
    """Let a lending pool and its two feeds go on."""
    path = _ether_market(noise, start_s, end_s)
    for feed in (Feed("feed", 50, HOUR_S, 10), Feed("second", 50, HOUR_S, 15)):
        tell(diary, noise, feed, path)
    _Pool(diary, owed_usd=420_000_000, lent_usd=210_000_000, ether=180_000).go_on(noise, start_s, end_s)


def scenarios() -> tuple[Scenario, ...]:
    """Give the incidents of markets."""
    return (
        Scenario(
            "USDC 2023: a coin loses its peg over hours",
            "stablecoin",
            filled("stablecoin"),
            seed=20230310,
            made=usdc,
            rules=("depeg",),
            in_fact="hours",
            most_delay_s=2 * HOUR_S,
            most_share=0.02,
        ),
        Scenario(
            "Euler 2023: bad debt, six drains in 18 minutes",
            "lending",
            filled("lending"),
            seed=20230313,
            made=euler,
            rules=("bad-debt",),
            in_fact="after the last drain",
            most_share=0.05,
        ),
        Scenario(
            "Kelp 2026: unbacked tokens become collateral",
            "aave-v3",
            filled("aave-v3"),
            seed=20260418,
            made=kelp,
            rules=("supply-jump", "deposit-jump"),
            in_fact="77 min",
        ),
        Scenario(
            "CAPO 2026: a feed errs by 2.85 %, nothing has happened",
            "lending",
            filled("lending"),
            seed=20260310,
            made=capo,
        ),
    )
