"""Outsiders with keys, and plans that listen to them (plans SPEC 1.6)."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass, replace
from functools import cached_property

from nacl.signing import SigningKey

from proofs.decision import BlockRef
from proofs.hashes import sha256
from proofs.kinds import Digest, NetworkId
from proofs.mandate import Tier
from proofs.reports import Report, Subject, report_signing_bytes
from relay.core.compiled import CompiledPlan
from relay.core.expressions import Kind, Language
from relay.core.plan import Reports, Rung


@dataclass(frozen=True)
class Reporter:
    """Somebody with an Ed25519 key."""

    name: str

    @cached_property
    def key(self) -> SigningKey:
        return SigningKey(sha256(f"sim/reporter/{self.name}".encode()))

    @property
    def public(self) -> bytes:
        return bytes(self.key.verify_key)

    def signs(self, subject: Subject) -> Report:
        """Sign a subject."""
        return Report(subject, self.public, bytes(self.key.sign(report_signing_bytes(subject)).signature))


OSCAR, PEGGY, QUINN, STRANGER = (Reporter(name) for name in ("oscar", "peggy", "quinn", "stranger"))
TRUSTED = (OSCAR, PEGGY, QUINN)


def with_reports(
    compiled: CompiledPlan,
    *acts: str,
    need: int = 2,
    when: str | None = None,
    records: int = 3,
    name: str = "attack",
    reporters: Sequence[Reporter] = TRUSTED,
) -> CompiledPlan:
    """Give a plan that lets `need` reporters call for acts."""
    public = tuple(each.public for each in reporters)
    reports = Reports(name, public, need, (Rung(acts, Tier.FAST),), when, records)
    plan = replace(compiled.plan, reports={name: reports})
    kinds = {each: Kind.MAP if metric.is_map else Kind.INTEGER for each, metric in plan.metrics.items()}
    conditions = {} if when is None else {name: Language(kinds).compile(when, f"reports.{name}.when")}
    return replace(compiled, plan=plan, reports=conditions)


def subject_of(
    compiled: CompiledPlan, network: NetworkId, block: BlockRef, *, about: str = "tx", name: str = "attack"
) -> Subject:
    """Give the subject of an occasion at a block."""
    return Subject(network, compiled.plan.hash, name, block.hash, Digest(sha256(about.encode())))
