"""Creating a verifier and a gateway: creation code, and the addresses that they will have."""

from __future__ import annotations

from adapters.evm.abi import parse_address
from adapters.evm.office.calls import budget_values
from adapters.evm.office.contract import gateway, verifier
from adapters.evm.office.terms import address_text
from adapters.evm.rotations import groups_values
from proofs.hashes import keccak256
from proofs.rlp import encode_rlp, integer_bytes
from relay.core.errors import ConfigError
from relay.core.office import ByAccount, ByFactory, Creation, Deployment, OwnerCall, VerifierTerms
from relay.core.types import Caip2

SALT_BYTES = 32


def creations(deployment: Deployment) -> tuple[Creation, ...]:
    """The verifier, unless it stands already, and then the gateway: its constructor asks the verifier.

    Raises:
        ConfigError: an address, the salt, or a number out of its range.
    """
    made: list[Creation] = []
    if isinstance(deployment.verifier, VerifierTerms):
        made.append(_creation(deployment, 0, "TocsinVerifier", _verifier_code(deployment.verifier)))
        checker = made[0].address
    else:
        checker = address_text(parse_address(deployment.verifier, "verifier"))
    made.append(_creation(deployment, len(made), "TocsinGateway", _gateway_code(deployment, checker)))
    return tuple(made)


def _verifier_code(terms: VerifierTerms) -> bytes:
    committee = terms.committee
    attesters = sorted("0x" + member.attester.hex() for member in committee.members)
    return verifier().create(
        committee.network,
        committee.key_epoch,
        attesters,
        committee.fast,
        committee.full,
        groups_values(terms.groups),
        terms.rotation_delay_s,
        terms.overlap_s,
    )


def _gateway_code(deployment: Deployment, checker: str) -> bytes:
    terms = deployment.gateway
    return gateway().create(
        "0x" + parse_address(terms.owner, "owner").hex(),
        "0x" + parse_address(terms.guardian, "guardian").hex(),
        checker,
        terms.network,
        (terms.skew_s, terms.weakening_delay_s, terms.window_s),
        budget_values(terms.budget),
    )


def _creation(deployment: Deployment, place: int, contract: str, code: bytes) -> Creation:
    by = deployment.by
    if isinstance(by, ByAccount):
        account = parse_address(by.account, "--from")
        address = keccak256(encode_rlp([account, integer_bytes(by.nonce + place)]))[12:]
        return Creation(contract, _call(deployment.chain, None, code, contract), address_text(address))
    return _by_factory(deployment.chain, by, contract, code)


def _by_factory(chain: Caip2, by: ByFactory, contract: str, code: bytes) -> Creation:
    """Through the deterministic deployment proxy, which takes salt ‖ creation code (EIP-1014 addresses)."""
    factory = parse_address(by.factory, "--create2")
    if len(by.salt) != SALT_BYTES:
        raise ConfigError("--salt", f"expected {SALT_BYTES} bytes in hex, got {len(by.salt)}")
    address = keccak256(b"\xff" + factory + by.salt + keccak256(code))[12:]
    call = _call(chain, address_text(factory), by.salt + code, contract)
    return Creation(contract, call, address_text(address))


def _call(chain: Caip2, to: str | None, data: bytes, contract: str) -> OwnerCall:
    return OwnerCall(chain, to, data, f"create {contract}", None, keccak256(data))


__all__ = ["creations"]
