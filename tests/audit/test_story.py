"""What a story says, and that no stranger's text gets out of its place in any form of it."""

from __future__ import annotations

import io
import json
import re
from html.parser import HTMLParser
from pathlib import Path

import pytest
from rich.console import Console

from proofs.bundle import encode_bundle
from proofs.canonical import Value
from proofs.disclosure import Disclosure, DisclosureFile, disclose, encode_disclosure
from proofs.errors import ProofError
from proofs.policy import parse_policy
from relay.audit.gather import places_of
from relay.audit.incident import investigate
from relay.audit.layout import layout
from relay.audit.opening import Trust
from relay.audit.remarks import open_disclosure
from relay.audit.stamps import Given
from relay.audit.story import Answer, Clock, Story
from relay.audit.story_html import story_html
from relay.audit.story_json import story_value
from relay.audit.story_markdown import story_markdown
from relay.audit.story_text import show_story
from relay.audit.tell import Told, tell
from relay.audit.texts import clean, plain, quoted
from tests.audit.village import SEALED, SEED, Alarm, Village, log_files, put, words_plan
from tests.proofs.conftest import HOME, NAMES, block
from tests.proofs.incident import NOW_S, City, Incident

ANCHOR_MS = block(100).timestamp * 1_000


def told(tmp_path: Path, alarm: Alarm, given: Told | None = None) -> Story:
    """Give the story that two members' folders tell."""
    village = alarm.village
    sources: list[str] = []
    for name in ("alice", "bob"):
        folder = put(tmp_path / name, {"a.bundle": alarm.bundle(name)})
        put(folder / "log", log_files(village, name, alarm.said))
        sources.append(str(folder))
    raw = village.cosigned_policy()
    trust = Trust(raw, parse_policy(raw), NOW_S)
    found = investigate(list(places_of(sources, None)), alarm.id, trust, lambda: NOW_S)
    assert found.findings == []
    return tell(found.case, given or Told())


def text_of(story: Story, width: int = 100) -> str:
    out = io.StringIO()
    show_story(Console(file=out, width=width), layout(story))
    return out.getvalue()


@pytest.fixture
def story(tmp_path: Path) -> Story:
    return told(tmp_path, Alarm(Village()))


def test_the_first_paragraph_tells_what_happened_and_nothing_that_was_not_verified(story: Story) -> None:
    lead = plain(" ".join(story.lead))

    assert lead == (
        "On 1 August 2022 at 21:43:20 UTC, by the clock of its blockchain, an alarm of acme-bridge went off."
        " Its plan said beforehand what should then be done, and why: “More is released than was burned”."
        " Of the 4 members of the network that watches it, 3 confirmed the alarm; it takes 2. dave disagreed."
        " 12 seconds later an asset no longer counted as new collateral at acme-bridge on the chain"
        " eip155:31338, until 2 August 2022, 03:43:20 UTC at the longest."
        " At the same time acme-bridge was paused on the chain eip155:31337, until 2 August 2022,"
        " 03:43:20 UTC at the longest. That was checked against the blockchains' own records."
    )


def test_the_five_stamps_have_veris_order_and_each_its_source(story: Story) -> None:
    stamps = {stamp.name: stamp for stamp in story.stamps}

    assert list(stamps) == ["incident", "compromise", "exfiltration", "discovery", "containment"]
    for name in ("incident", "compromise"):
        moment = stamps[name].moment
        assert moment is not None
        assert (moment.at_ms, moment.clock, stamps[name].is_bound) == (ANCHOR_MS, Clock.BLOCK, True)
    assert stamps["exfiltration"].moment is None
    discovery = stamps["discovery"]
    assert discovery.moment is not None
    assert (discovery.moment.clock, discovery.moment.whose) == (Clock.SELF_ASSERTED, "bob")
    assert [moment.clock for moment in discovery.also] == [Clock.WITNESSED]
    containment = stamps["containment"]
    assert containment.moment is not None
    assert (containment.moment.at_ms, containment.moment.clock) == (ANCHOR_MS + 12_000, Clock.BLOCK)
    assert "shown by receipts" in containment.how


def test_what_the_auditor_knows_is_marked_as_his(tmp_path: Path) -> None:
    story = told(tmp_path, Alarm(Village()), Told(given=Given(began_ms=1, compromise_ms=2)))
    first, second, *_ = story.stamps

    assert first.moment is not None
    assert second.moment is not None
    assert (first.moment.clock, first.moment.at_ms) == (Clock.AUDITOR, 1)
    assert (second.moment.clock, second.moment.at_ms) == (Clock.AUDITOR, 2)


@pytest.mark.parametrize(("read", "tells"), [("event_unmatched", True), ("event_sum", False)])
def test_only_an_event_without_partner_tells_when_value_left(
    tmp_path: Path, read: str, *, tells: bool
) -> None:
    metric: dict[str, Value] = {"read": read, "chain": HOME, "from": "0x00", "event": "Release()"}
    pin: dict[str, Value] = {
        "chain": HOME,
        "hash": bytes(32),
        "number": 99,
        "timestamp": block(99).timestamp,
    }
    trace: dict[str, Value] = {
        "agreement": {},
        "faulted": [],
        "pins": {HOME: pin},
        "result": True,
        "rule": "unbacked",
        "values": {"unbacked": 5},
    }
    alarm = Alarm(Village(metrics={"unbacked": metric}), traces=dict.fromkeys(NAMES, trace))
    exfiltration = told(tmp_path, alarm).stamps[2]

    at_ms = None if exfiltration.moment is None else exfiltration.moment.at_ms
    assert at_ms == (block(99).timestamp * 1_000 if tells else None)


def test_a_whole_incident_of_seven_is_told_with_its_release_link_report_and_remarks(tmp_path: Path) -> None:
    city = City()
    incident = Incident.of(city)
    case = incident.case()
    folder = tmp_path / "evidence"
    folder.mkdir()
    (folder / "a.bundle").write_bytes(encode_bundle(case.bundle))
    trust = Trust(case.policy, parse_policy(case.policy), NOW_S)
    prefix = incident.decisions[0].mandate.decision_id.hex()
    found = investigate(list(places_of([str(folder)], None)), prefix, trust, lambda: NOW_S)
    story = tell(found.case, Told(tuple(found.findings), opened=(open_disclosure(case.disclosure),)))

    assert {decision.op for decision in story.decisions} == {"protect", "release"}
    assert {remark.kind for remark in story.remarks} >= {
        "absence",
        "accusation",
        "signal",
        "unlanded",
        "void",
    }
    signal = next(remark for remark in story.remarks if remark.kind == "signal")
    assert [(each.field, each.value) for each in signal.disclosed] == [
        ("note", "a caller says funds are leaving"),
        ("reporter", "hotline"),
    ]
    assert "It was taken back on" in plain(" ".join(story.lead))
    assert [finding.name for finding in story.findings] == ["equivocation", "too-few-logs"]
    assert "reported by" in text_of(story)


# ---- strangers' texts

NASTY = (
    "<script>alert(1)</script>",
    "\u202egnp.evil\u2066\u200f",
    "x" * 400,
    "]]>--><svg onload=alert(1)>",
    "[click](javascript:alert(1)) | ` ```",
    "\x1b[2J\x1b]0;owned\x07",
    "& &lt; \" ' {{7*7}}",
    "https://evil.example/ <https://evil.example>",
)


class Tags(HTMLParser):
    """The tags and attributes of a page."""

    def __init__(self) -> None:
        super().__init__()
        self.found: set[str] = set()
        self.attributes: set[str] = set()

    def handle_starttag(self, tag: str, attrs: list[tuple[str, str | None]]) -> None:
        self.found.add(tag)
        self.attributes |= {name for name, _ in attrs}


@pytest.fixture
def hostile(tmp_path: Path) -> Story:
    """A story whose plan was written by mallory."""
    joined = " ".join(NASTY)
    acts: dict[str, Value] = {
        name: {**act, "verb": joined, "call": joined, "target": joined}  # type: ignore[dict-item]
        for name, act in words_plan()["acts"].items()  # type: ignore[union-attr]
    }
    village = Village(
        protocol=joined,
        reason=joined,
        acts=acts,
        rules={"unbacked": {"ladder": [["halt", "disable"]], "when": joined}},
        metrics={"released": {"unit": joined, "from": joined, "event": joined, "chain": joined}},
    )
    return told(tmp_path, Alarm(village))


def test_no_text_of_a_stranger_becomes_markup_of_the_page(hostile: Story) -> None:
    page = story_html(layout(hostile))
    tags = Tags()
    tags.feed(page)

    allowed = (
        "html head meta title style body main header section footer h1 h2 h3 p span bdi b small time div"
    )
    allowed += " dl dt dd ul ol li table thead tbody tr th td code pre svg line circle text"
    assert tags.found <= set(allowed.split())
    assert not {name for name in tags.attributes if name.startswith("on")} | tags.attributes & {"src", "href"}
    assert "default-src 'none'" in page


def test_what_cannot_be_seen_or_turns_the_text_round_is_shown_as_its_escape(hostile: Story) -> None:
    forms = (story_html(layout(hostile)), story_markdown(layout(hostile)), text_of(hostile))

    for form in forms:
        assert all(each.isprintable() or each == "\n" for each in form)
        assert "u202e" in form


def test_markdown_has_no_link_table_cell_or_code_of_a_strangers_making(hostile: Story) -> None:
    whole = story_markdown(layout(hostile))
    # Within code nothing has a meaning but the end of the code.
    prose = [line for line in whole.split("\n") if not line.startswith("    ")]
    markdown = re.sub(r"(?<!`)(`+)(?!`)(.+?)(?<!`)\1(?!`)", "", "\n".join(prose))

    assert not re.search(r"(?<!\\)\]\(", markdown), "every bracket is escaped"
    assert not re.search(r"(?<!\\)<", markdown), "every one of them is escaped"
    assert "https://evil" not in markdown
    tables = [line.replace("\\|", "") for line in markdown.split("\n") if line.startswith("|")]
    assert {line.count("|") for line in tables if "attests" in line} == {7}


@pytest.mark.parametrize("width", [60, 80, 120])
def test_a_terminal_of_any_width_gets_no_longer_lines(hostile: Story, story: Story, width: int) -> None:
    for each in (hostile, story):
        assert max(len(line) for line in text_of(each, width).split("\n")) <= width


def test_a_mark_within_our_sentences_cannot_be_forged() -> None:
    assert plain(quoted("a\x03b\x02c")) == "a\\x03b\\x02c"
    assert clean("tab\tbell\x07") == "tab\\tbell\\x07"


# ---- JSON


def test_the_json_of_a_story_has_every_field_and_each_time_its_clock(story: Story) -> None:
    value = json.loads(json.dumps(story_value(story)))

    assert set(value) == {
        "anchors",
        "answer",
        "bundles",
        "compared",
        "decisions",
        "findings",
        "gas",
        "ground",
        "incident",
        "lead",
        "logs",
        "logs_needed",
        "not_shown",
        "notices",
        "remarks",
        "stamps",
        "timeline",
        "title",
    }
    assert value["answer"] == Answer.YES
    assert value["gas"] == {"eip155:31337": 150_000, "eip155:31338": 150_000}
    assert value["stamps"][4]["moment"] == {
        "at_ms": ANCHOR_MS + 12_000,
        "clock": "block",
        "whose": "block 101 of eip155:31338",
    }
    assert "\x02" not in json.dumps(value)


# ---- sealed words


def disclosure(alarm: Alarm, *names: str, value: str | None = None) -> bytes:
    opened = [disclose(SEALED, SEED, name) for name in names]
    if value is not None:
        opened = [Disclosure(each.field, each.salt, value, each.path) for each in opened]
    return encode_disclosure(DisclosureFile(alarm.signal, tuple(opened)))


def test_words_that_were_opened_are_shown_and_the_others_stay_sealed(tmp_path: Path) -> None:
    alarm = Alarm(Village())
    opened = open_disclosure(disclosure(alarm, "note"))
    story = told(tmp_path, alarm, Told(opened=(opened,)))
    shown = text_of(story, 160)

    assert "a caller says funds are leaving" in shown
    assert "hotline" not in shown


def test_words_that_were_never_sealed_are_refused() -> None:
    alarm = Alarm(Village())

    with pytest.raises(ProofError) as refusal:
        open_disclosure(disclosure(alarm, "note", value="nobody called"))

    assert refusal.value.check == "sealed-root"
