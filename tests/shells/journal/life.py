"""One node's writing life: every durable write that its log, its witness and its outbox ever make.

    python life.py HOME

Lives up to `FIRST` entries in HOME/first, then goes on from a copy of that to `LAST` entries, once for each
step of a probe: HOME/0 is killed by SIGKILL at the first step, HOME/1 at the second …, the last at none. What
leaves the process on the way (what is acknowledged, signed, cosigned, published) is in HOME/<n>/said, a JSON
pair on each line.
"""

from __future__ import annotations

import asyncio
import json
import os
import shutil
import signal
import sys
from collections.abc import Callable
from contextlib import AsyncExitStack
from pathlib import Path

from nacl.signing import SigningKey

from proofs.checkpoint import checkpoint_text
from proofs.hashes import sha256
from proofs.kinds import NetworkId
from proofs.note import KeyKind, cosignature, cosigned_bytes, verifier_key
from proofs.witness import AddCheckpoint, Opened, add_cosignatures, format_add_checkpoint, open_request
from relay.core.types import Address, Caip2, Millis
from relay.disk import Probe
from relay.journal import (
    AuditLog,
    DiskLimits,
    Journal,
    LogCheckpoint,
    LogEntry,
    Outbox,
    StoredEnvelope,
    count_boot,
)
from relay.witness.store import CosignedRow, Sighting, WitnessStore, log_name

FIRST, LAST, STEP = 250, 262, 8
"""Within the second life a bundle and a hash tile of 256 fill up."""
LOG_KEY, COSIGNER_KEY = SigningKey(b"l" * 32), SigningKey(b"c" * 32)
ORIGIN = "net/alice"
LOG = verifier_key(ORIGIN, KeyKind.ED25519, bytes(LOG_KEY.verify_key))
COSIGNER = verifier_key("net/alice/cosigner", KeyKind.COSIGNATURE, bytes(COSIGNER_KEY.verify_key))
NETWORK = NetworkId(bytes(32))
SHELF = (Caip2("eip155:1"), Address(bytes(20)))
Say = Callable[[str, object], None]


def entry(number: int, boot: int) -> bytes:
    """Give what a life enters: another than the life before would have, so that a lost write shows."""
    return b"envelope %d of life %d" % (number, boot)


def event(raw: bytes) -> bytes:
    return b"received" + raw + b"at"


def entry_of(raw_event: bytes) -> bytes:
    return raw_event.removeprefix(b"received").removesuffix(b"at")


def _stored(raw: bytes, in_event: int) -> StoredEnvelope:
    return StoredEnvelope(raw, sha256(raw), Millis(1), LogEntry.HELD, in_event)


async def live(home: Path, last: int, probe: Probe, say: Say) -> None:
    """Go on from whatever is in `home`, until `last` entries are published."""
    state, clock, limits = home / "state", lambda: Millis(0), DiskLimits(min_free_bytes=0, ballast_bytes=0)
    async with AsyncExitStack() as held:
        journal = await held.enter_async_context(
            Journal.open(state / "journal.sqlite", clock=clock, limits=limits, probe=probe)
        )
        witness = await held.enter_async_context(
            WitnessStore.open(state / "witness.sqlite", NETWORK, probe=probe)
        )
        outbox = await held.enter_async_context(Outbox.open(state / "outbox.sqlite", probe=probe))
        boot = (await count_boot(journal, state / "instance")).number
        say("boot", boot)
        log = await AuditLog.open(
            journal, home / "log", origin=ORIGIN, log_key=bytes(LOG_KEY.verify_key), probe=probe
        )
        entries = await _append(journal, last, boot, say)
        await log.release(map(sha256, entries))
        say("released", last)
        await _publish(log, witness, say)
        await _send(outbox, last, say)


async def _append(journal: Journal, last: int, boot: int, say: Say) -> list[bytes]:
    entries = [entry_of(raw) async for _, raw in journal.replay()]
    while len(entries) < last:
        new = [entry(number, boot) for number in range(len(entries), min(len(entries) + STEP, last))]
        await journal.append(list(map(event, new)), [_stored(raw, place) for place, raw in enumerate(new)])
        entries += new
        say("appended", [raw.decode() for raw in new])
    return entries


async def _publish(log: AuditLog, witness: WitnessStore, say: Say) -> None:
    async def sign(body: bytes) -> bytes:
        say("signed", body.decode())
        return bytes(LOG_KEY.sign(body).signature)

    pending = await log.sign(sign)
    found = (await witness.cosigned()).get(log_name(LOG))
    old = 0 if found is None else found.held.size
    proof = await log.consistency_proof(old, pending.checkpoint.size)
    opened = open_request(format_add_checkpoint(AddCheckpoint(old, proof, pending.note)), {ORIGIN: [LOG]})
    assert isinstance(opened, Opened)
    sighting = Sighting(LOG, pending.checkpoint, pending.note, Millis(0))
    added = await witness.add(opened, sighting, 1_700_000_000, None)
    row = added.outcome
    assert isinstance(row, CosignedRow), row
    assert added.fork is None
    body = checkpoint_text(pending.checkpoint)
    line = cosignature(COSIGNER, row.at_s, COSIGNER_KEY.sign(cosigned_bytes(body, row.at_s)).signature)
    say("cosigned", add_cosignatures(pending.note, [line]))
    published: LogCheckpoint = await log.publish(pending.checkpoint, [line], sign)
    say("published", published.note)


async def _send(outbox: Outbox, nonce: int, say: Say) -> None:
    shelf = outbox.of(*SHELF)
    await shelf.put(nonce, b"transaction %d" % nonce)
    say("put", nonce)
    for older in [older for older in await shelf.rows() if older < nonce]:
        await shelf.drop(older)
        say("dropped", older)


class KillAt:
    """Kills this process at the step of that number, counting from 0; below 0 never."""

    def __init__(self, number: int) -> None:
        self.left = number

    def __call__(self, step: str) -> None:
        if self.left == 0:
            os.kill(os.getpid(), signal.SIGKILL)
        self.left -= 1


def _child(home: Path, last: int, kill_at: int) -> int:
    """Live in a process of its own; gives its status: 0, or minus the signal that ended it."""
    child = os.fork()
    if child == 0:
        with (home / "said").open("a") as said:

            def say(what: str, value: object) -> None:
                said.write(json.dumps([what, value]) + "\n")
                said.flush()

            asyncio.run(live(home, last, KillAt(kill_at), say))
        os._exit(0)
    return os.waitstatus_to_exitcode(os.waitpid(child, 0)[1])


def main() -> int:
    home = Path(sys.argv[1])
    first = home / "first"
    first.mkdir(parents=True)
    if _child(first, FIRST, -1) != 0:
        return 1
    number = 0
    while True:
        shutil.copytree(first, home / str(number))
        status = _child(home / str(number), LAST, number)
        if status != -signal.SIGKILL:
            return status
        number += 1


if __name__ == "__main__":
    sys.exit(main())
