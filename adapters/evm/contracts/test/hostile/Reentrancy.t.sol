// SPDX-License-Identifier: Apache-2.0
pragma solidity ^0.8.30;

import {ReentrancyGuardTransient} from "@openzeppelin/contracts/utils/ReentrancyGuardTransient.sol";
import {GatewayRegistry} from "../../GatewayRegistry.sol";
import {ITocsinVerifier} from "../../ITocsinVerifier.sol";
import {TocsinGateway} from "../../TocsinGateway.sol";
import {
    Act,
    Budget,
    OP_PROTECT,
    OP_RELEASE,
    Record,
    Result,
    TIER_FAST,
    TIER_FULL
} from "../../TocsinTypes.sol";
import {HostileFixture} from "./HostileFixture.sol";
import {ReenteringTarget, Switch} from "./HostileTargets.sol";

/// A target that calls back while the gateway calls it, also as the gateway's own guardian and owner.
contract ReentrancyTest is HostileFixture {
    bytes private constant REENTRANT =
        abi.encodeWithSelector(ReentrancyGuardTransient.ReentrancyGuardReentrantCall.selector);

    ReenteringTarget private target;

    function setUp() public override {
        super.setUp();
        target = new ReenteringTarget();
        _use(address(target));
    }

    function test_what_touches_a_record_is_closed_during_the_call() public {
        _makeTarget(true);
        bytes[] memory entries = _entriesOfRecords();
        for (uint256 i = 0; i < entries.length; ++i) {
            uint256 before = vm.snapshotState();
            target.arm(address(gateway), entries[i]);

            _assertResult(_protect(), Result.STARTED);

            _assertRefused(i);
            vm.revertToState(before);
        }
    }

    function test_what_touches_a_record_is_closed_during_the_undo() public {
        _makeTarget(true);
        _protect();
        bytes[] memory entries = _entriesOfRecords();
        vm.warp(_record(HOSTILE).until);
        for (uint256 i = 0; i < entries.length; ++i) {
            uint256 before = vm.snapshotState();
            target.arm(address(gateway), entries[i]);

            _assertResult(gateway.expire(HOSTILE), Result.ENDED);

            _assertRefused(i);
            assertEq(_record(HOSTILE).until, 0);
            vm.revertToState(before);
        }
    }

    /// What an owner may do without touching a record he may do from inside a call: it is his, and the record is whole.
    function test_an_owner_that_is_the_target_changes_his_own_settings_and_not_the_record() public {
        _makeTarget(true);
        bytes[6] memory entries = [
            abi.encodeCall(GatewayRegistry.setPlan, (keccak256("plan 2"), 0, 0)),
            abi.encodeCall(GatewayRegistry.setVerifier, (ITocsinVerifier(address(0)))),
            abi.encodeCall(GatewayRegistry.setGuardian, (stranger)),
            abi.encodeCall(GatewayRegistry.pauseGateway, ()),
            abi.encodeCall(GatewayRegistry.schedule, (_biggerBudget())),
            abi.encodeWithSignature("transferOwnership(address)", stranger)
        ];
        for (uint256 i = 0; i < entries.length; ++i) {
            uint256 before = vm.snapshotState();
            target.arm(address(gateway), entries[i]);

            _assertResult(_protect(), Result.STARTED);

            assertTrue(target.entered());
            Record memory record = _record(HOSTILE);
            assertEq(record.until, _now() + HOURS_6);
            assertEq(record.last, _now());
            vm.warp(record.until);
            target.arm(address(gateway), "");
            _assertResult(gateway.expire(HOSTILE), Result.ENDED);
            vm.revertToState(before);
        }
    }

    function test_a_target_that_is_nobody_is_nobody_from_inside_too() public {
        bytes[3] memory entries = [
            abi.encodeCall(GatewayRegistry.pauseGateway, ()),
            abi.encodeCall(TocsinGateway.adopt, (HOSTILE)),
            abi.encodeCall(TocsinGateway.dismiss, (HOSTILE))
        ];
        for (uint256 i = 0; i < entries.length; ++i) {
            uint256 before = vm.snapshotState();
            target.arm(address(gateway), entries[i]);
            _protect();

            assertFalse(target.entered());
            assertEq(
                target.answer(), abi.encodeWithSelector(GatewayRegistry.NotGuardian.selector, address(target))
            );
            vm.revertToState(before);
        }
    }

    function test_a_guardian_that_is_the_target_adopts_after_the_call() public {
        _makeTarget(false);
        _protect();

        target.command(address(gateway), abi.encodeCall(TocsinGateway.adopt, (HOSTILE)));

        assertEq(_record(HOSTILE).until, 0);
        assertEq(target.state(), 1);
    }

    /// Another gateway is another domain: what it does is bound by its own rules.
    function test_another_gateway_may_be_used_from_inside() public {
        TocsinGateway inner = _newGateway(gateway.budget());
        TocsinGateway outer = _newGateway(gateway.budget());
        gateway = inner;
        _use(address(new Switch()));
        bytes memory entry = _signed(_mandate(OP_PROTECT, TIER_FAST, _now() + 1 hours), HOSTILE, HOURS_6);
        gateway = outer;
        _useWithCap(address(target), 1_000_000);
        target.arm(address(inner), entry);

        _assertResult(_protect(), Result.STARTED);

        assertTrue(target.entered());
        assertEq(inner.record(HOSTILE).until, _now() + HOURS_6);
        assertEq(_record(HOSTILE).until, _now() + HOURS_6);
    }

    // ---- helpers

    /// Make the target guardian, or guardian and owner, of its own gateway.
    function _makeTarget(bool ownerToo) private {
        vm.startPrank(owner);
        gateway.setGuardian(address(target));
        if (ownerToo) gateway.transferOwnership(address(target));
        vm.stopPrank();
        if (ownerToo) target.command(address(gateway), abi.encodeWithSignature("acceptOwnership()"));
    }

    /// Everything that reads or writes records, acts or the budget.
    function _entriesOfRecords() private view returns (bytes[] memory entries) {
        entries = new bytes[](9);
        entries[0] = _signed(_mandate(OP_PROTECT, TIER_FULL, _now()), HOSTILE, HOURS_6);
        entries[1] = _signed(_mandate(OP_RELEASE, TIER_FULL, _now() + 1), HOSTILE, 0);
        entries[2] = abi.encodeCall(TocsinGateway.expire, (HOSTILE));
        entries[3] = abi.encodeCall(TocsinGateway.adopt, (HOSTILE));
        entries[4] = abi.encodeCall(TocsinGateway.dismiss, (HOSTILE));
        entries[5] = abi.encodeCall(TocsinGateway.forceClose, (HOSTILE));
        (Act memory act,,,) = gateway.act(HOSTILE);
        entries[6] = abi.encodeCall(GatewayRegistry.registerAct, (HOSTILE, act, TIER_FAST, 1 hours));
        entries[7] = abi.encodeCall(GatewayRegistry.revokeAct, (HOSTILE));
        entries[8] = abi.encodeCall(GatewayRegistry.leaveNetwork, ());
    }

    function _biggerBudget() private pure returns (bytes memory) {
        return abi.encodeCall(
            GatewayRegistry.setBudget, (Budget({fastSeconds: 20 days, allSeconds: 21 days, fastRecords: 99}))
        );
    }

    function _assertRefused(uint256 entry) private view {
        assertFalse(target.entered(), string.concat("entered by entry ", vm.toString(entry)));
        assertEq(target.answer(), REENTRANT);
    }
}
