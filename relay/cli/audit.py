"""`tocsin audit`: what an auditor needs, on the base install."""

from __future__ import annotations

from relay.cli.commands import Lazy, LazyGroup

_EPILOG = """\b
Example:
  tocsin audit verify incident.bundle --policy policy.txt
"""

audit = LazyGroup(
    "audit",
    {"verify": Lazy("relay.cli.verify:verify", "Verify a bundle: every signature and proof in it.")},
    help="Verify evidence, offline.",
    epilog=_EPILOG,
)

__all__ = ["audit"]
