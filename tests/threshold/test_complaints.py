"""Boxes that only their receiver can open: complaints with and without reason (SPEC 3)."""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence
from dataclasses import replace

import pytest

from proofs.kinds import Digest, Identity
from relay.threshold.blame import faults
from relay.threshold.ceremony import Stage, take
from relay.threshold.groups import SECP256K1
from relay.threshold.messages import CeremonyMessage, Deal, Join
from tests.threshold.liars import NOW_MS, SECRET, Liar, bad_box, convicted, ended, the_deal
from tests.threshold.troupe import complaint_of, seven, sign_with

# ---- boxes that only their receiver can open

ORDER = SECP256K1.order.to_bytes(32, "big")
BOXES: Mapping[str, tuple[Callable[[bytes], bytes | None], str]] = {
    "garbage": (lambda _: None, "does not open"),
    "another sub-share": (lambda content: (5).to_bytes(32, "big") + content[32:], "fast: a sub-share off"),
    "another sub-share of the second group": (
        lambda content: content[:32] + (5).to_bytes(32, "big"),
        "full: a sub-share off",
    ),
    "zero": (lambda content: bytes(32) + content[32:], "no scalar"),
    "a scalar beyond the order": (lambda content: ORDER + content[32:], "no scalar"),
}


@pytest.mark.parametrize("name", list(BOXES))
def test_a_wrong_box_is_complained_of_and_convicts_the_dealer(name: str) -> None:
    lie, reason = BOXES[name]
    troupe = seven()[0]
    victim, mallory = troupe.identities[0], troupe.identities[3]

    ceremony = troupe.perform(troupe.proposal(), twist=bad_box(troupe, mallory, [victim], lie)).ceremony

    ended(ceremony)
    fault = convicted(troupe, ceremony, mallory, reason)
    assert fault.ends
    assert victim in ceremony.waiting_for()


def test_boxes_exchanged_between_two_receivers_convict_the_dealer() -> None:
    troupe = seven()[0]
    alice, bob, mallory = troupe.identities[:3]

    def exchange(message: CeremonyMessage, _liar: Liar) -> Sequence[CeremonyMessage]:
        deal = the_deal(message)
        sealed = {**deal.sealed, alice: deal.sealed[bob], bob: deal.sealed[alice]}
        return (replace(deal, sealed=sealed),)

    ceremony = troupe.perform(troupe.proposal(), twist=Liar(mallory, Deal, exchange)).ceremony

    ended(ceremony)
    convicted(troupe, ceremony, mallory, "does not open")


def test_errors_of_two_dealers_that_cancel_harm_nobody() -> None:
    """Only the sum is used: who conspires to send δ and −δ has dealt the right share."""
    troupe = seven()[0]
    victim, first, second = troupe.identities[:3]

    def shifted(by: int) -> Callable[[bytes], bytes]:
        def shift(content: bytes) -> bytes:
            share = (int.from_bytes(content[:32], "big") + by) % SECP256K1.order
            return share.to_bytes(32, "big") + content[32:]

        return shift

    up, down = bad_box(troupe, first, [victim], shifted(9)), bad_box(troupe, second, [victim], shifted(-9))
    made = troupe.perform(
        troupe.proposal(),
        twist=lambda author, message: [m for said in up(author, message) for m in down(author, said)],
    )

    assert faults(made.ceremony) == ()
    sign_with(made.shares, (victim, *troupe.identities[-2:]), "fast", b"the share is right")


# ---- complaints without reason


def test_a_false_complaint_convicts_the_complainer_and_changes_nothing() -> None:
    troupe, made = seven()
    mallory, dealer = troupe.identities[:2]
    good = complaint_of(made, troupe.players[mallory], dealer)
    last = made.envelopes[-1]
    for complaint, reason in (
        (good, "a complaint about a good deal"),
        (replace(good, secret=SECRET), "not of its pair key"),
    ):
        ceremony = troupe.begin(made.ceremony.terms.proposal)
        for envelope, message in made.envelopes[:-1]:
            ceremony, _ = take(ceremony, envelope, message)
        ceremony, _ = take(ceremony, troupe.envelope(mallory, complaint), complaint)
        assert ceremony.stage(NOW_MS) is Stage.SIGNED
        fault = convicted(troupe, ceremony, mallory, reason)
        assert not fault.ends
        ceremony, _ = take(ceremony, *last)
        assert ceremony.result() == made.ceremony.result()
        convicted(troupe, ceremony, mallory, reason)


def test_a_complaint_about_a_deal_that_nobody_has_accuses_nobody() -> None:
    troupe, made = seven()
    mallory, dealer = troupe.identities[:2]
    vague = replace(complaint_of(made, troupe.players[mallory], dealer), deal=Digest(bytes(32)))

    ceremony, _ = take(made.ceremony, troupe.envelope(mallory, vague), vague)

    assert faults(ceremony) == ()
    assert ceremony.result() == made.ceremony.result()


def test_a_complaint_about_a_deal_over_other_joins_accuses_nobody() -> None:
    """The box was sealed for the pair key of a join that we do not have."""
    troupe, made = seven()
    victim, dealer = troupe.identities[:2]
    deals = made.ceremony.deals()
    assert deals is not None
    other = replace(deals[dealer], joins=Digest(bytes(32)), sealed=_garbage(deals[dealer]))
    ceremony = troupe.begin(made.ceremony.terms.proposal)
    for envelope, message in made.envelopes:
        if isinstance(message, Join):
            ceremony, _ = take(ceremony, envelope, message)
    ceremony, _ = take(ceremony, troupe.envelope(dealer, other), other)
    complaint = complaint_of(replace(made, ceremony=ceremony), troupe.players[victim], dealer)

    ceremony, _ = take(ceremony, troupe.envelope(victim, complaint), complaint)

    assert faults(ceremony) == ()
    assert ceremony.troubles() == (f"deal of {dealer.hex()}: a deal over other joins",)


def _garbage(deal: Deal) -> dict[Identity, bytes]:
    return {receiver: box[:32] + bytes(len(box) - 32) for receiver, box in deal.sealed.items()}


def test_a_fault_that_was_shown_stays_shown_after_the_end() -> None:
    troupe, made = seven()
    mallory, dealer = troupe.identities[:2]
    complaint = complaint_of(made, troupe.players[mallory], dealer)
    deals = made.ceremony.deals()
    assert deals is not None
    other = replace(deals[dealer], joins=Digest(bytes(32)))
    ceremony, _ = take(made.ceremony, troupe.envelope(mallory, complaint), complaint)

    ceremony, _ = take(ceremony, troupe.envelope(dealer, other), other)

    assert {fault.verdict.culprit for fault in faults(ceremony)} == {mallory, dealer}
    assert ceremony.result() == made.ceremony.result()
