"""Rotations of verifiers (threshold SPEC 5): signing and sending them, and looking at where they stand."""

from __future__ import annotations

import asyncio
from collections.abc import Awaitable, Callable, Iterable, Mapping
from dataclasses import dataclass, field
from typing import Final

from relay.core.effects import SignRotation, SubmitRotation
from relay.core.errors import GuardRefusal
from relay.core.events import Event, RotationEnded, RotationRefused, VerifierSeen
from relay.core.handover_facts import keys_fact_name, verifier_fact
from relay.core.messages import Message, RotationSigned
from relay.core.node import Node
from relay.core.ports import GatewayCall, Submission
from relay.core.readiness import Fact, Inspector
from relay.core.rotations import VerifierState
from relay.core.types import Caip2, Gateway, Millis
from relay.keys import LocalSigner

__all__ = ["RotationDeeds", "VerifierWatch"]

BUSY_S: Final = 5.0
"""Between two looks while a verifier is being handed over."""


@dataclass(frozen=True, slots=True)
class RotationDeeds:
    """Does rotation effects with a signer and the submitters."""

    signer: LocalSigner
    clock: Callable[[], Millis]
    payload: Callable[[Message, int | None], bytes]
    say: Callable[[bytes, bytes], Awaitable[None]]
    """Sends a payload and its signature to all; the node hears it too."""
    carry: Callable[[GatewayCall], Awaitable[Submission]]
    put: Callable[[Event], Awaitable[None]]

    async def do(self, effect: SignRotation | SubmitRotation) -> None:
        """Do one effect; a refusal of the guard is told.

        Raises:
            JournalError: the disk did not take what is about to be signed.
        """
        if isinstance(effect, SubmitRotation):
            submission = await self.carry(effect.call)
            await self.put(RotationEnded(effect.key, submission, self.clock()))
            return
        rotation = effect.rotation

        def payload(signature: bytes) -> bytes:
            said = RotationSigned(rotation.chain, rotation.verifier, effect.struct, signature)
            return self.payload(said, effect.committee_epoch)

        try:
            signed, signature = await self.signer.sign_rotation(effect.struct, payload)
        except GuardRefusal as refusal:
            await self.put(RotationRefused(rotation.chain, rotation.new_epoch, refusal.reason))
            return
        await self.say(signed, signature)


@dataclass(slots=True)
class VerifierWatch:
    """Looks at the verifiers behind the plans' gateways, and tells the node what has changed."""

    node: Node
    inspectors: Mapping[Caip2, Inspector]
    every_s: float
    clock: Callable[[], Millis]
    put: Callable[[Event], Awaitable[None]]
    tell: Callable[[Iterable[Fact]], Awaitable[None]]
    """Told all facts, once the node has taken up what a look showed."""
    _looked: set[tuple[Caip2, Gateway]] = field(default_factory=set)
    """Gateways whose verifier was shown at the newest look."""

    async def run(self) -> None:
        """Look for ever; more often while something is under way."""
        while True:
            for chain, gateway in sorted(set(self._names().values())):
                await self._look(chain, gateway)
            is_busy = any(not handover.is_done for handover in self.node.handovers.all())
            await asyncio.sleep(min(BUSY_S, self.every_s) if is_busy else self.every_s)
            await self.tell(self.facts())

    def facts(self) -> list[Fact]:
        """Say of each plan's gateways how their verifiers stand to the committees."""
        handovers = self.node.handovers
        found: list[Fact] = []
        for name, place in sorted(self._names().items()):
            state = handovers.states.get(place) if place in self._looked else None
            view = self.node.views.get(place[0])
            head = None if view is None else view.head
            at_s = self.clock() // 1_000 if head is None else head.timestamp
            keys = handovers.sources.documents()
            fact = verifier_fact(name, state, self.node.committees, at_s, self._progress, keys=keys)
            found.append(fact)
        return found

    async def _look(self, chain: Caip2, gateway: Gateway) -> None:
        inspector = self.inspectors.get(chain)
        state = None if inspector is None else await inspector.look_at_verifier(gateway)
        if state is None:
            self._looked.discard((chain, gateway))
            return
        self._looked.add((chain, gateway))
        if self.node.handovers.states.get((chain, gateway)) != state:
            await self.put(VerifierSeen(gateway, state, self.clock()))

    def _names(self) -> dict[str, tuple[Caip2, Gateway]]:
        plans = (room.compiled for room in self.node.rooms.values())
        return {
            keys_fact_name(compiled.plan.protocol, chain): (chain, gateway)
            for compiled in plans
            for chain, gateway in compiled.gateways.items()
        }

    def _progress(self, state: VerifierState) -> str:
        """Say how far the rotation of a verifier has come."""
        handovers = self.node.handovers
        for handover in handovers.all():
            if (handover.rotation.chain, handover.rotation.verifier) == (state.chain, state.verifier):
                signed, needed = len(handovers.attesters(handover)), handover.before.full
                until = handover.rotation.not_after
                return f"{signed} of {needed} members have signed its rotation, which is good until {until}"
        return "no ceremony for it has ended here"
