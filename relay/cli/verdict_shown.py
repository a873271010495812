"""A verdict on a terminal: what it rests on, what was decided and done, and what it does not prove."""

from __future__ import annotations

from collections.abc import Iterable, Mapping, Sequence
from datetime import UTC, datetime

from rich.console import Console
from rich.table import Table
from rich.text import Text

from proofs.decision import BlockRef
from proofs.verdict import (
    ActVerdict,
    DecisionVerdict,
    DisclosedField,
    MemberStatement,
    SeenOutcome,
    SignedByGroup,
    SignedByMembers,
    Verdict,
)

__all__ = ["show_verdict"]

_LAST_SHOWN_SECOND = 253_402_300_799
_UNITS = (("d", 86_400), ("h", 3_600), ("min", 60), ("s", 1))


def show_verdict(console: Console, verdict: Verdict) -> None:
    """Print a verdict; nothing of a bundle is read as markup."""
    counts = f"{_count(len(verdict.decisions), 'decision')}, {_count(verdict.records, 'record')}"
    told = f"  {counts}, {len(verdict.checks)} checks, offline"
    console.print(Text.assemble(("VERIFIED", "bold green"), told))
    loose = _loose(verdict)
    if loose:
        console.print(_wrapped([Text(loose, style="yellow")], mark=""))
    console.print()
    console.print(_anchors(verdict))
    for decision in verdict.decisions:
        console.print()
        console.print(_decision(decision, verdict.network_name))
    if verdict.disclosed:
        console.print()
        console.print(_disclosed(verdict.disclosed))
    console.print()
    console.print(Text("Not proved by this bundle", style="bold"))
    console.print(_wrapped([Text(limit) for limit in verdict.not_proved], mark="·"))


def _loose(verdict: Verdict) -> str:
    """Say which of the things that it rests on the reader has not named."""
    pinned = {
        "--policy-hash": verdict.policy_pinned,
        "--network": verdict.network_pinned,
        "--plan-hash": verdict.plans_pinned,
    }
    options = [option for option, is_pinned in pinned.items() if not is_pinned]
    if not options:
        return ""
    return (
        "It holds together. Compare what is not pinned below with what you know: else it could be of anybody"
        f" (pin it with {', '.join(options)})"
    )


def _wrapped(lines: Sequence[Text], *, mark: str) -> Table:
    """Give lines that are wrapped under themselves, each after a mark."""
    table = Table.grid(padding=(0, 1))
    for line in lines:
        table.add_row(f" {mark}" if mark else "", line)
    return table


def _anchors(verdict: Verdict) -> Table:
    table = _table("This rests on")
    if verdict.policy_hash is None:
        policy = Text("policy not pinned: none given", style="yellow")
    elif verdict.policy_pinned:
        policy = Text(f"pinned\n{verdict.policy_hash.hex()}", style="green")
    else:
        policy = Text(f"policy not pinned; its hash is\n{verdict.policy_hash.hex()}", style="yellow")
    table.add_row("policy", policy)
    network = f"{verdict.network_name}\n{verdict.network.hex()}"
    table.add_row("network", _pin("network", network, is_pinned=verdict.network_pinned))
    for epoch in verdict.epochs:
        members = f"{epoch.members} members, {epoch.f} of them may be malicious"
        text = Text(f"{members}, key epoch {epoch.key_epoch}\n{epoch.digest.hex()}")
        if epoch.demo:
            text.append("\ndemonstration only", style="yellow")
        table.add_row(f"epoch {epoch.committee_epoch}", text)
    for keys in verdict.keys:
        of = f"of key epoch {keys.key_epoch}, generation {keys.generation}, signed by {_names(keys.holders)}"
        table.add_row("keys", Text(f"{of}\n{keys.digest.hex()}\nof the ceremony\n{keys.ceremony.hex()}"))
    for plan in verdict.plans:
        table.add_row("plan", _pin("plan", plan.hex(), is_pinned=verdict.plans_pinned))
    table.add_row("log", _log(verdict))
    return table


def _log(verdict: Verdict) -> Text:
    log = verdict.log
    text = Text(f"{log.vkey}\nkept by {log.member or 'no member'}; size {log.newest.size}, root\n")
    text.append(f"{log.newest.root.hex()}\n")
    witnesses = [_witness(name, verdict.network_name) for name in log.witnesses]
    missing = [_witness(name, verdict.network_name) for name in log.missing]
    known = len(witnesses) + len(missing)
    if not known:
        text.append("no witnesses are known", style="yellow")
        return text
    text.append(f"cosigned by {len(witnesses)} of {known} witnesses: {_names(witnesses)}")
    if missing:
        text.append(f"; not by {_names(missing)}")
    if log.quorum is None:
        text.append("\nno quorum of witnesses was asked for", style="yellow")
    else:
        text.append(f"\nquorum of the policy: {log.quorum}", style="green")
    return text


def _witness(name: str, network: str) -> str:
    """Give a witness's name, a member's without the network that all have."""
    return name.removeprefix(f"{network}/").removesuffix("/cosigner")


def _pin(what: str, value: str, *, is_pinned: bool) -> Text:
    if is_pinned:
        return Text(f"pinned\n{value}", style="green")
    return Text(f"{what} not pinned\n{value}", style="yellow")


def _decision(verdict: DecisionVerdict, network: str) -> Table:
    decision = verdict.decision
    name, tier = decision.op.name.lower(), decision.tier.name.lower()
    rung = f", rung {decision.rung}" if decision.rung else ""
    table = _table(f"{name} {decision.subject}{rung}, {tier}")
    table.add_row("decision", Text(verdict.decision_id.hex()))
    if verdict.reporters:
        keys = "\n".join(reporter.hex() for reporter in verdict.reporters)
        table.add_row("reported by", Text(keys, style="green"))
    elif decision.parent is not None:
        table.add_row("follows", Text(decision.parent.hex()))
    table.add_row("plan", Text(decision.plan_hash.hex()))
    table.add_row("anchor", Text(_place(decision.anchor)))
    table.add_row("mandate", Text(f"until {_time(verdict.not_after)}\n{verdict.digest.hex()}"))
    table.add_row("certificate", _certificate(verdict.certificate))
    behind = f"{_names(verdict.certified_by)} ({verdict.threshold} needed)"
    table.add_row("behind it", Text(f"{behind}, by attestations in the log", style="green"))
    table.add_row("attested", Text(_names(verdict.attested)))
    table.add_row("dissented", Text(_names(verdict.dissented), style="red" if verdict.dissented else ""))
    table.add_row("abstained", Text(_names(verdict.abstained)))
    if verdict.astray:
        table.add_row("astray", Text(f"{_names(verdict.astray)} attested to another mandate", style="red"))
    table.add_row("not heard", Text(_names(verdict.silent)))
    seen = verdict.witnessed
    if seen is not None:
        clock = f"by the clock of {_witness(seen.by, network)}; log size {seen.size}"
        table.add_row("witnessed", Text(f"{_time(seen.at_s)} at the latest, {clock}"))
    for act in verdict.acts:
        table.add_row(Text(act.name, style="bold"), _act(act))
    for number, statement in enumerate(verdict.statements):
        table.add_row("said" if number == 0 else "", _statement(statement))
    return table


def _certificate(certificate: SignedByMembers | SignedByGroup) -> Text:
    if isinstance(certificate, SignedByMembers):
        return Text(f"ECDSA, a list of {len(certificate.signers)} signatures", style="green")
    keys = certificate.keys
    text = Text(f"FROST, one signature by the group key {certificate.group}", style="green")
    text.append(f" of key epoch {keys.key_epoch}\n{certificate.key.hex()}", style="default")
    return text


def _act(act: ActVerdict) -> Text:
    text = Text(f"on {act.chain} for {_span(act.duration_s)}")
    if not act.outcomes:
        text.append("\nno member signed to have seen an effect", style="yellow")
    for outcome in act.outcomes:
        text.append("\n")
        text.append(_outcome(outcome))
    return text


def _outcome(outcome: SeenOutcome) -> Text:
    until = f"until {_time(outcome.until)}, " if outcome.until else ""
    text = Text(f"{outcome.effect} in {_place(outcome.block)}\n")
    text.append(f"{until}gas {outcome.gas_used}, by transaction\n{outcome.tx.hex()}\n")
    receipt = outcome.receipt
    if receipt is None:
        text.append("receipt not shown", style="yellow")
    else:
        text.append(
            f"receipt proved: transaction {receipt.tx_index} of the block, log {receipt.log}\n", "green"
        )
        text.append(receipt.source, style="dim")
    text.append(f"\n{outcome.finality.source}", style="green" if outcome.finality.is_agreed else "yellow")
    text.append(f"\n{outcome.source}", style="dim")
    return text


def _statement(statement: MemberStatement) -> Text:
    """Say who said what when: evidence in red, which anybody can check; the rest is a member's word."""
    style = "red" if statement.kind == "equivocation" else "default"
    text = Text(f"{statement.said_by}: {statement.words}", style=style)
    text.append(f"\n{statement.kind}, {_time(statement.at_ms // 1_000)} by its own clock", style="dim")
    return text


def _disclosed(fields: Iterable[DisclosedField]) -> Table:
    table = _table("Disclosed: sealed when it was said, shown now")
    for each in fields:
        text = Text(_value(each.value))
        text.append(
            f"\nsealed in the {each.kind} of {each.said_by}, record\n{each.record.hex()}", style="dim"
        )
        table.add_row(Text(each.field), text)
    return table


def _value(value: object) -> str:
    if isinstance(value, bytes):
        return value.hex()
    if isinstance(value, Mapping):
        return ", ".join(f"{key}: {_value(item)}" for key, item in value.items())
    # What was typed may hold control characters: a terminal must not obey them.
    return "".join(each if each.isprintable() or each == "\n" else "�" for each in str(value))


def _table(title: str) -> Table:
    """Give a table of names and values, in which nothing of a bundle is read as markup."""
    table = Table(title=Text(title), title_justify="left", title_style="bold", show_header=False, box=None)
    table.add_column(style="dim", no_wrap=True)
    table.add_column(overflow="fold")
    return table


def _place(block: BlockRef) -> str:
    return f"{block.chain} block {block.number}, {_time(block.timestamp)} by its own word\n{block.hash.hex()}"


def _time(seconds: int) -> str:
    if seconds > _LAST_SHOWN_SECOND:
        return f"{seconds} s"
    return datetime.fromtimestamp(seconds, tz=UTC).strftime("%Y-%m-%d %H:%M:%S UTC")


def _span(seconds: int) -> str:
    parts: list[str] = []
    rest = seconds
    for name, size in _UNITS:
        number, rest = divmod(rest, size)
        if number:
            parts.append(f"{number} {name}")
    return " ".join(parts) or "0 s"


def _count(number: int, what: str) -> str:
    return f"{number} {what}{'' if number == 1 else 's'}"


def _names(names: Sequence[str]) -> str:
    return ", ".join(sorted(names)) or "nobody"
