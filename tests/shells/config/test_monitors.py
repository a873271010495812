"""`[[monitors]]` of node.toml (plans SPEC 1.6)."""

from __future__ import annotations

from pathlib import Path

import pytest

from relay.config import MonitorSettings, NodeDirectory, load_node
from relay.core.errors import ConfigError

PLAIN = """
format = "tocsin/node/1"
[network]
name = "acme"
[gossip]
listen = "/ip4/127.0.0.1/tcp/4001"
"""
WATCHER = """
[[monitors]]
name = "watcher"
secret_file = "secrets/watcher.secret"
plan = "bridge"
report = "attack"
reporter_key_file = "secrets/watcher.key"
"""


def load(tmp_path: Path, text: str) -> tuple[MonitorSettings, ...]:
    """Read a node.toml with these monitors."""
    directory = NodeDirectory(tmp_path, "acme")
    directory.create()
    directory.node_file.write_text(PLAIN + text)
    return load_node(directory.node_file).monitors


def test_monitors_are_read_with_paths_beside_node_toml(tmp_path: Path) -> None:
    other = WATCHER.replace('"watcher"', '"other"') + 'id_path = "alert.id"\n'
    folder = tmp_path.resolve() / "acme"

    first, second = load(tmp_path, WATCHER + other)

    files = (folder / "secrets/watcher.secret", folder / "secrets/watcher.key")
    assert first == MonitorSettings("watcher", files[0], "bridge", "attack", files[1])
    assert (second.name, second.id_path) == ("other", ("alert", "id"))


def test_a_node_without_monitors_has_none(tmp_path: Path) -> None:
    assert load(tmp_path, "") == ()


@pytest.mark.parametrize(
    ("text", "said"),
    [
        (WATCHER + WATCHER, r"monitors\[1\].name: expected a name of its own, got 'watcher'"),
        (WATCHER.replace('name = "watcher"', 'name = "Watcher 1"'), "expected lower-case letters"),
        (WATCHER.replace('plan = "bridge"\n', ""), r"monitors\[0\].plan: expected a value, got none"),
        (WATCHER + 'id_path = "alert..id"\n', "id_path: expected keys with a dot between them"),
        (WATCHER + "secret = 7\n", r"monitors\[0\].secret: expected a known key"),
        ("monitors = 7\n" + WATCHER.replace("[[monitors]]", "[other]"), "expected"),
    ],
)
def test_a_bad_key_is_named_with_what_was_expected(tmp_path: Path, text: str, said: str) -> None:
    with pytest.raises(ConfigError, match=said):
        load(tmp_path, text)
