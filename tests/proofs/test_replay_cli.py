"""`tocsin audit replay`: what it prints and its exit codes; verdicts themselves are replayed elsewhere."""

import subprocess
import sys
from pathlib import Path
from typing import TYPE_CHECKING

import pytest

from proofs.bundle import encode_bundle
from proofs.policy import format_policy
from relay.audit.reading import LogReading
from relay.audit.sources import FolderSource
from relay.cli.replay import answer_of
from relay.cli.replay_sources import _envelopes, _told
from relay.cli.settings import Answer
from relay.core.messages import Attestation, Verdict
from relay.core.replay import Replayer, Stated
from tests.cli.calls import Said, tocsin
from tests.core.stage import Stage
from tests.shells.audit.logs import WITNESSES, Keeper, entries_of, policy_of
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


LONG_AGO_S = 1_700_000_000
PLAN = ROOT / "tests/plans/bridge.plan.toml"


@pytest.fixture
def log(tmp_path: Path) -> Keeper:
    """A log of entries that are no envelopes, under its witnesses."""
    keeper = Keeper(tmp_path / "log", cosigned_s=dict.fromkeys(WITNESSES, LONG_AGO_S))
    keeper.publish(entries_of(300))
    return keeper


def replayed(log: Keeper, *options: object) -> Said:
    return tocsin("audit", "replay", log.folder, "--plan", PLAN, "--json", *options)


def test_a_log_is_replayed_only_under_its_checkpoint(log: Keeper) -> None:
    assert replayed(log).document["check"] == "plan-file", "nothing there is of that plan"
    bundle = log.folder / "tile/entries/000"
    whole = bundle.read_bytes()

    bundle.write_bytes(whole[:-1] + b"x")
    altered = replayed(log)
    bundle.unlink()
    gone = replayed(log)

    assert (altered.code, altered.document["check"]) == (Answer.NO, "tile-content")
    assert (gone.code, gone.document["check"], gone.document["replayed"]) == (3, "log-missing", None)


def test_a_log_is_held_against_a_policy_if_there_is_one(log: Keeper, tmp_path: Path) -> None:
    policy = tmp_path / "policy.txt"
    policy.write_bytes(format_policy(policy_of(log)))
    assert replayed(log, "--policy", policy).document["check"] == "plan-file"
    other = replayed(log, "--policy", policy, "--policy-hash", "00" * 32)
    assert (other.code, other.document["check"]) == (Answer.NO, "policy-pin")
    assert replayed(log, "--policy-hash", "00" * 32).code == Answer.USAGE

    log.cosigned_s = {"w0": LONG_AGO_S}
    log.publish(entries_of(300))
    assert replayed(log, "--policy", policy).document["check"] == "policy-quorum"


def test_entries_that_are_no_envelopes_are_counted_and_spoil_nothing(log: Keeper, town: "Town") -> None:
    records = [record.envelope for record in town.alarm().records]
    checkpoint = log.publish([*records, *entries_of(20)])

    envelopes, strangers = _envelopes(LogReading(FolderSource(log.folder), checkpoint))

    assert [envelope.raw for envelope in envelopes] == records
    assert strangers[0].startswith(f"entry {len(records)}: ")
    assert _told(strangers)[-1] == "12 more entries are no envelopes"
