// SPDX-License-Identifier: Apache-2.0
pragma solidity ^0.8.30;

import {TocsinGateway} from "../TocsinGateway.sol";
import {Mandate, OP_EXTEND, OP_PROTECT, OP_RELEASE, Result, TIER_FAST, TIER_FULL} from "../TocsinTypes.sol";
import {Fixture} from "./Fixture.sol";

/// What each operation costs as a transaction: everything cold, base fee of a transaction and calldata included. The
/// figures stand in `snapshots/Gas.json`; a run that measures others fails.
contract GasTest is Fixture {
    uint256 private constant GOAL = 110_000;
    uint256 private constant GROUP_GOAL = 12_000;
    uint256 private constant GROUP_CALL_GOAL = 36_000;
    uint256 private constant BASE = 21_000;
    uint256 private constant COLD_ACCOUNT = 2_600;
    uint256 private constant WARM = 100;
    uint256 private constant COLD_SLOT = 2_100;
    uint256 private constant CHANGED_SLOT = 2_900;

    /// forge-config: default.isolate = true
    function test_gas_of_the_first_protect_by_two_attesters_and_its_parts() public {
        (uint256 checks, uint256 target) = (_gasOfVerify(), _gasOfTarget());
        bytes memory call_ = _protectCall(TIER_FAST, PAUSE, HOURS_6);
        vm.record();

        _assertResult(_bring(call_), Result.STARTED);

        uint256 total = _note("protect: first of the act, fast, t = 2");
        assertLe(total, GOAL);
        uint256 storage_ = _gasOfStorage();
        uint256 known = BASE + _gasOfCalldata(call_);
        emit log_named_uint("transaction", BASE);
        emit log_named_uint("calldata", known - BASE);
        emit log_named_uint("signatures: verifier and two of four attesters", checks);
        emit log_named_uint("target: pause() by role, state before and after", target);
        emit log_named_uint("gateway's storage: act, record, standing, plan, budget, windows", storage_);
        emit log_named_uint(
            "event, the act's code, hashing, rules", total - known - checks - target - storage_
        );
    }

    /// Whatever the size of the committee: no number of signers enters.
    /// forge-config: default.isolate = true
    function test_gas_of_one_signature_by_a_group() public {
        bytes32 digest = keccak256("digest");
        bytes memory certificate = _signByGroup(FAST_SECRET, digest);
        bytes memory call_ = abi.encodeCall(verifier.verify, (digest, TIER_FAST, EPOCH, certificate));
        (, bytes memory answer) = address(verifier).call(call_);
        assertTrue(abi.decode(answer, (bool)));
        assertLe(_note("verify alone, by a group"), GROUP_CALL_GOAL);
        assertLe(_executed(call_), GROUP_GOAL);

        Mandate memory mandate = _mandate(OP_PROTECT, TIER_FAST, _now());
        mandate.actsRoot = _leaf(PAUSE, HOURS_6);
        certificate = _signByGroup(FAST_SECRET, gateway.mandateDigest(mandate));
        _assertResult(
            _bring(
                abi.encodeCall(
                    TocsinGateway.execute, (mandate, PAUSE, HOURS_6, new bytes32[](0), certificate)
                )
            ),
            Result.STARTED
        );
        assertLe(_note("protect: first of the act, fast, by a group"), GOAL);
    }

    /// forge-config: default.isolate = true
    function test_gas_of_a_later_protect_by_two_attesters() public {
        _protectFast();
        vm.warp(_now() + HOURS_6);
        gateway.expire(PAUSE);
        vm.warp(_now() + 1 hours);
        bytes memory call_ = _protectCall(TIER_FAST, PAUSE, HOURS_6);

        _assertResult(_bring(call_), Result.STARTED);

        assertLe(_note("protect: later, fast, t = 2"), GOAL);
    }

    /// forge-config: default.isolate = true
    function test_gas_of_what_follows_a_protect() public {
        bytes memory call_ = _protectCall(TIER_FAST, PAUSE, HOURS_6);
        _bring(call_);
        _assertResult(_bring(call_), Result.NOOP);
        _note("protect again: nothing to do, fast, t = 2");

        vm.warp(START + 4 hours);
        _assertResult(_execute(OP_EXTEND, TIER_FULL, _now(), PAUSE, 24 hours), Result.EXTENDED);
        _note("extend, full, t = 3");

        vm.warp(START + 5 hours);
        _assertResult(_execute(OP_RELEASE, TIER_FULL, _now(), PAUSE, 0), Result.ENDED);
        _note("release, full, t = 3");

        vm.warp(START + 6 hours);
        _protectFast();
        vm.warp(START + 12 hours);
        gateway.expire(PAUSE);
        _note("expire");

        vm.warp(START + 13 hours);
        _protectFast();
        vm.prank(guardian);
        gateway.dismiss(PAUSE);
        _note("dismiss");
    }

    /// forge-config: default.isolate = true
    function test_gas_of_a_cap_and_its_restore() public {
        _assertResult(_bring(_protectCall(TIER_FULL, CAP, 24 hours)), Result.STARTED);
        _note("protect: a cap that is restored, full, t = 3");

        vm.warp(START + 24 hours);
        gateway.expire(CAP);
        _note("expire: a cap that is restored");
    }

    /// forge-config: default.isolate = true
    function test_gas_of_an_anchor() public {
        gateway.anchorLog(keccak256("incident"), sha256("origin"), 4_482, keccak256("root"));
        _note("anchorLog");
    }

    function test_the_gateway_fits_into_a_contract_with_room_to_spare() public view {
        assertLt(address(gateway).code.length, 24_576 - 1_500);
    }

    // ---- helpers

    function _protectCall(uint8 tier, bytes32 actId, uint64 duration) private view returns (bytes memory) {
        return _signed(_mandate(OP_PROTECT, tier, _now()), actId, duration);
    }

    /// The last call's gas, noted under a name.
    function _note(string memory name) private returns (uint256 used) {
        used = vm.snapshotGasLastCall("Gas", name);
        emit log_named_uint(name, used);
    }

    function _gasOfCalldata(bytes memory call_) private pure returns (uint256 gas_) {
        for (uint256 i = 0; i < call_.length; ++i) {
            gas_ += call_[i] == 0 ? 4 : 16;
        }
    }

    /// What a transaction's execution cost beside base fee and calldata.
    function _executed(bytes memory call_) private view returns (uint256) {
        return vm.lastCallGas().gasTotalUsed - BASE - _gasOfCalldata(call_);
    }

    function _gasOfVerify() private returns (uint256) {
        bytes32 digest = keccak256("digest");
        bytes memory certificate = _certificate(digest, 2);
        bytes memory call_ = abi.encodeCall(verifier.verify, (digest, TIER_FAST, EPOCH, certificate));
        (bool success,) = address(verifier).call(call_);
        assertTrue(success);
        return _executed(call_) + COLD_ACCOUNT;
    }

    /// As the gateway pays for it: the account is cold once; of the three calls the first finds the flag's slot cold.
    function _gasOfTarget() private returns (uint256 gas_) {
        uint256 start = vm.snapshotState();
        (bytes memory read, bytes memory pause) =
            (abi.encodeCall(switcher.paused, ()), abi.encodeCall(switcher.pause, ()));
        for (uint256 i = 0; i < 2; ++i) {
            (bool answered,) = address(switcher).call(read);
            assertTrue(answered);
            gas_ += _executed(read);
        }
        vm.prank(guardian);
        (bool success,) = address(switcher).call(pause);
        assertTrue(success);
        gas_ += _executed(pause) + COLD_ACCOUNT + 2 * WARM - 2 * (COLD_SLOT - WARM);
        vm.revertToState(start);
    }

    /// Cold reads of distinct slots of the gateway, and one change of each that was written.
    function _gasOfStorage() private returns (uint256) {
        (bytes32[] memory reads, bytes32[] memory writes) = vm.accesses(address(gateway));
        return _distinct(reads) * COLD_SLOT + _distinct(writes) * CHANGED_SLOT;
    }

    function _distinct(bytes32[] memory slots) private pure returns (uint256 count) {
        for (uint256 i = 0; i < slots.length; ++i) {
            bool seen = false;
            for (uint256 j = 0; j < i && !seen; ++j) {
                seen = slots[j] == slots[i];
            }
            if (!seen) ++count;
        }
    }
}
