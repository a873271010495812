"""`tocsin ceremony verify` and `blame`: keys files and evidence of faults, checked offline."""

from __future__ import annotations

from collections.abc import Sequence
from pathlib import Path

import click
from rich.console import Console

from proofs.committee import CommitteeDocument
from relay.cli import shown
from relay.cli.commands import Command
from relay.cli.gateway_options import FILE
from relay.cli.node_files import this_directory
from relay.cli.settings import Answer, Settings
from relay.config import load_committee_chain
from relay.core.errors import ConfigError
from relay.threshold.blame import MAX_EVIDENCE_BYTES, judge, read_evidence

_BLAME_EPILOG = """\b
Examples:
  tocsin ceremony blame evidence/ceremony-3f2a90c14be70000-9c0d….blame
  tocsin ceremony blame FILE --committee ./committee      documents that lie elsewhere

A file of evidence holds what the faulty party itself has signed, so that nobody's word is needed. Exit code 0
when it convicts, and who is named; 1 when it proves nothing, and why not.
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


__all__ = ["blame"]
