"""An outside witness over HTTP: here, the door of another node."""

from __future__ import annotations

from pathlib import Path

import pytest

from proofs.witness import Answer, Cosigned, read_answer
from relay.api import Api, ApiOptions, LogPorts
from relay.witness.outside import OutsideWitness
from relay.witness.pushing import WitnessSilent
from tests.shells.api.quiet import quiet_ports
from tests.shells.witness.circle import committee_of, key_of_cosigner, open_desk, story_of

pytestmark = pytest.mark.asyncio
COMMITTEE = committee_of()
BOB = key_of_cosigner(COMMITTEE, "bob")


async def test_an_outside_witness_cosigns(tmp_path: Path) -> None:
    story = story_of(COMMITTEE, "alice", 3)
    async with (
        open_desk(tmp_path / "w", COMMITTEE, "bob") as desk,
        Api(ApiOptions(tmp_path), quiet_ports(), log=LogPorts(add_checkpoint=desk.add_checkpoint)) as api,
    ):
        status, body = await OutsideWitness(BOB, api.url + "/").ask(story.request())

    assert isinstance(read_answer(status, body, (story.checkpoint(), BOB)), Cosigned)


async def test_who_does_not_answer_or_says_too_much_is_silent(tmp_path: Path) -> None:
    async def talk(_raw: bytes) -> Answer:
        return Answer(200, bytes(1 << 17))

    async with Api(ApiOptions(tmp_path), quiet_ports(), log=LogPorts(add_checkpoint=talk)) as api:
        url = api.url
        with pytest.raises(WitnessSilent, match="too large"):
            await OutsideWitness(BOB, url).ask(b"old 0\n")
    with pytest.raises(WitnessSilent, match="no answer"):
        await OutsideWitness(BOB, url).ask(b"old 0\n")
