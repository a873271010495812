"""An erased file is overwritten before its place is given back, whatever interrupts it."""

import os
from pathlib import Path

import pytest

from relay.disk import create_file, erase_file, sweep_erased

SECRET = b"secret" * 2_000


def test_an_erased_file_was_overwritten(tmp_path: Path) -> None:
    path = tmp_path / "seed"
    create_file(path, SECRET)

    with path.open("rb") as witness:  # a name may go; this still reads what stands on the disk
        erase_file(path)
        assert witness.read() == bytes(len(SECRET))

    assert list(tmp_path.iterdir()) == []
    erase_file(path)  # what is gone is erased


@pytest.mark.parametrize("step", ["condemned seed", "overwritten seed"])
def test_an_interrupted_erasure_is_finished_at_the_next_start(tmp_path: Path, step: str) -> None:
    path, other = tmp_path / "below" / "seed", tmp_path / "other"
    path.parent.mkdir()
    create_file(path, SECRET)
    create_file(other, b"stays")

    def fail(reached: str) -> None:
        if reached == step:
            raise OSError("injected")

    with path.open("rb") as witness:
        with pytest.raises(OSError, match="injected"):
            erase_file(path, probe=fail)
        assert not path.exists()
        sweep_erased(tmp_path)
        assert witness.read() == bytes(len(SECRET))

    assert list(path.parent.iterdir()) == []
    assert other.read_bytes() == b"stays"


def test_what_a_crash_left_half_made_goes_and_what_it_made_stays(tmp_path: Path) -> None:
    made, half = tmp_path / ".seed.5.tmp", tmp_path / ".other.5.tmp"
    made.write_bytes(SECRET)
    os.link(made, tmp_path / "seed")
    half.write_bytes(SECRET)

    sweep_erased(tmp_path)

    assert [path.name for path in tmp_path.iterdir()] == ["seed"]
    assert (tmp_path / "seed").read_bytes() == SECRET


@pytest.mark.parametrize("step", ["before link seed", "after link seed"])
def test_a_file_that_is_made_is_whole_or_absent(tmp_path: Path, step: str) -> None:
    def fail(reached: str) -> None:
        if reached == step:
            raise OSError("injected")

    with pytest.raises(OSError, match="injected"):
        create_file(tmp_path / "seed", SECRET, probe=fail)

    left = {path.name: path.read_bytes() for path in tmp_path.iterdir()}
    assert left == ({} if step.startswith("before") else {"seed": SECRET})
