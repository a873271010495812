"""What members say beside verdicts, in bundles: of each his share, and nothing that a verifier refuses."""

from __future__ import annotations

from collections import Counter
from collections.abc import Iterable, Sequence
from dataclasses import replace
from functools import cache
from pathlib import Path

import pytest

from proofs.bundle import Bundle, decode_bundle, encode_bundle
from proofs.envelope import Envelope, open_envelope
from proofs.groupkeys import KeyGroup, KeysStatement, SignedKeys, build_keys, keys_signing_bytes
from proofs.hashes import sha256
from proofs.kinds import Digest, Identity
from proofs.mandate import CERTIFICATE_ECDSA, CERTIFICATE_FROST, certificate_kind
from proofs.note import KeyKind, verifier_key
from proofs.points import Suite
from proofs.policy import Policy, format_policy
from proofs.remarks import REMARK_READERS, Absence, Accusation, Header, Signal
from proofs.text import base64_text
from proofs.verdict import Verdict
from proofs.verify import verify_bundle
from relay.core.book import Entry
from relay.core.decisions import Prepared
from relay.core.events import Received
from relay.core.messages import Attestation, Equivocation, Message, Unlanded, Void
from relay.core.messages import Verdict as Stance
from relay.core.types import BlockRef, Millis
from relay.journal import AuditLog, Journal, LogEntry, StoredEnvelope
from tests.proofs.group_points import point_of, polynomial, value_at
from tests.sim.plans import BRIDGE, HOME, MARKET, compile_text, written_out
from tests.sim.test_bundles import (
    LIMITS,
    NOW,
    ORIGIN,
    PUBLIC,
    an_incident,
    bundles_of,
    group_keys,
    sign,
    sign_as_groups,
    silent_receipts,
)
from tests.sim.town import Town

POLICY = format_policy(Policy(logs=(verifier_key(ORIGIN, KeyKind.ED25519, PUBLIC),)))
TRACE = {"agreement": {}, "faulted": [], "pins": {}, "result": True, "rule": "unbacked", "values": {}}


@cache
def town() -> Town:
    """Give a town after an incident; what tests do to it they undo."""
    return an_incident(tuple(compile_text(written_out(text)) for text in (BRIDGE, MARKET)))


def first() -> Entry:
    """Give the bridge's first decision, as alice has it."""
    host = town().hosts["alice"]
    assert host.node is not None
    entry = host.node.book.entries.entry_of(town().certified(host, "unbacked")[0])
    assert entry is not None
    return entry


def said(name: str, message: Message, at_s: int | None = None) -> Received:
    """Give what a member said at the time of the decision."""
    at_ms = 1_000 * (first().tally.prepared.mandate.not_before if at_s is None else at_s)
    envelope, message = town().keys[name].say(message, town().committee, at_ms)
    return Received(envelope, message, Millis(at_ms))


async def made(
    folder: Path, more: Iterable[Received] = (), *, keys: Sequence[SignedKeys] = (), hides: int = 0
) -> Bundle:
    """Let alice, who also took `more`, make the bundle; the last `hides` of it are not in her log."""
    alice, told = town().hosts["alice"], list(more)
    bundles = bundles_of(town(), alice, keys)
    for event in told:
        bundles.heard(event)
    shown = told[: len(told) - hides]
    raw = {**alice.disk.log, **{event.envelope.digest: event.envelope.raw for event in shown}}
    entries = [StoredEnvelope(each, key, NOW, LogEntry.RELEASED) for key, each in raw.items()]
    async with Journal.open(folder / "journal.sqlite", clock=lambda: NOW, limits=LIMITS) as journal:
        await journal.append([b"event"], entries)
        audit = await AuditLog.open(journal, folder / "log", origin=ORIGIN, log_key=PUBLIC)
        await audit.publish((await audit.sign(sign)).checkpoint, (), sign)
        data = await bundles.make(audit, silent_receipts(), first().tally.prepared.id)
    assert data is not None
    verify_bundle(data, policy=POLICY)
    return decode_bundle(data)


def verdict_of(bundle: Bundle) -> Verdict:
    return verify_bundle(encode_bundle(bundle), policy=POLICY)


def statements_of(bundle: Bundle) -> list[Envelope]:
    return [
        open_envelope(bundle.records[number].envelope)
        for decision in bundle.decisions
        for number in decision.statements
    ]


def remarks(prepared: Prepared, about: Identity) -> list[Message]:
    """Give one of each kind of statement, as an honest member says it."""
    leaf = prepared.leaves[0]
    halves = []
    for digest in (prepared.digest, Digest(sha256(b"another"))):
        signature = town().keys["dave"].sign_mandate(digest)
        half = Attestation(prepared.decision, Stance.ATTEST, TRACE, digest, signature)
        halves.append(said("dave", half).envelope.raw)
    return [
        Absence(prepared.id, (about,)),
        Accusation(prepared.id, about, "bad signature share", Digest(sha256(b"share"))),
        Equivocation(halves[0], halves[1]),
        Signal(prepared.decision.plan_hash, "bridge", Digest(sha256(b"sealed"))),
        Unlanded(prepared.id, prepared.digest, leaf.chain, leaf.gateway, leaf.act_id, "timed out", 2),
        Void(prepared.id, prepared.decision.anchor, landed=True),
    ]


@pytest.mark.asyncio
async def test_headers_of_the_members_make_every_block_final(tmp_path: Path) -> None:
    verdict = verdict_of(await made(tmp_path))

    outcomes = [outcome for each in verdict.decisions for act in each.acts for outcome in act.outcomes]
    assert outcomes
    assert all(outcome.finality.is_agreed for outcome in outcomes)
    assert {name for outcome in outcomes for name in outcome.finality.said_by} == set(town().hosts)


@pytest.mark.asyncio
async def test_each_kind_of_statement_stands_in_the_bundle_once(tmp_path: Path) -> None:
    prepared, dave = first().tally.prepared, town().keys["dave"].identity
    told = [said("bob", message) for message in remarks(prepared, dave)]

    found = statements_of(await made(tmp_path, [*told, *told]))

    assert {each.digest for each in found} == {event.envelope.digest for event in told}
    assert len(found) == len(told)


@pytest.mark.asyncio
async def test_what_is_not_published_is_in_no_bundle(tmp_path: Path) -> None:
    prepared = first().tally.prepared
    told = [said("bob", Void(prepared.id, prepared.decision.anchor, landed=flag)) for flag in (True, False)]

    found = statements_of(await made(tmp_path, told, hides=1))

    assert [each.digest for each in found] == [told[0].envelope.digest]


@pytest.mark.asyncio
async def test_what_a_verifier_would_refuse_stays_outside(tmp_path: Path) -> None:
    """One odd word of a liar would cost the whole bundle."""
    prepared = first().tally.prepared
    elsewhere = BlockRef(HOME, Digest(bytes(32)), 7, 7)
    leaf = prepared.leaves[0]
    lies: list[Message] = [
        Void(prepared.id, elsewhere, landed=True),
        Absence(prepared.id, (Identity(bytes(32)),)),
        Accusation(prepared.id, Identity(bytes(32)), "bad signature share", Digest(bytes(32))),
        Unlanded(prepared.id, Digest(bytes(32)), leaf.chain, leaf.gateway, leaf.act_id, "timed out", 2),
        Header(prepared.id, HOME, elsewhere),
        Equivocation(b"nonsense", b"nonsense"),
    ]

    plain = await made(tmp_path)
    (tmp_path / "lies").mkdir()
    bundle = await made(tmp_path / "lies", [said("dave", lie) for lie in lies])

    assert statements_of(bundle) == []
    assert [len(each.headers) for each in bundle.decisions] == [len(each.headers) for each in plain.decisions]


@pytest.mark.asyncio
async def test_a_header_said_again_stands_once(tmp_path: Path) -> None:
    plain = await made(tmp_path)
    headers = [open_envelope(plain.records[number].envelope) for number in plain.decisions[0].headers]
    again = REMARK_READERS["header"](headers[0].body)
    assert isinstance(again, Header)
    (tmp_path / "again").mkdir()

    told = [said(name, again, at_s) for name in town().hosts for at_s in (1, 2)]
    bundle = await made(tmp_path / "again", told)

    assert len(bundle.decisions[0].headers) == len(plain.decisions[0].headers)


@pytest.mark.asyncio
async def test_a_flood_of_one_member_costs_no_other_member_a_word(tmp_path: Path) -> None:
    prepared, dave = first().tally.prepared, town().keys["dave"].identity
    begin = prepared.mandate.not_before
    flood = [
        said("dave", message, begin + number % 60)
        for number in range(400)
        for message in (
            Void(prepared.id, prepared.decision.anchor, landed=bool(number % 2)),
            Signal(prepared.decision.plan_hash, f"noise {number}", Digest(bytes(32))),
        )
    ]
    honest = [said("bob", message) for message in remarks(prepared, dave)]

    bundle = await made(tmp_path, [*flood, *honest, *flood])

    by = Counter(
        (place, open_envelope(bundle.records[number].envelope).author)
        for place, decision in enumerate(bundle.decisions)
        for number in decision.statements
    )
    assert max(by.values()) == by[0, dave] == 64
    assert {each.envelope.digest for each in honest} <= {each.digest for each in statements_of(bundle)}


@pytest.mark.asyncio
async def test_a_share_counts_the_bytes_of_the_file_with_the_proofs(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    prepared, dave = first().tally.prepared, town().keys["dave"].identity
    flood = [said("dave", Void(prepared.id, prepared.decision.anchor, landed=True), at) for at in range(60)]
    honest = [said("bob", message) for message in remarks(prepared, dave)]
    monkeypatch.setattr("relay.app.shelf.MAX_BYTES", 4 * 20_000)

    bundle = await made(tmp_path, [*flood, *honest])

    told = [bundle.records[number] for decision in bundle.decisions for number in decision.statements]
    by_dave = [each for each in told if open_envelope(each.envelope).author == dave]
    assert 15_000 < sum(len(base64_text(each.envelope)) + len(each.tlog_proof) for each in by_dave) <= 20_000
    assert {each.envelope.digest for each in honest} <= {each.digest for each in statements_of(bundle)}


@pytest.mark.asyncio
async def test_of_each_member_the_newest_are_kept_and_nobody_pays_for_another(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr("relay.app.remarked.MAX_KEPT", 30)
    prepared, dave = first().tally.prepared, town().keys["dave"].identity
    void = Void(prepared.id, prepared.decision.anchor, landed=True)
    honest = [said("bob", message) for message in remarks(prepared, dave)]
    flood = [said("dave", void, at_s) for at_s in range(1, 61)]

    found = {each.digest for each in statements_of(await made(tmp_path, [*honest, *flood]))}

    assert found == {each.envelope.digest for each in (*honest, *flood[-30:])}


@pytest.mark.asyncio
async def test_a_signal_belongs_to_the_hour_before_its_decision_and_to_its_mandate_s_life(
    tmp_path: Path,
) -> None:
    prepared = first().tally.prepared
    mandate = prepared.mandate
    times = {
        mandate.not_before - 3_601: False,
        mandate.not_before - 3_600: True,
        mandate.not_before: True,
        mandate.not_after + 3_600: False,
    }
    told = {
        at_s: said("bob", Signal(prepared.decision.plan_hash, f"at {at_s}", Digest(bytes(32))), at_s)
        for at_s in times
    }

    found = {each.digest for each in statements_of(await made(tmp_path, told.values()))}

    assert {at_s: event.envelope.digest in found for at_s, event in told.items()} == times


def other_keys(generation: int) -> SignedKeys:
    """Give keys of the same epoch out of another ceremony: groups that signed nothing."""
    document = group_keys(town()).document
    groups = tuple(_other_group(group) for group in document.groups)
    rebuilt = build_keys(
        KeysStatement(
            network=document.network,
            ceremony=Digest(bytes([1]) * 32),
            transcript=document.transcript,
            committee_epoch=document.committee_epoch,
            key_epoch=document.key_epoch,
            generation=generation,
            holders=document.holders,
            groups=groups,
        )
    )
    message = keys_signing_bytes(rebuilt.raw)
    return SignedKeys(
        rebuilt, {each.identity: each.identity_key.sign(message).signature for each in town().keys.values()}
    )


def _other_group(group: KeyGroup) -> KeyGroup:
    coefficients = polynomial(Suite.SECP256K1, group.threshold, b"another ceremony" + group.name.encode())
    points = [
        point_of(group.suite, value_at(group.suite, coefficients, place))
        for place in range(len(group.shares) + 1)
    ]
    return replace(group, key=points[0], shares=tuple(points[1:]))


@pytest.mark.asyncio
async def test_a_group_s_signature_is_shown_by_the_keys_that_made_it_or_gives_way_to_the_list(
    tmp_path: Path,
) -> None:
    alice = town().hosts["alice"]
    assert alice.node is not None
    entries = list(alice.node.book.entries.values())
    before = [entry.threshold_certificate for entry in entries]
    sign_as_groups(town(), alice)
    try:
        mine = group_keys(town(), 2)
        older = await made(tmp_path, keys=[other_keys(3), mine, other_keys(1)])
        (tmp_path / "none").mkdir()
        none = await made(tmp_path / "none", keys=[other_keys(3)])
    finally:
        for entry, certificate in zip(entries, before, strict=True):
            entry.threshold_certificate = certificate

    assert [keys.document for keys in older.keys] == [mine.document.raw]
    assert {certificate_kind(each.certificate) for each in older.decisions} == {CERTIFICATE_FROST}
    assert none.keys == ()
    assert {certificate_kind(each.certificate) for each in none.decisions} == {CERTIFICATE_ECDSA}
