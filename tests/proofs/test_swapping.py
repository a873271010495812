"""Valid parts of valid bundles in each other's places: refused, or equally true, and named here.

The others: a later bundle of the same incident from the same log, the next incident from it, the same
incident from another member's log, an incident of another network; and the bundle's own parts in each other's
places.
"""

import json
from base64 import b64decode
from collections.abc import Iterator, Mapping
from functools import cache
from random import Random

import pytest

from proofs.bundle import encode_bundle
from proofs.envelope import open_envelope
from proofs.errors import ProofError
from proofs.verdictvalue import verdict_value
from proofs.verify import verify_bundle
from tests.proofs.incident import NOW_S, Case, City, Incident
from tests.proofs.parts import Json, Place, at, form_of, places, replaced, spelled

Swap = tuple[Place, str, str]
"""Where, out of which bundle, and the part in JSON."""

MANY = 24
"""Swaps of each form in the slow test: about a minute of processor time."""

EQUALLY_TRUE: dict[tuple[str, str], str] = {
    ("records", "later"): "the same records under a later checkpoint of the same log",
    ("records[]", "later"): "the same record under a later checkpoint of the same log",
    ("records[].tlog_proof", "later"): "the same record under a later checkpoint of the same log",
    ("records[]", "next"): "another signal of the same plan: it says that its author was told something",
    ("number", "itself"): "the receipt is filed under another record that tells of the same outcome",
    ("decisions[].receipts", "itself"): "no receipt: the verdict says that none is shown",
}
"""All that is accepted, by the form of the part and the bundle that it is out of, and why it may be."""


@cache
def cases() -> Mapping[str, Case]:
    city = City()
    first, second = Incident.of(city), Incident.of(city, 1)
    return {
        "itself": first.case(),
        "later": first.case(after=second.said),
        "next": second.case(before=first.said),
        "bob": first.case("bob"),
        "elsewhere": Incident.of(City("elsewhere")).case(),
    }


@cache
def trees() -> Mapping[str, Json]:
    return {name: json.loads(encode_bundle(case.bundle)) for name, case in cases().items()}


def said(data: bytes) -> Json:
    verdict = verify_bundle(data, policy=cases()["itself"].policy, now_s=NOW_S)
    return json.loads(json.dumps(verdict_value(verdict)))


@cache
def untouched() -> Json:
    return said(spelled(trees()["itself"]))


@cache
def parts() -> Mapping[tuple[str, str], Mapping[str, Place]]:
    """Give the different parts of each form by the first bundle that has them.

    Lines of a proof are no parts: those are tried by tampering.
    """
    found: dict[tuple[str, str], dict[str, Place]] = {}
    for name, tree in trees().items():
        for place in places(tree):
            if not str(place[-1]).removeprefix("#").isdigit() or isinstance(place[-1], int):
                part, own = json.dumps(at(tree, place), sort_keys=True), (form_of(place), "itself")
                if part not in found.get(own, {}):
                    found.setdefault((form_of(place), name), {}).setdefault(part, place)
    return found


def swaps() -> Iterator[Swap]:
    tree = trees()["itself"]
    for place in places(tree):
        own = json.dumps(at(tree, place), sort_keys=True)
        for name in trees():
            for part in parts().get((form_of(place), name), {}):
                if part != own:
                    yield place, name, part


@cache
def by_form() -> Mapping[str, list[Swap]]:
    """Give all swaps by the form of their part."""
    found: dict[str, list[Swap]] = {}
    for swap in swaps():
        found.setdefault(form_of(swap[0]), []).append(swap)
    return found


def check(swap: Swap) -> tuple[str, str] | None:
    """Check that a swap is refused or may be accepted; give what was, by form and bundle."""
    place, name, part = swap
    try:
        verdict = said(spelled(replaced(trees()["itself"], place, json.loads(part))))
    except ProofError:
        return None
    kind = (form_of(place), name)
    assert kind in EQUALLY_TRUE, f"{place} out of {name} was accepted"
    check_truth(swap, verdict)
    return kind


def check_truth(swap: Swap, verdict: Json) -> None:
    """Check that an accepted swap says no more, and nothing else, than the bundle did."""
    place, _, part = swap
    if form_of(place) == "number":
        assert (place[-1], verdict) == ("outcome", untouched()), swap
    elif form_of(place) == "decisions[].receipts":
        assert json.loads(part) == []
        assert without(verdict, "receipt", "not_proved", "source") == without(
            untouched(), "receipt", "not_proved", "source"
        )
    else:
        later = ["not_proved", "log", "witnessed"]
        if swap[1] == "next":
            assert open_envelope(from_json(part)).kind == "signal", swap
            # The same words under the same salts in both: one is opened as the other.
            later += ["statements", "disclosed"]
        assert without(verdict, *later) == without(untouched(), *later), swap


def from_json(record: str) -> bytes:
    return b64decode(json.loads(record)["envelope"])


def without(value: Json, *names: str) -> Json:
    if isinstance(value, dict):
        return {key: without(item, *names) for key, item in value.items() if key not in names}
    return [without(item, *names) for item in value] if isinstance(value, list) else value


def test_all_the_bundles_are_valid_themselves() -> None:
    for case in cases().values():
        verify_bundle(encode_bundle(case.bundle), policy=case.policy, now_s=NOW_S)


def test_a_part_of_each_form_in_each_others_place_is_refused_or_equally_true(seed: int) -> None:
    """One swap of each form, by chance; many of them in the slow test."""
    chance = Random(seed)

    assert len(by_form()) > 45
    for among in by_form().values():
        check(chance.choice(among))


@pytest.mark.slow
@pytest.mark.timeout(1_200)
def test_many_parts_of_each_form_in_others_places_are_refused_or_equally_true(seed: int) -> None:
    """Some dozen swaps of each form, by chance; all of them in the campaign."""
    chance = Random(seed)

    for among in by_form().values():
        for swap in chance.sample(among, min(len(among), MANY)):
            check(swap)


@pytest.mark.campaign
@pytest.mark.timeout(7_200)
def test_what_is_accepted_of_all_swaps_is_exactly_what_may_be() -> None:
    accepted: set[tuple[str, str] | None] = {None}
    strange: list[str] = []
    for swap in swaps():
        try:
            accepted.add(check(swap))
        except AssertionError as error:
            strange.append(f"{swap[:2]}: {error}")

    assert (strange, accepted - {None}) == ([], set(EQUALLY_TRUE))


@pytest.mark.parametrize("keys", [("records", "log"), ("decisions", "records", "disclosed")])
@pytest.mark.parametrize("name", ["later", "next", "bob", "elsewhere"])
def test_several_parts_of_another_bundle_together_make_the_other_bundle_or_nothing(
    name: str, keys: tuple[str, ...]
) -> None:
    tree, other = trees()["itself"], trees()[name]
    assert isinstance(tree, dict)
    assert isinstance(other, dict)
    mixed = spelled({**tree, **{key: other[key] for key in keys}})

    # Of one network, what both have in common makes it the other bundle, which is as good.
    if mixed == spelled(other):
        said(mixed)
    elif name == "later":
        assert without(said(mixed), "log", "witnessed") == without(untouched(), "log", "witnessed")
    else:
        with pytest.raises(ProofError):
            said(mixed)
