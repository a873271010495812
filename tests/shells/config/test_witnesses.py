"""`[log]` of node.toml: outside witnesses (relay/witness/SPEC.md 2)."""

from __future__ import annotations

from pathlib import Path

import pytest

from proofs.note import KeyKind, format_verifier_key, verifier_key
from relay.config import NodeDirectory, WitnessSettings, load_node
from relay.core.errors import ConfigError
from tests.shells.config.test_monitors import PLAIN

KEY = verifier_key("witness.example/w1", KeyKind.COSIGNATURE, bytes(range(32)))
VKEY = format_verifier_key(KEY)


def load(tmp_path: Path, text: str) -> tuple[WitnessSettings, ...]:
    directory = NodeDirectory(tmp_path, "acme")
    directory.create()
    directory.node_file.write_text(PLAIN + text)
    return load_node(directory.node_file).witnesses


def entry(vkey: str = VKEY, url: str = "https://witness.example/prefix/") -> str:
    return f'[[log.witnesses]]\nvkey = "{vkey}"\nurl = "{url}"\n'


def test_witnesses_are_read(tmp_path: Path) -> None:
    assert load(tmp_path, "") == ()
    assert load(tmp_path, entry()) == (WitnessSettings(KEY, "https://witness.example/prefix"),)


def test_they_may_stand_in_one_line(tmp_path: Path) -> None:
    text = f'[log]\nwitnesses = [{{ vkey = "{VKEY}", url = "http://127.0.0.1:7380" }}]\n'

    assert load(tmp_path, text) == (WitnessSettings(KEY, "http://127.0.0.1:7380"),)


LOG_KEY = format_verifier_key(verifier_key("w", KeyKind.ED25519, bytes(32)))


@pytest.mark.parametrize(
    ("text", "where", "problem"),
    [
        (entry("nonsense"), "vkey", "expected a verifier key, got note-key: expected name"),
        (entry(VKEY.replace("+", "+0", 1)), "vkey", "expected a verifier key"),
        (entry(LOG_KEY), "vkey", "expected a key that cosigns"),
        (entry(url="ftp://witness.example"), "url", "expected http"),
        (entry(url="https://"), "url", "expected http"),
        (entry(url="https://user@witness.example"), "url", "expected http"),
        (entry(url="https://witness.example?x=1"), "url", "expected http"),
        (entry() + entry(), "vkey", "expected each witness once"),
        ('[log]\nwitness = "x"\n', "log.witness", "expected a known key"),
        ('[[log.witnesses]]\nurl = "https://x"\n', "vkey", "expected a value"),
        (entry() * 17, "witnesses", "expected at most 16"),
    ],
)
def test_what_is_wrong_is_named(tmp_path: Path, text: str, where: str, problem: str) -> None:
    with pytest.raises(ConfigError) as caught:
        load(tmp_path, text)

    assert where in caught.value.where
    assert problem in caught.value.problem
