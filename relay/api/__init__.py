"""The node's HTTP interface: incidents, signals, the public audit log, health, metrics."""

from relay.api.ports import ApiOptions, ApiPorts, Json, Readiness, SignalRefused, SignalRequest
from relay.api.server import Api

__all__ = ["Api", "ApiOptions", "ApiPorts", "Json", "Readiness", "SignalRefused", "SignalRequest"]
