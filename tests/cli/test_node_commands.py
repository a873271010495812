"""Commands about a node's directory: real keys, real files."""

from __future__ import annotations

import json
import shutil
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from pathlib import Path
from threading import Thread

import pytest

from proofs.committee import CommitteeMember, CommitteeStatement, build_committee
from proofs.kinds import Address, Identity
from relay.cli.settings import Answer
from relay.config import NodeDirectory, dump_committee, dump_signatures, load_committee, load_node
from tests.cli.calls import PASSPHRASE, Said, tocsin
from tests.shells.config.committees import CHAIN, SEVEN, make_committee, member, sign

RPC = ("--rpc", CHAIN, "one", "http://127.0.0.1:1", "--rpc", CHAIN, "two", "http://127.0.0.1:2")
OPERATORS = ("one", "two", "three")


@dataclass(frozen=True)
class Made:
    directory: NodeDirectory
    said: Said

    @property
    def keys(self) -> Mapping[str, str]:
        keys = self.said.document["keys"]
        assert isinstance(keys, dict)
        return keys


@pytest.fixture(scope="module")
def made(tmp_path_factory: pytest.TempPathFactory) -> Made:
    """One node for the whole module: sealing keys is slow by intent."""
    home = tmp_path_factory.mktemp("made")
    third = ("--rpc", CHAIN, "three", "http://[::1]:3")
    with pytest.MonkeyPatch.context() as environment:
        environment.setenv("TOCSIN_PASSPHRASE", PASSPHRASE)
        said = tocsin("--home", home, "--json", "init", "acme", *RPC, *third)
    assert said.code == Answer.YES, said.out + said.err
    return Made(NodeDirectory(home, "acme"), said)


@pytest.fixture
def node(made: Made, home: Path) -> NodeDirectory:
    shutil.copytree(made.directory.home, home)
    return NodeDirectory(home, "acme")


def seated(made: Made, **changes: object) -> CommitteeMember:
    keys = made.keys
    fields = {
        "identity": Identity(bytes.fromhex(keys["identity"])),
        "attester": Address(bytes.fromhex(keys["attester"][2:])),
        "log": bytes.fromhex(keys["log"]),
        "cosigner": bytes.fromhex(keys["cosigner"]),
        "name": "alice",
        "operator": "alice Inc",
        "addresses": ("/ip4/127.0.0.1/tcp/4001",),
        "providers": {CHAIN: OPERATORS},
        **changes,
    }
    return CommitteeMember(**fields)  # type: ignore[arg-type] - fields by name


OTHERS = tuple(member(name) for name in SEVEN[1:])


def write_committee(
    node: NodeDirectory, made: Made, others: Sequence[CommitteeMember] = OTHERS, **changes: object
) -> Path:
    """A committee of this node and six others, who have signed it."""
    members = (seated(made, **changes), *others)
    document = build_committee(CommitteeStatement("acme", 1, 1, 1_700_000_000, False, None, members))
    file = node.committee_file(1)
    file.write_text(dump_committee(document))
    file.with_suffix(".sigs").write_text(dump_signatures(document, sign(document, SEVEN[1:])))
    return file


def findings(said: Said) -> Mapping[str, tuple[object, str]]:
    found = said.document["findings"]
    assert isinstance(found, list)
    return {item["name"]: (item["held"], f"{item['detail']} | {item['remedy']}") for item in found}


# --- init ---


def test_init_makes_a_directory_that_can_be_read_and_is_private(made: Made) -> None:
    config = load_node(made.directory.node_file)

    assert made.said.document["schema"] == "tocsin/init/1"
    assert [endpoint.operator for endpoint in config.chains[0].endpoints] == list(OPERATORS)
    assert config.api.token() is not None
    for path in made.directory.path.rglob("*"):
        assert path.stat().st_mode & 0o077 == 0, path


def test_init_overwrites_nothing(node: NodeDirectory) -> None:
    before = {path: path.stat().st_mtime_ns for path in node.path.rglob("*")}

    said = tocsin("init", "acme")

    assert said.code == Answer.USAGE
    assert "expected no such directory" in said.err
    assert before == {path: path.stat().st_mtime_ns for path in node.path.rglob("*")}


@pytest.mark.parametrize(
    ("arguments", "named"),
    [
        (["ACME"], "a-z, 0-9 and -"),
        (["../acme"], "a-z, 0-9 and -"),
        (["acme", *RPC, "--listen", "0.0.0.0:4001"], "gossip.listen"),
        (["acme", *RPC, "--api", "localhost"], "api.bind"),
        (["acme", *RPC, "--advertise", "alice.example"], "gossip.advertised"),
        (["acme", *RPC[:4]], "need: expected at least 2, got 1"),
        (["acme", *RPC, "--rpc", CHAIN, "one", "http://127.0.0.1:9"], "each operator once"),
        (["acme", *RPC, "--rpc", CHAIN, "x", "https://rpc.example/key"], "url_file"),
        (["acme", *RPC, "--rpc", CHAIN, "x", "@/no/such/file"], "/no/such/file"),
    ],
)
def test_init_leaves_nothing_behind_when_it_is_refused(home: Path, arguments: list[str], named: str) -> None:
    said = tocsin("init", *arguments)

    assert said.code == Answer.USAGE
    assert named in said.err
    assert ".init-" not in said.err
    assert not home.exists() or list(home.iterdir()) == []


def test_an_address_with_a_key_is_copied_to_a_private_file_and_not_shown(home: Path, tmp_path: Path) -> None:
    source = tmp_path / "provider.url"
    source.write_text("https://rpc.example/key-of-alice\n")

    said = tocsin("init", "acme", *RPC[:4], "--rpc", CHAIN, "provider", f"@{source}")

    assert said.code == Answer.YES, said.err
    node = NodeDirectory(home, "acme")
    assert load_node(node.node_file).chains[0].endpoints[1].url == "https://rpc.example/key-of-alice"
    assert "key-of-alice" not in node.node_file.read_text() + said.out + said.err
    (secret,) = node.rpc_secrets.iterdir()
    assert secret.stat().st_mode & 0o077 == 0


def test_without_passphrase_and_terminal_init_says_how_to_give_one(
    home: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.delenv("TOCSIN_PASSPHRASE")

    said = tocsin("init", "acme")

    assert said.code == Answer.USAGE
    assert "TOCSIN_PASSPHRASE" in said.err
    assert not home.exists()


# --- keys and chains ---


def test_key_list_shows_public_halves_only(node: NodeDirectory, made: Made) -> None:
    said = tocsin("key", "list", "--json")

    assert said.document == {"schema": "tocsin/keys/1", **made.keys}
    assert made.keys["identity"] in tocsin("key", "list").out


def test_a_wrong_passphrase_names_the_key_file(node: NodeDirectory, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("TOCSIN_PASSPHRASE", "wrong")

    said = tocsin("key", "list")

    assert said.code == Answer.USAGE
    assert "identity.key" in said.err


def test_chain_list_shows_who_is_asked_and_not_where(node: NodeDirectory) -> None:
    said = tocsin("chain", "list", "--json")

    assert said.code == Answer.YES
    assert said.document["schema"] == "tocsin/chains/1"
    (chain,) = said.document["chains"]  # type: ignore[misc] - a list in JSON
    assert (chain["chain"], chain["need"], chain["operators"]) == (CHAIN, 2, list(OPERATORS))
    assert "http" not in said.out + tocsin("chain", "list").out


def test_a_chain_that_no_adapter_serves_is_a_no(node: NodeDirectory) -> None:
    node.node_file.write_text(node.node_file.read_text().replace(CHAIN, "cosmos:hub"))

    assert tocsin("chain", "list").code == Answer.NO


# --- committee ---


def test_a_committee_is_signed_by_this_node_and_then_in_force(node: NodeDirectory, made: Made) -> None:
    file = write_committee(node, made)
    assert tocsin("committee", "check").code == Answer.NO

    signed = tocsin("committee", "sign", "--yes", "--json")

    assert signed.code == Answer.YES, signed.out + signed.err
    assert signed.document["schema"] == "tocsin/committee-signature/1"
    assert (signed.document["signatures"], signed.document["needed"]) == (7, 7)
    checked = tocsin("committee", "check", file, "--json")
    assert checked.code == Answer.YES
    assert checked.document["fit"] is True


def test_without_a_terminal_nothing_is_signed_unasked(node: NodeDirectory, made: Made) -> None:
    file = write_committee(node, made)
    before = file.with_suffix(".sigs").read_bytes()

    said = tocsin("committee", "sign", "--json")

    assert said.code == Answer.REFUSED
    assert said.document["signed"] is False
    assert file.with_suffix(".sigs").read_bytes() == before


def test_an_unfit_committee_is_not_signed(node: NodeDirectory, made: Made) -> None:
    others = [member("bob"), member("carol", "bob Inc"), *OTHERS[2:]]
    write_committee(node, made, others, operator="bob Inc")

    said = tocsin("committee", "sign", "--yes")

    assert said.code == Answer.REFUSED
    assert "bob Inc" in said.out
    assert tocsin("committee", "check").code == Answer.NO


def test_a_stranger_cannot_sign(node: NodeDirectory) -> None:
    file = node.committee_file(1)
    file.write_text(dump_committee(make_committee([member(name) for name in SEVEN])))

    said = tocsin("committee", "sign", "--yes", file)

    assert said.code == Answer.USAGE
    assert "expected a member of epoch 1" in said.err


def test_committee_show_needs_only_the_file(tmp_path: Path) -> None:
    file = tmp_path / "c.toml"
    document = make_committee()
    file.write_text(dump_committee(document))

    said = tocsin("committee", "show", file, "--json")

    assert said.document["schema"] == "tocsin/committee/1"
    assert (said.document["members"], said.document["fast"], said.document["full"]) == (4, 2, 3)
    assert said.document["network"] == document.network.hex()
    assert load_committee(file) == document
    assert "carol Inc" in tocsin("committee", "show", file).out


# --- doctor ---


def test_a_healthy_node_is_told_so(node: NodeDirectory, made: Made) -> None:
    write_committee(node, made)
    tocsin("committee", "sign", "--yes")
    node.node_file.write_text(node.node_file.read_text() + "\n[journal]\nmin_free_bytes = 1048576\n")

    said = tocsin("doctor", "--offline", "--json")

    assert said.document["schema"] == "tocsin/doctor/1"
    bad = {name: told for name, told in findings(said).items() if told[0] is not True}
    assert list(bad) == ["plans"]
    assert said.code == Answer.NO


def test_the_doctor_names_each_trouble_with_a_remedy(node: NodeDirectory, made: Made) -> None:
    write_committee(node, made, log=bytes(32), providers={CHAIN: ("one", "two", "four")})
    node.keys.chmod(0o755)
    node.token_file.unlink()
    (node.plans / "acme").mkdir()
    (node.plans / "acme" / "1.plan.toml").write_text('format = "tocsin/plan/1"\nprotocl = "acme"\n')

    said = tocsin("doctor", "--offline", "--json")

    assert said.code == Answer.NO
    found = findings(said)
    assert found["permissions of keys"] == (False, f"open to others, mode 755 | chmod 700 {node.keys}")
    assert found["committee"][0] is False
    assert "committee-quorum" in found["committee"][1]
    assert found["API token"][0] is False
    assert found["plan acme/1.plan.toml"][0] is False
    assert "1.plan.toml:2: protocl" in found["plan acme/1.plan.toml"][1]


def test_the_doctor_compares_keys_and_providers_with_the_committee(node: NodeDirectory, made: Made) -> None:
    write_committee(node, made, log=bytes(32), providers={CHAIN: ("one", "two", "four")})
    assert tocsin("committee", "sign", "--yes").code == Answer.YES

    found = findings(tocsin("doctor", "--offline", "--json"))

    assert found["membership"][0] is False
    assert "log" in found["membership"][1]
    assert found[f"providers of {CHAIN}"][0] is False
    assert "four" in found[f"providers of {CHAIN}"][1]


def test_a_broken_node_file_does_not_end_the_diagnosis(node: NodeDirectory) -> None:
    node.node_file.write_text(
        node.node_file.read_text().replace("need", "nead").replace("chain =", "chian =")
    )

    said = tocsin("doctor", "--offline")

    assert said.code == Answer.NO
    assert "did you mean chain" in said.out
    assert "✗ committee" in said.out


def test_endpoints_that_do_not_answer_are_could_not_tell(node: NodeDirectory) -> None:
    found = findings(tocsin("doctor", "--json"))

    for operator in OPERATORS:
        assert found[f"endpoint {CHAIN} by {operator}"][0] is None


class OtherChain(BaseHTTPRequestHandler):
    """An endpoint of chain 5, whatever it is asked."""

    def do_POST(self) -> None:
        asked = json.loads(self.rfile.read(int(self.headers["Content-Length"])))
        batch = asked if isinstance(asked, list) else [asked]
        answers = [{"jsonrpc": "2.0", "id": item["id"], "result": "0x5"} for item in batch]
        body = json.dumps(answers if isinstance(asked, list) else answers[0]).encode()
        self.send_response(200)
        self.send_header("Content-Type", "application/json")
        self.send_header("Content-Length", str(len(body)))
        self.end_headers()
        self.wfile.write(body)

    def log_message(self, *args: object) -> None:
        pass


def test_an_endpoint_of_another_chain_is_named(node: NodeDirectory) -> None:
    with ThreadingHTTPServer(("127.0.0.1", 0), OtherChain) as server:
        thread = Thread(target=server.serve_forever)
        thread.start()
        url = f"http://127.0.0.1:{server.server_address[1]}"
        node.node_file.write_text(node.node_file.read_text().replace("http://127.0.0.1:1", url))

        said = tocsin("doctor", "--json")

        server.shutdown()
        thread.join()

    assert said.code == Answer.NO
    held, told = findings(said)[f"endpoint {CHAIN} by one"]
    assert held is False
    assert "expected eip155:1, got eip155:5" in told


def test_the_doctor_tells_by_which_key_each_monitor_reports(node: NodeDirectory, tmp_path: Path) -> None:
    secret, key = tmp_path / "secret", tmp_path / "oscar.key"
    secret.write_text("0123456789abcdef\n")
    secret.chmod(0o600)
    made = tocsin("signal", "keygen", key).out.strip()
    table = "\n[[monitors]]\nname = '{}'\nsecret_file = '{}'\nplan = 'bridge'\nreport = 'attack'\n"
    text = table.format("good", secret) + f"reporter_key_file = '{key}'\n"
    text += table.format("bad", secret) + f"reporter_key_file = '{secret}'\n"
    node.node_file.write_text(node.node_file.read_text() + text)

    found = findings(tocsin("doctor", "--offline", "--json"))

    assert found["monitor good"] == (True, f"{made}, reporter of attack for bridge | ")
    assert found["monitor bad"][0] is False
    assert "tocsin signal keygen" in found["monitor bad"][1]
