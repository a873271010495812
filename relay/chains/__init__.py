"""Chains as the node sees them.

Adapters found by entry point, and every read agreed on by several endpoints.
"""

from relay.chains.loading import Chain, load_adapters, open_chain
from relay.chains.quorum import QuorumChain

__all__ = ["Chain", "QuorumChain", "load_adapters", "open_chain"]
