"""What the code does not show: a constructor of another's that left more in storage than ours would."""

import pytest

from adapters.evm.office import fields
from adapters.evm.office.contract import gateway as gateway_build
from adapters.evm.office.contract import verifier as verifier_build
from adapters.evm.office.verifier import epoch_slot
from tests.adapters.evm.office.bench import HOUR, Bench
from tests.adapters.evm.office.test_survey import rotate

FOR_EVER = (1 << 40) - 1


async def plant(
    bench: Bench, epoch: int, attesters: str, *, valid_from: int = 0, valid_until: int = FOR_EVER
) -> None:
    """Write a key epoch as mallory's constructor could: the code of `attesters` lists them."""
    word = int(attesters, 16) | 2 << 160 | 3 << 168 | valid_from << 176 | valid_until << 216
    slot = f"0x{epoch_slot(epoch):064x}"
    await bench.anvil.rpc("anvil_setStorageAt", bench.verifier, slot, f"0x{word:064x}")
    await bench.anvil.mine()


async def attesters_of(bench: Bench, epoch: int = 1) -> str:
    """The account that holds the attesters of an epoch."""
    function = verifier_build().functions["epochKeys"]
    question = {"to": bench.verifier, "data": "0x" + function.call(epoch).hex()}
    answer = function.answer(bytes.fromhex(str(await bench.anvil.rpc("eth_call", question, "latest"))[2:]))
    assert answer is not None
    return fields.text(fields.struct(answer, "keys"), "attesters")


@pytest.mark.asyncio
async def test_a_verifier_of_our_own_constructor_holds_nothing_but_its_key_epochs(office_bench):
    fresh = (await office_bench.survey()).verifier
    await rotate(office_bench)
    rotated = (await office_bench.survey()).verifier

    assert fresh.is_complete is True
    assert rotated.pending is not None
    assert rotated.is_complete is True


@pytest.mark.asyncio
@pytest.mark.parametrize("epoch", [0, 3, 77, (1 << 32) - 1])
async def test_a_key_epoch_that_nobody_asks_for_is_found(office_bench, epoch):
    """The verifier's code is ours, and accepts mallory's certificates of that epoch."""
    await plant(office_bench, epoch, await attesters_of(office_bench))

    verifier = (await office_bench.survey()).verifier

    assert (verifier.code.is_ours, verifier.code.is_rebuilt) == (True, True)
    assert verifier.is_complete is (verifier.previous is not None)
    assert (verifier.previous is not None) == (epoch == 0)


@pytest.mark.asyncio
async def test_an_epoch_long_ago_that_becomes_valid_some_day_is_found(office_bench):
    await rotate(office_bench)
    await office_bench.pass_time(40 * HOUR)
    kept = await attesters_of(office_bench)
    assert (await office_bench.survey()).verifier.is_complete is True

    await plant(office_bench, 0, kept, valid_from=await office_bench.now() + HOUR)

    verifier = (await office_bench.survey()).verifier
    assert (verifier.current.epoch, verifier.previous, verifier.is_complete) == (2, None, False)


@pytest.mark.asyncio
async def test_attesters_that_are_kept_in_code_that_runs_are_found(office_bench):
    """Code that runs can destroy itself, and other attesters be put in its place."""
    kept = await attesters_of(office_bench)
    code = str(await office_bench.anvil.rpc("eth_getCode", kept, "latest"))
    assert (await office_bench.survey()).verifier.is_complete is True

    await office_bench.anvil.rpc("anvil_setCode", kept, "0x33" + code[4:])
    await office_bench.anvil.mine()

    verifier = (await office_bench.survey()).verifier
    assert (len(verifier.current.attesters), verifier.is_complete) == (4, False)


@pytest.mark.asyncio
async def test_an_announcement_too_long_to_read_is_listed_all_the_same(office_bench):
    """Bytes after the arguments change nothing for the gateway."""
    plan = office_bench.plan()
    await office_bench.install(plan)
    act = plan.acts["halt-replica"]
    values = (office_bench.encoded(plan).act_id, office_bench.encoded(plan).registration, 1, 8 * HOUR)
    functions = gateway_build().functions
    longer = functions["registerAct"].call(*values) + bytes(70_000)
    assert (await office_bench.survey()).scheduled == ()
    assert act.lasts_s < 8 * HOUR

    await office_bench.send(functions["schedule"].call(longer))

    (listed,) = (await office_bench.survey()).scheduled
    assert listed.change is None


@pytest.mark.asyncio
async def test_an_announcement_older_than_what_is_looked_at_is_not_denied(office_bench, monkeypatch):
    plan = office_bench.plan()
    await office_bench.install(plan)
    assert (await office_bench.survey()).is_all_scheduled is True
    monkeypatch.setattr("adapters.evm.office.announced.MAX_RANGES", 1)
    await office_bench.anvil.mine(timestamp=await office_bench.now() + 1)
    settings = office_bench.settings

    for _ in range(settings.log_range + 1):
        await office_bench.anvil.mine(timestamp=await office_bench.now() + 1)

    report = await office_bench.survey()
    assert (report.scheduled, report.is_all_scheduled) == ((), False)
