"""`tocsin init`."""

from __future__ import annotations

import os
import tempfile
from collections.abc import Sequence
from dataclasses import dataclass, replace
from pathlib import Path

import click
from rich.console import Console

from relay.cli import shown
from relay.cli.commands import Command
from relay.cli.key import key_document
from relay.cli.node_files import PASSPHRASE_VARIABLE, passphrase_of
from relay.cli.settings import Answer, Settings
from relay.config import (
    ChainTemplate,
    EndpointTemplate,
    NodeDirectory,
    NodeTemplate,
    PassphraseSource,
    check_network_name,
    load_node,
    render_node,
)
from relay.core.errors import ConfigError
from relay.disk import create_file
from relay.keys import PublicKeys, Secret, generate

TOKEN_BYTES = 32
TOKEN_FILE = "secrets/api.token"  # noqa: S105 - a path
CHAIN_EXAMPLE = """
# Add a table for each chain, and at least two endpoints of different operators:
# [[chains]]
# chain = "eip155:1"
# need = 2
# [[chains.endpoints]]
# operator = "own"
# url = "http://127.0.0.1:8545"
# [[chains.endpoints]]
# operator = "provider"
# url_file = "secrets/rpc/provider.url"    # mode 600: the address holds a key
"""
LOG_EXAMPLE = """
# Your log is published once enough members have cosigned it. Witnesses outside of the committee may cosign it
# too (C2SP tlog-witness), for readers whose policy names them:
# [[log.witnesses]]
# vkey = "witness.example/w1+2e7b3d2a+BMzX..."   # name+id+key, from the witness's own page
# url = "https://witness.example"                # what add-checkpoint is appended to
"""

_EPILOG = """\b
Example:
  tocsin init acme --advertise /dns4/tocsin.example.org/tcp/4001 \\
    --listen /ip4/0.0.0.0/tcp/4001 --rpc eip155:1 own http://127.0.0.1:8545 \\
    --rpc eip155:1 provider @provider.url --rpc eip155:1 other @other.url

An address of another machine is given as @FILE and copied to secrets/rpc, since it may hold a key. The
passphrase is taken from --passphrase-file or $TOCSIN_PASSPHRASE, else asked for. The directory is made
whole or not at all.
"""


@dataclass(frozen=True, slots=True)
class _Rpc:
    chain: str
    operator: str
    address: str


@click.command(cls=Command, epilog=_EPILOG)
@click.argument("name", metavar="NETWORK")
@click.option(
    "--listen", default="/ip4/127.0.0.1/tcp/4001", show_default=True, help="Where members reach this node."
)
@click.option("--advertise", multiple=True, help="The same, as others dial it; may be repeated.")
@click.option(
    "--api", "api_bind", default="127.0.0.1:9330", show_default=True, help="Where the HTTP interface listens."
)
@click.option(
    "--rpc", "rpc", nargs=3, multiple=True, metavar="CHAIN OPERATOR URL|@FILE", help="An endpoint; repeat."
)
@click.option("--demo", is_flag=True, help="A demonstration network: unfit committees are only warned of.")
@click.option(
    "--passphrase-file",
    type=click.Path(exists=True, dir_okay=False, path_type=Path),
    help="File with the passphrase that seals the keys, now and at each start.",
)
@click.pass_obj
def init(
    settings: Settings,
    name: str,
    listen: str,
    advertise: tuple[str, ...],
    api_bind: str,
    rpc: tuple[tuple[str, str, str], ...],
    demo: bool,
    passphrase_file: Path | None,
) -> Answer:
    """Make a node's directory: keys, token, node.toml."""
    template = NodeTemplate(
        network=check_network_name(name, where="NETWORK"),
        listen=listen,
        chains=(),
        demo=demo,
        advertised=advertise,
        api_bind=api_bind,
        token_file=TOKEN_FILE,
        passphrase_file=None if passphrase_file is None else str(passphrase_file.resolve()),
        passphrase_env=PASSPHRASE_VARIABLE if passphrase_file is None else None,
    )
    directory = NodeDirectory(settings.home_directory, name)
    if directory.path.exists():
        problem = "expected no such directory, got one"
        raise ConfigError(str(directory.path), problem, remedy="take another --home or network")
    passphrase = passphrase_of(PassphraseSource(passphrase_file, PASSPHRASE_VARIABLE), confirm=True)
    keys = _make(directory, template, [_Rpc(*words) for words in rpc], passphrase)
    document = {"directory": str(directory.path), "network": name, "keys": key_document(keys)}
    settings.give("init", document, lambda console: _show(console, directory, keys, advertise))
    return Answer.YES


def _make(
    directory: NodeDirectory, template: NodeTemplate, rpc: Sequence[_Rpc], passphrase: Secret
) -> PublicKeys:
    """Make everything beside its place and move it there when it is whole and can be read."""
    try:
        directory.home.mkdir(parents=True, exist_ok=True)
        with tempfile.TemporaryDirectory(prefix=".init-", dir=directory.home) as staging:
            made = NodeDirectory(Path(staging), directory.network)
            made.create()
            chains = _chains(made, rpc)
            text = render_node(replace(template, chains=chains))
            example = LOG_EXAMPLE if chains else LOG_EXAMPLE + CHAIN_EXAMPLE
            create_file(made.node_file, (text + example).encode())
            create_file(made.token_file, os.urandom(TOKEN_BYTES).hex().encode() + b"\n")
            if chains:
                _check(made, directory)
            keys = generate(made.keys, passphrase)
            made.path.rename(directory.path)
            return keys
    except OSError as error:
        raise ConfigError(str(directory.path), f"expected to make it, got: {error.strerror}") from error


def _check(made: NodeDirectory, directory: NodeDirectory) -> None:
    try:
        load_node(made.node_file)
    except ConfigError as error:
        where = error.where.replace(str(made.path), str(directory.path))
        raise ConfigError(where, error.problem, remedy=error.remedy) from error


def _chains(directory: NodeDirectory, rpc: Sequence[_Rpc]) -> tuple[ChainTemplate, ...]:
    chains = []
    for chain in dict.fromkeys(item.chain for item in rpc):
        mine = [item for item in rpc if item.chain == chain]
        endpoints = tuple(_endpoint(directory, item, number) for number, item in enumerate(mine, start=1))
        chains.append(ChainTemplate(chain, endpoints))
    return tuple(chains)


def _endpoint(directory: NodeDirectory, item: _Rpc, number: int) -> EndpointTemplate:
    if not item.address.startswith("@"):
        return EndpointTemplate(item.operator, url=item.address)
    source = Path(item.address.removeprefix("@"))
    try:
        address = source.read_bytes()
    except OSError as error:
        problem = f"expected a readable file, got: {error.strerror}"
        raise ConfigError(f"--rpc {item.address}", problem) from error
    target = directory.rpc_secrets / f"{item.chain.replace(':', '-')}-{number}.url"
    create_file(target, address)
    return EndpointTemplate(item.operator, url_file=str(target.relative_to(directory.path)))


def _show(console: Console, directory: NodeDirectory, keys: PublicKeys, advertise: tuple[str, ...]) -> None:
    console.print(f"made {directory.path}", markup=False)
    console.print("\nfor the network's committee document:\n")
    addresses = ", ".join(f'"{address}"' for address in advertise)
    lines = [
        "[[members]]",
        'name = ""           # of this node',
        'operator = ""       # who runs it',
        f'identity = "{keys.identity.hex()}"',
        f'attester = "0x{keys.attester.hex()}"',
        f'log = "{keys.log.hex()}"',
        f'cosigner = "{keys.cosigner.hex()}"',
        f"addresses = [{addresses}]",
    ]
    console.print("\n".join(lines), markup=False)
    console.print("\naccounts that need the chains' coin to pay for transactions:")
    shown.facts(console, {name: f"0x{address.hex()}" for name, address in keys.submitters.items()})
    console.print("\nnext: tocsin doctor")


__all__ = ["init"]
