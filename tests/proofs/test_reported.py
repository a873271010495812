"""Decisions of reports in a bundle: enough reporters of the plan, under the decision's own subject."""

import json
from collections.abc import Callable
from dataclasses import replace
from typing import TYPE_CHECKING

import pytest
from nacl.signing import SigningKey

from proofs.bundle import Bundle, decode_bundle, encode_bundle
from proofs.errors import ProofError
from proofs.kinds import DecisionId, Digest, NetworkId, PlanHash
from proofs.reports import Report, Subject, report_body, report_signing_bytes, subject_digest
from proofs.verdictvalue import verdict_value
from proofs.verify import verify_bundle
from tests.proofs.conftest import REPORTERS, block

if TYPE_CHECKING:
    from tests.proofs.conftest import Town

ANCHOR = block(100)


def subject_of(town: "Town", **changes: object) -> Subject:
    """Give the subject of an occasion at the anchor."""
    plain = Subject(town.network, town.plan_hash, "auditors", ANCHOR.hash, Digest(b"\x07" * 32))
    return replace(plain, **changes)  # type: ignore[arg-type]  # one field, of its own type


def signed(key: SigningKey, subject: Subject) -> Report:
    """Sign a subject."""
    public = bytes(key.verify_key)
    return Report(subject, public, bytes(key.sign(report_signing_bytes(subject)).signature))


def called(town: "Town", *reports: Report, parent: DecisionId | None = None) -> Bundle:
    """Give the bundle of a decision that these reports call for; bob says them all."""
    town.entries.clear()
    for report in reports:
        town.say("bob", "report", report_body(report))
    decision = town.decide(subject="report:auditors", parent=parent or subject_digest(subject_of(town)))
    for name in ("alice", "bob"):
        town.attest(name, decision, town.mandate(decision))
    count = len(reports)
    entry = town.entry(decision, ("alice", "bob"), (count, count + 1), ())
    return town.bundle(replace(entry, reports=tuple(range(count))))


def check_of(bundle: Bundle) -> str:
    """Give the name of the check that fails."""
    with pytest.raises(ProofError) as caught:
        verify_bundle(encode_bundle(bundle))
    return caught.value.check


def test_a_decision_of_reports_names_its_reporters_and_needs_no_parent(town: "Town") -> None:
    reports = [signed(key, subject_of(town)) for key in REPORTERS[:2]]
    data = encode_bundle(called(town, *reports))

    verdict = verify_bundle(data)

    assert decode_bundle(data).decisions[0].reports == (0, 1)
    assert verdict.decisions[0].reporters == tuple(report.reporter for report in reports)
    assert [act.name for act in verdict.decisions[0].acts] == ["disable"]
    shown = verdict_value(verdict)["decisions"][0]["reporters"]  # type: ignore[index,call-overload]
    assert shown == [f"ed25519:{report.reporter.hex()}" for report in reports]


FORGED: dict[str, Callable[["Town"], Bundle]] = {
    "report-quorum": lambda town: called(town, signed(REPORTERS[0], subject_of(town))),
    "report-twice": lambda town: called(town, *two_of_one(town)),
    "report-reporter": lambda town: called(
        town, signed(REPORTERS[0], subject_of(town)), signed(SigningKey(bytes(32)), subject_of(town))
    ),
    "report-signature": lambda town: called(
        town,
        signed(REPORTERS[0], subject_of(town)),
        replace(signed(REPORTERS[1], subject_of(town)), reporter=bytes(REPORTERS[2].verify_key)),
    ),
}


def two_of_one(town: "Town") -> tuple[Report, Report]:
    """Give one reporter's word twice."""
    return (signed(REPORTERS[0], subject_of(town)),) * 2


@pytest.mark.parametrize("check", FORGED)
def test_reports_that_do_not_make_a_quorum_are_refused_by_name(town: "Town", check: str) -> None:
    assert check_of(FORGED[check](town)) == check


@pytest.mark.parametrize(
    "change",
    [
        {"network": NetworkId(bytes(32))},
        {"plan_hash": PlanHash(bytes(32))},
        {"name": "others"},
        {"block": Digest(bytes(32))},
        {"report_id": Digest(bytes(32))},
    ],
)
def test_reports_of_another_subject_are_refused_also_where_the_decision_names_it(
    town: "Town", change: dict[str, object]
) -> None:
    other = subject_of(town, **change)
    reports = [signed(key, other) for key in REPORTERS[:2]]

    assert check_of(called(town, *reports)) == "report-subject"
    if "report_id" not in change:
        assert check_of(called(town, *reports, parent=subject_digest(other))) == "report-subject"


def respelled(data: bytes, change: Callable[[dict[str, object]], object]) -> bytes:
    """Change the first decision of a bundle's file."""
    document = json.loads(data)
    change(document["decisions"][0])
    return json.dumps(document, indent=1, sort_keys=True).encode() + b"\n"


def test_reports_stand_exactly_where_reports_call_for_a_decision(town: "Town") -> None:
    reported = encode_bundle(called(town, *(signed(key, subject_of(town)) for key in REPORTERS[:2])))
    town.entries.clear()
    alarm = encode_bundle(town.alarm())

    assert respelled(reported, lambda _: None) == reported
    for data in (
        respelled(reported, lambda decision: decision.pop("reports")),
        respelled(reported, lambda decision: decision.update(reports=[0] * 33)),
        respelled(alarm, lambda decision: decision.update(reports=[])),
    ):
        with pytest.raises(ProofError, match="reports") as caught:
            decode_bundle(data)
        assert caught.value.check == "shape"


def test_what_is_no_report_and_a_record_that_is_used_twice_are_refused(town: "Town") -> None:
    reports = [signed(key, subject_of(town)) for key in REPORTERS[:2]]
    bundle = called(town, *reports)
    entry = bundle.decisions[0]

    assert check_of(replace(bundle, decisions=(replace(entry, reports=(0, 2)),))) == "shape"
    assert check_of(replace(bundle, decisions=(replace(entry, reports=(0, 99)),))) == "record-missing"
    unused = called(town, *reports, signed(REPORTERS[2], subject_of(town)))
    assert (
        check_of(replace(unused, decisions=(replace(unused.decisions[0], reports=(0, 1)),)))
        == "record-unused"
    )
