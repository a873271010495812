"""A plan's page: complete, self-contained, and deaf to what a hostile plan would have it say."""

from __future__ import annotations

import base64
import json
import re
from dataclasses import asdict, replace
from hashlib import sha256
from html.parser import HTMLParser
from pathlib import Path

import pytest

from relay.core.errors import ConfigError
from relay.core.plan import EventMetric, Plan
from relay.core.plan_file import parse_plan
from relay.core.words import condition_words
from relay.plans.page_facts import Audience, page_facts
from relay.plans.page_html import html_page
from relay.plans.page_markdown import markdown_page
from relay.plans.prices import Price, read_price
from tests.cli.calls import tocsin
from tests.plans_tools.conftest import BRIDGE, MARKET

EVIL = (
    "</style><script>alert(1)</script> \"onload=x ' [a](http://evil) ![i](http://evil/i) ` `` ``` | <b>"
    " www.evil.com"
)
PRICE = Price(4857, 1, 0.21, 0.01, 1.15, 0.9, 10.8, 0.3, 60.2, 47.3, 36, 0.065)


class Tags(HTMLParser):
    """Every tag and address of a page, and what people read."""

    def __init__(self, page: str) -> None:
        super().__init__()
        self.tags: list[str] = []
        self.addresses: list[str] = []
        self.read: list[str] = []
        self.feed(page)

    def handle_starttag(self, tag: str, attrs: list[tuple[str, str | None]]) -> None:
        self.tags.append(tag)
        self.addresses += [value or "" for name, value in attrs if name in ("src", "href", "action", "style")]

    def handle_data(self, data: str) -> None:
        self.read.append(data)


def plan_of(file: Path) -> Plan:
    return parse_plan(file.read_text(), where="plan")


def hostile() -> Plan:
    """The bridge's plan with a stranger's text wherever a plan takes any text."""
    plan = plan_of(BRIDGE)
    act = plan.acts["halt-replica"]
    text = replace(act.text, call=EVIL, state=EVIL, undo=EVIL, target=EVIL)
    rule = replace(plan.rules["unbacked"], when=f"released.exists(t, t == '{EVIL}')")
    released = plan.metrics["released"]
    assert isinstance(released, EventMetric)
    metric = replace(released, unit=EVIL, address=EVIL)
    return replace(
        plan,
        reason=EVIL,
        contacts=("javascript:alert(1)", f"https://good.example/{EVIL.replace(' ', '')}"),
        acts={"halt-replica": replace(act, text=text)},
        rules={"unbacked": rule},
        metrics={**plan.metrics, "released": metric},
    )


def test_the_page_is_one_file_that_fetches_and_runs_nothing() -> None:
    page = html_page(page_facts(plan_of(BRIDGE), Audience(members=7, listeners=(plan_of(MARKET),))))
    style = re.search(r"<style>(.*?)</style>", page, re.DOTALL)
    assert style is not None

    tags = Tags(page)

    assert not {"script", "img", "link", "iframe", "object", "form"} & set(tags.tags)
    assert tags.addresses == ["mailto:security@bridge.example"]
    assert "url(" not in style[1]
    assert "@import" not in style[1]
    assert "style=" not in page
    digest = base64.b64encode(sha256(style[1].encode()).digest()).decode()
    assert f"default-src 'none'; style-src 'sha256-{digest}'" in page


def test_everything_that_a_user_asks_is_answered() -> None:
    audience = Audience(members=7, price=PRICE, signers=("0x5aAe",), listeners=(plan_of(MARKET),))
    read = " ".join(Tags(html_page(page_facts(plan_of(BRIDGE), audience))).read)

    for words in (
        "for some t of released: released of t is more than burned of t",
        "released.exists(t, released[t] > burned[t])",
        "It reads repeated in US cents.",
        "deposits, withdrawals, repayments and liquidations stop",
        "21 d",
        "3 of 7 validators",
        "5 of 7 validators",
        "by unpause()",
        "at 300 evaluations in a row",
        "adopt",
        "is heard by example-market",
        "10.8 h",
        "0.3 to 60.2",
        "36 s after the first loss",
        "security@bridge.example",
        plan_of(BRIDGE).hash.hex(),
        "0x5aAe",
    ):
        assert words in read, words


def test_no_text_of_a_plan_becomes_a_tag_or_a_link_of_the_page() -> None:
    clean = Tags(html_page(page_facts(plan_of(BRIDGE), Audience())))
    page = html_page(page_facts(hostile(), Audience()))

    tags = Tags(page)

    assert set(tags.tags) - {"br"} == set(clean.tags)
    assert all(address.startswith("https://good.example/") for address in tags.addresses)
    assert "<script" not in page
    assert "<b>" in " ".join(tags.read)


def test_no_text_of_a_plan_becomes_a_mark_of_markdown() -> None:
    page = markdown_page(page_facts(hostile(), Audience()))
    # Code spans take everything literally: what is left are the texts outside of them.
    outside = re.sub(r"(?s)(?<!\\)(`+)(?!`).*?(?<!`)\1(?!`)", "", page)

    assert "alert" in outside
    for mark in (r"<script", r"<b", r"\[a", r"\[i", r"\]\(", r"http://", r"www\.", r"`"):
        assert not re.search(rf"(?<!\\){mark}", outside), mark


def test_a_formula_keeps_its_marks_in_markdown() -> None:
    plan = plan_of(BRIDGE)
    either = replace(plan.rules["unbacked"], when="repeated > 1 || releases > 2")

    assert "`repeated > 1 || releases > 2`" in markdown_page(
        page_facts(replace(plan, rules={"unbacked": either}), Audience())
    )


def test_the_json_form_is_the_same_facts_under_a_schema(bridge: Path) -> None:
    said = tocsin("plan", "page", bridge, "--json", "--members", "7")

    page = said.document
    assert page["schema"] == "tocsin/plan-page/1"
    assert list(page)[1:] == [
        *("protocol", "version", "mode", "hash", "summary", "reason", "reference", "rules", "limits"),
        *("metrics", "acts", "bounds", "quorums", "release", "listens", "heard_by", "reports", "price"),
        *("signers", "contacts"),
    ]
    assert page["quorums"] == {"members": 7, "fast": 3, "full": 5}
    assert page["bounds"] == {
        "window_s": 2_592_000,
        "fast_time_s": 86_400,
        "fast_records": 3,
        "frozen_time_s": 1_814_400,
        "longest_run_s": 1_814_400,
        "in_30_days_s": 1_814_400,
    }


def _result(plan_hash: str, **whole: object) -> dict[str, object]:
    figures = {"counted": 0.21, "low": 0.01, "high": 1.15, "at_most": 0.9}
    frozen = {"act_hours": 6.0, "expected": 10.8, "low": 0.3, "high": 60.2, "at_most": 47.3, "cap": 292.0}
    every = {
        "detection": {"delay_s": 36, "value_out_share": 0.065},
        "quiet_triggers": 1,
        "per_1000_quiet_hours": figures,
        "frozen_hours_a_year": frozen,
    }
    return {
        "schema": "tocsin/plan-backtest/1",
        "plan": {"hash": plan_hash},
        "data": {"quiet_hours": 4857.0, "attack": {"start": 1}, "missing": []},
        "all": {**every, **whole},
    }


def test_a_back_test_of_this_version_gives_the_price(bridge: Path, tmp_path: Path) -> None:
    result = tmp_path / "result.json"
    result.write_text(json.dumps(_result(plan_of(bridge).hash.hex())))

    page = tocsin("plan", "page", bridge, "--json", "--backtest", result).document

    assert page["price"] == json.loads(json.dumps(asdict(PRICE)))


def test_what_a_back_test_did_not_measure_or_detect_is_said(bridge: Path, tmp_path: Path) -> None:
    result, document = tmp_path / "result.json", _result(plan_of(bridge).hash.hex(), detection=None)
    document["data"] = {"quiet_hours": 10.0, "attack": {"start": 1}, "missing": ["burned", "released"]}
    result.write_text(json.dumps(document))

    page = tocsin("plan", "page", bridge, "--markdown", "--backtest", result).out

    assert "In the incident of the data it did not act." in page
    assert "The data told nothing of burned and released: rules that read it were not measured." in page


@pytest.mark.parametrize(
    ("text", "problem"),
    [
        ("nonsense", "expected JSON"),
        ("[]", "expected the schema"),
        (json.dumps(_result("00" * 32)), "another plan or version"),
    ],
)
def test_another_result_is_no_price(text: str, problem: str, bridge: Path, tmp_path: Path) -> None:
    result = tmp_path / "result.json"
    result.write_text(text)

    said = tocsin("plan", "page", bridge, "--backtest", result)

    assert said.code == 2
    assert problem in said.err


def test_data_without_quiet_time_give_no_price(bridge: Path, tmp_path: Path) -> None:
    result = tmp_path / "result.json"
    result.write_text(json.dumps(_result(plan_of(bridge).hash.hex(), per_1000_quiet_hours=None)))

    said = tocsin("plan", "page", bridge, "--backtest", result)

    assert said.code == 2
    assert "expected quiet time" in said.err


@pytest.mark.parametrize("wrong", ["NaN", "Infinity", "-1", "1" * 400, '"1"', "true"])
def test_a_result_with_what_is_no_figure_gives_no_price(wrong: str, bridge: Path) -> None:
    plan = plan_of(bridge)
    text = json.dumps(_result(plan.hash.hex())).replace("4857.0", wrong)

    with pytest.raises(ConfigError, match="expected quiet time and figures"):
        read_price(text.encode(), plan, "result.json")


@pytest.mark.parametrize("of", ["[1]", '"x"', "null", "1"])
def test_a_result_of_what_is_no_plan_gives_no_price(of: str, bridge: Path) -> None:
    content = f'{{"schema": "tocsin/plan-backtest/1", "plan": {of}}}'.encode()

    with pytest.raises(ConfigError, match="another plan or version"):
        read_price(content, plan_of(bridge), "result.json")


def test_no_false_trigger_is_told_as_a_bound() -> None:
    never = replace(PRICE, triggers=0, rate=0.0, rate_low=0.0, rate_high=0.76, rate_at_most=0.62)

    page = markdown_page(page_facts(plan_of(BRIDGE), Audience(price=never)))

    assert "acted 0 times for nothing: at most 0.62 per 1,000 h, at 95 %." in page
    assert "That is at most 47.3 h a year frozen for nothing, at 95 %." in page
    assert "≤ 47.3 h" in html_page(page_facts(plan_of(BRIDGE), Audience(price=never)))


def test_a_price_says_that_later_rungs_are_not_in_it() -> None:
    plan = plan_of(BRIDGE)
    rule = plan.rules["unbacked"]
    longer = replace(plan, rules={"unbacked": replace(rule, ladder=rule.ladder * 2)})
    words = "a false alarm that lasts until a later one freezes more"

    assert words in markdown_page(page_facts(longer, Audience(price=PRICE)))
    assert words not in markdown_page(page_facts(plan, Audience(price=PRICE)))


@pytest.mark.parametrize(("file", "is_said"), [(MARKET, True), (BRIDGE, False)])
def test_a_price_says_that_links_and_reports_are_not_in_it(file: Path, is_said: bool) -> None:
    page = markdown_page(page_facts(plan_of(file), Audience(price=PRICE)))

    assert ("what links and reports call for is not in it" in page) is is_said


def test_what_is_not_measured_is_said(bridge: Path) -> None:
    for form in ("--html", "--markdown"):
        assert "Not measured" in tocsin("plan", "page", bridge, form).out


@pytest.mark.parametrize(
    ("formula", "words"),
    [
        ("a > 1000 && !(b <= c)", "a is more than 1,000 and not (b is at most c)"),
        ("a * 100 >= b * most", "a × 100 is at least b × most (25)"),
        ("m.all(k, m[k] < n[k])", "(for every k of m: m of k is less than n of k)"),
        ("feed.price < 98000000", "feed.price is less than 98,000,000"),
        ("peer.verb in ['pause', 'lock']", "peer.verb in ['pause', 'lock']"),
    ],
)
def test_a_condition_reads_as_a_sentence(formula: str, words: str) -> None:
    assert condition_words(formula, {"most": 25}) == words
