"""Members who each see a ceremony in their own order, with a liar among them: no two ends of it (SPEC 3)."""

from __future__ import annotations

import random
from collections.abc import Sequence
from dataclasses import dataclass, field, replace

from hypothesis import given, settings
from hypothesis import strategies as st

from proofs.envelope import Envelope
from proofs.groupkeys import verify_keys
from proofs.hashes import sha256
from proofs.kinds import Digest, Identity
from relay.threshold.blame import faults, judge
from relay.threshold.ceremony import Ceremony, Duty, Stage, adopt, take
from relay.threshold.errors import ThresholdError
from relay.threshold.messages import CeremonyMessage, Complaint, Deal, Join, Transcript
from relay.threshold.secrets import Shares, deal_of, join_of, open_deals, transcript_of
from tests.threshold.troupe import Player, Troupe, sign_with

NOW_MS = 1
Word = tuple[Envelope, CeremonyMessage]


@dataclass
class Seat:
    """One member: what it has heard, what is on its way to it, what it holds."""

    player: Player
    view: Ceremony
    inbox: list[Word] = field(default_factory=list)
    shares: Shares | None = None
    said: set[Duty] = field(default_factory=set)

    def act(self) -> Sequence[CeremonyMessage]:
        """Do what is to be done by the own view, as a member that keeps to the SPEC."""
        duty = self.view.wants(self.player.identity, NOW_MS)
        if duty is None or duty in self.said:
            return ()
        self.said.add(duty)
        me, seed = self.player.identity, self.player.seed
        if duty is Duty.JOIN:
            return (join_of(seed, self.view.terms, me),)
        if duty is Duty.DEAL:
            return (deal_of(seed, self.view, me, None),)
        opened = open_deals(seed, self.view, me, None)
        if not isinstance(opened, Shares):
            return opened
        self.shares = opened
        self.view = adopt(self.view, opened.document)
        return (transcript_of(seed, self.view, me, opened, self.player.sign),)


def lies(seat: Seat, message: CeremonyMessage, chance: random.Random) -> Sequence[CeremonyMessage]:
    """Say it, keep it back, spoil it, or say it and something else."""
    other = sha256(seat.player.seed)
    me, view = seat.player.identity, seat.view
    spoiled: CeremonyMessage
    match message:
        case Join():
            spoiled = join_of(other, view.terms, me)
        case Deal():
            spoiled = deal_of(other, view, me, None)
            if chance.random() < 0.5:
                boxes = {who: box[:-1] + bytes([box[-1] ^ 1]) for who, box in message.sealed.items()}
                spoiled = replace(message, sealed=boxes)
        case Transcript():
            spoiled = replace(message, document=Digest(bytes(32)))
        case _:
            spoiled = message
    complaint = Complaint(view.id, chance.choice(view.terms.proposal.dealers), Digest(bytes(32)), bytes(32))
    return chance.choice([(message,), (), (spoiled,), (message, spoiled), (message, complaint)])


def perform(troupe: Troupe, mallory: Identity, chance: random.Random) -> dict[Identity, Seat]:
    """Deliver everything to everybody in an order of its own, until nobody has anything to say."""
    begun = troupe.begin(troupe.proposal())
    seats = {who: Seat(player, begun) for who, player in troupe.players.items()}
    while True:
        ready = [seat for seat in seats.values() if seat.inbox]
        speaking = [(seat, said) for seat in seats.values() for said in _say(seat, mallory, chance)]
        for seat, message in speaking:
            word = (troupe.envelope(seat.player.identity, message), message)
            for hearer in seats.values():
                hearer.inbox.append(word)
        if not ready and not speaking:
            return seats
        for seat in chance.sample(ready, k=min(len(ready), 2)):
            word = seat.inbox.pop(chance.randrange(len(seat.inbox)))
            seat.view, _ = take(seat.view, *word)


def _say(seat: Seat, mallory: Identity, chance: random.Random) -> list[CeremonyMessage]:
    if seat.player.identity != mallory:
        return list(seat.act())
    try:
        said = seat.act()
    except ThresholdError:
        # Caught in its own lies: what it has said is not of its seed.
        return []
    return [lie for message in said for lie in lies(seat, message, chance)]


@settings(max_examples=15)
@given(seed=st.integers(0, 1 << 32))
def test_honest_members_end_with_the_same_keys_or_none_and_accuse_the_liar_alone(seed: int) -> None:
    chance = random.Random(seed)
    troupe = Troupe.of(4)
    mallory = chance.choice(troupe.identities)

    seats = perform(troupe, mallory, chance)

    honest = {who: seat for who, seat in seats.items() if who != mallory}
    results = [seat.view.result() for seat in honest.values()]
    assert all(result == results[0] for result in results)
    for seat in honest.values():
        for fault in faults(seat.view):
            assert fault.verdict.culprit == mallory
            assert judge(fault.evidence, [troupe.committee]) == fault.verdict
    if results[0] is None:
        assert all(seat.view.stage(NOW_MS) is not Stage.DONE for seat in honest.values())
        return
    verify_keys(results[0], troupe.committee)
    held = {who: seat.shares for who, seat in honest.items() if seat.shares is not None}
    sign_with(held, tuple(honest), "full", b"three honest members of four")


def test_a_liar_that_does_not_lie_is_no_obstacle() -> None:
    """The play itself comes to its end: what the property above sees is not always silence."""
    troupe = Troupe.of(4)
    nobody = Identity(bytes(32))

    seats = perform(troupe, nobody, random.Random(1))

    assert all(seat.view.is_done for seat in seats.values())
    assert len({seat.view.document.digest for seat in seats.values() if seat.view.document}) == 1
