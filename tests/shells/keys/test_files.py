"""Key files: sealed, private, never overwritten; each way in which one may be wrong has its own words."""

import json
import pickle
from collections.abc import Callable
from pathlib import Path

import pytest
from nacl.signing import SigningKey

from relay.core.errors import KeyFileError
from relay.keys import (
    KdfCost,
    KeyKind,
    PassphraseFile,
    PassphraseVariable,
    PublicKeys,
    Secret,
    add_submitter,
    generate,
    open_identity,
    public_keys,
    read_passphrase,
)
from relay.keys.files import KeyDerivation, unseal_key

CHEAP = KdfCost(passes=1, memory_bytes=8 << 10)
PASSPHRASE = Secret(b"correct horse")
DERIVATION = KeyDerivation(PASSPHRASE)


def test_the_public_keys_are_those_that_were_generated(tmp_path: Path, keys: PublicKeys) -> None:
    assert public_keys(tmp_path / "keys", PASSPHRASE) == keys
    assert len({keys.identity, keys.log, keys.cosigner}) == 3
    assert (len(keys.identity), len(keys.attester), list(keys.submitters)) == (32, 20, ["default"])


def test_the_identity_seed_is_that_of_the_identity(tmp_path: Path, keys: PublicKeys) -> None:
    seed = open_identity(tmp_path / "keys", PASSPHRASE)

    assert bytes(SigningKey(seed.reveal()).verify_key) == keys.identity


def test_key_files_are_for_their_owner_only(tmp_path: Path, keys: PublicKeys) -> None:
    files = sorted((tmp_path / "keys").rglob("*.key"))

    assert [str(file.relative_to(tmp_path / "keys")) for file in files] == [
        "attester.key",
        "cosigner.key",
        "identity.key",
        "log.key",
        "submitter/default.key",
    ]
    assert {file.stat().st_mode & 0o777 for file in files} == {0o600}
    assert (tmp_path / "keys").stat().st_mode & 0o777 == 0o700


def test_no_secret_stands_in_a_file(tmp_path: Path, keys: PublicKeys) -> None:
    seed = open_identity(tmp_path / "keys", PASSPHRASE).reveal()

    content = (tmp_path / "keys" / "identity.key").read_bytes()

    assert seed not in content
    assert seed.hex().encode() not in content
    assert PASSPHRASE.reveal() not in content


def test_files_made_together_share_their_salt_and_never_a_nonce(tmp_path: Path, keys: PublicKeys) -> None:
    files = [json.loads(path.read_bytes()) for path in (tmp_path / "keys").rglob("*.key")]

    assert len({file["salt"] for file in files}) == 1
    assert len({file["nonce"] for file in files}) == len(files) == 5


def test_keys_are_never_overwritten(tmp_path: Path, keys: PublicKeys) -> None:
    with pytest.raises(
        KeyFileError, match=r"identity\.key: expected no file, got one \(keys are never overwritten"
    ):
        generate(tmp_path / "keys", PASSPHRASE, cost=CHEAP)
    with pytest.raises(KeyFileError, match=r"default\.key: expected no file, got one"):
        add_submitter(tmp_path / "keys", "default", PASSPHRASE, cost=CHEAP)

    assert public_keys(tmp_path / "keys", PASSPHRASE) == keys


def test_one_existing_file_keeps_all_others_from_being_written(tmp_path: Path) -> None:
    (tmp_path / "submitter").mkdir()
    (tmp_path / "submitter" / "default.key").write_bytes(b"precious")

    with pytest.raises(KeyFileError, match=r"default\.key: expected no file"):
        generate(tmp_path, PASSPHRASE, cost=CHEAP)

    assert [path.name for path in tmp_path.rglob("*.key")] == ["default.key"]


def test_more_submitters_have_names(tmp_path: Path, keys: PublicKeys) -> None:
    address = add_submitter(tmp_path / "keys", "base-2", PASSPHRASE, cost=CHEAP)

    assert public_keys(tmp_path / "keys", PASSPHRASE).submitters == {**keys.submitters, "base-2": address}
    with pytest.raises(KeyFileError, match="expected a name of 1 to 32 of a-z"):
        add_submitter(tmp_path / "keys", "../attester", PASSPHRASE, cost=CHEAP)


def alter(**changes: object) -> Callable[[bytes], bytes]:
    return lambda content: json.dumps({**json.loads(content), **changes}).encode()


def flip_sealed(content: bytes) -> bytes:
    sealed = json.loads(content)["sealed"]
    return alter(sealed=("A" if sealed[0] != "A" else "B") + sealed[1:])(content)


@pytest.mark.parametrize(
    ("change", "words"),
    [
        (lambda content: content[: len(content) // 2], "got other or truncated bytes"),
        (lambda content: b"", "got other or truncated bytes"),
        (lambda content: b"\xff" * 100, "got other or truncated bytes"),
        (lambda content: content + b"x" * 5_000, "got other or truncated bytes"),
        (alter(format="tocsin/key/2"), "another format"),
        (alter(extra=1), "other fields"),
        (alter(kdf="scrypt"), "another format"),
        (alter(passes=0), "passes outside 1 to 16"),
        (alter(passes=True), "passes outside 1 to 16"),
        (alter(passes=10**6), "passes outside 1 to 16"),
        (alter(memory_bytes=1 << 40), "memory_bytes outside"),
        (alter(salt="AAAA"), "3 bytes instead of 16"),
        (alter(nonce="*"), "no base64 text"),
        (alter(sealed=5), "no base64 text"),
        (alter(kind="log"), "expected a key of kind identity, got log"),
        (flip_sealed, "expected the passphrase that sealed it, got another, or altered bytes"),
    ],
)
def test_a_damaged_key_file_is_named(
    tmp_path: Path, keys: PublicKeys, change: Callable[[bytes], bytes], words: str
) -> None:
    path = tmp_path / "keys" / "identity.key"
    path.write_bytes(change(path.read_bytes()))

    with pytest.raises(KeyFileError) as refusal:
        unseal_key(path, KeyKind.IDENTITY, DERIVATION)

    assert str(path) in str(refusal.value)
    assert words in str(refusal.value)
    assert refusal.value.remedy


def test_a_wrong_passphrase_is_told(tmp_path: Path, keys: PublicKeys) -> None:
    with pytest.raises(KeyFileError, match=r"attester\.key: expected the passphrase that sealed it"):
        unseal_key(tmp_path / "keys" / "attester.key", KeyKind.ATTESTER, KeyDerivation(Secret(b"wrong")))


def test_a_file_of_another_kind_does_not_open_even_under_a_false_label(
    tmp_path: Path, keys: PublicKeys
) -> None:
    content = (tmp_path / "keys" / "log.key").read_bytes()
    path = tmp_path / "keys" / "identity.key"
    path.write_bytes(content)

    with pytest.raises(KeyFileError, match="expected a key of kind identity, got log"):
        unseal_key(path, KeyKind.IDENTITY, DERIVATION)
    path.write_bytes(alter(kind="identity")(content))
    with pytest.raises(KeyFileError, match="got another kind under that name"):
        unseal_key(path, KeyKind.IDENTITY, DERIVATION)


@pytest.mark.parametrize("mode", [0o640, 0o604, 0o660, 0o601])
def test_a_key_file_open_to_others_is_refused_with_the_command_that_closes_it(
    tmp_path: Path, keys: PublicKeys, mode: int
) -> None:
    path = tmp_path / "keys" / "identity.key"
    path.chmod(mode)

    with pytest.raises(
        KeyFileError, match=rf"expected permissions 0600, got {mode:04o} \(chmod 600 {path}\)"
    ):
        unseal_key(path, KeyKind.IDENTITY, DERIVATION)


def test_a_missing_key_file_is_named(tmp_path: Path) -> None:
    with pytest.raises(KeyFileError, match=r"identity\.key: expected a file, got: No such file"):
        public_keys(tmp_path, PASSPHRASE)


def test_a_secret_does_not_show_itself() -> None:
    assert repr(PASSPHRASE) == str(PASSPHRASE) == f"{PASSPHRASE}" == "Secret(…)"
    with pytest.raises(TypeError, match="not pickled"):
        pickle.dumps(PASSPHRASE)


def test_a_passphrase_comes_from_a_private_file(tmp_path: Path) -> None:
    path = tmp_path / "passphrase"
    path.write_bytes(b"correct horse\n")
    path.chmod(0o644)

    with pytest.raises(KeyFileError, match="expected permissions 0600, got 0644"):
        read_passphrase(PassphraseFile(path))
    path.chmod(0o400)

    assert read_passphrase(PassphraseFile(path)).reveal() == b"correct horse"


def test_a_passphrase_comes_from_an_environment_variable(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("TOCSIN_TEST_PASSPHRASE", "correct horse")

    assert read_passphrase(PassphraseVariable("TOCSIN_TEST_PASSPHRASE")).reveal() == b"correct horse"
    monkeypatch.delenv("TOCSIN_TEST_PASSPHRASE")
    with pytest.raises(
        KeyFileError, match="environment variable TOCSIN_TEST_PASSPHRASE: expected a passphrase of 1"
    ):
        read_passphrase(PassphraseVariable("TOCSIN_TEST_PASSPHRASE"))


def test_an_empty_passphrase_file_is_refused(tmp_path: Path) -> None:
    path = tmp_path / "passphrase"
    path.write_bytes(b"\n")
    path.chmod(0o600)

    with pytest.raises(KeyFileError, match="expected a passphrase of 1 to 4096 bytes, got 0"):
        read_passphrase(PassphraseFile(path))
