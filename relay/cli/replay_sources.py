"""What `tocsin audit replay` is given: a bundle, verified, or the folder of an audit log or of its mirror."""

from __future__ import annotations

from collections.abc import Iterable, Iterator, Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path

from proofs.bundle import MAX_BUNDLE_BYTES, Bundle, decode_bundle
from proofs.checkpoint import Checkpoint, parse_checkpoint
from proofs.committee import parse_committee
from proofs.envelope import Envelope, open_envelope
from proofs.errors import ProofError
from proofs.note import parse_note
from proofs.policy import open_checkpoint_under
from proofs.verify import verify_bundle
from relay.audit.reading import LogReading
from relay.audit.sources import FolderSource, read_checkpoint
from relay.chains import load_adapters
from relay.cli.audit_policy import PinnedPolicy, now_s
from relay.cli.plan import read_plan
from relay.core.compiled import CompiledPlan, compile_plan
from relay.core.errors import ConfigError, PlanError
from relay.core.messages import Attestation, Shadow
from relay.core.plan import Plan
from relay.core.plan_file import plan_from_canonical
from relay.core.replay import Replayer, Stated
from relay.core.types import Identity, NetworkId, PlanHash
from relay.core.wire import read_message

__all__ = ["Case", "ReplayError", "case_of"]

SHORT_BYTES = 8
_SHOWN_STRANGERS = 8


class ReplayError(ProofError):
    """`plan-file`: a plan that nothing here is of."""


@dataclass(frozen=True, slots=True)
class Case:
    """What is to be replayed; `problems` says why a plan could not be compiled.

    `names` are of those members whose committee documents are here.
    """

    problems: tuple[str, ...]
    names: Mapping[Identity, str]
    replayer: Replayer

    def name_of(self, identity: Identity) -> str:
        """Give a member's name, or the beginning of its identity."""
        return self.names.get(identity) or identity[:SHORT_BYTES].hex()


def case_of(source: Path, plan_files: Sequence[Path], policy: PinnedPolicy | None = None) -> Case:
    """Read a bundle, or a log with its plans; every signature is checked, under `policy` if there is one.

    Raises:
        OSError, SourceError: something cannot be read.
        ProofError: something does not verify; `plan-file` for a plan that nothing here is of.
        ConfigError: a log without plans.
    """
    given = {plan.hash: (file, plan) for file in plan_files for plan in [read_plan(file)]}
    plans = [plan for _, plan in given.values()]
    case = _of_log(source, plans, policy) if source.is_dir() else _of_bundle(source, policy)
    there = {each.attestation.decision.plan_hash for each in case.replayer.stated}
    for plan_hash, (file, _) in given.items():
        if plan_hash not in there:
            problem = f"expected a plan of a decision here, got {file} with hash {plan_hash.hex()}"
            raise ReplayError("plan-file", problem)
    return case


def _of_bundle(file: Path, policy: PinnedPolicy | None) -> Case:
    with file.open("rb") as source:
        data = source.read(MAX_BUNDLE_BYTES + 1)
    verify_bundle(data, policy=None if policy is None else policy.raw, now_s=now_s())
    bundle = decode_bundle(data)
    plans: dict[PlanHash, CompiledPlan] = {}
    problems: list[str] = []
    for each in bundle.plans:
        try:
            plans[each.plan_hash] = compile_plan(plan_from_canonical(each.canonical), load_adapters())
        except PlanError as error:
            problems.append(f"plan {each.plan_hash.hex()}: {error.where}: {error.problem}")
    stated = tuple(_stated(open_envelope(record.envelope) for record in bundle.records))
    return Case(tuple(problems), _names(bundle), Replayer(bundle.network, plans, stated))


def _of_log(folder: Path, given: Sequence[Plan], policy: PinnedPolicy | None) -> Case:
    if not given:
        raise ConfigError(str(folder), "expected plans beside a log, got none", remedy="give --plan FILE")
    source = FolderSource(folder)
    log = LogReading(source, _checkpoint(read_checkpoint(source), policy))
    envelopes, strangers = _envelopes(log)
    network = envelopes[0].network if envelopes else NetworkId(bytes(32))
    plans = {plan.hash: compile_plan(plan, load_adapters()) for plan in given}
    ours = (envelope for envelope in envelopes if envelope.network == network)
    return Case(_told(strangers), {}, Replayer(network, plans, tuple(_stated(ours))))


def _checkpoint(note: str, policy: PinnedPolicy | None) -> Checkpoint:
    """Judge the log's checkpoint, or without a policy only read it: then nobody says whose log it is."""
    if policy is None:
        return parse_checkpoint(parse_note(note).text)
    return open_checkpoint_under(note, policy.policy, now_s=now_s()).checkpoint


def _envelopes(log: LogReading) -> tuple[list[Envelope], list[str]]:
    """Give the entries that are envelopes, and what is wrong with those that are none (proofs SPEC 14)."""
    envelopes: list[Envelope] = []
    strangers: list[str] = []
    for number, entry in log.entries(0, log.size):
        try:
            envelopes.append(open_envelope(entry))
        except ProofError as error:
            strangers.append(f"entry {number}: {error}")
    return envelopes, strangers


def _told(strangers: Sequence[str]) -> tuple[str, ...]:
    more = len(strangers) - _SHOWN_STRANGERS
    rest = (f"{more} more entries are no envelopes",) if more > 0 else ()
    return (*strangers[:_SHOWN_STRANGERS], *rest)


def _stated(envelopes: Iterable[Envelope]) -> Iterator[Stated]:
    for envelope in envelopes:
        message = read_message(envelope)
        if isinstance(message, Attestation):
            yield Stated(envelope.author, message)
        elif isinstance(message, Shadow):
            yield Stated.shadow(envelope.author, message)


def _names(bundle: Bundle) -> Mapping[Identity, str]:
    """Give the members' names; the newest document has the last word."""
    documents = [parse_committee(each.document) for each in bundle.committees]
    return {member.identity: member.name for document in documents for member in document.members}
