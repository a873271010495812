"""One chain through several endpoints: an answer counts when enough of them give it alike.

No single endpoint can lie a head, a header, a log or a value into the node, nor hold it up: as soon as enough
agree, the others are only listened to for the alarm.
"""

from __future__ import annotations

import asyncio
import logging
from collections.abc import Awaitable, Callable, Coroutine, Sequence
from contextlib import suppress
from dataclasses import dataclass, field
from typing import Generic, Self, TypeVar

from proofs.errors import ProofError
from proofs.receipts import ReceiptProof
from relay.chains.announcements import Announcements
from relay.chains.ballot import Ballot, agreed_prefix
from relay.chains.health import Health
from relay.core.errors import ChainError, NoAgreement, WrongChain
from relay.core.observations import BlockReads, ChainQueries
from relay.core.ports import Agreement, ChainSettings, Endpoint
from relay.core.types import BlockRef, Header

T = TypeVar("T")
Dissent = Callable[[T, T], bool]
"""Whether an answer contradicts the agreed one."""

MAX_DISAGREEMENTS = 256
"""Alarms that wait for the detector; more of them say nothing new and are dropped."""
PATIENCE = 4
"""A question of several round trips may take this many times the endpoint's timeout."""

_log = logging.getLogger(__name__)


@dataclass(frozen=True, slots=True)
class _Answer(Generic[T]):
    operator: str
    value: T | None
    problem: str = ""


@dataclass(slots=True)
class _Poll(Generic[T]):
    """One question under way.

    `reserve` are the resting endpoints, asked when the others cannot agree any more. `is_doubtful` says that
    there may be no answer: an endpoint that gives none has failed only once enough others gave one.
    """

    question: Callable[[Endpoint], Awaitable[T]]
    ballot: Ballot[T]
    reserve: list[Endpoint]
    is_doubtful: bool = False
    answers: asyncio.Queue[_Answer[T]] = field(default_factory=asyncio.Queue)
    pending: int = 0
    problems: list[str] = field(default_factory=list)
    excused: list[Health] = field(default_factory=list)

    async def next(self) -> None:
        """Take one endpoint's answer in."""
        answer = await self.answers.get()
        self.pending -= 1
        if answer.value is None:
            self.problems.append(f"{answer.operator}: {answer.problem}")
        else:
            self.ballot.add(answer.operator, answer.value)
            self._judge()

    def failed(self, health: Health) -> None:
        """Take in that an endpoint gave no answer."""
        self.excused.append(health)
        self._judge()

    def _judge(self) -> None:
        if not self.is_doubtful or self.ballot.winner is not None:
            for health in self.excused:
                health.failed()
            self.excused.clear()


class QuorumChain:
    """The port `relay.core.ports.AgreedChain`. Use as an async context manager.

    It owns its tasks, not its endpoints.
    """

    def __init__(self, settings: ChainSettings, endpoints: Sequence[Endpoint]) -> None:
        assert 1 <= settings.need <= len(endpoints), "more endpoints needed than there are"
        self._settings = settings
        self._endpoints = tuple(endpoints)
        self._health: dict[str, Health] = {}
        self._group = asyncio.TaskGroup()
        self._tasks: set[asyncio.Task[None]] = set()
        self._disagreements: asyncio.Queue[tuple[tuple[str, ...], int]] = asyncio.Queue(MAX_DISAGREEMENTS)
        self._announcements = Announcements(settings, endpoints)

    async def __aenter__(self) -> Self:
        clock = asyncio.get_running_loop().time
        self._health = {endpoint.operator: Health(clock) for endpoint in self._endpoints}
        await self._group.__aenter__()
        for endpoint in self._endpoints:
            self._spawn(self._announcements.follow(endpoint))
        return self

    async def __aexit__(self, *error: object) -> None:
        for task in self._tasks:
            task.cancel()
        await self._group.__aexit__(None, None, None)

    @property
    def settings(self) -> ChainSettings:
        return self._settings

    @property
    def subscriptions(self) -> int:
        return self._announcements.alive

    async def announced(self) -> Header:
        return await self._announcements.next()

    async def disagreement(self) -> tuple[tuple[str, ...], int]:
        return await self._disagreements.get()

    async def check(self) -> None:
        """Ask every endpoint which chain it serves; those that do not answer are left for later.

        An operator alone must not keep a node from starting: an endpoint of another chain answers nothing
        later either, and readiness names it. Too many of them are a mistake in the configuration.

        Raises:
            WrongChain: fewer than `need` can be right; names an operator and both chains.
        """
        async with asyncio.TaskGroup() as group:
            tasks = [group.create_task(self._served(endpoint)) for endpoint in self._endpoints]
        wrong = [found for task in tasks if (found := task.result()) is not None]
        if len(tasks) - len(wrong) < self._settings.need:
            raise wrong[0]

    async def _served(self, endpoint: Endpoint) -> WrongChain | None:
        expected = self._settings.chain
        try:
            actual = await endpoint.chain()
        except ChainError:
            return None
        if actual == expected:
            return None
        return WrongChain(
            expected, f"endpoint serves {actual}, expected {expected}", operator=endpoint.operator
        )

    # ---- reads

    async def head(self) -> Agreement[Header]:
        return await self._highest(lambda endpoint: endpoint.head())

    async def finalized(self) -> Agreement[Header]:
        return await self._highest(lambda endpoint: endpoint.finalized())

    async def _highest(self, question: Callable[[Endpoint], Awaitable[Header]]) -> Agreement[Header]:
        """The header that enough give.

        Where they differ, the highest number that enough reach, agreed on by number.
        """
        poll = self._ask(question)
        agreed = await self._agreed(poll)
        if agreed is not None:
            return agreed
        numbers = sorted((header.block.number for _, header in poll.ballot.answers), reverse=True)
        if len(numbers) < self._settings.need:
            raise self._no_agreement("head", poll)
        number = numbers[self._settings.need - 1]
        found = await self.headers(number, number)
        return Agreement(found.value[0], found.agreeing, found.asked)

    async def headers(self, first: int, last: int) -> Agreement[tuple[Header, ...]]:
        wanted = last - first + 1
        poll = self._ask(lambda endpoint: endpoint.headers(first, last))
        while await self._took_answer(poll):
            winner = poll.ballot.winner
            if winner is not None and len(winner[0]) == wanted:
                break
        answers = [answer for _, answer in poll.ballot.answers]
        agreed, agreeing = agreed_prefix(answers, self._settings.need)
        if not agreed:
            raise self._no_agreement(f"header {first}", poll)
        self._spawn(self._stragglers(poll, agreed, first, _contradicts))
        return Agreement(agreed, agreeing, len(self._endpoints))

    async def observe(
        self, headers: Sequence[Header], queries: ChainQueries
    ) -> Agreement[tuple[BlockReads, ...]]:
        # A block that one endpoint announced may be nobody's: who cannot read it is none the worse for it.
        poll = self._ask(lambda endpoint: endpoint.observe(headers, queries), is_doubtful=True)
        agreed = await self._agreed(poll)
        number = headers[0].block.number
        if agreed is None:
            raise self._no_agreement(f"block {number}", poll)
        self._spawn(self._stragglers(poll, agreed.value, number, _differs))
        return agreed

    async def receipt_proof(
        self, block: BlockRef, tx: bytes, check: Callable[[ReceiptProof], object]
    ) -> ReceiptProof:
        """Ask one endpoint after another, rested ones first: what proves itself needs no quorum."""
        problems: list[str] = []
        order = sorted(self._endpoints, key=lambda endpoint: not self._health[endpoint.operator].is_rested())
        for endpoint in order:
            try:
                async with asyncio.timeout(PATIENCE * self._settings.timeout_ms / 1000):
                    proof = await endpoint.receipt_proof(block, tx)
                check(proof)
            except ChainError as error:
                problems.append(f"{endpoint.operator}: {error.problem}")
            except TimeoutError:
                problems.append(f"{endpoint.operator}: no answer in time")
            except ProofError as error:
                problems.append(f"{endpoint.operator}: {error}")
            else:
                return proof
        raise NoAgreement(self._settings.chain, f"no receipt of {tx.hex()} ({'; '.join(problems)})")

    # ---- asking

    def _ask(self, question: Callable[[Endpoint], Awaitable[T]], *, is_doubtful: bool = False) -> _Poll[T]:
        """Put a question to every endpoint that is not resting."""
        rested = [endpoint for endpoint in self._endpoints if self._health[endpoint.operator].is_rested()]
        reserve = [endpoint for endpoint in self._endpoints if endpoint not in rested]
        poll = _Poll(question, Ballot(self._settings.need), reserve, is_doubtful)
        self._put_to(rested, poll)
        return poll

    def _put_to(self, endpoints: Sequence[Endpoint], poll: _Poll[T]) -> None:
        poll.pending += len(endpoints)
        for endpoint in endpoints:
            self._spawn(self._put(endpoint, poll))

    async def _took_answer(self, poll: _Poll[T]) -> bool:
        """Take the next answer in; False when all have answered."""
        if poll.reserve and poll.pending + poll.ballot.most < self._settings.need:
            reserve, poll.reserve = poll.reserve, []
            self._put_to(reserve, poll)
        if not poll.pending:
            return False
        await poll.next()
        return True

    async def _put(self, endpoint: Endpoint, poll: _Poll[T]) -> None:
        health = self._health[endpoint.operator]
        health.under_way += 1
        try:
            async with asyncio.timeout(PATIENCE * self._settings.timeout_ms / 1000):
                value = await poll.question(endpoint)
        except (ChainError, TimeoutError) as error:
            poll.failed(health)
            problem = error.problem if isinstance(error, ChainError) else "no answer in time"
            poll.answers.put_nowait(_Answer(endpoint.operator, None, problem))
        else:
            health.answered()
            poll.answers.put_nowait(_Answer(endpoint.operator, value))
        finally:
            health.under_way -= 1

    async def _agreed(self, poll: _Poll[T]) -> Agreement[T] | None:
        """Wait until enough answers are equal; None when all have answered and it is not so."""
        while await self._took_answer(poll):
            winner = poll.ballot.winner
            if winner is not None:
                return Agreement(winner[0], winner[1], len(self._endpoints))
        return None

    async def _stragglers(self, poll: _Poll[T], value: T, number: int, dissent: Dissent[T]) -> None:
        """Take in the answers that are still to come, and raise the alarm for those that contradict."""
        while poll.pending:
            await poll.next()
        operators = tuple(sorted(name for name, answer in poll.ballot.answers if dissent(answer, value)))
        if operators:
            _log.warning(
                "endpoints disagree",
                extra={"chain": self._settings.chain, "number": number, "operators": operators},
            )
            with suppress(asyncio.QueueFull):
                self._disagreements.put_nowait((operators, number))

    def _no_agreement(self, what: str, poll: _Poll[T]) -> NoAgreement:
        detail = "; ".join(poll.problems) or "they answer differently"
        return NoAgreement(
            self._settings.chain, f"{what}: expected {self._settings.need} equal answers ({detail})"
        )

    def _spawn(self, work: Coroutine[None, None, None]) -> None:
        task = self._group.create_task(work)
        self._tasks.add(task)
        task.add_done_callback(self._tasks.discard)


def _differs(answer: object, agreed: object) -> bool:
    return answer != agreed


def _contradicts(answer: tuple[Header, ...], agreed: tuple[Header, ...]) -> bool:
    """An endpoint that is behind does not contradict; one with another block at the same height does."""
    return any(theirs != ours for theirs, ours in zip(answer, agreed, strict=False))


__all__ = ["QuorumChain"]
