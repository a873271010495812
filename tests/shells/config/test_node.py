"""node.toml: what it gives, and one refusal for each way to get it wrong."""

from __future__ import annotations

import os
from dataclasses import dataclass
from pathlib import Path

import pytest

from relay.config import (
    ApiSettings,
    ChainTemplate,
    EndpointTemplate,
    Intervals,
    NodeDirectory,
    NodeTemplate,
    PassphraseSource,
    find_directory,
    load_node,
    render_node,
)
from relay.core.errors import ConfigError
from relay.core.ports import ChainSettings, EndpointAddress, FeeKind
from relay.core.types import Caip2

KEY_OF_ALICE = "https://rpc.example/v2/key-of-alice"
GOOD = """\
format = "tocsin/node/1"
plans = "plans"

[network]
name = "acme"

[gossip]
listen = "/ip4/127.0.0.1/tcp/4001"
advertised = ["/dns4/alice.example/tcp/4001"]

[api]
bind = "127.0.0.1:9330"
token_file = "secrets/api.token"

[keys]
passphrase_env = "ALICE_PASSPHRASE"

[journal]
min_free_bytes = 2_000_000_000

[intervals]
heartbeat_ms = 5_000

[[chains]]
chain = "eip155:1"
need = 2
finality = "depth:12"

[[chains.endpoints]]
operator = "one"
url_file = "secrets/rpc/one.url"

[[chains.endpoints]]
operator = "two"
url = "http://127.0.0.1:8545"
websocket_url = "ws://localhost:8545"

[[chains.endpoints]]
operator = "three"
url = "http://[::1]:8546/path"
"""


@dataclass
class Node:
    directory: NodeDirectory

    def write(self, text: str) -> Path:
        self.directory.node_file.write_text(text)
        return self.directory.node_file

    def secret(self, name: str, text: str, mode: int = 0o600) -> Path:
        path = self.directory.path / name
        path.write_text(text)
        path.chmod(mode)
        return path


@pytest.fixture
def node(tmp_path: Path) -> Node:
    directory = NodeDirectory(tmp_path, "acme")
    directory.create()
    made = Node(directory)
    made.secret("secrets/rpc/one.url", KEY_OF_ALICE + "\n")
    made.secret("secrets/api.token", "the-token\n")
    return made


def test_a_good_file_gives_every_setting(node: Node) -> None:
    config = load_node(node.write(GOOD))

    assert (config.network, config.home, config.demo) == ("acme", node.directory.home, False)
    assert config.listen == "/ip4/127.0.0.1/tcp/4001"
    assert config.advertised == ("/dns4/alice.example/tcp/4001",)
    assert config.api == ApiSettings("127.0.0.1", 9330, node.directory.token_file)
    assert config.api.token() == b"the-token"
    assert config.passphrase == PassphraseSource(variable="ALICE_PASSPHRASE")
    assert config.plans == node.directory.plans
    assert config.journal.min_free_bytes == 2_000_000_000
    assert config.intervals == Intervals(heartbeat_ms=5_000)
    assert config.chains == (
        ChainSettings(
            chain=Caip2("eip155:1"),
            endpoints=(
                EndpointAddress("one", KEY_OF_ALICE),
                EndpointAddress("two", "http://127.0.0.1:8545", "ws://localhost:8545"),
                EndpointAddress("three", "http://[::1]:8546/path"),
            ),
            need=2,
            finality="depth:12",
        ),
    )


def test_anchors_are_put_on_chains_unless_the_member_leaves_it(node: Node) -> None:
    assert load_node(node.write(GOOD)).anchor
    assert not load_node(node.write(GOOD.replace("plans =", "anchor = false\nplans ="))).anchor


def test_addresses_with_keys_are_not_shown(node: Node) -> None:
    assert "key-of-alice" not in repr(load_node(node.write(GOOD)))


def test_what_is_rendered_is_read_back(node: Node) -> None:
    endpoints = (
        EndpointTemplate("one", url_file="secrets/rpc/one.url"),
        EndpointTemplate("two", url="http://[::1]:1"),
    )
    template = NodeTemplate(
        "acme",
        "/ip6/::1/tcp/0",
        (ChainTemplate("eip155:31337", endpoints, need=2, block_time_ms=1_000, finality="safe"),),
        demo=True,
        api_bind="[::1]:0",
        token_file="secrets/api.token",
        passphrase_file="secrets/passphrase",
        intervals=Intervals(poll_ms=50),
    )

    config = load_node(node.write(render_node(template)))

    assert config.demo
    assert config.api == ApiSettings("::1", 0, node.directory.token_file)
    assert config.passphrase == PassphraseSource(file=node.directory.secrets / "passphrase")
    assert config.intervals == Intervals(poll_ms=50)
    assert [(chain.block_time_ms, chain.finality, chain.need) for chain in config.chains] == [
        (1_000, "safe", 2)
    ]


PRIVATE = """
[chains.private]
operator = "hidden"
url = "http://127.0.0.1:9"
"""


def test_a_private_endpoint_is_none_of_the_public_ones(node: Node) -> None:
    text = GOOD + PRIVATE.replace("http://127.0.0.1:9", "http://127.0.0.1:8545")

    with pytest.raises(ConfigError, match=r"private\.url: expected an address of its own"):
        load_node(node.write(text))


def test_the_last_mile_of_a_chain_is_configured(node: Node) -> None:
    keys = 'finality = "depth:12"\nfees = "legacy"\nfee_cap_gwei = 40\nprivate_blocks = 3'
    text = GOOD.replace('finality = "depth:12"', keys) + PRIVATE

    (chain,) = load_node(node.write(text)).chains

    assert (chain.fees, chain.fee_cap_gwei) == (FeeKind.LEGACY, 40)
    assert chain.private == EndpointAddress("hidden", "http://127.0.0.1:9")
    assert chain.private_blocks == 3


@pytest.mark.parametrize(
    ("old", "new", "where", "said"),
    [
        ('finality = "depth:12"', 'fees = "cheap"', "chains[0].fees", "eip1559 or legacy, got 'cheap'"),
        ('finality = "depth:12"', "fee_cap_gwei = 0", "chains[0].fee_cap_gwei", "1 to 1000000"),
        ('finality = "depth:12"', "private_blocks = 0", "chains[0].private_blocks", "1 to 100"),
        ("heartbeat_ms", "hartbeat_ms", "intervals.hartbeat_ms", "did you mean heartbeat_ms"),
        ("[journal]", "[jurnal]", "jurnal", "did you mean journal"),
        ("need = 2", "nead = 2", "chains[0].nead", "did you mean need"),
        (
            'operator = "two"',
            'operator = "two"\nkey = "x"',
            "chains[0].endpoints[1].key",
            "known here: operator, url",
        ),
        ('format = "tocsin/node/1"', 'format = "tocsin/node/2"', "format", "tocsin/node/1"),
        ('name = "acme"', 'name = "other"', "network.name", "the name of its directory, acme"),
        ('name = "acme"', 'name = "../acme"', "network.name", "a-z, 0-9 and -"),
        ('name = "acme"', "", "network.name", "expected a value, got none"),
        ('name = "acme"', "name = 7", "network.name", "expected text, got an integer"),
        ('name = "acme"', 'name = "acme"\ndemo = "yes"', "network.demo", "true or false, got text"),
        ("/ip4/127.0.0.1/tcp/4001", "127.0.0.1:4001", "gossip.listen", "/ip4/<address>/tcp/<port>"),
        ("/ip4/127.0.0.1/tcp/4001", "/ip4/::1/tcp/4001", "gossip.listen", "/ip4/<address>/tcp/<port>"),
        ("/ip4/127.0.0.1/tcp/4001", "/dns4/a/tcp/4001", "gossip.listen", "/ip4/<address>/tcp/<port>"),
        ("/dns4/alice.example/tcp/4001", "/dns4/alice.example/tcp/0", "gossip.advertised", "/dns4/<name>"),
        ("/dns4/alice.example/tcp/4001", "/dns4/-a/tcp/99999", "gossip.advertised", "/dns4/<name>"),
        ('["/dns4/alice.example/tcp/4001"]', '"x"', "gossip.advertised", "a list of texts"),
        ("127.0.0.1:9330", "127.0.0.1", "api.bind", "<address>:<port>"),
        ("127.0.0.1:9330", "127.0.0.1:65536", "api.bind", "<address>:<port>"),
        ("127.0.0.1:9330", "::1:9330", "api.bind", "<address>:<port>"),
        ("127.0.0.1:9330", "node.example:9330", "api.bind", "<address>:<port>"),
        ("ALICE_PASSPHRASE", "not a name", "keys.passphrase_env", "environment variable"),
        (
            "passphrase_env =",
            'passphrase_file = "x"\npassphrase_env =',
            "keys.passphrase_file",
            "passphrase_file or passphrase_env, got both",
        ),
        ("2_000_000_000", "0", "journal.min_free_bytes", "from 1048576"),
        ("2_000_000_000", "1e9", "journal.min_free_bytes", "an integer, got float"),
        ("5_000", "true", "intervals.heartbeat_ms", "an integer, got true or false"),
        ("5_000", "50_000", "intervals.stale_ms", "at least two heartbeats (100000)"),
        ("eip155:1", "mainnet", "chains[0].chain", "CAIP-2"),
        ("need = 2", "need = 4", "chains[0].need", "at most the 3 endpoints"),
        ("need = 2", "need = 1", "chains[0].need", "a majority of the 3"),
        ("depth:12", "depth:0", "chains[0].finality", "depth:N"),
        ('operator = "two"', 'operator = "ONE"', "chains[0].endpoints[1].operator", "each operator once"),
        (
            "http://[::1]:8546/path",
            "http://127.0.0.1:8545",
            "chains[0].endpoints[2].url",
            "each endpoint once",
        ),
        ("http://127.0.0.1:8545", "http://10.0.0.9:8545", "chains[0].endpoints[1].url", "of this machine"),
        ("http://127.0.0.1:8545", "ftp://127.0.0.1", "chains[0].endpoints[1].url", "http:// or https://"),
        ("http://127.0.0.1:8545", "http://127.0.0.1:0", "chains[0].endpoints[1].url", "http:// or https://"),
        (
            "ws://localhost:8545",
            "http://localhost",
            "chains[0].endpoints[1].websocket_url",
            "ws:// or wss://",
        ),
        (
            'url_file = "secrets/rpc/one.url"',
            "",
            "chains[0].endpoints[0].url_file",
            "a file with the endpoint",
        ),
        ("secrets/rpc/one.url", "secrets/rpc/none.url", "chains[0].endpoints[0].url_file", "No such file"),
        ("secrets/rpc/one.url", "secrets/rpc", "chains[0].endpoints[0].url_file", "Is a directory"),
        ('url_file = "s', 'url = "http://[::1]"\nurl_file = "s', "chains[0].endpoints[0].url", "got both"),
    ],
)
def test_a_bad_key_is_named_with_what_was_expected(
    node: Node, old: str, new: str, where: str, said: str
) -> None:
    assert GOOD.count(old) >= 1
    file = node.write(GOOD.replace(old, new, 1))

    with pytest.raises(ConfigError) as refusal:
        load_node(file)

    assert refusal.value.where == f"{file}: {where}"
    assert said in str(refusal.value)


def test_a_chain_twice_is_refused(node: Node) -> None:
    again = GOOD[GOOD.index("[[chains]]") :]

    with pytest.raises(ConfigError, match="each chain once, got eip155:1 twice"):
        load_node(node.write(GOOD + again))


def test_one_endpoint_alone_is_for_demonstrations(node: Node) -> None:
    single = GOOD[: GOOD.index("[[chains.endpoints]]")].replace("need = 2", "need = 1")
    single += '[[chains.endpoints]]\noperator = "two"\nurl = "http://127.0.0.1:8545"\n'

    with pytest.raises(ConfigError, match="at least 2, got 1"):
        load_node(node.write(single))
    assert (
        load_node(node.write(single.replace('name = "acme"', 'name = "acme"\ndemo = true'))).chains[0].need
        == 1
    )


@pytest.mark.parametrize("mode", [0o640, 0o604, 0o620, 0o666])
def test_a_secret_open_to_others_is_refused_with_its_cure(node: Node, mode: int) -> None:
    path = node.secret("secrets/rpc/one.url", KEY_OF_ALICE, mode)

    with pytest.raises(ConfigError, match=f"mode {mode:o}") as refusal:
        load_node(node.write(GOOD))

    assert refusal.value.remedy == f"chmod 600 {path}"
    assert "key-of-alice" not in str(refusal.value)


@pytest.mark.parametrize(
    ("content", "said"),
    [
        ("", "one line"),
        ("\n\n", "one line"),
        (f"{KEY_OF_ALICE}\n{KEY_OF_ALICE}\n", "one line"),
        ("key-of-alice", "https://host"),
        ("https://key-of-alice " + "x", "https://host"),
        ("https://key-of-alice/" + "x" * 5_000, "at most 4096 bytes"),
    ],
)
def test_a_bad_secret_is_refused_and_not_repeated(node: Node, content: str, said: str) -> None:
    node.secret("secrets/rpc/one.url", content)

    with pytest.raises(ConfigError, match=said) as refusal:
        load_node(node.write(GOOD))

    assert "key-of-alice" not in str(refusal.value)


def test_a_named_pipe_does_not_hold_the_node_up(node: Node) -> None:
    path = node.directory.rpc_secrets / "one.url"
    path.unlink()
    os.mkfifo(path, 0o600)

    with pytest.raises(ConfigError, match="regular file"):
        load_node(node.write(GOOD))


def test_a_missing_token_file_is_named_when_it_is_read(node: Node) -> None:
    node.directory.token_file.unlink()

    with pytest.raises(ConfigError, match=r"api\.token_file.*No such file"):
        load_node(node.write(GOOD)).api.token()


@pytest.mark.parametrize(
    ("raw", "said"),
    [
        (b"\xff", "UTF-8"),
        (b"format = ", "TOML"),
        (b'format = "a"\nformat = "b"', "TOML"),
        (b"a = " + b"[" * 100_000, "TOML"),
        (b"#" * 1_100_000, "at most 1048576 bytes"),
    ],
)
def test_a_file_that_is_no_toml_is_refused(node: Node, raw: bytes, said: str) -> None:
    node.directory.node_file.write_bytes(raw)

    with pytest.raises(ConfigError, match=said):
        load_node(node.directory.node_file)


def test_a_missing_file_comes_with_the_command_that_makes_it(tmp_path: Path) -> None:
    with pytest.raises(ConfigError) as refusal:
        load_node(tmp_path / "acme" / "node.toml")

    assert "tocsin init" in refusal.value.remedy


def test_the_directory_is_made_for_its_owner_alone(node: Node) -> None:
    for path in (node.directory.path, node.directory.secrets, node.directory.keys, node.directory.state):
        assert path.stat().st_mode & 0o077 == 0
    node.directory.create()


def test_a_file_in_the_way_of_the_directory_is_named(tmp_path: Path) -> None:
    (tmp_path / "acme").write_text("")

    with pytest.raises(ConfigError, match="acme"):
        NodeDirectory(tmp_path, "acme").create()


def test_the_only_network_is_found_and_two_must_be_told_apart(node: Node) -> None:
    home = node.directory.home
    with pytest.raises(ConfigError, match="got none"):
        find_directory(home, None)

    node.write(GOOD)
    assert find_directory(home, None) == find_directory(home, "acme") == node.directory

    other = NodeDirectory(home, "other")
    other.create()
    other.node_file.write_text(GOOD)
    with pytest.raises(ConfigError, match="acme, other") as refusal:
        find_directory(home, None)
    assert "--network" in refusal.value.remedy
    with pytest.raises(ConfigError, match="third"):
        find_directory(home, "third")
