"""When a closed incident's anchor is begun, by whom, and how often (SPEC 7.4)."""

from __future__ import annotations

from proofs.hashes import sha256
from proofs.kinds import Digest, Millis
from relay.core.anchoring import AGAIN_MS, MAX_TRIES, Anchoring
from relay.core.effects import Anchor, Effect
from relay.core.events import AnchorEnded
from relay.core.incidents import Closed
from relay.core.ports import Submission, SubmissionStatus
from relay.core.types import Caip2, DecisionId, Gateway
from tests.sim.keys import committee_of
from tests.sim.plans import AWAY, HOME

COMMITTEE, KEYS = committee_of(4)
LANDED = Submission(SubmissionStatus.LANDED)
TIMED_OUT = Submission(SubmissionStatus.TIMED_OUT)


def closed(number: int = 1, *, decisions: int = 2, chain: Caip2 = HOME) -> Closed:
    return Closed(DecisionId(Digest(sha256(b"%d" % number))), chain, Gateway(bytes(32)), decisions, ())


def everybody() -> list[Anchoring]:
    return [Anchoring(keys.identity, COMMITTEE) for keys in KEYS.values()]


def first(incident: Closed) -> Anchoring:
    """Give a member whose part it is to anchor an incident."""
    return next(each for each in everybody() if begun(each, incident))


def begun(
    anchoring: Anchoring, *incidents: Closed, now_ms: int = 0, busy: Caip2 | None = None
) -> list[Effect]:
    return anchoring.due(incidents, lambda chain: chain != busy, Millis(now_ms))


def ended(incident: Closed, submission: Submission | None) -> AnchorEnded:
    return AnchorEnded(incident.incident_id, incident.chain, incident.decisions, submission)


def test_f_plus_1_members_anchor() -> None:
    for number in range(20):
        assert sum(bool(begun(each, closed(number))) for each in everybody()) == COMMITTEE.f + 1


def test_nothing_is_begun_while_a_call_needs_the_chain() -> None:
    incident = closed()
    anchoring = next(each for each in everybody() if begun(each, incident))
    anchoring.started()

    assert begun(anchoring, incident, busy=HOME) == []
    assert begun(anchoring, incident, busy=AWAY) != []


def test_one_anchor_is_under_way_on_a_chain_at_a_time() -> None:
    one = closed(1)
    anchoring = first(one)
    others = [closed(number) for number in range(2, 30)]

    assert begun(anchoring, *others) == []
    anchoring.ended(ended(one, LANDED))
    assert len(begun(anchoring, *others)) == 1


def test_what_landed_is_not_begun_again_unless_more_was_decided() -> None:
    incident = closed()
    anchoring = first(incident)
    anchoring.ended(ended(incident, LANDED))

    assert begun(anchoring, incident, now_ms=AGAIN_MS) == []
    (again,) = begun(anchoring, closed(decisions=3), now_ms=AGAIN_MS)
    assert isinstance(again, Anchor)
    assert again.decisions == 3


def test_what_a_journal_says_has_landed_is_not_begun_after_a_restart() -> None:
    incident = closed()
    me = first(incident).me
    replayed = Anchoring(me, COMMITTEE)
    replayed.ended(ended(incident, LANDED))
    replayed.started()

    assert begun(replayed, incident) == []


def test_what_did_not_land_is_tried_again_after_a_while_and_not_for_ever() -> None:
    incident = closed()
    anchoring = first(incident)
    tries, now_ms = 1, 0
    for _ in range(3 * MAX_TRIES):
        anchoring.ended(ended(incident, TIMED_OUT))
        assert begun(anchoring, incident, now_ms=now_ms + AGAIN_MS - 1) == []
        now_ms += AGAIN_MS
        if not begun(anchoring, incident, now_ms=now_ms):
            break
        tries += 1

    assert tries == MAX_TRIES


def test_a_checkpoint_that_is_not_out_yet_costs_no_try() -> None:
    incident = closed()
    anchoring = first(incident)
    for number in range(1, 3 * MAX_TRIES):
        anchoring.ended(ended(incident, None))
        assert begun(anchoring, incident, now_ms=number * AGAIN_MS)
