"""What heals signing sessions: our words said again until there is a signature, and the signature shown to
whoever lacks it (threshold SPEC 1.2, 4.2).
"""

from __future__ import annotations

from collections.abc import Callable, Container
from dataclasses import dataclass, field
from typing import Final

from proofs.kinds import Digest, Identity, Millis
from relay.threshold.messages import SessionMessage, ThresholdCertificate

__all__ = ["ANSWER_AFTER_MS", "MAX_REPEATED", "MAX_REPEATS", "REPEAT_MS", "Finished", "Repeating"]

REPEAT_MS: Final = 30_000
"""How long we wait until we say again what we said of a digest."""
MAX_REPEATED: Final = 64
"""Words of ours about one digest that are said again; the newest, beside the commitments."""
MAX_REPEATS: Final = 7
"""How often we say it again of a mandate, each time after twice as long: for an hour, as others help."""
ANSWER_AFTER_MS: Final = 10_000
"""Who commits so long after we have the signature has missed it; who does so earlier is only slow."""


@dataclass(slots=True)
class _Words:
    """Our words about one digest; the commitments come first."""

    due_ms: Millis
    said: list[SessionMessage] = field(default_factory=list)
    repeats: int = 0


@dataclass(slots=True)
class Repeating:
    """Our own words about digests that have no signature here."""

    _words: dict[Digest, _Words] = field(default_factory=dict)

    def note(self, message: SessionMessage, now_ms: Millis) -> None:
        """Keep what we say; nothing of a session is healed by anti-entropy."""
        words = self._words.setdefault(message.digest, _Words(Millis(now_ms + REPEAT_MS)))
        if message not in words.said:
            words.said.append(message)
            del words.said[1 : max(1, len(words.said) - MAX_REPEATED)]

    def forget(self, is_over: Callable[[Digest], bool]) -> None:
        """Say no more of these digests."""
        self._words = {digest: words for digest, words in self._words.items() if not is_over(digest)}

    def due(self, now_ms: Millis, is_for_ever: Callable[[Digest], bool]) -> list[SessionMessage]:
        """Give what is to be said again now; `is_for_ever` tells of what is not given up."""
        found: list[SessionMessage] = []
        for digest, words in self._words.items():
            if now_ms < words.due_ms or (words.repeats >= MAX_REPEATS and not is_for_ever(digest)):
                continue
            words.repeats += 1
            times = 0 if is_for_ever(digest) else words.repeats
            words.due_ms = Millis(now_ms + (REPEAT_MS << times))
            found += words.said
        return found


@dataclass(slots=True)
class Finished:
    """Certificates that are complete here, for members that go on committing to what they certify.

    Bounds: one each digest that is kept, one answer a member and digest in `REPEAT_MS` / 2, one wrong
    certificate a member and digest.
    """

    _certificates: dict[Digest, ThresholdCertificate] = field(default_factory=dict)
    _since_ms: dict[Digest, Millis] = field(default_factory=dict)
    _answered_ms: dict[tuple[Digest, Identity], Millis] = field(default_factory=dict)
    _wrong: set[tuple[Digest, Identity]] = field(default_factory=set)

    def __contains__(self, digest: Digest) -> bool:
        """Tell whether there is a certificate over `digest`."""
        return digest in self._certificates

    def put(self, certificate: ThresholdCertificate, now_ms: Millis) -> None:
        """Keep a certificate, which was verified."""
        if certificate.digest not in self._certificates:
            self._certificates[certificate.digest] = certificate
            self._since_ms[certificate.digest] = now_ms

    def keep(self, digests: Container[Digest]) -> None:
        """Forget all digests but these."""
        self._certificates = {key: value for key, value in self._certificates.items() if key in digests}
        self._since_ms = {key: value for key, value in self._since_ms.items() if key in digests}
        self._answered_ms = {key: value for key, value in self._answered_ms.items() if key[0] in digests}
        self._wrong = {key for key in self._wrong if key[0] in digests}

    def lacked_by(self, member: Identity, digest: Digest, now_ms: Millis) -> ThresholdCertificate | None:
        """Give what a member has missed that still commits to `digest`."""
        found = self._certificates.get(digest)
        if found is None or now_ms < self._since_ms[digest] + ANSWER_AFTER_MS:
            return None
        answered_ms = self._answered_ms.get((digest, member))
        if answered_ms is not None and now_ms < answered_ms + REPEAT_MS // 2:
            return None
        self._answered_ms[(digest, member)] = now_ms
        return found

    def may_verify(self, member: Identity, digest: Digest) -> bool:
        """Tell whether a certificate that a member shows is worth the work."""
        return digest not in self._certificates and (digest, member) not in self._wrong

    def was_wrong(self, member: Identity, digest: Digest) -> None:
        """Take note that what a member has shown does not verify."""
        self._wrong.add((digest, member))
