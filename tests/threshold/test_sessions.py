"""Signing sessions against silent, slow, bad and rushing members, in any order of mail (SPEC 4)."""

from __future__ import annotations

import random
from dataclasses import replace

import pytest

from proofs.committee import full_quorum, malicious_bound
from proofs.kinds import Identity
from proofs.mandate import Tier
from relay.threshold.coordinator import COORDINATOR_STEP_MS
from relay.threshold.messages import (
    Commitments,
    SessionMessage,
    SigningRequest,
)
from relay.threshold.tasks import Task, coordinators_of, mandate_keys
from relay.threshold.wants import Refused
from tests.sim.dealer import deal
from tests.threshold.ring import (
    NETWORK,
    BadSigner,
    Member,
    Mute,
    Ring,
    Rusher,
    Silent,
    TwoFaced,
    Whisperer,
    ring_of,
)

SIZES = (4, 7, 13)
LIARS = (Silent, Mute, BadSigner, TwoFaced, Rusher)


def honest(ring: Ring) -> list[Identity]:
    return [each for each, member in ring.members.items() if type(member) is Member]


# ---- the signature appears


@pytest.mark.parametrize("tier", Tier)
@pytest.mark.parametrize("size", SIZES)
def test_whoever_hears_all_shares_has_the_signature(size: int, tier: Tier) -> None:
    ring = ring_of(size, seed=size)
    task = ring.task(tier=tier)

    ring.attest(task, ring.identities)
    ring.settle()

    ring.check(task, honest=ring.identities)


@pytest.mark.parametrize("liar", LIARS)
@pytest.mark.parametrize(
    ("size", "first"),
    [(4, True), (4, False), (7, True), (7, False), (13, True)],
    ids=["4-coordinating", "4-signing", "7-coordinating", "7-signing", "13-coordinating"],
)
def test_f_liars_do_not_prevent_the_signature(size: int, liar: type[Member], first: bool) -> None:
    ring = ring_of(size, seed=size, liars=[liar] * malicious_bound(size), first=first)
    task = ring.task()

    ring.attest(task, ring.identities)
    ring.settle()

    ring.check(task, honest=honest(ring))


@pytest.mark.parametrize("seed", range(10))
def test_liars_of_all_kinds_in_any_order_of_mail_do_not_prevent_it(seed: int) -> None:
    chance = random.Random(seed)
    size = chance.choice(SIZES)
    makers = [chance.choice(LIARS) for _ in range(malicious_bound(size))]
    ring = ring_of(size, seed=seed, liars=makers, first=chance.random() < 0.7)
    task = ring.task(tier=chance.choice(tuple(Tier)))

    ring.attest(task, ring.identities)
    ring.settle()

    ring.check(task, honest=honest(ring))


def test_slow_members_are_not_waited_for() -> None:
    ring = ring_of(7, seed=3)
    task = ring.task()
    slow = coordinators_of(task)[:2]
    ring.delay = lambda author, to: author in slow or to in slow

    ring.attest(task, ring.identities)
    ring.settle()
    ring.check(task, honest=[each for each in ring.identities if each not in slow])

    ring.delay = lambda _author, _to: False
    ring.settle()
    ring.check(task, honest=ring.identities)


def test_a_coordinator_that_has_not_attested_is_not_waited_for_and_one_that_has_is_for_a_step() -> None:
    for attesting, wait_ms in ((False, 0), (True, COORDINATOR_STEP_MS)):
        ring = ring_of(4, seed=9, liars=[Silent])
        task, began = ring.task(), ring.now_ms
        (liar,) = (each for each in ring.identities if each not in honest(ring))

        ring.attest(task, [liar] if attesting else [])
        ring.deliver()
        ring.attest(task, honest(ring))
        ring.settle()

        ring.check(task, honest=honest(ring))
        assert ring.now_ms - began == wait_ms


def test_later_coordinators_do_not_begin_once_the_signature_is_complete() -> None:
    ring = ring_of(7, seed=5)
    task = ring.task()

    ring.attest(task, ring.identities)
    ring.deliver()
    released = len(ring.released)
    ring.settle()

    ring.check(task, honest=ring.identities)
    assert len(ring.released) == released


# ---- liars are named


@pytest.mark.parametrize("size", SIZES)
def test_who_gives_bad_shares_is_named_and_nobody_else(size: int) -> None:
    ring = ring_of(size, seed=20 + size, liars=[BadSigner] * malicious_bound(size), first=False)
    task = ring.task()
    liars = set(ring.identities) - set(honest(ring))

    ring.attest(task, ring.identities)
    ring.settle()

    named = {each: ring.members[each].convicted for each in honest(ring)}
    assert all(names <= liars for names in named.values())
    first = coordinators_of(task)[0]
    assert full_quorum(size) == size - malicious_bound(size) or named[first]
    ring.check(task, honest=honest(ring))


def test_a_convicted_member_is_asked_no_more_for_this_mandate() -> None:
    ring = ring_of(4, seed=2, liars=[BadSigner], first=False)
    task = ring.task(tier=Tier.FULL)
    (liar,) = set(ring.identities) - set(honest(ring))
    asked: list[SigningRequest] = []
    ring.delay = lambda _author, _to: False
    for _ in range(20):
        ring.attest(ring.task(f"mandate {_}"), ring.identities)
    ring.attest(task, ring.identities)

    while ring.mail:
        asked += [message for _, _, message in ring.mail if isinstance(message, SigningRequest)]
        ring.deliver(most=200_000)
    ring.settle()

    for each in honest(ring):
        assert ring.members[each].convicted <= {liar}
    ring.check_nonces()


def test_an_honest_member_is_never_convicted_whatever_a_coordinator_lists() -> None:
    for seed in range(5):
        ring = ring_of(7, seed=seed, liars=[Rusher, Rusher])
        ring.attest(ring.task(), ring.identities)
        ring.settle()

        assert all(not ring.members[each].convicted & set(honest(ring)) for each in honest(ring))


# ---- replays


def test_what_was_said_in_another_session_counts_for_nothing_under_any_name() -> None:
    ring = ring_of(7, seed=6)
    task = ring.task()
    heard: list[tuple[Identity, SessionMessage]] = []
    plain = ring.send

    def listen(author: Identity, to: Identity, message: SessionMessage | Task) -> None:
        if not isinstance(message, Task):
            heard.append((author, message))
        plain(author, to, message)

    ring.send = listen  # type: ignore[method-assign]  # a listener on the wire
    ring.attest(task, ring.identities)
    ring.settle()
    later, liar = ring.task("another mandate"), ring.identities[3]
    ring.attest(later, ring.identities)
    for author, message in list(heard):
        ring.broadcast(author, message)
        ring.broadcast(liar, message)  # under its own name, for this mandate and for the other
        ring.broadcast(liar, replace(message, digest=later.digest))
    ring.settle()

    ring.check_nonces()
    others = [member for member in ring.members.values() if member.me != liar]
    assert all(member.convicted <= {liar} for member in others)
    assert all(len(member.signatures) == 2 for member in others)


def test_a_share_for_an_older_generation_is_not_taken_and_the_new_one_signs() -> None:
    ring = ring_of(4, seed=8)
    task = ring.task()
    ring.attest(task, ring.identities)
    refreshed = deal(ring.identities, NETWORK, ring.chance, again=ring.keys[0])
    old_mail, ring.mail = ring.mail, []

    ring.keys.append(refreshed)
    for member in ring.members.values():
        member.do(member.sessions.put_in_force(refreshed.document, ring.now_ms))
    ring.mail += old_mail
    ring.settle()

    ring.check(task, honest=ring.identities)
    signed = {session for _, session in ring.released}
    assert signed
    assert refreshed.document.group("full") == replace(
        ring.keys[0].document.group("full"),  # type: ignore[arg-type]  # it has one
        shares=refreshed.document.group("full").shares,  # type: ignore[union-attr]
    )


def test_each_key_epoch_signs_its_own_mandates() -> None:
    ring = ring_of(4, seed=8)
    rotated = deal(ring.identities, NETWORK, ring.chance, key_epoch=2)
    ring.keys.append(rotated)
    for member in ring.members.values():
        member.sessions.put_in_force(rotated.document, ring.now_ms)
    old, new = ring.task("before"), ring.task("after", key_epoch=2)

    ring.attest(old, ring.identities)
    ring.attest(new, ring.identities)
    ring.settle()

    keys = {key.key_epoch: key.key for key in (mandate_keys(each.document)[1] for each in ring.keys)}
    assert keys[1] != keys[2]
    for member in ring.members.values():
        assert len(member.signatures) == 2
        assert member.sessions.key_of(2, Tier.FULL) != member.sessions.key_of(1, Tier.FULL)


def test_without_keys_of_its_epoch_nothing_is_begun() -> None:
    ring = ring_of(4, seed=8)

    ring.attest(ring.task(key_epoch=2), ring.identities)
    ring.settle()

    assert not ring.released


# ---- restarts


def test_a_signer_that_restarts_in_the_middle_uses_no_nonce_again_and_the_signature_appears() -> None:
    for seed in range(10):
        ring = ring_of(7, seed=seed)
        task = ring.task()
        ring.attest(task, ring.identities)
        ring.delay = lambda _author, _to: ring.chance.random() < 0.5  # noqa: B023  the one of this round
        ring.deliver()
        for each in ring.chance.sample(ring.identities, 2):
            ring.members[each].restart()
        ring.delay = lambda _author, _to: False
        ring.settle()

        ring.check_nonces()
        alive = [member for member in ring.members.values() if member.boot == 1]
        assert all(len(member.signatures) == 1 for member in alive), f"seed {seed}"


def test_a_commitment_of_an_earlier_boot_is_dead() -> None:
    ring = ring_of(4, seed=1)
    task = ring.task()
    first = coordinators_of(task)[0]
    signer = next(each for each in ring.identities if each not in coordinators_of(task))
    ring.attest(task, [first, signer])
    early = [message for author, to, message in ring.mail if (author, to) == (signer, first)]
    (old,) = (message for message in early if isinstance(message, Commitments))
    ring.members[signer].restart()
    ring.deliver()

    refused = ring.members[first].sessions.heard(signer, old, ring.now_ms)

    assert refused == [Refused(signer, "of an earlier boot")]


@pytest.mark.parametrize("size", SIZES)
def test_where_all_coordinate_nobody_is_alone_with_the_signature(size: int) -> None:
    """Of f+1 the one honest coordinator may be: that does for a mandate, which has the list as well."""
    ring = ring_of(size, seed=size, liars=[Whisperer] * malicious_bound(size))
    task = replace(ring.task(), malicious=size - 1)
    assert coordinators_of(task)[: size // 3 + 1] == coordinators_of(ring.task())

    ring.attest(task, ring.identities)
    ring.settle()

    ring.check(task, honest=honest(ring))
