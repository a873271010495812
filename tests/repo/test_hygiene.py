"""What is committed works on any machine: no registry address, no path of ours, everything locked by hash."""

import json
import re
import shutil
import subprocess
import tomllib
from pathlib import Path

import pytest

ROOT = Path(__file__).parents[2]
LOCKS = ("base", "relay", "plans", "dev", "build", "contracts")
NPM_FOLDERS = ("adapters/evm", "adapters/evm/third_party")

# Where packages come from is the machine's business (its pip and npm configuration), never the repository's.
ADDRESSES = (
    re.compile(r'"resolved": *"'),
    re.compile(r"--(extra-)?index-url|--find-links|--trusted-host"),
    re.compile(r"^ *registry *= *.?http", re.MULTILINE),
    re.compile(r"source = \{ registry"),
    re.compile(r"(registry\.npmjs|files\.pythonhosted)\.org|pypi\.org/simple"),
)
MACHINE_PATH = re.compile(r"(?<![\w.$}])/(?:work|root|farm|home|opt/(?:wheels|pypi))/")


def tracked() -> list[Path]:
    if shutil.which("git") is None or not (ROOT / ".git").exists():
        pytest.skip("not a git checkout: nobody can say which files are committed")
    listed = subprocess.run(["git", "ls-files", "-z"], cwd=ROOT, capture_output=True, text=True, check=True)
    files = [ROOT / name for name in listed.stdout.split("\0") if name]
    return [file for file in files if file.is_file() and file != Path(__file__)]


def text_of(file: Path) -> str:
    return file.read_bytes().decode("utf-8", errors="ignore")


def requirements(lock: str) -> dict[str, list[str]]:
    """Pinned requirement → its hashes, as a lock file lists them."""
    text = (ROOT / "requirements" / f"{lock}.lock").read_text()
    entries: dict[str, list[str]] = {}
    for entry in re.sub(r"\s*\\\n\s*", " ", text).splitlines():
        if entry and not entry.lstrip().startswith("#"):
            pin, *rest = entry.split(" --hash=")
            entries[pin] = rest
    return entries


def direct_names(group: list[str]) -> set[str]:
    return {re.split(r"[<>=]", requirement)[0] for requirement in group}


def project() -> dict:
    return tomllib.loads((ROOT / "pyproject.toml").read_text())["project"]


@pytest.mark.parametrize("address", ADDRESSES, ids=lambda pattern: pattern.pattern)
def test_no_tracked_file_names_a_registry(address: re.Pattern[str]) -> None:
    found = [str(file.relative_to(ROOT)) for file in tracked() if address.search(text_of(file))]

    assert found == []


def test_no_tracked_file_names_a_path_of_a_machine() -> None:
    found = [str(file.relative_to(ROOT)) for file in tracked() if MACHINE_PATH.search(text_of(file))]

    assert found == []


def test_no_secret_database_or_environment_is_tracked() -> None:
    private = re.compile(r"\.(sqlite(-\w+)?|key|share|url|sock)$|(^|/)(node_modules|\.venv)/")
    found = [str(file.relative_to(ROOT)) for file in tracked() if private.search(str(file.relative_to(ROOT)))]

    assert found == []


@pytest.mark.parametrize("lock", LOCKS)
def test_every_locked_requirement_is_pinned_and_has_hashes(lock: str) -> None:
    entries = requirements(lock)

    assert entries
    for pin, hashes in entries.items():
        assert re.fullmatch(r"[a-z0-9._-]+==[^ ;]+", pin), pin
        assert hashes, pin
        assert all(re.fullmatch(r"sha256:[0-9a-f]{64}", digest) for digest in hashes), pin


def test_the_smaller_locks_are_parts_of_the_development_lock() -> None:
    everything = requirements("dev").items()

    for lock in ("base", "relay", "plans", "build"):
        assert requirements(lock).items() <= everything, lock


def test_every_direct_dependency_is_locked() -> None:
    extras = project()["optional-dependencies"]
    base = direct_names(project()["dependencies"])
    wanted = {"base": base, "relay": base | direct_names(extras["relay"])}
    wanted["dev"] = wanted["relay"] | direct_names(extras["dev"])

    for lock, names in wanted.items():
        assert names <= {pin.split("==")[0] for pin in requirements(lock)}, lock


def test_the_auditor_s_install_has_no_network_library() -> None:
    names = {pin.split("==")[0] for pin in requirements("base")}

    assert not names & {"libp2p", "web3", "aiohttp", "requests", "httpx", "trio", "cel-expr-python"}


@pytest.mark.parametrize("folder", NPM_FOLDERS)
def test_every_npm_package_is_locked_by_hash_and_without_an_address(folder: str) -> None:
    lock = json.loads((ROOT / folder / "package-lock.json").read_text())
    packages = {name: entry for name, entry in lock["packages"].items() if name}

    assert packages
    for name, entry in packages.items():
        assert entry["integrity"].startswith("sha512-"), name
        assert "resolved" not in entry, name


@pytest.mark.parametrize("folder", NPM_FOLDERS)
def test_npm_is_told_to_keep_addresses_out_of_the_lock(folder: str) -> None:
    assert "omit-lockfile-registry-resolved=true" in (ROOT / folder / ".npmrc").read_text().split()
