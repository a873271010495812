"""Counters with named reasons, pages and notices."""

from __future__ import annotations

import io
import json

import pytest
from prometheus_client.parser import text_string_to_metric_families

from relay.core.types import Millis
from relay.telemetry import Kind, Log, Metric, Metrics, Page, PageKind, Telemetry
from relay.telemetry.metrics import MAX_LABEL_SETS


def value_of(metrics: Metrics, name: str, **labels: str) -> float | None:
    text, _ = metrics.text()
    for family in text_string_to_metric_families(text.decode()):
        for sample in family.samples:
            if sample.name == name and sample.labels == labels:
                return sample.value
    return None


def telemetry_to(stream: io.StringIO, pages: list[Page]) -> Telemetry:
    return Telemetry(Log(stream, lambda: Millis(1_000)), on_page=pages.append)


def test_each_drop_is_counted_and_logged_under_one_reason() -> None:
    stream = io.StringIO()
    telemetry = telemetry_to(stream, [])

    telemetry.dropped("stale attestation", author=b"\x01")
    telemetry.dropped("stale attestation", author=b"\x02")

    assert value_of(telemetry.metrics, "tocsin_dropped_total", reason="stale attestation") == 2
    lines = [json.loads(line) for line in stream.getvalue().splitlines()]
    assert [(line["event"], line["reason"], line["author"]) for line in lines] == [
        ("dropped", "stale attestation", "01"),
        ("dropped", "stale attestation", "02"),
    ]


@pytest.mark.parametrize("kind", list(PageKind))
def test_a_page_is_logged_counted_kept_and_carried_on(kind: PageKind) -> None:
    stream, pages = io.StringIO(), []
    telemetry = telemetry_to(stream, pages)

    telemetry.page(kind, "2 of 3 live", live=2)

    assert pages == [Page(kind, "2 of 3 live", Millis(1_000))] == list(telemetry.pages)
    assert value_of(telemetry.metrics, "tocsin_pages_total", kind=kind.value) == 1
    assert json.loads(stream.getvalue())["level"] == "page"


def test_kept_pages_are_bounded() -> None:
    telemetry = telemetry_to(io.StringIO(), [])

    for number in range(1_000):
        telemetry.page(PageKind.FORK_EVIDENCE, str(number))

    assert len(telemetry.pages) == 256
    assert telemetry.pages[-1].text == "999"


def test_a_notice_wakes_nobody() -> None:
    stream, pages = io.StringIO(), []
    telemetry = telemetry_to(stream, pages)

    telemetry.notice("endpoint disagrees", operator="carol")
    telemetry.warning("slow")
    telemetry.error("broken")

    assert pages == []
    assert value_of(telemetry.metrics, "tocsin_notices_total", notice="endpoint disagrees") == 1
    assert value_of(telemetry.metrics, "tocsin_log_lines_total", level="error") == 1


def test_gauges_histograms_and_borrowed_counters_are_exposed() -> None:
    metrics = Metrics()
    counts = {"flood": 3, "oversized": 0}
    metrics.expose(Metric("lane_drops", Kind.COUNTER, "Drops of the lane.", ("reason",)), lambda: counts)

    metrics.set("live_members", 4)
    metrics.set("head_number", 7, chain="eip155:1")
    metrics.observe("journal_commit_seconds", 0.003)
    counts["flood"] = 4

    assert value_of(metrics, "tocsin_live_members") == 4
    assert value_of(metrics, "tocsin_head_number", chain="eip155:1") == 7
    assert value_of(metrics, "tocsin_journal_commit_seconds_count") == 1
    assert value_of(metrics, "tocsin_lane_drops_total", reason="flood") == 4


def test_two_nodes_in_one_process_do_not_share_counters() -> None:
    alice, bob = Metrics(), Metrics()

    alice.count("dropped", reason="flood")

    assert value_of(alice, "tocsin_dropped_total", reason="flood") == 1
    assert value_of(bob, "tocsin_dropped_total", reason="flood") is None


def test_a_peer_cannot_make_labels_without_end() -> None:
    metrics = Metrics()

    for number in range(MAX_LABEL_SETS + 10):
        metrics.count("dropped", reason=str(number))

    assert value_of(metrics, "tocsin_dropped_total", reason="other") == 10


def test_an_undeclared_metric_or_label_is_a_bug() -> None:
    with pytest.raises(KeyError):
        Metrics().count("nothing")
    with pytest.raises(AssertionError):
        Metrics().count("dropped", colour="red")
