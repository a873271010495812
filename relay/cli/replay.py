"""`tocsin audit replay`: derive the verdicts of a bundle again from the plan and the logged inputs."""

from __future__ import annotations

from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path

import click
from rich.console import Console
from rich.text import Text

from proofs.bundle import MAX_BUNDLE_BYTES, Bundle, decode_bundle
from proofs.committee import parse_committee
from proofs.envelope import Envelope, open_envelope
from proofs.errors import ProofError
from proofs.verify import verify_bundle
from relay.chains import load_adapters
from relay.cli import shown
from relay.cli.commands import Command
from relay.cli.plan import read_plan
from relay.cli.settings import Answer, Settings
from relay.core.compiled import CompiledPlan, compile_plan
from relay.core.errors import PlanError
from relay.core.messages import Attestation
from relay.core.plan_file import plan_from_canonical
from relay.core.replay import NOT_REDERIVED, Replayed, Replayer, Stated
from relay.core.types import Identity, PlanHash
from relay.core.wire import read_message

__all__ = ["replay"]

_EPILOG = """\b
Examples:
  tocsin audit replay incident.bundle                        the plans are in the bundle
  tocsin audit replay incident.bundle --plan acme.plan.toml  and this file is one of them

Every signature and log proof is verified first, as by audit verify. Then each attestation's rule is evaluated
again from what its author logged; the trace must come out to the same bytes, and the mandate must be the one
that plan and decision give, with the plan's calls. Nothing is asked of any server.

Exit code 0 when all of it follows, 1 when something does not and the failed check is named, 2 usage,
3 when something could not be derived from what is there.
"""
_FILE = click.Path(exists=True, dir_okay=False, readable=True, path_type=Path)


@dataclass(frozen=True, slots=True)
class _Case:
    """A verified bundle, ready for replay; `problems` says why a plan could not be compiled."""

    plans: Mapping[PlanHash, CompiledPlan]
    problems: tuple[str, ...]
    names: Mapping[Identity, str]
    replayer: Replayer


@click.command(cls=Command, epilog=_EPILOG)
@click.argument("bundle", type=_FILE)
@click.option(
    "--plan",
    "plan_files",
    multiple=True,
    type=_FILE,
    help="A plan's file that must be one of the bundle's. Repeatable.",
)
@click.pass_obj
def replay(settings: Settings, bundle: Path, plan_files: tuple[Path, ...]) -> Answer:
    """Evaluate every attestation's rule again, from the bundle alone."""
    try:
        with bundle.open("rb") as source:
            data = source.read(MAX_BUNDLE_BYTES + 1)
    except OSError as error:
        return settings.fail(f"{bundle}: {error.strerror}", "", Answer.UNKNOWN)
    given = {read_plan(file).hash: file for file in plan_files}
    try:
        verify_bundle(data)
        case = _case(decode_bundle(data))
    except ProofError as error:
        return _refuse(settings, error.check, error.message)
    for plan_hash, file in given.items():
        if plan_hash not in {each.attestation.decision.plan_hash for each in case.replayer.stated}:
            problem = f"expected a plan of the bundle, got {file} with hash {plan_hash.hex()}"
            return _refuse(settings, "plan-file", problem)
    return _give(settings, case, list(case.replayer.run()))


def _case(bundle: Bundle) -> _Case:
    adapters = load_adapters()
    plans: dict[PlanHash, CompiledPlan] = {}
    problems: list[str] = []
    for each in bundle.plans:
        try:
            plans[each.plan_hash] = compile_plan(plan_from_canonical(each.canonical), adapters)
        except PlanError as error:
            problems.append(f"plan {each.plan_hash.hex()}: {error.where}: {error.problem}")
    envelopes = [open_envelope(record.envelope) for record in bundle.records]
    stated = tuple(_stated(envelopes))
    return _Case(plans, tuple(problems), _names(bundle), Replayer(bundle.network, plans, stated))


def _stated(envelopes: Iterable[Envelope]) -> Iterable[Stated]:
    for envelope in envelopes:
        message = read_message(envelope)
        if isinstance(message, Attestation):
            yield Stated(envelope.author, message)


def _names(bundle: Bundle) -> Mapping[Identity, str]:
    """Give the members' names; the newest document has the last word."""
    documents = [parse_committee(each.document) for each in bundle.committees]
    return {member.identity: member.name for document in documents for member in document.members}


def _answer(found: Sequence[Replayed]) -> Answer:
    if any(each.refusal is not None for each in found):
        return Answer.NO
    return Answer.YES if found and all(each.is_rebuilt for each in found) else Answer.UNKNOWN


def _give(settings: Settings, case: _Case, found: Sequence[Replayed]) -> Answer:
    answer = _answer(found)
    limits = tuple(dict.fromkeys(limit for each in found for limit in each.untold)) + NOT_REDERIVED
    document = {
        "replayed": {Answer.YES: True, Answer.NO: False}.get(answer),
        "attestations": [_document(each, case.names) for each in found],
        "problems": list(case.problems),
        "not_rederived": list(limits),
    }
    settings.give("audit-replay", document, lambda console: _show(console, case, found, limits))
    return answer


def _document(each: Replayed, names: Mapping[Identity, str]) -> dict[str, object]:
    said, refusal = each.stated.attestation, each.refusal
    return {
        "decision_id": each.decision_id.hex(),
        "op": said.decision.op.name.lower(),
        "subject": said.decision.subject,
        "rung": said.decision.rung,
        "tier": said.decision.tier.name.lower(),
        "anchor": said.decision.anchor.number,
        "member": names[each.stated.author],
        "verdict": said.verdict.value,
        "result": said.trace["result"],
        "same": None if not each.is_rebuilt else refusal is None,
        "check": None if refusal is None else refusal.check,
        "problem": None if refusal is None else refusal.problem,
        "untold": list(each.untold),
    }


def _refuse(settings: Settings, check: str, problem: str) -> Answer:
    document = {"replayed": False, "check": check, "problem": problem}

    def show(console: Console) -> None:
        console.print(Text.assemble(("NOT REPLAYED", "bold red"), f"  failed check: {check}"))
        console.print(Text(f"  {problem}"))

    settings.give("audit-replay", document, show)
    return Answer.NO


_TITLES = {
    Answer.YES: ("REPLAYED", "bold green"),
    Answer.NO: ("NOT REPLAYED", "bold red"),
    Answer.UNKNOWN: ("COULD NOT TELL", "bold yellow"),
}


def _show(console: Console, case: _Case, found: Sequence[Replayed], limits: Sequence[str]) -> None:
    count = sum(each.is_rebuilt and each.refusal is None for each in found)
    console.print(
        Text.assemble(_TITLES[_answer(found)], f"  {count} of {len(found)} attestations, byte by byte")
    )
    rows = [(_held(each), _row(each, case.names)) for each in found]
    shown.marked_table(console, ("", "decision", "op", "tier", "block", "member", "says", "result"), rows)
    for each in found:
        if each.refusal is not None:
            who = case.names[each.stated.author]
            console.print(Text(f"  {who}: {each.refusal.check}: {each.refusal.problem}", style="red"))
    for problem in case.problems:
        console.print(Text(f"  {problem}", style="yellow"))
    console.print(Text("Not derived again", style="bold"))
    for limit in limits:
        console.print(Text(f"  · {limit}"))


def _held(each: Replayed) -> bool | None:
    return None if not each.is_rebuilt else each.refusal is None


def _row(each: Replayed, names: Mapping[Identity, str]) -> list[object]:
    said = each.stated.attestation
    decision, result = said.decision, said.trace["result"]
    subject = decision.subject + (f", rung {decision.rung}" if decision.rung else "")
    told = "none" if result is None else str(result).lower()
    words = (decision.op.name.lower(), decision.tier.name.lower(), decision.anchor.number)
    return [subject, *words, names[each.stated.author], said.verdict.value, told]
