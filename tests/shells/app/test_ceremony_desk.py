"""What operators see of ceremonies, and what a node refuses them, in words."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field, replace
from pathlib import Path

import pytest

from proofs.groupkeys import KeysDocument
from relay.api import CeremonyDeed, CeremonyKind, CeremonyRefused, Json, ProposalRequest, RotationWindow
from relay.app.ceremony_desk import CeremonyDesk
from relay.core.ceremony_effects import CeremonyEvent, CeremonyJoined, CeremonyLeft, CeremonyProposed
from relay.core.node import Node, NodeSettings
from relay.core.types import Digest, Millis
from relay.threshold.messages import CeremonyMessage, Deal, Proposal, RotationTerms, Transcript
from tests.core.parish import DEADLINE_MS, Parish
from tests.sim.keys import Keys

pytestmark = pytest.mark.asyncio

ASKED = ProposalRequest(CeremonyKind.DKG, None, (), (), (), 60, None)
RESHARE = replace(ASKED, kind=CeremonyKind.RESHARE)


@dataclass
class Office:
    """Alice's desk over a node whose ceremonies are those of a parish."""

    parish: Parish = field(default_factory=Parish)
    asked: list[CeremonyEvent] = field(default_factory=list)
    held: list[Digest] = field(default_factory=list)
    desk: CeremonyDesk = field(init=False)

    def __post_init__(self) -> None:
        alice = self.parish["alice"]
        node = Node(NodeSettings(alice.identity, self.parish.committee, (), {}))
        node.ceremonies = alice.core

        async def put(event: CeremonyEvent) -> None:
            self.asked.append(event)

        self.desk = CeremonyDesk(
            node=node,
            put=put,
            clock=lambda: self.parish.now_ms,
            holds=lambda: self.held,
            keys_file=lambda document: Path("committee") / f"{document.generation}.keys",
            evidence=Path("evidence"),
            committee_directory=Path("committee"),
        )

    def seen(self, ceremony: Digest) -> Mapping[str, Json]:
        return next(each for each in self.desk.ceremonies() if each["id"] == ceremony.hex())

    def make_keys(self) -> KeysDocument:
        document = self.parish.make_keys()
        self.held.append(document.digest)
        return document

    async def refusal(self, ceremony: Digest, deed: CeremonyDeed = CeremonyDeed.JOIN) -> str:
        with pytest.raises(CeremonyRefused) as caught:
            await self.desk.act(ceremony, deed)
        assert self.asked == []
        return f"{caught.value}; {caught.value.remedy}"


def missing(seen: Mapping[str, Json]) -> dict[str, Json]:
    steps = seen["steps"]
    assert isinstance(steps, list)
    return {step["name"]: step["missing"] for step in steps}


async def test_a_ceremony_is_seen_by_names_step_by_step() -> None:
    office = Office()
    ceremony = office.parish.propose("bob")
    assert (office.seen(ceremony)["state"], office.seen(ceremony)["proposer"]) == ("proposed", "bob")
    assert office.seen(ceremony)["groups"] == [
        {"name": "fast", "threshold": 2},
        {"name": "full", "threshold": 3},
    ]

    office.parish.join(ceremony, "alice", "bob", "carol")
    assert missing(office.seen(ceremony))["join"] == ["dave"]
    office.parish.join(ceremony, "dave")

    done = office.seen(ceremony)
    assert (done["state"], done["file"]) == ("done", "committee/1.keys")
    assert missing(done) == {"join": [], "deal": [], "sign": []}


async def test_what_failed_names_the_culprit_and_where_the_evidence_is() -> None:
    office = Office()

    def spoil(author: Keys, message: CeremonyMessage) -> Sequence[CeremonyMessage]:
        if author.name == "carol" and isinstance(message, Deal):
            return [
                replace(message, groups=(replace(message.groups[0], proof=bytes(65)), *message.groups[1:]))
            ]
        return [message]

    office.parish.twist = spoil
    ceremony = office.parish.propose()
    office.parish.join(ceremony)

    seen = office.seen(ceremony)
    assert seen["state"] == "failed"
    assert seen["reason"] == "deal of carol: fast: a wrong proof of the constant term"
    faults = seen["faults"]
    assert isinstance(faults, list)
    assert [(fault["party"], fault["evidence"]) for fault in faults] == [
        ("carol", f"evidence/{next(iter(office.parish['alice'].evidence))}")
    ]


async def test_what_expired_names_who_was_missing() -> None:
    office = Office()
    ceremony = office.parish.propose()
    office.parish.join(ceremony, "alice", "bob")
    office.parish.now_ms = Millis(DEADLINE_MS + 1)
    office.parish["alice"].tick()

    assert office.seen(ceremony)["reason"] == "the deadline passed without carol, dave"
    assert "it has ended: expired" in await office.refusal(ceremony)


async def test_keys_in_force_are_shown_with_whether_this_node_can_sign() -> None:
    office = Office()
    document = office.make_keys()

    (keys,) = office.desk.overview()["keys"]  # type: ignore[misc, union-attr] - JSON

    assert (keys["document"], keys["share"]) == (document.digest.hex(), "held by this node")
    office.held.clear()
    (keys,) = office.desk.overview()["keys"]  # type: ignore[misc, union-attr] - JSON
    assert keys["share"] == "none on this node"


async def test_a_proposal_is_made_of_what_is_asked_for() -> None:
    office = Office()

    name = await office.desk.propose(replace(ASKED, without=("dave",)))

    (event,) = office.asked
    assert isinstance(event, CeremonyProposed)
    assert len(event.proposal.receivers) == 3
    assert event.proposal.deadline_ms == office.parish.now_ms + 60_000
    assert len(name) == 64


@pytest.mark.parametrize(
    ("request_", "told"),
    [
        (replace(ASKED, without=("zoe",)), "zoe"),
        (replace(ASKED, committee=bytes(32)), "it is read at once"),
        (RESHARE, "tocsin ceremony start"),
        (replace(ASKED, rotation=RotationWindow(1, 2, revoke=False)), "leave --rotate-from"),
    ],
)
async def test_what_cannot_be_proposed_is_refused_with_a_remedy(request_: ProposalRequest, told: str) -> None:
    office = Office()

    with pytest.raises(CeremonyRefused) as caught:
        await office.desk.propose(request_)

    assert told in f"{caught.value}; {caught.value.remedy}"
    assert office.asked == []


async def test_keys_that_are_in_force_are_not_made_again_and_one_ceremony_at_a_time_is_ours() -> None:
    office = Office()
    office.make_keys()
    with pytest.raises(CeremonyRefused, match="in force already"):
        await office.desk.propose(ASKED)

    await office.desk.propose(RESHARE)
    (event,) = office.asked
    assert isinstance(event, CeremonyProposed)
    office.parish.ask("alice", event.proposal)
    with pytest.raises(CeremonyRefused, match="another open ceremony"):
        await office.desk.propose(RESHARE)


async def test_joining_and_dropping_reach_the_node() -> None:
    office = Office()
    ceremony = office.parish.propose()

    await office.desk.act(ceremony, CeremonyDeed.JOIN)
    await office.desk.act(ceremony, CeremonyDeed.DROP)

    now_ms = office.parish.now_ms
    assert office.asked == [CeremonyJoined(ceremony, now_ms), CeremonyLeft(ceremony, now_ms)]


async def test_who_cannot_take_part_is_told_why() -> None:
    office = Office()
    assert "tocsin ceremony status" in await office.refusal(Digest(bytes(32)))
    left_out = office.parish.propose("bob", without=("alice",))
    assert "no participant" in await office.refusal(left_out)
    rotating = replace(_proposal(office), rotation=RotationTerms(1, 2, revoke=False))
    assert "no rotation for key epoch 1" in await office.refusal(office.parish.ask("carol", rotating))


def _proposal(office: Office) -> Proposal:
    running = office.parish["alice"].core.all()[-1]
    return replace(running.proposal, receivers=_all(office), dealers=_all(office), salt=bytes([7]) * 16)


def _all(office: Office) -> tuple[bytes, ...]:
    return tuple(sorted(priest.identity for priest in office.parish.priests))


async def test_a_share_that_is_not_there_cannot_be_dealt() -> None:
    office = Office()
    ceremony = office.parish.propose_reshare(office.make_keys())
    office.held.clear()

    assert "--replace" in await office.refusal(ceremony)


async def test_keys_that_are_not_the_newest_are_not_shared_anew() -> None:
    office = Office()
    old = office.make_keys()
    ceremony = office.parish.propose_reshare(old, generation=9)
    newer = office.parish.propose_reshare(old, "bob", salt=bytes([8]) * 16, without=("alice",))
    office.parish.join(newer, "bob", "carol", "dave")

    assert "not the newest" in await office.refusal(ceremony)


async def test_other_keys_for_an_epoch_that_verifiers_know_are_not_joined() -> None:
    """They would supersede those that verifiers take: the shares of these would be erased."""
    office = Office()
    office.make_keys()

    ceremony = office.parish.propose("dave", generation=2, salt=bytes([4]) * 16)

    assert await office.refusal(ceremony) == (
        "keys of key epoch 1 are in force already; "
        "for new shares of them: tocsin ceremony reshare; other keys need a new key epoch"
    )


async def test_what_this_node_has_signed_it_neither_drops_nor_joins_beside() -> None:
    office = Office()
    ceremony = office.parish.propose()
    office.parish.twist = lambda author, message: (
        [] if isinstance(message, Transcript) and author.name == "dave" else [message]
    )
    office.parish.join(ceremony)

    assert "has signed the keys" in await office.refusal(ceremony, CeremonyDeed.DROP)
    again = office.parish.propose("bob", generation=1, salt=bytes([8]) * 16)
    assert "--generation 2" in await office.refusal(again)
