// SPDX-License-Identifier: Apache-2.0
pragma solidity ^0.8.30;

import {SwitchTarget} from "../Targets.sol";

/// What an attacker wants: it can be drained while it is not paused.
contract Vault is SwitchTarget {
    bool public drained;

    function drain() external whenNotPaused {
        drained = true;
    }
}

/// A pool whose `halted` follows the switch or, naively, a balance that anybody can push within a transaction.
contract BentPool is SwitchTarget {
    uint256 public balance = 100;

    function halted() external view returns (bool) {
        return paused() || balance == 0;
    }

    /// A loan for the length of one call.
    function flash(address borrower, bytes calldata call_) external {
        balance = 0;
        (bool success,) = borrower.call(call_);
        require(success, "borrower failed");
        balance = 100;
    }
}

/// Several calls in one transaction.
contract Bundler {
    function strike(address gateway, bytes calldata call_, Vault vault) external {
        (bool success,) = gateway.call(call_);
        success;
        vault.drain();
    }
}
