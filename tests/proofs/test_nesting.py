"""JSON of strangers is bounded before a parser sees it."""

import json

import pytest

from proofs.nesting import bounded_json

HIDDEN = "[[[[]]]]"


@pytest.mark.parametrize(
    "value",
    [{}, [[1, "]]]"], {"a": '\\"['}], "no brackets", 17, None, {"[[[[": ["\u2222"]}],
    ids=repr,
)
def test_what_stays_within_the_bounds_comes_back_as_it_was(value):
    data = json.dumps(value, ensure_ascii=False).encode()

    assert json.loads(bounded_json(data, max_depth=2, max_tokens=10)) == value


@pytest.mark.parametrize(
    "data",
    [
        b"[[[]]]",
        b'{"a": {"b": {}}}',
        b"[" * 1_000_000,
        b"[1, 2, " + b"[]," * 5 + b"3]",
        b'["a", "b", "c", "d", "e", "f", "g", "h", "i"]',
        b'"without end',
        b'["without end\\"]',
        b"\xff",
    ],
    ids=lambda data: repr(data[:20]),
)
def test_what_goes_beyond_is_refused_before_it_is_parsed(data):
    with pytest.raises(ValueError, match=r"more than a nesting|without end|can't decode"):
        bounded_json(data, max_depth=2, max_tokens=10)


def test_another_encoding_hides_no_brackets():
    """U+2200 in UTF-16 has a quotation mark of ASCII in it, and a parser given bytes guesses UTF-16."""
    data = json.dumps(["\u2200", json.loads(HIDDEN), "\u2200"], ensure_ascii=False).encode("utf-16-le")
    assert json.loads(data)[1] == json.loads(HIDDEN)

    text = bounded_json(data, max_depth=3, max_tokens=64)

    with pytest.raises(ValueError, match="Expecting value"):
        json.loads(text)
