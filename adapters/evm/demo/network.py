"""The demonstration's network: four members with their own keys, directories, ports and processes."""

from __future__ import annotations

import asyncio
import json
import os
import random
import socket
import sys
from collections.abc import AsyncIterator, Awaitable, Callable, Mapping, Sequence
from contextlib import AsyncExitStack, asynccontextmanager, suppress
from dataclasses import dataclass
from pathlib import Path
from typing import Final

import aiohttp
from nacl.signing import SigningKey

from adapters.evm.devchain import Anvil, stop_process
from proofs.committee import (
    CommitteeDocument,
    CommitteeMember,
    CommitteeStatement,
    build_committee,
    committee_signing_bytes,
)
from proofs.policy import committee_policy, format_policy
from relay.config import (
    ChainTemplate,
    EndpointTemplate,
    NodeDirectory,
    NodeTemplate,
    ReadinessSettings,
    dump_committee,
    dump_signatures,
    render_node,
)
from relay.core.errors import ConfigError
from relay.core.types import Address, Caip2, Identity
from relay.keys import KdfCost, PublicKeys, Secret, generate, open_identity

__all__ = ["MEMBERS", "Member", "Network", "Proxies", "make_network", "start_proxies"]

MEMBERS: Final = ("alice", "bob", "carol", "dave")
NETWORK: Final = "demo"
OPERATORS: Final = ("north", "east", "south", "west")
"""One RPC proxy each before every chain, declared as separate operators; each node reads three of them."""
READS_FROM: Final = 3
FINALITY: Final = "depth:6"
BLOCK_TIME_MS: Final = 1_000
PORTS: Final = range(20_000, 32_000)
START_TIMEOUT_S: Final = 60.0
POLL_S: Final = 0.2
READINESS_MS: Final = 5_000
TOKEN_FILE: Final = "secrets/token"  # noqa: S105 - its place
CHEAP: Final = KdfCost(passes=1, memory_bytes=8 * 1024 * 1024)
"""Four nodes unseal their keys at once; the passphrase is random and lives as long as the demonstration."""


@dataclass(frozen=True, slots=True)
class Proxies:
    """The URLs of one chain's proxies, in the order of `OPERATORS`."""

    chain: Caip2
    urls: tuple[str, ...]


@dataclass(slots=True)
class Member:
    """One member of the network: its directory, what is public of it, and its process while it runs."""

    name: str
    directory: NodeDirectory
    public: PublicKeys
    operators: tuple[str, ...]
    api_port: int
    lane_port: int
    process: asyncio.subprocess.Process | None = None

    @property
    def url(self) -> str:
        return f"http://127.0.0.1:{self.api_port}"

    @property
    def log_file(self) -> Path:
        return self.directory.path / "node.log"


@dataclass(slots=True)
class Network:
    """Four members and their committee; `start` and `kill` act on one member's process."""

    home: Path
    passphrase: str
    committee: CommitteeDocument
    members: tuple[Member, ...]
    session: aiohttp.ClientSession

    def prepare(
        self,
        plan_texts: Mapping[str, str],
        proxies: Sequence[Proxies],
        block_time_ms: int = BLOCK_TIME_MS,
    ) -> None:
        """Write every member's configuration and plans; there may be none yet, and no chains."""
        for member in self.members:
            for name, text in plan_texts.items():
                folder = member.directory.plans / name
                folder.mkdir(parents=True, exist_ok=True)
                (folder / "1.plan.toml").write_text(text)
            chains = tuple(_chain(proxy, member, block_time_ms) for proxy in proxies)
            node = NodeTemplate(
                network=NETWORK,
                demo=True,
                listen=f"/ip4/127.0.0.1/tcp/{member.lane_port}",
                api_bind=f"127.0.0.1:{member.api_port}",
                token_file=TOKEN_FILE,
                passphrase_env="TOCSIN_PASSPHRASE",  # noqa: S106 - the variable's name
                min_free_bytes=64 << 20,
                ballast_bytes=0,
                readiness=ReadinessSettings(every_ms=READINESS_MS),
                chains=chains,
            )
            member.directory.node_file.write_text(render_node(node))

    async def start(self, member: Member) -> None:
        """Start a member's process; its output goes to `node.log` in its directory."""
        with member.log_file.open("ab") as output:
            member.process = await asyncio.create_subprocess_exec(
                sys.executable,
                "-m",
                "relay.cli",
                "--home",
                str(member.directory.home),
                "run",
                stdin=asyncio.subprocess.DEVNULL,
                stdout=output,
                stderr=output,
                env={**os.environ, "TOCSIN_PASSPHRASE": self.passphrase},
                start_new_session=True,
            )

    async def kill(self, member: Member) -> None:
        """End a member's process without warning (SIGKILL), if it runs."""
        assert member.process is not None, f"{member.name} was never started"
        if member.process.returncode is None:
            member.process.kill()
            await member.process.wait()

    async def stop(self) -> None:
        """End every process that is still running."""
        async with asyncio.TaskGroup() as group:
            for member in self.members:
                if member.process is not None:
                    group.create_task(stop_process(member.process), name=f"stop {member.name}")

    async def ask(self, member: Member, path: str) -> object:
        """GET from a member's interface; None while it does not answer, or says no."""
        try:
            async with self.session.get(member.url + path) as response:
                return await response.json() if response.status in (200, 503) else None
        except (aiohttp.ClientError, TimeoutError):
            return None

    async def fetch(self, member: Member, path: str) -> bytes | None:
        """GET the bytes of a document; None while there is none."""
        try:
            async with self.session.get(member.url + path) as response:
                return await response.read() if response.ok else None
        except (aiohttp.ClientError, TimeoutError):
            return None

    async def post(self, member: Member, path: str, body: Mapping[str, object]) -> dict[str, object]:
        """POST to a member's interface as its operator does, with its token.

        Raises:
            ConfigError: the member refuses; says why.
        """
        token = (member.directory.path / TOKEN_FILE).read_text().strip()
        headers = {"Authorization": f"Bearer {token}"}
        async with self.session.post(member.url + path, json=body, headers=headers) as response:
            answer = await response.json()
            if not response.ok:
                raise ConfigError(f"member {member.name}", f"POST {path}: {answer}")
            return dict(answer)

    async def bundle(self, member: Member, decision: str) -> bytes:
        """Wait for a decision's bundle; the timeout is the caller's."""
        while (found := await self.fetch(member, f"/v1/decisions/{decision}/bundle")) is None:  # noqa: ASYNC110
            await asyncio.sleep(POLL_S)
        return found

    async def wait_serving(self, member: Member) -> None:
        """Wait until a member's interface answers.

        Raises:
            ConfigError: its process ended, or it took too long; says where its log is.
        """
        await self._wait(member, self._is_serving)

    async def wait_together(self, member: Member) -> None:
        """Wait until a member sees all others, and may sign: they have said what they remember of it.

        Raises:
            ConfigError: its process ended, or it took too long; says where its log is.
        """
        await self._wait(member, self._is_together)

    async def wait_ready(self, member: Member) -> None:
        """Wait until a member says that it is ready: peers connected, chains read, plans in force.

        Raises:
            ConfigError: its process ended, or it took too long; says where its log is.
        """
        await self._wait(member, self._is_ready)

    async def _wait(self, member: Member, holds: Callable[[Member], Awaitable[bool]]) -> None:
        try:
            async with asyncio.timeout(START_TIMEOUT_S):
                while not await holds(member):
                    if member.process is not None and member.process.returncode is not None:
                        raise ConfigError(f"member {member.name}", _tail(member.log_file))
                    await asyncio.sleep(0.1)
        except TimeoutError:
            problem = f"not ready within {START_TIMEOUT_S:.0f} s, see {member.log_file}"
            raise ConfigError(f"member {member.name}", problem) from None

    async def _is_serving(self, member: Member) -> bool:
        return await self.ask(member, "/healthz") is not None

    async def _is_together(self, member: Member) -> bool:
        answer = await self.ask(member, "/v1/status")
        if not isinstance(answer, dict) or answer.get("released") is not True:
            return False
        others = {each.name for each in self.members} - {member.name}
        connected = answer.get("connected")
        return isinstance(connected, list) and others <= set(connected)

    async def _is_ready(self, member: Member) -> bool:
        answer = await self.ask(member, "/readyz")
        return isinstance(answer, dict) and answer.get("ready") is True

    def policy(self) -> str:
        """The C2SP policy that an auditor of this network pins: members' logs, and a quorum of cosigners."""
        return format_policy(committee_policy((self.committee,))).decode()


@asynccontextmanager
async def make_network(
    home: Path, chains: Sequence[Caip2], names: Sequence[str] = MEMBERS
) -> AsyncIterator[Network]:
    """Make keys, committee and directories of the members under `home`."""
    passphrase = os.urandom(16).hex()
    ports = _free_ports(2 * len(names))
    members: list[Member] = []
    for number, name in enumerate(names):
        directory = NodeDirectory(home / name, NETWORK)
        directory.path.mkdir(parents=True)
        directory.secrets.mkdir(mode=0o700)
        token = directory.path / TOKEN_FILE
        token.touch(mode=0o600)
        token.write_text(os.urandom(16).hex() + "\n")
        public = await asyncio.to_thread(generate, directory.keys, Secret(passphrase.encode()), cost=CHEAP)
        reads_from = tuple(OPERATORS[(number + shift) % len(OPERATORS)] for shift in range(READS_FROM))
        members.append(Member(name, directory, public, reads_from, ports[2 * number], ports[2 * number + 1]))
    committee = build_committee(
        CommitteeStatement(
            name=NETWORK,
            committee_epoch=1,
            key_epoch=1,
            activates_at=0,
            demo=True,
            genesis=None,
            members=tuple(_seat(member, chains) for member in members),
        )
    )
    signatures = {
        Identity(member.public.identity): _sign(member, passphrase, committee.raw) for member in members
    }
    for member in members:
        member.directory.committee.mkdir()
        (member.directory.committee / "epoch-0001.toml").write_text(dump_committee(committee))
        signed = dump_signatures(committee, signatures)
        (member.directory.committee / "epoch-0001.sigs").write_text(signed)
    timeout = aiohttp.ClientTimeout(total=30)
    async with aiohttp.ClientSession(timeout=timeout) as session:
        network = Network(home, passphrase, committee, tuple(members), session)
        yield network


def submitters_of(network: Network) -> list[Address]:
    """The accounts that pay for the members' transactions."""
    return [member.public.submitters["default"] for member in network.members]


@asynccontextmanager
async def start_proxies(anvil: Anvil) -> AsyncIterator[Proxies]:
    """Start the proxies before one chain, in a process of their own."""
    async with AsyncExitStack() as stack:
        process = await asyncio.create_subprocess_exec(
            sys.executable,
            "-m",
            "adapters.evm.proxy",
            "--upstream",
            anvil.url,
            "--count",
            str(len(OPERATORS)),
            stdin=asyncio.subprocess.DEVNULL,
            stdout=asyncio.subprocess.PIPE,
            start_new_session=True,
        )
        stack.push_async_callback(stop_process, process)
        assert process.stdout is not None
        async with asyncio.timeout(START_TIMEOUT_S):
            line = json.loads(await process.stdout.readline())
        yield Proxies(anvil.chain, tuple(proxy["url"] for proxy in line["proxies"]))


def _chain(proxies: Proxies, member: Member, block_time_ms: int) -> ChainTemplate:
    urls = dict(zip(OPERATORS, proxies.urls, strict=True))
    endpoints = tuple(
        EndpointTemplate(
            operator, url=urls[operator], websocket_url=urls[operator].replace("http://", "ws://")
        )
        for operator in member.operators
    )
    return ChainTemplate(
        chain=proxies.chain, endpoints=endpoints, need=2, block_time_ms=block_time_ms, finality=FINALITY
    )


def _seat(member: Member, chains: Sequence[Caip2]) -> CommitteeMember:
    return CommitteeMember(
        identity=member.public.identity,
        attester=member.public.attester,
        log=member.public.log,
        cosigner=member.public.cosigner,
        name=member.name,
        operator=f"{member.name}-org",
        addresses=(f"/ip4/127.0.0.1/tcp/{member.lane_port}",),
        providers=dict.fromkeys(chains, member.operators),
    )


def _sign(member: Member, passphrase: str, document: bytes) -> bytes:
    seed = open_identity(member.directory.keys, Secret(passphrase.encode()))
    return bytes(SigningKey(seed.reveal()).sign(committee_signing_bytes(document)).signature)


def _free_ports(count: int) -> list[int]:
    """Give ports that were free just now; all are held until the last is known, so that none comes twice.

    They lie below those that the system hands out by itself: until the members take them nobody else does.
    """
    chance, sockets = random.SystemRandom(), list[socket.socket]()
    try:
        while len(sockets) < count:
            each = socket.socket()
            with suppress(OSError):
                each.bind(("127.0.0.1", chance.choice(PORTS)))
                sockets.append(each)
        return [each.getsockname()[1] for each in sockets]
    finally:
        for each in sockets:
            each.close()


def _tail(file: Path) -> str:
    lines = file.read_text(errors="replace").splitlines()[-3:] if file.exists() else []
    return f"ended: {' | '.join(lines)} (all of it: {file})"
