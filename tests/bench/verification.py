"""Gas of checking one certificate on a chain: one signature by a group beside the list of its signers' own.

Both kinds over the same digest at the same verifier, for each threshold from 2 to 13, and a whole protective
call by a group. Calldata is what makes totals differ by a few gas: zeros are cheaper than other bytes.
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from random import Random

from eth_abi.abi import encode

from adapters.evm.abi import selector
from adapters.evm.devchain import AnvilSettings, start_anvil
from proofs.committee import fast_quorum, full_quorum
from proofs.hashes import keccak256
from proofs.kinds import Digest
from proofs.mandate import Tier, encode_certificate, encode_frost_certificate, key_proof_digest
from relay.core.rotations import GroupKey, GroupKeys
from relay.threshold.groups import SECP256K1
from tests.bench.figure import Figure
from tests.bench.gas import (
    BASE_GAS,
    BYTE_GAS,
    GOAL_GAS,
    NETWORK,
    ZERO_BYTE_GAS,
    Scene,
    address_of,
    compiled,
    deploy_gateway,
    deploy_verifier,
    key_of,
    now_s,
    pause_act,
    protect,
    register,
    signed,
)
from tests.threshold.shares import Shared, share_out, sign

__all__ = ["measure"]

CHAIN_ID = 918_051
THRESHOLDS = range(2, 14)
GOAL_EXECUTION, GOAL_CALL, GOAL_SPREAD = 12_000, 36_000, 50
KEY_EPOCH = 1
VERIFY = ("bytes32", "uint8", "uint32", "bytes")


@dataclass(frozen=True)
class Holders:
    """A tier's group: any `threshold` of the holders of its shares sign."""

    shared: Shared
    threshold: int
    random: Random

    @classmethod
    def of(cls, threshold: int, count: int, random: Random) -> Holders:
        return cls(share_out(SECP256K1, threshold, count, random), threshold, random)

    def certify(self, digest: Digest) -> bytes:
        """By as many holders as must, drawn by chance."""
        signers = self.random.sample(sorted(self.shared.shares), self.threshold)
        return encode_frost_certificate(sign(self.shared, signers, digest, self.random).signature)


async def measure(seed: int) -> list[Figure]:
    """All of it on one chain in one run."""
    random = Random(seed)
    async with start_anvil(AnvilSettings(CHAIN_ID, timestamp=1_700_000_000)) as anvil:
        keys = sorted((key_of(seed, number) for number in range(19)), key=address_of)
        scene = Scene(anvil, (await anvil.accounts())[0], compiled(), keys)
        figures: list[Figure] = []
        for threshold in THRESHOLDS:
            figures += await _verifications(scene, threshold, random)
        spread = [figure.value for figure in figures if figure.name.endswith("execution")]
        figures.append(
            Figure("… over all t, most less least", max(spread) - min(spread), "gas", goal=GOAL_SPREAD)
        )
        return [*figures, await _protect(scene, random)]


def _seats(threshold: int) -> tuple[int, Tier]:
    """The smallest committee of which a tier needs so many; none has a full quorum of two."""
    if threshold == 2:
        return 4, Tier.FAST
    return next(n for n in range(4, 51) if full_quorum(n) == threshold), Tier.FULL


async def _verifications(scene: Scene, threshold: int, random: Random) -> list[Figure]:
    seats, tier = _seats(threshold)
    sizes = {Tier.FAST: fast_quorum(seats), Tier.FULL: full_quorum(seats)}
    groups = {each: Holders.of(size, seats, random) for each, size in sizes.items()}
    members = scene.keys[:seats]
    verifier = await deploy_verifier(scene, members, *sizes.values(), _shown(groups))
    digest = keccak256(f"mandate {threshold}".encode())
    listed = encode_certificate({address_of(key): signed(key, digest) for key in members[:threshold]})
    found = {}
    for kind, certificate in (("group", groups[tier].certify(digest)), ("list", listed)):
        data = selector("verify", VERIFY) + encode(VERIFY, (digest, int(tier), KEY_EPOCH, certificate))
        answer = await scene.anvil.rpc("eth_call", {"to": verifier, "data": "0x" + data.hex()}, "latest")
        if int(str(answer), 16) != 1:
            raise RuntimeError(f"expected a {kind} of {threshold} to be accepted, it was refused")
        _, total = await scene.call(verifier, data)
        found[kind] = (total, total - BASE_GAS - sum(BYTE_GAS if byte else ZERO_BYTE_GAS for byte in data))
    by_group, by_list = found["group"], found["list"]
    beside = f"a list of {threshold}"
    return [
        Figure(f"certificate by a group, t = {threshold}: bare call", by_group[0], "gas", by_list[0], beside,
               GOAL_CALL),
        Figure(f"certificate by a group, t = {threshold}: execution", by_group[1], "gas", by_list[1], beside,
               GOAL_EXECUTION),
    ]  # fmt: skip


async def _protect(scene: Scene, random: Random) -> Figure:
    """The first protect of an act, as beside `gas`, certified by the fast group of four."""
    groups = {tier: Holders.of(1 + int(tier), 4, random) for tier in Tier}
    verifier = await deploy_verifier(scene, scene.keys[:4], 2, 3, _shown(groups))
    gateway = await deploy_gateway(scene, verifier)
    target = await scene.deploy(scene.code["BarePausable"], ("address",), gateway)
    act = pause_act(scene, gateway, target)
    await register(scene, gateway, [act])
    # A mandate of the registration's own second is dead.
    await scene.anvil.mine(timestamp=await now_s(scene.anvil) + 2)
    parts = await protect(scene, act, 1, groups[Tier.FAST].certify)
    return Figure("first protect, by a group, bare target", parts["total"], "gas", goal=GOAL_GAS)


def _shown(groups: Mapping[Tier, Holders]) -> GroupKeys:
    def shown(tier: Tier) -> GroupKey:
        key = groups[tier].shared.key
        return GroupKey(key, groups[tier].certify(key_proof_digest(NETWORK, KEY_EPOCH, tier, key)))

    return GroupKeys(shown(Tier.FAST), shown(Tier.FULL))
