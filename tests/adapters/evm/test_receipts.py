"""Receipt proofs from real blocks: what an endpoint answers is proved, or is no proof and says why."""

import itertools
import json
from collections.abc import AsyncIterator, Callable
from contextlib import asynccontextmanager
from dataclasses import dataclass, replace
from pathlib import Path

import aiohttp
import pytest
import pytest_asyncio
import rlp
from aiohttp import web
from hypothesis import given, settings
from hypothesis import strategies as st
from trie import HexaryTrie

from adapters.evm import gateway_events
from adapters.evm.devchain import Anvil, AnvilSettings, start_anvil
from adapters.evm.encode import act_id, gateway_calldata, gateway_of
from adapters.evm.endpoint import EvmEndpoint, open_endpoint
from adapters.evm.receipts import MAX_TRANSACTIONS, ReceiptTrie, read_block, receipt_bytes
from proofs.effects import ACT_ENDED, ACT_EXTENDED, ACT_NOOP, ACT_STARTED, ENDINGS, check_effect
from proofs.errors import ProofError
from proofs.hashes import keccak256
from proofs.kinds import Caip2, DecisionId, Digest, NetworkId, PlanHash
from proofs.mandate import Mandate, Op, Tier, mandate_digest
from proofs.receipts import open_receipt
from proofs.statements import OutcomeStatement
from relay.core.errors import EndpointUnavailable
from relay.core.observations import EndedHow
from relay.core.ports import ChainSettings, EndpointAddress, Execute, Expire
from relay.core.types import BlockRef

CHAIN_IDS = itertools.count(950_001)
TIME = 1_600_000_000
MANDATE = Mandate(
    network=NetworkId(bytes(32)),
    key_epoch=1,
    tier=Tier.FAST,
    plan_hash=PlanHash(b"\1" * 32),
    op=Op.PROTECT,
    decision_id=DecisionId(b"\2" * 32),
    acts_root=Digest(b"\3" * 32),
    not_before=TIME,
    not_after=TIME + 1_800,
)
ACT = act_id("halt")
LASTS = 600


@dataclass
class Yard:
    """A chain that mines when told, two gateways that emit what they are asked, and an endpoint."""

    anvil: Anvil
    endpoint: EvmEndpoint
    account: str
    gateway: str
    stranger: str

    async def execute(self, mandate: Mandate = MANDATE, *, to: str = "", certificate: bytes = b"c") -> bytes:
        gateway = gateway_of(to or self.gateway)
        call = Execute(self.anvil.chain, gateway, ACT, LASTS, mandate, (), certificate)
        return await self.anvil.send(self.account, to or self.gateway, gateway_calldata(call), gas=300_000)

    async def idle(self) -> bytes:
        return await self.anvil.send(self.account, self.account, b"", gas=21_000)

    async def mined(self) -> BlockRef:
        number = await self.anvil.mine()
        return (await self.endpoint.headers(number, number))[0].block

    async def outcome(self, block: BlockRef, tx: bytes, **changes: object) -> OutcomeStatement:
        """What members say who read the act's start in this block."""
        said = OutcomeStatement(
            decision_id=MANDATE.decision_id,
            mandate_digest=mandate_digest(MANDATE),
            chain=block.chain,
            gateway=gateway_of(self.gateway),
            act_id=ACT,
            block=block,
            tx=tx,
            effect="started",
            gas_used=(await self.anvil.receipt(tx)).gas_used,
            until=TIME + LASTS,
        )
        return replace(said, **changes)

    async def check(self, block: BlockRef, tx: bytes, **changes: object) -> str:
        """The check that fails when the transaction's receipt is to show the act's start."""
        proof = await self.endpoint.receipt_proof(block, tx)
        try:
            check_effect(proof, await self.outcome(block, tx, **changes), MANDATE)
        except ProofError as error:
            return error.check
        return ""


def settings_of(anvil: Anvil, url: str) -> ChainSettings:
    return ChainSettings(anvil.chain, (EndpointAddress("alice-rpc", url),), need=1, finality="depth:2")


@pytest_asyncio.fixture
async def yard(contracts: dict[str, bytes]) -> AsyncIterator[Yard]:
    async with start_anvil(AnvilSettings(next(CHAIN_IDS), automine=False, timestamp=TIME)) as anvil:
        chain = settings_of(anvil, anvil.url)
        async with open_endpoint(chain, chain.endpoints[0]) as endpoint:
            account = (await anvil.accounts())[0]
            gateways = [await anvil.deploy(account, contracts["FakeGateway"]) for _ in range(2)]
            yield Yard(anvil, endpoint, account, *gateways)


# ---- real blocks


@pytest.mark.asyncio
@pytest.mark.parametrize("count", [1, 2, 16, 17, 129])
async def test_every_place_in_a_block_is_proved(yard: Yard, count: int) -> None:
    txs = [await yard.idle() for _ in range(count - 1)] + [await yard.execute()]

    block = await yard.mined()

    assert await yard.check(block, txs[-1]) == ""
    for index in {0, 1, 15, 16, 126, 127, 128} & set(range(count)):
        header, receipt = open_receipt(await yard.endpoint.receipt_proof(block, txs[index]), block.hash)
        assert (header.number, header.timestamp) == (block.number, block.timestamp)
        assert receipt.succeeded
        if index < count - 1:
            assert receipt.cumulative_gas == 21_000 * (index + 1)


@pytest.mark.asyncio
async def test_every_event_of_a_gateway_is_shown_by_its_own_receipt_alone(yard: Yard) -> None:
    extend, release = replace(MANDATE, op=Op.EXTEND), replace(MANDATE, op=Op.RELEASE)
    expire = gateway_calldata(Expire(yard.anvil.chain, gateway_of(yard.gateway), ACT))
    started, extended, noop = [await yard.execute(mandate) for mandate in (MANDATE, extend, release)]
    ended = await yard.anvil.send(yard.account, yard.gateway, expire, gas=300_000)
    block = await yard.mined()

    assert await yard.check(block, started) == ""
    assert await yard.check(block, extended) == "receipt-event"
    assert await yard.check(block, noop) == "receipt-event"
    assert await yard.check(block, ended) == "receipt-event"
    assert await yard.check(block, ended, effect="expire", until=1234) == ""
    assert await yard.check(block, extended, effect="extended") == "receipt-mandate"
    assert await yard.check(block, noop, effect="noop", until=0) == "receipt-mandate"
    assert await yard.check(block, started, until=TIME) == "receipt-until"


@pytest.mark.asyncio
async def test_a_reverted_transaction_and_another_gateway_show_nothing(yard: Yard) -> None:
    reverted = await yard.execute(certificate=b"")
    elsewhere = await yard.execute(to=yard.stranger)
    block = await yard.mined()

    assert await yard.check(block, reverted) == "receipt-status"
    assert await yard.check(block, elsewhere) == "receipt-gateway"


@pytest.mark.asyncio
async def test_receipts_of_two_blocks_cannot_be_swapped(yard: Yard) -> None:
    first_tx = await yard.execute()
    first = await yard.mined()
    second_tx = await yard.execute()
    second = await yard.mined()
    proofs = [
        await yard.endpoint.receipt_proof(block, tx) for block, tx in ((first, first_tx), (second, second_tx))
    ]

    for proof, block, tx in ((proofs[0], second, second_tx), (proofs[1], first, first_tx)):
        with pytest.raises(ProofError) as caught:
            check_effect(proof, await yard.outcome(block, tx), MANDATE)
        assert caught.value.check == "receipt-block"


@pytest.mark.asyncio
async def test_transactions_of_every_kind_stand_beside_each_other(yard: Yard) -> None:
    fee = hex(10**10)
    nonce = int(str(await yard.anvil.rpc("eth_getTransactionCount", yard.account, "pending")), 16)
    for kind in (
        {"gasPrice": fee, "type": "0x0"},
        {"gasPrice": fee, "type": "0x1", "accessList": []},
        {"maxFeePerGas": fee, "maxPriorityFeePerGas": "0x1", "type": "0x2"},
    ):
        plain = {"from": yard.account, "to": yard.account, "gas": hex(21_000), "nonce": hex(nonce)}
        await yard.anvil.rpc("eth_sendTransaction", plain | kind)
        nonce += 1
    block = await yard.mined()
    answers = await yard.anvil.rpc("eth_getBlockReceipts", hex(block.number))

    assert [receipt_bytes(answer)[0] for answer in answers][1:] == [1, 2]
    assert receipt_bytes(answers[0])[0] >= 0xC0
    for index, answer in enumerate(answers):
        proof = await yard.endpoint.receipt_proof(block, bytes.fromhex(answer["transactionHash"][2:]))
        assert (proof.index, open_receipt(proof, block.hash)[1].succeeded) == (index, True)


@pytest.mark.asyncio
async def test_what_is_not_there_is_no_proof(yard: Yard) -> None:
    tx = await yard.execute()
    block = await yard.mined()

    for place, wanted, problem in (
        (block, b"\7" * 32, "expected a transaction of this block"),
        (replace(block, hash=Digest(b"\7" * 32)), tx, "does not have this block"),
        (await yard.mined(), tx, "expected a transaction of this block"),
    ):
        with pytest.raises(EndpointUnavailable, match=problem):
            await yard.endpoint.receipt_proof(place, wanted)


# ---- endpoints that answer otherwise

Change = Callable[[str, object], object]


class Refusal(Exception):
    """The endpoint answers an error."""


@asynccontextmanager
async def behind(anvil: Anvil, change: Change) -> AsyncIterator[EvmEndpoint]:
    """An endpoint that changes what the chain's node answers."""
    async with aiohttp.ClientSession() as session:

        async def one(request: dict) -> dict:
            async with session.post(anvil.url, json=request) as response:
                answer = await response.json()
            try:
                return {**answer, "result": change(request["method"], answer.get("result"))}
            except Refusal as refusal:
                return {"id": request["id"], "error": {"code": -32601, "message": str(refusal)}}

        async def serve(request: web.Request) -> web.Response:
            asked = await request.json()
            answers = [await one(each) for each in asked] if isinstance(asked, list) else await one(asked)
            return web.json_response(answers)

        application = web.Application()
        application.router.add_post("/", serve)
        runner = web.AppRunner(application)
        await runner.setup()
        site = web.TCPSite(runner, "127.0.0.1", 0)
        await site.start()
        try:
            chain = settings_of(anvil, f"http://127.0.0.1:{runner.addresses[0][1]}/")
            async with open_endpoint(chain, chain.endpoints[0]) as endpoint:
                yield endpoint
        finally:
            await runner.cleanup()


def without_block_receipts(method: str, result: object) -> object:
    if method == "eth_getBlockReceipts":
        raise Refusal("the method does not exist")
    return result


@pytest.mark.asyncio
async def test_an_endpoint_without_block_receipts_is_asked_for_each(yard: Yard) -> None:
    txs = [await yard.idle() for _ in range(130)] + [await yard.execute()]
    block = await yard.mined()

    async with behind(yard.anvil, without_block_receipts) as endpoint:
        proof = await endpoint.receipt_proof(block, txs[-1])

    assert proof == await yard.endpoint.receipt_proof(block, txs[-1])


def altered(method: str, **changes: object) -> Change:
    def change(asked: str, result: object) -> object:
        if asked != method:
            return result
        if isinstance(result, list):
            return [{**result[0], **changes}, *result[1:]]
        return {**result, **changes}

    return change


def cut(asked: str, result: object) -> object:
    return result[:-1] if asked == "eth_getBlockReceipts" else result


def turned(asked: str, result: object) -> object:
    return result[::-1] if asked == "eth_getBlockReceipts" else result


def none(asked: str, result: object) -> object:
    return None if asked == "eth_getBlockReceipts" else result


def refusing_all(asked: str, result: object) -> object:
    if "Receipt" in asked:
        raise Refusal("slow down")
    return result


ODD: dict[str, tuple[Change, str]] = {
    "a header with another field": (
        altered("eth_getBlockByHash", stateRoot="0x" + "11" * 32),
        "the header's form is unknown",
    ),
    "a header with a field left out": (
        altered("eth_getBlockByHash", requestsHash=None),
        "the header's form is unknown",
    ),
    "a header with a field too short": (altered("eth_getBlockByHash", nonce=None), "expected 0x hex"),
    "too many transactions": (
        altered("eth_getBlockByHash", transactions=["0x" + "11" * 32] * 9),
        "expected 9",
    ),
    "a receipt with other gas": (
        altered("eth_getBlockReceipts", cumulativeGasUsed="0x1"),
        "the receipts do not give the block's receipts root",
    ),
    "a receipt of a kind that we do not know": (
        altered("eth_getBlockReceipts", type="0x6a"),
        "the receipts do not give the block's receipts root",
    ),
    "a receipt without logs": (altered("eth_getBlockReceipts", logs=None), "expected an array"),
    "a receipt with a wide kind": (altered("eth_getBlockReceipts", type="0x100"), "expected a hex quantity"),
    "a receipt left out": (cut, "expected 3 receipts, got 2"),
    "receipts in another order": (turned, "the receipts do not give the block's receipts root"),
    "no receipts": (none, "expected an array"),
    "a refusal of everything": (refusing_all, "slow down"),
}


@pytest.mark.asyncio
@pytest.mark.parametrize("name", ODD)
async def test_another_answer_is_no_proof_and_says_why(yard: Yard, name: str) -> None:
    change, problem = ODD[name]
    txs = [await yard.idle(), await yard.idle(), await yard.execute()]
    block = await yard.mined()

    async with behind(yard.anvil, change) as endpoint:
        with pytest.raises(EndpointUnavailable, match=problem):
            await endpoint.receipt_proof(block, txs[-1])


@pytest.mark.asyncio
async def test_a_block_beyond_the_bound_is_not_asked_for_one_by_one(yard: Yard) -> None:
    tx = await yard.execute()
    block = await yard.mined()
    asked: list[str] = []

    def change(method: str, result: object) -> object:
        asked.append(method)
        if method == "eth_getBlockByHash":
            return {**result, "transactions": result["transactions"] * (MAX_TRANSACTIONS + 1)}
        return without_block_receipts(method, result)

    async with behind(yard.anvil, change) as endpoint:
        with pytest.raises(EndpointUnavailable, match=f"at most {MAX_TRANSACTIONS} transactions"):
            await endpoint.receipt_proof(block, tx)
    assert "eth_getTransactionReceipt" not in asked


@pytest.mark.asyncio
async def test_a_liar_about_the_order_of_transactions_proves_another_s_receipt_which_shows_nothing(
    yard: Yard,
) -> None:
    tx = await yard.execute()
    other = await yard.execute(to=yard.stranger)
    block = await yard.mined()

    def change(method: str, result: object) -> object:
        if method != "eth_getBlockByHash":
            return result
        return {**result, "transactions": result["transactions"][::-1]}

    async with behind(yard.anvil, change) as endpoint:
        proof = await endpoint.receipt_proof(block, tx)

    assert proof == await yard.endpoint.receipt_proof(block, other)
    with pytest.raises(ProofError) as caught:
        check_effect(proof, await yard.outcome(block, tx), MANDATE)
    assert caught.value.check in ("receipt-gas", "receipt-gateway")


# ---- forms


@settings(deadline=None, max_examples=40)
@given(st.lists(st.binary(min_size=33, max_size=400), min_size=1, max_size=300))
def test_a_trie_of_ours_is_the_library_s(values: list[bytes]) -> None:
    ours, theirs = ReceiptTrie(values), HexaryTrie({})
    for index, value in enumerate(values):
        theirs[rlp.encode(index)] = value

    assert ours.root == theirs.root_hash
    for index in {0, len(values) // 2, len(values) - 1}:
        assert list(ours.path(index)) == [rlp.encode(node) for node in theirs.get_proof(rlp.encode(index))]


def answer_of(**changes: object) -> dict[str, object]:
    plain = {"status": "0x1", "cumulativeGasUsed": "0x5208", "logsBloom": "0x" + "00" * 256, "logs": []}
    return plain | changes


BLOOM = bytes(256)


@pytest.mark.parametrize(
    ("answer", "expected"),
    [
        (answer_of(), rlp.encode([1, 21_000, BLOOM, []])),
        (answer_of(type="0x0", status="0x0"), rlp.encode([0, 21_000, BLOOM, []])),
        (answer_of(type="0x4"), b"\x04" + rlp.encode([1, 21_000, BLOOM, []])),
        (
            answer_of(status=None, root="0x" + "11" * 32),
            rlp.encode([b"\x11" * 32, 21_000, BLOOM, []]),
        ),
        (
            answer_of(type="0x7e", depositNonce="0x5", depositReceiptVersion="0x1"),
            b"\x7e" + rlp.encode([1, 21_000, BLOOM, [], 5, 1]),
        ),
        (answer_of(type="0x7e", depositNonce="0x5"), b"\x7e" + rlp.encode([1, 21_000, BLOOM, []])),
    ],
)
def test_receipts_of_old_blocks_and_other_chains_have_their_own_form(
    answer: dict[str, object], expected: bytes
) -> None:
    assert receipt_bytes(answer) == expected


FIRST_BLOCK = {
    "difficulty": "0x3ff800000",
    "extraData": "0x476574682f76312e302e302f6c696e75782f676f312e342e32",
    "gasLimit": "0x1388",
    "gasUsed": "0x0",
    "hash": "0x88e96d4537bea4d9c05d12549907b32561d3bf31f45aae734cdc119f13406cb6",
    "miner": "0x05a56e2d52c817161883f50c441c3228cfe54d9f",
    "mixHash": "0x969b900de27b6ac6a67742365dd65f55a0526c41fd18e1b16f1a1215c2e66f59",
    "nonce": "0x539bd4979fef1ec4",
    "number": "0x1",
    "logsBloom": "0x" + "00" * 256,
    "parentHash": "0xd4e56740f876aef8c010b86a40d5f56745a118d0906a34e69aec8c0db1cb8fa3",
    "receiptsRoot": "0x56e81f171bcc55a6ff8345e692c0f86e5b48e01b996cadc001622fb5e363b421",
    "sha3Uncles": "0x1dcc4de8dec75d7aab85b567b6ccd41ad312451b948a7413f0a142fd40d49347",
    "stateRoot": "0xd67e4d450343046425ae4271474353857ab860dbc0a1dde64b41b5cd3a532bf3",
    "timestamp": "0x55ba4224",
    "transactions": [],
    "transactionsRoot": "0x56e81f171bcc55a6ff8345e692c0f86e5b48e01b996cadc001622fb5e363b421",
}


def test_a_header_of_the_first_fork_is_made_again() -> None:
    # Block 1 of Ethereum: fifteen fields.
    hash_ = Digest(bytes.fromhex("88e96d4537bea4d9c05d12549907b32561d3bf31f45aae734cdc119f13406cb6"))
    ref = BlockRef(Caip2("eip155:1"), hash_, 1, 1_438_269_988)

    assert len(rlp.decode(read_block(ref, FIRST_BLOCK).header)) == 15


def test_an_auditor_looks_for_the_events_that_a_node_reads() -> None:
    read = (gateway_events.STARTED, gateway_events.EXTENDED, gateway_events.NOOP, gateway_events.ENDED)

    assert read == (ACT_STARTED, ACT_EXTENDED, ACT_NOOP, ACT_ENDED)
    assert set(ENDINGS) == {how.value for how in EndedHow}


def test_they_are_the_events_of_the_committed_gateway() -> None:
    path = Path(gateway_events.__file__).parent / "artifacts" / "TocsinGateway.json"
    events = {
        entry["name"]: f"{entry['name']}({','.join(field['type'] for field in entry['inputs'])})"
        for entry in json.loads(path.read_text())["abi"]
        if entry["type"] == "event"
    }

    for name, topic in (
        ("ActStarted", ACT_STARTED),
        ("ActExtended", ACT_EXTENDED),
        ("ActNoop", ACT_NOOP),
        ("ActEnded", ACT_ENDED),
    ):
        assert keccak256(events[name].encode()) == topic
