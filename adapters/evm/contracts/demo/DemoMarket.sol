// SPDX-License-Identifier: Apache-2.0
pragma solidity ^0.8.30;

import {AccessControl} from "@openzeppelin/contracts/access/AccessControl.sol";
import {IERC20Metadata} from "@openzeppelin/contracts/token/ERC20/extensions/IERC20Metadata.sol";
import {SafeERC20} from "@openzeppelin/contracts/token/ERC20/utils/SafeERC20.sol";
import {IERC20} from "@openzeppelin/contracts/token/ERC20/IERC20.sol";
import {Math} from "@openzeppelin/contracts/utils/math/Math.sol";

/// A small lending market on chain B: lends one stable token against bridged ones, each position over-collateralised
/// and on its own. No interest; prices are set by the admin.
contract DemoMarket is AccessControl {
    using SafeERC20 for IERC20;

    struct Collateral {
        bool listed;
        bool enabled;
        /// Debt allowed at borrowing, and before liquidation, in 1/10,000 of the collateral's value.
        uint16 borrowBps;
        uint16 liquidationBps;
        /// Raw units in one whole token.
        uint256 unit;
        /// Raw units of the stable token for one whole collateral token.
        uint256 price;
    }

    struct Position {
        uint256 collateral;
        uint256 debt;
    }

    bytes32 public constant RISK_ADMIN_ROLE = keccak256("RISK_ADMIN_ROLE");
    /// What a liquidator gets on top, in 1/10,000.
    uint256 public constant BONUS_BPS = 500;
    uint256 private constant BPS = 10_000;

    IERC20 public immutable stable;
    mapping(address token => Collateral) public collaterals;
    mapping(address user => mapping(address token => Position)) public positions;

    event CollateralListed(address indexed token, uint16 borrowBps, uint16 liquidationBps);
    event CollateralEnabled(address indexed token, bool enabled);
    event PriceSet(address indexed token, uint256 price);
    event CollateralSupplied(address indexed user, address indexed token, uint256 amount);
    event CollateralWithdrawn(address indexed user, address indexed token, uint256 amount);
    event Borrowed(address indexed user, address indexed token, uint256 amount);
    event Repaid(address indexed user, address indexed token, uint256 amount, address payer);
    event Liquidated(address indexed user, address indexed token, uint256 repaid, uint256 seized);

    error CollateralUnknown(address token);
    error CollateralDisabled(address token);
    error CollateralTwice(address token);
    error RatiosOutOfRange(uint16 borrowBps, uint16 liquidationBps);
    error Undercollateralised(uint256 debt, uint256 limit);
    error PositionHealthy(uint256 debt, uint256 limit);
    error MoreThanOwed(uint256 amount, uint256 debt);
    error MoreThanSupplied(uint256 amount, uint256 collateral);

    modifier known(address token) {
        if (!collaterals[token].listed) revert CollateralUnknown(token);
        _;
    }

    constructor(address admin, IERC20 stable_) {
        _grantRole(DEFAULT_ADMIN_ROLE, admin);
        _grantRole(RISK_ADMIN_ROLE, admin);
        stable = stable_;
    }

    // ---- administration

    function listCollateral(address token, uint16 borrowBps, uint16 liquidationBps, uint256 price)
        external
        onlyRole(DEFAULT_ADMIN_ROLE)
    {
        if (collaterals[token].listed) revert CollateralTwice(token);
        if (borrowBps > liquidationBps || liquidationBps > 9_000) {
            revert RatiosOutOfRange(borrowBps, liquidationBps);
        }
        uint256 unit = 10 ** IERC20Metadata(token).decimals();
        collaterals[token] = Collateral(true, true, borrowBps, liquidationBps, unit, price);
        emit CollateralListed(token, borrowBps, liquidationBps);
        emit CollateralEnabled(token, true);
        emit PriceSet(token, price);
    }

    function setPrice(address token, uint256 price) external onlyRole(DEFAULT_ADMIN_ROLE) known(token) {
        collaterals[token].price = price;
        emit PriceSet(token, price);
    }

    /// Allow or stop new borrowing against a collateral; repaying, withdrawing and liquidating go on.
    function setCollateralEnabled(address token, bool enabled)
        external
        onlyRole(RISK_ADMIN_ROLE)
        known(token)
    {
        collaterals[token].enabled = enabled;
        emit CollateralEnabled(token, enabled);
    }

    // ---- users

    function supplyCollateral(address token, uint256 amount) external known(token) {
        positions[msg.sender][token].collateral += amount;
        emit CollateralSupplied(msg.sender, token, amount);
        IERC20(token).safeTransferFrom(msg.sender, address(this), amount);
    }

    function withdrawCollateral(address token, uint256 amount) external known(token) {
        Position storage position = positions[msg.sender][token];
        if (amount > position.collateral) revert MoreThanSupplied(amount, position.collateral);
        position.collateral -= amount;
        _requireCovered(position, token);
        emit CollateralWithdrawn(msg.sender, token, amount);
        IERC20(token).safeTransfer(msg.sender, amount);
    }

    function borrow(address token, uint256 amount) external known(token) {
        if (!collaterals[token].enabled) revert CollateralDisabled(token);
        Position storage position = positions[msg.sender][token];
        position.debt += amount;
        _requireCovered(position, token);
        emit Borrowed(msg.sender, token, amount);
        stable.safeTransfer(msg.sender, amount);
    }

    function repay(address user, address token, uint256 amount) external known(token) {
        _reduceDebt(positions[user][token], amount);
        emit Repaid(user, token, amount, msg.sender);
        stable.safeTransferFrom(msg.sender, address(this), amount);
    }

    /// Repay part of an unhealthy position's debt and take collateral of the same value plus the bonus.
    function liquidate(address user, address token, uint256 amount) external known(token) {
        Position storage position = positions[user][token];
        uint256 limit = _debtLimit(token, position.collateral, collaterals[token].liquidationBps);
        if (position.debt <= limit) revert PositionHealthy(position.debt, limit);
        _reduceDebt(position, amount);
        uint256 worth = Math.mulDiv(amount, BPS + BONUS_BPS, BPS);
        uint256 seized = Math.mulDiv(worth, collaterals[token].unit, collaterals[token].price);
        seized = Math.min(seized, position.collateral);
        position.collateral -= seized;
        emit Liquidated(user, token, amount, seized);
        stable.safeTransferFrom(msg.sender, address(this), amount);
        IERC20(token).safeTransfer(msg.sender, seized);
    }

    // ---- views

    function collateralEnabled(address token) external view returns (bool) {
        return collaterals[token].enabled;
    }

    /// What a user may owe in all against a collateral.
    function borrowLimit(address user, address token) external view returns (uint256) {
        return _debtLimit(token, positions[user][token].collateral, collaterals[token].borrowBps);
    }

    function _requireCovered(Position memory position, address token) private view {
        if (position.debt == 0) return;
        uint256 limit = _debtLimit(token, position.collateral, collaterals[token].borrowBps);
        if (position.debt > limit) revert Undercollateralised(position.debt, limit);
    }

    function _reduceDebt(Position storage position, uint256 amount) private {
        if (amount > position.debt) revert MoreThanOwed(amount, position.debt);
        position.debt -= amount;
    }

    function _debtLimit(address token, uint256 amount, uint256 bps) private view returns (uint256) {
        Collateral memory collateral = collaterals[token];
        return Math.mulDiv(Math.mulDiv(amount, collateral.price, collateral.unit), bps, BPS);
    }
}
