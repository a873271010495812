"""A plan's page as one HTML file: nothing is fetched, nothing is run (plans SPEC 2). Text out."""

from __future__ import annotations

from collections.abc import Iterable, Sequence
from html import escape

from relay.core.words import count_words, span
from relay.plans.page_facts import ActFacts, LinkFacts, PageFacts, ReportFacts, RuleFacts
from relay.plans.page_sentences import (
    HEARS,
    TAKEN_BACK,
    decides_words,
    hold_words,
    price_figure,
    price_words,
    read_words,
    release_words,
    run_words,
    rung_words,
    stages_words,
    units_words,
)
from relay.plans.page_style import STYLE, STYLE_DIGEST

__all__ = ["html_page"]

# SECURITY: a plan's texts are a stranger's. Each goes through `_t`; the policy lets no script run anyway.
_POLICY = f"default-src 'none'; style-src 'sha256-{STYLE_DIGEST}'; base-uri 'none'; form-action 'none'"
_LINKED = ("mailto:", "https://")


def html_page(facts: PageFacts) -> str:
    """Give the whole page."""
    title = f"{facts.protocol}: response plan {facts.version}"
    parts = (
        _head(facts),
        _figures(facts),
        _section("When it acts", [_rule(facts, rule) for rule in facts.rules], "No rule of its own."),
        _section("What the rules read", _read(facts), "Nothing."),
        _section("What it does", [_act(act) for act in facts.acts], "Nothing: the plan only watches."),
        _section("How long at most", [_bounds(facts)]),
        _section("Who decides", [_list(decides_words(facts))]),
        _section("How it ends", [_end(facts)]),
        _section("Who else hears of it", _links(facts)),
        _section("Reports by people", [_report(report) for report in facts.reports], "None are taken."),
        _section("Its price in false alarms", [_paragraphs(price_words(facts))]),
        _section("Who stands behind it", [_behind(facts)]),
    )
    return (
        '<!doctype html>\n<html lang="en">\n<head>\n<meta charset="utf-8">\n'
        f'<meta http-equiv="Content-Security-Policy" content="{_POLICY}">\n'
        '<meta name="viewport" content="width=device-width, initial-scale=1">\n'
        '<meta name="referrer" content="no-referrer">\n'
        f"<title>{_t(title)}</title>\n<style>{STYLE}</style>\n</head>\n<body>\n<main>\n"
        + "\n".join(parts)
        + f"\n<footer><p>{_t(_FOOT)}</p></footer>\n</main>\n</body>\n</html>\n"
    )


_FOOT = (
    "Made from the plan itself by tocsin plan page. What decides is the plan that the protocol's owner has"
    " registered at the gateways under the hash above."
)


def _t(text: object) -> str:
    return escape(str(text), quote=True)


def _code(text: object) -> str:
    return f"<code>{_t(text)}</code>"


def _section(title: str, content: Sequence[str], otherwise: str = "") -> str:
    inner = "\n".join(content) or f"<p>{_t(otherwise)}</p>"
    return f"<section>\n<h2>{_t(title)}</h2>\n{inner}\n</section>"


def _paragraphs(texts: Iterable[str]) -> str:
    return "\n".join(f"<p>{_t(text)}</p>" for text in texts)


def _list(texts: Iterable[str]) -> str:
    return "<ul>" + "".join(f"<li>{_t(text)}</li>" for text in texts) + "</ul>"


def _names(names: Iterable[str]) -> str:
    return ", ".join(_code(name) for name in names)


def _facts(pairs: Iterable[tuple[str, str]]) -> str:
    """Names and ready-made values."""
    return "<dl>" + "".join(f"<dt>{_t(name)}</dt><dd>{value}</dd>" for name, value in pairs) + "</dl>"


def _card(title: str, *content: str, pill: str = "") -> str:
    mark = f' <span class="pill tier">{_t(pill)}</span>' if pill else ""
    return f'<div class="card"><h3>{_t(title)}{mark}</h3>{"".join(content)}</div>'


def _table(columns: Sequence[str], rows: Iterable[Sequence[str]]) -> str:
    """A table of ready-made cells."""
    head = "".join(f"<th>{_t(column)}</th>" for column in columns)
    body = "".join("<tr>" + "".join(f"<td>{cell}</td>" for cell in row) + "</tr>" for row in rows)
    return f'<div class="scroll"><table><thead><tr>{head}</tr></thead><tbody>{body}</tbody></table></div>'


def _head(facts: PageFacts) -> str:
    mode = "armed" if facts.mode == "armed" else "shadow"
    return (
        f'<header><div class="head"><h1>{_t(facts.protocol)}</h1><span class="pill {mode}">{_t(facts.mode)}'
        f'</span><span class="soft">response plan, version {facts.version}</span></div>'
        f'<p class="lead">{_t(facts.summary)}</p><p>Why: {_t(facts.reason)}.</p></header>'
    )


def _figures(facts: PageFacts) -> str:
    bounds = facts.bounds
    longest = max((act.lasts_s for act in facts.acts), default=0)
    figures = (
        (span(longest), "the longest that one decision lasts"),
        (span(bounds.in_30_days_s), "at most frozen in any 30 days, on each chain"),
        (
            span(min(bounds.fast_time_s, bounds.frozen_time_s)),
            f"of it by fast decisions in {span(bounds.window_s)}",
        ),
        price_figure(facts.price),
    )
    cells = "".join(
        f'<div class="figure"><b>{_t(number)}</b><span>{_t(what)}</span></div>' for number, what in figures
    )
    return f'<div class="figures">{cells}</div>'


def _rule(facts: PageFacts, rule: RuleFacts) -> str:
    rungs = "".join(f"<li>{_t(words)}</li>" for words in rung_words(rule))
    return _card(
        rule.name,
        f"<p>When {_t(rule.words)}.</p><pre>{_t(rule.formula)}</pre>",
        f'<p class="soft">{_t(units_words(facts, rule))}{_t(hold_words(rule))}</p><ol>{rungs}</ol>',
    )


def _read(facts: PageFacts) -> list[str]:
    found = [
        f'<div class="metric"><h3>{_code(metric.name)}</h3><p>{_t(metric.words)}</p>'
        f'<p class="soft">{_t(read_words(metric))}</p></div>'
        for metric in facts.metrics
    ]
    if facts.limits:
        limits = [(_code(name), _t(f"{value:,}")) for name, value in facts.limits]
        found.append(_table(("limit", "value"), limits))
    return found


def _act(act: ActFacts) -> str:
    about = (
        ("calls", _code(act.call)),
        ("on", f"{_code(act.target)}, {_t(act.chain)}"),
        ("through the gateway", _code(act.gateway)),
        ("counts as done when", _code(act.protected_when)),
        ("lasts at most", _t(span(act.lasts_s))),
        ("is taken back", _t(act.undo)),
    )
    return _card(f"{act.name}: {act.verb}", f"<p>{_t(act.meanwhile)}</p>", _facts(about), pill=act.tier)


def _bounds(facts: PageFacts) -> str:
    bounds = facts.bounds
    window = span(bounds.window_s)
    rows = [(_code(act.name), _t(act.verb), _t(span(act.lasts_s))) for act in facts.acts]
    about = (
        ("one act without a break", _t(run_words(bounds.longest_run_s))),
        (f"all acts, in any {window}", _t(span(bounds.frozen_time_s))),
        (
            "of it by fast decisions",
            _t(f"{span(bounds.fast_time_s)}, {count_words(bounds.fast_records, 'new record')}"),
        ),
        ("in any 30 days at most", _t(span(bounds.in_30_days_s))),
    )
    return (
        _table(("act", "verb", "one decision lasts"), rows)
        + _facts(about)
        + f'<p class="soft">{_t(TAKEN_BACK)}</p>'
    )


def _end(facts: PageFacts) -> str:
    formula = "" if facts.release is None else f"<pre>{_t(facts.release.formula)}</pre>"
    words = release_words(facts)
    return f"<p>{_t(words[0])}</p>{formula}{_list(words[1:])}{_paragraphs(stages_words(facts.release))}"


def _links(facts: PageFacts) -> list[str]:
    found = [f"<p>{_t(HEARS)}</p>"]
    found += [_link(link, "listens to") for link in facts.listens]
    found += [_link(link, "is heard by") for link in facts.heard_by]
    if len(found) == 1:
        return ["<p>It listens to no other plan, and no plan given here listens to it.</p>"]
    return found


def _link(link: LinkFacts, how: str) -> str:
    about = [
        ("plan", _code(link.plan)),
        ("shares", _t(link.shares)),
        ("when", _code(link.formula)),
        ("then", _names(link.acts)),
        (
            "at most",
            _t(f"{count_words(link.max_hops, 'hop')} away, {count_words(link.records, 'decision')} a window"),
        ),
    ]
    if link.exposure is not None:
        about.append(("at stake", _code(link.exposure)))
    return _card(f"{how} {link.name}", _facts(about))


def _report(report: ReportFacts) -> str:
    about = [
        ("who", "<br>".join(_code(key) for key in report.reporters)),
        ("needed", _t(f"{report.need} of {len(report.reporters)}")),
        ("then", _names(report.acts)),
        ("at most", _t(f"{count_words(report.records, 'decision')} a window")),
    ]
    if report.formula is not None:
        about.append(("and only when", _code(report.formula)))
    return _card(report.name, _facts(about))


def _behind(facts: PageFacts) -> str:
    signed = _names(facts.signers) or "nobody yet: what decides is the registration on chain"
    return _facts(
        (
            ("contacts", "<br>".join(_contact(contact) for contact in facts.contacts) or "none"),
            ("hash", _code(facts.hash)),
            ("signed by", signed),
        )
    )


def _contact(text: str) -> str:
    # SECURITY: only ways that run nothing become links.
    if not text.lower().startswith(_LINKED):
        return _code(text)
    return f'<a href="{_t(text)}" rel="noopener noreferrer">{_t(text)}</a>'
