"""From the text of a plan to a `Plan`, and from its canonical bytes to the same (SPEC 5.5)."""

from __future__ import annotations

import re
import tomllib
from dataclasses import replace
from functools import partial

from proofs.canonical import CanonicalError, decode, encode
from proofs.hashes import tagged
from relay.core import plan as limits
from relay.core import plan_forms as forms
from relay.core import plan_parts as parts
from relay.core.errors import PlanError
from relay.core.plan import Mode, Plan
from relay.core.plan_checks import check_plan
from relay.core.plan_metrics import Chains, read_metric
from relay.core.plan_source import Source
from relay.core.plan_tables import Table
from relay.core.types import Caip2, PlanHash

MAX_CANONICAL_BYTES = 2 * limits.MAX_TEXT_BYTES
_AT_LINE = re.compile(r"\(at line (\d+), column \d+\)")


def parse_plan(text: str, *, where: str) -> Plan:
    """Read a plan file; `where` is its name for errors.

    Raises:
        PlanError: the first of `survey_plan`.
    """
    found = survey_plan(text, where=where)
    if isinstance(found, Plan):
        return found
    raise found[0]


def survey_plan(text: str, *, where: str) -> Plan | tuple[PlanError, ...]:
    """Read a plan file, and where it is none, give all its errors in the order of their lines.

    Each has the file, the line where it can be told, the key, what was expected and what came; at most
    `MAX_ERRORS` are given. What only follows from an error is not told.
    """
    size = len(text.encode(errors="surrogatepass"))
    if size > limits.MAX_TEXT_BYTES:
        return (PlanError(where, f"expected at most {limits.MAX_TEXT_BYTES} bytes, got {size}"),)
    try:
        values = tomllib.loads(text)
    except (ValueError, RecursionError) as error:
        line = _AT_LINE.search(str(error))
        place = f"{where}:{line[1]}" if line else where
        return (PlanError(place, f"expected TOML, got {error}", line=int(line[1]) if line else None),)
    source = Source(where, text)
    return _plan(values, source) or source.errors


def plan_from_canonical(data: bytes) -> Plan:
    """Read the canonical bytes of a plan; gives a plan with exactly these bytes.

    Raises:
        PlanError: they are not the canonical form of any plan.
    """
    where = "canonical plan"
    try:
        values = decode(data, limit_bytes=MAX_CANONICAL_BYTES)
    except CanonicalError as error:
        raise PlanError(where, f"expected canonical msgpack, got {error.message}") from error
    source = Source(where, None)
    plan = _plan(values, source)
    if plan is None:
        raise source.errors[0]
    if plan.canonical != data:
        raise PlanError(where, "expected every default written out, got another form")
    return plan


def _plan(values: object, source: Source) -> Plan | None:
    """Read all tables; None where something was noted in `source`."""
    table = Table(values, (), source)
    plan = _read(table)
    check_plan(plan, source)
    if source.errors:
        return None
    try:
        canonical = encode(table.normal)
    except CanonicalError as error:
        source.note((), f"expected a plan with a canonical form, got {error.message}")
        return None
    if len(canonical) > MAX_CANONICAL_BYTES:
        source.note(
            (), f"expected at most {MAX_CANONICAL_BYTES} bytes in canonical form, got {len(canonical)}"
        )
        return None
    return replace(plan, canonical=canonical, hash=PlanHash(tagged(limits.FORMAT, canonical)))


def _read(table: Table) -> Plan:
    """Read the tables, in an order in which each finds what it is held against."""
    table.choice("format", (limits.FORMAT,))
    clock = parts.read_clock(table.table("clock"))
    parts.check_reference(clock, table)
    chains = table.tables("chains", limits.MAX_CHAINS, partial(parts.read_chain, clock))
    metrics = table.tables("metrics", limits.MAX_METRICS, partial(read_metric, Chains(clock, chains)))
    acts = table.tables("acts", limits.MAX_ACTS, partial(parts.read_act, chains))
    scope = parts.Scope(clock, chains, metrics, acts)
    plan = Plan(
        protocol=table.text("protocol", forms.NAME),
        version=table.integer("version", 1, (1 << 32) - 1),
        mode=Mode(table.choice("mode", tuple(Mode), default=Mode.SHADOW)),
        reason=table.text("reason", forms.LINE),
        contacts=table.texts("contacts", forms.WORD, limits.MAX_CONTACTS),
        clock=clock,
        chains={Caip2(name): chain for name, chain in chains.items()},
        limits=parts.read_limits(table.table("limits")),
        metrics=metrics,
        rules=table.tables("rules", limits.MAX_RULES, partial(parts.read_rule, clock, acts)),
        acts=acts,
        release=parts.read_release(table, acts),
        budget=parts.read_budget(table.table("budget")),
        listen=table.named(
            "listen", limits.MAX_LINKS, partial(parts.read_link, scope), lambda link: link.name
        ),
        reports={
            each.name: each
            for each in table.named(
                "reports", limits.MAX_REPORTS, partial(parts.read_reports, acts), lambda each: each.name
            )
        },
        canonical=b"",
        hash=PlanHash(b""),
    )
    table.done()
    return plan


__all__ = ["MAX_CANONICAL_BYTES", "parse_plan", "plan_from_canonical", "survey_plan"]
