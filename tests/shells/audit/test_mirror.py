"""Mirrors: whole, checked, and refused where the source contradicts them."""

from __future__ import annotations

import random
import shutil
from pathlib import Path

import pytest

from proofs.errors import ProofError
from proofs.forks import decode_fork
from proofs.note import NoteError
from proofs.policy import Policy, PolicyError
from relay.audit.mirror import MirrorError, MirrorTerms, mirror
from relay.audit.sources import FolderSource
from relay.core.errors import ConfigError
from tests.shells.audit.copies import fetch, files, from_folder, served_files, terms, whole
from tests.shells.audit.logs import NOW_S, Keeper, entries_of, policy_of, signed_note
from tests.shells.audit.servers import serving


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
