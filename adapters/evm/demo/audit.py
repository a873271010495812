"""Taking the evidence bundle as an auditor would, and holding it against what was seen."""

from __future__ import annotations

import asyncio
from collections.abc import Mapping
from collections.abc import Set as AbstractSet
from dataclasses import dataclass, field, replace
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

__all__ = ["Auditor", "Evidence", "choose_roles"]

BUNDLE_S: Final = 120.0
"""For a bundle that proves every effect: a member asks about an unproved one again after half a minute."""
RETRY_S: Final = 0.5
UNKNOWN: Final = "0" * 64
"""A decision of which there never is a bundle."""


@dataclass(frozen=True, slots=True)
class Evidence:
    """What the auditor got, from whom, and what came of it.

    `bundles` has one for each incident that had effects, with the decision that began it. `witnesses` have
    cosigned the log in the first of them, as the policy asked.
    """

    bundles: Mapping[Path, str]
    member: Member
    verified: bool
    failed_check: str
    witnesses: tuple[str, ...] = ()


@dataclass(frozen=True, slots=True)
class Auditor:
    """Knows the policy, and asks one member only; `home` is where the bundle is put."""

    home: Path
    world: World
    network: Network
    watcher: Watcher
    member: Member
    """Who is asked: best one that submitted nothing."""
    killed: Member
    """Who must not be among the witnesses: what they cosigned was published without it."""

    async def audit(self) -> Evidence:
        """Take the bundles, and verify them offline.

        Policy and network are pinned. Two rules that turn true at once are two incidents. Members publish
        effects as they see them, and say later that their blocks are final, so bundles that lack one are
        asked for again, until the deadline.
        """
        policy = self.network.policy().encode()
        (self.home / "policy.txt").write_bytes(policy)
        found = Evidence({self.home / "bundle.json": UNKNOWN}, self.member, verified=False, failed_check="")
        try:
            async with asyncio.timeout(BUNDLE_S):
                while not found.verified:
                    found = await self._take(found, policy)
        except TimeoutError:
            return replace(found, failed_check=f"{found.failed_check or 'no bundle'}, in {BUNDLE_S:.0f} s")
        return found

    async def _take(self, before: Evidence, policy: bytes) -> Evidence:
        """Fetch and verify once; what is missing is named, and the caller asks again after a moment."""
        found = _Found()
        for decision in await self._roots():
            if decision in found.included:
                continue
            number = f"-{len(found.bundles) + 1}" if found.bundles else ""
            path = self.home / f"bundle{number}.json"
            found.bundles[path] = decision
            bundle = await self.network.bundle(self.member, decision)
            path.write_bytes(bundle)
            try:
                found.add(await asyncio.to_thread(self._verify, bundle, policy))
            except ProofError as error:
                await asyncio.sleep(RETRY_S)
                return replace(before, bundles=found.bundles, failed_check=str(error))
        missing = self._missing(await self._acts_seen(), found)
        if missing:
            await asyncio.sleep(RETRY_S)
        told = replace(before, bundles=found.bundles, witnesses=found.witnesses)
        return replace(told, verified=not missing, failed_check=missing)

    def _missing(self, seen: AbstractSet[tuple[str, str, str]], found: _Found) -> str:
        """Say what the bundles do not show yet; empty if nothing is missing."""
        if self.killed.name in found.witnesses:
            return f"nothing was published since {self.killed.name} was killed"
        for acts, what in ((found.proved, "no receipt"), (found.final, "no word that it is final")):
            for chain, act, tx in sorted(seen - acts):
                return f"{what} of {act} on {chain}, transaction {tx}"
        return ""

    def _verify(self, bundle: bytes, policy: bytes) -> Verdict:
        network = self.network.committee.network
        return verify_bundle(bundle, policy=policy, policy_hash=sha256(policy), network=network)

    async def _acts_seen(self) -> set[tuple[str, str, str]]:
        views = await self.watcher.sightings(self.network.members[0])
        return {(act.chain, act.act, act.tx) for sighting in views for act in sighting.acts}

    async def _roots(self) -> list[str]:
        """Give the decisions that had effects and follow from no other, the first one first.

        The full copy of the same anchor is published later, in the same bundle.
        """
        sightings = await self.watcher.sightings(self.member)
        rooted = [each.id for each in sightings if each.certified and each.parent is None and each.acts]
        return rooted or [UNKNOWN]


@dataclass(slots=True)
class _Found:
    """What the bundles of one round show."""

    bundles: dict[Path, str] = field(default_factory=dict)
    included: set[str] = field(default_factory=set)
    proved: set[tuple[str, str, str]] = field(default_factory=set)
    """Chain, act and transaction of each effect that a receipt proves."""
    final: set[tuple[str, str, str]] = field(default_factory=set)
    """Those of which an honest member says that their block is final."""
    witnesses: tuple[str, ...] = ()

    def add(self, verdict: Verdict) -> None:
        for decision in verdict.decisions:
            self.included.add(decision.decision_id.hex())
            for act in decision.acts:
                for outcome in act.outcomes:
                    effect = (act.chain, act.name, outcome.tx.hex())
                    if outcome.receipt is not None:
                        self.proved.add(effect)
                    if outcome.finality.is_agreed:
                        self.final.add(effect)
        names = (name.split("/")[1] for name in verdict.log.witnesses)
        self.witnesses = self.witnesses or tuple(names)


async def choose_roles(world: World, watcher: Watcher, network: Network) -> tuple[Member, Member]:
    """Choose who is killed once the attack is contained, and who is asked for the evidence.

    The evidence is asked of a member from whose account no call came, if there is one; killed is one from
    whose account one came, but not the first, which tells the story on the screen.
    """
    senders: set[str] = set()
    for act in (act for each in await watcher.sightings(network.members[0]) for act in each.acts):
        driver = world.near if act.chain == world.near.anvil.chain else world.far
        found = shapes.mapping(await driver.anvil.rpc("eth_getTransactionByHash", f"0x{act.tx}"))
        senders.add(str(found["from"]).lower())
    paid = [each for each in network.members if "0x" + each.public.submitters["default"].hex() in senders]
    asked = next((each for each in reversed(network.members) if each not in paid), network.members[-1])
    others = [each for each in network.members[1:] if each is not asked]
    return next((each for each in others if each in paid), others[-1]), asked
