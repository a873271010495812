"""Reports: who may call for acts, when a member takes a subject, and what it makes of it (plans SPEC 1.6)."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import replace

import pytest

from proofs.canonical import Value, encode
from proofs.envelope import PayloadFields, assemble_envelope, build_payload, signing_bytes
from proofs.hashes import sha256
from proofs.kinds import Digest, Millis, NetworkId, PlanHash
from proofs.mandate import Op, Tier
from proofs.reports import MAX_SUBJECT_BYTES, Report, Subject, subject_bytes, subject_digest
from relay.core.decisions import prepare
from relay.core.effects import LogEntry, Notice, SignAttestation, SignStatement
from relay.core.errors import WireError
from relay.core.events import Received, ReportTold, Signed
from relay.core.history import event_from_bytes, event_to_bytes
from relay.core.observations import PlanRegistered
from relay.core.quota import MAX_REPORTS
from relay.core.reports import MAX_OPEN, MAX_UNSEEN, ReportDrop, decision_of
from relay.core.room import Reported
from relay.core.wire import open_message
from tests.core.stage import SOLO, Stage, solo_plan
from tests.core.test_stages import far
from tests.sim.invariants import fingerprint
from tests.sim.plans import HOME, compile_text
from tests.sim.reporters import OSCAR, PEGGY, QUINN, STRANGER, Reporter, subject_of, with_reports

SLOT_BLOCKS = 10


def reporting(**terms: object) -> Stage:
    """Give a stage whose plan is in force since block 1, the beginning of a slot, and has two more blocks."""
    stage = Stage(compiled=with_reports(solo_plan(), "halt", **terms))  # type: ignore[arg-type]  # as they are
    stage.release()
    stage.run(stage.block(), stage.block(), stage.block())
    return stage


def about(stage: Stage, number: int = 1, what: str = "tx") -> Subject:
    """Give the subject of an occasion at a block."""
    return subject_of(stage.plan, stage.committee.network, stage.blocks[number - 1], about=what)


def tells(stage: Stage, member: str, reporter: Reporter, subject: Subject) -> Received:
    """Let a member pass on what a reporter signed."""
    return stage.said(member, reporter.signs(subject))


def words(stage: Stage, *events: object) -> list[str]:
    """Give what the node says, logs and judges."""
    return [word for event in events for word in stage.words(stage.node.advance(event))]  # type: ignore[arg-type]


def dropped(stage: Stage, event: Received) -> str:
    """Give the reason why a report is dropped; empty when it is taken."""
    effects = stage.run(event)
    told = [effect for effect in effects if isinstance(effect, Notice) and effect.name == "statement dropped"]
    assert bool(told) != any(isinstance(effect, LogEntry) for effect in effects)
    return str(told[0].facts["reason"]) if told else ""


# ---- the quorum


def test_enough_reporters_of_one_subject_make_a_decision_at_its_block() -> None:
    stage = reporting()

    assert words(stage, tells(stage, "bob", OSCAR, about(stage))) == ["log report", "publish 1"]
    assert words(stage, tells(stage, "carol", PEGGY, about(stage))) == [
        "log report",
        "publish 1",
        "attest report:attack/0 fast at 1",
    ]


def test_one_reporter_counts_once_whoever_passes_it_on() -> None:
    stage = reporting()
    stage.run(tells(stage, "bob", OSCAR, about(stage)))

    assert dropped(stage, tells(stage, "carol", OSCAR, about(stage))) == "already told"
    assert not words(stage, stage.block())


def test_signatures_under_different_subjects_do_not_add_up() -> None:
    stage = reporting()

    for event in (tells(stage, "bob", OSCAR, about(stage)), tells(stage, "bob", PEGGY, about(stage, 2))):
        assert "attest" not in " ".join(words(stage, event, stage.block()))


def test_a_decision_heard_of_before_its_reports_waits_for_them_and_is_then_attested() -> None:
    stage = reporting()
    decision = decision_of(Reported(about(stage), ()), stage.blocks[0], 1)

    assert words(stage, stage.attests("bob", decision)) == ["log attestation"]
    assert words(stage, tells(stage, "bob", OSCAR, about(stage)))[-1] == "publish 1"
    assert words(stage, tells(stage, "bob", PEGGY, about(stage)))[-1] == "attest report:attack/0 fast at 1"


def test_a_decision_whose_reports_never_come_is_abstained_from_after_the_patience() -> None:
    stage = reporting()
    decision = decision_of(Reported(about(stage), ()), stage.blocks[0], 1)
    stage.run(stage.attests("bob", decision))

    said = words(stage, *(stage.block() for _ in range(6)))

    assert said == ["abstain report:attack/0 fast at 1"]


def test_the_condition_of_reports_must_be_true_at_the_block() -> None:
    stage = reporting(when="lost > 100")
    stage.run(stage.block(500))

    quiet = words(stage, tells(stage, "bob", OSCAR, about(stage)), tells(stage, "bob", PEGGY, about(stage)))
    drained = words(
        stage, tells(stage, "bob", OSCAR, about(stage, 4)), tells(stage, "bob", PEGGY, about(stage, 4))
    )

    assert "attest report:attack/0 fast at 1" not in quiet
    assert "attest report:attack/0 fast at 4" in drained
    decision = decision_of(Reported(about(stage), ()), stage.blocks[0], 1)
    assert "dissent report:attack/0 fast at 1" in words(stage, stage.attests("bob", decision))


REMOTE = """
[chains."sim:away"]
lag_s = 60
since = 1
[metrics.remote]
read = "event_sum"
chain = "sim:away"
from = "vault"
event = "Lost(int256 amount)"
value = "amount"
"""


def test_a_condition_that_cannot_be_told_yet_is_waited_for() -> None:
    stage = Stage(
        compiled=with_reports(compile_text(SOLO.replace("HOLD", "1") + REMOTE), "halt", when="remote == 0")
    )
    stage.release()
    stage.run(*(stage.block() for _ in range(10)), *(far(number) for number in range(1, 6)))
    subject = about(stage, 10)

    waiting = words(stage, tells(stage, "bob", OSCAR, subject), tells(stage, "bob", PEGGY, subject))
    heard = words(stage, stage.attests("bob", decision_of(Reported(subject, ()), stage.blocks[9], 1)))

    assert not [word for word in (*waiting, *heard) if word.startswith(("attest", "dissent"))]
    assert "attest report:attack/0 fast at 10" in words(stage, far(6), stage.block())


def test_a_block_must_be_as_old_as_fast_decisions_wait_for() -> None:
    patient = with_reports(solo_plan(), "halt")
    patient = replace(patient, plan=replace(patient.plan, clock=replace(patient.plan.clock, fast_after=3)))
    stage = Stage(compiled=patient)
    stage.release()
    stage.run(stage.block())

    early = words(stage, *(tells(stage, "bob", each, about(stage)) for each in (OSCAR, PEGGY)), stage.block())

    assert not [word for word in early if word.startswith(("attest", "dissent"))]
    assert "attest report:attack/0 fast at 1" in words(stage, stage.block())


def test_a_fault_counts_as_its_metric_says() -> None:
    stage = reporting(when="price > 5")
    stage.run(stage.block(price=None))

    said = words(
        stage, tells(stage, "bob", OSCAR, about(stage, 4)), tells(stage, "bob", PEGGY, about(stage, 4))
    )

    assert "attest report:attack/0 fast at 4" in said


def test_the_trace_names_the_reports_and_what_their_condition_read() -> None:
    stage = reporting(when="lost < 100")
    stage.run(tells(stage, "bob", OSCAR, about(stage)))

    effects = stage.run(tells(stage, "bob", PEGGY, about(stage)))

    trace = next(effect.trace for effect in effects if isinstance(effect, SignAttestation))
    assert (trace["rule"], trace["result"], trace["values"]) == ("report:attack", True, {"lost": 0})


def test_the_block_may_be_told_of_before_it_is_read() -> None:
    stage = reporting()
    coming = stage.block()
    for reporter in (OSCAR, PEGGY):
        stage.run(tells(stage, "bob", reporter, about(stage, 4)))

    assert words(stage, coming) == ["attest report:attack/0 fast at 4"]


# ---- which block


def test_a_block_of_the_slot_before_will_do_and_an_older_one_is_dropped() -> None:
    stage = reporting()
    stage.run(*(stage.block() for _ in range(2 * SLOT_BLOCKS - 3)))
    assert dropped(stage, tells(stage, "bob", OSCAR, about(stage, 1))) == ""

    stage.run(stage.block())

    assert dropped(stage, tells(stage, "bob", PEGGY, about(stage, 2))) == "old subject"
    late = tells(stage, "bob", PEGGY, about(stage, 1))
    assert words(stage, late) == ["log report", "publish 1"], "it is known, and comes too late"
    assert not words(stage, stage.block())


def test_a_decision_that_states_another_number_for_the_block_is_dissented_from() -> None:
    stage = reporting()
    stage.run(*(tells(stage, "bob", reporter, about(stage)) for reporter in (OSCAR, PEGGY)))
    stated = replace(stage.blocks[0], number=2)

    decision = decision_of(Reported(about(stage), ()), stated, 1)

    assert "dissent report:attack/0 fast at 2" in words(stage, stage.attests("bob", decision))


def test_a_decision_at_another_block_than_its_subject_names_is_dissented_from() -> None:
    stage = reporting()
    stage.run(*(tells(stage, "bob", reporter, about(stage)) for reporter in (OSCAR, PEGGY)))

    decision = decision_of(Reported(about(stage), ()), stage.blocks[1], 1)

    assert "dissent report:attack/0 fast at 2" in words(stage, stage.attests("bob", decision))


def test_a_subject_of_one_name_calls_for_nothing_under_another() -> None:
    stage = reporting()
    plan = stage.plan.plan
    twin = replace(plan.reports["attack"], name="twin")
    room = stage.node.rooms[plan.hash]
    room.compiled = replace(stage.plan, plan=replace(plan, reports={**plan.reports, "twin": twin}))
    stage.run(*(tells(stage, "bob", reporter, about(stage)) for reporter in (OSCAR, PEGGY)))

    decision = replace(decision_of(Reported(about(stage), ()), stage.blocks[0], 1), subject="report:twin")

    prepared = prepare(stage.committee.network, room.compiled, decision)
    envelope, message = stage.keys["bob"].attest(prepared, stage.committee, stage.now_ms)
    heard = Received(envelope, message, Millis(stage.now_ms))
    assert "dissent report:twin/0 fast at 1" in words(stage, heard)


def test_what_was_certified_without_us_spends_its_own_place_only() -> None:
    stage = reporting(records=1)
    decision = decision_of(Reported(about(stage), ()), stage.blocks[0], 1)
    stage.run(stage.attests("bob", decision), stage.attests("carol", decision))

    said = words(stage, *(tells(stage, "bob", reporter, about(stage)) for reporter in (OSCAR, PEGGY)))

    assert said[-1] == "attest report:attack/0 fast at 1"


def test_what_is_not_followed_is_told_once() -> None:
    stage = reporting(when="lost > 100")
    stage.run(tells(stage, "bob", OSCAR, about(stage)))

    effects = stage.run(tells(stage, "bob", PEGGY, about(stage)), stage.block(), stage.block())

    assert effects.count(Notice("report not followed", {"plan": "vault", "subject": "report:attack"})) == 1


def test_a_block_that_leaves_the_chain_voids_the_decision_and_calls_for_none_any_more() -> None:
    stage = reporting()
    stage.run(*(tells(stage, "bob", reporter, about(stage, 3)) for reporter in (OSCAR, PEGGY)))

    said = words(stage, stage.back_to(2), stage.block(), stage.block())

    assert said == ["say void"]


def test_reports_of_a_plan_that_is_not_in_force_are_dropped() -> None:
    stage = Stage(registered=False, compiled=with_reports(solo_plan(), "halt"))
    stage.release()
    stage.run(stage.block())

    assert dropped(stage, tells(stage, "bob", OSCAR, about(stage))) == "plan not in force"


def test_a_slot_has_one_decision_of_a_name_once_one_is_certified() -> None:
    stage = reporting()
    for reporter in (OSCAR, PEGGY):
        stage.run(tells(stage, "bob", reporter, about(stage)))
    first = decision_of(Reported(about(stage), ()), stage.blocks[0], 1)
    stage.run(stage.attests("bob", first), stage.attests("carol", first))

    again = words(stage, *(tells(stage, "bob", reporter, about(stage, 2)) for reporter in (OSCAR, PEGGY)))

    assert not any(word.startswith("attest") for word in again)


def test_the_budget_of_reports_is_counted_over_windows_and_spent_decisions_are_dissented_from() -> None:
    stage = reporting(records=2)
    for slot in range(3):
        first = slot * SLOT_BLOCKS + 1
        while len(stage.blocks) < first:
            stage.run(stage.block())
        said = words(stage, *(tells(stage, "bob", each, about(stage, first)) for each in (OSCAR, PEGGY)))
        decision = decision_of(Reported(about(stage, first), ()), stage.blocks[first - 1], 1)
        assert any(word.startswith("attest") for word in said) == (slot < 2), f"slot {slot}"
        last = words(stage, stage.attests("bob", decision), stage.attests("carol", decision))
        assert (f"dissent report:attack/0 fast at {first}" in last) == (slot == 2)


def test_who_sees_what_others_saw_signs_the_open_subject_that_he_has_not_signed() -> None:
    stage = reporting()
    book, plan = stage.node.book, stage.plan.plan.hash
    seen = about(stage).report_id
    named = [book.reports.subject_for(plan, "attack", seen, OSCAR.public)]
    for _ in range(2):
        stage.run(stage.block())
        named.append(book.reports.subject_for(plan, "attack", seen, OSCAR.public))
    assert named == [about(stage, 3), about(stage, 3), about(stage, 5)], "the first of each 20 s from 0 on"
    stage.run(tells(stage, "bob", OSCAR, about(stage, 2)), tells(stage, "carol", PEGGY, about(stage, 3)))

    assert book.reports.subject_for(plan, "attack", seen, OSCAR.public) == about(stage, 3)
    assert book.reports.subject_for(plan, "attack", seen, PEGGY.public) == about(stage, 2)
    stage.run(tells(stage, "bob", OSCAR, about(stage, 3)))
    assert book.reports.subject_for(plan, "attack", seen, QUINN.public) == about(stage, 3), "more have signed"
    assert book.reports.subject_for(plan, "attack", seen, OSCAR.public) in (about(stage, 2), about(stage, 3))


@pytest.mark.parametrize("order", [(2, 3), (3, 2)])
def test_of_subjects_that_as_many_have_signed_all_nodes_choose_the_same_whatever_came_first(
    order: tuple[int, int],
) -> None:
    stage = reporting()
    stage.run(*(tells(stage, "bob", QUINN, about(stage, number)) for number in order))
    book, plan, seen = stage.node.book, stage.plan.plan.hash, about(stage).report_id

    for reporter in (OSCAR, PEGGY, QUINN):
        assert book.reports.subject_for(plan, "attack", seen, reporter.public) == about(stage, 2)


def test_what_was_found_wrong_takes_no_reporters_place_and_the_occasion_may_be_told_again() -> None:
    stage = reporting(when="lost > 100")
    book, plan = stage.node.book, stage.plan.plan.hash
    for number in range(MAX_OPEN):
        decoy = about(stage, 1, f"decoy {number}")
        assert dropped(stage, tells(stage, "bob", OSCAR, decoy)) == ""
        assert dropped(stage, tells(stage, "bob", PEGGY, decoy)) == ""
    again = decoy.report_id
    assert book.reports.subject_for(plan, "attack", again, OSCAR.public) == about(stage, 3, f"decoy {number}")
    stage.run(stage.block(500))

    assert dropped(stage, tells(stage, "bob", OSCAR, about(stage, 4))) == ""
    assert "attest report:attack/0 fast at 4" in words(stage, tells(stage, "bob", PEGGY, about(stage, 4)))


def test_before_enough_have_signed_nothing_is_evaluated_for_a_decision() -> None:
    stage = reporting(when="lost > 100")
    stage.run(tells(stage, "bob", OSCAR, about(stage)))

    decision = decision_of(Reported(about(stage), ()), stage.blocks[0], 1)

    assert words(stage, stage.attests("bob", decision)) == ["log attestation"]
    assert "dissent report:attack/0 fast at 1" in words(stage, tells(stage, "carol", PEGGY, about(stage)))


def test_reports_call_for_fast_decisions_alone() -> None:
    stage = reporting()
    full = replace(decision_of(Reported(about(stage), ()), stage.blocks[0], 1), tier=Tier.FULL)

    with pytest.raises(WireError, match="another tier than full"):
        prepare(stage.committee.network, stage.plan, full)


def test_reports_of_a_block_before_the_plan_was_in_force_call_for_nothing() -> None:
    stage = Stage(registered=False, compiled=with_reports(solo_plan(), "halt"))
    stage.release()
    stage.run(stage.block())
    second = stage.block()
    registered = PlanRegistered(stage.plan.gateways[HOME], 0, stage.plan.plan.hash, PlanHash(bytes(32)), 0)
    stage.run(replace(second, reads=replace(second.reads, plans=(registered,))), stage.block())

    before = words(stage, *(tells(stage, "bob", each, about(stage, 1)) for each in (OSCAR, PEGGY)))
    after = words(stage, *(tells(stage, "bob", each, about(stage, 2)) for each in (OSCAR, PEGGY)))

    assert not [word for word in before if word.startswith("attest")]
    assert "attest report:attack/0 fast at 2" in after


def test_blocks_are_kept_for_two_slots_however_long_these_are() -> None:
    plan = solo_plan().plan
    long = replace(plan, clock=replace(plan.clock, rearm_s=86_400))

    assert replace(solo_plan(), plan=long).retention_s >= 2 * 86_400


# ---- what is dropped


def test_what_is_no_report_of_this_plan_is_dropped_by_name() -> None:
    stage = reporting()
    subject = about(stage)
    cases = {
        "unknown reporter": STRANGER.signs(subject),
        "unknown plan": OSCAR.signs(replace(subject, plan_hash=PlanHash(bytes(32)))),
        "unknown report": OSCAR.signs(replace(subject, name="other")),
        "other network": OSCAR.signs(replace(subject, network=NetworkId(bytes(32)))),
        "bad report signature": replace(PEGGY.signs(subject), reporter=OSCAR.public),
    }

    for reason, report in cases.items():
        assert dropped(stage, stage.said("bob", report)) == reason


def test_what_a_reporter_signed_for_one_block_is_no_report_of_another() -> None:
    stage = reporting()
    signed = OSCAR.signs(about(stage, 1))

    moved = replace(signed, subject=about(stage, 2))

    assert dropped(stage, stage.said("bob", moved)) == "bad report signature"


def test_one_reporter_opens_so_many_subjects_and_keeps_nobody_else_out() -> None:
    stage = reporting()
    for number in range(MAX_OPEN):
        assert dropped(stage, tells(stage, "bob", OSCAR, about(stage, 1, f"tx {number}"))) == ""

    assert dropped(stage, tells(stage, "carol", OSCAR, about(stage))) == "too many open subjects"
    assert dropped(stage, tells(stage, "carol", PEGGY, about(stage))) == ""
    assert "attest report:attack/0 fast at 1" in words(stage, tells(stage, "carol", OSCAR, about(stage)))


def test_subjects_of_unseen_blocks_take_the_places_of_the_member_that_tells_them() -> None:
    stage = reporting()
    for number in range(MAX_UNSEEN):
        subject = replace(about(stage), block=Digest(sha256(f"block {number}".encode())))
        assert dropped(stage, tells(stage, "bob", OSCAR, subject)) == ""

    unseen = replace(about(stage), block=Digest(sha256(b"one more")))
    assert dropped(stage, tells(stage, "bob", OSCAR, unseen)) == "too many unseen subjects"
    assert dropped(stage, tells(stage, "carol", OSCAR, unseen)) == ""
    assert dropped(stage, tells(stage, "bob", OSCAR, about(stage))) == "", "the reporter has its own places"


def test_subjects_are_forgotten_when_they_are_over() -> None:
    stage = reporting()
    unseen = replace(about(stage), block=Digest(sha256(b"nowhere")))
    stage.run(tells(stage, "bob", OSCAR, about(stage)), tells(stage, "bob", OSCAR, unseen))
    assert len(stage.node.book.reports._told) == 2

    stage.run(*(stage.block() for _ in range(3 * SLOT_BLOCKS)))

    assert not stage.node.book.reports._told


def test_a_member_passes_on_so_many_reports_an_hour() -> None:
    stage = reporting(reporters=[Reporter(str(number)) for number in range(32)])
    taken = 0
    for number in range(5):
        for each in stage.plan.plan.reports["attack"].reporters:
            reporter = next(Reporter(str(i)) for i in range(32) if Reporter(str(i)).public == each)
            event = tells(stage, "bob", reporter, about(stage, 1, f"tx {number}"))
            taken += dropped(stage, event) == ""

    assert taken == MAX_REPORTS


# ---- what we are told ourselves


def test_what_this_node_is_told_is_said_to_all_and_counts_once_it_is_signed() -> None:
    stage = reporting()
    stage.run(tells(stage, "bob", OSCAR, about(stage)))

    effects = stage.run(ReportTold(PEGGY.signs(about(stage)), Millis(stage.now_ms)))

    assert stage.words(effects) == ["say report"]
    said = next(effect.message for effect in effects if isinstance(effect, SignStatement))
    envelope, message = stage.keys["alice"].say(said, stage.committee, stage.now_ms)
    assert "attest report:attack/0 fast at 1" in words(stage, Signed(envelope, message, Millis(stage.now_ms)))


def test_what_nobody_would_take_is_not_said() -> None:
    stage = reporting()

    effects = stage.run(ReportTold(STRANGER.signs(about(stage)), Millis(stage.now_ms)))

    assert effects == [Notice("report refused", {"reason": "unknown reporter"})]


def test_a_report_that_a_crash_kept_from_being_said_is_said_after_the_restart() -> None:
    stage = reporting()
    report = PEGGY.signs(about(stage))
    stage.run(ReportTold(report, Millis(stage.now_ms)))

    again = stage.run(stage.started(boot=2, instance=b"j" * 16))

    assert SignStatement(report) in again


def test_the_journal_gives_reports_back_and_a_replay_the_same_node() -> None:
    stage = reporting()
    events = [
        ReportTold(QUINN.signs(about(stage)), Millis(7)),
        tells(stage, "bob", OSCAR, about(stage)),
        tells(stage, "carol", PEGGY, about(stage)),
    ]
    for event in events:
        assert event_from_bytes(event_to_bytes(event)) == event
    first, second = reporting(), reporting()
    first.run(*events)
    second.run(*(event_from_bytes(event_to_bytes(event)) for event in events))

    assert fingerprint(first.node) == fingerprint(second.node)
    assert list(first.node.book.reports.open(stage.plan.plan.hash)) == list(
        second.node.book.reports.open(stage.plan.plan.hash)
    )


# ---- the wire


def enveloped(stage: Stage, body: Mapping[str, Value]) -> bytes:
    """Sign any body as bob."""
    keys = stage.keys["bob"]
    payload = build_payload(
        PayloadFields(
            stage.committee.network,
            keys.identity,
            1,
            "report",
            Millis(stage.now_ms),
            body,
        )
    )
    return assemble_envelope(payload, bytes(keys.identity_key.sign(signing_bytes(payload)).signature))


@pytest.mark.parametrize(
    "change",
    [
        {"subject": b""},
        {"subject": b"\x80"},
        {"subject": bytes(MAX_SUBJECT_BYTES + 1)},
        {"reporter": bytes(31)},
        {"signature": bytes(65)},
        {"more": 1},
    ],
)
def test_a_report_of_another_form_is_refused_at_the_door(change: dict[str, Value]) -> None:
    stage = reporting()
    good = OSCAR.signs(about(stage))
    body: dict[str, Value] = {
        "reporter": good.reporter,
        "signature": good.signature,
        "subject": subject_bytes(good.subject),
    }
    at_s = stage.now_ms // 1_000
    assert open_message(enveloped(stage, body), stage.committees, at_s=at_s)[1] == good

    with pytest.raises(WireError, match="malformed"):
        open_message(enveloped(stage, {**body, **change}), stage.committees, at_s=at_s)


def test_a_subject_with_another_field_or_length_is_refused() -> None:
    stage = reporting()
    good = about(stage)
    plain: dict[str, Value] = {
        "block": good.block,
        "network": good.network,
        "plan_hash": good.plan_hash,
        "report_id": good.report_id,
        "reports": good.name,
    }
    changes: list[dict[str, Value]] = [
        {"note": "x"},
        {"block": bytes(31)},
        {"reports": ""},
        {"report_id": None},
    ]
    for change in changes:
        body: dict[str, Value] = {
            "reporter": OSCAR.public,
            "signature": bytes(64),
            "subject": encode({**plain, **change}),
        }
        with pytest.raises(WireError, match="malformed"):
            open_message(enveloped(stage, body), stage.committees, at_s=stage.now_ms // 1_000)


def test_the_digest_of_a_subject_is_fixed_by_all_of_its_fields() -> None:
    stage = reporting()
    subject = about(stage)
    others = [
        replace(subject, network=NetworkId(bytes(32))),
        replace(subject, plan_hash=PlanHash(bytes(32))),
        replace(subject, name="other"),
        replace(subject, block=Digest(bytes(32))),
        replace(subject, report_id=Digest(bytes(32))),
    ]

    assert len({subject_digest(each) for each in (subject, *others)}) == 6
    decision = decision_of(Reported(subject, ()), stage.blocks[0], 1)
    assert (decision.op, decision.tier, decision.parent) == (Op.PROTECT, Tier.FAST, subject_digest(subject))
    assert isinstance(OSCAR.signs(subject), Report)
    assert {each.value for each in ReportDrop}, "every drop has a name"
