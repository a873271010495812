"""Conditions in CEL that give the same answer on every node (SPEC 5.3).

The runtime iterates maps in an order that differs from process to process, and stops a long iteration by
raising. So only what cannot show an order is admitted: a list of functions, integers and texts, and loops
whose length is bounded beforehand. A faulted metric is left unbound: reading it is then an error in CEL, and
CEL's own logic decides what becomes of it (`false && error` is false).
"""

from __future__ import annotations

import re
from collections.abc import Callable, Iterator, Mapping
from dataclasses import dataclass
from enum import StrEnum

from cel_expr_python import cel

from relay.core.errors import PlanError
from relay.core.metrics import MAX_ENTRIES

MAX_EXPRESSION_BYTES = 1_024
MAX_ITERATIONS = 8_192
"""The runtime's own limit is 10,000 steps of all loops of one evaluation together; past it, it raises."""
PEER = "peer"
PEER_FIELDS = frozenset({"chain", "hops", "protocol", "rule", "tier", "verb"})
LOOPS = frozenset({"all", "exists", "exists_one"})
FUNCTIONS = LOOPS | {"contains", "endsWith", "has", "size", "startsWith"}
RESERVED = frozenset(
    {
        "as",
        "break",
        "const",
        "continue",
        "else",
        "false",
        "for",
        "function",
        "if",
        "import",
        "in",
        "let",
        "loop",
    }
    | {"namespace", "null", "package", "return", "true", "var", "void", "while", "__result__"}
    | {"bool", "bytes", "double", "duration", "dyn", "int", "list", "map", "null_type", "string", "timestamp"}
    | {"type", "uint", PEER}
)
"""Names that a metric cannot have."""

Input = int | Mapping[str, int] | Mapping[str, str | int]
_TOKEN = re.compile(
    r"""(?P<space>\s+)
      | (?P<text>"(?:[^"\\\n]|\\["\\])*"|'(?:[^'\\\n]|\\['\\])*')
      | (?P<float>\d+\.\d*(?:[eE][+-]?\d+)?|\d+[eE][+-]?\d+|\.\d+)
      | (?P<integer>(?:0x[0-9a-fA-F]+|\d+)(?![0-9A-Za-z_]))
      | (?P<name>[A-Za-z_][A-Za-z0-9_]*)
      | (?P<comment>//)
      | (?P<mark>&&|\|\||[<>=!]=|[-+*/%<>!?:.,()\[\]])""",
    re.VERBOSE,
)

_REFUSED_TOKENS = {"float": "integers only", "comment": "an expression without comments"}


class Kind(StrEnum):
    """What a variable of a condition is."""

    INTEGER = "integer"
    MAP = "map"


class Result(StrEnum):
    """What a condition gives."""

    TRUE = "true"
    FALSE = "false"
    FAULT = "fault"


@dataclass(frozen=True, slots=True)
class Condition:
    """A compiled condition. `reads` names the metrics in it, in ascending order; `evaluate` is total."""

    text: str
    reads: tuple[str, ...]
    evaluate: Callable[[Mapping[str, Input]], Result]


class Language:
    """The language of one plan: its metrics, its limits, and `peer` in the conditions of links.

    Limits are written into a condition when it is compiled: reading one costs nothing.
    """

    def __init__(self, variables: Mapping[str, Kind], limits: Mapping[str, int] | None = None) -> None:
        integer, text = cel.Type.INT, cel.Type.STRING
        types = {Kind.INTEGER: integer, Kind.MAP: cel.Type.Map(text, integer)}
        declared = {name: types[kind] for name, kind in variables.items()}
        self._names = frozenset(variables)
        self._limits = limits or {}
        self._environment = cel.NewEnv(variables={**declared, PEER: cel.Type.Map(text, cel.Type.DYN)})

    def compile(self, text: str, where: str, *, of_link: bool = False) -> Condition:
        """Compile a condition; `of_link` admits `peer`.

        Raises:
            PlanError: not of the language, an undeclared name, or no bool.
        """
        if not text.isprintable():
            raise PlanError(where, "expected printable text on one line, got other characters")
        if len(text.encode()) > MAX_EXPRESSION_BYTES:
            raise PlanError(where, f"expected at most {MAX_EXPRESSION_BYTES} bytes, got {len(text.encode())}")
        reader = _Reader(text, where, _Names(self._names, self._limits, has_peer=of_link))
        reads = reader.reads()
        try:
            expression = self._environment.compile(reader.with_limits())
        except RuntimeError as error:
            raise PlanError(where, f"expected an expression of CEL, got {_first_line(error)}") from error
        if expression.return_type() != cel.Type.BOOL:
            raise PlanError(where, f"expected a bool, got {expression.return_type().name().lower()}")
        return Condition(text, tuple(sorted(reads)), _evaluator(expression))


def _evaluator(expression: cel.Expression) -> Callable[[Mapping[str, Input]], Result]:
    def evaluate(data: Mapping[str, Input]) -> Result:
        try:
            result = expression.eval(data=data)
        except RuntimeError:
            # A limit of the runtime; what `_Reader` admits stays below the known one.
            return Result.FAULT
        value = result.value()  # of an error, its text
        if value is True:
            return Result.TRUE
        return Result.FALSE if value is False else Result.FAULT

    return evaluate


def _first_line(error: RuntimeError) -> str:
    return str(error).partition("\n")[0].removeprefix("INVALID_ARGUMENT: ").removeprefix("ERROR: ")


@dataclass(frozen=True, slots=True)
class _Token:
    kind: str
    text: str


@dataclass(frozen=True, slots=True)
class _Names:
    """What a condition may name."""

    metrics: frozenset[str]
    limits: Mapping[str, int]
    has_peer: bool


class _Reader:
    """Checks by tokens what the runtime does not: names, functions, numbers, and how long loops can get."""

    def __init__(self, text: str, where: str, names: _Names) -> None:
        self._text = text
        self._where = where
        self._names = names
        self._tokens = list(self._split(text))

    def with_limits(self) -> str:
        """Give the expression with the numbers of its limits in their place."""
        if not any(self._is_limit(index) for index in range(len(self._tokens))):
            return self._text
        return " ".join(
            f"({self._names.limits[token.text]})" if self._is_limit(index) else token.text
            for index, token in enumerate(self._tokens)
        )

    def _is_limit(self, index: int) -> bool:
        token = self._tokens[index]
        return token.kind == "name" and token.text in self._names.limits and self._at(index - 1) != "."

    def reads(self) -> set[str]:
        """Give the metrics that the expression names, after all checks."""
        self._check_loops()
        bound = self._loop_variables()
        found: set[str] = set()
        for index, token in enumerate(self._tokens):
            if token.kind != "name":
                continue
            if self._at(index + 1) == "(":
                self._check_function(token.text)
            elif self._at(index - 1) == ".":
                self._check_selected(index)
            elif token.text in self._names.metrics:
                found.add(token.text)
            elif token.text not in bound and token.text not in self._names.limits:
                self._check_other_name(token.text)
        return found

    def _split(self, text: str) -> Iterator[_Token]:
        position = 0
        while position < len(text):
            match = _TOKEN.match(text, position)
            if match is None or match.lastgroup is None:
                raise self._error(
                    "an integer, a text, a name or an operator", repr(text[position : position + 12])
                )
            if match.lastgroup in _REFUSED_TOKENS:
                raise self._error(_REFUSED_TOKENS[match.lastgroup], match.group())
            if match.lastgroup == "text" and text[position - 1 : position].isalnum():
                raise self._error("a text without prefix", repr(text[position - 1 : match.end()]))
            if match.lastgroup != "space":
                yield _Token(match.lastgroup, match.group())
            position = match.end()

    def _at(self, index: int) -> str:
        return self._tokens[index].text if 0 <= index < len(self._tokens) else ""

    def _check_function(self, name: str) -> None:
        if name not in FUNCTIONS:
            raise self._error(f"one of {', '.join(sorted(FUNCTIONS))}", f"{name}()")

    def _check_selected(self, index: int) -> None:
        name = self._tokens[index].text
        if self._at(index - 2) == PEER and name not in PEER_FIELDS:
            raise self._error(f"peer with one of {', '.join(sorted(PEER_FIELDS))}", f"peer.{name}")

    def _check_other_name(self, name: str) -> None:
        if name in ("true", "false", "in") or (name == PEER and self._names.has_peer):
            return
        if name == PEER:
            raise self._error("metrics only", "peer, which only the condition of a link has")
        known = ", ".join(sorted(self._names.metrics)) or "(none declared)"
        if self._names.limits:
            known += f" or the limits {', '.join(sorted(self._names.limits))}"
        raise self._error(f"one of the metrics {known}", name)

    def _loop_variables(self) -> set[str]:
        variables: set[str] = set()
        for index, token in enumerate(self._tokens):
            if token.text in LOOPS and self._at(index - 1) == "." and self._at(index + 1) == "(":
                variable = self._at(index + 2)
                if variable in self._names.metrics or variable in self._names.limits or variable in RESERVED:
                    raise self._error("a loop variable with a name of its own", variable)
                variables.add(variable)
        return variables

    def _check_loops(self) -> None:
        """Bound the steps of all loops: each runs over a map of `MAX_ENTRIES`, within the loops around it."""
        depth, total = 0, 0
        open_loops: list[int] = []
        for index, token in enumerate(self._tokens):
            if token.text == "(":
                depth += 1
                if self._at(index - 1) in LOOPS:
                    if self._at(index - 3) in ("]", ")"):
                        raise self._error(
                            "a loop over a metric", f"{self._at(index - 1)}() over another value"
                        )
                    open_loops.append(depth)
                    total += MAX_ENTRIES ** len(open_loops)
            elif token.text == ")":
                if open_loops and open_loops[-1] == depth:
                    open_loops.pop()
                depth -= 1
        if total > MAX_ITERATIONS:
            raise self._error(f"loops of at most {MAX_ITERATIONS} steps", f"up to {total}")

    def _error(self, expected: str, got: str) -> PlanError:
        return PlanError(self._where, f"expected {expected}, got {got}")


__all__ = ["PEER", "PEER_FIELDS", "RESERVED", "Condition", "Input", "Kind", "Language", "Result"]
