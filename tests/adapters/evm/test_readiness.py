"""What must hold before a call can land, on a real gateway: each fact falls by itself, and comes back."""

from __future__ import annotations

from collections.abc import AsyncIterator
from contextlib import AsyncExitStack
from dataclasses import dataclass, replace

import pytest
import pytest_asyncio

from adapters.evm import adapter
from adapters.evm.demo.traffic import Call, Driver, encode_arguments, encode_call
from adapters.evm.devchain import AnvilSettings, artifact_code, start_anvil
from adapters.evm.encode import ACT_TYPES, gateway_calldata, gateway_of
from adapters.evm.proxy import Mode, ProxySettings, RpcProxy, start_proxy
from adapters.evm.readiness import EvmInspector
from proofs.mandate import ActLeaf, Mandate, Op, Tier, acts_root
from relay.core.ports import ActText, ChainSettings, EndpointAddress, Execute
from relay.core.readiness import (
    ActToKeep,
    ChainQuestion,
    Fact,
    GatewayQuestion,
    Standing,
    agreed_facts,
)
from relay.core.types import ActHash, Address, DecisionId, NetworkId, PlanHash
from tests.adapters.evm.conftest import CHAIN_IDS

ACT = "(" + ",".join(ACT_TYPES) + ")"
NETWORK = NetworkId(b"\x0a" * 32)
PLAN = PlanHash(b"\x0b" * 32)
SUBMITTER = Address(b"\x0c" * 20)
HOURS_6 = 6 * 3_600
COIN = 10**18
Contracts = dict[str, bytes]


@dataclass
class Field:
    """A target behind a real gateway, read through three operators."""

    driver: Driver
    proxies: list[RpcProxy]
    settings: ChainSettings
    owner: str
    target: str
    verifier: str
    gateway: str

    async def call(self, to: str, signature: str, *arguments: object) -> None:
        call = Call(self.owner, to, encode_call(signature, *arguments), gas=3_000_000)
        [tx] = await self.driver.block(await self.driver.next_time(), [call])
        assert (await self.driver.succeeded([tx])) == [True], signature

    async def wait(self, seconds: int) -> None:
        await self.driver.block(await self.driver.next_time() + seconds)

    def act(self, **changes: object) -> ActToKeep:
        text = ActText(
            name="halt",
            chain=self.driver.anvil.chain,
            gateway=self.gateway,
            target=self.target,
            call="pause()",
            state="paused()",
            value=True,
            undo="unpause()",
            gas=100_000,
        )
        return ActToKeep("halt", adapter().encode_act(replace(text, **changes)), Tier.FAST, HOURS_6)

    def question(self, **changes: object) -> GatewayQuestion:
        question = GatewayQuestion(
            chain=self.driver.anvil.chain,
            protocol="acme",
            gateway=gateway_of(self.gateway),
            plan_hash=PLAN,
            network=NETWORK,
            key_epoch=1,
            acts=(self.act(),),
        )
        return replace(question, **changes)

    async def execute(self) -> None:
        """Carry a fast mandate for the act, which this gateway's verifier takes unread."""
        now = await self.driver.next_time()
        encoded = self.act().encoded
        chain = self.driver.anvil.chain
        leaf = ActLeaf(chain, encoded.gateway, encoded.act_id, ActHash(encoded.act_hash), HOURS_6)
        mandate = Mandate(
            network=NETWORK,
            key_epoch=1,
            tier=Tier.FAST,
            plan_hash=PLAN,
            op=Op.PROTECT,
            decision_id=DecisionId(b"\x0f" * 32),
            acts_root=acts_root([leaf]),
            not_before=now,
            not_after=now + 1_800,
        )
        call = Execute(chain, encoded.gateway, encoded.act_id, HOURS_6, mandate, (), b"\x01")
        sent = Call(self.owner, self.gateway, gateway_calldata(call), gas=3_000_000)
        assert await self.driver.succeeded(await self.driver.block(now, [sent])) == [True]

    async def register(self, act: ActToKeep, *, tier: Tier = Tier.FAST, duration_s: int = HOURS_6) -> None:
        types = f"registerAct(bytes32,{ACT},uint8,uint64)"
        encoded = act.encoded
        await self.call(self.gateway, types, encoded.act_id, encoded.registration, int(tier), duration_s)

    async def look(self, question: GatewayQuestion | None = None) -> dict[str, Fact]:
        async with adapter().inspector(self.settings) as inspector:
            facts = await inspector.look_at_gateway(question or self.question())
        return {fact.name.removesuffix(f" {self.settings.chain}"): fact for fact in facts}

    async def failing(self, question: GatewayQuestion | None = None) -> dict[str, str]:
        return {
            name: fact.reason
            for name, fact in (await self.look(question)).items()
            if fact.standing is not Standing.HELD
        }


@pytest_asyncio.fixture
async def field(contracts: Contracts) -> AsyncIterator[Field]:
    async with AsyncExitStack() as stack:
        anvil = await stack.enter_async_context(start_anvil(AnvilSettings(next(CHAIN_IDS))))
        proxies = [
            await stack.enter_async_context(start_proxy(ProxySettings(anvil.url, delay_ms=3_000)))
            for _ in range(3)
        ]
        endpoints = tuple(
            EndpointAddress(name, proxy.url)
            for name, proxy in zip(("north", "east", "south"), proxies, strict=True)
        )
        settings = ChainSettings(anvil.chain, endpoints, need=2, block_time_ms=12_000, timeout_ms=2_000)
        driver = Driver(anvil)
        owner, *others = await anvil.accounts()
        target = await driver.deploy(owner, contracts["Switch"])
        keys = sorted(others[:4])
        verifier_types = "(bytes32,uint32,address[],uint8,uint8,uint64,uint64)"
        terms = encode_arguments(verifier_types, NETWORK, 1, keys, 2, 3, 86_400, 21_600)
        verifier = await driver.deploy(owner, artifact_code("TocsinVerifier") + terms)
        types = "(address,address,address,bytes32,(uint64,uint64,uint64),(uint64,uint64,uint32))"
        limits, budget = (60, 3_600, 30 * 86_400), (86_400, 21 * 86_400, 3)
        arguments = encode_arguments(types, owner, owner, verifier, NETWORK, limits, budget)
        gateway = await driver.deploy(owner, artifact_code("TocsinGateway") + arguments)
        field = Field(driver, proxies, settings, owner, target, verifier, gateway)
        await field.register(field.act())
        await field.call(target, "grant(address)", gateway)
        await field.call(gateway, "setPlan(bytes32,bytes32,uint64)", PLAN, bytes(32), 0)
        yield field


NAMES = (
    "gateway acme",
    "plan acme",
    "budget acme",
    "registration acme/halt",
    "act acme/halt",
    "undo acme/halt",
)


@pytest.mark.asyncio
async def test_everything_that_a_call_needs_is_a_fact_of_its_own(field: Field) -> None:
    found = await field.look()

    assert tuple(found) == NAMES
    assert {fact.standing for fact in found.values()} == {Standing.HELD}, found


@pytest.mark.asyncio
async def test_a_paused_gateway_fails_and_holds_again(field: Field) -> None:
    await field.call(field.gateway, "pauseGateway()")
    failing = await field.failing()
    await field.call(field.gateway, "unpauseGateway()")

    assert failing == {"gateway acme": f"{field.gateway}: it is paused"}
    assert await field.failing() == {}


@pytest.mark.asyncio
async def test_a_gateway_of_others_or_of_another_key_epoch_is_named(field: Field) -> None:
    other = await field.failing(field.question(network=NetworkId(b"\x0d" * 32)))
    later = await field.failing(field.question(key_epoch=2))
    await field.call(field.gateway, "refuseEpochsFrom(uint32)", 1)
    refused = await field.failing()
    await field.call(field.gateway, "setVerifier(address)", "0x" + "00" * 20)
    trustless = await field.failing()

    assert "it serves the network 0x0a0a" in other["gateway acme"]
    assert f"its verifier {field.verifier} does not accept key epoch 2" in later["gateway acme"]
    assert "it refuses key epochs from 1 on, ours is 1" in refused["gateway acme"]
    assert "it trusts no verifier" in trustless["gateway acme"]


@pytest.mark.asyncio
async def test_a_plan_counts_as_current_and_as_next(field: Field) -> None:
    now = await field.driver.next_time()
    other = PlanHash(b"\x0e" * 32)
    await field.call(field.gateway, "setPlan(bytes32,bytes32,uint64)", other, PLAN, now + 3_600)
    as_next = await field.look()
    await field.call(field.gateway, "setPlan(bytes32,bytes32,uint64)", other, bytes(32), 0)
    gone = (await field.look())["plan acme"]

    assert as_next["plan acme"].standing is Standing.HELD
    assert gone.standing is Standing.FAILED
    assert f"to call setPlan with 0x{PLAN.hex()}" in gone.remedy


@pytest.mark.asyncio
async def test_an_act_that_is_off_another_or_for_less_time_is_told_apart(field: Field) -> None:
    longer = replace(field.act(), lasts_s=HOURS_6 + 1)
    other = field.act(gas=100_001)
    asked = {
        name: (await field.failing(field.question(acts=(act,))))["registration acme/halt"]
        for name, act in (("longer", longer), ("other", other))
    }
    await field.call(field.gateway, "revokeAct(bytes32)", field.act().encoded.act_id)
    off = await field.failing()

    assert asked["longer"] == f"the gateway permits {HOURS_6} s, the plan asks for {HOURS_6 + 1} s"
    assert asked["other"].startswith("the gateway has another act: 0x")
    assert off == {"registration acme/halt": "the act is not registered, or off"}


@pytest.mark.asyncio
async def test_a_role_that_is_granted_shows_in_the_next_look(field: Field, contracts: Contracts) -> None:
    target = await field.driver.deploy(field.owner, contracts["Switch"])
    question = field.question(acts=(field.act(target=target),))

    act = (await field.look(question))["act acme/halt"]
    await field.call(target, "grant(address)", field.gateway)

    assert act.standing is Standing.FAILED
    assert act.remedy == f"ask the owner of {target} to grant PAUSER_ROLE to {field.gateway}"
    assert (await field.look(question))["act acme/halt"].standing is Standing.HELD


@pytest.mark.asyncio
async def test_a_pause_window_that_ends_is_a_fact_that_falls(field: Field, contracts: Contracts) -> None:
    target = await field.driver.deploy(field.owner, contracts["WindowedSwitch"])
    await field.call(target, "grant(address)", field.gateway)
    question = field.question(acts=(field.act(target=target),))
    assert (await field.look(question))["act acme/halt"].standing is Standing.HELD

    await field.wait(2 * 86_400)

    assert (await field.look(question))["act acme/halt"].standing is Standing.FAILED


@pytest.mark.asyncio
async def test_an_undo_that_fails_is_told_of_the_undo(field: Field, contracts: Contracts) -> None:
    target = await field.driver.deploy(field.owner, contracts["StuckSwitch"])
    await field.call(target, "grant(address)", field.gateway)

    found = await field.look(field.question(acts=(field.act(target=target),)))

    assert found["act acme/halt"].standing is Standing.HELD
    assert (found["undo acme/halt"].standing, found["undo acme/halt"].reason) == (
        Standing.FAILED,
        "Error: the lock is jammed",
    )


@pytest.mark.asyncio
async def test_what_is_protected_already_is_fine(field: Field) -> None:
    await field.call(field.target, "grant(address)", field.owner)
    await field.call(field.target, "pause()")

    found = await field.look()

    assert found["act acme/halt"] == Fact(
        "act acme/halt", Standing.HELD, "protected already by somebody else: the state is 1"
    )


@pytest.mark.asyncio
async def test_an_act_in_force_is_fine_while_its_undo_works(field: Field, contracts: Contracts) -> None:
    code = contracts["CredulousVerifier"] + NETWORK
    await field.call(field.gateway, "setVerifier(address)", await field.driver.deploy(field.owner, code))
    await field.execute()
    in_force = await field.look()
    await field.wait(HOURS_6 + 600)
    run_out = await field.look()
    await field.call(field.target, "grant(address)", field.owner)
    await field.call(field.target, "unpause()")
    taken_over = await field.look()

    for found in (in_force, run_out, taken_over):
        assert {fact.standing for fact in found.values()} == {Standing.HELD}, found
        assert found["act acme/halt"].reason.startswith("in force until ")
    assert in_force["undo acme/halt"].reason == ""
    assert "it will be closed without undo" in taken_over["undo acme/halt"].reason
    assert "2 fast records" in in_force["budget acme"].reason


@pytest.mark.asyncio
async def test_a_spent_budget_is_a_fact_that_falls(field: Field) -> None:
    await field.call(field.gateway, "setBudget((uint64,uint64,uint32))", (86_400, 21 * 86_400, 0))

    failing = await field.failing()

    assert failing == {"budget acme": "left in this window: 0 fast records, 86400 s, 1814400 s in all"}


@pytest.mark.asyncio
async def test_an_address_without_gateway_fails_every_fact(field: Field) -> None:
    found = await field.look(field.question(gateway=gateway_of(field.target)))

    assert {fact.standing for fact in found.values()} == {Standing.FAILED}
    assert {fact.reason for fact in found.values()} == {f"no gateway answers at {field.target}"}


@pytest.mark.asyncio
@pytest.mark.parametrize("mode", [Mode.LIE_CALLS, Mode.REFUSE, Mode.DROP, Mode.WRONG_CHAIN])
async def test_one_endpoint_alone_can_neither_raise_nor_lower_a_fact(field: Field, mode: Mode) -> None:
    field.proxies[0].mode = mode
    alone = await field.look()
    field.proxies[1].mode = mode
    two = await field.look()

    assert {fact.standing for fact in alone.values()} == {Standing.HELD}
    if mode is not Mode.LIE_CALLS:
        assert {fact.standing for fact in two.values()} == {Standing.UNTOLD}
        assert "1 of 2 needed endpoints answered" in two["gateway acme"].reason


@pytest.mark.asyncio
async def test_a_look_takes_a_bounded_number_of_bodies(field: Field) -> None:
    acts = tuple(replace(field.act(), name=f"halt-{number}") for number in range(3))
    before = [proxy.requests for proxy in field.proxies]

    await field.look(field.question(acts=acts))

    # Two for the gateway, one for each act.
    assert [proxy.requests - count for proxy, count in zip(field.proxies, before, strict=True)] == [5, 5, 5]


# ---- the chain


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
