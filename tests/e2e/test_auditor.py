"""The auditor's side of a running network: members that die, hide, and rewrite; and what a stranger sees.

One member hides its own word from the beginning. Each test but the last leaves all four as they were.
"""

from __future__ import annotations

import asyncio
import json
import random
import sys
import threading
import urllib.request
from collections.abc import AsyncIterator, Iterator, Mapping
from contextlib import contextmanager
from dataclasses import dataclass
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from pathlib import Path

import pytest
import pytest_asyncio

from adapters.evm.demo.network import Member
from proofs.checkpoint import open_checkpoint
from proofs.committee import cosigner_key
from proofs.forks import decode_fork
from proofs.note import parse_note, parse_signatures, verify_note
from proofs.witness import AddCheckpoint, add_cosignatures, format_add_checkpoint
from relay.cli.settings import Answer
from relay.core.effects import PageKind
from relay.core.plan_file import parse_plan
from tests.cli.calls import tocsin
from tests.e2e.audited import Auditor, open_auditor
from tests.e2e.rewriting import flip_a_byte, rewrite_history
from tests.e2e.scene import FINAL_BLOCKS, Scene, log_lines, open_scene, until
from tests.e2e.vestry import Vestry

pytestmark = [
    pytest.mark.slow,
    pytest.mark.timeout(1_200),
    pytest.mark.asyncio(loop_scope="module"),
]

CHAIN_IDS = (724_171, 724_172)
HIDER = "carol"
HONEST = ("alice", "bob", "dave")
FAST_MANDATE_S = 1_800
QUORUM = 3


@dataclass(frozen=True, slots=True)
class Inquest:
    """An incident that is over, published everywhere: its first decision, and who looks into it."""

    scene: Scene
    auditor: Auditor
    decision: str

    def member(self, name: str) -> Member:
        return self.scene.member(name)

    @property
    def members(self) -> tuple[Member, ...]:
        return self.scene.network.members

    async def grow(self, member: Member, word: str) -> None:
        """Let a member say something that may be published at once, and wait until its own log has it."""
        before = await self.auditor.size(member)
        plan = parse_plan(self.scene.world.plan_texts["bridge"], where="bridge")
        said = {"plan_hash": plan.hash.hex(), "subject": word, "reporter": "a test", "note": ""}
        await self.scene.network.post(member, "/v1/signals", said)

        async def has_grown() -> bool:
            return await self.auditor.size(member) > before

        await until(f"{member.name} publishes {word}", has_grown)


@pytest_asyncio.fixture(scope="module", loop_scope="module")
async def inquest(tmp_path_factory: pytest.TempPathFactory) -> AsyncIterator[Inquest]:
    """The attack, contained and over, with one member that dissents and hides it."""
    seed = random.SystemRandom().getrandbits(32)
    print(f"scenario seed {seed}")
    home: Path = tmp_path_factory.mktemp("audited")
    async with open_scene(home, seed=seed, chain_ids=CHAIN_IDS) as scene:
        hider = scene.member(HIDER)
        await hiding(scene, hider)
        for member in scene.network.members:
            await scene.wait_ready(member)
        await scene.read_by_all()
        auditor = open_auditor(scene, tmp_path_factory.mktemp("auditor"))
        yield Inquest(scene, auditor, await contain(scene))


async def hiding(scene: Scene, member: Member) -> None:
    """Start a member's process, with what hides its own word in it."""
    program = f"from tests.e2e.turned import hide\nhide('{member.public.identity.hex()}')"
    await Vestry(scene.network).turn(member, program)


async def contain(scene: Scene) -> str:
    """Let the attack come and be contained, and time pass until all of it is final and published."""
    alice = scene.member("alice")
    thefts = [scene.bridge.steal(step) for step in scene.thefts()[:2]]
    assert all((await scene.mine(near=thefts)).near_done), "the flaw is there"

    async def root() -> str:
        seen = await scene.sightings(alice)
        chains = {act.chain for each in seen for act in each.acts}
        roots = [each.id for each in seen if each.certified and each.parent is None and each.acts]
        return roots[0] if chains == {scene.near, scene.far} and roots else ""

    decision = await scene.mine_until("acts on both chains", root)
    for _ in range(FINAL_BLOCKS):
        await scene.mine()
    await scene.read_by_all()
    await scene.mine(after_s=FAST_MANDATE_S + 12)
    await scene.read_by_all()
    return decision


async def test_every_member_keeps_the_policy_that_the_auditor_pinned(inquest: Inquest) -> None:
    pinned = inquest.auditor.policy.read_bytes()

    assert {(each.directory.path / "policy.txt").read_bytes() for each in inquest.members} == {pinned}


# ---- witnesses


async def test_a_stranger_has_a_checkpoint_cosigned_by_plain_http(inquest: Inquest) -> None:
    alice, bob = inquest.member("alice"), inquest.member("bob")
    committee = inquest.scene.network.committee
    key = cosigner_key(committee, next(each for each in committee.members if each.name == "alice"))

    async def asked() -> tuple[str, int, bytes, str]:
        note = (await inquest.scene.network.fetch(bob, "/checkpoint") or b"").decode()
        size = await inquest.auditor.size(bob)
        request = format_add_checkpoint(AddCheckpoint(size, (), note))
        return note, *await asyncio.to_thread(post, alice.url + "/add-checkpoint", request)

    async def cosigned() -> tuple[str, bytes] | None:
        note, status, body, _ = await asked()  # 409 where bob has published more meanwhile
        return (note, body) if status == 200 else None

    note, body = await until("alice cosigns what bob serves", cosigned)
    whole = add_cosignatures(note, parse_signatures(body.decode()))
    assert [each.key for each in verify_note(parse_note(whole), [key])] == [key]

    stale = format_add_checkpoint(AddCheckpoint(0, (), note))
    status, body, kind = await asyncio.to_thread(post, alice.url + "/add-checkpoint", stale)
    assert (status, kind) == (409, "text/x.tlog.size")
    assert int(body) >= open_checkpoint(note, inquest.auditor.parsed.logs).checkpoint.size

    unknown = stale.replace(b"demo/bob", b"demo/eve")
    status, _, _ = await asyncio.to_thread(post, alice.url + "/add-checkpoint", unknown)
    assert status == 404


def post(url: str, body: bytes) -> tuple[int, bytes, str]:
    """POST as anybody may; gives status, body and content type."""
    request = urllib.request.Request(url, data=body, method="POST")
    try:
        with urllib.request.urlopen(request, timeout=30) as answer:
            return answer.status, answer.read(), answer.headers["Content-Type"]
    except urllib.error.HTTPError as error:
        with error:
            return error.code, error.read(), error.headers["Content-Type"]


async def test_headers_that_members_cosign_are_in_the_bundle_and_the_verdict_says_final_by_whom(
    inquest: Inquest,
) -> None:
    bob = inquest.member("bob")

    async def final() -> dict[str, list[Mapping]] | None:
        verdict = await inquest.auditor.verify(await inquest.auditor.bundle(bob, inquest.decision))
        told = finality_of(verdict)
        counts = [len(each["said_by"]) for said in told.values() for each in said]
        return told if len(told) == 2 and set(counts) == {4} else None

    found = await until("all members say that the blocks on both chains are final", final)

    assert set(found) == {inquest.scene.near, inquest.scene.far}
    for said in found.values():
        assert all(each["is_agreed"] and set(each["said_by"]) == {*HONEST, HIDER} for each in said)


def finality_of(verdict: Mapping) -> dict[str, list[Mapping]]:
    """What is said of the finality of blocks with a receipt, by chain."""
    found: dict[str, list[Mapping]] = {}
    for act in (act for decision in verdict["decisions"] for act in decision["acts"]):
        said = [outcome["final"] for outcome in act["outcomes"] if outcome["receipt"] is not None]
        found.setdefault(act["chain"], []).extend(said)
    return {chain: said for chain, said in found.items() if said}


@pytest.mark.parametrize("victim", [*HONEST, HIDER])
async def test_with_any_member_killed_the_others_publish_witnessed_and_give_the_bundle(
    inquest: Inquest, victim: str
) -> None:
    scene, auditor = inquest.scene, inquest.auditor
    killed = inquest.member(victim)
    others = [member for member in inquest.members if member is not killed]
    await scene.kill(killed)
    try:
        for member in others:
            await inquest.grow(member, f"without-{victim}-{member.name}")
        cosigners = {member.name: await auditor.cosigners(member) for member in others}
        # The bundle of who hides its own word would not verify: its certificate needs what it leaves out.
        asked = [member for member in others if member.name != HIDER]
        verdicts = [await auditor.verify(await auditor.bundle(each, inquest.decision)) for each in asked]
    finally:
        if victim == HIDER:
            await hiding(scene, killed)
        else:
            await scene.network.start(killed)
        await scene.wait_ready(killed)

    names = {member.name for member in others}
    assert all(cosigned == names for cosigned in cosigners.values()), cosigners
    for verdict in verdicts:
        log = verdict["log"]
        assert {name.split("/")[1] for name in log["witnesses"]} == names
        assert (verdict["policy_pinned"], verdict["network_pinned"]) == (True, True)


# ---- copies


async def test_a_mirror_of_a_growing_log_is_killed_goes_on_and_replays(
    inquest: Inquest, tmp_path: Path
) -> None:
    alice, folder = inquest.member("alice"), tmp_path / "mirror"
    options = ("--policy", inquest.auditor.policy)
    with slow_copy_of(alice.url) as (url, is_asked):
        command = [sys.executable, "-m", "relay.cli", "audit", "mirror", url, folder, *options]
        process = await asyncio.create_subprocess_exec(
            *map(str, command),
            stdout=asyncio.subprocess.DEVNULL,
            stderr=asyncio.subprocess.DEVNULL,
        )
        assert await asyncio.to_thread(is_asked.wait, 60), "the mirror asks for entries"
        process.kill()
        await process.wait()
    assert not (folder / "checkpoint").exists(), "what is not whole is no log"
    await inquest.grow(alice, "while-it-was-dead")

    mirrored = await inquest.auditor.call("mirror", alice.url, folder, *options, "--json")

    assert mirrored.code == Answer.YES, mirrored.out + mirrored.err
    document = json.loads(mirrored.out)
    assert document["size"] > 0
    plans = write_plans(inquest.scene, tmp_path)
    replayed = await inquest.auditor.call("replay", folder, *plans, *options, "--json")
    told = json.loads(replayed.out)["attestations"]
    hider = inquest.member(HIDER).public.identity.hex()[:16]  # a log tells no names
    assert len({each["member"] for each in told}) == len(inquest.members)
    assert replayed.code in (Answer.YES, Answer.UNKNOWN), replayed.out
    assert {each["same"] for each in told if each["decision_id"] == inquest.decision} == {True}
    hidden = [each for each in told if each["member"] == hider]
    assert {each["verdict"] for each in hidden} == {"dissent"}, "what its author hides stands in alice's log"


def write_plans(scene: Scene, folder: Path) -> list[object]:
    """Give the options that name the plans' files."""
    options: list[object] = []
    for name, text in scene.world.plan_texts.items():
        file = folder / f"{name}.plan.toml"
        file.write_text(text)
        options += ["--plan", file]
    return options


@contextmanager
def slow_copy_of(url: str) -> Iterator[tuple[str, threading.Event]]:
    """Serve a log's files as they are, but never entries; gives the address, and when some were asked for."""
    is_asked, is_over = threading.Event(), threading.Event()

    class Handler(BaseHTTPRequestHandler):
        def do_GET(self) -> None:
            if self.path.startswith("/tile/entries/"):
                is_asked.set()
                is_over.wait(60)
                return
            with urllib.request.urlopen(url + self.path, timeout=30) as answer:
                content = answer.read()
            self.send_response(200)
            self.send_header("Content-Length", str(len(content)))
            self.end_headers()
            self.wfile.write(content)

        def log_message(self, *_: object) -> None:
            """Nobody reads it."""

    server = ThreadingHTTPServer(("127.0.0.1", 0), Handler)
    server.daemon_threads = True
    thread = threading.Thread(target=server.serve_forever)
    thread.start()
    try:
        yield f"http://127.0.0.1:{server.server_port}", is_asked
    finally:
        is_over.set()
        server.shutdown()
        thread.join()
        server.server_close()


# ---- who leaves out, who rewrites


async def test_a_member_that_leaves_out_its_own_dissent_is_named(inquest: Inquest, tmp_path: Path) -> None:
    urls, page = [member.url for member in inquest.members], tmp_path / "story.html"
    options = (*inquest.auditor.pins, "--html", page, "--wait", "--json")

    async def told() -> Mapping[str, object] | None:
        said = await inquest.auditor.call("incident", inquest.decision[:16], *urls, *options)
        document = json.loads(said.out)
        return document if any(each["name"] == "omitted-own" for each in document["findings"]) else None

    document = await until("what is missing is overdue", told)

    assert document["answer"] == "no"
    found = [each for each in document["findings"] if each["answer"] == "no"]
    omitted = [each["facts"] for each in found if each["name"] == "omitted-own"]
    assert {(each["keeper"], each["author"], each["what"]) for each in omitted} == {(HIDER, HIDER, "dissent")}
    assert not {each["name"] for each in found} & {"fork", "rollback", "inconsistent", "contradiction"}
    assert "the log of carol has not its own dissent" in page.read_text()


async def test_one_changed_byte_is_found_by_the_node_itself(inquest: Inquest) -> None:
    dave = inquest.member("dave")
    await inquest.scene.stop(dave)
    flip_a_byte(dave)
    try:
        await inquest.scene.network.start(dave)
        assert dave.process is not None
        async with asyncio.timeout(120):
            code = await dave.process.wait()
    finally:
        if dave.process is not None and dave.process.returncode is None:
            await inquest.scene.kill(dave)
        flip_a_byte(dave)
        await inquest.scene.start(dave)

    assert code != 0
    assert "journal" in dave.log_file.read_text()


async def test_a_rewritten_database_is_refused_by_the_others_and_seen_by_whoever_follows(
    inquest: Inquest,
) -> None:
    scene, auditor = inquest.scene, inquest.auditor
    dave, others = inquest.member("dave"), [inquest.member("alice"), inquest.member("bob")]

    async def all_hold() -> bool:
        return (await auditor.follow(*inquest.members)).code == Answer.YES

    await until("all logs are followed", all_hold)
    await scene.stop(dave)
    new = rewrite_history(dave, scene.network.passphrase)
    await scene.network.start(dave)
    await scene.network.wait_serving(dave)

    for member in others:
        evidence = await until(f"{member.name} has evidence", lambda member=member: fork_of(member))
        assert decode_fork(evidence).origin == new.origin

        async def has_paged(member: Member = member) -> bool:
            return any(line["event"] == PageKind.FORK_EVIDENCE.value for line in log_lines(member))

        await until(f"{member.name} pages", has_paged)
        known = await scene.network.ask(member, "/v1/log")
        assert isinstance(known, dict)
        assert [fork["origin"] for fork in known["forks"]] == [new.origin]
        assert tocsin("--home", member.directory.home, "log").code == Answer.NO

    status, _, _ = await asyncio.to_thread(
        post,
        others[0].url + "/add-checkpoint",
        format_add_checkpoint(
            AddCheckpoint(new.size, (), (await scene.network.fetch(dave, "/checkpoint") or b"").decode())
        ),
    )
    assert status in (403, 409)
    assert await auditor.cosigners_named(dave) == set()
    followed = await auditor.follow(*inquest.members)
    assert followed.code == Answer.NO
    alarms = {(each["alarm"], each["log"]) for each in json.loads(followed.out)["alarms"]}
    assert ("fork", new.origin) in alarms
    assert {log for _, log in alarms} == {new.origin}


async def fork_of(member: Member) -> bytes | None:
    """The evidence of a fork that a member keeps."""
    found = sorted(member.directory.evidence.glob("fork-*.json"))
    return found[0].read_bytes() if found else None
