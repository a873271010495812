"""`tocsin ceremony verify` and `blame`: what holds, what does not, and who did it, offline."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import replace
from pathlib import Path

import pytest

from proofs.committee import committee_signing_bytes
from proofs.groupkeys import SignedKeys
from relay.cli.settings import Answer
from relay.config import KeptKeys, dump_committee, dump_keys, dump_signatures, keys_file
from relay.threshold.blame import Evidence, read_evidence, write_evidence
from relay.threshold.messages import CeremonyMessage, Deal
from tests.cli.calls import tocsin
from tests.core.parish import Parish
from tests.shells.config.committees import identity_key, make_committee
from tests.shells.config.keysets import kept, keys_of
from tests.sim.keys import Keys

COMMITTEE = make_committee()
DEALT = keys_of(COMMITTEE)
KEPT = kept(DEALT, COMMITTEE)


@pytest.fixture
def directory(tmp_path: Path) -> Path:
    """A directory of signed committee documents."""
    found = tmp_path / "committee"
    found.mkdir()
    signatures = {
        member.identity: identity_key(member.name).sign(committee_signing_bytes(COMMITTEE.raw)).signature
        for member in COMMITTEE.members
    }
    (found / "epoch-0001.toml").write_text(dump_committee(COMMITTEE))
    (found / "epoch-0001.sigs").write_text(dump_signatures(COMMITTEE, signatures))
    return found


def write(directory: Path, keys: KeptKeys) -> Path:
    file = keys_file(directory, keys.document)
    file.write_text(dump_keys(keys))
    return file


def test_keys_in_force_are_verified_offline(directory: Path) -> None:
    said = tocsin("ceremony", "verify", write(directory, KEPT), "--committee", directory)

    assert said.code == Answer.YES, said.out + said.err
    assert "✓ signatures  all holders: " in said.out
    assert "✓ possession fast" in said.out
    assert "✓ possession full" in said.out
    document = tocsin(
        "ceremony", "verify", keys_file(directory, KEPT.document), "--committee", directory, "--json"
    ).document
    assert (document["schema"], document["in_force"]) == ("tocsin/ceremony-keys/1", True)


def test_a_key_that_has_not_signed_for_itself_is_could_not_tell(directory: Path) -> None:
    file = write(directory, replace(KEPT, possession={"fast": KEPT.possession["fast"]}))

    said = tocsin("ceremony", "verify", file, "--committee", directory)

    assert said.code == Answer.UNKNOWN
    assert "? possession full" in said.out


def test_keys_that_a_holder_has_not_signed_are_no(directory: Path) -> None:
    some = dict(list(KEPT.signed.signatures.items())[1:])
    file = write(directory, KeptKeys(SignedKeys(KEPT.document, some)))

    said = tocsin("ceremony", "verify", file, "--committee", directory)

    assert said.code == Answer.NO
    assert "✗ keys-unsigned" in said.out


def test_without_committee_documents_it_says_what_is_missing(directory: Path) -> None:
    for file in directory.iterdir():
        file.rename(directory.parent / file.name)

    said = tocsin("ceremony", "verify", write(directory, KEPT), "--committee", directory)

    assert said.code == Answer.USAGE
    assert "put the network's signed committee documents there" in said.err


def test_a_reshare_is_compared_with_the_generation_before(directory: Path) -> None:
    write(directory, KEPT)
    same = write(directory, kept(keys_of(COMMITTEE, 2, again=DEALT), COMMITTEE))

    said = tocsin("ceremony", "verify", same, "--committee", directory)
    assert said.code == Answer.YES, said.out
    assert "the keys are those of generation 1" in said.out

    write(directory, kept(keys_of(COMMITTEE, 3), COMMITTEE))
    said = tocsin("ceremony", "verify", same, "--committee", directory)
    assert said.code == Answer.NO
    assert "✗ keys-changed" in said.out


@pytest.fixture(scope="module")
def evidence() -> tuple[Parish, bytes]:
    """A parish in which carol dealt with a wrong proof, and the file that says so."""
    parish = Parish()

    def spoil(author: Keys, message: CeremonyMessage) -> Sequence[CeremonyMessage]:
        if author.name == "carol" and isinstance(message, Deal):
            return [
                replace(message, groups=(replace(message.groups[0], proof=bytes(65)), *message.groups[1:]))
            ]
        return [message]

    parish.twist = spoil
    parish.join(parish.propose())
    (raw,) = parish["alice"].evidence.values()
    return parish, raw


@pytest.fixture
def blamed(tmp_path: Path, evidence: tuple[Parish, bytes]) -> tuple[Path, Path]:
    parish, raw = evidence
    directory = tmp_path / "committee"
    directory.mkdir()
    # The members of a parish have no address; their document is read as it is signed.
    committee = parish.committee
    signatures = {
        priest.identity: priest.keys.identity_key.sign(committee_signing_bytes(committee.raw)).signature
        for priest in parish.priests
    }
    (directory / "epoch-0001.toml").write_text(dump_committee(committee))
    (directory / "epoch-0001.sigs").write_text(dump_signatures(committee, signatures))
    file = tmp_path / "carol.blame"
    file.write_bytes(raw)
    return file, directory


def test_evidence_names_the_faulty_party(blamed: tuple[Path, Path]) -> None:
    file, directory = blamed

    said = tocsin("ceremony", "blame", file, "--committee", directory)

    assert said.code == Answer.YES, said.err
    assert "at fault: carol" in said.out
    assert "a wrong proof of the constant term" in said.out


def test_what_convicts_nobody_says_why_not(blamed: tuple[Path, Path]) -> None:
    file, directory = blamed
    half = read_evidence(file.read_bytes())
    file.write_bytes(write_evidence(Evidence(half.envelopes[:1])))

    said = tocsin("ceremony", "blame", file, "--committee", directory)

    assert said.code == Answer.NO
    assert "evidence: expected" in said.err


@pytest.mark.parametrize("spoil", [b"", b"\x00", b"x" * 100, b"x" * ((1 << 20) + 1)])
def test_a_file_that_is_no_evidence_is_told(blamed: tuple[Path, Path], spoil: bytes) -> None:
    file, directory = blamed
    file.write_bytes(spoil)

    said = tocsin("ceremony", "blame", file, "--committee", directory)

    assert said.code in (Answer.NO, Answer.USAGE)
    assert "expected" in said.err


def test_truncated_and_altered_evidence_convicts_nobody(blamed: tuple[Path, Path]) -> None:
    file, directory = blamed
    raw = file.read_bytes()
    for altered in (raw[:-1], raw[: len(raw) // 2], bytes([raw[0]]) + raw[1:-1] + bytes([raw[-1] ^ 1])):
        file.write_bytes(altered)
        assert tocsin("ceremony", "blame", file, "--committee", directory).code == Answer.NO
