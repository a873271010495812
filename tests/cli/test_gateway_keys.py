"""Group keys on their way to a verifier and back: deployed, compared, shown."""

from __future__ import annotations

from collections.abc import AsyncIterator, Mapping
from dataclasses import replace
from pathlib import Path

import pytest
import pytest_asyncio

from adapters.evm.office.contract import verifier as verifier_build
from proofs.hashes import keccak256
from proofs.mandate import Tier
from relay.cli.gateway_keys import committee_keys, key_words, keys_finding, shown_groups
from relay.cli.settings import Answer, Settings
from relay.config import KeptKeys, NodeDirectory, dump_keys, keys_file
from relay.core.errors import ConfigError
from relay.core.gateway_report import KeyEpochReport, VerifierReport
from tests.adapters.evm.office.bench import Bench, committee, open_bench
from tests.cli.gateways import VERIFIER
from tests.cli.keys import kept_keys, sign_by_group, write_committee, write_keys
from tests.cli.test_gateway_commands import FACTORY, OWNER_KEY, call, committee_file, file_of, plan_file

FAST, FULL = (kept_keys().document.group(name).key for name in ("fast", "full"))  # type: ignore[union-attr]
OTHER = b"\x03" + bytes(range(32))


@pytest_asyncio.fixture
async def developer_bench() -> AsyncIterator[Bench]:
    async with open_bench(31_337) as opened:
        yield opened


def verifier_with(fast: bytes | None, full: bytes | None) -> VerifierReport:
    return replace(VERIFIER, current=replace(VERIFIER.current, fast_key=fast, full_key=full))


# ---- words


@pytest.mark.parametrize(
    ("keys", "fast", "full", "held", "detail"),
    [
        (None, None, None, True, "none: certificates are lists"),
        (None, FAST, FULL, None, "no keys file to compare with: fast 0"),
        (kept_keys(), None, None, False, "it refuses what the committee's groups sign"),
        (kept_keys(), FAST, FULL, True, "generation 1"),
        (kept_keys(), FULL, FAST, False, "expected"),
        (kept_keys(), FAST, OTHER, False, "expected"),
        (kept_keys(shown=()), FAST, FULL, True, "fast, full not shown in the file"),
    ],
)
def test_a_verifiers_group_keys_are_compared_with_the_committees(
    keys: KeptKeys | None, fast: bytes | None, full: bytes | None, held: bool | None, detail: str
) -> None:
    finding = keys_finding(keys, verifier_with(fast, full))

    assert finding.held is held
    assert detail in finding.detail
    assert held is True or finding.remedy


def test_group_keys_are_named_with_the_newest_document_that_they_stand_in() -> None:
    epoch: KeyEpochReport = verifier_with(FAST, FULL).current
    refreshed = kept_keys(generation=3)

    told = key_words(epoch, (kept_keys(), refreshed))

    assert told == (
        f"fast {FAST.hex()}, full {FULL.hex()}; of keys document {refreshed.document.digest.hex()[:16]},"
        " generation 3"
    )
    assert key_words(replace(epoch, full_key=OTHER), (refreshed,)) == f"fast {FAST.hex()}, full {OTHER.hex()}"


def test_no_key_goes_to_a_verifier_that_has_not_signed_for_itself() -> None:
    whole = shown_groups(kept_keys())

    assert whole.keys == (FAST, FULL)
    for missing in Tier:
        shown = tuple(tier for tier in Tier if tier is not missing)
        with pytest.raises(ConfigError, match=f"the key {missing.name.lower()} has signed for itself"):
            shown_groups(kept_keys(shown=shown))


def test_a_nodes_own_keys_are_the_newest_of_the_committees_key_epoch(tmp_path: Path) -> None:
    home = tmp_path / "home"
    directory = NodeDirectory(home, "acme")
    directory.create()
    directory.node_file.write_text("")
    write_committee(directory.committee)
    settings = Settings(home=home, network="acme")
    nothing = committee_keys(settings, None, committee())
    for generation in (1, 3, 2):
        write_keys(directory.committee, kept_keys(generation=generation))
    spoilt = keys_file(directory.committee, kept_keys(generation=4).document)
    spoilt.write_text(dump_keys(kept_keys(generation=4)).replace("[signatures]", "[signatures]\n#", 1)[:-400])

    found = committee_keys(settings, None, committee())

    assert nothing is None
    assert found is not None
    assert found.document.generation == 3


# ---- a real verifier


@pytest.mark.asyncio
async def test_a_verifier_deployed_with_group_keys_takes_their_signatures_and_verifies(
    developer_bench: Bench, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv("OWNER_KEY", OWNER_KEY)
    bench, keys = developer_bench, write_keys(tmp_path, kept_keys())
    document = committee_file(tmp_path)
    deploying = (
        "deploy", "--chain", bench.chain, "--owner", bench.owner, "--guardian", bench.owner,
        "--committee", document, "--rpc", bench.anvil.url, "--json",
    )  # fmt: skip
    sending = ("--send", "--key-env", "OWNER_KEY", "--yes")

    said = await call(*deploying, "--keys", keys, *sending)

    assert said.code == Answer.YES, said.err
    verifier, gateway = (each["address"] for each in _creations(said.document))
    plan = plan_file(tmp_path, bench).read_text().replace(bench.gateway, gateway)
    file = file_of(tmp_path, "other.plan.toml", plan)
    assert (await call("register", file, "--rpc", bench.anvil.url, *sending)).code == Answer.YES
    check = ("verify", "--plan", file, "--rpc", bench.anvil.url, "--committee", document)
    held = await call(*check, "--keys", keys)
    assert held.code == Answer.YES, held.out
    assert "group keys" in held.out
    unknown = await call(*check)
    assert unknown.code == Answer.UNKNOWN, unknown.out
    inspected = await call("inspect", f"{bench.chain}:{gateway}", "--rpc", bench.anvil.url, "--plan", file)
    assert FAST.hex() in "".join(inspected.out.split())
    for tier in Tier:
        digest = keccak256(tier.name.encode())
        assert await _verifies(bench, verifier, digest, tier, sign_by_group(tier, digest))
        assert not await _verifies(bench, verifier, digest, Tier(3 - tier), sign_by_group(tier, digest))


async def _verifies(bench: Bench, verifier: str, digest: bytes, tier: Tier, certificate: bytes) -> bool:
    data = verifier_build().functions["verify"].call(digest, int(tier), 1, certificate)
    answer = await bench.anvil.rpc("eth_call", {"to": verifier, "data": "0x" + data.hex()}, "latest")
    return int(str(answer), 16) == 1


def _creations(document: Mapping[str, object]) -> list[Mapping[str, str]]:
    creations = document["creations"]
    assert isinstance(creations, list)
    return creations


@pytest.mark.asyncio
async def test_deploying_refuses_keys_that_are_not_the_committees_or_not_shown(tmp_path: Path) -> None:
    common = (
        "deploy", "--chain", "eip155:1", "--owner", "0x" + "22" * 20, "--guardian", "0x" + "33" * 20,
        "--committee", committee_file(tmp_path), "--create2", FACTORY, "--json",
    )  # fmt: skip
    whole = write_keys(tmp_path, kept_keys())

    unshown = await call(*common, "--keys", write_keys(tmp_path, kept_keys(shown=(), generation=2)))
    foreign = await call(*common, "--keys", write_keys(tmp_path, kept_keys(key_epoch=2)))
    without = await call(*common, "--keys", whole, "--without-group-keys")
    with_keys = await call(*common, "--keys", whole)

    assert unshown.code == foreign.code == Answer.USAGE
    assert "has signed for itself, got none" in unshown.out
    assert "of one key epoch" in foreign.out
    assert without.code == with_keys.code == Answer.YES
    assert "no group keys: it takes lists of signatures alone" in str(without.document["fixed"])
    assert f"by the group key {FAST.hex()} (fast) or {FULL.hex()} (full)" in str(with_keys.document["fixed"])
    assert [each["address"] for each in _creations(without.document)] != [
        each["address"] for each in _creations(with_keys.document)
    ]
    assert committee().key_epoch == 1
