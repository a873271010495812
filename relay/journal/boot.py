"""Which run of which process this is (SPEC 6.3): two of one identity must notice each other."""

from __future__ import annotations

import os
from dataclasses import dataclass
from pathlib import Path

from relay.core.errors import JournalError
from relay.disk import replace_file
from relay.journal.store import Journal

__all__ = ["Boot", "count_boot"]

_KEY = "boot"
_INSTANCE_BYTES = 16
_PRIVATE = 0o600


@dataclass(frozen=True, slots=True)
class Boot:
    """`number` counts the starts of this directory from 1, `instance` (16 bytes) names this one start."""

    number: int
    instance: bytes


async def count_boot(journal: Journal, instance: Path) -> Boot:
    """Begin a run: raise the durable counter and write a new instance id to the file `instance`.

    The id is new at every start, not once per directory: a copy of the directory carries the file along, and
    two copies that start would otherwise agree in number and id, and not notice each other.
    """
    stored = await journal.get_meta(_KEY)
    boot = Boot(number=int.from_bytes(stored or b"", "big") + 1, instance=os.urandom(_INSTANCE_BYTES))
    # DURABLE: counted before anything is said under this number.
    await journal.set_meta(_KEY, boot.number.to_bytes(8, "big"))
    try:
        replace_file(instance, boot.instance, mode=_PRIVATE)
    except OSError as error:
        raise JournalError(f"{instance}: expected to write 16 bytes, got: {error}") from error
    return boot
