"""Finished signatures, for who missed them: how often shown, and whose are looked at (threshold SPEC 4.2)."""

from __future__ import annotations

from proofs.kinds import Digest, Identity, Millis
from relay.core.repeating import ANSWER_AFTER_MS, REPEAT_MS, Finished
from relay.threshold.messages import ThresholdCertificate

ABOUT, OTHER = Digest(b"a" * 32), Digest(b"b" * 32)
BOB, CAROL = Identity(b"b" * 32), Identity(b"c" * 32)
SHOWN = ThresholdCertificate(ABOUT, Digest(b"k" * 32), bytes(97))


def test_who_has_shown_a_wrong_certificate_is_looked_at_no_more_for_this_digest() -> None:
    finished = Finished()
    finished.was_wrong(BOB, ABOUT)

    assert not finished.may_verify(BOB, ABOUT)
    assert finished.may_verify(BOB, OTHER)
    assert finished.may_verify(CAROL, ABOUT)


def test_a_certificate_that_is_here_is_verified_no_more() -> None:
    finished = Finished()
    finished.put(SHOWN, Millis(0))

    assert not finished.may_verify(CAROL, ABOUT)


def test_who_commits_again_and_again_is_answered_once_in_a_while_and_not_at_first() -> None:
    finished = Finished()
    finished.put(SHOWN, Millis(0))
    asked = range(0, ANSWER_AFTER_MS + 2 * REPEAT_MS, 1_000)
    answered = [at_ms for at_ms in asked if finished.lacked_by(BOB, ABOUT, Millis(at_ms))]

    assert answered == [ANSWER_AFTER_MS + REPEAT_MS // 2 * number for number in range(4)]
    assert finished.lacked_by(CAROL, ABOUT, Millis(ANSWER_AFTER_MS)) == SHOWN
    assert finished.lacked_by(BOB, OTHER, Millis(ANSWER_AFTER_MS)) is None


def test_what_is_over_is_forgotten() -> None:
    finished = Finished()
    finished.put(SHOWN, Millis(0))
    finished.was_wrong(BOB, OTHER)
    finished.keep(())

    assert finished.lacked_by(BOB, ABOUT, Millis(ANSWER_AFTER_MS)) is None
    assert finished.may_verify(BOB, OTHER)
