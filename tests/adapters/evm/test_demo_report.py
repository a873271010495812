"""What the demonstration says of certificates: their kind as it landed, and the time to each."""

from __future__ import annotations

from dataclasses import replace

import pytest
from rich.console import Console

from adapters.evm.demo.report import ActReport, CeremonyReport, EvidenceReport, Report
from adapters.evm.demo.run import kind_of, spread_ms
from adapters.evm.demo.show import Show
from adapters.evm.demo.watch import Sighting

NEAR, FAR = "eip155:313371", "eip155:313372"
CEREMONY = CeremonyReport("aa" * 32, "bb" * 32, 1, 4, 2, 3, 361.4)
SIGHTING = Sighting("1", "unbacked", "fast", None, True, 7, {}, (), 1_000, 51_000, 131_000)

EVIDENCE = EvidenceReport(
    bundle="bundle.json",
    more_bundles=(),
    bundle_from="carol",
    policy="policy.txt",
    policy_hash="cc" * 32,
    network="dd" * 32,
    story="story.html",
    more_stories=(),
    log_dir="logs/carol",
    killed="bob",
    witnesses=("alice", "carol", "dave"),
    witnesses_needed=3,
    logs_compared=4,
    omissions=0,
    commands=("cd .", "tocsin audit verify bundle.json"),
    problem="",
)


def act(chain: str, certificate: str) -> ActReport:
    return ActReport(chain, "halt", "00" * 32, 8, 106_310, "started", 1, True, True, certificate)


def report(quorum: str, *kinds: str) -> Report:
    acts = tuple(act(chain, kind) for chain, kind in zip((NEAR, FAR), kinds, strict=False))
    is_frost = quorum == "frost"
    return Report(
        scenario="short",
        seed=1,
        contained=True,
        verified=True,
        failed_check="",
        false_triggers=0,
        quiet_hours=19.0,
        quorum=quorum,
        certificate_kind=kind_of(acts),
        certificate_ms=130.0 if is_frost else 50.0,
        ecdsa_ms=50.0,
        frost_ms=130.0 if is_frost else None,
        ceremony=CEREMONY if is_frost else None,
        containment_blocks={NEAR: 1, FAR: 1},
        containment_chain_s={NEAR: 12, FAR: 12},
        releases_out=1,
        releases_attempted=20,
        value_out_usd=1.0,
        value_out_without_usd=10.0,
        borrowed_usd=0.0,
        second_leg_reverted=True,
        acts=acts,
        evidence=EVIDENCE,
        pace_s=1.0,
        attesters=4,
        members=4,
        published_after_s=1_800,
    )


def shown(made: Report) -> str:
    console = Console(width=80, record=True, quiet=True)
    with console.capture() as captured:
        console.quiet = False
        Show(console).table(made)
    return captured.get()


@pytest.mark.parametrize(
    ("kinds", "said"),
    [
        (("frost", "frost"), "one signature each (FROST)"),
        (("frost", "ecdsa"), "both kinds"),
        (("ecdsa", "ecdsa"), "lists of signatures (ECDSA)"),
        ((), "none"),
    ],
)
def test_the_report_says_what_landed_and_not_what_was_asked_for(kinds: tuple[str, ...], said: str) -> None:
    text = shown(report("frost", *kinds))

    [line] = [line for line in text.splitlines() if "certificates that landed" in line]
    assert said in line
    assert [line.split()[-3] for line in text.splitlines() if line.startswith("eip155:")] == list(kinds)


def test_the_tables_fit_a_terminal_of_eighty_columns() -> None:
    for line in shown(report("frost", "frost", "ecdsa")).splitlines():
        assert "…" not in line.replace("… in chain time", "")


def test_a_run_with_lists_tells_of_no_ceremony_and_no_group_s_signature() -> None:
    lists, groups = report("ecdsa", "ecdsa", "ecdsa"), report("frost", "frost", "frost")

    assert "group keys" not in shown(lists)
    assert "FROST" not in shown(lists)
    assert "by 4 members in 361 ms" in shown(groups)
    assert groups.document()["ceremony"]["document"] == "bb" * 32
    assert lists.document()["ceremony"] is None


def test_the_time_is_from_the_first_edge_to_the_last_certificate_of_one_decision() -> None:
    late = replace(SIGHTING, judged_us=3_000, certified_us=61_000, threshold_signed_us=0)
    other = replace(SIGHTING, id="2", judged_us=1, certified_us=900_000, threshold_signed_us=900_000)
    views = [[SIGHTING, other], [late]]

    assert spread_ms(views, SIGHTING, lambda each: each.certified_us) == 60.0
    assert spread_ms(views, SIGHTING, lambda each: each.threshold_signed_us) == 130.0, "who had one"
    assert spread_ms([[late]], late, lambda each: each.threshold_signed_us) is None
    assert spread_ms(views, None, lambda each: each.certified_us) is None


def test_the_evidence_stands_flat_in_the_document_and_in_words_in_the_table() -> None:
    made = report("frost", "frost", "frost")

    document, text = made.document(), shown(made)
    assert (document["killed"], document["witnesses_needed"], document["omissions"]) == ("bob", 3, 0)
    assert "evidence" not in document
    assert "3 of 4 cosigned, 3 must" in text
    assert "4 of 4, that of bob again among them" in text
