// SPDX-License-Identifier: Apache-2.0
pragma solidity ^0.8.30;

import {ERC20} from "@openzeppelin/contracts/token/ERC20/ERC20.sol";
import {Brake} from "../Brake.sol";
import {Act, COMPARE_AT_MOST, OP_EXTEND, Result, TIER_FULL} from "../TocsinTypes.sol";
import {DemoVault} from "../demo/DemoVault.sol";
import {RealFixture} from "./real/RealFixture.sol";

/// A coin that calls back whom it pays.
contract TalkativeCoin is ERC20("Coin", "COIN") {
    mapping(address who => bool) public listening;

    function listen() external {
        listening[msg.sender] = true;
    }

    function mint(address to, uint256 amount) external {
        _mint(to, amount);
    }

    function _update(address from, address to, uint256 amount) internal override {
        super._update(from, to, amount);
        if (listening[to]) Listener(to).paid();
    }
}

/// Deposits, leaves, and leaves again from inside each payment.
contract Listener {
    DemoVault public vault;
    uint256 public left;

    function join(DemoVault vault_, TalkativeCoin coin, uint256 amount) external {
        vault = vault_;
        coin.listen();
        coin.approve(address(vault_), amount);
        vault_.deposit(amount);
    }

    function depart(uint256 times) external {
        left = times;
        vault.exit();
    }

    function paid() external {
        if (left == 0) return;
        --left;
        try vault.exit() {} catch {}
    }
}

/// The brake's acts through a gateway: what each reads, does and gives back.
///
/// forge-config: default.isolate = true
contract BrakeActsTest is RealFixture {
    bytes32 private constant LIMIT = keccak256("rate-limit");
    uint256 private constant USUAL = 600e18;
    uint256 private constant TIGHT = 10e18;

    TalkativeCoin private coin;
    DemoVault private vault;
    address private alice = makeAddr("alice");

    function setUp() public override {
        super.setUp();
        coin = new TalkativeCoin();
        vault = new DemoVault(address(this), coin, USUAL);
        vault.grantRole(vault.PAUSER_ROLE(), address(gateway));
        vault.grantRole(vault.PAUSER_ROLE(), guardian);
        _deposit(alice, 10_000e18);
        _register(LIMIT, _rateLimit());
        _registerAndSeal(_switchAct(address(vault), "pause()", "unpause()", "paused()"));
    }

    // ---- rate-limit

    function test_a_rate_limit_slows_what_leaves_and_the_usual_one_comes_back() public {
        _start("Brake setRateLimit", LIMIT);

        _withdraw(TIGHT);
        vm.expectRevert(abi.encodeWithSelector(Brake.RateLimited.selector, 1e18, 0));
        _withdraw(1e18);
        vm.warp(_now() + 30 minutes);
        _withdraw(TIGHT / 2);
        _runOut("Brake setRateLimit", LIMIT);
        assertEq(vault.rateLimit(), USUAL);
        vm.expectRevert(abi.encodeWithSelector(Brake.RateLimited.selector, TIGHT + 1, TIGHT));
        _withdraw(TIGHT + 1);
        vm.warp(_now() + 1 hours);
        _withdraw(USUAL);
    }

    function test_a_stricter_limit_of_the_protocol_s_own_passes_for_protected_and_stays() public {
        vm.prank(guardian);
        vault.setRateLimit(0);

        _assertResult(_protect(LIMIT), Result.NOOP);

        assertEq(vault.rateLimit(), 0);
    }

    function test_a_limit_that_the_guardian_sets_during_a_record_is_the_guardian_s() public {
        _protect(LIMIT);
        vm.prank(guardian);
        vault.setRateLimit(1e18);

        _assertResult(gateway.expire(LIMIT), Result.CLOSED);

        assertEq(vault.rateLimit(), 1e18);
    }

    function test_a_full_bucket_is_not_given_back_with_the_limit() public {
        _withdraw(USUAL);
        _protect(LIMIT);

        vm.prank(guardian);
        gateway.dismiss(LIMIT);

        assertEq(vault.rateLimit(), USUAL);
        assertEq(vault.spendable(), 0);
    }

    // ---- pause

    function test_a_pause_stops_the_vault_and_ends_with_the_record() public {
        _start("Brake pause", ACT);

        vm.expectRevert(abi.encodeWithSelector(Brake.PausedUntil.selector, _now() + 5 days));
        _withdraw(1e18);
        _runOut("Brake pause", ACT);
        _withdraw(1e18);
    }

    function test_a_pause_ends_by_itself_where_nobody_ends_the_record() public {
        _protect(ACT);
        vm.warp(_now() + 5 days);

        _withdraw(1e18);

        _assertResult(gateway.expire(ACT), Result.CLOSED);
        assertFalse(vault.paused());
    }

    /// A record that is lengthened calls nothing: a pause must be as long as the longest record.
    function test_a_record_lengthened_beyond_the_pause_is_closed_and_the_next_mandate_pauses_again() public {
        _protect(ACT);
        uint64 began = _now();
        vm.warp(began + 5 hours);
        _assertResult(_execute(OP_EXTEND, TIER_FULL, _now(), ACT, 72 hours), Result.EXTENDED);
        vm.warp(began + 72 hours);
        _assertResult(_execute(OP_EXTEND, TIER_FULL, _now(), ACT, 72 hours), Result.EXTENDED);
        vm.warp(began + 5 days);
        assertFalse(vault.paused());

        _assertResult(_protect(ACT), Result.CLOSED);
        vm.warp(_now() + 2 * SKEW);
        _assertResult(_protect(ACT), Result.STARTED);

        assertTrue(vault.paused());
    }

    function test_a_pause_that_the_guardian_began_is_not_the_network_s_to_end() public {
        vm.prank(guardian);
        vault.pauseUntil(_now() + 1 days);

        _assertResult(_protect(ACT), Result.NOOP);

        assertEq(vault.pausedUntil(), _now() + 1 days);
    }

    function test_both_acts_stand_beside_each_other_and_end_apart() public {
        _protect(LIMIT);
        vm.warp(_now() + 1 hours);
        _protect(ACT);

        _runOut(LIMIT);

        assertTrue(vault.paused());
        assertEq(vault.rateLimit(), USUAL);
        _runOut(ACT);
        _withdraw(1e18);
    }

    function test_without_the_role_both_acts_fail_by_name() public {
        vault.revokeRole(vault.PAUSER_ROLE(), address(gateway));

        _protectReverts(LIMIT, _callFailed(address(vault)));
        _protectReverts(ACT, _callFailed(address(vault)));
    }

    // ---- a thief

    function test_whoever_leaves_twice_is_paid_by_others_until_the_bucket_is_empty() public {
        Listener mallory = _thief(100e18);
        mallory.depart(4);
        assertEq(coin.balanceOf(address(mallory)), 500e18, "five times what was deposited");

        mallory.depart(0);

        assertEq(vault.spendable(), 0);
        vm.expectRevert(abi.encodeWithSelector(Brake.RateLimited.selector, 100e18, 0));
        mallory.depart(0);
    }

    function test_a_thief_inside_of_each_payment_gets_no_more_than_the_bucket() public {
        Listener mallory = _thief(3e18);
        _protect(LIMIT);

        mallory.depart(50);

        assertEq(coin.balanceOf(address(mallory)), 9e18);
        assertEq(vault.spendable(), TIGHT - 9e18);
    }

    function test_a_paused_vault_pays_no_thief() public {
        Listener mallory = _thief(100e18);
        _protect(ACT);

        vm.expectPartialRevert(Brake.PausedUntil.selector);
        mallory.depart(0);
    }

    // ---- parts

    function _rateLimit() private view returns (Act memory act) {
        act = _act(
            address(vault),
            abi.encodeCall(Brake.setRateLimit, (TIGHT)),
            abi.encodeCall(Brake.setRateLimit, (0)),
            abi.encodeCall(Brake.rateLimit, ()),
            100_000
        );
        (act.value, act.compare, act.undo, act.restoreAt) = (TIGHT, COMPARE_AT_MOST, 2, 4);
    }

    function _thief(uint256 amount) private returns (Listener mallory) {
        mallory = new Listener();
        coin.mint(address(mallory), amount);
        mallory.join(vault, coin, amount);
    }

    function _deposit(address who, uint256 amount) private {
        coin.mint(who, amount);
        vm.startPrank(who);
        coin.approve(address(vault), amount);
        vault.deposit(amount);
        vm.stopPrank();
    }

    function _withdraw(uint256 amount) private {
        vm.prank(alice);
        vault.withdraw(amount);
    }
}
