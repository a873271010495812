"""What members do whose process runs other code than the honest: lies in signing sessions, and beside them.

Each function turns the process that calls it; all else in it is a member as any other. See `Vestry.turn`.
"""

from __future__ import annotations

import random
from collections.abc import Callable, Iterable, Iterator, Sequence
from dataclasses import replace

from coincurve import PrivateKey

from proofs.envelope import assemble_envelope, parse_envelope
from proofs.kinds import Digest, Identity
from relay.app.deeds import Deeds
from relay.app.pump import Pump
from relay.core.effects import Effect
from relay.core.events import Event, Signed
from relay.core.messages import Attestation, Message, Verdict
from relay.core.wire import seal
from relay.journal import StoredEnvelope
from relay.keys.sessions import SessionSigner
from relay.threshold.groups import SECP256K1
from relay.threshold.messages import (
    Commitments,
    OpenCommitment,
    SignatureShare,
    SignerCommitment,
    SigningRequest,
)

__all__ = ["hide", "mute", "rush"]

CHANCE = random.SystemRandom()

Said = tuple[Identity, Message]
"""To whom, and what."""
Lie = Callable[[list[Identity], Message], tuple[Iterable[Said], bool]]
"""What is said first to these peers, and whether the honest code's message is said then."""


def rush() -> None:
    """Give nothing but bad shares, ask everybody for something else, and sign no mandate well at first."""
    honest = SessionSigner.sign_share

    async def sign_share(
        self: SessionSigner, request: SigningRequest, coordinator: Identity
    ) -> SignatureShare:
        good = await honest(self, request, coordinator)
        return replace(good, share=SECP256K1.scalar_to_bytes(_number()))

    SessionSigner.sign_share = sign_share  # type: ignore[method-assign]
    _speak(_rushed)


def mute() -> None:
    """Attest to some, dissent to others; commit otherwise to each peer, ask nothing and answer nothing."""
    _speak(_muted)


def hide(identity: str) -> None:
    """Dissent from everything, and leave the own verdicts out of the own log; `identity` is ours, in hex."""
    honest = Pump._envelopes

    def envelopes(self: Pump, kept: Sequence[Event], effects: Sequence[Effect]) -> list[StoredEnvelope]:
        stored = honest(self, kept, effects)
        return [each for each in stored if not is_ours(each.raw)]  # nor do peers get it when they ask

    def is_ours(raw: bytes) -> bool:
        fields = parse_envelope(raw).fields
        return fields.author.hex() == identity and fields.kind == "attestation"

    Pump._envelopes = envelopes  # type: ignore[method-assign]
    _speak(_hidden)


def _hidden(peers: list[Identity], message: Message) -> tuple[Iterable[Said], bool]:
    match message:
        case Attestation(verdict=Verdict.ATTEST):
            dissent = replace(message, verdict=Verdict.DISSENT, digest=None, signature=None)
            return [(peer, dissent) for peer in peers], False
        case _:
            return (), True


def _speak(lie: Lie) -> None:
    """Say what `lie` gives before or instead of the honest code's words; our own node hears those."""
    honest = Deeds._say

    async def say(self: Deeds, payload: bytes, signature: bytes, to: Identity | None) -> None:
        envelope, message = seal(payload, signature)
        me = self.tools.signer.identity
        peers = [member.identity for member in self.tools.committees().newest.members]
        lies, is_said = lie([peer for peer in peers if peer != me], message)
        signed: dict[int, bytes] = {}
        for peer, said in list(lies):
            if id(said) not in signed:
                false = self._payload(said, None)
                # The honest signer would refuse some of it.
                signed[id(said)] = assemble_envelope(false, self.tools.signer._sign_payload(false))
            await self.tools.lane.send(peer, signed[id(said)])
        if is_said:
            await honest(self, payload, signature, to)
        else:
            await self.put(Signed(envelope, message, self.tools.clock()))

    Deeds._say = say  # type: ignore[method-assign]


# ---- who rushes


def _rushed(peers: list[Identity], message: Message) -> tuple[Iterable[Said], bool]:
    match message:
        case Attestation():
            return _slanders(peers, message), True
        case Commitments():
            return _early_requests(peers, message), True
        case SigningRequest():
            return _conflicts(peers, message), False
        case _:
            return (), True


def _slanders(peers: list[Identity], true: Attestation) -> Iterator[Said]:
    """Before the true word: the same with a signature of nobody, and one of an account that is no member's.

    Not of other mandates: when peers tell of those, our own node stops.
    """
    if true.digest is None:
        return
    stranger = PrivateKey(CHANCE.randbytes(32)).sign_recoverable(true.digest, hasher=None)
    for peer in peers:
        yield peer, replace(true, signature=CHANCE.randbytes(64) + b"\x1b")
        yield peer, replace(true, signature=stranger[:64] + bytes([27 + stranger[64]]))


def _early_requests(peers: list[Identity], true: Commitments) -> Iterator[Said]:
    """Ask before anybody has committed, whether we coordinate or not."""
    chosen = sorted(peers)[: len(true.batch)]
    lines = tuple(SignerCommitment(each, true.boot, _opened()) for each in chosen)
    for peer in peers:
        yield peer, SigningRequest(true.digest, true.key_id, lines)


def _conflicts(peers: list[Identity], true: SigningRequest) -> Iterator[Said]:
    """Ask each peer for something else, and some for what was asked for."""
    first, *others = true.commitments
    foreign = SignerCommitment(first.signer, first.boot, _opened())
    asked = [
        true,
        replace(true, commitments=(foreign, *others)),
        replace(true, commitments=tuple(others)),
        replace(true, digest=Digest(CHANCE.randbytes(32))),
        replace(true, key_id=Digest(CHANCE.randbytes(32))),
    ]
    for number, peer in enumerate(CHANCE.sample(peers, len(peers))):
        yield peer, asked[number % len(asked)]
        yield peer, asked[(number + 1) % len(asked)]


# ---- who is mute


def _muted(peers: list[Identity], message: Message) -> tuple[Iterable[Said], bool]:
    match message:
        case Attestation(verdict=Verdict.ATTEST):
            dissent = replace(message, verdict=Verdict.DISSENT, digest=None, signature=None)
            return [(peer, dissent) for peer in CHANCE.sample(peers, len(peers) // 2)], True
        case Commitments():
            return _commitments(peers, message), False
        case SigningRequest() | SignatureShare():
            return (), False
        case _:
            return (), True


def _commitments(peers: list[Identity], true: Commitments) -> Iterator[Said]:
    for peer in peers:
        yield peer, replace(true, batch={coordinator: _opened() for coordinator in true.batch})


def _opened() -> OpenCommitment:
    """Give a commitment to nonces that nobody keeps."""
    return OpenCommitment(CHANCE.randrange(9), SECP256K1.base(_number()), SECP256K1.base(_number()))


def _number() -> int:
    return CHANCE.randrange(1, SECP256K1.order)
