"""Who was away for more than one HAVE can name hears all of it, page after page (gossip SPEC 4)."""

from __future__ import annotations

from collections.abc import Sequence
from hashlib import sha256
from itertools import pairwise
from random import Random

import pytest

from relay.gossip.config import LaneConfig
from relay.gossip.counters import Counters, Drop
from relay.gossip.frames import FrameKind, FrameReader, parse_digests
from relay.gossip.healing import Healing, HealingParts
from relay.gossip.mailboxes import Have, Inbox, LinkUp, Outbox, Want
from tests.shells.gossip.town import Shelf, Town

pytestmark = pytest.mark.asyncio

MOST = 8
"""Digests of one HAVE here: the newest 4, and pages of 4."""


class Fading(Shelf):
    """A shelf of which some words expire, and that counts how it was looked into."""

    def __init__(self) -> None:
        super().__init__()
        self.expired: set[bytes] = set()
        self.looked_up = 0
        self.gone_through = 0

    async def unknown(self, digests: Sequence[bytes]) -> Sequence[bytes]:
        self.gone_through += 1
        return await super().unknown(digests)

    async def get(self, digest: bytes) -> bytes | None:
        self.looked_up += 1
        return await super().get(digest)

    async def recent_digests(self, limit: int, before: int | None = None) -> Sequence[tuple[int, bytes]]:
        held = await super().recent_digests(len(self.envelopes), before)
        return [each for each in held if self.envelopes[each[1]] not in self.expired][:limit]


class Exchange:
    """Members whose frames come at once; time is by hand, a second a turn.

    Each keeps what it hears, but for what `refused` names, and effects before their cause is there.
    """

    def __init__(self, *names: str, most: int = MOST, refused: Sequence[bytes] = ()) -> None:
        town = Town()
        self.now_s = 0.0
        self.refused = frozenset(refused)
        self.causes: dict[bytes, bytes] = {}
        self.shelves = {name: Fading() for name in names}
        self.identities = town.identities
        self.names = {town.identities[name]: name for name in names}
        self.counters = Counters()
        self.haves: list[tuple[float, str, str, tuple[bytes, ...]]] = []
        bounds = {"have_digests": most, "want_digests": 2}
        configs = {name: town.patient(name, **bounds) for name in names}
        self.outboxes = {
            name: {town.identities[to]: Outbox(configs[name], self.counters) for to in names if to != name}
            for name in names
        }
        self.healings = {name: self._healing(name, configs[name]) for name in names}

    def _healing(self, name: str, config: LaneConfig) -> Healing:
        parts = HealingParts(
            config=config,
            store=self.shelves[name],
            inbox=Inbox(config, self.counters, self._clock, lambda: None),
            outboxes=self.outboxes[name],
            counters=self.counters,
            flush=lambda: None,
            clock=self._clock,
            chance=Random(1),
        )
        return Healing(parts)

    def _clock(self) -> float:
        return self.now_s

    async def connect(self, name: str, other: str) -> None:
        for me, peer in ((name, other), (other, name)):
            identity = self.identities[peer]
            self.outboxes[me][identity].open()
            await self.healings[me].apply(LinkUp(identity))

    async def run(self, seconds: int) -> None:
        for _ in range(seconds):
            for healing in self.healings.values():
                await healing.tick()
            while await self._carry():
                pass
            self.now_s += 1

    async def _carry(self) -> bool:
        """Bring what waits to whom it is for; False if nothing waits."""
        carried = False
        for name, outboxes in self.outboxes.items():
            for identity, outbox in outboxes.items():
                for frame in FrameReader(1_000_000).feed(outbox.take(1_000_000)):
                    carried = True
                    await self._hear(name, self.names[identity], frame.kind, frame.payload)
        return carried

    async def _hear(self, name: str, to: str, kind: FrameKind, payload: bytes) -> None:
        healing, peer = self.healings[to], self.identities[name]
        match kind:
            case FrameKind.HAVE:
                digests = parse_digests(payload, 4_096)
                self.haves.append((self.now_s, name, to, digests))
                await healing.apply(Have(peer, digests))
            case FrameKind.WANT:
                await healing.apply(Want(peer, parse_digests(payload, 256)))
            case FrameKind.MAIL:
                cause, held = self.causes.get(payload), self.shelves[to].envelopes.values()
                if payload not in self.refused and (cause is None or cause in held):
                    self.shelves[to].put(payload)
                healing.delivered(digest_of(payload))
            case _:
                return
        await healing.tick()

    def said(self, name: str, to: str) -> list[tuple[bytes, ...]]:
        """What HAVE frames of one member named to another, in order."""
        return [digests for _, sender, receiver, digests in self.haves if (sender, receiver) == (name, to)]

    def asked(self, name: str, to: str) -> set[bytes]:
        """Take what waits for a member: what it is asked for."""
        frames = FrameReader(1_000_000).feed(self.outboxes[name][self.identities[to]].take(1_000_000))
        wants = [parse_digests(frame.payload, 256) for frame in frames if frame.kind is FrameKind.WANT]
        return {digest for want in wants for digest in want}

    def words_of(self, name: str) -> list[bytes]:
        return list(self.shelves[name].envelopes.values())


def digest_of(word: bytes) -> bytes:
    return sha256(word).digest()


def digests_of(words: Sequence[bytes]) -> tuple[bytes, ...]:
    return tuple(digest_of(word) for word in words)


def words(number: int, by: str = "honest") -> list[bytes]:
    return [f"{by} {at}".encode() for at in range(number)]


async def between(*, said: Sequence[bytes], **more: object) -> Exchange:
    """Alice, who holds what was said, and bob, who was away."""
    exchange = Exchange("alice", "bob", **more)  # type: ignore[arg-type]
    for word in said:
        exchange.shelves["alice"].put(word)
    await exchange.connect("alice", "bob")
    return exchange


async def test_who_was_away_for_more_than_one_have_can_name_hears_all_of_it() -> None:
    exchange = await between(said=words(50))

    await exchange.run(120)

    assert set(exchange.words_of("bob")) == set(words(50))


async def test_a_burst_of_one_liar_keeps_nobody_from_hearing_the_others() -> None:
    """Bob's node refuses what mallory said, and he asks for it again and again."""
    burst = words(100, "mallory")
    exchange = await between(said=words(20) + burst, refused=burst)

    await exchange.run(300)

    assert set(words(20)) == set(exchange.words_of("bob"))


async def test_a_frame_names_the_newest_half_and_a_page_that_moves_on_and_wraps_around() -> None:
    said = words(15)
    exchange = await between(said=said)
    exchange.shelves["bob"].envelopes = dict(exchange.shelves["alice"].envelopes)

    await exchange.run(300)

    newest_first = digests_of(said[::-1])
    pages = [frame[MOST // 2 :] for frame in exchange.said("alice", "bob")]
    assert all(frame[: MOST // 2] == newest_first[:4] for frame in exchange.said("alice", "bob"))
    assert pages[:4] == [newest_first[4:8], newest_first[8:12], newest_first[12:], newest_first[4:8]]


async def test_pages_come_at_the_normal_pace_until_all_were_named_and_then_less_often() -> None:
    exchange = await between(said=words(20))
    exchange.shelves["bob"].envelopes = dict(exchange.shelves["alice"].envelopes)

    await exchange.run(400)

    times = [at_s for at_s, sender, _, _ in exchange.haves if sender == "alice"]
    waits = [later - earlier for earlier, later in pairwise(times)]
    assert all(5 <= wait <= 11 for wait in waits[:3])  # four pages: 8 s, a quarter more or less
    assert all(wait >= 15 for wait in waits[4:])
    assert all(wait >= 55 for wait in waits[6:])
    assert len(times) < 13


@pytest.mark.parametrize("number", [1, 4, 7, MOST])
async def test_while_all_fits_into_one_frame_each_names_all_and_less_and_less_often(number: int) -> None:
    exchange = await between(said=words(number))
    exchange.shelves["bob"].envelopes = dict(exchange.shelves["alice"].envelopes)

    await exchange.run(400)

    assert set(exchange.said("alice", "bob")) == {digests_of(words(number)[::-1])}
    times = [at_s for at_s, sender, _, _ in exchange.haves if sender == "alice"]
    assert times[2] - times[1] >= 15
    assert len(times) < 10


async def test_what_expires_meanwhile_is_passed_over_and_nothing_else_is() -> None:
    said = words(40)
    exchange = await between(said=said)
    await exchange.run(1)

    gone = said[:3] + said[20:33]
    exchange.shelves["alice"].expired.update(gone)
    await exchange.run(60)

    assert set(said) - set(gone) <= set(exchange.words_of("bob"))
    assert not set(gone) - set(words(40)[28:]) & set(exchange.words_of("bob"))


async def test_what_is_said_meanwhile_moves_no_page_past_anything() -> None:
    exchange = await between(said=words(40))
    for number in range(60):
        await exchange.run(1)
        exchange.shelves["alice"].put(b"news %d" % number)

    await exchange.run(200)

    assert set(exchange.words_of("bob")) == set(exchange.words_of("alice"))


async def test_an_effect_whose_cause_is_on_a_later_page_is_kept_in_the_end() -> None:
    said = words(40)
    exchange = await between(said=said)
    exchange.causes = dict(zip(reversed(said[20:]), said, strict=False))

    await exchange.run(400)

    assert set(exchange.words_of("bob")) == set(said)


async def test_who_names_words_again_and_again_and_gives_none_keeps_nobody_from_asking_others() -> None:
    """Carol names them once, while alice is asked."""
    exchange, said = Exchange("alice", "bob", "carol"), digests_of(words(2))
    bob, alice, carol = exchange.healings["bob"], exchange.identities["alice"], exchange.identities["carol"]
    await exchange.connect("alice", "bob")
    await exchange.connect("carol", "bob")

    for second in range(30):
        exchange.now_s = float(second)
        if second % 5 == 0:
            await bob.apply(Have(alice, said))
        if second == 1:
            await bob.apply(Have(carol, said))
        await bob.tick()

    assert exchange.asked("bob", "carol") == set(said)
    assert exchange.counters.snapshot()[Drop.WANT_LATE] > 0


async def test_what_was_named_before_and_was_not_asked_for_yet_is_asked_for_too() -> None:
    """Though what is asked for first never comes."""
    exchange, said = await between(said=()), digests_of(words(2 * MOST))
    bob, alice = exchange.healings["bob"], exchange.identities["alice"]
    await bob.apply(Have(alice, said[MOST:]))
    await bob.apply(Have(alice, said[:MOST]))

    for second in range(100):
        exchange.now_s = float(second)
        await bob.tick()

    assert exchange.asked("bob", "alice") == set(said)


async def test_what_others_were_asked_for_is_not_gone_through_with_every_event() -> None:
    exchange, said = Exchange("alice", "bob", "carol"), digests_of(words(2))
    for name in ("alice", "carol"):
        await exchange.connect(name, "bob")
        await exchange.healings["bob"].apply(Have(exchange.identities[name], said))

    for _ in range(100):
        await exchange.healings["bob"].tick()

    assert exchange.shelves["bob"].gone_through == 4


async def test_what_a_member_names_is_bounded() -> None:
    exchange = await between(said=())
    bob, alice = exchange.healings["bob"], exchange.identities["alice"]

    for number in range(100):
        await bob.apply(Have(alice, digests_of(words(MOST, f"made up {number}"))))

    assert len(bob._members[alice].lacking) == 2 * MOST


async def test_a_liar_makes_a_member_look_up_no_more_than_it_asks_for() -> None:
    exchange = await between(said=())
    bob, alice = exchange.healings["bob"], exchange.identities["alice"]

    for number in range(100):
        exchange.now_s += 5
        await bob.apply(Have(alice, digests_of(words(MOST, f"made up {number}"))))
        await bob.tick()

    assert exchange.shelves["bob"].looked_up <= 2 * 500 / 10


async def test_what_a_store_knows_is_looked_up_nowhere_else() -> None:
    exchange = await between(said=words(20))
    exchange.shelves["bob"].envelopes = dict(exchange.shelves["alice"].envelopes)

    await exchange.run(100)

    assert exchange.shelves["bob"].looked_up == 0


async def test_of_one_frame_the_oldest_is_asked_for_first() -> None:
    exchange = await between(said=words(MOST))

    await exchange.run(1)

    assert exchange.words_of("bob") == words(MOST)
