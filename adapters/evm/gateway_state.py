"""A gateway as one endpoint shows it, and whether it is as a plan needs it (SPEC 8.1)."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass

from adapters.evm import shapes
from adapters.evm.encode import address_text
from adapters.evm.office import fields
from adapters.evm.office.contract import Function, gateway, verifier
from adapters.evm.rpc import Request, Rpc, RpcError
from adapters.evm.state import CALL_GAS, is_fault
from proofs.mandate import Tier
from relay.core.readiness import ActToKeep, Fact, GatewayQuestion, Standing
from relay.core.types import ActId

__all__ = [
    "ActState",
    "GatewayState",
    "budget_fact",
    "gateway_fact",
    "plan_fact",
    "read_gateway",
    "registration_fact",
]

_GETTERS = ("isSealed", "paused", "network", "verifier", "refusedFrom", "planHashes", "budgetLeft")
_ACT_GETTERS = ("act", "actHash", "record", "stateOf")
_NO_PLAN = bytes(32)


@dataclass(frozen=True, slots=True)
class ActState:
    """An act at its gateway; `state` and `is_ours` are None where the getter does not answer."""

    act_hash: bytes
    tier: int
    duration_s: int
    is_on: bool
    until: int
    restore: int
    state: int | None
    is_ours: bool


@dataclass(frozen=True, slots=True)
class GatewayState:
    """A gateway at the newest block, whose time is `at_s`."""

    at_s: int
    is_sealed: bool
    is_paused: bool
    network: bytes
    verifier: str | None
    accepts_epoch: bool
    refused_from: int
    plans: frozenset[bytes]
    fast_s: int
    all_s: int
    fast_records: int
    acts: Mapping[ActId, ActState]


async def read_gateway(rpc: Rpc, question: GatewayQuestion) -> GatewayState | None:
    """Read it, in two round trips; None where no gateway answers at that address.

    Raises:
        EndpointUnavailable: for anything but full, well-formed answers of the endpoint.
    """
    build = gateway().functions
    to = address_text(question.gateway)
    calls: list[tuple[Function, tuple[object, ...]]] = [(build[name], ()) for name in _GETTERS]
    calls += [(build[name], (act.encoded.act_id,)) for act in question.acts for name in _ACT_GETTERS]
    served, block, *replies = await rpc.replies(
        [
            Request("eth_chainId", []),
            Request("eth_getBlockByNumber", ["latest", False]),
            *(_request(to, *call) for call in calls),
        ]
    )
    _assert_chain(rpc, served, question)
    answers = [_answer(rpc, function, reply) for (function, _), reply in zip(calls, replies, strict=True)]
    own, per_act = answers[: len(_GETTERS)], answers[len(_GETTERS) :]
    found = [answer for answer in own if answer is not None]
    if len(found) < len(own):
        return None
    sealed, paused, network, trusted, refused, plans, left = found
    budget = fields.struct(left, "0")
    address = fields.somebody(fields.text(trusted, "0"))
    return GatewayState(
        at_s=_time(rpc, block),
        is_sealed=sealed["0"] is True,
        is_paused=paused["0"] is True,
        network=fields.octets(network, "0"),
        verifier=address,
        accepts_epoch=address is not None and await _accepts(rpc, address, question.key_epoch),
        refused_from=fields.whole(refused, "0"),
        plans=frozenset({fields.octets(plans, "current"), fields.octets(plans, "next")} - {_NO_PLAN}),
        fast_s=fields.whole(budget, "fastSeconds"),
        all_s=fields.whole(budget, "allSeconds"),
        fast_records=fields.whole(budget, "fastRecords"),
        acts=_acts(question.acts, per_act),
    )


def _acts(
    acts: Sequence[ActToKeep], answers: Sequence[Mapping[str, object] | None]
) -> Mapping[ActId, ActState]:
    states: dict[ActId, ActState] = {}
    for place, act in enumerate(acts):
        entry, hashed, record, state = answers[4 * place : 4 * place + 4]
        if entry is None or hashed is None or record is None:
            continue
        kept = fields.struct(record, "0")
        states[act.encoded.act_id] = ActState(
            act_hash=fields.octets(hashed, "0"),
            tier=fields.whole(entry, "tier"),
            duration_s=fields.whole(entry, "maxDuration"),
            is_on=entry["active"] is True,
            until=fields.whole(kept, "until"),
            restore=fields.whole(kept, "restore"),
            state=None if state is None else fields.whole(state, "value"),
            is_ours=state is not None and state["isOurs"] is True,
        )
    return states


async def _accepts(rpc: Rpc, address: str, key_epoch: int) -> bool:
    function = verifier().functions["accepts"]
    (reply,) = await rpc.replies([_request(address, function, (key_epoch,))])
    answer = _answer(rpc, function, reply)
    return answer is not None and answer["0"] is True


def _request(to: str, function: Function, arguments: tuple[object, ...]) -> Request:
    data = "0x" + function.call(*arguments).hex()
    return Request("eth_call", [{"to": to, "data": data, "gas": hex(CALL_GAS)}, "latest"])


def _answer(rpc: Rpc, function: Function, reply: object) -> Mapping[str, object] | None:
    """The results by name, or None where the contract gives none of this form."""
    if isinstance(reply, RpcError):
        if is_fault(reply):
            return None
        raise rpc.unavailable(f"eth_call: {reply.text}")
    try:
        return function.answer(shapes.octets(reply))
    except ValueError as error:
        raise rpc.unavailable(f"malformed answer: {error}") from None


def _assert_chain(rpc: Rpc, served: object, question: GatewayQuestion) -> None:
    """An endpoint of another chain has no word on this one's gateways."""
    if served != hex(int(question.chain.partition(":")[2])):
        raise rpc.unavailable(f"serves another chain than {question.chain}")


def _time(rpc: Rpc, block: object) -> int:
    if isinstance(block, RpcError):
        raise rpc.unavailable(f"eth_getBlockByNumber: {block.text}")
    try:
        return shapes.quantity(shapes.mapping(block).get("timestamp"))
    except ValueError as error:
        raise rpc.unavailable(f"malformed block: {error}") from None


# ---- facts


def gateway_fact(name: str, question: GatewayQuestion, state: GatewayState) -> Fact:
    """Whether it takes this committee's mandates at all."""
    where = address_text(question.gateway)
    epoch = question.key_epoch
    problems = [
        (not state.is_sealed, "no plan was ever set: it accepts no mandate", "ask its owner to set the plan"),
        (state.is_paused, "it is paused", "ask its owner to call unpauseGateway"),
        (
            state.network != question.network,
            f"it serves the network 0x{state.network.hex()}",
            "correct the plan's gateway",
        ),
        (state.verifier is None, "it trusts no verifier", "ask its owner to call setVerifier"),
        (
            state.refused_from <= epoch,
            f"it refuses key epochs from {state.refused_from} on, ours is {epoch}",
            f"ask its owner to call refuseEpochsFrom with a number above {epoch}",
        ),
        (
            state.verifier is not None and not state.accepts_epoch,
            f"its verifier {state.verifier} does not accept key epoch {epoch}",
            "carry the rotation of keys to the verifier, or ask the gateway's owner to call setVerifier",
        ),
    ]
    found = [(reason, remedy) for holds, reason, remedy in problems if holds]
    if not found:
        return Fact(name, Standing.HELD, where)
    reasons = "; ".join(reason for reason, _ in found)
    return Fact(name, Standing.FAILED, f"{where}: {reasons}", f"{found[0][1]} ({where})")


def plan_fact(name: str, question: GatewayQuestion, state: GatewayState) -> Fact:
    """Whether the plan's hash is registered, as current or as next."""
    if question.plan_hash in state.plans:
        return Fact(name, Standing.HELD, f"0x{question.plan_hash.hex()[:16]}… is registered")
    registered = ", ".join(f"0x{known.hex()[:16]}…" for known in sorted(state.plans)) or "none"
    where = address_text(question.gateway)
    remedy = f"ask the owner of the gateway {where} to call setPlan with 0x{question.plan_hash.hex()}"
    return Fact(name, Standing.FAILED, f"registered at {where}: {registered}", remedy)


def budget_fact(name: str, question: GatewayQuestion, state: GatewayState) -> Fact:
    """Whether a new record could be paid now."""
    left = f"left in this window: {state.fast_records} fast records, {state.fast_s} s, {state.all_s} s in all"
    has_fast = any(act.tier is Tier.FAST for act in question.acts)
    is_spent = not state.all_s or (has_fast and not (state.fast_s and state.fast_records))
    if not question.acts or not is_spent:
        return Fact(name, Standing.HELD, left)
    remedy = "wait for the next window, or ask the gateway's owner for a larger budget"
    return Fact(name, Standing.FAILED, left, remedy)


def registration_fact(name: str, act: ActToKeep, state: GatewayState, where: str) -> Fact:
    """Whether the gateway knows the very act, for this tier and so long."""
    known = state.acts.get(act.encoded.act_id)
    remedy = f"ask the owner of the gateway {where} to register the act (tocsin gateway register)"
    if known is None or not known.is_on:
        return Fact(name, Standing.FAILED, "the act is not registered, or off", remedy)
    if known.act_hash != act.encoded.act_hash:
        reason = (
            f"the gateway has another act: 0x{known.act_hash.hex()}, expected 0x{act.encoded.act_hash.hex()}"
        )
        return Fact(name, Standing.FAILED, reason, remedy)
    if known.tier > act.tier:
        return Fact(name, Standing.FAILED, "the gateway takes it from a full quorum only", remedy)
    if known.duration_s < act.lasts_s:
        reason = f"the gateway permits {known.duration_s} s, the plan asks for {act.lasts_s} s"
        return Fact(name, Standing.FAILED, reason, remedy)
    more = known.tier < act.tier or known.duration_s > act.lasts_s
    note = f"the gateway permits more than the plan: tier {known.tier}, {known.duration_s} s" if more else ""
    return Fact(name, Standing.HELD, note)
