"""What was asked for and is not kept is asked for later and later (gossip SPEC 4)."""

from __future__ import annotations

from hashlib import sha256
from random import Random

import pytest

from relay.gossip.counters import Counters
from relay.gossip.healing import Healing, HealingParts
from relay.gossip.mailboxes import Have, Inbox, LinkUp, Outbox
from tests.shells.gossip.town import Shelf, Town

pytestmark = pytest.mark.asyncio

REFUSED = sha256(b"what no node keeps").digest()


class Ask:
    """Bob's side of the exchange with alice, who names one envelope again and again; time is by hand."""

    def __init__(self) -> None:
        town = Town()
        config, self.alice = town.config("bob"), town.identities["alice"]
        self.now_s = 0.0
        self.shelf = Shelf()
        counters = Counters()
        inbox = Inbox(config, counters, lambda: self.now_s, lambda: None)
        self.outbox = Outbox(config, counters)
        parts = HealingParts(
            config=config,
            store=self.shelf,
            inbox=inbox,
            outboxes={self.alice: self.outbox},
            counters=counters,
            flush=lambda: None,
            clock=lambda: self.now_s,
            chance=Random(1),
        )
        self.healing = Healing(parts)

    async def asks_at(self, seconds: range) -> list[int]:
        """Give the seconds at which bob asks; each time the envelope comes, and his node does not keep it."""
        await self.healing.apply(LinkUp(self.alice))
        asked: list[int] = []
        for second in seconds:
            self.now_s = float(second)
            await self.healing.apply(Have(self.alice, (REFUSED,)))
            await self.healing.tick()
            if self.healing.delivered(REFUSED):
                asked.append(second)
        return asked


async def test_what_the_node_does_not_keep_is_asked_for_later_and_later() -> None:
    assert await Ask().asks_at(range(3_200)) == [0, 8, 24, 56, 120, 248, 504, 1_016, 2_040, 3_064]


async def test_what_the_node_keeps_is_not_asked_for_again() -> None:
    ask = Ask()
    assert await ask.asks_at(range(1)) == [0]

    ask.shelf.put(b"what no node keeps")

    assert await ask.asks_at(range(1, 100)) == []
