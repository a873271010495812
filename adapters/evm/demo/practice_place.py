"""Where a plan is practised: a chain whose addresses are known before it runs."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Final

from proofs.hashes import keccak256
from relay.core.errors import ConfigError
from relay.core.plan import Plan
from relay.core.types import Caip2

__all__ = ["BLOCK_S", "DECIMALS", "OWNER", "PLACE", "SINCE", "Place", "assert_fits"]

CHAIN_ID: Final = 313_373
OWNER: Final = "0xf39fd6e51aad88f6f4ce6ab8827279cfffb92266"
"""anvil's first account, the same on every machine: it deploys, in this order, and owns everything."""
DEPLOYED: Final = ("token", "vault", "verifier", "gateway")
SINCE: Final = 24
"""The first block that counts: all that is to be read stands by then, and the plan is registered after."""
DECIMALS: Final = 6
BLOCK_S: Final = 12
RELEASE_HOLD: Final = 300


@dataclass(frozen=True, slots=True)
class Place:
    """The chain and its contracts, in lower-case 0x hex."""

    chain: Caip2
    token: str
    vault: str
    gateway: str

    def values(self) -> dict[str, str]:
        """Give what a ready plan is filled in with, by the names of its placeholders."""
        return {
            "protocol": "acme-vault",
            "contact": "mailto:security@acme.example",
            "chain": self.chain,
            "gateway": self.gateway,
            "since": str(SINCE),
            "target": self.vault,
            "token": self.token,
            "decimals": str(DECIMALS),
            "release_hold": str(RELEASE_HOLD),
        }


def _place() -> Place:
    """Derive the addresses of the first contracts that `OWNER` deploys."""
    found = {name: _created(nonce) for nonce, name in enumerate(DEPLOYED)}
    return Place(Caip2(f"eip155:{CHAIN_ID}"), found["token"], found["vault"], found["gateway"])


def _created(nonce: int) -> str:
    """Give the address of `OWNER`'s contract: Keccak-256 of the RLP of sender and nonce, last 20 bytes."""
    assert nonce < 0x80, "a larger nonce has another RLP"
    sender = bytes.fromhex(OWNER.removeprefix("0x"))
    encoded = b"\xd6\x94" + sender + (bytes([nonce]) if nonce else b"\x80")
    return "0x" + keccak256(encoded)[12:].hex()


PLACE: Final = _place()


def assert_fits(plan: Plan) -> None:
    """Refuse a plan that is for another place than this one.

    Raises:
        ConfigError: names what is elsewhere, and how to learn the addresses.
    """
    remedy = "put in what tocsin demo --addresses prints"
    if set(plan.chains) != {PLACE.chain}:
        chains = ", ".join(plan.chains)
        raise ConfigError("chains", f"expected {PLACE.chain} alone, got {chains}", remedy=remedy)
    chain = plan.chains[PLACE.chain]
    if (chain.gateway or "").lower() != PLACE.gateway:
        where = f'chains."{PLACE.chain}".gateway'
        raise ConfigError(where, f"expected {PLACE.gateway}, got {chain.gateway}", remedy=remedy)
    if chain.since < SINCE:
        where = f'chains."{PLACE.chain}".since'
        problem = f"expected {SINCE} or later: nothing stands there before, got {chain.since}"
        raise ConfigError(where, problem, remedy=f"write since = {SINCE}")
