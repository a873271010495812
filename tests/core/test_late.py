"""Words on decisions that are over: logged once a member, counted for nothing (SPEC 6.5)."""

from __future__ import annotations

from dataclasses import replace

import pytest

from proofs.decision import Decision
from proofs.hashes import sha256
from proofs.kinds import Digest
from relay.core.messages import Verdict
from tests.core.stage import Play, Stage

OVER_S = 150
"""Later than a fast mandate of the stage's plan lives, and earlier than the decision is forgotten."""


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


@pytest.mark.parametrize("again", [Verdict.ATTEST, Verdict.DISSENT, Verdict.ABSTAIN])
def test_a_member_has_one_late_word(again: Verdict) -> None:
    stage = Stage()
    decision = known(stage)
    stage.run(stage.judges("carol", decision, Verdict.DISSENT))

    word = (
        stage.attests("carol", decision)
        if again is Verdict.ATTEST
        else stage.judges("carol", decision, again)
    )
    Play(stage) >> word << []


def test_a_late_abstention_leaves_a_place_for_the_verdict_after_it() -> None:
    stage = Stage()
    decision = known(stage)
    abstains = stage.judges("carol", decision, Verdict.ABSTAIN)

    play = Play(stage) >> abstains << ["log attestation", "publish 1"]
    play >> stage.judges("carol", decision, Verdict.ABSTAIN) << []
    play >> stage.attests("carol", decision) << ["log attestation", "publish 1"]


def test_who_spoke_in_time_has_no_late_word() -> None:
    stage = Stage()
    decision = known(stage)

    Play(stage) >> stage.judges("bob", decision, Verdict.ABSTAIN) << []


def test_who_abstained_in_time_may_say_late_what_he_found() -> None:
    stage = Stage()
    decision = stage.decision(stage.drained())
    stage.run(stage.judges("bob", decision, Verdict.ABSTAIN), stage.block(500, after_s=OVER_S))

    Play(stage) >> stage.judges("bob", decision, Verdict.DISSENT) << ["log attestation", "publish 1"]


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
