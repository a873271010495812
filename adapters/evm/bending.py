"""Signs that a stranger could bend an act's state within one transaction (SPEC 8.3): warnings, no proofs.

A gateway judges by the state in the very transaction that a stranger composes. A state that follows a
balance, a pool's reserves, the clock or a call that anybody may make can be made to look as one likes.
"""

from __future__ import annotations

from collections.abc import Sequence

from adapters.evm import shapes
from adapters.evm.rpc import Request, Rpc, RpcError
from adapters.evm.state import CALL_GAS
from adapters.evm.trials import Trials, act_fields, rehearsal_code
from relay.core.readiness import ActToKeep

__all__ = ["STRANGER", "bending_warnings"]

STRANGER = "0x000000000000000000000000000000006d616c6c"
"""An address that nobody gave anything."""
_DONATION_WEI = 10**24
_LATER_S = 90 * 86_400


async def bending_warnings(rpc: Rpc, trials: Trials, act: ActToKeep, caller: str, at_s: int) -> Sequence[str]:
    """Look for them, with at most 8 requests; what the endpoint cannot show is not warned of.

    Raises:
        EndpointUnavailable: no usable answer.
    """
    registration = act.encoded.registration
    fields = act_fields(registration)
    warnings: list[str] = []
    if fields.state_target != fields.target:
        warnings.append(f"the state is read at {fields.state_target}, not at the target {fields.target}")
    others = await _other_storage(rpc, fields.state_target, fields.state_call, caller)
    if others:
        warnings.append(f"the state also depends on {', '.join(others)}: whoever moves that, moves it")
    plain = await trials.look(registration, caller)
    if plain is None or not plain.answered:
        return warnings
    lent = {"code": rehearsal_code()}
    changes: Sequence[tuple[str, Sequence[object]]] = (
        ("the coins that its contract holds: anybody can send some",
         [{caller: lent, fields.state_target: {"balance": hex(_DONATION_WEI)}}]),
        ("the block's time", [{caller: lent}, {"time": hex(at_s + _LATER_S)}]),
    )  # fmt: skip
    for what, parameters in changes:
        found = await trials.look(registration, caller, changes=parameters)
        if found is not None and (found.answered, found.value) != (plain.answered, plain.value):
            warnings.append(f"the state follows {what}")
    seen = await trials.look(registration, STRANGER)
    if seen is not None and (seen.answered, seen.value) != (plain.answered, plain.value):
        warnings.append("the state depends on who asks")
    warnings += await _strangers(trials, act, at_s)
    return warnings


async def _strangers(trials: Trials, act: ActToKeep, at_s: int) -> Sequence[str]:
    """Whether anybody at all may make the act's own calls."""
    _, call, undo = await trials.act_and_undo(
        act.encoded.registration, STRANGER, at_s=at_s, lasts_s=act.lasts_s
    )
    warnings: list[str] = []
    moved = call.reached is not None and call.deed.succeeded and call.reached.value != call.before.value
    if moved:
        warnings.append("a stranger's call changes the state as the act's does: anybody may bend it")
    undone = undo is not None and undo.reached is not None and undo.deed.succeeded
    if undone and undo is not None and undo.reached is not None and undo.reached.value != undo.before.value:
        warnings.append("a stranger's undo changes the state: anybody may end the protection")
    return warnings


async def _other_storage(rpc: Rpc, target: str, data: bytes, caller: str) -> Sequence[str]:
    """The contracts whose storage a getter reads beside its own, where the endpoint says so (EIP-2930).

    Code that is only delegated to, as behind a proxy, reads no storage of its own.
    """
    call = {"from": caller, "to": target, "data": "0x" + data.hex(), "gas": hex(CALL_GAS)}
    (reply,) = await rpc.replies([Request("eth_createAccessList", [call, "latest"])])
    if isinstance(reply, RpcError):
        return ()
    try:
        entries = [
            shapes.mapping(entry) for entry in shapes.sequence(shapes.mapping(reply).get("accessList"))
        ]
        touched = {
            "0x" + shapes.octets(entry.get("address"), 20).hex()
            for entry in entries
            if shapes.sequence(entry.get("storageKeys"))
        }
    except ValueError as error:
        raise rpc.unavailable(f"malformed access list: {error}") from None
    return sorted(touched - {target})
