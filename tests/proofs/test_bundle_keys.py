"""Bundles with certificates of kind 2: who stands behind a group's signature, and what is refused by name."""

import json
from collections.abc import Callable
from dataclasses import replace
from random import Random

import pytest

from proofs.bundle import Bundle, BundleDocument, decode_bundle, encode_bundle
from proofs.errors import ProofError
from proofs.groupkeys import MAX_KEYS_BYTES, parse_keys
from proofs.kinds import Digest
from proofs.mandate import Tier
from proofs.verdict import SignedByGroup, SignedByMembers
from proofs.verdictvalue import verdict_value
from proofs.verify import verify_bundle
from tests.proofs.conftest import NAMES, Town
from tests.proofs.group_points import group_of
from tests.proofs.grouptown import frost_certificate, keys_of, signed_keys, with_frost

NO_EVIDENCE = "which holders made a group's signature"


def check_of(bundle: Bundle) -> str:
    with pytest.raises(ProofError) as caught:
        verify_bundle(encode_bundle(bundle))
    return caught.value.check


def with_certificate(bundle: Bundle, number: int, certificate: bytes) -> Bundle:
    decisions = list(bundle.decisions)
    decisions[number] = replace(decisions[number], certificate=certificate)
    return replace(bundle, decisions=tuple(decisions))


def with_keys(bundle: Bundle, *keys: BundleDocument) -> Bundle:
    return replace(bundle, keys=keys)


def flipped(data: bytes, place: int) -> bytes:
    changed = bytearray(data)
    changed[place] ^= 1
    return bytes(changed)


def one_alarm(town: Town, *attesters: str, tier: Tier = Tier.FAST) -> Bundle:
    """Give a bundle of one decision that these members attested, certified by their shares."""
    decision = town.decide(tier=tier)
    for name in attesters:
        town.attest(name, decision, town.mandate(decision))
    entry = town.entry(decision, attesters, tuple(range(len(attesters))), ())
    return with_frost(town, town.bundle(entry), 0)


def test_behind_a_group_s_signature_stand_those_who_attested_and_not_those_who_gave_shares(
    town: Town,
) -> None:
    bundle = with_frost(town, town.alarm(), 0, 1, 2)

    verdict = verify_bundle(encode_bundle(bundle))

    fast, full, linked = verdict.decisions
    document = keys_of(town)
    assert [decision.certified_by for decision in verdict.decisions] == [
        tuple(member.name for member in town.genesis.members if member.name in names)
        for names in ({"bob", "carol"}, {"alice", "bob", "carol"}, {"dave", "bob"})
    ], "the shares are of carol and dave, and of bob, carol and dave"
    for decision, name in ((fast, "fast"), (full, "full"), (linked, "fast")):
        signed = decision.certificate
        assert isinstance(signed, SignedByGroup)
        assert (signed.group, signed.key) == (name, document.group(name).key)
        assert (signed.keys.ceremony, signed.keys.generation) == (document.ceremony, 1)
    assert [keys.digest for keys in verdict.keys] == [document.digest]
    assert set(verdict.keys[0].holders) == set(NAMES)
    assert any(limit.startswith(NO_EVIDENCE) for limit in verdict.not_proved)


def test_a_bundle_of_both_kinds_says_which_is_which(town: Town) -> None:
    verdict = verify_bundle(encode_bundle(with_frost(town, town.alarm(), 1)))

    fast, full, linked = verdict.decisions
    assert isinstance(fast.certificate, SignedByMembers)
    assert set(fast.certificate.signers) == set(fast.certified_by) == {"bob", "carol"}
    assert isinstance(full.certificate, SignedByGroup)
    assert isinstance(linked.certificate, SignedByMembers)


def test_the_verdict_for_programs_names_kind_key_and_ceremony(town: Town) -> None:
    value = verdict_value(verify_bundle(encode_bundle(with_frost(town, town.alarm(), 1))))
    document, said = keys_of(town), json.loads(json.dumps(value))

    fast, full, _ = said["decisions"]
    assert fast["certificate"] == {"kind": "ecdsa", "signers": fast["certified_by"]}
    assert full["certificate"] == {
        "kind": "frost",
        "group": "full",
        "key": document.group("full").key.hex(),
        "keys": document.digest.hex(),
        "ceremony": document.ceremony.hex(),
        "generation": 1,
    }
    (keys,) = said["keys"]
    assert (keys["digest"], keys["key_epoch"], keys["generation"]) == (document.digest.hex(), 1, 1)
    assert set(keys["holders"]) == set(NAMES)


def test_a_bundle_of_lists_alone_has_no_keys_and_says_nothing_of_shares(town: Town) -> None:
    verdict = verify_bundle(encode_bundle(town.alarm()))

    assert verdict.keys == ()
    assert not any(limit.startswith(NO_EVIDENCE) for limit in verdict.not_proved)


def test_keys_of_a_later_generation_serve_as_well(town: Town) -> None:
    """A reshare leaves the group keys as they were: so any document of the key epoch does."""
    bundle = with_keys(
        one_alarm(town, "alice", "bob"), signed_keys(town, document=keys_of(town, generation=7))
    )

    (decision,) = verify_bundle(encode_bundle(bundle)).decisions

    assert isinstance(decision.certificate, SignedByGroup)
    assert decision.certificate.keys.generation == 7


def test_a_bundle_with_keys_comes_back(town: Town) -> None:
    bundle = with_frost(town, town.alarm(), 0, 2)

    read = decode_bundle(encode_bundle(bundle))

    assert read.keys == bundle.keys
    assert encode_bundle(read) == encode_bundle(bundle)


TAMPERED: dict[str, list[Callable[[Town, Bundle], Bundle]]] = {
    "certificate-kind": [lambda town, b: with_certificate(b, 0, b"\x03" + b.decisions[0].certificate[1:])],
    "certificate-length": [
        lambda town, b: with_certificate(b, 0, b.decisions[0].certificate[:-1]),
        lambda town, b: with_certificate(b, 0, b.decisions[0].certificate + b"\0"),
        lambda town, b: with_certificate(b, 0, b"\x02"),
    ],
    "certificate-point": [
        lambda town, b: with_certificate(b, 0, flipped(b.decisions[0].certificate, 40)),
        lambda town, b: with_certificate(b, 0, b"\x02" + bytes(96)),
    ],
    "certificate-scalar": [
        lambda town, b: with_certificate(b, 0, b.decisions[0].certificate[:65] + bytes(32)),
        lambda town, b: with_certificate(b, 0, b.decisions[0].certificate[:65] + b"\xff" * 32),
    ],
    "certificate-signature": [
        lambda town, b: with_certificate(b, 0, flipped(b.decisions[0].certificate, -1)),
        lambda town, b: with_certificate(b, 0, b.decisions[2].certificate),
        lambda town, b: with_certificate(
            b,
            0,
            frost_certificate(town, b.decisions[0].mandate, "alice", "bob", "carol", tier=Tier.FULL),
        ),
        lambda town, b: with_certificate(
            b, 1, frost_certificate(town, b.decisions[1].mandate, "alice", "bob", tier=Tier.FAST)
        ),
    ],
    "keys-missing": [
        lambda town, b: with_keys(b),
        lambda town, b: with_keys(
            b, signed_keys(town, document=keys_of(town, groups=(group_of("full", 3, 4),)))
        ),
        lambda town, b: with_keys(
            b,
            signed_keys(
                town, document=keys_of(town, groups=(group_of("fast/ed25519", 2, 4), group_of("full", 3, 4)))
            ),
        ),
    ],
    "keys-unsigned": [
        lambda town, b: with_keys(b, BundleDocument(keys_of(town).raw, {})),
        lambda town, b: with_keys(b, signed_keys(town, *NAMES[:3])),
    ],
    "keys-signature": [
        lambda town, b: with_keys(
            b,
            BundleDocument(
                keys_of(town).raw, signed_keys(town, document=keys_of(town, generation=2)).signatures
            ),
        )
    ],
    "keys-signer": [lambda town, b: with_keys(b, signed_by_a_stranger(town))],
    "keys-network": [lambda town, b: with_keys(b, signed_keys(Town("elsewhere")))],
    "keys-epoch": [
        lambda town, b: with_keys(b, signed_keys(town, document=keys_of(town, committee_epoch=2))),
        lambda town, b: with_keys(b, signed_keys(town, document=keys_of(town, key_epoch=2))),
    ],
    "keys-threshold": [
        lambda town, b: with_keys(
            b, signed_keys(town, document=keys_of(town, groups=(group_of("fast", 3, 4),)))
        )
    ],
    "keys-twice": [
        lambda town, b: with_keys(b, *b.keys, *b.keys),
        lambda town, b: with_keys(b, *b.keys, signed_keys(town, document=keys_of(town, generation=2))),
    ],
    "canonical-truncated": [
        lambda town, b: with_keys(b, BundleDocument(keys_of(town).raw[:-1], b.keys[0].signatures))
    ],
    "shape": [
        lambda town, b: with_keys(b, BundleDocument(bytes(MAX_KEYS_BYTES + 1), b.keys[0].signatures)),
        lambda town, b: with_keys(b, *b.keys * 257),
        lambda town, b: with_keys(
            b, BundleDocument(keys_of(town).raw, {bytes([number]) * 32: bytes(64) for number in range(65)})
        ),
    ],
}


def signed_by_a_stranger(town: Town) -> BundleDocument:
    ours, theirs = signed_keys(town), signed_keys(Town("elsewhere"), document=keys_of(town))
    return BundleDocument(ours.document, {**ours.signatures, **theirs.signatures})


@pytest.mark.parametrize(
    ("check", "tamper"), [(check, tamper) for check, tampers in TAMPERED.items() for tamper in tampers]
)
def test_a_changed_bundle_with_keys_is_refused_by_name(
    town: Town, check: str, tamper: Callable[[Town, Bundle], Bundle]
) -> None:
    bundle = with_frost(town, town.alarm(), 0, 1, 2)
    verify_bundle(encode_bundle(bundle))

    assert check_of(tamper(town, bundle)) == check


def test_group_keys_cannot_be_swapped_between_tiers(town: Town) -> None:
    """The key of the fast tier under the name of the full one: two members could then speak for three."""
    fast, full = group_of("fast", 2, 4), group_of("full", 3, 4)

    for name, threshold, group in (("full", 3, fast), ("fast", 2, full)):
        with pytest.raises(ProofError) as caught:
            keys_of(town, groups=(replace(group, name=name, threshold=threshold),))
        assert caught.value.check == "keys-polynomial"


def test_a_group_s_signature_without_enough_attestations_in_the_log_proves_nobody(town: Town) -> None:
    assert check_of(one_alarm(town, "alice")) == "certificate-attestation"
    town.entries.clear()
    verify_bundle(encode_bundle(one_alarm(town, "alice", "bob")))
    town.entries.clear()
    assert check_of(one_alarm(town, "alice", "bob", tier=Tier.FULL)) == "certificate-attestation"


def test_who_dissented_abstained_or_attested_to_another_mandate_stands_behind_nothing(town: Town) -> None:
    decision = town.decide()
    mandate = town.mandate(decision)
    town.attest("alice", decision, mandate)
    town.refuse("bob", decision, "dissent")
    town.refuse("carol", decision, "abstain")
    town.attest("dave", decision, replace(mandate, acts_root=Digest(bytes(32))))
    bundle = with_frost(town, town.bundle(town.entry(decision, ("alice", "bob"), (0, 1, 2, 3), ())), 0)

    assert check_of(bundle) == "certificate-attestation"


def test_a_keys_document_of_no_certificate_is_refused(town: Town) -> None:
    assert check_of(with_keys(town.alarm(), signed_keys(town))) == "keys-unused"


def test_the_keys_of_another_town_cannot_be_swapped_in(town: Town, other_town: Town) -> None:
    ours, theirs = one_alarm(town, "alice", "bob"), one_alarm(other_town, "alice", "bob")

    assert check_of(replace(ours, keys=theirs.keys)) == "keys-network"


def test_no_flipped_bit_of_a_bundle_with_keys_passes(town: Town) -> None:
    data = encode_bundle(one_alarm(town, "alice", "bob"))
    start, end = data.index(b'"keys"'), data.index(b'"log"')
    chance = Random(11)

    for _ in range(150):
        place, bit = chance.randrange(start, end), 1 << chance.randrange(8)
        changed = data[:place] + bytes([data[place] ^ bit]) + data[place + 1 :]
        with pytest.raises(ProofError):
            print(f"flipped bit {bit:02x} of byte {place}", verify_bundle(changed).checks)


def test_a_keys_document_in_another_spelling_is_refused(town: Town) -> None:
    value = json.loads(encode_bundle(one_alarm(town, "alice", "bob")))
    for change in (
        lambda keys: keys.update(more=1),
        lambda keys: keys.pop("signatures"),
        lambda keys: keys.update(document=None),
        lambda keys: keys.update(signatures={"00": "AAAA"}),
        lambda keys: keys.update(signatures=[]),
    ):
        changed = json.loads(json.dumps(value))
        change(changed["keys"][0])
        with pytest.raises(ProofError) as caught:
            decode_bundle(json.dumps(changed, indent=1, sort_keys=True).encode() + b"\n")
        assert caught.value.check == "shape"
    assert parse_keys(keys_of(town).raw) == keys_of(town)
