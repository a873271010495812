"""Server-sent events: what watchers get, and what becomes of slow ones."""

from __future__ import annotations

import asyncio
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from pathlib import Path

import pytest

from relay.api import Api, ApiOptions
from tests.shells.api.quiet import quiet_ports

HEAD = b"GET /v1/events HTTP/1.1\r\nHost: localhost\r\n\r\n"


@asynccontextmanager
async def watching(api: Api) -> AsyncIterator[asyncio.StreamReader]:
    reader, writer = await asyncio.open_connection(*api.address)
    writer.write(HEAD)
    async with asyncio.timeout(10):
        await reader.readuntil(b": tocsin\n\n")
    yield reader
    writer.close()


@pytest.mark.asyncio
async def test_a_watcher_gets_every_update_in_order(tmp_path: Path) -> None:
    async with Api(ApiOptions(tmp_path), quiet_ports()) as api, watching(api) as reader:
        api.publish("incident", {"id": "first", "state": "open"})
        api.publish("incident", {"id": "first", "state": "certified"})

        async with asyncio.timeout(10):
            assert b'data: {"id":"first","state":"open"}' in await reader.readuntil(b'"}\n\n')
            assert (
                b'id: 2\nevent: incident\ndata: {"id":"first","state":"certified"}'
                in await reader.readuntil(b'"}\n\n')
            )


@pytest.mark.asyncio
async def test_a_quiet_stream_is_kept_alive(tmp_path: Path) -> None:
    options = ApiOptions(tmp_path, keepalive_s=0.02)
    async with Api(options, quiet_ports()) as api, watching(api) as reader, asyncio.timeout(10):
        assert await reader.readuntil(b": still here\n\n")


@pytest.mark.asyncio
async def test_a_watcher_that_does_not_read_is_cut_off_and_others_are_not_held_up(tmp_path: Path) -> None:
    update = {"id": "first", "note": "x" * 40_000}
    async with (
        Api(ApiOptions(tmp_path, stream_queue=4), quiet_ports()) as api,
        watching(api) as slow,
        watching(api) as quick,
    ):
        async with asyncio.timeout(20):
            for _ in range(1_000):  # 40 MB: more than the sockets of both sides hold
                api.publish("incident", update)
                await quick.readuntil(b"}\n\n")

        with pytest.raises((ConnectionResetError, asyncio.IncompleteReadError)):
            await slow.readexactly(1_000 * 40_000)


@pytest.mark.asyncio
async def test_watchers_are_bounded(tmp_path: Path) -> None:
    async with Api(ApiOptions(tmp_path, max_streams=1), quiet_ports()) as api, watching(api):
        reader, writer = await asyncio.open_connection(*api.address)
        writer.write(HEAD)
        async with asyncio.timeout(10):
            assert b"503" in await reader.readline()
        writer.close()


@pytest.mark.asyncio
async def test_closing_the_interface_ends_the_streams(tmp_path: Path) -> None:
    async with Api(ApiOptions(tmp_path), quiet_ports()) as api, watching(api) as reader:
        await api.__aexit__(None, None, None)

        async with asyncio.timeout(10):
            assert (await reader.read()).endswith(b"0\r\n\r\n")
