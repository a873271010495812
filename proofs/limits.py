"""What a bundle leaves open, said to whoever reads the verdict (`proofs/SPEC.md` 10)."""

from collections.abc import Iterator, Sequence
from typing import Final

from proofs.verdict import ActVerdict, DecisionVerdict, SeenOutcome, SignedByGroup

__all__ = ["LEFT_OUT", "ONE_HISTORY", "not_proved"]

LEFT_OUT: Final = (
    "that nothing was left out: a bundle holds what its maker put in; the log itself holds everything"
)
ONE_HISTORY: Final = "that its checkpoints are of one history: ask the log for consistency proofs"
"""Limits that whoever reads the logs too can lift."""


def not_proved(
    decisions: Sequence[DecisionVerdict], *, has_quorum: bool, is_of_one_size: bool
) -> tuple[str, ...]:
    """Give the limits of a verdict, one sentence each, those of single outcomes first."""
    limits = [
        *_not_shown(decisions),
        *_not_final(decisions),
        *_on_finality(decisions),
        *_on_groups(decisions),
        *_on_statements(decisions),
        "transaction hashes and gas used: members' words, which receipts do not hold",
        "that the chains say what the traces say: read them at the pinned blocks to derive it again",
        "that the act hashes are those of the plan's calls: that takes the chain's adapter",
        LEFT_OUT,
    ]
    if not has_quorum:
        limits.append("that the log shows everybody the same: no witness quorum was asked for")
    if not is_of_one_size:
        limits.append(ONE_HISTORY)
    return tuple(limits)


def _outcomes(decisions: Sequence[DecisionVerdict]) -> Iterator[tuple[ActVerdict, SeenOutcome]]:
    for decision in decisions:
        for act in decision.acts:
            for outcome in act.outcomes:
                yield act, outcome


def _not_shown(decisions: Sequence[DecisionVerdict]) -> Iterator[str]:
    """Name the outcomes that rest on members' words alone."""
    for act, outcome in _outcomes(decisions):
        if outcome.receipt is None:
            yield (
                f"not shown: receipt of act {act.name} on chain {act.chain}"
                f" ({outcome.effect}, block {outcome.block.number})"
            )


def _not_final(decisions: Sequence[DecisionVerdict]) -> Iterator[str]:
    """Name the blocks that too few members said to be final."""
    blocks = {
        outcome.block: outcome.finality
        for _, outcome in _outcomes(decisions)
        if not outcome.finality.is_agreed
    }
    for block, finality in blocks.items():
        yield (
            f"that block {block.number} of chain {block.chain} is final ({block.hash.hex()[:16]}…): "
            f"{finality.source}"
        )


def _on_finality(decisions: Sequence[DecisionVerdict]) -> Iterator[str]:
    """Say whose word it is that a block is its chain's, and that it is final."""
    agreed = [outcome.finality.is_agreed for _, outcome in _outcomes(decisions)]
    if not agreed:
        return
    if not all(agreed):
        yield "that a block is of its chain: members signed its hash; a receipt proves what it commits to"
    if any(agreed):
        yield (
            "that what more than f members said to be final is so: an honest one of them read it from"
            " endpoints that agreed; only the chain itself tells more"
        )


def _on_groups(decisions: Sequence[DecisionVerdict]) -> Iterator[str]:
    """Say what a group's signature leaves open, if there is one."""
    if any(isinstance(decision.certificate, SignedByGroup) for decision in decisions):
        yield (
            "which holders made a group's signature: shares are no evidence, any threshold of holders can"
            " make another's; who stands behind it is told by attestations"
        )


def _on_statements(decisions: Sequence[DecisionVerdict]) -> Iterator[str]:
    """Say whose word a remark is, if there is one that proves nothing else."""
    if any(said.kind != "equivocation" for decision in decisions for said in decision.statements):
        yield "what members said beside verdicts and outcomes: each is its author's word alone"
