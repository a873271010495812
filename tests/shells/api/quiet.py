"""A node with nothing to say, for tests of the parts that ask it nothing."""

from __future__ import annotations

from collections.abc import Mapping

import pytest

from relay.api import ApiPorts, Json

__all__ = ["quiet_ports"]


async def _no_bundle(decision_id: bytes) -> bytes | None:
    return None


def quiet_ports() -> ApiPorts:
    def incident(name: str) -> Mapping[str, Json] | None:
        return None

    return ApiPorts(
        status=dict,
        incidents=list,
        incident=incident,
        bundle=_no_bundle,
        readiness=lambda: (),
        health=lambda: "",
        tell_signal=lambda signal: pytest.fail("no signal was sent"),
        metrics=lambda: (b"", "text/plain"),
    )
