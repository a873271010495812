"""The EVM adapter passes the suite of all adapters, and no installed adapter goes without it."""

import itertools
from dataclasses import dataclass, field, replace
from importlib.metadata import entry_points

import coincurve
import pytest
from eth_abi import encode

from adapters import conformance
from adapters.evm import adapter
from adapters.evm.abi import selector
from adapters.evm.encode import gateway_of
from proofs.hashes import keccak256
from proofs.mandate import Mandate, Op, Tier
from relay.core.observations import ReadKind, StateRead
from relay.core.ports import ActText, Execute, Expire

FUNDS = 10**20
HOLDER = "0x" + "ab" * 20
CAPS = itertools.count(1_000)
ACT = ActText(
    name="halt-replica",
    chain="eip155:1",
    gateway="0x" + "11" * 20,
    target="0x" + "33" * 20,
    call="pause()",
    state="paused()",
    value=True,
    undo="unpause()",
    gas=150_000,
)
VECTORS = conformance.Vectors(
    act=ACT,
    act_hash=bytes.fromhex("a4ec419e58b4e22e146187c3840981098106fabbfc28bd44f11cb999db901513"),
    wrong_acts=(replace(ACT, call="pause"), replace(ACT, target="0x12"), replace(ACT, gas=0)),
    event="Release(uint256 indexed id, address indexed token, uint256 amount, string memo)",
    event_fields=("id", "token", "amount", "memo"),
    counter="amount",
    same_event=" Release( uint indexed id,address  indexed token,uint amount, string memo )",
    wrong_events=("Release", "Release(int7 x)", "Release(int64)"),
    call="cap() returns (uint256)",
    wrong_calls=("cap", "cap() returns (string)", "cap(uint256) returns (uint256)"),
    wrong_states=(
        StateRead("eip155:1", ReadKind.STORAGE, "0x" + "33" * 20, slot="0x1"),
        StateRead("eip155:1", ReadKind.BALANCE, "alice"),
        StateRead("eip155:1", ReadKind.CALL, "0x" + "33" * 20, "f() returns ((uint256 a) b)", path="b.c"),
    ),
    faulty_call="reverting()",
    gateway="0x" + "11" * 20,
    wrong_gateways=("", "0x" + "00" * 20, "bridge"),
)


@dataclass
class Key:
    secret: coincurve.PrivateKey = field(default_factory=coincurve.PrivateKey)

    @property
    def submitter(self):
        return keccak256(self.secret.public_key.format(compressed=False)[1:])[12:]

    async def sign_transaction(self, digest):
        return self.secret.sign_recoverable(digest, hasher=None)


class EvmConformanceChain:
    """Anvil with the test contracts."""

    def __init__(self, bench):
        self.adapter = adapter()
        self.settings = replace(bench.settings, block_time_ms=200, timeout_ms=2_000)
        self.vectors = VECTORS
        self.signer = Key()
        self.store = conformance.MemoryStore()
        self.contract = bench.probe
        self._bench = bench

    @property
    def states(self):
        read = StateRead(self.settings.chain, ReadKind.CALL, self.contract, "cap()")
        return (
            read,
            replace(read, kind=ReadKind.STORAGE, slot="0x" + "00" * 32),
            replace(read, kind=ReadKind.BALANCE, address=HOLDER),
            replace(read, kind=ReadKind.BALANCE, address=HOLDER, token=self.contract),
            replace(read, kind=ReadKind.SUPPLY),
            replace(read, kind=ReadKind.CODE_HASH, address=HOLDER),
            replace(read, kind=ReadKind.ORACLE),
        )

    async def change(self, read):
        anvil = self._bench.anvil
        await anvil.mine()  # what the development chain sets by itself, it sets in its newest block
        match read.kind:
            case ReadKind.CALL | ReadKind.STORAGE:
                await self._send("setCap(uint256)", next(CAPS))
            case ReadKind.BALANCE if read.token is None:
                await anvil.rpc("anvil_setBalance", HOLDER, "0x11")
            case ReadKind.BALANCE | ReadKind.SUPPLY:
                await self._send("mint(address,uint256)", HOLDER, 5)
            case ReadKind.CODE_HASH:
                await anvil.rpc("anvil_setCode", HOLDER, "0x00")
            case ReadKind.ORACLE:
                await self._send("setPrice(int256,uint256)", -8, 1_600_000_001)
        await anvil.mine()

    async def _send(self, signature, *values):
        name, _, types = signature[:-1].partition("(")
        kinds = tuple(types.split(","))
        data = selector(name, kinds) + encode(kinds, values)
        await self._bench.anvil.send(self._bench.account, self.contract, data)

    async def advance(self, blocks):
        await self._bench.anvil.mine(blocks)

    async def emit(self, times):
        for amount in range(times):
            await self._send("release(uint256,address,uint256,string)", 7, self.contract, amount, "m")
        await self._bench.anvil.mine()

    async def fork(self, depth):
        await self._bench.anvil.rpc("anvil_reorg", depth, [])

    async def fill_purse(self):
        await self._balance(FUNDS)

    async def empty_purse(self):
        await self._balance(0)

    async def _balance(self, wei):
        await self._bench.anvil.rpc("anvil_setBalance", "0x" + self.signer.submitter.hex(), hex(wei))

    def execute(self):
        mandate = Mandate(
            network=b"\x01" * 32,
            key_epoch=1,
            tier=Tier.FAST,
            plan_hash=b"\x02" * 32,
            op=Op.PROTECT,
            decision_id=b"\x03" * 32,
            acts_root=b"\x04" * 32,
            not_before=1000,
            not_after=2000,
        )
        gateway = gateway_of(self._bench.gateway)
        return Execute(self.settings.chain, gateway, b"\x0a" * 32, 60, mandate, (), b"\x01")

    def refused(self):
        return replace(self.execute(), certificate=b"")

    def expire(self):
        return Expire(self.settings.chain, gateway_of(self._bench.gateway), b"\x0a" * 32)


@pytest.mark.asyncio
@pytest.mark.parametrize("check", conformance.CHECKS, ids=lambda check: check.__name__.removeprefix("check_"))
async def test_the_adapter_conforms(bench, check):
    chain = EvmConformanceChain(bench)
    await chain.fill_purse()

    await check(chain)


CONFORMING = {"eip155"}
"""The entry points for which a test like the one above stands in this tree."""


def test_no_adapter_of_this_distribution_goes_without_the_suite():
    ours = {
        entry.name for entry in entry_points(group="tocsin.adapters") if entry.value.startswith("adapters.")
    }

    assert ours == CONFORMING
