// SPDX-License-Identifier: Apache-2.0
pragma solidity ^0.8.30;

import {TocsinGateway} from "../../TocsinGateway.sol";
import {OP_PROTECT, Result, TIER_FAST} from "../../TocsinTypes.sol";
import {HostileFixture} from "./HostileFixture.sol";
import {BendableTarget, Bender, GasDependentTarget, TwoFacedTarget} from "./HostileTargets.sol";

/// Getters that are not what GATEWAY.md section 1 asks for: what a stranger gains by bending one, and what he does not.
contract BendingTest is HostileFixture {
    BendableTarget private target;
    Bender private mallory;

    function setUp() public override {
        super.setUp();
        target = new BendableTarget();
        mallory = new Bender();
        _use(address(target));
    }

    /// Bent to "protected", the mandate does nothing; but it is not used up: the next who brings it succeeds.
    function test_a_mandate_brought_under_a_bent_state_can_be_brought_again() public {
        bytes memory call_ = _signed(_mandate(OP_PROTECT, TIER_FAST, _now()), HOSTILE, HOURS_6);

        uint8 result = mallory.bendAround(target, address(gateway), call_);

        assertEq(result, uint8(Result.NOOP));
        assertFalse(target.isOn());
        _assertResult(_bring(call_), Result.STARTED);
        assertTrue(target.isOn());
    }

    /// Bent to "not ours" during a record, it is closed and the undo is lost: the protection stays, and is the protocol's
    /// to lift. The stranger has ended our watch, not the protection; and a later mandate finds it protected.
    function test_a_record_closed_under_a_bent_state_leaves_the_protection_standing() public {
        _protect();

        uint8 result =
            mallory.bendAround(target, address(gateway), abi.encodeCall(TocsinGateway.expire, (HOSTILE)));

        assertEq(result, uint8(Result.CLOSED));
        assertTrue(target.isOn());
        vm.warp(_now() + SKEW + 1);
        _assertResult(_protect(), Result.NOOP);
    }

    /// What a getter tells the gateway alone nobody else can see: the gateway believes it, the owner chose it.
    function test_a_getter_that_lies_to_the_gateway_alone_is_believed_and_its_record_ends_like_any() public {
        gateway = _newGateway(gateway.budget());
        TwoFacedTarget liar = new TwoFacedTarget(address(gateway));
        _use(address(liar));

        _assertResult(_protect(), Result.STARTED);

        assertEq(liar.state(), 0);
        vm.warp(_record(HOSTILE).until);
        _assertResult(gateway.expire(HOSTILE), Result.ENDED);
    }

    /// A getter that answers by the gas it has: the gateway gives it the same whatever the caller gave.
    function test_a_getter_that_depends_on_gas_cannot_be_steered_by_the_caller() public {
        gateway = _newGateway(gateway.budget());
        _use(address(new GasDependentTarget()));
        bytes memory call_ = _signed(_mandate(OP_PROTECT, TIER_FAST, _now()), HOSTILE, HOURS_6);
        uint256 started = 0;
        for (uint256 gas_ = 60_000; gas_ <= 700_000; gas_ += 10_000) {
            uint256 before = vm.snapshotState();
            (bool done, bytes memory answer) = address(gateway).call{gas: gas_}(call_);
            if (done) {
                _assertResult(abi.decode(answer, (Result)), Result.STARTED);
                ++started;
            }
            vm.revertToState(before);
        }
        assertGt(started, 0);
    }
}
