"""What endpoints show of our transactions: which are in a block, whose nonces were used, what is final."""

from __future__ import annotations

from collections.abc import Awaitable, Callable, Mapping, Sequence
from dataclasses import dataclass
from typing import Protocol

from adapters.evm import shapes
from adapters.evm.crowd import Answer, most_frequent, reached_by
from adapters.evm.fees import Market
from adapters.evm.nonces import NONCE_BITS
from adapters.evm.quotes import ACCOUNT_REPLIES, Account, account_requests, market_of, read_account
from adapters.evm.rows import Row
from adapters.evm.rpc import Request, Rpc, RpcError
from adapters.evm.shapes import Receipt


@dataclass(frozen=True, slots=True)
class Look:
    """One endpoint's view: `receipts` by nonce, of those that it shows in a block."""

    account: Account
    final: int
    receipts: Mapping[int, Receipt]

    @property
    def key(self) -> tuple[object, ...]:
        return self.account.latest, sorted((nonce, one.block_hash) for nonce, one in self.receipts.items())


@dataclass(frozen=True, slots=True)
class Shown:
    """The receipt that most endpoints give of one nonce, and who they are."""

    receipt: Receipt
    by: tuple[str, ...]


@dataclass(frozen=True, slots=True)
class Sight:
    """All views together. `latest`, `pending`, `head` and `final` are what `need` endpoints reach, or all
    that answer where they are fewer.
    """

    need: int
    looks: Mapping[str, Look]
    latest: int
    pending: int
    head: int
    final: int
    market: Market

    def shown(self, nonce: int) -> Shown | None:
        """What is shown of a nonce in a block, if anything."""
        found = [(name, look.receipts[nonce]) for name, look in self.looks.items() if nonce in look.receipts]
        if not found:
            return None
        receipt, _ = most_frequent([receipt for _, receipt in found])
        return Shown(receipt, tuple(name for name, other in found if other == receipt))

    def is_agreed(self, shown: Shown) -> bool:
        return len(shown.by) >= self.need

    def is_lonely(self, shown: Shown) -> bool:
        """Whether nobody but those who show it answers, and they are too few to agree."""
        return len(shown.by) < self.need and len(shown.by) == len(self.looks)

    def is_missing(self, nonce: int) -> bool:
        """Whether enough endpoints show nothing of a nonce, or all that answer."""
        without = sum(1 for look in self.looks.values() if nonce not in look.receipts)
        return without >= min(self.need, len(self.looks))


@dataclass(frozen=True, slots=True)
class SightQuestion:
    """Whose transactions are looked for; `finality` as in `ChainSettings`."""

    sender: str
    finality: str
    rows: tuple[Row, ...]

    @property
    def depth(self) -> int | None:
        """How deep a block is final; None where the chain has a tag for it."""
        return int(self.finality.partition(":")[2]) if self.finality.startswith("depth:") else None

    def requests(self) -> list[Request]:
        tag = "latest" if self.depth is not None else self.finality
        return [
            *account_requests(self.sender),
            Request("eth_getBlockByNumber", [tag, False]),
            *(
                Request("eth_getTransactionReceipt", ["0x" + tx.hex()])
                for row in self.rows
                for tx in row.hashes
            ),
        ]


class Ask(Protocol):
    """`Crowd.ask` or `Crowd.ask_all`."""

    async def __call__(
        self, question: Callable[[Rpc], Awaitable[Look]], is_enough: Callable[[list[Look]], bool]
    ) -> list[Answer[Look]]: ...


async def look_around(ask: Ask, question: SightQuestion, need: int) -> Sight | None:
    """What the endpoints show now; None where none answers."""
    answers = await ask(
        lambda rpc: _look(rpc, question),
        lambda found: bool(found) and most_frequent([look.key for look in found])[1] >= need,
    )
    return _together(answers, need)


def _together(answers: Sequence[Answer[Look]], need: int) -> Sight | None:
    looks = {answer.operator: answer.value for answer in answers if answer.value is not None}
    if not looks:
        return None
    accounts = [look.account for look in looks.values()]
    return Sight(
        need=need,
        looks=looks,
        latest=reached_by([account.latest for account in accounts], need),
        pending=reached_by([account.pending for account in accounts], need),
        head=reached_by([account.head for account in accounts], need),
        final=reached_by([look.final for look in looks.values()], need),
        market=market_of([account.market for account in accounts], need),
    )


async def _look(rpc: Rpc, question: SightQuestion) -> Look:
    replies = await rpc.replies(question.requests())
    try:
        account = read_account(rpc.chain, rpc.operator, replies[:ACCOUNT_REPLIES])
        return Look(
            account,
            _final(question, account, replies[ACCOUNT_REPLIES]),
            _receipts(question.rows, replies[ACCOUNT_REPLIES + 1 :]),
        )
    except ValueError as error:
        raise rpc.unavailable(f"malformed answer: {error}") from None


def _final(question: SightQuestion, account: Account, block: object) -> int:
    """The newest final block's number; -1 where the endpoint knows of none."""
    if question.depth is not None:
        return account.head - question.depth
    if block is None or isinstance(block, RpcError):
        return -1
    return shapes.quantity(shapes.mapping(block).get("number"), NONCE_BITS)


def _receipts(rows: Sequence[Row], replies: Sequence[object]) -> dict[int, Receipt]:
    """The receipts of our own transactions; one about another transaction is malformed."""
    found: dict[int, Receipt] = {}
    place = 0
    for row in rows:
        for tx in row.hashes:
            reply = replies[place]
            place += 1
            if reply is None or isinstance(reply, RpcError):
                continue
            receipt = shapes.receipt(reply)
            if receipt.tx != tx:
                raise ValueError("a receipt of another transaction")
            found[row.nonce] = receipt
    return found


__all__ = ["Look", "Shown", "Sight", "SightQuestion", "look_around"]
