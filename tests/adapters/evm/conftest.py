"""A real chain with real contracts: anvil, and the contracts of `contracts/` compiled once a run."""

import itertools
import json
import subprocess
from collections.abc import AsyncIterator
from dataclasses import dataclass
from pathlib import Path

import pytest
import pytest_asyncio

from adapters.evm.devchain import Anvil, AnvilSettings, start_anvil
from adapters.evm.endpoint import EvmEndpoint, open_endpoint
from relay.core.ports import ChainSettings, EndpointAddress

HERE = Path(__file__).parent / "contracts"
SOLC = Path(__file__).parents[3] / "adapters" / "evm" / "tools" / "solc"
CHAIN_IDS = itertools.count(910_001)


@pytest.fixture(scope="session")
def contracts() -> dict[str, bytes]:
    """Creation code by contract name."""
    names = sorted(path.name for path in HERE.glob("*.sol"))
    request = {
        "language": "Solidity",
        "sources": {name: {"content": (HERE / name).read_text()} for name in names},
        "settings": {"outputSelection": {"*": {"*": ["evm.bytecode.object"]}}},
    }
    command = [SOLC, "--standard-json"]
    done = subprocess.run(command, input=json.dumps(request), capture_output=True, text=True, check=True)
    output = json.loads(done.stdout)
    errors = [entry["formattedMessage"] for entry in output.get("errors", ()) if entry["severity"] == "error"]
    assert not errors, errors
    return {
        contract: bytes.fromhex(built["evm"]["bytecode"]["object"])
        for unit in output["contracts"].values()
        for contract, built in unit.items()
    }


@dataclass
class Bench:
    """One chain, an endpoint on it, an account, and the two test contracts."""

    anvil: Anvil
    settings: ChainSettings
    endpoint: EvmEndpoint
    account: str
    probe: str
    gateway: str


def settings_of(anvil: Anvil, url: str | None = None, **changes: object) -> ChainSettings:
    endpoint = EndpointAddress("alice-rpc", url or anvil.url, anvil.websocket_url)
    return ChainSettings(anvil.chain, (endpoint,), need=1, finality="depth:2", **changes)


@pytest_asyncio.fixture
async def bench(contracts: dict[str, bytes]) -> AsyncIterator[Bench]:
    async with start_anvil(AnvilSettings(next(CHAIN_IDS), timestamp=1_600_000_000)) as anvil:
        settings = settings_of(anvil)
        async with open_endpoint(settings, settings.endpoints[0]) as endpoint:
            account = (await anvil.accounts())[0]
            probe = await anvil.deploy(account, contracts["Probe"])
            gateway = await anvil.deploy(account, contracts["FakeGateway"])
            yield Bench(anvil, settings, endpoint, account, probe, gateway)
