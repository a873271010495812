"""`tocsin gateway deploy`."""

from __future__ import annotations

import asyncio
from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path

import click
from rich.console import Console

from proofs.committee import CommitteeDocument
from relay.cli import shown
from relay.cli.commands import Command
from relay.cli.gateway_keys import committee_keys, keys_option, shown_groups
from relay.cli.gateway_options import FILE, out_options, rpc_option, send_options, span_option
from relay.cli.gateway_reading import needed_settings, office_for, settings_for
from relay.cli.gateway_sending import Account, NotSent, Wish, check_allowed, open_account, send_calls
from relay.cli.gateway_words import budget_words, span
from relay.cli.node_files import this_directory
from relay.cli.plan import read_plan
from relay.cli.settings import Answer, Settings
from relay.config import load_committee, load_committee_chain
from relay.config.addresses import CAIP2
from relay.core.errors import ConfigError
from relay.core.gateway_report import BudgetReport
from relay.core.office import (
    About,
    ByAccount,
    ByFactory,
    CallForm,
    Creation,
    Deployment,
    GatewayOffice,
    GatewayTerms,
    VerifierTerms,
)
from relay.core.plan import Budget
from relay.core.ports import ChainSettings
from relay.core.rotations import GroupKeys
from relay.core.types import Caip2
from relay.disk import replace_file

_EPILOG = """\b
Examples:
  tocsin gateway deploy --chain eip155:1 --committee epoch-0001.toml --owner 0x… --guardian 0x… \\
    --create2 0x4e59b44847b379578588920cA78FbF26c0B4956C --out safe --file deploy.json
  tocsin gateway deploy --chain eip155:31337 --rpc http://127.0.0.1:8545 --committee epoch-0001.toml \\
    --owner 0x… --guardian 0x… --send --key-env OWNER_KEY --yes

\b
Who creates:
  --create2 FACTORY     an ordinary call of a factory that takes salt and creation code: fits every --out
  --from ADDRESS        this account, with its next transactions: --out calldata only
  --send                the account of the key

Budget and window come from --plan where it is given. The committee's group keys go along once each has signed
for itself; a verifier without them takes lists of signatures alone.

Exit code 0 when it could be told, 4 when sending was refused.
"""
DEFAULT_BUDGET = Budget(30 * 86_400, 86_400, 3, 21 * 86_400)
SALT_BYTES = 32


@dataclass(frozen=True, slots=True)
class Builder:
    """Who creates the contracts, as the options say."""

    create2: str | None
    salt: str
    account: str | None
    nonce: int | None


@click.command(cls=Command, epilog=_EPILOG)
@click.option("--chain", required=True, metavar="CHAIN", help="As eip155:1.")
@click.option("--owner", required=True, metavar="ADDRESS", help="The protocol's governance.")
@click.option("--guardian", required=True, metavar="ADDRESS", help="A quick role of the same protocol.")
@click.option("--committee", type=FILE, help="The committee document; this node's newest if not given.")
@keys_option
@click.option("--without-group-keys", is_flag=True, help="Let the verifier take lists of signatures alone.")
@click.option("--verifier", metavar="ADDRESS", help="Use this verifier instead of creating one.")
@click.option("--plan", type=FILE, help="Take budget and window from this plan.")
@span_option("--skew", "60s", "How far clocks may differ.")
@span_option("--notice", "2d", "Before more power works.")
@span_option("--rotation-delay", "1d", "Before new keys work.")
@span_option("--overlap", "6h", "How long old keys work on.")
@click.option("--create2", metavar="FACTORY", help="Create through this factory.")
@click.option("--salt", default="00" * SALT_BYTES, help="32 bytes in hex, for --create2.")
@click.option("--from", "account", metavar="ADDRESS", help="Create from this account.")
@click.option("--nonce", type=click.IntRange(min=0), help="Its next transaction's number; read if not given.")
@out_options
@rpc_option
@send_options
@click.pass_obj
def deploy(
    settings: Settings,
    chain: str,
    owner: str,
    guardian: str,
    committee: Path | None,
    keys: Path | None,
    without_group_keys: bool,
    verifier: str | None,
    plan: Path | None,
    skew: int,
    notice: int,
    rotation_delay: int,
    overlap: int,
    create2: str | None,
    salt: str,
    account: str | None,
    nonce: int | None,
    out: str | None,
    file: Path | None,
    rpc: tuple[str, ...],
    send: bool,
    key_file: Path | None,
    key_env: str | None,
    i_know: bool,
) -> Answer:
    """Create a verifier and a gateway: calldata, their addresses to be, and what is fixed for ever."""
    if CAIP2.fullmatch(chain) is None:
        raise ConfigError("--chain", f"expected a CAIP-2 name as eip155:1, got {chain!r}")
    name = Caip2(chain)
    office, document = office_for(name), _committee(settings, committee)
    groups = None if without_group_keys else _groups(settings, keys, document, verifier)
    wish = Wish(send, key_file, key_env, i_know)
    budget = DEFAULT_BUDGET if plan is None else read_plan(plan).budget
    try:
        signer = _signer(settings, office, name, rpc, wish)
    except NotSent as refusal:
        return settings.fail(str(refusal), "", Answer.REFUSED)
    sender = account if signer is None else office.address("0x" + signer.submitter.hex())
    builder = Builder(create2, salt, sender, nonce)
    wanted = Deployment(
        chain=name,
        verifier=verifier or VerifierTerms(document, rotation_delay, overlap, groups),
        gateway=GatewayTerms(
            owner=office.address(owner),
            guardian=office.address(guardian),
            network=document.network,
            skew_s=skew,
            weakening_delay_s=notice,
            window_s=budget.window_s,
            budget=BudgetReport(budget.fast_time_s, budget.frozen_time_s, budget.fast_records),
        ),
        by=_by(office, name, builder, settings_for(settings, name, rpc)),
    )
    made = office.creations(wanted)
    if signer is not None:
        return _send(settings, office, needed_settings(settings, name, rpc), signer, wanted, made)
    _give(settings, office, wanted, made, None if out is None else CallForm(out), file)
    return Answer.YES


def _committee(settings: Settings, file: Path | None) -> CommitteeDocument:
    if file is not None:
        return load_committee(file)
    return load_committee_chain(this_directory(settings).committee)[-1].document


def _groups(
    settings: Settings, file: Path | None, document: CommitteeDocument, verifier: str | None
) -> GroupKeys | None:
    """The group keys of a verifier that is to be created; one that stands has its own."""
    if verifier is not None:
        return None
    found = committee_keys(settings, file, document)
    return None if found is None else shown_groups(found)


def _signer(
    settings: Settings, office: GatewayOffice, chain: Caip2, rpc: Sequence[str], wish: Wish
) -> Account | None:
    if not wish.send:
        return None
    check_allowed(settings, office, needed_settings(settings, chain, rpc), wish)
    return open_account(wish)


def _by(
    office: GatewayOffice, chain: Caip2, builder: Builder, settings: ChainSettings | None
) -> ByFactory | ByAccount:
    if builder.create2 is not None:
        try:
            salt = bytes.fromhex(builder.salt.removeprefix("0x"))
        except ValueError:
            raise ConfigError("--salt", f"expected {SALT_BYTES} bytes in hex, got other text") from None
        return ByFactory(builder.create2, salt)
    if builder.account is None:
        remedy = "the gateway's constructor asks the verifier: its address must be known"
        raise ConfigError("deploy", "expected --create2, --from or --send, got none", remedy=remedy)
    account = office.address(builder.account)
    if builder.nonce is not None:
        return ByAccount(account, builder.nonce)
    if settings is None:
        raise ConfigError("--nonce", f"expected it, or --rpc to read it from {chain}, got neither")
    return ByAccount(account, asyncio.run(office.nonce(settings, account)))


def _send(
    settings: Settings,
    office: GatewayOffice,
    chain: ChainSettings,
    signer: Account,
    wanted: Deployment,
    made: Sequence[Creation],
) -> Answer:
    by = wanted.by
    if isinstance(by, ByAccount) and (found := asyncio.run(office.nonce(chain, by.account))) != by.nonce:
        # The addresses that are told follow from the number.
        raise ConfigError("--nonce", f"expected the account's next, {found}, got {by.nonce}")
    for line in fixed_words(wanted, made):
        settings.say(line)
    try:
        sent = send_calls(settings, office, chain, signer, [each.call for each in made])
    except NotSent as refusal:
        return settings.fail(str(refusal), "", Answer.REFUSED)
    done = len(sent) == len(made) and all(each.succeeded for each in sent)
    document = {**_document(wanted, made), "sent": done}
    shown_text = f"created: {', '.join(f'{each.contract} {each.address}' for each in made)}"
    text = shown_text if done else f"not created: {sent[-1].reason}"
    settings.give("gateway-deployment", document, lambda console: console.print(shown.cell(text)))
    return Answer.YES if done else Answer.NO


def _give(
    settings: Settings,
    office: GatewayOffice,
    wanted: Deployment,
    made: Sequence[Creation],
    form: CallForm | None,
    file: Path | None,
) -> None:
    document: dict[str, object] = _document(wanted, made)
    if form is None and file is not None:
        raise ConfigError("--file", "expected --out beside it, got none")
    if form is not None:
        about = About(
            name=f"Tocsin: gateway on {wanted.chain}",
            description="\n".join(fixed_words(wanted, made)),
            owner=None,
            created_at_ms=0,
        )
        text = office.render([each.call for each in made], form, about)
        if file is None and not settings.json:
            click.echo(text, nl=False)
            return
        document["file"] = text if file is None else str(file)
        if file is not None:
            replace_file(file, text.encode())
    settings.give("gateway-deployment", document, lambda console: _show(console, wanted, made, file))


def _document(wanted: Deployment, made: Sequence[Creation]) -> dict[str, object]:
    return {
        "chain": wanted.chain,
        "fixed": fixed_words(wanted, made),
        "creations": [
            {
                "contract": each.contract,
                "address": each.address,
                "to": each.call.to,
                "data": "0x" + each.call.data.hex(),
            }
            for each in made
        ],
    }


def _show(console: Console, wanted: Deployment, made: Sequence[Creation], file: Path | None) -> None:
    for line in fixed_words(wanted, made):
        console.print(shown.cell(line))
    rows = [
        (each.contract, each.address, f"{len(each.call.data):,} bytes", each.call.to or "–") for each in made
    ]
    console.print()
    shown.table(console, ("contract", "will stand at", "calldata", "sent to"), rows)
    if file is not None:
        console.print(f"written: {shown.cell(file)}")


def fixed_words(wanted: Deployment, made: Sequence[Creation]) -> list[str]:
    """What is fixed for ever, and who can change the rest."""
    gateway = wanted.gateway
    lines = [
        f"gateway {made[-1].address} on {wanted.chain}: owner {gateway.owner}, guardian {gateway.guardian}",
        f"fixed for ever: network {gateway.network.hex()}; clocks may differ by {span(gateway.skew_s)}; more"
        f" power for the network takes {span(gateway.weakening_delay_s)} of notice; budget window"
        f" {span(gateway.window_s)}; its code, which nobody can upgrade",
        f"the owner can change, more of it with notice: {budget_words(gateway.budget, gateway.window_s)}",
        "nothing can be done through it before the owner registers acts and sets a plan; the owner can leave"
        " in one transaction, and cannot renounce",
    ]
    if isinstance(wanted.verifier, str):
        return [*lines, f"it trusts the verifier {wanted.verifier}; the owner can repoint it at any time"]
    terms = wanted.verifier
    committee = terms.committee
    return [
        f"verifier {made[0].address}: certificates of {committee.name}, key epoch {committee.key_epoch}, by"
        f" {committee.fast} (fast) or {committee.full} (full) of {len(committee.members)} attesters"
        + _group_words(terms.groups),
        f"fixed for ever: its network; new keys come by a full quorum of the old alone,"
        f" {span(terms.rotation_delay_s)} ahead, and the old ones are valid for {span(terms.overlap_s)} more;"
        " it has no owner",
        *lines,
    ]


def _group_words(groups: GroupKeys | None) -> str:
    if groups is None:
        return "; no group keys: it takes lists of signatures alone"
    fast, full = (key.hex() for key in groups.keys)
    return f", or one signature by the group key {fast} (fast) or {full} (full)"


__all__ = ["deploy", "fixed_words"]
