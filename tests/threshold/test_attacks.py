"""Up to f members who lie in a ceremony (SPEC 3): no keys come of it, and the envelopes name them."""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence
from dataclasses import replace

import nacl.bindings as sodium
import pytest
from nacl.exceptions import CryptoError

from proofs.envelope import Envelope
from proofs.kinds import Identity
from relay.threshold.blame import CONTRADICTION, faults, judge
from relay.threshold.boxes import is_pair_key, open_box, pair_key, seal_box
from relay.threshold.ceremony import Ceremony, take
from relay.threshold.checks import opened_shares
from relay.threshold.errors import ThresholdError
from relay.threshold.frost import lagrange, sign_alone
from relay.threshold.groups import SECP256K1
from relay.threshold.keygen import group_deal, proof_message
from relay.threshold.messages import CeremonyMessage, Complaint, Deal, Join, Transcript
from relay.threshold.secrets import Shares, deal_of, open_deals, pair_secret, transcript_of
from tests.threshold.liars import SECRET, Liar, convicted, ended, the_deal
from tests.threshold.troupe import Player, Troupe, complaint_of, seven, sign_with

# ---- deals that anybody sees to be wrong


def _first(deal: Deal, **changes: object) -> Deal:
    return replace(deal, groups=(replace(deal.groups[0], **changes), *deal.groups[1:]))  # type: ignore[arg-type]


def _boxes(deal: Deal, change: Callable[[list[bytes]], list[bytes]]) -> Deal:
    return replace(deal, sealed=dict(zip(deal.sealed, change(list(deal.sealed.values())), strict=True)))


DEALS: Mapping[str, tuple[Callable[[Deal, Liar], Deal], str]] = {
    "a degree too low": (
        lambda deal, _: _first(deal, commitments=deal.groups[0].commitments[:-1]),
        "expected 3 commitments, got 2",
    ),
    "a degree too high": (
        lambda deal, _: _first(deal, commitments=deal.groups[0].commitments * 2),
        "expected 3 commitments, got 6",
    ),
    "a point off the curve": (
        lambda deal, _: _first(deal, commitments=(*deal.groups[0].commitments[:2], b"\x02" + b"\xff" * 32)),
        "no point",
    ),
    "a commitment too short": (
        lambda deal, _: _first(deal, commitments=(*deal.groups[0].commitments[:2], b"")),
        "no point",
    ),
    "a proof of nothing": (lambda deal, _: _first(deal, proof=bytes(65)), "wrong proof"),
    "no proof": (lambda deal, _: _first(deal, proof=b""), "wrong proof"),
    "the proof of the other group": (
        lambda deal, _: _first(deal, proof=deal.groups[1].proof),
        "wrong proof",
    ),
    "the deal of another dealer": (
        lambda deal, liar: replace(deal, groups=next(iter(liar.deals.values())).groups),
        "wrong proof",
    ),
    "one group only": (lambda deal, _: replace(deal, groups=deal.groups[:1]), "other groups"),
    "no box for one": (
        lambda deal, _: replace(deal, sealed=dict(list(deal.sealed.items())[1:])),
        "boxes for others",
    ),
    "a box for itself": (
        lambda deal, liar: replace(deal, sealed={**deal.sealed, liar.who: bytes(112)}),
        "boxes for others",
    ),
    "a short box": (lambda deal, _: _boxes(deal, lambda boxes: [boxes[0][:-1], *boxes[1:]]), "bytes"),
    "one sealing key twice": (
        lambda deal, _: _boxes(deal, lambda boxes: [boxes[1][:32] + boxes[0][32:], *boxes[1:]]),
        "one sealing key",
    ),
    "a sealing key of small order": (
        lambda deal, _: _boxes(deal, lambda boxes: [bytes(32) + boxes[0][32:], *boxes[1:]]),
        "small order",
    ),
}


@pytest.mark.parametrize("name", list(DEALS))
def test_a_deal_that_is_wrong_convicts_its_dealer(name: str) -> None:
    lie, reason = DEALS[name]
    troupe = seven()[0]
    mallory = troupe.identities[-1]
    twist = Liar(mallory, Deal, lambda deal, liar: (lie(the_deal(deal), liar),))

    ceremony = troupe.perform(troupe.proposal(), twist=twist).ceremony

    ended(ceremony)
    convicted(troupe, ceremony, mallory, reason)


def test_a_proof_of_another_ceremony_is_none() -> None:
    troupe, before = seven()
    mallory = troupe.identities[0]
    old = before.ceremony.deals()
    assert old is not None
    twist = Liar(mallory, Deal, lambda deal, _: (replace(the_deal(deal), groups=old[mallory].groups),))

    ceremony = troupe.perform(troupe.proposal(salt=b"another salt 123"), twist=twist).ceremony

    ended(ceremony)
    convicted(troupe, ceremony, mallory, "wrong proof")


def test_a_key_chosen_against_those_of_the_others_has_no_proof() -> None:
    """Mallory deals last and cancels what the others dealt, so that the group key would be its own."""
    troupe = seven()[0]
    mallory = troupe.identities[-1]

    def rogue(message: CeremonyMessage, liar: Liar) -> Sequence[CeremonyMessage]:
        deal = the_deal(message)
        own = SECP256K1.base(5)
        others = [
            group_deal(other, "fast").commitments[0] for who, other in liar.deals.items() if who != mallory
        ]
        negated = [bytes([point[0] ^ 1]) + point[1:] for point in others]
        commitments = (SECP256K1.add([own, *negated]), *deal.groups[0].commitments[1:])
        assert SECP256K1.add([commitments[0], *others]) == own
        proven = proof_message(deal.ceremony, mallory, "fast", commitments)
        proof = sign_alone(SECP256K1, 5, proven, SECRET)
        return (_first(deal, commitments=commitments, proof=proof),)

    ceremony = troupe.perform(troupe.proposal(), twist=Liar(mallory, Deal, rogue)).ceremony

    ended(ceremony)
    convicted(troupe, ceremony, mallory, "wrong proof")


def test_an_identity_point_is_no_commitment() -> None:
    troupe = Troupe.of(4)
    mallory = troupe.identities[1]
    identity = b"\x01" + bytes(31)
    twist = Liar(
        mallory,
        Deal,
        lambda deal, _: (
            _first(the_deal(deal), commitments=(the_deal(deal).groups[0].commitments[0], identity)),
        ),
    )

    ceremony = troupe.perform(troupe.proposal(["fast/ed25519"]), twist=twist).ceremony

    ended(ceremony)
    convicted(troupe, ceremony, mallory, "no point")


def test_a_dealer_that_reshares_another_secret_is_convicted() -> None:
    """Its proof is right: only the comparison with its old verification share shows it."""
    troupe, old = seven()
    mallory = troupe.identities[2]

    def other_secret(message: CeremonyMessage, _liar: Liar) -> Sequence[CeremonyMessage]:
        deal = the_deal(message)
        commitments = (SECP256K1.base(5), *deal.groups[0].commitments[1:])
        proven = proof_message(deal.ceremony, mallory, "fast", commitments)
        proof = sign_alone(SECP256K1, 5, proven, SECRET)
        return (_first(deal, commitments=commitments, proof=proof),)

    ceremony = troupe.perform(
        troupe.reshare(old.document),
        base=old.document,
        old=old.shares,
        twist=Liar(mallory, Deal, other_secret),
    ).ceremony

    ended(ceremony)
    convicted(troupe, ceremony, mallory, "fast: a constant term that is not the dealer's share")
    sign_with(old.shares, troupe.identities[: troupe.committee.fast], "fast", b"the old keys still sign")


def test_commitments_that_cancel_all_others_are_found_out_by_those_who_open_their_boxes() -> None:
    """Only the constant term is proven; the sum of the others' next terms may come out as the identity."""
    troupe = Troupe.of(4)
    mallory = troupe.identities[-1]

    def cancel(message: CeremonyMessage, liar: Liar) -> Sequence[CeremonyMessage]:
        deal = the_deal(message)
        others = [
            group_deal(other, "fast").commitments[1] for who, other in liar.deals.items() if who != mallory
        ]
        total = SECP256K1.add(others)
        commitments = (deal.groups[0].commitments[0], bytes([total[0] ^ 1]) + total[1:])
        opened = _secret_of(troupe.players[mallory], deal)
        proof = sign_alone(
            SECP256K1, opened, proof_message(deal.ceremony, mallory, "fast", commitments), SECRET
        )
        return (_first(deal, commitments=commitments, proof=proof),)

    ceremony = troupe.perform(troupe.proposal(["fast"]), twist=Liar(mallory, Deal, cancel)).ceremony

    ended(ceremony)
    found = faults(ceremony)
    assert {fault.verdict.culprit for fault in found} == {mallory}
    assert all(judge(fault.evidence, [troupe.committee]) == fault.verdict for fault in found)


def _secret_of(player: Player, deal: Deal) -> int:
    """Give the constant term of a dealer's first polynomial, as its seed has it."""
    troupe = Troupe.of(4)
    terms = troupe.begin(troupe.proposal(["fast"])).terms
    assert terms.id == deal.ceremony
    values = {}
    for receiver in troupe.identities[:2]:
        secret = sodium_secret(player, deal, receiver)
        shares = opened_shares(terms, secret)
        assert shares is not None
        values[terms.identifier(receiver)] = shares["fast"]
    return (
        sum(lagrange(SECP256K1, at, tuple(values)) * value for at, value in values.items()) % SECP256K1.order
    )


def sodium_secret(player: Player, deal: Deal, receiver: Identity) -> bytes:
    """Open a box as its receiver would: all players' seeds are known to the test."""
    troupe = Troupe.of(4)
    secret = pair_secret(troupe.players[receiver].seed, deal.ceremony, player.identity)
    opening = open_box(deal.sealed[receiver], pair_key(secret), secret)
    assert opening is not None
    assert opening.content is not None
    return opening.content


# ---- joins that anybody sees to be wrong

SMALL_ORDER = [
    bytes(32),
    b"\x01" + bytes(31),
    bytes.fromhex("e0eb7a7c3b41b8ae1656e3faf19fc46ada098deb9c32b1fd866205165f49b800"),
    bytes.fromhex("5f9c95bca3508c24b1d0b1559c83ef5b04445cc4581c8e86d8224eddd09f1157"),
    ((1 << 255) - 20).to_bytes(32, "little"),
]
OTHER_SPELLINGS = [
    ((1 << 255) - 19).to_bytes(32, "little"),
    ((1 << 255) - 18 + 8).to_bytes(32, "little"),
    pair_key(SECRET)[:31] + bytes([pair_key(SECRET)[31] | 0x80]),
]


@pytest.mark.parametrize("key", SMALL_ORDER, ids=lambda key: key.hex()[:8])
def test_keys_that_share_one_secret_with_everybody_are_known(key: bytes) -> None:
    with pytest.raises(CryptoError):
        sodium.crypto_scalarmult(SECRET, key)

    assert not is_pair_key(key)
    with pytest.raises(ThresholdError, match="pair key"):
        seal_box(b"share", key, SECRET)


@pytest.mark.parametrize("key", [*SMALL_ORDER, *OTHER_SPELLINGS], ids=lambda key: key.hex()[:8])
def test_a_pair_key_of_small_order_or_in_another_spelling_convicts_its_author(key: bytes) -> None:
    troupe = seven()[0]
    mallory = troupe.identities[0]

    def lie(join: CeremonyMessage, _liar: Liar) -> Sequence[CeremonyMessage]:
        assert isinstance(join, Join)
        return (replace(join, pairs={**join.pairs, troupe.identities[1]: key}),)

    ceremony = troupe.perform(troupe.proposal(), twist=Liar(mallory, Join, lie)).ceremony

    ended(ceremony)
    convicted(troupe, ceremony, mallory, "small order or not in canonical form")


def _pairs(change: Callable[[dict[Identity, bytes]], dict[Identity, bytes]]) -> Callable[..., Sequence[Join]]:
    def lie(join: CeremonyMessage, _liar: Liar) -> Sequence[Join]:
        assert isinstance(join, Join)
        return (replace(join, pairs=change(dict(join.pairs))),)

    return lie


@pytest.mark.parametrize(
    ("change", "reason"),
    [
        (lambda pairs: dict.fromkeys(pairs, pair_key(SECRET)), "one pair key for two dealers"),
        (lambda pairs: dict(list(pairs.items())[1:]), "others than the dealers"),
        (lambda pairs: {**pairs, Identity(bytes(32)): pair_key(SECRET)}, "others than the dealers"),
    ],
)
def test_pair_keys_for_others_or_one_for_all_convict_their_author(
    change: Callable[[dict[Identity, bytes]], dict[Identity, bytes]], reason: str
) -> None:
    troupe = seven()[0]
    mallory = troupe.identities[0]

    ceremony = troupe.perform(troupe.proposal(), twist=Liar(mallory, Join, _pairs(change))).ceremony

    ended(ceremony)
    convicted(troupe, ceremony, mallory, reason)


# ---- words that do not fit what was said


@pytest.mark.parametrize(
    ("lie", "reason"),
    [
        (lambda said: replace(said, signature=bytes(64)), "wrong signature"),
        (lambda said: replace(said, proofs={"fast": said.proofs["fast"]}), "other groups"),
        (lambda said: replace(said, proofs={**said.proofs, "full": said.proofs["fast"]}), "full: a wrong"),
        (lambda said: replace(said, proofs={**said.proofs, "fast": b""}), "fast: a wrong share proof"),
    ],
)
def test_a_word_on_the_document_that_is_wrong_convicts_its_author(
    lie: Callable[[Transcript], Transcript], reason: str
) -> None:
    troupe = seven()[0]
    mallory = troupe.identities[2]

    def spoil(message: CeremonyMessage, _liar: Liar) -> Sequence[CeremonyMessage]:
        assert isinstance(message, Transcript)
        return (lie(message),)

    ceremony = troupe.perform(troupe.proposal(), twist=Liar(mallory, Transcript, spoil)).ceremony

    ended(ceremony)
    convicted(troupe, ceremony, mallory, reason)


def test_a_share_proof_of_another_generation_is_none() -> None:
    """Who keeps signing with its old share has nothing to show for the new one."""
    troupe, old = seven()
    mallory = troupe.identities[2]

    def stale(message: CeremonyMessage, _liar: Liar) -> Sequence[CeremonyMessage]:
        assert isinstance(message, Transcript)
        secrets = old.shares[mallory].secrets
        proofs = {name: sign_alone(SECP256K1, secrets[name], message.document, SECRET) for name in secrets}
        return (replace(message, proofs=proofs),)

    ceremony = troupe.perform(
        troupe.reshare(old.document),
        base=old.document,
        old=old.shares,
        twist=Liar(mallory, Transcript, stale),
    ).ceremony

    ended(ceremony)
    convicted(troupe, ceremony, mallory, "a wrong share proof")


# ---- different words to different peers


def test_different_deals_to_different_peers_make_two_documents_and_are_found_out_when_they_meet() -> None:
    troupe, made = seven()
    mallory = troupe.identities[0]
    deal = made.ceremony.deals()
    assert deal is not None
    # Good in itself: another polynomial, to which its sub-shares are right.
    other = deal_of(SECRET, made.ceremony, mallory, None)
    half, rest = troupe.identities[1:4], troupe.identities[4:]
    here = there = troupe.begin(made.ceremony.terms.proposal)
    for envelope, message in made.envelopes:
        lied = isinstance(message, Deal) and envelope.author == mallory
        if not isinstance(message, Transcript):
            here, _ = take(here, envelope, message)
            there, _ = take(
                there, troupe.envelope(mallory, other) if lied else envelope, other if lied else message
            )
    words = [_signed(troupe, here, who) for who in half] + [_signed(troupe, there, who) for who in rest]

    told = there
    for envelope, message in words:
        told, _ = take(told, envelope, message)
    met, _ = take(told, troupe.envelope(mallory, deal[mallory]), deal[mallory])

    assert here.document != there.document
    ended(told)
    assert faults(told) == ()
    assert len(told.disputes()) == len(half)
    ended(met)
    convicted(troupe, met, mallory, CONTRADICTION)


def _signed(troupe: Troupe, view: Ceremony, who: Identity) -> tuple[Envelope, CeremonyMessage]:
    player = troupe.players[who]
    shares = open_deals(player.seed, view, who, None)
    assert isinstance(shares, Shares)
    said = transcript_of(player.seed, view, who, shares, player.sign)
    return troupe.envelope(who, said), said


@pytest.mark.parametrize("kind", [Join, Deal, Transcript, Complaint])
def test_two_words_of_one_step_are_evidence(kind: type[CeremonyMessage]) -> None:
    troupe, made = seven()
    mallory, dealer = troupe.identities[:2]
    complaint = complaint_of(made, troupe.players[mallory], dealer)
    words = [*made.envelopes, (troupe.envelope(mallory, complaint), complaint)]
    said = next(m for e, m in words if e.author == mallory and isinstance(m, kind))
    changes: dict[type[CeremonyMessage], dict[str, object]] = {
        Join: {"pairs": {}},
        Deal: {"sealed": {}},
        Transcript: {"signature": bytes(64)},
        Complaint: {"secret": bytes(32)},
    }
    other = replace(said, **changes[kind])  # type: ignore[arg-type]  # names are the dataclass's own
    ceremony = troupe.begin(made.ceremony.terms.proposal)
    for message in (said, other):
        ceremony, _ = take(ceremony, troupe.envelope(mallory, message), message)

    ended(ceremony)
    convicted(troupe, ceremony, mallory, CONTRADICTION)
