"""What a gateway's owner is told where the contracts are not what they seem."""

from __future__ import annotations

import itertools
from collections.abc import AsyncIterator, Sequence
from dataclasses import replace
from pathlib import Path

import pytest
import pytest_asyncio

from adapters.evm.office import EvmOffice
from relay.cli.gateway_changes import remarks, steps
from relay.cli.gateway_reading import Reading
from relay.cli.gateway_show import report_document
from relay.cli.gateway_verify import Expected, findings
from relay.cli.settings import Answer
from relay.core.gateway_report import CodeReport, GatewayReport, VerifierReport
from tests.adapters.evm.office.bench import Bench, committee, open_bench
from tests.adapters.evm.office.test_hidden import attesters_of, plant
from tests.cli.gateways import DAY, NOW, VERIFIER, gateway_report
from tests.cli.test_gateway_changes import a_plan, deployed, in_force, task_of
from tests.cli.test_gateway_commands import OWNER_KEY, call, committee_file, plan_file

CHAIN_IDS = itertools.count(941_050)
FOREIGN = CodeReport(10, b"\x01" * 32, is_ours=False, is_rebuilt=None)
BEFORE = replace(VERIFIER.current, epoch=0, valid_until=NOW + DAY)


@pytest_asyncio.fixture
async def bench() -> AsyncIterator[Bench]:
    async with open_bench(next(CHAIN_IDS)) as opened:
        yield opened


def checked(report: GatewayReport) -> dict[str, tuple[bool | None, str]]:
    """What `verify` says of a report: each check with its verdict and detail."""
    place = task_of(a_plan(), report).place
    expected = Expected(place, a_plan(), place.acts, committee())
    reading = Reading(report, 1, 1, ())
    return {each.name: (each.held, each.detail) for each in findings(expected, reading, report)}


def behind(**changes: object) -> GatewayReport:
    """A gateway in order, but for these fields of its verifier."""
    plan = a_plan()
    verifier: VerifierReport = replace(VERIFIER, **changes)  # type: ignore[arg-type]
    return gateway_report(acts=(deployed(plan),), plans=in_force(plan), verifier=verifier)


@pytest.mark.asyncio
async def test_a_verifier_with_a_hidden_key_epoch_does_not_verify(bench: Bench, tmp_path: Path) -> None:
    await bench.install(bench.plan())
    plan, document = plan_file(tmp_path, bench), committee_file(tmp_path)
    check = ("verify", "--plan", plan, "--rpc", bench.anvil.url, "--committee", document)
    before = await call(*check)

    await plant(bench, 4_000_000_000, await attesters_of(bench))
    after = await call(*check)

    assert before.code == Answer.YES, before.out
    assert after.code == Answer.NO
    assert after.out.count("✗") == 1
    assert "✗ no other keys  it holds more than the key epochs that it shows: others could sign" in after.out


@pytest.mark.parametrize(
    ("changes", "held", "detail"),
    [
        ({}, True, "and nothing else"),
        ({"is_complete": None}, None, "could not be told"),
        ({"is_complete": False}, False, "more than the key epochs that it shows"),
        ({"previous": BEFORE}, False, "also accepted, until"),
        ({"previous": BEFORE, "is_complete": None}, False, "also accepted, until"),
    ],
)
def test_keys_beside_the_committees_are_named(
    changes: dict[str, object], held: bool | None, detail: str
) -> None:
    told = checked(behind(**changes))["no other keys"]

    assert told[0] is held
    assert detail in told[1]


def test_an_act_whose_content_is_not_what_its_hash_says_is_no_act_of_ours() -> None:
    plan = a_plan()
    good = gateway_report(acts=(deployed(plan),), plans=in_force(plan))
    bent = replace(good, acts=(replace(deployed(plan), terms=None),))

    assert checked(good)["act halt-replica"][0] is True
    assert checked(bent)["act halt-replica"][0] is False


def test_nothing_announced_is_said_only_where_all_was_looked_at() -> None:
    report = gateway_report(scheduled_since=900)

    assert checked(report)["nothing announced"] == (True, "looked at from block 900 on")
    held, detail = checked(replace(report, is_all_scheduled=False))["nothing announced"]
    assert held is None
    assert "what was announced before could still be made" in detail


@pytest.mark.parametrize("changes", [{"code": FOREIGN}, {"is_complete": False}])
def test_a_foreign_verifiers_own_numbers_are_not_repeated(changes: dict[str, object]) -> None:
    report = replace(behind(**changes), acts=())
    task = task_of(a_plan(), report)

    said = [step.proposal.words for step in steps(task)]

    assert not any("of 4" in each for each in said), said
    assert any("anybody might use what is permitted here" in each for each in remarks(task))
    sound = task_of(a_plan(), replace(report, verifier=VERIFIER))
    assert any("2 of 4" in step.proposal.words for step in steps(sound))


@pytest.mark.parametrize(
    ("report", "remark"),
    [
        (gateway_report(verifier_address=None, verifier=None), "no verifier is set"),
        (gateway_report(verifier=None), "is not this version's build"),
        (gateway_report(refused_from=1), "mandates of key epoch 1 and later are refused"),
        (gateway_report(is_all_scheduled=False), "was not looked for"),
    ],
)
def test_what_stands_in_the_way_of_mandates_is_remarked(report: GatewayReport, remark: str) -> None:
    sound: Sequence[str] = remarks(task_of(a_plan(), gateway_report()))

    assert sound == ()
    assert any(remark in each for each in remarks(task_of(a_plan(), report)))


def test_a_report_as_json_says_whether_keys_are_hidden() -> None:
    report = behind(is_complete=False)
    document = report_document(task_of(a_plan(), report).place, Reading(report, 1, 1, ()), report)

    verifier = document["verifier"]
    assert isinstance(verifier, dict)
    assert verifier["is_complete"] is False


@pytest.mark.asyncio
async def test_what_is_sent_is_said_before_anybody_is_asked(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv("OWNER_KEY", OWNER_KEY)
    async with open_bench(31_337) as developer:
        plan = plan_file(tmp_path, developer)
        said = await call("register", plan, "--rpc", developer.anvil.url, "--send", "--key-env", "OWNER_KEY")

    assert said.code == Answer.REFUSED
    permitted = said.err.find(
        "permit halt-replica: a fast (2 of 4) or a full (3 of 4) quorum may call pause()"
    )
    assert 0 <= permitted < said.err.find("not confirmed"), said.err


@pytest.mark.asyncio
async def test_nothing_is_created_elsewhere_than_it_was_said(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv("OWNER_KEY", OWNER_KEY)
    async with open_bench(31_337) as developer:
        before = await EvmOffice().nonce(developer.settings, developer.owner)
        said = await call(
            "deploy", "--chain", developer.chain, "--rpc", developer.anvil.url, "--owner", developer.owner,
            "--guardian", developer.owner, "--committee", committee_file(tmp_path),
            "--verifier", developer.verifier, "--nonce", before + 5,
            "--send", "--key-env", "OWNER_KEY", "--yes",
        )  # fmt: skip
        after = await EvmOffice().nonce(developer.settings, developer.owner)

    assert said.code == Answer.USAGE
    assert f"expected the account's next, {before}, got {before + 5}" in said.err
    assert after == before
