// SPDX-License-Identifier: Apache-2.0
pragma solidity ^0.8.30;

/// The seconds `from` ≤ s < `to` of one act.
struct Span {
    uint64 from;
    uint64 to;
}

/// A ledger of seconds, kept apart from the gateway's own books, and what it holds in any sliding window.
library SlidingWindow {
    /// Write down the seconds `from` ≤ s < `to`, and return the most that any window of `length` seconds which touches
    /// them now holds. Windows that do not touch them hold what they held.
    function add(Span[] storage ledger, uint256 from, uint256 to, uint256 length)
        internal
        returns (uint256 most)
    {
        Span memory fresh = Span(uint64(from), uint64(to));
        ledger.push(fresh);
        Span[] memory near = _near(ledger, fresh, length);
        for (uint256 i = 0; i < near.length; ++i) {
            // The sum over a window is piecewise linear in its start: it turns only where an end meets an edge.
            uint256[4] memory starts = [near[i].from, near[i].to, near[i].from - length, near[i].to - length];
            for (uint256 k = 0; k < 4; ++k) {
                bool touches = starts[k] < fresh.to && starts[k] + length > fresh.from;
                uint256 sum = touches ? _sum(near, starts[k], starts[k] + length) : 0;
                if (sum > most) most = sum;
            }
        }
    }

    /// The most of `times` in any window of `length` seconds that ends at the newest one.
    function count(uint64[] storage times, uint256 length) internal view returns (uint256 most) {
        uint256 newest = times[times.length - 1];
        for (uint256 i = times.length; i > 0 && times[i - 1] + length > newest; --i) {
            ++most;
        }
    }

    function _near(Span[] storage ledger, Span memory fresh, uint256 length)
        private
        view
        returns (Span[] memory near)
    {
        near = new Span[](ledger.length);
        uint256 kept = 0;
        for (uint256 i = 0; i < near.length; ++i) {
            Span memory span = ledger[i];
            if (span.to + length > fresh.from && span.from < fresh.to + length) near[kept++] = span;
        }
        assembly ("memory-safe") {
            mstore(near, kept)
        }
    }

    function _sum(Span[] memory spans, uint256 start, uint256 end) private pure returns (uint256 sum) {
        for (uint256 i = 0; i < spans.length; ++i) {
            uint256 from = spans[i].from > start ? spans[i].from : start;
            uint256 to = spans[i].to < end ? spans[i].to : end;
            if (to > from) sum += to - from;
        }
    }
}
