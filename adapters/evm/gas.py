"""How much gas a call to a gateway is given (core SPEC 6.6, EIP-150)."""

from __future__ import annotations

from eth_abi.abi import decode
from eth_abi.exceptions import DecodingError

from adapters.evm import shapes
from adapters.evm.abi import selector
from adapters.evm.crowd import Crowd
from adapters.evm.encode import ACT_TYPES, MAX_GAS_CAP
from adapters.evm.rpc import Request, Rpc, RpcError
from adapters.evm.state import is_fault
from proofs.mandate import CERTIFICATE_FROST
from relay.core.ports import Execute, GatewayCall

GAS_FLOOR = 700_000
"""For a gateway that tells no cap: a call that changes nothing at the newest block may do its whole work in
the next one. Gas that is not used is not paid."""
GAS_MARGIN = 50_000
GAS_LIMIT_CAP = 1 << 24
"""What one transaction may use (EIP-7825)."""
INTRINSIC_GAS = 21_000
BYTE_GAS = 40
"""The most that a byte of calldata can cost (EIP-7623)."""
GATEWAY_GAS = 500_000
"""What a gateway does around an act's call, getters that burn their 100,000 included, and what it must have
left beside it."""
SIGNATURE_GAS = 9_000
"""A signature of an attester, found in a list of fifty."""
FROST_GAS = 20_000
"""One signature of a group, whatever the number of signers."""
_SIGNATURE_BYTES = 65
_ACT = selector("act", ("bytes32",))
_ACT_HASH = selector("actHash", ("bytes32",))
_ACT_ANSWER = (f"({','.join(ACT_TYPES)})", "uint8", "uint64", "bool")


class ActCaps:
    """The gas caps of registered acts, read once for each hash of an act."""

    def __init__(self, crowd: Crowd) -> None:
        self._crowd = crowd
        self._caps: dict[tuple[str, bytes, bytes], int] = {}

    async def cap_of(self, gateway: str, act_id: bytes) -> int | None:
        """What the act's call gets; None where enough endpoints do not say so alike."""
        act_hash = await self._read(gateway, _ACT_HASH + act_id)
        if act_hash is None:
            return None
        key = (gateway, act_id, act_hash)
        if key not in self._caps:
            answer = await self._read(gateway, _ACT + act_id)
            cap = None if answer is None else _gas_cap(answer)
            if cap is None:
                return None
            if act_hash == bytes(32):  # off: nothing tells another act of this id apart
                return cap
            self._caps[key] = cap
        return self._caps[key]

    async def _read(self, gateway: str, data: bytes) -> bytes | None:
        async def ask(rpc: Rpc) -> bytes:
            call = {"to": gateway, "data": "0x" + data.hex()}
            (reply,) = await rpc.replies([Request("eth_call", [call, "latest"])])
            if isinstance(reply, RpcError):
                if is_fault(reply):
                    return b""
                raise rpc.unavailable(reply.text)
            try:
                return shapes.octets(reply)
            except ValueError as error:
                raise rpc.unavailable(f"malformed answer: {error}") from None

        answer, agreeing = await self._crowd.agreed(ask) or (b"", 0)
        # One alone is not believed: a cap too high would ask for more funds than there are.
        return answer if answer and agreeing >= self._crowd.need else None


def _gas_cap(answer: bytes) -> int | None:
    try:
        act, _tier, _most, _active = decode(_ACT_ANSWER, answer)
    except (OverflowError, DecodingError):  # a length beyond memory is the former
        return None
    cap = act[-1]
    return cap if 0 < cap <= MAX_GAS_CAP else None


def gas_limit(call: GatewayCall, data: bytes, estimate: int, cap: int | None) -> int:
    """The limit of a transaction: what the simulation used and a quarter more, and at least what the act may
    use, because its state may be another in the block than it was in the simulation.
    """
    needed = estimate + estimate // 4 + GAS_MARGIN
    least = GAS_FLOOR
    if cap is not None:
        certified = _certificate_gas(call.certificate) if isinstance(call, Execute) else 0
        around = INTRINSIC_GAS + BYTE_GAS * len(data) + certified + GATEWAY_GAS
        least = cap * 64 // 63 + 1 + around
    return min(max(needed, least), GAS_LIMIT_CAP)


def _certificate_gas(certificate: bytes) -> int:
    if certificate[:1] == bytes([CERTIFICATE_FROST]):
        return FROST_GAS
    return SIGNATURE_GAS * (len(certificate) // _SIGNATURE_BYTES)


__all__ = ["FROST_GAS", "GAS_FLOOR", "GAS_LIMIT_CAP", "ActCaps", "gas_limit"]
