"""The office of gateways on EVM chains: the port `relay.core.office.GatewayOffice`."""

from __future__ import annotations

from collections.abc import Sequence

from adapters.evm.abi import parse_address
from adapters.evm.encode import address_text as plain_address
from adapters.evm.office import batch, calls, creation, terms
from adapters.evm.office import send as sending
from adapters.evm.office import survey as surveying
from adapters.evm.rotations import rotation_struct
from adapters.evm.rpc import Rpc
from relay.core.gateway_report import ActTerms, Survey
from relay.core.office import About, CallForm, Change, Creation, Deployment, OwnerCall, Sent
from relay.core.ports import ChainSettings, EncodedAct, EndpointAddress, TransactionSigner
from relay.core.rotations import Rotation
from relay.core.types import ActId, Caip2, Gateway, Header

DEVELOPMENT = frozenset({"eip155:1337", "eip155:31337", "eip155:313371", "eip155:313372"})
"""Chain ids that development nodes and the demonstration use, and no public chain does."""


class EvmOffice:
    """The port `relay.core.office.GatewayOffice`; holds no state."""

    def address(self, text: str) -> str:
        return terms.address_text(parse_address(text, "address"))

    def gateway_text(self, gateway: Gateway) -> str:
        return terms.address_text(plain_address(gateway))

    def terms(self, act: EncodedAct) -> ActTerms:
        return terms.terms_of(act)

    def is_development(self, chain: Caip2) -> bool:
        return chain in DEVELOPMENT

    def owner_call(self, chain: Caip2, gateway: Gateway, change: Change) -> OwnerCall:
        return calls.owner_call(chain, gateway, change)

    def plain_call(self, chain: Caip2, to: str, call: str) -> OwnerCall:
        return calls.plain_call(chain, to, call)

    def creations(self, deployment: Deployment) -> tuple[Creation, ...]:
        return creation.creations(deployment)

    def rotation_bytes(self, rotation: Rotation) -> bytes:
        return rotation_struct(rotation)

    def render(self, calls: Sequence[OwnerCall], form: CallForm, about: About) -> str:
        return batch.render(calls, form, about)

    async def survey(
        self,
        settings: ChainSettings,
        address: EndpointAddress,
        at: Header,
        gateway: Gateway,
        known: Sequence[ActId],
    ) -> Survey:
        async with Rpc(settings.chain, address, settings.timeout_ms) as rpc:
            return await surveying.survey(rpc, settings, at, plain_address(gateway), known)

    async def nonce(self, settings: ChainSettings, account: str) -> int:
        async with self._first(settings) as rpc:
            await sending.assert_chain(rpc, settings.chain)
            return await sending.next_nonce(rpc, account)

    async def send(self, settings: ChainSettings, signer: TransactionSigner, call: OwnerCall) -> Sent:
        async with self._first(settings) as rpc:
            return await sending.send(rpc, settings, signer, call)

    def _first(self, settings: ChainSettings) -> Rpc:
        return Rpc(settings.chain, settings.endpoints[0], settings.timeout_ms)


__all__ = ["DEVELOPMENT", "EvmOffice"]
