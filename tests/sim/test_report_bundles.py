"""The bundle of what reports called for: from a town's member to what an auditor checks (plans SPEC 1.6)."""

from __future__ import annotations

import random
from pathlib import Path

import pytest

from proofs.bundle import decode_bundle
from proofs.envelope import open_envelope
from proofs.reported import check_reports
from proofs.reports import Subject, read_report, subject_digest
from proofs.terms import parse_plan_terms
from relay.app.bundles import Bundles
from relay.core.events import ReportTold
from relay.core.incidents import incidents
from relay.core.reports import decision_of
from relay.core.room import Reported
from relay.core.types import Millis
from relay.journal import AuditLog, Journal, LogEntry, StoredEnvelope
from tests.core.stage import Stage, solo_plan
from tests.sim.plans import BRIDGE, HOME, MARKET, compile_text
from tests.sim.reporters import OSCAR, PEGGY, TRUSTED, Reporter, subject_of, with_reports
from tests.sim.test_bundles import LIMITS, NOW, ORIGIN, PUBLIC, bundles_of, sign, silent_receipts
from tests.sim.town import Town

REPORTS = f"""
[[reports]]
name = "attack"
reporters = [{", ".join(f'"ed25519:{each.public.hex()}"' for each in TRUSTED)}]
need = 2
ladder = [["halt"]]
when = "released >= 0"
"""


async def made(folder: Path, town: Town, bundles: Bundles, decision: bytes) -> bytes | None:
    """Let alice make the bundle of a decision, with all of her log published."""
    host = town.hosts["alice"]
    entries = [StoredEnvelope(raw, key, NOW, LogEntry.RELEASED) for key, raw in host.disk.log.items()]
    async with Journal.open(folder / "journal.sqlite", clock=lambda: NOW, limits=LIMITS) as journal:
        await journal.append([b"event"], entries)
        audit = await AuditLog.open(journal, folder / "log", origin=ORIGIN, log_key=PUBLIC)
        await audit.publish((await audit.sign(sign)).checkpoint, (), sign)
        return await bundles.make(audit, silent_receipts(), decision)


@pytest.mark.asyncio
async def test_an_auditor_finds_the_reports_behind_a_decision_and_its_links(tmp_path: Path) -> None:
    town = Town(random.Random(8), plans=(compile_text(BRIDGE + REPORTS), compile_text(MARKET)))
    town.run(40)
    subject = subject_of(town.plans[0], town.committee.network, town.chains[HOME].head)
    alice = town.hosts["alice"]
    alice.take(ReportTold(OSCAR.signs(subject), Millis(town.now_ms)))
    town.hosts["bob"].take(ReportTold(PEGGY.signs(subject), Millis(town.now_ms)))
    town.run_until(lambda: town.state("freeze") == 1, within_s=120, what="the market follows")
    town.run(10)
    assert alice.node is not None
    (incident,) = incidents(alice.node.book, alice.node.landing)
    assert (incident.rule, incident.protocol) == ("report:attack", "bridge")
    first = town.certified(alice, "report:attack")[0]

    bundles = bundles_of(town, alice)
    data = await made(tmp_path, town, bundles, first)

    assert data is not None
    bundle = decode_bundle(data)
    reported, linked = bundle.decisions
    told = [read_report(open_envelope(bundle.records[number].envelope).body) for number in reported.reports]
    terms = parse_plan_terms(
        next(plan.canonical for plan in bundle.plans if plan.plan_hash == subject.plan_hash)
    )
    behind = check_reports(terms, bundle.network, reported.decision, told)
    assert set(behind) == {OSCAR.public, PEGGY.public}
    assert (linked.decision.subject, linked.decision.parent, linked.reports) == ("link:bridge", first, ())

    bundles._reports.clear()
    other = tmp_path / "other"
    other.mkdir()
    assert await made(other, town, bundles, first) is None, "without its reports it proves nothing"


def test_subjects_that_came_to_nothing_drive_no_evidence_out(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr("relay.app.bundles.MAX_DECISIONS", 4)
    stage = Stage(compiled=with_reports(solo_plan(), "halt"))
    stage.release()
    stage.run(stage.block())
    bundles = Bundles(stage.node, list, list)

    def tell(reporter: Reporter, about: str) -> Subject:
        subject = subject_of(stage.plan, stage.committee.network, stage.blocks[-1], about=about)
        event = stage.said("bob", reporter.signs(subject))
        stage.run(event)
        bundles.heard(event)
        return subject

    seen = tell(OSCAR, "theft")
    tell(PEGGY, "theft")
    decision = decision_of(Reported(seen, ()), stage.blocks[-1], 1)
    stage.run(*(stage.attests(name, decision) for name in ("bob", "carol")))
    for number in range(60):
        stage.run(stage.block())
        tell(OSCAR, f"nothing {number}")

    kept = bundles._reports
    assert set(kept[subject_digest(seen)]) == {OSCAR.public, PEGGY.public}
    assert len(kept) <= 4
