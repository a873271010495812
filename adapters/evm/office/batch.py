"""Calls as files: a batch for the Safe's Transaction Builder, a Governor's proposal, plain calldata."""

from __future__ import annotations

import json
from collections.abc import Mapping, Sequence
from typing import assert_never

from eth_abi.abi import encode

from adapters.evm.abi import parse_address, selector
from adapters.evm.office.terms import address_text
from proofs.hashes import keccak256
from relay.core.errors import ConfigError
from relay.core.office import About, CallForm, OwnerCall

BUILDER_VERSION = "1.18.2"
"""The version of the Transaction Builder whose format this is."""
_PROPOSE = ("address[]", "uint256[]", "bytes[]", "string")
_REMEDY = "give --create2 FACTORY: then a contract is created by an ordinary call"


def render(calls: Sequence[OwnerCall], form: CallForm, about: About) -> str:
    """The text of a file.

    Raises:
        ConfigError: no call at all, or a creation in a form that has only calls.
    """
    if not calls:
        raise ConfigError("--out", "expected at least one call that works now, got none")
    match form:
        case CallForm.SAFE:
            return json.dumps(safe_batch(calls, about), indent=2, ensure_ascii=False) + "\n"
        case CallForm.GOVERNOR:
            return "0x" + governor_proposal(calls, about.description).hex() + "\n"
        case CallForm.CALLDATA:
            return "".join(f"{call.to or 'create'} 0x{call.data.hex()}\n" for call in calls)
        case _:
            assert_never(form)


def safe_batch(calls: Sequence[OwnerCall], about: About) -> dict[str, object]:
    """A batch file, version 1.0, with its checksum."""
    batch: dict[str, object] = {
        "version": "1.0",
        "chainId": calls[0].chain.partition(":")[2],
        "createdAt": about.created_at_ms,
        "meta": {
            "name": about.name,
            "description": about.description,
            "txBuilderVersion": BUILDER_VERSION,
            "createdFromSafeAddress": about.owner or "",
            "createdFromOwnerAddress": "",
        },
        "transactions": [_transaction(call) for call in calls],
    }
    return {**batch, "meta": {**_meta(batch), "checksum": safe_checksum(batch)}}


def _meta(batch: Mapping[str, object]) -> dict[str, object]:
    meta = batch["meta"]
    assert isinstance(meta, dict)
    return meta


def _transaction(call: OwnerCall) -> dict[str, object]:
    """With arguments, the builder shows and encodes them itself; with bytes alone it takes those."""
    common: dict[str, object] = {"to": _target(call), "value": "0"}
    if call.arguments is None:
        bare = {"contractMethod": None, "contractInputsValues": None}
        return {**common, "data": "0x" + call.data.hex(), **bare}
    inputs = [
        {"internalType": argument.type, "name": argument.name, "type": argument.type}
        for argument in call.arguments
    ]
    method = {"inputs": inputs, "name": call.method.partition("(")[0], "payable": False}
    values = {argument.name: argument.text for argument in call.arguments}
    return {**common, "data": None, "contractMethod": method, "contractInputsValues": values}


def safe_checksum(batch: Mapping[str, object]) -> str:
    """The builder's own checksum: Keccak-256 of the batch in its own order, without name and checksum."""
    meta = {key: value for key, value in _meta(batch).items() if key != "checksum"}
    return "0x" + keccak256(_serial({**batch, "meta": {**meta, "name": None}}).encode()).hex()


def _serial(value: object) -> str:
    """An object is its sorted keys as an array and then every value with a comma after it."""
    if isinstance(value, list):
        return f"[{','.join(_serial(each) for each in value)}]"
    if isinstance(value, dict):
        keys = sorted(value)
        return f"{{{_text(keys)}{''.join(_serial(value[key]) + ',' for key in keys)}}}"
    return _text(value)


def _text(value: object) -> str:
    return json.dumps(value, ensure_ascii=False, separators=(",", ":"))


def governor_proposal(calls: Sequence[OwnerCall], description: str) -> bytes:
    """Calldata of a Governor's `propose(address[],uint256[],bytes[],string)`."""
    targets = ["0x" + parse_address(_target(call), "to").hex() for call in calls]
    values = (targets, [0] * len(calls), [call.data for call in calls], description)
    return selector("propose", _PROPOSE) + encode(_PROPOSE, values)


def _target(call: OwnerCall) -> str:
    if call.to is None:
        raise ConfigError("--out", "expected calls, got the creation of a contract", remedy=_REMEDY)
    return address_text(call.to)


__all__ = ["BUILDER_VERSION", "governor_proposal", "render", "safe_batch", "safe_checksum"]
