// SPDX-License-Identifier: Apache-2.0
pragma solidity ^0.8.30;

import {ERC1967Proxy} from "@openzeppelin/contracts/proxy/ERC1967/ERC1967Proxy.sol";
import {Result} from "../../TocsinTypes.sol";
import {RealFixture} from "./RealFixture.sol";

interface ISuperchainConfig {
    function initialize(address guardian, bool paused) external;
    function pause(string calldata identifier) external;
    function unpause() external;
    function paused() external view returns (bool);
    function guardian() external view returns (address);
}

/// Optimism's switch of all withdrawals of a superchain, which has one guardian and no other role.
///
/// forge-config: default.isolate = true
contract OptimismTest is RealFixture {
    ISuperchainConfig private config;

    function setUp() public override {
        super.setUp();
        bytes memory initialize = abi.encodeCall(ISuperchainConfig.initialize, (address(gateway), false));
        config =
            ISuperchainConfig(address(new ERC1967Proxy(_deployForeign("SuperchainConfig", ""), initialize)));
        _registerAndSeal(
            _act(
                address(config),
                abi.encodeCall(ISuperchainConfig.pause, ("tocsin")),
                abi.encodeCall(ISuperchainConfig.unpause, ()),
                abi.encodeCall(ISuperchainConfig.paused, ()),
                100_000
            )
        );
    }

    function test_withdrawals_are_paused_and_unpaused_by_the_guardian() public {
        assertEq(config.guardian(), address(gateway));

        _start("Optimism SuperchainConfig.pause", ACT);

        assertTrue(config.paused());
        _runOut("Optimism SuperchainConfig.pause", ACT);
        assertFalse(config.paused());
    }

    /// This pause does not revert when it is on already: ours must not take over what another began.
    function test_a_pause_of_somebody_else_stays_his() public {
        vm.prank(address(gateway));
        config.pause("incident desk");

        _assertResult(_protect(ACT), Result.NOOP);

        assertEq(_record(ACT).until, 0);
        assertTrue(config.paused());
    }
}
