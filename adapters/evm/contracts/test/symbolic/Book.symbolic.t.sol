// SPDX-License-Identifier: Apache-2.0
pragma solidity ^0.8.30;

import {Test} from "forge-std/Test.sol";
import {Book, BudgetBook, Usage} from "../../BudgetBook.sol";
import {Budget} from "../../TocsinTypes.sol";

/// The budget's arithmetic (INV-2, INV-3): one charge, one record, one turn of the pages, from any book and budget. A sliding
/// window touches two adjacent fixed ones at most, so what holds for each two of them holds for it.
contract BookProofs is Test {
    using BudgetBook for Book;

    uint256 private constant WINDOW = 1 << 22;
    /// Charges know their window only by its first second: one stands for all.
    uint32 private constant NUMBER = 429;

    /// Whatever was booked before (also under a larger budget): where a charge books anything, each two adjacent windows
    /// stay within the budget of today; each second paid for is booked once, in its own window.
    function check_a_charge_stays_within_the_budget(
        Book memory book,
        Budget memory cap,
        bool fast,
        uint64 from,
        uint64 to
    ) public view {
        vm.assume(cap.allSeconds <= BudgetBook.MAX_SECONDS && from < to && to < 1 << 40);
        book.number = NUMBER;
        uint256 start = uint256(NUMBER) * WINDOW;
        vm.assume(from >= start && from < start + 2 * WINDOW);
        Book memory old = _copy(book);

        (bool paid, uint256 end, Book memory later) = _pay(book, cap, fast, from, to);

        if (!paid) return;
        assert(from < end && end <= to && end <= start + 2 * WINDOW);
        uint256 now_ = later.allNow - old.allNow;
        uint256 next = later.allNext - old.allNext;
        uint256 boundary = start + WINDOW;
        assert(now_ == (from < boundary ? (end < boundary ? end : boundary) - from : 0));
        assert(now_ + next == end - from);
        assert(later.fastNow - old.fastNow == (fast ? now_ : 0));
        assert(later.fastNext - old.fastNext == (fast ? next : 0));
        if (now_ > 0) {
            assert(uint256(old.allBefore) + later.allNow <= cap.allSeconds);
            if (fast) assert(uint256(old.fastBefore) + later.fastNow <= cap.fastSeconds);
        }
        assert(uint256(later.allNow) + later.allNext <= cap.allSeconds);
        if (fast) assert(uint256(later.fastNow) + later.fastNext <= cap.fastSeconds);
    }

    /// INV-3: in this window and the one before, no more fast records than the budget has.
    function check_fast_records_stay_within_the_budget(Book memory book, Budget memory cap) public view {
        vm.assume(cap.fastRecords <= BudgetBook.MAX_RECORDS);
        uint256 old = book.recordsNow;
        try this.count(book, cap) returns (Book memory later) {
            assert(later.recordsNow == old + 1 && later.recordsBefore == book.recordsBefore);
            assert(uint256(later.recordsBefore) + later.recordsNow <= cap.fastRecords);
        } catch {}
    }

    /// Turning the pages forgets no window that can still bound a charge, and invents nothing.
    function check_turning_pages_keeps_what_was_booked(Book memory book, uint32 number) public pure {
        vm.assume(number >= book.number && number < type(uint32).max && book.number > 0);
        Book memory old = _copy(book);

        book.turnTo(number);

        assert(book.number == number);
        for (uint256 i = uint256(number) - 1; i <= uint256(number) + 1; ++i) {
            Usage memory before = old.usage(i);
            Usage memory later = book.usage(i);
            assert(before.allSeconds == later.allSeconds && before.fastSeconds == later.fastSeconds);
            assert(before.fastRecords == later.fastRecords);
        }
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

    function _pay(Book memory book, Budget memory cap, bool fast, uint256 from, uint256 to)
        private
        view
        returns (bool paid, uint256 end, Book memory later)
    {
        try this.pay(book, cap, fast, from, to) returns (uint256 end_, Book memory later_) {
            return (true, end_, later_);
        } catch {
            return (false, 0, book);
        }
    }

    function _copy(Book memory book) private pure returns (Book memory) {
        return abi.decode(abi.encode(book), (Book));
    }
}
