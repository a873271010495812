from __future__ import annotations

from dataclasses import replace
from hashlib import sha256

import pytest

from relay.gossip import Drop, LaneConfig, LaneConfigRefused, LanePeer, Mail, Rate
from relay.gossip.buckets import Bucket
from relay.gossip.counters import Counters
from relay.gossip.mailboxes import Delivery, Have, Inbox, LinkDown, LinkUp, Outbox, Want

ALICE, BOB = bytes([1]) * 32, bytes([2]) * 32
CONFIG = LaneConfig(
    listen="/ip4/127.0.0.1/tcp/0",
    peers=(LanePeer(ALICE, ()), LanePeer(BOB, ())),
    inbox_frames=3,
    outbox_frames=3,
    want_digests=3,
)


class Clock:
    now_s = 0.0

    def __call__(self) -> float:
        return self.now_s


class Counted:
    times = 0

    def __call__(self) -> None:
        self.times += 1


def mail(peer: bytes, frame: bytes) -> Delivery:
    return Delivery(Mail(peer, frame), sha256(frame).digest())


def inbox_of(counters: Counters, clock: Clock, wake: Counted) -> Inbox:
    return Inbox(CONFIG, counters, clock, wake)


def test_one_members_flood_neither_displaces_nor_delays_another_members_mail() -> None:
    counters = Counters()
    inbox = inbox_of(counters, Clock(), Counted())

    taken = [inbox.put_mail(mail(ALICE, b"a%d" % number)) for number in range(5)]
    taken.append(inbox.put_mail(mail(BOB, b"b")))

    assert taken == [True, True, True, False, False, True]
    assert counters.snapshot()[Drop.INBOX_FULL] == 2
    order = [delivery.mail.frame for _ in range(4) if (delivery := inbox.take_mail()) is not None]
    assert order == [b"a0", b"b", b"a1", b"a2"]
    assert inbox.take_mail() is None


def test_the_same_frame_is_taken_once_within_the_window_and_again_after_it() -> None:
    clock, counters = Clock(), Counters()
    inbox = inbox_of(counters, clock, Counted())

    assert inbox.put_mail(mail(ALICE, b"same"))
    assert not inbox.put_mail(mail(BOB, b"same"))
    clock.now_s = CONFIG.duplicate_window_s
    assert inbox.put_mail(mail(BOB, b"same"))

    assert counters.snapshot()[Drop.DUPLICATE] == 1


def test_mail_dropped_for_lack_of_room_is_not_a_duplicate_later() -> None:
    inbox = inbox_of(Counters(), Clock(), Counted())
    for number in range(3):
        inbox.put_mail(mail(ALICE, b"%d" % number))

    assert not inbox.put_mail(mail(ALICE, b"late"))
    inbox.take_mail()
    assert inbox.put_mail(mail(ALICE, b"late"))


def test_the_loop_is_woken_once_until_it_says_that_it_is_awake() -> None:
    wake = Counted()
    inbox = inbox_of(Counters(), Clock(), wake)

    inbox.put_mail(mail(ALICE, b"1"))
    inbox.put_mail(mail(ALICE, b"2"))
    assert wake.times == 1
    assert not inbox.acknowledge()
    inbox.put_control(LinkUp(ALICE))

    assert wake.times == 2
    assert inbox.acknowledge()


def test_control_events_are_bounded_and_the_newest_have_stays() -> None:
    counters = Counters()
    inbox = inbox_of(counters, Clock(), Counted())

    for number in range(10):
        inbox.put_control(Have(ALICE, (bytes([number]) * 32,)))
        inbox.put_control(Want(ALICE, (bytes([number]) * 32,)))
        inbox.put_control(LinkUp(ALICE))
        inbox.put_control(LinkDown(ALICE))

    controls = inbox.take_controls()
    assert len(controls) == 2 + 1 + 4
    assert Have(ALICE, (bytes([9]) * 32,)) in controls
    assert controls[:2] == [LinkUp(ALICE), LinkDown(ALICE)]
    assert counters.snapshot()[Drop.WANT_FLOOD] == 6
    assert inbox.take_controls() == []


def test_expected_mail_is_expected_once() -> None:
    inbox = inbox_of(Counters(), Clock(), Counted())
    inbox.expect(ALICE, [bytes(32)])

    assert not inbox.take_expected(BOB, bytes(32))
    assert inbox.take_expected(ALICE, bytes(32))
    assert not inbox.take_expected(ALICE, bytes(32))


def test_the_outbox_drops_the_oldest_mail_and_resent_mail_before_it() -> None:
    counters = Counters()
    outbox = Outbox(CONFIG, counters)
    outbox.open()

    outbox.put_mail(b"1")
    outbox.put_resent(b"r")
    for frame in (b"2", b"3", b"4"):
        outbox.put_mail(frame)
    assert not outbox.put_resent(b"s")

    assert outbox.take(100) == b"234"
    counts = counters.snapshot()
    assert (counts[Drop.OUTBOX_FULL], counts[Drop.RESEND_BUDGET]) == (2, 1)


def test_control_frames_go_first_and_resent_mail_last() -> None:
    outbox = Outbox(CONFIG, Counters())
    outbox.open()

    outbox.put_resent(b"r")
    outbox.put_mail(b"m")
    outbox.put_control(b"c")

    assert [outbox.take(1), outbox.take(1), outbox.take(1), outbox.take(1)] == [b"c", b"m", b"r", b""]


def test_without_a_link_mail_is_counted_and_gone() -> None:
    counters = Counters()
    outbox = Outbox(CONFIG, counters)

    assert not outbox.put_mail(b"before")
    outbox.open()
    assert outbox.put_mail(b"during")
    outbox.close()
    outbox.open()

    assert outbox.take(100) == b""
    assert counters.snapshot()[Drop.NOT_CONNECTED] == 2


def test_a_bucket_refills_up_to_its_burst() -> None:
    clock = Clock()
    bucket = Bucket(Rate(per_s=2, burst=3), clock)

    assert [bucket.take(1) for _ in range(4)] == [True, True, True, False]
    clock.now_s = 1.0
    assert [bucket.take(1) for _ in range(3)] == [True, True, False]
    clock.now_s = 100.0
    assert [bucket.take(1) for _ in range(4)] == [True, True, True, False]


@pytest.mark.parametrize(
    ("changes", "where"),
    [
        ({"listen": "127.0.0.1:4001"}, "address"),
        ({"listen": "/ip4/127.0.0.1/udp/4001"}, "listen"),
        ({"listen": "/ip4/127.0.0.1/tcp/4001/ws"}, "listen"),
        ({"peers": (LanePeer(bytes(31), ()),)}, "identity"),
        ({"peers": (LanePeer(ALICE, ("nowhere",)),)}, "address"),
        ({"peers": (LanePeer(ALICE, ("/ip4/127.0.0.1/udp/1/quic-v1",)),)}, "address"),
        ({"peers": (LanePeer(ALICE, ()), LanePeer(ALICE, ()))}, "peers"),
        ({"have_digests": 8_193}, "have_digests"),
        ({"have_digests": 1, "want_digests": 1}, "have_digests"),
        ({"want_digests": 4}, "want_digests"),
        ({"ping_timeout_s": 5.0}, "ping_timeout_s"),
        ({"redial_max_s": 0.1}, "redial_max_s"),
    ],
)
def test_a_configuration_that_cannot_work_is_refused_by_name(changes: dict[str, object], where: str) -> None:
    with pytest.raises(LaneConfigRefused, match="expected") as refused:
        replace(CONFIG, **changes)  # type: ignore[arg-type]

    assert refused.value.where == where
