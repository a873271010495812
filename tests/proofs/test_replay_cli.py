"""`tocsin audit replay`: what it prints and its exit codes; verdicts themselves are replayed elsewhere."""

import subprocess
import sys
from pathlib import Path
from typing import TYPE_CHECKING

import pytest

from proofs.bundle import encode_bundle
from relay.cli.replay import answer_of
from relay.cli.settings import Answer
from relay.core.messages import Attestation, Verdict
from relay.core.replay import Replayer, Stated
from tests.cli.calls import tocsin
from tests.core.stage import Stage
from tests.sim.keys import EMPTY_TRACE

if TYPE_CHECKING:
    from tests.proofs.conftest import Town

ROOT = Path(__file__).parents[2]
WITHOUT_CEL = (
    "import sys; sys.modules['cel_expr_python'] = None; from relay.cli import main; main(sys.argv[1:])"
)


@pytest.fixture
def bundle(town: "Town", tmp_path: Path) -> Path:
    """A bundle that verifies; its plan is of a form that only the verifier reads."""
    path = tmp_path / "alarm.bundle"
    path.write_bytes(encode_bundle(town.alarm()))
    return path


def test_a_plan_that_cannot_be_read_is_no_answer_and_never_yes(bundle: Path) -> None:
    said = tocsin("audit", "replay", bundle, "--json")

    assert said.code == 3, said.out + said.err
    assert said.document["schema"] == "tocsin/audit-replay/1"
    assert said.document["replayed"] is None
    problems = said.document["problems"]
    assert isinstance(problems, list)
    assert problems[0].startswith("plan ")


def test_what_does_not_verify_is_not_replayed(bundle: Path) -> None:
    altered = bytearray(bundle.read_bytes())
    altered[len(altered) // 2] ^= 1
    bundle.write_bytes(altered)

    said = tocsin("audit", "replay", bundle)

    assert said.code == 1
    assert "NOT REPLAYED  failed check: " in said.out


def test_without_cel_it_says_what_to_install(bundle: Path) -> None:
    command = [sys.executable, "-c", WITHOUT_CEL, "audit", "replay", str(bundle)]

    done = subprocess.run(command, capture_output=True, text=True, cwd=ROOT, timeout=60, check=False)

    assert done.returncode == 2, done.stdout + done.stderr
    assert "try: pip install 'tocsin[relay]'" in done.stderr


def test_members_that_could_not_tell_anything_make_no_yes() -> None:
    stage = Stage()
    decision = stage.decision(stage.drained())
    abstained = Stated(stage.me, Attestation(decision, Verdict.ABSTAIN, EMPTY_TRACE))
    replayer = Replayer(stage.committee.network, {stage.plan.plan.hash: stage.plan}, (abstained,))

    assert answer_of(list(replayer.run())) is Answer.UNKNOWN
    assert answer_of([]) is Answer.UNKNOWN
