"""When a checkpoint of our audit log is put on a chain: once an incident has closed (SPEC 7.4)."""

from __future__ import annotations

from collections.abc import Callable, Iterable
from dataclasses import dataclass, field
from typing import Final

from proofs.committee import CommitteeDocument
from relay.core.effects import Anchor, Effect
from relay.core.events import AnchorEnded
from relay.core.incidents import Closed
from relay.core.ports import SubmissionStatus
from relay.core.submission import rank
from relay.core.types import Caip2, DecisionId, Identity, Millis

__all__ = ["Anchoring"]

MAX_ANCHORED: Final = 65_536
MAX_TRIES: Final = 12
AGAIN_MS: Final = 600_000


@dataclass(slots=True)
class _Tried:
    """How often an anchor was tried in this process, and when it may be again."""

    times: int = 0
    again_ms: Millis = Millis(0)


@dataclass(slots=True)
class Anchoring:
    """Which closed incidents we have anchored; deterministic, fed by the node."""

    me: Identity
    anchored: dict[DecisionId, int] = field(default_factory=dict)
    """How many certified decisions an incident had when its anchor landed."""
    _tried: dict[DecisionId, _Tried] = field(default_factory=dict)
    _under_way: set[Caip2] = field(default_factory=set)

    def due(
        self,
        closed: Iterable[Closed],
        committee: CommitteeDocument,
        is_idle: Callable[[Caip2], bool],
        now_ms: Millis,
    ) -> list[Effect]:
        """Give the anchors to begin now: one a chain, and none where a call waits.

        `committee` is the one in force: who has left it anchors nothing any more.
        """
        effects: list[Effect] = []
        for each in closed:
            if not is_idle(each.chain) or each.chain in self._under_way or not self._is_ours(each, committee):
                continue
            if self.anchored.get(each.incident_id, 0) >= each.decisions:
                continue
            tried = self._tried.setdefault(each.incident_id, _Tried())
            if tried.times < MAX_TRIES and now_ms >= tried.again_ms:
                tried.again_ms = Millis(now_ms + AGAIN_MS)
                self._under_way.add(each.chain)
                effects.append(
                    Anchor(each.incident_id, each.chain, each.gateway, each.decisions, each.entries)
                )
        return effects

    def ended(self, event: AnchorEnded) -> None:
        """Take what became of an anchor; one whose checkpoint was not out yet was no try."""
        anchor = event.incident_id
        self._under_way.discard(event.chain)
        tried = self._tried.setdefault(anchor, _Tried())
        if event.submission is None:
            return
        tried.times += 1
        if event.submission.status is SubmissionStatus.LANDED:
            self.anchored[anchor] = max(self.anchored.get(anchor, 0), event.decisions)
            self._tried.pop(anchor)
        while len(self.anchored) > MAX_ANCHORED:
            del self.anchored[next(iter(self.anchored))]

    def started(self) -> None:
        """Begin a process: nothing is under way."""
        self._under_way.clear()
        self._tried.clear()

    def _is_ours(self, closed: Closed, committee: CommitteeDocument) -> bool:
        """Tell whether we are among the first f+1 in the order: one of them is honest."""
        members = [member.identity for member in committee.members]
        return self.me in members and rank(closed.incident_id, closed.chain, members, self.me) <= committee.f
