"""What every endpoint reads: blocks, by their hash; what it does not have is unavailable."""

from __future__ import annotations

import asyncio
from dataclasses import replace

from adapters.conformance_chain import WAIT_S, ConformanceChain, error_of, opened, queries
from proofs.kinds import Digest
from relay.core.errors import EndpointUnavailable, WrongChain
from relay.core.observations import ChainQueries, StateRead
from relay.core.ports import ChainSettings, Endpoint, EndpointAddress
from relay.core.types import Caip2, Header

__all__ = [
    "check_a_dead_endpoint_is_unavailable",
    "check_finality_is_behind_the_head",
    "check_forks_are_seen",
    "check_heads_are_announced",
    "check_reads_are_at_the_block",
    "check_states_are_read_at_the_block",
    "check_unknown_blocks_are_unavailable",
    "check_wrong_chain_is_named",
]


async def check_reads_are_at_the_block(chain: ConformanceChain) -> None:
    """A block reads the same now and later, alone and in a row, in order; a failing call is a fact."""
    await chain.emit(3)
    asked = queries(chain)
    async with opened(chain) as endpoint:
        head = await endpoint.head()
        (alone,) = await endpoint.observe([head], asked)
        await chain.emit(1)
        await chain.advance(3)
        headers = await endpoint.headers(head.block.number, head.block.number + 4)
        row = await endpoint.observe(headers, asked)
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
    async with opened(chain) as endpoint:
        head = await endpoint.head()
        unknown = Header(replace(head.block, hash=Digest(b"\x5a" * 32)), head.parent)
        beyond = await endpoint.headers(head.block.number, head.block.number + 1_000)
        assert beyond == (head,), "expected as few headers as there are"
        try:
            await endpoint.observe([unknown], queries(chain))
        except EndpointUnavailable:
            return
    raise AssertionError("expected EndpointUnavailable for an unknown block")


async def check_forks_are_seen(chain: ConformanceChain) -> None:
    """After a fork the old blocks are unavailable, and the new ones stand on the common ancestor."""
    await chain.advance(4)
    async with opened(chain) as endpoint:
        head = await endpoint.head()
        old = await endpoint.headers(head.block.number - 3, head.block.number)
        await chain.fork(2)
        new = await endpoint.headers(head.block.number - 3, head.block.number)
        assert new[:2] == old[:2], "the fork went deeper than asked"
        assert new[2] != old[2], "the fork changed nothing"
        assert new[2].parent == old[1].block.hash
        try:
            await endpoint.observe(old, queries(chain))
        except EndpointUnavailable:
            return
    raise AssertionError("expected EndpointUnavailable for blocks that left the chain")


async def check_finality_is_behind_the_head(chain: ConformanceChain) -> None:
    """The final block is on the chain and not above the head."""
    await chain.advance(8)
    async with opened(chain) as endpoint:
        head, final = await endpoint.head(), await endpoint.finalized()
        (same,) = await endpoint.headers(final.block.number, final.block.number)
    assert final.block.number <= head.block.number
    assert same == final


async def check_heads_are_announced(chain: ConformanceChain) -> None:
    """A subscription gives the newest head at once, then new ones; or says that it offers none."""
    async with opened(chain) as endpoint, asyncio.timeout(WAIT_S):
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
        error = await error_of(endpoint.head())
    assert isinstance(error, EndpointUnavailable), f"expected EndpointUnavailable, got {error!r}"
    assert error.operator == "nobody"
    assert "secret-key" not in str(error)
    assert error.__cause__ is None, "the cause may hold the URL"


async def check_wrong_chain_is_named(chain: ConformanceChain) -> None:
    """An endpoint of another chain is refused with both names before it is used."""
    other = Caip2(chain.settings.chain + "9")
    settings = replace(chain.settings, chain=other)
    for work in (_first_read, _first_submission):
        error = await error_of(work(chain, settings))
        assert isinstance(error, WrongChain), f"expected WrongChain from {work.__name__}, got {error!r}"
        assert chain.settings.chain in str(error)
        assert other in str(error)


async def _first_read(chain: ConformanceChain, settings: ChainSettings) -> None:
    async with chain.adapter.endpoint(settings, settings.endpoints[0]) as endpoint:
        await endpoint.head()


async def _first_submission(chain: ConformanceChain, settings: ChainSettings) -> None:
    async with chain.adapter.submitter(settings, chain.signer, chain.store):
        pass


async def check_states_are_read_at_the_block(chain: ConformanceChain) -> None:
    """Each kind of state gives a number, another one after it changed, and the old one at the old block."""
    async with opened(chain) as endpoint:
        for read in chain.states:
            old = await endpoint.head()
            before = await _numbers(chain, endpoint, read, old)
            await chain.change(read)
            new = await endpoint.head()
            assert await _numbers(chain, endpoint, read, new) != before, f"nothing changed for {read}"
            again = await _numbers(chain, endpoint, read, old)
            assert again == before, f"expected {before} at the old block for {read}, got {again}"


async def _numbers(
    chain: ConformanceChain, endpoint: Endpoint, read: StateRead, header: Header
) -> tuple[int | None, ...]:
    asked = ChainQueries(chain.settings.chain, calls=chain.adapter.state_queries(read))
    (reads,) = await endpoint.observe([header], asked)
    faults = [value.fault for value in reads.calls if value.fault is not None]
    assert not faults, f"expected numbers for {read}, got {faults}"
    return tuple(value.value for value in reads.calls)
