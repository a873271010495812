"""Evidence that a log told two stories: who can make it, and what is none."""

import json

import pytest

from proofs.checkpoint import Checkpoint, checkpoint_text
from proofs.errors import ProofError
from proofs.forks import ForkError, check_fork, decode_fork, encode_fork
from proofs.hashes import sha256
from proofs.kinds import Digest
from proofs.note import KeyKind, Note, format_note, format_verifier_key
from tests.proofs.notary import Log, Signer, tampered, witness

ALICE = Signer("tower.example/alice")
SUCCESSOR = Signer(ALICE.key.name, salt="a later key")
BOB = Signer("tower.example/bob")
LOG = Log(ALICE).grow(b"a", b"b", b"c")
OTHER = Log(ALICE).grow(b"a", b"b", b"x")
KEYS = [ALICE.key, SUCCESSOR.key, BOB.key]
FORK = check_fork(LOG.note(), OTHER.note(), KEYS)
FILE = encode_fork(FORK)


def test_one_size_two_roots_and_one_key_convict_its_holder_in_any_order() -> None:
    assert check_fork(OTHER.note(), LOG.note(others=[witness("w")]), KEYS) == FORK
    assert (FORK.origin, FORK.key, FORK.size) == (ALICE.key.name, ALICE.key, 3)
    assert {FORK.first_root, FORK.second_root} == {LOG.checkpoint().root, OTHER.checkpoint().root}
    assert FORK.first_root < FORK.second_root


def test_a_log_that_signs_under_two_keys_is_convicted_by_either() -> None:
    texts = [checkpoint_text(log.checkpoint()) for log in (LOG, OTHER)]
    both = format_note(Note(texts[0], (SUCCESSOR.line(texts[0]), ALICE.line(texts[0]))))
    old, new = (format_note(Note(texts[1], (each.line(texts[1]),))) for each in (ALICE, SUCCESSOR))

    assert check_fork(both, old, KEYS) == FORK
    assert check_fork(new, both, KEYS).key == SUCCESSOR.key


def test_who_signs_for_a_log_that_is_not_his_is_not_convicted_for_it() -> None:
    texts = [checkpoint_text(log.checkpoint()) for log in (LOG, OTHER)]
    notes = [format_note(Note(text, (BOB.line(text), ALICE.line(text)))) for text in texts]

    assert check_fork(notes[0], notes[1], [BOB.key, ALICE.key]) == FORK
    with pytest.raises(ProofError, match="checkpoint-origin"):
        check_fork(notes[0], notes[1], [BOB.key])


def test_two_logs_that_sign_for_each_other_are_two_logs() -> None:
    texts = [checkpoint_text(log.checkpoint()) for log in (LOG, Log(BOB).grow(b"x", b"y", b"z"))]
    notes = [format_note(Note(text, (ALICE.line(text), BOB.line(text)))) for text in texts]

    for pair in (notes, notes[::-1]):
        with pytest.raises(ForkError, match="fork-origin"):
            check_fork(pair[0], pair[1], KEYS)


def test_the_evidence_is_a_file_that_convicts_by_itself() -> None:
    assert decode_fork(FILE) == FORK
    assert json.loads(FILE)["schema"] == "tocsin/fork/1"
    assert len(FILE) < 700


@pytest.mark.parametrize(
    ("first", "second", "check"),
    [
        (LOG.note(), LOG.note(), "fork-same"),
        (LOG.note(2), OTHER.note(2), "fork-same"),
        (LOG.note(2), OTHER.note(3), "fork-same"),
        (LOG.note(), Log(BOB).grow(b"x", b"y", b"z").note(), "fork-origin"),
        (LOG.note(), Log(SUCCESSOR).grow(b"x", b"y", b"z").note(), "fork-origin"),
        (LOG.note(), Log(Signer("nobody")).grow(b"x", b"y", b"z").note(), "note-unsigned"),
        (LOG.note(), "no note", "note-form"),
        (LOG.note(), format_note(Note("text\n", (ALICE.line("text\n"),))), "checkpoint-form"),
        (LOG.note(), LOG.note().replace("\n3\n", "\n4\n"), "note-signature"),
        (LOG.note(), format_note(Note("x\n0\n\n", (ALICE.line("x\n0\n\n"),))), "checkpoint-form"),
    ],
)
def test_what_does_not_contradict_convicts_nobody(first: str, second: str, check: str) -> None:
    for pair in [(first, second), (second, first)]:
        with pytest.raises(ProofError) as caught:
            check_fork(*pair, KEYS)
        assert caught.value.check == check


def test_two_cosignatures_convict_no_log() -> None:
    cosigner = Signer(ALICE.key.name, KeyKind.COSIGNATURE)
    notes = [
        format_note(Note(text, (cosigner.line(text),)))
        for text in (checkpoint_text(log.checkpoint()) for log in (LOG, OTHER))
    ]

    with pytest.raises(ProofError, match="note-unsigned"):
        check_fork(notes[0], notes[1], [cosigner.key])


def test_a_log_signing_for_another_origin_is_not_convicted() -> None:
    foreign = checkpoint_text(Checkpoint(BOB.key.name, 3, Digest(sha256(b"root"))))

    with pytest.raises(ProofError, match="checkpoint-origin"):
        check_fork(LOG.note(), format_note(Note(foreign, (ALICE.line(foreign),))), KEYS)


def test_no_byte_of_the_evidence_can_be_changed() -> None:
    for changed in tampered(FILE):
        with pytest.raises(ProofError):
            decode_fork(changed)


def spelled(**changes: object) -> bytes:
    parts = {**json.loads(FILE), **changes}
    return (
        json.dumps({k: v for k, v in parts.items() if v is not None}, indent=1, sort_keys=True).encode()
        + b"\n"
    )


@pytest.mark.parametrize(
    ("data", "check"),
    [
        (b"", "fork-form"),
        (b"[" * 100, "fork-form"),
        (b"\xff", "fork-form"),
        (FILE[:-1], "fork-form"),
        (FILE + b"\n", "fork-form"),
        (FILE + b" " * 20_000, "fork-form"),
        (FILE.replace(b"{", b'{"schema": "tocsin/fork/1",', 1), "fork-form"),
        (spelled(schema="tocsin/fork/2"), "fork-form"),
        (spelled(schema=1.5), "fork-form"),
        (spelled(first=None), "fork-form"),
        (spelled(more="x"), "fork-form"),
        (spelled(first=["x"]), "fork-form"),
        (spelled(first="x" * 5_000), "fork-form"),
        (spelled(vkey="\ud800"), "fork-form"),
        (spelled(first="\ud800"), "note-form"),
        (spelled(vkey="alice+00000000+AAAA"), "fork-form"),
        (spelled(vkey=format_verifier_key(BOB.key)), "note-unsigned"),
        (spelled(vkey=format_verifier_key(SUCCESSOR.key)), "note-unsigned"),
        (spelled(first=FORK.second, second=FORK.first), "fork-form"),
        (spelled(first=FORK.second), "fork-same"),
        (spelled(second=LOG.note(2)), "fork-same"),
        (spelled(first=FORK.first + "— x AAAAAAA=\n"), "fork-form"),
    ],
)
def test_a_file_that_is_no_evidence_is_refused(data: bytes, check: str) -> None:
    with pytest.raises(ProofError) as caught:
        decode_fork(data)
    assert caught.value.check == check


def test_the_errors_of_forks_are_their_own() -> None:
    with pytest.raises(ForkError):
        decode_fork(b"")
