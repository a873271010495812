"""The node: one event in, the effects out (SPEC 7.1). The same events give the same state.

```
BlockObserved, ChainReorged, ChainFinalized ▶ chains: views ▶ rooms (schedule) ▶ book: SignAttestation
Received, Signed                            ▶ hearing ▶ book: count ▶ certificate ▶ landing, links
Ticked, SubmissionEnded                     ▶ landing: Submit
Received(commitments), ThresholdSigned      ▶ keyring: signing ▶ certificate ▶ landing
CeremonyProposed, KeysInForce, VerifierSeen ▶ keyring: ceremonies ▶ signing ▶ handovers: SubmitRotation
Started, Received(recall, recalled)         ▶ presence: UnlockSigner
```
"""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass
from typing import assert_never

from proofs.committee import CommitteeDocument
from proofs.decision import Decision
from proofs.envelope import Envelope
from proofs.forks import Fork
from proofs.note import VerifierKey
from relay.core.anchoring import Anchoring
from relay.core.book import Book
from relay.core.ceremony_effects import CeremonyJoined, CeremonyLeft, CeremonyProposed, CeremonyStuck
from relay.core.chains import Chains
from relay.core.committees import LASTING_S, Committees
from relay.core.compiled import CompiledPlan, merge_queries
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
    ForkFound,
    KeysInForce,
    OwnStatementFound,
    PeersSeen,
    ReadinessChanged,
    Received,
    ReportTold,
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
from relay.core.hearing import Hearing, Statement
from relay.core.incidents import closed_incidents
from relay.core.keyring import Keyring, KeyringSettings
from relay.core.landing import Landing, LandingSettings
from relay.core.membership import Membership
from relay.core.messages import Heartbeat, Message, Recall, Recalled
from relay.core.ports import Submission
from relay.core.presence import Beat, Presence
from relay.core.recall import RecallState
from relay.core.room import Room
from relay.core.rotations import Rotation
from relay.core.types import Caip2, DecisionId, Identity, Millis, PlanHash
from relay.core.unsaid import Unsaid
from relay.core.view import ChainView, newest_times
from relay.core.witnessing import WitnessingMessage

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
        gateways = frozenset(place for plan in settings.plans for place in plan.gateways.items())
        keys = KeyringSettings(settings.me, gateways, settings.block_time_ms, settings.rotation_form)
        self._keyring = Keyring(keys, self.presence, committees, self.views)
        self.signing, self.ceremonies = self._keyring.signing, self._keyring.ceremonies
        self.handovers = self._keyring.handovers
        self.hearing = Hearing(settings.me, self.book, self.landing, self.presence)
        self._chains = Chains(self.views, self.rooms, self.book, self.landing, self.hearing, self.signing)
        self._anchoring = Anchoring(settings.me)
        self.now_ms = Millis(0)
        self.log_size = 0
        self._unsaid = Unsaid()

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
    def edges(self) -> Mapping[tuple[PlanHash, str], int]:
        """Edges seen per rule, also those that were over when they were seen."""
        return self._chains.edges

    @property
    def forks(self) -> Mapping[VerifierKey, Fork]:
        """The logs that told two stories, by key, with what shows it."""
        return self.hearing.forks.taken

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
        wanted = (effect for effect in self._apply(event) if not self.hearing.is_said(effect))
        effects = tuple(self._membership.in_our_name(wanted, self._decision_of))
        self._unsaid.ask(effects)
        return effects

    def _apply(self, event: Event) -> Sequence[Effect]:  # noqa: C901  one case per event, closed
        match event:
            case Started():
                return self._started(event)
            case CommitteeLearned(document):
                return self._learned(document)
            case BlockObserved():
                return self._chains.observed(event, self.now_ms)
            case ChainReorged(chain, ancestor):
                return self._chains.reorged(chain, ancestor, self.now_ms)
            case ChainFinalized(block):
                return self._chains.finalized(block)
            case Received(envelope, message, at_ms):
                self._at(at_ms)
                return [*self._received(envelope, message), *self._settle()]
            case Signed(envelope, message, at_ms):
                self._at(at_ms)
                return [*self._signed(envelope, message), *self._settle()]
            case ThresholdSigned():
                self._at(event.at_ms)
                return self._threshold_signed(event)
            case SubmissionEnded(key, submission):
                alarms = self.landing.ended(key, submission, self.now_ms)
                return [Notice("submission ended", _facts_of(submission)), *alarms]
            case AnchorEnded():
                self._anchoring.ended(event)
                ended = event.submission
                return [] if ended is None else [Notice("anchor ended", _facts_of(ended))]
            case SignalTold() | ReadinessChanged() | ReportTold() | ForkFound():
                self._at(event.at_ms)
                return self.hearing.told(event)
            case (
                KeysInForce()
                | VerifierSeen()
                | RotationEnded()
                | CeremonyProposed()
                | CeremonyJoined()
                | CeremonyLeft()
            ):
                self._at(event.at_ms)
                return self._keyring.apply(event, self.now_ms)
            case CeremonyStuck() | RotationRefused():
                return self._keyring.apply(event, self.now_ms)
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
        self._chains.started()
        self._anchoring.started()
        keys = self._keyring.started(self.now_ms)
        return [*self.presence.started(event), *self._unsaid.again(), *keys]

    def _learned(self, document: CommitteeDocument) -> list[Effect]:
        effects = self._membership.learn(document)
        self.book.committees = self.presence.committees = self.committees
        self.landing.learned(self.committees)
        return [*effects, *self._keyring.learned(self.committees, self.now_ms)]

    def _decision_of(self, decision_id: DecisionId) -> Decision | None:
        entry = self.book.entries.entry_of(decision_id)
        return None if entry is None else entry.tally.prepared.decision

    def _ticked(self) -> list[Effect]:
        was_released = self.is_released
        heads = {chain: view.tip for chain, view in self.views.items() if view.tip is not None}
        said = self.presence.tick(self.now_ms, heads, self.log_size)
        calls = [*self.landing.due(self.now_ms), *self._keyring.tick(self.now_ms)]
        # Incidents close slowly: it is enough to look with every heartbeat, and after the calls.
        anchors = [*self._anchors(), *self._keyring.retire()] if said else []
        told = [*self._membership.tell(self.now_ms), *self.ceremonies.tick(self.now_ms)]
        told += self.hearing.standings.due(self.now_ms)
        return [*told, *said, *self._unlock(was_released), *calls, *anchors]

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
        again = self.book.ask_again(newest_times(self.views))
        return [UnlockSigner(), *again, *self._keyring.released(self.now_ms)]

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
        self._unsaid.signed(message)
        return self._heard(envelope, message)

    def _heard(self, envelope: Envelope, message: Message) -> list[Effect]:
        """Take what a member says, or what we have said ourselves."""
        if isinstance(message, Statement):
            return self.hearing.hear(envelope, message, self.now_ms)
        if isinstance(message, Heartbeat | Recall | Recalled | WitnessingMessage):
            return []  # of witnessing, the witness desk takes it
        return self._keyring.hear(envelope, message, self.now_ms)

    def _settle(self) -> list[Effect]:
        """Follow up what the last messages have certified."""
        effects: list[Effect] = []
        certified, self.book.certified = self.book.certified, []
        for prepared, certificate in certified:
            room = self.rooms[prepared.decision.plan_hash]
            threshold = self.book.entries.threshold_certificate(prepared)
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
            effects += self.book.propose_called()
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
        self.book.entries.keep_threshold(prepared, event.certificate)
        self.landing.improved(prepared, event.certificate, self.now_ms)
        what: Facts = {"subject": prepared.decision.subject, "tier": prepared.decision.tier.name.lower()}
        told = Notice("threshold certificate complete", what)
        return [told, Changed(prepared.id), *self.landing.due(self.now_ms)]

    def _at(self, at_ms: Millis) -> None:
        self.now_ms = max(self.now_ms, at_ms)


def _lasting_s(plans: Sequence[CompiledPlan]) -> int:
    """Give how long a mandate of any of the plans can live, with the slot in which it is still wanted."""
    clocks = [compiled.plan.clock for compiled in plans]
    return max((clock.mandate_full_s + clock.rearm_s for clock in clocks), default=LASTING_S)


def _facts_of(submission: Submission) -> Facts:
    return {"status": submission.status.value, "reason": submission.reason, "gas_used": submission.gas_used}
