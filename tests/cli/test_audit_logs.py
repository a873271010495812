"""`tocsin audit mirror` and `follow`: what they print, their exit codes, and how they end."""

from __future__ import annotations

import json
import os
import signal
import socket
import subprocess
import sys
import threading
from collections.abc import Iterator
from contextlib import ExitStack
from pathlib import Path

import pytest

from proofs.checkpoint import Checkpoint
from proofs.hashes import sha256
from proofs.note import format_verifier_key
from proofs.policy import format_policy, policy_hash
from relay.cli.audit_policy import now_s as clock_s
from relay.cli.settings import Answer
from tests.cli.calls import Said, tocsin
from tests.shells.audit.logs import WITNESSES, Keeper, entries_of, policy_of
from tests.shells.audit.servers import Served, answering, serving

WITHOUT_RELAY = """
import sys
heavy = ("aiohttp", "web3", "libp2p", "cel_expr_python", "prometheus_client", "cryptography", "trio")
sys.modules.update(dict.fromkeys(heavy))
from relay.cli import main
main(sys.argv[1:])
"""


class Network:
    """Two logs behind HTTP, under a policy, cosigned a minute ago by this machine's clock."""

    def __init__(self, folder: Path, stack: ExitStack) -> None:
        self.folder, self.state = folder, folder / "state"
        now_s = clock_s()
        cosigned = dict.fromkeys(WITNESSES[:3], now_s - 60)
        self.alice, self.bob = (Keeper(folder / name, f"net/{name}", cosigned) for name in ("alice", "bob"))
        for keeper in (self.alice, self.bob):
            keeper.publish(entries_of(300))
        self.served: list[Served] = [
            stack.enter_context(serving(keeper.folder)) for keeper in (self.alice, self.bob)
        ]
        self.urls = [each.url for each in self.served]
        self.policy = folder / "policy.txt"
        self.policy.write_bytes(format_policy(policy_of(self.alice, self.bob)))

    def follow(self, *options: object) -> Said:
        policy_and_state = ("--policy", self.policy, "--state", self.state)
        return tocsin("audit", "follow", *self.urls, *policy_and_state, *options)

    def mirror(self, *options: object) -> Said:
        return tocsin("audit", "mirror", self.urls[0], self.folder / "copy", *options)


@pytest.fixture
def network(tmp_path: Path) -> Iterator[Network]:
    with ExitStack() as stack:
        yield Network(tmp_path, stack)


def test_a_mirror_tells_what_it_did_and_under_which_policy(network: Network) -> None:
    first = network.mirror("--policy", network.policy)
    network.alice.publish(entries_of(310))
    pinned = ("--policy", network.policy, "--policy-hash", policy_hash(network.policy.read_bytes()).hex())
    second = network.mirror(*pinned, "--json")

    assert first.code == Answer.YES, first.out + first.err
    assert "MIRRORED  net/alice: 300 entries" in first.out
    assert "a new mirror" in first.out
    assert "policy not pinned" in first.out
    assert second.code == Answer.YES
    told = second.document
    assert (told["schema"], told["answer"]) == ("tocsin/audit-mirror/1", "yes")
    assert (told["before"], told["size"], told["there"], told["policy_pinned"]) == (300, 310, 256, True)
    assert told["written"] == {"entries": 54, "files": 2, "bytes": told["written"]["bytes"]}
    assert (told["cosigned"], told["missing"]) == (["w0", "w1", "w2"], ["w3"])


def test_a_mirror_of_a_bare_key_says_that_nobody_witnessed(network: Network) -> None:
    said = network.mirror("--vkey", format_verifier_key(network.alice.key))

    assert said.code == Answer.YES
    assert "no witness was asked for" in said.out


def test_a_mirror_that_contradicts_its_source_names_the_evidence(network: Network) -> None:
    network.mirror("--policy", network.policy)
    network.alice.publish(entries_of(300, "other"))

    said, machine = (
        network.mirror("--policy", network.policy),
        network.mirror("--policy", network.policy, "--json"),
    )

    assert said.code == machine.code == Answer.NO
    assert "NOT MIRRORED  failed check: fork" in said.out
    assert f"kept: {network.folder / 'copy' / 'evidence'}" in said.out
    assert (machine.document["answer"], machine.document["check"]) == ("no", "fork")
    evidence = machine.document["evidence"]
    assert isinstance(evidence, list)
    assert len(evidence) == 3


def test_what_a_mirror_cannot_tell_is_3_and_what_is_wrong_1(network: Network) -> None:
    policy = ("--policy", network.policy)
    network.alice.say(Checkpoint("net/alice", 300, sha256(b"x")))
    assert network.mirror(*policy).code == Answer.NO
    network.alice.publish(entries_of(300))
    (network.alice.folder / "tile/entries/000").unlink()
    missing = network.mirror(*policy, "--json")
    assert (missing.code, missing.document["check"]) == (Answer.UNKNOWN, "log-missing")
    assert network.mirror(*policy, "--max-entries", 299).code == Answer.UNKNOWN
    network.served[0].answers_left = 0
    silent = network.mirror(*policy, "--json")
    assert (silent.code, silent.document["answer"]) == (Answer.UNKNOWN, "unknown")


@pytest.mark.parametrize(
    ("options", "told"),
    [
        ((), "either --policy FILE or --vkey KEY"),
        (("--vkey", "x", "--policy", "POLICY"), "either --policy FILE or --vkey KEY"),
        (("--vkey", "x"), "--vkey: expected name+id+key"),
        (("--policy", "BROKEN"), "line 1"),
        (("--policy", "/no/such/file"), "/no/such/file"),
        (("--policy", "POLICY", "--policy-hash", "12"), "32 bytes in hex"),
    ],
)
def test_wrong_options_are_named(network: Network, options: tuple[str, ...], told: str) -> None:
    broken = network.folder / "broken"
    broken.write_text("lug x\n")
    files = {"POLICY": str(network.policy), "BROKEN": str(broken)}

    said = network.mirror(*(files.get(option, option) for option in options))

    assert said.code == Answer.USAGE
    assert told in said.err
    assert not (network.folder / "copy").exists()


def test_a_policy_with_another_hash_is_refused(network: Network) -> None:
    said = network.follow("--once", "--policy-hash", "00" * 32)

    assert said.code == Answer.NO
    assert "policy-pin" in said.err


def test_a_follower_tells_growth_and_leaves_with_0(network: Network) -> None:
    first = network.follow("--once")
    network.alice.publish(entries_of(1_310))
    second = network.follow("--once")
    third = network.follow("--once", "--json")

    assert [first.code, second.code, third.code] == [Answer.YES] * 3
    assert "ALL HOLDS  2 of 2 logs hold" in first.out
    assert "the first visit" in first.out
    assert "1,310" in second.out
    assert "+1,010" in second.out
    assert "3 of 4, not w3" in second.out
    assert third.document["schema"] == "tocsin/audit-follow/1"
    assert third.document["answer"] == "yes"


def test_a_follower_names_the_alarm_and_leaves_with_1(network: Network) -> None:
    network.follow("--once")
    network.bob.publish(entries_of(299))
    network.alice.publish(entries_of(301, "other"))
    said, machine = network.follow("--once"), network.follow("--once", "--json")

    assert said.code == machine.code == Answer.NO
    assert "ALARM  0 of 2 logs hold" in said.out
    assert f"  rollback  net/bob by {network.urls[1]}: " in said.out
    assert "  inconsistent  net/alice" in said.out
    assert f"kept: {network.folder / 'state' / 'evidence' / 'net.alice-'}" in said.out
    alarms = machine.document["alarms"]
    assert isinstance(alarms, list)
    assert [each["alarm"] for each in alarms] == ["inconsistent", "rollback"]


def test_a_follower_that_hears_nothing_leaves_with_3(network: Network) -> None:
    for each in network.served:
        each.answers_left = 0
    said = network.follow("--once")

    assert said.code == Answer.UNKNOWN
    assert "COULD NOT TELL" in said.out
    assert "  silent  " in said.out
    assert "  unserved  net/alice" in said.out


def test_a_state_that_was_altered_is_usage_with_a_remedy(network: Network) -> None:
    network.follow("--once")
    (state,) = network.state.glob("net.bob-*")
    state.write_text(state.read_text().replace("300", "299"))
    said = network.follow("--once")

    assert said.code == Answer.USAGE
    assert str(state) in said.err
    assert "try: keep the file" in said.err


def test_by_default_the_state_is_in_the_home(network: Network, home: Path) -> None:
    said = tocsin("audit", "follow", network.urls[0], "--policy", network.policy, "--once")

    assert said.code == Answer.YES
    assert len(list((home / "audit").glob("net.alice-*.json"))) == 1


class Running:
    """A follower that runs until it is told to stop, in a process of its own, on the base install."""

    def __init__(self, network: Network, *options: str) -> None:
        arguments = [
            "audit",
            "follow",
            *network.urls,
            "--policy",
            network.policy,
            "--state",
            network.state,
        ]
        self.process = subprocess.Popen(
            [sys.executable, "-c", WITHOUT_RELAY, *map(str, arguments), *options],
            stdout=subprocess.PIPE,
            stderr=subprocess.PIPE,
            text=True,
            env=os.environ,
        )

    def line(self) -> str:
        assert self.process.stdout is not None
        return self.process.stdout.readline()

    def stop(self, told: signal.Signals) -> tuple[int, str]:
        self.process.send_signal(told)
        _, err = self.process.communicate(timeout=60)
        return self.process.returncode, err


@pytest.mark.parametrize("told", [signal.SIGTERM, signal.SIGINT])
def test_a_running_follower_gives_a_line_a_look_and_ends_when_told(
    network: Network, told: signal.Signals
) -> None:
    running = Running(network, "--json", "--every", "1")
    with running.process:
        looks = [json.loads(running.line()) for _ in range(2)]

        code, err = running.stop(told)

    assert (code, err) == (Answer.YES, "")
    assert [look["schema"] for look in looks] == ["tocsin/audit-follow/1"] * 2
    assert [log["before"] for log in looks[1]["logs"]] == [300, 300]


def test_a_running_follower_goes_on_after_an_alarm_and_ends_with_1(network: Network) -> None:
    running = Running(network, "--json", "--every", "1")
    with running.process:
        running.line()
        network.bob.publish(entries_of(299))
        while json.loads(running.line())["answer"] == "yes":
            pass
        network.bob.publish(entries_of(301))
        while json.loads(running.line())["answer"] == "no":
            pass

        code, err = running.stop(signal.SIGTERM)

    assert (code, err) == (Answer.NO, "")


def test_a_follower_ends_at_once_while_a_server_is_waited_for(network: Network) -> None:
    asked = threading.Event()

    def wait(_connection: socket.socket, over: threading.Event) -> None:
        asked.set()
        over.wait(60)

    with answering(wait) as (url, _):
        network.urls[1] = url
        running = Running(network)
        with running.process:
            assert asked.wait(30)

            running.process.send_signal(signal.SIGTERM)
            out, err = running.process.communicate(timeout=9)

    assert (running.process.returncode, out, err) == (Answer.UNKNOWN, "", "")


def test_a_second_follower_of_one_state_is_refused(network: Network) -> None:
    running = Running(network, "--json")
    with running.process:
        running.line()
        said = network.follow("--once")
        running.stop(signal.SIGTERM)

    assert said.code == Answer.USAGE
    assert f"got pid {running.process.pid}" in said.err
