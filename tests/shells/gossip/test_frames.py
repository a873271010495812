from __future__ import annotations

import pytest
from hypothesis import given
from hypothesis import strategies as st

from relay.gossip.counters import Drop
from relay.gossip.errors import FrameRefused
from relay.gossip.frames import Frame, FrameKind, FrameReader, encode, parse_digests

frames = st.lists(
    st.one_of(
        st.builds(
            Frame, st.sampled_from([FrameKind.MAIL, FrameKind.HAVE, FrameKind.WANT]), st.binary(max_size=64)
        ),
        st.builds(
            Frame, st.sampled_from([FrameKind.PING, FrameKind.PONG]), st.binary(min_size=8, max_size=8)
        ),
    ),
    max_size=8,
)


@given(frames, st.lists(st.integers(min_value=1, max_value=40), min_size=1))
def test_frames_are_the_same_however_the_bytes_arrive(sent: list[Frame], pieces: list[int]) -> None:
    stream = b"".join(encode(frame.kind, frame.payload) for frame in sent)
    reader = FrameReader(64)
    received: list[Frame] = []

    at, turn = 0, 0
    while at < len(stream):
        step = pieces[turn % len(pieces)]
        received += reader.feed(stream[at : at + step])
        at, turn = at + step, turn + 1
    reader.finish()

    assert received == sent


@given(st.lists(st.binary(max_size=200)))
def test_garbage_is_refused_by_name_or_waits_within_the_bound(pieces: list[bytes]) -> None:
    reader = FrameReader(100)

    drop: Drop | None = None
    try:
        for piece in pieces:
            reader.feed(piece)
    except FrameRefused as refused:
        drop = refused.drop

    assert drop in {None, Drop.EMPTY, Drop.OVERSIZED, Drop.UNKNOWN_KIND, Drop.MALFORMED}
    assert drop is not None or len(reader._buffer) < 4 + 1 + 100


@pytest.mark.parametrize(
    ("received", "drop"),
    [
        (bytes.fromhex("00000000"), Drop.EMPTY),
        (bytes.fromhex("00000066"), Drop.OVERSIZED),
        (bytes.fromhex("ffffffff"), Drop.OVERSIZED),
        (bytes.fromhex("0000000105"), Drop.UNKNOWN_KIND),
        (bytes.fromhex("0000000203ff"), Drop.MALFORMED),
    ],
)
def test_each_bad_frame_has_its_name(received: bytes, drop: Drop) -> None:
    with pytest.raises(FrameRefused) as refused:
        FrameReader(100).feed(received)

    assert refused.value.drop is drop


def test_the_largest_frame_passes_and_one_byte_more_does_not() -> None:
    assert FrameReader(100).feed(encode(FrameKind.MAIL, bytes(100))) == [Frame(FrameKind.MAIL, bytes(100))]

    with pytest.raises(FrameRefused, match="at most 100 bytes"):
        FrameReader(100).feed(encode(FrameKind.MAIL, bytes(101)))


def test_a_stream_that_ends_within_a_frame_is_truncated() -> None:
    reader = FrameReader(100)
    reader.feed(encode(FrameKind.MAIL, b"abc")[:-1])

    with pytest.raises(FrameRefused) as refused:
        reader.finish()

    assert refused.value.drop is Drop.TRUNCATED


def test_digests_keep_their_order_and_come_once() -> None:
    first, second = bytes(32), bytes([1]) * 32

    assert parse_digests(second + first + second, at_most=3) == (second, first)


@pytest.mark.parametrize("payload", [b"", bytes(31), bytes(33), bytes(32 * 4)])
def test_digests_of_another_length_or_too_many_are_malformed(payload: bytes) -> None:
    with pytest.raises(FrameRefused) as refused:
        parse_digests(payload, at_most=3)

    assert refused.value.drop is Drop.MALFORMED
