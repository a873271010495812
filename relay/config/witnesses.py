"""`[log]` of node.toml: witnesses outside of the committee that are asked to cosign this node's log."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Final
from urllib.parse import urlsplit

from proofs.note import KeyKind, NoteError, VerifierKey, parse_verifier_key
from relay.config.table import Table

__all__ = ["WitnessSettings", "read_witnesses"]

MAX_WITNESSES: Final = 16
_MAX_CHARS: Final = 512


@dataclass(frozen=True, slots=True)
class WitnessSettings:
    """One witness: the key under which it cosigns, and the prefix of its `add-checkpoint`."""

    key: VerifierKey
    url: str


def read_witnesses(top: Table) -> tuple[WitnessSettings, ...]:
    """Read the outside witnesses; none where the file names none.

    Raises:
        ConfigError: naming file and key.
    """
    log = top.table("log", optional=("witnesses",))
    tables = log.tables("witnesses", most=MAX_WITNESSES, required=("vkey", "url"))
    witnesses = tuple(WitnessSettings(_key(table), _url(table)) for table in tables)
    keys = [witness.key.public_key for witness in witnesses]
    for at, key in enumerate(keys):
        if key in keys[:at]:
            raise tables[at].error("vkey", "each witness once", "one twice")
    return witnesses


def _key(table: Table) -> VerifierKey:
    text = table.text("vkey", most=_MAX_CHARS)
    remedy = "take it from the witness's own page: name+id+key"
    try:
        key = parse_verifier_key(text)
    except NoteError as error:
        raise table.error("vkey", "a verifier key", str(error), remedy=remedy) from error
    if key.kind is not KeyKind.COSIGNATURE:
        raise table.error("vkey", "a key that cosigns (kind 04)", f"kind {key.kind:02x}", remedy=remedy)
    return key


def _url(table: Table) -> str:
    text = table.text("url", most=_MAX_CHARS)
    if not _is_url(text):
        raise table.error("url", "http(s)://host[:port][/prefix]", repr(text))
    return text.rstrip("/")


def _is_url(text: str) -> bool:
    try:
        parts = urlsplit(text)
        is_place = parts.scheme in ("http", "https") and bool(parts.hostname) and parts.port != 0
    except ValueError:
        return False
    return is_place and not parts.query and not parts.fragment and parts.username is None
