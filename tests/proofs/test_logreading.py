"""Reading a log from files that anybody may serve: what comes out is what was signed, or an error by name."""

from functools import cache
from itertools import pairwise

import pytest

from proofs.checkpoint import Checkpoint
from proofs.errors import ProofError
from proofs.hashes import sha256
from proofs.kinds import Digest
from proofs.logreading import CACHED_TILES, LogError, LogReader, missing_file, open_log
from proofs.tiles import (
    ENTRIES,
    TILE_WIDTH,
    Tile,
    TileError,
    encode_entries,
    hash_tile,
    parse_tile_path,
    tile_path,
    tiles_of,
)
from proofs.tree import EMPTY_ROOT, CompactRange, leaf_digest, root_at, verify_consistency, verify_inclusion

MOST = 70_000


@cache
def history(name: str, size: int) -> tuple[tuple[bytes, ...], dict[tuple[int, int], Digest]]:
    """Entries of a log and every complete node over them."""
    entries = tuple(f"{name}/{number}".encode() for number in range(size))
    nodes: dict[tuple[int, int], Digest] = {}
    compact = CompactRange()
    for entry in entries:
        compact, completed = compact.append_nodes(leaf_digest(entry))
        nodes.update({(level, index): node for level, index, node in completed})
    return entries, nodes


@cache
def files_of(name: str, size: int, of: int) -> dict[str, bytes]:
    """The files that a log of `size` entries serves."""
    entries, nodes = history(name, of)
    files: dict[str, bytes] = {}
    for newest in tiles_of(size):
        for tile in (*(Tile(newest.level, index) for index in range(newest.index)), newest):
            files[tile_path(tile)] = hash_tile(tile, lambda level, index: nodes[level, index])
            if tile.level == 0:
                first = tile.index * TILE_WIDTH
                bundle = Tile(ENTRIES, tile.index, tile.width)
                files[tile_path(bundle)] = encode_entries(entries[first : first + tile.width])
    return files


class Served:
    """A source of a log of `size` entries; `files` may be spoiled, `asked` is what was read."""

    def __init__(self, size: int, name: str = "log") -> None:
        of = MOST if size > 1_000 else 1_000
        entries, nodes = history(name, of)
        self.entries = entries[:size]
        self.files = dict(files_of(name, size, of))
        self.asked: list[str] = []
        root = root_at(size, lambda level, index: nodes[level, index])
        self.checkpoint = Checkpoint("log.example", size, root)

    def read(self, path: str) -> bytes:
        self.asked.append(path)
        if path not in self.files:
            raise missing_file(path)
        return self.files[path]

    def open(self) -> LogReader:
        return open_log(self.checkpoint, self.read)


SIZES = [0, 1, 2, 255, 256, 257, 511, 512, 700, 65_536]


@pytest.mark.parametrize("size", SIZES)
def test_all_entries_come_in_order_and_every_proof_verifies(size: int) -> None:
    served = Served(size)
    reader = served.open()

    assert [entry for _, entry in reader.walk(0, size)] == list(served.entries)
    places = {0, 1, 255, 256, size // 2, size - 2, size - 1}
    for index in places & set(range(size)):
        leaf = leaf_digest(served.entries[index])
        verify_inclusion(leaf, index, size, reader.inclusion(index), served.checkpoint.root)
    for old in places & set(range(size + 1)):
        verify_consistency((old, reader.root(old)), (size, served.checkpoint.root), reader.consistency(old))


def test_a_range_is_read_without_the_rest_of_the_log() -> None:
    served = Served(70_000)
    reader = served.open()
    edge = list(served.asked)

    found = list(reader.walk(69_880, 69_890))

    assert found == [(index, served.entries[index]) for index in range(69_880, 69_890)]
    assert edge == ["tile/0/273.p/112", "tile/1/001.p/17", "tile/2/000.p/1"]
    assert served.asked[len(edge) :] == ["tile/entries/272", "tile/entries/273.p/112"]


def test_a_walk_reads_each_bundle_once_and_of_the_hashes_level_1_only() -> None:
    served = Served(70_000)
    reader = served.open()
    served.asked.clear()

    assert sum(1 for _ in reader.walk(0, 70_000)) == 70_000
    assert sorted(served.asked) == sorted(["tile/1/000", *(p for p in served.files if "entries" in p)])


def test_a_bundle_gives_the_hash_tile_that_it_makes() -> None:
    served = Served(700)
    reader = served.open()

    assert [reader.bundle(number).leaves for number in range(3)] == [
        served.files[path] for path in ("tile/0/000", "tile/0/001", "tile/0/002.p/188")
    ]


def test_partial_files_that_are_gone_are_cut_out_of_full_ones() -> None:
    served, later = Served(300), Served(70_000)
    served.files = later.files
    reader = served.open()

    assert list(reader.walk(200, 300)) == [(n, later.entries[n]) for n in range(200, 300)]
    assert "tile/0/001.p/44" in served.asked
    assert "tile/0/001" in served.asked


@pytest.mark.parametrize("size", [1, 256, 257, 700])
def test_a_missing_file_is_named(size: int) -> None:
    served = Served(size)

    for path, content in list(served.files.items()):
        del served.files[path]
        with pytest.raises(LogError) as caught:
            everything(served.open())
        assert caught.value.check == "log-missing"
        assert path.partition(".p")[0] in str(caught.value)
        assert served.asked.count(path) == 1
        served.asked.clear()
        served.files[path] = content


def everything(reader: LogReader) -> list[bytes]:
    size = reader.checkpoint.size
    for level in range(3):
        for index in range(-(-(size >> 8 * level) // TILE_WIDTH)):
            reader.tile(level, index)
    return [entry for _, entry in reader.walk(0, size)]


def spoiled(content: bytes) -> list[bytes]:
    """The same file with a byte changed, cut, doubled, swapped within, or another's."""
    changed = [bytes([*content[:at], content[at] ^ 1, *content[at + 1 :]]) for at in spots(len(content))]
    half = len(content) // 2
    swapped = content[32:64] + content[:32] + content[64:]
    return [*changed, b"", content[:-1], content[:-32], content + content[-32:], content[:half], swapped]


def spots(length: int) -> range:
    return range(0, length, max(1, length // 12))


@pytest.mark.parametrize("size", [2, 256, 257, 700])
def test_no_spoiled_file_gives_an_entry(size: int) -> None:
    served = Served(size)

    for path, content in list(served.files.items()):
        for other in spoiled(content):
            if other == content:
                continue
            served.files[path] = other
            with pytest.raises(ProofError) as caught:
                everything(served.open())
            assert caught.value.check in ("tile-content", "log-root"), (path, other)
        served.files[path] = content
    assert everything(served.open()) == list(served.entries)


def test_right_files_in_each_others_places_are_found() -> None:
    served = Served(70_000)
    for kind in ("tile/0/", "tile/entries/"):
        full = sorted(p for p in served.files if p.startswith(kind) and ".p" not in p)
        for one, other in list(pairwise(full))[::40]:
            served.files[one], served.files[other] = served.files[other], served.files[one]
            reader = served.open()
            number = parse_tile_path(one).index
            with pytest.raises(ProofError, match="tile-content"):
                reader.bundle(number) if "entries" in kind else reader.tile(0, number)
            served.files[one], served.files[other] = served.files[other], served.files[one]


def test_entries_moved_from_one_to_the_next_within_a_bundle_are_found() -> None:
    served = Served(3)
    joined = b"".join(served.entries)
    served.files["tile/entries/000.p/3"] = encode_entries([joined[:4], joined[4:9], joined[9:]])

    with pytest.raises(ProofError, match="tile-content"):
        served.open().bundle(0)


@pytest.mark.parametrize("size", [1, 300, 700])
def test_the_tiles_of_another_log_have_another_root(size: int) -> None:
    served, other = Served(size), Served(size, "other")

    with pytest.raises(LogError) as caught:
        open_log(served.checkpoint, other.read)
    assert caught.value.check == "log-root"


def test_a_log_that_grew_keeps_what_was_checked() -> None:
    served, later = Served(66_000), Served(70_000)
    source = Served(0)
    source.files = {**served.files, **later.files}
    reader = open_log(served.checkpoint, source.read)
    for number in range(20):
        reader.tile(0, number)

    advanced = reader.advanced(later.checkpoint)
    source.asked.clear()
    for number in range(20):
        advanced.tile(0, number)

    assert source.asked == []
    assert [entry for _, entry in advanced.walk(66_000, 70_000)] == list(later.entries[66_000:])


@pytest.mark.parametrize(("old", "new"), [(300, 700), (256, 257), (1, 2), (700, 700), (0, 300)])
def test_another_history_does_not_follow(old: int, new: int) -> None:
    first, honest, other = Served(old), Served(new), Served(new, "other")

    open_log(honest.checkpoint, honest.read).check_start(first.checkpoint)
    if old:
        for later in (other, Served(old - 1)):
            with pytest.raises(ProofError, match="tree-consistency"):
                open_log(later.checkpoint, later.read).check_start(first.checkpoint)


def test_a_source_that_turns_to_another_history_is_found_at_the_next_checkpoint() -> None:
    first, other = Served(300), Served(700, "other")
    source = Served(300)
    reader = source.open()

    source.files = {**first.files, **other.files}

    with pytest.raises(ProofError, match="tree-consistency"):
        reader.advanced(other.checkpoint)


def test_a_history_that_did_not_follow_leaves_nothing_among_what_was_checked() -> None:
    first, true, other = Served(300), Served(700), Served(700, "other")
    source = Served(300)
    reader = source.open()
    source.files = {**first.files, **other.files}
    with pytest.raises(ProofError, match="tree-consistency"):
        reader.advanced(other.checkpoint)
    source.files = true.files

    advanced = reader.advanced(true.checkpoint)

    for number in range(2):
        assert advanced.tile(0, number) == true.files[tile_path(Tile(0, number))]


def test_the_hash_over_a_tile_is_not_taken_for_the_tile() -> None:
    reader = Served(512).open()
    folded = reader.tile(1, 0)[:32]

    for content in (folded, folded * 256, b""):
        with pytest.raises(TileError) as caught:
            reader.accept_tile(Tile(0, 0), content)
        assert caught.value.check == "tile-content"


def test_the_empty_log_is_read_without_a_file() -> None:
    reader = open_log(Checkpoint("log.example", 0, EMPTY_ROOT), Served(0).read)

    assert list(reader.walk(0, 0)) == []
    with pytest.raises(LogError, match="log-root"):
        open_log(Checkpoint("log.example", 0, Digest(sha256(b"x"))), Served(0).read)


def test_nothing_outside_the_log_is_asked_for() -> None:
    served = Served(300)
    reader = served.open()
    served.asked.clear()

    for ask in [
        lambda: reader.bundle(2),
        lambda: reader.bundle(-1),
        lambda: reader.tile(0, 2),
        lambda: reader.tile(2, 0),
        lambda: reader.root(301),
        lambda: reader.inclusion(300),
        lambda: reader.consistency(301),
        lambda: list(reader.walk(0, 513)),
    ]:
        with pytest.raises(ProofError, match="tree-range"):
            ask()
    assert not [path for path in served.asked if path not in served.files]


def test_what_a_source_says_otherwise_goes_through() -> None:
    served = Served(300)

    def silent(path: str) -> bytes:
        raise TimeoutError(path)

    with pytest.raises(TimeoutError):
        open_log(served.checkpoint, silent)


def test_as_many_tiles_as_are_kept_are_read_once() -> None:
    served = Served(70_000)
    reader = served.open()

    for _ in range(2):
        served.asked.clear()
        for number in range(CACHED_TILES - 1):
            reader.tile(0, number)

    assert served.asked == []  # with the one above them


def test_opening_a_log_reads_no_full_tile() -> None:
    served = Served(65_536)

    served.open()

    assert served.asked == ["tile/2/000.p/1"]


def test_the_tiles_that_are_kept_are_bounded() -> None:
    served = Served(70_000)
    reader = served.open()
    for number in range(CACHED_TILES + 10):
        reader.tile(0, number)
    served.asked.clear()

    reader.tile(0, CACHED_TILES + 9)
    reader.tile(0, 0)

    assert served.asked == ["tile/0/000"]
