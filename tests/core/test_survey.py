"""From what endpoints offer to settings that all of them can serve, and back."""

from __future__ import annotations

from dataclasses import replace

import pytest

from relay.core.ports import ChainSettings, EndpointAddress, FeeKind
from relay.core.readiness import Fact
from relay.core.survey import EndpointSurvey, compare, propose
from relay.core.types import Caip2

CHAIN = Caip2("sim:1")
GOOD = EndpointSurvey(
    operator="alice",
    chain=CHAIN,
    software="sim/1",
    head=1_000,
    block_time_ms=2_000,
    finality=(("finalized", 64), ("safe", 32)),
    fees="eip1559",
    log_range=10_000,
    batch=100,
    subscribes=True,
    simulation="blocks",
)
SETTINGS = ChainSettings(
    CHAIN, (EndpointAddress("alice", "http://a"), EndpointAddress("bob", "http://b")), block_time_ms=2_000
)


def other(**changes: object) -> EndpointSurvey:
    return replace(GOOD, operator="bob", **changes)


def failing(
    *surveys: EndpointSurvey, settings: ChainSettings = SETTINGS, is_demo: bool = False
) -> dict[str, Fact]:
    facts = compare(settings, surveys, is_demo=is_demo)
    return {fact.name: fact for fact in facts if fact.held is not True}


def test_a_proposal_is_what_every_endpoint_can_serve() -> None:
    narrow = other(finality=(("safe", 20),), log_range=500, log_range_is_bound=True, block_time_ms=2_100)

    proposal = propose([GOOD, narrow])

    assert (proposal.finality, proposal.log_range, proposal.fees) == ("safe", 500, "eip1559")
    assert proposal.block_time_ms in (2_000, 2_100)
    assert proposal.notes == ("not every endpoint offers finalized blocks",)


def test_without_final_blocks_a_depth_is_guessed_and_said_to_be() -> None:
    proposal = propose([GOOD, other(finality=())])

    assert proposal.finality == "depth:64"
    assert "is a guess" in proposal.notes[0]


@pytest.mark.parametrize(("measured", "proposed"), [(0, 50), (10**9, 600_000), (250, 250)])
def test_a_block_time_stays_within_what_node_toml_takes(measured: int, proposed: int) -> None:
    assert propose([replace(GOOD, block_time_ms=measured)]).block_time_ms == proposed


def test_small_bodies_and_mixed_fees_are_noted() -> None:
    notes = propose([GOOD, other(batch=10, fees="legacy")]).notes

    assert any("disagree on fees" in note for note in notes)
    assert any("bob: fewer than 100 requests" in note for note in notes)


def test_endpoints_as_configured_leave_nothing_to_mend() -> None:
    assert failing(GOOD, other()) == {}


@pytest.mark.parametrize(
    ("changes", "name", "remedy"),
    [
        ({"finality": ()}, f"finality {CHAIN} by bob", "depth:N"),
        ({"fees": "legacy"}, f"fees {CHAIN} by bob", 'set `fees = "legacy"`'),
        (
            {"log_range": 100, "log_range_is_bound": True},
            f"log range {CHAIN} by bob",
            "set `log_range = 100`",
        ),
        ({"batch": 10}, f"batch {CHAIN} by bob", "another endpoint"),
        ({"subscribes": False}, f"websocket {CHAIN} by bob", "correct `websocket_url`"),
        ({"head": 900}, f"heads {CHAIN}", "mend"),
        ({"problem": "serves sim:2, expected sim:1", "chain": Caip2("sim:2")}, f"{CHAIN} by bob", "correct"),
    ],
)
def test_each_finding_has_its_name_and_remedy(changes: dict[str, object], name: str, remedy: str) -> None:
    found = failing(GOOD, other(**changes))

    assert set(found) == {name}
    assert found[name].held is False
    assert remedy in found[name].remedy


def test_a_silent_endpoint_is_could_not_tell_and_hides_no_other_finding() -> None:
    silent = EndpointSurvey("bob", "no answer (TimeoutError)")

    found = failing(replace(GOOD, fees="legacy"), silent)

    assert found[f"{CHAIN} by bob"].held is None
    assert found[f"fees {CHAIN} by alice"].held is False
    assert failing(silent, replace(silent, operator="alice")).keys() == {
        f"{CHAIN} by bob",
        f"{CHAIN} by alice",
    }


def test_a_chain_that_is_configured_as_legacy_with_depth_is_taken_so() -> None:
    settings = replace(SETTINGS, fees=FeeKind.LEGACY, finality="depth:12")
    plain = replace(GOOD, fees="legacy", finality=(), subscribes=None, simulation="calls")

    assert failing(plain, settings=settings) == {}


def test_a_block_time_far_off_is_told_but_not_of_a_demonstration() -> None:
    slow = replace(GOOD, block_time_ms=12_000)

    assert failing(slow)[f"block time {CHAIN}"].remedy == "set `block_time_ms = 12000`"
    assert failing(slow, is_demo=True) == {}
