// SPDX-License-Identifier: Apache-2.0
pragma solidity ^0.8.30;

import {ITocsinVerifier} from "../../ITocsinVerifier.sol";
import {TocsinGateway} from "../../TocsinGateway.sol";
import {Act, COMPARE_AT_LEAST, OP_PROTECT, Result, TIER_FAST} from "../../TocsinTypes.sol";
import {HostileFixture} from "./HostileFixture.sol";
import {
    BlindingTarget,
    ErrorCodeTarget,
    FailingTarget,
    RemoteSwitch,
    RogueVerifier,
    ShortTarget,
    StrictSwitch,
    Switch,
    TimedTarget
} from "./HostileTargets.sol";

/// Targets that fail: each ends in a named error or a documented end, and the owner can always close.
contract HostileTest is HostileFixture {
    FailingTarget private target;

    function setUp() public override {
        super.setUp();
        target = new FailingTarget();
    }

    // ---- the call

    function test_an_error_code_instead_of_a_revert_is_caught_by_the_state() public {
        _use(address(new ErrorCodeTarget()));

        _protectReverts(_stateNotReached(1, 0));
    }

    function test_an_undo_that_answers_an_error_code_is_caught_by_the_state() public {
        Switch market = new Switch();
        _use(address(market));
        _protect();
        vm.etch(address(market), address(new ErrorCodeTarget()).code);

        _expireReverts(_undoWithoutEffect(1));
        _assertOwnerCloses();
    }

    function test_a_target_that_reverts_when_it_is_on_already_is_never_called_twice() public {
        StrictSwitch strict = new StrictSwitch();
        _use(address(strict));
        strict.put(1);
        _assertResult(_protect(), Result.NOOP);
        strict.put(0);
        _assertResult(_protect(), Result.STARTED);

        vm.warp(_now() + 1 hours);
        _assertResult(_protect(), Result.EXTENDED);

        vm.warp(_record(HOSTILE).until);
        _assertResult(gateway.expire(HOSTILE), Result.ENDED);
        assertEq(strict.state(), 0);
    }

    function test_a_target_that_reverts_when_it_is_off_already_is_not_asked_to_be() public {
        StrictSwitch strict = new StrictSwitch();
        _use(address(strict));
        _protect();
        strict.put(0);

        _assertResult(gateway.expire(HOSTILE), Result.CLOSED);
    }

    function test_a_call_that_burns_all_its_gas_costs_its_cap_and_records_nothing() public {
        target.fail(BURNS_GAS, NONE, NONE);
        _useWithCap(address(target), 1_000_000);
        bytes memory call_ = _signed(_mandate(OP_PROTECT, TIER_FAST, _now()), HOSTILE, HOURS_6);
        uint256 before = gasleft();

        _bringReverts(call_, _callFailed(address(target)));

        assertLt(before - gasleft(), 1_300_000);
        assertEq(_record(HOSTILE).until, 0);
    }

    function test_a_megabyte_of_answer_costs_no_more_than_the_cap() public {
        target.fail(ANSWERS_A_MEGABYTE, NONE, NONE);
        _useWithCap(address(target), 3_000_000);
        bytes memory call_ = _signed(_mandate(OP_PROTECT, TIER_FAST, _now()), HOSTILE, HOURS_6);
        uint256 before = gasleft();

        _assertResult(_bring(call_), Result.STARTED);

        assertLt(before - gasleft(), 3_300_000);
    }

    function test_a_megabyte_of_reason_costs_no_more_than_the_cap_and_is_not_handed_on() public {
        target.fail(REVERTS_WITH_A_MEGABYTE, NONE, NONE);
        _useWithCap(address(target), 3_000_000);

        _protectReverts(_callFailed(address(target)));
    }

    function test_a_call_that_overshoots_is_not_what_was_registered() public {
        target.fail(OVERSHOOTS, NONE, NONE);
        Act memory act = _switch(address(target), 100_000);
        act.compare = COMPARE_AT_LEAST;
        _useAct(act);

        _protectReverts(_stateNotReached(1, 2));
    }

    function test_a_target_without_code_takes_every_call_and_does_nothing() public {
        Switch seen = new Switch();
        Act memory act = _switch(address(seen), 100_000);
        act.target = makeAddr("nobody");
        _useAct(act);

        _protectReverts(_stateNotReached(1, 0));
    }

    // ---- the getter

    function test_a_getter_that_does_not_answer_is_refused_at_registration() public {
        address[4] memory silent =
            [makeAddr("nobody"), address(new ShortTarget()), address(gateway.verifier()), address(target)];
        target.fail(NONE, NONE, BURNS_GAS);
        for (uint256 i = 0; i < silent.length; ++i) {
            Act memory act = _switch(silent[i], 100_000);
            vm.expectRevert(_unreadable(silent[i]));
            vm.prank(owner);
            gateway.registerAct(HOSTILE, act, TIER_FAST, 72 hours);
        }
    }

    function test_a_getter_with_fewer_words_than_said_is_refused_at_registration() public {
        Act memory act = _switch(address(target), 100_000);
        act.stateWord = 1;

        vm.expectRevert(_unreadable(address(target)));
        vm.prank(owner);
        gateway.registerAct(HOSTILE, act, TIER_FAST, 72 hours);
    }

    function test_a_getter_that_fails_before_the_call_stops_the_start() public {
        _use(address(target));
        for (uint256 failure = 1; failure < 6; ++failure) {
            FailingTarget.Failure kind = FailingTarget.Failure(failure);
            if (kind == IGNORES) continue;
            target.fail(NONE, NONE, kind);
            _protectReverts(_unreadable(address(target)));
        }
    }

    function test_a_getter_that_fails_during_a_record_stops_all_but_adopt_and_the_owner_s_close() public {
        _use(address(target));
        _protect();
        target.fail(NONE, NONE, REVERTS);
        _expireReverts(_unreadable(address(target)));
        vm.startPrank(guardian);
        vm.expectRevert(_unreadable(address(target)));
        gateway.dismiss(HOSTILE);
        uint256 before = vm.snapshotState();
        _assertResult(gateway.adopt(HOSTILE), Result.ENDED);
        vm.revertToState(before);
        vm.stopPrank();

        _assertOwnerCloses();
    }

    function test_a_call_that_breaks_the_getter_is_undone_as_a_whole() public {
        BlindingTarget blinding = new BlindingTarget(false);
        _use(address(blinding));

        _protectReverts(_unreadable(address(blinding)));

        assertEq(blinding.state(), 0);
    }

    function test_an_undo_that_breaks_the_getter_is_refused_and_the_owner_can_close() public {
        BlindingTarget blinding = new BlindingTarget(true);
        _use(address(blinding));
        _protect();

        _expireReverts(_unreadable(address(blinding)));
        assertEq(blinding.state(), 1);
        _assertOwnerCloses();
    }

    function test_a_getter_that_recovers_lets_anybody_end_the_record() public {
        _use(address(target));
        _protect();
        target.fail(NONE, NONE, BURNS_GAS);
        _expireReverts(_unreadable(address(target)));

        target.fail(NONE, NONE, NONE);

        _assertResult(gateway.expire(HOSTILE), Result.ENDED);
        assertEq(target.state(), 0);
    }

    // ---- the undo

    function test_an_undo_that_fails_leaves_the_record_open_and_the_owner_free_to_close() public {
        _use(address(target));
        FailingTarget.Failure[4] memory kinds = [REVERTS, BURNS_GAS, REVERTS_WITH_A_MEGABYTE, IGNORES];
        for (uint256 i = 0; i < kinds.length; ++i) {
            uint256 before = vm.snapshotState();
            _protect();
            target.fail(NONE, kinds[i], NONE);
            bytes memory reason = kinds[i] == IGNORES ? _undoWithoutEffect(1) : _callFailed(address(target));
            _expireReverts(reason);
            _releaseReverts(reason);
            vm.expectRevert(reason);
            vm.prank(guardian);
            gateway.dismiss(HOSTILE);
            _assertOwnerCloses();
            vm.revertToState(before);
        }
    }

    function test_an_undo_that_fails_can_be_tried_again() public {
        _use(address(target));
        _protect();
        target.fail(NONE, REVERTS, NONE);
        _expireReverts(_callFailed(address(target)));

        target.fail(NONE, NONE, NONE);

        _assertResult(gateway.expire(HOSTILE), Result.ENDED);
        assertEq(target.state(), 0);
    }

    /// Which state an undo leaves is the target's; that it is not ours any more is what counts.
    function test_an_undo_that_leads_elsewhere_ends_the_record() public {
        _use(address(target));
        _protect();
        target.fail(NONE, OVERSHOOTS, NONE);
        vm.warp(_record(HOSTILE).until);

        _assertResult(gateway.expire(HOSTILE), Result.ENDED);

        assertEq(target.state(), 2);
    }

    function test_a_megabyte_of_answer_to_an_undo_costs_no_more_than_the_cap() public {
        _useWithCap(address(target), 3_000_000);
        _protect();
        target.fail(NONE, ANSWERS_A_MEGABYTE, NONE);
        vm.warp(_record(HOSTILE).until);
        uint256 before = gasleft();

        _assertResult(gateway.expire(HOSTILE), Result.ENDED);

        assertLt(before - gasleft(), 3_200_000);
    }

    function test_a_target_that_vanishes_leaves_the_owner_free_to_close() public {
        _use(address(target));
        _protect();
        vm.etch(address(target), "");

        _expireReverts(_unreadable(address(target)));
        _assertOwnerCloses();
    }

    /// A call to an account without code succeeds and does nothing.
    function test_a_target_that_vanishes_beside_its_getter_is_caught_by_the_state() public {
        Switch place = new Switch();
        RemoteSwitch remote = new RemoteSwitch(place);
        Act memory act = _switch(address(remote), 100_000);
        act.stateTarget = address(place);
        _useAct(act);
        _protect();
        vm.etch(address(remote), "");

        _expireReverts(_undoWithoutEffect(1));
        _assertOwnerCloses();
    }

    // ---- time

    function test_a_pause_that_ends_by_itself_closes_its_record_without_a_call() public {
        TimedTarget timed = new TimedTarget();
        Act memory act = _switch(address(timed), 100_000);
        act.call = abi.encodeCall(TimedTarget.onFor, (1 hours));
        _useAct(act);
        _protect();

        vm.warp(_now() + 1 hours);

        assertLt(_now(), _record(HOSTILE).until);
        _assertResult(gateway.expire(HOSTILE), Result.CLOSED);
        vm.warp(_now() + SKEW + 1);
        _assertResult(_protect(), Result.STARTED);
    }

    function test_a_pause_for_longer_than_the_record_is_lifted_when_the_record_ends() public {
        TimedTarget timed = new TimedTarget();
        Act memory act = _switch(address(timed), 100_000);
        act.call = abi.encodeCall(TimedTarget.onFor, (30 days));
        _useAct(act);
        _protect();
        vm.warp(_record(HOSTILE).until);

        _assertResult(gateway.expire(HOSTILE), Result.ENDED);

        assertEq(timed.state(), 0);
    }

    // ---- the verifier

    function test_a_verifier_that_does_not_say_one_says_no() public {
        _use(address(target));
        for (uint256 mode = 1; mode <= 4; ++mode) {
            RogueVerifier rogue = new RogueVerifier(NETWORK, mode);
            vm.prank(owner);
            gateway.setVerifier(ITocsinVerifier(address(rogue)));
            bytes memory call_ = _signed(_mandate(OP_PROTECT, TIER_FAST, _now()), HOSTILE, HOURS_6);
            vm.prank(stranger);
            (bool done, bytes memory answer) = address(gateway).call(call_);
            assertFalse(done);
            assertEq(bytes4(answer), TocsinGateway.CertificateRefused.selector);
        }
    }
}
