"""What a plan may read, say and be asked: every key, its default, its refusals (plans SPEC 1, 2)."""

from __future__ import annotations

from collections.abc import Callable

import pytest

from proofs.canonical import decode
from relay.core.compiled import CompiledPlan, compile_plan
from relay.core.errors import PlanError
from relay.core.observations import CallQuery, EventQuery, ReadKind
from relay.core.plan import (
    ChainMetric,
    EventMetric,
    MatchMetric,
    Measure,
    Minus,
    Over,
    Plan,
    PlanMetric,
    StateMetric,
    Take,
    Verb,
    Watched,
    Weight,
    Window,
)
from relay.core.plan_file import parse_plan, plan_from_canonical
from tests.core.plan.conftest import PLANS, compiled_plan
from tests.sim.plans import SimAdapter

EVERY_KEY = (PLANS / "every-key.plan.toml").read_text()
HASH = "dfbc8b01f71a02fd96e188242258906847c03c5095f249a9a43555d16fa4dc8b"


@pytest.fixture(scope="module")
def plan() -> Plan:
    """The plan with every key."""
    return parse_plan(EVERY_KEY, where="every-key")


@pytest.fixture(scope="module")
def compiled() -> CompiledPlan:
    """The same, compiled."""
    return compiled_plan(EVERY_KEY)


def test_clock_chains_and_limits_say_what_is_written(plan: Plan) -> None:
    assert (plan.clock.every, plan.clock.fast_after) == (2, 2)
    assert plan.chains[plan.clock.reference].targets == ("0x" + "33" * 20, "0x" + "55" * 20)
    assert plan.limits == {"drop_bp": 500, "lowest": -(1 << 63), "slack": 0}


def test_event_metrics_say_what_is_written(plan: Plan) -> None:
    flow, worst, unbacked = (plan.metrics[name] for name in ("flow", "worst_fill", "unbacked"))

    assert isinstance(flow, EventMetric)
    assert flow.minus == Minus("Deposit(address indexed token,uint256 sum)", "sum")
    assert flow.window == Window(seconds=3_600)
    assert isinstance(worst, EventMetric)
    assert (worst.measure, worst.value, worst.per, worst.ratio_scale) == (Measure.MAX, "paid", "due", 4)
    assert worst.window == Window(blocks=10)
    assert isinstance(unbacked, MatchMetric)
    assert (unbacked.found.key, unbacked.against.key) == (("id", "amount"), ("number", "amount"))
    assert (dict(unbacked.found.where), dict(unbacked.against.where)) == ({}, {"number": "7"})
    assert (unbacked.chains, unbacked.weight) == (("eip155:1", "eip155:8453"), Weight(6, 2))


def test_state_metrics_say_what_is_written(plan: Plan) -> None:
    found = {name: each for name, each in plan.metrics.items() if isinstance(each, StateMetric)}

    assert {each.read.kind for each in found.values()} == set(ReadKind)
    owner = found["owner"].read
    assert (owner.slot, owner.offset, owner.size) == ("0x" + "00" * 31 + "ab", 1, 20)
    assert found["owner"].equals == int("55" * 20, 16)
    assert (found["debt"].read.path, found["debt"].read.args) == ("state.debt", (3,))
    assert (found["rate"].read.word, found["rate"].over) == (1, Over(Take.VARIANCE, Window(seconds=86_400)))
    assert (found["held"].read.address, found["held"].read.token) == (
        "0x" + "33" * 20,
        "0x" + "a0b86991c6218b36c1d19d4a2e9eb0ce3606eb48",
    )
    assert [name for name, each in found.items() if each.is_map] == ["feed"]


def test_metrics_of_plans_and_chains_say_what_is_written(plan: Plan) -> None:
    acts, quiet = plan.metrics["bridge_acts"], plan.metrics["quiet_s"]

    assert isinstance(acts, PlanMetric)
    assert (acts.chain, acts.gateway, acts.acts) == ("eip155:8453", "0x" + "88" * 20, ("cap", "halt"))
    assert isinstance(quiet, ChainMetric)
    assert (quiet.watched, quiet.chain, quiet.unit) == (Watched.SILENCE, "eip155:8453", "s")


def test_acts_release_links_and_reports_say_what_is_written(plan: Plan) -> None:
    safe, link, reports = plan.acts["adopt-safe"], plan.link["bridge"], plan.reports["auditors"]

    assert (safe.verb, safe.text.value) == (Verb.FAILOVER, int("99" * 20, 16))
    assert plan.release is not None
    assert plan.release.stages == (("halt-far",), ("halt", "adopt-safe"))
    assert (link.exposure, link.records, link.max_hops) == ("held", 2, 3)
    assert reports.reporters == (b"\x11" * 32, b"\x22" * 32)
    assert (reports.need, reports.when, reports.records) == (2, "held > 0", 1)


def test_every_metric_has_the_queries_that_it_is_fed_from(compiled: CompiledPlan) -> None:
    counts = {name: len(queries) for name, queries in compiled.sources.items()}

    assert counts == {
        "bridge_acts": 0, "code": 1, "debt": 1, "feed": 2, "flow": 2, "held": 1, "liars": 0, "owner": 1,
        "quiet_s": 0, "rate": 1, "receivers": 1, "repeats": 1, "supply": 1, "unbacked": 2, "worst_fill": 1,
    }  # fmt: skip
    found, against = compiled.sources["unbacked"]
    assert isinstance(found, EventQuery)
    assert isinstance(against, EventQuery)
    assert (found.chain, against.chain) == ("eip155:1", "eip155:8453")
    assert all(isinstance(query, CallQuery) for query in compiled.sources["feed"])
    asked = [query for each in compiled.queries.values() for query in (*each.events, *each.calls)]
    assert set(asked) == {query for each in compiled.sources.values() for query in each}


def test_the_gateway_that_a_metric_counts_acts_of_is_read_beside_the_plan_s_own(
    compiled: CompiledPlan,
) -> None:
    queries = compiled.queries[compiled.plan.metrics["bridge_acts"].chain]

    assert compiled.metric_gateways.keys() == {"bridge_acts"}
    own = compiled.gateways[queries.chain]
    assert set(queries.gateways) == {own, compiled.metric_gateways["bridge_acts"]}


def test_a_rule_waits_for_every_chain_that_its_metrics_read(compiled: CompiledPlan) -> None:
    assert compiled.chains_of(compiled.rules["drained"]) == ("eip155:1", "eip155:8453")
    assert compiled.chains_of(compiled.rules["tampered"]) == ("eip155:1",)


def test_limits_are_no_metrics_of_a_condition(compiled: CompiledPlan) -> None:
    assert compiled.rules["drained"].reads == ("flow", "unbacked", "worst_fill")


class FewReads(SimAdapter):
    """An adapter that reads calls and balances only."""

    reads = frozenset({ReadKind.CALL, ReadKind.BALANCE})


def test_a_kind_of_state_that_the_adapter_does_not_read_is_refused() -> None:
    text = EVERY_KEY.replace("eip155:", "sim:").replace("indexed ", "")

    with pytest.raises(
        PlanError,
        match=r"metrics.code.read: expected what the adapter of sim:1 reads of state \(balance, call\), "
        r"got code_hash",
    ):
        compile_plan(parse_plan(text, where="x"), {"sim": FewReads()})


@pytest.mark.parametrize(
    ("old", "new", "where", "problem"),
    [
        ('per = "due"', 'per = "owed"', "metrics.worst_fill.per", "got owed"),
        ('value = "sum" }', 'value = "total" }', "metrics.flow.minus.value", "got total"),
        (
            'by = ["token"]',
            'by = ["id"]',
            "metrics.flow.minus",
            "expected a field of the event (token, sum), got id",
        ),
        ('key = ["id", "amount"]', 'key = ["id", "much"]', "metrics.unbacked.key", "got much"),
        ('key = ["number", "amount"]', 'key = ["number", "id"]', "metrics.unbacked.against.key", "got id"),
        ('{ number = "7" }', '{ destination = "7" }', "metrics.unbacked.against.where", "got destination"),
        ('when = "held > 0"', 'when = "holds > 0"', "reports.auditors.when", "got holds"),
    ],
)
def test_a_field_or_name_that_does_not_exist_is_refused_when_the_plan_is_compiled(
    compiled_from: Callable[[str], CompiledPlan], old: str, new: str, where: str, problem: str
) -> None:
    assert old in EVERY_KEY

    with pytest.raises(PlanError) as refused:
        compiled_from(EVERY_KEY.replace(old, new, 1))

    assert (where in refused.value.where, problem in refused.value.problem) == (True, True), refused.value


# ---- one canonical form


def test_the_canonical_form_of_a_plan_does_not_change(plan: Plan) -> None:
    """Another hash here means that every registered plan has another one."""
    assert plan.hash.hex() == HASH


def test_canonical_bytes_with_every_key_give_the_same_plan(plan: Plan) -> None:
    assert plan_from_canonical(plan.canonical) == plan


THREES, FIVES = f'"0x{"33" * 20}"', f'"0x{"55" * 20}"'
DEPOSIT = '"Deposit(address indexed token,uint256 sum)"'
SECOND = f"""[[reports]]
name = "zoo"
reporters = ["ed25519:{"33" * 32}"]
need = 1
ladder = [["halt"]]

[[reports]]
name = "auditors\""""
SPELLINGS = [
    ('take = "first"\n', 'take = "first"\nscale = 0\non_fault = "false"\nunit = ""\n'),
    ('window = "1h"', 'window = "60m"'),
    ('window = "30d"', 'window = "720h"'),
    (f"equals = {FIVES}", f"equals = {int('55' * 20, 16)}"),
    ("00AB", "00ab"),
    ("value = true", "value = true # it is"),
    ("value = 10\n", 'value = "0xA"\n'),
    ('acts = ["halt", "cap"]', 'acts = ["cap", "halt"]'),
    ("slack = 0", "slack = 0x0"),
    (f"[{THREES}, {FIVES}]", f"[{FIVES}, {THREES}]"),
    (f'minus = {{ event = {DEPOSIT}, value = "sum" }}\n', f'minus.value = "sum"\nminus.event = {DEPOSIT}\n'),
    ("every = 2\n", "every = 2\n\n# a word in between\n"),
    ("[metrics.liars]\n", '[metrics.liars]\nunit = ""\n'),
    ("need = 2\n", "need = 0b10\n"),
]


@pytest.mark.parametrize(("old", "new"), SPELLINGS)
def test_a_plan_spelt_otherwise_is_the_same_plan(plan: Plan, old: str, new: str) -> None:
    assert old in EVERY_KEY

    assert parse_plan(EVERY_KEY.replace(old, new, 1), where="x") == plan


def test_the_order_of_reports_and_links_in_a_file_says_nothing() -> None:
    first = EVERY_KEY.replace('[[reports]]\nname = "auditors"', SECOND, 1)
    index = first.index("[[reports]]")
    other = first.index("[[reports]]", index + 1)

    turned = first[:index] + first[other:] + "\n" + first[index:other]

    assert parse_plan(turned, where="x") == parse_plan(first, where="x")


def test_what_is_left_out_stands_in_the_canonical_form(plan: Plan) -> None:
    values = decode(plan.canonical, limit_bytes=1 << 20)
    assert isinstance(values, dict)

    assert values["metrics"]["liars"] == {
        "chain": "eip155:1", "on_fault": "false", "read": "disagreement", "unit": "",
    }  # fmt: skip
    assert values["metrics"]["held"]["take"] is None
    assert values["metrics"]["held"]["window"] is None
    assert values["metrics"]["feed"].keys() == {
        "chain", "from", "on_fault", "read", "scale", "take", "unit", "window", "window_blocks",
    }  # fmt: skip
    bare = parse_plan((PLANS / "bridge.plan.toml").read_text(), where="x")
    values = decode(bare.canonical, limit_bytes=1 << 20)
    assert isinstance(values, dict)
    assert (values["limits"], values["reports"], values["listen"]) == ({}, (), ())
    assert values["clock"]["every"] == 1
    assert values["release"]["stages"] == ()
    assert values["chains"]["eip155:1284"]["targets"] == ()
