"""How a decision is laid out on a story's page: its condition, voices, values, calls (SPEC 4)."""

from __future__ import annotations

from collections.abc import Iterable, Sequence
from typing import Final

from relay.audit.clock_words import moment_words, source_words
from relay.audit.related import done_before, parent_words
from relay.audit.rule_words import value_words
from relay.audit.sheet import (
    Block,
    Card,
    Cell,
    Facts,
    Items,
    Lines,
    Paragraph,
    Table,
    Tone,
    code,
    words,
)
from relay.audit.story import (
    CallStory,
    DecisionStory,
    EffectStory,
    MetricStory,
    Reading,
    Voice,
)
from relay.audit.texts import quoted
from relay.core.words import joined, span

__all__ = ["decision_card"]

_STANCES: Final = {
    "attest": Cell("attests", Tone.GOOD),
    "dissent": Cell("dissents", Tone.BAD),
    "abstain": Cell("abstains", Tone.WARN),
    "astray": Cell("attests to another mandate", Tone.BAD),
    "absent": Cell("not heard of", Tone.WARN),
}


_TRUE: Final = "◄"


def decision_card(decision: DecisionStory, decisions: Sequence[DecisionStory]) -> Card:
    """Give everything that is known of one decision among those of its incident."""
    at = f"{moment_words(decision.anchor)}, {source_words(decision.anchor)}"
    about: list[tuple[str, Cell]] = [
        ("plan of", words(quoted(decision.protocol))),
        ("anchored at", words(at)),
        ("certificate", words(f"{decision.certificate}; {_behind(decision)}")),
        ("good until", words(f"{moment_words(decision.not_after)}, by that chain's clock")),
        ("decision", code(decision.id)),
    ]
    follows = parent_words(decision, decisions)
    if decision.parent is not None:
        about.insert(1, ("its id", code(decision.parent)))
        about.insert(1, ("follows", words(parent_words(decision, decisions, is_short=False))))
    if decision.reporters:
        about.insert(1, ("reported by", code("\n".join(decision.reporters))))
    blocks: list[Block] = []
    if decision.condition:
        blocks += [Paragraph(f"When {quoted(decision.condition_words)}."), Lines(decision.condition)]
    blocks += _true_for(decision)
    blocks += [
        Facts(tuple(about)),
        Table(_VOICES, tuple(_voice(voice) for voice in decision.voices)),
        *_values(decision),
    ]
    blocks += [_call(decision, call, decisions) for call in decision.calls]
    after = f", after {follows}" if follows else ""
    title = f"{decision.op} “{quoted(decision.subject)}”{_rung(decision)}{after}"
    return Card(title, decision.tier, tuple(blocks))


_VOICES: Final = ("member", "says", "by its own clock", "witnessed", "rule", "in the logs of")


def _rung(decision: DecisionStory) -> str:
    return f", rung {decision.rung}" if decision.rung else ""


def _behind(decision: DecisionStory) -> str:
    names = joined([quoted(name) for name in decision.certified_by])
    return f"{names} stand behind it, {decision.threshold} of {decision.members} are enough"


def _voice(voice: Voice) -> tuple[Cell, ...]:
    stance = _STANCES[voice.stance]
    rule = voice.result + (f" (faulted: {', '.join(voice.faulted)})" if voice.faulted else "")
    return (
        words(quoted(voice.member)),
        stance,
        words("" if voice.said is None else moment_words(voice.said)),
        words("" if voice.witnessed is None else moment_words(voice.witnessed)),
        words(rule, Tone.SOFT),
        words(", ".join(map(quoted, voice.logs)), Tone.SOFT),
    )


def _values(decision: DecisionStory) -> Iterable[Block]:
    if decision.metrics:
        rows = tuple(row for metric in decision.metrics for row in _metric(metric))
        yield Table(("read", "value", "by"), rows)
        if any(metric.makes_true for metric in decision.metrics):
            yield Paragraph(f"{_TRUE} marks the entries for which the rule's comparison is true.", Tone.SOFT)
        yield from _sources(decision.metrics)
    if decision.pins:
        rows = tuple(
            (
                words(pin.chain),
                words(f"{pin.number:,}"),
                words(moment_words(pin.at)),
                words(", ".join(map(quoted, pin.members)), Tone.SOFT),
            )
            for pin in decision.pins
        )
        yield Table(("chain", "read at block", "time of the block", "by"), rows)


def _metric(metric: MetricStory) -> Iterable[tuple[Cell, ...]]:
    tone = Tone.BAD if metric.differs else Tone.STRONG if metric.makes_true else Tone.PLAIN
    for number, reading in enumerate(metric.readings):
        mark = " (differs)" if metric.differs else f" {_TRUE}" if metric.makes_true else ""
        yield (
            code("" if number else metric.name),
            words(f"{_value(metric, reading)}{mark}", tone),
            words(", ".join(map(quoted, reading.members)), Tone.BAD if metric.differs else Tone.SOFT),
        )


def _value(metric: MetricStory, reading: Reading) -> str:
    return quoted(value_words(reading.value, metric.unit))


def _true_for(decision: DecisionStory) -> Iterable[Block]:
    """Say at which entries of its maps a rule was true, and what was read there."""
    entries: dict[tuple[str, str], list[MetricStory]] = {}
    for metric in decision.metrics:
        if metric.makes_true:
            entries.setdefault((_entry(metric), metric.makes_true), []).append(metric)
    items = tuple(
        words(f"“{quoted(text)}” is true for {quoted(entry)}: {joined([_read(each) for each in metrics])}.")
        for (entry, text), metrics in entries.items()
    )
    if items:
        yield Items(items)


def _read(metric: MetricStory) -> str:
    values = " or ".join(_value(metric, reading) for reading in metric.readings)
    return f"{quoted(metric.name.partition('[')[0])} {values}"


def _sources(metrics: Sequence[MetricStory]) -> Iterable[Block]:
    """Say what each metric reads, and where."""
    told = {
        metric.name.partition("[")[0]: f"{metric.source} on {metric.chain}" if metric.chain else metric.source
        for metric in metrics
        if metric.source
    }
    if told:
        yield Facts(
            tuple((f"{quoted(name)} reads", words(quoted(what), Tone.SOFT)) for name, what in told.items())
        )


def _entry(metric: MetricStory) -> str:
    return metric.name.partition("[")[2].removesuffix("]")


def _call(decision: DecisionStory, call: CallStory, decisions: Sequence[DecisionStory]) -> Card:
    about: list[tuple[str, Cell]] = [
        ("calls", code(call.call or "not told by the plan")),
        ("on", code(call.target or "not told by the plan")),
        ("chain", words(call.chain)),
        ("through the gateway", code(call.gateway)),
        ("for", words(span(call.duration_s))),
    ]
    blocks: list[Block] = [Facts(tuple(about))]
    blocks += [_effect(effect, decision.members) for effect in call.effects]
    if not call.effects:
        blocks.append(_without_effect(decision, call, decisions))
    return Card(f"“{quoted(call.act)}”", call.verb or "act", tuple(blocks))


def _without_effect(
    decision: DecisionStory, call: CallStory, decisions: Sequence[DecisionStory]
) -> Paragraph:
    found = done_before(decision, call, decisions)
    if found is None:
        return Paragraph("Nobody signed to have seen an effect.", Tone.WARN)
    by, effect = found
    follows = parent_words(by, decisions)
    after = f", which came after {follows}" if follows else ""
    at = f"{moment_words(effect.at)}, {source_words(effect.at)}"
    return Paragraph(
        f"Not needed: its act was done by the {by.tier} decision “{quoted(by.subject)}”{after}."
        f" It took effect on {at}."
    )


def _effect(effect: EffectStory, members: int) -> Facts:
    seen = f"{', '.join(map(quoted, effect.seen_by))} ({len(effect.seen_by)} of {members})"
    honest = "an honest member is among them" if effect.is_seen_by_an_honest_member else "all of them may lie"
    final = ", ".join(map(quoted, effect.final_by)) or "nobody signed that the block is final"
    shown = (
        words(f"proved: {effect.receipt}", Tone.GOOD)
        if effect.receipt is not None
        else words("not here: members' words alone", Tone.WARN)
    )
    about = [
        ("effect", words(f"{effect.effect}, block {effect.block_number:,}, {moment_words(effect.at)}")),
        ("receipt", shown),
        ("seen by", words(f"{seen}; {honest}")),
        ("final by", words(final, Tone.PLAIN if effect.final_by else Tone.SOFT)),
        ("transaction", code(f"0x{effect.tx}")),
        ("gas", words(f"{effect.gas:,}")),
    ]
    if effect.until is not None:
        about.insert(1, ("until", words(moment_words(effect.until))))
    return Facts(tuple(about))
