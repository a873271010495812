"""Reading through three operators of whom one may lie, be late or be dead: nothing changes but the alarm."""

import asyncio
import time
from contextlib import asynccontextmanager, suppress
from dataclasses import replace

import pytest

from adapters.evm.proxy import Mode, ProxySettings
from proofs.errors import ProofError
from proofs.receipts import open_receipt
from relay.chains import load_adapters, open_chain
from relay.chains.ballot import Ballot, agreed_prefix
from relay.chains.health import FAILURES_BEFORE_REST, Health
from relay.chains.quorum import QuorumChain
from relay.core.errors import ConfigError, EndpointUnavailable, NoAgreement, WrongChain
from relay.core.observations import BlockReads, ChainQueries, ReadKind, StateRead
from relay.core.ports import ChainSettings, EndpointAddress
from relay.core.types import BlockRef, Header

EVENT = "Ping(uint256 number)"


def numbered(number, digest):
    return Header(BlockRef(chain="eip155:1", number=number, hash=digest, timestamp=number), bytes(32))


def asked(town):
    query, _ = load_adapters()["eip155"].event_query(town.anvil.chain, town.emitter, EVENT)
    read = StateRead(town.anvil.chain, ReadKind.CALL, town.emitter, "x()")
    reads = (
        read,
        replace(read, kind=ReadKind.STORAGE, slot="0x" + bytes(32).hex()),
        replace(read, kind=ReadKind.BALANCE),
        replace(read, kind=ReadKind.CODE_HASH),
    )
    calls = tuple(load_adapters()["eip155"].state_queries(each)[0] for each in reads)
    return ChainQueries(town.anvil.chain, (query,), calls)


async def read_newest(chain, town):
    head = await chain.head()
    return await chain.observe([head.value], asked(town))


@pytest.mark.asyncio
async def test_three_honest_operators_agree(town):
    await town.ping(7, 8)
    async with open_chain(town.settings(), load_adapters()) as chain:
        reads = await read_newest(chain.quorum, town)

    assert [row.fields["number"] for row in reads.value[0].rows] == [7, 8]
    assert (reads.agreeing, reads.asked) == (2, 3)


LIES = [
    Mode.LIE_LOGS,
    Mode.LIE_HEAD,
    Mode.LIE_CALLS,
    Mode.LIE_STATE,
    Mode.LIE_HEADERS,
    Mode.DROP,
    Mode.REFUSE,
]


@pytest.mark.asyncio
@pytest.mark.parametrize("mode", LIES)
async def test_one_operator_alone_changes_nothing(town, mode):
    await town.ping(7)
    async with open_chain(town.settings(), load_adapters()) as chain:
        honest = await read_newest(chain.quorum, town)
        for liar in town.proxies:
            liar.mode = mode
            head = await chain.quorum.head()
            headers = await chain.quorum.headers(0, head.value.block.number)
            reads = await chain.quorum.observe([head.value], asked(town))
            liar.mode = Mode.HONEST

            assert reads.value == honest.value
            assert headers.value[-1] == head.value == honest.value[0].header


@pytest.mark.asyncio
@pytest.mark.parametrize("mode", [Mode.LIE_LOGS, Mode.LIE_CALLS, Mode.LIE_STATE])
async def test_a_liar_is_named(town, mode):
    await town.ping(7)
    town.proxies[2].mode = mode
    async with open_chain(town.settings(), load_adapters()) as chain, asyncio.timeout(10):
        reads = await read_newest(chain.quorum, town)
        operators, number = await chain.quorum.disagreement()

    assert operators == ("mallory-rpc",)
    assert number == reads.value[0].header.block.number


@pytest.mark.asyncio
async def test_two_liars_who_differ_leave_no_agreement(town):
    await town.ping(7)
    async with open_chain(town.settings(), load_adapters()) as chain:
        head = (await chain.quorum.head()).value
        town.proxies[0].mode = Mode.LIE_LOGS
        town.proxies[1].mode = Mode.LIE_CALLS

        with pytest.raises(NoAgreement, match="expected 2 equal answers"):
            await chain.quorum.observe([head], asked(town))


@pytest.mark.asyncio
async def test_a_late_operator_does_not_hold_up_the_others(town):
    await town.ping(7)
    town.proxies[1].mode = Mode.DELAY
    async with open_chain(town.settings(timeout_ms=5_000), load_adapters()) as chain:
        start = time.monotonic()
        await read_newest(chain.quorum, town)
        took_s = time.monotonic() - start

    assert took_s < ProxySettings(upstream="").delay_ms / 1_000, "the late one was waited for"


@pytest.mark.asyncio
async def test_a_dead_operator_is_left_alone_for_a_while_and_comes_back(town):
    async with open_chain(town.settings(), load_adapters()) as chain:
        dead = town.proxies[0]
        dead.mode = Mode.REFUSE
        for _ in range(FAILURES_BEFORE_REST + 1):
            await chain.quorum.head()
        before = dead.requests
        for _ in range(5):
            await chain.quorum.head()
        assert dead.requests <= before + 1

        dead.mode = Mode.HONEST
        async with asyncio.timeout(10):
            while dead.requests <= before + 3:
                await chain.quorum.head()


class Behind:
    """An honest endpoint that has the chain up to a number."""

    def __init__(self, operator, chain):
        self.operator, self.blocks = operator, chain

    async def head(self):
        return self.blocks[-1]

    async def headers(self, first, last):
        return tuple(self.blocks[first : last + 1])

    async def heads(self):
        raise EndpointUnavailable("eip155:1", "no subscriptions")
        yield


@pytest.mark.asyncio
async def test_the_head_is_the_highest_that_enough_operators_reach():
    blocks = [numbered(n, bytes([n]) * 32) for n in range(4)]
    settings = ChainSettings("eip155:1", tuple(EndpointAddress(name, "") for name in "abc"), need=2)
    endpoints = [Behind(name, blocks[:have]) for name, have in (("a", 2), ("b", 3), ("c", 4))]

    async with QuorumChain(settings, endpoints) as chain:
        assert (await chain.head()).value == blocks[2]
        assert (await chain.headers(0, 3)).value == tuple(blocks[:3])


class Reader(Behind):
    """An honest endpoint that counts the blocks it was asked to read, and reads those that it has."""

    def __init__(self, operator, chain):
        super().__init__(operator, chain)
        self.asked = 0

    async def observe(self, headers, queries):
        self.asked += 1
        if any(header not in self.blocks for header in headers):
            raise EndpointUnavailable("eip155:1", "not the one asked for", operator=self.operator)
        return tuple(BlockReads(header) for header in headers)


@asynccontextmanager
async def readers(*chains):
    names = "abcd"[: len(chains)]
    settings = ChainSettings("eip155:1", tuple(EndpointAddress(name, "") for name in names), need=2)
    endpoints = [Reader(name, chain) for name, chain in zip(names, chains, strict=True)]
    async with QuorumChain(settings, endpoints) as chain:
        yield chain, endpoints


@pytest.mark.asyncio
async def test_made_up_heads_put_no_honest_operator_to_rest():
    blocks, queries = [numbered(n, bytes([n]) * 32) for n in range(4)], ChainQueries("eip155:1")
    made_up = [numbered(4, bytes([0xE0 + n]) * 32) for n in range(2 * FAILURES_BEFORE_REST)]

    liars = ([*blocks, *made_up[::2]], [*blocks, *made_up[1::2]])
    async with readers(blocks, blocks, *liars) as (chain, endpoints):
        for header in made_up:
            with pytest.raises(NoAgreement):
                await chain.observe([header], queries)
        before = [endpoint.asked for endpoint in endpoints]
        await chain.observe([blocks[3]], queries)

    assert [endpoint.asked for endpoint in endpoints] == [count + 1 for count in before]


@pytest.mark.asyncio
async def test_an_operator_without_blocks_that_others_read_is_put_to_rest():
    blocks, queries = [numbered(n, bytes([n]) * 32) for n in range(4)], ChainQueries("eip155:1")

    async with readers(blocks, blocks, []) as (chain, endpoints):
        for _ in range(3 * FAILURES_BEFORE_REST):
            await chain.observe([blocks[3]], queries)

    assert [endpoint.asked for endpoint in endpoints[:2]] == [3 * FAILURES_BEFORE_REST] * 2
    assert FAILURES_BEFORE_REST <= endpoints[2].asked < 3 * FAILURES_BEFORE_REST


@pytest.mark.asyncio
async def test_an_operator_of_another_chain_keeps_nobody_from_starting_and_has_no_word(town):
    town.proxies[1].mode = Mode.WRONG_CHAIN

    async with open_chain(town.settings(), load_adapters()) as chain:
        answer = await chain.quorum.head()

    assert (answer.agreeing, answer.asked) == (2, 3)


@pytest.mark.asyncio
async def test_too_many_operators_of_another_chain_are_named_with_both_ids(town):
    for proxy in town.proxies[1:]:
        proxy.mode = Mode.WRONG_CHAIN
    other = f"eip155:{town.anvil.chain_id + 1}"

    with pytest.raises(WrongChain, match=f"{town.anvil.chain} by bob-rpc: endpoint serves {other}, expected"):
        async with open_chain(town.settings(), load_adapters()):
            pass


@pytest.mark.asyncio
async def test_an_operator_that_turns_to_another_chain_later_is_no_answer(town):
    town.proxies[1].mode = Mode.REFUSE
    async with open_chain(town.settings(need=3), load_adapters()) as chain:
        town.proxies[1].mode = Mode.WRONG_CHAIN
        with pytest.raises(NoAgreement, match="bob-rpc: endpoint serves"):
            await chain.quorum.head()


@pytest.mark.asyncio
async def test_heads_are_announced_once_enough_operators_did(town):
    async with open_chain(town.settings(), load_adapters()) as chain, asyncio.timeout(15):
        while chain.quorum.subscriptions < 3:
            await town.anvil.mine()
            with suppress(TimeoutError):
                async with asyncio.timeout(0.2):
                    await chain.quorum.announced()
        await town.ping(1)
        head = (await chain.quorum.head()).value
        while await chain.quorum.announced() != head:
            pass


@pytest.mark.parametrize(
    ("changes", "problem"),
    [({"need": 4}, "expected 1 to 3"), ({"need": 0}, "expected 1 to 3")],
)
@pytest.mark.asyncio
async def test_a_quorum_that_cannot_be_is_refused(town, changes, problem):
    with pytest.raises(ConfigError, match=problem):
        async with open_chain(town.settings(**changes), load_adapters()):
            pass


@pytest.mark.asyncio
async def test_two_endpoints_of_one_operator_are_refused():
    twice = ChainSettings("eip155:5", (EndpointAddress("a", "http://x"), EndpointAddress("a", "http://y")))

    with pytest.raises(ConfigError, match="one endpoint for each operator"):
        async with open_chain(twice, load_adapters()):
            pass


@pytest.mark.asyncio
async def test_a_namespace_without_adapter_names_those_installed():
    with pytest.raises(ConfigError, match=r"no adapter for namespace 'solana'; installed: .*eip155"):
        async with open_chain(ChainSettings("solana:x", ()), load_adapters()):
            pass


def test_a_url_with_a_key_is_never_printed():
    address = EndpointAddress("alice-rpc", "https://rpc.example/secret-key", "wss://rpc.example/secret-key")

    assert "secret-key" not in repr(address)
    assert "secret-key" not in repr(ChainSettings("eip155:1", (address,)))


def test_equal_answers_are_counted_by_value():
    ballot = Ballot(2)
    for operator, answer in (("a", {"x": 1}), ("b", {"x": 2}), ("c", {"x": 1})):
        assert ballot.winner is None
        ballot.add(operator, answer)

    assert ballot.winner == ({"x": 1}, 2)


def test_the_agreed_prefix_ends_where_too_few_go_on():
    chain = [numbered(n, bytes([n]) * 32) for n in range(4)]
    fork = numbered(1, b"\xff" * 32)

    assert agreed_prefix([tuple(chain), tuple(chain[:2]), (chain[0], fork)], 2) == (tuple(chain[:2]), 2)
    assert agreed_prefix([(fork,), (chain[1],)], 2) == ((), 0)


def test_rests_grow_and_end_with_an_answer():
    now = [0.0]
    health = Health(lambda: now[0])
    rests = []
    for _ in range(12):
        health.failed()
        rests.append(health.rests_until - now[0])
    assert rests[1] < 0.5 <= rests[2] < rests[3] < rests[-1] == 15.0

    health.answered()
    assert health.is_rested()


# ---- receipts


async def proved(town, modes, check, **changes):
    """The proof of the only transaction in a new block, from operators who then behave like this."""
    await town.ping(7)
    async with open_chain(town.settings(**changes), load_adapters()) as chain:
        block = (await chain.quorum.head()).value.block
        content = await town.anvil.rpc("eth_getBlockByNumber", hex(block.number), False)
        tx = bytes.fromhex(content["transactions"][0][2:])
        for proxy, mode in zip(town.proxies, modes, strict=True):
            proxy.mode = mode
        return block, await chain.quorum.receipt_proof(block, tx, lambda proof: check(proof, block))


def opens(proof, block):
    return open_receipt(proof, block.hash)


@pytest.mark.asyncio
@pytest.mark.parametrize("mode", [Mode.DROP, Mode.REFUSE, Mode.WRONG_CHAIN])
async def test_one_honest_operator_is_enough_to_prove_a_receipt(town, mode):
    modes = [mode, mode, Mode.HONEST]

    block, proof = await proved(town, modes, opens)

    assert open_receipt(proof, block.hash)[1].succeeded


@pytest.mark.asyncio
async def test_a_receipt_that_nobody_proves_names_every_operator_and_what_was_wrong(town):
    modes = [Mode.DROP, Mode.REFUSE, Mode.HONEST]

    def refuse(_proof, _block):
        raise ProofError("receipt-gateway", "expected an event of ours, got none")

    with pytest.raises(NoAgreement) as refusal:
        await proved(town, modes, refuse)

    for said in ("alice-rpc: no answer", "bob-rpc: HTTP status 503", "mallory-rpc: receipt-gateway"):
        assert said in refusal.value.problem


@pytest.mark.asyncio
async def test_an_operator_that_is_late_with_a_receipt_is_passed_over(town):
    modes = [Mode.DELAY, Mode.HONEST, Mode.HONEST]

    block, proof = await proved(town, modes, opens, timeout_ms=300)

    assert proof.index == 0
    assert open_receipt(proof, block.hash)[1].succeeded
