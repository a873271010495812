// SPDX-License-Identifier: Apache-2.0
pragma solidity ^0.8.30;

import {BoundedCall} from "../../BoundedCall.sol";
import {TocsinGateway} from "../../TocsinGateway.sol";
import {Act, Budget, OP_PROTECT, OP_RELEASE, Result, TIER_FAST, TIER_FULL} from "../../TocsinTypes.sol";
import {Fixture} from "../Fixture.sol";
import {FailingTarget, Switch} from "./HostileTargets.sol";

/// One hostile act behind a gateway, and what must hold whatever it does.
abstract contract HostileFixture is Fixture {
    bytes32 internal constant HOSTILE = keccak256("hostile");

    FailingTarget.Failure internal constant NONE = FailingTarget.Failure.NONE;
    FailingTarget.Failure internal constant REVERTS = FailingTarget.Failure.REVERTS;
    FailingTarget.Failure internal constant IGNORES = FailingTarget.Failure.IGNORES;
    FailingTarget.Failure internal constant BURNS_GAS = FailingTarget.Failure.BURNS_GAS;
    FailingTarget.Failure internal constant ANSWERS_A_MEGABYTE = FailingTarget.Failure.ANSWERS_A_MEGABYTE;
    FailingTarget.Failure internal constant REVERTS_WITH_A_MEGABYTE =
    FailingTarget.Failure.REVERTS_WITH_A_MEGABYTE;
    FailingTarget.Failure internal constant OVERSHOOTS = FailingTarget.Failure.OVERSHOOTS;

    function setUp() public virtual override {
        super.setUp();
        gateway = _newGateway(Budget({fastSeconds: 7 days, allSeconds: 21 days, fastRecords: 20}));
    }

    // ---- acts

    function _switch(address target, uint64 gasCap) internal pure returns (Act memory act) {
        act.target = target;
        act.call = abi.encodeCall(Switch.on, ());
        act.stateTarget = target;
        act.stateCall = abi.encodeCall(Switch.state, ());
        act.value = 1;
        act.undo = 1;
        act.undoCall = abi.encodeCall(Switch.off, ());
        act.gasCap = gasCap;
    }

    function _use(address target) internal {
        _useWithCap(target, 100_000);
    }

    function _useWithCap(address target, uint64 gasCap) internal {
        _useAct(_switch(target, gasCap));
    }

    /// Register the act and seal; mandates from before that are dead, so a little time passes.
    function _useAct(Act memory act) internal {
        vm.startPrank(gateway.owner());
        gateway.registerAct(HOSTILE, act, TIER_FAST, 72 hours);
        gateway.setPlan(PLAN, 0, 0);
        vm.stopPrank();
        vm.warp(_now() + 1 hours);
    }

    // ---- what a network does

    function _protect() internal returns (Result) {
        return _execute(OP_PROTECT, TIER_FAST, _now(), HOSTILE, HOURS_6);
    }

    function _protectReverts(bytes memory reason) internal {
        _bringReverts(_signed(_mandate(OP_PROTECT, TIER_FAST, _now()), HOSTILE, HOURS_6), reason);
        assertEq(_record(HOSTILE).until, 0, "nothing is recorded");
        assertEq(gateway.budgetLeft().fastSeconds, 7 days, "nothing is paid");
    }

    function _releaseReverts(bytes memory reason) internal {
        _bringReverts(_signed(_mandate(OP_RELEASE, TIER_FULL, _now()), HOSTILE, 0), reason);
    }

    /// After the end, the undo fails for the reason given and the record stays open.
    function _expireReverts(bytes memory reason) internal {
        vm.warp(_record(HOSTILE).until);
        vm.expectRevert(reason);
        gateway.expire(HOSTILE);
        assertGt(_record(HOSTILE).until, 0, "the record is open");
    }

    // ---- what must hold

    /// Whatever the target does: the owner ends the record without calling it, and leaves.
    function _assertOwnerCloses() internal {
        (Act memory act,,,) = gateway.act(HOSTILE);
        vm.startPrank(gateway.owner());
        vm.expectEmit(address(gateway));
        emit TocsinGateway.UndoAbandoned(HOSTILE, act.target);
        _assertResult(gateway.forceClose(HOSTILE), Result.ENDED);
        gateway.leaveNetwork();
        vm.stopPrank();
        assertEq(_record(HOSTILE).until, 0);
        assertEq(gateway.actIds().length, 0);
    }

    // ---- reasons

    function _callFailed(address target) internal pure returns (bytes memory) {
        return abi.encodeWithSelector(BoundedCall.CallFailed.selector, target);
    }

    function _unreadable(address target) internal pure returns (bytes memory) {
        return abi.encodeWithSelector(BoundedCall.StateUnreadable.selector, target);
    }

    function _stateNotReached(uint256 expected, uint256 got) internal pure returns (bytes memory) {
        return abi.encodeWithSelector(TocsinGateway.StateNotReached.selector, expected, got);
    }

    function _undoWithoutEffect(uint256 state) internal pure returns (bytes memory) {
        return abi.encodeWithSelector(TocsinGateway.UndoWithoutEffect.selector, state);
    }
}
