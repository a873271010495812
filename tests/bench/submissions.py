"""Protective calls per second over two chains, from `submit` to a checked effect, beside bare transfers."""

from __future__ import annotations

import asyncio
import tempfile
import time
from contextlib import AsyncExitStack
from dataclasses import dataclass
from pathlib import Path

import coincurve

from adapters.evm.devchain import Anvil, AnvilSettings, start_anvil
from adapters.evm.fees import GWEI, Fees
from adapters.evm.submit import open_submitter
from adapters.evm.transactions import Transaction
from proofs.kinds import Address, DecisionId
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
from relay.core.ports import ChainSettings, EncodedAct, EndpointAddress, Execute, SubmissionStatus
from relay.journal import Outbox
from tests.bench import gas
from tests.bench.figure import Figure

__all__ = ["measure"]

CHAIN_IDS = (918_021, 918_022)
ACTS = 32
"""For each chain, all at once: what one decision may name on one gateway."""
FUNDS_WEI = 10**20
TRANSFER_GAS = 21_000


@dataclass(frozen=True, slots=True)
class Payer:
    """A key that pays; the port `TransactionSigner`."""

    key: coincurve.PrivateKey

    @property
    def submitter(self) -> Address:
        return gas.address_of(self.key)

    async def sign_transaction(self, digest: bytes) -> bytes:
        return bytes(self.key.sign_recoverable(digest, hasher=None))


@dataclass(frozen=True, slots=True)
class Lane:
    """One chain with a gateway whose acts wait for their mandate."""

    scene: gas.Scene
    acts: tuple[EncodedAct, ...]

    @property
    def settings(self) -> ChainSettings:
        anvil = self.scene.anvil
        return ChainSettings(anvil.chain, (EndpointAddress("bench", anvil.url),), need=1, block_time_ms=100)


async def measure(seed: int) -> list[Figure]:
    """Every act of both chains is asked for at the same moment; blocks come as transactions do."""
    async with AsyncExitStack() as stack:
        home = Path(stack.enter_context(tempfile.TemporaryDirectory(prefix="tocsin-bench-")))
        settings = [AnvilSettings(each, automine=True) for each in CHAIN_IDS]
        anvils = [await stack.enter_async_context(start_anvil(each)) for each in settings]
        lanes = [await _lane(anvil, seed) for anvil in anvils]
        bare = await _bare(anvils, seed)
        outbox = await stack.enter_async_context(Outbox.open(home / "outbox.sqlite"))
        rate = await _ours(stack, lanes, outbox, seed)
    return [
        Figure("protective calls landed over two chains", rate, "1/s", bare, "bare transfers with receipts")
    ]


async def _lane(anvil: Anvil, seed: int) -> Lane:
    keys = sorted((gas.key_of(seed, number) for number in range(4)), key=gas.address_of)
    scene = gas.Scene(anvil, (await anvil.accounts())[0], gas.compiled(), keys)
    verifier = await gas.deploy_verifier(scene, keys, fast=2, full=3)
    gateway = await gas.deploy_gateway(scene, verifier, budget=(20 * 86_400, 20 * 86_400, 2 * ACTS))
    acts: list[EncodedAct] = []
    for number in range(ACTS):
        target = await scene.deploy(scene.code["BarePausable"], ("address",), gateway)
        acts.append(gas.pause_act(scene, gateway, target, name=f"halt-{number}"))
    await gas.register(scene, gateway, acts)
    return Lane(scene, tuple(acts))


async def _ours(stack: AsyncExitStack, lanes: list[Lane], outbox: Outbox, seed: int) -> float:
    payer = Payer(gas.key_of(seed, 100))
    calls: list[tuple[int, Execute]] = []
    submitters = []
    for number, lane in enumerate(lanes):
        anvil = lane.scene.anvil
        await anvil.rpc("anvil_setBalance", "0x" + payer.submitter.hex(), hex(FUNDS_WEI))
        await anvil.mine(timestamp=await gas.now_s(anvil) + 2)
        calls += [(number, call) for call in await _calls(lane)]
        store = outbox.of(anvil.chain, payer.submitter)
        submitters.append(await stack.enter_async_context(open_submitter(lane.settings, payer, store)))
    began = time.perf_counter()
    async with asyncio.TaskGroup() as group:
        tasks = [group.create_task(submitters[number].submit(call)) for number, call in calls]
    took_s = time.perf_counter() - began
    ended = [task.result() for task in tasks]
    failed = [each for each in ended if each.status is not SubmissionStatus.LANDED]
    if failed:
        raise RuntimeError(f"expected all {len(calls)} to land, {len(failed)} did not, such as {failed[0]}")
    return len(calls) / took_s


async def _calls(lane: Lane) -> list[Execute]:
    """One decision over all acts of the lane, signed by two attesters."""
    scene, now = lane.scene, await gas.now_s(lane.scene.anvil)
    chain = scene.anvil.chain
    leaves = [ActLeaf(chain, act.gateway, act.act_id, act.act_hash, gas.LASTS_S) for act in lane.acts]
    decision, root = DecisionId(b"\x07" * 32), acts_root(leaves)
    mandate = Mandate(gas.NETWORK, 1, Tier.FAST, gas.PLAN, Op.PROTECT, decision, root, now, now + 1_800)
    digest = mandate_digest(mandate)
    certificate = encode_certificate({gas.address_of(key): gas.signed(key, digest) for key in scene.keys[:2]})
    return [
        Execute(
            chain,
            leaf.gateway,
            leaf.act_id,
            gas.LASTS_S,
            mandate,
            tuple(leaf_proof(leaves, leaf)),
            certificate,
        )
        for leaf in leaves
    ]


async def _bare(anvils: list[Anvil], seed: int) -> float:
    """As many transfers of nothing, signed, sent all at once, and asked for their receipts."""
    payer = Payer(gas.key_of(seed, 101))

    async def transfer(anvil: Anvil, nonce: int) -> None:
        transaction = Transaction(
            anvil.chain_id, nonce, Fees(100 * GWEI, GWEI), TRANSFER_GAS, payer.submitter, b""
        )
        raw = transaction.signed(await payer.sign_transaction(transaction.digest))
        tx = await anvil.rpc("eth_sendRawTransaction", "0x" + raw.hex())
        while await anvil.rpc("eth_getTransactionReceipt", tx) is None:  # noqa: ASYNC110 - what a client does
            await asyncio.sleep(0.01)

    for anvil in anvils:
        await anvil.rpc("anvil_setBalance", "0x" + payer.submitter.hex(), hex(FUNDS_WEI))
    began = time.perf_counter()
    async with asyncio.TaskGroup() as group:
        for anvil in anvils:
            for nonce in range(ACTS):
                group.create_task(transfer(anvil, nonce))
    return len(anvils) * ACTS / (time.perf_counter() - began)
