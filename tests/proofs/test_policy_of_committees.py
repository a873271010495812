"""The policy of a committee: who must cosign, that liars cannot split it, that the silent cannot stop it."""

from collections.abc import Sequence
from functools import cache
from itertools import product

import pytest

from proofs.checkpoint import Checkpoint, checkpoint_text, open_checkpoint
from proofs.committee import (
    CommitteeDocument,
    CommitteeMember,
    CommitteeStatement,
    build_committee,
    cosigner_key,
    full_quorum,
    log_key,
    malicious_bound,
)
from proofs.hashes import keccak256, sha256
from proofs.kinds import Address, Digest, Identity, NetworkId
from proofs.note import KeyKind, Note, NoteError, NoteSignature, format_note, format_verifier_key
from proofs.policy import (
    MAX_LINES_OF_A_KIND,
    Policy,
    PolicyError,
    committee_policy,
    format_policy,
    missing_witnesses,
    open_checkpoint_under,
    parse_policy,
)
from proofs.witness import (
    Accepted,
    AddCheckpoint,
    Held,
    Opened,
    format_add_checkpoint,
    judge,
    open_request,
)
from tests.proofs.notary import NOW_S, Log, Signer, witness

SIZES = range(4, 26)
MOST_MEMBERS = 50


def document(names: Sequence[str], epoch: int = 1, key: str = "") -> CommitteeDocument:
    """A committee of one epoch; another `key` gives the same people other log and cosigner keys."""
    members = tuple(member(name, key) for name in names)
    genesis = None if epoch == 1 else NetworkId(sha256(b"genesis"))
    return build_committee(CommitteeStatement("town", epoch, epoch, 0, False, genesis, members))


@cache
def member(name: str, key: str) -> CommitteeMember:
    return CommitteeMember(
        identity=Identity(bytes(Signer(f"identity/{name}").secret.verify_key)),
        attester=Address(keccak256(name.encode())[:20]),
        log=log_of(name, key).key.public_key,
        cosigner=cosigner_of(name, key).key.public_key,
        name=name,
        operator=name,
        addresses=(),
        providers={},
    )


@cache
def log_of(name: str, key: str = "") -> Signer:
    return Signer(f"town/{name}", salt=key)


@cache
def cosigner_of(name: str, key: str = "") -> Signer:
    return Signer(f"town/{name}/cosigner", KeyKind.COSIGNATURE, salt=key)


def people(count: int) -> list[str]:
    return [f"m{number:02d}" for number in range(count)]


def test_the_policy_names_every_log_and_every_cosigner_and_asks_for_a_quorum() -> None:
    town = document(people(7))
    policy = committee_policy([town])

    assert policy.logs == tuple(log_key(town, each) for each in town.members)
    assert tuple(policy.witnesses.values()) == tuple(cosigner_key(town, each) for each in town.members)
    assert policy.quorum == "epoch-1"
    assert policy.groups["epoch-1"].threshold == full_quorum(7) == 5
    assert parse_policy(format_policy(policy)) == policy


def test_names_of_any_letters_stand_in_a_policy_that_reads_back() -> None:
    town = document(["ålice", "bøb", "none", "epoch-1", "#carol"])

    assert parse_policy(format_policy(committee_policy([town]))) == committee_policy([town])


def test_of_several_documents_all_logs_and_the_newest_witnesses_count() -> None:
    first = document(["alice", "bob", "carol", "dave"])
    second = document(["alice", "bob", "carol", "erin"], epoch=2)
    policy = committee_policy([first, second])

    assert [key.name for key in policy.logs][:4] == [f"town/{each.name}" for each in second.members]
    assert [key.name for key in policy.logs][4:] == ["town/dave"]
    assert {key.name for key in policy.witnesses.values()} == {
        f"town/{name}/cosigner" for name in ("alice", "bob", "carol", "erin")
    }
    assert policy.quorum == "epoch-2"


def test_a_policy_never_has_more_logs_than_its_format_takes() -> None:
    names = people(MOST_MEMBERS)
    documents = [document(names), document(names, epoch=2, key="2"), document(names, epoch=3, key="3")]
    policy = committee_policy(documents)

    assert len(policy.logs) == MAX_LINES_OF_A_KIND
    assert set(policy.logs[:MOST_MEMBERS]) == {log_key(documents[2], each) for each in documents[2].members}
    assert {key.public_key for key in policy.logs[MOST_MEMBERS:]} <= {
        each.log for each in documents[1].members
    }
    assert len(format_policy(policy)) < 65_536


TEXT = checkpoint_text(Checkpoint("town/m00", 9, Digest(sha256(b"root"))))


def note_of(signers: Sequence[Signer], at_s: int = NOW_S) -> str:
    return format_note(Note(TEXT, (log_of("m00").line(TEXT), *(each.line(TEXT, at_s) for each in signers))))


@pytest.mark.parametrize("n", [4, 5, 7, 10, 25])
def test_a_quorum_of_cosigners_is_reached_with_f_silent_and_not_with_one_less(n: int) -> None:
    policy = committee_policy([document(people(n))])
    awake = [cosigner_of(name) for name in people(n)[malicious_bound(n) :]]
    k = full_quorum(n)

    signed = open_checkpoint_under(note_of(awake), policy)
    assert len(signed.cosigned) == n - malicious_bound(n) >= k
    assert len(missing_witnesses(policy, signed)) == malicious_bound(n)
    with pytest.raises(PolicyError, match="policy-quorum"):
        open_checkpoint_under(note_of(awake[: k - 1]), policy)


@pytest.mark.parametrize("n", SIZES)
def test_f_liars_cannot_have_two_histories_witnessed_however_they_split_the_honest(n: int) -> None:
    # Liars cosign everything, an honest witness what it is asked first: the rest is counting.
    f, k = malicious_bound(n), full_quorum(n)

    for liars in range(f + 1):
        honest = n - liars
        for first in range(honest + 1):
            for second in range(honest - first + 1):
                assert not (liars + first >= k and liars + second >= k)
    assert n - f >= k
    # With one liar more, for some n, there is such a split: the bound is no slack of ours.
    assert any(2 * (f + 1) + (n - f - 1) >= 2 * k for n, f, k in sized())


def sized() -> list[tuple[int, int, int]]:
    return [(n, malicious_bound(n), full_quorum(n)) for n in SIZES]


class HonestWitness:
    """Judges, then holds, then cosigns."""

    def __init__(self, name: str, log: Log) -> None:
        self.signer = cosigner_of(name)
        self.log = log
        self.held: Held | None = None

    def ask(self, told: Log) -> list[NoteSignature]:
        old = 0 if self.held is None else self.held.size
        request = AddCheckpoint(old, told.proof(old) if old else (), told.note())
        opened = open_request(format_add_checkpoint(request), {told.signer.key.name: [told.signer.key]})
        assert isinstance(opened, Opened)
        judged = judge(opened, self.held)
        if not isinstance(judged, Accepted):
            return []
        self.held = judged.held
        return [self.signer.line(judged.text)]


class LyingWitness(HonestWitness):
    """Signs without checking."""

    def ask(self, told: Log) -> list[NoteSignature]:
        return [self.signer.line(checkpoint_text(told.checkpoint()))]


def witnessed(log: Log, witnesses: Sequence[HonestWitness], policy: Policy) -> bool:
    text = checkpoint_text(log.checkpoint())
    lines = [line for each in witnesses for line in each.ask(log)]
    try:
        open_checkpoint_under(format_note(Note(text, (log.signer.line(text), *lines))), policy)
    except PolicyError:
        return False
    return True


@pytest.mark.parametrize("n", [4, 5, 6, 7])
def test_a_forked_log_with_f_lying_witnesses_gets_one_history_published_at_most(n: int) -> None:
    names, f = people(n), malicious_bound(n)
    policy = committee_policy([document(names)])
    one = Log(log_of("m00")).grow(b"a", b"b")
    two = Log(log_of("m00")).grow(b"a", b"x")
    published = set()

    for split in product([False, True], repeat=n - f):
        liars = [LyingWitness(name, one) for name in names[:f]]
        honest = [HonestWitness(name, one) for name in names[f:]]
        told_one = [each for each, is_second in zip(honest, split, strict=True) if not is_second]
        told_two = [each for each, is_second in zip(honest, split, strict=True) if is_second]
        first = witnessed(one, [*liars, *told_one], policy)
        # Then everybody is asked for the other story, those that cosigned the first included.
        second = witnessed(two, [*liars, *told_two, *told_one], policy)
        assert not (first and second)
        published.add((first, second))

    assert {(True, False), (False, True)} <= published


def test_a_group_may_have_one_member_and_be_one_of_another() -> None:
    signer = cosigner_of("m00")
    lines = [
        f"log {format_verifier_key(log_of('m00').key)}",
        f"witness w {format_verifier_key(signer.key)}",
        "group one any w",
        "group two all one",
        "quorum two",
    ]
    policy = parse_policy("\n".join(lines).encode())

    assert len(open_checkpoint_under(note_of([signer]), policy).cosigned) == 1
    with pytest.raises(PolicyError, match="policy-quorum"):
        open_checkpoint_under(note_of([cosigner_of("m01")]), policy)


FUTURE_S = NOW_S + 301


def test_a_cosignature_far_ahead_of_the_readers_clock_counts_for_nothing() -> None:
    policy = committee_policy([document(people(4))])
    signers = [cosigner_of(name) for name in people(4)]
    lines = [*(each.line(TEXT) for each in signers[:2]), *(each.line(TEXT, FUTURE_S) for each in signers[2:])]
    note = format_note(Note(TEXT, (log_of("m00").line(TEXT), *lines)))

    assert len(open_checkpoint_under(note, policy).cosigned) == 4
    assert len(open_checkpoint_under(note, policy, now_s=NOW_S + 1).cosigned) == 4
    with pytest.raises(PolicyError) as caught:
        open_checkpoint_under(note, policy, now_s=NOW_S)
    assert caught.value.check == "cosignature-time"
    assert f"{FUTURE_S} of town/m02/cosigner" in str(caught.value)


def test_one_time_too_far_ahead_does_not_spoil_the_quorum_of_the_others() -> None:
    policy = committee_policy([document(people(4))])
    signers = [cosigner_of(name) for name in people(4)]
    lines = [*(each.line(TEXT) for each in signers[:3]), signers[3].line(TEXT, FUTURE_S)]
    note = format_note(Note(TEXT, (log_of("m00").line(TEXT), *lines)))

    assert len(open_checkpoint_under(note, policy, now_s=NOW_S).cosigned) == 3


def test_a_cosignature_of_no_time_counts_for_nothing() -> None:
    policy = committee_policy([document(people(4))])
    note = note_of([cosigner_of(name) for name in people(4)], at_s=0)

    with pytest.raises(PolicyError) as caught:
        open_checkpoint_under(note, policy)
    assert caught.value.check == "cosignature-time"


def test_times_do_not_hide_that_there_are_too_few() -> None:
    policy = committee_policy([document(people(4))])
    note = note_of([cosigner_of(name) for name in people(2)], at_s=FUTURE_S)

    with pytest.raises(PolicyError) as caught:
        open_checkpoint_under(note, policy, now_s=NOW_S)
    assert caught.value.check == "policy-quorum"


@pytest.mark.parametrize("signature", [b"", bytes(64), bytes(71), bytes(72), bytes(73)])
def test_a_cosigner_signs_with_a_time_or_not_at_all(signature: bytes) -> None:
    cosigner = witness("w")
    plain = cosigner.secret.sign(TEXT.encode()).signature

    for each in (signature, plain):
        line = NoteSignature(cosigner.key.name, cosigner.key.key_id, each)
        note = format_note(Note(TEXT, (log_of("m00").line(TEXT), line)))
        if each:
            with pytest.raises(NoteError, match="note-signature"):
                open_checkpoint(note, [log_of("m00").key], [cosigner.key])
