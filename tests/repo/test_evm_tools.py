"""The Solidity toolchain: a compiler that forge can drive, and artifacts that any machine rebuilds alike."""

import fcntl
import json
import os
import shutil
import subprocess
import tomllib
from pathlib import Path

import pytest

EVM = Path(__file__).parents[2] / "adapters" / "evm"
SOLC = EVM / "tools" / "solc"

BELL = """// SPDX-License-Identifier: Apache-2.0
pragma solidity ^0.8.30;
import {Pausable} from "@openzeppelin/contracts/utils/Pausable.sol";
contract Bell is Pausable {
    function ring() external { _pause(); }
}
"""
SHAPE = """// SPDX-License-Identifier: Apache-2.0
pragma solidity ^0.8.30;
interface Shape { function area() external view returns (uint256); }
"""


@pytest.fixture(scope="module", autouse=True)
def _installed() -> None:
    if not (EVM / "node_modules" / "solc").is_dir():
        pytest.fail("the Solidity tools are not installed: run `make env`")


def workshop(folder: Path, **contracts: str) -> Path:
    """A copy of the toolchain with sources of its own."""
    folder.mkdir(parents=True)
    shutil.copytree(EVM / "tools", folder / "tools")
    for name in ("foundry.toml", "package.json"):
        shutil.copy(EVM / name, folder / name)
    (folder / "node_modules").symlink_to(EVM / "node_modules")
    (folder / "contracts" / "demo").mkdir(parents=True)
    for name, source in contracts.items():
        (folder / "contracts" / f"{name}.sol").write_text(source)
    return folder


def build(folder: Path, *options: str) -> subprocess.CompletedProcess[str]:
    command = ["node", str(folder / "tools" / "build.mjs"), *options]
    return subprocess.run(command, capture_output=True, text=True, timeout=60)


def artifacts(folder: Path) -> dict[str, bytes]:
    return {file.name: file.read_bytes() for file in (folder / "artifacts").iterdir()}


def test_the_compiler_tells_its_version_as_the_native_one_does() -> None:
    result = subprocess.run([SOLC, "--version"], capture_output=True, text=True, timeout=60)

    locked = json.loads((EVM / "package.json").read_text())["devDependencies"]["solc"]
    assert result.stdout.splitlines()[0] == "solc, the solidity compiler commandline interface"
    assert result.stdout.splitlines()[1].startswith(f"Version: {locked}+commit.")
    assert "Emscripten" not in result.stdout


def test_a_large_output_passes_whole_through_a_pipe_that_would_block() -> None:
    contracts = "".join(
        f"contract C{number} {{ mapping(uint256 => uint256) public values{number}; }}\n"
        for number in range(60)
    )
    request = {
        "language": "Solidity",
        "sources": {"many.sol": {"content": f"pragma solidity ^0.8.30;\n{contracts}"}},
        "settings": {"outputSelection": {"*": {"*": ["*"], "": ["ast"]}}},
    }
    reading, writing = os.pipe()
    # Small and non-blocking, as a parent may hand it on: a careless writer gets EAGAIN half way and stops.
    fcntl.fcntl(writing, fcntl.F_SETPIPE_SZ, 4096)
    os.set_blocking(writing, False)

    with subprocess.Popen([SOLC, "--standard-json"], stdin=subprocess.PIPE, stdout=writing) as compiler:
        os.close(writing)
        assert compiler.stdin is not None
        compiler.stdin.write(json.dumps(request).encode())
        compiler.stdin.close()
        with os.fdopen(reading, "rb") as output:
            answer = output.read()

    assert compiler.returncode == 0
    assert len(answer) > 1_000_000
    assert len(json.loads(answer)["contracts"]["many.sol"]) == 60


def test_an_unknown_use_of_the_compiler_is_refused() -> None:
    result = subprocess.run([SOLC, "--bin"], capture_output=True, text=True, timeout=60)

    assert result.returncode == 2
    assert result.stderr == "unknown use: expected --version or --standard-json, got --bin\n"


def test_two_folders_build_the_same_bytes_and_name_neither(tmp_path: Path) -> None:
    one = workshop(tmp_path / "one", Bell=BELL)
    other = workshop(tmp_path / "quite" / "elsewhere", Bell=BELL)

    assert build(one).returncode == 0
    assert build(other).returncode == 0

    assert artifacts(one) == artifacts(other)
    assert str(tmp_path).encode() not in artifacts(one)["Bell.json"]


def test_an_artifact_names_its_contract_compiler_and_sources(tmp_path: Path) -> None:
    folder = workshop(tmp_path / "evm", Bell=BELL, Shape=SHAPE)
    build(folder)

    assert list(artifacts(folder)) == ["Bell.json"]
    artifact = json.loads(artifacts(folder)["Bell.json"])
    assert artifact["contractName"] == "Bell"
    assert artifact["source"] == "contracts/Bell.sol"
    assert {entry.get("name") for entry in artifact["abi"]} >= {"ring", "paused"}
    assert artifact["bytecode"].startswith("0x60")
    assert artifact["deployedBytecode"].startswith("0x60")
    runs = tomllib.loads((EVM / "foundry.toml").read_text())["profile"]["default"]["optimizer_runs"]
    assert artifact["compiler"]["settings"]["optimizer"] == {"enabled": True, "runs": runs}
    assert "@openzeppelin/contracts/utils/Pausable.sol" in artifact["sourcesSha256"]


def test_a_changed_source_and_a_stale_artifact_are_named(tmp_path: Path) -> None:
    folder = workshop(tmp_path / "evm", Bell=BELL)
    build(folder)
    assert build(folder, "--check").returncode == 0

    (folder / "contracts" / "Bell.sol").write_text(BELL.replace("ring", "toll"))
    (folder / "artifacts" / "Gone.json").write_text("{}\n")
    result = build(folder, "--check")

    assert result.returncode == 1
    assert "adapters/evm/artifacts/Bell.json: differs from a rebuild" in result.stderr
    assert "adapters/evm/artifacts/Gone.json: no source makes it" in result.stderr
    assert "run `make contracts`" in result.stderr


def test_a_contract_that_does_not_compile_leaves_the_artifacts_alone(tmp_path: Path) -> None:
    folder = workshop(tmp_path / "evm", Bell=BELL)
    build(folder)
    before = artifacts(folder)

    (folder / "contracts" / "Bell.sol").write_text("contract Bell { function")
    result = build(folder)

    assert result.returncode == 1
    assert "compilation failed" in result.stderr
    assert artifacts(folder) == before


def test_a_missing_native_tool_is_named_with_the_command_that_brings_it(tmp_path: Path) -> None:
    folder = workshop(tmp_path / "evm")
    (folder / "node_modules").unlink()
    node = shutil.which("node") or pytest.fail("no node on this machine")

    result = subprocess.run(
        [node, str(folder / "tools" / "native.mjs"), "anvil"],
        env={"PATH": ""},
        capture_output=True,
        text=True,
        timeout=60,
    )

    assert result.returncode == 1
    assert result.stderr.startswith("missing: anvil 1.")
    assert "foundryup --install 1." in result.stderr
