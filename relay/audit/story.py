"""The story of one incident as values: what is proved, what is said, by whom, by whose clock (SPEC 4).

Everything here came out of verified bundles and authenticated logs; texts are as strangers wrote them, so
whoever shows them escapes them.
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, field
from enum import StrEnum
from typing import Final

__all__ = [
    "STORY_SCHEMA",
    "AnchorStory",
    "Answer",
    "BundleStory",
    "CallStory",
    "Clock",
    "DecisionStory",
    "Disclosed",
    "EffectStory",
    "Finding",
    "Ground",
    "LogStory",
    "Mark",
    "MetricStory",
    "Moment",
    "PinStory",
    "Reading",
    "Remark",
    "Stamp",
    "Story",
    "Voice",
]

STORY_SCHEMA: Final = "tocsin/audit-incident/1"


class Answer(StrEnum):
    """What came out of it: everything holds, something does not, or it could not be told."""

    YES = "yes"
    NO = "no"
    UNKNOWN = "unknown"


class Clock(StrEnum):
    """Whose word a time is."""

    BLOCK = "block"
    SELF_ASSERTED = "self-asserted"
    WITNESSED = "witnessed"
    AUDITOR = "auditor"


@dataclass(frozen=True, slots=True)
class Moment:
    """A time in milliseconds since 1970, and who says so: a chain's block, an author, a log's cosigners."""

    at_ms: int
    clock: Clock
    whose: str


@dataclass(frozen=True, slots=True)
class Stamp:
    """One of the five stamps of VERIS' timeline; `moment` None where no log tells.

    `is_bound` says that it happened then at the latest; `also` are other clocks' words on the same thing.
    """

    name: str
    moment: Moment | None
    is_bound: bool
    how: str
    also: tuple[Moment, ...] = ()


@dataclass(frozen=True, slots=True)
class Mark:
    """A line of the timeline; `tone` is `alarm`, `said`, `refused`, `acted`, `ended` or `plain`."""

    moment: Moment
    title: str
    detail: str
    tone: str
    proof: str


@dataclass(frozen=True, slots=True)
class Voice:
    """What one member said to one decision.

    `stance` is `attest`, `dissent`, `abstain`, `astray` (attested to another mandate) or `absent`; `logs` are
    the members in whose logs the word stands, among those that were read.
    """

    member: str
    stance: str
    said: Moment | None
    witnessed: Moment | None
    digest: str | None
    logs: tuple[str, ...]
    result: str
    faulted: tuple[str, ...]
    is_certifying: bool


@dataclass(frozen=True, slots=True)
class Reading:
    """A value of a metric, and the members that signed to have read it."""

    value: str
    members: tuple[str, ...]


@dataclass(frozen=True, slots=True)
class MetricStory:
    """A metric that members read for a decision; it `differs` where they read several values at one block and
    all must read the same (plans SPEC 1.2). `makes_true` is the comparison of the rule that is true at this
    entry of a map; empty where there is none, or the rule's form does not tell.
    """

    name: str
    read: str
    unit: str
    chain: str
    source: str
    readings: tuple[Reading, ...]
    differs: bool
    makes_true: str = ""


@dataclass(frozen=True, slots=True)
class PinStory:
    """The block of a chain at which members read for a decision."""

    chain: str
    number: int
    hash: str
    at: Moment
    members: tuple[str, ...]


@dataclass(frozen=True, slots=True)
class EffectStory:
    """What became of a call on its chain, as members saw it, and what proves it.

    `receipt` says where in its block the gateway's event stands, if that is proved; `final_by` are the
    members that signed that the block is final.
    """

    effect: str
    block_number: int
    block_hash: str
    at: Moment
    tx: str
    until: Moment | None
    gas: int
    seen_by: tuple[str, ...]
    is_seen_by_an_honest_member: bool
    receipt: str | None
    final_by: tuple[str, ...]


@dataclass(frozen=True, slots=True)
class CallStory:
    """An act of a decision: what was to be called where, and what came of it."""

    act: str
    verb: str
    chain: str
    gateway: str
    target: str
    call: str
    duration_s: int
    effects: tuple[EffectStory, ...]


@dataclass(frozen=True, slots=True)
class DecisionStory:
    """A certified decision: the rule, who said what to it, on which values, and what was done."""

    id: str
    protocol: str
    reason: str
    plan_hash: str
    op: str
    tier: str
    subject: str
    rung: int
    parent: str | None
    anchor: Moment
    anchor_number: int
    anchor_hash: str
    not_after: Moment
    condition: str
    condition_words: str
    certificate: str
    certified_by: tuple[str, ...]
    threshold: int
    members: int
    f: int
    reporters: tuple[str, ...]
    voices: tuple[Voice, ...]
    metrics: tuple[MetricStory, ...]
    pins: tuple[PinStory, ...]
    calls: tuple[CallStory, ...]


@dataclass(frozen=True, slots=True)
class Disclosed:
    """A sealed field that its author has opened; `value` as text."""

    field: str
    value: str


@dataclass(frozen=True, slots=True)
class Remark:
    """Something else that a member said: a signal, an absence, an accusation, a call that did not land …"""

    kind: str
    member: str
    said: Moment
    digest: str
    words: str
    decision: str | None
    sealed: str | None = None
    disclosed: tuple[Disclosed, ...] = ()


@dataclass(frozen=True, slots=True)
class LogStory:
    """A log that was compared: what it showed, from which source, and how far back it was read."""

    origin: str
    member: str
    source: str
    size: int
    root: str
    cosigned_by: tuple[str, ...]
    witnessed: Moment | None
    entries_read: int
    is_read_whole: bool
    statements: int
    strange_entries: int


@dataclass(frozen=True, slots=True)
class BundleStory:
    """A bundle that was verified: whose log it is of, and what it holds."""

    source: str
    member: str
    decisions: int
    records: int


@dataclass(frozen=True, slots=True)
class AnchorStory:
    """A checkpoint on a chain: `log` None where its origin hash is of no known log, `is_consistent` None
    where it could not be told.
    """

    chain: str
    gateway: str
    block_number: int
    tx: str
    origin_hash: str
    log: str | None
    size: int
    root: str
    is_consistent: bool | None
    words: str


@dataclass(frozen=True, slots=True)
class Finding:
    """Something that does not hold (`answer` no), or could not be told (unknown), by name (SPEC 4)."""

    name: str
    answer: Answer
    words: str
    facts: Mapping[str, str | int | tuple[str, ...]] = field(default_factory=dict)


@dataclass(frozen=True, slots=True)
class Ground:
    """What all of it rests on; each hash is pinned if it was given beforehand."""

    network: str
    network_name: str
    network_pinned: bool
    policy_hash: str
    policy_pinned: bool
    plans: tuple[str, ...]
    plans_pinned: bool
    epochs: int
    members: tuple[str, ...]
    f: int
    is_demo: bool


@dataclass(frozen=True, slots=True)
class Story:
    """Everything that a reader gets; `lead` are the sentences of the first paragraph, `notices` what must be
    known before it, `compared` what comparing the logs showed.
    """

    incident: str
    title: str
    answer: Answer
    lead: tuple[str, ...]
    ground: Ground
    stamps: tuple[Stamp, ...]
    timeline: tuple[Mark, ...]
    decisions: tuple[DecisionStory, ...]
    gas: Mapping[str, int]
    logs: tuple[LogStory, ...]
    logs_needed: int
    bundles: tuple[BundleStory, ...]
    findings: tuple[Finding, ...]
    remarks: tuple[Remark, ...]
    anchors: tuple[AnchorStory, ...] | None
    compared: tuple[str, ...]
    not_shown: tuple[str, ...]
    notices: tuple[str, ...]
