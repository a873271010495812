"""A node's files: where they lie, how they are read, and what is wrong with them."""

from relay.config.adding import Addition, NewEndpoint, add_chain, plan_addition
from relay.config.committee_files import (
    KnownCommittees,
    dump_committee,
    dump_signatures,
    load_committee,
    load_committee_chain,
    load_known_committees,
    load_signatures,
    load_signed_committee,
    signatures_file,
)
from relay.config.directory import NodeDirectory, check_network_name, find_directory
from relay.config.keys_files import (
    KeptKeys,
    KnownKeys,
    check_keys,
    dump_keys,
    keys_file,
    keys_files,
    load_keys,
    load_known_keys,
    possession_digest,
)
from relay.config.monitors import MonitorSettings
from relay.config.node import (
    ApiSettings,
    Intervals,
    JournalSettings,
    NodeConfig,
    PassphraseSource,
    ReadinessSettings,
    load_node,
)
from relay.config.private import read_private_line
from relay.config.template import ChainTemplate, EndpointTemplate, NodeTemplate, render_node
from relay.config.witnesses import WitnessSettings

__all__ = [
    "Addition",
    "ApiSettings",
    "ChainTemplate",
    "EndpointTemplate",
    "Intervals",
    "JournalSettings",
    "KeptKeys",
    "KnownCommittees",
    "KnownKeys",
    "MonitorSettings",
    "NewEndpoint",
    "NodeConfig",
    "NodeDirectory",
    "NodeTemplate",
    "PassphraseSource",
    "ReadinessSettings",
    "WitnessSettings",
    "add_chain",
    "check_keys",
    "check_network_name",
    "dump_committee",
    "dump_keys",
    "dump_signatures",
    "find_directory",
    "keys_file",
    "keys_files",
    "load_committee",
    "load_committee_chain",
    "load_keys",
    "load_known_committees",
    "load_known_keys",
    "load_node",
    "load_signatures",
    "load_signed_committee",
    "plan_addition",
    "possession_digest",
    "read_private_line",
    "render_node",
    "signatures_file",
]
