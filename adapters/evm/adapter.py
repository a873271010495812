"""The adapter of EVM chains: what `relay.chains` finds under the entry point `eip155`."""

from __future__ import annotations

from collections.abc import Mapping
from contextlib import AbstractAsyncContextManager

from adapters.evm import encode, reads, state
from adapters.evm.endpoint import EvmEndpoint, open_endpoint
from adapters.evm.office import EvmOffice
from adapters.evm.readiness import EvmInspector, open_inspector
from adapters.evm.rehearse import EvmRehearser, open_rehearser
from adapters.evm.submit import EvmSubmitter, open_submitter
from adapters.evm.survey import survey_endpoint
from relay.core.observations import CallQuery, ChainQueries, EventQuery, StateRead
from relay.core.ports import (
    ActText,
    ChainSettings,
    EncodedAct,
    EndpointAddress,
    SubmissionStore,
    TransactionSigner,
)
from relay.core.rehearsal import RehearsalSettings
from relay.core.survey import EndpointSurvey
from relay.core.types import Caip2, Gateway


class EvmAdapter:
    """The port `relay.core.ports.Adapter`."""

    namespace = "eip155"
    reads = state.READS

    def event_query(self, chain: Caip2, address: str, event: str) -> tuple[EventQuery, tuple[str, ...]]:
        return reads.make_event_query(chain, address, event)

    def state_queries(self, read: StateRead) -> tuple[CallQuery, ...]:
        return state.make_state_queries(read)

    def block_requests(self, queries: ChainQueries) -> Mapping[str, int]:
        return reads.block_requests(reads.compile_queries(queries))

    def encode_act(self, act: ActText) -> EncodedAct:
        return encode.encode_act(act)

    def gateway_address(self, text: str) -> Gateway:
        return encode.gateway_of(text)

    def endpoint(
        self, settings: ChainSettings, address: EndpointAddress
    ) -> AbstractAsyncContextManager[EvmEndpoint]:
        return open_endpoint(settings, address)

    def submitter(
        self, settings: ChainSettings, signer: TransactionSigner, store: SubmissionStore
    ) -> AbstractAsyncContextManager[EvmSubmitter]:
        return open_submitter(settings, signer, store)

    def inspector(self, settings: ChainSettings) -> AbstractAsyncContextManager[EvmInspector]:
        return open_inspector(settings)

    def rehearser(self, settings: RehearsalSettings) -> AbstractAsyncContextManager[EvmRehearser]:
        return open_rehearser(settings)

    async def survey(self, chain: Caip2, address: EndpointAddress, timeout_ms: int) -> EndpointSurvey:
        return await survey_endpoint(chain, address, timeout_ms)

    def office(self) -> EvmOffice:
        return EvmOffice()


def adapter() -> EvmAdapter:
    """The entry point: one adapter, which holds no state."""
    return EvmAdapter()


__all__ = ["EvmAdapter", "adapter"]
