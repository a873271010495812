"""`tocsin gateway verify`."""

from __future__ import annotations

import asyncio
from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from pathlib import Path

import click
from rich.console import Console

from proofs.committee import CommitteeDocument
from relay.cli import shown
from relay.cli.commands import Command
from relay.cli.findings import Finding
from relay.cli.gateway_changes import wanted_budget
from relay.cli.gateway_keys import committee_keys, keys_finding, keys_option
from relay.cli.gateway_options import FILE, plan_option, rpc_option
from relay.cli.gateway_reading import (
    PlannedAct,
    PlannedGateway,
    Reading,
    acts_on,
    adapter_for,
    gateways_of,
    has_node,
    needed_settings,
    node_plans,
    parse_place,
    read_gateway,
    with_plans,
)
from relay.cli.gateway_show import NO_PLAN, code_words, epoch_words, scheduled_words
from relay.cli.gateway_words import budget_words, instant, span
from relay.cli.node_files import this_directory
from relay.cli.plan import read_plan
from relay.cli.settings import Answer, Settings
from relay.config import KeptKeys, load_committee, load_committee_chain
from relay.core.errors import ConfigError
from relay.core.gateway_report import CodeReport, GatewayReport, VerifierReport
from relay.core.plan import Plan

_EPILOG = """\b
Examples:
  tocsin gateway verify                                             all gateways of this node's plans
  tocsin gateway verify --plan acme.plan.toml --rpc http://127.0.0.1:8545 --committee epoch-0001.toml
  tocsin gateway verify --json | jq '.gateways[].findings[] | select(.held != true)'

Compares code, network, keys, acts, plan and budget with this version's build, the committee document and the
plan. A gateway that a stranger created can hold acts that it does not list: create yours yourself.

Exit code 0 when all of it holds, 1 when a named check fails, 3 when something could not be told.
"""
_REPROPOSE = "tocsin gateway propose PLAN says what the owner must call"
_REPOINT = "the owner calls setVerifier with a verifier of your network's committee"
_FIXED = "fixed at deployment: deploy another gateway"


@dataclass(frozen=True, slots=True)
class Expected:
    """What a gateway is compared with: the newest plan that names it, and its acts there."""

    place: PlannedGateway
    plan: Plan
    acts: tuple[PlannedAct, ...]
    committee: CommitteeDocument | None
    keys: KeptKeys | None = None


@click.command(cls=Command, epilog=_EPILOG)
@click.argument("address", required=False, metavar="[CHAIN:ADDRESS]")
@rpc_option
@plan_option
@click.option("--committee", type=FILE, help="The committee document; this node's newest if not given.")
@keys_option
@click.pass_obj
def verify(
    settings: Settings,
    address: str | None,
    rpc: tuple[str, ...],
    plan: Path | None,
    committee: Path | None,
    keys: Path | None,
) -> Answer:
    """Compare deployed gateways with this version's build, the committee and the plan; name what differs."""
    document = _committee(settings, committee)
    kept = committee_keys(settings, keys, document)
    places = _places(settings, address, plan)
    found = [(place, _verified(settings, place, rpc, document, kept)) for place in places]

    def show(console: Console) -> None:
        for place, findings in found:
            console.print(f"[bold underline]{shown.cell(_title(place))}[/]")
            shown.checks(console, [finding.row() for finding in findings])

    documents = [
        {"gateway": _title(place), "findings": [finding.document() for finding in findings]}
        for place, findings in found
    ]
    settings.give("gateway-verification", {"gateways": documents}, show)
    return _answer([finding for _, findings in found for finding in findings])


def _answer(findings: Sequence[Finding]) -> Answer:
    if any(finding.held is False for finding in findings):
        return Answer.NO
    return Answer.UNKNOWN if any(finding.held is None for finding in findings) else Answer.YES


def _title(place: PlannedGateway) -> str:
    return f"{place.chain}:0x{place.gateway[12:].hex()}"


def _committee(settings: Settings, file: Path | None) -> CommitteeDocument | None:
    if file is not None:
        return load_committee(file)
    return (
        load_committee_chain(this_directory(settings).committee)[-1].document if has_node(settings) else None
    )


def _places(settings: Settings, address: str | None, plan: Path | None) -> tuple[PlannedGateway, ...]:
    plans = node_plans(settings) if plan is None else (read_plan(plan),)
    places = gateways_of(plans) if address is None else (with_plans(parse_place(address), plans),)
    if not places or not all(place.plans for place in places):
        problem = "expected a plan that names the gateway, got none"
        raise ConfigError("gateway", problem, remedy="give --plan FILE, or --home of a node")
    return places


def _verified(
    settings: Settings,
    place: PlannedGateway,
    rpc: Sequence[str],
    committee: CommitteeDocument | None,
    keys: KeptKeys | None,
) -> list[Finding]:
    reading = asyncio.run(read_gateway(needed_settings(settings, place.chain, rpc), place))
    survey = reading.survey
    if not isinstance(survey, GatewayReport):
        return [Finding("gateway", False, survey.reason, "correct the address in the plan, or deploy one")]
    newest = max(place.plans, key=lambda plan: plan.version)
    acts = acts_on(newest, place.chain, adapter_for(place.chain))
    return list(findings(Expected(place, newest, acts, committee, keys), reading, survey))


# ---- findings


def findings(expected: Expected, reading: Reading, report: GatewayReport) -> Iterator[Finding]:
    """Every check, in the order in which they build on each other."""
    yield _agreement(reading)
    yield _code("gateway's code", report.code)
    yield from _trust(expected, report)
    yield _limits(expected, report)
    yield _sealed(report)
    yield _plan(expected, report)
    for planned in expected.acts:
        yield _act(planned, report)
    yield _others(expected, report)
    yield _budget(expected, report)
    yield _announced(expected, report)
    yield _owner(report)


def _agreement(reading: Reading) -> Finding:
    said = f"{reading.agreeing} of {reading.asked} answer alike"
    if not reading.dissenting:
        return Finding("endpoints agree", True, said)
    who = ", ".join(reading.dissenting)
    return Finding("endpoints agree", False, f"{said}; otherwise: {who}", "ask that operator why")


def _code(name: str, code: CodeReport) -> Finding:
    held = code.is_rebuilt if code.is_ours else False
    remedy = (
        "ask an endpoint that runs eth_call without a recipient"
        if held is None
        else ("do not use it: what it does is not what GATEWAY.md says")
    )
    return Finding(name, held, code_words(code), remedy)


def _trust(expected: Expected, report: GatewayReport) -> Iterator[Finding]:
    """The verifier and whom it trusts."""
    verifier = report.verifier
    if report.verifier_address is None:
        yield Finding("verifier", False, "none is set: no mandate is accepted", _REPOINT)
        return
    if verifier is None:
        detail = f"what stands at {report.verifier_address} does not answer as a verifier"
        yield Finding("verifier", False, detail, _REPOINT)
        return
    yield _code("verifier's code", verifier.code)
    if expected.committee is None:
        detail = "no committee document to compare with"
        yield Finding("network and keys", None, detail, "give --committee FILE, or --home of a node")
        return
    yield _network(expected.committee, report, verifier)
    yield _keys(expected.committee, verifier)
    yield keys_finding(expected.keys, verifier)
    yield _others_keys(verifier)
    yield _rotation(verifier)
    yield _veto(report, verifier)


def _network(committee: CommitteeDocument, report: GatewayReport, verifier: VerifierReport) -> Finding:
    wanted = committee.network
    for who, told, remedy in (
        ("the gateway", report.network, _FIXED),
        ("the verifier", verifier.network, _REPOINT),
    ):
        if told != wanted:
            detail = f"expected {wanted.hex()}, got {told.hex()} from {who}"
            return Finding("network", False, detail, remedy)
    return Finding("network", True, f"{committee.name} {wanted.hex()}")


def _keys(committee: CommitteeDocument, verifier: VerifierReport) -> Finding:
    current = verifier.current
    told = {attester.lower() for attester in current.attesters}
    wanted = {"0x" + member.attester.hex() for member in committee.members}
    said = epoch_words(current)
    remedy = (
        "use the committee document in force; after a rotation that is not yours the owner calls setVerifier"
    )
    if current.epoch != committee.key_epoch:
        return Finding("keys", False, f"expected key epoch {committee.key_epoch}, got {said}", remedy)
    if told != wanted:
        missing, foreign = sorted(wanted - told), sorted(told - wanted)
        detail = f"missing {', '.join(missing) or 'none'}; foreign {', '.join(foreign) or 'none'}"
        return Finding("keys", False, detail, remedy)
    if (current.fast, current.full) != (committee.fast, committee.full):
        detail = f"expected {committee.fast} (fast), {committee.full} (full), got {said}"
        return Finding("keys", False, detail, remedy)
    return Finding("keys", True, said)


def _others_keys(verifier: VerifierReport) -> Finding:
    """No certificate of other keys is accepted: not of the epoch before, not of one that nobody sees."""
    name, before = "no other keys", verifier.previous
    if verifier.is_complete is False:
        detail = "it holds more than the key epochs that it shows: others could sign"
        return Finding(name, False, detail, "do not use it: create one with tocsin gateway deploy")
    if before is not None:
        detail = f"also accepted, until {instant(before.valid_until)}: {epoch_words(before)}"
        return Finding(name, False, detail, "if that is not the committee before yours: " + _REPOINT)
    if verifier.is_complete is None:
        detail = "whether it holds hidden keys could not be told"
        return Finding(name, None, detail, "ask an endpoint that answers eth_getProof")
    return Finding(name, True, "it holds the key epochs that it shows and nothing else")


def _rotation(verifier: VerifierReport) -> Finding:
    pending = verifier.pending
    if pending is None:
        notice = f"one would take {span(verifier.rotation_delay_s)} of notice"
        return Finding("no rotation pending", True, notice)
    detail = f"{epoch_words(pending)}, from {instant(pending.valid_from)}"
    remedy = "if it is not your committee's: the guardian calls refuseEpochsFrom, or the owner setVerifier"
    return Finding("no rotation pending", False, detail, remedy)


def _veto(report: GatewayReport, verifier: VerifierReport) -> Finding:
    refused = report.refused_from
    if refused is None or refused > verifier.current.epoch:
        said = "" if refused is None else f"from epoch {refused} on mandates are refused"
        return Finding("key epoch accepted", True, said)
    detail = f"mandates of key epoch {refused} and later are refused; in force is {verifier.current.epoch}"
    return Finding("key epoch accepted", False, detail, "the owner calls refuseEpochsFrom to lift it")


def _limits(expected: Expected, report: GatewayReport) -> Finding:
    wanted = expected.plan.budget.window_s
    if report.window_s == wanted:
        return Finding("budget window", True, span(wanted))
    detail = f"expected {span(wanted)}, got {span(report.window_s)}"
    return Finding("budget window", False, detail, f"change the plan's window; the gateway's is {_FIXED}")


def _sealed(report: GatewayReport) -> Finding:
    if not report.is_sealed:
        return Finding("takes mandates", False, "not sealed: no plan was ever set", _REPROPOSE)
    if report.is_paused:
        return Finding("takes mandates", False, "paused", "the owner calls unpauseGateway()")
    return Finding("takes mandates", True, "sealed, not paused")


def _plan(expected: Expected, report: GatewayReport) -> Finding:
    plan, plans = expected.plan, report.plans
    name = f"{plan.protocol} {plan.version} {plan.hash.hex()}"
    if plan.hash == plans.following:
        return Finding(
            "plan in force", True, f"{name}, with the one before until {instant(plans.overlap_until)}"
        )
    if plan.hash != plans.current:
        told = "none" if plans.current == NO_PLAN else expected.place.plan_name(plans.current)
        return Finding("plan in force", False, f"expected {name}, got {told}", _REPROPOSE)
    if plans.following == NO_PLAN:
        return Finding("plan in force", True, name)
    follower = expected.place.plan_name(plans.following)
    detail = f"{name} only until {instant(plans.overlap_until)}; then {follower}"
    return Finding("plan in force", False, detail, "verify with the plan that follows")


def _act(planned: PlannedAct, report: GatewayReport) -> Finding:
    name = f"act {planned.name}"
    encoded = planned.encoded
    act = next((each for each in report.acts if each.act_id == encoded.act_id and each.is_on), None)
    if act is None:
        return Finding(name, False, "not registered", _REPROPOSE)
    if act.act_hash == encoded.act_hash and act.terms is None:
        detail = "what is called is not what the registered hash says, or could not be read"
        return Finding(name, False, detail, "do not use this gateway: create one with tocsin gateway deploy")
    if act.act_hash != encoded.act_hash:
        terms = act.terms
        told = "unreadable" if terms is None else f"{terms.call} on {terms.target}"
        detail = f"another call, state or undo is registered: {told} (0x{act.act_hash.hex()[:16]}…)"
        return Finding(name, False, detail, _REPROPOSE)
    wanted = (int(planned.act.tier), planned.act.lasts_s)
    if (act.tier, act.duration_s) != wanted:
        detail = f"expected tier {wanted[0]}, {span(wanted[1])}; got tier {act.tier}, {span(act.duration_s)}"
        return Finding(name, False, detail, _REPROPOSE)
    if act.state is None:
        remedy = "the target must answer the getter: an undo or a new record would fail"
        return Finding(name, False, "registered, but its state cannot be read", remedy)
    return Finding(name, True, f"{planned.act.text.call}, {span(act.duration_s)}")


def _others(expected: Expected, report: GatewayReport) -> Finding:
    ours = {planned.encoded.act_id for planned in expected.acts}
    others = [
        expected.place.name_of(act.act_id) for act in report.acts if act.is_on and act.act_id not in ours
    ]
    if not others:
        return Finding("no other acts", True)
    return Finding("no other acts", False, f"also registered: {', '.join(others)}", _REPROPOSE)


def _budget(expected: Expected, report: GatewayReport) -> Finding:
    wanted = wanted_budget(expected.plan)
    if report.budget == wanted:
        return Finding("budget", True, budget_words(wanted, report.window_s))
    told = budget_words(report.budget, report.window_s)
    detail = f"expected {budget_words(wanted, report.window_s)}; got {told}"
    return Finding("budget", False, detail, _REPROPOSE)


def _announced(expected: Expected, report: GatewayReport) -> Finding:
    looked = f"looked at from block {report.scheduled_since} on"
    if not report.scheduled and not report.is_all_scheduled:
        detail = f"{looked}; what was announced before could still be made"
        remedy = "give the chain a larger log_range in node.toml, where its endpoints allow it"
        return Finding("nothing announced", None, detail, remedy)
    if not report.scheduled:
        return Finding("nothing announced", True, looked)
    words = "; ".join(scheduled_words(expected.place, report, each) for each in report.scheduled)
    remedy = "if nobody of yours announced it, owner or guardian call cancel"
    return Finding("nothing announced", False, words, remedy)


def _owner(report: GatewayReport) -> Finding:
    if report.pending_owner is None:
        guardian = report.guardian or "none"
        notice = f"more power takes {span(report.weakening_delay_s)} of notice"
        return Finding("owner", True, f"{report.owner}; guardian {guardian}; {notice}")
    detail = f"{report.owner}, being handed to {report.pending_owner}"
    remedy = "let the new owner call acceptOwnership, or the old one call transferOwnership again"
    return Finding("owner", False, detail, remedy)


__all__ = ["Expected", "findings", "verify"]
