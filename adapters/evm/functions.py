"""Read-only functions as plans write them: `balanceOf(address) returns (uint256)`.

Arguments are of elementary types and arrays of them, because a plan writes their values; results may be
nested.
"""

from __future__ import annotations

from dataclasses import dataclass

from adapters.evm.abi import parse_type, signature_text, split_list, split_signature
from adapters.evm.results import Scalar, Struct, closing_bracket, parse_results, text_of
from relay.core.errors import PlanError

MAX_TEXT = 4_096
"""Field contracts return tuples of fifty members, each with its name."""


@dataclass(frozen=True, slots=True)
class FunctionSignature:
    """A function's name, argument types and results."""

    name: str
    inputs: tuple[str, ...]
    results: Struct

    @property
    def text(self) -> str:
        """The one spelling of this function: names of results are only a path's matter."""
        return f"{signature_text(self.name, self.inputs)} returns {text_of(self.results)}"


def parse_function(text: str, where: str = "call") -> FunctionSignature:
    """Read `name(types) returns (types)`; without `returns` the result is one uint256."""
    name, inside, rest = split_signature(text, where, MAX_TEXT)
    inputs = tuple(parse_type(_bare(part, where), where) for part in split_list(inside, where))
    if not rest:
        return FunctionSignature(name, inputs, Struct((("", Scalar("uint256")),)))
    results = rest.removeprefix("returns").lstrip()
    ends = closing_bracket(results, 0) if results.startswith("(") else -1
    if not rest.startswith("returns") or ends != len(results) - 1:
        raise PlanError(where, f"expected `returns (types)`, got {rest!r}")
    return FunctionSignature(name, inputs, parse_results(results[1:-1], where))


def _bare(text: str, where: str) -> str:
    """A parameter's type, without the name that may follow it."""
    words = text.split()
    if not 1 <= len(words) <= 2:
        raise PlanError(where, f"expected a type, got {text!r}")
    return words[0]


__all__ = ["FunctionSignature", "parse_function"]
