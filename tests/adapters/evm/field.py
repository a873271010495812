"""A target behind a real gateway, read through three operators, for tests of readiness."""

from __future__ import annotations

from collections.abc import AsyncIterator
from contextlib import AsyncExitStack, asynccontextmanager
from dataclasses import dataclass, replace

from adapters.evm import adapter
from adapters.evm.demo.traffic import Call, Driver, encode_arguments, encode_call
from adapters.evm.devchain import AnvilSettings, artifact_code, start_anvil
from adapters.evm.encode import ACT_TYPES, gateway_calldata, gateway_of
from adapters.evm.proxy import ProxySettings, RpcProxy, start_proxy
from adapters.evm.rotations import GROUPS, NO_GROUPS
from proofs.mandate import ActLeaf, Mandate, Op, Tier, acts_root
from relay.core.ports import ActText, ChainSettings, EndpointAddress, Execute
from relay.core.readiness import ActToKeep, Fact, GatewayQuestion, Standing
from relay.core.types import ActHash, DecisionId, NetworkId, PlanHash
from tests.adapters.evm.conftest import CHAIN_IDS

ACT = "(" + ",".join(ACT_TYPES) + ")"
NETWORK = NetworkId(b"\x0a" * 32)
PLAN = PlanHash(b"\x0b" * 32)
HOURS_6 = 6 * 3_600
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


@asynccontextmanager
async def open_field(contracts: Contracts) -> AsyncIterator[Field]:
    """Deploy everything, register the act and put the plan in force."""
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
        verifier_types = f"(bytes32,uint32,address[],uint8,uint8,{GROUPS},uint64,uint64)"
        terms = encode_arguments(verifier_types, NETWORK, 1, keys, 2, 3, NO_GROUPS, 86_400, 21_600)
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
