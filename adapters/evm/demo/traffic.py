"""Feeding blocks to a development chain: several transactions and the block's own time in one round trip."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass, field
from typing import Final

from eth_abi.abi import encode
from eth_abi.grammar import TupleType, parse
from eth_utils.crypto import keccak

from adapters.evm import shapes
from adapters.evm.devchain import Anvil
from relay.core.errors import ChainError

__all__ = ["Call", "Driver", "encode_arguments", "encode_call"]

MAX_FEE_WEI: Final = 10**12
PRIORITY_FEE_WEI: Final = 10**9
DEPLOY_GAS: Final = 15_000_000


@dataclass(frozen=True, slots=True)
class Call:
    """A transaction of an unlocked account."""

    sender: str
    to: str | None
    """None deploys `data`."""
    data: bytes
    gas: int = 400_000


def encode_call(signature: str, *arguments: object) -> bytes:
    """Give the calldata of `name(types)` with `arguments`."""
    return keccak(text=signature)[:4] + encode_arguments(signature[signature.index("(") :], *arguments)


def encode_arguments(types: str, *arguments: object) -> bytes:
    """Give `arguments` encoded as those of a call or constructor; `types` as `(address,bytes32[])`."""
    if types == "()":
        return b""
    parsed = parse(types)
    assert isinstance(parsed, TupleType), types
    return encode([component.to_type_str() for component in parsed.components], arguments)


@dataclass(slots=True)
class Driver:
    """Mines the blocks of one chain, and nobody else does."""

    anvil: Anvil
    _nonces: dict[str, int] = field(default_factory=dict)

    async def block(self, timestamp: int, calls: Sequence[Call] = ()) -> list[bytes]:
        """Mine one block at `timestamp` with `calls` in this order; gives the transactions' hashes.

        What others have handed in meanwhile (the relays' own calls) is mined with them.
        """
        batch: list[dict[str, object]] = []
        for call in calls:
            batch.append(_request(len(batch), "eth_sendTransaction", [await self._transaction(call)]))
        batch.append(_request(len(batch), "evm_mine", [{"timestamp": timestamp}]))
        async with self.anvil.session.post(self.anvil.url, json=batch) as response:
            answers = [shapes.mapping(answer) for answer in shapes.sequence(await response.json())]
        failed = next((answer["error"] for answer in answers if "error" in answer), None)
        if failed is not None:
            raise ChainError(self.anvil.chain, f"block at {timestamp}: {failed}")
        by_id = {_number(answer["id"]): answer.get("result") for answer in answers}
        return [shapes.octets(by_id[number], 32) for number in range(len(calls))]

    async def succeeded(self, transactions: Sequence[bytes]) -> list[bool]:
        """Tell which of these mined transactions took effect."""
        if not transactions:
            return []
        batch = [
            _request(number, "eth_getTransactionReceipt", ["0x" + tx.hex()])
            for number, tx in enumerate(transactions)
        ]
        async with self.anvil.session.post(self.anvil.url, json=batch) as response:
            answers = [shapes.mapping(answer) for answer in shapes.sequence(await response.json())]
        by_id = {_number(answer["id"]): shapes.mapping(answer["result"]) for answer in answers}
        return [shapes.quantity(by_id[number]["status"]) == 1 for number in range(len(transactions))]

    async def deploy(self, sender: str, code: bytes) -> str:
        """Deploy a contract in a block of its own; its address in lower-case 0x hex.

        Raises:
            ChainError: the constructor failed.
        """
        [tx] = await self.block(await self.next_time(), [Call(sender, None, code, gas=DEPLOY_GAS)])
        receipt = shapes.mapping(await self.anvil.rpc("eth_getTransactionReceipt", "0x" + tx.hex()))
        if shapes.quantity(receipt["status"]) != 1:
            raise ChainError(self.anvil.chain, "the constructor reverted")
        return "0x" + shapes.octets(receipt["contractAddress"], 20).hex()

    async def next_time(self) -> int:
        """A second after the head's timestamp."""
        head = shapes.mapping(await self.anvil.rpc("eth_getBlockByNumber", "latest", False))
        return shapes.quantity(head["timestamp"]) + 1

    async def number(self) -> int:
        """The head's number."""
        return shapes.quantity(await self.anvil.rpc("eth_blockNumber"))

    async def _transaction(self, call: Call) -> dict[str, str]:
        if call.sender not in self._nonces:
            await self.anvil.assert_chain()
            count = await self.anvil.rpc("eth_getTransactionCount", call.sender, "pending")
            self._nonces[call.sender] = shapes.quantity(count)
        nonce = self._nonces[call.sender]
        self._nonces[call.sender] += 1
        return {
            "from": call.sender,
            **({"to": call.to} if call.to is not None else {}),
            "data": "0x" + call.data.hex(),
            "gas": hex(call.gas),
            "nonce": hex(nonce),
            "maxFeePerGas": hex(MAX_FEE_WEI),
            "maxPriorityFeePerGas": hex(PRIORITY_FEE_WEI),
        }


def _request(number: int, method: str, parameters: list[object]) -> dict[str, object]:
    return {"jsonrpc": "2.0", "id": number, "method": method, "params": parameters}


def _number(value: object) -> int:
    if not isinstance(value, int):
        raise ValueError(f"expected the number of a request, got {value!r}")  # noqa: TRY004 one error for all shapes
    return value
