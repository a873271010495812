// SPDX-License-Identifier: Apache-2.0
pragma solidity ^0.8.30;

import {
    AccessControlUpgradeable
} from "@openzeppelin/contracts-upgradeable/access/AccessControlUpgradeable.sol";
import {AccessManager} from "@openzeppelin/contracts/access/manager/AccessManager.sol";
import {BeaconProxy} from "@openzeppelin/contracts/proxy/beacon/BeaconProxy.sol";
import {UpgradeableBeacon} from "@openzeppelin/contracts/proxy/beacon/UpgradeableBeacon.sol";
import {ERC1967Proxy} from "@openzeppelin/contracts/proxy/ERC1967/ERC1967Proxy.sol";
import {ERC1967Utils} from "@openzeppelin/contracts/proxy/ERC1967/ERC1967Utils.sol";
import {
    ITransparentUpgradeableProxy,
    ProxyAdmin,
    TransparentUpgradeableProxy
} from "@openzeppelin/contracts/proxy/transparent/TransparentUpgradeableProxy.sol";
import {UUPSUpgradeable} from "@openzeppelin/contracts/proxy/utils/UUPSUpgradeable.sol";
import {Act, Result} from "../../TocsinTypes.sol";
import {RealFixture} from "./RealFixture.sol";

/// A vault that pays whoever asks, and says which code it runs.
contract FlawedVault is AccessControlUpgradeable, UUPSUpgradeable {
    bytes32 public constant UPGRADER = keccak256("UPGRADER");
    uint256 public paidOut;

    function initialize(address admin) external initializer {
        __AccessControl_init();
        _grantRole(DEFAULT_ADMIN_ROLE, admin);
    }

    function withdraw(uint256 amount) external virtual {
        paidOut += amount;
    }

    /// The slot of ERC-1967, which no proxy of this release shows by itself.
    function implementation() external view returns (address) {
        return ERC1967Utils.getImplementation();
    }

    function _authorizeUpgrade(address) internal override onlyRole(UPGRADER) {}
}

/// What was audited beforehand: people repay and look, nobody is paid.
contract SafeVault is FlawedVault {
    error NothingLeaves();

    function withdraw(uint256) external pure override {
        revert NothingLeaves();
    }
}

/// Failover on OpenZeppelin's three kinds of proxies: to code that was audited before, and back.
///
/// forge-config: default.isolate = true
contract FailoverTest is RealFixture {
    uint64 private constant UPGRADER_ROLE = 7;

    AccessManager private manager;
    address private flawed = address(new FlawedVault());
    address private safe = address(new SafeVault());
    bytes private initialize = abi.encodeCall(FlawedVault.initialize, (address(this)));

    function setUp() public override {
        super.setUp();
        manager = new AccessManager(address(this));
        manager.grantRole(UPGRADER_ROLE, address(gateway), 0);
    }

    function test_a_uups_proxy_fails_over_and_back() public {
        FlawedVault vault = FlawedVault(address(new ERC1967Proxy(flawed, initialize)));
        vault.grantRole(vault.UPGRADER(), address(gateway));
        _registerAndSeal(
            _failover(
                address(vault),
                abi.encodeCall(UUPSUpgradeable.upgradeToAndCall, (safe, "")),
                4,
                abi.encodeCall(FlawedVault.implementation, ())
            )
        );

        _failsOverAndBack("UUPSUpgradeable upgradeToAndCall", vault);
    }

    function test_every_proxy_of_a_beacon_fails_over_and_back_through_a_manager() public {
        UpgradeableBeacon beacon = new UpgradeableBeacon(flawed, address(manager));
        FlawedVault vault = FlawedVault(address(new BeaconProxy(address(beacon), initialize)));
        FlawedVault other = FlawedVault(address(new BeaconProxy(address(beacon), initialize)));
        Act memory act = _managed(
            address(beacon),
            abi.encodeCall(UpgradeableBeacon.upgradeTo, (safe)),
            4,
            abi.encodeCall(UpgradeableBeacon.implementation, ())
        );
        act.stateTarget = address(beacon);
        _registerAndSeal(act);

        _start("UpgradeableBeacon upgradeTo through AccessManager", ACT);

        vm.expectRevert(SafeVault.NothingLeaves.selector);
        vault.withdraw(1);
        vm.expectRevert(SafeVault.NothingLeaves.selector);
        other.withdraw(1);
        _runOut("UpgradeableBeacon upgradeTo through AccessManager", ACT);
        vault.withdraw(1);
        other.withdraw(1);
    }

    function test_a_transparent_proxy_fails_over_and_back_through_a_manager() public {
        FlawedVault vault =
            FlawedVault(address(new TransparentUpgradeableProxy(flawed, address(manager), initialize)));
        address admin = address(uint160(uint256(vm.load(address(vault), ERC1967Utils.ADMIN_SLOT))));
        bytes memory upgrade = abi.encodeCall(
            ProxyAdmin.upgradeAndCall, (ITransparentUpgradeableProxy(payable(address(vault))), safe, "")
        );
        Act memory act = _managed(admin, upgrade, 36, abi.encodeCall(FlawedVault.implementation, ()));
        act.stateTarget = address(vault);
        _registerAndSeal(act);

        _failsOverAndBack("ProxyAdmin upgradeAndCall through AccessManager", vault);
    }

    /// An undo brings the flaw back with the old code; an act without one leaves that to the protocol.
    function test_without_an_undo_the_audited_code_stays_until_the_protocol_decides() public {
        FlawedVault vault = FlawedVault(address(new ERC1967Proxy(flawed, initialize)));
        vault.grantRole(vault.UPGRADER(), address(gateway));
        Act memory act = _failover(
            address(vault),
            abi.encodeCall(UUPSUpgradeable.upgradeToAndCall, (safe, "")),
            4,
            abi.encodeCall(FlawedVault.implementation, ())
        );
        (act.undo, act.undoCall, act.restoreAt) = (0, "", 0);
        _registerAndSeal(act);
        _protect(ACT);

        _runOut(ACT);

        assertEq(vault.implementation(), safe);
    }

    function test_code_that_the_protocol_deploys_meanwhile_is_the_protocol_s() public {
        FlawedVault vault = FlawedVault(address(new ERC1967Proxy(flawed, initialize)));
        vault.grantRole(vault.UPGRADER(), address(gateway));
        vault.grantRole(vault.UPGRADER(), address(this));
        _registerAndSeal(
            _failover(
                address(vault),
                abi.encodeCall(UUPSUpgradeable.upgradeToAndCall, (safe, "")),
                4,
                abi.encodeCall(FlawedVault.implementation, ())
            )
        );
        _protect(ACT);
        address mended = address(new FlawedVault());
        vault.upgradeToAndCall(mended, "");

        _assertResult(gateway.expire(ACT), Result.CLOSED);

        assertEq(vault.implementation(), mended);
    }

    // ---- parts

    function _failsOverAndBack(string memory name, FlawedVault vault) private {
        vault.withdraw(5);

        _start(name, ACT);

        vm.expectRevert(SafeVault.NothingLeaves.selector);
        vault.withdraw(1);
        assertEq(vault.paidOut(), 5, "what was stored stays");
        _runOut(name, ACT);
        assertEq(vault.implementation(), flawed);
        vault.withdraw(1);
    }

    function _failover(address target, bytes memory upgrade, uint16 restoreAt, bytes memory state)
        private
        view
        returns (Act memory act)
    {
        act = _act(target, upgrade, upgrade, state, 200_000);
        (act.value, act.undo, act.restoreAt) = (uint160(safe), 2, restoreAt);
    }

    /// The same through `AccessManager.execute(target, data)`: the old code goes into the data, behind three words.
    function _managed(address target, bytes memory upgrade, uint16 restoreAt, bytes memory state)
        private
        returns (Act memory)
    {
        bytes4[] memory selectors = new bytes4[](1);
        selectors[0] = bytes4(upgrade);
        manager.setTargetFunctionRole(target, selectors, UPGRADER_ROLE);
        return _failover(
            address(manager), abi.encodeCall(AccessManager.execute, (target, upgrade)), 100 + restoreAt, state
        );
    }
}
