// SPDX-License-Identifier: Apache-2.0
pragma solidity ^0.8.30;

import {Math} from "@openzeppelin/contracts/utils/math/Math.sol";
import {Budget} from "./TocsinTypes.sol";

/// What was booked in one fixed window.
struct Usage {
    uint64 fastSeconds;
    uint64 allSeconds;
    uint32 fastRecords;
}

/// The three fixed windows that still matter, in one storage slot: the one of now, the one before and the one after it.
///
/// Three suffice. A charge begins now or later and ends at `now + skew + maxDuration` at the latest, and registration
/// holds `skew + maxDuration ≤ window`: so it falls in the window of now and the next one. Room there depends on the
/// windows beside them too: the one before, and the one after next, in which no charge up to now can have booked.
struct Book {
    /// Number (time / window) of the window "now".
    uint32 number;
    uint32 allBefore;
    uint32 allNow;
    uint32 allNext;
    uint32 fastBefore;
    uint32 fastNow;
    uint32 fastNext;
    /// Records begin now, never in the next window.
    uint16 recordsBefore;
    uint16 recordsNow;
}

/// The budget's arithmetic (GATEWAY.md 3): seconds are booked in the fixed window in which they fall, and two adjacent
/// windows together stay within the cap; a sliding window of the same length touches two of them at most.
library BudgetBook {
    /// What the book's counters hold: no cap may be larger.
    uint256 internal constant MAX_SECONDS = type(uint32).max;
    uint256 internal constant MAX_RECORDS = type(uint16).max;

    error BudgetSpent(uint256 from);
    error FastRecordsSpent(uint256 used, uint256 cap);

    /// Turn the pages until `number` is the window of now; what falls off can bound no charge any more.
    function turnTo(Book memory book, uint256 number) internal pure {
        for (uint256 pages = Math.min(number - book.number, 3); pages > 0; --pages) {
            (book.allBefore, book.allNow, book.allNext) = (book.allNow, book.allNext, 0);
            (book.fastBefore, book.fastNow, book.fastNext) = (book.fastNow, book.fastNext, 0);
            (book.recordsBefore, book.recordsNow) = (book.recordsNow, 0);
        }
        book.number = uint32(number);
    }

    /// Book the seconds `from` ≤ s < `to`, as far as there is room, and return the end that was paid for. `from` lies in
    /// the window of now or the next one; what lies beyond the next is never paid.
    function pay(Book memory book, Budget memory cap, uint256 window, bool fast, uint256 from, uint256 to)
        internal
        pure
        returns (uint256 paidTo)
    {
        // Times have 64 bits, and what is booked never exceeds a cap of 32.
        unchecked {
            uint256 boundary = (uint256(book.number) + 1) * window;
            if (to > boundary + window) to = boundary + window;
            paidTo = from;
            if (from < boundary) {
                uint256 wanted = (to < boundary ? to : boundary) - from;
                uint256 room = roomNow(book, cap, fast);
                uint256 booked = wanted < room ? wanted : room;
                book.allNow += uint32(booked);
                if (fast) book.fastNow += uint32(booked);
                paidTo += booked;
            }
            if (paidTo >= boundary && paidTo < to) {
                uint256 wanted = to - paidTo;
                uint256 room = _roomNext(book, cap, fast);
                uint256 booked = wanted < room ? wanted : room;
                book.allNext += uint32(booked);
                if (fast) book.fastNext += uint32(booked);
                paidTo += booked;
            }
        }
        if (paidTo == from) revert BudgetSpent(from);
    }

    /// Count a record that a fast mandate starts now.
    function countFastRecord(Book memory book, Budget memory cap) internal pure {
        uint256 used = uint256(book.recordsBefore) + book.recordsNow;
        if (used >= cap.fastRecords) revert FastRecordsSpent(used, cap.fastRecords);
        ++book.recordsNow;
    }

    /// What could be booked in the window of now.
    function left(Book memory book, Budget memory cap) internal pure returns (Budget memory remaining) {
        remaining.allSeconds = uint64(roomNow(book, cap, false));
        remaining.fastSeconds = uint64(roomNow(book, cap, true));
        uint256 used = uint256(book.recordsBefore) + book.recordsNow;
        remaining.fastRecords = uint32(Math.saturatingSub(cap.fastRecords, used));
    }

    /// What is booked in the window number `index`, zeros where the book has no page of it.
    function usage(Book memory book, uint256 index) internal pure returns (Usage memory none) {
        bool isBefore = book.number > 0 && index == book.number - 1;
        if (isBefore) return Usage(book.fastBefore, book.allBefore, book.recordsBefore);
        if (index == book.number) return Usage(book.fastNow, book.allNow, book.recordsNow);
        if (index == uint256(book.number) + 1) return Usage(book.fastNext, book.allNext, 0);
    }

    function roomNow(Book memory book, Budget memory cap, bool fast) internal pure returns (uint256 room) {
        room = _room(cap.allSeconds, book.allNow, Math.max(book.allBefore, book.allNext));
        if (!fast) return room;
        return Math.min(room, _room(cap.fastSeconds, book.fastNow, Math.max(book.fastBefore, book.fastNext)));
    }

    function _roomNext(Book memory book, Budget memory cap, bool fast) private pure returns (uint256 room) {
        room = _room(cap.allSeconds, book.allNext, book.allNow);
        return fast ? Math.min(room, _room(cap.fastSeconds, book.fastNext, book.fastNow)) : room;
    }

    /// What a cap leaves to a window with `here` booked, and `beside` in the fuller of the windows beside it.
    function _room(uint256 cap, uint256 here, uint256 beside) private pure returns (uint256) {
        unchecked {
            return here + beside < cap ? cap - here - beside : 0;
        }
    }
}
