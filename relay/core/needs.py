"""What gateways were seen to do, and whether a call is still needed (SPEC 6.6)."""

from __future__ import annotations

from collections.abc import Iterable, Mapping
from dataclasses import dataclass, field
from typing import Final

from proofs.mandate import ActLeaf, Op, Tier
from relay.core.calls import PATIENCE_MS, ActAt, Pending, act_of
from relay.core.decisions import Prepared
from relay.core.gateways import ActRecord
from relay.core.observations import GatewayEvent, GatewayEventKind
from relay.core.types import BlockRef, Caip2
from relay.core.view import ChainView

__all__ = ["Needs"]

MAX_EFFECTS: Final = 65_536


@dataclass(slots=True)
class Needs:
    """Gateways' events and what follows from them; deterministic, fed through `Landing`.

    `stagger_s` gives by chain how long each place in the order waits for the one before it.
    """

    views: Mapping[Caip2, ChainView]
    members: int
    stagger_s: Mapping[Caip2, int]
    landed: dict[tuple[bytes, Caip2, bytes, bytes], tuple[GatewayEvent, BlockRef]] = field(
        default_factory=dict
    )
    """Gateway events by mandate digest, chain, gateway and act: a gateway speaks for its own acts only."""
    _newest_protect: dict[ActAt, int] = field(default_factory=dict)
    _newest_release: dict[ActAt, int] = field(default_factory=dict)
    _newest_landed: dict[ActAt, int] = field(default_factory=dict)

    # ---- what happens

    def decided(self, prepared: Prepared) -> None:
        """Take note of a decision that has its certificate."""
        table = self._newest_release if prepared.decision.op is Op.RELEASE else self._newest_protect
        if prepared.decision.op is not Op.EXTEND:
            for leaf in prepared.leaves:
                act = (leaf.chain, leaf.gateway, leaf.act_id)
                table[act] = max(table.get(act, -1), prepared.mandate.not_before)

    def observed(self, event: GatewayEvent, block: BlockRef, prepared: Prepared | None) -> None:
        """Take note of a gateway's event; `prepared` is the decision that it carries, if that is known."""
        if event.mandate is None:
            return
        key = (event.mandate, block.chain, event.gateway, event.act_id)
        # A second submission of the same mandate changes nothing: what the first one did is what it did.
        if key not in self.landed or event.kind is not GatewayEventKind.NOOP:
            self.landed[key] = (event, block)
        if len(self.landed) > MAX_EFFECTS:
            del self.landed[next(iter(self.landed))]
        if prepared is not None and prepared.digest == event.mandate:
            act = act_of(event, block.chain)
            self._newest_landed[act] = max(self._newest_landed.get(act, -1), prepared.mandate.not_before)

    def removed(self, blocks: Iterable[BlockRef]) -> None:
        """Forget what happened in blocks that left the chain."""
        gone = {block.hash for block in blocks}
        for key in [key for key, (_, block) in self.landed.items() if block.hash in gone]:
            del self.landed[key]

    # ---- what took effect

    def effect_of(self, prepared: Prepared, leaf: ActLeaf) -> tuple[GatewayEvent, BlockRef] | None:
        """Give what the leaf's own gateway said of this very mandate, NOOP included."""
        return self.landed.get((prepared.digest, leaf.chain, leaf.gateway, leaf.act_id))

    def answer_to(self, pending: Pending) -> tuple[GatewayEvent, BlockRef] | None:
        """Give what the gateway said of a call's mandate, NOOP included."""
        if pending.prepared is None:
            return None
        return self.landed.get((pending.prepared.digest, *pending.act))

    def is_spent(self, prepared: Prepared) -> bool:
        """Tell whether the mandate can change nothing any more (SPEC 7.3)."""
        return all(
            self._is_settled(prepared, leaf) or self._adds_nothing(prepared, leaf) for leaf in prepared.leaves
        )

    def _is_settled(self, prepared: Prepared, leaf: ActLeaf) -> bool:
        """Tell whether the mandate was carried out; a NOOP leaves it as usable as before (design 10)."""
        effect = self.effect_of(prepared, leaf)
        return effect is not None and effect[0].kind is not GatewayEventKind.NOOP

    def _adds_nothing(self, prepared: Prepared, leaf: ActLeaf) -> bool:
        if prepared.decision.op is Op.RELEASE:
            return False
        record = self._record((leaf.chain, leaf.gateway, leaf.act_id))
        return record is not None and record.until >= prepared.mandate.not_before + leaf.duration_s

    # ---- what is still needed

    def over(self, pending: Pending) -> str:
        """Give why a call will never be needed again, or an empty string."""
        view = self.views[pending.call.chain]
        if pending.prepared is None:
            record = self._record(pending.act)
            is_over = record is not None and view.tip is not None and record.until < view.tip.timestamp
            return "" if is_over else "already ended"
        block = self._settled_in(pending)
        if block is not None and view.is_final(block):
            return "seen in effect"
        is_late = view.head is not None and view.head.timestamp > pending.prepared.mandate.not_after
        return (pending.rests or "out of time") if is_late else ""

    def rests(self, pending: Pending) -> str:
        """Give why a call need not be sent now, or an empty string; time or a re-org may change it."""
        if pending.prepared is None:
            return ""
        if self._settled_in(pending) is not None:
            return "seen in effect"
        newest = self._newest_record(pending.act)
        if newest is not None and newest.in_force:
            return self._rests_beside(pending, newest)
        mandate = pending.prepared.mandate
        if newest is not None and newest.ended_at >= mandate.not_before:
            return "ended since"
        if mandate.op is not Op.PROTECT:
            return f"nothing to {mandate.op.name.lower()}"
        return self._outdated(pending)

    def _rests_beside(self, pending: Pending, record: ActRecord) -> str:
        """Give why a call need not be sent while a record is in force."""
        assert pending.prepared is not None, "an expiry does not rest"
        mandate = pending.prepared.mandate
        outdated = self._outdated(pending)
        if outdated or mandate.op is Op.RELEASE:
            return outdated
        if record.until >= mandate.not_before + pending.lasts_s:
            return "adds nothing"
        return "in force long enough" if self.rest_s(pending, record) > 0 else ""

    def _outdated(self, pending: Pending) -> str:
        """Give what was decided since that speaks against a call."""
        assert pending.prepared is not None, "an expiry is not decided"
        mandate = pending.prepared.mandate
        if mandate.op is Op.RELEASE:
            protected = self._newest_protect.get(pending.act, -1) >= mandate.not_before
            return "protected since" if protected else ""
        released = self._newest_release.get(pending.act, -1) > mandate.not_before
        return "release decided since" if released and mandate.op is Op.PROTECT else ""

    def rest_s(self, pending: Pending, record: ActRecord) -> int:
        """Give for how many seconds of the chain's time a call would add too little to a record (SPEC 6.6).

        At its turn that is while more than half is left. A call that has rested waits for the last moment:
        the decision of the next slot may do better, and where it comes too late this one goes.
        """
        assert pending.prepared is not None, "an expiry adds nothing"
        mandate, tip = pending.prepared.mandate, self.views[pending.call.chain].tip
        # Skip what would add little, but never the first protect after a release was decided.
        released = self._newest_release.get(pending.act, -1)
        if tip is None or self._newest_landed.get(pending.act, -1) < released <= mandate.not_before:
            return 0
        left_s = record.until - tip.timestamp
        if not pending.rests:
            return left_s - pending.lasts_s // 2
        last_s = min(PATIENCE_MS // 1_000, pending.lasts_s // 4)
        place = pending.place + (self.members if mandate.tier is Tier.FULL else 0)
        turn_s = min(place * self.stagger_s[pending.call.chain], last_s // 2)
        return left_s - last_s + turn_s

    def overdue_s(self, act: ActAt) -> int:
        """Give for how long the time of an act's record has been over; 0 where there is none or it runs."""
        record, tip = self._record(act), self.views[act[0]].tip
        return 0 if record is None or tip is None else max(0, tip.timestamp - record.until)

    def lengthens(self, pending: Pending) -> bool:
        """Tell whether a call is needed, and would make the act's record end later than now."""
        tip = self.views[pending.call.chain].tip
        if pending.prepared is None or pending.prepared.mandate.op is Op.RELEASE or tip is None:
            return False
        ends_s = pending.prepared.mandate.not_before + pending.lasts_s
        return ends_s > tip.timestamp and not self.rests(pending) and not self.over(pending)

    def next_look_s(self, pending: Pending) -> int | None:
        """Give in how many seconds of the chain's time a resting call may be needed; None: cannot be told."""
        record = self._record(pending.act)
        return None if record is None or pending.prepared is None else self.rest_s(pending, record)

    def _settled_in(self, pending: Pending) -> BlockRef | None:
        """Give the block in which the gateway carried out this call, if it was seen."""
        event, block = self.answer_to(pending) or (None, None)
        return None if event is None or event.kind is GatewayEventKind.NOOP else block

    def _record(self, act: ActAt) -> ActRecord | None:
        newest = self._newest_record(act)
        return newest if newest is not None and newest.in_force else None

    def _newest_record(self, act: ActAt) -> ActRecord | None:
        chain, gateway, act_id = act
        view = self.views[chain]
        return None if view.tip is None else view.last_record(gateway, act_id, view.tip)
