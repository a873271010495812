"""Every block of a chain, in order, as events for the node."""

from relay.detectors.detector import Detector, DetectorEvent, DetectorSettings

__all__ = ["Detector", "DetectorEvent", "DetectorSettings"]
