"""What readiness says of verifiers and key epochs (SPEC 8.1, threshold SPEC 5)."""

from __future__ import annotations

import random
from dataclasses import replace

import pytest

from proofs.committee import CommitteeDocument
from proofs.groupkeys import KeysDocument
from proofs.kinds import Caip2, Gateway
from relay.core.committees import Committees
from relay.core.events import VerifierSeen
from relay.core.handover_facts import keys_fact_name, verifier_fact
from relay.core.history import event_from_bytes, event_to_bytes
from relay.core.readiness import Fact, Standing
from relay.core.rotations import VerifierEpoch, VerifierState
from relay.core.types import Millis
from tests.sim.dealer import deal
from tests.sim.keys import committee_after, committee_of

OLD, _ = committee_of(4)
NEW = committee_after(OLD, ("alice", "bob", "carol", "erin"), activates_at=10_000)
BOTH = Committees((OLD, NEW))
DEALT = deal([each.identity for each in OLD.members], OLD.network, random.Random(1))
DEALT_LATER = deal([each.identity for each in NEW.members], OLD.network, random.Random(2), key_epoch=2)
OPEN_END = (1 << 40) - 1
NAME = keys_fact_name("acme", Caip2("sim:home"))


def epoch(document: CommitteeDocument, start: int, until: int = OPEN_END) -> VerifierEpoch:
    attesters = tuple(sorted(document.attesters()))
    return VerifierEpoch(document.key_epoch, attesters, document.fast, document.full, None, start, until)


def state(*epochs: VerifierEpoch) -> VerifierState:
    return VerifierState(Caip2("sim:home"), Gateway(bytes(32)), OLD.network, 600, 900, epochs)


def fact(shown: VerifierState | None, at_s: int = 5_000, committees: Committees = BOTH) -> Fact:
    return verifier_fact(NAME, shown, committees, at_s, lambda _: "2 of 3 have signed")


def test_a_verifier_of_the_committee_in_force_holds() -> None:
    found = fact(state(epoch(OLD, 0)), committees=Committees((OLD,)))

    assert found == Fact("keys acme sim:home", Standing.HELD, "key epoch 1 from 0")


def test_a_verifier_that_nobody_shows_is_untold() -> None:
    assert fact(None).standing is Standing.UNTOLD


@pytest.mark.parametrize(
    "shown",
    [
        state(epoch(NEW, 0)),
        state(epoch(OLD, 6_000)),
        state(epoch(OLD, 0, 4_999)),
        state(replace(epoch(OLD, 0), full=4)),
        state(replace(epoch(OLD, 0), attesters=tuple(sorted(NEW.attesters())))),
    ],
    ids=["only the next", "not yet", "no longer", "other sizes", "other attesters"],
)
def test_a_verifier_that_refuses_the_committee_in_force_fails(shown: VerifierState) -> None:
    found = fact(shown)

    assert found.standing is Standing.FAILED
    assert "expected key epoch 1 of this committee" in found.reason
    assert found.remedy


def test_while_the_rotation_can_still_come_in_time_it_is_told_how_far_it_is() -> None:
    found = fact(state(epoch(OLD, 0)), at_s=9_400)

    assert found.standing is Standing.HELD
    assert found.reason == "key epoch 2: 2 of 3 have signed; its committee is in force from 10000"


def test_a_rotation_that_comes_too_late_for_its_committee_fails_before_it_is_late() -> None:
    found = fact(state(epoch(OLD, 0)), at_s=9_401)

    assert found.standing is Standing.FAILED
    assert "it waits 600 s" in found.reason


@pytest.mark.parametrize(
    ("start", "until", "standing", "words"),
    [
        (10_000, 10_900, Standing.HELD, ""),
        (9_000, 10_000, Standing.HELD, ""),
        (10_001, 10_900, Standing.FAILED, "too early for this verifier"),
        (9_000, 9_999, Standing.FAILED, "too late for this verifier"),
    ],
)
def test_the_committee_must_come_into_force_where_the_verifier_takes_both(
    start: int, until: int, standing: Standing, words: str
) -> None:
    found = fact(state(epoch(OLD, 0, until), epoch(NEW, start)))

    assert found.standing is standing
    assert words in found.reason
    assert f"key epoch 1 from 0 to {until}; key epoch 2 from {start}" in found.reason
    assert bool(found.remedy) is (standing is Standing.FAILED)


def test_keys_of_others_for_the_next_epoch_fail() -> None:
    found = fact(state(epoch(OLD, 0), replace(epoch(NEW, 9_000), attesters=tuple(sorted(OLD.attesters())))))

    assert found.standing is Standing.FAILED
    assert "announced with other attesters" in found.reason


def groups_of(document: KeysDocument) -> tuple[bytes, bytes]:
    fast, full = document.groups
    return fast.key, full.key


@pytest.mark.parametrize("known", [(), (DEALT_LATER.document,)], ids=["none known", "others known"])
def test_group_keys_that_no_ceremony_here_made_fail_though_all_attesters_are_right(
    known: tuple[KeysDocument, ...],
) -> None:
    keyed = replace(epoch(OLD, 0), groups=groups_of(DEALT.document))

    found = verifier_fact(NAME, state(keyed), Committees((OLD,)), 5_000, keys=known)

    assert found.standing is Standing.FAILED
    assert "in no keys document that is in force here" in found.reason
    assert "keys file" in found.remedy


def test_group_keys_of_a_ceremony_hold_and_strange_ones_that_are_announced_do_not() -> None:
    keyed = replace(epoch(OLD, 0), groups=groups_of(DEALT.document))
    known = (DEALT.document, DEALT_LATER.document)
    planted = replace(epoch(NEW, 10_000), groups=groups_of(DEALT.document))
    announced = replace(planted, groups=groups_of(DEALT_LATER.document))
    ended = replace(keyed, groups=groups_of(DEALT_LATER.document), valid_until=9_999)

    def standing(*epochs: VerifierEpoch, at_s: int = 5_000) -> Standing:
        return verifier_fact(NAME, state(*epochs), BOTH, at_s, keys=known).standing

    assert standing(keyed) is Standing.HELD
    assert standing(replace(keyed, valid_until=10_900), announced) is Standing.HELD
    assert standing(replace(keyed, valid_until=10_900), planted) is Standing.FAILED
    assert standing(ended, announced, at_s=10_000) is Standing.HELD, "over: nobody signs by them any more"


def test_once_the_next_is_in_force_it_is_what_counts() -> None:
    assert fact(state(epoch(OLD, 0, 10_900), epoch(NEW, 10_000)), at_s=10_000).standing is Standing.HELD
    assert fact(state(epoch(OLD, 0)), at_s=10_000).standing is Standing.FAILED


def test_a_document_with_the_same_keys_needs_no_rotation() -> None:
    moved = committee_after(OLD, ("alice", "bob", "carol", "dave"), activates_at=10_000, rotates=False)

    assert fact(state(epoch(OLD, 0)), committees=Committees((OLD, moved))).reason == "key epoch 1 from 0"


def test_what_was_seen_of_a_verifier_is_the_same_after_the_journal() -> None:
    keys = (b"\x02" + bytes(31) + b"\x01", b"\x03" + bytes(31) + b"\x02")
    event = VerifierSeen(
        Gateway(bytes(31) + b"g"),
        state(epoch(OLD, 0, 9_999), replace(epoch(NEW, 10_000), groups=keys)),
        Millis(7),
    )

    assert event_from_bytes(event_to_bytes(event)) == event
