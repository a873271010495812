"""The next keys of a verifier: brought by the submitter once, simulated first; and what they sign then."""

from dataclasses import replace
from random import Random

import coincurve
import pytest

from adapters.evm import adapter
from adapters.evm.rotating import is_announced
from adapters.evm.rotations import rotation_digest
from adapters.evm.rpc import Rpc
from adapters.evm.verifiers import read_verifier
from proofs.mandate import Tier, encode_frost_certificate, key_proof_digest
from relay.core.errors import EndpointUnavailable
from relay.core.ports import EffectSeen, SubmissionStatus
from relay.core.rotations import GroupKey, GroupKeys, Rotate, Rotation
from relay.threshold.groups import SECP256K1
from tests.adapters.evm.door import NETWORK, Key, address_of, build_door
from tests.threshold.shares import share_out, sign

DELAY_S, OVERLAP_S = 86_400, 21_600
THRESHOLDS = {Tier.FAST: 2, Tier.FULL: 3}


class Groups:
    """Both groups of a key epoch, shared among four holders."""

    def __init__(self, key_epoch):
        self.random = Random(key_epoch)
        self.shared = {tier: share_out(SECP256K1, THRESHOLDS[tier], 4, self.random) for tier in Tier}
        self.keys = GroupKeys(*(self._shown(tier, key_epoch) for tier in (Tier.FAST, Tier.FULL)))

    def _shown(self, tier, key_epoch):
        key = self.shared[tier].key
        return GroupKey(key, self.certificate(tier, key_proof_digest(NETWORK, key_epoch, tier, key)))

    def certificate(self, tier, digest):
        """By as many holders as must, drawn by chance."""
        signers = self.random.sample(range(1, 5), THRESHOLDS[tier])
        return encode_frost_certificate(sign(self.shared[tier], signers, digest, self.random).signature)


FIRST, SECOND = Groups(1), Groups(2)


async def rotation_of(door, groups, **changes):
    attesters = tuple(sorted(address_of(coincurve.PrivateKey(bytes([7 + n]) * 32)) for n in range(4)))
    now = (await door.bench.endpoint.head()).block.timestamp
    rotation = Rotation(
        chain=door.bench.anvil.chain,
        verifier=adapter().gateway_address(door.verifier),
        network=NETWORK,
        new_epoch=2,
        attesters=attesters,
        groups=None if groups is None else groups.keys,
        fast=2,
        full=3,
        not_before=now - 60,
        not_after=now + 7 * 86_400,
        revoke_previous=False,
    )
    return replace(rotation, **changes)


async def rotate_of(door, groups, signers=3, sign=None, **changes):
    """A rotation to these groups, by `signers` attesters or by `sign`."""
    rotation = await rotation_of(door, groups, **changes)
    digest = rotation_digest(rotation)
    certificate = door.certificate(digest, signers) if sign is None else sign(digest)
    return Rotate(rotation, groups, certificate)


def by(groups, tier):
    """What signs a digest by the group of a tier."""
    return lambda digest: groups.certificate(tier, digest)


async def pass_time(door, seconds):
    newest = (await door.bench.endpoint.head()).block.timestamp
    await door.bench.anvil.mine(timestamp=newest + seconds)


@pytest.mark.asyncio
async def test_a_rotation_lands_once_and_whoever_comes_later_is_needless(bench):
    door = await build_door(bench, groups=FIRST.keys)
    call = await rotate_of(door, SECOND.keys)

    landed = await door.submit_automined(call)
    door.key = Key()
    again = await door.submit_automined(call)
    await pass_time(door, DELAY_S)
    in_force = await door.submit_automined(call)

    assert landed.status is SubmissionStatus.LANDED, landed
    assert (landed.effect, landed.attempts) == (EffectSeen.CONFIRMED, 1)
    for later in (again, in_force):
        assert (later.status, later.reason, later.attempts) == (
            SubmissionStatus.NEEDLESS, "already announced", 0
        )  # fmt: skip


@pytest.mark.asyncio
async def test_one_endpoint_s_word_does_not_make_a_rotation_needless(bench):
    door = await build_door(bench, groups=FIRST.keys)
    call = await rotate_of(door, SECOND.keys)

    class Answers:
        """As many endpoints of two that must agree as say that it is announced."""

        need = 2

        def __init__(self, agreeing):
            self.agreeing = agreeing

        async def agreed(self, question):
            return (True, self.agreeing) if self.agreeing else None

    assert [await is_announced(Answers(number), call) for number in (0, 1, 2)] == [False, False, True]


@pytest.mark.asyncio
async def test_an_endpoint_of_another_chain_has_no_word_on_a_verifier(bench):
    door = await build_door(bench, groups=FIRST.keys)
    endpoint = bench.settings.endpoints[0]

    async with Rpc(bench.anvil.chain, endpoint, 2_000) as right, Rpc("eip155:1", endpoint, 2_000) as wrong:
        assert (await read_verifier(right, door.act.gateway)).newest.key_epoch == 1
        with pytest.raises(EndpointUnavailable, match="another chain"):
            await read_verifier(wrong, door.act.gateway)


@pytest.mark.asyncio
async def test_another_rotation_than_the_pending_one_is_refused_by_name(bench):
    door = await build_door(bench, groups=FIRST.keys)
    await door.submit_automined(await rotate_of(door, SECOND.keys))

    others = [
        await rotate_of(door, None),
        await rotate_of(door, SECOND.keys, full=4),
        await rotate_of(door, SECOND.keys, attesters=tuple(bytes([n]) * 20 for n in range(1, 5))),
    ]

    for other in others:
        submission = await door.submit_automined(other)
        assert (submission.status, submission.reason) == (SubmissionStatus.REFUSED, "RotationPending")


@pytest.mark.asyncio
async def test_what_the_verifier_refuses_costs_nothing_and_is_named(bench):
    door = await build_door(bench, groups=FIRST.keys)
    stolen = replace(SECOND.keys, full=FIRST.keys.full)
    wrong = [
        (await rotate_of(door, SECOND.keys, signers=2), "CertificateRefused"),
        (await rotate_of(door, SECOND.keys, sign=by(FIRST, Tier.FAST)), "CertificateRefused"),
        (await rotate_of(door, SECOND.keys, sign=by(SECOND, Tier.FULL)), "CertificateRefused"),
        (await rotate_of(door, stolen), "GroupKeyNotPossessed"),
        (await rotate_of(door, SECOND.keys, new_epoch=3), "WrongEpoch"),
        (await rotate_of(door, SECOND.keys, network=b"\x09" * 32), "WrongNetwork"),
        (replace(await rotate_of(door, SECOND.keys), groups=None), "WrongGroupKeys"),
    ]  # fmt: skip

    for call, reason in wrong:
        submission = await door.submit_automined(call)
        assert (submission.status, submission.reason) == (SubmissionStatus.REFUSED, reason)
        assert submission.tx is None


@pytest.mark.asyncio
async def test_holders_hand_over_by_their_group_and_both_epochs_protect_during_the_overlap(bench):
    """From shares to the gateway: possession, mandate and rotation, each signed by threshold holders."""
    door = await build_door(bench, groups=FIRST.keys)
    call = await rotate_of(door, SECOND.keys, sign=by(FIRST, Tier.FULL))

    assert (await door.submit_automined(call)).status is SubmissionStatus.LANDED
    early = await door.protect(b"\x04" * 32, key_epoch=2, sign=by(SECOND, Tier.FAST))
    assert (await door.submit_automined(early)).reason == "CertificateRefused"
    await pass_time(door, DELAY_S)
    for key_epoch, groups in ((2, SECOND), (1, FIRST)):
        protect = await door.protect(
            bytes([key_epoch]) * 32,
            key_epoch,
            sign=by(groups, Tier.FAST),
        )
        submission = await door.submit_automined(protect)
        assert submission.status is SubmissionStatus.LANDED, submission
        assert submission.effect is EffectSeen.CONFIRMED
        await pass_time(door, 3_601)
        await door.call("0x" + door.act.gateway[12:].hex(), "expire", ("bytes32",), door.act.act_id)
    await pass_time(door, OVERLAP_S)
    late = await door.protect(b"\x05" * 32, sign=by(FIRST, Tier.FAST))
    assert (await door.submit_automined(late)).reason == "CertificateRefused"


@pytest.mark.asyncio
async def test_the_second_certificate_of_one_mandate_is_needless(bench):
    door = await build_door(bench, groups=FIRST.keys)
    by_list = await door.protect()
    by_group = await door.protect(sign=by(FIRST, Tier.FAST))
    assert by_list.mandate == by_group.mandate

    first = await door.submit_automined(by_group)
    door.key = Key()
    second = await door.submit_automined(by_list)

    assert (first.status, first.effect) == (SubmissionStatus.LANDED, EffectSeen.CONFIRMED)
    assert second.status is SubmissionStatus.NEEDLESS
