"""What a member answers in signing sessions, what it refuses, and how much it keeps (SPEC 4)."""

from __future__ import annotations

from dataclasses import replace

import pytest

from proofs.hashes import sha256
from proofs.kinds import Digest, Identity, Millis
from proofs.mandate import Tier
from relay.threshold.coordinator import COORDINATOR_STEP_MS, Coordinator
from relay.threshold.gathering import MAX_EARLY as MAX_EARLY_SHARES
from relay.threshold.gathering import Gathering
from relay.threshold.groups import SECP256K1
from relay.threshold.messages import (
    Commitments,
    OpenCommitment,
    SignatureShare,
    SignerCommitment,
    SigningRequest,
)
from relay.threshold.sessions import MAX_EARLY, MAX_OPEN_DIGESTS
from relay.threshold.tasks import Task, coordinators_of, mandate_keys, session_id
from relay.threshold.wants import Answer, Ask, Open, Refused
from tests.sim.dealer import deal
from tests.threshold.ring import (
    NETWORK,
    Member,
    Restarter,
    Ring,
    Rusher,
    ring_of,
)


def honest(ring: Ring) -> list[Identity]:
    return [each for each, member in ring.members.items() if type(member) is Member]


# ---- what a signer answers


def signer_asked(ring: Ring, task: Task) -> tuple[Member, Identity, SigningRequest]:
    """Give an honest signer with open commitments, the first coordinator, and its right request, not sent."""
    first = coordinators_of(task)[0]
    ring.attest(task, ring.identities)
    asked: list[SigningRequest] = []
    plain = ring.members[first].do

    def keep(wants: object) -> None:
        for want in list(wants):  # type: ignore[call-overload]  # as `do` takes them
            if isinstance(want, Ask):
                asked.append(want.request)
            else:
                plain([want])

    ring.members[first].do = keep  # type: ignore[method-assign]  # the coordinator's mail is read
    ring.deliver()
    signer = next(line.signer for line in asked[0].commitments if line.signer != first)
    return ring.members[signer], first, asked[0]


def answers(member: Member, author: Identity, request: SigningRequest) -> bool:
    wants = member.sessions.heard(author, request, Millis(5_000))
    return any(isinstance(want, Answer) for want in wants)


def test_the_coordinators_right_request_is_answered_once() -> None:
    ring = ring_of(4, seed=1)
    member, first, request = signer_asked(ring, ring.task())

    assert answers(member, first, request)
    assert not answers(member, first, request)


def test_a_request_by_another_than_the_coordinator_is_not_answered() -> None:
    ring = ring_of(4, seed=1)
    task = ring.task()
    member, _, request = signer_asked(ring, task)
    order = coordinators_of(task)
    stranger = next(each for each in ring.identities if each not in order)

    assert not answers(member, stranger, request)
    assert not answers(member, order[1], request)  # with commitments that are for another coordinator


def test_two_requests_over_one_commitment_get_one_share() -> None:
    ring = ring_of(7, seed=1)
    member, first, request = signer_asked(ring, ring.task())
    lines = request.commitments
    other = next(line for line in lines if line.signer != member.me)
    foreign = replace(other, open=replace(other.open, seq=77))
    conflicting = replace(request, commitments=tuple(foreign if line == other else line for line in lines))

    assert answers(member, first, conflicting)
    assert not answers(member, first, request)


def test_malformed_requests_are_not_answered() -> None:
    ring = ring_of(7, seed=1)
    member, first, request = signer_asked(ring, ring.task())
    lines = request.commitments
    mine = next(line for line in lines if line.signer == member.me)
    other = next(line for line in lines if line.signer != member.me)
    stranger = replace(other, signer=Identity(b"\xff" * 32))
    no_point = replace(other, open=replace(other.open, hiding=bytes(33)))

    def swapped(new: object) -> tuple[object, ...]:
        return tuple(new if line == other else line for line in lines)

    for wrong in (
        lines[::-1],
        lines[:-1],
        (*lines, stranger),
        tuple(sorted((mine, *(line for line in lines if line != other)), key=lambda line: line.signer)),
        (mine,) * len(lines),
        (*(line for line in lines if line != other), stranger),
        swapped(no_point),
    ):
        assert not answers(member, first, replace(request, commitments=wrong))  # type: ignore[arg-type]

    assert answers(member, first, request)


def test_a_request_for_another_message_key_or_tier_is_not_answered() -> None:
    ring = ring_of(4, seed=1)
    member, first, request = signer_asked(ring, ring.task())
    fast = next(key for key in mandate_keys(ring.keys[0].document) if key.tier is Tier.FAST)

    assert not answers(member, first, replace(request, digest=sha256(b"another message")))
    assert not answers(member, first, replace(request, key_id=fast.key_id))
    assert not answers(member, first, replace(request, key_id=sha256(b"another network or generation")))


def test_what_we_did_not_attest_is_not_signed() -> None:
    ring = ring_of(4, seed=1)
    task = ring.task()
    shy = coordinators_of(task)[1]

    ring.attest(task, [each for each in ring.identities if each != shy])
    ring.settle()

    assert all(commitment for commitment, _ in ring.released)
    assert not ring.members[shy].nonces
    ring.check(task, honest=ring.identities)


def test_a_coordinator_that_asks_for_ever_is_answered_so_often_and_no_more() -> None:
    ring = ring_of(7, seed=4, liars=[Rusher, Rusher])
    task = ring.task()

    ring.attest(task, ring.identities)
    ring.settle()

    most = mandate_keys(ring.keys[0].document)[1].most_requests
    for each in honest(ring):
        assert ring.members[each].seq <= len(coordinators_of(task)) * most
    ring.check(task, honest=honest(ring))


# ---- order and bounds


def test_a_share_before_its_request_is_kept_for_it() -> None:
    ring = ring_of(4, seed=7)
    task = ring.task()
    late = next(each for each in ring.identities if each not in coordinators_of(task))
    first = coordinators_of(task)[0]
    ring.delay = lambda author, to: (author, to) == (first, late)

    ring.attest(task, ring.identities)
    ring.deliver()
    assert not ring.members[late].signatures
    ring.delay = lambda _author, _to: False
    ring.settle()

    ring.check(task, honest=ring.identities)


def test_nonsense_about_mandates_that_nobody_attests_has_a_bound() -> None:
    ring = ring_of(4, seed=7)
    member = ring.members[ring.identities[0]]
    key = mandate_keys(ring.keys[0].document)[1]
    liar = ring.identities[1]

    for number in range(200):
        digest = sha256(f"nothing {number}".encode())
        member.hear(liar, SignatureShare(digest, key.key_id, liar, digest, bytes(32), 1, None))

    assert member.refusals == {"about a mandate that nobody attests"}
    assert sum(isinstance(want, Refused) for want in member.found) == 200 - MAX_EARLY


def test_a_member_has_commitments_for_so_many_mandates_and_no_more() -> None:
    ring = ring_of(4, seed=7)
    member = ring.members[ring.identities[0]]
    key = mandate_keys(ring.keys[0].document)[1]
    liar = ring.identities[1]
    for number in range(MAX_OPEN_DIGESTS + 3):
        task = ring.task(f"mandate {number}")
        member.attested(liar, task)
        member.hear(liar, Commitments(task.digest, key.key_id, 1, {}))

    assert [want for want in member.found if isinstance(want, Refused)] == [
        Refused(liar, "too many open mandates")
    ] * 3


@pytest.mark.parametrize("seed", range(5))
def test_members_that_restart_instead_of_answering_do_not_use_up_the_requests(seed: int) -> None:
    ring = ring_of(7, seed=seed, liars=[Restarter] * 2, first=False)
    task = ring.task()

    ring.attest(task, ring.identities)
    ring.settle()

    ring.check(task, honest=honest(ring))


def test_what_is_over_is_forgotten() -> None:
    ring = ring_of(4, seed=1)
    task = ring.task()
    ring.attest(task, ring.identities)
    ring.settle()
    member = ring.members[ring.identities[0]]

    member.sessions.keep({Digest(sha256(b"another"))})

    assert member.sessions.next_due_ms() is None
    assert any(isinstance(want, Open) for want in member.sessions.attested(task, member.me, ring.now_ms))


def test_the_session_names_its_coordinator_and_every_commitment() -> None:
    ring = ring_of(4, seed=1)
    _, first, request = signer_asked(ring, ring.task())
    line = request.commitments[0]
    changed = replace(request, commitments=(replace(line, boot=2), *request.commitments[1:]))

    names = {
        session_id(first, request),
        session_id(coordinators_of(ring.task())[1], request),
        session_id(first, changed),
        session_id(first, replace(request, digest=sha256(b"x"))),
        session_id(first, replace(request, key_id=sha256(b"x"))),
    }

    assert len(names) == 5


def test_a_member_that_restarts_while_a_coordinator_waits_for_its_turn_keeps_no_clock_running() -> None:
    ring = ring_of(4, seed=1)
    task = ring.task()
    first, second = coordinators_of(task)
    liar = next(each for each in ring.identities if each not in (first, second))
    ring.delay = lambda author, _to: author == first
    for each in (second, liar, next(each for each in ring.identities if each not in (first, second, liar))):
        ring.attest(task, [each])
    ring.members[second].attested(first, task)
    ring.deliver()
    waiting = ring.members[second].sessions
    due_ms = waiting.next_due_ms()
    assert due_ms == ring.now_ms + COORDINATOR_STEP_MS

    # What it says of another mandate makes its commitment to this one dead.
    other = ring.task("another")
    ring.members[second].attested(liar, other)
    key = mandate_keys(ring.keys[0].document)[1]
    ring.members[second].hear(liar, Commitments(other.digest, key.key_id, 2, {}))
    assert [want for want in waiting.tick(due_ms) if isinstance(want, Ask)] == []

    assert waiting.next_due_ms() is None
    ring.now_ms = due_ms
    ring.delay = lambda _author, _to: False
    ring.attest(task, [first])
    ring.settle()
    ring.check(task, honest=[each for each in ring.identities if each != liar])


# ---- each bound by itself


def coordinator_of(ring: Ring) -> tuple[Coordinator, list[SignerCommitment]]:
    """Give a coordinator, and a good commitment of each holder for it."""
    key = mandate_keys(ring.keys[0].document)[1]
    point = SECP256K1.base(7)
    lines = [SignerCommitment(each, 1, OpenCommitment(1, point, point)) for each in ring.identities]
    return Coordinator(ring.identities[0], ring.task().digest, key), lines


def test_who_owes_a_share_is_not_asked_again_whatever_it_commits_to() -> None:
    ring = ring_of(7, seed=1)
    coordinator, lines = coordinator_of(ring)
    for line in lines[:5]:
        assert not coordinator.offer(line)
    assert coordinator.ask(Millis(0), 0, set(ring.identities), {})

    assert coordinator.offer(replace(lines[0], boot=2)) == "owes a share"
    for line in lines[5:]:
        coordinator.offer(line)
    session = coordinator.owes[lines[1].signer]
    for line in lines[1:4]:
        coordinator.answered(line.signer, session, 1, line.open)
    request = coordinator.ask(Millis(0), 0, set(ring.identities), {})

    assert request is not None
    assert lines[0].signer not in {line.signer for line in request.commitments}


def test_an_honest_coordinator_asks_no_more_than_is_answered() -> None:
    ring = ring_of(7, seed=1)
    coordinator, lines = coordinator_of(ring)
    for number in range(10):
        for line in lines:
            coordinator.answered(line.signer, coordinator.owes.get(line.signer, Digest(b"")), 1, None)
            coordinator.offer(replace(line, boot=number))
        coordinator.ask(Millis(0), 0, set(ring.identities), {})

    assert coordinator.asked == coordinator.key.most_requests == 3


def test_a_coordinators_requests_are_kept_up_to_what_is_answered() -> None:
    ring = ring_of(7, seed=1)
    member, first, request = signer_asked(ring, ring.task())
    other = next(line for line in request.commitments if line.signer != member.me)
    wants = []
    for number in range(100, 120):
        foreign = replace(other, open=replace(other.open, seq=number))
        lines = tuple(foreign if line == other else line for line in request.commitments)
        wants += member.sessions.heard(first, replace(request, commitments=lines), Millis(5_000))

    assert wants.count(Refused(first, "malformed request")) == 20 - 3


def test_requests_and_shares_of_who_has_no_part_are_refused() -> None:
    ring = ring_of(7, seed=1)
    task = ring.task()
    member, first, request = signer_asked(ring, task)
    stranger = next(each for each in ring.identities if each not in coordinators_of(task))
    asked = {line.signer for line in request.commitments}
    unasked = next(each for each in ring.identities if each not in asked)
    session = session_id(first, request)
    share = SignatureShare(task.digest, request.key_id, first, session, bytes(32), 1, None)
    now_ms = Millis(5_000)

    assert member.sessions.heard(stranger, request, now_ms) == [Refused(stranger, "no coordinator")]
    member.sessions.heard(first, request, now_ms)
    nobody = "nobody asked for this share"
    assert member.sessions.heard(unasked, share, now_ms) == [Refused(unasked, nobody)]
    signer = next(each for each in asked if each != member.me)
    astray = replace(share, coordinator=stranger)
    assert member.sessions.heard(signer, astray, now_ms) == [Refused(signer, nobody)]


def test_shares_before_their_requests_have_a_bound() -> None:
    ring = ring_of(7, seed=1)
    task = ring.task()
    member, first, request = signer_asked(ring, task)
    refused = 0
    for number in range(20):
        session = sha256(bytes([number]))
        share = SignatureShare(task.digest, request.key_id, first, session, bytes(32), 1, None)
        refused += bool(member.sessions.heard(ring.identities[6], share, Millis(5_000)))

    assert refused == 20 - 8


def test_an_older_generation_that_comes_late_changes_nothing() -> None:
    ring = ring_of(4, seed=8)
    member = ring.members[ring.identities[0]]
    refreshed = deal(ring.identities, NETWORK, ring.chance, again=ring.keys[0])
    member.sessions.put_in_force(refreshed.document, ring.now_ms)
    newest = member.sessions.key_of(1, Tier.FULL)

    member.sessions.put_in_force(ring.keys[0].document, ring.now_ms)

    assert member.sessions.key_of(1, Tier.FULL) == newest


def test_answers_to_requests_that_others_do_not_hear_of_push_out_no_later_share() -> None:
    """Liars coordinate too, and show their requests to one member alone."""
    ring = ring_of(7, seed=7)
    task = ring.task()
    late = next(each for each in ring.identities if each not in coordinators_of(task))
    first, hidden = coordinators_of(task)[:2]
    key = mandate_keys(ring.keys[0].document)[1]
    ring.delay = lambda author, to: (author, to) == (first, late)
    for each in ring.identities:
        ring.members[late].attested(each, task)
    for signer in ring.identities:
        for number in range(2 * MAX_EARLY_SHARES):
            session = Digest(sha256(signer + bytes([number])))
            answer = SignatureShare(task.digest, key.key_id, hidden, session, bytes(32), 1, None)
            ring.members[late].sessions.heard(signer, answer, ring.now_ms)

    ring.attest(task, ring.identities)
    ring.deliver()
    ring.delay = lambda _author, _to: False
    ring.settle()

    ring.check(task, honest=ring.identities)


def test_of_two_shares_of_a_signer_in_a_session_the_first_counts() -> None:
    """Else each further one would have the whole session added up and judged again."""
    ring = ring_of(7, seed=1)
    _, first, request = signer_asked(ring, ring.task())
    gathering = Gathering(ring.key(request.key_id))
    session = gathering.begin(first, request)
    assert session is not None
    signer = request.commitments[0].signer
    said = SignatureShare(request.digest, request.key_id, first, session.id, bytes(32), 1, None)

    assert gathering.add(signer, said) is session
    assert gathering.add(signer, replace(said, share=b"\1" * 32)) is None

    assert session.shares == {signer: bytes(32)}
