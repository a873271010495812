// SPDX-License-Identifier: Apache-2.0
pragma solidity ^0.8.30;

import {BoundedCall} from "../BoundedCall.sol";
import {BudgetBook} from "../BudgetBook.sol";
import {GatewayRegistry} from "../GatewayRegistry.sol";
import {TocsinGateway} from "../TocsinGateway.sol";
import {
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
            abi.encode(_record(CAP)), abi.encode(Record(START - 30 + 24 hours, START - 30, 0, START, 100))
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

    // ---- what every call needs

    function test_a_mandate_is_fresh_from_not_before_less_skew_to_not_after() public {
        bytes memory early = _signed(_mandate(OP_PROTECT, TIER_FAST, START + SKEW + 1), PAUSE, HOURS_6);
        _bringReverts(
            early, abi.encodeWithSelector(TocsinGateway.MandateEarly.selector, START + SKEW + 1, START)
        );
        vm.warp(START + 1);
        _assertResult(_bring(early), Result.STARTED);

        bytes memory late = _signed(_mandate(OP_PROTECT, TIER_FAST, START + SKEW + 2), PAUSE, HOURS_6);
        uint64 notAfter = START + SKEW + 2 + 30 minutes;
        vm.warp(notAfter + 1);
        _bringReverts(
            late, abi.encodeWithSelector(TocsinGateway.MandateLate.selector, notAfter, notAfter + 1)
        );
        vm.warp(notAfter);
        _assertResult(_bring(late), Result.EXTENDED);
    }

    function test_a_fast_mandate_cannot_run_a_full_act() public {
        _bringReverts(
            _signed(_mandate(OP_PROTECT, TIER_FAST, START), CAP, 1 hours),
            abi.encodeWithSelector(TocsinGateway.TierTooLow.selector, TIER_FULL, TIER_FAST)
        );
    }

    function test_a_fast_mandate_cannot_extend_or_release() public {
        _protectFast();
        bytes memory reason = abi.encodeWithSelector(TocsinGateway.TierTooLow.selector, TIER_FULL, TIER_FAST);
        vm.warp(START + 1);

        _bringReverts(_signed(_mandate(OP_EXTEND, TIER_FAST, START + 1), PAUSE, HOURS_6), reason);
        _bringReverts(_signed(_mandate(OP_RELEASE, TIER_FAST, START + 1), PAUSE, 0), reason);
    }

    function test_unknown_tiers_and_operations_are_refused() public {
        Mandate memory mandate = _mandate(OP_PROTECT, TIER_FULL, START);
        mandate.tier = 3;
        _bringReverts(
            _signed(mandate, PAUSE, HOURS_6),
            abi.encodeWithSelector(TocsinGateway.TierTooLow.selector, TIER_FAST, 3)
        );
        mandate = _mandate(4, TIER_FULL, START);
        _bringReverts(
            _signed(mandate, PAUSE, HOURS_6),
            abi.encodeWithSelector(TocsinGateway.OperationUnknown.selector, 4)
        );
    }

    function test_a_duration_above_the_registered_one_is_refused() public {
        bytes memory call_ = _signed(_mandate(OP_PROTECT, TIER_FULL, START), PAUSE, 72 hours + 1);
        _bringReverts(
            call_, abi.encodeWithSelector(TocsinGateway.DurationTooLong.selector, 72 hours, 72 hours + 1)
        );
    }

    function test_an_unregistered_act_is_refused() public {
        bytes memory call_ = _signed(_mandate(OP_PROTECT, TIER_FULL, START), keccak256("none"), HOURS_6);
        _bringReverts(
            call_, abi.encodeWithSelector(GatewayRegistry.ActNotRegistered.selector, keccak256("none"))
        );
    }

    function test_each_field_of_a_mandate_is_signed() public {
        Mandate memory mandate = _mandate(OP_PROTECT, TIER_FULL, START);
        mandate.actsRoot = _leaf(PAUSE, HOURS_6);
        bytes memory certificate = _certificate(gateway.mandateDigest(mandate), 3);
        Mandate[6] memory changed;
        for (uint256 i = 0; i < changed.length; ++i) {
            changed[i] = abi.decode(abi.encode(mandate), (Mandate));
        }
        changed[0].keyEpoch += 1;
        changed[1].tier = TIER_FAST;
        changed[2].op = OP_EXTEND;
        changed[3].decisionId = bytes32(uint256(1));
        changed[4].notBefore -= 1;
        changed[5].notAfter += 1;
        for (uint256 i = 0; i < changed.length; ++i) {
            bytes32 digest = gateway.mandateDigest(changed[i]);
            vm.expectRevert(abi.encodeWithSelector(TocsinGateway.CertificateRefused.selector, digest));
            gateway.execute(changed[i], PAUSE, HOURS_6, new bytes32[](0), certificate);
        }
        mandate.network = bytes32(uint256(1));
        vm.expectRevert(
            abi.encodeWithSelector(GatewayRegistry.WrongNetwork.selector, NETWORK, mandate.network)
        );
        gateway.execute(mandate, PAUSE, HOURS_6, new bytes32[](0), certificate);
        mandate.network = NETWORK;
        mandate.planHash = keccak256("plan 2");
        vm.expectRevert(abi.encodeWithSelector(TocsinGateway.PlanNotInForce.selector, mandate.planHash));
        gateway.execute(mandate, PAUSE, HOURS_6, new bytes32[](0), certificate);
    }

    function test_each_field_of_a_leaf_is_bound() public {
        Mandate memory mandate = _mandate(OP_PROTECT, TIER_FULL, START);
        bytes memory call_ = _signed(mandate, PAUSE, HOURS_6);
        bytes memory certificate = _certificate(gateway.mandateDigest(mandate), 3);

        _refusesLeaf(mandate, CAP, HOURS_6, certificate);
        _refusesLeaf(mandate, PAUSE, HOURS_6 + 1, certificate);
        vm.chainId(block.chainid + 1);
        _refusesLeaf(mandate, PAUSE, HOURS_6, certificate);
        vm.chainId(block.chainid - 1);
        TocsinGateway first = gateway;
        gateway = _newGateway(first.budget());
        vm.startPrank(owner);
        gateway.registerAct(PAUSE, _pauseAct(), TIER_FAST, 72 hours);
        gateway.setPlan(PLAN, 0, 0);
        vm.stopPrank();
        _refusesLeaf(mandate, PAUSE, HOURS_6, certificate);
        gateway = first;
        _assertResult(_bring(call_), Result.STARTED);
    }

    function test_one_signature_serves_several_acts() public {
        Mandate memory mandate = _mandate(OP_PROTECT, TIER_FULL, START);
        (bytes32 a, bytes32 b) = (_leaf(PAUSE, HOURS_6), _leaf(CAP, 24 hours));
        mandate.actsRoot = keccak256(abi.encodePacked(hex"01", a < b ? a : b, a < b ? b : a));
        bytes memory certificate = _certificate(gateway.mandateDigest(mandate), 3);
        bytes32[] memory proof = new bytes32[](1);

        proof[0] = b;
        _assertResult(gateway.execute(mandate, PAUSE, HOURS_6, proof, certificate), Result.STARTED);
        proof[0] = a;
        _assertResult(gateway.execute(mandate, CAP, 24 hours, proof, certificate), Result.STARTED);
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

    function test_a_record_that_ran_out_unexpired_can_be_lengthened_and_pays_for_the_gap() public {
        _protectFast();
        vm.warp(START + HOURS_6 + 100);

        _assertResult(_protectFast(), Result.EXTENDED);

        assertEq(_record(PAUSE).until, START + 2 * HOURS_6 + 100);
        assertEq(gateway.budgetLeft().fastSeconds, 24 hours - 2 * HOURS_6 - 100);
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

    function _refusesLeaf(Mandate memory mandate, bytes32 actId, uint64 duration, bytes memory certificate)
        private
    {
        bytes32 leaf = _leaf(actId, duration);
        vm.expectRevert(
            abi.encodeWithSelector(TocsinGateway.LeafNotIncluded.selector, mandate.actsRoot, leaf)
        );
        gateway.execute(mandate, actId, duration, new bytes32[](0), certificate);
    }
}
