"""Looking at what must hold before a call can land (SPEC 8.1): the port `relay.core.readiness.Inspector`.

Per look and endpoint: 6 requests for the chain, and for each plan 10 and 5 an act (at most 8, where an
endpoint simulates nothing), in a handful of round trips. Nothing is sent to a chain.
"""

from __future__ import annotations

import asyncio
from collections.abc import AsyncIterator, Awaitable, Callable, Sequence
from contextlib import AsyncExitStack, asynccontextmanager
from dataclasses import dataclass
from typing import TypeVar

from adapters.evm.crowd import Answer, problems, reached_by, values
from adapters.evm.encode import UNDO_NONE, address_text
from adapters.evm.gateway_state import (
    ActState,
    GatewayState,
    budget_fact,
    gateway_fact,
    plan_fact,
    read_gateway,
    registration_fact,
)
from adapters.evm.judging import judge_call, judge_check, judge_undo, protects
from adapters.evm.purse import ChainLook, endpoints_fact, funds_fact, look, nonce_fact
from adapters.evm.rpc import Rpc
from adapters.evm.trials import LATER_S, Trials, act_fields
from adapters.evm.verifiers import read_verifier
from relay.core.errors import ChainError
from relay.core.ports import ChainSettings
from relay.core.readiness import (
    ActToKeep,
    ChainQuestion,
    Fact,
    GatewayQuestion,
    Standing,
    agreed_facts,
    untold,
)
from relay.core.rehearsal import Outcome, Part
from relay.core.rotations import VerifierState
from relay.core.types import Gateway

__all__ = ["EvmInspector", "open_inspector"]

T = TypeVar("T")

LATE_S = 5.0
"""How long a look waits for one more endpoint once as many as must agree have answered."""


@dataclass(slots=True)
class _Waiting:
    """The oldest nonce of ours that waited, and the block at which it was first seen to."""

    nonce: int
    since: int


class EvmInspector:
    """The port `relay.core.readiness.Inspector`."""

    def __init__(self, settings: ChainSettings, rpcs: Sequence[Rpc]) -> None:
        self._settings = settings
        self._rpcs = rpcs
        self._trials = {rpc.operator: Trials(rpc) for rpc in rpcs}
        self._waiting: _Waiting | None = None

    async def look_at_chain(self, question: ChainQuestion) -> tuple[Fact, ...]:
        async def ask(rpc: Rpc) -> ChainLook:
            return await look(rpc, question)

        answers = await _all(self._rpcs, ask, self._settings.need)
        endpoints, looks = endpoints_fact(f"endpoints {question.chain}", self._settings, answers)
        if question.submitter is None:
            return (endpoints,)
        names = (f"funds {question.chain}", f"nonce {question.chain}")
        if len(looks) < self._settings.need:
            return (endpoints, *untold(names, "too few endpoints answered", "see the chain's endpoints"))
        funds = funds_fact(names[0], question, self._settings, looks)
        return endpoints, funds, nonce_fact(names[1], looks, self._settings, self._waits_since(looks))

    def _waits_since(self, looks: Sequence[ChainLook]) -> int | None:
        """The block since which the same transaction of ours has been seen waiting; None where none waits."""
        need = self._settings.need
        latest = reached_by([look.latest for look in looks], need)
        if reached_by([look.pending for look in looks], need) <= latest:
            self._waiting = None
        elif self._waiting is None or self._waiting.nonce != latest:
            self._waiting = _Waiting(latest, reached_by([look.head for look in looks], need))
        return None if self._waiting is None else self._waiting.since

    async def look_at_gateway(self, question: GatewayQuestion) -> tuple[Fact, ...]:
        async def ask(rpc: Rpc) -> tuple[str, Sequence[Fact]]:
            return rpc.operator, await self._facts(rpc, question)

        answers = await _all(self._rpcs, ask, self._settings.need)
        return agreed_facts(question.names, values(answers), self._settings.need, problems(answers))

    async def look_at_verifier(self, gateway: Gateway) -> VerifierState | None:
        async def ask(rpc: Rpc) -> VerifierState | None:
            return await read_verifier(rpc, gateway)

        found = values(await _all(self._rpcs, ask, self._settings.need))
        alike = [state for state in found if found.count(state) >= self._settings.need]
        return alike[0] if alike else None

    async def _facts(self, rpc: Rpc, question: GatewayQuestion) -> tuple[Fact, ...]:
        """What one endpoint says."""
        state = await read_gateway(rpc, question)
        where = address_text(question.gateway)
        if state is None:
            reason = f"no gateway answers at {where}"
            remedy = "correct the plan's gateway, or deploy one (tocsin gateway deploy)"
            return tuple(Fact(name, Standing.FAILED, reason, remedy) for name in question.names)
        gateway, plan, budget, *_ = question.names
        facts = [
            gateway_fact(gateway, question, state),
            plan_fact(plan, question, state),
            budget_fact(budget, question, state),
        ]
        for act in question.acts:
            name = f"{question.protocol}/{act.name}"
            facts.append(registration_fact(f"registration {name}", act, state, where))
            facts += await self._acts(rpc, name, act, state, where)
        return tuple(facts)

    async def _acts(
        self, rpc: Rpc, name: str, act: ActToKeep, state: GatewayState, caller: str
    ) -> tuple[Fact, Fact]:
        """Whether call and undo go through now."""
        known = state.acts.get(act.encoded.act_id)
        if known is not None and known.until:
            return await self._open_record(rpc, name, act, known, state.at_s, caller)
        fields = act_fields(act.encoded.registration)
        if known is not None and known.state is not None and protects(fields, known.state):
            reason = f"protected already by somebody else: the state is {known.state}"
            return Fact(f"act {name}", Standing.HELD, reason), Fact(f"undo {name}", Standing.HELD, reason)
        trials = self._trials[rpc.operator]
        _, call, undo = await trials.act_and_undo(
            act.encoded.registration, caller, at_s=state.at_s, lasts_s=act.lasts_s
        )
        parts = (judge_call(fields, call, caller), judge_check(fields, call))
        done = next((part for part in parts if part.held is False), parts[0])
        if done.held is False and fields.undo != UNDO_NONE:
            last = Fact(f"undo {name}", Standing.UNTRIED, "the act itself does not go through")
        else:
            last = _fact(f"undo {name}", judge_undo(fields, undo, call.before.value, caller))
        return _fact(f"act {name}", done), last

    async def _open_record(
        self, rpc: Rpc, name: str, act: ActToKeep, known: ActState, at_s: int, caller: str
    ) -> tuple[Fact, Fact]:
        """An act in force: its call is not needed, its undo is what counts."""
        held = Fact(f"act {name}", Standing.HELD, f"in force until {known.until}")
        if not known.is_ours:
            reason = "in force, and somebody else has changed the state: it will be closed without undo"
            return held, Fact(f"undo {name}", Standing.HELD, reason)
        trial = await self._trials[rpc.operator].undo(
            act.encoded.registration, caller, known.restore, max(at_s + LATER_S, known.until + 1)
        )
        fields = act_fields(act.encoded.registration)
        return held, _fact(f"undo {name}", judge_undo(fields, trial, known.restore, caller))


async def _all(rpcs: Sequence[Rpc], question: Callable[[Rpc], Awaitable[T]], need: int) -> list[Answer[T]]:
    """What each endpoint answers, all asked side by side.

    Each request is bounded by its own timeout; but a look has many, so once `need` have answered in full the
    others are not waited for much longer: one that is always just in time would make the look old.
    """

    async def ask(rpc: Rpc) -> Answer[T]:
        try:
            return Answer(rpc.operator, await question(rpc))
        except ChainError as error:
            return Answer(rpc.operator, None, error.problem)

    answers: dict[str, Answer[T]] = {
        rpc.operator: Answer(rpc.operator, None, "answers too slowly") for rpc in rpcs
    }
    async with asyncio.TaskGroup() as group:
        waiting = {group.create_task(ask(rpc)) for rpc in rpcs}
        patience_s = None
        while waiting:
            done, waiting = await asyncio.wait(
                waiting, timeout=patience_s, return_when=asyncio.FIRST_COMPLETED
            )
            answers |= {task.result().operator: task.result() for task in done}
            if not done:
                for task in waiting:
                    task.cancel()
                break
            if len(values(list(answers.values()))) >= need:
                patience_s = LATE_S
    return list(answers.values())


def _fact(name: str, part: Part) -> Fact:
    if part.outcome is Outcome.UNTRIED:
        return Fact(name, Standing.UNTRIED, part.reason, part.remedy)
    standing = Standing.FAILED if part.held is False else Standing.HELD
    return Fact(name, standing, part.reason, part.remedy if part.held is False else "")


@asynccontextmanager
async def open_inspector(settings: ChainSettings) -> AsyncIterator[EvmInspector]:
    """An inspector with sessions of its own; asks nothing yet."""
    async with AsyncExitStack() as stack:
        rpcs = [
            await stack.enter_async_context(Rpc(settings.chain, address, settings.timeout_ms))
            for address in settings.endpoints
        ]
        yield EvmInspector(settings, rpcs)
