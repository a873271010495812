"""The real gateway in front of a bridge that can be paused, and keys that open it."""

from contextlib import asynccontextmanager
from dataclasses import dataclass, field

import coincurve
from eth_abi import encode

from adapters.conformance import MemoryStore
from adapters.evm import adapter
from adapters.evm.abi import selector
from adapters.evm.devchain import artifact_code
from adapters.evm.encode import ACT_TYPES, address_text
from adapters.evm.rotations import GROUPS, groups_values
from proofs.hashes import keccak256
from proofs.kinds import NetworkId
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
from relay.core.ports import ActText, Execute

NETWORK, PLAN = NetworkId(b"\x01" * 32), b"\x02" * 32
LASTS_S = 3_600
LIMITS, BUDGET = (60, 86_400, 30 * 86_400), (86_400, 86_400, 3)


def address_of(secret):
    return keccak256(secret.public_key.format(compressed=False)[1:])[12:]


def signed(secret, digest):
    """65 bytes with v of 27 or 28 (core SPEC 4.5)."""
    signature = secret.sign_recoverable(digest, hasher=None)
    return signature[:64] + bytes([27 + signature[64]])


@dataclass
class Key:
    """A submitter key; counts what it signed."""

    secret: coincurve.PrivateKey = field(default_factory=coincurve.PrivateKey)
    signed: int = 0

    @property
    def submitter(self):
        return address_of(self.secret)

    async def sign_transaction(self, digest):
        self.signed += 1
        return self.secret.sign_recoverable(digest, hasher=None)


@dataclass
class Door:
    """The real gateway in front of a bridge that can be paused, and the attesters that may open it."""

    bench: object
    attesters: list[coincurve.PrivateKey]
    replica: str = ""
    verifier: str = ""
    act: object = None
    key: Key = field(default_factory=Key)

    async def call(self, to, name, types=(), *values):
        tx = await self.bench.anvil.send(
            self.bench.account, to, selector(name, types) + encode(types, values)
        )
        await self.bench.anvil.mine()
        assert (await self.bench.anvil.receipt(tx)).succeeded, name

    async def deploy(self, contract, types, *values):
        code = artifact_code(contract) + encode(types, values)
        return await self.bench.anvil.deploy(self.bench.account, code)

    async def protect(self, decision=b"\x03" * 32, key_epoch=1, sign=None):
        """A call with a mandate that a fast quorum signed at the newest block, as a list or by `sign`."""
        now = (await self.bench.endpoint.head()).block.timestamp
        leaf = ActLeaf(self.bench.anvil.chain, self.act.gateway, self.act.act_id, self.act.act_hash, LASTS_S)
        leaves = [leaf]
        mandate = Mandate(
            NETWORK, key_epoch, Tier.FAST, PLAN, Op.PROTECT, decision, acts_root(leaves), now, now + 1_800
        )
        digest = mandate_digest(mandate)
        return Execute(
            self.bench.anvil.chain,
            self.act.gateway,
            self.act.act_id,
            LASTS_S,
            mandate,
            tuple(leaf_proof(leaves, leaf)),
            self.certificate(digest, 2) if sign is None else sign(digest),
        )

    def certificate(self, digest, signers):
        """The first attesters' signatures under a digest."""
        return encode_certificate(
            {address_of(secret): signed(secret, digest) for secret in self.attesters[:signers]}
        )

    @asynccontextmanager
    async def submitter(self):
        await self.bench.anvil.rpc("anvil_setBalance", "0x" + self.key.submitter.hex(), hex(10**20))
        async with adapter().submitter(self.bench.settings, self.key, MemoryStore()) as submitter:
            yield submitter

    async def submit(self, call):
        async with self.submitter() as submitter:
            return await submitter.submit(call)

    async def submit_automined(self, call):
        await self.bench.anvil.rpc("evm_setAutomine", True)
        submission = await self.submit(call)
        await self.bench.anvil.rpc("evm_setAutomine", False)
        return submission


async def build_door(
    bench, gas=200_000, groups=None, *, attesters=None, network=NETWORK, notice_s=(86_400, 21_600)
):
    """Deploy and register; the owner and the guardian are the bench's account.

    `notice_s` are the verifier's delay and overlap.
    """
    owner = bench.account
    attesters = sorted(attesters or (coincurve.PrivateKey() for _ in range(4)), key=address_of)
    door = Door(bench, attesters)
    door.replica = await door.deploy(
        "DemoReplica", ("address", "address", "bytes32"), owner, owner, bytes(32)
    )
    door.verifier = await door.deploy(
        "TocsinVerifier",
        ("bytes32", "uint32", "address[]", "uint8", "uint8", GROUPS, "uint64", "uint64"),
        network, 1, ["0x" + address_of(secret).hex() for secret in attesters], 2, 3, groups_values(groups),
        *notice_s,
    )  # fmt: skip
    gateway = await door.deploy(
        "TocsinGateway",
        ("address", "address", "address", "bytes32", "(uint64,uint64,uint64)", "(uint64,uint64,uint32)"),
        owner, owner, door.verifier, network, LIMITS, BUDGET,
    )  # fmt: skip
    text = ActText(
        "halt", bench.anvil.chain, gateway, door.replica, "pause()", "paused()", True,
        undo="unpause()", gas=gas,
    )  # fmt: skip
    door.act = adapter().encode_act(text)
    assert address_text(door.act.gateway) == gateway
    await door.call(door.replica, "grantRole", ("bytes32", "address"), keccak256(b"PAUSER_ROLE"), gateway)
    await door.call(
        gateway, "registerAct", ("bytes32", f"({','.join(ACT_TYPES)})", "uint8", "uint64"),
        door.act.act_id, door.act.registration, 1, LASTS_S,
    )  # fmt: skip
    await door.call(gateway, "setPlan", ("bytes32", "bytes32", "uint64"), PLAN, bytes(32), 0)
    # A mandate must be newer than the registration, and blocks of one second have one time.
    newest = (await bench.endpoint.head()).block.timestamp
    await bench.anvil.mine(timestamp=newest + 1)
    return door
