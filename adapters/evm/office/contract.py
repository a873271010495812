"""The committed builds as callable contracts: selectors, arguments, answers by name."""

from __future__ import annotations

import functools
import json
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path

from eth_abi.abi import decode, encode
from eth_abi.exceptions import DecodingError, EncodingError

from adapters.evm import shapes
from proofs.hashes import keccak256
from relay.core.errors import ConfigError

ARTIFACTS = Path(__file__).parents[1] / "artifacts"
MAX_ANSWER_BYTES = 1 << 16
"""Of one getter: an act is at most three calls of 8,192 bytes."""


@dataclass(frozen=True, slots=True)
class Slot:
    """A parameter; `fields` are those of a struct."""

    name: str
    type: str
    internal: str
    fields: tuple[Slot, ...]

    def named(self, value: object) -> object:
        """The decoded value, a struct as a mapping by its fields' names."""
        if not self.fields or not isinstance(value, tuple):
            return value
        return {field.name: field.named(part) for field, part in zip(self.fields, value, strict=True)}


@dataclass(frozen=True, slots=True)
class Function:
    """One function of a build."""

    name: str
    inputs: tuple[Slot, ...]
    outputs: tuple[Slot, ...]

    @property
    def text(self) -> str:
        return f"{self.name}({','.join(slot.type for slot in self.inputs)})"

    @property
    def selector(self) -> bytes:
        return keccak256(self.text.encode())[:4]

    def call(self, *arguments: object) -> bytes:
        """Calldata. Raises `ConfigError` where an argument does not fit its type."""
        return self.selector + encode_slots(self.inputs, arguments, self.text)

    def answer(self, data: bytes) -> Mapping[str, object] | None:
        """Results by name (unnamed ones by number), or None for anything but their full, strict encoding."""
        return decode_slots(self.outputs, data)

    def arguments(self, calldata: bytes) -> Mapping[str, object] | None:
        """The arguments of a call of this function, or None for any other bytes."""
        return decode_slots(self.inputs, calldata[4:]) if calldata[:4] == self.selector else None


@dataclass(frozen=True, slots=True)
class Build:
    """One committed contract build."""

    functions: Mapping[str, Function]
    constructor: tuple[Slot, ...]
    creation: bytes
    runtime: bytes

    def create(self, *arguments: object) -> bytes:
        """Creation code with the constructor's arguments."""
        return self.creation + encode_slots(self.constructor, arguments, "constructor")


def encode_slots(slots: Sequence[Slot], values: Sequence[object], where: str) -> bytes:
    try:
        return encode([slot.type for slot in slots], list(values))
    except (EncodingError, OverflowError, ValueError) as error:
        raise ConfigError(where, f"expected arguments that fit their types, got: {error}") from error


def decode_slots(slots: Sequence[Slot], data: bytes) -> Mapping[str, object] | None:
    # SECURITY: what comes here may be a stranger's bytes; eth-abi checks padding, ranges and offsets.
    if len(data) > MAX_ANSWER_BYTES:
        return None
    try:
        values = decode([slot.type for slot in slots], data)
    except (DecodingError, OverflowError, ValueError):
        return None
    named = zip(slots, values, strict=True)
    return {slot.name or str(place): slot.named(value) for place, (slot, value) in enumerate(named)}


def _slot(parameter: object) -> Slot:
    entry = shapes.mapping(parameter)
    fields = tuple(_slot(part) for part in shapes.sequence(entry.get("components", [])))
    type_ = str(entry["type"])
    if fields:
        inner = ",".join(field.type for field in fields)
        type_ = f"({inner}){type_.removeprefix('tuple')}"
    return Slot(str(entry.get("name", "")), type_, str(entry.get("internalType", type_)), fields)


def _slots(entry: Mapping[str, object], key: str) -> tuple[Slot, ...]:
    return tuple(_slot(part) for part in shapes.sequence(entry.get(key, [])))


@functools.cache
def build(name: str) -> Build:
    """A committed build by its contract's name."""
    artifact = shapes.mapping(json.loads((ARTIFACTS / f"{name}.json").read_text()))
    entries = [shapes.mapping(item) for item in shapes.sequence(artifact.get("abi"))]
    return Build(
        functions={
            str(entry["name"]): Function(
                str(entry["name"]), _slots(entry, "inputs"), _slots(entry, "outputs")
            )
            for entry in entries
            if entry.get("type") == "function"
        },
        constructor=next((_slots(e, "inputs") for e in entries if e.get("type") == "constructor"), ()),
        creation=shapes.octets(artifact.get("bytecode")),
        runtime=shapes.octets(artifact.get("deployedBytecode")),
    )


def gateway() -> Build:
    return build("TocsinGateway")


def verifier() -> Build:
    return build("TocsinVerifier")


__all__ = [
    "MAX_ANSWER_BYTES",
    "Build",
    "Function",
    "Slot",
    "build",
    "decode_slots",
    "encode_slots",
    "gateway",
    "verifier",
]
