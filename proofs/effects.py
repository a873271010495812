"""Whether a proved receipt shows what members say a gateway did (`proofs/SPEC.md` 9.1, GATEWAY.md 6)."""

from collections.abc import Callable, Iterator, Sequence
from dataclasses import dataclass

from proofs.hashes import keccak256
from proofs.mandate import Mandate, mandate_digest
from proofs.receipts import BlockHeader, Receipt, ReceiptError, ReceiptLog, ReceiptProof, open_receipt
from proofs.statements import OutcomeStatement

__all__ = [
    "ACT_ENDED",
    "ACT_EXTENDED",
    "ACT_NOOP",
    "ACT_STARTED",
    "ENDINGS",
    "EVM_NAMESPACE",
    "ShownEffect",
    "check_effect",
]

EVM_NAMESPACE = "eip155:"
ACT_STARTED = keccak256(b"ActStarted(bytes32,bytes32,bytes32,uint8,uint64,uint64,uint256)")
ACT_EXTENDED = keccak256(b"ActExtended(bytes32,bytes32,bytes32,uint8,uint64)")
ACT_NOOP = keccak256(b"ActNoop(bytes32,bytes32,bytes32)")
ACT_ENDED = keccak256(b"ActEnded(bytes32,bytes32,uint8,uint64,bool)")
ENDINGS = {"release": 1, "expire": 2, "adopt": 3, "dismiss": 4, "close": 5, "forced": 6}
"""The effects that end a record, with what the event says of each."""

_NO_MANDATE = bytes(32)
_WORD = 32
_PADDING = bytes(12)


@dataclass(frozen=True, slots=True)
class ShownEffect:
    """A gateway's event that a block commits to: the `log`-th entry of the receipt at `index`.

    `names_mandate` is false for an ending that needs none (expire, adopt, dismiss, forced, some closings).
    """

    index: int
    log: int
    names_mandate: bool


@dataclass(frozen=True, slots=True)
class _Event:
    """The form of an effect's event: its signature, and where tier, ending and time stand in its data."""

    signature: bytes
    topics: int
    words: int
    tier: int | None = None
    how: int | None = None
    until: int | None = None


_STARTED = _Event(ACT_STARTED, topics=4, words=4, tier=0, until=2)
_EXTENDED = _Event(ACT_EXTENDED, topics=4, words=2, tier=0, until=1)
_NOOP = _Event(ACT_NOOP, topics=4, words=0)
_ENDED = _Event(ACT_ENDED, topics=3, words=3, how=0, until=1)
_EVENTS = {"started": _STARTED, "extended": _EXTENDED, "noop": _NOOP, **dict.fromkeys(ENDINGS, _ENDED)}


def check_effect(proof: ReceiptProof, outcome: OutcomeStatement, mandate: Mandate) -> ShownEffect:
    """Check that the block that an outcome names commits to the event that it tells of.

    Raises:
        ReceiptError: `receipt-chain`, `receipt-block`, `header-number`, `header-timestamp`, `receipt-status`,
            `receipt-gas`, `receipt-gateway`, `receipt-event`, `receipt-act`, `receipt-mandate`,
            `receipt-decision`, `receipt-tier`, `receipt-until`, and those of `open_receipt`.
        ProofError: the nodes do not lead from the header to a receipt.
    """
    if not outcome.chain.startswith(EVM_NAMESPACE) or outcome.gateway[: len(_PADDING)] != _PADDING:
        raise ReceiptError("receipt-chain", f"expected a gateway of an EVM chain, got {outcome.chain}")
    # The header first: nothing below it is worth reading if members named another block.
    header, receipt = open_receipt(proof, outcome.block.hash)
    _check_block(header, outcome)
    if not receipt.succeeded:
        raise ReceiptError("receipt-status", "expected a transaction that succeeded, got a reverted one")
    _check_gas(proof.index, receipt, outcome)
    place, log = _event(receipt.logs, outcome, mandate)
    return ShownEffect(proof.index, place, log.topics[1] != _NO_MANDATE)


def _check_block(header: BlockHeader, outcome: OutcomeStatement) -> None:
    block = outcome.block
    if header.number != block.number:
        raise ReceiptError("header-number", f"expected block {block.number}, got {header.number}")
    if header.timestamp != block.timestamp:
        raise ReceiptError("header-timestamp", f"expected time {block.timestamp}, got {header.timestamp}")


def _check_gas(index: int, receipt: Receipt, outcome: OutcomeStatement) -> None:
    """Hold the gas against the block's up to here: for the first transaction that is its own."""
    used, most = outcome.gas_used, receipt.cumulative_gas
    if used > most or (index == 0 and used != most):
        raise ReceiptError("receipt-gas", f"expected gas within {most} of the block, got {used}")


def _event(logs: Sequence[ReceiptLog], outcome: OutcomeStatement, mandate: Mandate) -> tuple[int, ReceiptLog]:
    """Give the first log that says what the outcome says, and its place; else name what none of them does."""
    form = _EVENTS.get(outcome.effect)
    if form is None:
        raise ReceiptError("receipt-event", f"expected an effect of a gateway, got {outcome.effect!r}")
    found = list(enumerate(logs))
    for says, refusal in _demands(form, outcome, mandate):
        found = [(place, log) for place, log in found if says(log)]
        if not found:
            raise refusal
    return found[0]


def _demands(
    form: _Event, outcome: OutcomeStatement, mandate: Mandate
) -> Iterator[tuple[Callable[[ReceiptLog], bool], ReceiptError]]:
    """Give what a log must say, each demand resting on those before, with the error if none says it."""
    gateway, effect = outcome.gateway[len(_PADDING) :], outcome.effect
    yield (
        lambda log: log.address == gateway,
        ReceiptError("receipt-gateway", f"expected an event of 0x{gateway.hex()}, got none"),
    )
    yield (
        lambda log: _has_form(log, form, effect),
        ReceiptError("receipt-event", f"expected the event of effect {effect}, got none"),
    )
    yield (
        lambda log: log.topics[2] == outcome.act_id,
        ReceiptError("receipt-act", f"expected act {outcome.act_id.hex()}, got others"),
    )
    yield (
        lambda log: log.topics[1] in _mandates(effect, mandate_digest(mandate)),
        ReceiptError("receipt-mandate", f"expected mandate {mandate_digest(mandate).hex()}, got others"),
    )
    yield (
        lambda log: log.topics[3:] in ((), (mandate.decision_id,)),
        ReceiptError("receipt-decision", f"expected decision {mandate.decision_id.hex()}, got others"),
    )
    yield (
        lambda log: form.tier is None or _word(log, form.tier) == mandate.tier,
        ReceiptError("receipt-tier", f"expected tier {mandate.tier.name.lower()}, got another"),
    )
    yield (
        lambda log: (0 if form.until is None else _word(log, form.until)) == outcome.until,
        ReceiptError("receipt-until", f"expected an event until {outcome.until}, got another time"),
    )


def _has_form(log: ReceiptLog, form: _Event, effect: str) -> bool:
    if len(log.topics) != form.topics or log.topics[0] != form.signature:
        return False
    if len(log.data) != form.words * _WORD:
        return False
    return form.how is None or _word(log, form.how) == ENDINGS[effect]


def _mandates(effect: str, digest: bytes) -> tuple[bytes, ...]:
    """Give what the event may have for a mandate: who ends a record by time or by right needs none."""
    if effect == "close":
        return digest, _NO_MANDATE
    return (_NO_MANDATE,) if effect in ENDINGS and effect != "release" else (digest,)


def _word(log: ReceiptLog, place: int) -> int:
    return int.from_bytes(log.data[_WORD * place : _WORD * place + _WORD], "big")
