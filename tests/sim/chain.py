"""A simulated chain: blocks with events, calls and gateways, re-orgs that take all of it back."""

from __future__ import annotations

import copy
from collections.abc import Callable, Mapping
from dataclasses import dataclass, field, replace

from proofs.committee import CommitteeDocument
from proofs.errors import ProofError
from proofs.groupkeys import group_name
from proofs.hashes import sha256
from proofs.mandate import (
    CERTIFICATE_FROST,
    ActLeaf,
    Mandate,
    mandate_digest,
    verify_certificate,
    verify_frost_certificate,
    verify_leaf,
)
from relay.core.compiled import CompiledPlan, merge_queries
from relay.core.effects import Anchor
from relay.core.gateways import NO_PLAN
from relay.core.observations import (
    BlockReads,
    CallValue,
    ChainQueries,
    EndedHow,
    EventRow,
    Field,
    GatewayEvent,
    GatewayEventKind,
    PlanRegistered,
)
from relay.core.ports import ActCall, Execute, Expire, Submission, SubmissionStatus
from relay.core.types import ActHash, BlockRef, Caip2, Digest, Header, Identity
from relay.core.types import Gateway as GatewayAddress
from tests.sim.dealer import Dealt
from tests.sim.gateway import Budget, Gateway, Order, Refused, Result
from tests.sim.plans import ACTS

GENESIS_S = 1_700_000_000
KINDS = {
    Result.STARTED: GatewayEventKind.STARTED,
    Result.EXTENDED: GatewayEventKind.EXTENDED,
    Result.NOOP: GatewayEventKind.NOOP,
    Result.ENDED: GatewayEventKind.ENDED,
}


@dataclass(frozen=True)
class ChainTerms:
    """How a chain lives. `final_depth` blocks make the one below them final."""

    name: Caip2
    block_s: int
    final_depth: int


@dataclass
class Sent:
    """A transaction, and whom to tell what became of it."""

    call: ActCall
    tell: Callable[[Submission], None]


@dataclass(frozen=True)
class Landing:
    """A mandate that a gateway accepted: what the tests judge."""

    call: Execute
    block: BlockRef
    result: Result


@dataclass
class World:
    """What stands on a chain at one block; copied for every block, so that a re-org is exact."""

    gateways: dict[bytes, Gateway]
    calls: dict[str, CallValue]


@dataclass(frozen=True)
class Rotated:
    """A verifier takes a committee's key epoch from `from_s` on, and the one before until `until_s`."""

    committee: CommitteeDocument
    from_s: int
    until_s: int


@dataclass
class SimChain:
    """One chain, grown by `mine`; `queries` says what its blocks show to nodes."""

    terms: ChainTerms
    queries: ChainQueries
    plans: tuple[CompiledPlan, ...]
    committee: CommitteeDocument
    blocks: list[BlockReads] = field(default_factory=list)
    pending: list[Sent] = field(default_factory=list)
    emitted: list[tuple[str, Mapping[str, Field]]] = field(default_factory=list)
    """Events of the next block, by the start of their signature."""
    landings: list[Landing] = field(default_factory=list)
    registering: bool = True
    rotated: list[Rotated] = field(default_factory=list)
    """Later key epochs of this chain's verifier."""
    group_keys: list[Dealt] = field(default_factory=list)
    """Group keys that the verifier takes signatures by."""
    anchors: list[tuple[Identity, Anchor]] = field(default_factory=list)
    """Checkpoints that members put here; what they hold does not matter to the simulation."""
    _worlds: list[World] = field(default_factory=list)
    _forks: int = 0
    _count: int = 0

    def __post_init__(self) -> None:
        self.world = World(
            {address: self._gateway(address) for address in self.queries.gateways},
            {query.call: CallValue(index, 1, None) for index, query in enumerate(self.queries.calls)},
        )

    def _gateway(self, address: bytes) -> Gateway:
        names = [name for plan in self.plans for name, act in plan.acts.items() if act.gateway == address]
        return Gateway({name: ACTS[name] for name in names}, Budget(100_000, 50_000, 80_000, 50), skew=5)

    @property
    def head(self) -> BlockRef:
        return self.blocks[-1].header.block

    @property
    def final(self) -> BlockRef | None:
        depth = self.terms.final_depth
        return self.blocks[-1 - depth].header.block if len(self.blocks) > depth else None

    def contains(self, block: BlockRef) -> bool:
        """Tell whether a block is on the chain."""
        return 0 < block.number <= len(self.blocks) and self.blocks[block.number - 1].header.block == block

    def set_call(self, call: str, value: int | None, fault: str | None = None) -> None:
        """Change what a read-only call answers from the next block on."""
        self.world.calls[call] = replace(self.world.calls[call], value=value, fault=fault)

    # ---- growing

    def mine(self, timestamp: int) -> None:
        """Make the next block, with everything that is waiting."""
        number = len(self.blocks) + 1
        parent = self.blocks[-1].header.block.hash if self.blocks else bytes(32)
        seed = f"{self.terms.name}/{number}/{self._forks}".encode()
        block = BlockRef(self.terms.name, Digest(sha256(seed + parent)), number, timestamp)
        emitted, self.emitted = self.emitted, []
        pending, self.pending = self.pending, []
        rows = tuple(self._row(name, fields, index) for index, (name, fields) in enumerate(emitted))
        events = [event for sent in pending if (event := self._run(sent, block)) is not None]
        plans = self._registrations() if self.registering and number == 1 else ()
        self.blocks.append(
            BlockReads(
                Header(block, parent),
                rows,
                tuple(sorted(self.world.calls.values(), key=lambda call: call.query)),
                tuple(events),
                plans,
            )
        )
        self._worlds.append(copy.deepcopy(self.world))

    def reorg(self, depth: int) -> None:
        """Drop the newest `depth` blocks; their events happen again in the next block, their gateway calls
        do not.
        """
        depth = min(depth, self.terms.final_depth - 1, len(self.blocks) - 2)
        if depth < 1:
            return
        for reads in self.blocks[-depth:]:
            for row in reads.rows:
                self.emitted.append((self.queries.events[row.query].event, row.fields))
        self.landings = [
            landing for landing in self.landings if landing.block.number <= len(self.blocks) - depth
        ]
        calls = self.world.calls
        del self.blocks[-depth:], self._worlds[-depth:]
        self._forks += 1
        self.world = copy.deepcopy(self._worlds[-1])
        self.world.calls = calls

    def _row(self, name: str, fields: Mapping[str, Field], index: int) -> EventRow:
        query = next(i for i, asked in enumerate(self.queries.events) if asked.event.startswith(name))
        return EventRow(query, index, sha256(f"row/{index}".encode()), fields)

    def _registrations(self) -> tuple[PlanRegistered, ...]:
        return tuple(
            PlanRegistered(plan.gateways[self.terms.name], index, plan.plan.hash, NO_PLAN, 0)
            for index, plan in enumerate(self.plans)
            if plan.plan.clock.reference == self.terms.name
        )

    # ---- gateways

    def simulate(self, call: ActCall) -> Submission | None:
        """Try a call as the next block would; None where it goes and changes something, or is to say that
        it does not.
        """
        now = self.head.timestamp + self.terms.block_s
        world, landings, count = self.world, list(self.landings), self._count
        self.world = copy.deepcopy(world)
        try:
            event = self._execute(call, replace(self.head, timestamp=now), bytes(32))
        except (Refused, ProofError) as error:
            return Submission(SubmissionStatus.REFUSED, reason=_named(error))
        finally:
            self.world, self.landings, self._count = world, landings, count
        is_needless = event.kind is GatewayEventKind.NOOP and isinstance(call, Execute) and not call.says_noop
        return Submission(SubmissionStatus.NEEDLESS, reason="already protected") if is_needless else None

    def _run(self, sent: Sent, block: BlockRef) -> GatewayEvent | None:
        self._count += 1
        tx = sha256(f"{self.terms.name}/tx/{self._count}".encode())
        try:
            event = self._execute(sent.call, block, tx)
        except (Refused, ProofError) as error:
            sent.tell(Submission(SubmissionStatus.REVERTED, tx, block, reason=_named(error)))
            return None
        sent.tell(Submission(SubmissionStatus.LANDED, tx, block, 90_000))
        return event

    def _execute(self, call: ActCall, block: BlockRef, tx: bytes) -> GatewayEvent:
        gateway = self.world.gateways[call.gateway]
        name = next(
            name
            for plan in self.plans
            for name, act in plan.acts.items()
            if (act.gateway, act.act_id) == (call.gateway, call.act_id)
        )
        if isinstance(call, Expire):
            result = gateway.expire(name, block.timestamp)
        else:
            self.check(call, name)
            mandate = call.mandate
            order = Order(
                mandate.op,
                mandate.tier,
                mandate.not_before,
                mandate.not_after,
                call.duration_s,
                mandate.not_before,
            )
            result = gateway.execute(order, name, block.timestamp)
            self.landings.append(Landing(call, block, result))
        return self._event(call, gateway, name, result, tx)

    def _event(self, call: ActCall, gateway: Gateway, name: str, result: Result, tx: bytes) -> GatewayEvent:
        event = GatewayEvent(
            gateway=GatewayAddress(call.gateway),
            kind=KINDS[result],
            act_id=call.act_id,
            tx=tx,
            log_index=0,
            gas_used=90_000,
            mandate=mandate_digest(call.mandate) if isinstance(call, Execute) else None,
        )
        if result is Result.ENDED:
            end = gateway.ends[-1]
            return replace(event, how=EndedHow(end.how), ended_at=end.ended_at, undone=end.undone)
        assert isinstance(call, Execute)
        until = gateway.records[name].until if name in gateway.records else 0
        return replace(
            event,
            decision_id=call.mandate.decision_id,
            tier=int(call.mandate.tier),
            until=0 if result is Result.NOOP else until,
        )

    def check(self, call: Execute, name: str) -> None:
        """Check what the contract and its verifier check before anything happens.

        Raises:
            Refused: another network, key epoch or plan.
            ProofError: the leaf is not under the mandate's root, or the certificate is not good.
        """
        mandate = call.mandate
        committee = self._accepted(mandate.key_epoch)
        if mandate.network != self.committee.network or committee is None:
            raise Refused("WrongNetwork")
        plan = next(plan for plan in self.plans if plan.plan.hash == mandate.plan_hash)
        act_hash = ActHash(plan.acts[name].act_hash)
        leaf = ActLeaf(self.terms.name, call.gateway, call.act_id, act_hash, call.duration_s)
        verify_leaf(leaf, call.proof, mandate.acts_root)
        if call.certificate[:1] == bytes([CERTIFICATE_FROST]):
            verify_frost_certificate(mandate_digest(mandate), call.certificate, self._group_key(mandate))
            return
        verify_certificate(
            mandate_digest(mandate),
            call.certificate,
            set(committee.attesters()),
            committee.threshold(mandate.tier),
        )

    def _group_key(self, mandate: Mandate) -> bytes:
        for dealt in self.group_keys:
            group = dealt.document.group(group_name(mandate.tier))
            if dealt.document.key_epoch == mandate.key_epoch and group is not None:
                return group.key
        raise Refused("NoGroupKey")

    def _accepted(self, key_epoch: int) -> CommitteeDocument | None:
        """Give the committee of a key epoch that the verifier takes in the next block, if it does."""
        now_s, accepted = self.head.timestamp + self.terms.block_s, self.committee
        for rotated in self.rotated:
            is_over = now_s >= rotated.until_s
            if accepted.key_epoch == key_epoch:
                return None if is_over else accepted
            if now_s < rotated.from_s:
                return None
            accepted = rotated.committee
        return accepted if accepted.key_epoch == key_epoch else None


def _named(error: Refused | ProofError) -> str:
    return str(error.args[0]) if isinstance(error, Refused) else str(error)


def make_chains(
    plans: tuple[CompiledPlan, ...], committee: CommitteeDocument, terms: tuple[ChainTerms, ...]
) -> dict[Caip2, SimChain]:
    """Make the chains that the plans read, without blocks."""
    queries = merge_queries(plans)
    return {each.name: SimChain(each, queries[each.name], plans, committee) for each in terms}
