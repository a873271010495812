"""The signer in process: keys and guard together, so that nothing signs without the guard (SPEC 6.3)."""

from __future__ import annotations

import asyncio
from collections.abc import AsyncIterator, Callable, Sequence
from contextlib import asynccontextmanager
from pathlib import Path

import coincurve

from proofs.checkpoint import parse_checkpoint
from proofs.decision import decision_id as id_of
from proofs.envelope import PayloadFields, assemble_envelope, parse_envelope, signing_bytes
from proofs.errors import ProofError
from proofs.groupkeys import KeysDocument
from proofs.mandate import Mandate, mandate_digest
from proofs.note import cosigned_bytes
from relay.core.bodies import read_body
from relay.core.errors import GuardRefusal
from relay.core.messages import Attestation, Message, RotationSigned
from relay.core.rotations import rotation_words, struct_digest
from relay.core.types import Address, DecisionId, Digest, Identity, Seconds
from relay.disk import Probe, no_probe
from relay.keys.ceremonies import CeremonySigner
from relay.keys.files import KeyDerivation
from relay.keys.guard import Guard, Statement, require_held
from relay.keys.keyring import DEFAULT_SUBMITTER, Keyring, address_of, keyring_sealing, open_keyring_with
from relay.keys.nonces import NonceVault
from relay.keys.secret import Secret
from relay.keys.sessions import SessionSigner
from relay.keys.sharefiles import OpenedShares, ShareFiles, open_shares
from relay.threshold.ceremony import Ceremony
from relay.threshold.messages import (
    Commitments,
    Complaint,
    Deal,
    Join,
    SignatureShare,
    SigningRequest,
    Transcript,
)

__all__ = ["LocalSigner", "open_signer"]

_NO_SIGNATURE = bytes(64)
_COMMITTEE_TAG = b"tocsin/committee-signature/1\n"
_DIGEST_BYTES = 32
_V_OFFSET = 27
_MAX_TIME = (1 << 63) - 1
"""What SQLite takes for an integer; the mandate's own field is one bit wider."""


class LocalSigner:
    """Implements `relay.core.ports.Signer`; signs by shares of group keys too (threshold SPEC 3, 4).

    Signatures by a key are deterministic: asked again, the same bytes. A share of a signature is given once.
    """

    def __init__(self, keyring: Keyring, guard: Guard, shares: OpenedShares, boot: int) -> None:
        self.guard = guard
        """For start, backup and restore; signing goes through the methods below only."""
        self.share_problems = shares.problems
        """Why shares of a document that names us as holder are not held; the others sign all the same."""
        self._sessions = SessionSigner(guard, shares.identity, shares.keys, NonceVault(boot))
        self._ceremonies = CeremonySigner(keyring.identity, shares, guard)
        self._shares = shares
        self._keyring = keyring
        self._identity = Identity(bytes(keyring.identity.verify_key))
        self._attester = address_of(keyring.attester)
        self._submitter = address_of(keyring.submitter)

    @property
    def identity(self) -> Identity:
        return self._identity

    @property
    def attester(self) -> Address:
        return self._attester

    @property
    def submitter(self) -> Address:
        return self._submitter

    @property
    def log_key(self) -> bytes:
        return bytes(self._keyring.log.verify_key)

    @property
    def cosigner_key(self) -> bytes:
        return bytes(self._keyring.cosigner.verify_key)

    async def release_guard(self) -> None:
        """Unlock attestations: f+1 peers have said what they remember of us, not more than our disk."""
        await self.guard.release()

    def held_keys(self) -> tuple[KeysDocument, ...]:
        """Give the keys documents that we hold shares of, by key epoch and generation."""
        return self._shares.keys.documents()

    async def sign_mandate(self, decision_id: DecisionId, key_epoch: int, mandate: Mandate) -> bytes:
        """65 bytes r ‖ s ‖ v, v 27 or 28, after the guard has the digest on disk. Raises `GuardRefusal`."""
        statement = _statement(decision_id, key_epoch, mandate)
        # DURABLE: the guard holds the digest before a signature over it exists.
        await self.guard.permit(statement)
        return _sign_recoverable(self._keyring.attester, statement.digest, v_offset=_V_OFFSET)

    async def sign_envelope(self, payload: bytes) -> bytes:
        """Ed25519 over an envelope's payload (SPEC 1.2), by its author.

        Raises:
            GuardRefusal: `malformed payload`, `foreign author`; `not yet released` for an attestation or a
                message of a signing session; `unknown digest`, `conflicting digest` for an attestation that
                attests what the guard does not hold.
        """
        fields, message = self._read(payload)
        if isinstance(message, Attestation | Commitments | SigningRequest | SignatureShare):
            self.guard.require_release()
        if isinstance(message, Attestation) and message.digest is not None:
            require_held(await self.guard.holds(*_said(fields, message)), message.digest)
        return self._sign_payload(payload)

    async def sign_attestation(
        self,
        decision_id: DecisionId,
        key_epoch: int,
        mandate: Mandate,
        make_payload: Callable[[bytes], bytes],
    ) -> tuple[bytes, bytes]:
        """Sign a mandate and the attestation that carries it, with one write to the guard.

        `make_payload` gets the mandate's signature (65 bytes) and gives the attestation's payload. Gives that
        payload and its Ed25519 signature.

        Raises:
            GuardRefusal: as `sign_mandate`; `malformed payload`, `foreign author`; `conflicting digest` when
                the payload says anything but this mandate for this decision.
        """
        signature = await self.sign_mandate(decision_id, key_epoch, mandate)
        payload = make_payload(signature)
        fields, attestation = self._read(payload)
        if not isinstance(attestation, Attestation) or attestation.digest is None:
            raise GuardRefusal(
                "malformed payload", "expected an attestation that attests, got another message"
            )
        if _said(fields, attestation) != (decision_id, key_epoch):
            raise GuardRefusal(
                "conflicting digest", "expected the mandate's decision in the payload, got another"
            )
        require_held(mandate_digest(mandate), attestation.digest)
        return payload, self._sign_payload(payload)

    async def sign_rotation(
        self, struct: bytes, make_payload: Callable[[bytes], bytes]
    ) -> tuple[bytes, bytes]:
        """Sign the bytes of a rotation and the message that carries them (threshold SPEC 5).

        `make_payload` gets the attester key's signature (65 bytes) and gives the message's payload. Gives
        that payload and its Ed25519 signature.

        Raises:
            GuardRefusal: as `Guard.permit_rotation`; `malformed payload`; `foreign author`; `conflicting
                digest` when the payload carries anything but this rotation, or is of another network.
        """
        try:
            words, digest = rotation_words(struct), struct_digest(struct)
        except ValueError as error:
            raise GuardRefusal("malformed payload", str(error)) from error
        if max(words.not_before, words.not_after) > _MAX_TIME:
            raise GuardRefusal("malformed payload", f"expected times up to {_MAX_TIME}, got later ones")
        # DURABLE: the guard holds the digest before a signature over it exists.
        await self.guard.permit_rotation(words, digest)
        payload = make_payload(_sign_recoverable(self._keyring.attester, digest, v_offset=_V_OFFSET))
        fields, message = self._read(payload)
        if not isinstance(message, RotationSigned):
            raise GuardRefusal("malformed payload", "expected a rotation, got another message")
        if message.rotation != struct or fields.network != words.network:
            raise GuardRefusal("conflicting digest", "expected this rotation in the payload, got another")
        return payload, self._sign_payload(payload)

    async def commit(
        self,
        decision_id: DecisionId,
        key_epoch: int,
        mandate: Mandate,
        key_id: Digest,
        coordinators: Sequence[Identity],
    ) -> Commitments:
        """Open nonces for a mandate that was attested to; as `SessionSigner.commit`."""
        return await self._sessions.commit(decision_id, key_epoch, mandate, key_id, coordinators)

    async def commit_possession(self, key_id: Digest, coordinators: Sequence[Identity]) -> Commitments:
        """Open nonces to show that a group key exists; as `SessionSigner.commit_possession`."""
        return await self._sessions.commit_possession(key_id, coordinators)

    async def sign_share(self, request: SigningRequest, coordinator: Identity) -> SignatureShare:
        """Answer a coordinator's request with our share; as `SessionSigner.sign_share`."""
        return await self._sessions.sign_share(request, coordinator)

    async def ceremony_join(self, ceremony: Ceremony) -> Join:
        """Take part in a ceremony; as `CeremonySigner.join`."""
        return await self._ceremonies.join(ceremony)

    async def ceremony_deal(self, ceremony: Ceremony) -> Deal:
        """Deal over everybody's joins; as `CeremonySigner.deal`."""
        return await self._ceremonies.deal(ceremony)

    async def ceremony_check(self, ceremony: Ceremony) -> Transcript | tuple[Complaint, ...]:
        """Open what was dealt to us, and sign or complain; as `CeremonySigner.check`."""
        return await self._ceremonies.check(ceremony)

    async def ceremony_activate(self, document: KeysDocument) -> None:
        """Put our shares of a document in force; as `CeremonySigner.activate`."""
        await self._ceremonies.activate(document)

    async def ceremony_drop(self, ceremony: Digest, *, superseded: bool = False) -> None:
        """Erase what is left of a failed ceremony; as `CeremonySigner.drop`."""
        await self._ceremonies.drop(ceremony, superseded=superseded)

    async def retire_shares(self, key_epoch: int) -> None:
        """Erase our shares of a key epoch that no verifier accepts any more; as `CeremonySigner.retire`."""
        await self._ceremonies.retire(key_epoch)

    async def sign_checkpoint(self, body: bytes) -> bytes:
        """Ed25519 by the log key over a checkpoint body: three lines, origin, size and root."""
        try:
            parse_checkpoint(body.decode())
        except (ProofError, UnicodeDecodeError) as error:
            raise GuardRefusal("malformed payload", str(error)) from error
        return bytes(self._keyring.log.sign(body).signature)

    async def cosign(self, body: bytes, at_s: int) -> bytes:
        """Ed25519 by the cosigner key over a checkpoint body and our time (C2SP tlog-cosignature).

        Whether the checkpoint follows from what was cosigned before is for the witness to know.
        """
        try:
            parse_checkpoint(body.decode())
        except (ProofError, UnicodeDecodeError) as error:
            raise GuardRefusal("malformed payload", str(error)) from error
        return bytes(self._keyring.cosigner.sign(cosigned_bytes(body.decode(), at_s)).signature)

    async def sign_committee(self, document: bytes) -> bytes:
        """Ed25519 by the identity key over a committee document (SPEC 2.2)."""
        return bytes(self._keyring.identity.sign(_COMMITTEE_TAG + document).signature)

    async def sign_transaction(self, digest: bytes) -> bytes:
        """65 bytes r ‖ s ‖ v with v 0 or 1, by the submitter key, over a transaction's signing hash."""
        assert len(digest) == _DIGEST_BYTES, "a signing hash is Keccak-256"
        return _sign_recoverable(self._keyring.submitter, digest, v_offset=0)

    def _sign_payload(self, payload: bytes) -> bytes:
        return bytes(self._keyring.identity.sign(signing_bytes(payload)).signature)

    def _read(self, payload: bytes) -> tuple[PayloadFields, Message]:
        # SECURITY: what receivers would read otherwise than we do must not be signed: the same parser.
        try:
            fields = parse_envelope(assemble_envelope(payload, _NO_SIGNATURE)).fields
            message = read_body(fields.kind, fields.body)
        except ProofError as error:
            raise GuardRefusal("malformed payload", str(error)) from error
        if fields.author != self._identity:
            raise GuardRefusal(
                "foreign author", f"expected {self._identity.hex()}, got {fields.author.hex()}"
            )
        return fields, message


def _statement(decision_id: DecisionId, key_epoch: int, mandate: Mandate) -> Statement:
    if (mandate.decision_id, mandate.key_epoch) != (decision_id, key_epoch):
        raise GuardRefusal(
            "foreign mandate", "expected the mandate of this decision and key epoch, got another"
        )
    if mandate.not_before > _MAX_TIME:
        raise GuardRefusal("foreign mandate", f"expected a time up to {_MAX_TIME}, got {mandate.not_before}")
    return Statement(decision_id, key_epoch, mandate_digest(mandate), Seconds(mandate.not_before))


def _said(fields: PayloadFields, attestation: Attestation) -> tuple[DecisionId, int]:
    return id_of(fields.network, attestation.decision), attestation.decision.key_epoch


def _sign_recoverable(key: coincurve.PrivateKey, digest: bytes, *, v_offset: int) -> bytes:
    # libsecp256k1: nonce after RFC 6979, s in the lower half, recovery id in the last byte.
    signature: bytes = key.sign_recoverable(digest, hasher=None)
    return signature[:64] + bytes([signature[64] + v_offset])


@asynccontextmanager
async def open_signer(
    directory: Path,
    *,
    guard_path: Path,
    passphrase: Secret,
    submitter: str = DEFAULT_SUBMITTER,
    documents: Sequence[KeysDocument] = (),
    probe: Probe = no_probe,
) -> AsyncIterator[LocalSigner]:
    """Open the keys in `directory` and the guard; attestations stay refused until `release_guard`.

    Shares of `documents` (in force, checked) are opened too. A file of shares that does not open keeps the
    signer from those shares alone, and stands in `share_problems`: attester keys sign all the same.

    Raises:
        KeyFileError: a key does not open.
        ConfigError: another process has the guard open.
        JournalError: the disk refuses.
    """
    derivation = KeyDerivation(passphrase)
    keyring = await asyncio.to_thread(open_keyring_with, directory, derivation, submitter)
    async with Guard.open(guard_path, probe=probe) as guard:
        # The guard's lock is held: no other process writes below `threshold`.
        files = ShareFiles(directory / "threshold", derivation, keyring_sealing(directory), probe)
        identity = Identity(bytes(keyring.identity.verify_key))
        shares = await asyncio.to_thread(open_shares, files, identity, documents)
        derivation.forget()
        yield LocalSigner(keyring, guard, shares, await guard.begin_boot())
