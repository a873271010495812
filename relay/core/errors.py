"""Errors by who is at fault: a peer, the operator, a chain, the disk. Our own bugs are `AssertionError`."""

from __future__ import annotations


class TocsinError(Exception):
    """The base of every error that somebody can do something about."""


class WireError(TocsinError):
    """A peer sent what the protocol does not allow.

    `reason` is a short constant phrase: the name of the counter and of the log line.
    """

    def __init__(self, reason: str, detail: str = "") -> None:
        super().__init__(f"{reason}: {detail}" if detail else reason)
        self.reason = reason
        self.detail = detail


class ConfigError(TocsinError):
    """The operator's files or flags are wrong; says the file, the key and what was expected.

    `where` names the file and key, `remedy` what to do (may be empty).
    """

    def __init__(self, where: str, problem: str, *, remedy: str = "") -> None:
        super().__init__(f"{where}: {problem}" + (f" ({remedy})" if remedy else ""))
        self.where = where
        self.problem = problem
        self.remedy = remedy


class PlanError(ConfigError):
    """A response plan is refused; `where` is the key within the plan, `line` its line where it is known."""

    def __init__(self, where: str, problem: str, *, remedy: str = "", line: int | None = None) -> None:
        super().__init__(where, problem, remedy=remedy)
        self.line = line


class ChainError(TocsinError):
    """A chain's endpoint did not answer, answered nonsense, or the answers do not agree."""

    def __init__(self, chain: str, problem: str, *, operator: str = "") -> None:
        super().__init__(f"{chain}{' by ' + operator if operator else ''}: {problem}")
        self.chain = chain
        self.operator = operator
        self.problem = problem


class EndpointUnavailable(ChainError):
    """One endpoint gave no usable answer (refused, timed out, malformed)."""


class WrongChain(ChainError):
    """An endpoint serves another chain than the configuration says."""


class NoAgreement(ChainError):
    """Too few endpoints answered alike: the caller abstains."""


class JournalError(TocsinError):
    """The disk did not take a write: the node stops."""


class KeyFileError(ConfigError):
    """A key file is missing, malformed, readable by others, or the passphrase is wrong."""


class GuardRefusal(TocsinError):
    """The signing guard does not let this signature out (SPEC 6.3).

    `reason` is a constant phrase: `conflicting digest`, `older than the watermark`, `not yet released`; for
    shares (threshold SPEC 4) `commitment not open`, `nonce spent` and others, as each method says.
    """

    def __init__(self, reason: str, detail: str = "") -> None:
        super().__init__(f"{reason}: {detail}" if detail else reason)
        self.reason = reason


__all__ = [
    "ChainError",
    "ConfigError",
    "EndpointUnavailable",
    "GuardRefusal",
    "JournalError",
    "KeyFileError",
    "NoAgreement",
    "PlanError",
    "TocsinError",
    "WireError",
    "WrongChain",
]
