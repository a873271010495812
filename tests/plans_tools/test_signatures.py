"""Owners' signatures over a plan (plans SPEC 3)."""

from __future__ import annotations

from pathlib import Path

import coincurve
import pytest
from eth_account import Account
from eth_account.messages import encode_defunct

from relay.core.errors import ConfigError
from relay.core.plan_file import parse_plan
from relay.keys import Secret
from relay.keys.files import KdfCost, KeyDerivation, KeyKind, new_salt, seal_key
from relay.plans.signatures import (
    add_signature,
    checksummed,
    read_signatures,
    render_signatures,
    signing_digest,
    signing_text,
)
from tests.cli.calls import PASSPHRASE, tocsin

ALICE, BOB = bytes([1] * 32), bytes([2] * 32)
ORDER = 0xFFFFFFFFFFFFFFFFFFFFFFFFFFFFFFFEBAAEDCE6AF48A03BBFD25E8CD0364141


def _plan(file: Path):
    return parse_plan(file.read_text(), where="plan")


def _by_wallet(file: Path, key: bytes) -> bytes:
    message = encode_defunct(text=signing_text(_plan(file)))
    return bytes(Account.sign_message(message, key).signature)


def _account(key: bytes) -> str:
    return str(Account.from_key(key).address)


def test_what_a_wallet_signs_is_kept_and_named_as_the_wallet_names_it(bridge: Path) -> None:
    kept = tocsin("plan", "sign", bridge, "--signature", "0x" + _by_wallet(bridge, ALICE).hex())
    listed = tocsin("plan", "sign", bridge, "--list", "--json")

    assert kept.code == 0, kept.err
    assert listed.document["signers"] == [_account(ALICE)]


def test_the_digest_is_that_of_an_independent_wallet(bridge: Path) -> None:
    plan = _plan(bridge)
    signature = bytes(
        coincurve.PrivateKey(ALICE).sign_recoverable(signing_digest(signing_text(plan)), hasher=None)
    )

    message = encode_defunct(text=signing_text(plan))

    assert Account.recover_message(
        message, signature=signature[:64] + bytes([27 + signature[64]])
    ) == _account(ALICE)


def test_a_key_file_of_hex_signs_if_nobody_else_can_read_it(bridge: Path, tmp_path: Path) -> None:
    key = tmp_path / "owner.key"
    key.write_text("0x" + ALICE.hex() + "\n")
    key.chmod(0o644)

    refused = tocsin("plan", "sign", bridge, "--key", key)
    key.chmod(0o600)
    signed = tocsin("plan", "sign", bridge, "--key", key, "--json")

    assert refused.code == 2
    assert ALICE.hex() not in refused.err + refused.out
    assert signed.document["signer"] == _account(ALICE)


def test_a_sealed_key_signs_and_one_of_another_kind_does_not(bridge: Path, tmp_path: Path) -> None:
    cost = KdfCost(passes=1, memory_bytes=8 << 10)
    files = {}
    for kind in (KeyKind.SUBMITTER, KeyKind.ATTESTER):
        content = seal_key(kind, Secret(BOB), KeyDerivation(Secret(PASSPHRASE.encode())), new_salt(), cost)
        files[kind] = tmp_path / f"{kind}.key"
        files[kind].write_bytes(content)
        files[kind].chmod(0o600)

    refused = tocsin("plan", "sign", bridge, "--key", files[KeyKind.ATTESTER])
    signed = tocsin("plan", "sign", bridge, "--key", files[KeyKind.SUBMITTER], "--json")

    assert refused.code == 2
    assert signed.document["signer"] == _account(BOB)


def test_another_version_of_the_plan_is_not_signed_by_the_signatures_of_this_one(bridge: Path) -> None:
    tocsin("plan", "sign", bridge, "--signature", _by_wallet(bridge, ALICE).hex())
    bridge.write_text(bridge.read_text().replace("version = 1", "version = 2"))

    checked = tocsin("plan", "check", bridge, "--json")

    assert checked.code == 1
    assert "another plan or version" in checked.out


def test_nobody_signs_twice(bridge: Path) -> None:
    signature = _by_wallet(bridge, ALICE).hex()
    tocsin("plan", "sign", bridge, "--signature", signature)

    again = tocsin("plan", "sign", bridge, "--signature", signature)

    assert again.code == 2
    assert "twice" in again.err


def test_the_mirror_of_a_signature_with_a_high_s_is_refused(bridge: Path) -> None:
    signature = _by_wallet(bridge, ALICE)
    mirror = (
        signature[:32] + (ORDER - int.from_bytes(signature[32:64])).to_bytes(32) + bytes([55 - signature[64]])
    )

    said = tocsin("plan", "sign", bridge, "--signature", mirror.hex())

    assert said.code == 2
    assert "lower half" in said.err


def test_a_file_that_gives_a_signature_another_name_is_refused(bridge: Path) -> None:
    plan = _plan(bridge)
    signed = add_signature((), plan, _by_wallet(bridge, ALICE), "here")
    text = render_signatures(plan, signed)

    assert read_signatures(text, plan, "file") == signed
    with pytest.raises(ConfigError, match=f"got one by {_account(ALICE)}"):
        read_signatures(text.replace(_account(ALICE), _account(BOB)), plan, "file")


def test_accounts_are_written_with_the_checksum_of_eip_55() -> None:
    # The first vector of EIP-55.
    address = bytes.fromhex("5aaeb6053f3e94c9b9a09f33669435e7ef1beaed")

    assert checksummed(address) == "0x5aAeb6053F3E94C9b9A09f33669435E7Ef1BeAed"
