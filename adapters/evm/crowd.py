"""Several endpoints asked at once for what one transaction needs.

None of them is waited for alone, none is believed alone.
"""

from __future__ import annotations

import asyncio
from collections.abc import Awaitable, Callable, Sequence
from dataclasses import dataclass
from typing import Generic, TypeVar

from adapters.evm.rpc import Rpc
from relay.core.errors import ChainError, EndpointUnavailable
from relay.core.types import Caip2

T = TypeVar("T")


@dataclass(frozen=True, slots=True)
class Answer(Generic[T]):
    """What one endpoint said: a value, or why there is none."""

    operator: str
    value: T | None
    problem: str = ""


async def collect(
    rpcs: Sequence[Rpc], question: Callable[[Rpc], Awaitable[T]], is_enough: Callable[[list[T]], bool]
) -> list[Answer[T]]:
    """Ask all, in parallel; stop when `is_enough` says so of the values so far, or when all have answered."""
    answers: list[Answer[T]] = []
    queue: asyncio.Queue[Answer[T]] = asyncio.Queue()
    async with asyncio.TaskGroup() as group:
        tasks = [group.create_task(_put(rpc, question, queue)) for rpc in rpcs]
        while len(answers) < len(rpcs):
            answers.append(await queue.get())
            if is_enough(values(answers)):
                break
        for task in tasks:
            task.cancel()
    return answers


async def _put(rpc: Rpc, question: Callable[[Rpc], Awaitable[T]], queue: asyncio.Queue[Answer[T]]) -> None:
    try:
        queue.put_nowait(Answer(rpc.operator, await question(rpc)))
    except ChainError as error:
        queue.put_nowait(Answer(rpc.operator, None, error.problem))


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


__all__ = ["Answer", "collect", "most_frequent", "none_left", "problems", "reached_by", "values"]
