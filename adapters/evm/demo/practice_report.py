"""What a practice has shown, as values: a timeline, and what came of the plan."""

from __future__ import annotations

from dataclasses import asdict, dataclass, field
from datetime import UTC, datetime
from enum import StrEnum

__all__ = ["SCHEMA", "Entry", "Kind", "PracticeReport"]

SCHEMA = "tocsin/practice/1"


class Kind(StrEnum):
    """What a line of the timeline tells of."""

    LIFE = "life"
    THEFT = "theft"
    EDGE = "edge"
    DECIDED = "decided"
    STARTED = "started"
    RENEWED = "renewed"
    EXTENDED = "extended"
    NOOP = "noop"
    ENDED = "ended"


@dataclass(frozen=True, slots=True)
class Entry:
    """One line: at which block and second of chain time, and in words; `until_s` of an act's record."""

    at_s: int
    block: int
    kind: Kind
    text: str
    act: str = ""
    tier: str = ""
    until_s: int = 0

    @property
    def clock(self) -> str:
        """The chain's time of day, in UTC."""
        return datetime.fromtimestamp(self.at_s, tz=UTC).strftime("%d. %H:%M:%S")


@dataclass(slots=True)
class PracticeReport:
    """The outcome. Amounts in whole tokens; `delay_*` from the first theft to the first act.

    `stopped` counts thefts that reverted, `slots` those in which protection was decided; `renewed` and
    `extended` count what landed: a decision is sent to the chain only where it adds much (core SPEC 6.6).
    `reopened` tells whether a user could withdraw at the end.
    """

    plan_hash: str
    protocol: str
    chain: str
    was_shadow: bool
    rehearsed: bool | None = None
    quiet_edges: int = 0
    thefts: int = 0
    stopped: int = 0
    stolen: int = 0
    delay_blocks: int | None = None
    delay_s: int | None = None
    slots: int = 0
    renewed: int = 0
    extended: int = 0
    ended: list[str] = field(default_factory=list)
    reopened: bool = False
    timeline: list[Entry] = field(default_factory=list)

    @property
    def held(self) -> bool:
        """Whether the plan protected, was undone, and left quiet life alone."""
        return self.delay_s is not None and self.stopped > 0 and self.reopened and self.quiet_edges == 0

    @property
    def failed_step(self) -> str:
        """The first thing that did not happen; empty where all did."""
        steps = (
            (self.rehearsed is not False, "the rehearsal failed: see tocsin plan rehearse"),
            (self.quiet_edges == 0, "a rule was true in quiet life: see tocsin plan backtest"),
            (self.delay_s is not None, "no act landed: the rule did not see this theft, or nothing could"),
            (self.stopped > 0, "the thief was not stopped: the acts do not close his way"),
            (self.reopened, "users cannot withdraw at the end: an act has not ended, or its undo is missing"),
        )
        return next((problem for held, problem in steps if not held), "")

    def document(self) -> dict[str, object]:
        """Give the report as a JSON object."""
        return {"schema": SCHEMA, "held": self.held, "failed_step": self.failed_step, **asdict(self)}

    def rows(self) -> list[tuple[str, str]]:
        """Give the outcome as names and values for people."""
        delay = "none" if self.delay_s is None else f"{self.delay_blocks} blocks, {self.delay_s} s"
        return [
            ("plan", f"{self.protocol}, {self.plan_hash}"),
            ("practised as", "armed (the file says shadow)" if self.was_shadow else "armed"),
            ("rehearsal", {True: "held", False: "failed", None: "could not tell"}[self.rehearsed]),
            ("triggers in quiet life", str(self.quiet_edges)),
            ("first theft to first act", delay),
            ("stolen", f"{self.stolen:,} tokens in {self.thefts - self.stopped} of {self.thefts} tries"),
            ("protection decided", f"in {self.slots} slots"),
            ("renewed, extended", f"{self.renewed} times, {self.extended} times on chain"),
            ("ended", ", ".join(self.ended) or "nothing"),
            ("users withdraw again", "yes" if self.reopened else "no"),
        ]
