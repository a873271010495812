"""Handing signed bytes to endpoints: to all at once, and first to the private one where there is one."""

from __future__ import annotations

import asyncio
from collections import Counter
from collections.abc import Coroutine, Sequence
from dataclasses import dataclass
from enum import Enum, auto
from typing import Self

from adapters.evm.crowd import GRACE_S, Crowd
from adapters.evm.rpc import Request, Rpc, RpcError
from relay.core.errors import ChainError

# Without spaces: Nethermind says `InsufficientFunds`, others `insufficient funds`.
_KNOWN = ("alreadyknown", "alreadyimported", "knowntransaction")
_FUNDS = ("insufficientfunds", "upfrontcostexceedsaccountbalance")
_REPLACED = ("replacement", "couldnotreplace", "ownnoncealreadyused")
_NONCE_USED = ("noncetoolow", "nonceistoolow", "oldnonce", "invalidnonce", "alreadybeenused")
_UNDERPRICED = ("underpriced", "feetoolow", "maxfeepergaslessthanblockbasefee", "gaspricebelow")

MAX_UNDER_WAY = 32
"""Transactions that one endpoint may leave unanswered before it gets no more."""


class Refusal(Enum):
    """Why no endpoint took a transaction."""

    NONCE_USED = auto()
    NONCE_HELD = auto()
    """Another transaction waits at this nonce, and pays more."""
    UNDERPRICED = auto()
    FUNDS = auto()
    OTHER = auto()


@dataclass(frozen=True, slots=True)
class Sending:
    """What became of the bytes: `refusal` is None where somebody took them, or may have."""

    refusal: Refusal | None
    text: str = ""


@dataclass(frozen=True, slots=True)
class _Reply:
    """One endpoint's answer; without text it took the bytes."""

    text: str
    is_refusal: bool

    @property
    def is_taken(self) -> bool:
        return not self.text


class Senders:
    """The ways out. Use as an async context manager: it owns what is still on its way."""

    def __init__(self, crowd: Crowd, private: Rpc | None) -> None:
        self._crowd = crowd
        self.private = private
        self._group = asyncio.TaskGroup()
        self._tasks: set[asyncio.Task[None]] = set()
        self._unanswered: Counter[str] = Counter()
        """By operator."""

    async def __aenter__(self) -> Self:
        await self._group.__aenter__()
        return self

    async def __aexit__(self, *_: object) -> None:
        for task in self._tasks:
            task.cancel()
        await self._group.__aexit__(None, None, None)

    async def send_privately(self, raw: bytes) -> Sending:
        """Hand to the private endpoint alone, and do not wait for it.

        What it says is in its health, and stops nothing: the public ones come later.
        """
        assert self.private is not None, "expected a private endpoint"
        self._spawn(self._hand_over(self.private, raw, asyncio.Queue()))
        return Sending(None)

    async def send_publicly(self, raw: bytes) -> Sending:
        """Hand to every endpoint; returns at the first that takes it. Those in back-off get it too."""
        everyone = [*self._crowd.rpcs, *([] if self.private is None else [self.private])]
        return await self._hand_out(everyone, raw)

    async def _hand_out(self, rpcs: Sequence[Rpc], raw: bytes) -> Sending:
        answers: asyncio.Queue[_Reply] = asyncio.Queue()
        for rpc in rpcs:
            self._spawn(self._hand_over(rpc, raw, answers))
        replies: list[_Reply] = []
        deadline: float | None = None
        while len(replies) < len(rpcs):
            try:
                async with asyncio.timeout_at(deadline):
                    replies.append(await answers.get())
            except TimeoutError:
                break
            if replies[-1].is_taken:
                return Sending(None)
            deadline = deadline or asyncio.get_running_loop().time() + GRACE_S
        return self._refused(replies, len(rpcs))

    def _refused(self, replies: Sequence[_Reply], asked: int) -> Sending:
        """What follows where nobody said that he took it. Who did not answer may have taken it: that counts
        unless as many as must agree refuse.
        """
        refusals = [reply.text for reply in replies if reply.is_refusal]
        text = "; ".join(sorted({reply.text for reply in replies}))
        is_sure = len(refusals) == asked or len(refusals) >= self._crowd.need
        return Sending(_kind_of(refusals) if is_sure else None, text)

    def _spawn(self, work: Coroutine[None, None, None]) -> None:
        task = self._group.create_task(work, name="send")
        self._tasks.add(task)
        task.add_done_callback(self._tasks.discard)

    async def _hand_over(self, rpc: Rpc, raw: bytes, answers: asyncio.Queue[_Reply]) -> None:
        """Put what it answers: to have it already is to take it."""
        if self._unanswered[rpc.operator] >= MAX_UNDER_WAY:
            answers.put_nowait(_Reply(f"{rpc.operator}: leaves too much unanswered", is_refusal=False))
            return
        self._unanswered[rpc.operator] += 1
        try:
            (reply,) = await rpc.replies([Request("eth_sendRawTransaction", ["0x" + raw.hex()])])
        except ChainError as error:
            self._crowd.told(rpc.operator, error.problem)
            answers.put_nowait(_Reply(f"{rpc.operator}: {error.problem}", is_refusal=False))
            return
        finally:
            self._unanswered[rpc.operator] -= 1
        text = reply.text.lower() if isinstance(reply, RpcError) else ""
        is_known = _says(text, _KNOWN)
        if rpc is self.private:
            self._crowd.told(rpc.operator, "" if is_known else text)
        answers.put_nowait(_Reply("" if is_known else text, is_refusal=bool(text) and not is_known))


def _kind_of(texts: Sequence[str]) -> Refusal:
    """The kind that most endpoints mean: one alone cannot make us move."""
    kinds = [_one_kind(text) for text in texts]
    return max(kinds, key=kinds.count)


def _one_kind(text: str) -> Refusal:
    for words, kind in _KINDS:
        if _says(text, words):
            return kind
    return Refusal.OTHER


_KINDS = (
    (_NONCE_USED, Refusal.NONCE_USED),
    (_REPLACED, Refusal.NONCE_HELD),
    (_UNDERPRICED, Refusal.UNDERPRICED),
    (_FUNDS, Refusal.FUNDS),
)


def _says(text: str, words: Sequence[str]) -> bool:
    run_on = text.replace(" ", "")
    return any(word in run_on for word in words)


__all__ = ["Refusal", "Senders", "Sending"]
