"""Conversations with one node: what it answers to chains and peers, word by word (SPEC 5.4, 6)."""

from __future__ import annotations

from dataclasses import replace

import pytest

from proofs.hashes import sha256
from proofs.kinds import Digest
from proofs.mandate import Op, Tier
from relay.core.effects import SignAttestation, SignStatement
from relay.core.entries import MAX_OPEN, MAX_OPEN_ALONE
from relay.core.messages import Equivocation, Outcome, Verdict, Void
from relay.core.node import Node
from relay.core.types import ActId, BlockRef, DecisionId, Gateway
from tests.core.stage import BEGIN_S, Play, Stage
from tests.sim.plans import HOME


def ours(stage: Stage, *effects: object) -> SignAttestation:
    """Give the one attestation that is asked for."""
    (found,) = [effect for effect in effects if isinstance(effect, SignAttestation)]
    return found


def test_a_true_rule_is_proposed_counted_and_certified_with_one_word_of_a_peer() -> None:
    stage = Stage()
    stage.release()

    play = Play(stage) >> stage.block() << []
    effects = stage.run(stage.block(500))
    assert stage.words(effects) == ["attest drained/0 fast at 2"]
    play >> stage.signs(ours(stage, *effects)) << ["log attestation"]
    play >> stage.attests("bob", stage.decision(stage.blocks[1])) << ["log attestation", *submits(stage)]

    entry = stage.node.book.entries.entry_of(stage.prepared(stage.decision(stage.blocks[1])).id)
    assert entry is not None
    assert entry.tally.certificate is not None


def submits(stage: Stage) -> list[str]:
    """Give the submission that is ours to make at once, if we are first in the order."""
    return ["submit execute"] if any(call.in_flight for call in stage.node.landing.pending.values()) else []


def test_a_liar_who_is_first_with_a_wrong_number_or_time_does_not_stand_in_the_way() -> None:
    for wrong in ({"number": 7}, {"timestamp": BEGIN_S + 13}):
        stage = Stage()
        stage.release()
        block = stage.block(500)
        anchor = replace(block.reads.header.block, **wrong)
        stage.run(stage.attests("dave", stage.decision(anchor)))

        effects = stage.run(block)
        assert "attest drained/0 fast at 1" in stage.words(effects)
        right = [effect for effect in effects if stage.word(effect) == "attest drained/0 fast at 1"]
        stage.run(stage.signs(ours(stage, *right)), stage.attests("bob", stage.decision(stage.blocks[0])))

        entry = stage.node.book.entries.entry_of(stage.prepared(stage.decision(stage.blocks[0])).id)
        assert entry is not None
        assert entry.tally.certificate is not None
        assert entry.tally.prepared.decision.anchor == stage.blocks[0]


def test_a_false_decision_is_dissented_from() -> None:
    stage = Stage()
    stage.release()
    stage.run(stage.block(), stage.block())

    (
        Play(stage)
        >> stage.attests("dave", stage.decision(stage.blocks[1]))
        << ["log attestation", "dissent drained/0 fast at 2"]
    )


def test_a_decision_ahead_of_our_chain_waits_and_is_judged_when_its_block_comes() -> None:
    stage = Stage()
    stage.release()
    stage.run(stage.block())
    ahead = stage.block(500)

    play = Play(stage) >> stage.attests("bob", stage.decision(stage.blocks[1])) << ["log attestation"]
    play >> ahead << ["attest drained/0 fast at 2"]


def test_a_plan_that_is_not_registered_is_evaluated_and_signed_for_nothing() -> None:
    stage = Stage(registered=False)
    stage.release()

    Play(stage) >> stage.block() >> stage.block(500) << []
    assert stage.node.edges == {(stage.plan.plan.hash, "drained"): 1}
    (
        Play(stage)
        >> stage.attests("bob", stage.decision(stage.blocks[1]))
        << ["log attestation", "dissent drained/0 fast at 2"]
    )


def test_a_plan_in_shadow_signs_no_mandate_and_says_once_a_slot_what_it_would_have() -> None:
    stage = Stage(mode="shadow")
    stage.release()

    effects = stage.run(stage.block(), stage.block(500), stage.block())

    assert stage.words(effects) == ["say shadow"]
    assert [effect.name for effect in effects if hasattr(effect, "name")].count("shadow decision") == 1


def test_two_mandates_under_one_decision_become_evidence_told_and_logged_once_and_neither_counts() -> None:
    stage = Stage()
    anchor = stage.drained()
    decision = stage.decision(anchor)
    other = sha256(b"another mandate")
    first, second = stage.attests("dave", decision), stage.attests("dave", decision, digest=other)

    play = Play(stage) >> first
    play << ["log attestation"]
    effects = stage.run(second)
    assert stage.words(effects) == ["say equivocation", "page: fork evidence"]
    (told,) = [effect.message for effect in effects if isinstance(effect, SignStatement)]
    assert isinstance(told, Equivocation)
    play >> second << ["drop: convicted of two mandates"]
    play >> first << ["drop: convicted of two mandates"]
    play >> stage.said("bob", told) << []
    play >> stage.said("alice", told) << []  # our own word comes back as `Signed`, or not at all

    entry = stage.node.book.entries.entry_of(stage.prepared(decision).id)
    assert entry is not None
    assert stage.keys["dave"].identity not in entry.tally.slots
    assert entry.tally.certificate is None


def test_evidence_that_a_peer_tells_is_logged_and_counts_without_our_own_copy() -> None:
    stage = Stage()
    decision = stage.decision(stage.drained())
    first = stage.attests("dave", decision)
    second = stage.attests("dave", decision, digest=sha256(b"another mandate"))
    told = Equivocation(first.envelope.raw, second.envelope.raw)

    play = Play(stage) >> stage.said("bob", told)
    play << ["log equivocation", "publish 1", "page: fork evidence"]
    play >> stage.said("carol", told) << []
    play >> first << ["drop: convicted of two mandates"]


def test_evidence_against_our_own_key_stops_the_node() -> None:
    stage = Stage()
    decision = stage.decision(stage.drained())
    first = stage.attests("alice", decision)
    second = stage.attests("alice", decision, digest=sha256(b"another mandate"))

    (
        Play(stage)
        >> stage.said("bob", Equivocation(first.envelope.raw, second.envelope.raw))
        << ["log equivocation", "publish 1", "page: fork evidence", "stop"]
    )


def test_what_comes_twice_is_counted_once() -> None:
    stage = Stage()
    decision = stage.decision(stage.drained())
    word = stage.attests("bob", decision)

    play = Play(stage) >> word
    play << ["log attestation"]
    play >> word << []
    play >> stage.attests("bob", decision, at_ms=stage.now_ms + 1) << []


def test_an_abstention_may_become_a_verdict_but_a_verdict_stays() -> None:
    stage = Stage()
    decision = stage.decision(stage.drained())

    play = Play(stage) >> stage.judges("bob", decision, Verdict.ABSTAIN)
    play << ["log attestation"]
    play >> stage.judges("bob", decision, Verdict.ABSTAIN) << []
    play >> stage.judges("bob", decision, Verdict.DISSENT) << ["log attestation"]
    play >> stage.attests("bob", decision) << []


@pytest.mark.parametrize(
    ("word", "reason"),
    [
        ("early", "early attestation"),
        ("epoch", "other key epoch"),
        ("plan", "unknown plan"),
        ("rung", "unfit decision"),
        ("act", "unfit decision"),
        ("link", "unfit decision"),
    ],
)
def test_a_decision_that_is_unfit_is_dropped_by_name(word: str, reason: str) -> None:
    stage = Stage()
    anchor = stage.drained()
    plain = stage.decision(anchor)
    unfit = {
        "early": stage.decision(replace(anchor, timestamp=anchor.timestamp + 121)),
        "epoch": stage.decision(anchor, key_epoch=2),
        "plan": replace(plain, plan_hash=sha256(b"no plan")),
        "rung": replace(plain, rung=9),
        "act": replace(plain, op=Op.RELEASE, subject="nothing", tier=Tier.FULL),
        "link": replace(plain, parent=DecisionId(Digest(bytes(32)))),
    }[word]

    Play(stage) >> stage.judges("bob", unfit, Verdict.DISSENT) << [f"drop: {reason}"]


def test_a_signature_of_somebody_else_opens_and_fills_nothing() -> None:
    stage = Stage()
    decision = stage.decision(stage.drained())
    _, message = stage.keys["carol"].attest(stage.prepared(decision), stage.committee, stage.now_ms)
    word = stage.said("bob", message)

    Play(stage) >> word << ["drop: bad mandate signature"]
    entry = stage.node.book.entries.entry_of(stage.prepared(decision).id)
    assert entry is not None
    assert stage.keys["bob"].identity not in entry.tally.slots


def test_a_mandate_other_than_the_plan_gives_is_logged_and_counts_for_nothing() -> None:
    stage = Stage()
    decision = stage.decision(stage.drained())

    (
        Play(stage)
        >> stage.attests("bob", decision, digest=sha256(b"what the plan does not give"))
        << ["log attestation", "drop: bad mandate digest"]
    )


def test_a_flood_by_one_member_stays_within_its_share_and_lets_others_through() -> None:
    stage = Stage()
    anchor = stage.drained()

    for number in range(MAX_OPEN_ALONE + 20):
        unseen = BlockRef(HOME, Digest(sha256(f"unseen {number}".encode())), 3, anchor.timestamp + 12)
        effects = stage.run(stage.attests("dave", stage.decision(unseen)))
        expected = "log attestation" if number < MAX_OPEN_ALONE else "drop: too many open decisions"
        assert stage.words(effects) == [expected]

    assert stage.words(stage.run(stage.attests("dave", stage.decision(anchor)))) == ["log attestation"]
    unseen = BlockRef(HOME, Digest(sha256(b"carol's")), 3, anchor.timestamp + 12)
    assert stage.words(stage.run(stage.attests("carol", stage.decision(unseen)))) == ["log attestation"]


def test_what_honest_members_say_of_a_flood_does_not_make_room_for_more() -> None:
    stage = Stage()
    anchor = stage.drained()
    unseen = [
        BlockRef(HOME, Digest(sha256(f"unseen {number}".encode())), 3, anchor.timestamp + 12)
        for number in range(MAX_OPEN_ALONE + 1)
    ]
    for block in unseen[:-1]:
        stage.run(
            stage.attests("dave", stage.decision(block)),
            stage.judges("bob", stage.decision(block), Verdict.DISSENT),
            stage.judges("carol", stage.decision(block), Verdict.ABSTAIN),
        )

    (Play(stage) >> stage.attests("dave", stage.decision(unseen[-1])) << ["drop: too many open decisions"])


def test_all_open_decisions_together_are_bounded() -> None:
    stage = Stage(size=7)
    anchor = stage.drained()
    entries = stage.node.book.entries
    prepared = next(iter(entries.values())).tally.prepared
    for number in range(10, 10 + MAX_OPEN):
        entries.open(
            replace(prepared, decision=replace(prepared.decision, key_epoch=number)), stage.node.settings.me
        )
    unseen = BlockRef(HOME, Digest(sha256(b"one more")), 3, anchor.timestamp + 12)

    (Play(stage) >> stage.attests("bob", stage.decision(unseen)) << ["drop: too many open decisions"])


def test_a_re_org_voids_the_decision_says_so_and_proposes_on_the_new_branch() -> None:
    stage = Stage()
    stage.drained()

    play = Play(stage) >> stage.back_to(1)
    play << ["say void"]
    play >> stage.block(500) << ["attest drained/0 fast at 2"]


def test_an_unread_or_disputed_block_is_told_and_changes_nothing() -> None:
    from relay.core.events import BlockUnread, EndpointDisagreed  # noqa: PLC0415

    stage = Stage()
    stage.drained()

    effects = stage.run(BlockUnread(HOME, 3, "no agreement"), EndpointDisagreed(HOME, ("one", "two"), 3))

    assert [effect.name for effect in effects if hasattr(effect, "name")] == [
        "block unread",
        "endpoints disagree",
    ]


def test_what_is_said_of_a_known_decision_is_logged_and_published_at_once() -> None:
    stage = Stage()
    anchor = stage.drained()
    about = stage.prepared(stage.decision(anchor))
    some = bytes(32)
    outcome = Outcome(
        about.id, about.digest, HOME, Gateway(some), ActId(Digest(some)), anchor, some, "started", 9, 9
    )

    play = Play(stage) >> stage.said("bob", outcome)
    play << ["log outcome", "publish 1"]
    play >> stage.said("bob", Void(about.id, anchor, landed=False)) << ["log void", "publish 1"]
    play >> stage.said("bob", stage.signal()) << ["log signal", "publish 1"]


def test_what_a_member_says_of_nothing_or_too_often_does_not_reach_the_log() -> None:
    stage = Stage()
    anchor = stage.drained()
    about = stage.prepared(stage.decision(anchor))
    unknown = DecisionId(Digest(sha256(b"a decision that nobody made")))

    Play(stage) >> stage.said("dave", Void(unknown, anchor, landed=False)) << []
    for message in (Void(about.id, anchor, landed=False), stage.signal()):
        said = [
            stage.words(stage.run(stage.said("dave", message, at_ms=stage.now_ms + number)))
            for number in range(200)
        ]
        assert 0 < sum(bool(words) for words in said) <= 64


def test_advance_is_total_for_whatever_a_member_may_say_before_anything_was_read() -> None:
    stage = Stage()
    node: Node = stage.node
    block = BlockRef(HOME, Digest(bytes(32)), 1, 1)

    for message in (
        Outcome(
            DecisionId(Digest(bytes(32))),
            Digest(bytes(32)),
            HOME,
            Gateway(bytes(32)),
            ActId(Digest(bytes(32))),
            block,
            bytes(32),
            "noop",
            0,
            0,
        ),
        Void(DecisionId(Digest(bytes(32))), block, landed=True),
        stage.signal(),
    ):
        node.advance(stage.said("bob", message))
    node.advance(stage.attests("bob", stage.decision(block)))
