// SPDX-License-Identifier: Apache-2.0
pragma solidity ^0.8.30;

import {BoundedCall} from "../../BoundedCall.sol";
import {TocsinGateway} from "../../TocsinGateway.sol";
import {Act, Budget, OP_PROTECT, Result, TIER_FAST, TIER_FULL} from "../../TocsinTypes.sol";
import {Fixture} from "../Fixture.sol";
import {ForeignCode} from "./ForeignCode.sol";

/// A gateway that is not sealed yet, so that each test registers what its protocol needs.
abstract contract RealFixture is Fixture, ForeignCode {
    bytes32 internal constant ACT = keccak256("act");

    function setUp() public virtual override {
        super.setUp();
        gateway = _newGateway(Budget({fastSeconds: 7 days, allSeconds: 21 days, fastRecords: 20}));
    }

    // ---- acts

    /// An act whose call, undo and state are of one contract.
    function _act(
        address target,
        bytes memory call_,
        bytes memory undoCall,
        bytes memory stateCall,
        uint64 gasCap
    ) internal pure returns (Act memory act) {
        act.target = target;
        act.call = call_;
        act.undo = 1;
        act.undoCall = undoCall;
        act.stateTarget = target;
        act.stateCall = stateCall;
        act.value = 1;
        act.gasCap = gasCap;
    }

    function _register(bytes32 actId, Act memory act) internal {
        vm.prank(gateway.owner());
        gateway.registerAct(actId, act, TIER_FAST, 72 hours);
    }

    /// Mandates from before an act's registration are dead, so a little time passes.
    function _seal() internal {
        vm.prank(gateway.owner());
        gateway.setPlan(PLAN, 0, 0);
        vm.warp(_now() + 1 hours);
    }

    function _registerAndSeal(Act memory act) internal {
        _register(ACT, act);
        _seal();
    }

    // ---- what a network does

    function _protect(bytes32 actId) internal returns (Result) {
        return _execute(OP_PROTECT, TIER_FAST, _now(), actId, HOURS_6);
    }

    function _protectReverts(bytes32 actId, bytes memory reason) internal {
        _bringReverts(_signed(_mandate(OP_PROTECT, TIER_FAST, _now()), actId, HOURS_6), reason);
        assertEq(_record(actId).until, 0, "nothing is recorded");
    }

    function _callFailed(address target) internal pure returns (bytes memory) {
        return abi.encodeWithSelector(BoundedCall.CallFailed.selector, target);
    }

    function _stateNotReached(uint256 expected, uint256 got) internal pure returns (bytes memory) {
        return abi.encodeWithSelector(TocsinGateway.StateNotReached.selector, expected, got);
    }

    /// Protect; prints what the target's part took and the whole transaction (with `isolate`, everything is cold).
    function _start(string memory name, bytes32 actId) internal {
        _printTarget(name, actId);
        bytes memory call_ = _signed(_mandate(OP_PROTECT, TIER_FAST, _now()), actId, HOURS_6);
        _assertResult(_bring(call_), Result.STARTED);
        emit log_named_uint(string.concat(name, ": protect"), vm.lastCallGas().gasTotalUsed);
    }

    /// Let the time run out and anybody undo; prints what that took.
    function _runOut(string memory name, bytes32 actId) internal {
        _runOut(actId);
        emit log_named_uint(string.concat(name, ": expire"), vm.lastCallGas().gasTotalUsed);
    }

    function _runOut(bytes32 actId) internal {
        vm.warp(_record(actId).until);
        vm.prank(stranger);
        _assertResult(gateway.expire(actId), Result.ENDED);
    }

    // ---- gas

    /// What the call and the getter need of the gas that an act gives them (its `gasCap`, and 100,000).
    function _printTarget(string memory name, bytes32 actId) private {
        (Act memory act,,,) = gateway.act(actId);
        uint256 before = vm.snapshotState();
        emit log_named_uint(string.concat(name, ": getter"), _gasOf(act.stateTarget, act.stateCall));
        emit log_named_uint(string.concat(name, ": call"), _gasOf(act.target, act.call));
        vm.revertToState(before);
    }

    /// The gas of a call by the gateway as a transaction of its own, without what every transaction costs.
    function _gasOf(address target, bytes memory call_) private returns (uint256) {
        vm.prank(address(gateway));
        (bool done,) = target.call(call_);
        uint256 used = vm.lastCallGas().gasTotalUsed;
        assertTrue(done);
        for (uint256 i = 0; i < call_.length; ++i) {
            used -= call_[i] == 0 ? 4 : 16;
        }
        return used - 21_000;
    }
}
