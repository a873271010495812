"""`tocsin gateway`."""

from __future__ import annotations

from relay.cli.commands import Lazy, LazyGroup

gateway = LazyGroup(
    "gateway",
    {
        "propose": Lazy("relay.cli.gateway_propose:propose", "What the owner must call to install a plan."),
        "deploy": Lazy("relay.cli.gateway_deploy:deploy", "Create a verifier and a gateway."),
        "register": Lazy("relay.cli.gateway_propose:register", "Bring a deployed gateway up to a plan."),
        "inspect": Lazy("relay.cli.gateway_inspect:inspect", "Explain a deployed gateway."),
        "verify": Lazy("relay.cli.gateway_verify:verify", "Compare a gateway with plan and committee."),
    },
    help="Gateways: what a protocol lets the network do on a chain, for how long, and how it is undone.",
)

__all__ = ["gateway"]
