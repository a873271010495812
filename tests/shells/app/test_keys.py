"""The node's keys files: what is in force, and the proofs that come later (threshold SPEC 1.2, 2)."""

from __future__ import annotations

import io
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path

import pytest

from relay.app.keys import KeysFiles
from relay.config import KeptKeys, dump_keys, load_keys
from relay.core.errors import JournalError
from relay.telemetry import Log, Telemetry
from tests.shells.config.committees import make_committee
from tests.shells.config.keysets import kept, keys_of

COMMITTEE = make_committee()
DEALT = keys_of(COMMITTEE)
KEPT = kept(DEALT, COMMITTEE)
ROUNDS = 8


def files(directory: Path) -> KeysFiles:
    return KeysFiles(directory, lambda: [COMMITTEE], Telemetry(Log(io.StringIO(), clock=lambda: 0)))


def test_proofs_that_come_at_once_are_both_kept(tmp_path: Path) -> None:
    for number in range(ROUNDS):
        directory = tmp_path / str(number)
        directory.mkdir()
        keys = files(directory)
        keys.keep(KEPT.signed)

        with ThreadPoolExecutor() as threads:
            for name, certificate in KEPT.possession.items():
                threads.submit(keys.add_possession, KEPT.document, {name: certificate})

        assert keys.in_force() == (KEPT,), f"round {number}"


def test_what_is_kept_already_is_not_written_again(tmp_path: Path) -> None:
    keys = files(tmp_path)
    keys.keep(KEPT.signed)
    keys.add_possession(KEPT.document, KEPT.possession)
    before = keys.path(KEPT.document).stat()

    keys.keep(KEPT.signed)
    keys.add_possession(KEPT.document, dict(list(KEPT.possession.items())[:1]))

    assert keys.path(KEPT.document).stat().st_ino == before.st_ino
    assert load_keys(keys.path(KEPT.document)) == KEPT


def test_other_keys_under_the_same_name_are_not_written_over(tmp_path: Path) -> None:
    keys, others = files(tmp_path), kept(keys_of(COMMITTEE, seed=2), COMMITTEE)
    keys.path(KEPT.document).write_text(dump_keys(others))

    with pytest.raises(JournalError, match="got others"):
        keys.keep(KEPT.signed)
    with pytest.raises(JournalError, match="got others"):
        keys.add_possession(KEPT.document, KEPT.possession)
    assert load_keys(keys.path(KEPT.document)) == others


def test_a_file_that_a_crash_has_spoilt_is_written_again_and_told(tmp_path: Path) -> None:
    said = io.StringIO()
    keys = KeysFiles(tmp_path, lambda: [COMMITTEE], Telemetry(Log(said, clock=lambda: 0)))
    keys.path(KEPT.document).write_text(dump_keys(KEPT)[:100])

    assert keys.in_force() == ()
    keys.keep(KEPT.signed)

    assert keys.in_force() == (KeptKeys(KEPT.signed),)
    assert "keys file not in force" in said.getvalue()


def test_a_proof_of_keys_that_are_not_kept_makes_no_file(tmp_path: Path) -> None:
    keys = files(tmp_path)

    keys.add_possession(KEPT.document, KEPT.possession)

    assert list(tmp_path.iterdir()) == []


def test_a_reshare_takes_over_what_is_proved_of_the_same_keys(tmp_path: Path) -> None:
    keys = files(tmp_path)
    keys.keep(KEPT.signed)
    keys.add_possession(KEPT.document, KEPT.possession)
    again = kept(keys_of(COMMITTEE, 2, again=DEALT), COMMITTEE)

    keys.keep(again.signed)

    assert keys.in_force() == (KEPT, again)


def test_a_file_that_is_put_there_by_hand_is_seen_once(tmp_path: Path) -> None:
    keys = files(tmp_path)
    assert keys.in_force() == ()
    assert keys.look() == ()

    keys.path(KEPT.document).write_text(dump_keys(KEPT))

    assert keys.look() == (KEPT,)
    assert keys.look() == ()
