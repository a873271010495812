// SPDX-License-Identifier: Apache-2.0
pragma solidity ^0.8.30;

/// Claims of one proof, gathered without a branch: a solver that follows every `&&` and every `assert` on its own has ten times
/// as many ways to go.
struct Claims {
    bool broken;
}

function must(Claims memory claims, bool holds) pure {
    bool broken = claims.broken;
    assembly ("memory-safe") {
        broken := or(broken, iszero(holds))
    }
    claims.broken = broken;
}

function either(bool a, bool b) pure returns (bool c) {
    assembly ("memory-safe") {
        c := or(a, b)
    }
}

function both(bool a, bool b) pure returns (bool c) {
    assembly ("memory-safe") {
        c := and(a, b)
    }
}

using {must} for Claims global;
