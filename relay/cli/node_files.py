"""This node's configuration and passphrase, as commands ask for them."""

from __future__ import annotations

import os
import sys

import click

from relay.cli.settings import Settings
from relay.config import NodeConfig, NodeDirectory, PassphraseSource, find_directory, load_node
from relay.core.errors import ConfigError
from relay.keys import PassphraseFile, PassphraseVariable, Secret, read_passphrase

PASSPHRASE_VARIABLE = "TOCSIN_PASSPHRASE"  # noqa: S105 - a name, not a secret


def this_directory(settings: Settings) -> NodeDirectory:
    """Give the directory of the node meant by --home and --network."""
    return find_directory(settings.home_directory, settings.network)


def this_node(settings: Settings) -> NodeConfig:
    """Read the configuration of the node meant by --home and --network."""
    return load_node(this_directory(settings).node_file)


def passphrase_of(source: PassphraseSource, *, confirm: bool = False) -> Secret:
    """Give the passphrase of the key files: from its file or variable, or typed.

    Raises:
        ConfigError: there is none, and no terminal to ask at.
    """
    if source.file is not None:
        return read_passphrase(PassphraseFile(source.file))
    if source.variable is not None and (source.variable in os.environ or not sys.stdin.isatty()):
        return read_passphrase(PassphraseVariable(source.variable))
    if not sys.stdin.isatty():
        remedy = f"set ${PASSPHRASE_VARIABLE}, or passphrase_file in node.toml"
        raise ConfigError("passphrase", "expected one, got no terminal to ask at", remedy=remedy)
    text = click.prompt("Passphrase of the keys", hide_input=True, confirmation_prompt=confirm, err=True)
    return Secret(str(text).encode())


__all__ = ["PASSPHRASE_VARIABLE", "passphrase_of", "this_directory", "this_node"]
