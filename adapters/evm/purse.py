"""What endpoints say of themselves and of the account that pays (SPEC 8.1)."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass

from adapters.evm import shapes
from adapters.evm.crowd import Answer, reached_by
from adapters.evm.rpc import Request, Rpc, RpcError
from relay.core.ports import ChainSettings
from relay.core.readiness import ChainQuestion, Fact, Standing

__all__ = ["ChainLook", "endpoints_fact", "funds_fact", "look", "nonce_fact"]

STUCK_BLOCKS = 30
"""A transaction that waits longer has been given up by its submitter."""
LAG_S = 30
LAG_BLOCKS = 3
"""An endpoint may be so far behind the others: the larger of the two."""
GATEWAY_GAS = 400_000
"""What a gateway takes beside an act's own gas cap (contracts/GATEWAY.md 2.4 and 8)."""
LEAST_GAS = 700_000
"""What a submitter reserves for a call in any case."""
GWEI = 10**9
_COIN = 10**18


@dataclass(frozen=True, slots=True)
class ChainLook:
    """One endpoint's view; the account's fields are 0 without an account. `fee_wei` is per unit of gas."""

    served: str
    head: int
    balance_wei: int
    latest: int
    pending: int
    fee_wei: int


async def look(rpc: Rpc, question: ChainQuestion) -> ChainLook:
    """Ask one endpoint, in one round trip.

    Raises:
        EndpointUnavailable: for anything but a full answer.
    """
    requests = [
        Request("eth_chainId", []),
        Request("eth_getBlockByNumber", ["latest", False]),
        Request("eth_gasPrice", []),
    ]
    if question.submitter is not None:
        account = "0x" + question.submitter.hex()
        requests += [
            Request("eth_getBalance", [account, "latest"]),
            Request("eth_getTransactionCount", [account, "latest"]),
            Request("eth_getTransactionCount", [account, "pending"]),
        ]
    served, block, price, *account_replies = await rpc.replies(requests)
    try:
        head = shapes.mapping(block)
        base = head.get("baseFeePerGas")
        price_wei = _number(price, 256)
        balance, latest, pending = [_number(reply, 256) for reply in account_replies] or (0, 0, 0)
        return ChainLook(
            served=f"eip155:{_number(served)}",
            head=_number(head.get("number")),
            balance_wei=balance,
            latest=latest,
            pending=pending,
            fee_wei=max(price_wei, 2 * _number(base, 256) if base is not None else 2 * price_wei),
        )
    except ValueError as error:
        raise rpc.unavailable(f"malformed answer: {error}") from None


def _number(value: object, bits: int = 64) -> int:
    if isinstance(value, RpcError):
        raise ValueError(value.text)  # noqa: TRY004 one error for all shapes
    return shapes.quantity(value, bits)


def endpoints_fact(
    name: str, settings: ChainSettings, answers: Sequence[Answer[ChainLook]]
) -> tuple[Fact, list[ChainLook]]:
    """Whether enough endpoints serve this chain and stand at its head; and the answers of those that do."""
    problems = {answer.operator: answer.problem for answer in answers if answer.value is None}
    looks = {answer.operator: answer.value for answer in answers if answer.value is not None}
    heads = [look.head for look in looks.values() if look.served == settings.chain]
    best = reached_by(heads, settings.need) if heads else 0
    found = {operator: _fault(look, settings, best) for operator, look in looks.items()}
    problems |= {operator: problem for operator, problem in found.items() if problem}
    good = [look for operator, look in looks.items() if not found[operator]]
    reason = f"{len(good)} of {len(answers)} endpoints good, {settings.need} needed"
    if problems:
        reason += ": " + "; ".join(f"{operator}: {problems[operator]}" for operator in sorted(problems))
    if len(good) >= settings.need:
        return Fact(name, Standing.HELD, reason if problems else ""), good
    return Fact(name, Standing.FAILED, reason, "mend or replace these endpoints (tocsin chain check)"), good


def _fault(look: ChainLook, settings: ChainSettings, best: int) -> str:
    if look.served != settings.chain:
        return f"serves {look.served}"
    behind = best - look.head
    most = max(LAG_BLOCKS, LAG_S * 1_000 // settings.block_time_ms)
    return f"{behind} blocks behind" if behind > most else ""


def funds_fact(
    name: str, question: ChainQuestion, settings: ChainSettings, looks: Sequence[ChainLook]
) -> Fact:
    """Whether the account can pay for the calls asked about."""
    assert question.submitter is not None
    balance = reached_by([each.balance_wei for each in looks], settings.need)
    cap = settings.fee_cap_gwei * GWEI
    current = min(reached_by([each.fee_wei for each in looks], settings.need), cap)
    fee = cap if question.fee == "cap" else current
    gas = max(question.gas * 64 // 63 + GATEWAY_GAS, LEAST_GAS)
    wanted = question.calls * gas * fee
    account = "0x" + question.submitter.hex()
    figures = f"{account} holds {_coins(balance)}, {question.calls} calls may take {_coins(wanted)}"
    if balance >= wanted:
        return Fact(name, Standing.HELD, figures)
    remedy = f"send at least {_coins(wanted - balance)} of {settings.chain}'s coin to {account}"
    return Fact(name, Standing.FAILED, figures, remedy)


def _coins(wei: int) -> str:
    """An amount rounded up to a millionth of a coin."""
    millionths = -(-wei * 10**6 // _COIN)
    return f"{millionths // 10**6}.{millionths % 10**6:06d}"


def nonce_fact(name: str, looks: Sequence[ChainLook], settings: ChainSettings, since: int | None) -> Fact:
    """Whether no transaction of ours is stuck; `since` is the block at which one was first seen waiting."""
    if since is None:
        return Fact(name, Standing.HELD)
    head = reached_by([each.head for each in looks], settings.need)
    nonce = reached_by([each.latest for each in looks], settings.need)
    waits = f"a transaction with nonce {nonce} waits, seen for {head - since} blocks"
    if head - since < STUCK_BLOCKS:
        return Fact(name, Standing.HELD, waits)
    remedy = "raise fee_cap_gwei, fund the account, or replace the transaction: those behind it wait too"
    return Fact(name, Standing.FAILED, waits, remedy)
