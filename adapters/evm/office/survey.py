"""All that one endpoint says of a gateway at one block.

A revert or an answer of another shape is what the contract says, alike at every honest endpoint; no answer,
or an endpoint's own error, is `EndpointUnavailable`.
"""

from __future__ import annotations

from collections.abc import Iterable, Mapping, Sequence
from dataclasses import replace

from adapters.evm.office import announced, fields
from adapters.evm.office.code import code_report, gateway_creation
from adapters.evm.office.contract import gateway
from adapters.evm.office.desk import Answer, Desk
from adapters.evm.office.terms import act_terms, address_text, registered_hash
from adapters.evm.office.verifier import verifier_report
from adapters.evm.rpc import Rpc
from relay.core.gateway_report import (
    ActReport,
    BudgetReport,
    CodeReport,
    GatewayReport,
    NoGateway,
    PlansReport,
    RecordReport,
    StateReport,
    Survey,
)
from relay.core.ports import ChainSettings
from relay.core.types import ActId, Header, PlanHash

MAX_ACTS = 64
"""What a gateway holds at most; more is no gateway of ours."""
MAX_KNOWN = 256
NO_EPOCH_REFUSED = (1 << 32) - 1
_BASE = (
    "owner", "pendingOwner", "guardian", "verifier", "network", "skew", "weakeningDelay", "window", "paused",
    "isSealed", "budget", "budgetLeft", "planHashes", "actIds",
)  # fmt: skip
_PER_ACT = ("act", "actHash", "record", "stateOf")


async def survey(
    rpc: Rpc, settings: ChainSettings, at: Header, address: str, known: Sequence[ActId]
) -> Survey:
    """Read a gateway at one block through one endpoint."""
    desk = Desk(rpc, at, address, gateway())
    text = address_text(address)
    code = await desk.code()
    if not code:
        return NoGateway(at.block, text, "there is no contract at this address")
    answers = await desk.ask([(name, ()) for name in _BASE])
    silent = [name for name, answer in zip(_BASE, answers, strict=True) if answer is None]
    if silent:
        return NoGateway(at.block, text, f"it does not answer {', '.join(silent[:3])} as a gateway does")
    base = {name: answer for name, answer in zip(_BASE, answers, strict=True) if answer is not None}
    on = [_act_id(each) for each in fields.items(base["actIds"], "0")]
    window = fields.whole(base["window"], "0")
    if len(on) > MAX_ACTS or window == 0:
        return NoGateway(at.block, text, f"expected up to {MAX_ACTS} acts and a window, got other answers")
    report = _base_report(at, text, code_report(code, gateway(), None), base)
    if report.code.is_ours:
        rebuilt = await desk.created(gateway_creation(gateway(), report))
        report = replace(report, code=code_report(code, gateway(), rebuilt))
    pending = await announced.scheduled(rpc, settings, at, address, report.weakening_delay_s, desk.ask)
    return replace(
        report,
        acts=await _acts(desk, on, known),
        booked=await _booked(desk, at.block.timestamp // window),
        refused_from=await _refused_from(desk),
        verifier=await verifier_report(rpc, at, report.verifier_address),
        scheduled=pending.changes,
        scheduled_since=pending.since,
        is_all_scheduled=pending.is_all,
    )


def _base_report(
    at: Header, address: str, code: CodeReport, base: Mapping[str, Mapping[str, object]]
) -> GatewayReport:
    verifier_address = fields.somebody(fields.text(base["verifier"], "0"))
    pending = fields.somebody(fields.text(base["pendingOwner"], "0"))
    guardian = fields.somebody(fields.text(base["guardian"], "0"))
    plans = base["planHashes"]
    return GatewayReport(
        block=at.block,
        gateway=address,
        code=code,
        owner=address_text(fields.text(base["owner"], "0")),
        pending_owner=address_text(pending) if pending else None,
        guardian=address_text(guardian) if guardian else None,
        verifier_address=address_text(verifier_address) if verifier_address else None,
        verifier=None,
        network=fields.octets(base["network"], "0"),
        skew_s=fields.whole(base["skew"], "0"),
        weakening_delay_s=fields.whole(base["weakeningDelay"], "0"),
        window_s=fields.whole(base["window"], "0"),
        budget=announced.budget_report(fields.struct(base["budget"], "0")),
        left=announced.budget_report(fields.struct(base["budgetLeft"], "0")),
        booked=(),
        plans=PlansReport(
            PlanHash(fields.octets(plans, "current")),
            PlanHash(fields.octets(plans, "next")),
            fields.whole(plans, "overlapUntil"),
        ),
        is_sealed=bool(base["isSealed"]["0"]),
        is_paused=bool(base["paused"]["0"]),
        refused_from=None,
        acts=(),
        scheduled=(),
        scheduled_since=at.block.number,
        is_all_scheduled=False,
    )


def _act_id(value: object) -> ActId:
    assert isinstance(value, bytes)
    return ActId(value)


async def _refused_from(desk: Desk) -> int | None:
    """The first key epoch that the gateway refuses; a gateway of an older build refuses none."""
    if not desk.has("refusedFrom"):
        return None
    (answer,) = await desk.ask([("refusedFrom", ())])
    first = NO_EPOCH_REFUSED if answer is None else fields.whole(answer, "0")
    return None if first == NO_EPOCH_REFUSED else first


async def _booked(desk: Desk, index: int) -> tuple[BudgetReport, ...]:
    windows = [number for number in (index - 1, index, index + 1) if number >= 0]
    answers = await desk.ask([("usage", (number,)) for number in windows])
    return tuple(
        announced.budget_report(fields.struct(answer, "0")) for answer in answers if answer is not None
    )


# ---- acts


async def _acts(desk: Desk, on: Sequence[ActId], known: Iterable[ActId]) -> tuple[ActReport, ...]:
    """The acts that are on, and those that are off with an open record; in the order of their ids."""
    off = [act for act in dict.fromkeys(known) if act not in on][:MAX_KNOWN]
    asked = sorted({*on, *off})
    answers = await desk.ask([(name, (act,)) for act in asked for name in _PER_ACT])
    reports = [
        _act(act, act in on, answers[place * len(_PER_ACT) : (place + 1) * len(_PER_ACT)])
        for place, act in enumerate(asked)
    ]
    return tuple(each for each in reports if each.is_on or (each.record is not None and each.record.is_open))


def _act(act_id: ActId, is_on: bool, answers: Sequence[Answer]) -> ActReport:  # noqa: FBT001
    content, told, record, state = answers
    hash_ = bytes(32) if told is None else fields.octets(told, "0")
    terms = None
    if content is not None:
        struct = fields.struct(content, "act_")
        own = registered_hash(struct)
        # A hash of zero is told of an act that is off: then the content speaks for itself.
        if own == hash_ or (not is_on and hash_ == bytes(32)):
            terms, hash_ = act_terms(struct), own
    return ActReport(
        act_id=act_id,
        act_hash=hash_,
        terms=terms,
        tier=0 if content is None else fields.whole(content, "tier"),
        duration_s=0 if content is None else fields.whole(content, "maxDuration"),
        is_on=is_on,
        state=None if state is None else _state(state),
        record=None if record is None else _record(fields.struct(record, "0")),
    )


def _state(values: Mapping[str, object]) -> StateReport:
    return StateReport(fields.whole(values, "value"), bool(values["isProtected"]), bool(values["isOurs"]))


def _record(values: Mapping[str, object]) -> RecordReport:
    names = ("until", "last", "endedAt", "since", "restore")
    return RecordReport(*(fields.whole(values, name) for name in names))


__all__ = ["MAX_ACTS", "survey"]
