"""A plan's parts in plain words: what it watches, what it does, who takes it back. Pure."""

from __future__ import annotations

from collections.abc import Mapping
from typing import assert_never

from relay.core.observations import ReadKind, StateRead
from relay.core.plan import (
    Act,
    ChainMetric,
    EventMetric,
    MatchMetric,
    MatchSide,
    Measure,
    Metric,
    Mode,
    Plan,
    PlanMetric,
    StateMetric,
    Take,
    Verb,
    Watched,
    Weight,
    Window,
)
from relay.core.words import count_words, joined, number_words, span

__all__ = ["VERB_DOES", "act_undo", "metric_words", "summary"]

VERB_DOES = {
    Verb.DRILL: "run a harmless drill",
    Verb.RATE_LIMIT: "limit how fast value leaves",
    Verb.CAP: "lower a cap",
    Verb.MARGIN: "ask for more margin",
    Verb.DISABLE_COLLATERAL: "stop an asset from being used as collateral",
    Verb.DISCONNECT_ORACLE: "stop trusting a price feed",
    Verb.LOCK: "lock funds",
    Verb.HALT_LIQUIDATIONS: "halt liquidations",
    Verb.PAUSE: "pause a contract",
    Verb.FAILOVER: "switch to an implementation that was audited before",
}
_MEASURES = {
    Measure.SUM: "sum of {value} of the events {event}",
    Measure.COUNT: "number of events {event}",
    Measure.MAX: "largest {value} of the events {event}",
    Measure.DISTINCT: "number of different {value} in the events {event}",
}
_TAKES = {
    Take.FIRST: "at the beginning of",
    Take.MIN: "the least in",
    Take.MAX: "the most in",
    Take.MEAN: "the mean, by time, over",
    Take.VARIANCE: "the squared changes (in basis points) added up over",
}


def summary(plan: Plan) -> str:
    """What the plan is, in two or three sentences for somebody who reads nothing else."""
    verbs = sorted({act.verb for act in plan.acts.values()}, key=list(Verb).index)
    chains = sorted({act.text.chain for act in plan.acts.values()})
    longest = max((act.lasts_s for act in plan.acts.values()), default=0)
    budget = plan.budget
    ways = [count_words(len(plan.rules), "rule"), *(["a linked protocol's alarm"] if plan.listen else [])]
    ways += ["a report by people it trusts"] if plan.reports else []
    state = (
        "It is armed: what it decides is carried out."
        if plan.mode is Mode.ARMED
        else "It is in shadow mode: it only watches, and nothing is carried out."
    )
    if not plan.acts:
        return f"The protocol {plan.protocol} is watched under this plan; nothing can be done to it. {state}"
    return (
        f"Under this plan independent validators watch {plan.protocol} and may "
        f"{joined([VERB_DOES[verb] for verb in verbs])} on {joined(chains)}, when one of these asks for it: "
        f"{joined(ways)}. One decision lasts at most {span(longest)}; all of them together may keep things "
        f"frozen for at most {span(budget.frozen_time_s)} in any {span(budget.window_s)} on each chain. "
        f"{state}"
    )


def act_undo(act: Act) -> str:
    """How an act's effect is taken back."""
    if act.text.undo is not None:
        return f"by {act.text.undo}"
    if act.text.restore is not None:
        return f"by {act.text.restore}, with what was read before the call"
    return "not by the network: it stays until the protocol itself takes it back"


def metric_words(metric: Metric) -> str:
    """What a metric is: what is read, where, over which time."""
    match metric:
        case EventMetric():
            return _events(metric)
        case MatchMetric():
            counted = "number" if metric.value is None else f"sum of {metric.value}"
            return (
                f"{counted} of events {_side(metric.found)} that no event {_side(metric.against)} on "
                f"{metric.against.chain} answers for, by equal {joined(metric.found.key)}"
            )
        case StateMetric():
            return _state(metric)
        case PlanMetric():
            which = f" ({', '.join(metric.acts)})" if metric.acts else ""
            return f"how many acts{which} of the gateway {metric.gateway} are in force"
        case ChainMetric(watched=Watched.SILENCE):
            return "seconds since the chain's newest block"
        case ChainMetric():
            return "how many of a validator's own providers disagree on the chain"
        case _:
            assert_never(metric)


def _events(metric: EventMetric) -> str:
    value = metric.value or ""
    if metric.per is not None:
        value = f"{metric.value} / {metric.per}, times {10**metric.ratio_scale:,},"
    words = _MEASURES[metric.measure].format(value=value, event=_name(metric.event))
    parts = [f"{words} of {metric.address}"]
    if metric.minus is not None:
        taken = "" if metric.minus.value is None else f"{metric.minus.value} of "
        parts.append(f"less {taken}the events {_name(metric.minus.event)}")
    if metric.where:
        parts.append(_where(metric.where))
    if metric.by:
        parts.append("for each " + joined(metric.by))
    if metric.keys:
        parts.append(f"({', '.join(key.name for key in metric.keys.values())})")
    if metric.at_least > 1:
        parts.append(f"seen {metric.at_least} times or more,")
    if metric.reduce is not None:
        parts.append("the largest of them," if metric.reduce.value == "max" else "all together,")
    parts.append(_since(metric.window))
    return " ".join(parts) + _weight(metric.weight)


def _side(side: MatchSide) -> str:
    words = f"{_name(side.event)} of {side.address}"
    return f"{words} {_where(side.where)}" if side.where else words


def _where(where: Mapping[str, str]) -> str:
    return "where " + joined([f"{field} is {text}" for field, text in where.items()])


def _state(metric: StateMetric) -> str:
    words = _read(metric.read)
    if metric.over is not None:
        window = metric.over.window
        words += f", {_TAKES[metric.over.take]} the {_window(window)}"
    if metric.equals is not None:
        return f"1 where this is {number_words(metric.equals)}, else 0: {words}"
    return words + _weight(metric.weight)


def _read(read: StateRead) -> str:
    match read.kind:
        case ReadKind.CALL:
            shown = ", ".join(str(argument) for argument in read.args)
            call = f"{_name(read.call)}({shown})"
            part = f", {read.path}" if read.path else f", word {read.word}" if read.word else ""
            return f"what {call} of {read.address} gives{part}"
        case ReadKind.STORAGE:
            return f"storage slot {read.slot} of {read.address}"
        case ReadKind.BALANCE:
            coin = "the chain's coin" if read.token is None else f"the token {read.token}"
            return f"what {read.address} holds of {coin}"
        case ReadKind.SUPPLY:
            return f"the total supply of {read.address}"
        case ReadKind.CODE_HASH:
            return f"the hash of the code of {read.address}"
        case ReadKind.ORACLE:
            return f"the price that the feed {read.address} gives, and its age in seconds"
        case _:
            assert_never(read.kind)


def _since(window: Window | None) -> str:
    return "since the plan began" if window is None else f"in the {_window(window)}"


def _window(window: Window) -> str:
    if window.seconds is not None:
        return f"last {span(window.seconds)}"
    return f"last {count_words(window.blocks or 0, 'block')}"


def _weight(weight: Weight) -> str:
    price = f" × {weight.price:,}" if weight.price != 1 else ""
    scale = f" ÷ 10^{weight.scale}" if weight.scale else ""
    return price + scale


def _name(call: str) -> str:
    """Give a call's or an event's name without its types."""
    return call.partition("(")[0].strip()
