"""What one liar can do to ceremonies of others: to their places, generations, signatures and shares."""

from __future__ import annotations

from dataclasses import replace

import pytest

from relay.core.ceremonies import (
    MAX_AHEAD,
    MAX_DEADLINE_MS,
    MAX_ENDED,
    MAX_PROPOSALS,
    PROPOSALS_SPAN_MS,
)
from relay.core.ceremony_effects import CeremonyLeft
from relay.core.ceremony_running import Ended
from relay.core.ceremony_terms import propose_dkg
from relay.core.types import Millis
from relay.threshold.messages import CeremonyMessage, Deal, Join, Proposal, Transcript
from tests.core.parish import Parish


def test_a_liar_s_signature_in_a_ceremony_that_nobody_joined_raises_no_generation() -> None:
    parish = Parish()
    mallory = parish["dave"]
    far = parish.propose("dave", generation=900)
    lie = Transcript(far, far, bytes(64), {})

    for priest in parish.priests:
        priest.hear(mallory.keys, lie)

    others = [priest for priest in parish.priests if priest is not mallory]
    assert [priest.core.next_generation(1) for priest in others] == [1] * 3


def test_a_generation_that_would_be_the_last_one_is_not_taken() -> None:
    parish = Parish()

    parish.propose("dave", generation=MAX_AHEAD + 1)
    parish.propose("carol", generation=(1 << 32) - 1)
    parish.propose("bob", generation=MAX_AHEAD)

    taken = [running.proposal.generation for running in parish["alice"].core.all()]
    assert taken == [MAX_AHEAD]


def test_while_one_ceremony_of_a_generation_is_signed_no_other_is() -> None:
    """Both could come into force: two documents of one generation, and nobody knows which of them counts."""
    parish = Parish()
    parish.held = []
    ceremonies = [parish.propose("alice"), parish.propose("bob", salt=bytes([2]) * 16)]

    for ceremony in ceremonies:
        parish.join(ceremony)
    parish.let_go()

    signed = {message.ceremony for _, message in parish.kept if isinstance(message, Transcript)}
    assert len(signed) == 1
    assert [len(priest.in_force) for priest in parish.priests] == [1] * 4


def test_a_ceremony_that_we_joined_is_not_forgotten_before_its_deadline() -> None:
    """Else the same proposal again would have us join with another seed: two words of ours for one step."""
    parish = Parish()
    first = parish.propose("dave")
    parish.join(first, "alice")
    parish["alice"].tell(CeremonyLeft(first, parish.now_ms))

    for number in range(MAX_ENDED + 2):
        deadline_ms = Millis(parish.now_ms + 10)
        parish.propose("carol", deadline_ms=deadline_ms, salt=bytes([9, number]) * 8)
        parish.now_ms = Millis(deadline_ms + 1)
        parish["alice"].tick()
    said = parish["alice"].said
    parish["alice"].hear(parish["dave"].keys, parish["dave"].running(first).proposal)
    parish.join(first, "alice")

    assert parish["alice"].said == said


def test_liars_do_not_keep_others_from_proposing() -> None:
    parish = Parish(size=13)
    for name in ("alice", "bob", "carol", "dave"):
        parish.propose(name, deadline_ms=Millis(MAX_DEADLINE_MS))

    parish.propose("erin")

    assert len(parish["frank"].core.all()) == 5


def another_proposal(parish: Parish, deadline_ms: Millis, number: int) -> Proposal:
    wish = parish.wish(deadline_ms=deadline_ms, salt=number.to_bytes(16))
    return propose_dkg(wish, parish.committee, parish.committee)


def test_a_member_proposes_so_often_and_no_more() -> None:
    parish = Parish()
    taken = 0

    for number in range(3 * MAX_PROPOSALS):
        deadline_ms = Millis(parish.now_ms + 10)
        parish["bob"].hear(parish["dave"].keys, another_proposal(parish, deadline_ms, number))
        taken += parish["bob"].core.all()[-1].is_open
        parish.now_ms = Millis(deadline_ms + 1)

    assert taken == MAX_PROPOSALS
    parish.now_ms = Millis(parish.now_ms + PROPOSALS_SPAN_MS)
    parish["bob"].hear(parish["dave"].keys, another_proposal(parish, Millis(parish.now_ms + 10), 999))
    assert parish["bob"].core.all()[-1].is_open


@pytest.mark.parametrize("kind", [Join, Deal, Transcript])
def test_a_contradiction_while_signers_are_at_work_parts_nobody_from_the_keys(
    kind: type[CeremonyMessage],
) -> None:
    """Some hear of it before their own signature and some after: all of them have signed."""
    parish = Parish()
    old = parish.make_keys()
    parish.held = []
    ceremony = parish.propose_reshare(old)
    parish.join(ceremony)
    mallory = parish["dave"]
    other: CeremonyMessage
    if kind is Transcript:
        other = Transcript(ceremony, ceremony, bytes(64), {})
    else:
        said = next(
            message
            for author, message in parish.kept[::-1]
            if author is mallory.keys and isinstance(message, kind)
        )
        assert isinstance(said, Join | Deal)
        other = replace(said, joins=ceremony) if isinstance(said, Deal) else replace(said, pairs={})

    for name in ("bob", "carol"):
        parish[name].hear(mallory.keys, other)
        assert parish[name].running(ceremony).ended is Ended.FAILED
    parish.let_go()
    parish.heal(parish["alice"])

    documents = [priest.in_force[-1].document for priest in parish.priests]
    assert len({each.digest for each in documents}) == 1
    assert documents[0].generation == 2
    parish["bob"].restart()
    assert parish["bob"].core.base_of(1) == documents[0]
