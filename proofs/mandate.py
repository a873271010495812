"""Mandates and act leaves: what members sign for chains (core SPEC 4.2, 4.3).

Certificates over them are `proofs.certificates`; their names can be taken from here as well.
"""

from collections.abc import Collection, Sequence
from dataclasses import dataclass
from enum import IntEnum

from proofs.certificates import (
    CERTIFICATE_ECDSA,
    CERTIFICATE_FROST,
    SIGNATURE_BYTES,
    CertificateError,
    certificate_kind,
    encode_certificate,
    encode_frost_certificate,
    recover_address,
    split_certificate,
    verify_certificate,
    verify_frost_certificate,
)
from proofs.errors import ProofError
from proofs.hashes import keccak256
from proofs.kinds import ActHash, ActId, Caip2, DecisionId, Digest, Gateway, NetworkId, PlanHash
from proofs.points import Suite, check_point

__all__ = [
    "CERTIFICATE_ECDSA",
    "CERTIFICATE_FROST",
    "MAX_ACTS",
    "SIGNATURE_BYTES",
    "ActLeaf",
    "CertificateError",
    "LeafError",
    "Mandate",
    "MandateError",
    "Op",
    "Tier",
    "acts_root",
    "certificate_kind",
    "encode_certificate",
    "encode_frost_certificate",
    "key_proof_digest",
    "leaf_hash",
    "leaf_proof",
    "mandate_digest",
    "recover_address",
    "split_certificate",
    "typed_digest",
    "verify_certificate",
    "verify_frost_certificate",
    "verify_leaf",
]

MAX_ACTS = 256
"""Leaves of one decision."""
MAX_PROOF = 8
"""Siblings of a leaf: log2 of `MAX_ACTS`."""
_WORD = 32


class MandateError(ProofError):
    """A field of a mandate or leaf is outside its Solidity type; `check` is `mandate-range`."""


class LeafError(ProofError):
    """The act leaves of a decision, or a proof over them, are not in order."""


class Tier(IntEnum):
    """How many members stand behind a mandate (core SPEC 2.1); the number is in the signed bytes."""

    FAST = 1
    FULL = 2


class Op(IntEnum):
    """What a mandate lets a gateway do; the number is in the signed bytes."""

    PROTECT = 1
    EXTEND = 2
    RELEASE = 3


@dataclass(frozen=True, slots=True)
class Mandate:
    """What an attester signs: one operation on the acts under one root, within a time of the reference chain.

    Hashes are 32 bytes, `key_epoch` fits 32 bits, the times are seconds of chain time and fit 64 bits.
    """

    network: NetworkId
    key_epoch: int
    tier: Tier
    plan_hash: PlanHash
    op: Op
    decision_id: DecisionId
    acts_root: Digest
    not_before: int
    not_after: int

    def __post_init__(self) -> None:
        for name in ("network", "plan_hash", "decision_id", "acts_root"):
            _check_length(name, getattr(self, name))
        _check_range("key_epoch", self.key_epoch, bits=32)
        _check_range("not_before", self.not_before, bits=64)
        _check_range("not_after", self.not_after, bits=64)


@dataclass(frozen=True, slots=True)
class ActLeaf:
    """One act that a decision authorises: on one gateway of one chain, for `duration_s` seconds."""

    chain: Caip2
    gateway: Gateway
    act_id: ActId
    act_hash: ActHash
    duration_s: int

    def __post_init__(self) -> None:
        for name in ("gateway", "act_id", "act_hash"):
            _check_length(name, getattr(self, name))
        _check_range("duration_s", self.duration_s, bits=64)


_DOMAIN_SEPARATOR = keccak256(
    keccak256(b"EIP712Domain(string name,string version)") + keccak256(b"Tocsin") + keccak256(b"1")
)
_MANDATE_TYPE = keccak256(
    b"Mandate(bytes32 network,uint32 keyEpoch,uint8 tier,bytes32 planHash,uint8 op,bytes32 decisionId,"
    b"bytes32 actsRoot,uint64 notBefore,uint64 notAfter)"
)
_KEY_PROOF_TYPE = keccak256(b"KeyProof(bytes32 network,uint32 keyEpoch,uint8 tier,uint256 x,uint8 parity)")


def mandate_digest(mandate: Mandate) -> Digest:
    """Give the EIP-712 digest that attesters sign and gateways check (core SPEC 4.2)."""
    struct = (
        _MANDATE_TYPE
        + mandate.network
        + _word(mandate.key_epoch)
        + _word(mandate.tier)
        + mandate.plan_hash
        + _word(mandate.op)
        + mandate.decision_id
        + mandate.acts_root
        + _word(mandate.not_before)
        + _word(mandate.not_after)
    )
    return typed_digest(struct)


def key_proof_digest(network: NetworkId, key_epoch: int, tier: Tier, key: bytes) -> Digest:
    """Give the digest that a tier's group key (33 bytes, compressed) signs to show itself (threshold 1.2).

    Raises:
        MandateError: the network or key epoch is outside its Solidity type.
        PointError: `key` is no point.
    """
    _check_length("network", network)
    _check_range("key_epoch", key_epoch, bits=32)
    check_point(Suite.SECP256K1, key)
    return typed_digest(_KEY_PROOF_TYPE + network + _word(key_epoch) + _word(tier) + key[1:] + _word(key[0]))


def leaf_hash(leaf: ActLeaf) -> Digest:
    """Give the hash under which a leaf stands in the acts tree (core SPEC 4.3)."""
    words = (
        keccak256(leaf.chain.encode()) + leaf.gateway + leaf.act_id + leaf.act_hash + _word(leaf.duration_s)
    )
    return keccak256(b"\x00" + words)


def acts_root(leaves: Collection[ActLeaf]) -> Digest:
    """Give the root over the leaves of one decision, in whatever order they come (core SPEC 4.3).

    Raises:
        LeafError: `acts-empty`, `acts-many` (more than `MAX_ACTS`), `acts-duplicate`.
    """
    return _levels(leaves)[-1][0]


def leaf_proof(leaves: Collection[ActLeaf], leaf: ActLeaf) -> tuple[Digest, ...]:
    """Give the siblings from `leaf` up to the root over `leaves`; at most `MAX_PROOF` of them.

    Raises:
        LeafError: as `acts_root`, and `acts-leaf` when `leaf` is none of them.
    """
    levels = _levels(leaves)
    wanted = leaf_hash(leaf)
    if wanted not in levels[0]:
        raise LeafError("acts-leaf", "expected a leaf of this decision, got another", act_id=leaf.act_id)
    index = levels[0].index(wanted)
    siblings: list[Digest] = []
    for level in levels[:-1]:
        sibling = index ^ 1
        if sibling < len(level):
            siblings.append(level[sibling])
        index //= 2
    return tuple(siblings)


def verify_leaf(leaf: ActLeaf, proof: Sequence[bytes], root: bytes) -> None:
    """Check that `leaf` stands under `root`; `proof` as `leaf_proof` gives it.

    Raises:
        LeafError: `acts-proof`.
    """
    if len(proof) > MAX_PROOF or any(len(sibling) != _WORD for sibling in proof):
        raise LeafError("acts-proof", f"expected at most {MAX_PROOF} siblings of {_WORD} bytes, got others")
    node = leaf_hash(leaf)
    for sibling in proof:
        node = _node(node, Digest(sibling))
    if node != root:
        raise LeafError("acts-proof", f"expected root {root.hex()}, got {node.hex()}", root=root, got=node)


def _levels(leaves: Collection[ActLeaf]) -> list[list[Digest]]:
    """Give the tree from the sorted leaves up to the root; an odd last node rises unchanged."""
    if not leaves:
        raise LeafError("acts-empty", "expected at least one act, got none")
    if len(leaves) > MAX_ACTS:
        raise LeafError("acts-many", f"expected at most {MAX_ACTS} acts, got {len(leaves)}")
    level = sorted({leaf_hash(leaf) for leaf in leaves})
    if len(level) != len(leaves):
        raise LeafError("acts-duplicate", "expected each act once, got one twice")
    levels = [level]
    while len(level) > 1:
        pairs = [_node(level[i], level[i + 1]) for i in range(0, len(level) - 1, 2)]
        level = pairs + level[len(level) & ~1 :]
        levels.append(level)
    return levels


def typed_digest(struct: bytes) -> Digest:
    """Give the EIP-712 digest of a struct's type hash and words, in the domain of core SPEC 4.2."""
    return keccak256(b"\x19\x01" + _DOMAIN_SEPARATOR + keccak256(struct))


def _node(one: Digest, other: Digest) -> Digest:
    return keccak256(b"\x01" + min(one, other) + max(one, other))


def _word(number: int) -> bytes:
    return number.to_bytes(_WORD, "big")


def _check_length(name: str, value: bytes) -> None:
    if len(value) != _WORD:
        raise MandateError("mandate-range", f"{name}: expected {_WORD} bytes, got {len(value)}", field=name)


def _check_range(name: str, value: int, *, bits: int) -> None:
    if not 0 <= value < 1 << bits:
        raise MandateError("mandate-range", f"{name}: expected {bits} bits, got {value}", field=name)
