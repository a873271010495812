"""Spans, instants and acts in plain words. Pure; every text may hold what a stranger's contract said."""

from __future__ import annotations

from datetime import UTC, datetime

from relay.core.gateway_report import (
    ActTerms,
    BudgetReport,
    GatewayReport,
    KeyEpochReport,
    UndoKind,
    VerifierReport,
)
from relay.core.words import span

_LAST_INSTANT = 253_402_300_799
"""The end of the year 9999: what is later is shown as a number."""


def instant(seconds: int) -> str:
    """A chain's time in UTC."""
    if not 0 <= seconds <= _LAST_INSTANT:
        return f"second {seconds}"
    return f"{datetime.fromtimestamp(seconds, tz=UTC):%Y-%m-%d %H:%M:%S} UTC"


def tier_words(tier: int, keys: KeyEpochReport | None = None) -> str:
    """Who must agree on an act of this tier; with numbers where the keys in force are known."""
    many = "" if keys is None else f" of {len(keys.attesters)}"
    fast, full = ("", "") if keys is None else (f" ({keys.fast}{many})", f" ({keys.full}{many})")
    match tier:
        case 1:
            return f"a fast{fast} or a full{full} quorum"
        case 2:
            return f"a full{full} quorum only"
        case _:
            return f"unknown tier {tier}"


def keys_of(report: GatewayReport | None) -> KeyEpochReport | None:
    """The keys in force behind a gateway, where they are known: another's verifier may say anything."""
    verifier = None if report is None else report.verifier
    return verifier.current if verifier is not None and is_sound(verifier) else None


def is_sound(verifier: VerifierReport) -> bool:
    """Whether what a verifier tells of its keys can be taken at its word."""
    code = verifier.code
    return code.is_ours and code.is_rebuilt is not False and verifier.is_complete is not False


def state_words(terms: ActTerms) -> str:
    """What is read, and what counts as protected."""
    word = f" (word {terms.state_word})" if terms.state_word else ""
    return f"{terms.state}{word} {terms.compare} {terms.value}"


def undo_words(terms: ActTerms) -> str:
    """How the effect is taken back."""
    match terms.undo:
        case UndoKind.NONE:
            return "not undone by the gateway: it stays until the protocol takes it back"
        case UndoKind.CALL:
            return f"undone by {terms.undo_call}"
        case UndoKind.RESTORE:
            return f"undone by {terms.undo_call}, with what was read before the call"


def permit_words(
    name: str, terms: ActTerms, tier: int, duration_s: int, keys: KeyEpochReport | None = None
) -> str:
    """What the network may do once this act is registered."""
    return (
        f"permit {name}: {tier_words(tier, keys)} may call {terms.call} on {terms.target}, for at most"
        f" {span(duration_s)} at a time, with {terms.gas:,} gas; protected when {state_words(terms)};"
        f" {undo_words(terms)}"
    )


def budget_words(budget: BudgetReport, window_s: int) -> str:
    """What may be frozen per window."""
    return (
        f"in any {span(window_s)}: at most {span(budget.fast_s)} frozen by fast mandates,"
        f" {span(budget.all_s)} in all, {budget.fast_records} new records by fast mandates"
    )


__all__ = [
    "budget_words",
    "instant",
    "is_sound",
    "keys_of",
    "permit_words",
    "span",
    "state_words",
    "tier_words",
    "undo_words",
]
