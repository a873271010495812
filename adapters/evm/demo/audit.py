"""Taking the evidence bundle as an auditor would, and holding it against what was seen."""

from __future__ import annotations

import asyncio
from dataclasses import dataclass, replace
from pathlib import Path
from typing import Final

from adapters.evm import shapes
from adapters.evm.demo.network import Member, Network
from adapters.evm.demo.watch import Watcher
from adapters.evm.demo.world import World
from proofs.errors import ProofError
from proofs.hashes import sha256
from proofs.verdict import Verdict
from proofs.verify import verify_bundle

__all__ = ["Auditor", "Evidence"]

BUNDLE_S: Final = 120.0
"""For a bundle that proves every effect: a member asks about an unproved one again after half a minute."""
RETRY_S: Final = 0.5
UNKNOWN: Final = "0" * 64
"""A decision of which there never is a bundle."""


@dataclass(frozen=True, slots=True)
class Evidence:
    """What the auditor got, from whom, and what came of it: a bundle for each incident that had effects."""

    paths: tuple[Path, ...]
    member: Member
    verified: bool
    failed_check: str


@dataclass(frozen=True, slots=True)
class Auditor:
    """Knows the policy, and asks one member only; `home` is where the bundle is put."""

    home: Path
    world: World
    network: Network
    watcher: Watcher

    async def audit(self) -> Evidence:
        """Take the bundles from a member that submitted nothing, and verify them offline.

        Policy and network are pinned. Two rules that turn true at once are two incidents. Members publish
        effects as they see them, so bundles that lack one are asked for again, until the deadline.
        """
        policy = self.network.policy().encode()
        (self.home / "policy.txt").write_bytes(policy)
        paths = (self.home / "bundle.json",)
        found = Evidence(paths, await self._bystander(), verified=False, failed_check="")
        try:
            async with asyncio.timeout(BUNDLE_S):
                while not found.verified:
                    found = await self._take(found, policy)
        except TimeoutError:
            return replace(found, failed_check=f"{found.failed_check or 'no bundle'}, in {BUNDLE_S:.0f} s")
        return found

    async def _take(self, before: Evidence, policy: bytes) -> Evidence:
        """Fetch and verify once; what is missing is named, and the caller asks again after a moment."""
        paths: list[Path] = []
        included: set[str] = set()
        proved: set[tuple[str, str, str]] = set()
        for decision in await self._roots(before.member):
            if decision in included:
                continue
            paths.append(self.home / (f"bundle-{len(paths) + 1}.json" if paths else "bundle.json"))
            bundle = await self.network.bundle(before.member, decision)
            paths[-1].write_bytes(bundle)
            try:
                verdict = await asyncio.to_thread(self._verify, bundle, policy)
            except ProofError as error:
                await asyncio.sleep(RETRY_S)
                return replace(before, paths=tuple(paths), failed_check=str(error))
            included |= {each.decision_id.hex() for each in verdict.decisions}
            proved |= _acts_proved(verdict)
        missing = await self._acts_seen() - proved
        if not missing:
            return replace(before, paths=tuple(paths), verified=True, failed_check="")
        chain, act, tx = min(missing)
        await asyncio.sleep(RETRY_S)
        reason = f"no receipt of {act} on {chain}, transaction {tx}"
        return replace(before, paths=tuple(paths), failed_check=reason)

    def _verify(self, bundle: bytes, policy: bytes) -> Verdict:
        network = self.network.committee.network
        return verify_bundle(bundle, policy=policy, policy_hash=sha256(policy), network=network)

    async def _acts_seen(self) -> set[tuple[str, str, str]]:
        views = await self.watcher.sightings(self.network.members[0])
        return {(act.chain, act.act, act.tx) for sighting in views for act in sighting.acts}

    async def _roots(self, member: Member) -> list[str]:
        """Give the decisions that had effects and follow from no other, the first one first.

        The full copy of the same anchor is published later, in the same bundle.
        """
        sightings = await self.watcher.sightings(member)
        rooted = [each.id for each in sightings if each.certified and each.parent is None and each.acts]
        return rooted or [UNKNOWN]

    async def _bystander(self) -> Member:
        """Give a member from whose account no call came; the last one if all sent."""
        senders: set[str] = set()
        for chain, _, tx in await self._acts_seen():
            driver = self.world.near if chain == self.world.near.anvil.chain else self.world.far
            found = shapes.mapping(await driver.anvil.rpc("eth_getTransactionByHash", f"0x{tx}"))
            senders.add(str(found["from"]).lower())
        for member in self.network.members:
            if "0x" + member.public.submitters["default"].hex() not in senders:
                return member
        return self.network.members[-1]


def _acts_proved(verdict: Verdict) -> set[tuple[str, str, str]]:
    """Chain, act and transaction of each effect that a receipt proves."""
    return {
        (act.chain, act.name, outcome.tx.hex())
        for decision in verdict.decisions
        for act in decision.acts
        for outcome in act.outcomes
        if outcome.receipt is not None
    }
