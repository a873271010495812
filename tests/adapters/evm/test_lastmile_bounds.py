"""What the last mile keeps, and whom it believes, where endpoints are few, silent or at odds."""

import asyncio
from dataclasses import replace

import pytest
from eth_abi import encode

from adapters.evm.crowd import Crowd
from adapters.evm.encode import ACT_TYPES
from adapters.evm.fees import GWEI, Fees
from adapters.evm.gas import ActCaps
from adapters.evm.rows import MAX_HASHES, Row
from adapters.evm.rpc import RpcError
from adapters.evm.senders import MAX_UNDER_WAY, Refusal, Senders
from adapters.evm.transactions import Transaction, transaction_hash
from tests.adapters.evm.mile import Mode, open_mile, until

GATEWAY, ACT_ID = "0x" + "11" * 20, b"\x07" * 32


class Operators:
    """Endpoints of which `agreeing` give the same answer; as many as two must."""

    need = 2

    def __init__(self, agreeing):
        self.agreeing = agreeing
        self.answers = [b"\x01" * 32, act_with(cap=15_000_000)]

    async def agreed(self, _question):
        return (self.answers.pop(0), self.agreeing) if self.agreeing else None


def act_with(cap):
    zero, nothing = "0x" + "00" * 20, b""
    act = (zero, nothing, zero, nothing, 0, 0, 0, 0, nothing, 0, cap)
    return encode([f"({','.join(ACT_TYPES)})", "uint8", "uint64", "bool"], [act, 1, 3_600, True])


@pytest.mark.asyncio
@pytest.mark.parametrize(("agreeing", "cap"), [(2, 15_000_000), (1, None), (0, None)])
async def test_a_gas_cap_that_one_operator_alone_tells_is_none(agreeing, cap):
    assert await ActCaps(Operators(agreeing)).cap_of(GATEWAY, ACT_ID) == cap


@pytest.mark.asyncio
@pytest.mark.parametrize("size", [1 << 255, (1 << 63) - 1, 1 << 40])
async def test_a_gateway_whose_act_has_no_form_tells_no_cap(size):
    operators = Operators(2)
    for word in range(len(operators.answers[1]) // 32):
        hostile = bytearray(operators.answers[1])
        hostile[32 * word : 32 * word + 32] = size.to_bytes(32, "big")
        operators.answers = [b"\x01" * 32, bytes(hostile)]
        cap = await ActCaps(operators).cap_of(GATEWAY, ACT_ID)
        assert cap in (None, 15_000_000), word
        operators.answers = [b"\x01" * 32, act_with(cap=15_000_000)]


@pytest.mark.asyncio
@pytest.mark.parametrize(
    ("said", "refusal"),
    [
        ("already known", None),
        ("AlreadyKnown", None),
        ("Known transaction", None),
        ("nonce too low: next nonce 5, tx nonce 4", Refusal.NONCE_USED),
        ("OldNonce, Current nonce: 5, nonce of rejected tx: 4.", Refusal.NONCE_USED),
        ("replacement transaction underpriced", Refusal.NONCE_HELD),
        ("ReplacementNotAllowed", Refusal.NONCE_HELD),
        ("transaction underpriced", Refusal.UNDERPRICED),
        ("FeeTooLow, MaxFeePerGas too low", Refusal.UNDERPRICED),
        ("insufficient funds for gas * price + value", Refusal.FUNDS),
        ("InsufficientFunds, Account balance: 0", Refusal.FUNDS),
        ("Upfront cost exceeds account balance", Refusal.FUNDS),
        ("exceeds block gas limit", Refusal.OTHER),
    ],
)
async def test_a_refusal_to_take_a_transaction_is_understood_of_any_client(said, refusal):
    async with Crowd("eip155:1", [Refuser(said)], 1) as crowd, Senders(crowd, None) as senders:
        sending = await senders.send_publicly(b"\x02")

    assert sending.refusal is refusal


class Refuser:
    """An endpoint that takes no transaction."""

    operator = "mallory-rpc"

    def __init__(self, said):
        self.said = said

    async def replies(self, _requests):
        return [RpcError(-32000, self.said)]


def test_a_transaction_that_is_in_a_pool_is_known_however_many_dearer_ones_are_refused():
    pooled = Row(b"call", transaction(1), b"pooled", (transaction_hash(b"pooled"),), 0)
    row = pooled
    for times in range(2 * MAX_HASHES):
        refused = row.followed_by(transaction(2 + times), b"refused %d" % times)
        row = replace(pooled, hashes=refused.hashes)
        assert len(row.hashes) <= MAX_HASHES

    assert transaction_hash(b"pooled") in row.hashes
    assert row.followed_by(transaction(2), b"refused 0").hashes[-1] == transaction_hash(b"refused 0")


def test_a_transaction_that_is_signed_again_is_one():
    row = Row(b"call", transaction(1), b"pooled", (transaction_hash(b"pooled"),), 0)
    once = row.followed_by(transaction(2), b"dearer")

    assert replace(row, hashes=once.hashes).followed_by(transaction(2), b"dearer").hashes == once.hashes


def transaction(gwei):
    return Transaction(1, 0, Fees(gwei * GWEI, GWEI), 21_000, bytes(20), b"")


@pytest.mark.asyncio
async def test_an_endpoint_that_never_answers_is_owed_a_bounded_number_of_transactions(tmp_path):
    async with open_mile(tmp_path) as mile, mile.submitter() as submitter:
        mile.set_modes(Mode.HONEST, Mode.HONEST, Mode.HOLD_SENDS)
        senders = submitter._senders
        raw = b"\x02 no transaction"
        async with asyncio.TaskGroup() as group:
            for _ in range(2 * MAX_UNDER_WAY):
                group.create_task(senders.send_publicly(raw))
        await until(lambda: asyncio.sleep(0, len(senders._tasks)), lambda tasks: tasks <= MAX_UNDER_WAY)

        mile.set_modes(Mode.HONEST, Mode.HONEST, Mode.HONEST)
        await until(lambda: asyncio.sleep(0, not senders._tasks))
