"""Signatures as plans write them: events of a contract, and calls with literal arguments.

    event      Release(uint256 indexed id, address indexed token, uint256 amount)
    call       setCollateralEnabled(address 0x22…, bool false)      every argument is `type literal`
    template   setCap(uint256 _), setSources(address[] [_])         `_` is filled in later

Types are the elementary ones and arrays of them; tuples are refused. Every refusal is a `PlanError`.
"""

from __future__ import annotations

import re
from dataclasses import dataclass

from eth_abi.abi import encode
from eth_abi.exceptions import EncodingError

from proofs.hashes import keccak256
from relay.core.errors import PlanError

MAX_TEXT = 1_024
MAX_PARAMETERS = 24
_NAME = re.compile(r"[A-Za-z_$][A-Za-z0-9_$]{0,63}")
_CALL = re.compile(r"\s*([A-Za-z_$][A-Za-z0-9_$]{0,63})\s*\(")
_ELEMENT = re.compile(r"(uint|int)(\d{0,3})|address|bool|string|bytes(\d{0,2})")
_ARRAY = re.compile(r"\[(\d{0,3})\]")
_HEX = re.compile(r"0x(?:[0-9a-fA-F]{2})*")
_HOLE = re.compile(r"(?:^|[\[,])\s*_(?=\s*(?:$|[\],]))")
_INTEGER = re.compile(r"-?\d(?:_?\d)*")

Value = int | bool | bytes | str | list["Value"]
"""A literal as eth-abi takes it; addresses and bytes as bytes."""


@dataclass(frozen=True, slots=True)
class Parameter:
    """One parameter; `name` is empty where the signature gives none."""

    type: str
    name: str
    indexed: bool


@dataclass(frozen=True, slots=True)
class EventSignature:
    """An event's name and named parameters."""

    name: str
    parameters: tuple[Parameter, ...]

    @property
    def topic(self) -> bytes:
        """Topic 0: Keccak-256 of the name and the types."""
        return keccak256(signature_text(self.name, [p.type for p in self.parameters]).encode())

    @property
    def text(self) -> str:
        """The one spelling of this event."""
        parts = (f"{p.type}{' indexed' if p.indexed else ''} {p.name}" for p in self.parameters)
        return f"{self.name}({','.join(parts)})"


@dataclass(frozen=True, slots=True)
class EncodedCall:
    """Calldata, and the byte offset of the placeholder's word in it where there is one."""

    calldata: bytes
    placeholder: int | None


def signature_text(name: str, types: tuple[str, ...] | list[str]) -> str:
    """The text whose hash is the selector."""
    return f"{name}({','.join(types)})"


def selector(name: str, types: tuple[str, ...] | list[str]) -> bytes:
    return keccak256(signature_text(name, types).encode())[:4]


def parse_type(text: str, where: str) -> str:
    """The canonical spelling of one type (`uint` becomes `uint256`)."""
    element = _ELEMENT.match(text)
    if element is None or _ARRAY.sub("", text[element.end() :]):
        raise PlanError(where, f"expected an ABI type such as uint256 or address[], got {text!r}")
    base, suffix = element.group(0), text[element.end() :]
    if element.group(1):
        base = f"{element.group(1)}{element.group(2) or 256}"
    if not _width_is_legal(element) or "[0]" in suffix or suffix.count("[") > 2:
        raise PlanError(where, f"no such ABI type: {text!r}")
    return base + suffix


def _width_is_legal(element: re.Match[str]) -> bool:
    if element.group(1) and element.group(2):
        bits = element.group(2)
        return not bits.startswith("0") and int(bits) % 8 == 0 and int(bits) <= 256
    if element.group(3):
        return not element.group(3).startswith("0") and int(element.group(3)) <= 32
    return True


def head_words(type_: str) -> int:
    """How many words a value of this type takes in the head of an encoding.

    1 for the offset of a dynamic one.
    """
    if is_dynamic(type_):
        return 1
    words = 1
    for size in _ARRAY.findall(type_):
        words *= int(size)
    return words


def is_dynamic(type_: str) -> bool:
    return "[]" in type_ or re.match(r"(bytes|string)(\[|$)", type_) is not None


def parse_event(text: str, where: str = "event") -> EventSignature:
    """Read an event's full signature; every parameter has a name of its own, at most three are indexed."""
    name, inside, rest = split_signature(text, where)
    if rest:
        raise PlanError(where, f"expected nothing after the closing bracket, got {rest!r}")
    parameters = tuple(_event_parameter(part, where) for part in split_list(inside, where))
    names = [parameter.name for parameter in parameters]
    if len(set(names)) != len(names):
        raise PlanError(where, f"two parameters of one name in {text!r}")
    if sum(parameter.indexed for parameter in parameters) > 3:
        raise PlanError(where, f"expected at most 3 indexed parameters in {text!r}")
    return EventSignature(name, parameters)


def _event_parameter(text: str, where: str) -> Parameter:
    words = text.split()
    indexed = len(words) == 3 and words[1] == "indexed"
    if (len(words) != 2 and not indexed) or not _NAME.fullmatch(words[-1]) or words[-1] == "indexed":
        raise PlanError(where, f"expected `type [indexed] name`, got {text.strip()!r}")
    return Parameter(parse_type(words[0], where), words[-1], indexed)


def parse_call(text: str, where: str, *, template: bool = False) -> EncodedCall:
    """Read `name(type literal, …)` and encode it.

    A template has exactly one `_` in the place of a one-word value, which may be an element of an array.
    """
    name, inside, rest = split_signature(text, where)
    if rest:
        raise PlanError(where, f"expected nothing after the closing bracket, got {rest!r}")
    parts = [_typed_literal(part, where) for part in split_list(inside, where)]
    count = sum(len(_HOLE.findall(literal)) for _, literal in parts)
    if count != (1 if template else 0):
        raise PlanError(where, f"expected {'one' if template else 'no'} `_` argument, got {count}")
    types = [type_ for type_, _ in parts]

    def encoded(hole: int) -> bytes:
        values = [parse_literal(type_, literal, where, hole=hole) for type_, literal in parts]
        return encode_call(name, types, values, where)

    empty = encoded(0)
    return EncodedCall(empty, _word_that_differs(empty, encoded(1)) if template else None)


def _word_that_differs(one: bytes, other: bytes) -> int:
    """Where the word begins in which two encodings of one call differ."""
    place = next(index for index, (a, b) in enumerate(zip(one, other, strict=True)) if a != b)
    return 4 + (place - 4) // 32 * 32


def encode_call(name: str, types: list[str], values: list[Value], where: str) -> bytes:
    """Selector and arguments."""
    try:
        return selector(name, types) + encode(types, values)
    except (EncodingError, OverflowError, ValueError) as error:
        raise PlanError(where, f"the arguments do not fit {signature_text(name, types)}") from error


def _typed_literal(text: str, where: str) -> tuple[str, str]:
    type_, _, literal = text.strip().partition(" ")
    if not literal.strip():
        raise PlanError(
            where, f"expected `type literal`, got {text.strip()!r}", remedy="as in `address 0x…, bool false`"
        )
    return parse_type(type_, where), literal.strip()


def parse_literal(type_: str, text: str, where: str, *, hole: int | None = None) -> Value:
    """Read one literal: decimal or 0x integers, `true`, addresses and bytes in 0x hex, "text", [a, b].

    With a `hole`, 0 or 1, `_` is read as a word of that.
    """
    if type_.endswith("]"):
        return _array_literal(type_, text, where, hole)
    if text == "_" and hole is not None:
        return _hole(type_, hole, where)
    if type_ == "bool" and text in ("true", "false"):
        return text == "true"
    if type_ == "address" or type_.startswith("bytes"):
        return _bytes_literal(type_, text, where)
    if "int" in type_ and _INTEGER.fullmatch(text):
        return int(text)
    if "int" in type_ and text != "0x" and _HEX.fullmatch(text):
        return int(text, 16)
    if type_ == "string" and len(text) >= 2 and text[0] == text[-1] == '"' and '"' not in text[1:-1]:
        return text[1:-1]
    raise PlanError(where, f"expected a literal of type {type_}, got {text!r}")


def _hole(type_: str, hole: int, where: str) -> Value:
    if is_dynamic(type_):
        raise PlanError(where, f"`_` stands for one word, and {type_} is none")
    if type_ == "address" or type_.startswith("bytes"):
        return bytes([hole]) * _fixed_size(type_)
    return bool(hole) if type_ == "bool" else hole


def _fixed_size(type_: str) -> int:
    return 20 if type_ == "address" else int(type_.removeprefix("bytes") or 0)


def _bytes_literal(type_: str, text: str, where: str) -> bytes:
    if type_ == "address":
        return parse_address(text, where)
    if not _HEX.fullmatch(text):
        raise PlanError(where, f"expected {type_} in 0x hex, got {text!r}")
    value = bytes.fromhex(text[2:])
    if type_ != "bytes" and len(value) != _fixed_size(type_):
        raise PlanError(where, f"expected {_fixed_size(type_)} bytes, got {len(value)} in {text!r}")
    return value


def _array_literal(type_: str, text: str, where: str, hole: int | None) -> list[Value]:
    if not (text.startswith("[") and text.endswith("]")):
        raise PlanError(where, f"expected {type_} as [a, b], got {text!r}")
    element, _, size = type_[:-1].rpartition("[")
    parts = split_list(text[1:-1], where)
    values = [parse_literal(element, part.strip(), where, hole=hole) for part in parts]
    if size and len(values) != int(size):
        raise PlanError(where, f"expected {size} elements, got {len(values)}")
    return values


def parse_address(text: str, where: str) -> bytes:
    """20 bytes; mixed case must be the right EIP-55 checksum; the zero address is refused."""
    if not re.fullmatch(r"0x[0-9a-fA-F]{40}", text):
        raise PlanError(where, f"expected an address (0x and 40 hex digits), got {text!r}")
    digits = text[2:]
    if digits not in (digits.lower(), digits.upper()) and digits != _checksummed(digits.lower()):
        raise PlanError(where, f"wrong EIP-55 checksum: {text!r}")
    if not int(digits, 16):
        raise PlanError(where, "the zero address is nobody's")
    return bytes.fromhex(digits)


def _checksummed(digits: str) -> str:
    nibbles = keccak256(digits.encode()).hex()
    return "".join(d.upper() if int(n, 16) >= 8 else d for d, n in zip(digits, nibbles, strict=False))


def split_signature(text: str, where: str, most: int = MAX_TEXT) -> tuple[str, str, str]:
    """Name, what stands in the first pair of brackets, and the rest."""
    head = _CALL.match(text)
    if head is None or len(text) > most:
        raise PlanError(where, f"expected name(…) of at most {most} characters, got {text[:80]!r}")
    end = text.find(")", head.end())
    if end < 0:
        raise PlanError(where, f"expected a closing bracket in {text[:80]!r}")
    inside = text[head.end() : end]
    if "(" in inside:
        raise PlanError(where, f"tuples are not supported: {text[:80]!r}")
    return head.group(1), inside, text[end + 1 :].strip()


def split_list(text: str, where: str, most: int = MAX_PARAMETERS) -> list[str]:
    """Split at the commas outside brackets, into at most so many parts."""
    if not text.strip():
        return []
    parts, depth, start = [], 0, 0
    for position, letter in enumerate(text):
        depth += (letter in "[(") - (letter in "])")
        if letter == "," and depth == 0:
            parts.append(text[start:position])
            start = position + 1
    parts.append(text[start:])
    if len(parts) > most:
        raise PlanError(where, f"expected at most {most} parameters, got {len(parts)}")
    return parts


__all__ = [
    "EncodedCall",
    "EventSignature",
    "Parameter",
    "Value",
    "encode_call",
    "head_words",
    "is_dynamic",
    "parse_address",
    "parse_call",
    "parse_event",
    "parse_literal",
    "parse_type",
    "selector",
    "signature_text",
    "split_list",
    "split_signature",
]
