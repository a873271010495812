// SPDX-License-Identifier: Apache-2.0
pragma solidity ^0.8.30;

import {AccessControl} from "@openzeppelin/contracts/access/AccessControl.sol";
import {IERC20} from "@openzeppelin/contracts/token/ERC20/IERC20.sol";
import {SafeERC20} from "@openzeppelin/contracts/token/ERC20/utils/SafeERC20.sol";
import {Multicall} from "@openzeppelin/contracts/utils/Multicall.sol";
import {Pausable} from "@openzeppelin/contracts/utils/Pausable.sol";
import {ECDSA} from "@openzeppelin/contracts/utils/cryptography/ECDSA.sol";
import {MerkleProof} from "@openzeppelin/contracts/utils/cryptography/MerkleProof.sol";
import {MessageHashUtils} from "@openzeppelin/contracts/utils/cryptography/MessageHashUtils.sol";
import {BridgeMessage, hashMessage} from "./BridgeMessage.sol";

/// The bridge's end on chain A: releases originals for messages proved under a root that the updater signed.
///
/// It has the flaw of the Nomad bridge (August 2022), on purpose. Deployed with a zero committed root, it confirms the
/// zero root; a message that nobody proved has the zero root in `messages`; so every invented message is processed.
contract DemoReplica is AccessControl, Multicall, Pausable {
    using SafeERC20 for IERC20;

    bytes32 public constant PAUSER_ROLE = keccak256("PAUSER_ROLE");
    /// Stands in `messages` for a message that was processed.
    bytes32 public constant PROCESSED = bytes32(uint256(2));

    address public immutable updater;
    /// Time from which a root is acceptable; zero means never.
    mapping(bytes32 root => uint256 time) public confirmAt;
    /// Root under which a message was proved.
    mapping(bytes32 messageHash => bytes32 root) public messages;

    event Update(bytes32 indexed root);
    event Release(uint256 indexed id, address indexed token, uint256 amount, address recipient);

    error NotByUpdater(address signer);
    error NotProved(bytes32 messageHash, bytes32 root);
    error NotAcceptable(bytes32 messageHash, bytes32 root);

    constructor(address admin, address updater_, bytes32 committedRoot) {
        _grantRole(DEFAULT_ADMIN_ROLE, admin);
        _grantRole(PAUSER_ROLE, admin);
        updater = updater_;
        confirmAt[committedRoot] = 1;
    }

    /// Confirm a root of dispatched messages that the updater signed (EIP-191, over this replica and the root).
    function update(bytes32 root, bytes calldata signature) external {
        bytes32 digest = MessageHashUtils.toEthSignedMessageHash(keccak256(abi.encode(address(this), root)));
        address signer = ECDSA.recoverCalldata(digest, signature);
        if (signer != updater) revert NotByUpdater(signer);
        confirmAt[root] = block.timestamp;
        emit Update(root);
    }

    /// Prove a message under an acceptable root: siblings leaf side first, each pair hashed in ascending order.
    function prove(BridgeMessage calldata message, bytes32[] calldata proof) public {
        bytes32 messageHash = hashMessage(message);
        bytes32 root = MerkleProof.processProofCalldata(proof, messageHash);
        if (!acceptableRoot(root) || messages[messageHash] == PROCESSED) revert NotProved(messageHash, root);
        messages[messageHash] = root;
    }

    /// Release what a message says, once.
    function process(BridgeMessage calldata message) public whenNotPaused {
        bytes32 messageHash = hashMessage(message);
        bytes32 root = messages[messageHash];
        if (!acceptableRoot(root)) revert NotAcceptable(messageHash, root);
        messages[messageHash] = PROCESSED;
        emit Release(message.id, message.token, message.amount, message.recipient);
        IERC20(message.token).safeTransfer(message.recipient, message.amount);
    }

    function proveAndProcess(BridgeMessage calldata message, bytes32[] calldata proof) external {
        prove(message, proof);
        process(message);
    }

    function acceptableRoot(bytes32 root) public view returns (bool) {
        if (root == PROCESSED) return false;
        uint256 time = confirmAt[root];
        return time != 0 && block.timestamp >= time;
    }

    function pause() external onlyRole(PAUSER_ROLE) {
        _pause();
    }

    function unpause() external onlyRole(PAUSER_ROLE) {
        _unpause();
    }
}
