"""A vault, a market that takes its token, and their plans on one chain, with four relay processes.

The vault's plan has two rungs and reopens in stages; the market's listens to it; a third one only watches.
All blocks are mined when the story says so.
"""

from __future__ import annotations

from collections.abc import AsyncIterator, Mapping, Sequence
from contextlib import AsyncExitStack, asynccontextmanager
from dataclasses import dataclass
from pathlib import Path
from string import Template
from typing import Final

from rich.console import Console

from adapters.evm import adapter as make_adapter
from adapters.evm import shapes
from adapters.evm.demo import setup
from adapters.evm.demo.network import OPERATORS, Network, Proxies, make_network, start_proxies, submitters_of
from adapters.evm.demo.practice_report import Entry, Kind, PracticeReport
from adapters.evm.demo.practice_stage import Stage
from adapters.evm.demo.practice_vault import Vault, build_vault, fund
from adapters.evm.demo.show import Show
from adapters.evm.demo.traffic import Driver, encode_call
from adapters.evm.devchain import AnvilSettings, start_anvil
from adapters.evm.encode import act_id
from proofs.envelope import open_envelope
from relay.core.compiled import CompiledPlan, compile_plan
from relay.core.messages import Attestation
from relay.core.plan_file import parse_plan
from relay.core.wire import read_message
from tests.e2e.scene import logged

__all__ = ["PLANS", "House", "Said", "open_house"]

START_S: Final = 1_798_761_600
PLANS: Final = ("vault", "market", "watcher")
BLOCK_TIME_MS: Final = 500
SETTLE_S: Final = 1.0
"""A call that comes later is mined later; what must have landed is waited for by itself."""
FUNDS_WEI: Final = hex(10**20)

VAULT = """
format = "tocsin/plan/1"
protocol = "vault"
version = 1
mode = "armed"
reason = "more has left than people took"
contacts = ["mailto:vault@house.example"]

[clock]
reference = "$chain"
rearm_s = 600
mandate_fast_s = 300
mandate_full_s = 3600

[chains."$chain"]
gateway = "$vault_gateway"
since = $since
targets = ["$vault"]

[limits]
least = 900_000
safe = 1_000_000

[metrics.held]
read = "balance"
chain = "$chain"
of = "$vault"
token = "$token"
scale = 6

[rules.drain]
when = "held < least"
ladder = [["slow"], ["stop"]]
step = "5m"

[acts.slow]
verb = "rate-limit"
chain = "$chain"
target = "$vault"
call = "setRateLimit(uint256 1000000000)"
state = "rateLimit()"
value = 1000000000
compare = "<="
restore = "setRateLimit(uint256 _)"
tier = "fast"
lasts = "55m"

[acts.stop]
verb = "pause"
chain = "$chain"
target = "$vault"
call = "pause()"
state = "paused()"
value = true
undo = "unpause()"
tier = "fast"
lasts = "55m"

[release]
when = "held >= safe"
hold = 25
stages = [["stop"], ["slow"]]

[budget]
window = "30d"
fast_time = "24h"
fast_records = 1
frozen_time = "7d"
"""

MARKET = """
format = "tocsin/plan/1"
protocol = "market"
version = 1
mode = "armed"
reason = "the vault whose token is our collateral is being drained"
contacts = ["mailto:risk@house.example"]

[clock]
reference = "$chain"
lag_s = 0

[chains."$chain"]
gateway = "$market_gateway"
since = $since
targets = ["$market"]

[acts.no-collateral]
verb = "disable-collateral"
chain = "$chain"
target = "$market"
call = "setCollateralEnabled(address $token, bool false)"
state = "collateralEnabled(address $token)"
value = false
undo = "setCollateralEnabled(address $token, bool true)"
tier = "fast"
lasts = "6h"

[[listen]]
name = "vault"
plan = "$chain:$vault_gateway"
shares = "collateral"
when = "peer.verb in ['rate-limit', 'pause']"
ladder = [["no-collateral"]]
"""

WATCHER = """
format = "tocsin/plan/1"
protocol = "watcher"
version = 1
mode = "shadow"
reason = "thirty days of looking on before it may do anything"
contacts = ["mailto:watcher@house.example"]

[clock]
reference = "$chain"
rearm_s = 600

[chains."$chain"]
gateway = "$watcher_gateway"
since = $since
targets = ["$vault"]

[metrics.held]
read = "balance"
chain = "$chain"
of = "$vault"
token = "$token"
scale = 6

[rules.drain]
when = "held < 900000"
ladder = [["stop"]]

[acts.stop]
verb = "pause"
chain = "$chain"
target = "$vault"
call = "pause()"
state = "paused()"
value = true
undo = "unpause()"
tier = "fast"
lasts = "6h"
"""


@dataclass(frozen=True, slots=True)
class Said:
    """What one member said of a decision, as its own envelope in an audit log has it."""

    member: str
    attestation: Attestation


@dataclass(slots=True)
class House:
    """Everything that runs; `stages` has the timeline of each plan's gateway."""

    network: Network
    vault: Vault
    market: str
    proxies: Proxies
    stages: Mapping[str, Stage]

    @property
    def stage(self) -> Stage:
        """That of the vault's own plan: it mines."""
        return self.stages["vault"]

    async def settle(self) -> None:
        """Let the members do what they decided, and take note of it at every gateway."""
        await self.stage.begin_again()
        await self.stage.settle()
        await self._note()

    async def pass_time(self, blocks: int, *, after_s: int) -> None:
        """Mine empty blocks, as slowly as the members decide."""
        await self.stage.pass_time(blocks, after_s=after_s)
        await self._note()

    async def _note(self) -> None:
        for stage in self.stages.values():
            if stage is not self.stage:
                await stage.note()

    def events(self, plan: str, kind: Kind) -> list[Entry]:
        """Give what a plan's timeline tells of one kind."""
        return [entry for entry in self.stages[plan].report.timeline if entry.kind is kind]

    async def is_true(self, target: str, call: bytes) -> bool:
        """Read a switch at the newest block."""
        return bool(await self._word(target, call))

    async def rate_limit(self) -> int:
        """Read what may leave the vault in an hour, in base units."""
        return await self._word(self.vault.address, encode_call("rateLimit()"))

    async def is_paused(self) -> bool:
        """Tell whether nothing leaves the vault."""
        return await self.is_true(self.vault.address, encode_call("paused()"))

    async def takes_collateral(self) -> bool:
        """Tell whether the market still takes the vault's token."""
        return await self.is_true(self.market, encode_call("collateralEnabled(address)", self.vault.token))

    async def adopt(self, plan: str, act: str) -> None:
        """Let the guardian of a plan's gateway make an act his own."""
        adopting = encode_call("adopt(bytes32)", act_id(act))
        await setup.act(self.vault.driver, self.vault.owner, self.stages[plan].gateway, adopting)
        await self.settle()

    async def switch(self, operator: str, mode: str) -> None:
        """Make an operator's proxy behave so."""
        url = self.proxies.urls[OPERATORS.index(operator)]
        async with self.network.session.post(f"{url}/mode", json={"mode": mode}) as response:
            assert response.ok, await response.text()

    def said(self, subject: str) -> list[Said]:
        """Give every attestation on decisions of this subject that any member has in its log, each once."""
        envelopes: dict[bytes, bytes] = {}
        for member in self.stage.running():
            envelopes |= logged(member)
        names = {member.public.identity: member.name for member in self.network.members}
        found: list[Said] = []
        for raw in envelopes.values():
            envelope = open_envelope(raw)
            message = read_message(envelope)
            if isinstance(message, Attestation) and message.decision.subject == subject:
                found.append(Said(names[envelope.author], message))
        return found

    async def _word(self, target: str, call: bytes) -> int:
        asked = {"to": target, "data": "0x" + call.hex()}
        found = await self.vault.driver.anvil.rpc("eth_call", asked, "latest")
        return int.from_bytes(shapes.octets(found, 32), "big")


@asynccontextmanager
async def open_house(home: Path, *, chain_id: int, late: Sequence[str] = ()) -> AsyncIterator[House]:
    """Start everything but the members of `late`; people have deposited, and all plans are in force."""
    async with AsyncExitStack() as stack:
        settings = AnvilSettings(chain_id=chain_id, timestamp=START_S)
        anvil = await stack.enter_async_context(start_anvil(settings))
        network = await stack.enter_async_context(make_network(home, [anvil.chain]))
        driver = Driver(anvil)
        vault = await build_vault(driver)
        market = await _build_market(vault)
        await fund(vault)
        for submitter in submitters_of(network):
            await anvil.rpc("anvil_setBalance", "0x" + submitter.hex(), FUNDS_WEI)
        texts = await _arm(network, vault, market)
        proxies = await stack.enter_async_context(start_proxies(anvil))
        network.prepare({name: text for name, (text, _) in texts.items()}, [proxies], BLOCK_TIME_MS)
        stack.push_async_callback(network.stop)
        stages = {name: _stage(network, vault, gateway, text) for name, (text, gateway) in texts.items()}
        for stage in stages.values():
            await stage.begin()
        for member in network.members:
            if member.name not in late:
                await network.start(member)
        for member in network.members:
            if member.name not in late:
                await network.wait_ready(member)
        yield House(network, vault, market, proxies, stages)


async def _build_market(vault: Vault) -> str:
    driver, owner = vault.driver, vault.owner
    market = await setup.deploy(driver, owner, "DemoMarket", "(address,address)", owner, vault.token)
    listing = "listCollateral(address,uint16,uint16,uint256)"
    await setup.act(driver, owner, market, encode_call(listing, vault.token, 7_500, 8_000, 10**18))
    return market


async def _arm(network: Network, vault: Vault, market: str) -> dict[str, tuple[str, str]]:
    """Deploy a gateway for each plan, grant it its role, and put the plan in force; texts and gateways."""
    driver, owner = vault.driver, vault.owner
    gateways: dict[str, str] = {}
    for name in PLANS:
        budget = (86_400, 7 * 86_400, 1 if name == "vault" else 3)
        terms = setup.GatewayTerms(budget, 30 * 86_400)
        gateways[name] = await setup.deploy_gateway(driver, owner, network.committee, terms)
    roles = {"vault": (vault.address, "PAUSER_ROLE()"), "watcher": (vault.address, "PAUSER_ROLE()")}
    for name, (target, role) in {**roles, "market": (market, "RISK_ADMIN_ROLE()")}.items():
        await setup.grant(driver, owner, target, role, gateways[name])
    values = {
        "chain": driver.anvil.chain,
        "vault": vault.address,
        "token": vault.token,
        "market": market,
        "since": str(await driver.number()),
        **{f"{name}_gateway": gateway for name, gateway in gateways.items()},
    }
    texts: dict[str, tuple[str, str]] = {}
    for name, text in zip(PLANS, (VAULT, MARKET, WATCHER), strict=True):
        filled = Template(text).substitute(values)
        await setup.register(driver, owner, gateways[name], _compiled(filled))
        texts[name] = (filled, gateways[name])
    return texts


def _stage(network: Network, vault: Vault, gateway: str, text: str) -> Stage:
    plan = _compiled(text)
    report = PracticeReport(plan.plan.hash.hex(), plan.plan.protocol, vault.driver.anvil.chain, False)
    return Stage(network, vault, gateway, plan, Show(Console(quiet=True)), report, settle_s=SETTLE_S)


def _compiled(text: str) -> CompiledPlan:
    return compile_plan(parse_plan(text, where="house.plan.toml"), {"eip155": make_adapter()})
