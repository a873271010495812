"""An incident of a village, as its members serve it and an auditor tells it."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path

from proofs.policy import parse_policy
from relay.audit.gather import places_of
from relay.audit.incident import investigate
from relay.audit.opening import Trust
from relay.audit.story import Story
from relay.audit.tell import Told, tell
from tests.audit.village import Alarm, Node, Village, log_files
from tests.proofs.incident import NOW_S

__all__ = ["LATER_S", "Scene", "names"]

LATER_S = NOW_S + 86_400
"""The auditor's clock: longer after everything was published than anything is held back."""


@dataclass
class Scene:
    """An alarm, and what each member keeps and serves of it."""

    village: Village
    alarm: Alarm

    def node(self, name: str, entries: Sequence[bytes] | None = None, at_s: int = NOW_S) -> Node:
        kept = self.alarm.said if entries is None else entries
        return Node(log_files(self.village, name, kept, at_s)).with_bundle(
            self.alarm, self.alarm.bundle(name)
        )

    def log_only(self, name: str, entries: Sequence[bytes], at_s: int = NOW_S) -> Node:
        return Node(log_files(self.village, name, entries, at_s))

    def story(self, *sources: str | Path, now_s: int = LATER_S, token: str | None = None) -> Story:
        raw = self.village.cosigned_policy()
        trust = Trust(raw, parse_policy(raw), now_s)
        places = list(places_of([str(source) for source in sources], token))
        found = investigate(places, self.alarm.id[:8], trust, lambda: now_s)
        return tell(found.case, Told(findings=tuple(found.findings), skipped=found.unshown))

    def without(self, *entries: bytes) -> list[bytes]:
        return [entry for entry in self.alarm.said if entry not in entries]


def names(story: Story) -> list[str]:
    """Give the names of a story's findings."""
    return [finding.name for finding in story.findings]
