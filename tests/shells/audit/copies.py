"""Mirrors made for tests, and folders read as a stranger reads them."""

from __future__ import annotations

from contextlib import closing
from pathlib import Path

from proofs.checkpoint import open_checkpoint
from proofs.logreading import open_log
from relay.audit.mirror import Mirrored, MirrorTerms, mirror
from relay.audit.reading import files_of
from relay.audit.sources import FolderSource
from relay.audit.web import Patience, WebSource
from tests.shells.audit.logs import NOW_S, Keeper, policy_of
from tests.shells.audit.servers import Served

__all__ = ["QUICK", "fetch", "files", "from_folder", "served_files", "terms", "whole"]

QUICK = Patience(pause_s=0.01)


def terms(keeper: Keeper, *, only_new: bool = False, max_entries: int = 1 << 20) -> MirrorTerms:
    return MirrorTerms(policy_of(keeper), NOW_S, max_entries, only_new)


def fetch(served: Served, keeper: Keeper, copy: Path, **options: bool) -> Mirrored:
    with closing(WebSource(served.url, QUICK)) as source:
        return mirror(source, copy, terms(keeper, **options))


def from_folder(keeper: Keeper, copy: Path) -> Mirrored:
    return mirror(FolderSource(keeper.folder), copy, terms(keeper))


def whole(folder: Path, keeper: Keeper) -> list[bytes]:
    """Read a folder as a stranger does: its checkpoint, and every entry under it."""
    checkpoint = open_checkpoint((folder / "checkpoint").read_text(), [keeper.key]).checkpoint
    log = open_log(checkpoint, files_of(FolderSource(folder)))
    return [entry for _, entry in log.walk(0, checkpoint.size)]


def files(folder: Path) -> dict[str, bytes]:
    return {str(path.relative_to(folder)): path.read_bytes() for path in folder.rglob("*") if path.is_file()}


def served_files(folder: Path) -> dict[str, bytes]:
    return {path: content for path, content in files(folder).items() if path not in (".lock",)}
