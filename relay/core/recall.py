"""What peers remember of us, before we sign anything (SPEC 6.3): an old disk must not contradict a newer self."""

from __future__ import annotations

from dataclasses import dataclass, field, replace

from proofs.hashes import tagged
from relay.core.messages import Recalled
from relay.core.types import Digest, Identity, Millis

__all__ = ["RecallState", "answered", "began", "found"]


@dataclass(frozen=True, slots=True)
class RecallState:
    """Asking --f+1 answers, every named statement at hand--> released     (final until the next start)

    `need` is f+1. `missing` are statements of ours that a peer named and our disk does not hold.
    """

    boot: int
    instance: bytes
    nonce: bytes
    began_ms: Millis
    need: int
    answers: frozenset[Identity] = frozenset()
    missing: frozenset[Digest] = field(default_factory=frozenset)

    @property
    def is_released(self) -> bool:
        """Tell whether signing may begin."""
        return len(self.answers) >= self.need and not self.missing


def began(*, boot: int, instance: bytes, at_ms: Millis, need: int) -> RecallState:
    """Give the state of a process that has just started; its nonce is no secret, it only tells answers apart."""
    nonce = tagged("tocsin/recall/1", instance + boot.to_bytes(8, "big") + at_ms.to_bytes(8, "big"))[:16]
    return RecallState(boot=boot, instance=instance, nonce=nonce, began_ms=at_ms, need=need)


def answered(state: RecallState, peer: Identity, answer: Recalled, *, held: frozenset[Digest]) -> RecallState:
    """Take a peer's answer; `held` are the digests of our own statements on our disk."""
    if answer.nonce != state.nonce:
        return state
    unknown = frozenset(answer.newest) - held
    return replace(state, answers=state.answers | {peer}, missing=state.missing | unknown)


def found(state: RecallState, digest: Digest) -> RecallState:
    """Take note that a missing statement came back and the guard holds what it says."""
    return replace(state, missing=state.missing - {digest})
