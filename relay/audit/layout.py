"""From a story to its page: what stands where, and under which title (SPEC 4)."""

from __future__ import annotations

from collections.abc import Iterable, Sequence
from typing import Final

from relay.audit.clock_words import moment_words, source_words
from relay.audit.layout_decision import decision_card
from relay.audit.sheet import (
    Block,
    Cell,
    Facts,
    Items,
    Paragraph,
    Section,
    Sheet,
    StampRow,
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
    LogStory,
    Moment,
    Remark,
    Stamp,
    Story,
)
from relay.audit.texts import named, quoted
from relay.core.words import count_words

__all__ = ["MAX_CARDS", "layout"]

MAX_CARDS: Final = 24
"""Decisions that are shown in full; JSON has all of them."""

_VERDICTS: Final = {
    Answer.YES: Cell("everything checked holds", Tone.GOOD),
    Answer.NO: Cell("something does not hold", Tone.BAD),
    Answer.UNKNOWN: Cell("something could not be told", Tone.WARN),
}
_ANSWER_TONES: Final = {Answer.YES: Tone.GOOD, Answer.NO: Tone.BAD, Answer.UNKNOWN: Tone.WARN}
_FOOT: Final = (
    "Made by tocsin audit incident, from signed statements, logs and receipts that were checked on the"
    " machine that made this page. Nothing here was believed because a server said it."
)
_SHORT: Final = 16


def layout(story: Story) -> Sheet:
    """Give the page of a story, in the order in which it is read."""
    sections = (
        Section("Findings", (_findings(story),)),
        Section("Five stamps", (Stamps(tuple(map(_stamp, story.stamps))), Paragraph(_STAMPS, Tone.SOFT))),
        Section("Timeline", (Timeline(story.timeline), Paragraph(_CLOCKS, Tone.SOFT))),
        Section("Decisions", tuple(_decisions(story))),
        Section("Price in gas", (_gas(story),)),
        Section("Logs that were compared", tuple(_logs(story))),
        Section("Signals and other words", (_remarks(story.remarks),)),
        Section("Anchors on a chain", (_anchors(story.anchors),)),
        Section("What this does not show", (Items(tuple(map(words, story.not_shown))),)),
        Section("What this rests on", tuple(_ground(story))),
    )
    return Sheet(
        title=f"Incident at {named(_protocol(story))}",
        subtitle=f"{named(story.title)} · {moment_words(_began(story))}",
        verdict=_VERDICTS[story.answer],
        notices=story.notices,
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
    " rows. What follows an alarm is judged at a block of its own chain, which may be older than the alarm's."
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
        empty=f"None. Checked: {count_words(len(story.bundles), 'bundle')} with every signature, proof and"
        f" receipt in {'it' if len(story.bundles) == 1 else 'them'}, and"
        f" {count_words(len({log.origin for log in story.logs}), 'log')}.",
    )


def _stamp(stamp: Stamp) -> StampRow:
    bound = "at the latest " if stamp.is_bound and stamp.moment is not None else ""
    tone = Tone.PLAIN if stamp.moment is not None else Tone.SOFT
    first = words(f"{bound}{moment_words(stamp.moment)}", tone), words(source_words(stamp.moment), Tone.SOFT)
    also = [
        (words(f"{bound}{moment_words(each)}"), words(source_words(each), Tone.SOFT)) for each in stamp.also
    ]
    return StampRow(stamp.name, (first, *also), stamp.how)


def _decisions(story: Story) -> Iterable[Block]:
    """Give the first decisions in full; of a long incident the others in a row each."""
    yield from (decision_card(each, story.decisions) for each in story.decisions[:MAX_CARDS])
    rows = tuple(
        (
            words(f"{each.op} “{named(each.subject)}” of {named(each.protocol)}, {each.tier}"),
            words(moment_words(each.anchor)),
            words(", ".join(map(quoted, each.certified_by))),
            words(", ".join(_outcome(call) for call in each.calls)),
        )
        for each in story.decisions[MAX_CARDS:]
    )
    if rows:
        yield Table(("decision", "anchored at", "behind it", "came of it"), rows)


def _outcome(call: CallStory) -> str:
    effects = ", ".join(effect.effect for effect in call.effects) or "nothing seen"
    return f"{named(call.act)}: {effects}"


def _gas(story: Story) -> Block:
    rows = tuple((words(chain), words(f"{gas:,}")) for chain, gas in story.gas.items())
    return Table(("chain", "gas of the transactions that members saw"), rows, empty="No call landed.")


def _logs(story: Story) -> Iterable[Block]:
    needed = f"{count_words(story.logs_needed, 'log')} of different members are enough for one honest one"
    yield Paragraph(f"{needed}; read: {len(story.logs)}.")
    if story.compared:
        yield Items(tuple(map(words, story.compared)))
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
    network = _pinned("--network", is_pinned=ground.network_pinned)
    yield Facts(
        (
            ("network", words(f"{quoted(ground.network_name)}: {network}")),
            ("network id", code(ground.network)),
            ("policy", words(_pinned("--policy-hash", is_pinned=ground.policy_pinned))),
            ("policy hash", code(ground.policy_hash)),
            ("plans", words(_pinned("--plan-hash", is_pinned=ground.plans_pinned))),
            ("plan hashes", code("\n".join(ground.plans))),
            (
                "members",
                words(f"{', '.join(map(quoted, ground.members))}; {ground.f} of them may be dishonest"),
            ),
        )
    )


def _pinned(option: str, *, is_pinned: bool) -> str:
    """Say whether the auditor knew a hash beforehand, or takes it from what was given to him."""
    if is_pinned:
        return "as the auditor knew beforehand"
    return f"as the sources say; not held against a hash known beforehand ({option})"
