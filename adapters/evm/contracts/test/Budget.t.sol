// SPDX-License-Identifier: Apache-2.0
pragma solidity ^0.8.30;

import {Test} from "forge-std/Test.sol";
import {BudgetBook, Usage} from "../BudgetBook.sol";
import {Budget} from "../TocsinTypes.sol";

contract BudgetTest is Test {
    using BudgetBook for mapping(uint256 index => Usage);

    uint256 private constant WINDOW = 20;
    uint256 private constant HORIZON = 200;

    mapping(uint256 index => Usage) private _book;
    /// The naive reference: one entry a second, as a person would count.
    uint256[HORIZON / WINDOW + 2] private _naiveFast;
    uint256[HORIZON / WINDOW + 2] private _naiveAll;
    bool[HORIZON] private _frozenFast;
    bool[HORIZON] private _frozenAll;

    function pay(Budget memory cap, bool fast, uint256 from, uint256 to) external returns (uint256) {
        return _book.pay(cap, WINDOW, fast, from, to);
    }

    function countFastRecord(Budget memory cap, uint256 time) external {
        _book.countFastRecord(cap, WINDOW, time);
    }

    function testFuzz_booking_agrees_with_counting_seconds(uint256 seed, uint8 fastCap, uint8 allCap) public {
        Budget memory cap = Budget(uint64(fastCap % 30), uint64(allCap % 50), 3);
        for (uint256 i = 0; i < 12; ++i) {
            seed = uint256(keccak256(abi.encode(seed)));
            uint256 from = seed % (HORIZON - 65);
            uint256 to = from + 1 + (seed >> 32) % 60;
            bool fast = (seed >> 64) % 2 == 0;

            uint256 expected = _naivePay(cap, fast, from, to);

            if (expected == from) {
                vm.expectRevert(abi.encodeWithSelector(BudgetBook.BudgetSpent.selector, from));
                this.pay(cap, fast, from, to);
            } else {
                assertEq(this.pay(cap, fast, from, to), expected);
            }
        }
        for (uint256 w = 0; w < HORIZON / WINDOW; ++w) {
            assertEq(_book[w].allSeconds, _naiveAll[w]);
            assertEq(_book[w].fastSeconds, _naiveFast[w]);
        }
    }

    /// The booked seconds of one act never overlap, so each sliding window can be counted.
    function testFuzz_no_sliding_window_exceeds_the_cap(uint256 seed, uint8 fastCap, uint8 allCap) public {
        Budget memory cap = Budget(uint64(fastCap % 30), uint64(allCap % 50), 3);
        uint256 time = 0;
        while (time < HORIZON - 65) {
            seed = uint256(keccak256(abi.encode(seed)));
            bool fast = seed % 2 == 0;
            uint256 to = time + 1 + (seed >> 32) % 60;
            try this.pay(cap, fast, time, to) returns (uint256 end) {
                for (uint256 s = time; s < end; ++s) {
                    _frozenAll[s] = true;
                    _frozenFast[s] = fast;
                }
                time = end;
            } catch {
                ++time;
            }
            time += (seed >> 64) % 3;
        }
        for (uint256 start = 0; start + WINDOW <= HORIZON; ++start) {
            (uint256 fastSum, uint256 allSum) = (0, 0);
            for (uint256 s = start; s < start + WINDOW; ++s) {
                if (_frozenFast[s]) ++fastSum;
                if (_frozenAll[s]) ++allSum;
            }
            assertLe(fastSum, cap.fastSeconds);
            assertLe(allSum, cap.allSeconds);
        }
    }

    function test_a_charge_is_clipped_to_what_is_left() public {
        Budget memory cap = Budget(10, 15, 3);

        assertEq(this.pay(cap, true, 45, 70), 55);
        assertEq(this.pay(cap, false, 56, 70), 61, "five were left: four in this window, one in the next");
    }

    function test_nothing_left_is_refused() public {
        Budget memory cap = Budget(10, 15, 3);
        this.pay(cap, true, 40, 50);

        vm.expectRevert(abi.encodeWithSelector(BudgetBook.BudgetSpent.selector, 50));
        this.pay(cap, true, 50, 51);
        vm.expectRevert(abi.encodeWithSelector(BudgetBook.BudgetSpent.selector, 60));
        this.pay(cap, true, 60, 61);
        assertEq(this.pay(cap, true, 80, 90), 90, "two windows later all is there again");
    }

    function test_seconds_of_a_later_window_count_beside_an_earlier_one() public {
        Budget memory cap = Budget(10, 10, 3);
        this.pay(cap, false, 60, 70);

        vm.expectRevert(abi.encodeWithSelector(BudgetBook.BudgetSpent.selector, 59));
        this.pay(cap, false, 59, 60);
    }

    function test_fast_records_are_limited_in_every_sliding_window() public {
        Budget memory cap = Budget(10, 10, 2);
        this.countFastRecord(cap, 59);
        this.countFastRecord(cap, 60);

        vm.expectRevert(abi.encodeWithSelector(BudgetBook.FastRecordsSpent.selector, 2, 2));
        this.countFastRecord(cap, 79);
        this.countFastRecord(cap, 80);
        vm.expectRevert(abi.encodeWithSelector(BudgetBook.FastRecordsSpent.selector, 2, 2));
        this.countFastRecord(cap, 81);
    }

    function testFuzz_what_is_left_can_be_booked(uint256 seed, uint8 fastCap, uint8 allCap) public {
        Budget memory cap = Budget(uint64(fastCap % 30), uint64(allCap % 50), 3);
        uint256 from = seed % (HORIZON - 65);
        try this.pay(cap, seed % 2 == 0, from, from + 7) {} catch {}
        uint256 time = from + (seed >> 32) % 40;

        uint256 left = _book.left(cap, WINDOW, time).fastSeconds;

        uint256 end = (time / WINDOW + 1) * WINDOW;
        uint256 possible = left < end - time ? left : end - time;
        if (possible > 0) assertEq(this.pay(cap, true, time, end), time + possible);
    }

    function _naivePay(Budget memory cap, bool fast, uint256 from, uint256 to) private returns (uint256) {
        for (uint256 second = from; second < to; ++second) {
            uint256 w = second / WINDOW;
            if (!_naiveRoom(_naiveAll, w, cap.allSeconds)) return second;
            if (fast && !_naiveRoom(_naiveFast, w, cap.fastSeconds)) return second;
            ++_naiveAll[w];
            if (fast) ++_naiveFast[w];
        }
        return to;
    }

    function _naiveRoom(uint256[HORIZON / WINDOW + 2] storage used, uint256 w, uint256 cap)
        private
        view
        returns (bool)
    {
        uint256 before = w == 0 ? 0 : used[w - 1];
        uint256 next = used[w + 1];
        return used[w] + (before > next ? before : next) < cap;
    }
}
