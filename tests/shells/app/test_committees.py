"""Committee documents that come into a node's directory while it runs (core SPEC 2.4)."""

from __future__ import annotations

import io
import os
from collections.abc import Sequence
from pathlib import Path

import pytest

from proofs.committee import CommitteeDocument, CommitteeStatement, build_committee, committee_signing_bytes
from relay.app.committees import CommitteeFiles, CommitteeWatch, check_in_force, lane_peers
from relay.config import (
    NodeConfig,
    dump_committee,
    dump_signatures,
    load_known_committees,
    load_node,
)
from relay.core.committees import LASTING_S, Committees
from relay.core.errors import ConfigError
from relay.core.events import Event
from relay.core.node import Node, NodeSettings
from relay.core.types import Identity, Millis
from relay.gossip import LanePeer
from relay.telemetry import Log, Telemetry
from tests.shells.config.committees import NAMES, SEVEN, identity_key, make_committee, member

GENESIS = make_committee([member(name) for name in SEVEN])


def document_after(
    before: CommitteeDocument, names: tuple[str, ...] = SEVEN, *, activates_at: int = 1_800_000_000
) -> CommitteeDocument:
    statement = CommitteeStatement(
        name=before.name,
        committee_epoch=before.committee_epoch + 1,
        key_epoch=before.key_epoch + 1,
        activates_at=activates_at,
        demo=False,
        genesis=before.network,
        members=tuple(member(name) for name in names),
    )
    return build_committee(statement)


def put(directory: Path, document: CommitteeDocument, signers: tuple[str, ...] = SEVEN) -> Path:
    file = directory / f"epoch-{document.committee_epoch:04d}.toml"
    file.write_text(dump_committee(document))
    message = committee_signing_bytes(document.raw)
    signatures = {
        Identity(bytes(identity_key(name).verify_key)): identity_key(name).sign(message).signature
        for name in signers
    }
    file.with_suffix(".sigs").write_text(dump_signatures(document, signatures))
    return file


class Watched:
    """A directory, what reads it, and what was said of it."""

    def __init__(self, directory: Path) -> None:
        self.said = io.StringIO()
        self.directory = directory
        put(directory, GENESIS)
        self.files = CommitteeFiles(directory, Telemetry(Log(self.said, clock=lambda: Millis(0))))

    def epochs(self) -> list[int]:
        self.files.look()
        return [signed.document.committee_epoch for signed in self.files.signed]


@pytest.fixture
def watched(tmp_path: Path) -> Watched:
    return Watched(tmp_path)


def test_a_document_put_there_is_picked_up_and_learned_once(watched: Watched) -> None:
    known = Committees((GENESIS,))
    assert watched.epochs() == [1]
    assert watched.files.unknown_to(known) == []
    second = document_after(GENESIS)

    put(watched.directory, second)

    assert watched.epochs() == [1, 2]
    (event,) = watched.files.unknown_to(known)
    assert event.document.raw == second.raw
    assert watched.files.unknown_to(known.with_next(second)) == []


def test_a_document_that_gathers_signatures_waits_and_is_told_of_once(watched: Watched) -> None:
    second = document_after(GENESIS)
    file = put(watched.directory, second, SEVEN[:3])

    assert watched.epochs() == [1]
    os.utime(file, (1, 1))
    assert watched.epochs() == [1]
    assert watched.said.getvalue().count("committee document not in force") == 1
    put(watched.directory, second, SEVEN[:5])
    assert watched.epochs() == [1, 2]


def test_a_node_starts_while_a_document_gathers_signatures(watched: Watched) -> None:
    put(watched.directory, document_after(GENESIS), SEVEN[:3])

    known = load_known_committees(watched.directory)

    assert [signed.document.committee_epoch for signed in known.chain] == [1]
    assert known.problem is not None
    assert "committee-quorum" in str(known.problem) or "signatures" in str(known.problem)


def test_an_unfit_document_is_not_taken(watched: Watched) -> None:
    put(watched.directory, document_after(GENESIS, NAMES))

    assert watched.epochs() == [1]
    assert "too few members" in watched.said.getvalue()


@pytest.mark.parametrize("damage", ["format = 3", "not toml ="])
def test_a_broken_file_leaves_all_as_it_was(watched: Watched, damage: str) -> None:
    put(watched.directory, document_after(GENESIS)).write_text(damage)

    assert watched.epochs() == [1]
    assert "committee document not in force" in watched.said.getvalue()


def test_a_document_that_vanishes_or_changes_stays_as_it_was_known(watched: Watched) -> None:
    second = document_after(GENESIS)
    file = put(watched.directory, second)
    assert watched.epochs() == [1, 2]

    put(watched.directory, document_after(GENESIS, activates_at=1_900_000_000))
    assert watched.epochs() == [1, 2]
    assert watched.files.signed[1].document.raw == second.raw
    file.unlink()
    assert watched.epochs() == [1, 2]
    assert "put them back" in watched.said.getvalue()


def test_without_a_first_document_nothing_starts(tmp_path: Path) -> None:
    with pytest.raises(ConfigError, match=r"epoch-0001\.toml"):
        CommitteeFiles(tmp_path, Telemetry(Log(io.StringIO(), clock=lambda: Millis(0))))


def test_peers_are_the_members_of_all_documents_that_are_not_over() -> None:
    names = (*SEVEN[1:], "heidi")
    second = document_after(GENESIS, names)
    known = Committees((GENESIS, second))
    bob = Identity(bytes(identity_key("bob").verify_key))
    over_s = second.activates_at + LASTING_S

    def named(at_s: int) -> set[str]:
        known_names = {bytes(identity_key(name).verify_key): name for name in (*SEVEN, "heidi")}
        return {known_names[peer.identity] for peer in lane_peers(known, bob, at_s)}

    assert named(0) == {*SEVEN, "heidi"} - {"bob"}
    assert named(over_s - 1) == {*SEVEN, "heidi"} - {"bob"}
    assert named(over_s) == set(names) - {"bob"}


def test_a_node_of_a_demonstration_runs_in_no_other_network(tmp_path: Path) -> None:
    config = node(tmp_path, demo=True)
    telemetry = Telemetry(Log(io.StringIO(), clock=lambda: Millis(0)))

    with pytest.raises(ConfigError, match=r"network\.demo"):
        check_in_force(config, GENESIS, telemetry)
    check_in_force(node(tmp_path, demo=False), GENESIS, telemetry)


def test_a_node_without_chains_and_plans_is_configured(tmp_path: Path) -> None:
    assert node(tmp_path, demo=False).chains == ()


def node(home: Path, *, demo: bool) -> NodeConfig:
    directory = home / "acme"
    directory.mkdir(exist_ok=True)
    file = directory / "node.toml"
    file.write_text(
        'format = "tocsin/node/1"\n\n[network]\nname = "acme"\n'
        f"demo = {str(demo).lower()}\n\n"
        '[gossip]\nlisten = "/ip4/127.0.0.1/tcp/0"\n'
    )
    file.chmod(0o600)
    return load_node(file)


class Watching:
    """A node without plans, and the watch over its directory; events wait until the test lets them in."""

    def __init__(self, directory: Path) -> None:
        self.watched = Watched(directory)
        bob = Identity(bytes(identity_key("bob").verify_key))
        self.node = Node(NodeSettings(bob, GENESIS, (), {}))
        self.waiting: list[Event] = []
        self.peers: list[int] = []
        self.watch = CommitteeWatch(
            self.node, self.watched.files, self._put, self._set_peers, lambda: Millis(1_700_000_001_000)
        )

    async def _put(self, event: Event) -> None:
        self.waiting.append(event)

    def _set_peers(self, peers: Sequence[LanePeer]) -> None:
        self.peers.append(len(peers))

    def let_in(self) -> int:
        """Let the node have what waits; give how much that was."""
        events, self.waiting = self.waiting, []
        for event in events:
            self.node.advance(event)
        return len(events)


@pytest.mark.asyncio
async def test_a_running_node_learns_each_document_once_and_the_lane_follows(tmp_path: Path) -> None:
    watching = Watching(tmp_path)
    await watching.watch.look()
    assert (watching.let_in(), watching.peers) == (0, [6])
    second = document_after(GENESIS, (*SEVEN, "heidi"))
    put(tmp_path, second)

    await watching.watch.look()
    await watching.watch.look()

    assert watching.peers == [6], "nobody is hung up on while the document waits in the queue"
    assert watching.let_in() == 1
    await watching.watch.look()
    assert watching.peers == [6, 7]
    put(tmp_path, document_after(second, SEVEN), (*SEVEN, "heidi"))
    await watching.watch.look()
    assert watching.let_in() == 1
    assert watching.node.committees.newest.committee_epoch == 3


@pytest.mark.asyncio
async def test_what_was_learned_at_the_start_stands_in_no_later_document_s_way(
    tmp_path: Path,
) -> None:
    watching = Watching(tmp_path)
    second = document_after(GENESIS)
    put(tmp_path, second)
    watching.watched.files.look()
    for event in watching.watched.files.unknown_to(watching.node.committees):
        watching.node.advance(event)
    put(tmp_path, document_after(second))

    await watching.watch.look()

    assert watching.let_in() == 1
    assert watching.node.committees.newest.committee_epoch == 3
