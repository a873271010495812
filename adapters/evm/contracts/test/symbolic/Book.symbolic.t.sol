// SPDX-License-Identifier: Apache-2.0
pragma solidity ^0.8.30;

import {Test} from "forge-std/Test.sol";
import {Book, BudgetBook, Usage} from "../../BudgetBook.sol";
import {Budget} from "../../TocsinTypes.sol";
import {Claims, either} from "./Claims.sol";

/// The budget's arithmetic (INV-2, INV-3): one charge, one record, one turn of the pages, from any book and budget. A sliding
/// window touches two adjacent fixed ones at most, so what holds for each two of them holds for it.
contract BookProofs is Test {
    using BudgetBook for Book;

    uint256 private constant WINDOW = 1 << 22;
    /// Charges know their window only by its first second: one stands for all.
    uint32 private constant NUMBER = 429;

    function check_a_full_charge_stays_within_the_budget(Book memory book, Budget memory cap, uint64 from, uint64 to)
        public
        view
    {
        _charge(book, cap, false, from, to);
    }

    function check_a_fast_charge_stays_within_the_budget(Book memory book, Budget memory cap, uint64 from, uint64 to)
        public
        view
    {
        _charge(book, cap, true, from, to);
    }

    /// Whatever was booked before (also under a larger budget): where a charge books anything, each two adjacent windows
    /// stay within the budget of today; each second paid for is booked once, in its own window.
    function _charge(Book memory book, Budget memory cap, bool fast, uint64 from, uint64 to) private view {
        vm.assume(cap.allSeconds <= BudgetBook.MAX_SECONDS);
        vm.assume(from < to);
        vm.assume(to < 1 << 40);
        uint256 start = uint256(NUMBER) * WINDOW;
        vm.assume(from >= start);
        vm.assume(from < start + 2 * WINDOW);
        book.number = NUMBER;

        try this.pay(book, cap, fast, from, to) returns (uint256 end, Book memory later) {
            Claims memory claims;
            claims.must(from < end);
            claims.must(end <= to);
            uint256 fresh = uint256(later.allNow) - book.allNow;
            uint256 next = uint256(later.allNext) - book.allNext;
            claims.must(fresh + next == end - from);
            claims.must(either(next == 0, end <= start + 2 * WINDOW));
            claims.must(either(fresh == 0, from + fresh <= start + WINDOW));
            claims.must(either(next == 0, end - next >= start + WINDOW));
            claims.must(either(fresh == 0, uint256(book.allBefore) + later.allNow <= cap.allSeconds));
            claims.must(uint256(later.allNow) + later.allNext <= cap.allSeconds);
            claims.must(uint256(later.fastNow) - book.fastNow == (fast ? fresh : 0));
            claims.must(uint256(later.fastNext) - book.fastNext == (fast ? next : 0));
            if (fast) {
                claims.must(either(fresh == 0, uint256(book.fastBefore) + later.fastNow <= cap.fastSeconds));
                claims.must(uint256(later.fastNow) + later.fastNext <= cap.fastSeconds);
            }
            assert(!claims.broken);
        } catch {}
    }

    /// INV-3: in this window and the one before, no more fast records than the budget has.
    function check_fast_records_stay_within_the_budget(Book memory book, Budget memory cap) public view {
        vm.assume(cap.fastRecords <= BudgetBook.MAX_RECORDS);
        uint256 old = book.recordsNow;
        try this.count(book, cap) returns (Book memory later) {
            Claims memory claims;
            claims.must(later.recordsNow == old + 1);
            claims.must(uint256(book.recordsBefore) + later.recordsNow <= cap.fastRecords);
            assert(!claims.broken);
        } catch {}
    }

    /// Turning the pages forgets no window that can still bound a charge, and invents nothing.
    function check_turning_pages_keeps_what_was_booked(Book memory book, uint32 number) public pure {
        vm.assume(number >= book.number);
        vm.assume(number < type(uint32).max);
        vm.assume(book.number > 0);
        Book memory old = _copy(book);

        book.turnTo(number);

        Claims memory claims;
        claims.must(book.number == number);
        for (uint256 i = 0; i < 3; ++i) {
            Usage memory before = old.usage(uint256(number) + i - 1);
            Usage memory later = book.usage(uint256(number) + i - 1);
            claims.must(before.allSeconds == later.allSeconds);
            claims.must(before.fastSeconds == later.fastSeconds);
            claims.must(before.fastRecords == later.fastRecords);
        }
        assert(!claims.broken);
    }

    function pay(Book memory book, Budget memory cap, bool fast, uint256 from, uint256 to)
        external
        pure
        returns (uint256 end, Book memory later)
    {
        end = book.pay(cap, WINDOW, fast, from, to);
        return (end, book);
    }

    function count(Book memory book, Budget memory cap) external pure returns (Book memory) {
        book.countFastRecord(cap);
        return book;
    }

    function _copy(Book memory book) private pure returns (Book memory) {
        return abi.decode(abi.encode(book), (Book));
    }
}
