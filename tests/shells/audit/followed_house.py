"""Three logs behind HTTP and a follower with a memory and a clock."""

from __future__ import annotations

from contextlib import ExitStack, closing
from pathlib import Path

from proofs.checkpoint import Checkpoint
from relay.audit.follow import FollowTerms, Look, look
from relay.audit.followed import read_followed
from relay.audit.sources import Source
from relay.audit.web import Patience, open_source
from tests.shells.audit.logs import NOW_S, Keeper, entries_of, policy_of
from tests.shells.audit.servers import serving

__all__ = ["House", "alarms"]

QUICK = Patience(pause_s=0.01)
NAMES = ("net/alice", "net/bob", "net/carol")


class House:
    """Three logs behind HTTP, a follower's state, and a clock."""

    def __init__(self, folder: Path, stack: ExitStack) -> None:
        self.state = folder / "state"
        self.state.mkdir()
        self.keepers = [Keeper(folder / name.partition("/")[2], name) for name in NAMES]
        self.alice, self.bob, self.carol = self.keepers
        for keeper in self.keepers:
            keeper.publish(entries_of(300))
        self.served = [stack.enter_context(serving(keeper.folder)) for keeper in self.keepers]
        self.urls = [each.url for each in self.served]
        self.now_s = NOW_S
        self.quorum = 3

    def look(self, *urls: str, stale_s: int = 3_600) -> Look:
        """Visit these sources, or all."""
        policy = policy_of(*self.keepers, quorum=self.quorum)
        with ExitStack() as stack:
            sources: list[Source] = [
                stack.enter_context(closing(open_source(url, QUICK))) for url in urls or self.urls
            ]
            return look(sources, FollowTerms(policy, self.state, self.now_s, stale_s))

    def remembered(self, keeper: Keeper) -> Checkpoint | None:
        followed = read_followed(self.state, keeper.key)
        return None if followed is None else followed.checkpoint


def alarms(found: Look) -> list[tuple[str, str | None]]:
    return [(each.alarm.value, each.log) for each in found.alarms]
