"""Small plans over two chains and the rows that feed them, for the tests of back-tests."""

from __future__ import annotations

from collections.abc import Mapping
from decimal import Decimal

from adapters.evm import adapter
from relay.core.compiled import CompiledPlan, compile_plan
from relay.core.observations import Field
from relay.core.plan_file import parse_plan
from relay.core.types import Caip2
from relay.plans.rows import EventSeen, Sample

__all__ = ["FOREIGN", "HOME", "TARGET", "compiled_of", "event", "plan_text", "sample"]

HOME, FOREIGN = Caip2("eip155:1"), Caip2("eip155:10")
TARGET = "0x3333333333333333333333333333333333333333"

_HEAD = """\
format = "tocsin/plan/1"
protocol = "tested"
version = 1
mode = "armed"
reason = "A plan for tests"
contacts = ["mailto:alice@tested.example"]
[clock]
reference = "eip155:1"
every = {every}
[chains."eip155:1"]
gateway = "0x1111111111111111111111111111111111111111"
targets = ["0x3333333333333333333333333333333333333333"]
since = 1_000
[chains."eip155:10"]
lag_s = {lag_s}
since = 7
[acts.halt]
verb = "pause"
chain = "eip155:1"
target = "0x3333333333333333333333333333333333333333"
call = "pause()"
state = "paused()"
value = true
undo = "unpause()"
tier = "fast"
lasts = "6h"
"""

_IN = (
    'from = "0x3333333333333333333333333333333333333333"\nevent = "In(uint256 id,string kind,uint256 amount)"'
)
_OUT = '''from = "0x3333333333333333333333333333333333333333"
event = "Out(uint256 id,string kind,uint256 amount)"'''


def plan_text(metrics: str, rules: str, *, lag_s: int = 20, every: int = 1) -> str:
    """Give the text of a plan over two chains; `IN` and `OUT` in metrics stand for their events."""
    head = _HEAD.format(lag_s=lag_s, every=every)
    return head + metrics.replace("IN", _IN).replace("OUT", _OUT) + rules


def compiled_of(text: str) -> CompiledPlan:
    """Parse and compile a plan."""
    return compile_plan(parse_plan(text, where="tested.plan.toml"), {"eip155": adapter()})


def event(
    timestamp: int, name: str, amount: int = 1, *, label: str = "", value_usd: int = 0, **fields: Field
) -> EventSeen:
    """Make an event: `in` on the foreign chain, `out` on the reference chain."""
    values: Mapping[str, Field] = {"id": "1", "kind": "a", "amount": amount, **fields}
    chain = FOREIGN if name == "in" else HOME
    return EventSeen(timestamp, chain, name, values, label, Decimal(value_usd))


def sample(timestamp: int, metric: str, value: int | None, *, label: str = "") -> Sample:
    """Make a row of a series."""
    return Sample(timestamp, metric, value, label)
