"""The node: one event in, the effects out (SPEC 7.1). The same events give the same state.

```
BlockObserved, ChainReorged, ChainFinalized   ▶ views ▶ rooms (evaluate, schedule) ▶ book ▶ SignAttestation
Received, Signed                              ▶ book: count ▶ certificate ▶ landing, links
Ticked, SubmissionEnded                       ▶ landing: Submit
Started, Received(recall, recalled)           ▶ presence: UnlockSigner
```
"""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass, replace
from typing import Final, assert_never

from proofs.committee import CommitteeDocument
from proofs.decision import BlockRef, Decision
from proofs.envelope import Envelope
from proofs.groupkeys import KeysDocument
from relay.core.anchoring import Anchoring
from relay.core.book import Book
from relay.core.ceremonies import Ceremonies
from relay.core.ceremony_effects import CeremonyJoined, CeremonyLeft, CeremonyProposed, CeremonyStuck
from relay.core.committees import LASTING_S, Committees
from relay.core.compiled import CompiledPlan, merge_queries
from relay.core.complaints import Complaints
from relay.core.effects import (
    Changed,
    Effect,
    Facts,
    Notice,
    Page,
    PageKind,
    SignStatement,
    UnlockSigner,
)
from relay.core.events import (
    AnchorEnded,
    BlockObserved,
    BlockUnread,
    ChainFinalized,
    ChainReorged,
    CommitteeLearned,
    EndpointDisagreed,
    Event,
    KeysInForce,
    OwnStatementFound,
    PeersSeen,
    Received,
    RotationEnded,
    RotationRefused,
    SignalTold,
    Signed,
    SigningRefused,
    Started,
    SubmissionEnded,
    ThresholdSigned,
    Ticked,
    VerifierSeen,
    is_journalled,
)
from relay.core.handovers import Handovers, Sources
from relay.core.hearing import Hearing
from relay.core.incidents import closed_incidents
from relay.core.landing import Landing, LandingSettings
from relay.core.membership import Membership
from relay.core.messages import (
    Attestation,
    Equivocation,
    Heartbeat,
    Message,
    Outcome,
    Recall,
    Recalled,
    RotationSigned,
    Signal,
    Unlanded,
    Void,
)
from relay.core.observations import GatewayEvent
from relay.core.outcomes import Outcomes
from relay.core.ports import Submission
from relay.core.presence import Beat, Presence
from relay.core.recall import RecallState
from relay.core.releasing import release
from relay.core.retiring import Retiring
from relay.core.room import Room
from relay.core.rotations import Rotation
from relay.core.signing import Signing
from relay.core.types import Caip2, DecisionId, Identity, Millis, PlanHash
from relay.core.view import ChainView
from relay.threshold.messages import (
    Commitments,
    Complaint,
    Deal,
    Join,
    Proposal,
    RotationTerms,
    SignatureShare,
    SigningRequest,
    Transcript,
)

__all__ = ["Node", "NodeSettings", "is_journalled"]


@dataclass(frozen=True, slots=True)
class NodeSettings:
    """Who this node is, in which network, with which plans and chains; perhaps with none yet."""

    me: Identity
    committee: CommitteeDocument
    """The genesis document; later ones become known by `CommitteeLearned`."""
    plans: tuple[CompiledPlan, ...]
    block_time_ms: Mapping[Caip2, int]
    anchors: bool = True
    """Whether this member puts checkpoints of its log on chains (SPEC 7.4)."""
    rotation_form: Callable[[Rotation], bytes] | None = None
    """Gives the bytes of a rotation as its chain's verifiers sign it; pure (threshold SPEC 5)."""


_KEPT: Final = (Outcome, Equivocation, Signal, Void, Proposal)
"""What we say beside attestations and that must not be lost; an `unlanded` is said again by its call."""


class Node:
    """All state of a relay node. Feed it events one by one; nothing else changes it."""

    def __init__(self, settings: NodeSettings) -> None:
        self.settings = settings
        self.queries = merge_queries(settings.plans)
        keep_s = max((plan.retention_s for plan in settings.plans), default=0)
        self.views: dict[Caip2, ChainView] = {
            chain: ChainView(asked, keep_s=keep_s) for chain, asked in self.queries.items()
        }
        self.rooms: dict[PlanHash, Room] = {plan.plan.hash: Room(plan, self.views) for plan in settings.plans}
        committees = Committees((settings.committee,), _lasting_s(settings.plans))
        self._membership = Membership(settings.me, committees)
        self.book = Book(settings.me, self.committees, self.rooms)
        landing = LandingSettings(settings.me, settings.block_time_ms)
        self.landing = Landing(landing, self.committees, self.views)
        self.presence = Presence(settings.me, self.committees)
        self.ceremonies = Ceremonies(settings.me, self.committees)
        places = (place for plan in settings.plans for place in plan.gateways.items())
        self._retiring = Retiring(frozenset(places))
        self.now_ms = Millis(0)
        self.edges: dict[tuple[PlanHash, str], int] = {}
        """Edges seen per rule, also those that were over when they were seen."""
        self.log_size = 0
        self._hearing = Hearing(settings.me, self.book, self.landing, self.presence)
        self._outcomes = Outcomes(self.views)
        self._anchoring = Anchoring(settings.me)
        self.signing = Signing(settings.me)
        self.handovers = Handovers(
            settings.me, committees, settings.rotation_form, settings.block_time_ms, self._sources()
        )
        self._unsaid: dict[Outcome | Equivocation | Signal | Void | Proposal, None] = {}
        """Statements that our signer was asked for and that are not signed: a restart asks again."""

    @property
    def is_released(self) -> bool:
        """Tell whether this node may sign attestations."""
        return self.presence.is_released

    @property
    def committees(self) -> Committees:
        """The committee documents that are known."""
        return self._membership.committees

    @property
    def committee(self) -> CommitteeDocument:
        """The document in force by our clock."""
        return self.committees.in_force(self.now_ms // 1_000)

    @property
    def is_member(self) -> bool:
        """Tell whether we are in the committee in force; who is not attests nothing."""
        return self.committee.member(self.settings.me) is not None

    @property
    def complaints(self) -> Complaints:
        """What members say of calls that do not land."""
        return self._hearing.complaints

    @property
    def recall(self) -> RecallState | None:
        """What peers have told us of our own statements since the start."""
        return self.presence.recall

    @property
    def heartbeats(self) -> Mapping[Identity, Beat]:
        """The members' newest heartbeats."""
        return self.presence.heartbeats

    def live_members(self) -> int:
        """Give how many members, ourselves included, were heard of lately."""
        return self.presence.live_members(self.now_ms)

    def next_deadline_ms(self) -> Millis | None:
        """Give the time at which a `Ticked` is wanted."""
        if self.recall is None:
            return None
        parts = (self.landing, self.signing, self.handovers, self.ceremonies)
        due = (self.presence.due_ms, *(part.next_due_ms() for part in parts))
        return min(each for each in due if each is not None)

    def advance(self, event: Event) -> tuple[Effect, ...]:
        """Apply one event and give what is to be done (SPEC 7.1)."""
        effects = tuple(self._membership.in_our_name(self._apply(event), self._decision_of))
        for effect in effects:
            if isinstance(effect, SignStatement) and isinstance(effect.message, _KEPT):
                self._unsaid[effect.message] = None
        return effects

    def _apply(self, event: Event) -> Sequence[Effect]:  # noqa: C901  one case per event, closed
        match event:
            case Started():
                return self._started(event)
            case CommitteeLearned(document):
                return self._learned(document)
            case BlockObserved():
                return self._observed(event)
            case ChainReorged(chain, ancestor):
                return self._reorged(chain, ancestor)
            case ChainFinalized(block):
                self.views[block.chain].finalize(block)
                return self._progress()
            case Received(envelope, message, at_ms):
                self._at(at_ms)
                return [*self._received(envelope, message), *self._settle()]
            case Signed(envelope, message, at_ms):
                self._at(at_ms)
                return [*self._signed(envelope, message), *self._settle()]
            case KeysInForce(document, at_ms):
                self._at(at_ms)
                known = self.ceremonies.keys_in_force(document, self.now_ms)
                effects = [*known, *self.signing.in_force(document, self.now_ms)]
                return [*effects, *self.signing.shown(), *self._prove_keys(), *self._hand_over()]
            case ThresholdSigned():
                self._at(event.at_ms)
                return self._threshold_signed(event)
            case SubmissionEnded(key, submission):
                alarms = self.landing.ended(key, submission, self.now_ms)
                return [Notice("submission ended", _facts_of(submission)), *alarms]
            case AnchorEnded():
                self._anchoring.ended(event)
                return (
                    [] if event.submission is None else [Notice("anchor ended", _facts_of(event.submission))]
                )
            case VerifierSeen() | RotationEnded() | RotationRefused():
                return self._rotated(event)
            case SignalTold():
                self._at(event.at_ms)
                return [_told(event)]
            case CeremonyProposed() | CeremonyJoined() | CeremonyLeft():
                self._at(event.at_ms)
                return self.ceremonies.apply(event, self.now_ms)
            case CeremonyStuck():
                return self.ceremonies.apply(event, self.now_ms)
            case Ticked(at_ms):
                self._at(at_ms)
                return self._ticked()
            case SigningRefused(decision_id, _, reason):
                return [Page(PageKind.CANNOT_SIGN, f"decision {decision_id.hex()[:16]}: {reason}")]
            case OwnStatementFound():
                was_released = self.is_released
                return [*self.presence.own_found(event), *self._unlock(was_released)]
            case BlockUnread(chain, number, reason):
                return [Notice("block unread", {"chain": chain, "number": number, "reason": reason})]
            case EndpointDisagreed(chain, operators, number):
                where: Facts = {"chain": chain, "operators": ", ".join(operators), "number": number}
                return [Notice("endpoints disagree", where)]
            case PeersSeen(connected, at_ms):
                self._at(at_ms)
                return self.presence.peers(connected)
            case _:
                assert_never(event)

    # ---- the process

    def _started(self, event: Started) -> list[Effect]:
        self._at(event.at_ms)
        self.landing.rearm(event.at_ms)
        self._anchoring.started()
        self.signing.started()
        self._retiring.started()
        self.handovers.started()
        unsaid = (SignStatement(message) for message in self._unsaid)
        ceremonies = [*self.ceremonies.started(self.now_ms), *self.signing.shown()]
        return [*self.presence.started(event), *unsaid, *ceremonies]

    def _learned(self, document: CommitteeDocument) -> list[Effect]:
        effects = self._membership.learn(document)
        self.book.committees = self.presence.committees = self.committees
        self.landing.learned(self.committees)
        self.handovers.committees = self.committees
        return [*effects, *self.ceremonies.learned(self.committees, self.now_ms)]

    def _decision_of(self, decision_id: DecisionId) -> Decision | None:
        entry = self.book.entry_of(decision_id)
        return None if entry is None else entry.tally.prepared.decision

    def _ticked(self) -> list[Effect]:
        was_released = self.is_released
        heads = {chain: view.tip for chain, view in self.views.items() if view.tip is not None}
        said = self.presence.tick(self.now_ms, heads, self.log_size)
        calls = [*self.landing.due(self.now_ms), *self.signing.tick(self.now_ms), *self._hand_over()]
        # Incidents close slowly: it is enough to look with every heartbeat, and after the calls.
        anchors = [*self._anchors(), *self._retire()] if said else []
        told = [*self._membership.tell(self.now_ms), *self.ceremonies.tick(self.now_ms)]
        return [*told, *said, *self._unlock(was_released), *calls, *anchors]

    def _retire(self) -> list[Effect]:
        """Erase shares that no verifier takes any more; it is enough to look with every heartbeat."""
        epochs = {document.key_epoch for document in self.signing.keys.values()}
        heads = self._chain_times()
        return list(self._retiring.due(epochs, self.committees, self.handovers, heads))

    def _rotated(self, event: VerifierSeen | RotationEnded | RotationRefused) -> list[Effect]:
        match event:
            case VerifierSeen(gateway, state, at_ms):
                self._at(at_ms)
                return [*self.handovers.seen(gateway, state), *self._hand_over()]
            case RotationEnded(key, submission, at_ms):
                self._at(at_ms)
                return self.handovers.ended(key, submission, self.now_ms)
            case RotationRefused(chain, key_epoch, reason):
                text = f"rotation of {chain} to key epoch {key_epoch}: {reason}"
                return [Page(PageKind.CANNOT_SIGN, text)]
            case _:
                assert_never(event)

    def _hand_over(self) -> list[Effect]:
        """Sign and announce what hands verifiers over to the next key epoch, as soon as our signer may."""
        return self.handovers.due(self.now_ms, self._chain_times()) if self.is_released else []

    def _sources(self) -> Sources:
        """Give handovers what they rest on."""

        def terms(keys: KeysDocument) -> RotationTerms | None:
            running = self.ceremonies.get(keys.ceremony)
            return None if running is None else running.proposal.rotation

        return Sources(lambda: tuple(self.signing.keys.values()), terms, self.signing.possession_of)

    def _anchors(self) -> list[Effect]:
        """Put our log on a chain for what has closed, where no call needs that chain (SPEC 7.4)."""
        if not self.settings.anchors or not self.is_released:
            return []
        closed = closed_incidents(self.book, self.landing)
        return self._anchoring.due(closed, self.committee, self.landing.is_idle, self.now_ms)

    def _unlock(self, was_released: bool) -> list[Effect]:  # noqa: FBT001  compared with the state after
        """Let the signer sign once we are released, and ask it for what it has not signed before."""
        if was_released or not self.is_released:
            return []
        again = self.book.ask_again(self._chain_times())
        return [UnlockSigner(), *again, *self.signing.resume(self.now_ms), *self._prove_keys()]

    def _prove_keys(self) -> list[Effect]:
        """Show that new group keys can sign, as soon as our signer may (threshold SPEC 1.2)."""
        return self.signing.prove(self.committees, self.now_ms) if self.is_released else []

    # ---- chains

    def _observed(self, event: BlockObserved) -> list[Effect]:
        block = event.reads.header.block
        self.views[block.chain].observe(event)
        effects: list[Effect] = []
        for gateway_event in event.reads.gateway_events:
            effects += self._landed(gateway_event, block)
        effects += self._progress()
        for room in self.rooms.values():
            effects += self.landing.look_for_expired(room.compiled, block.chain, self.now_ms)
        return effects

    def _landed(self, event: GatewayEvent, block: BlockRef) -> list[Effect]:
        if event.decision_id is None:
            # The end of a record names the mandate only.
            event = replace(event, decision_id=self.book.id_of_mandate(event.mandate))
        entry = self.book.entry_of(event.decision_id) if event.decision_id is not None else None
        self.landing.needs.observed(event, block, entry.tally.prepared if entry is not None else None)
        outcome = self._outcomes.of(event, block)
        return [] if outcome is None else [SignStatement(outcome), Changed(outcome.decision_id)]

    def _reorged(self, chain: Caip2, ancestor: BlockRef) -> list[Effect]:
        removed = self.views[chain].rollback(ancestor)
        for room in self.rooms.values():
            room.rollback(ancestor)
        effects = self.book.removed(removed, self.landing.has_any_effect)
        self.landing.removed(removed, self.now_ms)
        effects.append(Notice("chain reorganised", {"chain": chain, "blocks": len(removed)}))
        return [*effects, *self._progress()]

    def _progress(self) -> list[Effect]:
        """Evaluate what has become readable, propose what is due, release and forget what is over."""
        effects: list[Effect] = []
        for plan_hash, room in self.rooms.items():
            for edge in room.advance():
                counted = (plan_hash, edge.rule)
                self.edges[counted] = self.edges.get(counted, 0) + 1
                seen: Facts = {
                    "plan": room.compiled.plan.protocol,
                    "rule": edge.rule,
                    "block": edge.block.number,
                }
                effects.append(Notice("rule edge", seen))
        effects += self.book.propose_due()
        now_s = self._chain_times()
        effects += self.book.abstain_overdue(now_s)
        effects += release(self.book.entries.values(), now_s, self.landing.is_spent)
        self.book.forget(now_s)
        self.signing.keep(self.book.open_mandates(now_s))
        self._hearing.keep()
        return effects

    # ---- mail

    def _received(self, envelope: Envelope, message: Message) -> list[Effect]:
        if envelope.author == self.settings.me:
            # Our own word comes back as `OwnStatementFound`; only a heartbeat can tell of a twin.
            return self.presence.twin_seen(message) if isinstance(message, Heartbeat) else []
        match message:
            case Heartbeat():
                return self.presence.beaten(envelope, message, self.now_ms)
            case Recall() if not self.presence.may_ask(envelope.author, self.now_ms):
                return []
            case Recall():
                answer = self.presence.remembered(envelope.author, message)
                return [SignStatement(answer, to=envelope.author)]
            case Recalled():
                was_released = self.is_released
                self.presence.recalled(envelope.author, message)
                return self._unlock(was_released)
            case _:
                return self._heard(envelope, message)

    def _signed(self, envelope: Envelope, message: Message) -> list[Effect]:
        if isinstance(message, _KEPT):
            self._unsaid.pop(message, None)
        return self._heard(envelope, message)

    def _heard(self, envelope: Envelope, message: Message) -> list[Effect]:
        """Take what a member says, or what we have said ourselves."""
        match message:
            case Attestation() | Equivocation() | Outcome() | Void() | Unlanded() | Signal():
                return self._hearing.hear(envelope, message, self.now_ms)
            case Commitments() | SigningRequest() | SignatureShare():
                return self.signing.heard(envelope.author, message, self.now_ms)
            case RotationSigned():
                return [*self.handovers.heard(envelope, message), *self._hand_over()]
            case Heartbeat() | Recall() | Recalled():
                return []
            case Proposal() | Join() | Deal() | Complaint() | Transcript():
                return self.ceremonies.hear(envelope, message, self.now_ms)
            case _:
                assert_never(message)

    def _settle(self) -> list[Effect]:
        """Follow up what the last messages have certified."""
        effects: list[Effect] = []
        certified, self.book.certified = self.book.certified, []
        for prepared, certificate in certified:
            room = self.rooms[prepared.decision.plan_hash]
            threshold = self.book.threshold_certificate(prepared)
            # A certificate of constant size is worth a moment, where it can come (threshold SPEC 4.1).
            waits = threshold is None and self.signing.can_sign(prepared)
            effects += self.landing.certified(
                prepared,
                certificate,
                self.now_ms,
                opens_next=room.opens_next_early(prepared.decision),
                hold_ms=room.compiled.plan.clock.frost_patience_ms if waits else 0,
            )
            if threshold is not None:
                self.landing.improved(prepared, threshold, self.now_ms)
            self.book.links.follow(prepared)
            what: Facts = {"subject": prepared.decision.subject, "tier": prepared.decision.tier.name.lower()}
            effects += [Notice("certificate complete", what), Changed(prepared.id)]
        if certified:
            effects += self.book.propose_links()
            effects += self.landing.due(self.now_ms)
        attested, self.book.attested = self.book.attested, []
        for prepared, author in attested:
            committee = self.book.committee_of(prepared)
            effects += self.signing.attested(prepared, author, committee, self.now_ms)
        return effects

    def _threshold_signed(self, event: ThresholdSigned) -> list[Effect]:
        """Keep a threshold certificate, and send it from now on instead of the list (threshold SPEC 4.1)."""
        prepared = self.signing.signed(event, self.now_ms)
        if prepared is None:
            return self.signing.shown()
        self.book.keep_threshold(prepared, event.certificate)
        self.landing.improved(prepared, event.certificate, self.now_ms)
        what: Facts = {"subject": prepared.decision.subject, "tier": prepared.decision.tier.name.lower()}
        told = Notice("threshold certificate complete", what)
        return [told, Changed(prepared.id), *self.landing.due(self.now_ms)]

    def _chain_times(self) -> dict[str, int]:
        return {chain: view.head.timestamp for chain, view in self.views.items() if view.head is not None}

    def _at(self, at_ms: Millis) -> None:
        self.now_ms = max(self.now_ms, at_ms)


def _lasting_s(plans: Sequence[CompiledPlan]) -> int:
    """Give how long a mandate of any of the plans can live, with the slot in which it is still wanted."""
    clocks = [compiled.plan.clock for compiled in plans]
    return max((clock.mandate_full_s + clock.rearm_s for clock in clocks), default=LASTING_S)


def _facts_of(submission: Submission) -> Facts:
    return {"status": submission.status.value, "reason": submission.reason, "gas_used": submission.gas_used}


def _told(event: SignalTold) -> Effect:
    signal = Signal(PlanHash(event.plan_hash), event.subject, event.reporter, event.note)
    return SignStatement(signal)
