"""Sealed fields: what was signed is what can be shown, one field at a time, and nothing else."""

import hmac
import json
from collections.abc import Mapping
from dataclasses import replace
from itertools import product

import pytest

from proofs.canonical import Value, encode
from proofs.disclosure import (
    MAX_FIELDS,
    SEALED_FIELDS,
    Disclosure,
    DisclosureError,
    DisclosureFile,
    Sealed,
    decode_disclosure,
    disclose,
    encode_disclosure,
    open_field,
    open_fields,
    seal,
    sealed_of,
)
from proofs.errors import ProofError
from proofs.hashes import sha256
from proofs.kinds import Digest
from proofs.text import base64_text
from proofs.tree import leaf_digest, node_digest
from tests.proofs.notary import tampered

SEED, OTHER_SEED = sha256(b"seed"), sha256(b"another seed")
SIGNAL: dict[str, Value] = {"note": "the vault drains", "reporter": "night desk"}
SEALED = Sealed(seal(SIGNAL, SEED), ("note", "reporter"))


def refused(sealed: Sealed, disclosure: Disclosure) -> str:
    with pytest.raises(DisclosureError) as caught:
        open_field(sealed, disclosure)
    return caught.value.check


def many(count: int) -> dict[str, Value]:
    return {f"field-{number:02d}": number for number in range(count)}


def test_the_root_is_that_of_the_specification() -> None:
    # Written out: HMAC-SHA-256(seed, name), canonical leaf, RFC 6962.
    leaves = [
        leaf_digest(
            encode({"field": name, "salt": hmac.digest(SEED, name.encode(), "sha256"), "value": value})
        )
        for name, value in sorted(SIGNAL.items())
    ]

    assert SEALED.root == node_digest(leaves[0], leaves[1])
    assert seal({"note": "x"}, SEED) == leaf_digest(
        encode({"field": "note", "salt": hmac.digest(SEED, b"note", "sha256"), "value": "x"})
    )


@pytest.mark.parametrize("count", range(1, MAX_FIELDS + 1))
def test_each_field_of_each_number_of_fields_opens_and_no_other_in_its_place(count: int) -> None:
    fields = many(count)
    sealed = Sealed(seal(fields, SEED), tuple(sorted(fields)))
    opened = {name: disclose(fields, SEED, name) for name in fields}

    assert open_fields(sealed, list(opened.values())) == fields
    for name, other in product(fields, fields):
        if name != other:
            assert refused(sealed, replace(opened[name], field=other)) == "sealed-root"
            assert refused(sealed, replace(opened[name], value=fields[other])) == "sealed-root"
            assert refused(sealed, replace(opened[name], salt=opened[other].salt)) == "sealed-root"
            if opened[name].path != opened[other].path:
                assert refused(sealed, replace(opened[name], path=opened[other].path)) == "sealed-root"


def test_no_bit_of_salt_or_path_can_be_changed() -> None:
    shown = disclose(SIGNAL, SEED, "note")

    for place in range(32):
        for bit in range(8):
            salt = bytes(byte ^ (1 << bit) * (at == place) for at, byte in enumerate(shown.salt))
            node = bytes(byte ^ (1 << bit) * (at == place) for at, byte in enumerate(shown.path[0]))
            assert refused(SEALED, replace(shown, salt=salt)) == "sealed-root"
            assert refused(SEALED, replace(shown, path=(Digest(node),))) == "sealed-root"


def test_values_of_every_kind_come_back_as_they_were() -> None:
    fields: dict[str, Value] = {
        "blob": b"\0\xff",
        "list": (1, "a", None),
        "map": {"k": True},
        "none": None,
        "number": -(1 << 200),
        "text": "é",
    }
    sealed = Sealed(seal(fields, SEED), tuple(sorted(fields)))
    file = DisclosureFile(b"envelope", tuple(disclose(fields, SEED, name) for name in sorted(fields)))

    assert open_fields(sealed, decode_disclosure(encode_disclosure(file)).fields) == fields


def test_a_value_is_told_from_one_that_python_calls_equal() -> None:
    fields: dict[str, Value] = {"note": 1, "reporter": 0}
    sealed = Sealed(seal(fields, SEED), ("note", "reporter"))

    assert refused(sealed, replace(disclose(fields, SEED, "note"), value=True)) == "sealed-root"


def test_the_same_words_under_another_seed_have_nothing_in_common() -> None:
    assert seal(SIGNAL, SEED) != seal(SIGNAL, OTHER_SEED)
    assert disclose(SIGNAL, SEED, "note").salt != disclose(SIGNAL, SEED, "reporter").salt
    assert refused(SEALED, disclose(SIGNAL, OTHER_SEED, "note")) == "sealed-root"


def test_parts_of_two_valid_disclosures_cannot_be_swapped() -> None:
    others: Mapping[str, Value] = {"note": "all is quiet", "reporter": "night desk"}
    mine, theirs = disclose(SIGNAL, SEED, "note"), disclose(others, OTHER_SEED, "note")

    for name in ("salt", "value", "path"):
        assert refused(SEALED, replace(mine, **{name: getattr(theirs, name)})) == "sealed-root"
    assert refused(Sealed(seal(others, OTHER_SEED), SEALED.names), mine) == "sealed-root"


def test_a_field_cannot_be_sealed_twice_to_choose_from_later() -> None:
    # A tree of three leaves, two of them named `note`: the kind has two fields, so neither place fits.
    leaves = [
        leaf_digest(encode({"field": name, "salt": SEED, "value": value}))
        for name, value in (("note", "yes"), ("note", "no"), ("reporter", "me"))
    ]
    root = node_digest(node_digest(leaves[0], leaves[1]), leaves[2])
    first = Disclosure("note", SEED, "yes", (leaves[1], leaves[2]))
    second = Disclosure("note", SEED, "no", (leaves[0], leaves[2]))

    assert {refused(Sealed(root, SEALED.names), each) for each in (first, second)} == {"sealed-root"}
    two = Sealed(node_digest(leaves[0], leaves[1]), SEALED.names)
    assert open_field(two, Disclosure("note", SEED, "yes", (leaves[1],))) == "yes"
    assert refused(two, Disclosure("note", SEED, "no", (leaves[0],))) == "sealed-root"


@pytest.mark.parametrize(
    ("fields", "seed", "name"),
    [
        ({}, SEED, "note"),
        (many(17), SEED, "field-00"),
        ({"": 1}, SEED, ""),
        ({"n" * 65: 1}, SEED, "n" * 65),
        ({"note": "x" * 16_384}, SEED, "note"),
        (SIGNAL, SEED[:31], "note"),
        (SIGNAL, SEED, "nothing"),
    ],
)
def test_what_is_out_of_bounds_is_not_sealed(fields: dict[str, Value], seed: bytes, name: str) -> None:
    with pytest.raises(DisclosureError) as caught:
        disclose(fields, seed, name)
    assert caught.value.check == "sealed-form"


def test_what_is_just_within_bounds_is_sealed_and_read_back() -> None:
    fields: dict[str, Value] = {"n" * 64: b"x" * 16_381, "x": 0}
    assert len(encode(fields["n" * 64])) == 16_384
    shown = disclose(fields, SEED, "n" * 64)

    assert open_field(Sealed(seal(fields, SEED), tuple(sorted(fields))), shown) == fields["n" * 64]
    assert decode_disclosure(encode_disclosure(DisclosureFile(b"e", (shown,)))).fields == (shown,)


def test_an_opening_of_another_form_is_refused_by_name() -> None:
    shown = disclose(SIGNAL, SEED, "note")

    assert refused(SEALED, replace(shown, field="nothing")) == "sealed-form"
    assert refused(SEALED, replace(shown, salt=shown.salt[:31])) == "sealed-form"
    assert refused(SEALED, replace(shown, path=())) == "sealed-root"
    assert refused(SEALED, replace(shown, path=(*shown.path, shown.path[0]))) == "sealed-root"
    assert refused(SEALED, replace(shown, path=(Digest(shown.path[0][:31]),))) == "sealed-root"
    with pytest.raises(DisclosureError, match="sealed-twice"):
        open_fields(SEALED, [shown, shown])


def test_only_the_kinds_that_seal_can_be_opened() -> None:
    assert sealed_of("signal", {"plan_hash": b"", "sealed": SEALED.root, "subject": "x"}) == SEALED
    assert all(list(names) == sorted(names) for names in SEALED_FIELDS.values())
    for kind, body in [
        ("outcome", {"sealed": SEALED.root}),
        ("signal", {}),
        ("signal", {"sealed": b"short"}),
    ]:
        with pytest.raises(DisclosureError) as caught:
            sealed_of(kind, body)
        assert caught.value.check == "sealed-record"


DISCLOSED = DisclosureFile(b"an envelope", tuple(disclose(SIGNAL, SEED, name) for name in sorted(SIGNAL)))
FILE = encode_disclosure(DISCLOSED)


def test_a_file_comes_back_and_its_order_does_not_matter_to_the_writer() -> None:
    assert decode_disclosure(FILE) == DISCLOSED
    assert encode_disclosure(replace(DISCLOSED, fields=DISCLOSED.fields[::-1])) == FILE


def test_no_byte_of_a_file_can_be_changed_without_being_found() -> None:
    for changed in tampered(FILE):
        with pytest.raises(ProofError) as caught:
            whole(changed)
        assert caught.value.check in ("sealed-form", "sealed-root", "sealed-twice", "envelope-signature")


def whole(data: bytes) -> dict[str, Value]:
    file = decode_disclosure(data)
    if file.envelope != DISCLOSED.envelope:
        # What the envelope says is for its author's signature.
        raise ProofError("envelope-signature", "changed")
    return open_fields(SEALED, file.fields)


def spelled(**changes: object) -> bytes:
    parts = {**json.loads(FILE), **changes}
    return (
        json.dumps({k: v for k, v in parts.items() if v is not None}, indent=1, sort_keys=True).encode()
        + b"\n"
    )


NOTE, REPORTER = json.loads(FILE)["fields"]


@pytest.mark.parametrize(
    ("data", "check"),
    [
        (b"", "sealed-form"),
        (b"[[[[[[", "sealed-form"),
        (FILE[:-1], "sealed-form"),
        (FILE + b"\n", "sealed-form"),
        (FILE + b" " * (1 << 20), "sealed-form"),
        (FILE.replace(b"{", b'{"schema": "tocsin/disclosure/1",', 1), "sealed-form"),
        (spelled(schema="tocsin/disclosure/2"), "sealed-form"),
        (spelled(envelope=None), "sealed-form"),
        (spelled(more=1), "sealed-form"),
        (spelled(envelope="!"), "sealed-form"),
        (spelled(fields=[]), "sealed-form"),
        (spelled(fields=[REPORTER, NOTE]), "sealed-form"),
        (spelled(fields=[NOTE, NOTE]), "sealed-twice"),
        (spelled(fields=[{**NOTE, "field": "\ud800"}]), "sealed-form"),
        (spelled(fields=[{**NOTE, "salt": ""}, {**NOTE, "field": ""}]), "sealed-form"),
        (spelled(fields=[{**NOTE, "value": base64_text(b"\xd9\x01x")}]), "sealed-form"),
        (spelled(fields=[{**NOTE, "path": ["00" * 32] * 5}]), "sealed-form"),
        (spelled(fields=[{**NOTE, "path": ["0" * 63]}]), "sealed-form"),
        (spelled(fields=[{**NOTE, "path": [NOTE["path"][0].upper()]}]), "sealed-form"),
        (spelled(fields=[{**NOTE, "index": 0}]), "sealed-form"),
    ],
)  # fmt: skip
def test_a_file_of_another_form_is_refused(data: bytes, check: str) -> None:
    with pytest.raises(DisclosureError) as caught:
        decode_disclosure(data)
    assert caught.value.check == check
