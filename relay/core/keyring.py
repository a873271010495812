"""Group keys in a node, from their ceremony to their end (threshold SPEC 2 to 5).

```
Proposal, Join, Deal … ▶ ceremonies ▶ PutInForce
KeysInForce            ▶ signing: possession ▶ handovers: SignRotation, SubmitRotation
VerifierSeen           ▶ handovers ▶ retiring: RetireShares
```
"""

from __future__ import annotations

from collections.abc import Callable, Mapping
from dataclasses import dataclass
from typing import assert_never

from proofs.envelope import Envelope
from proofs.groupkeys import KeysDocument
from relay.core.ceremonies import Ceremonies
from relay.core.ceremony_effects import (
    CeremonyEvent,
    CeremonyJoined,
    CeremonyLeft,
    CeremonyProposed,
    CeremonyStuck,
)
from relay.core.committees import Committees
from relay.core.effects import Effect, Page, PageKind
from relay.core.events import KeysInForce, RotationEnded, RotationRefused, VerifierSeen
from relay.core.handovers import Handovers, Sources
from relay.core.messages import RotationSigned
from relay.core.presence import Presence
from relay.core.retiring import Retiring
from relay.core.rotations import Rotation
from relay.core.signing import Signing
from relay.core.types import Caip2, Gateway, Identity, Millis
from relay.core.view import ChainView, newest_times
from relay.threshold.messages import (
    CeremonyMessage,
    Commitments,
    Complaint,
    Deal,
    Join,
    Proposal,
    RotationTerms,
    SessionMessage,
    SignatureShare,
    SigningRequest,
    ThresholdCertificate,
    Transcript,
)

__all__ = ["KeyEvent", "KeyMessage", "Keyring", "KeyringSettings"]

KeyEvent = KeysInForce | VerifierSeen | RotationEnded | RotationRefused | CeremonyEvent
KeyMessage = SessionMessage | ThresholdCertificate | CeremonyMessage | RotationSigned


@dataclass(frozen=True, slots=True)
class KeyringSettings:
    """Whose keys, for the verifiers behind which gateways: those of all plans."""

    me: Identity
    gateways: frozenset[tuple[Caip2, Gateway]]
    block_time_ms: Mapping[Caip2, int]
    rotation_form: Callable[[Rotation], bytes] | None
    """Gives the bytes of a rotation as its chain's verifiers sign it; None where no chain is known."""


class Keyring:
    """Ceremonies, signing sessions, handovers and the end of shares; fed by the node.

    What only our signer can do waits until it may sign: until `presence` has released us.
    """

    def __init__(
        self,
        settings: KeyringSettings,
        presence: Presence,
        committees: Committees,
        views: Mapping[Caip2, ChainView],
    ) -> None:
        me = settings.me
        self.signing = Signing(me)
        self.ceremonies = Ceremonies(me, committees)
        self.handovers = Handovers(
            me, committees, settings.rotation_form, settings.block_time_ms, self._sources()
        )
        self._retiring = Retiring(settings.gateways)
        self._presence = presence
        self._views = views

    # ---- the process

    def started(self, now_ms: Millis) -> list[Effect]:
        """Begin a process: what a crash kept from being done is asked for again."""
        self.signing.started()
        self._retiring.started()
        self.handovers.started()
        return [*self.ceremonies.started(now_ms), *self.signing.shown()]

    def learned(self, committees: Committees, now_ms: Millis) -> list[Effect]:
        """Take the committee documents that are known from now on."""
        self.handovers.committees = committees
        return self.ceremonies.learned(committees, now_ms)

    def released(self, now_ms: Millis) -> list[Effect]:
        """Take up what waited for our signer."""
        return [*self.signing.resume(now_ms), *self._prove(now_ms)]

    def tick(self, now_ms: Millis) -> list[Effect]:
        """Let time go on for sessions and handovers; ceremonies have `ceremonies.tick`."""
        return [*self.signing.tick(now_ms), *self._hand_over(now_ms)]

    def retire(self) -> list[Effect]:
        """Erase shares that no verifier takes any more; it is enough to look with every heartbeat."""
        epochs = {document.key_epoch for document in self.signing.keys.values()}
        heads = newest_times(self._views)
        return list(self._retiring.due(epochs, self.handovers.committees, self.handovers, heads))

    # ---- what happens to keys

    def apply(self, event: KeyEvent, now_ms: Millis) -> list[Effect]:
        """Take what signer, chains and operators tell of keys."""
        match event:
            case KeysInForce(document):
                known = self.ceremonies.keys_in_force(document, now_ms)
                effects = [*known, *self.signing.in_force(document, now_ms)]
                return [*effects, *self.signing.shown(), *self._prove(now_ms), *self._hand_over(now_ms)]
            case VerifierSeen(gateway, state):
                return [*self.handovers.seen(gateway, state), *self._hand_over(now_ms)]
            case RotationEnded(key, submission):
                return self.handovers.ended(key, submission, now_ms)
            case RotationRefused(chain, key_epoch, reason):
                text = f"rotation of {chain} to key epoch {key_epoch}: {reason}"
                return [Page(PageKind.CANNOT_SIGN, text)]
            case CeremonyProposed() | CeremonyJoined() | CeremonyLeft() | CeremonyStuck():
                return self.ceremonies.apply(event, now_ms)
            case _:
                assert_never(event)

    def hear(self, envelope: Envelope, message: KeyMessage, now_ms: Millis) -> list[Effect]:
        """Take what a member says of keys, or what we have said ourselves."""
        match message:
            case Commitments() | SigningRequest() | SignatureShare():
                self.signing.note(envelope, message)
                return self.signing.heard(envelope.author, message, now_ms)
            case ThresholdCertificate():
                return self.signing.shown_by(envelope.author, message, now_ms)
            case RotationSigned():
                return [*self.handovers.heard(envelope, message), *self._hand_over(now_ms)]
            case Proposal() | Join() | Deal() | Complaint() | Transcript():
                return self.ceremonies.hear(envelope, message, now_ms)
            case _:
                assert_never(message)

    def _prove(self, now_ms: Millis) -> list[Effect]:
        """Show that new group keys can sign, as soon as our signer may (threshold SPEC 1.2)."""
        return self.signing.prove(self.handovers.committees, now_ms) if self._presence.is_released else []

    def _hand_over(self, now_ms: Millis) -> list[Effect]:
        """Sign and announce what hands verifiers over to the next key epoch, as soon as our signer may."""
        if not self._presence.is_released:
            return []
        return self.handovers.due(now_ms, newest_times(self._views))

    def _sources(self) -> Sources:
        """Give handovers what they rest on."""

        def terms(keys: KeysDocument) -> RotationTerms | None:
            running = self.ceremonies.get(keys.ceremony)
            return None if running is None else running.proposal.rotation

        return Sources(lambda: tuple(self.signing.keys.values()), terms, self.signing.possession_of)
