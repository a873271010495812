"""Writes `frost.json`: group keys, possession, certificates of kind 0x02 and rotations on which Python and
Solidity agree.

Run `python tests/vectors/make_frost.py` from the repository root; the result is the same each time. Groups
sign with their members' shares as nodes do; each signature is then checked with plain integers, by code that
shares nothing with the packages under test. Every certificate in `negatives` must be refused. The full group
of the first case has the secret of RFC 9591, E.5. The digest of a rotation is made with eth_abi.
"""

import hashlib
import json
from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path
from random import Random

from eth_abi import encode as abi_encode

from proofs.hashes import keccak256
from proofs.kinds import NetworkId
from proofs.mandate import Tier, encode_frost_certificate, key_proof_digest
from relay.threshold.frost import Package, aggregate, commit, sign_share
from relay.threshold.groups import SECP256K1

SEED = 9_591
FIELD = 2**256 - 2**32 - 977
ORDER = 0xFFFFFFFFFFFFFFFFFFFFFFFFFFFFFFFEBAAEDCE6AF48A03BBFD25E8CD0364141
BASE = (
    0x79BE667EF9DCBBAC55A06295CE870B07029BFCDB2DCE28D959F2815B16F81798,
    0x483ADA7726A3C4655DA4FBFC0E1108A8FD17B448A68554199C47D08FFB10D4B8,
)
RFC_SECRET = 0x0D004150D27C3BF2A42F312683D35FAC7394B1E9E318249C1BFE7F0795A83114
RFC_COEFFICIENT = 0xFBF85EADAE3058EA14F19148BB72B45E4399C0B16028ACAF0395C9B03C823579
# (members, threshold of the fast tier, of the full tier, certificates of each tier)
CASES = ((4, 2, 3, 3), (7, 3, 5, 2), (13, 5, 9, 1))
ROTATION_FIELDS = (
    ("bytes32", "network"), ("uint256", "chainId"), ("address", "verifier"), ("uint32", "newEpoch"),
    ("bytes32", "attestersHash"), ("bytes32", "groupsHash"), ("uint8", "fast"), ("uint8", "full"),
    ("uint64", "notBefore"), ("uint64", "notAfter"), ("bool", "revokePrevious"),
)  # fmt: skip
Point = tuple[int, int]


@dataclass(frozen=True)
class Group:
    """A tier's group: its polynomial, constant term first."""

    coefficients: Sequence[int]

    @property
    def key(self) -> bytes:
        return SECP256K1.base(self.coefficients[0])

    def share(self, identifier: int) -> int:
        return sum(each * identifier**power for power, each in enumerate(self.coefficients)) % ORDER

    def sign(self, digest: bytes, members: int, random: Random) -> bytes:
        """The certificate of some `threshold` members."""
        signers = sorted(random.sample(range(1, members + 1), len(self.coefficients)))
        made = {each: commit(SECP256K1, self.share(each), random.randbytes(64)) for each in signers}
        package = Package(SECP256K1, self.key, {each: made[each][1] for each in signers}, digest)
        shares = {each: sign_share(package, each, self.share(each), made[each][0]) for each in signers}
        signature = aggregate(package, shares)
        assert holds(self.key, digest, signature), "expected the signature to hold by plain integers"
        return encode_frost_certificate(signature)


def document() -> str:
    random = Random(SEED)
    cases = [case(number, *sizes, random) for number, sizes in enumerate(CASES, start=1)]
    return json.dumps({"cases": cases}, indent=1) + "\n"


def case(number: int, members: int, fast: int, full: int, count: int, random: Random) -> dict[str, object]:
    network = NetworkId(keccak256(f"network {number}".encode()))
    groups = {Tier.FAST: some_group(fast, random), Tier.FULL: some_group(full, random)}
    if number == 1:
        # The RFC's own polynomial, with a coefficient more for our threshold.
        groups[Tier.FULL] = Group((RFC_SECRET, RFC_COEFFICIENT, random.randrange(1, ORDER)))
    shown = {}
    for tier, group in groups.items():
        digest = key_proof_digest(network, number, tier, group.key)
        possession = group.sign(digest, members, random)
        shown[tier.name.lower()] = {
            "key": hexed(group.key),
            "x": hexed(group.key[1:]),
            "parity": group.key[0],
            "proofDigest": hexed(digest),
            "possession": hexed(possession),
        }
    packed = groups[Tier.FAST].key + groups[Tier.FULL].key
    return {
        "network": hexed(network),
        "keyEpoch": number,
        "groups": {**shown, "hash": hexed(keccak256(packed))},
        "certificates": [
            certificate(groups, tier, f"digest {number} {index}", members, random)
            for tier in groups
            for index in range(count)
        ],
        "rotation": rotation(network, number, keccak256(packed), random),
    }


def some_group(threshold: int, random: Random) -> Group:
    return Group([random.randrange(1, ORDER) for _ in range(threshold)])


def certificate(
    groups: dict[Tier, Group], tier: Tier, name: str, members: int, random: Random
) -> dict[str, object]:
    digest = keccak256(name.encode())
    made = groups[tier].sign(digest, members, random)
    other = groups[Tier.FULL if tier is Tier.FAST else Tier.FAST]
    refused = negatives(made) | {
        "by the other tier's group": other.sign(digest, members, random),
        "over another digest": groups[tier].sign(keccak256(digest), members, random),
    }
    return {
        "tier": int(tier),
        "digest": hexed(digest),
        "certificate": hexed(made),
        "negatives": [{"why": why, "bytes": hexed(data)} for why, data in refused.items()],
    }


def negatives(made: bytes) -> dict[str, bytes]:
    """Certificates that are nearly this one."""
    rx, ry, z = made[1:33], made[33:65], made[65:]
    low, word = int.from_bytes(z, "big"), lambda number: number.to_bytes(32, "big")
    return {
        "kind 01": b"\x01" + made[1:],
        "kind 03": b"\x03" + made[1:],
        "too short": made[:-1],
        "too long": made + b"\0",
        "compressed R": b"\x02" + bytes([2 + (ry[-1] & 1)]) + rx + z,
        "-R": b"\x02" + rx + word(FIELD - int.from_bytes(ry, "big")) + z,
        "R beside the curve": b"\x02" + rx + word(int.from_bytes(ry, "big") ^ 2) + z,
        "R of zeros": b"\x02" + bytes(64) + z,
        "Rx is the field's order": b"\x02" + word(FIELD) + ry + z,
        "z is zero": made[:65] + bytes(32),
        "z is the order": made[:65] + word(ORDER),
        "-z": made[:65] + word(ORDER - low),
        "z + 1": made[:65] + word((low + 1) % ORDER),
    }


def rotation(network: bytes, number: int, groups_hash: bytes, random: Random) -> dict[str, object]:
    values = {
        "network": network,
        "chainId": 31_337 + number,
        "verifier": "0x" + random.randbytes(20).hex(),
        "newEpoch": number,
        "attestersHash": random.randbytes(32),
        "groupsHash": groups_hash,
        "fast": 2 + number,
        "full": 5 + number,
        "notBefore": random.randrange(2**40),
        "notAfter": random.randrange(2**40, 2**41),
        "revokePrevious": number % 2 == 0,
    }
    type_ = f"Rotation({','.join(f'{kind} {name}' for kind, name in ROTATION_FIELDS)})"
    struct = abi_encode([kind for kind, _ in ROTATION_FIELDS], [values[name] for _, name in ROTATION_FIELDS])
    domain = abi_encode(
        ["bytes32"] * 3,
        [keccak256(text) for text in (b"EIP712Domain(string name,string version)", b"Tocsin", b"1")],
    )
    digest = keccak256(b"\x19\x01" + keccak256(domain) + keccak256(keccak256(type_.encode()) + struct))
    shown = {name: hexed(value) if isinstance(value, bytes) else value for name, value in values.items()}
    return {**shown, "digest": hexed(digest)}


# ---- plain integers: RFC 9591 6.5 and RFC 9380 5.3.1 once more


def holds(key: bytes, digest: bytes, signature: bytes) -> bool:
    """Whether z·G = R + c·P."""
    commitment, z = signature[:33], int.from_bytes(signature[33:], "big")
    factor = int.from_bytes(expanded(commitment + key + digest), "big") % ORDER
    return times(z, BASE) == plus(decoded(commitment), times(factor, decoded(key)))


def expanded(message: bytes) -> bytes:
    tag = b"FROST-secp256k1-SHA256-v1chal"
    suffix = tag + bytes([len(tag)])
    whole = hashlib.sha256(bytes(64) + message + b"\x00\x30\x00" + suffix).digest()
    first = hashlib.sha256(whole + b"\x01" + suffix).digest()
    mixed = (int.from_bytes(whole, "big") ^ int.from_bytes(first, "big")).to_bytes(32, "big")
    return first + hashlib.sha256(mixed + b"\x02" + suffix).digest()[:16]


def decoded(point: bytes) -> Point:
    x = int.from_bytes(point[1:], "big")
    y = pow(x**3 + 7, (FIELD + 1) // 4, FIELD)
    return x, y if y % 2 == point[0] % 2 else FIELD - y


def plus(one: Point | None, other: Point | None) -> Point | None:
    if one is None or other is None:
        return one or other
    if one[0] == other[0] and (one[1] + other[1]) % FIELD == 0:
        return None
    if one == other:
        slope = 3 * one[0] ** 2 * pow(2 * one[1], -1, FIELD)
    else:
        slope = (other[1] - one[1]) * pow(other[0] - one[0], -1, FIELD)
    x = (slope**2 - one[0] - other[0]) % FIELD
    return x, (slope * (one[0] - x) - one[1]) % FIELD


def times(number: int, point: Point | None) -> Point | None:
    result = None
    while number:
        if number & 1:
            result = plus(result, point)
        point, number = plus(point, point), number >> 1
    return result


def hexed(data: bytes) -> str:
    return "0x" + data.hex()


if __name__ == "__main__":
    Path(__file__).with_name("frost.json").write_text(document())
