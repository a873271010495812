"""Shares and seeds at rest: each way in which a file may be wrong has its words, and the others serve on."""

import json
from collections.abc import Callable
from contextlib import AbstractAsyncContextManager
from pathlib import Path

import pytest

from proofs.hashes import keccak256
from proofs.kinds import Digest
from proofs.mandate import Mandate, mandate_digest
from relay.core.errors import GuardRefusal, KeyFileError
from relay.keys import KdfCost, LocalSigner, PublicKeys, Secret
from relay.keys.files import KeyDerivation, KeyKind, new_salt, seal_about, unseal_about
from tests.shells.keys.sharing import (
    BOB,
    CAROL,
    DAVE,
    Others,
    Sharing,
    attest,
    commit,
    files_of,
    line,
    share_out,
)

OpenSigner = Callable[..., AbstractAsyncContextManager[LocalSigner]]
MakeMandate = Callable[..., Mandate]
PASSPHRASE = Secret(b"correct horse")
CEREMONY = Digest(keccak256(b"a ceremony"))
SEED = Secret(keccak256(b"a seed"))


def alter(**changes: object) -> Callable[[bytes], bytes]:
    return lambda content: json.dumps({**json.loads(content), **changes}).encode()


def flip_sealed(content: bytes) -> bytes:
    sealed = json.loads(content)["sealed"]
    return alter(sealed=("A" if sealed[0] != "A" else "B") + sealed[1:])(content)


def without_about(content: bytes) -> bytes:
    document = json.loads(content)
    del document["about"]
    return json.dumps(document).encode()


def later(tmp_path: Path, sharing: Sharing, keys: PublicKeys) -> Sharing:
    """The next generation of the same holders, ours on disk and in force beside the first."""
    made = share_out(
        sharing.document.holders,
        sharing.document.network,
        thresholds={"fast": 2, "full": 3},
        generation=2,
        seed=8,
    )
    files = files_of(tmp_path / "keys", PASSPHRASE)
    files.keep_shares(made.document, made.of(keys.identity))
    files.put_in_force(made.document)
    return made


@pytest.mark.parametrize(
    ("change", "words"),
    [
        (lambda content: content[: len(content) // 2], "got other or truncated bytes"),
        (lambda content: b"", "got other or truncated bytes"),
        (lambda content: bytes(len(content)), "got other or truncated bytes"),
        (lambda content: content + b"x" * 5_000, "got other or truncated bytes"),
        (alter(format="tocsin/key/2"), "another format"),
        (without_about, "other fields"),
        (alter(about="00"), "no 32 bytes of hexadecimal text"),
        (alter(about="z" * 64), "other or truncated bytes"),
        (alter(about="00" * 32), "got another kind under that name"),
        (alter(kind="identity"), "other fields"),
        (alter(kind="ceremony seed"), "expected a key of kind shares, got ceremony seed"),
        (flip_sealed, "expected the passphrase that sealed it, got another, or altered bytes"),
    ],
)
@pytest.mark.asyncio
async def test_damaged_shares_are_named_and_the_generation_before_signs_on(
    tmp_path: Path,
    open_node_signer: OpenSigner,
    sharing: Sharing,
    others: Others,
    keys: PublicKeys,
    mandate: MakeMandate,
    change: Callable[[bytes], bytes],
    words: str,
) -> None:
    newer = later(tmp_path, sharing, keys)
    path = tmp_path / "keys" / "threshold" / "1-2.shares"
    path.write_bytes(change(path.read_bytes()))

    async with open_node_signer(documents=(sharing.document, newer.document)) as signer:
        (problem,) = signer.share_problems
        assert str(path) in str(problem)
        assert words in str(problem)
        assert problem.remedy
        assert signer.held_keys() == (sharing.document,)
        made = await attest(signer, mandate())
        request = others.request(mandate_digest(made), line(signer, await commit(signer, made, sharing)))
        others.finish(request, await signer.sign_share(request, BOB))

    assert path.exists()


@pytest.mark.asyncio
async def test_shares_open_to_others_are_refused_with_the_command_that_closes_them(
    tmp_path: Path, open_holder: OpenSigner, sharing: Sharing, mandate: MakeMandate
) -> None:
    path = tmp_path / "keys" / "threshold" / "1-1.shares"
    path.chmod(0o640)

    async with open_holder() as signer:
        (problem,) = signer.share_problems
        assert f"expected permissions 0600, got 0640 (chmod 600 {path})" in str(problem)
        made = await attest(signer, mandate())  # attester keys sign all the same
        with pytest.raises(GuardRefusal, match="unknown key"):
            await commit(signer, made, sharing)


@pytest.mark.asyncio
async def test_shares_sealed_by_another_passphrase_are_named(
    tmp_path: Path, open_holder: OpenSigner, sharing: Sharing, keys: PublicKeys
) -> None:
    path = tmp_path / "keys" / "threshold" / "1-1.shares"
    sealing = (new_salt(), KdfCost(passes=1, memory_bytes=8 << 10))
    other = KeyDerivation(Secret(b"another"))
    path.write_bytes(seal_about(KeyKind.SHARES, sharing.document.digest, SEED, other, sealing))

    async with open_holder() as signer:
        (problem,) = signer.share_problems

    assert "1-1.shares: expected the passphrase that sealed it" in str(problem)


@pytest.mark.parametrize("content", [b"", b"\xc0", b"garbage", bytes(64)])
@pytest.mark.asyncio
async def test_what_was_sealed_and_is_no_share_is_named_and_not_shown(
    tmp_path: Path, open_holder: OpenSigner, sharing: Sharing, content: bytes
) -> None:
    path = tmp_path / "keys" / "threshold" / "1-1.shares"
    files = files_of(tmp_path / "keys", PASSPHRASE)
    sealed = seal_about(
        KeyKind.SHARES, sharing.document.digest, Secret(content), files.derivation, files.sealing
    )
    path.write_bytes(sealed)

    async with open_holder() as signer:
        (problem,) = signer.share_problems

    assert "1-1.shares: expected tocsin/shares/1, got other bytes" in str(problem)
    assert problem.__cause__ is None


@pytest.mark.asyncio
async def test_shares_of_another_document_or_holder_are_not_taken(
    tmp_path: Path, open_node_signer: OpenSigner, sharing: Sharing, keys: PublicKeys
) -> None:
    path = tmp_path / "keys" / "threshold" / "1-1.shares"
    foreign = share_out(sharing.document.holders, sharing.document.network, thresholds={"fast": 2}, seed=9)
    missing = share_out((BOB, CAROL, DAVE), sharing.document.network, thresholds={"fast": 2}, seed=9)

    async with open_node_signer(documents=(foreign.document,)) as signer:
        (problem,) = signer.share_problems
        assert "1-1.shares: expected a file about" in str(problem)
    async with open_node_signer(documents=(missing.document,)) as signer:
        assert (signer.held_keys(), signer.share_problems) == ((), ())
    assert path.exists()
    path.unlink()
    files_of(tmp_path / "keys", PASSPHRASE).keep_shares(sharing.document, sharing.of(BOB))
    async with open_node_signer(documents=(sharing.document,)) as signer:
        (problem,) = signer.share_problems
        assert "expected the shares whose public halves the document has, got others" in str(problem)


@pytest.mark.asyncio
async def test_shares_that_are_missing_are_named(
    tmp_path: Path, open_holder: OpenSigner, sharing: Sharing
) -> None:
    (tmp_path / "keys" / "threshold" / "1-1.shares").unlink()

    async with open_holder() as signer:
        (problem,) = signer.share_problems

    assert "1-1.shares: expected a file, got: No such file" in str(problem)


def test_a_seed_is_kept_as_it_was_first(tmp_path: Path, keys: PublicKeys) -> None:
    files = files_of(tmp_path / "keys", PASSPHRASE)

    assert files.seed(CEREMONY) is None
    assert files.keep_seed(CEREMONY, SEED) is SEED
    again = files_of(tmp_path / "keys", PASSPHRASE)
    assert again.keep_seed(CEREMONY, Secret(bytes(32))).reveal() == SEED.reveal()
    path = tmp_path / "keys" / "threshold" / "ceremonies" / f"{CEREMONY.hex()}.seed"
    assert path.stat().st_mode & 0o777 == 0o600
    assert path.parent.stat().st_mode & 0o777 == path.parent.parent.stat().st_mode & 0o777 == 0o700
    assert SEED.reveal() not in path.read_bytes()
    assert SEED.reveal().hex().encode() not in path.read_bytes()

    path.write_bytes(path.read_bytes()[:-20])
    with pytest.raises(KeyFileError, match="other or truncated bytes"):
        again.keep_seed(CEREMONY, SEED)  # never made anew: it would say other words under old ones


def test_a_seed_under_the_name_of_another_ceremony_is_not_taken(tmp_path: Path, keys: PublicKeys) -> None:
    files = files_of(tmp_path / "keys", PASSPHRASE)
    files.keep_seed(CEREMONY, SEED)
    directory = tmp_path / "keys" / "threshold" / "ceremonies"
    (directory / f"{CEREMONY.hex()}.seed").rename(directory / f"{bytes(32).hex()}.seed")

    with pytest.raises(KeyFileError, match="expected a file about 0000000000000000…"):
        files.seed(Digest(bytes(32)))


def test_shares_are_never_overwritten(tmp_path: Path, keys: PublicKeys, sharing: Sharing) -> None:
    files = files_of(tmp_path / "keys", PASSPHRASE)
    path = tmp_path / "keys" / "threshold" / "1-1.shares"
    before = path.read_bytes()
    other = share_out(sharing.document.holders, sharing.document.network, thresholds={"fast": 2}, seed=9)
    files.keep_shares(other.document, other.of(keys.identity))

    with pytest.raises(KeyFileError, match=r"1-1\.shares: expected a file about"):
        files.put_in_force(other.document)
    files.put_in_force(sharing.document)  # it is already

    assert path.read_bytes() == before


def test_a_forgotten_passphrase_seals_and_opens_what_it_has_met_and_nothing_else(
    tmp_path: Path, keys: PublicKeys, sharing: Sharing
) -> None:
    files = files_of(tmp_path / "keys", PASSPHRASE)
    files.derivation.forget()
    cost = KdfCost(passes=1, memory_bytes=8 << 10)
    stranger = tmp_path / "stranger.seed"
    stranger.write_bytes(
        seal_about(KeyKind.SEED, CEREMONY, SEED, KeyDerivation(PASSPHRASE), (new_salt(), cost))
    )
    stranger.chmod(0o600)

    assert files.open(sharing.document, keys.identity) == sharing.of(keys.identity)
    files.keep_seed(CEREMONY, SEED)
    assert PASSPHRASE not in vars(files.derivation).values()
    with pytest.raises(KeyFileError, match=r"that was here at the start.*\(restart the node\)"):
        unseal_about(stranger, KeyKind.SEED, files.derivation)


@pytest.mark.asyncio
async def test_a_member_without_shares_needs_no_directory_for_them(
    tmp_path: Path, open_node_signer: OpenSigner, keys: PublicKeys
) -> None:
    async with open_node_signer() as signer:
        await signer.ceremony_drop(CEREMONY)

    assert not (tmp_path / "keys" / "threshold").exists()


@pytest.mark.asyncio
async def test_files_with_salts_of_their_own_open_while_the_node_runs(
    tmp_path: Path, open_node_signer: OpenSigner, keys: PublicKeys
) -> None:
    files = files_of(tmp_path / "keys", PASSPHRASE)
    path = tmp_path / "keys" / "threshold" / "ceremonies" / f"{CEREMONY.hex()}.seed"
    own = (new_salt(), files.sealing[1])
    path.parent.mkdir(parents=True)
    path.write_bytes(seal_about(KeyKind.SEED, CEREMONY, SEED, KeyDerivation(PASSPHRASE), own))
    path.chmod(0o600)

    async with open_node_signer() as signer:
        seed = signer._shares.files.seed(CEREMONY)

    assert seed is not None
    assert seed.reveal() == SEED.reveal()
