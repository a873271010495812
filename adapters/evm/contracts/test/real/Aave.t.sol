// SPDX-License-Identifier: Apache-2.0
pragma solidity ^0.8.30;

import {Act, COMPARE_AT_MOST, Result} from "../../TocsinTypes.sol";
import {AaveMarket, Coin, IConfigurator, IDataProvider, IPool} from "./AaveMarket.sol";

/// Aave v3.0: every act that a network may want there, with users who feel it.
///
/// forge-config: default.isolate = true
contract AaveTest is AaveMarket {
    bytes32 private constant OTHER = keccak256("other act");

    // Aave's errors are numbers in words.
    bytes private constant CAP_OF_BORROWING = "50";
    bytes private constant CAP_OF_SUPPLY = "51";
    bytes private constant FROZEN = "28";
    bytes private constant PAUSED = "29";
    bytes private constant LTV_ZERO = "57";
    bytes private constant BORROWING_OFF = "30";

    // ---- pause

    function test_a_reserve_is_paused_and_nobody_moves_until_it_is_over() public {
        acl.addEmergencyAdmin(address(gateway));
        _registerAndSeal(_pauseOf(dollar));

        _start("Aave setReservePause", ACT);

        vm.expectRevert(PAUSED);
        _supply(alice, dollar, 1e18);
        vm.expectRevert(PAUSED);
        _withdraw(alice, dollar, 1e18);
        vm.expectRevert(PAUSED);
        _borrow(bob, dollar, 1e18);
        _supply(bob, ether_, 1e18);
        _runOut("Aave setReservePause", ACT);
        _borrow(bob, dollar, 1e18);
        _repay(bob, dollar, 1e18);
        _withdraw(alice, dollar, 1e18);
    }

    function test_without_a_role_the_act_fails_by_name() public {
        _registerAndSeal(_pauseOf(dollar));

        _protectReverts(ACT, _callFailed(address(configurator)));
    }

    function test_the_emergency_admin_cannot_freeze_the_risk_admin_can() public {
        acl.addEmergencyAdmin(address(gateway));
        _registerAndSeal(_freezeOf(dollar));
        _protectReverts(ACT, _callFailed(address(configurator)));

        acl.addRiskAdmin(address(gateway));

        _assertResult(_protect(ACT), Result.STARTED);
    }

    function test_a_whole_pool_is_paused_with_one_reserve_as_its_state() public {
        for (uint256 i = 0; i < 18; ++i) {
            _list(vm.toString(i), 1e8);
        }
        acl.addEmergencyAdmin(address(gateway));
        _registerAndSeal(_poolPause());

        _start("Aave setPoolPause, 20 reserves", ACT);

        vm.expectRevert(PAUSED);
        _supply(alice, dollar, 1e18);
        vm.expectRevert(PAUSED);
        _supply(bob, ether_, 1e18);
        _runOut("Aave setPoolPause, 20 reserves", ACT);
        _supply(alice, dollar, 1e18);
        _supply(bob, ether_, 1e18);
    }

    /// Why one act per reserve is better: the undo of the whole pool does not know who paused the others.
    function test_the_undo_of_a_pool_pause_also_lifts_a_pause_of_somebody_else() public {
        acl.addEmergencyAdmin(address(gateway));
        acl.addEmergencyAdmin(guardian);
        _registerAndSeal(_poolPause());
        _protect(ACT);
        vm.prank(guardian);
        configurator.setReservePause(address(ether_), true);

        _runOut(ACT);

        assertFalse(data.getPaused(address(ether_)));
    }

    // ---- freeze

    function test_a_frozen_reserve_takes_nothing_new_but_lets_everybody_leave() public {
        acl.addRiskAdmin(address(gateway));
        _registerAndSeal(_freezeOf(dollar));
        _borrow(bob, dollar, 100e18);

        _start("Aave setReserveFreeze", ACT);

        vm.expectRevert(FROZEN);
        _supply(alice, dollar, 1e18);
        vm.expectRevert(FROZEN);
        _borrow(bob, dollar, 1e18);
        _repay(bob, dollar, 1e18);
        _withdraw(alice, dollar, 1e18);
        _runOut("Aave setReserveFreeze", ACT);
        _supply(alice, dollar, 1e18);
        _borrow(bob, dollar, 1e18);
    }

    function test_a_reserve_is_paused_and_frozen_by_two_acts_that_end_apart() public {
        acl.addEmergencyAdmin(address(gateway));
        acl.addRiskAdmin(address(gateway));
        _register(OTHER, _freezeOf(dollar));
        _registerAndSeal(_pauseOf(dollar));
        _protect(ACT);
        vm.warp(_now() + 1 hours);
        _protect(OTHER);

        _runOut(ACT);

        vm.expectRevert(FROZEN);
        _supply(alice, dollar, 1e18);
        _runOut(OTHER);
        _supply(alice, dollar, 1e18);
    }

    // ---- caps

    function test_a_supply_cap_bites_and_the_old_one_comes_back() public {
        acl.addRiskAdmin(address(gateway));
        _registerAndSeal(_capOf("setSupplyCap(address,uint256)", 1));

        _start("Aave setSupplyCap", ACT);

        vm.expectRevert(CAP_OF_SUPPLY);
        _supply(alice, dollar, 1e18);
        _withdraw(alice, dollar, 1e18);
        _runOut("Aave setSupplyCap", ACT);
        _supply(alice, dollar, 1e18);
        (, uint256 cap) = data.getReserveCaps(address(dollar));
        assertEq(cap, SUPPLY_CAP);
    }

    function test_a_borrow_cap_bites_and_what_governance_set_meanwhile_comes_back() public {
        acl.addRiskAdmin(address(gateway));
        _registerAndSeal(_capOf("setBorrowCap(address,uint256)", 0));
        configurator.setBorrowCap(address(dollar), 12_345);

        _start("Aave setBorrowCap", ACT);

        vm.expectRevert(CAP_OF_BORROWING);
        _borrow(bob, dollar, 2e18);
        _runOut("Aave setBorrowCap", ACT);
        _borrow(bob, dollar, 2e18);
        (uint256 cap,) = data.getReserveCaps(address(dollar));
        assertEq(cap, 12_345);
    }

    /// In Aave a cap of zero is no cap: "at most" would call that the strictest of all.
    function test_no_cap_at_all_passes_for_protected_under_at_most_and_not_under_equal() public {
        acl.addRiskAdmin(address(gateway));
        Act memory act = _capOf("setSupplyCap(address,uint256)", 1);
        act.compare = COMPARE_AT_MOST;
        _register(OTHER, act);
        configurator.setSupplyCap(address(dollar), 0);
        _seal();
        _assertResult(_protect(OTHER), Result.NOOP);
        _supply(alice, dollar, 1e18);
        gateway = _newGateway(gateway.budget());
        acl.addRiskAdmin(address(gateway));
        _registerAndSeal(_capOf("setSupplyCap(address,uint256)", 1));

        _assertResult(_protect(ACT), Result.STARTED);

        vm.expectRevert(CAP_OF_SUPPLY);
        _supply(alice, dollar, 1e18);
        _runOut(ACT);
        (, uint256 cap) = data.getReserveCaps(address(dollar));
        assertEq(cap, 0);
    }

    function test_a_cap_that_governance_changes_during_a_record_is_governance_s() public {
        acl.addRiskAdmin(address(gateway));
        _registerAndSeal(_capOf("setSupplyCap(address,uint256)", 1));
        _protect(ACT);
        configurator.setSupplyCap(address(dollar), 400_500);

        _assertResult(gateway.expire(ACT), Result.CLOSED);

        (, uint256 cap) = data.getReserveCaps(address(dollar));
        assertEq(cap, 400_500);
    }

    // ---- collateral

    function test_an_asset_stops_being_collateral_for_new_loans_and_becomes_it_again() public {
        acl.addRiskAdmin(address(gateway));
        _registerAndSeal(_noNewCollateral());
        _borrow(bob, dollar, 100e18);

        _start("Aave configureReserveAsCollateral, LTV 0", ACT);

        vm.expectRevert(LTV_ZERO);
        _borrow(bob, dollar, 1e18);
        _repay(bob, dollar, 1e18);
        _runOut("Aave configureReserveAsCollateral, LTV 0", ACT);
        _borrow(bob, dollar, 1e18);
        (, uint256 ltv, uint256 threshold, uint256 bonus,,,,,,) =
            data.getReserveConfigurationData(address(ether_));
        assertEq(ltv, LTV);
        assertEq(threshold, THRESHOLD);
        assertEq(bonus, BONUS);
    }

    /// The call writes three values and the state is one of them: the other two are what stood at registration.
    function test_a_threshold_that_governance_changed_after_registration_is_overwritten() public {
        acl.addRiskAdmin(address(gateway));
        _registerAndSeal(_noNewCollateral());
        configurator.configureReserveAsCollateral(address(ether_), LTV, 82_50, BONUS);

        _protect(ACT);

        (,, uint256 threshold,,,,,,,) = data.getReserveConfigurationData(address(ether_));
        assertEq(threshold, THRESHOLD);
    }

    function test_borrowing_of_one_asset_is_switched_off_and_on() public {
        acl.addRiskAdmin(address(gateway));
        Act memory act = _switchOf("setReserveBorrowing(address,bool)", dollar, false);
        (act.stateCall, act.stateWord) =
        (abi.encodeCall(IDataProvider.getReserveConfigurationData, (address(dollar))), 6);
        _registerAndSeal(act);

        _start("Aave setReserveBorrowing off", ACT);

        vm.expectRevert(BORROWING_OFF);
        _borrow(bob, dollar, 1e18);
        _supply(alice, dollar, 1e18);
        _runOut("Aave setReserveBorrowing off", ACT);
        _borrow(bob, dollar, 1e18);
    }

    // ---- the bitmap

    /// The whole configuration as one word: exact, but any other setting's change makes the act fail and closes its record.
    function test_the_configuration_word_as_state_is_broken_by_every_other_setting() public {
        acl.addEmergencyAdmin(address(gateway));
        Act memory act = _pauseOf(dollar);
        act.stateTarget = address(pool);
        act.stateCall = abi.encodeCall(IPool.getConfiguration, (address(dollar)));
        uint256 before = pool.getConfiguration(address(dollar));
        act.value = before | (1 << 60);
        _registerAndSeal(act);
        _assertResult(_protect(ACT), Result.STARTED);
        _runOut(ACT);
        assertEq(pool.getConfiguration(address(dollar)), before);
        configurator.setSupplyCap(address(dollar), 999_999);
        uint256 changed = pool.getConfiguration(address(dollar));
        vm.warp(_now() + 1 hours);

        _protectReverts(ACT, _stateNotReached(act.value, changed | (1 << 60)));
    }

    function test_two_acts_over_one_getter_are_refused_so_a_pool_and_its_first_reserve_cannot_both_be()
        public
    {
        _register(ACT, _pauseOf(ether_));
        vm.expectRevert(abi.encodeWithSignature("GetterShared(bytes32,bytes32)", OTHER, ACT));
        vm.prank(owner);
        gateway.registerAct(OTHER, _poolPause(), 1, 72 hours);
    }

    // ---- acts

    function _pauseOf(Coin coin) private view returns (Act memory act) {
        act = _switchOf("setReservePause(address,bool)", coin, true);
        act.stateCall = abi.encodeCall(IDataProvider.getPaused, (address(coin)));
    }

    function _freezeOf(Coin coin) private view returns (Act memory act) {
        act = _switchOf("setReserveFreeze(address,bool)", coin, true);
        act.stateCall = abi.encodeCall(IDataProvider.getReserveConfigurationData, (address(coin)));
        act.stateWord = 9;
    }

    function _poolPause() private view returns (Act memory act) {
        act = _act(
            address(configurator),
            abi.encodeCall(IConfigurator.setPoolPause, (true)),
            abi.encodeCall(IConfigurator.setPoolPause, (false)),
            abi.encodeCall(IDataProvider.getPaused, (address(ether_))),
            1_500_000
        );
        act.stateTarget = address(data);
    }

    function _switchOf(string memory signature, Coin coin, bool on) private view returns (Act memory act) {
        act = _act(
            address(configurator),
            abi.encodeWithSignature(signature, coin, on),
            abi.encodeWithSignature(signature, coin, !on),
            "",
            150_000
        );
        act.stateTarget = address(data);
        act.value = on ? 1 : 0;
    }

    /// A cap of one token, since zero is none; `word` of `getReserveCaps`: 0 borrow, 1 supply.
    function _capOf(string memory signature, uint8 word) private view returns (Act memory act) {
        act = _act(
            address(configurator),
            abi.encodeWithSignature(signature, dollar, 1),
            abi.encodeWithSignature(signature, dollar, 0),
            abi.encodeCall(IDataProvider.getReserveCaps, (address(dollar))),
            150_000
        );
        (act.stateTarget, act.stateWord) = (address(data), word);
        (act.undo, act.restoreAt) = (2, 36);
    }

    function _noNewCollateral() private view returns (Act memory act) {
        bytes memory call_ = abi.encodeCall(
            IConfigurator.configureReserveAsCollateral, (address(ether_), 0, THRESHOLD, BONUS)
        );
        act = _act(
            address(configurator),
            call_,
            call_,
            abi.encodeCall(IDataProvider.getReserveConfigurationData, (address(ether_))),
            150_000
        );
        (act.stateTarget, act.stateWord, act.value, act.compare) = (address(data), 1, 0, COMPARE_AT_MOST);
        (act.undo, act.restoreAt) = (2, 36);
    }
}
