"""A signer's part in signing sessions: open commitments, and shares by them (threshold SPEC 4).

What stays in memory while the node runs: the shares in force, as integers, and the open pairs of nonces.
Python can wipe neither.
"""

from __future__ import annotations

import secrets
from collections.abc import Callable, Sequence
from functools import partial

from proofs.mandate import Mandate, key_proof_digest, mandate_digest
from relay.core.errors import GuardRefusal
from relay.core.types import DecisionId, Digest, Identity
from relay.keys.guard import Guard, require_held
from relay.keys.held import HeldKey, HeldKeys
from relay.keys.nonces import NonceVault, Purpose
from relay.keys.spent import Spending
from relay.threshold.errors import ThresholdError
from relay.threshold.frost import NONCE_RANDOMNESS_BYTES, Commitment, Nonces, Package, commit, sign_share
from relay.threshold.groups import SECP256K1
from relay.threshold.messages import Commitments, OpenCommitment, SignatureShare, SigningRequest
from relay.threshold.tasks import session_id

__all__ = ["SessionSigner"]


class SessionSigner:
    """Commits and signs for one member, with one guard, from one start of the process to its end."""

    def __init__(
        self,
        guard: Guard,
        identity: Identity,
        keys: HeldKeys,
        vault: NonceVault,
        entropy: Callable[[int], bytes] = secrets.token_bytes,
    ) -> None:
        self._guard = guard
        self._identity = identity
        self._keys = keys
        self._vault = vault
        self._entropy = entropy

    async def commit(
        self,
        decision_id: DecisionId,
        key_epoch: int,
        mandate: Mandate,
        key_id: Digest,
        coordinators: Sequence[Identity],
    ) -> Commitments:
        """Open nonces for each coordinator, to sign a mandate that was attested to by the key `key_id`.

        Raises:
            GuardRefusal: `not yet released`, `unknown key`, `wrong key` (of another network, tier or epoch),
                `unknown digest`, `conflicting digest`, `already committed`.
        """
        held, digest = self._held(key_id), mandate_digest(mandate)
        tier = (mandate.network, mandate.key_epoch, mandate.tier)
        if (held.document.network, held.key.key_epoch, held.key.tier) != tier:
            raise GuardRefusal(
                "wrong key", f"expected the {mandate.tier.name.lower()} key of epoch {mandate.key_epoch}"
            )
        require_held(await self._guard.holds(decision_id, key_epoch), digest)
        return self._open(Purpose(digest, key_id, (decision_id, key_epoch)), held, coordinators)

    async def commit_possession(self, key_id: Digest, coordinators: Sequence[Identity]) -> Commitments:
        """Open nonces for each coordinator, to sign the possession of the key `key_id` (SPEC 1.2) alone.

        Raises:
            GuardRefusal: `not yet released`, `unknown key`, `already committed`.
        """
        held = self._held(key_id)
        return self._open(Purpose(_possession(held), key_id, None), held, coordinators)

    async def sign_share(self, request: SigningRequest, coordinator: Identity) -> SignatureShare:
        """Answer a request by `coordinator`, its author, with our share and our next commitment.

        The nonces are spent, whatever happens then. Resolves when that is on disk.

        Raises:
            GuardRefusal: `not yet released`, `unknown key`, `unknown digest` (nothing was committed to),
                `foreign coordinator`, `malformed request`, `commitment not open`, and as `Guard.spend`.
            JournalError: the disk did not take it; no share was made.
        """
        held = self._held(request.key_id)
        purpose = self._vault.find(request.digest, request.key_id)
        if purpose is None:
            raise GuardRefusal("unknown digest", "expected one that was committed to, got another")
        if not self._vault.is_for(purpose, coordinator):
            raise GuardRefusal("foreign coordinator", f"got {coordinator.hex()[:16]}")
        opened = self._own(purpose, request, coordinator)
        package = _checked(held, request)
        # From here to `take` nothing may wait: of two requests for one pair of nonces, one takes it.
        nonces = self._vault.take(purpose, coordinator)
        # DURABLE: a share exists only after the row that says its nonces are used.
        await self._guard.spend(
            Spending(opened.hiding, opened.binding, request.digest, self._vault.boot), purpose.said
        )
        share = sign_share(package, held.identifier, held.share, nonces)
        return SignatureShare(
            digest=request.digest,
            key_id=request.key_id,
            coordinator=coordinator,
            session=session_id(coordinator, request),
            share=SECP256K1.scalar_to_bytes(share),
            boot=self._vault.boot,
            next=self._vault.follow(purpose, coordinator, partial(self._nonces, held)),
        )

    def _held(self, key_id: Digest) -> HeldKey:
        self._guard.require_release()
        held = self._keys.get(key_id)
        if held is None:
            raise GuardRefusal("unknown key", f"expected one that we hold a share of, got {key_id.hex()}")
        return held

    def _open(self, purpose: Purpose, held: HeldKey, coordinators: Sequence[Identity]) -> Commitments:
        if self._vault.find(purpose.digest, purpose.key_id) is not None:
            raise GuardRefusal("already committed", "expected a new digest, got one that nonces are open for")
        batch = self._vault.begin(purpose, coordinators, held.key.most_requests, partial(self._nonces, held))
        return Commitments(digest=purpose.digest, key_id=purpose.key_id, boot=self._vault.boot, batch=batch)

    def _nonces(self, held: HeldKey) -> tuple[Nonces, Commitment]:
        return commit(SECP256K1, held.share, self._entropy(NONCE_RANDOMNESS_BYTES))

    def _own(self, purpose: Purpose, request: SigningRequest, coordinator: Identity) -> OpenCommitment:
        own = next((line for line in request.commitments if line.signer == self._identity), None)
        if own is None:
            raise GuardRefusal("malformed request", "expected us among the signers, got others alone")
        opened = self._vault.opened(purpose, coordinator)
        if opened is None or (own.boot, own.open) != (self._vault.boot, opened):
            raise GuardRefusal("commitment not open", f"got number {own.open.seq} of boot {own.boot}")
        return opened


def _checked(held: HeldKey, request: SigningRequest) -> Package:
    """Check the whole list, also what others committed to, before anything of ours is spent on it."""
    try:
        held.key.check_request(request)
        return held.key.package(request)
    except ThresholdError as error:
        raise GuardRefusal("malformed request", str(error)) from error


def _possession(held: HeldKey) -> Digest:
    return key_proof_digest(held.document.network, held.key.key_epoch, held.key.tier, held.key.key)
