"""The signer from outside: right signatures, and none that contradict what its guard holds."""

import asyncio
import os
import signal
import subprocess
import sys
import threading
from collections.abc import Callable
from contextlib import AbstractAsyncContextManager
from dataclasses import replace
from pathlib import Path

import coincurve
import pytest
from nacl.signing import VerifyKey

from proofs.checkpoint import Checkpoint, checkpoint_text
from proofs.decision import Decision
from proofs.envelope import assemble_envelope, open_envelope
from proofs.hashes import keccak256
from proofs.mandate import Mandate, mandate_digest, recover_address
from proofs.tree import EMPTY_ROOT
from relay.core.bodies import read_body
from relay.core.errors import GuardRefusal, KeyFileError
from relay.core.messages import Attestation, Message, Recall, Signal
from relay.core.types import Digest, Identity, PlanHash
from relay.disk import CommitPoint
from relay.keys import Guard, LocalSigner, PublicKeys, Secret
from relay.keys.keyring import open_keyring

OpenSigner = Callable[..., AbstractAsyncContextManager[LocalSigner]]
MakeMandate = Callable[..., Mandate]
MakeAttestation = Callable[..., Attestation]
MakePayload = Callable[..., bytes]
DecisionAt = Callable[..., Decision]
REPOSITORY = Path(__file__).parents[3]


async def sign(signer: LocalSigner, mandate: Mandate) -> bytes:
    return await signer.sign_mandate(mandate.decision_id, mandate.key_epoch, mandate)


@pytest.mark.asyncio
async def test_a_mandate_is_signed_by_the_attester_and_alike_each_time(
    open_node_signer: OpenSigner, keys: PublicKeys, mandate: MakeMandate
) -> None:
    signatures = []
    for _ in range(2):
        async with open_node_signer() as signer:
            await signer.release_guard()
            signatures += [await sign(signer, mandate()), await sign(signer, mandate())]

    assert len(set(signatures)) == 1
    assert recover_address(mandate_digest(mandate()), signatures[0]) == keys.attester


@pytest.mark.asyncio
async def test_signatures_are_in_the_form_that_gateways_take(
    open_node_signer: OpenSigner, keys: PublicKeys, mandate: MakeMandate, decision_at: DecisionAt
) -> None:
    async with open_node_signer() as signer:
        await signer.release_guard()
        for number in range(40):
            made = mandate(decision=decision_at(number))
            # Refuses a high s, and v other than 27 or 28.
            assert recover_address(mandate_digest(made), await sign(signer, made)) == keys.attester


@pytest.mark.asyncio
async def test_a_second_mandate_for_a_decision_is_not_signed(
    open_node_signer: OpenSigner, mandate: MakeMandate
) -> None:
    async with open_node_signer() as signer:
        await signer.release_guard()
        await sign(signer, mandate())

        with pytest.raises(GuardRefusal, match="conflicting digest"):
            await sign(signer, mandate(b"other acts"))


@pytest.mark.asyncio
async def test_a_mandate_under_a_false_name_is_not_signed(
    open_node_signer: OpenSigner, mandate: MakeMandate, decision_at: DecisionAt
) -> None:
    """Else a caller could have two mandates of one decision signed, each under an id of its own."""
    made, other = mandate(), mandate(decision=decision_at(9))

    async with open_node_signer() as signer:
        await signer.release_guard()
        with pytest.raises(GuardRefusal, match="foreign mandate"):
            await signer.sign_mandate(other.decision_id, made.key_epoch, made)
        with pytest.raises(GuardRefusal, match="foreign mandate"):
            await signer.sign_mandate(made.decision_id, made.key_epoch + 1, made)


@pytest.mark.asyncio
async def test_a_time_that_the_disk_cannot_hold_is_refused_and_harms_nobody(
    open_node_signer: OpenSigner, mandate: MakeMandate
) -> None:
    far = replace(mandate(), not_before=1 << 63, not_after=1 << 63)

    async with open_node_signer() as signer:
        await signer.release_guard()
        with pytest.raises(GuardRefusal, match="foreign mandate: expected a time up to"):
            await sign(signer, far)
        assert await sign(signer, mandate())


@pytest.mark.asyncio
async def test_before_the_release_only_what_cannot_contradict_is_signed(
    open_node_signer: OpenSigner, mandate: MakeMandate, attestation: MakeAttestation, payload: MakePayload
) -> None:
    async with open_node_signer() as signer:
        for refused in (sign(signer, mandate()), signer.sign_envelope(payload(attestation(None)))):
            with pytest.raises(GuardRefusal, match="not yet released"):
                await refused

        assert await signer.sign_envelope(payload(Recall(boot=1, instance=bytes(16), nonce=bytes(16))))
        await signer.release_guard()
        assert await signer.sign_envelope(payload(attestation(None)))


@pytest.mark.asyncio
async def test_an_envelope_opens_for_its_receivers(
    open_node_signer: OpenSigner, keys: PublicKeys, payload: MakePayload
) -> None:
    signal_seen = Signal(PlanHash(bytes(32)), "unbacked", Digest(bytes(32)))

    async with open_node_signer() as signer:
        said = payload(signal_seen)
        envelope = open_envelope(assemble_envelope(said, await signer.sign_envelope(said)))

    assert (envelope.author, read_body(envelope.kind, envelope.body)) == (keys.identity, signal_seen)


@pytest.mark.asyncio
async def test_an_attestation_that_the_guard_does_not_hold_is_not_signed(
    open_node_signer: OpenSigner,
    mandate: MakeMandate,
    attestation: MakeAttestation,
    payload: MakePayload,
    decision_at: DecisionAt,
) -> None:
    async with open_node_signer() as signer:
        await signer.release_guard()
        with pytest.raises(GuardRefusal, match="unknown digest"):
            await signer.sign_envelope(payload(attestation(mandate())))
        await sign(signer, mandate())

        with pytest.raises(GuardRefusal, match="conflicting digest"):
            await signer.sign_envelope(payload(attestation(mandate(b"other acts"))))
        with pytest.raises(GuardRefusal, match="unknown digest"):
            await signer.sign_envelope(payload(attestation(mandate(), decision=decision_at(9))))
        with pytest.raises(GuardRefusal, match="unknown digest"):
            await signer.sign_envelope(payload(attestation(mandate(), decision=decision_at(9, key_epoch=2))))
        assert await signer.sign_envelope(payload(attestation(mandate())))


@pytest.mark.asyncio
async def test_what_no_receiver_would_read_alike_is_not_signed(
    open_node_signer: OpenSigner, payload: MakePayload
) -> None:
    good = payload(Recall(boot=1, instance=bytes(16), nonce=bytes(16)))
    stranger = Identity(bytes(32))

    async with open_node_signer() as signer:
        for malformed in (
            b"",
            b"\x80",
            good[:-1],
            good + b"\xc0",
            good.replace(b"recall", b"recipe"),
            b"x" * 70_000,
        ):
            with pytest.raises(GuardRefusal, match="malformed payload"):
                await signer.sign_envelope(malformed)
        with pytest.raises(GuardRefusal, match="foreign author"):
            await signer.sign_envelope(payload(Recall(boot=1, instance=bytes(16), nonce=bytes(16)), stranger))


@pytest.mark.asyncio
async def test_one_write_signs_a_mandate_and_its_attestation(
    open_node_signer: OpenSigner,
    keys: PublicKeys,
    mandate: MakeMandate,
    attestation: MakeAttestation,
    payload: MakePayload,
) -> None:
    made, steps = mandate(), list[str]()

    async with open_node_signer(probe=steps.append) as signer:
        await signer.release_guard()
        steps.clear()
        said, signature = await signer.sign_attestation(
            made.decision_id, made.key_epoch, made, lambda ecdsa: payload(attestation(made, signature=ecdsa))
        )

        assert steps.count(CommitPoint.AFTER) == 1
        assert await signer.sign_envelope(said) == signature
    envelope = open_envelope(assemble_envelope(said, signature))
    body = read_body(envelope.kind, envelope.body)
    assert isinstance(body, Attestation)
    assert body.signature is not None
    assert recover_address(mandate_digest(made), body.signature) == keys.attester


@pytest.mark.asyncio
async def test_an_attestation_of_anything_but_its_mandate_is_not_signed(
    open_node_signer: OpenSigner,
    mandate: MakeMandate,
    attestation: MakeAttestation,
    payload: MakePayload,
    decision_at: DecisionAt,
) -> None:
    made = mandate()
    lies: list[tuple[Message, str]] = [
        (attestation(mandate(b"other acts")), "conflicting digest"),
        (attestation(made, decision=decision_at(9)), "conflicting digest"),
        (attestation(None), "malformed payload"),
        (Recall(boot=1, instance=bytes(16), nonce=bytes(16)), "malformed payload"),
    ]

    def said(lie: Message) -> Callable[[bytes], bytes]:
        return lambda _: payload(lie)

    async with open_node_signer() as signer:
        await signer.release_guard()
        for lie, reason in lies:
            with pytest.raises(GuardRefusal, match=reason):
                await signer.sign_attestation(made.decision_id, made.key_epoch, made, said(lie))


@pytest.mark.asyncio
async def test_many_attestations_at_once_share_their_commits(
    open_node_signer: OpenSigner, mandate: MakeMandate, decision_at: DecisionAt
) -> None:
    commits: list[str] = []
    all_wait = threading.Event()
    all_wait.set()

    def probe(step: str) -> None:
        assert all_wait.wait(timeout=30)
        commits.extend([step] * (step == CommitPoint.AFTER))

    async with open_node_signer(probe=probe) as signer:
        await signer.release_guard()
        commits.clear()
        all_wait.clear()
        async with asyncio.TaskGroup() as group:
            for number in range(200):
                group.create_task(sign(signer, mandate(decision=decision_at(number))))
            await asyncio.sleep(0)  # each has come to its write
            all_wait.set()

    # The first may be alone in its commit; all others waited behind it.
    assert len(commits) <= 2


@pytest.mark.asyncio
async def test_the_log_key_signs_checkpoints_and_nothing_else(
    open_node_signer: OpenSigner, keys: PublicKeys
) -> None:
    body = checkpoint_text(Checkpoint("net/alice", 0, EMPTY_ROOT)).encode()

    async with open_node_signer() as signer:
        VerifyKey(keys.log).verify(body, await signer.sign_checkpoint(body))
        cosigned = await signer.cosign(body, 1_700_000_000)
        VerifyKey(keys.cosigner).verify(b"cosignature/v1\ntime 1700000000\n" + body, cosigned)
        assert signer.log_key == keys.log
        for other in (b"", b"cosignature/v1\ntime 5\n" + body, body + b"more\n", b"\xff\n0\n\n"):
            with pytest.raises(GuardRefusal, match="malformed payload"):
                await signer.sign_checkpoint(other)
            with pytest.raises(GuardRefusal, match="malformed payload"):
                await signer.cosign(other, 1_700_000_000)


@pytest.mark.asyncio
async def test_a_committee_document_is_signed_under_its_own_tag(
    open_node_signer: OpenSigner, keys: PublicKeys
) -> None:
    async with open_node_signer() as signer:
        signature = await signer.sign_committee(b"document")

    VerifyKey(keys.identity).verify(b"tocsin/committee-signature/1\ndocument", signature)


@pytest.mark.asyncio
async def test_a_transaction_is_signed_by_the_submitter(
    open_node_signer: OpenSigner, keys: PublicKeys
) -> None:
    digest = keccak256(b"transaction")

    async with open_node_signer() as signer:
        signature = await signer.sign_transaction(digest)
        assert signer.submitter == keys.submitters["default"] != signer.attester

    assert signature[64] in (0, 1)
    public = coincurve.PublicKey.from_signature_and_message(signature, digest, hasher=None)
    assert keccak256(public.format(compressed=False)[1:])[12:] == keys.submitters["default"]


@pytest.mark.asyncio
async def test_a_signer_with_a_wrong_passphrase_does_not_open(open_node_signer: OpenSigner) -> None:
    with pytest.raises(KeyFileError, match=r"identity\.key: expected the passphrase"):
        async with open_node_signer(passphrase=Secret(b"wrong")):
            pass


CHILD = """
import asyncio, os, signal, sys
from pathlib import Path
from relay.keys import Guard, Statement

left = int(sys.argv[3])

def kill(step):
    global left
    left -= step == sys.argv[2]
    if left == 0:
        os.kill(os.getpid(), signal.SIGKILL)

async def main():
    async with Guard.open(Path(sys.argv[1]), probe=kill) as guard:
        await guard.release()
        for number in range(10):
            await guard.permit(Statement(bytes([number]) * 32, 1, b"d" * 32, 5))
            print(number, flush=True)

asyncio.run(main())
"""


@pytest.mark.parametrize(("point", "stored"), [(CommitPoint.BEFORE, 3), (CommitPoint.AFTER, 4)])
@pytest.mark.asyncio
async def test_a_killed_signer_has_stored_its_last_statement_or_not(
    tmp_path: Path, point: CommitPoint, stored: int
) -> None:
    path = tmp_path / "guard.sqlite"
    command = [sys.executable, "-c", CHILD, str(path), point, "4"]
    environment = {**os.environ, "PYTHONPATH": str(REPOSITORY)}

    result = await asyncio.to_thread(
        subprocess.run, command, env=environment, capture_output=True, text=True, timeout=60, check=False
    )

    assert result.returncode == -signal.SIGKILL, result.stderr
    assert result.stdout.split() == ["0", "1", "2"]
    async with Guard.open(path) as guard:
        held = [await guard.holds(bytes([number]) * 32, 1) is not None for number in range(10)]  # type: ignore[arg-type]
    assert held == [True] * stored + [False] * (10 - stored)


def test_a_keyring_does_not_show_itself(open_node_signer: OpenSigner, tmp_path: Path) -> None:
    keyring = open_keyring(tmp_path / "keys", Secret(b"correct horse"))

    assert repr(keyring) == "Keyring(…)"
    assert repr(replace(keyring)) == "Keyring(…)"
