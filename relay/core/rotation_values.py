"""What a verifier was seen to be, as plain values and back: the journal's form (SPEC 7.1)."""

from __future__ import annotations

from proofs.canonical import Value
from relay.core.rotations import VerifierEpoch, VerifierState
from relay.core.types import Address, Caip2, Gateway, NetworkId

__all__ = ["state_of", "state_value"]


def state_value(state: VerifierState) -> Value:
    """Give the plain form of a state."""
    epochs: list[Value] = [
        [
            *(each.key_epoch, list(each.attesters), each.fast, each.full),
            None if each.groups is None else list(each.groups),
            *(each.valid_from, each.valid_until),
        ]
        for each in state.epochs
    ]
    return [state.chain, state.verifier, state.network, state.delay_s, state.overlap_s, epochs]


def state_of(value: Value) -> VerifierState:
    """Read a state back.

    Raises:
        ValueError, TypeError: it is none.
    """
    match value:
        case (str(chain), bytes(verifier), bytes(network), int(delay_s), int(overlap_s), epochs):
            if not isinstance(epochs, tuple | list) or not epochs:
                raise ValueError("expected the epochs of a verifier")
            return VerifierState(
                chain=Caip2(chain),
                verifier=Gateway(verifier),
                network=NetworkId(network),
                delay_s=delay_s,
                overlap_s=overlap_s,
                epochs=tuple(_epoch(each) for each in epochs),
            )
        case _:
            raise ValueError("expected the state of a verifier")


def _epoch(value: Value) -> VerifierEpoch:
    match value:
        case (int(epoch), attesters, int(fast), int(full), groups, int(valid_from), int(valid_until)):
            fast_key, full_key = _keys(groups) if groups is not None else (None, None)
            return VerifierEpoch(
                key_epoch=epoch,
                attesters=tuple(Address(each) for each in _keys(attesters)),
                fast=fast,
                full=full,
                groups=None if fast_key is None or full_key is None else (fast_key, full_key),
                valid_from=valid_from,
                valid_until=valid_until,
            )
        case _:
            raise ValueError("expected a key epoch of a verifier")


def _keys(value: Value) -> list[bytes]:
    if not isinstance(value, tuple | list):
        raise TypeError("expected an array")
    found = [each for each in value if isinstance(each, bytes)]
    if len(found) != len(value):
        raise ValueError("expected bytes")
    return found
