"""How a visit to logs is shown: as JSON, as a table with its alarms, as one line."""

from __future__ import annotations

from rich.console import Console
from rich.text import Text

from proofs.note import format_verifier_key
from relay.audit.follow import HISTORY, UNTOLD, Alarmed, LogLook, Look
from relay.cli import shown
from relay.cli.audit_policy import ANSWER_WORDS, PinnedPolicy, age, moment, pin_words
from relay.cli.settings import Answer

__all__ = ["answer_of", "look_document", "look_line", "show_look"]

_TITLES = {
    Answer.YES: ("ALL HOLDS", "bold green"),
    Answer.NO: ("ALARM", "bold red"),
    Answer.UNKNOWN: ("COULD NOT TELL", "bold yellow"),
}
_COLUMNS = ("", "log", "size", "since last visit", "cosigned", "witnesses", "from")


def answer_of(found: Look) -> Answer:
    """Give the exit code of one visit."""
    return {True: Answer.YES, False: Answer.NO, None: Answer.UNKNOWN}[found.answer]


def look_document(found: Look, policy: PinnedPolicy) -> dict[str, object]:
    """Give one visit as `tocsin/audit-follow/1`."""
    return {
        "answer": ANSWER_WORDS[answer_of(found)],
        "at_s": found.at_s,
        "policy_hash": policy.hash.hex(),
        "policy_pinned": policy.is_pinned,
        "alarms": [_alarm_document(each) for each in found.alarms],
        "logs": [_log_document(each) for each in found.logs],
    }


def show_look(console: Console, found: Look, policy: PinnedPolicy) -> None:
    """Print one visit for people."""
    answer = answer_of(found)
    told = sum(log.holds for log in found.logs)
    head = f"  {told} of {len(found.logs)} logs hold, {moment(found.at_s)}"
    console.print(Text.assemble(_TITLES[answer], head))
    rows = [(_mark(log), _row(log, found.at_s)) for log in found.logs]
    if rows:
        shown.marked_table(console, _COLUMNS, rows)
    for each in found.alarms:
        style = "yellow" if each.alarm in UNTOLD else "red"
        where = " by ".join(name for name in (each.log, each.source) if name)
        console.print(Text.assemble((f"  {each.alarm.value}", f"bold {style}"), f"  {where}: {each.problem}"))
        for path in each.evidence:
            console.print(Text(f"    kept: {path}", style="dim"))
        if not each.evidence and each.alarm in HISTORY:
            console.print(Text("    what is remembered of it stays as it was", style="dim"))
    console.print(pin_words(policy))


def look_line(found: Look) -> Text:
    """Give one visit in one line."""
    answer = answer_of(found)
    grown = [f"{log.name} +{log.grown:,}" for log in found.logs if log.grown]
    alarms = dict.fromkeys(f"{each.alarm.value} {each.log or each.source}" for each in found.alarms)
    what = ", ".join(grown) or "nothing new"
    told = f"; {', '.join(alarms)}" if alarms else ""
    return Text.assemble((moment(found.at_s), "dim"), "  ", _TITLES[answer], f"  {what}{told}")


def _mark(log: LogLook) -> bool | None:
    if any(each.alarm not in UNTOLD for each in log.alarms):
        return False
    return True if log.holds else None


def _row(log: LogLook, now_s: int) -> list[object]:
    if log.signed is None:
        return [log.name, "–", "not seen now" if log.before is None else f"was {log.before:,}", "–", "–", "–"]
    when = "" if log.seen_at_s is None else f" ({age(now_s - log.seen_at_s)})"
    if log.before is None:
        since = "the first visit"
    elif log.grown is None:
        since = f"was {log.before:,}{when}"
    else:
        since = f"+{log.grown:,}{when}"
    count = len(log.signed.cosigned)
    witnesses = f"{count} of {count + len(log.missing)}" + (
        f", not {', '.join(log.missing)}" if log.missing else ""
    )
    cosigned = "none" if log.cosigned_at_s is None else age(now_s - log.cosigned_at_s)
    return [log.name, f"{log.signed.checkpoint.size:,}", since, cosigned, witnesses, ", ".join(log.sources)]


def _log_document(log: LogLook) -> dict[str, object]:
    checkpoint = None if log.signed is None else log.signed.checkpoint
    return {
        "log": log.name,
        "vkey": format_verifier_key(log.key),
        "holds": log.holds,
        "size": None if checkpoint is None else checkpoint.size,
        "root": None if checkpoint is None else checkpoint.root.hex(),
        "before": log.before,
        "seen_at_s": log.seen_at_s,
        "grown": log.grown,
        "cosigned": list(log.cosigned),
        "cosigned_at_s": log.cosigned_at_s,
        "missing": list(log.missing),
        "sources": list(log.sources),
    }


def _alarm_document(each: Alarmed) -> dict[str, object]:
    return {
        "alarm": each.alarm.value,
        "log": each.log,
        "source": each.source,
        "problem": each.problem,
        "evidence": [str(path) for path in each.evidence],
    }
