// SPDX-License-Identifier: Apache-2.0
pragma solidity ^0.8.30;

import {BoundedCall} from "../BoundedCall.sol";
import {GatewayRegistry} from "../GatewayRegistry.sol";
import {TocsinGateway} from "../TocsinGateway.sol";
import {
    Budget,
    HOW_ADOPT,
    HOW_CLOSE,
    HOW_DISMISS,
    HOW_EXPIRE,
    HOW_FORCED,
    HOW_RELEASE,
    Mandate,
    OP_EXTEND,
    OP_PROTECT,
    OP_RELEASE,
    Record,
    Result,
    TIER_FAST,
    TIER_FULL
} from "../TocsinTypes.sol";
import {Fixture} from "./Fixture.sol";

/// The operations, rule by rule (GATEWAY.md 2).
contract GatewayTest is Fixture {
    // ---- protect

    function test_protect_calls_checks_and_records() public {
        Mandate memory mandate = _mandate(OP_PROTECT, TIER_FULL, START - 30);
        bytes memory call_ = _signed(mandate, CAP, 24 hours);
        vm.expectEmit(address(gateway));
        emit TocsinGateway.ActStarted(
            gateway.mandateDigest(mandate),
            CAP,
            mandate.decisionId,
            TIER_FULL,
            START,
            START - 30 + 24 hours,
            100
        );

        _assertResult(_bring(call_), Result.STARTED);

        assertEq(capper.cap(), 10);
        assertEq(
            abi.encode(_record(CAP)),
            abi.encode(Record(START - 30 + 24 hours, START - 30, START - 1 hours, START, 100))
        );
    }

    function test_a_record_in_force_grows_to_the_later_end() public {
        _protectFast();
        vm.warp(START + 2 hours);

        _assertResult(_protectFast(), Result.EXTENDED);
        assertEq(_record(PAUSE).until, START + 8 hours);
        assertEq(_record(PAUSE).last, START + 2 hours);

        _assertResult(_execute(OP_PROTECT, TIER_FULL, START + 1 hours, PAUSE, 72 hours), Result.EXTENDED);
        assertEq(_record(PAUSE).until, START + 73 hours);
        assertEq(_record(PAUSE).last, START + 2 hours, "the newest stays");
        assertEq(_record(PAUSE).since, START);
    }

    function test_a_later_mandate_with_an_earlier_end_only_counts_as_newest() public {
        _execute(OP_PROTECT, TIER_FULL, START, PAUSE, 72 hours);
        vm.warp(START + 2 hours);

        _assertResult(_protectFast(), Result.EXTENDED);

        assertEq(_record(PAUSE).until, START + 72 hours);
        assertEq(_record(PAUSE).last, START + 2 hours);
        assertEq(gateway.budgetLeft().fastSeconds, 24 hours, "nothing charged");
    }

    function test_a_replay_changes_nothing() public {
        bytes memory call_ = _signed(_mandate(OP_PROTECT, TIER_FAST, START), PAUSE, HOURS_6);
        _bring(call_);
        bytes memory before = abi.encode(_record(PAUSE), gateway.budgetLeft());

        _assertResult(_bring(call_), Result.NOOP);

        assertEq(abi.encode(_record(PAUSE), gateway.budgetLeft()), before);
    }

    function test_a_mandate_that_is_over_starts_nothing() public {
        bytes memory call_ = _signed(_mandate(OP_PROTECT, TIER_FAST, START), PAUSE, 10 minutes);
        vm.warp(START + 10 minutes);

        _bringReverts(
            call_,
            abi.encodeWithSelector(TocsinGateway.MandateOver.selector, START + 10 minutes, START + 10 minutes)
        );
    }

    // ---- extend

    function test_extend_lengthens_but_never_starts() public {
        _bringReverts(
            _signed(_mandate(OP_EXTEND, TIER_FULL, START), PAUSE, HOURS_6),
            abi.encodeWithSelector(TocsinGateway.NoRecord.selector, PAUSE)
        );
        _protectFast();
        vm.warp(START + 4 hours);

        _assertResult(_execute(OP_EXTEND, TIER_FULL, START + 4 hours, PAUSE, 72 hours), Result.EXTENDED);
        assertEq(_record(PAUSE).until, START + 76 hours);
    }

    function test_extend_and_release_follow_the_record_not_the_plan() public {
        _protectFast();
        vm.prank(owner);
        gateway.setPlan(keccak256("plan 2"), 0, 0);
        vm.warp(START + 4 hours);

        _assertResult(_execute(OP_EXTEND, TIER_FULL, START + 4 hours, PAUSE, 72 hours), Result.EXTENDED);
        vm.warp(START + 5 hours);
        _assertResult(_execute(OP_RELEASE, TIER_FULL, START + 5 hours, PAUSE, 0), Result.ENDED);
    }

    // ---- release, expire

    function test_release_undoes_and_ends() public {
        _protectCap();
        vm.warp(START + 1 hours);
        Mandate memory mandate = _mandate(OP_RELEASE, TIER_FULL, START + 1 hours - 5);
        bytes memory call_ = _signed(mandate, CAP, 0);
        vm.expectEmit(address(gateway));
        emit TocsinGateway.ActEnded(
            gateway.mandateDigest(mandate), CAP, HOW_RELEASE, START + 1 hours - 5, true
        );

        _assertResult(_bring(call_), Result.ENDED);

        assertEq(capper.cap(), 100, "what was read before the call");
        assertEq(abi.encode(_record(CAP)), abi.encode(Record(0, 0, START + 1 hours - 5, 0, 0)));
    }

    function test_release_without_a_record_is_refused() public {
        _bringReverts(
            _signed(_mandate(OP_RELEASE, TIER_FULL, START), PAUSE, 0),
            abi.encodeWithSelector(TocsinGateway.NoRecord.selector, PAUSE)
        );
    }

    function test_anybody_expires_after_until_and_not_before() public {
        _protectFast();
        vm.warp(START + HOURS_6 - 1);
        vm.expectRevert(abi.encodeWithSelector(TocsinGateway.RecordInForce.selector, PAUSE, START + HOURS_6));
        gateway.expire(PAUSE);
        vm.warp(START + HOURS_6 + 100);
        vm.expectEmit(address(gateway));
        emit TocsinGateway.ActEnded(0, PAUSE, HOW_EXPIRE, START + HOURS_6, true);

        vm.prank(stranger);
        _assertResult(gateway.expire(PAUSE), Result.ENDED);

        assertFalse(switcher.paused());
        vm.expectRevert(abi.encodeWithSelector(TocsinGateway.NoRecord.selector, PAUSE));
        gateway.expire(PAUSE);
    }

    function test_a_record_that_ran_out_unexpired_can_be_lengthened_and_pays_from_now_on() public {
        _protectFast();
        vm.warp(START + HOURS_6 + 100);

        _assertResult(_protectFast(), Result.EXTENDED);

        assertEq(_record(PAUSE).until, START + 2 * HOURS_6 + 100);
        assertEq(gateway.budgetLeft().fastSeconds, 24 hours - 2 * HOURS_6);
    }

    function test_a_mandate_that_is_over_lengthens_no_record_that_ran_out() public {
        _execute(OP_PROTECT, TIER_FAST, START, PAUSE, 10 minutes);
        bytes memory call_ = _signed(_mandate(OP_PROTECT, TIER_FAST, START + 60), PAUSE, 10 minutes);
        vm.warp(START + 11 minutes);

        _bringReverts(
            call_,
            abi.encodeWithSelector(TocsinGateway.MandateOver.selector, START + 11 minutes, START + 11 minutes)
        );
    }

    // ---- the protocol's own people

    function test_adopt_keeps_the_state_and_ends_the_record() public {
        _protectFast();
        vm.expectRevert(abi.encodeWithSelector(GatewayRegistry.NotGuardian.selector, address(this)));
        gateway.adopt(PAUSE);
        vm.expectEmit(address(gateway));
        emit TocsinGateway.ActEnded(0, PAUSE, HOW_ADOPT, START + SKEW, false);

        vm.prank(guardian);
        _assertResult(gateway.adopt(PAUSE), Result.ENDED);

        assertTrue(switcher.paused());
        vm.warp(START + 2 * HOURS_6);
        vm.expectRevert(abi.encodeWithSelector(TocsinGateway.NoRecord.selector, PAUSE));
        gateway.expire(PAUSE);
    }

    function test_dismiss_undoes_now() public {
        _protectCap();
        vm.expectRevert(abi.encodeWithSelector(GatewayRegistry.NotGuardian.selector, address(this)));
        gateway.dismiss(CAP);
        vm.expectEmit(address(gateway));
        emit TocsinGateway.ActEnded(0, CAP, HOW_DISMISS, START + SKEW, true);

        vm.prank(owner);
        _assertResult(gateway.dismiss(CAP), Result.ENDED);

        assertEq(capper.cap(), 100);
    }

    function test_a_veto_kills_every_mandate_decided_so_far() public {
        bytes memory ahead = _signed(_mandate(OP_PROTECT, TIER_FAST, START + SKEW), PAUSE, HOURS_6);
        _protectFast();
        vm.prank(guardian);
        gateway.dismiss(PAUSE);

        _bringReverts(
            ahead, abi.encodeWithSelector(TocsinGateway.MandateDead.selector, START + SKEW, START + SKEW)
        );
        vm.warp(START + SKEW + 1);
        _assertResult(_protectFast(), Result.STARTED);
    }

    function test_an_end_never_moves_back_when_a_clipped_record_runs_out_before_a_veto() public {
        vm.prank(owner);
        gateway.setBudget(Budget(10, 10, 3));
        _execute(OP_PROTECT, TIER_FULL, START, PAUSE, 1);
        vm.prank(guardian);
        gateway.dismiss(PAUSE);
        vm.warp(START + 1);
        _execute(OP_PROTECT, TIER_FULL, START + SKEW + 1, PAUSE, HOURS_6);
        assertEq(_record(PAUSE).until, START + 10);
        vm.warp(START + 10);

        gateway.expire(PAUSE);

        assertEq(_record(PAUSE).endedAt, START + SKEW + 1, "not before the veto, nor before its own mandate");
    }

    function test_a_reverting_undo_can_be_forced_closed_by_the_owner_with_an_alarm() public {
        _protectCap();
        capper.breakDown(true);
        vm.warp(START + 24 hours);
        vm.expectRevert(abi.encodeWithSelector(BoundedCall.CallFailed.selector, address(capper)));
        gateway.expire(CAP);
        vm.prank(guardian);
        vm.expectRevert();
        gateway.forceClose(CAP);
        vm.expectEmit(address(gateway));
        emit TocsinGateway.UndoAbandoned(CAP, address(capper));
        vm.expectEmit(address(gateway));
        emit TocsinGateway.ActEnded(0, CAP, HOW_FORCED, START + 24 hours + SKEW, false);

        vm.prank(owner);
        _assertResult(gateway.forceClose(CAP), Result.ENDED);
    }

    // ---- somebody else's state

    function test_every_call_that_finds_a_foreign_state_closes_without_undo() public {
        for (uint256 way = 0; way < 5; ++way) {
            uint256 snapshot = vm.snapshotState();
            _protectCap();
            capper.setCap(5);
            vm.warp(START + 1 hours);
            vm.expectEmit(false, true, true, true, address(gateway));
            emit TocsinGateway.ActEnded(0, CAP, HOW_CLOSE, START + 1 hours + SKEW, false);

            _assertResult(_touch(way), Result.CLOSED);

            assertEq(capper.cap(), 5);
            assertEq(_record(CAP).until, 0);
            vm.revertToState(snapshot);
        }
    }

    // ---- views

    function test_views_show_the_act_its_state_and_the_budget() public {
        (uint256 value, bool isProtected, bool isOurs) = gateway.stateOf(CAP);
        assertEq(abi.encode(value, isProtected, isOurs), abi.encode(100, false, false));
        capper.setCap(5);
        (value, isProtected, isOurs) = gateway.stateOf(CAP);
        assertEq(abi.encode(value, isProtected, isOurs), abi.encode(5, true, false));
        capper.setCap(100);
        _protectCap();
        (value, isProtected, isOurs) = gateway.stateOf(CAP);
        assertEq(abi.encode(value, isProtected, isOurs), abi.encode(10, true, true));

        _protectFast();
        assertEq(gateway.budgetLeft().fastSeconds, 18 hours);
        assertEq(gateway.budgetLeft().allSeconds, 21 days - 30 hours);
        assertEq(gateway.budgetLeft().fastRecords, 2);
        assertEq(gateway.usage(START / WINDOW).allSeconds, 30 hours);
        assertEq(gateway.actIds().length, 2);
        assertEq(gateway.actHash(keccak256("none")), 0);
        assertTrue(gateway.actHash(PAUSE) != 0);
    }

    // ---- helpers

    function _touch(uint256 way) private returns (Result) {
        uint64 time = _now();
        if (way == 0) return gateway.expire(CAP);
        if (way == 1) return _execute(OP_PROTECT, TIER_FULL, time, CAP, 24 hours);
        if (way == 2) return _execute(OP_EXTEND, TIER_FULL, time, CAP, 24 hours);
        if (way == 3) return _execute(OP_RELEASE, TIER_FULL, time, CAP, 0);
        vm.prank(guardian);
        return gateway.dismiss(CAP);
    }
}
