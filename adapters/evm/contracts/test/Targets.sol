// SPDX-License-Identifier: Apache-2.0
pragma solidity ^0.8.30;

import {AccessManaged} from "@openzeppelin/contracts/access/manager/AccessManaged.sol";
import {Pausable} from "@openzeppelin/contracts/utils/Pausable.sol";

/// A plain switch with two people who may use it: the gateway and the protocol's own guardian.
contract SwitchTarget is Pausable {
    mapping(address who => bool) public pausers;

    function allow(address who) external {
        pausers[who] = true;
    }

    function pause() external {
        require(pausers[msg.sender], "not a pauser");
        _pause();
    }

    function unpause() external {
        require(pausers[msg.sender], "not a pauser");
        _unpause();
    }
}

/// A number that may be lowered and restored.
contract CapTarget {
    uint256 public cap = 100;
    bool public broken;

    function setCap(uint256 cap_) external {
        require(!broken, "broken");
        cap = cap_;
    }

    function breakDown(bool broken_) external {
        broken = broken_;
    }

    /// An answer of several words; the cap is the second one.
    function config() external view returns (uint256, uint256, uint256) {
        return (7, cap, 9);
    }
}

/// A contract whose methods are closed through an AccessManager.
contract ManagedTarget is AccessManaged {
    uint256 public moved;

    constructor(address manager) AccessManaged(manager) {}

    function move() external restricted {
        ++moved;
    }
}

/// Targets that do not do what they say.
contract RogueTarget {
    uint256 public state;
    uint256 public mode;
    address public gateway;
    bytes public entry;

    uint256 public constant REVERTS = 1;
    uint256 public constant IGNORES = 2;
    uint256 public constant REENTERS = 3;
    uint256 public constant RETURNS_BOMB = 4;
    uint256 public constant BURNS_GAS = 5;
    uint256 public constant REVERTS_BOMB = 6;
    /// What the gateway answered when it was entered again.
    bytes public answer;
    bool public entered;

    function set(uint256 mode_, uint256 state_) external {
        (mode, state) = (mode_, state_);
    }

    function arm(address gateway_, bytes calldata entry_) external {
        (gateway, entry) = (gateway_, entry_);
    }

    function on() external {
        _act(1);
    }

    function off() external {
        _act(0);
    }

    function _act(uint256 value) private {
        if (mode == REVERTS) revert("no");
        if (mode == IGNORES) return;
        if (mode == REENTERS) (entered, answer) = gateway.call(entry);
        if (mode == BURNS_GAS) while (gasleft() > 3_000) {}
        state = value;
        if (mode == RETURNS_BOMB) {
            assembly {
                return(0, 100000)
            }
        }
        if (mode == REVERTS_BOMB) {
            assembly {
                revert(0, 100000)
            }
        }
    }
}

/// Swallows a failed inner call: with too little gas it would report success without an effect.
contract SwallowingTarget {
    uint256 public state;
    uint256[50] private _filler;

    function on() external {
        try this.heavy() {} catch {}
    }

    function off() external {
        state = 0;
    }

    function heavy() external {
        for (uint256 i = 0; i < 20; ++i) {
            _filler[i] = block.timestamp;
        }
        state = 1;
    }
}
