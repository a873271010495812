"""What the demonstration has shown, as values."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import asdict, dataclass

__all__ = ["SCHEMA", "ActReport", "CeremonyReport", "EvidenceReport", "Report"]

SCHEMA = "tocsin/demo/1"


@dataclass(frozen=True, slots=True)
class ActReport:
    """One protective call that took effect; `tx` in hex.

    `state` is what the act's getter reads in that very block; `protected` and `ours` are the gateway's word
    on it: at least as strict as the act asks, and exactly what the call leaves. `certificate` is the kind
    that its transaction carried: `frost`, `ecdsa`, or nothing while it was not looked at.
    """

    chain: str
    act: str
    tx: str
    block: int
    gas: int
    effect: str
    state: int | None = None
    protected: bool = False
    ours: bool = False
    certificate: str = ""


@dataclass(frozen=True, slots=True)
class CeremonyReport:
    """How the members made their group keys; `ms` from the proposal to keys in force everywhere.

    `ceremony` and `document` (SHA-256 of the keys document) in hex.
    """

    ceremony: str
    document: str
    generation: int
    holders: int
    fast_threshold: int
    full_threshold: int
    ms: float


@dataclass(frozen=True, slots=True)
class EvidenceReport:
    """What stays, what it rests on, and how to check it again; paths and hashes as text.

    The bundles were taken while `killed` was dead; `witnesses` had cosigned the log in the first of them. The
    stories are told from the bundles and the logs of all members, `killed` among them again. `omissions`
    counts statements that a log lacks and another has. `problem` is empty when all of it holds.
    """

    bundle: str
    more_bundles: tuple[str, ...]
    """Of further incidents: rules that turned true beside the first; so for the stories."""
    bundle_from: str
    policy: str
    policy_hash: str
    network: str
    story: str
    more_stories: tuple[str, ...]
    log_dir: str
    killed: str
    witnesses: tuple[str, ...]
    witnesses_needed: int
    logs_compared: int
    omissions: int
    commands: tuple[str, ...]
    problem: str

    def rows(self, members: int) -> list[tuple[str, str]]:
        """The rows of the table for people; each of `members` keeps a log and witnesses all of them."""
        compared = f"{self.logs_compared} of {members}, that of {self.killed} again among them"
        return [
            ("killed, once contained", f"{self.killed}; the others publish, witness, and give the bundle"),
            ("witnesses", f"{len(self.witnesses)} of {members} cosigned, {self.witnesses_needed} must"),
            ("logs compared", compared if self.logs_compared else "none"),
            ("omissions", str(self.omissions) if self.logs_compared else "not told"),
            ("bundle", f"{self.bundle} (from {self.bundle_from})"),
            *(("… of a further incident", path) for path in self.more_bundles),
            ("story, for a browser", self.story or "none"),
            *(("… of a further incident", path) for path in self.more_stories),
            ("policy", self.policy),
            ("audit log", self.log_dir),
        ]


@dataclass(frozen=True, slots=True)
class Report:
    """The outcome. Blocks count from the first bad release; values are USD at the times of the recording.

    `certificate_kind` is what the calls that took effect carried: `frost`, `ecdsa`, `mixed`, or `none`.
    `ecdsa_ms` and `frost_ms` are from the first member's edge to the last member's certificate of that kind,
    by the wall clock, `certificate_ms` is the one of the kind asked for; None: nobody had one.
    """

    scenario: str
    seed: int
    contained: bool
    verified: bool
    failed_check: str
    false_triggers: int
    quiet_hours: float
    quorum: str
    certificate_kind: str
    certificate_ms: float | None
    ecdsa_ms: float | None
    frost_ms: float | None
    ceremony: CeremonyReport | None
    containment_blocks: Mapping[str, int]
    containment_chain_s: Mapping[str, int]
    releases_out: int
    releases_attempted: int
    value_out_usd: float
    value_out_without_usd: float
    borrowed_usd: float
    second_leg_reverted: bool
    acts: tuple[ActReport, ...]
    evidence: EvidenceReport
    pace_s: float
    attesters: int
    members: int
    published_after_s: int

    @property
    def value_saved_usd(self) -> float:
        """Against the same run on the same chains with nobody watching."""
        return self.value_out_without_usd - self.value_out_usd

    def document(self) -> dict[str, object]:
        """The JSON form."""
        return {
            "schema": SCHEMA,
            **{name: value for name, value in asdict(self).items() if name != "evidence"},
            **{name: value for name, value in asdict(self.evidence).items() if name != "problem"},
            "value_saved_usd": round(self.value_saved_usd, 2),
            "value_out_usd": round(self.value_out_usd, 2),
            "value_out_without_usd": round(self.value_out_without_usd, 2),
        }

    def rows(self) -> list[tuple[str, str]]:
        """The rows of the table for people."""
        blocks = ", ".join(f"{count} on {chain}" for chain, count in sorted(self.containment_blocks.items()))
        seconds = ", ".join(
            f"{count} s on {chain}" for chain, count in sorted(self.containment_chain_s.items())
        )
        share = 100 * self.value_out_usd / self.value_out_without_usd if self.value_out_without_usd else 0.0
        return [
            ("contained", _mark(self.contained)),
            ("false triggers", f"{self.false_triggers} in {self.quiet_hours:,.0f} quiet hours"),
            *self._certificate_rows(),
            ("first bad release → effect", f"{blocks} blocks" if blocks else "no effect"),
            ("… in chain time", seconds or "no effect"),
            ("releases out", f"{self.releases_out} of {self.releases_attempted} attempted"),
            (
                "value out",
                f"{self.value_out_usd:,.0f} USD ({share:.1f} % of {self.value_out_without_usd:,.0f})",
            ),
            ("value saved", f"{self.value_saved_usd:,.0f} USD against the same run without Tocsin"),
            (
                "second leg (borrow)",
                "reverted" if self.second_leg_reverted else f"took {self.borrowed_usd:,.0f} USD",
            ),
            ("audit", _mark(self.verified) + (f" ({self.failed_check})" if self.failed_check else "")),
            (
                "evidence public",
                f"after {self.published_after_s:,} s of chain time: no usable mandate is shown",
            ),
            *self.evidence.rows(self.members),
        ]

    def _certificate_rows(self) -> list[tuple[str, str]]:
        attested = f"{self.attesters} of {self.members} attested"
        rows = [("edge → list of signatures", f"{_ms(self.ecdsa_ms)}, {attested}")]
        if self.quorum == "frost":
            rows.append(("edge → one signature (FROST)", _ms(self.frost_ms)))
        rows.append(("certificates that landed", _LANDED[self.certificate_kind]))
        keys = self.ceremony
        if keys is not None:
            quorums = f"{keys.fast_threshold} sign fast, {keys.full_threshold} in full"
            made = f"by {keys.holders} members in {_ms(keys.ms)}: {quorums}; nobody ever held a key"
            rows.insert(0, ("group keys", made))
        return rows


_LANDED = {
    "frost": "one signature each (FROST)",
    "ecdsa": "lists of signatures (ECDSA)",
    "mixed": "[yellow]both kinds[/yellow]",
    "none": "none",
}


def _ms(value: float | None) -> str:
    return "none" if value is None else f"{value:,.0f} ms"


def _mark(is_so: bool) -> str:  # noqa: FBT001 - a value to show
    return "[green]yes[/green]" if is_so else "[red]no[/red]"
