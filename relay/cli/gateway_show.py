"""A gateway's report for people and as JSON."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import asdict

from rich.console import Console

from relay.cli import shown
from relay.cli.gateway_exposure import Bound, Exposure, exposure
from relay.cli.gateway_keys import key_words
from relay.cli.gateway_reading import PlannedGateway, Reading
from relay.cli.gateway_words import (
    budget_words,
    instant,
    keys_of,
    permit_words,
    span,
    state_words,
    tier_words,
    undo_words,
)
from relay.config import KeptKeys
from relay.core.gateway_report import (
    ActReport,
    BudgetReport,
    CodeReport,
    GatewayReport,
    KeyEpochReport,
    ScheduledReport,
    VerifierReport,
)

NO_PLAN = bytes(32)
TAIL = (
    "Not counted: the time between an act's end and the call of `expire`. Anybody can make that call, and"
    " nodes do so promptly; until somebody does, the target stays as it is."
)
_TONES = {
    "red": ("NOT ", "unknown: ", "unreadable", "every key epoch"),
    "yellow": ("OPEN ", "NEXT ", "none: ", "none in force", "not sealed"),
    "green": ("this version's build",),
}
FOR_EVER = "the gateway does not undo it: no budget bounds how long the effect stays"


def show_report(
    console: Console,
    place: PlannedGateway,
    reading: Reading,
    report: GatewayReport,
    known: Sequence[KeptKeys] = (),
) -> None:
    """Print everything, tables for what repeats; `known` are keys documents in which group keys may stand."""
    block = report.block
    _title(console, f"Gateway {report.gateway} on {block.chain}")
    told = f"{reading.agreeing} of {reading.asked} endpoints say so"
    if reading.dissenting:
        told += f"; otherwise: {', '.join(reading.dissenting)}"
    at = f"block {block.number}, {instant(block.timestamp)}; {told}"
    _show_facts(console, {"read at": at, **_facts(place, report, known)})
    _show_budget(console, report)
    _show_acts(console, place, report)
    _show_exposure(console, place, report)
    if not report.is_all_scheduled:
        since = (
            f"Announcements were looked for from block {report.scheduled_since} on: older ones may be due."
        )
        console.print(f"[yellow]{shown.cell(since)}[/]")
    if report.scheduled:
        _title(console, "Announced changes")
        rows = [
            (instant(each.ready_at), instant(each.lapses_at), scheduled_words(place, report, each))
            for each in report.scheduled
        ]
        shown.table(console, ("can be made from", "until", "what"), rows)
    console.print()


def _show_facts(console: Console, facts: Mapping[str, str], indent: str = "") -> None:
    width = max(map(len, facts))
    for name, value in facts.items():
        console.print(
            f"{indent}[bold]{shown.cell(name).ljust(width)}[/]  [{tone(value)}]{shown.cell(value)}[/]"
        )


def tone(text: str) -> str:
    """The colour of a fact: red for wrong, yellow for lacking or under way, green for ours."""
    for colour, starts in _TONES.items():
        if text.startswith(starts):
            return colour
    return "yellow" if ", paused" in text or text.endswith(" are refused") else "default"


def _title(console: Console, text: str) -> None:
    console.print()
    console.print(f"[bold underline]{shown.cell(text)}[/]")


def _facts(place: PlannedGateway, report: GatewayReport, known: Sequence[KeptKeys]) -> dict[str, str]:
    return {
        "code": code_words(report.code),
        "state": ", ".join(_state(report)),
        "owner": report.owner + (f" (to be {report.pending_owner})" if report.pending_owner else ""),
        "guardian": report.guardian or "none: only the owner can adopt, dismiss, pause or veto",
        "plan": _plan_words(place, report),
        "network": report.network.hex(),
        "verifier": report.verifier_address or "none: no mandate is accepted",
        **_verifier_facts(report.verifier, known),
        "epoch veto": _veto_words(report.refused_from),
        "clock skew": span(report.skew_s),
        "notice": f"{span(report.weakening_delay_s)} for whatever gives the network more power",
    }


def _state(report: GatewayReport) -> list[str]:
    sealed = "sealed" if report.is_sealed else "not sealed: no mandate is accepted, and nothing needs notice"
    paused = "paused: nothing starts or is lengthened" if report.is_paused else "not paused"
    return [sealed, paused]


def _veto_words(refused_from: int | None) -> str:
    if refused_from is None:
        return "none"
    if refused_from == 0:
        return "every key epoch is refused: the network can do nothing here"
    return f"mandates of key epoch {refused_from} and later are refused"


def code_words(code: CodeReport) -> str:
    """What can be said of the code at an address."""
    if not code.is_ours:
        return f"NOT this version's build ({code.size_bytes:,} bytes, keccak 0x{code.digest.hex()[:16]}…)"
    if code.is_rebuilt is None:
        return "this version's build, but for the values fixed at deployment, which could not be checked"
    return "this version's build" if code.is_rebuilt else "NOT this version's build: other fixed values"


def _plan_words(place: PlannedGateway, report: GatewayReport) -> str:
    plans = report.plans
    if plans.current == NO_PLAN and plans.following == NO_PLAN:
        return "none in force: nothing can start"
    if plans.overlap_until == 0:
        return place.plan_name(plans.current)
    until = instant(plans.overlap_until)
    return f"{place.plan_name(plans.current)} until {until}; also now {place.plan_name(plans.following)}"


def _verifier_facts(verifier: VerifierReport | None, known: Sequence[KeptKeys]) -> dict[str, str]:
    if verifier is None:
        return {}
    facts: dict[str, str] = {
        "its code": code_words(verifier.code),
        "its keys": epoch_words(verifier.current),
        "group keys": key_words(verifier.current, known),
        "other keys": _others_words(verifier),
        "rotation": f"{span(verifier.rotation_delay_s)} notice, the epoch before valid for"
        f" {span(verifier.overlap_s)} more",
    }
    if verifier.previous is not None:
        before = verifier.previous
        facts["also valid"] = f"{epoch_words(before)}, until {instant(before.valid_until)}"
        facts["its group keys"] = key_words(before, known)
    if verifier.pending is not None:
        pending = verifier.pending
        facts["rotating"] = f"NEXT {epoch_words(pending)}, from {instant(pending.valid_from)}"
        facts["to group keys"] = key_words(pending, known)
    return facts


def _others_words(verifier: VerifierReport) -> str:
    match verifier.is_complete:
        case None:
            return "unknown: the endpoint does not tell whether others are hidden in its storage"
        case True:
            return "none but those named here"
        case False:
            return "NOT only those named here: others are hidden in its storage"


def epoch_words(keys: KeyEpochReport) -> str:
    """One key epoch: how many sign, and who they are."""
    who = ", ".join(keys.attesters)
    return f"epoch {keys.epoch}: {keys.fast} (fast), {keys.full} (full) of {len(keys.attesters)}: {who}"


def _show_budget(console: Console, report: GatewayReport) -> None:
    _title(console, f"Budget in any {span(report.window_s)}")
    booked = report.booked
    names = ("window before", "this window", "next window")[-len(booked) :] if booked else ()
    told = (report.budget, report.left, *booked)
    rows = [
        ("frozen by fast mandates", *(span(each.fast_s) for each in told)),
        ("frozen in all", *(span(each.all_s) for each in told)),
        ("new records by fast mandates", *(str(each.fast_records) for each in told)),
    ]
    shown.table(console, ("", "at most", "left now", *names), rows)


def _show_acts(console: Console, place: PlannedGateway, report: GatewayReport) -> None:
    _title(console, f"Acts ({len(report.acts)})")
    if not report.acts:
        console.print("none: the network can do nothing here")
    for act in report.acts:
        console.print(
            f"[bold cyan]{shown.cell(place.name_of(act.act_id))}[/]{'' if act.is_on else '  [red]off[/]'}"
        )
        _show_facts(console, act_facts(place, act, keys_of(report)), "  ")


def act_facts(place: PlannedGateway, act: ActReport, keys: KeyEpochReport | None = None) -> dict[str, str]:
    """One act in words; `keys` are those in force."""
    terms = place.terms_of(act)
    permission = f"{tier_words(act.tier, keys)}, at most {span(act.duration_s)} at a time"
    if terms is None:
        unreadable = "its content is unreadable, or not what the gateway's hash says"
        return {"call": unreadable, "allowed to": permission, "record": _record_words(act)}
    return {
        "call": f"{terms.call} on {terms.target}, with {terms.gas:,} gas",
        "allowed to": permission,
        "protected": f"when {state_words(terms)}",
        "now": _now_words(act),
        "undo": undo_words(terms),
        "record": _record_words(act),
        "hash": act.act_hash.hex(),
    }


def _now_words(act: ActReport) -> str:
    if act.state is None:
        return "unknown: the getter fails"
    if act.state.is_ours:
        return f"{act.state.value}: protected, exactly what our call leaves"
    if act.state.is_protected:
        return f"{act.state.value}: protected, by somebody else's doing"
    return f"{act.state.value}: not protected"


def _record_words(act: ActReport) -> str:
    record = act.record
    if record is None:
        return "unreadable"
    if record.is_open:
        return (
            f"OPEN until {instant(record.until)}, since {instant(record.since)}, newest mandate of"
            f" {instant(record.last)}; read before the call: {record.restore}"
        )
    if record.ended_at:
        return f"none open; mandates up to {instant(record.ended_at)} are dead"
    return "none so far"


def _show_exposure(console: Console, place: PlannedGateway, report: GatewayReport) -> None:
    found = exposure(report)
    _title(console, "Longest time that anything could be frozen")
    columns = (
        "by",
        f"in any {span(report.window_s)}",
        f"in any {span(2 * report.window_s)}",
        "without a break",
    )
    rows = [("fast mandates alone", *_bound(found.fast)), ("both tiers", *_bound(found.both))]
    shown.table(console, columns, rows)
    if found.acts:
        acts = [
            (
                place.name_of(each.act.act_id),
                span(each.once_s) if each.is_undone else "for ever",
                _run(each.fast_run_s) if each.is_undone else "for ever",
                _run(each.run_s) if each.is_undone else "for ever",
            )
            for each in found.acts
        ]
        console.print()
        shown.table(console, ("act", "by one mandate", "renewed, fast alone", "renewed, both tiers"), acts)
    for line in exposure_notes(found, report):
        console.print(shown.cell(line), style="dim")


def _bound(bound: Bound) -> tuple[str, str, str]:
    return span(bound.window_s), span(bound.two_windows_s), _run(bound.run_s)


def _run(seconds: int | None) -> str:
    return "no end" if seconds is None else span(seconds)


def exposure_notes(found: Exposure, report: GatewayReport) -> list[str]:
    """What the numbers do not say by themselves."""
    notes = [
        "Seconds are summed over acts: two acts at once use the budget twice as fast. They are booked in"
        " fixed windows, two adjacent ones within the cap: a run across their border is no longer either.",
        TAIL,
    ]
    if any(not each.is_undone for each in found.acts):
        notes.append(f"For ever: {FOR_EVER}.")
    if not report.is_sealed:
        notes.append("Nothing of this yet: the gateway is not sealed and accepts no mandate.")
    return notes


def scheduled_words(place: PlannedGateway, report: GatewayReport, scheduled: ScheduledReport) -> str:
    """An announced change in words."""
    change = scheduled.change
    if change is None:
        return f"a call that this version does not know (0x{scheduled.id.hex()})"
    if isinstance(change, BudgetReport):
        return f"set the budget: {budget_words(change, report.window_s)}"
    act = ActReport(
        change.act_id, change.act_hash, change.terms, change.tier, change.duration_s, False, None, None
    )
    terms, name = place.terms_of(act), place.name_of(change.act_id)
    return (
        f"permit {name}: out of range"
        if terms is None
        else permit_words(name, terms, change.tier, change.duration_s, keys_of(report))
    )


def report_document(place: PlannedGateway, reading: Reading, report: GatewayReport) -> dict[str, object]:
    """The report as JSON holds it: bytes in hex, seconds as numbers."""
    found = exposure(report)
    document = {**_plain_mapping(asdict(report)), "chain": report.block.chain}
    return {
        **document,
        "agreeing": reading.agreeing,
        "asked": reading.asked,
        "dissenting": list(reading.dissenting),
        "acts": [_act_document(place, act) for act in report.acts],
        "longest_frozen": {
            "fast": asdict(found.fast),
            "both": asdict(found.both),
            "acts": {
                place.name_of(each.act.act_id): {
                    "once_s": each.once_s,
                    "fast_run_s": each.fast_run_s,
                    "run_s": each.run_s,
                    "is_undone": each.is_undone,
                }
                for each in found.acts
            },
            "notes": exposure_notes(found, report),
        },
    }


def _act_document(place: PlannedGateway, act: ActReport) -> dict[str, object]:
    document = _plain_mapping(asdict(act))
    terms = place.terms_of(act)
    if terms is not None:
        document["terms"] = _plain_mapping(asdict(terms))
    return {"name": place.name_of(act.act_id), **document}


def _plain_mapping(values: Mapping[str, object]) -> dict[str, object]:
    return {name: _plain(value) for name, value in values.items()}


def _plain(value: object) -> object:
    if isinstance(value, bytes):
        return value.hex()
    if isinstance(value, dict):
        return _plain_mapping(value)
    if isinstance(value, list | tuple):
        return [_plain(each) for each in value]
    # What a 64-bit reader of JSON would round is given as text.
    if isinstance(value, int) and not isinstance(value, bool) and value >= 1 << 53:
        return str(value)
    return value


__all__ = ["act_facts", "code_words", "epoch_words", "exposure_notes", "report_document", "show_report"]
