"""Gas of one protective act, whole and by part, beside other ways to have a committee act on one chain."""

from __future__ import annotations

import itertools
import json
import subprocess
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path

import coincurve
from eth_abi.abi import encode

from adapters.evm import shapes
from adapters.evm.abi import selector
from adapters.evm.devchain import Anvil, AnvilSettings, artifact_code, start_anvil
from adapters.evm.encode import ACT_TYPES, address_text, encode_act, gateway_calldata
from adapters.evm.rotations import GROUPS, groups_values
from proofs.hashes import keccak256
from proofs.kinds import Address, DecisionId, Digest, NetworkId, PlanHash
from proofs.mandate import (
    ActLeaf,
    Mandate,
    Op,
    Tier,
    acts_root,
    encode_certificate,
    leaf_proof,
    mandate_digest,
)
from relay.core.ports import ActText, EncodedAct, Execute
from relay.core.rotations import GroupKeys
from tests.bench.figure import Figure

__all__ = [
    "LASTS_S",
    "NETWORK",
    "PLAN",
    "Scene",
    "address_of",
    "compiled",
    "deploy_gateway",
    "deploy_verifier",
    "key_of",
    "measure",
    "now_s",
    "pause_act",
    "protect",
    "register",
    "signed",
]

CHAIN_ID = 918_001
GOAL_GAS = 110_000
NETWORK = NetworkId(b"\x01" * 32)
PLAN = PlanHash(b"\x02" * 32)
LASTS_S = 3_600
LIMITS, BUDGET = (60, 86_400, 30 * 86_400), (86_400, 86_400, 3)
BASE_GAS, ZERO_BYTE_GAS, BYTE_GAS = 21_000, 4, 16
EVM = Path(__file__).parents[2] / "adapters" / "evm"
CONTRACTS = Path(__file__).parent / "contracts"
FOREIGN = EVM / "third_party" / "artifacts"
NOBODY = "0x" + "00" * 20


@dataclass(slots=True)
class Scene:
    """One chain, the account that pays, and the attesters in ascending order of address."""

    anvil: Anvil
    account: str
    code: Mapping[str, bytes]
    keys: Sequence[coincurve.PrivateKey]

    async def deploy(self, code: bytes, types: Sequence[str] = (), *values: object) -> str:
        return await self.anvil.deploy(self.account, code + encode(types, values))

    async def call(self, to: str, data: bytes) -> tuple[bytes, int]:
        """The transaction and the gas that it used.

        Raises:
            RuntimeError: it reverted; then a figure would mean nothing.
        """
        tx = await self.anvil.send(self.account, to, data)
        await self.anvil.mine()
        receipt = await self.anvil.receipt(tx)
        if not receipt.succeeded:
            raise RuntimeError(f"expected a call of 0x{data[:4].hex()} at {to} to succeed, it reverted")
        return tx, receipt.gas_used


async def measure(seed: int) -> list[Figure]:
    """All of it on one chain in one run."""
    async with start_anvil(AnvilSettings(CHAIN_ID, timestamp=1_700_000_000)) as anvil:
        keys = sorted((key_of(seed, number) for number in range(19)), key=address_of)
        scene = Scene(anvil, (await anvil.accounts())[0], compiled(), keys)
        figures = await _acts(scene)
        figures += await _verifications(scene)
        figures += await _safe(scene, figures[0].value)
        return figures


# ---- our own act


async def _acts(scene: Scene) -> list[Figure]:
    """The first protect of an act, and one after its expiry: a bare target, two of four attesters."""
    committee = scene.keys[:4]
    verifier = await deploy_verifier(scene, committee, fast=2, full=3)
    gateway = await deploy_gateway(scene, verifier)
    target = await scene.deploy(scene.code["BarePausable"], ("address",), gateway)
    act = pause_act(scene, gateway, target)
    await register(scene, gateway, [act])
    # A mandate of the registration's own second is dead.
    await scene.anvil.mine(timestamp=await now_s(scene.anvil) + 2)
    first = await protect(scene, act, 1, _by_two(scene))
    await scene.anvil.rpc("evm_increaseTime", LASTS_S + 60)
    await scene.anvil.mine()
    _, expired = await scene.call(gateway, selector("expire", ("bytes32",)) + act.act_id)
    later = await protect(scene, act, 2, _by_two(scene))
    return [
        Figure("first protect, t = 2, bare target", first["total"], "gas", goal=GOAL_GAS),
        *(Figure(f"… {part}", gas, "gas") for part, gas in first.items() if part != "total"),
        Figure("later protect, t = 2, bare target", later["total"], "gas", goal=GOAL_GAS),
        Figure("expire with its undo", expired, "gas"),
    ]


async def deploy_verifier(
    scene: Scene,
    keys: Sequence[coincurve.PrivateKey],
    fast: int,
    full: int,
    groups: GroupKeys | None = None,
) -> str:
    types = ("bytes32", "uint32", "address[]", "uint8", "uint8", GROUPS, "uint64", "uint64")
    attesters = [address_of(key) for key in keys]
    code = artifact_code("TocsinVerifier")
    return await scene.deploy(
        code, types, NETWORK, 1, attesters, fast, full, groups_values(groups), 86_400, 21_600
    )


async def deploy_gateway(scene: Scene, verifier: str, budget: tuple[int, int, int] = BUDGET) -> str:
    types = ("address", "address", "address", "bytes32", "(uint64,uint64,uint64)", "(uint64,uint64,uint32)")
    values = (scene.account, scene.account, verifier, NETWORK, LIMITS, budget)
    return await scene.deploy(artifact_code("TocsinGateway"), types, *values)


def pause_act(scene: Scene, gateway: str, target: str, name: str = "halt") -> EncodedAct:
    """The act that pauses a bare target."""
    return encode_act(
        ActText(
            name=name,
            chain=scene.anvil.chain,
            gateway=gateway,
            target=target,
            call="pause()",
            state="paused()",
            value=True,
            undo="unpause()",
            gas=100_000,
        )
    )


async def register(scene: Scene, gateway: str, acts: Sequence[EncodedAct]) -> None:
    """Register the acts for the fast tier, then the plan: from then on the gateway is sealed."""
    types = ("bytes32", f"({','.join(ACT_TYPES)})", "uint8", "uint64")
    for act in acts:
        values = (act.act_id, act.registration, int(Tier.FAST), LASTS_S)
        await scene.call(gateway, selector("registerAct", types) + encode(types, values))
    plan = ("bytes32", "bytes32", "uint64")
    await scene.call(gateway, selector("setPlan", plan) + encode(plan, (PLAN, bytes(32), 0)))


async def now_s(anvil: Anvil) -> int:
    """The newest block's time."""
    head = shapes.mapping(await anvil.rpc("eth_getBlockByNumber", "latest", False))
    return shapes.quantity(head["timestamp"])


def _by_two(scene: Scene) -> Callable[[Digest], bytes]:
    """The certificate of the first two attesters."""
    return lambda digest: encode_certificate({address_of(key): signed(key, digest) for key in scene.keys[:2]})


async def protect(
    scene: Scene, act: EncodedAct, number: int, certify: Callable[[Digest], bytes]
) -> dict[str, float]:
    """Bring a mandate of this moment with its certificate, and give the gas of the transaction by part."""
    now = await now_s(scene.anvil)
    leaf = ActLeaf(scene.anvil.chain, act.gateway, act.act_id, act.act_hash, LASTS_S)
    decision = DecisionId(number.to_bytes(32, "big"))
    root = acts_root([leaf])
    mandate = Mandate(NETWORK, 1, Tier.FAST, PLAN, Op.PROTECT, decision, root, now, now + 1_800)
    proof = tuple(leaf_proof([leaf], leaf))
    certificate = certify(mandate_digest(mandate))
    call = Execute(scene.anvil.chain, act.gateway, act.act_id, LASTS_S, mandate, proof, certificate)
    data = gateway_calldata(call)
    tx, total = await scene.call(address_text(act.gateway), data)
    traced = await scene.anvil.rpc(
        "debug_traceTransaction", "0x" + tx.hex(), {"tracer": "callTracer", "tracerConfig": {}}
    )
    calls = [shapes.mapping(each) for each in shapes.sequence(shapes.mapping(traced).get("calls", []))]
    certified, *others = [shapes.quantity(each["gasUsed"]) for each in calls]
    intrinsic = BASE_GAS + sum(BYTE_GAS if byte else ZERO_BYTE_GAS for byte in data)
    return {
        "total": total,
        "transaction and calldata": intrinsic,
        "verifier: the certificate": certified,
        "target: state, call, state": sum(others),
        "gateway itself": total - intrinsic - certified - sum(others),
    }


# ---- beside


async def _verifications(scene: Scene) -> list[Figure]:
    """13 of 19 signatures checked in a transaction of their own: a list in storage, and ours in code."""
    addresses = [address_of(key) for key in scene.keys]
    guardians = await scene.deploy(
        scene.code["GuardianSet"], ("address[]", "uint256"), [bytes(each) for each in addresses], 13
    )
    digest = keccak256(b"mandate")
    signatures = [signed(key, digest) for key in scene.keys[:13]]
    split = [(each[:32], each[32:64], each[64], index) for index, each in enumerate(signatures)]
    types = ("bytes32", "(bytes32,bytes32,uint8,uint8)[]")
    _, stored = await scene.call(guardians, selector("verify", types) + encode(types, (digest, split)))
    ours = await deploy_verifier(scene, scene.keys, fast=7, full=13)
    certificate = encode_certificate(dict(zip(addresses[:13], signatures, strict=True)))
    asked = ("bytes32", "uint8", "uint32", "bytes")
    data = selector("verify", asked) + encode(asked, (digest, int(Tier.FULL), 1, certificate))
    _, gas = await scene.call(ours, data)
    name = "guardian set in storage"
    return [Figure("13 of 19 signatures, verification alone", gas, "gas", floor=stored, floor_name=name)]


async def _safe(scene: Scene, act_gas: float) -> list[Figure]:
    """The same pause by a Safe of which 2 of 4 owners sign: its authors' own build."""
    singleton = await scene.deploy(artifact_code("Safe", FOREIGN))
    factory = await scene.deploy(artifact_code("SafeProxyFactory", FOREIGN))
    owners = [bytes(address_of(key)) for key in scene.keys[:4]]
    setup_types = (
        "address[]", "uint256", "address", "bytes", "address", "address", "uint256", "address",
    )  # fmt: skip
    setup = selector("setup", setup_types) + encode(
        setup_types, (owners, 2, NOBODY, b"", NOBODY, NOBODY, 0, NOBODY)
    )
    making = ("address", "bytes", "uint256")
    create = selector("createProxyWithNonce", making) + encode(making, (singleton, setup, 0))
    answer = await scene.anvil.rpc("eth_call", {"to": factory, "data": "0x" + create.hex()}, "latest")
    safe = "0x" + shapes.octets(answer, 32)[12:].hex()
    await scene.call(factory, create)
    target = await scene.deploy(scene.code["BarePausable"], ("address",), safe)
    asked = (
        "address", "uint256", "bytes", "uint8", "uint256", "uint256", "uint256", "address", "address",
    )  # fmt: skip
    pause = (target, 0, selector("pause", ()), 0, 0, 0, 0, NOBODY, NOBODY)
    hashing = selector("getTransactionHash", (*asked, "uint256")) + encode((*asked, "uint256"), (*pause, 0))
    found = await scene.anvil.rpc("eth_call", {"to": safe, "data": "0x" + hashing.hex()}, "latest")
    digest = shapes.octets(found, 32)
    signatures = b"".join(signed(key, digest) for key in scene.keys[:2])
    executing = (*asked, "bytes")
    data = selector("execTransaction", executing) + encode(executing, (*pause, signatures))
    _, gas = await scene.call(safe, data)
    return [Figure("the same pause through our gateway", act_gas, "gas", floor=gas, floor_name="Safe 2 of 4")]


# ---- keys, contracts


def key_of(seed: int, number: int) -> coincurve.PrivateKey:
    return coincurve.PrivateKey(keccak256(f"bench {seed} {number}".encode()))


def address_of(key: coincurve.PrivateKey) -> Address:
    return Address(keccak256(key.public_key.format(compressed=False)[1:])[12:])


def signed(key: coincurve.PrivateKey, digest: bytes) -> bytes:
    """65 bytes with v of 27 or 28 (core SPEC 4.5)."""
    signature = key.sign_recoverable(digest, hasher=None)
    return signature[:64] + bytes([27 + signature[64]])


def compiled() -> dict[str, bytes]:
    """Creation code of this folder's contracts, by the settings of ours."""
    library = EVM / "node_modules" / "@openzeppelin" / "contracts" / "utils"
    sources = {file.name: file.read_text() for file in sorted(CONTRACTS.glob("*.sol"))}
    for name in ("Pausable", "Context"):
        sources[f"@openzeppelin/contracts/utils/{name}.sol"] = (library / f"{name}.sol").read_text()
    request = {
        "language": "Solidity",
        "sources": {name: {"content": text} for name, text in sources.items()},
        "settings": {
            "optimizer": {"enabled": True, "runs": 200},
            "outputSelection": {"*": {"*": ["evm.bytecode.object"]}},
        },
    }
    done = subprocess.run(
        [EVM / "tools" / "solc", "--standard-json"],
        input=json.dumps(request),
        capture_output=True,
        text=True,
        check=True,
    )
    output = json.loads(done.stdout)
    problems = [each["formattedMessage"] for each in output.get("errors", ()) if each["severity"] == "error"]
    if problems:
        raise RuntimeError("\n".join(problems))
    built = itertools.chain.from_iterable(unit.items() for unit in output["contracts"].values())
    return {name: bytes.fromhex(each["evm"]["bytecode"]["object"]) for name, each in built}
