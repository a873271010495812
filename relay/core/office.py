"""The office of a gateway's owner: what an adapter tells of gateways, and the calls that change them.

Times are whole seconds of the chain's clock.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from enum import StrEnum
from typing import Protocol

from proofs.committee import CommitteeDocument
from proofs.mandate import Tier
from relay.core.gateway_report import ActTerms, BudgetReport, PlansReport, Survey
from relay.core.ports import ChainSettings, EncodedAct, EndpointAddress, TransactionSigner
from relay.core.rotations import GroupKeys, Rotation
from relay.core.types import ActId, Caip2, Gateway, Header, NetworkId

# ---- what an owner can change


@dataclass(frozen=True, slots=True)
class RegisterAct:
    """Register an act, or change one."""

    encoded: EncodedAct
    tier: Tier
    duration_s: int


@dataclass(frozen=True, slots=True)
class RevokeAct:
    """Take an act off."""

    act_id: ActId


@dataclass(frozen=True, slots=True)
class SetBudget:
    """Set what may be spent per window."""

    budget: BudgetReport


@dataclass(frozen=True, slots=True)
class SetPlan:
    """Name the plans in force; zeros and 0 without a following one."""

    plans: PlansReport


@dataclass(frozen=True, slots=True)
class Announce:
    """Announce a change that needs notice."""

    change: RegisterAct | SetBudget


Change = RegisterAct | RevokeAct | SetBudget | SetPlan | Announce


@dataclass(frozen=True, slots=True)
class Argument:
    """One argument of a call, as people and other tools write it."""

    name: str
    type: str
    text: str


@dataclass(frozen=True, slots=True)
class OwnerCall:
    """One call that the owner makes; `to` None creates a contract.

    `arguments` is None where the call is only to be taken as bytes. `id` is what an announcement is known by.
    """

    chain: Caip2
    to: str | None
    data: bytes
    method: str
    arguments: tuple[Argument, ...] | None
    id: bytes


@dataclass(frozen=True, slots=True)
class Proposal:
    """One step: the call, in plain words what it permits or takes away, and when it works.

    `ready_at` is None where it works at once.
    """

    call: OwnerCall
    words: str
    gives_power: bool
    ready_at: int | None = None


class CallForm(StrEnum):
    """How calls are handed to those who make them."""

    SAFE = "safe"
    GOVERNOR = "governor"
    CALLDATA = "calldata"


@dataclass(frozen=True, slots=True)
class About:
    """What is said of a batch of calls; `created_at_ms` is the time that the file bears."""

    name: str
    description: str
    owner: str | None
    created_at_ms: int


# ---- deployment


@dataclass(frozen=True, slots=True)
class ByFactory:
    """Creation through a contract that takes salt and creation code (CREATE2)."""

    factory: str
    salt: bytes


@dataclass(frozen=True, slots=True)
class ByAccount:
    """Plain creation by an account, whose next transaction has this number."""

    account: str
    nonce: int


@dataclass(frozen=True, slots=True)
class VerifierTerms:
    """A verifier to be created: the committee whose certificates it checks, and its group keys."""

    committee: CommitteeDocument
    rotation_delay_s: int
    overlap_s: int
    groups: GroupKeys | None = None


@dataclass(frozen=True, slots=True)
class GatewayTerms:
    """A gateway to be created."""

    owner: str
    guardian: str
    network: NetworkId
    skew_s: int
    weakening_delay_s: int
    window_s: int
    budget: BudgetReport


@dataclass(frozen=True, slots=True)
class Deployment:
    """Both contracts, or a gateway behind a verifier that stands already (`verifier` is its address)."""

    chain: Caip2
    verifier: VerifierTerms | str
    gateway: GatewayTerms
    by: ByFactory | ByAccount


@dataclass(frozen=True, slots=True)
class Creation:
    """One creation and the address that it will have."""

    contract: str
    call: OwnerCall
    address: str


@dataclass(frozen=True, slots=True)
class Sent:
    """What became of a call that was sent; `reason` is the refusal by name."""

    tx: bytes | None
    succeeded: bool
    gas_used: int
    reason: str = ""


class GatewayOffice(Protocol):
    """What an adapter knows of gateways. All but `survey`, `nonce` and `send` is pure.

    The pure methods raise `ConfigError` with the text at fault.
    """

    def address(self, text: str) -> str:
        """The one spelling of an address."""
        ...

    def gateway_text(self, gateway: Gateway) -> str:
        """The address of a gateway as the chain writes it."""
        ...

    def terms(self, act: EncodedAct) -> ActTerms: ...

    def is_development(self, chain: Caip2) -> bool:
        """Whether the chain is known to be nobody's but the developer's."""
        ...

    def owner_call(self, chain: Caip2, gateway: Gateway, change: Change) -> OwnerCall: ...

    def plain_call(self, chain: Caip2, to: str, call: str) -> OwnerCall:
        """A call of another contract, written as in a plan: `request()`."""
        ...

    def creations(self, deployment: Deployment) -> tuple[Creation, ...]: ...

    def rotation_bytes(self, rotation: Rotation) -> bytes:
        """What the verifier's chain calls a rotation: what members send beside their signatures."""
        ...

    def render(self, calls: Sequence[OwnerCall], form: CallForm, about: About) -> str:
        """The calls, in this order, as the text of a file."""
        ...

    async def survey(
        self,
        settings: ChainSettings,
        address: EndpointAddress,
        at: Header,
        gateway: Gateway,
        known: Sequence[ActId],
    ) -> Survey:
        """All that one endpoint says of a gateway at one block; `known` are acts that may be off.

        Raises `EndpointUnavailable` for anything but full, well-formed answers of the endpoint.
        """
        ...

    async def nonce(self, settings: ChainSettings, account: str) -> int:
        """The number of the account's next transaction; raises `EndpointUnavailable`."""
        ...

    async def send(self, settings: ChainSettings, signer: TransactionSigner, call: OwnerCall) -> Sent:
        """Send one call and wait for its receipt; for development.

        Raises `EndpointUnavailable`, also where no receipt comes in time.
        """
        ...


__all__ = [
    "About",
    "Announce",
    "Argument",
    "ByAccount",
    "ByFactory",
    "CallForm",
    "Change",
    "Creation",
    "Deployment",
    "GatewayOffice",
    "GatewayTerms",
    "OwnerCall",
    "Proposal",
    "RegisterAct",
    "RevokeAct",
    "Sent",
    "SetBudget",
    "SetPlan",
    "VerifierTerms",
]
