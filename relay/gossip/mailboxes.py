"""The two bounded queues between the event loop and the trio thread.

Both are plain data behind a lock, never held across anything that waits. The queue towards the node (`Inbox`)
has one compartment for each member, emptied in turn, so that a member that sends too much fills only its own;
what does not fit is dropped and counted, and anti-entropy brings it later. The queue towards a member
(`Outbox`) drops its oldest mail: what is newest is what the committee still waits for.
"""

from __future__ import annotations

from collections import OrderedDict, deque
from collections.abc import Callable, Iterable, Sequence
from dataclasses import dataclass, field
from threading import Lock

from relay.gossip.config import LaneConfig, Mail
from relay.gossip.counters import Counters, Drop

__all__ = ["Control", "Delivery", "Have", "Inbox", "LinkDown", "LinkUp", "Outbox", "Want"]

_WANTS_WAITING = 4
_REMEMBERED = 8_192


@dataclass(frozen=True, slots=True)
class LinkUp:
    """Mail can be sent to this member."""

    peer: bytes


@dataclass(frozen=True, slots=True)
class LinkDown:
    """No more mail can be sent to this member."""

    peer: bytes


@dataclass(frozen=True, slots=True)
class Have:
    """A member says which envelopes it holds."""

    peer: bytes
    digests: tuple[bytes, ...]


@dataclass(frozen=True, slots=True)
class Want:
    """A member asks for envelopes."""

    peer: bytes
    digests: tuple[bytes, ...]


Control = LinkUp | LinkDown | Have | Want


@dataclass(frozen=True, slots=True)
class Delivery:
    """Mail on its way out of the inbox, with the digest of its frame."""

    mail: Mail
    digest: bytes


@dataclass(slots=True)
class _Compartment:
    mail: deque[Delivery] = field(default_factory=deque)
    mail_bytes: int = 0
    links: deque[LinkUp | LinkDown] = field(default_factory=deque)
    have: Have | None = None
    wants: deque[Want] = field(default_factory=deque)
    expected: set[bytes] = field(default_factory=set)


class Inbox:
    """What came from the members. The trio thread puts, the event loop takes.

    `wake` is called in the putting thread when something was put, and not again before `acknowledge`.
    """

    def __init__(
        self, config: LaneConfig, counters: Counters, clock: Callable[[], float], wake: Callable[[], None]
    ) -> None:
        self._config = config
        self._counters = counters
        self._clock = clock
        self._wake = wake
        self._has_woken = False
        self._lock = Lock()
        self._compartments: dict[bytes, _Compartment] = {
            peer.identity: _Compartment() for peer in config.peers
        }
        self._turns: deque[bytes] = deque()
        self._controls: OrderedDict[bytes, None] = OrderedDict()
        self._recent: OrderedDict[bytes, float] = OrderedDict()

    def admit(self, peers: Iterable[bytes]) -> None:
        """Give compartments to further members, from either side; who was one before keeps its own."""
        with self._lock:
            for peer in peers:
                self._compartments.setdefault(peer, _Compartment())

    # -- put, in the trio thread

    def put_mail(self, delivery: Delivery) -> bool:
        """Put mail; False if it was dropped, because it came just before or its compartment is full."""
        peer, size = delivery.mail.peer, len(delivery.mail.frame)
        with self._lock:
            drop = self._reason_against(peer, size, delivery.digest)
            if drop is None:
                compartment = self._compartments[peer]
                if not compartment.mail:
                    self._turns.append(peer)
                compartment.mail.append(delivery)
                compartment.mail_bytes += size
                self._remember(delivery.digest)
        if drop is None:
            self._signal()
        else:
            self._counters.count(drop)
        return drop is None

    def put_control(self, control: Control) -> None:
        """Put a control event: of HAVE frames the newest stays, of WANT frames the oldest four."""
        with self._lock:
            compartment = self._compartments[control.peer]
            drop: Drop | None = None
            match control:
                case LinkUp() | LinkDown():
                    # A pair of up and down that nobody has seen says nothing.
                    compartment.links.append(control)
                    while len(compartment.links) > 2:
                        compartment.links.popleft()
                case Have():
                    drop = Drop.HAVE_FLOOD if compartment.have is not None else None
                    compartment.have = control
                case Want() if len(compartment.wants) < _WANTS_WAITING:
                    compartment.wants.append(control)
                case Want():
                    drop = Drop.WANT_FLOOD
            self._controls[control.peer] = None
        self._signal()
        if drop is not None:
            self._counters.count(drop)

    def take_expected(self, peer: bytes, digest: bytes) -> bool:
        """Whether we asked this member for this envelope; yes once only [the same one again and again]."""
        with self._lock:
            expected = self._compartments[peer].expected
            was_expected = digest in expected
            expected.discard(digest)
            return was_expected

    def _signal(self) -> None:
        with self._lock:
            must_wake, self._has_woken = not self._has_woken, True
        if must_wake:
            self._wake()

    # -- take, in the event loop

    def acknowledge(self) -> bool:
        """The event loop is awake: what is put from now on wakes it again. True if control events wait."""
        with self._lock:
            self._has_woken = False
            return bool(self._controls)

    def take_mail(self) -> Delivery | None:
        """The next mail, one member after the other; None if there is none."""
        with self._lock:
            if not self._turns:
                return None
            peer = self._turns.popleft()
            compartment = self._compartments[peer]
            delivery = compartment.mail.popleft()
            compartment.mail_bytes -= len(delivery.mail.frame)
            if compartment.mail:
                self._turns.append(peer)
            return delivery

    def take_controls(self) -> Sequence[Control]:
        """All control events that wait, at most a handful for each member."""
        with self._lock:
            taken: list[Control] = []
            for peer in self._controls:
                compartment = self._compartments[peer]
                taken += compartment.links
                taken += [compartment.have] if compartment.have is not None else []
                taken += compartment.wants
                compartment.links.clear()
                compartment.wants.clear()
                compartment.have = None
            self._controls.clear()
            return taken

    def expect(self, peer: bytes, digests: Iterable[bytes]) -> None:
        """Replace what we have asked this member for: such mail is not charged to its rate."""
        with self._lock:
            self._compartments[peer].expected = set(digests)

    def came_just_now(self, digest: bytes) -> bool:
        """Whether an envelope with this digest was put within the last `duplicate_window_s`."""
        with self._lock:
            return self._is_recent(digest)

    # -- under the lock

    def _reason_against(self, peer: bytes, size: int, digest: bytes) -> Drop | None:
        compartment = self._compartments[peer]
        if self._is_recent(digest):
            return Drop.DUPLICATE
        if len(compartment.mail) >= self._config.inbox_frames:
            return Drop.INBOX_FULL
        if compartment.mail_bytes + size > max(self._config.inbox_bytes, size):
            return Drop.INBOX_FULL
        return None

    def _is_recent(self, digest: bytes) -> bool:
        at_s = self._recent.get(digest)
        return at_s is not None and self._clock() - at_s < self._config.duplicate_window_s

    def _remember(self, digest: bytes) -> None:
        self._recent[digest] = self._clock()
        self._recent.move_to_end(digest)
        if len(self._recent) > _REMEMBERED:
            self._recent.popitem(last=False)


class Outbox:
    """What goes to one member: control frames first, then mail, then mail that it asked for again."""

    def __init__(self, config: LaneConfig, counters: Counters) -> None:
        self._config = config
        self._counters = counters
        self._lock = Lock()
        self._is_open = False
        self._control: deque[bytes] = deque()
        self._mail: deque[bytes] = deque()
        self._resent: deque[bytes] = deque()
        self._bytes = 0

    def open(self) -> None:
        """A link is up: from now on frames are taken, starting from none."""
        with self._lock:
            self._clear()
            self._is_open = True

    def close(self) -> None:
        """The link is down: what waits is lost, and anti-entropy brings it after the next link is up."""
        with self._lock:
            lost = len(self._mail) + len(self._resent)
            self._clear()
            self._is_open = False
        if lost:
            self._counters.count(Drop.NOT_CONNECTED, lost)

    def put_mail(self, frame: bytes) -> bool:
        """Put encoded mail; the oldest mail makes room for it. False if there is no link."""
        dropped = 0
        with self._lock:
            is_open = self._is_open
            if is_open:
                self._mail.append(frame)
                self._bytes += len(frame)
                while self._mail_is_too_much() and (self._resent or len(self._mail) > 1):
                    self._bytes -= len(self._resent.pop() if self._resent else self._mail.popleft())
                    dropped += 1
        if not is_open:
            self._counters.count(Drop.NOT_CONNECTED)
        if dropped:
            self._counters.count(Drop.OUTBOX_FULL, dropped)
        return is_open

    def put_resent(self, frame: bytes) -> bool:
        """Put encoded mail that was asked for, only if there is room."""
        with self._lock:
            fits = (
                self._is_open
                and len(self._mail) + len(self._resent) < self._config.outbox_frames
                and self._bytes + len(frame) <= self._config.outbox_bytes
            )
            if fits:
                self._resent.append(frame)
                self._bytes += len(frame)
        if not fits:
            self._counters.count(Drop.RESEND_BUDGET)
        return fits

    def put_control(self, frame: bytes) -> None:
        """Put an encoded control frame; the caller bounds how many there can be."""
        with self._lock:
            if self._is_open:
                self._control.append(frame)

    def take(self, about_bytes: int) -> bytes:
        """Frames to write next, joined: one at least if any waits, then more until `about_bytes`."""
        taken: list[bytes] = []
        size = 0
        with self._lock:
            for queue in (self._control, self._mail, self._resent):
                while queue and size < about_bytes:
                    frame = queue.popleft()
                    size += len(frame)
                    self._bytes -= 0 if queue is self._control else len(frame)
                    taken.append(frame)
        return b"".join(taken)

    def _mail_is_too_much(self) -> bool:
        frames = len(self._mail) + len(self._resent)
        return frames > self._config.outbox_frames or self._bytes > self._config.outbox_bytes

    def _clear(self) -> None:
        self._control.clear()
        self._mail.clear()
        self._resent.clear()
        self._bytes = 0
