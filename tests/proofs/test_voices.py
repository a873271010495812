"""Whose word counts in a bundle: the committee of the decision, and nobody before or after it."""

from dataclasses import replace

import pytest

from proofs.bundle import Bundle, BundleDecision, BundleDocument, encode_bundle
from proofs.committee import CommitteeStatement, build_committee, committee_signing_bytes
from proofs.decision import BlockRef, block_value
from proofs.errors import ProofError
from proofs.mandate import mandate_digest
from proofs.note import KeyKind, format_verifier_key, verifier_key
from proofs.remarks import remark_body
from proofs.verdict import SeenOutcome, Verdict
from proofs.verify import CHECKS, verify_bundle
from tests.proofs.conftest import Tower, Town, attestation_body, block, outcome_body
from tests.proofs.incident import NOW_S, City, Incident
from tests.proofs.test_remarked import absence, accusation, finals, half, header, remark, scene


def successor(town: Town, *towers: Tower) -> BundleDocument:
    """Give the document of epoch 2 with another key epoch and these members, signed by all of epoch 1."""
    members = tuple(tower.member() for tower in towers)
    document = build_committee(CommitteeStatement("town", 2, 2, 1, False, town.network, members))
    message = committee_signing_bytes(document.raw)
    signed = {each.identity: each.identity_key.sign(message).signature for each in town.towers.values()}
    return BundleDocument(document.raw, signed)


def erin_for_alice(town: Town) -> BundleDocument:
    new = Tower("erin")
    document = successor(town, *(town.towers[name] for name in ("bob", "carol", "dave")), new)
    town.towers["erin"] = new
    return document


def verified(bundle: Bundle, document: BundleDocument) -> Verdict:
    return verify_bundle(encode_bundle(replace(bundle, committees=(*bundle.committees, document))))


def check_of(bundle: Bundle, document: BundleDocument) -> str:
    with pytest.raises(ProofError) as caught:
        verified(bundle, document)
    return caught.value.check


def test_who_joined_later_is_told_and_counts_for_nothing(town: Town) -> None:
    entry = scene(town)
    document = erin_for_alice(town)
    first = remark(town, "alice", header(entry))
    town.say("erin", "header", remark_body(header(entry)), committee_epoch=2)
    split = town.bundle(replace(entry, headers=(first, first + 1)))
    town.say("dave", "header", remark_body(header(entry)), committee_epoch=2)
    joint = town.bundle(replace(entry, headers=(first, first + 1, first + 2)))
    without = (*joint.records[:first], *joint.records[first + 1 :])
    newer = replace(town.bundle(replace(entry, headers=(first, first + 1))), records=without)

    assert finals(verified(split, document)) == {"halt": (("alice", "erin"), False)}
    assert finals(verified(joint, document)) == {"halt": (("alice", "erin", "dave"), True)}
    assert finals(verified(newer, document)) == {"halt": (("erin", "dave"), False)}


def outcome_of_the_seven(town: Town, *seers: str) -> SeenOutcome:
    """Give what a bundle says of an effect that `seers` saw: four became seven, whose decision it is of."""
    more = {name: Tower(name) for name in ("erin", "frank", "grace")}
    document = successor(town, *town.towers.values(), *more.values())
    town.towers.update(more)
    decision = town.decide(key_epoch=2)
    mandate, signers = town.mandate(decision), ("carol", "dave", "erin")
    digest = mandate_digest(mandate)
    for name in signers:
        body = attestation_body(decision, "attest", digest, town.towers[name].sign_digest(digest))
        town.say(name, "attestation", body, committee_epoch=2)
    entry = town.entry(decision, signers, (0, 1, 2), ())
    for name in seers:
        town.say(name, "outcome", outcome_body(mandate, town.leaf("halt")), committee_epoch=2)
    for name in seers:
        town.say(name, "header", remark_body(header(entry)), committee_epoch=2)
    seen = tuple(range(3, 3 + len(seers)))
    final = tuple(number + len(seers) for number in seen)
    verdict = verified(town.bundle(replace(entry, outcomes=seen, headers=final)), document)
    (outcome,) = (outcome for act in verdict.decisions[0].acts for outcome in act.outcomes)
    return outcome


def test_f_liars_of_a_large_committee_do_not_become_honest_as_members_of_the_smaller_one_before() -> None:
    few, enough = (
        outcome_of_the_seven(Town(), "alice", "bob"),
        outcome_of_the_seven(Town(), "alice", "bob", "erin"),
    )

    assert few.source == "seen and signed by 2 of 7 members, too few to exclude lies (f = 2)"
    assert not few.finality.is_agreed
    assert enough.source == "seen and signed by 3 of 7 members, one of them honest"
    assert enough.finality.is_agreed


@pytest.mark.parametrize("verdict", ["dissent", "abstain"])
def test_who_is_not_of_the_committee_says_nothing_to_a_decision(town: Town, verdict: str) -> None:
    entry = scene(town)
    document = erin_for_alice(town)
    body = attestation_body(entry.decision, verdict, None, None)
    town.say("erin", "attestation", body, committee_epoch=2)

    bundle = town.bundle(replace(entry, attestations=(*entry.attestations, 4)))
    assert check_of(bundle, document) == "attestation-signer"


@pytest.mark.parametrize(("kind", "say"), [("absence", absence), ("accusation", accusation)])
def test_who_is_not_of_the_committee_misses_and_accuses_nobody(town: Town, kind: str, say: object) -> None:
    entry = scene(town)
    document = erin_for_alice(town)
    assert callable(say)
    town.say("erin", kind, say(town, entry), committee_epoch=2)

    assert check_of(town.bundle(replace(entry, statements=(4,))), document) == "statement-decision"


def crowded(town: Town, many: int) -> tuple[Bundle, BundleDecision]:
    """Give a bundle in which alice saw `many` effects in as many blocks, and says that all are final."""
    entry = scene(town)
    blocks = [block(1_000 + number) for number in range(many)]
    for each in blocks:
        town.see("alice", entry.mandate, town.leaf("halt"), block=block_value(each))
    for each in blocks:
        remark(town, "alice", header(entry, each))
    numbers = range(4, 4 + 2 * many)
    more = replace(entry, outcomes=(2, 3, *numbers[:many]), headers=tuple(numbers[many:]))
    return town.bundle(more), more


def test_twice_the_headers_are_twice_the_work_and_not_four_times(monkeypatch: pytest.MonkeyPatch) -> None:
    hashed, looked_up = BlockRef.__hash__, [0]

    def counted(self: BlockRef) -> int:
        looked_up[0] += 1
        return hashed(self)

    def work(many: int) -> int:
        data = encode_bundle(crowded(Town(), many)[0])
        before = looked_up[0]
        verify_bundle(data)
        return looked_up[0] - before

    monkeypatch.setattr(BlockRef, "__hash__", counted)
    few, twice = work(30), work(60)

    assert 30 < few < twice < 3 * few


def test_what_was_not_asked_for_is_not_among_the_checks() -> None:
    case = Incident.of(City()).case()
    data = encode_bundle(case.bundle)
    bare = verify_bundle(data)
    judged = verify_bundle(data, policy=case.policy, now_s=NOW_S)
    pinned = verify_bundle(data, network=case.bundle.network, plan_hashes=[case.bundle.plans[0].plan_hash])

    assert not any("pinned" in check or "policy asks" in check for check in bare.checks)
    assert judged.checks == CHECKS, "a quorum, and no pin"
    assert [check for check in pinned.checks if "pinned" in check] == [
        "network is the pinned one",
        "every plan is a pinned one",
    ]


def test_a_quorum_of_odd_octets_is_shown_as_text() -> None:
    case = Incident.of(City()).case()
    for octets in (b"\xff", "\x9b31m".encode(), "\u202e".encode()):
        policy = case.policy.replace(b"epoch-1", b"epoch-" + octets)
        quorum = verify_bundle(encode_bundle(case.bundle), policy=policy).log.quorum

        assert quorum is not None
        assert quorum.startswith("5 of 7, epoch-")
        assert quorum.isprintable()


def renewed(town: Town) -> tuple[BundleDocument, Tower]:
    """Give the document of epoch 2, of the same key epoch: alice and bob renamed, a new identity of dave."""
    again = Tower("dave", "again")
    dave = town.towers["dave"]
    again.attester_key, again.address = dave.attester_key, dave.address
    again.log_key, again.cosigner_key = dave.log_key, dave.cosigner_key
    members = {name: tower.member() for name, tower in town.towers.items()}
    members |= {name: replace(members[name], name=f"{name}-2") for name in ("alice", "bob")}
    members["dave"] = again.member()
    statement = CommitteeStatement("town", 2, 1, 1, False, town.network, tuple(members.values()))
    document = build_committee(statement)
    message = committee_signing_bytes(document.raw)
    signed = {each.identity: each.identity_key.sign(message).signature for each in town.towers.values()}
    return BundleDocument(document.raw, signed), again


def test_a_member_with_two_identities_in_one_key_epoch_has_one_voice(town: Town) -> None:
    entry = scene(town)
    document, again = renewed(town)
    town.towers["again"] = again
    first = remark(town, "dave", header(entry))
    town.say("again", "header", remark_body(header(entry)), committee_epoch=2)
    alone = town.bundle(replace(entry, headers=(first, first + 1)))
    remark(town, "alice", header(entry))
    joint = town.bundle(replace(entry, headers=(first, first + 1, first + 2)))
    old = replace(town.bundle(replace(entry, headers=(first, first + 1))), records=(
        *joint.records[: first + 1], joint.records[first + 2]))  # fmt: skip

    assert finals(verified(alone, document)) == {"halt": (("dave", "dave"), False)}
    assert finals(verified(joint, document)) == {"halt": (("dave", "dave", "alice"), True)}
    assert finals(verified(old, document)) == {"halt": (("dave", "alice"), True)}, "by the older document"


def test_of_several_documents_of_a_key_epoch_the_newest_gives_the_names(town: Town) -> None:
    entry = scene(town)
    document, _ = renewed(town)
    town.say("alice", "absence", absence(town, entry, absent=(town.towers["bob"].identity,)))
    bundle = town.bundle(replace(entry, statements=(4,)))

    (verdict,) = verified(bundle, document).decisions

    assert verdict.statements[0].facts["absent"] == ["bob-2"]
    assert set(verdict.silent) == {"alice-2", "dave"}


def test_who_attested_once_in_each_key_epoch_has_contradicted_nothing(town: Town) -> None:
    """One decision may be signed once in each key epoch (core 4.1): that is no evidence."""
    entry = scene(town)
    later = replace(entry.decision, key_epoch=2)
    one, other = (
        half(town, entry.decision, "dave", mandate_digest(entry.mandate)),
        half(town, later, "dave", mandate_digest(town.mandate(later))),
    )
    town.say("alice", "equivocation", {"first": one, "second": other})

    with pytest.raises(ProofError) as caught:
        verify_bundle(encode_bundle(town.bundle(replace(entry, statements=(4,)))))
    assert caught.value.check == "statement-decision"


def test_a_decision_with_a_record_that_no_witness_saw_is_not_told_as_witnessed() -> None:
    city = City()
    first, second = Incident.of(city), Incident.of(city, 1)
    early, late = first.case(), first.case(after=second.said)
    proof = late.bundle.records[-1].tlog_proof
    head, under = proof.rsplit("\n\n", 1)
    unseen = replace(late.bundle.records[-1], tlog_proof=f"{head}\n\n{under.splitlines()[0]}\n")
    mixed = replace(early.bundle, records=(*early.bundle.records[:-1], unseen))

    *others, last = verify_bundle(encode_bundle(mixed)).decisions

    assert all(decision.witnessed is not None for decision in others)
    assert last.witnessed is None


def test_the_log_key_of_a_member_is_no_cosigner_s(town: Town) -> None:
    key = verifier_key(town.log.name, KeyKind.COSIGNATURE, town.log.public_key)
    bundle = replace(town.bundle(scene(town)), log=format_verifier_key(key))

    with pytest.raises(ProofError) as caught:
        verify_bundle(encode_bundle(bundle))
    assert caught.value.check == "log-key"


def test_a_record_of_another_log_of_the_policy_is_refused() -> None:
    incident = Incident.of(City())
    ours, theirs = incident.case(), incident.case("bob")
    mixed = replace(ours.bundle, records=(*ours.bundle.records[:-1], theirs.bundle.records[-1]))

    with pytest.raises(ProofError) as caught:
        verify_bundle(encode_bundle(mixed), policy=ours.policy, now_s=NOW_S)
    assert caught.value.check == "log-key"


def test_what_a_bundle_leaves_open_is_said_and_what_it_does_not_is_not() -> None:
    case = Incident.of(City()).case()
    data = encode_bundle(case.bundle)
    bare, judged = verify_bundle(data), verify_bundle(data, policy=case.policy, now_s=NOW_S)
    same, chain = "that the log shows everybody the same", "that a block is of its chain"

    assert [any(limit.startswith(same) for limit in each.not_proved) for each in (bare, judged)] == [
        True,
        False,
    ]
    assert any(limit.startswith(chain) for limit in bare.not_proved), (
        "block 101 of the other chain: two of seven"
    )
