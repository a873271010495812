"""`tocsin gateway` from end to end: a real chain, real contracts, an owner who does what is said."""

from __future__ import annotations

import asyncio
import itertools
import json
import re
from collections.abc import AsyncIterator, Callable, Mapping
from contextlib import asynccontextmanager
from pathlib import Path

import pytest
import pytest_asyncio
from aiohttp import web

from relay.cli.settings import Answer
from relay.config import (
    ChainTemplate,
    EndpointTemplate,
    NodeDirectory,
    NodeTemplate,
    dump_committee,
    render_node,
)
from relay.core.gateway_report import BudgetReport
from relay.core.office import Announce, RegisterAct, SetBudget
from relay.keys import KdfCost, Secret
from relay.keys.files import KeyDerivation, KeyKind, new_salt, seal_key, write_key
from tests.adapters.evm.office.bench import DAY, HOUR, Bench, committee, open_bench
from tests.cli.calls import PASSPHRASE, Said, tocsin

CHAIN_IDS = itertools.count(940_950)
OWNER_KEY = "ac0974bec39a17e36ba4a6b4d238ff944bacb478cbed5efcae784d7bf4f2ff80"
"""Of the first account of every development chain."""
OTHER_KEY = "59c6995e998f97a5a0044966f0945389dc9e86dae88c7a8412f4603b6b78690d"
FACTORY = "0x4e59b44847b379578588920cA78FbF26c0B4956C"
"""The deterministic deployment proxy, which anvil has at genesis."""


@pytest_asyncio.fixture
async def bench() -> AsyncIterator[Bench]:
    async with open_bench(next(CHAIN_IDS)) as opened:
        yield opened


@pytest_asyncio.fixture
async def developer_bench() -> AsyncIterator[Bench]:
    """On a chain id that is known to be for development."""
    async with open_bench(31_337) as opened:
        yield opened


@pytest.fixture(autouse=True)
def _keys(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("OWNER_KEY", OWNER_KEY)
    monkeypatch.setenv("OTHER_KEY", "0x" + OTHER_KEY)


async def call(*arguments: object) -> Said:
    """One command, beside this test's event loop."""
    return await asyncio.to_thread(tocsin, "gateway", *arguments)


def file_of(folder: Path, name: str, text: str) -> Path:
    path = folder / name
    path.write_text(text)
    return path


def plan_file(folder: Path, bench: Bench, **changes: object) -> Path:
    return file_of(folder, "acme.plan.toml", bench.plan_text(**changes))  # type: ignore[arg-type]


def committee_file(folder: Path) -> Path:
    return file_of(folder, "epoch-0001.toml", dump_committee(committee()))


def place(bench: Bench) -> str:
    return f"{bench.chain}:{bench.gateway}"


# ---- from a plan to a gateway that carries it


@pytest.mark.asyncio
async def test_an_owner_who_makes_the_calls_of_the_file_ends_with_a_gateway_that_verifies(
    bench: Bench, tmp_path: Path
) -> None:
    plan, rpc = plan_file(tmp_path, bench, fast_time="12h"), ("--rpc", bench.anvil.url)
    batch = tmp_path / "batch.txt"
    check = ("verify", "--plan", plan, *rpc, "--committee", committee_file(tmp_path))

    before = await call(*check)
    proposed = await call("propose", plan, *rpc, "--out", "calldata", "--file", batch)
    for line in batch.read_text().splitlines():
        to, data = line.split()
        assert to.lower() == bench.gateway
        await bench.send(bytes.fromhex(data[2:]))
    after = await call(*check)
    again = await call("propose", plan, *rpc)

    assert before.code == Answer.NO
    assert "not sealed" in before.out
    assert "act halt-replica  not registered" in before.out
    assert (proposed.code, proposed.err) == (Answer.YES, "")
    assert "permit halt-replica: a fast (2 of 4) or a full (3 of 4) quorum may call pause()" in proposed.out
    assert f"written: {batch} (now)" in proposed.out
    assert after.code == Answer.YES, after.out
    assert "✗" not in after.out
    assert "nothing to do: the gateway is as the plan says" in again.out


@pytest.mark.asyncio
async def test_more_power_takes_the_notice_and_each_run_gives_what_works_then(
    bench: Bench, tmp_path: Path
) -> None:
    await bench.install(bench.plan())
    plan, rpc = plan_file(tmp_path, bench, version=2, lasts="8h"), ("--rpc", bench.anvil.url)

    first = await _make_all(bench, await call("propose", plan, *rpc, "--out", "calldata"))
    waiting = await call("propose", plan, *rpc, "--out", "calldata")
    later = await call("propose", plan, *rpc, "--out", "calldata", "--stage", "notice", "--json")
    await bench.pass_time(2 * DAY + 1)
    second = await _make_all(bench, await call("propose", plan, *rpc, "--out", "calldata"))
    done = await call("verify", "--plan", plan, *rpc, "--committee", committee_file(tmp_path))

    assert (first, second) == (1, 2)
    assert waiting.code == Answer.USAGE
    assert "expected calls that work now, got none" in waiting.err
    assert [step["stage"] for step in _steps(later)] == ["notice", "notice"]
    assert done.code == Answer.YES, done.out
    assert "with the one before until" in done.out


async def _make_all(bench: Bench, said: Said) -> int:
    """Make every call of a file; how many they were."""
    lines = said.out.splitlines()
    for line in lines:
        await bench.send(bytes.fromhex(line.split()[1][2:]))
    return len(lines)


def _steps(said: Said) -> list[Mapping[str, object]]:
    (one,) = said.document["gateways"]  # type: ignore[misc]
    return list(one["steps"])


@pytest.mark.asyncio
async def test_a_safe_batch_bears_the_blocks_time_and_the_owner_and_is_the_same_each_time(
    bench: Bench, tmp_path: Path
) -> None:
    arguments = ("propose", plan_file(tmp_path, bench), "--rpc", bench.anvil.url, "--out", "safe")

    one, other = await call(*arguments), await call(*arguments)

    batch = json.loads(one.out)
    assert one.out == other.out
    assert batch["chainId"] == str(bench.anvil.chain_id)
    assert batch["createdAt"] == 1_000 * await bench.now()
    assert batch["meta"]["createdFromSafeAddress"].lower() == bench.owner
    assert "permit halt-replica" in batch["meta"]["description"]


@pytest.mark.asyncio
async def test_without_an_endpoint_all_is_told_as_for_a_new_gateway(tmp_path: Path, bench: Bench) -> None:
    plan = plan_file(tmp_path, bench)

    said = await call("propose", plan, "--offline")
    silent = await call("propose", plan)

    assert said.code == Answer.YES
    assert "written as for a new gateway" in said.out
    assert silent.code == Answer.USAGE
    assert "expected an endpoint, got none" in silent.err


# ---- sending, for development


@pytest.mark.asyncio
async def test_a_development_chain_is_registered_in_one_command(
    developer_bench: Bench, tmp_path: Path
) -> None:
    bench = developer_bench
    plan, rpc = plan_file(tmp_path, bench), ("--rpc", bench.anvil.url)

    sent = await call("register", plan, *rpc, "--send", "--key-env", "OWNER_KEY", "--yes")
    done = await call("verify", "--plan", plan, *rpc, "--committee", committee_file(tmp_path))
    again = await call("register", plan, *rpc)

    assert sent.code == Answer.YES, sent.err
    assert re.search(r"registerAct: done, [\d,]+ gas, 0x[0-9a-f]{64}", sent.err)
    assert done.code == again.code == Answer.YES


@pytest.mark.asyncio
async def test_a_sealed_key_file_sends_as_well_and_what_is_left_is_no(
    developer_bench: Bench, tmp_path: Path
) -> None:
    bench = developer_bench
    await bench.install(bench.plan())
    key = tmp_path / "owner.key"
    cost = KdfCost(passes=1, memory_bytes=8 << 20)
    sealed = seal_key(
        KeyKind.SUBMITTER,
        Secret(bytes.fromhex(OWNER_KEY)),
        KeyDerivation(Secret(PASSPHRASE.encode())),
        new_salt(),
        cost,
    )
    write_key(key, sealed)
    plan = plan_file(tmp_path, bench, version=2, lasts="8h")

    said = await call("register", plan, "--rpc", bench.anvil.url, "--send", "--key-file", key, "--yes")

    assert said.code == Answer.NO, said.err
    assert "schedule: done" in said.err
    assert "1. after the notice, from" in said.out


@pytest.mark.asyncio
async def test_no_other_chain_is_sent_to_unless_both_words_are_said(bench: Bench, tmp_path: Path) -> None:
    plan, rpc = plan_file(tmp_path, bench), ("--rpc", bench.anvil.url)
    send = ("register", plan, *rpc, "--send", "--key-env", "OWNER_KEY")

    refused = [await call(*send, *more) for more in ((), ("--yes",), ("--i-know",))]
    untouched = await bench.survey()
    allowed = await call(*send, "--yes", "--i-know")

    assert [said.code for said in refused] == [Answer.REFUSED] * 3
    assert all("is not known as a development chain" in said.err for said in refused)
    assert untouched.acts == ()
    assert allowed.code == Answer.YES, allowed.err


@pytest.mark.asyncio
async def test_sending_asks_and_nobody_there_means_no(developer_bench: Bench, tmp_path: Path) -> None:
    plan = plan_file(tmp_path, developer_bench)

    said = await call(
        "register", plan, "--rpc", developer_bench.anvil.url, "--send", "--key-env", "OWNER_KEY"
    )

    assert (said.code, "not confirmed" in said.err) == (Answer.REFUSED, True)
    assert (await developer_bench.survey()).acts == ()


@pytest.mark.asyncio
@pytest.mark.parametrize(
    ("options", "problem"),
    [
        ((), "expected one of --key-file and --key-env"),
        (("--key-env", "OTHER_KEY"), "expected the owner's key"),
        (("--key-env", "NOBODY_SET_THIS"), "with a private key of 32 bytes in hex, got none"),
        (("--key-env", OTHER_KEY), "with a private key of 32 bytes in hex, got none"),
    ],
)
async def test_sending_needs_the_owners_key_and_never_as_an_argument(
    developer_bench: Bench, tmp_path: Path, options: tuple[str, ...], problem: str
) -> None:
    plan = plan_file(tmp_path, developer_bench)

    said = await call("register", plan, "--rpc", developer_bench.anvil.url, "--send", "--yes", *options)

    assert said.code == Answer.USAGE
    assert problem in said.err
    assert OTHER_KEY not in said.err


# ---- deployment


@pytest.mark.asyncio
async def test_a_gateway_deployed_by_command_stands_where_it_was_said_and_verifies(
    developer_bench: Bench, tmp_path: Path
) -> None:
    bench = developer_bench
    common = (
        "deploy", "--chain", bench.chain, "--owner", bench.owner, "--guardian", bench.owner,
        "--committee", committee_file(tmp_path), "--rpc", bench.anvil.url, "--json",
    )  # fmt: skip
    send = ("--send", "--key-env", "OWNER_KEY", "--yes")

    plain = await call(*common, *send)
    factory = await call(*common, *send, "--create2", FACTORY, "--salt", "11" * 32)

    for said in (plain, factory):
        assert said.code == Answer.YES, said.err
        gateway = said.document["creations"][1]["address"]  # type: ignore[index]
        plan = plan_file(tmp_path, bench).read_text().replace(bench.gateway, gateway)
        file = file_of(tmp_path, "other.plan.toml", plan)
        assert (await call("register", file, "--rpc", bench.anvil.url, *send)).code == Answer.YES
        check = ("verify", "--plan", file, "--rpc", bench.anvil.url)
        done = await call(*check, "--committee", committee_file(tmp_path))
        assert done.code == Answer.YES, done.out


@pytest.mark.asyncio
async def test_a_creation_through_a_factory_is_a_batch_and_its_words_say_what_is_for_ever(
    tmp_path: Path,
) -> None:
    file = tmp_path / "deploy.json"
    common = (
        "deploy", "--chain", "eip155:1", "--owner", "0x" + "22" * 20, "--guardian", "0x" + "33" * 20,
        "--committee", committee_file(tmp_path),
    )  # fmt: skip

    said = await call(*common, "--create2", FACTORY, "--out", "safe", "--file", file)
    plain = await call(*common, "--from", "0x" + "22" * 20, "--nonce", "7", "--out", "safe")
    nobody = await call(*common)

    batch = json.loads(file.read_text())
    assert said.code == Answer.YES, said.err
    assert [each["to"] for each in batch["transactions"]] == [FACTORY] * 2
    assert "fixed for ever: network" in said.out
    assert "its code, which nobody can upgrade" in said.out
    assert (plain.code, "--create2 FACTORY" in plain.err) == (Answer.USAGE, True)
    assert (nobody.code, "expected --create2, --from or --send" in nobody.err) == (Answer.USAGE, True)


# ---- inspecting


@pytest.mark.asyncio
async def test_inspect_explains_an_open_record_the_budget_and_the_longest_freeze(
    bench: Bench, tmp_path: Path
) -> None:
    plan = bench.plan()
    await bench.install(plan)
    await bench.protect(plan)
    await bench.make(Announce(SetBudget(BudgetReport(2 * DAY, 21 * DAY, 3))))

    said = await call("inspect", place(bench), "--rpc", bench.anvil.url, "--plan", plan_file(tmp_path, bench))

    assert said.code == Answer.YES
    for expected in (
        "1 of 1 endpoints say so",
        "code  this version's build",
        f"plan  acme 1 {plan.hash.hex()}",
        "frozen by fast mandates  1 d  23 h",
        "call  pause() on",
        "now  1: protected, exactly what our call leaves",
        "allowed to  a fast (2 of 4) or a full (3 of 4) quorum, at most 6 h at a time",
        "record  OPEN until",
        "both tiers  21 d  42 d  21 d",
        "halt-replica  6 h 1 min  1 d  21 d",
        "until somebody does, the target stays as it is",
        "set the budget: in any 30 d: at most 2 d frozen by fast mandates",
    ):
        assert expected in re.sub(r" {2,}", "  ", said.out), (expected, said.out)


@pytest.mark.asyncio
async def test_inspect_gives_one_object_with_its_schema(bench: Bench) -> None:
    plan = bench.plan()
    await bench.install(plan)

    said = await call("inspect", place(bench), "--rpc", bench.anvil.url, "--json")

    document = said.document
    (gateway,) = document["gateways"]  # type: ignore[misc]
    assert document["schema"] == "tocsin/gateways/1"
    assert gateway["chain"] == bench.chain
    assert gateway["plans"]["current"] == plan.hash.hex()
    assert gateway["acts"][0]["terms"]["call"] == "pause()"
    assert gateway["longest_frozen"]["both"] == {
        "window_s": 21 * DAY,
        "two_windows_s": 42 * DAY,
        "run_s": 21 * DAY,
    }


@pytest.mark.asyncio
async def test_what_is_no_gateway_is_no(bench: Bench) -> None:
    empty = await call("inspect", f"{bench.chain}:0x{'77' * 20}", "--rpc", bench.anvil.url)
    replica = await call("inspect", f"{bench.chain}:{bench.replica}", "--rpc", bench.anvil.url)
    elsewhere = await call("inspect", f"eip155:5:{bench.gateway}", "--rpc", bench.anvil.url)
    nowhere = await call("inspect", place(bench), "--rpc", "http://127.0.0.1:1/")

    assert (empty.code, "there is no contract at this address" in empty.out) == (Answer.NO, True)
    assert (replica.code, "no gateway: it does not answer" in replica.out) == (Answer.NO, True)
    assert (elsewhere.code, "expected eip155:5" in elsewhere.err) == (Answer.USAGE, True)
    assert nowhere.code == Answer.UNKNOWN


def home_with(tmp_path: Path, bench: Bench, urls: list[str]) -> Path:
    """A node's directory that reads the chain by these endpoints and holds the plan and the committee."""
    home = tmp_path / "node-home"
    directory = NodeDirectory(home, "acme")
    directory.create()
    endpoints = tuple(EndpointTemplate(f"operator-{n}", url=url) for n, url in enumerate(urls))
    chain = ChainTemplate(
        bench.chain, endpoints, need=len(urls) // 2 + 1, block_time_ms=1_000, finality="depth:2"
    )
    node = NodeTemplate(
        network="acme", demo=True, listen="/ip4/127.0.0.1/tcp/1", api_bind="127.0.0.1:1",
        passphrase_env="TOCSIN_PASSPHRASE", min_free_bytes=64 << 20, ballast_bytes=0, chains=(chain,),
    )  # fmt: skip
    directory.node_file.write_text(render_node(node))
    (directory.plans / "acme").mkdir(parents=True)
    directory.plan_file("acme", 1).write_text(bench.plan_text())
    return home


Bend = Callable[[str, dict[str, object]], dict[str, object]]


def another_guardian(asked: str, reply: dict[str, object]) -> dict[str, object]:
    """Say that the guardian is somebody else."""
    return {**reply, "result": f"0x{'00' * 12}{'66' * 20}"} if '"0x452a9320"' in asked else reply


def no_constructors(asked: str, reply: dict[str, object]) -> dict[str, object]:
    """Run no call without a recipient, as some providers."""
    if '"method": "eth_call"' not in asked or '"to"' in asked:
        return reply
    return {"jsonrpc": "2.0", "id": reply["id"], "error": {"code": -32602, "message": "to is required"}}


@asynccontextmanager
async def crooked(bench: Bench, bend: Bend) -> AsyncIterator[str]:
    """An endpoint that is right in everything but what `bend` makes of it."""

    async def post(request: web.Request) -> web.Response:
        body = await request.json()
        async with bench.anvil.session.post(bench.anvil.url, json=body) as response:
            answer = await response.json()
        if not isinstance(body, list):
            return web.json_response(bend(json.dumps(body), answer))
        by_id = {call["id"]: json.dumps(call) for call in body}
        return web.json_response([bend(by_id[reply["id"]], reply) for reply in answer])

    application = web.Application(client_max_size=1 << 24)
    application.router.add_post("/", post)
    runner = web.AppRunner(application)
    await runner.setup()
    await web.TCPSite(runner, "127.0.0.1", 0).start()
    port = runner.addresses[0][1]
    try:
        yield f"http://127.0.0.1:{port}/"
    finally:
        await runner.cleanup()


@pytest.mark.asyncio
async def test_a_nodes_gateways_are_found_by_its_plans_and_read_by_a_quorum(
    bench: Bench, tmp_path: Path
) -> None:
    await bench.install(bench.plan())
    honest = [bench.anvil.url, bench.anvil.url + "/"]
    async with crooked(bench, another_guardian) as lying:
        home = home_with(tmp_path, bench, [*honest, lying])

        inspected = await call("inspect", "--home", home)
        verified = await call("verify", "--home", home, "--committee", committee_file(tmp_path))

    assert inspected.code == Answer.YES, inspected.err
    assert "2 of 3 endpoints say so; otherwise: operator-2" in inspected.out
    assert "halt-replica" in inspected.out
    assert "66666666" not in inspected.out
    assert verified.code == Answer.NO
    assert "✗ endpoints agree  2 of 3 answer alike; otherwise: operator-2" in verified.out
    assert verified.out.count("✗") == 1


@pytest.mark.asyncio
async def test_endpoints_that_disagree_without_a_majority_could_not_tell(
    bench: Bench, tmp_path: Path
) -> None:
    async with crooked(bench, another_guardian) as lying:
        home = home_with(tmp_path, bench, [bench.anvil.url, lying])

        said = await call("inspect", "--home", home)

    assert said.code == Answer.UNKNOWN
    assert "expected 2 equal answers (they answer differently)" in said.err


@pytest.mark.asyncio
async def test_an_endpoint_that_runs_no_constructor_is_no_liar_and_alone_leaves_the_code_in_doubt(
    bench: Bench, tmp_path: Path
) -> None:
    await bench.install(bench.plan())
    committee = committee_file(tmp_path)
    async with crooked(bench, no_constructors) as shy:
        two_of_three = [bench.anvil.url, bench.anvil.url + "/", shy]
        enough = await call(
            "verify", "--home", home_with(tmp_path / "a", bench, two_of_three), "--committee", committee
        )
        half = home_with(tmp_path / "b", bench, [bench.anvil.url, shy])
        doubt = await call("verify", "--home", half, "--committee", committee)

    assert enough.code == Answer.YES, enough.out
    assert "3 of 3 answer alike" in enough.out
    assert doubt.code == Answer.UNKNOWN
    assert "? gateway's code  this version's build, but for the values fixed at deployment" in doubt.out
    assert "✗" not in doubt.out


@pytest.mark.asyncio
async def test_an_endpoints_address_may_stand_in_a_file_of_ones_own(bench: Bench, tmp_path: Path) -> None:
    file = file_of(tmp_path, "rpc.url", bench.anvil.url + "\n")
    file.chmod(0o600)

    said = await call("inspect", place(bench), "--rpc", f"@{file}")
    wrong = await call("inspect", place(bench), "--rpc", "ftp://user:SECRET@example")

    assert said.code == Answer.YES, said.err
    assert wrong.code == Answer.USAGE
    assert "SECRET" not in wrong.err


@pytest.mark.asyncio
async def test_a_plan_that_is_refused_does_not_hide_the_others_gateways(bench: Bench, tmp_path: Path) -> None:
    home = home_with(tmp_path, bench, [bench.anvil.url])
    NodeDirectory(home, "acme").plan_file("acme", 2).write_text("format = 1")

    said = await call("inspect", "--home", home)

    assert said.code == Answer.YES
    assert "left out:" in said.err


# ---- verifying


@pytest.mark.asyncio
async def test_each_thing_that_differs_is_named_with_a_remedy(bench: Bench, tmp_path: Path) -> None:
    plan = bench.plan()
    await bench.install(plan)
    encoded = bench.encoded(plan)
    await bench.make(RegisterAct(encoded, plan.acts["halt-replica"].tier, 5 * HOUR))
    await bench.make(SetBudget(BudgetReport(DAY, 20 * DAY, 3)))
    await bench.make(Announce(RegisterAct(encoded, plan.acts["halt-replica"].tier, 9 * HOUR)))
    other = dump_committee(committee()).replace("key_epoch = 1", "key_epoch = 2")
    version = plan_file(tmp_path, bench, version=2)

    said = await call(
        "verify", "--plan", version, "--rpc", bench.anvil.url, "--committee",
        file_of(tmp_path, "other.toml", other), "--json",
    )  # fmt: skip

    (one,) = said.document["gateways"]  # type: ignore[misc]
    failed = {each["name"]: each for each in one["findings"] if each["held"] is False}
    assert said.code == Answer.NO
    assert set(failed) == {
        "network",
        "keys",
        "plan in force",
        "act halt-replica",
        "budget",
        "nothing announced",
    }
    assert all(each["remedy"] and each["detail"] for each in failed.values())
    assert "expected tier 1, 6 h; got tier 1, 5 h" in failed["act halt-replica"]["detail"]


@pytest.mark.asyncio
async def test_without_a_committee_document_nothing_is_yes(bench: Bench, tmp_path: Path) -> None:
    await bench.install(bench.plan())

    said = await call("verify", "--plan", plan_file(tmp_path, bench), "--rpc", bench.anvil.url)

    assert said.code == Answer.UNKNOWN
    assert "? network and keys  no committee document to compare with" in said.out


@pytest.mark.asyncio
async def test_foreign_code_at_the_address_is_named(bench: Bench, tmp_path: Path) -> None:
    await bench.install(bench.plan())
    code = str(await bench.anvil.rpc("eth_getCode", bench.gateway, "latest"))
    # The last byte of the metadata: nothing runs it, and it is not our build.
    await bench.anvil.rpc("anvil_setCode", bench.gateway, code[:-2] + ("00" if code[-2:] != "00" else "01"))

    said = await call(
        "verify", "--plan", plan_file(tmp_path, bench), "--rpc", bench.anvil.url,
        "--committee", committee_file(tmp_path),
    )  # fmt: skip

    assert said.code == Answer.NO
    assert "✗ gateway's code  NOT this version's build" in said.out
    assert said.out.count("✗") == 1
