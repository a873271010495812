"""Everything that one transaction needs to know, in one round trip.

Does it succeed, what does it cost, which nonce.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass

from adapters.evm import shapes
from adapters.evm.crowd import most_frequent, reached_by
from adapters.evm.reads import CALL_GAS, is_fault
from adapters.evm.refusals import refusal_reason
from adapters.evm.rpc import Request, Rpc, RpcError
from adapters.evm.transactions import Fees
from relay.core.errors import WrongChain
from relay.core.types import Caip2

GAS_FLOOR = 700_000
"""A call that changes nothing at the newest block may do its whole work in the next one: an act's gas cap,
the gateway's own checks around it, and the 63/64 of EIP-150. Gas that is not used is not paid."""
GAS_MARGIN = 50_000
GAS_LIMIT_CAP = 1 << 24
"""What one transaction may use (EIP-7825)."""


@dataclass(frozen=True, slots=True)
class Quote:
    """One endpoint's view, or several put together.

    `refusal` is None where the simulation succeeds, `is_needless` where it succeeds and changes nothing.
    """

    refusal: str | None
    is_needless: bool
    latest: int
    pending: int
    balance_wei: int
    gas: int
    fees: Fees

    @property
    def key(self) -> tuple[object, ...]:
        """What endpoints at one head give alike."""
        return self.refusal, self.is_needless, self.latest, self.pending, self.balance_wei

    @property
    def cost_wei(self) -> int:
        """What the account must hold for a node to take the transaction."""
        return self.gas * self.fees.most_wei


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
            Request("eth_chainId", []),
            Request("eth_call", [call | {"gas": hex(CALL_GAS)}, "latest"]),
            Request("eth_estimateGas", [call]),
            Request("eth_getTransactionCount", [self.sender, "latest"]),
            Request("eth_getTransactionCount", [self.sender, "pending"]),
            Request("eth_getBalance", [self.sender, "latest"]),
            Request("eth_getBlockByNumber", ["latest", False]),
            Request("eth_maxPriorityFeePerGas", []),
        ]


async def ask_quote(rpc: Rpc, question: Question) -> Quote:
    """One endpoint's quote.

    Raises:
        WrongChain: if it serves another chain: asserted with every quote, so before every send.
        EndpointUnavailable: for anything but a full answer.
    """
    served, simulated, estimate, latest, pending, balance, block, tip = await rpc.replies(question.requests())
    try:
        actual = f"eip155:{_number(served)}"
        if actual != question.chain:
            raise WrongChain(
                question.chain, f"endpoint serves {actual}, expected {question.chain}", operator=rpc.operator
            )
        base = shapes.mapping(block).get("baseFeePerGas")
        return Quote(
            refusal=_refusal(simulated, question.errors),
            is_needless=_is_needless(simulated, question.needless),
            latest=_number(latest),
            pending=_number(pending),
            balance_wei=_number(balance, 256),
            gas=_gas(estimate),
            fees=Fees.starting(_number(base), 0 if isinstance(tip, RpcError) else _number(tip)),
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


def _gas(estimate: object) -> int:
    needed = 0 if isinstance(estimate, RpcError) else shapes.quantity(estimate)
    return min(max(needed + needed // 4 + GAS_MARGIN, GAS_FLOOR), GAS_LIMIT_CAP)


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
        balance_wei=reached_by([quote.balance_wei for quote in quotes], need),
        gas=reached_by([quote.gas for quote in basis], need),
        fees=Fees(
            reached_by([quote.fees.most_wei for quote in basis], need),
            reached_by([quote.fees.tip_wei for quote in basis], need),
        ),
    )


def agree(quotes: Sequence[Quote], need: int) -> bool:
    """Whether `need` of the quotes are equal where endpoints at one head must be."""
    keys = [quote.key for quote in quotes]
    return bool(keys) and most_frequent(keys)[1] >= need


__all__ = ["Question", "Quote", "agree", "ask_quote", "combined"]
