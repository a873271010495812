"""One node over a change of committee: whose word counts for which decision (SPEC 2.4)."""

from __future__ import annotations

from dataclasses import replace

import pytest

from proofs.committee import CommitteeDocument, CommitteeStatement, build_committee
from proofs.decision import BlockRef, Decision
from proofs.envelope import assemble_envelope, signing_bytes
from proofs.hashes import sha256
from proofs.kinds import DecisionId, Millis
from relay.core.committees import LASTING_S, WORDS_S
from relay.core.effects import Effect, Notice, Page, PageKind, SignAttestation, SignStatement
from relay.core.errors import WireError
from relay.core.events import CommitteeLearned, Received, Ticked
from relay.core.history import event_from_bytes, event_to_bytes
from relay.core.messages import Heartbeat, Message, Recall, Recalled, Void
from relay.core.node import Node
from relay.core.observations import GatewayEvent, GatewayEventKind
from relay.core.wire import open_message, payload_of
from tests.core.stage import BEGIN_S, BLOCK_S, Stage
from tests.sim.keys import Keys, committee_after

CHANGE_S = BEGIN_S + 5 * BLOCK_S
JOINED = ("alice", "bob", "carol", "erin")
"""Dave has left, erin joins."""


def changing(*names: str, at_s: int = CHANGE_S) -> tuple[Stage, CommitteeDocument]:
    """Give a node that runs, and knows the next document."""
    stage = Stage()
    stage.keys["erin"] = Keys("erin")
    stage.names[Keys("erin").identity] = "erin"
    document = committee_after(stage.committee, names or JOINED, activates_at=at_s)
    stage.release()
    stage.run(CommitteeLearned(document))
    return stage, document


def attests(stage: Stage, name: str, decision: Decision, committee: CommitteeDocument) -> Received:
    envelope, message = stage.keys[name].attest(stage.prepared(decision), committee, stage.now_ms)
    return Received(envelope, message, Millis(stage.now_ms))


def asked(effects: list[Effect]) -> list[SignAttestation]:
    return [effect for effect in effects if isinstance(effect, SignAttestation)]


def grow(stage: Stage, blocks: int, *, lost: int = 0) -> list[Effect]:
    return [each for _ in range(blocks) for each in stage.run(stage.block(lost))]


def drained_after(stage: Stage) -> tuple[BlockRef, list[Effect]]:
    """Let the chain pass the change, and then drain."""
    grow(stage, 6)
    effects = grow(stage, 1, lost=500)
    assert stage.blocks[-1].timestamp > CHANGE_S
    return stage.blocks[-1], effects


def test_a_decision_carries_the_key_epoch_in_force_at_its_anchor() -> None:
    stage, _ = changing()
    before = asked(grow(stage, 1) + grow(stage, 1, lost=500))
    later, _ = changing()
    _, effects = drained_after(later)

    assert {each.prepared.decision.key_epoch for each in before} == {1}
    assert {each.prepared.decision.key_epoch for each in asked(effects)} == {2}


def test_an_anchor_at_the_very_second_of_the_change_is_of_the_new_epoch() -> None:
    stage, _ = changing()
    effects = grow(stage, 5) + grow(stage, 1, lost=500)

    assert stage.blocks[-1].timestamp == CHANGE_S
    assert {each.prepared.decision.key_epoch for each in asked(effects)} == {2}


def test_who_has_left_attests_nothing_newer() -> None:
    stage, document = changing()
    anchor, _ = drained_after(stage)
    new = stage.decision(anchor, key_epoch=2)

    assert stage.words(stage.run(attests(stage, "dave", new, stage.committee))) == ["drop: unknown signer"]
    assert "log attestation" in stage.words(stage.run(attests(stage, "bob", new, document)))


def test_who_has_left_goes_on_counting_for_what_is_older() -> None:
    stage, _ = changing()
    grow(stage, 1)
    grow(stage, 1, lost=500)
    old = stage.decision(stage.blocks[1])
    grow(stage, 6)

    stage.run(attests(stage, "dave", old, stage.committee), attests(stage, "bob", old, stage.committee))

    entry = stage.node.book.entries.entry_of(stage.prepared(old).id)
    assert entry is not None
    assert stage.keys["dave"].identity in entry.tally.attesters()
    assert entry.tally.certificate is not None


def test_a_word_under_a_document_with_another_attester_key_of_its_author_is_dropped() -> None:
    stage = Stage()
    stage.release()
    dave = stage.keys["dave"]
    members = tuple(
        replace(each, attester=Keys("another").attester) if each.identity == dave.identity else each
        for each in stage.committee.members
    )
    before = stage.committee
    statement = CommitteeStatement(before.name, 2, 2, CHANGE_S, before.demo, before.network, members)
    document = build_committee(statement)
    stage.run(CommitteeLearned(document))
    old = stage.decision(stage.drained())

    # Whoever reads it in a bundle holds its signature against the document that the envelope names.
    dropped = stage.words(stage.run(attests(stage, "dave", old, document)))
    assert dropped == ["drop: other epoch"]
    assert "log attestation" in stage.words(stage.run(attests(stage, "carol", old, document)))
    assert "log attestation" in stage.words(stage.run(attests(stage, "dave", old, stage.committee)))


def test_who_joins_attests_nothing_older() -> None:
    stage, document = changing()
    grow(stage, 1)
    grow(stage, 1, lost=500)
    old = stage.decision(stage.blocks[1])

    assert stage.words(stage.run(attests(stage, "erin", old, document))) == ["drop: unknown signer"]


@pytest.mark.parametrize(("after", "key_epoch"), [(False, 2), (True, 1)])
def test_another_key_epoch_than_that_of_the_anchor_is_refused(after: bool, key_epoch: int) -> None:
    stage, document = changing()
    if after:
        drained_after(stage)
    else:
        grow(stage, 1)
        grow(stage, 1, lost=500)
    wrong = stage.decision(stage.blocks[-1], key_epoch=key_epoch)

    assert stage.words(stage.run(attests(stage, "bob", wrong, document))) == ["drop: other key epoch"]


def test_a_node_that_has_left_attests_nothing_and_says_so() -> None:
    stage, _ = changing("bob", "carol", "dave", "erin")
    _, effects = drained_after(stage)
    told = stage.run(Ticked(Millis((CHANGE_S + 60) * 1_000)))

    assert asked(effects) == []
    assert [each.name for each in told if isinstance(each, Notice)][:2] == [
        "committee in force",
        "not a member",
    ]
    assert not stage.node.is_member


def test_a_node_that_has_left_still_judges_what_is_older() -> None:
    stage, _ = changing("bob", "carol", "dave", "erin")

    assert asked(grow(stage, 1) + grow(stage, 1, lost=500))


def test_a_node_that_has_not_joined_yet_attests_nothing_older() -> None:
    stage, document = changing()
    erin = Node(replace(stage.node.settings, me=Keys("erin").identity))
    erin.advance(CommitteeLearned(document))
    early = [each for event in (stage.block(), stage.block(500)) for each in erin.advance(event)]
    late = [each for _ in range(6) for each in erin.advance(stage.block())]

    assert asked(early) == []
    assert {each.prepared.decision.anchor.timestamp >= CHANGE_S for each in asked(late)} <= {True}


def test_what_a_journal_holds_over_the_change_gives_the_same_state() -> None:
    stage, document = changing()
    events = [stage.started(), CommitteeLearned(document), stage.block(), stage.block(500)]
    old = stage.decision(stage.blocks[1])
    events += [attests(stage, name, old, stage.committee) for name in ("bob", "dave")]
    events += [stage.block() for _ in range(6)]
    new = stage.decision(stage.blocks[-1], key_epoch=2)
    events += [attests(stage, name, new, document) for name in ("bob", "erin")]
    nodes = [Node(stage.node.settings), Node(stage.node.settings)]

    for event in events:
        nodes[0].advance(event)
        nodes[1].advance(event_from_bytes(event_to_bytes(event)))

    entries = [{key: each.tally for key, each in node.book.entries.items()} for node in nodes]
    assert entries[0] == entries[1]
    assert nodes[0].landing.pending == nodes[1].landing.pending
    certified = {key[1] for key, tally in entries[0].items() if tally.certificate is not None}
    assert certified == {1, 2}


def test_a_second_document_of_one_epoch_pages_and_changes_nothing() -> None:
    stage, document = changing()
    other = committee_after(stage.committee, JOINED, activates_at=CHANGE_S + 1)

    (page,) = stage.run(CommitteeLearned(other))

    assert isinstance(page, Page)
    assert page.kind is PageKind.FORK_EVIDENCE
    assert stage.node.committees.newest is document


def test_a_document_learned_again_says_nothing_and_one_too_far_is_refused() -> None:
    stage, document = changing()
    second = committee_after(document, JOINED, activates_at=CHANGE_S + 1, rotates=False)
    third = committee_after(second, JOINED, activates_at=CHANGE_S + 2, rotates=False)

    assert stage.run(CommitteeLearned(document)) == []
    assert [each.name for each in stage.run(CommitteeLearned(third)) if isinstance(each, Notice)] == [
        "committee document refused"
    ]


def test_a_document_that_comes_too_late_leaves_the_old_decision_without_us() -> None:
    stage = Stage()
    stage.release()
    grow(stage, 6)
    effects = grow(stage, 1, lost=500)
    (wanted, *_) = asked(effects)
    document = committee_after(stage.committee, JOINED, activates_at=CHANGE_S)
    stage.run(CommitteeLearned(document))
    new = replace(wanted.prepared.decision, key_epoch=2)

    assert wanted.prepared.decision.key_epoch == 1
    late = attests(stage, "bob", wanted.prepared.decision, stage.committee)
    assert stage.words(stage.run(late)) == ["drop: other key epoch"]
    assert [each.prepared.decision for each in asked(stage.run(attests(stage, "bob", new, document)))] == [
        new
    ]


def test_words_on_an_old_decision_are_said_under_its_document() -> None:
    stage, _ = changing(at_s=BEGIN_S + 3 * BLOCK_S)
    grow(stage, 1)
    grow(stage, 1, lost=500)
    old = stage.decision(stage.blocks[1])
    stage.run(attests(stage, "bob", old, stage.committee))
    grow(stage, 3)

    effects = stage.run(stage.back_to(1))

    voids = {
        effect.message.anchor.timestamp: effect.committee_epoch
        for effect in effects
        if isinstance(effect, SignStatement) and isinstance(effect.message, Void)
    }
    assert voids[old.anchor.timestamp] == 1
    assert {epoch for at_s, epoch in voids.items() if at_s >= BEGIN_S + 3 * BLOCK_S} == {2}


# ---- envelopes at the door


def said(stage: Stage, name: str, message: Message, committee: CommitteeDocument) -> bytes:
    keys = stage.keys[name]
    payload = payload_of(message, committee=committee, author=keys.identity, at_ms=Millis(stage.now_ms))
    return assemble_envelope(payload, bytes(keys.identity_key.sign(signing_bytes(payload)).signature))


def reason(stage: Stage, raw: bytes, at_s: int) -> str:
    try:
        open_message(raw, stage.node.committees, at_s=at_s)
    except WireError as error:
        return error.reason
    return "opened"


def test_an_envelope_is_judged_by_the_document_that_it_names() -> None:
    stage, document = changing()
    third = committee_after(document, JOINED, activates_at=CHANGE_S)
    recall = Recall(1, bytes(16), bytes(16))

    assert reason(stage, said(stage, "erin", recall, document), BEGIN_S) == "opened"
    assert reason(stage, said(stage, "erin", recall, stage.committee), BEGIN_S) == "unknown signer"
    assert reason(stage, said(stage, "dave", recall, document), BEGIN_S) == "unknown signer"
    assert reason(stage, said(stage, "dave", recall, stage.committee), CHANGE_S) == "opened"
    assert reason(stage, said(stage, "bob", recall, third), BEGIN_S) == "other epoch"


def test_what_is_no_word_on_a_decision_ends_with_its_document() -> None:
    stage, _ = changing()
    over_s = CHANGE_S + stage.node.committees.lasting_s
    raw = said(stage, "dave", Recall(1, bytes(16), bytes(16)), stage.committee)

    assert stage.node.committees.lasting_s < LASTING_S
    assert reason(stage, raw, over_s - 1) == "opened"
    assert reason(stage, raw, over_s) == "other epoch"


def test_words_on_decisions_are_opened_for_thirty_days() -> None:
    stage, _ = changing()
    grow(stage, 1)
    grow(stage, 1, lost=500)
    void = Void(stage.prepared(stage.decision(stage.blocks[1])).id, stage.blocks[1], False)
    raw = said(stage, "dave", void, stage.committee)

    assert reason(stage, raw, CHANGE_S + WORDS_S - 1) == "opened"
    assert reason(stage, raw, CHANGE_S + WORDS_S) == "other epoch"


def test_the_void_of_a_member_that_was_not_there_is_not_wanted() -> None:
    stage, document = changing()
    grow(stage, 1)
    grow(stage, 1, lost=500)
    old = stage.decision(stage.blocks[1])
    stage.run(attests(stage, "bob", old, stage.committee))
    void = Void(stage.prepared(old).id, stage.blocks[1], False)
    envelope, message = stage.keys["erin"].say(void, document, stage.now_ms)

    (dropped,) = stage.run(Received(envelope, message, Millis(stage.now_ms)))

    assert isinstance(dropped, Notice)
    assert dropped.facts["reason"] == "not wanted"


# ---- who sends, who is live, who is asked


def certified(stage: Stage, committee: CommitteeDocument, *names: str, key_epoch: int) -> Decision:
    """Let others certify a decision at the newest block."""
    decision = stage.decision(stage.blocks[-1], key_epoch=key_epoch)
    for name in names:
        stage.run(attests(stage, name, decision, committee))
    entry = stage.node.book.entries.entry_of(stage.prepared(decision).id)
    assert entry is not None
    assert entry.tally.certificate is not None
    return decision


def test_who_was_not_in_a_decision_s_committee_sends_nothing_of_it() -> None:
    staying, _ = changing()
    leaving, after = changing("bob", "carol", "dave", "erin")
    for stage in (staying, leaving):
        grow(stage, 1)
        grow(stage, 1, lost=500)
        certified(stage, stage.committee, "bob", "carol", key_epoch=1)
        assert len(stage.node.landing.pending) == 1
    drained_after(leaving)

    certified(leaving, after, "bob", "erin", key_epoch=2)

    assert len(leaving.node.landing.pending) == 1


def test_who_has_left_ends_no_act_whose_time_is_over() -> None:
    found = []
    for names in (JOINED, ("bob", "carol", "dave", "erin")):
        stage, _ = changing(*names)
        grow(stage, 6)
        stage.run(stage.block(gateway_events=[started(stage)]))
        grow(stage, 3)
        found.append(len(stage.node.landing.pending))

    assert found == [1, 0]


def started(stage: Stage) -> GatewayEvent:
    """Give the start of a record that is over with the next block."""
    act = stage.plan.acts["halt"]
    return GatewayEvent(
        gateway=act.gateway,
        kind=GatewayEventKind.STARTED,
        act_id=act.act_id,
        tx=bytes(32),
        log_index=0,
        gas_used=1,
        mandate=sha256(b"mandate"),
        decision_id=DecisionId(sha256(b"decision")),
        tier=1,
        until=stage.blocks[-1].timestamp + BLOCK_S,
        how=None,
        ended_at=0,
        undone=False,
    )


def test_words_on_a_decision_that_is_not_ours_are_not_said() -> None:
    stage, document = changing("bob", "carol", "dave", "erin")
    drained_after(stage)
    decision = certified(stage, document, "bob", "erin", key_epoch=2)
    prepared = stage.prepared(decision)
    event = replace(started(stage), mandate=prepared.digest, decision_id=prepared.id)

    effects = stage.run(stage.block(gateway_events=[event]))

    assert [each for each in effects if isinstance(each, SignStatement)] == []


def test_live_members_are_those_of_the_committee_in_force() -> None:
    stage, _ = changing()
    beat = Heartbeat(1, 1, bytes(16), 0, {})
    envelope, message = stage.keys["dave"].say(beat, stage.committee, stage.now_ms)
    stage.run(Received(envelope, message, Millis(stage.now_ms)))

    live = [stage.node.presence.live_members(Millis(CHANGE_S * 1_000 + late_ms)) for late_ms in (-1, 0)]

    assert live == [2, 1]
    left, _ = changing("bob", "carol", "dave", "erin")
    assert left.node.presence.live_members(Millis(CHANGE_S * 1_000)) == 0


def test_after_the_change_both_committees_must_have_answered_what_we_said() -> None:
    """Those who joined remember nothing of what was said before: their word alone would prove nothing."""
    stage, document = changing("alice", "erin", "frank", "grace")
    for name in ("frank", "grace"):
        stage.keys[name] = Keys(name)
    stage.now_ms = (CHANGE_S + 1) * 1_000
    stage.run(stage.started(boot=2))
    assert stage.node.recall is not None

    def answers(name: str, committee: CommitteeDocument) -> None:
        assert stage.node.recall is not None
        answer = Recalled(stage.me, stage.node.recall.nonce, 0, 0, Millis(0), ())
        envelope, message = stage.keys[name].say(answer, committee, stage.now_ms)
        stage.run(Received(envelope, message, Millis(stage.now_ms)))

    for name in ("erin", "frank", "grace"):
        answers(name, document)
    assert not stage.node.is_released
    answers("bob", stage.committee)
    assert not stage.node.is_released
    answers("carol", stage.committee)
    assert stage.node.is_released
