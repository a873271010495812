"""`[readiness]` of node.toml."""

from __future__ import annotations

from pathlib import Path

import pytest

from relay.config import (
    ChainTemplate,
    EndpointTemplate,
    NodeTemplate,
    ReadinessSettings,
    load_node,
    render_node,
)
from relay.core.errors import ConfigError


def written(folder: Path, readiness: str | ReadinessSettings | None) -> Path:
    """A node's file with this table."""
    endpoints = (
        EndpointTemplate("a", url="http://127.0.0.1:1"),
        EndpointTemplate("b", url="http://127.0.0.1:2"),
    )
    settings = readiness if isinstance(readiness, ReadinessSettings) else None
    template = NodeTemplate(
        "acme", "/ip4/127.0.0.1/tcp/1", (ChainTemplate("eip155:1", endpoints),), readiness=settings
    )
    file = folder / "acme" / "node.toml"
    file.parent.mkdir()
    more = f"\n[readiness]\n{readiness}\n" if isinstance(readiness, str) else ""
    file.write_text(render_node(template) + more)
    return file


def test_without_a_table_the_defaults_hold(tmp_path: Path) -> None:
    assert load_node(written(tmp_path, None)).readiness == ReadinessSettings(60_000, 3, "current")


def test_what_is_written_is_read(tmp_path: Path) -> None:
    settings = ReadinessSettings(every_ms=5_000, funded_rounds=10, fee="cap")

    assert load_node(written(tmp_path, settings)).readiness == settings


@pytest.mark.parametrize(
    ("line", "said"),
    [
        ("every_ms = 999", "every_ms: expected an integer from 1000 to 3600000, got 999"),
        ("every_ms = true", "every_ms: expected an integer"),
        ("funded_rounds = -1", "funded_rounds: expected an integer from 0 to 1000"),
        ('fee = "double"', "fee: expected current or cap, got 'double'"),
        ("evry_ms = 5000", "did you mean every_ms"),
    ],
)
def test_what_is_wrong_is_named(tmp_path: Path, line: str, said: str) -> None:
    with pytest.raises(ConfigError) as refused:
        load_node(written(tmp_path, line))

    assert said in str(refused.value)
