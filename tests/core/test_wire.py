"""What is signed is signed whole: every field of an envelope, an attestation, a decision (SPEC 1.2, 3, 4)."""

from __future__ import annotations

import random
from collections.abc import Callable, Iterator

import pytest
from hypothesis import given
from hypothesis import strategies as st

from proofs.canonical import Value, decode, encode
from proofs.decision import decision_id, parse_decision
from proofs.envelope import MAX_ENVELOPE_BYTES
from proofs.errors import ProofError
from proofs.kinds import Digest
from proofs.mandate import Tier, mandate_digest
from relay.core.decisions import prepare
from relay.core.errors import WireError
from relay.core.messages import Equivocation, Heartbeat, Recall
from relay.core.wire import open_equivocation, open_message
from tests.core.stage import BEGIN_S, Stage

LIMIT = 1 << 17


@pytest.fixture(scope="module")
def stage() -> Stage:
    """Give a stage with one true block."""
    made = Stage()
    made.drained()
    return made


@pytest.fixture(scope="module")
def attested(stage: Stage) -> bytes:
    """Give bob's attestation of it."""
    return stage.attests("bob", stage.decision(stage.blocks[1])).envelope.raw


def parts(raw: bytes) -> tuple[dict[str, Value], bytes]:
    """Give an envelope's payload as a map, and its signature."""
    envelope = decode(raw, limit_bytes=LIMIT)
    assert isinstance(envelope, tuple | list)
    _, payload, signature = envelope
    assert isinstance(payload, bytes)
    assert isinstance(signature, bytes)
    fields = decode(payload, limit_bytes=LIMIT)
    assert isinstance(fields, dict)
    return fields, signature


def leaves(value: Value, path: tuple[str, ...] = ()) -> Iterator[tuple[str, ...]]:
    """Give the path of every field that has no fields below."""
    if isinstance(value, dict) and value:
        for key, below in value.items():
            yield from leaves(below, (*path, key))
    else:
        yield path


def other(value: Value) -> Value:
    """Give another value of the same kind."""
    match value:
        case bool():
            return not value
        case int():
            return value + 1
        case bytes():
            return bytes([value[0] ^ 1]) + value[1:] if value else b"x"
        case str():
            return value + "x"
        case None:
            return bytes(32)
        case dict():
            return {"sim:other": 1}
        case _:
            return ("x",)


def changed(value: Value, path: tuple[str, ...]) -> Value:
    """Give a map with another value at `path`."""
    if not path:
        return other(value)
    assert isinstance(value, dict)
    return {**value, path[0]: changed(value[path[0]], path[1:])}


def test_every_field_that_an_envelope_signs_is_refused_when_altered(stage: Stage, attested: bytes) -> None:
    fields, signature = parts(attested)
    paths = list(leaves(fields))
    assert len(paths) > 20

    for path in paths:
        forged = encode([1, encode(changed(fields, path)), signature])
        with pytest.raises(WireError):
            open_message(forged, stage.committees, at_s=BEGIN_S)


def test_every_bit_of_the_signature_counts(stage: Stage, attested: bytes) -> None:
    fields, signature = parts(attested)

    for bit in range(0, 512, 7):
        forged = bytearray(signature)
        forged[bit // 8] ^= 1 << bit % 8
        with pytest.raises(WireError):
            open_message(encode([1, encode(fields), bytes(forged)]), stage.committees, at_s=BEGIN_S)


def test_every_field_of_a_decision_gives_another_mandate_or_is_refused(stage: Stage, attested: bytes) -> None:
    fields, _ = parts(attested)
    body = fields["body"]
    assert isinstance(body, dict)
    value = body["decision"]
    first = parse_decision(value)
    digest = prepare(stage.committee.network, stage.plan, first).digest
    same: set[tuple[str, ...]] = set()

    for path in leaves(value):
        try:
            decision = parse_decision(changed(value, path))
            altered = prepare(stage.committee.network, stage.plan, decision).digest
        except (WireError, ProofError):
            continue
        if altered == digest:
            same.add(path)

    # The number is bound by the block's hash, which whoever attests has compared.
    assert same == {("anchor", "number")}


def test_id_and_digest_name_the_tier_and_the_network(stage: Stage) -> None:
    decision = stage.decision(stage.blocks[1])
    full = stage.decision(stage.blocks[1], tier=Tier.FULL)
    elsewhere = Digest(bytes(32))

    assert decision_id(stage.committee.network, decision) != decision_id(stage.committee.network, full)
    assert mandate_digest(stage.prepared(decision).mandate) != mandate_digest(stage.prepared(full).mandate)
    assert prepare(elsewhere, stage.plan, decision).digest != stage.prepared(decision).digest  # type: ignore[arg-type]  # 32 bytes


@pytest.mark.parametrize(
    ("make", "reason"),
    [
        (lambda raw, _: b"", "malformed"),
        (lambda raw, _: raw[:-1], "malformed"),
        (lambda raw, _: raw + b"\x00", "malformed"),
        (lambda raw, _: b"\xc4" * 200_000, "malformed"),
        (lambda raw, _: raw + bytes(MAX_ENVELOPE_BYTES), "malformed"),
        (lambda raw, _: b"\x91" * 20 + b"\xc0", "malformed"),
        (lambda raw, _: encode([1, b"\xcb" + bytes(8), bytes(64)]), "malformed"),
        (lambda raw, stage: altered(raw, "network", bytes(32)), "other network"),
        (lambda raw, stage: altered(raw, "committee_epoch", 2), "other epoch"),
        (lambda raw, stage: altered(raw, "author", bytes(32)), "unknown signer"),
        (lambda raw, stage: altered(raw, "kind", "gossip"), "malformed"),
        (lambda raw, stage: altered(raw, "at_ms", -1), "malformed"),
        (lambda raw, stage: altered(raw, "at_ms", 7), "bad signature"),
    ],
)
def test_bad_frames_are_refused_by_name(
    stage: Stage, attested: bytes, make: Callable[[bytes, Stage], bytes], reason: str
) -> None:
    with pytest.raises(WireError) as refused:
        open_message(make(attested, stage), stage.committees, at_s=BEGIN_S)

    assert refused.value.reason == reason


def altered(raw: bytes, field: str, value: Value) -> bytes:
    """Give an envelope with another value in one field of its payload."""
    fields, signature = parts(raw)
    return encode([1, encode({**fields, field: value}), signature])


@given(data=st.binary(max_size=400))
def test_any_bytes_are_a_message_or_a_wire_error(data: bytes) -> None:
    with pytest.raises(WireError):
        open_message(data, COMMITTEES, at_s=BEGIN_S)


COMMITTEES = Stage().committees


@given(seed=st.integers(0, 2**32 - 1))
def test_any_altered_byte_of_a_message_is_refused(seed: int) -> None:
    chance = random.Random(seed)
    raw = bytearray(SAMPLE)
    raw[chance.randrange(len(raw))] ^= chance.randrange(1, 256)

    with pytest.raises(WireError):
        open_message(bytes(raw), COMMITTEES, at_s=BEGIN_S)


SAMPLE = Stage().said("bob", Recall(boot=3, instance=b"i" * 16, nonce=b"n" * 16)).envelope.raw


def test_unknown_and_missing_keys_of_a_body_are_refused(stage: Stage, attested: bytes) -> None:
    fields, _ = parts(attested)
    body = fields["body"]
    assert isinstance(body, dict)

    for key in body:
        less = {name: value for name, value in body.items() if name != key}
        for wrong in (less, {**less, f"{key}x": body[key]}, {**body, "more": 1}):
            forged = encode([1, encode({**fields, "body": wrong}), bytes(64)])
            with pytest.raises(WireError, match="malformed"):
                open_message(forged, stage.committees, at_s=BEGIN_S)


def test_evidence_must_be_two_mandates_of_one_member_for_one_decision(stage: Stage) -> None:
    decision = stage.decision(stage.blocks[1])
    one = stage.attests("dave", decision).envelope.raw
    two = stage.attests("dave", decision, digest=bytes(32)).envelope.raw
    elsewhere = stage.attests("dave", stage.decision(stage.blocks[0])).envelope.raw
    of_bob = stage.attests("bob", decision, digest=bytes(32)).envelope.raw
    beat = stage.said("dave", Heartbeat(1, 1, bytes(16), 0, {})).envelope.raw

    open_equivocation(Equivocation(one, two), stage.committees)
    for first, second in ((one, one), (one, elsewhere), (one, of_bob), (one, beat), (beat, beat)):
        evidence = stage.keys["bob"].say(Equivocation(first, second), stage.committee, 1)[0].raw
        with pytest.raises(WireError, match="bad evidence"):
            open_message(evidence, stage.committees, at_s=BEGIN_S)
