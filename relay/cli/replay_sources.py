"""What `tocsin audit replay` is given: a bundle, verified, or the folder of a node's audit log."""

from __future__ import annotations

from collections.abc import Iterable, Iterator, Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path

from proofs.bundle import MAX_BUNDLE_BYTES, Bundle, decode_bundle
from proofs.checkpoint import Checkpoint, parse_checkpoint
from proofs.committee import parse_committee
from proofs.envelope import Envelope, open_envelope
from proofs.errors import ProofError
from proofs.tiles import ENTRIES, TILE_WIDTH, Tile, decode_entries, tile_path
from proofs.tree import CompactRange, leaf_digest
from proofs.verify import verify_bundle
from relay.chains import load_adapters
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

MAX_CHECKPOINT_BYTES = 64 * 1024
SHORT_BYTES = 8


class ReplayError(ProofError):
    """`plan-file`: a plan that nothing here is of; `log-root`: a log's entries are not those of its root."""


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


def case_of(source: Path, plan_files: Sequence[Path]) -> Case:
    """Read a bundle, or a log with its plans; every signature is checked.

    Raises:
        OSError: something cannot be read.
        ProofError: something does not verify; `plan-file` for a plan that nothing here is of.
        ConfigError: a log without plans.
    """
    given = {plan.hash: (file, plan) for file in plan_files for plan in [read_plan(file)]}
    case = _of_log(source, [plan for _, plan in given.values()]) if source.is_dir() else _of_bundle(source)
    there = {each.attestation.decision.plan_hash for each in case.replayer.stated}
    for plan_hash, (file, _) in given.items():
        if plan_hash not in there:
            problem = f"expected a plan of a decision here, got {file} with hash {plan_hash.hex()}"
            raise ReplayError("plan-file", problem)
    return case


def _of_bundle(file: Path) -> Case:
    with file.open("rb") as source:
        data = source.read(MAX_BUNDLE_BYTES + 1)
    verify_bundle(data)
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


def _of_log(folder: Path, given: Sequence[Plan]) -> Case:
    if not given:
        raise ConfigError(str(folder), "expected plans beside a log, got none", remedy="give --plan FILE")
    envelopes = [open_envelope(entry) for entry in _entries(folder)]
    network = envelopes[0].network if envelopes else NetworkId(bytes(32))
    plans = {plan.hash: compile_plan(plan, load_adapters()) for plan in given}
    ours = (envelope for envelope in envelopes if envelope.network == network)
    return Case((), {}, Replayer(network, plans, tuple(_stated(ours))))


def _entries(folder: Path) -> list[bytes]:
    """Give a log's entries, which must have the root of its checkpoint (proofs SPEC 6)."""
    checkpoint = _checkpoint(folder)
    entries: list[bytes] = []
    for index in range(-(-checkpoint.size // TILE_WIDTH)):
        width = min(TILE_WIDTH, checkpoint.size - index * TILE_WIDTH)
        entries += _tile(folder, Tile(ENTRIES, index, width))
    compact = CompactRange()
    for entry in entries:
        compact = compact.append(leaf_digest(entry))
    if compact.root() != checkpoint.root:
        raise ReplayError("log-root", f"expected {checkpoint.root.hex()}, got {compact.root().hex()}")
    return entries


def _checkpoint(folder: Path) -> Checkpoint:
    with (folder / "checkpoint").open("rb") as source:
        text = source.read(MAX_CHECKPOINT_BYTES).decode(errors="replace")
    return parse_checkpoint(text.partition("\n\n")[0] + "\n")


def _tile(folder: Path, tile: Tile) -> Iterable[bytes]:
    """Read a bundle of entries, cut out of the full one if the partial one is gone."""
    partial = folder / tile_path(tile)
    if partial.exists():
        return decode_entries(partial.read_bytes(), tile.width)
    full = Tile(tile.level, tile.index)
    return decode_entries((folder / tile_path(full)).read_bytes(), TILE_WIDTH)[: tile.width]


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
