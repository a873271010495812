"""Shares on their way to the signature, by whoever hears them (SPEC 4)."""

from __future__ import annotations

from dataclasses import dataclass, field
from typing import Final

from proofs.kinds import Digest, Identity
from relay.threshold.errors import ThresholdError
from relay.threshold.frost import Package, aggregate, verify, verify_share
from relay.threshold.groups import SECP256K1
from relay.threshold.messages import SignatureShare, SigningRequest
from relay.threshold.tasks import GroupKey, session_id

__all__ = ["Gathering", "Session"]

MAX_EARLY: Final = 8
"""Shares of a member that came before the request that they answer; the oldest goes."""


@dataclass(slots=True)
class Session:
    """One request and the shares that answer it; the first of each signer counts."""

    id: Digest
    coordinator: Identity
    request: SigningRequest
    signers: frozenset[Identity]
    shares: dict[Identity, bytes] = field(default_factory=dict)


@dataclass(slots=True)
class Gathering:
    """All sessions of one mandate and key.

    Bounds: `GroupKey.most_requests` sessions a coordinator, one share a signer and session, `MAX_EARLY`
    shares of a member that no request explains yet.
    """

    key: GroupKey
    sessions: dict[Digest, Session] = field(default_factory=dict)
    bad: dict[Identity, None] = field(default_factory=dict)
    """Who gave a bad share; nobody asks it again for this mandate."""
    _requests: dict[Identity, int] = field(default_factory=dict)
    _early: dict[Identity, dict[Digest, SignatureShare]] = field(default_factory=dict)

    def begin(self, coordinator: Identity, request: SigningRequest) -> Session | None:
        """Take a coordinator's request; None if it is known.

        Raises:
            ThresholdError: the request is malformed, or one too many.
        """
        known = session_id(coordinator, request)
        if known in self.sessions:
            return None
        self.key.check_request(request)
        if self._requests.get(coordinator, 0) >= self.key.most_requests:
            raise ThresholdError("session", f"expected at most {self.key.most_requests} requests")
        self._requests[coordinator] = self._requests.get(coordinator, 0) + 1
        signers = frozenset(line.signer for line in request.commitments)
        session = self.sessions[known] = Session(known, coordinator, request, signers)
        return session

    def early(self, session: Session) -> list[tuple[Identity, SignatureShare]]:
        """Give, and forget, the shares that came before their request."""
        found = [
            (author, shares.pop(session.id)) for author, shares in self._early.items() if session.id in shares
        ]
        return sorted(found, key=lambda pair: pair[0])

    def add(self, author: Identity, share: SignatureShare) -> Session | None:
        """Take a share; give its session if it is new there.

        Raises:
            ThresholdError: the author was not asked, or another coordinator is named.
        """
        session = self.sessions.get(share.session)
        if session is None:
            waiting = self._early.setdefault(author, {})
            waiting.setdefault(share.session, share)
            if len(waiting) > MAX_EARLY:
                # Liars may have it answer requests that nobody else hears of: so its newest stays.
                del waiting[next(iter(waiting))]
                raise ThresholdError("session", f"expected at most {MAX_EARLY} shares before their requests")
            return None
        if author not in session.signers or share.coordinator != session.coordinator:
            raise ThresholdError("session", "expected a share of a signer that the coordinator asked")
        if author in session.shares:
            return None
        session.shares[author] = share.share
        return session

    def finish(self, session: Session) -> tuple[bytes | None, tuple[Identity, ...]]:
        """Aggregate a session that has all its shares: give the signature, or whose shares are bad.

        The aggregate is checked first: single shares only when it is wrong.
        """
        if session.shares.keys() != session.signers:
            return None, ()
        try:
            package = self.key.package(session.request)
        except ThresholdError:
            return None, ()  # whoever listed such commitments: no honest signer has answered
        try:
            shares = {
                self.key.identifiers[signer]: SECP256K1.read_scalar(share)
                for signer, share in session.shares.items()
            }
            signature = aggregate(package, shares)
            verify(SECP256K1, self.key.key, session.request.digest, signature)
        except ThresholdError:
            return None, self._blame(session, package)
        return signature, ()

    def _blame(self, session: Session, package: Package) -> tuple[Identity, ...]:
        found = tuple(
            signer
            for signer, share in sorted(session.shares.items())
            if signer not in self.bad and not self._is_good(package, signer, share)
        )
        self.bad.update(dict.fromkeys(found))
        return found

    def _is_good(self, package: Package, signer: Identity, share: bytes) -> bool:
        number = self.key.identifiers[signer]
        try:
            verify_share(package, number, self.key.shares[number - 1], SECP256K1.read_scalar(share))
        except ThresholdError:
            return False
        return True
