"""The shares that a running signer holds, by the key that they sign with."""

from __future__ import annotations

from collections.abc import Callable, Mapping
from dataclasses import dataclass, field

from proofs.groupkeys import KeysDocument, group_name
from relay.core.types import Digest, Identity
from relay.threshold.groups import GROUPS
from relay.threshold.tasks import GroupKey, mandate_keys

__all__ = ["HeldKey", "HeldKeys", "is_share_of"]


@dataclass(frozen=True, slots=True)
class HeldKey:
    """Our share of one group key."""

    document: KeysDocument
    key: GroupKey
    identifier: int
    share: int = field(repr=False)


class HeldKeys:
    """What is in force for this signer. Documents are those of one network, each of our shares fits."""

    def __init__(self, identity: Identity) -> None:
        self._identity = identity
        self._keys: dict[Digest, HeldKey] = {}

    def get(self, key_id: Digest) -> HeldKey | None:
        """Give the key of that id, if we have a share of it."""
        return self._keys.get(key_id)

    def documents(self) -> tuple[KeysDocument, ...]:
        """Give the documents of which we hold shares, by key epoch and generation."""
        found = {held.document.digest: held.document for held in self._keys.values()}
        return tuple(sorted(found.values(), key=lambda document: (document.key_epoch, document.generation)))

    def put(self, document: KeysDocument, shares: Mapping[str, int]) -> None:
        """Put our shares of a document in force, by group; they have been checked."""
        identifier = document.identifier(self._identity)
        assert identifier is not None, "shares that fit belong to a holder"
        for key in mandate_keys(document):
            self._keys[key.key_id] = HeldKey(document, key, identifier, shares[group_name(key.tier)])

    def supersede(self, document: KeysDocument) -> None:
        """Forget the shares of earlier generations of the document's key epoch."""
        self._keep(
            lambda held: held.key_epoch != document.key_epoch or held.generation >= document.generation
        )

    def retire(self, key_epoch: int) -> None:
        """Forget all shares of a key epoch."""
        self._keep(lambda held: held.key_epoch != key_epoch)

    def _keep(self, stays: Callable[[KeysDocument], bool]) -> None:
        self._keys = {key_id: held for key_id, held in self._keys.items() if stays(held.document)}


def is_share_of(document: KeysDocument, identity: Identity, shares: Mapping[str, int]) -> bool:
    """Tell whether `shares` are what `identity` holds of a document: one for each group, each on its key."""
    identifier = document.identifier(identity)
    if identifier is None or shares.keys() != {group.name for group in document.groups}:
        return False
    return all(
        0 < shares[group.name] < GROUPS[group.suite].order
        and GROUPS[group.suite].base(shares[group.name]) == group.shares[identifier - 1]
        for group in document.groups
    )
