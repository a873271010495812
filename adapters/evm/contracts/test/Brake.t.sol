// SPDX-License-Identifier: Apache-2.0
pragma solidity ^0.8.30;

import {ERC1967Proxy} from "@openzeppelin/contracts/proxy/ERC1967/ERC1967Proxy.sol";
import {Test} from "forge-std/Test.sol";
import {Brake} from "../Brake.sol";

/// A brake with nothing behind it: what leaves is only counted.
contract BrakedTarget is Brake {
    address public immutable holder;
    uint256 public out;

    constructor(address holder_, uint256 limit, uint256 period, uint256 longest) Brake(period, longest) {
        holder = holder_;
        _startBrake(limit);
    }

    /// Behind a proxy the constructor's storage is the implementation's.
    function initialize(uint256 limit) external {
        _startBrake(limit);
    }

    function take(uint256 amount) external {
        _spend(amount);
        out += amount;
    }

    function _checkBrakeHolder() internal view override {
        require(msg.sender == holder, "not the holder");
    }
}

contract BrakeTest is Test {
    uint256 internal constant LIMIT = 1_000;
    uint256 internal constant HOUR = 1 hours;
    uint256 internal constant START = 1_800_000_000;

    address internal holder = makeAddr("holder");
    address internal stranger = makeAddr("mallory");
    BrakedTarget internal target;

    function setUp() public {
        vm.warp(START);
        target = new BrakedTarget(holder, LIMIT, HOUR, 5 days);
    }

    // ---- the bucket

    function test_a_full_bucket_leaves_at_once_and_nothing_after_it() public {
        target.take(LIMIT);

        _limited(1, 0);
        assertEq(target.out(), LIMIT);
    }

    function test_an_empty_bucket_fills_evenly_and_not_beyond_its_size() public {
        target.take(LIMIT);

        vm.warp(START + HOUR / 4);
        assertEq(target.spendable(), LIMIT / 4);
        vm.warp(START + 9 * HOUR);
        assertEq(target.spendable(), LIMIT);
    }

    function test_nothing_is_rounded_away_by_whoever_touches_the_bucket_each_second() public {
        target.take(LIMIT);

        for (uint256 second = 1; second <= HOUR; ++second) {
            vm.warp(START + second);
            target.take(0);
        }

        assertEq(target.spendable(), LIMIT);
    }

    function test_a_smaller_limit_takes_away_what_no_longer_fits() public {
        _setLimit(10);

        assertEq(target.spendable(), 10);
        _limited(11, 10);
    }

    function test_a_restored_limit_fills_up_from_what_was_there() public {
        _setLimit(10);
        target.take(10);

        _setLimit(LIMIT);

        _limited(1, 0);
        vm.warp(START + HOUR / 2);
        assertEq(target.spendable(), LIMIT / 2);
    }

    function test_a_limit_of_nothing_lets_nothing_leave() public {
        _setLimit(0);
        vm.warp(START + 365 days);

        _limited(1, 0);
    }

    function test_without_a_limit_everything_may_leave_and_a_new_one_bites_at_once() public {
        uint256 unlimited = target.NO_LIMIT();
        _setLimit(unlimited);
        target.take(1e30);
        assertEq(target.spendable(), unlimited);

        _setLimit(10);

        target.take(10);
        _limited(1, 0);
    }

    function test_amounts_and_limits_beyond_all_bounds_are_refused() public {
        uint256 unlimited = target.NO_LIMIT();
        _limited(type(uint256).max, LIMIT);
        vm.expectRevert(abi.encodeWithSelector(Brake.BrakeOutOfRange.selector, 0, unlimited, unlimited + 1));
        vm.prank(holder);
        target.setRateLimit(unlimited + 1);
    }

    function test_the_largest_bucket_with_the_longest_period_overflows_nothing() public {
        target = new BrakedTarget(holder, type(uint128).max - 1, 366 days, 1 days);
        target.take(type(uint128).max - 1);
        vm.warp(START + 10_000 * 366 days);

        assertEq(target.spendable(), type(uint128).max - 1);
    }

    /// forge-config: default.fuzz.runs = 512
    function testFuzz_the_bucket_agrees_with_counting_in_fractions(uint256 seed) public {
        uint256 level = LIMIT * HOUR;
        uint256 limit = LIMIT;
        for (uint256 i = 0; i < 24; ++i) {
            seed = uint256(keccak256(abi.encode(seed)));
            uint256 passed = (seed >> 8) % (2 * HOUR);
            vm.warp(vm.getBlockTimestamp() + passed);
            level = _min(limit * HOUR, level + passed * limit);
            if (seed % 4 == 0) {
                limit = (seed >> 32) % 2_000;
                level = _min(level, limit * HOUR);
                _setLimit(limit);
            } else {
                uint256 amount = (seed >> 32) % (limit + 2);
                if (amount * HOUR <= level) {
                    level -= amount * HOUR;
                    target.take(amount);
                } else {
                    _limited(amount, level / HOUR);
                }
            }
            assertEq(target.spendable(), level / HOUR);
        }
    }

    // ---- the pause

    function test_a_pause_stops_what_leaves_and_ends_by_itself() public {
        vm.prank(holder);
        target.pause();
        vm.expectRevert(abi.encodeWithSelector(Brake.PausedUntil.selector, START + 5 days));
        target.take(1);
        assertEq(target.spendable(), 0);

        vm.warp(START + 5 days - 1);
        assertTrue(target.paused());
        vm.warp(START + 5 days);
        assertFalse(target.paused());
        target.take(1);
    }

    function test_a_pause_has_a_farthest_end_and_is_never_shortened_by_another() public {
        vm.startPrank(holder);
        target.pauseUntil(START + 2 days);
        target.pauseUntil(START + 1 days);
        assertEq(target.pausedUntil(), START + 2 days);
        bytes memory outside = abi.encodeWithSelector(
            Brake.BrakeOutOfRange.selector, START + 1, START + 5 days, START + 5 days + 1
        );
        vm.expectRevert(outside);
        target.pauseUntil(START + 5 days + 1);
        vm.expectRevert(
            abi.encodeWithSelector(Brake.BrakeOutOfRange.selector, START + 1, START + 5 days, START)
        );
        target.pauseUntil(START);
        vm.stopPrank();
    }

    function test_the_holder_ends_a_pause_and_only_one_that_there_is() public {
        vm.startPrank(holder);
        target.pause();
        target.unpause();
        assertFalse(target.paused());
        vm.expectRevert(Brake.NotPaused.selector);
        target.unpause();
        vm.stopPrank();
    }

    function test_only_the_holder_moves_a_brake() public {
        vm.startPrank(stranger);
        vm.expectRevert("not the holder");
        target.setRateLimit(1);
        vm.expectRevert("not the holder");
        target.pause();
        vm.expectRevert("not the holder");
        target.pauseUntil(START + 1);
        vm.expectRevert("not the holder");
        target.unpause();
        vm.stopPrank();
    }

    // ---- how it is built

    function test_a_brake_that_would_never_fill_or_never_end_is_refused() public {
        uint256[4] memory periods = [uint256(0), 366 days + 1, HOUR, HOUR];
        uint256[4] memory longest = [uint256(1 days), 1 days, 0, 30 days + 1];
        for (uint256 i = 0; i < 4; ++i) {
            vm.expectPartialRevert(Brake.BrakeOutOfRange.selector);
            new BrakedTarget(holder, LIMIT, periods[i], longest[i]);
        }
    }

    function test_behind_a_proxy_nothing_leaves_until_the_brake_is_started() public {
        bytes memory first = abi.encodeCall(BrakedTarget.take, (0));
        BrakedTarget proxied = BrakedTarget(address(new ERC1967Proxy(address(target), first)));
        vm.expectRevert(abi.encodeWithSelector(Brake.RateLimited.selector, 1, 0));
        proxied.take(1);

        proxied.initialize(LIMIT);

        proxied.take(LIMIT);
        assertEq(target.spendable(), LIMIT, "the implementation keeps its own");
    }

    function test_the_state_stands_where_erc_7201_puts_it() public {
        bytes32 place =
            keccak256(abi.encode(uint256(keccak256("tocsin.storage.Brake")) - 1)) & ~bytes32(uint256(0xff));
        vm.prank(holder);
        target.pause();

        uint256 packed = uint256(vm.load(address(target), place));

        assertEq(uint128(packed), LIMIT);
        assertEq(packed >> 192, START + 5 days);
    }

    // ---- parts

    function _setLimit(uint256 limit) private {
        vm.prank(holder);
        target.setRateLimit(limit);
        assertEq(target.rateLimit(), limit);
    }

    function _limited(uint256 amount, uint256 left) private {
        vm.expectRevert(abi.encodeWithSelector(Brake.RateLimited.selector, amount, left));
        target.take(amount);
    }

    function _min(uint256 a, uint256 b) private pure returns (uint256) {
        return a < b ? a : b;
    }
}
