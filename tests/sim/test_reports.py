"""Reports in a town with liars: `need` honest keys under one subject, or nothing (plans SPEC 1.6)."""

from __future__ import annotations

import random
from dataclasses import dataclass, field, replace

from proofs.decision import BlockRef
from proofs.hashes import sha256
from proofs.kinds import DecisionId, Digest, Millis
from proofs.mandate import Tier
from proofs.reports import Report, Subject, subject_digest
from relay.core.compiled import CompiledPlan
from relay.core.decisions import prepare
from relay.core.events import ReportTold
from relay.core.messages import Attestation, Message, Verdict
from relay.core.reports import decision_of
from relay.core.room import Reported
from tests.sim.host import Host
from tests.sim.invariants import Witness, assert_replay_is_equal
from tests.sim.keys import EMPTY_TRACE, Keys
from tests.sim.liars import Silent
from tests.sim.plans import HOME, sim_plans
from tests.sim.reporters import OSCAR, PEGGY, STRANGER, TRUSTED, Reporter, subject_of, with_reports
from tests.sim.town import Liar, LiarMaker, Town

NEED = 2


@dataclass
class Office:
    """Where reporters sign: it knows who signed what, and checks that no decision rests on less."""

    town: Town
    signed: dict[DecisionId, set[str]] = field(default_factory=dict)

    @property
    def plan(self) -> CompiledPlan:
        return self.town.plans[0]

    def subject(self, what: str = "tx") -> Subject:
        """Give the subject of an occasion, at the newest block."""
        return subject_of(self.plan, self.town.committee.network, self.town.chains[HOME].head, about=what)

    def sign(self, reporter: Reporter, subject: Subject) -> Report:
        """Let a reporter sign."""
        self.signed.setdefault(subject_digest(subject), set()).add(reporter.name)
        return reporter.signs(subject)

    def tell(self, host: Host, reporter: Reporter, subject: Subject) -> None:
        """Let a reporter sign, and tell one member."""
        host.take(ReportTold(self.sign(reporter, subject), Millis(self.town.now_ms)))

    def __call__(self, town: Town) -> None:
        """Check that behind every decision of reports that is certified or carried out stand enough."""
        trusted = {each.name for each in TRUSTED}
        for host in town.up():
            assert host.node is not None
            for entry in host.node.book.entries.values():
                decision = entry.tally.prepared.decision
                if decision.subject.startswith("report:") and entry.tally.certificate is not None:
                    assert decision.parent is not None
                    behind = self.signed.get(DecisionId(decision.parent), set()) & trusted
                    assert len(behind) >= NEED, f"{host.keys.name}: {behind} behind {decision}"


def town_of(seed: int, *liars: LiarMaker, when: str | None = None, records: int = 3) -> tuple[Town, Office]:
    """Give a town whose bridge listens to three reporters, after its first blocks."""
    bridge, market = sim_plans()
    listening = with_reports(bridge, "halt", need=NEED, when=when, records=records)
    town = Town(random.Random(seed), plans=(listening, market), liars=liars)
    office = Office(town)
    town.checks += [Witness(), office]
    town.run(40)
    return town, office


def certified(town: Town) -> list[int]:
    """Give how many decisions of reports each host has certified."""
    return [len(town.certified(host, "report:attack")) for host in town.up()]


class Forger(Liar):
    """A member that wants a halt: makes reports up, moves signatures, repeats old ones, attests."""

    def __init__(self, keys: Keys, town: Town, chance: random.Random) -> None:
        super().__init__(keys, town, chance)
        self.wanted: list[tuple[Subject, BlockRef]] = []
        """True subjects, of which it wants a decision before enough have signed."""

    def act(self) -> None:
        """Say one more thing that is not so."""
        blocks = [reads.header.block for reads in self.town.chains[HOME].blocks]
        compiled = self.town.plans[0]
        network = self.town.committee.network
        if len(blocks) < 3 or self.chance.random() < 0.6:
            return
        block = self.chance.choice(blocks[-12:])
        subject = subject_of(compiled, network, block, about=f"{self.chance.random()}")
        moved = [replace(OSCAR.signs(subject), reporter=PEGGY.public), STRANGER.signs(subject)]
        unseen = replace(subject, block=Digest(sha256(self.chance.randbytes(8))))
        for report in (*moved, Report(unseen, OSCAR.public, self.chance.randbytes(64))):
            self.say(report)
        self.attest(subject, block)
        for real, at in self.wanted:
            self.attest(real, at)
        for raw in self.chance.sample(self.heard, min(5, len(self.heard))):
            self.mail(raw)

    def attest(self, subject: Subject, block: BlockRef) -> None:
        """Attest to what a subject would call for."""
        decision = decision_of(Reported(subject, ()), block, 1)
        digest = prepare(self.town.committee.network, self.town.plans[0], decision).digest
        signature = self.keys.sign_mandate(digest)
        self.say(Attestation(decision, Verdict.ATTEST, EMPTY_TRACE, digest, signature))

    def say(self, message: Message) -> None:
        """Sign and mail something."""
        self.mail(self.keys.say(message, self.town.committee, self.town.now_ms)[0].raw)

    def mail(self, raw: bytes) -> None:
        """Mail to everybody."""
        for member in self.town.committee.members:
            if member.identity != self.keys.identity:
                self.town.send(self.keys.identity, member.identity, raw)


class Chatty(Forger):
    """A member in league with one reporter, who signs whatever it wants."""

    def __init__(self, keys: Keys, town: Town, chance: random.Random) -> None:
        super().__init__(keys, town, chance)
        self.office: Office | None = None

    def act(self) -> None:
        """Flood the others with subjects of one reporter."""
        super().act()
        if self.office is not None:
            for _ in range(3):
                self.say(self.office.sign(PEGGY, self.office.subject(f"{self.chance.random()}")))


def test_reporters_at_different_members_halt_the_bridge_though_a_member_is_silent() -> None:
    town, office = town_of(1, Silent)
    alice, bob = town.hosts["alice"], town.hosts["bob"]
    subject = office.subject()

    office.tell(alice, OSCAR, subject)
    town.run(10)
    assert town.state("halt") == 0, "one of two is not enough"
    office.tell(bob, PEGGY, subject)
    town.run_until(lambda: town.state("halt") == 1, within_s=40, what="the bridge is halted")

    town.run_until(lambda: set(certified(town)) == {1}, within_s=20, what="all have the certificate")
    for host in town.up():
        assert {each.verdict for each in host.signed} == {Verdict.ATTEST}
        assert host.node is not None
        entry = next(iter(host.node.book.visible()))
        assert entry.tally.prepared.decision.tier is Tier.FAST
    assert_replay_is_equal(alice)


def test_a_market_that_listens_follows_what_reports_call_for() -> None:
    town, office = town_of(2)
    subject = office.subject()

    for host, reporter in zip(town.hosts.values(), (OSCAR, PEGGY), strict=False):
        office.tell(host, reporter, subject)

    town.run_until(lambda: town.state("freeze") == 1, within_s=90, what="the market follows")


def test_a_member_that_was_away_has_the_reports_by_anti_entropy_and_reaches_the_same_verdict() -> None:
    town, office = town_of(3)
    dave = town.hosts["dave"]
    dave.stop()
    subject = office.subject()
    office.tell(town.hosts["alice"], OSCAR, subject)
    office.tell(town.hosts["bob"], PEGGY, subject)
    town.run(20)

    dave.start()
    town.run_until(lambda: dave.signed, within_s=75, what="dave has a say")

    said = {each.decision.subject: each.verdict for each in dave.signed}
    assert said["report:attack"] is Verdict.ATTEST
    assert set(said.values()) == {Verdict.ATTEST}
    assert_replay_is_equal(dave)


def test_no_forger_halts_the_bridge_and_none_keeps_honest_reporters_from_it() -> None:
    town, office = town_of(4, Forger)
    forger = town.liars[0]
    assert isinstance(forger, Forger)
    subject = office.subject()
    forger.wanted.append((subject, town.chains[HOME].head))
    office.tell(town.hosts["alice"], OSCAR, subject)
    town.run(30)
    assert certified(town) == [0] * 3, "one reporter, a liar and a forged one are not two reporters"

    office.tell(town.hosts["alice"], PEGGY, subject)

    town.run_until(lambda: town.state("halt") == 1, within_s=60, what="the bridge is halted")


def test_one_reporter_that_signs_everything_calls_for_nothing_and_takes_only_its_own_places() -> None:
    town, office = town_of(5, Chatty)
    chatty = town.liars[0]
    assert isinstance(chatty, Chatty)
    chatty.office = office
    town.run(20)
    assert certified(town) == [0] * 3

    subject = office.subject("the true one")
    office.tell(town.hosts["alice"], OSCAR, subject)
    town.run(12)
    assert certified(town) == [0] * 3
    office.tell(town.hosts["bob"], TRUSTED[2], subject)

    town.run_until(lambda: town.state("halt") == 1, within_s=60, what="the bridge is halted")


def test_reports_renew_in_every_slot_as_far_as_their_budget_goes() -> None:
    town, office = town_of(6, records=2)

    for slot in range(3):
        for host, reporter in zip(town.hosts.values(), (OSCAR, PEGGY), strict=False):
            office.tell(host, reporter, office.subject(f"slot {slot}"))
        town.run(120)

    assert certified(town) == [2] * 4
