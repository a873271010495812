"""Handing verifiers over to the next key epoch (threshold SPEC 5).

```
keys of the next epoch in force, verifier seen  ▶ SignRotation, once for each verifier and epoch
a full quorum of the epoch before has signed    ▶ certificate ▶ SubmitRotation, the first f+1 in the order
the verifier shows the new epoch                ▶ done
```
Everything follows from what chains, ceremonies and members say; what a process tries it forgets.
"""

from __future__ import annotations

from collections.abc import Callable, Iterator, Mapping
from dataclasses import dataclass, field
from typing import Final

from proofs.committee import CommitteeDocument
from proofs.envelope import Envelope
from proofs.groupkeys import KeysDocument, group_name
from proofs.mandate import CertificateError, Tier, encode_certificate, recover_address
from relay.core.committees import Committees
from relay.core.effects import (
    Effect,
    Facts,
    LogEntry,
    Notice,
    Releasable,
    SignRotation,
    SubmitRotation,
)
from relay.core.messages import RotationSigned
from relay.core.ports import Submission, SubmissionStatus
from relay.core.rotations import (
    GroupKey,
    GroupKeys,
    Rotate,
    Rotation,
    VerifierState,
    struct_digest,
)
from relay.core.submission import rank, stagger_ms
from relay.core.types import Address, Caip2, Digest, Gateway, Identity, Millis
from relay.threshold.messages import RotationTerms

__all__ = ["Handover", "Handovers", "Sources"]

AGAIN_MS: Final = 30_000
"""Between two tries of a rotation that did not land."""
SETTLING_MS: Final = 60_000
"""After one that did: by then the verifier was looked at again."""
DEFAULT_BLOCK_MS: Final = 12_000


@dataclass(frozen=True, slots=True)
class Sources:
    """What handovers rest on, as the node knows it now."""

    documents: Callable[[], tuple[KeysDocument, ...]]
    """The keys documents in force, in the order in which they came into force."""
    terms: Callable[[KeysDocument], RotationTerms | None]
    """What the proposal of a document's ceremony says of rotations."""
    possession: Callable[[bytes], bytes | None]
    """The certificate of a group key (33 bytes) over its own possession."""


@dataclass(frozen=True, slots=True)
class Handover:
    """One verifier on its way to a key epoch: `struct` and `digest` are of `rotation`.

    Members of `before` sign; `is_done` when the verifier shows the new keys.
    """

    rotation: Rotation
    struct: bytes
    digest: Digest
    keys: KeysDocument
    before: CommitteeDocument
    is_done: bool


@dataclass(slots=True)
class _Call:
    """What this process does to announce a rotation."""

    due_ms: Millis
    in_flight: bool = False


@dataclass(slots=True)
class Handovers:
    """All verifiers of a node's plans; deterministic, fed by the node."""

    me: Identity
    committees: Committees
    form: Callable[[Rotation], bytes] | None
    """Gives the bytes of a rotation as its chain's verifiers sign it; None where no chain is known."""
    block_time_ms: Mapping[Caip2, int]
    sources: Sources
    states: dict[tuple[Caip2, Gateway], VerifierState] = field(default_factory=dict)
    """By the gateway whose verifier it is."""
    _signed: dict[Digest, dict[Identity, bytes]] = field(default_factory=dict)
    """Signatures by the digest that they are over."""
    _asked: set[Digest] = field(default_factory=set)
    _late: set[Digest] = field(default_factory=set)
    _calls: dict[Digest, _Call] = field(default_factory=dict)

    # ---- what is to be handed over

    def all(self) -> tuple[Handover, ...]:
        """Give each verifier's newest handover, under way or done, in order of chain and address."""
        if self.form is None:
            return ()
        verifiers = {(state.chain, state.verifier): state for state in self.states.values()}
        found = (self._handover(verifiers[place], self.form) for place in sorted(verifiers))
        return tuple(each for each in found if each is not None)

    def attesters(self, handover: Handover) -> frozenset[Identity]:
        """Give who has signed a rotation."""
        return frozenset(self._signed.get(handover.digest, ()))

    def is_accepted(self, key_epoch: int, at_s: int) -> bool:
        """Tell whether some verifier takes, or will take, certificates of a key epoch."""
        kept = (state.epoch(key_epoch) for state in self.states.values())
        return any(each is not None and at_s <= each.valid_until for each in kept)

    def _handover(self, state: VerifierState, form: Callable[[Rotation], bytes]) -> Handover | None:
        """Give the next epoch's handover, or else that to the newest epoch, for whoever signs late."""
        for key_epoch in (state.newest.key_epoch + 1, state.newest.key_epoch):
            rotation = self._rotation(state, key_epoch)
            before = self.committees.by_key_epoch(key_epoch - 1)
            if rotation is None or before is None:
                continue
            shown = state.epoch(key_epoch)
            if shown is not None and not shown.has(rotation[0]):
                return None
            struct = form(rotation[0])
            return Handover(
                rotation[0], struct, struct_digest(struct), rotation[1], before, shown is not None
            )
        return None

    def _rotation(self, state: VerifierState, key_epoch: int) -> tuple[Rotation, KeysDocument] | None:
        """Give what the newest ceremony with terms says of a key epoch."""
        candidates = [each for each in self.sources.documents() if each.key_epoch == key_epoch]
        for keys in sorted(candidates, key=lambda each: each.generation)[::-1]:
            committee, terms = self.committees.by_epoch(keys.committee_epoch), self.sources.terms(keys)
            if committee is None or terms is None or state.network != keys.network:
                continue
            groups = [keys.group(group_name(tier)) for tier in (Tier.FAST, Tier.FULL)]
            fast, full = (None if group is None else group.key for group in groups)
            rotation = Rotation(
                chain=state.chain,
                verifier=state.verifier,
                network=keys.network,
                new_epoch=key_epoch,
                attesters=tuple(sorted(committee.attesters())),
                groups=None if fast is None or full is None else (fast, full),
                fast=committee.fast,
                full=committee.full,
                not_before=terms.not_before,
                not_after=terms.not_after,
                revoke_previous=terms.revoke,
            )
            return rotation, keys
        return None

    # ---- events

    def started(self) -> None:
        """Begin a process: nothing is under way."""
        self._asked.clear()
        self._late.clear()
        self._calls.clear()

    def seen(self, gateway: Gateway, state: VerifierState) -> list[Effect]:
        """Take what a gateway's verifier is."""
        before = self.states.get((state.chain, gateway))
        self.states[(state.chain, gateway)] = state
        newest = state.newest.key_epoch
        if before is not None and before.verifier == state.verifier and before.newest.key_epoch < newest:
            return [
                Notice(
                    "key epoch announced",
                    {"chain": state.chain, "key_epoch": newest, "valid_from": state.newest.valid_from},
                )
            ]
        return []

    def heard(self, envelope: Envelope, message: RotationSigned) -> list[Effect]:
        """Take a member's signature, our own included."""
        handover = next((each for each in self.all() if _is_about(each, message)), None)
        if handover is None:
            return [_dropped(envelope, "no such rotation is due")]
        if message.rotation != handover.struct:
            return [_dropped(envelope, "another rotation")]
        signed = self._signed.setdefault(handover.digest, {})
        if envelope.author in signed:
            return []
        member = handover.before.member(envelope.author)
        if member is None or _signer(handover.digest, message.signature) != member.attester:
            return [_dropped(envelope, "bad rotation signature")]
        signed[envelope.author] = message.signature
        logged: list[Effect] = [LogEntry(envelope.digest, envelope.raw), Releasable((envelope.digest,))]
        if len(signed) == handover.before.full:
            logged.append(Notice("rotation signed", _facts(handover)))
        return logged

    def ended(self, key: bytes, submission: Submission, now_ms: Millis) -> list[Effect]:
        """Take what became of our call."""
        call = self._calls.get(Digest(key))
        if call is None:
            return []
        landed = submission.status in (SubmissionStatus.LANDED, SubmissionStatus.NEEDLESS)
        call.in_flight = False
        call.due_ms = Millis(now_ms + (SETTLING_MS if landed else AGAIN_MS))
        told: Facts = {"status": submission.status.value, "reason": submission.reason}
        return [Notice("rotation ended", told)]

    # ---- what is to be done

    def due(self, now_ms: Millis, heads: Mapping[str, int]) -> list[Effect]:
        """Give what is to be signed and sent now; `heads` is each chain's newest time."""
        effects: list[Effect] = []
        for handover in self.all():
            if handover.is_done:
                continue
            if heads.get(handover.rotation.chain, now_ms // 1_000) > handover.rotation.not_after:
                effects += self._too_late(handover)
                continue
            effects += self._sign(handover)
            effects += self._submit(handover, now_ms, heads)
        # What was due and is not to be sent now is no reason to wake up for: it begins anew when it is.
        self._calls = {
            digest: call for digest, call in self._calls.items() if call.in_flight or call.due_ms > now_ms
        }
        return effects

    def next_due_ms(self) -> Millis | None:
        """Give when `due` has a call to make."""
        return min((call.due_ms for call in self._calls.values() if not call.in_flight), default=None)

    def _too_late(self, handover: Handover) -> Iterator[Effect]:
        if handover.digest not in self._late:
            self._late.add(handover.digest)
            remedy = (
                "hold another ceremony for this key epoch, with later times, before its committee is in "
                "force; from then on only the gateway's owner can help: setVerifier"
            )
            yield Notice("rotation out of time", {**_facts(handover), "remedy": remedy})

    def _sign(self, handover: Handover) -> Iterator[Effect]:
        """Ask our signer, once in a process, if we are among those who hand over."""
        is_ours = handover.before.member(self.me) is not None
        if is_ours and self.me not in self.attesters(handover) and handover.digest not in self._asked:
            self._asked.add(handover.digest)
            yield SignRotation(handover.rotation, handover.struct, handover.before.committee_epoch)

    def _submit(self, handover: Handover, now_ms: Millis, heads: Mapping[str, int]) -> Iterator[Effect]:
        certificate, groups = self._certificate(handover), self._groups(handover)
        is_ready = certificate is not None and (groups is not None or handover.rotation.groups is None)
        chain = handover.rotation.chain
        if not is_ready or heads.get(chain, now_ms // 1_000) < handover.rotation.not_before:
            return
        members = [member.identity for member in handover.before.members]
        place = rank(handover.digest, chain, members, self.me)
        if self.me not in members or place > handover.before.f:
            return
        step_ms = stagger_ms(self.block_time_ms.get(chain, DEFAULT_BLOCK_MS))
        call = self._calls.setdefault(handover.digest, _Call(Millis(now_ms + place * 2 * step_ms)))
        if not call.in_flight and now_ms >= call.due_ms and certificate is not None:
            call.in_flight = True
            yield SubmitRotation(handover.digest, Rotate(handover.rotation, groups, certificate))

    def _certificate(self, handover: Handover) -> bytes | None:
        """Give the certificate once a full quorum of the epoch before has signed (core SPEC 4.5)."""
        signatures: dict[Address, bytes] = {}
        for identity, signature in self._signed.get(handover.digest, {}).items():
            member = handover.before.member(identity)
            if member is not None:
                signatures[member.attester] = signature
        if len(signatures) < handover.before.full:
            return None
        chosen = sorted(signatures)[: handover.before.full]
        return encode_certificate({address: signatures[address] for address in chosen})

    def _groups(self, handover: Handover) -> GroupKeys | None:
        """Give the new group keys with their possession, once both are shown."""
        keys: list[GroupKey] = []
        for tier in (Tier.FAST, Tier.FULL):
            group = handover.keys.group(group_name(tier))
            shown = None if group is None else self.sources.possession(group.key)
            if group is None or shown is None:
                return None
            keys.append(GroupKey(group.key, shown))
        return GroupKeys(*keys)


def _is_about(handover: Handover, message: RotationSigned) -> bool:
    return (handover.rotation.chain, handover.rotation.verifier) == (message.chain, message.verifier)


def _signer(digest: Digest, signature: bytes) -> Address | None:
    try:
        return recover_address(digest, signature)
    except CertificateError:
        return None


def _facts(handover: Handover) -> Facts:
    return {"chain": handover.rotation.chain, "key_epoch": handover.rotation.new_epoch}


def _dropped(envelope: Envelope, reason: str) -> Notice:
    return Notice("rotation dropped", {"reason": reason, "signer": envelope.author.hex()[:16]})
