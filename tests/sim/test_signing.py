"""Threshold signatures in a town: they appear whoever lies, and delay nothing (threshold SPEC 4)."""

from __future__ import annotations

import random

import pytest

from proofs.decision import decision_id
from proofs.envelope import parse_envelope
from proofs.mandate import CERTIFICATE_ECDSA, CERTIFICATE_FROST, Tier
from relay.core.compiled import CompiledPlan
from relay.core.messages import KIND, SESSION
from tests.sim.chain import Rotated
from tests.sim.dealer import deal
from tests.sim.host import Host
from tests.sim.invariants import Witness, assert_replay_is_equal
from tests.sim.keys import committee_after
from tests.sim.liars import Silent
from tests.sim.plans import AWAY, BRIDGE, HOME, MARKET, REARM_S, compile_text
from tests.sim.session_liars import BadSigner, Saboteur
from tests.sim.town import LiarMaker, Town

SESSION_KINDS = frozenset(KIND[each] for each in SESSION)


def is_session(raw: bytes) -> bool:
    return parse_envelope(raw).fields.kind in SESSION_KINDS


def patient_plans(patience_ms: int = 8_000) -> tuple[CompiledPlan, ...]:
    """Give the plans with another patience: a hop takes a second here."""
    clock = f"[clock]\nfrost_patience_ms = {patience_ms}"
    return tuple(compile_text(text.replace("[clock]", clock)) for text in (BRIDGE, MARKET))


def town_of(size: int, seed: int, *liars: LiarMaker, patience_ms: int = 8_000) -> Town:
    """Give a town in which the attack has just happened, and whose plans wait for a threshold signature."""
    print(f"seed {seed}")
    town = Town(random.Random(seed), size=size, liars=liars, plans=patient_plans(patience_ms))
    town.checks.append(Witness())
    town.burn(100)
    town.run(20)
    town.release(500)
    return town


def signed(host: Host, tier: Tier = Tier.FAST) -> bool:
    """Tell whether a host has the threshold certificate of a decision of this tier."""
    assert host.node is not None
    return any(
        entry.threshold_certificate is not None
        for entry in host.node.book.entries.values()
        if entry.tally.prepared.decision.tier is tier
    )


def convicted(town: Town) -> set[str]:
    """Give whom honest members name for bad shares."""
    names = {keys.identity.hex()[:16]: name for name, keys in town.keys.items()}
    notices = [notice for host in town.hosts.values() for notice in host.notices]
    return {names[str(each.facts["member"])] for each in notices if each.name == "bad signature share"}


# ---- the signature appears


@pytest.mark.parametrize(("size", "liar"), [(4, Saboteur), (7, Saboteur), (7, Silent)])
def test_with_f_members_that_lie_in_sessions_or_are_silent_every_honest_one_gets_the_signature(
    size: int, liar: LiarMaker
) -> None:
    town = town_of(size, size, *[liar] * ((size - 1) // 3))

    for tier in Tier:
        town.run_until(
            lambda: all(signed(host, tier) for host in town.hosts.values()),  # noqa: B023  of this round
            within_s=120,
            what=f"signatures, {tier.name}",
        )

    assert convicted(town) <= town.keys.keys() - town.hosts.keys(), "an honest member is named"


@pytest.mark.slow
@pytest.mark.timeout(600)
@pytest.mark.parametrize("liar", [Saboteur, Silent])
def test_so_it_is_with_thirteen_members(liar: LiarMaker) -> None:
    town = town_of(13, 13, *[liar] * 4)

    town.run_until(
        lambda: all(signed(host, Tier.FULL) for host in town.hosts.values()), within_s=120, what="signatures"
    )

    assert convicted(town) <= town.keys.keys() - town.hosts.keys()


def test_who_gives_bad_shares_is_named() -> None:
    town = town_of(4, 2, BadSigner)

    town.run_until(lambda: convicted(town), within_s=600, what="somebody is named")

    assert convicted(town) == town.keys.keys() - town.hosts.keys()


# ---- which certificate goes out


def kinds_landed(town: Town) -> dict[str, set[int]]:
    """Give the kinds of certificate that gateways took, by chain."""
    return {
        name: {landing.call.certificate[0] for landing in chain.landings}
        for name, chain in town.chains.items()
    }


def test_calls_go_out_with_the_threshold_certificate() -> None:
    town = town_of(4, 1)

    town.run_until(lambda: town.state("halt") == 1, within_s=60, what="the bridge is halted")
    town.run_until(lambda: town.state("freeze") == 1, within_s=60, what="the market follows")

    assert kinds_landed(town) == {HOME: {CERTIFICATE_FROST}, AWAY: {CERTIFICATE_FROST}}


def test_without_patience_the_list_goes_out_at_once() -> None:
    town = town_of(4, 1, patience_ms=0)

    town.run_until(lambda: town.state("halt") == 1, within_s=60, what="the bridge is halted")

    assert kinds_landed(town)[HOME] == {CERTIFICATE_ECDSA}
    town.run_until(lambda: all(signed(host) for host in town.hosts.values()), within_s=5, what="both")


def test_with_all_session_traffic_malicious_the_list_goes_out_when_patience_ends() -> None:
    patience_ms = 5_000
    town = town_of(7, 3, Saboteur, Saboteur, patience_ms=patience_ms)
    honest = {host.me for host in town.hosts.values()}
    town.loses = lambda author, raw: author in honest and is_session(raw)
    plain = town_of(7, 3, patience_ms=0)

    def first_call_s(of: Town) -> int:
        of.run_until(lambda: of.chains[HOME].pending or of.state("halt"), within_s=60, what="a call")
        return of.now_s

    late_s, prompt_s = first_call_s(town), first_call_s(plain)

    assert not any(signed(host) for host in town.hosts.values())
    assert late_s - prompt_s <= patience_ms // 1_000 + 2  # a hop, and a step of the simulation
    town.run_until(lambda: town.state("halt") == 1, within_s=30, what="the bridge is halted")
    assert kinds_landed(town)[HOME] == {CERTIFICATE_ECDSA}


def test_without_keys_nobody_waits() -> None:
    town = Town(random.Random(5), has_keys=False)
    town.burn(100)
    town.run(20)
    town.release(500)

    town.run_until(lambda: town.state("halt") == 1, within_s=40, what="the bridge is halted")

    assert kinds_landed(town)[HOME] == {CERTIFICATE_ECDSA}


def test_a_verifier_that_knows_no_group_key_gets_the_list_at_once() -> None:
    town = town_of(4, 1)
    town.chains[HOME].group_keys = []

    town.run_until(lambda: town.state("halt") == 1, within_s=60, what="the bridge is halted")

    assert kinds_landed(town)[HOME] == {CERTIFICATE_ECDSA}
    assert not [page for host in town.hosts.values() for page in host.pages]


# ---- restarts, replays, rotation


def test_members_that_restart_in_the_middle_use_no_nonce_again_and_the_signature_appears() -> None:
    for seed in range(2):
        town = town_of(7, seed)
        town.run_until(
            lambda: any(host.released for host in town.hosts.values()),  # noqa: B023  this round's
            within_s=60,
            what="a share",
        )
        for name in town.chance.sample(sorted(town.hosts), 2):
            town.hosts[name].stop()
            town.hosts[name].start()

        town.run_until(
            lambda: sum(signed(host) for host in town.hosts.values()) >= 5,  # noqa: B023
            within_s=60,
            what="the signature at all that did not restart",
        )
        for host in town.hosts.values():
            nonces = [release.nonce for release in host.released]
            assert len(set(nonces)) == len(nonces), f"seed {seed}: {host.keys.name} used a nonce twice"


def test_the_journal_gives_the_certificate_again_and_no_session() -> None:
    town = town_of(4, 6)
    town.run_until(lambda: all(signed(host) for host in town.hosts.values()), within_s=60, what="signatures")

    for host in town.hosts.values():
        assert_replay_is_equal(host)
        assert not any(b"signature_share" in event for event in host.disk.journal)


def test_session_messages_enter_neither_journal_nor_log() -> None:
    town = town_of(4, 6, Saboteur)
    town.run_until(lambda: any(signed(host) for host in town.hosts.values()), within_s=60, what="signatures")

    for host in town.hosts.values():
        kept = [*host.disk.journal, *host.disk.log.values(), *host.disk.kept.values()]
        assert not any(kind.encode() in each for each in kept for kind in SESSION_KINDS)


def test_shares_refreshed_in_the_middle_of_an_incident_sign_by_the_same_key() -> None:
    town = town_of(4, 7)
    town.run_until(lambda: all(signed(host) for host in town.hosts.values()), within_s=60, what="signatures")
    identities = [member.identity for member in town.committee.members]
    first = town.group_keys[0]

    town.group_keys.append(deal(identities, town.committee.network, random.Random(8), again=first))
    for host in town.up():
        host.learn()
    town.run_until(
        lambda: all(signed(host, Tier.FULL) for host in town.hosts.values()), within_s=120, what="more"
    )

    before, after = first.document.groups, town.group_keys[1].document.groups
    assert [group.key for group in before] == [group.key for group in after]
    assert [group.shares for group in before] != [group.shares for group in after]


def test_no_member_gives_shares_for_two_mandates_of_one_decision() -> None:
    town = town_of(4, 11, Saboteur)
    town.run(100)

    for host in town.hosts.values():
        attested = {
            said.digest: (decision_id(town.committee.network, said.decision), said.decision.key_epoch)
            for said in host.signed
            if said.digest is not None
        }
        shared = {release.digest for release in host.released} - town.possessions()
        decisions = [attested[digest] for digest in shared]  # what it shared it had attested
        assert len(set(decisions)) == len(decisions)
        assert shared


def test_keys_that_rotate_between_two_decisions_of_one_incident_sign_each_its_own() -> None:
    town = Town(random.Random(41), plans=patient_plans())
    town.checks.append(Witness())
    at_s = town.now_s + REARM_S + 60
    document = committee_after(town.committee, ("alice", "bob", "carol", "erin"), activates_at=at_s)
    town.chains[HOME].rotated.append(Rotated(document, at_s - 60, at_s + 2_000))
    town.chains[AWAY].rotated.append(Rotated(document, at_s - 5, at_s + 3_000))
    joining = [member.identity for member in document.members]
    town.group_keys.append(deal(joining, town.committee.network, random.Random(9), key_epoch=2))
    town.announce(document)
    town.join("erin")
    town.burn(100)
    town.run(20)
    town.release(500)

    def epochs_signed(host: Host) -> set[int]:
        assert host.node is not None
        entries = host.node.book.entries.items()
        return {key[1] for key, entry in entries if entry.threshold_certificate is not None}

    town.run_until(
        lambda: all(epochs_signed(town.hosts[name]) >= {1, 2} for name in ("alice", "bob", "carol")),
        within_s=4 * REARM_S,
        what="signatures by the keys of both epochs",
    )

    assert 2 in epochs_signed(town.hosts["erin"])
    landed = {
        (landing.call.mandate.key_epoch, landing.call.certificate[0])
        for chain in town.chains.values()
        for landing in chain.landings
    }
    assert (1, CERTIFICATE_FROST) in landed
    town.run_until(
        lambda: any(
            landing.call.mandate.key_epoch == 2 and landing.call.certificate[0] == CERTIFICATE_FROST
            for chain in town.chains.values()
            for landing in chain.landings
        ),
        within_s=4 * REARM_S,
        what="a gateway takes a signature by the new key",
    )
