"""What an adapter reads of one block, and how it is asked for (SPEC 5.1, 5.2).

Queries are made by an adapter from a plan's text and compared by value: two plans that ask the same share
one read.
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from enum import StrEnum

from relay.core.types import ActId, Caip2, DecisionId, Gateway, Header, MandateDigest, PlanHash

Field = int | str | bool
"""A decoded field: integers as int, addresses and bytes as lower-case 0x hex."""


@dataclass(frozen=True, slots=True)
class EventQuery:
    """All events of one kind that one contract emits. `event` is the full signature with parameter names."""

    chain: Caip2
    address: str
    event: str


class ReadKind(StrEnum):
    """What a plan may read of a contract's state at a block (SPEC 5.2); an adapter says which it knows."""

    CALL = "call"
    STORAGE = "storage"
    BALANCE = "balance"
    SUPPLY = "supply"
    CODE_HASH = "code_hash"
    ORACLE = "oracle"


@dataclass(frozen=True, slots=True)
class StateRead:
    """A reading of state as a plan writes it, before an adapter has read it (SPEC 5.2).

    `address` is the contract, for a balance its holder. `call`, `args`, `word` and `path` are of a call: the
    number is word `word` of the answer, or what `path` leads to where there is one. `slot`, `offset` and
    `size` (bytes, counted from the low end) are of storage, `token` of a balance: without it, of the chain's
    own coin.
    """

    chain: Caip2
    kind: ReadKind
    address: str
    call: str = ""
    args: tuple[Field, ...] = ()
    word: int = 0
    path: str = ""
    slot: str = ""
    offset: int = 0
    size: int = 32
    token: str | None = None


@dataclass(frozen=True, slots=True)
class CallQuery:
    """One number of a contract's state as an adapter asks for it: made by `state_queries`, compared by value.

    For a call (`kind` CALL): `call` is `name(types) returns (types)`, `args` its arguments; the number is
    word `word` of the answer, or what the steps of `path` lead to where there are any. Of another kind `call`
    and `args` are the adapter's own spelling. An address or a hash is read as an unsigned integer.
    """

    chain: Caip2
    address: str
    call: str
    args: tuple[Field, ...] = ()
    word: int = 0
    kind: ReadKind = ReadKind.CALL
    path: tuple[int, ...] = ()


@dataclass(frozen=True, slots=True)
class ChainQueries:
    """Everything to read of each block of one chain; tuples sorted and without repetition."""

    chain: Caip2
    events: tuple[EventQuery, ...] = ()
    calls: tuple[CallQuery, ...] = ()
    gateways: tuple[Gateway, ...] = ()
    calls_since: int = 0
    """Number of the first block at which the calls are made: before it no plan counts them."""


@dataclass(frozen=True, slots=True)
class EventRow:
    """One event; `query` is the index in `ChainQueries.events`."""

    query: int
    log_index: int
    tx: bytes
    fields: Mapping[str, Field]


@dataclass(frozen=True, slots=True)
class CallValue:
    """One call's result; `query` is the index in `ChainQueries.calls`; exactly one of the two others is None.

    A revert, an empty answer or one that does not decode is a *fact*: `fault` names it.
    """

    query: int
    value: int | None
    fault: str | None


class GatewayEventKind(StrEnum):
    STARTED = "started"
    EXTENDED = "extended"
    NOOP = "noop"
    ENDED = "ended"


class EndedHow(StrEnum):
    RELEASE = "release"
    EXPIRE = "expire"
    ADOPT = "adopt"
    DISMISS = "dismiss"
    CLOSE = "close"
    FORCED = "forced"


@dataclass(frozen=True, slots=True)
class GatewayEvent:
    """One step of an act's record at a gateway.

    `until` is set for started and extended; `how`, `ended_at`, `undone` for ended. `mandate` and
    `decision_id` are
    None where the gateway names none (expire, adopt, dismiss, close). `gas_used` is the transaction's.
    """

    gateway: Gateway
    kind: GatewayEventKind
    act_id: ActId
    tx: bytes
    log_index: int
    gas_used: int
    mandate: MandateDigest | None = None
    decision_id: DecisionId | None = None
    tier: int = 0
    until: int = 0
    how: EndedHow | None = None
    ended_at: int = 0
    undone: bool = False


@dataclass(frozen=True, slots=True)
class PlanRegistered:
    """The gateway's owner set the plan hashes (SPEC 5.6); `following` is valid beside `current` until
    `overlap_until`.
    """

    gateway: Gateway
    log_index: int
    current: PlanHash
    following: PlanHash
    overlap_until: int


@dataclass(frozen=True, slots=True)
class BlockReads:
    """All that was read of one block, by log index and query; equal for every honest endpoint."""

    header: Header
    rows: tuple[EventRow, ...] = ()
    calls: tuple[CallValue, ...] = ()
    gateway_events: tuple[GatewayEvent, ...] = ()
    plans: tuple[PlanRegistered, ...] = ()


__all__ = [
    "BlockReads",
    "CallQuery",
    "CallValue",
    "ChainQueries",
    "EndedHow",
    "EventQuery",
    "EventRow",
    "Field",
    "GatewayEvent",
    "GatewayEventKind",
    "PlanRegistered",
    "ReadKind",
    "StateRead",
]
