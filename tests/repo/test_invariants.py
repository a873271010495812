"""INVARIANTS.md and the contract tests name each other: no claim without tests, no proof without a claim."""

import json
import re
from collections.abc import Iterator
from pathlib import Path

import pytest

from relay.core.plan import Verb

EVM = Path(__file__).parents[2] / "adapters" / "evm"
TESTS = EVM / "contracts" / "test"
TEXT = (EVM / "contracts" / "INVARIANTS.md").read_text()

CLAIM = re.compile(r"^### INV-(\d+) .*$", re.MULTILINE)
NAMED = re.compile(r"`((?:test|testFuzz|invariant|check)_\w+)`")
DEFINED = re.compile(r"^    function ((?:test|testFuzz|invariant|check)_\w+)\(", re.MULTILINE)

# Claims whose breach would be a breach of the power bound: each stands on a proof too.
CORE = (1, 2, 3, 5, 6, 7, 8, 9, 10, 11, 12)


def claims() -> Iterator[tuple[int, str]]:
    """The number of each claim, and its text."""
    starts = list(CLAIM.finditer(TEXT))
    ends = [start.start() for start in starts[1:]] + [TEXT.index("## What the proofs assume")]
    for start, end in zip(starts, ends, strict=True):
        yield int(start[1]), TEXT[start.end() : end]


def defined() -> set[str]:
    return {name for file in TESTS.rglob("*.sol") for name in DEFINED.findall(file.read_text())}


def test_the_claims_are_numbered_without_a_gap() -> None:
    numbers = [number for number, _ in claims()]

    assert numbers == list(range(1, len(numbers) + 1))
    assert set(CORE) <= set(numbers)


def test_every_named_test_exists() -> None:
    missing = set(NAMED.findall(TEXT)) - defined()

    assert not missing


def test_every_invariant_and_proof_is_named_by_a_claim() -> None:
    told = {name for _, text in claims() for name in NAMED.findall(text)}
    silent = {name for name in defined() if name.startswith(("invariant_", "check_"))} - told

    assert not silent


@pytest.mark.parametrize(("number", "text"), list(claims()), ids=lambda part: str(part)[:4])
def test_every_claim_says_why_and_where_and_is_tested(number: int, text: str) -> None:
    kinds = {name.split("_")[0] for name in NAMED.findall(text)}

    assert "Why: " in text
    assert "Where: " in text
    assert kinds & {"test", "testFuzz"}
    assert number not in CORE or {"invariant", "check"} <= kinds


def test_every_verb_of_a_plan_is_tried_on_a_target_and_every_test_named_there_exists() -> None:
    text = (EVM / "contracts" / "TARGETS.md").read_text()
    verbs = set(re.findall(r"^\| `([a-z-]+)` \| .* \| `test_\w+`.* \|$", text, re.MULTILINE))

    assert verbs == {verb.value for verb in Verb} - {Verb.DRILL.value}
    assert not set(NAMED.findall(text)) - defined()


def test_every_detector_that_is_off_and_every_answered_finding_has_its_reason() -> None:
    config = json.loads((EVM / "slither.config.json").read_text())
    answered = json.loads((EVM / config["triage_database"]).read_text())

    for detector in config["detectors_to_exclude"].split(","):
        assert f"| `{detector}` | " in TEXT, detector
    for finding in answered:
        assert finding.keys() == {"id", "description", "answer"}
        assert finding["answer"]
