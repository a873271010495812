"""Keys files: what is read is what was written, and nothing that is not in force is taken."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import replace
from pathlib import Path

import pytest

from proofs.errors import ProofError
from proofs.groupkeys import SignedKeys
from relay.config import (
    KeptKeys,
    check_keys,
    dump_keys,
    keys_file,
    keys_files,
    load_keys,
    load_known_keys,
)
from relay.core.errors import ConfigError
from tests.shells.config.committees import make_committee
from tests.shells.config.keysets import kept, keys_of

COMMITTEE = make_committee()
DEALT = keys_of(COMMITTEE)
KEPT = kept(DEALT, COMMITTEE)


def write(directory: Path, keys: KeptKeys) -> Path:
    file = keys_file(directory, keys.document)
    file.write_text(dump_keys(keys))
    return file


def test_a_keys_file_comes_back_as_it_was(tmp_path: Path) -> None:
    file = write(tmp_path, KEPT)

    assert file.name == "keys-0001-0001.keys"
    assert load_keys(file) == KEPT
    check_keys(load_keys(file), COMMITTEE)


@pytest.mark.parametrize(
    ("spoil", "told"),
    [
        (lambda text: text.replace("keys-file/1", "keys-file/2"), "format"),
        (lambda text: text[: len(text) // 2], "TOML"),
        (lambda text: text.replace('document = "', 'document = "!', 1), "base64"),
        (lambda text: text.replace('document = "i', 'document = "j', 1), "document"),
        (lambda text: text.replace("[signatures]\n", '[signatures]\nab = "AAAA"\n'), "64 hex digits"),
        (lambda text: text.replace("[signatures]\n", f'[signatures]\n{"ab" * 32} = "AAAA"\n'), "64 bytes"),
        (lambda text: text + 'slow = "' + "A" * 400 + '"\n', "slow"),
        (lambda text: "surprise = 1\n" + text, "surprise"),
        (lambda text: text.replace("[signatures]", "[other]"), "other"),
    ],
)
def test_a_spoilt_file_is_named_with_what_was_expected(
    tmp_path: Path, spoil: Callable[[str], str], told: str
) -> None:
    file = write(tmp_path, KEPT)
    file.write_text(spoil(file.read_text()))

    with pytest.raises(ConfigError) as caught:
        load_keys(file)

    assert str(file) in str(caught.value)
    assert told in str(caught.value)


def test_a_missing_file_says_where_to_get_one(tmp_path: Path) -> None:
    with pytest.raises(ConfigError, match="copy it from another member"):
        load_keys(tmp_path / "keys-0001-0001.keys")


def test_a_key_that_another_key_has_shown_is_not_shown() -> None:
    swapped = {"fast": KEPT.possession["full"], "full": KEPT.possession["fast"]}

    with pytest.raises(ProofError):
        check_keys(replace(KEPT, possession=swapped), COMMITTEE)


@pytest.mark.parametrize("name", ["fast/ed25519", "slow"])
def test_a_proof_of_a_group_that_has_none_is_refused(name: str) -> None:
    with pytest.raises(ProofError, match="keys-possession"):
        check_keys(replace(KEPT, possession={name: KEPT.possession["fast"]}), COMMITTEE)


def test_keys_that_one_holder_has_not_signed_are_not_in_force() -> None:
    some = dict(list(KEPT.signed.signatures.items())[1:])

    with pytest.raises(ProofError, match="keys-unsigned"):
        check_keys(KeptKeys(SignedKeys(KEPT.document, some)), COMMITTEE)


def test_what_is_in_force_is_given_in_order_and_what_is_not_is_told(tmp_path: Path) -> None:
    again = kept(keys_of(COMMITTEE, 2, again=DEALT), COMMITTEE)
    write(tmp_path, again)
    write(tmp_path, KEPT)
    (tmp_path / "keys-0001-0003.keys").write_text("format = 7")
    (tmp_path / "keys-0002-0001.keys").write_text(dump_keys(KeptKeys(SignedKeys(KEPT.document, {}))))

    known = load_known_keys(tmp_path, [COMMITTEE])

    assert known.keys == (KEPT, again)
    assert len(known.problems) == 2
    assert load_known_keys(tmp_path, []).keys == ()


def test_the_newest_keys_files_are_read_however_many_there_are(tmp_path: Path) -> None:
    for generation in (*range(1, 1_024), 9_999, 10_000, 1 << 20):
        (tmp_path / f"keys-0002-{generation:04d}.keys").touch()
    (tmp_path / "keys-0001-12345.keys").touch()

    found = [file.name for file in keys_files(tmp_path)]

    assert len(found) == 1_024
    assert found[-3:] == ["keys-0002-9999.keys", "keys-0002-10000.keys", "keys-0002-1048576.keys"]
    assert "keys-0001-12345.keys" not in found
