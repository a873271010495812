"""Mirrors that end before they are whole: sources without end, silence, and death at any step."""

from __future__ import annotations

import shutil
import subprocess
import sys
import threading
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from pathlib import Path

import pytest

from proofs.checkpoint import Checkpoint
from proofs.errors import ProofError
from proofs.hashes import sha256
from proofs.tiles import parse_tile_path
from proofs.tree import fold_nodes, leaf_digest
from relay.audit import mirrorfolder
from relay.audit.mirror import MirrorTooLarge, mirror
from relay.audit.sources import FolderSource, SourceSilent
from tests.shells.audit.copies import fetch, files, from_folder, terms, whole
from tests.shells.audit.logs import Keeper, entries_of
from tests.shells.audit.servers import serving


def test_a_size_that_nobody_can_have_costs_nothing(keeper: Keeper, copy: Path) -> None:
    keeper.publish(entries_of(600))
    keeper.say(Checkpoint(keeper.name, 1 << 62, sha256(b"any")))

    with pytest.raises(MirrorTooLarge, match=str(1 << 62)):
        mirror(FolderSource(keeper.folder), copy, terms(keeper))
    with pytest.raises(ProofError, match="log-missing"):
        mirror(FolderSource(keeper.folder), copy, terms(keeper, max_entries=1 << 63))


def test_a_tree_without_end_is_cut_where_the_source_stops_making_it_up(keeper: Keeper, copy: Path) -> None:
    """A log of 2^62 equal entries has a tree of one hash a level: all of it can be served, for ever."""
    endless = Endless(keeper, after=200)

    with pytest.raises(SourceSilent):
        mirror(endless, copy, terms(keeper, max_entries=1 << 63))

    assert not (copy / "checkpoint").exists()


class Endless:
    """Serves a valid log of 2^62 entries, made up as it is asked for, and is silent after a while."""

    name = "endless"

    def __init__(self, keeper: Keeper, after: int) -> None:
        self._hashes = [leaf_digest(b"x")]
        for _ in range(8):
            self._hashes.append(fold_nodes(self._hashes[-1] * 256))
        root = fold_nodes(self._hashes[7] * 64)
        keeper.say(Checkpoint(keeper.name, 1 << 62, root))
        self._note = (keeper.folder / "checkpoint").read_bytes()
        self._left = after

    def read(self, path: str, limit_bytes: int) -> bytes:
        if path == "checkpoint":
            return self._note
        self._left -= 1
        if self._left < 0:
            raise SourceSilent(self.name, path, "enough")
        tile = parse_tile_path(path)
        return b"\x00\x01x" * tile.width if tile.level < 0 else self._hashes[tile.level] * tile.width

    def close(self) -> None:
        self._left = 0


def test_a_source_that_falls_silent_is_gone_on_with_later(keeper: Keeper, copy: Path) -> None:
    keeper.publish(entries_of(3_000))

    with serving(keeper.folder) as served:
        served.answers_left = 10
        with pytest.raises(SourceSilent):
            fetch(served, keeper, copy)
        assert not (copy / "checkpoint").exists()
        served.answers_left = None
        served.asked.clear()
        done = fetch(served, keeper, copy)

    assert whole(copy, keeper) == entries_of(3_000)
    assert done.entries_there >= 256
    assert done.entries_there + done.entries_written == 3_000
    # A slow answer may be asked for again; none that was there is.
    assert len({path for path in served.asked if "entries" in path}) == -(-done.entries_written // 256)


class Killed(BaseException):
    """The process ends here."""


@contextmanager
def steps_of(patch: pytest.MonkeyPatch, at: Callable[[int], None]) -> Iterator[None]:
    """Tell `at` the number of each step that changes the folder, before it is taken."""
    count, guard = 0, threading.Lock()

    def counted(inner: Callable[..., object]) -> Callable[..., object]:
        def step(*arguments: object, **named: object) -> object:
            nonlocal count
            with guard:
                count += 1
                at(count)
            return inner(*arguments, **named)

        return step

    with patch.context() as patched:
        for name in ("replace", "write_bytes", "unlink"):
            patched.setattr(Path, name, counted(getattr(Path, name)))
        for name in ("replace_file", "sync_directory"):
            patched.setattr(mirrorfolder, name, counted(getattr(mirrorfolder, name)))
        patched.setattr(shutil, "rmtree", counted(shutil.rmtree))
        yield


@pytest.mark.parametrize("stride", [3, pytest.param(1, marks=pytest.mark.slow)])
def test_ended_at_any_step_the_folder_verifies_and_is_gone_on_with(
    keeper: Keeper, copy: Path, monkeypatch: pytest.MonkeyPatch, stride: int
) -> None:
    old, new = entries_of(600), entries_of(900)
    for entries in (entries_of(300), old):
        keeper.publish(entries)
        from_folder(keeper, copy)
    keeper.publish(new)
    start = copy.with_name("start")
    shutil.copytree(copy, start)
    steps: list[int] = []
    with steps_of(monkeypatch, steps.append):
        from_folder(keeper, copy)
    results = []

    for last in dict.fromkeys([*steps[::stride], steps[-1]]):
        shutil.rmtree(copy)
        shutil.copytree(start, copy)

        def kill(number: int, last: int = last) -> None:
            if number >= last:
                raise Killed

        with steps_of(monkeypatch, kill), pytest.raises(Killed):
            from_folder(keeper, copy)

        results.append(whole(copy, keeper))
        from_folder(keeper, copy)
        assert whole(copy, keeper) == new
        assert not [path for path in files(copy) if path.endswith((".making", ".tmp"))]

    assert len(steps) > 20
    assert results[0] == old
    assert results[-1] == new
    assert all(result in (old, new) for result in results)


def test_what_a_crash_left_half_made_is_removed(keeper: Keeper, copy: Path) -> None:
    keeper.publish(entries_of(300))
    from_folder(keeper, copy)
    left = [copy / "tile/entries/009.making", copy / "tile/0/001.p/7.making", copy / ".checkpoint.1.tmp"]
    for path in left:
        path.write_bytes(b"half")

    from_folder(keeper, copy)

    assert [path for path in left if path.exists()] == []


KILLED = """
import os, signal, sys
from pathlib import Path
from relay.audit.mirror import MirrorTerms, mirror
from relay.audit.sources import FolderSource
from tests.shells.audit.logs import NOW_S, Keeper, policy_of

folder, copy = Path(sys.argv[1]), Path(sys.argv[2])

def told(done, of):
    if done > 256:
        os.kill(os.getpid(), signal.SIGKILL)

mirror(FolderSource(folder), copy, MirrorTerms(policy_of(Keeper(folder)), NOW_S), told)
"""


def test_killed_in_the_middle_it_goes_on(keeper: Keeper, copy: Path) -> None:
    keeper.publish(entries_of(900))
    done = subprocess.run(
        [sys.executable, "-c", KILLED, keeper.folder, copy], capture_output=True, timeout=60
    )
    assert done.returncode == -9, done.stderr.decode()

    again = from_folder(keeper, copy)

    assert again.entries_there >= 256
    assert whole(copy, keeper) == entries_of(900)
