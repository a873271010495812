"""Everything that one transaction needs to know, in one round trip.

Does it succeed, what does it cost, which nonce.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass

from adapters.evm import shapes
from adapters.evm.crowd import most_frequent, reached_by
from adapters.evm.fees import Market
from adapters.evm.nonces import NONCE_BITS
from adapters.evm.refusals import refusal_reason
from adapters.evm.rpc import Request, Rpc, RpcError
from adapters.evm.state import CALL_GAS, is_fault
from relay.core.errors import WrongChain
from relay.core.types import Caip2


@dataclass(frozen=True, slots=True)
class Quote:
    """One endpoint's view, or several put together.

    `refusal` is None where the simulation succeeds, `is_needless` where it succeeds and changes nothing.
    `gas` is what the call would use now, 0 where nobody can say.
    """

    refusal: str | None
    is_needless: bool
    latest: int
    pending: int
    head: int
    balance_wei: int
    gas: int
    market: Market

    @property
    def key(self) -> tuple[object, ...]:
        """What endpoints at one head give alike."""
        return self.refusal, self.is_needless, self.latest


@dataclass(frozen=True, slots=True)
class Question:
    """A call to be quoted. `needless` is what it answers where it would change nothing, if it can say so."""

    chain: Caip2
    sender: str
    to: str
    data: bytes
    errors: Mapping[bytes, str]
    needless: bytes | None = None

    def requests(self) -> list[Request]:
        call = {"from": self.sender, "to": self.to, "data": "0x" + self.data.hex()}
        return [
            Request("eth_call", [call | {"gas": hex(CALL_GAS)}, "latest"]),
            Request("eth_estimateGas", [call]),
            Request("eth_getBalance", [self.sender, "latest"]),
            *account_requests(self.sender),
        ]


@dataclass(frozen=True, slots=True)
class Account:
    """Where the chain stands, and how many nonces of an account it has used, and holds in its pool."""

    latest: int
    pending: int
    head: int
    market: Market


def account_requests(sender: str) -> list[Request]:
    """What `read_account` reads. The counts come first: what they tell is in the answers after them."""
    return [
        Request("eth_chainId", []),
        Request("eth_getTransactionCount", [sender, "latest"]),
        Request("eth_getTransactionCount", [sender, "pending"]),
        Request("eth_getBlockByNumber", ["latest", False]),
        Request("eth_maxPriorityFeePerGas", []),
        Request("eth_gasPrice", []),
    ]


ACCOUNT_REPLIES = 6


def read_account(chain: Caip2, operator: str, replies: Sequence[object]) -> Account:
    """The account as one endpoint shows it.

    Raises:
        WrongChain: if it serves another chain: asserted with every question, so before every send.
        ValueError: for another shape.
    """
    served, latest, pending, block, tip, price = replies
    actual = f"eip155:{_number(served)}"
    if actual != chain:
        raise WrongChain(chain, f"endpoint serves {actual}, expected {chain}", operator=operator)
    return Account(
        latest=_number(latest, NONCE_BITS),
        pending=_number(pending, NONCE_BITS),
        head=_number(shapes.mapping(block).get("number"), NONCE_BITS),
        market=_market(shapes.mapping(block).get("baseFeePerGas"), tip, price),
    )


def _market(base: object, tip: object, price: object) -> Market:
    """Where blocks have no base fee there is one gas price."""
    usual = 0 if isinstance(price, RpcError) else _number(price)
    if base is None:
        return Market(usual, 0, usual)
    return Market(_number(base), 0 if isinstance(tip, RpcError) else _number(tip), usual)


async def ask_quote(rpc: Rpc, question: Question) -> Quote:
    """One endpoint's quote.

    Raises:
        WrongChain: if it serves another chain.
        EndpointUnavailable: for anything but a full answer.
    """
    simulated, estimate, balance, *rest = await rpc.replies(question.requests())
    try:
        account = read_account(question.chain, rpc.operator, rest)
        return Quote(
            refusal=_refusal(simulated, question.errors),
            is_needless=_is_needless(simulated, question.needless),
            latest=account.latest,
            pending=account.pending,
            head=account.head,
            balance_wei=_number(balance, 256),
            gas=0 if isinstance(estimate, RpcError) else shapes.quantity(estimate),
            market=account.market,
        )
    except ValueError as error:
        raise rpc.unavailable(f"malformed quote: {error}") from None


def _number(value: object, bits: int = 64) -> int:
    if isinstance(value, RpcError):
        raise ValueError(value.text)  # noqa: TRY004 one error for all shapes
    return shapes.quantity(value, bits)


def _refusal(simulated: object, errors: Mapping[bytes, str]) -> str | None:
    if not isinstance(simulated, RpcError):
        return None
    if not is_fault(simulated):
        raise ValueError(simulated.text)
    return refusal_reason(simulated, errors)


def _is_needless(simulated: object, needless: bytes | None) -> bool:
    return needless is not None and isinstance(simulated, str) and shapes.octets(simulated) == needless


def combined(quotes: Sequence[Quote], need: int) -> Quote:
    """One quote of several: the verdict of most, numbers that `need` reach.

    Of equally many verdicts the one to go: protection beats gas.
    """
    goes = [quote for quote in quotes if quote.refusal is None and not quote.is_needless]
    needless = [quote for quote in quotes if quote.is_needless]
    refusals = [quote.refusal for quote in quotes if quote.refusal is not None]
    is_refused = len(refusals) > max(len(goes), len(needless))
    is_needless = not is_refused and len(needless) > len(goes)
    basis = quotes if is_refused or is_needless else goes
    return Quote(
        refusal=most_frequent(refusals)[0] if is_refused else None,
        is_needless=is_needless,
        latest=reached_by([quote.latest for quote in quotes], need),
        pending=reached_by([quote.pending for quote in quotes], need),
        head=reached_by([quote.head for quote in quotes], need),
        balance_wei=reached_by([quote.balance_wei for quote in quotes], need),
        gas=reached_by([quote.gas for quote in basis], need),
        market=market_of([quote.market for quote in basis], need),
    )


def market_of(markets: Sequence[Market], need: int) -> Market:
    """Prices that `need` endpoints reach: one alone neither raises nor lowers them."""
    return Market(
        reached_by([market.base_wei for market in markets], need),
        reached_by([market.tip_wei for market in markets], need),
        reached_by([market.price_wei for market in markets], need),
    )


def agree(quotes: Sequence[Quote], need: int) -> bool:
    """Whether `need` of the quotes are equal where endpoints at one head must be."""
    keys = [quote.key for quote in quotes]
    return bool(keys) and most_frequent(keys)[1] >= need


__all__ = [
    "ACCOUNT_REPLIES",
    "Account",
    "Question",
    "Quote",
    "account_requests",
    "agree",
    "ask_quote",
    "combined",
    "market_of",
    "read_account",
]
