"""Who has contradicted himself, about which decision (SPEC 6.4): one record each, however often told."""

from __future__ import annotations

from collections import Counter
from collections.abc import Collection
from dataclasses import dataclass, field
from typing import Final

from relay.core.types import DecisionId, Identity

__all__ = ["Convictions", "SigningKey"]

MAX_LOGGED: Final = 64
"""Records about one member that enter the audit log; more would tell nothing new, and he could make them at
will.
"""

SigningKey = tuple[DecisionId, int]
"""A decision id and a key epoch: what one mandate signature may be given for."""


@dataclass(slots=True)
class Convictions:
    """The members convicted, per decision and key epoch."""

    _known: set[tuple[Identity, SigningKey]] = field(default_factory=set)
    _logged: Counter[Identity] = field(default_factory=Counter)

    def holds(self, member: Identity, about: SigningKey) -> bool:
        """Tell whether this member's word on this decision is void."""
        return (member, about) in self._known

    def add(self, member: Identity, about: SigningKey) -> bool:
        """Convict a member; tell whether that is new and worth a record."""
        if (member, about) in self._known:
            return False
        self._known.add((member, about))
        self._logged[member] += 1
        return self._logged[member] <= MAX_LOGGED

    def keep(self, open_ids: Collection[DecisionId]) -> None:
        """Drop what concerns no open decision any more."""
        self._known = {(member, about) for member, about in self._known if about[0] in open_ids}
