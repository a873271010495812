"""What our signer was asked to say and has not signed: a restart asks again (SPEC 7.1)."""

from __future__ import annotations

from collections.abc import Iterable
from dataclasses import dataclass, field
from typing import Final

from relay.core.effects import Effect, SignStatement
from relay.core.messages import REMARKS, Equivocation, ForkShown, Message, Outcome, Report, Void
from relay.core.wire import statement_key
from relay.threshold.messages import Proposal

__all__ = ["KEPT", "Unsaid"]

KEPT: Final = (Outcome, Equivocation, *REMARKS, Report, Void, ForkShown, Proposal)
"""What we say beside attestations and that must not be lost; an `unlanded` is said again by its call."""


@dataclass(slots=True)
class Unsaid:
    """The statements, by what they say."""

    _asked: dict[bytes, Message] = field(default_factory=dict)

    def ask(self, effects: Iterable[Effect]) -> None:
        """Take note of what is asked for."""
        for effect in effects:
            if isinstance(effect, SignStatement) and isinstance(effect.message, KEPT):
                self._asked[statement_key(effect.message)] = effect.message

    def signed(self, message: Message) -> None:
        """Take note that a statement is signed, and on disk."""
        if isinstance(message, KEPT):
            self._asked.pop(statement_key(message), None)

    def again(self) -> list[Effect]:
        """Ask for what is not signed."""
        return [SignStatement(message) for message in self._asked.values()]
