"""A member's secret part in ceremonies (threshold SPEC 3): what it says follows from a seed on disk.

The arithmetic is in `relay.threshold.secrets`; here is what must be on disk when, and what is erased when. No
seed, polynomial or sub-share stays in memory between two steps; shares do, once they are in force.
"""

from __future__ import annotations

import asyncio
import secrets
from collections.abc import Callable
from typing import TypeVar

from nacl.signing import SigningKey

from proofs.groupkeys import KeysDocument
from relay.core.errors import GuardRefusal
from relay.core.types import Digest
from relay.keys.guard import Guard
from relay.keys.secret import Secret
from relay.keys.sharefiles import OpenedShares
from relay.threshold.ceremony import Ceremony
from relay.threshold.errors import ThresholdError
from relay.threshold.messages import Complaint, Deal, Join, Transcript
from relay.threshold.secrets import SEED_BYTES, Shares, deal_of, join_of, open_deals, transcript_of

__all__ = ["CeremonySigner"]

T = TypeVar("T")


class CeremonySigner:
    """Takes part for one member. Steps are done one after the other, each on a thread: they wait for the disk
    and compute, for large committees for seconds.
    """

    def __init__(
        self,
        identity: SigningKey,
        shares: OpenedShares,
        guard: Guard,
        entropy: Callable[[int], bytes] = secrets.token_bytes,
    ) -> None:
        self._key = identity
        self._me = shares.identity
        self._files = shares.files
        self._keys = shares.keys
        self._guard = guard
        self._entropy = entropy
        self._turn = asyncio.Lock()

    async def join(self, ceremony: Ceremony) -> Join:
        """Take part, and give our pair keys; their seed is on disk then. Again, the same.

        Raises:
            GuardRefusal: `no participant`.
            KeyFileError: a seed is there and does not open, or the disk refuses.
        """
        if self._me not in ceremony.terms.participants:
            raise GuardRefusal("no participant", "expected a ceremony that names us, got another")

        def work() -> Join:
            seed = self._files.keep_seed(ceremony.id, Secret(self._entropy(SEED_BYTES)))
            return join_of(seed.reveal(), ceremony.terms, self._me)

        return await self._do(work)

    async def deal(self, ceremony: Ceremony) -> Deal:
        """Give our deal over everybody's joins. Again, the same.

        Raises:
            GuardRefusal: `not joined` (no seed), `wrong step` (not all have joined, or our shares are not
                those of the keys that are reshared).
            KeyFileError: the seed, or the shares that are dealt anew, do not open.
        """

        def work() -> Deal:
            return deal_of(self._seed(ceremony).reveal(), ceremony, self._me, self._old(ceremony))

        return await self._do(work)

    async def check(self, ceremony: Ceremony) -> Transcript | tuple[Complaint, ...]:
        """Open what was dealt to us: our word on the keys, or a complaint about each dealer that dealt wrong.

        The shares are on disk before the word is given, and no other word of this ceremony is given after it.

        Raises:
            GuardRefusal: `not joined`, `wrong step` (not all have dealt, or our words are not of our seed),
                `conflicting digest` (we have signed another document of this generation).
            JournalError: the guard's disk did not take it.
            KeyFileError: the seed does not open, other shares of the ceremony are there, the disk refuses.
        """

        def work() -> Shares | tuple[Complaint, ...]:
            return open_deals(self._seed(ceremony).reveal(), ceremony, self._me, self._old(ceremony))

        def sign(shares: Shares) -> Transcript:
            self._files.keep_shares(shares.document, shares.secrets)
            return transcript_of(self._seed(ceremony).reveal(), ceremony, self._me, shares, self._sign)

        async with self._turn:
            found = await self._on_thread(work)
            if not isinstance(found, Shares):
                return found
            # DURABLE: of two documents of one generation one is signed, whatever the journal has lost.
            await self._guard.permit_keys(found.document)
            return await self._on_thread(lambda: sign(found))

    async def activate(self, document: KeysDocument) -> None:
        """Put our shares of a document in force; it was checked, and every holder signed it.

        The seed of its ceremony and our shares of earlier generations of its key epoch are erased. Again, or
        where we hold no share of it, only that.

        Raises:
            KeyFileError: there are no such shares, they do not open, or the disk refuses: the shares in force
                stay in force.
        """

        def work() -> dict[str, int] | None:
            shares = None
            if document.identifier(self._me) is not None:
                shares = self._files.open(document, self._me)
                self._files.put_in_force(document)
            self._files.settle(document)
            return shares

        shares = await self._do(work)
        if shares is not None:
            self._keys.put(document, shares)
        self._keys.supersede(document)

    async def drop(self, ceremony: Digest, *, superseded: bool = False) -> None:
        """Erase what is left of a ceremony that has failed: its seed, and shares that never were in force.

        Once there are shares our word on them may be out, also if the node has not heard it yet: the others
        can put them in force without us. They stay until the ceremony is `superseded`.

        Raises:
            KeyFileError: the disk refuses.
        """

        def work() -> None:
            if superseded or not self._files.has_shares(ceremony):
                self._files.end(ceremony)

        await self._do(work)

    async def retire(self, key_epoch: int) -> None:
        """Erase our shares of a key epoch that no verifier accepts any more.

        Raises:
            KeyFileError: the disk refuses.
        """

        self._keys.retire(key_epoch)
        await self._do(lambda: self._files.erase(key_epoch))

    async def _do(self, work: Callable[[], T]) -> T:
        async with self._turn:
            return await self._on_thread(work)

    async def _on_thread(self, work: Callable[[], T]) -> T:
        try:
            return await asyncio.to_thread(work)
        except ThresholdError as error:
            raise GuardRefusal("wrong step", str(error)) from error

    def _seed(self, ceremony: Ceremony) -> Secret:
        seed = self._files.seed(ceremony.id)
        if seed is None:
            raise GuardRefusal("not joined", "expected a ceremony that we joined, got one without a seed")
        return seed

    def _old(self, ceremony: Ceremony) -> dict[str, int] | None:
        """Give our shares of the keys that are reshared, if we deal them."""
        base = ceremony.terms.base
        if base is None or self._me not in ceremony.terms.proposal.dealers:
            return None
        return self._files.open(base, self._me)

    def _sign(self, content: bytes) -> bytes:
        return bytes(self._key.sign(content).signature)
