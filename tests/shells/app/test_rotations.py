"""Where a node looks for verifiers, what it says of them, and what becomes of a rotation that it signs."""

from __future__ import annotations

import asyncio
import random
from collections.abc import Iterable
from dataclasses import dataclass, field, replace
from pathlib import Path

import pytest

from proofs.envelope import assemble_envelope, open_envelope
from proofs.mandate import recover_address
from relay.app.rotations import RotationDeeds, VerifierWatch
from relay.core.effects import SignRotation, SubmitRotation
from relay.core.events import Event, KeysInForce, RotationEnded, RotationRefused, VerifierSeen
from relay.core.messages import Message, RotationSigned
from relay.core.ports import GatewayCall, Submission, SubmissionStatus
from relay.core.readiness import Fact, Standing
from relay.core.rotations import Rotate, Rotation, VerifierEpoch, VerifierState, struct_digest
from relay.core.types import Digest, Gateway, Identity, Millis
from relay.core.wire import payload_of, seal
from relay.keys import KdfCost, Secret, generate, open_signer
from tests.core.stage import BEGIN_S, Stage
from tests.core.test_handovers import form
from tests.sim.dealer import deal
from tests.sim.keys import committee_of
from tests.sim.plans import HOME

PASSPHRASE = Secret(b"correct horse")
COMMITTEE, _ = committee_of(4)
ROTATION = Rotation(
    chain=HOME,
    verifier=Gateway(bytes(31) + b"v"),
    network=COMMITTEE.network,
    new_epoch=2,
    attesters=tuple(sorted(COMMITTEE.attesters())),
    groups=None,
    fast=2,
    full=3,
    not_before=1,
    not_after=2,
    revoke_previous=False,
)


@dataclass
class Looked:
    """An inspector that shows one verifier as it is told."""

    state: VerifierState | None
    asked: list[Gateway] = field(default_factory=list)

    async def look_at_verifier(self, gateway: Gateway) -> VerifierState | None:
        self.asked.append(gateway)
        return self.state


def shown(**changes: object) -> VerifierState:
    attesters = tuple(sorted(COMMITTEE.attesters()))
    epoch = VerifierEpoch(1, attesters, 2, 3, None, 0, (1 << 40) - 1)
    state = VerifierState(HOME, Gateway(bytes(31) + b"v"), COMMITTEE.network, 60, 600, (epoch,))
    return replace(state, **changes)  # type: ignore[arg-type]


class Watched:
    """A node of one plan, and the watch over its verifier; looks as often as the test lets it."""

    def __init__(self, state: VerifierState | None) -> None:
        self.stage = Stage()
        self.inspector = Looked(state)
        self.told: list[Event] = []
        self.looked: list[Fact] = []
        self.watch = VerifierWatch(
            self.stage.node,
            {HOME: self.inspector},  # type: ignore[dict-item]  # asked for verifiers alone
            0.001,
            lambda: Millis(BEGIN_S * 1_000),
            self._put,
            self._tell,
        )

    async def _tell(self, facts: Iterable[Fact]) -> None:
        self.looked = list(facts)

    async def _put(self, event: Event) -> None:
        self.told.append(event)
        self.stage.run(event)

    async def look(self, times: int = 1) -> None:
        """Let it look so many times."""
        before = len(self.inspector.asked)
        async with asyncio.timeout(20), asyncio.TaskGroup() as group:
            task = group.create_task(self.watch.run())
            while len(self.inspector.asked) < before + times:  # noqa: ASYNC110 - looks have no event
                await asyncio.sleep(0)
            await asyncio.sleep(0)
            task.cancel()

    def fact(self) -> Fact:
        (found,) = self.watch.facts()
        return found


@pytest.mark.asyncio
async def test_a_verifier_is_told_when_it_is_seen_and_when_it_has_changed() -> None:
    watched = Watched(shown())

    await watched.look(3)
    watched.inspector.state = shown(delay_s=61)
    await watched.look(3)

    assert [each.state.delay_s for each in watched.told if isinstance(each, VerifierSeen)] == [60, 61]
    assert set(watched.inspector.asked) == {watched.stage.plan.gateways[HOME]}


@pytest.mark.asyncio
async def test_readiness_says_how_the_verifier_of_each_gateway_stands() -> None:
    watched = Watched(shown())
    assert watched.fact() == Fact(
        "keys vault sim:home",
        Standing.UNTOLD,
        "too few endpoints show the verifier alike",
        "see the endpoints",
    )

    await watched.look(2)
    assert watched.fact() == Fact("keys vault sim:home", Standing.HELD, "key epoch 1 from 0")
    assert watched.looked == [watched.fact()], "the log is told too, once a look is taken up"

    watched.inspector.state = None
    await watched.look(2)
    assert watched.fact().standing is Standing.UNTOLD
    assert len(watched.told) == 1


@dataclass
class Hands:
    """What rotation deeds hand on."""

    said: list[tuple[bytes, bytes]] = field(default_factory=list)
    carried: list[GatewayCall] = field(default_factory=list)
    told: list[Event] = field(default_factory=list)

    async def say(self, payload: bytes, signature: bytes) -> None:
        self.said.append((payload, signature))

    async def carry(self, call: GatewayCall) -> Submission:
        self.carried.append(call)
        return Submission(SubmissionStatus.LANDED)

    async def put(self, event: Event) -> None:
        self.told.append(event)


@pytest.mark.asyncio
async def test_a_rotation_is_signed_said_once_and_another_refused_by_name(tmp_path: Path) -> None:
    keys = generate(tmp_path / "keys", PASSPHRASE, cost=KdfCost(passes=1, memory_bytes=8 << 10))
    hands = Hands()

    def payload(message: Message, committee_epoch: int | None) -> bytes:
        assert committee_epoch == 1
        author = Identity(keys.identity)
        return payload_of(message, committee=COMMITTEE, author=author, at_ms=Millis(7))

    async with open_signer(
        tmp_path / "keys", guard_path=tmp_path / "guard" / "guard.sqlite", passphrase=PASSPHRASE
    ) as signer:
        deeds = RotationDeeds(signer, lambda: Millis(7), payload, hands.say, hands.carry, hands.put)
        await deeds.do(SignRotation(ROTATION, form(ROTATION), 1))
        await signer.release_guard()
        await deeds.do(SignRotation(ROTATION, form(ROTATION), 1))
        other = replace(ROTATION, revoke_previous=True)
        await deeds.do(SignRotation(other, form(other), 1))

    ((said, signature),) = hands.said
    envelope, message = seal(said, signature)
    assert open_envelope(assemble_envelope(said, signature)).author == keys.identity
    assert isinstance(message, RotationSigned)
    assert envelope.kind == "rotation"
    assert recover_address(struct_digest(form(ROTATION)), message.signature) == keys.attester
    assert hands.told == [
        RotationRefused(HOME, 2, "not yet released"),
        RotationRefused(HOME, 2, "conflicting digest"),
    ]


@pytest.mark.asyncio
async def test_a_call_is_carried_and_its_end_told(tmp_path: Path) -> None:
    hands, call = Hands(), Rotate(ROTATION, None, b"\x01")
    deeds = RotationDeeds(None, lambda: Millis(7), None, hands.say, hands.carry, hands.put)  # type: ignore[arg-type]

    await deeds.do(SubmitRotation(Digest(b"k" * 32), call))

    assert hands.carried == [call]
    assert hands.told == [RotationEnded(b"k" * 32, Submission(SubmissionStatus.LANDED), Millis(7))]


@pytest.mark.asyncio
async def test_a_verifier_with_group_keys_holds_only_once_their_document_is_in_force_here() -> None:
    holders = [each.identity for each in COMMITTEE.members]
    document = deal(holders, COMMITTEE.network, random.Random(1)).document
    fast, full = document.groups
    plain = shown()
    (epoch,) = plain.epochs
    watched = Watched(replace(plain, epochs=(replace(epoch, groups=(fast.key, full.key)),)))
    await watched.look()
    for event in watched.told:
        watched.stage.node.advance(event)
    assert watched.fact().standing is Standing.FAILED

    watched.stage.node.advance(KeysInForce(document, Millis(BEGIN_S * 1_000)))

    assert watched.fact().standing is Standing.HELD
