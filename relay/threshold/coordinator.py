"""A coordinator of one mandate (SPEC 4, ROAST): whom it asks, and when.

```
idle --commitments of `threshold` attesters, its turn--> asking      asking --enough are ready again--> asking
```
A signer is *ready* with an open commitment, *owes* from a request until it answers. A request that fails has
a bad share in it, and one that stands still a signer that owes; nobody who owes or was bad is asked again. So
`GroupKey.most_requests` requests are enough, whoever is silent, slow or bad.
"""

from __future__ import annotations

from collections.abc import Container, Mapping
from dataclasses import dataclass, field
from typing import Final

from proofs.kinds import Digest, Identity, Millis
from relay.threshold.errors import ThresholdError
from relay.threshold.groups import SECP256K1
from relay.threshold.messages import OpenCommitment, SignerCommitment, SigningRequest
from relay.threshold.tasks import GroupKey, session_id

__all__ = ["COORDINATOR_STEP_MS", "Coordinator"]

COORDINATOR_STEP_MS: Final = 200
"""How long a coordinator leaves the mandate to each one before it that has attested."""


@dataclass(slots=True)
class Coordinator:
    """Our own part as a coordinator of one mandate and key."""

    me: Identity
    digest: Digest
    key: GroupKey
    ready: dict[Identity, SignerCommitment] = field(default_factory=dict)
    """In the order in which they came: who was quick is asked first."""
    owes: dict[Identity, Digest] = field(default_factory=dict)
    """Who was asked in which session and has not answered."""
    asked: int = 0
    enough_since_ms: Millis | None = None
    waits: bool = False
    """Enough are ready, and it is not our turn."""

    def offer(self, line: SignerCommitment) -> str:
        """Take a signer's open commitment; give why it is not taken, or nothing."""
        if line.signer in self.owes:
            # Who could get out of a debt by a restart could use up all of our requests.
            return "owes a share"
        try:
            SECP256K1.read_point(line.open.hiding)
            SECP256K1.read_point(line.open.binding)
        except ThresholdError:
            return "malformed commitment"
        self.ready.pop(line.signer, None)
        self.ready[line.signer] = line
        return ""

    def answered(
        self, signer: Identity, session: Digest, boot: int, following: OpenCommitment | None
    ) -> None:
        """Take note that a signer has answered, well or not; `following` is its next commitment."""
        if self.owes.get(signer) != session:
            return
        del self.owes[signer]
        if following is not None:
            self.offer(SignerCommitment(signer, boot, following))

    def ask(
        self, now_ms: Millis, before: int, attesters: Container[Identity], boots: Mapping[Identity, int]
    ) -> SigningRequest | None:
        """Give the next request, if it is time for one; `before` coordinators before us have attested.

        `attesters` are those who may be asked, `boots` the newest known of each member.
        """
        fit = [
            line
            for signer, line in self.ready.items()
            if signer in attesters and line.boot >= boots.get(signer, 0)
        ]
        # Who was ready may be so no more: then its next word is waited for, and no time.
        self.waits = False
        if len(fit) < self.key.threshold or self.asked >= self.key.most_requests:
            return None
        if self.enough_since_ms is None:
            self.enough_since_ms = now_ms
        if now_ms < self._turn_ms(self.enough_since_ms, before):
            self.waits = True
            return None
        lines = sorted(fit[: self.key.threshold], key=lambda line: line.signer)
        request = SigningRequest(self.digest, self.key.key_id, tuple(lines))
        session = session_id(self.me, request)
        for line in lines:
            del self.ready[line.signer]
            self.owes[line.signer] = session
        self.asked += 1
        return request

    def due_ms(self, before: int) -> Millis | None:
        """Give when `ask` is to be called again though nothing has come, if it is."""
        if not self.waits or self.enough_since_ms is None:
            return None
        return self._turn_ms(self.enough_since_ms, before)

    def _turn_ms(self, since_ms: Millis, before: int) -> Millis:
        return Millis(since_ms + (0 if self.asked else before * COORDINATOR_STEP_MS))
