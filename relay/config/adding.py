"""Adding a chain to node.toml: a table at its end, a private file for each address that may hold a key."""

from __future__ import annotations

import re
import stat
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, replace
from pathlib import Path

from relay.config.addresses import is_loopback_url
from relay.config.directory import NodeDirectory
from relay.config.node import load_node
from relay.config.table import read_toml
from relay.config.template import ChainTemplate, EndpointTemplate, render_chain
from relay.core.errors import ConfigError
from relay.disk import create_file, replace_file

__all__ = ["Addition", "NewEndpoint", "add_chain", "plan_addition"]

_OTHER = re.compile(r"[^a-z0-9]+")


@dataclass(frozen=True, slots=True)
class NewEndpoint:
    """An endpoint to be added; the addresses may hold keys."""

    operator: str
    url: str
    websocket_url: str | None = None


@dataclass(frozen=True, slots=True)
class Addition:
    """The file before and after, and the private files (relative to the node's directory) that it names."""

    before: str
    after: str
    secrets: Mapping[str, str]


def plan_addition(
    directory: NodeDirectory, chain: ChainTemplate, endpoints: Sequence[NewEndpoint]
) -> Addition:
    """Say what adding a chain will write; `chain` comes without endpoints.

    Raises:
        ConfigError: node.toml cannot be read, or has the chain already.
    """
    known = read_toml(directory.node_file, remedy="make one with: tocsin init NETWORK").get("chains", [])
    if isinstance(known, list) and any(
        isinstance(one, dict) and one.get("chain") == chain.chain for one in known
    ):
        problem = f"expected a chain that is not there yet, got {chain.chain}"
        remedy = f"tocsin chain check {chain.chain}"
        raise ConfigError(f"{directory.node_file}: chains", problem, remedy=remedy)
    secrets: dict[str, str] = {}
    written = tuple(_endpoint(directory, chain.chain, endpoint, secrets) for endpoint in endpoints)
    before = directory.node_file.read_text(encoding="utf-8")
    lines = render_chain(replace(chain, endpoints=written))
    after = before + ("" if before.endswith("\n") else "\n") + "\n".join(lines) + "\n"
    return Addition(before, after, secrets)


def add_chain(directory: NodeDirectory, addition: Addition) -> None:
    """Write the private files and then node.toml, whole or not at all.

    Raises:
        ConfigError: the file has changed meanwhile, the new one would be refused, or the disk refuses.
    """
    made: list[Path] = []
    trial = directory.path / f".{directory.node_file.name}.trial"
    try:
        directory.rpc_secrets.mkdir(mode=0o700, parents=True, exist_ok=True)
        for name, url in addition.secrets.items():
            create_file(directory.path / name, url.encode() + b"\n")
            made.append(directory.path / name)
        mode = stat.S_IMODE(directory.node_file.stat().st_mode)
        _check(directory, trial, addition, mode)
        replace_file(directory.node_file, addition.after.encode(), mode=mode)
    except (OSError, ConfigError) as error:
        for file in made:
            file.unlink(missing_ok=True)
        if isinstance(error, ConfigError):
            raise
        problem = f"expected to write it, got: {error.strerror}"
        raise ConfigError(str(error.filename or directory.node_file), problem) from error


def _check(directory: NodeDirectory, trial: Path, addition: Addition, mode: int) -> None:
    """Read the new file as a node would, before it takes the old one's place."""
    if directory.node_file.read_text(encoding="utf-8") != addition.before:
        raise ConfigError(str(directory.node_file), "expected the file as it was read, got another")
    try:
        replace_file(trial, addition.after.encode(), mode=mode)
        load_node(trial)
    except ConfigError as error:
        where = error.where.replace(str(trial), str(directory.node_file))
        raise ConfigError(where, error.problem, remedy=error.remedy) from error
    finally:
        trial.unlink(missing_ok=True)


def _endpoint(
    directory: NodeDirectory, chain: str, endpoint: NewEndpoint, secrets: dict[str, str]
) -> EndpointTemplate:
    """An address of this machine stands in node.toml, any other in a file of its own."""
    stem = f"{_slug(chain)}-{_slug(endpoint.operator)}"
    written = EndpointTemplate(endpoint.operator)
    if is_loopback_url(endpoint.url):
        written = replace(written, url=endpoint.url)
    else:
        written = replace(written, url_file=_secret(directory, stem, endpoint.url, secrets))
    if endpoint.websocket_url is None:
        return written
    if is_loopback_url(endpoint.websocket_url):
        return replace(written, websocket_url=endpoint.websocket_url)
    file = _secret(directory, f"{stem}-ws", endpoint.websocket_url, secrets)
    return replace(written, websocket_url_file=file)


def _secret(directory: NodeDirectory, stem: str, url: str, secrets: dict[str, str]) -> str:
    """Give the name of a file that is not there yet."""
    folder = directory.rpc_secrets.relative_to(directory.path)
    number = 1
    while True:
        name = str(folder / (f"{stem}.url" if number == 1 else f"{stem}-{number}.url"))
        if name not in secrets and not (directory.path / name).exists():
            secrets[name] = url
            return name
        number += 1


def _slug(text: str) -> str:
    return _OTHER.sub("-", text.lower()).strip("-") or "endpoint"
