"""A member's part in ceremonies: what is on disk before it speaks, what it says again, what it erases."""

from collections.abc import Mapping
from dataclasses import replace
from pathlib import Path

import pytest

from proofs.groupkeys import KeysDocument, verify_keys
from proofs.kinds import Identity
from proofs.mandate import Tier, key_proof_digest
from relay.core.errors import GuardRefusal, KeyFileError
from relay.disk import Probe
from relay.keys import LocalSigner
from relay.threshold.ceremony import Ceremony, Duty
from relay.threshold.frost import aggregate, verify
from relay.threshold.groups import SECP256K1
from relay.threshold.messages import (
    CeremonyMessage,
    Complaint,
    Deal,
    SignerCommitment,
    SigningRequest,
    Transcript,
)
from relay.threshold.tasks import mandate_keys
from tests.shells.keys.circle import Circle

Signers = dict[Identity, LocalSigner]


@pytest.fixture
def circle(tmp_path: Path) -> Circle:
    return Circle(tmp_path)


def document_of(ceremony: Ceremony, circle: Circle) -> KeysDocument:
    result = ceremony.result()
    assert result is not None, ceremony.troubles()
    verify_keys(result, circle.committee)
    return result.document


async def make_keys(circle: Circle, signers: Signers) -> KeysDocument:
    begun = await circle.begin(signers[circle.identities[0]], circle.proposal())
    document = document_of(await circle.perform(signers, begun), circle)
    for signer in signers.values():
        await signer.ceremony_activate(document)
    return document


async def show(signers: Mapping[Identity, LocalSigner], document: KeysDocument, tier: Tier) -> bytes:
    """Have as many as it takes sign the possession of a group key, and check the signature."""
    key = next(key for key in mandate_keys(document) if key.tier is tier)
    coordinator = document.holders[0]
    chosen = dict(sorted(signers.items())[: key.threshold])
    lines = []
    for member, signer in chosen.items():
        said = await signer.commit_possession(key.key_id, (coordinator,))
        lines.append(SignerCommitment(member, said.boot, said.batch[coordinator]))
    digest = key_proof_digest(document.network, document.key_epoch, tier, key.key)
    request = SigningRequest(digest, key.key_id, tuple(lines))
    shares = {
        key.identifiers[member]: SECP256K1.read_scalar((await signer.sign_share(request, coordinator)).share)
        for member, signer in chosen.items()
    }
    signature = aggregate(key.package(request), shares)
    verify(SECP256K1, key.key, digest, signature)
    return signature


@pytest.mark.asyncio
async def test_four_members_make_keys_and_sign_with_them_also_after_a_restart(circle: Circle) -> None:
    async with circle.open() as signers:
        document = await make_keys(circle, signers)
        for tier in Tier:
            assert len(await show(signers, document, tier)) == 65
        assert {tuple(circle.files(member)) for member in signers} == {("1-1.shares",)}

    async with circle.open((document,)) as signers:
        assert all(signer.held_keys() == (document,) for signer in signers.values())
        assert all(signer.share_problems == () for signer in signers.values())
        await show(signers, document, Tier.FULL)


@pytest.mark.asyncio
async def test_a_reshare_keeps_the_keys_and_erases_the_shares_before(circle: Circle) -> None:
    async with circle.open() as signers:
        first = await make_keys(circle, signers)
        begun = await circle.begin(signers[circle.identities[0]], circle.proposal(first), first)
        second = document_of(await circle.perform(signers, begun), circle)
        held = {member: signer.held_keys() for member, signer in signers.items()}
        for signer in signers.values():
            await signer.ceremony_activate(second)
            await signer.ceremony_activate(second)  # again is nothing

        assert set(held.values()) == {(first,)}
        assert [group.key for group in second.groups] == [group.key for group in first.groups]
        assert {tuple(circle.files(member)) for member in signers} == {("1-2.shares",)}
        assert {signer.held_keys() for signer in signers.values()} == {(second,)}
        await show(signers, second, Tier.FULL)
        for signer in signers.values():
            with pytest.raises(GuardRefusal, match="unknown key"):
                await signer.commit_possession(first.key_id("fast"), circle.identities[:1])


@pytest.mark.asyncio
async def test_what_was_said_is_said_again_after_a_restart_byte_for_byte(circle: Circle) -> None:
    async with circle.open() as signers:
        begun = await circle.begin(signers[circle.identities[0]], circle.proposal())
        done = await circle.perform(signers, begun)
        said = {duty: [await circle.duty(signer, done, duty) for signer in signers.values()] for duty in Duty}

    async with circle.open() as signers:
        again = {
            duty: [await circle.duty(signer, done, duty) for signer in signers.values()] for duty in Duty
        }
        for signer in signers.values():
            await signer.ceremony_activate(document_of(done, circle))

    assert again == said


def failing(at: list[str]) -> Probe:
    """A disk that fails at the steps that begin as `at` says, for as long as it says so."""

    def fail(step: str) -> None:
        if any(step.startswith(prefix) for prefix in at):
            raise OSError("injected")

    return fail


@pytest.mark.asyncio
async def test_the_seed_is_on_disk_before_the_join_and_the_shares_before_the_word_on_them(
    circle: Circle,
) -> None:
    me, at = circle.identities[0], ["before link"]

    async with circle.open(probes={me: failing(at)}) as signers:
        begun = await circle.begin(signers[me], circle.proposal())
        seed, shares = f"ceremonies/{begun.id.hex()}.seed", f"ceremonies/{begun.id.hex()}.shares"
        with pytest.raises(KeyFileError, match="expected to write a file"):
            await signers[me].ceremony_join(begun)
        assert circle.files(me) == []
        at.clear()
        dealt = await circle.perform(signers, begun, before=Duty.OPEN)
        at.append("before link")
        with pytest.raises(KeyFileError, match="expected to write a file"):
            await signers[me].ceremony_check(dealt)
        assert circle.files(me) == [seed]
        at.clear()
        assert isinstance(await signers[me].ceremony_check(dealt), Transcript)
        assert circle.files(me) == [seed, shares]


@pytest.mark.parametrize("step", ["in force", "condemned", "overwritten"])
@pytest.mark.asyncio
async def test_an_activation_that_is_interrupted_is_finished_at_the_next_start(
    circle: Circle, step: str
) -> None:
    me, at = circle.identities[0], list[str]()

    async with circle.open(probes={me: failing(at)}) as signers:
        first = await make_keys(circle, signers)
        begun = await circle.begin(signers[me], circle.proposal(first), first)
        second = document_of(await circle.perform(signers, begun), circle)
        at.append(step)
        with pytest.raises(KeyFileError, match="injected"):
            await signers[me].ceremony_activate(second)

    async with circle.open((first, second)) as signers:
        assert signers[me].held_keys() == (second,)
        assert signers[me].share_problems == ()
        await show(signers, second, Tier.FULL)
    assert circle.files(me) == ["1-2.shares"]


@pytest.mark.asyncio
async def test_who_was_stopped_before_the_activation_finds_its_shares_by_the_document(
    circle: Circle,
) -> None:
    async with circle.open() as signers:
        begun = await circle.begin(signers[circle.identities[0]], circle.proposal())
        document = document_of(await circle.perform(signers, begun), circle)

    async with circle.open((document,)) as signers:
        await show(signers, document, Tier.FULL)
    assert {tuple(circle.files(member)) for member in circle.identities} == {("1-1.shares",)}


@pytest.mark.asyncio
async def test_a_bad_deal_is_answered_by_a_complaint_and_nothing_is_put_in_force(circle: Circle) -> None:
    me, liar = circle.identities[:2]

    def twist(author: Identity, message: CeremonyMessage) -> CeremonyMessage:
        if author != liar or not isinstance(message, Deal):
            return message
        sealed = dict(message.sealed)
        sealed[me] = sealed[me][:-1] + bytes([sealed[me][-1] ^ 1])
        return replace(message, sealed=sealed)

    async with circle.open() as signers:
        begun = await circle.begin(signers[me], circle.proposal())
        dealt = await circle.perform(signers, begun, twist, before=Duty.OPEN)
        found = await signers[me].ceremony_check(dealt)
        assert isinstance(found, tuple)
        assert [(type(each), each.dealer) for each in found] == [(Complaint, liar)]
        assert circle.files(me) == [f"ceremonies/{begun.id.hex()}.seed"]

        await signers[me].ceremony_drop(begun.id)
        await signers[me].ceremony_drop(begun.id)
        assert circle.files(me) == []
        with pytest.raises(GuardRefusal, match="not joined"):
            await signers[me].ceremony_deal(dealt)


@pytest.mark.asyncio
async def test_a_failed_reshare_leaves_the_keys_as_they_were(circle: Circle) -> None:
    async with circle.open() as signers:
        first = await make_keys(circle, signers)
        begun = await circle.begin(signers[circle.identities[0]], circle.proposal(first), first)
        await circle.perform(signers, begun)
        for signer in signers.values():
            await signer.ceremony_drop(begun.id, superseded=True)

        assert {tuple(circle.files(member)) for member in signers} == {("1-1.shares",)}
        await show(signers, first, Tier.FULL)
    async with circle.open((first,)) as signers:
        await show(signers, first, Tier.FULL)


@pytest.mark.asyncio
async def test_a_step_before_its_time_is_refused(circle: Circle) -> None:
    async with circle.open() as signers:
        me, other = circle.identities[:2]
        begun = await circle.begin(signers[me], circle.proposal())
        with pytest.raises(GuardRefusal, match="not joined"):
            await signers[me].ceremony_deal(begun)
        await signers[me].ceremony_join(begun)
        with pytest.raises(GuardRefusal, match="wrong step: ceremony: expected a good join of every"):
            await signers[me].ceremony_deal(begun)
        with pytest.raises(GuardRefusal, match="wrong step: ceremony: expected a good deal of every"):
            await signers[me].ceremony_check(begun)
        three = tuple(member for member in circle.identities if member != other)
        without = await circle.begin(signers[me], circle.proposal(dealers=three, receivers=three))
        with pytest.raises(GuardRefusal, match="no participant"):
            await signers[other].ceremony_join(without)


@pytest.mark.asyncio
async def test_only_one_word_of_a_ceremony_is_signed(circle: Circle) -> None:
    """Else who shows us two sets of deals would have us sign two documents."""
    me, liar = circle.identities[:2]

    async with circle.open() as signers:
        begun = await circle.begin(signers[me], circle.proposal())
        joined = await circle.perform(signers, begun, before=Duty.DEAL)
        one = await circle.perform(signers, joined, before=Duty.OPEN)
        await signers[me].ceremony_check(one)
        # The liar forgets its seed and deals another polynomial over the same joins.
        anew = await _dealt_anew(circle, signers, joined, liar)
        with pytest.raises(GuardRefusal, match="conflicting digest"):
            await signers[me].ceremony_check(anew)
        assert isinstance(await signers[me].ceremony_check(one), Transcript)


async def _dealt_anew(circle: Circle, signers: Signers, joined: Ceremony, liar: Identity) -> Ceremony:
    await signers[liar].ceremony_drop(joined.id)
    await signers[liar].ceremony_join(joined)
    return await circle.perform(signers, joined, before=Duty.OPEN)


@pytest.mark.asyncio
async def test_who_deals_and_receives_nothing_loses_its_old_shares_with_the_reshare(circle: Circle) -> None:
    gone = circle.identities[3]

    async with circle.open() as signers:
        first = await make_keys(circle, signers)
        proposal = circle.proposal(first, receivers=circle.identities[:3])
        begun = await circle.begin(signers[circle.identities[0]], proposal, first)
        second = document_of(await circle.perform(signers, begun), circle)
        for signer in signers.values():
            await signer.ceremony_activate(second)

        assert signers[gone].held_keys() == ()
        assert circle.files(gone) == []
        await show({m: s for m, s in signers.items() if m != gone}, second, Tier.FULL)


@pytest.mark.asyncio
async def test_shares_of_a_retired_key_epoch_are_erased(circle: Circle) -> None:
    async with circle.open() as signers:
        first = await make_keys(circle, signers)
        me = circle.identities[0]
        await signers[me].retire_shares(2)
        assert signers[me].held_keys() == (first,)
        await signers[me].retire_shares(1)

        assert signers[me].held_keys() == ()
        assert circle.files(me) == []


@pytest.mark.asyncio
async def test_two_documents_of_one_generation_are_not_both_signed(circle: Circle) -> None:
    """Also where the journal does not know of the first: its word left just before a crash."""
    me = circle.identities[0]

    async with circle.open() as signers:
        first = await make_keys(circle, signers)
    async with circle.open((first,)) as signers:
        begun = await circle.begin(signers[me], circle.proposal(salt=b"another ceremony"))
        dealt = await circle.perform(signers, begun, before=Duty.OPEN)
        with pytest.raises(GuardRefusal, match="conflicting digest: keys of epoch 1, generation 1"):
            await signers[me].ceremony_check(dealt)
        later = await circle.begin(signers[me], circle.proposal(salt=b"another ceremony", generation=2))
        dealt = await circle.perform(signers, later, before=Duty.OPEN)

        assert isinstance(await signers[me].ceremony_check(dealt), Transcript)
        assert signers[me].held_keys() == (first,)
        await show(signers, first, Tier.FULL)
