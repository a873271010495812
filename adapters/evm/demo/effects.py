"""Whether a protective call did what it is for: the target's own state, read at the block of the call.

And what it was sent with: the kind of certificate in its transaction.
"""

from __future__ import annotations

from collections.abc import Iterable
from dataclasses import replace
from typing import Final

from adapters.evm import shapes
from adapters.evm.demo.report import ActReport
from adapters.evm.demo.traffic import encode_call
from adapters.evm.demo.world import World
from adapters.evm.encode import act_id, sent_certificate
from proofs.mandate import CERTIFICATE_ECDSA, CERTIFICATE_FROST

__all__ = ["EffectBook"]

WORDS: Final = 3
KINDS: Final = {CERTIFICATE_ECDSA: "ecdsa", CERTIFICATE_FROST: "frost"}


class EffectBook:
    """Checks each call once, while the chain still has the state of its block."""

    def __init__(self, world: World) -> None:
        self._world = world
        self._checked: dict[str, ActReport] = {}

    async def check(self, acts: Iterable[ActReport]) -> tuple[ActReport, ...]:
        """Give the acts with what their getters read at their blocks; by chain and block."""
        for act in acts:
            if act.tx not in self._checked:
                self._checked[act.tx] = await self._check(act)
        return tuple(sorted(self._checked.values(), key=lambda act: (act.chain, act.block)))

    async def _check(self, act: ActReport) -> ActReport:
        near = act.chain == self._world.near.anvil.chain
        driver = self._world.near if near else self._world.far
        gateway = self._world.gateway_near if near else self._world.gateway_far
        asked = {"to": gateway, "data": "0x" + encode_call("stateOf(bytes32)", act_id(act.act)).hex()}
        answer = shapes.octets(await driver.anvil.rpc("eth_call", asked, hex(act.block)), 32 * WORDS)
        state, is_protected, is_ours = (
            int.from_bytes(answer[32 * word :][:32], "big") for word in range(WORDS)
        )
        sent = shapes.mapping(await driver.anvil.rpc("eth_getTransactionByHash", f"0x{act.tx}"))
        certificate = sent_certificate(bytes.fromhex(str(sent["input"]).removeprefix("0x"))) or b"\0"
        return replace(
            act,
            state=state,
            protected=bool(is_protected),
            ours=bool(is_ours),
            certificate=KINDS.get(certificate[0], ""),
        )
