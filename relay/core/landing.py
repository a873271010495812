"""The last mile as the core sees it: what is sent, by whom first, whether it is still needed (SPEC 6.6)."""

from __future__ import annotations

from collections.abc import Iterable, Mapping
from dataclasses import dataclass, field, replace

from proofs.hashes import tagged
from proofs.mandate import ActLeaf, Op, leaf_proof
from relay.core.compiled import CompiledPlan
from relay.core.decisions import Prepared
from relay.core.effects import Effect, Notice, Page, PageKind, Submit
from relay.core.observations import GatewayEvent, GatewayEventKind
from relay.core.ports import ActCall, Execute, Expire, Submission, SubmissionStatus
from relay.core.submission import rank, stagger_ms
from relay.core.types import BlockRef, Caip2, Identity, Millis
from relay.core.view import ChainView

__all__ = ["Landing", "LandingSettings", "Pending"]

MAX_PENDING = 4_096
MAX_EFFECTS = 65_536
LONGEST_WAIT_MS = 30_000
"""Between two tries of a call that did not land, and between two looks at one that landed."""
NO_EFFECT_MS = 120_000
"""How long a certified protection may be without any effect before somebody is woken."""


@dataclass(frozen=True, slots=True)
class LandingSettings:
    """Who we are among whom, and how fast each chain makes blocks."""

    me: Identity
    members: tuple[Identity, ...]
    block_time_ms: Mapping[Caip2, int]


@dataclass(frozen=True, slots=True)
class Pending:
    """A call that may have to be sent; `prepared` is None for an expiry."""

    key: bytes
    call: ActCall
    since_ms: Millis
    due_ms: Millis
    lasts_s: int
    prepared: Prepared | None
    in_flight: bool = False
    tries: int = 0
    has_paged: bool = False


@dataclass(slots=True)
class Landing:
    """Calls to be sent and effects seen; deterministic, fed by the node."""

    settings: LandingSettings
    views: Mapping[Caip2, ChainView]
    pending: dict[bytes, Pending] = field(default_factory=dict)
    landed: dict[tuple[bytes, Caip2, bytes, bytes], tuple[GatewayEvent, BlockRef]] = field(
        default_factory=dict
    )
    """Gateway events by mandate digest, chain, gateway and act: a gateway speaks for its own acts only."""
    _newest_protect: dict[tuple[Caip2, bytes, bytes], int] = field(default_factory=dict)
    _newest_release: dict[tuple[Caip2, bytes, bytes], int] = field(default_factory=dict)
    _newest_landed: dict[tuple[Caip2, bytes, bytes], int] = field(default_factory=dict)

    # ---- what is to be sent

    def certified(self, prepared: Prepared, certificate: bytes, at_ms: Millis) -> None:
        """Queue one call per act leaf of a decision that has its certificate."""
        for leaf in prepared.leaves:
            self._remember(prepared, leaf)
            call = Execute(
                chain=leaf.chain,
                gateway=leaf.gateway,
                act_id=leaf.act_id,
                duration_s=leaf.duration_s,
                mandate=prepared.mandate,
                proof=tuple(leaf_proof(prepared.leaves, leaf)),
                certificate=certificate,
            )
            self._queue(prepared.id, call, lasts_s=leaf.duration_s, prepared=prepared, at_ms=at_ms)

    def look_for_expired(self, compiled: CompiledPlan, chain: Caip2, at_ms: Millis) -> None:
        """Queue the ending of acts of this plan on `chain` whose time is over."""
        view = self.views[chain]
        if view.tip is None:
            return
        for name, encoded in compiled.acts.items():
            act = compiled.plan.acts[name]
            if act.text.chain != chain:
                continue
            record = view.record(encoded.gateway, encoded.act_id, view.tip)
            if record is None or record.until >= view.tip.timestamp:
                continue
            subject = tagged(
                "tocsin/expiry/1", encoded.gateway + encoded.act_id + record.until.to_bytes(8, "big")
            )
            call = Expire(chain=chain, gateway=encoded.gateway, act_id=encoded.act_id)
            self._queue(subject, call, lasts_s=act.lasts_s, prepared=None, at_ms=at_ms)

    def due(self, at_ms: Millis) -> list[Effect]:
        """Give the calls to send now, and drop those that nobody needs any more."""
        effects = self._pages(at_ms)
        for pending in [
            item for item in self.pending.values() if item.due_ms <= at_ms and not item.in_flight
        ]:
            reason = self._needless(pending)
            if reason and self._may_return(pending):
                later = Millis(at_ms + LONGEST_WAIT_MS)
                self.pending[pending.key] = replace(pending, due_ms=later)
                continue
            if reason:
                del self.pending[pending.key]
                effects.append(Notice("submission dropped", {"reason": reason, "chain": pending.call.chain}))
                continue
            self.pending[pending.key] = replace(pending, in_flight=True, tries=pending.tries + 1)
            effects.append(Submit(pending.key, pending.call))
        return effects

    def next_due_ms(self) -> Millis | None:
        """Give when `due` is to be called next."""
        waiting = [pending.due_ms for pending in self.pending.values() if not pending.in_flight]
        return min(waiting, default=None)

    def ended(self, key: bytes, submission: Submission, at_ms: Millis) -> None:
        """Take a submission's end: a call that did not land is tried again after the stagger."""
        pending = self.pending.get(key)
        if pending is None:
            return
        wait = stagger_ms(self.settings.block_time_ms[pending.call.chain])
        if submission.status is not SubmissionStatus.NEEDLESS:
            # The gateway's event ends what landed, once we read it ourselves; what did not is tried until the
            # mandate is over, ever more slowly.
            wait = max(wait, min(wait << min(pending.tries, 8), LONGEST_WAIT_MS))
        self.pending[key] = replace(pending, in_flight=False, due_ms=Millis(at_ms + wait))

    def rearm(self, at_ms: Millis) -> None:
        """After a restart nothing is in flight any more."""
        for key, pending in self.pending.items():
            due = max(pending.due_ms, at_ms) if not pending.in_flight else at_ms
            self.pending[key] = replace(pending, in_flight=False, due_ms=Millis(due))

    # ---- what took effect

    def observed(self, event: GatewayEvent, block: BlockRef, prepared: Prepared | None) -> None:
        """Take note of a gateway's event that carries a decision; `prepared` is that decision, if it is
        known.
        """
        if event.mandate is None:
            return
        key = (event.mandate, block.chain, event.gateway, event.act_id)
        # A second submission of the same mandate changes nothing: what the first one did is what it did.
        if key not in self.landed or event.kind is not GatewayEventKind.NOOP:
            self.landed[key] = (event, block)
        if len(self.landed) > MAX_EFFECTS:
            del self.landed[next(iter(self.landed))]
        if prepared is not None and prepared.digest == event.mandate:
            act = (block.chain, event.gateway, event.act_id)
            self._newest_landed[act] = max(self._newest_landed.get(act, -1), prepared.mandate.not_before)

    def removed(self, blocks: Iterable[BlockRef]) -> None:
        """Forget what happened in blocks that left the chain, and the calls whose decisions were anchored
        there.
        """
        gone = {block.hash for block in blocks}
        for call in [item for item in self.pending.values() if _anchor_hash(item) in gone]:
            del self.pending[call.key]
        for key in [key for key, (_, block) in self.landed.items() if block.hash in gone]:
            del self.landed[key]

    def effect_of(self, prepared: Prepared, leaf: ActLeaf) -> tuple[GatewayEvent, BlockRef] | None:
        """Give what the leaf's own gateway said of this very mandate, NOOP included."""
        return self.landed.get((prepared.digest, leaf.chain, leaf.gateway, leaf.act_id))

    def has_any_effect(self, prepared: Prepared) -> bool:
        """Tell whether some act of a decision was seen at its gateway."""
        return any(self.effect_of(prepared, leaf) is not None for leaf in prepared.leaves)

    def is_spent(self, prepared: Prepared) -> bool:
        """Tell whether the mandate can change nothing any more (SPEC 7.3)."""
        return all(
            self._is_settled(prepared, leaf) or self._adds_nothing(prepared, leaf) for leaf in prepared.leaves
        )

    # ---- inside

    def _queue(
        self, subject: bytes, call: ActCall, *, lasts_s: int, prepared: Prepared | None, at_ms: Millis
    ) -> None:
        key = tagged("tocsin/submission/1", subject + call.chain.encode() + call.gateway + call.act_id)
        if key in self.pending or len(self.pending) >= MAX_PENDING:
            return
        place = rank(subject, call.chain, self.settings.members, self.settings.me)
        wait = place * stagger_ms(self.settings.block_time_ms[call.chain])
        self.pending[key] = Pending(key, call, at_ms, Millis(at_ms + wait), lasts_s, prepared)

    def _pages(self, at_ms: Millis) -> list[Effect]:
        """Wake somebody, once each, for protections that were certified long ago and have no effect."""
        effects: list[Effect] = []
        for pending in list(self.pending.values()):
            mandate = pending.prepared.mandate if pending.prepared is not None else None
            is_late = at_ms - pending.since_ms > NO_EFFECT_MS and not pending.has_paged
            if mandate is None or mandate.op is not Op.PROTECT or not is_late or self._needless(pending):
                continue
            self.pending[pending.key] = replace(pending, has_paged=True)
            text = f"decision {mandate.decision_id.hex()[:16]}: no effect on {pending.call.chain}"
            effects.append(Page(PageKind.NO_EFFECT, f"{text} after {pending.tries} tries"))
        return effects

    def _needless(self, pending: Pending) -> str:
        """Give why a call need not be sent (any more), or an empty string."""
        view, call = self.views[pending.call.chain], pending.call
        record = view.record(call.gateway, call.act_id, view.tip) if view.tip is not None else None
        if pending.prepared is None:
            over = record is not None and view.tip is not None and record.until < view.tip.timestamp
            return "" if over else "already ended"
        mandate = pending.prepared.mandate
        if self._settled_in(pending) is not None:
            return "seen in effect"
        if view.head is not None and view.head.timestamp > mandate.not_after:
            return "out of time"
        act = (call.chain, call.gateway, call.act_id)
        if mandate.op is Op.RELEASE and record is None:
            return "nothing to release"
        if mandate.op is Op.RELEASE:
            return "protected since" if self._newest_protect.get(act, -1) >= mandate.not_before else ""
        if record is None or view.tip is None:
            return "nothing to extend" if mandate.op is Op.EXTEND else ""
        # Skip what would add little, but never the first protect after a release was decided.
        after_release = (
            self._newest_landed.get(act, -1) < self._newest_release.get(act, -1) <= mandate.not_before
        )
        long_enough = (record.until - view.tip.timestamp) * 2 > pending.lasts_s
        return "in force long enough" if long_enough and not after_release else ""

    def _is_settled(self, prepared: Prepared, leaf: ActLeaf) -> bool:
        """Tell whether the mandate was carried out; a NOOP leaves it as usable as before (design 10)."""
        effect = self.effect_of(prepared, leaf)
        return effect is not None and effect[0].kind is not GatewayEventKind.NOOP

    def _settled_in(self, pending: Pending) -> BlockRef | None:
        """Give the block in which the gateway carried out this call, if it was seen."""
        call = pending.call
        if pending.prepared is None:
            return None
        key = (pending.prepared.digest, call.chain, call.gateway, call.act_id)
        event, block = self.landed.get(key, (None, None))
        return None if event is None or event.kind is GatewayEventKind.NOOP else block

    def _may_return(self, pending: Pending) -> bool:
        """Tell whether a re-org may still undo what was seen: then the call is kept."""
        block = self._settled_in(pending)
        return block is not None and not self.views[block.chain].is_final(block)

    def _adds_nothing(self, prepared: Prepared, leaf: ActLeaf) -> bool:
        if prepared.decision.op is Op.RELEASE:
            return False
        view = self.views[leaf.chain]
        record = view.record(leaf.gateway, leaf.act_id, view.tip) if view.tip is not None else None
        return record is not None and record.until >= prepared.mandate.not_before + leaf.duration_s

    def _remember(self, prepared: Prepared, leaf: ActLeaf) -> None:
        table = self._newest_release if prepared.decision.op is Op.RELEASE else self._newest_protect
        if prepared.decision.op is not Op.EXTEND:
            act = (leaf.chain, leaf.gateway, leaf.act_id)
            table[act] = max(table.get(act, -1), prepared.mandate.not_before)


def _anchor_hash(pending: Pending) -> bytes | None:
    return None if pending.prepared is None else pending.prepared.decision.anchor.hash
