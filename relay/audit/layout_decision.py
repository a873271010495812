"""How a decision is laid out on a story's page: its condition, voices, values, calls (SPEC 4)."""

from __future__ import annotations

from collections.abc import Iterable, Sequence
from typing import Final

from relay.audit.clock_words import moment_words, source_words
from relay.audit.sheet import (
    Block,
    Card,
    Cell,
    Facts,
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
    Voice,
)
from relay.audit.texts import quoted
from relay.core.words import joined, number_words, span

__all__ = ["decision_card"]

_STANCES: Final = {
    "attest": Cell("attests", Tone.GOOD),
    "dissent": Cell("dissents", Tone.BAD),
    "abstain": Cell("abstains", Tone.WARN),
    "astray": Cell("attests to another mandate", Tone.BAD),
    "absent": Cell("not heard of", Tone.WARN),
}


def decision_card(decision: DecisionStory) -> Card:
    """Give everything that is known of one decision."""
    at = f"{moment_words(decision.anchor)}, {source_words(decision.anchor)}"
    about: list[tuple[str, Cell]] = [
        ("plan of", words(quoted(decision.protocol))),
        ("anchored at", words(at)),
        ("certificate", words(f"{decision.certificate}; {_behind(decision)}")),
        ("good until", words(f"{moment_words(decision.not_after)}, by that chain's clock")),
        ("decision", code(decision.id)),
    ]
    if decision.parent is not None:
        about.insert(1, ("follows", code(decision.parent)))
    if decision.reporters:
        about.insert(1, ("reported by", code("\n".join(decision.reporters))))
    blocks: list[Block] = []
    if decision.condition:
        blocks += [Paragraph(f"When {quoted(decision.condition_words)}."), Lines(decision.condition)]
    blocks += [
        Facts(tuple(about)),
        Table(_VOICES, tuple(_voice(voice) for voice in decision.voices)),
        *_values(decision),
    ]
    blocks += [_call(call, decision.members) for call in decision.calls]
    return Card(f"{decision.op} “{quoted(decision.subject)}”{_rung(decision)}", decision.tier, tuple(blocks))


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
        rows = tuple(row for group in _grouped(decision.metrics) for row in _metric(group))
        yield Table(("read", "value", "by", "from"), rows)
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


def _grouped(metrics: Sequence[MetricStory]) -> Iterable[tuple[MetricStory, ...]]:
    """Put the entries of one map together, where all read the same; what differs stands alone."""
    group: list[MetricStory] = []
    for metric in metrics:
        if group and (metric.differs or group[0].differs or _about(metric) != _about(group[0])):
            yield tuple(group)
            group = []
        group.append(metric)
    if group:
        yield tuple(group)


def _about(metric: MetricStory) -> tuple[str, tuple[str, ...]]:
    return metric.name.partition("[")[0], metric.readings[0].members


def _metric(group: tuple[MetricStory, ...]) -> Iterable[tuple[Cell, ...]]:
    first = group[0]
    source = f"{first.source} on {first.chain}" if first.chain else first.source
    unit = f" {first.unit}" if first.unit else ""
    if len(group) > 1:
        entries = " · ".join(f"{_entry(each)} {_shown(each.readings[0].value)}" for each in group)
        by = words(", ".join(map(quoted, first.readings[0].members)))
        yield code(_about(first)[0]), words(f"{entries}{unit}"), by, words(source, Tone.SOFT)
        return
    tone = Tone.BAD if first.differs else Tone.PLAIN
    for number, reading in enumerate(first.readings):
        mark = " (differs)" if first.differs else ""
        yield (
            code("" if number else first.name),
            words(f"{_shown(reading.value)}{unit}{mark}", tone),
            words(", ".join(map(quoted, reading.members)), tone),
            words("" if number else source, Tone.SOFT),
        )


def _entry(metric: MetricStory) -> str:
    return quoted(metric.name.partition("[")[2].removesuffix("]"))


def _shown(value: str) -> str:
    return number_words(int(value)) if value.removeprefix("-").isdigit() else value


def _call(call: CallStory, members: int) -> Card:
    about: list[tuple[str, Cell]] = [
        ("calls", code(call.call or "not told by the plan")),
        ("on", code(call.target or "not told by the plan")),
        ("chain", words(call.chain)),
        ("through the gateway", code(call.gateway)),
        ("for", words(span(call.duration_s))),
    ]
    blocks: list[Block] = [Facts(tuple(about))]
    blocks += [_effect(effect, members) for effect in call.effects]
    if not call.effects:
        blocks.append(Paragraph("Nobody signed to have seen an effect.", Tone.WARN))
    return Card(f"“{quoted(call.act)}”", call.verb or "act", tuple(blocks))


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
