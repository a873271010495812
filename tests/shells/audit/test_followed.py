"""What a follower remembers: it cannot be altered unseen, nor lost half way."""

from __future__ import annotations

import json
import os
import shutil
from pathlib import Path

import pytest

from relay.audit.followed import MAX_STATE_BYTES, following
from relay.core.errors import ConfigError
from tests.shells.audit.followed_house import House
from tests.shells.audit.logs import entries_of


@pytest.mark.parametrize(
    "content",
    [
        b"",
        b"{}",
        b"[" * 100_000,
        b"\xff",
        bytes(MAX_STATE_BYTES + 1),
        b'{"schema": 1, "schema": 2}',
        b'{"x": 1' + b"0" * 5_000 + b"}",
    ],
    ids=["empty", "other", "deep", "no text", "long", "twice", "number"],
)
def test_a_state_of_another_form_is_a_usage_error_with_a_way_out(house: House, content: bytes) -> None:
    house.look()
    (path,) = house.state.glob("net.alice-*.json")
    path.write_bytes(content)

    with pytest.raises(ConfigError, match="move it away") as caught:
        house.look()

    assert caught.value.where == str(path)
    assert path.read_bytes() == content


@pytest.mark.parametrize("field", ["schema", "vkey", "note", "seen_at_s", "behind_since_s"])
def test_an_altered_state_is_not_taken_for_one(house: House, field: str) -> None:
    house.look()
    (path,) = house.state.glob("net.alice-*.json")
    state = json.loads(path.read_text())
    for value in ("other", -1, [], state["note"].replace("\n300\n", "\n299\n") if field == "note" else True):
        path.write_text(json.dumps(state | {field: value}))
        with pytest.raises(ConfigError):
            house.look()
    path.write_text(json.dumps({key: value for key, value in state.items() if key != field}))
    with pytest.raises(ConfigError):
        house.look()


def test_what_is_remembered_of_one_log_is_not_another_ones(house: House) -> None:
    house.look()
    (alice,), (bob,) = house.state.glob("net.alice-*.json"), house.state.glob("net.bob-*.json")
    shutil.copyfile(alice, bob)

    with pytest.raises(ConfigError):
        house.look()


def test_the_state_is_written_whole_or_not_at_all(house: House, monkeypatch: pytest.MonkeyPatch) -> None:
    house.look()
    house.alice.publish(entries_of(700))

    def full(_source: object, _target: object) -> None:
        raise OSError(28, "no space left on device")

    with monkeypatch.context() as patched:
        patched.setattr(Path, "replace", full)
        with pytest.raises(OSError, match="no space"):
            house.look()

    assert house.look().logs[0].grown == 400


def test_two_followers_of_one_state_do_not_work_at_once(house: House) -> None:
    with following(house.state), pytest.raises(ConfigError, match=str(os.getpid())), following(house.state):
        raise AssertionError
