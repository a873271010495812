// SPDX-License-Identifier: Apache-2.0
pragma solidity ^0.8.30;

import {Pausable} from "@openzeppelin/contracts/utils/Pausable.sol";

/// The least that a protocol can be for a gateway: OpenZeppelin's switch, and one account that may move it.
contract BarePausable is Pausable {
    address public immutable pauser;

    error NotThePauser(address sender);

    constructor(address pauser_) {
        pauser = pauser_;
    }

    modifier onlyPauser() {
        if (msg.sender != pauser) revert NotThePauser(msg.sender);
        _;
    }

    function pause() external onlyPauser {
        _pause();
    }

    function unpause() external onlyPauser {
        _unpause();
    }
}
