"""Ceremonies over the interface: what is asked of the node, and reading the bodies (threshold SPEC 3).

```
GET  /v1/ceremonies              those that this node knows, newest first
GET  /v1/ceremonies/{id}         one of them
POST /v1/ceremonies              propose one                        with the token
POST /v1/ceremonies/{id}/join    take part in one, by its full id    with the token
POST /v1/ceremonies/{id}/drop    leave one, or forget it            with the token
```
"""

from __future__ import annotations

from collections.abc import Awaitable, Callable, Mapping, Sequence
from dataclasses import dataclass
from enum import StrEnum
from http import HTTPStatus

from relay.api.bodies import integer, known_keys, object_of, refused, texts
from relay.api.ports import CeremonyRefused, Json
from relay.api.problems import ProblemError

__all__ = [
    "CeremonyDeed",
    "CeremonyKind",
    "CeremonyPorts",
    "ProposalRequest",
    "RotationWindow",
    "ceremony_id",
    "open_proposal",
]

MAX_NAMES = 50
MAX_NAME_BYTES = 64
MAX_GROUPS = 4
MIN_DEADLINE_S = 5
MAX_DEADLINE_S = 7 * 24 * 3_600
ID_BYTES = 32
_MAX_TIME_S = 1 << 40
_MAX_GENERATION = (1 << 32) - 1
_KEYS = frozenset(
    {"kind", "committee", "without", "replace", "groups", "deadline_s", "rotation", "generation"}
)
_WINDOW_KEYS = frozenset({"not_before", "not_after", "revoke"})


class CeremonyKind(StrEnum):
    """New keys, or new shares of the same keys."""

    DKG = "dkg"
    RESHARE = "reshare"


class CeremonyDeed(StrEnum):
    """What an operator does with a ceremony that was proposed."""

    JOIN = "join"
    DROP = "drop"


@dataclass(frozen=True, slots=True)
class RotationWindow:
    """When verifiers may be told of the next key epoch, by chain time; `revoke` ends the old keys with it."""

    not_before: int
    not_after: int
    revoke: bool


@dataclass(frozen=True, slots=True)
class ProposalRequest:
    """What an operator asks for; the node makes the proposal of it.

    `committee` is H of the committee document that the keys are for, None for the one in force. `without`
    names members that take no part, `replace` members that receive shares and deal none.
    """

    kind: CeremonyKind
    committee: bytes | None
    without: tuple[str, ...]
    replace: tuple[str, ...]
    groups: tuple[str, ...]
    deadline_s: int
    rotation: RotationWindow | None
    generation: int | None = None
    """At least this one; None for the next that this node knows of."""


async def _no_proposal(_request: ProposalRequest) -> str:
    raise CeremonyRefused("this node takes part in no ceremony")


async def _no_deed(_ceremony: bytes, _deed: CeremonyDeed) -> None:
    raise CeremonyRefused("this node takes part in no ceremony")


@dataclass(frozen=True, slots=True)
class CeremonyPorts:
    """The node's ceremonies as the interface sees them; by default there is none."""

    overview: Callable[[], Mapping[str, Json]] = dict
    """What stands beside the list: the keys in force."""
    ceremonies: Callable[[], Sequence[Mapping[str, Json]]] = list
    """Newest first; each with at least `id`."""
    propose: Callable[[ProposalRequest], Awaitable[str]] = _no_proposal
    """Propose a ceremony and give its id; raises `CeremonyRefused`."""
    act: Callable[[bytes, CeremonyDeed], Awaitable[None]] = _no_deed
    """Join or drop one; raises `CeremonyRefused`."""


def ceremony_id(text: str) -> bytes:
    """Read the id in a path.

    Raises:
        ProblemError: 404, it is no id.
    """
    try:
        found = bytes.fromhex(text.removeprefix("0x"))
    except ValueError:
        found = b""
    if len(found) != ID_BYTES:
        raise ProblemError(HTTPStatus.NOT_FOUND, f"expected a ceremony id of {ID_BYTES} bytes in hex")
    return found


def open_proposal(body: bytes) -> ProposalRequest:
    """Read what an operator asks for from JSON; every key but `kind` may be missing.

    Raises:
        ProblemError: 422, naming the key, what was expected and what came.
    """
    document = known_keys(object_of(body), _KEYS)
    return ProposalRequest(
        kind=_kind(document.get("kind")),
        committee=_committee(document.get("committee")),
        without=texts(document, "without", most=MAX_NAMES, max_bytes=MAX_NAME_BYTES),
        replace=texts(document, "replace", most=MAX_NAMES, max_bytes=MAX_NAME_BYTES),
        groups=texts(document, "groups", most=MAX_GROUPS, max_bytes=MAX_NAME_BYTES),
        deadline_s=integer(document, "deadline_s", MIN_DEADLINE_S, MAX_DEADLINE_S, default=3_600),
        rotation=_window(document.get("rotation")),
        generation=integer(document, "generation", 1, _MAX_GENERATION) if "generation" in document else None,
    )


def _kind(value: object) -> CeremonyKind:
    try:
        return CeremonyKind(str(value))
    except ValueError as error:
        raise refused("kind", "dkg or reshare", repr(value)[:32]) from error


def _committee(value: object) -> bytes | None:
    if value is None:
        return None
    try:
        found = bytes.fromhex(value) if isinstance(value, str) else b""
    except ValueError:
        found = b""
    if len(found) != ID_BYTES:
        raise refused("committee", f"{2 * ID_BYTES} hex digits", "something else")
    return found


def _window(value: object) -> RotationWindow | None:
    if value is None:
        return None
    if not isinstance(value, dict):
        raise refused("rotation", "an object", type(value).__name__)
    window = known_keys({str(key): what for key, what in value.items()}, _WINDOW_KEYS)
    revoke = window.get("revoke", False)
    if not isinstance(revoke, bool):
        raise refused("rotation.revoke", "true or false", repr(revoke)[:32])
    return RotationWindow(
        not_before=integer(window, "not_before", 0, _MAX_TIME_S),
        not_after=integer(window, "not_after", 0, _MAX_TIME_S),
        revoke=revoke,
    )
