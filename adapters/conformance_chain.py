"""What a kind of chain brings to the suite of all adapters, and what the checks share."""

from __future__ import annotations

from collections.abc import Awaitable, Callable, Iterable, Mapping
from contextlib import AbstractAsyncContextManager
from dataclasses import dataclass, field
from typing import Protocol, TypeVar

from relay.core.errors import ChainError, PlanError
from relay.core.observations import ChainQueries, ReadKind, StateRead
from relay.core.ports import (
    ActText,
    Adapter,
    ChainSettings,
    Endpoint,
    Execute,
    Expire,
    SubmissionStore,
    TransactionSigner,
)

__all__ = [
    "WAIT_S",
    "Check",
    "ConformanceChain",
    "MemoryStore",
    "Vectors",
    "error_of",
    "opened",
    "queries",
    "refuses",
]

Text = TypeVar("Text")

WAIT_S = 30.0


@dataclass(frozen=True, slots=True)
class Vectors:
    """Texts of this kind of chain, and what they become."""

    act: ActText
    act_hash: bytes
    wrong_acts: tuple[ActText, ...]
    """Each must be refused."""
    event: str
    event_fields: tuple[str, ...]
    counter: str
    """The field that `emit` counts with."""
    same_event: str
    """The same event in another spelling."""
    wrong_events: tuple[str, ...]
    call: str
    """Without arguments; answers a number at once after the chain was made."""
    wrong_calls: tuple[str, ...]
    wrong_states: tuple[StateRead, ...]
    """Each must be refused."""
    faulty_call: str
    """Without arguments; fails at the contract."""
    gateway: str
    wrong_gateways: tuple[str, ...]


@dataclass(slots=True)
class MemoryStore:
    """A `SubmissionStore` that forgets with its process: for development chains that do the same."""

    _rows: dict[int, bytes] = field(default_factory=dict)

    async def rows(self) -> Mapping[int, bytes]:
        return dict(sorted(self._rows.items()))

    async def put(self, nonce: int, row: bytes) -> None:
        self._rows[nonce] = row

    async def drop(self, nonce: int) -> None:
        self._rows.pop(nonce, None)


class ConformanceChain(Protocol):
    """A development chain with a contract that emits and answers, a gateway, and a funded submitter."""

    @property
    def adapter(self) -> Adapter: ...

    @property
    def settings(self) -> ChainSettings: ...

    @property
    def vectors(self) -> Vectors: ...

    @property
    def signer(self) -> TransactionSigner: ...

    @property
    def store(self) -> SubmissionStore:
        """Where the submitter keeps what it signed; a `MemoryStore` will do."""
        ...

    @property
    def states(self) -> tuple[StateRead, ...]:
        """Readings of state that give a number at once: one at least of each kind that the adapter reads."""
        ...

    @property
    def contract(self) -> str:
        """The address of the contract that the vectors' event and calls belong to."""
        ...

    async def advance(self, blocks: int) -> None:
        """Make blocks."""
        ...

    async def emit(self, times: int) -> None:
        """Put the vectors' event so many times into one new block, its counter rising from 0."""
        ...

    async def change(self, read: StateRead) -> None:
        """Make a block at whose end this reading gives another number."""
        ...

    async def fork(self, depth: int) -> None:
        """Replace the newest blocks by others."""
        ...

    async def empty_purse(self) -> None:
        """Take the submitter's funds."""
        ...

    def execute(self) -> Execute:
        """A call that the gateway takes."""
        ...

    def refused(self) -> Execute:
        """A call that the gateway refuses."""
        ...

    def expire(self) -> Expire:
        """A call that the gateway takes."""
        ...


Check = Callable[[ConformanceChain], Awaitable[None]]


def refuses(texts: Iterable[Text], work: Callable[[Text], object]) -> None:
    """Each text raises `PlanError`."""
    for text in texts:
        try:
            work(text)
        except PlanError:
            continue
        raise AssertionError(f"expected a PlanError for {text!r}")


def opened(chain: ConformanceChain) -> AbstractAsyncContextManager[Endpoint]:
    """The chain's first endpoint."""
    return chain.adapter.endpoint(chain.settings, chain.settings.endpoints[0])


def queries(chain: ConformanceChain) -> ChainQueries:
    """The vectors' event, both calls, and the gateway."""
    name, vectors = chain.settings.chain, chain.vectors
    event, _ = chain.adapter.event_query(name, chain.contract, vectors.event)
    calls = tuple(
        chain.adapter.state_queries(StateRead(name, ReadKind.CALL, chain.contract, call))[0]
        for call in (vectors.call, vectors.faulty_call)
    )
    return ChainQueries(name, (event,), calls, (chain.execute().gateway,))


async def error_of(work: Awaitable[object]) -> ChainError | None:
    """The error of a chain that it ended with."""
    try:
        await work
    except ChainError as error:
        return error
    return None
