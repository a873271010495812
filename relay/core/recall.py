"""What peers remember of us (SPEC 6.3): an old disk must not contradict a newer self."""

from __future__ import annotations

from dataclasses import dataclass, replace

from proofs.committee import CommitteeDocument
from proofs.hashes import tagged
from relay.core.messages import Recalled
from relay.core.types import Digest, Identity, Millis

__all__ = ["Circle", "RecallState", "answered", "began", "circle_of", "disowned", "found", "overdue"]


@dataclass(frozen=True, slots=True)
class Circle:
    """Our peers in one committee: `need` is f+1, `enough` is n−1−f."""

    peers: frozenset[Identity]
    need: int
    enough: int


@dataclass(frozen=True, slots=True)
class RecallState:
    """Whether this process may sign.

    ```
    asking --f+1 answers, every named statement at hand--> released  (final)
    asking --overdue, all but f peers name nothing that is missing--> released
    asking --a statement came back that the guard does not hold--> disowned  (final)
    ```
    Each committee in which we may have signed something that still counts is a circle; all must be content.
    `missing` are statements of ours that a peer named and our disk does not hold; a name proves nothing, so
    that f liars delay a start but cannot prevent it.
    """

    boot: int
    instance: bytes
    nonce: bytes
    began_ms: Millis
    circles: tuple[Circle, ...]
    answers: frozenset[Identity] = frozenset()
    clean: frozenset[Identity] = frozenset()
    """Those of `answers` that named only what we hold."""
    missing: frozenset[Digest] = frozenset()
    is_overdue: bool = False
    is_disowned: bool = False

    @property
    def is_released(self) -> bool:
        """Tell whether signing may begin."""
        if self.is_disowned:
            return False
        return all(self._contents(circle) for circle in self.circles)

    @property
    def need(self) -> int:
        """Give how many answers are needed at least."""
        return max(circle.need for circle in self.circles)

    def _contents(self, circle: Circle) -> bool:
        is_complete = len(self.answers & circle.peers) >= circle.need and not self.missing
        clean = len(self.clean & circle.peers)
        return is_complete or (self.is_overdue and clean >= max(circle.enough, circle.need))


def circle_of(document: CommitteeDocument, me: Identity) -> Circle:
    """Give our peers in a committee, which we may have left or not joined yet."""
    peers = frozenset(member.identity for member in document.members) - {me}
    return Circle(peers, document.f + 1, len(document.members) - 1 - document.f)


def began(*, boot: int, instance: bytes, at_ms: Millis, circles: tuple[Circle, ...]) -> RecallState:
    """Give the state of a process that has just started, with at least one circle.

    Its nonce is no secret, it only tells answers apart.
    """
    nonce = tagged("tocsin/recall/1", instance + boot.to_bytes(8, "big") + at_ms.to_bytes(8, "big"))[:16]
    return RecallState(boot=boot, instance=instance, nonce=nonce, began_ms=at_ms, circles=circles)


def answered(state: RecallState, peer: Identity, answer: Recalled, *, held: frozenset[Digest]) -> RecallState:
    """Take a peer's answer; `held` are the digests of our own statements on our disk."""
    if answer.nonce != state.nonce:
        return state
    unknown = frozenset(answer.newest) - held
    return replace(
        state,
        answers=state.answers | {peer},
        clean=state.clean - {peer} if unknown else state.clean | {peer},
        missing=(state.missing | unknown) - held,
    )


def found(state: RecallState, digest: Digest) -> RecallState:
    """Take note that a missing statement came back and the guard holds what it says."""
    return replace(state, missing=state.missing - {digest})


def disowned(state: RecallState) -> RecallState:
    """Take note that a statement came back, under our signature, that our guard does not hold."""
    return replace(state, is_disowned=True)


def overdue(state: RecallState) -> RecallState:
    """Take note that what peers name would have come back by now, if it existed."""
    return replace(state, is_overdue=True)
