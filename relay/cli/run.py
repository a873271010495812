"""`tocsin run`."""

from __future__ import annotations

import asyncio
import signal
from functools import partial

import click

from relay import app
from relay.cli.commands import Command
from relay.cli.node_files import passphrase_of, this_node
from relay.cli.settings import Answer, Settings
from relay.config import NodeConfig
from relay.keys import Secret

_EPILOG = """\b
Examples:
  tocsin run
  TOCSIN_PASSPHRASE=… tocsin --home /srv/tocsin --network acme run 2>> node.log

Log lines go to stderr: JSON, or coloured text on a terminal. Once the node serves, its HTTP address stands on
stdout. SIGTERM and Ctrl-C stop it in order. Exit code 4: it stopped itself, and says why; do not start it
again unseen.
"""


@click.command(cls=Command, epilog=_EPILOG)
@click.pass_obj
def run(settings: Settings) -> Answer:
    """Run this node until it is told to stop."""
    config = this_node(settings)
    passphrase = passphrase_of(config.passphrase)
    try:
        asyncio.run(_until_told(settings, config, passphrase))
    except app.NodeStopped as error:
        return settings.fail(f"the node stopped itself: {error}", "", Answer.REFUSED)
    return Answer.YES


async def _until_told(settings: Settings, config: NodeConfig, passphrase: Secret) -> None:
    """Run until SIGTERM, which ends the node in order; Ctrl-C is asyncio's own."""
    task, told, loop = asyncio.current_task(), asyncio.Event(), asyncio.get_running_loop()
    assert task is not None

    def stop() -> None:
        told.set()
        task.cancel()

    loop.add_signal_handler(signal.SIGTERM, stop)
    try:
        await app.run(config, passphrase=passphrase, ready=partial(_ready, settings))
    except asyncio.CancelledError:
        if not told.is_set():
            raise
        task.uncancel()  # the cancellation was ours: it has done its work
    finally:
        loop.remove_signal_handler(signal.SIGTERM)


def _ready(settings: Settings, url: str) -> None:
    settings.give("run", {"url": url}, lambda console: console.print(f"serving at {url}", markup=False))


__all__ = ["run"]
