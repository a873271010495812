"""Changes that an owner has announced: found in events, confirmed by the gateway at the report's block."""

from __future__ import annotations

from collections.abc import Awaitable, Callable, Mapping, Sequence
from dataclasses import dataclass

from adapters.evm import shapes
from adapters.evm.office import fields
from adapters.evm.office.contract import Slot, decode_slots, gateway
from adapters.evm.office.terms import act_terms, registered_hash
from adapters.evm.rpc import Request, Rpc, RpcError
from proofs.hashes import keccak256
from relay.core.gateway_report import BudgetReport, ScheduledAct, ScheduledReport
from relay.core.ports import ChainSettings
from relay.core.types import ActId, Header

LIFETIME_S = 14 * 86_400
"""How long an announced change can be made (`CHANGE_LIFETIME`)."""
MAX_RANGES = 2_000
"""Log queries of one survey: what is older is not looked for, and the report says so."""
MAX_ANNOUNCED = 4_096
"""Asked for one by one, the newest: the report says where there were more."""
MIN_PACE_MS = 50
SCHEDULED = keccak256(b"ChangeScheduled(bytes32,bytes,uint256)")
_DATA = (Slot("change", "bytes", "bytes", ()), Slot("readyAt", "uint256", "uint256", ()))
Ask = Callable[[Sequence[tuple[str, tuple[object, ...]]]], Awaitable[list[Mapping[str, object] | None]]]


@dataclass(frozen=True, slots=True)
class Pending:
    """What is announced and not yet made, soonest first; `is_all` says that there is no more.

    `since` is the first block that was looked at.
    """

    changes: tuple[ScheduledReport, ...]
    since: int
    is_all: bool


async def scheduled(
    rpc: Rpc, settings: ChainSettings, at: Header, address: str, delay_s: int, ask: Ask
) -> Pending:
    """Look for announcements as far back as one can still be pending, or as the number of queries allows."""
    since, is_all = await _first_block(rpc, settings, at, delay_s)
    changes = await _changes(rpc, settings, since, at.block.number, address)
    newest = list(changes.items())[-MAX_ANNOUNCED:]
    answers = await ask([("scheduledAt", (id_,)) for id_, _ in newest])
    found: list[ScheduledReport] = []
    for (id_, change), answer in zip(newest, answers, strict=True):
        ready_at = 0 if answer is None else fields.whole(answer, "0")
        if ready_at and at.block.timestamp <= ready_at + LIFETIME_S:
            found.append(ScheduledReport(id_, ready_at, ready_at + LIFETIME_S, announced_change(change)))
    listed = tuple(sorted(found, key=lambda each: (each.ready_at, each.id)))
    return Pending(listed, since, is_all and len(newest) == len(changes))


async def _first_block(rpc: Rpc, settings: ChainSettings, at: Header, delay_s: int) -> tuple[int, bool]:
    """The block from which an announcement can still be pending, and whether it is old enough for all.

    Blocks may have come faster than the settings say: it goes back until one is old enough.
    """
    oldest_s = at.block.timestamp - delay_s - LIFETIME_S
    floor = max(0, at.block.number - MAX_RANGES * settings.log_range + 1)
    pace_ms = max(settings.block_time_ms, MIN_PACE_MS)
    blocks = (delay_s + LIFETIME_S) * 1_000 // pace_ms + 1
    while True:
        first = max(floor, at.block.number - blocks)
        is_all = first == 0 or await _time_of(rpc, settings, first) < oldest_s
        if is_all or first == floor:
            return first, is_all
        blocks *= 2


async def _time_of(rpc: Rpc, settings: ChainSettings, number: int) -> int:
    (reply,) = await rpc.replies([Request("eth_getBlockByNumber", [hex(number), False])])
    try:
        return shapes.header(settings.chain, reply).block.timestamp
    except ValueError:
        raise rpc.unavailable("malformed block") from None


async def _changes(
    rpc: Rpc, settings: ChainSettings, first: int, last: int, address: str
) -> dict[bytes, bytes]:
    """The calldata of every announcement by its id, in the order of the chain; empty where unreadable."""
    requests = [
        Request("eth_getLogs", [_filter(address, start, min(start + settings.log_range - 1, last))])
        for start in range(first, last + 1, settings.log_range)
    ]
    changes: dict[bytes, bytes] = {}
    for reply in await rpc.replies(requests):
        if isinstance(reply, RpcError):
            raise rpc.unavailable(f"eth_getLogs: {reply.text}")
        try:
            logs = [shapes.log(entry) for entry in shapes.sequence(reply)]
        except ValueError as error:
            raise rpc.unavailable(f"malformed log: {error}") from None
        for id_, change in filter(None, map(_change, logs)):
            known = changes.pop(id_, b"")
            changes[id_] = change or known
    return changes


def _filter(address: str, first: int, last: int) -> dict[str, object]:
    return {
        "address": address,
        "topics": ["0x" + SCHEDULED.hex()],
        "fromBlock": hex(first),
        "toBlock": hex(last),
    }


def _change(log: shapes.Log) -> tuple[bytes, bytes] | None:
    """The id and the calldata that an event announces; None for an event of another kind.

    What is too long to be read, or written in a way of its own, is announced all the same: it goes by the id
    that the event names, and the gateway is asked whether it is pending.
    """
    if len(log.topics) != 2 or log.topics[0] != SCHEDULED:
        return None
    values = decode_slots(_DATA, log.data)
    if values is None:
        return log.topics[1], b""
    change = fields.octets(values, "change")
    return keccak256(change), change


def announced_change(change: bytes) -> ScheduledAct | BudgetReport | None:
    """What an announced call does; None for a call that is not the gateway's."""
    functions = gateway().functions
    register, budget = functions["registerAct"], functions["setBudget"]
    arguments = register.arguments(change)
    if arguments is not None:
        struct = fields.struct(arguments, "act_")
        return ScheduledAct(
            act_id=ActId(fields.octets(arguments, "actId")),
            act_hash=registered_hash(struct),
            terms=act_terms(struct),
            tier=fields.whole(arguments, "tier"),
            duration_s=fields.whole(arguments, "maxDuration"),
        )
    arguments = budget.arguments(change)
    return None if arguments is None else budget_report(fields.struct(arguments, "budget_"))


def budget_report(values: Mapping[str, object]) -> BudgetReport:
    """The gateway's `Budget` or `Usage`."""
    names = ("fastSeconds", "allSeconds", "fastRecords")
    return BudgetReport(*(fields.whole(values, name) for name in names))


__all__ = [
    "LIFETIME_S",
    "MAX_RANGES",
    "SCHEDULED",
    "Pending",
    "announced_change",
    "budget_report",
    "scheduled",
]
