"""`POST /add-checkpoint` as a log of another party meets it (C2SP tlog-witness), and `/v1/log`."""

from __future__ import annotations

import zlib
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from pathlib import Path

import aiohttp
import pytest

from proofs.checkpoint import checkpoint_text
from proofs.note import Note, parse_signatures, verify_note
from proofs.witness import MAX_REQUEST_BYTES, AddCheckpoint, format_add_checkpoint
from relay.api import Api, ApiOptions, LogPorts
from tests.shells.api.quiet import quiet_ports
from tests.shells.witness.circle import Secrets, Story, committee_of, key_of_cosigner, open_desk, story_of

pytestmark = pytest.mark.asyncio
COMMITTEE = committee_of()
STORY = story_of(COMMITTEE, "alice", 20)


class Asker:
    """Posts to one node; the clock of its bounds stands still."""

    def __init__(self, api: Api, client: aiohttp.ClientSession) -> None:
        self.api = api
        self.client = client

    async def post(self, raw: bytes) -> tuple[int, str, bytes]:
        async with self.client.post(f"{self.api.url}/add-checkpoint", data=raw) as answer:
            return answer.status, answer.headers["Content-Type"], await answer.read()


@asynccontextmanager
async def asking(folder: Path, host: str = "127.0.0.1") -> AsyncIterator[Asker]:
    options = ApiOptions(folder, host=host, token=b"the-token")
    async with open_desk(folder / "w", COMMITTEE, "bob") as desk:
        ports = LogPorts(log=lambda: {"witnessed": []}, add_checkpoint=desk.add_checkpoint)
        async with (
            Api(options, quiet_ports(), log=ports, clock_s=lambda: 0.0) as api,
            aiohttp.ClientSession() as client,
        ):
            yield Asker(api, client)


async def test_a_log_is_cosigned_without_a_token_also_where_others_need_one(tmp_path: Path) -> None:
    async with asking(tmp_path, "0.0.0.0") as bob:
        url = f"http://127.0.0.1:{bob.api.address[1]}"
        async with bob.client.post(f"{url}/add-checkpoint", data=STORY.request(0, 7)) as answer:
            status, body = answer.status, await answer.read()
        async with bob.client.get(f"{url}/v1/log") as closed:
            assert closed.status == 401

    key = key_of_cosigner(COMMITTEE, "bob")
    note = Note(checkpoint_text(STORY.checkpoint(7)), parse_signatures(body.decode()))
    assert status == 200
    assert [each.key for each in verify_note(note, [key])] == [key]


async def test_each_refusal_has_its_status_and_type(tmp_path: Path) -> None:
    forged = Story(STORY.key, Secrets("mallory").log, STORY.entries)
    stranger = story_of(committee_of(network="other"), "alice", 3)
    text = "text/plain; charset=utf-8"
    async with asking(tmp_path) as bob:
        assert (await bob.post(STORY.request(0, 5)))[:2] == (200, text)
        assert await bob.post(STORY.request(3, 9)) == (409, "text/x.tlog.size", b"5\n")
        for raw, status in [
            (b"nonsense", 400),
            (format_add_checkpoint(AddCheckpoint(10, (), STORY.note(9))), 400),
            (forged.request(5, 9), 403),
            (stranger.request(), 404),
            (format_add_checkpoint(AddCheckpoint(5, (), STORY.note(9))), 422),
        ]:
            assert (await bob.post(raw))[:2] == (status, text)
        assert (await bob.post(bytes(MAX_REQUEST_BYTES + 1)))[0] == 413
        async with bob.client.get(f"{bob.api.url}/add-checkpoint") as answer:
            assert answer.status == 405


async def test_too_many_requests_are_turned_away(tmp_path: Path) -> None:
    async with asking(tmp_path) as bob:
        statuses = [(await bob.post(b"nonsense"))[0] for _ in range(22)]

    assert statuses == [400] * 20 + [429] * 2


async def test_a_body_is_taken_as_it_was_sent_and_inflated_for_nobody(tmp_path: Path) -> None:
    small = zlib.compress(STORY.request(0, 5))
    async with asking(tmp_path) as bob:
        where, headers = f"{bob.api.url}/add-checkpoint", {"Content-Encoding": "deflate"}
        async with bob.client.post(where, data=small, headers=headers) as answer:
            assert answer.status == 400


async def test_what_is_known_of_logs_is_told(tmp_path: Path) -> None:
    async with asking(tmp_path) as bob, bob.client.get(f"{bob.api.url}/v1/log") as answer:
        assert await answer.json() == {"schema": "tocsin/log/1", "witnessed": []}
