"""Blocks as an execution client makes them, by an independent library: headers, receipts, their proofs."""

from collections.abc import Sequence
from dataclasses import dataclass

import rlp
from trie import HexaryTrie

from proofs.decision import BlockRef
from proofs.effects import ACT_ENDED, ACT_EXTENDED, ACT_NOOP, ACT_STARTED, ENDINGS
from proofs.hashes import keccak256
from proofs.kinds import Caip2
from proofs.mandate import ActLeaf, Mandate, mandate_digest
from proofs.receipts import ReceiptProof

NUMBER, TIME = 101, 1_659_390_212
BLOOM = bytes(256)
GAS = 171_000
Log = list[object]


def word(number: int) -> bytes:
    return number.to_bytes(32, "big")


def receipt(*logs: Log, kind: int = 2, status: bytes = b"\x01", cumulative_gas: int = GAS) -> bytes:
    """Give a receipt with its type before it, if it has one."""
    return (bytes([kind]) if kind else b"") + rlp.encode([status, cumulative_gas, BLOOM, list(logs)])


def started(mandate: Mandate, leaf: ActLeaf, until: int) -> Log:
    data = word(mandate.tier) + word(TIME) + word(until) + word(7)
    return _log(leaf, (ACT_STARTED, mandate_digest(mandate), leaf.act_id, mandate.decision_id), data)


def extended(mandate: Mandate, leaf: ActLeaf, until: int) -> Log:
    data = word(mandate.tier) + word(until)
    return _log(leaf, (ACT_EXTENDED, mandate_digest(mandate), leaf.act_id, mandate.decision_id), data)


def noop(mandate: Mandate, leaf: ActLeaf) -> Log:
    return _log(leaf, (ACT_NOOP, mandate_digest(mandate), leaf.act_id, mandate.decision_id), b"")


def ended(leaf: ActLeaf, how: str, ended_at: int, mandate: Mandate | None = None) -> Log:
    digest = bytes(32) if mandate is None else mandate_digest(mandate)
    return _log(leaf, (ACT_ENDED, digest, leaf.act_id), word(ENDINGS[how]) + word(ended_at) + word(1))


def _log(leaf: ActLeaf, topics: tuple[bytes, ...], data: bytes) -> Log:
    return [leaf.gateway[12:], list(topics), data]


@dataclass(frozen=True)
class Block:
    """A block with these receipts; `more` are header fields after those of Prague."""

    chain: Caip2
    receipts: Sequence[bytes]
    number: int = NUMBER
    timestamp: int = TIME
    fields: int = 21
    more: tuple[object, ...] = ()

    def header(self) -> bytes:
        root = self._trie().root_hash
        words = [word(place) for place in range(5)]
        numbers = [0, self.number, 30_000_000, GAS, self.timestamp]
        rest = [b"extra", word(13), bytes(8), 1_000_000_000, word(16), 0, 0, word(19), word(20)]
        return rlp.encode([*([*words, root, BLOOM, *numbers, *rest][: self.fields]), *self.more])

    def ref(self) -> BlockRef:
        return BlockRef(self.chain, keccak256(self.header()), self.number, self.timestamp)

    def proof(self, index: int) -> ReceiptProof:
        nodes = tuple(rlp.encode(node) for node in self._trie().get_proof(rlp.encode(index)))
        return ReceiptProof(index, self.header(), nodes)

    def _trie(self) -> HexaryTrie:
        trie = HexaryTrie({})
        for index, each in enumerate(self.receipts):
            trie[rlp.encode(index)] = each
        return trie
