"""`tocsin audit replay`: derive verdicts again from the plan and the logged inputs."""

from __future__ import annotations

from collections.abc import Sequence
from pathlib import Path

import click
from rich.console import Console
from rich.text import Text

from proofs.errors import ProofError
from relay.audit.sources import SourceMissing
from relay.audit.texts import clean
from relay.cli import shown
from relay.cli.audit_policy import policy_hash_option, read_policy
from relay.cli.commands import Command
from relay.cli.hashes import pinned_network
from relay.cli.replay_sources import Case, case_of
from relay.cli.settings import Answer, Settings
from relay.core.replay import NOT_REDERIVED, Replayed
from relay.core.types import NetworkId

__all__ = ["answer_of", "replay"]

_EPILOG = """\b
Examples:
  tocsin audit replay incident.bundle                        the plans are in the bundle
  tocsin audit replay incident.bundle --plan acme.plan.toml  and this file is one of them
  tocsin audit replay log/ --plan acme.plan.toml             a node's whole audit log
  tocsin audit replay mirrors/alice --plan acme.plan.toml --policy policy.txt      a mirror, and whose it is

Of a bundle every signature and log proof is verified first, as by audit verify; of a log every signature, and
that its entries have the checkpoint's root; with --policy also whose log it is, and who cosigned. Then each
attestation's rule is evaluated again from what its author logged; the trace must come out to the same bytes,
and the mandate must be the one that plan and decision give, with the plan's calls. What a plan in shadow mode
would have decided (log only) is derived likewise; it signs nothing. Nothing is asked of any server.

Of more than 256 attestations those are shown first that do not follow; --json has all.

Exit code 0 when all of it follows, 1 when something does not and the failed check is named, 2 usage,
3 when some attestation could not be derived from what is there, or none says anything, or some entry is of a
form that is not read here. What no log holds, and what was not pinned, is named and changes no exit code; nor
does a plan of which a log holds no decision.
"""
_FILE = click.Path(exists=True, dir_okay=False, readable=True, path_type=Path)
_UNTOLD_CHECK = "log-missing"
_MOST_ROWS = 256
_MOST_LIMITS = 64
_SOURCE = click.Path(exists=True, readable=True, path_type=Path)


@click.command(cls=Command, epilog=_EPILOG)
@click.argument("source", type=_SOURCE)
@click.option(
    "--plan",
    "plan_files",
    multiple=True,
    type=_FILE,
    help="A plan's file. A log needs them; a bundle has them, and must have this one. Repeatable.",
)
@click.option(
    "--policy", "policy_file", type=_FILE, help="Whose logs and witnesses count (C2SP tlog-policy)."
)
@policy_hash_option
@click.option("--network", callback=pinned_network, help="Network id that all of it must be of.")
@click.pass_obj
def replay(
    settings: Settings,
    source: Path,
    plan_files: tuple[Path, ...],
    policy_file: Path | None,
    pinned_hash: bytes | None,
    network: bytes | None,
) -> Answer:
    """Evaluate every attestation's rule again, from a bundle or an audit log alone."""
    if pinned_hash is not None and policy_file is None:
        raise click.UsageError("--policy-hash: expected --policy FILE with it, got none")
    try:
        policy = None if policy_file is None else read_policy(policy_file, pinned_hash)
        case = case_of(source, plan_files, policy, None if network is None else NetworkId(network))
    except OSError as error:
        return settings.fail(f"{error.filename or source}: {error.strerror}", "", Answer.UNKNOWN)
    except SourceMissing as error:
        remedy = "name a bundle's file, or the folder of one log: the one with the file checkpoint in it"
        return settings.fail(str(error), remedy, Answer.UNKNOWN)
    except ProofError as error:
        return _refuse(settings, error)
    return _give(settings, case, list(case.replayer.run()))


def answer_of(found: Sequence[Replayed], *, has_unread: bool = False) -> Answer:
    """Give the answer to all of it; where every author could not tell, neither can we.

    `has_unread`: somebody said something that could not be read.
    """
    if any(each.refusal is not None for each in found):
        return Answer.NO
    has_told = any(_result(each) is not None for each in found)
    is_whole = not has_unread and all(each.is_rebuilt for each in found)
    return Answer.YES if has_told and is_whole else Answer.UNKNOWN


def _give(settings: Settings, case: Case, found: Sequence[Replayed]) -> Answer:
    answer = answer_of(found, has_unread=case.has_unread)
    untold = dict.fromkeys(clean(limit) for each in found for limit in each.untold)
    limits = (*untold, *NOT_REDERIVED, *case.limits)
    document = {
        "replayed": {Answer.YES: True, Answer.NO: False}.get(answer),
        "attestations": [_document(each, case) for each in found],
        "problems": [clean(problem) for problem in case.problems],
        "not_rederived": list(limits),
    }
    settings.give("audit-replay", document, lambda console: _show(console, case, found, limits, answer))
    return answer


def _result(each: Replayed) -> bool | str | None:
    """Give what its author made of the condition; None also where that is no result at all."""
    told = each.stated.attestation.trace["result"]
    return told if isinstance(told, bool) or told == "fault" else None


def _document(each: Replayed, case: Case) -> dict[str, object]:
    said, refusal = each.stated.attestation, each.refusal
    return {
        "decision_id": each.decision_id.hex(),
        "op": said.decision.op.name.lower(),
        "subject": said.decision.subject,
        "rung": said.decision.rung,
        "tier": said.decision.tier.name.lower(),
        "anchor": said.decision.anchor.number,
        "member": case.name_of(each.stated.author),
        "verdict": each.stated.word,
        "result": _result(each),
        "same": None if not each.is_rebuilt else refusal is None,
        "check": None if refusal is None else refusal.check,
        "problem": None if refusal is None else clean(refusal.problem),
        "untold": [clean(limit) for limit in each.untold],
    }


def _refuse(settings: Settings, error: ProofError) -> Answer:
    answer = Answer.UNKNOWN if error.check == _UNTOLD_CHECK else Answer.NO
    replayed = None if answer is Answer.UNKNOWN else False
    document = {"replayed": replayed, "check": error.check, "problem": clean(error.message)}

    def show(console: Console) -> None:
        console.print(Text.assemble(_TITLES[answer], f"  failed check: {error.check}"))
        console.print(Text(f"  {clean(error.message)}"))

    settings.give("audit-replay", document, show)
    return answer


_TITLES = {
    Answer.YES: ("REPLAYED", "bold green"),
    Answer.NO: ("NOT REPLAYED", "bold red"),
    Answer.UNKNOWN: ("COULD NOT TELL", "bold yellow"),
}


def _show(
    console: Console, case: Case, found: Sequence[Replayed], limits: Sequence[str], answer: Answer
) -> None:
    count = sum(each.is_rebuilt and each.refusal is None for each in found)
    console.print(Text.assemble(_TITLES[answer], f"  {count} of {len(found)} attestations, byte by byte"))
    first = _first_of(found)
    rows = [(_held(each), _row(each, case)) for each in first]
    shown.marked_table(console, ("", "decision", "op", "tier", "block", "member", "says", "result"), rows)
    for each in first:
        if each.refusal is not None:
            who = case.name_of(each.stated.author)
            # SECURITY: a trace may hold anything, also what moves the cursor.
            problem = clean(each.refusal.problem)
            console.print(Text(f"  {clean(who)}: {each.refusal.check}: {problem}", style="red"))
    if len(first) < len(found):
        console.print(Text(f"  … and {len(found) - len(first):,} more attestations; --json has all of them"))
    for problem in case.problems:
        console.print(Text(f"  {clean(problem)}", style="yellow"))
    console.print(Text("Not derived again", style="bold"))
    # The last are the same for every source: what a long log adds to them comes before.
    left_out = max(0, len(limits) - _MOST_LIMITS)
    if left_out:
        console.print(Text(f"  · {left_out:,} things that are told with --json"))
    for limit in limits[left_out:]:
        console.print(Text(f"  · {limit}"))


def _first_of(found: Sequence[Replayed]) -> Sequence[Replayed]:
    """Give what people are shown: of many those first that do not follow, then those not derived."""
    if len(found) <= _MOST_ROWS:
        return found
    return sorted(found, key=lambda each: (each.refusal is None, each.is_rebuilt))[:_MOST_ROWS]


def _held(each: Replayed) -> bool | None:
    return None if not each.is_rebuilt else each.refusal is None


def _row(each: Replayed, case: Case) -> list[object]:
    said = each.stated.attestation
    decision, result = said.decision, _result(each)
    subject = decision.subject + (f", rung {decision.rung}" if decision.rung else "")
    told = "none" if result is None else str(result).lower()
    words = (decision.op.name.lower(), decision.tier.name.lower(), decision.anchor.number)
    return [subject, *words, case.name_of(each.stated.author), each.stated.word, told]
