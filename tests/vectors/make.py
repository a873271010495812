"""Writes `mandate.json`: mandates, leaves, act hashes and certificates on which Python and Solidity agree.

Run `python tests/vectors/make.py` from the repository root; the result is the same each time. Act hashes are
made with eth_abi, which the packages under test do not use. `leaves`, `proofs`, `acts` run side by side, in
the order of the tree. `negatives` names one changed mandate field each, with the digest that results,
`leafNegatives` likewise for the first leaf; every certificate in `certificate.negatives` must be refused.
"""

import json
from dataclasses import dataclass, replace
from pathlib import Path
from random import Random

import coincurve
from eth_abi import encode as abi_encode

from proofs.hashes import keccak256
from proofs.kinds import ActHash, ActId, Address, Caip2, DecisionId, Digest, Gateway, NetworkId, PlanHash
from proofs.mandate import (
    ActLeaf,
    Mandate,
    Op,
    Tier,
    acts_root,
    encode_certificate,
    leaf_hash,
    leaf_proof,
    mandate_digest,
)

SEED = 20_261_122
LOCAL_CHAIN = "eip155:31337"
OTHER_CHAINS = ("eip155:1", "eip155:10", "eip155:8453", "eip155:42161", "eip155:11155111")
# (acts, tier, op, members)
CASES = (
    (1, Tier.FAST, Op.PROTECT, 4),
    (2, Tier.FULL, Op.PROTECT, 4),
    (3, Tier.FAST, Op.PROTECT, 7),
    (1, Tier.FULL, Op.EXTEND, 7),
    (1, Tier.FULL, Op.RELEASE, 10),
    (5, Tier.FULL, Op.PROTECT, 13),
    (8, Tier.FAST, Op.PROTECT, 13),
    (11, Tier.FULL, Op.PROTECT, 19),
)
ACT_TYPES = [
    "address",
    "bytes32",
    "address",
    "bytes32",
    "uint8",
    "uint256",
    "uint8",
    "uint8",
    "bytes32",
    "uint16",
    "uint64",
]
ORDER = 0xFFFFFFFFFFFFFFFFFFFFFFFFFFFFFFFEBAAEDCE6AF48A03BBFD25E8CD0364141


@dataclass(frozen=True)
class Act:
    """The fields of core SPEC 4.4, and the name that gives the act's id."""

    name: str
    target: bytes
    call: bytes
    state_target: bytes
    state_call: bytes
    state_word: int
    value: int
    compare: int
    undo: int
    undo_call: bytes
    restore_at: int
    gas_cap: int

    def hash(self) -> ActHash:
        """Give the act hash, by the words of the SPEC."""
        return ActHash(
            keccak256(
                abi_encode(
                    ACT_TYPES,
                    [
                        self.target,
                        keccak256(self.call),
                        self.state_target,
                        keccak256(self.state_call),
                        self.state_word,
                        self.value,
                        self.compare,
                        self.undo,
                        keccak256(self.undo_call),
                        self.restore_at,
                        self.gas_cap,
                    ],
                )
            )
        )


def hexed(data: bytes) -> str:
    return "0x" + data.hex()


def selector(signature: str) -> bytes:
    return keccak256(signature.encode())[:4]


def make_act(chance: Random, index: int) -> Act:
    """Give a switch, a cap that is restored, or an act without undo, in turn."""
    target = chance.randbytes(20)
    match index % 3:
        case 0:
            return Act(
                f"halt-{index}", target, selector("pause()"), target, selector("paused()"),
                0, 1, 0, 1, selector("unpause()"), 0, 150_000 + index,
            )  # fmt: skip
        case 1:
            cap = chance.randrange(1 << 200)
            asset = bytes(12) + chance.randbytes(20)
            call = selector("setCap(address,uint256)") + asset + cap.to_bytes(32, "big")
            undo_call = selector("setCap(address,uint256)") + asset + bytes(32)
            return Act(
                f"cap-{index}", target, call, chance.randbytes(20), selector("caps(address)") + asset,
                1, cap, 1, 2, undo_call, 36, 400_000,
            )  # fmt: skip
        case _:
            return Act(
                f"lock-{index}", target, selector("lock()"), target, selector("lockLevel()"),
                3, (1 << 256) - 1, 2, 0, b"", 0, 4_000_000_000,
            )  # fmt: skip


def make_certificate(chance: Random, digest: Digest, members: int, tier: Tier) -> dict[str, object]:
    f = (members - 1) // 3
    threshold = max(f + 1, 2) if tier is Tier.FAST else (members + f) // 2 + 1
    keys = [coincurve.PrivateKey(chance.randbytes(32)) for _ in range(members)]
    by_address = {address_of(key): key for key in keys}
    signers = sorted(chance.sample(sorted(by_address), threshold))
    signatures = {signer: sign(by_address[signer], digest) for signer in signers}
    stranger = coincurve.PrivateKey(chance.randbytes(32))
    ordered = [signatures[signer] for signer in signers]
    other = {signer: sign(by_address[signer], keccak256(digest)) for signer in signers}
    one_less = dict(list(signatures.items())[1:])
    with_stranger = {**one_less, address_of(stranger): sign(stranger, digest)}
    refused = {
        "one signature too few": encode_certificate(one_less),
        "a signer twice": b"\x01" + b"".join([ordered[0], *ordered[:-1]]),
        "descending signers": b"\x01" + b"".join(reversed(ordered)),
        "a stranger among the signers": encode_certificate(with_stranger),
        "upper s": b"\x01" + upper_s(ordered[0]) + b"".join(ordered[1:]),
        "v of 0 or 1": b"\x01" + ordered[0][:64] + bytes([ordered[0][64] - 27]) + b"".join(ordered[1:]),
        "zero r and s": b"\x01" + bytes(64) + b"\x1b" + b"".join(ordered[1:]),
        "another digest": encode_certificate(other),
        "a trailing byte": encode_certificate(signatures) + b"\0",
        "kind 02": b"\x02" + b"".join(ordered),
        "no signature": b"\x01",
        "nothing": b"",
    }
    return {
        "attesters": [hexed(address) for address in sorted(by_address)],
        "threshold": threshold,
        "bytes": hexed(encode_certificate(signatures)),
        "signers": [hexed(signer) for signer in signers],
        "negatives": [{"why": why, "bytes": hexed(data)} for why, data in refused.items()],
    }


def address_of(key: coincurve.PrivateKey) -> Address:
    return Address(keccak256(key.public_key.format(compressed=False)[1:])[12:])


def sign(key: coincurve.PrivateKey, digest: bytes) -> bytes:
    signature = key.sign_recoverable(digest, hasher=None)
    return signature[:64] + bytes([signature[64] + 27])


def upper_s(signature: bytes) -> bytes:
    """Give the twin of a signature, which verifies where s is not bounded."""
    s = ORDER - int.from_bytes(signature[32:64], "big")
    return signature[:32] + s.to_bytes(32, "big") + bytes([55 - signature[64]])


def changed_fields(mandate: Mandate) -> dict[str, Mandate]:
    def flipped(value: bytes) -> bytes:
        return value[:-1] + bytes([value[-1] ^ 1])

    return {
        "network": replace(mandate, network=NetworkId(flipped(mandate.network))),
        "keyEpoch": replace(mandate, key_epoch=mandate.key_epoch + 1),
        "tier": replace(mandate, tier=Tier(3 - mandate.tier)),
        "planHash": replace(mandate, plan_hash=PlanHash(flipped(mandate.plan_hash))),
        "op": replace(mandate, op=Op(mandate.op % 3 + 1)),
        "decisionId": replace(mandate, decision_id=DecisionId(flipped(mandate.decision_id))),
        "actsRoot": replace(mandate, acts_root=Digest(flipped(mandate.acts_root))),
        "notBefore": replace(mandate, not_before=mandate.not_before + 1),
        "notAfter": replace(mandate, not_after=mandate.not_after - 1),
    }


def changed_leaves(leaf: ActLeaf) -> dict[str, ActLeaf]:
    return {
        "chain": replace(leaf, chain=Caip2(leaf.chain + "0")),
        "gateway": replace(leaf, gateway=Gateway(leaf.gateway[:-1] + bytes([leaf.gateway[-1] ^ 1]))),
        "actId": replace(leaf, act_id=ActId(keccak256(leaf.act_id))),
        "actHash": replace(leaf, act_hash=ActHash(keccak256(leaf.act_hash))),
        "durationS": replace(leaf, duration_s=leaf.duration_s + 1),
    }


def make_leaf(chance: Random, act: Act, index: int) -> ActLeaf:
    return ActLeaf(
        chain=Caip2(LOCAL_CHAIN if index % 3 == 0 else chance.choice(OTHER_CHAINS)),
        gateway=Gateway(bytes(12) + chance.randbytes(20)),
        act_id=ActId(keccak256(act.name.encode())),
        act_hash=act.hash(),
        duration_s=chance.choice((3_600, 21_600, 86_400, 259_200)),
    )


def make_case(chance: Random, acts: int, tier: Tier, op: Op, members: int) -> dict[str, object]:
    listed = [make_act(chance, index) for index in range(acts)]
    leaves = {make_leaf(chance, act, index): act for index, act in enumerate(listed)}
    ordered = sorted(leaves, key=leaf_hash)
    not_before = 1_659_389_000 + chance.randrange(100_000)
    mandate = Mandate(
        network=NetworkId(chance.randbytes(32)),
        key_epoch=chance.randrange(1, 9),
        tier=tier,
        plan_hash=PlanHash(chance.randbytes(32)),
        op=op,
        decision_id=DecisionId(chance.randbytes(32)),
        acts_root=acts_root(ordered),
        not_before=not_before,
        not_after=not_before + (1_800 if tier is Tier.FAST else 21_600),
    )
    digest = mandate_digest(mandate)
    return {
        "mandate": mandate_json(mandate),
        "digest": hexed(digest),
        "leaves": [leaf_json(leaf) for leaf in ordered],
        "root": hexed(mandate.acts_root),
        "proofs": [[hexed(node) for node in leaf_proof(ordered, leaf)] for leaf in ordered],
        "acts": [act_json(leaves[leaf]) for leaf in ordered],
        "certificate": make_certificate(chance, digest, members, tier),
        "negatives": [
            {"field": field, "digest": hexed(mandate_digest(other)), "mandate": mandate_json(other)}
            for field, other in changed_fields(mandate).items()
        ],
        "leafNegatives": [
            {"field": field, "leaf": hexed(leaf_hash(other))}
            for field, other in changed_leaves(ordered[0]).items()
        ],
    }


def mandate_json(mandate: Mandate) -> dict[str, object]:
    return {
        "network": hexed(mandate.network),
        "keyEpoch": mandate.key_epoch,
        "tier": int(mandate.tier),
        "planHash": hexed(mandate.plan_hash),
        "op": int(mandate.op),
        "decisionId": hexed(mandate.decision_id),
        "actsRoot": hexed(mandate.acts_root),
        "notBefore": mandate.not_before,
        "notAfter": mandate.not_after,
    }


def leaf_json(leaf: ActLeaf) -> dict[str, object]:
    return {
        "chain": leaf.chain,
        "gateway": hexed(leaf.gateway),
        "actId": hexed(leaf.act_id),
        "actHash": hexed(leaf.act_hash),
        "durationS": leaf.duration_s,
        "leaf": hexed(leaf_hash(leaf)),
    }


def act_json(act: Act) -> dict[str, object]:
    return {
        "name": act.name,
        "target": hexed(act.target),
        "call": hexed(act.call),
        "stateTarget": hexed(act.state_target),
        "stateCall": hexed(act.state_call),
        "stateWord": act.state_word,
        "value": hexed(act.value.to_bytes(32, "big")),
        "compare": act.compare,
        "undo": act.undo,
        "undoCall": hexed(act.undo_call),
        "restoreAt": act.restore_at,
        "gasCap": act.gas_cap,
        "hash": hexed(act.hash()),
    }


def document() -> str:
    """Give the whole file."""
    chance = Random(SEED)
    cases = [make_case(chance, *case) for case in CASES]
    return json.dumps({"schema": "tocsin/vectors/mandate/1", "seed": SEED, "cases": cases}, indent=1) + "\n"


if __name__ == "__main__":
    Path(__file__).with_name("mandate.json").write_text(document())
