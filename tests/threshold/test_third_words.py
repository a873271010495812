"""More than two words of one step: what is dropped, and the one that is not (SPEC 3)."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import replace

import pytest

from proofs.kinds import Digest, Identity
from relay.threshold.blame import faults
from relay.threshold.bodies import statement_digest
from relay.threshold.ceremony import Ceremony, Taken, adopt, take
from relay.threshold.messages import (
    CeremonyMessage,
    Deal,
    Join,
    Transcript,
)
from tests.threshold.troupe import Troupe, replay, said_by, seven


def take_all(
    troupe: Troupe, ceremony: Ceremony, author: Identity, words: Sequence[CeremonyMessage]
) -> list[Taken]:
    """What becomes of one author's words."""
    became: list[Taken] = []
    for word in words:
        ceremony, taken = take(ceremony, troupe.envelope(author, word), word)
        became.append(taken)
    return became


def test_a_third_word_of_one_step_is_dropped_whatever_its_digest() -> None:
    """Else its author could have each of many journalled, each a little lower than the one before."""
    troupe, made = seven()
    mallory = troupe.identities[3]
    deal = said_by(made, mallory, Deal)
    assert isinstance(deal, Deal)
    others = [word for word in made.envelopes if isinstance(word[1], Join)]
    deals = [replace(deal, joins=Digest(bytes([each]) * 32)) for each in range(20)]
    deals.sort(key=lambda each: statement_digest(mallory, each), reverse=True)

    taken = take_all(troupe, replay(made, others, troupe), mallory, deals)

    assert taken == [Taken.NEW, Taken.CONTRADICTION] + [Taken.SURPLUS] * 18


@pytest.mark.parametrize("good_at", [0, 1, 2])
def test_bad_signatures_do_not_hide_a_good_one_from_who_has_signed(good_at: int) -> None:
    """Else its author shows the good one to some alone: they sign with the new shares, the others never."""
    troupe = seven()[0]
    mallory = troupe.identities[3]
    made = troupe.perform(troupe.proposal())
    good = said_by(made, mallory, Transcript)
    assert isinstance(good, Transcript)
    others = [
        (envelope, message)
        for envelope, message in made.envelopes
        if envelope.author != mallory or not isinstance(message, Transcript)
    ]
    bad = [replace(good, proofs={**good.proofs, "fast": each.to_bytes(2)}) for each in range(1_000)]
    bad.sort(key=lambda each: statement_digest(mallory, each))
    words = bad[:3]
    assert statement_digest(mallory, good) > statement_digest(mallory, words[-1])
    words.insert(good_at, good)
    ceremony = adopt(replay(made, others, troupe), made.document)
    third = take_all(troupe, ceremony, mallory, bad[:3])
    assert third == [Taken.NEW, Taken.CONTRADICTION, Taken.SURPLUS]

    for word in words:
        ceremony, _ = take(ceremony, troupe.envelope(mallory, word), word)

    assert ceremony.result() == made.ceremony.result()
    assert [fault.verdict.culprit for fault in faults(ceremony)] == [mallory]
