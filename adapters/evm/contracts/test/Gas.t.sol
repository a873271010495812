// SPDX-License-Identifier: Apache-2.0
pragma solidity ^0.8.30;

import {OP_PROTECT, Result, TIER_FAST} from "../TocsinTypes.sol";
import {Fixture} from "./Fixture.sol";

/// What a protect costs as a transaction: everything cold, base fee of a transaction and calldata included.
contract GasTest is Fixture {
    /// forge-config: default.isolate = true
    function test_gas_of_the_first_protect_by_two_attesters() public {
        bytes memory call_ = _signed(_mandate(OP_PROTECT, TIER_FAST, _now()), PAUSE, HOURS_6);

        _assertResult(_bring(call_), Result.STARTED);

        uint256 used = vm.lastCallGas().gasTotalUsed;
        emit log_named_uint("first protect, t = 2", used);
        assertLt(used, 175_000);
    }

    /// forge-config: default.isolate = true
    function test_gas_of_a_later_protect_by_two_attesters() public {
        _protectFast();
        vm.warp(_now() + HOURS_6);
        gateway.expire(PAUSE);
        vm.warp(_now() + 1 hours);
        bytes memory call_ = _signed(_mandate(OP_PROTECT, TIER_FAST, _now()), PAUSE, HOURS_6);

        _assertResult(_bring(call_), Result.STARTED);

        uint256 used = vm.lastCallGas().gasTotalUsed;
        emit log_named_uint("later protect, t = 2", used);
        assertLt(used, 140_000);
    }
}
