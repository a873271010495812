"""`tocsin audit`: what an auditor needs; verifying runs on the base install."""

from __future__ import annotations

from relay.cli.commands import Lazy, LazyGroup

_EPILOG = """\b
Examples:
  tocsin audit verify incident.bundle --policy policy.txt
  tocsin audit replay incident.bundle
"""

audit = LazyGroup(
    "audit",
    {
        "verify": Lazy("relay.cli.verify:verify", "Verify a bundle: every signature and proof in it."),
        "replay": Lazy("relay.cli.replay:replay", "Derive a bundle's verdicts again from its inputs."),
    },
    help="Verify evidence, offline.",
    epilog=_EPILOG,
)

__all__ = ["audit"]
