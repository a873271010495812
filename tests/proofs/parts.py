"""The parts of a bundle's JSON: every place in it, its form, and copies with another part there.

A place is a path of keys and numbers. The text of a tlog-proof is taken apart too: `#` and a line's number,
or `#path` and `#checkpoint` for what stands before and after its empty line.
"""

import json
from collections.abc import Iterator, Sequence

Json = dict | list | str | int | None
Place = tuple[str | int, ...]

__all__ = ["Json", "Place", "at", "form_of", "places", "replaced", "spelled"]

_HEX_KEY = 64
_ALIKE = {
    "committees": "documents",
    "keys": "documents",
    "attestations": "numbers",
    "outcomes": "numbers",
    "headers": "numbers",
    "statements": "numbers",
    "reports": "numbers",
    "outcome": "number",
    "record": "number",
}
"""Names of parts that have one form: a thing of one fits in the place of the other."""


def spelled(value: Json) -> bytes:
    """Spell a bundle as `encode_bundle` does."""
    return json.dumps(value, ensure_ascii=True, indent=1, sort_keys=True).encode() + b"\n"


def places(value: Json, place: Place = ()) -> Iterator[Place]:
    """Give every place below the top, containers before what they hold."""
    if place:
        yield place
    if isinstance(value, dict):
        for key in sorted(value):
            yield from places(value[key], (*place, key))
    elif isinstance(value, list):
        for index, item in enumerate(value):
            yield from places(item, (*place, index))
    elif place[-1] == "tlog_proof" and isinstance(value, str):
        yield from ((*place, part) for part in ("#path", "#checkpoint"))
        yield from ((*place, f"#{number}") for number in range(len(value.split("\n"))))


def form_of(place: Place) -> str:
    """Give what the parts of one form have in common: the path without numbers and names of keys."""
    words: list[str] = []
    for key in place:
        if isinstance(key, int):
            words.append("[]")
        elif len(key) == _HEX_KEY:
            words.append("{}")
        else:
            words.append(_ALIKE.get(key, key))
    form = ".".join(words).replace(".[]", "[]")
    # Two decisions have their numbers in common; a number of a list is a number.
    return "number" if form.endswith(("numbers[]", ".number")) and "anchor" not in form else form


def at(value: Json, place: Place) -> Json:
    """Give what stands at a place."""
    for key in place:
        value = _line(value, key) if isinstance(value, str) else value[key]  # type: ignore[index]
    return value


def replaced(value: Json, place: Place, *parts: Json) -> Json:
    """Give a copy with these parts instead of what stands at a place: none drops it, two double it."""
    key, *rest = place
    if isinstance(value, str):
        return _with_lines(value, str(key), [str(part) for part in parts])
    inner = [replaced(value[key], tuple(rest), *parts)] if rest else list(parts)  # type: ignore[index]
    if isinstance(value, list):
        return [*value[:key], *inner, *value[key + 1 :]]  # type: ignore[operator]
    assert isinstance(value, dict)
    left = {name: item for name, item in value.items() if name != key}
    return {**left, **{str(key): part for part in inner}}


def _line(text: str, key: str | int) -> str:
    if key in ("#path", "#checkpoint"):
        return text.split("\n\n", 1)[key == "#checkpoint"]
    return text.split("\n")[int(str(key)[1:])]


def _with_lines(text: str, key: str, parts: Sequence[str]) -> str:
    if key in ("#path", "#checkpoint"):
        path, checkpoint = text.split("\n\n", 1)
        joined = "".join(parts)
        return f"{joined}\n\n{checkpoint}" if key == "#path" else f"{path}\n\n{joined}"
    lines, number = text.split("\n"), int(key[1:])
    return "\n".join([*lines[:number], *parts, *lines[number + 1 :]])
