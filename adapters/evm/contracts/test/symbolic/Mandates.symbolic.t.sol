// SPDX-License-Identifier: Apache-2.0
pragma solidity ^0.8.30;

import {
    OP_EXTEND,
    OP_PROTECT,
    OP_RELEASE,
    Record,
    TIER_FAST,
    TIER_FULL
} from "../../TocsinTypes.sol";
import {Claims, both, either} from "./Claims.sol";
import {Probe} from "./Probe.sol";

/// One mandate with any fields, at any time, from any record, state of the target and answer of the verifier; the target's calls
/// leave anything. The book is empty, the budget small enough to clip; where it is charged the time is one second, from which charges
/// cross into the next window, and all other times are any. What is asserted holds for each step, so for every sequence of them.
contract MandateProofs is Probe {
    uint64 private constant NOW = START + WINDOW - 1_000;

    /// INV-1, 4, 7, 10, 11, 12, 13, 15.
    function check_protect(Scene memory scene, Brought memory brought) public {
        scene.time = NOW;
        _set(scene);

        if (!_bring(OP_PROTECT, brought)) return;

        Claims memory claims;
        _claimPower(claims, scene, brought);
        claims.must(either(brought.tier == TIER_FAST, brought.tier == TIER_FULL));
        claims.must(brought.plan == PLAN);
        Record memory later = gateway.record(ACT);
        bool idle = target.onCalls() == 0;
        claims.must(either(idle, both(scene.until == 0, scene.state != VALUE)));
        claims.must(either(idle, both(target.state() == VALUE, later.until > scene.time)));
        claims.must(either(idle, both(later.last == brought.notBefore, later.restore == scene.state)));
        claims.must(either(!idle, either(scene.until != 0, later.until == 0)));
        assert(!claims.broken);
    }

    /// INV-1, 4, 7, 10, 11, 12, 13.
    function check_extend(Scene memory scene, Brought memory brought) public {
        scene.time = NOW;
        _set(scene);

        if (!_bring(OP_EXTEND, brought)) return;

        Claims memory claims;
        _claimPower(claims, scene, brought);
        claims.must(brought.tier == TIER_FULL);
        claims.must(both(scene.until != 0, target.onCalls() == 0));
        assert(!claims.broken);
    }

    /// INV-1, 6, 7, 10, 11, 12, 13.
    function check_release(Scene memory scene, Brought memory brought) public {
        _set(scene);

        if (!_bring(OP_RELEASE, brought)) return;

        Claims memory claims;
        _claimFresh(claims, scene, brought);
        claims.must(brought.tier == TIER_FULL);
        claims.must(both(scene.until != 0, brought.notBefore > scene.last));
        claims.must(both(target.strangeCalls() == 0, target.onCalls() == 0));
        claims.must(target.offCalls() <= 1);
        claims.must((target.offCalls() == 1) == (scene.state == VALUE));
        claims.must(target.state() != VALUE);
        Record memory later = gateway.record(ACT);
        claims.must(both(later.until == 0, later.endedAt >= scene.endedAt));
        claims.must(later.endedAt >= brought.notBefore);
        assert(!claims.broken);
    }

    /// INV-13: there are three operations.
    function check_any_other_operation_is_refused(Scene memory scene, Brought memory brought, uint8 op)
        public
    {
        vm.assume(either(op == 0, op > OP_RELEASE));
        _set(scene);

        assert(!_bring(op, brought));
    }

    /// INV-5, with INV-12: what a mandate leaves (a record at least as long and as new, or an end not before it; asserted
    /// by the other proofs, and kept by every step) makes it void.
    function check_a_replay_changes_nothing(Scene memory scene, Brought memory brought, bool extend) public {
        uint256 end = uint256(brought.notBefore) + brought.duration;
        bool done = both(scene.until != 0, both(scene.until >= end, scene.last >= brought.notBefore));
        bool ended = both(scene.until == 0, scene.endedAt >= brought.notBefore);
        vm.assume(either(ended, both(done, scene.state == VALUE)));
        _set(scene);
        bytes32 book = gateway.bookHash();

        bool success = _bring(extend ? OP_EXTEND : OP_PROTECT, brought);

        Claims memory claims;
        claims.must(either(!success, scene.until != 0));
        Record memory later = gateway.record(ACT);
        claims.must(both(later.until == scene.until, later.last == scene.last));
        claims.must(both(later.endedAt == scene.endedAt, later.restore == scene.restore));
        claims.must(gateway.bookHash() == book);
        claims.must(both(target.onCalls() == 0, both(target.offCalls() == 0, target.strangeCalls() == 0)));
        assert(!claims.broken);
    }

    function _claimFresh(Claims memory claims, Scene memory scene, Brought memory brought) private view {
        claims.must(scene.certified);
        claims.must(both(brought.network == NETWORK, brought.root == _leaf(brought.duration)));
        claims.must(both(brought.notBefore <= scene.time + SKEW, scene.time <= brought.notAfter));
        claims.must(brought.notBefore > scene.endedAt);
    }

    /// What protect and extend need, and what they may leave: a record that is no shorter, or one that is closed because it was
    /// not ours.
    function _claimPower(Claims memory claims, Scene memory scene, Brought memory brought) private view {
        _claimFresh(claims, scene, brought);
        claims.must(both(scene.active, both(!scene.paused, brought.duration <= LONGEST)));
        Record memory later = gateway.record(ACT);
        claims.must(both(target.strangeCalls() == 0, both(target.offCalls() == 0, target.onCalls() <= 1)));
        claims.must(later.endedAt >= scene.endedAt);
        bool taken = both(scene.until != 0, scene.state != VALUE);
        bool closed = both(later.until == 0, later.endedAt >= scene.time + SKEW);
        claims.must(either(!taken, both(closed, target.onCalls() == 0)));
        claims.must(either(taken, both(later.until >= scene.until, later.last >= scene.last)));
        uint256 end = uint256(brought.notBefore) + brought.duration;
        claims.must(either(taken, either(later.until == scene.until, later.until <= end)));
        claims.must(either(later.until == 0, later.last >= brought.notBefore));
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
