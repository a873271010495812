"""What a contract answers, as facts: the fields of a log, one word of a call's result.

Decoding never fails for a value that a contract can emit: an attacker who could make a log unreadable could
hide it. So static words keep their low bits as the EVM does, and text that is not UTF-8 is escaped, not
refused.
"""

from __future__ import annotations

from collections.abc import Sequence

from adapters.evm.abi import EventSignature, Parameter, head_words, is_dynamic
from adapters.evm.results import NOT_DECODABLE
from proofs.hashes import keccak256
from relay.core.observations import Field

FAILED = "call failed"
"""A revert or an exceptional halt: nodes name the two too differently to tell them apart."""
EMPTY = "empty answer"
"""No contract there, or one that returns nothing."""
MAX_FIELD_BYTES = 4_096
"""Of bytes or text that a field carries; behind those of a longer one stand `#` and the Keccak-256 of all."""


def decode_log(event: EventSignature, topics: Sequence[bytes], data: bytes) -> dict[str, Field] | None:
    """The log's fields by name, or None where topics and data have another shape than this event's.

    An indexed parameter of a dynamic type is its 32-byte hash; other dynamic ones but bytes and string
    carry no field.
    """
    indexed = [parameter for parameter in event.parameters if parameter.indexed]
    if len(topics) != len(indexed) + 1:
        return None
    fields: dict[str, Field] = {}
    position, topic = 0, 1
    for parameter in event.parameters:
        if parameter.indexed:
            fields[parameter.name] = _topic_field(parameter, topics[topic])
            topic += 1
            continue
        end = position + 32 * head_words(parameter.type)
        if end > len(data):
            return None
        if "[" not in parameter.type:
            field = _data_field(parameter.type, data, position)
            if field is None:
                return None
            fields[parameter.name] = field
        position = end
    return fields


def carried_fields(event: EventSignature) -> tuple[str, ...]:
    """The names of the fields that `decode_log` gives."""
    return tuple(p.name for p in event.parameters if p.indexed or "[" not in p.type)


def _topic_field(parameter: Parameter, topic: bytes) -> Field:
    if is_dynamic(parameter.type) or "[" in parameter.type:
        return "0x" + topic.hex()
    return word_field(parameter.type, topic)


def _data_field(type_: str, data: bytes, position: int) -> Field | None:
    word = data[position : position + 32]
    if not is_dynamic(type_):
        return word_field(type_, word)
    start = int.from_bytes(word, "big")
    if start + 32 > len(data):
        return None
    size = int.from_bytes(data[start : start + 32], "big")
    if size > len(data) - start - 32:
        return None
    content = data[start + 32 : start + 32 + size]
    shown = content[:MAX_FIELD_BYTES]
    text = shown.decode("utf-8", "backslashreplace") if type_ == "string" else "0x" + shown.hex()
    # SECURITY: an id that begins as another does must not pass for it.
    return text if size <= MAX_FIELD_BYTES else f"{text}#{keccak256(content).hex()}"


def word_field(type_: str, word: bytes) -> Field:
    """One static word as a field; bits beyond the type are cut off, as the EVM's own code does."""
    if type_ == "address":
        return "0x" + word[12:].hex()
    if type_ == "bool":
        return any(word)
    if type_.startswith("bytes"):
        return "0x" + word[: int(type_[5:])].hex()
    bits = int(type_.lstrip("uint"))
    number = int.from_bytes(word, "big") & ((1 << bits) - 1)
    if type_.startswith("int") and number >> (bits - 1):
        number -= 1 << bits
    return number


def decode_word(type_: str, content: bytes) -> tuple[int | None, str | None]:
    """One word of a call's answer: (number, None), or (None, fault) where it is short or out of range.

    An address, a bool and bytes of any size are unsigned integers.
    """
    if len(content) < 32:
        return None, NOT_DECODABLE
    number = int.from_bytes(content, "big")
    if type_ == "bool":
        return (number, None) if number < 2 else (None, NOT_DECODABLE)
    if type_ == "address":
        return (number, None) if number < 1 << 160 else (None, NOT_DECODABLE)
    if type_.startswith("bytes"):
        unused = 256 - 8 * int(type_[5:])
        return (number >> unused, None) if number % (1 << unused) == 0 else (None, NOT_DECODABLE)
    value = word_field(type_, content)
    assert isinstance(value, int)
    same = value == (number - (1 << 256) if type_.startswith("int") and number >> 255 else number)
    return (value, None) if same else (None, NOT_DECODABLE)


__all__ = [
    "EMPTY",
    "FAILED",
    "MAX_FIELD_BYTES",
    "NOT_DECODABLE",
    "carried_fields",
    "decode_log",
    "decode_word",
    "word_field",
]
