"""Keys documents: their form, their polynomial, and when they are in force (threshold SPEC 2)."""

from dataclasses import replace

import pytest
from nacl.signing import SigningKey

from proofs.canonical import Value, decode, encode
from proofs.committee import CommitteeDocument, CommitteeMember, CommitteeStatement, build_committee
from proofs.errors import ProofError
from proofs.groupkeys import (
    GROUP_NAMES,
    MAX_KEYS_BYTES,
    KeyGroup,
    KeysDocument,
    KeysError,
    KeysStatement,
    SignedKeys,
    build_keys,
    group_name,
    group_suite,
    group_tier,
    keys_signing_bytes,
    parse_keys,
    verify_keys,
    verify_reshared,
)
from proofs.hashes import sha256
from proofs.kinds import Address, Digest, Identity, NetworkId
from proofs.mandate import Tier
from proofs.points import PointError, Suite
from tests.proofs.group_points import group_of, point_of

NAMES = ("alice", "bob", "carol", "dave")
SECRETS = {name: SigningKey(sha256(name.encode())) for name in (*NAMES, "mallory")}
IDENTITY = {name: Identity(bytes(secret.verify_key)) for name, secret in SECRETS.items()}
HOLDERS = tuple(sorted(IDENTITY[name] for name in NAMES))
FIELD = (1 << 256) - (1 << 32) - 977
TORSION = bytes.fromhex("ecffffffffffffffffffffffffffffffffffffffffffffffffffffffffffff7f")
"""The point of order two of Ed25519: on the curve, not in the subgroup of prime order."""


def committee(**changes: object) -> CommitteeDocument:
    members = tuple(
        CommitteeMember(
            identity=IDENTITY[name],
            attester=Address(sha256(b"attester" + name.encode())[:20]),
            log=sha256(b"log" + name.encode()),
            cosigner=sha256(b"cosigner" + name.encode()),
            name=name,
            operator=f"{name} GmbH",
            addresses=("/ip4/127.0.0.1/tcp/4001",),
            providers={},
        )
        for name in NAMES
    )
    return build_committee(replace(CommitteeStatement("towers", 1, 1, 0, False, None, members), **changes))


COMMITTEE = committee()
FAST, FULL = group_of("fast", 2, 4), group_of("full", 3, 4)
STATEMENT = KeysStatement(
    network=COMMITTEE.network,
    ceremony=Digest(sha256(b"ceremony")),
    transcript=Digest(sha256(b"transcript")),
    committee_epoch=1,
    key_epoch=1,
    generation=1,
    holders=HOLDERS,
    groups=(FAST, FULL),
)
DOCUMENT = build_keys(STATEMENT)


def keys(**changes: object) -> KeysDocument:
    return build_keys(replace(STATEMENT, **changes))


def signed(document: KeysDocument, *names: str) -> SignedKeys:
    message = keys_signing_bytes(document.raw)
    return SignedKeys(document, {IDENTITY[name]: SECRETS[name].sign(message).signature for name in names})


def altered(**changes: Value) -> bytes:
    value = decode(DOCUMENT.raw, limit_bytes=MAX_KEYS_BYTES)
    assert isinstance(value, dict)
    return encode({**value, **changes})


def with_fast(**changes: Value) -> bytes:
    value = decode(DOCUMENT.raw, limit_bytes=MAX_KEYS_BYTES)
    assert isinstance(value, dict)
    fast, full = value["groups"]
    return altered(groups=[{**fast, **changes}, full])


def group_values(*names: str) -> list[Value]:
    value = decode(DOCUMENT.raw, limit_bytes=MAX_KEYS_BYTES)
    assert isinstance(value, dict)
    by_name = {group["name"]: group for group in value["groups"]}
    return [by_name[name] for name in names]


def check_of(raw: bytes) -> str:
    with pytest.raises(ProofError) as caught:
        parse_keys(raw)
    return caught.value.check


def refusal(signed_keys: SignedKeys, document: CommitteeDocument = COMMITTEE) -> str:
    with pytest.raises(KeysError) as caught:
        verify_keys(signed_keys, document)
    return caught.value.check


def test_a_document_comes_back_as_it_was_made() -> None:
    assert parse_keys(DOCUMENT.raw) == DOCUMENT
    assert DOCUMENT.digest == sha256(DOCUMENT.raw)
    assert DOCUMENT.group("full") == FULL
    assert DOCUMENT.group("full/ed25519") is None
    assert DOCUMENT.key_id("fast") == sha256(b"tocsin/key/1\n" + DOCUMENT.raw + b"fast")
    assert DOCUMENT.key_id("fast") != DOCUMENT.key_id("full")
    assert [DOCUMENT.identifier(holder) for holder in HOLDERS] == [1, 2, 3, 4]
    assert DOCUMENT.identifier(IDENTITY["mallory"]) is None


def test_the_order_in_which_groups_come_makes_no_other_document() -> None:
    assert keys(groups=(FULL, FAST)) == DOCUMENT


def test_names_of_groups_tell_tier_and_suite() -> None:
    assert [group_name(tier) for tier in Tier] == ["fast", "full"]
    assert [(group_tier(name), group_suite(name)) for name in GROUP_NAMES] == [
        (Tier.FAST, Suite.SECP256K1),
        (Tier.FAST, Suite.ED25519),
        (Tier.FULL, Suite.SECP256K1),
        (Tier.FULL, Suite.ED25519),
    ]


def test_a_document_may_hold_keys_of_both_suites() -> None:
    both = keys(groups=(FAST, group_of("fast/ed25519", 2, 4), FULL, group_of("full/ed25519", 3, 4)))

    assert [group.name for group in both.groups] == list(GROUP_NAMES)
    verify_keys(signed(both, *NAMES), COMMITTEE)


@pytest.mark.parametrize(
    ("raw", "check"),
    [
        (altered(format="tocsin/keys/2"), "keys-format"),
        (altered(more=1), "shape"),
        (altered(network=bytes(31)), "shape"),
        (altered(ceremony=bytes(33)), "shape"),
        (altered(transcript=None), "shape"),
        (altered(committee_epoch=0), "shape"),
        (altered(committee_epoch=1 << 32), "shape"),
        (altered(key_epoch=0), "shape"),
        (altered(generation=0), "shape"),
        (altered(generation=True), "shape"),
        (altered(holders=list(HOLDERS[::-1])), "keys-holders"),
        (altered(holders=[HOLDERS[0], *HOLDERS[:3]]), "keys-holders"),
        (altered(holders=list(HOLDERS[:2])), "keys-holders"),
        (altered(holders=[*HOLDERS] * 13), "shape"),
        (altered(holders=[HOLDERS[0], HOLDERS[1], bytes(31)]), "shape"),
        (altered(holders=list(HOLDERS[:3])), "keys-shares"),
        (altered(groups=[]), "keys-groups"),
        (altered(groups=group_values("full", "fast")), "keys-groups"),
        (altered(groups=group_values("fast", "fast")), "keys-groups"),
        (altered(groups=group_values("fast", "fast", "fast", "full", "full")), "shape"),
        (DOCUMENT.raw[:-1], "canonical-truncated"),
        (DOCUMENT.raw + b"\0", "canonical-trailing"),
        (bytes(MAX_KEYS_BYTES + 1), "canonical-size"),
    ],
)
def test_a_document_of_another_form_is_refused(raw: bytes, check: str) -> None:
    assert check_of(raw) == check


@pytest.mark.parametrize(
    ("change", "check"),
    [
        ({"name": "slow"}, "keys-groups"),
        ({"name": "full"}, "keys-groups"),
        ({"name": "fast/ed25519"}, "keys-groups"),
        ({"suite": "ed25519"}, "keys-groups"),
        ({"suite": 1}, "keys-groups"),
        ({"threshold": 1}, "keys-threshold"),
        ({"threshold": 5}, "keys-threshold"),
        ({"threshold": "2"}, "shape"),
        ({"shares": list(group_of("fast", 3, 4).shares)}, "keys-polynomial"),
        ({"shares": list(FAST.shares[:3])}, "keys-shares"),
        ({"shares": [*FAST.shares, FAST.shares[0]]}, "keys-shares"),
        ({"shares": [*FAST.shares[:3], 1]}, "shape"),
        ({"key": FULL.key}, "keys-shared-key"),
        ({"key": bytes([FULL.key[0] ^ 1]) + FULL.key[1:]}, "keys-shared-key"),
        ({"key": FAST.shares[0]}, "keys-polynomial"),
        ({"key": None}, "shape"),
        ({"more": 1}, "shape"),
    ],
)
def test_a_group_of_another_form_is_refused(change: dict[str, Value], check: str) -> None:
    assert check_of(with_fast(**change)) == check


@pytest.mark.parametrize("place", range(4))
@pytest.mark.parametrize("suite", list(Suite))
def test_a_share_off_the_polynomial_is_found_wherever_it_stands(suite: Suite, place: int) -> None:
    group = FAST if suite is Suite.SECP256K1 else group_of("fast/ed25519", 2, 4)
    shares = list(group.shares)
    shares[place] = point_of(suite, 4711)

    with pytest.raises(KeysError) as caught:
        keys(groups=(replace(group, shares=tuple(shares)), FULL))
    assert caught.value.check == "keys-polynomial"


def test_a_share_that_cancels_the_others_is_refused_and_no_crash() -> None:
    """Shares s and 2s of threshold 2 give the key 2s − 2s, which is the identity."""
    shares = tuple(point_of(Suite.SECP256K1, 7 * place) for place in (1, 2, 3, 4))

    with pytest.raises(KeysError) as caught:
        keys(groups=(replace(FAST, shares=shares), FULL))
    assert caught.value.check == "keys-polynomial"


@pytest.mark.parametrize("threshold", [2, 3])
def test_a_key_that_fewer_holders_than_the_threshold_could_sign_with_is_refused(threshold: int) -> None:
    fewer = replace(group_of("full", threshold - 1, 4), threshold=threshold)

    with pytest.raises(KeysError) as caught:
        keys(groups=(fewer,))
    assert caught.value.check == "keys-polynomial"
    assert "for fewer" in caught.value.message


@pytest.mark.parametrize(
    "point",
    [
        b"",
        FAST.key[:32],
        b"\x04" + FAST.key[1:],
        b"\x00" * 33,
        b"\x02" + b"\xff" * 32,
        b"\x02" + FIELD.to_bytes(32, "big"),
        b"\x02" + (FIELD + 1).to_bytes(32, "big"),
        b"\x02" + (5).to_bytes(32, "big"),
    ],
)
def test_a_point_that_is_none_of_secp256k1_is_refused(point: bytes) -> None:
    assert check_of(with_fast(key=point)) == "point"
    assert check_of(with_fast(shares=[point, *FAST.shares[1:]])) == "point"


@pytest.mark.parametrize(
    "point",
    [
        (1).to_bytes(32, "little"),
        TORSION,
        bytes(32),
        (2).to_bytes(32, "little"),
        ((1 << 255) - 19 + 1).to_bytes(32, "little"),
        b"\x02" + bytes(32),
    ],
)
def test_a_point_that_is_none_of_ed25519_is_refused(point: bytes) -> None:
    group = group_of("fast/ed25519", 2, 4)

    with pytest.raises(PointError) as caught:
        keys(groups=(replace(group, key=point), FULL))
    assert caught.value.check == "point"


def test_a_document_is_in_force_when_every_holder_signed() -> None:
    verify_keys(signed(DOCUMENT, *NAMES), COMMITTEE)

    assert refusal(signed(DOCUMENT, *NAMES[:3])) == "keys-unsigned"
    assert refusal(signed(DOCUMENT)) == "keys-unsigned"


def test_one_who_holds_nothing_signs_nothing() -> None:
    assert refusal(signed(DOCUMENT, *NAMES, "mallory")) == "keys-signer"


def test_a_member_without_a_share_neither_holds_nor_signs() -> None:
    three = tuple(holder for holder in HOLDERS if holder != IDENTITY["dave"])
    document = keys(holders=three, groups=(group_of("fast", 2, 3), group_of("full", 3, 3)))

    verify_keys(signed(document, *NAMES[:3]), COMMITTEE)
    assert refusal(signed(document, *NAMES)) == "keys-signer"


def test_a_signature_of_another_document_is_none() -> None:
    other = signed(keys(generation=2), "bob").signatures
    mixed = SignedKeys(DOCUMENT, {**signed(DOCUMENT, *NAMES).signatures, **other})
    short = SignedKeys(DOCUMENT, {**mixed.signatures, IDENTITY["bob"]: b"short"})

    assert refusal(mixed) == "keys-signature"
    assert refusal(short) == "keys-signature"


def test_a_signature_over_the_bare_document_is_none() -> None:
    bare = {IDENTITY[name]: SECRETS[name].sign(DOCUMENT.raw).signature for name in NAMES}

    assert refusal(SignedKeys(DOCUMENT, bare)) == "keys-signature"


@pytest.mark.parametrize(
    ("changes", "check"),
    [
        ({"network": NetworkId(bytes(32))}, "keys-network"),
        ({"committee_epoch": 2}, "keys-epoch"),
        ({"key_epoch": 2}, "keys-epoch"),
        ({"groups": (FAST, group_of("full", 2, 4))}, "keys-threshold"),
        ({"groups": (group_of("fast", 3, 4), FULL)}, "keys-threshold"),
        ({"groups": (group_of("fast/ed25519", 3, 4), FULL)}, "keys-threshold"),
    ],
)
def test_a_document_of_another_committee_is_refused(changes: dict[str, object], check: str) -> None:
    assert refusal(signed(keys(**changes), *NAMES)) == check


def test_a_foreign_holder_is_refused_even_if_it_signs() -> None:
    names = ("alice", "bob", "carol", "mallory")
    document = keys(holders=tuple(sorted(IDENTITY[name] for name in names)))

    assert refusal(signed(document, *names)) == "keys-holder"


def test_thresholds_are_those_of_the_committee_and_not_of_the_holders() -> None:
    """Three of five hold shares: enough for quorums of three, but the committee of five asks for four."""
    five = tuple(sorted({*HOLDERS, IDENTITY["mallory"]}))
    members = (*COMMITTEE.members, replace(COMMITTEE.members[0], identity=IDENTITY["mallory"], name="mallory",
               attester=Address(bytes(20)), log=bytes(31) + b"l", cosigner=bytes(31) + b"c"))  # fmt: skip
    larger = committee(members=members)
    statement = replace(STATEMENT, network=larger.network)
    short = build_keys(replace(statement, holders=five[:3], groups=(group_of("fast", 2, 3),)))
    small = build_keys(replace(statement, holders=five, groups=(group_of("full", 3, 5),)))
    right = build_keys(replace(statement, holders=five, groups=(group_of("full", 4, 5),)))

    assert refusal(signed(short, *NAMES, "mallory"), larger) == "keys-holders"
    assert refusal(signed(small, *NAMES, "mallory"), larger) == "keys-threshold"
    verify_keys(signed(right, *NAMES, "mallory"), larger)


def test_a_reshare_keeps_the_keys_and_is_of_a_later_generation() -> None:
    verify_reshared(keys(generation=2), DOCUMENT)
    verify_reshared(keys(generation=5), DOCUMENT)
    verify_reshared(keys(generation=2, committee_epoch=2, holders=HOLDERS[1:], groups=(
        group_of("fast", 2, 3), group_of("full", 3, 3))), DOCUMENT)  # fmt: skip


def _other_key(group: KeyGroup) -> KeyGroup:
    suite = group.suite
    points = [point_of(suite, 1000 + 17 * place) for place in range(5)]
    assert group.threshold == 2
    return replace(group, key=points[0], shares=tuple(points[1:]))


@pytest.mark.parametrize(
    ("changes", "check"),
    [
        ({"generation": 1}, "keys-generation"),
        ({"generation": 2, "key_epoch": 2}, "keys-epoch"),
        ({"generation": 2, "network": NetworkId(bytes(32))}, "keys-network"),
        ({"generation": 2, "groups": (FAST,)}, "keys-changed"),
        ({"generation": 2, "groups": (_other_key(FAST), FULL)}, "keys-changed"),
    ],
)
def test_a_reshare_of_something_else_is_none(changes: dict[str, object], check: str) -> None:
    with pytest.raises(KeysError) as caught:
        verify_reshared(keys(**changes), DOCUMENT)
    assert caught.value.check == check


def test_a_reshare_does_not_go_back_to_an_earlier_committee() -> None:
    with pytest.raises(KeysError) as caught:
        verify_reshared(keys(generation=3), keys(generation=2, committee_epoch=2))
    assert caught.value.check == "keys-epoch"


def test_the_largest_document_fits_its_bound() -> None:
    holders = tuple(Identity(bytes([place]) * 32) for place in range(1, 51))
    groups = tuple(group_of(name, 17 if name.startswith("fast") else 34, 50) for name in ("fast", "full"))

    document = keys(holders=holders, groups=groups)

    assert 2 * len(document.raw) <= MAX_KEYS_BYTES, "both tiers of both suites fit"
