"""Processes that end and begin again: at each durable write, from an older disk, in mid-decision."""

from __future__ import annotations

import random

import pytest

from proofs.decision import decision_id
from proofs.mandate import Tier
from relay.core.effects import SignStatement
from relay.core.messages import Heartbeat, Verdict
from tests.sim.host import Host, WriteFault
from tests.sim.invariants import Witness, assert_replay_is_equal
from tests.sim.plans import AWAY, HOME
from tests.sim.town import Town


def quiet(seed: int) -> Town:
    """Give a town without an incident; the witness watches."""
    town = Town(random.Random(seed))
    town.checks.append(Witness())
    town.burn(100)
    town.run(40)
    return town


def drained(seed: int) -> Town:
    """Give a town just before its rule turns true."""
    town = quiet(seed)
    town.release(500)
    return town


def attested(host: Host, subject: str) -> set[bytes]:
    """Give the decisions about a subject that left this machine with our signature."""
    network = host.setting.committee.network
    return {
        decision_id(network, each.decision)
        for each in host.signed
        if each.verdict is Verdict.ATTEST and each.decision.subject == subject
    }


@pytest.mark.timeout(600)
@pytest.mark.parametrize("fault", WriteFault)
def test_a_process_that_ends_at_any_durable_write_comes_back_and_takes_part(fault: WriteFault) -> None:
    for write in range(1 if fault is WriteFault.STORED else 3, 60, 5):
        town = drained(7)
        alice = town.hosts["alice"]
        alice.fault, alice.good_writes = fault, write
        town.run_until(lambda: not alice.is_up, within_s=200, what=f"alice ends at write {write}")  # noqa: B023
        town.run(3)

        alice.start()
        town.run_until(
            lambda: alice.node is not None and alice.node.is_released,  # noqa: B023
            within_s=20,
            what=f"alice is free to sign again after write {write}",
        )
        town.run_until(
            lambda: town.certified(town.hosts["bob"], "unbacked"),  # noqa: B023
            within_s=60,
            what="a certificate",
        )
        town.run(20)

        assert not alice.stopped
        ids = town.certified(town.hosts["bob"], "unbacked")
        assert ids
        assert set(ids) <= set(town.certified(alice, "unbacked"))
        assert_replay_is_equal(alice)


@pytest.mark.parametrize("fault", WriteFault)
def test_a_signature_asked_for_before_a_crash_at_the_guard_is_made_after_the_restart(
    fault: WriteFault,
) -> None:
    town = drained(8)
    alice = town.hosts["alice"]

    def write(do: object) -> None:
        assert callable(do)
        if fault is WriteFault.STORED:
            do()
        raise_crash(fault)

    admit = alice.disk.guard.admit
    alice.disk.guard.admit = lambda key, digest, _: admit(key, digest, write)  # type: ignore[method-assign]
    town.run_until(lambda: not alice.is_up, within_s=40, what="alice ends in the middle of signing")
    del alice.disk.guard.admit
    assert not attested(alice, "unbacked")

    alice.start()
    town.run(10)

    assert attested(alice, "unbacked") >= set(town.certified(town.hosts["bob"], "unbacked")[:1])


def raise_crash(fault: WriteFault) -> None:
    """End the process."""
    from tests.sim.keys import Crashed  # noqa: PLC0415

    raise Crashed(fault)


def test_an_older_copy_of_the_disk_stays_locked_and_wakes_somebody() -> None:
    town = drained(9)
    alice = town.hosts["alice"]
    old = alice.copy_of_disk()
    town.run_until(lambda: attested(alice, "unbacked"), within_s=40, what="alice attests")
    town.run(5)
    alice.stop()

    alice.disk = old
    before = len(alice.signed)
    alice.start()
    town.run(90)

    assert alice.node is not None
    assert not alice.node.is_released
    assert not alice.unlocked
    assert len(alice.signed) == before
    assert [page.kind for page in alice.pages][:1] == ["my node cannot sign"]


def test_an_older_journal_with_the_guard_as_it_is_learns_its_own_words_back_and_signs_on() -> None:
    town = drained(10)
    alice = town.hosts["alice"]
    old = alice.copy_of_disk()
    town.run_until(lambda: attested(alice, "unbacked"), within_s=40, what="alice attests")
    town.run(5)
    alice.stop()

    old.guard = alice.disk.guard
    alice.disk = old
    alice.start()
    town.run_until(
        lambda: alice.node is not None and alice.node.is_released, within_s=20, what="alice is free to sign"
    )
    town.run(130)

    assert len(attested(alice, "unbacked")) > 2
    assert_replay_is_equal(alice)


def test_a_copied_disk_that_runs_beside_the_first_stops_both() -> None:
    town = drained(11)
    alice = town.hosts["alice"]
    twin = Host(alice.keys, alice.setting, alice.copy_of_disk())
    twin.now_ms = town.now_ms
    twin.disk.boot = alice.disk.boot - 1  # both runs will have the same number
    twin.start()
    assert twin.node is not None
    assert alice.node is not None
    frames = [
        town.keys["alice"].say(effect.message, town.committee, town.now_ms)[0].raw
        for node in (alice.node, twin.node)
        for effect in node.presence.tick(node.presence.due_ms, {}, 0)
        if isinstance(effect, SignStatement) and isinstance(effect.message, Heartbeat)
    ]

    for host in (alice, twin):
        for frame in frames:
            host.receive(frame)

    assert alice.stopped
    assert twin.stopped


def test_a_member_that_was_down_at_the_edge_submits_what_others_could_not() -> None:
    town = drained(12)
    for host in town.hosts.values():
        host.can_submit = False
    town.run_until(
        lambda: len(town.certified(town.hosts["bob"], "unbacked")) > 0, within_s=60, what="a certificate"
    )
    for host in town.hosts.values():
        host.stop()
    town.run(20)

    alice = town.hosts["alice"]
    for host in town.hosts.values():
        host.start()
    alice.can_submit = True
    town.run_until(lambda: town.state("halt") == 1, within_s=90, what="alice submits after the restart")


def test_an_outage_of_everybody_heals_in_the_slot_then_current() -> None:
    town = drained(13)
    for host in town.hosts.values():
        host.stop()
    town.run(300)
    assert town.state("halt") == 0

    for host in town.hosts.values():
        host.start()
    took = town.run_until(lambda: town.state("halt") == 1, within_s=130, what="protection within a slot")

    assert took <= 60
    anchors = {
        entry.tally.prepared.decision.anchor.timestamp
        for entry in town.hosts["alice"].node.book.entries.values()  # type: ignore[union-attr]  # it is up
        if entry.tally.prepared.decision.tier is Tier.FAST and entry.tally.prepared.decision.parent is None
    }
    assert min(anchors) >= town.now_s - took - 150, "slots long over are not decided afterwards"


def test_a_latecomer_reads_everything_and_joins() -> None:
    town = Town(random.Random(14), late=1)
    town.checks.append(Witness())
    town.burn(100)
    town.run(40)
    town.release(500)
    town.run(60)
    late = next(host for host in town.hosts.values() if not host.is_up)
    town.late = []

    late.start()
    town.run(150)

    assert attested(late, "unbacked")
    assert set(town.certified(town.hosts["alice"], "unbacked")[-1:]) <= set(town.certified(late, "unbacked"))


def test_a_blind_member_abstains_after_patience_and_attests_when_it_sees() -> None:
    town = quiet(15)
    alice = town.hosts["alice"]
    alice.blind = {AWAY}
    town.run(30)  # as long as the lag, and a block: what was read before settles no more pins
    town.release(500)
    town.run_until(lambda: town.certified(town.hosts["bob"], "unbacked"), within_s=60, what="a certificate")
    town.run(80)
    first = {each.verdict for each in alice.signed if each.decision.subject == "unbacked"}
    assert first == {Verdict.ABSTAIN}

    alice.blind = set()
    town.run(60)

    verdicts = [each.verdict for each in alice.signed if each.decision.subject == "unbacked"]
    assert Verdict.ATTEST in verdicts
    assert Verdict.DISSENT not in verdicts


def test_a_decision_of_a_peer_that_is_ahead_waits_and_is_then_judged() -> None:
    town = drained(16)
    alice = town.hosts["alice"]
    alice.blind = {HOME}
    town.run_until(lambda: town.certified(town.hosts["bob"], "unbacked"), within_s=60, what="a certificate")
    town.run(5)
    assert alice.node is not None
    assert any(entry.asked is None for entry in alice.node.book.entries.values())
    assert not attested(alice, "unbacked")

    alice.blind = set()
    town.run(10)

    assert attested(alice, "unbacked") >= set(town.certified(town.hosts["bob"], "unbacked")[:1])
