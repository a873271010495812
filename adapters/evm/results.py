"""What a function returns: its nested types, a plan's path into them, and where that stands in an answer.

    returns ((uint128 liquidityIndex, (uint256 debt) totals)[] reserves)
    path    reserves[2].totals.debt

A path is names and indices; a value without a name is known by its index among its fellows, and a list whose
length its type leaves open has `length`. Encodings are those of the contract ABI specification: what is
dynamic stands behind an offset, counted from the beginning of what encloses it.
"""

from __future__ import annotations

import difflib
import itertools
import re
from collections.abc import Iterator
from dataclasses import dataclass

from adapters.evm.abi import parse_type, split_list
from relay.core.errors import PlanError

MAX_MEMBERS = 96
MAX_DEPTH = 8
MAX_DIMENSIONS = 8
MAX_STEPS = 16
LENGTH = -1
"""The step of a path that leads to the length of a list."""
NOT_DECODABLE = "answer not decodable"
OUT_OF_RANGE = "index out of range"
_MAX_MEANT = 512
_NAME = r"[A-Za-z_$][A-Za-z0-9_$]{0,63}"
_SIZES = r"(?:\[\d{0,3}\])*"
_PLAIN = re.compile(rf"([a-z0-9]+)({_SIZES})(?:\s+({_NAME}))?")
_BEHIND = re.compile(rf"({_SIZES})(?:\s*({_NAME}))?")
_STEP = re.compile(rf"\.?({_NAME})|\[(\d{{1,5}})\]")


@dataclass(frozen=True, slots=True)
class Scalar:
    """An elementary type in its canonical spelling; bytes and string too, which are no number."""

    type: str


@dataclass(frozen=True, slots=True)
class Array:
    """`size` is None where the answer says how many there are."""

    of: Shape
    size: int | None


@dataclass(frozen=True, slots=True)
class Struct:
    """A tuple; the results of a function are one. A name is empty where the signature gives none."""

    members: tuple[tuple[str, Shape], ...]


Shape = Scalar | Array | Struct


def parse_results(text: str, where: str, depth: int = 1) -> Struct:
    """Read what stands between the brackets of `returns (…)`."""
    if depth > MAX_DEPTH:
        raise PlanError(where, f"expected at most {MAX_DEPTH} levels of tuples")
    members = tuple(_member(part.strip(), where, depth) for part in split_list(text, where, MAX_MEMBERS))
    names = [name for name, _ in members if name]
    if not members or len(set(names)) != len(names):
        raise PlanError(where, f"expected results, each with a name of its own or none, got ({text})")
    return Struct(members)


def _member(part: str, where: str, depth: int) -> tuple[str, Shape]:
    if not part.startswith("("):
        plain = _PLAIN.fullmatch(part)
        if plain is None:
            raise PlanError(where, f"expected `type [name]` or `(types) [name]`, got {part!r}")
        return plain.group(3) or "", _arrays(Scalar(parse_type(plain.group(1), where)), plain.group(2), where)
    end = closing_bracket(part, 0)
    behind = _BEHIND.fullmatch(part[end + 1 :].strip()) if end > 0 else None
    if behind is None:
        raise PlanError(where, f"expected `(types)[] [name]`, got {part!r}")
    shape = parse_results(part[1:end], where, depth + 1)
    return behind.group(2) or "", _arrays(shape, behind.group(1), where)


def _arrays(shape: Shape, sizes: str, where: str) -> Shape:
    found = re.findall(r"\[(\d*)\]", sizes)
    if len(found) > MAX_DIMENSIONS or any(size and not int(size) for size in found):
        raise PlanError(where, f"no such ABI type: an array {sizes}")
    for size in found:
        shape = Array(shape, int(size) if size else None)
    return shape


def closing_bracket(text: str, start: int) -> int:
    """The place of the bracket that closes the one at `start`; -1 without one."""
    depth = 0
    for place in range(start, len(text)):
        depth += (text[place] == "(") - (text[place] == ")")
        if not depth:
            return place
    return -1


def text_of(shape: Shape) -> str:
    """The one spelling of a type, without names."""
    match shape:
        case Scalar(type_):
            return type_
        case Array(of, size):
            return f"{text_of(of)}[{'' if size is None else size}]"
        case Struct(members):
            return f"({','.join(text_of(member) for _, member in members)})"


def _is_dynamic(shape: Shape) -> bool:
    match shape:
        case Scalar(type_):
            return type_ in ("bytes", "string")
        case Array(of, size):
            return size is None or _is_dynamic(of)
        case Struct(members):
            return any(_is_dynamic(member) for _, member in members)


def _head_words(shape: Shape) -> int:
    """How many words it takes where it stands: one offset where it is dynamic."""
    if _is_dynamic(shape):
        return 1
    match shape:
        case Scalar():
            return 1
        case Array(of, size):
            return (size or 0) * _head_words(of)
        case Struct(members):
            return sum(_head_words(member) for _, member in members)


def is_number(type_: str) -> bool:
    """Whether a value of this elementary type is one word that a rule can use."""
    return type_ not in ("bytes", "string")


# ---- what a plan names


def type_of_word(results: Struct, word: int, where: str) -> str:
    """The elementary type of word number `word` of the results' head; refused where that is no number."""
    words = sum(_head_words(member) for _, member in results.members)
    if not 0 <= word < words:
        raise PlanError(where, f"expected a word below {words} of {text_of(results)}, got {word}")
    shape: Shape = results
    left = word
    while not isinstance(shape, Scalar) and (shape is results or not _is_dynamic(shape)):
        shape, left = _at_word(shape, left)
    if not isinstance(shape, Scalar) or not is_number(shape.type):
        raise PlanError(
            where,
            f"word {word} of {text_of(results)} is no number, but where one begins",
            remedy=f"name the number by its path: {_meant(results, '')}",
        )
    return shape.type


def _at_word(shape: Array | Struct, word: int) -> tuple[Shape, int]:
    if isinstance(shape, Array):
        return shape.of, word % _head_words(shape.of)
    for _, member in shape.members:
        if word < _head_words(member):
            return member, word
        word -= _head_words(member)
    raise AssertionError("a word beyond its type")


def parse_path(results: Struct, path: str, where: str) -> tuple[int, ...]:
    """A path as steps: the index of a member or an element, or `LENGTH`; its end is a number.

    Raises:
        PlanError: it leads nowhere, or to no number; the remedy names paths that could be meant.
    """
    shape: Shape | None = results
    steps: list[int] = []
    place = 0
    while place < len(path):
        found = _STEP.match(path, place)
        if found is None or (path[place] == ".") != (place > 0 and found.group(1) is not None):
            raise PlanError(where, f"expected names and indices as in `reserves[2].debt`, got {path!r}")
        step, shape = _step(shape, found)
        if step is None or len(steps) >= MAX_STEPS:
            raise _nowhere(results, path, found.end(), where)
        steps.append(step)
        place = found.end()
    if shape is not None and not (isinstance(shape, Scalar) and is_number(shape.type)):
        problem = f"expected the path of a number, got {path!r}, which is {text_of(shape)}"
        raise PlanError(where, problem, remedy=f"it may be {_meant(results, path)}")
    return tuple(steps)


def _nowhere(results: Struct, path: str, end: int, where: str) -> PlanError:
    problem = f"{path[:end]!r} leads nowhere in {text_of(results)}"
    return PlanError(where, problem, remedy=f"it may be {_meant(results, path)}")


def _step(shape: Shape | None, found: re.Match[str]) -> tuple[int | None, Shape | None]:
    """The step, or None where there is no such one, and what stands there; behind `LENGTH` nothing does."""
    name, index = found.group(1), int(found.group(2) or 0)
    match shape:
        case Struct(members):
            names = [each for each, _ in members]
            if name is not None:
                index = names.index(name) if name in names else len(members)
            return (index, members[index][1]) if index < len(members) else (None, None)
        case Array(of, size):
            if name is not None:
                return (LENGTH, None) if name == "length" and size is None else (None, None)
            return (index, of) if size is None or index < size else (None, None)
        case _:
            return None, None


def _meant(results: Struct, path: str) -> str:
    """The paths that come nearest to what was written."""
    known = list(itertools.islice(_paths(results, ""), _MAX_MEANT))
    written = re.sub(r"\[\d+\]", "[0]", path)
    near = [each for each in known if written and each.startswith(written)]
    near = near or difflib.get_close_matches(written, known, n=3, cutoff=0.4) or known
    return ", ".join(f"`{each}`" for each in near[:3])


def _paths(shape: Shape, before: str) -> Iterator[str]:
    """Every path to a number, with 0 for the indices of lists."""
    match shape:
        case Scalar(type_):
            if is_number(type_):
                yield before
        case Array(of, size):
            yield from _paths(of, f"{before}[0]")
            if size is None:
                yield f"{before}.length"
        case Struct(members):
            for index, (name, member) in enumerate(members):
                named = f"{before}.{name}" if before else name
                yield from _paths(member, named if name else f"{before}[{index}]")


# ---- what a contract answers


@dataclass(frozen=True, slots=True)
class Hop:
    """One step into an answer: past a list's length, which must be above `index`, to the head `offset` bytes
    on; and from there to the content, where it is dynamic.
    """

    index: int | None
    offset: int
    is_dynamic: bool


@dataclass(frozen=True, slots=True)
class Route:
    """The way of a path through answers, worked out once."""

    hops: tuple[Hop, ...]
    type: str


def route_of(results: Struct, steps: tuple[int, ...]) -> Route:
    """The way of a path that `parse_path` gave."""
    shape: Shape = results
    hops: list[Hop] = []
    for step in steps:
        assert not isinstance(shape, Scalar), "a step into a number"
        if step == LENGTH:
            return Route(tuple(hops), "uint256")
        if isinstance(shape, Array):
            index, offset = None if shape.size is not None else step, 32 * step * _head_words(shape.of)
            shape = shape.of
        else:
            before = (_head_words(member) for _, member in shape.members[:step])
            index, offset, shape = None, 32 * sum(before), shape.members[step][1]
        hops.append(Hop(index, offset, _is_dynamic(shape)))
    assert isinstance(shape, Scalar), "a path to no number"
    return Route(tuple(hops), shape.type)


def word_at(route: Route, answer: bytes) -> bytes | str:
    """The 32 bytes at the end of a path, or the fault: a short answer, an index beyond a list."""
    place = 0
    for hop in route.hops:
        if hop.index is not None:
            count = answer[place : place + 32]
            if len(count) < 32:
                return NOT_DECODABLE
            if hop.index >= int.from_bytes(count, "big"):
                return OUT_OF_RANGE
            place += 32
        head = place + hop.offset
        if hop.is_dynamic:
            offset = answer[head : head + 32]
            if len(offset) < 32:
                return NOT_DECODABLE
            head = place + int.from_bytes(offset, "big")
        place = head
    content = answer[place : place + 32]
    return content if len(content) == 32 else NOT_DECODABLE


__all__ = [
    "LENGTH",
    "NOT_DECODABLE",
    "OUT_OF_RANGE",
    "Array",
    "Route",
    "Scalar",
    "Shape",
    "Struct",
    "closing_bracket",
    "is_number",
    "parse_path",
    "parse_results",
    "route_of",
    "text_of",
    "type_of_word",
    "word_at",
]
