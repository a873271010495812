"""Whether enough of a plan's reporters called for a decision (`proofs/SPEC.md` 10, plans SPEC 1.6)."""

from collections.abc import Sequence

from proofs.decision import Decision
from proofs.kinds import NetworkId
from proofs.reports import (
    REPORT_PREFIX,
    Report,
    ReportError,
    Subject,
    subject_digest,
    verify_report,
)
from proofs.terms import PlanTerms

__all__ = ["check_reports", "is_reported"]


def is_reported(decision: Decision) -> bool:
    """Tell whether a decision is one that reports call for."""
    return decision.subject.startswith(REPORT_PREFIX)


def check_reports(
    terms: PlanTerms, network: NetworkId, decision: Decision, reports: Sequence[Report]
) -> tuple[bytes, ...]:
    """Check that the reports of a decision are of its very subject, by enough of its plan's reporters; give
    these, in the order of the reports. A decision of another kind has none.

    Raises:
        ReportError: `report-subject`, `report-reporter`, `report-twice`, `report-signature`, `report-quorum`.
    """
    if not is_reported(decision):
        return ()
    name = decision.subject.removeprefix(REPORT_PREFIX)
    reporters, need = terms.reports[name]
    signed: list[bytes] = []
    for report in reports:
        _check_subject(network, decision, report.subject)
        if report.reporter not in reporters:
            raise ReportError(
                "report-reporter", f"expected a reporter of the plan, got {report.reporter.hex()}"
            )
        if report.reporter in signed:
            raise ReportError("report-twice", f"expected one report of {report.reporter.hex()}, got two")
        verify_report(report)
        signed.append(report.reporter)
    if len(signed) < need:
        raise ReportError("report-quorum", f"expected the reports of {need} reporters, got {len(signed)}")
    return tuple(signed)


def _check_subject(network: NetworkId, decision: Decision, subject: Subject) -> None:
    stated = (network, decision.plan_hash, decision.subject, decision.anchor.hash)
    named = (subject.network, subject.plan_hash, f"{REPORT_PREFIX}{subject.name}", subject.block)
    if named != stated or subject_digest(subject) != decision.parent:
        raise ReportError("report-subject", "expected reports of the decision's own subject, got another")
