// SPDX-License-Identifier: Apache-2.0
pragma solidity ^0.8.30;

import {IAccessControl} from "@openzeppelin/contracts/access/IAccessControl.sol";
import {MessageHashUtils} from "@openzeppelin/contracts/utils/cryptography/MessageHashUtils.sol";
import {Pausable} from "@openzeppelin/contracts/utils/Pausable.sol";
import {Act, OP_RELEASE, Result, TIER_FAST, TIER_FULL} from "../TocsinTypes.sol";
import {BridgeMessage, hashMessage} from "../demo/BridgeMessage.sol";
import {BridgedToken} from "../demo/BridgedToken.sol";
import {DemoHome} from "../demo/DemoHome.sol";
import {DemoMarket} from "../demo/DemoMarket.sol";
import {DemoReplica} from "../demo/DemoReplica.sol";
import {DemoToken} from "../demo/DemoToken.sol";
import {Fixture} from "./Fixture.sol";

/// The demonstration's bridge and market, and the gateway in front of them.
contract DemoTest is Fixture {
    uint256 private constant MOST = 7.3e24;

    uint256 private _updaterKey = uint256(keccak256("updater"));
    address private _user = makeAddr("alice");
    DemoToken private _original;
    DemoToken private _stable;
    DemoHome private _home;
    DemoReplica private _replica;
    BridgedToken private _bridged;
    DemoMarket private _market;

    function setUp() public override {
        super.setUp();
        _original = new DemoToken("Original", "ORG", 18, address(this));
        _stable = new DemoToken("Stable", "USD", 6, address(this));
        _home = new DemoHome(address(this));
        _bridged = _home.list(address(_original), "Bridged", "bORG", 18);
        _replica = new DemoReplica(address(this), vm.addr(_updaterKey), 0);
        _original.mint(address(_replica), MOST);
        _home.mint(address(_original), _user, MOST);
        _market = new DemoMarket(address(this), _stable);
        _market.listCollateral(address(_bridged), 7_500, 8_000, 2e6);
        _stable.mint(address(_market), 1e15);
        _stable.mint(address(this), 1e15);
        _stable.approve(address(_market), type(uint256).max);
        vm.prank(_user);
        _bridged.approve(address(_market), type(uint256).max);
    }

    // ---- bridge

    function test_a_burn_is_proved_and_released_with_the_same_id_token_and_amount() public {
        vm.expectEmit(address(_home));
        emit DemoHome.Burn(0, address(_original), MOST);
        vm.prank(_user);
        _home.send(address(_original), MOST, _user);
        BridgeMessage memory message = BridgeMessage(0, address(_original), MOST, _user);
        _commit(hashMessage(message));
        vm.expectEmit(address(_replica));
        emit DemoReplica.Release(0, address(_original), MOST, _user);

        _replica.proveAndProcess(message, new bytes32[](0));

        assertEq(_original.balanceOf(_user), MOST);
        assertEq(_bridged.totalSupply(), 0);
        assertEq(_home.nextId(), 1);
    }

    function test_many_messages_are_proved_under_one_root() public {
        BridgeMessage memory a = BridgeMessage(0, address(_original), 1, _user);
        BridgeMessage memory b = BridgeMessage(1, address(_original), 2, _user);
        (bytes32 x, bytes32 y) = (hashMessage(a), hashMessage(b));
        _commit(x < y ? keccak256(abi.encode(x, y)) : keccak256(abi.encode(y, x)));
        bytes32[] memory proof = new bytes32[](1);

        proof[0] = y;
        _replica.proveAndProcess(a, proof);
        proof[0] = x;
        _replica.proveAndProcess(b, proof);

        assertEq(_original.balanceOf(_user), 3);
    }

    function test_the_flaw_an_invented_message_is_processed_without_proof() public {
        BridgeMessage memory invented = BridgeMessage(99, address(_original), 1e20, stranger);

        _replica.process(invented);

        assertEq(_original.balanceOf(stranger), 1e20);
        vm.expectRevert(
            abi.encodeWithSelector(
                DemoReplica.NotAcceptable.selector, hashMessage(invented), _replica.PROCESSED()
            )
        );
        _replica.process(invented);
        vm.expectRevert(
            abi.encodeWithSelector(
                DemoReplica.NotProved.selector, hashMessage(invented), hashMessage(invented)
            )
        );
        _replica.prove(invented, new bytes32[](0));
    }

    function test_without_the_flaw_an_invented_message_is_refused() public {
        DemoReplica sound = new DemoReplica(address(this), vm.addr(_updaterKey), keccak256("first root"));
        BridgeMessage memory invented = BridgeMessage(99, address(_original), 1, stranger);

        vm.expectRevert(
            abi.encodeWithSelector(DemoReplica.NotAcceptable.selector, hashMessage(invented), bytes32(0))
        );
        sound.process(invented);
    }

    function test_only_the_updater_confirms_roots() public {
        (uint8 v, bytes32 r, bytes32 s) = vm.sign(keys[0], _updateDigest(keccak256("root")));

        vm.expectRevert(abi.encodeWithSelector(DemoReplica.NotByUpdater.selector, vm.addr(keys[0])));
        _replica.update(keccak256("root"), abi.encodePacked(r, s, v));
    }

    function test_many_burns_fit_into_one_transaction() public {
        bytes[] memory calls = new bytes[](3);
        for (uint256 i = 0; i < calls.length; ++i) {
            calls[i] = abi.encodeCall(DemoHome.send, (address(_original), i + 1, _user));
        }
        vm.prank(_user);
        _home.multicall(calls);

        assertEq(_home.nextId(), 3);
        assertEq(_bridged.balanceOf(_user), MOST - 6);
    }

    function test_the_gateway_halts_the_replica_before_the_second_release() public {
        Act memory act = _switchAct(address(_replica), "pause()", "unpause()", "paused()");
        _replica.grantRole(_replica.PAUSER_ROLE(), _registerInNewGateway(act));
        _replica.process(BridgeMessage(1, address(_original), 1, stranger));

        _assertResult(_protectFast(), Result.STARTED);

        vm.expectRevert(Pausable.EnforcedPause.selector);
        _replica.process(BridgeMessage(2, address(_original), 1, stranger));
        vm.warp(START + HOURS_6);
        gateway.expire(PAUSE);
        assertFalse(_replica.paused());
    }

    // ---- market

    function test_a_position_is_over_collateralised() public {
        vm.startPrank(_user);
        _market.supplyCollateral(address(_bridged), 100e18);
        vm.expectRevert(abi.encodeWithSelector(DemoMarket.Undercollateralised.selector, 150e6 + 1, 150e6));
        _market.borrow(address(_bridged), 150e6 + 1);
        _market.borrow(address(_bridged), 150e6);
        vm.expectRevert(abi.encodeWithSelector(DemoMarket.Undercollateralised.selector, 150e6, 150e6 - 2));
        _market.withdrawCollateral(address(_bridged), 1e12);
        vm.stopPrank();
        assertEq(_stable.balanceOf(_user), 150e6);
    }

    function test_disabled_collateral_blocks_new_borrowing_and_nothing_else() public {
        vm.startPrank(_user);
        _market.supplyCollateral(address(_bridged), 100e18);
        _market.borrow(address(_bridged), 100e6);
        vm.stopPrank();
        Act memory act;
        (act.target, act.stateTarget) = (address(_market), address(_market));
        act.call = abi.encodeCall(DemoMarket.setCollateralEnabled, (address(_bridged), false));
        act.undoCall = abi.encodeCall(DemoMarket.setCollateralEnabled, (address(_bridged), true));
        act.stateCall = abi.encodeCall(DemoMarket.collateralEnabled, (address(_bridged)));
        (act.undo, act.gasCap) = (1, 100_000);
        _market.grantRole(_market.RISK_ADMIN_ROLE(), _registerInNewGateway(act));

        _protectFast();

        assertFalse(_market.collateralEnabled(address(_bridged)));
        vm.startPrank(_user);
        vm.expectRevert(abi.encodeWithSelector(DemoMarket.CollateralDisabled.selector, address(_bridged)));
        _market.borrow(address(_bridged), 1);
        _stable.approve(address(_market), 100e6);
        _market.repay(_user, address(_bridged), 100e6);
        _market.withdrawCollateral(address(_bridged), 100e18);
        vm.stopPrank();
        vm.warp(START + 1 hours);
        _execute(OP_RELEASE, TIER_FULL, _now(), PAUSE, 0);
        assertTrue(_market.collateralEnabled(address(_bridged)));
    }

    function test_an_unhealthy_position_is_liquidated_also_when_disabled() public {
        vm.startPrank(_user);
        _market.supplyCollateral(address(_bridged), 100e18);
        _market.borrow(address(_bridged), 150e6);
        vm.stopPrank();
        vm.expectRevert(abi.encodeWithSelector(DemoMarket.PositionHealthy.selector, 150e6, 160e6));
        _market.liquidate(_user, address(_bridged), 1);
        _market.setCollateralEnabled(address(_bridged), false);
        _market.setPrice(address(_bridged), 1.8e6);

        _market.liquidate(_user, address(_bridged), 90e6);

        (uint256 collateral, uint256 debt) = _market.positions(_user, address(_bridged));
        assertEq(debt, 60e6);
        assertEq(collateral, 100e18 - 52.5e18, "90 at 1.8, and five per cent");
        assertEq(_bridged.balanceOf(address(this)), 52.5e18);
    }

    function testFuzz_no_sequence_leaves_more_debt_than_allowed(uint96 supply, uint96 borrow, uint96 out)
        public
    {
        uint256 supplied = bound(supply, 0, MOST);
        vm.startPrank(_user);
        _market.supplyCollateral(address(_bridged), supplied);
        try _market.borrow(address(_bridged), borrow) {} catch {}
        try _market.withdrawCollateral(address(_bridged), out) {} catch {}
        vm.stopPrank();
        (, uint256 debt) = _market.positions(_user, address(_bridged));
        assertLe(debt, _market.borrowLimit(_user, address(_bridged)));
    }

    function test_only_the_risk_admin_switches_collateral() public {
        bytes32 role = _market.RISK_ADMIN_ROLE();
        vm.prank(stranger);
        vm.expectRevert(
            abi.encodeWithSelector(IAccessControl.AccessControlUnauthorizedAccount.selector, stranger, role)
        );
        _market.setCollateralEnabled(address(_bridged), false);
    }

    function _commit(bytes32 root) private {
        (uint8 v, bytes32 r, bytes32 s) = vm.sign(_updaterKey, _updateDigest(root));
        _replica.update(root, abi.encodePacked(r, s, v));
    }

    function _updateDigest(bytes32 root) private view returns (bytes32) {
        return MessageHashUtils.toEthSignedMessageHash(keccak256(abi.encode(address(_replica), root)));
    }

    function _registerInNewGateway(Act memory act) private returns (address) {
        gateway = _newGateway(gateway.budget());
        vm.warp(START - 1);
        vm.startPrank(owner);
        gateway.registerAct(PAUSE, act, TIER_FAST, 72 hours);
        gateway.setPlan(PLAN, 0, 0);
        vm.stopPrank();
        vm.warp(START);
        return address(gateway);
    }
}
