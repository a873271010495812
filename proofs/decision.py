"""Decisions: what members agree on before they sign a mandate (core SPEC 4.1), and block references (1.3)."""

from dataclasses import dataclass

from proofs.canonical import Value, encode
from proofs.fields import FieldError, Fields, fields_of
from proofs.hashes import tagged
from proofs.kinds import Caip2, DecisionId, Digest, NetworkId, PlanHash
from proofs.mandate import Op, Tier

__all__ = [
    "MAX_CHAIN_BYTES",
    "MAX_SUBJECT_BYTES",
    "BlockRef",
    "Decision",
    "block_value",
    "decision_id",
    "decision_value",
    "parse_block",
    "parse_decision",
]

MAX_CHAIN_BYTES = 41
"""CAIP-2: namespace of 8, a colon, reference of 32."""
MAX_SUBJECT_BYTES = 128
MAX_RUNG = 255
_U32 = (1 << 32) - 1
MAX_NUMBER = 1 << 53
MAX_TIME_S = 1 << 40
"""So that what is added to a time stays far from the bounds of the mandate's fields."""


@dataclass(frozen=True, slots=True)
class BlockRef:
    """A block of a chain; `timestamp` in seconds as the block says it."""

    chain: Caip2
    hash: Digest
    number: int
    timestamp: int


@dataclass(frozen=True, slots=True)
class Decision:
    """One thing to sign: its bytes depend only on the plan and the reference chain up to `anchor`.

    `parent` is the decision of a listened plan that opened this one, or `None`.
    """

    anchor: BlockRef
    key_epoch: int
    op: Op
    parent: DecisionId | None
    plan_hash: PlanHash
    rung: int
    subject: str
    tier: Tier


def decision_id(network: NetworkId, decision: Decision) -> DecisionId:
    """Give the id of a decision; `key_epoch` is not in it (core SPEC 4.1)."""
    named: Value = [
        network,
        decision.plan_hash,
        decision.op,
        decision.subject,
        decision.rung,
        decision.tier,
        decision.anchor.hash,
        decision.parent,
    ]
    return DecisionId(tagged("tocsin/decision/1", encode(named)))


def block_value(block: BlockRef) -> dict[str, Value]:
    """Give the map that stands for `block` in messages."""
    return {
        "chain": block.chain,
        "hash": block.hash,
        "number": block.number,
        "timestamp": block.timestamp,
    }


def decision_value(decision: Decision) -> dict[str, Value]:
    """Give the map that stands for `decision` in messages."""
    return {
        "anchor": block_value(decision.anchor),
        "key_epoch": decision.key_epoch,
        "op": int(decision.op),
        "parent": decision.parent,
        "plan_hash": decision.plan_hash,
        "rung": decision.rung,
        "subject": decision.subject,
        "tier": int(decision.tier),
    }


_BLOCK_KEYS = frozenset({"chain", "hash", "number", "timestamp"})
_DECISION_KEYS = frozenset({"anchor", "key_epoch", "op", "parent", "plan_hash", "rung", "subject", "tier"})


def parse_block(value: Value, where: str = "block") -> BlockRef:
    """Read a block reference.

    Raises:
        FieldError: another form.
    """
    fields = fields_of(value, where, _BLOCK_KEYS)
    return BlockRef(
        chain=Caip2(fields.text("chain", max_bytes=MAX_CHAIN_BYTES)),
        hash=Digest(fields.binary("hash", length=32)),
        number=fields.integer("number", maximum=MAX_NUMBER),
        timestamp=fields.integer("timestamp", maximum=MAX_TIME_S),
    )


def parse_decision(value: Value, where: str = "decision") -> Decision:
    """Read a decision: an extension or release is of tier full and has rung 0 and no parent.

    Raises:
        FieldError: another form.
    """
    fields = fields_of(value, where, _DECISION_KEYS)
    decision = Decision(
        anchor=parse_block(fields.raw("anchor"), fields.path("anchor")),
        key_epoch=fields.integer("key_epoch", minimum=1, maximum=_U32),
        op=Op(fields.integer("op", minimum=Op.PROTECT, maximum=Op.RELEASE)),
        parent=_parent(fields),
        plan_hash=PlanHash(fields.binary("plan_hash", length=32)),
        rung=fields.integer("rung", maximum=MAX_RUNG),
        subject=fields.text("subject", max_bytes=MAX_SUBJECT_BYTES),
        tier=Tier(fields.integer("tier", minimum=Tier.FAST, maximum=Tier.FULL)),
    )
    if decision.op is not Op.PROTECT and (decision.rung or decision.parent is not None):
        raise FieldError(where, "rung 0 and no parent of an extension or release", f"rung {decision.rung}")
    if decision.op is not Op.PROTECT and decision.tier is not Tier.FULL:
        raise FieldError(fields.path("tier"), "tier full of an extension or release", "fast")
    return decision


def _parent(fields: Fields) -> DecisionId | None:
    return None if fields.is_nil("parent") else DecisionId(fields.binary("parent", length=32))
