"""Signing sessions: what is said about mandates and shares, in any order, to signatures (SPEC 4).

A pure machine. It holds no secret: nonces and shares are the signer's, which is asked by `Open` and `Answer`
and whose messages come back by `heard`. Time is the member's own clock in milliseconds.
"""

from __future__ import annotations

from collections.abc import Container, Iterable
from dataclasses import dataclass, field
from typing import Final

from proofs.groupkeys import KeysDocument
from proofs.kinds import Digest, Identity, Millis
from proofs.mandate import Tier
from relay.threshold.messages import Commitments, SessionMessage, SignatureShare
from relay.threshold.signing import Signing
from relay.threshold.tasks import GroupKey, Task, mandate_keys
from relay.threshold.wants import Aggregated, Refused, Want

__all__ = ["KEEP_SIGNED_MS", "MAX_EARLY", "MAX_OPEN_DIGESTS", "Sessions"]

MAX_OPEN_DIGESTS: Final = 64
"""Mandates without a signature for which a member's commitments are kept."""
MAX_EARLY: Final = 16
"""Messages of a member about mandates that we know no attestation of yet; the oldest goes."""
KEEP_SIGNED_MS: Final = 3_600_000
"""For how long others are helped to a signature that we have."""


@dataclass(slots=True)
class _Mandate:
    task: Task
    attesters: dict[Identity, None] = field(default_factory=dict)
    signing: Signing | None = None
    signed_ms: Millis | None = None
    """Since when there is a signature."""


@dataclass(slots=True)
class Sessions:
    """All sessions that a member takes part in or listens to."""

    me: Identity
    _keys: dict[tuple[int, Tier], GroupKey] = field(default_factory=dict)
    _mandates: dict[Digest, _Mandate] = field(default_factory=dict)
    _boots: dict[Identity, int] = field(default_factory=dict)
    _early: dict[Identity, list[SessionMessage]] = field(default_factory=dict)

    # ---- what we stand on

    def started(self) -> None:
        """Forget all sessions: a process begins without nonces. What was attested and signed stays."""
        self._early.clear()
        self._boots.clear()
        for mandate in self._mandates.values():
            mandate.signing = None

    def put_in_force(self, document: KeysDocument, now_ms: Millis) -> list[Want]:
        """Sign with the keys of this document from now on; an older generation of them is over."""
        wants: list[Want] = []
        for key in mandate_keys(document):
            known = self._keys.get((key.key_epoch, key.tier))
            if known is not None and known.generation >= key.generation:
                continue
            self._keys[(key.key_epoch, key.tier)] = key
            for mandate in self._mandates.values():
                if (mandate.task.key_epoch, mandate.task.tier) == (key.key_epoch, key.tier):
                    mandate.signing = None
                    wants += self._begin(mandate, now_ms)
        return wants

    def key_of(self, key_epoch: int, tier: Tier) -> GroupKey | None:
        """Give the key in force for mandates of a tier and key epoch, if there is one."""
        return self._keys.get((key_epoch, tier))

    # ---- what is said

    def attested(self, task: Task, author: Identity, now_ms: Millis) -> list[Want]:
        """Take note that a member attests to a mandate; of our own, only what the guard let out."""
        mandate = self._mandates.get(task.digest)
        if mandate is None:
            mandate = self._mandates[task.digest] = _Mandate(task)
        if author in mandate.attesters:
            return []
        mandate.attesters[author] = None
        if mandate.signing is None:
            return self._begin(mandate, now_ms)
        return self._went_on(mandate, mandate.signing.open(), now_ms)

    def heard(self, author: Identity, message: SessionMessage, now_ms: Millis) -> list[Want]:
        """Take a member's message, ours included."""
        mandate = self._mandates.get(message.digest)
        signing = mandate.signing if mandate is not None else None
        if mandate is None or signing is None or signing.key.key_id != message.key_id:
            is_over = mandate is not None and mandate.signed_ms is not None
            return [] if is_over else self._keep(author, message)
        if isinstance(message, Commitments | SignatureShare):
            if message.boot < self._boots.get(author, 0):
                return [Refused(author, "of an earlier boot")]
            self._boots[author] = message.boot
        if isinstance(message, Commitments) and self._is_full(author, message.digest):
            return [Refused(author, "too many open mandates")]
        return self._went_on(mandate, signing.heard(author, message), now_ms)

    def tick(self, now_ms: Millis) -> list[Want]:
        """Let time go on: coordinators whose turn has come ask, what is over is forgotten."""
        wants: list[Want] = []
        for mandate in self._mandates.values():
            if mandate.signing is None:
                continue
            if mandate.signed_ms is not None and now_ms - mandate.signed_ms > KEEP_SIGNED_MS:
                mandate.signing = None
            else:
                wants += mandate.signing.coordinate(now_ms)
        return wants

    def next_due_ms(self) -> Millis | None:
        """Give when `tick` is wanted next, at the latest."""
        due = [
            at
            for mandate in self._mandates.values()
            if mandate.signing is not None and (at := mandate.signing.due_ms()) is not None
        ]
        return min(due, default=None)

    # ---- what is settled

    def resume(self, now_ms: Millis) -> list[Want]:
        """Commit again, after a start, to what we attested and has no signature yet."""
        wants: list[Want] = []
        for mandate in self._mandates.values():
            if mandate.signing is None:
                wants += self._begin(mandate, now_ms)
        return wants

    def signed(self, digest: Digest, now_ms: Millis) -> None:
        """Take note that a mandate has its signature, which was verified."""
        mandate = self._mandates.get(digest)
        if mandate is None or mandate.signed_ms is not None:
            return
        mandate.signed_ms = now_ms
        if mandate.signing is not None:
            mandate.signing.is_signed = True

    def keep(self, digests: Container[Digest]) -> None:
        """Forget all mandates but these."""
        for digest in [digest for digest in self._mandates if digest not in digests]:
            del self._mandates[digest]

    # ---- within

    def _begin(self, mandate: _Mandate, now_ms: Millis) -> list[Want]:
        """Begin with the key in force, and with what was said before we could."""
        key = self._keys.get((mandate.task.key_epoch, mandate.task.tier))
        if key is None or mandate.signed_ms is not None:
            return []
        signing = Signing(self.me, mandate.task, key, mandate.attesters, self._boots)
        mandate.signing = signing
        wants = signing.open()
        for author, messages in list(self._early.items()):
            mine = [
                each for each in messages if (each.digest, each.key_id) == (mandate.task.digest, key.key_id)
            ]
            self._early[author] = [each for each in messages if each not in mine]
            for message in mine:
                wants += self.heard(author, message, now_ms)
        return self._went_on(mandate, wants, now_ms)

    def _went_on(self, mandate: _Mandate, wants: Iterable[Want], now_ms: Millis) -> list[Want]:
        """Coordinate with what has come, and note what is complete."""
        given = list(wants)
        for want in given:
            if isinstance(want, Aggregated):
                mandate.signed_ms = now_ms
        if mandate.signing is not None:
            given += mandate.signing.coordinate(now_ms)
        return given

    def _keep(self, author: Identity, message: SessionMessage) -> list[Want]:
        """Keep what came before its attestation, or before the key is in force here."""
        waiting = self._early.setdefault(author, [])
        if message in waiting:
            return []
        waiting.append(message)
        if len(waiting) <= MAX_EARLY:
            return []
        del waiting[0]
        return [Refused(author, "about a mandate that nobody attests")]

    def _is_full(self, author: Identity, digest: Digest) -> bool:
        held = [
            mandate
            for mandate in self._mandates.values()
            if mandate.signing is not None
            and mandate.signed_ms is None
            and mandate.task.digest != digest
            and author in mandate.signing.batches
        ]
        return len(held) >= MAX_OPEN_DIGESTS
