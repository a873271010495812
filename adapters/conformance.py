"""What every adapter must do, as checks that a test runs on every installed one.

A package brings a `ConformanceChain`: a development chain of its kind and the vectors of its texts. Each
check raises `AssertionError` and says what was expected. `CHECKS` holds all; the order does not matter.

    @pytest.mark.parametrize("check", conformance.CHECKS, ids=lambda check: check.__name__)
    async def test_the_adapter_conforms(check):
        async with my_conformance_chain() as chain:
            await check(chain)
"""

from __future__ import annotations

import asyncio
from collections.abc import Awaitable, Callable, Iterable, Mapping
from contextlib import AbstractAsyncContextManager
from dataclasses import dataclass, field, replace
from typing import Protocol, TypeVar

from adapters.conformance_looks import (
    check_a_survey_tells_what_there_is,
    check_an_inspector_tells_every_fact,
)
from proofs.kinds import Digest
from proofs.receipts import open_receipt
from relay.core.errors import ChainError, EndpointUnavailable, PlanError, WrongChain
from relay.core.observations import ChainQueries, GatewayEventKind, ReadKind, StateRead
from relay.core.ports import (
    ActText,
    Adapter,
    ChainSettings,
    Endpoint,
    EndpointAddress,
    Execute,
    Expire,
    Submission,
    SubmissionStatus,
    SubmissionStore,
    TransactionSigner,
)
from relay.core.types import ActId, Caip2, Header

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
    def contract(self) -> str:
        """The address of the contract that the vectors' event and calls belong to."""
        ...

    async def advance(self, blocks: int) -> None:
        """Make blocks."""
        ...

    async def emit(self, times: int) -> None:
        """Put the vectors' event so many times into one new block, its counter rising from 0."""
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


def _refuses(texts: Iterable[Text], work: Callable[[Text], object]) -> None:
    for text in texts:
        try:
            work(text)
        except PlanError:
            continue
        raise AssertionError(f"expected a PlanError for {text!r}")


def _open(chain: ConformanceChain) -> AbstractAsyncContextManager[Endpoint]:
    return chain.adapter.endpoint(chain.settings, chain.settings.endpoints[0])


def _queries(chain: ConformanceChain) -> ChainQueries:
    name, vectors = chain.settings.chain, chain.vectors
    event, _ = chain.adapter.event_query(name, chain.contract, vectors.event)
    calls = tuple(
        chain.adapter.state_queries(StateRead(name, ReadKind.CALL, chain.contract, call))[0]
        for call in (vectors.call, vectors.faulty_call)
    )
    return ChainQueries(name, (event,), calls, (chain.execute().gateway,))


# ---- pure methods


async def check_namespace(chain: ConformanceChain) -> None:
    """The adapter serves the namespace of its chain."""
    assert chain.settings.chain.startswith(chain.adapter.namespace + ":")


async def check_act_vectors(chain: ConformanceChain) -> None:
    """An act has the bytes that the vectors say, each time; every wrong one is refused by its key."""
    vectors = chain.vectors
    first, second = chain.adapter.encode_act(vectors.act), chain.adapter.encode_act(vectors.act)
    assert first == second, "encoding is not a function of the act"
    assert first.act_hash == vectors.act_hash, (
        f"expected {vectors.act_hash.hex()}, got {first.act_hash.hex()}"
    )
    assert len(first.gateway) == 32, "a gateway is 32 bytes"
    renamed = chain.adapter.encode_act(replace(vectors.act, name=vectors.act.name + "-2"))
    assert renamed.act_id != first.act_id, "two names, one act id"
    assert renamed.act_hash == first.act_hash, "the name is no part of the act hash"
    _refuses(vectors.wrong_acts, chain.adapter.encode_act)


async def check_query_vectors(chain: ConformanceChain) -> None:
    """One event has one query whatever its spelling; wrong texts and addresses are refused."""
    name, vectors = chain.settings.chain, chain.vectors
    query, fields = chain.adapter.event_query(name, chain.contract, vectors.event)
    assert fields == vectors.event_fields, f"expected {vectors.event_fields}, got {fields}"
    assert chain.adapter.event_query(name, chain.contract, vectors.same_event)[0] == query
    _refuses(vectors.wrong_events, lambda text: chain.adapter.event_query(name, chain.contract, text))
    read = StateRead(name, ReadKind.CALL, chain.contract, vectors.call)
    _refuses(vectors.wrong_calls, lambda text: chain.adapter.state_queries(replace(read, call=text)))
    _refuses([1 << 16], lambda word: chain.adapter.state_queries(replace(read, word=word)))
    assert len(chain.adapter.gateway_address(vectors.gateway)) == 32
    _refuses(vectors.wrong_gateways, chain.adapter.gateway_address)


# ---- reads


async def check_reads_are_at_the_block(chain: ConformanceChain) -> None:
    """A block reads the same now and later, alone and in a row, in order; a failing call is a fact."""
    await chain.emit(3)
    queries = _queries(chain)
    async with _open(chain) as endpoint:
        head = await endpoint.head()
        (alone,) = await endpoint.observe([head], queries)
        await chain.emit(1)
        await chain.advance(3)
        headers = await endpoint.headers(head.block.number, head.block.number + 4)
        row = await endpoint.observe(headers, queries)
    assert row[0] == alone, "a block reads otherwise in a row, or later"
    assert alone.header == head
    assert [event.log_index for event in alone.rows] == sorted(event.log_index for event in alone.rows)
    last = [event.fields[chain.vectors.counter] for event in alone.rows]
    assert last == [0, 1, 2], f"expected fields 0, 1, 2, got {last}"
    value, fault = alone.calls
    assert (value.fault, fault.value) == (None, None), f"expected a value and a fault, got {alone.calls}"
    assert fault.fault, "a fault has a name"


async def check_unknown_blocks_are_unavailable(chain: ConformanceChain) -> None:
    """What the endpoint does not have is no empty block."""
    async with _open(chain) as endpoint:
        head = await endpoint.head()
        unknown = Header(replace(head.block, hash=Digest(b"\x5a" * 32)), head.parent)
        beyond = await endpoint.headers(head.block.number, head.block.number + 1_000)
        assert beyond == (head,), "expected as few headers as there are"
        try:
            await endpoint.observe([unknown], _queries(chain))
        except EndpointUnavailable:
            return
    raise AssertionError("expected EndpointUnavailable for an unknown block")


async def check_forks_are_seen(chain: ConformanceChain) -> None:
    """After a fork the old blocks are unavailable, and the new ones stand on the common ancestor."""
    await chain.advance(4)
    async with _open(chain) as endpoint:
        head = await endpoint.head()
        old = await endpoint.headers(head.block.number - 3, head.block.number)
        await chain.fork(2)
        new = await endpoint.headers(head.block.number - 3, head.block.number)
        assert new[:2] == old[:2], "the fork went deeper than asked"
        assert new[2] != old[2], "the fork changed nothing"
        assert new[2].parent == old[1].block.hash
        try:
            await endpoint.observe(old, _queries(chain))
        except EndpointUnavailable:
            return
    raise AssertionError("expected EndpointUnavailable for blocks that left the chain")


async def check_finality_is_behind_the_head(chain: ConformanceChain) -> None:
    """The final block is on the chain and not above the head."""
    await chain.advance(8)
    async with _open(chain) as endpoint:
        head, final = await endpoint.head(), await endpoint.finalized()
        (same,) = await endpoint.headers(final.block.number, final.block.number)
    assert final.block.number <= head.block.number
    assert same == final


async def check_heads_are_announced(chain: ConformanceChain) -> None:
    """A subscription gives the newest head at once, then new ones; or says that it offers none."""
    async with _open(chain) as endpoint, asyncio.timeout(WAIT_S):
        heads = endpoint.heads()
        try:
            first = await anext(heads)
        except EndpointUnavailable:
            return
        await chain.advance(1)
        second = await anext(heads)
        if hasattr(heads, "aclose"):
            await heads.aclose()
    assert second.parent == first.block.hash


async def check_a_dead_endpoint_is_unavailable(chain: ConformanceChain) -> None:
    """Nobody answers: `EndpointUnavailable`, which names the operator and never the URL."""
    address = EndpointAddress("nobody", "http://127.0.0.1:9/secret-key")
    async with chain.adapter.endpoint(chain.settings, address) as endpoint:
        error = await _error_of(endpoint.head())
    assert isinstance(error, EndpointUnavailable), f"expected EndpointUnavailable, got {error!r}"
    assert error.operator == "nobody"
    assert "secret-key" not in str(error)
    assert error.__cause__ is None, "the cause may hold the URL"


async def _error_of(work: Awaitable[object]) -> ChainError | None:
    try:
        await work
    except ChainError as error:
        return error
    return None


async def check_wrong_chain_is_named(chain: ConformanceChain) -> None:
    """An endpoint of another chain is refused with both names before it is used."""
    other = Caip2(chain.settings.chain + "9")
    settings = replace(chain.settings, chain=other)
    for work in (_first_read, _first_submission):
        error = await _error_of(work(chain, settings))
        assert isinstance(error, WrongChain), f"expected WrongChain from {work.__name__}, got {error!r}"
        assert chain.settings.chain in str(error)
        assert other in str(error)


async def _first_read(chain: ConformanceChain, settings: ChainSettings) -> None:
    async with chain.adapter.endpoint(settings, settings.endpoints[0]) as endpoint:
        await endpoint.head()


async def _first_submission(chain: ConformanceChain, settings: ChainSettings) -> None:
    async with chain.adapter.submitter(settings, chain.signer, chain.store):
        pass


# ---- submission


async def check_calls_land(chain: ConformanceChain) -> None:
    """A call lands, is told with its block and cost, and is read back as the gateway's event."""
    for call, kind in ((chain.execute(), GatewayEventKind.STARTED), (chain.expire(), GatewayEventKind.ENDED)):
        submission = await _submitted(chain, call)
        assert submission.status is SubmissionStatus.LANDED, f"expected it to land, got {submission}"
        assert submission.block is not None
        assert submission.tx is not None
        async with _open(chain) as endpoint:
            (header,) = await endpoint.headers(submission.block.number, submission.block.number)
            (reads,) = await endpoint.observe([header], _queries(chain))
        (event,) = (event for event in reads.gateway_events if event.tx == submission.tx)
        assert (event.kind, event.act_id) == (kind, call.act_id)
        assert event.gas_used == submission.gas_used > 0


async def _submitted(chain: ConformanceChain, call: Execute | Expire) -> Submission:
    """Submit, and make blocks until it is over."""
    async with chain.adapter.submitter(chain.settings, chain.signer, chain.store) as submitter:
        async with asyncio.timeout(WAIT_S), asyncio.TaskGroup() as group:
            task = group.create_task(submitter.submit(call))
            while not task.done():
                await chain.advance(1)
                await asyncio.wait([task], timeout=0.1)
        return task.result()


async def check_receipts_prove_themselves(chain: ConformanceChain) -> None:
    """What a call did is proved from its block's hash, or the endpoint says that it cannot."""
    submission = await _submitted(chain, chain.execute())
    assert submission.block is not None, f"expected it to land, got {submission}"
    assert submission.tx is not None
    unknown = replace(submission.block, hash=Digest(b"\x5a" * 32))
    async with _open(chain) as endpoint:
        error = await _error_of(endpoint.receipt_proof(unknown, submission.tx))
        assert isinstance(error, EndpointUnavailable), f"expected EndpointUnavailable, got {error!r}"
        try:
            proof = await endpoint.receipt_proof(submission.block, submission.tx)
        except EndpointUnavailable:
            return
    _, receipt = open_receipt(proof, submission.block.hash)
    assert receipt.succeeded, "the receipt of a call that landed says that it failed"


async def check_refusals_cost_nothing(chain: ConformanceChain) -> None:
    """A call that the gateway refuses is not sent."""
    async with chain.adapter.submitter(chain.settings, chain.signer, chain.store) as submitter:
        before = await submitter.balance()
        submission = await submitter.submit(chain.refused())
        await chain.advance(1)
        assert await submitter.balance() == before
    assert submission.status is SubmissionStatus.REFUSED, f"expected a refusal, got {submission}"
    assert submission.tx is None
    assert submission.reason, "a refusal has a reason"


async def check_an_empty_purse_is_told(chain: ConformanceChain) -> None:
    """Without funds nothing is sent, and the status says so."""
    await chain.empty_purse()
    async with chain.adapter.submitter(chain.settings, chain.signer, chain.store) as submitter:
        assert await submitter.balance() == 0
        submission = await submitter.submit(chain.execute())
    assert submission.status is SubmissionStatus.UNFUNDED, f"expected no funds, got {submission}"


async def check_acts_are_told_apart(chain: ConformanceChain) -> None:
    """Two acts of one gateway land under their own ids."""
    second = replace(chain.execute(), act_id=ActId(b"\x0b" * 32))
    submission = await _submitted(chain, second)
    assert submission.status is SubmissionStatus.LANDED, f"expected it to land, got {submission}"


async def check_a_restart_sends_nothing_twice(chain: ConformanceChain) -> None:
    """A submitter that ends before its call landed leaves it in the store; the next one lands it, once."""
    call = chain.execute()
    async with chain.adapter.submitter(chain.settings, chain.signer, chain.store) as submitter:
        before = await submitter.balance()
        async with asyncio.timeout(WAIT_S), asyncio.TaskGroup() as group:
            task = group.create_task(submitter.submit(call))
            while not await chain.store.rows():  # noqa: ASYNC110 the store tells nobody
                await asyncio.sleep(0.01)
            task.cancel()
    submission = await _submitted(chain, call)
    assert submission.status is SubmissionStatus.LANDED, f"expected it to land, got {submission}"
    async with chain.adapter.submitter(chain.settings, chain.signer, chain.store) as submitter:
        assert await submitter.balance() == before - submission.fee_wei, "expected to pay for it once"


CHECKS: tuple[Check, ...] = (
    check_namespace,
    check_act_vectors,
    check_query_vectors,
    check_reads_are_at_the_block,
    check_unknown_blocks_are_unavailable,
    check_forks_are_seen,
    check_finality_is_behind_the_head,
    check_heads_are_announced,
    check_a_dead_endpoint_is_unavailable,
    check_wrong_chain_is_named,
    check_a_survey_tells_what_there_is,
    check_an_inspector_tells_every_fact,
    check_calls_land,
    check_receipts_prove_themselves,
    check_refusals_cost_nothing,
    check_an_empty_purse_is_told,
    check_acts_are_told_apart,
    check_a_restart_sends_nothing_twice,
)

__all__ = ["CHECKS", "Check", "ConformanceChain", "MemoryStore", "Vectors"]
