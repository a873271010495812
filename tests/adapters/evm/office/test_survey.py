"""What a deployed gateway says of itself at one block, read from a real chain; and what strangers say."""

import json
import random
from dataclasses import replace

import pytest
import pytest_asyncio
from aiohttp import web
from eth_abi import encode

from adapters.evm.abi import selector
from adapters.evm.office import EvmOffice
from adapters.evm.office.code import fixed_places
from adapters.evm.office.contract import gateway as gateway_build
from adapters.evm.office.contract import verifier as verifier_build
from adapters.evm.rotations import NO_GROUPS, groups_hash
from proofs.hashes import keccak256
from proofs.mandate import Tier
from relay.core.errors import EndpointUnavailable
from relay.core.gateway_report import (
    BudgetReport,
    GatewayReport,
    NoGateway,
    PlansReport,
    ScheduledAct,
    UndoKind,
)
from relay.core.office import Announce, RegisterAct, RevokeAct, SetBudget, SetPlan
from relay.core.ports import ChainSettings, EndpointAddress
from relay.core.types import BlockRef, Header
from tests.adapters.evm.office.bench import (
    ATTESTERS,
    BUDGET,
    DAY,
    HOUR,
    NOTICE_S,
    OVERLAP_S,
    ROTATION_DELAY_S,
    SKEW_S,
    WINDOW_S,
    address_of,
    certificate,
    committee,
)

NOBODY = "0x" + "00" * 20


@pytest.mark.asyncio
async def test_a_fresh_gateway_says_what_it_was_deployed_with(office_bench):
    report = await office_bench.survey()

    assert isinstance(report, GatewayReport), report
    assert report.gateway.lower() == office_bench.gateway
    assert report.owner.lower() == report.guardian.lower() == office_bench.owner
    assert report.network == committee().network
    assert (report.skew_s, report.weakening_delay_s, report.window_s) == (SKEW_S, NOTICE_S, WINDOW_S)
    assert report.budget == report.left == BUDGET
    assert (report.is_sealed, report.is_paused, report.refused_from) == (False, False, None)
    assert (report.acts, report.scheduled, report.pending_owner) == ((), (), None)
    assert report.plans == PlansReport(bytes(32), bytes(32), 0)
    assert (report.code.is_ours, report.code.is_rebuilt) == (True, True)
    verifier = report.verifier
    assert (verifier.code.is_ours, verifier.code.is_rebuilt) == (True, True)
    assert (verifier.rotation_delay_s, verifier.overlap_s) == (ROTATION_DELAY_S, OVERLAP_S)
    assert [a.lower() for a in verifier.current.attesters] == sorted(
        "0x" + address_of(key).hex() for key in ATTESTERS
    )
    assert (verifier.current.epoch, verifier.current.fast, verifier.current.full) == (1, 2, 3)
    assert (verifier.previous, verifier.pending) == (None, None)


@pytest.mark.asyncio
async def test_acts_states_records_and_what_is_booked_are_read_at_one_block(office_bench):
    plan = office_bench.plan()
    await office_bench.install(plan)
    (before,) = (await office_bench.survey()).acts

    await office_bench.protect(plan)
    report = await office_bench.survey()

    (act,) = report.acts
    encoded = office_bench.encoded(plan)
    assert (act.act_id, act.act_hash) == (encoded.act_id, encoded.act_hash)
    assert (act.tier, act.duration_s, act.is_on) == (1, 6 * HOUR, True)
    assert (act.terms.call, act.terms.state, act.terms.undo_call) == ("pause()", "paused()", "unpause()")
    assert act.terms.undo is UndoKind.CALL
    assert (before.state.value, before.state.is_protected, before.record.is_open) == (0, False, False)
    assert (act.state.value, act.state.is_protected, act.state.is_ours) == (1, True, True)
    assert act.record.is_open
    assert act.record.until - act.record.last == HOUR
    assert report.is_sealed
    assert report.plans.current == plan.hash
    booked = sum(each.fast_s for each in report.booked)
    assert booked == act.record.until - act.record.since
    assert report.left == BudgetReport(DAY - booked, BUDGET.all_s - booked, 2)


@pytest.mark.asyncio
async def test_an_act_that_was_revoked_with_an_open_record_is_still_shown_where_it_is_known(
    office_bench,
):
    plan = office_bench.plan()
    await office_bench.install(plan)
    await office_bench.protect(plan)
    act_id = office_bench.encoded(plan).act_id

    await office_bench.make(RevokeAct(act_id))

    assert (await office_bench.survey()).acts == ()
    (act,) = (await office_bench.survey([act_id])).acts
    assert (act.is_on, act.record.is_open, act.terms.call) == (False, True, "pause()")
    assert act.act_hash == office_bench.encoded(plan).act_hash


@pytest.mark.asyncio
async def test_announced_changes_are_listed_until_they_are_made_cancelled_or_lapsed(office_bench):
    plan = office_bench.plan()
    await office_bench.install(plan)
    longer = RegisterAct(office_bench.encoded(plan), Tier.FAST, 8 * HOUR)
    budget = SetBudget(replace(BUDGET, fast_s=2 * DAY))
    await office_bench.make(Announce(longer))
    announced_at = await office_bench.now()
    await office_bench.make(Announce(budget))
    office = EvmOffice()

    listed = (await office_bench.survey()).scheduled

    by_id = {each.id: each for each in listed}
    act = by_id[office.owner_call(office_bench.chain, office_bench.place, longer).id]
    assert isinstance(act.change, ScheduledAct)
    assert (act.change.act_id, act.change.duration_s) == (longer.encoded.act_id, 8 * HOUR)
    assert act.change.act_hash == longer.encoded.act_hash
    assert act.ready_at == announced_at + NOTICE_S
    assert act.lapses_at == act.ready_at + 14 * DAY
    other = by_id[office.owner_call(office_bench.chain, office_bench.place, budget).id]
    assert other.change == budget.budget

    await office_bench.send(selector("cancel", ["bytes32"]) + other.id)
    assert [each.id for each in (await office_bench.survey()).scheduled] == [act.id]

    await office_bench.pass_time(NOTICE_S + 14 * DAY + 60)
    assert (await office_bench.survey()).scheduled == ()


@pytest.mark.asyncio
async def test_a_change_that_was_made_is_announced_no_longer(office_bench):
    plan = office_bench.plan()
    await office_bench.install(plan)
    budget = SetBudget(replace(BUDGET, fast_s=2 * DAY))
    await office_bench.make(Announce(budget))
    await office_bench.pass_time(NOTICE_S + 1)

    await office_bench.make(budget)

    report = await office_bench.survey()
    assert (report.budget, report.scheduled) == (budget.budget, ())


@pytest.mark.asyncio
async def test_plans_in_force_follow_the_chains_own_clock(office_bench):
    first, second = office_bench.plan(1), office_bench.plan(2)
    await office_bench.install(first)
    until = await office_bench.now() + DAY
    await office_bench.make(SetPlan(PlansReport(first.hash, second.hash, until)))

    assert (await office_bench.survey()).plans == PlansReport(first.hash, second.hash, until)

    await office_bench.pass_time(DAY + 60)
    assert (await office_bench.survey()).plans == PlansReport(second.hash, bytes(32), 0)


@pytest.mark.asyncio
async def test_roles_pause_veto_and_repointing_are_seen(office_bench):
    heir = (await office_bench.anvil.accounts())[1]
    address = bytes(12) + bytes.fromhex(heir[2:])
    await office_bench.send(selector("transferOwnership", ["address"]) + address)
    await office_bench.send(selector("setGuardian", ["address"]) + bytes(32))
    await office_bench.send(selector("pauseGateway", []))
    vetoed = "refuseEpochsFrom" in gateway_build().functions
    if vetoed:
        await office_bench.send(selector("refuseEpochsFrom", ["uint32"]) + (2).to_bytes(32, "big"))
    await office_bench.send(selector("setVerifier", ["address"]) + bytes(32))

    report = await office_bench.survey()

    assert report.pending_owner.lower() == heir
    assert (report.guardian, report.is_paused) == (None, True)
    assert report.refused_from == (2 if vetoed else None)
    assert (report.verifier_address, report.verifier) == (None, None)


@pytest.mark.asyncio
async def test_a_rotation_is_seen_before_it_takes_effect_and_the_old_keys_while_they_last(office_bench):
    await rotate(office_bench)
    pending = (await office_bench.survey()).verifier
    await office_bench.pass_time(ROTATION_DELAY_S + 1)
    rotated = (await office_bench.survey()).verifier
    await office_bench.pass_time(OVERLAP_S + 1)
    alone = (await office_bench.survey()).verifier

    assert (pending.current.epoch, pending.pending.epoch, pending.previous) == (1, 2, None)
    assert len(pending.pending.attesters) == 5
    assert pending.pending.valid_from > 0
    assert (rotated.current.epoch, rotated.previous.epoch, rotated.pending) == (2, 1, None)
    assert (alone.current.epoch, alone.previous, alone.pending) == (2, None, None)


async def rotate(bench):
    """Let a full quorum hand over to five others."""
    rotate = verifier_build().functions["rotate"]
    attesters = [f"0x{number:040x}" for number in range(5, 10)]
    packed = b"".join(bytes.fromhex(each[2:]) for each in attesters)
    now = await bench.now()
    names = [slot.name for slot in rotate.inputs[0].fields]
    values = {
        "network": committee().network, "chainId": bench.anvil.chain_id, "verifier": bench.verifier,
        "newEpoch": 2, "attestersHash": keccak256(packed), "fast": 2, "full": 4, "notBefore": now,
        "notAfter": now + HOUR, "revokePrevious": False, "groupsHash": groups_hash(None),
    }  # fmt: skip
    rotation = tuple(values.get(name, 0) for name in names)
    digest_call = verifier_build().functions["rotationDigest"].call(rotation)
    question = {"to": bench.verifier, "data": "0x" + digest_call.hex()}
    digest = bytes.fromhex(str(await bench.anvil.rpc("eth_call", question, "latest"))[2:])
    await bench.send(rotate.call(rotation, attesters, NO_GROUPS, certificate(digest, 3)), bench.verifier)


# ---- strangers


@pytest.mark.asyncio
async def test_what_is_no_gateway_is_told_apart_from_an_endpoint_that_fails(office_bench):
    empty = await office_bench.survey(gateway="0x" + "77" * 20)
    other = await office_bench.survey(gateway=office_bench.replica)

    assert isinstance(empty, NoGateway)
    assert empty.reason == "there is no contract at this address"
    assert isinstance(other, NoGateway)
    assert other.reason.startswith("it does not answer")


@pytest.mark.asyncio
async def test_one_altered_byte_of_code_is_seen_and_so_is_one_altered_fixed_value(office_bench):
    code = bytes.fromhex(str(await office_bench.anvil.rpc("eth_getCode", office_bench.gateway, "latest"))[2:])
    places = fixed_places(gateway_build().runtime)
    fixed = {position for place in places for position in range(place, place + 32)}
    # The metadata at the end is no code that runs, and is compared all the same.
    at = next(position for position in range(len(code) - 8, 0, -1) if position not in fixed)

    altered = await _survey_with(office_bench, code[:at] + bytes([code[at] ^ 1]) + code[at + 1 :])
    last = places[-1] + 31
    refilled = await _survey_with(office_bench, code[:last] + bytes([code[last] ^ 1]) + code[last + 1 :])

    assert (altered.code.is_ours, altered.code.is_rebuilt) == (False, None)
    assert (refilled.code.is_ours, refilled.code.is_rebuilt) == (True, False)


async def _survey_with(bench, code):
    await bench.anvil.rpc("anvil_setCode", bench.gateway, "0x" + code.hex())
    report = await bench.survey()
    assert isinstance(report, GatewayReport), report
    return report


@pytest_asyncio.fixture
async def stranger():
    """An endpoint whose contract answers every call with `state["answer"]`, as any contract may."""
    state = {"answer": b""}

    def result(call):
        match call["method"]:
            case "eth_getCode":
                return "0x60"
            case "eth_getLogs":
                return state.get("logs", [])
            case "eth_getBlockByNumber":
                return {
                    "number": "0x1", "hash": "0x" + "11" * 32, "parentHash": "0x" + "22" * 32,
                    "timestamp": "0x1",
                }  # fmt: skip
        answer = state["answer"]
        content = answer(call) if callable(answer) else answer
        return "0x" + content.hex()

    async def post(request):
        asked = await request.json()
        replies = [
            {"jsonrpc": "2.0", "id": call["id"], "result": result(call)}
            for call in (asked if isinstance(asked, list) else [asked])
        ]
        return web.Response(text=json.dumps(replies))

    application = web.Application(client_max_size=1 << 24)
    application.router.add_post("/", post)
    runner = web.AppRunner(application)
    await runner.setup()
    site = web.TCPSite(runner, "127.0.0.1", 0)
    await site.start()
    port = site._server.sockets[0].getsockname()[1]
    state["url"] = f"http://127.0.0.1:{port}/"
    yield state
    await runner.cleanup()


async def ask(stranger, chain="eip155:940903"):
    address = EndpointAddress("mallory-rpc", stranger["url"])
    settings = ChainSettings(chain, (address,), need=1)
    at = Header(BlockRef(chain=chain, number=1_000, hash=b"\x11" * 32, timestamp=1_700_000_000), b"\x22" * 32)
    return await EvmOffice().survey(settings, address, at, bytes(12) + b"\x44" * 20, [b"\x01" * 32])


ANSWERS = {
    "nothing": b"",
    "one byte": b"\x01",
    "a word of ones": b"\xff" * 32,
    "zeros": bytes(32),
    "many zeros": bytes(32 * 40),
    "offsets beyond the end": (2**255).to_bytes(32, "big") * 20,
    "an array longer than the world": (32).to_bytes(32, "big") + b"\xff" * 32,
    "an offset to itself": (0).to_bytes(32, "big") * 64,
    "a megabyte": bytes(1 << 20),
}


@pytest.mark.asyncio
@pytest.mark.parametrize("name", list(ANSWERS))
async def test_a_stranger_who_answers_everything_alike_is_no_gateway(stranger, name):
    stranger["answer"] = ANSWERS[name]

    assert isinstance(await ask(stranger), NoGateway)


@pytest.mark.asyncio
async def test_a_stranger_who_answers_like_a_gateway_and_lies_in_every_number_is_only_reported(stranger):
    """Types are kept, all values are extreme; then answers are spoilt at random."""
    functions = gateway_build().functions | verifier_build().functions
    by_selector = {function.selector: function for function in functions.values()}
    seed = random.SystemRandom().getrandbits(32)
    chance = random.Random(seed)

    def answer(call, spoil=0.0):
        if "to" not in call["params"][0]:
            return b"\x60"
        data = bytes.fromhex(call["params"][0]["data"][2:])
        function = by_selector[data[:4]]
        content = encode([slot.type for slot in function.outputs], [_extreme(s) for s in function.outputs])
        if chance.random() >= spoil:
            return content
        spoilt = bytearray(content)
        for _ in range(3):
            spoilt[chance.randrange(len(spoilt))] = chance.randrange(256)
        return bytes(spoilt[: chance.randrange(len(spoilt) + 1)] if chance.random() < 0.3 else spoilt)

    stranger["answer"] = answer
    report = await ask(stranger)
    assert isinstance(report, GatewayReport), (seed, report)
    assert (report.code.is_ours, report.window_s) == (False, (1 << 64) - 1)

    stranger["answer"] = lambda call: answer(call, spoil=0.5)
    for _ in range(40):
        assert isinstance(await ask(stranger), GatewayReport | NoGateway), seed


def _extreme(slot):
    """The largest value of a type; what offsets and lengths stand for stays small."""
    if slot.fields:
        return tuple(_extreme(field) for field in slot.fields)
    if slot.type.endswith("[]"):
        return [_extreme(replace(slot, type=slot.type[:-2]))] * 3
    if slot.type == "address":
        return "0x" + "ff" * 20
    if slot.type == "bool":
        return True
    if slot.type == "bytes":
        return b"\xff" * 8_192
    if slot.type.startswith("bytes"):
        return b"\xff" * int(slot.type[5:])
    return (1 << int(slot.type.removeprefix("uint"))) - 1


@pytest.mark.asyncio
async def test_a_strangers_announcements_count_only_where_the_gateway_confirms_them(stranger):
    scheduled = keccak256(b"ChangeScheduled(bytes32,bytes,uint256)")
    change = b"\x00" * 4
    log = {
        "address": "0x" + "44" * 20, "topics": ["0x" + scheduled.hex(), "0x" + keccak256(change).hex()],
        "data": "0x" + encode(["bytes", "uint256"], [change, 5]).hex(), "blockHash": "0x" + "11" * 32,
        "blockNumber": "0x1", "transactionHash": "0x" + "22" * 32, "logIndex": "0x0",
    }  # fmt: skip
    forged = {**log, "topics": [log["topics"][0], "0x" + "99" * 32]}
    short = {**log, "data": "0x00"}
    stranger["logs"] = [log, forged, short]
    functions = {function.selector: function for function in gateway_build().functions.values()}
    ready = {"at": 1_700_000_100}

    def answer(call):
        data = bytes.fromhex(call["params"][0].get("data", "0x")[2:])
        function = functions.get(data[:4])
        if function is None or "to" not in call["params"][0]:
            return b""
        if function.name == "scheduledAt":
            return ready["at"].to_bytes(32, "big") if data[4:] == keccak256(change) else bytes(32)
        return encode([slot.type for slot in function.outputs], [_extreme(s) for s in function.outputs])

    stranger["answer"] = answer
    (listed,) = (await ask(stranger)).scheduled
    assert (listed.id, listed.ready_at, listed.change) == (keccak256(change), 1_700_000_100, None)

    ready["at"] = 0
    assert (await ask(stranger)).scheduled == ()


@pytest.mark.asyncio
async def test_an_endpoint_that_answers_no_hex_is_unavailable(stranger):
    stranger["answer"] = lambda call: type("Text", (), {"hex": lambda self: "zz"})()

    with pytest.raises(EndpointUnavailable, match="malformed answer"):
        await ask(stranger)
