// SPDX-License-Identifier: Apache-2.0
pragma solidity ^0.8.30;

import {ERC20} from "@openzeppelin/contracts/token/ERC20/ERC20.sol";

/// What stands on chain B for a token of chain A; only its bridge mints and burns.
contract BridgedToken is ERC20 {
    /// The token on chain A.
    address public immutable original;
    address public immutable bridge;
    uint8 private immutable _decimals;

    error NotBridge(address caller);

    modifier onlyBridge() {
        if (msg.sender != bridge) revert NotBridge(msg.sender);
        _;
    }

    constructor(string memory name, string memory symbol, uint8 decimals_, address original_)
        ERC20(name, symbol)
    {
        bridge = msg.sender;
        original = original_;
        _decimals = decimals_;
    }

    function decimals() public view override returns (uint8) {
        return _decimals;
    }

    function mint(address to, uint256 amount) external onlyBridge {
        _mint(to, amount);
    }

    function burn(address from, uint256 amount) external onlyBridge {
        _burn(from, amount);
    }
}
