"""What a member remarks beside verdicts and outcomes, once each, and what it takes of others (SPEC 3)."""

from __future__ import annotations

from collections.abc import Iterable, Iterator
from dataclasses import dataclass, field, replace

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from proofs.canonical import encode
from proofs.decision import BlockRef, Decision
from proofs.disclosure import Sealed, open_field
from proofs.hashes import sha256
from proofs.kinds import Digest, Identity
from proofs.mandate import Op, Tier
from proofs.remarks import remark_body
from relay.core.bodies import read_body
from relay.core.effects import Effect, LogEntry, Notice, Releasable, SignStatement
from relay.core.errors import JournalError
from relay.core.events import ChainFinalized, Event, SignalTold, Signed
from relay.core.history import event_from_bytes, event_to_bytes
from relay.core.messages import (
    KIND,
    Absence,
    Accusation,
    Header,
    Message,
    Outcome,
    ReadinessChange,
    Remark,
    Shadow,
    Signal,
    Verdict,
)
from relay.core.node import is_journalled
from relay.core.observations import EndedHow, GatewayEventKind
from relay.core.quota import MAX_READINESS, MAX_SIGNALS, SPAN_MS
from relay.core.releasing import MERGE_DELAY_S
from relay.core.remarks import MAX_HEADERS, MAX_SHADOWS, RemarkDrop
from relay.core.sealing import find_sealed, sealed_fields_of
from relay.core.shadows import MAX_SHADOWS_AN_HOUR
from relay.core.types import DecisionId, Millis, PlanHash
from tests.core.stage import BEGIN_S, BLOCK_S, Play, Stage
from tests.core.test_release import certified, gateway_event
from tests.sim.keys import EMPTY_TRACE
from tests.sim.plans import HOME

STARTED = GatewayEventKind.STARTED
NOTHING = Digest(bytes(32))


def said(effects: Iterable[Effect], kind: type[Message]) -> list[Message]:
    """Give what is to be said of a kind."""
    messages = (effect.message for effect in effects if isinstance(effect, SignStatement))
    return [message for message in messages if isinstance(message, kind)]


def refused(stage: Stage, event: Event) -> str | None:
    """Feed a remark; tell why it was dropped, None where it was logged and published."""
    effects = stage.run(event)
    if any(isinstance(effect, LogEntry) for effect in effects):
        assert any(isinstance(effect, Releasable) for effect in effects)
        return None
    (notice,) = [effect for effect in effects if isinstance(effect, Notice)]
    assert notice.name == "statement dropped"
    return str(notice.facts["reason"])


def lands(stage: Stage, kind: GatewayEventKind = STARTED, **fields: object) -> list[Effect]:
    """Let the next block tell what became of the decision at block 2."""
    until = stage.blocks[-1].timestamp + 300
    event = replace(gateway_event(stage, kind, until=until), **fields)  # type: ignore[arg-type]
    return stage.run(stage.block(gateway_events=[event]))


def sealed_in(message: Message) -> Digest:
    assert isinstance(message, Signal)
    return message.sealed


# ---- headers


def test_a_block_with_an_outcome_is_said_to_be_final_once_it_is() -> None:
    stage = Stage()
    stage.drained()
    certified(stage)
    lands(stage)
    play = Play(stage)

    play >> stage.final(2) << ["attest drained/0 full at 2"]
    play >> stage.final(3) << ["attest drained/0 full at 3", "say header"]
    assert not said(stage.run(stage.block(), stage.final(4)), Header)


def test_two_outcomes_of_a_decision_in_one_block_are_one_header() -> None:
    stage = Stage()
    stage.drained()
    certified(stage)
    event = gateway_event(stage, STARTED, until=stage.blocks[-1].timestamp + 300)
    again = replace(event, kind=GatewayEventKind.EXTENDED, log_index=1)
    stage.run(stage.block(gateway_events=[event, again]))

    (header,) = said(stage.run(stage.final(3)), Header)

    about = stage.prepared(stage.decision(stage.blocks[1]))
    assert header == Header(about.id, HOME, stage.blocks[2])


def test_a_block_of_a_branch_that_was_dropped_is_never_final() -> None:
    stage = Stage()
    stage.drained()
    certified(stage)
    lands(stage)

    effects = stage.run(stage.back_to(2), *(stage.block() for _ in range(3)), stage.final(5))

    assert not said(effects, Header)


def test_a_block_that_a_reorg_took_and_gave_back_is_said_to_be_final() -> None:
    stage = Stage()
    stage.drained()
    certified(stage)
    event = stage.block(gateway_events=[gateway_event(stage, STARTED, until=BEGIN_S + 300)])
    stage.run(event)
    lost = stage.blocks[2]
    stage.run(stage.back_to(2))
    stage.blocks.append(lost)

    effects = stage.run(event, stage.final(3))

    assert [header.block for header in said(effects, Header) if isinstance(header, Header)] == [lost]


def test_what_is_final_on_another_branch_than_ours_tells_nothing_of_our_blocks() -> None:
    stage = Stage()
    stage.drained()
    certified(stage)
    lands(stage)
    elsewhere = BlockRef(HOME, Digest(sha256(b"elsewhere")), 3, stage.blocks[2].timestamp)

    assert not said(stage.run(ChainFinalized(elsewhere), stage.block()), Header)


@pytest.mark.parametrize("was_signed", [False, True])
def test_a_header_that_a_crash_kept_from_being_said_is_said_again(*, was_signed: bool) -> None:
    stage = Stage()
    stage.drained()
    certified(stage)
    lands(stage)
    (header,) = said(stage.run(stage.final(3)), Header)
    if was_signed:
        stage.run(stage.says(header))

    effects = stage.run(stage.started(boot=2, instance=b"j" * 16))

    assert said(effects, Header) == ([] if was_signed else [header])


# ---- absences


def ours(stage: Stage, decision: Decision) -> Signed:
    """Let our own signer attest."""
    signed = stage.attests("alice", decision)
    return Signed(signed.envelope, signed.message, signed.at_ms)


def settled(stage: Stage) -> list[Effect]:
    """Let the decision at block 2 take effect, and the merge delay pass."""
    effects = lands(stage)
    return effects + stage.run(*(stage.block() for _ in range(MERGE_DELAY_S // BLOCK_S)))


def test_who_gave_no_verdict_on_a_decision_that_is_over_is_named_once() -> None:
    stage = Stage()
    decision = stage.decision(stage.drained())
    stage.run(stage.attests("bob", decision), stage.attests("carol", decision))
    stage.run(stage.judges("dave", decision, Verdict.ABSTAIN))

    (absence,) = said(settled(stage), Absence)

    absent = sorted(stage.keys[name].identity for name in ("alice", "dave"))
    assert absence == Absence(stage.prepared(decision).id, tuple(absent))
    assert not said(stage.run(*(stage.block() for _ in range(30))), Absence)


def test_nobody_is_named_where_all_gave_a_verdict() -> None:
    stage = Stage()
    decision = stage.decision(stage.drained())
    stage.run(*(stage.attests(name, decision) for name in ("bob", "carol")), ours(stage, decision))
    stage.run(stage.judges("dave", decision, Verdict.DISSENT))

    assert not said(settled(stage), Absence)


def test_nobody_is_named_before_the_entries_are_released_and_mail_had_its_time() -> None:
    stage = Stage()
    decision = stage.decision(stage.drained())
    stage.run(stage.attests("bob", decision), stage.attests("carol", decision))

    at_once = lands(stage)
    early = stage.run(*(stage.block() for _ in range(MERGE_DELAY_S // BLOCK_S - 1)))
    late = stage.run(stage.attests("dave", decision), ours(stage, decision), stage.block())

    assert any(isinstance(effect, Releasable) for effect in at_once)
    assert not said([*at_once, *early, *late], Absence), "who came in time was not absent"


def test_who_went_as_the_certificate_came_hears_the_others_when_it_is_back_before_it_calls_them_absent() -> (
    None
):
    stage = Stage()
    decision = stage.decision(stage.drained())
    stage.run(stage.attests("bob", decision), stage.attests("carol", decision), stage.block())

    stage.run(stage.started(boot=2), stage.final(1))
    back = stage.run(stage.block(after_s=1_000), stage.attests("dave", decision), stage.block(after_s=60))

    (absence,) = said(back, Absence)
    assert absence == Absence(stage.prepared(decision).id, (stage.me,))


def test_an_open_mandate_has_nobody_absent_yet() -> None:
    stage = Stage()
    decision = stage.decision(stage.drained())
    stage.run(stage.attests("bob", decision), stage.attests("carol", decision))

    assert not said(stage.run(*(stage.block() for _ in range(9))), Absence), "it may still be carried out"
    assert said(stage.run(stage.block(), stage.block()), Absence), "its time is over"


def test_nobody_is_absent_from_a_decision_whose_anchor_left_the_chain() -> None:
    stage = Stage()
    decision = stage.decision(stage.drained())
    stage.run(stage.attests("bob", decision), stage.attests("carol", decision))

    effects = stage.run(stage.back_to(1), *(stage.block() for _ in range(30)))

    assert not said(effects, Absence)


def test_a_liar_who_said_two_things_was_not_absent() -> None:
    stage = Stage(size=7)
    decision = stage.decision(stage.drained())
    first = stage.attests("grace", decision)
    other = stage.attests("grace", decision, digest=sha256(b"another mandate"))
    stage.run(first, other, *(stage.attests(name, decision) for name in ("bob", "carol", "dave")))

    (absence,) = said(settled(stage), Absence)

    assert isinstance(absence, Absence)
    assert stage.keys["grace"].identity not in absence.absent
    assert stage.keys["erin"].identity in absence.absent


# ---- shadow decisions


def test_a_shadow_decision_is_signed_with_its_trace_once_a_slot() -> None:
    stage = Stage(mode="shadow")
    stage.release()
    stage.run(stage.block())

    first = said(stage.run(stage.block(500), stage.block()), Shadow)
    next_slot = said(stage.run(*(stage.block() for _ in range(10))), Shadow)

    assert len(first) == len(next_slot) == 1
    (shadow,) = first
    assert isinstance(shadow, Shadow)
    assert shadow.decision == stage.decision(stage.blocks[1])
    assert shadow.trace["rule"] == "drained"
    assert shadow.trace["values"] == {"lost": 500}


def test_a_shadow_decision_that_a_crash_kept_from_being_said_is_said_again_in_the_same_bytes() -> None:
    stage = Stage(mode="shadow")
    stage.release()
    (shadow,) = said(stage.run(stage.block(), stage.block(500)), Shadow)

    (again,) = said(stage.run(stage.started(boot=2, instance=b"j" * 16)), Shadow)
    stage.run(stage.says(again))

    assert stage.says(again).envelope.raw == stage.says(shadow).envelope.raw
    assert not said(stage.run(stage.started(boot=3, instance=b"k" * 16)), Shadow)


def test_of_a_shadow_plan_alone_shadow_decisions_are_taken_and_named_otherwise() -> None:
    armed, stage = Stage(), Stage(mode="shadow")
    armed.drained()
    stage.drained()
    decision = stage.decision(stage.blocks[1])
    stranger = replace(decision, plan_hash=PlanHash(NOTHING))
    other = replace(decision, subject="nothing")
    huge: dict[str, object] = {**EMPTY_TRACE, "values": {f"metric{n}": 1 << 60 for n in range(2_500)}}

    def drop(of: Stage, message: Shadow) -> str | None:
        return refused(of, of.said("bob", message))

    assert drop(stage, Shadow(decision, EMPTY_TRACE)) is None
    assert drop(stage, Shadow(decision, EMPTY_TRACE)) == RemarkDrop.REPEATED
    assert drop(armed, Shadow(armed.decision(armed.blocks[1]), EMPTY_TRACE)) == RemarkDrop.NOT_SHADOW
    assert drop(stage, Shadow(stranger, EMPTY_TRACE)) == RemarkDrop.UNKNOWN_PLAN
    assert drop(stage, Shadow(other, EMPTY_TRACE)) == "unfit decision"
    assert drop(stage, Shadow(replace(decision, key_epoch=2), EMPTY_TRACE)) == RemarkDrop.OTHER_EPOCH
    late = replace(stage.blocks[1], timestamp=BEGIN_S + 10_000)
    assert drop(stage, Shadow(replace(decision, anchor=late), EMPTY_TRACE)) == "early attestation"
    assert drop(stage, Shadow(decision, huge)) == RemarkDrop.OVERSIZED  # type: ignore[arg-type]


def test_of_a_slot_two_shadow_decisions_of_a_member_are_taken_and_of_an_hour_so_many() -> None:
    stage = Stage(mode="shadow")
    stage.drained()
    taken: dict[Identity, list[int]] = {}
    for slot in range(10):
        stage.run(stage.block(after_s=120))
        words = list(shadows_of_a_slot(stage, slot))
        for name in ("carol", "dave"):
            drops = [refused(stage, stage.said(name, shadow)) for shadow in words]
            assert set(drops) <= {None, RemarkDrop.MANY}
            taken.setdefault(stage.keys[name].identity, []).append(drops.count(None))

    series = 10  # two rules with a fast rung, decided twice, and a full one; two acts, extended and released
    assert all(counts[0] == MAX_SHADOWS * series for counts in taken.values())
    assert all(sum(counts) == MAX_SHADOWS_AN_HOUR for counts in taken.values())


def shadows_of_a_slot(stage: Stage, slot: int) -> Iterator[Shadow]:
    """Give three anchors for everything that a plan can decide, where two are to be taken."""
    newest = stage.blocks[-1]
    for number in range(MAX_SHADOWS + 1):
        anchor = replace(newest, hash=Digest(sha256(b"%d/%d" % (slot, number))))
        plain = stage.decision(anchor)
        for rule in ("drained", "oracle"):
            for rung, tier in ((0, Tier.FAST), (0, Tier.FULL), (1, Tier.FULL)):
                yield Shadow(replace(plain, subject=rule, rung=rung, tier=tier), EMPTY_TRACE)
        for act in ("halt", "close"):
            for op in (Op.EXTEND, Op.RELEASE):
                yield Shadow(replace(plain, subject=act, op=op, tier=Tier.FULL), EMPTY_TRACE)


def test_shadow_decisions_of_while_we_were_away_are_logged_within_a_bound_an_hour() -> None:
    stage = Stage(mode="shadow")
    stage.drained()
    shadows = [Shadow(stage.decision(stage.blocks[1]), {**EMPTY_TRACE, "rule": f"{n}"}) for n in range(121)]
    stage.run(stage.block(after_s=40_000))

    taken = [refused(stage, stage.said("bob", shadow)) for shadow in shadows]

    assert taken[:120] == [None] * 120
    assert taken[120:] == [RemarkDrop.STALE]
    assert refused(stage, stage.said("carol", shadows[0])) is None
    stage.now_ms += SPAN_MS
    assert refused(stage, stage.said("bob", shadows[120])) is None


def test_of_hours_in_which_every_decision_is_stale_no_shadow_is_remembered() -> None:
    stage = Stage(mode="shadow")
    stage.drained()
    assert refused(stage, stage.said("bob", Shadow(stage.decision(stage.blocks[1]), EMPTY_TRACE))) is None
    remarks = stage.node.hearing.remarks
    assert remarks._shadows
    stage.run(stage.block(after_s=40_000))
    remarks.keep()

    assert not remarks._shadows


# ---- what others say of decisions


@dataclass
class Court:
    """A stage with a certified decision, and who speaks of it."""

    stage: Stage = field(default_factory=Stage)

    def __post_init__(self) -> None:
        self.stage.drained()
        certified(self.stage)
        self.about = self.stage.prepared(self.stage.decision(self.stage.blocks[1])).id

    def member(self, name: str) -> Identity:
        return self.stage.keys[name].identity

    def header(self, number: int = 3) -> Header:
        return Header(self.about, HOME, BlockRef(HOME, Digest(sha256(b"%d" % number)), number, BEGIN_S))

    def drop(self, name: str, message: Remark) -> str | None:
        return refused(self.stage, self.stage.said(name, message))


def test_one_word_a_member_on_each_matter_is_taken() -> None:
    court = Court()
    absence = Absence(court.about, (court.member("dave"),))
    accusation = Accusation(court.about, court.member("dave"), "bad signature share", NOTHING)

    for message in (court.header(), absence, accusation):
        assert [court.drop("bob", message), court.drop("carol", message)] == [None, None]
        assert court.drop("bob", message) == RemarkDrop.REPEATED
    others = tuple(sorted((court.member("carol"), court.member("dave"))))
    assert court.drop("bob", replace(absence, absent=others)) == RemarkDrop.REPEATED
    assert court.drop("bob", replace(accusation, evidence=Digest(b"e" * 32))) == RemarkDrop.REPEATED
    assert court.drop("bob", replace(accusation, member=court.member("carol"))) is None


def test_nothing_is_taken_of_a_decision_that_nobody_knows_or_of_who_is_no_member() -> None:
    court = Court()
    unknown = DecisionId(Digest(sha256(b"a decision that nobody made")))
    absence = Absence(court.about, (court.member("dave"),))
    accusation = Accusation(court.about, court.member("dave"), "bad signature share", NOTHING)
    nobody = Identity(b"n" * 32)

    for message in (court.header(), absence, accusation):
        assert court.drop("bob", replace(message, decision_id=unknown)) == RemarkDrop.NOT_WANTED
    assert court.drop("bob", replace(absence, absent=(nobody,))) == RemarkDrop.NO_MEMBER
    assert court.drop("bob", replace(accusation, member=nobody)) == RemarkDrop.NO_MEMBER


def test_what_was_said_of_a_decision_is_forgotten_with_it() -> None:
    court = Court()
    assert court.drop("bob", court.header()) is None
    hearing = court.stage.node.hearing
    entries = hearing.book.entries
    entries.drop([key for key in entries if key[0] == court.about])
    hearing.keep()

    assert list(hearing.remarks.about(court.about)) == []


def test_of_one_member_so_many_blocks_of_a_decision_are_taken() -> None:
    court = Court()

    drops = [court.drop("dave", court.header(number)) for number in range(MAX_HEADERS + 9)]

    assert drops == [None] * MAX_HEADERS + [RemarkDrop.MANY] * 9
    assert court.drop("carol", court.header(1)) is None


@pytest.mark.parametrize("most", [MAX_SIGNALS, MAX_READINESS])
def test_of_one_member_so_many_signals_and_changes_of_readiness_are_taken_an_hour(most: int) -> None:
    court = Court()
    signal = court.stage.signal()
    changes = [ReadinessChange(f"fact {number}", "failed", NOTHING) for number in range(most + 3)]
    signals = [replace(signal, subject=f"subject {number}") for number in range(most + 3)]

    for messages in (signals, changes):
        drops = [court.drop("dave", message) for message in messages]
        assert drops == [None] * most + [RemarkDrop.MANY] * 3
    court.stage.now_ms += 3_600_000
    assert court.drop("dave", signal) is None


# ---- sealed


def told(stage: Stage, note: str = "a note") -> SignalTold:
    return SignalTold(stage.plan.plan.hash, "s", "a monitor", note, b"s" * 32, Millis(stage.now_ms))


def test_what_is_said_of_a_signal_tells_nothing_that_is_sealed_and_is_opened_from_the_journal() -> None:
    stage = Stage()
    events: list[Event] = [told(stage), told(stage, note="another"), stage.block()]
    signals = [message for event in events for message in said(stage.run(event), Signal)]
    journal = [event_from_bytes(event_to_bytes(event)) for event in events]

    first, second = (find_sealed(journal, sealed_in(signal)) for signal in signals)

    assert first == sealed_fields_of(events[0])
    assert first is not None
    assert dict(first.fields) == {"note": "a note", "reporter": "a monitor"}
    assert second is not None
    assert dict(second.fields)["note"] == "another"
    assert find_sealed(journal, NOTHING) is None
    sealed = Sealed(sealed_in(signals[0]), ("note", "reporter"))
    assert [open_field(sealed, first.disclose(name)) for name in sealed.names] == ["a note", "a monitor"]
    raw = stage.says(signals[0]).envelope.raw
    assert b"a note" not in raw
    assert b"a monitor" not in raw


def test_a_replay_says_a_signal_in_the_same_bytes() -> None:
    stage, again = Stage(), Stage()
    event = told(stage)

    first, second = (
        said(each.run(event_from_bytes(event_to_bytes(event))), Signal) for each in (stage, again)
    )

    assert first == second
    assert stage.says(first[0]).envelope.raw == again.says(second[0]).envelope.raw


@pytest.mark.parametrize("size", [0, 31, 33])
def test_a_journal_with_another_seed_is_no_journal(size: int) -> None:
    with pytest.raises(JournalError, match="seed of 32 bytes"):
        event_from_bytes(event_to_bytes(replace(told(Stage()), seed=bytes(size))))


def test_a_signal_as_journals_had_it_before_seals_is_named() -> None:
    older = encode(["signal", bytes(32), "s", "a monitor", "a note", 5])

    with pytest.raises(JournalError, match="unknown form"):
        event_from_bytes(older)


# ---- bytes


word32 = st.binary(min_size=32, max_size=32).map(Digest)
decisions = word32.map(DecisionId)
blocks = st.builds(BlockRef, st.just(HOME), word32, st.integers(0, 2**53), st.integers(0, 2**40))
names = st.text(st.characters(categories=["L", "N"]), min_size=1, max_size=20)
identities = st.lists(word32.map(Identity), min_size=1, max_size=50, unique=True)
remarks = st.one_of(
    st.builds(Header, decisions, st.just(HOME), blocks),
    st.builds(Absence, decisions, identities.map(lambda found: tuple(sorted(found)))),
    st.builds(Accusation, decisions, word32.map(Identity), st.just("bad signature share"), word32),
    st.builds(Signal, word32.map(PlanHash), names, word32),
    st.builds(ReadinessChange, names, st.sampled_from(["held", "failed", "could not tell"]), word32),
)


@settings(max_examples=40)
@given(remark=remarks)
def test_every_remark_comes_back_as_it_was_from_envelope_and_journal(remark: Remark) -> None:
    stage = Stage()
    received = stage.said("bob", remark)

    assert received.message == remark == read_body(KIND[type(remark)], remark_body(remark))
    assert is_journalled(received)
    assert event_from_bytes(event_to_bytes(received)) == received


@settings(max_examples=40)
@given(remark=remarks)
def test_advance_is_total_for_remarks_of_anything_before_anything_was_read(remark: Remark) -> None:
    stage = Stage()

    stage.run(stage.said("bob", remark), stage.says(remark))


# ---- replay


def test_a_replay_remarks_the_same() -> None:
    first, again = Stage(), Stage()
    first.release()
    journal: list[bytes] = []
    effects: list[Effect] = []

    def feed(event: Event) -> None:
        found = first.run(event)
        if is_journalled(event):
            journal.append(event_to_bytes(event))
            effects.extend(found)
        for effect in found:
            if isinstance(effect, SignStatement):
                feed(first.says(effect.message))

    feed(first.block())
    feed(first.block(500))
    decision = first.decision(first.blocks[1])
    for name in ("bob", "carol", "dave"):
        feed(first.attests(name, decision))
    feed(told(first))
    feed(first.block(gateway_events=[gateway_event(first, STARTED, until=BEGIN_S + 300)]))
    for _ in range(10):
        feed(first.block())
    feed(first.final(5))
    feed(first.said("bob", Absence(first.prepared(decision).id, (first.me,))))

    replayed = again.run(*(event_from_bytes(data) for data in journal))

    assert replayed == effects
    assert {type(effect.message) for effect in effects if isinstance(effect, SignStatement)} >= {
        Absence,
        Header,
        Signal,
    }
    assert not [
        effect.message
        for effect in again.run(again.started(boot=2, instance=b"j" * 16))
        if isinstance(effect, SignStatement) and isinstance(effect.message, Absence | Header | Signal)
    ], "all of it was signed"


# ---- every outcome


@pytest.mark.parametrize(
    ("kind", "how", "effect"),
    [
        (GatewayEventKind.STARTED, None, "started"),
        (GatewayEventKind.EXTENDED, None, "extended"),
        (GatewayEventKind.NOOP, None, "noop"),
        *((GatewayEventKind.ENDED, how, how.value) for how in EndedHow),
    ],
)
def test_every_effect_is_told_and_its_block_once_it_is_final(
    kind: GatewayEventKind, how: EndedHow | None, effect: str
) -> None:
    stage = Stage()
    stage.drained()
    certified(stage)

    (outcome,) = said(lands(stage, kind, how=how, ended_at=BEGIN_S + 24), Outcome)

    assert isinstance(outcome, Outcome)
    assert outcome.effect == effect
    assert stage.words(stage.run(stage.says(outcome))) == ["log outcome", "publish 1"]
    assert len(said(stage.run(stage.final(3)), Header)) == 1
