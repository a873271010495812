"""Whether verifiers take the keys of the committee in force, and will take those of the next (SPEC 8.1)."""

from __future__ import annotations

from collections.abc import Callable, Sequence

from proofs.committee import CommitteeDocument
from proofs.groupkeys import KeysDocument, group_name
from proofs.mandate import Tier
from relay.core.committees import Committees
from relay.core.readiness import Fact, Standing
from relay.core.rotations import VerifierEpoch, VerifierState
from relay.core.types import Caip2

__all__ = ["keys_fact_name", "verifier_fact"]

_NO_PROGRESS = "no rotation is announced"


def keys_fact_name(protocol: str, chain: Caip2) -> str:
    """Give the name of the fact about a gateway's verifier."""
    return f"keys {protocol} {chain}"


def verifier_fact(
    name: str,
    state: VerifierState | None,
    committees: Committees,
    at_s: int,
    progress: Callable[[VerifierState], str] = lambda _: _NO_PROGRESS,
    *,
    keys: Sequence[KeysDocument] = (),
) -> Fact:
    """Say how a verifier stands to the committee in force and to the next one with other keys.

    `progress` tells how far the rotation of one that is not announced has come; `keys` are the documents that
    are in force here.
    """
    if state is None:
        return Fact(name, Standing.UNTOLD, "too few endpoints show the verifier alike", "see the endpoints")
    committee = committees.in_force(at_s)
    epoch = state.epoch(committee.key_epoch)
    if epoch is None or not epoch.accepts(at_s) or not _is_of(epoch, committee):
        shown = ", ".join(_span(each) for each in state.epochs)
        reason = f"expected key epoch {committee.key_epoch} of this committee, the verifier shows {shown}"
        remedy = "rotate the verifier to the committee in force, or let the owner call setVerifier"
        return Fact(name, Standing.FAILED, reason, remedy)
    strange = _strange(name, state, keys, at_s)
    if strange is not None:
        return strange
    following = next((each for each in committees.documents if each.key_epoch > committee.key_epoch), None)
    if following is None:
        return Fact(name, Standing.HELD, _span(epoch))
    shown_next = state.epoch(following.key_epoch)
    if shown_next is None:
        return _unannounced(name, state, following, at_s, progress(state))
    return _announced(name, epoch, shown_next, following)


def _unannounced(name: str, state: VerifierState, following: CommitteeDocument, at_s: int, how: str) -> Fact:
    reason = (
        f"key epoch {following.key_epoch}: {how}; its committee is in force from {following.activates_at}"
    )
    if at_s + state.delay_s <= following.activates_at:
        return Fact(name, Standing.HELD, reason)
    reason += f", before the verifier can take it: it waits {state.delay_s} s"
    return Fact(
        name, Standing.FAILED, reason, "announce it as soon as can be: what is decided meanwhile is refused"
    )


def _announced(name: str, old: VerifierEpoch, new: VerifierEpoch, following: CommitteeDocument) -> Fact:
    reason = f"{_span(old)}; {_span(new)}; its committee is in force from {following.activates_at}"
    if not _is_of(new, following):
        remedy = (
            "if that is not your committee, the guardian calls refuseEpochsFrom, or the owner setVerifier"
        )
        return Fact(name, Standing.FAILED, f"{reason}; announced with other attesters", remedy)
    if following.activates_at < new.valid_from:
        remedy = "what is decided in between is refused here until then, and decided again in the next slot"
        return Fact(name, Standing.FAILED, f"{reason}, too early for this verifier", remedy)
    if following.activates_at > old.valid_until:
        remedy = (
            "what is decided in between is refused here, and decided again once the committee is in force"
        )
        return Fact(name, Standing.FAILED, f"{reason}, too late for this verifier", remedy)
    return Fact(name, Standing.HELD, reason)


def _is_of(epoch: VerifierEpoch, document: CommitteeDocument) -> bool:
    sizes = (epoch.fast, epoch.full) == (document.fast, document.full)
    return sizes and set(epoch.attesters) == set(document.attesters())


def _strange(name: str, state: VerifierState, keys: Sequence[KeysDocument], at_s: int) -> Fact | None:
    """Give what is wrong where a tier's key is nobody's that we know [its holder is a whole quorum]."""
    for epoch in state.epochs:
        ours = [_groups(each) for each in keys if each.key_epoch == epoch.key_epoch]
        if epoch.groups is not None and epoch.groups not in ours and at_s <= epoch.valid_until:
            reason = f"{_span(epoch)}: its group keys stand in no keys document that is in force here"
            remedy = (
                "copy the keys file of that key epoch into the committee directory; where there is none, "
                "somebody else signs by them: the gateway's owner calls setVerifier"
            )
            return Fact(name, Standing.FAILED, reason, remedy)
    return None


def _groups(document: KeysDocument) -> tuple[bytes, bytes] | None:
    fast, full = (document.group(group_name(tier)) for tier in (Tier.FAST, Tier.FULL))
    return None if fast is None or full is None else (fast.key, full.key)


_OPEN_END = (1 << 40) - 1


def _span(epoch: VerifierEpoch) -> str:
    until = "" if epoch.valid_until >= _OPEN_END else f" to {epoch.valid_until}"
    return f"key epoch {epoch.key_epoch} from {epoch.valid_from}{until}"
