"""`tocsin audit`: what an auditor needs; verifying runs on the base install."""

from __future__ import annotations

from relay.cli.commands import Lazy, LazyGroup

_EPILOG = """\b
Examples:
  tocsin audit verify incident.bundle --policy policy.txt
  tocsin audit replay incident.bundle
  tocsin audit incident 3f2a91 http://127.0.0.1:9330 http://127.0.0.1:9331 --policy policy.txt
  tocsin audit follow https://alice.example.org https://bob.example.org --policy policy.txt
  tocsin audit mirror https://alice.example.org mirrors/alice --policy policy.txt
"""

audit = LazyGroup(
    "audit",
    {
        "verify": Lazy("relay.cli.verify:verify", "Verify a bundle: every signature and proof in it."),
        "replay": Lazy("relay.cli.replay:replay", "Derive a bundle's verdicts again from its inputs."),
        "incident": Lazy(
            "relay.cli.audit_incident:incident", "Tell an incident from several nodes' bundles and logs."
        ),
        "follow": Lazy("relay.cli.audit_follow:follow", "Watch logs: fork, rollback, missing witnesses."),
        "mirror": Lazy("relay.cli.audit_mirror:mirror_", "Copy a whole log into a folder, checked."),
        "disclose": Lazy("relay.cli.audit_disclose:disclose", "Open sealed fields of what this node said."),
    },
    help="Verify evidence: bundles offline, logs from any server or folder.",
    epilog=_EPILOG,
)

__all__ = ["audit"]
