"""Queries made ready for an endpoint, and its logs and answers made into observations (SPEC 5.1). Pure."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass

from eth_abi.abi import encode
from eth_abi.exceptions import EncodingError

from adapters.evm.abi import (
    EventSignature,
    Value,
    encode_call,
    parse_address,
    parse_event,
    parse_function,
    parse_literal,
)
from adapters.evm.encode import address_text
from adapters.evm.gateway_events import GATEWAY_TOPICS, PLAN_SET, gateway_event, plan_registered
from adapters.evm.rpc import Request, RpcError
from adapters.evm.shapes import Log, octets
from adapters.evm.words import FAILED, carried_fields, decode_log, decode_result, result_type
from relay.core.errors import PlanError
from relay.core.observations import (
    BlockReads,
    CallQuery,
    CallValue,
    ChainQueries,
    EventQuery,
    EventRow,
    Field,
    GatewayEvent,
    PlanRegistered,
    StateRead,
)
from relay.core.types import Caip2, Header

CALL_GAS = 1 << 24
"""Given to every read: with an endpoint's own default, an out-of-gas answer would depend on who is asked."""
_FAULT_CODE = 3
_FAULT_TEXTS = (
    "revert", "vm execution error", "evm error", "invalid opcode", "bad instruction", "out of gas",
    "bad jump", "invalid jump", "stack underflow", "stack limit", "write protection",
)  # fmt: skip


@dataclass(frozen=True, slots=True)
class Call:
    """One call query, encoded."""

    to: str
    data: str
    type: str
    word: int


@dataclass(frozen=True, slots=True)
class CompiledQueries:
    """Everything to ask for one block, ready to send and to decode."""

    addresses: tuple[str, ...]
    topics: tuple[str, ...]
    events: Mapping[tuple[str, bytes], tuple[tuple[int, EventSignature], ...]]
    gateways: frozenset[str]
    calls: tuple[Call, ...]
    calls_since: int

    def calls_at(self, header: Header) -> tuple[Call, ...]:
        """The calls to make at this block: all, or none before any plan counts them."""
        return self.calls if header.block.number >= self.calls_since else ()

    def log_filter(self, bounds: Mapping[str, str]) -> Request:
        """`eth_getLogs` for one block hash or a range of numbers."""
        return Request("eth_getLogs", [{**bounds, "address": self.addresses, "topics": [self.topics]}])

    def call_requests(self, header: Header) -> list[Request]:
        """Every call, at this very block."""
        at = {"blockHash": "0x" + header.block.hash.hex(), "requireCanonical": True}
        return [
            Request("eth_call", [{"to": call.to, "data": call.data, "gas": hex(CALL_GAS)}, at])
            for call in self.calls_at(header)
        ]


def compile_queries(queries: ChainQueries) -> CompiledQueries:
    """Parse and encode queries that `event_query` and `call_query` made."""
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
        calls=tuple(_compile_call(query) for query in queries.calls),
        calls_since=queries.calls_since,
    )


def _compile_call(query: CallQuery) -> Call:
    function = parse_function(query.call)
    types = list(function.inputs)
    values = [_argument(type_, arg, "args") for type_, arg in zip(types, query.args, strict=True)]
    data = encode_call(function.name, types, values, "args")
    return Call(query.address, "0x" + data.hex(), result_type(function, query.word, "word"), query.word)


def _argument(type_: str, arg: Field, where: str) -> Value:
    if isinstance(arg, bool):
        value: Value = parse_literal(type_, "true" if arg else "false", where)
    elif isinstance(arg, int):
        value = parse_literal(type_, str(arg), where)
    else:
        value = arg if type_ == "string" else parse_literal(type_, arg, where)
    try:
        encode([type_], [value])
    except (EncodingError, OverflowError, ValueError) as error:
        raise PlanError(where, f"{arg!r} is no {type_}") from error
    return value


def make_event_query(chain: Caip2, address: str, event: str) -> tuple[EventQuery, tuple[str, ...]]:
    """The query in its one spelling, and the fields that its rows carry."""
    signature = parse_event(event)
    where = "0x" + parse_address(address, "from").hex()
    return EventQuery(chain, where, signature.text), carried_fields(signature)


def make_state_queries(read: StateRead) -> tuple[CallQuery, ...]:
    """The query in its one spelling: arguments of 0x hex in lower case, the result's types written out."""
    chain, address, args, word = read.chain, read.address, read.args, read.word
    function = parse_function(read.call)
    if len(args) != len(function.inputs):
        raise PlanError(
            "args", f"expected {len(function.inputs)} arguments for {function.text}, got {len(args)}"
        )
    same = tuple(
        arg.lower() if isinstance(arg, str) and type_ != "string" else arg
        for arg, type_ in zip(args, function.inputs, strict=True)
    )
    for type_, arg in zip(function.inputs, args, strict=True):
        _argument(type_, arg, "args")
    result_type(function, word, "word")
    return (CallQuery(chain, "0x" + parse_address(address, "target").hex(), function.text, same, word),)


# ---- answers


def is_fault(error: RpcError) -> bool:
    """Whether the endpoint ran the call and the contract failed.

    Anything else says nothing of the contract.
    """
    text = error.text.lower()
    return error.code == _FAULT_CODE or any(known in text for known in _FAULT_TEXTS)


def call_value(index: int, call: Call, reply: object) -> CallValue:
    """A call's value or fault.

    Raises:
        ValueError: for a reply that is neither.
    """
    if isinstance(reply, RpcError):
        if not is_fault(reply):
            raise ValueError(f"eth_call: {reply.text}")
        return CallValue(index, None, FAILED)
    value, fault = decode_result(call.type, call.word, octets(reply))
    return CallValue(index, value, fault)


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
    "CALL_GAS",
    "Call",
    "CompiledQueries",
    "block_reads",
    "call_value",
    "compile_queries",
    "gateway_transactions",
    "is_fault",
    "make_event_query",
    "make_state_queries",
]
