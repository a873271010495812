// SPDX-License-Identifier: Apache-2.0
pragma solidity ^0.8.30;

import {GatewayRegistry} from "../../GatewayRegistry.sol";
import {Act, Budget, Result, TIER_FAST} from "../../TocsinTypes.sol";
import {TocsinGateway} from "../../TocsinGateway.sol";
import {SafeAccount} from "./SafeAccount.sol";

/// A Safe as the owner of a gateway: every change is a real transaction of two of its three owners.
contract SafeOwnerTest is SafeAccount {
    function setUp() public override {
        super.setUp();
        owner = address(safe);
        gateway = _newGateway(Budget({fastSeconds: 7 days, allSeconds: 21 days, fastRecords: 3}));
        switcher.allow(address(gateway));
    }

    function test_a_safe_registers_and_seals_in_one_transaction() public {
        _setUpBySafe();

        assertTrue(gateway.isSealed());
        _assertResult(_protect(PAUSE), Result.STARTED);
        assertTrue(switcher.paused());
    }

    function test_a_safe_announces_an_act_and_registers_it_after_the_notice() public {
        _setUpBySafe();
        bytes memory change =
            abi.encodeCall(GatewayRegistry.registerAct, (CAP, _capAct(), TIER_FAST, 72 hours));
        _safeExecutes(address(gateway), abi.encodeCall(GatewayRegistry.schedule, (change)), CALL);
        vm.warp(_now() + DELAY);

        _safeExecutes(address(gateway), change, CALL);

        vm.warp(_now() + 1 hours);
        _assertResult(_protect(CAP), Result.STARTED);
    }

    function test_a_safe_leaves_in_one_transaction_and_dismisses_what_is_open() public {
        _setUpBySafe();
        _protect(PAUSE);
        bytes[] memory calls = new bytes[](2);
        calls[0] = abi.encodeCall(GatewayRegistry.leaveNetwork, ());
        calls[1] = abi.encodeCall(TocsinGateway.dismiss, (PAUSE));

        _safeExecutesAll(address(gateway), calls);

        assertEq(gateway.actIds().length, 0);
        assertFalse(switcher.paused());
        vm.warp(_now() + SKEW + 1);
        _protectReverts(PAUSE, abi.encodeWithSelector(GatewayRegistry.ActNotRegistered.selector, PAUSE));
    }

    /// Handing a gateway to a Safe: two steps, the second is the Safe's.
    function test_a_safe_accepts_the_ownership_that_a_deployer_hands_over() public {
        owner = makeAddr("deployer");
        gateway = _newGateway(Budget({fastSeconds: 1, allSeconds: 1, fastRecords: 1}));
        vm.prank(owner);
        gateway.transferOwnership(address(safe));
        assertEq(gateway.owner(), owner);

        _safeExecutes(address(gateway), abi.encodeWithSignature("acceptOwnership()"), CALL);

        assertEq(gateway.owner(), address(safe));
    }

    function test_one_signature_of_two_changes_nothing() public {
        (bytes memory data, bytes memory signature) = _signedOnce();

        vm.expectRevert("GS020");
        safe.execTransaction(
            address(gateway), 0, data, CALL, 0, 0, 0, address(0), payable(address(0)), signature
        );
    }

    function _signedOnce() private view returns (bytes memory data, bytes memory signature) {
        data = abi.encodeCall(GatewayRegistry.leaveNetwork, ());
        bytes32 digest = safe.getTransactionHash(
            address(gateway), 0, data, CALL, 0, 0, 0, address(0), address(0), safe.nonce()
        );
        (uint8 v, bytes32 r, bytes32 s) = vm.sign(safeKeys[0], digest);
        signature = abi.encodePacked(r, s, v);
    }

    function _setUpBySafe() private {
        bytes[] memory calls = new bytes[](2);
        Act memory act = _pauseAct();
        calls[0] = abi.encodeCall(GatewayRegistry.registerAct, (PAUSE, act, TIER_FAST, 72 hours));
        calls[1] = abi.encodeCall(GatewayRegistry.setPlan, (PLAN, 0, 0));
        _safeExecutesAll(address(gateway), calls);
        vm.warp(_now() + 1 hours);
    }
}
