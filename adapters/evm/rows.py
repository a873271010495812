"""What is on disk of a transaction before it leaves: enough to send it again and to know it again.

Canonical msgpack (core SPEC 1.1).
"""

from __future__ import annotations

from dataclasses import dataclass, replace

from adapters.evm.encode import gateway_calldata
from adapters.evm.fees import Fees
from adapters.evm.rotations import rotation_digest
from adapters.evm.transactions import Transaction, transaction_hash
from proofs.canonical import Value, decode, encode
from proofs.errors import ProofError
from proofs.hashes import tagged
from proofs.mandate import mandate_digest
from relay.core.errors import JournalError
from relay.core.ports import Execute, FeeKind, GatewayCall
from relay.core.rotations import Rotate

VERSION = 1
CANCEL = b""
"""The key of a transaction that only uses up a nonce."""
MAX_ROW_BYTES = 1 << 18
MAX_HASHES = 64


@dataclass(frozen=True, slots=True)
class Row:
    """One nonce of ours. `raw` is the newest transaction signed for `key` there, `hashes` are those of all:
    any of them may land. `since_block` is the newest block when the first was signed.
    """

    key: bytes
    transaction: Transaction
    raw: bytes
    hashes: tuple[bytes, ...]
    since_block: int

    @property
    def nonce(self) -> int:
        return self.transaction.nonce

    @property
    def is_cancel(self) -> bool:
        return self.key == CANCEL

    def followed_by(self, transaction: Transaction, raw: bytes) -> Row:
        """This row after a further transaction for the same key was signed.

        Whatever is forgotten, it is not the one before: it may be the only one that is in a pool.
        """
        newest = (transaction_hash(self.raw), transaction_hash(raw))
        hashes = (*(tx for tx in self.hashes if tx not in newest), *dict.fromkeys(newest))[-MAX_HASHES:]
        return replace(self, transaction=transaction, raw=raw, hashes=hashes)


def call_key(call: GatewayCall) -> bytes:
    """What makes two calls the same: where and what, and the mandate or rotation, whoever certified it."""
    match call:
        case Execute():
            content = mandate_digest(call.mandate) + call.act_id
        case Rotate():
            content = rotation_digest(call.rotation)
        case _:
            content = gateway_calldata(call)
    return tagged("tocsin/evm/call/1", call.chain.encode() + call.gateway + content)


def row_to_bytes(row: Row) -> bytes:
    t = row.transaction
    fields: list[Value] = [
        t.chain_id,
        t.nonce,
        t.fees.most_wei,
        t.fees.tip_wei,
        t.gas,
        t.to,
        t.data,
        t.kind.value,
    ]
    return encode([VERSION, row.key, fields, row.raw, list(row.hashes), row.since_block])


def row_from_bytes(data: bytes) -> Row:
    """Read what `row_to_bytes` wrote.

    Raises:
        JournalError: the bytes are no row of this version.
    """
    try:
        return _row(decode(data, limit_bytes=MAX_ROW_BYTES))
    except (ProofError, ValueError) as error:
        raise JournalError(f"expected a sent transaction, got {data[:16].hex()}…: {error}") from error


def _row(value: Value) -> Row:
    match value:
        case (int(version), bytes(key), fields, bytes(raw), hashes, int(since)) if version == VERSION:
            return Row(key, _transaction(fields), raw, _hashes(hashes), since)
        case _:
            raise ValueError(f"expected version {VERSION} of a row")


def _transaction(value: Value) -> Transaction:
    match value:
        case (
            int(chain_id),
            int(nonce),
            int(most),
            int(tip),
            int(gas),
            bytes(to),
            bytes(data),
            str(kind),
        ):
            return Transaction(chain_id, nonce, Fees(most, tip), gas, to, data, FeeKind(kind))
        case _:
            raise ValueError("expected a transaction")


def _hashes(value: Value) -> tuple[bytes, ...]:
    if not isinstance(value, tuple | list):
        raise ValueError("expected hashes")  # noqa: TRY004 one error for all shapes
    return tuple(item for item in value if isinstance(item, bytes))


__all__ = ["CANCEL", "MAX_HASHES", "Row", "call_key", "row_from_bytes", "row_to_bytes"]
