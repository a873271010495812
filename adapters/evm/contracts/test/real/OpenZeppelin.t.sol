// SPDX-License-Identifier: Apache-2.0
pragma solidity ^0.8.30;

import {AccessControl, IAccessControl} from "@openzeppelin/contracts/access/AccessControl.sol";
import {AccessManaged} from "@openzeppelin/contracts/access/manager/AccessManaged.sol";
import {AccessManager} from "@openzeppelin/contracts/access/manager/AccessManager.sol";
import {IAccessManaged} from "@openzeppelin/contracts/access/manager/IAccessManaged.sol";
import {Ownable} from "@openzeppelin/contracts/access/Ownable.sol";
import {Pausable} from "@openzeppelin/contracts/utils/Pausable.sol";
import {Act, Result} from "../../TocsinTypes.sol";
import {RealFixture} from "./RealFixture.sol";

/// Pausable by whoever owns it.
contract OwnedVault is Ownable, Pausable {
    uint256 public paidOut;

    constructor(address owner_) Ownable(owner_) {}

    function pause() external onlyOwner {
        _pause();
    }

    function unpause() external onlyOwner {
        _unpause();
    }

    function withdraw(uint256 amount) external whenNotPaused {
        paidOut += amount;
    }
}

/// Pausable by a role.
contract RoleVault is AccessControl, Pausable {
    bytes32 public constant PAUSER = keccak256("PAUSER");
    uint256 public paidOut;

    constructor(address admin) {
        _grantRole(DEFAULT_ADMIN_ROLE, admin);
    }

    function pause() external onlyRole(PAUSER) {
        _pause();
    }

    function unpause() external onlyRole(PAUSER) {
        _unpause();
    }

    function withdraw(uint256 amount) external whenNotPaused {
        paidOut += amount;
    }
}

/// Everything through an AccessManager.
contract ManagedVault is AccessManaged, Pausable {
    uint256 public paidOut;

    constructor(address manager) AccessManaged(manager) {}

    function pause() external restricted {
        _pause();
    }

    function unpause() external restricted {
        _unpause();
    }

    function withdraw(uint256 amount) external restricted whenNotPaused {
        paidOut += amount;
    }
}

/// OpenZeppelin's own building blocks, as protocols put them together.
///
/// forge-config: default.isolate = true
contract OpenZeppelinTest is RealFixture {
    uint64 private constant PAUSER_ROLE = 7;

    AccessManager private manager;
    ManagedVault private managed;

    function setUp() public override {
        super.setUp();
        manager = new AccessManager(address(this));
        managed = new ManagedVault(address(manager));
        bytes4[] memory everybodys = new bytes4[](1);
        everybodys[0] = ManagedVault.withdraw.selector;
        manager.setTargetFunctionRole(address(managed), everybodys, manager.PUBLIC_ROLE());
        bytes4[] memory pausers = new bytes4[](2);
        (pausers[0], pausers[1]) = (ManagedVault.pause.selector, ManagedVault.unpause.selector);
        manager.setTargetFunctionRole(address(managed), pausers, PAUSER_ROLE);
    }

    // ---- Pausable

    function test_an_ownable_pausable_is_paused_and_unpaused_by_a_gateway_that_owns_it() public {
        OwnedVault vault = new OwnedVault(address(gateway));
        _registerAndSeal(_pauseOf(address(vault)));
        vault.withdraw(1);

        _start("Pausable + Ownable", ACT);

        vm.expectRevert(Pausable.EnforcedPause.selector);
        vault.withdraw(1);
        _runOut("Pausable + Ownable", ACT);
        vault.withdraw(1);
        assertEq(vault.paidOut(), 2);
    }

    /// The owner of a gateway is not the owner of what the gateway owns: no registered act, no way out.
    function test_a_gateway_that_owns_a_target_gives_it_back_only_by_a_registered_act() public {
        OwnedVault vault = new OwnedVault(address(gateway));
        Act memory back = _pauseOf(address(vault));
        back.call = abi.encodeCall(Ownable.transferOwnership, (owner));
        back.stateCall = abi.encodeCall(Ownable.owner, ());
        back.value = uint256(uint160(owner));
        (back.undo, back.undoCall) = (0, "");
        _registerAndSeal(back);

        vm.prank(owner);
        vm.expectRevert(abi.encodeWithSelector(Ownable.OwnableUnauthorizedAccount.selector, owner));
        vault.transferOwnership(owner);
        _assertResult(_protect(ACT), Result.STARTED);

        assertEq(vault.owner(), owner);
    }

    function test_an_access_control_pausable_needs_one_role() public {
        RoleVault vault = new RoleVault(address(this));
        vault.grantRole(vault.PAUSER(), address(gateway));
        _registerAndSeal(_pauseOf(address(vault)));

        _start("Pausable + AccessControl", ACT);

        vm.expectRevert(Pausable.EnforcedPause.selector);
        vault.withdraw(1);
        _runOut("Pausable + AccessControl", ACT);
        vault.withdraw(1);
    }

    function test_without_the_role_nothing_is_recorded_and_nothing_is_paid() public {
        RoleVault vault = new RoleVault(address(this));
        _registerAndSeal(_pauseOf(address(vault)));

        _protectReverts(ACT, _callFailed(address(vault)));

        assertEq(gateway.budgetLeft().fastSeconds, 7 days);
        vault.grantRole(vault.PAUSER(), address(gateway));
        _assertResult(_protect(ACT), Result.STARTED);
    }

    function test_a_role_taken_away_during_a_record_leaves_the_owner_a_way_to_close() public {
        RoleVault vault = new RoleVault(address(this));
        vault.grantRole(vault.PAUSER(), address(gateway));
        _registerAndSeal(_pauseOf(address(vault)));
        _protect(ACT);
        vault.revokeRole(vault.PAUSER(), address(gateway));
        vm.warp(_record(ACT).until);

        vm.expectRevert(_callFailed(address(vault)));
        gateway.expire(ACT);
        vm.prank(owner);
        gateway.forceClose(ACT);

        assertEq(_record(ACT).until, 0);
        assertTrue(vault.paused());
    }

    // ---- AccessManager

    function test_a_managed_function_needs_a_role_without_delay() public {
        manager.grantRole(PAUSER_ROLE, address(gateway), 0);
        _registerAndSeal(_pauseOf(address(managed)));

        _start("Pausable + AccessManager role", ACT);

        vm.expectRevert(Pausable.EnforcedPause.selector);
        managed.withdraw(1);
        _runOut("Pausable + AccessManager role", ACT);
        managed.withdraw(1);
    }

    function test_a_target_is_closed_and_opened_by_the_manager() public {
        manager.grantRole(manager.ADMIN_ROLE(), address(gateway), 0);
        _registerAndSeal(_closing());
        managed.withdraw(1);

        _start("AccessManager.setTargetClosed", ACT);

        vm.expectRevert(
            abi.encodeWithSelector(IAccessManaged.AccessManagedUnauthorized.selector, address(this))
        );
        managed.withdraw(1);
        _runOut("AccessManager.setTargetClosed", ACT);
        managed.withdraw(1);
    }

    function test_closing_a_target_needs_the_admin_role_a_lesser_one_is_refused() public {
        bytes4[] memory closing = new bytes4[](1);
        closing[0] = AccessManager.setTargetClosed.selector;
        manager.setTargetFunctionRole(address(manager), closing, PAUSER_ROLE);
        manager.grantRole(PAUSER_ROLE, address(gateway), 0);
        _registerAndSeal(_closing());

        _protectReverts(ACT, _callFailed(address(manager)));
    }

    function test_an_execution_delay_fails_by_name_and_records_nothing() public {
        manager.grantRole(PAUSER_ROLE, address(gateway), 1 hours);
        _registerAndSeal(_pauseOf(address(managed)));

        _protectReverts(ACT, _callFailed(address(managed)));

        assertFalse(managed.paused());
        manager.grantRole(PAUSER_ROLE, address(gateway), 0);
        vm.warp(_now() + 1 hours);
        _assertResult(_protect(ACT), Result.STARTED);
    }

    function test_a_delay_of_the_target_s_admin_fails_by_name_too() public {
        manager.grantRole(manager.ADMIN_ROLE(), address(gateway), 0);
        manager.setTargetAdminDelay(address(managed), 1 hours);
        vm.warp(_now() + manager.minSetback());
        _registerAndSeal(_closing());

        _protectReverts(ACT, _callFailed(address(manager)));
    }

    /// A grant delay of the role: the gateway has it only later.
    function test_a_role_that_is_not_in_force_yet_fails_by_name() public {
        manager.setGrantDelay(PAUSER_ROLE, 1 days);
        vm.warp(_now() + manager.minSetback());
        manager.grantRole(PAUSER_ROLE, address(gateway), 0);
        _registerAndSeal(_pauseOf(address(managed)));

        _protectReverts(ACT, _callFailed(address(managed)));

        vm.warp(_now() + 1 days);
        _assertResult(_protect(ACT), Result.STARTED);
    }

    function _pauseOf(address target) private pure returns (Act memory) {
        return _switchAct(target, "pause()", "unpause()", "paused()");
    }

    function _closing() private view returns (Act memory) {
        return _act(
            address(manager),
            abi.encodeCall(AccessManager.setTargetClosed, (address(managed), true)),
            abi.encodeCall(AccessManager.setTargetClosed, (address(managed), false)),
            abi.encodeCall(AccessManager.isTargetClosed, (address(managed))),
            100_000
        );
    }
}
