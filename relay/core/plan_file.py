"""From the text of a plan to a `Plan`, and from its canonical bytes to the same (SPEC 5.2 to 5.5)."""

from __future__ import annotations

import tomllib

from proofs.canonical import CanonicalError, decode, encode
from proofs.hashes import tagged
from proofs.mandate import Tier
from relay.core import plan as limits
from relay.core.errors import PlanError
from relay.core.expressions import RESERVED
from relay.core.plan import (
    DAY_S,
    Act,
    Budget,
    CallMetric,
    Clock,
    EventMetric,
    Key,
    Listen,
    Metric,
    Mode,
    OnFault,
    Plan,
    PlanChain,
    Reduce,
    ReleaseRule,
    Rule,
    Rung,
    Weight,
)
from relay.core.plan_checks import check_plan
from relay.core.plan_tables import Form, Source, Table
from relay.core.ports import ActText
from relay.core.types import Caip2, PlanHash

MAX_CANONICAL_BYTES = 2 * limits.MAX_TEXT_BYTES
_NAME = Form("a name of lower-case letters, digits and hyphens", r"[a-z][a-z0-9-]*", 48)
_METRIC = Form("a name of lower-case letters, digits and underscores", r"[a-z][a-z0-9_]*", 48)
_CHAIN = Form("a CAIP-2 chain", r"[-a-z0-9]{3,8}:[-_a-zA-Z0-9]{1,32}", 41)
_LINK = Form("a plan as CAIP-2:gateway", r"[-a-z0-9]{3,8}:[-_a-zA-Z0-9]{1,32}:[-_.a-zA-Z0-9]+", 256)
_WORD = Form("a text without spaces", r"\S+", 256)
_CALL = Form("a call", r".*\S.*", 8_192)
_LINE = Form("a text", r".*\S.*", 1_024)
_UNIT = Form("a unit", r".*", 32)
_KEY = Form("a name without slash", r"[^/]+", 64)
_CONDITION = Form("an expression of one line", r".*\S.*", 1_024)
_CALENDAR_S = 366 * DAY_S
_UINT256_MAX = (1 << 256) - 1


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
    clock = _clock(table.table("clock"))
    chains = {Caip2(name): chain for name, chain in table.tables("chains", limits.MAX_CHAINS, _chain(clock)).items()}
    metrics = table.tables("metrics", limits.MAX_METRICS, _metric)
    acts = table.tables("acts", limits.MAX_ACTS, _act(chains))
    rules = table.tables("rules", limits.MAX_RULES, _rule(clock, acts))
    listen = table.each("listen", limits.MAX_LINKS, lambda inner: _listen(inner, acts))
    head = {
        "protocol": table.text("protocol", _NAME),
        "reason": table.text("reason", _LINE),
    }
    version = table.integer("version", 1, (1 << 32) - 1)
    mode = Mode(table.choice("mode", tuple(Mode), default=Mode.SHADOW))
    contacts = table.texts("contacts", _WORD, limits.MAX_CONTACTS)
    release = _release(table)
    budget = _budget(table.table("budget"))
    table.done()
    canonical = _encoded(table, source)
    plan = Plan(
        **head,
        version=version,
        mode=mode,
        contacts=contacts,
        clock=clock,
        chains=chains,
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


def _encoded(table: Table, source: Source) -> bytes:
    try:
        canonical = encode(table.normal)
    except CanonicalError as error:
        source.refuse((), f"expected a plan with a canonical form, got {error.message}")
    if len(canonical) > MAX_CANONICAL_BYTES:
        source.refuse((), f"expected at most {MAX_CANONICAL_BYTES} bytes in canonical form, got {len(canonical)}")
    return canonical


def _clock(table: Table) -> Clock:
    clock = Clock(
        reference=Caip2(table.text("reference", _CHAIN)),
        lag_s=table.integer("lag_s", 0, DAY_S, default=60),
        patience_s=table.integer("patience_s", 1, DAY_S, default=600),
        rearm_s=table.integer("rearm_s", 10, DAY_S, default=1_800),
        fast_after=table.integer("fast_after", 1, 10_000, default=1),
        mandate_fast_s=table.integer("mandate_fast_s", 10, DAY_S, default=1_800),
        mandate_full_s=table.integer("mandate_full_s", 10, 7 * DAY_S, default=21_600),
        frost_patience_ms=table.integer("frost_patience_ms", 0, 60_000, default=1_000),
    )
    table.done()
    return clock


def _chain(clock: Clock):  # type: ignore[no-untyped-def]
    raise NotImplementedError
