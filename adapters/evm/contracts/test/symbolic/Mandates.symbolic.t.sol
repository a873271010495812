// SPDX-License-Identifier: Apache-2.0
pragma solidity ^0.8.30;

import {Book} from "../../BudgetBook.sol";
import {
    OP_EXTEND,
    OP_PROTECT,
    OP_RELEASE,
    Record,
    TIER_FAST,
    TIER_FULL
} from "../../TocsinTypes.sol";
import {Probe} from "./Probe.sol";

/// One mandate with any fields, at any time, from any record, book, state of the target and answer of the verifier; the
/// target's calls leave anything. What is asserted holds for each step, so for every sequence of them.
contract MandateProofs is Probe {
    /// INV-1, 4, 7, 10, 11, 12, 13, 15.
    function check_protect(Scene memory scene, Brought memory brought, Book memory book) public {
        _set(scene);
        gateway.putBook(book);

        if (!_bring(OP_PROTECT, brought)) return;

        _assertBound(scene, brought);
        assert(brought.tier == TIER_FAST || brought.tier == TIER_FULL);
        assert(brought.plan == PLAN);
        _assertGrowth(scene, brought);
        if (target.onCalls() == 0) return;
        Record memory later = gateway.record(ACT);
        assert(scene.until == 0 && scene.state != VALUE && scene.afterOn == VALUE);
        assert(later.until > scene.time && later.until <= brought.notBefore + brought.duration);
        assert(later.last == brought.notBefore && later.restore == scene.state);
    }

    /// INV-1, 4, 7, 10, 11, 12, 13.
    function check_extend(Scene memory scene, Brought memory brought, Book memory book) public {
        _set(scene);
        gateway.putBook(book);

        if (!_bring(OP_EXTEND, brought)) return;

        _assertBound(scene, brought);
        assert(brought.tier == TIER_FULL);
        assert(scene.until != 0 && target.onCalls() == 0);
        _assertGrowth(scene, brought);
    }

    /// INV-1, 6, 7, 10, 11, 12, 13.
    function check_release(Scene memory scene, Brought memory brought) public {
        _set(scene);

        if (!_bring(OP_RELEASE, brought)) return;

        _assertFresh(scene, brought);
        assert(brought.tier == TIER_FULL);
        assert(scene.until != 0 && brought.notBefore > scene.last);
        assert(target.strangeCalls() == 0 && target.onCalls() == 0 && target.offCalls() <= 1);
        assert((target.offCalls() == 1) == (scene.state == VALUE));
        assert(target.state() != VALUE);
        Record memory later = gateway.record(ACT);
        assert(later.until == 0 && later.endedAt >= scene.endedAt && later.endedAt >= brought.notBefore);
    }

    /// INV-13: there are three operations.
    function check_any_other_operation_is_refused(Scene memory scene, Brought memory brought, uint8 op)
        public
    {
        vm.assume(op != OP_PROTECT && op != OP_EXTEND && op != OP_RELEASE);
        _set(scene);

        assert(!_bring(op, brought));
    }

    /// INV-5, with INV-12: what a mandate leaves (a record at least as long and as new, or an end not before it; asserted
    /// by the other proofs, and kept by every step) makes it void.
    function check_a_replay_changes_nothing(Scene memory scene, Brought memory brought, bool extend) public {
        uint256 end = uint256(brought.notBefore) + brought.duration;
        bool done = scene.until != 0 && scene.until >= end && scene.last >= brought.notBefore;
        vm.assume(scene.until == 0 ? scene.endedAt >= brought.notBefore : done && scene.state == VALUE);
        _set(scene);
        bytes32 book = gateway.bookHash();

        bool success = _bring(extend ? OP_EXTEND : OP_PROTECT, brought);

        assert(!success || scene.until != 0);
        Record memory later = gateway.record(ACT);
        assert(later.until == scene.until && later.last == scene.last && later.endedAt == scene.endedAt);
        assert(later.restore == scene.restore && gateway.bookHash() == book);
        assert(target.onCalls() == 0 && target.offCalls() == 0 && target.strangeCalls() == 0);
    }

    function _assertFresh(Scene memory scene, Brought memory brought) private view {
        assert(scene.certified);
        assert(brought.network == NETWORK && brought.root == _leaf(brought.duration));
        assert(brought.notBefore <= scene.time + SKEW && scene.time <= brought.notAfter);
        assert(brought.notBefore > scene.endedAt);
    }

    function _assertBound(Scene memory scene, Brought memory brought) private view {
        _assertFresh(scene, brought);
        assert(scene.active && !scene.paused && brought.duration <= LONGEST);
    }

    /// What protect and extend may leave: a record that is no shorter, or one that is closed because it was not ours.
    function _assertGrowth(Scene memory scene, Brought memory brought) private view {
        Record memory later = gateway.record(ACT);
        assert(target.strangeCalls() == 0 && target.offCalls() == 0 && target.onCalls() <= 1);
        assert(later.endedAt >= scene.endedAt);
        if (scene.until != 0 && scene.state != VALUE) {
            assert(later.until == 0 && later.endedAt >= scene.time + SKEW && target.onCalls() == 0);
        } else {
            assert(later.until >= scene.until && later.last >= scene.last);
            assert(later.until == scene.until || later.until <= brought.notBefore + brought.duration);
            assert(later.until == 0 || later.last >= brought.notBefore);
        }
    }
}

/// An act of the full tier.
contract FullActProofs is Probe {
    function _tierOfAct() internal pure override returns (uint8) {
        return TIER_FULL;
    }

    /// INV-7: no fast mandate protects with it.
    function check_a_fast_mandate_runs_no_full_act(Scene memory scene, Brought memory brought) public {
        vm.assume(brought.tier != TIER_FULL);
        _set(scene);

        assert(!_bring(OP_PROTECT, brought));
        assert(target.onCalls() == 0);
    }
}
