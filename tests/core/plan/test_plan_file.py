"""Plan files: what they say, what is refused and where, and one canonical form (SPEC 5.2, 5.5)."""

from __future__ import annotations

import random
import tomllib
from collections.abc import Callable

import pytest

from proofs.canonical import decode, encode
from proofs.hashes import tagged
from relay.core.compiled import CompiledPlan, compile_plan
from relay.core.errors import PlanError
from relay.core.plan import EventMetric, Mode, Reduce, Tier, Window
from relay.core.plan_file import parse_plan, plan_from_canonical


def test_a_plan_says_what_its_file_says(bridge_text: str) -> None:
    plan = parse_plan(bridge_text, where="bridge")

    assert (plan.protocol, plan.version, plan.mode) == ("example-bridge", 1, Mode.ARMED)
    assert plan.clock.reference == "eip155:1"
    assert plan.chains["eip155:1284"].gateway is None
    repeated = plan.metrics["repeated"]
    assert isinstance(repeated, EventMetric)
    assert (repeated.window, repeated.at_least, repeated.reduce) == (Window(seconds=600), 4, Reduce.MAX)
    assert repeated.keys["0x2260fac5e5542a773aa44fbcfedf7c193bc2c599"].weight.price == 2_297_086
    assert plan.rules["unbacked"].ladder[0].tier is Tier.FAST
    assert plan.acts["halt-replica"].text.gateway == "0x" + "11" * 20
    assert plan.acts["halt-replica"].lasts_s == 21_600
    assert plan.budget.frozen_time_s == 21 * 86_400


@pytest.mark.parametrize("name", ["bridge_text", "market_text"])
def test_canonical_bytes_give_the_same_plan(name: str, request: pytest.FixtureRequest) -> None:
    plan = parse_plan(request.getfixturevalue(name), where=name)

    again = plan_from_canonical(plan.canonical)

    assert again == plan
    assert again.hash == tagged("tocsin/plan/1", plan.canonical)


def test_the_hash_does_not_depend_on_the_order_of_keys(bridge_text: str, chance: random.Random) -> None:
    plan = parse_plan(bridge_text, where="bridge")
    tables = tomllib.loads(bridge_text)

    def shuffled(value: object) -> object:
        if not isinstance(value, dict):
            return value
        names = list(value)
        chance.shuffle(names)
        return {name: shuffled(value[name]) for name in names}

    # The canonical form is itself a set of tables, so another order of it must give the same bytes.
    assert encode(shuffled(decode(plan.canonical, limit_bytes=1 << 20))) == plan.canonical
    assert tables.keys() == shuffled(tables).keys()
    head, *sections = bridge_text.split("\n\n")
    chance.shuffle(sections)
    assert parse_plan("\n\n".join([head, *sections]), where="bridge").hash == plan.hash


def test_written_defaults_change_nothing(bridge_text: str) -> None:
    written = bridge_text.replace(
        'reference = "eip155:1"', 'reference = "eip155:1"\nrearm_s = 1800\nlag_s = 60'
    )

    assert parse_plan(written, where="a").canonical == parse_plan(bridge_text, where="b").canonical


def test_canonical_bytes_without_a_default_are_refused(bridge_text: str) -> None:
    values = dict(decode(parse_plan(bridge_text, where="a").canonical, limit_bytes=1 << 20))
    del values["listen"]

    with pytest.raises(PlanError, match="expected every default written out"):
        plan_from_canonical(encode(values))


def test_canonical_durations_are_seconds_and_files_have_units(bridge_text: str) -> None:
    values = dict(decode(parse_plan(bridge_text, where="a").canonical, limit_bytes=1 << 20))
    values["budget"] = {**values["budget"], "window": "30d"}

    with pytest.raises(PlanError, match="expected a duration"):
        plan_from_canonical(encode(values))
    with pytest.raises(PlanError, match='expected a duration like "90s", "10m", "6h" or "30d", got 600'):
        parse_plan(bridge_text.replace('window = "10m"', "window = 600"), where="a")


REFUSALS = [
    (
        'format = "tocsin/plan/1"',
        'format = "tocsin/plan/2"',
        "format",
        "expected one of tocsin/plan/1, got 'tocsin/plan/2'",
    ),
    ("version = 1", "version = 1\nverison = 2", "verison", "unknown key"),
    ("version = 1", "version = 0", "version", "expected an integer from 1 to 4294967295, got 0"),
    ("version = 1", "version = 1.0", "version", "expected an integer"),
    ("version = 1", "version = true", "version", "expected an integer"),
    ('protocol = "example-bridge"', 'protocol = "Example"', "protocol", "lower-case"),
    ('mode = "armed"', 'mode = "loaded"', "mode", "expected one of shadow, armed, got 'loaded'"),
    ('reason = "', 'reason = "\\u0007', "reason", "expected a text"),
    (
        'reference = "eip155:1"',
        'reference = "eip155:5"',
        "clock.reference",
        "expected a chain of the plan with a gateway (eip155:1), got eip155:5",
    ),
    (
        'reference = "eip155:1"',
        'mandate_fast_s = 30000\nreference = "eip155:1"',
        "clock.mandate_full_s",
        "expected at least mandate_fast_s",
    ),
    (
        'reference = "eip155:1"',
        'reference = "eip155:1284"',
        "clock.reference",
        "with a gateway (eip155:1), got",
    ),
    (
        "lag_s = 120\nsince = 1",
        "since = 1",
        'chains."eip155:1284".lag_s',
        "expected this key, got nothing (only the reference chain, eip155:1, has no lag)",
    ),
    ("lag_s = 120\nsince = 1", "lag_s = 120", 'chains."eip155:1284".since', "expected this key, got nothing"),
    ('read = "event_count"', 'read = "event_mean"', "metrics.releases.read", "expected one of event_sum"),
    ("[metrics.releases]", "[metrics.in]", "metrics.in", "no word of CEL"),
    ("[metrics.releases]", "[metrics.peer]", "metrics.peer", "no word of CEL"),
    ("[metrics.releases]", "[metrics.Releases]", "metrics.Releases", "expected a name"),
    ('window = "1h"', 'window = "1h"\nscale = 6', "metrics.releases.scale", "unknown key"),
    ('window = "1h"', 'window = "1h"\nat_least = 2', "metrics.releases.by", "expected fields to group by"),
    ('window = "1h"', 'window = "1h"\nchains = 2', "metrics.releases.chains", "unknown key"),
    (
        '0x3432b6a60d23ca0dfca7761b7ab56459d9c964d0 = { name = "FXS", scale = 12 }',
        '0x3432B6 = { name = "FXS", scale = 12 }',
        "metrics.burned.keys",
        "expected hex in lower case",
    ),
    ('name = "FXS", scale = 12', 'name = "DAI", scale = 12', "metrics.burned.keys", "got one twice"),
    (
        'name = "FXS", scale = 12',
        'name = "FXS", scale = 78',
        "scale",
        "expected an integer from 0 to 77, got 78",
    ),
    (
        'ladder = [["halt-replica"]]',
        'ladder = [["halt"]]',
        "ladder",
        "expected acts of the plan (halt-replica), got halt",
    ),
    ('ladder = [["halt-replica"]]', "ladder = []", "ladder", "expected at least 1 array of acts, got 0"),
    ('ladder = [["halt-replica"]]', "ladder = [[]]", "ladder", "expected arrays of 1 to 32 acts"),
    (
        'ladder = [["halt-replica"]]',
        'ladder = [["halt-replica"], ["halt-replica"]]',
        "ladder",
        "got one twice",
    ),
    (
        "hold = 1\n",
        "hold = 301\n",
        "release.hold",
        "expected at least the longest hold of a rule, 301, got 300",
    ),
    (
        'undo = "unpause()"',
        'undo = "unpause()"\nrestore = "set(uint256 _)"',
        "acts.halt-replica.restore",
        "got both",
    ),
    (
        'lasts = "6h"',
        'lasts = "25h"',
        "acts.halt-replica.lasts",
        'got 90000 (a few members may not freeze for longer: tier = "full" may)',
    ),
    ('lasts = "6h"', 'lasts = "59m"', "acts.halt-replica.lasts", "expected at least twice the rearm of rule"),
    (
        'undo = "unpause()"\ntier = "fast"\nlasts = "6h"',
        'tier = "full"\nlasts = "2d"',
        "acts.halt-replica.lasts",
        "without undo or restore",
    ),
    (
        'chain = "eip155:1"\ntarget',
        'chain = "eip155:1284"\ntarget',
        "acts.halt-replica.chain",
        "that has a gateway",
    ),
    (
        'chain = "eip155:1284"\nfrom',
        'chain = "eip155:7"\nfrom',
        "metrics.burned.chain",
        "expected a chain of the plan",
    ),
    (
        "[release]",
        '[budget]\nfast_time = "31d"\n[release]',
        "budget.frozen_time",
        "expected fast_time <= frozen_time",
    ),
    ("[release]", '[release]\ntier = "fast"', "release.tier", "expected one of full, got 'fast'"),
    ("gas = 150_000", "gas = 30_000_001", "acts.halt-replica.gas", "expected an integer from 1 to 30000000"),
    ("gas = 150_000", "value_ = 1", "acts.halt-replica.value_", "unknown key"),
    ("contacts = [", "contacts = [3,", "contacts", "expected a text without spaces"),
]


@pytest.mark.parametrize(("old", "new", "key", "problem"), REFUSALS)
def test_a_refusal_names_file_line_key_and_what_was_expected(
    bridge_text: str, old: str, new: str, key: str, problem: str
) -> None:
    assert old in bridge_text

    with pytest.raises(PlanError) as refused:
        parse_plan(bridge_text.replace(old, new), where="bridge.plan.toml")

    assert refused.value.where.startswith("bridge.plan.toml:")
    assert key in refused.value.where
    assert problem in str(refused.value)


def test_the_line_of_a_refusal_is_that_of_the_key(bridge_text: str) -> None:
    text = bridge_text.replace("gas = 150_000", "gas = 0")
    line = text[: text.index("gas = 0")].count("\n") + 1

    with pytest.raises(PlanError) as refused:
        parse_plan(text, where="x")

    assert refused.value.where == f"x:{line}: acts.halt-replica.gas"


@pytest.mark.parametrize(
    ("ladder", "problem"),
    [
        ('[["halt-replica", "lock-all"]]', "expected rungs of one tier"),
        ('[["lock-all"], ["halt-replica"]]', "expected the least harm first"),
    ],
)
def test_tiers_of_a_ladder_are_in_order_and_not_mixed(bridge_text: str, ladder: str, problem: str) -> None:
    act = bridge_text[bridge_text.index("[acts.halt-replica]") : bridge_text.index("[release]")]
    heavy = (
        act.replace("halt-replica", "lock-all").replace('"fast"', '"full"').replace("paused()", "locked()")
    )
    text = bridge_text.replace("[release]", f"{heavy}\n[release]").replace('[["halt-replica"]]', ladder, 1)

    with pytest.raises(PlanError, match=problem):
        parse_plan(text, where="x")


def test_rungs_that_come_after_the_slot_are_refused(bridge_text: str) -> None:
    act = bridge_text[bridge_text.index("[acts.halt-replica]") : bridge_text.index("[release]")]
    second = act.replace("halt-replica", "halt-too")
    text = bridge_text.replace("[release]", f"{second}\n[release]").replace(
        '[["halt-replica"]]', '[["halt-replica"], ["halt-too"]]\nstep = "30m"', 1
    )

    with pytest.raises(PlanError, match="expected the last of 2 rungs within rearm, 1800 s, got 1800 s each"):
        parse_plan(text, where="x")


def test_a_link_authorises_fast_acts_of_one_rung_only(market_text: str) -> None:
    heavy = market_text.replace('tier = "fast"', 'tier = "full"')

    with pytest.raises(PlanError, match="expected fast acts"):
        parse_plan(heavy, where="x")
    own = market_text.replace("eip155:1:0x11", "eip155:1284:0x44").replace("11" * 19, "44" * 19)
    with pytest.raises(PlanError, match="got this one's own gateway"):
        parse_plan(own, where="x")


def test_text_and_collections_are_bounded(bridge_text: str) -> None:
    with pytest.raises(PlanError, match="expected at most 262144 bytes"):
        parse_plan("#" * 262_145, where="x")
    metric = bridge_text[bridge_text.index("[metrics.releases]") : bridge_text.index("[rules.unbacked]")]
    many = "\n".join(metric.replace("releases", f"releases_{index}") for index in range(62))
    with pytest.raises(PlanError, match="metrics: expected at most 64, got 66"):
        parse_plan(bridge_text.replace("[release]", f"{many}\n[release]"), where="x")


@pytest.mark.parametrize(
    "text", ["", "a = ", "a = 1\na = 2", "[" * 100_000, "a = " + "[" * 100_000, "x = 1e999999"]
)
def test_what_is_no_plan_is_refused_by_a_plan_error(text: str) -> None:
    with pytest.raises(PlanError):
        parse_plan(text, where="x")


@pytest.mark.parametrize(
    "data", [b"", b"\xc0", b"\x80", b"\x81\xa1a\x01", encode({"format": "tocsin/plan/1"})]
)
def test_what_is_no_canonical_plan_is_refused_by_a_plan_error(data: bytes) -> None:
    with pytest.raises(PlanError):
        plan_from_canonical(data)


@pytest.mark.parametrize(
    ("old", "new", "where", "problem"),
    [
        (
            'value = "amount"',
            'value = "amuont"',
            "metrics.burned.value",
            "expected a field of the event (id, token, amount",
        ),
        ('by = ["token"]', 'by = ["coin"]', "metrics.burned.by", "got coin"),
        ("repeated > 10000000", "repeated", "rules.repeated-withdrawals.when", "expected a bool, got int"),
        (
            "repeated > 10000000",
            "repeeted > 1",
            "rules.repeated-withdrawals.when",
            "expected one of the metrics burned",
        ),
        (
            "repeated > 10000000",
            "peer.hops > 1",
            "rules.repeated-withdrawals.when",
            "only the condition of a link",
        ),
        ("Burn(uint256 indexed id", "Burn(uint257 indexed id", "metrics.burned", "uint257"),
    ],
)
def test_compiling_refuses_what_the_chain_or_the_language_does_not_have(
    bridge_text: str,
    compiled_from: Callable[[str], CompiledPlan],
    old: str,
    new: str,
    where: str,
    problem: str,
) -> None:
    assert old in bridge_text

    with pytest.raises(PlanError) as refused:
        compiled_from(bridge_text.replace(old, new))

    assert where in refused.value.where
    assert problem in str(refused.value)


def test_two_acts_that_read_one_state_are_refused(
    bridge_text: str, compiled_from: Callable[[str], CompiledPlan]
) -> None:
    act = bridge_text[bridge_text.index("[acts.halt-replica]") : bridge_text.index("[release]")]
    text = bridge_text.replace("[release]", f"{act.replace('halt-replica', 'halt-too')}\n[release]")

    with pytest.raises(PlanError, match="expected a state of its own, got that of halt-replica"):
        compiled_from(text)


def test_a_chain_without_adapter_is_refused(bridge_text: str) -> None:
    with pytest.raises(PlanError, match=r"expected a chain with an adapter \(none\), got eip155:1"):
        compile_plan(parse_plan(bridge_text, where="x"), {})


def test_values_that_would_not_fit_an_attestation_are_refused(
    bridge_text: str, compiled_from: Callable[[str], CompiledPlan]
) -> None:
    metric = bridge_text[bridge_text.index("[metrics.releases]") : bridge_text.index("[rules.unbacked]")]
    many = "\n".join(
        metric.replace("releases]", f"m{index}]").replace('window = "1h"', 'by = ["token"]')
        for index in range(4)
    )
    rule = " && ".join(f"size(m{index}) > 0" for index in range(4))
    text = bridge_text.replace("[release]", f"{many}\n[release]").replace("repeated > 10000000", rule)

    with pytest.raises(PlanError, match="expected metrics of at most 30000 bytes together, got up to 35584"):
        compiled_from(text)
