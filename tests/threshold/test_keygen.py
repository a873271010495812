"""Keys without a dealer: made, signed with, shared anew (SPEC 2, 3)."""

from __future__ import annotations

import random
from dataclasses import replace

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from proofs.groupkeys import verify_keys, verify_reshared
from proofs.kinds import Digest, Identity
from relay.threshold import keygen
from relay.threshold.errors import ThresholdError
from relay.threshold.frost import lagrange
from relay.threshold.groups import ED25519, GROUPS, SECP256K1, Group
from relay.threshold.secrets import Shares
from relay.threshold.terms import group_of
from tests.threshold.shares import refused
from tests.threshold.troupe import Performance, Troupe, combinations, seven, sign_with

TIERS = {"secp256k1": ("fast", "full"), "ed25519": ("fast/ed25519", "full/ed25519")}


def interpolated(performance: Performance, name: str, holders: tuple[Identity, ...]) -> int:
    """Give the polynomial's value at zero by the shares of these holders."""
    group, document = group_of(name), performance.document
    numbers = {holder: document.holders.index(holder) + 1 for holder in holders}
    return (
        sum(
            lagrange(group, number, tuple(numbers.values())) * performance.shares[holder].secrets[name]
            for holder, number in numbers.items()
        )
        % group.order
    )


@pytest.mark.parametrize(
    ("n", "suite"), [*((n, suite) for n in (4, 7, 13) for suite in TIERS), (25, "secp256k1")]
)
def test_any_threshold_of_the_holders_can_sign(n: int, suite: str) -> None:
    troupe = Troupe.of(n)

    made = troupe.perform(troupe.proposal(TIERS[suite]))

    thresholds = (troupe.committee.fast, troupe.committee.full)
    for name, threshold in zip(TIERS[suite], thresholds, strict=True):
        for signers in combinations(troupe.identities, threshold, limit=3):
            sign_with(made.shares, signers, name, b"stop the bridge")


@settings(max_examples=5)
@given(n=st.integers(4, 16), seed=st.integers(0, 1 << 32))
def test_keys_of_any_committee_are_shared_anew_by_any_dealers_that_suffice(n: int, seed: int) -> None:
    chance, troupe = random.Random(seed), Troupe.of(n)
    full = troupe.committee.full
    dealers, receivers = (chance.sample(troupe.identities, chance.randint(full, n)) for _ in range(2))

    made = troupe.perform(troupe.proposal())
    proposal = troupe.reshare(
        made.document, dealers=tuple(sorted(dealers)), receivers=tuple(sorted(receivers))
    )
    again = troupe.perform(proposal, base=made.document, old=made.shares)

    for name, threshold in (("fast", troupe.committee.fast), ("full", full)):
        sign_with(again.shares, chance.sample(again.document.holders, threshold), name, b"stop the bridge")
    verify_reshared(again.document, made.document)


def test_keys_made_are_in_force_by_every_holders_signature() -> None:
    troupe, made = seven()
    signed = made.ceremony.result()
    assert signed is not None

    verify_keys(signed, troupe.committee)

    assert set(signed.signatures) == set(troupe.identities)
    assert made.document.ceremony == made.ceremony.id
    assert made.document.transcript == made.ceremony.transcript()


def test_one_less_than_the_threshold_finds_neither_key_nor_signature() -> None:
    troupe, made = seven()
    few = troupe.identities[: troupe.committee.full - 1]
    keys = made.document.group("full")
    assert keys is not None

    assert SECP256K1.base(interpolated(made, "full", few)) != keys.key
    with refused("signature"):
        sign_with(made.shares, few, "full", b"stop the bridge")


def test_the_two_tiers_have_nothing_in_common() -> None:
    _, made = seven()
    fast, full = made.document.group("fast"), made.document.group("full")
    assert fast is not None
    assert full is not None

    assert fast.key != full.key
    assert not set(fast.shares) & set(full.shares)


def test_a_reshare_keeps_the_keys_and_changes_every_share() -> None:
    troupe, old = seven()

    new = troupe.perform(troupe.reshare(old.document), base=old.document, old=old.shares)

    verify_reshared(new.document, old.document)
    for name in ("fast", "full"):
        before, after = old.document.group(name), new.document.group(name)
        assert before is not None
        assert after is not None
        assert not set(before.shares) & set(after.shares)
        assert before.key == after.key
    sign_with(new.shares, troupe.identities[-troupe.committee.full :], "full", b"stop the bridge")


def test_shares_of_two_generations_do_not_mix() -> None:
    troupe, old = seven()
    new = troupe.perform(troupe.reshare(old.document), base=old.document, old=old.shares)
    signers = troupe.identities[: troupe.committee.fast]
    mixed = {**new.shares, signers[0]: Shares(new.document, old.shares[signers[0]].secrets)}

    with refused("signature"):
        sign_with(mixed, signers, "fast", b"stop the bridge")


def test_a_reshare_of_some_holders_moves_a_seat_to_another_identity() -> None:
    troupe = Troupe(["alice", "bob", "carol", "dave"])
    old = troupe.perform(troupe.proposal())
    moved = troupe.next_epoch(["alice", "bob", "carol", "dave-on-a-new-machine"])
    dave = next(who for who, player in troupe.players.items() if player.name == "dave")
    dealers = tuple(who for who in troupe.identities if who != dave)

    new = moved.perform(moved.reshare(old.document, dealers=dealers), base=old.document, old=old.shares)

    newcomer = next(who for who in moved.identities if who not in troupe.identities)
    assert dave not in new.document.holders
    sign_with(new.shares, (newcomer, dealers[0], dealers[1]), "full", b"stop the bridge")
    assert [group.key for group in new.document.groups] == [group.key for group in old.document.groups]


def test_a_dealer_need_not_receive_and_a_receiver_need_not_deal() -> None:
    troupe = Troupe(["alice", "bob", "carol", "dave"])
    old = troupe.perform(troupe.proposal())
    moved = troupe.next_epoch(["alice", "bob", "carol", "erin"])
    leaving = next(who for who, player in troupe.players.items() if player.name == "dave")

    new = moved.perform(
        moved.reshare(old.document),
        base=old.document,
        old=old.shares,
        visitors={leaving: troupe.players[leaving]},
    )

    assert leaving in new.ceremony.terms.proposal.dealers
    assert leaving not in new.shares
    sign_with(new.shares, new.document.holders[1:], "full", b"stop the bridge")


def test_holders_may_be_fewer_than_members() -> None:
    troupe = Troupe.of(7)
    receivers = troupe.identities[: troupe.committee.full]

    made = troupe.perform(troupe.proposal(dealers=receivers, receivers=receivers))

    sign_with(made.shares, receivers, "full", b"stop the bridge")


def test_generations_follow_one_another() -> None:
    troupe, made = seven()
    for generation in (2, 3, 4):
        made = troupe.perform(troupe.reshare(made.document), base=made.document, old=made.shares)
        assert made.document.generation == generation
    sign_with(made.shares, troupe.identities[: troupe.committee.fast], "fast", b"still the same key")


def test_a_reshare_of_a_base_that_is_no_polynomial_gives_no_other_key() -> None:
    """The reader of a keys document refuses such a base; the arithmetic does not rely on it."""
    troupe, old = seven()
    good = troupe.perform(troupe.reshare(old.document), base=old.document, old=old.shares)
    deals, transcript = good.ceremony.deals(), good.ceremony.transcript()
    assert deals is not None
    assert transcript is not None
    fast, full = old.document.groups
    crooked = replace(old.document, groups=(replace(fast, key=full.key), full))

    with refused("ceremony"):
        keygen.derive_keys(replace(good.ceremony.terms, base=crooked), transcript, deals)


# ---- the arithmetic


@settings(max_examples=20)
@given(
    group=st.sampled_from(list(GROUPS.values())),
    coefficients=st.lists(st.integers(1, 1 << 250), min_size=2, max_size=17),
    at=st.integers(1, 25),
)
def test_commitments_tell_a_right_share_from_a_wrong_one(
    group: Group, coefficients: list[int], at: int
) -> None:
    commitments = keygen.commit_to(group, coefficients)
    share = keygen.evaluate(group, coefficients, at)

    assert keygen.fits(group, commitments, at, share)
    assert not keygen.fits(group, commitments, at, (share + 1) % group.order)
    assert not keygen.fits(group, commitments, at + 1, share)


@settings(max_examples=10)
@given(n=st.integers(4, 25), seed=st.integers(0, 1 << 32))
def test_sums_of_polynomials_are_polynomials_of_the_sums(n: int, seed: int) -> None:
    chance = random.Random(seed)
    group = SECP256K1
    dealers = [Identity(bytes([i]) * 32) for i in range(n)]
    degree = n // 3 + 1
    polynomials = {dealer: [chance.randrange(1, group.order) for _ in range(degree)] for dealer in dealers}
    weights = {dealer: index + 1 for index, dealer in enumerate(dealers)}
    commitments = {dealer: keygen.commit_to(group, made) for dealer, made in polynomials.items()}

    combined = keygen.combine(group, commitments, weights)

    share = sum(weights[d] * keygen.evaluate(group, polynomials[d], n) for d in dealers) % group.order
    assert keygen.evaluate_commitments(group, combined, n) == group.base(share)


@pytest.mark.parametrize("group", [SECP256K1, ED25519], ids=lambda group: group.name)
def test_a_sum_that_is_the_identity_is_no_crash(group: Group) -> None:
    opposite = [group.order - 2, 2]
    commitments = keygen.commit_to(group, opposite)
    alice, bob = Identity(b"a" * 32), Identity(b"b" * 32)

    assert keygen.evaluate_commitments(group, commitments, 1) is None
    assert not keygen.fits(group, commitments, 1, 0)
    assert not keygen.fits(group, commitments, 1, 5)
    cancelled = {alice: commitments, bob: keygen.commit_to(group, [2, group.order - 2])}
    combined = keygen.combine(group, cancelled, {alice: 1, bob: 1})
    assert combined == (None, None)
    assert keygen.evaluate_commitments(group, combined, 3) is None


def test_a_foreign_error_is_not_taken_for_the_identity() -> None:
    with pytest.raises(ThresholdError, match="point"):
        keygen.evaluate_commitments(SECP256K1, [b"\x02" + b"\xff" * 32], 1)


def test_what_is_signed_with_a_secret_names_all_that_it_is_for() -> None:
    ceremony, other = Digest(bytes(32)), Digest(b"\1" * 32)
    alice, bob = Identity(b"a" * 32), Identity(b"b" * 32)
    commitments = keygen.commit_to(SECP256K1, [1, 2])
    messages = [
        keygen.proof_message(ceremony, alice, "fast", commitments),
        keygen.proof_message(other, alice, "fast", commitments),
        keygen.proof_message(ceremony, bob, "fast", commitments),
        keygen.proof_message(ceremony, alice, "full", commitments),
        keygen.proof_message(ceremony, alice, "fast", commitments[:1]),
        keygen.share_message(ceremony, "fast", alice),
        keygen.share_message(other, "fast", alice),
        keygen.share_message(ceremony, "full", alice),
        keygen.share_message(ceremony, "fast", bob),
    ]

    assert len(set(messages)) == len(messages)
