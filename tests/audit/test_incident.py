"""`tocsin audit incident` against nodes over loopback: who agrees, leaves out, lies, is silent."""

from __future__ import annotations

import json
import subprocess
import sys
from collections.abc import Callable
from pathlib import Path

import pytest

from proofs.canonical import Value
from proofs.disclosure import DisclosureFile, disclose, encode_disclosure, seal
from proofs.remarks import Signal, remark_body
from relay.audit.story import Answer
from relay.cli import audit_incident
from relay.cli.entry import call
from tests.audit.scene import Scene, names
from tests.audit.village import SEED, Alarm, Node, Village, log_files, put, served
from tests.proofs.conftest import NAMES, TRACE
from tests.proofs.incident import NOW_S

LATER = seal({"note": "again", "reporter": "hotline"}, SEED)


def test_where_all_logs_agree_everything_holds(scene: Scene) -> None:
    with served(*(scene.node(name) for name in NAMES)) as urls:
        story = scene.story(*urls)

    assert (story.answer, names(story)) == (Answer.YES, [])
    assert sorted(log.member for log in story.logs) == sorted(NAMES)
    (decision,) = story.decisions
    assert {voice.member: voice.stance for voice in decision.voices} == {
        "alice": "attest",
        "bob": "attest",
        "carol": "attest",
        "dave": "dissent",
    }
    assert all(voice.logs == ("alice", "bob", "carol", "dave") for voice in decision.voices)


def test_a_silent_node_is_told_and_never_hidden_behind_a_yes(scene: Scene) -> None:
    with served(scene.node("carol")) as (gone,):
        pass
    with served(scene.node("alice"), scene.node("bob")) as urls:
        story = scene.story(*urls, gone)

    assert story.answer is Answer.UNKNOWN
    assert set(names(story)) == {"silent"}
    assert len(story.logs) == 2


def test_two_histories_of_one_log_are_a_fork(scene: Scene, tmp_path: Path) -> None:
    other = [*scene.without(scene.alarm.dissent), *scene.alarm.noise(1)]
    copy = put(tmp_path / "alice", log_files(scene.village, "alice", other))
    with served(scene.node("alice"), scene.node("bob")) as urls:
        story = scene.story(*urls, copy)

    fork = next(finding for finding in story.findings if finding.name == "fork")
    assert (fork.answer, fork.facts["keeper"], fork.facts["size"]) == (Answer.NO, "alice", 10)


def test_a_log_that_grew_out_of_another_history_than_the_bundle_shows_is_named(scene: Scene) -> None:
    grown = [*scene.alarm.noise(3), *scene.alarm.said]
    node = Node(log_files(scene.village, "alice", grown)).with_bundle(
        scene.alarm, scene.alarm.bundle("alice")
    )
    with served(node, scene.node("bob")) as urls:
        story = scene.story(*urls)

    assert names(story) == ["inconsistent"]


def test_a_log_that_is_shorter_than_its_bundle_was_rolled_back(scene: Scene) -> None:
    with served(scene.node("alice", scene.alarm.said[:9]), scene.node("bob")) as urls:
        story = scene.story(*urls)

    assert "rollback" in names(story)
    assert story.answer is Answer.NO


def test_a_copy_of_another_history_than_is_served_now_is_named(scene: Scene, tmp_path: Path) -> None:
    other = [*scene.alarm.noise(3), *scene.alarm.said[:6]]
    copy = put(tmp_path / "alice", log_files(scene.village, "alice", other))
    with served(scene.node("alice"), scene.node("bob")) as urls:
        story = scene.story(*urls, copy)

    assert "inconsistent" in names(story)


def test_a_node_that_lists_odd_ids_or_gives_another_incidents_bundle_is_named(scene: Scene) -> None:
    other = Alarm(scene.village, 1)
    node = scene.node("carol")
    node.files[f"v1/decisions/{scene.alarm.id}/bundle"] = other.bundle("carol")
    odd = scene.node("dave")
    paths = [{"id": f"{scene.alarm.id[:8]}/../../secret"}, {"id": scene.alarm.id}]
    odd.files["v1/incidents"] = json.dumps({"incidents": paths}).encode()
    with served(scene.node("alice"), scene.node("bob"), node, odd) as urls:
        story = scene.story(*urls)

    (finding,) = [each for each in story.findings if each.name == "bundle"]
    assert "of another incident" in finding.words
    assert not [path for path in odd.asked if ".." in path]


def test_an_older_copy_of_a_log_leaves_nothing_out(scene: Scene, tmp_path: Path) -> None:
    short = put(tmp_path / "alice", log_files(scene.village, "alice", scene.alarm.said[:9]))
    with served(scene.node("alice"), scene.node("bob")) as urls:
        story = scene.story(*urls, short)

    assert (story.answer, names(story)) == (Answer.YES, [])


def test_fewer_logs_than_hold_one_honest_one_are_too_few(scene: Scene) -> None:
    with served(scene.node("alice")) as urls:
        story = scene.story(*urls)

    assert (story.answer, names(story)) == (Answer.UNKNOWN, ["too-few-logs"])


def test_a_tile_that_is_not_of_the_checkpoint_takes_the_log_out_by_name(scene: Scene) -> None:
    node = scene.node("bob")
    path = next(path for path in node.files if path.startswith("tile/entries"))
    node.files[path] = node.files[path][:-1] + bytes([node.files[path][-1] ^ 1])
    with served(scene.node("alice"), scene.node("carol"), node) as urls:
        story = scene.story(*urls)

    (finding,) = story.findings
    assert (finding.name, finding.facts["check"], len(story.logs)) == ("log", "tile-content", 2)


def test_a_log_of_which_a_part_is_gone_could_not_be_read_and_is_not_wrong(scene: Scene) -> None:
    node = scene.node("bob")
    node.files = {path: content for path, content in node.files.items() if "entries" not in path}
    with served(scene.node("alice"), scene.node("carol"), node) as urls:
        story = scene.story(*urls)

    assert (story.answer, names(story), len(story.logs)) == (Answer.UNKNOWN, ["no-log"], 2)


def test_a_bundle_of_another_network_is_refused_and_the_rest_is_told(scene: Scene, tmp_path: Path) -> None:
    elsewhere = Alarm(Village("elsewhere"))
    strange = tmp_path / "strange.bundle"
    strange.write_bytes(elsewhere.bundle("alice"))
    with served(scene.node("alice"), scene.node("bob")) as urls:
        story = scene.story(*urls, strange)

    assert story.answer is Answer.NO
    assert [finding.facts.get("check") for finding in story.findings] == ["log-key"]
    assert len(story.bundles) == 2


def test_values_that_members_read_differently_are_marked() -> None:
    values: dict[str, Value] = {"released": 9, "burned": 3}
    village = Village()
    scene = Scene(village, Alarm(village, traces={"carol": {**TRACE, "values": values}}))
    with served(scene.node("alice"), scene.node("bob")) as urls:
        story = scene.story(*urls)

    (differing,) = [finding for finding in story.findings if finding.name == "values-differ"]
    assert differing.facts["metrics"] == ("released",)
    metric = next(metric for metric in story.decisions[0].metrics if metric.name == "released")
    assert [(reading.value, reading.members) for reading in metric.readings] == [
        ("7", ("alice", "bob", "dave")),
        ("9", ("carol",)),
    ]


def test_only_the_newer_end_of_a_long_log_is_read(scene: Scene) -> None:
    before = scene.alarm.noise(2_600, at_ms=1_659_000_000_000)
    entries = [*before, *scene.alarm.said, *scene.alarm.noise(300)]
    nodes = [
        Node(log_files(scene.village, name, entries)).with_bundle(
            scene.alarm, scene.alarm.bundle(name, before)
        )
        for name in ("alice", "bob")
    ]
    with served(*nodes) as urls:
        story = scene.story(*urls)

    assert story.answer is Answer.YES
    assert all(log.entries_read < 1_000 and not log.is_read_whole for log in story.logs)
    assert sum(path.startswith("tile/entries") for path in nodes[0].asked) <= 4


def test_strange_entries_are_counted_and_spoil_nothing(scene: Scene) -> None:
    stranger = Village("elsewhere").envelope("alice", "readiness", {"fact": "x"}, 1)
    alice = scene.node("alice", [*scene.alarm.said, b"no envelope", stranger])
    with served(alice, scene.node("bob")) as urls:
        story = scene.story(*urls)

    assert story.answer is Answer.YES
    assert next(log for log in story.logs if log.member == "alice").strange_entries == 2


def test_a_node_that_asks_for_a_token_gets_it_and_without_one_is_named(scene: Scene) -> None:
    guarded = scene.node("alice")
    guarded.token = "s3cret"
    with served(guarded, scene.node("bob")) as urls:
        told = scene.story(*urls, token="s3cret")
        refused = scene.story(*urls)

    assert told.answer is Answer.YES
    (finding,) = refused.findings
    assert (finding.name, "401" in finding.words) == ("refused", True)


# ---- the command

Run = Callable[..., "tuple[int, str, str]"]


@pytest.fixture
def run(scene: Scene, tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> Run:
    policy = tmp_path / "policy.txt"
    policy.write_bytes(scene.village.cosigned_policy())

    def command(*arguments: str | Path) -> tuple[int, str, str]:
        code = call(["audit", "incident", *map(str, arguments), "--policy", str(policy)])
        return (code, *capsys.readouterr())

    return command


def test_the_command_writes_the_story_in_every_form(scene: Scene, run: Run, tmp_path: Path) -> None:
    html, markdown = tmp_path / "story.html", tmp_path / "story.md"
    with served(scene.node("alice"), scene.node("bob")) as urls:
        code, out, _ = run(scene.alarm.id[:6], *urls, "--json", "--html", html, "--md", markdown)
        plain_code, plain_out, _ = run(scene.alarm.id, *urls)

    document = json.loads(out)
    assert (code, plain_code) == (0, 0)
    assert (document["schema"], document["answer"]) == ("tocsin/audit-incident/1", "yes")
    assert document["story"]["incident"] == scene.alarm.id
    assert "acme-bridge was paused" in plain_out
    assert "acme-bridge" in html.read_text()
    assert "acme-bridge" in markdown.read_text()


def test_folders_and_files_are_sources_too(scene: Scene, run: Run, tmp_path: Path) -> None:
    folder = put(tmp_path / "evidence", {"a.bundle": scene.alarm.bundle("alice")})
    put(folder / "log", log_files(scene.village, "alice", scene.alarm.said))
    mirror = put(tmp_path / "mirror", log_files(scene.village, "bob", scene.alarm.said))
    code, out, _ = run(scene.alarm.id[:8], folder, mirror, "--json")

    assert (code, [log["member"] for log in json.loads(out)["story"]["logs"]]) == (0, ["alice", "bob"])


@pytest.mark.parametrize(
    ("arguments", "code", "words"),
    [
        (("zz",), 2, "expected 4 to 64 hexadecimal digits"),
        (("--policy-hash", "00" * 32), 1, "its hash is not that"),
        (("--rpc", "https://rpc.example"), 2, "expected CHAIN=URL"),
        (("--began", "yesterday"), 2, "expected a time as"),
        (("--network", "00" * 32), 1, "network-pinned"),
    ],
)
def test_what_is_asked_wrongly_is_refused_by_name(
    scene: Scene, run: Run, tmp_path: Path, arguments: tuple[str, ...], code: int, words: str
) -> None:
    folder = put(tmp_path / "evidence", {"a.bundle": scene.alarm.bundle("alice")})
    named = arguments if arguments == ("zz",) else (scene.alarm.id[:8], *arguments)
    got, out, err = run(named[0], folder, *named[1:])

    assert (got, words in out + err) == (code, True), out + err


def test_without_any_bundle_there_is_no_story_and_nothing_is_claimed(
    scene: Scene, run: Run, tmp_path: Path
) -> None:
    mirror = put(tmp_path / "mirror", log_files(scene.village, "bob", scene.alarm.said))
    code, out, _ = run(scene.alarm.id[:8], mirror, "--json")

    assert (code, json.loads(out)["answer"], json.loads(out)["story"]) == (3, "unknown", None)


def test_the_command_needs_the_base_install_alone() -> None:
    absent = ("aiohttp", "cel_expr_python", "cryptography", "libp2p", "trio", "web3")
    program = f"import sys; sys.modules.update(dict.fromkeys({absent!r})); import relay.cli.audit_incident"
    done = subprocess.run([sys.executable, "-c", program], capture_output=True, text=True, check=False)

    assert (done.returncode, done.stderr) == (0, "")


def test_a_node_is_asked_for_the_bundle_by_another_decision_where_the_first_has_none(
    scene: Scene, run: Run
) -> None:
    node, first = scene.node("alice"), "ab" * 32
    decisions = {"id": first, "decisions": [{"id": first}, {"id": scene.alarm.id}, {"id": "../../x"}]}
    node.files["v1/incidents"] = json.dumps({"incidents": [decisions]}).encode()
    node.files[f"v1/incidents/{first}"] = json.dumps({"incident": decisions}).encode()
    with served(node, scene.node("bob")) as urls:
        by_later, _, _ = run(scene.alarm.id[:8], *urls)
        by_first, _, _ = run("ababab", urls[0])

    assert (by_later, by_first) == (0, 3), "three: only one log was read"
    assert f"v1/decisions/{first}/bundle" in node.asked
    assert f"v1/decisions/{scene.alarm.id}/bundle" in node.asked
    assert not [path for path in node.asked if ".." in path]


def test_who_waits_is_told_once_it_is_overdue(
    scene: Scene, run: Run, monkeypatch: pytest.MonkeyPatch
) -> None:
    published_s = NOW_S - 1_000 + len(scene.alarm.said) + 1
    clock = [published_s + 20]

    class Passing:
        """An event that nobody sets, in a world where time passes at once."""

        def wait(self, seconds: float) -> None:
            clock[0] += int(seconds)

    monkeypatch.setattr(audit_incident, "_now_s", lambda: clock[0])
    monkeypatch.setattr(audit_incident, "Event", Passing)
    dave = scene.log_only("dave", scene.without(scene.alarm.dissent), at_s=published_s)
    with served(scene.node("alice", at_s=published_s), dave) as urls:
        code, out, _ = run(scene.alarm.id[:8], *urls, "--json", "--wait")

    assert (code, clock[0] - published_s) == (1, 122)
    assert [each["name"] for each in json.loads(out)["findings"]] == ["omitted-own"]


def test_an_id_that_begins_two_incidents_is_asked_for_more_exactly(
    scene: Scene, run: Run, tmp_path: Path
) -> None:
    node = scene.node("alice")
    twin = scene.alarm.id[:8] + "0" * 56
    node.files["v1/incidents"] = json.dumps({"incidents": [{"id": scene.alarm.id}, {"id": twin}]}).encode()
    with served(node) as urls:
        code, _, err = run(scene.alarm.id[:8], *urls)

    assert (code, "begins decisions of 2 incidents" in err) == (2, True)


def test_a_record_that_was_opened_is_sought_in_the_logs_too(scene: Scene, run: Run, tmp_path: Path) -> None:
    """The bundles do not hold this signal, which was told after them."""
    later = scene.alarm.say("dave", "signal", remark_body(Signal(scene.village.plan_hash, "later", LATER)))
    said = scene.alarm.said
    scene.alarm.said = said[:-1]
    opened = tmp_path / "opened.json"
    fields = (disclose({"note": "again", "reporter": "hotline"}, SEED, "note"),)
    opened.write_bytes(encode_disclosure(DisclosureFile(later, fields)))
    with served(scene.node("alice", said), scene.node("bob", said)) as urls:
        code, out, _ = run(scene.alarm.id[:8], *urls, "--disclosure", opened, "--json")
        without, bare, _ = run(scene.alarm.id[:8], *urls, "--json")

    assert (code, without) == (0, 0)
    remarks = json.loads(out)["story"]["remarks"]
    assert [remark["disclosed"] for remark in remarks] == [[], [{"field": "note", "value": "again"}]]
    assert len(json.loads(bare)["story"]["remarks"]) == 1
