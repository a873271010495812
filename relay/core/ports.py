"""The ports that adapters and shells implement (SPEC 7). The core calls none of them: it returns effects."""

from __future__ import annotations

from collections.abc import AsyncIterator, Callable, Mapping, Sequence
from contextlib import AbstractAsyncContextManager
from dataclasses import dataclass, field
from enum import StrEnum
from typing import TYPE_CHECKING, Generic, Protocol, TypeVar

from proofs.mandate import Mandate
from proofs.receipts import ReceiptProof
from relay.core.gateway_calls import (
    ActCall,
    ActText,
    AnchorLog,
    EffectSeen,
    EncodedAct,
    Execute,
    Expire,
    GatewayCall,
    Submission,
    SubmissionStatus,
)
from relay.core.observations import (
    BlockReads,
    CallQuery,
    ChainQueries,
    EventQuery,
    ReadKind,
    StateRead,
)
from relay.core.types import Address, BlockRef, Caip2, DecisionId, Gateway, Header, Identity

if TYPE_CHECKING:  # these stand on the values of this module
    from relay.core.office import GatewayOffice
    from relay.core.readiness import Inspector
    from relay.core.rehearsal import RehearsalSettings, Rehearser
    from relay.core.survey import EndpointSurvey

# ---- chains


@dataclass(frozen=True, slots=True)
class EndpointAddress:
    """One RPC endpoint of one operator. `url` may hold a key: never print it, print `operator`."""

    operator: str
    url: str = field(repr=False)
    websocket_url: str | None = field(default=None, repr=False)


class FeeKind(StrEnum):
    """How transactions of a chain name their fees."""

    EIP1559 = "eip1559"
    LEGACY = "legacy"
    """One gas price (EIP-155), for chains without a base fee."""


@dataclass(frozen=True, slots=True)
class EndpointHealth:
    """How one endpoint has answered lately. `problem` names the newest failure; an endpoint that failed is
    left alone for `retry_in_ms`.
    """

    operator: str
    is_up: bool
    failures: int = 0
    """In a row."""
    retry_in_ms: int = 0
    problem: str = ""


@dataclass(frozen=True, slots=True)
class ChainSettings:
    """What a node must know of a chain that cannot be read from it (SPEC 7.2)."""

    chain: Caip2
    endpoints: tuple[EndpointAddress, ...]
    need: int = 2
    """How many endpoints must agree."""
    block_time_ms: int = 12_000
    finality: str = "finalized"
    """`finalized`, `safe`, or `depth:N`."""
    log_range: int = 500
    """The widest block range asked for at once."""
    timeout_ms: int = 5_000
    fees: FeeKind = FeeKind.EIP1559
    fee_cap_gwei: int = 1_000
    """No unit of gas is paid more than this."""
    private: EndpointAddress | None = None
    """Where transactions go alone for their first `private_blocks` blocks."""
    private_blocks: int = 2


class ReceiptSource(Protocol):
    """A chain that can prove what a transaction did. A proof carries its own weight: who gives it need not be
    believed.
    """

    async def receipt_proof(
        self, block: BlockRef, tx: bytes, check: Callable[[ReceiptProof], object]
    ) -> ReceiptProof:
        """The first endpoint's proof that passes `check`, which raises `ProofError` where it does not.

        Raises `NoAgreement` with what was wrong with each.
        """
        ...


class Endpoint(Protocol):
    """One RPC endpoint. Every method raises `EndpointUnavailable` for anything but a full, well-formed
    answer.
    """

    operator: str

    async def chain(self) -> Caip2: ...

    async def head(self) -> Header: ...

    async def finalized(self) -> Header: ...

    async def headers(self, first: int, last: int) -> tuple[Header, ...]:
        """The canonical headers from `first` to `last`, both included, in order, as few as the endpoint
        has.
        """
        ...

    async def observe(self, headers: Sequence[Header], queries: ChainQueries) -> tuple[BlockReads, ...]:
        """Read these very blocks (by hash), in as few round trips as the endpoint allows."""
        ...

    async def receipt_proof(self, block: BlockRef, tx: bytes) -> ReceiptProof:
        """Prove the receipt of transaction `tx` from the header of this very block (proofs/SPEC.md 9.1).

        Which of the block's transactions has this hash, nobody proves: hold it against what it must show.
        """
        ...

    def heads(self) -> AsyncIterator[Header]:
        """The newest head at once, then new ones as they come (WebSocket).

        Raises `EndpointUnavailable` when the subscription ends or is not offered.
        """
        ...


T_co = TypeVar("T_co", covariant=True)


@dataclass(frozen=True, slots=True)
class Agreement(Generic[T_co]):
    """An answer that `agreeing` of `asked` configured endpoints gave alike, at least as many as the chain
    needs.
    """

    value: T_co
    agreeing: int
    asked: int


class AgreedChain(ReceiptSource, Protocol):
    """A chain read through several endpoints at once. The reads raise `NoAgreement` where too few answer
    alike.
    """

    @property
    def settings(self) -> ChainSettings: ...

    async def head(self) -> Agreement[Header]:
        """The highest block that enough endpoints have."""
        ...

    async def finalized(self) -> Agreement[Header]:
        """The highest block that enough endpoints call final."""
        ...

    async def headers(self, first: int, last: int) -> Agreement[tuple[Header, ...]]:
        """As `Endpoint.headers`, as far as enough endpoints agree; at least one."""
        ...

    async def observe(
        self, headers: Sequence[Header], queries: ChainQueries
    ) -> Agreement[tuple[BlockReads, ...]]: ...

    async def announced(self) -> Header:
        """The next head that subscribed endpoints announce; only the newest is kept while nobody waits."""
        ...

    @property
    def subscriptions(self) -> int:
        """How many endpoints' subscriptions are alive."""
        ...

    async def disagreement(self) -> tuple[tuple[str, ...], int]:
        """The next block number for which operators answered otherwise than the quorum, and those
        operators.
        """
        ...


class TransactionSigner(Protocol):
    """The part of a signer that pays for transactions."""

    @property
    def submitter(self) -> Address: ...

    async def sign_transaction(self, digest: bytes) -> bytes:
        """65 bytes r ‖ s ‖ v with v 0 or 1."""
        ...


class SubmissionStore(Protocol):
    """Where a submitter keeps what it signed, one row a nonce, for one chain and key (SPEC 6.6).

    Rows are in the adapter's own form. A write survives a crash once it has resolved. All raise
    `JournalError`.
    """

    async def rows(self) -> Mapping[int, bytes]: ...

    async def put(self, nonce: int, row: bytes) -> None:
        """Store a row, in the place of one with the same nonce."""
        ...

    async def drop(self, nonce: int) -> None: ...


class Submitter(Protocol):
    """Sends calls to the gateways of one chain; owns the nonces of its key there."""

    async def submit(self, call: GatewayCall) -> Submission: ...

    async def balance(self) -> int: ...

    def health(self) -> tuple[EndpointHealth, ...]:
        """Each endpoint as this submitter has lately found it."""
        ...


class Adapter(Protocol):
    """One kind of chain: a package and an entry point in the group `tocsin.adapters`, named by its CAIP-2
    namespace.

    The first three methods are pure and raise `PlanError` with the offending text.
    """

    namespace: str

    def event_query(self, chain: Caip2, address: str, event: str) -> tuple[EventQuery, tuple[str, ...]]:
        """The query, and the names of the fields that its rows carry."""
        ...

    reads: frozenset[ReadKind]
    """What it can read of a contract's state (SPEC 5.2)."""

    def state_queries(self, read: StateRead) -> tuple[CallQuery, ...]:
        """The query of a reading of state; of an oracle two: its price, and when it was set, in seconds."""
        ...

    def block_requests(self, queries: ChainQueries) -> Mapping[str, int]:
        """How many requests of each method one new block costs an endpoint; equal ones are asked once."""
        ...

    def encode_act(self, act: ActText) -> EncodedAct: ...

    def gateway_address(self, text: str) -> Gateway: ...

    def endpoint(
        self, settings: ChainSettings, address: EndpointAddress
    ) -> AbstractAsyncContextManager[Endpoint]: ...

    def submitter(
        self, settings: ChainSettings, signer: TransactionSigner, store: SubmissionStore
    ) -> AbstractAsyncContextManager[Submitter]: ...

    def inspector(self, settings: ChainSettings) -> AbstractAsyncContextManager[Inspector]:
        """Looks at what must hold before a call can land (SPEC 8); sends nothing."""
        ...

    def rehearser(self, settings: RehearsalSettings) -> AbstractAsyncContextManager[Rehearser]:
        """Takes over a chain's state to try acts on it.

        Raises, when entered: `WrongChain`, `ChainError`, `ConfigError` where a tool is missing.
        """
        ...

    async def survey(self, chain: Caip2, address: EndpointAddress, timeout_ms: int) -> EndpointSurvey:
        """Ask one endpoint what it offers, with a bounded number of reads; its failure is an answer."""
        ...

    def office(self) -> GatewayOffice:
        """What it knows of deployed gateways, and of the calls that their owners make."""
        ...


# ---- keys


class Signer(TransactionSigner, Protocol):
    """Private keys and the signing guard behind one boundary (SPEC 6.3): a key without its guard signs
    anything.
    """

    @property
    def identity(self) -> Identity: ...

    @property
    def attester(self) -> Address: ...

    @property
    def log_key(self) -> bytes: ...

    @property
    def cosigner_key(self) -> bytes: ...

    async def sign_mandate(self, decision_id: DecisionId, key_epoch: int, mandate: Mandate) -> bytes:
        """65 bytes r ‖ s ‖ v, v 27 or 28, after the guard has the digest on disk. Raises `GuardRefusal`."""
        ...

    async def sign_attestation(
        self,
        decision_id: DecisionId,
        key_epoch: int,
        mandate: Mandate,
        make_payload: Callable[[bytes], bytes],
    ) -> tuple[bytes, bytes]:
        """Sign a mandate and the attestation that carries it, with one write to the guard; the usual way to
        attest.

        `make_payload` gets the mandate's signature (as `sign_mandate` gives it) and gives the attestation's
        payload.
        Gives that payload and its Ed25519 signature. Raises `GuardRefusal`.
        """
        ...

    async def sign_envelope(self, payload: bytes) -> bytes:
        """Ed25519 over an envelope's payload (SPEC 1.2). An attestation whose digest the guard does not
        hold is refused.
        """
        ...

    async def sign_checkpoint(self, body: bytes) -> bytes:
        """Ed25519 by the log key over a checkpoint body."""
        ...

    async def cosign(self, body: bytes, at_s: int) -> bytes:
        """Ed25519 by the cosigner key over a checkpoint body and the time of signing."""
        ...


__all__ = [
    "ActCall",
    "ActText",
    "Adapter",
    "AgreedChain",
    "Agreement",
    "AnchorLog",
    "ChainSettings",
    "EffectSeen",
    "EncodedAct",
    "Endpoint",
    "EndpointAddress",
    "EndpointHealth",
    "Execute",
    "Expire",
    "FeeKind",
    "GatewayCall",
    "ReceiptSource",
    "Signer",
    "Submission",
    "SubmissionStatus",
    "SubmissionStore",
    "Submitter",
    "TransactionSigner",
]
