"""What every adapter must do before anything is sent: tell what an endpoint offers, and what must hold."""

from __future__ import annotations

from dataclasses import replace

from adapters.conformance_chain import ConformanceChain
from proofs.mandate import Tier
from relay.core.ports import EndpointAddress
from relay.core.readiness import ActToKeep, ChainQuestion, GatewayQuestion, Standing
from relay.core.types import Caip2, NetworkId, PlanHash

__all__ = ["check_a_survey_tells_what_there_is", "check_an_inspector_tells_every_fact"]


async def check_a_survey_tells_what_there_is(chain: ConformanceChain) -> None:
    """Offers are told; an endpoint that is away or of another chain is an answer too, without its URL."""
    settings = chain.settings
    survey = await chain.adapter.survey(settings.chain, settings.endpoints[0], settings.timeout_ms)
    assert (survey.problem, survey.chain) == ("", settings.chain)
    assert survey.log_range > 0
    assert survey.batch > 0
    other = Caip2(settings.chain + "9")
    wrong = await chain.adapter.survey(other, settings.endpoints[0], settings.timeout_ms)
    assert wrong.chain == settings.chain, f"expected the chain that is served, got {wrong.chain}"
    assert wrong.problem, "expected a problem with an endpoint of another chain"
    nobody = EndpointAddress("nobody", "http://127.0.0.1:9/secret-key")
    away = await chain.adapter.survey(settings.chain, nobody, settings.timeout_ms)
    assert away.problem, "expected a problem with an endpoint that is away"
    assert "secret-key" not in away.problem


async def check_an_inspector_tells_every_fact(chain: ConformanceChain) -> None:
    """Facts come under the names asked for, whatever stands at the address, and with nobody there."""
    settings = chain.settings
    act = ActToKeep("act", chain.adapter.encode_act(chain.vectors.act), Tier.FAST, 60)
    question = GatewayQuestion(
        chain=settings.chain,
        protocol="acme",
        gateway=chain.adapter.gateway_address(chain.contract),
        plan_hash=PlanHash(bytes(32)),
        network=NetworkId(bytes(32)),
        key_epoch=1,
        acts=(act,),
    )
    own = ChainQuestion(settings.chain, chain.signer.submitter, calls=1, gas=1)
    async with chain.adapter.inspector(settings) as inspector:
        facts = await inspector.look_at_chain(own)
        assert [fact.name.partition(" ")[0] for fact in facts] == ["endpoints", "funds", "nonce"]
        assert facts[0].standing is Standing.HELD, f"expected good endpoints, got {facts[0]}"
        facts = await inspector.look_at_gateway(question)
        assert tuple(fact.name for fact in facts) == question.names
        assert not facts[0].is_ready, "a contract that is no gateway was taken for one"
    away = replace(settings, endpoints=(EndpointAddress("nobody", "http://127.0.0.1:9"),), need=1)
    async with chain.adapter.inspector(away) as inspector:
        facts = await inspector.look_at_gateway(question)
    assert {fact.standing for fact in facts} == {Standing.UNTOLD}
