// SPDX-License-Identifier: Apache-2.0
pragma solidity ^0.8.30;

/// Emits, answers and fails in every way that the reading path must tell apart.
contract Probe {
    event Release(uint256 indexed id, address indexed token, uint256 amount, string memo);
    event Moved(int64 delta, bool up, bytes payload);

    uint256 public cap = 7;
    bool public paused;
    int64 public drift = -5;

    function release(uint256 id, address token, uint256 amount, string calldata memo) external {
        emit Release(id, token, amount, memo);
    }

    function releaseRaw(uint256 id, address token, bytes calldata data) external {
        bytes32 topic = keccak256("Release(uint256,address,uint256,string)");
        bytes memory content = data;
        assembly {
            log3(add(content, 32), mload(content), topic, id, token)
        }
    }

    function move(int64 delta, bool up, bytes calldata payload) external {
        emit Moved(delta, up, payload);
    }

    function setCap(uint256 value) external {
        cap = value;
    }

    function pair(uint256 seed) external pure returns (uint256, bool) {
        return (seed + 1, true);
    }

    function wild() external pure returns (uint256) {
        assembly {
            mstore(0, 5)
            return(0, 32)
        }
    }

    function reverting() external pure returns (uint256) {
        revert("no");
    }

    function halting() external pure returns (uint256) {
        assembly {
            invalid()
        }
    }

    function short() external pure returns (uint256) {
        assembly {
            return(0, 31)
        }
    }

    function nothing() external pure {}

    function endless() external pure returns (uint256 sum) {
        while (true) sum++;
    }
}
