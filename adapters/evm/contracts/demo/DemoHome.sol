// SPDX-License-Identifier: Apache-2.0
pragma solidity ^0.8.30;

import {Ownable} from "@openzeppelin/contracts/access/Ownable.sol";
import {Multicall} from "@openzeppelin/contracts/utils/Multicall.sol";
import {BridgedToken} from "./BridgedToken.sol";
import {BridgeMessage, hashMessage} from "./BridgeMessage.sol";

/// The bridge's end on chain B: burns bridged tokens and dispatches the message that releases the originals.
contract DemoHome is Ownable, Multicall {
    /// Bridged token of each original.
    mapping(address original => BridgedToken) public bridgedOf;
    /// Messages dispatched so far; the next one's id.
    uint256 public nextId;

    event TokenListed(address indexed original, address bridged);
    event Mint(address indexed token, uint256 amount, address recipient);
    /// `token` is the original on chain A, as in the replica's `Release`.
    event Burn(uint256 indexed id, address indexed token, uint256 amount);
    event Dispatch(bytes32 indexed messageHash, BridgeMessage message);

    error AlreadyListed(address original);
    error NotListed(address original);

    constructor(address owner) Ownable(owner) {}

    function list(address original, string calldata name, string calldata symbol, uint8 decimals)
        external
        onlyOwner
        returns (BridgedToken bridged)
    {
        if (address(bridgedOf[original]) != address(0)) revert AlreadyListed(original);
        bridged = new BridgedToken(name, symbol, decimals, original);
        bridgedOf[original] = bridged;
        emit TokenListed(original, address(bridged));
    }

    /// Mint what was locked on chain A; the demonstration's owner stands for the way there.
    function mint(address original, address recipient, uint256 amount) external onlyOwner {
        _bridged(original).mint(recipient, amount);
        emit Mint(original, amount, recipient);
    }

    /// Burn the caller's bridged tokens and release the originals to `recipient` on chain A.
    function send(address original, uint256 amount, address recipient)
        external
        returns (bytes32 messageHash)
    {
        _bridged(original).burn(msg.sender, amount);
        BridgeMessage memory message = BridgeMessage(nextId++, original, amount, recipient);
        messageHash = hashMessage(message);
        emit Burn(message.id, original, amount);
        emit Dispatch(messageHash, message);
    }

    function _bridged(address original) private view returns (BridgedToken bridged) {
        bridged = bridgedOf[original];
        if (address(bridged) == address(0)) revert NotListed(original);
    }
}
