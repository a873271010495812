"""The node's HTTP interface: incidents, signals, reports, ceremonies, the audit log, health, metrics."""

from relay.api.ceremonies import (
    CeremonyDeed,
    CeremonyKind,
    CeremonyPorts,
    ProposalRequest,
    RotationWindow,
)
from relay.api.ports import (
    ApiOptions,
    ApiPorts,
    CeremonyRefused,
    Json,
    Readiness,
    SignalRefused,
    SignalRequest,
)
from relay.api.reports import Monitor, ReportPorts, ReportRequest
from relay.api.server import Api
from relay.api.witness import LogPorts

__all__ = [
    "Api",
    "ApiOptions",
    "ApiPorts",
    "CeremonyDeed",
    "CeremonyKind",
    "CeremonyPorts",
    "CeremonyRefused",
    "Json",
    "LogPorts",
    "Monitor",
    "ProposalRequest",
    "Readiness",
    "ReportPorts",
    "ReportRequest",
    "RotationWindow",
    "SignalRefused",
    "SignalRequest",
]
