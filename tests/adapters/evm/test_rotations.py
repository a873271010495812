"""What members sign of a rotation, and the call that brings it: against vectors and the contract's words."""

import json
from pathlib import Path

import pytest

from adapters.evm import adapter
from adapters.evm.encode import gateway_calldata
from adapters.evm.gas import FROST_GAS, gas_limit
from adapters.evm.office.contract import verifier
from adapters.evm.rotations import NO_GROUPS, ROTATION_TYPE, groups_hash, rotation_digest
from proofs.hashes import keccak256
from proofs.mandate import Mandate, Op, Tier
from relay.core.errors import ConfigError
from relay.core.ports import Execute
from relay.core.rotations import GroupKey, GroupKeys, Rotate, Rotation

CASES = json.loads((Path(__file__).parents[2] / "vectors" / "frost.json").read_text())["cases"]
ATTESTERS = tuple(bytes([number]) * 20 for number in range(1, 6))


def unhex(text):
    return bytes.fromhex(text.removeprefix("0x"))


def execute(certificate):
    word = bytes(32)
    mandate = Mandate(word, 1, Tier.FAST, word, Op.PROTECT, word, word, 1, 2)
    return Execute("eip155:1", word, word, 1, mandate, (), certificate)


def groups_of(case):
    return GroupKeys(
        *(GroupKey(unhex(case["groups"][tier][part[0]]), unhex(case["groups"][tier][part[1]]))
          for tier in ("fast", "full") for part in [("key", "possession")])
    )  # fmt: skip


def rotation_of(case, groups):
    fields = case["rotation"]
    return Rotation(
        chain=f"eip155:{fields['chainId']}",
        verifier=unhex(fields["verifier"]).rjust(32, b"\0"),
        network=unhex(fields["network"]),
        new_epoch=fields["newEpoch"],
        attesters=ATTESTERS,
        groups=None if groups is None else groups.keys,
        fast=fields["fast"],
        full=fields["full"],
        not_before=fields["notBefore"],
        not_after=fields["notAfter"],
        revoke_previous=fields["revokePrevious"],
    )


@pytest.mark.parametrize("case", CASES, ids=lambda case: f"epoch {case['keyEpoch']}")
def test_the_hash_of_group_keys_is_that_of_the_vectors(case):
    assert groups_hash(groups_of(case).keys) == unhex(case["groups"]["hash"])
    assert groups_hash(None) == keccak256(bytes(66))


@pytest.mark.parametrize("case", CASES, ids=lambda case: f"epoch {case['keyEpoch']}")
def test_a_rotation_is_signed_as_the_vectors_say(case):
    """The vectors' attesters are a hash of nobody's: it is put in the place of ours."""
    rotation = rotation_of(case, groups_of(case))
    ours, theirs = keccak256(b"".join(ATTESTERS)), unhex(case["rotation"]["attestersHash"])
    struct = adapter().office().rotation_bytes(rotation)
    digest = rotation_digest(rotation)

    assert struct.count(ours) == 1
    replaced = keccak256(ROTATION_TYPE + struct.replace(ours, theirs))
    domain = keccak256(
        keccak256(b"EIP712Domain(string name,string version)") + keccak256(b"Tocsin") + keccak256(b"1")
    )
    assert keccak256(b"\x19\x01" + domain + replaced) == unhex(case["rotation"]["digest"])
    assert digest == keccak256(b"\x19\x01" + domain + keccak256(ROTATION_TYPE + struct))


@pytest.mark.parametrize("with_groups", [True, False])
def test_the_call_is_what_the_contract_s_own_interface_makes(with_groups):
    case = CASES[0]
    groups = groups_of(case) if with_groups else None
    rotation = rotation_of(case, groups)
    call = Rotate(rotation, groups, b"\x02" + bytes(96))

    read = verifier().functions["rotate"].arguments(gateway_calldata(call))

    assert read is not None
    fields = read["rotation"]
    assert fields["groupsHash"] == groups_hash(rotation.groups)
    assert fields["attestersHash"] == keccak256(b"".join(ATTESTERS))
    assert fields["verifier"] == case["rotation"]["verifier"]
    assert fields["newEpoch"] == rotation.new_epoch
    assert read["attesters"] == tuple("0x" + each.hex() for each in ATTESTERS)
    shown = tuple(tuple(read["groups"][tier].values()) for tier in ("fast", "full"))
    if groups is None:
        assert shown == NO_GROUPS
    else:
        assert shown[1] == (
            int.from_bytes(groups.full.key[1:], "big"), groups.full.key[0], groups.full.possession
        )  # fmt: skip
    assert read["certificate"] == call.certificate


def test_what_does_not_fit_its_type_is_named():
    rotation = rotation_of(CASES[0], groups_of(CASES[0]))

    with pytest.raises(ConfigError, match="expected values that fit their types"):
        rotation_digest(
            Rotation(**{name: getattr(rotation, name) for name in rotation.__slots__} | {"full": 256})
        )
    with pytest.raises(ConfigError, match="expected keys of 33 bytes, got 32 and 33"):
        groups_hash((bytes(32), bytes(33)))


def test_a_group_s_signature_is_given_gas_of_its_own_whatever_the_number_of_signers():
    """97 bytes of kind 0x02 are not 1 signature of 65 bytes, and never 13."""
    by_group = gas_limit(execute(b"\x02" + bytes(96)), b"", 0, 100_000)
    by_two = gas_limit(execute(b"\x01" + bytes(130)), b"", 0, 100_000)
    by_none = gas_limit(execute(b""), b"", 0, 100_000)

    assert by_group - by_none == FROST_GAS
    assert by_two - by_none == 2 * 9_000
