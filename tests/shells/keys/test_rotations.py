"""Rotations that the attester key signs: one to an epoch at a time, whatever is asked (threshold SPEC 5)."""

from collections.abc import Callable
from contextlib import AbstractAsyncContextManager

import pytest

from proofs.envelope import assemble_envelope, open_envelope
from proofs.hashes import keccak256
from proofs.mandate import Mandate, recover_address, typed_digest
from relay.core.bodies import read_body
from relay.core.errors import GuardRefusal
from relay.core.messages import Message, RotationSigned
from relay.core.rotations import ROTATION_TYPE, STRUCT_BYTES, struct_digest
from relay.core.types import Caip2, Gateway, Seconds
from relay.keys import LocalSigner, PublicKeys
from tests.shells.keys.conftest import NETWORK

OpenSigner = Callable[..., AbstractAsyncContextManager[LocalSigner]]
MakePayload = Callable[..., bytes]
VERIFIER = Gateway(bytes(31) + b"v")


def struct(
    *,
    place: bytes = VERIFIER,
    epoch: int = 2,
    keys: bytes = b"keys",
    not_before: int = 1_000,
    not_after: int = 2_000,
    network: bytes = NETWORK,
) -> bytes:
    words = [network, (1).to_bytes(32, "big"), place, epoch.to_bytes(32, "big"), keccak256(keys), bytes(32)]
    words += [number.to_bytes(32, "big") for number in (2, 3, not_before, not_after, 0)]
    return b"".join(words)


@pytest.fixture
def sign(payload: MakePayload) -> Callable[..., object]:
    """Sign a rotation, in a message that carries it or what the test says."""

    async def signed(signer: LocalSigner, rotation: bytes, said: bytes | None = None) -> tuple[bytes, bytes]:
        def make(signature: bytes) -> bytes:
            carried = rotation if said is None else said
            return payload(RotationSigned(Caip2("eip155:1"), VERIFIER, carried, signature))

        return await signer.sign_rotation(rotation, make)

    return signed


@pytest.mark.asyncio
async def test_a_rotation_is_signed_by_the_attester_key_within_the_author_s_envelope(
    open_node_signer: OpenSigner, keys: PublicKeys, sign: Callable[..., object]
) -> None:
    async with open_node_signer() as signer:
        await signer.release_guard()

        made, signature = await sign(signer, struct())

    envelope = open_envelope(assemble_envelope(made, signature))
    message: Message = read_body(envelope.kind, envelope.body)
    assert isinstance(message, RotationSigned)
    assert envelope.author == keys.identity
    assert message.rotation == struct()
    assert recover_address(struct_digest(struct()), message.signature) == keys.attester


@pytest.mark.asyncio
@pytest.mark.parametrize(
    "second",
    [
        {"keys": b"other keys"},
        {"not_after": 3_000},
        {"not_before": 2_000, "not_after": 4_000},
        {"not_before": 0, "not_after": 500},
    ],
    ids=["other keys", "longer", "from the last second on", "earlier"],
)
async def test_no_second_rotation_to_an_epoch_is_signed_while_the_first_may_land(
    open_node_signer: OpenSigner, sign: Callable[..., object], second: dict[str, object]
) -> None:
    async with open_node_signer() as signer:
        await signer.release_guard()
        await sign(signer, struct())
    async with open_node_signer() as signer:
        await signer.release_guard()

        with pytest.raises(GuardRefusal, match="conflicting digest"):
            await sign(signer, struct(**second))

        assert (await sign(signer, struct()))[0]


@pytest.mark.asyncio
async def test_when_the_first_is_over_another_is_signed_and_then_that_one_stands(
    open_node_signer: OpenSigner, sign: Callable[..., object]
) -> None:
    later = {"not_before": 2_001, "not_after": 3_000}
    async with open_node_signer() as signer:
        await signer.release_guard()
        await sign(signer, struct())
        await sign(signer, struct(keys=b"other keys", **later))

        for refused in (struct(keys=b"third", **later), struct(keys=b"third")):
            with pytest.raises(GuardRefusal, match="conflicting digest"):
                await sign(signer, refused)
        await sign(signer, struct())


@pytest.mark.asyncio
async def test_other_verifiers_and_other_epochs_are_other_rotations(
    open_node_signer: OpenSigner, sign: Callable[..., object]
) -> None:
    async with open_node_signer() as signer:
        await signer.release_guard()
        await sign(signer, struct())
        await sign(signer, struct(place=Gateway(bytes(31) + b"w")))
        await sign(signer, struct(epoch=3))


@pytest.mark.asyncio
async def test_nothing_is_signed_before_the_peers_have_answered_nor_from_before_a_restore(
    open_node_signer: OpenSigner, sign: Callable[..., object]
) -> None:
    async with open_node_signer() as signer:
        with pytest.raises(GuardRefusal, match="not yet released"):
            await sign(signer, struct())
        await signer.release_guard()
        await signer.guard.set_watermark(Seconds(1_001))

        with pytest.raises(GuardRefusal, match="older than the watermark"):
            await sign(signer, struct())
        await sign(signer, struct(not_before=1_001))


@pytest.mark.asyncio
async def test_what_is_no_rotation_or_not_this_one_is_not_signed(
    open_node_signer: OpenSigner, sign: Callable[..., object]
) -> None:
    async with open_node_signer() as signer:
        await signer.release_guard()

        with pytest.raises(GuardRefusal, match="malformed payload"):
            await sign(signer, struct()[:-1])
        with pytest.raises(GuardRefusal, match="malformed payload"):
            await sign(signer, struct(not_after=1 << 64))
        with pytest.raises(GuardRefusal, match="conflicting digest"):
            await sign(signer, struct(epoch=4), struct(epoch=5))
        with pytest.raises(GuardRefusal, match="conflicting digest"):
            await sign(signer, struct(epoch=6, network=bytes(32)))


@pytest.mark.asyncio
async def test_no_rotation_s_bytes_give_the_digest_of_a_mandate(
    mandate: Callable[..., Mandate], open_node_signer: OpenSigner, sign: Callable[..., object]
) -> None:
    """The type stands before the words, so whoever chooses all words chooses no other type."""
    async with open_node_signer() as signer:
        await signer.release_guard()
        with pytest.raises(GuardRefusal, match="malformed payload"):
            await sign(signer, ROTATION_TYPE + struct())
    assert struct_digest(struct()) == typed_digest(ROTATION_TYPE + struct())
    assert len(struct()) == STRUCT_BYTES
