"""New group keys prove that they can sign, before any chain is asked to take them (threshold SPEC 1.2)."""

from __future__ import annotations

import random

from proofs.certificates import verify_frost_certificate
from proofs.groupkeys import KeysDocument
from proofs.mandate import Tier, key_proof_digest
from relay.core.effects import CommitPossession
from relay.threshold.tasks import GroupKey, mandate_keys
from tests.sim.dealer import deal
from tests.sim.host import Host
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
