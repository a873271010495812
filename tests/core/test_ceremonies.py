"""The ceremonies of a node: who is asked for what and when, what ends them, what a restart brings back."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import replace

import pytest

from relay.core.ceremonies import (
    MAX_DEADLINE_MS,
    MAX_ENDED,
)
from relay.core.ceremony_effects import CeremonyJoined, CeremonyLeft, CeremonyProposed, CeremonyStuck
from relay.core.ceremony_running import Ended
from relay.core.ceremony_terms import WishRefused, propose_dkg
from relay.core.effects import SignStatement
from relay.core.events import Signed, Started, Ticked
from relay.core.node import Node, NodeSettings
from relay.core.types import Digest, Millis
from relay.threshold.blame import judge, read_evidence
from relay.threshold.messages import CeremonyMessage, Deal, Join, Proposal, RotationTerms, Transcript
from tests.core.parish import DEADLINE_MS, Parish, Word
from tests.sim.keys import Keys


def test_when_all_have_joined_keys_come_into_force_everywhere_by_themselves() -> None:
    parish = Parish()

    ceremony = parish.propose()
    parish.join(ceremony, "alice", "bob", "carol")
    assert [priest.in_force for priest in parish.priests] == [[], [], [], []]
    parish.join(ceremony, "dave")

    documents = {keys.document.digest for priest in parish.priests for keys in priest.in_force}
    assert len(documents) == 1
    for priest in parish.priests:
        assert (len(priest.in_force), priest.running(ceremony).ended) == (1, Ended.DONE)
        assert set(priest.shares) == documents


def test_nobody_says_anything_without_its_operator() -> None:
    parish = Parish()

    parish.propose()

    assert [priest.said for priest in parish.priests] == [1, 0, 0, 0]


def test_one_who_was_left_out_takes_the_keys_without_a_share() -> None:
    parish = Parish()

    parish.join(parish.propose(without=("dave",)))

    assert len(parish["dave"].in_force) == 1
    assert parish["dave"].shares == {}
    assert parish["dave"].said == 0


@pytest.mark.parametrize("kind", [Join, Deal, Transcript])
def test_one_that_is_killed_before_its_word_goes_on_after_a_restart(kind: type[CeremonyMessage]) -> None:
    parish = Parish()
    ceremony = parish.propose()

    def kill_bob(author: Keys, message: CeremonyMessage) -> Sequence[CeremonyMessage]:
        if author.name == "bob" and isinstance(message, kind) and parish["bob"].is_up:
            parish["bob"].is_up = False
            return []
        return [message]

    parish.twist = kill_bob
    parish.join(ceremony)
    assert not parish["bob"].is_up
    assert parish["alice"].in_force == []
    parish.twist = lambda _author, message: [message]
    parish["bob"].restart()
    parish.deliver()
    parish.heal(parish["bob"])

    assert [len(priest.in_force) for priest in parish.priests] == [1, 1, 1, 1]


def test_one_that_missed_the_last_words_and_the_deadline_still_gets_its_keys() -> None:
    parish = Parish()
    ceremony = parish.propose()

    def lose_dave(author: Keys, message: CeremonyMessage) -> Sequence[CeremonyMessage]:
        # Dave has signed, and hears nothing of the others' signatures.
        parish["dave"].is_up = not isinstance(message, Transcript) or author.name == "dave"
        return [message]

    parish.twist = lose_dave
    parish.join(ceremony)
    assert [len(priest.in_force) for priest in parish.priests] == [1, 1, 1, 0]
    parish.now_ms = Millis(DEADLINE_MS + 1)
    parish["dave"].restart()
    parish["dave"].tick()
    assert parish["dave"].running(ceremony).ended is Ended.EXPIRED
    assert parish["dave"].erased == []

    parish.twist = lambda _author, message: [message]
    parish.heal(parish["dave"])

    assert len(parish["dave"].in_force) == 1
    assert parish["dave"].running(ceremony).ended is Ended.DONE


def test_one_that_is_killed_while_keys_come_into_force_puts_them_in_force_at_its_start() -> None:
    parish = Parish()
    parish["dave"].dies_before_force = True
    parish.join(parish.propose())
    assert [len(priest.in_force) for priest in parish.priests] == [1, 1, 1, 0]

    parish["dave"].restart()

    assert len(parish["dave"].in_force) == 1


def test_who_has_signed_stands_by_its_document_whatever_it_hears_then() -> None:
    parish = Parish()
    ceremony = parish.propose()
    spoken: list[Word] = []

    def hold_back(author: Keys, message: CeremonyMessage) -> Sequence[CeremonyMessage]:
        if isinstance(message, Transcript) and author.name != "alice":
            spoken.append((author, message))
            return []
        return [message]

    parish.twist = hold_back
    parish.join(ceremony)
    carol = parish["carol"].keys
    deal = next(message for author, message in parish.kept if isinstance(message, Deal) and author is carol)
    parish["alice"].hear(carol, replace(deal, joins=Digest(bytes(32))))
    assert parish["alice"].running(ceremony).ended is Ended.FAILED

    for author, message in spoken:
        parish["alice"].hear(author, message)

    assert len(parish["alice"].in_force) == 1


def test_a_ceremony_with_a_member_missing_expires_and_the_old_keys_stay() -> None:
    parish = Parish()
    old = parish.make_keys()
    ceremony = parish.propose_reshare(old)
    parish.join(ceremony, "alice", "bob", "carol")

    parish.now_ms = Millis(DEADLINE_MS + 1)
    for priest in parish.priests:
        priest.tick()

    for priest in parish.priests:
        running = priest.running(ceremony)
        assert running.ended is Ended.EXPIRED
        assert running.ceremony is not None
        assert running.ceremony.waiting_for() == (parish["dave"].identity,)
        assert priest.core.base_of(1) == old
        assert priest.erased == [ceremony]
    parish.join(ceremony, "dave")
    assert [len(priest.in_force) for priest in parish.priests] == [1, 1, 1, 1]


def lose_dave_s_signature(author: Keys, message: CeremonyMessage) -> Sequence[CeremonyMessage]:
    return [] if isinstance(message, Transcript) and author.name == "dave" else [message]


def test_who_signed_keeps_its_shares_until_a_higher_generation_is_in_force() -> None:
    parish = Parish()
    ceremony = parish.propose()
    parish.twist = lose_dave_s_signature
    parish.join(ceremony)
    parish.now_ms = Millis(DEADLINE_MS + 1)
    for priest in parish.priests:
        priest.tick()
    assert parish["alice"].running(ceremony).ended is Ended.EXPIRED
    assert parish["alice"].erased == []

    parish.twist = lambda _author, message: [message]
    parish.join(parish.propose(deadline_ms=Millis(3 * DEADLINE_MS), salt=bytes([2]) * 16))

    assert parish["alice"].in_force[-1].document.generation == 2
    assert parish["alice"].erased == [ceremony]
    # The process may have ended before it was done.
    parish["alice"].restart()
    assert parish["alice"].erased == [ceremony] * 2


def test_keys_that_come_late_erase_nothing_of_a_later_generation() -> None:
    parish = Parish()
    first = parish.propose()
    lost: list[CeremonyMessage] = []

    def lose(author: Keys, message: CeremonyMessage) -> Sequence[CeremonyMessage]:
        lost.extend([message] if lose_dave_s_signature(author, message) == [] else [])
        return lose_dave_s_signature(author, message)

    parish.twist = lose
    for ceremony in (first, parish.propose("bob", salt=bytes([2]) * 16, generation=2)):
        parish.join(ceremony)
        assert parish["alice"].running(ceremony).has_signed(parish["alice"].identity)
    parish.now_ms = Millis(DEADLINE_MS + 1)
    for priest in parish.priests:
        priest.tick()

    parish["alice"].hear(parish["dave"].keys, lost[0])

    assert [keys.document.generation for keys in parish["alice"].in_force] == [1]
    assert parish["alice"].erased == []


def test_nobody_signs_two_documents_of_one_generation() -> None:
    parish = Parish()
    first = parish.propose("alice")
    second = parish.propose("bob", salt=bytes([2]) * 16)
    parish.twist = lose_dave_s_signature

    parish.join(second, "alice", "bob", "carol")
    parish.join(first)
    parish.join(second, "dave")

    signed = [
        (author.name, message.ceremony) for author, message in parish.kept if isinstance(message, Transcript)
    ]
    assert sorted(signed) == [("alice", first), ("bob", first), ("carol", first)]
    assert "has signed other keys of generation 1" in parish["alice"].running(second).trouble
    third = parish.propose("carol", salt=bytes([3]) * 16)
    assert parish["carol"].running(third).proposal.generation == 2


def test_who_signed_a_generation_joins_for_higher_ones_only() -> None:
    parish = Parish()
    parish.twist = lose_dave_s_signature
    parish.join(parish.propose("alice"))
    again = parish.propose("bob", generation=1, salt=bytes([2]) * 16)
    said = parish["alice"].said

    parish.join(again)

    assert parish["alice"].said == said
    assert parish["alice"].core.signed_generation(1) == 1


def test_what_a_rotation_says_is_not_forgotten() -> None:
    parish = Parish()
    terms = RotationTerms(1, 2, revoke=False)
    proposal = replace(propose_dkg(parish.wish(), parish.committee, parish.committee), rotation=terms)
    rotated = parish.ask("alice", proposal)
    parish.join(rotated)
    for number in range(MAX_ENDED + 2):
        deadline_ms = Millis(parish.now_ms + 10)
        parish.propose(deadline_ms=deadline_ms, salt=bytes([9, number]) * 8)
        parish.now_ms = Millis(deadline_ms + 1)
        for priest in parish.priests:
            priest.tick()

    assert parish["bob"].running(rotated).proposal.rotation == terms


def test_a_reshare_leaves_the_keys_and_ends_the_generation_before() -> None:
    parish = Parish()
    old = parish.make_keys()

    parish.join(parish.propose_reshare(old, replace=("bob",)))

    for priest in parish.priests:
        new = priest.in_force[-1].document
        assert new.generation == 2
        assert [group.key for group in new.groups] == [group.key for group in old.groups]
        assert priest.core.base_of(1) == new


def test_a_bad_deal_fails_the_ceremony_for_everybody() -> None:
    parish = Parish()

    def spoil(author: Keys, message: CeremonyMessage) -> Sequence[CeremonyMessage]:
        if author.name == "carol" and isinstance(message, Deal):
            group = replace(message.groups[0], proof=bytes(65))
            return [replace(message, groups=(group, *message.groups[1:]))]
        return [message]

    parish.twist = spoil
    ceremony = parish.propose()
    parish.join(ceremony)

    for priest in parish.priests:
        assert priest.running(ceremony).ended is Ended.FAILED
        assert priest.erased == [ceremony]
        assert priest.in_force == []
        (evidence,) = priest.evidence.values()
        assert priest.times_kept == 1
        verdict = judge(read_evidence(evidence), [parish.committee])
        assert (verdict.culprit, verdict.reason) == (
            parish["carol"].identity,
            "fast: a wrong proof of the constant term",
        )


def test_leaving_ends_our_part_and_erases_its_secrets() -> None:
    parish = Parish()
    ceremony = parish.propose()
    parish.join(ceremony, "alice")

    parish["alice"].tell(CeremonyLeft(ceremony, parish.now_ms))

    assert parish["alice"].erased == [ceremony]
    said = parish["alice"].said
    parish.join(ceremony)
    assert parish["alice"].said == said
    assert parish["bob"].in_force == []


def test_what_was_signed_cannot_be_left() -> None:
    parish = Parish()
    ceremony = parish.propose()
    parish.twist = lambda author, message: (
        [] if isinstance(message, Transcript) and author.name == "dave" else [message]
    )
    parish.join(ceremony)

    parish["alice"].tell(CeremonyLeft(ceremony, parish.now_ms))

    assert parish["alice"].running(ceremony).is_open
    assert parish["alice"].erased == []


def test_a_step_that_the_signer_could_not_do_is_told_and_asked_again_after_a_restart() -> None:
    parish = Parish()
    ceremony = parish.propose()
    parish.twist = lambda author, message: [] if author.name == "bob" else [message]
    parish["bob"].tell(CeremonyJoined(ceremony, parish.now_ms))
    parish["bob"]._do(parish["bob"].core.apply(CeremonyStuck(ceremony, "no disk"), parish.now_ms))
    assert parish["bob"].running(ceremony).trouble == "no disk"
    parish.deliver()
    said = parish["bob"].said
    parish["bob"].tell(CeremonyJoined(ceremony, parish.now_ms))
    assert parish["bob"].said == said + 1, "another join asks again"
    parish.deliver()

    parish.twist = lambda _author, message: [message]
    parish["bob"].restart()
    parish.join(ceremony, "alice", "carol", "dave")

    assert len(parish["bob"].in_force) == 1


def test_a_member_has_one_open_ceremony() -> None:
    parish = Parish(size=7)
    parish.propose("alice")
    parish.propose("alice", salt=b"\1" * 16)
    assert len(parish["bob"].core.all()) == 1

    parish.now_ms = Millis(DEADLINE_MS + 1)
    parish.propose("alice", deadline_ms=Millis(2 * DEADLINE_MS))
    assert [running.is_open for running in parish["bob"].core.all()] == [False, True]


def test_ended_ceremonies_make_room() -> None:
    parish = Parish()

    for number in range(MAX_ENDED + 4):
        deadline_ms = Millis(parish.now_ms + 10)
        parish.propose(deadline_ms=deadline_ms, salt=bytes([number]) * 16)
        parish.now_ms = Millis(deadline_ms + 1)
        for priest in parish.priests:
            priest.tick()

    assert len(parish["bob"].core.all()) == MAX_ENDED


@pytest.mark.parametrize("deadline_ms", [1_000, 1_001 + MAX_DEADLINE_MS])
def test_a_deadline_out_of_reason_is_no_proposal(deadline_ms: int) -> None:
    parish = Parish()

    parish.propose(deadline_ms=Millis(deadline_ms))

    assert [priest.core.all() for priest in parish.priests] == [()] * 4


def test_a_proposal_for_unknown_documents_waits_and_says_for_which() -> None:
    parish = Parish()
    old = parish.make_keys()
    newcomer = parish["dave"]
    newcomer.journal.clear()
    newcomer.restart()

    ceremony = parish.propose_reshare(old, replace=("dave",))
    assert old.digest.hex()[:16] in newcomer.running(ceremony).trouble
    newcomer._apply(lambda core: core.keys_in_force(old, parish.now_ms))
    parish.join(ceremony)

    assert newcomer.in_force[-1].document.generation == 2


def test_a_word_in_an_unknown_ceremony_and_a_stranger_s_word_change_nothing() -> None:
    parish = Parish()
    ceremony = parish.propose(without=("dave",))
    before = parish["bob"].running(ceremony).ceremony

    parish["bob"].hear(parish["dave"].keys, Join(ceremony, {}))
    parish["bob"].hear(parish["alice"].keys, Join(type(ceremony)(bytes(32)), {}))

    assert parish["bob"].running(ceremony).ceremony == before


def test_a_replay_gives_the_same_ceremonies() -> None:
    parish = Parish()
    old = parish.make_keys()
    parish.join(parish.propose_reshare(old), "alice", "bob")
    for priest in parish.priests:
        before = {each.id: (each.ceremony, each.ended, each.consented) for each in priest.core.all()}
        said = priest.said

        priest.restart()

        assert {each.id: (each.ceremony, each.ended, each.consented) for each in priest.core.all()} == before
        assert priest.said == said


@pytest.mark.parametrize(
    ("changes", "told"),
    [
        ({"without": ("zoe",)}, "zoe"),
        ({"without": ("bob", "carol")}, "at least 3 members"),
        ({"replace": ("bob",)}, "expected a reshare"),
        ({"groups": ("fast",)}, "fast and full"),
        ({"groups": ("fast", "full", "slow")}, "slow"),
        ({"rotation": RotationTerms(1, 2, revoke=False)}, "no rotation"),
    ],
)
def test_what_cannot_be_proposed_is_told_in_words(changes: dict[str, object], told: str) -> None:
    parish = Parish()

    with pytest.raises(WishRefused, match=told):
        propose_dkg(parish.wish(**changes), parish.committee, parish.committee)


def test_keys_of_the_next_epoch_need_to_say_when_verifiers_are_told() -> None:
    parish = Parish()
    following = replace(parish.committee, key_epoch=2)

    with pytest.raises(WishRefused, match="key epoch 2"):
        propose_dkg(parish.wish(), following, parish.committee)
    terms = RotationTerms(1, 2, revoke=False)
    assert isinstance(propose_dkg(parish.wish(rotation=terms), following, parish.committee), Proposal)
    for times, told in (((2, 2), "after its beginning"), ((1, 1 << 40), "expected an end by")):
        wish = parish.wish(rotation=RotationTerms(*times, revoke=False))
        with pytest.raises(WishRefused, match=told):
            propose_dkg(wish, following, parish.committee)


def test_a_node_wakes_at_the_deadline_and_says_a_lost_proposal_again() -> None:
    parish = Parish()
    alice = parish["alice"].keys
    node = Node(NodeSettings(alice.identity, parish.committee, (), {}))
    node.advance(Started(Millis(1_000), 1, bytes(16)))
    proposal = propose_dkg(parish.wish(deadline_ms=Millis(5_000)), parish.committee, parish.committee)

    (said,) = node.advance(CeremonyProposed(proposal, Millis(2_000)))
    assert said == SignStatement(proposal)
    assert said in node.advance(Started(Millis(2_500), 2, bytes(16)))
    envelope, message = alice.say(proposal, parish.committee, 2_600)
    node.advance(Signed(envelope, message, Millis(2_600)))
    node.advance(Ticked(Millis(2_700)))

    assert node.next_deadline_ms() == 5_001
    node.advance(Ticked(Millis(5_001)))
    assert [running.ended for running in node.ceremonies.all()] == [Ended.EXPIRED]
