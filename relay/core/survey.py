"""What an endpoint offers, and what node.toml is to say of its chain (SPEC 8.4)."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from typing import Final

from relay.core.ports import ChainSettings
from relay.core.readiness import Fact, Standing
from relay.core.types import Caip2

__all__ = ["ChainProposal", "EndpointSurvey", "compare", "propose"]

DEFAULT_DEPTH: Final = 64
"""Blocks above one that is taken for final, where no endpoint says what is."""
LOG_RANGES: Final = (1, 10_000)
BLOCK_TIMES_MS: Final = (50, 600_000)
BATCH: Final = 100
"""What an adapter may put into one body."""
FAR: Final = 3
"""A block time that is off by more than this factor makes waits too long or too short."""
LAG_S: Final = 60


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
    """Give settings that every endpoint can serve; all of them have answered."""
    least, most = BLOCK_TIMES_MS
    times = sorted(survey.block_time_ms for survey in surveys)
    finality, notes = _finality(surveys)
    fees = sorted({survey.fees for survey in surveys})
    if len(fees) > 1:
        notes += (f"endpoints disagree on fees: {', '.join(fees)}",)
    weak = sorted(survey.operator for survey in surveys if survey.batch < BATCH)
    if weak:
        notes += (f"{', '.join(weak)}: fewer than {BATCH} requests in one body, which a node may send",)
    return ChainProposal(
        block_time_ms=min(max(times[len(times) // 2], least), most),
        finality=finality,
        log_range=min(max(min(survey.log_range for survey in surveys), LOG_RANGES[0]), LOG_RANGES[1]),
        fees=fees[0],
        notes=notes,
    )


def _finality(surveys: Sequence[EndpointSurvey]) -> tuple[str, tuple[str, ...]]:
    for name in ("finalized", "safe"):
        if all(name in dict(survey.finality) for survey in surveys):
            return name, () if name == "finalized" else ("not every endpoint offers finalized blocks",)
    note = (
        f"not every endpoint offers finalized or safe blocks: depth:{DEFAULT_DEPTH} is a guess,"
        " choose by the chain's own rules"
    )
    return f"depth:{DEFAULT_DEPTH}", (note,)


# ---- compared with what is configured


def compare(
    settings: ChainSettings, surveys: Sequence[EndpointSurvey], *, is_demo: bool = False
) -> tuple[Fact, ...]:
    """Give what holds of a configured chain, endpoint by endpoint and setting by setting.

    The chains of a demonstration run at another speed than their time stamps say.
    """
    told = [survey for survey in surveys if not survey.problem]
    facts = [_answers(settings, survey) for survey in surveys]
    for survey in told:
        facts += _offers(settings, survey)
    if told:
        facts.append(_heads(settings, told))
    if told and not is_demo:
        facts.append(_block_time(settings, told))
    return tuple(facts)


def _fact(name: str, reason: str, fault: str, remedy: str) -> Fact:
    if fault:
        return Fact(name, Standing.FAILED, fault, remedy)
    return Fact(name, Standing.HELD, reason)


def _answers(settings: ChainSettings, survey: EndpointSurvey) -> Fact:
    name = f"{settings.chain} by {survey.operator}"
    if survey.problem and survey.chain is None:
        return Fact(
            name, Standing.UNTOLD, survey.problem, "check the address, the key in it, and the network"
        )
    fault = survey.problem
    return _fact(
        name, f"{survey.software}, head {survey.head}", fault, "correct chain or address in node.toml"
    )


def _offers(settings: ChainSettings, survey: EndpointSurvey) -> list[Fact]:
    """What one endpoint must offer for these settings."""
    where = f"{settings.chain} by {survey.operator}"
    facts = [
        _finality_fact(f"finality {where}", settings.finality, survey),
        _fact(
            f"fees {where}",
            survey.fees,
            f"{survey.fees}, node.toml says {settings.fees}" if survey.fees != settings.fees else "",
            f'set `fees = "{survey.fees}"`',
        ),
        _log_range_fact(f"log range {where}", settings.log_range, survey),
        _batch_fact(f"batch {where}", survey),
        _simulates(f"simulation {where}", survey),
    ]
    if survey.subscribes is not None:
        fault = "" if survey.subscribes else "no new heads by WebSocket"
        facts.append(_fact(f"websocket {where}", "", fault, "correct `websocket_url`, or remove it"))
    return facts


def _finality_fact(name: str, wanted: str, survey: EndpointSurvey) -> Fact:
    offered = dict(survey.finality)
    tags = ", ".join(f"{tag} {behind} blocks behind" for tag, behind in offered.items()) or "none"
    lacks = not wanted.startswith("depth:") and wanted not in offered
    fault = f"offers {tags}, node.toml wants {wanted}" if lacks else ""
    return _fact(name, tags, fault, "set `finality` to what all endpoints offer, or to depth:N")


def _log_range_fact(name: str, wanted: int, survey: EndpointSurvey) -> Fact:
    takes = f"takes {survey.log_range} blocks" + ("" if survey.log_range_is_bound else " or more")
    narrow = survey.log_range_is_bound and survey.log_range < wanted
    fault = f"{takes}, node.toml asks for {wanted}" if narrow else ""
    return _fact(name, takes, fault, f"set `log_range = {survey.log_range}`")


def _batch_fact(name: str, survey: EndpointSurvey) -> Fact:
    takes = f"takes {survey.batch} requests in one body"
    fault = f"{takes}, a node may send {BATCH}" if survey.batch < BATCH else ""
    return _fact(name, takes, fault, "ask the operator for more, or use another endpoint")


def _simulates(name: str, survey: EndpointSurvey) -> Fact:
    if survey.simulation == "calls":
        reason = "neither eth_simulateV1 nor state overrides: undos cannot be tried there"
        return Fact(name, Standing.HELD, reason)
    return Fact(name, Standing.HELD, survey.simulation)


def _heads(settings: ChainSettings, told: Sequence[EndpointSurvey]) -> Fact:
    best = max(survey.head for survey in told)
    most = max(3, LAG_S * 1_000 // settings.block_time_ms)
    late = [f"{survey.operator} {best - survey.head}" for survey in told if best - survey.head > most]
    fault = f"blocks behind: {', '.join(late)}" if late else ""
    return _fact(
        f"heads {settings.chain}", f"{len(told)} endpoints at one head", fault, "mend these endpoints"
    )


def _block_time(settings: ChainSettings, told: Sequence[EndpointSurvey]) -> Fact:
    measured = propose(told).block_time_ms
    is_far = measured > FAR * settings.block_time_ms or FAR * measured < settings.block_time_ms
    fault = f"measured {measured} ms, node.toml says {settings.block_time_ms}" if is_far else ""
    return _fact(f"block time {settings.chain}", f"{measured} ms", fault, f"set `block_time_ms = {measured}`")
