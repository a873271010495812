"""What the node knows, on disk: events, envelopes, and the audit log made of them."""

from relay.journal.auditlog import AuditLog, LogCheckpoint
from relay.journal.boot import Boot, count_boot
from relay.journal.disk import DiskLimits, DiskState
from relay.journal.outbox import Outbox
from relay.journal.rows import LogEntry, StoredEnvelope
from relay.journal.store import Journal

__all__ = [
    "AuditLog",
    "Boot",
    "DiskLimits",
    "DiskState",
    "Journal",
    "LogCheckpoint",
    "LogEntry",
    "Outbox",
    "StoredEnvelope",
    "count_boot",
]
