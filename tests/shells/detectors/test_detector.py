"""A real chain's blocks as events: each once and in order, whatever the chain and its operators do."""

import asyncio
from contextlib import asynccontextmanager
from dataclasses import replace

import pytest

from adapters.evm.proxy import Mode
from relay.chains import load_adapters, open_chain
from relay.core.errors import ChainError, NoAgreement
from relay.core.events import BlockObserved, BlockUnread, ChainFinalized, ChainReorged, EndpointDisagreed
from relay.core.observations import ChainQueries
from relay.detectors import Detector, DetectorSettings

EVENT = "Ping(uint256 number)"


class Log:
    """A sink that remembers, and lets a test wait for what it wants to see."""

    def __init__(self):
        self.events = []
        self._changed = asyncio.Condition()

    async def __call__(self, event):
        async with self._changed:
            self.events.append(event)
            self._changed.notify_all()

    async def until(self, predicate, timeout_s=15):
        async with asyncio.timeout(timeout_s), self._changed:
            await self._changed.wait_for(lambda: predicate(self))

    def of(self, kind):
        return [event for event in self.events if isinstance(event, kind)]

    @property
    def blocks(self):
        return [event.reads.header.block.number for event in self.of(BlockObserved)]

    @property
    def pings(self):
        return [row.fields["number"] for event in self.of(BlockObserved) for row in event.reads.rows]


@asynccontextmanager
async def watching(town, start, *, recent=(), **changes):
    query, _ = load_adapters()["eip155"].event_query(town.anvil.chain, town.emitter, EVENT)
    queries = ChainQueries(town.anvil.chain, (query,))
    log = Log()
    async with open_chain(town.settings(**changes), load_adapters()) as chain:
        detector = Detector(chain.quorum, DetectorSettings(start, lambda: queries, recent), log)
        async with asyncio.TaskGroup() as group:
            task = group.create_task(detector.run())
            yield log, chain.quorum
            task.cancel()


async def head_number(town):
    return int(await town.anvil.rpc("eth_blockNumber"), 16)


@pytest.mark.asyncio
async def test_every_block_comes_once_and_in_order_and_is_final_at_its_depth(town):
    await town.ping(1, 2)
    async with watching(town, 0) as (log, _):
        await log.until(lambda log: log.blocks == [0, 1, 2])
        for number in range(3, 10):
            await town.ping(number)
        await log.until(lambda log: log.blocks[-1:] == [9])

    assert log.blocks == list(range(10))
    assert log.pings == list(range(1, 10))
    final = [event.block.number for event in log.of(ChainFinalized)]
    assert final == sorted(set(final))
    assert final[-1] == 6
    assert all((event.agreeing, event.asked) in ((2, 3), (3, 3)) for event in log.of(BlockObserved))
    assert log.of(BlockObserved)[-1].head.number == 9
    assert not log.of(ChainReorged)
    assert not log.of(BlockUnread)


@pytest.mark.asyncio
async def test_a_start_at_a_number_begins_with_that_block(town):
    await town.anvil.mine(5)
    async with watching(town, 4) as (log, _):
        await log.until(lambda log: log.blocks[-1:] == [6])

    assert log.blocks == [4, 5, 6]


@pytest.mark.asyncio
async def test_a_detector_goes_on_after_the_block_it_was_stopped_at(town):
    async with watching(town, 0) as (log, _):
        await town.anvil.mine(3)
        await log.until(lambda log: log.blocks[-1:] == [4])
    await town.ping(77)
    last = log.of(BlockObserved)[-1].reads.header

    async with watching(town, last.block, recent=[e.reads.header for e in log.of(BlockObserved)]) as (
        later,
        _,
    ):
        await later.until(lambda log: log.blocks == [5])

    assert later.pings == [77]


@pytest.mark.asyncio
async def test_a_fork_while_the_node_was_away_is_found_by_the_recent_headers(town):
    async with watching(town, 0) as (log, _):
        await town.anvil.mine(6)
        await log.until(lambda log: log.blocks[-1:] == [7])
    recent = [event.reads.header for event in log.of(BlockObserved)]
    await town.anvil.rpc("anvil_reorg", 3, [])
    await town.anvil.mine(2)

    async with watching(town, recent[-1].block, recent=recent) as (later, _):
        await later.until(lambda log: log.blocks[-1:] == [9])

    assert later.of(ChainReorged)[0].ancestor == recent[4].block
    assert later.blocks == [5, 6, 7, 8, 9]


@pytest.mark.asyncio
async def test_a_reorganisation_goes_back_to_the_common_ancestor(town):
    async with watching(town, 0) as (log, _):
        await town.ping(1)
        await town.ping(2)
        await town.anvil.mine(2)
        await log.until(lambda log: log.blocks[-1:] == [5])
        await town.anvil.rpc("anvil_reorg", 3, [])
        await town.anvil.mine()
        await log.until(lambda log: log.blocks[-1:] == [6])

    (reorg,) = log.of(ChainReorged)
    kept = log.of(BlockObserved)[reorg.ancestor.number].reads.header
    assert reorg.ancestor == kept.block
    after = log.events[log.events.index(reorg) + 1 :]
    numbers = [event.reads.header.block.number for event in after if isinstance(event, BlockObserved)]
    assert numbers == list(range(reorg.ancestor.number + 1, 7))
    parents = [event.reads.header for event in after if isinstance(event, BlockObserved)]
    assert parents[0].parent == reorg.ancestor.hash


@pytest.mark.asyncio
async def test_a_fork_below_everything_retained_stops_the_node_with_an_error(town):
    await town.anvil.mine(5)
    head = int(await town.anvil.rpc("eth_blockNumber"), 16)
    async with open_chain(town.settings(), load_adapters()) as chain:
        start = (await chain.quorum.headers(head, head)).value[0]
    await town.anvil.rpc("anvil_reorg", 3, [])
    await town.anvil.mine()

    with pytest.RaisesGroup(
        pytest.RaisesExc(ChainError, match="oldest of 1 retained"), flatten_subgroups=True
    ):
        async with watching(town, start.block) as (log, _), asyncio.timeout(10):
            await log.until(lambda log: log.blocks)


@pytest.mark.asyncio
@pytest.mark.parametrize("mode", [Mode.LIE_LOGS, Mode.LIE_HEAD, Mode.LIE_HEADERS, Mode.DROP, Mode.DELAY])
async def test_one_misbehaving_operator_changes_no_event_but_the_alarm(town, mode):
    town.proxies[0].mode = mode
    async with watching(town, 0) as (log, _):
        for number in range(1, 6):
            await town.ping(number)
            await log.until(lambda log, number=number: log.pings[-1:] == [number])
        if mode is Mode.LIE_LOGS:
            await log.until(lambda log: log.of(EndpointDisagreed))
            assert log.of(EndpointDisagreed)[0].operators == ("alice-rpc",)

    assert log.pings == [1, 2, 3, 4, 5]
    assert log.blocks == list(range(7))[: len(log.blocks)]
    assert not log.of(ChainReorged)
    assert not log.of(BlockUnread)


@pytest.mark.asyncio
async def test_a_block_without_agreement_is_told_once_and_read_when_there_is_one(town):
    async with watching(town, 0) as (log, _):
        await town.ping(1)
        await log.until(lambda log: log.pings == [1])
        town.proxies[0].mode = town.proxies[1].mode = Mode.REFUSE
        await town.ping(2)
        await town.ping(3)
        await log.until(lambda log: log.of(BlockUnread))
        unread = log.of(BlockUnread)[0].number
        town.proxies[0].mode = Mode.HONEST
        await log.until(lambda log: log.pings == [1, 2, 3], timeout_s=30)

    assert [event.number for event in log.of(BlockUnread)] == [unread] == [3]
    assert log.blocks == list(range(5))


@pytest.mark.asyncio
async def test_without_subscriptions_polling_finds_every_block(town):
    settings = town.settings()
    deaf = replace(settings, endpoints=tuple(replace(e, websocket_url=None) for e in settings.endpoints))
    town.settings = lambda **_: deaf
    async with watching(town, 0) as (log, chain):
        for number in range(1, 4):
            await town.ping(number)
            await log.until(lambda log, number=number: log.pings[-1:] == [number])
        assert chain.subscriptions == 0

    assert log.blocks == [0, 1, 2, 3, 4][: len(log.blocks)]


@pytest.mark.asyncio
async def test_finality_by_tag_is_told_for_blocks_that_were_told(town):
    await town.anvil.mine(80)
    async with watching(town, 0, finality="finalized") as (log, _):
        await log.until(lambda log: log.of(ChainFinalized) and log.blocks[-1] == 81)
        final = log.of(ChainFinalized)[-1].block

    assert final.number <= 81 - 32
    at = next(place for place, event in enumerate(log.events) if isinstance(event, ChainFinalized))
    assert any(isinstance(e, BlockObserved) and e.reads.header.block == final for e in log.events)
    assert log.events[at].block.number <= max(
        e.reads.header.block.number for e in log.events[:at] if isinstance(e, BlockObserved)
    )


class Narrow:
    """A chain whose endpoints agree on no more than `most` blocks at once, as where they answer too late
    for more.
    """

    def __init__(self, chain, most):
        self._chain, self.most, self.widths = chain, most, []

    def __getattr__(self, name):
        return getattr(self._chain, name)

    async def observe(self, headers, queries):
        self.widths.append(len(headers))
        if len(headers) > self.most:
            raise NoAgreement(queries.chain, "too much at once")
        return await self._chain.observe(headers, queries)


@pytest.mark.asyncio
async def test_a_gap_too_wide_to_read_at_once_is_read_in_parts(town):
    await town.anvil.mine(60)
    log = Log()
    async with open_chain(town.settings(), load_adapters()) as chain:
        narrow = Narrow(chain.quorum, 20)
        detector = Detector(narrow, DetectorSettings(0, lambda: ChainQueries(town.anvil.chain)), log)
        async with asyncio.TaskGroup() as group:
            task = group.create_task(detector.run())
            await log.until(lambda log: log.blocks[-1:] == [61])
            task.cancel()

    assert log.blocks == list(range(62))
    assert narrow.widths[:3] == [62, 31, 15]
    assert not log.of(BlockUnread)


class Mute:
    """A chain whose endpoints, while it is muted, agree on how far it is and what is final, but on no header
    by number.
    """

    def __init__(self, chain):
        self._chain, self.muted = chain, False
        self.heard_of_later_finals = asyncio.Semaphore(0)

    def __getattr__(self, name):
        return getattr(self._chain, name)

    async def headers(self, first, last):
        if self.muted:
            raise NoAgreement(self._chain.settings.chain, "no header agreed on")
        return await self._chain.headers(first, last)

    async def finalized(self):
        agreed = await self._chain.finalized()
        if self.muted and agreed.value.block.number > 7:
            self.heard_of_later_finals.release()
        return agreed


@pytest.mark.asyncio
@pytest.mark.parametrize("finality", ["depth:3", "finalized"])
async def test_an_orphan_is_not_final_because_the_chain_it_left_went_on(town, finality):
    log = Log()
    async with open_chain(town.settings(finality=finality), load_adapters()) as chain:
        mute = Mute(chain.quorum)
        detector = Detector(mute, DetectorSettings(0, lambda: ChainQueries(town.anvil.chain)), log)
        async with asyncio.TaskGroup() as group:
            task = group.create_task(detector.run())
            await town.anvil.mine(6)
            await log.until(lambda log: log.blocks[-1:] == [7])
            mute.muted = True
            await town.anvil.rpc("anvil_reorg", 3, [])
            await town.anvil.mine(90)
            await log.until(lambda log: log.of(BlockUnread))
            if finality == "finalized":
                async with asyncio.timeout(15):
                    await mute.heard_of_later_finals.acquire()
                    await mute.heard_of_later_finals.acquire()
            orphaned = [event.block.number for event in log.of(ChainFinalized)]
            mute.muted = False
            await log.until(lambda log: log.blocks[-1:] == [97])
            await log.until(lambda log: log.of(ChainFinalized)[-1].block.number > 7)
            task.cancel()
        finals = [event.block for event in log.of(ChainFinalized)]
        agreed = [(await chain.quorum.headers(block.number, block.number)).value[0].block for block in finals]

    assert max(orphaned, default=0) <= 4
    assert log.of(ChainReorged)[0].ancestor.number == 4
    assert finals == agreed


@pytest.mark.asyncio
async def test_an_announced_block_is_read_in_one_round_trip(town):
    async with watching(town, 0) as (log, chain):
        for number in range(1, 8):
            await town.ping(number)
            await log.until(lambda log, number=number: log.pings[-1:] == [number])
        async with asyncio.timeout(10):
            while chain.subscriptions < 3:
                await town.anvil.mine()
                await asyncio.sleep(0.01)
        before = [proxy.requests for proxy in town.proxies]
        numbers = range(100, 120)
        for number in numbers:
            await town.ping(number)
            await log.until(lambda log, number=number: log.pings[-1:] == [number])
        after = [proxy.requests for proxy in town.proxies]

    # The long way takes three questions or more of each operator; a busy machine may send a block or two
    # there.
    spent = sorted(late - early for early, late in zip(before, after, strict=True))
    assert spent[1] < 2 * len(numbers), spent
