"""What a deployed gateway says of itself at one block, as values.

Times are whole seconds of the chain's clock. Whatever a report holds came from a contract that may be
anybody's: it is bounded and typed, never believed. `None` means that the contract did not say.
"""

from __future__ import annotations

from dataclasses import dataclass
from enum import StrEnum

from relay.core.types import ActId, BlockRef, PlanHash


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
    """One key epoch of a verifier; attesters as the chain writes addresses, ascending.

    `fast_key` and `full_key` are group keys (33 bytes, compressed), None where the epoch has none.
    """

    epoch: int
    attesters: tuple[str, ...]
    fast: int
    full: int
    valid_from: int
    valid_until: int
    fast_key: bytes | None = None
    full_key: bytes | None = None


@dataclass(frozen=True, slots=True)
class VerifierReport:
    """The verifier behind a gateway. `previous` is None once it is accepted no longer.

    `is_complete` says that it accepts no key, now or later, but those of these epochs; None where the
    endpoint could not tell.
    """

    address: str
    code: CodeReport
    network: bytes
    rotation_delay_s: int
    overlap_s: int
    current: KeyEpochReport
    previous: KeyEpochReport | None
    pending: KeyEpochReport | None
    is_complete: bool | None


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
    is. `scheduled_since` is the first block whose announcements were looked for; `is_all_scheduled` says that
    none can be pending but those that are listed.
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
    is_all_scheduled: bool


@dataclass(frozen=True, slots=True)
class NoGateway:
    """Nothing at this address answers as a gateway does."""

    block: BlockRef
    gateway: str
    reason: str


Survey = GatewayReport | NoGateway


__all__ = [
    "ActReport",
    "ActTerms",
    "BudgetReport",
    "CodeReport",
    "GatewayReport",
    "KeyEpochReport",
    "NoGateway",
    "PlansReport",
    "RecordReport",
    "ScheduledAct",
    "ScheduledReport",
    "StateReport",
    "Survey",
    "UndoKind",
    "VerifierReport",
]
