"""f malicious receivers and honest complaints in a reshare: the live group key stays secret (SPEC 3)."""

from __future__ import annotations

import itertools
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, replace

from proofs.kinds import Identity
from relay.threshold.blame import faults
from relay.threshold.boxes import open_box, pair_key, seal_box
from relay.threshold.ceremony import Ceremony, take
from relay.threshold.checks import opened_shares
from relay.threshold.frost import lagrange
from relay.threshold.groups import SECP256K1
from relay.threshold.messages import Complaint, Deal, Join
from relay.threshold.secrets import Shares, open_deals, pair_secret
from tests.threshold.liars import SECRET, bad_box, ended
from tests.threshold.troupe import Performance, Troupe, seven


def test_every_honest_complaint_in_a_reshare_leaves_the_live_key_secret() -> None:
    """The known attack: two liars of seven deal badly, so that honest receivers open what they were sent."""
    troupe, old = seven()
    liars, others = troupe.identities[:2], troupe.identities[2:]
    for victims in (others[:1], others):
        attempt = _provoked(troupe, old, liars, victims)
        assert len(attempt.complaints()) == len(liars) * len(victims)

        found = known_shares(attempt, attempt.sealed, attempt.pair_keys())

        for dealer in others:
            # Each liar has what was sealed for it; the complaints add nothing.
            assert set(found[dealer]) == set(liars)
        assert recovered_key(attempt, found) is None


def test_with_one_key_for_each_receiver_one_complaint_gives_the_live_key_away() -> None:
    """The same people, deals and attack: it works as soon as one key opens more than a pair."""
    troupe, old = seven()
    liars, victim = troupe.identities[:2], troupe.identities[2]
    attempt = _provoked(troupe, old, liars, [victim])
    weak = attempt.with_one_key_for_each_receiver()

    found = known_shares(weak, weak.sealed, weak.pair_keys())
    secret = recovered_key(weak, found)

    fast = old.document.group("fast")
    assert fast is not None
    assert all(set(found[dealer]) == {*liars, victim} for dealer in troupe.identities[3:])
    assert secret is not None
    assert SECP256K1.base(secret) == fast.key


@dataclass(frozen=True)
class Attempt:
    """A reshare that honest complaints have ended, and what its liars keep."""

    troupe: Troupe
    old: Performance
    ceremony: Ceremony
    liars: Sequence[Identity]
    sealed: Mapping[Identity, Mapping[Identity, bytes]]
    secrets: Mapping[tuple[Identity, Identity], bytes]
    """By receiver and dealer; liars know theirs, a complaint tells one more."""

    def complaints(self) -> list[tuple[Identity, Identity]]:
        return [
            (slot.author, words[0].message.dealer)
            for slot, words in self.ceremony.said.items()
            if isinstance(words[0].message, Complaint)
        ]

    def pair_keys(self) -> dict[tuple[Identity, Identity], bytes]:
        return {pair: pair_key(secret) for pair, secret in self.secrets.items()}

    def known_secrets(self) -> list[bytes]:
        """All X25519 secrets that the liars have: their own, and those that complaints have told."""
        own = [secret for (receiver, _), secret in self.secrets.items() if receiver in self.liars]
        return own + [self.secrets[pair] for pair in self.complaints()]

    def with_one_key_for_each_receiver(self) -> Attempt:
        """The same deals, sealed for a receiver's one key."""
        single = {
            who: pair_secret(self.troupe.players[who].seed, self.ceremony.id, who)
            for who in self.troupe.identities
        }
        secrets = {(receiver, dealer): single[receiver] for receiver, dealer in self.secrets}
        sealed = {
            dealer: {
                receiver: seal_box(self.content(dealer, receiver), pair_key(single[receiver]), SECRET)
                for receiver in boxes
            }
            for dealer, boxes in self.sealed.items()
            if dealer not in self.liars
        }
        return replace(self, sealed={**self.sealed, **sealed}, secrets=secrets)

    def content(self, dealer: Identity, receiver: Identity) -> bytes:
        secret = self.secrets[receiver, dealer]
        opening = open_box(self.sealed[dealer][receiver], pair_key(secret), secret)
        assert opening is not None
        assert opening.content is not None
        return opening.content


def _provoked(
    troupe: Troupe, old: Performance, liars: Sequence[Identity], victims: Sequence[Identity]
) -> Attempt:
    first, second = (bad_box(troupe, liar, victims, lambda _: None) for liar in liars)
    performance = troupe.perform(
        troupe.reshare(old.document),
        base=old.document,
        old=old.shares,
        twist=lambda author, message: [m for said in first(author, message) for m in second(author, said)],
    )
    # All open what is for them at the same time, before they hear of one another's complaints.
    dealt = troupe.begin(performance.ceremony.terms.proposal, old.document)
    for envelope, message in performance.envelopes:
        if isinstance(message, Join | Deal):
            dealt, _ = take(dealt, envelope, message)
    ceremony = dealt
    for victim in victims:
        opened = open_deals(troupe.players[victim].seed, dealt, victim, old.shares[victim].secrets)
        assert not isinstance(opened, Shares)
        for complaint in opened:
            ceremony, _ = take(ceremony, troupe.envelope(victim, complaint), complaint)
    ended(ceremony)
    assert {fault.verdict.culprit for fault in faults(ceremony)} == set(liars)
    deals = ceremony.deals()
    assert deals is not None
    secrets = {
        (receiver, dealer): pair_secret(troupe.players[receiver].seed, ceremony.id, dealer)
        for receiver, dealer in itertools.permutations(troupe.identities, 2)
    }
    sealed = {dealer: deal.sealed for dealer, deal in deals.items()}
    return Attempt(troupe, old, ceremony, liars, sealed, secrets)


def known_shares(
    attempt: Attempt,
    sealed: Mapping[Identity, Mapping[Identity, bytes]],
    keys: Mapping[tuple[Identity, Identity], bytes],
) -> dict[Identity, dict[Identity, int]]:
    """Try every secret that the liars know on every box of every honest dealer; give the fast sub-shares."""
    secrets = {pair_key(secret): secret for secret in attempt.known_secrets()}
    found: dict[Identity, dict[Identity, int]] = {}
    for dealer, boxes in sealed.items():
        if dealer in attempt.liars:
            continue
        found[dealer] = {}
        for receiver, box in boxes.items():
            for key, secret in secrets.items():
                opening = open_box(box, key, secret)
                shares = (
                    opening and opening.content and opened_shares(attempt.ceremony.terms, opening.content)
                )
                if shares:
                    assert keys[receiver, dealer] == key
                    found[dealer][receiver] = shares["fast"]
    return found


def recovered_key(attempt: Attempt, found: Mapping[Identity, Mapping[Identity, int]]) -> int | None:
    """Interpolate each honest dealer's old share, and of these and the liars' own the live group key."""
    terms, old = attempt.ceremony.terms, attempt.old
    fast = old.document.group("fast")
    assert fast is not None
    shares = {
        old.document.holders.index(liar) + 1: old.shares[liar].secrets["fast"] for liar in attempt.liars
    }
    for dealer, points in found.items():
        numbers = {terms.identifier(receiver): share for receiver, share in points.items()}
        guess = _at_zero(numbers)
        number = old.document.holders.index(dealer) + 1
        if SECP256K1.base(guess) == fast.shares[number - 1]:
            shares[number] = guess
    if len(shares) < fast.threshold:
        return None
    chosen = dict(list(shares.items())[: fast.threshold])
    return _at_zero(chosen)


def _at_zero(values: Mapping[int, int]) -> int:
    return (
        sum(lagrange(SECP256K1, at, tuple(values)) * value for at, value in values.items()) % SECP256K1.order
    )
