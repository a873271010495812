"""The demonstration: two chains, four relays, one attack. `main` is what `tocsin demo` runs."""

from __future__ import annotations

import asyncio
import json
import shutil
import signal
import sys
import tempfile
from collections.abc import Mapping
from pathlib import Path
from typing import Protocol, TypeVar

from rich.console import Console

from adapters.evm.demo.practice import Practice, PracticeOptions
from adapters.evm.demo.practice_history import history_of
from adapters.evm.demo.practice_place import PLACE, assert_fits
from adapters.evm.demo.run import Demonstration, Options
from adapters.evm.demo.scenario import built_in, load_events
from adapters.evm.demo.show import Show
from relay.core.plan_file import parse_plan

__all__ = ["main", "practice_history", "practice_values"]


T = TypeVar("T")
T_co = TypeVar("T_co", covariant=True)


def main(  # noqa: PLR0913 - the options of one command
    *,
    events: Path | None,
    quorum: str,
    seed: int,
    keep: bool,
    as_json: bool,
    pace: float,
    practice: tuple[str, Path] | None = None,
) -> int:
    """Run it; the exit code is 0 only if the attack was contained and the evidence verified.

    With `practice`, a plan's text and file, that plan is practised instead.

    Raises:
        TocsinError: a file, a tool or a chain is not as it must be.
    """
    home = Path(tempfile.mkdtemp(prefix="tocsin-demo-"))
    show = Show(Console(stderr=True, quiet=False))
    try:
        if practice is not None:
            text, file = practice
            options = PracticeOptions(home=home, file=file, keep=keep, seed=seed)
            return _practise(Practice(text, options, show), show, home, as_json=as_json)
        scenario = load_events(events) if events is not None else built_in(seed)
        settings = Options(home=home, quorum=quorum, seed=seed, keep=keep, pace_s=pace)
        demonstration = Demonstration(scenario, settings, show)
        report = asyncio.run(_run(demonstration))
        demonstration.keep_evidence()
        show.table(report)
    except BaseException as error:
        if practice is not None or not keep:
            shutil.rmtree(home, ignore_errors=True)
        if isinstance(error, asyncio.CancelledError):
            raise KeyboardInterrupt from None
        raise
    if as_json:
        sys.stdout.write(json.dumps(report.document(), indent=2) + "\n")
    return 0 if report.contained and report.verified else 1


def practice_values() -> Mapping[str, str]:
    """Give what a plan must say to be practised, by the names of a ready plan's placeholders."""
    return PLACE.values()


def practice_history(text: str, file: Path, seed: int) -> str:
    """Give a fortnight of the practice vault, with a theft at its end, as CSV for a back-test of this plan.

    Raises:
        PlanError: the plan is refused.
        ConfigError: it is for another place, or reads nothing of the vault.
    """
    plan = parse_plan(text, where=str(file))
    assert_fits(plan)
    return history_of(plan, seed)


def _practise(practice: Practice, show: Show, home: Path, *, as_json: bool) -> int:
    """Practise a plan; nothing of it is kept but what is printed."""
    report = asyncio.run(_run(practice))
    shutil.rmtree(home, ignore_errors=True)
    show.practised(report)
    if as_json:
        sys.stdout.write(json.dumps(report.document(), indent=2) + "\n")
    return 0 if report.held else 1


class _Play(Protocol[T_co]):
    """What runs from beginning to end."""

    async def run(self) -> T_co:
        """Run it."""
        ...


async def _run(play: _Play[T]) -> T:
    """Run it; SIGTERM ends it in order as Ctrl-C does: no chain and no relay may outlive it."""
    task, loop = asyncio.current_task(), asyncio.get_running_loop()
    assert task is not None
    loop.add_signal_handler(signal.SIGTERM, task.cancel)
    return await play.run()
