// SPDX-License-Identifier: Apache-2.0
pragma solidity ^0.8.30;

/// What the home on chain B tells the replica on chain A: release `amount` of the original `token`.
struct BridgeMessage {
    uint256 id;
    address token;
    uint256 amount;
    address recipient;
}

/// The leaf under which a message is proved: hashed twice, so that no inner node is one.
function hashMessage(BridgeMessage memory message) pure returns (bytes32) {
    return keccak256(bytes.concat(keccak256(abi.encode(message))));
}
