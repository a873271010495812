"""Several endpoints asked at once for what one transaction needs.

None of them is waited for alone, none is believed alone.
"""

from __future__ import annotations

import asyncio
from collections.abc import Awaitable, Callable, Sequence
from dataclasses import dataclass
from functools import partial
from typing import Generic, Self, TypeVar

from adapters.evm.health import Health
from adapters.evm.rpc import Rpc
from relay.core.errors import ChainError, EndpointUnavailable
from relay.core.ports import EndpointHealth
from relay.core.types import Caip2

T = TypeVar("T")

GRACE_S = 0.3
"""How long more is waited for an agreement once as many as must agree have answered, or all that are well."""


@dataclass(frozen=True, slots=True)
class Answer(Generic[T]):
    """What one endpoint said: a value, or why there is none."""

    operator: str
    value: T | None
    problem: str = ""


class Crowd:
    """The endpoints of one chain, `need` of which must agree. Use as an async context manager."""

    def __init__(self, chain: Caip2, rpcs: Sequence[Rpc], need: int, *, shown: Sequence[Rpc] = ()) -> None:
        """`shown` are endpoints that are not asked, but whose health is kept."""
        self.chain = chain
        self.rpcs = tuple(rpcs)
        self.need = need
        self._health = {rpc.operator: Health(rpc.operator) for rpc in (*rpcs, *shown)}
        self._late: dict[str, asyncio.Task[None]] = {}
        """Questions that nobody waits for any more: their answers still tell how the endpoint is."""
        self._group = asyncio.TaskGroup()

    async def __aenter__(self) -> Self:
        await self._group.__aenter__()
        return self

    async def __aexit__(self, *_: object) -> None:
        for task in self._late.values():
            task.cancel()
        await self._group.__aexit__(None, None, None)

    def health(self) -> tuple[EndpointHealth, ...]:
        """How each endpoint has answered lately."""
        now = asyncio.get_running_loop().time()
        return tuple(health.shown(now) for health in self._health.values())

    def told(self, operator: str, problem: str) -> None:
        """Take note of an answer that was not had through `ask`; an empty problem is none."""
        health = self._health.get(operator)
        if health is None:
            return
        if problem:
            health.failed(problem, asyncio.get_running_loop().time())
        else:
            health.answered()

    async def ask(
        self, question: Callable[[Rpc], Awaitable[T]], is_enough: Callable[[list[T]], bool]
    ) -> list[Answer[T]]:
        """Ask those whose back-off is over, in parallel; all of them where none is left.

        Ends when `is_enough` says so of the values so far, when all have answered, and at the latest
        `GRACE_S` after `need` values, or all endpoints that did not fail lately.
        """
        now = asyncio.get_running_loop().time()
        due = [rpc for rpc in self.rpcs if self._health[rpc.operator].is_due(now)]
        fresh = [rpc for rpc in due if rpc.operator not in self._late]
        return await self._collect(fresh or due or self.rpcs, question, is_enough)

    async def ask_all(
        self, question: Callable[[Rpc], Awaitable[T]], is_enough: Callable[[list[T]], bool]
    ) -> list[Answer[T]]:
        """As `ask`, but also those in back-off: for what is asked seldom and weighs much."""
        return await self._collect(self.rpcs, question, is_enough)

    async def agreed(self, question: Callable[[Rpc], Awaitable[T]]) -> tuple[T, int] | None:
        """The value given most often, and how often; None where nobody answers."""
        found = values(await self.ask(question, lambda some: _is_agreed(some, self.need)))
        return most_frequent(found) if found else None

    async def _collect(
        self,
        rpcs: Sequence[Rpc],
        question: Callable[[Rpc], Awaitable[T]],
        is_enough: Callable[[list[T]], bool],
    ) -> list[Answer[T]]:
        queue: asyncio.Queue[Answer[T]] = asyncio.Queue()
        well = {rpc.operator for rpc in rpcs if self._health[rpc.operator].failures == 0}
        tasks = {
            rpc.operator: self._group.create_task(self._put(rpc, question, queue), name="ask") for rpc in rpcs
        }
        try:
            return await self._answers(queue, len(rpcs), well, is_enough)
        finally:
            self._leave(tasks)

    async def _answers(
        self,
        queue: asyncio.Queue[Answer[T]],
        asked: int,
        well: set[str],
        is_enough: Callable[[list[T]], bool],
    ) -> list[Answer[T]]:
        answers: list[Answer[T]] = []
        deadline: float | None = None
        while len(answers) < asked:
            try:
                async with asyncio.timeout_at(deadline):
                    answers.append(await queue.get())
            except TimeoutError:
                break
            found = values(answers)
            if is_enough(found):
                break
            well -= {answers[-1].operator}
            if deadline is None and found and (len(found) >= self.need or not well):
                deadline = asyncio.get_running_loop().time() + GRACE_S
        return answers

    def _leave(self, tasks: dict[str, asyncio.Task[None]]) -> None:
        """Let one late answer of each endpoint come in; end the others."""
        for operator, task in tasks.items():
            if task.done():
                continue
            if operator in self._late:
                task.cancel()
            else:
                self._late[operator] = task
                task.add_done_callback(partial(self._came, operator))

    def _came(self, operator: str, _: asyncio.Task[None]) -> None:
        self._late.pop(operator, None)

    async def _put(
        self, rpc: Rpc, question: Callable[[Rpc], Awaitable[T]], queue: asyncio.Queue[Answer[T]]
    ) -> None:
        try:
            value = await question(rpc)
        except ChainError as error:
            self.told(rpc.operator, error.problem)
            queue.put_nowait(Answer(rpc.operator, None, error.problem))
        else:
            self.told(rpc.operator, "")
            queue.put_nowait(Answer(rpc.operator, value))


def _is_agreed(found: Sequence[T], need: int) -> bool:
    return bool(found) and most_frequent(found)[1] >= need


def values(answers: Sequence[Answer[T]]) -> list[T]:
    return [answer.value for answer in answers if answer.value is not None]


def problems(answers: Sequence[Answer[T]]) -> str:
    return "; ".join(f"{answer.operator}: {answer.problem}" for answer in answers if answer.value is None)


def most_frequent(values_: Sequence[T]) -> tuple[T, int]:
    """The value given most often, the first of equals, and how often."""
    best = max(values_, key=values_.count)
    return best, values_.count(best)


def reached_by(numbers: Sequence[int], need: int) -> int:
    """The highest number that at least `need` reach; all of them where there are fewer."""
    ordered = sorted(numbers, reverse=True)
    return ordered[min(need, len(ordered)) - 1]


def none_left(chain: Caip2, problem: str) -> EndpointUnavailable:
    return EndpointUnavailable(chain, problem or "no endpoint of this chain")


__all__ = ["GRACE_S", "Answer", "Crowd", "most_frequent", "none_left", "problems", "reached_by", "values"]
