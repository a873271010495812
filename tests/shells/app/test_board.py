"""What people see of signals, shadow decisions and readiness: our own seals opened, others' not."""

from __future__ import annotations

from collections.abc import Mapping

import pytest

from proofs.disclosure import seal
from proofs.mandate import Op, Tier
from relay.api import Json
from relay.app.board import MAX_OF_ONE, MAX_SHOWN, Board
from relay.app.remark_reports import remarks_about
from relay.core.effects import SignStatement
from relay.core.events import Event, ReadinessChanged, SignalTold
from relay.core.history import event_from_bytes, event_to_bytes
from relay.core.incidents import incidents
from relay.core.messages import Absence, Accusation, Header, ReadinessChange, Shadow, Signal
from relay.core.types import Digest, Millis
from tests.core.stage import Stage
from tests.sim.keys import EMPTY_TRACE
from tests.sim.plans import HOME

SEED = b"s" * 32


def feed(stage: Stage, board: Board, *events: Event) -> list[Event]:
    """Feed events and what we say of them; give all that the journal would hold."""
    journal: list[Event] = []
    for event in events:
        journal.append(event)
        for effect in stage.run(event):
            if isinstance(effect, SignStatement):
                signed = stage.says(effect.message)
                stage.run(signed)
                journal.append(signed)
    for event in journal:
        board.heard(event_from_bytes(event_to_bytes(event)))
    return journal


def told_of(stage: Stage) -> tuple[SignalTold, ReadinessChanged]:
    at_ms = Millis(stage.now_ms)
    signal = SignalTold(stage.plan.plan.hash, "unbacked", "erin", "look at this", SEED, at_ms)
    return signal, ReadinessChanged("funds sim:home", "failed", "too little", "send some", SEED, at_ms)


def test_our_own_signals_are_shown_with_note_and_reporter_and_others_sealed() -> None:
    stage = Stage()
    board = Board(stage.node)
    fields = {"note": "psst", "reporter": "frank"}
    theirs = Signal(stage.plan.plan.hash, "unbacked", seal(fields, b"t" * 32))

    feed(stage, board, told_of(stage)[0], stage.said("bob", theirs))

    newest, first = board.signals()
    assert (first["member"], first["note"], first["reporter"]) == ("alice", "look at this", "erin")
    assert newest["member"] == "bob"
    assert newest.keys() == {"member", "at_ms", "record", "plan_hash", "subject", "sealed"}


def test_our_own_readiness_is_shown_with_its_reason_and_one_line_a_fact() -> None:
    stage = Stage()
    board = Board(stage.node)
    theirs = ReadinessChange("funds sim:home", "failed", Digest(bytes(32)))

    feed(stage, board, told_of(stage)[1], stage.said("bob", theirs), stage.said("bob", theirs))

    newest, first = board.facts()
    assert (first["member"], first["standing"], first["reason"]) == ("alice", "failed", "too little")
    assert newest["member"] == "bob"
    assert "reason" not in newest


@pytest.mark.parametrize(
    ("kind", "expected"),
    [
        ("signal", {"member", "at_ms", "record", "plan_hash", "subject", "sealed"}),
        ("readiness", {"member", "at_ms", "record", "fact", "standing"}),
    ],
)
def test_an_update_for_watchers_holds_nothing_that_is_sealed(kind: str, expected: set[str]) -> None:
    stage = Stage()
    board = Board(stage.node)
    signal, readiness = told_of(stage)
    event: Event = signal if kind == "signal" else readiness
    updates: list[tuple[str, Mapping[str, Json]] | None] = [board.heard(event)]
    for effect in stage.run(event):
        if isinstance(effect, SignStatement):
            updates.append(board.heard(stage.says(effect.message)))

    assert [None if update is None else update[0] for update in updates] == [None, kind]
    assert updates[1] is not None
    assert updates[1][1].keys() == expected


def test_shadow_decisions_are_shown_newest_first_and_old_ones_make_room() -> None:
    stage = Stage(mode="shadow")
    board = Board(stage.node)
    stage.drained()

    board.heard(stage.said("carol", Shadow(stage.decision(stage.blocks[1]), EMPTY_TRACE)))
    for rung in range(MAX_SHOWN):
        board.heard(stage.said("bob", Shadow(stage.decision(stage.blocks[1], rung=rung), EMPTY_TRACE)))

    shown = board.shadows()
    assert [each["rung"] for each in shown] == [*reversed(range(MAX_SHOWN))]
    assert {each["member"] for each in shown} == {"bob"}
    assert (shown[0]["op"], shown[0]["tier"], shown[0]["block"]) == ("protect", "fast", 2)


def test_who_names_ever_new_facts_takes_no_place_of_another_members() -> None:
    stage = Stage()
    board = Board(stage.node)
    board.heard(stage.said("carol", ReadinessChange("funds sim:home", "failed", Digest(bytes(32)))))
    for number in range(2 * MAX_SHOWN):
        board.heard(stage.said("bob", ReadinessChange(f"fact {number}", "failed", Digest(bytes(32)))))

    members = [fact["member"] for fact in board.facts()]
    assert (members.count("carol"), members.count("bob")) == (1, MAX_OF_ONE)
    assert board.facts()[0]["fact"] == f"fact {2 * MAX_SHOWN - 1}"


def test_an_incident_tells_who_was_absent_who_is_accused_and_by_whom_its_blocks_are_final() -> None:
    stage = Stage()
    decision = stage.decision(stage.drained(), op=Op.PROTECT, tier=Tier.FAST)
    stage.run(stage.attests("bob", decision), stage.attests("carol", decision))
    about, dave = stage.prepared(decision).id, stage.keys["dave"].identity
    header = Header(about, HOME, stage.blocks[1])
    stage.run(
        stage.said("bob", Absence(about, (dave,))),
        stage.said("bob", Accusation(about, dave, "bad signature share", Digest(bytes(32)))),
        stage.said("carol", header),
        stage.said("bob", header),
    )

    (incident,) = incidents(stage.node.book, stage.node.landing)
    told = remarks_about(stage.node, incident.decisions[0])

    assert told["absent"] == [{"by": "bob", "members": ["dave"]}]
    accused = {"by": "bob", "member": "dave", "reason": "bad signature share", "evidence": "00" * 32}
    assert told["accused"] == [accused]
    block = stage.blocks[1]
    final = {"chain": HOME, "number": 2, "hash": block.hash.hex(), "members": ["bob", "carol"]}
    assert told["final"] == [final]
