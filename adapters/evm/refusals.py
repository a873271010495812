"""Why a gateway refuses, by name.

Custom errors from the committed builds, Solidity's own two from their selectors.
"""

from __future__ import annotations

import functools
import json
from collections.abc import Mapping
from pathlib import Path

from eth_abi.abi import decode
from eth_abi.exceptions import DecodingError

from adapters.evm import shapes
from adapters.evm.rpc import RpcError, printable
from proofs.hashes import keccak256

ARTIFACTS = Path(__file__).parent / "artifacts"
_ERROR = keccak256(b"Error(string)")[:4]
_PANIC = keccak256(b"Panic(uint256)")[:4]
MAX_TEXT = 120


def error_names(artifact: Mapping[str, object]) -> dict[bytes, str]:
    """The custom errors of one contract build, by selector."""
    names: dict[bytes, str] = {}
    for item in shapes.sequence(artifact.get("abi")):
        entry = shapes.mapping(item)
        if entry.get("type") == "error":
            inputs = ",".join(_type(shapes.mapping(part)) for part in shapes.sequence(entry.get("inputs")))
            names[keccak256(f"{entry['name']}({inputs})".encode())[:4]] = str(entry["name"])
    return names


def _type(parameter: Mapping[str, object]) -> str:
    text = str(parameter.get("type"))
    if not text.startswith("tuple"):
        return text
    inner = ",".join(_type(shapes.mapping(part)) for part in shapes.sequence(parameter.get("components")))
    return f"({inner}){text.removeprefix('tuple')}"


@functools.cache
def gateway_errors() -> Mapping[bytes, str]:
    """The errors of all committed builds, by selector."""
    names: dict[bytes, str] = {}
    for path in sorted(ARTIFACTS.glob("*.json")):
        names |= error_names(shapes.mapping(json.loads(path.read_text())))
    return names


def refusal_reason(error: RpcError, names: Mapping[bytes, str]) -> str:
    """The error's name where it is known, its text or selector where it is not."""
    data = error.data.get("data") if isinstance(error.data, dict) else error.data
    try:
        content = shapes.octets(data)
    except ValueError:
        content = b""
    if not content:
        return error.text[:MAX_TEXT] or "reverted without data"
    if content[:4] in names:
        return names[content[:4]]
    try:
        if content[:4] == _ERROR:
            # As bytes: a text that is no UTF-8 is a fact too.
            said: bytes = decode(["bytes"], content[4:])[0][:MAX_TEXT]
            return f"Error: {printable(said.decode('utf-8', 'backslashreplace'))}"[:MAX_TEXT]
        if content[:4] == _PANIC:
            return f"Panic: {decode(['uint256'], content[4:])[0]:#x}"
    except (OverflowError, DecodingError):  # a length beyond memory is the former
        return "undecodable revert data"
    return f"unknown error 0x{content[:4].hex()}"


__all__ = ["error_names", "gateway_errors", "refusal_reason"]
