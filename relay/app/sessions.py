"""Doing what signing sessions want done (threshold SPEC 4): commitments, shares, finished certificates."""

from __future__ import annotations

from collections.abc import Awaitable, Callable
from dataclasses import dataclass
from typing import assert_never

from relay.core.effects import Commit, CommitPossession, KeepCertificate, SignShare, SignStatement
from relay.core.errors import GuardRefusal
from relay.core.events import Event, ThresholdSigned
from relay.core.types import Millis
from relay.keys import LocalSigner
from relay.telemetry import Telemetry
from relay.threshold.messages import SessionMessage

__all__ = ["SessionDeeds", "SessionEffect"]

SigningEffect = Commit | CommitPossession | SignShare
SessionEffect = SigningEffect | KeepCertificate


@dataclass(frozen=True, slots=True)
class SessionDeeds:
    """Does session effects with a signer.

    They wait for no commit of the journal: a crash makes them void, and what must be on disk before a share
    leaves, its signer has put there.
    """

    signer: LocalSigner
    telemetry: Telemetry
    clock: Callable[[], Millis]
    say: Callable[[SignStatement], Awaitable[None]]
    """Signs an envelope and sends it to all; the node hears it too."""
    put: Callable[[Event], Awaitable[None]]

    async def do(self, effect: SessionEffect) -> None:
        """Do one effect; a refusal is a notice.

        Raises:
            JournalError: the disk did not take a spent nonce; the process must end.
        """
        if isinstance(effect, KeepCertificate):
            await self.put(ThresholdSigned(effect.digest, effect.key_id, effect.certificate, self.clock()))
            return
        try:
            message = await self._signed(effect)
        except GuardRefusal as refusal:
            self.telemetry.notice("session refused", reason=refusal.reason, effect=type(effect).__name__)
            return
        kind = "commitments" if not isinstance(effect, SignShare) else "share"
        self.telemetry.metrics.count("signatures", kind=kind)
        await self.say(SignStatement(message, committee_epoch=effect.committee_epoch))

    async def _signed(self, effect: SigningEffect) -> SessionMessage:
        match effect:
            case Commit(prepared, key_id, coordinators):
                epoch = prepared.decision.key_epoch
                return await self.signer.commit(prepared.id, epoch, prepared.mandate, key_id, coordinators)
            case CommitPossession(key_id, coordinators):
                return await self.signer.commit_possession(key_id, coordinators)
            case SignShare(request, coordinator):
                return await self.signer.sign_share(request, coordinator)
            case _:
                assert_never(effect)
