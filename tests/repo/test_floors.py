"""The tools that hold the floors and the bans do hold them: each rule is broken once and must be caught."""

import shutil
import subprocess
import sys
from pathlib import Path

import pytest

ROOT = Path(__file__).parents[2]
TOOLS = Path(sys.executable).parent

MODULES = (
    "proofs/__init__.py",
    "relay/__init__.py",
    "relay/core/__init__.py",
    "relay/journal/__init__.py",
    "relay/threshold/__init__.py",
    "relay/keys/__init__.py",
    "relay/app.py",
    "relay/cli/__init__.py",
    "adapters/__init__.py",
)


@pytest.fixture
def house(tmp_path: Path) -> Path:
    """An empty house with our rules: every floor, no furniture."""
    shutil.copy(ROOT / "pyproject.toml", tmp_path)
    for module in MODULES:
        path = tmp_path / module
        path.parent.mkdir(parents=True, exist_ok=True)
        path.touch()
    return tmp_path


def lint_imports(house: Path) -> subprocess.CompletedProcess[str]:
    # `python -c` looks in its working directory first: the house shadows the installed packages.
    program = "from importlinter.cli import lint_imports_command; lint_imports_command()"
    return subprocess.run(
        [sys.executable, "-c", program, "--no-cache"], cwd=house, capture_output=True, text=True, timeout=60
    )


def ruff(source: str, filename: str) -> subprocess.CompletedProcess[str]:
    return subprocess.run(
        [TOOLS / "ruff", "check", "--output-format", "concise", "--stdin-filename", filename, "-"],
        input=source,
        cwd=ROOT,
        capture_output=True,
        text=True,
        timeout=60,
    )


def test_an_orderly_house_passes(house: Path) -> None:
    (house / "relay/threshold/__init__.py").write_text("import proofs\n")
    (house / "relay/core/__init__.py").write_text("import proofs\nimport relay.threshold\n")
    (house / "relay/journal/__init__.py").write_text("import asyncio\nimport relay.core\n")
    (house / "relay/app.py").write_text("import relay.journal\nimport relay.keys\n")
    (house / "relay/cli/__init__.py").write_text("import relay.app\n")
    (house / "adapters/__init__.py").write_text("import relay.core\n")

    result = lint_imports(house)

    assert result.returncode == 0, result.stdout


@pytest.mark.parametrize(
    ("module", "imports"),
    [
        ("proofs/__init__.py", "import relay.core"),
        ("proofs/__init__.py", "import aiohttp"),
        ("proofs/__init__.py", "import relay.threshold"),
        ("relay/threshold/__init__.py", "import relay.core"),
        ("relay/threshold/__init__.py", "import secrets"),
        ("relay/core/__init__.py", "import asyncio"),
        ("relay/core/__init__.py", "import time"),
        ("relay/core/__init__.py", "import random"),
        ("relay/core/__init__.py", "import logging"),
        ("relay/core/__init__.py", "import web3"),
        ("relay/core/__init__.py", "import relay.journal"),
        ("relay/journal/__init__.py", "import relay.keys"),
        ("relay/journal/__init__.py", "import relay.app"),
        ("relay/app.py", "import relay.cli"),
        ("relay/app.py", "import adapters"),
        ("adapters/__init__.py", "import relay.journal"),
        ("adapters/__init__.py", "import relay.app"),
    ],
)
def test_a_step_up_a_floor_is_caught(house: Path, module: str, imports: str) -> None:
    (house / module).write_text(f"{imports}\n")

    result = lint_imports(house)

    assert result.returncode == 1, result.stdout
    assert "BROKEN" in result.stdout


@pytest.mark.parametrize(
    ("statement", "rule"),
    [
        ("import time\n\nSTART = time.time()\n", "TID251"),
        ("import datetime\n\nSTART = datetime.datetime.now(datetime.UTC)\n", "TID251"),
        ("import random\n\nCHANCE = random.random()\n", "TID251"),
        ("import secrets\n\nSECRET = secrets.token_bytes(32)\n", "TID251"),
        ("import asyncio\n\n\nasync def f() -> None:\n    asyncio.create_task(f())\n", "TID251"),
        ("try:\n    pass\nexcept Exception:\n    pass\n", "BLE001"),
        ("def f(flag: bool) -> None:\n    del flag\n", "FBT001"),
        ('print("here")\n', "T201"),
        ("from . import x\n", "TID252"),
    ],
)
def test_what_the_house_bans_is_caught(statement: str, rule: str) -> None:
    result = ruff(statement, "relay/core/banned.py")

    assert result.returncode == 1
    assert rule in result.stdout


def test_secrets_may_arise_in_the_keys_and_nowhere_else() -> None:
    source = "import secrets\n\nSECRET = secrets.token_bytes(32)\n"

    assert "TID251" not in ruff(source, "relay/keys/nonces.py").stdout
    assert "TID251" in ruff(source, "relay/journal/store.py").stdout
