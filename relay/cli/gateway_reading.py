"""Gateways as enough endpoints say: who is asked, which plans name which gateway, one block for all reads."""

from __future__ import annotations

import asyncio
from collections.abc import Iterable, Sequence
from dataclasses import dataclass, replace
from pathlib import Path

from relay.chains import load_adapters, open_chain
from relay.chains.ballot import Ballot
from relay.chains.loading import adapter_of
from relay.cli.node_files import this_node
from relay.cli.plan import read_plan
from relay.cli.settings import Settings
from relay.config import find_directory, read_private_line
from relay.config.addresses import CAIP2, is_rpc_url
from relay.core.errors import ChainError, ConfigError, NoAgreement
from relay.core.gateway_report import ActReport, ActTerms, GatewayReport, NoGateway, Survey
from relay.core.office import GatewayOffice
from relay.core.plan import Act, Plan
from relay.core.ports import Adapter, ChainSettings, EncodedAct, EndpointAddress
from relay.core.types import ActId, Caip2, Gateway, Header, PlanHash

PATIENCE = 20
"""A survey is several round trips: it may take this many times an endpoint's timeout."""


@dataclass(frozen=True, slots=True)
class PlannedAct:
    """An act as a plan has it, and as its gateway would know it."""

    act: Act
    encoded: EncodedAct

    @property
    def name(self) -> str:
        return self.act.text.name


@dataclass(frozen=True, slots=True)
class PlannedGateway:
    """A gateway and the plans that name it, newest versions first, with their acts there."""

    chain: Caip2
    gateway: Gateway
    plans: tuple[Plan, ...] = ()
    acts: tuple[PlannedAct, ...] = ()

    def name_of(self, act: ActId) -> str:
        """The act's name in a plan; its id's beginning where no plan is known that has it."""
        names = (each.name for each in self.acts if each.encoded.act_id == act)
        return next(names, f"0x{act.hex()[:16]}…")

    def terms_of(self, act: ActReport) -> ActTerms | None:
        """What an act does; in a plan's own words where its hash says that it is that plan's act."""
        terms = act.terms
        same = (each.act.text for each in self.acts if each.encoded.act_hash == act.act_hash)
        text = next(same, None)
        if terms is None or text is None:
            return terms
        return replace(terms, call=text.call, state=text.state, undo_call=text.undo or text.restore or "")

    def plan_name(self, digest: PlanHash) -> str:
        """A plan by its hash: protocol and version where it is known."""
        names = (f"{plan.protocol} {plan.version} " for plan in self.plans if plan.hash == digest)
        return f"{next(names, '')}{digest.hex()}"


@dataclass(frozen=True, slots=True)
class Reading:
    """What `agreeing` of `asked` endpoints said alike; `dissenting` operators said something else."""

    survey: Survey
    agreeing: int
    asked: int
    dissenting: tuple[str, ...]


def adapter_for(chain: Caip2) -> Adapter:
    """The installed adapter of a chain; raises `ConfigError` where there is none."""
    return adapter_of(chain, load_adapters())


def office_for(chain: Caip2) -> GatewayOffice:
    """What the chain's adapter knows of gateways."""
    return adapter_for(chain).office()


def parse_place(text: str) -> PlannedGateway:
    """Read CHAIN:ADDRESS, as eip155:1:0x….

    Raises:
        ConfigError: it is another text.
    """
    chain, _, address = text.rpartition(":")
    if CAIP2.fullmatch(chain) is None:
        raise ConfigError("ADDRESS", f"expected CHAIN:ADDRESS as eip155:1:0x…, got {text!r}")
    return PlannedGateway(Caip2(chain), adapter_for(Caip2(chain)).gateway_address(address))


def settings_for(settings: Settings, chain: Caip2, rpc: Sequence[str]) -> ChainSettings | None:
    """How to read a chain: by `--rpc`, or as node.toml says; None where neither does."""
    if rpc:
        addresses = tuple(
            EndpointAddress(f"rpc-{number}", _url(text)) for number, text in enumerate(rpc, start=1)
        )
        return ChainSettings(chain, addresses, need=len(addresses) // 2 + 1)
    if not has_node(settings):
        return None
    return next((each for each in this_node(settings).chains if each.chain == chain), None)


def needed_settings(settings: Settings, chain: Caip2, rpc: Sequence[str]) -> ChainSettings:
    """The same; raises `ConfigError` where nothing says how to read the chain."""
    found = settings_for(settings, chain, rpc)
    if found is None:
        raise ConfigError(
            f"chain {chain}", "expected an endpoint, got none", remedy="give --rpc URL, or --home of a node"
        )
    return found


def has_node(settings: Settings) -> bool:
    """Whether there is a node's directory; one that was asked for and is not there is a `ConfigError`."""
    try:
        find_directory(settings.home_directory, settings.network)
    except ConfigError:
        if settings.home is not None or settings.network is not None:
            raise
        return False
    return True


def _url(text: str) -> str:
    # SECURITY: an address may hold a key: no error repeats it.
    url = read_private_line(Path(text[1:]), where="--rpc") if text.startswith("@") else text
    if not is_rpc_url(url, ("http", "https")):
        raise ConfigError(
            "--rpc", "expected http://host… or https://host…, or @FILE with one, got other text"
        )
    return url


# ---- which plan names which gateway


def gateways_of(plans: Iterable[Plan]) -> tuple[PlannedGateway, ...]:
    """Every gateway that these plans name, with the acts that they have there."""
    found: dict[tuple[Caip2, Gateway], PlannedGateway] = {}
    for plan in plans:
        for chain, each in plan.chains.items():
            if each.gateway is None:
                continue
            adapter = adapter_for(chain)
            key = chain, adapter.gateway_address(each.gateway)
            known = found.get(key, PlannedGateway(*key))
            found[key] = replace(
                known,
                plans=(*known.plans, plan),
                acts=(*known.acts, *acts_on(plan, chain, adapter)),
            )
    return tuple(found[key] for key in sorted(found))


def acts_on(plan: Plan, chain: Caip2, adapter: Adapter) -> tuple[PlannedAct, ...]:
    """The plan's acts on one chain, as its gateway knows them."""
    return tuple(
        PlannedAct(act, adapter.encode_act(act.text)) for act in plan.acts.values() if act.text.chain == chain
    )


def node_plans(settings: Settings) -> tuple[Plan, ...]:
    """The plans of the node meant by --home, newest versions first; none where there is no node.

    One that is refused is named and left out: the others' gateways can be read all the same.
    """
    if not has_node(settings):
        return ()
    plans: list[Plan] = []
    for file in sorted(this_node(settings).plans.glob("*/*.plan.toml")):
        try:
            plans.append(read_plan(file))
        except ConfigError as error:
            settings.say(f"left out: {error}")
    return tuple(sorted(plans, key=lambda plan: (plan.protocol, -plan.version)))


def with_plans(place: PlannedGateway, plans: Iterable[Plan]) -> PlannedGateway:
    """The same gateway with what these plans say of it."""
    same = (each for each in gateways_of(plans) if (each.chain, each.gateway) == (place.chain, place.gateway))
    return next(same, place)


# ---- reading


async def read_gateway(settings: ChainSettings, place: PlannedGateway) -> Reading:
    """Ask every endpoint for all of a gateway, at the newest block that enough of them have.

    Raises:
        ChainError: too few agree on a block or on what the gateway is.
        ConfigError: no adapter serves the chain.
    """
    adapters = load_adapters()
    async with open_chain(settings, adapters) as chain:
        at = (await chain.quorum.head()).value
    office = adapter_of(settings.chain, adapters).office()
    known = tuple(dict.fromkeys(each.encoded.act_id for each in place.acts))
    async with asyncio.TaskGroup() as group:
        tasks = [
            group.create_task(_ask(office, settings, address, at, place.gateway, known))
            for address in settings.endpoints
        ]
    return _counted(settings, at, [task.result() for task in tasks])


async def _ask(
    office: GatewayOffice,
    settings: ChainSettings,
    address: EndpointAddress,
    at: Header,
    gateway: Gateway,
    known: Sequence[ActId],
) -> tuple[str, Survey | str]:
    """One endpoint's answer, or why there is none."""
    try:
        async with asyncio.timeout(PATIENCE * settings.timeout_ms / 1_000):
            return address.operator, await office.survey(settings, address, at, gateway, known)
    except ChainError as error:
        return address.operator, error.problem
    except TimeoutError:
        return address.operator, "no answer in time"


def _counted(settings: ChainSettings, at: Header, answers: Sequence[tuple[str, Survey | str]]) -> Reading:
    ballot: Ballot[Survey] = Ballot(settings.need)
    surveys = [(operator, answer) for operator, answer in answers if not isinstance(answer, str)]
    for operator, survey in surveys:
        ballot.add(operator, _comparable(survey))
    winner = ballot.winner
    if winner is None:
        problems = [f"{operator}: {answer}" for operator, answer in answers if isinstance(answer, str)]
        detail = "; ".join(problems) or "they answer differently"
        problem = f"block {at.block.number}: expected {settings.need} equal answers ({detail})"
        raise NoAgreement(settings.chain, problem)
    value, agreeing = winner
    alike = [survey for _, survey in surveys if _comparable(survey) == value]
    others = tuple(name for name, survey in surveys if _comparable(survey) != value)
    return Reading(_with_rebuilt(value, alike, settings.need), agreeing, len(answers), others)


def _comparable(survey: Survey) -> Survey:
    """What honest endpoints give alike: not all of them run a constructor in `eth_call`."""
    if isinstance(survey, NoGateway):
        return survey
    return _rebuilt(survey, None, None)


def _with_rebuilt(value: Survey, alike: Sequence[Survey], need: int) -> Survey:
    """Put back what enough of those that agree said of the constructors."""
    if isinstance(value, NoGateway):
        return value
    reports = [survey for survey in alike if isinstance(survey, GatewayReport)]
    gateways = [report.code.is_rebuilt for report in reports]
    verifiers = [report.verifier.code.is_rebuilt for report in reports if report.verifier is not None]
    return _rebuilt(value, _voted(gateways, need), _voted(verifiers, need))


def _voted(said: Sequence[bool | None], need: int) -> bool | None:
    return next((verdict for verdict in (True, False) if said.count(verdict) >= need), None)


def _rebuilt(report: GatewayReport, gateway: bool | None, verifier: bool | None) -> GatewayReport:
    behind = report.verifier
    if behind is not None:
        behind = replace(behind, code=replace(behind.code, is_rebuilt=verifier))
    return replace(report, code=replace(report.code, is_rebuilt=gateway), verifier=behind)


__all__ = [
    "PlannedAct",
    "PlannedGateway",
    "Reading",
    "acts_on",
    "adapter_for",
    "gateways_of",
    "has_node",
    "needed_settings",
    "node_plans",
    "office_for",
    "parse_place",
    "read_gateway",
    "settings_for",
    "with_plans",
]
