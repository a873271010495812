"""Members' witnesses on a lane: what they tell each other, what comes of it, and what they do not take."""

from __future__ import annotations

import asyncio
import io
from collections.abc import AsyncIterator
from contextlib import AsyncExitStack, asynccontextmanager
from dataclasses import dataclass, field
from pathlib import Path

import pytest

from proofs.committee import CommitteeDocument
from proofs.envelope import Envelope, parse_envelope, signing_bytes, verify_envelope
from proofs.forks import check_fork
from proofs.hashes import sha256
from proofs.kinds import Digest, Identity
from relay.app.witnessing import GOSSIP_EVERY_S, LaneWitness, OwnWitness, Witnessing, WitnessingTools
from relay.core.committees import Committees
from relay.core.wire import payload_of, read_message, seal
from relay.core.witnessing import (
    WITNESSING,
    CheckpointAdded,
    Consistency,
    ProveConsistency,
    Witnessed,
    WitnessingMessage,
)
from relay.telemetry import Log, Telemetry
from relay.witness.desk import ASK_AFTER_MS, ASK_EVERY_MS, WitnessDesk
from relay.witness.pushing import Publisher, Witness, WitnessSilent
from tests.shells.witness.circle import (
    NAMES,
    Clock,
    Heard,
    MemoryLog,
    Secrets,
    Story,
    committee_of,
    key_of_cosigner,
    key_of_log,
    open_desk,
    publisher_of,
    story_of,
    until,
)

pytestmark = pytest.mark.asyncio
COMMITTEE = committee_of()


@dataclass
class Member:
    """One member's witnessing, and what it has sent."""

    name: str
    desk: WitnessDesk
    witnessing: Witnessing
    log: MemoryLog
    telemetry: Telemetry
    heard: Heard = field(default_factory=Heard)
    publisher: Publisher | None = None

    @property
    def identity(self) -> Identity:
        return Identity(bytes(Secrets(self.name).identity.verify_key))


@dataclass
class Town:
    """Members whose words reach each other at once, in the order in which they are said."""

    document: CommitteeDocument = COMMITTEE
    members: dict[Identity, Member] = field(default_factory=dict)
    gone: set[Identity] = field(default_factory=set)
    clock: Clock = field(default_factory=Clock)
    said: list[tuple[str, str]] = field(default_factory=list)
    """Who said what kind of message."""

    def at(self, name: str) -> Member:
        return next(member for member in self.members.values() if member.name == name)

    def connected(self, me: Identity) -> frozenset[bytes]:
        return frozenset() if me in self.gone else frozenset(self.members.keys() - self.gone - {me})

    async def carry(self, author: Identity, to: Identity, raw: bytes) -> None:
        if author in self.gone or to in self.gone:
            return
        envelope = verify_envelope(parse_envelope(raw))
        message = read_message(envelope)
        assert isinstance(message, WITNESSING)
        self.said.append((self.members[author].name, envelope.kind))
        self.members[to].witnessing.take(envelope, message)

    async def carry_to_all(self, author: Identity, raw: bytes) -> None:
        for to in self.members.keys() - {author}:
            await self.carry(author, to, raw)

    def ask_of(self, name: str) -> list[Witness]:
        """Give the witnesses of a member's log: its own, and the others on the lane."""
        me = self.at(name)
        found: list[Witness] = [OwnWitness(key_of_cosigner(self.document, name), me.desk)]
        for identity, member in self.members.items():
            if member is not me:
                key = key_of_cosigner(self.document, member.name)
                found.append(LaneWitness(key, identity, me.witnessing.exchange))
        return found


@asynccontextmanager
async def open_town(folder: Path) -> AsyncIterator[Town]:
    town = Town()
    async with AsyncExitStack() as stack:
        group = await stack.enter_async_context(asyncio.TaskGroup())
        for name in NAMES[:4]:
            heard = Heard()
            desk = await stack.enter_async_context(
                open_desk(folder / name, COMMITTEE, name, clock=town.clock, heard=heard)
            )
            log = MemoryLog(story_of(COMMITTEE, name, 5), recorded=0)
            telemetry = Telemetry(Log(io.StringIO(), clock=town.clock))
            tools = tools_of(town, name, log, telemetry)
            member = Member(name, desk, Witnessing(tools, desk, group), log, telemetry, heard)
            town.members[member.identity] = member
        for name in NAMES[:4]:
            member = town.at(name)
            member.publisher = publisher_of(
                member.log, COMMITTEE, town.ask_of(name), group, clock=town.clock, heard=member.heard
            )
            member.witnessing.publisher = member.publisher
        yield town
        for task in asyncio.all_tasks():
            if task.get_name().startswith("ask "):
                task.cancel()


def tools_of(town: Town, name: str, log: MemoryLog, telemetry: Telemetry) -> WitnessingTools:
    secret = Secrets(name).identity
    me = Identity(bytes(secret.verify_key))

    async def sign(payload: bytes) -> bytes:
        return bytes(secret.sign(signing_bytes(payload)).signature)

    return WitnessingTools(
        me=me,
        committees=lambda: Committees((COMMITTEE,)),
        sign=sign,
        connected=lambda: town.connected(me),
        send=lambda to, raw: town.carry(me, to, raw),
        broadcast=lambda raw: town.carry_to_all(me, raw),
        log=key_of_log(COMMITTEE, name),
        prove=log.consistency_proof,
        telemetry=telemetry,
        clock=town.clock,
        clock_s=lambda: town.clock() / 1_000,
    )


def sealed(town: Town, name: str, message: WitnessingMessage) -> Envelope:
    """Give what a member says of its own will."""
    secret = Secrets(name).identity
    author = Identity(bytes(secret.verify_key))
    payload = payload_of(message, committee=COMMITTEE, author=author, at_ms=town.clock())
    envelope, _ = seal(payload, bytes(secret.sign(signing_bytes(payload)).signature))
    return envelope


async def say(town: Town, name: str, message: WitnessingMessage, to: str) -> None:
    """Let a member say something of its own will."""
    envelope = sealed(town, name, message)
    await town.carry(envelope.author, town.at(to).identity, envelope.raw)


def dropped(member: Member) -> str:
    text, _ = member.telemetry.metrics.text()
    return text.decode()


async def test_every_log_is_published_over_the_lane(tmp_path: Path) -> None:
    async with open_town(tmp_path) as town:
        for _ in range(2):
            for member in town.members.values():
                assert member.publisher is not None
                await member.publisher.turn()
            await until(
                "all have cosigned all",
                lambda: all(
                    member.publisher is not None and len(member.publisher.cosigned_by()) == 4
                    for member in town.members.values()
                ),
            )

        sizes = {
            member.log.published.checkpoint.size for member in town.members.values() if member.log.published
        }
        assert sizes == {5}
        assert all(len(member.desk.held()) == 4 for member in town.members.values())


async def test_two_witnesses_that_were_told_different_stories_find_it_when_they_talk(tmp_path: Path) -> None:
    async with open_town(tmp_path) as town:
        bob, carol = town.at("bob"), town.at("carol")
        story = story_of(COMMITTEE, "alice", 4)
        await bob.desk.add_checkpoint(story.request())
        await carol.desk.add_checkpoint(story_of(COMMITTEE, "alice", 4, "for carol").request())
        await bob.witnessing.turn()

        # Who is newly connected is shown everything; later it is what is new.
        await until("carol has found the fork", lambda: bool(carol.heard.forks))

    (fork,) = carol.heard.forks
    assert check_fork(fork.first, fork.second, [story.key]).size == 4


async def test_two_stories_of_different_sizes_become_a_debt_that_nobody_can_pay(tmp_path: Path) -> None:
    async with open_town(tmp_path) as town:
        bob, carol, alice = town.at("bob"), town.at("carol"), town.at("alice")
        alice.log.story = story_of(COMMITTEE, "alice", 9)
        other = story_of(COMMITTEE, "alice", 6, "for carol")
        await bob.desk.add_checkpoint(alice.log.story.request(0, 4))
        await carol.desk.add_checkpoint(other.request())
        note = await carol.desk.cosigned_note(other.key)
        assert note is not None
        await say(town, "carol", Witnessed((note,)), "bob")
        await until("bob has seen it", lambda: len(bob.desk.debts()) == 1)

        town.clock.forward(ASK_AFTER_MS)
        for key, first, second in bob.desk.ask_now(lambda _: True):
            await say(town, "bob", ProveConsistency(first, second), "alice")
            assert key == other.key
        await until("alice's proof proves nothing", lambda: bob.desk.debts()[0].owes)

        refused = await bob.desk.add_checkpoint(alice.log.story.request(4, 9))
        assert (refused.status, bob.heard.forks) == (403, [])
        assert ("alice", "consistency") in town.said


async def test_an_honest_log_proves_what_it_is_asked_for(tmp_path: Path) -> None:
    async with open_town(tmp_path) as town:
        bob, alice = town.at("bob"), town.at("alice")
        alice.log.story = story_of(COMMITTEE, "alice", 9)
        await bob.desk.add_checkpoint(alice.log.story.request(0, 4))
        await bob.desk.see(alice.log.story.note(7))
        town.clock.forward(ASK_AFTER_MS + ASK_EVERY_MS)
        await bob.witnessing.turn()

        await until("bob has its proof", lambda: bob.desk.debts() == [])


async def test_a_log_that_asks_with_less_than_we_hold_is_shown_its_own_signature(tmp_path: Path) -> None:
    """So it learns that its disk is an older copy, which no size that somebody names would tell."""
    async with open_town(tmp_path) as town:
        alice = town.at("alice")
        whole = alice.log.story
        for name in ("bob", "carol", "dave"):
            await town.at(name).desk.add_checkpoint(whole.request(0, 5))
        alice.log.story = Story(whole.key, Secrets("alice").log, whole.entries[:2])
        alice.log.recorded = 2
        assert alice.publisher is not None
        await alice.publisher.turn()

        await until(
            "alice has stopped", lambda: alice.publisher is not None and bool(alice.publisher.stopped)
        )
        assert "size 5" in alice.publisher.stopped
        assert alice.log.files == []


async def test_whoever_shows_our_log_what_it_does_not_know_stops_it(tmp_path: Path) -> None:
    async with open_town(tmp_path) as town:
        alice = town.at("alice")
        whole = alice.log.story
        alice.log.story = Story(whole.key, Secrets("alice").log, whole.entries[:2])
        alice.log.recorded = 2

        answer = await alice.witnessing.add_checkpoint(whole.request())

        assert answer.status == 200  # for her witness, which knew nothing, it is right
        assert alice.publisher is not None
        assert "size 5" in alice.publisher.stopped
    assert ["signs nothing more" in page for page in alice.heard.pages] == [True]


async def test_who_cannot_be_reached_is_not_written_to(tmp_path: Path) -> None:
    async with open_town(tmp_path) as town:
        bob = town.at("bob")
        town.gone = {bob.identity}
        with pytest.raises(WitnessSilent, match="not connected"):
            await town.at("alice").witnessing.exchange(bob.identity, b"old 0\n")
        assert town.said == []


async def test_a_flood_is_dropped_by_name_and_the_others_are_served(tmp_path: Path) -> None:
    async with open_town(tmp_path) as town:
        bob = town.at("bob")
        for _ in range(40):
            await say(town, "carol", ProveConsistency(1, 2), "bob")
        await say(town, "dave", ProveConsistency(1, 2), "bob")
        await until("bob has answered", lambda: town.said.count(("bob", "consistency")) == 33)

    assert 'tocsin_dropped_total{reason="witness_flood"} 8.0' in dropped(bob)


async def test_who_comes_back_is_asked_at_once_for_what_it_has_not_cosigned(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr("relay.witness.pushing._FIRST_WAIT_S", 60.0)
    async with open_town(tmp_path) as town:
        alice, bob = town.at("alice"), town.at("bob")
        publisher = alice.publisher
        assert publisher is not None
        town.gone = {bob.identity}
        await alice.witnessing.turn()
        await publisher.turn()
        await until("the others have cosigned", lambda: len(publisher.cosigned_by()) == 3)
        town.gone = set()
        await alice.witnessing.turn()
        await until("bob has cosigned", lambda: len(publisher.cosigned_by()) == 4)


async def test_so_much_is_under_way_at_once_whoever_asks(tmp_path: Path) -> None:
    async with open_town(tmp_path) as town:
        for name in ("carol", "dave"):
            for _ in range(32):
                await say(town, name, ProveConsistency(1, 2), "bob")
        await say(town, "alice", ProveConsistency(1, 2), "bob")
        await until("bob has answered", lambda: town.said.count(("bob", "consistency")) == 64)
        await say(town, "alice", ProveConsistency(1, 2), "bob")
        await until("bob has answered", lambda: town.said.count(("bob", "consistency")) == 65)

    assert 'tocsin_dropped_total{reason="witness_flood"} 1.0' in dropped(town.at("bob"))


async def test_an_answer_is_heard_while_others_keep_us_busy(tmp_path: Path) -> None:
    async with open_town(tmp_path) as town, asyncio.TaskGroup() as group:
        alice, bob = town.at("alice"), town.at("bob")
        raw = story_of(COMMITTEE, "bob", 3).request()
        asking = group.create_task(bob.witnessing.exchange(alice.identity, raw))
        await until("alice is asked", lambda: ("bob", "add_checkpoint") in town.said)
        town.gone = {alice.identity}  # what she answers is lost
        for _ in range(32):
            await say(town, "carol", ProveConsistency(1, 2), "bob")
            await say(town, "dave", ProveConsistency(1, 2), "bob")
        answer = CheckpointAdded(Digest(sha256(raw)), 409, b"1\n")
        bob.witnessing.take(sealed(town, "alice", answer), answer)

        assert await asking == (409, b"1\n")


async def test_who_hangs_up_leaves_no_witness_that_knows_less_than_its_disk(tmp_path: Path) -> None:
    story, other = (story_of(COMMITTEE, "alice", 4, version) for version in ("", "other"))
    async with open_town(tmp_path) as town, asyncio.TaskGroup() as group:
        bob = town.at("bob")
        for each in (story, other):
            asking = group.create_task(bob.witnessing.add_checkpoint(each.request()))
            await asyncio.sleep(0)
            await asyncio.sleep(0)  # it is under way
            asking.cancel()
        await until("the first is known", lambda: story.key in bob.desk.held())
        await until("the fork is told", lambda: len(bob.heard.forks) == 1)


async def test_nobody_speaks_while_no_log_grows(tmp_path: Path) -> None:
    async with open_town(tmp_path) as town:
        bob = town.at("bob")
        await bob.desk.add_checkpoint(story_of(COMMITTEE, "alice", 4).request())
        await bob.witnessing.turn()  # everybody is new to him
        town.said.clear()
        town.clock.forward(int(GOSSIP_EVERY_S * 1_000))
        await bob.witnessing.turn()
        assert town.said == [("bob", "witnessed")] * 3
        town.said.clear()
        for _ in range(10):
            town.clock.forward(int(GOSSIP_EVERY_S * 1_000))
            await bob.witnessing.turn()

    assert town.said == []


async def test_a_wrong_answer_to_nobodys_question_changes_nothing(tmp_path: Path) -> None:
    async with open_town(tmp_path) as town:
        bob = town.at("bob")
        await bob.desk.add_checkpoint(story_of(COMMITTEE, "alice", 4).request())
        await say(town, "carol", Consistency(2, 4, (Digest(bytes(32)),)), "bob")
        await say(town, "alice", Consistency(2, 4, (Digest(bytes(32)),)), "bob")
        await say(town, "alice", ProveConsistency(2, 1 << 40), "bob")
        await say(town, "dave", ProveConsistency(1, 2), "bob")
        await until("bob has answered dave", lambda: ("bob", "consistency") in town.said)

        assert bob.desk.debts() == []
