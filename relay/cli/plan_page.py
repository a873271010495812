"""`tocsin plan page`: what users and risk engines read of a plan before they trust it."""

from __future__ import annotations

import json
from dataclasses import asdict
from pathlib import Path

import click

from relay.cli.commands import Command
from relay.cli.plan import read_plan
from relay.cli.plan_files import OUT_FILE, PLAN_FILE, write_text
from relay.cli.settings import Answer, Settings
from relay.core.errors import ConfigError
from relay.core.plan import Plan
from relay.plans.page_facts import Audience, PageFacts, page_facts
from relay.plans.page_html import html_page
from relay.plans.page_markdown import markdown_page
from relay.plans.prices import Price, read_price
from relay.plans.signatures import checksummed, read_signatures_beside

_EPILOG = """\b
Examples:
  tocsin plan page acme.plan.toml -o acme.html
  tocsin plan page acme.plan.toml --markdown -o acme.md --members 7
  tocsin plan page acme.plan.toml --backtest result.json --beside market.plan.toml -o acme.html
  tocsin plan page acme.plan.toml --json | jq .bounds

The HTML is one file: nothing is fetched, no script runs. With --json the same facts for risk engines.
Signatures beside the plan are verified and shown.
"""
_MAX_RESULT_BYTES = 16 << 20


@click.command(cls=Command, epilog=_EPILOG)
@click.argument("file", type=PLAN_FILE)
@click.option("--html", "form", flag_value="html", default="html", help="One HTML file (the default).")
@click.option("--markdown", "form", flag_value="markdown", help="Markdown.")
@click.option("-o", "--out", type=OUT_FILE, help="Where it goes; stdout if not given.")
@click.option("--backtest", type=PLAN_FILE, help="What plan backtest --json gave for this plan.")
@click.option("--members", type=click.IntRange(4, 50), help="How many members the committee has.")
@click.option("--beside", type=PLAN_FILE, multiple=True, help="A plan that may listen to this one; repeat.")
@click.pass_obj
def page(
    settings: Settings,
    file: Path,
    form: str,
    out: Path | None,
    backtest: Path | None,
    members: int | None,
    beside: tuple[Path, ...],
) -> Answer:
    """Write a plan's page: when it acts, what it does, how long at most, who decides, how it ends."""
    plan = read_plan(file)
    audience = Audience(
        members=members,
        signers=tuple(checksummed(each.signer) for each in read_signatures_beside(file, plan)),
        price=None if backtest is None else _price(backtest, plan),
        listeners=tuple(read_plan(each) for each in beside),
    )
    facts = page_facts(plan, audience)
    text = _rendered(facts, "json" if settings.json else form)
    if out is None:
        if not settings.quiet:
            click.echo(text, nl=False)
        return Answer.YES
    write_text(out, text)
    said = f"written: {out}"
    settings.give("plan-page-file", {"file": str(out)}, lambda console: console.print(said, markup=False))
    return Answer.YES


def _rendered(facts: PageFacts, form: str) -> str:
    match form:
        case "json":
            return json.dumps({"schema": "tocsin/plan-page/1", **asdict(facts)}, ensure_ascii=False) + "\n"
        case "markdown":
            return markdown_page(facts)
        case _:
            return html_page(facts)


def _price(file: Path, plan: Plan) -> Price:
    try:
        with file.open("rb") as opened:
            content = opened.read(_MAX_RESULT_BYTES + 1)
    except OSError as error:
        raise ConfigError(str(file), f"expected a readable file, got: {error.strerror}") from error
    if len(content) > _MAX_RESULT_BYTES:
        raise ConfigError(str(file), f"expected at most {_MAX_RESULT_BYTES} bytes, got more")
    return read_price(content, plan, str(file))


__all__ = ["page"]
