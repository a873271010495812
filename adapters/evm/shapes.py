"""JSON of an endpoint into values, once and strictly (execution-apis schemas).

Every function raises `ValueError` for anything but the shape it names; the endpoint turns that into
`EndpointUnavailable`.
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass

from proofs.kinds import Digest
from relay.core.types import BlockRef, Caip2, Header

MAX_TOPICS = 4
NUMBER_BITS = 52
TIME_BITS = 40
"""Of a block, in seconds. What is beyond is no message's and no journal's (core SPEC 1.3)."""


@dataclass(frozen=True, slots=True)
class Log:
    """One log entry of one block."""

    address: str
    topics: tuple[bytes, ...]
    data: bytes
    block_hash: bytes
    block_number: int
    tx: bytes
    index: int


@dataclass(frozen=True, slots=True)
class Receipt:
    """What became of a transaction."""

    tx: bytes
    block_hash: bytes
    block_number: int
    gas_used: int
    succeeded: bool
    logs: tuple[Log, ...]
    price_wei: int = 0
    """Of a unit of gas; 0 where the endpoint does not say."""


def mapping(value: object) -> Mapping[str, object]:
    if not isinstance(value, dict):
        raise ValueError("expected an object")  # noqa: TRY004 one error for all shapes
    return value


def sequence(value: object) -> list[object]:
    if not isinstance(value, list):
        raise ValueError("expected an array")  # noqa: TRY004
    return value


def quantity(value: object, bits: int = 64) -> int:
    """A 0x-hex quantity below 2**bits."""
    if not isinstance(value, str) or not value.startswith("0x") or len(value) > 2 + bits // 4:
        raise ValueError(f"expected a hex quantity, got {str(value)[:80]!r}")
    return int(value, 16)


def octets(value: object, size: int | None = None) -> bytes:
    """0x-hex bytes, of exactly `size` where given."""
    if not isinstance(value, str) or not value.startswith("0x"):
        raise ValueError(f"expected 0x hex, got {str(value)[:80]!r}")
    content = bytes.fromhex(value[2:])
    if size is not None and len(content) != size:
        raise ValueError(f"expected {size} bytes, got {len(content)}")
    return content


def header(chain: Caip2, value: object) -> Header:
    block = mapping(value)
    reference = BlockRef(
        chain=chain,
        number=quantity(block.get("number"), NUMBER_BITS),
        hash=Digest(octets(block.get("hash"), 32)),
        timestamp=quantity(block.get("timestamp"), TIME_BITS),
    )
    return Header(reference, octets(block.get("parentHash"), 32))


def log(value: object) -> Log:
    entry = mapping(value)
    if entry.get("removed") is True:
        raise ValueError("a removed log")
    topics = tuple(octets(topic, 32) for topic in sequence(entry.get("topics")))
    if len(topics) > MAX_TOPICS:
        raise ValueError(f"expected at most {MAX_TOPICS} topics, got {len(topics)}")
    return Log(
        address="0x" + octets(entry.get("address"), 20).hex(),
        topics=topics,
        data=octets(entry.get("data")),
        block_hash=octets(entry.get("blockHash"), 32),
        block_number=quantity(entry.get("blockNumber")),
        tx=octets(entry.get("transactionHash"), 32),
        index=quantity(entry.get("logIndex")),
    )


def receipt(value: object) -> Receipt:
    entry = mapping(value)
    return Receipt(
        tx=octets(entry.get("transactionHash"), 32),
        block_hash=octets(entry.get("blockHash"), 32),
        block_number=quantity(entry.get("blockNumber")),
        gas_used=quantity(entry.get("gasUsed")),
        succeeded=quantity(entry.get("status")) == 1,
        logs=tuple(log(item) for item in sequence(entry.get("logs"))),
        price_wei=quantity(entry.get("effectiveGasPrice", "0x0"), 128),
    )


__all__ = ["Log", "Receipt", "header", "log", "mapping", "octets", "quantity", "receipt", "sequence"]
