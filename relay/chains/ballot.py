"""Counting equal answers. Pure."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Generic, TypeVar

from relay.core.types import Header

T = TypeVar("T")


class Ballot(Generic[T]):
    """Answers by operator, those that are equal together; compared by value, in the order of arrival."""

    def __init__(self, need: int) -> None:
        self._need = need
        self._piles: list[tuple[T, list[str]]] = []

    def add(self, operator: str, answer: T) -> None:
        for value, operators in self._piles:
            if value == answer:
                operators.append(operator)
                return
        self._piles.append((answer, [operator]))

    @property
    def winner(self) -> tuple[T, int] | None:
        """The answer that enough gave, and how many they are."""
        for value, operators in self._piles:
            if len(operators) >= self._need:
                return value, len(operators)
        return None

    @property
    def most(self) -> int:
        """How many gave the most frequent answer."""
        return max((len(operators) for _, operators in self._piles), default=0)

    @property
    def answers(self) -> list[tuple[str, T]]:
        return [(operator, value) for value, operators in self._piles for operator in operators]


def agreed_prefix(answers: Sequence[tuple[Header, ...]], need: int) -> tuple[tuple[Header, ...], int]:
    """The longest run of headers that at least `need` answers begin with, and how many agree on its last.

    Each answer is a chain of parents, so that who agrees on a header agrees on those before it.
    """
    agreed: tuple[Header, ...] = ()
    agreeing = 0
    for place in range(max(map(len, answers), default=0)):
        candidates = [answer[place] for answer in answers if len(answer) > place]
        best = max(candidates, key=candidates.count)
        if candidates.count(best) < need:
            break
        agreed, agreeing = (*agreed, best), candidates.count(best)
    return agreed, agreeing


__all__ = ["Ballot", "agreed_prefix"]
