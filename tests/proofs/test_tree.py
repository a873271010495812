"""The Merkle tree against the reference values of Certificate Transparency, and for every size to 300."""

from functools import cache
from random import Random

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from proofs.hashes import sha256
from proofs.kinds import Digest
from proofs.tiles import (
    ENTRIES,
    TILE_WIDTH,
    Tile,
    TileError,
    decode_entries,
    encode_entries,
    hash_tile,
    parse_tile_path,
    tile_node_reader,
    tile_path,
    tiles_of,
)
from proofs.tree import (
    EMPTY_ROOT,
    CompactRange,
    NodeReader,
    TreeError,
    consistency_proof,
    inclusion_proof,
    leaf_digest,
    node_digest,
    range_from_bytes,
    range_to_bytes,
    root_at,
    tree_root,
    verify_consistency,
    verify_inclusion,
)

# certificate-transparency/cpp/merkletree/merkle_tree_test.cc
REFERENCE_LEAVES = [
    "", "00", "10", "2021", "3031", "40414243", "5051525354555657", "606162636465666768696a6b6c6d6e6f",
]  # fmt: skip
REFERENCE_ROOTS = [
    "6e340b9cffb37a989ca544e6bb780a2c78901d3fb33738768511a30617afa01d",
    "fac54203e7cc696cf0dfcb42c92a1d9dbaf70ad9e621f4bd8d98662f00e3c125",
    "aeb6bcfe274b70a14fb067a5e5578264db0fa9b51af5e0ba159158f329e06e77",
    "d37ee418976dd95753c1c73862b9398fa2a2cf9b4ff0fdfe8b30cd95209614b7",
    "4e3bbb1f7b478dcfe71fb631631519a3bca12c9aefca1612bfce4c13a86264d4",
    "76e67dadbcdf1e10e1b74ddc608abd2f98dfb16fbce75277b5232a127f2087ef",
    "ddb89be403809e325750d3d263cd78929c2942b7942a34b77e122c9594a74c8c",
    "5dc9da79a70659a9ad559cb701ded9a2ab9d823aad2f4960cfe370eff4604328",
]
REFERENCE_PATHS = {
    (0, 1): [],
    (0, 8): [
        "96a296d224f285c67bee93c30f8a309157f0daa35dc5b87e410b78630a09cfc7",
        "5f083f0a1a33ca076a95279832580db3e0ef4584bdff1f54c8a360f50de3031e",
        "6b47aaf29ee3c2af9af889bc1fb9254dabd31177f16232dd6aab035ca39bf6e4",
    ],
    (5, 8): [
        "bc1a0643b12e4d2d7c77918f44e0f4f79a838b6cf9ec5b5c283e1f4d88599e6b",
        "ca854ea128ed050b41b35ffc1b87b8eb2bde461e9e3b5596ece6b9d5975a0ae0",
        "d37ee418976dd95753c1c73862b9398fa2a2cf9b4ff0fdfe8b30cd95209614b7",
    ],
    (2, 3): ["fac54203e7cc696cf0dfcb42c92a1d9dbaf70ad9e621f4bd8d98662f00e3c125"],
    (1, 5): [
        "6e340b9cffb37a989ca544e6bb780a2c78901d3fb33738768511a30617afa01d",
        "5f083f0a1a33ca076a95279832580db3e0ef4584bdff1f54c8a360f50de3031e",
        "bc1a0643b12e4d2d7c77918f44e0f4f79a838b6cf9ec5b5c283e1f4d88599e6b",
    ],
}
REFERENCE_CONSISTENCY = {
    (1, 1): [],
    (1, 8): [
        "96a296d224f285c67bee93c30f8a309157f0daa35dc5b87e410b78630a09cfc7",
        "5f083f0a1a33ca076a95279832580db3e0ef4584bdff1f54c8a360f50de3031e",
        "6b47aaf29ee3c2af9af889bc1fb9254dabd31177f16232dd6aab035ca39bf6e4",
    ],
    (6, 8): [
        "0ebc5d3437fbe2db158b9f126a1d118e308181031d0a949f8dededebc558ef6a",
        "ca854ea128ed050b41b35ffc1b87b8eb2bde461e9e3b5596ece6b9d5975a0ae0",
        "d37ee418976dd95753c1c73862b9398fa2a2cf9b4ff0fdfe8b30cd95209614b7",
    ],
    (2, 5): [
        "5f083f0a1a33ca076a95279832580db3e0ef4584bdff1f54c8a360f50de3031e",
        "bc1a0643b12e4d2d7c77918f44e0f4f79a838b6cf9ec5b5c283e1f4d88599e6b",
    ],
}
MOST = 300
LEAVES = [leaf_digest(bytes([number & 0xFF, number >> 8])) for number in range(MOST)]


def nodes_of(leaves: list[Digest]) -> NodeReader:
    nodes: dict[tuple[int, int], Digest] = {}
    compact = CompactRange()
    for leaf in leaves:
        compact, completed = compact.append_nodes(leaf)
        nodes.update({(level, index): node for level, index, node in completed})
    return lambda level, index: nodes[level, index]


def slow_root(leaves: list[Digest]) -> Digest:
    """The definition of RFC 6962 section 2.1, word by word."""
    if not leaves:
        return sha256(b"")
    if len(leaves) == 1:
        return leaves[0]
    split = 1
    while split * 2 < len(leaves):
        split *= 2
    return node_digest(slow_root(leaves[:split]), slow_root(leaves[split:]))


NODES = nodes_of(LEAVES)
ROOTS = [slow_root(LEAVES[:size]) for size in range(MOST + 1)]
REFERENCE = [leaf_digest(bytes.fromhex(leaf)) for leaf in REFERENCE_LEAVES]


@pytest.mark.parametrize("size", range(1, 9))
def test_reference_roots(size: int) -> None:
    assert tree_root(REFERENCE[:size]).hex() == REFERENCE_ROOTS[size - 1]


@pytest.mark.parametrize(("index", "size"), REFERENCE_PATHS)
def test_reference_inclusion_proofs(index: int, size: int) -> None:
    path = inclusion_proof(index, size, nodes_of(REFERENCE))

    assert [node.hex() for node in path] == REFERENCE_PATHS[index, size]


@pytest.mark.parametrize(("old", "new"), REFERENCE_CONSISTENCY)
def test_reference_consistency_proofs(old: int, new: int) -> None:
    path = consistency_proof(old, new, nodes_of(REFERENCE))

    assert [node.hex() for node in path] == REFERENCE_CONSISTENCY[old, new]


def test_every_size_has_the_root_of_the_definition_and_survives_storage() -> None:
    compact = CompactRange()

    for size in range(MOST + 1):
        assert compact.root() == ROOTS[size] == root_at(size, NODES)
        assert range_from_bytes(range_to_bytes(compact)) == compact
        if size < MOST:
            compact = compact.append(LEAVES[size])
    assert ROOTS[0] == EMPTY_ROOT


@cache
def defined_root(start: int, end: int) -> Digest:
    """RFC 6962 section 2.1 over the leaves from `start` to `end`."""
    if end - start == 1:
        return LEAVES[start]
    middle = start + split(end - start)
    return node_digest(defined_root(start, middle), defined_root(middle, end))


@cache
def split(size: int) -> int:
    power = 1
    while power * 2 < size:
        power *= 2
    return power


@cache
def defined_path(index: int, start: int, end: int) -> tuple[Digest, ...]:
    """RFC 6962 section 2.1.1, word by word."""
    if end - start == 1:
        return ()
    middle = start + split(end - start)
    if index < middle:
        return (*defined_path(index, start, middle), defined_root(middle, end))
    return (*defined_path(index, middle, end), defined_root(start, middle))


@cache
def defined_proof(old: int, start: int, end: int, *, is_known: bool) -> tuple[Digest, ...]:
    """RFC 6962 section 2.1.2, word by word: SUBPROOF(old - start, D[start:end], is_known)."""
    if old == end:
        return () if is_known else (defined_root(start, end),)
    middle = start + split(end - start)
    if old <= middle:
        return (*defined_proof(old, start, middle, is_known=is_known), defined_root(middle, end))
    return (*defined_proof(old, middle, end, is_known=False), defined_root(start, middle))


WHOLE = 100


def check_leaf(index: int, size: int) -> None:
    path = inclusion_proof(index, size, NODES)
    assert path == defined_path(index, 0, size)
    verify_inclusion(LEAVES[index], index, size, path, ROOTS[size])


def check_pair(old: int, new: int) -> None:
    path = consistency_proof(old, new, NODES)
    assert path == defined_proof(old, 0, new, is_known=True)
    verify_consistency((old, ROOTS[old]), (new, ROOTS[new]), path)


def test_leaves_of_every_size_have_the_path_of_the_definition() -> None:
    for size in range(1, MOST + 1):
        some = {0, 1, size // 2, size - 2, size - 1} & set(range(size))
        for index in range(size) if size <= WHOLE else some:
            check_leaf(index, size)


def test_pairs_of_every_size_have_the_proof_of_the_definition() -> None:
    for new in range(2, MOST + 1):
        some = {1, 2, new // 3, new // 2, 128, 256, new - 1} & set(range(1, new))
        for old in range(1, new) if new <= WHOLE else some:
            check_pair(old, new)


@pytest.mark.slow
def test_all_leaves_and_all_pairs_of_every_size_have_the_proofs_of_the_definition() -> None:
    for size in range(WHOLE + 1, MOST + 1):
        for place in range(size):
            check_leaf(place, size)
            if place:
                check_pair(place, size)


def test_a_log_follows_from_nothing_and_from_itself_without_a_proof() -> None:
    for size in range(MOST + 1):
        for old in (0, size):
            assert consistency_proof(old, size, NODES) == ()
            verify_consistency((old, ROOTS[old]), (size, ROOTS[size]), ())


@settings(deadline=None)
@given(st.integers(1, MOST), st.randoms())
def test_an_inclusion_proof_proves_nothing_else(size: int, chance: Random) -> None:
    index = chance.randrange(size)
    path = inclusion_proof(index, size, NODES)
    others = [
        (LEAVES[index], index, size, (*path, LEAVES[0]), ROOTS[size]),
        (leaf_digest(b"never logged"), index, size, path, ROOTS[size]),
        (LEAVES[index], index, size, path, ROOTS[size - 1]),
        (LEAVES[index], size, size, path, ROOTS[size]),
        (LEAVES[index], -1, size, path, ROOTS[size]),
        *[
            (LEAVES[index], other, size, path, ROOTS[size])
            for other in {index + 1, index - 1} & set(range(size))
        ],
    ]
    if path:
        place = chance.randrange(len(path))
        bad = bytes([path[place][0] ^ 1]) + path[place][1:]
        others += [
            (LEAVES[index], index, size, path[:-1], ROOTS[size]),
            (LEAVES[index], index, size, (*path[:place], bad, *path[place + 1 :]), ROOTS[size]),
            (LEAVES[index], index, size, (*path[:place], path[place][:31], *path[place + 1 :]), ROOTS[size]),
        ]

    for other in others:
        with pytest.raises(TreeError) as caught:
            verify_inclusion(*other)
        assert caught.value.check == "tree-inclusion"


@settings(deadline=None)
@given(st.integers(1, MOST), st.randoms())
def test_a_consistency_proof_proves_nothing_else(new: int, chance: Random) -> None:
    old = chance.randrange(new + 1)
    path = consistency_proof(old, new, NODES)
    bad_root = leaf_digest(b"another history")
    others = [
        ((old, bad_root), (new, ROOTS[new]), path),
        ((old, ROOTS[old]), (new, ROOTS[new]), (*path, LEAVES[0])),
        ((new + 1, ROOTS[new]), (new, ROOTS[new]), path),
    ]
    if path:
        place = chance.randrange(len(path))
        bad = bytes([path[place][0] ^ 1]) + path[place][1:]
        others += [
            ((old, ROOTS[old]), (new, bad_root), path),
            ((old, ROOTS[old]), (new, ROOTS[new]), path[:-1]),
            ((old, ROOTS[old]), (new, ROOTS[new]), (*path[:place], bad, *path[place + 1 :])),
        ]

    for other in others:
        with pytest.raises(TreeError) as caught:
            verify_consistency(*other)
        assert caught.value.check == "tree-consistency"


@pytest.mark.parametrize("stored", [b"", bytes(7), bytes(8) + bytes(32), b"\0" * 7 + b"\3" + bytes(32)])
def test_a_stored_range_of_another_length_is_refused(stored: bytes) -> None:
    with pytest.raises(TreeError, match="tree-range"):
        range_from_bytes(stored)


def test_no_proof_is_made_outside_the_tree() -> None:
    with pytest.raises(TreeError, match="tree-range"):
        inclusion_proof(3, 3, NODES)
    with pytest.raises(TreeError, match="tree-range"):
        consistency_proof(4, 3, NODES)


@pytest.mark.parametrize(
    ("tile", "path"),
    [
        (Tile(0, 0), "tile/0/000"),
        (Tile(0, 1_234_067), "tile/0/x001/x234/067"),
        (Tile(63, 999, 1), "tile/63/999.p/1"),
        (Tile(1, 1_000, 255), "tile/1/x001/000.p/255"),
        (Tile(ENTRIES, 5, 17), "tile/entries/005.p/17"),
    ],
)
def test_tile_paths_are_those_of_the_specification(tile: Tile, path: str) -> None:
    assert tile_path(tile) == path
    assert parse_tile_path(path) == tile


@pytest.mark.parametrize(
    "path",
    [
        "", "tile", "tile/0", "tile/0/0", "tile/0/00", "tile/0/0000", "tile/00/000", "tile/64/000",
        "tile/-1/000", "tile/0/x000/000", "tile/0/001/000", "tile/0/x001", "tile/0/000.p/0",
        "tile/0/000.p/256", "tile/0/000.p/01", "tile/0/000.p/", "tile/0/000/", "/tile/0/000",
        "tile/0/000\n", "tile/entries/x1/000", "tile/0/../000", "tile/0/" + "x999/" * 40 + "999",
        "tile/0/٠٠٠",
    ],
)  # fmt: skip
def test_no_other_path_names_a_tile(path: str) -> None:
    with pytest.raises(TileError) as caught:
        parse_tile_path(path)
    assert caught.value.check == "tile-path"


def test_the_tiles_of_a_size_are_those_of_the_specification() -> None:
    assert tiles_of(70_000) == (Tile(0, 273, 112), Tile(1, 1, 17), Tile(2, 0, 1))
    assert tiles_of(256) == (Tile(0, 0), Tile(1, 0, 1))
    assert tiles_of(0) == ()


@pytest.mark.parametrize("size", [1, 2, 255, 256, 257, 299, 300])
def test_proofs_can_be_made_from_tiles_alone(size: int) -> None:
    served = {
        tile_path(tile): hash_tile(tile, NODES)
        for tile in (*tiles_of(size), Tile(0, 0, min(size, TILE_WIDTH)))
    }
    read = tile_node_reader(size, lambda tile: served[tile_path(tile)])

    assert root_at(size, read) == ROOTS[size]
    for index in {0, size // 2, size - 1}:
        verify_inclusion(LEAVES[index], index, size, inclusion_proof(index, size, read), ROOTS[size])


def test_a_tile_of_another_length_is_refused() -> None:
    with pytest.raises(TileError) as caught:
        root_at(3, tile_node_reader(3, lambda _tile: bytes(64)))
    assert caught.value.check == "tile-content"


@given(st.lists(st.binary(max_size=50), max_size=256))
def test_entry_bundles_come_back_and_no_part_of_them_does(entries: list[bytes]) -> None:
    content = encode_entries(entries)

    assert decode_entries(content, len(entries)) == tuple(entries)
    for other, width in [
        (content + b"\0", len(entries)),
        (content, len(entries) + 1),
        (content[:-1], len(entries)),
    ]:
        if other != content or width != len(entries):
            with pytest.raises(TileError, match="tile-content"):
                decode_entries(other, width)


def test_an_entry_has_at_most_65535_bytes() -> None:
    assert len(encode_entries([bytes(65_535)])) == 65_537
    with pytest.raises(TileError):
        encode_entries([bytes(65_536)])
