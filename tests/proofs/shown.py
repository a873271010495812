"""A town's alarm, and what the chains show of it: outcomes, the blocks they name, the receipts in those."""

from dataclasses import replace

from proofs.bundle import Bundle, BundleReceipt
from proofs.canonical import Value
from proofs.decision import BlockRef, block_value
from proofs.effects import check_effect
from proofs.errors import ProofError
from proofs.hashes import keccak256
from proofs.mandate import ActLeaf, Mandate, mandate_digest
from proofs.receipts import ReceiptProof
from proofs.statements import OutcomeStatement
from tests.proofs.blocks import GAS, Block, Log, receipt, started
from tests.proofs.conftest import AWAY, HOME, Town

UNTIL = 1_659_412_400
NOISE = receipt([b"\x99" * 20, [keccak256(b"Noise()")], b"\1\2\3"], cumulative_gas=21_000)


class Scene:
    """A town's decision with the acts halt (home) and disable (away), and what a chain may show of it."""

    def __init__(self, town: Town, **decision: object) -> None:
        self.town = town
        self.decision = town.decide(**decision)
        self.mandate: Mandate = town.mandate(self.decision)
        self.halt: ActLeaf = town.leaf("halt")
        self.disable: ActLeaf = town.leaf("disable")

    def outcome(self, block: BlockRef, leaf: ActLeaf | None = None, **changes: object) -> OutcomeStatement:
        leaf = leaf or self.halt
        said = OutcomeStatement(
            decision_id=self.mandate.decision_id,
            mandate_digest=mandate_digest(self.mandate),
            chain=leaf.chain,
            gateway=leaf.gateway,
            act_id=leaf.act_id,
            block=block,
            tx=bytes(32),
            effect="started",
            gas_used=GAS - 21_000,
            until=UNTIL,
        )
        return replace(said, **changes)

    def shown(self, *logs: Log, **changes: object) -> str:
        """Give the check that fails when these logs are to show an outcome; nothing if they do."""
        block = Block(HOME, [NOISE, receipt(*logs)])
        return self.check(block.proof(1), self.outcome(block.ref(), **changes))

    def check(self, proof: ReceiptProof, outcome: OutcomeStatement) -> str:
        try:
            check_effect(proof, outcome, self.mandate)
        except ProofError as error:
            return error.check
        return ""


def alarm(town: Town) -> tuple[Bundle, tuple[BundleReceipt, ...]]:
    """An alarm of two acts on two chains: halt seen by alice and dave, disable by bob alone, both shown."""
    scene = Scene(town)
    town.attest("bob", scene.decision, scene.mandate)  # 0
    town.attest("carol", scene.decision, scene.mandate)  # 1
    home = Block(HOME, [NOISE, receipt(started(scene.mandate, scene.halt, UNTIL))])
    away = Block(AWAY, [NOISE, receipt(started(scene.mandate, scene.disable, UNTIL))])
    for name, leaf, block in (
        ("alice", scene.halt, home),  # 2
        ("dave", scene.halt, home),  # 3
        ("bob", scene.disable, away),  # 4
    ):
        seen: dict[str, Value] = {"block": block_value(block.ref()), "until": UNTIL, "gas_used": GAS - 21_000}
        town.see(name, scene.mandate, leaf, **seen)
    receipts = (BundleReceipt(2, home.proof(1)), BundleReceipt(4, away.proof(1)))
    entry = town.entry(scene.decision, ("bob", "carol"), (0, 1), (2, 3, 4))
    bundle = town.bundle(entry)
    return with_receipts(bundle, *receipts), receipts


def with_receipts(bundle: Bundle, *receipts: BundleReceipt) -> Bundle:
    return replace(bundle, decisions=(replace(bundle.decisions[0], receipts=receipts),))
