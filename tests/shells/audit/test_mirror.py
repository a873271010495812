"""Mirrors: whole, checked, resumed, and at any time a log that verifies."""

from __future__ import annotations

import os
import random
import shutil
import subprocess
import sys
import threading
from collections.abc import Callable, Iterator
from contextlib import closing, contextmanager
from pathlib import Path

import pytest

from proofs.checkpoint import Checkpoint, open_checkpoint
from proofs.errors import ProofError
from proofs.forks import decode_fork
from proofs.hashes import sha256
from proofs.logreading import open_log
from proofs.note import NoteError
from proofs.policy import Policy, PolicyError
from proofs.tiles import parse_tile_path
from proofs.tree import fold_nodes, leaf_digest
from relay.audit import mirrorfolder
from relay.audit.mirror import Mirrored, MirrorError, MirrorTerms, MirrorTooLarge, mirror
from relay.audit.reading import files_of
from relay.audit.sources import FolderSource, SourceSilent
from relay.audit.web import Patience, WebSource
from relay.core.errors import ConfigError
from tests.shells.audit.logs import NOW_S, Keeper, entries_of, policy_of, signed_note
from tests.shells.audit.servers import Served, serving

QUICK = Patience(pause_s=0.01)


@pytest.fixture(autouse=True)
def _no_power_fails(monkeypatch: pytest.MonkeyPatch) -> None:
    """Processes end here, machines do not: what was written is there, and the disk need not be waited for."""
    monkeypatch.setattr(os, "fsync", lambda _descriptor: None)


@pytest.fixture
def keeper(tmp_path: Path) -> Keeper:
    return Keeper(tmp_path / "log")


@pytest.fixture
def copy(tmp_path: Path) -> Path:
    return tmp_path / "mirror"


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


@pytest.mark.parametrize("size", [0, 1, 255, 256, 257, 600, pytest.param(65_537, marks=pytest.mark.slow)])
def test_a_mirror_has_the_very_files_of_the_log(keeper: Keeper, copy: Path, size: int) -> None:
    keeper.publish(entries_of(size))

    with serving(keeper.folder) as served:
        done = fetch(served, keeper, copy)

    assert served_files(copy) == files(keeper.folder)
    assert (done.before, done.entries_written, done.entries_there) == (None, size, 0)
    assert done.signed.checkpoint.size == size


def test_a_mirror_that_is_there_is_not_asked_for_again(keeper: Keeper, copy: Path) -> None:
    keeper.publish(entries_of(600))

    with serving(keeper.folder) as served:
        fetch(served, keeper, copy)
        served.asked.clear()
        done = fetch(served, keeper, copy)

    assert served.asked == ["/checkpoint", "/tile/0/002.p/88", "/tile/1/000.p/2"]
    assert (done.before, done.entries_written, done.entries_there, done.files_written) == (600, 0, 600, 0)


def test_a_log_that_grew_is_followed_and_partial_tiles_become_wider(keeper: Keeper, copy: Path) -> None:
    entries = entries_of(700)
    for size in (10, 200, 300, 700):
        keeper.publish(entries[:size])
        done = from_folder(keeper, copy)
        assert whole(copy, keeper) == entries[:size]
        assert done.entries_written + done.entries_there == size

    partials = sorted(str(path.relative_to(copy)) for path in copy.rglob("*.p/*"))
    # Those of the checkpoint before are kept only where they are not filled up.
    assert partials == ["tile/0/002.p/188", "tile/1/000.p/1", "tile/1/000.p/2", "tile/entries/002.p/188"]


def test_only_what_is_new_is_read_when_that_is_asked_for(keeper: Keeper, copy: Path) -> None:
    keeper.publish(entries_of(600))
    from_folder(keeper, copy)
    (copy / "tile/entries/000").write_bytes(b"rotten")
    keeper.publish(entries_of(601))

    with serving(keeper.folder) as served:
        some = fetch(served, keeper, copy, only_new=True)
        every = fetch(served, keeper, copy)

    assert (some.entries_written, some.mended) == (89, ())
    assert every.mended == ("tile/entries/000",)
    assert whole(copy, keeper) == entries_of(601)


@pytest.mark.parametrize(
    "path", ["tile/entries/000", "tile/0/001", "tile/1/000.p/2", "tile/entries/002.p/88"]
)
@pytest.mark.parametrize("harm", ["flip", "cut", "longer", "gone"])
def test_what_is_wrong_in_the_folder_is_mended(keeper: Keeper, copy: Path, path: str, harm: str) -> None:
    keeper.publish(entries_of(600))
    from_folder(keeper, copy)
    right = (copy / path).read_bytes()
    _harm(copy / path, harm)

    done = from_folder(keeper, copy)

    assert (copy / path).read_bytes() == right
    assert done.mended == (() if harm == "gone" else (path,))


def _harm(path: Path, harm: str) -> None:
    content = path.read_bytes()
    at = random.Random(len(content)).randrange(len(content))
    flipped = content[:at] + bytes([content[at] ^ 1]) + content[at + 1 :]
    path.unlink()
    if harm != "gone":
        path.write_bytes({"flip": flipped, "cut": content[:-1], "longer": content + b"x"}[harm])


@pytest.mark.parametrize(
    "path", ["tile/entries/000", "tile/1/000.p/2", "tile/0/002.p/88", "tile/entries/002.p/88"]
)
@pytest.mark.parametrize(
    ("harm", "checks"),
    [
        ("flip", {"tile-content", "log-root"}),
        ("cut", {"tile-content"}),
        ("longer", {"tile-content"}),
        ("gone", {"log-missing"}),
    ],
)
def test_a_source_with_a_wrong_file_gives_no_mirror(
    keeper: Keeper, copy: Path, path: str, harm: str, checks: set[str]
) -> None:
    keeper.publish(entries_of(600))
    _harm(keeper.folder / path, harm)

    with pytest.raises((ProofError,)) as caught:
        from_folder(keeper, copy)

    assert caught.value.check in checks
    assert not (copy / "checkpoint").exists()


def test_level_0_tiles_follow_from_the_entries(keeper: Keeper, copy: Path) -> None:
    keeper.publish(entries_of(600))
    (keeper.folder / "tile/0/000").unlink()

    from_folder(keeper, copy)

    assert whole(copy, keeper) == entries_of(600)


def test_a_partial_tile_that_filled_up_meanwhile_is_cut_out_of_the_full_one(
    keeper: Keeper, copy: Path
) -> None:
    keeper.publish(entries_of(300))
    note = (keeper.folder / "checkpoint").read_text()
    keeper.publish(entries_of(600))
    (keeper.folder / "checkpoint").write_text(note)
    for path in keeper.folder.rglob("*.p"):
        if path.with_suffix("").exists():
            shutil.rmtree(path)

    from_folder(keeper, copy)

    assert whole(copy, keeper) == entries_of(300)
    assert (copy / "tile/0/001.p/44").stat().st_size == 44 * 32


@pytest.mark.parametrize(
    ("old", "new", "history", "name"),
    [(600, 600, "other", "fork"), (600, 400, "", "rollback"), (600, 700, "other", "inconsistent")],
)
def test_a_source_with_another_history_changes_nothing_and_is_kept_as_evidence(
    keeper: Keeper, copy: Path, old: int, new: int, history: str, name: str
) -> None:
    keeper.publish(entries_of(old))
    from_folder(keeper, copy)
    before = served_files(copy)
    shutil.rmtree(keeper.folder)
    keeper.publish(entries_of(new, history))

    with pytest.raises(MirrorError) as caught:
        from_folder(keeper, copy)

    assert caught.value.check == name
    kept = {path: content for path, content in served_files(copy).items() if not path.startswith("evidence/")}
    assert kept == before
    evidence = caught.value.facts["evidence"]
    assert isinstance(evidence, tuple)
    assert {path.read_text() for path in evidence} >= {
        before["checkpoint"].decode(),
        (keeper.folder / "checkpoint").read_text(),
    }
    if name == "fork":
        (fork,) = [decode_fork(path.read_bytes()) for path in evidence if path.suffix == ".json"]
        assert (fork.key, fork.size) == (keeper.key, 600)


def test_a_folder_of_another_log_or_of_something_else_is_left_alone(
    keeper: Keeper, copy: Path, tmp_path: Path
) -> None:
    bob = Keeper(tmp_path / "bob", "net/bob")
    bob.publish(entries_of(5))
    keeper.publish(entries_of(5))
    both = MirrorTerms(policy_of(keeper, bob), NOW_S)
    mirror(FolderSource(bob.folder), copy, both)
    home = tmp_path / "home"
    home.mkdir()
    (home / "diary").write_text("private")

    with pytest.raises(ConfigError, match="net/alice"):
        mirror(FolderSource(keeper.folder), copy, both)
    with pytest.raises(ConfigError, match="diary"):
        mirror(FolderSource(keeper.folder), home, both)


def test_a_checkpoint_without_its_witnesses_is_not_mirrored(keeper: Keeper, copy: Path) -> None:
    keeper.cosigned_s = {"w0": NOW_S, "w1": NOW_S}
    keeper.publish(entries_of(5))
    with pytest.raises(PolicyError, match="policy-quorum"):
        from_folder(keeper, copy)

    keeper.cosigned_s = dict.fromkeys(("w0", "w1", "w2"), NOW_S + 301)
    keeper.publish(entries_of(5))
    with pytest.raises(PolicyError, match="cosignature-time"):
        from_folder(keeper, copy)

    with pytest.raises(NoteError, match="note-unsigned"):
        mirror(FolderSource(keeper.folder), copy, MirrorTerms(Policy((Keeper(copy, "net/bob").key,)), NOW_S))
    assert not copy.exists()


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
    assert len([path for path in served.asked if "entries" in path]) == -(-done.entries_written // 256)


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


def test_ended_at_any_step_the_folder_verifies_and_is_gone_on_with(
    keeper: Keeper, copy: Path, monkeypatch: pytest.MonkeyPatch
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

    for last in steps:
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


def test_two_mirrors_of_one_folder_do_not_work_at_once(keeper: Keeper, copy: Path) -> None:
    keeper.publish(entries_of(600))
    refused: list[ConfigError] = []

    def second(_done: int, _of: int) -> None:
        if not refused:
            with pytest.raises(ConfigError, match="no other process") as caught:
                from_folder(keeper, copy)
            refused.append(caught.value)

    mirror(FolderSource(keeper.folder), copy, terms(keeper), second)

    assert refused
    assert whole(copy, keeper) == entries_of(600)


def test_a_mirror_can_be_mirrored(keeper: Keeper, copy: Path, tmp_path: Path) -> None:
    keeper.publish(entries_of(600))
    from_folder(keeper, copy)

    mirror(FolderSource(copy), tmp_path / "second", terms(keeper))

    assert served_files(tmp_path / "second") == files(keeper.folder)


def test_later_cosignatures_of_the_same_checkpoint_are_taken_over(keeper: Keeper, copy: Path) -> None:
    keeper.cosigned_s = dict.fromkeys(("w0", "w1", "w2"), NOW_S)
    checkpoint = keeper.publish(entries_of(5))
    from_folder(keeper, copy)
    note = signed_note(checkpoint, keeper.name, dict.fromkeys(("w0", "w1", "w2", "w3"), NOW_S))
    (keeper.folder / "checkpoint").write_text(note)

    from_folder(keeper, copy)

    assert (copy / "checkpoint").read_text() == note
