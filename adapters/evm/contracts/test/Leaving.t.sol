// SPDX-License-Identifier: Apache-2.0
pragma solidity ^0.8.30;

import {GatewayRegistry} from "../GatewayRegistry.sol";
import {ITocsinVerifier} from "../ITocsinVerifier.sol";
import {TocsinGateway} from "../TocsinGateway.sol";
import {Mandate, OP_EXTEND, OP_PROTECT, OP_RELEASE, Result, TIER_FULL} from "../TocsinTypes.sol";
import {TocsinVerifier} from "../TocsinVerifier.sol";
import {Fixture} from "./Fixture.sol";

/// How an owner takes power back, and what goes on all the same (GATEWAY.md 2.3 and 4).
contract LeavingTest is Fixture {
    bytes32 private constant PLAN_2 = keccak256("plan 2");

    function test_leaving_turns_all_acts_off_and_records_can_still_be_ended() public {
        _protectFast();
        _protectCap();
        vm.prank(owner);
        gateway.leaveNetwork();

        vm.warp(START + 1 hours);
        bytes memory off = abi.encodeWithSelector(GatewayRegistry.ActNotRegistered.selector, PAUSE);
        _bringReverts(_signed(_mandate(OP_PROTECT, TIER_FULL, _now()), PAUSE, HOURS_6), off);
        _bringReverts(_signed(_mandate(OP_EXTEND, TIER_FULL, _now()), PAUSE, HOURS_6), off);
        _assertResult(_execute(OP_RELEASE, TIER_FULL, _now(), PAUSE, 0), Result.ENDED);
        vm.warp(START + 24 hours);
        _assertResult(gateway.expire(CAP), Result.ENDED);
        assertFalse(switcher.paused());
        assertEq(capper.cap(), 100);
    }

    function test_undo_stays_reachable_after_plan_death_revocation_rotation_and_pause() public {
        _protectFast();
        vm.startPrank(owner);
        gateway.setPlan(0, 0, 0);
        gateway.revokeAct(PAUSE);
        gateway.setVerifier(ITocsinVerifier(address(0)));
        gateway.pauseGateway();
        vm.stopPrank();
        uint256 snapshot = vm.snapshotState();

        vm.prank(guardian);
        _assertResult(gateway.dismiss(PAUSE), Result.ENDED);
        assertFalse(switcher.paused());

        vm.revertToState(snapshot);
        vm.warp(START + HOURS_6);
        _assertResult(gateway.expire(PAUSE), Result.ENDED);
        assertFalse(switcher.paused());
    }

    function test_a_paused_gateway_starts_and_lengthens_nothing_but_releases() public {
        _protectFast();
        vm.prank(stranger);
        vm.expectRevert(abi.encodeWithSelector(GatewayRegistry.NotGuardian.selector, stranger));
        gateway.pauseGateway();
        vm.prank(guardian);
        gateway.pauseGateway();
        vm.warp(START + 1 hours);
        bytes memory reason = abi.encodeWithSelector(TocsinGateway.GatewayIsPaused.selector);

        _bringReverts(_signed(_mandate(OP_PROTECT, TIER_FULL, _now()), PAUSE, HOURS_6), reason);
        _bringReverts(_signed(_mandate(OP_EXTEND, TIER_FULL, _now()), PAUSE, HOURS_6), reason);
        _assertResult(_execute(OP_RELEASE, TIER_FULL, _now(), PAUSE, 0), Result.ENDED);

        vm.prank(guardian);
        vm.expectRevert();
        gateway.unpauseGateway();
        vm.prank(owner);
        gateway.unpauseGateway();
        vm.warp(START + 2 hours);
        _assertResult(_protectFast(), Result.STARTED);
    }

    // ---- plan, verifier

    function test_current_and_next_plan_work_during_the_overlap_and_next_alone_after_it() public {
        vm.prank(owner);
        gateway.setPlan(PLAN, PLAN_2, START + 1 days);

        _assertResult(_protectUnder(PLAN), Result.STARTED);
        vm.warp(START + 1 days);
        _assertResult(_protectUnder(PLAN_2), Result.EXTENDED);
        _assertResult(_protectUnder(PLAN), Result.NOOP);
        (bytes32 current, bytes32 next, uint64 overlapUntil) = gateway.planHashes();
        assertEq(abi.encode(current, next, overlapUntil), abi.encode(PLAN, PLAN_2, START + 1 days));

        vm.warp(START + 1 days + 1);
        (current, next, overlapUntil) = gateway.planHashes();
        assertEq(abi.encode(current, next, overlapUntil), abi.encode(PLAN_2, 0, 0));
        _assertResult(_protectUnder(PLAN_2), Result.EXTENDED);
        vm.expectRevert(abi.encodeWithSelector(TocsinGateway.PlanNotInForce.selector, PLAN));
        this.protectUnder(PLAN);
    }

    function test_an_overlap_needs_a_next_plan_and_a_time_to_come() public {
        vm.startPrank(owner);
        vm.expectRevert(abi.encodeWithSelector(GatewayRegistry.OverlapOutOfRange.selector, START + 1));
        gateway.setPlan(PLAN, 0, START + 1);
        vm.expectRevert(abi.encodeWithSelector(GatewayRegistry.OverlapOutOfRange.selector, START));
        gateway.setPlan(PLAN, PLAN_2, START);
        vm.stopPrank();
    }

    function test_no_plan_means_no_protect() public {
        vm.prank(owner);
        gateway.setPlan(0, 0, 0);

        vm.expectRevert(abi.encodeWithSelector(TocsinGateway.PlanNotInForce.selector, bytes32(0)));
        this.protectUnder(0);
    }

    function test_the_owner_may_leave_for_another_verifier_of_the_network() public {
        uint256[] memory others = _sortedKeys("others", 4);
        TocsinVerifier second = _newVerifier(NETWORK, 7, _addresses(others));
        TocsinVerifier foreign = _newVerifier(PLAN, EPOCH, _addresses(others));
        vm.startPrank(owner);
        vm.expectRevert(abi.encodeWithSelector(GatewayRegistry.WrongNetwork.selector, NETWORK, PLAN));
        gateway.setVerifier(foreign);
        gateway.setVerifier(second);
        vm.stopPrank();

        vm.expectPartialRevert(TocsinGateway.CertificateRefused.selector);
        this.protectUnder(PLAN);
    }

    // ---- helpers

    function protectUnder(bytes32 plan) external returns (Result) {
        return _protectUnder(plan);
    }

    function _protectUnder(bytes32 plan) private returns (Result) {
        Mandate memory mandate = _mandate(OP_PROTECT, TIER_FULL, _now());
        mandate.planHash = plan;
        return _bring(_signed(mandate, PAUSE, 1 hours));
    }
}
