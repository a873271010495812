"""The demonstration's two chains: tokens, a bridge with the flaw of 2022, a market, and their gateways."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from importlib.resources import files
from string import Template
from typing import Final

from adapters.evm import adapter as make_adapter
from adapters.evm import shapes
from adapters.evm.demo import setup
from adapters.evm.demo.scenario import Scenario, Token
from adapters.evm.demo.traffic import Driver, encode_call
from proofs.committee import CommitteeDocument
from relay.core.compiled import CompiledPlan, compile_plan
from relay.core.plan_file import parse_plan
from relay.core.rotations import GroupKeys
from relay.core.types import Address

__all__ = ["BUDGET", "World", "arm_bridge", "arm_drill", "arm_market", "build_protocols", "build_world"]

WINDOW_S: Final = 30 * 86_400
BUDGET: Final = (86_400, 21 * 86_400, 3)
"""Fast seconds, all seconds, fast new records per window: the defaults of a plan."""
COLLATERAL: Final = "WBTC"
"""The bridged token that the market takes: what the attack takes first."""
DRILL_BUDGET: Final = (86_400, 86_400, 288)
"""Drills of five minutes: what they may use is no protocol's."""
STABLE_UNIT: Final = 10**18
ROOM: Final = 2
"""The replica holds so many times what the scenario ever moves: emptying it does not stop the drain."""
ATTACKER_COLLATERAL: Final = 50
"""Whole bridged tokens that the attacker brings to the market: cheap once their backing is gone."""


@dataclass(slots=True)
class World:
    """Addresses and accounts. The tokens are at home on the chain `near`, and bridged to the chain `far`."""

    near: Driver
    far: Driver
    scenario: Scenario
    owner: str
    updater: str
    user: str
    attacker: str
    groups: GroupKeys | None = None
    """The members' group keys, which every verifier here is made with; None: it takes lists only."""
    replica: str = ""
    home: str = ""
    market: str = ""
    stable: str = ""
    gateway_near: str = ""
    gateway_far: str = ""
    drill_gateways: tuple[str, str] = ("", "")
    """On the near and the far chain, once `arm_drill` has deployed them; so for the bells."""
    bells: tuple[str, str] = ("", "")
    original: dict[str, str] = field(default_factory=dict)
    """Token addresses of the scenario to those on the near chain."""
    bridged: dict[str, str] = field(default_factory=dict)
    """The same to those on the far chain."""
    plan_texts: dict[str, str] = field(default_factory=dict)
    plans: tuple[CompiledPlan, ...] = ()
    near_since: int = 0
    far_since: int = 0
    market_since: int = 0
    drill_since: tuple[int, int] = (0, 0)

    @property
    def collateral(self) -> Token:
        """The token whose bridged form the market takes."""
        return next(token for token in self.scenario.tokens if token.symbol == COLLATERAL)


async def build_world(
    near: Driver,
    far: Driver,
    scenario: Scenario,
    committee: CommitteeDocument,
    submitters: Sequence[Address],
    budget: tuple[int, int, int] = BUDGET,
) -> World:
    """Deploy everything before the scenario's first step, and put the bridge's plan in force.

    `budget` is of either gateway: fast seconds, all seconds, fast new records per window.

    Raises:
        ChainError: a deployment failed.
    """
    world = await build_protocols(near, far, scenario)
    await arm_bridge(world, committee, submitters, budget)
    return world


async def build_protocols(near: Driver, far: Driver, scenario: Scenario) -> World:
    """Deploy tokens, bridge and market: what there is to protect.

    Raises:
        ChainError: a deployment failed.
    """
    owner, updater, user, attacker, *_ = await near.anvil.accounts()
    world = World(near, far, scenario, owner, updater, user, attacker)
    await _deploy_tokens_and_bridge(world)
    await _deploy_market(world)
    return world


async def arm_bridge(
    world: World,
    committee: CommitteeDocument,
    submitters: Sequence[Address],
    budget: tuple[int, int, int] = BUDGET,
) -> None:
    """Deploy a gateway on either chain, with the world's group keys, and put the bridge's plan in force."""
    near, far = world.near, world.far
    for driver in (near, far):
        for submitter in submitters:
            await driver.anvil.rpc("anvil_setBalance", "0x" + submitter.hex(), hex(10**20))
    world.gateway_near = await _deploy_gateway(world, near, committee, budget)
    world.gateway_far = await _deploy_gateway(world, far, committee, budget)
    world.near_since, world.far_since = await near.number(), await far.number()
    bridge = _compiled_plan(world, "bridge")
    await setup.grant(near, world.owner, world.replica, "PAUSER_ROLE()", world.gateway_near)
    await setup.register(near, world.owner, world.gateway_near, bridge)
    world.plans = (bridge,)


async def arm_market(world: World) -> None:
    """Let the market's governance take up its plan: younger than the bridge's, and listening to it."""
    world.market_since = await world.far.number()
    market = _compiled_plan(world, "market")
    await setup.grant(world.far, world.owner, world.market, "RISK_ADMIN_ROLE()", world.gateway_far)
    await setup.register(world.far, world.owner, world.gateway_far, market)
    world.plans = (*world.plans, market)


async def arm_drill(world: World, committee: CommitteeDocument) -> None:
    """Set up the drill: a bell on either chain, behind gateways of its own, and the plan that rings them."""
    drivers = (world.near, world.far)
    world.drill_since = (await world.near.number(), await world.far.number())
    near, far = [await _deploy_gateway(world, driver, committee, DRILL_BUDGET) for driver in drivers]
    world.drill_gateways = (near, far)
    bells = [
        await setup.deploy(driver, world.owner, "DrillBell", "(address,address)", gateway, world.owner)
        for driver, gateway in zip(drivers, world.drill_gateways, strict=True)
    ]
    world.bells = (bells[0], bells[1])
    drill = _compiled_plan(world, "drill")
    for driver, gateway in zip(drivers, world.drill_gateways, strict=True):
        await setup.register(driver, world.owner, gateway, drill)
    world.plans = (*world.plans, drill)


async def _deploy_tokens_and_bridge(world: World) -> None:
    owner, near, far = world.owner, world.near, world.far
    world.replica = await setup.deploy(
        near, owner, "DemoReplica", "(address,address,bytes32)", owner, world.updater, bytes(32)
    )
    world.home = await setup.deploy(far, owner, "DemoHome", "(address)", owner)
    sums = {token.address: 0 for token in world.scenario.tokens}
    for step in world.scenario.steps:
        sums[step.token] += step.amount
    for token in world.scenario.tokens:
        code = "(string,string,uint8,address)"
        address = await setup.deploy(
            near, owner, "DemoToken", code, token.symbol, token.symbol, token.decimals, owner
        )
        world.original[token.address] = address
        supply = ROOM * sums[token.address]
        await setup.act(near, owner, address, encode_call("mint(address,uint256)", world.replica, supply))
        listing = encode_call(
            "list(address,string,string,uint8)",
            address,
            f"Bridged {token.symbol}",
            f"b{token.symbol}",
            token.decimals,
        )
        await setup.act(far, owner, world.home, listing)
        found = await far.anvil.rpc(
            "eth_call",
            {"to": world.home, "data": "0x" + encode_call("bridgedOf(address)", address).hex()},
            "latest",
        )
        world.bridged[token.address] = "0x" + shapes.octets(found, 32)[12:].hex()
        mint = encode_call("mint(address,address,uint256)", address, world.user, supply)
        await setup.act(far, owner, world.home, mint)


async def _deploy_market(world: World) -> None:
    owner, far, token = world.owner, world.far, world.collateral
    world.stable = await setup.deploy(
        far, owner, "DemoToken", "(string,string,uint8,address)", "Demo USD", "DUSD", 18, owner
    )
    world.market = await setup.deploy(far, owner, "DemoMarket", "(address,address)", owner, world.stable)
    bridged = world.bridged[token.address]
    price = token.price_cents * STABLE_UNIT // 100
    listing = encode_call("listCollateral(address,uint16,uint16,uint256)", bridged, 7_500, 8_000, price)
    await setup.act(far, owner, world.market, listing)
    await setup.act(
        far, owner, world.stable, encode_call("mint(address,uint256)", world.market, 10**9 * STABLE_UNIT)
    )
    amount = ATTACKER_COLLATERAL * 10**token.decimals
    original = world.original[token.address]
    mint = encode_call("mint(address,address,uint256)", original, world.attacker, amount)
    await setup.act(far, owner, world.home, mint)
    await setup.act(
        far, world.attacker, bridged, encode_call("approve(address,uint256)", world.market, amount)
    )
    supply = encode_call("supplyCollateral(address,uint256)", bridged, amount)
    await setup.act(far, world.attacker, world.market, supply)


async def _deploy_gateway(
    world: World,
    driver: Driver,
    committee: CommitteeDocument,
    budget: tuple[int, int, int] = BUDGET,
) -> str:
    terms = setup.GatewayTerms(budget, WINDOW_S, world.groups)
    return await setup.deploy_gateway(driver, world.owner, committee, terms)


def _compiled_plan(world: World, name: str) -> CompiledPlan:
    """Fill a plan's template with what was deployed."""
    mapped = [token for token in world.scenario.tokens if token.is_mapped]
    values: Mapping[str, object] = {
        "home_of_tokens": world.near.anvil.chain,
        "far_side": world.far.anvil.chain,
        "bridge_gateway": world.gateway_near,
        "market_gateway": world.gateway_far,
        "tokens_since": world.near_since,
        "far_since": world.far_since,
        "market_since": world.market_since,
        "drill_gateway_near": world.drill_gateways[0],
        "drill_gateway_far": world.drill_gateways[1],
        "drill_since_near": world.drill_since[0],
        "drill_since_far": world.drill_since[1],
        "bell_near": world.bells[0],
        "bell_far": world.bells[1],
        "home": world.home,
        "replica": world.replica,
        "market": world.market,
        "bridged_token": world.bridged[world.collateral.address],
        "collateral_scale": world.collateral.decimals,
        "micro_keys": "\n".join(
            f'{world.original[token.address]} = {{ name = "{token.symbol}",'
            f" scale = {max(0, token.decimals - 6)} }}"
            for token in mapped
        ),
        "cent_keys": "\n".join(
            f'{world.original[token.address]} = {{ name = "{token.symbol}", scale = {token.decimals},'
            f" price = {token.price_cents} }}"
            for token in mapped
        ),
    }
    template = (files("adapters.evm.demo") / "plans" / f"{name}.plan.toml").read_text()
    world.plan_texts[name] = Template(template).substitute(values)
    plan = parse_plan(world.plan_texts[name], where=f"{name}.plan.toml")
    return compile_plan(plan, {"eip155": make_adapter()})
