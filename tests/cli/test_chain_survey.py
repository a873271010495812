"""`tocsin chain add` and `check` on a real chain: what is asked, what is written, what is left alone."""

from __future__ import annotations

import asyncio
import itertools
import stat
from collections.abc import AsyncIterator
from pathlib import Path

import pytest
import pytest_asyncio

from adapters.evm import adapter
from adapters.evm.devchain import Anvil, AnvilSettings, start_anvil
from adapters.evm.proxy import Mode, ProxySettings, RpcProxy, start_proxy
from relay.cli.settings import Answer
from relay.config import (
    ChainTemplate,
    EndpointTemplate,
    NewEndpoint,
    NodeDirectory,
    NodeTemplate,
    add_chain,
    load_node,
    plan_addition,
    render_node,
)
from relay.core.errors import ConfigError
from relay.core.ports import EndpointAddress
from tests.cli.calls import Said, tocsin

CHAIN_IDS = itertools.count(930_001)
FIRST = ChainTemplate(
    "eip155:1",
    (EndpointTemplate("one", url="http://127.0.0.1:1"), EndpointTemplate("two", url="http://127.0.0.1:2")),
)


async def said(*arguments: object) -> Said:
    """A command, which has an event loop of its own."""
    return await asyncio.to_thread(tocsin, *arguments)


@pytest_asyncio.fixture
async def anvil() -> AsyncIterator[Anvil]:
    async with start_anvil(AnvilSettings(next(CHAIN_IDS))) as running:
        await running.mine(120)
        yield running


@pytest_asyncio.fixture
async def proxy(anvil: Anvil) -> AsyncIterator[RpcProxy]:
    async with start_proxy(ProxySettings(anvil.url)) as running:
        yield running


@pytest.fixture
def node(home: Path) -> NodeDirectory:
    directory = NodeDirectory(home, "acme")
    directory.create()
    directory.node_file.write_text(render_node(NodeTemplate("acme", "/ip4/127.0.0.1/tcp/4001", (FIRST,))))
    directory.node_file.chmod(0o600)
    return directory


def rpc(anvil: Anvil, proxy: RpcProxy) -> tuple[str, ...]:
    return "--rpc", f"own={anvil.url}", "--rpc", f"acme={proxy.url}"


@pytest.mark.asyncio
async def test_a_chain_is_added_at_the_end_and_nothing_else_changes(
    node: NodeDirectory, anvil: Anvil, proxy: RpcProxy
) -> None:
    before = node.node_file.read_text() + "# a note of the operator's\n"
    node.node_file.write_text(before)

    added = await said("chain", "add", anvil.chain, *rpc(anvil, proxy), "--yes", "--json")

    assert (added.code, added.document["written"]) == (Answer.YES, True)
    assert node.node_file.read_text().startswith(before)
    chain = load_node(node.node_file).chains[-1]
    assert (chain.chain, chain.need, chain.finality, chain.log_range) == (anvil.chain, 2, "finalized", 100)
    assert [endpoint.operator for endpoint in chain.endpoints] == ["own", "acme"]
    assert chain.endpoints[0].websocket_url == anvil.websocket_url
    assert stat.S_IMODE(node.node_file.stat().st_mode) == 0o600


@pytest.mark.asyncio
async def test_without_a_yes_nothing_is_written(node: NodeDirectory, anvil: Anvil, proxy: RpcProxy) -> None:
    before = node.node_file.read_text()

    shown = await said("chain", "add", anvil.chain, *rpc(anvil, proxy))

    assert shown.code == Answer.NO
    assert f'+chain = "{anvil.chain}"' in shown.out
    assert "anvil/v" in shown.out
    assert "not added" in shown.out
    assert node.node_file.read_text() == before


@pytest.mark.asyncio
async def test_what_was_added_is_found_in_order(node: NodeDirectory, anvil: Anvil, proxy: RpcProxy) -> None:
    await said("chain", "add", anvil.chain, *rpc(anvil, proxy), "--yes")

    well = await said("chain", "check", anvil.chain, "--json")
    text = node.node_file.read_text().replace('fees = "eip1559"', 'fees = "legacy"')
    node.node_file.write_text(text)
    wrong = await said("chain", "check", anvil.chain)

    assert well.code == Answer.YES, well.out
    assert wrong.code == Answer.NO
    assert 'try: set `fees = "eip1559"`' in wrong.out


@pytest.mark.asyncio
async def test_another_chain_is_exit_code_1_and_silence_is_3(
    node: NodeDirectory, anvil: Anvil, proxy: RpcProxy
) -> None:
    before = node.node_file.read_text()
    proxy.mode = Mode.WRONG_CHAIN
    wrong = await said("chain", "add", anvil.chain, *rpc(anvil, proxy), "--yes")
    proxy.mode = Mode.REFUSE
    silent = await said("chain", "add", anvil.chain, *rpc(anvil, proxy), "--yes")
    checked = await said("chain", "check", "eip155:1")

    assert (wrong.code, silent.code, checked.code) == (Answer.NO, Answer.UNKNOWN, Answer.UNKNOWN)
    assert f"serves eip155:{anvil.chain_id + 1}, expected {anvil.chain}" in wrong.out
    assert node.node_file.read_text() == before


@pytest.mark.asyncio
@pytest.mark.parametrize(
    ("arguments", "words"),
    [
        (("add", "eip155:1", "--rpc", "a=http://127.0.0.1:1"), "expected a chain that is not there yet"),
        (("add", "main", "--rpc", "a=http://127.0.0.1:1"), "expected a CAIP-2 name"),
        (("add", "eip155:2", "--rpc", "http://127.0.0.1:1"), "expected OPERATOR=URL"),
        (("add", "eip155:2", "--rpc", "a=nonsense-with-key"), "expected http://host"),
        (
            ("add", "eip155:2", "--rpc", "a=http://127.0.0.1:1", "--ws", "b=ws://127.0.0.1:1"),
            "of --rpc, got b",
        ),
        (("add", "solana:1", "--rpc", "a=http://127.0.0.1:1"), "no adapter for namespace"),
        (("check", "eip155:2"), "expected a chain of node.toml"),
    ],
)
async def test_what_cannot_be_is_refused_before_anybody_is_asked(
    node: NodeDirectory, arguments: tuple[str, ...], words: str
) -> None:
    refused = await said("chain", *arguments, "--yes")

    assert refused.code == Answer.USAGE
    assert words in refused.err
    assert "nonsense-with-key" not in refused.err


def test_an_address_with_a_key_goes_to_a_private_file(node: NodeDirectory) -> None:
    url, socket = "https://rpc.example/v1/secret-key", "wss://rpc.example/v1/secret-key"
    template = ChainTemplate("eip155:10", (), need=2, finality="safe")
    endpoints = [NewEndpoint("Acme & Sons", url, socket), NewEndpoint("own", "http://127.0.0.1:8545")]

    add_chain(node, plan_addition(node, template, endpoints))

    chain = load_node(node.node_file).chains[-1]
    assert (chain.endpoints[0].url, chain.endpoints[0].websocket_url) == (url, socket)
    assert "secret-key" not in node.node_file.read_text()
    file = node.rpc_secrets / "eip155-10-acme-sons.url"
    assert stat.S_IMODE(file.stat().st_mode) == 0o600


def test_an_addition_that_would_be_refused_leaves_no_file(node: NodeDirectory) -> None:
    before = sorted(node.rpc_secrets.iterdir()), node.node_file.read_text()
    template = ChainTemplate("eip155:10", (), need=1)
    addition = plan_addition(node, template, [NewEndpoint("acme", "https://rpc.example/key")])

    with pytest.raises(ConfigError, match="at least 2"):
        add_chain(node, addition)

    assert (sorted(node.rpc_secrets.iterdir()), node.node_file.read_text()) == before
    assert not list(node.path.glob(".node*"))


def test_a_file_that_changed_meanwhile_is_left_alone(node: NodeDirectory) -> None:
    endpoints = [NewEndpoint(name, f"http://127.0.0.1:{port}") for port, name in ((5, "a"), (6, "b"))]
    addition = plan_addition(node, ChainTemplate("eip155:10", (), need=2), endpoints)
    node.node_file.write_text(node.node_file.read_text() + "# edited\n")

    with pytest.raises(ConfigError, match="expected the file as it was read"):
        add_chain(node, addition)

    assert node.node_file.read_text().endswith("# edited\n")


@pytest.mark.asyncio
async def test_a_survey_asks_a_bounded_number_of_reads(anvil: Anvil, proxy: RpcProxy) -> None:
    await anvil.rpc("anvil_mine", hex(400), hex(5))

    survey = await adapter().survey(anvil.chain, EndpointAddress("acme", proxy.url), 5_000)

    assert survey.problem == ""
    assert (survey.log_range, survey.log_range_is_bound, survey.batch) == (500, False, 100)
    assert (survey.fees, survey.simulation, survey.subscribes) == ("eip1559", "blocks", None)
    assert 5_000 <= survey.block_time_ms < 5_100
    assert dict(survey.finality) == {"finalized": 64, "safe": 32}
    assert survey.requests <= 20
