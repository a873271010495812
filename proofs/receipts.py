"""Proofs that a receipt stands in a block: header, trie, receipt (EIP-2718, EIP-658; `proofs/SPEC.md` 9.1).

A receipt says what a transaction did; it names neither the transaction's hash nor its own gas.
"""

from dataclasses import dataclass

from proofs.errors import ProofError
from proofs.hashes import keccak256
from proofs.kinds import Digest
from proofs.rlp import Item, decode_rlp, encode_rlp, integer_bytes
from proofs.trie import verify_trie_proof

__all__ = [
    "MAX_HEADER_BYTES",
    "MAX_NODE_BYTES",
    "MAX_TX_INDEX",
    "BlockHeader",
    "Receipt",
    "ReceiptError",
    "ReceiptLog",
    "ReceiptProof",
    "index_key",
    "open_receipt",
    "parse_header",
    "parse_receipt",
]

MAX_HEADER_BYTES = 16 << 10
MAX_NODE_BYTES = 256 << 10
"""Of a trie's node; the leaf holds the receipt, and whoever sends the transaction can make that long."""
MAX_TX_INDEX = (1 << 24) - 1
MAX_TYPE = 4
"""EIP-2930, 1559, 4844, 7702; a legacy receipt has no type byte."""
MAX_TOPICS = 4
_LEAST_FIELDS, _MOST_FIELDS = 15, 40
"""Of a header: those of the first block ever, and room for what later forks and other chains add."""
_RECEIPTS_ROOT, _NUMBER, _TIMESTAMP = 5, 8, 11
_RECEIPT_FIELDS = 4
_LOG_FIELDS = 3
_BLOOM_BYTES, _WORD, _ADDRESS_BYTES = 256, 32, 20
_U64_BYTES = 8
_FIRST_LIST = 0xC0


class ReceiptError(ProofError):
    """A receipt, its header or its event is not what an outcome says; SPEC 9.1 and 11 list the checks."""


@dataclass(frozen=True, slots=True)
class ReceiptProof:
    """A transaction's place in its block, the block's header as hashed, the trie's nodes from root to leaf.

    The leaf holds the receipt.
    """

    index: int
    header: bytes
    nodes: tuple[bytes, ...]


@dataclass(frozen=True, slots=True)
class BlockHeader:
    """What is read of a header; `timestamp` in seconds."""

    hash: Digest
    number: int
    timestamp: int
    receipts_root: Digest


@dataclass(frozen=True, slots=True)
class ReceiptLog:
    """An event that a contract emitted; `address` has 20 bytes."""

    address: bytes
    topics: tuple[bytes, ...]
    data: bytes


@dataclass(frozen=True, slots=True)
class Receipt:
    """What a transaction did; `cumulative_gas` is that of the block up to its end."""

    succeeded: bool
    cumulative_gas: int
    logs: tuple[ReceiptLog, ...]


def index_key(index: int) -> bytes:
    """Give the key of a transaction's index in the block's tries: its RLP."""
    return encode_rlp(integer_bytes(index))


def open_receipt(proof: ReceiptProof, block_hash: Digest) -> tuple[BlockHeader, Receipt]:
    """Give the header of the block with this hash, and the receipt that it commits to.

    Raises:
        ReceiptError: `receipt-block`, `header-form`, `receipt-index`, `receipt-type`, `receipt-form`,
            `receipt-status`.
        TrieError, RlpError: the nodes do not lead from the header to a receipt.
    """
    if len(proof.header) > MAX_HEADER_BYTES:
        raise ReceiptError(
            "header-form", f"expected at most {MAX_HEADER_BYTES} bytes, got {len(proof.header)}"
        )
    if keccak256(proof.header) != block_hash:
        raise ReceiptError("receipt-block", f"expected the header of {block_hash.hex()}, got another")
    header = parse_header(proof.header)
    if not 0 <= proof.index <= MAX_TX_INDEX:
        raise ReceiptError("receipt-index", f"expected an index of at most {MAX_TX_INDEX}, got {proof.index}")
    key = index_key(proof.index)
    value = verify_trie_proof(header.receipts_root, key, proof.nodes, limit_bytes=MAX_NODE_BYTES)
    return header, parse_receipt(value)


def parse_header(raw: bytes) -> BlockHeader:
    """Read a block's header by the places of its first fields; later ones may follow.

    Raises:
        ReceiptError: `header-form`.
        RlpError: no RLP, or above `MAX_HEADER_BYTES`.
    """
    fields = decode_rlp(raw, limit_bytes=MAX_HEADER_BYTES)
    if isinstance(fields, bytes) or not _LEAST_FIELDS <= len(fields) <= _MOST_FIELDS:
        raise ReceiptError("header-form", f"expected {_LEAST_FIELDS} to {_MOST_FIELDS} fields, got others")
    root, number = _string(fields[_RECEIPTS_ROOT], _WORD), _number(fields[_NUMBER])
    timestamp = _number(fields[_TIMESTAMP])
    if root is None or number is None or timestamp is None:
        raise ReceiptError("header-form", "expected a receipts root, a number and a time, got another form")
    return BlockHeader(keccak256(raw), number, timestamp, Digest(root))


def parse_receipt(raw: bytes) -> Receipt:
    """Read a receipt: a list (legacy), or a list after its type (EIP-2718).

    Raises:
        ReceiptError: `receipt-type`, `receipt-form`, `receipt-status` (a state root, from before EIP-658).
        RlpError: no RLP.
    """
    if not raw or (raw[0] < _FIRST_LIST and not 1 <= raw[0] <= MAX_TYPE):
        raise ReceiptError("receipt-type", f"expected a legacy receipt or type 1 to {MAX_TYPE}, got another")
    content = raw[1:] if raw[0] < _FIRST_LIST else raw
    fields = decode_rlp(content, limit_bytes=MAX_NODE_BYTES)
    if isinstance(fields, bytes) or len(fields) != _RECEIPT_FIELDS:
        raise ReceiptError("receipt-form", f"expected {_RECEIPT_FIELDS} fields, got others")
    status, gas, bloom, logs = fields
    cumulative_gas = _number(gas)
    if cumulative_gas is None or _string(bloom, _BLOOM_BYTES) is None or isinstance(logs, bytes):
        raise ReceiptError("receipt-form", "expected gas, a bloom and logs, got another form")
    if status not in (b"", b"\x01"):
        raise ReceiptError("receipt-status", "expected a status of 0 or 1, got another")
    return Receipt(status == b"\x01", cumulative_gas, tuple(map(_log, logs)))


def _log(item: Item) -> ReceiptLog:
    if isinstance(item, bytes) or len(item) != _LOG_FIELDS:
        raise ReceiptError("receipt-form", f"expected logs of {_LOG_FIELDS} fields, got another form")
    address, topics, data = _string(item[0], _ADDRESS_BYTES), item[1], item[2]
    if address is None or isinstance(topics, bytes) or not isinstance(data, bytes):
        raise ReceiptError("receipt-form", "expected an address, topics and data in a log, got another form")
    words = [word for topic in topics if (word := _string(topic, _WORD)) is not None]
    if len(words) != len(topics) or len(words) > MAX_TOPICS:
        raise ReceiptError(
            "receipt-form", f"expected at most {MAX_TOPICS} topics of {_WORD} bytes, got others"
        )
    return ReceiptLog(address, tuple(words), data)


def _string(item: Item, length: int) -> bytes | None:
    return item if isinstance(item, bytes) and len(item) == length else None


def _number(item: Item) -> int | None:
    """Give an unsigned 64-bit integer in its one spelling."""
    if not isinstance(item, bytes) or len(item) > _U64_BYTES or item[:1] == b"\0":
        return None
    return int.from_bytes(item, "big")
