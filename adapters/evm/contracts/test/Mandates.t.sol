// SPDX-License-Identifier: Apache-2.0
pragma solidity ^0.8.30;

import {GatewayRegistry} from "../GatewayRegistry.sol";
import {TocsinGateway} from "../TocsinGateway.sol";
import {Budget, Mandate, OP_EXTEND, OP_PROTECT, OP_RELEASE, Result, TIER_FAST, TIER_FULL} from "../TocsinTypes.sol";
import {Fixture} from "./Fixture.sol";

/// What every mandate needs (GATEWAY.md 2.1).
contract MandatesTest is Fixture {
    function test_a_mandate_is_fresh_from_not_before_less_skew_to_not_after() public {
        bytes memory early = _signed(_mandate(OP_PROTECT, TIER_FAST, START + SKEW + 1), PAUSE, HOURS_6);
        _bringReverts(
            early, abi.encodeWithSelector(TocsinGateway.MandateEarly.selector, START + SKEW + 1, START)
        );
        vm.warp(START + 1);
        _assertResult(_bring(early), Result.STARTED);

        bytes memory late = _signed(_mandate(OP_PROTECT, TIER_FAST, START + SKEW + 2), PAUSE, HOURS_6);
        uint64 notAfter = START + SKEW + 2 + 30 minutes;
        vm.warp(notAfter + 1);
        _bringReverts(
            late, abi.encodeWithSelector(TocsinGateway.MandateLate.selector, notAfter, notAfter + 1)
        );
        vm.warp(notAfter);
        _assertResult(_bring(late), Result.EXTENDED);
    }

    function test_a_fast_mandate_cannot_run_a_full_act() public {
        _bringReverts(
            _signed(_mandate(OP_PROTECT, TIER_FAST, START), CAP, 1 hours),
            abi.encodeWithSelector(TocsinGateway.TierTooLow.selector, TIER_FULL, TIER_FAST)
        );
    }

    function test_a_fast_mandate_cannot_extend_or_release() public {
        _protectFast();
        bytes memory reason = abi.encodeWithSelector(TocsinGateway.TierTooLow.selector, TIER_FULL, TIER_FAST);
        vm.warp(START + 1);

        _bringReverts(_signed(_mandate(OP_EXTEND, TIER_FAST, START + 1), PAUSE, HOURS_6), reason);
        _bringReverts(_signed(_mandate(OP_RELEASE, TIER_FAST, START + 1), PAUSE, 0), reason);
    }

    function test_unknown_tiers_and_operations_are_refused() public {
        Mandate memory mandate = _mandate(OP_PROTECT, TIER_FULL, START);
        mandate.tier = 3;
        _bringReverts(
            _signed(mandate, PAUSE, HOURS_6),
            abi.encodeWithSelector(TocsinGateway.TierTooLow.selector, TIER_FAST, 3)
        );
        mandate = _mandate(4, TIER_FULL, START);
        _bringReverts(
            _signed(mandate, PAUSE, HOURS_6),
            abi.encodeWithSelector(TocsinGateway.OperationUnknown.selector, 4)
        );
    }

    function test_a_duration_above_the_registered_one_is_refused() public {
        bytes memory call_ = _signed(_mandate(OP_PROTECT, TIER_FULL, START), PAUSE, 72 hours + 1);
        _bringReverts(
            call_, abi.encodeWithSelector(TocsinGateway.DurationTooLong.selector, 72 hours, 72 hours + 1)
        );
    }

    function test_a_mandate_from_before_the_registration_is_dead() public {
        bytes memory old = _signed(_mandate(OP_PROTECT, TIER_FULL, START), PAUSE, HOURS_6);
        vm.startPrank(owner);
        gateway.schedule(
            abi.encodeCall(GatewayRegistry.registerAct, (PAUSE, _pauseAct(), TIER_FAST, 72 hours))
        );
        gateway.revokeAct(PAUSE);
        vm.warp(START + DELAY);
        gateway.registerAct(PAUSE, _pauseAct(), TIER_FAST, 72 hours);
        vm.stopPrank();
        Mandate memory withheld = _mandate(OP_PROTECT, TIER_FULL, START + DELAY);
        withheld.notAfter = START + 90 days;

        _bringReverts(
            old, abi.encodeWithSelector(TocsinGateway.MandateLate.selector, START + HOURS_6, START + DELAY)
        );
        _bringReverts(
            _signed(withheld, PAUSE, HOURS_6),
            abi.encodeWithSelector(TocsinGateway.MandateDead.selector, START + DELAY, START + DELAY)
        );
        vm.warp(START + DELAY + 1);
        _assertResult(_protectFast(), Result.STARTED);
    }

    function test_an_unregistered_act_is_refused() public {
        bytes memory call_ = _signed(_mandate(OP_PROTECT, TIER_FULL, START), keccak256("none"), HOURS_6);
        _bringReverts(
            call_, abi.encodeWithSelector(GatewayRegistry.ActNotRegistered.selector, keccak256("none"))
        );
    }

    function test_each_field_of_a_mandate_is_signed() public {
        Mandate memory mandate = _mandate(OP_PROTECT, TIER_FULL, START);
        mandate.actsRoot = _leaf(PAUSE, HOURS_6);
        bytes memory certificate = _certificate(gateway.mandateDigest(mandate), 3);
        Mandate[6] memory changed;
        for (uint256 i = 0; i < changed.length; ++i) {
            changed[i] = abi.decode(abi.encode(mandate), (Mandate));
        }
        changed[0].keyEpoch += 1;
        changed[1].tier = TIER_FAST;
        changed[2].op = OP_EXTEND;
        changed[3].decisionId = bytes32(uint256(1));
        changed[4].notBefore -= 1;
        changed[5].notAfter += 1;
        for (uint256 i = 0; i < changed.length; ++i) {
            bytes32 digest = gateway.mandateDigest(changed[i]);
            vm.expectRevert(abi.encodeWithSelector(TocsinGateway.CertificateRefused.selector, digest));
            gateway.execute(changed[i], PAUSE, HOURS_6, new bytes32[](0), certificate);
        }
        mandate.network = bytes32(uint256(1));
        vm.expectRevert(
            abi.encodeWithSelector(GatewayRegistry.WrongNetwork.selector, NETWORK, mandate.network)
        );
        gateway.execute(mandate, PAUSE, HOURS_6, new bytes32[](0), certificate);
        mandate.network = NETWORK;
        mandate.planHash = keccak256("plan 2");
        vm.expectRevert(abi.encodeWithSelector(TocsinGateway.PlanNotInForce.selector, mandate.planHash));
        gateway.execute(mandate, PAUSE, HOURS_6, new bytes32[](0), certificate);
    }

    function test_each_field_of_a_leaf_is_bound() public {
        Mandate memory mandate = _mandate(OP_PROTECT, TIER_FULL, START);
        bytes memory call_ = _signed(mandate, PAUSE, HOURS_6);
        bytes memory certificate = _certificate(gateway.mandateDigest(mandate), 3);

        _refusesLeaf(mandate, CAP, HOURS_6, certificate);
        _refusesLeaf(mandate, PAUSE, HOURS_6 + 1, certificate);
        vm.chainId(block.chainid + 1);
        _refusesLeaf(mandate, PAUSE, HOURS_6, certificate);
        vm.chainId(block.chainid - 1);
        TocsinGateway first = gateway;
        gateway = _newGateway(first.budget());
        vm.warp(START - 1);
        vm.startPrank(owner);
        gateway.registerAct(PAUSE, _pauseAct(), TIER_FAST, 72 hours);
        gateway.setPlan(PLAN, 0, 0);
        vm.stopPrank();
        vm.warp(START);
        _refusesLeaf(mandate, PAUSE, HOURS_6, certificate);
        gateway = first;
        _assertResult(_bring(call_), Result.STARTED);
    }

    function test_one_signature_serves_several_acts() public {
        Mandate memory mandate = _mandate(OP_PROTECT, TIER_FULL, START);
        (bytes32 a, bytes32 b) = (_leaf(PAUSE, HOURS_6), _leaf(CAP, 24 hours));
        mandate.actsRoot = keccak256(abi.encodePacked(hex"01", a < b ? a : b, a < b ? b : a));
        bytes memory certificate = _certificate(gateway.mandateDigest(mandate), 3);
        bytes32[] memory proof = new bytes32[](1);

        proof[0] = b;
        _assertResult(gateway.execute(mandate, PAUSE, HOURS_6, proof, certificate), Result.STARTED);
        proof[0] = a;
        _assertResult(gateway.execute(mandate, CAP, 24 hours, proof, certificate), Result.STARTED);
    }

    function test_a_mandate_whose_start_was_clipped_to_before_its_own_time_starts_nothing_again() public {
        bytes memory raised = abi.encodeCall(GatewayRegistry.setBudget, (Budget(24 hours, 21 days, 3)));
        vm.startPrank(owner);
        gateway.setBudget(Budget(30, 21 days, 3));
        gateway.schedule(raised);
        vm.stopPrank();
        vm.warp(_now() + DELAY);
        uint64 notBefore = _now() + SKEW;
        bytes memory call_ = _signed(_mandate(OP_PROTECT, TIER_FAST, notBefore), PAUSE, HOURS_6);
        _assertResult(_bring(call_), Result.STARTED);
        assertEq(_record(PAUSE).until, _now() + 30, "what the budget pays");

        vm.warp(_now() + 30);
        gateway.expire(PAUSE);
        vm.prank(owner);
        (bool isRaised,) = address(gateway).call(raised);
        assertTrue(isRaised, "the owner raises the budget");

        _bringReverts(call_, abi.encodeWithSelector(TocsinGateway.MandateDead.selector, notBefore, notBefore));
    }

    function _refusesLeaf(Mandate memory mandate, bytes32 actId, uint64 duration, bytes memory certificate)
        private
    {
        bytes32 leaf = _leaf(actId, duration);
        vm.expectRevert(
            abi.encodeWithSelector(TocsinGateway.LeafNotIncluded.selector, mandate.actsRoot, leaf)
        );
        gateway.execute(mandate, actId, duration, new bytes32[](0), certificate);
    }
}
