"""The verifier behind a gateway as one endpoint shows it: what hands it over to the next epoch rests on."""

from __future__ import annotations

from collections.abc import Mapping, Sequence

from adapters.evm import shapes
from adapters.evm.abi import parse_address
from adapters.evm.encode import address_text
from adapters.evm.office import fields
from adapters.evm.office.contract import Function, gateway, verifier
from adapters.evm.rpc import Request, Rpc, RpcError
from adapters.evm.state import CALL_GAS, is_fault
from relay.core.rotations import VerifierEpoch, VerifierState
from relay.core.types import Address, Gateway, NetworkId

__all__ = ["read_epoch", "read_verifier"]

MAX_ATTESTERS = 50
_BASE = ("network", "rotationDelay", "overlap", "keyEpoch")
_Call = tuple[Function, tuple[object, ...]]


async def read_verifier(rpc: Rpc, at: Gateway) -> VerifierState | None:
    """Read it, in four round trips; None where no gateway or no verifier answers.

    It holds the epoch in force, the one before and the one announced, as far as there are such.

    Raises:
        EndpointUnavailable: for anything but full, well-formed answers of the endpoint.
    """
    (served,) = await rpc.replies([Request("eth_chainId", [])])
    if served != hex(int(rpc.chain.partition(":")[2])):
        raise rpc.unavailable(f"serves another chain than {rpc.chain}")
    (trusted,) = await _ask(rpc, address_text(at), [(gateway().functions["verifier"], ())])
    address = None if trusted is None else fields.somebody(fields.text(trusted, "0"))
    if address is None:
        return None
    build = verifier().functions
    network, delay, overlap, in_force = await _ask(rpc, address, [(build[name], ()) for name in _BASE])
    if network is None or delay is None or overlap is None or in_force is None:
        return None
    current = fields.whole(in_force, "0")
    numbers = range(max(0, current - 1), current + 2)
    answers = await _ask(rpc, address, [(build["epochKeys"], (number,)) for number in numbers])
    epochs = [_epoch(number, answer) for number, answer in zip(numbers, answers, strict=True)]
    found = tuple(each for each in epochs if each is not None)
    if not found:
        return None
    return VerifierState(
        chain=rpc.chain,
        verifier=Gateway(bytes(12) + parse_address(address, "verifier")),
        network=NetworkId(fields.octets(network, "0")),
        delay_s=fields.whole(delay, "0"),
        overlap_s=fields.whole(overlap, "0"),
        epochs=found,
    )


async def read_epoch(rpc: Rpc, at: Gateway, key_epoch: int) -> VerifierEpoch | None:
    """One key epoch of the verifier at that address; None where it shows none.

    Raises:
        EndpointUnavailable: as `read_verifier`.
    """
    call = (verifier().functions["epochKeys"], (key_epoch,))
    (answer,) = await _ask(rpc, address_text(at), [call])
    return _epoch(key_epoch, answer)


async def _ask(rpc: Rpc, to: str, calls: Sequence[_Call]) -> list[Mapping[str, object] | None]:
    """What the contract answers; None where it reverts, or answers in another form."""
    replies = await rpc.replies(
        [
            Request(
                "eth_call",
                [{"to": to, "data": "0x" + function.call(*arguments).hex(), "gas": hex(CALL_GAS)}, "latest"],
            )
            for function, arguments in calls
        ]
    )
    return [_answer(rpc, function, reply) for (function, _), reply in zip(calls, replies, strict=True)]


def _answer(rpc: Rpc, function: Function, reply: object) -> Mapping[str, object] | None:
    if isinstance(reply, RpcError):
        if is_fault(reply):
            return None
        raise rpc.unavailable(reply.text)
    try:
        return function.answer(shapes.octets(reply))
    except ValueError as error:
        raise rpc.unavailable(f"malformed answer: {error}") from None


def _epoch(number: int, answer: Mapping[str, object] | None) -> VerifierEpoch | None:
    if answer is None:
        return None
    keys, listed = fields.struct(answer, "keys"), fields.items(answer, "attesters")
    if not listed or len(listed) > MAX_ATTESTERS:
        return None
    attesters = tuple(Address(parse_address(str(each), "attesters")) for each in listed)
    fast, full = (_group_key(keys, f"frost{tier}") for tier in ("Fast", "Full"))
    return VerifierEpoch(
        key_epoch=number,
        attesters=attesters,
        fast=fields.whole(keys, "fast"),
        full=fields.whole(keys, "full"),
        groups=None if fast is None or full is None else (fast, full),
        valid_from=fields.whole(keys, "validFrom"),
        valid_until=fields.whole(keys, "validUntil"),
    )


def _group_key(keys: Mapping[str, object], name: str) -> bytes | None:
    x, parity = fields.whole(keys, name), fields.whole(keys, f"{name}Parity")
    return bytes([parity]) + x.to_bytes(32, "big") if x and parity in (2, 3) else None
