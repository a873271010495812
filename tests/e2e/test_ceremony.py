"""Ceremonies on four relay processes, by their operators' commands alone (threshold SPEC 3)."""

from __future__ import annotations

import json
from collections.abc import AsyncIterator

import pytest
import pytest_asyncio

from adapters.evm.demo.network import make_network
from proofs.groupkeys import KeysDocument
from relay.keys import Secret, open_signer
from relay.keys.files import KeyDerivation
from relay.keys.keyring import keyring_sealing
from relay.keys.sharefiles import ShareFiles
from relay.threshold.errors import ThresholdError
from relay.threshold.frost import Package, aggregate, commit, sign_share, verify
from relay.threshold.groups import SECP256K1
from tests.e2e.vestry import Vestry, ended, sign_in, steps

pytestmark = [
    pytest.mark.slow,
    pytest.mark.timeout(300),
    pytest.mark.asyncio(loop_scope="module"),
]


@pytest_asyncio.fixture(scope="module", loop_scope="module")
async def vestry(tmp_path_factory: pytest.TempPathFactory) -> AsyncIterator[Vestry]:
    """Four members that run, without chains, plans or keys."""
    async with make_network(tmp_path_factory.mktemp("vestry"), []) as network:
        network.prepare({}, [])
        found = Vestry(network)
        try:
            await found.start(*network.members)
            yield found
        finally:
            await network.stop()


@pytest_asyncio.fixture(scope="module", loop_scope="module")
async def first(vestry: Vestry) -> KeysDocument:
    """The first keys, made with one member killed in the middle."""
    alice, bob, carol, dave = vestry.network.members
    said = await vestry.call(alice, "propose", "--json")
    assert said.code == 0, said.out
    name = json.loads(said.out)["ceremony"]["id"]
    await vestry.join(name, alice, bob, carol)
    await vestry.wait(alice, name, lambda found: steps(found)["join"] == ["dave"])
    await vestry.kill(carol)
    await vestry.join(name, dave)

    # All have joined; carol's deal is what everybody waits for.
    await vestry.wait(alice, name, lambda found: steps(found)["deal"] == ["carol"])
    assert "waiting for carol" in (await vestry.call(bob, "status", name)).out
    assert await vestry.keys(alice) == []
    await vestry.start(carol)
    await vestry.done(name)
    return vestry.document(alice)


async def test_four_processes_make_keys_though_one_is_killed_in_the_middle(
    vestry: Vestry, first: KeysDocument
) -> None:
    for member in vestry.network.members:
        assert vestry.document(member) == first
        (keys,) = await vestry.keys(member)
        assert (keys["document"], keys["share"]) == (first.digest.hex(), "held by this node")
        await vestry.proved(member)
        assert not list(member.directory.keys.rglob("*.seed")), "secrets of a ceremony end with it"


async def test_a_refusal_says_what_to_do(vestry: Vestry, first: KeysDocument) -> None:
    alice = vestry.member("alice")

    unknown = await vestry.call(alice, "join", "ab" * 32, "--yes")
    again = await vestry.call(alice, "propose")
    stranger = await vestry.call(alice, "reshare", "--without", "zoe", "--yes")
    few = await vestry.call(alice, "reshare", "--replace", "bob", "--replace", "carol", "--yes")

    assert (unknown.code, "tocsin ceremony status" in unknown.err) == (1, True)
    assert (again.code, "tocsin ceremony reshare" in again.err) == (1, True)
    assert (stranger.code, "alice, bob, carol, dave" in stranger.err) == (1, True)
    assert (few.code, "at least 3 members that hold shares" in few.err) == (1, True)


async def test_a_ceremony_with_a_member_missing_expires_names_it_and_leaves_the_keys(
    vestry: Vestry, first: KeysDocument
) -> None:
    alice, bob, carol, _ = vestry.network.members
    reshare = await vestry.spawn(alice, "reshare", "--deadline", "5s", "--yes")
    name = await vestry.proposed(bob)
    await vestry.join(name, bob, carol)

    code, said = await ended(reshare)

    assert code == 1, said
    assert "the deadline passed without dave" in said
    for member in vestry.network.members:
        await vestry.wait(member, name, lambda found: found["state"] == "expired")
        assert [keys["document"] for keys in await vestry.keys(member)] == [first.digest.hex()]
        assert len(vestry.files(member)) == 1
    late = await vestry.call(vestry.member("dave"), "join", name, "--yes")
    assert (late.code, "it has ended: expired" in late.err) == (1, True)


BAD_BOXES = """
from dataclasses import replace
from relay.keys import ceremonies

honest = ceremonies.deal_of

def spoilt(*given):
    deal = honest(*given)
    return replace(deal, sealed={who: box[:-1] + bytes([box[-1] ^ 1]) for who, box in deal.sealed.items()})

ceremonies.deal_of = spoilt
"""


async def test_a_member_that_deals_wrong_is_named_with_evidence_and_the_keys_stay(
    vestry: Vestry, first: KeysDocument
) -> None:
    alice, bob, carol, dave = vestry.network.members
    await vestry.turn(carol, BAD_BOXES)
    reshare = await vestry.spawn(alice, "reshare", "--yes")
    name = await vestry.proposed(bob)
    await vestry.join(name, bob, carol, dave)

    code, said = await ended(reshare)

    assert (code, "at fault: carol: a bad deal: its box does not open" in said) == (1, True), said
    for member in (alice, bob, dave):
        await vestry.wait(member, name, lambda found: found["state"] == "failed")
        (evidence,) = member.directory.evidence.iterdir()
        blamed = await vestry.call(member, "blame", evidence)
        assert (blamed.code, "at fault: carol" in blamed.out) == (0, True), blamed.err
        assert [keys["document"] for keys in await vestry.keys(member)] == [first.digest.hex()]
        assert len(vestry.files(member)) == 1
    await vestry.kill(carol)


async def test_a_reshare_moves_a_member_to_a_new_machine_and_its_old_shares_sign_nothing(
    vestry: Vestry, first: KeysDocument
) -> None:
    old = vestry.member("bob")
    assert old.process is not None
    old.process.terminate()
    await old.process.wait()
    bob = await vestry.move("bob")
    document = sign_in(vestry.network, vestry.next_committee(bob))
    await vestry.start(*vestry.stopped())

    alice, carol, dave = (vestry.member(name) for name in ("alice", "carol", "dave"))
    words = ("reshare", "--replace", "bob", "--committee", str(document), "--yes")
    reshare = await vestry.spawn(alice, *words)
    name = await vestry.proposed(bob)
    await vestry.join(name, bob, carol, dave)
    code, said = await ended(reshare)
    assert code == 0, said
    await vestry.done(name)

    second = vestry.document(bob)
    assert [group.key for group in second.groups] == [group.key for group in first.groups]
    assert (
        "the keys are those of generation 1" in (await vestry.call(bob, "verify", vestry.files(bob)[-1])).out
    )
    # One more if the wrong dealer came to sign, alone, the document of the ceremony that it spoilt.
    assert second.generation in (first.generation + 1, first.generation + 2)
    assert [each["generation"] for each in await vestry.keys(bob)] == [second.generation]
    await _old_share_signs_nothing(vestry, first, second, old.directory.keys)


async def _old_share_signs_nothing(
    vestry: Vestry, first: KeysDocument, second: KeysDocument, old_keys: object
) -> None:
    """With a share of the new generation beside it, the old machine's share makes no signature."""
    bob, alice = vestry.member("bob"), vestry.member("alice")
    passphrase = Secret(vestry.network.passphrase.encode())
    fast = second.group("fast")
    assert fast is not None
    shares = {}
    for who, directory, document in (
        ("old", old_keys, first),
        ("bob", bob.directory.keys, second),
        ("alice", alice.directory.keys, second),
    ):
        owner = alice if who == "alice" else bob
        derivation = KeyDerivation(passphrase)
        files = ShareFiles(directory / "threshold", derivation, keyring_sealing(directory))  # type: ignore[operator] - a path
        shares[who] = files.open(document, owner.public.identity)["fast"]
    assert _signs(second, bob.public.identity, shares["bob"], alice.public.identity, shares["alice"])
    assert not _signs(second, bob.public.identity, shares["old"], alice.public.identity, shares["alice"])
    async with open_signer(
        old_keys,  # type: ignore[arg-type] - a path
        guard_path=bob.directory.home / "spare-guard" / "guard.sqlite",
        passphrase=passphrase,
        documents=[second],
    ) as signer:
        assert signer.held_keys() == ()
        assert len(signer.share_problems) == 1


def _signs(document: KeysDocument, one: bytes, share: int, other: bytes, other_share: int) -> bool:
    """Whether two shares make a signature of the fast key, which two can."""
    fast = document.group("fast")
    assert fast is not None
    held = {}
    for identity, secret in ((one, share), (other, other_share)):
        identifier = document.identifier(identity)
        assert identifier is not None
        held[identifier] = (secret, *commit(SECP256K1, secret, bytes([identifier]) * 64))
    package = Package(SECP256K1, fast.key, {number: line[2] for number, line in held.items()}, bytes(32))
    made = {number: sign_share(package, number, line[0], line[1]) for number, line in held.items()}
    try:
        verify(SECP256K1, fast.key, bytes(32), aggregate(package, made))
    except ThresholdError:
        return False
    return True


async def test_after_a_restart_of_all_each_has_its_keys_in_force_by_itself(
    vestry: Vestry, first: KeysDocument
) -> None:
    """Two of four start again, one of them on its new machine: too few to make keys."""
    alice, bob = vestry.member("alice"), vestry.member("bob")
    before = {member.name: await vestry.keys(member) for member in (alice, bob)}
    for member in vestry.network.members:
        await vestry.kill(member)

    await vestry.start(alice, bob)

    for member in (alice, bob):
        after = await vestry.keys(member)
        assert after == before[member.name]
        assert after[0]["share"] == "held by this node"
