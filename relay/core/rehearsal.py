"""What a rehearsal of a plan's acts found, as values (SPEC 8.3)."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from enum import StrEnum
from typing import Protocol

from relay.core.readiness import ActToKeep
from relay.core.types import BlockRef, Caip2

__all__ = ["ActRehearsal", "Outcome", "Part", "RehearsalSettings", "Rehearser", "verdict"]


class Outcome(StrEnum):
    """How one part of an act's rehearsal ended."""

    DONE = "done"
    REVERTED = "reverted"
    NO_EFFECT = "no effect"
    UNREADABLE = "state unreadable"
    IN_FORCE = "already in force"
    NONE = "none"
    """The act has no such part, or it is not needed."""
    UNTRIED = "not tried"


_HELD: dict[Outcome, bool | None] = {
    Outcome.DONE: True,
    Outcome.NONE: True,
    Outcome.IN_FORCE: None,
    Outcome.UNTRIED: None,
}


@dataclass(frozen=True, slots=True)
class Part:
    """One part: the call, the check of its effect, or the undo. `gas_used` is 0 where it was not run."""

    outcome: Outcome
    gas_used: int = 0
    gas_cap: int = 0
    reason: str = ""
    remedy: str = ""

    @property
    def held(self) -> bool | None:
        """Give yes, no, or None where it could not be told."""
        return _HELD.get(self.outcome, False)


@dataclass(frozen=True, slots=True)
class ActRehearsal:
    """An act, tried on its chain's state at `block` as if `caller` called; `warnings` fail nothing."""

    name: str
    chain: Caip2
    block: BlockRef
    caller: str
    call: Part
    check: Part
    undo: Part
    getter_gas: int
    warnings: tuple[str, ...] = ()

    @property
    def held(self) -> bool | None:
        """Give no if a part failed, None if one could not be told, else yes."""
        return verdict([self.call.held, self.check.held, self.undo.held])


@dataclass(frozen=True, slots=True)
class RehearsalSettings:
    """Where and how to rehearse one chain. `url` may hold a key: it is never printed.

    `forks` says whether a development chain takes over the state, or the endpoint simulates by itself.
    `caller` is who calls, in place of the act's gateway.
    """

    chain: Caip2
    url: str
    forks: bool = True
    caller: str | None = None
    timeout_ms: int = 30_000


class Rehearser(Protocol):
    """The state of one chain, on which acts can be tried; nothing reaches the chain itself but reads."""

    @property
    def block(self) -> BlockRef:
        """The block whose state is used."""
        ...

    async def rehearse(self, act: ActToKeep) -> ActRehearsal:
        """Try an act and its undo.

        Raises:
            ChainError: the endpoint gave no usable answer.
        """
        ...


def verdict(held: Sequence[bool | None]) -> bool | None:
    """Give no if one is no, None if one is None, else yes."""
    if any(each is False for each in held):
        return False
    return None if any(each is None for each in held) else True
