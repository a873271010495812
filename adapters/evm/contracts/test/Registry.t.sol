// SPDX-License-Identifier: Apache-2.0
pragma solidity ^0.8.30;

import {Ownable} from "@openzeppelin/contracts/access/Ownable.sol";
import {BoundedCall} from "../BoundedCall.sol";
import {GatewayRegistry} from "../GatewayRegistry.sol";
import {TocsinGateway} from "../TocsinGateway.sol";
import {Act, Budget, Limits, OP_PROTECT, Result, TIER_FAST, TIER_FULL} from "../TocsinTypes.sol";
import {Fixture} from "./Fixture.sol";

/// What the owner may do, and what needs notice (GATEWAY.md 4).
contract RegistryTest is Fixture {
    bytes32 private constant OTHER = keccak256("other");
    bytes32 private constant PLAN_2 = keccak256("plan 2");

    // ---- set-up

    function test_nothing_works_before_the_first_plan_seals_the_gateway() public {
        gateway = _newGateway(gateway.budget());
        switcher.allow(address(gateway));
        vm.startPrank(owner);
        gateway.registerAct(PAUSE, _pauseAct(), TIER_FULL, 1 hours);
        gateway.registerAct(PAUSE, _pauseAct(), TIER_FAST, 72 hours);
        gateway.setBudget(Budget(20 days, 20 days, 20));
        vm.stopPrank();
        _bringReverts(
            _signed(_mandate(OP_PROTECT, TIER_FAST, START + 1), PAUSE, HOURS_6),
            abi.encodeWithSelector(TocsinGateway.GatewayNotSealed.selector)
        );
        vm.expectEmit(address(gateway));
        emit GatewayRegistry.GatewaySealed();

        vm.prank(owner);
        gateway.setPlan(PLAN, 0, 0);

        assertTrue(gateway.isSealed());
        vm.warp(START + 1);
        _assertResult(_protectFast(), Result.STARTED);
    }

    function test_only_the_owner_governs() public {
        bytes[8] memory calls = [
            abi.encodeCall(GatewayRegistry.registerAct, (OTHER, _pauseAct(), TIER_FULL, 1 hours)),
            abi.encodeCall(GatewayRegistry.revokeAct, (PAUSE)),
            abi.encodeCall(GatewayRegistry.leaveNetwork, ()),
            abi.encodeCall(GatewayRegistry.setPlan, (PLAN_2, 0, 0)),
            abi.encodeCall(GatewayRegistry.setBudget, (Budget(0, 0, 0))),
            abi.encodeCall(GatewayRegistry.setVerifier, (verifier)),
            abi.encodeCall(GatewayRegistry.setGuardian, (stranger)),
            abi.encodeCall(GatewayRegistry.schedule, (hex"00000000"))
        ];
        for (uint256 i = 0; i < calls.length; ++i) {
            vm.prank(guardian);
            (bool success, bytes memory answer) = address(gateway).call(calls[i]);
            assertFalse(success);
            assertEq(answer, abi.encodeWithSelector(Ownable.OwnableUnauthorizedAccount.selector, guardian));
        }
    }

    function test_ownership_moves_in_two_steps_and_is_never_given_up() public {
        vm.prank(owner);
        gateway.transferOwnership(stranger);
        assertEq(gateway.owner(), owner);
        vm.prank(stranger);
        gateway.acceptOwnership();
        assertEq(gateway.owner(), stranger);

        vm.prank(stranger);
        vm.expectRevert(GatewayRegistry.OwnerNeeded.selector);
        gateway.renounceOwnership();
    }

    function test_limits_out_of_range_are_refused() public {
        Limits[5] memory bad = [
            Limits(1 hours + 1, DELAY, WINDOW),
            Limits(SKEW, 1 hours - 1, WINDOW),
            Limits(SKEW, 90 days + 1, WINDOW),
            Limits(SKEW, DELAY, 1 hours - 1),
            Limits(SKEW, DELAY, 366 days + 1)
        ];
        for (uint256 i = 0; i < bad.length; ++i) {
            vm.expectRevert(abi.encodeWithSelector(GatewayRegistry.LimitOutOfRange.selector, bad[i]));
            new TocsinGateway(owner, guardian, verifier, NETWORK, bad[i], Budget(1, 1, 1));
        }
    }

    function test_budgets_beyond_the_counters_are_refused() public {
        Budget[2] memory bad = [Budget(1, 1 << 32, 1), Budget(1, 1, 1 << 16)];
        for (uint256 i = 0; i < bad.length; ++i) {
            vm.expectRevert(abi.encodeWithSelector(GatewayRegistry.BudgetOutOfRange.selector, bad[i]));
            _newGateway(bad[i]);
        }
    }

    // ---- more power needs notice, less does not

    function test_more_power_for_an_act_waits_for_the_delay() public {
        Act memory changed = _capAct();
        changed.gasCap += 1;
        bytes[5] memory changes = [
            _registration(OTHER, _switchAct(address(capper), "x()", "y()", "broken()"), TIER_FULL, 1 hours),
            _registration(CAP, _capAct(), TIER_FAST, 72 hours),
            _registration(CAP, _capAct(), TIER_FULL, 72 hours + 1),
            _registration(CAP, changed, TIER_FULL, 72 hours),
            abi.encodeCall(GatewayRegistry.setBudget, (Budget(24 hours, 21 days, 4)))
        ];
        for (uint256 i = 0; i < changes.length; ++i) {
            _needsNotice(changes[i]);
        }
    }

    function test_an_act_that_is_off_comes_back_only_after_the_delay() public {
        vm.prank(owner);
        gateway.revokeAct(CAP);

        _needsNotice(_registration(CAP, _capAct(), TIER_FULL, 72 hours));
        assertTrue(gateway.actHash(CAP) != 0);
    }

    function test_less_power_takes_effect_at_once() public {
        vm.startPrank(owner);
        gateway.registerAct(CAP, _capAct(), TIER_FULL, 1 hours);
        gateway.registerAct(PAUSE, _pauseAct(), TIER_FULL, 72 hours);
        gateway.setBudget(Budget(1 hours, 2 hours, 1));
        vm.stopPrank();

        _bringReverts(
            _signed(_mandate(OP_PROTECT, TIER_FULL, START), CAP, 2 hours),
            abi.encodeWithSelector(TocsinGateway.DurationTooLong.selector, 1 hours, 2 hours)
        );
        _bringReverts(
            _signed(_mandate(OP_PROTECT, TIER_FAST, START), PAUSE, 1 hours),
            abi.encodeWithSelector(TocsinGateway.TierTooLow.selector, TIER_FULL, TIER_FAST)
        );
        _execute(OP_PROTECT, TIER_FULL, START, PAUSE, 72 hours);
        assertEq(_record(PAUSE).until, START + 2 hours);
    }

    function test_a_notice_can_be_cancelled_lapses_and_serves_once() public {
        bytes memory change = abi.encodeCall(GatewayRegistry.setBudget, (Budget(24 hours, 22 days, 3)));
        bytes32 id = keccak256(change);
        vm.prank(owner);
        gateway.schedule(change);
        assertEq(gateway.scheduledAt(id), START + DELAY);
        vm.prank(guardian);
        gateway.cancel(id);
        vm.warp(START + DELAY);
        _ownerReverts(change, abi.encodeWithSelector(GatewayRegistry.ChangeNotScheduled.selector, id));

        vm.prank(owner);
        gateway.schedule(change);
        uint256 readyAt = START + 2 * DELAY;
        vm.warp(readyAt + 14 days + 1);
        _ownerReverts(change, abi.encodeWithSelector(GatewayRegistry.ChangeLapsed.selector, id, readyAt));
        vm.warp(readyAt + 14 days);
        _ownerDoes(change);

        vm.prank(owner);
        gateway.setBudget(Budget(24 hours, 21 days, 3));
        _ownerReverts(change, abi.encodeWithSelector(GatewayRegistry.ChangeNotScheduled.selector, id));
        vm.prank(stranger);
        vm.expectRevert(abi.encodeWithSelector(GatewayRegistry.NotGuardian.selector, stranger));
        gateway.cancel(id);
    }

    function test_only_what_needs_notice_can_be_scheduled() public {
        bytes memory change = abi.encodeCall(GatewayRegistry.leaveNetwork, ());
        vm.startPrank(owner);
        vm.expectRevert(abi.encodeWithSelector(GatewayRegistry.ChangeNotSchedulable.selector, change));
        gateway.schedule(change);
        vm.expectRevert(abi.encodeWithSelector(GatewayRegistry.ChangeNotSchedulable.selector, bytes("ab")));
        gateway.schedule("ab");
        vm.stopPrank();
    }

    function test_a_change_is_made_once_also_where_it_needed_no_notice() public {
        bytes memory same = _registration(CAP, _capAct(), TIER_FULL, 72 hours);
        vm.prank(owner);
        gateway.schedule(same);
        vm.warp(START + DELAY);
        _ownerDoes(same);
        vm.prank(owner);
        gateway.revokeAct(CAP);

        _ownerReverts(
            same, abi.encodeWithSelector(GatewayRegistry.ChangeNotScheduled.selector, keccak256(same))
        );
    }

    // ---- acts

    /// Else it would serve once more, when the act has been taken off for good.
    function test_a_change_made_while_nothing_needs_notice_is_announced_no_longer() public {
        gateway = _newGateway(gateway.budget());
        bytes memory change = _registration(PAUSE, _pauseAct(), TIER_FAST, 72 hours);
        vm.prank(owner);
        gateway.schedule(change);
        _ownerDoes(change);
        vm.startPrank(owner);
        gateway.setPlan(PLAN, 0, 0);
        gateway.revokeAct(PAUSE);
        vm.stopPrank();
        vm.warp(START + DELAY);

        _ownerReverts(
            change, abi.encodeWithSelector(GatewayRegistry.ChangeNotScheduled.selector, keccak256(change))
        );
    }

    function test_two_acts_cannot_share_a_getter() public {
        Act memory act = _pauseAct();
        act.gasCap += 1;
        bytes memory change = _registration(OTHER, act, TIER_FULL, 1 hours);
        vm.prank(owner);
        gateway.schedule(change);
        vm.warp(START + DELAY);

        _ownerReverts(change, abi.encodeWithSelector(GatewayRegistry.GetterShared.selector, OTHER, PAUSE));

        vm.prank(owner);
        gateway.revokeAct(PAUSE);
        _ownerDoes(change);
    }

    function test_a_getter_stays_taken_while_a_revoked_acts_record_is_open() public {
        _protectFast();
        bytes memory change = _registration(OTHER, _pauseAct(), TIER_FULL, 1 hours);
        vm.startPrank(owner);
        gateway.schedule(change);
        gateway.revokeAct(PAUSE);
        vm.stopPrank();
        vm.warp(START + DELAY);
        _ownerReverts(change, abi.encodeWithSelector(GatewayRegistry.GetterShared.selector, OTHER, PAUSE));

        gateway.expire(PAUSE);

        _ownerDoes(change);
    }

    function test_an_act_with_an_open_record_cannot_be_changed_but_taken_up_again() public {
        Act memory changed = _pauseAct();
        changed.gasCap += 1;
        bytes memory change = _registration(PAUSE, changed, TIER_FULL, 1 hours);
        bytes memory again = _registration(PAUSE, _pauseAct(), TIER_FAST, 72 hours);
        vm.startPrank(owner);
        gateway.schedule(change);
        gateway.schedule(again);
        vm.stopPrank();
        vm.warp(START + DELAY);
        _protectFast();
        _ownerReverts(change, abi.encodeWithSelector(GatewayRegistry.RecordOpen.selector, PAUSE));
        vm.prank(owner);
        gateway.revokeAct(PAUSE);
        _ownerReverts(change, abi.encodeWithSelector(GatewayRegistry.RecordOpen.selector, PAUSE));

        _ownerDoes(again);

        vm.warp(_now() + HOURS_6);
        gateway.expire(PAUSE);
        assertFalse(switcher.paused());
        _ownerDoes(change);
    }

    function test_malformed_acts_are_refused() public {
        gateway = _newGateway(gateway.budget());
        Act[13] memory bad;
        for (uint256 i = 0; i < bad.length; ++i) {
            bad[i] = _capAct();
        }
        bad[0].call = hex"010203";
        bad[1].target = address(gateway);
        bad[2].stateTarget = address(gateway);
        bad[3].compare = 3;
        bad[4].undo = 3;
        bad[5].undo = 0;
        bad[6].undo = 1;
        bad[7].undoCall = "";
        bad[8].restoreAt = 5;
        bad[9].restoreAt = 3;
        bad[10].gasCap = 0;
        bad[11].gasCap = 15_000_001;
        bad[12].call = new bytes(8_193);
        vm.startPrank(owner);
        for (uint256 i = 0; i < bad.length; ++i) {
            vm.expectRevert(abi.encodeWithSelector(GatewayRegistry.ActMalformed.selector, CAP));
            gateway.registerAct(CAP, bad[i], TIER_FULL, 1 hours);
        }
        vm.expectRevert(abi.encodeWithSelector(GatewayRegistry.TierUnknown.selector, 3));
        gateway.registerAct(CAP, _capAct(), 3, 1 hours);
        uint64 longest = WINDOW - SKEW;
        vm.expectRevert(
            abi.encodeWithSelector(GatewayRegistry.DurationOutOfRange.selector, longest + 1, longest)
        );
        gateway.registerAct(CAP, _capAct(), TIER_FULL, longest + 1);
        gateway.registerAct(CAP, _capAct(), TIER_FULL, longest);
        Act memory unreadable = _capAct();
        unreadable.stateWord = 3;
        vm.expectRevert(abi.encodeWithSelector(BoundedCall.StateUnreadable.selector, address(capper)));
        gateway.registerAct(CAP, unreadable, TIER_FULL, 1 hours);
    }

    function test_the_number_of_acts_is_bounded_and_all_leave_at_once() public {
        gateway = _newGateway(gateway.budget());
        vm.startPrank(owner);
        for (uint256 i = 1; i <= 65; ++i) {
            Act memory act = _capAct();
            act.stateCall = abi.encodePacked(act.stateCall, i);
            if (i == 65) vm.expectRevert(abi.encodeWithSelector(GatewayRegistry.TooManyActs.selector, 64));
            gateway.registerAct(bytes32(i), act, TIER_FULL, 1 hours);
        }
        uint256 before = gasleft();
        gateway.leaveNetwork();
        assertLt(before - gasleft(), 3_000_000, "fits in any block");
        assertEq(gateway.actIds().length, 0);
    }

    /// As many acts as there may be, each as long as there may be.
    function test_leaving_fits_in_one_transaction_at_its_largest() public {
        gateway = _newGateway(gateway.budget());
        Act memory act = _capAct();
        act.call = abi.encodePacked(act.call, new bytes(8_000));
        act.undoCall = abi.encodePacked(act.undoCall, new bytes(7_700));
        bytes memory getter = abi.encodePacked(act.stateCall, new bytes(7_700));
        vm.startPrank(owner);
        for (uint256 i = 1; i <= 64; ++i) {
            act.stateCall = abi.encodePacked(getter, i);
            gateway.registerAct(bytes32(i), act, TIER_FULL, 1 hours);
        }
        uint256 before = gasleft();
        gateway.leaveNetwork();
        assertLt(before - gasleft(), 15_000_000, "fits in one transaction");
        vm.stopPrank();
    }

    // ---- helpers

    function _registration(bytes32 actId, Act memory act, uint8 tier, uint64 maxDuration)
        private
        pure
        returns (bytes memory)
    {
        return abi.encodeCall(GatewayRegistry.registerAct, (actId, act, tier, maxDuration));
    }

    /// Refused without notice and before its time, done afterwards.
    function _needsNotice(bytes memory change) private {
        bytes32 id = keccak256(change);
        uint256 readyAt = vm.getBlockTimestamp() + DELAY;
        _ownerReverts(change, abi.encodeWithSelector(GatewayRegistry.ChangeNotScheduled.selector, id));
        vm.expectEmit(address(gateway));
        emit GatewayRegistry.ChangeScheduled(id, change, readyAt);
        vm.prank(owner);
        gateway.schedule(change);
        vm.warp(readyAt - 1);
        _ownerReverts(change, abi.encodeWithSelector(GatewayRegistry.ChangeNotReady.selector, id, readyAt));
        vm.warp(readyAt);
        _ownerDoes(change);
    }

    function _ownerDoes(bytes memory change) private {
        vm.prank(owner);
        (bool success,) = address(gateway).call(change);
        assertTrue(success);
    }

    function _ownerReverts(bytes memory change, bytes memory reason) private {
        vm.prank(owner);
        (bool success, bytes memory answer) = address(gateway).call(change);
        assertFalse(success);
        assertEq(answer, reason);
    }
}
