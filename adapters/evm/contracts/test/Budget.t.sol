// SPDX-License-Identifier: Apache-2.0
pragma solidity ^0.8.30;

import {Test} from "forge-std/Test.sol";
import {Book, BudgetBook} from "../BudgetBook.sol";
import {Budget} from "../TocsinTypes.sol";

contract BudgetTest is Test {
    using BudgetBook for Book;

    uint256 private constant WINDOW = 20;
    uint256 private constant HORIZON = 200;
    /// A charge lies within a window's length from now on, as registration has it.
    uint256 private constant REACH = WINDOW;

    Book private _book;
    /// The naive reference: all windows for ever, one entry a second, as a person would count.
    uint256[HORIZON / WINDOW + 3] private _naiveFast;
    uint256[HORIZON / WINDOW + 3] private _naiveAll;
    uint256[HORIZON / WINDOW + 3] private _naiveRecords;
    bool[HORIZON] private _frozenFast;
    bool[HORIZON] private _frozenAll;

    function pay(Budget memory cap, bool fast, uint256 time, uint256 from, uint256 to)
        external
        returns (uint256 end)
    {
        Book memory book = _bookAt(time);
        end = book.pay(cap, WINDOW, fast, from, to);
        _book = book;
    }

    function countFastRecord(Budget memory cap, uint256 time) external {
        Book memory book = _bookAt(time);
        book.countFastRecord(cap);
        _book = book;
    }

    /// Three pages do what an endless book does, whatever passes between charges.
    function testFuzz_booking_agrees_with_counting_seconds(uint256 seed, uint8 fastCap, uint8 allCap) public {
        Budget memory cap = Budget(fastCap % 30, allCap % 50, 3);
        uint256 time = 0;
        for (uint256 i = 0; i < 30; ++i) {
            seed = uint256(keccak256(abi.encode(seed)));
            if (seed % 4 == 0) time += (seed >> 8) % (i % 7 == 0 ? 50 : 9);
            if (time + REACH >= HORIZON) break;
            uint256 from = time + (seed >> 32) % REACH;
            uint256 to = from + 1 + (seed >> 64) % (time + REACH - from);
            bool fast = (seed >> 96) % 2 == 0;

            uint256 expected = _naivePay(cap, fast, from, to);

            if (expected == from) {
                vm.expectRevert(abi.encodeWithSelector(BudgetBook.BudgetSpent.selector, from));
                this.pay(cap, fast, time, from, to);
            } else {
                assertEq(this.pay(cap, fast, time, from, to), expected);
            }
            _assertPages(time / WINDOW);
        }
    }

    function testFuzz_records_agree_with_counting(uint256 seed) public {
        Budget memory cap = Budget(10, 10, uint32(seed % 4));
        uint256 time = 0;
        for (uint256 i = 0; i < 30; ++i) {
            seed = uint256(keccak256(abi.encode(seed)));
            time += (seed >> 8) % 12;
            if (time >= HORIZON) break;
            uint256 w = time / WINDOW;
            uint256 used = _naiveRecords[w] + (w == 0 ? 0 : _naiveRecords[w - 1]);
            if (used >= cap.fastRecords) {
                vm.expectRevert(
                    abi.encodeWithSelector(BudgetBook.FastRecordsSpent.selector, used, cap.fastRecords)
                );
                this.countFastRecord(cap, time);
            } else {
                this.countFastRecord(cap, time);
                ++_naiveRecords[w];
            }
        }
    }

    /// The booked seconds of one act never overlap, so each sliding window can be counted.
    function testFuzz_no_sliding_window_exceeds_the_cap(uint256 seed, uint8 fastCap, uint8 allCap) public {
        Budget memory cap = Budget(fastCap % 30, allCap % 50, 3);
        uint256 time = 0;
        while (time + REACH < HORIZON) {
            seed = uint256(keccak256(abi.encode(seed)));
            bool fast = seed % 2 == 0;
            uint256 to = time + 1 + (seed >> 32) % REACH;
            try this.pay(cap, fast, time, time, to) returns (uint256 end) {
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

        assertEq(this.pay(cap, true, 45, 45, 65), 55);
        assertEq(this.pay(cap, false, 56, 56, 70), 61, "five were left: four in this window, one in the next");
    }

    function test_nothing_left_is_refused() public {
        Budget memory cap = Budget(10, 15, 3);
        this.pay(cap, true, 40, 40, 50);

        vm.expectRevert(abi.encodeWithSelector(BudgetBook.BudgetSpent.selector, 50));
        this.pay(cap, true, 50, 50, 51);
        vm.expectRevert(abi.encodeWithSelector(BudgetBook.BudgetSpent.selector, 60));
        this.pay(cap, true, 60, 60, 61);
        assertEq(this.pay(cap, true, 80, 80, 90), 90, "two windows later all is there again");
    }

    function test_seconds_of_a_later_window_count_beside_an_earlier_one() public {
        Budget memory cap = Budget(10, 10, 3);
        this.pay(cap, false, 59, 60, 70);

        vm.expectRevert(abi.encodeWithSelector(BudgetBook.BudgetSpent.selector, 59));
        this.pay(cap, false, 59, 59, 60);
    }

    function test_nothing_is_paid_beyond_the_next_window() public {
        Budget memory cap = Budget(100, 100, 3);

        assertEq(this.pay(cap, false, 41, 41, 200), 80);
        vm.expectRevert(abi.encodeWithSelector(BudgetBook.BudgetSpent.selector, 81));
        this.pay(cap, false, 41, 81, 82);
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
        Budget memory cap = Budget(fastCap % 30, allCap % 50, 3);
        uint256 from = seed % (HORIZON - 65);
        try this.pay(cap, seed % 2 == 0, from, from, from + 7) {} catch {}
        uint256 time = from + (seed >> 32) % 40;

        uint256 left = _bookAt(time).left(cap).fastSeconds;

        uint256 end = (time / WINDOW + 1) * WINDOW;
        uint256 possible = left < end - time ? left : end - time;
        if (possible > 0) assertEq(this.pay(cap, true, time, time, end), time + possible);
    }

    function test_the_largest_caps_fit_the_counters() public {
        Budget memory cap = Budget(type(uint32).max, type(uint32).max, type(uint16).max);
        _book.allBefore = _book.fastBefore = type(uint32).max - 5;
        _book.recordsBefore = type(uint16).max - 1;

        assertEq(this.pay(cap, true, 0, 0, 9), 5);
        this.countFastRecord(cap, 0);
        vm.expectRevert(
            abi.encodeWithSelector(
                BudgetBook.FastRecordsSpent.selector, type(uint16).max, uint256(type(uint16).max)
            )
        );
        this.countFastRecord(cap, 0);
    }

    function test_any_window_can_be_asked_for() public {
        assertEq(_book.usage(type(uint256).max).allSeconds, 0);
        this.pay(Budget(10, 10, 3), false, 45, 45, 46);
        assertEq(_book.usage(type(uint256).max).allSeconds, 0);
        assertEq(_book.usage(45 / WINDOW).allSeconds, 1);
        assertEq(_book.usage(45 / WINDOW + 2).allSeconds, 0);
    }

    // ---- helpers

    function _bookAt(uint256 time) private view returns (Book memory book) {
        book = _book;
        book.turnTo(time / WINDOW);
    }

    function _assertPages(uint256 number) private view {
        uint256 first = number == 0 ? 0 : number - 1;
        for (uint256 w = first; w <= number + 1; ++w) {
            if (_book.number < number) continue; // no charge has turned the page yet
            assertEq(_book.usage(w).allSeconds, _naiveAll[w]);
            assertEq(_book.usage(w).fastSeconds, _naiveFast[w]);
        }
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

    function _naiveRoom(uint256[HORIZON / WINDOW + 3] storage used, uint256 w, uint256 cap)
        private
        view
        returns (bool)
    {
        uint256 before = w == 0 ? 0 : used[w - 1];
        uint256 next = used[w + 1];
        return used[w] + (before > next ? before : next) < cap;
    }
}
