"""A member's keys, sealed as cheaply as the format allows, and what they are asked to sign."""

from collections.abc import Callable, Mapping
from contextlib import AbstractAsyncContextManager
from dataclasses import replace
from functools import partial
from pathlib import Path

import pytest

from proofs.canonical import Value
from proofs.decision import Decision, decision_id
from proofs.envelope import PayloadFields, build_payload
from proofs.hashes import keccak256
from proofs.kinds import Digest, Millis, NetworkId, PlanHash
from proofs.mandate import Mandate, Op, Tier, mandate_digest
from relay.core.bodies import body_of
from relay.core.messages import KIND, Attestation, Message, Verdict
from relay.core.types import BlockRef, Caip2, Identity
from relay.keys import KdfCost, LocalSigner, PublicKeys, Secret, generate, open_signer
from tests.shells.keys.sharing import BOB, CAROL, DAVE, Others, Sharing, files_of, share_out

CHEAP = KdfCost(passes=1, memory_bytes=8 << 10)
PASSPHRASE = Secret(b"correct horse")
NETWORK = NetworkId(keccak256(b"network"))
ANCHOR = BlockRef(chain=Caip2("eip155:1"), hash=keccak256(b"anchor"), number=7, timestamp=1_000_000)
DECISION = Decision(
    anchor=ANCHOR,
    key_epoch=1,
    op=Op.PROTECT,
    parent=None,
    plan_hash=PlanHash(keccak256(b"plan")),
    rung=0,
    subject="unbacked",
    tier=Tier.FAST,
)
TRACE: Mapping[str, Value] = {
    "agreement": {},
    "faulted": (),
    "pins": {},
    "result": True,
    "rule": "unbacked",
    "values": {},
}
OpenSigner = Callable[..., AbstractAsyncContextManager[LocalSigner]]


@pytest.fixture
def keys(tmp_path: Path) -> PublicKeys:
    return generate(tmp_path / "keys", PASSPHRASE, cost=CHEAP)


@pytest.fixture
def open_node_signer(tmp_path: Path, keys: PublicKeys) -> OpenSigner:
    return partial(
        open_signer,
        tmp_path / "keys",
        guard_path=tmp_path / "guard" / "guard.sqlite",
        passphrase=PASSPHRASE,
    )


@pytest.fixture
def sharing(tmp_path: Path, keys: PublicKeys) -> Sharing:
    """Shares of four, ours on disk and in force."""
    made = share_out((keys.identity, BOB, CAROL, DAVE), NETWORK, thresholds={"fast": 2, "full": 3})
    files = files_of(tmp_path / "keys", PASSPHRASE)
    files.keep_shares(made.document, made.of(keys.identity))
    files.put_in_force(made.document)
    return made


@pytest.fixture
def open_holder(open_node_signer: OpenSigner, sharing: Sharing) -> OpenSigner:
    """The signer with its shares."""
    return partial(open_node_signer, documents=(sharing.document,))


@pytest.fixture
def others(sharing: Sharing, keys: PublicKeys) -> Others:
    return Others(sharing, keys.identity)


@pytest.fixture
def mandate() -> Callable[..., Mandate]:
    """A mandate of the decision; `acts` makes another digest for the same decision."""

    def make(acts: bytes = b"acts", decision: Decision = DECISION) -> Mandate:
        return Mandate(
            network=NETWORK,
            key_epoch=decision.key_epoch,
            tier=decision.tier,
            plan_hash=decision.plan_hash,
            op=decision.op,
            decision_id=decision_id(NETWORK, decision),
            acts_root=keccak256(acts),
            not_before=decision.anchor.timestamp,
            not_after=decision.anchor.timestamp + 1_800,
        )

    return make


@pytest.fixture
def payload(keys: PublicKeys) -> Callable[..., bytes]:
    """The payload of a message by the member, or by another author."""

    def make(message: Message, author: Identity = keys.identity) -> bytes:
        fields = PayloadFields(
            network=NETWORK,
            author=author,
            committee_epoch=1,
            kind=KIND[type(message)],
            at_ms=Millis(5),
            body=body_of(message),
        )
        return build_payload(fields)

    return make


@pytest.fixture
def attestation() -> Callable[..., Attestation]:
    """An attestation that attests a mandate, or, without one, an abstention."""

    def make(
        mandate: Mandate | None, decision: Decision = DECISION, signature: bytes = bytes(65)
    ) -> Attestation:
        if mandate is None:
            return Attestation(decision=decision, verdict=Verdict.ABSTAIN, trace=TRACE)
        digest = Digest(mandate_digest(mandate))
        return Attestation(
            decision=decision, verdict=Verdict.ATTEST, trace=TRACE, digest=digest, signature=signature
        )

    return make


@pytest.fixture
def decision_at() -> Callable[..., Decision]:
    """A decision anchored at block `number`, one second to a block."""

    def make(number: int, key_epoch: int = 1) -> Decision:
        timestamp = ANCHOR.timestamp + number
        anchor = replace(ANCHOR, number=number, hash=keccak256(b"block %d" % number), timestamp=timestamp)
        return replace(DECISION, anchor=anchor, key_epoch=key_epoch)

    return make
