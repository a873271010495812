"""What an endpoint offers, and what node.toml is to say of its chain (SPEC 8.4)."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from typing import Final

from relay.core.types import Caip2

__all__ = ["ChainProposal", "EndpointSurvey", "propose"]

DEFAULT_DEPTH: Final = 64
"""Blocks above one that is taken for final, where no endpoint says what is."""
LEAST_LOG_RANGE: Final = 1
MOST_LOG_RANGE: Final = 10_000
BLOCK_TIMES_MS: Final = (50, 600_000)


@dataclass(frozen=True, slots=True)
class EndpointSurvey:
    """One endpoint's own words. `problem` is set where it gave none, and the rest is empty then.

    `finality` holds the names of what it offers, with how many blocks behind its head that is. `log_range`
    is the widest range that it took, `log_range_is_bound` whether it refused a wider one; `batch` is the most
    requests in one body that it took. `subscribes` is None where no address for it is known.
    """

    operator: str
    problem: str = ""
    chain: Caip2 | None = None
    software: str = ""
    head: int = 0
    block_time_ms: int = 0
    finality: tuple[tuple[str, int], ...] = ()
    fees: str = ""
    log_range: int = 0
    log_range_is_bound: bool = False
    batch: int = 0
    subscribes: bool | None = None
    simulation: str = ""
    requests: int = 0


@dataclass(frozen=True, slots=True)
class ChainProposal:
    """What the surveys suggest; `notes` say what to mind."""

    block_time_ms: int
    finality: str
    log_range: int
    fees: str
    notes: tuple[str, ...] = ()


def propose(surveys: Sequence[EndpointSurvey]) -> ChainProposal:
    """Give settings that every endpoint that answered can serve."""
    told = [survey for survey in surveys if not survey.problem]
    assert told, "somebody has answered"
    least, most = BLOCK_TIMES_MS
    times = sorted(survey.block_time_ms for survey in told)
    finality, notes = _finality(told)
    fees = sorted({survey.fees for survey in told})
    if len(fees) > 1:
        notes += (f"endpoints disagree on fees: {', '.join(fees)}",)
    return ChainProposal(
        block_time_ms=min(max(times[len(times) // 2], least), most),
        finality=finality,
        log_range=min(max(min(survey.log_range for survey in told), LEAST_LOG_RANGE), MOST_LOG_RANGE),
        fees=fees[0],
        notes=notes,
    )


def _finality(told: Sequence[EndpointSurvey]) -> tuple[str, tuple[str, ...]]:
    for name in ("finalized", "safe"):
        if all(name in dict(survey.finality) for survey in told):
            return name, () if name == "finalized" else ("no endpoint offers finalized blocks",)
    note = f"endpoints offer no final blocks: depth:{DEFAULT_DEPTH} is a guess, choose by the chain's rules"
    return f"depth:{DEFAULT_DEPTH}", (note,)
