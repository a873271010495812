"""What `tocsin doctor` says of group keys: whether this node can sign with those in force."""

from __future__ import annotations

from dataclasses import replace
from pathlib import Path

import pytest

from proofs.kinds import Identity
from relay.cli.findings import Finding
from relay.cli.key_findings import group_key_findings
from relay.config import NodeDirectory, dump_keys, keys_file
from relay.core.committees import Committees
from relay.keys import PublicKeys
from tests.shells.config.committees import make_committee
from tests.shells.config.keysets import kept, keys_of

COMMITTEE = make_committee()
KEPT = kept(keys_of(COMMITTEE), COMMITTEE)
ME = PublicKeys(COMMITTEE.members[0].identity, COMMITTEE.members[0].attester, bytes(32), bytes(32), {})


@pytest.fixture
def directory(tmp_path: Path) -> NodeDirectory:
    found = NodeDirectory(tmp_path, "acme")
    found.create()
    return found


def found_in(directory: NodeDirectory, keys: PublicKeys | None = ME) -> list[Finding]:
    return list(group_key_findings(directory, Committees((COMMITTEE,)), keys, 1_800_000_000))


def write(directory: NodeDirectory) -> None:
    keys_file(directory.committee, KEPT.document).write_text(dump_keys(KEPT))


def test_without_group_keys_there_are_lists(directory: NodeDirectory) -> None:
    (finding,) = found_in(directory)

    assert (finding.held, "lists of signatures" in finding.detail) == (True, True)


def test_a_holder_without_its_share_is_told_what_to_do(directory: NodeDirectory) -> None:
    write(directory)

    (finding,) = found_in(directory)
    assert (finding.held, "reshare --replace" in finding.remedy) == (False, True)

    share = directory.keys / "threshold" / "1-1.shares"
    share.parent.mkdir()
    share.touch()
    (finding,) = found_in(directory)
    assert (finding.held, "this node has its share" in finding.detail) == (True, True)


def test_who_is_no_holder_needs_no_share_and_without_passphrase_it_is_not_told(
    directory: NodeDirectory,
) -> None:
    write(directory)

    (stranger,) = found_in(directory, replace(ME, identity=Identity(bytes(32))))
    assert (stranger.held, "none of them" in stranger.detail) == (True, True)
    assert [finding.held for finding in found_in(directory, None)] == [None]


def test_a_file_that_is_not_in_force_is_named(directory: NodeDirectory) -> None:
    keys_file(directory.committee, KEPT.document).write_text("format = 7")

    spoilt, none = found_in(directory)

    assert (spoilt.held, "keys-0001-0001.keys" in spoilt.detail) == (False, True)
    assert "none of key epoch 1" in none.detail
