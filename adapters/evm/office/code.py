"""Whether the code at an address is our build's.

The compiler leaves 32 zero bytes behind a PUSH32 for every value that the constructor fixes. All else must
be equal. What stands in those places is checked by running our constructor with the values that the contract
tells, and comparing the whole.
"""

from __future__ import annotations

import functools

from adapters.evm.office import fields
from adapters.evm.office.contract import Build
from adapters.evm.rotations import NO_GROUPS
from proofs.hashes import keccak256
from relay.core.gateway_report import CodeReport, GatewayReport, VerifierReport

_PUSH0, _PUSH1, _PUSH32 = 0x5F, 0x60, 0x7F
SOMEBODY = "0x" + "00" * 19 + "01"
_DUMMIES = tuple(f"0x{number:040x}" for number in range(1, 5))


@functools.cache
def fixed_places(runtime: bytes) -> tuple[int, ...]:
    """Where the words begin that the constructor fills in."""
    places: list[int] = []
    position = 0
    while position < len(runtime):
        opcode = runtime[position]
        position += 1
        if opcode == _PUSH32 and runtime[position : position + 32] == bytes(32):
            places.append(position)
        if _PUSH1 <= opcode <= _PUSH32:
            position += opcode - _PUSH0
    return tuple(places)


def masked(code: bytes, places: tuple[int, ...]) -> bytes:
    """The code with zeros in those places."""
    blank = bytearray(code)
    for place in places:
        blank[place : place + 32] = bytes(len(blank[place : place + 32]))
    return bytes(blank)


def code_report(code: bytes, build: Build, rebuilt: bytes | None) -> CodeReport:
    """Compare; `rebuilt` is what our constructor gave at the endpoint, None where it gave nothing."""
    places = fixed_places(build.runtime)
    return CodeReport(
        size_bytes=len(code),
        digest=keccak256(code),
        is_ours=masked(code, places) == build.runtime,
        is_rebuilt=None if rebuilt is None else code == rebuilt,
    )


def gateway_creation(build: Build, report: GatewayReport) -> bytes:
    """Creation code with the values that a gateway tells; what it keeps in storage does not matter."""
    limits = (report.skew_s, report.weakening_delay_s, report.window_s)
    return build.create(SOMEBODY, fields.NOBODY, fields.NOBODY, report.network, limits, (0, 0, 0))


def verifier_creation(build: Build, report: VerifierReport) -> bytes:
    """Likewise for a verifier; its keys are in storage."""
    times = (report.rotation_delay_s, report.overlap_s)
    return build.create(report.network, 1, _DUMMIES, 2, 3, NO_GROUPS, *times)


__all__ = ["code_report", "fixed_places", "gateway_creation", "masked", "verifier_creation"]
