"""The published schema of plan files has the parser's keys and bounds, and refuses what has another form."""

from __future__ import annotations

import json
import re
import tomllib
from collections.abc import Mapping
from pathlib import Path

import pytest
from jsonschema import Draft202012Validator

from proofs.canonical import Value, decode
from relay.core import plan_forms as forms
from relay.core.plan import Plan
from relay.core.plan_file import parse_plan, survey_plan
from relay.core.plan_metrics import READS
from tests.core.plan.conftest import PLANS
from tests.core.stage import SOLO
from tests.sim.plans import BRIDGE, MARKET

REPOSITORY = PLANS.parents[1]
SCHEMA = json.loads((REPOSITORY / "relay" / "core" / "plan.schema.json").read_text())
EVERY_KEY = (PLANS / "every-key.plan.toml").read_text()
DEMOS = sorted((REPOSITORY / "adapters" / "evm" / "demo" / "plans").glob("*.plan.toml"))
READY = sorted((REPOSITORY / "relay" / "plans" / "ready").glob("*.plan.toml"))


@pytest.fixture(scope="module")
def schema() -> Draft202012Validator:
    """The schema, itself checked."""
    Draft202012Validator.check_schema(SCHEMA)
    return Draft202012Validator(SCHEMA)


def refusals(schema: Draft202012Validator, text: str) -> list[str]:
    """Give where the schema refuses a plan, and why."""
    return [f"{error.json_path}: {error.message}" for error in schema.iter_errors(tomllib.loads(text))]


# ---- what is right


@pytest.mark.parametrize("file", sorted(PLANS.glob("*.plan.toml")), ids=lambda file: file.name)
def test_the_schema_takes_every_plan_of_the_tests(schema: Draft202012Validator, file: Path) -> None:
    assert refusals(schema, file.read_text()) == []


@pytest.mark.parametrize("text", [BRIDGE, MARKET, SOLO.replace("HOLD", "1")])
def test_the_schema_takes_the_plans_of_simulated_chains(schema: Draft202012Validator, text: str) -> None:
    assert isinstance(survey_plan(text, where="x"), Plan)
    assert refusals(schema, text) == []


@pytest.mark.parametrize("file", DEMOS, ids=lambda file: file.name)
def test_the_schema_takes_the_demonstration_s_plans(schema: Draft202012Validator, file: Path) -> None:
    def filled(place: re.Match[str]) -> str:
        if "since" in place[1]:
            return "1"
        if "scale" in place[1]:
            return "6"
        if "keys" in place[1]:
            return '0xab = { name = "USDC", scale = 6 }'
        chains = {"home_of_tokens": "eip155:1", "far_side": "eip155:2"}
        return chains.get(place[1], "0x" + "11" * 20)

    text = re.sub(r"\$([a-z_]+)", filled, file.read_text())

    assert refusals(schema, text) == []


def examples_of(text: str) -> dict[str, str]:
    """Give the placeholders of a ready plan with their examples or defaults."""
    found = re.findall(r"^#\s*\$([a-z_0-9]+)(?:\s*=\s*(\S+))?\s\s+\S.*?(?:\s+\[(.*)\])?$", text, re.MULTILINE)
    return {name: default or example for name, default, example in found}


@pytest.mark.parametrize("file", READY, ids=lambda file: file.name)
def test_the_schema_takes_the_ready_plans(schema: Draft202012Validator, file: Path) -> None:
    text = file.read_text()
    examples = examples_of(text)
    filled = re.sub(r"\$\{?([a-z_][a-z0-9_]*)\}?", lambda place: examples[place[1]], text)

    assert isinstance(survey_plan(filled, where=file.name), Plan)
    assert refusals(schema, filled) == []


# ---- what is wrong

MISTAKES = [
    ('format = "tocsin/plan/1"', 'format = "tocsin/plan/2"'),
    ("version = 7", "version = 0"),
    ("version = 7", "verison = 7"),
    ("version = 7", "version = 7\nvesrion = 7"),
    ('protocol = "every-key"', 'protocol = "Every"'),
    ('reason = "Shows what a plan can say"', 'reason = " "'),
    ("every = 2", "every = 0"),
    ("lag_s = 60", "lag_s = -1"),
    ("since = 100\n", ""),
    ('[chains."eip155:8453"]', '[chains."eip155 8453"]'),
    ("slack = 0", "slack = 9223372036854775808"),
    ("slack = 0", 'slack = "0"'),
    ("slack = 0", "Slack = 0"),
    ('read = "oracle"', 'read = "orakel"'),
    ('read = "oracle"', ""),
    ("[metrics.feed]", "[metrics.Feed]"),
    ("scale = 8", "scale = 78"),
    ("scale = 8", "scale = 8\nequals = 1"),
    ("window_blocks = 10\n", 'window_blocks = 10\nwindow = "1m"\n'),
    ("window_blocks = 10\n", "window_blocks = 0\n"),
    ('take = "first"', 'take = "last"'),
    ('take = "first"\n', ""),
    ('window_blocks = 300\ntake = "first"', 'take = "first"'),
    ('window = "1h"', "window = 3600"),
    ('window = "1h"', 'window = "1 hour"'),
    ('equals = "0xabab', '# "0xabab'),
    ('equals = "0x5555', 'equals = "5555'),
    ("00AB", "0AB"),
    ("offset = 1", "offset = 32"),
    ("size = 20", "size = 0"),
    ('path = "state.debt"', 'path = "state..debt"'),
    ('path = "state.debt"', 'path = "state.debt"\nword = 1'),
    ("args = [3]", "args = [3.5]"),
    ("ratio_scale = 4", "ratio_scale = 78"),
    ('read = "event_max"', 'read = "event_max"\nreduce = "sum"\nby = ["id"]'),
    ('read = "event_max"', 'read = "event_max"\nat_least = 2'),
    ('read = "event_distinct"', 'read = "event_distinct"\nscale = 2'),
    ('value = "id"\n', ""),
    (', value = "sum" }', " }"),
    ('where = { token = "0xa0', 'where = { token = "0xA0'),
    ('where = { number = "7" }', 'where = { number = "" }'),
    ("0xc02aaa39", "0xC02AAA39"),
    ('by = ["amount"]\n', ""),
    ('key = ["id", "amount"]', "key = []"),
    ('key = ["number", "amount"]', 'key = ["number", "amount"]\nprice = 2'),
    ('plan = "eip155:8453:0x8', 'chain = "eip155:1"\nplan = "eip155:8453:0x8'),
    ('plan = "eip155:8453:0x8888888888888888888888888888888888888888"', 'plan = "eip155:8453"'),
    ('on_fault = "trigger"', 'on_fault = "true"'),
    ('verb = "failover"', 'verb = "migrate"'),
    ('value = "0x99', 'value = "0xzz'),
    ("value = 10\n", "value = -10\n"),
    ('compare = "<="', 'compare = "<"'),
    ('tier = "fast"', 'tier = "quick"'),
    ("gas = 150_000", "gas = 30_000_001"),
    ('undo = "unpause()"', 'undo = "unpause()"\nrestore = "set(uint256 _)"'),
    ('ladder = [["halt"], ["halt-far", "adopt-safe"]]', "ladder = []"),
    ('ladder = [["halt"], ["halt-far", "adopt-safe"]]', "ladder = [[]]"),
    ('ladder = [["halt"], ["halt-far", "adopt-safe"]]', 'ladder = [["halt", "halt"]]'),
    ("hold = 2\n", "hold = 0\n"),
    ('stages = [["halt-far"]', "stages = [[]"),
    ('tier = "full"\nstages', 'tier = "fast"\nstages'),
    ("fast_records = 3", "fast_records = 0"),
    ('fast_time = "24h"', 'fast_times = "24h"'),
    ("max_hops = 3", "max_hops = 9"),
    ("records = 2", "records = 0"),
    ('shares = "collateral"\n', ""),
    ("need = 2", "need = 0"),
    ("ed25519:22", "ed25519:g2"),
    ('need = 2\nladder = [["halt"]]', 'need = 2\nladder = [["halt"], ["halt"]]'),
]


@pytest.mark.parametrize(("old", "new"), MISTAKES)
def test_a_mistake_of_form_is_refused_by_the_parser_and_by_the_schema(
    schema: Draft202012Validator, old: str, new: str
) -> None:
    assert old in EVERY_KEY
    text = EVERY_KEY.replace(old, new, 1)

    assert isinstance(survey_plan(text, where="x"), tuple)
    assert not schema.is_valid(tomllib.loads(text))


# ---- the same keys

Table = Mapping[str, Value]


def table(value: Value, *path: str) -> Table:
    """Give the table at `path` of a canonical plan."""
    for key in path:
        assert isinstance(value, Mapping)
        value = value[key]
    assert isinstance(value, Mapping)
    return value


def keys_of(definition: str) -> set[str]:
    """Give the keys of a definition of the schema."""
    return set(SCHEMA["$defs"][definition]["properties"])


def test_the_schema_has_exactly_the_keys_of_the_parser() -> None:
    plan = decode(parse_plan(EVERY_KEY, where="x").canonical, limit_bytes=1 << 20)
    metrics = table(plan, "metrics")
    listen, reports = table(plan)["listen"], table(plan)["reports"]
    assert isinstance(listen, tuple)
    assert isinstance(reports, tuple)

    assert set(SCHEMA["properties"]) == set(table(plan))
    for definition, found in {
        "clock": table(plan, "clock"),
        "chain_table": table(plan, "chains", "eip155:1"),
        "rule": table(plan, "rules", "drained"),
        "act": table(plan, "acts", "halt"),
        "release": table(plan, "release"),
        "budget": table(plan, "budget"),
        "listen": table(listen[0]),
        "reports": table(reports[0]),
    }.items():
        assert keys_of(definition) == set(found), definition
    assert set(SCHEMA["$defs"]["metric"]["properties"]["read"]["enum"]) == set(READS)
    kinds = {str(table(metric)["read"]): set(table(metric)) for metric in metrics.values()}
    assert kinds.keys() == set(READS)
    for kind, keys in kinds.items():
        assert keys_of("plan_acts" if kind == "plan" else kind) == keys, kind
    sides = SCHEMA["$defs"]["event_unmatched"]["properties"]["against"]["properties"]
    assert set(sides) == set(table(metrics, "unbacked", "against"))
    weighted = table(metrics, "flow", "keys", "0xa0b86991c6218b36c1d19d4a2e9eb0ce3606eb48")
    assert set(SCHEMA["$defs"]["keys"]["additionalProperties"]["properties"]) == set(weighted)
    minus = SCHEMA["$defs"]["event_sum"]["properties"]["minus"]["properties"]
    assert set(minus) == set(table(metrics, "flow", "minus"))


def test_forms_and_choices_of_the_schema_are_those_of_the_parser() -> None:
    named = {
        "chain": forms.CHAIN, "plan": forms.PLAN, "word": forms.WORD, "name": forms.NAME,
        "variable": forms.VARIABLE, "field": forms.FIELD,
    }  # fmt: skip
    for name, form in named.items():
        assert SCHEMA["$defs"][name]["pattern"] == f"^{form.pattern}$", name
        assert SCHEMA["$defs"][name]["maxLength"] == form.most_bytes, name


def test_the_schema_names_the_parser_s_defaults() -> None:
    plan = decode(parse_plan(bare_plan(), where="x").canonical, limit_bytes=1 << 20)
    for definition, *path in (("clock", "clock"), ("budget", "budget"), ("release", "release")):
        found = table(plan, *path)
        for key, told in SCHEMA["$defs"][definition]["properties"].items():
            if "default" in told:
                assert seconds(told["default"]) == found[key], (definition, key)


def bare_plan() -> str:
    """Give a plan that leaves out what may be left out."""
    head = EVERY_KEY[: EVERY_KEY.index("[limits]")].replace("eip155:8453", "eip155:10")
    head = re.sub(r"^(?:lag_s = 60|[a-z_]+(?:_s|_ms|after) = \d+|every = 2)\n", "", head, flags=re.MULTILINE)
    return head.replace("since = 200", "since = 200\nlag_s = 9") + '[release]\nwhen = "true"\n'


def seconds(told: object) -> object:
    """Give a duration in seconds, anything else as it is."""
    match = re.fullmatch(r"(\d+)([smhd])", told) if isinstance(told, str) else None
    return int(match[1]) * {"s": 1, "m": 60, "h": 3_600, "d": 86_400}[match[2]] if match else told


def test_every_key_of_the_schema_is_described() -> None:
    def described(name: str, told: Mapping[str, object]) -> bool:
        reference = str(told.get("$ref", "")).rpartition("/")[2]
        return (
            "description" in told or (reference and "description" in SCHEMA["$defs"][reference]) or not name
        )

    for name, definition in SCHEMA["$defs"].items():
        for key, told in definition.get("properties", {}).items():
            if key != "read" or name == "metric":
                assert described(key, told), (name, key)
    for key, told in SCHEMA["properties"].items():
        assert described(key, told), key
