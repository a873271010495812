"""Committee documents, their signatures and the chain of epochs (core SPEC 2)."""

from dataclasses import replace

import pytest
from nacl.signing import SigningKey

from proofs.canonical import Value, decode, encode
from proofs.committee import (
    CommitteeDocument,
    CommitteeError,
    CommitteeMember,
    CommitteeStatement,
    SignedCommittee,
    build_committee,
    committee_signing_bytes,
    cosigner_key,
    fast_quorum,
    full_quorum,
    log_key,
    malicious_bound,
    parse_committee,
    verify_committee_chain,
    verify_committee_signatures,
)
from proofs.errors import ProofError
from proofs.fields import FieldError
from proofs.hashes import sha256
from proofs.kinds import Address, Caip2, Identity, NetworkId
from proofs.mandate import Tier
from proofs.note import KeyKind

NAMES = ("alice", "bob", "carol", "dave", "erin", "frank", "grace")
SECRETS = {name: SigningKey(sha256(name.encode())) for name in NAMES}


def identity(name: str) -> Identity:
    return Identity(bytes(SECRETS[name].verify_key))


def member(name: str) -> CommitteeMember:
    return CommitteeMember(
        identity=identity(name),
        attester=Address(sha256(b"attester" + name.encode())[:20]),
        log=sha256(b"log" + name.encode()),
        cosigner=sha256(b"cosigner" + name.encode()),
        name=name,
        operator=f"{name} GmbH",
        addresses=("/ip4/127.0.0.1/tcp/4001",),
        providers={Caip2("eip155:1"): ("one", "two", "three")},
    )


def statement(count: int = 4) -> CommitteeStatement:
    members = tuple(member(name) for name in NAMES[:count])
    return CommitteeStatement("towers", 1, 1, 0, False, None, members)


def signed(document: CommitteeDocument, *names: str) -> SignedCommittee:
    message = committee_signing_bytes(document.raw)
    return SignedCommittee(
        document, {identity(name): SECRETS[name].sign(message).signature for name in names}
    )


GENESIS = build_committee(statement())
FIRST = signed(GENESIS, *NAMES[:4])


def second(**changes: object) -> CommitteeDocument:
    base = replace(statement(), committee_epoch=2, genesis=GENESIS.network)
    return build_committee(replace(base, **changes))


def altered(**changes: Value) -> bytes:
    value = decode(GENESIS.raw, limit_bytes=1 << 20)
    assert isinstance(value, dict)
    return encode({**value, **changes})


def members_value() -> list[dict[str, Value]]:
    value = decode(GENESIS.raw, limit_bytes=1 << 20)
    assert isinstance(value, dict)
    return [dict(entry) for entry in value["members"]]


@pytest.mark.parametrize(
    ("n", "f", "fast", "full"),
    [(4, 1, 2, 3), (5, 1, 2, 4), (6, 1, 2, 4), (7, 2, 3, 5), (10, 3, 4, 7), (13, 4, 5, 9), (50, 16, 17, 34)],
)
def test_quorums_have_the_sizes_of_the_specification(n: int, f: int, fast: int, full: int) -> None:
    assert (malicious_bound(n), fast_quorum(n), full_quorum(n)) == (f, fast, full)


@pytest.mark.parametrize("n", range(4, 51))
def test_quorums_keep_what_they_promise(n: int) -> None:
    f = malicious_bound(n)

    assert 3 * f < n
    assert fast_quorum(n) > f, "an honest member is among a fast quorum"
    assert 2 * full_quorum(n) - n > f, "two full quorums share an honest member"
    assert full_quorum(n) <= n - f, "f silent members cannot stop a full quorum"


def test_a_document_comes_back_with_its_network() -> None:
    assert parse_committee(GENESIS.raw) == GENESIS
    assert GENESIS.network == sha256(b"tocsin/network/1\n" + GENESIS.raw)
    assert second().network == GENESIS.network
    assert GENESIS.member(identity("bob")) == member("bob")
    assert GENESIS.member(bytes(32)) is None
    assert GENESIS.attesters()[member("carol").attester].name == "carol"
    assert (GENESIS.f, GENESIS.threshold(Tier.FAST), GENESIS.threshold(Tier.FULL)) == (1, 2, 3)


def test_keys_of_logs_and_cosigners_are_named_after_committee_and_member() -> None:
    assert log_key(GENESIS, member("alice")).name == "towers/alice"
    assert cosigner_key(GENESIS, member("alice")).name == "towers/alice/cosigner"
    assert cosigner_key(GENESIS, member("alice")).kind is KeyKind.COSIGNATURE


@pytest.mark.parametrize(
    ("raw", "check"),
    [
        (altered(format="tocsin/committee/2"), "committee-format"),
        (altered(more=1), "shape"),
        (altered(members=members_value()[:3]), "committee-size"),
        (altered(members=[*members_value()] * 13), "shape"),
        (altered(members=members_value()[::-1]), "committee-order"),
        (altered(genesis=bytes(32)), "committee-genesis"),
        (altered(committee_epoch=2), "committee-genesis"),
        (altered(committee_epoch=0), "shape"),
        (altered(key_epoch=0), "shape"),
        (altered(demo=1), "shape"),
        (altered(name=""), "shape"),
        (altered(name="two towers"), "shape"),
        (altered(activates_at=-1), "shape"),
        (GENESIS.raw[:-1], "canonical-truncated"),
        (bytes(262_145), "canonical-size"),
    ],
)
def test_a_document_of_another_form_is_refused(raw: bytes, check: str) -> None:
    with pytest.raises(ProofError) as caught:
        parse_committee(raw)
    assert caught.value.check == check


@pytest.mark.parametrize(
    ("change", "check"),
    [
        ({"name": "bob"}, "committee-shared-key"),
        ({"attester": member("bob").attester}, "committee-shared-key"),
        ({"log": member("bob").log}, "committee-shared-key"),
        ({"cosigner": member("alice").log}, "committee-shared-key"),
        ({"cosigner": identity("bob")}, "committee-shared-key"),
        ({"attester": bytes(19)}, "shape"),
        ({"log": bytes(33)}, "shape"),
        ({"name": "al ice"}, "shape"),
        ({"name": "al+ice"}, "shape"),
        ({"addresses": [1]}, "shape"),
        ({"addresses": ["x"] * 9}, "shape"),
        ({"providers": {"eip155:1": "one"}}, "shape"),
        ({"providers": {"eip155:1": [1]}}, "shape"),
        ({"providers": []}, "shape"),
        ({"vote": 2}, "shape"),
    ],
)
def test_a_member_of_another_form_is_refused(change: dict[str, Value], check: str) -> None:
    members = [entry if entry["name"] != "alice" else {**entry, **change} for entry in members_value()]

    with pytest.raises(ProofError) as caught:
        parse_committee(altered(members=members))
    assert caught.value.check == check
    if check == "shape":
        assert isinstance(caught.value, FieldError)


def test_genesis_is_in_force_when_every_member_signed() -> None:
    verify_committee_signatures(FIRST, None)
    with pytest.raises(CommitteeError) as caught:
        verify_committee_signatures(signed(GENESIS, "alice", "bob", "carol"), None)
    assert caught.value.check == "committee-quorum"


def test_a_later_document_is_in_force_by_a_full_quorum_of_the_one_before() -> None:
    later = second(members=tuple(member(name) for name in NAMES[2:7]), key_epoch=2)

    verify_committee_signatures(signed(later, "alice", "bob", "dave"), GENESIS)
    for names, check in [
        (("alice", "bob"), "committee-quorum"),
        (("alice", "bob", "erin"), "committee-signer"),
    ]:
        with pytest.raises(CommitteeError) as caught:
            verify_committee_signatures(signed(later, *names), GENESIS)
        assert caught.value.check == check


def test_a_signature_of_another_document_is_none() -> None:
    other = {**FIRST.signatures, identity("bob"): signed(second(), "bob").signatures[identity("bob")]}

    with pytest.raises(CommitteeError) as caught:
        verify_committee_signatures(SignedCommittee(GENESIS, other), None)
    assert caught.value.check == "committee-signature"


def test_a_chain_of_epochs_leads_to_its_network() -> None:
    third = build_committee(
        replace(
            statement(),
            committee_epoch=3,
            key_epoch=2,
            genesis=GENESIS.network,
            members=tuple(member(name) for name in NAMES[1:5]),
        )
    )
    chain = [FIRST, signed(second(), "alice", "bob", "carol"), signed(third, "bob", "carol", "dave")]

    assert verify_committee_chain(chain) == GENESIS.network
    with pytest.raises(CommitteeError, match="committee-epoch"):
        verify_committee_chain([chain[0], chain[2]])
    with pytest.raises(CommitteeError, match="committee-epoch"):
        verify_committee_chain(chain[1:])
    with pytest.raises(CommitteeError, match="committee-genesis"):
        verify_committee_chain([])


@pytest.mark.parametrize(
    ("document", "check"),
    [
        (second(genesis=NetworkId(bytes(32))), "committee-genesis"),
        (second(key_epoch=3), "committee-key-epoch"),
        (second(members=tuple(member(name) for name in NAMES[1:5])), "committee-key-epoch"),
    ],
)
def test_a_document_that_does_not_follow_breaks_the_chain(document: CommitteeDocument, check: str) -> None:
    with pytest.raises(CommitteeError) as caught:
        verify_committee_chain([FIRST, signed(document, *NAMES[:4])])
    assert caught.value.check == check


def with_log_of_erin(name: str) -> CommitteeDocument:
    """The second document, in which alice's log has another key, under `name`."""
    moved = replace(member("alice"), name=name, log=member("erin").log)
    return second(members=(moved, *(member(name) for name in NAMES[1:4])))


def test_the_name_of_a_log_never_goes_to_another_key() -> None:
    # A cosignature tells of no key: under two keys of one name two histories could be cosigned for either.
    with pytest.raises(CommitteeError) as caught:
        verify_committee_chain([FIRST, signed(with_log_of_erin("alice"), *NAMES[:4])])
    assert caught.value.check == "committee-log"

    assert verify_committee_chain([FIRST, signed(with_log_of_erin("alice-2"), *NAMES[:4])]) == GENESIS.network
