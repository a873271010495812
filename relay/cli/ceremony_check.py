"""`tocsin ceremony verify` and `blame`: keys files and evidence of faults, checked offline."""

from __future__ import annotations

from collections.abc import Sequence
from pathlib import Path

import click
from rich.console import Console

from proofs.committee import CommitteeDocument
from proofs.errors import ProofError
from proofs.groupkeys import KeysDocument, verify_reshared
from proofs.points import Suite
from relay.cli import shown
from relay.cli.commands import Command
from relay.cli.gateway_options import FILE
from relay.cli.node_files import this_directory
from relay.cli.settings import Answer, Settings
from relay.config import KeptKeys, check_keys, keys_files, load_committee_chain, load_keys
from relay.core.errors import ConfigError
from relay.threshold.blame import MAX_EVIDENCE_BYTES, judge, read_evidence

_BLAME_EPILOG = """\b
Examples:
  tocsin ceremony blame evidence/ceremony-3f2a90c14be70000-9c0d….blame
  tocsin ceremony blame FILE --committee ./committee      documents that lie elsewhere

A file of evidence holds what the faulty party itself has signed, so that nobody's word is needed. Exit code 0
when it convicts, and who is named; 1 when it proves nothing, and why not.
"""
_VERIFY_EPILOG = """\b
Examples:
  tocsin ceremony verify keys-0001-0002.keys
  tocsin ceremony verify keys-0001-0001.keys --committee ./committee     documents that lie elsewhere

Checks the document, that key and shares lie on one polynomial, that every holder signed it, that its
holders and thresholds are those of the signed committee document, and that each key has signed for itself.
A file of the generation before beside it is compared: a reshare leaves the keys as they were. Exit code 0
when all holds, 1 when something does not, 3 when a key has not signed for itself yet.
"""
_directory = click.option(
    "--committee",
    "directory",
    type=click.Path(exists=True, file_okay=False, path_type=Path),
    help="Directory of the signed committee documents, when they are not this home's node's.",
)


@click.command(cls=Command, epilog=_BLAME_EPILOG)
@click.argument("file", type=FILE)
@_directory
@click.pass_obj
def blame(settings: Settings, file: Path, directory: Path | None) -> Answer:
    """Say whom a file of evidence convicts, and of what."""
    committees = _committees(settings, directory)
    verdict = judge(read_evidence(_read(file, MAX_EVIDENCE_BYTES)), committees)
    name = _name(committees, verdict.culprit)
    document = {
        "party": name,
        "identity": verdict.culprit.hex(),
        "what": verdict.reason,
        "ceremony": verdict.ceremony.hex(),
    }

    def show(console: Console) -> None:
        console.print(f"at fault: {name}", style="bold", markup=False)
        shown.facts(console, {key: document[key] for key in ("what", "identity", "ceremony")})

    settings.give("ceremony-blame", document, show)
    return Answer.YES


@click.command(cls=Command, epilog=_VERIFY_EPILOG)
@click.argument("file", type=FILE)
@_directory
@click.pass_obj
def verify(settings: Settings, file: Path, directory: Path | None) -> Answer:
    """Check a keys file: who holds which keys, and that they are in force."""
    keys = load_keys(file)
    found = _checks(keys, file, _committees(settings, directory))
    held = None if any(check[0] is None for check in found) else True
    held = False if any(check[0] is False for check in found) else held
    checks = [dict(zip(("held", "name", "detail", "remedy"), check, strict=True)) for check in found]
    document = {**_outline(keys), "in_force": held is not False, "checks": checks}

    def show(console: Console) -> None:
        shown.facts(console, {name: value for name, value in _outline(keys).items() if name != "groups"})
        rows = [(group.name, group.threshold, group.key.hex()) for group in keys.document.groups]
        shown.table(console, ("group", "threshold", "key"), rows)
        shown.checks(console, found)

    settings.give("ceremony-keys", document, show)
    return Answer.NO if held is False else Answer.YES if held else Answer.UNKNOWN


def _outline(keys: KeptKeys) -> dict[str, object]:
    document = keys.document
    return {
        "document": document.digest.hex(),
        "network": document.network.hex(),
        "committee_epoch": document.committee_epoch,
        "key_epoch": document.key_epoch,
        "generation": document.generation,
        "ceremony": document.ceremony.hex(),
        "holders": len(document.holders),
        "groups": [
            {"name": group.name, "threshold": group.threshold, "key": group.key.hex()}
            for group in document.groups
        ],
    }


Check = tuple[bool | None, str, str, str]


def _checks(keys: KeptKeys, file: Path, committees: Sequence[CommitteeDocument]) -> list[Check]:
    """Tell what holds: force, possession, and the generation before where its file lies beside."""
    document = keys.document
    epoch = document.committee_epoch
    committee = next((each for each in committees if each.committee_epoch == epoch), None)
    if committee is None:
        remedy = "put the network's signed committee documents into the directory, or give --committee"
        return [(False, "committee", f"expected a document of committee epoch {epoch}, got none", remedy)]
    try:
        check_keys(keys, committee)
    except ProofError as error:
        return [(False, error.check, error.message, "ask another member for its file")]
    names = [_name(committees, holder) for holder in document.holders]
    found: list[Check] = [(True, "signatures", f"all holders: {', '.join(names)}", "")]
    for group in document.groups:
        if group.suite is Suite.SECP256K1:
            found.append(_possession(keys, group.name))
    return [*found, *_before(document, file)]


def _possession(keys: KeptKeys, name: str) -> Check:
    if name in keys.possession:
        return True, f"possession {name}", "the key has signed for itself", ""
    remedy = "it comes by itself while enough holders run; verifiers take no key without it"
    return None, f"possession {name}", "the key has not signed for itself yet", remedy


def _before(document: KeysDocument, file: Path) -> list[Check]:
    """Compare a reshare with the newest earlier generation beside it; some may never have come into force."""
    earlier = [load_keys(path).document for path in keys_files(file.parent) if path != file]
    same_epoch = [each for each in earlier if each.key_epoch == document.key_epoch]
    before = [each for each in same_epoch if each.generation < document.generation]
    if not before:
        return []
    newest = max(before, key=lambda each: each.generation)
    try:
        verify_reshared(document, newest)
    except ProofError as error:
        return [(False, error.check, error.message, "one of the two files is of another network or ceremony")]
    return [(True, "reshared", f"the keys are those of generation {newest.generation}", "")]


def _committees(settings: Settings, directory: Path | None) -> tuple[CommitteeDocument, ...]:
    """Read the chain of committee documents, each in force by the one before."""
    chosen = this_directory(settings).committee if directory is None else directory
    return tuple(signed.document for signed in load_committee_chain(chosen))


def _name(committees: Sequence[CommitteeDocument], identity: bytes) -> str:
    for document in reversed(committees):
        for member in document.members:
            if member.identity == identity:
                return member.name
    return identity.hex()[:16]


def _read(file: Path, most: int) -> bytes:
    try:
        with file.open("rb") as opened:
            raw = opened.read(most + 1)
    except OSError as error:
        raise ConfigError(str(file), f"expected a readable file, got: {error.strerror}") from error
    if len(raw) > most:
        raise ConfigError(str(file), f"expected at most {most} bytes, got more")
    return raw


__all__ = ["blame", "verify"]
