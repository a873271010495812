"""What is anchored: the newest published checkpoint, once it holds every entry of the incident."""

from pathlib import Path

import pytest
from nacl.signing import SigningKey

from proofs.hashes import sha256
from proofs.kinds import Digest
from relay.app.anchor import anchor
from relay.core.effects import Anchor
from relay.core.ports import AnchorLog, Submission, SubmissionStatus
from relay.core.types import Caip2, DecisionId, Gateway, Millis
from relay.journal import AuditLog, DiskLimits, Journal, LogEntry, StoredEnvelope

KEY = SigningKey(bytes(range(32)))
LANDED = Submission(SubmissionStatus.LANDED)
HOME = Caip2("sim:home")


def envelope(number: int, entry: LogEntry) -> StoredEnvelope:
    raw = b"envelope %d" % number
    return StoredEnvelope(raw, sha256(raw), Millis(2_000), entry)


async def sign(body: bytes) -> bytes:
    return bytes(KEY.sign(body).signature)


class Carrier:
    """Takes calls, and says that they landed."""

    def __init__(self) -> None:
        self.calls: list[AnchorLog] = []

    async def carry(self, call: AnchorLog) -> Submission:
        self.calls.append(call)
        return LANDED


@pytest.mark.asyncio
async def test_a_checkpoint_is_anchored_once_it_holds_the_whole_incident(tmp_path: Path) -> None:
    limits = DiskLimits(min_free_bytes=0, ballast_bytes=4_096)
    incident = [envelope(1, LogEntry.RELEASED), envelope(2, LogEntry.HELD)]
    entries = tuple(Digest(each.digest) for each in incident)
    wanted = Anchor(DecisionId(Digest(b"i" * 32)), HOME, Gateway(b"g" * 32), 3, entries)
    carrier = Carrier()
    async with Journal.open(tmp_path / "journal.sqlite", clock=lambda: Millis(1), limits=limits) as journal:
        await journal.append([b"event"], incident)
        log = await AuditLog.open(
            journal, tmp_path / "log", origin="net/alice", log_key=bytes(KEY.verify_key)
        )

        unpublished = await anchor(wanted, log, carrier.carry)
        await log.publish((await log.sign(sign)).checkpoint, (), sign)
        partly = await anchor(wanted, log, carrier.carry)
        await log.release(entries)
        await log.publish((await log.sign(sign)).checkpoint, (), sign)
        ended = await anchor(wanted, log, carrier.carry)

    assert unpublished.submission is None
    assert partly.submission is None
    assert (ended.incident_id, ended.decisions, ended.submission) == (wanted.incident_id, 3, LANDED)
    (call,) = carrier.calls
    assert log.published is not None
    checkpoint = log.published.checkpoint
    assert (call.size, call.root) == (2, checkpoint.root)
    assert call.origin == sha256(b"net/alice")
    assert (call.chain, call.gateway, call.incident_id) == (HOME, wanted.gateway, wanted.incident_id)
