"""Changes that an owner has announced: found in events, confirmed by the gateway at the report's block."""

from __future__ import annotations

from collections.abc import Awaitable, Callable, Mapping, Sequence

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
MAX_ANNOUNCED = 256
SAMPLE_BLOCKS = 1_000
MIN_PACE_MS = 50
SCHEDULED = keccak256(b"ChangeScheduled(bytes32,bytes,uint256)")
_DATA = (Slot("change", "bytes", "bytes", ()), Slot("readyAt", "uint256", "uint256", ()))
Ask = Callable[[Sequence[tuple[str, tuple[object, ...]]]], Awaitable[list[Mapping[str, object] | None]]]


async def scheduled(
    rpc: Rpc, settings: ChainSettings, at: Header, address: str, delay_s: int, ask: Ask
) -> tuple[tuple[ScheduledReport, ...], int]:
    """What is announced and not yet made, soonest first, and the first block that was looked at."""
    first = await _first_block(rpc, settings, at, delay_s)
    changes = await _changes(rpc, settings, first, at.block.number, address)
    newest = list(changes.items())[-MAX_ANNOUNCED:]
    answers = await ask([("scheduledAt", (id_,)) for id_, _ in newest])
    found: list[ScheduledReport] = []
    for (id_, change), answer in zip(newest, answers, strict=True):
        ready_at = 0 if answer is None else fields.whole(answer, "0")
        if ready_at and at.block.timestamp <= ready_at + LIFETIME_S:
            found.append(ScheduledReport(id_, ready_at, ready_at + LIFETIME_S, announced_change(change)))
    return tuple(sorted(found, key=lambda each: (each.ready_at, each.id))), first


async def _first_block(rpc: Rpc, settings: ChainSettings, at: Header, delay_s: int) -> int:
    """The block from which an announcement can still be pending, as far as the number of queries allows.

    Blocks may come faster than the settings say: the last `SAMPLE_BLOCKS` are asked too.
    """
    sample = max(0, at.block.number - SAMPLE_BLOCKS)
    (reply,) = await rpc.replies([Request("eth_getBlockByNumber", [hex(sample), False])])
    try:
        older = shapes.header(settings.chain, reply).block
    except ValueError:
        raise rpc.unavailable("malformed block") from None
    span_ms = max(at.block.timestamp - older.timestamp, 0) * 1_000
    pace_ms = span_ms // max(at.block.number - older.number, 1)
    blocks = (delay_s + LIFETIME_S) * 1_000 // max(min(settings.block_time_ms, pace_ms), MIN_PACE_MS) + 1
    return max(0, at.block.number - min(blocks, MAX_RANGES * settings.log_range - 1))


async def _changes(
    rpc: Rpc, settings: ChainSettings, first: int, last: int, address: str
) -> dict[bytes, bytes]:
    """The calldata of every announcement by its id, in the order of the chain."""
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
        for log in logs:
            change = _change(log)
            if change is not None:
                changes.pop(keccak256(change), None)
                changes[keccak256(change)] = change
    return changes


def _filter(address: str, first: int, last: int) -> dict[str, object]:
    return {
        "address": address,
        "topics": ["0x" + SCHEDULED.hex()],
        "fromBlock": hex(first),
        "toBlock": hex(last),
    }


def _change(log: shapes.Log) -> bytes | None:
    """The calldata that an event announces; None for an event of another shape."""
    # Which id the event names does not matter: the gateway is asked for the calldata's own.
    values = decode_slots(_DATA, log.data)
    is_announcement = len(log.topics) == 2 and log.topics[0] == SCHEDULED
    return fields.octets(values, "change") if is_announcement and values is not None else None


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


__all__ = ["LIFETIME_S", "MAX_RANGES", "SCHEDULED", "announced_change", "budget_report", "scheduled"]
