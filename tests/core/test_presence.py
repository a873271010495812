"""The process among its peers: what they remember of us, heartbeats, twins, pages (SPEC 6.3)."""

from __future__ import annotations

from proofs.hashes import sha256
from proofs.kinds import Digest, Identity, Millis
from relay.core.effects import SignStatement
from relay.core.events import OwnStatementFound, PeersSeen, SignalTold, SigningRefused, Ticked
from relay.core.messages import Heartbeat, Recall, Recalled
from tests.core.stage import Play, Stage

MINE = sha256(b"a statement that a peer says is mine")


def asking(stage: Stage) -> Play:
    """Start a node that does not know yet whether it may sign."""
    return Play(stage) >> stage.started() << ["say recall"]


def test_with_f_and_one_answers_that_name_nothing_the_node_may_sign() -> None:
    stage = Stage()
    play = asking(stage)

    play >> stage.recalled("bob") << []
    play >> stage.recalled("bob") << []
    play >> stage.recalled("carol") << ["unlock"]
    play >> stage.recalled("dave", MINE) << []
    assert stage.node.is_released


def test_a_larger_committee_waits_for_more_answers() -> None:
    stage = Stage(size=7)
    play = asking(stage)

    play >> stage.recalled("bob") >> stage.recalled("carol") << []
    play >> stage.recalled("dave") << ["unlock"]


def test_an_answer_to_another_question_or_about_somebody_else_does_not_count() -> None:
    stage = Stage()
    play = asking(stage)
    assert stage.node.recall is not None
    nonce = stage.node.recall.nonce
    bob = stage.keys["bob"].identity

    play >> stage.said("bob", Recalled(stage.me, b"o" * 16, 0, 0, Millis(0), ())) << []
    play >> stage.said("carol", Recalled(bob, nonce, 0, 0, Millis(0), ())) << []
    assert not stage.node.recall.answers


def test_a_statement_that_this_disk_does_not_hold_locks_until_it_comes_back() -> None:
    stage = Stage()
    play = asking(stage)

    play >> stage.recalled("bob", MINE) >> stage.recalled("carol") << []
    play >> OwnStatementFound(Digest(MINE), is_held=True) << ["unlock"]


def test_a_statement_that_the_guard_does_not_hold_locks_for_good() -> None:
    stage = Stage()
    play = asking(stage)

    play >> OwnStatementFound(Digest(MINE), is_held=False) << ["page: my node cannot sign"]
    play >> stage.recalled("bob") >> stage.recalled("carol") >> stage.recalled("dave") << []
    assert not stage.node.is_released


def test_such_a_statement_after_the_start_stops_the_node() -> None:
    stage = Stage()
    stage.release()

    Play(stage) >> OwnStatementFound(Digest(MINE), is_held=False) << ["stop"]


def test_a_liar_that_names_what_never_was_delays_a_start_and_cannot_prevent_it() -> None:
    stage = Stage()
    play = asking(stage)
    play >> stage.recalled("dave", MINE) >> stage.recalled("bob") >> stage.recalled("carol") << []

    stage.now_ms += 61_000
    words = stage.words(stage.node.advance(Ticked(Millis(stage.now_ms))))

    assert "unlock" in words
    assert stage.node.is_released


def test_one_clean_answer_beside_a_liar_is_not_enough() -> None:
    stage = Stage()
    play = asking(stage)
    play >> stage.recalled("dave", MINE) >> stage.recalled("bob") << []

    stage.now_ms += 61_000
    words = stage.words(stage.node.advance(Ticked(Millis(stage.now_ms))))

    assert "unlock" not in words
    assert "page: my node cannot sign" in words


def test_what_was_asked_for_before_the_node_may_sign_is_asked_for_again_then() -> None:
    stage = Stage()
    play = asking(stage)
    play >> stage.block() >> stage.block(500) << ["attest drained/0 fast at 2"]

    play >> stage.recalled("bob") >> stage.recalled("carol") << ["unlock", "attest drained/0 fast at 2"]


def test_a_member_that_asks_is_told_our_newest_memory_of_it() -> None:
    stage = Stage()
    decision = stage.decision(stage.drained())
    word = stage.attests("bob", decision)
    stage.run(word)

    effects = stage.run(stage.said("bob", Recall(boot=2, instance=bytes(16), nonce=b"n" * 16)))

    (told,) = [effect for effect in effects if isinstance(effect, SignStatement)]
    assert told.to == stage.keys["bob"].identity
    assert isinstance(told.message, Recalled)
    assert (told.message.newest, told.message.statements) == ((word.envelope.digest,), 1)


def test_peers_that_connect_later_are_asked_at_once() -> None:
    stage = Stage()
    play = asking(stage)
    bob: Identity = stage.keys["bob"].identity

    play >> PeersSeen(frozenset({bob}), Millis(stage.now_ms)) << ["say recall to bob"]
    play >> stage.recalled("bob") >> stage.recalled("carol") << ["unlock"]
    play >> PeersSeen(frozenset({bob}), Millis(stage.now_ms)) << []


def beat(stage: Stage, name: str, *, boot: int, instance: bytes, seq: int = 1) -> object:
    """Let a member's heartbeat come."""
    return stage.said(name, Heartbeat(boot, seq, instance * 16, 0, {}), at_ms=stage.now_ms + seq)


def test_heartbeats_are_said_on_time_with_what_we_have_read() -> None:
    stage = Stage()
    stage.release()
    stage.run(stage.block())

    due = stage.node.next_deadline_ms()
    assert due is not None
    effects = stage.run(Ticked(due))

    (said,) = [effect.message for effect in effects if isinstance(effect, SignStatement)]
    assert isinstance(said, Heartbeat)
    assert said.heads == {stage.blocks[0].chain: stage.blocks[0]}
    later = stage.node.next_deadline_ms()
    assert later is not None
    assert later > due


def test_a_change_of_instance_is_told_to_the_member_it_concerns() -> None:
    stage = Stage()
    stage.release()
    play = Play(stage)

    play >> beat(stage, "bob", boot=1, instance=b"a") << []  # type: ignore[operator]  # an event
    play >> beat(stage, "bob", boot=1, instance=b"a", seq=2) << []  # type: ignore[operator]
    play >> beat(stage, "bob", boot=1, instance=b"b", seq=3) << ["forward to bob"]  # type: ignore[operator]


def test_a_twin_with_a_boot_as_high_as_ours_stops_us_and_our_own_past_does_not() -> None:
    stage = Stage()
    stage.run(stage.started(boot=5))

    play = Play(stage)
    play >> beat(stage, "alice", boot=4, instance=b"o") << []  # type: ignore[operator]  # an event
    play >> beat(stage, "alice", boot=5, instance=b"i") << []  # type: ignore[operator]
    play >> beat(stage, "alice", boot=5, instance=b"t") << ["stop"]  # type: ignore[operator]


def test_too_few_live_members_wake_somebody_once() -> None:
    stage = Stage()
    stage.release()

    pages = []
    for _ in range(10):
        stage.now_ms += 15_000
        pages += [
            word for word in stage.words(stage.run(Ticked(Millis(stage.now_ms)))) if word.startswith("page")
        ]

    assert pages == ["page: live members below full"]
    for number, name in enumerate(("bob", "carol", "dave")):
        stage.run(beat(stage, name, boot=1, instance=b"x", seq=number))  # type: ignore[arg-type]  # an event
    assert stage.node.live_members() == 4


def test_a_refused_signature_wakes_somebody() -> None:
    stage = Stage()
    decision = stage.decision(stage.drained())

    (
        Play(stage)
        >> SigningRefused(stage.prepared(decision).id, 1, "conflicting digest")
        << ["page: my node cannot sign"]
    )


def test_a_signal_is_said_and_said_again_after_a_crash() -> None:
    stage = Stage()
    stage.release()
    signal = SignalTold(stage.plan.plan.hash, "a subject", "a monitor", "", bytes(32), Millis(stage.now_ms))

    play = Play(stage) >> signal
    play << ["say signal"]
    play >> stage.started(boot=2, instance=b"j" * 16) << ["say recall", "say signal"]
