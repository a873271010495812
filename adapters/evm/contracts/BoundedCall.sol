// SPDX-License-Identifier: Apache-2.0
pragma solidity ^0.8.30;

/// Calls to contracts that are not ours: bounded gas, and never more of their answer than one word.
library BoundedCall {
    /// What must remain beside a call's own gas, so that a call which used all of it can still be recorded.
    uint256 internal constant OVERHEAD_GAS = 160_000;
    /// What a state getter gets.
    uint256 internal constant STATE_GAS = 100_000;

    error GasTooLow(uint256 needed, uint256 got);
    error CallFailed(address target);
    error StateUnreadable(address target);

    /// Call `target` with exactly `gasCap` gas; reverts when the call does.
    function run(address target, bytes memory data, uint256 gasCap) internal {
        _requireGas(gasCap, OVERHEAD_GAS);
        bool success;
        assembly ("memory-safe") {
            success := call(gasCap, target, 0, add(data, 32), mload(data), 0, 0)
        }
        if (!success) revert CallFailed(target);
    }

    /// Word number `word` of the answer to a state getter; reverts when there is none.
    function state(address target, bytes memory data, uint256 word) internal view returns (uint256) {
        _requireGas(STATE_GAS, 0);
        (bool success, uint256 value) = read(target, data, word, STATE_GAS);
        if (!success) revert StateUnreadable(target);
        return value;
    }

    /// As `state`, but the caller judges a failure and the gas.
    function read(address target, bytes memory data, uint256 word, uint256 gasCap)
        internal
        view
        returns (bool success, uint256 value)
    {
        assembly ("memory-safe") {
            success := staticcall(gasCap, target, add(data, 32), mload(data), 0, 0)
            // The answer's size is read after the call: Yul evaluates arguments from right to left.
            if lt(returndatasize(), add(mul(word, 32), 32)) { success := 0 }
            if success {
                returndatacopy(0, mul(word, 32), 32)
                value := mload(0)
            }
        }
    }

    /// SECURITY: a caller with little gas could make the inner call fail or misjudge, and ours succeed (EIP-150).
    function _requireGas(uint256 gasCap, uint256 overhead) private view {
        unchecked {
            // Registered caps are far from overflowing.
            uint256 needed = gasCap * 64 / 63 + overhead + 3_000;
            if (gasleft() < needed) revert GasTooLow(needed, gasleft());
        }
    }
}
