// SPDX-License-Identifier: Apache-2.0
pragma solidity ^0.8.30;

import {Act, COMPARE_AT_MOST, Result} from "../../TocsinTypes.sol";
import {TocsinGateway} from "../../TocsinGateway.sol";
import {RealFixture} from "./RealFixture.sol";

interface IUnitroller {
    function _setPendingImplementation(address implementation) external returns (uint256);
}

interface IComptroller {
    function _become(address unitroller) external;
    function _setAccessControl(address list) external returns (uint256);
    function _setComptrollerLens(address lens) external returns (uint256);
    function _setCloseFactor(uint256 factor) external returns (uint256);
    function _setPriceOracle(address oracle) external returns (uint256);
    function _supportMarket(address market) external returns (uint256);
    function _setCollateralFactor(address market, uint256 factor) external returns (uint256);
    function _setActionsPaused(address[] calldata markets, uint8[] calldata actions, bool paused) external;
    function markets(address market) external view returns (bool listed, uint256 factor, bool isVenus);
    function actionPaused(address market, uint8 action) external view returns (bool);
    function borrowAllowed(address market, address borrower, uint256 amount) external returns (uint256);
    function liquidateBorrowAllowed(
        address borrowed,
        address collateral,
        address liquidator,
        address borrower,
        uint256 amount
    ) external returns (uint256);
}

/// Who may call what of the comptroller.
contract Permissions {
    mapping(address who => bool) private _allowed;

    function allow(address who, bool allowed) external {
        _allowed[who] = allowed;
    }

    function isAllowedToCall(address who, string calldata) external view returns (bool) {
        return _allowed[who];
    }
}

/// A price oracle that can fail: it answers zero then, as Compound's does.
contract FailingOracle {
    uint256 private _price = 1e18;

    function put(uint256 price) external {
        _price = price;
    }

    function getUnderlyingPrice(address) external view returns (uint256) {
        return _price;
    }

    function isPriceOracle() external pure returns (bool) {
        return true;
    }
}

/// Everybody owes a little more than his collateral is worth.
contract ShortLens {
    function getHypotheticalAccountLiquidity(address, address, address, uint256, uint256)
        external
        pure
        returns (uint256, uint256, uint256)
    {
        return (0, 0, 1);
    }
}

/// As much of a market as the comptroller asks for.
contract BareMarket {
    function borrowBalanceStored(address) external pure returns (uint256) {
        return 100;
    }

    function isVToken() external pure returns (bool) {
        return true;
    }
}

/// Compound v2's comptroller in the form that Venus runs: setters that answer an error code and do not revert.
///
/// forge-config: default.isolate = true
contract CompoundTest is RealFixture {
    uint256 private constant FACTOR = 0.75e18;
    uint256 private constant PRICE_ERROR = 13;
    uint8 private constant BORROW = 2;
    uint8 private constant LIQUIDATE = 5;

    IComptroller private comptroller;
    Permissions private access;
    FailingOracle private oracle;
    address private market;

    function setUp() public override {
        super.setUp();
        comptroller = IComptroller(_deployForeign("Unitroller", ""));
        address implementation = _deployForeign("Comptroller", "");
        IUnitroller(address(comptroller))._setPendingImplementation(implementation);
        IComptroller(implementation)._become(address(comptroller));
        (access, oracle, market) = (new Permissions(), new FailingOracle(), address(new BareMarket()));
        comptroller._setAccessControl(address(access));
        comptroller._setPriceOracle(address(oracle));
        access.allow(address(this), true);
        access.allow(address(gateway), true);
        comptroller._supportMarket(market);
        comptroller._setCollateralFactor(market, FACTOR);
    }

    function test_a_collateral_factor_is_taken_to_zero_and_restored() public {
        _registerAndSeal(_noCollateral());

        _start("Compound v2 (Venus) _setCollateralFactor", ACT);

        assertEq(_factor(), 0);
        _runOut("Compound v2 (Venus) _setCollateralFactor", ACT);
        assertEq(_factor(), FACTOR);
    }

    /// The incident took the oracle too: the undo is answered with a code, and only the state tells.
    function test_an_undo_refused_by_an_error_code_stays_open_until_the_oracle_is_back() public {
        _registerAndSeal(_noCollateral());
        _protect(ACT);
        oracle.put(0);
        assertEq(comptroller._setCollateralFactor(market, FACTOR), PRICE_ERROR);
        vm.warp(_record(ACT).until);
        vm.expectRevert(abi.encodeWithSelector(TocsinGateway.UndoWithoutEffect.selector, 0));
        gateway.expire(ACT);
        assertGt(_record(ACT).until, 0);

        oracle.put(1e18);

        _runOut(ACT);
        assertEq(_factor(), FACTOR);
    }

    /// A factor above the limit is a code too: an act registered with a wrong value never passes for done.
    function test_an_act_refused_by_an_error_code_records_nothing() public {
        Act memory act = _noCollateral();
        act.call = abi.encodeCall(IComptroller._setCollateralFactor, (market, 0.95e18));
        (act.value, act.compare) = (0.95e18, 2);
        _registerAndSeal(act);

        _protectReverts(ACT, _stateNotReached(0.95e18, FACTOR));
    }

    function test_without_the_permission_the_act_fails_by_name() public {
        access.allow(address(gateway), false);
        _registerAndSeal(_noCollateral());

        _protectReverts(ACT, _callFailed(address(comptroller)));
    }

    function test_one_action_of_one_market_is_paused_and_unpaused() public {
        _registerAndSeal(
            _act(
                address(comptroller),
                _pausing(BORROW, true),
                _pausing(BORROW, false),
                abi.encodeCall(IComptroller.actionPaused, (market, BORROW)),
                100_000
            )
        );

        _start("Compound v2 (Venus) _setActionsPaused", ACT);

        vm.expectRevert("action is paused");
        comptroller.borrowAllowed(market, stranger, 1);
        _runOut("Compound v2 (Venus) _setActionsPaused", ACT);
        vm.expectRevert("sender must be vToken");
        comptroller.borrowAllowed(market, stranger, 1);
    }

    function test_liquidations_of_one_market_are_halted_and_go_on() public {
        comptroller._setComptrollerLens(address(new ShortLens()));
        comptroller._setCloseFactor(0.5e18);
        assertEq(comptroller.liquidateBorrowAllowed(market, market, stranger, guardian, 50), 0);
        _registerAndSeal(
            _act(
                address(comptroller),
                _pausing(LIQUIDATE, true),
                _pausing(LIQUIDATE, false),
                abi.encodeCall(IComptroller.actionPaused, (market, LIQUIDATE)),
                100_000
            )
        );

        _start("Compound v2 (Venus) _setActionsPaused, liquidations", ACT);

        vm.expectRevert("action is paused");
        comptroller.liquidateBorrowAllowed(market, market, stranger, guardian, 1);
        _runOut("Compound v2 (Venus) _setActionsPaused, liquidations", ACT);
        assertEq(comptroller.liquidateBorrowAllowed(market, market, stranger, guardian, 50), 0);
    }

    /// More margin: the factor is lowered, not taken away; one that is lower already passes for protected.
    function test_a_collateral_factor_is_lowered_and_restored() public {
        Act memory act = _noCollateral();
        act.call = abi.encodeCall(IComptroller._setCollateralFactor, (market, 0.5e18));
        act.value = 0.5e18;
        _registerAndSeal(act);
        _assertResult(_protect(ACT), Result.STARTED);
        assertEq(_factor(), 0.5e18);
        _runOut(ACT);
        assertEq(_factor(), FACTOR);
        comptroller._setCollateralFactor(market, 0.4e18);
        vm.warp(_now() + 1 hours);

        _assertResult(_protect(ACT), Result.NOOP);
    }

    function _noCollateral() private view returns (Act memory act) {
        bytes memory call_ = abi.encodeCall(IComptroller._setCollateralFactor, (market, 0));
        act =
            _act(address(comptroller), call_, call_, abi.encodeCall(IComptroller.markets, (market)), 100_000);
        (act.stateWord, act.value, act.compare) = (1, 0, COMPARE_AT_MOST);
        (act.undo, act.restoreAt) = (2, 36);
    }

    function _pausing(uint8 action, bool paused) private view returns (bytes memory) {
        address[] memory markets = new address[](1);
        uint8[] memory actions = new uint8[](1);
        (markets[0], actions[0]) = (market, action);
        return abi.encodeCall(IComptroller._setActionsPaused, (markets, actions, paused));
    }

    function _factor() private view returns (uint256 factor) {
        (, factor,) = comptroller.markets(market);
    }
}
