"""From the lane's frames to events: the one place where peers' bytes are opened (core SPEC 6.5)."""

from __future__ import annotations

from collections.abc import AsyncIterable, Awaitable, Callable

from proofs.decision import decision_id
from proofs.envelope import Envelope
from relay.core.committees import Committees
from relay.core.errors import WireError
from relay.core.events import Event, OwnStatementFound, Received, Signed
from relay.core.messages import CEREMONY, LOGGED, Attestation, Message, Verdict
from relay.core.types import Millis
from relay.core.wire import open_message
from relay.core.witnessing import WITNESSING, WitnessingMessage
from relay.gossip import Mail
from relay.journal import Journal
from relay.keys import LocalSigner
from relay.telemetry import Telemetry

__all__ = ["Inbox"]


class Inbox:
    """Opens mail and hands it to the node."""

    def __init__(
        self,
        committees: Callable[[], Committees],
        journal: Journal,
        signer: LocalSigner,
        telemetry: Telemetry,
        clock: Callable[[], Millis],
        witness: Callable[[Envelope, WitnessingMessage], None],
    ) -> None:
        """`witness` takes what is said of checkpoints: it is none of the node's business."""
        self._committees = committees
        self._journal = journal
        self._signer = signer
        self._telemetry = telemetry
        self._clock = clock
        self._witness = witness

    async def run(self, lane: AsyncIterable[Mail], put: Callable[[Event], Awaitable[None]]) -> None:
        """Open what comes, for ever. A peer's nonsense is counted by reason and dropped."""
        async for mail in lane:
            try:
                at_s = self._clock() // 1_000
                envelope, message = open_message(mail.frame, self._committees(), at_s=at_s)
            except WireError as error:
                self._telemetry.dropped(error.reason, peer=mail.peer.hex()[:16], detail=error.detail)
                continue
            if isinstance(message, WITNESSING):
                # SECURITY: an answer of an earlier time, shown by somebody else, is none to what we ask now.
                if envelope.author == mail.peer:
                    self._witness(envelope, message)
            elif envelope.author == self._signer.identity and isinstance(message, LOGGED + CEREMONY):
                await self._own(envelope, message, put)
            else:
                await put(Received(envelope, message, self._clock()))

    async def _own(
        self, envelope: Envelope, message: Message, put: Callable[[Event], Awaitable[None]]
    ) -> None:
        """Take our own word back, if this disk does not hold it and the guard bears it out (SPEC 6.3)."""
        if await self._journal.has(envelope.digest):
            return
        is_held = True
        if isinstance(message, Attestation) and message.verdict is Verdict.ATTEST:
            key = decision_id(envelope.network, message.decision)
            is_held = await self._signer.guard.holds(key, message.decision.key_epoch) == message.digest
            await put(OwnStatementFound(envelope.digest, is_held))
        if is_held:
            await put(Signed(envelope, message, self._clock()))
