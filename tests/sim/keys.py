"""A committee with fixed keys, and honest signers: the guard of a real one, on a disk that may fail (SPEC
6.3).
"""

from __future__ import annotations

from collections.abc import Callable, Iterable, Sequence
from dataclasses import dataclass, field
from functools import cached_property

import coincurve
from nacl.signing import SigningKey

from proofs.canonical import Value
from proofs.committee import CommitteeDocument, CommitteeMember, CommitteeStatement, build_committee
from proofs.envelope import Envelope, signing_bytes
from proofs.hashes import keccak256, sha256
from proofs.kinds import Address, Digest, Identity, Millis
from relay.core.decisions import Prepared
from relay.core.errors import GuardRefusal
from relay.core.messages import Attestation, Message, Verdict
from relay.core.wire import payload_of, seal

NAMES = (
    *("alice", "bob", "carol", "dave", "erin", "frank", "grace"),
    *("heidi", "ivan", "judy", "ken", "lea", "max"),
)


@dataclass(frozen=True)
class Keys:
    """A member's secrets, from its name."""

    name: str

    @cached_property
    def identity_key(self) -> SigningKey:
        return SigningKey(sha256(f"sim/identity/{self.name}".encode()))

    @cached_property
    def attester_key(self) -> coincurve.PrivateKey:
        return coincurve.PrivateKey(sha256(f"sim/attester/{self.name}".encode()))

    @cached_property
    def identity(self) -> Identity:
        return Identity(bytes(self.identity_key.verify_key))

    @cached_property
    def attester(self) -> Address:
        public = self.attester_key.public_key.format(compressed=False)
        return Address(keccak256(public[1:])[12:])

    def sign_mandate(self, digest: bytes) -> bytes:
        """Sign without any guard; 65 bytes with v 27 or 28."""
        signature = self.attester_key.sign_recoverable(digest, hasher=None)
        return signature[:64] + bytes([27 + signature[64]])

    def say(self, message: Message, committee: CommitteeDocument, at_ms: int) -> tuple[Envelope, Message]:
        """Sign any statement as it stands, true or not."""
        payload = payload_of(message, committee=committee, author=self.identity, at_ms=Millis(at_ms))
        return seal(payload, bytes(self.identity_key.sign(signing_bytes(payload)).signature))

    def attest(
        self, prepared: Prepared, committee: CommitteeDocument, at_ms: int, *, digest: bytes | None = None
    ) -> tuple[Envelope, Message]:
        """Attest to a decision, or to another digest under its name."""
        signed = prepared.digest if digest is None else Digest(digest)
        message = Attestation(
            decision=prepared.decision,
            verdict=Verdict.ATTEST,
            trace=EMPTY_TRACE,
            digest=signed,
            signature=self.sign_mandate(signed),
        )
        return self.say(message, committee, at_ms)


EMPTY_TRACE: dict[str, Value] = {
    "agreement": {},
    "faulted": (),
    "pins": {},
    "result": None,
    "rule": "",
    "values": {},
}


def committee_of(size: int) -> tuple[CommitteeDocument, dict[str, Keys]]:
    """Make a committee of the first `size` names."""
    keys = {name: Keys(name) for name in NAMES[:size]}
    return genesis_of("sim", keys.values()), keys


def genesis_of(name: str, keys: Iterable[Keys]) -> CommitteeDocument:
    """Make the first document of a network."""
    return build_committee(
        CommitteeStatement(
            name=name,
            committee_epoch=1,
            key_epoch=1,
            activates_at=0,
            demo=False,
            genesis=None,
            members=members_of(keys),
        )
    )


def committee_after(
    before: CommitteeDocument, names: Sequence[str], *, activates_at: int, rotates: bool = True
) -> CommitteeDocument:
    """Make the next document; with `rotates` it has a key epoch of its own."""
    statement = CommitteeStatement(
        name=before.name,
        committee_epoch=before.committee_epoch + 1,
        key_epoch=before.key_epoch + rotates,
        activates_at=activates_at,
        demo=before.demo,
        genesis=before.network,
        members=members_of(Keys(name) for name in names),
    )
    return build_committee(statement)


def members_of(keys: Iterable[Keys]) -> tuple[CommitteeMember, ...]:
    """Give the seats of a committee, in order of identity."""
    return tuple(
        CommitteeMember(
            identity=each.identity,
            attester=each.attester,
            log=sha256(b"log" + each.identity),
            cosigner=sha256(b"cosigner" + each.identity),
            name=each.name,
            operator=f"operator of {each.name}",
            addresses=(),
            providers={},
        )
        for each in sorted(keys, key=lambda each: each.identity)
    )


class Crashed(Exception):
    """The process ended at a durable write."""


@dataclass
class Guard:
    """The durable map of SPEC 6.3; `write` is called around each write, and may end the process."""

    held: dict[tuple[bytes, int], bytes] = field(default_factory=dict)
    spent: dict[bytes, bytes] = field(default_factory=dict)
    """Digests by the nonces that signed shares of them (threshold SPEC 4)."""
    boot: int = 0
    """How often a signer was opened with it."""

    def admit(
        self, key: tuple[bytes, int], digest: bytes, write: Callable[[Callable[[], None]], None]
    ) -> None:
        """Hold `digest` for `key` before a signature leaves.

        Raises:
            GuardRefusal: another digest is held.
        """
        held = self.held.get(key)
        if held is not None and held != digest:
            raise GuardRefusal("conflicting digest", f"expected {held.hex()}, got {digest.hex()}")
        if held is None:
            write(lambda: self.held.__setitem__(key, digest))
