"""`tocsin audit verify`: verify a bundle offline; needs nothing but the base install."""

from __future__ import annotations

from collections.abc import Sequence
from datetime import UTC, datetime
from pathlib import Path

import click
from rich.console import Console
from rich.table import Table
from rich.text import Text

from proofs.bundle import MAX_BUNDLE_BYTES
from proofs.decision import BlockRef
from proofs.errors import ProofError
from proofs.policy import MAX_POLICY_BYTES, PolicyError, parse_policy
from proofs.verdict import (
    ActVerdict,
    DecisionVerdict,
    SeenOutcome,
    SignedByGroup,
    SignedByMembers,
    Verdict,
)
from proofs.verdictvalue import VERDICT_SCHEMA, verdict_value
from proofs.verify import verify_bundle
from relay.cli.commands import Command
from relay.cli.settings import Answer, Settings, settings_of

__all__ = ["verify"]

_HASH_BYTES = 32
_LAST_SHOWN_SECOND = 253_402_300_799
_FILE = click.Path(exists=True, dir_okay=False, readable=True, path_type=Path)


def _hash(_context: click.Context, _parameter: click.Parameter, value: str | None) -> bytes | None:
    return None if value is None else _digest(value)


def _hashes(_context: click.Context, _parameter: click.Parameter, values: Sequence[str]) -> tuple[bytes, ...]:
    return tuple(_digest(value) for value in values)


def _digest(value: str) -> bytes:
    try:
        digest = bytes.fromhex(value.removeprefix("0x"))
    except ValueError:
        digest = b""
    if len(digest) != _HASH_BYTES:
        raise click.BadParameter(f"expected {_HASH_BYTES} bytes in hex, got {value!r}")
    return digest


@click.command(cls=Command)
@click.argument("file", type=_FILE)
@click.option("--policy", "policy_file", type=_FILE, help="Whose logs to trust: a C2SP tlog-policy file.")
@click.option("--policy-hash", callback=_hash, help="SHA-256 that the policy file must have.")
@click.option("--network", callback=_hash, help="Network id that the genesis committee must give.")
@click.option(
    "--plan-hash",
    "plan_hashes",
    multiple=True,
    callback=_hashes,
    help="Hash that a plan may have; every plan of the bundle must have one of them. Repeatable.",
)
@click.pass_context
def verify(
    context: click.Context,
    file: Path,
    policy_file: Path | None,
    policy_hash: bytes | None,
    network: bytes | None,
    plan_hashes: Sequence[bytes],
) -> int:
    """Verify a bundle: every signature, hash and log proof in it, without asking any server.

    Exit codes: 0 everything holds, 1 something does not and the failed check is named, 2 usage or policy
    file, 3 a file could not be read.
    """
    settings = settings_of(context)
    if policy_hash is not None and policy_file is None:
        raise click.UsageError("--policy-hash: expected --policy FILE with it, got none")
    try:
        data = _read(file, MAX_BUNDLE_BYTES)
        policy = None if policy_file is None else _read(policy_file, MAX_POLICY_BYTES)
    except OSError as error:
        return settings.fail(f"{error.filename}: {error.strerror}", "", Answer.UNKNOWN)
    try:
        if policy is not None:
            parse_policy(policy)
    except PolicyError as error:
        return settings.fail(f"{policy_file}: {error.message}", "", Answer.USAGE)
    try:
        verdict = verify_bundle(
            data, policy=policy, policy_hash=policy_hash, network=network, plan_hashes=plan_hashes
        )
    except ProofError as error:
        return _refuse(settings, error)
    settings.give("verdict", verdict_value(verdict), lambda console: _show(console, verdict))
    return Answer.YES


def _read(path: Path, limit_bytes: int) -> bytes:
    """Read one byte more than is allowed at most: the parser says that it is too much."""
    with path.open("rb") as source:
        return source.read(limit_bytes + 1)


def _refuse(settings: Settings, error: ProofError) -> int:
    document = {"schema": VERDICT_SCHEMA, "verified": False, "check": error.check, "problem": error.message}

    def show(console: Console) -> None:
        console.print(Text.assemble(("NOT VERIFIED", "bold red"), f"  failed check: {error.check}"))
        console.print(Text(f"  {error.message}"))

    settings.give("verdict", document, show)
    return Answer.NO


def _show(console: Console, verdict: Verdict) -> None:
    console.print(Text.assemble(("VERIFIED", "bold green"), f"  {len(verdict.checks)} checks, offline"))
    console.print(_anchors(verdict))
    for decision in verdict.decisions:
        console.print(_decision(decision))
    console.print(Text("Not proved by this bundle", style="bold"))
    for limit in verdict.not_proved:
        console.print(Text(f"  · {limit}"))


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
        table.add_row("keys", Text(f"{of}\n{keys.digest.hex()}\nof the ceremony {keys.ceremony.hex()}"))
    for plan in verdict.plans:
        table.add_row("plan", _pin("plan", plan.hex(), is_pinned=verdict.plans_pinned))
    log = verdict.log
    table.add_row("log", Text(log.vkey))
    table.add_row("", Text(f"kept by {log.member or 'no member'}, size {log.newest.size}"))
    table.add_row("", Text(f"cosigned by {_names(log.witnesses)}"))
    return table


def _pin(what: str, value: str, *, is_pinned: bool) -> Text:
    if is_pinned:
        return Text(f"pinned\n{value}", style="green")
    return Text(f"{what} not pinned\n{value}", style="yellow")


def _decision(verdict: DecisionVerdict) -> Table:
    decision = verdict.decision
    name, tier = decision.op.name.lower(), decision.tier.name.lower()
    table = _table(f"{name} {decision.subject}, rung {decision.rung}, {tier}")
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
    for act in verdict.acts:
        table.add_row(Text(act.name, style="bold"), _act(act))
    return table


def _certificate(certificate: SignedByMembers | SignedByGroup) -> Text:
    if isinstance(certificate, SignedByMembers):
        return Text(f"ECDSA, a list of {len(certificate.signers)} signatures", style="green")
    keys = certificate.keys
    text = Text(f"FROST, one signature by the group key {certificate.group}", style="green")
    text.append(f" of key epoch {keys.key_epoch}\n{certificate.key.hex()}", style="default")
    return text


def _act(act: ActVerdict) -> Text:
    text = Text(f"on {act.chain} for {act.duration_s} s")
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
    text.append(f"\n{outcome.source}", style="dim")
    return text


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


def _names(names: Sequence[str]) -> str:
    return ", ".join(names) or "nobody"
