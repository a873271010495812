"""Anti-entropy: members tell each other which envelopes they hold, and ask for what they lack (SPEC 4).

It runs in the event loop, where the store is. Nothing here is needed for safety: whatever it brings is mail
like any other, and a member that lies in its HAVE frames wastes a bounded number of look-ups.
"""

from __future__ import annotations

from collections import OrderedDict
from collections.abc import Callable, Iterable, Sequence
from dataclasses import dataclass, field
from itertools import islice
from random import Random
from typing import assert_never

from relay.gossip.buckets import Bucket
from relay.gossip.config import EnvelopeStore, LaneConfig
from relay.gossip.counters import Counters, Drop
from relay.gossip.frames import FrameKind, encode
from relay.gossip.mailboxes import Control, Have, Inbox, LinkDown, LinkUp, Outbox, Want

__all__ = ["Healing", "HealingParts"]

_NEWEST_S = 1.0
_IDLE_S = 60.0
MAX_UNKEPT = 65_536


@dataclass(frozen=True, slots=True)
class HealingParts:
    """What anti-entropy works with; `flush` tells the trio side that outboxes have something."""

    config: LaneConfig
    store: EnvelopeStore
    inbox: Inbox
    outboxes: dict[bytes, Outbox]
    counters: Counters
    flush: Callable[[], None]
    clock: Callable[[], float]
    chance: Random


@dataclass(slots=True)
class _Member:
    """What we know of one connected member; its HAVE may come before our own stream is up."""

    repeat_every_s: float
    repeat_at_s: float = 0.0
    is_up: bool = False
    have_at_s: float = 0.0
    newest_named: int = 0
    """The place of the newest envelope of the last HAVE."""
    next_page_before: int | None = None
    """The place at which the last page ended; None if the next one follows the newest."""
    are_all_named: bool = False
    has_asked: bool = False
    lacking: dict[bytes, None] = field(default_factory=dict)
    look_at_s: float = 0.0
    asked: dict[bytes, None] = field(default_factory=dict)
    asked_until_s: float = 0.0


class Healing:
    """The exchange with all members. `apply` takes what they say, `tick` does what is due."""

    def __init__(self, parts: HealingParts) -> None:
        self._parts = parts
        self._config = parts.config
        self._members: dict[bytes, _Member] = {}
        self._newest: Sequence[tuple[int, bytes]] = ()
        self._newest_until_s = parts.clock()
        self._unkept: OrderedDict[bytes, tuple[float, float]] = OrderedDict()
        """Of what came because we asked: how long to wait if the node has not kept it, and until when."""
        self._resend: dict[bytes, Bucket] = {
            peer.identity: Bucket(parts.config.resend_bytes, parts.clock) for peer in parts.config.peers
        }

    def admit(self, peers: Iterable[bytes]) -> None:
        """Give further members what they may make us send; who was one before has what is left of it."""
        for peer in peers:
            self._resend.setdefault(peer, Bucket(self._config.resend_bytes, self._parts.clock))

    async def apply(self, control: Control) -> None:
        """Take one control event from the inbox."""
        match control:
            case LinkUp(peer):
                member = self._member(peer)
                member.is_up, member.have_at_s = True, self._parts.clock()
                self._newest_until_s = member.have_at_s
            case LinkDown(peer):
                self._members.pop(peer, None)
                self._parts.inbox.expect(peer, ())
            case Have(peer, digests):
                await self._on_have(peer, digests)
            case Want(peer, digests):
                await self._on_want(peer, digests)
            case _:
                assert_never(control)

    def delivered(self, digest: bytes) -> bool:
        """Mail left the inbox; True if it was the last that a member was asked for: `tick` has work."""
        has_work = False
        for member in self._members.values():
            if digest in member.asked:
                del member.asked[digest]
                has_work = has_work or not member.asked
                self._note_came(digest)
        return has_work

    def _note_came(self, digest: bytes) -> None:
        """Ask for this later and later, as long as the node does not keep it."""
        waited_s, _ = self._unkept.pop(digest, (self._config.anti_entropy_every_s / 2, 0.0))
        wait_s = min(waited_s * 2, self._config.unkept_max_s)
        self._unkept[digest] = (wait_s, self._parts.clock() + wait_s)
        if len(self._unkept) > MAX_UNKEPT:
            self._unkept.popitem(last=False)

    async def tick(self) -> float:
        """Send the HAVE and WANT frames that are due; the time by the clock at which to be called again."""
        now_s = self._parts.clock()
        up = {peer: member for peer, member in self._members.items() if member.is_up}
        for peer, member in up.items():
            if now_s >= member.have_at_s:
                await self._send_have(peer, member)
            if member.asked and now_s >= member.asked_until_s:
                self._give_up(member)
            if member.lacking and not member.asked and now_s >= member.look_at_s:
                await self._send_want(peer, member)
        return min((self._due_s(member) for member in up.values()), default=now_s + _IDLE_S)

    def _give_up(self, member: _Member) -> None:
        """Leave what has not come to the others, until this member names it again."""
        self._parts.counters.count(Drop.WANT_LATE, len(member.asked))
        for digest in member.asked:
            member.lacking.pop(digest, None)
        member.asked.clear()

    def _member(self, peer: bytes) -> _Member:
        return self._members.setdefault(peer, _Member(self._config.anti_entropy_every_s))

    def _due_s(self, member: _Member) -> float:
        return min(member.have_at_s, member.asked_until_s) if member.asked else member.have_at_s

    async def _send_have(self, peer: bytes, member: _Member) -> None:
        """Say what we hold if there is news; the same again less and less often while nobody lacks it."""
        newest = await self._newest_half()
        now_s = self._parts.clock()
        member.have_at_s = now_s + self._config.anti_entropy_every_s * self._parts.chance.uniform(0.75, 1.25)
        if not newest:
            return
        has_news = member.has_asked or not member.are_all_named or newest[0][0] > member.newest_named
        if not has_news and now_s < member.repeat_at_s:
            return
        every_s = self._config.anti_entropy_every_s
        longer_s = min(member.repeat_every_s * 2, self._config.anti_entropy_max_s)
        member.repeat_every_s = every_s if has_news else longer_s
        member.repeat_at_s = now_s + member.repeat_every_s
        member.newest_named, member.has_asked = newest[0][0], False
        named = (*newest, *await self._next_page(member, newest[-1][0]))
        self._put_control(peer, encode(FrameKind.HAVE, b"".join([digest for _, digest in named])))

    async def _next_page(self, member: _Member, behind: int) -> Sequence[tuple[int, bytes]]:
        """Give what follows the last page that this member was told, or `behind` the newest again."""
        size = self._config.have_digests - self._config.have_digests // 2
        before = member.next_page_before or behind
        older = await self._parts.store.recent_digests(size + 1, before)
        is_last = len(older) <= size
        member.next_page_before = None if is_last else older[size - 1][0]
        member.are_all_named = member.are_all_named or is_last
        return older[:size]

    def _put_control(self, peer: bytes, frame: bytes) -> None:
        """Put a control frame for a member; one that has left meanwhile has no outbox any more."""
        outbox = self._parts.outboxes.get(peer)
        if outbox is not None:
            outbox.put_control(frame)
            self._parts.flush()

    async def _newest_half(self) -> Sequence[tuple[int, bytes]]:
        """What every HAVE begins with, at most a second old: the store is not asked for each member."""
        if self._parts.clock() >= self._newest_until_s:
            self._newest = await self._parts.store.recent_digests(self._config.have_digests // 2)
            self._newest_until_s = self._parts.clock() + _NEWEST_S
        return self._newest

    async def _on_have(self, peer: bytes, digests: tuple[bytes, ...]) -> None:
        """Note what we lack, oldest first, so that causes come before their effects."""
        member = self._member(peer)
        named = (*reversed(digests), *member.lacking)
        lacking = dict.fromkeys(await self._parts.store.unknown(named))
        member.lacking = dict.fromkeys(islice(lacking, 2 * self._config.have_digests))
        member.look_at_s = 0.0

    async def _send_want(self, peer: bytes, member: _Member) -> None:
        """Ask for the next envelopes that we still lack and that nobody else has been asked for."""
        now_s = self._parts.clock()
        asked_elsewhere = {digest for other in self._members.values() for digest in other.asked}
        member.lacking = dict.fromkeys(await self._parts.store.unknown(tuple(member.lacking)))
        for digest in tuple(member.lacking):
            if digest in asked_elsewhere or self._parts.inbox.came_just_now(digest):
                continue  # this member is asked later, if it does not come or is not kept
            del member.lacking[digest]
            rests = now_s < self._unkept.get(digest, (0.0, 0.0))[1]
            if not rests and await self._parts.store.get(digest) is None:
                member.asked[digest] = None
            if len(member.asked) == self._config.want_digests:
                break
        if not member.asked:
            # All of it is on its way: not to be gone through again with every event.
            member.look_at_s = now_s + self._config.anti_entropy_every_s
        else:
            member.asked_until_s = self._parts.clock() + self._config.want_timeout_s
            self._parts.inbox.expect(peer, member.asked)
            self._put_control(peer, encode(FrameKind.WANT, b"".join(member.asked)))

    async def _on_want(self, peer: bytes, digests: tuple[bytes, ...]) -> None:
        """Send again, byte for byte, what a member lacks, within the bytes that it may make us send."""
        member = self._members.get(peer)
        if member is None:
            return
        member.has_asked = True
        for digest in digests:
            envelope = await self._parts.store.get(digest)
            outbox = self._parts.outboxes.get(peer)
            if outbox is None:
                break  # it has left meanwhile
            if envelope is None:
                continue
            if not self._resend[peer].take(len(envelope)):
                self._parts.counters.count(Drop.RESEND_BUDGET)
                break
            if not outbox.put_resent(encode(FrameKind.MAIL, envelope)):
                break
        self._parts.flush()
