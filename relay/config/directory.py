"""The node directory: where each file of a node lies (core SPEC 7.2)."""

from __future__ import annotations

import re
from dataclasses import dataclass
from pathlib import Path

from relay.core.errors import ConfigError

NETWORK_NAME = re.compile(r"[a-z0-9][a-z0-9-]{0,62}")
NODE_FILE = "node.toml"


@dataclass(frozen=True, slots=True)
class NodeDirectory:
    """`<home>/<network>/`; a value, nothing need exist."""

    home: Path
    network: str

    @property
    def path(self) -> Path:
        return self.home / self.network

    @property
    def node_file(self) -> Path:
        return self.path / NODE_FILE

    @property
    def secrets(self) -> Path:
        return self.path / "secrets"

    @property
    def rpc_secrets(self) -> Path:
        """`<name>.url` files: the addresses hold keys."""
        return self.secrets / "rpc"

    @property
    def token_file(self) -> Path:
        """The API's bearer token."""
        return self.secrets / "api.token"

    @property
    def keys(self) -> Path:
        return self.path / "keys"

    @property
    def guard_file(self) -> Path:
        return self.path / "guard" / "guard.sqlite"

    @property
    def committee(self) -> Path:
        return self.path / "committee"

    @property
    def plans(self) -> Path:
        return self.path / "plans"

    @property
    def state(self) -> Path:
        return self.path / "state"

    @property
    def journal_file(self) -> Path:
        return self.state / "journal.sqlite"

    @property
    def outbox_file(self) -> Path:
        """Transactions that were signed and are not final."""
        return self.state / "outbox.sqlite"

    @property
    def witness_file(self) -> Path:
        """What our witness has cosigned, and seen of every log."""
        return self.state / "witness.sqlite"

    @property
    def instance_file(self) -> Path:
        return self.state / "instance"

    @property
    def ballast_file(self) -> Path:
        """Space to delete in need."""
        return self.state / "ballast"

    @property
    def log(self) -> Path:
        """The audit log as served: checkpoint and tiles."""
        return self.path / "log"

    @property
    def evidence(self) -> Path:
        return self.path / "evidence"

    @property
    def policy_file(self) -> Path:
        return self.path / "policy.txt"

    def committee_file(self, epoch: int) -> Path:
        """The committee document of an epoch, as TOML; its signatures lie beside it."""
        return self.committee / f"epoch-{epoch:04d}.toml"

    def plan_file(self, protocol: str, version: int) -> Path:
        return self.plans / protocol / f"{version}.plan.toml"

    def create(self) -> None:
        """Make the directories, open to their owner alone; what exists stays as it is.

        Raises:
            ConfigError: a path is taken by something else or cannot be made.
        """
        below = (self.rpc_secrets, self.keys, self.guard_file.parent, self.committee, self.plans)
        try:
            self.home.mkdir(parents=True, exist_ok=True)
            for path in (self.path, self.secrets, *below, self.state, self.log, self.evidence):
                path.mkdir(mode=0o700, exist_ok=True)
        except OSError as error:
            problem = f"expected to make a directory, got: {error.strerror}"
            raise ConfigError(str(error.filename or self.path), problem) from error


def check_network_name(name: str, *, where: str) -> str:
    """Give back a name that can be a directory.

    Raises:
        ConfigError: it is another text.
    """
    if NETWORK_NAME.fullmatch(name) is None:
        raise ConfigError(where, f"expected 1 to 63 of a-z, 0-9 and -, got {name!r}")
    return name


def find_directory(home: Path, network: str | None) -> NodeDirectory:
    """Give the directory of `network`, or of the only one under `home`.

    Raises:
        ConfigError: there is none of that name; without a name, there is not exactly one.
    """
    remedy = f"make one with: tocsin --home {home} init NETWORK"
    if network is not None:
        directory = NodeDirectory(home, check_network_name(network, where="--network"))
        if not directory.node_file.is_file():
            raise ConfigError(str(directory.node_file), "expected a node's file, got none", remedy=remedy)
        return directory
    found = sorted(path.parent.name for path in home.glob(f"*/{NODE_FILE}"))
    if not found:
        raise ConfigError(str(home), "expected a node's directory, got none", remedy=remedy)
    if len(found) > 1:
        raise ConfigError(str(home), f"expected one network, got {', '.join(found)}", remedy="give --network")
    return NodeDirectory(home, found[0])


__all__ = ["NODE_FILE", "NodeDirectory", "check_network_name", "find_directory"]
