"""Checkpoints that were put on a chain when an incident closed, held against the logs they name (SPEC 4).

Anybody may call `anchorLog`: an anchor that contradicts a log convicts nobody by itself, one that agrees is
one more witness that never lies about its time.
"""

from __future__ import annotations

import re
from collections.abc import Callable, Iterator, Mapping, Sequence
from dataclasses import dataclass
from itertools import islice
from typing import Final

from proofs.checkpoint import Checkpoint
from proofs.effects import EVM_NAMESPACE
from proofs.errors import ProofError
from proofs.hashes import keccak256, sha256
from proofs.kinds import Digest
from relay.audit.back import BackReader
from relay.audit.case import Case
from relay.audit.reading import contradiction
from relay.audit.rpc import Endpoint, RpcError
from relay.audit.sources import SourceError
from relay.audit.stamps import first_of
from relay.audit.story import AnchorStory, Answer, Finding
from relay.audit.telling import member_of_log, tell_decision

__all__ = ["LOG_ANCHORED", "Asked", "anchors_of"]

LOG_ANCHORED: Final = keccak256(b"LogAnchored(bytes32,bytes32,uint64,bytes32)")
MAX_ANCHORS: Final = 256
_MAX_REQUESTS: Final = 2_000
_LEAST_BLOCKS: Final = 256
_WORD: Final = 32
_ADDRESS_BYTES: Final = 20
_MAX_SIZE: Final = 1 << 63
_QUANTITY: Final = re.compile("0x[0-9a-fA-F]{1,16}")


@dataclass(frozen=True, slots=True)
class Asked:
    """Where anchors of an incident stand: the reference chain of its plan, its gateway, from a block on."""

    chain: str
    gateway: str
    incident: bytes
    from_block: int


def anchors_of(
    case: Case, readers: Mapping[str, BackReader], endpoints: Mapping[str, str]
) -> tuple[tuple[AnchorStory, ...] | None, list[Finding]]:
    """Give the anchors of the case's incident, if an endpoint of its chain is given, and what is odd.

    `endpoints` are addresses by chain, `readers` the logs at hand by origin.
    """
    asked = _asked(case)
    if asked is None or asked.chain not in endpoints:
        chain = "any chain" if asked is None else asked.chain
        words = f"anchors stand on {chain}, of which no endpoint was given"
        return None, [Finding("anchors", Answer.UNKNOWN, words, {"chain": chain})]
    try:
        found = _events(Endpoint(endpoints[asked.chain]), asked)
    except RpcError as error:
        words = f"anchors could not be read from {asked.chain}: {error.problem}"
        return None, [Finding("anchors", Answer.UNKNOWN, words, {"chain": asked.chain})]
    stories = tuple(_story(case, readers, asked, event) for event in found)
    findings = [
        Finding(
            "anchor",
            Answer.UNKNOWN,
            f"an anchor on {asked.chain} contradicts the log of {each.log}: either somebody else made it,"
            " or the log was another then",
            {"chain": asked.chain, "log": each.log or "", "size": each.size, "tx": each.tx},
        )
        for each in stories
        if each.is_consistent is False
    ]
    return stories, findings


def _asked(case: Case) -> Asked | None:
    """Tell where anchors are put: core SPEC 7.4."""
    first = first_of([tell_decision(case, verdict) for verdict in case.decisions])
    verdict = next((v for v in case.decisions if first is not None and v.decision_id.hex() == first.id), None)
    if verdict is None:
        return None
    anchor = verdict.decision.anchor
    gateway = case.plans[verdict.decision.plan_hash].gateway(anchor.chain).lower()
    if not anchor.chain.startswith(EVM_NAMESPACE) or _hex(gateway, _ADDRESS_BYTES) is None:
        return None
    return Asked(anchor.chain, gateway, verdict.decision_id, anchor.number)


@dataclass(frozen=True, slots=True)
class _Event:
    """One `LogAnchored`: the hash of the log's origin, and the checkpoint's size and root."""

    origin: bytes
    size: int
    root: bytes
    block: int
    tx: str


def _events(endpoint: Endpoint, asked: Asked) -> list[_Event]:
    """Read the events of an incident, in the order of the chain.

    Raises:
        RpcError: another chain, or it does not answer.
    """
    chain_id = _number(endpoint.call("eth_chainId", ()))
    if chain_id is None or f"{EVM_NAMESPACE}{chain_id}" != asked.chain:
        raise RpcError(f"expected an endpoint of {asked.chain}, got one of {EVM_NAMESPACE}{chain_id}")
    head = _number(endpoint.call("eth_blockNumber", ()))
    if head is None:
        raise RpcError("eth_blockNumber: expected a number, got another answer")
    return list(islice(filter(None, map(_event(asked), _logs(endpoint, asked, head))), MAX_ANCHORS))


def _logs(endpoint: Endpoint, asked: Asked, head: int) -> Iterator[object]:
    """Give the logs up to `head`, in ranges as wide as the endpoint allows; errors as `_events`."""
    start, width = asked.from_block, max(1, head - asked.from_block + 1)
    for _ in range(_MAX_REQUESTS):
        if start > head:
            return
        try:
            logs = endpoint.call("eth_getLogs", (_filter(asked, start, min(head, start + width - 1)),))
        except RpcError as error:
            if not error.is_refusal or width <= _LEAST_BLOCKS:
                raise
            width = max(_LEAST_BLOCKS, width // 8)
            continue
        yield from logs if isinstance(logs, list) else ()
        start += width
    raise RpcError(f"expected to be done after {_MAX_REQUESTS} requests, was at block {start} of {head}")


def _filter(asked: Asked, first: int, last: int) -> dict[str, object]:
    return {
        "address": asked.gateway,
        "fromBlock": hex(first),
        "toBlock": hex(last),
        "topics": [f"0x{LOG_ANCHORED.hex()}", f"0x{asked.incident.hex()}"],
    }


def _event(asked: Asked) -> Callable[[object], _Event | None]:
    """Give the reader of a log; what is not the event that was asked for is passed over."""

    def read(log: object) -> _Event | None:
        if not isinstance(log, Mapping) or str(log.get("address")).lower() != asked.gateway:
            return None
        topics = log.get("topics")
        words = [_hex(topic, _WORD) for topic in topics] if isinstance(topics, Sequence) else []
        data, block = _hex(log.get("data"), 2 * _WORD), _number(log.get("blockNumber"))
        tx = _hex(log.get("transactionHash"), _WORD)
        if words[:2] != [LOG_ANCHORED, asked.incident] or len(words) != 3:
            return None
        origin = words[2]
        if origin is None or data is None or block is None or tx is None:
            return None
        size = int.from_bytes(data[:_WORD], "big")
        return _Event(origin, size, data[_WORD:], block, tx.hex()) if size < _MAX_SIZE else None

    return read


def _story(case: Case, readers: Mapping[str, BackReader], asked: Asked, event: _Event) -> AnchorStory:
    origins = {sha256(origin.encode()): origin for origin in (*_origins(case), *readers)}
    origin = origins.get(Digest(event.origin))
    is_consistent, words = _judged(readers, origin, event)
    return AnchorStory(
        chain=asked.chain,
        gateway=asked.gateway,
        block_number=event.block,
        tx=event.tx,
        origin_hash=event.origin.hex(),
        log=None if origin is None else member_of_log(case, origin),
        size=event.size,
        root=event.root.hex(),
        is_consistent=is_consistent,
        words=words,
    )


def _origins(case: Case) -> Iterator[str]:
    """Give the names of all logs that members ever had (`proofs/SPEC.md` 3)."""
    for document in case.documents:
        for member in document.members:
            yield f"{document.name}/{member.name}"


def _judged(readers: Mapping[str, BackReader], origin: str | None, event: _Event) -> tuple[bool | None, str]:
    if origin is None:
        return None, "of no log of this network"
    reader = readers.get(origin)
    if reader is None:
        return None, "this log was not read"
    anchored = Checkpoint(origin, event.size, Digest(event.root))
    try:
        found = contradiction(reader.log(), anchored)
    except ProofError as error:
        return None, f"could not be told: {error.check}"
    except SourceError as error:
        return None, f"could not be told: {error.problem}"
    if found is None:
        return True, "the log that was read begins with it"
    check, problem = found
    if check == "rollback" and not reader.read.is_live:
        return None, "the copy that was read ends before it"
    return False, f"{check}: {problem}"


def _hex(value: object, length: int) -> bytes | None:
    if not isinstance(value, str) or not value.startswith("0x") or len(value) != 2 + 2 * length:
        return None
    try:
        return bytes.fromhex(value[2:])
    except ValueError:
        return None


def _number(value: object) -> int | None:
    found = _QUANTITY.fullmatch(value) if isinstance(value, str) else None
    return None if found is None else int(found[0], 16)
