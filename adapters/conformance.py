"""What every adapter must do, as checks that a test runs on every installed one.

A package brings a `ConformanceChain`: a development chain of its kind and the vectors of its texts. Each
check raises `AssertionError` and says what was expected. `CHECKS` holds all; the order does not matter.

    @pytest.mark.parametrize("check", conformance.CHECKS, ids=lambda check: check.__name__)
    async def test_the_adapter_conforms(check):
        async with my_conformance_chain() as chain:
            await check(chain)
"""

from __future__ import annotations

from adapters.conformance_calls import (
    check_a_restart_sends_nothing_twice,
    check_acts_are_told_apart,
    check_an_empty_purse_is_told,
    check_calls_land,
    check_receipts_prove_themselves,
    check_refusals_cost_nothing,
)
from adapters.conformance_chain import Check, ConformanceChain, MemoryStore, Vectors
from adapters.conformance_looks import (
    check_a_survey_tells_what_there_is,
    check_an_inspector_tells_every_fact,
)
from adapters.conformance_reads import (
    check_a_dead_endpoint_is_unavailable,
    check_finality_is_behind_the_head,
    check_forks_are_seen,
    check_heads_are_announced,
    check_reads_are_at_the_block,
    check_states_are_read_at_the_block,
    check_unknown_blocks_are_unavailable,
    check_wrong_chain_is_named,
)
from adapters.conformance_texts import (
    check_act_vectors,
    check_namespace,
    check_query_vectors,
    check_requests_are_counted,
    check_state_vectors,
)

CHECKS: tuple[Check, ...] = (
    check_namespace,
    check_act_vectors,
    check_query_vectors,
    check_state_vectors,
    check_requests_are_counted,
    check_reads_are_at_the_block,
    check_states_are_read_at_the_block,
    check_unknown_blocks_are_unavailable,
    check_forks_are_seen,
    check_finality_is_behind_the_head,
    check_heads_are_announced,
    check_a_dead_endpoint_is_unavailable,
    check_wrong_chain_is_named,
    check_a_survey_tells_what_there_is,
    check_an_inspector_tells_every_fact,
    check_calls_land,
    check_receipts_prove_themselves,
    check_refusals_cost_nothing,
    check_an_empty_purse_is_told,
    check_acts_are_told_apart,
    check_a_restart_sends_nothing_twice,
)

__all__ = ["CHECKS", "Check", "ConformanceChain", "MemoryStore", "Vectors"]
