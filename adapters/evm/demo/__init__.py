"""The demonstration: two chains, four relays, one attack. `main` is what `tocsin demo` runs."""

from __future__ import annotations

import asyncio
import json
import shutil
import signal
import sys
import tempfile
from pathlib import Path

from rich.console import Console

from adapters.evm.demo.report import Report
from adapters.evm.demo.run import Demonstration, Options
from adapters.evm.demo.scenario import built_in, load_events
from adapters.evm.demo.show import Show

__all__ = ["main"]


def main(*, events: Path | None, quorum: str, seed: int, keep: bool, as_json: bool, pace: float) -> int:
    """Run it; the exit code is 0 only if the attack was contained and the evidence verified.

    Raises:
        TocsinError: a file, a tool or a chain is not as it must be.
    """
    scenario = load_events(events) if events is not None else built_in(seed)
    home = Path(tempfile.mkdtemp(prefix="tocsin-demo-"))
    show = Show(Console(stderr=True, quiet=False))
    options = Options(home=home, quorum=quorum, seed=seed, keep=keep, pace_s=pace)
    try:
        demonstration = Demonstration(scenario, options, show)
        report = demonstration.keep_evidence(asyncio.run(_run(demonstration)))
        show.table(report)
    except BaseException as error:
        if not keep:
            shutil.rmtree(home, ignore_errors=True)
        if isinstance(error, asyncio.CancelledError):
            raise KeyboardInterrupt from None
        raise
    if as_json:
        sys.stdout.write(json.dumps(report.document(), indent=2) + "\n")
    return 0 if report.contained and report.verified else 1


async def _run(demonstration: Demonstration) -> Report:
    """Run it; SIGTERM ends it in order as Ctrl-C does: no chain and no relay may outlive it."""
    task, loop = asyncio.current_task(), asyncio.get_running_loop()
    assert task is not None
    loop.add_signal_handler(signal.SIGTERM, task.cancel)
    return await demonstration.run()
