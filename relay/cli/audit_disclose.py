"""`tocsin audit disclose`: a node's operator opens sealed fields of what the node said."""

from __future__ import annotations

import re
from pathlib import Path

import click
from rich.console import Console

from proofs.disclosure import decode_disclosure
from proofs.envelope import Envelope, open_envelope
from proofs.errors import ProofError
from relay.audit.disclose import SEALING_EVENTS, disclosure_of
from relay.audit.texts import clean
from relay.cli.commands import Command
from relay.cli.node_files import this_directory
from relay.cli.settings import Answer, Settings
from relay.core.errors import JournalError
from relay.core.history import event_from_bytes
from relay.disk import replace_file
from relay.journal.peek import JournalPeek

__all__ = ["disclose"]

_EPILOG = """\b
Examples:
  tocsin audit disclose 9f31c0de --field note --out note.json
  tocsin audit disclose 9f31c0de --field note --field reporter --out signal.json

RECORD is the digest of a signal or a change of readiness that this node said, or its beginning; audit
incident and audit verify show it. What is sealed stays with the node until somebody names it here; the other
fields of the record stay sealed. The node may run meanwhile.

Exit code 0 when the file was written, 1 when the record is not one of this node's, 2 usage, 3 when the
journal cannot be read.
"""
_DIGEST = re.compile(r"(?:0x)?([0-9a-fA-F]{8,64})")
_OUT = click.Path(dir_okay=False, writable=True, path_type=Path)


def _digest(_context: click.Context, _parameter: click.Parameter, value: str) -> str:
    found = _DIGEST.fullmatch(value)
    if found is None:
        raise click.BadParameter(f"expected 8 to 64 hexadecimal digits of a record, got {value[:80]!r}")
    return found[1].lower()


@click.command(cls=Command, epilog=_EPILOG)
@click.argument("record", metavar="RECORD", callback=_digest)
@click.option("--field", "fields", multiple=True, required=True, help="A field to open. Repeatable.")
@click.option("--out", "file", type=_OUT, required=True, help="Where to write the disclosure.")
@click.pass_obj
def disclose(settings: Settings, record: str, fields: tuple[str, ...], file: Path) -> Answer:
    """Open named sealed fields of something that this node said."""
    journal = this_directory(settings).journal_file
    try:
        with JournalPeek.open(journal) as peek:
            found = peek.envelopes(record, 2)
            if len(found) != 1:
                return _not_one(settings, record, len(found))
            envelope = open_envelope(found[0])
            events = map(event_from_bytes, peek.events(SEALING_EVENTS))
            data = disclosure_of(envelope, fields, events)
        replace_file(file, data)
    except ProofError as error:
        answer = Answer.USAGE if error.check == "sealed-form" else Answer.NO
        return settings.fail(error.message, "", answer)
    except JournalError as error:
        return settings.fail(str(error), "run it where the node's home is", Answer.UNKNOWN)
    except OSError as error:
        return settings.fail(f"{file}: {error.strerror}", "name a place to write", Answer.USAGE)
    _give(settings, envelope, data, file)
    return Answer.YES


def _not_one(settings: Settings, record: str, count: int) -> Answer:
    if count == 0:
        remedy = "look at its digest in the story of the incident"
        return settings.fail(
            f"expected a record {record} in this node's journal, got none", remedy, Answer.NO
        )
    return settings.fail(f"{record} begins several records", "give more digits", Answer.USAGE)


def _give(settings: Settings, envelope: Envelope, data: bytes, file: Path) -> None:
    opened = {each.field: str(each.value) for each in decode_disclosure(data).fields}
    document = {"record": envelope.digest.hex(), "kind": envelope.kind, "opened": opened, "file": str(file)}

    def show(console: Console) -> None:
        console.print(f"{envelope.kind} {envelope.digest.hex()}", markup=False)
        for name, value in opened.items():
            console.print(f"  {name}: {clean(value)}", markup=False)
        console.print(f"written to {file}: whoever has it can read these fields, and no other", markup=False)

    settings.give("audit-disclose", document, show)
