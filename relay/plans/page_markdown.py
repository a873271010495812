"""A plan's page as Markdown, for a forum or a repository. Text out."""

from __future__ import annotations

import re
from collections.abc import Iterable, Sequence

from relay.core.words import count_words, span
from relay.plans.page_facts import ActFacts, LinkFacts, PageFacts, ReportFacts, RuleFacts
from relay.plans.page_sentences import (
    HEARS,
    TAKEN_BACK,
    decides_words,
    hold_words,
    price_words,
    read_words,
    release_words,
    run_words,
    rung_words,
    stages_words,
    units_words,
)

__all__ = ["markdown_page"]

_SPECIAL = re.compile(r"([\\`*_{}\[\]<>#|~&$@])")
_ADDRESS = re.compile(r"(?<=:)/(?=/)|(?<=www)\.", re.IGNORECASE)
"""What some renderers make a link of."""
_TICKS = re.compile(r"`+")


def markdown_page(facts: PageFacts) -> str:
    """Give the whole page."""
    parts = [
        f"# {_t(facts.protocol)}: response plan {facts.version} ({_t(facts.mode)})",
        _t(facts.summary),
        f"Why: {_t(facts.reason)}.",
        *_section("When it acts", [_rule(facts, rule) for rule in facts.rules], "No rule of its own."),
        *_section("What the rules read", _read(facts), "Nothing."),
        *_section("What it does", [_act(act) for act in facts.acts], "Nothing: the plan only watches."),
        *_section("How long at most", [_bounds(facts)]),
        *_section("Who decides", [_list(decides_words(facts))]),
        *_section("How it ends", _end(facts)),
        *_section("Who else hears of it", _links(facts), "It listens to no other plan."),
        *_section("Reports by people", [_report(report) for report in facts.reports], "None are taken."),
        *_section("Its price in false alarms", [_t(text) for text in price_words(facts)]),
        *_section("Who stands behind it", [_behind(facts)]),
    ]
    return "\n\n".join(parts) + "\n"


# SECURITY: a plan's texts are a stranger's. Each goes through `_t` or `_code`, which leave no mark of
# Markdown, no tag of HTML and no line end in force.


def _t(text: object) -> str:
    return _ADDRESS.sub(r"\\\g<0>", _SPECIAL.sub(r"\\\1", _line(text)))


def _code(text: object) -> str:
    """Give a code span whose fence no run of backticks within can end."""
    shown = _line(text)
    longest = max((len(run) for run in _TICKS.findall(shown)), default=0)
    fence = "`" * (longest + 1)
    pad = " " if longest else ""
    return f"{fence}{pad}{shown}{pad}{fence}"


def _line(text: object) -> str:
    return " ".join(str(text).split())


def _section(title: str, content: Sequence[str], otherwise: str = "") -> list[str]:
    return [f"## {title}", *(content or [otherwise])]


def _list(texts: Iterable[str]) -> str:
    return "\n".join(f"- {_t(text)}" for text in texts)


def _facts(pairs: Iterable[tuple[str, str]]) -> str:
    """Names and ready-made values."""
    return "\n".join(f"- {_t(name)}: {value}" for name, value in pairs)


def _table(columns: Sequence[str], rows: Iterable[Sequence[str]]) -> str:
    """A table of ready-made cells."""
    lines = [columns, ["---"] * len(columns), *rows]
    return "\n".join("| " + " | ".join(line) + " |" for line in lines)


def _names(names: Iterable[str]) -> str:
    return ", ".join(_code(name) for name in names)


def _rule(facts: PageFacts, rule: RuleFacts) -> str:
    rungs = "\n".join(f"{number}. {_t(words)}" for number, words in enumerate(rung_words(rule), start=1))
    head = f"### {_t(rule.name)}\n\nWhen {_t(rule.words)}.\n\n{_code(rule.formula)}"
    return f"{head}\n\n{_t(units_words(facts, rule) + hold_words(rule))}\n\n{rungs}"


def _read(facts: PageFacts) -> list[str]:
    rows = [f"- {_code(each.name)}: {_t(each.words)}. {_t(read_words(each))}" for each in facts.metrics]
    found = ["\n".join(rows)] if rows else []
    if facts.limits:
        found.append(
            _table(("limit", "value"), [(_code(name), f"{value:,}") for name, value in facts.limits])
        )
    return found


def _act(act: ActFacts) -> str:
    about = (
        ("calls", _code(act.call)),
        ("on", f"{_code(act.target)}, {_t(act.chain)}"),
        ("through the gateway", _code(act.gateway)),
        ("counts as done when", _code(act.protected_when)),
        ("decided by", f"a {_t(act.tier)} quorum"),
        ("lasts at most", _t(span(act.lasts_s))),
        ("is taken back", _t(act.undo)),
    )
    return f"### {_t(act.name)}: {_t(act.verb)}\n\n{_t(act.meanwhile)}\n\n{_facts(about)}"


def _bounds(facts: PageFacts) -> str:
    bounds = facts.bounds
    rows = [(_code(act.name), _t(act.verb), _t(span(act.lasts_s))) for act in facts.acts]
    fast = f"{span(bounds.fast_time_s)}, {count_words(bounds.fast_records, 'new record')}"
    about = (
        ("one act without a break", _t(run_words(bounds.longest_run_s))),
        (f"all acts, in any {span(bounds.window_s)}, on each chain", _t(span(bounds.frozen_time_s))),
        ("of it by fast decisions", _t(fast)),
        ("in any 30 days at most", _t(span(bounds.in_30_days_s))),
    )
    return f"{_table(('act', 'verb', 'one decision lasts'), rows)}\n\n{_facts(about)}\n\n{_t(TAKEN_BACK)}"


def _end(facts: PageFacts) -> list[str]:
    words = release_words(facts)
    formula = [] if facts.release is None else [_code(facts.release.formula)]
    return [_t(words[0]), *formula, _list(words[1:]), *(_t(text) for text in stages_words(facts.release))]


def _links(facts: PageFacts) -> list[str]:
    found = [_link(link, "listens to") for link in facts.listens]
    found += [_link(link, "is heard by") for link in facts.heard_by]
    return [_t(HEARS), *found] if found else []


def _link(link: LinkFacts, how: str) -> str:
    most = f"{count_words(link.max_hops, 'hop')} away, {count_words(link.records, 'decision')} a window"
    about = [
        ("plan", _code(link.plan)),
        ("shares", _t(link.shares)),
        ("when", _code(link.formula)),
        ("then", _names(link.acts)),
        ("at most", _t(most)),
    ]
    if link.exposure is not None:
        about.append(("at stake", _code(link.exposure)))
    return f"### {how} {_t(link.name)}\n\n{_facts(about)}"


def _report(report: ReportFacts) -> str:
    about = [
        ("who", _names(report.reporters)),
        ("needed", f"{report.need} of {len(report.reporters)}"),
        ("then", _names(report.acts)),
        ("at most", _t(f"{count_words(report.records, 'decision')} a window")),
    ]
    if report.formula is not None:
        about.append(("and only when", _code(report.formula)))
    return f"### {_t(report.name)}\n\n{_facts(about)}"


def _behind(facts: PageFacts) -> str:
    return _facts(
        (
            ("contacts", _names(facts.contacts) or "none"),
            ("hash", _code(facts.hash)),
            ("signed by", _names(facts.signers) or "nobody yet: what decides is the registration on chain"),
        )
    )
