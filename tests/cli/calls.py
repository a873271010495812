"""Calling the command line in this process, and committees of real nodes."""

from __future__ import annotations

import io
import json
from collections.abc import Mapping
from contextlib import redirect_stderr, redirect_stdout
from dataclasses import dataclass

from relay.cli.entry import call

__all__ = ["PASSPHRASE", "Said", "tocsin"]

PASSPHRASE = "correct horse"


@dataclass(frozen=True)
class Said:
    """What one call answered."""

    code: int
    out: str
    err: str

    @property
    def document(self) -> Mapping[str, object]:
        document = json.loads(self.out)
        assert isinstance(document, dict)
        return document


def tocsin(*arguments: object) -> Said:
    """Run one command as the console script does."""
    out, err = io.StringIO(), io.StringIO()
    with redirect_stdout(out), redirect_stderr(err):
        code = call([str(argument) for argument in arguments])
    return Said(int(code), out.getvalue(), err.getvalue())
