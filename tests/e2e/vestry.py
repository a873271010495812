"""Four relay processes without chains or plans, and their operators at the command line."""

from __future__ import annotations

import asyncio
import json
import os
import shutil
import sys
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass, replace
from pathlib import Path

from nacl.signing import SigningKey

from adapters.evm.demo.network import Member, Network, _free_ports
from proofs.committee import (
    CommitteeDocument,
    CommitteeStatement,
    build_committee,
    committee_signing_bytes,
)
from proofs.groupkeys import KeysDocument
from relay.config import NodeDirectory, dump_committee, dump_signatures, load_keys
from relay.keys import Secret, open_identity
from tests.cli.calls import Said, tocsin
from tests.e2e.scene import until

__all__ = ["Vestry", "sign_in"]

WITHIN_S = 90.0


@dataclass
class Vestry:
    """The running network, and what operators ask of it."""

    network: Network

    def member(self, name: str) -> Member:
        return next(member for member in self.network.members if member.name == name)

    # ---- processes

    async def start(self, *members: Member) -> None:
        for member in members:
            await self.network.start(member)
        for member in members:
            await self.network.wait_serving(member)

    def stopped(self) -> list[Member]:
        """The members whose process does not run."""
        found = [(member, member.process) for member in self.network.members]
        return [member for member, process in found if process is None or process.returncode is not None]

    async def kill(self, member: Member) -> None:
        """End a member's process without warning (SIGKILL)."""
        await self.network.kill(member)

    async def turn(self, member: Member, prelude: str) -> None:
        """Start a member's process again with other code in it than the honest."""
        await self.kill(member)
        program = f"{prelude}\nfrom relay.cli.entry import main\nmain()"
        with member.log_file.open("ab") as output:
            member.process = await asyncio.create_subprocess_exec(
                sys.executable, "-c", program, "--home", str(member.directory.home), "run",
                stdin=asyncio.subprocess.DEVNULL,
                stdout=output,
                stderr=output,
                env={**os.environ, "TOCSIN_PASSPHRASE": self.network.passphrase},
                start_new_session=True,
            )  # fmt: skip
        await self.network.wait_serving(member)

    async def move(self, name: str) -> Member:
        """Set up a member's new machine at another address: its keys, its guard, public files; no shares."""
        old = self.member(name)
        api_port, lane_port = _free_ports(2)
        directory = NodeDirectory(old.directory.home.with_name(f"{name}-new"), old.directory.network)
        directory.create()
        shutil.copytree(old.directory.guard_file.parent, directory.guard_file.parent, dirs_exist_ok=True)
        for file in old.directory.keys.rglob("*.key"):
            target = directory.keys / file.relative_to(old.directory.keys)
            target.parent.mkdir(mode=0o700, exist_ok=True)
            shutil.copy2(file, target)
        for file in old.directory.committee.iterdir():
            shutil.copy2(file, directory.committee)
        shutil.copytree(old.directory.secrets, directory.secrets, dirs_exist_ok=True)
        text = old.directory.node_file.read_text()
        text = text.replace(str(old.api_port), str(api_port)).replace(str(old.lane_port), str(lane_port))
        directory.node_file.write_text(text)
        new = replace(old, directory=directory, api_port=api_port, lane_port=lane_port, process=None)
        self.network.members = tuple(new if each is old else each for each in self.network.members)
        return new

    # ---- committee documents

    def next_committee(self, moved: Member) -> CommitteeDocument:
        """The committee with one member at its new address."""
        old = self.network.committee
        return build_committee(
            CommitteeStatement(
                name=old.name,
                committee_epoch=old.committee_epoch + 1,
                key_epoch=old.key_epoch,
                activates_at=0,
                demo=old.demo,
                genesis=old.network,
                members=tuple(
                    replace(seat, addresses=(f"/ip4/127.0.0.1/tcp/{moved.lane_port}",))
                    if seat.identity == moved.public.identity
                    else seat
                    for seat in old.members
                ),
            )
        )

    # ---- operators

    async def call(self, member: Member, *words: object) -> Said:
        """Run a command of a member's operator."""
        return await asyncio.to_thread(tocsin, "--home", member.directory.home, "ceremony", *words)

    async def spawn(self, member: Member, *words: str) -> asyncio.subprocess.Process:
        """Begin a command that goes on while others act."""
        return await asyncio.create_subprocess_exec(
            sys.executable, "-m", "relay.cli", "--home", str(member.directory.home), "ceremony", *words,
            stdin=asyncio.subprocess.DEVNULL,
            stdout=asyncio.subprocess.PIPE,
            stderr=asyncio.subprocess.PIPE,
            env={**os.environ, "COLUMNS": "200"},
        )  # fmt: skip

    async def read(self, member: Member, name: str) -> Mapping[str, object]:
        """What a member says of a ceremony; empty while it does not know it."""
        said = await self.call(member, "status", name, "--json")
        ceremony = json.loads(said.out).get("ceremony", {})
        assert isinstance(ceremony, dict)
        return ceremony

    async def wait(self, member: Member, name: str, holds: Callable[[Mapping[str, object]], bool]) -> None:
        """Wait until what a member says of a ceremony is so."""

        async def is_so() -> bool:
            found = await self.read(member, name)
            return bool(found) and holds(found)

        await until(f"{member.name} sees it of {name[:16]}", is_so, within_s=WITHIN_S)

    async def proposed(self, by: Member) -> str:
        """Wait until a member's operator sees an open ceremony, and give its id."""

        async def known() -> str | None:
            said = await self.call(by, "status", "--json")
            listed = json.loads(said.out).get("ceremonies", [])
            return next((each["id"] for each in listed if each["state"] == "proposed"), None)

        return await until(f"{by.name} hears of a proposal", known, within_s=WITHIN_S)

    async def join(self, name: str, *members: Member) -> None:
        for member in members:
            await self.wait(member, name, lambda found: found["state"] == "proposed")
            said = await self.call(member, "join", name, "--yes")
            assert said.code == 0, said.err

    async def done(self, name: str, members: Sequence[Member] | None = None) -> None:
        """Wait until a ceremony is done on all members."""
        for member in self.network.members if members is None else members:
            await self.wait(member, name, lambda found: found["state"] == "done")

    async def keys(self, member: Member) -> list[Mapping[str, object]]:
        """The keys that a member has in force."""
        found = json.loads((await self.call(member, "status", "--json")).out)["keys"]
        assert isinstance(found, list)
        return found

    def document(self, member: Member) -> KeysDocument:
        """The newest keys document in a member's directory."""
        return load_keys(self.files(member)[-1]).document

    def files(self, member: Member) -> list[Path]:
        """A member's keys files, by generation."""
        return sorted(member.directory.committee.glob("keys-*.keys"))

    async def proved(self, member: Member) -> None:
        """Wait until a member's keys file shows that the keys can sign."""

        async def shown() -> bool:
            said = await self.call(member, "verify", self.files(member)[-1])
            return said.code == 0

        await until(f"{member.name}'s keys sign for themselves", shown, within_s=WITHIN_S)


def steps(ceremony: Mapping[str, object]) -> dict[str, list[str]]:
    """Who is missing, by step."""
    found = ceremony["steps"]
    assert isinstance(found, list)
    return {step["name"]: step["missing"] for step in found}


async def ended(process: asyncio.subprocess.Process) -> tuple[int, str]:
    """Wait for a command; its exit code and all that it said."""
    async with asyncio.timeout(WITHIN_S):
        out, err = await process.communicate()
    assert process.returncode is not None
    return process.returncode, out.decode() + err.decode()


def sign_in(network: Network, document: CommitteeDocument) -> Path:
    """Put a committee document, signed by the members in force, into everybody's directory."""
    signatures = {}
    for member in network.members:
        if network.committee.member(member.public.identity) is not None:
            seed = open_identity(member.directory.keys, Secret(network.passphrase.encode())).reveal()
            signed = SigningKey(seed).sign(committee_signing_bytes(document.raw))
            signatures[member.public.identity] = bytes(signed.signature)
    name = f"epoch-{document.committee_epoch:04d}"
    for member in network.members:
        (member.directory.committee / f"{name}.sigs").write_text(dump_signatures(document, signatures))
        (member.directory.committee / f"{name}.toml").write_text(dump_committee(document))
    return network.members[0].directory.committee / f"{name}.toml"
