"""Incidents of powers, to mint and to rule, shaped after Resolv and Drift; quiet days made up."""

from __future__ import annotations

from relay.plans.rows import Observations
from tests.incidents import quiet
from tests.incidents.diary import Noise, Scenario, filled
from tests.incidents.quiet import SOMEBODY, TOKEN


def resolv(noise: Noise) -> Observations:
    """Shaped after Resolv, 22 March 2026: a stolen key minted what nobody had paid for.

    Public: on a supply of 102 M dollars' worth, 50 M at 02:21 UTC and 30 M more at 03:41; about 25 M USD
    were sold for other tokens; all functions were paused more than 80 minutes after the first mint.
    Invented: the time of the year, that the sales were even from minute 2 to minute 101, and twenty quiet
    days of mints and burns of up to 0.3 %.
    """
    course = quiet.supply(noise, 20 * 24)
    before = course.last("supplied")
    course.diary.attack_state(course.end_s, 0, supplied=before + 50_000_000 * TOKEN)
    for minute in range(2, 102):
        minted = 50_000_000 if minute < 80 else 80_000_000
        supplied = before + minted * TOKEN
        course.diary.attack_state(course.end_s + 60 * minute, 250_000, supplied=supplied)
    return course.diary.observations()


def drift(noise: Noise) -> Observations:
    """Shaped after Drift, 1 April 2026: two of five signatures, given for something else, changed the admin.

    Public: 16:05:39 UTC, two transactions within seconds; then the limits were lifted, a worthless token
    listed as collateral, and in 31 withdrawals within twelve minutes about 285 M USD taken; the first
    protective act came after 175 minutes. Invented: a proxy with an owner on an EVM chain, the time of
    the year, withdrawals of equal size from second 60 on, and a year before in which minor roles are
    granted.
    """
    course = quiet.guard(noise, 365 * 24)
    owner = int(SOMEBODY, 16)
    course.diary.attack_state(course.end_s, 0, owner_kept=owner)
    for place in range(31):
        after_s = 60 + 21 * place
        course.diary.attack_state(course.end_s + after_s, 285_000_000 // 31, owner_kept=owner)
    return course.diary.observations()


def scenarios() -> tuple[Scenario, ...]:
    """Give the incidents of powers."""
    return (
        Scenario(
            "Resolv 2026: a stolen key mints, twice",
            "supply",
            filled("supply"),
            seed=20260322,
            made=resolv,
            rules=("supply-jump", "supply-creep"),
            in_fact="over 80 min",
        ),
        Scenario(
            "Drift 2026: two signatures change the owner, 31 withdrawals",
            "guard",
            filled("guard"),
            seed=20260401,
            made=drift,
            rules=("guard-tamper",),
            in_fact="175 min",
        ),
    )
