"""A whole incident's bundle: nothing in it can be changed, dropped, doubled or cut unnoticed.

Each place is tried: a bit or character flipped, the part dropped, doubled, cut. What is accepted is named
here, with what its verdict loses; all else is refused by a check of that part.
"""

import json
import re
from base64 import b64decode, b64encode
from binascii import Error
from collections.abc import Iterator
from fnmatch import fnmatch
from functools import cache
from random import Random

import pytest

from proofs.bundle import encode_bundle
from proofs.disclosure import DisclosureError
from proofs.errors import ProofError
from proofs.hashes import sha256
from proofs.policy import PolicyError
from proofs.verdictvalue import verdict_value
from proofs.verify import verify_bundle
from tests.proofs.incident import NOW_S, Case, City, Incident
from tests.proofs.parts import Json, Place, at, form_of, places, replaced, spelled

Change = tuple[Place, str]

FORM = ("shape", "bundle-form")
"""A missing key, another length, another order."""
NUMBERS = (
    *("attestation-*", "certificate-attestation", "header-*", "statement-*", "outcome-*", "receipt-outcome"),
    *("receipt-twice", "record-*", "report-*", "sealed-*"),
)
REFUSED: dict[str, tuple[str, ...]] = {
    "schema": (),
    "network": ("network",),
    "log*": ("note-key",),
    "documents": (),
    "documents[[]]": ("committee-epoch", "committee-genesis", "keys-twice", "keys-missing"),
    "documents[[]].document": ("canonical-*", "committee-*", "keys-*", "point", "network"),
    "documents[[]].signatures*": (
        "committee-signature",
        "committee-quorum",
        "keys-signature",
        "keys-unsigned",
    ),
    "plans": (),
    "plans[[]]*": ("plan-twice", "plan-unknown", "plan-hash"),
    "decisions": (),
    "decisions[[]]": ("record-twice", "record-unused"),
    "decisions[[]].certificate": ("certificate-*", "signature-*", "schnorr-*"),
    "decisions[[]].decision*": (
        *("mandate-*", "plan-unknown", "plan-reference", "attestation-decision", "canonical-text"),
    ),
    "decisions[[]].leaves*": ("acts-duplicate", "acts-empty", "mandate-acts-root"),
    "decisions[[]].mandate*": ("mandate-*",),
    "decisions[[]].numbers": (),
    "decisions[[]].receipts": (),
    "decisions[[]].receipts[[]]": ("receipt-twice",),
    "decisions[[]].receipts[[]].header": ("receipt-block",),
    "decisions[[]].receipts[[]].nodes*": ("trie-*",),
    "decisions[[]].receipts[[]].tx_index": ("trie-*",),
    "disclosed": (),
    "disclosed[[]]": ("sealed-twice",),
    "disclosed[[]].*": ("sealed-form", "sealed-root", "canonical-*"),
    "number": NUMBERS,
    "records": (),
    "records[[]]": NUMBERS,
    "records[[]].envelope": ("envelope-*", "canonical-*", "record-*"),
    "records[[]].tlog_proof": ("tlog-proof-form", "tree-inclusion", "note-*", "checkpoint-*"),
    "records[[]].tlog_proof.*": (
        "tlog-proof-form",
        "tree-inclusion",
        "note-*",
        "checkpoint-*",
        "record-extra",
    ),
}
"""By the form of a part: the checks that may name it, beside those of form."""

LOSSES: dict[str, tuple[str, ...]] = {
    # Who makes a bundle chooses which receipts and disclosed fields he shows; the verdict tells those.
    "decisions[].receipts[]": ("receipt", "not_proved", "source"),
    "disclosed[]": ("disclosed",),
    # Records that say the same count as one: its receipt may be filed under any of them.
    "number": (),
    # C2SP signed-note: lines of unknown keys are passed over, of one key's lines the first counts.
    "cosignature": ("witnessed", "witnesses", "missing_witnesses"),
}
"""What is accepted: the parts of the verdict that may differ then."""


@cache
def case() -> Case:
    return Incident.of(City()).case()


@cache
def tree() -> Json:
    return json.loads(encode_bundle(case().bundle))


def said(data: bytes) -> Json:
    verdict = verify_bundle(data, policy=case().policy, now_s=NOW_S)
    return json.loads(json.dumps(verdict_value(verdict)))


@cache
def untouched() -> Json:
    return said(spelled(tree()))


def changes() -> Iterator[Change]:
    """Give every change: a place, and how it is changed."""
    for place in places(tree()):
        part, last = at(tree(), place), place[-1]
        yield place, "drop"
        if isinstance(last, int) or last.startswith("#"):
            yield place, "double"
        if isinstance(part, str | int) and part != "":
            yield place, "flip"
            yield place, "cut"
        if isinstance(part, str) and len(_bytes(part)) > 8:
            yield place, "bit"


def changed(change: Change, chance: Random) -> bytes:
    """Give the file with one change; it may be the same file where an empty part is dropped."""
    place, how = change
    part = at(tree(), place)
    match how:
        case "drop":
            return spelled(replaced(tree(), place))
        case "double":
            return spelled(replaced(tree(), place, part, part))
        case "cut":
            return spelled(replaced(tree(), place, part[:-1] if isinstance(part, str) else _halved(part)))
        case "bit":
            data = bytearray(_bytes(str(part)))
            data[chance.randrange(len(data))] ^= 1 << chance.randrange(8)
            return spelled(replaced(tree(), place, b64encode(bytes(data)).decode()))
        case _:
            return spelled(replaced(tree(), place, _flipped(part, chance)))


def _halved(part: Json) -> int:
    assert isinstance(part, int)
    return part >> 1 if part else 9


def _flipped(part: Json, chance: Random) -> Json:
    if isinstance(part, int):
        return part ^ 1
    assert isinstance(part, str)
    place = chance.randrange(len(part))
    is_hex = re.fullmatch("[0-9a-f]+", part) is not None
    other = format(int(part[place], 16) ^ 1, "x") if is_hex else chr(ord(part[place]) ^ 1)
    return part[:place] + other + part[place + 1 :]


def _bytes(text: str) -> bytes:
    try:
        return b64decode(text, validate=True)
    except (Error, ValueError):
        return b""


def loss_of(change: Change) -> tuple[str, ...] | None:
    """Give the parts of the verdict that may differ if this change is accepted; None if it must not be."""
    place, how = change
    form = form_of(place)
    if form in ("decisions[].receipts[]", "disclosed[]"):
        return LOSSES[form] if how == "drop" else None
    if form == "number":
        return LOSSES["number"] if place[-1] == "outcome" else None
    return LOSSES["cosignature"] if "tlog_proof" in place else None


def without(value: Json, names: tuple[str, ...]) -> Json:
    if isinstance(value, dict):
        return {key: without(item, names) for key, item in value.items() if key not in names}
    return [without(item, names) for item in value] if isinstance(value, list) else value


def check(change: Change, chance: Random) -> None:
    """Check that a change is refused by a check of the part that it is in, or that it proves no more."""
    data, form = changed(change, chance), form_of(change[0])
    if data == spelled(tree()):
        return
    try:
        verdict = said(data)
    except ProofError as error:
        refused, problem = error.check, str(error)
    else:
        check_loss(change, verdict)
        return
    names = next(names for pattern, names in REFUSED.items() if fnmatch(form, pattern))
    assert any(fnmatch(refused, name) for name in (*names, *FORM)), f"{change}: {problem}"


def check_loss(change: Change, verdict: Json) -> None:
    """Check that a change that is accepted may be, and that the verdict loses no more than it may."""
    loss = loss_of(change)
    assert loss is not None, f"{change} was accepted"
    assert without(verdict, loss) == without(untouched(), loss), change


def test_every_form_of_part_is_refused_by_its_own_check(seed: int) -> None:
    """One change of each form, by chance; all of them in the campaign."""
    chance = Random(seed)
    by_form: dict[str, list[Change]] = {}
    for change in changes():
        by_form.setdefault(re.sub(r"#\d+", "#", form_of(change[0])), []).append(change)

    assert len(by_form) > 60
    for among in by_form.values():
        check(chance.choice(among), chance)


@pytest.mark.campaign
@pytest.mark.timeout(7_200)
def test_every_part_is_refused_by_its_own_check(seed: int) -> None:
    chance = Random(seed)

    for change in changes():
        check(change, chance)


def test_no_flipped_bit_of_the_file_passes_but_in_lines_of_cosigners(seed: int) -> None:
    data, chance = spelled(tree()), Random(seed)

    for _ in range(20):
        place, bit = chance.randrange(len(data)), 1 << chance.randrange(8)
        other = data[:place] + bytes([data[place] ^ bit]) + data[place + 1 :]
        try:
            verdict = said(other)
        except ProofError:
            continue
        loss = LOSSES["cosignature"]
        assert without(verdict, loss) == without(untouched(), loss), f"bit {bit:02x} of byte {place}"


def test_no_flipped_bit_of_a_pinned_policy_passes(seed: int) -> None:
    data, policy, chance = spelled(tree()), case().policy, Random(seed)

    for _ in range(25):
        place = chance.randrange(len(policy))
        other = policy[:place] + bytes([policy[place] ^ 1 << chance.randrange(8)]) + policy[place + 1 :]
        with pytest.raises(ProofError, match="policy"):
            verify_bundle(data, policy=other, policy_hash=sha256(policy), now_s=NOW_S)


def test_no_line_of_a_policy_that_must_be_there_can_be_dropped() -> None:
    data, lines = spelled(tree()), case().policy.decode().splitlines(keepends=True)

    for number, line in enumerate(lines):
        other = "".join([*lines[:number], *lines[number + 1 :]]).encode()
        if line.startswith("log ") and "/alice+" not in line:
            verify_bundle(data, policy=other, now_s=NOW_S)  # of logs that this bundle is not of
            continue
        with pytest.raises(ProofError):
            print(f"without {line}", verify_bundle(data, policy=other, now_s=NOW_S).log)


def test_no_changed_disclosure_file_passes(seed: int) -> None:
    data, file, chance = spelled(tree()), case().disclosure, Random(seed)
    whole = verify_bundle(data, policy=case().policy, disclosures=[file], now_s=NOW_S)
    assert [field.value for field in whole.disclosed] == ["a caller says funds are leaving", "hotline"]

    for place in places(json.loads(file)):
        other = spelled(replaced(json.loads(file), place, *chance.choice(((), (7,), ("AAAA",)))))
        with pytest.raises(DisclosureError):
            print(place, verify_bundle(data, disclosures=[other]).disclosed)
    for _ in range(10):
        place = chance.randrange(len(file))
        other = file[:place] + bytes([file[place] ^ 1 << chance.randrange(8)]) + file[place + 1 :]
        with pytest.raises(DisclosureError):
            print(f"byte {place}", verify_bundle(data, disclosures=[other]).disclosed)


def test_a_cosignature_from_ahead_of_the_readers_clock_counts_for_nothing() -> None:
    data, policy = spelled(tree()), case().policy
    newest = NOW_S - 1_000 + 45 + 6

    assert verify_bundle(data, policy=policy, now_s=newest - 300).log.witnesses
    with pytest.raises(PolicyError) as caught:
        verify_bundle(data, policy=policy, now_s=NOW_S - 1_000 - 300)
    assert caught.value.check == "cosignature-time"
