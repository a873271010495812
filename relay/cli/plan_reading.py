"""A plan's rules at the newest blocks of its chains, read as a node reads them (plans SPEC 2)."""

from __future__ import annotations

import asyncio
from collections.abc import Mapping, Sequence
from contextlib import AsyncExitStack
from dataclasses import dataclass

from relay.chains import load_adapters, open_chain
from relay.cli.gateway_reading import settings_for
from relay.cli.rpc_text import named_url
from relay.cli.settings import Settings
from relay.core.compiled import CompiledPlan
from relay.core.errors import ConfigError
from relay.core.evaluate import Evaluation, PlanEvaluator
from relay.core.events import BlockObserved
from relay.core.observations import ChainQueries
from relay.core.ports import AgreedChain, ChainSettings, EndpointAddress
from relay.core.types import BlockRef, Caip2, Header
from relay.core.view import ChainView
from relay.plans.judging import Stretch

__all__ = ["Reading", "read_now", "rpc_by_chain"]

MAX_SEARCH_BLOCKS = 50_000
"""So far back a foreign chain's pin is sought."""
_FOR_EVER_S = 1 << 40
_AT_ONCE = 100
"""Blocks asked for in one round."""


@dataclass(frozen=True, slots=True)
class Reading:
    """What came of the rules at `block`, and which blocks of each chain were read for it.

    `evaluation` is None where the plan does not count that block: it comes before the first one, `since`.
    """

    block: BlockRef
    evaluation: Evaluation | None
    read: Mapping[Caip2, Stretch]


def rpc_by_chain(
    settings: Settings, plan_chains: Sequence[Caip2], rpc: Sequence[str]
) -> dict[Caip2, ChainSettings]:
    """Give how to read the plan's chains: by `--rpc CHAIN=URL`, else as node.toml says; others are left out.

    Raises:
        ConfigError: a chain that the plan does not have, or no address.
    """
    urls: dict[Caip2, list[str]] = {}
    for text in rpc:
        name, url = named_url(text, "--rpc")
        chain = Caip2(name or (plan_chains[0] if len(plan_chains) == 1 else ""))
        if chain not in plan_chains:
            known = ", ".join(plan_chains)
            problem = f"expected CHAIN=URL with a chain of the plan ({known}), got {chain or 'none'}"
            raise ConfigError("--rpc", problem)
        urls.setdefault(chain, []).append(url)
    found: dict[Caip2, ChainSettings] = {}
    for chain in plan_chains:
        if chain in urls:
            addresses = tuple(EndpointAddress(f"rpc-{n}", url) for n, url in enumerate(urls[chain], start=1))
            found[chain] = ChainSettings(chain, addresses, need=len(addresses) // 2 + 1)
        elif (known_settings := settings_for(settings, chain, ())) is not None:
            found[chain] = known_settings
    return found


def read_now(compiled: CompiledPlan, chains: Mapping[Caip2, ChainSettings], blocks: int) -> Reading:
    """Read the newest `blocks` of each chain, a foreign one's up to its pin, and evaluate every rule there.

    Raises:
        ChainError: too few endpoints agree.
        ConfigError: the reference chain is none of `chains`.
    """
    reference = compiled.plan.clock.reference
    if reference not in chains:
        problem = f"expected an endpoint of the reference chain, {reference}, got none"
        raise ConfigError("--rpc", problem, remedy=f"give --rpc {reference}=URL")
    return asyncio.run(_read(compiled, chains, blocks))


async def _read(compiled: CompiledPlan, chains: Mapping[Caip2, ChainSettings], blocks: int) -> Reading:
    plan, adapters = compiled.plan, load_adapters()
    reference = plan.clock.reference
    views = {chain: ChainView(queries, keep_s=_FOR_EVER_S) for chain, queries in compiled.queries.items()}
    evaluator = PlanEvaluator(compiled, views)
    read: dict[Caip2, Stretch] = {}
    async with AsyncExitStack() as stack:
        opened = {
            chain: (await stack.enter_async_context(open_chain(each, adapters))).quorum
            for chain, each in chains.items()
        }
        head = (await opened[reference].head()).value
        first = max(0, head.block.number - blocks + 1)
        headers = await _headers(opened[reference], first, head.block.number)
        await _Feed(opened[reference], compiled.queries[reference], views[reference]).read(headers)
        read[reference] = Stretch(headers[0].block, headers[-1].block)
        for chain in chains.keys() - {reference}:
            until = headers[-1].block.timestamp - plan.chains[chain].lag_s
            feed = _Feed(opened[chain], compiled.queries[chain], views[chain])
            stretch = await _read_foreign(feed, until, blocks)
            if stretch is not None:
                read[chain] = stretch
    newest = headers[-1].block
    return Reading(newest, evaluator.evaluate_at(newest), read)


@dataclass(frozen=True, slots=True)
class _Feed:
    """A chain, what to read of it, and the view that is fed."""

    chain: AgreedChain
    queries: ChainQueries
    view: ChainView

    async def read(self, headers: Sequence[Header]) -> None:
        """Read these blocks and let the view observe them."""
        for start in range(0, len(headers), _AT_ONCE):
            part = await self.chain.observe(headers[start : start + _AT_ONCE], self.queries)
            for reads in part.value:
                self.view.observe(BlockObserved(reads, part.agreeing, part.asked, headers[-1].block))


async def _read_foreign(feed: _Feed, until: int, blocks: int) -> Stretch | None:
    """Read the last blocks up to a time, and the one after it, which settles the pin; None without one."""
    chain = feed.chain
    head = (await chain.head()).value
    pin = await _last_at(chain, until, head)
    if pin is None:
        return None
    headers = await _headers(chain, max(0, pin - blocks + 1), min(pin + 1, head.block.number))
    await feed.read(headers)
    return Stretch(headers[0].block, next(each.block for each in headers if each.block.number == pin))


async def _last_at(chain: AgreedChain, until: int, head: Header) -> int | None:
    """Give the number of the last block at or before a time, by halving; None so far back."""
    low, high, step = head.block.number, head.block.number + 1, 1
    while (await _header(chain, low)).block.timestamp > until:
        if low == 0 or head.block.number - low > MAX_SEARCH_BLOCKS:
            return None
        low, high, step = max(0, low - step), low, step * 2
    while high - low > 1:
        middle = (low + high) // 2
        if (await _header(chain, middle)).block.timestamp <= until:
            low = middle
        else:
            high = middle
    return low


async def _header(chain: AgreedChain, number: int) -> Header:
    return (await chain.headers(number, number)).value[0]


async def _headers(chain: AgreedChain, first: int, last: int) -> list[Header]:
    found: list[Header] = []
    while first <= last:
        part = (await chain.headers(first, min(last, first + _AT_ONCE - 1))).value
        found += part
        first = part[-1].block.number + 1
    return found
