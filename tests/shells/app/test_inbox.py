"""Mail of the lane on its way to the witness: what its author's own connection brought, and nothing else."""

from __future__ import annotations

import asyncio
import io
from collections.abc import AsyncIterator

import pytest

from proofs.envelope import Envelope, signing_bytes
from proofs.hashes import sha256
from proofs.kinds import Digest, Identity
from relay.app.inbox import Inbox
from relay.core.committees import Committees
from relay.core.events import Event
from relay.core.types import Millis
from relay.core.wire import payload_of, seal
from relay.core.witnessing import CheckpointAdded, ProveConsistency, WitnessingMessage
from relay.gossip import Mail
from relay.telemetry import Log, Telemetry
from tests.shells.witness.circle import Clock, Secrets, committee_of

COMMITTEE = committee_of()
CLOCK = Clock()


def of(name: str) -> Identity:
    return Identity(bytes(Secrets(name).identity.verify_key))


def mail(peer: str, author: str, message: WitnessingMessage) -> Mail:
    payload = payload_of(message, committee=COMMITTEE, author=of(author), at_ms=CLOCK())
    envelope, _ = seal(payload, bytes(Secrets(author).identity.sign(signing_bytes(payload)).signature))
    return Mail(of(peer), envelope.raw)


async def brought(*mails: Mail) -> AsyncIterator[Mail]:
    for each in mails:
        yield each


@pytest.mark.asyncio
async def test_words_of_witnessing_are_taken_from_their_authors_own_connection_alone() -> None:
    taken: list[tuple[Identity, WitnessingMessage]] = []
    events: asyncio.Queue[Event] = asyncio.Queue()

    def witness(envelope: Envelope, message: WitnessingMessage) -> None:
        taken.append((envelope.author, message))

    inbox = Inbox(
        lambda: Committees((COMMITTEE,)),
        None,  # type: ignore[arg-type]  # neither journal nor signer is asked for such words
        None,  # type: ignore[arg-type]
        Telemetry(Log(io.StringIO(), clock=CLOCK)),
        lambda: Millis(CLOCK()),
        witness,
    )
    answer, question = CheckpointAdded(Digest(sha256(b"asked")), 409, b"1\n"), ProveConsistency(1, 2)
    mails = brought(
        mail("carol", "alice", answer), mail("alice", "alice", question), mail("dave", "alice", question)
    )
    await inbox.run(mails, events.put)

    assert taken == [(of("alice"), question)]
    assert events.empty()
