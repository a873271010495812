"""From a pending checkpoint to a published one: what witnesses stand behind, and nothing else."""

from pathlib import Path

import pytest
from nacl.signing import SigningKey

from proofs.checkpoint import Checkpoint, checkpoint_text
from proofs.hashes import sha256
from proofs.note import (
    KeyKind,
    Note,
    NoteSignature,
    cosignature,
    cosigned_bytes,
    format_note,
    note_signature,
    parse_note,
    verifier_key,
)
from proofs.tlogproof import parse_tlog_proof
from proofs.tree import verify_consistency
from relay.core.errors import ConfigError
from relay.journal import LogEntry
from tests.shells.journal.logs import (
    ORIGIN,
    VERIFIER,
    MakeEnvelope,
    OpenJournal,
    fill,
    open_log,
    publish,
    read_log,
    sign,
)

COSIGNERS = [SigningKey(bytes([number]) * 32) for number in (1, 2)]


def cosigned(checkpoint: Checkpoint, number: int, at_s: int = 1_700_000_000) -> NoteSignature:
    """Give the line of a witness; the first of `COSIGNERS` is number 0."""
    secret = COSIGNERS[number]
    key = verifier_key(f"net/witness{number}", KeyKind.COSIGNATURE, bytes(secret.verify_key))
    return cosignature(key, at_s, secret.sign(cosigned_bytes(checkpoint_text(checkpoint), at_s)).signature)


def witnesses_of(note: str) -> list[str]:
    return [line.name for line in parse_note(note).signatures[1:]]


@pytest.mark.asyncio
async def test_what_is_signed_is_shown_to_nobody_before_it_is_published(
    open_journal: OpenJournal, envelope: MakeEnvelope, tmp_path: Path
) -> None:
    async with open_journal() as journal:
        log = await open_log(journal, tmp_path / "log")
        await publish(log)
        await fill(journal, [envelope(n, LogEntry.RELEASED) for n in range(3)])

        pending = await log.sign(sign)

        assert (pending.checkpoint.size, log.signed_size) == (3, 3)
        assert read_log(tmp_path / "log")[0].size == 0
        assert log.published is not None
        assert log.published.checkpoint.size == 0
        with pytest.raises(KeyError):
            await log.tlog_proof(envelope(0).digest)
        await log.publish(pending.checkpoint, [cosigned(pending.checkpoint, 0)], sign)
        proof = parse_tlog_proof(await log.tlog_proof(envelope(0).digest))

    assert witnesses_of(proof.checkpoint) == ["net/witness0"]
    assert read_log(tmp_path / "log")[0] == pending.checkpoint


@pytest.mark.asyncio
async def test_later_cosignatures_join_those_that_stand_under_a_checkpoint(
    open_journal: OpenJournal, envelope: MakeEnvelope, tmp_path: Path
) -> None:
    async with open_journal() as journal:
        log = await open_log(journal, tmp_path / "log")
        await fill(journal, [envelope(0, LogEntry.RELEASED)])
        checkpoint = (await log.sign(sign)).checkpoint
        await log.publish(checkpoint, [cosigned(checkpoint, 0)], sign)

    async with open_journal() as journal:  # what stood there stands there after a restart
        log = await open_log(journal, tmp_path / "log")
        assert log.published is not None
        assert witnesses_of(log.published.note) == ["net/witness0"]
        published = await log.publish(checkpoint, [cosigned(checkpoint, 1)], sign)

    assert witnesses_of(published.note) == ["net/witness0", "net/witness1"]
    assert (tmp_path / "log" / "checkpoint").read_text() == published.note


@pytest.mark.asyncio
async def test_a_checkpoint_that_was_overtaken_replaces_no_larger_one(
    open_journal: OpenJournal, envelope: MakeEnvelope, tmp_path: Path
) -> None:
    async with open_journal() as journal:
        log = await open_log(journal, tmp_path / "log")
        await fill(journal, [envelope(0, LogEntry.RELEASED)])
        small = (await log.sign(sign)).checkpoint
        await fill(journal, [envelope(n, LogEntry.RELEASED) for n in range(1, 300)])
        large = (await log.sign(sign)).checkpoint

        first = await log.publish(small, [cosigned(small, 0)], sign)  # it has its witnesses, late
        second = await log.publish(large, [], sign)
        third = await log.publish(small, [cosigned(small, 1)], sign)

    assert [each.checkpoint.size for each in (first, second, third)] == [1, 300, 300]
    assert read_log(tmp_path / "log")[0] == large


@pytest.mark.asyncio
async def test_a_checkpoint_of_another_history_is_never_published(
    open_journal: OpenJournal, envelope: MakeEnvelope, tmp_path: Path
) -> None:
    async with open_journal() as journal:
        log = await open_log(journal, tmp_path / "log")
        await fill(journal, [envelope(n, LogEntry.RELEASED) for n in range(3)])
        await log.sign(sign)

        for wrong in (Checkpoint(ORIGIN, 2, sha256(b"x")), Checkpoint(ORIGIN, 4, sha256(b"x"))):
            with pytest.raises(AssertionError):
                await log.publish(wrong, [], sign)

    assert not (tmp_path / "log" / "checkpoint").exists()


@pytest.mark.asyncio
async def test_a_process_can_begin_with_the_tree_that_the_one_before_it_recorded(
    open_journal: OpenJournal, envelope: MakeEnvelope, tmp_path: Path
) -> None:
    async with open_journal() as journal:
        log = await open_log(journal, tmp_path / "log")
        await fill(journal, [envelope(n, LogEntry.RELEASED) for n in range(3)])
        signed = await log.sign(sign)  # and nobody was asked any more
        await fill(journal, [envelope(3, LogEntry.RELEASED)])

    async with open_journal() as journal:
        log = await open_log(journal, tmp_path / "log")
        assert log.published is None
        assert await log.sign_recorded(sign) == signed
        assert (await log.sign(sign)).checkpoint.size == 4


@pytest.mark.asyncio
async def test_what_is_published_of_another_history_than_the_journals_is_refused(
    open_journal: OpenJournal, envelope: MakeEnvelope, tmp_path: Path
) -> None:
    async with open_journal() as journal:
        log = await open_log(journal, tmp_path / "log")
        await fill(journal, [envelope(n, LogEntry.RELEASED) for n in range(3)])
        await log.sign(sign)
    other = Checkpoint(ORIGIN, 2, sha256(b"another tree"))
    text = checkpoint_text(other)
    note = Note(text, (note_signature(VERIFIER, await sign(text.encode())),))
    (tmp_path / "log" / "checkpoint").write_text(format_note(note))

    async with open_journal() as journal:
        with pytest.raises(ConfigError, match=r"expected root [0-9a-f]{64} at size 2"):
            await open_log(journal, tmp_path / "log")


@pytest.mark.asyncio
async def test_a_log_proves_to_a_witness_that_it_only_grew(
    open_journal: OpenJournal, envelope: MakeEnvelope, tmp_path: Path
) -> None:
    async with open_journal() as journal:
        log = await open_log(journal, tmp_path / "log")
        await fill(journal, [envelope(n, LogEntry.RELEASED) for n in range(600)])
        await log.sign(sign)

        sizes = (0, 1, 255, 256, 300, 512, 600)
        for first in sizes:
            for second in (each for each in sizes if each >= first):
                proof = await log.consistency_proof(first, second)
                verify_consistency((first, await log.root(first)), (second, await log.root(second)), proof)
        for first, second in ((1, 601), (2, 1), (-1, 3)):
            with pytest.raises(KeyError):
                await log.consistency_proof(first, second)
