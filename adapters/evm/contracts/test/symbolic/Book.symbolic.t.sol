// SPDX-License-Identifier: Apache-2.0
pragma solidity ^0.8.30;

import {Test} from "forge-std/Test.sol";
import {Book, BudgetBook, Usage} from "../../BudgetBook.sol";
import {Budget} from "../../TocsinTypes.sol";
import {Claims} from "./Claims.sol";

/// The budget's book (INV-2, INV-3): one record, one turn of the pages, from any book and budget. Charges have too many ways for
/// a solver: they are held against counting second by second (`Budget.t.sol`) and judged in the walks.
contract BookProofs is Test {
    using BudgetBook for Book;

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

    function count(Book memory book, Budget memory cap) external pure returns (Book memory) {
        book.countFastRecord(cap);
        return book;
    }

    function _copy(Book memory book) private pure returns (Book memory) {
        return abi.decode(abi.encode(book), (Book));
    }
}
