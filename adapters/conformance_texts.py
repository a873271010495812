"""What every adapter makes of texts, without asking anybody: queries, acts, addresses."""

from __future__ import annotations

from dataclasses import replace

from adapters.conformance_chain import ConformanceChain, queries, refuses
from relay.core.observations import ChainQueries, ReadKind, StateRead

__all__ = [
    "check_act_vectors",
    "check_namespace",
    "check_query_vectors",
    "check_requests_are_counted",
    "check_state_vectors",
]


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
    refuses(vectors.wrong_acts, chain.adapter.encode_act)


async def check_query_vectors(chain: ConformanceChain) -> None:
    """One event has one query whatever its spelling; wrong texts and addresses are refused."""
    name, vectors = chain.settings.chain, chain.vectors
    query, fields = chain.adapter.event_query(name, chain.contract, vectors.event)
    assert fields == vectors.event_fields, f"expected {vectors.event_fields}, got {fields}"
    assert chain.adapter.event_query(name, chain.contract, vectors.same_event)[0] == query
    refuses(vectors.wrong_events, lambda text: chain.adapter.event_query(name, chain.contract, text))
    read = StateRead(name, ReadKind.CALL, chain.contract, vectors.call)
    refuses(vectors.wrong_calls, lambda text: chain.adapter.state_queries(replace(read, call=text)))
    refuses([1 << 16], lambda word: chain.adapter.state_queries(replace(read, word=word)))
    assert len(chain.adapter.gateway_address(vectors.gateway)) == 32
    refuses(vectors.wrong_gateways, chain.adapter.gateway_address)


async def check_state_vectors(chain: ConformanceChain) -> None:
    """Every kind that is declared is read, in one spelling; another kind, and a wrong reading, is refused."""
    adapter = chain.adapter
    shown = {read.kind for read in chain.states}
    assert shown == adapter.reads, f"expected readings of {sorted(adapter.reads)}, got {sorted(shown)}"
    for read in chain.states:
        made = adapter.state_queries(read)
        assert made == adapter.state_queries(read), f"the queries of {read} are not a function of it"
        expected = 2 if read.kind is ReadKind.ORACLE else 1
        assert len(made) == expected, f"expected {expected} of {read.kind}, got {len(made)}"
        assert {query.chain for query in made} == {read.chain}, f"a query of another chain for {read}"
    unknown = frozenset(ReadKind) - adapter.reads
    refuses(
        [StateRead(chain.settings.chain, kind, chain.contract) for kind in unknown], adapter.state_queries
    )
    refuses(chain.vectors.wrong_states, adapter.state_queries)


async def check_requests_are_counted(chain: ConformanceChain) -> None:
    """What a block costs is a function of what is asked; more is asked for more, and nothing costs little."""
    adapter, name = chain.adapter, chain.settings.chain
    calls = {query for read in chain.states for query in adapter.state_queries(read)}
    nothing, some = ChainQueries(name), queries(chain)
    everything = replace(some, calls=(*some.calls, *(query for query in calls if query not in some.calls)))
    costs = [sum(adapter.block_requests(each).values()) for each in (nothing, some, everything)]
    assert costs == sorted(costs), f"expected more requests for more queries, got {costs}"
    assert costs[2] <= costs[0] + 1 + len(everything.calls), f"expected at most one a read, got {costs}"
    counted = adapter.block_requests(everything)
    assert counted == adapter.block_requests(everything), "counting is not a function of the queries"
    assert all(count > 0 for count in counted.values()), f"expected counts above 0, got {counted}"
