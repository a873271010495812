"""Durable bytes: atomic files, one process per directory, SQLite with group commit.

The floor below the shells that write (journal, keys): shells do not import each other.
"""

from relay.disk.durable import CommitPoint, Durable, Schema
from relay.disk.files import (
    Probe,
    create_file,
    erase_file,
    lock_file,
    make_directory,
    no_probe,
    replace_file,
    sweep_erased,
    sync_directory,
)

__all__ = [
    "CommitPoint",
    "Durable",
    "Probe",
    "Schema",
    "create_file",
    "erase_file",
    "lock_file",
    "make_directory",
    "no_probe",
    "replace_file",
    "sweep_erased",
    "sync_directory",
]
