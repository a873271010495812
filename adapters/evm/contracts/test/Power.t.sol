// SPDX-License-Identifier: Apache-2.0
pragma solidity ^0.8.30;

import {Budget, Limits, Mandate, Record, Result, TIER_FAST, TIER_FULL} from "../TocsinTypes.sol";
import {TocsinGateway} from "../TocsinGateway.sol";
import {Fixture} from "./Fixture.sol";

/// Every key stolen, and a guardian who meddles: whatever they send, and when.
contract Thief is Fixture {
    struct Span {
        uint256 from;
        uint256 to;
    }

    uint256 private constant MOST_STEP = 20 minutes;

    /// When an act was frozen by an open record, one span a step.
    Span[] private _spans;
    uint256[] private _fastStarts;
    uint64[2] private _lastEnded;
    bool public wentBack;

    function gatewayOf() external view returns (TocsinGateway) {
        return gateway;
    }

    function setUp() public override {
        super.setUp();
        Limits memory limits = Limits(SKEW, 1 hours, 1 hours);
        gateway =
            new TocsinGateway(owner, guardian, verifier, NETWORK, limits, Budget(20 minutes, 40 minutes, 2));
        switcher.allow(address(gateway));
        vm.startPrank(owner);
        gateway.registerAct(PAUSE, _pauseAct(), TIER_FAST, 30 minutes);
        gateway.registerAct(CAP, _capAct(), TIER_FULL, 50 minutes);
        gateway.setPlan(PLAN, 0, 0);
        vm.stopPrank();
    }

    function mandate(uint8 op, bool full, bool cap, int8 offset, uint16 duration, uint16 wait) external {
        _pass(wait);
        uint64 notBefore = uint64(uint256(int256(uint256(_now())) + offset));
        uint8 tier = full ? TIER_FULL : TIER_FAST;
        Mandate memory mandate_ = _mandate(op % 3 + 1, tier, notBefore);
        bytes memory call_ = _signed(mandate_, cap ? CAP : PAUSE, duration % 50 minutes);
        (bool success, bytes memory answer) = address(gateway).call(call_);
        if (!success) return;
        if (abi.decode(answer, (Result)) == Result.STARTED && !full) _fastStarts.push(_now());
    }

    function expire(bool cap, uint16 wait) external {
        _pass(wait);
        try gateway.expire(cap ? CAP : PAUSE) {} catch {}
    }

    function meddle(uint8 way, bool cap, uint16 wait) external {
        _pass(wait);
        vm.startPrank(guardian);
        if (way % 4 == 0) try gateway.adopt(cap ? CAP : PAUSE) {} catch {}
        if (way % 4 == 1) try gateway.dismiss(cap ? CAP : PAUSE) {} catch {}
        if (way % 4 == 2) try switcher.unpause() {} catch {}
        if (way % 4 == 3) capper.setCap(uint256(way) + 100);
        vm.stopPrank();
    }

    // ---- what must hold

    function mostFrozenInAnyWindow() external view returns (uint256 most) {
        for (uint256 i = 0; i < _spans.length; ++i) {
            uint256 sum = 0;
            uint256 start = _spans[i].to - 1 hours;
            for (uint256 j = 0; j < _spans.length; ++j) {
                uint256 from = _spans[j].from > start ? _spans[j].from : start;
                uint256 to = _spans[j].to < _spans[i].to ? _spans[j].to : _spans[i].to;
                if (to > from) sum += to - from;
            }
            if (sum > most) most = sum;
        }
    }

    function mostFastStartsInAnyWindow() external view returns (uint256 most) {
        for (uint256 i = 0; i < _fastStarts.length; ++i) {
            uint256 count = 0;
            for (uint256 j = 0; j <= i; ++j) {
                if (_fastStarts[j] + 1 hours > _fastStarts[i]) ++count;
            }
            if (count > most) most = count;
        }
    }

    /// Whether both acts can be undone, or are nobody's, at this moment; and the owner can leave.
    function freedomIsReachable() external returns (bool) {
        vm.prank(owner);
        gateway.leaveNetwork();
        bytes32[2] memory ids = [PAUSE, CAP];
        for (uint256 i = 0; i < 2; ++i) {
            if (_record(ids[i]).until == 0) continue;
            vm.prank(guardian);
            gateway.dismiss(ids[i]);
            if (_record(ids[i]).until != 0) return false;
        }
        return gateway.actIds().length == 0;
    }

    function longestUntil() external view returns (uint256) {
        uint256 a = _record(PAUSE).until;
        uint256 b = _record(CAP).until;
        return a > b ? a : b;
    }

    /// Let time go by, and write down what was frozen meanwhile.
    function _pass(uint256 wait) private {
        uint256 from = _now();
        uint256 to = from + wait % MOST_STEP;
        bytes32[2] memory ids = [PAUSE, CAP];
        for (uint256 i = 0; i < 2; ++i) {
            Record memory record = _record(ids[i]);
            if (record.endedAt < _lastEnded[i]) wentBack = true;
            _lastEnded[i] = record.endedAt;
            (,, bool isOurs) = gateway.stateOf(ids[i]);
            uint256 end = record.until < to ? record.until : to;
            if (isOurs && end > from) _spans.push(Span(from, end));
        }
        vm.warp(to);
    }
}

/// The power bound (GATEWAY.md 5) against a thief with every key.
contract PowerTest is Fixture {
    Thief private _thief;

    function setUp() public override {
        super.setUp();
        _thief = new Thief();
        _thief.setUp();
        bytes4[] memory selectors = new bytes4[](3);
        selectors[0] = Thief.mandate.selector;
        selectors[1] = Thief.expire.selector;
        selectors[2] = Thief.meddle.selector;
        targetContract(address(_thief));
        targetSelector(FuzzSelector(address(_thief), selectors));
    }

    function invariant_no_sliding_window_is_frozen_beyond_the_cap() public view {
        assertLe(_thief.mostFrozenInAnyWindow(), 40 minutes);
        assertLe(_thief.mostFastStartsInAnyWindow(), 2);
    }

    function invariant_no_record_lasts_longer_than_registered() public view {
        assertLe(_thief.longestUntil(), vm.getBlockTimestamp() + SKEW + 50 minutes);
        assertFalse(_thief.wentBack(), "an end moved back");
    }

    function invariant_undo_and_leaving_are_always_reachable() public {
        uint256 snapshot = vm.snapshotState();
        assertTrue(_thief.freedomIsReachable());
        vm.revertToState(snapshot);
    }
}
