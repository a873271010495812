"""Two chains with real gateways and verifiers are handed over to the next committee (threshold SPEC 5)."""

from __future__ import annotations

import random
from contextlib import AsyncExitStack
from dataclasses import dataclass, field, replace

import pytest

from adapters.evm import adapter
from adapters.evm.devchain import AnvilSettings, start_anvil
from adapters.evm.endpoint import open_endpoint
from adapters.evm.rotations import rotation_digest
from proofs.decision import BlockRef
from proofs.groupkeys import group_name
from proofs.mandate import (
    ActLeaf,
    Mandate,
    Op,
    Tier,
    acts_root,
    encode_certificate,
    encode_frost_certificate,
    key_proof_digest,
    leaf_proof,
    mandate_digest,
)
from relay.core.committees import Committees
from relay.core.effects import SignRotation, SubmitRotation
from relay.core.handover_facts import verifier_fact
from relay.core.handovers import Handovers, Sources
from relay.core.messages import RotationSigned
from relay.core.ports import ChainSettings, EndpointAddress, Execute, SubmissionStatus
from relay.core.readiness import Standing
from relay.core.types import Caip2, Digest, Millis
from relay.threshold.frost import sign_alone
from relay.threshold.groups import SECP256K1
from relay.threshold.messages import RotationTerms
from tests.adapters.evm.conftest import CHAIN_IDS, Bench
from tests.adapters.evm.door import LASTS_S, PLAN, Door, build_door
from tests.sim.dealer import deal
from tests.sim.keys import Keys, committee_after, committee_of

BEGIN_S = 1_600_000_000
DELAY_S, OVERLAP_S = 600, 400
ACTIVE_S = BEGIN_S + 800
"""When the next committee is in force."""
TERMS = RotationTerms(not_before=BEGIN_S, not_after=BEGIN_S + 3_000, revoke=False)
OLD, KEYS = committee_of(4)
NEW = committee_after(OLD, ("alice", "bob", "carol", "erin"), activates_at=ACTIVE_S)
DEALT = deal(
    [member.identity for member in NEW.members],
    OLD.network,
    random.Random(8),
    key_epoch=2,
    committee_epoch=2,
)


def possession(key: bytes) -> bytes | None:
    for tier in (Tier.FAST, Tier.FULL):
        name = group_name(tier)
        group = DEALT.document.group(name)
        if group is not None and group.key == key:
            digest = key_proof_digest(OLD.network, 2, tier, group.key)
            return encode_frost_certificate(sign_alone(SECP256K1, DEALT.secrets[name], digest, b"seed"))
    return None


def handovers(name: str, terms: RotationTerms) -> Handovers:
    sources = Sources(lambda: (DEALT.document,), lambda _: terms, possession)
    form = adapter().office().rotation_bytes
    return Handovers(Keys(name).identity, Committees((OLD, NEW)), form, {}, sources)


@dataclass
class Place:
    """One chain: a gateway, its verifier, and what decisions do there."""

    door: Door
    settings: ChainSettings
    count: int = 0

    @property
    def chain(self) -> Caip2:
        return self.settings.chain

    async def go_to(self, at_s: int) -> None:
        await self.door.bench.anvil.mine(timestamp=at_s)

    async def time(self) -> int:
        return (await self.head()).timestamp

    async def head(self) -> BlockRef:
        return (await self.door.bench.endpoint.head()).block

    async def state(self):
        async with adapter().inspector(self.settings) as inspector:
            return await inspector.look_at_verifier(self.door.act.gateway)

    async def decide(self, key_epoch: int, *, by_group: bool = False):
        """Carry out a fast protection of the newest block, signed by the committee of a key epoch."""
        await self.go_to(await self.time() + 2)  # a mandate of one second with the record's adds nothing
        now, act = await self.time(), self.door.act
        self.count += 1
        leaf = ActLeaf(self.chain, act.gateway, act.act_id, act.act_hash, LASTS_S)
        decision = Digest(self.count.to_bytes(32, "big"))
        mandate = Mandate(
            OLD.network, key_epoch, Tier.FAST, PLAN, Op.PROTECT, decision, acts_root([leaf]), now, now + 1_800
        )
        digest = mandate_digest(mandate)
        if by_group:
            certificate = encode_frost_certificate(
                sign_alone(SECP256K1, DEALT.secrets["fast"], digest, b"decision")
            )
        else:
            names = ("alice", "dave") if key_epoch == 1 else ("alice", "erin")
            signed = {Keys(name).attester: Keys(name).sign_mandate(digest) for name in names}
            certificate = encode_certificate(dict(sorted(signed.items())))
        proof = tuple(leaf_proof([leaf], leaf))
        call = Execute(self.chain, act.gateway, act.act_id, LASTS_S, mandate, proof, certificate)
        return await self.door.submit_automined(call)


@dataclass
class Members:
    """The old committee's members, each with its own handovers, and mail between them that is never late."""

    terms: RotationTerms = TERMS
    each: dict[str, Handovers] = field(init=False)
    sent: list[tuple[str, Caip2, SubmissionStatus]] = field(default_factory=list)

    def __post_init__(self) -> None:
        self.each = {name: handovers(name, self.terms) for name in KEYS}

    async def look(self, *places: Place) -> None:
        for place in places:
            state = await place.state()
            assert state is not None
            for core in self.each.values():
                core.seen(place.door.act.gateway, state)

    async def turn(self, *places: Place, late_ms: int = 0) -> None:
        """Let every member do what is due."""
        heads = {place.chain: await place.time() for place in places}
        by_chain = {place.chain: place for place in places}
        now_ms = Millis(max(heads.values()) * 1_000 + late_ms)
        for name, core in self.each.items():
            for effect in core.due(now_ms, heads):
                if isinstance(effect, SignRotation):
                    self.sign(name, effect)
                if isinstance(effect, SubmitRotation):
                    submission = await by_chain[effect.call.chain].door.submit_automined(effect.call)
                    self.sent.append((name, effect.call.chain, submission.status))
                    core.ended(effect.key, submission, now_ms)

    def sign(self, name: str, effect: SignRotation) -> None:
        digest = rotation_digest(effect.rotation)
        rotation = effect.rotation
        said = RotationSigned(
            rotation.chain, rotation.verifier, effect.struct, Keys(name).sign_mandate(digest)
        )
        envelope, _ = Keys(name).say(said, OLD, BEGIN_S * 1_000)
        for core in self.each.values():
            core.heard(envelope, said)


async def open_place(stack: AsyncExitStack) -> Place:
    settings = AnvilSettings(next(CHAIN_IDS), timestamp=BEGIN_S - 600)
    anvil = await stack.enter_async_context(start_anvil(settings))
    endpoints = tuple(EndpointAddress(name, anvil.url) for name in ("north", "east"))
    own = ChainSettings(anvil.chain, endpoints, need=2, block_time_ms=12_000, finality="depth:2")
    endpoint = await stack.enter_async_context(open_endpoint(own, endpoints[0]))
    bench = Bench(anvil, own, endpoint, (await anvil.accounts())[0], "", "")
    attesters = [keys.attester_key for keys in KEYS.values()]
    door = await build_door(bench, attesters=attesters, network=OLD.network, notice_s=(DELAY_S, OVERLAP_S))
    return Place(door, own)


@pytest.mark.asyncio
async def test_both_verifiers_are_handed_over_while_decisions_go_on_on_chains_at_different_epochs() -> None:
    async with AsyncExitStack() as stack:
        near, far = await open_place(stack), await open_place(stack)
        both, members = (near, far), Members()
        for place in both:
            await place.go_to(BEGIN_S)
            assert (await place.decide(1)).status is SubmissionStatus.LANDED

        # The near verifier is rotated first; nobody can read the far one for a while.
        for place in both:
            await members.look(place)
            await members.turn(*both)
            await members.turn(*both, late_ms=1)
            landed = {chain for _, chain, status in members.sent if status is SubmissionStatus.LANDED}
            assert place.chain in landed
            await far.go_to(await far.time() + 100)
        await members.look(*both)
        states = [await place.state() for place in both]
        for state in states:
            assert state is not None
            assert [epoch.key_epoch for epoch in state.epochs] == [1, 2]
            assert state.newest.groups == tuple(group.key for group in DEALT.document.groups)
            committees = Committees((OLD, NEW))
            fact = verifier_fact("keys", state, committees, BEGIN_S + 101, keys=[DEALT.document])
            assert fact.standing is Standing.HELD, fact.reason
        assert all(handover.is_done for core in members.each.values() for handover in core.all())
        assert len(set(members.sent)) == len(members.sent) <= 2 * (OLD.f + 1)

        # Near takes both key epochs, far still the old one alone.
        opened = [state.newest.valid_from for state in states if state is not None]
        assert opened[0] < opened[1]
        for place in both:
            await place.go_to(opened[1] - 20)
            assert (await place.decide(1)).status is SubmissionStatus.LANDED
        assert (await near.decide(2)).status is SubmissionStatus.LANDED
        assert (await far.decide(2)).status is SubmissionStatus.REFUSED

        # The next committee is in force where every verifier takes both.
        for place in both:
            await place.go_to(ACTIVE_S)
            assert (await place.decide(2)).status is SubmissionStatus.LANDED
            assert (await place.decide(2, by_group=True)).status is SubmissionStatus.LANDED
            assert (await place.decide(1)).status is SubmissionStatus.LANDED

        # Once the overlap is over, nobody takes the old one.
        for place, state in zip(both, states, strict=True):
            assert state is not None
            await place.go_to(state.epochs[0].valid_until + 1)
            assert (await place.decide(1)).status is SubmissionStatus.REFUSED
            assert (await place.decide(2)).status is SubmissionStatus.LANDED


@pytest.mark.asyncio
async def test_who_comes_second_does_no_harm_and_revoked_keys_end_at_once() -> None:
    async with AsyncExitStack() as stack:
        place = await open_place(stack)
        members = Members(replace(TERMS, revoke=True))
        await place.go_to(BEGIN_S)
        await members.look(place)

        # Nobody looks again in between: the second in the order sends the same.
        for late_ms in (0, 1, 100_000):
            await members.turn(place, late_ms=late_ms)

        assert len({name for name, _, _ in members.sent}) == OLD.f + 1
        assert members.sent[0][2] is SubmissionStatus.LANDED
        assert {status for _, _, status in members.sent} <= {
            SubmissionStatus.LANDED,
            SubmissionStatus.NEEDLESS,
        }
        state = await place.state()
        assert state is not None
        assert state.epochs[0].valid_until == state.newest.valid_from - 1
        await place.go_to(state.newest.valid_from)
        assert (await place.decide(1)).status is SubmissionStatus.REFUSED
        assert (await place.decide(2, by_group=True)).status is SubmissionStatus.LANDED
