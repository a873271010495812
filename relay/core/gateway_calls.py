"""Acts as plans write and gateways know them, the calls about them, and what became of a call."""

from __future__ import annotations

from dataclasses import dataclass
from enum import StrEnum

from proofs.mandate import Mandate
from relay.core.rotations import Rotate
from relay.core.types import ActId, BlockRef, Caip2, DecisionId, Gateway

__all__ = [
    "ActCall",
    "ActText",
    "AnchorLog",
    "EffectSeen",
    "EncodedAct",
    "Execute",
    "Expire",
    "GatewayCall",
    "Submission",
    "SubmissionStatus",
]

# ---- what a plan says of an act, and what an adapter makes of it


@dataclass(frozen=True, slots=True)
class ActText:
    """An act as a plan writes it (SPEC 5.5), before an adapter has read it.

    `call`, `state` and `undo` are written `name(type literal, …)`, as `setEnabled(address 0x22…, bool
    false)`;
    `restore` likewise, with `_` in the place of the value that `state` read before, as `setCap(uint256 _)`.
    """

    name: str
    chain: Caip2
    gateway: str
    target: str
    call: str
    state: str
    value: int | bool
    compare: str = "="
    undo: str | None = None
    restore: str | None = None
    state_target: str | None = None
    state_word: int = 0
    gas: int = 200_000


@dataclass(frozen=True, slots=True)
class EncodedAct:
    """An act as its chain's gateway knows it; `registration` is what the owner registers, in the adapter's
    own form.
    """

    gateway: Gateway
    act_id: ActId
    act_hash: bytes
    registration: tuple[object, ...]


# ---- calls to a gateway


@dataclass(frozen=True, slots=True)
class Execute:
    """Carry a certified mandate to one gateway for one act."""

    chain: Caip2
    gateway: Gateway
    act_id: ActId
    duration_s: int
    mandate: Mandate
    proof: tuple[bytes, ...]
    certificate: bytes
    says_noop: bool = False
    """Send it also where it changes nothing now: then the gateway says so in an event that all nodes read."""


@dataclass(frozen=True, slots=True)
class Expire:
    """End an act whose time is over; needs no mandate."""

    chain: Caip2
    gateway: Gateway
    act_id: ActId


@dataclass(frozen=True, slots=True)
class AnchorLog:
    """Put a checkpoint of our own audit log on a chain when an incident has closed (SPEC 7.4).

    `origin` is the SHA-256 of the checkpoint's origin line, `size` and `root` are the checkpoint's.
    """

    chain: Caip2
    gateway: Gateway
    incident_id: DecisionId
    origin: bytes
    size: int
    root: bytes


ActCall = Execute | Expire
"""A call about one act of a gateway."""
GatewayCall = ActCall | AnchorLog | Rotate


class SubmissionStatus(StrEnum):
    LANDED = "landed"
    REVERTED = "reverted"
    REFUSED = "refused by simulation"
    NEEDLESS = "changes nothing now"
    UNFUNDED = "unfunded"
    TIMED_OUT = "timed out"
    UNAVAILABLE = "no endpoint"


class EffectSeen(StrEnum):
    """What the gateway's own getters say at the block in which a call landed."""

    UNCHECKED = "unchecked"
    """Nothing landed, or the getters gave no answer that enough endpoints share."""
    CONFIRMED = "confirmed"
    ABSENT = "absent"
    """The call landed, and the state is not (any more) what it should have left."""


@dataclass(frozen=True, slots=True)
class Submission:
    """What became of one call. `tx` is 32 bytes once something was sent; `reason` is the gateway's error by
    name. `attempts` counts the transactions signed for it, `fee_wei` is what the one in the block paid.
    """

    status: SubmissionStatus
    tx: bytes | None = None
    block: BlockRef | None = None
    gas_used: int = 0
    reason: str = ""
    nonce: int | None = None
    effect: EffectSeen = EffectSeen.UNCHECKED
    attempts: int = 0
    fee_wei: int = 0
