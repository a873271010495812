"""What can go wrong with the committee lane, by who is at fault."""

from __future__ import annotations

from relay.core.errors import ConfigError, TocsinError, WireError
from relay.gossip.counters import Drop

__all__ = ["FrameRefused", "LaneConfigRefused", "LaneError", "ListenRefused"]


class LaneError(TocsinError):
    """The lane has ended and will not come back: the process exits and is started anew."""


class LaneConfigRefused(ConfigError):
    """A value of the lane's configuration cannot be used; `.where` is its name."""


class ListenRefused(LaneConfigRefused):
    """The address to listen on cannot be taken: `.address` is it, the cause is the system's own error."""

    def __init__(self, address: str, problem: str) -> None:
        super().__init__(
            f"listen {address}", problem, remedy="stop whatever uses it, or configure another port"
        )
        self.address = address


class FrameRefused(WireError):
    """A peer's bytes are no frame of the lane (SPEC 2); `.drop` names the counter."""

    def __init__(self, drop: Drop, expected: str, got: str) -> None:
        super().__init__(drop, f"expected {expected}, got {got}")
        self.drop = drop
