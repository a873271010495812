"""`tocsin ceremony` against a real interface: what people read, what is asked of the node, exit codes."""

from __future__ import annotations

import asyncio
import json
import threading
from collections.abc import Iterator, Mapping
from dataclasses import dataclass, field
from pathlib import Path

import pytest

from relay.api import (
    Api,
    ApiOptions,
    CeremonyDeed,
    CeremonyKind,
    CeremonyPorts,
    CeremonyRefused,
    Json,
    ProposalRequest,
    RotationWindow,
)
from relay.cli.settings import Answer
from tests.cli.calls import tocsin
from tests.shells.api.quiet import quiet_ports

ID = "3f2a90c14be7" + "00" * 26
OTHER = "3f2a90c14be8" + "00" * 26
EVERYBODY = ["alice", "bob", "carol", "dave"]
GROUPS: list[Json] = [{"name": "fast", "threshold": 2}, {"name": "full", "threshold": 3}]


def step(name: str, missing: list[str]) -> dict[str, Json]:
    return {"name": name, "done": 4 - len(missing), "of": 4, "missing": missing}


def document(**changes: Json) -> dict[str, Json]:
    return {
        "id": ID,
        "kind": "dkg",
        "state": "proposed",
        "proposer": "alice",
        "committee_epoch": 1,
        "key_epoch": 1,
        "generation": 1,
        "dealers": EVERYBODY,
        "receivers": EVERYBODY,
        "left_out": [],
        "groups": GROUPS,
        "rotation": None,
        "deadline_ms": 1_800_003_600_000,
        "now_ms": 1_800_000_000_000,
        "steps": [step("join", ["dave"]), step("deal", EVERYBODY), step("sign", EVERYBODY)],
        "faults": [],
        "document": None,
        "file": None,
        "reason": "",
        **changes,
    }


DONE = document(
    state="done",
    steps=[step("join", []), step("deal", []), step("sign", [])],
    document="ee" * 32,
    file="committee/keys-0001-0001.keys",
)


@dataclass
class Desk:
    """A node with ceremonies; `later` is what they become when somebody has looked twice."""

    known: list[dict[str, Json]] = field(default_factory=lambda: [document()])
    later: list[dict[str, Json]] | None = None
    looks: int = 0
    proposed: list[ProposalRequest] = field(default_factory=list)
    done: list[tuple[bytes, CeremonyDeed]] = field(default_factory=list)
    refusal: CeremonyRefused | None = None
    url: str = ""

    def ceremonies(self) -> list[Mapping[str, Json]]:
        self.looks += 1
        return list(self.later if self.later is not None and self.looks > 2 else self.known)

    async def propose(self, request: ProposalRequest) -> str:
        self.proposed.append(request)
        return ID

    async def act(self, ceremony: bytes, deed: CeremonyDeed) -> None:
        if self.refusal is not None:
            raise self.refusal
        self.done.append((ceremony, deed))

    def call(self, *words: object) -> tuple[int, str, str]:
        said = tocsin("ceremony", *words, "--url", self.url)
        return said.code, said.out, said.err


@pytest.fixture
def desk(tmp_path: Path) -> Iterator[Desk]:
    """A desk behind an interface that serves in another thread until the test ends."""
    found = Desk()
    loop, opened, closing = asyncio.new_event_loop(), threading.Event(), asyncio.Event()

    async def serve() -> None:
        ports = CeremonyPorts(
            overview=lambda: {"keys": []},
            ceremonies=found.ceremonies,
            propose=found.propose,
            act=found.act,
        )
        async with Api(ApiOptions(tmp_path, token=b"the-token"), quiet_ports(), ports) as api:
            found.url = api.url
            opened.set()
            await closing.wait()

    thread = threading.Thread(target=lambda: loop.run_until_complete(serve()))
    thread.start()
    assert opened.wait(10)
    yield found
    loop.call_soon_threadsafe(closing.set)
    thread.join(10)
    loop.close()


@pytest.fixture
def token(tmp_path: Path) -> tuple[str, Path]:
    file = tmp_path / "token"
    file.write_text("the-token\n")
    file.chmod(0o600)
    return "--token-file", file


def test_join_says_who_which_keys_and_that_nothing_happens_on_chain(
    desk: Desk, token: tuple[str, Path]
) -> None:
    code, out, err = desk.call("join", ID, "--yes", *token)

    assert code == Answer.YES, err
    assert desk.done == [(bytes.fromhex(ID), CeremonyDeed.JOIN)]
    assert "alice proposes new keys: committee epoch 1, key epoch 1, generation 1" in err
    assert "deal     alice, bob, carol, dave" in err
    assert "fast: any 2 of these 4 can sign; fewer can not" in err
    assert "on chain: nothing by itself" in err
    assert "1 h left" in err
    assert f"joined {ID[:16]}" in out


def test_a_rotation_is_told_with_its_time_and_the_end_of_the_old_keys(desk: Desk) -> None:
    window = {"not_before": 1_800_000_000, "not_after": 1_800_086_400, "revoke": True}
    desk.known = [document(rotation=window, key_epoch=2)]

    _, out, _ = desk.call("status", ID)

    assert "between 2027-01-15 08:00:00 UTC and 2027-01-16 08:00:00 UTC" in out
    assert "the keys of the epoch before end when the new ones begin" in out


def test_nobody_joins_without_being_asked(desk: Desk, token: tuple[str, Path]) -> None:
    code, out, _ = desk.call("join", ID[:12], *token)

    assert code == Answer.REFUSED
    assert "not confirmed" in out
    assert desk.done == []


def test_a_refusal_comes_with_its_remedy(desk: Desk, token: tuple[str, Path]) -> None:
    desk.refusal = CeremonyRefused("the deadline has passed", "propose it again")

    code, _, err = desk.call("join", ID, "--yes", *token)

    assert code == Answer.NO
    assert "the deadline has passed" in err
    assert "try: propose it again" in err


@pytest.mark.parametrize(
    ("name", "code", "told"),
    [
        ("3f2a90c14be", Answer.USAGE, "2 ceremonies"),
        ("ffffffff", Answer.NO, "tocsin ceremony status"),
        ("3f", Answer.USAGE, "at least 8 digits"),
    ],
)
def test_a_ceremony_is_named_by_an_unambiguous_beginning(
    desk: Desk, name: str, code: Answer, told: str
) -> None:
    desk.known = [document(), document(id=OTHER)]

    answer = desk.call("status", name)

    assert answer[0] == code
    assert told in answer[2]


@pytest.mark.parametrize(
    ("changes", "code", "told"),
    [
        ({}, Answer.UNKNOWN, "join ███████████████░░░░░ 3/4  waiting for dave"),
        ({"state": "expired", "reason": "dave did not join"}, Answer.NO, "3/4  missing: dave"),
        ({"state": "failed", "faults": [{"party": "mallory", "what": "a bad deal", "evidence": "/e/x"}]},
         Answer.NO, "at fault: mallory: a bad deal"),
        (DONE, Answer.YES, "tocsin ceremony verify committee/keys-0001-0001.keys"),
    ],
)  # fmt: skip
def test_status_is_a_bar_for_each_step_and_an_exit_code(
    desk: Desk, changes: dict[str, Json], code: Answer, told: str
) -> None:
    desk.known = [document(**changes)]

    answer = desk.call("status", ID[:12])

    assert answer[0] == code
    assert told in answer[1]


def test_status_without_a_name_lists_all_and_says_that_there_are_no_keys(desk: Desk) -> None:
    code, out, _ = desk.call("status")

    assert code == Answer.YES
    assert "3f2a90c14be70000" in out
    assert "no threshold keys are in force" in out


def test_following_ends_with_the_ceremony(desk: Desk) -> None:
    desk.later = [DONE]

    code, out, err = desk.call("status", "--follow", "--json")

    assert code == Answer.YES
    assert json.loads(out)["ceremony"]["state"] == "done"
    assert [json.loads(line)["ceremony"]["state"] for line in err.splitlines()] == ["proposed", "done"]


def test_a_proposal_holds_what_the_options_say(desk: Desk, token: tuple[str, Path]) -> None:
    code, out, err = desk.call(
        "propose", "--without", "dave", "--deadline", "2h", "--ed25519",
        "--rotate-from", "2027-01-15T08:00:00Z", "--rotate-until", "1800086400", "--revoke-previous", *token,
    )  # fmt: skip

    assert code == Answer.YES, err
    window = RotationWindow(1_800_000_000, 1_800_086_400, revoke=True)
    groups = ("fast", "fast/ed25519", "full", "full/ed25519")
    assert desk.proposed == [ProposalRequest(CeremonyKind.DKG, None, ("dave",), (), groups, 7_200, window)]
    assert f"tocsin ceremony join {ID[:16]}" in out


def test_start_proposes_joins_and_follows(desk: Desk, token: tuple[str, Path]) -> None:
    desk.later = [DONE]

    code, out, err = desk.call("start", "--yes", *token)

    assert code == Answer.YES, err
    assert desk.done == [(bytes.fromhex(ID), CeremonyDeed.JOIN)]
    assert "done" in out


def test_a_reshare_names_who_has_no_share_to_deal(desk: Desk, token: tuple[str, Path]) -> None:
    code, _, err = desk.call("reshare", "--replace", "bob", "--propose-only", *token)

    assert code == Answer.YES, err
    assert desk.proposed == [ProposalRequest(CeremonyKind.RESHARE, None, (), ("bob",), (), 3_600, None)]
    assert desk.done == []


@pytest.mark.parametrize(
    "words",
    [
        ("--rotate-from", "2027-01-15T08:00:00Z"),
        ("--revoke-previous",),
        ("--rotate-from", "tomorrow", "--rotate-until", "1800086400"),
        ("--rotate-from", "2027-01-15T08:00:00", "--rotate-until", "1800086400"),
        ("--deadline", "soon"),
        ("--committee", "nothing.toml"),
    ],
)
def test_options_that_do_not_fit_are_told_before_anything_is_asked(
    desk: Desk, words: tuple[str, ...]
) -> None:
    assert desk.call("propose", *words)[0] == Answer.USAGE
    assert desk.proposed == []


def test_dropping_asks_first(desk: Desk, token: tuple[str, Path]) -> None:
    assert desk.call("drop", ID, *token)[0] == Answer.REFUSED
    assert desk.call("drop", ID, "--yes", *token)[0] == Answer.YES
    assert desk.done == [(bytes.fromhex(ID), CeremonyDeed.DROP)]


def test_no_node_is_could_not_tell() -> None:
    said = tocsin("ceremony", "status", "--url", "http://127.0.0.1:1")

    assert said.code == Answer.UNKNOWN
    assert "expected a running node" in said.err
    assert "try: start it with: tocsin run" in said.err
