"""`tocsin audit mirror`: a whole log in a folder, every hash checked before it is kept."""

from __future__ import annotations

from collections.abc import Callable, Iterator
from contextlib import closing, contextmanager
from pathlib import Path
from time import monotonic

import click
from rich.console import Console
from rich.progress import BarColumn, MofNCompleteColumn, Progress, TextColumn, TimeRemainingColumn
from rich.text import Text

from proofs.errors import ProofError
from proofs.note import NoteError, format_verifier_key, parse_verifier_key
from proofs.policy import Policy, missing_witnesses
from relay.audit.mirror import MAX_ENTRIES, Mirrored, MirrorTerms, MirrorTooLarge, mirror
from relay.audit.sources import SourceError
from relay.audit.web import open_source
from relay.cli import shown
from relay.cli.audit_policy import (
    ANSWER_WORDS,
    PinnedPolicy,
    now_s,
    pin_words,
    policy_hash_option,
    read_policy,
)
from relay.cli.commands import Command
from relay.cli.settings import Answer, Settings

__all__ = ["mirror_"]

_EPILOG = """\b
Examples:
  tocsin audit mirror https://alice.example.org mirrors/alice --policy policy.txt
  tocsin audit mirror https://alice.example.org mirrors/alice --policy policy.txt --only-new    from cron
  tocsin audit mirror http://127.0.0.1:9330 log/ --vkey 'acme/alice+1a2b3c4d+AX…'
  tocsin audit replay mirrors/alice --plan acme.plan.toml --policy policy.txt
  python -m http.server --directory mirrors/alice            anybody can mirror, follow and verify that

SOURCE is a node's address, any web server or a folder with the files of a log (C2SP tlog-tiles). Nothing it
says is believed: the checkpoint must be signed by a log of the policy and cosigned as that asks, and every
tile and entry must lead to its root. The checkpoint is written last, so that the folder is at any time a log
that verifies; stopped anywhere, the next call goes on. A source that is behind the folder, or has another
history, changes nothing: both checkpoints are kept in DIR/evidence.

Exit code 0 when the folder holds the whole log, 1 when something does not verify and the failed check is
named, 2 usage or a folder of something else, 3 when the source was silent or lacks a file: nothing is lost.
"""
_FILE = click.Path(exists=True, dir_okay=False, readable=True, path_type=Path)
_UNTOLD_CHECK = "log-missing"


@click.command("mirror", cls=Command, epilog=_EPILOG)
@click.argument("source")
@click.argument("folder", metavar="DIR", type=click.Path(file_okay=False, path_type=Path))
@click.option(
    "--policy", "policy_file", type=_FILE, help="Whose logs and witnesses count (C2SP tlog-policy)."
)
@policy_hash_option
@click.option("--vkey", help="The log's verifier key, instead of a policy: no witness is asked for.")
@click.option("--only-new", is_flag=True, help="Do not check again what an earlier run has checked.")
@click.option(
    "--max-entries",
    type=click.IntRange(0),
    default=MAX_ENTRIES,
    show_default=True,
    help="Do not begin with a log that claims more.",
)
@click.pass_obj
def mirror_(
    settings: Settings,
    source: str,
    folder: Path,
    policy_file: Path | None,
    pinned_hash: bytes | None,
    vkey: str | None,
    only_new: bool,
    max_entries: int,
) -> Answer:
    """Copy a log into a folder, checked; go on where the last run stopped."""
    try:
        policy, pinned = _policy(policy_file, pinned_hash, vkey)
        terms = MirrorTerms(policy, now_s(), max_entries, only_new)
        began_s = monotonic()
        with closing(open_source(source)) as opened, _progress(settings, source) as told:
            done = mirror(opened, folder, terms, told)
    except ProofError as error:
        answer = Answer.UNKNOWN if error.check == _UNTOLD_CHECK else Answer.NO
        return _refuse(settings, answer, error.check, error)
    except (SourceError, MirrorTooLarge) as error:
        return _refuse(settings, Answer.UNKNOWN, None, error)
    except OSError as error:
        return settings.fail(f"{error.filename or folder}: {error.strerror}", "", Answer.UNKNOWN)
    _give(settings, policy, pinned, (done, folder, monotonic() - began_s))
    return Answer.YES


def _policy(file: Path | None, pinned: bytes | None, vkey: str | None) -> tuple[Policy, PinnedPolicy | None]:
    if (file is None) == (vkey is None):
        raise click.UsageError("expected either --policy FILE or --vkey KEY")
    if file is not None:
        read = read_policy(file, pinned)
        return read.policy, read
    if pinned is not None:
        raise click.UsageError("--policy-hash: expected --policy FILE with it, got --vkey")
    try:
        return Policy((parse_verifier_key(vkey or ""),)), None
    except NoteError as error:
        raise click.UsageError(f"--vkey: {error.message}") from error


@contextmanager
def _progress(settings: Settings, source: str) -> Iterator[Callable[[int, int], None]]:
    console = settings.console(error=True)
    columns = (TextColumn("{task.description}"), BarColumn(), MofNCompleteColumn(), TimeRemainingColumn())
    is_hidden = settings.quiet or settings.json or not console.is_terminal
    with Progress(*columns, console=console, disable=is_hidden, transient=True) as bar:
        task = bar.add_task(shown.cell(source), total=None)
        yield lambda done, of: bar.update(task, completed=done, total=of)


def _give(
    settings: Settings, policy: Policy, pinned: PinnedPolicy | None, what: tuple[Mirrored, Path, float]
) -> None:
    done, folder, seconds = what
    signed = done.signed
    written = {"entries": done.entries_written, "files": done.files_written, "bytes": done.bytes_written}
    document = {
        "answer": ANSWER_WORDS[Answer.YES],
        "log": signed.log.name,
        "vkey": format_verifier_key(signed.log),
        "size": signed.checkpoint.size,
        "root": signed.checkpoint.root.hex(),
        "before": done.before,
        "folder": str(folder),
        "written": written,
        "there": done.entries_there,
        "mended": list(done.mended),
        "cosigned": [each.key.name for each in signed.cosigned],
        "missing": [key.name for key in missing_witnesses(policy, signed)],
        "policy_hash": None if pinned is None else pinned.hash.hex(),
        "policy_pinned": pinned is not None and pinned.is_pinned,
        "seconds": round(seconds, 3),
    }
    settings.give("audit-mirror", document, lambda console: _show(console, document, done, pinned))


def _show(console: Console, document: dict[str, object], done: Mirrored, pinned: PinnedPolicy | None) -> None:
    size = done.signed.checkpoint.size
    head = f"  {document['log']}: {size:,} entries, every one under the signed root"
    console.print(Text.assemble(("MIRRORED", "bold green"), head))
    grown = "a new mirror" if done.before is None else f"{size - done.before:,} more than before"
    names = ", ".join(each.key.name for each in done.signed.cosigned)
    written = f"{done.entries_written:,} entries, {done.files_written:,} files, {done.bytes_written:,} bytes"
    facts: dict[str, object] = {
        "folder": f"{document['folder']}, {grown}",
        "written": written,
        "there": f"{done.entries_there:,} entries, checked and right",
        "root": document["root"],
        "log": document["vkey"],
        "cosigned": names or "by nobody of the policy",
    }
    if done.mended:
        facts["mended"] = f"{', '.join(done.mended)}: was there, and was not what it had to be"
    shown.facts(console, facts)
    if pinned is not None:
        console.print(pin_words(pinned))
    elif not done.signed.cosigned:
        console.print(Text("no witness was asked for: others may be shown another log", style="yellow"))


def _refuse(settings: Settings, answer: Answer, check: str | None, error: Exception) -> Answer:
    problem = error.message if isinstance(error, ProofError) else str(error)
    evidence = error.facts.get("evidence", ()) if isinstance(error, ProofError) else ()
    kept = [str(path) for path in evidence] if isinstance(evidence, tuple) else []
    document = {"answer": ANSWER_WORDS[answer], "check": check, "problem": problem, "evidence": kept}

    def show(console: Console) -> None:
        title = ("NOT MIRRORED", "bold red") if answer is Answer.NO else ("COULD NOT TELL", "bold yellow")
        console.print(Text.assemble(title, f"  failed check: {check}" if check else ""))
        console.print(Text(f"  {problem}"))
        for path in kept:
            console.print(Text(f"  kept: {path}"))

    settings.give("audit-mirror", document, show)
    return answer
