"""The Merkle tree of the audit log: RFC 6962 with SHA-256 (`proofs/SPEC.md` 4)."""

from collections.abc import Callable, Iterable, Iterator, Sequence
from dataclasses import dataclass

from proofs.errors import ProofError
from proofs.hashes import sha256
from proofs.kinds import Digest

__all__ = [
    "EMPTY_ROOT",
    "HASH_BYTES",
    "MAX_PATH",
    "MAX_SIZE",
    "CompactRange",
    "NodeReader",
    "TreeError",
    "consistency_proof",
    "fold_nodes",
    "inclusion_proof",
    "leaf_digest",
    "node_digest",
    "range_from_bytes",
    "range_to_bytes",
    "root_at",
    "tree_root",
    "verify_consistency",
    "verify_inclusion",
]

HASH_BYTES = 32
MAX_SIZE = (1 << 63) - 1
MAX_PATH = 63
"""Hashes of an inclusion proof; a consistency proof has one more at most."""
EMPTY_ROOT = sha256(b"")
_SIZE_BYTES = 8

NodeReader = Callable[[int, int], Digest]
"""`(level, index)` → hash of the complete subtree over the leaves index·2^level … (index+1)·2^level − 1."""


class TreeError(ProofError):
    """A proof does not lead to its root, or a position is outside the tree."""


def leaf_digest(entry: bytes) -> Digest:
    """Give the hash of a log entry."""
    return sha256(b"\x00" + entry)


def node_digest(left: bytes, right: bytes) -> Digest:
    """Give the hash of the node over two subtrees."""
    return sha256(b"\x01" + left + right)


def fold_nodes(nodes: bytes) -> Digest:
    """Give the hash over 2^n nodes of one level, which stand one after another in `nodes`."""
    while len(nodes) > HASH_BYTES:
        nodes = b"".join(
            [sha256(b"\x01" + nodes[at : at + 2 * HASH_BYTES]) for at in range(0, len(nodes), 2 * HASH_BYTES)]
        )
    return Digest(nodes)


@dataclass(frozen=True, slots=True)
class CompactRange:
    """All that is needed to go on appending: the complete subtrees of a tree, largest first.

    There is one for each bit that is set in `size`.
    """

    size: int = 0
    nodes: tuple[Digest, ...] = ()

    def append(self, leaf: Digest) -> "CompactRange":
        """Give the range with one more leaf hash."""
        return self.append_nodes(leaf)[0]

    def append_nodes(self, leaf: Digest) -> tuple["CompactRange", tuple[tuple[int, int, Digest], ...]]:
        """Give the range with one more leaf hash, and the subtrees it completed as (level, index, hash)."""
        nodes, index, level, node = list(self.nodes), self.size, 0, leaf
        completed = [(0, index, leaf)]
        while index & 1:
            node = node_digest(nodes.pop(), node)
            index >>= 1
            level += 1
            completed.append((level, index, node))
        return CompactRange(self.size + 1, (*nodes, node)), tuple(completed)

    def root(self) -> Digest:
        """Give the root of the tree."""
        return _joined(self.nodes) if self.nodes else EMPTY_ROOT


def range_to_bytes(compact: CompactRange) -> bytes:
    """Give the stored form: size in 8 bytes big-endian, then the nodes."""
    return compact.size.to_bytes(_SIZE_BYTES, "big") + b"".join(compact.nodes)


def range_from_bytes(stored: bytes) -> CompactRange:
    """Read the stored form.

    Raises:
        TreeError: `tree-range`, the number of nodes is not that of the size.
    """
    size = int.from_bytes(stored[:_SIZE_BYTES], "big")
    expected = _SIZE_BYTES + size.bit_count() * HASH_BYTES
    if len(stored) != expected or size > MAX_SIZE:
        raise TreeError(
            "tree-range", f"expected {expected} bytes for size {size}, got {len(stored)}", size=size
        )
    return CompactRange(size, tuple(map(Digest, _hashes(stored[_SIZE_BYTES:]))))


def tree_root(leaves: Iterable[Digest]) -> Digest:
    """Give the root over leaf hashes."""
    compact = CompactRange()
    for leaf in leaves:
        compact = compact.append(leaf)
    return compact.root()


def root_at(size: int, read: NodeReader) -> Digest:
    """Give the root that the tree behind `read` had at `size` leaves."""
    return _subtree(0, size, read) if size else EMPTY_ROOT


def inclusion_proof(index: int, size: int, read: NodeReader) -> tuple[Digest, ...]:
    """Give the path of leaf `index` in the tree of `size` leaves, leaf side first.

    Raises:
        TreeError: `tree-range`, `index` is not below `size`.
    """
    if not 0 <= index < size <= MAX_SIZE:
        raise TreeError("tree-range", f"expected an index below {size}, got {index}", index=index, size=size)
    start, end = 0, size
    path: list[Digest] = []
    while end - start > 1:
        middle = start + _split(end - start)
        if index < middle:
            path.append(_subtree(middle, end, read))
            end = middle
        else:
            path.append(_subtree(start, middle, read))
            start = middle
    return tuple(reversed(path))


def consistency_proof(old_size: int, new_size: int, read: NodeReader) -> tuple[Digest, ...]:
    """Give the proof that the tree of `old_size` leaves starts that of `new_size`; empty from size 0.

    Raises:
        TreeError: `tree-range`, `old_size` is larger than `new_size`.
    """
    if not 0 <= old_size <= new_size <= MAX_SIZE:
        raise TreeError("tree-range", f"expected a size up to {new_size}, got {old_size}")
    if old_size in (0, new_size):
        return ()
    start, end = 0, new_size
    path: list[Digest] = []
    while end != old_size:
        middle = start + _split(end - start)
        if old_size <= middle:
            path.append(_subtree(middle, end, read))
            end = middle
        else:
            path.append(_subtree(start, middle, read))
            start = middle
    # The old tree is a complete subtree of the new one: its root is what the verifier already has.
    if start:
        path.append(_subtree(start, end, read))
    return tuple(reversed(path))


def verify_inclusion(leaf: Digest, index: int, size: int, path: Sequence[bytes], root: Digest) -> None:
    """Check that `leaf` (a leaf hash) is number `index` of a log of `size` leaves (RFC 9162 section 2.1.3.2).

    `path` runs from the leaf to the root, 32 bytes each, at most 63 of them.

    Raises:
        TreeError: `tree-inclusion`; `index`, `size` and both roots are facts.
    """
    if not 0 <= index < size <= MAX_SIZE or not _is_path(path):
        raise TreeError(
            "tree-inclusion", f"expected an index below {size} and a path, got {index}", index=index
        )
    position, last, node = index, size - 1, leaf
    for sibling in path:
        if last == 0:
            raise TreeError("tree-inclusion", f"expected a shorter path, got {len(path)} hashes", size=size)
        if position & 1 or position == last:
            node = node_digest(sibling, node)
            while not position & 1 and position:
                position, last = position >> 1, last >> 1
        else:
            node = node_digest(node, sibling)
        position, last = position >> 1, last >> 1
    if last or node != root:
        raise TreeError(
            "tree-inclusion",
            f"expected root {root.hex()}, got {node.hex()}",
            index=index,
            size=size,
            root=root,
            got=node,
        )


def verify_consistency(old: tuple[int, Digest], new: tuple[int, Digest], path: Sequence[bytes]) -> None:
    """Check that the log (size, root) `old` is the start of the log `new` (RFC 9162 section 2.1.4.2).

    Raises:
        TreeError: `tree-consistency`.
    """
    (old_size, old_root), (new_size, new_root) = old, new
    if not 0 <= old_size <= new_size <= MAX_SIZE or not _is_path(path):
        raise TreeError("tree-consistency", f"expected a size up to {new_size} and a path, got {old_size}")
    if old_size in (0, new_size):
        expected = EMPTY_ROOT if old_size == 0 else new_root
        if path or old_root != expected:
            raise TreeError("tree-consistency", f"expected root {expected.hex()} and no path, got another")
        return
    hashes = list(path)
    if old_size & (old_size - 1) == 0:
        hashes.insert(0, old_root)
    if not hashes:
        raise TreeError("tree-consistency", "expected a path, got none")
    _check_both_roots(old, new, hashes)


def _check_both_roots(old: tuple[int, Digest], new: tuple[int, Digest], hashes: Sequence[bytes]) -> None:
    position, last = old[0] - 1, new[0] - 1
    while position & 1:
        position, last = position >> 1, last >> 1
    old_node = new_node = Digest(hashes[0])
    for sibling in hashes[1:]:
        if last == 0:
            raise TreeError("tree-consistency", f"expected a shorter path, got {len(hashes)} hashes")
        if position & 1 or position == last:
            old_node, new_node = node_digest(sibling, old_node), node_digest(sibling, new_node)
            while not position & 1 and position:
                position, last = position >> 1, last >> 1
        else:
            new_node = node_digest(new_node, sibling)
        position, last = position >> 1, last >> 1
    if last or old_node != old[1] or new_node != new[1]:
        raise TreeError(
            "tree-consistency",
            f"expected roots {old[1].hex()} and {new[1].hex()}, got {old_node.hex()} and {new_node.hex()}",
            old=old,
            new=new,
        )


def _split(size: int) -> int:
    """Give the largest power of two below `size`."""
    return 1 << ((size - 1).bit_length() - 1)


def _subtree(start: int, end: int, read: NodeReader) -> Digest:
    """Give the hash over the leaves from `start` to `end`, which need not be a complete subtree."""
    return _joined(tuple(read(level, index) for level, index in _complete(start, end)))


def _complete(start: int, end: int) -> Iterator[tuple[int, int]]:
    """Give the complete subtrees that make up an aligned range of leaves, largest first."""
    while start < end:
        level = (end - start).bit_length() - 1
        yield level, start >> level
        start += 1 << level


def _joined(nodes: Sequence[Digest]) -> Digest:
    node = nodes[-1]
    for left in reversed(nodes[:-1]):
        node = node_digest(left, node)
    return node


def _is_path(path: Sequence[bytes]) -> bool:
    return len(path) <= MAX_PATH + 1 and all(len(node) == HASH_BYTES for node in path)


def _hashes(data: bytes) -> Iterator[bytes]:
    return (data[start : start + HASH_BYTES] for start in range(0, len(data), HASH_BYTES))
