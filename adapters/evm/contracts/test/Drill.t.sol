// SPDX-License-Identifier: Apache-2.0
pragma solidity ^0.8.30;

import {DrillBell} from "../DrillBell.sol";
import {OP_PROTECT, Result, TIER_FAST} from "../TocsinTypes.sol";
import {Fixture} from "./Fixture.sol";

/// A drill's bell behind a gateway: what it lets happen, and to whom it listens.
contract DrillTest is Fixture {
    bytes32 internal constant BELL = keccak256("ring");
    DrillBell internal bell;

    function setUp() public override {
        super.setUp();
        bell = new DrillBell(address(gateway), guardian);
        bytes memory change = abi.encodeCall(
            gateway.registerAct,
            (BELL, _switchAct(address(bell), "ring()", "hush()", "ringing()"), TIER_FAST, 10 minutes)
        );
        vm.startPrank(owner);
        gateway.schedule(change);
        vm.warp(_now() + DELAY);
        (bool registered,) = address(gateway).call(change);
        vm.stopPrank();
        assertTrue(registered, "registered");
        vm.warp(_now() + 1);
    }

    function test_a_drill_rings_and_is_hushed_when_its_time_is_over() public {
        vm.expectEmit(address(bell));
        emit DrillBell.DrillRequested(1);
        vm.prank(guardian);
        bell.request();

        _assertResult(_execute(OP_PROTECT, TIER_FAST, _now(), BELL, 5 minutes), Result.STARTED);
        assertTrue(bell.ringing(), "rings");

        vm.warp(_now() + 5 minutes);
        gateway.expire(BELL);
        assertFalse(bell.ringing(), "hushed");
    }

    function test_only_the_operator_asks_for_a_drill() public {
        vm.expectRevert(abi.encodeWithSelector(DrillBell.NotTheOperator.selector, stranger));
        vm.prank(stranger);
        bell.request();
    }

    function test_only_the_gateway_rings_and_hushes() public {
        vm.startPrank(guardian);
        vm.expectRevert(abi.encodeWithSelector(DrillBell.NotTheGateway.selector, guardian));
        bell.ring();
        vm.expectRevert(abi.encodeWithSelector(DrillBell.NotTheGateway.selector, guardian));
        bell.hush();
        vm.stopPrank();
    }

    function test_every_request_has_its_number() public {
        vm.startPrank(guardian);
        bell.request();
        vm.expectEmit(address(bell));
        emit DrillBell.DrillRequested(2);
        bell.request();
        vm.stopPrank();
    }
}
