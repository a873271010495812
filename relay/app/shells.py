"""Opening a node's shells in order: disk, keys, the node from its journal, lane, chains."""

from __future__ import annotations

import asyncio
from collections.abc import Callable, Mapping, Sequence
from contextlib import AsyncExitStack
from dataclasses import dataclass
from functools import reduce

from proofs.groupkeys import KeysDocument
from relay.app.assembly import Replayed, lane_config, load_plans, make_node, replay_journal
from relay.app.board import Board
from relay.app.bundles import Bundles
from relay.app.committees import CommitteeFiles, check_in_force
from relay.app.keys import KeysFiles
from relay.chains import Chain, load_adapters, open_chain
from relay.config import KeptKeys, NodeConfig
from relay.core.committees import Committees
from relay.core.effects import PageKind
from relay.core.errors import ConfigError, JournalError
from relay.core.events import CommitteeLearned, KeysInForce
from relay.core.node import Node
from relay.core.ports import Adapter, Submitter
from relay.core.readiness import Inspector
from relay.core.types import Caip2, Millis
from relay.gossip import Lane
from relay.journal import AuditLog, Boot, DiskLimits, Journal, Outbox, count_boot
from relay.keys import LocalSigner, Secret, open_identity, open_signer
from relay.telemetry import Telemetry
from relay.witness.store import WitnessStore

__all__ = ["Shells", "open_shells"]


@dataclass(frozen=True, slots=True)
class Shells:
    """All that a running node consists of."""

    committees: CommitteeFiles
    learned: tuple[CommitteeLearned | KeysInForce, ...]
    """What the node has to learn first."""
    keys: KeysFiles
    journal: Journal
    signer: LocalSigner
    node: Node
    bundles: Bundles
    board: Board
    replayed: Replayed
    audit: AuditLog
    witness: WitnessStore | None
    """What our witness remembers by; without it, it cosigns nothing."""
    boot: Boot
    lane: Lane
    chains: Mapping[Caip2, Chain]
    submitters: Mapping[Caip2, Submitter]
    inspectors: Mapping[Caip2, Inspector]


async def open_shells(
    stack: AsyncExitStack,
    config: NodeConfig,
    passphrase: Secret,
    telemetry: Telemetry,
    clock: Callable[[], Millis],
) -> Shells:
    """Open everything, in the order in which one needs the other; `stack` closes it.

    Raises:
        TocsinError: a file, a key, the disk, an address or an endpoint is not as it must be.
    """
    directory = config.directory
    committees = CommitteeFiles(directory.committee, telemetry)
    adapters = load_adapters()
    plans = load_plans(config, adapters)
    limits = DiskLimits(
        min_free_bytes=config.journal.min_free_bytes, ballast_bytes=config.journal.ballast_bytes
    )
    journal = await stack.enter_async_context(
        Journal.open(directory.journal_file, clock=clock, limits=limits)
    )
    keys = KeysFiles(directory.committee, lambda: [each.document for each in committees.signed], telemetry)
    known_keys = await asyncio.to_thread(keys.in_force)
    signer = await stack.enter_async_context(
        open_signer(
            directory.keys,
            guard_path=directory.guard_file,
            passphrase=passphrase,
            documents=_still_used(known_keys, committees, clock() // 1_000),
        )
    )
    for problem in signer.share_problems:
        telemetry.warning("no share of the keys in force", detail=str(problem))
    node = make_node(config, committees, plans, signer.identity, adapters)
    bundles = Bundles(node, lambda: committees.signed, lambda: [kept.signed for kept in keys.in_force()])
    board = Board(node)
    replayed = await replay_journal(node, journal, (bundles.heard, board.heard))
    learned = tuple(committees.unknown_to(node.committees))
    new_keys = [each.document for each in known_keys if not node.ceremonies.knows(each.document)]
    now_s = clock() // 1_000
    known = reduce(lambda chain, event: chain.with_next(event.document), learned, node.committees)
    check_in_force(config, known.in_force(now_s), telemetry)
    audit = await _open_log(config, known, journal, signer)
    witness = await _open_witness(stack, config, known, telemetry)
    boot = await count_boot(journal, directory.instance_file)
    telemetry.notice("journal replayed", events=replayed.events, boot=boot.number)
    seed = open_identity(directory.keys, passphrase).reveal()
    lane = await stack.enter_async_context(
        Lane.open(
            identity_seed=seed, config=lane_config(config, known, signer.identity, now_s), store=journal
        )
    )
    chains, submitters = await _open_chains(stack, config, adapters, node, signer)
    inspectors = {
        chain: await stack.enter_async_context(opened.adapter.inspector(opened.quorum.settings))
        for chain, opened in chains.items()
    }
    return Shells(
        committees=committees,
        learned=(*learned, *(KeysInForce(document, clock()) for document in new_keys)),
        keys=keys,
        journal=journal,
        signer=signer,
        node=node,
        bundles=bundles,
        board=board,
        replayed=replayed,
        audit=audit,
        witness=witness,
        boot=boot,
        lane=lane,
        chains=chains,
        submitters=submitters,
        inspectors=inspectors,
    )


def _still_used(known: Sequence[KeptKeys], committees: CommitteeFiles, now_s: int) -> list[KeysDocument]:
    """Give the documents of the key epoch in force and of later ones: of earlier ones shares are erased."""
    begun = [each.document.key_epoch for each in committees.signed if each.document.activates_at <= now_s]
    return [each.document for each in known if each.document.key_epoch >= max(begun, default=1)]


async def _open_log(
    config: NodeConfig, committees: Committees, journal: Journal, signer: LocalSigner
) -> AuditLog:
    # The first document that names us with this key: a log keeps its origin for ever.
    named = [(document, document.member(signer.identity)) for document in committees.documents]
    ours = [(document, member) for document, member in named if member is not None]
    first = next((each for each in ours if each[1].log == signer.log_key), ours[0])
    origin = f"{first[0].name}/{first[1].name}"
    return await AuditLog.open(journal, config.directory.log, origin=origin, log_key=signer.log_key)


async def _open_witness(
    stack: AsyncExitStack, config: NodeConfig, committees: Committees, telemetry: Telemetry
) -> WitnessStore | None:
    """Open what our witness remembers by; the node goes on without, its log needs others' cosignatures."""
    try:
        opening = WitnessStore.open(config.directory.witness_file, committees.network)
        return await stack.enter_async_context(opening)
    except (ConfigError, JournalError) as error:
        telemetry.page(PageKind.CANNOT_SIGN, f"this node's witness cosigns nothing: {error}")
        return None


async def _open_chains(
    stack: AsyncExitStack,
    config: NodeConfig,
    adapters: Mapping[str, Adapter],
    node: Node,
    signer: LocalSigner,
) -> tuple[dict[Caip2, Chain], dict[Caip2, Submitter]]:
    """Open the chains that the plans name, each with a submitter of its own."""
    chains: dict[Caip2, Chain] = {}
    submitters: dict[Caip2, Submitter] = {}
    outbox = await stack.enter_async_context(Outbox.open(config.directory.outbox_file))
    for settings in config.chains:
        if settings.chain not in node.views:
            continue
        opened = await stack.enter_async_context(open_chain(settings, adapters))
        chains[settings.chain] = opened
        store = outbox.of(settings.chain, signer.submitter)
        submitter = opened.adapter.submitter(settings, signer, store)
        submitters[settings.chain] = await stack.enter_async_context(submitter)
    return chains, submitters
