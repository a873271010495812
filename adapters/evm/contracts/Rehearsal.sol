// SPDX-License-Identifier: Apache-2.0
pragma solidity ^0.8.30;

import {Act, UNDO_NONE, UNDO_RESTORE} from "./TocsinTypes.sol";

/// What a getter answered.
struct Reading {
    bool answered;
    uint256 value;
    uint256 gasUsed;
}

/// What a call did; `answer` is the beginning of what it returned, or reverted with.
struct Deed {
    bool succeeded;
    uint256 gasUsed;
    bytes answer;
}

/// The state before, the call, the state after.
struct Trial {
    Reading before;
    Deed deed;
    Reading reached;
}

/// Tries an act with a gateway's own gas rules and says what came of it; nothing here reverts on the target's account.
///
/// Never deployed: a rehearsal lends this code to the gateway's address for one simulated call (state override), so
/// that the target sees the gateway as its caller before the gateway has a role, or is there at all.
contract Rehearsal {
    /// What a getter gets (BoundedCall).
    uint256 private constant STATE_GAS = 100_000;
    /// Of an answer so much is shown.
    uint256 private constant SHOWN_BYTES = 512;
    /// Where the state before is kept for the undo: a slot that no gateway uses.
    bytes32 private constant KEPT = keccak256("tocsin/rehearsal/restore");

    error GasTooLow(uint256 needed, uint256 got);

    /// The state, as the gateway reads it.
    function look(Act calldata act_) external view returns (Reading memory) {
        return _read(act_);
    }

    /// The protective call; what the state was before is kept.
    function protect(Act calldata act_) external returns (Trial memory) {
        return _protect(act_);
    }

    /// The undo, after `protect` in the same simulation.
    function undo(Act calldata act_) external returns (Trial memory) {
        return _undo(act_, _kept());
    }

    /// The undo of a record that is open: `restore` is what the gateway has kept.
    function undoWith(Act calldata act_, uint256 restore) external returns (Trial memory) {
        return _undo(act_, restore);
    }

    /// Both, in one transaction, for endpoints that simulate no more than one.
    function both(Act calldata act_) external returns (Trial memory first, Trial memory second) {
        first = _protect(act_);
        second = _undo(act_, first.before.value);
    }

    function _protect(Act calldata act_) private returns (Trial memory trial) {
        trial.before = _read(act_);
        bytes32 slot = KEPT;
        uint256 value = trial.before.value;
        assembly ("memory-safe") {
            sstore(slot, value)
        }
        trial.deed = _run(act_.target, act_.call, act_.gasCap);
        trial.reached = _read(act_);
    }

    function _undo(Act calldata act_, uint256 restore) private returns (Trial memory trial) {
        trial.before = _read(act_);
        trial.reached = trial.before;
        if (act_.undo == UNDO_NONE) return trial;
        bytes memory call_ = act_.undoCall;
        if (act_.undo == UNDO_RESTORE) {
            uint256 offset = act_.restoreAt;
            assembly ("memory-safe") {
                mstore(add(add(call_, 32), offset), restore)
            }
        }
        trial.deed = _run(act_.target, call_, act_.gasCap);
        trial.reached = _read(act_);
    }

    function _kept() private view returns (uint256 value) {
        bytes32 slot = KEPT;
        assembly ("memory-safe") {
            value := sload(slot)
        }
    }

    function _run(address target, bytes memory data, uint256 gasCap) private returns (Deed memory deed) {
        uint256 needed = gasCap * 64 / 63 + 3_000;
        if (gasleft() < needed) revert GasTooLow(needed, gasleft());
        uint256 gas = gasleft();
        bool succeeded;
        assembly ("memory-safe") {
            succeeded := call(gasCap, target, 0, add(data, 32), mload(data), 0, 0)
        }
        deed.gasUsed = gas - gasleft();
        deed.succeeded = succeeded;
        deed.answer = _answer();
    }

    function _read(Act calldata act_) private view returns (Reading memory reading) {
        bytes memory data = act_.stateCall;
        address target = act_.stateTarget;
        uint256 place = uint256(act_.stateWord) * 32;
        uint256 gas = gasleft();
        bool answered;
        uint256 value;
        assembly ("memory-safe") {
            answered := staticcall(STATE_GAS, target, add(data, 32), mload(data), 0, 0)
            if lt(returndatasize(), add(place, 32)) { answered := 0 }
            if answered {
                returndatacopy(0, place, 32)
                value := mload(0)
            }
        }
        (reading.answered, reading.value, reading.gasUsed) = (answered, value, gas - gasleft());
    }

    function _answer() private pure returns (bytes memory answer) {
        assembly ("memory-safe") {
            let size := returndatasize()
            if gt(size, SHOWN_BYTES) { size := SHOWN_BYTES }
            answer := mload(0x40)
            mstore(answer, size)
            returndatacopy(add(answer, 32), 0, size)
            mstore(0x40, and(add(add(answer, 63), size), not(31)))
        }
    }
}
