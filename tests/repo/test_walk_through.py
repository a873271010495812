"""The plan that the README writes in ten minutes: its commands, run as they stand, give what it shows."""

from __future__ import annotations

import re
import shlex
import subprocess
from collections.abc import Iterator
from pathlib import Path

import pytest

from relay.cli.settings import Answer
from tests.cli.calls import tocsin

ROOT = Path(__file__).parents[2]
SECTION = re.compile(r"^### Write a plan in ten minutes$.*?(?=^#{2,3} )", re.MULTILINE | re.DOTALL)
BLOCK = re.compile(r"^```\n(.*?)^```$", re.MULTILINE | re.DOTALL)
CHAIN = "127.0.0.1:PORT"
PRACTICE = "tocsin demo --practice vault.plan.toml"


def blocks() -> list[list[str]]:
    """The lines of each fenced block of the section, in order."""
    [section] = SECTION.findall((ROOT / "README.md").read_text())
    return [block.splitlines() for block in BLOCK.findall(section)]


def commands() -> Iterator[tuple[str, list[str]]]:
    """Every command with the lines that the page shows of its answer; a comment is none of it."""
    found: list[tuple[str, list[str]]] = []
    for lines in blocks():
        if re.match(r"(tocsin|sed) ", lines[0]):
            found += [(re.split(r"\s{2,}#", line)[0], []) for line in lines]
        else:
            found[-1][1].extend(line for line in lines if line != "…")
    yield from found


def run(command: str) -> str:
    """Run a command in this folder, into a file where it says so; gives what it printed."""
    command, _, file = command.partition(" > ")
    program, *words = shlex.split(command)
    if program != "tocsin":
        return subprocess.run([program, *words], check=True, capture_output=True, text=True).stdout
    said = tocsin(*words)
    assert said.code == Answer.YES, f"{command}: {said.out}{said.err}"
    if file:
        Path(file).write_text(said.out)
    return said.out


def spaced(text: str) -> str:
    return " ".join(text.split())


def is_quick(command: str) -> bool:
    return CHAIN not in command and command != PRACTICE and "backtest" not in command


def test_the_commands_of_the_walk_through_give_what_the_readme_shows(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.chdir(tmp_path)
    compared = 0
    for command, shown in commands():
        if not is_quick(command):
            continue

        answer = spaced(run(command))

        for line in shown:
            assert spaced(line) in answer, f"{command}\n{answer}"
            compared += 1

    assert compared
    assert {"vault.plan.toml", "vault.csv"} <= {file.name for file in tmp_path.iterdir()}


@pytest.mark.slow
def test_the_back_test_of_the_walk_through_prints_the_figures_of_the_readme_and_prices_the_page(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.chdir(tmp_path)
    for command, shown in commands():
        if CHAIN in command or command == PRACTICE:
            continue
        answer = spaced(run(command))
        assert shown or "--json" in command or "plan backtest" not in command
        if "backtest" in command:
            assert all(spaced(line) in answer for line in shown), answer
    assert "none was seen, 95 % bound" in (tmp_path / "vault.html").read_text()
