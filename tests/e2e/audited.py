"""What an auditor has on his own machine: the policy he pinned, and the command line."""

from __future__ import annotations

import asyncio
import json
from collections.abc import Mapping
from dataclasses import dataclass
from pathlib import Path

from adapters.evm.demo.network import Member
from proofs.checkpoint import open_checkpoint, parse_checkpoint
from proofs.hashes import sha256
from proofs.note import parse_note
from proofs.policy import Policy, open_checkpoint_under, parse_policy
from tests.cli.calls import Said, tocsin
from tests.e2e.scene import Scene, until

__all__ = ["Auditor", "open_auditor"]


@dataclass(frozen=True, slots=True)
class Auditor:
    """Works in `home`, and asks what runs in `scene` over HTTP alone."""

    scene: Scene
    home: Path

    @property
    def policy(self) -> Path:
        return self.home / "policy.txt"

    @property
    def pins(self) -> tuple[object, ...]:
        """Policy and network, by their hashes."""
        policy_hash = sha256(self.policy.read_bytes()).hex()
        network = self.scene.network.committee.network.hex()
        return ("--policy", self.policy, "--policy-hash", policy_hash, "--network", network)

    @property
    def parsed(self) -> Policy:
        return parse_policy(self.policy.read_bytes())

    async def call(self, *words: object) -> Said:
        """Run a command of `tocsin audit`."""
        return await asyncio.to_thread(tocsin, "audit", *words)

    async def verify(self, bundle: Path) -> Mapping[str, object]:
        """Verify a bundle with everything pinned; gives the verdict."""
        said = await self.call("verify", bundle, *self.pins, "--json")
        assert said.code == 0, said.out + said.err
        return json.loads(said.out)

    async def bundle(self, member: Member, decision: str) -> Path:
        """Take the bundle of a decision from a member, as soon as it gives one."""

        async def given() -> bytes | None:
            return await self.scene.network.fetch(member, f"/v1/decisions/{decision}/bundle")

        file = self.home / f"{member.name}.json"
        file.write_bytes(await until(f"{member.name} gives the bundle", given))
        return file

    async def size(self, member: Member) -> int:
        """The size of the log that a member serves; 0 while it serves none."""
        note = await self.scene.network.fetch(member, "/checkpoint")
        return 0 if note is None else parse_checkpoint(parse_note(note.decode()).text).size

    async def cosigners(self, member: Member) -> set[str]:
        """The members that have cosigned what a member serves, which stands under the policy."""
        note = await self.scene.network.fetch(member, "/checkpoint")
        assert note is not None, f"{member.name} serves no log"
        signed = open_checkpoint_under(note.decode(), self.parsed)
        return {each.key.name.split("/")[1] for each in signed.cosigned}

    async def cosigners_named(self, member: Member) -> set[str]:
        """The same, whatever the policy asks for."""
        note = await self.scene.network.fetch(member, "/checkpoint")
        assert note is not None, f"{member.name} serves no log"
        witnesses = tuple(self.parsed.witnesses.values())
        signed = open_checkpoint(note.decode(), self.parsed.logs, witnesses)
        return {each.key.name.split("/")[1] for each in signed.cosigned}

    async def follow(self, *members: Member, state: str = "followed") -> Said:
        """Visit these members' logs once."""
        urls = [member.url for member in members]
        options = ("--policy", self.policy, "--state", self.home / state, "--once", "--json")
        return await self.call("follow", *urls, *options)


def open_auditor(scene: Scene, home: Path) -> Auditor:
    """Give an auditor who has pinned the network's policy."""
    auditor = Auditor(scene, home)
    auditor.policy.write_text(scene.network.policy())
    return auditor
