// SPDX-License-Identifier: Apache-2.0
pragma solidity ^0.8.30;

import {AccessManager} from "@openzeppelin/contracts/access/manager/AccessManager.sol";
import {ReentrancyGuardTransient} from "@openzeppelin/contracts/utils/ReentrancyGuardTransient.sol";
import {BoundedCall} from "../BoundedCall.sol";
import {BudgetBook} from "../BudgetBook.sol";
import {TocsinGateway} from "../TocsinGateway.sol";
import {
    Act,
    Mandate,
    OP_EXTEND,
    OP_PROTECT,
    OP_RELEASE,
    Result,
    TIER_FAST,
    TIER_FULL
} from "../TocsinTypes.sol";
import {Fixture} from "./Fixture.sol";
import {ManagedTarget, RogueTarget, SwallowingTarget} from "./Targets.sol";

/// Attacks, by name.
contract AttacksTest is Fixture {
    bytes32 private constant ROGUE = keccak256("rogue");

    // ---- against the protocol's own people

    function test_the_guardians_own_pause_is_not_undone_by_our_expiry() public {
        vm.prank(guardian);
        switcher.pause();

        _assertResult(_protectFast(), Result.NOOP);

        assertEq(_record(PAUSE).until, 0, "nothing recorded");
        assertEq(gateway.budgetLeft().fastSeconds, 24 hours, "nothing charged");
        vm.warp(START + HOURS_6 + 1);
        vm.expectRevert(abi.encodeWithSelector(TocsinGateway.NoRecord.selector, PAUSE));
        gateway.expire(PAUSE);
        assertTrue(switcher.paused());
    }

    function test_a_stricter_cap_set_by_governance_is_not_undone() public {
        _protectCap();
        capper.setCap(3);
        vm.warp(START + 24 hours);

        _assertResult(gateway.expire(CAP), Result.CLOSED);

        assertEq(capper.cap(), 3);
    }

    function test_a_stricter_cap_before_us_is_a_noop() public {
        capper.setCap(3);

        _assertResult(_protectCap(), Result.NOOP);

        assertEq(capper.cap(), 3);
    }

    function test_a_guardian_who_unpaused_and_later_pauses_for_his_own_reasons_keeps_his_pause() public {
        _protectFast();
        vm.prank(guardian);
        switcher.unpause();
        _assertResult(gateway.expire(PAUSE), Result.CLOSED);
        vm.prank(guardian);
        switcher.pause();

        vm.warp(START + 2 * HOURS_6);

        vm.expectRevert(abi.encodeWithSelector(TocsinGateway.NoRecord.selector, PAUSE));
        gateway.expire(PAUSE);
        assertTrue(switcher.paused());
    }

    function test_a_withheld_certificate_does_not_reverse_the_guardians_unpause() public {
        bytes memory withheld = _signed(_mandate(OP_PROTECT, TIER_FULL, START - 10), PAUSE, HOURS_6);
        _protectFast();
        vm.prank(guardian);
        switcher.unpause();
        gateway.expire(PAUSE);

        _bringReverts(
            withheld, abi.encodeWithSelector(TocsinGateway.MandateDead.selector, START - 10, START + SKEW)
        );
    }

    function test_a_withheld_protect_is_dead_after_release_and_expiry() public {
        bytes memory withheld = _signed(_mandate(OP_PROTECT, TIER_FULL, START + 10), PAUSE, 72 hours);
        _protectFast();
        vm.warp(START + 20);
        _execute(OP_RELEASE, TIER_FULL, START + 20, PAUSE, 0);
        _bringReverts(
            withheld, abi.encodeWithSelector(TocsinGateway.MandateDead.selector, START + 10, START + 20)
        );

        vm.warp(START + 40);
        _execute(OP_PROTECT, TIER_FULL, START + 40, PAUSE, 1 hours);
        bytes memory late = _signed(_mandate(OP_PROTECT, TIER_FULL, START + 1 hours), PAUSE, 72 hours);
        vm.warp(START + 1 hours + 40);
        gateway.expire(PAUSE);
        _bringReverts(
            late,
            abi.encodeWithSelector(TocsinGateway.MandateDead.selector, START + 1 hours, START + 1 hours + 40)
        );
    }

    // ---- against the protection

    function test_a_withheld_release_bundled_with_the_attack_is_refused() public {
        _protectFast();
        vm.warp(START + 1 hours);
        bytes memory withheld = _signed(_mandate(OP_RELEASE, TIER_FULL, START + 1 hours), PAUSE, 0);
        vm.warp(START + 2 hours);
        _protectFast();

        _bringReverts(
            withheld,
            abi.encodeWithSelector(
                TocsinGateway.MandateOlderThanProtect.selector, START + 1 hours, START + 2 hours
            )
        );
        assertTrue(switcher.paused());
    }

    function test_a_release_of_the_protects_own_second_is_refused() public {
        _protectFast();

        _bringReverts(
            _signed(_mandate(OP_RELEASE, TIER_FULL, START), PAUSE, 0),
            abi.encodeWithSelector(TocsinGateway.MandateOlderThanProtect.selector, START, START)
        );
    }

    function test_nobody_shortens_a_protection_but_by_a_full_release() public {
        _execute(OP_PROTECT, TIER_FULL, START, PAUSE, 72 hours);
        vm.warp(START + 1 minutes);

        _execute(OP_PROTECT, TIER_FAST, START + 1 minutes, PAUSE, 1 minutes);
        _execute(OP_EXTEND, TIER_FULL, START + 1 minutes, PAUSE, 0);

        assertEq(_record(PAUSE).until, START + 72 hours);
    }

    function test_there_is_no_cap_per_record_and_no_cool_down() public {
        for (uint64 i = 0; i < 9; ++i) {
            vm.warp(START + i * 48 hours);
            _execute(OP_PROTECT, TIER_FULL, _now(), PAUSE, 72 hours);
            assertTrue(switcher.paused());
        }
        vm.warp(_now() + 72 hours);
        gateway.expire(PAUSE);
        _assertResult(_execute(OP_PROTECT, TIER_FULL, _now() + 1, PAUSE, 1), Result.STARTED);
    }

    function test_burning_the_fast_budget_first_leaves_the_full_copy() public {
        for (uint64 i = 0; i < 4; ++i) {
            vm.warp(START + i * HOURS_6);
            _protectFast();
        }
        vm.warp(START + 24 hours);
        _bringReverts(
            _signed(_mandate(OP_PROTECT, TIER_FAST, _now()), PAUSE, HOURS_6),
            abi.encodeWithSelector(BudgetBook.BudgetSpent.selector, START + 24 hours)
        );

        _assertResult(_execute(OP_PROTECT, TIER_FULL, _now(), PAUSE, HOURS_6), Result.EXTENDED);
        assertEq(gateway.usage(START / WINDOW).fastSeconds, 24 hours);
    }

    /// Nobody called expire, and the window in which the record ran out is full.
    function test_a_full_window_of_the_past_does_not_stop_a_protection_of_today() public {
        for (uint64 i = 0; i < 4; ++i) {
            vm.warp(START + i * HOURS_6);
            _protectFast();
        }
        vm.warp(START + 2 * WINDOW);

        _assertResult(_protectFast(), Result.EXTENDED);

        assertEq(_record(PAUSE).until, START + 2 * WINDOW + HOURS_6);
        assertEq(gateway.usage(_now() / WINDOW).fastSeconds, HOURS_6);
    }

    function test_the_fourth_fast_record_is_refused_and_the_full_one_starts() public {
        for (uint64 i = 0; i < 3; ++i) {
            vm.warp(START + i * 1 hours);
            _execute(OP_PROTECT, TIER_FAST, _now(), PAUSE, 10 minutes);
            vm.warp(_now() + 10 minutes);
            gateway.expire(PAUSE);
        }
        vm.warp(START + 5 hours);
        _bringReverts(
            _signed(_mandate(OP_PROTECT, TIER_FAST, _now()), PAUSE, 10 minutes),
            abi.encodeWithSelector(BudgetBook.FastRecordsSpent.selector, 3, 3)
        );

        _assertResult(_execute(OP_PROTECT, TIER_FULL, _now(), PAUSE, 10 minutes), Result.STARTED);
    }

    function test_a_charge_is_clipped_to_the_rest_of_the_budget() public {
        _execute(OP_PROTECT, TIER_FAST, START, PAUSE, 23 hours);
        vm.warp(START + 22 hours);

        _assertResult(_protectFast(), Result.EXTENDED);

        assertEq(_record(PAUSE).until, START + 24 hours);
    }

    function test_the_heaviest_act_cannot_be_run_on_another_decisions_root() public {
        Mandate memory mandate = _mandate(OP_PROTECT, TIER_FULL, START);
        _signed(mandate, PAUSE, HOURS_6);
        bytes memory certificate = _certificate(gateway.mandateDigest(mandate), 3);
        bytes32 leaf = _leaf(CAP, 24 hours);

        vm.expectRevert(
            abi.encodeWithSelector(TocsinGateway.LeafNotIncluded.selector, mandate.actsRoot, leaf)
        );
        gateway.execute(mandate, CAP, 24 hours, new bytes32[](0), certificate);
    }

    // ---- by gas, answers, re-entrancy

    function test_a_front_runner_with_low_gas_cannot_spoil_a_call() public {
        SwallowingTarget target = new SwallowingTarget();
        Act memory act = _switchAct(address(target), "on()", "off()", "state()");
        act.gasCap = 1_000_000;
        _register(act);
        bytes memory call_ = _signed(_mandate(OP_PROTECT, TIER_FAST, START), ROGUE, HOURS_6);

        for (uint256 gas_ = 100_000; gas_ < 1_200_000; gas_ += 50_000) {
            (bool success,) = address(gateway).call{gas: gas_}(call_);
            assertFalse(success, "too little gas must not be judged");
        }

        (bool done,) = address(gateway).call{gas: 1_400_000}(call_);
        assertTrue(done);
        assertEq(target.state(), 1);
    }

    function testFuzz_any_amount_of_gas_reverts_or_protects(uint256 gas_) public {
        bytes memory call_ = _signed(_mandate(OP_PROTECT, TIER_FAST, START), PAUSE, HOURS_6);
        gas_ = bound(gas_, 21_000, 600_000);

        (bool success,) = address(gateway).call{gas: gas_}(call_);

        assertEq(success, switcher.paused());
        assertEq(success, _record(PAUSE).until != 0);
    }

    function test_a_failed_call_or_check_reverts_everything() public {
        RogueTarget rogue = _registerRogue();
        bytes memory call_ = _signed(_mandate(OP_PROTECT, TIER_FAST, START), ROGUE, HOURS_6);

        rogue.set(rogue.REVERTS(), 0);
        _bringReverts(call_, abi.encodeWithSelector(BoundedCall.CallFailed.selector, address(rogue)));
        rogue.set(rogue.IGNORES(), 0);
        _bringReverts(call_, abi.encodeWithSelector(TocsinGateway.StateNotReached.selector, 1, 0));
        assertEq(gateway.budgetLeft().fastSeconds, 24 hours);
        assertEq(gateway.budgetLeft().fastRecords, 3);
        assertEq(_record(ROGUE).until, 0);
    }

    function test_an_undo_without_effect_reverts_and_the_owner_can_close() public {
        RogueTarget rogue = _registerRogue();
        _execute(OP_PROTECT, TIER_FAST, START, ROGUE, HOURS_6);
        rogue.set(rogue.IGNORES(), 1);
        vm.warp(START + HOURS_6);

        vm.expectRevert(abi.encodeWithSelector(TocsinGateway.UndoWithoutEffect.selector, 1));
        gateway.expire(ROGUE);

        vm.prank(owner);
        _assertResult(gateway.forceClose(ROGUE), Result.ENDED);
    }

    function test_returned_bombs_cost_the_caller_nothing() public {
        RogueTarget rogue = _registerRogue();
        rogue.set(rogue.RETURNS_BOMB(), 0);
        bytes memory call_ = _signed(_mandate(OP_PROTECT, TIER_FAST, START), ROGUE, HOURS_6);
        uint256 before = gasleft();
        _bring(call_);
        assertLt(before - gasleft(), 300_000);

        rogue.set(rogue.REVERTS_BOMB(), 1);
        vm.warp(START + HOURS_6);
        vm.expectRevert(abi.encodeWithSelector(BoundedCall.CallFailed.selector, address(rogue)));
        gateway.expire(ROGUE);
    }

    function test_a_target_that_burns_its_gas_burns_only_its_cap() public {
        RogueTarget rogue = _registerRogue();
        rogue.set(rogue.BURNS_GAS(), 0);
        bytes memory call_ = _signed(_mandate(OP_PROTECT, TIER_FAST, START), ROGUE, HOURS_6);
        uint256 before = gasleft();

        vm.prank(stranger);
        (bool success,) = address(gateway).call(call_);

        assertFalse(success);
        assertLt(before - gasleft(), 400_000);
    }

    function test_a_target_cannot_reenter() public {
        RogueTarget rogue = _registerRogue();
        vm.prank(owner);
        gateway.transferOwnership(address(rogue));
        vm.prank(address(rogue));
        gateway.acceptOwnership();
        bytes[6] memory entries = [
            abi.encodeCall(TocsinGateway.expire, (PAUSE)),
            abi.encodeCall(TocsinGateway.adopt, (PAUSE)),
            abi.encodeCall(TocsinGateway.dismiss, (PAUSE)),
            abi.encodeCall(TocsinGateway.forceClose, (PAUSE)),
            abi.encodeWithSignature("leaveNetwork()"),
            _signed(_mandate(OP_PROTECT, TIER_FAST, START), PAUSE, HOURS_6)
        ];
        _protectFast();
        for (uint64 i = 0; i < entries.length; ++i) {
            rogue.set(rogue.REENTERS(), 0);
            rogue.arm(address(gateway), entries[i]);
            uint256 snapshot = vm.snapshotState();

            _assertResult(_execute(OP_PROTECT, TIER_FAST, START, ROGUE, HOURS_6), Result.STARTED);

            assertFalse(rogue.entered());
            assertEq(
                rogue.answer(),
                abi.encodeWithSelector(ReentrancyGuardTransient.ReentrancyGuardReentrantCall.selector)
            );
            assertTrue(switcher.paused());
            vm.revertToState(snapshot);
        }
    }

    function test_ether_is_refused() public {
        vm.deal(address(this), 1 ether);
        (bool success,) = address(gateway).call{value: 1}("");
        assertFalse(success);
    }

    // ---- kinds of targets

    function test_an_access_manager_target_is_closed_and_opened() public {
        AccessManager manager = new AccessManager(address(this));
        ManagedTarget target = new ManagedTarget(address(manager));
        bytes4[] memory moves = new bytes4[](1);
        moves[0] = ManagedTarget.move.selector;
        manager.setTargetFunctionRole(address(target), moves, manager.PUBLIC_ROLE());
        manager.grantRole(manager.ADMIN_ROLE(), address(gateway), 0);
        Act memory act;
        act.target = address(manager);
        act.stateTarget = address(manager);
        act.call = abi.encodeCall(AccessManager.setTargetClosed, (address(target), true));
        act.undo = 1;
        act.undoCall = abi.encodeCall(AccessManager.setTargetClosed, (address(target), false));
        act.stateCall = abi.encodeCall(AccessManager.isTargetClosed, (address(target)));
        act.value = 1;
        act.gasCap = 150_000;
        _register(act);
        target.move();

        _execute(OP_PROTECT, TIER_FAST, START, ROGUE, HOURS_6);
        vm.expectRevert();
        target.move();

        vm.warp(START + HOURS_6);
        gateway.expire(ROGUE);
        target.move();
    }

    function test_an_act_without_undo_ends_without_a_call() public {
        Act memory act = _capAct();
        (act.undo, act.restoreAt, act.undoCall) = (0, 0, "");
        vm.prank(owner);
        gateway.revokeAct(CAP);
        _register(act);
        _execute(OP_PROTECT, TIER_FAST, START, ROGUE, HOURS_6);
        vm.warp(START + HOURS_6);

        _assertResult(gateway.expire(ROGUE), Result.ENDED);

        assertEq(capper.cap(), 10);
    }

    function _registerRogue() private returns (RogueTarget rogue) {
        rogue = new RogueTarget();
        _register(_switchAct(address(rogue), "on()", "off()", "state()"));
    }

    function _register(Act memory act) private {
        bytes memory change = abi.encodeWithSignature(
            "registerAct(bytes32,(address,bytes,address,bytes,uint8,uint256,uint8,uint8,bytes,uint16,uint64),uint8,uint64)",
            ROGUE,
            act,
            TIER_FAST,
            72 hours
        );
        vm.startPrank(owner);
        vm.warp(START - 1 - DELAY);
        gateway.schedule(change);
        vm.warp(START - 1);
        (bool success,) = address(gateway).call(change);
        assertTrue(success);
        vm.stopPrank();
        vm.warp(START);
    }
}
