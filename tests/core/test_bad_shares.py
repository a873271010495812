"""What is kept to show a bad share: of one member so much, whatever it sends (SPEC 3, `accusation`)."""

from __future__ import annotations

from proofs.hashes import sha256
from proofs.kinds import Digest
from relay.core.bad_shares import MAX_KEPT, BadShares
from relay.threshold.messages import SignatureShare
from tests.core.stage import Stage

ABOUT, KEY = Digest(b"a" * 32), Digest(b"k" * 32)


def test_of_one_member_so_many_words_are_kept_and_of_mandates_that_are_open() -> None:
    stage, kept = Stage(), BadShares()
    for number in range(MAX_KEPT + 9):
        share = SignatureShare(
            digest=ABOUT,
            key_id=KEY,
            coordinator=stage.keys["carol"].identity,
            session=Digest(sha256(b"%d" % number)),
            share=b"s" * 32,
            boot=1,
            next=None,
        )
        kept.note(stage.said("bob", share).envelope, share)
    (words,) = kept._kept.values()

    assert len(words) == MAX_KEPT
    assert Digest(sha256(b"0")) not in words
    kept.keep(())
    assert [len(each) for each in kept._kept.values()] == [0]
