"""What signers and coordinators said in sessions, as it came, so that a bad share can be shown (SPEC 3)."""

from __future__ import annotations

from collections.abc import Container, Iterator
from dataclasses import dataclass, field
from typing import Final

from proofs.canonical import encode
from proofs.envelope import Envelope
from proofs.hashes import sha256
from proofs.kinds import DecisionId, Digest, Identity
from proofs.remarks import Accusation
from relay.core.ceremony_effects import KeepEvidence
from relay.core.effects import Effect, SignStatement
from relay.threshold.messages import Commitments, SessionMessage, SigningRequest
from relay.threshold.wants import BadShare

__all__ = ["BAD_SHARE_FORMAT", "MAX_KEPT", "BadShares"]

BAD_SHARE_FORMAT: Final = "tocsin/bad-share/1"
MAX_KEPT: Final = 128
"""Of one member: envelopes of shares and requests; the oldest make room."""
_REASON: Final = "bad signature share"

_Key = SigningRequest | Digest
"""A request, or the id of the session that a share is of."""


@dataclass(slots=True)
class BadShares:
    """The envelopes of mandates without a signature."""

    _kept: dict[Identity, dict[_Key, tuple[Digest, bytes]]] = field(default_factory=dict)
    """By author; with the digest that is to be signed."""

    def note(self, envelope: Envelope, message: SessionMessage) -> None:
        """Keep a share or a request; the first of its kind counts, as in the session."""
        if isinstance(message, Commitments):
            return
        kept = self._kept.setdefault(envelope.author, {})
        key = message if isinstance(message, SigningRequest) else message.session
        kept.setdefault(key, (message.digest, envelope.raw))
        if len(kept) > MAX_KEPT:
            del kept[next(iter(kept))]

    def keep(self, digests: Container[Digest]) -> None:
        """Forget what is of none of these."""
        for author, words in self._kept.items():
            self._kept[author] = {key: word for key, word in words.items() if word[0] in digests}

    def accuse(self, bad: BadShare, decision: DecisionId) -> Iterator[Effect]:
        """Keep what shows a bad share, and say so; nothing where what shows it is gone."""
        request = self._kept.get(bad.coordinator, {}).get(bad.request)
        share = self._kept.get(bad.member, {}).get(bad.session)
        if request is None or share is None:
            return
        evidence = encode({"format": BAD_SHARE_FORMAT, "request": request[1], "share": share[1]})
        digest = sha256(evidence)
        name = f"bad-share-{bad.member.hex()[:16]}-{digest.hex()[:16]}.msgpack"
        yield KeepEvidence(bad.member, name, evidence)
        yield SignStatement(Accusation(decision, bad.member, _REASON, digest))
