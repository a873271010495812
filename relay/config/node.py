"""node.toml: everything that one node is told about itself."""

from __future__ import annotations

import re
from dataclasses import dataclass
from pathlib import Path

from relay.config.addresses import is_listen_multiaddr, is_peer_multiaddr, parse_bind
from relay.config.chain_tables import read_chains
from relay.config.directory import NodeDirectory, check_network_name
from relay.config.monitors import MonitorSettings, read_monitors
from relay.config.private import read_private_line
from relay.config.table import Table, read_toml
from relay.config.witnesses import WitnessSettings, read_witnesses
from relay.core.ports import ChainSettings

NODE_FORMAT = "tocsin/node/1"
DEFAULT_API = "127.0.0.1:9330"
GIBIBYTE = 1 << 30
_VARIABLE = re.compile(r"[A-Za-z_][A-Za-z0-9_]{0,63}")


@dataclass(frozen=True, slots=True)
class ApiSettings:
    """Where the HTTP interface listens; without a token file it takes no signals."""

    host: str
    port: int
    token_file: Path | None

    def token(self) -> bytes | None:
        """Read the token.

        Raises:
            ConfigError: the file is missing or open to others.
        """
        if self.token_file is None:
            return None
        return read_private_line(self.token_file, where="api.token_file").encode()


@dataclass(frozen=True, slots=True)
class PassphraseSource:
    """Where the passphrase of the key files comes from; neither means that a person types it."""

    file: Path | None = None
    variable: str | None = None


@dataclass(frozen=True, slots=True)
class JournalSettings:
    """Bounds of the disk: below `min_free_bytes` a node does not start."""

    min_free_bytes: int = GIBIBYTE
    ballast_bytes: int = 64 << 20


@dataclass(frozen=True, slots=True)
class Intervals:
    """How often a node does what it does unasked."""

    heartbeat_ms: int = 15_000
    stale_ms: int = 60_000
    """A member not heard of for so long is not live."""
    poll_ms: int = 2_000
    """Heads, where no subscription gives them."""
    checkpoint_ms: int = 1_000
    idle_checkpoint_ms: int = 60_000
    merge_delay_ms: int = 5_000


@dataclass(frozen=True, slots=True)
class ReadinessSettings:
    """How a node looks at what must hold before it is of use (core SPEC 8)."""

    every_ms: int = 60_000
    """Between two looks at a chain; an event of a gateway brings the next one forward."""
    funded_rounds: int = 3
    """The submitter is to be able to pay so many times for every act that the plans have on a chain."""
    fee: str = "current"
    """At what price of gas: `current`, or `cap` for the chain's `fee_cap_gwei`."""


@dataclass(frozen=True, slots=True)
class NodeConfig:
    """One node's configuration; `plans` holds `<protocol>/<version>.plan.toml`."""

    directory: NodeDirectory
    demo: bool
    listen: str
    advertised: tuple[str, ...]
    api: ApiSettings
    passphrase: PassphraseSource
    plans: Path
    journal: JournalSettings
    intervals: Intervals
    readiness: ReadinessSettings
    chains: tuple[ChainSettings, ...]
    anchor: bool = True
    """Whether checkpoints of the audit log are put on chains when incidents close (core SPEC 7.4)."""
    monitors: tuple[MonitorSettings, ...] = ()
    """Monitors that may post here (plans SPEC 1.6)."""
    witnesses: tuple[WitnessSettings, ...] = ()
    """Witnesses outside of the committee that cosign our log (relay/witness/SPEC.md 2)."""

    @property
    def network(self) -> str:
        """The network's name, which is its directory's."""
        return self.directory.network

    @property
    def home(self) -> Path:
        return self.directory.home


def load_node(file: Path) -> NodeConfig:
    """Read `<home>/<network>/node.toml`. Paths within are relative to its directory.

    Raises:
        ConfigError: naming file and key, what was expected and what came.
    """
    top = Table(
        file,
        "",
        read_toml(file, remedy="make one with: tocsin init NETWORK"),
        required=("format", "network", "gossip"),
        optional=(
            "chains",
            "plans",
            "anchor",
            "api",
            "keys",
            "journal",
            "log",
            "intervals",
            "readiness",
            "monitors",
        ),
    )
    if top.text("format") != NODE_FORMAT:
        raise top.error("format", NODE_FORMAT, repr(top.text("format")))
    directory = file.parent.resolve()
    network = top.table("network", required=("name",), optional=("demo",))
    demo = network.boolean("demo", default=False)
    gossip = top.table("gossip", required=("listen",), optional=("advertised",))
    return NodeConfig(
        directory=NodeDirectory(directory.parent, _network_name(network, directory)),
        demo=demo,
        listen=_listen(gossip),
        advertised=_advertised(gossip),
        api=_api(top, directory),
        passphrase=_passphrase(top, directory),
        plans=directory / top.text("plans", "plans", most=1_024),
        journal=_journal(top),
        intervals=_intervals(top),
        readiness=_readiness(top),
        chains=read_chains(top, directory, demo=demo),
        anchor=top.boolean("anchor", default=True),
        monitors=read_monitors(top, directory),
        witnesses=read_witnesses(top),
    )


def _network_name(network: Table, directory: Path) -> str:
    name = network.text("name")
    check_network_name(name, where=network.name("name"))
    if directory.name != name:
        raise network.error("name", f"the name of its directory, {directory.name}", name)
    return name


def _listen(gossip: Table) -> str:
    listen = gossip.text("listen")
    if not is_listen_multiaddr(listen):
        raise gossip.error("listen", "/ip4/<address>/tcp/<port> or /ip6/…", repr(listen))
    return listen


def _advertised(gossip: Table) -> tuple[str, ...]:
    advertised = gossip.texts("advertised", most=8)
    for address in advertised:
        if not is_peer_multiaddr(address):
            raise gossip.error("advertised", "/dns4/<name>/tcp/<port> or an /ip4, /ip6 one", repr(address))
    return advertised


def _api(top: Table, directory: Path) -> ApiSettings:
    table = top.table("api", optional=("bind", "token_file"))
    bind = table.text("bind", DEFAULT_API)
    parsed = parse_bind(bind)
    if parsed is None:
        raise table.error("bind", "<address>:<port> as 127.0.0.1:9330 or [::1]:9330", repr(bind))
    token_file = directory / table.text("token_file", most=1_024) if table.has("token_file") else None
    return ApiSettings(parsed[0], parsed[1], token_file)


def _passphrase(top: Table, directory: Path) -> PassphraseSource:
    table = top.table("keys", optional=("passphrase_file", "passphrase_env"))
    if table.has("passphrase_file") and table.has("passphrase_env"):
        raise table.error("passphrase_file", "passphrase_file or passphrase_env", "both")
    if table.has("passphrase_file"):
        return PassphraseSource(file=directory / table.text("passphrase_file", most=1_024))
    if not table.has("passphrase_env"):
        return PassphraseSource()
    variable = table.text("passphrase_env")
    if _VARIABLE.fullmatch(variable) is None:
        raise table.error("passphrase_env", "the name of an environment variable", repr(variable))
    return PassphraseSource(variable=variable)


def _journal(top: Table) -> JournalSettings:
    table = top.table("journal", optional=("min_free_bytes", "ballast_bytes"))
    default = JournalSettings()
    most = 1 << 50
    return JournalSettings(
        min_free_bytes=table.integer("min_free_bytes", default.min_free_bytes, least=1 << 20, most=most),
        ballast_bytes=table.integer("ballast_bytes", default.ballast_bytes, least=0, most=most),
    )


def _intervals(top: Table) -> Intervals:
    default = Intervals()
    names = tuple(Intervals.__dataclass_fields__)
    table = top.table("intervals", optional=names)
    intervals = Intervals(
        heartbeat_ms=table.integer("heartbeat_ms", default.heartbeat_ms, least=100, most=60_000),
        stale_ms=table.integer("stale_ms", default.stale_ms, least=300, most=600_000),
        poll_ms=table.integer("poll_ms", default.poll_ms, least=20, most=60_000),
        checkpoint_ms=table.integer("checkpoint_ms", default.checkpoint_ms, least=50, most=60_000),
        idle_checkpoint_ms=table.integer(
            "idle_checkpoint_ms", default.idle_checkpoint_ms, least=1_000, most=3_600_000
        ),
        merge_delay_ms=table.integer("merge_delay_ms", default.merge_delay_ms, least=50, most=60_000),
    )
    if intervals.stale_ms < 2 * intervals.heartbeat_ms:
        expected = f"at least two heartbeats ({2 * intervals.heartbeat_ms})"
        raise table.error("stale_ms", expected, str(intervals.stale_ms))
    return intervals


def _readiness(top: Table) -> ReadinessSettings:
    default = ReadinessSettings()
    table = top.table("readiness", optional=tuple(ReadinessSettings.__dataclass_fields__))
    fee = table.text("fee", default.fee)
    if fee not in ("current", "cap"):
        raise table.error("fee", "current or cap", repr(fee))
    return ReadinessSettings(
        every_ms=table.integer("every_ms", default.every_ms, least=1_000, most=3_600_000),
        funded_rounds=table.integer("funded_rounds", default.funded_rounds, least=0, most=1_000),
        fee=fee,
    )


__all__ = [
    "NODE_FORMAT",
    "ApiSettings",
    "Intervals",
    "JournalSettings",
    "NodeConfig",
    "PassphraseSource",
    "ReadinessSettings",
    "load_node",
]
