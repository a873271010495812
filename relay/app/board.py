"""What members remark that belongs to no decision: signals, shadow decisions, readiness; for people."""

from __future__ import annotations

from collections import deque
from collections.abc import Mapping
from dataclasses import dataclass, field
from typing import Final

from proofs.envelope import Envelope
from proofs.mandate import Op
from relay.api import Json
from relay.core.events import Event, ReadinessChanged, Received, SignalTold, Signed
from relay.core.messages import ReadinessChange, Shadow, Signal
from relay.core.node import Node
from relay.core.sealing import sealed_fields_of
from relay.core.types import Digest, Identity

__all__ = ["MAX_OF_ONE", "MAX_SHOWN", "Board"]

MAX_SHOWN: Final = 256
"""Of signals and of shadow decisions; the oldest make room."""
MAX_OF_ONE: Final = 128
"""Facts of readiness of one member; its oldest makes room."""


@dataclass(slots=True)
class Board:
    """The newest remarks; fed with the events that are journalled, also in a replay."""

    node: Node
    """It knows the members' names."""
    _signals: deque[tuple[Envelope, Signal]] = field(default_factory=lambda: deque(maxlen=MAX_SHOWN))
    _shadows: deque[tuple[Envelope, Shadow]] = field(default_factory=lambda: deque(maxlen=MAX_SHOWN))
    _facts: dict[tuple[Identity, str], tuple[Envelope, ReadinessChange]] = field(default_factory=dict)
    _opened: dict[Digest, tuple[tuple[str, str], ...]] = field(default_factory=dict)
    """What this node sealed, by root."""

    def heard(self, event: Event) -> tuple[str, Mapping[str, Json]] | None:
        """Take an event; give the kind and the words of an update for who watches, if it brings one."""
        match event:
            case SignalTold() | ReadinessChanged():
                self._open(event)
                return None
            case Received(envelope, message) | Signed(envelope, message):
                return self._said(envelope, message)
            case _:
                return None

    def signals(self) -> list[Mapping[str, Json]]:
        """Signals, newest first; `note` and `reporter` of those that were told to this node."""
        return [
            {**self._signal(envelope, signal), **dict(self._opened.get(signal.sealed, ()))}
            for envelope, signal in reversed(self._signals)
        ]

    def shadows(self) -> list[Mapping[str, Json]]:
        """What plans in shadow mode would have decided, by each member, newest first."""
        return [self._shadow(envelope, shadow) for envelope, shadow in reversed(self._shadows)]

    def facts(self) -> list[Mapping[str, Json]]:
        """The newest that members said of facts of their readiness, newest first; of this node's with reason
        and remedy.
        """
        return [
            {**self._fact(envelope, change), **dict(self._opened.get(change.sealed, ()))}
            for envelope, change in reversed(self._facts.values())
        ]

    def _open(self, event: SignalTold | ReadinessChanged) -> None:
        sealed = sealed_fields_of(event)
        if sealed is None:
            return
        self._opened[sealed.root] = sealed.fields
        if len(self._opened) > MAX_SHOWN:
            del self._opened[next(iter(self._opened))]

    def _said(self, envelope: Envelope, message: object) -> tuple[str, Mapping[str, Json]] | None:
        match message:
            case Signal():
                self._signals.append((envelope, message))
                return "signal", self._signal(envelope, message)
            case Shadow():
                self._shadows.append((envelope, message))
                return "shadow", self._shadow(envelope, message)
            case ReadinessChange():
                key = (envelope.author, message.fact)
                self._facts.pop(key, None)
                self._facts[key] = (envelope, message)
                # Who names ever new facts takes nobody's place but its own.
                own = [each for each in self._facts if each[0] == envelope.author]
                if len(own) > MAX_OF_ONE:
                    del self._facts[own[0]]
                return "readiness", self._fact(envelope, message)
            case _:
                return None

    def _of(self, envelope: Envelope) -> dict[str, Json]:
        return {
            "member": self.node.committees.name_of(envelope.author),
            "at_ms": envelope.at_ms,
            "record": envelope.digest.hex(),
        }

    def _signal(self, envelope: Envelope, signal: Signal) -> Mapping[str, Json]:
        return {
            **self._of(envelope),
            "plan_hash": signal.plan_hash.hex(),
            "subject": signal.subject,
            "sealed": signal.sealed.hex(),
        }

    def _shadow(self, envelope: Envelope, shadow: Shadow) -> Mapping[str, Json]:
        decision = shadow.decision
        return {
            **self._of(envelope),
            "plan_hash": decision.plan_hash.hex(),
            "op": Op(decision.op).name.lower(),
            "subject": decision.subject,
            "rung": decision.rung,
            "tier": decision.tier.name.lower(),
            "chain": decision.anchor.chain,
            "block": decision.anchor.number,
        }

    def _fact(self, envelope: Envelope, change: ReadinessChange) -> Mapping[str, Json]:
        return {**self._of(envelope), "fact": change.fact, "standing": change.standing}
