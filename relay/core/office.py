"""The office of a gateway's owner: what an adapter tells of gateways, and the calls that change them.

Values of one chain's clock are whole seconds. Whatever a report holds came from a contract that may be
anybody's: it is bounded and typed, never believed. `None` in a report means that the contract did not say.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from enum import StrEnum
from typing import Protocol

from proofs.committee import CommitteeDocument
from proofs.mandate import Tier
from relay.core.ports import ChainSettings, EncodedAct, EndpointAddress, TransactionSigner
from relay.core.types import ActId, BlockRef, Caip2, Gateway, Header, NetworkId, PlanHash

# ---- what a deployed gateway says


class UndoKind(StrEnum):
    """How the effect of an act is taken back."""

    NONE = "none"
    CALL = "call"
    RESTORE = "restore"


@dataclass(frozen=True, slots=True)
class ActTerms:
    """What an act's hash covers. `call`, `state` and `undo` are in words where the adapter knows them.

    `getter` identifies what the state is read from: no two acts of a gateway may share one.
    """

    target: str
    call: str
    state: str
    state_word: int
    getter: str
    value: int
    compare: str
    undo: UndoKind
    undo_call: str
    gas: int


@dataclass(frozen=True, slots=True)
class StateReport:
    """What the act's getter reads at the report's block."""

    value: int
    is_protected: bool
    is_ours: bool


@dataclass(frozen=True, slots=True)
class RecordReport:
    """An act's record; open while `until` is not zero."""

    until: int
    last: int
    ended_at: int
    since: int
    restore: int

    @property
    def is_open(self) -> bool:
        """Whether the gateway holds the act in force."""
        return self.until != 0


@dataclass(frozen=True, slots=True)
class ActReport:
    """One act. `terms` is None where the content is unreadable or not what the gateway's hash says."""

    act_id: ActId
    act_hash: bytes
    terms: ActTerms | None
    tier: int
    duration_s: int
    is_on: bool
    state: StateReport | None
    record: RecordReport | None


@dataclass(frozen=True, slots=True)
class BudgetReport:
    """Frozen seconds by fast mandates, by both tiers, and records that fast mandates start."""

    fast_s: int
    all_s: int
    fast_records: int


@dataclass(frozen=True, slots=True)
class PlansReport:
    """The hashes in force; all zero where there is none."""

    current: PlanHash
    following: PlanHash
    overlap_until: int


@dataclass(frozen=True, slots=True)
class CodeReport:
    """The code at an address, compared with this adapter's build.

    `is_ours` compares all but the values that the constructor fixed; `is_rebuilt` all of it, None where the
    endpoint did not run the constructor.
    """

    size_bytes: int
    digest: bytes
    is_ours: bool
    is_rebuilt: bool | None


@dataclass(frozen=True, slots=True)
class KeyEpochReport:
    """One key epoch of a verifier; attesters as the chain writes addresses, ascending."""

    epoch: int
    attesters: tuple[str, ...]
    fast: int
    full: int
    valid_from: int
    valid_until: int


@dataclass(frozen=True, slots=True)
class VerifierReport:
    """The verifier behind a gateway. `previous` is None once it is accepted no longer."""

    address: str
    code: CodeReport
    network: bytes
    rotation_delay_s: int
    overlap_s: int
    current: KeyEpochReport
    previous: KeyEpochReport | None
    pending: KeyEpochReport | None


@dataclass(frozen=True, slots=True)
class ScheduledAct:
    """An announced registration; `terms` is None where its content is out of range."""

    act_id: ActId
    act_hash: bytes
    terms: ActTerms | None
    tier: int
    duration_s: int


@dataclass(frozen=True, slots=True)
class ScheduledReport:
    """A change that the owner announced: works from `ready_at` until `lapses_at`.

    `change` is None where this version does not know the call.
    """

    id: bytes
    ready_at: int
    lapses_at: int
    change: ScheduledAct | BudgetReport | None


@dataclass(frozen=True, slots=True)
class GatewayReport:
    """All that a gateway says of itself at one block.

    `acts` are those that are on, and others that are known and have an open record. `booked` are the windows
    before, now and next. `refused_from` is the first key epoch whose mandates are refused, None where none
    is. `scheduled_since` is the first block whose announcements were looked for.
    """

    block: BlockRef
    gateway: str
    code: CodeReport
    owner: str
    pending_owner: str | None
    guardian: str | None
    verifier_address: str | None
    verifier: VerifierReport | None
    network: bytes
    skew_s: int
    weakening_delay_s: int
    window_s: int
    budget: BudgetReport
    left: BudgetReport
    booked: tuple[BudgetReport, ...]
    plans: PlansReport
    is_sealed: bool
    is_paused: bool
    refused_from: int | None
    acts: tuple[ActReport, ...]
    scheduled: tuple[ScheduledReport, ...]
    scheduled_since: int


@dataclass(frozen=True, slots=True)
class NoGateway:
    """Nothing at this address answers as a gateway does."""

    block: BlockRef
    gateway: str
    reason: str


Survey = GatewayReport | NoGateway


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
    """A verifier to be created: the committee whose certificates it checks."""

    committee: CommitteeDocument
    rotation_delay_s: int
    overlap_s: int


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

    def creations(self, deployment: Deployment) -> tuple[Creation, ...]: ...

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
    "ActReport",
    "ActTerms",
    "Announce",
    "Argument",
    "BudgetReport",
    "ByAccount",
    "ByFactory",
    "CallForm",
    "Change",
    "CodeReport",
    "Creation",
    "Deployment",
    "GatewayOffice",
    "GatewayReport",
    "GatewayTerms",
    "KeyEpochReport",
    "NoGateway",
    "OwnerCall",
    "PlansReport",
    "Proposal",
    "RecordReport",
    "RegisterAct",
    "RevokeAct",
    "ScheduledAct",
    "ScheduledReport",
    "Sent",
    "SetBudget",
    "SetPlan",
    "StateReport",
    "Survey",
    "UndoKind",
    "VerifierReport",
    "VerifierTerms",
]
