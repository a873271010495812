"""Anvil and the proxies as the demonstration runs them: on free ports, checked, and gone afterwards."""

import asyncio
import json
import os
import signal
import sys
from pathlib import Path

import aiohttp
import pytest

from adapters.evm import adapter, devchain
from adapters.evm.devchain import AnvilSettings, start_anvil
from adapters.evm.endpoint import open_endpoint
from relay.core.errors import ChainError, ConfigError, WrongChain
from relay.core.observations import ChainQueries, ReadKind, StateRead
from relay.core.ports import ChainSettings, EndpointAddress


@pytest.mark.asyncio
async def test_anvil_starts_with_its_chain_id_and_time_and_ends_with_the_block():
    async with start_anvil(AnvilSettings(950_001, timestamp=1_500_000_000)) as anvil:
        await anvil.mine(timestamp=1_500_000_777)
        block = await anvil.rpc("eth_getBlockByNumber", "latest", False)
        assert int(block["timestamp"], 16) == 1_500_000_777
        with pytest.raises(ChainError, match="no_such_method"):
            await anvil.rpc("no_such_method")

    assert anvil.process.returncode is not None


@pytest.mark.asyncio
async def test_nothing_is_sent_to_a_port_that_serves_another_chain():
    async with start_anvil(AnvilSettings(950_002)) as anvil:
        sender = (await anvil.accounts())[0]
        anvil.chain_id = 950_003
        with pytest.raises(WrongChain, match="serves eip155:950002, expected eip155:950003"):
            await anvil.send(sender, None, b"")
        anvil.chain_id = 950_002
        assert (await anvil.rpc("txpool_status"))["pending"] == "0x0"


@pytest.mark.asyncio
async def test_a_contract_that_does_not_deploy_is_an_error():
    async with start_anvil(AnvilSettings(950_004, automine=True)) as anvil:
        with pytest.raises(ChainError, match="constructor reverted"):
            await anvil.deploy((await anvil.accounts())[0], b"\xfe", gas=100_000)


@pytest.mark.asyncio
async def test_reads_stay_within_the_gas_of_one_transaction_on_the_newest_fork(contracts):
    async with start_anvil(AnvilSettings(950_005, extra=("--hardfork", "osaka"))) as anvil:
        probe = await anvil.deploy((await anvil.accounts())[0], contracts["Probe"], gas=10_000_000)
        settings = ChainSettings(anvil.chain, (EndpointAddress("a", anvil.url),), need=1)
        (query,) = adapter().state_queries(StateRead(anvil.chain, ReadKind.CALL, probe, "cap()"))
        async with open_endpoint(settings, settings.endpoints[0]) as endpoint:
            (reads,) = await endpoint.observe(
                [await endpoint.head()], ChainQueries(anvil.chain, (), (query,))
            )

    assert reads.calls[0].value == 7


def fake_anvil(folder, prints):
    folder.mkdir()
    binary = folder / "anvil"
    binary.write_text(f"#!/bin/sh\necho '{prints}'\n")
    binary.chmod(0o755)
    return binary


@pytest.fixture
def unpackaged(monkeypatch, tmp_path):
    """A machine for which npm has no package; gives a setter of its PATH."""
    monkeypatch.setattr(devchain.platform, "machine", lambda: "riscv64")
    return lambda *folders: monkeypatch.setenv("PATH", os.pathsep.join(map(str, ("", tmp_path, *folders))))


def test_without_a_package_the_anvil_of_the_same_version_in_the_path_is_taken(unpackaged, tmp_path):
    older = fake_anvil(tmp_path / "older", "anvil Version: 1.5.0-stable")
    longer = fake_anvil(tmp_path / "longer", f"anvil Version: {devchain.ANVIL_VERSION}0")
    same = fake_anvil(tmp_path / "same", f"anvil Version: {devchain.ANVIL_VERSION}-stable")
    unpackaged(older.parent, longer.parent, same.parent)

    assert devchain.anvil_binary() == same


def test_a_missing_binary_names_the_package_and_the_version(unpackaged, tmp_path):
    older = fake_anvil(tmp_path / "older", "anvil Version: 1.5.0-stable")
    broken = fake_anvil(tmp_path / "broken", "")
    broken.chmod(0o644)
    unpackaged(older.parent, broken.parent)

    with pytest.raises(
        ConfigError, match=r"expected the npm package @foundry-rs/anvil-.* or anvil 1\..*npm ci"
    ):
        devchain.anvil_binary()


def test_the_version_is_the_one_that_npm_installs():
    locked = json.loads((Path(devchain.__file__).parent / "package.json").read_text())["optionalDependencies"]

    assert {version for name, version in locked.items() if "/anvil-" in name} == {devchain.ANVIL_VERSION}


@pytest.mark.asyncio
async def test_the_proxy_command_prints_its_ports_switches_modes_and_ends_on_a_signal():
    async with start_anvil(AnvilSettings(950_006)) as anvil:
        command = [sys.executable, "-m", "adapters.evm.proxy", "--upstream", anvil.url, "--count", "2"]
        process = await asyncio.create_subprocess_exec(
            *command, stdout=asyncio.subprocess.PIPE, env=os.environ
        )
        try:
            async with asyncio.timeout(20), aiohttp.ClientSession() as session:
                listing = json.loads(await process.stdout.readline())
                first, second = (proxy["url"] for proxy in listing["proxies"])
                ask = {"jsonrpc": "2.0", "id": 1, "method": "eth_chainId", "params": []}

                async def chain_id(url):
                    async with session.post(url, json=ask) as response:
                        return int((await response.json())["result"], 16)

                async with session.post(f"{first}/mode", json={"mode": "wrong-chain"}) as response:
                    assert response.status == 200
                async with session.post(f"{first}/mode", json={"mode": "kind"}) as response:
                    assert response.status == 400
                    assert "honest" in (await response.json())["error"]
                assert await chain_id(first) == 950_007
                assert await chain_id(second) == 950_006
                process.send_signal(signal.SIGTERM)
                assert await process.wait() == 0
        finally:
            await devchain.stop_process(process)
