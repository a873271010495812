"""The nonce vault: pairs of nonces that were committed to and have not signed (threshold SPEC 4).

Memory alone: no nonce is in a file, an event, a backup or a log, and after a restart there is none. One pair
is open for each mandate, key and coordinator; who takes one takes it for ever, before anything else is done.
What the vault cannot know, that its own memory was put back, the guard's rows of spent nonces tell.
"""

from __future__ import annotations

from collections.abc import Callable, Sequence
from dataclasses import dataclass, field
from typing import Final

from proofs.committee import MAX_MEMBERS
from relay.core.types import DecisionId, Digest, Identity
from relay.threshold.frost import Commitment, Nonces
from relay.threshold.messages import OpenCommitment

__all__ = ["MAX_COORDINATORS", "MAX_OPEN", "NonceVault", "Purpose"]

MAX_OPEN: Final = 64
"""Digests with open nonces; the oldest goes for one more."""
MAX_COORDINATORS: Final = MAX_MEMBERS
"""Of a mandate f+1, of a possession all members."""

Make = Callable[[], tuple[Nonces, Commitment]]


@dataclass(frozen=True, slots=True)
class Purpose:
    """What nonces were made for. `said` names the guard's statement over `digest`; None for a possession."""

    digest: Digest
    key_id: Digest
    said: tuple[DecisionId, int] | None


@dataclass(slots=True)
class _Line:
    """What is open for one coordinator, and how many answers it may still have."""

    left: int
    open: OpenCommitment | None = None
    nonces: Nonces | None = field(default=None, repr=False)


class NonceVault:
    """Open nonces by purpose and coordinator. `boot` is the signer's start; numbers rise over all of it."""

    def __init__(self, boot: int) -> None:
        self.boot = boot
        self._seq = 0
        self._lines: dict[Purpose, dict[Identity, _Line]] = {}

    def __repr__(self) -> str:
        return f"NonceVault(boot={self.boot}, open={len(self._lines)})"

    def begin(
        self, purpose: Purpose, coordinators: Sequence[Identity], answers: int, make: Make
    ) -> dict[Identity, OpenCommitment]:
        """Open a pair for each coordinator, for at most `answers` answers each.

        The purpose is new (`find` gives None); the oldest one is dropped for the 65th.
        """
        assert 1 <= len(set(coordinators)) == len(coordinators) <= MAX_COORDINATORS, "members, each once"
        lines = {coordinator: _Line(answers) for coordinator in coordinators}
        opened = {coordinator: self._open(line, make) for coordinator, line in lines.items()}
        while len(self._lines) >= MAX_OPEN:
            del self._lines[next(iter(self._lines))]
        self._lines[purpose] = lines
        return opened

    def find(self, digest: Digest, key_id: Digest) -> Purpose | None:
        """Give the purpose for which there is a batch."""
        return next((p for p in self._lines if (p.digest, p.key_id) == (digest, key_id)), None)

    def is_for(self, purpose: Purpose, coordinator: Identity) -> bool:
        """Tell whether the batch is for this coordinator too."""
        return coordinator in self._lines[purpose]

    def opened(self, purpose: Purpose, coordinator: Identity) -> OpenCommitment | None:
        """Give the commitment that is open for a coordinator."""
        return self._lines[purpose][coordinator].open

    def take(self, purpose: Purpose, coordinator: Identity) -> Nonces:
        """Give the open nonces, once: whoever comes after finds none open."""
        line = self._lines[purpose][coordinator]
        nonces, line.nonces, line.open = line.nonces, None, None
        assert nonces is not None, "the caller has seen them open"
        line.left -= 1
        return nonces

    def follow(self, purpose: Purpose, coordinator: Identity, make: Make) -> OpenCommitment | None:
        """Open the next pair for a coordinator that was answered; None when that was the last answer."""
        line = self._lines.get(purpose, {}).get(coordinator)
        if line is None or line.left <= 0 or line.open is not None:
            return None
        return self._open(line, make)

    def _open(self, line: _Line, make: Make) -> OpenCommitment:
        self._seq += 1
        line.nonces, commitment = make()
        line.open = OpenCommitment(self._seq, commitment.hiding, commitment.binding)
        return line.open
