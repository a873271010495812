"""From a call to its effect on a real chain, through operators that help, lie or are dead."""

import asyncio
from contextlib import AsyncExitStack, asynccontextmanager
from dataclasses import dataclass, field, replace

import coincurve
import pytest
import pytest_asyncio
from eth_account import Account
from hypothesis import given
from hypothesis import strategies as st

from adapters.conformance import MemoryStore
from adapters.evm import adapter
from adapters.evm.encode import gateway_of
from adapters.evm.fees import GWEI, FeePolicy, Fees, Market
from adapters.evm.nonces import free_nonce, holes
from adapters.evm.proxy import Mode, ProxySettings, RpcProxy, start_proxy
from adapters.evm.quotes import Quote, combined
from adapters.evm.refusals import gateway_errors
from adapters.evm.transactions import Transaction, transaction_hash
from proofs.hashes import keccak256
from proofs.mandate import Mandate
from relay.core.errors import WrongChain
from relay.core.ports import ChainSettings, EndpointAddress, Execute, Expire, FeeKind, SubmissionStatus

FUNDS = 10**20


@dataclass
class Key:
    """A submitter key; counts what it signed."""

    secret: coincurve.PrivateKey = field(default_factory=coincurve.PrivateKey)
    signed: int = 0

    @property
    def submitter(self):
        return keccak256(self.secret.public_key.format(compressed=False)[1:])[12:]

    async def sign_transaction(self, digest):
        self.signed += 1
        return self.secret.sign_recoverable(digest, hasher=None)


def execute(bench, *, op=1, act=b"\x07" * 32, certificate=b"\x01"):
    mandate = Mandate(
        network=b"\x01" * 32,
        key_epoch=1,
        tier=1,
        plan_hash=b"\x02" * 32,
        op=op,
        decision_id=b"\x03" * 32,
        acts_root=b"\x04" * 32,
        not_before=1000,
        not_after=2000,
    )
    return Execute(
        bench.anvil.chain, gateway_of(bench.gateway), act, 60, mandate, (b"\x05" * 32,), certificate
    )


@dataclass
class Mile:
    """A chain behind three operators, and a funded key."""

    bench: object
    proxies: list[RpcProxy]
    key: Key
    settings: ChainSettings

    @property
    def anvil(self):
        return self.bench.anvil

    async def nonce(self):
        count = await self.anvil.rpc("eth_getTransactionCount", "0x" + self.key.submitter.hex(), "latest")
        return int(count, 16)

    async def pooled(self):
        pool = await self.anvil.rpc("txpool_status")
        return int(pool["pending"], 16) + int(pool["queued"], 16)

    async def fund(self, wei=FUNDS):
        await self.anvil.rpc("anvil_setBalance", "0x" + self.key.submitter.hex(), hex(wei))


@pytest_asyncio.fixture
async def mile(bench):
    async with AsyncExitStack() as stack:
        proxies = [
            await stack.enter_async_context(start_proxy(ProxySettings(bench.anvil.url, delay_ms=700)))
            for _ in range(3)
        ]
        endpoints = tuple(
            EndpointAddress(name, proxy.url)
            for name, proxy in zip(("alice-rpc", "bob-rpc", "mallory-rpc"), proxies, strict=True)
        )
        settings = ChainSettings(bench.anvil.chain, endpoints, need=2, block_time_ms=200, timeout_ms=2_000)
        mile = Mile(bench, proxies, Key(), settings)
        await mile.fund()
        yield mile


async def until(is_done, mile=None, pooled=1):
    """Wait until something holds, or the pool has so many transactions."""
    async with asyncio.timeout(10):
        while not is_done() and (mile is None or await mile.pooled() < pooled):  # noqa: ASYNC110
            await asyncio.sleep(0.01)


@asynccontextmanager
async def submitting(mile, *calls):
    """Submit the calls at once; gives the tasks, whose transactions are in the pool."""
    async with (
        adapter().submitter(mile.settings, mile.key, MemoryStore()) as submitter,
        asyncio.TaskGroup() as group,
    ):
        tasks = [group.create_task(submitter.submit(call)) for call in calls]
        await until(lambda: all(task.done() for task in tasks), mile, len(calls))
        yield tasks


@pytest.mark.asyncio
async def test_a_call_lands_with_its_effect(mile):
    async with submitting(mile, execute(mile.bench)) as (task,):
        await mile.anvil.mine()
    submission = task.result()

    head = await mile.bench.endpoint.head()
    assert submission.status is SubmissionStatus.LANDED, submission
    assert submission.block == head.block
    assert submission.gas_used == (await mile.anvil.receipt(submission.tx)).gas_used > 21_000


@pytest.mark.asyncio
async def test_expire_and_noop_are_effects_too(mile):
    calls = [
        Expire(mile.anvil.chain, gateway_of(mile.bench.gateway), b"\x09" * 32),
        execute(mile.bench, op=3),
    ]
    async with submitting(mile, *calls) as tasks:
        await mile.anvil.mine()

    assert [task.result().status for task in tasks] == [SubmissionStatus.LANDED] * 2


@pytest.mark.asyncio
async def test_a_refused_simulation_is_named_and_burns_nothing(mile):
    async with submitting(mile, execute(mile.bench, certificate=b"")) as (task,):
        submission = await task

    assert submission.status is SubmissionStatus.REFUSED
    assert submission.reason == "unknown error 0x" + keccak256(b"MandateStale(uint64,uint64)")[:4].hex()
    assert mile.key.signed == 0
    assert await mile.pooled() == 0


def test_the_gateways_errors_have_names():
    names = gateway_errors()

    assert names[keccak256(b"PlanNotInForce(bytes32)")[:4]] == "PlanNotInForce"
    assert names[keccak256(b"LimitOutOfRange((uint64,uint64,uint64))")[:4]] == "LimitOutOfRange"


@pytest.mark.asyncio
async def test_three_calls_at_once_have_three_nonces(mile):
    async with submitting(mile, *[execute(mile.bench, act=bytes([n]) * 32) for n in range(1, 4)]) as tasks:
        await mile.anvil.mine()

    assert [task.result().status for task in tasks] == [SubmissionStatus.LANDED] * 3
    assert await mile.nonce() == 3


@pytest.mark.asyncio
async def test_a_call_that_does_not_land_is_sent_again_for_more(mile):
    async with submitting(mile, execute(mile.bench)) as (task,):
        await until(lambda: mile.key.signed >= 3)
        await mile.anvil.mine()
    submission = task.result()

    assert submission.status is SubmissionStatus.LANDED
    assert await mile.nonce() == 1
    transaction = await mile.anvil.rpc("eth_getTransactionByHash", "0x" + submission.tx.hex())
    head = await mile.anvil.rpc("eth_getBlockByNumber", "latest", False)
    assert int(transaction["maxFeePerGas"], 16) > 2 * int(head["baseFeePerGas"], 16)


@pytest.mark.asyncio
async def test_an_act_that_fails_in_the_block_is_reverted_not_landed(mile):
    async with submitting(mile, execute(mile.bench)) as (task,):
        closing = keccak256(b"close()")[:4]
        await mile.anvil.rpc("anvil_setBalance", mile.bench.account, hex(10**30))
        sender, to = mile.bench.account, mile.bench.gateway
        nonce = await mile.anvil.rpc("eth_getTransactionCount", sender, "pending")
        first = {"from": sender, "to": to, "data": "0x" + closing.hex(), "nonce": nonce, "gas": hex(100_000)}
        rich = {"maxFeePerGas": hex(10**13), "maxPriorityFeePerGas": hex(10**12)}
        await mile.anvil.rpc("eth_sendTransaction", first | rich)
        await mile.anvil.mine()
    submission = task.result()

    assert submission.status is SubmissionStatus.REVERTED, submission
    assert submission.reason == "reverted in the block"
    assert submission.gas_used > 0


@pytest.mark.asyncio
async def test_success_without_the_gateways_event_is_no_effect(mile):
    call = replace(execute(mile.bench), gateway=gateway_of("0x" + "77" * 20))
    async with submitting(mile, call) as (task,):
        await mile.anvil.mine()

    assert task.result().status is SubmissionStatus.REVERTED
    assert task.result().reason == "no event of the gateway for this act"


@pytest.mark.asyncio
async def test_an_empty_account_is_unfunded_and_signs_nothing(mile):
    await mile.fund(1)
    async with submitting(mile, execute(mile.bench)) as (task,):
        submission = await task

    assert submission.status is SubmissionStatus.UNFUNDED
    assert "holds 1" in submission.reason
    assert mile.key.signed == 0


@pytest.mark.asyncio
@pytest.mark.parametrize("mode", [Mode.REFUSE, Mode.DROP, Mode.LIE_CALLS, Mode.LIE_HEADERS, Mode.DELAY])
async def test_one_operator_does_not_stop_a_call(mile, mode):
    for proxy in mile.proxies:
        proxy.mode = mode
        async with submitting(mile, execute(mile.bench)) as (task,):
            await mile.anvil.mine()
        proxy.mode = Mode.HONEST

        assert task.result().status is SubmissionStatus.LANDED, task.result()


@pytest.mark.asyncio
async def test_one_operator_that_calls_a_refused_call_good_burns_no_gas(mile):
    mile.proxies[0].mode = Mode.LIE_CALLS
    async with submitting(mile, execute(mile.bench, certificate=b"")) as (task,):
        submission = await task

    assert submission.status is SubmissionStatus.REFUSED
    assert mile.key.signed == 0


@pytest.mark.asyncio
async def test_without_any_operator_there_is_no_endpoint(mile):
    for proxy in mile.proxies:
        proxy.mode = Mode.REFUSE
    async with submitting(mile, execute(mile.bench)) as (task,):
        submission = await task

    assert submission.status is SubmissionStatus.UNAVAILABLE
    assert "bob-rpc: HTTP status 503" in submission.reason


@pytest.mark.asyncio
async def test_too_many_operators_of_another_chain_are_named_before_first_use(mile):
    for proxy in mile.proxies[1:]:
        proxy.mode = Mode.WRONG_CHAIN
    other = f"eip155:{mile.anvil.chain_id + 1}"

    with pytest.raises(WrongChain, match=f"{mile.anvil.chain} by (bob|mallory)-rpc: endpoint serves {other}"):
        async with adapter().submitter(mile.settings, mile.key, MemoryStore()):
            pass


@pytest.mark.asyncio
async def test_operators_that_turn_to_another_chain_get_nothing_sent(mile):
    async with adapter().submitter(mile.settings, mile.key, MemoryStore()) as submitter:
        for proxy in mile.proxies:
            proxy.mode = Mode.WRONG_CHAIN
        submission = await submitter.submit(execute(mile.bench))

    assert submission.status is SubmissionStatus.UNAVAILABLE
    assert "endpoint serves" in submission.reason
    assert mile.key.signed == 0


@pytest.mark.asyncio
async def test_the_balance_is_what_enough_operators_say(mile):
    mile.proxies[0].mode = Mode.REFUSE
    async with adapter().submitter(mile.settings, mile.key, MemoryStore()) as submitter:
        assert await submitter.balance() == FUNDS


@pytest.mark.asyncio
async def test_a_restarted_node_goes_on_after_its_own_pending_transaction(mile):
    async with submitting(mile, execute(mile.bench)) as (task,):
        task.cancel()
    async with submitting(mile, execute(mile.bench, act=b"\x08" * 32)) as (task,):
        await until(lambda: False, mile, 2)
        await mile.anvil.mine()

    assert task.result().status is SubmissionStatus.LANDED
    assert await mile.nonce() == 2


def test_a_free_nonce_is_nobodys():
    assert free_nonce({5, 6}, 5, 5) == 7
    assert free_nonce({5, 7}, 5, 5) == 6
    assert free_nonce(set(), 5, 8) == 8
    assert free_nonce({8}, 5, 8) == 9


@given(st.sets(st.integers(0, 60), max_size=30), st.integers(0, 40), st.integers(0, 40))
def test_no_nonce_is_taken_twice_and_every_hole_is_found(taken, latest, pending):
    nonce = free_nonce(taken, latest, pending)

    assert nonce not in taken
    assert nonce >= max(latest, pending)
    found = holes(taken, latest)
    assert not set(found) & taken
    assert all(number in taken or number in found for number in range(latest, max(taken, default=latest)))


@given(
    st.integers(1, 2**40),
    st.integers(0, 2**40),
    st.integers(1, 1_000 * GWEI),
    st.binary(max_size=300),
    st.integers(21_000, 10**7),
)
def test_a_transaction_is_what_another_library_reads(chain_id, nonce, fee, data, gas):
    key = coincurve.PrivateKey()
    transaction = Transaction(chain_id, nonce, Fees(fee, min(fee, GWEI)), gas, b"\x22" * 20, data)

    raw = transaction.signed(key.sign_recoverable(transaction.digest, hasher=None))

    sender = keccak256(key.public_key.format(compressed=False)[1:])[12:]
    assert bytes.fromhex(Account.recover_transaction(raw)[2:].lower()) == sender
    fields = {
        "type": 2,
        "chainId": chain_id,
        "nonce": nonce,
        "maxFeePerGas": fee,
        "maxPriorityFeePerGas": min(fee, GWEI),
        "gas": gas,
        "to": "0x" + "22" * 20,
        "value": 0,
        "data": data,
    }
    theirs = Account.sign_transaction(fields, key.secret)
    assert transaction_hash(theirs.raw_transaction) == theirs.hash
    assert bytes(theirs.raw_transaction)[: -65 - 3] == raw[: -65 - 3]


@given(st.integers(1, 2**40), st.integers(0, 2**40), st.integers(1, 10**12), st.binary(max_size=300))
def test_a_transaction_of_one_price_is_what_another_library_reads(chain_id, nonce, price, data):
    key = coincurve.PrivateKey()
    transaction = Transaction(chain_id, nonce, Fees(price, price), 50_000, b"\x22" * 20, data, FeeKind.LEGACY)

    raw = transaction.signed(key.sign_recoverable(transaction.digest, hasher=None))

    fields = {
        "chainId": chain_id,
        "nonce": nonce,
        "gasPrice": price,
        "gas": 50_000,
        "to": "0x" + "22" * 20,
        "value": 0,
        "data": data,
    }
    sender = keccak256(key.public_key.format(compressed=False)[1:])[12:]
    assert bytes.fromhex(Account.recover_transaction(raw)[2:].lower()) == sender
    assert transaction_hash(raw) == keccak256(raw)
    theirs = bytes(Account.sign_transaction(fields, key.secret).raw_transaction)
    assert theirs[3 : len(theirs) - 72] == raw[3 : len(theirs) - 72]


POLICY = FeePolicy(FeeKind.EIP1559, 1_000 * GWEI)


def test_fees_rise_by_a_quarter_up_to_the_cap():
    market = Market(10 * GWEI, GWEI)
    fees, steps = POLICY.starting(market), 0
    assert fees == Fees(21 * GWEI, GWEI)

    while (higher := POLICY.replacing(fees, market)) is not None:
        assert higher.most_wei * 10 >= fees.most_wei * 11
        assert higher.tip_wei * 10 >= fees.tip_wei * 11
        fees, steps = higher, steps + 1

    assert POLICY.cap_wei * 9 // 10 <= fees.most_wei <= POLICY.cap_wei
    assert fees.tip_wei <= fees.most_wei
    assert steps < 40


@given(st.integers(1, 10**15), st.integers(0, 10**13), st.integers(1, 10**15), st.sampled_from(FeeKind))
def test_no_fee_is_above_the_cap_and_every_replacement_is_one(base, tip, later_base, kind):
    policy = FeePolicy(kind, 1_000 * GWEI)
    fees = policy.starting(Market(base, tip))

    higher = policy.replacing(fees, Market(later_base, tip))

    assert fees.tip_wei <= fees.most_wei <= policy.cap_wei
    if higher is not None:
        assert fees.most_wei * 11 <= higher.most_wei * 10
        assert higher.tip_wei <= higher.most_wei <= policy.cap_wei


def test_a_replacement_begins_at_the_newest_base_fee():
    fees = POLICY.starting(Market(GWEI, 0))

    assert POLICY.replacing(fees, Market(20 * GWEI, 0)).most_wei > 40 * GWEI


def test_what_the_account_cannot_pay_is_lowered_as_far_as_the_block_allows():
    market = Market(10 * GWEI, GWEI)
    fees = POLICY.starting(market)

    assert POLICY.affordable(fees, 100, 100 * 15 * GWEI, market).most_wei == 15 * GWEI
    assert POLICY.affordable(fees, 100, 100 * 30 * GWEI, market) == fees
    assert POLICY.affordable(fees, 100, 100 * 10 * GWEI, market) is None


def quote(refusal=None, latest=3, gas=100, fee=10, needless=False):
    return Quote(refusal, needless, latest, latest, 7, 10**18, gas, Market(fee, 1))


def test_one_quote_among_three_moves_no_number():
    honest = quote()
    for liar in (quote(latest=0), quote(latest=99), quote(gas=10**7), quote(fee=10**12), quote("no")):
        assert combined([honest, liar, honest], 2) == honest
    assert combined([quote("no"), quote("no"), honest], 2).refusal == "no"
    assert combined([quote("no"), honest], 2).refusal is None


def test_one_operator_that_calls_a_call_needless_does_not_stop_it():
    honest, needless = quote(), quote(needless=True)

    assert combined([honest, needless, honest], 2) == honest
    assert combined([honest, needless], 2) == honest
    assert combined([honest, needless, quote("no")], 2) == honest
    assert combined([needless, needless, honest], 2).is_needless
    assert combined([needless, needless, quote("no")], 2).is_needless
    assert combined([needless, quote("no"), quote("no")], 2) == quote("no")
