"""Any threshold of the holders signs, fewer do not; a share is good for one signing (threshold SPEC 1)."""

from __future__ import annotations

import dataclasses
import random

import nacl.bindings as sodium
import nacl.signing
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from relay.threshold.errors import ThresholdError
from relay.threshold.frost import (
    Commitment,
    Package,
    aggregate,
    commit,
    lagrange,
    sign_alone,
    sign_share,
    verify,
    verify_share,
)
from relay.threshold.groups import ED25519, GROUPS, Group
from tests.threshold.shares import Shared, Signing, refused, share_out, sign

BOTH = pytest.mark.parametrize("group", GROUPS.values(), ids=GROUPS)
EITHER = st.sampled_from(list(GROUPS.values()))
CHANCE = st.randoms(use_true_random=False)
MESSAGE = b"\x5a" * 32


@st.composite
def quorums(draw: st.DrawFn, *, least: int = 1) -> tuple[int, int, list[int]]:
    """Threshold, number of holders up to 25, and at least `threshold` of them in any order."""
    count = draw(st.integers(least, 25))
    threshold = draw(st.integers(least, count))
    holders = draw(st.permutations(range(1, count + 1)))
    return threshold, count, holders[: draw(st.integers(threshold, count))]


def two_of_three(group: Group, chance: random.Random) -> tuple[Shared, Signing]:
    shared = share_out(group, 2, 3, chance)
    return shared, sign(shared, [1, 3], MESSAGE, chance)


@settings(max_examples=30)
@given(EITHER, quorums(), st.binary(max_size=80), CHANCE)
def test_any_threshold_of_the_holders_signs(
    group: Group, quorum: tuple[int, int, list[int]], message: bytes, chance: random.Random
) -> None:
    threshold, count, signers = quorum
    shared = share_out(group, threshold, count, chance)

    signing = sign(shared, signers, message, chance)

    verify(group, shared.key, message, signing.signature)
    for signer in signers:
        verify_share(signing.package, signer, shared.verification_share(signer), signing.shares[signer])


@settings(max_examples=30)
@given(EITHER, quorums(least=2), CHANCE)
def test_one_fewer_than_the_threshold_do_not_sign(
    group: Group, quorum: tuple[int, int, list[int]], chance: random.Random
) -> None:
    threshold, count, signers = quorum
    shared = share_out(group, threshold, count, chance)

    signing = sign(shared, signers[: threshold - 1], MESSAGE, chance)

    with refused("signature"):
        verify(group, shared.key, MESSAGE, signing.signature)


@settings(max_examples=30)
@given(EITHER, quorums(), CHANCE)
def test_the_order_of_commitments_and_shares_says_nothing(
    group: Group, quorum: tuple[int, int, list[int]], chance: random.Random
) -> None:
    threshold, count, signers = quorum
    signing = sign(share_out(group, threshold, count, chance), signers, MESSAGE, chance)
    package = signing.package
    shuffled = chance.sample(signers, len(signers))

    again = Package(group, package.key, {each: package.commitments[each] for each in shuffled}, MESSAGE)

    assert again.identifiers == tuple(sorted(signers))
    assert aggregate(again, {each: signing.shares[each] for each in shuffled}) == signing.signature


@given(EITHER, CHANCE, st.data())
def test_a_flipped_bit_in_any_part_is_refused(
    group: Group, chance: random.Random, data: st.DataObject
) -> None:
    shared, signing = two_of_three(group, chance)
    parts = [shared.key, MESSAGE, signing.signature]
    place = data.draw(st.integers(0, len(parts) - 1))
    bit = data.draw(st.integers(0, 8 * len(parts[place]) - 1))
    flipped = bytearray(parts[place])
    flipped[bit // 8] ^= 1 << bit % 8
    parts[place] = bytes(flipped)

    with pytest.raises(ThresholdError) as caught:
        verify(group, *parts)
    assert caught.value.check in ("signature", "point")


@given(CHANCE, st.binary(max_size=80))
def test_an_ed25519_signature_is_one_for_everybody_s_library(chance: random.Random, message: bytes) -> None:
    shared = share_out(ED25519, 2, 3, chance)
    signature = sign(shared, [2, 3], message, chance).signature

    nacl.signing.VerifyKey(shared.key).verify(message, signature)
    alone = sign_alone(ED25519, shared.secret, message, b"seed")
    nacl.signing.VerifyKey(shared.key).verify(message, alone)


@BOTH
def test_a_liar_among_the_signers_is_found_by_its_share(group: Group, chance: random.Random) -> None:
    shared = share_out(group, 3, 5, chance)
    signing = sign(shared, [1, 2, 4], MESSAGE, chance)
    shares = {**signing.shares, 2: (signing.shares[2] + 1) % group.order}

    with refused("signature"):
        verify(group, shared.key, MESSAGE, aggregate(signing.package, shares))

    for honest in (1, 4):
        verify_share(signing.package, honest, shared.verification_share(honest), shares[honest])
    with refused("signature-share"):
        verify_share(signing.package, 2, shared.verification_share(2), shares[2])


@BOTH
def test_a_share_is_bound_to_message_commitments_key_and_signer(group: Group, chance: random.Random) -> None:
    shared, signing = two_of_three(group, chance)
    package, share, own = signing.package, signing.shares[1], shared.verification_share(1)
    other = commit(group, shared.shares[3], chance.randbytes(64))[1]
    commitments = package.commitments
    swapped = Commitment(commitments[3].binding, commitments[3].hiding)

    for changed in (
        dataclasses.replace(package, message=MESSAGE + b"\0"),
        dataclasses.replace(package, key=group.base(shared.secret + 1)),
        dataclasses.replace(package, commitments={1: commitments[1], 3: other}),
        dataclasses.replace(package, commitments={1: commitments[1], 3: swapped}),
        dataclasses.replace(package, commitments={1: commitments[1], 2: commitments[3]}),
        dataclasses.replace(package, commitments={1: commitments[1]}),
        dataclasses.replace(package, commitments={1: commitments[1], 2: other, 3: commitments[3]}),
    ):
        with refused("signature-share"):
            verify_share(changed, 1, own, share)

    verify_share(package, 1, own, share)
    with refused("signature-share"):
        verify_share(package, 3, own, share)
    with refused("signature-share"):
        verify_share(package, 1, shared.verification_share(3), share)
    with refused("identifiers"):
        verify_share(package, 2, shared.verification_share(2), share)


@BOTH
def test_a_share_outside_the_scalars_is_refused(group: Group, chance: random.Random) -> None:
    shared, signing = two_of_three(group, chance)
    share = signing.shares[1]

    for wrong in (0, -1, group.order, share + group.order):
        with refused("signature-share"):
            verify_share(signing.package, 1, shared.verification_share(1), wrong)
    for wrong in (-1, group.order):
        with refused("signature-share"):
            aggregate(signing.package, {**signing.shares, 1: wrong})


@BOTH
def test_a_signature_is_of_all_signers_of_its_package(group: Group, chance: random.Random) -> None:
    _, signing = two_of_three(group, chance)

    for shares in ({}, {1: 1}, {1: 1, 2: 1}, {1: 1, 2: 1, 3: 1}):
        with refused("identifiers"):
            aggregate(signing.package, shares)


@BOTH
def test_a_package_has_one_to_fifty_signers_with_identifiers_of_their_range(
    group: Group, chance: random.Random
) -> None:
    _, signing = two_of_three(group, chance)
    good = signing.package.commitments[1]

    assert Package(group, signing.package.key, dict.fromkeys([50, 1], good), b"").identifiers == (1, 50)
    for identifiers in ([], [0], [-1], [51], [1, 51], range(1, 52)):
        with refused("identifiers"):
            Package(group, signing.package.key, dict.fromkeys(identifiers, good), MESSAGE)


@BOTH
def test_a_package_is_of_points_alone(group: Group, chance: random.Random) -> None:
    shared, signing = two_of_three(group, chance)
    good = signing.package.commitments[1]
    rest = {3: signing.package.commitments[3]}

    for bad in (b"", bytes(group.point_bytes), b"\xff" * group.point_bytes, good.hiding + b"\0"):
        for commitment in (Commitment(bad, good.binding), Commitment(good.hiding, bad)):
            with refused("point"):
                Package(group, shared.key, {1: commitment, **rest}, MESSAGE)
        with refused("point"):
            Package(group, bad, signing.package.commitments, MESSAGE)


def test_a_package_takes_no_torsion_that_cancels_in_the_sum(chance: random.Random) -> None:
    """Two liars each add the point of order two (0, −1): every sum is in the group, their parts are not."""
    shared, signing = two_of_three(ED25519, chance)
    of_order_two = (2**255 - 20).to_bytes(32, "little")
    twisted = {
        signer: Commitment(
            sodium.crypto_core_ed25519_add(commitment.hiding, of_order_two), commitment.binding
        )
        for signer, commitment in signing.package.commitments.items()
    }

    with refused("point"):
        Package(ED25519, shared.key, twisted, MESSAGE)


def test_a_package_takes_no_identity_for_a_commitment(chance: random.Random) -> None:
    shared, signing = two_of_three(ED25519, chance)
    good, identity = signing.package.commitments[1], b"\1" + bytes(31)

    for commitment in (Commitment(identity, good.binding), Commitment(good.hiding, identity)):
        with refused("identity-point"):
            Package(ED25519, shared.key, {1: commitment, 3: signing.package.commitments[3]}, MESSAGE)


@BOTH
def test_a_signer_answers_with_its_own_commitment_alone(group: Group, chance: random.Random) -> None:
    shared, signing = two_of_three(group, chance)
    nonces, commitments = signing.nonces[1], signing.package.commitments
    share = shared.shares[1]
    elsewhere = dataclasses.replace(signing.package, commitments={2: commitments[1], 3: commitments[3]})
    swapped = Commitment(commitments[1].binding, commitments[1].hiding)
    turned = dataclasses.replace(signing.package, commitments={1: swapped, 3: commitments[3]})

    for package, identifier in ((signing.package, 3), (signing.package, 2), (elsewhere, 1), (turned, 1)):
        with refused("commitments"):
            sign_share(package, identifier, share, nonces)
    for wrong in (0, group.order, -share):
        with refused("share"):
            sign_share(signing.package, 1, wrong, nonces)


@BOTH
def test_nonces_need_their_randomness_and_a_share(group: Group) -> None:
    for length in (0, 32, 63, 65):
        with refused("nonces"):
            commit(group, 1, bytes(length))
    for share in (0, group.order):
        with refused("share"):
            commit(group, share, bytes(64))


@BOTH
def test_nonces_differ_with_either_half_of_the_randomness_and_with_the_share(group: Group) -> None:
    _, first = commit(group, 1, bytes(64))
    _, hiding = commit(group, 1, b"\1" + bytes(63))
    _, binding = commit(group, 1, bytes(63) + b"\1")
    _, hedged = commit(group, 2, bytes(64))

    assert hiding.hiding != first.hiding
    assert hiding.binding == first.binding
    assert binding.hiding == first.hiding
    assert binding.binding != first.binding
    assert {hedged.hiding, hedged.binding}.isdisjoint({first.hiding, first.binding})


@BOTH
def test_nonces_do_not_show_themselves(group: Group) -> None:
    nonces, _ = commit(group, 1, bytes(64))

    assert str(nonces.hiding) not in repr(nonces)
    assert str(nonces.binding) not in repr(nonces)


@BOTH
def test_three_answers_with_one_pair_of_nonces_tell_the_share(group: Group, chance: random.Random) -> None:
    """Why nonces are spent on disk before a share leaves: three linear equations have three unknowns.

    z = d + ρ·e + λ·c·s, with ρ, λ and c known to everybody and the same d, e and s in each.
    """
    shared = share_out(group, 2, 3, chance)
    nonces, own = commit(group, shared.shares[1], chance.randbytes(64))
    rows = []
    for _ in range(3):
        other = commit(group, shared.shares[2], chance.randbytes(64))[1]
        package = Package(group, shared.key, {1: own, 2: other}, MESSAGE)
        answer = sign_share(package, 1, shared.shares[1], nonces)
        factor = lagrange(group, 1, [1, 2]) * package.challenge
        rows.append((package.binding_factors[1], factor, answer))

    # Subtracting the first equation takes d away, crossing the other two takes e.
    (b1, f1, z1), (b2, f2, z2) = (
        tuple(one - first for one, first in zip(row, rows[0], strict=True)) for row in rows[1:]
    )
    found = (z1 * b2 - z2 * b1) * pow(f1 * b2 - f2 * b1, -1, group.order) % group.order

    assert found == shared.shares[1]


@given(EITHER, quorums(), CHANCE)
def test_coefficients_give_the_secret_back(
    group: Group, quorum: tuple[int, int, list[int]], chance: random.Random
) -> None:
    threshold, count, signers = quorum
    shared = share_out(group, threshold, count, chance)

    found = sum(lagrange(group, signer, signers) * shared.shares[signer] for signer in signers)

    assert found % group.order == shared.secret


@BOTH
def test_coefficients_are_of_different_identifiers_of_the_range(group: Group) -> None:
    for identifier, identifiers in (
        (1, []),
        (1, [1, 1]),
        (3, [1, 2]),
        (1, [0, 1]),
        (1, [1, 51]),
        (0, [0, 1]),
    ):
        with refused("identifiers"):
            lagrange(group, identifier, identifiers)
