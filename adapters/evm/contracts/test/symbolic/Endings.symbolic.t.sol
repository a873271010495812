// SPDX-License-Identifier: Apache-2.0
pragma solidity ^0.8.30;

import {BoundedCall} from "../../BoundedCall.sol";
import {GatewayRegistry} from "../../GatewayRegistry.sol";
import {ITocsinVerifier} from "../../ITocsinVerifier.sol";
import {TocsinGateway} from "../../TocsinGateway.sol";
import {OP_EXTEND, OP_PROTECT, Record} from "../../TocsinTypes.sol";
import {Claims, both, either} from "./Claims.sol";
import {Probe} from "./Probe.sol";

/// Endings without a mandate, and leaving: by any caller, from any state.
contract EndingProofs is Probe {
    /// INV-6, 10, 11: by anybody, at any time.
    function check_expire(Scene memory scene, address by) public {
        _set(scene);

        (bool success,) = _call(by, abi.encodeCall(TocsinGateway.expire, (ACT)));

        if (!success) return;
        Claims memory claims;
        bool isOurs = scene.state == VALUE;
        uint64 endedAt = gateway.record(ACT).endedAt;
        claims.must(either(!isOurs, both(scene.time >= scene.until, endedAt >= scene.until)));
        claims.must(either(isOurs, endedAt >= scene.time + SKEW));
        _assertEnded(claims, scene, isOurs);
    }

    /// INV-6, 10, 11, 12.
    function check_dismiss(Scene memory scene, address by) public {
        _set(scene);

        (bool success,) = _call(by, abi.encodeCall(TocsinGateway.dismiss, (ACT)));

        if (!success) return;
        Claims memory claims;
        claims.must(either(by == OWNER, by == GUARDIAN));
        claims.must(gateway.record(ACT).endedAt >= scene.time + SKEW);
        _assertEnded(claims, scene, scene.state == VALUE);
    }

    /// INV-6, 10, 11, 12: neither touches the target.
    function check_adopt_and_force(Scene memory scene, address by, bool force) public {
        _set(scene);
        bytes4 selector = force ? TocsinGateway.forceClose.selector : TocsinGateway.adopt.selector;

        (bool success,) = _call(by, abi.encodeWithSelector(selector, ACT));

        if (!success) return;
        Claims memory claims;
        claims.must(either(by == OWNER, both(by == GUARDIAN, !force)));
        claims.must(target.state() == scene.state);
        claims.must(gateway.record(ACT).endedAt >= scene.time + SKEW);
        _assertEnded(claims, scene, false);
    }

    /// INV-8: whatever became of the act, the gateway, the verifier and the plan.
    function check_undo_and_ending_are_reachable(Scene memory scene, bool expire) public {
        vm.assume(both(scene.until != 0, scene.afterOff != VALUE));
        vm.assume(either(!expire, scene.time >= scene.until));
        _set(scene);
        vm.startPrank(OWNER);
        gateway.setPlan(0, 0, 0);
        gateway.setVerifier(ITocsinVerifier(address(0)));
        vm.stopPrank();
        bytes4 selector = expire ? TocsinGateway.expire.selector : TocsinGateway.dismiss.selector;

        (bool success, bytes4 reason) =
            _call(expire ? STRANGER : GUARDIAN, abi.encodeWithSelector(selector, ACT));

        Claims memory claims;
        claims.must(either(success, reason == BoundedCall.GasTooLow.selector));
        claims.must(either(!success, both(target.state() != VALUE, gateway.record(ACT).until == 0)));
        assert(!claims.broken);
    }

    /// INV-8: also when the target answers nothing at all.
    function check_an_ending_without_the_target_is_reachable(Scene memory scene, bool adopt) public {
        vm.assume(scene.until != 0);
        _set(scene);
        vm.etch(address(target), hex"fe");
        bytes4 selector = adopt ? TocsinGateway.adopt.selector : TocsinGateway.forceClose.selector;

        (bool success,) = _call(adopt ? GUARDIAN : OWNER, abi.encodeWithSelector(selector, ACT));

        assert(success && gateway.record(ACT).until == 0);
    }

    /// INV-9: one transaction, and no mandate starts or lengthens anything afterwards.
    function check_the_owner_leaves(Scene memory scene, Brought memory brought, bool extend) public {
        vm.assume(scene.active);
        _set(scene);

        (bool success,) = _call(OWNER, abi.encodeCall(GatewayRegistry.leaveNetwork, ()));

        assert(success && gateway.actIds().length == 0 && gateway.actHash(ACT) == 0);
        assert(!_bring(extend ? OP_EXTEND : OP_PROTECT, brought));
    }

    /// INV-16: everybody else governs nothing.
    function check_strangers_govern_nothing(Scene memory scene, address by, uint8 way, bool guardian) public {
        vm.assume(both(by != OWNER, (by == GUARDIAN) == guardian));
        _set(scene);
        bytes[6] memory calls = [
            abi.encodeCall(GatewayRegistry.leaveNetwork, ()),
            abi.encodeCall(GatewayRegistry.revokeAct, (ACT)),
            abi.encodeCall(GatewayRegistry.setPlan, (PLAN, 0, 0)),
            abi.encodeCall(GatewayRegistry.setVerifier, (ITocsinVerifier(by))),
            abi.encodeCall(GatewayRegistry.setGuardian, (by)),
            abi.encodeCall(GatewayRegistry.unpauseGateway, ())
        ];
        for (uint256 i = 0; i < calls.length; ++i) {
            if (way != i) continue;
            (bool success,) = _call(by, calls[i]);
            assert(!success);
        }
    }

    function _assertEnded(Claims memory claims, Scene memory scene, bool undone) private view {
        claims.must(scene.until != 0);
        claims.must(both(target.strangeCalls() == 0, target.onCalls() == 0));
        claims.must(target.offCalls() <= 1);
        claims.must((target.offCalls() == 1) == undone);
        claims.must(either(!undone, target.state() != VALUE));
        Record memory later = gateway.record(ACT);
        claims.must(both(later.until == 0, both(later.last == 0, later.restore == 0)));
        claims.must(later.endedAt >= scene.endedAt);
        assert(!claims.broken);
    }
}
