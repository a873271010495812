"""A witness: what it cosigns, what it answers, and what an asker believes (C2SP tlog-witness)."""

from dataclasses import replace

import pytest

from proofs.checkpoint import checkpoint_text, open_checkpoint
from proofs.kinds import Digest
from proofs.note import KeyKind, Note, NoteError, NoteSignature, format_note, parse_note
from proofs.tree import EMPTY_ROOT
from proofs.witness import (
    MAX_REQUEST_BYTES,
    SIZE_CONTENT,
    Accepted,
    AddCheckpoint,
    Answer,
    Cosigned,
    Held,
    Opened,
    Refused,
    WitnessError,
    WrongSize,
    accepted_answer,
    add_cosignatures,
    format_add_checkpoint,
    judge,
    open_request,
    parse_add_checkpoint,
    read_answer,
)
from tests.proofs.notary import NOW_S, Log, Signer, tampered, witness

ALICE = Signer("tower.example/alice")
BOB = Signer("tower.example/bob")
W1, W2 = witness("w1"), witness("w2")
LOGS = {ALICE.key.name: [ALICE.key]}
ENTRIES = [bytes([number]) for number in range(20)]
LOG = Log(ALICE).grow(*ENTRIES)
OTHER = Log(ALICE).grow(*reversed(ENTRIES))
AT_13 = Held(13, LOG.checkpoint(13).root)
GOOD = AddCheckpoint(13, LOG.proof(13), LOG.note())

# c2sp.org/tlog-witness, example request
C2SP_REQUEST = """old 20852014
PlRNCrwHpqhGrupue0L7gxbjbMiKA9temvuZZDDpkaw=
jrJZDmY8Y7SyJE0MWLpLozkIVMSMZcD5kvuKxPC3swk=
5+pKlUdi2LeF/BcMHBn+Ku6yhPGNCswZZD1X/6QgPd8=
/6WVhPs2CwSsb5rYBH5cjHV/wSmA79abXAwhXw3Kj/0=

example.com/behind-the-sofa
20852163
CsUYapGGPo4dkMgIAUqom/Xajj7h2fB2MPA3j2jxq2I=

— example.com/behind-the-sofa Az3grlgtzPICa5OS8npVmf1Myq/5IZniMp+ZJurmRDeOoRDe4URYN7u5/Zhcyv2q1gGzGku9nTo+zyWE+xeMcTOAYQ8=
— example.com/behind-the-sofa opLqBQsREYCgu6xQkYQwJr9fo45a62DN9EdmHXnZdXNqlcVGlCum2Wks+49/V6267UEjw6QUXTS5Rovnzv++qbSzm9Q=
"""  # noqa: E501


def answer(request: AddCheckpoint | bytes, held: Held | None) -> Answer | Accepted:
    raw = request if isinstance(request, bytes) else format_add_checkpoint(request)
    opened = open_request(raw, LOGS)
    return judge(opened, held) if isinstance(opened, Opened) else opened


def status(request: AddCheckpoint | bytes, held: Held | None) -> int:
    answered = answer(request, held)
    return answered.status if isinstance(answered, Answer) else 200


def test_the_request_of_the_specification_reads_and_comes_back() -> None:
    request = parse_add_checkpoint(C2SP_REQUEST.encode())

    assert (request.old, len(request.proof)) == (20_852_014, 4)
    assert format_add_checkpoint(request) == C2SP_REQUEST.encode()


def test_what_follows_from_what_is_held_is_accepted_and_held_from_then_on() -> None:
    accepted = answer(GOOD, AT_13)

    assert accepted == Accepted(Held(20, LOG.checkpoint().root), checkpoint_text(LOG.checkpoint()))
    assert answer(AddCheckpoint(20, (), LOG.note()), Held(20, LOG.checkpoint().root)) == accepted


@pytest.mark.parametrize("held", [None, Held(0, EMPTY_ROOT)])
def test_the_first_checkpoint_of_a_log_needs_no_proof_and_takes_none(held: Held | None) -> None:
    assert status(AddCheckpoint(0, (), LOG.note()), held) == 200
    assert status(AddCheckpoint(0, (), Log(ALICE).note()), held) == 200
    assert status(AddCheckpoint(0, LOG.proof(13), LOG.note()), held) == 422


def test_every_pair_of_sizes_is_accepted_with_its_own_proof_only() -> None:
    for old in range(21):
        for new in range(old, 21):
            held = Held(old, LOG.checkpoint(old).root)
            request = AddCheckpoint(old, LOG.proof(old, new), LOG.note(new))
            assert status(request, held) == 200
            assert status(replace(request, proof=(*request.proof, LOG.read(0, 0))), held) == 422


def test_another_size_than_the_one_held_is_told_the_size() -> None:
    assert answer(replace(GOOD, old=12), AT_13) == Answer(409, b"13\n", SIZE_CONTENT)
    assert answer(GOOD, None) == Answer(409, b"0\n", SIZE_CONTENT)
    # The size is looked at before the proof: whoever knows nothing asks from 0.
    assert answer(AddCheckpoint(0, (), LOG.note()), AT_13) == Answer(409, b"13\n", SIZE_CONTENT)


def test_a_rollback_is_a_conflict_and_an_old_size_above_the_checkpoint_a_bad_request() -> None:
    assert status(AddCheckpoint(13, (), LOG.note(12)), AT_13) == 400
    assert answer(AddCheckpoint(12, (), LOG.note(12)), AT_13) == Answer(409, b"13\n", SIZE_CONTENT)


def test_the_same_size_with_another_root_is_a_conflict_that_names_no_size() -> None:
    answered = answer(AddCheckpoint(13, (), OTHER.note(13)), AT_13)

    assert isinstance(answered, Answer)
    assert (answered.status, answered.content_type) == (409, "text/plain; charset=utf-8")
    assert isinstance(read_answer(409, answered.body, (OTHER.checkpoint(13), W1.key)), Refused)


@pytest.mark.parametrize("proof", [(), GOOD.proof[1:], GOOD.proof[::-1], OTHER.proof(13), LOG.proof(12)])
def test_a_proof_that_does_not_lead_there_is_unprocessable(proof: tuple[Digest, ...]) -> None:
    assert status(replace(GOOD, proof=proof), AT_13) == 422


def test_another_history_is_never_accepted() -> None:
    for size in range(14, 21):
        assert status(AddCheckpoint(13, OTHER.proof(13, size), OTHER.note(size)), AT_13) == 422


def test_a_log_that_is_not_known_is_not_found() -> None:
    assert status(AddCheckpoint(0, (), Log(BOB).grow(b"x").note()), None) == 404


def test_a_checkpoint_without_a_right_signature_of_its_log_is_forbidden() -> None:
    text = checkpoint_text(LOG.checkpoint())
    impostor = Signer(ALICE.key.name, salt="another key")
    wrong = NoteSignature(ALICE.key.name, ALICE.key.key_id, BOB.line(text).signature)

    for lines in [(impostor.line(text),), (wrong,), (BOB.line(text),)]:
        assert status(replace(GOOD, checkpoint=format_note(Note(text, lines))), AT_13) == 403
    both = format_note(Note(text, (impostor.line(text), W1.line(text), ALICE.line(text))))
    assert status(replace(GOOD, checkpoint=both), AT_13) == 200


def test_form_comes_before_origin_origin_before_signature_signature_before_size() -> None:
    bob = Log(BOB).grow(b"x")
    unsigned = format_note(Note(checkpoint_text(LOG.checkpoint(12)), (BOB.line("x\n"),)))

    assert (
        status(format_add_checkpoint(AddCheckpoint(0, (), bob.note())).replace(b"old 0", b"old 00"), None)
        == 400
    )
    assert (
        status(
            AddCheckpoint(9, (), format_note(Note(bob.note().partition("\n\n")[0] + "\n", (W1.line("x"),)))),
            None,
        )
        == 404
    )
    assert status(AddCheckpoint(13, (), unsigned), AT_13) == 403


RAW = format_add_checkpoint(GOOD)


@pytest.mark.parametrize(
    "raw",
    [
        b"",
        RAW.replace(b"old 13", b"old 013"),
        RAW.replace(b"old 13", b"old -1"),
        RAW.replace(b"old 13", b"old  13"),
        RAW.replace(b"old 13", b"Old 13"),
        RAW.replace(b"old 13\n", b""),
        RAW.replace(b"old 13\n", b"old 13\r\n"),
        RAW.replace(b"old 13\n", b"old 13 \n"),
        RAW.replace(b"old 13\n", b"\nold 13\n"),
        RAW.replace(b"old 13", b"old 9223372036854775808"),
        RAW.replace(b"=\n", b"\n", 1),
        RAW.replace(b"=\n", b"=\nAAAA\n", 1),
        RAW.replace(b"\n\n", b"\n", 1),
        RAW.replace(b"\n\n", b"\n\n\n", 1),
        RAW.replace(b"\n20\n", b"\n020\n"),
        RAW + b"\n",
        RAW[:-1],
        RAW + b"\xff",
        b"old 0\n" + b"A" * 43 + b"=\n",
        format_add_checkpoint(AddCheckpoint(13, (EMPTY_ROOT,) * 64, LOG.note())),
        RAW + b"x" * MAX_REQUEST_BYTES,
    ],
)  # fmt: skip
def test_a_request_of_another_form_is_a_bad_request(raw: bytes) -> None:
    assert status(raw, AT_13) == 400


def test_a_request_has_one_spelling() -> None:
    filled = b"old 0\n\n".ljust(MAX_REQUEST_BYTES, b"x")
    assert len(parse_add_checkpoint(filled).checkpoint) == MAX_REQUEST_BYTES - 7 == 65_529
    for raw in (
        b"",
        filled + b"x",
        b"old 1",
        b"old 1\n",
        b"old 1\n\xff\n\n",
        b"old 1\n====\n\n",
        bytes(MAX_REQUEST_BYTES + 1),
    ):
        with pytest.raises(WitnessError) as caught:
            parse_add_checkpoint(raw)
        assert caught.value.check == "witness-form"


def test_no_request_with_a_changed_byte_makes_a_witness_hold_anything() -> None:
    for changed in tampered(RAW):
        assert isinstance(answer(changed, AT_13), Answer), changed


CHECKPOINT = LOG.checkpoint()
TEXT = checkpoint_text(CHECKPOINT)


def test_a_cosignature_is_read_from_the_answer_and_lines_of_other_keys_are_passed_over() -> None:
    accepted = accepted_answer([W2.line(TEXT), W1.line(TEXT)])

    assert (accepted.status, accepted.content_type) == (200, "text/plain; charset=utf-8")
    assert read_answer(200, accepted.body, (CHECKPOINT, W1.key)) == Cosigned(W1.line(TEXT), NOW_S)


def test_no_answer_with_a_changed_byte_is_a_cosignature() -> None:
    for changed in tampered(accepted_answer([W1.line(TEXT)]).body):
        assert not isinstance(read_answer(200, changed, (CHECKPOINT, W1.key), now_s=NOW_S), Cosigned), changed


@pytest.mark.parametrize(
    "line",
    [
        W2.line(TEXT),
        W1.line(checkpoint_text(OTHER.checkpoint())),
        W1.line(TEXT, at_s=0),
        W1.line(TEXT, at_s=NOW_S + 301),
        W1.line(TEXT, at_s=1 << 63),
        NoteSignature(W1.key.name, W1.key.key_id, W1.secret.sign(TEXT.encode()).signature),
    ],
)
def test_what_is_no_right_cosignature_of_the_witness_is_refused(line: NoteSignature) -> None:
    answered = read_answer(200, accepted_answer([line]).body, (CHECKPOINT, W1.key), now_s=NOW_S)

    assert isinstance(answered, Refused)


@pytest.mark.parametrize(
    ("code", "body", "expected"),
    [
        (409, b"13\n", WrongSize(13)),
        (409, b"13", Refused(409, "13")),
        (409, b"013\n", Refused(409, "013")),
        (200, b"13\n", None),
        (200, b"", None),
        (503, b"\xff\x1b[2J", Refused(503, "\ufffd[2J")),
        (404, b"n" * 65_536, Refused(404, "n" * 200)),
        (404, b"n" * 65_537, Refused(404, "expected at most 65536 bytes, got 65537")),
        (200, b"n" * 70_000, None),
    ],
)  # fmt: skip
def test_answers_are_read_for_what_they_are(
    code: int, body: bytes, expected: WrongSize | Refused | None
) -> None:
    answered = read_answer(code, body, (CHECKPOINT, W1.key))

    assert answered == expected if expected else isinstance(answered, Refused)


def test_a_log_key_is_no_witness() -> None:
    answered = read_answer(200, accepted_answer([ALICE.line(TEXT)]).body, (CHECKPOINT, ALICE.key))

    assert isinstance(answered, Refused)


def test_cosignatures_are_merged_in_one_order_and_each_key_once() -> None:
    note = LOG.note()
    one, two = Signer("a.witness", KeyKind.COSIGNATURE).line(TEXT), W2.line(TEXT)

    both = add_cosignatures(note, [two, one, replace(one, signature=bytes(72))])

    assert both == add_cosignatures(add_cosignatures(note, [one]), [replace(one, signature=b"later"), two])
    assert parse_note(both).signatures == (ALICE.line(TEXT), one, two)
    assert len(open_checkpoint(both, [ALICE.key], [W2.key]).cosigned) == 1
    with pytest.raises(NoteError, match="note-form"):
        add_cosignatures(note, [witness(str(number)).line(TEXT) for number in range(128)])
