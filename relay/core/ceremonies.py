"""The ceremonies that a node knows (threshold SPEC 3): what was said in them, and what is ours to do.

```
proposal heard  ▶ judged by the documents that it names ▶ open, of each proposer one
our join        ▶ CeremonyStep join, deal, open, each when everybody has done what comes before it
all signed      ▶ PutInForce, also for who holds no share: it checks certificates by these keys
fault           ▶ evidence, the end; deadline ▶ the end; in both cases the old keys stay
```
Who has signed may hear the last signature after the deadline: then the keys are in force for the others, and
must be here too. So what such a member holds is kept until this generation or a higher one is in force, and
it signs no second document of a generation.
"""

from __future__ import annotations

from collections import deque
from collections.abc import Mapping
from typing import Final, assert_never

from proofs.envelope import Envelope
from proofs.groupkeys import KeysDocument
from proofs.hashes import sha256
from relay.core.ceremony_effects import (
    CeremonyEnded,
    CeremonyEvent,
    CeremonyJoined,
    CeremonyLeft,
    CeremonyMoved,
    CeremonyProposed,
    CeremonyStep,
    CeremonyStuck,
    KeepEvidence,
    PutInForce,
)
from relay.core.ceremony_running import Ended, Running, evidence_name
from relay.core.committees import Committees
from relay.core.effects import Effect, Notice, SignStatement
from relay.core.types import Digest, Identity, Millis
from relay.threshold.blame import faults, write_evidence
from relay.threshold.bodies import ceremony_id
from relay.threshold.ceremony import adopt, begin, take
from relay.threshold.errors import ThresholdError
from relay.threshold.messages import CeremonyMessage, Proposal, Transcript
from relay.threshold.record import Ceremony, Duty, Taken

__all__ = [
    "MAX_AHEAD",
    "MAX_DEADLINE_MS",
    "MAX_ENDED",
    "MAX_OPEN",
    "MAX_PROPOSALS",
    "PROPOSALS_SPAN_MS",
    "Ceremonies",
]

MAX_OPEN: Final = 50
"""As many as there can be members: each has one at most, so that no liars take the place of others."""
MAX_PROPOSALS: Final = 60
PROPOSALS_SPAN_MS: Final = 3_600_000
"""A member's proposals are journalled, and shown to people: so many in this time."""
MAX_AHEAD: Final = 1 << 20
"""How far a generation may lie above those that are known."""
MAX_ENDED: Final = 8
"""Ended ceremonies that are kept for people to read; the oldest goes."""
MAX_DEADLINE_MS: Final = 8 * 86_400_000
"""A proposal whose deadline lies further ahead is dropped; members propose at most 7 days."""


class Ceremonies:
    """All ceremonies of a node; fed by it, in the order of its events."""

    def __init__(self, me: Identity, committees: Committees) -> None:
        self._me = me
        self._committees = committees
        self._documents: dict[Digest, KeysDocument] = {}
        self._running: dict[Digest, Running] = {}
        self._signed: dict[int, int] = {}
        """The highest generation of which we signed a document, by key epoch."""
        self._proposed: dict[Identity, deque[Millis]] = {}
        """When each member made its last proposals."""

    # ---- looking

    def all(self) -> tuple[Running, ...]:
        """Give the ceremonies that are known, oldest first."""
        return tuple(self._running.values())

    def get(self, ceremony: Digest) -> Running | None:
        """Give one of them."""
        return self._running.get(ceremony)

    def documents(self) -> tuple[KeysDocument, ...]:
        """Give the newest keys of each key epoch that are in force here, oldest epoch first."""
        epochs = sorted({each.key_epoch for each in self._documents.values()})
        newest = (self.base_of(epoch) for epoch in epochs)
        return tuple(each for each in newest if each is not None)

    def knows(self, document: KeysDocument) -> bool:
        """Tell whether these keys are known to be in force."""
        return document.digest in self._documents

    def base_of(self, key_epoch: int) -> KeysDocument | None:
        """Give the newest keys of a key epoch that are in force here."""
        known = [each for each in self._documents.values() if each.key_epoch == key_epoch]
        return max(known, key=lambda each: each.generation, default=None)

    def signed_generation(self, key_epoch: int) -> int:
        """Give the highest generation of a key epoch of which we signed a document; 0 for none."""
        return self._signed.get(key_epoch, 0)

    def next_generation(self, key_epoch: int) -> int:
        """Give a generation that nobody can have signed, as far as we have heard."""
        base = self.base_of(key_epoch)
        heard = [
            each.proposal.generation
            for each in self._running.values()
            if each.proposal.key_epoch == key_epoch and each.may_be_signed
        ]
        in_force = 0 if base is None else base.generation
        return 1 + max(in_force, self.signed_generation(key_epoch), *heard, 0)

    def refusal(self, proposer: Identity, proposal: Proposal, now_ms: Millis) -> str:
        """Say why a proposal is not taken now; empty when it is."""
        open_ones = [each for each in self._running.values() if each.is_open]
        if proposal.deadline_ms <= now_ms:
            return "its deadline has passed"
        if proposal.deadline_ms > now_ms + MAX_DEADLINE_MS:
            return "its deadline is too far ahead"
        # SECURITY: of generations there are 2^32: one that is joined must not use them up.
        if proposal.generation >= self.next_generation(proposal.key_epoch) + MAX_AHEAD:
            return "its generation is too far ahead"
        if any(each.proposed.author == proposer for each in open_ones):
            return "its proposer has another open ceremony"
        times = self._proposed.get(proposer, deque[Millis]())
        if len(times) == MAX_PROPOSALS and now_ms - times[0] < PROPOSALS_SPAN_MS:
            return "its proposer has proposed too often"
        return "too many open ceremonies" if len(open_ones) >= MAX_OPEN else ""

    def next_due_ms(self) -> Millis | None:
        """Give the next deadline of an open ceremony, a millisecond later."""
        due = [each.proposal.deadline_ms + 1 for each in self._running.values() if each.is_open]
        return Millis(min(due)) if due else None

    # ---- what happens

    def started(self, now_ms: Millis) -> list[Effect]:
        """Begin a run of the process: our signer is asked again for what is ours to do."""
        effects: list[Effect] = []
        for running in self.all():
            running.asked, running.erased = None, False
            running.trouble = running.trouble if running.ceremony is None else ""
            effects += [CeremonyEnded(running.id, superseded=True)] if running.superseded else []
            effects += self._follow(running, now_ms)
            if running.ceremony is not None and running.ceremony.is_done and not running.in_force:
                effects += self._put_in_force(running.ceremony)
        return effects

    def learned(self, committees: Committees, now_ms: Millis) -> list[Effect]:
        """Know more committee documents."""
        self._committees = committees
        return self._judge_again(now_ms)

    def keys_in_force(self, document: KeysDocument, now_ms: Millis) -> list[Effect]:
        """Know keys that are in force here; the ceremony that made them is over, and so are older ones."""
        self._documents[document.digest] = document
        running = self._running.get(document.ceremony)
        if running is not None:
            running.in_force, running.ended = True, Ended.DONE
        effects: list[Effect] = []
        for other in self.all():
            proposal = other.proposal
            is_over = proposal.key_epoch == document.key_epoch and proposal.generation <= document.generation
            # Its own shares are where they belong, or the next start puts them there: not ours to erase.
            if is_over and other.ended is not None and other is not running:
                effects += self._supersede(other)
        moved: list[Effect] = [] if running is None else [CeremonyMoved(running.id)]
        return [*moved, *effects, *self._judge_again(now_ms)]

    def apply(self, event: CeremonyEvent, now_ms: Millis) -> list[Effect]:
        """Do what our operator wants, or note what our signer could not do."""
        effects = self.tick(now_ms)
        if isinstance(event, CeremonyProposed):
            refused = self.refusal(self._me, event.proposal, now_ms)
            return [*effects, _dropped(refused) if refused else SignStatement(event.proposal)]
        running = self._running.get(event.ceremony)
        if running is None:
            return [*effects, _dropped("unknown ceremony")]
        match event:
            case CeremonyJoined():
                if running.is_open and running.ceremony is not None and self._is_free(running.proposal):
                    running.consented = True
                    effects += [CeremonyMoved(running.id), *self._follow(running, now_ms)]
            case CeremonyLeft():
                # Others count on a signature, so what was signed ends by itself.
                if running.ended is not Ended.DONE and not running.has_signed(self._me):
                    running.consented, running.ended = False, Ended.DROPPED
                    effects += [CeremonyMoved(running.id), *self._erase(running)]
            case CeremonyStuck(_, reason):
                # Asked again with the next word, another join, or the next start.
                running.trouble, running.asked = reason, None
                effects += [CeremonyMoved(running.id), Notice("ceremony stuck", _facts(running, reason))]
            case _:
                assert_never(event)
        return effects

    def hear(self, envelope: Envelope, message: CeremonyMessage, now_ms: Millis) -> list[Effect]:
        """Take a member's word in a ceremony, or our own."""
        effects = self.tick(now_ms)
        if isinstance(message, Proposal):
            return [*effects, *self._hear_proposal(envelope, message, now_ms)]
        running = self._running.get(message.ceremony)
        if running is None or running.ceremony is None:
            return [*effects, _dropped("unknown ceremony")]
        ceremony, taken = take(running.ceremony, envelope, message)
        if taken in (Taken.KNOWN, Taken.FOREIGN, Taken.SURPLUS):
            return [*effects, _dropped(taken.value)]
        running.ceremony = self._adopted(running, ceremony, envelope, message)
        if envelope.author == self._me and isinstance(message, Transcript):
            proposal = running.proposal
            self._signed[proposal.key_epoch] = max(
                proposal.generation, self.signed_generation(proposal.key_epoch)
            )
        return [*effects, CeremonyMoved(running.id), *self._follow(running, now_ms)]

    def tick(self, now_ms: Millis) -> list[Effect]:
        """End what has passed its deadline, and forget what ended long ago."""
        effects: list[Effect] = []
        for running in self.all():
            if running.is_open and now_ms > running.proposal.deadline_ms:
                running.ended = Ended.EXPIRED
                effects += [CeremonyMoved(running.id), Notice("ceremony expired", _facts(running, ""))]
            effects += self._erase_if_over(running)
        ended = [each for each in self.all() if not each.is_open]
        for running in ended[: max(0, len(ended) - MAX_ENDED)]:
            # What a rotation says, and what may still become done, is needed longer.
            says_rotation = running.in_force and running.proposal.rotation is not None
            # SECURITY: proposed again before its deadline, we would join with another seed: two words.
            may_come_again = running.has_joined(self._me) and now_ms <= running.proposal.deadline_ms
            if (running.erased or running.in_force) and not says_rotation and not may_come_again:
                del self._running[running.id]
        return effects

    # ---- proposals

    def _hear_proposal(self, envelope: Envelope, proposal: Proposal, now_ms: Millis) -> list[Effect]:
        name = ceremony_id(proposal, envelope.author)
        if name in self._running:
            return [_dropped("known")]
        refused = self.refusal(envelope.author, proposal, now_ms)
        if refused:
            return [_dropped(refused)]
        running = Running(name, envelope, proposal)
        try:
            self._take_up(running, self._begun(running))
        except ThresholdError as error:
            return [_dropped(str(error))]
        self._running[name] = running
        self._proposed.setdefault(envelope.author, deque(maxlen=MAX_PROPOSALS)).append(now_ms)
        return [CeremonyMoved(name), Notice("ceremony proposed", _facts(running, running.trouble))]

    def _begun(self, running: Running) -> Ceremony | str:
        """Hold a proposal against the documents that it names; without them it waits, and says for which.

        Raises:
            ThresholdError: it does not fit them.
        """
        proposal = running.proposal
        committee = self._committees.by_epoch(proposal.committee_epoch)
        base = None if proposal.base is None else self._documents.get(proposal.base)
        if committee is None or sha256(committee.raw) != proposal.committee:
            return f"committee document {proposal.committee.hex()[:16]} is not known here"
        if proposal.base is not None and base is None:
            return f"the keys {proposal.base.hex()[:16]} that it shares anew are not known here"
        return begin(running.proposed, proposal, committee, base)

    def _take_up(self, running: Running, begun: Ceremony | str) -> None:
        running.ceremony = None if isinstance(begun, str) else begun
        running.trouble = begun if isinstance(begun, str) else ""

    def _judge_again(self, now_ms: Millis) -> list[Effect]:
        """Look again at the proposals that waited for a document."""
        effects: list[Effect] = []
        for running in self.all():
            if running.ceremony is not None or not running.is_open:
                continue
            try:
                self._take_up(running, self._begun(running))
            except ThresholdError as error:
                running.ended, running.trouble = Ended.FAILED, str(error)
            effects += [CeremonyMoved(running.id), *self._follow(running, now_ms)]
        return effects

    # ---- what follows

    def _adopted(
        self, running: Running, ceremony: Ceremony, envelope: Envelope, message: CeremonyMessage
    ) -> Ceremony:
        """Stand by the document that we have signed, whatever has come of the others' words."""
        # SECURITY: a contradiction while our signer is at work takes the document away; for whoever hears of
        # it later the keys come into force, by our signature too.
        document = running.opened or ceremony.document
        if document is None or envelope.author != self._me or not isinstance(message, Transcript):
            return ceremony
        return adopt(ceremony, document) if message.document == document.digest else ceremony

    def _follow(self, running: Running, now_ms: Millis) -> list[Effect]:
        ceremony = running.ceremony
        if ceremony is None or running.in_force:
            return []
        effects = self._evidence(running, ceremony)
        if ceremony.is_done:
            return effects if running.ended is Ended.DONE else [*effects, *self._done(running, ceremony)]
        if not running.is_open:
            return effects
        if ceremony.troubles():
            running.ended = Ended.FAILED
            effects.append(Notice("ceremony failed", _facts(running, ceremony.troubles()[0])))
            return [*effects, *self._erase_if_over(running)]
        return [*effects, *self._duty(running, ceremony, now_ms)]

    def _duty(self, running: Running, ceremony: Ceremony, now_ms: Millis) -> list[Effect]:
        duty = ceremony.wants(self._me, now_ms)
        may = running.consented if duty is Duty.JOIN else running.has_joined(self._me)
        if duty is None or duty is running.asked or not may:
            return []
        if duty is Duty.OPEN and (not self._is_free(running.proposal) or self._signs_another(running)):
            # Two ceremonies of one generation were joined: we sign in the one that came first.
            running.trouble = f"this node has signed other keys of generation {running.proposal.generation}"
            return []
        running.asked = duty
        running.opened = ceremony.document if duty is Duty.OPEN else running.opened
        return [CeremonyStep(duty, ceremony)]

    def _done(self, running: Running, ceremony: Ceremony) -> list[Effect]:
        running.ended = Ended.DONE
        return [Notice("ceremony done", _facts(running, "")), *self._put_in_force(ceremony)]

    def _put_in_force(self, ceremony: Ceremony) -> list[Effect]:
        keys = ceremony.result()
        assert keys is not None, "a ceremony that is done has keys"
        return [PutInForce(keys)]

    def _evidence(self, running: Running, ceremony: Ceremony) -> list[Effect]:
        """Keep what convicts somebody, once."""
        effects: list[Effect] = []
        for fault in faults(ceremony):
            name = evidence_name(fault)
            if name not in running.evident:
                running.evident[name] = fault
                told = {**_facts(running, fault.verdict.reason), "party": fault.verdict.culprit.hex()[:16]}
                effects += [
                    KeepEvidence(fault.verdict.culprit, name, write_evidence(fault.evidence)),
                    Notice("ceremony fault", told),
                ]
        return effects

    def _erase_if_over(self, running: Running) -> list[Effect]:
        """Erase our secrets of what ended without keys, unless our signature may still put them in force."""
        if running.is_open or running.in_force or running.ended is Ended.DONE:
            return []
        return [] if running.has_signed(self._me) else self._erase(running)

    def _is_free(self, proposal: Proposal) -> bool:
        """Tell whether we signed no document of this generation or of a higher one (SPEC 2)."""
        return proposal.generation > self.signed_generation(proposal.key_epoch)

    def _signs_another(self, running: Running) -> bool:
        """Tell whether our signer is at work on such a document already: of two, we want to sign one."""
        proposal = running.proposal
        return any(
            each is not running
            and each.is_signing(self._me)
            and each.proposal.key_epoch == proposal.key_epoch
            and each.proposal.generation >= proposal.generation
            for each in self._running.values()
        )

    def _erase(self, running: Running) -> list[Effect]:
        if running.erased:
            return []
        running.erased = True
        return [CeremonyEnded(running.id)]

    def _supersede(self, running: Running) -> list[Effect]:
        """Erase also what our signer kept because its signature may have been under way."""
        if running.superseded:
            return []
        running.erased = running.superseded = True
        return [CeremonyEnded(running.id, superseded=True)]


def _dropped(reason: str) -> Notice:
    return Notice("ceremony message dropped", {"reason": reason})


def _facts(running: Running, reason: str) -> Mapping[str, str | int]:
    facts = {"ceremony": running.id.hex()[:16]}
    return {**facts, "reason": reason} if reason else facts
