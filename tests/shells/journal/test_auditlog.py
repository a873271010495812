"""The log as an auditor sees it: static files, a signed checkpoint, proofs; and what a crash leaves of it."""

import asyncio
import shutil
from collections.abc import Callable
from pathlib import Path

import pytest
from nacl.signing import SigningKey

from proofs.canonical import encode
from proofs.checkpoint import open_checkpoint, parse_checkpoint
from proofs.envelope import EnvelopeError, PayloadFields, build_payload, parse_envelope
from proofs.hashes import sha256
from proofs.kinds import Identity, NetworkId
from proofs.tiles import (
    ENTRIES,
    Tile,
    parse_tile_path,
    tile_node_reader,
)
from proofs.tlogproof import parse_tlog_proof
from proofs.tree import (
    consistency_proof,
    leaf_digest,
    verify_consistency,
    verify_inclusion,
)
from relay.core.errors import ConfigError, JournalError
from relay.core.types import Millis
from relay.journal import AuditLog, LogEntry, StoredEnvelope
from relay.journal.tilewriter import read_tile
from tests.shells.journal.logs import (
    KEY,
    VERIFIER,
    MakeEnvelope,
    OpenJournal,
    fill,
    open_log,
    publish,
    read_log,
    sign,
)


@pytest.mark.parametrize("size", [0, 1, 2, 255, 256, 257, 511, 600])
@pytest.mark.asyncio
async def test_a_published_log_is_read_from_static_files(
    open_journal: OpenJournal, envelope: MakeEnvelope, tmp_path: Path, size: int
) -> None:
    envelopes = [envelope(n, LogEntry.RELEASED) for n in range(size)]
    async with open_journal() as journal:
        await fill(journal, envelopes)
        log = await open_log(journal, tmp_path / "log")
        published = await publish(log)

    checkpoint, entries = read_log(tmp_path / "log")
    assert entries == [e.raw for e in envelopes]
    assert checkpoint == published.checkpoint
    assert (tmp_path / "log" / "checkpoint").read_text() == published.note


@pytest.mark.asyncio
async def test_a_log_that_grows_in_steps_is_the_same_log(
    open_journal: OpenJournal, envelope: MakeEnvelope, tmp_path: Path
) -> None:
    checkpoints = []
    async with open_journal() as journal:
        log = await open_log(journal, tmp_path / "log")
        for first, last in [(0, 1), (1, 200), (200, 256), (256, 300), (300, 900)]:
            await fill(journal, [envelope(n, LogEntry.RELEASED) for n in range(first, last)])
            checkpoints.append((await publish(log)).checkpoint)
            assert read_log(tmp_path / "log")[1] == [envelope(n).raw for n in range(last)]

    reader = tile_node_reader(900, lambda tile: read_tile(tmp_path / "log", tile))
    for older in checkpoints[:-1]:
        proof = consistency_proof(older.size, 900, reader)
        verify_consistency((older.size, older.root), (900, checkpoints[-1].root), proof)


@pytest.mark.asyncio
async def test_every_file_of_the_log_has_the_one_name_of_a_tile(
    open_journal: OpenJournal, envelope: MakeEnvelope, tmp_path: Path
) -> None:
    async with open_journal() as journal:
        log = await open_log(journal, tmp_path / "log")
        for count in (100, 300):
            await fill(journal, [envelope(n, LogEntry.RELEASED) for n in range(count)])
            await publish(log)

    names = {str(p.relative_to(tmp_path / "log")) for p in (tmp_path / "log").rglob("*") if p.is_file()}
    tiles = {parse_tile_path(name) for name in names - {"checkpoint"}}
    # The partial tiles of the first publication went when the full ones came.
    assert tiles == {Tile(0, 0), Tile(0, 1, 44), Tile(1, 0, 1), Tile(ENTRIES, 0), Tile(ENTRIES, 1, 44)}


@pytest.mark.asyncio
async def test_an_unreleased_entry_is_not_published_and_holds_back_nothing_behind_it(
    open_journal: OpenJournal, envelope: MakeEnvelope, tmp_path: Path
) -> None:
    async with open_journal() as journal:
        log = await open_log(journal, tmp_path / "log")
        await fill(journal, [envelope(n) for n in range(4)] + [envelope(4, LogEntry.RELEASED)])

        assert await log.released_size() == 1
        await log.release([envelope(0).digest, envelope(2).digest])
        assert await log.released_size() == 3
        assert (await publish(log)).checkpoint.size == 3
        assert not any(b"envelope 1" in p.read_bytes() for p in (tmp_path / "log").rglob("*") if p.is_file())
        await fill(journal, [envelope(5)])
        await log.release([envelope(1).digest, envelope(99).digest])
        assert (log.size, await log.released_size()) == (6, 4)

    async with open_journal() as journal:
        log = await open_log(journal, tmp_path / "log")
        assert await log.released_size() == 4
        await log.release([envelope(3).digest, envelope(5).digest])
        assert (await publish(log)).checkpoint.size == 6
    order = [0, 2, 4, 1, 3, 5]
    assert read_log(tmp_path / "log")[1] == [envelope(n).raw for n in order]


@pytest.mark.asyncio
async def test_what_is_released_while_a_tree_is_made_is_in_this_tree_or_in_the_next(
    open_journal: OpenJournal, envelope: MakeEnvelope, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    async with open_journal() as journal:
        log = await open_log(journal, tmp_path / "log")
        await fill(journal, [envelope(0), envelope(1, LogEntry.RELEASED)])
        counted = log._durable.read

        async def count_then_release(work: Callable[..., object]) -> object:
            found = await counted(work)
            await log.release([envelope(0).digest])
            return found

        monkeypatch.setattr(log._durable, "read", count_then_release)
        first = await publish(log)
        monkeypatch.undo()
        last = await publish(log)

    assert (first.checkpoint.size, last.checkpoint.size) == (1, 2)
    assert set(read_log(tmp_path / "log")[1]) == {envelope(0).raw, envelope(1).raw}


@pytest.mark.asyncio
async def test_an_entry_that_is_held_for_long_leaves_proofs_and_places_right(
    open_journal: OpenJournal, envelope: MakeEnvelope, tmp_path: Path
) -> None:
    async with open_journal() as journal:
        log = await open_log(journal, tmp_path / "log")
        await fill(journal, [envelope(0)])
        for first, last in [(1, 200), (200, 300), (300, 600)]:
            await fill(journal, [envelope(n, LogEntry.RELEASED) for n in range(first, last)])
            await publish(log)
        with pytest.raises(KeyError):
            await log.tlog_proof(envelope(0).digest)
        await log.release([envelope(0).digest])
        await publish(log)

        for number in (0, 1, 199, 200, 599):
            proof = parse_tlog_proof(await log.tlog_proof(envelope(number).digest))
            checkpoint = open_checkpoint(proof.checkpoint, [VERIFIER]).checkpoint
            verify_inclusion(
                leaf_digest(envelope(number).raw), proof.index, checkpoint.size, proof.path, checkpoint.root
            )
            assert proof.index == (number - 1 if number else 599)


@pytest.mark.asyncio
async def test_every_entry_has_a_proof_that_an_auditor_accepts(
    open_journal: OpenJournal, envelope: MakeEnvelope, tmp_path: Path
) -> None:
    envelopes = [envelope(n, LogEntry.RELEASED) for n in range(300)]
    async with open_journal() as journal:
        log = await open_log(journal, tmp_path / "log")
        await fill(journal, envelopes)
        with pytest.raises(KeyError):
            await log.tlog_proof(envelopes[0].digest)
        await publish(log)
        await fill(journal, [envelope(300)])

        for number in (0, 1, 127, 255, 256, 299):
            proof = parse_tlog_proof(await log.tlog_proof(envelopes[number].digest))
            checkpoint = open_checkpoint(proof.checkpoint, [VERIFIER]).checkpoint
            verify_inclusion(
                leaf_digest(envelopes[number].raw), proof.index, checkpoint.size, proof.path, checkpoint.root
            )
        for absent in (300, 301):
            with pytest.raises(KeyError):
                await log.tlog_proof(envelope(absent).digest)


@pytest.mark.asyncio
async def test_a_proof_under_an_older_size_is_made_after_its_tiles_filled_up(
    open_journal: OpenJournal, envelope: MakeEnvelope, tmp_path: Path
) -> None:
    async with open_journal() as journal:
        log = await open_log(journal, tmp_path / "log")
        await fill(journal, [envelope(n, LogEntry.RELEASED) for n in range(100)])
        old = (await publish(log)).checkpoint
        await fill(journal, [envelope(n, LogEntry.RELEASED) for n in range(100, 600)])
        await publish(log)

        index, path = await log.inclusion_proof(envelope(42).digest, old.size)

    verify_inclusion(leaf_digest(envelope(42).raw), index, old.size, path, old.root)


@pytest.mark.asyncio
async def test_every_envelope_that_may_be_parsed_fits_into_a_bundle_and_the_next_byte_is_refused(
    open_journal: OpenJournal, tmp_path: Path
) -> None:
    """The bound of envelopes is that of entries: nothing that was taken can stop publication."""

    def raw(filling: int) -> bytes:
        fields = PayloadFields(
            network=NetworkId(bytes(32)),
            author=Identity(bytes(32)),
            committee_epoch=1,
            kind="outcome",
            at_ms=Millis(1_000),
            body={"filling": bytes(filling)},
        )
        return encode([1, build_payload(fields), bytes(64)])

    largest = raw(65_535 - len(raw(60_000)) + 60_000)
    assert len(largest) == 65_535
    assert parse_envelope(largest).raw == largest
    with pytest.raises(EnvelopeError, match="envelope-size"):
        parse_envelope(raw(65_536 - len(raw(60_000)) + 60_000))

    async with open_journal() as journal:
        log = await open_log(journal, tmp_path / "log")
        await fill(journal, [StoredEnvelope(largest, sha256(largest), Millis(1_000), LogEntry.RELEASED)])
        await publish(log)

    assert read_log(tmp_path / "log")[1] == [largest]


@pytest.mark.asyncio
async def test_without_new_entries_the_checkpoint_stands(
    open_journal: OpenJournal, envelope: MakeEnvelope, tmp_path: Path
) -> None:
    signed: list[bytes] = []

    async def count(body: bytes) -> bytes:
        signed.append(body)
        return await sign(body)

    async with open_journal() as journal:
        log = await open_log(journal, tmp_path / "log")
        await fill(journal, [envelope(1, LogEntry.RELEASED), envelope(2)])
        async with asyncio.TaskGroup() as group:
            for _ in range(5):
                group.create_task(publish(log, count))

    assert log.published is not None
    assert {parse_checkpoint(body.decode()) for body in signed} == {log.published.checkpoint}


def lose(tiles: Path) -> None:
    shutil.rmtree(tiles)


def alter(tiles: Path) -> None:
    edge = tiles / "0" / "002.p" / "188"
    content = edge.read_bytes()
    edge.write_bytes(content[:-1] + bytes([content[-1] ^ 1]))


def cut(tiles: Path) -> None:
    edge = tiles / "1" / "000.p" / "2"
    edge.write_bytes(edge.read_bytes()[:-1])


@pytest.mark.parametrize("damage", [lose, alter, cut])
@pytest.mark.asyncio
async def test_lost_or_damaged_tiles_are_made_again_from_the_journal(
    open_journal: OpenJournal, envelope: MakeEnvelope, tmp_path: Path, damage: Callable[[Path], None]
) -> None:
    async with open_journal() as journal:
        log = await open_log(journal, tmp_path / "log")
        await fill(journal, [envelope(n, LogEntry.RELEASED) for n in range(700)])
        await publish(log)
    damage(tmp_path / "log" / "tile")

    async with open_journal() as journal:
        await open_log(journal, tmp_path / "log")

    assert read_log(tmp_path / "log")[0].size == 700


@pytest.mark.asyncio
async def test_entries_that_were_altered_after_signing_are_never_signed_again(
    open_journal: OpenJournal, envelope: MakeEnvelope, tmp_path: Path
) -> None:
    async with open_journal() as journal:
        log = await open_log(journal, tmp_path / "log")
        await fill(journal, [envelope(n, LogEntry.RELEASED) for n in range(10)])
        await publish(log)
        await journal.durable.write(
            lambda connection: (
                connection.execute("UPDATE envelope SET bytes = x'00' WHERE log_index = 3").rowcount
            )
        )
    shutil.rmtree(tmp_path / "log")

    async with open_journal() as journal:
        with pytest.raises(JournalError, match=r"expected entries under root [0-9a-f]{64}, got [0-9a-f]{64}"):
            await open_log(journal, tmp_path / "log")


@pytest.mark.asyncio
async def test_a_journal_older_than_its_log_is_refused(
    open_journal: OpenJournal, envelope: MakeEnvelope, tmp_path: Path
) -> None:
    state, backup = tmp_path / "state", tmp_path / "backup"
    async with open_journal() as journal:
        log = await open_log(journal, tmp_path / "log")
        await fill(journal, [envelope(1, LogEntry.RELEASED)])
        await publish(log)
    shutil.copytree(state, backup)
    async with open_journal() as journal:
        log = await open_log(journal, tmp_path / "log")
        await fill(journal, [envelope(2, LogEntry.RELEASED)])
        await publish(log)
    shutil.rmtree(state)
    backup.rename(state)

    async with open_journal() as journal:
        with pytest.raises(ConfigError, match="expected at most the 1 entries of the journal, got 2"):
            await open_log(journal, tmp_path / "log")


@pytest.mark.asyncio
async def test_a_directory_of_another_log_is_refused(open_journal: OpenJournal, tmp_path: Path) -> None:
    async with open_journal() as journal:
        log = await open_log(journal, tmp_path / "log")
        await publish(log)

        with pytest.raises(ConfigError, match="expected a checkpoint of net/bob"):
            await AuditLog.open(journal, tmp_path / "log", origin="net/bob", log_key=bytes(KEY.verify_key))


@pytest.mark.asyncio
async def test_a_signature_by_another_key_is_not_published(
    open_journal: OpenJournal, envelope: MakeEnvelope, tmp_path: Path
) -> None:
    async def forge(body: bytes) -> bytes:
        return bytes(SigningKey(bytes(32)).sign(body).signature)

    async with open_journal() as journal:
        log = await open_log(journal, tmp_path / "log")
        await fill(journal, [envelope(1, LogEntry.RELEASED)])

        with pytest.raises(ConfigError, match="log key of net/alice: expected a signature of net/alice"):
            await publish(log, forge)
        assert not (tmp_path / "log" / "checkpoint").exists()
        await publish(log)  # the disk was not at fault

    assert read_log(tmp_path / "log")[0].size == 1


class FailAt:
    """Fails at the step of that number, counting from 0; counts them all."""

    def __init__(self, number: int) -> None:
        self.number = number
        self.steps = 0

    def __call__(self, step: str) -> None:
        self.steps += 1
        if self.steps == self.number + 1:
            raise OSError(f"injected at {step}")


@pytest.mark.asyncio
async def test_a_failure_at_any_durable_write_of_a_publication_leaves_a_log_that_goes_on(
    open_journal: OpenJournal, envelope: MakeEnvelope, tmp_path: Path
) -> None:
    """Before and after each rename and commit: what is served is whole, and never smaller than it was."""
    state, number = tmp_path / "state", 0
    async with open_journal() as journal:
        log = await open_log(journal, tmp_path / "log")
        await fill(journal, [envelope(n, LogEntry.RELEASED) for n in range(250)])
        await publish(log)
        await fill(journal, [envelope(n, LogEntry.RELEASED) for n in range(250, 520)])
    shutil.move(state, tmp_path / "state-0")
    shutil.move(tmp_path / "log", tmp_path / "log-0")

    while True:
        shutil.copytree(tmp_path / "state-0", state)
        shutil.copytree(tmp_path / "log-0", tmp_path / "log")
        probe = FailAt(number)
        async with open_journal(probe=probe) as journal:
            log = await open_log(journal, tmp_path / "log", probe)
            if probe.steps:
                raise AssertionError("opening an intact log writes nothing")
            try:
                await publish(log)
            except JournalError:
                with pytest.raises(JournalError):  # nothing further until the log has been read again
                    await publish(log)
        assert read_log(tmp_path / "log")[0].size in (250, 520)

        async with open_journal() as journal:
            log = await open_log(journal, tmp_path / "log")
            assert (await publish(log)).checkpoint.size == 520
        assert read_log(tmp_path / "log")[1] == [envelope(n).raw for n in range(520)]

        shutil.rmtree(state)
        shutil.rmtree(tmp_path / "log")
        number += 1
        if probe.steps < number:
            break

    # Three bundles, three tiles, the journal's commit, the checkpoint; each with a step before and one after.
    assert number - 1 >= 16
