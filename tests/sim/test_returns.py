"""Who was away and comes back holds in the end what all others hold, his own words too (SPEC 6.5, 7.3)."""

from __future__ import annotations

import random
from collections.abc import Iterator, Sequence

import pytest

from proofs.decision import decision_id
from proofs.envelope import Envelope, open_envelope
from relay.core.effects import Effect
from relay.core.events import Event, Signed
from relay.core.messages import Absence, Attestation, Header, Message, Outcome, Shadow, Verdict
from relay.core.wire import read_message
from tests.sim.host import Host
from tests.sim.invariants import assert_replay_is_equal
from tests.sim.keys import Crashed
from tests.sim.plans import BRIDGE, compile_text, sim_plans
from tests.sim.town import HEALING_S, Town

LOOK_BACK_MS = 30_000
"""What was said later than this before the end may still be on its way."""


def watcher_text() -> str:
    """Give the bridge's plan in shadow mode, behind gateways of its own."""
    text = BRIDGE.replace('mode = "armed"', 'mode = "shadow"').replace(
        '"bridge"\nversion', '"watcher"\nversion'
    )
    return text.replace("gateway-home", "watcher-home").replace("gateway-away", "watcher-away")


class OldestFirst(Town):
    """A town whose members ask each other for what they lack in the order of the other's journal."""

    def _heal(self) -> None:
        for one in self.up():
            for other in self.up():
                lacking = [raw for digest, raw in one.disk.kept.items() if digest not in other.disk.kept]
                for raw in lacking:
                    other.receive(raw)


def drained(kind: type[Town], seed: int, seconds: int) -> Town:
    """Give a town so long after its rule turned true; its slots and mandates last minutes."""
    print(f"seed {seed}")
    town = kind(random.Random(seed), plans=(*sim_plans(), compile_text(watcher_text())))
    town.burn(100)
    town.run(60)
    town.release(500)
    town.run(seconds)
    return town


def away(town: Town, name: str, seconds: int) -> Host:
    """Let a member be away; when it is back it ends once more in the middle of hearing the others."""
    host = town.hosts[name]
    host.stop()
    town.run(seconds)
    town.burn(1_000)
    town.run(30)
    host.start()
    town.run(HEALING_S + 1)
    host.stop()
    town.run(3)
    host.start()
    town.run(150)
    return host


def lacking(town: Town) -> list[str]:
    """Tell what some logs hold and others do not: the keeper of the log, the kind, and the author."""
    names = {member.identity: member.name for member in town.committee.members}
    old = {
        digest: envelope
        for host in town.hosts.values()
        for digest, raw in host.disk.log.items()
        if (envelope := open_envelope(raw)).at_ms < town.now_ms - LOOK_BACK_MS
    }
    return [
        f"{host.keys.name} lacks {envelope.kind} of {names[envelope.author]}"
        for host in town.hosts.values()
        for digest, envelope in old.items()
        if digest not in host.disk.log
    ]


@pytest.mark.timeout(300)
@pytest.mark.parametrize("kind", [Town, OldestFirst])
@pytest.mark.parametrize(
    ("before", "seconds"), [(5, 150), (15, 300), (100, 700)], ids=["minutes", "slots", "the whole incident"]
)
def test_who_was_away_holds_in_the_end_what_all_hold(kind: type[Town], before: int, seconds: int) -> None:
    town = drained(kind, before, before)

    away(town, "bob", seconds)

    assert not lacking(town)
    for host in town.hosts.values():
        assert_replay_is_equal(host)


@pytest.mark.timeout(300)
@pytest.mark.parametrize("seed", [0, 2])
def test_who_went_as_the_certificate_came_calls_nobody_absent_who_had_spoken(seed: int) -> None:
    town = drained(Town, seed, 0)
    bob = town.hosts["bob"]
    town.run_until(lambda: town.certified(bob, "unbacked"), within_s=100, what="bob has a certificate")
    bob.stop()
    town.run(400)
    town.burn(1_000)
    town.run(30)
    bob.start()
    town.run(150)

    spoken = {
        (envelope.author, decision_id(town.committee.network, said.decision))
        for envelope, said in words(bob)
        if isinstance(said, Attestation) and said.verdict is not Verdict.ABSTAIN
    }
    absent = {
        (member, said.decision_id)
        for envelope, said in words(bob)
        if isinstance(said, Absence) and envelope.author == bob.me
        for member in said.absent
    }
    assert not absent & spoken


def words(host: Host) -> Iterator[tuple[Envelope, Message]]:
    """Give what stands in a member's log."""
    for raw in host.disk.log.values():
        envelope = open_envelope(raw)
        yield envelope, read_message(envelope)


@pytest.mark.timeout(300)
@pytest.mark.parametrize("kind", [Attestation, Header, Outcome, Shadow])
def test_a_crash_between_saying_and_storing_leaves_no_word_of_ours_out_of_our_log(
    kind: type[Message],
) -> None:
    town = drained(OldestFirst, 5, 0)
    bob = town.hosts["bob"]
    ends_before_it_stores(bob, kind)
    town.run_until(lambda: not bob.is_up, within_s=200, what="bob ends")
    town.run(3)  # what is said again is said at another time

    bob.start()
    town.run(60)

    assert not [each for each in lacking(town) if each.startswith("bob lacks")]
    assert_replay_is_equal(bob)


def ends_before_it_stores(host: Host, kind: type[Message]) -> None:
    """End a process at its first own word of a kind, which has left it."""
    commit = host._commit

    def ends(event: Event, effects: Sequence[Effect]) -> None:
        if isinstance(event, Signed) and isinstance(event.message, kind):
            host._commit = commit  # type: ignore[method-assign]
            raise Crashed(kind.__name__)
        commit(event, effects)

    host._commit = ends  # type: ignore[method-assign]
