"""Continuous integration passes only if the tests ran and passed; pytest's closing lines stand at its end."""

import os
import shutil
import subprocess
from pathlib import Path

import pytest

CI = Path(__file__).parents[2] / ".ci" / "run"

PASSED = "120 passed, 2 skipped in 61.20s (0:01:01)"
FAILED = "1 failed, 119 passed in 60.00s"


@pytest.fixture
def clone(tmp_path: Path) -> Path:
    """A repository with this script, a preflight that is content, and the commands `make` will run."""
    (tmp_path / ".ci").mkdir()
    shutil.copy(CI, tmp_path / ".ci" / "run")
    preflight = tmp_path / ".ci" / "preflight"
    preflight.write_text('#!/bin/sh\n[ "${1:-}" = --packages ] || echo python3\n')
    preflight.chmod(0o755)
    return tmp_path


def run(clone: Path, **recipes: str) -> subprocess.CompletedProcess[str]:
    targets = {"test": f"echo '{PASSED}'", "test-slow": "echo '1 passed in 30.00s'"}
    targets |= {"contracts-test": "true", "check": "true"}
    targets |= {name.replace("_", "-"): recipe for name, recipe in recipes.items()}
    rules = [f".PHONY: {name}\n{name}:\n\t@{recipe}\n" for name, recipe in targets.items()]
    (clone / "Makefile").write_text("\n".join(rules))
    # What an outer run of this script exported must not decide for the inner one.
    inherited = {
        name: value for name, value in os.environ.items() if name not in ("TOCSIN_WANT_GO", "MAKEFLAGS")
    }
    return subprocess.run([clone / ".ci" / "run"], capture_output=True, text=True, timeout=60, env=inherited)


def test_green_tests_and_checks_pass_and_the_closing_lines_come_last(clone: Path) -> None:
    result = run(clone)

    assert result.returncode == 0, result.stderr
    assert result.stdout.splitlines()[-2:] == [f"make test: {PASSED}", "make test-slow: 1 passed in 30.00s"]


def test_a_failing_test_fails_the_run_and_its_closing_line_is_shown(clone: Path) -> None:
    result = run(clone, test=f"echo '{FAILED}'; exit 1")

    assert result.returncode == 1
    assert result.stdout.splitlines()[-1] == f"make test: {FAILED}"
    assert "make test failed" in result.stderr


def test_a_failing_slow_test_fails_the_run(clone: Path) -> None:
    assert run(clone, test_slow="echo '1 failed in 9.00s'; exit 1").returncode == 1


@pytest.mark.parametrize("target", ["check", "contracts_test"])
def test_a_failing_check_fails_the_run(clone: Path, target: str) -> None:
    assert run(clone, **{target: "false"}).returncode != 0


@pytest.mark.parametrize("closing", ["no tests ran in 0.10s", "120 deselected in 0.50s"])
def test_a_run_without_tests_is_a_failure(clone: Path, closing: str) -> None:
    result = run(clone, test=f"echo '{closing}'; exit 5")

    assert result.returncode == 1
    assert "pytest ran no test" in result.stderr


def test_a_failure_in_forge_after_green_python_tests_fails_the_run(clone: Path) -> None:
    result = run(clone, test=f"echo '{PASSED}'; echo 'forge: 1 failed'; exit 2")

    assert result.returncode == 1
    assert f"make test: {PASSED}" in result.stdout


def test_go_is_wanted_by_the_preflight_and_by_every_test(clone: Path) -> None:
    preflight = clone / ".ci" / "preflight"
    preflight.write_text(
        '#!/bin/sh\necho "$1 wants Go: ${TOCSIN_WANT_GO:-}" >>asked\n[ "$1" = --packages ] || echo python3\n'
    )

    result = run(clone, test=f'[ "$$TOCSIN_WANT_GO" = 1 ] && echo "{PASSED}"')

    assert result.returncode == 0, result.stderr
    asked = (clone / "asked").read_text().splitlines()
    assert asked == ["--packages wants Go: ", " wants Go: ", "--packages wants Go: 1", " wants Go: 1"]


def test_a_machine_that_cannot_get_go_runs_the_rest_and_says_so_at_its_end(clone: Path) -> None:
    preflight = clone / ".ci" / "preflight"
    preflight.write_text('#!/bin/sh\n[ "${1:-}" = --packages ] || [ "${TOCSIN_WANT_GO:-0}" = 0 ]\n')

    result = run(clone, test=f'[ "$$TOCSIN_WANT_GO" = 0 ] && echo "{PASSED}"')

    assert result.returncode == 0, result.stderr
    assert "tests/interop: skipped, Go could not be had" in result.stdout.splitlines()


def test_a_missing_tool_stops_the_run_before_any_test(clone: Path) -> None:
    preflight = clone / ".ci" / "preflight"
    preflight.write_text("#!/bin/sh\n[ \"${1:-}\" = --packages ] || { echo 'missing: Node' >&2; exit 1; }\n")

    result = run(clone)

    assert result.returncode == 1
    assert "missing: Node" in result.stderr
    assert PASSED not in result.stdout
