// SPDX-License-Identifier: Apache-2.0
pragma solidity ^0.8.30;

import {Act, COMPARE_AT_LEAST, COMPARE_AT_MOST, Result} from "../../TocsinTypes.sol";
import {
    AaveMarket,
    FixedPrice,
    IAddressesProvider,
    IConfigurator,
    IDataProvider,
    IPriceOracle
} from "./AaveMarket.sol";

interface ISentinel {
    function setGracePeriod(uint256 period) external;
    function getGracePeriod() external view returns (uint256);
}

/// A sequencer that has been up for a while, as Chainlink's uptime feed says it.
contract SequencerUp {
    function latestRoundData() external pure returns (uint80, int256, uint256, uint256, uint80) {
        return (1, 0, 0, 0, 1);
    }
}

/// Aave v3.0: the acts that touch margins, prices and liquidations, with a borrower near the edge.
///
/// forge-config: default.isolate = true
contract AaveVerbsTest is AaveMarket {
    bytes private constant COLLATERAL_TOO_SMALL = "36";
    bytes private constant SENTINEL_FORBIDS = "59";
    bytes private constant HEALTHY = "45";
    uint256 private constant TIGHT_LTV = 50_00;
    uint256 private constant USUAL_GRACE = 1 hours;
    /// No clock gets that far.
    uint256 private constant ENDLESS_GRACE = 1 << 40;
    /// Debt 80,000 against 50 ether that count for 85 %: health factors of 0.98 and 0.9.
    int256 private constant SLIGHTLY_UNDER = 1_845e8;
    int256 private constant DEEP_UNDER = 1_694e8;

    ISentinel private sentinel;

    function setUp() public override {
        super.setUp();
        sentinel = ISentinel(
            _deployForeign("PriceOracleSentinel", abi.encode(_provider, new SequencerUp(), USUAL_GRACE))
        );
        IAddressesProvider(_provider).setPriceOracleSentinel(address(sentinel));
        _fund(stranger, dollar, 100_000e18);
    }

    // ---- margin

    function test_more_margin_for_new_loans_leaves_old_ones_alone_and_the_usual_one_comes_back() public {
        acl.addRiskAdmin(address(gateway));
        _registerAndSeal(_margin());
        _borrow(bob, dollar, 60_000e18);

        _start("Aave configureReserveAsCollateral, lower LTV", ACT);

        vm.expectRevert(COLLATERAL_TOO_SMALL);
        _borrow(bob, dollar, 1e18);
        vm.expectRevert(HEALTHY);
        _liquidate();
        _repay(bob, dollar, 20_000e18);
        _borrow(bob, dollar, 5_000e18);
        _runOut("Aave configureReserveAsCollateral, lower LTV", ACT);
        _borrow(bob, dollar, 30_000e18);
    }

    function test_a_margin_that_is_stricter_already_is_left_alone() public {
        acl.addRiskAdmin(address(gateway));
        _registerAndSeal(_margin());
        configurator.configureReserveAsCollateral(address(ether_), 30_00, THRESHOLD, BONUS);

        _assertResult(_protect(ACT), Result.NOOP);
    }

    // ---- disconnect-oracle

    function test_a_price_source_is_taken_away_and_put_back_and_debts_can_be_paid_meanwhile() public {
        acl.addAssetListingAdmin(address(gateway));
        _registerAndSeal(_sourceOf(address(0)));
        _borrow(bob, dollar, 1_000e18);
        address usual = oracle.getSourceOfAsset(address(ether_));

        _start("Aave setAssetSources, none", ACT);

        vm.expectRevert();
        _borrow(bob, dollar, 1e18);
        vm.expectRevert();
        _liquidate();
        _repay(bob, dollar, 500e18);
        _supply(bob, ether_, 1e18);
        _runOut("Aave setAssetSources, none", ACT);
        assertEq(oracle.getSourceOfAsset(address(ether_)), usual);
        _borrow(bob, dollar, 1e18);
    }

    function test_a_price_comes_from_the_second_source_while_the_first_is_not_trusted() public {
        acl.addAssetListingAdmin(address(gateway));
        _registerAndSeal(_sourceOf(address(new FixedPrice(1_900e8))));

        _assertResult(_protect(ACT), Result.STARTED);

        assertEq(oracle.getAssetPrice(address(ether_)), 1_900e8);
        _borrow(bob, dollar, 1e18);
        _runOut(ACT);
        assertEq(oracle.getAssetPrice(address(ether_)), 2_000e8);
    }

    function test_a_source_that_governance_sets_meanwhile_is_governance_s() public {
        acl.addAssetListingAdmin(address(gateway));
        _registerAndSeal(_sourceOf(address(0)));
        _protect(ACT);
        _setPrice(ether_, 1_700e8);

        _assertResult(gateway.expire(ACT), Result.CLOSED);

        assertEq(oracle.getAssetPrice(address(ether_)), 1_700e8);
    }

    // ---- halt-liquidations

    function test_liquidations_are_halted_by_the_grace_period_and_go_on_afterwards() public {
        acl.addRiskAdmin(address(gateway));
        _registerAndSeal(_grace());
        _borrow(bob, dollar, 80_000e18);
        _setPrice(ether_, SLIGHTLY_UNDER);

        _start("Aave sentinel setGracePeriod", ACT);

        vm.expectRevert(SENTINEL_FORBIDS);
        _liquidate();
        vm.expectRevert(SENTINEL_FORBIDS);
        _borrow(alice, dollar, 1e18);
        _repay(bob, dollar, 1e18);
        _runOut("Aave sentinel setGracePeriod", ACT);
        assertEq(sentinel.getGracePeriod(), USUAL_GRACE);
        _liquidate();
    }

    /// The sentinel protects the borderline alone: below a health factor of 0.95 everybody may liquidate as before.
    function test_a_deep_position_is_liquidated_all_the_same() public {
        acl.addRiskAdmin(address(gateway));
        _registerAndSeal(_grace());
        _borrow(bob, dollar, 80_000e18);
        _protect(ACT);

        _setPrice(ether_, DEEP_UNDER);

        _liquidate();
    }

    // ---- acts

    function _liquidate() private {
        vm.prank(stranger);
        pool.liquidationCall(address(ether_), address(dollar), bob, 1_000e18, false);
    }

    function _margin() private view returns (Act memory act) {
        bytes memory call_ = abi.encodeCall(
            IConfigurator.configureReserveAsCollateral, (address(ether_), TIGHT_LTV, THRESHOLD, BONUS)
        );
        act = _act(
            address(configurator),
            call_,
            call_,
            abi.encodeCall(IDataProvider.getReserveConfigurationData, (address(ether_))),
            150_000
        );
        (act.stateTarget, act.stateWord, act.value, act.compare) =
        (address(data), 1, TIGHT_LTV, COMPARE_AT_MOST);
        (act.undo, act.restoreAt) = (2, 36);
    }

    /// The old source goes where the second list has its one element.
    function _sourceOf(address source) private view returns (Act memory act) {
        (address[] memory assets, address[] memory sources) = _source(address(ether_), source);
        bytes memory call_ = abi.encodeCall(IPriceOracle.setAssetSources, (assets, sources));
        act = _act(
            address(oracle),
            call_,
            call_,
            abi.encodeCall(IPriceOracle.getSourceOfAsset, (address(ether_))),
            100_000
        );
        (act.value, act.undo, act.restoreAt) = (uint160(source), 2, 164);
    }

    function _grace() private view returns (Act memory act) {
        act = _act(
            address(sentinel),
            abi.encodeCall(ISentinel.setGracePeriod, (ENDLESS_GRACE)),
            abi.encodeCall(ISentinel.setGracePeriod, (0)),
            abi.encodeCall(ISentinel.getGracePeriod, ()),
            100_000
        );
        (act.value, act.compare, act.undo, act.restoreAt) = (ENDLESS_GRACE, COMPARE_AT_LEAST, 2, 4);
    }
}
