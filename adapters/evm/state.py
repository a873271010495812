"""Numbers of contracts' state (SPEC 5.1, 5.2): queries, the requests that answer them, and what was answered.

All are read at one block, by its hash (EIP-1898). Queries that the same request answers share it: a call is
one `eth_call` however many words and paths, metrics and plans want of it. Pure.
"""

from __future__ import annotations

import re
from collections.abc import Callable, Mapping
from dataclasses import dataclass

from eth_abi.abi import encode
from eth_abi.exceptions import EncodingError

from adapters.evm.abi import Value, encode_call, parse_address, parse_literal
from adapters.evm.functions import FunctionSignature, parse_function
from adapters.evm.results import parse_path, route_of, type_of_word, word_at
from adapters.evm.rpc import Request, RpcError
from adapters.evm.shapes import octets, quantity
from adapters.evm.words import EMPTY, FAILED, decode_word
from proofs.hashes import keccak256
from relay.core.errors import PlanError
from relay.core.observations import CallQuery, CallValue, Field, ReadKind, StateRead
from relay.core.types import Header

READS = frozenset(ReadKind)
CALL_GAS = 1 << 24
"""Given to every read: with an endpoint's own default, an out-of-gas answer would depend on who is asked."""
_FAULT_CODE = 3
_FAULT_TEXTS = (
    "revert", "vm execution error", "evm error", "invalid opcode", "bad instruction", "out of gas",
    "bad jump", "invalid jump", "stack underflow", "stack limit", "write protection",
)  # fmt: skip
_WORD_BYTES = 32
_SLOT = re.compile(r"0x[0-9a-fA-F]{64}")
_BALANCE_OF = "balanceOf(address) returns (uint256)"
_TOTAL_SUPPLY = "totalSupply() returns (uint256)"
_LATEST_ROUND = "latestRoundData() returns (uint80,int256,uint256,uint256,uint80)"
_PRICE_WORD, _UPDATED_WORD = 1, 3
"""`answer` and `updatedAt` of Chainlink's AggregatorV3Interface."""
Answer = tuple[int | None, str | None]
"""A number, or the fault in its place."""


@dataclass(frozen=True, slots=True)
class Question:
    """One request for one block's state, but for the block."""

    method: str
    address: str
    detail: str = ""
    """Calldata of a call, the slot of storage."""

    def at(self, header: Header) -> Request:
        """The request, bound to this very block."""
        block = {"blockHash": "0x" + header.block.hash.hex(), "requireCanonical": True}
        if self.method == "eth_call":
            return Request(
                self.method, [{"to": self.address, "data": self.detail, "gas": hex(CALL_GAS)}, block]
            )
        return Request(self.method, [self.address, *([self.detail] if self.detail else []), block])


@dataclass(frozen=True, slots=True)
class Reading:
    """One query: which question answers it, and how its number is found in what is answered."""

    question: int
    number: Callable[[bytes], Answer]


@dataclass(frozen=True, slots=True)
class StateQueries:
    """All readings of one block, in the order of the queries, and the few requests that they need."""

    questions: tuple[Question, ...]
    readings: tuple[Reading, ...]


# ---- what a plan asks


def make_state_queries(read: StateRead) -> tuple[CallQuery, ...]:
    """The queries of a reading in their one spelling: addresses and arguments of hex in lower case, types
    written out; what is a call underneath (a token, an oracle) as that call.

    Raises:
        PlanError: naming the key; for a wrong path, with those that could be meant.
    """
    chain = read.chain
    address = "0x" + parse_address(read.address, "of" if read.kind is ReadKind.BALANCE else "from").hex()
    match read.kind:
        case ReadKind.CALL:
            return (_call_query(read, address),)
        case ReadKind.STORAGE:
            return (_storage_query(read, address),)
        case ReadKind.BALANCE if read.token is not None:
            token = "0x" + parse_address(read.token, "token").hex()
            return (CallQuery(chain, token, _function(_BALANCE_OF), (address,)),)
        case ReadKind.SUPPLY:
            return (CallQuery(chain, address, _function(_TOTAL_SUPPLY)),)
        case ReadKind.ORACLE:
            round_ = _function(_LATEST_ROUND)
            return tuple(CallQuery(chain, address, round_, (), word) for word in (_PRICE_WORD, _UPDATED_WORD))
        case ReadKind.BALANCE | ReadKind.CODE_HASH:
            return (CallQuery(chain, address, "", kind=read.kind),)


def _function(text: str) -> str:
    return parse_function(text).text


def _call_query(read: StateRead, address: str) -> CallQuery:
    function = parse_function(read.call)
    if len(read.args) != len(function.inputs):
        raise PlanError(
            "args", f"expected {len(function.inputs)} arguments for {function.text}, got {len(read.args)}"
        )
    same = tuple(
        arg.lower() if isinstance(arg, str) and type_ != "string" else arg
        for arg, type_ in zip(read.args, function.inputs, strict=True)
    )
    for type_, arg in zip(function.inputs, read.args, strict=True):
        _argument(type_, arg, "args")
    if read.path:
        steps = parse_path(function.results, read.path, "path")
        return CallQuery(read.chain, address, function.text, same, path=steps)
    type_of_word(function.results, read.word, "word")
    return CallQuery(read.chain, address, function.text, same, read.word)


def _storage_query(read: StateRead, address: str) -> CallQuery:
    if _SLOT.fullmatch(read.slot) is None:
        raise PlanError("slot", f"expected 0x and 64 hex digits, got {read.slot!r}", remedy="pad with zeros")
    if not (read.offset >= 0 and read.size >= 1 and read.offset + read.size <= _WORD_BYTES):
        raise PlanError(
            "offset",
            f"expected bytes within the {_WORD_BYTES} of a slot, got {read.size} from {read.offset} on",
        )
    return CallQuery(read.chain, address, read.slot.lower(), (read.offset, read.size), kind=ReadKind.STORAGE)


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


# ---- what an endpoint is asked


def compile_state(queries: tuple[CallQuery, ...]) -> StateQueries:
    """Encode the queries that `make_state_queries` made; equal requests become one."""
    places: dict[Question, int] = {}
    readings: list[Reading] = []
    for query in queries:
        question, number = _COMPILERS[query.kind](query)
        readings.append(Reading(places.setdefault(question, len(places)), number))
    return StateQueries(tuple(places), tuple(readings))


_Compiled = tuple[Question, Callable[[bytes], Answer]]


def _compile_call(query: CallQuery) -> _Compiled:
    function = parse_function(query.call)
    types = list(function.inputs)
    values = [_argument(type_, arg, "args") for type_, arg in zip(types, query.args, strict=True)]
    data = encode_call(function.name, types, values, "args")
    question = Question("eth_call", query.address, "0x" + data.hex())
    return question, _word_reader(function, query) if not query.path else _path_reader(function, query.path)


def _word_reader(function: FunctionSignature, query: CallQuery) -> Callable[[bytes], Answer]:
    type_ = type_of_word(function.results, query.word, "word")
    start = _WORD_BYTES * query.word

    def number(answer: bytes) -> Answer:
        return decode_word(type_, answer[start : start + _WORD_BYTES]) if answer else (None, EMPTY)

    return number


def _path_reader(function: FunctionSignature, path: tuple[int, ...]) -> Callable[[bytes], Answer]:
    route = route_of(function.results, path)

    def number(answer: bytes) -> Answer:
        found = word_at(route, answer) if answer else EMPTY
        return (None, found) if isinstance(found, str) else decode_word(route.type, found)

    return number


def _compile_storage(query: CallQuery) -> _Compiled:
    offset, size = query.args
    assert isinstance(offset, int)
    assert isinstance(size, int)

    def number(word: bytes) -> Answer:
        return int.from_bytes(word[_WORD_BYTES - offset - size : _WORD_BYTES - offset], "big"), None

    return Question("eth_getStorageAt", query.address, query.call), number


def _compile_balance(query: CallQuery) -> _Compiled:
    return Question("eth_getBalance", query.address), lambda word: (int.from_bytes(word, "big"), None)


def _compile_code_hash(query: CallQuery) -> _Compiled:
    return Question("eth_getCode", query.address), lambda code: (int.from_bytes(keccak256(code), "big"), None)


_COMPILERS: Mapping[ReadKind, Callable[[CallQuery], _Compiled]] = {
    ReadKind.CALL: _compile_call,
    ReadKind.STORAGE: _compile_storage,
    ReadKind.BALANCE: _compile_balance,
    ReadKind.CODE_HASH: _compile_code_hash,
}
"""By what `make_state_queries` gives: a supply and an oracle are calls."""


# ---- what it answers


def is_fault(error: RpcError) -> bool:
    """Whether the endpoint ran the call and the contract failed.

    Anything else says nothing of the contract.
    """
    text = error.text.lower()
    return error.code == _FAULT_CODE or any(known in text for known in _FAULT_TEXTS)


def state_values(queries: StateQueries, replies: list[object]) -> tuple[CallValue, ...]:
    """The number or fault of each query; `replies` are those to the questions, in their order.

    Raises:
        ValueError: for a reply that is neither.
    """
    answers = [_answer(question, reply) for question, reply in zip(queries.questions, replies, strict=True)]
    return tuple(
        CallValue(index, *_number(reading, answers[reading.question]))
        for index, reading in enumerate(queries.readings)
    )


def _number(reading: Reading, answer: bytes | None) -> Answer:
    return (None, FAILED) if answer is None else reading.number(answer)


def _answer(question: Question, reply: object) -> bytes | None:
    """What the chain answered, a quantity as a word; None where a contract failed."""
    if isinstance(reply, RpcError):
        if question.method == "eth_call" and is_fault(reply):
            return None
        raise ValueError(f"{question.method}: {reply.text}")
    if question.method == "eth_getBalance":
        return quantity(reply, 256).to_bytes(_WORD_BYTES, "big")
    return octets(reply, _WORD_BYTES if question.method == "eth_getStorageAt" else None)


__all__ = [
    "CALL_GAS",
    "READS",
    "Question",
    "StateQueries",
    "compile_state",
    "is_fault",
    "make_state_queries",
    "state_values",
]
