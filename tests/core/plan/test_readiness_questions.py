"""What is to be looked at for plans: versions in force, acts that may be sent, funds for all of them."""

from __future__ import annotations

from collections.abc import Callable

from proofs.mandate import Tier
from relay.core.compiled import CompiledPlan
from relay.core.readiness import chain_question, gateway_questions, plans_to_watch
from relay.core.types import Address, NetworkId

NETWORK = NetworkId(b"\x01" * 32)
SUBMITTER = Address(b"\x02" * 20)
Compile = Callable[[str], CompiledPlan]


def test_each_gateway_of_a_plan_is_a_question_with_its_own_acts(
    compiled_from: Compile, bridge_text: str
) -> None:
    compiled = compiled_from(bridge_text)

    questions = gateway_questions(compiled, NETWORK, 3)

    assert {question.chain for question in questions} == set(compiled.gateways)
    assert sum(len(question.acts) for question in questions) == len(compiled.acts)
    for question in questions:
        for act in question.acts:
            planned = compiled.plan.acts[act.name]
            assert planned.text.chain == question.chain
            assert (act.tier, act.lasts_s) == (planned.tier, planned.lasts_s)
        assert len(set(question.names)) == len(question.names) == 3 + 3 * len(question.acts)
    assert {question.key_epoch for question in questions} == {3}


def test_a_plan_in_shadow_mode_sends_nothing_so_no_act_is_looked_at(
    compiled_from: Compile, bridge_text: str
) -> None:
    shadow = bridge_text.replace('mode = "armed"', 'mode = "shadow"')
    assert shadow != bridge_text

    questions = gateway_questions(compiled_from(shadow), NETWORK, 1)

    assert questions
    assert all(question.acts == () for question in questions)


def test_versions_in_force_are_watched_or_else_the_newest(compiled_from: Compile, bridge_text: str) -> None:
    first, second, third = (
        compiled_from(bridge_text.replace("version = 1", f"version = {version}")) for version in (1, 2, 3)
    )
    plans = [third, first, second]

    assert plans_to_watch(plans, lambda compiled: compiled in (first, second)) == (first, second)
    assert plans_to_watch(plans, lambda _: False) == (third,)
    assert plans_to_watch([], lambda _: True) == ()


def test_funds_are_wanted_for_every_act_of_all_plans_on_a_chain(
    compiled_from: Compile, bridge_text: str
) -> None:
    compiled = compiled_from(bridge_text)
    chain = next(iter(compiled.plan.acts.values())).text.chain
    here = [act for act in compiled.plan.acts.values() if act.text.chain == chain]

    question = chain_question(chain, [compiled, compiled], SUBMITTER, rounds=3, fee="cap")
    nothing = chain_question(chain, [], SUBMITTER, rounds=3, fee="cap")

    assert (question.calls, question.gas) == (3 * 2 * len(here), max(act.text.gas for act in here))
    assert (nothing.calls, nothing.gas) == (0, 0)
    assert {act.tier for act in here} <= {Tier.FAST, Tier.FULL}
