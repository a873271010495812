"""The outbox keeps what was signed: for its own chain and key, through a crash, or not at all."""

from __future__ import annotations

from pathlib import Path

import pytest

from relay.core.errors import JournalError
from relay.core.types import Address, Caip2
from relay.disk import CommitPoint
from relay.journal import Outbox

CHAIN, ALICE = Caip2("eip155:1"), Address(b"\x0a" * 20)


@pytest.mark.asyncio
async def test_what_was_put_is_there_after_a_restart_in_order(tmp_path: Path) -> None:
    path = tmp_path / "state" / "outbox.sqlite"
    async with Outbox.open(path) as outbox:
        store = outbox.of(CHAIN, ALICE)
        for nonce in (9, 7, 8, 7):
            await store.put(nonce, b"row %d" % nonce)
        await store.put(9, b"another")
        await store.drop(8)
        await store.drop(70)

    async with Outbox.open(path) as outbox:
        rows = await outbox.of(CHAIN, ALICE).rows()

    assert list(rows.items()) == [(7, b"row 7"), (9, b"another")]


@pytest.mark.asyncio
async def test_chains_and_keys_do_not_see_each_other(tmp_path: Path) -> None:
    async with Outbox.open(tmp_path / "outbox.sqlite") as outbox:
        await outbox.of(CHAIN, ALICE).put(1, b"row")
        others = [outbox.of(Caip2("eip155:2"), ALICE), outbox.of(CHAIN, Address(b"\x0b" * 20))]
        for other in others:
            await other.drop(1)

        assert [await other.rows() for other in others] == [{}, {}]
        assert await outbox.of(CHAIN, ALICE).rows() == {1: b"row"}


@pytest.mark.asyncio
@pytest.mark.parametrize(("point", "left"), [(CommitPoint.BEFORE, {}), (CommitPoint.AFTER, {1: b"row"})])
async def test_a_row_whose_write_failed_is_whole_or_absent(
    tmp_path: Path, point: CommitPoint, left: dict[int, bytes]
) -> None:
    path = tmp_path / "outbox.sqlite"

    def probe(step: str) -> None:
        if step == point:
            raise OSError("the disk is gone")

    async with Outbox.open(path, probe=probe) as outbox:
        with pytest.raises(JournalError):
            await outbox.of(CHAIN, ALICE).put(1, b"row")
        with pytest.raises(JournalError):
            await outbox.of(CHAIN, ALICE).put(2, b"later")

    async with Outbox.open(path) as outbox:
        assert await outbox.of(CHAIN, ALICE).rows() == left
