"""The published schema takes every bundle that verifies, and refuses what the parser refuses by form."""

import json
from pathlib import Path
from random import Random
from typing import TYPE_CHECKING

import pytest
from jsonschema import Draft202012Validator

import proofs
from proofs.bundle import BUNDLE_SCHEMA, decode_bundle, encode_bundle
from proofs.errors import ProofError
from tests.proofs.grouptown import with_frost
from tests.proofs.incident import City, Incident
from tests.proofs.parts import Json, Place, at, form_of, places, replaced, spelled
from tests.proofs.shown import alarm

if TYPE_CHECKING:
    from tests.proofs.conftest import Town

SCHEMA = json.loads((Path(proofs.__file__).parent / "bundle.schema.json").read_text(encoding="utf-8"))
VALIDATOR = Draft202012Validator(SCHEMA)


@pytest.fixture(scope="module")
def tree() -> Json:
    return json.loads(encode_bundle(Incident.of(City()).case().bundle))


def test_the_schema_is_one_and_of_this_version() -> None:
    Draft202012Validator.check_schema(SCHEMA)

    assert SCHEMA["properties"]["schema"]["const"] == BUNDLE_SCHEMA


def test_every_kind_of_bundle_fits(town: "Town", tree: Json) -> None:
    for bundle in (town.alarm(), with_frost(town, town.alarm(), 1), alarm(town)[0]):
        VALIDATOR.validate(json.loads(encode_bundle(bundle)))
    VALIDATOR.validate(tree)


def test_every_part_of_a_bundle_is_described(tree: Json) -> None:
    """A part of another type is refused wherever it stands, so no part is free of form."""
    by_form: dict[str, Place] = {}
    for place in places(tree):
        if not str(place[-1]).startswith("#"):
            by_form.setdefault(form_of(place), place)

    assert len(by_form) > 60
    for place in by_form.values():
        assert not VALIDATOR.is_valid(replaced(tree, place, {"more": []})), place


def test_what_the_schema_refuses_the_parser_refuses(tree: Json, seed: int) -> None:
    chance = Random(seed)
    everywhere = [place for place in places(tree) if not str(place[-1]).startswith("#")]

    for place in chance.sample(everywhere, 60):
        odd: Json = chance.choice([None, -1, 1 << 70, "", "!", "00", {}, [], "a" * 600, ["x"], True])
        other = replaced(tree, place, odd) if chance.random() < 0.8 else replaced(tree, place)
        if at(tree, place) == odd or VALIDATOR.is_valid(other):
            continue
        with pytest.raises(ProofError):
            print(place, odd, decode_bundle(spelled(other)).network)


def test_reports_stand_exactly_where_the_subject_calls_for_them(tree: Json) -> None:
    decisions = [place for place in places(tree) if form_of(place) == "decisions[]"]
    reported = [place for place in decisions if "reports" in at(tree, place)]

    assert len(reported) == 1
    assert not VALIDATOR.is_valid(replaced(tree, (*reported[0], "reports")))
    (first, *_) = [place for place in decisions if place not in reported]
    assert not VALIDATOR.is_valid(replaced(tree, first, {**at(tree, first), "reports": []}))
