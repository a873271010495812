"""`tocsin audit verify`: what it prints and its exit codes, as a shell sees them."""

import json
import subprocess
import sys
from collections.abc import Callable
from dataclasses import dataclass, replace
from pathlib import Path
from typing import TYPE_CHECKING

import pytest

from proofs.bundle import MAX_BUNDLE_BYTES, BundleDisclosure, encode_bundle
from proofs.disclosure import disclose, seal
from proofs.hashes import sha256
from relay.cli.entry import call
from tests.proofs.grouptown import keys_of, with_frost
from tests.proofs.incident import Case, City, Incident
from tests.proofs.shown import alarm, with_receipts
from tests.proofs.test_remarked import SEED, scene, signal

if TYPE_CHECKING:
    from proofs.canonical import Value
    from tests.proofs.conftest import Town

Verify = Callable[..., "Said"]
ROOT = Path(__file__).parents[2]
NETWORKING = ("libp2p", "web3", "aiohttp", "cryptography", "cel_expr_python", "trio")
BASE_ONLY = (
    f"import sys; sys.modules.update(dict.fromkeys({NETWORKING!r}));"
    "from relay.cli import main; main(sys.argv[1:])"
)


@dataclass(frozen=True)
class Said:
    """What a command left behind."""

    returncode: int
    stdout: str
    stderr: str


@pytest.fixture
def verify(capsys: pytest.CaptureFixture[str]) -> Callable[..., Said]:
    """Give the command, run in this process."""

    def run(*arguments: str | Path) -> Said:
        returncode = call(["audit", "verify", *map(str, arguments)])
        return Said(returncode, *capsys.readouterr())

    return run


@pytest.fixture
def bundle(town: "Town", tmp_path: Path) -> Path:
    path = tmp_path / "alarm.bundle"
    path.write_bytes(encode_bundle(town.alarm()))
    return path


@pytest.fixture
def policy(town: "Town", tmp_path: Path) -> Path:
    path = tmp_path / "policy.txt"
    path.write_bytes(town.policy())
    return path


def test_a_right_bundle_is_yes_and_says_whom_it_trusts(verify: Verify, bundle: Path, town: "Town") -> None:
    result = verify(bundle)

    assert result.returncode == 0, result.stderr
    assert "VERIFIED" in result.stdout
    for anchor in ("policy", "network", "plan"):
        assert f"{anchor} not pinned" in result.stdout
    assert town.network.hex() in result.stdout.replace("\n", "").replace(" ", "")
    for name in ("alice", "bob", "carol", "dave", "halt", "disable"):
        assert name in result.stdout
    assert "not shown: receipt of act halt on chain eip155:31337" in " ".join(result.stdout.split())


def test_receipts_are_shown_with_what_they_rest_on(verify: Verify, town: "Town", tmp_path: Path) -> None:
    path = tmp_path / "alarm.bundle"
    bundle, (halt, _) = alarm(town)
    path.write_bytes(encode_bundle(with_receipts(bundle, halt)))

    said = " ".join(verify(path).stdout.split())

    assert "gas 150000, by transaction" in said
    assert "receipt proved: transaction 1 of the block, log 0" in said
    assert "the block's hash is signed by 2 of 4 members, one of them honest" in said
    assert said.count("receipt not shown") == 1
    assert "not shown: receipt of act disable on chain eip155:31338" in said


def test_both_kinds_of_certificate_are_named_with_who_stands_behind_them(
    verify: Verify, town: "Town", tmp_path: Path
) -> None:
    path = tmp_path / "alarm.bundle"
    path.write_bytes(encode_bundle(with_frost(town, town.alarm(), 1)))
    document = keys_of(town)

    said = " ".join(verify(path).stdout.split())

    assert said.count("ECDSA, a list of 2 signatures") == 2
    assert said.count("FROST, one signature by the group key full of key epoch 1") == 1
    assert document.group("full").key.hex() in said.replace(" ", ""), "long lines are folded"
    assert said.count("(2 needed), by attestations in the log") == 2
    assert said.count("(3 needed), by attestations in the log") == 1
    assert "of key epoch 1, generation 1, signed by " in said
    assert f"oftheceremony{document.ceremony.hex()}" in said.replace(" ", "")
    assert "which holders made a group's signature" in said


@pytest.fixture(scope="module")
def whole() -> Case:
    return Incident.of(City()).case()


@pytest.fixture
def files(whole: Case, tmp_path: Path) -> tuple[Path, Path, Path]:
    """Give the bundle of a whole incident, its policy, and the disclosure of a field."""
    paths = tmp_path / "whole.json", tmp_path / "policy.txt", tmp_path / "reporter.json"
    for path, data in zip(paths, (encode_bundle(whole.bundle), whole.policy, whole.disclosure), strict=True):
        path.write_bytes(data)
    return paths


def test_it_names_the_witnesses_behind_the_newest_checkpoint_and_who_is_missing(
    verify: Verify, files: tuple[Path, Path, Path]
) -> None:
    bundle, policy, _ = files
    said = " ".join(verify(bundle, "--policy", policy).stdout.split())
    alone = " ".join(verify(bundle).stdout.split())

    assert "cosigned by 6 of 7 witnesses: alice, bob, dave, erin, frank, grace; not by carol" in said
    assert "quorum of the policy: 5 of 7, epoch-1" in said
    assert "cosigned by 6 of 7 witnesses" in alone
    assert "no quorum of witnesses was asked for" in alone
    assert "by the clock of alice; log size 45" in said


def test_it_tells_what_else_members_said_and_which_blocks_are_final(
    verify: Verify, files: tuple[Path, Path, Path]
) -> None:
    said = " ".join(verify(files[0], "--policy", files[1]).stdout.split())

    for words in (
        "dave: was told of unbacked; by whom and what is sealed signal, 2022-08-01 21:40:00 UTC by its own",
        "alice: holds no verdict of grace absence,",
        "bob: accuses grace: bad signature share; its word alone",
        "erin: shows that grace attested to two mandates",
        "frank: its own call on eip155:31338 had no effect after 2 tries: unfunded",
        "carol: the anchor left its chain; an effect had been seen",
        "the block is said to be final by 3 of 7 members, one of them honest",
        "the block is said to be final by 2 of 7 members, too few to exclude lies (f = 2)",
    ):
        assert words in said
    assert "that block 101 of chain eip155:31338 is final" in said.partition("Not proved by this bundle")[2]


def test_disclosed_fields_are_shown_with_whose_they_are(
    verify: Verify, files: tuple[Path, Path, Path]
) -> None:
    bundle, policy, disclosure = files
    without = " ".join(verify(bundle, "--policy", policy).stdout.split())
    given = verify(bundle, "--policy", policy, "--disclosure", disclosure)
    said = " ".join(given.stdout.split())

    assert "note a caller says funds are leaving sealed in the signal of dave, record" in without
    assert "hotline" not in without
    assert "reporter hotline sealed in the signal of dave, record" in said
    value = json.loads(verify(bundle, "--json", "--disclosure", disclosure).stdout)
    assert {each["field"]: each["value"] for each in value["disclosed"]} == {
        "note": "a caller says funds are leaving",
        "reporter": "hotline",
    }


def test_a_disclosure_of_something_else_is_no(
    verify: Verify, bundle: Path, files: tuple[Path, Path, Path]
) -> None:
    result = verify(bundle, "--disclosure", files[2])

    assert result.returncode == 1
    assert "sealed-record" in result.stdout


def test_every_time_in_the_verdict_says_whose_it_is(verify: Verify, files: tuple[Path, Path, Path]) -> None:
    value = json.loads(verify(files[0], "--json", "--policy", files[1]).stdout)

    first = value["decisions"][0]
    assert first["anchor"]["timestamp_source"] == "block"
    assert first["witnessed"] == {
        "at_s": 1_659_399_045,
        "at_source": "witnessed",
        "by": "town/alice/cosigner",
        "size": 45,
    }
    assert {each["at_source"] for each in first["statements"]} == {"self-asserted"}
    finals = [outcome["final"] for act in first["acts"] for outcome in act["outcomes"]]
    assert sorted((each["is_agreed"], each["said_by"]) for each in finals) == [
        (False, ["bob", "erin"]),
        (True, ["alice", "bob", "dave"]),
    ]


@pytest.mark.parametrize("columns", ["80", "120"])
def test_no_line_is_wider_than_the_terminal(
    verify: Verify, files: tuple[Path, Path, Path], columns: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv("COLUMNS", columns)

    lines = verify(files[0], "--policy", files[1], "--disclosure", files[2]).stdout.splitlines()

    assert max(map(len, lines)) <= int(columns)
    assert not any("\x1b" in line for line in lines)


def test_it_runs_on_the_base_install(bundle: Path) -> None:
    command = [sys.executable, "-c", BASE_ONLY, "audit", "verify", bundle]
    result = subprocess.run(command, cwd=ROOT, capture_output=True, text=True, timeout=60, check=False)

    assert result.returncode == 0, result.stderr


def test_what_is_pinned_is_said_to_be_pinned(
    verify: Verify, bundle: Path, policy: Path, town: "Town"
) -> None:
    digest, network, plan = sha256(policy.read_bytes()).hex(), town.network.hex(), town.plan_hash.hex()
    pins = ("--policy-hash", digest, "--network", network, "--plan-hash", plan, "--plan-hash", "00" * 32)

    result = verify(bundle, "--policy", policy, *pins)

    assert result.returncode == 0, result.stderr
    assert "not pinned" not in result.stdout
    said = " ".join(result.stdout.partition("Not proved")[0].split())
    assert said.count(" pinned ") == 3
    assert all(pinned in said for pinned in (digest, network, plan))


@pytest.mark.parametrize(
    ("option", "check"), [("--network", "network-pinned"), ("--plan-hash", "plan-pinned")]
)
def test_another_network_or_plan_than_the_pinned_one_is_no(
    verify: Verify, bundle: Path, option: str, check: str
) -> None:
    result = verify(bundle, option, "0x" + "17" * 32)

    assert result.returncode == 1
    assert check in result.stdout


def test_json_has_a_schema_in_every_answer(verify: Verify, bundle: Path, policy: Path) -> None:
    digest = sha256(policy.read_bytes()).hex()
    yes = verify(bundle, "--json", "--policy", policy, "--policy-hash", f"0x{digest}")
    no = verify(bundle, "--json", "--policy", policy, "--policy-hash", "00" * 32)

    verdict, refusal = json.loads(yes.stdout), json.loads(no.stdout)
    assert (yes.returncode, no.returncode) == (0, 1)
    assert verdict["schema"] == refusal["schema"] == "tocsin/verdict/1"
    assert (verdict["verified"], verdict["policy_pinned"], verdict["policy_hash"]) == (True, True, digest)
    assert (verdict["network_pinned"], verdict["plans_pinned"]) == (False, False)
    assert len(verdict["decisions"]) == 3
    assert (refusal["verified"], refusal["check"]) == (False, "policy-pin")


def test_a_wrong_bundle_is_no_and_names_the_check(verify: Verify, bundle: Path) -> None:
    data = bundle.read_bytes()
    bundle.write_bytes(data.replace(b'"subject": "unbacked"', b'"subject": "unbackeb"'))

    result = verify(bundle)

    assert result.returncode == 1
    assert "NOT VERIFIED" in result.stdout
    assert "mandate-decision-id" in result.stdout


def test_a_file_beyond_the_limit_is_not_read_whole(verify: Verify, bundle: Path) -> None:
    with bundle.open("r+b") as file:
        file.truncate(8 * MAX_BUNDLE_BYTES)

    result = verify(bundle)

    assert result.returncode == 1
    assert "bundle-size" in result.stdout


@pytest.mark.parametrize(
    ("arguments", "told"),
    [
        (["no-such-file"], "no-such-file"),
        ([], "FILE"),
        (["{bundle}", "--policy", "no-such-policy"], "no-such-policy"),
        (["{bundle}", "--policy-hash", "00" * 32], "--policy"),
        (["{bundle}", "--policy", "{policy}", "--policy-hash", "zz"], "32 bytes in hex"),
        (["{bundle}", "--network", "17"], "32 bytes in hex"),
        (["{bundle}", "--plan-hash", "00" * 32, "--plan-hash", "zz"], "32 bytes in hex"),
        (["{bundle}", "--policy", "{bundle}"], "line 1"),
        (["{bundle}", "--policies"], "--policies"),
    ],
)
def test_wrong_use_is_usage(
    verify: Verify, bundle: Path, policy: Path, arguments: list[str], told: str
) -> None:
    result = verify(*[argument.format(bundle=bundle, policy=policy) for argument in arguments])

    assert result.returncode == 2, result.stdout
    assert told in result.stderr
    assert "Traceback" not in result.stderr


def test_what_cannot_be_read_is_no_answer(verify: Verify) -> None:
    # The memory of the process itself: there, and not readable from its start.
    result = verify("/proc/self/mem")

    assert result.returncode == 3, result.stdout
    assert "/proc/self/mem" in result.stderr or "Input/output error" in result.stderr


def test_text_of_a_bundle_is_never_markup(verify: Verify, town: "Town", tmp_path: Path) -> None:
    path = tmp_path / "alarm.bundle"
    data = encode_bundle(town.alarm())
    path.write_bytes(data.replace(b'"subject": "unbacked"', b'"subject": "[red]deceit[/red]"'))

    result = verify(path)

    assert result.returncode == 1
    assert "Traceback" not in result.stderr


def test_a_terminal_obeys_nothing_that_was_sealed(verify: Verify, town: "Town", tmp_path: Path) -> None:
    entry = scene(town)
    fields: dict[str, Value] = {"note": "\x1b[2Jgone\x07\u202e", "reporter": "hotline"}
    town.say("alice", "signal", signal(town, entry, sealed=seal(fields, SEED)))
    opened = BundleDisclosure(4, disclose(fields, SEED, "note"))
    path = tmp_path / "sealed.bundle"
    path.write_bytes(
        encode_bundle(replace(town.bundle(replace(entry, statements=(4,))), disclosed=(opened,)))
    )

    said = verify(path)

    assert said.returncode == 0, said.stderr
    assert "\ufffd[2Jgone\ufffd\ufffd" in said.stdout
    assert not {"\x1b", "\x07", "\u202e"} & set(said.stdout)
