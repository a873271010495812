"""The node's HTTP interface: incidents, signals, ceremonies, the public audit log, health, metrics."""

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
from relay.api.server import Api

__all__ = [
    "Api",
    "ApiOptions",
    "ApiPorts",
    "CeremonyDeed",
    "CeremonyKind",
    "CeremonyPorts",
    "CeremonyRefused",
    "Json",
    "ProposalRequest",
    "Readiness",
    "RotationWindow",
    "SignalRefused",
    "SignalRequest",
]
