"""Members who lie in a ceremony, and what is expected to come of it."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from dataclasses import dataclass, field, replace

from proofs.kinds import Identity
from relay.threshold.blame import Fault, faults, judge
from relay.threshold.boxes import open_box, pair_key, seal_box
from relay.threshold.ceremony import Ceremony, Stage
from relay.threshold.messages import CeremonyMessage, Deal, Join
from relay.threshold.secrets import pair_secret
from tests.threshold.troupe import Troupe

__all__ = ["NOW_MS", "SECRET", "Liar", "bad_box", "convicted", "ended", "the_deal"]

NOW_MS = 1
SECRET = b"\x07" * 32


@dataclass
class Liar:
    """Says what `lie` makes of its message, knowing all that was said before."""

    who: Identity
    kind: type[CeremonyMessage]
    lie: Callable[[CeremonyMessage, Liar], Sequence[CeremonyMessage]]
    joins: dict[Identity, Join] = field(default_factory=dict)
    deals: dict[Identity, Deal] = field(default_factory=dict)

    def __call__(self, author: Identity, message: CeremonyMessage) -> Sequence[CeremonyMessage]:
        if isinstance(message, Join):
            self.joins[author] = message
        if isinstance(message, Deal):
            self.deals[author] = message
        return (
            self.lie(message, self) if author == self.who and isinstance(message, self.kind) else (message,)
        )


def convicted(troupe: Troupe, ceremony: Ceremony, culprit: Identity, reason: str) -> Fault:
    """Expect one fault, which anybody judges so by the evidence and the committee document alone."""
    (fault,) = faults(ceremony)
    assert fault.verdict.culprit == culprit
    assert reason in fault.verdict.reason
    assert judge(fault.evidence, [troupe.committee]) == fault.verdict
    return fault


def ended(ceremony: Ceremony) -> None:
    """Expect that nothing comes of it."""
    assert ceremony.stage(NOW_MS) is Stage.FAILED
    assert ceremony.result() is None


def the_deal(message: CeremonyMessage) -> Deal:
    """Take the message for the deal that it is."""
    assert isinstance(message, Deal)
    return message


def bad_box(
    troupe: Troupe, mallory: Identity, victims: Sequence[Identity], lie: Callable[[bytes], bytes | None]
) -> Liar:
    """Let `mallory` seal something else for the victims; it knows what it should have sealed."""

    def spoil(message: CeremonyMessage, liar: Liar) -> Sequence[CeremonyMessage]:
        deal = the_deal(message)
        sealed = dict(deal.sealed)
        for index, victim in enumerate(victims, start=1):
            secret = pair_secret(troupe.players[victim].seed, deal.ceremony, mallory)
            opening = open_box(sealed[victim], pair_key(secret), secret)
            assert opening is not None
            assert opening.content is not None
            content = lie(opening.content)
            key = liar.joins[victim].pairs[mallory]
            box = seal_box(content or b"", key, bytes([index]) * 32)
            sealed[victim] = box if content is not None else box[:32] + bytes(len(deal.sealed[victim]) - 32)
        return (replace(deal, sealed=sealed),)

    return Liar(mallory, Deal, spoil)
