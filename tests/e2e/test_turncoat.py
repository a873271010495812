"""A member turns: with a true member's keys it floods the others, and they go on."""

from __future__ import annotations

import asyncio
import os
import random
from collections.abc import AsyncIterator, Sequence
from contextlib import asynccontextmanager
from dataclasses import replace
from pathlib import Path

import pytest
from nacl.signing import SigningKey

from adapters.evm.demo.network import Member
from proofs.envelope import assemble_envelope, open_envelope, signing_bytes
from relay.core.effects import PageKind
from relay.core.messages import Attestation, Verdict
from relay.core.types import Digest, Identity, Millis
from relay.core.wire import payload_of, read_message
from relay.gossip import Lane, LaneConfig, LanePeer
from relay.keys import Secret, open_identity
from tests.e2e.scene import Scene, log_lines, logged, until
from tests.e2e.story import Story

pytestmark = [
    pytest.mark.asyncio(loop_scope="session"),
    pytest.mark.timeout(900),
]

REARM_S = 1_800
"""A slot of the bridge's plan: so much later the rule, still true, makes its next decision."""
FRAMES = 10_000
BURST = 250
MOST_CPU = 0.9
"""Cores that a flooded member may use."""
MOST_OPEN = 64
"""Decisions that one member may bring up (core SPEC 6.5). Honest answers to inventions bring these up with
the members that have not heard of them.
"""
NEXT_SLOT = 12
"""More decisions than the next slot can make: three anchors each of the rule and of the link, two tiers."""


class NoStore:
    """The flooder remembers nothing."""

    async def recent_digests(self, limit: int, before: int | None = None) -> Sequence[tuple[int, bytes]]:
        return ()

    async def unknown(self, digests: Sequence[bytes]) -> Sequence[bytes]:
        return digests

    async def get(self, digest: bytes) -> bytes | None:
        return None


class Turncoat:
    """A member's keys in other hands."""

    def __init__(self, scene: Scene, member: Member, chance: random.Random) -> None:
        self._committee = scene.network.committee
        self._seed = open_identity(member.directory.keys, Secret(scene.network.passphrase.encode())).reveal()
        self._member = member
        self._chance = chance
        true = [read_message(open_envelope(raw)) for raw in logged(member).values()]
        self._model = next(each for each in true if isinstance(each, Attestation))
        self._true = next(iter(logged(member).values()))

    def config(self) -> LaneConfig:
        peers = tuple(
            LanePeer(each.identity, each.addresses)
            for each in self._committee.members
            if each.identity != self._member.public.identity
        )
        return LaneConfig(listen=f"/ip4/127.0.0.1/tcp/{self._member.lane_port}", peers=peers)

    @asynccontextmanager
    async def lane(self) -> AsyncIterator[Lane]:
        async with Lane.open(identity_seed=self._seed, config=self.config(), store=NoStore()) as lane:
            yield lane

    def frame(self) -> bytes:
        """Garbage, a signed invention, or something true once more."""
        match self._chance.randrange(4):
            case 0:
                return self._chance.randbytes(self._chance.randrange(1, 2_000))
            case 1:
                return self._true[:-1] + self._chance.randbytes(1)
            case 2:
                return self._true
            case _:
                return self._invention()

    def _invention(self) -> bytes:
        """A well-formed attestation of a decision that nobody else knows, signed by the member."""
        anchor = replace(self._model.decision.anchor, hash=self._chance.randbytes(32))
        message = Attestation(
            decision=replace(self._model.decision, anchor=anchor),
            verdict=Verdict.ATTEST,
            trace=self._model.trace,
            digest=Digest(self._chance.randbytes(32)),
            signature=self._chance.randbytes(65),
        )
        author = Identity(self._member.public.identity)
        payload = payload_of(message, committee=self._committee, author=author, at_ms=Millis(1))
        return assemble_envelope(payload, SigningKey(self._seed).sign(signing_bytes(payload)).signature)


async def flood(lane: Lane, turncoat: Turncoat, done: asyncio.Event) -> int:
    """Send frames as fast as the lane takes them, until told that it is enough, and `FRAMES` at least."""
    sent = 0
    while sent < FRAMES or not done.is_set():
        for _ in range(BURST):
            await lane.broadcast(turncoat.frame())
        sent += BURST
        await asyncio.sleep(0.02)  # the lane's own thread is to get a turn
    return sent


def cpu_s(member: Member) -> float:
    """Processor time that a member's process has used."""
    assert member.process is not None
    fields = Path(f"/proc/{member.process.pid}/stat").read_text().rpartition(")")[2].split()
    return (int(fields[11]) + int(fields[12])) / os.sysconf("SC_CLK_TCK")


async def test_a_member_that_floods_the_others_stops_nothing(
    scene: Scene, story: Story, chance: random.Random
) -> None:
    alice = scene.member("alice")
    others = [member for member in scene.network.members if member is not alice]
    await scene.stop(alice)
    turncoat = Turncoat(scene, alice, chance)
    before = {seen.id for seen in await scene.sightings(others[0])}
    opened = [await open_decisions(scene, member) for member in others]
    loop, done = asyncio.get_running_loop(), asyncio.Event()

    async with turncoat.lane() as lane, asyncio.TaskGroup() as group:
        async with asyncio.timeout(120):
            await lane.wait_connected(len(others))
        began_s, used_s = loop.time(), [cpu_s(member) for member in others]
        flooding = group.create_task(flood(lane, turncoat, done))
        try:
            for member in others:

                async def is_hit(member: Member = member) -> bool:
                    return await scene.count(member, "lane_drops_total", reason="flood") > 0

                await until(f"{member.name} counts the flood", is_hit)
            await scene.mine(after_s=REARM_S)
            for member in others:

                async def is_certified(member: Member = member) -> bool:
                    return any(
                        seen.certified and seen.subject == "unbacked" and seen.id not in before
                        for seen in await scene.sightings(member)
                    )

                await until(f"{member.name} has the next slot's certificate", is_certified)
        finally:
            done.set()
        sent = await flooding
        took_s = loop.time() - began_s
        spent_s = [cpu_s(member) - used for member, used in zip(others, used_s, strict=True)]

    print(f"{sent} frames in {took_s:.1f} s; processor seconds of the members: {spent_s}")
    assert all(spent < MOST_CPU * took_s for spent in spent_s)
    assert len(scene.running()) == len(others)
    for member, were_open in zip(others, opened, strict=True):
        assert await scene.count(member, "dropped_total", reason="malformed") > 0
        assert await open_decisions(scene, member) <= were_open + MOST_OPEN * len(others) + NEXT_SLOT
    await expect_locked(scene, alice)


async def open_decisions(scene: Scene, member: Member) -> int:
    """How many decisions a member holds; its interface answers also while it is flooded."""
    asked = "/v1/status"
    status = await until(f"{member.name} answers {asked}", lambda: scene.network.ask(member, asked))
    assert isinstance(status, dict)
    return int(status["open_decisions"])


async def expect_locked(scene: Scene, member: Member) -> None:
    """Start the true member: others hold statements under its key that it never made, so it must not sign."""
    await scene.network.start(member)

    async def pages() -> bool:
        return any(line["event"] == PageKind.CANNOT_SIGN.value for line in log_lines(member))

    await until(f"{member.name} finds that its key is in other hands", pages)
    ready = await scene.network.ask(member, "/readyz")
    assert isinstance(ready, dict)
    assert ready["ready"] is False
