"""A town over a change of committee, in the middle of an incident (SPEC 2.4; threshold SPEC 5)."""

from __future__ import annotations

import random

import pytest

from proofs.committee import CommitteeDocument
from relay.core.effects import Notice
from relay.core.types import DecisionId
from tests.sim.chain import Rotated
from tests.sim.host import Host
from tests.sim.invariants import Witness, assert_replay_is_equal
from tests.sim.keys import committee_after
from tests.sim.plans import AWAY, HOME, REARM_S
from tests.sim.town import Town

SEED = 4_400
LEFT = "dave"
STAYING = ("alice", "bob", "carol", "erin")
"""Erin takes dave's place."""


def changing(seed: int, *, in_s: int) -> tuple[Town, CommitteeDocument]:
    """Give a town of four with an announced document, and verifiers that rotate at different times."""
    print(f"seed {seed}")
    town = Town(random.Random(seed), has_keys=False)
    town.checks.append(Witness())
    at_s = town.now_s + in_s
    document = committee_after(town.committee, STAYING, activates_at=at_s)
    town.chains[HOME].rotated.append(Rotated(document, at_s - 60, at_s + 2_000))
    town.chains[AWAY].rotated.append(Rotated(document, at_s - 5, at_s + 3_000))
    town.announce(document)
    return town, document


def epochs(host: Host, *, certified: bool = True) -> set[int]:
    """Give the key epochs of the decisions that a host knows."""
    assert host.node is not None
    return {
        key[1]
        for key, entry in host.node.book.entries.items()
        if not certified or entry.tally.certificate is not None
    }


@pytest.mark.parametrize("seed", [SEED, SEED + 1])
def test_an_incident_goes_on_over_the_change_with_chains_at_different_epochs(seed: int) -> None:
    town, document = changing(seed, in_s=REARM_S + 60)
    town.join("erin")
    town.burn(100)
    town.run(30)
    town.release(500)

    town.run_until(lambda: town.state("halt") == 1, within_s=REARM_S, what="halted under the old epoch")
    assert town.now_s < document.activates_at
    town.run_until(
        lambda: all(epochs(town.hosts[name]) == {1, 2} for name in STAYING),
        within_s=3 * REARM_S,
        what="certificates of both epochs everywhere",
    )
    town.run(REARM_S)

    until = town.record_until("halt")
    assert until is not None
    assert until > town.now_s
    landed = {landing.call.mandate.key_epoch for chain in town.chains.values() for landing in chain.landings}
    assert landed == {1, 2}
    for name in STAYING:
        assert_replay_is_equal(town.hosts[name])


def test_who_has_left_signs_nothing_newer_and_goes_on_reading() -> None:
    town, document = changing(SEED + 2, in_s=60)
    left = town.hosts[LEFT]
    town.join("erin")
    town.burn(100)
    town.run(120)
    town.release(500)

    town.run_until(lambda: town.state("halt") == 1, within_s=REARM_S, what="halted by the new committee")

    assert [each for each in left.signed if each.decision.anchor.timestamp >= document.activates_at] == []
    assert Notice("committee in force", {"epoch": 2}) in left.notices
    assert "not a member" in {notice.name for notice in left.notices}
    assert 2 in epochs(left)
    assert_replay_is_equal(left)


def test_a_member_that_joins_is_heard_before_and_signs_from_the_change_on() -> None:
    town, document = changing(SEED + 3, in_s=90)
    erin = town.join("erin")
    town.burn(100)
    town.run(30)
    assert erin.node is not None
    assert erin.node.is_released, "those who were there before answer it"
    alice = town.hosts["alice"]
    assert alice.node is not None
    assert erin.me in alice.node.heartbeats, "it is heard before its document is in force"
    town.release(500)
    town.run(2 * REARM_S)

    assert erin.signed
    assert min(each.decision.anchor.timestamp for each in erin.signed) >= document.activates_at


def test_a_member_that_was_down_over_the_change_catches_up() -> None:
    town, _ = changing(SEED + 4, in_s=60)
    bob = town.hosts["bob"]
    town.join("erin")
    bob.stop()
    town.burn(100)
    town.run(120)
    town.release(500)
    town.run(60)

    bob.start()
    town.run_until(lambda: 2 in epochs(bob), within_s=2 * REARM_S, what="bob knows what was decided")

    assert_replay_is_equal(bob)


def test_a_document_that_one_member_has_not_got_stops_nobody_and_comes_late() -> None:
    town, document = changing(SEED + 5, in_s=60)
    bob = town.hosts["bob"]
    bob.disk.journal = [data for data in bob.disk.journal if b"committee" not in data[:24]]
    town.setting.later.clear()
    bob.stop()
    bob.start()
    assert bob.node is not None
    assert bob.node.committees.newest.committee_epoch == 1
    town.join("erin").learn()
    town.setting.later.append(document)
    town.hosts["erin"].learn()
    town.burn(100)
    town.run(120)
    town.release(500)

    town.run_until(lambda: town.state("halt") == 1, within_s=REARM_S, what="halted without bob")
    assert epochs(bob) <= {1}
    bob.learn()
    town.run_until(lambda: 2 in epochs(bob), within_s=2 * REARM_S, what="bob knows what was decided")

    assert_replay_is_equal(bob)


def test_one_decision_of_both_key_epochs_is_never_certified() -> None:
    town, _ = changing(SEED + 6, in_s=REARM_S)
    town.join("erin")
    town.burn(100)
    town.run(30)
    town.release(500)
    town.run(3 * REARM_S)

    for host in town.up():
        assert host.node is not None
        by_id: dict[DecisionId, set[int]] = {}
        for key, entry in host.node.book.entries.items():
            if entry.tally.certificate is not None:
                by_id.setdefault(key[0], set()).add(key[1])
        assert all(len(found) == 1 for found in by_id.values())
