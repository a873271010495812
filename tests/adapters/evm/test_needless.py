"""A mandate that would change nothing at the real gateway is kept back, not sent, until it would."""

import pytest
import pytest_asyncio

from relay.core.ports import SubmissionStatus
from tests.adapters.evm.door import Key, build_door


@pytest_asyncio.fixture
async def door(bench):
    return await build_door(bench)


@pytest.mark.asyncio
async def test_what_somebody_else_protects_already_is_not_sent_until_he_stops(door):
    await door.call(door.replica, "pause")
    call = await door.protect()

    while_paused = await door.submit(call)

    assert (while_paused.status, while_paused.reason) == (SubmissionStatus.NEEDLESS, "already protected")
    assert (while_paused.tx, door.key.signed) == (None, 0)

    await door.call(door.replica, "unpause")

    assert (await door.submit_automined(call)).status is SubmissionStatus.LANDED


@pytest.mark.asyncio
async def test_a_mandate_that_another_member_landed_is_not_sent_again(door):
    call = await door.protect()
    first = await door.submit_automined(call)
    assert first.status is SubmissionStatus.LANDED, first

    door.key = Key()
    second = await door.submit(call)

    assert second.status is SubmissionStatus.NEEDLESS, second
    assert door.key.signed == 0
