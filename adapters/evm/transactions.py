"""Transactions: the digest that the signer signs, the bytes that are sent (EIP-1559, EIP-155). Pure.

No key comes near.
"""

from __future__ import annotations

from dataclasses import dataclass

from adapters.evm.fees import Fees
from proofs.hashes import keccak256
from relay.core.ports import FeeKind

Item = bytes | int | list["Item"]

TRANSACTION_TYPE = b"\x02"


@dataclass(frozen=True, slots=True)
class Transaction:
    """A call of one contract, without value."""

    chain_id: int
    nonce: int
    fees: Fees
    gas: int
    to: bytes
    data: bytes
    kind: FeeKind = FeeKind.EIP1559

    def _fields(self) -> list[Item]:
        if self.kind is FeeKind.LEGACY:
            return [self.nonce, self.fees.most_wei, self.gas, self.to, 0, self.data]
        fees: list[Item] = [self.fees.tip_wei, self.fees.most_wei]
        return [self.chain_id, self.nonce, *fees, self.gas, self.to, 0, self.data, []]

    @property
    def digest(self) -> bytes:
        """What is signed."""
        if self.kind is FeeKind.LEGACY:
            return keccak256(_rlp([*self._fields(), self.chain_id, 0, 0]))
        return keccak256(TRANSACTION_TYPE + _rlp(self._fields()))

    def signed(self, signature: bytes) -> bytes:
        """The bytes to send; `signature` is r ‖ s ‖ v, v 0 or 1."""
        assert len(signature) == 65, "expected 65 bytes of signature"
        assert signature[64] < 2, "expected v of 0 or 1"
        r, s = int.from_bytes(signature[:32], "big"), int.from_bytes(signature[32:64], "big")
        if self.kind is FeeKind.LEGACY:
            return _rlp([*self._fields(), signature[64] + 35 + 2 * self.chain_id, r, s])
        return TRANSACTION_TYPE + _rlp([*self._fields(), signature[64], r, s])


def transaction_hash(raw: bytes) -> bytes:
    return keccak256(raw)


def _rlp(item: Item) -> bytes:
    """Recursive length prefix (Ethereum yellow paper, appendix B); integers without leading zeros."""
    if isinstance(item, list):
        content = b"".join(_rlp(part) for part in item)
        return _prefix(0xC0, len(content)) + content
    if isinstance(item, int):
        item = item.to_bytes((item.bit_length() + 7) // 8, "big")
    if len(item) == 1 and item[0] < 0x80:
        return item
    return _prefix(0x80, len(item)) + item


def _prefix(offset: int, size: int) -> bytes:
    if size < 56:
        return bytes([offset + size])
    length = size.to_bytes((size.bit_length() + 7) // 8, "big")
    return bytes([offset + 55 + len(length)]) + length


__all__ = ["Transaction", "transaction_hash"]
