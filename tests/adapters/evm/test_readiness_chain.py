"""Endpoints, funds and nonce as facts, and what makes a fact when endpoints differ."""

from __future__ import annotations

import asyncio
from collections.abc import AsyncIterator
from dataclasses import replace

import pytest
import pytest_asyncio

from adapters.evm import adapter, readiness
from adapters.evm.proxy import Mode
from adapters.evm.readiness import EvmInspector
from relay.core.readiness import ChainQuestion, Fact, Standing, agreed_facts
from relay.core.types import Address
from tests.adapters.evm.field import Contracts, Field, open_field

SUBMITTER = Address(b"\x0c" * 20)
COIN = 10**18


@pytest_asyncio.fixture
async def field(contracts: Contracts) -> AsyncIterator[Field]:
    async with open_field(contracts) as opened:
        yield opened


async def chain_facts(field: Field, *, inspector: EvmInspector, **changes: object) -> dict[str, Fact]:
    question = ChainQuestion(field.settings.chain, SUBMITTER, calls=3, gas=100_000)
    facts = await inspector.look_at_chain(replace(question, **changes))
    return {fact.name.partition(" ")[0]: fact for fact in facts}


@pytest.mark.asyncio
async def test_funds_for_so_many_acts_are_wanted_at_the_fee_asked_for(field: Field) -> None:
    account = "0x" + SUBMITTER.hex()
    async with adapter().inspector(field.settings) as inspector:
        poor = (await chain_facts(field, inspector=inspector))["funds"]
        await field.driver.anvil.rpc("anvil_setBalance", account, hex(COIN))
        funded = (await chain_facts(field, inspector=inspector))["funds"]
        at_cap = (await chain_facts(field, inspector=inspector, fee="cap"))["funds"]

    assert (poor.standing, funded.standing, at_cap.standing) == (
        Standing.FAILED,
        Standing.HELD,
        Standing.FAILED,
    )
    assert f"{account} holds 0.000000, 3 calls may take " in poor.reason
    # Three calls of 700,000 gas at 1,000 gwei take 2.1 coins, and one is there.
    assert at_cap.remedy.startswith("send at least 1.100000 of ")


@pytest.mark.asyncio
async def test_a_transaction_of_ours_that_waits_for_thirty_blocks_is_stuck(field: Field) -> None:
    anvil = field.driver.anvil
    account = "0x" + SUBMITTER.hex()
    await anvil.rpc("anvil_setBalance", account, hex(COIN))
    await anvil.rpc("anvil_impersonateAccount", account)
    transaction = {"from": account, "to": field.target, "gas": hex(21_000), "nonce": "0x0"}
    await anvil.rpc("eth_sendTransaction", transaction)

    async with adapter().inspector(field.settings) as inspector:
        fresh = (await chain_facts(field, inspector=inspector))["nonce"]
        # Thirty blocks whose makers all left it where it was.
        await anvil.rpc("anvil_dropAllTransactions")
        await anvil.rpc("anvil_mine", hex(30))
        await anvil.rpc("eth_sendTransaction", transaction)
        stuck = (await chain_facts(field, inspector=inspector))["nonce"]
        await anvil.rpc("anvil_dropAllTransactions")
        free = (await chain_facts(field, inspector=inspector))["nonce"]

    assert (fresh.standing, stuck.standing, free.standing) == (Standing.HELD, Standing.FAILED, Standing.HELD)
    assert "with nonce 0 waits" in stuck.reason


@pytest.mark.asyncio
@pytest.mark.parametrize(
    ("mode", "words"),
    [(Mode.WRONG_CHAIN, "north: serves eip155:"), (Mode.REFUSE, "north: HTTP status 503")],
)
async def test_endpoints_are_good_while_enough_agree(field: Field, mode: Mode, words: str) -> None:
    async with adapter().inspector(field.settings) as inspector:
        all_well = await chain_facts(field, inspector=inspector)
        field.proxies[0].mode = mode
        one_bad = await chain_facts(field, inspector=inspector)
        field.proxies[1].mode = mode
        two_bad = await chain_facts(field, inspector=inspector)
        field.proxies[0].mode = field.proxies[1].mode = Mode.HONEST
        again = await chain_facts(field, inspector=inspector)

    assert all_well["endpoints"].reason == ""
    assert (one_bad["endpoints"].standing, two_bad["endpoints"].standing) == (Standing.HELD, Standing.FAILED)
    assert words in one_bad["endpoints"].reason
    assert "1 of 3 endpoints good, 2 needed" in two_bad["endpoints"].reason
    assert two_bad["funds"].standing is Standing.UNTOLD
    assert again["endpoints"].standing is Standing.HELD


@pytest.mark.asyncio
async def test_an_endpoint_that_claims_a_far_head_shuts_nobody_out(field: Field) -> None:
    async with adapter().inspector(field.settings) as inspector:
        field.proxies[0].mode = Mode.LIE_HEAD
        found = await chain_facts(field, inspector=inspector)

    assert found["endpoints"].standing is Standing.HELD


# ---- agreement, without a chain


def fact(standing: Standing, reason: str = "") -> Fact:
    return Fact("act", standing, reason)


@pytest.mark.parametrize(
    ("said", "standing"),
    [
        ([Standing.HELD, Standing.HELD, Standing.FAILED], Standing.HELD),
        ([Standing.HELD, Standing.FAILED, Standing.FAILED], Standing.FAILED),
        ([Standing.HELD, Standing.FAILED], Standing.UNTOLD),
        ([Standing.HELD], Standing.UNTOLD),
        ([], Standing.UNTOLD),
        ([Standing.HELD, Standing.UNTRIED, Standing.UNTRIED], Standing.UNTRIED),
        ([Standing.HELD, Standing.UNTRIED], Standing.UNTRIED),
        ([Standing.FAILED, Standing.UNTRIED], Standing.UNTOLD),
    ],
)
def test_a_fact_is_what_enough_say_alike(said: list[Standing], standing: Standing) -> None:
    answers = [(str(place), (fact(each, f"{place}"),)) for place, each in enumerate(said)]

    (agreed,) = agreed_facts(("act",), answers, 2)

    assert agreed.standing is standing
    assert agreed.is_ready == (standing in (Standing.HELD, Standing.UNTRIED))


@pytest.mark.asyncio
async def test_an_endpoint_that_is_slow_makes_no_look_old(
    field: Field, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(readiness, "LATE_S", 0.2)
    patient = replace(field.settings, timeout_ms=60_000)
    async with adapter().inspector(patient) as inspector:
        field.proxies[2].mode = Mode.HANG
        async with asyncio.timeout(10):
            facts = await chain_facts(field, inspector=inspector)
        field.proxies[2].mode = Mode.HONEST

    assert facts["endpoints"].standing is Standing.HELD
    assert "answers too slowly" in facts["endpoints"].reason
