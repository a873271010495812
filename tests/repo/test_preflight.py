"""The preflight names each missing tool, with the command that installs it, and nothing that is there."""

import shutil
import subprocess
import sys
from collections.abc import Mapping
from pathlib import Path

import pytest

PREFLIGHT = Path(__file__).parents[2] / ".ci" / "preflight"

Answers = Mapping[str, str]
"""Tool name → the shell commands it runs when called."""

GOOD_PYTHON = f'exec "{sys.executable}" "$@"'
GOOD_NODE = "echo 22"
COMPLETE: Answers = {
    "python3": GOOD_PYTHON,
    "node": GOOD_NODE,
    "npm": "exit 0",
    "make": "exit 0",
    "gcc": "exit 0",
    "apt-get": "exit 0",
}


def machine(folder: Path, tools: Answers) -> Path:
    """A PATH folder that holds exactly `tools`."""
    for name, commands in tools.items():
        tool = folder / name
        tool.write_text(f"#!/bin/sh\n{commands}\n")
        tool.chmod(0o755)
    return folder


def preflight(folder: Path, *options: str, **variables: str) -> subprocess.CompletedProcess[str]:
    return subprocess.run(
        ["/bin/sh", str(PREFLIGHT), *options],
        env={"PATH": str(folder), **variables},
        capture_output=True,
        text=True,
        check=False,
        timeout=30,
    )


def without(tools: Answers, name: str) -> Answers:
    return {key: value for key, value in tools.items() if key != name}


def test_a_complete_machine_passes_and_its_python_is_told(tmp_path: Path) -> None:
    result = preflight(machine(tmp_path, COMPLETE))

    assert (result.returncode, result.stdout, result.stderr) == (0, "python3\n", "")


@pytest.mark.parametrize(
    ("tool", "named", "command"),
    [
        (
            "python3",
            "missing: Python 3.11, 3.12 or 3.13",
            "apt-get install -y python3 python3-venv python3-dev",
        ),
        ("node", "missing: Node 20 or newer", "apt-get install -y nodejs npm"),
        ("npm", "missing: npm", "apt-get install -y npm"),
        ("make", "missing: make", "apt-get install -y make"),
        ("gcc", "missing: gcc", "apt-get install -y gcc libc6-dev"),
    ],
)
def test_a_missing_tool_is_named_with_the_command_that_installs_it(
    tmp_path: Path, tool: str, named: str, command: str
) -> None:
    result = preflight(machine(tmp_path, without(COMPLETE, tool)))

    assert result.returncode == 1
    assert result.stdout == ""
    assert named in result.stderr.splitlines()
    assert command in result.stderr


def test_nothing_else_is_named_when_one_tool_is_missing(tmp_path: Path) -> None:
    result = preflight(machine(tmp_path, without(COMPLETE, "npm")))

    assert [line for line in result.stderr.splitlines() if line.startswith("missing")] == ["missing: npm"]


def test_an_old_node_is_missing_and_its_version_is_told(tmp_path: Path) -> None:
    result = preflight(machine(tmp_path, {**COMPLETE, "node": "echo 18"}))

    assert result.returncode == 1
    assert "missing: Node 20 or newer (found 18)" in result.stderr


def test_a_python_that_does_not_start_or_is_too_old_is_passed_over(tmp_path: Path) -> None:
    others = {"python3.13": "exit 127", "python3.12": "exit 1", "python3": GOOD_PYTHON}

    result = preflight(machine(tmp_path, {**COMPLETE, **others}))

    assert (result.returncode, result.stdout) == (0, "python3\n")


def test_a_python_without_its_c_headers_is_refused(tmp_path: Path) -> None:
    headless = f'case "$2" in *Python.h*) exit 1;; *) {GOOD_PYTHON};; esac'

    result = preflight(machine(tmp_path, {**COMPLETE, "python3": headless}))

    assert result.returncode == 1
    assert "missing: Python's C headers (Python.h, for python3)" in result.stderr


def test_missing_gmp_headers_are_named(tmp_path: Path) -> None:
    result = preflight(machine(tmp_path, {**COMPLETE, "gcc": "exit 1"}))

    assert result.returncode == 1
    assert "missing: libgmp headers (gmp.h)" in result.stderr
    assert "apt-get install -y libgmp-dev" in result.stderr


def test_the_command_is_that_of_the_package_manager_at_hand(tmp_path: Path) -> None:
    fedora = {**without(without(COMPLETE, "apt-get"), "make"), "dnf": "exit 0"}

    result = preflight(machine(tmp_path, fedora))

    assert "dnf install -y make" in result.stderr


def test_the_packages_that_would_complete_an_empty_machine_are_listed(tmp_path: Path) -> None:
    result = preflight(machine(tmp_path, {"apt-get": "exit 0", "gcc": "exit 1"}), "--packages")

    assert result.returncode == 0
    assert result.stdout == "python3 python3-venv python3-dev nodejs npm make libgmp-dev\n"


def test_go_is_looked_for_only_where_it_is_wanted(tmp_path: Path) -> None:
    tools = machine(tmp_path, COMPLETE)
    wanted = {"TOCSIN_WANT_GO": "1", "TOCSIN_GOPATH": str(tmp_path / "gopath")}

    assert preflight(tools, "--packages").stdout == "\n"
    assert preflight(tools, "--packages", **wanted).stdout == "golang-go golang-golang-x-mod-dev\n"
    result = preflight(tools, **wanted)
    assert result.returncode == 1
    assert "missing: Go" in result.stderr.splitlines()
    assert "apt-get install -y golang-golang-x-mod-dev" in result.stderr


def test_a_machine_with_go_and_its_module_lacks_neither(tmp_path: Path) -> None:
    tools = machine(tmp_path, {**COMPLETE, "go": "exit 0"})
    (tmp_path / "gopath/src/golang.org/x/mod/sumdb/tlog").mkdir(parents=True)

    result = preflight(tools, TOCSIN_WANT_GO="1", TOCSIN_GOPATH=str(tmp_path / "gopath"))

    assert (result.returncode, result.stdout, result.stderr) == (0, "python3\n", "")


def test_make_stops_at_a_missing_tool_before_anything_is_built(tmp_path: Path) -> None:
    """`make demo` on a copy of the repository's entry, with a PATH that lacks node."""
    repository = tmp_path / "clone"
    repository.mkdir()
    source = PREFLIGHT.parents[1]
    for name in ("Makefile", "pyproject.toml"):
        shutil.copy(source / name, repository / name)
    for name in ("requirements", ".ci"):
        shutil.copytree(source / name, repository / name)
    (repository / "adapters" / "evm").mkdir(parents=True)
    for name in ("package.json", "package-lock.json"):
        shutil.copy(source / "adapters" / "evm" / name, repository / "adapters" / "evm" / name)
    tools = machine(tmp_path, without(COMPLETE, "node"))
    for name in ("bash", "make", "rm", "id"):
        (tools / name).unlink(missing_ok=True)
        (tools / name).symlink_to(shutil.which(name) or pytest.fail(f"no {name} on this machine"))

    result = subprocess.run(
        ["make", "demo"],
        cwd=repository,
        env={"PATH": str(tools)},
        capture_output=True,
        text=True,
        check=False,
        timeout=30,
    )

    assert result.returncode != 0
    assert "missing: Node 20 or newer" in result.stderr
    assert not (repository / ".venv").exists()
