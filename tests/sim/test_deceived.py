"""Members whose endpoints lie or die, and chains that stand still (SPEC 5.1, 5.2)."""

from __future__ import annotations

import random
from dataclasses import replace

from relay.core.messages import Verdict
from relay.core.observations import BlockReads, EventRow
from tests.sim.invariants import Witness
from tests.sim.plans import AWAY, HOME, REARM_S
from tests.sim.town import Town


def quiet(seed: int) -> Town:
    """Give a town without an incident."""
    town = Town(random.Random(seed))
    town.burn(100)
    town.run(40)
    return town


def blindfold(reads: BlockReads) -> BlockReads:
    """Leave out what happened."""
    return replace(reads, rows=())


def nightmare(reads: BlockReads) -> BlockReads:
    """See a drain in every block of the reference chain."""
    if reads.header.block.chain != HOME:
        return reads
    return replace(reads, rows=(EventRow(0, 0, bytes(32), {"amount": 500}),))


def verdicts(town: Town, name: str) -> set[Verdict]:
    """Give what a host has said of the bridge's rule."""
    return {each.verdict for each in town.hosts[name].signed if each.decision.subject == "unbacked"}


def test_a_member_that_is_shown_no_attack_dissents_on_record_and_stops_nobody() -> None:
    town = quiet(41)
    town.hosts["dave"].lens = blindfold
    town.release(500)

    town.run_until(lambda: town.state("halt") == 1, within_s=60, what="the bridge is halted")
    town.run_until(
        lambda: town.state("lower-cap") == 10, within_s=150, what="the full rung too: three of four"
    )

    assert verdicts(town, "dave") == {Verdict.DISSENT}
    assert verdicts(town, "alice") == {Verdict.ATTEST}
    assert any(b"dissent" in raw for raw in town.hosts["alice"].disk.log.values())


def test_a_member_that_is_shown_a_false_attack_moves_nobody() -> None:
    town = quiet(42)
    town.checks.append(Witness())
    town.checks[0].same_bytes = lambda host: None  # type: ignore[attr-defined]  # dave's bytes are others by design
    town.hosts["dave"].lens = nightmare

    town.run(2 * REARM_S)

    assert verdicts(town, "dave") == {Verdict.ATTEST}
    assert verdicts(town, "alice") == {Verdict.DISSENT}
    assert town.state("halt") == 0
    assert not any(chain.landings for chain in town.chains.values())
    assert not town.certified(town.hosts["dave"], "unbacked")


def test_while_a_foreign_chain_stands_still_only_rules_that_read_it_abstain() -> None:
    town = quiet(43)
    town.checks.append(Witness())
    town.stalled = {AWAY}
    town.run(30)  # as long as the lag, and a block: what was read before settles no more pins
    town.release(500)
    town.run(60)
    assert not town.certified(town.hosts["alice"], "unbacked")

    town.chains[HOME].set_call("price()", 2_000_000)
    town.run_until(
        lambda: town.certified(town.hosts["alice"], "broken-oracle"),
        within_s=60 + 60,
        what="a rule over the reference chain alone is decided once patience is over",
    )
    town.stalled = set()
    town.run_until(
        lambda: town.certified(town.hosts["alice"], "unbacked"), within_s=80, what="the other one afterwards"
    )


def test_members_that_cannot_read_abstain_and_f_of_them_stop_no_full_decision() -> None:
    town = quiet(44)
    town.checks.append(Witness())
    town.hosts["dave"].blind = {HOME, AWAY}
    town.release(500)

    town.run_until(lambda: town.state("halt") == 1, within_s=60, what="the bridge is halted")
    town.run_until(lambda: town.state("lower-cap") == 10, within_s=150, what="three of four are enough")

    assert not verdicts(town, "dave")


def test_more_than_f_that_cannot_read_stop_full_decisions_and_no_fast_ones() -> None:
    town = quiet(45)
    town.checks.append(Witness())
    for name in ("carol", "dave"):
        town.hosts[name].blind = {HOME, AWAY}
    town.release(500)

    town.run_until(lambda: town.state("halt") == 1, within_s=60, what="two of four are enough for a fast act")
    town.run(REARM_S)

    assert town.state("lower-cap") == 100
