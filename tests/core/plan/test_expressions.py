"""Conditions: CEL's own logic over faults, and only what gives one answer on every node (SPEC 5.3, INV-B)."""

from __future__ import annotations

import random
import subprocess
import sys

import pytest

from relay.core.errors import PlanError
from relay.core.expressions import Kind, Language, Result

TRUE, FALSE, FAULT = Result.TRUE, Result.FALSE, Result.FAULT
KINDS = {"a": Kind.INTEGER, "b": Kind.INTEGER, "m": Kind.MAP, "n": Kind.MAP}


@pytest.fixture(scope="module")
def language() -> Language:
    """Two integers and two maps; `a` is the one that faults in these tests."""
    return Language(KINDS)


@pytest.mark.parametrize(
    ("text", "result"),
    [
        ("a > 1", FAULT),
        ("!(a > 1)", FAULT),
        ("false && a > 1", FALSE),
        ("a > 1 && false", FALSE),
        ("true && a > 1", FAULT),
        ("true || a > 1", TRUE),
        ("a > 1 || true", TRUE),
        ("a > 1 || false", FAULT),
        ("b > 0 ? true : a > 1", TRUE),
        ("b > 0 ? a > 1 : true", FAULT),
        ("a > 1 ? true : true", FAULT),
        ("a == a", FAULT),
        ("m.exists(t, m[t] > a)", FAULT),
        ("m.exists(t, m[t] > a || m[t] == 5)", TRUE),
        ("m.all(t, m[t] > a && m[t] != 5)", FALSE),
        ("a > 1 || m.exists(t, m[t] == 5)", TRUE),
        ("b + 9223372036854775807 > 0", FAULT),
        ("b / (b - 3) > 0", FAULT),
        ("m['absent'] > 0", FAULT),
        ("m['absent'] > 0 || true", TRUE),
        ("m.x > 0 && has(n.y) && size(m) == 2", TRUE),
        ("m.exists(t, n[t] > 0)", TRUE),
        ("m.all(t, n[t] > 0)", FAULT),
        ("b in [1, 2, 3] && 'x' in m", TRUE),
    ],
)
def test_a_fault_follows_the_logic_of_cel(language: Language, text: str, result: Result) -> None:
    condition = language.compile(text, "when")

    assert condition.evaluate({"b": 3, "m": {"x": 5, "y": 6}, "n": {"y": 1}}) is result


@pytest.mark.parametrize(
    ("text", "problem"),
    [
        ("a", "expected a bool, got int"),
        ("zz > 1", "expected one of the metrics a, b, m, n, got zz"),
        ("a > 1.5", "expected integers only, got 1.5"),
        ("a > 1e3", "expected integers only, got 1e3"),
        ("double(a) > b", "got double()"),
        ("m.map(t, m[t])[0] > 1", "got map()"),
        ("size(m.filter(t, m[t] > 1)) > 1", "got filter()"),
        ("timestamp(a) > timestamp(b)", "got timestamp()"),
        ("'abc'.matches('a')", "got matches()"),
        ("dyn(a) > 1", "got dyn()"),
        ("1u > 0u", "got '1u > 0u'"),
        ("{'a': 1}.size() > 0", "expected an integer, a text, a name or an operator"),
        ("b'x' == b'x'", "expected a text without prefix"),
        ("a > 1 // b", "expected an expression without comments"),
        ("`a` > 1", "got '`a` > 1'"),
        ("m.exists(a, a == 'x')", "expected a loop variable with a name of its own, got a"),
        ("m.exists(true, true)", "expected a loop variable with a name of its own, got true"),
        ("[1, 2].exists(x, x == a)", "expected a loop over a metric"),
        ("m.all(x, n.all(y, m.all(z, m[z] > n[y])))", "expected loops of at most 8192 steps"),
        ("peer.verb == 'pause'", "expected metrics only, got peer"),
        ("a >", "expected an expression of CEL"),
        ("a > 1 &", "got '&'"),
        ("", "expected an expression of CEL"),
        ("(" * 500 + "a > 1" + ")" * 500, "expected an expression of CEL"),
        ("a > 1 || " * 200 + "true", "expected at most 1024 bytes"),
        ("'\ud800' == 'x'", "expected printable text"),
        ("a > 1\n|| true", "expected printable text"),
    ],
)
def test_what_could_differ_between_nodes_is_refused(language: Language, text: str, problem: str) -> None:
    with pytest.raises(PlanError) as refused:
        language.compile(text, "rules.x.when")

    assert refused.value.where == "rules.x.when"
    assert problem in refused.value.problem


def test_a_condition_names_the_metrics_that_it_reads(language: Language) -> None:
    assert language.compile("m.exists(t, n[t] > b) && 'a' in m", "when").reads == ("b", "m", "n")
    assert language.compile("true", "when").reads == ()


def test_only_a_link_sees_its_peer_and_only_the_known_facts(language: Language) -> None:
    condition = language.compile(
        "peer.verb in ['pause', 'lock'] && peer.hops < 2 && b > 0", "when", of_link=True
    )

    assert condition.evaluate({"b": 1, "peer": {"verb": "lock", "hops": 1}}) is TRUE
    assert condition.evaluate({"b": 1, "peer": {"verb": "pause", "hops": 2}}) is FALSE
    assert condition.reads == ("b",)
    with pytest.raises(PlanError, match=r"expected peer with one of .*, got peer\.votes"):
        language.compile("peer.votes > 1", "when", of_link=True)


def test_the_longest_admitted_loops_stay_below_the_limit_of_the_runtime(language: Language) -> None:
    entries = {f"k{index}": index for index in range(64)}
    condition = language.compile("m.all(x, n.all(y, m[x] + n[y] < 1000)) && m.exists(x, m[x] == 63)", "when")

    assert condition.evaluate({"m": entries, "n": entries}) is TRUE


def test_the_order_in_which_a_map_was_filled_changes_no_result(
    language: Language, chance: random.Random
) -> None:
    condition = language.compile(
        "m.exists(t, m[t] > n[t]) && m.all(t, m[t] < 100) && n.exists_one(t, n[t] == 7) && m != n", "when"
    )
    entries = [(f"k{index}", index) for index in range(40)]
    for _ in range(50):
        chance.shuffle(entries)
        inputs = {"m": dict(entries), "n": {name: value - (name == "k3") for name, value in entries[:40]}}
        assert condition.evaluate(inputs) is TRUE


def test_the_runtime_does_iterate_in_an_order_of_the_process() -> None:
    """Why `map` and `filter` are refused; when this fails, they could be admitted."""
    program = (
        "from cel_expr_python import cel; m = cel.Type.Map(cel.Type.STRING, cel.Type.INT);"
        "e = cel.NewEnv(variables={'m': m}).compile('m.map(t, m[t])');"
        "print([v.value() for v in e.eval(data={'m': {str(i): i for i in range(20)}}).value()])"
    )

    orders = {
        subprocess.run([sys.executable, "-c", program], check=True, capture_output=True, timeout=60).stdout
        for _ in range(4)
    }

    assert len(orders) > 1


LIMITS = {"least": -5, "most": 7, "lowest": -(1 << 63), "highest": (1 << 63) - 1, "x": 1}


@pytest.mark.parametrize(
    ("text", "values", "result"),
    [
        ("b > most", {"b": 8}, TRUE),
        ("b > most", {"b": 7}, FALSE),
        ("b-least == 9", {"b": 4}, TRUE),
        ("b > lowest && b <= highest", {"b": -(1 << 63)}, FALSE),
        ("m.exists(t, m[t] > most && t != 'most')", {"m": {"most": 9, "k": 8}}, TRUE),
        ("m.exists(t, m[t] > most && t != 'most')", {"m": {"most": 9, "k": 7}}, FALSE),
        ("m.x > most", {"m": {"x": 8}}, TRUE),
        ("a > most", {}, FAULT),
        ("least < most", {}, TRUE),
    ],
)
def test_limits_are_numbers_of_a_condition_and_none_of_its_metrics(
    text: str, values: dict[str, int | dict[str, int]], result: Result
) -> None:
    condition = Language(KINDS, LIMITS).compile(text, "when")

    assert condition.evaluate(values) is result
    assert not set(condition.reads) & LIMITS.keys()
    assert condition.text == text


@pytest.mark.parametrize(
    ("text", "problem"),
    [
        ("b > mots", "expected one of the metrics a, b, m, n or the limits highest, least"),
        ("m.exists(most, m[most] > 1)", "expected a loop variable with a name of its own, got most"),
        ("most", "expected a bool, got int"),
        ("most()", "expected one of all, contains"),
        ("most.exists(t, t > 1)", "expected an expression of CEL"),
    ],
)
def test_a_limit_is_used_as_a_number_only(text: str, problem: str) -> None:
    with pytest.raises(PlanError, match=problem):
        Language(KINDS, LIMITS).compile(text, "when")
