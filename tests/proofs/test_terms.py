"""What verifiers read from a plan is what the relay writes (core SPEC 5.5)."""

from proofs.terms import hash_of_plan, parse_plan_terms
from relay.core.plan_file import parse_plan

PLAN = """
format = "tocsin/plan/1"
protocol = "acme"
version = 3
mode = "armed"
reason = "Unbacked releases"
contacts = ["mailto:security@acme.example"]
[clock]
reference = "eip155:1"
mandate_full_s = 7200
[chains."eip155:1"]
gateway = "0x1111111111111111111111111111111111111111"
targets = ["0x3333333333333333333333333333333333333333"]
since = 1
[chains."eip155:8453"]
gateway = "0x2222222222222222222222222222222222222222"
targets = ["0x5555555555555555555555555555555555555555"]
lag_s = 120
since = 1
[metrics.released]
read = "event_sum"
chain = "eip155:1"
from = "0x3333333333333333333333333333333333333333"
event = "Release(uint256 indexed id,uint256 amount)"
value = "amount"
[metrics.burned]
read = "event_sum"
chain = "eip155:8453"
from = "0x4444444444444444444444444444444444444444"
event = "Burn(uint256 indexed id,uint256 amount)"
value = "amount"
[rules.unbacked]
when = "released > burned"
ladder = [["halt", "no-collateral"], ["freeze"]]
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
[acts.no-collateral]
verb = "disable-collateral"
chain = "eip155:8453"
target = "0x5555555555555555555555555555555555555555"
call = "disable()"
state = "disabled()"
value = true
undo = "enable()"
tier = "fast"
lasts = "3h"
[acts.freeze]
verb = "lock"
chain = "eip155:8453"
target = "0x5555555555555555555555555555555555555555"
call = "freeze()"
state = "frozen()"
value = true
undo = "unfreeze()"
tier = "full"
lasts = "3d"
[release]
when = "released <= burned"
[[listen]]
plan = "eip155:10:0x6666666666666666666666666666666666666666"
shares = "collateral"
when = "burned > 0"
ladder = [["no-collateral"]]
[[reports]]
name = "auditors"
reporters = ["ed25519:1111111111111111111111111111111111111111111111111111111111111111"]
need = 1
ladder = [["halt"]]
"""


def test_the_terms_of_a_plan_of_the_relay_are_read() -> None:
    plan = parse_plan(PLAN, where="acme/3.plan.toml")

    terms = parse_plan_terms(plan.canonical)

    assert hash_of_plan(plan.canonical) == plan.hash
    assert (terms.reference, terms.rearm_s) == (plan.clock.reference, plan.clock.rearm_s)
    assert (terms.mandate_fast_s, terms.mandate_full_s) == (plan.clock.mandate_fast_s, 7_200)
    assert terms.acts == {
        name: (act.text.chain, act.text.gateway, act.lasts_s) for name, act in plan.acts.items()
    }
    assert terms.ladders == {
        "unbacked": (("halt", "no-collateral"), ("freeze",)),
        "link:collateral": (("no-collateral",),),
        "report:auditors": (("halt",),),
    }
    assert terms.reports == {
        name: (frozenset(each.reporters), each.need) for name, each in plan.reports.items()
    }
