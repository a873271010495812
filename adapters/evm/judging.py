"""From what a trial showed to a verdict in words (SPEC 8.2, 8.3). Pure."""

from __future__ import annotations

from adapters.evm.encode import UNDO_NONE, UNDO_RESTORE
from adapters.evm.reverts import name_refusal
from adapters.evm.trials import ActFields, Trial
from relay.core.rehearsal import Outcome, Part

__all__ = ["GAS_SHARE", "judge_call", "judge_check", "judge_undo", "protects"]

GAS_SHARE = 80
"""Of a cap, in hundredths: whoever uses more may not find it enough after the target's next change."""
_SPENT_SHARE = 98


def protects(act: ActFields, value: int) -> bool:
    """Whether a state is at least as strict as what the call leaves (GATEWAY.md 1)."""
    if act.compare == 0:
        return value == act.value
    return value <= act.value if act.compare == 1 else value >= act.value


def judge_call(act: ActFields, trial: Trial, caller: str) -> Part:
    """Whether the protective call goes through; a state that is protected already needs none."""
    if not trial.before.answered:
        return _unreadable(act)
    if protects(act, trial.before.value):
        reason = f"the state is {trial.before.value} already"
        return Part(Outcome.IN_FORCE, 0, act.gas_cap, reason, "rehearse again once it is undone")
    if not trial.deed.succeeded:
        return _reverted(act, trial, caller)
    return Part(Outcome.DONE, trial.deed.gas_used, act.gas_cap)


def judge_check(act: ActFields, trial: Trial) -> Part:
    """Whether the call leaves exactly the value that the act names."""
    if not trial.before.answered:
        return _unreadable(act)
    if protects(act, trial.before.value) or not trial.deed.succeeded:
        return Part(Outcome.NONE)
    if trial.reached is None:
        return Part(
            Outcome.UNTRIED, reason="the endpoint shows no state after a call", remedy=_OTHER_ENDPOINT
        )
    if not trial.reached.answered:
        return _unreadable(act)
    if trial.reached.value == act.value:
        return Part(Outcome.DONE, trial.reached.gas_used)
    reason = f"the state is {trial.reached.value} after the call, expected exactly {act.value}"
    code = int.from_bytes(trial.deed.answer[:32], "big") if len(trial.deed.answer) == 32 else 0
    if code and trial.reached.value == trial.before.value:
        reason += f"; the call answered {code}, as targets do that return an error code instead of reverting"
    remedy = "correct value, state or call of the act, or grant what the call needs"
    return Part(Outcome.NO_EFFECT, trial.reached.gas_used, 0, reason, remedy)


def judge_undo(act: ActFields, trial: Trial | None, original: int | None, caller: str) -> Part:
    """Whether the undo gives back the state. `original` is what the state was before the call."""
    if act.undo == UNDO_NONE:
        return Part(Outcome.NONE, reason="the act has no undo")
    if trial is None or trial.reached is None:
        return Part(
            Outcome.UNTRIED, reason="the endpoint simulates no sequence of calls", remedy=_OTHER_ENDPOINT
        )
    if not trial.before.answered or not trial.reached.answered:
        return _unreadable(act)
    if trial.before.value != act.value:
        reason = f"the state was {trial.before.value} by then: it had ended by itself"
        return Part(Outcome.NONE, 0, act.gas_cap, reason)
    if not trial.deed.succeeded:
        return _reverted(act, trial, caller)
    return _undone(act, trial.deed.gas_used, trial.reached.value, original)


def _undone(act: ActFields, gas_used: int, reached: int, original: int | None) -> Part:
    """Whether the state after an undo that went through is the one wanted."""
    if reached == act.value:
        reason, remedy = (
            f"the state is still {act.value} after the undo",
            "correct the act's undo or its state",
        )
    elif act.undo == UNDO_RESTORE and original is not None and reached != original:
        reason = f"the state is {reached} after the undo, and was {original} before the act"
        remedy = "correct where `restore` puts the value"
    else:
        return Part(Outcome.DONE, gas_used, act.gas_cap)
    return Part(Outcome.NO_EFFECT, gas_used, act.gas_cap, reason, remedy)


_OTHER_ENDPOINT = "use an endpoint with eth_simulateV1 or state overrides"


def _reverted(act: ActFields, trial: Trial, caller: str) -> Part:
    used = trial.deed.gas_used
    if 100 * used >= _SPENT_SHARE * act.gas_cap and not trial.deed.answer:
        reason = f"used up its gas cap of {act.gas_cap}"
        return Part(Outcome.REVERTED, used, act.gas_cap, reason, "raise `gas` of the act in the plan")
    refused = name_refusal(trial.deed.answer, trial.deed.text, caller=caller, target=act.target)
    return Part(Outcome.REVERTED, used, act.gas_cap, refused.reason, refused.remedy)


def _unreadable(act: ActFields) -> Part:
    reason = f"the state getter at {act.state_target} does not answer word {act.state_word} with 100000 gas"
    return Part(Outcome.UNREADABLE, reason=reason, remedy="correct `state`, `state_target` or `state_word`")
