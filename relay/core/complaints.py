"""What members say of calls that do not land, one word each (SPEC 3, 6.5)."""

from __future__ import annotations

from collections.abc import Callable, Iterable, Sequence
from dataclasses import dataclass, field

from relay.core.calls import ActAt, act_of
from relay.core.decisions import Prepared
from relay.core.messages import Unlanded
from relay.core.types import DecisionId, Identity

__all__ = ["Complaints"]

_Word = tuple[Identity, bytes, ActAt]


@dataclass(slots=True)
class Complaints:
    """`unlanded` statements of decisions that we know: one per member, mandate and act."""

    _words: dict[DecisionId, dict[_Word, Unlanded]] = field(default_factory=dict)

    def take(self, author: Identity, message: Unlanded, known: Iterable[Prepared]) -> bool:
        """Keep a member's word about one of the `known` mandates; tell whether it is its first."""
        act = act_of(message)
        if not any(_is_leaf(prepared, message.mandate_digest, act) for prepared in known):
            return False
        words = self._words.setdefault(message.decision_id, {})
        word = (author, message.mandate_digest, act)
        if word in words:
            return False
        words[word] = message
        return True

    def about(self, decision: DecisionId) -> tuple[tuple[Identity, Unlanded], ...]:
        """Give what was said of a decision's calls, by identity."""
        found = self._words.get(decision, {})
        return tuple((author, found[author, digest, act]) for author, digest, act in sorted(found))

    def keep(self, known: Callable[[DecisionId], Sequence[Prepared]]) -> None:
        """Forget what was said of decisions of which `known` has none any more."""
        for decision in [decision for decision in self._words if not known(decision)]:
            del self._words[decision]


def _is_leaf(prepared: Prepared, digest: bytes, act: ActAt) -> bool:
    return prepared.digest == digest and act in {
        (leaf.chain, leaf.gateway, leaf.act_id) for leaf in prepared.leaves
    }
