// SPDX-License-Identifier: Apache-2.0
pragma solidity ^0.8.30;

import {BoundedCall} from "./BoundedCall.sol";
import {Book, BudgetBook, Usage} from "./BudgetBook.sol";
import {GatewayRegistry} from "./GatewayRegistry.sol";
import {Act, Budget, COMPARE_AT_MOST, COMPARE_EQUAL, Record} from "./TocsinTypes.sol";

/// What can be read from a gateway, and how it reads the states of its acts.
abstract contract GatewayViews is GatewayRegistry {
    using BudgetBook for Book;

    function act(bytes32 actId)
        external
        view
        returns (Act memory act_, uint8 tier, uint64 maxDuration, bool active)
    {
        Entry memory entry = _entries[actId];
        if (entry.code != address(0)) (, act_) = _load(entry.code);
        return (act_, entry.tier, entry.maxDuration, entry.active);
    }

    /// The hash of a registered act; zero when it is not registered, or off.
    function actHash(bytes32 actId) external view returns (bytes32) {
        Entry memory entry = _entries[actId];
        return entry.active ? _hashAt(entry.code) : bytes32(0);
    }

    /// The ids of all acts that are on, in no order.
    function actIds() external view returns (bytes32[] memory) {
        return _actIds;
    }

    function record(bytes32 actId) external view returns (Record memory) {
        return _records[actId];
    }

    /// An act's state now: the value, whether it counts as protected, whether it is exactly what our call leaves.
    function stateOf(bytes32 actId) external view returns (uint256 value, bool isProtected, bool isOurs) {
        address code = _entries[actId].code;
        if (code == address(0)) revert ActNotRegistered(actId);
        (, Act memory act_) = _load(code);
        value = _state(act_);
        return (value, _protects(act_, value), value == act_.value);
    }

    /// The plans in force now: after an overlap, `next` stands as `current`.
    function planHashes() external view returns (bytes32 current, bytes32 next, uint64 overlapUntil) {
        if (_overlapIsOver()) return (_nextPlan, 0, 0);
        return (_currentPlan, _nextPlan, _overlapUntil);
    }

    function budget() external view returns (Budget memory) {
        return _budget;
    }

    /// What could be booked now, within the current window.
    function budgetLeft() external view returns (Budget memory) {
        return _bookOfNow().left(_budget);
    }

    /// What is booked in the fixed window number `index` (time divided by `window`): right from the window before the last
    /// charge's on, zeros for older ones, which bound nothing any more.
    function usage(uint256 index) external view returns (Usage memory) {
        return _book.usage(index);
    }

    function _bookOfNow() internal view returns (Book memory book) {
        book = _book;
        book.turnTo(block.timestamp / window);
    }

    function _state(Act memory act_) internal view returns (uint256) {
        return BoundedCall.state(act_.stateTarget, act_.stateCall, act_.stateWord);
    }

    /// Whether a state is at least as strict as what our call leaves.
    function _protects(Act memory act_, uint256 value) internal pure returns (bool) {
        if (act_.compare == COMPARE_EQUAL) return value == act_.value;
        return act_.compare == COMPARE_AT_MOST ? value <= act_.value : value >= act_.value;
    }

    function _overlapIsOver() internal view returns (bool) {
        return _overlapUntil != 0 && block.timestamp > _overlapUntil;
    }
}
