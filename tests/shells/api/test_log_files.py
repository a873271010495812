"""The audit log over HTTP: what is served, how long it may be kept, and what cannot be named."""

from __future__ import annotations

from collections.abc import AsyncIterator, Mapping
from pathlib import Path

import aiohttp
import pytest
import pytest_asyncio

from relay.api import Api, ApiOptions
from tests.shells.api.quiet import quiet_ports


@pytest_asyncio.fixture
async def raw_get(tmp_path: Path) -> AsyncIterator[object]:
    log = tmp_path / "log"
    for name, content in {
        "checkpoint": b"note\n",
        "tile/0/000": b"full",
        "tile/0/x001/234": b"deep",
        "tile/0/001.p/7": b"partial",
        "tile/entries/000": b"entries",
    }.items():
        (log / name).parent.mkdir(parents=True, exist_ok=True)
        (log / name).write_bytes(content)
    (tmp_path / "secret").write_text("seed")
    (log / "tile/1").mkdir()
    (log / "tile/1/000").symlink_to(tmp_path / "secret")
    async with Api(ApiOptions(log), quiet_ports()) as api, aiohttp.ClientSession() as client:

        async def get(path: str) -> tuple[int, bytes, Mapping[str, str]]:
            # encoded=True: the path goes out as written, dots and all.
            async with client.get(aiohttp.client.URL(api.url + path, encoded=True)) as answer:
                return answer.status, await answer.read(), dict(answer.headers)

        yield get


@pytest.mark.asyncio
@pytest.mark.parametrize(
    ("path", "content", "caching"),
    [
        ("/checkpoint", b"note\n", "no-cache"),
        ("/tile/0/000", b"full", "public, max-age=31536000, immutable"),
        ("/tile/0/x001/234", b"deep", "public, max-age=31536000, immutable"),
        ("/tile/0/001.p/7", b"partial", "public, max-age=5"),
        ("/tile/entries/000", b"entries", "public, max-age=31536000, immutable"),
    ],
)
async def test_full_tiles_may_be_kept_for_ever(raw_get, path: str, content: bytes, caching: str) -> None:
    status, body, headers = await raw_get(path)

    assert (status, body, headers["Cache-Control"]) == (200, content, caching)


@pytest.mark.asyncio
@pytest.mark.parametrize(
    "path",
    [
        "/tile/../../secret",
        "/tile/%2e%2e/%2e%2e/secret",
        "/tile/0/..%2f..%2f..%2fsecret",
        "/tile/0/000/../../../../secret",
        "/tile//etc/passwd",
        "/tile/0/%00",
        "/tile/1/000",
        "/tile/0/000.p/256",
        "/tile/0/000.p/0",
        "/tile/64/000",
        "/tile/0/00",
        "/tile/0/999",
        "/tile/0",
        "/secret",
    ],
)
async def test_nothing_outside_the_log_can_be_named(raw_get, path: str) -> None:
    status, body, _ = await raw_get(path)

    assert status == 404
    assert b"seed" not in body
