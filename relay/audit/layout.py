"""From a story to its page: what stands where, and under which title (SPEC 4)."""

from __future__ import annotations

from collections.abc import Iterable, Sequence
from typing import Final

from relay.audit.lead import day_words, time_words
from relay.audit.sheet import (
    Block,
    Card,
    Cell,
    Facts,
    Items,
    Lines,
    Paragraph,
    Section,
    Sheet,
    Stamps,
    Table,
    Timeline,
    Tone,
    code,
    words,
)
from relay.audit.story import (
    AnchorStory,
    Answer,
    CallStory,
    Clock,
    DecisionStory,
    EffectStory,
    LogStory,
    MetricStory,
    Moment,
    Remark,
    Stamp,
    Story,
    Voice,
)
from relay.audit.texts import quoted
from relay.core.words import count_words, joined, number_words, span

__all__ = ["layout", "moment_words", "source_words"]

_VERDICTS: Final = {
    Answer.YES: Cell("everything checked holds", Tone.GOOD),
    Answer.NO: Cell("something does not hold", Tone.BAD),
    Answer.UNKNOWN: Cell("something could not be told", Tone.WARN),
}
_ANSWER_TONES: Final = {Answer.YES: Tone.GOOD, Answer.NO: Tone.BAD, Answer.UNKNOWN: Tone.WARN}
_STANCES: Final = {
    "attest": Cell("attests", Tone.GOOD),
    "dissent": Cell("dissents", Tone.BAD),
    "abstain": Cell("abstains", Tone.WARN),
    "astray": Cell("attests to another mandate", Tone.BAD),
    "absent": Cell("not heard of", Tone.WARN),
}
_FOOT: Final = (
    "Made by tocsin audit incident, from signed statements, logs and receipts that were checked on the"
    " machine that made this page. Nothing here was believed because a server said it."
)
_SHORT: Final = 16


def moment_words(moment: Moment | None) -> str:
    """A time as people write it; `not told` where there is none."""
    if moment is None:
        return "not told"
    at = time_words(moment.at_ms)
    if moment.clock is Clock.SELF_ASSERTED:
        # Members answer within a second of each other.
        at = at.replace(" UTC", f".{moment.at_ms % 1_000:03d} UTC")
    return f"{day_words(moment.at_ms)}, {at}"


def source_words(moment: Moment | None) -> str:
    """Whose word a time is."""
    if moment is None:
        return ""
    return f"{quoted(moment.whose)} ({moment.clock.value})"


def layout(story: Story) -> Sheet:
    """Give the page of a story, in the order in which it is read."""
    sections = (
        Section("Findings", (_findings(story),)),
        Section("Five stamps", (Stamps(tuple(map(_stamp, story.stamps))), Paragraph(_STAMPS, Tone.SOFT))),
        Section("Timeline", (Timeline(story.timeline), Paragraph(_CLOCKS, Tone.SOFT))),
        Section("Decisions", tuple(_decision(story, each) for each in story.decisions)),
        Section("Price in gas", (_gas(story),)),
        Section("Logs that were compared", tuple(_logs(story))),
        Section("Signals and other words", (_remarks(story.remarks),)),
        Section("Anchors on a chain", (_anchors(story.anchors),)),
        Section("What this does not show", (Items(tuple(map(words, story.not_shown))),)),
        Section("What this rests on", tuple(_ground(story))),
    )
    return Sheet(
        title=f"Incident at {quoted(_protocol(story))}",
        subtitle=f"{quoted(story.title)} · {moment_words(_began(story))}",
        verdict=_VERDICTS[story.answer],
        lead=Paragraph(" ".join(story.lead), is_lead=True),
        sections=sections,
        foot=_FOOT,
    )


_STAMPS: Final = (
    "The stamps are those of VERIS, the vocabulary in which incidents are compared. “At the latest” means"
    " that it was so by then; the log does not tell how much earlier it began."
)
_CLOCKS: Final = (
    "Chains and members have clocks of their own, which nothing makes agree; so their moments stand in two"
    " rows."
)


def _protocol(story: Story) -> str:
    return next(
        (each.protocol for each in story.decisions if each.id == story.incident), "an unknown protocol"
    )


def _began(story: Story) -> Moment | None:
    return next((each.anchor for each in story.decisions if each.id == story.incident), None)


def _findings(story: Story) -> Items:
    return Items(
        tuple(
            words(f"{each.name}: {quoted(each.words)}", _ANSWER_TONES[each.answer]) for each in story.findings
        ),
        empty="Everything that was asked for was checked, and it holds.",
    )


def _stamp(stamp: Stamp) -> tuple[str, Cell, Cell, str]:
    bound = "at the latest " if stamp.is_bound and stamp.moment is not None else ""
    tone = Tone.PLAIN if stamp.moment is not None else Tone.SOFT
    also = "".join(f"; {moment_words(each)} ({source_words(each)})" for each in stamp.also)
    when = f"{bound}{moment_words(stamp.moment)}{also}"
    return stamp.name, words(when, tone), words(source_words(stamp.moment), Tone.SOFT), stamp.how


def _decision(story: Story, decision: DecisionStory) -> Card:
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
    blocks += [_call(call, story.ground.members) for call in decision.calls]
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


def _call(call: CallStory, members: Sequence[str]) -> Card:
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


def _effect(effect: EffectStory, members: Sequence[str]) -> Facts:
    seen = f"{', '.join(map(quoted, effect.seen_by))} ({len(effect.seen_by)} of {len(members)})"
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


def _gas(story: Story) -> Block:
    rows = tuple((words(chain), words(f"{gas:,}")) for chain, gas in story.gas.items())
    return Table(("chain", "gas of the transactions that members saw"), rows, empty="No call landed.")


def _logs(story: Story) -> Iterable[Block]:
    needed = f"{count_words(story.logs_needed, 'log')} of different members are enough for one honest one"
    yield Paragraph(f"{needed}; read: {len(story.logs)}.")
    yield Table(_LOGS, tuple(_log(log) for log in story.logs), empty="No log was read.")
    rows = tuple(
        (words(each.source), words(quoted(each.member)), words(f"{each.decisions}"), words(f"{each.records}"))
        for each in story.bundles
    )
    yield Table(("bundle from", "of the log of", "decisions", "records"), rows)


_LOGS: Final = ("log of", "from", "size", "read", "about this", "cosigned by", "witnessed")


def _log(log: LogStory) -> tuple[Cell, ...]:
    read = "all" if log.is_read_whole else f"the newest {log.entries_read:,}"
    strange = f", {log.strange_entries} strange" if log.strange_entries else ""
    return (
        words(quoted(log.member)),
        words(log.source),
        words(f"{log.size:,}"),
        words(f"{read}{strange}"),
        words(f"{log.statements}"),
        words(", ".join(map(_cosigner, log.cosigned_by)) or "nobody"),
        words(moment_words(log.witnessed)),
    )


def _cosigner(name: str) -> str:
    """A cosigner key's name; of a member's (`proofs/SPEC.md` 3) the member's alone."""
    return quoted(name.removesuffix("/cosigner").rpartition("/")[2] if name.endswith("/cosigner") else name)


def _remarks(remarks: Sequence[Remark]) -> Block:
    rows = tuple(
        (
            words(quoted(each.member)),
            words(f"{each.kind}: {quoted(each.words)}"),
            words(moment_words(each.said)),
            _opened(each),
        )
        for each in remarks
    )
    return Table(("member", "says", "by its own clock", "sealed words"), rows, empty="None is about this.")


def _opened(remark: Remark) -> Cell:
    if remark.disclosed:
        text = "; ".join(f"{quoted(each.field)}: “{quoted(each.value)}”" for each in remark.disclosed)
        return words(text, Tone.GOOD)
    if remark.sealed is None:
        return words("")
    return words(f"sealed; record {remark.digest[:_SHORT]}…", Tone.SOFT)


def _anchors(anchors: Sequence[AnchorStory] | None) -> Block:
    if anchors is None:
        return Paragraph("Anchors were not looked at.", Tone.SOFT)
    rows = tuple(
        (
            words(f"{each.chain}, block {each.block_number:,}"),
            words(each.log or f"unknown {each.origin_hash[:_SHORT]}…"),
            words(f"{each.size:,}"),
            words(each.words, _ANCHOR_TONES[each.is_consistent]),
        )
        for each in anchors
    )
    return Table(("on", "log", "size", "holds"), rows, empty="The chain has none of this incident yet.")


_ANCHOR_TONES: Final = {True: Tone.GOOD, False: Tone.BAD, None: Tone.WARN}


def _ground(story: Story) -> Iterable[Block]:
    ground = story.ground
    yield Facts(
        (
            ("network", words(f"{quoted(ground.network_name)}, {_pinned(is_pinned=ground.network_pinned)}")),
            ("network id", code(ground.network)),
            ("policy", words(_pinned(is_pinned=ground.policy_pinned))),
            ("policy hash", code(ground.policy_hash)),
            ("plans", words(_pinned(is_pinned=ground.plans_pinned))),
            ("plan hashes", code("\n".join(ground.plans))),
            (
                "members",
                words(f"{', '.join(map(quoted, ground.members))}; {ground.f} of them may be dishonest"),
            ),
        )
    )
    if ground.is_demo:
        yield Paragraph("One committee document says: for demonstration only.", Tone.WARN)


def _pinned(*, is_pinned: bool) -> str:
    return (
        "the one that was given beforehand"
        if is_pinned
        else "not pinned: nothing said beforehand which it is"
    )
