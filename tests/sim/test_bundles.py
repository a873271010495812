"""The bundle of an incident, from a member whose chains prove no receipt: it is given without them."""

from __future__ import annotations

import json
import random
from collections.abc import Callable, Sequence
from pathlib import Path

import pytest
from nacl.signing import SigningKey

from proofs.bundle import Bundle, BundleDecision, decode_bundle
from proofs.committee import SignedCommittee, committee_signing_bytes
from proofs.envelope import open_envelope
from proofs.groupkeys import (
    KeysDocument,
    KeysStatement,
    SignedKeys,
    build_keys,
    group_name,
    keys_signing_bytes,
    parse_keys,
)
from proofs.mandate import (
    CERTIFICATE_ECDSA,
    Tier,
    certificate_kind,
    encode_frost_certificate,
    mandate_digest,
    verify_frost_certificate,
)
from proofs.points import Suite
from proofs.receipts import MAX_NODE_BYTES, ReceiptProof
from proofs.statements import OutcomeStatement, read_outcome
from proofs.text import base64_text
from proofs.trie import MAX_TRIE_NODES
from relay.app.bundles import Bundles
from relay.app.receipts import Claim, Receipts
from relay.core.compiled import CompiledPlan
from relay.core.errors import NoAgreement
from relay.core.events import Received
from relay.core.history import event_from_bytes, event_to_bytes
from relay.core.messages import Outcome
from relay.core.types import BlockRef, DecisionId, Digest, Identity, Millis
from relay.journal import AuditLog, DiskLimits, Journal, LogEntry, StoredEnvelope
from relay.threshold.frost import sign_alone
from relay.threshold.groups import SECP256K1
from tests.proofs.group_points import group_of, polynomial
from tests.sim.host import Host
from tests.sim.town import Town

ORIGIN = "town/alice"
LOG = SigningKey(bytes(range(32)))
PUBLIC = bytes(LOG.verify_key)
LIMITS = DiskLimits(min_free_bytes=0, ballast_bytes=0)
NOW = Millis(1_000)


class Pruned:
    """A chain whose endpoints keep no receipts."""

    async def receipt_proof(
        self, block: BlockRef, tx: bytes, _check: Callable[[ReceiptProof], object]
    ) -> ReceiptProof:
        raise NoAgreement(block.chain, f"no receipt of {tx.hex()}")


def an_incident(plans: tuple[CompiledPlan, ...] | None = None) -> Town:
    town = Town(random.Random(2), plans=plans)
    town.burn(100)
    town.run(60)
    town.release(500)
    town.run(150)
    return town


def silent_receipts() -> Receipts:
    return Receipts({}, lambda _outcome, _reason: None)


def group_keys(town: Town, generation: int = 1, tiers: Sequence[Tier] = tuple(Tier)) -> SignedKeys:
    """Give keys of the town's committee, whose secrets these tests know."""
    committee = town.committee
    count = len(committee.members)
    document = build_keys(
        KeysStatement(
            network=committee.network,
            ceremony=Digest(bytes(32)),
            transcript=Digest(bytes(32)),
            committee_epoch=committee.committee_epoch,
            key_epoch=committee.key_epoch,
            generation=generation,
            holders=tuple(sorted(member.identity for member in committee.members)),
            groups=tuple(group_of(group_name(tier), committee.threshold(tier), count) for tier in tiers),
        )
    )
    message = keys_signing_bytes(document.raw)
    return SignedKeys(
        document,
        {keys.identity: keys.identity_key.sign(message).signature for keys in town.keys.values()},
    )


def sign_as_groups(town: Town, host: Host) -> None:
    """Let the groups sign every decision of the town."""
    assert host.node is not None
    for entry in host.node.book.entries.values():
        prepared = entry.tally.prepared
        tier = prepared.decision.tier
        seed = b"group of " + group_name(tier).encode()
        secret, *_ = polynomial(Suite.SECP256K1, town.committee.threshold(tier), seed)
        signature = sign_alone(SECP256K1, secret, prepared.digest, bytes(32))
        entry.threshold_certificate = encode_frost_certificate(signature)


def bundles_of(town: Town, host: Host, keys: Sequence[SignedKeys] = ()) -> Bundles:
    assert host.node is not None
    message = committee_signing_bytes(town.committee.raw)
    signatures = {keys.identity: keys.identity_key.sign(message).signature for keys in town.keys.values()}
    bundles = Bundles(host.node, lambda: [SignedCommittee(town.committee, signatures)], lambda: keys)
    for data in host.disk.journal:
        bundles.heard(event_from_bytes(data))
    return bundles


async def sign(body: bytes) -> bytes:
    return bytes(LOG.sign(body).signature)


async def bundle_of(folder: Path, town: Town, receipts: Receipts, keys: Sequence[SignedKeys] = ()) -> Bundle:
    """Give the bundle of the bridge's first decision, by alice."""
    host = town.hosts["alice"]
    entries = [StoredEnvelope(raw, key, NOW, LogEntry.RELEASED) for key, raw in host.disk.log.items()]
    async with Journal.open(folder / "journal.sqlite", clock=lambda: NOW, limits=LIMITS) as journal:
        await journal.append([b"event"], entries)
        audit = await AuditLog.open(journal, folder / "log", origin=ORIGIN, log_key=PUBLIC)
        await audit.publish((await audit.sign(sign)).checkpoint, (), sign)

        data = await bundles_of(town, host, keys).make(audit, receipts, town.certified(host, "unbacked")[0])

    assert data is not None
    return decode_bundle(data)


@pytest.mark.asyncio
@pytest.mark.parametrize("knows_chains", [True, False])
async def test_a_member_without_receipts_gives_the_bundle_and_says_what_is_missing(
    tmp_path: Path, *, knows_chains: bool
) -> None:
    town = an_incident()
    missing: list[str] = []
    sources = {chain: Pruned() for chain in town.chains} if knows_chains else {}
    receipts = Receipts(sources, lambda outcome, reason: missing.append(f"{outcome.chain}: {reason[:10]}"))

    bundle = await bundle_of(tmp_path, town, receipts)

    told = {
        read_outcome(open_envelope(bundle.records[number].envelope)).chain
        for decision in bundle.decisions
        for number in decision.outcomes
    }
    assert told == set(town.chains)
    assert [decision.receipts for decision in bundle.decisions] == [()] * len(bundle.decisions)
    reason = "no receipt" if knows_chains else "no endpoin"
    assert set(missing) == {f"{chain}: {reason}" for chain in told}


class Long(Receipts):
    """Receipts of this many bytes each, shown for every claim."""

    def __init__(self, length: int) -> None:
        super().__init__({}, lambda _outcome, _reason: None)
        self.proof = ReceiptProof(0, b"header", (bytes(length),) * MAX_TRIE_NODES)

    async def prove(self, claims: Sequence[Claim]) -> dict[OutcomeStatement, ReceiptProof]:
        return {claim.outcome: self.proof for claim in claims}


@pytest.mark.asyncio
async def test_each_claim_s_receipt_stands_once_with_an_outcome_that_says_it(tmp_path: Path) -> None:
    bundle = await bundle_of(tmp_path, an_incident(), Long(100))

    for decision in bundle.decisions:
        told = [read_outcome(open_envelope(bundle.records[at].envelope)) for at in decision.outcomes]
        shown = [
            read_outcome(open_envelope(bundle.records[receipt.outcome].envelope))
            for receipt in decision.receipts
        ]
        assert {receipt.outcome for receipt in decision.receipts} <= set(decision.outcomes)
        assert len(set(shown)) == len(shown)
        assert set(shown) == set(told)
    assert any(len(decision.receipts) < len(decision.outcomes) for decision in bundle.decisions)


@pytest.mark.asyncio
async def test_receipts_that_would_burst_a_bundle_are_left_out_of_it(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr("proofs.bundle.MAX_BUNDLE_BYTES", 1 << 20)

    bundle = await bundle_of(tmp_path, an_incident(), Long(MAX_NODE_BYTES))

    assert all(not decision.receipts for decision in bundle.decisions)
    assert any(decision.outcomes for decision in bundle.decisions)


def is_by_group(decision: BundleDecision, keys: KeysDocument) -> bool:
    """Tell whether a decision is certified by its group's signature, which must then be good."""
    if certificate_kind(decision.certificate) == CERTIFICATE_ECDSA:
        return False
    group = keys.group(group_name(decision.decision.tier))
    assert group is not None
    verify_frost_certificate(mandate_digest(decision.mandate), decision.certificate, group.key)
    return True


@pytest.mark.asyncio
async def test_a_group_s_signatures_stand_in_the_bundle_with_the_newest_keys_that_show_them(
    tmp_path: Path,
) -> None:
    town = an_incident()
    sign_as_groups(town, town.hosts["alice"])
    keys = [group_keys(town, generation) for generation in (1, 3, 2)]

    bundle = await bundle_of(tmp_path, town, silent_receipts(), keys)

    (shown,) = bundle.keys
    assert SignedKeys(parse_keys(shown.document), shown.signatures) == keys[1]
    assert len(bundle.decisions) > 1
    assert all(is_by_group(decision, keys[1].document) for decision in bundle.decisions)


@pytest.mark.asyncio
async def test_a_signature_whose_keys_cannot_be_shown_gives_way_to_the_list(tmp_path: Path) -> None:
    town = an_incident()
    sign_as_groups(town, town.hosts["alice"])
    keys = group_keys(town, tiers=[Tier.FULL])

    bundle = await bundle_of(tmp_path, town, silent_receipts(), [keys])

    assert {decision.decision.tier for decision in bundle.decisions} == set(Tier)
    for decision in bundle.decisions:
        assert is_by_group(decision, keys.document) == (decision.decision.tier is Tier.FULL)


@pytest.mark.asyncio
@pytest.mark.parametrize("has_keys", [True, False])
async def test_a_bundle_of_lists_alone_has_no_keys(tmp_path: Path, *, has_keys: bool) -> None:
    town = an_incident()
    host = town.hosts["alice"]
    sign_as_groups(town, host)
    keys = [group_keys(town)] if has_keys else []
    if has_keys:
        assert host.node is not None
        for entry in host.node.book.entries.values():
            entry.threshold_certificate = None

    bundle = await bundle_of(tmp_path, town, silent_receipts(), keys)

    assert bundle.keys == ()
    assert {certificate_kind(decision.certificate) for decision in bundle.decisions} == {CERTIFICATE_ECDSA}


def flooded(town: Town, host: Host, many: int) -> Identity:
    """Let dave say `many` times that he saw effects that nobody else saw; give who dave is."""
    assert host.node is not None
    entry = host.node.book.entries.entry_of(DecisionId(town.certified(host, "unbacked")[0]))
    assert entry is not None
    prepared, dave = entry.tally.prepared, town.keys["dave"]
    for number in range(many):
        leaf = prepared.leaves[number % len(prepared.leaves)]
        said = Outcome(
            decision_id=prepared.id,
            mandate_digest=prepared.digest,
            chain=leaf.chain,
            gateway=leaf.gateway,
            act_id=leaf.act_id,
            block=BlockRef(leaf.chain, Digest(bytes([number]) * 32), 1_000 + number, 2_000 + number),
            tx=bytes(32),
            effect=("started", "extended", "noop", "release")[number // 4 % 4],
            until=0,
            gas_used=1,
        )
        envelope, message = dave.say(said, town.committee, 1_000 + number)
        host.disk.log[envelope.digest] = envelope.raw
        host.disk.journal.append(event_to_bytes(Received(envelope, message, NOW)))
    return dave.identity


@pytest.mark.asyncio
async def test_a_flood_of_outcomes_takes_no_place_of_what_the_others_saw(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    town = an_incident()
    (tmp_path / "quiet").mkdir()
    quiet = await bundle_of(tmp_path / "quiet", town, silent_receipts())
    seen = [quiet.records[at] for decision in quiet.decisions for at in decision.outcomes]
    room = sum(len(base64_text(each.envelope)) + len(json.dumps(each.tlog_proof)) for each in seen)
    monkeypatch.setattr("relay.app.shelf.MAX_BYTES", room + 2_000)
    liar = flooded(town, town.hosts["alice"], 16)

    bundle = await bundle_of(tmp_path, town, silent_receipts())

    told = [bundle.records[at].envelope for decision in bundle.decisions for at in decision.outcomes]
    lies = {raw for raw in told if open_envelope(raw).author == liar} - {each.envelope for each in seen}
    assert len(lies) < 4
    assert len(set(told) - lies) >= len(seen) - 2, "proofs are a little longer in the longer log"
    for each in {read_outcome(open_envelope(each.envelope)) for each in seen}:
        assert each in {read_outcome(open_envelope(raw)) for raw in told}
