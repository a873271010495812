"""The last mile as the core sees it: what is sent, by whom first, and what is said of failures (SPEC 6.6)."""

from __future__ import annotations

from collections.abc import Iterable, Mapping
from dataclasses import dataclass, field, replace
from typing import Final

from proofs.committee import CommitteeDocument
from proofs.hashes import tagged
from proofs.mandate import ActLeaf, Op, leaf_proof
from relay.core.calls import (
    PATIENCE_MS,
    ActAt,
    Pending,
    act_of,
    call_key,
    improved,
    is_hopeless,
    reason_of,
    refused,
    unlanded_of,
)
from relay.core.committees import Committees
from relay.core.compiled import CompiledPlan
from relay.core.decisions import Prepared
from relay.core.effects import Effect, Notice, Page, PageKind, SignStatement, Submit
from relay.core.messages import Unlanded
from relay.core.needs import Needs
from relay.core.observations import GatewayEvent
from relay.core.ports import ActCall, Execute, Expire, Submission, SubmissionStatus
from relay.core.submission import rank, stagger_ms
from relay.core.types import BlockRef, Caip2, Identity, Millis
from relay.core.view import ChainView

__all__ = ["Landing", "LandingSettings", "Pending"]

MAX_PENDING: Final = 4_096
MAX_STATED: Final = 65_536
LONGEST_WAIT_MS: Final = 30_000
"""Between two tries of a call that did not land, and between two looks at one that rests."""
STALE_S: Final = 600
"""A mandate that is over for longer than this wakes nobody: whoever was away reads of it in the log."""
_FAILED: Final = (
    SubmissionStatus.REVERTED,
    SubmissionStatus.REFUSED,
    SubmissionStatus.UNFUNDED,
    SubmissionStatus.TIMED_OUT,
    SubmissionStatus.UNAVAILABLE,
)


@dataclass(frozen=True, slots=True)
class LandingSettings:
    """Who we are, and how fast each chain makes blocks."""

    me: Identity
    block_time_ms: Mapping[Caip2, int]


@dataclass(slots=True)
class Landing:
    """Calls to be sent and effects seen; deterministic, fed by the node."""

    settings: LandingSettings
    committees: Committees
    views: Mapping[Caip2, ChainView]
    pending: dict[bytes, Pending] = field(default_factory=dict)
    needs: Needs = field(init=False)
    _stated: dict[bytes, None] = field(default_factory=dict)
    """Calls of which we have said that they do not land."""

    def __post_init__(self) -> None:
        staggers = {chain: stagger_ms(ms) // 1_000 for chain, ms in self.settings.block_time_ms.items()}
        self.needs = Needs(self.views, len(self.committees.newest.members), staggers)

    def learned(self, committees: Committees) -> None:
        """Take the documents known from now on."""
        self.committees = committees
        self.needs.members = max(self.needs.members, len(committees.newest.members))

    # ---- what is to be sent

    def certified(
        self,
        prepared: Prepared,
        certificate: bytes,
        at_ms: Millis,
        *,
        opens_next: bool = False,
        hold_ms: int = 0,
    ) -> list[Effect]:
        """Queue one call per act leaf of a decision that has its certificate, if we were in its committee.

        `opens_next`: where the acts are protected already, the gateway is to say so (SPEC 5.4.1). `hold_ms`:
        for so long a threshold certificate is waited for (threshold SPEC 4.1).
        """
        self.needs.decided(prepared)
        effects: list[Effect] = []
        document = self.committees.of(prepared.decision)
        if document is None or document.member(self.settings.me) is None:
            return effects
        for leaf in prepared.leaves:
            call = Execute(
                chain=leaf.chain,
                gateway=leaf.gateway,
                act_id=leaf.act_id,
                duration_s=leaf.duration_s,
                mandate=prepared.mandate,
                proof=tuple(leaf_proof(prepared.leaves, leaf)),
                certificate=certificate,
            )
            pending = self._make(prepared.id, call, leaf.duration_s, document, at_ms)
            due = Millis(pending.due_ms + hold_ms)
            pending = replace(pending, prepared=prepared, opens_next=opens_next, due_ms=due, held_ms=hold_ms)
            effects += [*self._supersede(pending), *self._queue(pending)]
        return effects

    def improved(self, prepared: Prepared, certificate: bytes, at_ms: Millis) -> None:
        """Send this certificate from now on for the calls of a decision that are not under way."""
        for key, pending in self.pending.items():
            if pending.prepared is not None and pending.prepared.digest == prepared.digest:
                self.pending[key] = improved(pending, certificate, at_ms)

    def look_for_expired(self, compiled: CompiledPlan, chain: Caip2, at_ms: Millis) -> list[Effect]:
        """Queue the ending of acts of this plan on `chain` whose time is over."""
        view = self.views[chain]
        effects: list[Effect] = []
        if view.tip is None:
            return effects
        document = self.committees.in_force(view.tip.timestamp)
        if document.member(self.settings.me) is None:
            return effects
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
            effects += self._queue(self._make(subject, call, act.lasts_s, document, at_ms))
        return effects

    def due(self, at_ms: Millis) -> list[Effect]:
        """Give the calls to send now, drop those that nobody will need, and wake people for what fails."""
        effects: list[Effect] = []
        for key in list(self.pending):
            effects += self._alarms(key, at_ms)
        waiting = [each for each in self.pending.values() if each.due_ms <= at_ms and not each.in_flight]
        busy = self._under_way(at_ms)
        for pending in waiting:
            looked = self._look_at(pending, at_ms, is_busy=pending.act in busy)
            busy.update(act_of(effect.call) for effect in looked if isinstance(effect, Submit))
            effects += looked
        return effects

    def next_due_ms(self) -> Millis | None:
        """Give when `due` is to be called next."""
        waiting = [pending.due_ms for pending in self.pending.values() if not pending.in_flight]
        return min(waiting, default=None)

    def is_idle(self, chain: Caip2) -> bool:
        """Tell whether no call waits or is under way on a chain."""
        return not any(pending.call.chain == chain for pending in self.pending.values())

    def ended(self, key: bytes, submission: Submission, at_ms: Millis) -> list[Effect]:
        """Take a submission's end: a call that did not land is tried again after the stagger."""
        pending = self.pending.get(key)
        if pending is None:
            return []
        if (again := refused(pending, submission, at_ms)) is not None:
            self.pending[key] = again
            return []
        failures = pending.failures + (submission.status in _FAILED)
        wait_ms = self._wait_ms(pending, submission)
        self.pending[key] = replace(
            pending, in_flight=False, due_ms=Millis(at_ms + wait_ms), failures=failures, last=submission
        )
        return self._alarms(key, at_ms)

    def rearm(self, at_ms: Millis) -> None:
        """After a restart nothing is in flight any more, and nobody has been told anything."""
        for key, pending in self.pending.items():
            due = max(pending.due_ms, at_ms) if not pending.in_flight else at_ms
            self.pending[key] = replace(
                pending,
                in_flight=False,
                due_ms=Millis(due),
                has_paged=False,
                is_stated=key in self._stated,
            )

    # ---- what took effect

    @property
    def landed(self) -> Mapping[tuple[bytes, Caip2, bytes, bytes], tuple[GatewayEvent, BlockRef]]:
        """Gateway events by mandate digest, chain, gateway and act."""
        return self.needs.landed

    def removed(self, blocks: Iterable[BlockRef], at_ms: Millis) -> None:
        """Forget what happened in blocks that left the chain, and the calls whose decisions were anchored
        there; what had landed there is looked at again in its turn.
        """
        gone = {block.hash for block in blocks}
        for key, pending in list(self.pending.items()):
            _, block = self.needs.answer_to(pending) or (None, None)
            if pending.prepared is not None and pending.prepared.decision.anchor.hash in gone:
                del self.pending[key]
            elif block is not None and block.hash in gone:
                wait_ms = pending.place * self._stagger_ms(pending.call.chain)
                self.pending[key] = replace(pending, due_ms=Millis(at_ms + wait_ms), rests="")
        self.needs.removed(blocks)

    def stated(self, message: Unlanded) -> None:
        """Take note of our own statement that a call does not land."""
        key = call_key(message.decision_id, act_of(message))
        self._stated[key] = None
        if len(self._stated) > MAX_STATED:
            del self._stated[next(iter(self._stated))]
        if key in self.pending:
            self.pending[key] = replace(self.pending[key], is_stated=True)

    def effect_of(self, prepared: Prepared, leaf: ActLeaf) -> tuple[GatewayEvent, BlockRef] | None:
        """Give what the leaf's own gateway said of this very mandate, NOOP included."""
        return self.needs.effect_of(prepared, leaf)

    def has_any_effect(self, prepared: Prepared) -> bool:
        """Tell whether some act of a decision was seen at its gateway."""
        return any(self.effect_of(prepared, leaf) is not None for leaf in prepared.leaves)

    def is_spent(self, prepared: Prepared) -> bool:
        """Tell whether the mandate can change nothing any more (SPEC 7.3)."""
        return self.needs.is_spent(prepared)

    # ---- the queue

    def _make(
        self, subject: bytes, call: ActCall, lasts_s: int, document: CommitteeDocument, at_ms: Millis
    ) -> Pending:
        members = (member.identity for member in document.members)
        place = rank(subject, call.chain, members, self.settings.me)
        due_ms = Millis(at_ms + place * self._stagger_ms(call.chain))
        return Pending(call_key(subject, act_of(call)), call, at_ms, due_ms, lasts_s, place, None)

    def _queue(self, pending: Pending) -> list[Effect]:
        if pending.key in self.pending:
            return []
        if len(self.pending) >= MAX_PENDING:
            for other in [each for each in self.pending.values() if self.needs.over(each)]:
                del self.pending[other.key]
        if len(self.pending) >= MAX_PENDING:
            return [Page(PageKind.NO_EFFECT, f"{_name(pending)}: not queued, {MAX_PENDING} calls wait")]
        self.pending[pending.key] = replace(pending, is_stated=pending.key in self._stated)
        return []

    def _supersede(self, newer: Pending) -> list[Effect]:
        """Drop idle protections of the same act and tier: the newest alone is kept (SPEC 6.6)."""
        assert newer.prepared is not None, "only decisions are newer than others"
        decision = newer.prepared.decision
        effects: list[Effect] = []
        for older in list(self.pending.values()) if decision.op is Op.PROTECT else ():
            if older.prepared is None or older.act != newer.act or older.in_flight:
                continue
            why = older.rests or self._idles(older)
            if not why:
                continue
            mandate = older.prepared.mandate
            is_same = mandate.op is Op.PROTECT and mandate.tier is decision.tier
            if is_same and mandate.not_before < newer.prepared.mandate.not_before:
                del self.pending[older.key]
                effects.append(_dropped(older, f"{why}, and a newer decision"))
        return effects

    def _idles(self, pending: Pending) -> str:
        """Give why a call that does not rest is looked at in vain; not while its gateway is to say NOOP."""
        is_awaited = pending.opens_next and self.needs.answer_to(pending) is None
        return SubmissionStatus.NEEDLESS.value if pending.is_needless and not is_awaited else ""

    def _look_at(self, pending: Pending, at_ms: Millis, *, is_busy: bool) -> list[Effect]:
        over = self.needs.over(pending)
        if over:
            del self.pending[pending.key]
            return [*self._given_up(pending, over), _dropped(pending, over)]
        rests = self.needs.rests(pending)
        if rests:
            later = Millis(at_ms + self._rest_ms(pending))
            self.pending[pending.key] = replace(pending, since_ms=at_ms, due_ms=later, rests=rests)
            return [] if rests == pending.rests else [Notice("submission rests", _facts(pending, rests))]
        may_go_on = self._may_go_on(pending)
        if is_busy or may_go_on:
            later = Millis(at_ms + self._stagger_ms(pending.call.chain))
            since = at_ms if may_go_on else pending.since_ms
            self.pending[pending.key] = replace(pending, since_ms=since, due_ms=later, rests="")
            return []
        self.pending[pending.key] = replace(
            pending, in_flight=True, sent_ms=at_ms, tries=pending.tries + 1, rests=""
        )
        call = pending.call
        if isinstance(call, Execute) and pending.opens_next and pending.is_needless:
            call = replace(call, says_noop=self.needs.answer_to(pending) is None)
        return [Submit(pending.key, call)]

    def _may_go_on(self, expiry: Pending) -> bool:
        """Tell whether a call of ours may still lengthen the record that an expiry would end (SPEC 6.6)."""
        if expiry.prepared is not None or self.needs.overdue_s(expiry.act) >= PATIENCE_MS // 1_000:
            return False
        calls = (each for each in self.pending.values() if each.act == expiry.act)
        return any(not is_hopeless(each.last) and self.needs.lengthens(each) for each in calls)

    def _under_way(self, at_ms: Millis) -> set[ActAt]:
        """Give the acts of which a call is under way, and not for so long that nobody waits for it."""
        calls = self.pending.values()
        return {each.act for each in calls if each.in_flight and at_ms - each.sent_ms < PATIENCE_MS}

    def _wait_ms(self, pending: Pending, submission: Submission) -> int:
        """Give how long to wait after a submission.

        The gateway's event ends what landed, once we read it ourselves; what did not is tried until the
        mandate is over, ever more slowly.
        """
        wait = self._stagger_ms(pending.call.chain)
        if submission.status is SubmissionStatus.NEEDLESS:
            return wait
        if is_hopeless(submission):
            return max(wait, LONGEST_WAIT_MS)
        return max(wait, min(wait << min(pending.tries, 8), LONGEST_WAIT_MS))

    def _rest_ms(self, pending: Pending) -> int:
        rest_s = self.needs.next_look_s(pending)
        least = self._stagger_ms(pending.call.chain)
        return LONGEST_WAIT_MS if rest_s is None else max(least, min(rest_s * 1_000, LONGEST_WAIT_MS))

    def _stagger_ms(self, chain: Caip2) -> int:
        return stagger_ms(self.settings.block_time_ms[chain])

    # ---- never in silence

    def _alarms(self, key: bytes, at_ms: Millis) -> list[Effect]:
        """Wake somebody, once each, for a call without effect: at once where time heals nothing."""
        pending = self.pending[key]
        is_late = at_ms - pending.since_ms > PATIENCE_MS and bool(pending.tries or pending.failures)
        is_hopeless_now = is_hopeless(pending.last) and not pending.in_flight
        wants_page = (is_late or is_hopeless_now) and not pending.has_paged
        wants_word = is_late and not pending.is_stated
        if not (wants_page or wants_word) or self._is_answered(pending):
            return []
        self.pending[key] = replace(
            pending, has_paged=pending.has_paged or wants_page, is_stated=pending.is_stated or wants_word
        )
        return _told(pending, pages=wants_page, states=wants_word)

    def _given_up(self, pending: Pending, over: str) -> list[Effect]:
        """Tell of a call whose time has passed without effect, where nobody was told before."""
        prepared, head = pending.prepared, self.views[pending.call.chain].head
        has_failed = pending.failures > 0 or pending.in_flight
        if prepared is None or head is None or pending.rests or not has_failed or self._is_answered(pending):
            return []
        if over != "out of time" or head.timestamp > prepared.mandate.not_after + STALE_S:
            return []
        return _told(pending, pages=not pending.has_paged, states=not pending.is_stated)

    def _is_answered(self, pending: Pending) -> bool:
        """Tell whether there is nothing to be alarmed of: the act stands, or its gateway said why not."""
        if pending.is_needless or self.needs.answer_to(pending) is not None:
            return True
        return bool(self.needs.rests(pending)) or self.needs.over(pending) in (
            "seen in effect",
            "already ended",
        )


def _told(pending: Pending, *, pages: bool, states: bool) -> list[Effect]:
    effects: list[Effect] = []
    if pages:
        tries = max(pending.tries, pending.failures)
        text = f"{_name(pending)}: no effect after {tries} tries, {reason_of(pending)}"
        effects.append(Page(PageKind.NO_EFFECT, text))
    statement = unlanded_of(pending) if states else None
    if statement is not None:
        effects.append(SignStatement(statement))
    return effects


def _dropped(pending: Pending, reason: str) -> Notice:
    return Notice("submission dropped", _facts(pending, reason))


def _facts(pending: Pending, reason: str) -> dict[str, str | int]:
    return {"reason": reason, "chain": pending.call.chain, "call": _name(pending)}


def _name(pending: Pending) -> str:
    act = f"act {pending.call.act_id.hex()[:16]} on {pending.call.chain}"
    if pending.prepared is None:
        return f"expiry of {act}"
    return f"{pending.prepared.decision.op.name.lower()} {pending.prepared.id.hex()[:16]}, {act}"
