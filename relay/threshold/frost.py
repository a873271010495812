"""FROST signing with both ciphersuites of RFC 9591, unmodified (SPEC 1; RFC sections 4, 5, 6.1, 6.5).

One signature: every signer makes nonces (`commit`), all make the same `Package` of what the commitments and
the message give, every signer gives its share (`sign_share`), anybody adds them up (`aggregate`) and checks
the sum (`verify`); if it is wrong, `verify_share` says whose share is.
"""

from __future__ import annotations

import hashlib
from collections.abc import Callable, Collection, Mapping
from dataclasses import dataclass, field

import nacl.bindings as sodium
from nacl.exceptions import BadSignatureError

from proofs import schnorr
from proofs.points import coefficient
from relay.threshold.errors import ThresholdError
from relay.threshold.groups import ED25519, SCALAR_BYTES, SECP256K1, Group

__all__ = [
    "MAX_IDENTIFIER",
    "NONCE_RANDOMNESS_BYTES",
    "Commitment",
    "Nonces",
    "Package",
    "aggregate",
    "commit",
    "lagrange",
    "sign_alone",
    "sign_share",
    "signature_bytes",
    "verify",
    "verify_share",
]

MAX_IDENTIFIER = 50
"""Participants are numbered from 1 to this (SPEC 1)."""
NONCE_RANDOMNESS_BYTES = 64
"""Half of it for the hiding nonce, half for the binding one."""


@dataclass(frozen=True, slots=True)
class Commitment:
    """The public halves of a pair of nonces, encoded points."""

    hiding: bytes
    binding: bytes


@dataclass(frozen=True, slots=True)
class Nonces:
    """The secret halves, for one share and never another: two shares by one pair give the secret away."""

    hiding: int = field(repr=False)
    binding: int = field(repr=False)
    commitment: Commitment


@dataclass(frozen=True, slots=True)
class Package:
    """One signing: the same on every side, in whatever order its commitments come.

    Checked when made: 1 to 50 signers, identifiers in 1 … 50, all points. `group_commitment` is R, the sum of
    every D and ρ·E (`bound`), `challenge` is c.

    Raises:
        ThresholdError: `identifiers`, `point`, `identity-point`.
    """

    group: Group
    key: bytes
    commitments: Mapping[int, Commitment] = field(hash=False)
    message: bytes
    binding_factors: Mapping[int, int] = field(init=False, compare=False)
    bound: Mapping[int, bytes] = field(init=False, compare=False)
    group_commitment: bytes = field(init=False, compare=False)
    challenge: int = field(init=False, compare=False)

    def __post_init__(self) -> None:
        group, commitments = self.group, self.commitments
        ordered = {identifier: commitments[identifier] for identifier in _checked(commitments)}
        group.read_point(self.key)
        for commitment in ordered.values():
            # The binding one is checked where it is multiplied.
            group.read_point(commitment.hiding)
        factors = _binding_factors(group, self.key, ordered, self.message)
        bound = {
            identifier: group.multiply(commitment.binding, factors[identifier])
            for identifier, commitment in ordered.items()
        }
        total = group.add([*(commitment.hiding for commitment in ordered.values()), *bound.values()])
        found = {
            "commitments": ordered,
            "binding_factors": factors,
            "bound": bound,
            "group_commitment": total,
            "challenge": _SUITES[group.name].challenge(total, self.key, self.message),
        }
        for name, value in found.items():
            object.__setattr__(self, name, value)

    @property
    def identifiers(self) -> tuple[int, ...]:
        """Who signs, ascending."""
        return tuple(self.commitments)


def commit(group: Group, share: int, randomness: bytes) -> tuple[Nonces, Commitment]:
    """Make a pair of nonces from `randomness` (64 fresh bytes), hedged with the share (RFC 9591, 4.1, 5.1).

    Raises:
        ThresholdError: `share`, `nonces`.
    """
    if len(randomness) != NONCE_RANDOMNESS_BYTES:
        raise ThresholdError(
            "nonces", f"expected {NONCE_RANDOMNESS_BYTES} bytes of randomness, got {len(randomness)}"
        )
    secret = group.scalar_to_bytes(_secret(group, share))
    half = NONCE_RANDOMNESS_BYTES // 2
    suite = _SUITES[group.name]
    hiding, binding = suite.nonce(randomness[:half] + secret), suite.nonce(randomness[half:] + secret)
    commitment = Commitment(group.base(hiding), group.base(binding))
    return Nonces(hiding, binding, commitment), commitment


def sign_share(package: Package, identifier: int, share: int, nonces: Nonces) -> int:
    """Give the signer's share of the signature (RFC 9591, 5.2); the nonces must never be used again.

    Raises:
        ThresholdError: `commitments` if the package does not have these nonces under `identifier`; `share`.
    """
    group = package.group
    # SECURITY: without it a coordinator could pair the nonces with a commitment of its own making.
    if package.commitments.get(identifier) != nonces.commitment:
        raise ThresholdError(
            "commitments", f"expected the own commitment under identifier {identifier}, got another"
        )
    factor = package.challenge * lagrange(group, identifier, package.identifiers)
    blinded = nonces.hiding + nonces.binding * package.binding_factors[identifier]
    return (blinded + factor * _secret(group, share)) % group.order


def verify_share(package: Package, identifier: int, verification_share: bytes, share: int) -> None:
    """Check one signer's share of the signature against its verification share (RFC 9591, 5.4).

    Raises:
        ThresholdError: `signature-share` if it is wrong; `identifiers` if the package has no such signer;
            `point`, `identity-point` for the verification share.
    """
    group = package.group
    _share_in_range(group, identifier, share)
    factor = package.challenge * lagrange(group, identifier, package.identifiers)
    expected = [
        package.commitments[identifier].hiding,
        package.bound[identifier],
        group.multiply(verification_share, factor),
    ]
    if not _is_sum(group, share, expected):
        raise ThresholdError(
            "signature-share",
            f"expected a share of signer {identifier} that fits its commitment, got another",
            identifier=identifier,
        )


def aggregate(package: Package, shares: Mapping[int, int]) -> bytes:
    """Add the shares of all signers up to a signature, R ‖ z (RFC 9591, 5.3). It is not verified here.

    Raises:
        ThresholdError: `identifiers` unless exactly the package's signers gave shares; `signature-share`.
    """
    group = package.group
    if shares.keys() != package.commitments.keys():
        raise ThresholdError(
            "identifiers", f"expected shares of {list(package.identifiers)}, got {sorted(shares)}"
        )
    for identifier, share in shares.items():
        _share_in_range(group, identifier, share)
    return package.group_commitment + group.scalar_to_bytes(sum(shares.values()) % group.order)


def verify(group: Group, key: bytes, message: bytes, signature: bytes) -> None:
    """Check a signature, R ‖ z, over `message` by the group key.

    Raises:
        ThresholdError: `signature` if it is wrong; `point`, `identity-point` for the key.
    """
    group.read_point(key)
    if len(signature) != signature_bytes(group):
        raise ThresholdError(
            "signature", f"expected {signature_bytes(group)} bytes of signature, got {len(signature)}"
        )
    if not _SUITES[group.name].verify(bytes(key), message, bytes(signature)):
        raise ThresholdError("signature", "expected a signature by the group key, got another")


def signature_bytes(group: Group) -> int:
    """Give the length of a signature: 65 on secp256k1, 64 on Ed25519."""
    return group.point_bytes + SCALAR_BYTES


def sign_alone(group: Group, secret: int, message: bytes, nonce_seed: bytes) -> bytes:
    """Sign by a group of one (SPEC 3): what `verify` checks with the key `group.base(secret)`.

    The nonce is of the seed, the secret, the suite and the message: another message has another nonce, the
    same input gives the same bytes again. A seed that is known to others gives nothing away.

    Raises:
        ThresholdError: `share` unless the secret is in 1 … order−1.
    """
    encoded = group.scalar_to_bytes(_secret(group, secret))
    suite = _SUITES[group.name]
    seed = hashlib.sha512(b"tocsin/nonce/1\n" + nonce_seed).digest()
    nonce = suite.nonce(b"tocsin/alone/1\n" + seed + encoded + message)
    key, commitment = group.base(secret), group.base(nonce)
    response = (nonce + suite.challenge(commitment, key, message) * secret) % group.order
    return commitment + group.scalar_to_bytes(response)


def lagrange(group: Group, identifier: int, identifiers: Collection[int]) -> int:
    """Give the coefficient at zero of `identifier` among `identifiers` (RFC 9591, 4.2).

    Raises:
        ThresholdError: `identifiers` unless they are 1 to 50 different ones of 1 … 50, this one among them.
    """
    if identifier not in _checked(identifiers):
        raise ThresholdError("identifiers", f"expected {identifier} among the identifiers, got others")
    return coefficient(group.order, identifier, identifiers, 0)


@dataclass(frozen=True, slots=True)
class _Suite:
    """What differs: H1 `binding`, H2 `challenge`, H3 `nonce`, H4 `digest`, H5 `list_digest`, the check."""

    binding: Callable[[bytes], int]
    challenge: Callable[[bytes, bytes, bytes], int]
    nonce: Callable[[bytes], int]
    digest: Callable[[bytes], bytes]
    list_digest: Callable[[bytes], bytes]
    verify: Callable[[bytes, bytes, bytes], bool]


def _secp256k1_digest(tag: bytes) -> Callable[[bytes], bytes]:
    prefix = b"FROST-secp256k1-SHA256-v1" + tag
    return lambda message: hashlib.sha256(prefix + message).digest()


def _secp256k1_verify(key: bytes, message: bytes, signature: bytes) -> bool:
    try:
        schnorr.verify_frost(key, message, signature)
    except schnorr.SchnorrError:
        return False
    return True


def _ed25519_digest(tag: bytes) -> Callable[[bytes], bytes]:
    prefix = b"FROST-ED25519-SHA512-v1" + tag
    return lambda message: hashlib.sha512(prefix + message).digest()


def _ed25519_scalar(digest: bytes) -> int:
    return int.from_bytes(digest, "little") % ED25519.order


def _ed25519_verify(key: bytes, message: bytes, signature: bytes) -> bool:
    # RFC 8032 as it is; the caller has checked that the key is in the prime-order subgroup.
    try:
        sodium.crypto_sign_open(signature + message, key)
    except BadSignatureError:
        return False
    return True


_SUITES: Mapping[str, _Suite] = {
    SECP256K1.name: _Suite(
        binding=lambda message: schnorr.hash_to_scalar(message, b"rho"),
        challenge=schnorr.challenge,
        nonce=lambda message: schnorr.hash_to_scalar(message, b"nonce"),
        digest=_secp256k1_digest(b"msg"),
        list_digest=_secp256k1_digest(b"com"),
        verify=_secp256k1_verify,
    ),
    ED25519.name: _Suite(
        binding=lambda message: _ed25519_scalar(_ed25519_digest(b"rho")(message)),
        # RFC 9591, 6.1: no context here, so that it is the challenge of RFC 8032.
        challenge=lambda r, key, message: _ed25519_scalar(hashlib.sha512(r + key + message).digest()),
        nonce=lambda message: _ed25519_scalar(_ed25519_digest(b"nonce")(message)),
        digest=_ed25519_digest(b"msg"),
        list_digest=_ed25519_digest(b"com"),
        verify=_ed25519_verify,
    ),
}


def _binding_factors(
    group: Group, key: bytes, ordered: Mapping[int, Commitment], message: bytes
) -> dict[int, int]:
    """RFC 9591, 4.3 and 4.4; `ordered` ascends."""
    suite = _SUITES[group.name]
    encoded = b"".join(
        group.scalar_to_bytes(identifier) + commitment.hiding + commitment.binding
        for identifier, commitment in ordered.items()
    )
    prefix = key + suite.digest(message) + suite.list_digest(encoded)
    return {identifier: suite.binding(prefix + group.scalar_to_bytes(identifier)) for identifier in ordered}


def _checked(identifiers: Collection[int]) -> list[int]:
    """Give the identifiers in ascending order."""
    ordered = sorted(set(identifiers))
    if not ordered or len(ordered) != len(identifiers):
        raise ThresholdError(
            "identifiers", f"expected different signers, at least one, got {len(identifiers)}"
        )
    if ordered[0] < 1 or ordered[-1] > MAX_IDENTIFIER:
        raise ThresholdError("identifiers", f"expected identifiers in 1 … {MAX_IDENTIFIER}, got {ordered}")
    return ordered


def _secret(group: Group, share: int) -> int:
    if not 0 < share < group.order:
        raise ThresholdError("share", "expected a secret share above zero and below the order, got another")
    return share


def _share_in_range(group: Group, identifier: int, share: int) -> None:
    if not 0 <= share < group.order:
        raise ThresholdError(
            "signature-share", f"expected a share of signer {identifier} below the order, got another number"
        )


def _is_sum(group: Group, share: int, points: list[bytes]) -> bool:
    """Whether share·B is the sum of the points; the identity on either side is no share."""
    try:
        return group.base(share) == group.add(points)
    except ThresholdError as error:
        if error.check != "identity-point":
            raise
        return False
