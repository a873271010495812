"""Agreement on anchors, exhaustive over small histories, by the schedule itself (SPEC 5.4).

Three of four members are honest and all of them must attest for a full quorum. Each sees every block of a
slot as the
chain has it, but at most two readings of a member and a block are missing for good. Whenever some block is
one that all
three hold for true, one anchor gathers all three.
"""

from __future__ import annotations

import itertools
from dataclasses import replace

from proofs.decision import BlockRef, Decision
from proofs.mandate import Op, Tier
from relay.core.evaluate import Evaluation, Outcome, RuleOutcome
from relay.core.observations import ChainQueries
from relay.core.schedule import MAX_PROPOSALS, Assessment, Schedule
from relay.core.view import ChainView
from tests.core.stage import Stage
from tests.sim.plans import HOME

BLOCKS = 4
MEMBERS = 3
QUIET = RuleOutcome(Outcome.FALSE, effective=False, faulted=(), reads=(), chains=())
RESULTS = {
    True: RuleOutcome(Outcome.TRUE, effective=True, faulted=(), reads=(), chains=()),
    False: QUIET,
    None: RuleOutcome(Outcome.ABSTAIN, effective=False, faulted=(), reads=(), chains=()),
}
STAGE = Stage()
CHAIN = [STAGE.block() for _ in range(BLOCKS + 1)]


def schedule_of(seen: tuple[bool | None, ...]) -> Schedule:
    """Give the schedule of a member that sees the rule so at each block."""
    view = ChainView(ChainQueries(HOME), keep_s=10_000)
    schedule = Schedule(STAGE.plan, {HOME: view})
    for event, result in zip(CHAIN, (False, *seen), strict=True):
        bare = replace(event.reads, rows=(), calls=(), plans=())
        view.observe(replace(event, reads=bare))
        block = bare.header.block
        evaluation = Evaluation(
            block=block,
            pins={HOME: block},
            values={},
            rules={"drained": RESULTS[result], "oracle": QUIET},
            release=None,
            agreement={HOME: (2, 3)},
            plan_in_force=True,
        )
        schedule.extend([evaluation])
    view.finalize(CHAIN[-1].reads.header.block)
    return schedule


def proposals(schedule: Schedule) -> list[BlockRef]:
    """Give the anchors that a member proposes while it sees no quorum."""
    full = [due.step.block for due in schedule.due() if due.tier is Tier.FULL and due.rung == 0]
    return full[:MAX_PROPOSALS]


def attests(schedule: Schedule, anchor: BlockRef) -> bool:
    """Tell whether a member finds an anchor right."""
    decision = Decision(anchor, 1, Op.PROTECT, None, STAGE.plan.plan.hash, 0, "drained", Tier.FULL)
    return schedule.assess(decision) is Assessment.RIGHT


def test_one_anchor_gathers_everybody_whenever_all_hold_some_block_for_true() -> None:
    made: dict[tuple[bool | None, ...], tuple[list[BlockRef], set[BlockRef]]] = {}

    def member(seen: tuple[bool | None, ...]) -> tuple[list[BlockRef], set[BlockRef]]:
        if seen not in made:
            schedule = schedule_of(seen)
            held = {
                event.reads.header.block for event in CHAIN if attests(schedule, event.reads.header.block)
            }
            made[seen] = proposals(schedule), held
        return made[seen]

    cases = bad_with_one = 0
    for truth in itertools.product((True, False), repeat=BLOCKS):
        for missing in itertools.chain.from_iterable(
            itertools.combinations(itertools.product(range(MEMBERS), range(BLOCKS)), count)
            for count in (0, 1, 2)
        ):
            members = [
                member(tuple(None if (who, at) in missing else truth[at] for at in range(BLOCKS)))
                for who in range(MEMBERS)
            ]
            if not set.intersection(*(held for _, held in members)):
                continue
            cases += 1
            proposed = {anchor for anchors, _ in members for anchor in anchors}
            firsts = {anchor for anchors, _ in members for anchor in anchors[:1]}
            assert any(all(anchor in held for _, held in members) for anchor in proposed), (truth, missing)
            bad_with_one += not any(all(anchor in held for _, held in members) for anchor in firsts)

    assert cases > 500
    assert bad_with_one > 0, "a single proposal each would do: the rule of three is not tested"
