"""Two small plans on two simulated chains: a bridge, and a market that listens to it."""

from __future__ import annotations

import re
from dataclasses import replace

from proofs.hashes import keccak256, sha256
from proofs.mandate import Tier
from relay.core.compiled import CompiledPlan, compile_plan
from relay.core.observations import CallQuery, EventQuery, ReadKind, StateRead
from relay.core.plan_file import parse_plan
from relay.core.ports import ActText, EncodedAct
from relay.core.types import ActId, Caip2, Gateway
from tests.sim.gateway import ModelAct

HOME, AWAY = Caip2("sim:home"), Caip2("sim:away")
REARM_S = 120

BRIDGE = """
format = "tocsin/plan/1"
protocol = "bridge"
version = 1
mode = "armed"
reason = "more was released than burned"
contacts = ["mailto:bridge@sim.example"]

[clock]
reference = "sim:home"
rearm_s = 120
patience_s = 60
mandate_fast_s = 120
mandate_full_s = 480

[chains."sim:home"]
gateway = "gateway-home"
targets = ["bridge"]
since = 1
[chains."sim:away"]
gateway = "gateway-away"
targets = ["bridge"]
lag_s = 20
since = 1

[metrics.released]
read = "event_sum"
chain = "sim:home"
from = "bridge"
event = "Released(uint256 amount)"
value = "amount"
[metrics.burned]
read = "event_sum"
chain = "sim:away"
from = "bridge"
event = "Burned(uint256 amount)"
value = "amount"
[metrics.price]
read = "call"
chain = "sim:home"
from = "oracle"
call = "price()"
on_fault = "trigger"

[rules.unbacked]
when = "released > burned"
hold = 1
step = "24s"
ladder = [["halt"], ["lower-cap"]]
[rules.broken-oracle]
when = "price > 1000000"
hold = 2
step = "24s"
ladder = [["halt"], ["lower-cap"]]

[acts.halt]
verb = "pause"
chain = "sim:home"
target = "bridge"
call = "pause()"
state = "paused()"
value = 1
undo = "unpause()"
tier = "fast"
lasts = "5m"
[acts.lower-cap]
verb = "cap"
chain = "sim:away"
target = "bridge"
call = "setCap(10)"
state = "cap()"
value = 10
compare = "<="
restore = "setCap(_)"
tier = "full"
lasts = "10m"

[release]
when = "released <= burned && price > 0"
hold = 12
"""

MARKET = """
format = "tocsin/plan/1"
protocol = "market"
version = 1
mode = "armed"
reason = "the bridge was halted"
contacts = ["mailto:market@sim.example"]

[clock]
reference = "sim:away"
lag_s = 20
rearm_s = 120
patience_s = 60
mandate_fast_s = 480
mandate_full_s = 480

[chains."sim:away"]
gateway = "gateway-market"
targets = ["market"]
since = 1

[metrics.collateral]
read = "call"
chain = "sim:away"
from = "market"
call = "collateral()"
on_fault = "trigger"

[acts.freeze]
verb = "disable-collateral"
chain = "sim:away"
target = "market"
call = "disable()"
state = "disabled()"
value = 1
undo = "enable()"
tier = "fast"
lasts = "5m"

[[listen]]
name = "bridge"
plan = "sim:home:gateway-home"
shares = "collateral"
when = "peer.verb == 'pause' && collateral > 0"
ladder = [["freeze"]]
"""

ACTS = {
    "halt": ModelAct("halt", Tier.FAST, value=1, weakest=0),
    "lower-cap": ModelAct("lower-cap", Tier.FULL, value=10, weakest=100, at_most=True, restores=True),
    "freeze": ModelAct("freeze", Tier.FAST, value=1, weakest=0),
    "shut": ModelAct("shut", Tier.FAST, value=1, weakest=0),
}
"""What the acts do on the chains; a cap's weakest value is where it starts."""


class SimAdapter:
    """Reads the texts of simulated chains: pure, total, and as simple as can be."""

    def event_query(self, chain: Caip2, address: str, event: str) -> tuple[EventQuery, tuple[str, ...]]:
        """Give the query, and the names in the brackets."""
        return EventQuery(chain, address, event), tuple(re.findall(r"\w+ (\w+)", event.partition("(")[2]))

    reads = frozenset(ReadKind)

    def state_queries(self, read: StateRead) -> tuple[CallQuery, ...]:
        """Give the query as it was written; of an oracle also the one for its time."""
        spelling = " ".join(filter(None, (read.call, read.path, read.slot, read.token)))
        query = CallQuery(read.chain, read.address, spelling, read.args, read.word, read.kind)
        if read.kind is ReadKind.ORACLE:
            return (query, replace(query, word=1))
        return (query,)

    def encode_act(self, act: ActText) -> EncodedAct:
        """Give an act whose hash covers all of its text."""
        return EncodedAct(
            gateway=self.gateway_address(act.gateway),
            act_id=ActId(keccak256(act.name.encode())),
            act_hash=keccak256(repr(act).encode()),
            registration=(),
        )

    def gateway_address(self, text: str) -> Gateway:
        """Give 32 bytes for a name, or those that it writes out, as auditors read them."""
        if text.startswith("0x"):
            return Gateway(bytes.fromhex(text.removeprefix("0x")))
        return Gateway(sha256(text.encode()))


def compile_text(text: str) -> CompiledPlan:
    """Parse and compile a plan of simulated chains."""
    return compile_plan(parse_plan(text, where="sim.plan.toml"), {"sim": SimAdapter()})


def written_out(text: str) -> str:
    """Give a plan with its gateways as hex: then bundles of it verify, which know no chain's names."""
    return re.sub(r"gateway-[a-z]+", lambda name: f"0x{sha256(name[0].encode()).hex()}", text)


def sim_plans() -> tuple[CompiledPlan, ...]:
    """Give the bridge's plan and the market's."""
    return compile_text(BRIDGE), compile_text(MARKET)
