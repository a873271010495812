"""Shares of a secret that the test knows, a signing by some of their holders, and the error expected."""

from __future__ import annotations

import random
from collections.abc import Iterable, Iterator, Mapping
from contextlib import contextmanager
from dataclasses import dataclass

import pytest

from relay.threshold.errors import ThresholdError
from relay.threshold.frost import Nonces, Package, aggregate, commit, sign_share
from relay.threshold.groups import Group

__all__ = ["Shared", "Signing", "refused", "share_out", "sign"]


@dataclass(frozen=True)
class Shared:
    """A group key and its shares by identifier; the secret is the polynomial's value at zero."""

    group: Group
    secret: int
    shares: Mapping[int, int]

    @property
    def key(self) -> bytes:
        return self.group.base(self.secret)

    def verification_share(self, identifier: int) -> bytes:
        return self.group.base(self.shares[identifier])


@dataclass(frozen=True)
class Signing:
    """What one signing left behind."""

    package: Package
    nonces: Mapping[int, Nonces]
    shares: Mapping[int, int]

    @property
    def signature(self) -> bytes:
        return aggregate(self.package, self.shares)


def share_out(
    group: Group, threshold: int, count: int, chance: random.Random, *, secret: int | None = None
) -> Shared:
    """Share a secret, a random one if none is given, among `count` holders, any `threshold` of whom sign."""
    free = chance.randrange(1, group.order) if secret is None else secret
    polynomial = [free, *(chance.randrange(1, group.order) for _ in range(threshold - 1))]
    shares = {
        place: sum(factor * place**power for power, factor in enumerate(polynomial)) % group.order
        for place in range(1, count + 1)
    }
    return Shared(group, polynomial[0], shares)


def sign(shared: Shared, signers: Iterable[int], message: bytes, chance: random.Random) -> Signing:
    """Sign by `signers`, whose commitments come in this order."""
    made = {signer: commit(shared.group, shared.shares[signer], chance.randbytes(64)) for signer in signers}
    package = Package(
        shared.group, shared.key, {signer: commitment for signer, (_, commitment) in made.items()}, message
    )
    nonces = {signer: secret for signer, (secret, _) in made.items()}
    shares = {signer: sign_share(package, signer, shared.shares[signer], nonces[signer]) for signer in made}
    return Signing(package, nonces, shares)


@contextmanager
def refused(check: str) -> Iterator[None]:
    """Expect the error of that name."""
    with pytest.raises(ThresholdError) as caught:
        yield
    assert caught.value.check == check
