"""A development chain for tests and the demonstration: anvil from npm or PATH, run as its native binary.

The npm wrapper leaves its child behind when it is killed, so the binary is found by platform and started
directly.
"""

from __future__ import annotations

import asyncio
import ctypes
import json
import os
import platform
import re
import signal
import subprocess
import sys
import tempfile
from collections.abc import AsyncIterator, Sequence
from contextlib import asynccontextmanager
from dataclasses import dataclass, field
from pathlib import Path

import aiohttp

from adapters.evm import shapes
from relay.core.errors import ChainError, ConfigError, WrongChain
from relay.core.types import Caip2

ANVIL_VERSION = "1.7.1"
"""That of `package.json`, which an installed wheel does not have."""
START_TIMEOUT_S = 15.0
ANSWER_TIMEOUT_S = 60.0
_LISTENING = re.compile(rb"Listening on 127\.0\.0\.1:(\d+)")
_VERSION = re.compile(r"anvil Version: (\d+\.\d+\.\d+)")
_MACHINES = {"x86_64": "amd64", "amd64": "amd64", "aarch64": "arm64", "arm64": "arm64"}
_POLL_S = 0.01
_PR_SET_PDEATHSIG = 1


@dataclass(frozen=True, slots=True)
class AnvilSettings:
    """How to start anvil. `block_time_s` None and `automine` false: blocks only by `mine`."""

    chain_id: int
    block_time_s: float | None = None
    automine: bool = False
    timestamp: int | None = None
    extra: Sequence[str] = ()
    log: Path | None = None
    """Where its output goes; None throws it away."""


@dataclass(slots=True)
class Anvil:
    """A running anvil; `rpc` raises `ChainError` for an error answer."""

    chain_id: int
    port: int
    process: asyncio.subprocess.Process
    session: aiohttp.ClientSession
    _nonces: dict[str, int] = field(default_factory=dict)

    @property
    def chain(self) -> Caip2:
        return Caip2(f"eip155:{self.chain_id}")

    @property
    def url(self) -> str:
        return f"http://127.0.0.1:{self.port}"

    @property
    def websocket_url(self) -> str:
        return f"ws://127.0.0.1:{self.port}"

    async def rpc(self, method: str, *params: object) -> object:
        """One call's result."""
        body = {"jsonrpc": "2.0", "id": 1, "method": method, "params": params}
        async with self.session.post(self.url, json=body) as response:
            answer = shapes.mapping(await response.json())
        if "error" in answer:
            raise ChainError(self.chain, f"{method}: {answer['error']}")
        return answer.get("result")

    async def mine(self, blocks: int = 1, *, timestamp: int | None = None) -> int:
        """Mine, the first block at `timestamp` where given; the new head's number."""
        if timestamp is not None:
            await self.rpc("evm_setNextBlockTimestamp", timestamp)
        await self.rpc("anvil_mine", hex(blocks))
        return shapes.quantity(await self.rpc("eth_blockNumber"))

    async def send(
        self, sender: str, to: str | None, data: bytes, *, gas: int = 5_000_000, value: int = 0
    ) -> bytes:
        """Hand in a transaction of an unlocked account; its hash. Nonces are explicit.

        Without automine anvil reuses them.
        """
        if sender not in self._nonces:
            await self.assert_chain()
            self._nonces[sender] = shapes.quantity(
                await self.rpc("eth_getTransactionCount", sender, "pending")
            )
        transaction = {
            "from": sender,
            "data": "0x" + data.hex(),
            "gas": hex(gas),
            "value": hex(value),
            "nonce": hex(self._nonces[sender]),
        }
        sent = await self.rpc("eth_sendTransaction", transaction | ({"to": to} if to else {}))
        self._nonces[sender] += 1
        return shapes.octets(sent, 32)

    async def receipt(self, tx: bytes) -> shapes.Receipt:
        """The receipt of a mined transaction."""
        return shapes.receipt(await self.rpc("eth_getTransactionReceipt", "0x" + tx.hex()))

    async def deploy(self, sender: str, code: bytes, *, gas: int = 16_000_000) -> str:
        """Deploy a contract in a block of its own; its address in lower-case 0x hex.

        Raises:
            ChainError: if the constructor failed.
        """
        tx = await self.send(sender, None, code, gas=gas)
        answer = await self.rpc("eth_getTransactionReceipt", "0x" + tx.hex())
        if answer is None:
            await self.mine()
            answer = await self.rpc("eth_getTransactionReceipt", "0x" + tx.hex())
        receipt = shapes.mapping(answer)
        if shapes.quantity(receipt.get("status")) != 1:
            raise ChainError(self.chain, "the constructor reverted")
        return "0x" + shapes.octets(receipt.get("contractAddress"), 20).hex()

    async def accounts(self) -> list[str]:
        """The unlocked development accounts."""
        return [str(account) for account in shapes.sequence(await self.rpc("eth_accounts"))]

    async def assert_chain(self) -> None:
        """Raise `WrongChain` unless the port serves this chain id: another process may have taken it."""
        actual = shapes.quantity(await self.rpc("eth_chainId"))
        if actual != self.chain_id:
            raise WrongChain(self.chain, f"anvil serves eip155:{actual}, expected {self.chain}")


def anvil_binary() -> Path:
    """The native binary for this machine: npm's, or else the same version from PATH.

    npm's registry has no package for every platform, and an installed wheel has none at all. Runs what it
    finds in PATH to learn its version, so it may take a moment.

    Raises:
        ConfigError: naming the npm package and the version that are missing.
    """
    system, machine = platform.system().lower(), _MACHINES.get(platform.machine().lower(), "unknown")
    package = f"@foundry-rs/anvil-{system}-{machine}"
    path = Path(__file__).parent / "node_modules" / package / "bin" / "anvil"
    if path.is_file():
        return path
    for folder in filter(None, os.environ.get("PATH", "").split(os.pathsep)):
        found = Path(folder) / "anvil"
        if found.is_file() and _version_of(found) == ANVIL_VERSION:
            return found
    raise ConfigError(
        "anvil",
        f"expected the npm package {package} or anvil {ANVIL_VERSION} in PATH",
        remedy=f"run npm ci in adapters/evm, or foundryup --install {ANVIL_VERSION}",
    )


def _version_of(binary: Path) -> str | None:
    try:
        said = subprocess.run(  # noqa: S603 the operator's own PATH says what runs
            [binary, "--version"], capture_output=True, text=True, timeout=START_TIMEOUT_S, check=False
        )
    except (OSError, subprocess.TimeoutExpired, UnicodeDecodeError):
        return None
    version = _VERSION.search(said.stdout)
    return version.group(1) if version else None


def _die_with_parent() -> None:
    if sys.platform == "linux":
        ctypes.CDLL(None).prctl(_PR_SET_PDEATHSIG, signal.SIGKILL)


def _arguments(settings: AnvilSettings) -> list[str]:
    arguments = ["--host", "127.0.0.1", "--port", "0", "--chain-id", str(settings.chain_id)]
    if settings.block_time_s is not None:
        arguments += ["--block-time", str(settings.block_time_s)]
    elif not settings.automine:
        arguments += ["--no-mining"]
    if settings.timestamp is not None:
        arguments += ["--timestamp", str(settings.timestamp)]
    return arguments + list(settings.extra)


@asynccontextmanager
async def start_anvil(settings: AnvilSettings) -> AsyncIterator[Anvil]:
    """Start anvil on a free port of 127.0.0.1, check its chain id, and stop it at the end."""
    with tempfile.TemporaryDirectory(prefix="anvil-") as folder:
        path = settings.log or Path(folder) / "anvil.log"
        with path.open("wb") as output:
            binary = await asyncio.to_thread(anvil_binary)
            process = await asyncio.create_subprocess_exec(
                str(binary),
                *_arguments(settings),
                stdin=asyncio.subprocess.DEVNULL,
                stdout=output,
                stderr=output,
                start_new_session=True,
                preexec_fn=_die_with_parent,
            )
        try:
            port = await _port(process, path)
            timeout = aiohttp.ClientTimeout(total=ANSWER_TIMEOUT_S)
            async with aiohttp.ClientSession(timeout=timeout) as session:
                anvil = Anvil(settings.chain_id, port, process, session)
                await anvil.assert_chain()
                await anvil.rpc("anvil_setLoggingEnabled", False)
                yield anvil
        finally:
            await stop_process(process)


async def _port(process: asyncio.subprocess.Process, path: Path) -> int:
    """Anvil's port, from its own output: port 0 lets the system choose."""
    try:
        async with asyncio.timeout(START_TIMEOUT_S):
            while True:
                content = await asyncio.to_thread(path.read_bytes)
                found = _LISTENING.search(content)
                if found:
                    return int(found.group(1))
                if process.returncode is not None:
                    raise ConfigError(
                        "anvil", f"ended with {process.returncode}: {content[-300:].decode(errors='replace')}"
                    )
                await asyncio.sleep(_POLL_S)
    except TimeoutError:
        raise ConfigError("anvil", f"did not listen within {START_TIMEOUT_S} s") from None


async def stop_process(process: asyncio.subprocess.Process) -> None:
    """End a child: politely, then not."""
    if process.returncode is not None:
        return
    process.terminate()
    try:
        async with asyncio.timeout(2):
            await process.wait()
    except TimeoutError:
        process.kill()
        await process.wait()


def artifact_code(name: str, folder: Path | None = None) -> bytes:
    """The creation code of a committed contract build."""
    path = (folder or Path(__file__).parent / "artifacts") / f"{name}.json"
    bytecode = shapes.mapping(json.loads(path.read_text())).get("bytecode")
    return shapes.octets(bytecode if str(bytecode).startswith("0x") else f"0x{bytecode}")


__all__ = ["Anvil", "AnvilSettings", "anvil_binary", "artifact_code", "start_anvil", "stop_process"]
