"""`tocsin audit replay`: what it prints and its exit codes; verdicts themselves are replayed elsewhere."""

import subprocess
import sys
from collections.abc import Mapping
from pathlib import Path
from typing import TYPE_CHECKING

import pytest
from nacl.signing import SigningKey

from proofs.bundle import encode_bundle
from proofs.canonical import Value
from proofs.decision import BlockRef, Decision
from proofs.envelope import PayloadFields, assemble_envelope, build_payload, signing_bytes
from proofs.hashes import sha256
from proofs.kinds import DecisionId, Identity, Millis, NetworkId
from proofs.mandate import Op, Tier
from proofs.policy import format_policy
from relay.cli.plan import read_plan
from relay.cli.replay import answer_of
from relay.cli.settings import Answer
from relay.core.bodies import body_of
from relay.core.messages import Attestation, Verdict
from relay.core.replay import Replayed, Replayer, Stated
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
    quiet = replayed(log)
    assert (quiet.code, quiet.document["replayed"]) == (Answer.UNKNOWN, None), "nothing there is of that plan"
    assert "expected a plan of a decision here" in problems_of(quiet)[-1]
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
    assert replayed(log, "--policy", policy).document["replayed"] is None
    other = replayed(log, "--policy", policy, "--policy-hash", "00" * 32)
    assert (other.code, other.document["check"]) == (Answer.NO, "policy-pin")
    assert replayed(log, "--policy-hash", "00" * 32).code == Answer.USAGE

    log.cosigned_s = {"w0": LONG_AGO_S}
    log.publish(entries_of(300))
    assert replayed(log, "--policy", policy).document["check"] == "policy-quorum"


NETWORK = NetworkId(bytes(range(32)))
MALLORY = SigningKey(sha256(b"mallory"))
ESCAPES = "\x1b[2J\u202e"


def said(body: Mapping[str, Value], network: NetworkId = NETWORK) -> bytes:
    """Give an attestation's envelope, whatever is in it."""
    author = Identity(bytes(MALLORY.verify_key))
    payload = build_payload(PayloadFields(network, author, 1, "attestation", Millis(1), body))
    return assemble_envelope(payload, MALLORY.sign(signing_bytes(payload)).signature)


def verdict(**trace: Value) -> dict[str, Value]:
    """Give the body of an attestation under the plan, with another trace."""
    plan = read_plan(PLAN)
    anchor = BlockRef(plan.clock.reference, sha256(b"block"), 7, 700)
    rule = next(iter(plan.rules))
    decision = Decision(anchor, 1, Op.PROTECT, None, plan.hash, 0, rule, Tier.FAST)
    return dict(body_of(Attestation(decision, Verdict.ABSTAIN, {**EMPTY_TRACE, "rule": rule, **trace})))


def problems_of(answer: Said) -> list[str]:
    problems = answer.document["problems"]
    assert isinstance(problems, list)
    return problems


def test_entries_that_are_no_envelopes_are_counted_and_spoil_nothing(log: Keeper) -> None:
    log.publish([said(verdict()), *entries_of(20)])

    answer = replayed(log)

    assert [each["same"] for each in answer.document["attestations"]] == [True]  # type: ignore[attr-defined]
    assert problems_of(answer)[0].startswith("entry 1: ")
    assert problems_of(answer)[-1] == "12 more entries are no words of members of this network"


def test_a_word_of_a_form_that_is_not_read_here_is_named_and_makes_no_yes(log: Keeper) -> None:
    log.publish([*entries_of(20), *(said({"verdict": "of a later release"}) for _ in range(10))])

    answer = replayed(log)

    assert problems_of(answer)[0].startswith("entry 20: malformed: "), "before entries that nobody said"
    assert problems_of(answer)[8] == "2 more words are in no form that is read here"
    assert answer.code == Answer.UNKNOWN
    stage = Stage()
    told = Attestation(stage.decision(stage.drained()), Verdict.ABSTAIN, {**EMPTY_TRACE, "result": True})
    follows = Replayed(Stated(stage.me, told), DecisionId(bytes(32)), None, ())
    assert answer_of([follows]) is Answer.YES
    assert answer_of([follows], has_unread=True) is Answer.UNKNOWN


def test_words_of_another_network_are_told_apart(log: Keeper) -> None:
    other = NetworkId(sha256(b"other"))
    log.publish([said(verdict(), other), said(verdict())])

    by_default, pinned = replayed(log), replayed(log, "--network", NETWORK.hex())

    assert problems_of(by_default) == [f"entry 1: network: expected {other.hex()}, got another's word"]
    assert problems_of(pinned) == [f"entry 0: network: expected {NETWORK.hex()}, got another's word"]
    assert any("no --network was given" in limit for limit in limits_of(by_default))
    assert not any("no --network was given" in limit for limit in limits_of(pinned))


def limits_of(answer: Said) -> list[str]:
    limits = answer.document["not_rederived"]
    assert isinstance(limits, list)
    return limits


def test_a_network_that_is_pinned_is_not_passed_over(bundle: Path) -> None:
    for arguments in (["audit", "replay", bundle, "--network"], ["audit", "verify", bundle, "--network"]):
        assert "failed check: network-pinned" in tocsin(*arguments, "00" * 32).out
        assert "failed check: network-pinned" in tocsin("--network", "00" * 32, *arguments[:-1]).out
        assert tocsin(*arguments, "acme").code == Answer.USAGE
        assert tocsin(*arguments[:2], "--help").out.count("--network TEXT") == 1


@pytest.mark.parametrize(
    "trace",
    [
        {"values": {ESCAPES: 1}},
        {"values": {ESCAPES: "1"}},
        {"pins": {ESCAPES: 1}},
        {"agreement": {ESCAPES: 1}},
        {"faulted": [ESCAPES]},
        {"rule": ESCAPES, "faulted": [ESCAPES]},
        {"result": ESCAPES},
        {"result": b"bytes"},
        {"result": {"a": b"map"}},
    ],
)
def test_what_a_liar_writes_into_a_trace_reaches_no_terminal_and_breaks_no_answer(
    log: Keeper, trace: dict[str, Value]
) -> None:
    log.publish([said(verdict(**trace))])

    document = replayed(log)
    text = tocsin("audit", "replay", log.folder, "--plan", PLAN)

    assert (document.code, text.code) == (Answer.NO, Answer.NO), document.err + text.err
    assert not {"\x1b", "\u202e"} & set(text.out + document.out)


def test_of_a_long_log_people_see_first_what_does_not_follow(log: Keeper) -> None:
    log.publish([*(said(verdict()) for _ in range(300)), said(verdict(result="perhaps"))])

    document = replayed(log).document["attestations"]
    text = tocsin("audit", "replay", log.folder, "--plan", PLAN).out

    assert isinstance(document, list)
    assert len(document) == 301
    assert text.count("protect") == 256
    assert "trace-form: expected a result" in text
    assert "… and 45 more attestations" in text


def test_a_folder_without_a_log_is_no_answer_and_says_what_to_name(log: Keeper) -> None:
    for options in ((), ("--plan", PLAN)):
        answer = tocsin("audit", "replay", log.folder.parent, *options)

        assert (answer.code, answer.out) == (Answer.UNKNOWN, "")
        assert "try: name a bundle's file, or the folder of one log" in answer.err
    assert "try: give --plan FILE" in tocsin("audit", "replay", log.folder).err


def test_what_nothing_was_held_against_is_told(log: Keeper, tmp_path: Path) -> None:
    policy = tmp_path / "policy.txt"
    policy.write_bytes(format_policy(policy_of(log)))

    alone, unpinned = replayed(log), replayed(log, "--policy", policy)
    pinned = replayed(log, "--policy", policy, "--policy-hash", sha256(policy.read_bytes()).hex())

    assert any("no --policy was given" in limit for limit in limits_of(alone))
    assert any("no --policy-hash was given" in limit for limit in limits_of(unpinned))
    assert not any("no --policy" in limit for limit in limits_of(pinned))
    assert all("its authors are members" in limits_of(each)[-1] for each in (alone, unpinned, pinned))
