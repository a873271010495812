"""All that one endpoint says of a gateway at one block.

A revert or an answer of another shape is what the contract says, alike at every honest endpoint; no answer,
or an endpoint's own error, is `EndpointUnavailable`.
"""

from __future__ import annotations

from collections.abc import Iterable, Mapping, Sequence
from dataclasses import replace

from adapters.evm import shapes
from adapters.evm.office import announced, fields
from adapters.evm.office.code import code_report, gateway_creation, verifier_creation
from adapters.evm.office.contract import Build, gateway, verifier
from adapters.evm.office.terms import act_terms, address_text, registered_hash
from adapters.evm.reads import CALL_GAS, is_fault
from adapters.evm.rpc import Request, Rpc, RpcError
from relay.core.gateway_report import (
    ActReport,
    BudgetReport,
    CodeReport,
    GatewayReport,
    KeyEpochReport,
    NoGateway,
    PlansReport,
    RecordReport,
    StateReport,
    Survey,
    VerifierReport,
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
        (reply,) = await self._rpc.replies([Request("eth_getCode", [self._address, self._block])])
        content = self._content(reply)
        if content is None:
            raise self._rpc.unavailable("eth_getCode: an error instead of code")
        return content

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
    scheduled, since = await announced.scheduled(
        rpc, settings, at, address, report.weakening_delay_s, desk.ask
    )
    return replace(
        report,
        acts=await _acts(desk, on, known),
        booked=await _booked(desk, at.block.timestamp // window),
        refused_from=await _refused_from(desk),
        verifier=await _verifier(rpc, at, report.verifier_address),
        scheduled=scheduled,
        scheduled_since=since,
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


# ---- the verifier


async def _verifier(rpc: Rpc, at: Header, address: str | None) -> VerifierReport | None:
    if address is None:
        return None
    desk = Desk(rpc, at, address, verifier())
    code = await desk.code()
    told = await desk.ask([(name, ()) for name in ("network", "rotationDelay", "overlap", "keyEpoch")])
    network, delay, overlap, newest = told
    if not code or network is None or delay is None or overlap is None or newest is None:
        return None
    epoch = fields.whole(newest, "0")
    before, now, after = await _epochs(desk, epoch)
    if now is None:
        return None
    report = VerifierReport(
        address=address,
        code=code_report(code, verifier(), None),
        network=fields.octets(network, "0"),
        rotation_delay_s=fields.whole(delay, "0"),
        overlap_s=fields.whole(overlap, "0"),
        current=now,
        previous=before if before is not None and before.valid_until >= at.block.timestamp else None,
        pending=after,
    )
    if not report.code.is_ours:
        return report
    rebuilt = await desk.created(verifier_creation(verifier(), report))
    return replace(report, code=code_report(code, verifier(), rebuilt))


async def _epochs(desk: Desk, epoch: int) -> list[KeyEpochReport | None]:
    """The epoch before, the one in force and the next; None where there is none."""
    numbers = [(epoch + shift) % (1 << 32) for shift in (-1, 0, 1)]
    answers = await desk.ask([("epochKeys", (number,)) for number in numbers])
    return [_epoch(number, answer) for number, answer in zip(numbers, answers, strict=True)]


def _epoch(number: int, answer: Answer) -> KeyEpochReport | None:
    if answer is None:
        return None
    keys, attesters = fields.struct(answer, "keys"), fields.items(answer, "attesters")
    if not attesters or len(attesters) > MAX_KNOWN:
        return None
    return KeyEpochReport(
        epoch=number,
        attesters=tuple(address_text(str(attester)) for attester in attesters),
        fast=fields.whole(keys, "fast"),
        full=fields.whole(keys, "full"),
        valid_from=fields.whole(keys, "validFrom"),
        valid_until=fields.whole(keys, "validUntil"),
    )


__all__ = ["MAX_ACTS", "Desk", "survey"]
