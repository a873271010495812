"""Every kind of state that a plan reads, from a real chain at one block; equal requests are asked once."""

from dataclasses import replace

import pytest
from eth_abi import encode

from adapters.evm import adapter
from adapters.evm.abi import selector
from adapters.evm.rpc import RpcError
from adapters.evm.state import compile_state, state_values
from proofs.hashes import keccak256
from relay.core.errors import PlanError
from relay.core.observations import ChainQueries, ReadKind, StateRead

CHAIN = "eip155:1"
SOMEBODY = "0x" + "ab" * 20
RESERVE = "getReserve(address) returns ((uint128 liquidityIndex, (uint256 debt) totals)[] reserves)"
MARKET = (
    "getMarket() returns (uint256 version, (string name, (uint128 index, (uint256 debt) totals)[] reserves,"
    " int32[2] bounds, address[] owners) market)"
)
SLOT = "0x" + bytes(31).hex() + "01"


async def send(bench, signature, *values):
    name, _, types = signature[:-1].partition("(")
    kinds = tuple(types.split(","))
    await bench.anvil.send(bench.account, bench.probe, selector(name, kinds) + encode(kinds, values))


def probe_read(bench, kind=ReadKind.CALL, **parts):
    return StateRead(bench.anvil.chain, kind, bench.probe, **parts)


def queries(bench, *reads):
    calls = tuple(query for read in reads for query in adapter().state_queries(read))
    return ChainQueries(bench.anvil.chain, calls=calls)


async def values(bench, asked, header=None):
    (reads,) = await bench.endpoint.observe([header or await bench.endpoint.head()], asked)
    return [each.value if each.fault is None else each.fault for each in reads.calls]


@pytest.mark.asyncio
async def test_a_path_leads_through_tuples_and_lists_of_a_contract_s_answer(bench):
    await send(bench, "addReserve(uint128,uint256)", 10, 1_000)
    await send(bench, "addReserve(uint128,uint256)", 20, 2_000)
    await bench.anvil.mine()
    asked = queries(
        bench,
        *(
            probe_read(bench, call=RESERVE, args=(SOMEBODY,), path=path)
            for path in ("reserves[1].totals.debt", "reserves[2].totals.debt", "reserves.length")
        ),
        *(
            probe_read(bench, call=MARKET, path=path)
            for path in ("market.reserves[0].index", "market.bounds[0]", "market.owners[1]", "version")
        ),
        probe_read(bench, call="interfaceId() returns (bytes4)"),
        probe_read(bench, call="reverting() returns ((uint256 a)[] b)", path="b[0].a"),
        probe_read(bench, call="nothing() returns (uint256[] a)", path="a.length"),
        probe_read(bench, call="short() returns (uint256[] a)", path="a.length"),
        probe_read(bench, call="cap() returns (uint256[] a)", path="a.length"),
    )

    assert await values(bench, asked) == [
        *(2_000, "index out of range", 2),
        *(10, -7, 0xB0B, 3),
        0x01FFC9A7,
        *("call failed", "empty answer", "answer not decodable", "answer not decodable"),
    ]


@pytest.mark.asyncio
async def test_storage_balances_supply_and_code_are_read_as_they_stand(bench):
    await send(bench, "mint(address,uint256)", SOMEBODY, 77)
    await bench.anvil.rpc("anvil_setBalance", SOMEBODY, hex(5 * 10**18))
    await bench.anvil.mine()
    code = bytes.fromhex((await bench.anvil.rpc("eth_getCode", bench.probe, "latest"))[2:])
    holder = replace(probe_read(bench, ReadKind.BALANCE), address=SOMEBODY)
    asked = queries(
        bench,
        probe_read(bench, ReadKind.STORAGE, slot="0x" + bytes(32).hex()),
        probe_read(bench, ReadKind.STORAGE, slot=SLOT, offset=1, size=8),
        probe_read(bench, ReadKind.STORAGE, slot=SLOT, size=1),
        holder,
        replace(holder, token=bench.probe),
        probe_read(bench, ReadKind.SUPPLY),
        probe_read(bench, ReadKind.CODE_HASH),
        replace(probe_read(bench, ReadKind.CODE_HASH), address=SOMEBODY),
        replace(probe_read(bench, ReadKind.SUPPLY), address=SOMEBODY),
        replace(probe_read(bench, ReadKind.STORAGE, slot=SLOT), address=SOMEBODY),
    )

    assert await values(bench, asked) == [
        *(7, 2**64 - 5, 0),
        *(5 * 10**18, 77, 77),
        *(int.from_bytes(keccak256(code), "big"), int.from_bytes(keccak256(b""), "big")),
        *("empty answer", 0),
    ]


@pytest.mark.asyncio
async def test_an_oracle_gives_its_price_and_when_it_was_set_or_fails_at_both(bench):
    asked = queries(bench, probe_read(bench, ReadKind.ORACLE))
    assert await values(bench, asked) == [10**8, 1_500_000_000]

    await send(bench, "setPrice(int256,uint256)", -3, 0)
    await bench.anvil.mine()

    assert await values(bench, asked) == ["call failed", "call failed"]


@pytest.mark.asyncio
async def test_every_kind_is_read_at_the_block_asked_for_alone_and_in_a_row(bench):
    before = await bench.endpoint.head()
    asked = queries(
        bench,
        probe_read(bench, ReadKind.STORAGE, slot="0x" + bytes(32).hex()),
        probe_read(bench, ReadKind.SUPPLY),
        replace(probe_read(bench, ReadKind.BALANCE), address=SOMEBODY),
        replace(probe_read(bench, ReadKind.CODE_HASH), address=SOMEBODY),
        probe_read(bench, call=RESERVE, args=(SOMEBODY,), path="reserves[0].liquidityIndex"),
    )
    old = await values(bench, asked)
    await send(bench, "setCap(uint256)", 9)
    await send(bench, "mint(address,uint256)", SOMEBODY, 5)
    await send(bench, "addReserve(uint128,uint256)", 6, 7)
    await bench.anvil.mine()  # what the development chain sets by itself, it sets in its newest block
    await bench.anvil.rpc("anvil_setBalance", SOMEBODY, "0x8")
    await bench.anvil.rpc("anvil_setCode", SOMEBODY, "0x00")
    await bench.anvil.mine()

    new = await values(bench, asked)

    assert new == [9, 5, 8, int.from_bytes(keccak256(b"\x00"), "big"), 6]
    assert await values(bench, asked, before) == old
    headers = await bench.endpoint.headers(before.block.number, before.block.number + 2)
    row = await bench.endpoint.observe(headers, asked)
    found = [
        [each.value if each.fault is None else each.fault for each in reads.calls]
        for reads in (row[0], row[2])
    ]
    assert found == [old, new]


# ---- how many requests


def test_a_block_costs_one_request_for_each_different_read_whoever_wants_it():
    make = adapter()
    call = StateRead(CHAIN, ReadKind.CALL, SOMEBODY, MARKET, path="version")
    slot = StateRead(CHAIN, ReadKind.STORAGE, SOMEBODY, slot=SLOT)
    reads = [
        call,
        replace(call, path="market.bounds[1]"),
        replace(call, path="", word=0),
        replace(slot, size=1),
        replace(slot, offset=1, size=8),
        replace(slot, slot="0x" + "00" * 32),
        StateRead(CHAIN, ReadKind.ORACLE, SOMEBODY),
        StateRead(CHAIN, ReadKind.BALANCE, SOMEBODY),
        StateRead(CHAIN, ReadKind.CODE_HASH, SOMEBODY),
        StateRead(CHAIN, ReadKind.CODE_HASH, "0x" + "AB" * 20),
    ]
    asked = tuple(query for read in reads for query in make.state_queries(read))
    event, _ = make.event_query(CHAIN, SOMEBODY, "E(uint256 a)")

    cost = make.block_requests(ChainQueries(CHAIN, (event,), asked))

    assert cost == {
        "eth_getBlockByNumber": 1,
        "eth_getLogs": 1,
        "eth_call": 2,
        "eth_getStorageAt": 2,
        "eth_getBalance": 1,
        "eth_getCode": 1,
    }
    assert make.block_requests(ChainQueries(CHAIN)) == {"eth_getBlockByNumber": 1}


def test_a_token_s_balance_is_the_call_that_a_plan_could_have_written():
    make = adapter()
    token = "0x" + "cd" * 20
    written = StateRead(CHAIN, ReadKind.CALL, token, "balanceOf(address who)", (SOMEBODY,))

    balance = make.state_queries(StateRead(CHAIN, ReadKind.BALANCE, SOMEBODY, token=token))

    assert balance == make.state_queries(written)


# ---- what is refused


STORAGE = StateRead(CHAIN, ReadKind.STORAGE, SOMEBODY, slot=SLOT)
REFUSED = {
    "slot": replace(STORAGE, slot="0x1"),
    "offset": replace(STORAGE, offset=1),
    "of": StateRead(CHAIN, ReadKind.BALANCE, "0x12"),
    "token": StateRead(CHAIN, ReadKind.BALANCE, SOMEBODY, token="USDC"),
    "from": StateRead(CHAIN, ReadKind.ORACLE, "0x" + "00" * 20),
    "path": StateRead(CHAIN, ReadKind.CALL, SOMEBODY, "f() returns ((uint256 debt)[] r)", path="r.debt"),
}


@pytest.mark.parametrize("key", REFUSED)
def test_a_wrong_reading_is_refused_by_its_key(key):
    with pytest.raises(PlanError) as caught:
        adapter().state_queries(REFUSED[key])

    assert caught.value.where == key


@pytest.mark.parametrize(("offset", "size"), [(-1, 1), (0, 0), (0, 33), (32, 1), (31, 2)])
def test_bytes_outside_of_a_slot_are_refused(offset, size):
    with pytest.raises(PlanError):
        adapter().state_queries(replace(STORAGE, offset=offset, size=size))


# ---- an endpoint that errs


@pytest.mark.parametrize("kind", [ReadKind.STORAGE, ReadKind.BALANCE, ReadKind.CODE_HASH])
@pytest.mark.parametrize(
    "reply",
    [
        RpcError(3, "execution reverted"),
        RpcError(-32000, "header not found"),
        None,
        "0xzz",
        7,
    ],
)
def test_an_endpoint_s_error_or_nonsense_is_no_fact_of_a_contract(kind, reply):
    state = compile_state(adapter().state_queries(replace(STORAGE, kind=kind)))

    with pytest.raises(ValueError, match=r"eth_|expected|hex|base 16"):
        state_values(state, [reply])


def test_a_call_that_reverts_is_a_fact_for_every_number_that_was_wanted_of_it():
    make = adapter()
    oracle = make.state_queries(StateRead(CHAIN, ReadKind.ORACLE, SOMEBODY))

    found = state_values(compile_state(oracle), [RpcError(3, "execution reverted")])

    assert [(each.query, each.fault) for each in found] == [(0, "call failed"), (1, "call failed")]
