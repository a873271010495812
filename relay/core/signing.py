"""Threshold signatures in the node: which mandates are signed, by which keys, and what came of it.

The sessions themselves are `relay.threshold.sessions`; nothing of them is journalled. The keys that came into
force are, and the certificates that were completed (threshold SPEC 4).
"""

from __future__ import annotations

from collections.abc import Iterable, Iterator
from dataclasses import dataclass, field
from typing import assert_never

from proofs.committee import CommitteeDocument
from proofs.envelope import Envelope
from proofs.groupkeys import KeysDocument, group_name
from proofs.kinds import Digest, Identity, Millis
from proofs.mandate import (
    CertificateError,
    encode_frost_certificate,
    key_proof_digest,
    verify_frost_certificate,
)
from relay.core.bad_shares import BadShares
from relay.core.ceremony_effects import KeepPossession
from relay.core.committees import Committees
from relay.core.decisions import Prepared
from relay.core.effects import (
    Commit,
    CommitPossession,
    Effect,
    KeepCertificate,
    Notice,
    SignShare,
    SignStatement,
)
from relay.core.events import ThresholdSigned
from relay.core.repeating import Finished, Repeating
from relay.threshold.messages import Commitments, SessionMessage, ThresholdCertificate
from relay.threshold.sessions import Sessions
from relay.threshold.tasks import GroupKey, Task, mandate_keys
from relay.threshold.wants import Aggregated, Answer, Ask, BadShare, Open, Refused, Want

__all__ = ["Signing"]


@dataclass(frozen=True, slots=True)
class _About:
    """What a digest stands for: a decision's mandate, or (None) the possession of a key."""

    prepared: Prepared | None
    committee_epoch: int
    """The document under which members speak of it."""


@dataclass(slots=True)
class Signing:
    """Signing sessions, fed by the node."""

    me: Identity
    keys: dict[Digest, KeysDocument] = field(default_factory=dict)
    """Documents in force, by digest."""
    possessions: dict[bytes, bytes] = field(default_factory=dict)
    """By group key: its certificate over its own possession (threshold SPEC 1.2)."""
    _sessions: Sessions = field(init=False)
    _about: dict[Digest, _About] = field(default_factory=dict)
    _group_keys: dict[Digest, GroupKey] = field(default_factory=dict)
    _repeating: Repeating = field(default_factory=Repeating)
    _finished: Finished = field(default_factory=Finished)
    _bad_shares: BadShares = field(default_factory=BadShares)

    def __post_init__(self) -> None:
        self._sessions = Sessions(self.me)

    # ---- keys

    def in_force(self, document: KeysDocument, now_ms: Millis) -> list[Effect]:
        """Sign with these keys from now on; signatures under the document were checked by whoever read it."""
        if document.digest in self.keys:
            return []
        self.keys[document.digest] = document
        self._group_keys.update({key.key_id: key for key in mandate_keys(document)})
        for key in mandate_keys(document):
            proof = _proof_of(document, key)
            self._about[proof] = _About(None, document.committee_epoch)
        self._repeating.forget(lambda digest: self._is_signed_by(digest, document))  # by shares of before
        told = Notice("keys in force", {"key_epoch": document.key_epoch, "generation": document.generation})
        return [told, *self._done(self._sessions.put_in_force(document, now_ms))]

    def can_sign(self, prepared: Prepared) -> bool:
        """Tell whether keys for this mandate are in force."""
        decision = prepared.decision
        return self._sessions.key_of(decision.key_epoch, decision.tier) is not None

    def prove(self, committees: Committees, now_ms: Millis) -> list[Effect]:
        """Sign, with all holders, the possession of every new key in force (threshold SPEC 1.2).

        No verifier takes a key without it. Only once our signer may sign; what was proved before, perhaps by
        an earlier generation's shares, is not proved again: a reshare leaves the keys as they were.
        """
        wants: list[Want] = []
        for document in self._newest():
            committee = committees.by_epoch(document.committee_epoch)
            if committee is None:
                continue
            for key in mandate_keys(document):
                if self.possession_of(key.key) is None:
                    task = _task(_proof_of(document, key), key, committee)
                    for holder in key.holders:
                        wants += self._sessions.attested(task, holder, now_ms)
        return self._done(wants)

    def _newest(self) -> tuple[KeysDocument, ...]:
        """Give the newest keys of each key epoch: of earlier generations nobody has shares."""
        ascending = sorted(self.keys.values(), key=lambda each: each.generation)
        return tuple({document.key_epoch: document for document in ascending}.values())

    def possession_of(self, key: bytes) -> bytes | None:
        """Give a group key's certificate over its own possession, once it is complete here."""
        return self.possessions.get(key)

    def shown(self) -> list[Effect]:
        """Give what is proved of the keys in force, to be kept with them; the same again changes nothing."""
        return [
            KeepPossession(document, group_name(key.tier), self.possessions[key.key])
            for document in self.keys.values()
            for key in mandate_keys(document)
            if key.key in self.possessions
        ]

    # ---- the process

    def started(self) -> None:
        """Begin a run: there are no nonces, and no sessions."""
        self._sessions.started()
        self._repeating.forget(lambda _digest: True)

    def resume(self, now_ms: Millis) -> list[Effect]:
        """Commit again to what we attested, once our signer may sign."""
        return self._done(self._sessions.resume(now_ms))

    def tick(self, now_ms: Millis) -> list[Effect]:
        """Let time go on."""
        again = self._repeating.due(now_ms, lambda digest: self._about[digest].prepared is None)
        return [*self._done(self._sessions.tick(now_ms)), *map(self._say, again)]

    def next_due_ms(self) -> Millis | None:
        """Give when `tick` is wanted next."""
        return self._sessions.next_due_ms()

    def keep(self, mandates: Iterable[Digest]) -> None:
        """Forget all mandates but these; possessions stay."""
        kept = {*mandates, *(digest for digest, about in self._about.items() if about.prepared is None)}
        self._about = {digest: about for digest, about in self._about.items() if digest in kept}
        self._sessions.keep(kept)
        self._finished.keep(kept)
        self._bad_shares.keep(kept)
        self._repeating.forget(lambda digest: digest not in kept)

    # ---- sessions

    def attested(
        self, prepared: Prepared, author: Identity, committee: CommitteeDocument, now_ms: Millis
    ) -> list[Effect]:
        """Take note that a member of `committee` attests to a mandate, ours included."""
        self._about[prepared.digest] = _About(prepared, committee.committee_epoch)
        decision = prepared.decision
        members = tuple(member.identity for member in committee.members)
        task = Task(prepared.digest, decision.tier, decision.key_epoch, members, committee.f)
        return self._done(self._sessions.attested(task, author, now_ms))

    def note(self, envelope: Envelope, message: SessionMessage) -> None:
        """Keep what a member says as it came, before it is heard: it may have to be shown."""
        if message.digest in self._about and message.digest not in self._finished:
            self._bad_shares.note(envelope, message)

    def heard(self, author: Identity, message: SessionMessage, now_ms: Millis) -> list[Effect]:
        """Take a member's message, ours included."""
        lacks: ThresholdCertificate | None = None
        if author == self.me:
            self._note_own(message, now_ms)
        elif isinstance(message, Commitments):
            lacks = self._finished.lacked_by(author, message.digest, now_ms)
        shown = [] if lacks is None else [self._say(lacks, author)]
        return [*shown, *self._done(self._sessions.heard(author, message, now_ms))]

    def shown_by(self, author: Identity, shown: ThresholdCertificate, now_ms: Millis) -> list[Effect]:
        """Take a certificate from a member that has it; it comes back as `ThresholdSigned` if it is good."""
        about, key = self._about.get(shown.digest), self._group_keys.get(shown.key_id)
        if about is None or key is None or not self._finished.may_verify(author, shown.digest):
            return []
        if not _is_good(about, key, shown):
            self._finished.was_wrong(author, shown.digest)
            return self._done([Refused(author, "wrong certificate")])
        self._finished.put(shown, now_ms)
        return [KeepCertificate(shown.digest, shown.key_id, shown.certificate)]

    def signed(self, event: ThresholdSigned, now_ms: Millis) -> Prepared | None:
        """Take a certificate that was completed here; give the decision that it is for, if it is good."""
        about, key = self._about.get(event.digest), self._group_keys.get(event.key_id)
        certificate = ThresholdCertificate(event.digest, event.key_id, event.certificate)
        if about is None or key is None or not _is_good(about, key, certificate):
            return None
        self._sessions.signed(event.digest, now_ms)
        self._finished.put(certificate, now_ms)
        self._repeating.forget(lambda digest: digest == event.digest)
        if about.prepared is None:
            self.possessions[key.key] = event.certificate
        return about.prepared

    # ---- within

    def _note_own(self, message: SessionMessage, now_ms: Millis) -> None:
        """Keep what we say of what has no signature here; who has heard it drops it when it comes again."""
        key = self._group_keys.get(message.key_id)
        if message.digest in self._about and message.digest not in self._finished and key is not None:
            self._repeating.note(message, now_ms)

    def _say(self, message: SessionMessage | ThresholdCertificate, to: Identity | None = None) -> Effect:
        return SignStatement(message, to, self._about[message.digest].committee_epoch)

    def _is_signed_by(self, digest: Digest, document: KeysDocument) -> bool:
        """Tell whether the keys of a document sign this."""
        about = self._about.get(digest)
        if about is None:
            return False
        if about.prepared is None:
            return digest in {_proof_of(document, key) for key in mandate_keys(document)}
        return about.prepared.decision.key_epoch == document.key_epoch

    def _done(self, wants: Iterable[Want]) -> list[Effect]:
        return [effect for want in wants for effect in self._effects(want)]

    def _effects(self, want: Want) -> Iterator[Effect]:
        match want:
            case Open(task, key_id, coordinators):
                about = self._about[task.digest]
                if about.prepared is None:
                    yield CommitPossession(key_id, coordinators, about.committee_epoch)
                else:
                    yield Commit(about.prepared, key_id, coordinators, about.committee_epoch)
            case Ask(request):
                yield self._say(request)
            case Answer(task, request, coordinator):
                yield SignShare(request, coordinator, self._about[task.digest].committee_epoch)
            case Aggregated(task, key, signature):
                yield KeepCertificate(task.digest, key.key_id, encode_frost_certificate(signature))
            case BadShare():
                yield from self._accuse(want)
            case Refused(author, reason):
                yield Notice("session message dropped", {"reason": reason, "signer": author.hex()[:16]})
            case _:
                assert_never(want)

    def _accuse(self, bad: BadShare) -> Iterator[Effect]:
        """Tell of a bad share; of a mandate's also to all, with what shows it."""
        told = {"member": bad.member.hex()[:16], "coordinator": bad.coordinator.hex()[:16]}
        yield Notice("bad signature share", {**told, "mandate": bad.digest.hex()[:16]})
        prepared = self._about[bad.digest].prepared
        if prepared is not None:
            yield from self._bad_shares.accuse(bad, prepared.id)


def _proof_of(document: KeysDocument, key: GroupKey) -> Digest:
    return key_proof_digest(document.network, key.key_epoch, key.tier, key.key)


def _task(digest: Digest, key: GroupKey, committee: CommitteeDocument) -> Task:
    """Give the task of a possession: all members coordinate.

    Who coordinates hears all shares; of f+1 one honest member alone might, and no list goes out instead.
    """
    members = tuple(member.identity for member in committee.members)
    return Task(digest, key.tier, key.key_epoch, members, len(members) - 1)


def _is_good(about: _About, key: GroupKey, shown: ThresholdCertificate) -> bool:
    """Tell whether a certificate is by the key that signs this, and verifies."""
    if not _is_for(about, key):
        return False
    try:
        verify_frost_certificate(shown.digest, shown.certificate, key.key)
    except CertificateError:
        return False
    return True


def _is_for(about: _About, key: GroupKey) -> bool:
    """Tell whether a key is the one that signs this; what a possession is of stands in its digest."""
    if about.prepared is None:
        return True
    decision = about.prepared.decision
    return (decision.key_epoch, decision.tier) == (key.key_epoch, key.tier)
