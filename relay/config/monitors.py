"""`[[monitors]]` of node.toml: monitors that may post to this node, and whose reporter's key it keeps."""

from __future__ import annotations

import re
from dataclasses import dataclass
from pathlib import Path
from typing import Final

from relay.config.private import read_private_line
from relay.config.table import Table
from relay.core.errors import ConfigError

__all__ = ["MonitorSettings", "read_monitors"]

MAX_MONITORS: Final = 32
MIN_SECRET_BYTES: Final = 16
_NAME = re.compile(r"[a-z0-9][a-z0-9-]{0,63}")


@dataclass(frozen=True, slots=True)
class MonitorSettings:
    """One monitor: it posts to `/v1/webhooks/<name>`; what it finds is reported to a plan by its protocol.

    `id_path` leads to the text of its JSON that names the occasion.
    """

    name: str
    secret_file: Path
    plan: str
    report: str
    reporter_key_file: Path
    id_path: tuple[str, ...] = ()

    def secret(self) -> bytes:
        """Read the key of its HMAC.

        Raises:
            ConfigError: the file is missing, open to others, or too short to be a secret.
        """
        where = f"monitors.{self.name}.secret_file"
        secret = read_private_line(self.secret_file, where=where).encode()
        if len(secret) < MIN_SECRET_BYTES:
            raise ConfigError(
                where,
                f"expected at least {MIN_SECRET_BYTES} bytes, got {len(secret)}",
                remedy="make one: openssl rand -hex 32",
            )
        return secret


def read_monitors(top: Table, directory: Path) -> tuple[MonitorSettings, ...]:
    """Read the monitors; none where the file names none.

    Raises:
        ConfigError: naming file and key.
    """
    needed = ("name", "secret_file", "plan", "report", "reporter_key_file")
    tables = top.tables("monitors", most=MAX_MONITORS, required=needed, optional=("id_path",))
    monitors = tuple(_monitor(table, directory) for table in tables)
    names = [monitor.name for monitor in monitors]
    for at, name in enumerate(names):
        if name in names[:at]:
            raise tables[at].error("name", "a name of its own", repr(name))
    return monitors


def _monitor(table: Table, directory: Path) -> MonitorSettings:
    name = table.text("name", most=64)
    if _NAME.fullmatch(name) is None:
        raise table.error("name", "lower-case letters, digits and hyphens", repr(name))
    path = tuple(table.text("id_path").split(".")) if table.has("id_path") else ()
    if not all(path):
        raise table.error("id_path", "keys with a dot between them, as data.alert.id", "an empty key")
    return MonitorSettings(
        name=name,
        secret_file=directory / table.text("secret_file", most=1_024),
        plan=table.text("plan"),
        report=table.text("report"),
        reporter_key_file=directory / table.text("reporter_key_file", most=1_024),
        id_path=path,
    )
