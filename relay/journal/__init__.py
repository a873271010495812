"""What the node knows, on disk: events, envelopes, and the audit log made of them."""

from relay.journal.boot import Boot, count_boot
from relay.journal.disk import DiskLimits, DiskState
from relay.journal.store import Journal, LogEntry, StoredEnvelope

__all__ = [
    "Boot",
    "DiskLimits",
    "DiskState",
    "Journal",
    "LogEntry",
    "StoredEnvelope",
    "count_boot",
]
