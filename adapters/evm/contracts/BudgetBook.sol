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

/// The budget's arithmetic (GATEWAY.md 3): seconds are booked in the fixed window in which they fall, and two adjacent
/// windows together stay within the cap; a sliding window of the same length touches two of them at most.
library BudgetBook {
    error BudgetSpent(uint256 from);
    error FastRecordsSpent(uint256 used, uint256 cap);

    /// Book the seconds `from` ≤ s < `to`, as far as there is room, and return the end that was paid for.
    function pay(
        mapping(uint256 index => Usage) storage book,
        Budget memory cap,
        uint256 window,
        bool fast,
        uint256 from,
        uint256 to
    ) internal returns (uint256 paidTo) {
        paidTo = from;
        while (paidTo < to) {
            uint256 index = paidTo / window;
            uint256 wanted = Math.min(to, (index + 1) * window) - paidTo;
            uint256 booked = _bookIn(book, cap, index, fast, wanted);
            paidTo += booked;
            if (booked < wanted) break;
        }
        if (paidTo == from) revert BudgetSpent(from);
    }

    /// Count a record that a fast mandate starts at `time`.
    function countFastRecord(
        mapping(uint256 index => Usage) storage book,
        Budget memory cap,
        uint256 window,
        uint256 time
    ) internal {
        uint256 index = time / window;
        uint256 used = uint256(book[index].fastRecords) + _before(book, index).fastRecords;
        if (used >= cap.fastRecords) revert FastRecordsSpent(used, cap.fastRecords);
        ++book[index].fastRecords;
    }

    /// What could be booked at `time`, within its window.
    function left(
        mapping(uint256 index => Usage) storage book,
        Budget memory cap,
        uint256 window,
        uint256 time
    ) internal view returns (Budget memory remaining) {
        uint256 index = time / window;
        remaining.allSeconds = uint64(_room(book, cap, index, false));
        remaining.fastSeconds = uint64(_room(book, cap, index, true));
        uint256 used = uint256(book[index].fastRecords) + _before(book, index).fastRecords;
        remaining.fastRecords = uint32(Math.saturatingSub(cap.fastRecords, used));
    }

    function _bookIn(
        mapping(uint256 index => Usage) storage book,
        Budget memory cap,
        uint256 index,
        bool fast,
        uint256 wanted
    ) private returns (uint256 booked) {
        booked = Math.min(wanted, _room(book, cap, index, fast));
        if (booked == 0) return 0;
        Usage memory here = book[index];
        here.allSeconds += uint64(booked);
        if (fast) here.fastSeconds += uint64(booked);
        book[index] = here;
    }

    function _room(mapping(uint256 index => Usage) storage book, Budget memory cap, uint256 index, bool fast)
        private
        view
        returns (uint256 room)
    {
        Usage memory before = _before(book, index);
        Usage memory here = book[index];
        Usage memory next = book[index + 1];
        uint256 beside = Math.max(before.allSeconds, next.allSeconds);
        room = Math.saturatingSub(cap.allSeconds, here.allSeconds + beside);
        if (!fast) return room;
        beside = Math.max(before.fastSeconds, next.fastSeconds);
        return Math.min(room, Math.saturatingSub(cap.fastSeconds, here.fastSeconds + beside));
    }

    function _before(mapping(uint256 index => Usage) storage book, uint256 index)
        private
        view
        returns (Usage memory none)
    {
        return index == 0 ? none : book[index - 1];
    }
}
