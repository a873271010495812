"""The command line. `main` is the console script `tocsin`."""

from relay.cli.entry import main

__all__ = ["main"]
