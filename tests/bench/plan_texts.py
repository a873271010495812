"""A plan with ten metrics of mixed kinds on three chains, and chains for it that move all of them."""

from __future__ import annotations

import random
from collections.abc import Iterator, Mapping, Sequence

from adapters.evm import adapter
from proofs.hashes import sha256
from relay.core.compiled import CompiledPlan, compile_plan
from relay.core.events import BlockObserved
from relay.core.gateways import NO_PLAN
from relay.core.observations import BlockReads, CallValue, ChainQueries, EventRow, Field, PlanRegistered
from relay.core.plan_file import parse_plan
from relay.core.types import BlockRef, Caip2, Header

__all__ = ["AWAY", "BLOCK_S", "HOME", "THIRD", "blocks_of", "mixed_plan"]

HOME, AWAY, THIRD = (Caip2(f"eip155:90000{number}") for number in (1, 2, 3))
BLOCK_S = 12
_TEXT = """
format = "tocsin/plan/1"
protocol = "bench-NUMBER"
version = 1
mode = "shadow"
reason = "what it costs"
[clock]
reference = "eip155:900001"
[chains."eip155:900001"]
gateway = "GATEWAY"
since = 1
targets = ["VAULT"]
[chains."eip155:900002"]
lag_s = 30
since = 1
[chains."eip155:900003"]
lag_s = 30
since = 1
[metrics.released]
read = "event_sum"
chain = "eip155:900001"
from = "VAULT"
event = "Release(uint256 id,address token,uint256 amount)"
value = "amount"
by = ["token"]
[metrics.released.keys]
0x00000000000000000000000000000000000000a1 = { name = "a" }
0x00000000000000000000000000000000000000b2 = { name = "b" }
[metrics.burned]
read = "event_sum"
chain = "eip155:900002"
from = "BRIDGE"
event = "Burn(uint256 id,address token,uint256 amount)"
value = "amount"
by = ["token"]
[metrics.burned.keys]
0x00000000000000000000000000000000000000a1 = { name = "a" }
0x00000000000000000000000000000000000000b2 = { name = "b" }
[metrics.unbacked]
read = "event_unmatched"
chain = "eip155:900001"
from = "VAULT"
event = "Release(uint256 id,address token,uint256 amount)"
key = ["id"]
[metrics.unbacked.against]
chain = "eip155:900002"
from = "BRIDGE"
event = "Burn(uint256 id,address token,uint256 amount)"
key = ["id"]
[metrics.outflow]
read = "event_sum"
chain = "eip155:900001"
from = "VAULT"
event = "Release(uint256 id,address token,uint256 amount)"
value = "amount"
window = "10m"
[metrics.largest]
read = "event_max"
chain = "eip155:900001"
from = "VAULT"
event = "Release(uint256 id,address token,uint256 amount)"
value = "amount"
window_blocks = 50
[metrics.senders]
read = "event_distinct"
chain = "eip155:900002"
from = "BRIDGE"
event = "Burn(uint256 id,address token,uint256 amount)"
value = "amount"
window = "10m"
[metrics.held]
read = "supply"
chain = "eip155:900003"
from = "TOKEN"
[metrics.price]
read = "oracle"
chain = "eip155:900003"
from = "FEED"
[metrics.usual_price]
read = "oracle"
chain = "eip155:900003"
from = "FEED"
take = "mean"
window = "10m"
[metrics.silent]
read = "silence"
chain = "eip155:900003"
[rules.unbacked]
when = "unbacked > 30 || released.exists(t, released[t] > burned[t] + 1000000)"
ladder = [["halt"]]
[rules.drain]
when = "outflow > 900 && largest > 90 && senders > 2"
hold = 2
ladder = [["halt"]]
[rules.depeg]
when = "price.age_s < 3600 && price.price * 100 < usual_price.price * 99 && held > 10 && silent == 0"
hold = 2
ladder = [["halt"]]
[acts.halt]
verb = "pause"
chain = "eip155:900001"
target = "VAULT"
call = "pause()"
state = "paused()"
value = true
undo = "unpause()"
tier = "fast"
lasts = "6h"
[release]
when = "unbacked == 0"
"""


def mixed_plan(number: int, kind: int) -> CompiledPlan:
    """Plan `number`, with a gateway of its own, over the contracts of `kind`."""
    text = _TEXT.replace("NUMBER", str(number)).replace("GATEWAY", f"0x{number + 1:040x}")
    for index, name in enumerate(("VAULT", "BRIDGE", "TOKEN", "FEED")):
        text = text.replace(name, f"0x{kind * 16 + index + 1:038x}ff")
    return compile_plan(parse_plan(text, where="bench.plan.toml"), {"eip155": adapter()})


def blocks_of(
    queries: ChainQueries, plans: Sequence[CompiledPlan], count: int, chance: random.Random
) -> Iterator[BlockObserved]:
    """The first blocks of a chain: now and then an event of each contract, prices that move, and in the first
    block the registrations of the plans.
    """
    prices = [10**8] * len(queries.calls)
    parent = bytes(32)
    for number in range(1, count + 1):
        time_s = 1_700_000_000 + BLOCK_S * number
        block = BlockRef(queries.chain, sha256(f"{queries.chain}/{number}".encode()), number, time_s)
        rows = tuple(
            EventRow(index, index, bytes(32), _fields(chance))
            for index in range(len(queries.events))
            if chance.random() < 0.5
        )
        for index in range(len(prices)):
            if chance.random() < 0.3:
                prices[index] += chance.randrange(-1_000, 1_001)
        calls = tuple(CallValue(index, price, None) for index, price in enumerate(prices))
        registered = tuple(
            PlanRegistered(plan.gateways[queries.chain], index, plan.plan.hash, NO_PLAN, 0)
            for index, plan in enumerate(plans)
            if number == 1 and plan.plan.clock.reference == queries.chain
        )
        header, parent = Header(block, parent), block.hash
        yield BlockObserved(BlockReads(header, rows, calls, (), registered), 3, 3, block)


def _fields(chance: random.Random) -> Mapping[str, Field]:
    token = chance.choice(
        ["0x00000000000000000000000000000000000000a1", "0x00000000000000000000000000000000000000b2"]
    )
    return {"id": chance.randrange(100_000), "token": token, "amount": chance.randrange(100)}
