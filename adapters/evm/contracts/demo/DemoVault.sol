// SPDX-License-Identifier: Apache-2.0
pragma solidity ^0.8.30;

import {AccessControl} from "@openzeppelin/contracts/access/AccessControl.sol";
import {SafeERC20} from "@openzeppelin/contracts/token/ERC20/utils/SafeERC20.sol";
import {IERC20} from "@openzeppelin/contracts/token/ERC20/IERC20.sol";
import {Brake} from "../Brake.sol";

/// A vault of one token to practise on: people deposit and withdraw, a brake can slow or stop what leaves.
///
/// It has a flaw, on purpose: `exit` pays a leaver all that he has and forgets to write it down, so whoever calls it again is
/// paid again, out of what others have deposited.
contract DemoVault is AccessControl, Brake {
    using SafeERC20 for IERC20;

    bytes32 public constant PAUSER_ROLE = keccak256("PAUSER_ROLE");

    IERC20 public immutable asset;
    mapping(address account => uint256) public balances;

    event Deposited(address indexed account, uint256 amount);
    event Withdrawn(address indexed account, uint256 amount);

    error MoreThanDeposited(uint256 amount, uint256 balance);

    /// An hour fills the bucket, a pause ends after five days; `limit` is `NO_LIMIT` for none.
    constructor(address admin, IERC20 asset_, uint256 limit) Brake(1 hours, 5 days) {
        _grantRole(DEFAULT_ADMIN_ROLE, admin);
        _grantRole(PAUSER_ROLE, admin);
        asset = asset_;
        _startBrake(limit);
    }

    function deposit(uint256 amount) external whenNotPaused {
        balances[msg.sender] += amount;
        emit Deposited(msg.sender, amount);
        asset.safeTransferFrom(msg.sender, address(this), amount);
    }

    function withdraw(uint256 amount) external {
        uint256 balance = balances[msg.sender];
        if (amount > balance) revert MoreThanDeposited(amount, balance);
        balances[msg.sender] = balance - amount;
        _pay(amount);
    }

    /// Leave with everything. The flaw: the balance stays.
    function exit() external {
        _pay(balances[msg.sender]);
    }

    function _pay(uint256 amount) private {
        _spend(amount);
        emit Withdrawn(msg.sender, amount);
        asset.safeTransfer(msg.sender, amount);
    }

    function _checkBrakeHolder() internal view override {
        _checkRole(PAUSER_ROLE);
    }
}
