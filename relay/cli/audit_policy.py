"""What commands of auditors that read logs share: policy, clock, and how times and answers are said."""

from __future__ import annotations

import time
from collections.abc import Callable
from dataclasses import dataclass
from datetime import UTC, datetime
from pathlib import Path
from typing import TypeVar

import click
from rich.text import Text

from proofs.kinds import Digest
from proofs.policy import MAX_POLICY_BYTES, Policy, PolicyError, parse_policy, policy_hash
from relay.cli.hashes import one_hash
from relay.cli.settings import Answer
from relay.core.errors import ConfigError

__all__ = [
    "ANSWER_WORDS",
    "PinnedPolicy",
    "age",
    "moment",
    "now_s",
    "pin_words",
    "policy_hash_option",
    "read_policy",
]

Decorated = TypeVar("Decorated", bound=Callable[..., object])
ANSWER_WORDS = {Answer.YES: "yes", Answer.NO: "no", Answer.UNKNOWN: "unknown"}
"""As JSON has it (audit SPEC 1)."""
_LAST_SHOWN_SECOND = 253_402_300_799
_UNITS = ((86_400, "d"), (3_600, "h"), (60, "min"))


@dataclass(frozen=True, slots=True)
class PinnedPolicy:
    """A policy, its file and the hash of that; pinned if the caller named the hash."""

    policy: Policy
    raw: bytes
    hash: Digest
    is_pinned: bool


def policy_hash_option(command: Decorated) -> Decorated:
    """Add --policy-hash."""
    about = "SHA-256 that the policy file must have."
    return click.option("--policy-hash", "pinned_hash", callback=one_hash, help=about)(command)


def read_policy(file: Path, pinned: bytes | None) -> PinnedPolicy:
    """Read a policy file, which has the `pinned` hash if one is given.

    Raises:
        ConfigError: it cannot be read, or is malformed.
        PolicyError: `policy-pin`.
    """
    try:
        with file.open("rb") as opened:
            raw = opened.read(MAX_POLICY_BYTES + 1)
    except OSError as error:
        raise ConfigError(str(file), f"expected a policy file, got: {error.strerror}") from error
    try:
        policy = parse_policy(raw)
    except PolicyError as error:
        raise ConfigError(str(file), error.message, remedy="see c2sp.org/tlog-policy") from error
    digest = policy_hash(raw)
    if pinned not in (None, digest):
        problem = f"expected {bytes(pinned or b'').hex()}, got {digest.hex()}"
        raise PolicyError("policy-pin", problem)
    return PinnedPolicy(policy, raw, digest, pinned is not None)


def pin_words(policy: PinnedPolicy) -> Text:
    """Say by which policy was judged."""
    if policy.is_pinned:
        return Text(f"policy pinned: {policy.hash.hex()}", style="green")
    return Text(f"policy not pinned; its hash is {policy.hash.hex()}", style="yellow")


def now_s() -> int:
    """Give the seconds since 1970 by this machine's clock."""
    return time.time_ns() // 10**9  # noqa: TID251 - a command is the outermost: nobody hands it a clock


def moment(at_s: int) -> str:
    """Say a time in UTC."""
    if at_s > _LAST_SHOWN_SECOND:
        return f"{at_s} s"
    return datetime.fromtimestamp(at_s, tz=UTC).strftime("%Y-%m-%d %H:%M:%S UTC")


def age(seconds: int) -> str:
    """Say how long ago something was, in its largest unit."""
    if seconds < 0:
        return f"{-seconds} s ahead"
    for length_s, unit in _UNITS:
        if seconds >= 2 * length_s:
            return f"{seconds // length_s} {unit} ago"
    return f"{seconds} s ago"
