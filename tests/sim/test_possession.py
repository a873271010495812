"""New group keys prove that they can sign, before any chain is asked to take them (threshold SPEC 1.2)."""

from __future__ import annotations

import random
from dataclasses import replace

import pytest

from proofs.certificates import verify_frost_certificate
from proofs.groupkeys import KeysDocument
from proofs.kinds import Digest, Millis, NetworkId
from proofs.mandate import Tier, key_proof_digest
from relay.core.effects import CommitPossession, Effect, SignStatement
from relay.core.repeating import MAX_REPEATED, REPEAT_MS
from relay.core.signing import Signing
from relay.threshold.messages import SignatureShare
from relay.threshold.tasks import GroupKey, mandate_keys
from tests.sim.dealer import deal
from tests.sim.host import Host
from tests.sim.keys import Keys
from tests.sim.town import Town


def keys_of(document: KeysDocument) -> dict[Tier, GroupKey]:
    return {key.tier: key for key in mandate_keys(document)}


def proofs_of(host: Host, document: KeysDocument) -> dict[Tier, bytes]:
    """What a host can show of these keys; each is checked."""
    found: dict[Tier, bytes] = {}
    for tier, key in keys_of(document).items():
        possession = host.node.signing.possession_of(key.key) if host.node is not None else None
        if possession is not None:
            digest = key_proof_digest(document.network, document.key_epoch, tier, key.key)
            verify_frost_certificate(digest, possession, key.key)
            found[tier] = possession
    return found


def wants_nothing_proved(host: Host) -> bool:
    """Tell whether a process that begins from this host's disk has nothing to sign of its keys."""
    node = host.fresh_node()
    return node.signing.prove(node.committees, node.now_ms) == []


def test_the_holders_of_new_keys_sign_that_they_can_sign() -> None:
    town = Town(random.Random(11))
    document = town.group_keys[0].document

    town.run_until(
        lambda: all(proofs_of(host, document).keys() == set(Tier) for host in town.hosts.values()),
        within_s=60,
        what="every member can show both keys",
    )


def test_a_restart_remembers_the_proof_and_nobody_signs_it_again() -> None:
    town = Town(random.Random(12))
    document, alice = town.group_keys[0].document, town.hosts["alice"]
    town.run(60)
    before, shares = proofs_of(alice, document), [len(host.released) for host in town.hosts.values()]

    alice.stop()
    alice.start()
    town.run(60)

    assert proofs_of(alice, document) == before
    assert before.keys() == set(Tier)
    assert [len(host.released) for host in town.hosts.values()] == shares
    assert wants_nothing_proved(alice)


def test_keys_are_proved_although_a_member_is_down() -> None:
    town = Town(random.Random(13))
    document = town.group_keys[0].document
    town.hosts["dave"].stop()
    awake = [host for name, host in town.hosts.items() if name != "dave"]

    town.run_until(
        lambda: all(proofs_of(host, document).keys() == set(Tier) for host in awake),
        within_s=60,
        what="the three others can show both keys",
    )


def test_shares_made_anew_prove_nothing_again() -> None:
    town = Town(random.Random(14))
    first, chance = town.group_keys[0], random.Random(15)
    town.run(60)
    shares = [len(host.released) for host in town.hosts.values()]
    members = [host.me for host in town.hosts.values()]

    town.group_keys.append(deal(members, town.committee.network, chance, again=first))
    for host in town.hosts.values():
        host.learn()
    town.run(60)

    again = town.group_keys[-1].document
    assert all(
        again.digest in host.node.signing.keys for host in town.hosts.values() if host.node is not None
    )
    assert all(proofs_of(host, again).keys() == set(Tier) for host in town.hosts.values())
    assert all(map(wants_nothing_proved, town.hosts.values()))
    assert [len(host.released) for host in town.hosts.values()] == shares


def test_all_members_coordinate_so_that_nobody_is_alone_with_a_proof() -> None:
    town = Town(random.Random(16))
    alice = town.hosts["alice"]
    node = alice.fresh_node()

    asked = node.signing.prove(node.committees, node.now_ms)

    members = {member.identity for member in town.committee.members}
    commits = [effect for effect in asked if isinstance(effect, CommitPossession)]
    assert [set(effect.coordinators) for effect in commits] == [members] * len(Tier)


@pytest.mark.parametrize("lost", [b"", b"commitments", b"signing_request", b"signature_share"])
def test_keys_are_proved_although_what_was_said_of_it_first_was_lost(lost: bytes) -> None:
    town = Town(random.Random(17), has_keys=False)
    town.run(60)
    members = [host.me for host in town.hosts.values()]
    dealt = deal(members, town.committee.network, random.Random(18))
    town.loses = lambda _author, raw: lost in raw
    town.group_keys.append(dealt)
    for host in town.hosts.values():
        host.learn()
    town.run(20)
    assert not any(proofs_of(host, dealt.document) for host in town.hosts.values())

    town.loses = lambda _author, _raw: False

    # Nothing of a session is healed by anti-entropy; and a rotation waits for this.
    town.run_until(
        lambda: all(proofs_of(host, dealt.document).keys() == set(Tier) for host in town.hosts.values()),
        within_s=120,
        what="every member can show both keys",
    )
    assert not any(said_again(host) for host in town.hosts.values())


def said_again(host: Host) -> list[Effect]:
    assert host.node is not None
    return host.node.signing.tick(Millis(host.node.now_ms + REPEAT_MS))


def test_of_our_words_about_a_key_the_first_and_the_newest_are_said_again() -> None:
    dealt = deal([Keys(name).identity for name in "abcd"], NetworkId(bytes(32)), random.Random(19))
    key = keys_of(dealt.document)[Tier.FULL]
    signing = Signing(key.holders[0])
    signing.in_force(dealt.document, Millis(0))
    digest = key_proof_digest(dealt.document.network, 1, Tier.FULL, key.key)
    words = [
        SignatureShare(digest, key.key_id, key.holders[0], Digest(bytes([number]) * 32), bytes(32), 1, None)
        for number in range(MAX_REPEATED + 10)
    ]
    for number, word in enumerate(words, start=1):
        signing.heard(key.holders[0], word, Millis(0))
        signing.heard(key.holders[1], replace(word, boot=9), Millis(0))
        assert len(signing.tick(Millis(number * REPEAT_MS))) == min(number, MAX_REPEATED + 1)

    (first, *newest) = signing.tick(Millis(1_000 * REPEAT_MS))

    assert first == SignStatement(words[0], committee_epoch=1)
    assert newest == [SignStatement(word, committee_epoch=1) for word in words[-MAX_REPEATED:]]
    assert signing.tick(Millis(1_000 * REPEAT_MS + 1)) == []
