"""From the text of a plan to a `Plan`, and from its canonical bytes to the same (SPEC 5.5)."""

from __future__ import annotations

import tomllib
from functools import partial

from proofs.canonical import CanonicalError, decode, encode
from proofs.hashes import tagged
from relay.core import plan as limits
from relay.core import plan_parts as parts
from relay.core.errors import PlanError
from relay.core.plan import Mode, Plan
from relay.core.plan_checks import check_plan
from relay.core.plan_tables import Source, Table
from relay.core.types import Caip2, PlanHash

MAX_CANONICAL_BYTES = 2 * limits.MAX_TEXT_BYTES


def parse_plan(text: str, *, where: str) -> Plan:
    """Read a plan file; `where` is its name for errors.

    Raises:
        PlanError: with the file, the line where it can be told, the key, what was expected and what came.
    """
    size = len(text.encode(errors="surrogatepass"))
    if size > limits.MAX_TEXT_BYTES:
        raise PlanError(where, f"expected at most {limits.MAX_TEXT_BYTES} bytes, got {size}")
    try:
        values = tomllib.loads(text)
    except (ValueError, RecursionError) as error:
        raise PlanError(where, f"expected TOML, got {error}") from error
    return _plan(values, Source(where, text))


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
    plan = _plan(values, Source(where, None))
    if plan.canonical != data:
        raise PlanError(where, "expected every default written out, got another form")
    return plan


def _plan(values: object, source: Source) -> Plan:
    table = Table(values, (), source)
    table.choice("format", (limits.FORMAT,))
    protocol = table.text("protocol", parts.NAME)
    version = table.integer("version", 1, (1 << 32) - 1)
    mode = Mode(table.choice("mode", tuple(Mode), default=Mode.SHADOW))
    reason = table.text("reason", parts.LINE)
    contacts = table.texts("contacts", parts.WORD, limits.MAX_CONTACTS)
    clock = parts.read_clock(table.table("clock"))
    chains = table.tables("chains", limits.MAX_CHAINS, partial(parts.read_chain, clock))
    metrics = table.tables("metrics", limits.MAX_METRICS, parts.read_metric)
    acts = table.tables("acts", limits.MAX_ACTS, partial(parts.read_act, chains))
    rules = table.tables("rules", limits.MAX_RULES, partial(parts.read_rule, clock, acts))
    release = parts.read_release(table)
    budget = parts.read_budget(table.table("budget"))
    listen = table.each("listen", limits.MAX_LINKS, partial(parts.read_link, acts))
    table.done()
    canonical = _canonical(table, source)
    plan = Plan(
        protocol=protocol,
        version=version,
        mode=mode,
        reason=reason,
        contacts=contacts,
        clock=clock,
        chains={Caip2(name): chain for name, chain in chains.items()},
        metrics=metrics,
        rules=rules,
        acts=acts,
        release=release,
        budget=budget,
        listen=listen,
        canonical=canonical,
        hash=PlanHash(tagged("tocsin/plan/1", canonical)),
    )
    check_plan(plan, source)
    return plan


def _canonical(table: Table, source: Source) -> bytes:
    try:
        canonical = encode(table.normal)
    except CanonicalError as error:
        source.refuse((), f"expected a plan with a canonical form, got {error.message}")
    if len(canonical) > MAX_CANONICAL_BYTES:
        source.refuse(
            (), f"expected at most {MAX_CANONICAL_BYTES} bytes in canonical form, got {len(canonical)}"
        )
    return canonical


__all__ = ["MAX_CANONICAL_BYTES", "parse_plan", "plan_from_canonical"]
