"""Writes `frost.json`: group keys, possessions and certificates of kind 2 on which Python and Solidity agree.

Run `python -m tests.vectors.make_frost` from the repository root; the result is the same each time. Each case
has a network of its own with a key for each tier, which `threshold` of its `holders` sign with; every entry
of `negatives` must be refused.
"""

from __future__ import annotations

import json
from pathlib import Path
from random import Random

from proofs.certificates import encode_frost_certificate
from proofs.kinds import Digest, NetworkId
from proofs.mandate import Tier, key_proof_digest
from relay.threshold.frost import sign_alone
from relay.threshold.groups import SECP256K1
from tests.threshold.shares import Shared, share_out, sign

SEED = 20_261_122
FIELD = 2**256 - 2**32 - 977
# (holders, fast threshold, full threshold)
CASES = ((4, 2, 3), (7, 3, 5), (13, 5, 9), (25, 9, 17))


def hexed(data: bytes) -> str:
    return "0x" + data.hex()


def certify(shared: Shared, threshold: int, digest: bytes, chance: Random) -> bytes:
    """Sign by `threshold` holders drawn by chance."""
    signers = chance.sample(sorted(shared.shares), threshold)
    return encode_frost_certificate(sign(shared, signers, digest, chance).signature)


def negatives(certificate: bytes, shared: Shared, digest: bytes) -> dict[str, bytes]:
    """Give certificates that say the same to a careless reader."""
    head, rx, ry, z = certificate[:1], certificate[1:33], certificate[33:65], certificate[65:]
    x, y, response = (int.from_bytes(part, "big") for part in (rx, ry, z))
    alone = encode_frost_certificate(sign_alone(SECP256K1, shared.shares[1], digest, b"alone"))
    return {
        "another kind": b"\1" + certificate[1:],
        "one byte less": certificate[:-1],
        "one byte more": certificate + b"\0",
        "R negated": head + rx + (FIELD - y).to_bytes(32, "big") + z,
        "R beside the curve": head + rx + ((y + 1) % FIELD).to_bytes(32, "big") + z,
        "another x": head + ((x + 1) % FIELD).to_bytes(32, "big") + ry + z,
        "R at infinity": head + bytes(64) + z,
        "z negated": head + rx + ry + (SECP256K1.order - response).to_bytes(32, "big"),
        "z is zero": head + rx + ry + bytes(32),
        "z is the order": head + rx + ry + SECP256K1.order.to_bytes(32, "big"),
        "z one more": head + rx + ry + ((response + 1) % SECP256K1.order).to_bytes(32, "big"),
        "signed by one share alone": alone,
    }


def make_key(shared: Shared, network: NetworkId, epoch: int, tier: Tier) -> dict[str, object]:
    proof = key_proof_digest(network, epoch, tier, shared.key)
    possession = encode_frost_certificate(sign_alone(SECP256K1, shared.secret, proof, b"possession"))
    return {
        "key": hexed(shared.key),
        "x": hexed(shared.key[1:]),
        "parity": shared.key[0],
        "proofDigest": hexed(proof),
        "possession": hexed(possession),
    }


def make_case(chance: Random, holders: int, fast: int, full: int) -> dict[str, object]:
    network, epoch = NetworkId(chance.randbytes(32)), chance.randrange(1, 1 << 32)
    digest = Digest(chance.randbytes(32))
    case: dict[str, object] = {
        "holders": holders,
        "network": hexed(network),
        "keyEpoch": epoch,
        "digest": hexed(digest),
    }
    for tier, threshold in ((Tier.FAST, fast), (Tier.FULL, full)):
        shared = share_out(SECP256K1, threshold, holders, chance)
        certificate = certify(shared, threshold, digest, chance)
        refused = {
            **negatives(certificate, shared, digest),
            "one signer too few": certify(shared, threshold - 1, digest, chance),
            "another digest": certify(shared, threshold, bytes(32), chance),
        }
        case[tier.name.lower()] = {
            "threshold": threshold,
            **make_key(shared, network, epoch, tier),
            "certificate": hexed(certificate),
            "negatives": [{"why": why, "bytes": hexed(data)} for why, data in refused.items()],
        }
    return case


def document() -> str:
    """Give the whole file."""
    chance = Random(SEED)
    cases = [make_case(chance, *case) for case in CASES]
    return json.dumps({"schema": "tocsin/vectors/frost/1", "seed": SEED, "cases": cases}, indent=1) + "\n"


if __name__ == "__main__":
    Path(__file__).with_name("frost.json").write_text(document())
