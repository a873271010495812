"""Reports of gateways as an adapter would give them, made by hand."""

from __future__ import annotations

from dataclasses import replace
from typing import Any

from adapters.evm.encode import act_id
from relay.core.gateway_report import (
    ActReport,
    ActTerms,
    BudgetReport,
    CodeReport,
    GatewayReport,
    KeyEpochReport,
    PlansReport,
    RecordReport,
    StateReport,
    UndoKind,
    VerifierReport,
)
from relay.core.types import BlockRef, Caip2, PlanHash

HOUR, DAY = 3_600, 86_400
NOW = 1_700_000_000
CHAIN = Caip2("eip155:940904")
TERMS = ActTerms(
    target="0x" + "22" * 20,
    call="pause()",
    state="paused()",
    state_word=0,
    getter="paused",
    value=1,
    compare="=",
    undo=UndoKind.CALL,
    undo_call="unpause()",
    gas=150_000,
)
OURS = CodeReport(20_000, b"\x55" * 32, is_ours=True, is_rebuilt=True)
VERIFIER = VerifierReport(
    address="0x" + "66" * 20,
    code=OURS,
    network=b"\x01" * 32,
    rotation_delay_s=DAY,
    overlap_s=6 * HOUR,
    current=KeyEpochReport(1, tuple(f"0x{number:040x}" for number in range(1, 5)), 2, 3, 0, (1 << 40) - 1),
    previous=None,
    pending=None,
    is_complete=True,
)


def act_report(
    name: str,
    *,
    tier: int = 1,
    duration_s: int = 6 * HOUR,
    is_on: bool = True,
    undo: UndoKind = UndoKind.CALL,
    **changes: Any,
) -> ActReport:
    """An act with this name; `changes` are fields of the report."""
    report = ActReport(
        act_id=act_id(name),
        act_hash=b"\x03" * 32,
        terms=replace(TERMS, undo=undo, undo_call="" if undo is UndoKind.NONE else "unpause()"),
        tier=tier,
        duration_s=duration_s,
        is_on=is_on,
        state=StateReport(0, is_protected=False, is_ours=False),
        record=RecordReport(0, 0, 0, 0, 0),
    )
    return replace(report, **changes)


def gateway_report(**changes: Any) -> GatewayReport:
    """A sealed gateway with nothing registered; `changes` are fields of the report."""
    budget = changes.get("budget", BudgetReport(DAY, 21 * DAY, 3))
    report = GatewayReport(
        block=BlockRef(chain=CHAIN, number=1_000, hash=b"\x11" * 32, timestamp=NOW),
        gateway="0x" + "11" * 20,
        code=OURS,
        owner="0x" + "33" * 20,
        pending_owner=None,
        guardian="0x" + "44" * 20,
        verifier_address=VERIFIER.address,
        verifier=VERIFIER,
        network=b"\x01" * 32,
        skew_s=60,
        weakening_delay_s=2 * DAY,
        window_s=30 * DAY,
        budget=budget,
        left=budget,
        booked=(BudgetReport(0, 0, 0),) * 3,
        plans=PlansReport(PlanHash(bytes(32)), PlanHash(bytes(32)), 0),
        is_sealed=True,
        is_paused=False,
        refused_from=None,
        acts=(),
        scheduled=(),
        scheduled_since=0,
        is_all_scheduled=True,
    )
    return replace(report, **changes)
