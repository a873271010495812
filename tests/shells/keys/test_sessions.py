"""What the signer signs with its shares: what its guard let out, once by each pair of nonces."""

import asyncio
from collections.abc import Callable
from contextlib import AbstractAsyncContextManager
from dataclasses import replace

import pytest

from proofs.hashes import keccak256
from proofs.kinds import Digest, Identity, NetworkId
from proofs.mandate import Mandate, Tier, key_proof_digest, mandate_digest
from relay.core.errors import GuardRefusal
from relay.core.messages import Message
from relay.keys import LocalSigner, PublicKeys
from relay.keys.nonces import MAX_OPEN
from relay.threshold import frost
from relay.threshold.groups import SECP256K1
from relay.threshold.messages import (
    Commitments,
    OpenCommitment,
    SignatureShare,
    SignerCommitment,
    SigningRequest,
)
from tests.shells.keys.sharing import BOB, CAROL, COORDINATORS, DAVE, Others, Sharing, attest, commit, line

OpenSigner = Callable[..., AbstractAsyncContextManager[LocalSigner]]
MakeMandate = Callable[..., Mandate]


@pytest.mark.asyncio
async def test_a_share_makes_a_signature_of_the_group_over_the_mandate(
    open_holder: OpenSigner, sharing: Sharing, others: Others, mandate: MakeMandate
) -> None:
    async with open_holder() as signer:
        made = await attest(signer, mandate())
        said = await commit(signer, made, sharing)
        request = others.request(mandate_digest(made), line(signer, said))
        share = await signer.sign_share(request, BOB)

    assert len(others.finish(request, share)) == 65
    assert (said.digest, said.boot) == (share.digest, share.boot) == (mandate_digest(made), 1)


@pytest.mark.asyncio
async def test_each_answer_brings_the_next_commitment_until_the_last(
    open_holder: OpenSigner, sharing: Sharing, others: Others, mandate: MakeMandate
) -> None:
    async with open_holder() as signer:
        made = await attest(signer, mandate())
        said: Commitments | SignatureShare = await commit(signer, made, sharing)
        seen = [line(signer, said).open]
        for answers_left in (2, 1, 0):
            request = others.request(mandate_digest(made), line(signer, said))
            said = await signer.sign_share(request, BOB)
            others.finish(request, said)
            assert (said.next is None) == (answers_left == 0)
            if said.next is not None:
                seen.append(said.next)
        with pytest.raises(GuardRefusal, match="commitment not open"):
            await signer.sign_share(request, BOB)

    assert sharing.key().most_requests == 3
    assert len({opened.hiding for opened in seen}) == len({opened.binding for opened in seen}) == 3


@pytest.mark.asyncio
async def test_what_one_coordinator_does_leaves_the_other_its_commitment(
    open_holder: OpenSigner, sharing: Sharing, others: Others, mandate: MakeMandate
) -> None:
    async with open_holder() as signer:
        made = await attest(signer, mandate())
        said = await commit(signer, made, sharing)
        for coordinator in COORDINATORS:
            request = others.request(mandate_digest(made), line(signer, said, coordinator))
            others.finish(request, await signer.sign_share(request, coordinator))


@pytest.mark.asyncio
async def test_nothing_is_committed_to_that_the_guard_did_not_let_out(
    open_holder: OpenSigner, sharing: Sharing, mandate: MakeMandate
) -> None:
    async with open_holder() as signer:
        with pytest.raises(GuardRefusal, match="not yet released"):
            await commit(signer, mandate(), sharing)
        await signer.release_guard()
        with pytest.raises(GuardRefusal, match="unknown digest"):
            await commit(signer, mandate(), sharing)
        made = await attest(signer, mandate())
        with pytest.raises(GuardRefusal, match="conflicting digest"):
            await commit(signer, mandate(b"other acts"), sharing)
        await commit(signer, made, sharing)
        with pytest.raises(GuardRefusal, match="already committed"):
            await commit(signer, made, sharing)


@pytest.mark.asyncio
async def test_a_mandate_is_signed_by_the_key_of_its_tier_network_and_epoch_alone(
    open_holder: OpenSigner, sharing: Sharing, mandate: MakeMandate
) -> None:
    async with open_holder() as signer:
        made = await attest(signer, mandate())
        later = await attest(signer, replace(mandate(), key_epoch=2))
        foreign = await attest(
            signer, replace(mandate(), network=NetworkId(bytes(32)), decision_id=keccak256(b"foreign"))
        )

        async def with_key(wanted: Mandate, key_id: Digest) -> None:
            await signer.commit(wanted.decision_id, wanted.key_epoch, wanted, key_id, COORDINATORS)

        fast, full = sharing.key(Tier.FAST).key_id, sharing.key(Tier.FULL).key_id
        for wanted, key_id in ((made, full), (later, fast), (foreign, fast)):
            with pytest.raises(GuardRefusal, match="wrong key"):
                await with_key(wanted, key_id)
        with pytest.raises(GuardRefusal, match="unknown key"):
            await with_key(made, Digest(bytes(32)))
        await with_key(made, fast)


def swapped(request: SigningRequest, mine: SignerCommitment) -> SigningRequest:
    lines = [mine if each.signer == mine.signer else each for each in request.commitments]
    return replace(request, commitments=tuple(lines))


@pytest.mark.asyncio
async def test_a_request_that_is_not_in_order_is_refused_and_spends_nothing(
    open_holder: OpenSigner, sharing: Sharing, others: Others, mandate: MakeMandate
) -> None:
    async with open_holder() as signer:
        made = await attest(signer, mandate())
        other = await attest(signer, replace(mandate(), decision_id=keccak256(b"other")))
        said, elsewhere = await commit(signer, made, sharing), await commit(signer, other, sharing)
        mine = line(signer, said)
        good = others.request(mandate_digest(made), mine)
        theirs = next(each for each in good.commitments if each.signer != signer.identity)
        stranger = replace(theirs, signer=Identity(b"\xff" * 32))
        pair = [mine, stranger] if mine.signer < stranger.signer else [stranger, mine]

        def of(*lines: SignerCommitment) -> SigningRequest:
            return replace(good, commitments=lines)

        def bent(**points: bytes) -> SigningRequest:
            return swapped(good, replace(theirs, open=replace(theirs.open, **points)))

        lies: list[tuple[SigningRequest, str]] = [
            (of(*reversed(good.commitments)), "malformed request: .*expected signers in ascending order"),
            (of(mine, mine), "malformed request: .*expected signers in ascending order"),
            (of(mine), "malformed request: .*expected 2 signers, got 1"),
            (
                of(*sorted([*others.lines(2), mine], key=lambda each: each.signer)),
                "expected 2 signers, got 3",
            ),
            (of(*others.lines(2)), "malformed request: expected us among the signers"),
            (of(*pair), "malformed request: .*expected holders"),
            (bent(hiding=b"\x05" + theirs.open.hiding[1:]), "malformed request: .*expected a point"),
            (bent(binding=bytes(33)), "malformed request: .*expected a point"),
            (bent(binding=b""), "malformed request: .*expected a point"),
            (swapped(good, line(signer, said, CAROL)), "commitment not open"),
            (swapped(good, line(signer, elsewhere)), "commitment not open"),
            (swapped(good, replace(mine, boot=mine.boot + 1)), "commitment not open"),
            (swapped(good, replace(mine, open=replace(mine.open, seq=99))), "commitment not open"),
            (swapped(good, replace(mine, open=replace(mine.open, hiding=theirs.open.hiding))), "not open"),
            (replace(good, digest=Digest(keccak256(b"never attested"))), "unknown digest"),
            (replace(good, key_id=sharing.key(Tier.FULL).key_id), "unknown digest"),
            (replace(good, key_id=Digest(bytes(32))), "unknown key"),
            (replace(good, digest=mandate_digest(other)), "commitment not open"),
        ]
        for lie, words in lies:
            with pytest.raises(GuardRefusal, match=words):
                await signer.sign_share(lie, BOB)
        for coordinator in (DAVE, signer.identity, Identity(bytes(32))):
            with pytest.raises(GuardRefusal, match="foreign coordinator"):
                await signer.sign_share(good, coordinator)
        with pytest.raises(GuardRefusal, match="commitment not open"):
            await signer.sign_share(good, CAROL)

        others.finish(good, await signer.sign_share(good, BOB))


@pytest.mark.asyncio
async def test_a_request_that_comes_again_is_refused(
    open_holder: OpenSigner, sharing: Sharing, others: Others, mandate: MakeMandate
) -> None:
    async with open_holder() as signer:
        made = await attest(signer, mandate())
        request = others.request(mandate_digest(made), line(signer, await commit(signer, made, sharing)))
        await signer.sign_share(request, BOB)

        with pytest.raises(GuardRefusal, match="commitment not open"):
            await signer.sign_share(request, BOB)


@pytest.mark.asyncio
async def test_of_two_requests_that_race_for_a_pair_of_nonces_one_is_answered(
    open_holder: OpenSigner, sharing: Sharing, others: Others, mandate: MakeMandate
) -> None:
    async with open_holder() as signer:
        made = await attest(signer, mandate())
        mine = line(signer, await commit(signer, made, sharing))
        requests = [others.request(mandate_digest(made), mine) for _ in range(8)]

        outcomes = await asyncio.gather(  # noqa: TID251 - to see every outcome
            *(signer.sign_share(request, BOB) for request in requests), return_exceptions=True
        )

    assert [type(outcome) for outcome in outcomes].count(SignatureShare) == 1
    assert {each.reason for each in outcomes if isinstance(each, GuardRefusal)} == {"commitment not open"}


@pytest.mark.asyncio
async def test_only_so_many_digests_stay_open_and_the_oldest_goes(
    open_holder: OpenSigner, sharing: Sharing, others: Others, mandate: MakeMandate
) -> None:
    async with open_holder() as signer:
        await signer.release_guard()
        made = []
        for number in range(MAX_OPEN + 1):
            each = replace(mandate(), decision_id=keccak256(b"decision %d" % number))
            await signer.sign_mandate(each.decision_id, each.key_epoch, each)
            made.append((each, await commit(signer, each, sharing)))

        (first, said), (last, said_last) = made[0], made[-1]
        with pytest.raises(GuardRefusal, match="unknown digest"):
            await signer.sign_share(others.request(mandate_digest(first), line(signer, said)), BOB)
        await signer.sign_share(others.request(mandate_digest(last), line(signer, said_last)), BOB)


@pytest.mark.asyncio
async def test_possession_of_each_own_group_key_is_signed_and_nothing_else_with_those_nonces(
    open_holder: OpenSigner, sharing: Sharing, keys: PublicKeys, mandate: MakeMandate
) -> None:
    async with open_holder() as signer:
        key_id = sharing.key(Tier.FULL).key_id
        with pytest.raises(GuardRefusal, match="not yet released"):
            await signer.commit_possession(key_id, COORDINATORS)
        await signer.release_guard()
        for tier in Tier:
            key, others = sharing.key(tier), Others(sharing, keys.identity, tier)
            digest = key_proof_digest(sharing.document.network, 1, tier, key.key)
            said = await signer.commit_possession(key.key_id, COORDINATORS)
            assert said.digest == digest
            request = others.request(digest, line(signer, said))
            with pytest.raises(GuardRefusal, match="unknown digest"):
                await signer.sign_share(replace(request, digest=mandate_digest(mandate())), BOB)
            others.finish(request, await signer.sign_share(request, BOB))
        with pytest.raises(GuardRefusal, match="unknown key"):
            await signer.commit_possession(Digest(bytes(32)), COORDINATORS)


@pytest.mark.asyncio
async def test_who_holds_no_share_commits_to_nothing_and_attests_all_the_same(
    open_node_signer: OpenSigner, sharing: Sharing, mandate: MakeMandate
) -> None:
    async with open_node_signer() as signer:
        made = await attest(signer, mandate())
        with pytest.raises(GuardRefusal, match="unknown key"):
            await commit(signer, made, sharing)
        assert signer.held_keys() == ()


@pytest.mark.asyncio
async def test_messages_of_sessions_are_not_said_before_the_release(
    open_holder: OpenSigner, payload: Callable[..., bytes]
) -> None:
    opened = OpenCommitment(1, SECP256K1.base(2), SECP256K1.base(3))
    digest = Digest(bytes(32))
    messages: list[Message] = [
        Commitments(digest, digest, 1, {BOB: opened}),
        SigningRequest(
            digest, digest, tuple(SignerCommitment(each, 1, opened) for each in sorted(COORDINATORS))
        ),
        SignatureShare(digest, digest, BOB, digest, bytes(32), 1, None),
    ]

    async with open_holder() as signer:
        for message in messages:
            with pytest.raises(GuardRefusal, match="not yet released"):
                await signer.sign_envelope(payload(message))
        await signer.release_guard()
        for message in messages:
            assert await signer.sign_envelope(payload(message))


@pytest.mark.asyncio
async def test_no_secret_shows_itself(
    open_holder: OpenSigner, sharing: Sharing, keys: PublicKeys, mandate: MakeMandate
) -> None:
    async with open_holder() as signer:
        made = await attest(signer, mandate())
        said = await commit(signer, made, sharing)
        sessions = signer._sessions
        purpose = sessions._vault.find(said.digest, said.key_id)
        assert purpose is not None
        nonces = sessions._vault.take(purpose, BOB)
        held = sessions._keys.get(said.key_id)
        shown = f"{sessions!r} {sessions._vault!r} {held!r} {nonces!r} {signer!r} {signer._shares!r}"

    for secret in (*sharing.of(keys.identity).values(), nonces.hiding, nonces.binding):
        assert str(secret) not in shown
    assert isinstance(nonces, frost.Nonces)
