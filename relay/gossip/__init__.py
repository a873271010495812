"""The committee lane: signed envelopes between members, as opaque bytes, over libp2p (SPEC.md)."""

from relay.gossip.buckets import Rate
from relay.gossip.config import EnvelopeStore, LaneConfig, LanePeer, Mail
from relay.gossip.counters import Drop
from relay.gossip.errors import LaneConfigRefused, LaneError, ListenRefused
from relay.gossip.lane import Lane

__all__ = [
    "Drop",
    "EnvelopeStore",
    "Lane",
    "LaneConfig",
    "LaneConfigRefused",
    "LaneError",
    "LanePeer",
    "ListenRefused",
    "Mail",
    "Rate",
]
