"""Proofs in receipt tries: an independent library's are accepted, everything else is refused by name."""

import pytest
import rlp
from hypothesis import given, settings
from hypothesis import strategies as st
from trie import HexaryTrie

from proofs.errors import ProofError
from proofs.hashes import keccak256
from proofs.trie import MAX_TRIE_NODES, nibbles, verify_trie_proof

LIMIT = 4_096


def value_of(index):
    return b"receipt of %06d, longer than a hash" % index


def a_trie(count):
    trie = HexaryTrie({})
    for index in range(count):
        trie[rlp.encode(index)] = value_of(index)
    return trie


def proof_of(trie, index):
    return [rlp.encode(node) for node in trie.get_proof(rlp.encode(index))]


LARGE = a_trie(300)


def refusal(root, key, nodes):
    with pytest.raises(ProofError) as caught:
        verify_trie_proof(root, key, nodes, limit_bytes=LIMIT)
    return caught.value.check


@settings(deadline=None, max_examples=40)
@given(st.data(), st.integers(min_value=1, max_value=400))
def test_a_library_s_proof_of_any_index_gives_its_receipt(data, count):
    trie, index = a_trie(count), data.draw(st.integers(min_value=0, max_value=count - 1))

    found = verify_trie_proof(trie.root_hash, rlp.encode(index), proof_of(trie, index), limit_bytes=LIMIT)

    assert found == value_of(index)


@pytest.mark.parametrize("count", [1, 2, 16, 17, 127, 128, 129, 257])
def test_the_edges_of_the_index_s_form_are_proved(count):
    trie = a_trie(count)

    for index in {0, 1, 15, 16, 126, 127, 128, 255, 256} & set(range(count)):
        nodes = proof_of(trie, index)
        assert verify_trie_proof(trie.root_hash, rlp.encode(index), nodes, limit_bytes=LIMIT) == value_of(
            index
        )
        for other in {0, 1, 127, 128, 256, count} - {index}:
            assert refusal(trie.root_hash, rlp.encode(other), nodes) in (
                "trie-path",
                "trie-hash",
                "trie-missing",
            )


@settings(deadline=None)
@given(st.data())
def test_no_changed_dropped_doubled_or_swapped_node_passes(data):
    trie = LARGE
    index = data.draw(st.sampled_from([0, 1, 127, 128, 255, 256, 299]))
    nodes, key = proof_of(trie, index), rlp.encode(index)
    place = data.draw(st.integers(min_value=0, max_value=len(nodes) - 1))
    at = data.draw(st.integers(min_value=0, max_value=len(nodes[place]) - 1))
    flipped = bytearray(nodes[place])
    flipped[at] ^= 1 << data.draw(st.integers(min_value=0, max_value=7))

    def changed(*middle):
        return [*nodes[:place], *middle, *nodes[place + 1 :]]

    assert refusal(trie.root_hash, key, changed(bytes(flipped))) == "trie-hash"
    assert refusal(trie.root_hash, key, changed(nodes[place][:at])) == "trie-hash"
    assert refusal(trie.root_hash, key, changed(nodes[place] + b"\0")) == "trie-hash"
    is_last = place == len(nodes) - 1
    assert refusal(trie.root_hash, key, changed()) == ("trie-missing" if is_last else "trie-hash")
    doubled = refusal(trie.root_hash, key, changed(nodes[place], nodes[place]))
    assert doubled == ("trie-extra" if is_last else "trie-hash")


def test_the_number_of_nodes_is_bounded():
    trie = a_trie(3)

    assert refusal(trie.root_hash, b"\1", []) == "trie-nodes"
    assert refusal(trie.root_hash, b"\1", [b"\xc0"] * (MAX_TRIE_NODES + 1)) == "trie-nodes"
    assert refusal(trie.root_hash, b"\1", [b"\0" * (LIMIT + 1)]) == "trie-size"


LEAF_VALUE = b"v" * 40
KEY = b"\x01"  # nibbles 0, 1
HASH = keccak256(b"somewhere else")


@pytest.mark.parametrize(
    ("node", "check"),
    [
        (b"", "trie-node"),
        ([], "trie-node"),
        ([b"\x20"], "trie-node"),
        ([b"\x20\x01", LEAF_VALUE, b""], "trie-node"),
        ([b"", LEAF_VALUE], "trie-node"),
        ([[b"\x20"], LEAF_VALUE], "trie-node"),
        ([b"\x40\x01", LEAF_VALUE], "trie-node"),
        ([b"\x60\x01", LEAF_VALUE], "trie-node"),
        ([b"\x40\x01", HASH], "trie-node"),
        ([b"\x21\x01", LEAF_VALUE], "trie-node"),
        ([b"\x20\x01", b"short"], "trie-node"),
        ([b"\x20\x01", [LEAF_VALUE]], "trie-node"),
        ([b"\x20\x02", LEAF_VALUE], "trie-path"),
        ([b"\x20", LEAF_VALUE], "trie-path"),
        ([b"\x20\x01\x01", LEAF_VALUE], "trie-path"),
        ([b"\x00", HASH], "trie-path"),
        ([b"\x00\x02", HASH], "trie-path"),
        ([b"\x00\x01\x01", HASH], "trie-path"),
        ([b"\x10", b"short"], "trie-node"),
        ([b"\x10", [b"\x31", LEAF_VALUE]], "trie-node"),
        ([b"\x10", HASH], "trie-missing"),
        ([b"\x00\x01", HASH], "trie-missing"),
        ([HASH] + [b""] * 16, "trie-missing"),
        ([b""] + [HASH] * 15 + [b""], "trie-path"),
        ([HASH] + [b""] * 15 + [LEAF_VALUE], "trie-node"),
        ([[b"\x31", b"tiny"]] + [b""] * 16, "trie-node"),
    ],
)
def test_a_node_of_another_form_is_refused_by_name(node, check):
    raw = rlp.encode(node)

    assert refusal(keccak256(raw), KEY, [raw]) == check


def test_a_branch_after_the_end_of_the_key_is_refused():
    branch = rlp.encode([HASH] + [b""] * 16)
    top = rlp.encode([b"\x00\x01", keccak256(branch)])

    assert refusal(keccak256(top), KEY, [top, branch]) == "trie-path"


def test_what_is_no_rlp_is_refused():
    assert refusal(keccak256(b"\xc1"), KEY, [b"\xc1"]) == "rlp-truncated"


def test_nibbles_are_half_bytes_higher_one_first():
    assert nibbles(b"\x12\xf0") == b"\x01\x02\x0f\x00"
