"""Proofs of receipts from an endpoint's answers: the header as it was hashed, and the block's receipt trie.

Nothing here is believed: a header that does not hash to the block's hash, or receipts that do not give its
receipts root, make no proof.
"""

from __future__ import annotations

import asyncio
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass

from adapters.evm.rpc import Request, Rpc, RpcError
from adapters.evm.shapes import log, mapping, octets, quantity, sequence
from proofs.errors import ProofError
from proofs.hashes import keccak256
from proofs.receipts import ReceiptProof, index_key, parse_header
from proofs.rlp import Item, encode_rlp, integer_bytes
from proofs.trie import nibbles
from relay.core.types import BlockRef

MAX_TRANSACTIONS = 20_000
"""In one block: more are not asked for one by one."""

_HEADER_START = (
    "parentHash",
    "sha3Uncles",
    "miner",
    "stateRoot",
    "transactionsRoot",
    "receiptsRoot",
    "logsBloom",
)
_HEADER_NUMBERS = ("difficulty", "number", "gasLimit", "gasUsed", "timestamp")
_HEADER_END = ("extraData", "mixHash", "nonce")
_FORKS: tuple[tuple[str, bool], ...] = (
    ("baseFeePerGas", True),
    ("withdrawalsRoot", False),
    ("blobGasUsed", True),
    ("excessBlobGas", True),
    ("parentBeaconBlockRoot", False),
    ("requestsHash", False),
)
"""What forks added, in order (EIP-1559, 4895, 4844, 4788, 7685), and whether it is an integer."""
_DEPOSIT = 0x7E
"""The OP stack's deposit receipts carry two fields more in the trie, once they have a version."""
_WIDE = 256
_BRANCHES = 16
_LEAF, _ODD = 2, 1
"""Bits of a path's first nibble."""


async def fetch_receipt_proof(rpc: Rpc, block: BlockRef, tx: bytes) -> ReceiptProof:
    """A proof of what transaction `tx` did in this very block, from this endpoint's answers.

    Raises:
        EndpointUnavailable: with what is missing, or that the chain's form of headers or receipts is unknown.
    """
    where = "0x" + block.hash.hex()
    try:
        answer = read_block(block, await rpc.result("eth_getBlockByHash", where, False))
        answers = await _fetch_receipts(rpc, block, answer)
        # Thousands of receipts take a while to encode and hash.
        return await asyncio.to_thread(make_proof, answer, tx, answers)
    except (ValueError, ProofError) as error:
        raise rpc.unavailable(f"receipt in block {block.number}: {error}") from None


async def _fetch_receipts(rpc: Rpc, block: BlockRef, answer: BlockAnswer) -> list[object]:
    """All receipts of a block: at once where the endpoint can, else one by one."""
    (reply,) = await rpc.replies([Request("eth_getBlockReceipts", [hex(block.number)])])
    if not isinstance(reply, RpcError):
        return sequence(reply)
    if len(answer.transactions) > MAX_TRANSACTIONS:
        raise ValueError(f"expected at most {MAX_TRANSACTIONS} transactions, got {len(answer.transactions)}")
    replies = await rpc.replies(
        [Request("eth_getTransactionReceipt", ["0x" + tx.hex()]) for tx in answer.transactions]
    )
    refusal = next((reply for reply in replies if isinstance(reply, RpcError)), None)
    if refusal is not None:
        raise ValueError(refusal.text)
    return replies


@dataclass(frozen=True, slots=True)
class BlockAnswer:
    """A block as an endpoint gave it: its header's bytes, and its transactions' hashes in order."""

    header: bytes
    transactions: tuple[bytes, ...]


def read_block(block: BlockRef, answer: object) -> BlockAnswer:
    """The header of `block` as it was hashed.

    Raises:
        ValueError: the answer is malformed, or the chain's header has another form than Ethereum's.
    """
    if answer is None:
        raise ValueError("the endpoint does not have this block")
    value = mapping(answer)
    header = encode_rlp(_header_fields(value))
    if keccak256(header) != block.hash:
        raise ValueError(f"the header's form is unknown: its fields do not hash to {block.hash.hex()}")
    return BlockAnswer(header, tuple(octets(tx, 32) for tx in sequence(value.get("transactions"))))


def _header_fields(value: Mapping[str, object]) -> list[Item]:
    fields: list[Item] = [octets(value.get(name)) for name in _HEADER_START]
    fields += [_integer(value.get(name)) for name in _HEADER_NUMBERS]
    fields += [octets(value.get(name)) for name in _HEADER_END]
    for name, is_integer in _FORKS:
        if value.get(name) is not None:
            fields.append(_integer(value[name]) if is_integer else octets(value[name]))
    return fields


def make_proof(block: BlockAnswer, tx: bytes, answers: Sequence[object]) -> ReceiptProof:
    """The proof for transaction `tx`, from the receipts of all transactions of its block in their order.

    Takes about 70 µs of CPU a receipt: a block with thousands belongs in a thread.

    Raises:
        ValueError: an answer is malformed, the transaction is not of this block, or the receipts do not give
            the header's receipts root.
    """
    if len(answers) != len(block.transactions):
        raise ValueError(f"expected {len(block.transactions)} receipts, got {len(answers)}")
    if tx not in block.transactions:
        raise ValueError(f"expected a transaction of this block, got {tx.hex()}")
    trie = ReceiptTrie([receipt_bytes(answer) for answer in answers])
    if trie.root != parse_header(block.header).receipts_root:
        raise ValueError(
            "the receipts do not give the block's receipts root: another block's, or another form"
        )
    index = block.transactions.index(tx)
    return ReceiptProof(index, block.header, trie.path(index))


def receipt_bytes(answer: object) -> bytes:
    """A receipt as it stands in the trie (EIP-2718, EIP-658).

    Raises:
        ValueError: the answer is malformed.
    """
    value = mapping(answer)
    kind = quantity(value.get("type") or "0x0", 8)
    status = value.get("status")
    logs = [log(item) for item in sequence(value.get("logs"))]
    fields: list[Item] = [
        octets(value.get("root"), 32) if status is None else _integer(status),
        _integer(value.get("cumulativeGasUsed")),
        octets(value.get("logsBloom"), 256),
        [[octets(entry.address), entry.topics, entry.data] for entry in logs],
    ]
    if kind == _DEPOSIT and value.get("depositReceiptVersion") is not None:
        fields += [_integer(value.get("depositNonce")), _integer(value.get("depositReceiptVersion"))]
    return (bytes([kind]) if kind else b"") + encode_rlp(fields)


def _integer(value: object) -> bytes:
    return integer_bytes(quantity(value, _WIDE))


@dataclass(frozen=True, slots=True)
class _Node:
    """A node as hashed, and the nodes below it by the nibble that leads to each."""

    raw: bytes
    below: Mapping[int, _Node]
    skipped: int


class ReceiptTrie:
    """The trie of a block's receipts (Yellow Paper, appendix D), made whole.

    Keys are the RLP of indices, none the beginning of another; values have more than 32 bytes: so branches
    hold no values, and every node stands under its hash.
    """

    def __init__(self, values: Sequence[bytes]) -> None:
        assert values, "a block without receipts has nothing to prove"
        leaves = sorted((nibbles(index_key(index)), value) for index, value in enumerate(values))
        self._top = _node(leaves, 0)
        self.root = keccak256(self._top.raw)

    def path(self, index: int) -> tuple[bytes, ...]:
        """The nodes from the root to the leaf of an index that is in the trie."""
        return tuple(_walk(self._top, nibbles(index_key(index))))


def trie_root(values: Mapping[bytes, bytes]) -> bytes:
    """The root over values by their keys, which have one length (Yellow Paper, appendix D).

    At least one; key and value so long that no node is shorter than its hash, as in tries of storage.
    """
    return keccak256(_node(sorted((nibbles(key), value) for key, value in values.items()), 0).raw)


def _node(leaves: Sequence[tuple[bytes, bytes]], depth: int) -> _Node:
    """The node over sorted leaves that agree in their first `depth` nibbles."""
    first, last = leaves[0][0], leaves[-1][0]
    if len(leaves) == 1:
        return _Node(encode_rlp([_path(first[depth:], _LEAF), leaves[0][1]]), {}, 0)
    shared = depth
    while first[shared] == last[shared]:
        shared += 1
    if shared > depth:
        child = _node(leaves, shared)
        raw = encode_rlp([_path(first[depth:shared], 0), keccak256(child.raw)])
        return _Node(raw, {first[depth]: child}, shared - depth)
    groups: dict[int, list[tuple[bytes, bytes]]] = {}
    for leaf in leaves:
        groups.setdefault(leaf[0][depth], []).append(leaf)
    below = {nibble: _node(group, depth + 1) for nibble, group in groups.items()}
    children = [keccak256(below[nibble].raw) if nibble in below else b"" for nibble in range(_BRANCHES)]
    return _Node(encode_rlp([*children, b""]), below, 1)


def _walk(node: _Node, key: bytes) -> Iterator[bytes]:
    yield node.raw
    while node.below:
        node, key = node.below[key[0]], key[node.skipped :]
        yield node.raw


def _path(key: bytes, kind: int) -> bytes:
    """Nibbles in hex-prefix form (Yellow Paper, appendix C)."""
    is_odd = len(key) % 2
    halves = bytes([kind | _ODD]) + key if is_odd else bytes([kind, 0]) + key
    return bytes(high << 4 | low for high, low in zip(halves[::2], halves[1::2], strict=True))


__all__ = [
    "BlockAnswer",
    "ReceiptTrie",
    "fetch_receipt_proof",
    "make_proof",
    "read_block",
    "receipt_bytes",
    "trie_root",
]
