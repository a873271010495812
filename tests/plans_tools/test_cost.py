"""`tocsin plan cost`: requests of a day, as nodes make them."""

from __future__ import annotations

from pathlib import Path

import pytest

from relay.chains import load_adapters
from relay.core.compiled import CompiledPlan, compile_plan
from relay.core.errors import ConfigError
from relay.core.plan_file import parse_plan
from relay.core.types import Caip2
from relay.plans.cost import Pace, Units, chain_costs, read_units
from tests.cli.calls import tocsin
from tests.plans_tools.conftest import BRIDGE, MARKET

HOME, AWAY = Caip2("eip155:1"), Caip2("eip155:1284")
PACES = {HOME: Pace(12, 3), AWAY: Pace(6, 3)}


def compiled(text: str) -> CompiledPlan:
    return compile_plan(parse_plan(text, where="plan"), load_adapters())


def costs(*plans: CompiledPlan, paces: dict[Caip2, Pace] | None = None):
    adapters = load_adapters()
    found = chain_costs(
        plans, paces or PACES, lambda chain, queries: adapters["eip155"].block_requests(queries)
    )
    return {each.chain: each for each in found}


def test_a_day_is_blocks_polls_and_looks() -> None:
    home = costs(compiled(BRIDGE.read_text()))[HOME]

    # 7,200 blocks, each one header and one query of logs; finality every 12 s; a look a minute, 6 for the
    # chain, 10 for the plan and 5 for its act.
    assert home.per_block == {"eth_getBlockByNumber": 1, "eth_getLogs": 1}
    assert home.per_day == {
        "eth_call": 1_440 * (6 + 10 + 5),
        "eth_getBlockByNumber": 7_200 + 7_200,
        "eth_getLogs": 7_200,
    }


def test_a_plan_that_asks_what_another_asks_costs_no_read_more() -> None:
    bridge = compiled(BRIDGE.read_text())
    twin = compiled(BRIDGE.read_text().replace('"example-bridge"', '"twin"').replace('"armed"', '"shadow"'))

    alone, both = costs(bridge), costs(bridge, twin)

    assert {chain: each.per_block for chain, each in both.items()} == {
        chain: each.per_block for chain, each in alone.items()
    }
    # A plan in shadow has no acts to look at.
    assert both[HOME].per_day["eth_call"] - alone[HOME].per_day["eth_call"] == 1_440 * 10


def test_reads_of_state_are_counted_one_by_one() -> None:
    market = compiled(MARKET.read_text())
    two = MARKET.read_text().replace(
        "[metrics.collateral]",
        '[metrics.second]\nread = "call"\nchain = "eip155:1284"\n'
        'from = "0x5555555555555555555555555555555555555555"\ncall = "totalSupply() returns (uint256)"\n\n'
        "[metrics.collateral]",
    )

    assert costs(market)[AWAY].per_block["eth_call"] == 1
    assert costs(compiled(two))[AWAY].per_block["eth_call"] == 2


def test_where_nobody_announces_heads_they_are_asked_for() -> None:
    bridge = compiled(BRIDGE.read_text())

    polled = costs(bridge, paces={HOME: Pace(12, 3, polls_head=True), AWAY: Pace(6, 3)})[HOME]

    added = polled.requests_a_day - costs(bridge)[HOME].requests_a_day
    assert added == 86_400 / 3


def test_units_are_those_of_the_method_or_of_others() -> None:
    units = Units("p", "CU", {"eth_call": 26}, 20)

    assert units.of({"eth_call": 2, "eth_getCode": 3}) == 112


def test_the_command_tells_what_plans_cost_together_and_alone() -> None:
    said = tocsin("plan", "cost", BRIDGE, MARKET, "--block-time", "eip155:1284=6", "--json")

    document = said.document
    assert said.code == 0
    alone = document["alone"]
    assert isinstance(alone, dict)
    assert int(str(document["requests_a_day"])) < sum(alone.values())
    chains = document["chains"]
    assert isinstance(chains, list)
    assert sorted(chains[0]["units_a_day_each"]) == ["alchemy", "gelato", "rpcfast"]


def test_a_table_of_ones_own_counts_instead(tmp_path: Path) -> None:
    table = tmp_path / "units.toml"
    table.write_text("[mine]\nunit = 'credits'\nother = 1\n")

    said = tocsin("plan", "cost", BRIDGE, "--units", table, "--json")

    (home, _) = said.document["chains"]  # type: ignore[misc]
    assert home["units_a_day_each"] == {"mine": sum(home["requests_a_day_each"].values())}


@pytest.mark.parametrize(
    ("text", "problem"),
    [
        ("[a]\neth_call = 1\n", "a.other"),
        ("[a]\nother = 1.5\n", "whole number"),
        ("a = 1", "a table"),
        ("=", "TOML"),
    ],
)
def test_a_table_that_is_none_is_refused(text: str, problem: str) -> None:
    with pytest.raises(ConfigError, match=problem):
        read_units(text, "units")


@pytest.mark.parametrize("given", ["eip155:1", "eip155:1=0", "eip155:1=x", "eip155:99=2"])
def test_a_block_time_that_is_none_is_refused(given: str) -> None:
    assert tocsin("plan", "cost", BRIDGE, "--block-time", given).code == 2
