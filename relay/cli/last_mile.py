"""Whether this node's calls would land now: what a running node watches, asked once (core SPEC 8)."""

from __future__ import annotations

import asyncio
from collections.abc import Sequence
from contextlib import AsyncExitStack

from proofs.groupkeys import KeysDocument
from relay.chains import load_adapters
from relay.chains.loading import adapter_of
from relay.cli.diagnosis import wall_clock_s
from relay.cli.findings import Finding
from relay.cli.plan import read_plan
from relay.cli.rehearsal_record import read_record, words_of_record
from relay.config import NodeConfig, load_known_keys
from relay.core.committees import Committees
from relay.core.compiled import CompiledPlan, compile_plan
from relay.core.errors import ConfigError
from relay.core.handover_facts import keys_fact_name, verifier_fact
from relay.core.ports import Adapter, ChainSettings
from relay.core.readiness import (
    Fact,
    GatewayQuestion,
    Inspector,
    Standing,
    chain_question,
    gateway_questions,
    plans_to_watch,
)
from relay.core.types import Address, Caip2, Gateway

__all__ = ["diagnose_last_mile", "diagnose_rehearsals"]


async def diagnose_last_mile(
    config: NodeConfig, committees: Committees, submitter: Address | None
) -> list[Finding]:
    """Look at every chain of the plans, all at once; refused plans are left to the plans' own check."""
    adapters = load_adapters()
    plans = _plans(config, adapters)
    wanted = {chain for compiled in plans for chain in compiled.plan.chains}
    chains = [settings for settings in config.chains if settings.chain in wanted]
    async with AsyncExitStack() as stack:
        inspectors = {
            settings.chain: await stack.enter_async_context(
                adapter_of(settings.chain, adapters).inspector(settings)
            )
            for settings in chains
        }
        answers = await _ask_gateways(plans, committees, inspectors)
        live = plans_to_watch(plans, lambda compiled: _is_in_force(compiled, answers))
        facts = await _ask_chains(config, chains, live, submitter, inspectors)
        known = load_known_keys(config.directory.committee, committees.documents).keys
        keys = [kept.document for kept in known]
        facts += await _ask_verifiers(live, committees, keys, inspectors)
    facts += [fact for (plan, _), found in answers.items() if plan in _hashes(live) for fact in found]
    return [_finding(fact) for fact in facts] + _without_key(chains, submitter)


def diagnose_rehearsals(config: NodeConfig) -> list[Finding]:
    """Say of each plan how old its newest rehearsal is."""
    now_s = wall_clock_s()
    findings: list[Finding] = []
    for file in sorted(config.plans.glob("*/*.plan.toml")):
        try:
            plan = read_plan(file)
        except ConfigError:
            continue
        record = read_record(file, plan.hash)
        held = record is None or not record.failed
        name = f"rehearsal of {plan.protocol} version {plan.version}"
        findings.append(
            Finding(
                name, held, words_of_record(record, now_s), "" if held else f"tocsin plan rehearse {file}"
            )
        )
    return findings


_Answers = dict[tuple[bytes, Caip2], tuple[Fact, ...]]


def _plans(config: NodeConfig, adapters: dict[str, Adapter]) -> list[CompiledPlan]:
    plans: list[CompiledPlan] = []
    for file in sorted(config.plans.glob("*/*.plan.toml")):
        try:
            plans.append(compile_plan(read_plan(file), adapters))
        except ConfigError:
            continue
    return plans


def _hashes(plans: Sequence[CompiledPlan]) -> set[bytes]:
    return {compiled.plan.hash for compiled in plans}


async def _ask_gateways(
    plans: Sequence[CompiledPlan], committees: Committees, inspectors: dict[Caip2, Inspector]
) -> _Answers:
    committee = committees.in_force(wall_clock_s())
    questions = [
        question
        for compiled in plans
        for question in gateway_questions(compiled, committee.network, committee.key_epoch)
        if question.chain in inspectors
    ]

    async def ask(question: GatewayQuestion) -> tuple[Fact, ...]:
        return await inspectors[question.chain].look_at_gateway(question)

    async with asyncio.TaskGroup() as group:
        tasks = [group.create_task(ask(question)) for question in questions]
    return {
        (question.plan_hash, question.chain): task.result()
        for question, task in zip(questions, tasks, strict=True)
    }


def _is_in_force(compiled: CompiledPlan, answers: _Answers) -> bool:
    reference = compiled.plan.clock.reference
    name = f"plan {compiled.plan.protocol} {reference}"
    found = answers.get((compiled.plan.hash, reference), ())
    return any(fact.name == name and fact.standing is Standing.HELD for fact in found)


async def _ask_verifiers(
    plans: Sequence[CompiledPlan],
    committees: Committees,
    keys: Sequence[KeysDocument],
    inspectors: dict[Caip2, Inspector],
) -> list[Fact]:
    """Say of each gateway's verifier which key epochs it takes, and when the next committee can begin."""
    places = {
        keys_fact_name(compiled.plan.protocol, chain): (chain, gateway)
        for compiled in plans
        for chain, gateway in compiled.gateways.items()
        if chain in inspectors
    }

    async def ask(name: str, chain: Caip2, gateway: Gateway) -> Fact:
        state = await inspectors[chain].look_at_verifier(gateway)
        return verifier_fact(name, state, committees, wall_clock_s(), keys=keys)

    async with asyncio.TaskGroup() as group:
        tasks = [group.create_task(ask(name, *place)) for name, place in sorted(places.items())]
    return [task.result() for task in tasks]


async def _ask_chains(
    config: NodeConfig,
    chains: Sequence[ChainSettings],
    plans: Sequence[CompiledPlan],
    submitter: Address | None,
    inspectors: dict[Caip2, Inspector],
) -> list[Fact]:
    rounds, fee = config.readiness.funded_rounds, config.readiness.fee
    async with asyncio.TaskGroup() as group:
        tasks = [
            group.create_task(
                inspectors[settings.chain].look_at_chain(
                    chain_question(settings.chain, plans, submitter, rounds=rounds, fee=fee)
                )
            )
            for settings in chains
        ]
    return [fact for task in tasks for fact in task.result()]


def _without_key(chains: Sequence[ChainSettings], submitter: Address | None) -> list[Finding]:
    if submitter is not None:
        return []
    reason = "the submitter's key cannot be opened, so its account is unknown"
    return [
        Finding(f"{name} {settings.chain}", None, reason, "give the passphrase of the keys")
        for settings in chains
        for name in ("funds", "nonce")
    ]


def _finding(fact: Fact) -> Finding:
    reason = f"{fact.standing}: {fact.reason}" if fact.standing is Standing.UNTRIED else fact.reason
    return Finding(fact.name, fact.held, reason, fact.remedy)
