"""The digests that anti-entropy offers: the newest, page after page, and which of some are not among them."""

from __future__ import annotations

from random import Random

import pytest

from proofs.hashes import sha256
from relay.core.types import EnvelopeDigest, Millis
from relay.journal import recent
from relay.journal.recent import Recent
from tests.shells.journal.conftest import MakeEnvelope, OpenJournal

MOST = 7


@pytest.fixture
def small_ring(monkeypatch: pytest.MonkeyPatch) -> None:
    """Of seven places: a tenth of a second for each full turn of the true ring is too long for all turns."""
    monkeypatch.setattr(recent, "MAX_RECENT", MOST)


@pytest.mark.usefixtures("small_ring")
@pytest.mark.parametrize("noted", range(3 * MOST))
def test_pages_of_every_size_give_what_is_alive_once_and_in_order(noted: int) -> None:
    chance, ring = Random(noted), Recent()
    envelopes = [(digest_of(number), Millis(chance.choice((5, 15)))) for number in range(noted)]
    while ring._last < noted:
        ring.extend(envelopes[ring._last : ring._last + chance.randrange(1, 5)])
    alive = [
        (place, digest) for place, (digest, expires_at_ms) in enumerate(envelopes, 1) if expires_at_ms > 10
    ]
    held = [each for each in reversed(alive) if each[0] > noted - MOST]

    for size in range(1, MOST + 2):
        pages, before = [], None
        while page := ring.alive(Millis(10), size, before):
            assert len(page) <= size
            pages += page
            before = page[-1][0]

        assert pages == held


@pytest.mark.usefixtures("small_ring")
@pytest.mark.parametrize("noted", [0, 1, MOST, MOST + 1, 3 * MOST])
def test_unknown_is_what_was_never_noted_or_made_room(noted: int) -> None:
    ring, digests = Recent(), [digest_of(number) for number in range(3 * MOST + 2)]
    ring.extend([(digest, Millis(5)) for digest in digests[:noted]])

    assert ring.unknown(digests) == digests[: max(0, noted - MOST)] + digests[noted:]


@pytest.mark.asyncio
async def test_the_journal_answers_what_it_lacks_after_a_restart_as_before(
    open_journal: OpenJournal, envelope: MakeEnvelope
) -> None:
    asked = [digest_of(1), envelope(2).digest, digest_of(2), envelope(1).digest]
    async with open_journal() as journal:
        await journal.append([], [envelope(1), envelope(2)])
        assert await journal.unknown(asked) == [digest_of(1), digest_of(2)]

    async with open_journal() as journal:
        assert await journal.unknown(asked) == [digest_of(1), digest_of(2)]
        assert await journal.recent_digests(10, before=2) == [(1, envelope(1).digest)]


def digest_of(number: int) -> EnvelopeDigest:
    return sha256(b"%d" % number)
