"""Committee documents and their signatures as files."""

from __future__ import annotations

from pathlib import Path

import pytest

from proofs.committee import CommitteeDocument
from relay.config import (
    dump_committee,
    dump_signatures,
    load_committee,
    load_committee_chain,
    load_signatures,
)
from relay.core.errors import ConfigError
from tests.shells.config.committees import NAMES, make_committee, sign


def write(directory: Path, document: CommitteeDocument, names: tuple[str, ...]) -> Path:
    file = directory / f"epoch-{document.committee_epoch:04d}.toml"
    file.write_text(dump_committee(document))
    file.with_suffix(".sigs").write_text(dump_signatures(document, sign(document, names)))
    return file


def test_the_toml_form_gives_the_same_canonical_bytes(tmp_path: Path) -> None:
    document = make_committee()

    assert load_committee(write(tmp_path, document, NAMES)) == document


def test_the_order_of_members_in_the_file_does_not_matter(tmp_path: Path) -> None:
    document = make_committee()
    head, *members = dump_committee(document).split("\n[[members]]")
    file = tmp_path / "committee.toml"

    file.write_text("\n[[members]]".join([head, *reversed(members)]))

    assert load_committee(file).raw == document.raw


def test_a_chain_of_epochs_is_read_and_verified(tmp_path: Path) -> None:
    first = make_committee()
    second = make_committee(epoch=2, genesis=first.network)
    write(tmp_path, first, NAMES)
    write(tmp_path, second, NAMES[:3])

    assert [signed.document for signed in load_committee_chain(tmp_path)] == [first, second]


@pytest.mark.parametrize(
    ("names", "said"), [(NAMES[:3], "committee-quorum"), ((*NAMES[:3], "mallory"), "committee-signer")]
)
def test_a_genesis_that_not_every_member_signed_is_not_in_force(
    tmp_path: Path, names: tuple[str, ...], said: str
) -> None:
    write(tmp_path, make_committee(), names)

    with pytest.raises(ConfigError, match=said):
        load_committee_chain(tmp_path)


def test_a_gap_in_the_epochs_is_named(tmp_path: Path) -> None:
    document = make_committee()
    write(tmp_path, document, NAMES).rename(tmp_path / "epoch-0002.toml")
    (tmp_path / "epoch-0001.sigs").rename(tmp_path / "epoch-0002.sigs")

    with pytest.raises(ConfigError, match=r"epoch-0002\.toml: committee_epoch: expected epoch 2, got 1"):
        load_committee_chain(tmp_path)


def test_a_directory_without_documents_says_what_belongs_there(tmp_path: Path) -> None:
    with pytest.raises(ConfigError, match=r"epoch-0001\.toml") as refusal:
        load_committee_chain(tmp_path)
    assert refusal.value.remedy


def test_signatures_under_another_document_are_told_apart_from_wrong_ones(tmp_path: Path) -> None:
    file = write(tmp_path, make_committee(), NAMES)

    with pytest.raises(
        ConfigError, match=r"document: expected [0-9a-f]{64}, got [0-9a-f]{64}.*after it was signed"
    ):
        load_signatures(file.with_suffix(".sigs"), make_committee(demo=True))


@pytest.mark.parametrize(
    ("old", "new", "said"),
    [
        ('name = "alice"', 'nam = "alice"', "did you mean name"),
        ('format = "tocsin/committee/1"', 'format = "x"', "expected tocsin/committee/1"),
        ("committee_epoch = 1", "committee_epoch = 0", "committee_epoch: expected an integer from 1"),
        ("committee_epoch = 1", "committee_epoch = 2", "committee-genesis"),
        ('attester = "0x', 'attester = "0xzz', "attester: expected"),
        ('log = "', 'log = "00', "log: expected 64 hex digits, got 66"),
        ("/dns4/alice.example/tcp/4001", "alice.example:4001", "addresses: expected /dns4"),
        ('"eip155:1"', '"mainnet"', "providers.mainnet: expected a CAIP-2 name"),
        ('["one", "two", "three"]', '["one", "one"]', "each item once"),
        ('name = "alice"', 'name = "bob"', "committee-shared-key"),
    ],
)
def test_a_bad_document_is_refused_by_name(tmp_path: Path, old: str, new: str, said: str) -> None:
    text = dump_committee(make_committee())
    assert old in text
    file = tmp_path / "epoch-0001.toml"
    file.write_text(text.replace(old, new, 1))

    with pytest.raises(ConfigError) as refusal:
        load_committee(file)

    assert str(file) in str(refusal.value)
    assert said in str(refusal.value)


def test_three_members_are_no_committee(tmp_path: Path) -> None:
    file = tmp_path / "epoch-0001.toml"
    file.write_text("\n[[members]]".join(dump_committee(make_committee()).split("\n[[members]]")[:-1]))

    with pytest.raises(ConfigError, match="at least 4 members, got 3"):
        load_committee(file)


@pytest.mark.parametrize(
    ("old", "new", "said"),
    [
        ('= "', '= "!', "expected tocsin/committee-signatures/1"),
        ("[signatures]\n", '[signatures]\n"ab" = "AAAA"\n', "64 hex digits in lower case"),
        ("[signatures]\n", f'[signatures]\n"{"ab" * 32}" = "AAAA"\n', "a signature of 64 bytes, got 3"),
        ("[signatures]\n", f'[signatures]\n"{"ab" * 32}" = "?"\n', "a signature in base64"),
        ("format", "fromat", "did you mean format"),
    ],
)
def test_a_bad_signature_file_is_refused_by_name(tmp_path: Path, old: str, new: str, said: str) -> None:
    document = make_committee()
    sigs = write(tmp_path, document, NAMES).with_suffix(".sigs")
    sigs.write_text(sigs.read_text().replace(old, new, 1))

    with pytest.raises(ConfigError, match=said) as refusal:
        load_signatures(sigs, document)
    assert str(sigs) in str(refusal.value)
