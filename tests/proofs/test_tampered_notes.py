"""A proof that an entry is in a witnessed log: no byte of it can be changed, no part be another proof's."""

from dataclasses import replace
from itertools import product

import pytest

from proofs.errors import ProofError
from proofs.note import format_note, parse_note
from proofs.policy import Group, Policy, format_policy, open_checkpoint_under, parse_policy
from proofs.tlogproof import TlogProof, format_tlog_proof, parse_tlog_proof
from proofs.tree import inclusion_proof, leaf_digest, verify_inclusion
from proofs.witness import Accepted, AddCheckpoint, Held, Opened, format_add_checkpoint, judge, open_request
from tests.proofs.notary import NOW_S, Log, Signer, witness

ALICE, BOB = Signer("tower.example/alice"), Signer("tower.example/bob")
WITNESSES = [witness("one"), witness("two")]
POLICY = Policy(
    logs=(ALICE.key, BOB.key),
    witnesses={"one": WITNESSES[0].key, "two": WITNESSES[1].key},
    groups={"both": Group(2, ("one", "two"))},
    quorum="both",
)
ENTRIES = [f"entry {number}".encode() for number in range(11)]
LOG = Log(ALICE).grow(*ENTRIES)
OTHER = Log(BOB).grow(*ENTRIES[:7])


def proof_of(log: Log, index: int) -> str:
    path = inclusion_proof(index, log.compact.size, log.read)
    return format_tlog_proof(TlogProof(index, path, log.note(others=WITNESSES)))


def open_proof(text: str, entry: bytes) -> None:
    """What a reader with the policy does with a proof file and an entry."""
    proof = parse_tlog_proof(text)
    checkpoint = open_checkpoint_under(proof.checkpoint, POLICY, now_s=NOW_S).checkpoint
    verify_inclusion(leaf_digest(entry), proof.index, checkpoint.size, proof.path, checkpoint.root)


NAMES = {
    "checkpoint-form",
    "checkpoint-origin",
    "cosignature-time",
    "note-form",
    "note-signature",
    "note-unsigned",
    "policy-quorum",
    "tlog-proof-form",
    "tree-inclusion",
}


def refused(text: str, entry: bytes = ENTRIES[4]) -> str:
    with pytest.raises(ProofError) as caught:
        open_proof(text, entry)
    assert caught.value.check in NAMES
    return caught.value.check


PROOF = proof_of(LOG, 4)


def test_the_proof_holds_for_its_entry_and_for_no_other() -> None:
    open_proof(PROOF, ENTRIES[4])
    for entry in (ENTRIES[3], b"", ENTRIES[4] + b" ", leaf_digest(ENTRIES[4])):
        assert refused(PROOF, entry) == "tree-inclusion"


def test_no_byte_of_a_proof_can_be_changed() -> None:
    found = set()
    raw = PROOF.encode()
    for place in range(len(raw)):
        for bit in (1, 0x20):
            changed = raw[:place] + bytes([raw[place] ^ bit]) + raw[place + 1 :]
            found.add(refused(changed.decode(errors="surrogateescape")))
    # The rest is under a signature, which is looked at first.
    assert found == NAMES - {"checkpoint-form", "checkpoint-origin", "cosignature-time"}


def test_no_byte_can_be_dropped_or_doubled_and_no_end_cut() -> None:
    for place in range(len(PROOF)):
        refused(PROOF[:place] + PROOF[place + 1 :])
        refused(PROOF[:place])
        if PROOF[place] != "\n":
            refused(PROOF[:place] + PROOF[place] + PROOF[place:])


def test_lines_cannot_be_dropped_or_swapped_but_for_signatures_among_themselves() -> None:
    lines = PROOF.split("\n")[:-1]
    signatures = range(len(lines) - 3, len(lines))
    for one, other in product(range(len(lines)), repeat=2):
        if one < other and lines[one] != lines[other]:
            swapped = [*lines]
            swapped[one], swapped[other] = lines[other], lines[one]
            text = "".join(f"{line}\n" for line in swapped)
            if one in signatures:
                open_proof(text, ENTRIES[4])
            else:
                refused(text)
    for place in range(len(lines)):
        refused("".join(f"{line}\n" for line in lines[:place] + lines[place + 1 :]))


def test_valid_parts_of_two_valid_proofs_make_no_third() -> None:
    valid = {(LOG.signer.key.name, 4): PROOF, (LOG.signer.key.name, 5): proof_of(LOG, 5)}
    valid[BOB.key.name, 4] = proof_of(OTHER, 4)
    parsed = {name: parse_tlog_proof(text) for name, text in valid.items()}

    for index, path, checkpoint in product(parsed, repeat=3):
        mixed = TlogProof(parsed[index].index, parsed[path].path, parsed[checkpoint].checkpoint)
        text = format_tlog_proof(mixed)
        if text not in valid.values():
            entry = ENTRIES[parsed[index].index]
            assert refused(text, entry) == "tree-inclusion"


def test_signatures_of_one_checkpoint_count_under_no_other() -> None:
    notes = [parse_note(log.note(others=WITNESSES)) for log in (LOG, OTHER)]
    for places in product((0, 1), repeat=3):
        lines = tuple(notes[which].signatures[place] for place, which in enumerate(places))
        if places != (0, 0, 0):
            with pytest.raises(ProofError) as caught:
                open_checkpoint_under(format_note(replace(notes[0], signatures=lines)), POLICY)
            assert caught.value.check in ("note-signature", "checkpoint-origin")


def test_parts_of_two_valid_requests_make_a_witness_hold_what_follows_or_nothing() -> None:
    held = Held(4, LOG.checkpoint(4).root)
    requests = [
        AddCheckpoint(old, LOG.proof(old, new), LOG.note(new)) for old, new in ((4, 9), (4, 11), (6, 11))
    ]
    texts = {new: LOG.checkpoint(new) for new in (9, 11)}

    for old, proof, checkpoint in product(requests, repeat=3):
        raw = format_add_checkpoint(AddCheckpoint(old.old, proof.proof, checkpoint.checkpoint))
        opened = open_request(raw, {ALICE.key.name: [ALICE.key]})
        assert isinstance(opened, Opened)
        judged = judge(opened, held)
        size = opened.checkpoint.size
        if isinstance(judged, Accepted):
            assert judged.held == Held(size, texts[size].root)
        is_right = old.old == 4 and proof.proof == LOG.proof(4, size)
        assert isinstance(judged, Accepted) == is_right


def test_no_changed_bit_of_the_policy_lets_a_checkpoint_with_one_witness_pass() -> None:
    raw = format_policy(POLICY)
    note = LOG.note(others=WITNESSES[:1])

    for place in range(len(raw)):
        for bit in range(8):
            changed = raw[:place] + bytes([raw[place] ^ 1 << bit]) + raw[place + 1 :]
            with pytest.raises(ProofError):
                open_checkpoint_under(note, parse_policy(changed))
