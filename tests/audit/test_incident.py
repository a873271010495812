"""`tocsin audit incident` against nodes over loopback: who agrees, leaves out, lies, is silent."""

from __future__ import annotations

import json
import subprocess
import sys
from collections.abc import Callable, Sequence
from dataclasses import dataclass
from pathlib import Path

import pytest

from proofs.canonical import Value
from proofs.disclosure import DisclosureFile, disclose, encode_disclosure, seal
from proofs.envelope import open_envelope
from proofs.policy import parse_policy
from proofs.remarks import Signal, remark_body
from relay.audit import back
from relay.audit.gather import places_of
from relay.audit.incident import investigate
from relay.audit.opening import Trust
from relay.audit.story import Answer, Story
from relay.audit.tell import Told, tell
from relay.cli import audit_incident
from relay.cli.entry import call
from relay.core.committees import LASTING_S
from tests.audit.village import SEED, Alarm, Node, Village, log_files, put, served
from tests.proofs.conftest import NAMES, TRACE, attestation_body
from tests.proofs.incident import NOW_S

LATER = seal({"note": "again", "reporter": "hotline"}, SEED)
LATER_S = NOW_S + 86_400
"""The auditor's clock: longer after everything was published than anything is held back."""


@dataclass
class Scene:
    """An alarm, and what each member keeps and serves of it."""

    village: Village
    alarm: Alarm

    def node(self, name: str, entries: Sequence[bytes] | None = None, at_s: int = NOW_S) -> Node:
        kept = self.alarm.said if entries is None else entries
        return Node(log_files(self.village, name, kept, at_s)).with_bundle(
            self.alarm, self.alarm.bundle(name)
        )

    def log_only(self, name: str, entries: Sequence[bytes], at_s: int = NOW_S) -> Node:
        return Node(log_files(self.village, name, entries, at_s))

    def story(self, *sources: str | Path, now_s: int = LATER_S, token: str | None = None) -> Story:
        raw = self.village.cosigned_policy()
        trust = Trust(raw, parse_policy(raw), now_s)
        places = list(places_of([str(source) for source in sources], token))
        found = investigate(places, self.alarm.id[:8], trust, lambda: now_s)
        return tell(found.case, Told(findings=tuple(found.findings), skipped=found.unshown))

    def without(self, *entries: bytes) -> list[bytes]:
        return [entry for entry in self.alarm.said if entry not in entries]


@pytest.fixture
def scene() -> Scene:
    village = Village()
    return Scene(village, Alarm(village))


def names(story: Story) -> list[str]:
    return [finding.name for finding in story.findings]


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


def test_a_member_that_omits_its_own_dissent_is_named_before_one_that_omits_anothers(scene: Scene) -> None:
    outcome = scene.alarm.said[4]
    nodes = (
        scene.node("alice"),
        scene.node("bob"),
        scene.log_only("carol", scene.without(outcome)),
        scene.log_only("dave", scene.without(scene.alarm.dissent)),
    )
    with served(*nodes) as urls:
        story = scene.story(*urls)

    assert story.answer is Answer.NO
    own, others = story.findings[:2]
    assert (own.name, own.facts["keeper"], own.facts["what"]) == ("omitted-own", "dave", "dissent")
    assert own.facts["stands_in"] == ("alice", "bob", "carol")
    assert (others.name, others.facts["keeper"], others.facts["author"]) == ("omitted", "carol", "alice")
    assert "dave has not its own dissent" in own.words


def test_nobody_is_accused_of_what_he_still_has_time_to_publish(scene: Scene) -> None:
    # As the cosigners of the bundle's checkpoint say.
    published_s = NOW_S - 1_000 + len(scene.alarm.said) + 1
    kept = scene.without(scene.alarm.dissent)
    still = scene.log_only("dave", kept, at_s=published_s)
    moved = scene.log_only(
        "dave", [*kept, *scene.alarm.noise(4, 1_000 * (published_s + 61))], at_s=published_s
    )
    with served(scene.node("alice", at_s=published_s), still, moved) as (alice, still_url, moved_url):
        soon = scene.story(alice, moved_url, now_s=published_s + 20)
        waiting = scene.story(alice, still_url, now_s=published_s + 61)
        late = scene.story(alice, moved_url, now_s=published_s + 61)
        last = scene.story(alice, still_url, now_s=published_s + 61 + LASTING_S)

    (missing,) = soon.findings
    assert (missing.name, missing.answer) == ("missing", Answer.UNKNOWN)
    assert missing.facts["due_at_s"] == published_s + 61
    assert "left to publish" in missing.words
    assert names(waiting) == ["missing"]
    assert "may wait there for the release of an older entry" in waiting.findings[0].words
    assert names(late) == names(last) == ["omitted-own"]


def test_a_younger_word_of_its_own_convicts_who_left_out_an_older_one(scene: Scene) -> None:
    published_s = NOW_S - 1_000 + len(scene.alarm.said) + 1
    said_ms = open_envelope(scene.alarm.dissent).at_ms
    kept, found = scene.without(scene.alarm.dissent), []
    for younger_ms in (5_000, 5_001):
        own = scene.alarm.noise(4, said_ms + younger_ms - 3)[3]
        dave = scene.log_only("dave", [*kept, own], at_s=published_s)
        with served(scene.node("alice", at_s=published_s), dave) as urls:
            found.append(names(scene.story(*urls, now_s=published_s + 61)))

    assert found == [["missing"], ["omitted-own"]]


def test_a_copy_is_judged_by_when_its_cosigners_still_saw_it(scene: Scene, tmp_path: Path) -> None:
    # By the bundle's cosigners it stood at NOW_S - 989; f + 1 of the copy's saw it missing at `at_s` + 1.
    found: list[list[str]] = []
    for at_s in (NOW_S - 989 + 59, NOW_S - 989 + 60):
        entries = [*scene.without(scene.alarm.dissent), *scene.alarm.noise(4, 1_000 * NOW_S)]
        files = log_files(scene.village, "dave", entries, at_s)
        copy = put(tmp_path / str(at_s), files)
        with served(scene.node("alice"), scene.node("bob")) as urls:
            found.append(names(scene.story(*urls, copy)))

    assert found == [["missing"], ["omitted-own"]]


def test_what_may_stand_further_back_than_was_read_convicts_nobody(
    scene: Scene, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(back, "MAX_ENTRIES", 256)
    before = [scene.alarm.dissent, *scene.alarm.noise(600, at_ms=1_659_000_000_000)]
    dave = scene.log_only("dave", [*before, *scene.without(scene.alarm.dissent)])
    with served(scene.node("alice"), scene.node("bob"), dave) as urls:
        story = scene.story(*urls)

    (finding,) = story.findings
    assert (finding.name, finding.answer) == ("missing", Answer.UNKNOWN)
    assert "may stand before entry" in finding.words


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


def test_a_bundle_of_another_network_is_refused_and_the_rest_is_told(scene: Scene, tmp_path: Path) -> None:
    elsewhere = Alarm(Village("elsewhere"))
    strange = tmp_path / "strange.bundle"
    strange.write_bytes(elsewhere.bundle("alice"))
    with served(scene.node("alice"), scene.node("bob")) as urls:
        story = scene.story(*urls, strange)

    assert story.answer is Answer.NO
    assert [finding.facts.get("check") for finding in story.findings] == ["log-key"]
    assert len(story.bundles) == 2


def test_two_verdicts_of_one_member_in_two_logs_are_a_contradiction(scene: Scene) -> None:
    body = attestation_body(scene.alarm.decision, "dissent", None, None)
    second = scene.village.envelope("bob", "attestation", body, 1_659_390_000_500)
    nodes = (scene.node("alice"), scene.node("bob"), scene.log_only("dave", [*scene.alarm.said, second]))
    with served(*nodes) as urls:
        story = scene.story(*urls)

    assert "contradiction" in names(story)
    assert story.findings[0].answer is Answer.NO


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


def test_what_a_log_took_long_before_is_not_said_to_be_left_out(scene: Scene) -> None:
    """Dave took his own dissent early: it stands further back than the incident is sought at first."""
    old = scene.alarm.noise(1_200, at_ms=1_659_000_000_000)
    before = [scene.alarm.dissent, *old]
    dave = scene.log_only("dave", [*before, *scene.without(scene.alarm.dissent)])
    with served(scene.node("alice"), scene.node("bob"), dave) as urls:
        story = scene.story(*urls)

    assert (story.answer, names(story)) == (Answer.YES, [])


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
    later = scene.alarm.noise(4, 1_000 * (published_s + 61))
    dave = scene.log_only("dave", [*scene.without(scene.alarm.dissent), *later], at_s=published_s)
    with served(scene.node("alice", at_s=published_s), dave) as urls:
        code, out, _ = run(scene.alarm.id[:8], *urls, "--json", "--wait")

    assert (code, clock[0] - published_s) == (1, 62)
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
