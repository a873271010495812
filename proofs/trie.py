"""Merkle-Patricia proofs that a value stands under a key (Yellow Paper, appendix D; `proofs/SPEC.md` 9.1).

Verification only, and only for tries of transactions and receipts: no key is the beginning of another, and
each value has 32 bytes or more. So branches hold no values, and every node stands under its hash.
"""

from collections.abc import Sequence
from typing import NoReturn

from proofs.errors import ProofError
from proofs.hashes import keccak256
from proofs.kinds import Digest
from proofs.rlp import Item, decode_rlp

__all__ = ["MAX_TRIE_NODES", "TrieError", "nibbles", "verify_trie_proof"]

MAX_TRIE_NODES = 9
"""One for each nibble of the longest key, the RLP of an index below 2^24, and the leaf."""
_HASH_BYTES = 32
_BRANCH, _PAIR = 17, 2
_ODD, _LEAF = 1, 2
"""Bits of a path's first nibble."""


class TrieError(ProofError):
    """`trie-nodes`, `trie-size`, `trie-hash`, `trie-node`, `trie-path`, `trie-missing`, `trie-extra`."""


def verify_trie_proof(root: Digest, key: bytes, nodes: Sequence[bytes], *, limit_bytes: int) -> bytes:
    """Give the value under `key` of the trie with this root; `nodes` runs from the root to the leaf.

    Each node is hashed before it is read, and is read only if it is the one that the node above names.
    `limit_bytes` bounds each of them.

    Raises:
        TrieError: the first check that failed.
        RlpError: a node is no RLP.
    """
    if not 1 <= len(nodes) <= MAX_TRIE_NODES:
        raise TrieError("trie-nodes", f"expected 1 to {MAX_TRIE_NODES} nodes, got {len(nodes)}")
    wanted, left = root, nibbles(key)
    for place, raw in enumerate(nodes, start=1):
        node = _open(raw, wanted, limit_bytes)
        if len(node) == _BRANCH:
            wanted, left = _through(node, left)
            continue
        path, is_leaf = _path(node[0])
        if is_leaf:
            return _value(node, is_here=path == left, more=len(nodes) - place)
        if not path or left[: len(path)] != path:
            raise TrieError("trie-path", "expected nodes on the way of this key, got one beside it")
        wanted, left = _child(node[1]), left[len(path) :]
    raise TrieError("trie-missing", "expected the leaf at the end, got none")


def nibbles(data: bytes) -> bytes:
    """Give the half-bytes of `data`, higher one first, a byte for each."""
    return bytes(nibble for byte in data for nibble in (byte >> 4, byte & 0x0F))


def _open(raw: bytes, wanted: Digest, limit_bytes: int) -> Sequence[Item]:
    if len(raw) > limit_bytes:
        raise TrieError("trie-size", f"expected nodes of at most {limit_bytes} bytes, got {len(raw)}")
    if keccak256(raw) != wanted:
        raise TrieError("trie-hash", f"expected a node with hash {wanted.hex()}, got {keccak256(raw).hex()}")
    node = decode_rlp(raw, limit_bytes=limit_bytes)
    if isinstance(node, bytes) or len(node) not in (_BRANCH, _PAIR):
        _refuse("a list of 2 or 17 items")
    return node


def _through(node: Sequence[Item], left: bytes) -> tuple[Digest, bytes]:
    """Give the child of a branch that the key names, and the rest of the key."""
    if node[-1] != b"":
        _refuse("a branch without a value")
    if not left:
        raise TrieError("trie-path", "expected nodes on the way of this key, got a branch after its end")
    return _child(node[left[0]]), left[1:]


def _child(item: Item) -> Digest:
    if item == b"":
        raise TrieError("trie-path", "expected nodes on the way of this key, got a branch without it")
    if not isinstance(item, bytes) or len(item) != _HASH_BYTES:
        _refuse("children under their hash")
    return Digest(item)


def _path(item: Item) -> tuple[bytes, bool]:
    """Give the nibbles of a path, and whether it is a leaf's (hex-prefix encoding, appendix C)."""
    halves = nibbles(item) if isinstance(item, bytes) else b""
    if not halves or halves[0] > (_ODD | _LEAF):
        _refuse("a path in hex-prefix form")
    is_odd, is_leaf = bool(halves[0] & _ODD), bool(halves[0] & _LEAF)
    if not is_odd and halves[1] != 0:
        _refuse("an even path filled with zero")
    return halves[1 if is_odd else 2 :], is_leaf


def _value(node: Sequence[Item], *, is_here: bool, more: int) -> bytes:
    if not is_here:
        raise TrieError("trie-path", "expected the leaf of this key, got one of another")
    if more:
        raise TrieError("trie-extra", f"expected the leaf at the end, got {more} nodes after it")
    if not isinstance(node[1], bytes) or len(node[1]) < _HASH_BYTES:
        _refuse("a leaf with a value of 32 bytes or more")
    return node[1]


def _refuse(expected: str) -> NoReturn:
    raise TrieError("trie-node", f"expected {expected}, got another form")
