"""What a member has missed of signing sessions comes to it later (threshold SPEC 4.2)."""

from __future__ import annotations

import random
from dataclasses import replace
from itertools import pairwise

import pytest

from proofs.kinds import Digest, Identity, Millis
from proofs.mandate import Tier
from relay.core.effects import Effect, KeepCertificate, Notice, SignStatement
from relay.core.messages import KIND, SESSION
from relay.core.repeating import ANSWER_AFTER_MS, MAX_REPEATS, REPEAT_MS
from relay.threshold.messages import Commitments, ThresholdCertificate
from tests.sim.host import Host
from tests.sim.invariants import Witness, assert_replay_is_equal
from tests.sim.liars import Silent
from tests.sim.town import LiarMaker, Town


class Torn(Town):
    """A town in which the links between some members are down."""

    torn: frozenset[frozenset[Identity]] = frozenset()

    def send(self, author: Identity, to: Identity, raw: bytes) -> None:
        """Mail nothing over a link that is down."""
        if frozenset({author, to}) not in self.torn:
            super().send(author, to, raw)

    def tear(self, *pairs: tuple[str, str]) -> None:
        """Let these links be down, and no others."""
        self.torn = frozenset(frozenset(self.keys[name].identity for name in pair) for pair in pairs)


def torn_town(size: int, seed: int, *liars: LiarMaker) -> Torn:
    print(f"seed {seed}")
    town = Torn(random.Random(seed), size=size, liars=liars)
    town.checks.append(Witness())
    town.burn(100)
    town.run(20)
    return town


def certificates(host: Host, tier: Tier = Tier.FULL) -> dict[bytes, bytes]:
    """Give the threshold certificates that a host has, by mandate."""
    assert host.node is not None
    return {
        entry.tally.prepared.digest: entry.threshold_certificate
        for entry in host.node.book.entries.values()
        if entry.tally.prepared.decision.tier is tier and entry.threshold_certificate is not None
    }


def certified(host: Host, tier: Tier = Tier.FULL) -> frozenset[bytes]:
    """Give the mandates for which a host has the list of signatures."""
    assert host.node is not None
    return frozenset(
        entry.tally.prepared.digest
        for entry in host.node.book.entries.values()
        if entry.tally.certificate is not None and entry.tally.prepared.decision.tier is tier
    )


def until_all_have_the_list(town: Town) -> frozenset[bytes]:
    """Let time pass until all have a list of signatures, and sessions have had theirs; give whose it is."""
    hosts = town.hosts.values()
    town.run_until(lambda: all(map(certified, hosts)), within_s=120, what="the list at all")
    town.run(20)
    return frozenset[bytes].intersection(*map(certified, hosts))


def until_all_have_signed(town: Town, mandates: frozenset[bytes]) -> None:
    town.run_until(
        lambda: all(certificates(host).keys() >= mandates for host in town.hosts.values()),
        within_s=120,
        what="signatures at all",
    )


def test_two_members_whose_link_was_down_while_others_signed_get_the_signature() -> None:
    # Every honest member is needed: neither hears the other's commitments, requests and shares.
    town = torn_town(7, 3, Silent, Silent)
    town.tear(("alice", "bob"))
    town.release(500)
    mandates = until_all_have_the_list(town)
    assert not any(certificates(town.hosts[name]) for name in ("alice", "bob"))

    town.tear()

    until_all_have_signed(town, mandates)
    for host in town.hosts.values():
        assert_replay_is_equal(host)


@pytest.mark.parametrize("lost", [KIND[each] for each in SESSION])
def test_a_mandate_is_signed_although_what_was_said_of_it_first_was_lost(lost: str) -> None:
    town = torn_town(4, 4)
    town.loses = lambda _author, raw: lost.encode() in raw
    town.release(500)
    mandates = until_all_have_the_list(town)
    assert not any(certificates(host) for host in town.hosts.values())

    town.loses = lambda _author, _raw: False

    until_all_have_signed(town, mandates)


def test_a_member_that_was_down_while_others_signed_gets_the_signature() -> None:
    town = torn_town(4, 5)
    dave = town.hosts["dave"]
    town.release(500)
    town.run_until(lambda: dave.signed, within_s=60, what="dave attests")
    dave.stop()
    others = [host for host in town.hosts.values() if host is not dave]
    town.run_until(lambda: all(certificates(host) for host in others), within_s=120, what="signatures")
    town.run(30)
    (mandate, *_) = sorted(certificates(others[0]).keys())

    dave.start()

    until_all_have_signed(town, frozenset({mandate}))


# ---- bounds


def signed_town() -> tuple[Town, Host, ThresholdCertificate]:
    """Give a town whose alice has just got this certificate."""
    town = torn_town(4, 6)
    alice = town.hosts["alice"]
    town.release(500)
    town.run_until(lambda: certificates(alice), within_s=120, what="a signature")
    ((digest, certificate), *_) = certificates(alice).items()
    (document,) = (dealt.document for dealt in town.group_keys)
    return town, alice, ThresholdCertificate(Digest(digest), document.key_id("full"), certificate)


def commits(host: Host, author: Identity, shown: ThresholdCertificate, after_ms: int) -> list[Effect]:
    """Give what a host does if a member commits some time from now on."""
    assert host.node is not None
    message = Commitments(shown.digest, shown.key_id, 9, {})
    effects = host.node.signing.heard(author, message, Millis(host.node.now_ms + after_ms))
    return [effect for effect in effects if not isinstance(effect, Notice)]


def test_who_commits_a_while_after_the_signature_is_shown_it_and_not_again_at_once() -> None:
    town, alice, shown = signed_town()
    bob, carol = town.hosts["bob"].me, town.hosts["carol"].me
    answer = [SignStatement(shown, bob, 1)]
    late_ms = ANSWER_AFTER_MS + 1_000

    assert commits(alice, bob, shown, ANSWER_AFTER_MS - 2_000) == []
    assert commits(alice, bob, shown, late_ms) == answer
    assert commits(alice, bob, shown, late_ms + 1_000) == []
    assert commits(alice, carol, shown, late_ms + 1_000) == [SignStatement(shown, carol, 1)]
    assert commits(alice, bob, shown, late_ms + REPEAT_MS) == answer


def test_a_wrong_certificate_is_told_and_no_other_of_that_member_is_looked_at() -> None:
    town, alice, shown = signed_town()
    fresh = alice.fresh_node()  # until its journal has the signature again
    fresh.signing.keep(())
    wrong = replace(shown, certificate=shown.certificate[:-1] + bytes([shown.certificate[-1] ^ 1]))
    assert alice.node is not None
    now_ms, bob, carol = alice.node.now_ms, town.hosts["bob"].me, town.hosts["carol"].me
    (entry,) = (
        each
        for each in alice.node.book.entries.values()
        if each.tally.prepared.digest == shown.digest and each.threshold_certificate is not None
    )
    fresh.signing.attested(entry.tally.prepared, bob, town.committee, now_ms)

    (told,) = fresh.signing.shown_by(bob, wrong, now_ms)

    assert isinstance(told, Notice)
    assert told.facts["reason"] == "wrong certificate"
    assert fresh.signing.shown_by(bob, shown, now_ms) == []
    assert fresh.signing.shown_by(carol, replace(shown, digest=Digest(bytes(32))), now_ms) == []
    kept = KeepCertificate(shown.digest, shown.key_id, shown.certificate)
    assert fresh.signing.shown_by(carol, shown, now_ms) == [kept]
    assert fresh.signing.shown_by(town.hosts["dave"].me, shown, now_ms) == []


def test_what_nobody_completes_is_said_again_for_an_hour_and_less_and_less() -> None:
    town = torn_town(4, 7)
    alice = town.hosts["alice"]
    town.loses = lambda _author, raw: b"commitments" in raw
    town.release(500)
    town.run_until(lambda: certified(alice, Tier.FAST), within_s=120, what="the list")
    assert alice.node is not None
    signing, begun_ms = alice.node.signing, alice.node.now_ms

    times = [
        second
        for second in range(5, 7_200, 5)
        if any(
            isinstance(effect, SignStatement) for effect in signing.tick(Millis(begun_ms + second * 1_000))
        )
    ]

    assert len(times) == MAX_REPEATS
    gaps = [later - earlier for earlier, later in pairwise(times)]
    assert gaps == [60 << number for number in range(MAX_REPEATS - 1)]
