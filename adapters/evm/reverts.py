"""What a target reverts with, in words: the error's name, the role that is missing, who can give it. Pure."""

from __future__ import annotations

import re
from collections.abc import Mapping
from dataclasses import dataclass

from eth_abi.abi import decode
from eth_abi.exceptions import DecodingError

from adapters.evm.refusals import gateway_errors, refusal_reason
from adapters.evm.rpc import RpcError
from proofs.hashes import keccak256

__all__ = ["Refused", "name_refusal"]

_ROLE_NAMES = (
    "PAUSER_ROLE", "PAUSE_ROLE", "UNPAUSER_ROLE", "RESUME_ROLE", "GUARDIAN_ROLE", "PAUSE_GUARDIAN_ROLE",
    "EMERGENCY_ROLE", "EMERGENCY_ADMIN", "EMERGENCY_ADMIN_ROLE", "RISK_ADMIN", "RISK_ADMIN_ROLE",
    "FREEZER_ROLE", "LISTER_ROLE", "MANAGER_ROLE", "OPERATOR_ROLE", "ADMIN_ROLE", "KEEPER_ROLE",
    "SECURITY_COUNCIL_ROLE", "SENTINEL_ROLE", "POOL_ADMIN", "MINTER_ROLE", "TIMELOCK_ADMIN_ROLE",
)  # fmt: skip
_ROLES: Mapping[bytes, str] = {keccak256(name.encode()): name for name in _ROLE_NAMES} | {
    bytes(32): "DEFAULT_ADMIN_ROLE"
}
_OLD_ROLE = re.compile(r"^AccessControl: account (0x[0-9a-fA-F]{40}) is missing role (0x[0-9a-fA-F]{64})$")
_OLD_OWNER = "Ownable: caller is not the owner"


@dataclass(frozen=True, slots=True)
class Refused:
    """Why a call failed, and what to ask of whom; `remedy` is empty where nothing can be known."""

    reason: str
    remedy: str


def name_refusal(answer: bytes, text: str, *, caller: str, target: str) -> Refused:
    """Name a failed call by its revert data, or by the endpoint's `text` where there is none."""
    known = _known_error(answer, caller, target)
    if known is not None:
        return known
    reason = refusal_reason(RpcError(3, text, "0x" + answer.hex()), gateway_errors())
    old = _old_error(reason.removeprefix("Error: "), caller, target)
    return old or Refused(reason, f"ask the owner of {target} whether {caller} may make this call now")


def _known_error(answer: bytes, caller: str, target: str) -> Refused | None:
    for signature, types in _KNOWN.items():
        if answer[:4] != keccak256(signature.encode())[:4]:
            continue
        try:
            values = decode(types, answer[4:])
        except (OverflowError, DecodingError):
            return Refused(f"{signature.partition('(')[0]}, with arguments of another form", "")
        return _worded(signature.partition("(")[0], values, caller, target)
    return None


_KNOWN: Mapping[str, tuple[str, ...]] = {
    "AccessControlUnauthorizedAccount(address,bytes32)": ("address", "bytes32"),
    "OwnableUnauthorizedAccount(address)": ("address",),
    "AccessManagedUnauthorized(address)": ("address",),
    "AccessManagedRequiredDelay(address,uint32)": ("address", "uint32"),
    "AccessManagerUnauthorizedAccount(address,uint64)": ("address", "uint64"),
    "AccessManagerNotScheduled(bytes32)": ("bytes32",),
    "EnforcedPause()": (),
    "ExpectedPause()": (),
}


def _worded(name: str, values: tuple[object, ...], caller: str, target: str) -> Refused:
    match name, values:
        case "AccessControlUnauthorizedAccount", (str(account), bytes(role)):
            return _missing_role(name, account, role, target)
        case "OwnableUnauthorizedAccount", (str(account),):
            return _owner_only(name, account, target)
        case "AccessManagedUnauthorized", (str(account),):
            remedy = (
                f"ask the admin of {target}'s AccessManager to grant {account} the role of this function,"
                " with execution delay 0"
            )
            return Refused(f"{name}: {account} has no role for this function", remedy)
        case "AccessManagedRequiredDelay" | "AccessManagerNotScheduled", _:
            remedy = f"ask the admin of {target}'s AccessManager to set {caller}'s execution delay to 0"
            return Refused(f"{name}: the call would have to be scheduled first", remedy)
        case "AccessManagerUnauthorizedAccount", (str(account), int(role_id)):
            remedy = f"ask the AccessManager's admin to grant role {role_id} to {account}, with delay 0"
            return Refused(f"{name}: {account} lacks role {role_id}", remedy)
        case "EnforcedPause", _:
            return Refused(
                f"{name}: {target} is paused already", "nothing, if the state is what the act wants"
            )
        case "ExpectedPause", _:
            return Refused(f"{name}: {target} is not paused", "nothing, if somebody else has undone it")
        case _:
            return Refused(name, "")


def _old_error(text: str, caller: str, target: str) -> Refused | None:
    """OpenZeppelin's texts before version 5."""
    missing = _OLD_ROLE.match(text)
    if missing is not None:
        return _missing_role("AccessControl", missing[1].lower(), bytes.fromhex(missing[2][2:]), target)
    return _owner_only("Ownable", caller, target) if text == _OLD_OWNER else None


def _missing_role(name: str, account: str, role: bytes, target: str) -> Refused:
    named = _ROLES.get(role, "the role 0x" + role.hex())
    return Refused(
        f"{name}: {account} lacks {named}", f"ask the owner of {target} to grant {named} to {account}"
    )


def _owner_only(name: str, account: str, target: str) -> Refused:
    remedy = (
        f"ask the owner of {target} for a way in for {account}: only the owner may call this"
        " (a role, a guardian, or the gateway as a module of the owner's Safe)"
    )
    return Refused(f"{name}: {account} is not the owner", remedy)
