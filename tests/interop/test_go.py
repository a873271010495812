"""Our logs before an implementation that others wrote, golang.org/x/mod/sumdb, and its logs before ours.

It runs where Go and that module are (Debian: golang-go, golang-golang-x-mod-dev). Continuous integration sets
TOCSIN_WANT_GO=1, under which a machine without them fails instead of skipping.
"""

import json
import os
import shutil
import subprocess
from dataclasses import dataclass
from pathlib import Path

import pytest

from proofs.checkpoint import Checkpoint, checkpoint_text, open_checkpoint
from proofs.errors import ProofError
from proofs.kinds import Digest
from proofs.logreading import LogReader, open_log
from proofs.note import Note, format_note, format_verifier_key, parse_verifier_key
from proofs.text import base64_text, from_base64
from proofs.tiles import TILE_WIDTH
from proofs.tree import leaf_digest, verify_consistency, verify_inclusion
from proofs.witness import add_cosignatures
from relay.journal.tilewriter import TileWriter
from tests.proofs.notary import Signer, witness

MODULE = Path("src/golang.org/x/mod/sumdb/tlog")
GOPATH = Path(os.environ.get("TOCSIN_GOPATH", "/usr/share/gocode"))
SOURCE = Path(__file__).parent / "tlogcheck"
WITNESSES = [witness("one"), witness("two")]


@pytest.fixture(autouse=True)
def _disk_that_need_not_survive(monkeypatch: pytest.MonkeyPatch) -> None:
    """Hundreds of tiles are written here, none of which must outlive a crash."""
    monkeypatch.setattr(os, "fsync", lambda _descriptor: None)


@pytest.fixture(scope="module")
def tlogcheck(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """The checker, built from the distribution's own copy of the module: nothing is fetched."""
    go = shutil.which("go")
    if go is None or not (GOPATH / MODULE).is_dir():
        lacking = (
            f"needs go and golang.org/x/mod below {GOPATH}: apt-get install golang-go golang-golang-x-mod-dev"
        )
        if os.environ.get("TOCSIN_WANT_GO") == "1":
            pytest.fail(lacking)
        pytest.skip(lacking)
    folder = tmp_path_factory.mktemp("go")
    environment = {
        "PATH": os.environ["PATH"],
        "HOME": str(folder),
        "GO111MODULE": "off",
        "GOPATH": str(GOPATH),
        "GOCACHE": str(folder / "cache"),
        "GOPROXY": "off",
        "GOTOOLCHAIN": "local",
    }
    subprocess.run(
        [go, "build", "-o", folder / "tlogcheck", "."], cwd=SOURCE, env=environment, check=True, timeout=300
    )
    return folder / "tlogcheck"


@dataclass
class Ours:
    """A log as a node writes it, signed, cosigned, with proofs; `folder` is what a web server would serve."""

    folder: Path
    name: str
    size: int

    def __post_init__(self) -> None:
        self.log = Signer(self.name)
        entries = [f"{self.name}: {number}".encode() * (1 + number % 3) for number in range(self.size)]
        writer = TileWriter(self.folder)
        for first in range(0, self.size, TILE_WIDTH):
            writer.extend(entries[first : first + TILE_WIDTH])
        writer.finish()
        self.checkpoint = Checkpoint(self.name, self.size, writer.range.root())
        text = checkpoint_text(self.checkpoint)
        note = format_note(Note(text, (self.log.line(text),)))
        cosigned = add_cosignatures(note, [each.line(text) for each in WITNESSES])
        (self.folder / "checkpoint").write_text(cosigned, encoding="utf-8")
        self.write_facts()

    def write_facts(self) -> None:
        reader = reader_of(self.folder, self.checkpoint)
        places = {0, 1, 254, 255, 256, self.size // 2, self.size - 2, self.size - 1} & set(range(self.size))
        facts = {
            "vkey": format_verifier_key(self.log.key),
            "cosigners": [format_verifier_key(each.key) for each in WITNESSES],
            "records": [
                {"index": index, "path": [*map(base64_text, reader.inclusion(index))]} for index in places
            ],
            "trees": [
                {
                    "size": old,
                    "root": base64_text(reader.root(old)),
                    "path": [*map(base64_text, reader.consistency(old))],
                }
                for old in sorted(place + 1 for place in places)
            ],
        }
        (self.folder / "facts.json").write_text(json.dumps(facts), encoding="utf-8")


def reader_of(folder: Path, checkpoint: Checkpoint) -> LogReader:
    return open_log(checkpoint, lambda path: (folder / path).read_bytes())


def run(tlogcheck: Path, *arguments: object) -> subprocess.CompletedProcess[str]:
    return subprocess.run(
        [tlogcheck, *map(str, arguments)], capture_output=True, text=True, check=False, timeout=120
    )


@pytest.mark.parametrize(
    ("name", "size"),
    [
        ("tower.example/alice", 0),
        ("tower.example/alice", 1),
        ("network/with/slashes/bob", 2),
        ("town/ålice", 255),
        ("tower.example/alice", 256),
        ("tower.example/alice", 257),
        ("tower.example/alice", 700),
        pytest.param("tower.example/alice", 65_800, marks=pytest.mark.slow),
    ],
)
def test_another_implementation_verifies_our_logs(
    tlogcheck: Path, tmp_path: Path, name: str, size: int
) -> None:
    log = Ours(tmp_path, name, size)

    result = run(tlogcheck, "check", tmp_path)

    assert (result.returncode, result.stderr) == (0, "")
    root = base64_text(log.checkpoint.root)
    proofs = len(json.loads((tmp_path / "facts.json").read_text(encoding="utf-8"))["records"])
    assert result.stdout == (
        f"size {size}, root {root}, entries {size}, records {proofs}, trees {proofs}, cosigned 2\n"
    )


@pytest.mark.parametrize(
    ("file", "problem"),
    [
        ("checkpoint", "checkpoint: "),
        ("tile/0/000", "tiles: "),
        ("tile/1/000.p/2", "tiles: downloaded inconsistent tile"),
        ("tile/entries/002.p/188", "tiles: entry "),
    ],
)
def test_another_implementation_finds_a_changed_byte_where_we_find_it(
    tlogcheck: Path, tmp_path: Path, file: str, problem: str
) -> None:
    log = Ours(tmp_path, "tower.example/alice", 700)
    raw = (tmp_path / file).read_bytes()
    place = raw.index(b"700") if file == "checkpoint" else len(raw) // 2
    (tmp_path / file).write_bytes(raw[:place] + bytes([raw[place] ^ 1]) + raw[place + 1 :])

    result = run(tlogcheck, "check", tmp_path)

    assert result.returncode == 1
    assert result.stderr.startswith(problem)
    with pytest.raises(ProofError):
        read_all(tmp_path, log)


def read_all(folder: Path, log: Ours) -> None:
    raw = (folder / "checkpoint").read_text(encoding="utf-8")
    signed = open_checkpoint(raw, [log.log.key], [each.key for each in WITNESSES])
    reader = reader_of(folder, signed.checkpoint)
    for number in range(-(-log.size // TILE_WIDTH)):
        reader.tile(0, number)
        reader.bundle(number)


@pytest.mark.parametrize(("kind", "word"), [("records", "record "), ("trees", "tree ")])
def test_another_implementation_refuses_the_proof_of_another_place(
    tlogcheck: Path, tmp_path: Path, kind: str, word: str
) -> None:
    Ours(tmp_path, "tower.example/alice", 700)
    facts = json.loads((tmp_path / "facts.json").read_text(encoding="utf-8"))
    one, other = facts[kind][1:3]
    one["path"], other["path"] = other["path"], one["path"]
    (tmp_path / "facts.json").write_text(json.dumps(facts), encoding="utf-8")

    result = run(tlogcheck, "check", tmp_path)

    assert result.returncode == 1
    assert result.stderr.startswith(word)


@pytest.mark.parametrize(
    ("name", "size", "old"),
    [
        ("sum.example/go", 1, 1),
        ("a/b/c", 2, 1),
        ("sum.example/go", 255, 128),
        ("sum.example/go", 256, 255),
        ("sum.example/go", 257, 256),
        ("sum.example/go", 700, 513),
        pytest.param("sum.example/go", 65_800, 65_537, marks=pytest.mark.slow),
    ],
)
def test_we_verify_the_logs_of_another_implementation(
    tlogcheck: Path, tmp_path: Path, name: str, size: int, old: int
) -> None:
    result = run(tlogcheck, "make", tmp_path, name, size, old)
    assert (result.returncode, result.stderr) == (0, "")
    facts = json.loads((tmp_path / "facts.json").read_text(encoding="utf-8"))
    key = parse_verifier_key(facts["vkey"])

    signed = open_checkpoint((tmp_path / "checkpoint").read_text(encoding="utf-8"), [key])
    reader = reader_of(tmp_path, signed.checkpoint)

    assert (signed.checkpoint.origin, signed.checkpoint.size) == (name, size)
    entries = [entry for _, entry in reader.walk(0, size)]
    assert entries == [f"entry {number} of {name}".encode() for number in range(size)]
    (record,), (tree,) = facts["records"], facts["trees"]
    index, path = record["index"], digests(record["path"])
    verify_inclusion(leaf_digest(entries[index]), index, size, path, signed.checkpoint.root)
    assert path == reader.inclusion(index)
    (old_root,) = digests([tree["root"]])
    verify_consistency((old, old_root), (size, signed.checkpoint.root), digests(tree["path"]))
    assert (old_root, digests(tree["path"])) == (reader.root(old), reader.consistency(old))


def digests(texts: list[str]) -> tuple[Digest, ...]:
    return tuple(Digest(from_base64(text) or b"") for text in texts)
