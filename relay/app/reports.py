"""What the node tells through its interface: incidents, readiness, status, as plain values."""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence

from proofs.committee import CommitteeDocument
from proofs.mandate import Op
from relay.api import Json, Readiness
from relay.app.plan_reports import plan_report
from relay.app.readiness import is_in_force
from relay.app.remark_reports import remarks_about
from relay.core.calls import act_of
from relay.core.incidents import ActState, DecisionState, Incident, incidents
from relay.core.messages import Verdict
from relay.core.node import Node
from relay.core.readiness import Fact
from relay.core.types import BlockRef
from relay.gossip import Lane

__all__ = ["Reports"]


class Reports:
    """Reads one node; changes nothing."""

    def __init__(
        self,
        node: Node,
        lane: Lane,
        timeline: Mapping[bytes, Mapping[str, int]],
        last_mile: Callable[[], Sequence[Fact]],
    ) -> None:
        self._node = node
        self._lane = lane
        self._timeline = timeline
        self._last_mile = last_mile

    def _name(self, identity: bytes) -> str:
        return self._node.committees.name_of(identity)

    def incidents(self) -> list[Mapping[str, Json]]:
        """Short forms, newest first."""
        found = incidents(self._node.book, self._node.landing)
        return [_short(incident) for incident in reversed(found)]

    def incident(self, name: str) -> Mapping[str, Json] | None:
        """The full form of the incident with this id, or that a decision of it has."""
        for incident in incidents(self._node.book, self._node.landing):
            ids = {state.id.hex() for state in incident.decisions} | {incident.id.hex()}
            if name in ids:
                return {**_short(incident), "decisions": [self._decision(s) for s in incident.decisions]}
        return None

    def status(self) -> Mapping[str, Json]:
        """What `tocsin status` shows."""
        node, committee = self._node, self._node.committee
        return {
            "member": self._name(node.settings.me),
            "network": committee.network.hex(),
            "name": committee.name,
            "committee": self._committee(),
            "released": node.is_released,
            "connected": sorted(self._name(peer) for peer in self._lane.connected()),
            "live_members": node.live_members(),
            "chains": {
                chain: {
                    "tip": _block(view.tip),
                    "finalized": _block(view.finalized),
                    "head": _block(view.head),
                }
                for chain, view in node.views.items()
            },
            "plans": [plan_report(node, room) for room in node.rooms.values()],
            "log_size": node.log_size,
            "open_decisions": len(node.book.entries),
        }

    def readiness(self) -> list[Readiness]:
        """The facts that must hold before this node is of use."""
        node, committee = self._node, self._node.committee
        present = self._lane.connected() | {node.settings.me}
        connected = sum(1 for member in committee.members if member.identity in present)
        facts = [
            Readiness(
                "signer",
                node.is_released,
                "" if node.is_released else "waiting for f+1 peers to say what they remember of us",
                "" if node.is_released else "see that peers are reachable",
            ),
            _quorum(connected, committee),
            self._membership(),
        ]
        if not node.rooms:
            reason = "there is no plan: this node watches no chain and attests nothing"
            remedy = "put the protocols' plans into plans/<protocol>/ and start it again"
            facts.append(Readiness("plans", False, reason, remedy))
        for chain, view in node.views.items():
            behind = view.head is None or view.tip is None or view.head.number - view.tip.number > _MAX_BEHIND
            reason = "" if not behind else "no block read yet" if view.tip is None else "behind its head"
            facts.append(
                Readiness(f"chain {chain}", not behind, reason, "see the chain's endpoints" * behind)
            )
        facts += self._plans_in_force()
        return [*facts, *(_readiness(fact) for fact in self._last_mile())]

    def _membership(self) -> Readiness:
        """We must be in the committee in force: others' words count for nothing."""
        node = self._node
        if node.is_member:
            return Readiness("membership", True, "", "")
        epoch, joins = node.committee.committee_epoch, node.committees.newest
        if joins.member(node.settings.me) is not None and joins.committee_epoch > epoch:
            reason = f"epoch {joins.committee_epoch} names this node, in force from {joins.activates_at} on"
            return Readiness("membership", False, reason, "wait until it is in force")
        reason = f"committee epoch {epoch} does not name this node: it attests nothing"
        return Readiness(
            "membership", False, reason, "ask the members for a document that names it, or stop it"
        )

    def _committee(self) -> Mapping[str, Json]:
        """Which documents are known, and which is in force."""
        node = self._node
        announced = [each for each in node.committees.documents if each.activates_at > node.now_ms // 1_000]
        return {
            "epoch": node.committee.committee_epoch,
            "key_epoch": node.committee.key_epoch,
            "members": len(node.committee.members),
            "is_member": node.is_member,
            "announced": [
                {
                    "epoch": each.committee_epoch,
                    "key_epoch": each.key_epoch,
                    "activates_at": each.activates_at,
                }
                for each in announced
                if each.committee_epoch > node.committee.committee_epoch
            ],
        }

    def _plans_in_force(self) -> list[Readiness]:
        """One version of each protocol's plan must be in force, as far as this node has read."""
        plans = [room.compiled for room in self._node.rooms.values()]
        known = {plan.plan.protocol for plan in plans if is_in_force(self._node, plan)}
        return [
            Readiness(
                f"plan {protocol}",
                protocol in known,
                "" if protocol in known else "its hash is not registered at the reference gateway",
                ""
                if protocol in known
                else "ask the protocol to set the plan, or take up the version that it has",
            )
            for protocol in sorted({plan.plan.protocol for plan in plans})
        ]

    def _unlanded(self, state: DecisionState) -> list[Json]:
        """Who says that which call of a decision does not land, and why."""
        prepared = state.entry.tally.prepared
        leaves = {
            (leaf.chain, leaf.gateway, leaf.act_id): name
            for name, leaf in zip(prepared.act_names, prepared.leaves, strict=True)
        }
        return [
            {
                "member": self._name(author),
                "act": leaves[act_of(word)],
                "chain": word.chain,
                "reason": word.reason,
                "tries": word.tries,
            }
            for author, word in self._node.hearing.complaints.about(state.id)
            if word.mandate_digest == prepared.digest
        ]

    def _decision(self, state: DecisionState) -> Mapping[str, Json]:
        prepared = state.entry.tally.prepared
        decision = prepared.decision
        return {
            "id": state.id.hex(),
            "op": Op(decision.op).name.lower(),
            "subject": decision.subject,
            "rung": decision.rung,
            "tier": decision.tier.name.lower(),
            "plan_hash": decision.plan_hash.hex(),
            "parent": decision.parent.hex() if decision.parent is not None else None,
            "anchor": _block(decision.anchor),
            "digest": prepared.digest.hex(),
            "not_before": prepared.mandate.not_before,
            "not_after": prepared.mandate.not_after,
            "certified": state.is_certified,
            "void": state.entry.void,
            "verdicts": {self._name(identity): verdict.value for identity, verdict in state.verdicts},
            "attesters": sum(1 for _, verdict in state.verdicts if verdict is Verdict.ATTEST),
            "acts": [_act(act) for act in state.acts],
            "unlanded": self._unlanded(state),
            **remarks_about(self._node, state),
            "timeline_us": dict(self._timeline.get(state.id, {})),
        }


_MAX_BEHIND = 3


def _readiness(fact: Fact) -> Readiness:
    reason = fact.reason if fact.held is not None else f"{fact.standing}: {fact.reason}"
    return Readiness(fact.name, fact.is_ready, reason, fact.remedy)


def _quorum(connected: int, committee: CommitteeDocument) -> Readiness:
    ready = connected >= committee.full
    reason = "" if ready else f"{connected} of {committee.full} members connected"
    return Readiness("quorum", ready, reason, "" if ready else "see that peers are reachable")


def _short(incident: Incident) -> Mapping[str, Json]:
    first = incident.decisions[0].entry.tally.prepared.decision.anchor
    return {
        "id": incident.id.hex(),
        "protocol": incident.protocol,
        "rule": incident.rule,
        "began": _block(first),
        "decisions_count": len(incident.decisions),
        "certified": any(state.is_certified for state in incident.decisions),
        "contained": incident.is_contained,
    }


def _act(act: ActState) -> Mapping[str, Json]:
    event = act.event
    return {
        "act": act.name,
        "chain": act.chain,
        "effect": event.kind.value if event is not None else None,
        "tx": event.tx.hex() if event is not None else None,
        "gas_used": event.gas_used if event is not None else None,
        "until": event.until if event is not None else None,
        "block": _block(act.block),
    }


def _block(block: BlockRef | None) -> Mapping[str, Json] | None:
    if block is None:
        return None
    return {
        "chain": block.chain,
        "number": block.number,
        "hash": block.hash.hex(),
        "timestamp": block.timestamp,
    }
