"""Nonsense in answer to a look, a survey or a rehearsal: nothing is believed, nothing breaks, no key told."""

from __future__ import annotations

import json
from collections.abc import AsyncIterator, Callable
from contextlib import asynccontextmanager

import aiohttp
import pytest
import pytest_asyncio
from aiohttp import web
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st

from adapters.evm import adapter
from adapters.evm.devchain import Anvil, AnvilSettings, start_anvil
from adapters.evm.encode import gateway_of
from adapters.evm.reverts import name_refusal
from proofs.mandate import Tier
from relay.core.errors import ChainError
from relay.core.ports import ActText, ChainSettings, EndpointAddress
from relay.core.readiness import ActToKeep, ChainQuestion, GatewayQuestion, Standing
from relay.core.rehearsal import RehearsalSettings
from relay.core.types import Address, NetworkId, PlanHash
from tests.adapters.evm.conftest import CHAIN_IDS

GATEWAY = "0x" + "67" * 20
TARGET = "0x" + "22" * 20
Answer = Callable[[str, object], object]


def always(value: object) -> Answer:
    """The same result to everything but the chain's id."""
    return lambda method, honest: honest if method == "eth_chainId" else value


def only(name: str, value: object) -> Answer:
    """One method's result is this, the others' are honest."""
    return lambda method, honest: value if method == name else honest


NONSENSE: dict[str, Answer] = {
    "null": always(None),
    "a number": always(5),
    "an empty list": always([]),
    "no bytes": always("0x"),
    "odd hex": always("0x123"),
    "a long word": always("0x" + "ff" * 4_096),
    "offsets into nowhere": always("0x" + "7f" * 32 * 8),
    "calls with offsets into nowhere": only("eth_call", "0x" + "7f" * 32 * 8),
    "a head without time": only("eth_getBlockByNumber", {"number": "0x5", "hash": "0x" + "11" * 32}),
    "a negative balance": only("eth_getBalance", "-0x1"),
    "a simulation of nothing": only("eth_simulateV1", [{"calls": []}]),
    "a simulation that is none": only("eth_simulateV1", {"calls": 5}),
    "a list of no accesses": only("eth_createAccessList", {"accessList": [{"address": "0x12"}]}),
}


@asynccontextmanager
async def lying(anvil: Anvil, answer: Answer) -> AsyncIterator[str]:
    """An endpoint before a chain that puts its own results in place of the honest ones."""

    async def handle(request: web.Request) -> web.Response:
        calls = json.loads(await request.read())
        many = calls if isinstance(calls, list) else [calls]
        async with aiohttp.ClientSession() as session, session.post(anvil.url, json=many) as response:
            honest = {entry["id"]: entry.get("result") for entry in await response.json()}
        said = [
            {"jsonrpc": "2.0", "id": call["id"], "result": answer(call["method"], honest[call["id"]])}
            for call in many
        ]
        return web.json_response(said if isinstance(calls, list) else said[0])

    application = web.Application()
    application.router.add_post("/{tail:.*}", handle)
    runner = web.AppRunner(application, access_log=None, handle_signals=False)
    await runner.setup()
    try:
        await web.TCPSite(runner, "127.0.0.1", 0).start()
        yield f"http://127.0.0.1:{runner.addresses[0][1]}/secret-key"
    finally:
        await runner.cleanup()


@pytest_asyncio.fixture
async def anvil() -> AsyncIterator[Anvil]:
    async with start_anvil(AnvilSettings(next(CHAIN_IDS))) as running:
        await running.mine(3)
        yield running


def act_on(anvil: Anvil) -> ActToKeep:
    text = ActText("halt", anvil.chain, GATEWAY, TARGET, "pause()", "paused()", value=True, undo="unpause()")
    return ActToKeep("halt", adapter().encode_act(text), Tier.FAST, 3_600)


@pytest.mark.asyncio
@pytest.mark.parametrize("answer", NONSENSE.values(), ids=list(NONSENSE))
async def test_nonsense_makes_nothing_ready(anvil: Anvil, answer: Answer) -> None:
    async with lying(anvil, answer) as url:
        address = EndpointAddress("mallory", url)
        chain = ChainSettings(anvil.chain, (address,), need=1, timeout_ms=3_000)
        question = GatewayQuestion(
            chain=anvil.chain,
            protocol="acme",
            gateway=gateway_of(GATEWAY),
            plan_hash=PlanHash(b"\x0b" * 32),
            network=NetworkId(b"\x0a" * 32),
            key_epoch=1,
            acts=(act_on(anvil),),
        )
        async with adapter().inspector(chain) as inspector:
            own = await inspector.look_at_chain(ChainQuestion(anvil.chain, Address(b"\x0c" * 20), 3, 1))
            facts = await inspector.look_at_gateway(question)
        survey = await adapter().survey(anvil.chain, address, 3_000)

    assert tuple(fact.name for fact in facts) == question.names
    assert not any(fact.standing is Standing.HELD for fact in facts)
    assert not any("secret-key" in f"{fact.reason}{fact.remedy}" for fact in (*own, *facts))
    assert "secret-key" not in survey.problem


@pytest.mark.asyncio
@pytest.mark.parametrize("answer", NONSENSE.values(), ids=list(NONSENSE))
async def test_nonsense_rehearses_nothing_well(anvil: Anvil, answer: Answer) -> None:
    async with lying(anvil, answer) as url:
        where = RehearsalSettings(anvil.chain, url, forks=False, timeout_ms=3_000)
        problem, held = "", None
        try:
            async with adapter().rehearser(where) as rehearser:
                held = (await rehearser.rehearse(act_on(anvil))).held
        except ChainError as error:
            problem = str(error)

    assert held is not True
    assert "secret-key" not in problem


@settings(max_examples=200, suppress_health_check=[HealthCheck.too_slow])
@given(st.binary(max_size=200), st.text(max_size=50))
def test_whatever_a_target_reverts_with_has_words(answer: bytes, text: str) -> None:
    refused = name_refusal(answer, text, caller=GATEWAY, target=TARGET)

    assert 0 < len(refused.reason) < 400
