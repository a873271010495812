"""What `tocsin audit replay` is given: a bundle, verified, or the folder of an audit log or of its mirror."""

from __future__ import annotations

from collections.abc import Iterable, Iterator, Mapping, Sequence
from dataclasses import dataclass, field, replace
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
from relay.core.errors import ConfigError, PlanError, WireError
from relay.core.messages import Attestation, Shadow
from relay.core.plan import Plan
from relay.core.plan_file import plan_from_canonical
from relay.core.replay import Replayer, Stated
from relay.core.types import Identity, NetworkId, PlanHash
from relay.core.wire import read_message

__all__ = ["Case", "ReplayError", "case_of"]

SHORT_BYTES = 8
_WHO = (
    "that its authors are members, signed mandates with their attester keys and do not contradict themselves:"
    " a log holds no committee (audit incident and audit verify tell it)"
)
_SHOWN_PROBLEMS = 8


class ReplayError(ProofError):
    """`plan-file`: a plan that nothing in a bundle is of."""


@dataclass(frozen=True, slots=True)
class Case:
    """What is to be replayed.

    `problems` says which plans could not be compiled and which entries of a log were not read; `limits`, what
    nothing here was held against. `names` are of those members whose committee documents are here.
    `has_unread`: some entry is a member's word in another form than those that are read here.
    """

    problems: tuple[str, ...]
    limits: tuple[str, ...]
    names: Mapping[Identity, str]
    replayer: Replayer
    has_unread: bool = False

    def name_of(self, identity: Identity) -> str:
        """Give a member's name, or the beginning of its identity."""
        return self.names.get(identity) or identity[:SHORT_BYTES].hex()


def case_of(
    source: Path,
    plan_files: Sequence[Path],
    policy: PinnedPolicy | None = None,
    network: NetworkId | None = None,
) -> Case:
    """Read a bundle, or a log with its plans; every signature is checked, under `policy` if there is one.

    `network` is the one that it must be of; else it is the bundle's, or that of a log's first envelope.

    Raises:
        OSError, SourceError: something cannot be read.
        ProofError: something does not verify; `plan-file` for a plan that nothing in a bundle is of.
        ConfigError: a log without plans.
    """
    given = {plan.hash: (file, plan) for file in plan_files for plan in [read_plan(file)]}
    if source.is_dir():
        case = _of_log(source, [plan for _, plan in given.values()], policy, network)
    else:
        case = _of_bundle(source, policy, network)
    there = {each.attestation.decision.plan_hash for each in case.replayer.stated}
    idle = [
        f"expected a plan of a decision here, got {file} with hash {plan_hash.hex()}"
        for plan_hash, (file, _) in given.items()
        if plan_hash not in there
    ]
    if idle and not source.is_dir():
        raise ReplayError("plan-file", idle[0])
    # A log grows, and of some plans nothing is decided yet.
    return replace(case, problems=(*case.problems, *idle))


def _of_bundle(file: Path, policy: PinnedPolicy | None, network: NetworkId | None) -> Case:
    with file.open("rb") as source:
        data = source.read(MAX_BUNDLE_BYTES + 1)
    verify_bundle(data, policy=None if policy is None else policy.raw, network=network, now_s=now_s())
    bundle = decode_bundle(data)
    plans: dict[PlanHash, CompiledPlan] = {}
    problems: list[str] = []
    for each in bundle.plans:
        try:
            plans[each.plan_hash] = compile_plan(plan_from_canonical(each.canonical), load_adapters())
        except PlanError as error:
            problems.append(f"plan {each.plan_hash.hex()}: {error.where}: {error.problem}")
    words = _words(enumerate(record.envelope for record in bundle.records), "record", bundle.network)
    limits = tuple(_unpinned(policy, None if network else bundle.network))
    replayer = Replayer(bundle.network, plans, words.stated)
    return Case((*problems, *words.problems), limits, _names(bundle), replayer, words.has_unread)


def _of_log(
    folder: Path, given: Sequence[Plan], policy: PinnedPolicy | None, network: NetworkId | None
) -> Case:
    source = FolderSource(folder)
    note = read_checkpoint(source)
    if not given:
        raise ConfigError(str(folder), "expected plans beside a log, got none", remedy="give --plan FILE")
    log = LogReading(source, _checkpoint(note, policy))
    plans = {plan.hash: compile_plan(plan, load_adapters()) for plan in given}
    words = _words(log.entries(0, log.size), "entry", network)
    limits = (*_unpinned(policy, None if network else words.network), _WHO)
    replayer = Replayer(words.network or NetworkId(bytes(32)), plans, words.stated)
    return Case(words.problems, limits, {}, replayer, words.has_unread)


def _unpinned(policy: PinnedPolicy | None, network: NetworkId | None) -> Iterator[str]:
    """Say what the source was not held against; `network` is what it says of itself."""
    if policy is None:
        yield "whose log it is, and that others see the same: no --policy was given"
    elif not policy.is_pinned:
        yield f"that it is the right policy: no --policy-hash was given, its hash is {policy.hash.hex()}"
    if network is not None:
        yield f"that it is the right network: no --network was given, its id is {network.hex()}"


def _checkpoint(note: str, policy: PinnedPolicy | None) -> Checkpoint:
    """Judge the log's checkpoint, or without a policy only read it: then nobody says whose log it is."""
    if policy is None:
        return parse_checkpoint(parse_note(note).text)
    return open_checkpoint_under(note, policy.policy, now_s=now_s()).checkpoint


@dataclass(frozen=True, slots=True)
class Words:
    """What members of `network` stated in a log or bundle; None where nobody said anything."""

    network: NetworkId | None
    stated: tuple[Stated, ...]
    problems: tuple[str, ...]
    has_unread: bool


def _words(entries: Iterable[tuple[int, bytes]], what: str, network: NetworkId | None = None) -> Words:
    """Read the statements among numbered entries, and what is wrong with the others (proofs SPEC 14).

    `network`: of others' words it is told that they are others'; by default that of the first envelope.
    """
    stated: list[Stated] = []
    strangers, unread = Noted(), Noted()
    for number, entry in entries:
        try:
            envelope = open_envelope(entry)
            network = network or envelope.network
            if envelope.network != network:
                strangers.note(f"{what} {number}: network: expected {network.hex()}, got another's word")
            elif (found := _stated(envelope)) is not None:
                stated.append(found)
        except ProofError as error:
            strangers.note(f"{what} {number}: {error}")
        except WireError as error:
            # It may be a verdict in the form of a later release.
            unread.note(f"{what} {number}: {error}")
    problems = (
        *unread.told("words are in no form that is read here"),
        *strangers.told("entries are no words of members of this network"),
    )
    return Words(network, tuple(stated), problems, has_unread=unread.count > 0)


@dataclass(slots=True)
class Noted:
    """Problems of one kind: the first few in words, as many as a log may have counted."""

    count: int = 0
    first: list[str] = field(default_factory=list)

    def note(self, problem: str) -> None:
        """Take one more."""
        self.count += 1
        if len(self.first) < _SHOWN_PROBLEMS:
            self.first.append(problem)

    def told(self, of_more: str) -> tuple[str, ...]:
        """Give the first ones, and what the others are."""
        more = self.count - len(self.first)
        return (*self.first, *((f"{more} more {of_more}",) if more else ()))


def _stated(envelope: Envelope) -> Stated | None:
    """Give a member's verdict, or that of a plan in shadow mode; None of another word.

    Raises:
        WireError: `malformed`.
    """
    message = read_message(envelope)
    if isinstance(message, Attestation):
        return Stated(envelope.author, message)
    return Stated.shadow(envelope.author, message) if isinstance(message, Shadow) else None


def _names(bundle: Bundle) -> Mapping[Identity, str]:
    """Give the members' names; the newest document has the last word."""
    documents = [parse_committee(each.document) for each in bundle.committees]
    return {member.identity: member.name for document in documents for member in document.members}
