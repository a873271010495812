"""EIP-1559 transactions: fees, the digest that the signer signs, the bytes that are sent. Pure.

No key comes near.
"""

from __future__ import annotations

from dataclasses import dataclass

from proofs.hashes import keccak256

Item = bytes | int | list["Item"]

TRANSACTION_TYPE = b"\x02"
GWEI = 10**9
FEE_CAP_WEI = 1_000 * GWEI
"""No unit of gas is paid more than this."""
TIP_CAP_WEI = 100 * GWEI
MIN_TIP_WEI = GWEI // 100


@dataclass(frozen=True, slots=True)
class Fees:
    """What a unit of gas may cost at most, and what of it the block's proposer gets, in wei."""

    most_wei: int
    tip_wei: int

    @classmethod
    def starting(cls, base_wei: int, tip_wei: int) -> Fees:
        """Room for the base fee to double."""
        tip = min(max(tip_wei, MIN_TIP_WEI), TIP_CAP_WEI)
        return cls(min(2 * base_wei + tip, FEE_CAP_WEI), tip)

    def bumped(self) -> Fees:
        """A quarter more of both, up to the caps: nodes take a replacement from +10 % on."""
        most = min(self.most_wei + self.most_wei // 4 + 1, FEE_CAP_WEI)
        return Fees(most, min(self.tip_wei + self.tip_wei // 4 + 1, TIP_CAP_WEI, most))

    def at_least(self, other: Fees) -> Fees:
        return Fees(max(self.most_wei, other.most_wei), max(self.tip_wei, other.tip_wei))


@dataclass(frozen=True, slots=True)
class Transaction:
    """A call of one contract, without value (EIP-1559 transaction type 2)."""

    chain_id: int
    nonce: int
    fees: Fees
    gas: int
    to: bytes
    data: bytes

    def _fields(self) -> list[Item]:
        fees: list[Item] = [self.fees.tip_wei, self.fees.most_wei]
        return [self.chain_id, self.nonce, *fees, self.gas, self.to, 0, self.data, []]

    @property
    def digest(self) -> bytes:
        """What is signed."""
        return keccak256(TRANSACTION_TYPE + _rlp(self._fields()))

    def signed(self, signature: bytes) -> bytes:
        """The bytes to send; `signature` is r ‖ s ‖ v, v 0 or 1."""
        assert len(signature) == 65, "expected 65 bytes of signature"
        assert signature[64] < 2, "expected v of 0 or 1"
        r, s = int.from_bytes(signature[:32], "big"), int.from_bytes(signature[32:64], "big")
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


__all__ = ["FEE_CAP_WEI", "GWEI", "TIP_CAP_WEI", "Fees", "Transaction", "transaction_hash"]
