"""Every ready rule rings on what it is for and is silent on quiet days, and both because of its limits."""

from __future__ import annotations

from collections.abc import Callable

import pytest

from relay.plans.results import PlanResult, RuleResult
from relay.plans.rows import ATTACK, Observations, Sample
from tests.incidents import quiet
from tests.incidents.cases import CASES, Case
from tests.incidents.diary import Noise, filled
from tests.incidents.judged import judge

SEED = 41


def judged(case: Case, *, is_incident: bool, text: str | None = None) -> RuleResult:
    """Judge a rule on its incident, or on quiet days."""
    rows: Observations = case.made(Noise.of(SEED), is_incident)
    result: PlanResult = judge(text or case.text(), rows)
    return result.rules[case.rule]


@pytest.mark.parametrize("case", CASES, ids=str)
def test_a_rule_rings_in_time_and_not_before(case: Case) -> None:
    result = judged(case, is_incident=True)

    assert result.triggers == (), f"seed {SEED}"
    assert result.detection is not None, f"expected rule {case.rule} to ring, seed {SEED}"
    assert result.detection.delay_s <= case.within_s, f"seed {SEED}"


@pytest.mark.parametrize("case", CASES, ids=str)
def test_a_rule_is_silent_on_quiet_days(case: Case) -> None:
    result = judged(case, is_incident=False)

    assert result.triggers == (), f"seed {SEED}"


@pytest.mark.parametrize("case", [case for case in CASES if case.blunt], ids=str)
def test_with_a_blunt_limit_the_incident_passes(case: Case) -> None:
    result = judged(case, is_incident=True, text=case.text(**case.blunt))

    assert result.detection is None, f"seed {SEED}"


@pytest.mark.parametrize("case", [case for case in CASES if case.sharp], ids=str)
def test_with_a_sharp_limit_quiet_days_ring(case: Case) -> None:
    result = judged(case, is_incident=False, text=case.text(**case.sharp))

    assert result.triggers, f"expected quiet days that test the limit, seed {SEED}"


@pytest.mark.parametrize("case", [case for case in CASES if case.announced], ids=str)
def test_a_change_that_the_plan_knows_of_is_none(case: Case) -> None:
    assert case.announced is not None

    result = judged(case, is_incident=True, text=filled(case.plan, case.announced))

    assert result.detection is None


@pytest.mark.parametrize(
    ("plan", "rule", "metric", "course"),
    [
        ("pausable", "drain", "held", quiet.vault),
        ("supply", "supply-jump", "supplied", quiet.supply),
        ("lending", "bad-debt", "cash", quiet.pool),
        ("guard", "guard-tamper", "owner_kept", quiet.guard),
    ],
)
def test_what_cannot_be_read_any_more_rings(
    plan: str, rule: str, metric: str, course: Callable[[Noise, int], quiet.Course]
) -> None:
    made = course(Noise.of(SEED), 6)
    made.diary.samples.append(Sample(made.end_s, metric, None, ATTACK))

    found = judge(filled(plan), made.diary.observations()).rules[rule].detection

    assert found is not None, f"seed {SEED}"
    assert found.delay_blocks == 0, f"seed {SEED}"


def deviation_where_fails(metric: str) -> RuleResult:
    """Judge the oracle's rule where one feed cannot be read from some time on."""
    made = quiet.feeds(Noise.of(SEED), 6)
    made.diary.samples.append(Sample(made.end_s, metric, None, ATTACK))
    return judge(filled("oracle"), made.diary.observations()).rules["deviation"]


def test_the_feed_in_use_that_fails_rings_and_the_second_one_does_not() -> None:
    assert deviation_where_fails("feed").detection is not None, f"seed {SEED}"
    assert deviation_where_fails("second").detection is None, f"seed {SEED}"
