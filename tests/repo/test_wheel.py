"""The wheel holds what a node and an auditor need, and nothing else; the base install works alone."""

import json
import os
import subprocess
import sys
import zipfile
from collections.abc import Sequence
from email import message_from_string
from email.message import Message
from pathlib import Path

import pytest

from proofs.bundle import encode_bundle
from tests.proofs.incident import City, Incident

ROOT = Path(__file__).parents[2]


@pytest.fixture(scope="module")
def wheel(tmp_path_factory: pytest.TempPathFactory) -> Path:
    folder = tmp_path_factory.mktemp("wheel")
    command = [sys.executable, "-m", "build", "--wheel", "--no-isolation", "--outdir", str(folder), str(ROOT)]
    result = subprocess.run(command, capture_output=True, text=True, timeout=100)
    assert result.returncode == 0, result.stdout + result.stderr
    (built,) = folder.glob("tocsin-*.whl")
    return built


@pytest.fixture(scope="module")
def names(wheel: Path) -> set[str]:
    with zipfile.ZipFile(wheel) as archive:
        return set(archive.namelist())


def metadata(wheel: Path, name: str) -> str:
    with zipfile.ZipFile(wheel) as archive:
        (member,) = [entry for entry in archive.namelist() if entry.endswith(f".dist-info/{name}")]
        return archive.read(member).decode()


def requires(message: Message) -> list[str]:
    return message.get_all("Requires-Dist") or []


def test_the_three_packages_are_typed_and_complete(names: set[str]) -> None:
    for package in ("relay", "adapters", "proofs"):
        assert f"{package}/py.typed" in names
        modules = {
            str(file.relative_to(ROOT))
            for file in (ROOT / package).rglob("*.py")
            if "node_modules" not in file.parts
        }
        assert modules
        assert modules <= names


def test_contract_artifacts_and_the_specification_are_inside(names: set[str]) -> None:
    artifacts = {str(file.relative_to(ROOT)) for file in (ROOT / "adapters/evm/artifacts").glob("*.json")}

    assert artifacts
    assert artifacts <= names
    assert "relay/core/SPEC.md" in names
    assert {"proofs/SPEC.md", "proofs/bundle.schema.json"} <= names


def test_nothing_else_is_inside(names: set[str]) -> None:
    tops = {name.split("/")[0] for name in names}
    assert {top for top in tops if not top.endswith(".dist-info")} == {"relay", "adapters", "proofs"}
    for name in names:
        assert not {"node_modules", "tools", "out", "cache", "__pycache__", "test"} & set(name.split("/")), (
            name
        )
        assert not name.endswith((".key", ".sqlite", "package-lock.json", "foundry.toml")), name


def test_metadata_tells_command_adapters_licence_and_the_small_base(wheel: Path) -> None:
    entry_points = metadata(wheel, "entry_points.txt")
    message = message_from_string(metadata(wheel, "METADATA"))
    base = {line.split(">")[0].split("=")[0] for line in requires(message) if "extra ==" not in line}

    assert "tocsin = relay.cli:main" in entry_points
    assert "[tocsin.adapters]\neip155 = adapters.evm:adapter" in entry_points
    assert message["License-Expression"] == "Apache-2.0"
    assert base == {"click", "coincurve", "msgpack", "pycryptodome", "pynacl", "rich"}


def run(command: Sequence[str | Path], folder: Path) -> subprocess.CompletedProcess[str]:
    environment = {
        key: value for key, value in os.environ.items() if key not in ("PYTHONPATH", "VIRTUAL_ENV")
    }
    return subprocess.run(command, cwd=folder, env=environment, capture_output=True, text=True, timeout=500)


@pytest.mark.slow
@pytest.mark.timeout(900)
def test_a_clean_base_install_verifies_without_libp2p_and_web3(wheel: Path, tmp_path: Path) -> None:
    python = tmp_path / "venv" / "bin" / "python"
    for command in (
        [sys.executable, "-m", "venv", tmp_path / "venv"],
        [python, "-m", "pip", "install", "-q", "--require-hashes", "-r", ROOT / "requirements" / "base.lock"],
        [python, "-m", "pip", "install", "-q", "--no-deps", "--no-index", wheel],
        [python, "-m", "pip", "check"],
        [python, "-c", "import proofs"],
        [tmp_path / "venv" / "bin" / "tocsin", "audit", "verify", "--help"],
    ):
        result = run(command, tmp_path)
        assert result.returncode == 0, f"{command}\n{result.stdout}{result.stderr}"

    case = Incident.of(City()).case()
    (tmp_path / "bundle.json").write_bytes(encode_bundle(case.bundle))
    (tmp_path / "policy.txt").write_bytes(case.policy)
    command = ["audit", "verify", "bundle.json", "--policy", "policy.txt", "--json"]
    verified = run([tmp_path / "venv" / "bin" / "tocsin", *command], tmp_path)
    assert verified.returncode == 0, verified.stdout + verified.stderr
    assert json.loads(verified.stdout)["records"] == len(case.bundle.records)

    absent = run([python, "-c", "import libp2p, web3"], tmp_path)
    assert "ModuleNotFoundError" in absent.stderr

    refused = run([tmp_path / "venv" / "bin" / "tocsin", "audit", "verify", "no-such-bundle"], tmp_path)
    assert refused.returncode == 2
    assert "no-such-bundle" in refused.stderr
    assert "Traceback" not in refused.stderr
