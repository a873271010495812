// SPDX-License-Identifier: Apache-2.0
pragma solidity ^0.8.30;

import {Ownable} from "@openzeppelin/contracts/access/Ownable.sol";
import {GatewayRegistry} from "../GatewayRegistry.sol";
import {TocsinGateway} from "../TocsinGateway.sol";
import {Mandate, OP_EXTEND, OP_PROTECT, OP_RELEASE, Result, TIER_FULL} from "../TocsinTypes.sol";
import {Rotation} from "../VerifierTypes.sol";
import {Fixture} from "./Fixture.sol";

/// What one protocol can do about a rotation that it does not trust (GATEWAY.md 4).
contract VetoTest is Fixture {
    uint32 private constant NEXT = EPOCH + 1;

    uint256[] private _thieves;

    function setUp() public override {
        super.setUp();
        _thieves = _sortedKeys("thief", 4);
    }

    function test_stolen_keys_that_rotate_stay_outside_of_a_gateway_that_refuses_their_epoch() public {
        _protectFast();
        _rotateToThieves();
        vm.expectEmit(address(gateway));
        emit GatewayRegistry.EpochsRefused(NEXT, guardian);
        vm.prank(guardian);
        gateway.refuseEpochsFrom(NEXT);
        vm.warp(START + 1 days);
        bytes memory reason = abi.encodeWithSelector(TocsinGateway.EpochRefused.selector, NEXT, NEXT);

        _bringReverts(_byThieves(OP_PROTECT, 72 hours), reason);
        _bringReverts(_byThieves(OP_EXTEND, 72 hours), reason);
        _bringReverts(_byThieves(OP_RELEASE, 0), reason);

        assertTrue(switcher.paused());
        vm.prank(guardian);
        _assertResult(gateway.dismiss(PAUSE), Result.ENDED);
        assertFalse(switcher.paused(), "undo is not the thieves'");
    }

    function test_a_veto_leaves_the_epoch_before_and_other_gateways_alone() public {
        _rotateToThieves();
        vm.prank(guardian);
        gateway.refuseEpochsFrom(NEXT);
        vm.warp(START + 1 days);

        _assertResult(_protectFast(), Result.STARTED);

        TocsinGateway own = gateway;
        gateway = _newGateway(own.budget());
        switcher.allow(address(gateway));
        vm.startPrank(owner);
        own.revokeAct(PAUSE);
        gateway.registerAct(PAUSE, _pauseAct(), 1, 72 hours);
        gateway.setPlan(PLAN, 0, 0);
        vm.stopPrank();
        vm.prank(guardian);
        own.dismiss(PAUSE);
        vm.warp(vm.getBlockTimestamp() + 1);
        _assertResult(_bring(_byThieves(OP_PROTECT, HOURS_6)), Result.STARTED);
    }

    function test_the_guardian_may_refuse_more_and_only_the_owner_less() public {
        bytes memory notOwner = abi.encodeWithSelector(Ownable.OwnableUnauthorizedAccount.selector, guardian);
        assertEq(gateway.refusedFrom(), type(uint32).max);
        vm.prank(stranger);
        vm.expectRevert(abi.encodeWithSelector(GatewayRegistry.NotGuardian.selector, stranger));
        gateway.refuseEpochsFrom(NEXT);

        vm.startPrank(guardian);
        gateway.refuseEpochsFrom(NEXT);
        gateway.refuseEpochsFrom(0);
        vm.expectRevert(notOwner);
        gateway.refuseEpochsFrom(NEXT);
        vm.stopPrank();
        assertEq(gateway.refusedFrom(), 0);
        _bringReverts(
            _signed(_mandate(OP_PROTECT, TIER_FULL, START), PAUSE, HOURS_6),
            abi.encodeWithSelector(TocsinGateway.EpochRefused.selector, EPOCH, 0)
        );

        vm.prank(owner);
        gateway.refuseEpochsFrom(NEXT);
        _assertResult(_protectFast(), Result.STARTED);
    }

    function test_an_anchor_tells_what_was_brought_and_keeps_nothing() public {
        bytes32 incident = keccak256("incident");
        bytes32 origin = sha256("tocsin.example/log/alice");
        vm.record();
        vm.expectEmit(address(gateway));
        emit TocsinGateway.LogAnchored(incident, origin, 4_482, keccak256("root"));

        vm.prank(stranger);
        gateway.anchorLog(incident, origin, 4_482, keccak256("root"));

        (, bytes32[] memory written) = vm.accesses(address(gateway));
        assertEq(written.length, 0);
    }

    // ---- helpers

    function _rotateToThieves() private {
        address[] memory attesters = _addresses(_thieves);
        bytes memory packed = abi.encodePacked(attesters[0], attesters[1], attesters[2], attesters[3]);
        Rotation memory rotation = Rotation({
            network: NETWORK,
            chainId: block.chainid,
            verifier: address(verifier),
            newEpoch: NEXT,
            attestersHash: keccak256(packed),
            groupsHash: _noGroupsHash(),
            fast: 2,
            full: 3,
            notBefore: START,
            notAfter: START + 1 hours,
            revokePrevious: false
        });
        bytes memory certificate = _certificate(verifier.rotationDigest(rotation), 3);
        verifier.rotate(rotation, attesters, _noGroups(), certificate);
    }

    /// A mandate of the thieves' epoch, rightly signed by them.
    function _byThieves(uint8 op, uint64 duration) private view returns (bytes memory) {
        Mandate memory mandate = _mandate(op, TIER_FULL, _now());
        mandate.keyEpoch = NEXT;
        mandate.actsRoot = _leaf(PAUSE, duration);
        bytes memory certificate = _certificateBy(gateway.mandateDigest(mandate), _thieves, 0, 3);
        return
            abi.encodeCall(TocsinGateway.execute, (mandate, PAUSE, duration, new bytes32[](0), certificate));
    }
}
