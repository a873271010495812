"""The owner's calls: from a change to calldata, with its arguments as people and other tools write them."""

from __future__ import annotations

from collections.abc import Sequence
from typing import assert_never

from adapters.evm.abi import parse_address, parse_call
from adapters.evm.office.contract import Slot, gateway
from adapters.evm.office.terms import address_text
from proofs.hashes import keccak256
from relay.core.gateway_report import BudgetReport
from relay.core.office import (
    Announce,
    Argument,
    Change,
    OwnerCall,
    RegisterAct,
    RevokeAct,
    SetBudget,
    SetPlan,
)
from relay.core.types import Caip2, Gateway


def owner_call(chain: Caip2, to: Gateway, change: Change) -> OwnerCall:
    """The call that makes a change.

    A batch in the Safe's format writes structs by their parts, which tools read in different ways: calls that
    have one are given as bytes alone.
    """
    name, values = _call(chain, to, change)
    function = gateway().functions[name]
    data = function.call(*values)
    has_struct = any(slot.fields or slot.type == "bytes" for slot in function.inputs)
    return OwnerCall(
        chain=chain,
        to=address_text(to[12:]),
        data=data,
        method=function.text,
        arguments=None if has_struct else _arguments(function.inputs, values),
        id=keccak256(data),
    )


def _call(chain: Caip2, to: Gateway, change: Change) -> tuple[str, tuple[object, ...]]:
    match change:
        case RegisterAct(encoded, tier, duration_s):
            return "registerAct", (encoded.act_id, encoded.registration, int(tier), duration_s)
        case RevokeAct(act_id):
            return "revokeAct", (act_id,)
        case SetBudget(budget):
            return "setBudget", (budget_values(budget),)
        case SetPlan(plans):
            return "setPlan", (plans.current, plans.following, plans.overlap_until)
        case Announce(later):
            return "schedule", (owner_call(chain, to, later).data,)
        case _:
            assert_never(change)


def plain_call(chain: Caip2, to: str, call: str) -> OwnerCall:
    """A call written as in a plan.

    Raises:
        ConfigError: it is not written so, or `to` is no address.
    """
    where = f"call of {call}"
    data = parse_call(call, where).calldata
    target = address_text(parse_address(to, where))
    return OwnerCall(chain=chain, to=target, data=data, method=call, arguments=None, id=keccak256(data))


def budget_values(budget: BudgetReport) -> tuple[int, int, int]:
    """The fields of the gateway's `Budget`."""
    return budget.fast_s, budget.all_s, budget.fast_records


def _arguments(slots: Sequence[Slot], values: Sequence[object]) -> tuple[Argument, ...]:
    return tuple(
        Argument(slot.name, slot.type, "0x" + value.hex() if isinstance(value, bytes) else str(value))
        for slot, value in zip(slots, values, strict=True)
    )


__all__ = ["budget_values", "owner_call", "plain_call"]
