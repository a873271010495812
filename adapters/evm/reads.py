"""Queries made ready for an endpoint, and its logs and answers made into observations (SPEC 5.1). Pure."""

from __future__ import annotations

from collections import Counter
from collections.abc import Mapping, Sequence
from dataclasses import dataclass

from adapters.evm.abi import EventSignature, parse_address, parse_event
from adapters.evm.encode import address_text
from adapters.evm.gateway_events import GATEWAY_TOPICS, PLAN_SET, gateway_event, plan_registered
from adapters.evm.rpc import Request
from adapters.evm.shapes import Log
from adapters.evm.state import StateQueries, compile_state
from adapters.evm.words import carried_fields, decode_log
from relay.core.observations import (
    BlockReads,
    CallValue,
    ChainQueries,
    EventQuery,
    EventRow,
    GatewayEvent,
    PlanRegistered,
)
from relay.core.types import Caip2, Header


@dataclass(frozen=True, slots=True)
class CompiledQueries:
    """Everything to ask for one block, ready to send and to decode."""

    addresses: tuple[str, ...]
    topics: tuple[str, ...]
    events: Mapping[tuple[str, bytes], tuple[tuple[int, EventSignature], ...]]
    gateways: frozenset[str]
    state: StateQueries
    state_since: int

    def state_at(self, header: Header) -> StateQueries:
        """What to read of state at this block: all, or nothing before any plan counts it."""
        return self.state if header.block.number >= self.state_since else _NOTHING

    def log_filter(self, bounds: Mapping[str, str]) -> Request:
        """`eth_getLogs` for one block hash or a range of numbers."""
        return Request("eth_getLogs", [{**bounds, "address": self.addresses, "topics": [self.topics]}])


_NOTHING = StateQueries((), ())


def compile_queries(queries: ChainQueries) -> CompiledQueries:
    """Parse and encode queries that `event_query` and `state_queries` made."""
    events: dict[tuple[str, bytes], list[tuple[int, EventSignature]]] = {}
    for index, query in enumerate(queries.events):
        signature = parse_event(query.event)
        events.setdefault((query.address, signature.topic), []).append((index, signature))
    gateways = frozenset(address_text(gateway) for gateway in queries.gateways)
    topics = {topic for _, topic in events} | (set(GATEWAY_TOPICS) if gateways else set())
    return CompiledQueries(
        addresses=tuple(sorted({address for address, _ in events} | gateways)),
        topics=tuple(sorted("0x" + topic.hex() for topic in topics)),
        events={key: tuple(found) for key, found in events.items()},
        gateways=gateways,
        state=compile_state(queries.calls),
        state_since=queries.calls_since,
    )


def block_requests(queries: CompiledQueries) -> Mapping[str, int]:
    """How many requests of each method one new block costs an endpoint, once its state is read.

    A block in which a gateway spoke costs `eth_getTransactionReceipt` besides, one for each transaction.
    """
    methods = ["eth_getBlockByNumber", *(["eth_getLogs"] if queries.addresses else [])]
    return Counter([*methods, *(question.method for question in queries.state.questions)])


def make_event_query(chain: Caip2, address: str, event: str) -> tuple[EventQuery, tuple[str, ...]]:
    """The query in its one spelling, and the fields that its rows carry."""
    signature = parse_event(event)
    where = "0x" + parse_address(address, "from").hex()
    return EventQuery(chain, where, signature.text), carried_fields(signature)


# ---- answers


def gateway_transactions(queries: CompiledQueries, logs: Sequence[Log]) -> tuple[bytes, ...]:
    """The transactions whose gas is asked for: those with a step of an act's record."""
    return tuple(
        sorted({log.tx for log in logs if _is_gateway_log(queries, log) and log.topics[0] != PLAN_SET})
    )


def _is_gateway_log(queries: CompiledQueries, log: Log) -> bool:
    return log.address in queries.gateways and bool(log.topics) and log.topics[0] in GATEWAY_TOPICS


def block_reads(
    header: Header,
    queries: CompiledQueries,
    logs: Sequence[Log],
    calls: tuple[CallValue, ...],
    gas_used: Mapping[bytes, int],
) -> BlockReads:
    """Put one block's answers together, in the order of log index and query."""
    rows: list[EventRow] = []
    steps: list[GatewayEvent] = []
    plans: list[PlanRegistered] = []
    for log in sorted(logs, key=lambda entry: entry.index):
        if not log.topics:
            continue
        for index, event in queries.events.get((log.address, log.topics[0]), ()):
            fields = decode_log(event, log.topics, log.data)
            if fields is not None:
                rows.append(EventRow(index, log.index, log.tx, fields))
        if _is_gateway_log(queries, log):
            _add_gateway_log(log, gas_used, steps, plans)
    return BlockReads(header, tuple(rows), calls, tuple(steps), tuple(plans))


def _add_gateway_log(
    log: Log, gas_used: Mapping[bytes, int], steps: list[GatewayEvent], plans: list[PlanRegistered]
) -> None:
    # A plan may name any contract as its gateway: what does not decode is not a gateway's event, and must not
    # keep the other plans of this chain from being read.
    try:
        if log.topics[0] == PLAN_SET:
            plans.append(plan_registered(log))
        else:
            steps.append(gateway_event(log, gas_used[log.tx]))
    except ValueError:
        return


__all__ = [
    "CompiledQueries",
    "block_reads",
    "block_requests",
    "compile_queries",
    "gateway_transactions",
    "make_event_query",
]
