"""`tocsin committee`."""

from __future__ import annotations

from collections.abc import Mapping
from datetime import UTC, datetime
from pathlib import Path

import click
from nacl.signing import SigningKey
from rich.console import Console

from proofs.committee import CommitteeDocument, SignedCommittee, committee_signing_bytes
from proofs.committee import verify_committee_signatures as verify_signatures
from proofs.errors import ProofError
from proofs.kinds import Identity
from relay.cli import shown
from relay.cli.commands import Command, Lazy, LazyGroup
from relay.cli.node_files import passphrase_of, this_directory, this_node
from relay.cli.settings import Answer, Settings
from relay.config import dump_signatures, load_committee, load_signatures, signatures_file
from relay.core.committee_check import committee_refusals
from relay.core.errors import ConfigError
from relay.disk import replace_file
from relay.keys import open_identity

_SHOW_EPILOG = """\b
Examples:
  tocsin committee show                       the newest in this node's directory
  tocsin committee show epoch-0002.toml
"""
_CHECK_EPILOG = """\b
Example:
  tocsin committee check epoch-0001.toml

Checks sizes, keys, who has power over how many members, and the signatures beside the file. Exit
code 0 only if the document is fit and in force.
"""
_SIGN_EPILOG = """\b
Example:
  tocsin committee sign epoch-0001.toml

Adds this node's signature to the .sigs file beside the document. What is signed is the canonical form,
whose hash is shown first. An unfit committee is not signed (exit code 4).
"""
_file = click.argument("file", required=False, type=click.Path(exists=True, dir_okay=False, path_type=Path))


@click.command(cls=Command, epilog=_SHOW_EPILOG)
@_file
@click.pass_obj
def show(settings: Settings, file: Path | None) -> Answer:
    """Show a committee document: members, sizes, thresholds."""
    document = load_committee(_chosen(settings, file))

    def show_it(console: Console) -> None:
        outline = committee_outline(document)
        shown.facts(console, outline)
        console.print()
        columns = ("name", "operator", "identity", "attester", "address")
        rows = [
            (
                item.name,
                item.operator,
                item.identity.hex(),
                f"0x{item.attester.hex()}",
                ", ".join(item.addresses),
            )
            for item in document.members
        ]
        shown.table(console, columns, rows)

    members = [member_document(document, index) for index in range(len(document.members))]
    settings.give("committee", {**committee_outline(document), "member_list": members}, show_it)
    return Answer.YES


@click.command(cls=Command, epilog=_CHECK_EPILOG)
@_file
@click.pass_obj
def check(settings: Settings, file: Path | None) -> Answer:
    """Check that a committee is fit, and that its document is in force."""
    path = _chosen(settings, file)
    document = load_committee(path)
    found: list[tuple[bool, str, str, str]] = [(True, "document", document.network.hex(), "")]
    for refusal in committee_refusals(document):
        said = f"{refusal}{' (demonstration: only a warning)' if document.demo else ''}"
        found.append(
            (document.demo, refusal.kind.value, said, "seat other operators or declare more providers")
        )
    found.append(_in_force(path, document))
    held = all(check[0] for check in found)
    checks = [dict(zip(("held", "name", "detail", "remedy"), check, strict=True)) for check in found]
    settings.give(
        "committee-check", {"fit": held, "checks": checks}, lambda console: shown.checks(console, found)
    )
    return Answer.YES if held else Answer.NO


@click.command(cls=Command, epilog=_SIGN_EPILOG)
@_file
@click.pass_obj
def sign(settings: Settings, file: Path | None) -> Answer:
    """Sign a committee document with this node's identity key."""
    path = _chosen(settings, file)
    document = load_committee(path)
    refusals = committee_refusals(document)
    if refusals and not document.demo:
        return _not_signed(settings, "; ".join(map(str, refusals)))
    settings.say(
        f"signing {document.name}, epoch {document.committee_epoch}: network {document.network.hex()}"
    )
    if not settings.confirm("Put this committee in force, as far as this node is concerned?"):
        return _not_signed(settings, "not confirmed (give --yes where nobody can be asked)")
    config = this_node(settings)
    key = SigningKey(open_identity(config.directory.keys, passphrase_of(config.passphrase)).reveal())
    identity = Identity(bytes(key.verify_key))
    signers = _signers(path, document)
    if signers.member(identity) is None:
        problem = (
            f"expected a member of epoch {signers.committee_epoch}, got this node's key {identity.hex()}"
        )
        raise ConfigError(str(path), problem)
    signatures = _signatures(path, document)
    signatures[identity] = key.sign(committee_signing_bytes(document.raw)).signature
    target = signatures_file(path)
    replace_file(target, dump_signatures(document, signatures).encode())
    needed = _needed(document, signers)
    answer = {
        "file": str(target),
        "identity": identity.hex(),
        "signatures": len(signatures),
        "needed": needed,
    }
    said = f"signed: {len(signatures)} of {needed} signatures in {target}"
    settings.give("committee-signature", answer, lambda console: console.print(said, markup=False))
    return Answer.YES


def committee_outline(document: CommitteeDocument) -> dict[str, object]:
    """Give the document's head and its sizes as JSON holds them."""
    return {
        "name": document.name,
        "network": document.network.hex(),
        "committee_epoch": document.committee_epoch,
        "key_epoch": document.key_epoch,
        "activates_at": datetime.fromtimestamp(min(document.activates_at, 1 << 37), tz=UTC).isoformat(),
        "demo": document.demo,
        "members": len(document.members),
        "malicious_at_most": document.f,
        "fast": document.fast,
        "full": document.full,
    }


def member_document(document: CommitteeDocument, index: int) -> Mapping[str, object]:
    """Give one member as JSON holds it."""
    member = document.members[index]
    return {
        "name": member.name,
        "operator": member.operator,
        "identity": member.identity.hex(),
        "attester": f"0x{member.attester.hex()}",
        "log": member.log.hex(),
        "cosigner": member.cosigner.hex(),
        "addresses": list(member.addresses),
        "providers": {chain: list(names) for chain, names in member.providers.items()},
    }


def _chosen(settings: Settings, file: Path | None) -> Path:
    if file is not None:
        return file
    directory = this_directory(settings).committee
    files = sorted(directory.glob("epoch-[0-9][0-9][0-9][0-9].toml"))
    if not files:
        raise ConfigError(str(directory), "expected a committee document, got none", remedy="give a FILE")
    return files[-1]


def _signers(path: Path, document: CommitteeDocument) -> CommitteeDocument:
    """Who may sign: the genesis members themselves, later those of the epoch before, found beside it."""
    if document.committee_epoch == 1:
        return document
    return load_committee(path.with_name(f"epoch-{document.committee_epoch - 1:04d}.toml"))


def _needed(document: CommitteeDocument, signers: CommitteeDocument) -> int:
    return len(document.members) if document.committee_epoch == 1 else signers.full


def _signatures(path: Path, document: CommitteeDocument) -> dict[Identity, bytes]:
    file = signatures_file(path)
    return load_signatures(file, document) if file.exists() else {}


def _in_force(path: Path, document: CommitteeDocument) -> tuple[bool, str, str, str]:
    signers = _signers(path, document)
    signatures = _signatures(path, document)
    previous = None if document.committee_epoch == 1 else signers
    try:
        verify_signatures(SignedCommittee(document, signatures), previous)
    except ProofError as error:
        return False, "signatures", str(error), "tocsin committee sign, by the members that have not yet"
    return True, "signatures", f"{len(signatures)} of {_needed(document, signers)} needed", ""


def _not_signed(settings: Settings, reason: str) -> Answer:
    said = f"not signed: {reason}"
    document = {"signed": False, "reason": reason}
    settings.give("committee-signature", document, lambda console: console.print(said, markup=False))
    return Answer.REFUSED


committee = LazyGroup(
    "committee",
    {
        "show": Lazy("relay.cli.committee:show", "Show members, sizes, thresholds."),
        "check": Lazy("relay.cli.committee:check", "Check fitness and signatures."),
        "sign": Lazy("relay.cli.committee:sign", "Sign with this node's identity key."),
    },
    help="Committee documents: who the members are.",
)

__all__ = ["check", "committee", "committee_outline", "member_document", "show", "sign"]
