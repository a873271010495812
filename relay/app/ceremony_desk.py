"""What operators see of ceremonies and ask for, through the node's interface (threshold SPEC 3)."""

from __future__ import annotations

import os
from collections.abc import Awaitable, Callable, Collection, Iterable, Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import Final

from proofs.committee import CommitteeDocument
from proofs.groupkeys import GROUP_NAMES, KeyGroup, KeysDocument, group_tier
from proofs.hashes import sha256
from relay.api import (
    CeremonyDeed,
    CeremonyKind,
    CeremonyPorts,
    CeremonyRefused,
    Json,
    ProposalRequest,
)
from relay.core.ceremony_effects import CeremonyEvent, CeremonyJoined, CeremonyLeft, CeremonyProposed
from relay.core.ceremony_running import Ended, Running
from relay.core.ceremony_terms import (
    SALT_BYTES,
    CeremonyWish,
    WishRefused,
    propose_dkg,
    propose_reshare,
)
from relay.core.node import Node
from relay.core.types import Digest, Identity, Millis
from relay.threshold.bodies import ceremony_id
from relay.threshold.messages import Proposal, RotationTerms
from relay.threshold.record import Slot, Stage, Step

__all__ = ["CeremonyDesk"]

_STEPS: Final = (("join", Step.JOIN), ("deal", Step.DEAL), ("sign", Step.TRANSCRIPT))


@dataclass(frozen=True, slots=True)
class CeremonyDesk:
    """Reads the node, and hands it what operators ask for."""

    node: Node
    put: Callable[[CeremonyEvent], Awaitable[None]]
    clock: Callable[[], Millis]
    holds: Callable[[], Collection[Digest]]
    """The keys documents of which our signer holds shares."""
    keys_file: Callable[[KeysDocument], Path]
    evidence: Path
    committee_directory: Path

    def ports(self) -> CeremonyPorts:
        """Give what the interface calls."""
        return CeremonyPorts(
            overview=self.overview, ceremonies=self.ceremonies, propose=self.propose, act=self.act
        )

    # ---- looking

    def overview(self) -> Mapping[str, Json]:
        """The keys in force, newest first."""
        held = self.holds()
        keys = [self._keys(document, held) for document in reversed(self.node.ceremonies.documents())]
        return {"keys": keys}

    def ceremonies(self) -> list[Mapping[str, Json]]:
        """All that are known, newest first."""
        return [self._ceremony(running) for running in reversed(self.node.ceremonies.all())]

    def _keys(self, document: KeysDocument, held: Collection[Digest]) -> Mapping[str, Json]:
        return {
            "key_epoch": document.key_epoch,
            "generation": document.generation,
            "committee_epoch": document.committee_epoch,
            "document": document.digest.hex(),
            "file": str(self.keys_file(document)),
            "holders": self._names(document.holders),
            "share": "held by this node" if document.digest in held else "none on this node",
            "groups": [self._group(group) for group in document.groups],
        }

    def _group(self, group: KeyGroup) -> Mapping[str, Json]:
        possession = self.node.signing.possession_of(group.key)
        return {
            "name": group.name,
            "suite": group.suite.value,
            "threshold": group.threshold,
            "key": group.key.hex(),
            "possession": None if possession is None else possession.hex(),
        }

    def _ceremony(self, running: Running) -> Mapping[str, Json]:
        proposal = running.proposal
        document = running.ceremony.document if running.ceremony is not None and running.in_force else None
        return {
            "id": running.id.hex(),
            "kind": (CeremonyKind.DKG if proposal.base is None else CeremonyKind.RESHARE).value,
            "state": self._state(running),
            "reason": self._reason(running),
            "proposer": self._name(running.proposed.author),
            "network": proposal.network.hex(),
            "committee": proposal.committee.hex(),
            "committee_epoch": proposal.committee_epoch,
            "key_epoch": proposal.key_epoch,
            "generation": proposal.generation,
            "base": None if proposal.base is None else proposal.base.hex(),
            "dealers": self._names(proposal.dealers),
            "receivers": self._names(proposal.receivers),
            "left_out": self._left_out(proposal),
            "groups": self._groups(proposal),
            "rotation": _rotation(proposal.rotation),
            "deadline_ms": proposal.deadline_ms,
            "now_ms": self.clock(),
            "consented": running.consented or running.has_joined(self.node.settings.me),
            "steps": self._steps(running),
            "faults": self._faults(running),
            "document": None if document is None else document.digest.hex(),
            "file": None if document is None else str(self.keys_file(document)),
        }

    def _state(self, running: Running) -> str:
        """How far it is. Done is one whose keys are in force here."""
        if running.in_force:
            return Ended.DONE.value
        if running.ended not in (None, Ended.DONE):
            return running.ended.value
        if running.ceremony is None:
            return "waiting"
        stage = running.ceremony.stage(running.proposal.deadline_ms)
        return (Stage.DEALT if stage in (Stage.SIGNED, Stage.DONE) else stage).value

    def _reason(self, running: Running) -> str:
        ceremony = running.ceremony
        if running.ended is Ended.EXPIRED and ceremony is not None:
            return f"the deadline passed without {', '.join(self._names(ceremony.waiting_for()))}"
        if running.ended is Ended.FAILED and ceremony is not None and ceremony.troubles():
            return self._with_names(ceremony.troubles()[0])
        return running.trouble

    def _steps(self, running: Running) -> list[Json]:
        proposal = running.proposal
        asked = {
            Step.JOIN: tuple(sorted({*proposal.dealers, *proposal.receivers})),
            Step.DEAL: proposal.dealers,
            Step.TRANSCRIPT: proposal.receivers,
        }
        said = running.ceremony.said if running.ceremony is not None else {}
        steps: list[Json] = []
        for name, step in _STEPS:
            missing = [who for who in asked[step] if Slot(step, who) not in said]
            done = len(asked[step]) - len(missing)
            steps.append(
                {"name": name, "done": done, "of": len(asked[step]), "missing": self._names(missing)}
            )
        return steps

    def _faults(self, running: Running) -> list[Json]:
        return [
            {
                "party": self._name(fault.verdict.culprit),
                "identity": fault.verdict.culprit.hex(),
                "what": fault.verdict.reason,
                "evidence": str(self.evidence / name),
            }
            for name, fault in running.evident.items()
        ]

    def _groups(self, proposal: Proposal) -> list[Json]:
        committee = self.node.committees.by_epoch(proposal.committee_epoch)
        return [
            {"name": name, "threshold": None if committee is None else committee.threshold(group_tier(name))}
            for name in proposal.groups
            if name in GROUP_NAMES
        ]

    def _left_out(self, proposal: Proposal) -> list[str]:
        committee = self.node.committees.by_epoch(proposal.committee_epoch)
        members = () if committee is None else committee.members
        return [member.name for member in members if member.identity not in proposal.receivers]

    def _names(self, identities: Iterable[Identity]) -> list[str]:
        return sorted(self._name(identity) for identity in identities)

    def _name(self, identity: Identity) -> str:
        """Give a member's name in the newest document that has it."""
        for document in reversed(self.node.committees.documents):
            member = document.member(identity)
            if member is not None:
                return member.name
        return identity.hex()[:16]

    def _with_names(self, text: str) -> str:
        """Put names in place of identities in what the machine says of them."""
        for document in self.node.committees.documents:
            for member in document.members:
                text = text.replace(member.identity.hex(), self._name(member.identity))
        return text

    # ---- asking

    async def propose(self, request: ProposalRequest) -> str:
        """Propose what an operator asks for; raises `CeremonyRefused`."""
        node, now_ms = self.node, self.clock()
        committee = self._committee(request.committee)
        wish = CeremonyWish(
            without=request.without,
            replace=request.replace,
            groups=request.groups,
            rotation=None
            if request.rotation is None
            else RotationTerms(
                request.rotation.not_before, request.rotation.not_after, request.rotation.revoke
            ),
            deadline_ms=Millis(now_ms + 1_000 * request.deadline_s),
            generation=max(request.generation or 0, node.ceremonies.next_generation(committee.key_epoch)),
            salt=os.urandom(SALT_BYTES),
        )
        base = node.ceremonies.base_of(committee.key_epoch)
        try:
            if request.kind is CeremonyKind.RESHARE:
                proposal = propose_reshare(wish, committee, base)
            else:
                self._check_new(committee.key_epoch, base)
                proposal = propose_dkg(wish, committee, node.committee)
        except WishRefused as refusal:
            raise CeremonyRefused(str(refusal), refusal.remedy) from refusal
        refused = node.ceremonies.refusal(node.settings.me, proposal, now_ms)
        if refused:
            raise CeremonyRefused(refused, "see them, and drop one: tocsin ceremony status")
        await self.put(CeremonyProposed(proposal, now_ms))
        return ceremony_id(proposal, node.settings.me).hex()

    async def act(self, ceremony: bytes, deed: CeremonyDeed) -> None:
        """Join or drop a ceremony; raises `CeremonyRefused`."""
        running = self.node.ceremonies.get(Digest(ceremony))
        if running is None:
            raise CeremonyRefused(
                "no ceremony of this id is known here", "see those that are: tocsin ceremony status"
            )
        if deed is CeremonyDeed.JOIN:
            self._check_join(running)
            await self.put(CeremonyJoined(running.id, self.clock()))
        else:
            self._check_drop(running)
            await self.put(CeremonyLeft(running.id, self.clock()))

    def _committee(self, wanted: bytes | None) -> CommitteeDocument:
        if wanted is None:
            return self.node.committee
        for document in self.node.committees.documents:
            if sha256(document.raw) == wanted:
                return document
        remedy = (
            f"put it and its signatures into {self.committee_directory}, on every member: it is read at once"
        )
        problem = f"expected a committee document in force by its signatures, got {wanted.hex()[:16]}"
        raise CeremonyRefused(problem, remedy)

    def _check_new(self, key_epoch: int, base: KeysDocument | None) -> None:
        """New keys under an epoch that verifiers accept would leave them with the old ones."""
        if base is not None and key_epoch <= self.node.committee.key_epoch:
            raise CeremonyRefused(
                f"keys of key epoch {key_epoch} are in force already",
                "for new shares of them: tocsin ceremony reshare; other keys need a new key epoch",
            )

    def _check_join(self, running: Running) -> None:
        ceremony, me = running.ceremony, self.node.settings.me
        if running.ended is not None:
            raise CeremonyRefused(f"it has ended: {self._state(running)}", "propose another one")
        if self.clock() > running.proposal.deadline_ms:
            raise CeremonyRefused("its deadline has passed", "propose another one")
        if ceremony is None:
            raise CeremonyRefused(running.trouble, f"put it into {self.committee_directory}")
        if me not in ceremony.terms.participants:
            raise CeremonyRefused("this node is no participant", "it takes the keys when they are done")
        self._check_generation(running.proposal)
        self._check_terms(running.proposal)

    def _check_generation(self, proposal: Proposal) -> None:
        signed = self.node.ceremonies.signed_generation(proposal.key_epoch)
        if proposal.generation <= signed:
            raise CeremonyRefused(
                f"this node has signed keys of generation {signed} of key epoch {proposal.key_epoch}",
                f"propose it again with --generation {signed + 1}",
            )

    def _check_terms(self, proposal: Proposal) -> None:
        """What the machine leaves to who joins (threshold SPEC 3): the base in force, and the rotation."""
        newest = self.node.ceremonies.base_of(proposal.key_epoch)
        is_dealer = self.node.settings.me in proposal.dealers
        if proposal.base is None:
            self._check_new(proposal.key_epoch, newest)
        if proposal.base is not None and (newest is None or newest.digest != proposal.base):
            raise CeremonyRefused(
                "the keys that it shares anew are not the newest in force here", "propose it again"
            )
        if proposal.base is not None and is_dealer and proposal.base not in self.holds():
            raise CeremonyRefused(
                "this node holds no share of the keys that it is to deal",
                "propose it with --replace and this member's name",
            )
        is_next = proposal.base is None and proposal.key_epoch > self.node.committee.key_epoch
        if is_next != (proposal.rotation is not None):
            expected = "a time in which verifiers are told of" if is_next else "no rotation for"
            raise CeremonyRefused(f"expected {expected} key epoch {proposal.key_epoch}", "propose it again")

    def _check_drop(self, running: Running) -> None:
        if running.ended is not None:
            raise CeremonyRefused(f"it has ended: {self._state(running)}")
        if running.has_signed(self.node.settings.me):
            raise CeremonyRefused(
                "this node has signed the keys, and others may count on it", "it ends with its deadline"
            )


def _rotation(terms: RotationTerms | None) -> Mapping[str, Json] | None:
    if terms is None:
        return None
    return {"not_before": terms.not_before, "not_after": terms.not_after, "revoke": terms.revoke}
