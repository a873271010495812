"""Notes, checkpoints, proofs and policies: C2SP to the byte."""

import pytest
from nacl.signing import SigningKey

from proofs.checkpoint import Checkpoint, CheckpointError, checkpoint_text, open_checkpoint, parse_checkpoint
from proofs.hashes import sha256
from proofs.kinds import Digest
from proofs.note import (
    KeyKind,
    Note,
    NoteError,
    NoteSignature,
    cosignature,
    cosigned_bytes,
    format_note,
    format_signing_key,
    format_verifier_key,
    note_signature,
    parse_note,
    parse_signing_key,
    parse_verifier_key,
    verifier_key,
    verify_note,
)
from proofs.policy import (
    Group,
    Policy,
    PolicyError,
    format_policy,
    open_checkpoint_under,
    parse_policy,
    policy_hash,
)
from proofs.text import base64_text, decimal, from_base64
from proofs.tlogproof import TlogProof, TlogProofError, format_tlog_proof, parse_tlog_proof
from proofs.tree import EMPTY_ROOT

# golang.org/x/mod/sumdb/note, example in the package documentation
GO_VKEY = "PeterNeumann+c74f20a3+ARpc2QcUPDhMQegwxbzhKqiBfsVkmqq/LDE4izWy10TW"
GO_SKEY = "PRIVATE+KEY+PeterNeumann+c74f20a3+AYEKFALVFGyNhPJEMzD1QIDr+Y7hfZx09iUvxdXHKDFz"
GO_NOTE = (
    "If you think cryptography is the answer to your problem,\n"
    "then you don't know what your problem is.\n"
    "\n"
    "— PeterNeumann "
    "x08go/ZJkuBS9UG/SffcvIAQxVBtiFupLLr8pAcElZInNIuGUgYN1FFYC2pZSNXgKvqfqdngotpRZb6KE6RyyBwJnAM=\n"
)
# c2sp.org/tlog-cosignature, example checkpoint
C2SP_CHECKPOINT = "example.com/behind-the-sofa\n20852163\nCsUYapGGPo4dkMgIAUqom/Xajj7h2fB2MPA3j2jxq2I=\n"


class Signer:
    """A log or a witness with a fixed seed."""

    def __init__(self, name: str, kind: KeyKind = KeyKind.ED25519) -> None:
        self.secret = SigningKey(sha256(name.encode()))
        self.key = verifier_key(name, kind, bytes(self.secret.verify_key))

    def line(self, text: str, at_s: int = 0) -> NoteSignature:
        if self.key.kind is KeyKind.ED25519:
            return note_signature(self.key, self.secret.sign(text.encode()).signature)
        return cosignature(self.key, at_s, self.secret.sign(cosigned_bytes(text, at_s)).signature)


ALICE = Signer("tower.example/alice")
BOB = Signer("tower.example/bob")
W1, W2, W3 = (Signer(f"witness.example/{n}", KeyKind.COSIGNATURE) for n in (1, 2, 3))
CHECKPOINT = Checkpoint(ALICE.key.name, 5, Digest(sha256(b"root")))
TEXT = checkpoint_text(CHECKPOINT)


def signed(*signers: Signer, text: str = TEXT) -> str:
    return format_note(Note(text, tuple(signer.line(text, at_s=1_700_000_000) for signer in signers)))


def test_a_note_of_another_implementation_verifies() -> None:
    key = parse_verifier_key(GO_VKEY)

    assert verify_note(parse_note(GO_NOTE), [key])[0].key.name == "PeterNeumann"
    assert format_note(parse_note(GO_NOTE)) == GO_NOTE
    assert format_verifier_key(key) == GO_VKEY


def test_a_private_key_string_of_another_implementation_signs_the_same_bytes() -> None:
    key, seed = parse_signing_key(GO_SKEY)
    text = parse_note(GO_NOTE).text

    line = note_signature(key, SigningKey(seed).sign(text.encode()).signature)

    assert format_note(Note(text, (line,))) == GO_NOTE
    assert format_verifier_key(key) == GO_VKEY
    assert format_signing_key(key, seed) == GO_SKEY


def test_the_checkpoint_of_the_specification_reads() -> None:
    checkpoint = parse_checkpoint(C2SP_CHECKPOINT)

    assert (checkpoint.origin, checkpoint.size) == ("example.com/behind-the-sofa", 20_852_163)
    assert checkpoint_text(checkpoint) == C2SP_CHECKPOINT


def test_cosigned_bytes_are_those_of_the_specification() -> None:
    assert cosigned_bytes(C2SP_CHECKPOINT, 1_679_315_147).decode() == (
        "cosignature/v1\ntime 1679315147\n" + C2SP_CHECKPOINT
    )


def test_lines_of_unknown_keys_are_passed_over() -> None:
    verified = verify_note(parse_note(signed(BOB, ALICE, W1)), [ALICE.key, W1.key])

    assert [(signature.key, signature.at_s) for signature in verified] == [
        (ALICE.key, None),
        (W1.key, 1_700_000_000),
    ]


@pytest.mark.parametrize("liar", [ALICE, W1])
def test_a_wrong_signature_of_a_known_key_rejects_the_note(liar: Signer) -> None:
    other = liar.line(TEXT.replace("5", "6"), at_s=1_700_000_000)
    raw = format_note(Note(TEXT, (BOB.line(TEXT), other)))

    with pytest.raises(NoteError) as caught:
        verify_note(parse_note(raw), [liar.key, BOB.key])
    assert caught.value.check == "note-signature"
    assert len(verify_note(parse_note(raw), [BOB.key])) == 1


def test_a_cosignature_at_another_time_is_wrong() -> None:
    line = W1.line(TEXT, at_s=1_700_000_000)
    moved = NoteSignature(line.name, line.key_id, (1_700_000_001).to_bytes(8, "big") + line.signature[8:])

    with pytest.raises(NoteError, match="note-signature"):
        verify_note(Note(TEXT, (moved,)), [W1.key])


def test_a_note_by_nobody_known_is_rejected() -> None:
    with pytest.raises(NoteError) as caught:
        verify_note(parse_note(signed(BOB)), [ALICE.key])
    assert caught.value.check == "note-unsigned"


@pytest.mark.parametrize(
    "raw",
    [
        "",
        "text\n",
        "text\n\n",
        "text\n\n— name AAAAAAA=",
        "text\n\n- name AAAAAAA=\n",
        "text\n\n— name AAAA\n",
        "text\n\n— name AAAAAA=\n",
        "text\n\n— name AAAAAAA=\n\n",
        "text\n\n—  AAAAAAA=\n",
        "text\n\n— name AAAAAAA= \n",
        "text\n\n— name AAAAAAB=\n",
        "text\n\n— na+me AAAAAAA=\n",
        "text\n\n— na\u00a0me AAAAAAA=\n",
        "te\ud800xt\n\n— name AAAAAAA=\n",
        "text\n\n— na\udfffme AAAAAAA=\n",
        "te\rxt\n\n— name AAAAAAA=\n",
        "x" * 65_536 + "\n\n— name AAAAAAA=\n",
        "text\n\n" + "— name AAAAAAA=\n" * 129,
    ],
)
def test_a_note_of_another_form_is_refused(raw: str) -> None:
    with pytest.raises(NoteError) as caught:
        parse_note(raw)
    assert caught.value.check == "note-form"


@pytest.mark.parametrize(
    "text",
    [
        "",
        GO_VKEY[:-1],
        GO_VKEY.replace("c74f20a3", "c74f20a4"),
        GO_VKEY.replace("c74f20a3", "C74F20A3"),
        GO_VKEY.replace("PeterNeumann", "PaulNeumann"),
        GO_VKEY.replace("PeterNeumann", ""),
        GO_VKEY.replace("PeterNeumann", "Peter Neumann"),
        "name+00000000+Bg==",
        GO_SKEY,
    ],
)
def test_a_key_string_of_another_form_is_refused(text: str) -> None:
    with pytest.raises(NoteError) as caught:
        parse_verifier_key(text)
    assert caught.value.check == "note-key"
    with pytest.raises(NoteError):
        parse_signing_key(f"PRIVATE+KEY+{text}")


def test_an_error_about_a_private_key_does_not_repeat_it() -> None:
    with pytest.raises(NoteError) as caught:
        parse_signing_key(GO_SKEY.replace("c74f20a3", "00000000"))
    assert "AYEKFALV" not in str(caught.value)


@pytest.mark.parametrize(
    "text",
    [
        "",
        "origin\n5\n",
        TEXT + "extension\n",
        TEXT[:-1],
        TEXT.replace("\n5\n", "\n05\n"),
        TEXT.replace("\n5\n", "\n-5\n"),
        TEXT.replace("\n5\n", "\n٥\n"),
        TEXT.replace("\n5\n", "\n9223372036854775808\n"),
        TEXT.replace("\n5\n", "\n0\n"),
        "\n" + TEXT.partition("\n")[2],
        f"origin\n5\n{base64_text(bytes(31))}\n",
        f"origin\n5\n{base64_text(bytes(32))[:-2]}B=\n",
    ],
)
def test_a_checkpoint_of_another_form_is_refused(text: str) -> None:
    with pytest.raises(CheckpointError) as caught:
        parse_checkpoint(text)
    assert caught.value.check == "checkpoint-form"


def test_the_empty_log_has_a_checkpoint() -> None:
    empty = Checkpoint("tower.example/alice", 0, EMPTY_ROOT)

    assert parse_checkpoint(checkpoint_text(empty)) == empty


def test_an_opened_checkpoint_names_its_log_and_the_known_witnesses() -> None:
    opened = open_checkpoint(signed(W2, ALICE, W1, BOB), [ALICE.key], [W1.key])

    assert opened.checkpoint == CHECKPOINT
    assert opened.log == ALICE.key
    assert [signature.key for signature in opened.cosigned] == [W1.key]


def test_a_checkpoint_is_signed_by_the_log_it_names() -> None:
    with pytest.raises(CheckpointError) as caught:
        open_checkpoint(signed(BOB), [ALICE.key, BOB.key])
    assert caught.value.check == "checkpoint-origin"
    with pytest.raises(NoteError, match="note-unsigned"):
        open_checkpoint(signed(W1), [ALICE.key], [W1.key])


def test_the_log_of_a_checkpoint_is_the_signer_that_it_names_whoever_signs_beside_it() -> None:
    opened = open_checkpoint(signed(BOB, ALICE), [BOB.key, ALICE.key])

    assert opened.log == ALICE.key


def test_base64_and_decimals_have_one_spelling() -> None:
    assert from_base64(base64_text(b"bell")) == b"bell"
    assert [from_base64(text) for text in ("YmVsbA", "YmVsbB==", "YmVsbA==\n", "Ym VsbA==", "é")] == [
        None
    ] * 5
    assert [decimal(text) for text in ("0", "7", "00", "+1", "", "1_0", " 1", "1\n")] == [0, 7] + [None] * 6


PROOF = TlogProof(7, (Digest(sha256(b"a")), Digest(sha256(b"b"))), signed(ALICE))


@pytest.mark.parametrize("proof", [PROOF, TlogProof(0, (), signed(ALICE)), TlogProof(7, (), "x", b"more")])
def test_a_proof_comes_back(proof: TlogProof) -> None:
    assert parse_tlog_proof(format_tlog_proof(proof)) == proof


def test_a_proof_has_the_lines_of_the_specification() -> None:
    assert format_tlog_proof(TlogProof(73_894, PROOF.path, "checkpoint\n", b"x")) == (
        "c2sp.org/tlog-proof@v1\nextra eA==\nindex 73894\n"
        f"{base64_text(PROOF.path[0])}\n{base64_text(PROOF.path[1])}\n\ncheckpoint\n"
    )


@pytest.mark.parametrize(
    "text",
    [
        "",
        "c2sp.org/tlog-proof@v2\nindex 0\n\nx",
        "c2sp.org/tlog-proof@v1\n\nx",
        "c2sp.org/tlog-proof@v1\nindex 00\n\nx",
        "c2sp.org/tlog-proof@v1\nindex 0",
        "c2sp.org/tlog-proof@v1\nextra !\nindex 0\n\nx",
        "c2sp.org/tlog-proof@v1\nindex 0\nextra eA==\n\nx",
        "c2sp.org/tlog-proof@v1\nindex 0\nAAAA\n\nx",
        "c2sp.org/tlog-proof@v1\nindex 0\n" + (base64_text(bytes(32)) + "\n") * 64 + "\nx",
        "x" * 131_073,
    ],
)
def test_a_proof_of_another_form_is_refused(text: str) -> None:
    with pytest.raises(TlogProofError) as caught:
        parse_tlog_proof(text)
    assert caught.value.check == "tlog-proof-form"


LOG = f"log {format_verifier_key(ALICE.key)}"
WITNESS = f"witness one {format_verifier_key(W1.key)}"
POLICY = Policy(
    logs=(ALICE.key, BOB.key),
    witnesses={"one": W1.key, "two": W2.key, "three": W3.key},
    groups={"pair": Group(2, ("one", "two")), "any": Group(1, ("pair", "three"))},
    quorum="any",
)


def test_a_policy_comes_back_and_is_pinned_by_its_bytes() -> None:
    raw = format_policy(POLICY)

    assert parse_policy(raw) == POLICY
    assert policy_hash(raw) == sha256(raw)


def test_a_policy_is_read_with_comments_tabs_urls_and_words_for_numbers() -> None:
    raw = f"""
# towers
log {format_verifier_key(ALICE.key)} https://alice.example/
\t witness\tone  {format_verifier_key(W1.key)} https://one.example/
witness two {format_verifier_key(W2.key)}
witness three {format_verifier_key(W3.key)}
group pair all one two
group any any pair three
quorum any
"""
    expected = Policy((ALICE.key,), POLICY.witnesses, POLICY.groups, "any")

    assert parse_policy(raw.encode()) == expected


def test_names_in_a_policy_are_octets_and_come_back_as_they_were() -> None:
    raw = LOG.encode() + b"\n" + WITNESS.replace("one", "w\u00e9").encode() + b"\n"
    raw += f"witness x {format_verifier_key(W2.key)}\n".encode().replace(b" x ", b" \xff\xfe ")
    raw += b"group \xe2\x84\xaa 2 w\xc3\xa9 \xff\xfe\nquorum \xe2\x84\xaa\n"

    assert format_policy(parse_policy(raw)) == raw
    with pytest.raises(PolicyError, match="policy-form"):
        parse_policy(raw.replace(b"quorum \xe2\x84\xaa", b"quorum K"))


@pytest.mark.parametrize(
    ("witnesses", "reached"),
    [((), False), ((W1,), False), ((W1, W2), True), ((W3,), True), ((W2, W3), True), ((W1, BOB), False)],
)
def test_a_checkpoint_needs_its_quorum(witnesses: tuple[Signer, ...], reached: bool) -> None:
    raw = signed(ALICE, *witnesses)

    if reached:
        assert open_checkpoint_under(raw, POLICY).checkpoint == CHECKPOINT
    else:
        with pytest.raises(PolicyError) as caught:
            open_checkpoint_under(raw, POLICY)
        assert caught.value.check == "policy-quorum"


def test_quorum_none_asks_for_no_witness_but_for_a_log() -> None:
    policy = parse_policy(f"log {format_verifier_key(ALICE.key)}\nquorum none\n".encode())

    assert open_checkpoint_under(signed(ALICE), policy).cosigned == ()
    with pytest.raises(NoteError, match="note-unsigned"):
        open_checkpoint_under(signed(BOB), policy)


@pytest.mark.parametrize(
    "lines",
    [
        [],
        [LOG],
        ["quorum none", "quorum none"],
        ["quorum"],
        ["quorum one", WITNESS],
        ["quorum none", "observer x"],
        [LOG, LOG, "quorum none"],
        [LOG.replace("log", "log x y"), "quorum none"],
        [f"log {format_verifier_key(W1.key)}", "quorum none"],
        [f"witness one {format_verifier_key(ALICE.key)}", "quorum none"],
        [WITNESS, WITNESS.replace("one", "two", 1), "quorum none"],
        [WITNESS, f"witness one {format_verifier_key(W2.key)}", "quorum none"],
        [WITNESS.replace("one", "none", 1), "quorum none"],
        [WITNESS, "group g 2 one", "quorum g"],
        [WITNESS, "group g 0 one", "quorum g"],
        [WITNESS, "group g some one", "quorum g"],
        [WITNESS, "group g any", "quorum one"],
        [WITNESS, "group g any one one", "quorum g"],
        [WITNESS, "group g any two", "quorum g"],
        [WITNESS, "group g any g", "quorum g"],
        [WITNESS, "group g any one", "group h any one", "quorum g"],
        [WITNESS, "group one any one", "quorum one"],
        ["quorum none\r"],
        ["# \x07", "quorum none"],
        ["# \x7f", "quorum none"],
        ["log x+y", "quorum none"],
        ["#" * 65_536, "quorum none"],
        [*[f"log {format_verifier_key(Signer(str(n)).key)}" for n in range(65)], "quorum none"],
    ],
)
def test_a_policy_of_another_form_is_refused(lines: list[str]) -> None:
    with pytest.raises(PolicyError) as caught:
        parse_policy("\n".join(lines).encode())
    assert caught.value.check == "policy-form"
