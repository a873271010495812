"""Reports: what outsiders whom a protocol trusts sign to call for its fast acts (plans SPEC 1.6)."""

from dataclasses import dataclass

from nacl.exceptions import BadSignatureError
from nacl.exceptions import ValueError as NaclValueError
from nacl.signing import VerifyKey

from proofs.canonical import Value, decode, encode
from proofs.errors import ProofError
from proofs.fields import fields_of
from proofs.hashes import tagged
from proofs.kinds import DecisionId, Digest, NetworkId, PlanHash

__all__ = [
    "MAX_SUBJECT_BYTES",
    "REPORTER_BYTES",
    "REPORT_PREFIX",
    "SIGNATURE_BYTES",
    "Report",
    "ReportError",
    "Subject",
    "parse_subject",
    "read_report",
    "report_body",
    "report_signing_bytes",
    "subject_bytes",
    "subject_digest",
    "verify_report",
]

REPORT_PREFIX = "report:"
"""What the subject of a decision that reports call for begins with."""
REPORTER_BYTES = 32
SIGNATURE_BYTES = 64
MAX_NAME_BYTES = 128
MAX_SUBJECT_BYTES = 512
_KEYS = frozenset({"block", "network", "plan_hash", "report_id", "reports"})
_REPORT_KEYS = frozenset({"reporter", "signature", "subject"})


class ReportError(ProofError):
    """What a reporter is said to have signed does not hold; `check` names it."""


@dataclass(frozen=True, slots=True)
class Subject:
    """What a report is about: a plan's `reports` by name, a reference block, and the occasion.

    `block` is the block's hash, `report_id` a hash of what was seen; both 32 bytes.
    """

    network: NetworkId
    plan_hash: PlanHash
    name: str
    block: Digest
    report_id: Digest


@dataclass(frozen=True, slots=True)
class Report:
    """A subject as one reporter signed it: Ed25519 by `reporter` (32 bytes), 64 bytes; not yet checked."""

    subject: Subject
    reporter: bytes
    signature: bytes


def subject_bytes(subject: Subject) -> bytes:
    """Give the canonical bytes of a subject."""
    return encode(
        {
            "block": subject.block,
            "network": subject.network,
            "plan_hash": subject.plan_hash,
            "report_id": subject.report_id,
            "reports": subject.name,
        }
    )


def parse_subject(data: bytes) -> Subject:
    """Read the canonical bytes of a subject.

    Raises:
        CanonicalError: they are too many or not canonical.
        FieldError: `shape`.
    """
    fields = fields_of(decode(data, limit_bytes=MAX_SUBJECT_BYTES), "subject", _KEYS)
    return Subject(
        network=NetworkId(fields.binary("network", length=32)),
        plan_hash=PlanHash(fields.binary("plan_hash", length=32)),
        name=fields.text("reports", max_bytes=MAX_NAME_BYTES),
        block=Digest(fields.binary("block", length=32)),
        report_id=Digest(fields.binary("report_id", length=32)),
    )


def subject_digest(subject: Subject) -> DecisionId:
    """Give what stands as the parent of the decision that a subject calls for."""
    return DecisionId(tagged("tocsin/report-subject/1", subject_bytes(subject)))


def report_signing_bytes(subject: Subject) -> bytes:
    """Give what a reporter signs."""
    return b"tocsin/report/1\n" + subject_bytes(subject)


def report_body(report: Report) -> dict[str, Value]:
    """Give the body of the message that carries a report (core SPEC 3)."""
    return {
        "reporter": report.reporter,
        "signature": report.signature,
        "subject": subject_bytes(report.subject),
    }


def read_report(body: Value) -> Report:
    """Read that body; the signature is not checked.

    Raises:
        CanonicalError: the subject is not canonical.
        FieldError: `shape`.
    """
    fields = fields_of(body, "report", _REPORT_KEYS)
    return Report(
        subject=parse_subject(fields.binary("subject", max_bytes=MAX_SUBJECT_BYTES)),
        reporter=fields.binary("reporter", length=REPORTER_BYTES),
        signature=fields.binary("signature", length=SIGNATURE_BYTES),
    )


def verify_report(report: Report) -> None:
    """Check the reporter's signature.

    Raises:
        ReportError: `report-signature`.
    """
    try:
        VerifyKey(report.reporter).verify(report_signing_bytes(report.subject), report.signature)
    except (BadSignatureError, NaclValueError) as error:
        raise ReportError(
            "report-signature", f"expected the signature of {report.reporter.hex()}, got another"
        ) from error
