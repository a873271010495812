"""What a bundle's receipts cost: each is asked for once, held against its outcome, and waited for so long."""

import asyncio
from collections.abc import Callable
from dataclasses import dataclass, field, replace

import pytest

from proofs.errors import ProofError
from proofs.kinds import Caip2, Digest
from proofs.mandate import mandate_digest
from proofs.receipts import ReceiptProof
from proofs.statements import OutcomeStatement
from relay.app import receipts as module
from relay.app.receipts import Claim, Receipts
from relay.core.errors import NoAgreement
from relay.core.types import BlockRef
from tests.proofs.blocks import GAS, Block, receipt, started
from tests.proofs.conftest import HOME, Town

UNTIL = 1_659_412_400


@dataclass
class Archive:
    """A chain's proofs by block; what it has not, or what fails the check, is no proof."""

    proofs: dict[Digest, ReceiptProof]
    asked: list[BlockRef] = field(default_factory=list)
    gate: asyncio.Event | None = None

    async def receipt_proof(
        self, block: BlockRef, _tx: bytes, check: Callable[[ReceiptProof], object]
    ) -> ReceiptProof:
        self.asked.append(block)
        if self.gate is not None:
            await self.gate.wait()
        if block.hash not in self.proofs:
            raise NoAgreement(block.chain, "no such block")
        try:
            check(self.proofs[block.hash])
        except ProofError as error:
            raise NoAgreement(block.chain, str(error)) from error
        return self.proofs[block.hash]


@dataclass
class Desk:
    """Claims about one act in several blocks, an archive of them, and what was said to be missing."""

    town: Town = field(default_factory=Town)
    missing: list[tuple[str, str]] = field(default_factory=list)
    archive: Archive = field(default_factory=lambda: Archive({}))

    def __post_init__(self) -> None:
        self.mandate = self.town.mandate(self.town.decide())
        self.receipts = Receipts(
            {HOME: self.archive}, lambda outcome, reason: self.missing.append((outcome.chain, reason))
        )

    def claim(self, number: int, *, until: int = UNTIL, is_kept: bool = True) -> Claim:
        leaf = self.town.leaf("halt")
        block = Block(HOME, [receipt(started(self.mandate, leaf, until))], number=number)
        if is_kept:
            self.archive.proofs[block.ref().hash] = block.proof(0)
        said = OutcomeStatement(
            decision_id=self.mandate.decision_id,
            mandate_digest=mandate_digest(self.mandate),
            chain=HOME,
            gateway=leaf.gateway,
            act_id=leaf.act_id,
            block=block.ref(),
            tx=bytes(32),
            effect="started",
            gas_used=GAS,
            until=UNTIL,
        )
        return Claim(said, self.mandate)


@pytest.fixture
def desk() -> Desk:
    return Desk()


@pytest.mark.asyncio
async def test_what_is_proved_is_asked_for_once(desk: Desk) -> None:
    claims = [desk.claim(101), desk.claim(102)]

    first = await desk.receipts.prove(claims)
    again = await desk.receipts.prove(claims[::-1])

    assert first.keys() == {claim.outcome for claim in claims}
    assert again == first
    assert len(desk.archive.asked) == 2
    assert not desk.missing


@pytest.mark.asyncio
async def test_two_bundles_at_once_ask_once(desk: Desk) -> None:
    claims = [desk.claim(101)]

    async with asyncio.TaskGroup() as group:
        tasks = [group.create_task(desk.receipts.prove(claims)) for _ in range(5)]

    assert all(len(task.result()) == 1 for task in tasks)
    assert len(desk.archive.asked) == 1


@pytest.mark.asyncio
async def test_what_cannot_be_shown_is_left_out_and_said(desk: Desk) -> None:
    right = desk.claim(101)
    elsewhere = replace(right, outcome=replace(right.outcome, chain=Caip2("eip155:9")))

    found = await desk.receipts.prove(
        [desk.claim(102, is_kept=False), desk.claim(103, until=UNTIL + 1), elsewhere, right]
    )

    assert found.keys() == {right.outcome}
    assert {reason.partition(":")[0] for _, reason in desk.missing} == {
        "no endpoint of this chain",
        "no such block",
        "receipt-until",
    }


@pytest.mark.asyncio
async def test_a_claim_that_failed_rests_before_it_is_asked_about_again(
    desk: Desk, monkeypatch: pytest.MonkeyPatch
) -> None:
    claim = desk.claim(101, is_kept=False)

    await desk.receipts.prove([claim])
    await desk.receipts.prove([claim])
    assert len(desk.archive.asked) == 1

    monkeypatch.setattr(module, "REST_S", 0.0)
    other = desk.claim(102, is_kept=False)
    await desk.receipts.prove([other])
    desk.claim(102)
    assert (await desk.receipts.prove([other])).keys() == {other.outcome}
    assert len(desk.archive.asked) == 3


@pytest.mark.asyncio
async def test_a_chain_that_is_silent_holds_a_bundle_up_so_long_only(
    desk: Desk, monkeypatch: pytest.MonkeyPatch
) -> None:
    known, silent = desk.claim(101), desk.claim(102)
    await desk.receipts.prove([known])
    desk.archive.gate = asyncio.Event()
    monkeypatch.setattr(module, "PATIENCE_S", 0.05)

    async with asyncio.timeout(5):
        found = await desk.receipts.prove([known, silent])

    assert found.keys() == {known.outcome}
    assert [reason for _, reason in desk.missing] == ["no receipt within 0 s"]


@pytest.mark.asyncio
async def test_what_a_bundle_asks_and_carries_is_bounded(desk: Desk, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(module, "MAX_CLAIMS", 3)
    claims = [desk.claim(number) for number in range(101, 106)]

    assert len(await desk.receipts.prove(claims)) == 3
    assert len(desk.archive.asked) == 3

    monkeypatch.setattr(module, "MAX_BYTES", 2_000)
    assert (await desk.receipts.prove(claims)).keys() == {claims[0].outcome}
    assert desk.missing[-1][1] == "receipts above 2000 bytes"


@pytest.mark.asyncio
async def test_memory_of_proofs_is_bounded(desk: Desk, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(module, "MAX_KEPT", 2)
    claims = [desk.claim(number) for number in range(101, 104)]
    for claim in claims:
        await desk.receipts.prove([claim])

    await desk.receipts.prove([claims[2]])
    assert len(desk.archive.asked) == 3

    await desk.receipts.prove([claims[0]])
    assert len(desk.archive.asked) == 4
