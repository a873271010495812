"""`tocsin plan check` on chains and on data: a rule that is true already is refused, the unknown is said."""

from __future__ import annotations

import asyncio
import itertools
import os
from collections.abc import AsyncIterator
from pathlib import Path

import pytest
import pytest_asyncio

from adapters.evm.devchain import Anvil, AnvilSettings, start_anvil
from relay.chains import load_adapters
from relay.core.compiled import compile_plan
from relay.core.plan_file import parse_plan
from relay.core.types import BlockRef, Caip2, Digest
from relay.plans.judging import Stretch, unjudged_rules, unknown_metrics
from tests.cli.calls import Said, tocsin

CHAIN_IDS = itertools.count(700_000 + os.getpid() % 50_000)
RICH = "0xf39fd6e51aad88f6f4ce6ab8827279cfffb92266"
"""The first account of a development chain: it owns 10,000 coins."""
OTHER = "0x3333333333333333333333333333333333333333"

PLAN = f"""
format = "tocsin/plan/1"
protocol = "trial"
version = 1
reason = "to be tried"
[clock]
reference = "CHAIN"
[chains."CHAIN"]
gateway = "0x1111111111111111111111111111111111111111"
targets = ["{OTHER}"]
since = 0
[metrics.coins]
read = "balance"
chain = "CHAIN"
of = "{RICH}"
scale = 18
[metrics.before]
read = "balance"
chain = "CHAIN"
of = "{RICH}"
scale = 18
window = "1h"
take = "first"
[metrics.answer]
read = "call"
chain = "CHAIN"
from = "{OTHER}"
call = "answer() returns (uint256)"
on_fault = "trigger"
[metrics.question]
read = "call"
chain = "CHAIN"
from = "{OTHER}"
call = "question() returns (uint256)"
[rules.rich]
when = "coins > 5000"
ladder = [["halt"]]
[rules.poor]
when = "coins < 5000"
ladder = [["halt"]]
[rules.drained]
when = "before - coins > 100"
ladder = [["halt"]]
[rules.silent]
when = "answer > 5"
ladder = [["halt"]]
[rules.mute]
when = "question > 5"
ladder = [["halt"]]
[acts.halt]
verb = "pause"
chain = "CHAIN"
target = "{OTHER}"
call = "pause()"
state = "paused()"
value = true
undo = "unpause()"
tier = "fast"
lasts = "6h"
"""


@pytest_asyncio.fixture
async def anvil() -> AsyncIterator[Anvil]:
    async with start_anvil(AnvilSettings(next(CHAIN_IDS))) as running:
        yield running


async def said(*arguments: object) -> Said:
    """Call the command in a thread: the chain lives in this one's loop."""
    return await asyncio.to_thread(tocsin, *arguments)


def verdicts(answer: Said) -> dict[str, bool | None]:
    findings = answer.document["findings"]
    assert isinstance(findings, list)
    return {each["name"].rpartition(": ")[2]: each["held"] for each in findings}


@pytest.mark.asyncio
async def test_a_rule_that_is_true_at_the_newest_block_is_refused(anvil: Anvil, tmp_path: Path) -> None:
    file = tmp_path / "trial.plan.toml"
    file.write_text(PLAN.replace("CHAIN", anvil.chain))

    answer = await said("plan", "check", file, "--rpc", anvil.url, "--json")

    assert answer.code == 1, answer.out + answer.err
    assert verdicts(answer) == {
        "rules.rich": False,
        "rules.poor": True,
        # One block tells nothing of an hour before, unless it is the first that counts.
        "rules.drained": True,
        # No contract: what cannot be read counts as an alarm, where the plan says so.
        "rules.silent": False,
        "rules.mute": None,
    }


@pytest.mark.asyncio
async def test_what_could_not_be_told_is_named_and_with_strict_no_yes(anvil: Anvil, tmp_path: Path) -> None:
    file = tmp_path / "trial.plan.toml"
    text = PLAN.replace("CHAIN", anvil.chain)
    for rule in ("rich", "silent"):
        text = text.replace(f"[rules.{rule}]", f"[rules.{rule}]\nhold = 1", 1)
    text = text.replace("coins > 5000", "coins > 50000").replace('on_fault = "trigger"\n', "")
    file.write_text(text)

    lenient = await said("plan", "check", file, "--rpc", anvil.url, "--json")
    strict = await said("plan", "check", file, "--rpc", anvil.url, "--strict")

    assert verdicts(lenient)["rules.mute"] is None
    assert (lenient.code, strict.code) == (0, 3)
    assert "question cannot be read" in strict.out


@pytest.mark.asyncio
async def test_a_plan_that_counts_from_a_block_to_come_cannot_be_told(anvil: Anvil, tmp_path: Path) -> None:
    file = tmp_path / "trial.plan.toml"
    file.write_text(PLAN.replace("CHAIN", anvil.chain).replace("since = 0", "since = 1_000_000"))

    answer = await said("plan", "check", file, "--rpc", anvil.url, "--json", "--strict")

    assert answer.code == 3, answer.out + answer.err
    assert set(verdicts(answer).values()) == {None}
    assert "blocks count from 1000000 on" in answer.out


TWO_CHAINS = """
[chains."AWAY"]
lag_s = 60
since = 0
[metrics.there]
read = "balance"
chain = "AWAY"
of = "RICH"
scale = 18
[rules.both]
when = "there > coins - 1"
ladder = [["halt"]]
"""


@pytest.mark.asyncio
async def test_a_foreign_chain_is_read_at_its_pin(anvil: Anvil, tmp_path: Path) -> None:
    async with start_anvil(AnvilSettings(next(CHAIN_IDS), timestamp=1_700_000_000)) as away:
        now = 1_700_000_100
        await anvil.rpc("evm_setTime", now)
        await away.mine(timestamp=1_700_000_030)
        await away.mine(timestamp=now - 60)
        pin = await away.mine(timestamp=now)
        await anvil.mine(timestamp=now)
        file = tmp_path / "trial.plan.toml"
        text = PLAN + TWO_CHAINS.replace("AWAY", away.chain).replace("RICH", RICH)
        file.write_text(text.replace("CHAIN", anvil.chain))
        rpc = ("--rpc", f"{anvil.chain}={anvil.url}", "--rpc", f"{away.chain}={away.url}")

        read = await said("plan", "check", file, *rpc, "--json")
        unread = await said("plan", "check", file, *rpc[:2], "--json")

    assert pin == 3
    assert verdicts(read)["rules.both"] is False
    assert verdicts(unread)["rules.both"] is None


def test_an_endpoint_that_does_not_answer_is_no_yes(tmp_path: Path) -> None:
    file = tmp_path / "trial.plan.toml"
    file.write_text(PLAN.replace("CHAIN", "eip155:31"))

    assert tocsin("plan", "check", file, "--rpc", "http://127.0.0.1:1").code == 3


def test_a_chain_that_the_plan_does_not_have_is_refused(tmp_path: Path) -> None:
    file = tmp_path / "trial.plan.toml"
    file.write_text(PLAN.replace("CHAIN", "eip155:31"))

    answer = tocsin("plan", "check", file, "--rpc", "eip155:32=http://127.0.0.1:1")

    assert answer.code == 2
    assert "a chain of the plan (eip155:31)" in answer.err


# ---- what a stretch of blocks tells


def stretch(first: int, last: int) -> dict[Caip2, Stretch]:
    """Blocks of 12 s each."""
    chain = Caip2("eip155:31")
    ends = (BlockRef(chain, Digest(bytes(32)), number, 1_000 + 12 * number) for number in (first, last))
    return {chain: Stretch(*ends)}


@pytest.mark.parametrize(
    ("since", "first", "unjudged"),
    [(0, 1_000, True), (0, 700, False), (0, 701, True), (1_000, 1_000, False)],
)
def test_a_window_is_known_once_all_of_it_was_read(since: int, first: int, unjudged: bool) -> None:
    text = PLAN.replace("CHAIN", "eip155:31").replace("since = 0", f"since = {since}")
    compiled = compile_plan(parse_plan(text, where="plan"), load_adapters())

    unknown = unknown_metrics(compiled.plan, stretch(first, 1_000))

    assert ("drained" in unjudged_rules(compiled, unknown)) is unjudged
    assert "rich" not in unjudged_rules(compiled, unknown)


@pytest.mark.parametrize(("first", "unjudged"), [(996, False), (997, True)])
def test_a_window_of_blocks_over_state_begins_with_what_stood_before_them(first: int, unjudged: bool) -> None:
    text = PLAN.replace("CHAIN", "eip155:31").replace('window = "1h"', "window_blocks = 4")
    plan = parse_plan(text, where="plan")

    assert ("before" in unknown_metrics(plan, stretch(first, 1_000))) is unjudged


def test_a_metric_of_a_chain_that_was_not_read_is_unknown() -> None:
    plan = parse_plan(PLAN.replace("CHAIN", "eip155:31"), where="plan")

    assert unknown_metrics(plan, {}) == {"coins", "before", "answer", "question"}


# ---- spans, and data


def test_a_release_that_a_withheld_certificate_would_close_again_is_refused(bridge: Path) -> None:
    slow = tocsin("plan", "check", bridge, "--block-time", "12")
    fast = tocsin("plan", "check", bridge, "--block-time", "eip155:1=2")
    untold = tocsin("plan", "check", bridge)

    assert (slow.code, fast.code, untold.code) == (0, 1, 0)
    line = next(n for n, text in enumerate(bridge.read_text().splitlines(), start=1) if text == "hold = 300")
    assert f":{line}: release.hold" in fast.out
    assert "give --block-time" in untold.out


def test_a_fast_act_that_full_protection_cannot_follow_is_refused(bridge: Path) -> None:
    said = tocsin("plan", "check", bridge, "--finality", "eip155:1=20000")

    assert said.code == 1
    assert "acts.halt-replica.lasts" in said.out


def test_a_rule_that_holds_throughout_the_data_is_refused(tmp_path: Path) -> None:
    file, data = tmp_path / "trial.plan.toml", tmp_path / "coins.csv"
    file.write_text(PLAN.replace("CHAIN", "eip155:31"))
    data.write_text(
        "timestamp,metric,value\n" + "".join(f"{1_000 + 60 * n},coins,{9_000 * 10**18}\n" for n in range(5))
    )

    answer = tocsin("plan", "check", file, "--data", data, "--json")

    assert answer.code == 1
    assert verdicts(answer) == {
        "rules.rich": False,
        "rules.poor": True,
        # What it held before is the same reading, over a window.
        "rules.drained": True,
        "rules.silent": None,
        "rules.mute": None,
    }
    line = file.read_text().splitlines().index("[rules.rich]") + 1
    assert f'"{file}:{line}: rules.rich"' in answer.out
