// SPDX-License-Identifier: Apache-2.0
pragma solidity ^0.8.30;

import {
    AccessControlUpgradeable
} from "@openzeppelin/contracts-upgradeable/access/AccessControlUpgradeable.sol";
import {PausableUpgradeable} from "@openzeppelin/contracts-upgradeable/utils/PausableUpgradeable.sol";
import {ERC1967Proxy} from "@openzeppelin/contracts/proxy/ERC1967/ERC1967Proxy.sol";
import {UUPSUpgradeable} from "@openzeppelin/contracts/proxy/utils/UUPSUpgradeable.sol";
import {BoundedCall} from "../../BoundedCall.sol";
import {Act, Result} from "../../TocsinTypes.sol";
import {RealFixture} from "./RealFixture.sol";

/// Pausable by a role, behind a proxy.
contract ProxiedVault is AccessControlUpgradeable, PausableUpgradeable, UUPSUpgradeable {
    bytes32 public constant PAUSER = keccak256("PAUSER");
    uint256 public paidOut;

    function initialize(address admin) external initializer {
        __AccessControl_init();
        __Pausable_init();
        _grantRole(DEFAULT_ADMIN_ROLE, admin);
    }

    function pause() external virtual onlyRole(PAUSER) {
        _pause();
    }

    function unpause() external virtual onlyRole(PAUSER) {
        _unpause();
    }

    function withdraw(uint256 amount) external whenNotPaused {
        paidOut += amount;
    }

    function _authorizeUpgrade(address) internal override onlyRole(DEFAULT_ADMIN_ROLE) {}
}

/// The next release: its way to unpause has another name.
contract RenamedVault is ProxiedVault {
    function unpause() external pure override {
        revert("use resume");
    }

    function resume() external onlyRole(DEFAULT_ADMIN_ROLE) {
        _unpause();
    }
}

/// A release without a getter for the pause.
contract GetterlessVault is UUPSUpgradeable {
    function _authorizeUpgrade(address) internal override {}
}

/// OpenZeppelin's upgradeable contracts: the target's code changes under a registered act.
///
/// forge-config: default.isolate = true
contract UpgradeableTest is RealFixture {
    ProxiedVault private vault;

    function setUp() public override {
        super.setUp();
        bytes memory initialize = abi.encodeCall(ProxiedVault.initialize, (address(this)));
        vault = ProxiedVault(address(new ERC1967Proxy(address(new ProxiedVault()), initialize)));
        vault.grantRole(vault.PAUSER(), address(gateway));
        _registerAndSeal(_switchAct(address(vault), "pause()", "unpause()", "paused()"));
    }

    function test_a_pausable_behind_a_proxy_is_paused_and_unpaused() public {
        _start("PausableUpgradeable behind ERC1967Proxy", ACT);

        vm.expectRevert(PausableUpgradeable.EnforcedPause.selector);
        vault.withdraw(1);
        _runOut("PausableUpgradeable behind ERC1967Proxy", ACT);
        vault.withdraw(1);
    }

    function test_an_upgrade_that_keeps_the_switch_keeps_the_record() public {
        _protect(ACT);
        _upgradeTo(address(new ProxiedVault()));

        _runOut(ACT);

        vault.withdraw(1);
    }

    function test_an_upgrade_that_breaks_the_undo_leaves_the_target_s_own_way_and_any_call_closes() public {
        _protect(ACT);
        _upgradeTo(address(new RenamedVault()));
        vm.warp(_record(ACT).until);
        vm.expectRevert(_callFailed(address(vault)));
        gateway.expire(ACT);

        RenamedVault(address(vault)).resume();

        _assertResult(gateway.expire(ACT), Result.CLOSED);
    }

    function test_an_upgrade_that_loses_the_getter_leaves_the_owner_a_way_to_close() public {
        _protect(ACT);
        _upgradeTo(address(new GetterlessVault()));
        bytes memory unreadable = abi.encodeWithSelector(BoundedCall.StateUnreadable.selector, vault);
        vm.warp(_record(ACT).until);
        vm.expectRevert(unreadable);
        gateway.expire(ACT);

        vm.prank(owner);
        gateway.forceClose(ACT);

        assertEq(_record(ACT).until, 0);
        vm.warp(_now() + 1 hours);
        _protectReverts(ACT, unreadable);
    }

    function _upgradeTo(address implementation) private {
        vault.upgradeToAndCall(implementation, "");
    }
}
