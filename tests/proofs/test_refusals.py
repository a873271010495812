"""Whatever bytes a stranger sends, reading them ends in a value or in an error of evidence."""

from collections.abc import Callable
from contextlib import suppress

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from proofs.bundle import decode_bundle
from proofs.checkpoint import checkpoint_text, open_checkpoint
from proofs.disclosure import DisclosureFile, decode_disclosure, disclose, encode_disclosure
from proofs.errors import ProofError
from proofs.fields import FieldError, text_of
from proofs.forks import check_fork, decode_fork, encode_fork
from proofs.hashes import sha256
from proofs.note import parse_note, parse_signatures, parse_verifier_key
from proofs.policy import Policy, format_policy, open_checkpoint_under, parse_policy
from proofs.tiles import decode_entries, encode_entries, parse_tile_path
from proofs.tlogproof import TlogProof, format_tlog_proof, parse_tlog_proof
from proofs.witness import (
    AddCheckpoint,
    Answer,
    Opened,
    format_add_checkpoint,
    judge,
    open_request,
    parse_add_checkpoint,
    read_answer,
)
from tests.proofs.notary import Log, Signer, witness

ALICE = Signer("tower.example/alice")
WITNESS = witness("w")
LOG = Log(ALICE).grow(b"a", b"b", b"c")
OTHER = Log(ALICE).grow(b"a", b"b", b"x")
KEYS = {ALICE.key.name: [ALICE.key]}
POLICY = Policy((ALICE.key,), {"w": WITNESS.key}, {}, "w")
TEXT = checkpoint_text(LOG.checkpoint())
SEALED = disclose({"note": "x", "reporter": "y"}, sha256(b"seed"), "note")


def judged(raw: bytes) -> None:
    opened = open_request(raw, KEYS)
    answer = judge(opened, None) if isinstance(opened, Opened) else opened
    assert not isinstance(answer, Answer) or answer.status in (400, 403, 404, 409, 422)


def texts(read: Callable[[str], object]) -> Callable[[bytes], object]:
    # JSON can say lone surrogates: so must what reads text out of it.
    return lambda raw: read(raw.decode(errors="surrogateescape"))


READERS: dict[str, tuple[Callable[[bytes], object], bytes]] = {
    "answer": (
        lambda raw: read_answer(200, raw, (LOG.checkpoint(), WITNESS.key), now_s=1),
        format_add_checkpoint(AddCheckpoint(0, (), LOG.note())),
    ),
    "bundle": (
        decode_bundle,
        b'{"schema": "tocsin/bundle/4", "network": "\\ud800", "log": {"vkey": "\\ud800"}}',
    ),
    "checkpoint": (texts(lambda text: open_checkpoint_under(text, POLICY, now_s=1)), LOG.note().encode()),
    "disclosure": (decode_disclosure, encode_disclosure(DisclosureFile(b"envelope", (SEALED,)))),
    "entries": (lambda raw: decode_entries(raw, 3), encode_entries([b"a", b"bb", b""])),
    "fork": (decode_fork, encode_fork(check_fork(LOG.note(), OTHER.note(), [ALICE.key]))),
    "judged": (judged, format_add_checkpoint(AddCheckpoint(0, (), LOG.note(2)))),
    "key": (texts(parse_verifier_key), b"PeterNeumann+c74f20a3+ARpc2QcUPDhMQegwxbzhKqiBfsVkmqq/LDE4izWy10TW"),
    "note": (texts(parse_note), LOG.note(others=[WITNESS]).encode()),
    "policy": (parse_policy, format_policy(POLICY)),
    "proof": (texts(parse_tlog_proof), format_tlog_proof(TlogProof(1, LOG.proof(2), LOG.note())).encode()),
    "request": (parse_add_checkpoint, format_add_checkpoint(AddCheckpoint(2, LOG.proof(2), LOG.note()))),
    "signatures": (texts(parse_signatures), LOG.note().encode().rpartition(b"\n\n")[2]),
    "signed": (texts(lambda text: open_checkpoint(text, [ALICE.key])), LOG.note().encode()),
    "tile path": (texts(parse_tile_path), b"tile/0/x001/234.p/5"),
}


@pytest.mark.parametrize("name", READERS)
@settings(max_examples=25, deadline=None)
@given(st.data())
def test_reading_ends_in_a_value_or_in_an_error_of_evidence(name: str, data: st.DataObject) -> None:
    read, good = READERS[name]
    start, end = sorted((data.draw(st.integers(0, len(good))), data.draw(st.integers(0, len(good)))))
    put = data.draw(
        st.one_of(st.binary(max_size=40), st.sampled_from([b"\xed\xa0\x80", b"\\ud800", b"\n\n", b"1e9"]))
    )

    with suppress(ProofError):
        read(good[:start] + put + good[end:])


def test_a_lone_surrogate_which_json_can_say_is_no_text() -> None:
    with pytest.raises(FieldError) as caught:
        text_of("\ud800", "bundle.log.vkey", max_bytes=512)
    assert caught.value.check == "shape"
