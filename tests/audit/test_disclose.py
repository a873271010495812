"""`tocsin audit disclose`: what an operator opens of his node's words, and what stays sealed."""

from __future__ import annotations

import json
from collections.abc import Callable
from pathlib import Path

import pytest

from proofs.disclosure import decode_disclosure
from proofs.envelope import open_envelope
from proofs.hashes import sha256
from relay.audit.remarks import open_disclosure
from relay.cli.entry import call
from relay.core.events import ReadinessChanged, SignalTold
from relay.core.history import event_to_bytes
from relay.core.types import Millis
from relay.journal import DiskLimits, Journal, LogEntry, StoredEnvelope
from tests.audit.village import SEALED, SEED, Alarm, Village

LIMITS = DiskLimits(min_free_bytes=0, ballast_bytes=0)
NOW = Millis(1_000)
Run = Callable[..., "tuple[int, str, str]"]


@pytest.fixture
def alarm() -> Alarm:
    return Alarm(Village())


@pytest.fixture
def home(tmp_path: Path) -> Path:
    folder = tmp_path / "home"
    (folder / "town" / "state").mkdir(parents=True)
    (folder / "town" / "node.toml").write_text("")
    return folder


@pytest.fixture
def run(home: Path, capsys: pytest.CaptureFixture[str]) -> Run:
    def command(*arguments: str | Path) -> tuple[int, str, str]:
        code = call(["audit", "disclose", *map(str, arguments), "--home", str(home), "--network", "town"])
        return (code, *capsys.readouterr())

    return command


def journal(home: Path) -> Path:
    return home / "town" / "state" / "journal.sqlite"


async def write(journal: Journal, alarm: Alarm) -> None:
    """Store what dave's journal holds: the telling, then what was said of it; and a word of alice's."""
    told = SignalTold(
        alarm.decision.plan_hash, "unbacked", str(SEALED["reporter"]), str(SEALED["note"]), SEED, NOW
    )
    other = ReadinessChanged("disk", "held", "", "", bytes(32), NOW)
    envelopes = [
        StoredEnvelope(raw, sha256(raw), NOW, LogEntry.RELEASED) for raw in (alarm.signal, alarm.said[0])
    ]
    await journal.append([event_to_bytes(other), event_to_bytes(told)], envelopes)


@pytest.mark.asyncio
async def test_named_fields_are_opened_while_the_node_runs_and_no_others(
    alarm: Alarm, home: Path, run: Run, tmp_path: Path
) -> None:
    out = tmp_path / "note.json"
    record = sha256(alarm.signal).hex()
    async with Journal.open(journal(home), clock=lambda: NOW, limits=LIMITS) as open_journal:
        await write(open_journal, alarm)
        code, said, err = run(record[:10], "--field", "note", "--out", out, "--json")

    assert (code, err) == (0, "")
    document = json.loads(said)
    assert (document["schema"], document["record"]) == ("tocsin/audit-disclose/1", record)
    assert document["opened"] == {"note": SEALED["note"]}
    assert [each.field for each in decode_disclosure(out.read_bytes()).fields] == ["note"]
    assert open_disclosure(out.read_bytes()).values == {"note": SEALED["note"]}
    everything = said + out.read_text()
    assert str(SEALED["reporter"]) not in everything
    assert SEED.hex() not in everything


@pytest.mark.asyncio
@pytest.mark.parametrize(
    ("record", "field", "code", "words"),
    [
        ("signal", "names", 2, "expected fields note or reporter of a signal, got names"),
        ("attestation", "note", 1, "expected one of readiness, signal"),
        ("unknown", "note", 1, "got none"),
    ],
)
async def test_what_is_no_sealed_field_of_a_record_here_is_refused(
    alarm: Alarm, home: Path, run: Run, tmp_path: Path, record: str, field: str, code: int, words: str
) -> None:
    async with Journal.open(journal(home), clock=lambda: NOW, limits=LIMITS) as open_journal:
        await write(open_journal, alarm)
    raw = {"signal": alarm.signal, "attestation": alarm.said[0], "unknown": b"nothing"}[record]
    got, out, err = run(sha256(raw).hex(), "--field", field, "--out", tmp_path / "x.json")

    assert (got, words in err, (tmp_path / "x.json").exists()) == (code, True, False), out + err


@pytest.mark.asyncio
async def test_what_another_member_sealed_cannot_be_opened_here(
    alarm: Alarm, home: Path, run: Run, tmp_path: Path
) -> None:
    async with Journal.open(journal(home), clock=lambda: NOW, limits=LIMITS) as open_journal:
        envelope = StoredEnvelope(alarm.signal, sha256(alarm.signal), NOW, LogEntry.RELEASED)
        await open_journal.append(
            [event_to_bytes(ReadinessChanged("d", "held", "", "", SEED, NOW))], [envelope]
        )
    code, _, err = run(sha256(alarm.signal).hex(), "--field", "note", "--out", tmp_path / "x.json")

    assert (code, "only its author has it" in err) == (1, True)
    assert open_envelope(alarm.signal).kind == "signal"


def test_without_a_journal_nothing_is_made_up(run: Run, tmp_path: Path) -> None:
    code, _, err = run("00" * 32, "--field", "note", "--out", tmp_path / "x.json")

    assert (code, "expected a node's journal" in err) == (3, True)
