"""Asking one contract at one block, through one endpoint.

A revert or an answer of another shape is what the contract says, alike at every honest endpoint; no answer,
or an endpoint's own error, is `EndpointUnavailable`.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence

from adapters.evm import shapes
from adapters.evm.office.contract import Build
from adapters.evm.rpc import Request, Rpc, RpcError
from adapters.evm.state import CALL_GAS, is_fault
from relay.core.types import Header

Answer = Mapping[str, object] | None


class Desk:
    """Asks one contract at one block."""

    def __init__(self, rpc: Rpc, at: Header, address: str, build: Build) -> None:
        self._rpc = rpc
        self._block = {"blockHash": "0x" + at.block.hash.hex(), "requireCanonical": True}
        self._address = address
        self._build = build

    async def ask(self, questions: Sequence[tuple[str, tuple[object, ...]]]) -> list[Answer]:
        """Answers of getters, in order; None where the contract fails, or answers in another shape."""
        functions = [self._build.functions[name] for name, _ in questions]
        requests = [
            self._call(function.call(*arguments))
            for function, (_, arguments) in zip(functions, questions, strict=True)
        ]
        replies = await self._rpc.replies(requests)
        contents = [self._content(reply) for reply in replies]
        return [
            None if content is None else function.answer(content)
            for function, content in zip(functions, contents, strict=True)
        ]

    def has(self, name: str) -> bool:
        return name in self._build.functions

    async def code(self) -> bytes:
        """The code at the address; empty where there is none."""
        (code,) = await self.codes([self._address])
        return code

    async def codes(self, addresses: Sequence[str]) -> list[bytes]:
        """The code at other addresses, in order."""
        requests = [Request("eth_getCode", [address, self._block]) for address in addresses]
        contents = [self._content(reply) for reply in await self._rpc.replies(requests)]
        if None in contents:
            raise self._rpc.unavailable("eth_getCode: an error instead of code")
        return [content for content in contents if content is not None]

    async def storage_root(self) -> bytes | None:
        """The root over all of the contract's storage (EIP-1186); None where the endpoint tells none."""
        (reply,) = await self._rpc.replies([Request("eth_getProof", [self._address, [], self._block])])
        if isinstance(reply, RpcError):
            return None
        try:
            return shapes.octets(shapes.mapping(reply).get("storageHash"), 32)
        except ValueError:
            return None

    async def created(self, creation: bytes) -> bytes | None:
        """What a constructor leaves at this block.

        Empty where it reverts, None where the endpoint does not run it.
        """
        call = {"data": "0x" + creation.hex(), "gas": hex(CALL_GAS)}
        (reply,) = await self._rpc.replies([Request("eth_call", [call, self._block])])
        if isinstance(reply, RpcError):
            return b"" if is_fault(reply) else None
        return self._content(reply)

    def _call(self, data: bytes) -> Request:
        call = {"to": self._address, "data": "0x" + data.hex(), "gas": hex(CALL_GAS)}
        return Request("eth_call", [call, self._block])

    def _content(self, reply: object) -> bytes | None:
        if isinstance(reply, RpcError):
            if is_fault(reply):
                return None
            raise self._rpc.unavailable(f"eth_call: {reply.text}")
        try:
            return shapes.octets(reply)
        except ValueError as error:
            raise self._rpc.unavailable(f"malformed answer: {error}") from None


__all__ = ["Answer", "Desk"]
