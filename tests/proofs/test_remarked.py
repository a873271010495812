"""Headers, statements and disclosed fields of a bundle: what counts and is told, what is refused by name."""

from collections.abc import Callable, Mapping
from dataclasses import replace
from functools import partial
from typing import TYPE_CHECKING

import pytest

from proofs.bundle import Bundle, BundleDecision, BundleDisclosure, BundleDocument, encode_bundle
from proofs.canonical import Value
from proofs.committee import CommitteeStatement, build_committee, committee_signing_bytes
from proofs.decision import BlockRef, block_value
from proofs.disclosure import DisclosureFile, disclose, encode_disclosure, seal
from proofs.errors import ProofError
from proofs.hashes import sha256
from proofs.kinds import Caip2, Digest
from proofs.mandate import mandate_digest
from proofs.remarks import Absence, Accusation, Header, Remark, Signal, remark_body
from proofs.verdict import Verdict, Witnessed
from proofs.verify import verify_bundle
from tests.proofs.conftest import AWAY, Tower, Town, attestation_body, block
from tests.proofs.incident import NOW_S, City, Incident

if TYPE_CHECKING:
    from proofs.decision import Decision

Say = Callable[["Town", BundleDecision], Mapping[str, Value]]
SEED = bytes(32)
SEALED: Mapping[str, Value] = {"note": "look here", "reporter": "hotline"}


def check_of(bundle: Bundle) -> str:
    with pytest.raises(ProofError) as caught:
        verify_bundle(encode_bundle(bundle))
    return caught.value.check


def scene(town: Town) -> BundleDecision:
    """Give a fast decision by bob and carol, whose halt alice and dave saw; these are records 0 to 3."""
    town.entries.clear()
    decision = town.decide()
    mandate = town.mandate(decision)
    for name in ("bob", "carol"):
        town.attest(name, decision, mandate)
    for name in ("alice", "dave"):
        town.see(name, mandate, town.leaf("halt"))
    return town.entry(decision, ("bob", "carol"), (0, 1), (2, 3))


def remark(town: Town, name: str, said: Remark) -> int:
    town.say(name, type(said).__name__.lower(), remark_body(said))
    return len(town.entries) - 1


def header(entry: BundleDecision, of: BlockRef | None = None, **changes: object) -> Header:
    of = of or block(101)
    return replace(Header(entry.mandate.decision_id, of.chain, of), **changes)


def finals(verdict: Verdict) -> dict[str, tuple[tuple[str, ...], bool]]:
    return {
        act.name: (outcome.finality.said_by, outcome.finality.is_agreed)
        for act in verdict.decisions[0].acts
        for outcome in act.outcomes
    }


def test_a_block_is_final_by_more_than_f_members_or_is_said_not_to_be(town: Town) -> None:
    entry = scene(town)
    one = replace(entry, headers=(remark(town, "alice", header(entry)),))
    alone = verify_bundle(encode_bundle(town.bundle(one)))
    two = replace(entry, headers=(*one.headers, remark(town, "bob", header(entry))))
    agreed = verify_bundle(encode_bundle(town.bundle(two)))

    assert finals(alone) == {"halt": (("alice",), False)}
    assert finals(agreed) == {"halt": (("alice", "bob"), True)}
    assert any("block 101" in limit and "is final" in limit for limit in alone.not_proved)
    assert not any("block 101" in limit and "is final" in limit for limit in agreed.not_proved)
    assert any("more than f members said to be final" in limit for limit in agreed.not_proved)


def test_without_headers_no_block_is_final(town: Town) -> None:
    verdict = verify_bundle(encode_bundle(town.bundle(scene(town))))

    assert finals(verdict) == {"halt": ((), False)}
    assert any("no member said that it is final" in limit for limit in verdict.not_proved)


def test_a_header_counts_for_the_block_s_hash_too() -> None:
    verdict = verify_bundle(encode_bundle(Incident.of(City()).case().bundle))

    (outcome,) = verdict.decisions[-1].acts[0].outcomes
    assert outcome.seen_by == ("alice", "dave")
    assert outcome.receipt is not None
    assert outcome.receipt.header_named_by == ("alice", "dave", "erin")
    assert "signed by 3 of 7 members, one of them honest" in outcome.receipt.source


HEADERS: list[tuple[str, Callable[[BundleDecision], list[Header]]]] = [
    ("statement-decision", lambda entry: [header(entry, decision_id=sha256(b"another"))]),
    ("header-block", lambda entry: [header(entry, block(102))]),
    ("header-block", lambda entry: [header(entry, replace(block(101), timestamp=7))]),
    ("header-block", lambda entry: [header(entry, replace(block(101), number=100))]),
    ("header-block", lambda entry: [header(entry, replace(block(101), chain=AWAY))]),
    ("header-block", lambda entry: [header(entry, chain=Caip2("eip155:1"))]),
    ("header-twice", lambda entry: [header(entry), header(entry)]),
]


@pytest.mark.parametrize(("check", "said"), HEADERS)
def test_a_header_of_something_else_is_refused_by_name(
    town: Town, check: str, said: Callable[[BundleDecision], list[Header]]
) -> None:
    entry = scene(town)
    numbers = tuple(remark(town, "alice", each) for each in said(entry))

    assert check_of(town.bundle(replace(entry, headers=numbers))) == check


def test_what_is_no_header_is_none(town: Town) -> None:
    entry = scene(town)

    assert check_of(town.bundle(replace(entry, outcomes=(2,), headers=(3,)))) == "statement-kind"


def void(town: Town, entry: BundleDecision, **changes: Value) -> Mapping[str, Value]:
    body: dict[str, Value] = {
        "anchor": block_value(entry.decision.anchor),
        "decision_id": entry.mandate.decision_id,
        "landed": False,
    }
    return {**body, **changes}


def unlanded(town: Town, entry: BundleDecision, **changes: Value) -> Mapping[str, Value]:
    leaf = town.leaf("halt")
    body: dict[str, Value] = {
        "act_id": leaf.act_id,
        "chain": leaf.chain,
        "decision_id": entry.mandate.decision_id,
        "gateway": leaf.gateway,
        "mandate_digest": mandate_digest(entry.mandate),
        "reason": "timed out",
        "tries": 3,
    }
    return {**body, **changes}


def absence(town: Town, entry: BundleDecision, **changes: object) -> Mapping[str, Value]:
    said = Absence(entry.mandate.decision_id, (town.towers["dave"].identity,))
    return remark_body(replace(said, **changes))


def accusation(town: Town, entry: BundleDecision, **changes: object) -> Mapping[str, Value]:
    dave = town.towers["dave"].identity
    said = Accusation(entry.mandate.decision_id, dave, "bad signature share", sha256(b"share"))
    return remark_body(replace(said, **changes))


def signal(town: Town, entry: BundleDecision, **changes: object) -> Mapping[str, Value]:
    return remark_body(replace(Signal(entry.decision.plan_hash, "unbacked", seal(SEALED, SEED)), **changes))


def half(town: Town, decision: "Decision", name: str, digest: bytes) -> bytes:
    """Give an attestation that stands in no log."""
    signature = town.towers[name].sign_digest(digest)
    town.say(name, "attestation", attestation_body(decision, "attest", digest, signature))
    return town.entries.pop()


def equivocation(
    town: Town, entry: BundleDecision, *, names: tuple[str, str] = ("dave", "dave"), same: bool = False
) -> Mapping[str, Value]:
    digests = (mandate_digest(entry.mandate), Digest(sha256(b"another mandate")))
    first, second = (half(town, entry.decision, name, digests[0] if same else digest)
                     for name, digest in zip(names, digests, strict=True))  # fmt: skip
    return {"first": first, "second": second}


def of_another(town: Town, entry: BundleDecision) -> Mapping[str, Value]:
    return equivocation(town, replace(entry, decision=replace(entry.decision, anchor=block(90))))


def of_a_dissent(town: Town, entry: BundleDecision) -> Mapping[str, Value]:
    town.refuse("dave", entry.decision, "dissent")
    return {**equivocation(town, entry), "second": town.entries.pop()}


def by_a_stranger(town: Town, entry: BundleDecision) -> Mapping[str, Value]:
    town.towers["mallory"] = Tower("mallory")
    return equivocation(town, entry, names=("mallory", "mallory"))


def forged(town: Town, entry: BundleDecision) -> Mapping[str, Value]:
    said = equivocation(town, entry)
    first = said["first"]
    assert isinstance(first, bytes)
    return {**said, "first": first[:-1] + bytes([first[-1] ^ 1])}


SAID: dict[str, Say] = {
    "absence": absence,
    "accusation": accusation,
    "equivocation": equivocation,
    "signal": signal,
    "unlanded": unlanded,
    "void": void,
}


@pytest.mark.parametrize(("kind", "say"), SAID.items())
def test_a_statement_is_told_with_its_author_time_and_facts(town: Town, kind: str, say: Say) -> None:
    entry = scene(town)
    town.say("alice", kind, say(town, entry))
    verdict = verify_bundle(encode_bundle(town.bundle(replace(entry, statements=(4,)))))

    (statement,) = verdict.decisions[0].statements
    assert (statement.kind, statement.said_by, statement.record) == (kind, "alice", sha256(town.entries[4]))
    assert statement.at_ms == 1_659_390_000_004
    assert statement.facts
    assert ("dave" in statement.words) == (kind in ("absence", "accusation", "equivocation"))
    word = "each is its author's word alone"
    assert any(word in limit for limit in verdict.not_proved) == (kind != "equivocation")


OTHERS: list[tuple[str, str, Say]] = [
    ("statement-decision", "void", partial(void, anchor=block_value(block(99)))),
    ("statement-decision", "void", partial(void, decision_id=bytes(32))),
    ("shape", "void", partial(void, landed=1)),
    ("statement-decision", "unlanded", partial(unlanded, mandate_digest=bytes(32))),
    ("statement-decision", "unlanded", partial(unlanded, act_id=bytes(32))),
    ("statement-decision", "absence", partial(absence, decision_id=bytes(32))),
    ("statement-decision", "absence", partial(absence, absent=(bytes(32),))),
    ("statement-decision", "accusation", partial(accusation, member=bytes(32))),
    ("shape", "accusation", partial(accusation, reason="dislike")),
    ("statement-decision", "signal", partial(signal, plan_hash=bytes(32))),
    ("statement-evidence", "equivocation", partial(equivocation, names=("dave", "carol"))),
    ("statement-evidence", "equivocation", partial(equivocation, same=True)),
    ("statement-evidence", "equivocation", of_a_dissent),
    ("statement-evidence", "equivocation", by_a_stranger),
    ("statement-evidence", "equivocation", forged),
    ("statement-evidence", "equivocation", lambda _town, _entry: {"first": b"", "second": b""}),
    ("statement-decision", "equivocation", of_another),
    ("statement-kind", "heartbeat", void),
]


@pytest.mark.parametrize(("check", "kind", "say"), OTHERS)
def test_a_statement_of_something_else_is_refused_by_name(
    town: Town, check: str, kind: str, say: Say
) -> None:
    entry = scene(town)
    town.say("alice", kind, say(town, entry))

    assert check_of(town.bundle(replace(entry, statements=(4,)))) == check


def test_one_member_cannot_fill_a_bundle_with_its_statements(town: Town) -> None:
    entry = scene(town)
    for _ in range(64):
        town.say("alice", "void", void(town, entry))
    town.say("bob", "void", void(town, entry))
    verify_bundle(encode_bundle(town.bundle(replace(entry, statements=tuple(range(4, 69))))))
    town.say("alice", "void", void(town, entry))

    assert check_of(town.bundle(replace(entry, statements=tuple(range(4, 70))))) == "statement-many"


def test_an_attestation_is_no_statement_and_a_statement_belongs_to_one_place(town: Town) -> None:
    entry = scene(town)
    town.say("alice", "void", void(town, entry))

    assert check_of(town.bundle(entry)) == "record-unused"
    assert check_of(town.bundle(replace(entry, statements=(4, 4)))) == "record-twice"
    assert check_of(town.bundle(replace(entry, statements=(5,)))) == "record-missing"


def sealed(town: Town) -> Bundle:
    entry = scene(town)
    town.say("alice", "signal", signal(town, entry))
    return town.bundle(replace(entry, statements=(4,)))


def test_a_disclosed_field_is_what_was_sealed(town: Town) -> None:
    bundle = sealed(town)
    note = disclose(SEALED, SEED, "note")
    file = encode_disclosure(DisclosureFile(town.entries[4], (note, disclose(SEALED, SEED, "reporter"))))
    shown = encode_bundle(replace(bundle, disclosed=(BundleDisclosure(4, note),)))

    (only,) = verify_bundle(shown).disclosed
    both = verify_bundle(shown, disclosures=[file, file]).disclosed

    assert (only.field, only.value, only.said_by, only.kind) == ("note", "look here", "alice", "signal")
    assert {field.field: field.value for field in both} == dict(SEALED)


def test_a_field_of_another_record_or_value_is_refused_by_name(town: Town) -> None:
    bundle = sealed(town)
    note = disclose(SEALED, SEED, "note")

    def refused(*disclosed: BundleDisclosure) -> str:
        return check_of(replace(bundle, disclosed=disclosed))

    assert refused(BundleDisclosure(4, replace(note, value="look away"))) == "sealed-root"
    assert refused(BundleDisclosure(4, replace(note, field="reporter"))) == "sealed-root"
    assert refused(BundleDisclosure(4, replace(note, field="price"))) == "sealed-form"
    assert refused(BundleDisclosure(4, note), BundleDisclosure(4, note)) == "sealed-twice"
    assert refused(BundleDisclosure(0, note)) == "sealed-record"
    assert refused(BundleDisclosure(5, note)) == "record-missing"
    stranger = encode_disclosure(DisclosureFile(town.entries[0], (note,)))
    nobody = encode_disclosure(DisclosureFile(b"", (note,)))
    for file in (stranger, nobody):
        with pytest.raises(ProofError) as caught:
            verify_bundle(encode_bundle(bundle), disclosures=[file])
        assert caught.value.check == "sealed-record"


def second_document(town: Town) -> BundleDocument:
    """Give the document of epoch 2 with the same keys, by which bob has the name robert."""
    members = tuple(
        replace(tower.member(), name="robert") if name == "bob" else tower.member()
        for name, tower in town.towers.items()
    )
    following = build_committee(CommitteeStatement("town", 2, 1, 1, False, town.network, members))
    message = committee_signing_bytes(following.raw)
    signatures = {each.identity: each.identity_key.sign(message).signature for each in town.towers.values()}
    return BundleDocument(following.raw, signatures)


def test_a_member_with_another_name_by_now_was_heard_and_has_one_voice(town: Town) -> None:
    entry = scene(town)
    first = remark(town, "bob", header(entry))
    documents = (town.signed_genesis(*town.names), second_document(town))
    once = replace(town.bundle(replace(entry, headers=(first,))), committees=documents)
    town.say("bob", "header", remark_body(header(entry)), committee_epoch=2)
    twice = replace(town.bundle(replace(entry, headers=(first, first + 1))), committees=documents)

    (verdict,) = verify_bundle(encode_bundle(once)).decisions

    assert (verdict.attested, set(verdict.silent)) == (("bob", "carol"), {"alice", "dave"})
    assert check_of(twice) == "header-twice"


def test_the_last_document_may_be_left_out_if_nothing_rests_on_it(town: Town) -> None:
    bundle = town.bundle(scene(town))
    both = replace(bundle, committees=(*bundle.committees, second_document(town)))

    for each, epochs in ((bundle, 1), (both, 2)):
        assert len(verify_bundle(encode_bundle(each)).epochs) == epochs
    assert check_of(replace(both, committees=both.committees[1:])) == "committee-epoch"


def test_a_decision_is_witnessed_by_the_first_cosigner_of_the_last_checkpoint_it_needs() -> None:
    city = City()
    first, second = Incident.of(city), Incident.of(city, 1)
    early, late = first.case(), first.case(after=second.said)
    records = (*early.bundle.records[:-1], late.bundle.records[-1])
    mixed = encode_bundle(replace(early.bundle, records=records))

    verdict = verify_bundle(mixed, policy=early.policy, now_s=NOW_S)

    sizes = [(each.witnessed.size, each.witnessed.by) for each in verdict.decisions if each.witnessed]
    assert sizes == [(45, "town/alice/cosigner")] * 4 + [(90, "town/alice/cosigner")]
    assert verdict.decisions[0].witnessed == Witnessed(NOW_S - 955, "town/alice/cosigner", 45)


def test_the_witnesses_that_are_missing_are_named() -> None:
    case = Incident.of(City()).case()

    for policy in (case.policy, None):
        log = verify_bundle(encode_bundle(case.bundle), policy=policy).log
        assert (len(log.witnesses), log.missing) == (6, ("town/carol/cosigner",))
        assert log.quorum == (None if policy is None else "5 of 7, epoch-1")
