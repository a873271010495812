"""The verifier behind a gateway: its keys, and whether it holds any that it does not show.

Code alone does not say who made a contract's storage: another constructor can return our code and leave a
key epoch of its own behind, under a number that nobody asks for. So the root over the verifier's storage is
compared with that of the epochs which it tells, and of nothing else.
"""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from dataclasses import replace

from adapters.evm.abi import parse_address
from adapters.evm.office import fields
from adapters.evm.office.code import code_report, verifier_creation
from adapters.evm.office.contract import verifier
from adapters.evm.office.desk import Answer, Desk
from adapters.evm.office.terms import address_text
from adapters.evm.receipts import trie_root
from adapters.evm.rpc import Rpc
from proofs.hashes import keccak256
from proofs.rlp import encode_rlp, integer_bytes
from relay.core.gateway_report import KeyEpochReport, VerifierReport
from relay.core.types import Header

MAX_ATTESTERS = 256
MAX_EPOCHS = 256
"""Epochs before the one in force that are asked for: of a verifier with more, nothing is said."""
_EPOCH_LIMIT = 1 << 32
_BASE = ("network", "rotationDelay", "overlap", "keyEpoch")
# Where the compiler puts what `TocsinVerifier` keeps.
_NEWEST_SLOT, _EPOCHS_SLOT = 0, 1
_STOP = b"\x00"
"""The first byte of code that never runs, and so never destroys itself."""
_Epochs = Mapping[int, Mapping[str, object]]


async def verifier_report(rpc: Rpc, at: Header, address: str | None) -> VerifierReport | None:
    """All that a verifier tells; None where nothing at the address answers as one."""
    if address is None:
        return None
    desk = Desk(rpc, at, address, verifier())
    code = await desk.code()
    network, delay, overlap, in_force = await desk.ask([(name, ()) for name in _BASE])
    if not code or network is None or delay is None or overlap is None or in_force is None:
        return None
    epoch = fields.whole(in_force, "0")
    answers = await _epochs(desk, epoch)
    before, now, after = (_epoch(number, answers.get(number)) for number in range(epoch - 1, epoch + 2))
    if now is None:
        return None
    report = VerifierReport(
        address=address,
        code=code_report(code, verifier(), None),
        network=fields.octets(network, "0"),
        rotation_delay_s=fields.whole(delay, "0"),
        overlap_s=fields.whole(overlap, "0"),
        current=now,
        previous=before if before is not None and before.valid_until >= at.block.timestamp else None,
        pending=after,
        is_complete=None,
    )
    if not report.code.is_ours:
        return report
    rebuilt = await desk.created(verifier_creation(verifier(), report))
    return replace(
        report,
        code=code_report(code, verifier(), rebuilt),
        is_complete=await _is_complete(desk, at, epoch, answers),
    )


async def _epochs(desk: Desk, epoch: int) -> dict[int, Mapping[str, object]]:
    """What is told of the epochs up to the next one that were ever stored."""
    numbers = range(max(0, epoch - MAX_EPOCHS), min(epoch + 2, _EPOCH_LIMIT))
    answers = await desk.ask([("epochKeys", (number,)) for number in numbers])
    return {
        number: answer
        for number, answer in zip(numbers, answers, strict=True)
        if answer is not None and fields.somebody(_keeper(answer)) is not None
    }


def _keeper(answer: Mapping[str, object]) -> str:
    """The account whose code lists an epoch's attesters."""
    return fields.text(fields.struct(answer, "keys"), "attesters")


def _epoch(number: int, answer: Answer) -> KeyEpochReport | None:
    if answer is None:
        return None
    keys, attesters = fields.struct(answer, "keys"), fields.items(answer, "attesters")
    if not attesters or len(attesters) > MAX_ATTESTERS:
        return None
    return KeyEpochReport(
        epoch=number,
        attesters=tuple(address_text(str(attester)) for attester in attesters),
        fast=fields.whole(keys, "fast"),
        full=fields.whole(keys, "full"),
        valid_from=fields.whole(keys, "validFrom"),
        valid_until=fields.whole(keys, "validUntil"),
        fast_key=_group_key(keys, "frostFast"),
        full_key=_group_key(keys, "frostFull"),
    )


def _group_key(keys: Mapping[str, object], name: str) -> bytes | None:
    """A tier's group key, compressed; None where there is none, or what is told is no compressed point."""
    x, parity = fields.whole(keys, name), fields.whole(keys, f"{name}Parity")
    return bytes([parity]) + _word(x) if x and parity in (2, 3) else None


# ---- what it does not show


async def _is_complete(desk: Desk, at: Header, epoch: int, answers: _Epochs) -> bool | None:
    """Whether no key is accepted, now or later, but those of the epochs around the one in force."""
    told = await desk.storage_root()
    if told is None or (epoch > MAX_EPOCHS and epoch - MAX_EPOCHS in answers):
        return None
    keepers = await desk.codes([_keeper(answer) for answer in answers.values()])
    ended = all(
        fields.whole(fields.struct(answer, "keys"), "validUntil") < at.block.timestamp
        for number, answer in answers.items()
        if number < epoch - 1
    )
    return ended and all(code[:1] == _STOP for code in keepers) and told == storage_root(answers)


def storage_root(epochs: _Epochs) -> bytes:
    """The root over the storage of a verifier that holds these epochs, given as `epochKeys` does."""
    words = {_NEWEST_SLOT: max(epochs)}
    for number, answer in epochs.items():
        words.update(_words(number, fields.struct(answer, "keys")))
    return trie_root(
        {
            keccak256(_word(slot)): encode_rlp(integer_bytes(value))
            for slot, value in words.items()
            if value != 0
        }
    )


def _words(number: int, keys: Mapping[str, object]) -> Iterator[tuple[int, int]]:
    """The three slots of an epoch: the top bit of a threshold is that of the group key with an odd y."""
    first = epoch_slot(number)
    packed = int.from_bytes(parse_address(fields.text(keys, "attesters"), "attesters"), "big")
    for name, shift in (("fast", 160), ("full", 168), ("validFrom", 176), ("validUntil", 216)):
        packed |= fields.whole(keys, name) << shift
    for name, shift in (("frostFastParity", 167), ("frostFullParity", 175)):
        packed |= (fields.whole(keys, name) & 1) << shift
    group_keys = (fields.whole(keys, "frostFast"), fields.whole(keys, "frostFull"))
    for place, word in enumerate((packed, *group_keys)):
        yield first + place, word


def epoch_slot(number: int) -> int:
    """Where an epoch begins in the verifier's storage."""
    return int.from_bytes(keccak256(_word(number) + _word(_EPOCHS_SLOT)), "big")


def _word(value: int) -> bytes:
    return value.to_bytes(32, "big")


__all__ = ["epoch_slot", "storage_root", "verifier_report"]
