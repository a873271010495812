"""What came of a decision: effects seen, receipts that show them, blocks said to be final (SPEC 9.1, 10)."""

from collections.abc import Mapping, Sequence, Set
from dataclasses import dataclass, field

from proofs.bundledecision import BundleDecision
from proofs.decision import BlockRef
from proofs.effects import ShownEffect, check_effect
from proofs.ground import DecidingError, Ground, LoggedRecord, record_at
from proofs.hashes import keccak256
from proofs.kinds import Digest, Identity, Seconds
from proofs.mandate import ActLeaf, mandate_digest
from proofs.remarks import REMARK_READERS, Header
from proofs.statements import OutcomeStatement, read_outcome
from proofs.verdict import ActVerdict, Finality, SeenOutcome, ShownReceipt

__all__ = ["check_outcomes"]

_Voices = dict[Identity, str]
"""Names by identity, in the order in which they stand."""


def check_outcomes(
    entry: BundleDecision, names: Sequence[str], ground: Ground, records: Sequence[LoggedRecord]
) -> tuple[ActVerdict, ...]:
    """Check outcomes, receipts and headers of a decision with the acts `names`; give what came of each act.

    Raises:
        ProofError: the first check that failed.
    """
    account, digest = _Account(ground, entry.decision.key_epoch), mandate_digest(entry.mandate)
    said: dict[int, OutcomeStatement] = {}
    for number in entry.outcomes:
        envelope = record_at(records, number).envelope
        outcome = said[number] = read_outcome(envelope)
        _check_outcome(entry, digest, outcome)
        account.seen.setdefault(outcome, {})[envelope.author] = ground.name_of(envelope)
    _show(entry, said, account)
    blocks = {outcome.block for outcome in account.seen}
    for number in entry.headers:
        _hear_header(entry, record_at(records, number), blocks, account)
    by_id = {bytes(keccak256(name.encode())): name for name in names}
    return tuple(_act(leaf, by_id[leaf.act_id], account) for leaf in entry.leaves)


def _check_outcome(entry: BundleDecision, digest: Digest, outcome: OutcomeStatement) -> None:
    if (outcome.decision_id, outcome.mandate_digest) != (entry.mandate.decision_id, digest):
        raise DecidingError("outcome-mandate", "expected an event of this mandate, got one of another")
    places = {(leaf.chain, leaf.gateway, leaf.act_id) for leaf in entry.leaves}
    if (outcome.chain, outcome.gateway, outcome.act_id) not in places:
        raise DecidingError("outcome-act", f"expected an act of this decision, got {outcome.act_id.hex()}")


def _show(entry: BundleDecision, said: Mapping[int, OutcomeStatement], account: "_Account") -> None:
    """Note what receipts prove, each of the very outcome that it is for."""
    for receipt in entry.receipts:
        outcome = said.get(receipt.outcome)
        if outcome is None:
            raise DecidingError(
                "receipt-outcome", f"expected an outcome of this decision, got {receipt.outcome}"
            )
        if outcome in account.shown:
            raise DecidingError("receipt-twice", "expected one receipt for each outcome, got two")
        account.shown[outcome] = check_effect(receipt.proof, outcome, entry.mandate)


def _hear_header(
    entry: BundleDecision, record: LoggedRecord, blocks: Set[BlockRef], account: "_Account"
) -> None:
    """Take a member's word that one of these `blocks`, which outcomes name, is final."""
    envelope = record.envelope
    if envelope.kind != "header":
        raise DecidingError("statement-kind", f"expected a header, got {envelope.kind}")
    header = REMARK_READERS["header"](envelope.body)
    assert isinstance(header, Header), "the reader of this kind"
    if header.decision_id != entry.mandate.decision_id:
        raise DecidingError("statement-decision", "expected a header of this decision, got one of another")
    if header.chain != header.block.chain or header.block not in blocks:
        raise DecidingError(
            "header-block", f"expected a block of an outcome here, got {header.block.hash.hex()}"
        )
    voices = account.final.setdefault(header.block, {})
    name = account.ground.name_of(envelope)
    if envelope.author in voices:
        raise DecidingError("header-twice", f"expected one word of {name} on a block, got two")
    voices[envelope.author] = name


@dataclass(frozen=True, slots=True)
class _Account:
    """Who signed to have seen which effect, which a receipt shows, whose word is that a block is final."""

    ground: Ground
    key_epoch: int
    seen: dict[OutcomeStatement, _Voices] = field(default_factory=dict)
    shown: dict[OutcomeStatement, ShownEffect] = field(default_factory=dict)
    final: dict[BlockRef, _Voices] = field(default_factory=dict)

    def outcome(self, outcome: OutcomeStatement) -> SeenOutcome:
        voices = self.seen[outcome]
        return SeenOutcome(
            effect=outcome.effect,
            block=outcome.block,
            tx=outcome.tx,
            until=outcome.until,
            gas_used=outcome.gas_used,
            seen_by=tuple(voices.values()),
            source=f"seen and signed by {self._weight(voices)}",
            receipt=self._receipt(outcome),
            finality=self._finality(outcome.block),
        )

    def _receipt(self, outcome: OutcomeStatement) -> ShownReceipt | None:
        effect = self.shown.get(outcome)
        if effect is None:
            return None
        named: _Voices = {}
        for other, voices in self.seen.items():
            if other.block == outcome.block:
                named |= voices
        named |= self.final.get(outcome.block, {})
        source = f"the block's hash is signed by {self._weight(named)}"
        if not effect.names_mandate:
            source += "; the event names no mandate: whose record it ended is the members' word"
        return ShownReceipt(effect.index, effect.log, effect.names_mandate, tuple(named.values()), source)

    def _finality(self, block: BlockRef) -> Finality:
        voices = self.final.get(block, {})
        weight = self.ground.weigh(voices, self.key_epoch)
        source = f"the block is said to be final by {weight}" if voices else "no member said that it is final"
        return Finality(tuple(voices.values()), weight.has_honest, source)

    def _weight(self, voices: Mapping[Identity, str]) -> str:
        return str(self.ground.weigh(voices, self.key_epoch))


def _act(leaf: ActLeaf, name: str, account: _Account) -> ActVerdict:
    place = (leaf.chain, leaf.gateway, leaf.act_id)
    return ActVerdict(
        name=name,
        chain=leaf.chain,
        gateway=leaf.gateway,
        act_id=leaf.act_id,
        act_hash=leaf.act_hash,
        duration_s=Seconds(leaf.duration_s),
        outcomes=tuple(
            account.outcome(outcome)
            for outcome in account.seen
            if (outcome.chain, outcome.gateway, outcome.act_id) == place
        ),
    )
