"""The journal's bytes: every event comes back as it was; a replay gives the same node (SPEC 7.1, INV-E)."""

from __future__ import annotations

import pytest
from hypothesis import given
from hypothesis import strategies as st

from proofs.canonical import encode
from proofs.kinds import Digest, Identity, Millis, NetworkId
from relay.core.ceremony_effects import CeremonyJoined, CeremonyLeft, CeremonyProposed, CeremonyStuck
from relay.core.errors import JournalError
from relay.core.events import (
    AnchorEnded,
    BlockObserved,
    BlockUnread,
    ChainFinalized,
    ChainReorged,
    Event,
    OwnStatementFound,
    PeersSeen,
    ReadinessChanged,
    SignalTold,
    SigningRefused,
    Started,
    SubmissionEnded,
    Ticked,
)
from relay.core.history import event_from_bytes, event_to_bytes
from relay.core.messages import Heartbeat, Recall, Verdict
from relay.core.node import is_journalled
from relay.core.observations import (
    BlockReads,
    CallValue,
    EndedHow,
    EventRow,
    GatewayEvent,
    GatewayEventKind,
    PlanRegistered,
)
from relay.core.ports import EffectSeen, Submission, SubmissionStatus
from relay.core.types import ActId, BlockRef, Caip2, DecisionId, Gateway, Header, PlanHash
from relay.threshold.messages import Proposal, RotationTerms
from tests.core.stage import Stage
from tests.sim.invariants import fingerprint

word32 = st.binary(min_size=32, max_size=32)
number = st.integers(0, 2**53)
wide = st.integers(-(2**256), 2**256)
text = st.text(max_size=20)
chain = st.sampled_from([Caip2("sim:home"), Caip2("eip155:1")])
seconds = st.integers(0, 2**40)
block = st.builds(BlockRef, chain, word32.map(Digest), number, seconds)
fields = st.dictionaries(text, st.one_of(wide, text, st.booleans()), max_size=4)
gateway_event = st.builds(
    GatewayEvent,
    gateway=word32.map(Gateway),
    kind=st.sampled_from(GatewayEventKind),
    act_id=word32.map(lambda value: ActId(Digest(value))),
    tx=word32,
    log_index=number,
    gas_used=number,
    mandate=st.none() | word32.map(Digest),
    decision_id=st.none() | word32.map(lambda value: DecisionId(Digest(value))),
    tier=st.integers(0, 2),
    until=number,
    how=st.none() | st.sampled_from(EndedHow),
    ended_at=number,
    undone=st.booleans(),
)
reads = st.builds(
    BlockReads,
    st.builds(Header, block, word32),
    st.lists(st.builds(EventRow, number, number, word32, fields), max_size=3).map(tuple),
    st.lists(st.builds(CallValue, number, st.none() | wide, st.none() | text), max_size=3).map(tuple),
    st.lists(gateway_event, max_size=3).map(tuple),
    st.lists(
        st.builds(
            PlanRegistered,
            word32.map(Gateway),
            number,
            word32.map(lambda value: PlanHash(Digest(value))),
            word32.map(lambda value: PlanHash(Digest(value))),
            number,
        ),
        max_size=2,
    ).map(tuple),
)
millis = number.map(Millis)
submission = st.builds(
    Submission,
    st.sampled_from(SubmissionStatus),
    st.none() | word32,
    st.none() | block,
    number,
    text,
    st.none() | number,
    st.sampled_from(EffectSeen),
    number,
    wide,
)
identities = st.lists(word32.map(Identity), max_size=4, unique=True).map(lambda found: tuple(sorted(found)))
epoch = st.integers(1, (1 << 32) - 1)
proposal = st.builds(
    Proposal,
    word32.map(NetworkId),
    word32.map(Digest),
    epoch,
    epoch,
    epoch,
    st.none() | word32.map(Digest),
    identities,
    identities,
    st.just(("fast", "full")),
    st.none() | st.builds(RotationTerms, st.integers(0, 9), st.integers(0, 9), st.booleans()),
    st.integers(0, 1 << 53),
    st.binary(min_size=16, max_size=16),
)
events = st.one_of(
    st.builds(Started, millis, number, st.binary(min_size=16, max_size=16)),
    st.builds(BlockObserved, reads, number, number, block),
    st.builds(ChainReorged, chain, block),
    st.builds(ChainFinalized, block),
    st.builds(SigningRefused, word32.map(lambda value: DecisionId(Digest(value))), number, text),
    st.builds(OwnStatementFound, word32.map(Digest), st.booleans()),
    st.builds(SubmissionEnded, word32, submission),
    st.builds(AnchorEnded, word32.map(lambda value: DecisionId(Digest(value))), chain, number, submission),
    st.builds(SignalTold, word32, text, text, text, word32, millis),
    st.builds(ReadinessChanged, text, text, text, text, word32, millis),
    st.builds(CeremonyProposed, proposal, millis),
    st.builds(CeremonyJoined, word32.map(Digest), millis),
    st.builds(CeremonyLeft, word32.map(Digest), millis),
)


def test_a_submission_of_an_older_journal_is_read() -> None:
    older = encode(["submission", b"key", ["landed", b"\x01" * 32, None, 90_000, "so"]])

    event = event_from_bytes(older)

    assert event == SubmissionEnded(
        b"key", Submission(SubmissionStatus.LANDED, b"\x01" * 32, None, 90_000, "so")
    )


@given(event=events)
def test_every_event_comes_back_as_it_was(event: Event) -> None:
    assert is_journalled(event)
    assert event_from_bytes(event_to_bytes(event)) == event


def test_what_members_say_comes_back_as_it_was() -> None:
    stage = Stage()
    decision = stage.decision(stage.drained())

    for event in (stage.attests("bob", decision), stage.judges("carol", decision, Verdict.ABSTAIN)):
        assert is_journalled(event)
        assert event_from_bytes(event_to_bytes(event)) == event


def test_what_concerns_the_running_process_is_not_journalled() -> None:
    stage = Stage()

    for event in (
        Ticked(Millis(1)),
        PeersSeen(frozenset(), Millis(1)),
        BlockUnread(Caip2("sim:home"), 1, "no agreement"),
        AnchorEnded(DecisionId(Digest(bytes(32))), Caip2("sim:home"), 1, None),
        stage.said("bob", Heartbeat(1, 1, bytes(16), 0, {})),
        stage.said("bob", Recall(1, bytes(16), bytes(16))),
        CeremonyStuck(Digest(bytes(32)), "no disk"),
    ):
        assert not is_journalled(event)


@given(data=st.binary(max_size=100))
def test_other_bytes_are_a_journal_error(data: bytes) -> None:
    with pytest.raises(JournalError):
        event_from_bytes(data)


def test_a_torn_event_is_a_journal_error() -> None:
    stage = Stage()
    whole = event_to_bytes(stage.block(500))

    for size in range(len(whole)):
        with pytest.raises(JournalError):
            event_from_bytes(whole[:size])


def test_a_replay_gives_the_same_node_and_the_same_effects() -> None:
    stage, again = Stage(), Stage()
    decision = stage.decision(stage.drained())
    journal: list[bytes] = []
    told: list[object] = []
    first = Stage()
    first.release()

    def feed(event: Event) -> None:
        told.append(first.node.advance(event))
        if is_journalled(event):
            journal.append(event_to_bytes(event))
        else:
            told.pop()

    feed(first.block())
    feed(first.block(500))
    feed(stage.attests("bob", decision))
    feed(stage.attests("carol", decision))
    feed(first.final(1))
    feed(first.back_to(1))
    feed(first.block(500))

    replayed = [again.node.advance(event_from_bytes(data)) for data in journal]
    assert fingerprint(again.node) == fingerprint(first.node)
    assert replayed == told
