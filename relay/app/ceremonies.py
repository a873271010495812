"""Our part in ceremonies (threshold SPEC 3): what the core wants done with secrets and files."""

from __future__ import annotations

import asyncio
from collections.abc import Awaitable, Callable
from dataclasses import dataclass
from pathlib import Path
from typing import Final, assert_never

from proofs.groupkeys import SignedKeys
from relay.app.keys import KeysFiles
from relay.core.ceremony_effects import (
    CeremonyEffect,
    CeremonyEnded,
    CeremonyMoved,
    CeremonyStep,
    CeremonyStuck,
    KeepEvidence,
    KeepPossession,
    PutInForce,
    RetireShares,
)
from relay.core.effects import SignStatement
from relay.core.errors import GuardRefusal, JournalError, KeyFileError
from relay.core.events import Event, KeysInForce
from relay.core.types import Digest, Millis
from relay.disk import create_file, make_directory
from relay.keys import LocalSigner
from relay.telemetry import Telemetry
from relay.threshold.messages import CeremonyMessage
from relay.threshold.record import Duty

__all__ = ["CeremonyDeeds"]

MAX_EVIDENCE: Final = 32
"""Files about one member: one liar must not fill the disk with its own faults."""


@dataclass(frozen=True, slots=True)
class CeremonyDeeds:
    """Does the effects of ceremonies; each waits for the disk, and for the one before it in the signer."""

    signer: LocalSigner
    keys: KeysFiles
    evidence: Path
    telemetry: Telemetry
    clock: Callable[[], Millis]
    say: Callable[[SignStatement], Awaitable[None]]
    """Signs an envelope and sends it to all; the node hears it too."""
    put: Callable[[Event], Awaitable[None]]
    moved: Callable[[Digest], None]

    async def do(self, effect: CeremonyEffect) -> None:
        """Do one effect. What a key file or the signer refuses is told to the node, and asked for again.

        Raises:
            JournalError: the disk did not take a keys file or evidence; the process must end.
        """
        match effect:
            case CeremonyStep():
                await self._step(effect)
            case PutInForce(keys):
                await self._put_in_force(keys)
            case CeremonyEnded():
                await self._end(effect)
            case KeepEvidence():
                await asyncio.to_thread(self._keep, effect)
            case KeepPossession(document, name, certificate):
                await asyncio.to_thread(self.keys.add_possession, document, {name: certificate})
            case RetireShares(key_epoch):
                await self._retire(key_epoch)
            case CeremonyMoved(ceremony):
                self.moved(ceremony)
            case _:
                assert_never(effect)

    async def _step(self, effect: CeremonyStep) -> None:
        try:
            words = await self._words(effect)
        except (GuardRefusal, KeyFileError) as error:
            await self.put(CeremonyStuck(effect.ceremony.id, f"{effect.duty.value}: {error}"))
            return
        for word in words:
            await self.say(SignStatement(word))

    async def _words(self, effect: CeremonyStep) -> tuple[CeremonyMessage, ...]:
        match effect.duty:
            case Duty.JOIN:
                return (await self.signer.ceremony_join(effect.ceremony),)
            case Duty.DEAL:
                return (await self.signer.ceremony_deal(effect.ceremony),)
            case Duty.OPEN:
                found = await self.signer.ceremony_check(effect.ceremony)
                return found if isinstance(found, tuple) else (found,)
            case _:
                assert_never(effect.duty)

    async def _put_in_force(self, keys: SignedKeys) -> None:
        document = keys.document
        # DURABLE: who starts again finds the keys that the others sign with; only then old shares go.
        await asyncio.to_thread(self.keys.keep, keys)
        try:
            await self.signer.ceremony_activate(document)
        except KeyFileError as error:
            # In force they are all the same: this member has no part in signing until the next reshare.
            self.telemetry.warning("no share of the keys in force", detail=str(error))
        await self.put(KeysInForce(document, self.clock()))

    async def _end(self, effect: CeremonyEnded) -> None:
        try:
            await self.signer.ceremony_drop(effect.ceremony, superseded=effect.superseded)
        except KeyFileError as error:
            told = effect.ceremony.hex()[:16]
            self.telemetry.warning("ceremony not erased", ceremony=told, detail=str(error))

    async def _retire(self, key_epoch: int) -> None:
        try:
            await self.signer.retire_shares(key_epoch)
        except KeyFileError as error:
            self.telemetry.warning("shares not erased", key_epoch=key_epoch, detail=str(error))

    def _keep(self, effect: KeepEvidence) -> None:
        try:
            make_directory(self.evidence)
        except OSError as error:
            raise JournalError(f"expected a directory {self.evidence}, got: {error.strerror}") from error
        if len([*self.evidence.glob(f"*{effect.party.hex()[:16]}*")]) >= MAX_EVIDENCE:
            return  # so often shown guilty, it is not shown better by more
        try:
            create_file(self.evidence / effect.name, effect.raw, mode=0o644)
        except FileExistsError:
            pass  # kept before, by this process or one before it
        except OSError as error:
            raise JournalError(f"expected to keep evidence {effect.name}, got: {error.strerror}") from error
