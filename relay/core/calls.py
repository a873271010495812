"""Calls on their way to gateways, and what is said of one that does not land (SPEC 6.6)."""

from __future__ import annotations

from dataclasses import dataclass, replace
from typing import Final

from proofs.hashes import tagged
from relay.core.decisions import Prepared
from relay.core.messages import MAX_REASON_BYTES, NOT_SUBMITTED, UNDER_WAY, Unlanded
from relay.core.observations import GatewayEvent
from relay.core.ports import ActCall, EffectSeen, Execute, Submission, SubmissionStatus
from relay.core.types import ActId, Caip2, Gateway, Millis

__all__ = [
    "PATIENCE_MS",
    "ActAt",
    "Pending",
    "act_of",
    "call_key",
    "improved",
    "is_hopeless",
    "reason_of",
    "refused",
    "unlanded_of",
]

PATIENCE_MS: Final = 120_000
"""How long a certified call may be without any effect before somebody is woken."""
RACES: Final = frozenset(
    {
        "MandateDead",
        "MandateEarly",
        "MandateLate",
        "MandateOlderThanProtect",
        "MandateOver",
        "NoRecord",
        "RecordInForce",
    }
)
"""Refusals that a gateway gives because something happened between our reading and its simulation."""
_MAX_WORD: Final = 40
_MIN_KEY: Final = 20
"""Letters and digits mixed from this length on may be a key."""

ActAt = tuple[Caip2, Gateway, ActId]
"""An act where it stands."""


@dataclass(frozen=True, slots=True)
class Pending:
    """A call that may have to be sent; `prepared` is None for an expiry.

    `since_ms` is since when it is needed, `place` ours in the order of submitters. `failures` counts the
    submissions that ended without landing, `last` is how the newest ended. `rests` says why it need not be
    sent now, or is empty.
    """

    key: bytes
    call: ActCall
    since_ms: Millis
    due_ms: Millis
    lasts_s: int
    place: int
    prepared: Prepared | None
    opens_next: bool = False
    """Its rung may open the next one early: where the state is protected, the gateway is to say so."""
    spare: bytes = b""
    """The certificate of the other kind: for a verifier that refuses the one in the call."""
    held_ms: int = 0
    """For how long from `since_ms` it waits for a threshold certificate (threshold SPEC 4.1)."""
    in_flight: bool = False
    sent_ms: Millis = Millis(0)
    tries: int = 0
    failures: int = 0
    last: Submission | None = None
    rests: str = ""
    has_paged: bool = False
    is_stated: bool = False

    @property
    def act(self) -> ActAt:
        """The act that it is about."""
        return act_of(self.call)

    @property
    def is_needless(self) -> bool:
        """Tell whether its newest submission found that it would change nothing."""
        return self.last is not None and self.last.status is SubmissionStatus.NEEDLESS


def improved(pending: Pending, certificate: bytes, at_ms: Millis) -> Pending:
    """Give a call with another certificate of its mandate, for which it has waited; not one under way."""
    if not isinstance(pending.call, Execute) or pending.in_flight:
        return pending
    spare = pending.call.certificate
    left_ms = max(0, pending.since_ms + pending.held_ms - at_ms) if not pending.tries else 0
    due_ms = Millis(max(at_ms, pending.due_ms - left_ms) if left_ms else pending.due_ms)
    call = replace(pending.call, certificate=certificate)
    return replace(pending, call=call, spare=spare, due_ms=due_ms, held_ms=0)


def refused(pending: Pending, submission: Submission, at_ms: Millis) -> Pending | None:
    """Give a call with its other certificate, to be sent at once, where a verifier may have refused this one.

    A verifier may know no group key, or not yet [its owner adds them when he likes].
    """
    is_refusal = submission.status is SubmissionStatus.REFUSED and is_hopeless(submission)
    if not is_refusal or not pending.spare or not isinstance(pending.call, Execute):
        return None
    call = replace(pending.call, certificate=pending.spare)
    return replace(pending, call=call, spare=b"", in_flight=False, due_ms=at_ms)


def act_of(at: ActCall | GatewayEvent | Unlanded, chain: Caip2 | None = None) -> ActAt:
    """Give the act of a call or statement, or of a gateway's event on `chain`."""
    if isinstance(at, GatewayEvent):
        assert chain is not None, "an event does not name its chain"
        return chain, at.gateway, at.act_id
    return at.chain, at.gateway, at.act_id


def call_key(subject: bytes, act: ActAt) -> bytes:
    """Give the name of a call: `subject` is a decision id, or what stands for an act that is over."""
    chain, gateway, act_id = act
    return tagged("tocsin/submission/1", subject + chain.encode() + gateway + act_id)


def is_hopeless(submission: Submission | None) -> bool:
    """Tell whether time alone will not heal what a submission ended with (SPEC 6.6)."""
    if submission is None:
        return False
    if submission.status is SubmissionStatus.REFUSED:
        return submission.reason.partition(":")[0] not in RACES
    return submission.status is SubmissionStatus.UNFUNDED or submission.effect is EffectSeen.ABSENT


def reason_of(pending: Pending) -> str:
    """Give why a call has no effect, as an `unlanded` may say it: at most `MAX_REASON_BYTES` of ASCII."""
    last = pending.last
    if last is None:
        return UNDER_WAY if pending.in_flight else NOT_SUBMITTED
    words = "the state is not what the call leaves" if last.effect is EffectSeen.ABSENT else last.reason
    detail = " ".join(word for word in words.split() if _is_plain(word))
    return f"{last.status.value}: {detail}"[:MAX_REASON_BYTES].strip() if detail else last.status.value


def unlanded_of(pending: Pending) -> Unlanded | None:
    """Give what is stated of a call that has no effect; None for an expiry."""
    call = pending.call
    if pending.prepared is None or not isinstance(call, Execute):
        return None
    return Unlanded(
        decision_id=pending.prepared.id,
        mandate_digest=pending.prepared.digest,
        chain=call.chain,
        gateway=call.gateway,
        act_id=call.act_id,
        reason=reason_of(pending),
        tries=max(pending.tries, pending.failures),
    )


def _is_plain(word: str) -> bool:
    """Tell whether a word can be no address on the net and no key.

    SECURITY: endpoints put their own words into refusals; URLs of endpoints hold their operators' keys.
    """
    inner = word.strip(".,:;()")
    is_short = len(word) <= _MAX_WORD and word.isascii() and word.isprintable()
    is_mixed = not (inner.isdecimal() or inner.replace("'", "").isalpha())
    is_like_a_key = is_mixed and len(inner) >= _MIN_KEY
    return is_short and not is_like_a_key and not any(sign in inner for sign in "/\\?&=@.")
