"""Words on decisions that are over: logged once a member, counted for nothing (SPEC 6.5)."""

from __future__ import annotations

from dataclasses import replace

import pytest

from proofs.decision import Decision
from proofs.hashes import sha256
from proofs.kinds import Digest, Identity
from proofs.reports import Subject
from relay.core.effects import LogEntry, Releasable, SignAttestation, SignStatement
from relay.core.late import MAX_DECISIONS, MAX_UNKNOWN, LateWords
from relay.core.messages import (
    Absence,
    Accusation,
    Attestation,
    Header,
    Message,
    Outcome,
    Report,
    Unlanded,
    Verdict,
    Void,
)
from relay.core.observations import GatewayEventKind
from relay.core.quota import SPAN_MS
from relay.core.types import Millis
from tests.core.landings import gateway_event
from tests.core.stage import Play, Stage
from tests.sim.keys import EMPTY_TRACE
from tests.sim.plans import HOME

OVER_S = 150
"""Later than a fast mandate of the stage's plan lives, and earlier than the decision is forgotten."""


DROPPED_S = 130
"""As long after that as the book keeps what was not certified."""


def known(stage: Stage) -> Decision:
    """Let the stage hear of a decision from bob, and let its mandate be over."""
    decision = stage.decision(stage.drained())
    stage.run(stage.attests("bob", decision))
    stage.run(stage.block(500, after_s=OVER_S))
    return decision


def test_what_is_said_of_a_known_decision_once_it_is_over_is_logged_at_once_and_counts_for_nothing() -> None:
    stage = Stage()
    decision = known(stage)

    Play(stage) >> stage.attests("carol", decision) << ["log attestation", "publish 1"]

    entry = stage.node.book.entries.entry_of(stage.prepared(decision).id)
    assert entry is not None
    assert stage.keys["carol"].identity not in entry.tally.slots
    assert entry.tally.certificate is None


@pytest.mark.parametrize("again", [Verdict.ATTEST, Verdict.DISSENT])
def test_a_member_has_one_late_verdict(again: Verdict) -> None:
    stage = Stage()
    decision = known(stage)
    stage.run(stage.judges("carol", decision, Verdict.DISSENT))

    word = (
        stage.attests("carol", decision)
        if again is Verdict.ATTEST
        else stage.judges("carol", decision, again)
    )
    Play(stage) >> word << []


@pytest.mark.parametrize("when", ["in time", "known, and late", "not known, and late", "dropped, and late"])
@pytest.mark.parametrize("order", [(0, 1), (1, 0)])
def test_a_verdict_and_an_abstention_of_each_member_are_logged_in_whatever_order_they_come(
    when: str, order: tuple[int, int]
) -> None:
    stage = Stage()
    decision = stage.decision(stage.drained())
    if when in ("known, and late", "dropped, and late"):
        stage.run(stage.attests("bob", decision))
    if when != "in time":
        stage.run(stage.block(500, after_s=OVER_S))
    if when == "dropped, and late":
        stage.run(stage.block(after_s=DROPPED_S))
    words = (
        stage.judges("carol", decision, Verdict.ABSTAIN),
        stage.judges("carol", decision, Verdict.DISSENT),
    )

    for place in order:
        logged = [each.digest for each in stage.run(words[place]) if isinstance(each, LogEntry)]
        assert logged == [words[place].envelope.digest]
    for verdict in (Verdict.ABSTAIN, Verdict.DISSENT):
        again = stage.run(stage.judges("carol", decision, verdict))
        assert not any(isinstance(each, LogEntry) for each in again)


def test_who_abstained_in_time_may_say_late_what_he_found() -> None:
    stage = Stage()
    decision = stage.decision(stage.drained())
    stage.run(stage.judges("bob", decision, Verdict.ABSTAIN), stage.block(500, after_s=OVER_S))

    Play(stage) >> stage.judges("bob", decision, Verdict.DISSENT) << ["log attestation", "publish 1"]


def test_what_is_remarked_of_a_decision_that_the_book_has_dropped_is_logged() -> None:
    stage = Stage()
    decision = known(stage)
    stage.run(stage.block(after_s=DROPPED_S))
    assert stage.node.book.entries.entry_of(stage.prepared(decision).id) is None

    for kind, message in remarks(stage, decision).items():
        Play(stage) >> stage.said("carol", message) << [f"log {kind}", "publish 1"]
    Play(stage) >> stage.attests("bob", decision) << []


def test_a_false_statement_in_time_hides_no_true_one_that_came_late() -> None:
    stage = Stage()
    decision = away(stage)
    later = replace(decision, anchor=replace(decision.anchor, timestamp=stage.blocks[-1].timestamp))
    stage.run(stage.judges("dave", later, Verdict.DISSENT))
    assert stage.node.book.entries.stated(stage.prepared(decision).id)

    for kind, message in remarks(stage, decision).items():
        Play(stage) >> stage.said("carol", message) << [f"log {kind}", "publish 1"]


def test_who_was_away_takes_what_was_said_meanwhile_within_a_bound_an_hour() -> None:
    stage = Stage()
    stage.drained()
    quiet = stage.decision(stage.blocks[0])
    stage.run(stage.block(500, after_s=OVER_S))
    unknown = [
        replace(quiet, anchor=replace(quiet.anchor, hash=Digest(sha256(bytes([n]))))) for n in range(122)
    ]

    taken = [stage.words(stage.run(stage.judges("bob", each, Verdict.DISSENT))) for each in unknown]

    assert taken[:120] == [["log attestation", "publish 1"]] * 120
    assert taken[120:] == [["drop: too many stale attestations"]] * 2
    assert all(stage.node.book.entries.entry_of(stage.prepared(each).id) is None for each in unknown)


def away(stage: Stage) -> Decision:
    """Let the stage hear of a decision first when its mandate is over."""
    stage.drained()
    decision = stage.decision(stage.blocks[0])
    stage.run(stage.block(500, after_s=OVER_S))
    stage.run(stage.judges("bob", decision, Verdict.DISSENT))
    return decision


def remarks(stage: Stage, decision: Decision) -> dict[str, Message]:
    """Give a word of each kind that is said about decisions."""
    about, block = stage.prepared(decision), stage.blocks[-1]
    leaf = about.leaves[0]
    where = (leaf.chain, leaf.gateway, leaf.act_id)
    return {
        "absence": Absence(about.id, (stage.keys["alice"].identity,)),
        "accusation": Accusation(
            about.id, stage.keys["alice"].identity, "bad signature share", Digest(bytes(32))
        ),
        "header": Header(about.id, HOME, block),
        "unlanded": Unlanded(about.id, about.digest, *where, "timed out", 1),
        "void": Void(about.id, decision.anchor, landed=False),
    }


def lasting(stage: Stage, decision: Decision) -> dict[str, Message]:
    """Give a report that nobody takes, and what a gateway did for a decision."""
    about, block = stage.prepared(decision), stage.blocks[-1]
    leaf = about.leaves[0]
    nothing = Digest(bytes(32))
    subject = Subject(stage.committee.network, stage.plan.plan.hash, "nothing", block.hash, nothing)
    return {
        "outcome": Outcome(
            decision_id=about.id,
            mandate_digest=about.digest,
            chain=leaf.chain,
            gateway=leaf.gateway,
            act_id=leaf.act_id,
            block=block,
            tx=nothing,
            effect="started",
            until=block.timestamp,
            gas_used=1,
        ),
        "report": Report(subject, bytes(32), bytes(64)),
    }


@pytest.mark.parametrize("kind", ["absence", "accusation", "header", "unlanded", "void"])
def test_what_was_remarked_of_a_decision_while_we_were_away_is_logged_once(kind: str) -> None:
    stage = Stage()
    message = remarks(stage, away(stage))[kind]

    play = Play(stage) >> stage.said("carol", message) << [f"log {kind}", "publish 1"]
    if kind != "void":  # of which a member has 64
        assert not any(isinstance(each, LogEntry) for each in stage.run(stage.said("carol", message)))
    play >> stage.said("dave", message) << [f"log {kind}", "publish 1"]


def test_a_remark_on_what_nobody_told_of_is_logged_no_sooner_than_that() -> None:
    stage = Stage()
    stage.drained()
    decision = stage.decision(stage.blocks[0])
    stage.run(stage.block(500, after_s=OVER_S))
    absence = Absence(stage.prepared(decision).id, (stage.keys["alice"].identity,))
    play = Play(stage)

    play >> stage.said("carol", absence) << []
    play >> stage.judges("bob", decision, Verdict.DISSENT) << ["log attestation", "publish 1"]
    play >> stage.said("carol", absence) << ["log absence", "publish 1"]


def test_our_own_word_on_an_effect_waits_until_its_decision_is_known_here() -> None:
    stage = Stage()
    stage.drained()
    decision = stage.decision(stage.blocks[0])
    about, tx = stage.prepared(decision), sha256(b"by others, while we were away")
    event = replace(
        gateway_event(stage, GatewayEventKind.STARTED, until=decision.anchor.timestamp + 300),
        decision_id=about.id,
        mandate=about.digest,
        tx=tx,
    )

    before = stage.run(stage.block(gateway_events=[event]), stage.block(after_s=OVER_S))
    stage.run(stage.judges("bob", decision, Verdict.DISSENT))
    after = [stage.run(stage.block()), stage.run(stage.block())]

    assert "say outcome" not in stage.words(before), "our own log would not take it"
    assert ["say outcome" in stage.words(each) for each in after] == [True, False]
    told = next(each.message for each in after[0] if isinstance(each, SignStatement))
    assert isinstance(told, Outcome)
    Play(stage) >> stage.says(told) << ["log outcome", "publish 1"]


@pytest.mark.parametrize("kind", ["absence", "accusation", "header", "outcome", "report", "unlanded", "void"])
def test_our_own_words_are_all_logged_for_others_may_hold_one_that_has_lost_its_place_here(kind: str) -> None:
    stage = Stage()
    decision = known(stage)
    message = {**remarks(stage, decision), **lasting(stage, decision)}[kind]
    stage.run(stage.says(message))

    stage.now_ms += 1_000
    Play(stage) >> stage.says(message) << [f"log {kind}", "publish 1"]


@pytest.mark.parametrize("verdict", list(Verdict))
@pytest.mark.parametrize("is_late", [False, True])
def test_our_own_verdict_that_we_said_again_after_a_crash_is_logged_too(
    verdict: Verdict, *, is_late: bool
) -> None:
    stage = Stage()
    decision = stage.decision(stage.drained())
    prepared = stage.prepared(decision)
    first, again = (
        stage.signs(SignAttestation(prepared, verdict, EMPTY_TRACE)) for stage.now_ms in (1_000, 2_000)
    )
    stage.run(first)
    if is_late:
        stage.run(stage.block(500, after_s=OVER_S))
    slots = stage.node.book.entries.about((prepared.id, 1))[0].tally.slots

    logged = [each.digest for each in stage.run(again) if isinstance(each, LogEntry)]

    assert logged == [again.envelope.digest] != [first.envelope.digest]
    assert stage.node.book.entries.about((prepared.id, 1))[0].tally.slots == slots
    assert not stage.node.book.attested
    published = [each for each in stage.run(stage.block(after_s=OVER_S)) if isinstance(each, Releasable)]
    assert is_late or again.envelope.digest in {digest for each in published for digest in each.digests}


def test_a_late_decision_names_members_of_its_time() -> None:
    stage = Stage()
    absence = Absence(stage.prepared(away(stage)).id, (Identity(bytes(32)),))

    assert not any(isinstance(each, LogEntry) for each in stage.run(stage.said("carol", absence)))


def test_of_decisions_that_were_over_when_they_came_the_newest_of_each_member_are_known() -> None:
    stage = Stage()
    quiet = away(stage)
    committee = stage.node.book.committee_of(stage.prepared(quiet))
    late = LateWords(stage.keys["alice"].identity)
    ids = []
    for n in range(MAX_DECISIONS + 2):
        decision = replace(quiet, anchor=replace(quiet.anchor, hash=Digest(sha256(n.to_bytes(4, "big")))))
        received = stage.judges("bob", decision, Verdict.DISSENT)
        assert isinstance(received.message, Attestation)
        prepared = stage.prepared(decision)
        hour_ms = Millis(n // MAX_UNKNOWN * SPAN_MS)
        assert late.take(None, prepared, (received.envelope, received.message), committee, hour_ms)
        ids.append(prepared.id)
        if n == 0:
            first = stage.judges("carol", quiet, Verdict.DISSENT)
            assert isinstance(first.message, Attestation)
            said = (first.envelope, first.message)
            assert late.take(None, stage.prepared(quiet), said, committee, hour_ms)

    assert [bool(late.stated(each)) for each in ids[:3]] == [False, False, True]
    assert late.stated(ids[-1])
    assert late.stated(stage.prepared(quiet).id), "another member brought it up"
