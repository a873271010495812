// SPDX-License-Identifier: Apache-2.0
pragma solidity ^0.8.30;

import {Ownable} from "@openzeppelin/contracts/access/Ownable.sol";
import {Pausable} from "@openzeppelin/contracts/utils/Pausable.sol";
import {TocsinGateway} from "../../TocsinGateway.sol";
import {Act, Result} from "../../TocsinTypes.sol";
import {OwnedVault} from "./OpenZeppelin.t.sol";
import {ISafe, SafeAccount} from "./SafeAccount.sol";

/// The gateway as a module of the Safe that holds the power over a target.
///
/// forge-config: default.isolate = true
contract SafeModuleTest is SafeAccount {
    OwnedVault private vault;

    function setUp() public override {
        super.setUp();
        vault = new OwnedVault(address(safe));
        _safeExecutes(address(safe), abi.encodeCall(ISafe.enableModule, (address(gateway))), CALL);
        _registerAndSeal(_pauseThroughSafe());
    }

    /// Created at the canonical addresses of release 1.4.1, by the factory that put it on every chain.
    function test_the_safe_of_these_tests_is_the_one_that_runs() public {
        address deployer = 0x914d7Fec6aaC8cd542e72Bca78B30650d45643d7;

        assertEq(
            vm.computeCreate2Address(0, keccak256(_foreignCode("Safe")), deployer),
            0x41675C099F32341bf84BFc5382aF534df5C7461a
        );
        assertEq(
            vm.computeCreate2Address(0, keccak256(_foreignCode("SafeProxyFactory")), deployer),
            0x4e1DCf7AD4e460CfD30791CCC4F9c8a4f820ec67
        );
        assertEq(
            vm.computeCreate2Address(0, keccak256(_foreignCode("MultiSendCallOnly")), deployer),
            0x9641d764fc13c8B624c04430C7356C1C7C8102e2
        );
    }

    function test_a_module_pauses_and_unpauses_what_its_safe_owns() public {
        vault.withdraw(1);

        _start("Safe module, Pausable + Ownable", ACT);

        vm.expectRevert(Pausable.EnforcedPause.selector);
        vault.withdraw(1);
        _runOut("Safe module, Pausable + Ownable", ACT);
        vault.withdraw(1);
    }

    /// The Safe answers false and does not revert: only the state tells.
    function test_an_inner_call_that_fails_is_caught_by_the_state() public {
        _safeExecutes(address(vault), abi.encodeCall(Ownable.transferOwnership, (stranger)), CALL);

        _protectReverts(ACT, _stateNotReached(1, 0));

        assertEq(gateway.budgetLeft().fastSeconds, 7 days);
    }

    function test_an_inner_undo_that_fails_is_caught_by_the_state_and_the_owner_can_close() public {
        _protect(ACT);
        _safeExecutes(address(vault), abi.encodeCall(Ownable.transferOwnership, (stranger)), CALL);
        vm.warp(_record(ACT).until);

        vm.expectRevert(abi.encodeWithSelector(TocsinGateway.UndoWithoutEffect.selector, 1));
        gateway.expire(ACT);
        vm.prank(owner);
        gateway.forceClose(ACT);

        assertEq(_record(ACT).until, 0);
    }

    function test_a_module_that_is_not_enabled_fails_by_name() public {
        _safeExecutes(
            address(safe), abi.encodeCall(ISafe.disableModule, (FIRST_MODULE, address(gateway))), CALL
        );

        _protectReverts(ACT, _callFailed(address(safe)));
    }

    /// The Safe hands on what gas it is given, and swallows the failure of a call that had too little.
    function test_a_gas_cap_too_small_for_the_inner_call_records_nothing() public {
        Act memory act = _pauseThroughSafe();
        uint256 started = 0;
        uint256 caps = 0;
        for (uint64 cap = 10_000; cap <= 70_000; cap += 5_000) {
            act.gasCap = cap;
            _useGatewayWith(act);
            uint256 before = vm.snapshotState();
            (bool done,) = address(gateway).call(_signed(_mandate(1, 1, _now()), ACT, HOURS_6));
            assertEq(vault.paused(), done);
            assertEq(_record(ACT).until != 0, done);
            (started, caps) = (started + (done ? 1 : 0), caps + 1);
            vm.revertToState(before);
        }
        assertTrue(started > 0 && started < caps, "some caps are enough and some are not");
    }

    /// The Safe may do everything; its module only what is registered.
    function test_the_network_reaches_nothing_of_the_safe_but_the_act() public {
        vm.prank(stranger);
        vm.expectRevert("GS104");
        safe.execTransactionFromModule(
            address(vault), 0, abi.encodeCall(Ownable.transferOwnership, (stranger)), CALL
        );
    }

    function _useGatewayWith(Act memory act) private {
        gateway = _newGateway(gateway.budget());
        _registerAndSeal(act);
        _safeExecutes(address(safe), abi.encodeCall(ISafe.enableModule, (address(gateway))), CALL);
    }

    function _pauseThroughSafe() private view returns (Act memory act) {
        act = _act(
            address(safe),
            _fromModule(abi.encodeCall(OwnedVault.pause, ())),
            _fromModule(abi.encodeCall(OwnedVault.unpause, ())),
            abi.encodeCall(Pausable.paused, ()),
            120_000
        );
        act.stateTarget = address(vault);
    }

    function _fromModule(bytes memory call_) private view returns (bytes memory) {
        return abi.encodeCall(ISafe.execTransactionFromModule, (address(vault), 0, call_, CALL));
    }
}
