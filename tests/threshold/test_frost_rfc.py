"""The figures of RFC 9591, Appendix E.1 and E.5: two of three sign `test` (threshold SPEC 1)."""

from __future__ import annotations

import json
from dataclasses import dataclass
from pathlib import Path

import pytest

from relay.threshold.errors import ThresholdError
from relay.threshold.frost import Commitment, Nonces, Package, aggregate, commit, lagrange, sign_share, verify
from relay.threshold.frost import verify_share as check_share
from relay.threshold.groups import ED25519, SECP256K1, Group

PUBLISHED = Path(__file__).parents[2] / ".." / "shared" / "vectors"


@dataclass(frozen=True)
class Round:
    """What the RFC prints of one signer, in hexadecimal."""

    identifier: int
    share: str
    hiding_randomness: str
    binding_randomness: str
    hiding_nonce: str
    binding_nonce: str
    hiding_commitment: str
    binding_commitment: str
    binding_factor: str
    signature_share: str


@dataclass(frozen=True)
class Answers:
    """What the RFC prints of one ciphersuite, in hexadecimal."""

    group: Group
    secret: str
    key: str
    message: str
    coefficient: str
    shares: tuple[str, str, str]
    rounds: tuple[Round, ...]
    signature: str


E1 = Answers(
    group=ED25519,
    secret="7b1c33d3f5291d85de664833beb1ad469f7fb6025a0ec78b3a790c6e13a98304",
    key="15d21ccd7ee42959562fc8aa63224c8851fb3ec85a3faf66040d380fb9738673",
    message="74657374",
    coefficient="178199860edd8c62f5212ee91eff1295d0d670ab4ed4506866bae57e7030b204",
    shares=(
        "929dcc590407aae7d388761cddb0c0db6f5627aea8e217f4a033f2ec83d93509",
        "a91e66e012e4364ac9aaa405fcafd370402d9859f7b6685c07eed76bf409e80d",
        "d3cb090a075eb154e82fdb4b3cb507f110040905468bb9c46da8bdea643a9a02",
    ),
    rounds=(
        Round(
            identifier=1,
            share="929dcc590407aae7d388761cddb0c0db6f5627aea8e217f4a033f2ec83d93509",
            hiding_randomness="0fd2e39e111cdc266f6c0f4d0fd45c947761f1f5d3cb583dfcb9bbaf8d4c9fec",
            binding_randomness="69cd85f631d5f7f2721ed5e40519b1366f340a87c2f6856363dbdcda348a7501",
            hiding_nonce="812d6104142944d5a55924de6d49940956206909f2acaeedecda2b726e630407",
            binding_nonce="b1110165fc2334149750b28dd813a39244f315cff14d4e89e6142f262ed83301",
            hiding_commitment="b5aa8ab305882a6fc69cbee9327e5a45e54c08af61ae77cb8207be3d2ce13de3",
            binding_commitment="67e98ab55aa310c3120418e5050c9cf76cf387cb20ac9e4b6fdb6f82a469f932",
            binding_factor="f2cb9d7dd9beff688da6fcc83fa89046b3479417f47f55600b106760eb3b5603",
            signature_share="001719ab5a53ee1a12095cd088fd149702c0720ce5fd2f29dbecf24b7281b603",
        ),
        Round(
            identifier=3,
            share="d3cb090a075eb154e82fdb4b3cb507f110040905468bb9c46da8bdea643a9a02",
            hiding_randomness="86d64a260059e495d0fb4fcc17ea3da7452391baa494d4b00321098ed2a0062f",
            binding_randomness="13e6b25afb2eba51716a9a7d44130c0dbae0004a9ef8d7b5550c8a0e07c61775",
            hiding_nonce="c256de65476204095ebdc01bd11dc10e57b36bc96284595b8215222374f99c0e",
            binding_nonce="243d71944d929063bc51205714ae3c2218bd3451d0214dfb5aeec2a90c35180d",
            hiding_commitment="cfbdb165bd8aad6eb79deb8d287bcc0ab6658ae57fdcc98ed12c0669e90aec91",
            binding_commitment="7487bc41a6e712eea2f2af24681b58b1cf1da278ea11fe4e8b78398965f13552",
            binding_factor="b087686bf35a13f3dc78e780a34b0fe8a77fef1b9938c563f5573d71d8d7890f",
            signature_share="bd86125de990acc5e1f13781d8e32c03a9bbd4c53539bbc106058bfd14326007",
        ),
    ),
    signature="36282629c383bb820a88b71cae937d41f2f2adfcc3d02e55507e2fb9e2dd3cbebd"
    "9d2b0844e49ae0f3fa935161e1419aab7b47d21a37ebeae1f17d4987b3160b",
)
E5 = Answers(
    group=SECP256K1,
    secret="0d004150d27c3bf2a42f312683d35fac7394b1e9e318249c1bfe7f0795a83114",
    key="02f37c34b66ced1fb51c34a90bdae006901f10625cc06c4f64663b0eae87d87b4f",
    message="74657374",
    coefficient="fbf85eadae3058ea14f19148bb72b45e4399c0b16028acaf0395c9b03c823579",
    shares=(
        "08f89ffe80ac94dcb920c26f3f46140bfc7f95b493f8310f5fc1ea2b01f4254c",
        "04f0feac2edcedc6ce1253b7fab8c86b856a797f44d83d82a385554e6e401984",
        "00e95d59dd0d46b0e303e500b62b7ccb0e555d49f5b849f5e748c071da8c0dbc",
    ),
    rounds=(
        Round(
            identifier=1,
            share="08f89ffe80ac94dcb920c26f3f46140bfc7f95b493f8310f5fc1ea2b01f4254c",
            hiding_randomness="7ea5ed09af19f6ff21040c07ec2d2adbd35b759da5a401d4c99dd26b82391cb2",
            binding_randomness="47acab018f116020c10cb9b9abdc7ac10aae1b48ca6e36dc15acb6ec9be5cdc5",
            hiding_nonce="841d3a6450d7580b4da83c8e618414d0f024391f2aeb511d7579224420aa81f0",
            binding_nonce="8d2624f532af631377f33cf44b5ac5f849067cae2eacb88680a31e77c79b5a80",
            hiding_commitment="03c699af97d26bb4d3f05232ec5e1938c12f1e6ae97643c8f8f11c9820303f1904",
            binding_commitment="02fa2aaccd51b948c9dc1a325d77226e98a5a3fe65fe9ba213761a60123040a45e",
            binding_factor="3e08fe561e075c653cbfd46908a10e7637c70c74f0a77d5fd45d1a750c739ec6",
            signature_share="c4fce1775a1e141fb579944166eab0d65eefe7b98d480a569bbbfcb14f91c197",
        ),
        Round(
            identifier=3,
            share="00e95d59dd0d46b0e303e500b62b7ccb0e555d49f5b849f5e748c071da8c0dbc",
            hiding_randomness="e6cc56ccbd0502b3f6f831d91e2ebd01c4de0479e0191b66895a4ffd9b68d544",
            binding_randomness="7203d55eb82a5ca0d7d83674541ab55f6e76f1b85391d2c13706a89a064fd5b9",
            hiding_nonce="2b19b13f193f4ce83a399362a90cdc1e0ddcd83e57089a7af0bdca71d47869b2",
            binding_nonce="7a443bde83dc63ef52dda354005225ba0e553243402a4705ce28ffaafe0f5b98",
            hiding_commitment="03077507ba327fc074d2793955ef3410ee3f03b82b4cdc2370f71d865beb926ef6",
            binding_commitment="02ad53031ddfbbacfc5fbda3d3b0c2445c8e3e99cbc4ca2db2aa283fa68525b135",
            binding_factor="93f79041bb3fd266105be251adaeb5fd7f8b104fb554a4ba9a0becea48ddbfd7",
            signature_share="0160fd0d388932f4826d2ebcd6b9eaba734f7c71cf25b4279a4ca2581e47b18d",
        ),
    ),
    signature="0205b6d04d3774c8929413e3c76024d54149c372d57aae62574ed74319b5ea14d0"
    "c65dde8492a7471437e6c2fe3da49b90d23f642b5c6dbe7e36089f096dd97324",
)
SUITES = pytest.mark.parametrize("answers", [E1, E5], ids=["ed25519", "secp256k1"])
FILES = {"ed25519": "frost-ed25519-sha512.json", "secp256k1": "frost-secp256k1-sha256.json"}
unhex = bytes.fromhex


def nonces_of(answers: Answers, line: Round) -> tuple[Nonces, Commitment]:
    group = answers.group
    randomness = unhex(line.hiding_randomness + line.binding_randomness)
    return commit(group, group.read_scalar(unhex(line.share)), randomness)


def package_of(answers: Answers) -> Package:
    commitments = {line.identifier: nonces_of(answers, line)[1] for line in answers.rounds}
    return Package(answers.group, unhex(answers.key), commitments, unhex(answers.message))


@SUITES
def test_key_and_shares_are_those_of_the_polynomial(answers: Answers) -> None:
    group = answers.group
    secret, slope = (group.read_scalar(unhex(text)) for text in (answers.secret, answers.coefficient))
    shares = [group.read_scalar(unhex(text)) for text in answers.shares]

    assert group.base(secret) == group.read_point(unhex(answers.key)) == unhex(answers.key)
    assert shares == [(secret + slope * place) % group.order for place in (1, 2, 3)]
    for pair in ([1, 2], [1, 3], [2, 3], [1, 2, 3]):
        found = sum(lagrange(group, place, pair) * shares[place - 1] for place in pair)
        assert found % group.order == secret


@SUITES
def test_nonces_and_commitments_are_the_rfc_s(answers: Answers) -> None:
    group = answers.group
    for line in answers.rounds:
        nonces, commitment = nonces_of(answers, line)
        assert group.scalar_to_bytes(nonces.hiding).hex() == line.hiding_nonce
        assert group.scalar_to_bytes(nonces.binding).hex() == line.binding_nonce
        assert commitment.hiding.hex() == line.hiding_commitment
        assert commitment.binding.hex() == line.binding_commitment
        assert nonces.commitment == commitment


@SUITES
def test_binding_factors_shares_and_signature_are_the_rfc_s(answers: Answers) -> None:
    group, package = answers.group, package_of(answers)
    shares = {}
    for line in answers.rounds:
        share = group.read_scalar(unhex(line.share))
        factor = package.binding_factors[line.identifier]
        signed = sign_share(package, line.identifier, share, nonces_of(answers, line)[0])
        assert group.scalar_to_bytes(factor).hex() == line.binding_factor
        assert group.scalar_to_bytes(signed).hex() == line.signature_share
        check_share(package, line.identifier, group.base(share), signed)
        shares[line.identifier] = signed

    signature = aggregate(package, shares)

    assert signature.hex() == answers.signature
    verify(group, unhex(answers.key), unhex(answers.message), signature)
    with pytest.raises(ThresholdError, match="signature"):
        verify(group, unhex(answers.key), b"tost", signature)


@SUITES
def test_the_published_file_has_the_same_figures(answers: Answers) -> None:
    path = PUBLISHED / FILES[answers.group.name]
    if not path.is_file():
        pytest.skip(f"no published vectors at {path}: the transcribed figures alone were checked")
    published = json.loads(path.read_text())
    inputs = published["inputs"]

    assert inputs["group_secret_key"] == answers.secret
    assert inputs["group_public_key"] == answers.key
    assert inputs["message"] == answers.message
    assert inputs["share_polynomial_coefficients"] == [answers.coefficient]
    assert [entry["participant_share"] for entry in inputs["participant_shares"]] == list(answers.shares)
    assert inputs["participant_list"] == [line.identifier for line in answers.rounds]
    assert published["final_output"]["sig"] == answers.signature
    first, second = (published[f"round_{name}_outputs"]["outputs"] for name in ("one", "two"))
    for line, one, two in zip(answers.rounds, first, second, strict=True):
        assert one["identifier"] == two["identifier"] == line.identifier
        assert one["hiding_nonce_randomness"] == line.hiding_randomness
        assert one["binding_nonce_randomness"] == line.binding_randomness
        assert one["hiding_nonce"] == line.hiding_nonce
        assert one["binding_nonce"] == line.binding_nonce
        assert one["hiding_nonce_commitment"] == line.hiding_commitment
        assert one["binding_nonce_commitment"] == line.binding_commitment
        assert one["binding_factor"] == line.binding_factor
        assert two["sig_share"] == line.signature_share
