"""What a plan's canonical form says about a decision: acts, times, reference chain (core SPEC 5.5)."""

from collections.abc import Collection, Mapping
from dataclasses import dataclass

from proofs.canonical import Value, decode
from proofs.decision import Decision
from proofs.errors import ProofError
from proofs.hashes import keccak256, tagged
from proofs.kinds import PlanHash
from proofs.mandate import ActLeaf, Mandate, Op, Tier
from proofs.reports import REPORT_PREFIX

__all__ = [
    "MAX_PLAN_BYTES",
    "PlanTerms",
    "TermsError",
    "check_under_plan",
    "hash_of_plan",
    "parse_plan_terms",
]

MAX_PLAN_BYTES = 1 << 20
_PLAN_FORMAT = "tocsin/plan/1"
_LINK_PREFIX = "link:"


class TermsError(ProofError):
    """`plan-form`, or what a decision has that its plan does not give: `plan-reference`, `plan-subject`,
    `plan-acts`, `mandate-lifetime`."""


@dataclass(frozen=True, slots=True)
class PlanTerms:
    """The parts of a plan that decisions are held against; times in seconds.

    `acts` gives chain, gateway as written and duration by name; `ladders` the rungs by subject; `reports` the
    reporters' keys (32 bytes) and how many of them it takes, by name.
    """

    reference: str
    mandate_fast_s: int
    mandate_full_s: int
    rearm_s: int
    acts: Mapping[str, tuple[str, str, int]]
    ladders: Mapping[str, tuple[tuple[str, ...], ...]]
    reports: Mapping[str, tuple[frozenset[bytes], int]]


def hash_of_plan(canonical: bytes) -> PlanHash:
    """Give the hash under which a plan is registered."""
    return PlanHash(tagged(_PLAN_FORMAT, canonical))


def parse_plan_terms(canonical: bytes) -> PlanTerms:
    """Read the terms out of a plan's canonical bytes; the rest of the plan is not looked at.

    Raises:
        CanonicalError: the bytes are too many or not canonical.
        TermsError: `plan-form`.
    """
    plan = decode(canonical, limit_bytes=MAX_PLAN_BYTES)
    if _at(plan, "format") != _PLAN_FORMAT:
        raise TermsError("plan-form", f"expected {_PLAN_FORMAT}, got {_at(plan, 'format')!r}")
    clock, chains = _at(plan, "clock"), _at(plan, "chains")
    acts: dict[str, tuple[str, str, int]] = {}
    for name, act in _map(_at(plan, "acts")).items():
        chain = _text(_at(act, "chain"))
        acts[name] = (chain, _text(_at(_at(chains, chain), "gateway")), _number(_at(act, "lasts")))
    ladders = {name: _ladder(_at(rule, "ladder")) for name, rule in _map(_at(plan, "rules")).items()}
    for key, prefix in (("listen", _LINK_PREFIX), ("reports", REPORT_PREFIX)):
        for table in _array(_at(plan, key)):
            ladders[prefix + _text(_at(table, "name"))] = _ladder(_at(table, "ladder"))
    return PlanTerms(
        reference=_text(_at(clock, "reference")),
        mandate_fast_s=_number(_at(clock, "mandate_fast_s")),
        mandate_full_s=_number(_at(clock, "mandate_full_s")),
        rearm_s=_number(_at(clock, "rearm_s")),
        acts=acts,
        ladders=ladders,
        reports={
            _text(_at(table, "name")): (_reporters(_at(table, "reporters")), _number(_at(table, "need")))
            for table in _array(_at(plan, "reports"))
        },
    )


def check_under_plan(
    terms: PlanTerms, decision: Decision, mandate: Mandate, leaves: Collection[ActLeaf]
) -> tuple[str, ...]:
    """Check that the plan gives this decision these acts and this lifetime; give the acts' names.

    The act hashes (calldata, checks, undo) are not derived here: that takes the chain's adapter.

    Raises:
        TermsError: `plan-reference`, `plan-subject`, `plan-acts`, `mandate-lifetime`.
    """
    if decision.anchor.chain != terms.reference:
        raise TermsError("plan-reference", f"expected {terms.reference}, got {decision.anchor.chain}")
    names = _names(terms, decision)
    if {_leaf(terms, name) for name in names} != {
        (leaf.act_id, leaf.chain, leaf.gateway, leaf.duration_s) for leaf in leaves
    } or len(names) != len(leaves):
        raise TermsError("plan-acts", f"expected the acts {', '.join(names)}, got other leaves")
    lifetime_s = _lifetime_s(terms, decision)
    if mandate.not_after != mandate.not_before + lifetime_s:
        raise TermsError(
            "mandate-lifetime", f"expected {lifetime_s} s, got {mandate.not_after - mandate.not_before}"
        )
    return names


def _names(terms: PlanTerms, decision: Decision) -> tuple[str, ...]:
    if decision.op is not Op.PROTECT:
        if decision.subject not in terms.acts:
            raise TermsError("plan-subject", f"expected an act of the plan, got {decision.subject!r}")
        return (decision.subject,)
    ladder = terms.ladders.get(decision.subject, ())
    if decision.rung >= len(ladder):
        raise TermsError(
            "plan-subject", f"expected a rung of the plan, got {decision.subject} {decision.rung}"
        )
    if decision.subject.startswith((_LINK_PREFIX, REPORT_PREFIX)) != (decision.parent is not None):
        raise TermsError(
            "plan-subject", f"expected a parent exactly for a link or reports, got {decision.subject}"
        )
    return ladder[decision.rung]


def _leaf(terms: PlanTerms, name: str) -> tuple[bytes, str, bytes, int]:
    act = terms.acts.get(name)
    if act is None:
        raise TermsError("plan-form", f"expected an act named {name}, got none")
    chain, gateway, lasts_s = act
    try:
        address = bytes.fromhex(gateway.removeprefix("0x")).rjust(32, b"\0")
    except ValueError as error:
        raise TermsError("plan-form", f"expected a gateway in hex, got {gateway[:80]!r}") from error
    return keccak256(name.encode()), chain, address, lasts_s


def _lifetime_s(terms: PlanTerms, decision: Decision) -> int:
    if decision.op is Op.RELEASE:
        return terms.rearm_s
    return terms.mandate_fast_s if decision.tier is Tier.FAST else terms.mandate_full_s


def _ladder(value: Value) -> tuple[tuple[str, ...], ...]:
    return tuple(tuple(_text(name) for name in _array(rung)) for rung in _array(value))


def _reporters(value: Value) -> frozenset[bytes]:
    keys = [_text(key) for key in _array(value)]
    try:
        return frozenset(bytes.fromhex(key.removeprefix("ed25519:")) for key in keys)
    except ValueError as error:
        raise TermsError("plan-form", "expected reporters as ed25519: and hex, got others") from error


def _at(value: Value, key: str) -> Value:
    table = _map(value)
    if key not in table:
        raise TermsError("plan-form", f"expected the key {key}, got none")
    return table[key]


def _map(value: Value) -> Mapping[str, Value]:
    if not isinstance(value, Mapping):
        raise TermsError("plan-form", f"expected a table, got {type(value).__name__}")
    return value


def _array(value: Value) -> tuple[Value, ...]:
    if not isinstance(value, tuple):
        raise TermsError("plan-form", f"expected an array, got {type(value).__name__}")
    return value


def _text(value: Value) -> str:
    if not isinstance(value, str):
        raise TermsError("plan-form", f"expected text, got {type(value).__name__}")
    return value


def _number(value: Value) -> int:
    if isinstance(value, bool) or not isinstance(value, int):
        raise TermsError("plan-form", f"expected an integer, got {type(value).__name__}")
    return value
