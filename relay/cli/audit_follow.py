"""`tocsin audit follow`: has every log only grown since the last visit, and who stands behind it."""

from __future__ import annotations

import signal
import threading
from collections.abc import Iterator, Sequence
from concurrent.futures import ThreadPoolExecutor
from contextlib import ExitStack, closing, contextmanager
from dataclasses import replace
from functools import partial
from pathlib import Path
from types import FrameType
from typing import NoReturn

import click
from rich.console import Console

from relay.audit.follow import FollowTerms, Look, look
from relay.audit.followed import following
from relay.audit.sources import Source
from relay.audit.web import open_source
from relay.cli.audit_policy import PinnedPolicy, now_s, policy_hash_option, read_policy
from relay.cli.audit_shown import answer_of, look_document, look_line, show_look
from relay.cli.commands import Command
from relay.cli.settings import Answer, Settings

__all__ = ["follow"]

STATE = "audit"
_EPILOG = """\b
Examples:
  tocsin audit follow https://alice.example.org https://bob.example.org --policy policy.txt
  tocsin audit follow https://{alice,bob,carol,dave}.example.org --policy policy.txt --once      from cron
  tocsin audit follow mirrors/alice --policy policy.txt --once --state /var/lib/auditor
  tocsin audit follow https://alice.example.org --policy policy.txt --json | jq -c '.alarms[]'

\b
Alarms:
  fork          one size, two roots, one key: evidence for anybody, kept as a tocsin/fork/1
  rollback      a smaller size than at the last visit
  inconsistent  the log of the last visit is not its beginning, or its tiles are not those that it signed
  signature     a checkpoint that no log of the policy has signed, or a wrong signature in it
  unwitnessed   fewer cosignatures than the policy asks for
  future        a cosigner's time more than 300 s ahead of ours
  stale         no growth for --stale while another log of the policy grew, as this follower saw it
  missing, silent, refused, unserved     it could not be told: a file is gone, no answer, an answer that is
                                         not read, a log of the policy that none of several sources serves

A log is held against what was seen at the last visit, which is kept in --state, a file each. After an alarm
of history (the first three) that file stays as it is, so that the alarm stays; both checkpoints are kept in
evidence/ beside it. With --json, one object a look.

With --once, exit code 0 when all holds, 1 on an alarm, 2 usage, policy or state, 3 when it could not be told.
Without, it looks every --every seconds until SIGINT or SIGTERM, goes on after alarms, and then gives 1 if any
look had one, else the answer of the last look.
"""
_FILE = click.Path(exists=True, dir_okay=False, readable=True, path_type=Path)


@click.command(cls=Command, epilog=_EPILOG)
@click.argument("sources", metavar="SOURCE...", nargs=-1, required=True)
@click.option(
    "--policy", "policy_file", type=_FILE, required=True, help="Whose logs and witnesses count (tlog-policy)."
)
@policy_hash_option
@click.option(
    "--state",
    type=click.Path(file_okay=False, path_type=Path),
    help="Where the last visits are kept.  [default: audit in --home]",
)
@click.option("--once", is_flag=True, help="Look once, and leave with the answer.")
@click.option(
    "--every", type=click.IntRange(1, 86_400), default=60, show_default=True, help="Seconds between looks."
)
@click.option(
    "--stale",
    type=click.IntRange(1),
    default=3_600,
    show_default=True,
    help="Seconds that a log may lag behind others.",
)
@click.pass_obj
def follow(
    settings: Settings,
    sources: tuple[str, ...],
    policy_file: Path,
    pinned_hash: bytes | None,
    state: Path | None,
    once: bool,
    every: int,
    stale: int,
) -> Answer:
    """Watch logs: each may only grow, under its witnesses; alarms have names."""
    policy = read_policy(policy_file, pinned_hash)
    folder = state or settings.home_directory / STATE
    terms = FollowTerms(policy.policy, folder, now_s(), stale)
    try:
        with ExitStack() as stack:
            opened = [stack.enter_context(closing(open_source(each))) for each in sources]
            stack.enter_context(following(folder))
            if once:
                return _once(settings, policy, opened, terms)
            return _running(settings, policy, opened, (terms, every))
    except OSError as error:
        return settings.fail(f"{error.filename or folder}: {error.strerror}", "", Answer.UNKNOWN)


def _once(settings: Settings, policy: PinnedPolicy, sources: Sequence[Source], terms: FollowTerms) -> Answer:
    found = look(sources, terms)
    settings.give(
        "audit-follow", look_document(found, policy), lambda console: show_look(console, found, policy)
    )
    return answer_of(found)


def _running(
    settings: Settings, policy: PinnedPolicy, sources: Sequence[Source], plan: tuple[FollowTerms, int]
) -> Answer:
    terms, every_s = plan
    before: Look | None = None
    answer, has_alarmed, pause = Answer.UNKNOWN, False, threading.Event()
    # Looks have a thread of their own, so that this one can be told to stop while servers are waited for.
    with ThreadPoolExecutor(1, "look") as apart, _sigterm_as_interrupt():
        try:
            while True:
                found = apart.submit(look, sources, replace(terms, now_s=now_s())).result()
                answer = answer_of(found)
                has_alarmed = has_alarmed or answer is Answer.NO
                document = look_document(found, policy)
                settings.give(
                    "audit-follow", document, partial(_show, before=before, found=found, policy=policy)
                )
                before = found
                pause.wait(every_s)
        except KeyboardInterrupt:
            for source in sources:
                source.close()
    return Answer.NO if has_alarmed else answer


def _show(console: Console, before: Look | None, found: Look, policy: PinnedPolicy) -> None:
    """Show all at the first look and whenever the alarms are others; else one line."""
    if before is None or _alarms(before) != _alarms(found):
        show_look(console, found, policy)
    else:
        console.print(look_line(found))


def _alarms(found: Look) -> set[tuple[str, str | None, str | None]]:
    return {(each.alarm.value, each.log, each.source) for each in found.alarms}


@contextmanager
def _sigterm_as_interrupt() -> Iterator[None]:
    """Let SIGTERM end the wait as Ctrl-C does."""

    def interrupt(_number: int, _frame: FrameType | None) -> NoReturn:
        raise KeyboardInterrupt

    old = {number: signal.signal(number, interrupt) for number in (signal.SIGTERM, signal.SIGINT)}
    try:
        yield
    finally:
        for number, handler in old.items():
            signal.signal(number, handler)
