"""The interface to ceremonies: who may ask, what is refused by name, what reaches the node."""

from __future__ import annotations

import json
from collections.abc import AsyncIterator, Mapping
from contextlib import asynccontextmanager
from dataclasses import dataclass, field
from pathlib import Path

import aiohttp
import pytest

from relay.api import (
    Api,
    ApiOptions,
    CeremonyDeed,
    CeremonyKind,
    CeremonyPorts,
    CeremonyRefused,
    ProposalRequest,
    RotationWindow,
)
from tests.shells.api.quiet import quiet_ports

TOKEN = b"the-token"
ID = "ab" * 32
ASKED = {
    "kind": "dkg",
    "committee": "cd" * 32,
    "without": ["dave"],
    "deadline_s": 60,
    "rotation": {"not_before": 5, "not_after": 9, "revoke": True},
}


@dataclass
class Desk:
    """A node's ceremonies, as far as the interface sees them."""

    proposed: list[ProposalRequest] = field(default_factory=list)
    done: list[tuple[bytes, CeremonyDeed]] = field(default_factory=list)
    refusal: CeremonyRefused | None = None

    async def propose(self, request: ProposalRequest) -> str:
        if self.refusal is not None:
            raise self.refusal
        self.proposed.append(request)
        return ID

    async def act(self, ceremony: bytes, deed: CeremonyDeed) -> None:
        if self.refusal is not None:
            raise self.refusal
        self.done.append((ceremony, deed))


@dataclass
class Setup:
    url: str
    desk: Desk
    client: aiohttp.ClientSession

    async def ask(
        self, path: str, body: object = None, token: bytes | None = TOKEN
    ) -> tuple[int, Mapping[str, object]]:
        headers = {} if token is None else {"Authorization": f"Bearer {token.decode()}"}
        method = "GET" if body is None else "POST"
        raw = body if isinstance(body, bytes) else json.dumps(body).encode()
        async with self.client.request(method, self.url + path, data=raw, headers=headers) as answer:
            document = json.loads(await answer.read())
            return answer.status, document


@asynccontextmanager
async def serving(tmp_path: Path, per_minute: int = 30) -> AsyncIterator[Setup]:
    desk = Desk()
    ports = CeremonyPorts(
        overview=lambda: {"keys": None},
        ceremonies=lambda: [{"id": ID, "kind": "dkg"}],
        propose=desk.propose,
        act=desk.act,
    )
    options = ApiOptions(tmp_path, token=TOKEN, ceremony_requests_per_minute=per_minute)
    async with Api(options, quiet_ports(), ports) as api, aiohttp.ClientSession() as client:
        yield Setup(api.url, desk, client)


@pytest.mark.asyncio
async def test_ceremonies_are_listed_and_shown(tmp_path: Path) -> None:
    async with serving(tmp_path) as setup:
        status, listed = await setup.ask("/v1/ceremonies", token=None)
        assert (status, listed["schema"], listed["keys"]) == (200, "tocsin/ceremonies/1", None)
        assert listed["ceremonies"] == [{"id": ID, "kind": "dkg"}]

        status, one = await setup.ask(f"/v1/ceremonies/{ID}", token=None)
        assert (status, one["schema"], one["ceremony"]) == (
            200,
            "tocsin/ceremony/1",
            {"id": ID, "kind": "dkg"},
        )


@pytest.mark.asyncio
@pytest.mark.parametrize("name", ["cd" * 32, "ab", "zz" * 32])
async def test_an_unknown_ceremony_is_not_found(tmp_path: Path, name: str) -> None:
    async with serving(tmp_path) as setup:
        assert (await setup.ask(f"/v1/ceremonies/{name}"))[0] == 404


@pytest.mark.asyncio
async def test_a_proposal_reaches_the_node_as_it_was_asked_for(tmp_path: Path) -> None:
    async with serving(tmp_path) as setup:
        status, answer = await setup.ask("/v1/ceremonies", ASKED)

        assert (status, answer["id"]) == (202, ID)
        expected = ProposalRequest(
            CeremonyKind.DKG, b"\xcd" * 32, ("dave",), (), (), 60, RotationWindow(5, 9, revoke=True)
        )
        assert setup.desk.proposed == [expected]


@pytest.mark.asyncio
@pytest.mark.parametrize("deed", list(CeremonyDeed))
async def test_a_deed_names_its_ceremony_in_full(tmp_path: Path, deed: CeremonyDeed) -> None:
    async with serving(tmp_path) as setup:
        assert (await setup.ask(f"/v1/ceremonies/{ID}/{deed}", {}))[0] == 202
        assert (await setup.ask(f"/v1/ceremonies/{ID[:8]}/{deed}", {}))[0] == 404

        assert setup.desk.done == [(bytes.fromhex(ID), deed)]


@pytest.mark.asyncio
async def test_without_the_token_nothing_is_done(tmp_path: Path) -> None:
    async with serving(tmp_path) as setup:
        for path in ("/v1/ceremonies", f"/v1/ceremonies/{ID}/join", f"/v1/ceremonies/{ID}/drop"):
            assert (await setup.ask(path, ASKED, token=b"wrong"))[0] == 401

        assert (setup.desk.proposed, setup.desk.done) == ([], [])


@pytest.mark.asyncio
async def test_a_refusal_is_told_with_its_remedy(tmp_path: Path) -> None:
    async with serving(tmp_path) as setup:
        setup.desk.refusal = CeremonyRefused("expected a share to deal, got none", "join as a receiver")
        for path in ("/v1/ceremonies", f"/v1/ceremonies/{ID}/join"):
            status, problem = await setup.ask(path, ASKED)
            assert (status, problem["detail"]) == (422, "expected a share to deal, got none")
            assert problem["remedy"] == "join as a receiver"


@pytest.mark.asyncio
async def test_deeds_are_counted(tmp_path: Path) -> None:
    async with serving(tmp_path, per_minute=2) as setup:
        answers = [(await setup.ask(f"/v1/ceremonies/{ID}/join", {}))[0] for _ in range(3)]

        assert answers == [202, 202, 429]


@pytest.mark.asyncio
@pytest.mark.parametrize(
    ("changes", "named"),
    [
        ({"kind": "both"}, "kind"),
        ({"kind": None}, "kind"),
        ({"committee": "cd"}, "committee"),
        ({"committee": 7}, "committee"),
        ({"without": "dave"}, "without"),
        ({"without": ["x" * 65]}, "without"),
        ({"without": ["x"] * 51}, "without"),
        ({"replace": [7]}, "replace"),
        ({"deadline_s": 4}, "deadline_s"),
        ({"deadline_s": True}, "deadline_s"),
        ({"deadline_s": 7 * 86_400 + 1}, "deadline_s"),
        ({"rotation": []}, "rotation"),
        ({"rotation": {"not_before": 1}}, "not_after"),
        ({"rotation": {"not_before": 1, "not_after": 2, "revoke": 1}}, "revoke"),
        ({"surprise": 1}, "surprise"),
    ],
)
async def test_a_malformed_proposal_is_refused_by_name(
    tmp_path: Path, changes: Mapping[str, object], named: str
) -> None:
    async with serving(tmp_path) as setup:
        status, problem = await setup.ask("/v1/ceremonies", {**ASKED, **changes})

        assert status == 422
        assert named in str(problem["detail"])
        assert setup.desk.proposed == []
