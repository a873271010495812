"""Setting a development chain up: contracts, roles, gateways, and plans in force."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Final

from adapters.evm import shapes
from adapters.evm.demo.traffic import Call, Driver, encode_arguments, encode_call
from adapters.evm.devchain import artifact_code
from adapters.evm.rotations import GROUPS, groups_values
from proofs.committee import CommitteeDocument
from relay.core.compiled import CompiledPlan
from relay.core.errors import ChainError
from relay.core.rotations import GroupKeys

__all__ = ["GatewayTerms", "act", "deploy", "deploy_gateway", "grant", "register"]

ROTATION_DELAY_S: Final = 86_400
OVERLAP_S: Final = 21_600
SKEW_S: Final = 60
WEAKENING_DELAY_S: Final = 2 * 86_400
ACT_TYPE: Final = "(address,bytes,address,bytes,uint8,uint256,uint8,uint8,bytes,uint16,uint64)"
SETUP_GAS: Final = 3_000_000


@dataclass(frozen=True, slots=True)
class GatewayTerms:
    """What a gateway is made with, besides the committee.

    `budget` is fast seconds, all seconds and fast new records per window.
    """

    budget: tuple[int, int, int]
    window_s: int
    groups: GroupKeys | None = None
    """The members' group keys; None: its verifier takes lists only."""


async def deploy(driver: Driver, sender: str, contract: str, types: str, *arguments: object) -> str:
    """Deploy a contract with constructor arguments of `types`; its address in lower-case 0x hex.

    Raises:
        ChainError: the constructor failed.
    """
    return await driver.deploy(sender, artifact_code(contract) + encode_arguments(types, *arguments))


async def act(driver: Driver, sender: str, to: str, data: bytes) -> None:
    """Send one transaction in a block of its own.

    Raises:
        ChainError: it reverted.
    """
    [tx] = await driver.block(await driver.next_time(), [Call(sender, to, data, gas=SETUP_GAS)])
    if not (await driver.succeeded([tx]))[0]:
        raise ChainError(driver.anvil.chain, f"setting up: a call to {to} reverted: 0x{data[:4].hex()}")


async def grant(driver: Driver, owner: str, target: str, role: str, to: str) -> None:
    """Grant a role of OpenZeppelin's AccessControl, named by its getter, as `PAUSER_ROLE()`."""
    asked = {"to": target, "data": "0x" + encode_call(role).hex()}
    found = shapes.octets(await driver.anvil.rpc("eth_call", asked, "latest"), 32)
    await act(driver, owner, target, encode_call("grantRole(bytes32,address)", found, to))


async def deploy_gateway(
    driver: Driver, owner: str, committee: CommitteeDocument, terms: GatewayTerms
) -> str:
    """Deploy a verifier and, behind it, a gateway of `owner`, who is its guardian too; give the gateway."""
    verifier = await deploy(
        driver,
        owner,
        "TocsinVerifier",
        f"(bytes32,uint32,address[],uint8,uint8,{GROUPS},uint64,uint64)",
        committee.network,
        committee.key_epoch,
        sorted("0x" + member.attester.hex() for member in committee.members),
        committee.fast,
        committee.full,
        groups_values(terms.groups),
        ROTATION_DELAY_S,
        OVERLAP_S,
    )
    return await deploy(
        driver,
        owner,
        "TocsinGateway",
        "(address,address,address,bytes32,(uint64,uint64,uint64),(uint64,uint64,uint32))",
        owner,
        owner,
        verifier,
        committee.network,
        (SKEW_S, WEAKENING_DELAY_S, terms.window_s),
        terms.budget,
    )


async def register(driver: Driver, owner: str, gateway: str, plan: CompiledPlan) -> None:
    """Register a plan's acts of this chain, then the plan: from then on it is in force."""
    for name, encoded in plan.acts.items():
        agreed = plan.plan.acts[name]
        if agreed.text.chain != driver.anvil.chain:
            continue
        registering = encode_call(
            f"registerAct(bytes32,{ACT_TYPE},uint8,uint64)",
            encoded.act_id,
            encoded.registration,
            int(agreed.tier),
            agreed.lasts_s,
        )
        await act(driver, owner, gateway, registering)
    in_force = encode_call("setPlan(bytes32,bytes32,uint64)", plan.plan.hash, bytes(32), 0)
    await act(driver, owner, gateway, in_force)
