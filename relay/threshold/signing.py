"""One mandate and one group key: our part as signer, as coordinator, and as anybody who listens (SPEC 4)."""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from dataclasses import dataclass, field
from typing import assert_never

from proofs.kinds import Identity, Millis
from relay.threshold.coordinator import Coordinator
from relay.threshold.errors import ThresholdError
from relay.threshold.gathering import Gathering, Session
from relay.threshold.messages import (
    Commitments,
    SessionMessage,
    SignatureShare,
    SignerCommitment,
    SigningRequest,
)
from relay.threshold.tasks import GroupKey, Task, coordinators_of
from relay.threshold.wants import Aggregated, Answer, Ask, BadShare, Open, Refused, Want

__all__ = ["Signing"]


@dataclass(slots=True)
class Signing:
    """What is under way for a mandate by a key.

    `attesters` and `boots` (the newest known of each member) belong to `Sessions`, which owns this.
    """

    me: Identity
    task: Task
    key: GroupKey
    attesters: Mapping[Identity, None]
    boots: dict[Identity, int]
    coordinators: tuple[Identity, ...] = ()
    batches: dict[Identity, int] = field(default_factory=dict)
    """By member: the boot of its commitments."""
    has_opened: bool = False
    is_signed: bool = False
    """There is a signature: we go on answering, and ask for nothing."""
    _gathering: Gathering = field(init=False)
    _coordinator: Coordinator | None = field(init=False)
    _open: dict[Identity, SignerCommitment] = field(default_factory=dict)
    """Our own open commitments, by coordinator."""
    _answered: dict[Identity, int] = field(default_factory=dict)

    def __post_init__(self) -> None:
        self.coordinators = coordinators_of(self.task)
        self._gathering = Gathering(self.key)
        is_coordinator = self.me in self.coordinators
        self._coordinator = Coordinator(self.me, self.task.digest, self.key) if is_coordinator else None

    def open(self) -> list[Want]:
        """Commit to all coordinators at once; when we have attested, and hold a share."""
        if self.has_opened or self.me not in self.attesters or self.me not in self.key.identifiers:
            return []
        self.has_opened = True
        return [Open(self.task, self.key.key_id, self.coordinators)]

    def due_ms(self) -> Millis | None:
        """Give when `coordinate` is to be called though nothing has come."""
        if self._coordinator is None or self.is_signed:
            return None
        return self._coordinator.due_ms(self._before())

    def coordinate(self, now_ms: Millis) -> list[Want]:
        """Ask whoever is ready, if we coordinate and it is our turn."""
        if self._coordinator is None or self.is_signed:
            return []
        wants: list[Want] = []
        asked = dict.fromkeys(each for each in self.attesters if each not in self._gathering.bad)
        while request := self._coordinator.ask(now_ms, self._before(), asked, self.boots):
            wants.append(Ask(request))
        return wants

    def heard(self, author: Identity, message: SessionMessage) -> list[Want]:
        """Take a message about this mandate and key, ours included."""
        match message:
            case Commitments():
                return self._committed(author, message)
            case SigningRequest():
                return self._requested(author, message)
            case SignatureShare():
                return self._shared(author, message)
            case _:
                assert_never(message)

    # ---- commitments

    def _committed(self, author: Identity, message: Commitments) -> list[Want]:
        if author not in self.key.identifiers:
            return [Refused(author, "no holder of a share")]
        if message.boot <= self.batches.get(author, -1):
            return [Refused(author, "committed before")]
        self.batches[author] = message.boot
        if author == self.me:
            self._open = {
                coordinator: SignerCommitment(self.me, message.boot, each)
                for coordinator, each in message.batch.items()
            }
            self._answered.clear()
        mine = message.batch.get(self.me)
        if self._coordinator is None or mine is None:
            return self._answer_all() if author == self.me else []
        why_not = self._coordinator.offer(SignerCommitment(author, message.boot, mine))
        return [Refused(author, why_not)] if why_not else []

    # ---- requests

    def _requested(self, author: Identity, request: SigningRequest) -> list[Want]:
        if author not in self.coordinators:
            return [Refused(author, "no coordinator")]
        try:
            session = self._gathering.begin(author, request)
        except ThresholdError:
            return [Refused(author, "malformed request")]
        if session is None:
            return []
        wants = self._answer(session)
        for signer, share in self._gathering.early(session):
            wants += self._shared(signer, share)
        return wants

    def _answer_all(self) -> list[Want]:
        """Answer the requests that were here before our commitments."""
        return [want for session in list(self._gathering.sessions.values()) for want in self._answer(session)]

    def _answer(self, session: Session) -> list[Want]:
        """Answer a request, if it is one that a signer answers: with our open commitment, once."""
        coordinator = session.coordinator
        if self.me not in session.signers or self.me not in self.attesters:
            return []
        mine = next(line for line in session.request.commitments if line.signer == self.me)
        if self._open.get(coordinator) != mine:
            return [Refused(coordinator, "not our open commitment")]
        try:
            self.key.package(session.request)
        except ThresholdError:
            return [Refused(coordinator, "malformed commitments")]
        del self._open[coordinator]
        answered = self._answered[coordinator] = self._answered.get(coordinator, 0) + 1
        # The gathering takes no more requests of a coordinator than that.
        goes_on = answered < self.key.most_requests
        return [Answer(self.task, session.request, coordinator, session.id, goes_on)]

    # ---- shares

    def _shared(self, author: Identity, share: SignatureShare) -> list[Want]:
        try:
            session = self._gathering.add(author, share)
        except ThresholdError:
            return [Refused(author, "nobody asked for this share")]
        if session is None:
            return []
        if author == self.me and share.next is not None:
            self._open[session.coordinator] = SignerCommitment(self.me, share.boot, share.next)
        if self._coordinator is not None and session.coordinator == self.me:
            self._coordinator.answered(author, session.id, share.boot, share.next)
        return list(self._finish(session))

    def _finish(self, session: Session) -> Iterator[Want]:
        if self.is_signed:
            return
        signature, bad = self._gathering.finish(session)
        for member in bad:
            yield BadShare(self.task.digest, member, session.coordinator, session.id, session.request)
        if signature is not None:
            self.is_signed = True
            yield Aggregated(self.task, self.key, signature)

    def _before(self) -> int:
        """Give how many coordinators before us have attested: theirs is the first turn."""
        rank = self.coordinators.index(self.me)
        return sum(1 for each in self.coordinators[:rank] if each in self.attesters)
