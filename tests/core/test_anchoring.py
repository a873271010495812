"""When a closed incident's anchor is begun, by whom, and how often (SPEC 7.4)."""

from __future__ import annotations

from dataclasses import replace

from proofs.hashes import sha256
from proofs.kinds import Digest, Millis
from relay.core.anchoring import AGAIN_MS, MAX_TRIES, Anchoring
from relay.core.effects import Anchor, Effect
from relay.core.events import AnchorEnded, Ticked
from relay.core.incidents import Closed, closed_incidents
from relay.core.node import Node
from relay.core.observations import GatewayEventKind
from relay.core.ports import Submission, SubmissionStatus
from relay.core.submission import rank
from relay.core.types import Caip2, DecisionId, Gateway
from tests.core.landings import NEEDLESS, certified, ends, gateway_event, in_force
from tests.core.stage import Stage
from tests.sim.keys import committee_of
from tests.sim.plans import AWAY, HOME

COMMITTEE, KEYS = committee_of(4)
LANDED = Submission(SubmissionStatus.LANDED)
TIMED_OUT = Submission(SubmissionStatus.TIMED_OUT)


def closed(number: int = 1, *, decisions: int = 2, chain: Caip2 = HOME) -> Closed:
    return Closed(DecisionId(Digest(sha256(b"%d" % number))), chain, Gateway(bytes(32)), decisions, ())


def everybody() -> list[Anchoring]:
    return [Anchoring(keys.identity) for keys in KEYS.values()]


def first(incident: Closed) -> Anchoring:
    """Give a member whose part it is to anchor an incident."""
    return next(each for each in everybody() if begun(each, incident))


def begun(
    anchoring: Anchoring, *incidents: Closed, now_ms: int = 0, busy: Caip2 | None = None
) -> list[Effect]:
    return anchoring.due(incidents, COMMITTEE, lambda chain: chain != busy, Millis(now_ms))


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
    replayed = Anchoring(me)
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


# ---- what has closed


def closed_now(stage: Stage) -> list[Closed]:
    stage.run(stage.final(len(stage.blocks)))
    return list(closed_incidents(stage.node.book, stage.node.landing))


def test_an_incident_without_effect_closes_when_its_entries_are_out() -> None:
    stage = Stage()
    certified(stage, stage.drained())
    assert closed_now(stage) == []

    stage.run(stage.block(-500, after_s=121))

    (incident,) = closed_now(stage)
    decision = stage.prepared(stage.decision(stage.blocks[1]))
    assert (incident.incident_id, incident.decisions) == (decision.id, 1)
    assert (incident.chain, incident.gateway) == (HOME, stage.plan.gateways[HOME])
    assert len(incident.entries) == 3


def test_an_incident_is_open_while_a_record_is_in_force_at_the_newest_or_the_newest_final_block() -> None:
    stage = Stage()
    certified(stage, stage.drained())
    in_force(stage, for_s=300)
    stage.run(stage.block(-500, after_s=121))
    assert closed_now(stage) == []

    stage.run(stage.block(gateway_events=[gateway_event(stage, GatewayEventKind.ENDED)]))
    assert list(closed_incidents(stage.node.book, stage.node.landing)) == []
    assert len(closed_now(stage)) == 1


def test_what_nobody_certified_is_no_incident_to_anchor() -> None:
    stage = Stage()
    stage.drained()
    stage.run(stage.attests("bob", stage.decision(stage.blocks[1])))
    stage.run(stage.block(-500, after_s=121))

    assert closed_now(stage) == []


def stage_of_an_anchorer(*, anchors: bool = True) -> Stage:
    """Give a stage on which alice is among the first f+1 for the incident, which has just closed.

    She is the second of them: the first one's call would still be under way.
    """
    for fork in range(32):
        stage = Stage(fork=fork)
        stage.node = Node(replace(stage.node.settings, anchors=anchors))
        certified(stage, stage.drained())
        members = [member.identity for member in stage.committee.members]
        decision = stage.prepared(stage.decision(stage.blocks[1])).id
        if rank(decision, HOME, members, stage.me) == stage.committee.f:
            stage.run(stage.block(-500, after_s=121), stage.final(3))
            return stage
    raise AssertionError("expected alice as the second of four in one of 32 orders")


def anchored(stage: Stage) -> int:
    """Let two heartbeats pass; count the anchors that are begun."""
    found = 0
    for _ in range(2):
        stage.now_ms += 16_000
        found += stage.words(stage.run(Ticked(Millis(stage.now_ms)))).count("anchor")
    return found


def test_a_node_anchors_what_has_closed_unless_its_member_leaves_it() -> None:
    assert anchored(stage_of_an_anchorer()) == 1
    assert anchored(stage_of_an_anchorer(anchors=False)) == 0


def test_a_node_anchors_nothing_while_a_call_is_under_way() -> None:
    stage = stage_of_an_anchorer()
    (pending,) = stage.node.landing.pending.values()
    stage.node.landing.pending[pending.key] = replace(pending, in_flight=True, sent_ms=stage.now_ms)

    assert anchored(stage) == 0
    ends(stage, NEEDLESS)
    assert anchored(stage) == 1


def test_after_a_restart_an_anchor_whose_end_was_not_journalled_is_begun_again() -> None:
    stage = stage_of_an_anchorer()
    assert anchored(stage) == 1
    stage.run(stage.started(boot=2))
    for name in list(stage.keys)[1:]:
        stage.run(stage.recalled(name))

    assert anchored(stage) == 1
