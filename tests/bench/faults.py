"""Blocks from a certificate to its effect on chain, with and without each fault of the last mile."""

from __future__ import annotations

import tempfile
from collections.abc import Awaitable, Callable, Mapping
from pathlib import Path

from adapters.evm.demo.network import OPERATORS
from tests.bench.figure import Figure
from tests.e2e.faults import Stage, open_stage
from tests.e2e.scene import open_scene, until

__all__ = ["measure"]

CHAIN_IDS = (918_011, 918_012)
BUDGET = (20 * 86_400, 21 * 86_400, 100)
LIAR = OPERATORS[0]
BASE_FEE_FACTOR = 20


async def measure(seed: int) -> list[Figure]:
    """One network, one fault after the other, each in a slot of its own; a block takes two seconds here."""
    figures: list[Figure] = []
    with tempfile.TemporaryDirectory(prefix="tocsin-bench-") as home:
        async with open_scene(Path(home), seed=seed, chain_ids=CHAIN_IDS, budget=BUDGET) as scene:
            stage = await open_stage(scene)
            calm: float | None = None
            for name, play in FAULTS.items():
                blocks = await _blocks(stage, name, play)
                calm = blocks if calm is None else calm
                figures.append(Figure(f"certificate → effect: {name}", blocks, "blocks", calm, "no fault"))
    return figures


async def _blocks(stage: Stage, name: str, play: Callable[[Stage], Awaitable[None]]) -> float:
    """Give the blocks until the effect.

    Raises:
        RuntimeError: there was none, or more than one: the figure would mean nothing.
    """
    await stage.begin()
    try:
        await play(stage)
        ending = await stage.effect(name)
    finally:
        await _heal(stage)
    if ending.blocks is None or ending.starts != 1:
        raise RuntimeError(f"{name}: expected one effect, got {ending.starts} after {ending.blocks} blocks")
    return float(ending.blocks)


async def _heal(stage: Stage) -> None:
    await stage.everywhere("honest")
    for member in stage.scene.network.members:
        if member not in stage.scene.running():
            await stage.scene.start(member)


async def _calm(stage: Stage) -> None:
    await stage.next_slot()


def _one_operator(mode: str) -> Callable[[Stage], Awaitable[None]]:
    async def play(stage: Stage) -> None:
        await stage.scene.switch(stage.scene.near, LIAR, mode)
        await stage.next_slot()

    return play


def _killed(mode: str) -> Callable[[Stage], Awaitable[None]]:
    """The first submitter dies while its transaction is held before or behind every operator."""

    async def play(stage: Stage) -> None:
        await stage.everywhere(mode)
        await stage.next_slot()
        victim = await stage.submitter()

        async def is_held() -> bool:
            return await stage.holds("held") > 0

        await until("its transaction is held", is_held)
        await stage.scene.kill(victim)
        await stage.everywhere("honest")

    return play


async def _killed_before_receipt(stage: Stage) -> None:
    await stage.next_slot()
    victim = await stage.submitter()
    await _pooled(stage)
    await stage.scene.kill(victim)


async def _fee_spike(stage: Stage) -> None:
    await stage.next_slot()
    await _pooled(stage)
    anvil = stage.scene.world.near.anvil
    call, *_ = await stage.in_mempool()
    spiked = BASE_FEE_FACTOR * int(str(call["maxFeePerGas"]), 16)
    await anvil.rpc("anvil_setNextBlockBaseFeePerGas", hex(spiked))


async def _re_org(stage: Stage) -> None:
    await stage.next_slot()
    await _pooled(stage)
    await stage.scene.mine()
    await stage.scene.world.near.anvil.rpc("anvil_reorg", 1, [])


async def _no_funds(stage: Stage) -> None:
    """All members but the last in the order have nothing: only one can pay."""
    anvil = stage.scene.world.near.anvil
    *poor, _ = stage.scene.network.members
    for member in poor:
        account = "0x" + member.public.submitters["default"].hex()
        await anvil.rpc("anvil_setBalance", account, "0x0")
    await stage.next_slot()


async def _pooled(stage: Stage) -> None:
    async def is_pooled() -> bool:
        return bool(await stage.in_mempool())

    await until("a call waits for a block", is_pooled)


FAULTS: Mapping[str, Callable[[Stage], Awaitable[None]]] = {
    "no fault": _calm,
    "one operator swallows": _one_operator("swallow-sends"),
    "one operator is late": _one_operator("delay"),
    "one operator lies about receipts": _one_operator("lie-receipts"),
    "one operator serves another chain": _one_operator("wrong-chain"),
    "one operator stops": _one_operator("drop"),
    "submitter killed before sending": _killed("hold-sends"),
    "submitter killed after sending": _killed("hold-answers"),
    "submitter killed before the receipt": _killed_before_receipt,
    "base fee twenty times its cap": _fee_spike,
    "re-org removes the act": _re_org,
    "three of four without funds": _no_funds,
}
"""In this order: the last one leaves three members without money."""
