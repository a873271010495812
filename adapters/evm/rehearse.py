"""Rehearsing acts on a fork of their chain (SPEC 8.3): the port `relay.core.rehearsal.Rehearser`."""

from __future__ import annotations

from collections.abc import AsyncIterator, Iterator
from contextlib import AsyncExitStack, asynccontextmanager

from adapters.evm import shapes
from adapters.evm.abi import parse_address
from adapters.evm.bending import bending_warnings
from adapters.evm.devchain import AnvilSettings, start_anvil
from adapters.evm.encode import UNDO_CALL, UNDO_NONE, address_text
from adapters.evm.judging import GAS_SHARE, judge_call, judge_check, judge_undo
from adapters.evm.reading_only import open_door
from adapters.evm.rpc import Rpc
from adapters.evm.trials import ActFields, Trials, Way, act_fields
from relay.core.errors import ChainError, WrongChain
from relay.core.ports import EndpointAddress
from relay.core.readiness import ActToKeep
from relay.core.rehearsal import ActRehearsal, Outcome, Part, RehearsalSettings
from relay.core.types import BlockRef

__all__ = ["EvmRehearser", "open_rehearser"]

STATE_GAS = 100_000
"""What a gateway gives a getter (contracts/GATEWAY.md 2.4)."""


class EvmRehearser:
    """Tries acts through one endpoint: a fork's own, or one that simulates."""

    def __init__(self, settings: RehearsalSettings, rpc: Rpc, block: BlockRef) -> None:
        self._settings = settings
        self._rpc = rpc
        self._trials = Trials(rpc)
        self._block = block

    @property
    def block(self) -> BlockRef:
        """The block whose state is used."""
        return self._block

    async def rehearse(self, act: ActToKeep) -> ActRehearsal:
        """Try the act, its check and its undo, and look for what could bend its state."""
        registration = act.encoded.registration
        fields = act_fields(registration)
        caller = self._settings.caller or address_text(act.encoded.gateway)
        way, call, undo = await self._trials.act_and_undo(
            registration, caller, at_s=self._block.timestamp, lasts_s=act.lasts_s
        )
        was_in_force = fields.undo == UNDO_CALL and call.before.answered and call.before.value == fields.value
        if was_in_force:
            again = await self._trials.undo_and_again(
                registration, caller, at_s=self._block.timestamp, lasts_s=act.lasts_s
            )
            call, undo = again or (call, undo)
        parts = judge_call(fields, call, caller), judge_check(fields, call)
        if False in (parts[0].held, parts[1].held) and fields.undo != UNDO_NONE:
            last = Part(Outcome.UNTRIED, reason="the act itself does not go through")
        else:
            last = judge_undo(fields, undo, call.before.value, caller)
        warnings = [*_warnings(fields, (*parts, last), call.before.gas_used, way)]
        if was_in_force and parts[0].outcome is not Outcome.IN_FORCE:
            warnings.append("the act is in force: for the rehearsal it was undone first")
        warnings += await bending_warnings(self._rpc, self._trials, act, caller, self._block.timestamp)
        return ActRehearsal(
            name=act.name,
            chain=self._settings.chain,
            block=self._block,
            caller=caller,
            call=parts[0],
            check=parts[1],
            undo=last,
            getter_gas=call.before.gas_used,
            warnings=tuple(warnings),
        )


def _warnings(fields: ActFields, parts: tuple[Part, Part, Part], getter_gas: int, way: Way) -> Iterator[str]:
    call, _, undo = parts
    for name, part in (("call", call), ("undo", undo)):
        if part.held and 100 * part.gas_used > GAS_SHARE * part.gas_cap:
            yield f"the {name} takes {part.gas_used} of its gas cap of {part.gas_cap}: raise `gas`"
    if 100 * getter_gas > GAS_SHARE * STATE_GAS:
        yield f"the state getter takes {getter_gas} gas, a gateway gives it {STATE_GAS}"
    if fields.undo == UNDO_NONE:
        yield "the act has no undo: only the protocol's own people can take it back"
    if undo.outcome is Outcome.NONE and fields.undo != UNDO_NONE:
        yield f"the undo was not needed: {undo.reason}"
    if call.outcome is Outcome.IN_FORCE:
        yield f"the act is in force already, so that its call shows nothing: {call.reason}"
    if way is Way.OVERRIDE:
        yield "act and undo were tried in one transaction: the endpoint simulates no blocks"


@asynccontextmanager
async def open_rehearser(settings: RehearsalSettings) -> AsyncIterator[EvmRehearser]:
    """Take over the chain's state at its newest block.

    Raises:
        WrongChain: the endpoint serves another chain.
        ChainError: the endpoint does not answer, or the fork does not take its state over.
        ConfigError: there is no anvil here.
    """
    if settings.caller is not None:
        parse_address(settings.caller, "--as")
    async with AsyncExitStack() as stack:
        source = await stack.enter_async_context(_rpc(settings, settings.url))
        await _assert_chain(settings, source)
        block = await _newest(source)
        if not settings.forks:
            yield EvmRehearser(settings, source, block)
            return
        door = await stack.enter_async_context(open_door(settings.url, settings.timeout_ms))
        chain_id = int(settings.chain.partition(":")[2])
        extra = ("--fork-url", door.url, "--fork-block-number", str(block.number), "--no-storage-caching")
        anvil = await stack.enter_async_context(
            start_anvil(AnvilSettings(chain_id, extra=(*extra, "--timeout", str(settings.timeout_ms))))
        )
        fork = await stack.enter_async_context(_rpc(settings, anvil.url))
        await _assert_fork(fork, block)
        yield EvmRehearser(settings, fork, block)


def _rpc(settings: RehearsalSettings, url: str) -> Rpc:
    return Rpc(settings.chain, EndpointAddress("--fork", url), settings.timeout_ms)


async def _assert_chain(settings: RehearsalSettings, rpc: Rpc) -> None:
    served = await rpc.result("eth_chainId")
    try:
        actual = f"eip155:{shapes.quantity(served)}"
    except ValueError as error:
        raise rpc.unavailable(f"malformed chain id: {error}") from None
    if actual != settings.chain:
        raise WrongChain(
            settings.chain, f"endpoint serves {actual}, expected {settings.chain}", operator="--fork"
        )


async def _newest(rpc: Rpc) -> BlockRef:
    try:
        return shapes.header(rpc.chain, await rpc.result("eth_getBlockByNumber", "latest", False)).block
    except ValueError as error:
        raise rpc.unavailable(f"malformed block: {error}") from None


async def _assert_fork(rpc: Rpc, block: BlockRef) -> None:
    """A fork whose newest block is another one would rehearse on a state that is none of the chain's."""
    actual = await _newest(rpc)
    if actual.hash != block.hash:
        raise ChainError(rpc.chain, f"the fork stands at block {actual.number}, expected {block.number}")
