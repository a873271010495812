"""What one core takes in: frames as the lane hands them over, until they are verified, counted and on disk.

All rates are by processor time of the whole process, the journal's writer thread included: on a busy machine
the wall clock tells of its neighbours.

A member of a committee of thirteen hears attestations of many decisions, every one well signed, and counts
them up to the certificates. Inbox, node, pump and journal are the real ones; the lane is a list of frames.
The floor is PyNaCl's bare verification of the same envelopes' signatures, in the same run.
"""

from __future__ import annotations

import asyncio
import random
import tempfile
import time
from collections.abc import Sequence
from pathlib import Path

from nacl.signing import VerifyKey

from proofs.committee import CommitteeDocument
from proofs.decision import BlockRef, Decision
from proofs.envelope import parse_envelope, signing_bytes
from proofs.hashes import sha256
from proofs.mandate import Op, Tier
from relay.app.deeds import Foreseen
from relay.app.inbox import Inbox
from relay.app.pump import Pump
from relay.app.watch import Meter
from relay.core.compiled import merge_queries
from relay.core.decisions import prepare
from relay.core.effects import Effect
from relay.core.events import BlockObserved, Event, Received, Started
from relay.core.gateways import NO_PLAN
from relay.core.history import event_to_bytes
from relay.core.node import Node, NodeSettings
from relay.core.observations import BlockReads, CallValue, PlanRegistered
from relay.core.types import Caip2, Digest, Header, Millis
from relay.core.wire import open_message
from relay.gossip import Mail
from relay.journal import DiskLimits, Journal
from relay.keys import KdfCost, Secret, generate, open_signer
from relay.telemetry import Log, Metrics, Telemetry
from tests.bench.figure import Figure, Goal
from tests.sim.keys import Keys, genesis_of
from tests.sim.plans import AWAY, HOME, sim_plans

__all__ = ["attestation_cost_ms", "measure"]

MEMBERS = 13
DECISIONS = 60
"""One member may bring up 64 that nobody else knows."""
GOAL_SHARE = 0.30
BEGAN_S = 1_700_000_000
BLOCK_S = 12
BLOCKS = 4
ROUNDS = 5
_LIMITS = DiskLimits(min_free_bytes=0, ballast_bytes=0)


class Given:
    """A lane on which everything has arrived already."""

    def __init__(self, mail: Sequence[Mail]) -> None:
        self._mail = iter(mail)

    def __aiter__(self) -> Given:
        return self

    async def __anext__(self) -> Mail:
        for mail in self._mail:
            return mail
        raise StopAsyncIteration


async def measure(seed: int = 1) -> list[Figure]:
    """Measure several times, and give the median run."""
    committee, keys = _committee()
    frames = _frames(committee, keys, random.Random(seed))
    runs = []
    for _ in range(ROUNDS):
        bare_per_s = _bare(frames)
        with tempfile.TemporaryDirectory(prefix="tocsin-bench-") as folder:
            runs.append((await _intake(Path(folder), committee, keys[0], frames), bare_per_s))
    runs.sort(key=lambda run: run[0] / run[1])
    per_s, bare_per_s = runs[len(runs) // 2]
    return [
        Figure(
            "attestation intake, frame to disk",
            per_s,
            "1/s and core",
            floor=bare_per_s,
            floor_name="PyNaCl verifications",
            goal=GOAL_SHARE,
            side=Goal.AT_LEAST,
            judged="ratio",
        )
    ]


def attestation_cost_ms(committee: CommitteeDocument, keys: Sequence[Keys], chance: random.Random) -> float:
    """Give the processor time of one attestation in a node, from the frame to its place in the count."""
    node = _node(committee, keys[0])
    frames = _frames(committee, keys, chance, decisions=2 + 120 // len(keys))
    began_s = time.process_time()
    for mail in frames:
        envelope, message = open_message(mail.frame, node.committees, at_s=BEGAN_S)
        event_to_bytes(event := Received(envelope, message, Millis(BEGAN_S * 1_000)))
        node.advance(event)
    return (time.process_time() - began_s) * 1_000 / len(frames)


def _committee() -> tuple[CommitteeDocument, list[Keys]]:
    keys = [Keys(f"member-{number:02d}") for number in range(MEMBERS)]
    return genesis_of("bench", keys), keys


def _frames(
    committee: CommitteeDocument, keys: Sequence[Keys], chance: random.Random, decisions: int = DECISIONS
) -> list[Mail]:
    """Attestations of everybody but the first member, of decisions with anchors just ahead of the head."""
    bridge = sim_plans()[0]
    mail: list[Mail] = []
    for number in range(decisions):
        at_s = BEGAN_S + BLOCK_S * BLOCKS + 1 + number
        anchor = BlockRef(HOME, Digest(chance.randbytes(32)), BLOCKS + 1 + number, at_s)
        decision = Decision(
            op=Op.PROTECT,
            plan_hash=bridge.plan.hash,
            subject="unbacked",
            rung=0,
            tier=Tier.FAST,
            anchor=anchor,
            key_epoch=committee.key_epoch,
            parent=None,
        )
        prepared = prepare(committee.network, bridge, decision)
        for each in keys[1:]:
            envelope, _ = each.attest(prepared, committee, BEGAN_S * 1_000)
            mail.append(Mail(each.identity, envelope.raw))
    chance.shuffle(mail)
    return mail


def _bare(frames: Sequence[Mail]) -> float:
    """Bare verifications per second of the frames' own signatures."""
    envelopes = [parse_envelope(each.frame) for each in frames]
    keys = {each.peer: VerifyKey(each.peer) for each in frames}
    signed = [(keys[each.fields.author], signing_bytes(each.payload), each.signature) for each in envelopes]
    began_s = time.process_time()
    for key, message, signature in signed:
        key.verify(message, signature)
    return len(signed) / (time.process_time() - began_s)


async def _intake(home: Path, committee: CommitteeDocument, me: Keys, frames: Sequence[Mail]) -> float:
    """Frames per second through inbox, node and journal."""

    def clock_us() -> int:
        return BEGAN_S * 1_000_000

    def clock() -> Millis:
        return Millis(BEGAN_S * 1_000)

    node = _node(committee, me)
    passphrase = Secret(b"bench")
    generate(home / "keys", passphrase, cost=KdfCost(passes=1, memory_bytes=8 << 10))
    done, heard = asyncio.Event(), 0

    def on_heard(event: Event) -> None:
        nonlocal heard
        heard += isinstance(event, Received)

    class Idle:
        """Does nothing: what is measured ends at the disk."""

        def foresee(self, effects: Sequence[Effect]) -> Foreseen:
            return Foreseen(asyncio.Event(), frozenset())

        async def perform(self, effects: Sequence[Effect], foreseen: Foreseen) -> None:
            if heard == len(frames):
                done.set()

    with (home / "log").open("w") as log:
        telemetry = Telemetry(Log(log, clock=clock))
        async with (
            Journal.open(home / "journal.sqlite", clock=clock, limits=_LIMITS) as journal,
            open_signer(home / "keys", guard_path=home / "guard.sqlite", passphrase=passphrase) as signer,
            asyncio.timeout(120),
            asyncio.TaskGroup() as group,
        ):
            pump = Pump(node, journal, on_heard, Meter(Metrics(), clock_us))
            inbox = Inbox(lambda: node.committees, journal, signer, telemetry, clock, lambda *_: None)
            pumping = group.create_task(pump.run([Started(clock(), 1, bytes(16))], Idle()))
            began_s = time.process_time()
            await inbox.run(Given(frames), pump.put)
            await done.wait()
            took_s = time.process_time() - began_s
            pumping.cancel()
    return len(frames) / took_s


def _node(committee: CommitteeDocument, me: Keys) -> Node:
    """A node that has read the first blocks, in which the plans come into force."""
    plans = sim_plans()
    node = Node(NodeSettings(me.identity, committee, plans, dict.fromkeys((HOME, AWAY), 1_000 * BLOCK_S)))
    for chain, queries in merge_queries(plans).items():
        blocks = [_block(chain, number) for number in range(1, BLOCKS + 1)]
        for block in blocks:
            registered = tuple(
                PlanRegistered(plan.gateways[chain], index, plan.plan.hash, NO_PLAN, 0)
                for index, plan in enumerate(plans)
                if block.number == 1 and plan.plan.clock.reference == chain
            )
            calls = tuple(CallValue(index, 1, None) for index in range(len(queries.calls)))
            header = Header(block, _block(chain, block.number - 1).hash)
            node.advance(BlockObserved(BlockReads(header, (), calls, (), registered), 2, 3, blocks[-1]))
    return node


def _block(chain: Caip2, number: int) -> BlockRef:
    return BlockRef(chain, sha256(f"{chain}/{number}".encode()), number, BEGAN_S + BLOCK_S * number)
