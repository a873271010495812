"""What a unit of gas may cost, and how much more after each wait (core SPEC 6.6). Pure."""

from __future__ import annotations

from dataclasses import dataclass

from relay.core.ports import ChainSettings, FeeKind

GWEI = 10**9
TIP_CAP_WEI = 100 * GWEI
"""A first tip is at most this, whatever endpoints say is usual."""
MIN_TIP_WEI = GWEI // 100


@dataclass(frozen=True, slots=True)
class Fees:
    """What a unit of gas may cost at most, and what of it the block's proposer gets, in wei.

    Both are the gas price where a chain has one price.
    """

    most_wei: int
    tip_wei: int


@dataclass(frozen=True, slots=True)
class Market:
    """What endpoints say of prices: the newest block's base fee, the usual tip, and the usual gas price.

    Where blocks have no base fee it is the gas price.
    """

    base_wei: int
    tip_wei: int
    price_wei: int = 0

    def raised(self) -> Market:
        """A quarter more of each: what endpoints wanted when they refused."""
        return Market(*(_quarter_more(wei) for wei in (self.base_wei, self.tip_wei, self.price_wei)))


@dataclass(frozen=True, slots=True)
class FeePolicy:
    """The fees of one chain. No unit of gas costs more than `cap_wei`."""

    kind: FeeKind
    cap_wei: int

    @classmethod
    def of(cls, settings: ChainSettings) -> FeePolicy:
        return cls(settings.fees, settings.fee_cap_gwei * GWEI)

    def starting(self, market: Market) -> Fees:
        """Room for the base fee to double; of one price a quarter more."""
        if self.kind is FeeKind.LEGACY:
            price = min(_quarter_more(max(market.base_wei, market.price_wei)), self.cap_wei)
            return Fees(price, price)
        tip = min(max(market.tip_wei, MIN_TIP_WEI), TIP_CAP_WEI)
        most = min(2 * market.base_wei + tip, self.cap_wei)
        return Fees(most, min(tip, most))

    def replacing(self, before: Fees, market: Market) -> Fees | None:
        """A quarter more of both, or what the newest block asks for, whichever is more.

        None where the cap leaves less than the +10 % that nodes want of a replacement.
        """
        fresh = self.starting(market)
        most = min(max(_quarter_more(before.most_wei), fresh.most_wei), self.cap_wei)
        tip = min(max(_quarter_more(before.tip_wei), fresh.tip_wei), most)
        is_more = most * 10 >= before.most_wei * 11 and tip * 10 >= before.tip_wei * 11
        return Fees(most, tip) if is_more else None

    def affordable(self, fees: Fees, gas: int, balance_wei: int, market: Market) -> Fees | None:
        """These fees, or lower ones that the account can pay; None where it cannot even pay today's."""
        most = min(fees.most_wei, balance_wei // gas)
        if self.kind is FeeKind.LEGACY:
            return Fees(most, most) if most >= min(market.base_wei, fees.most_wei) else None
        least = min(market.base_wei + market.base_wei // 8 + fees.tip_wei, fees.most_wei)
        return Fees(most, min(fees.tip_wei, most)) if most >= least else None


def _quarter_more(wei: int) -> int:
    return wei + wei // 4 + 1


__all__ = ["GWEI", "MIN_TIP_WEI", "TIP_CAP_WEI", "FeePolicy", "Fees", "Market"]
