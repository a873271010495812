// SPDX-License-Identifier: Apache-2.0
pragma solidity ^0.8.30;

/// One signature by a group key: FROST(secp256k1, SHA-256) of RFC 9591, with its challenge unmodified.
library FrostSignature {
    /// Order of secp256k1's group, and of its field.
    uint256 internal constant ORDER = 0xFFFFFFFFFFFFFFFFFFFFFFFFFFFFFFFEBAAEDCE6AF48A03BBFD25E8CD0364141;
    uint256 internal constant FIELD = 0xFFFFFFFFFFFFFFFFFFFFFFFFFFFFFFFFFFFFFFFFFFFFFFFFFFFFFFFEFFFFFC2F;

    /// 48, in two bytes, and a zero byte; then the 29 bytes of "FROST-secp256k1-SHA256-v1chal" (RFC 9380, 5.3.1).
    uint256 private constant LENGTH_AND_TAG =
        0x00300046524f53542d736563703235366b312d5348413235362d76316368616c;
    /// The same tag after the number of a block, with its length behind it, and one byte that is not hashed.
    uint256 private constant FIRST_BLOCK = 0x0146524f53542d736563703235366b312d5348413235362d76316368616c1d00;
    uint256 private constant SECOND_BLOCK =
        0x0246524f53542d736563703235366b312d5348413235362d76316368616c1d00;

    /// Whether z·G = R + c·P for the key P with coordinate `x` and `parity` (2: y even, 3: odd); false for a key
    /// or a number out of range, never a revert. `x` of a key must lie below the group's order, as ecrecover asks.
    function verify(uint256 x, uint256 parity, bytes32 digest, uint256 rx, uint256 ry, uint256 z)
        internal
        view
        returns (bool valid)
    {
        if (x == 0 || x >= ORDER || parity >> 1 != 1) return false;
        if (rx >= FIELD || ry >= FIELD || z == 0 || z >= ORDER) return false;
        // c takes of ry its parity alone. Were ry free, 2^80 of it and 2^80 of z would give two addresses alike below.
        uint256 cube = mulmod(mulmod(rx, rx, FIELD), rx, FIELD);
        if (mulmod(ry, ry, FIELD) != addmod(cube, 7, FIELD)) return false;
        (uint256 c, bool hashed) = _challenge(x, parity, digest, rx, ry);
        assembly ("memory-safe") {
            // ecrecover(-z·x, P, x, -c·x) is the address of z·G - c·P: R, or nothing where that is no point.
            let input := mload(0x40)
            mstore(input, sub(ORDER, mulmod(z, x, ORDER)))
            mstore(add(input, 32), add(parity, 25))
            mstore(add(input, 64), x)
            mstore(add(input, 96), sub(ORDER, mulmod(c, x, ORDER)))
            mstore(0, 0)
            pop(staticcall(gas(), 1, input, 128, 0, 32))
            let found := mload(0)
            mstore(input, rx)
            mstore(add(input, 32), ry)
            let committed := and(keccak256(input, 64), 0xffffffffffffffffffffffffffffffffffffffff)
            // Nothing is no address: R at infinity, and whatever ecrecover refuses, end here.
            valid := and(hashed, and(gt(found, 0), eq(found, committed)))
        }
    }

    /// c = hash_to_field(R ‖ P ‖ digest), both points compressed; `hashed` is false where SHA-256 did not run.
    function _challenge(uint256 x, uint256 parity, bytes32 digest, uint256 rx, uint256 ry)
        private
        view
        returns (uint256 c, bool hashed)
    {
        assembly ("memory-safe") {
            let input := mload(0x40)
            // A block of zeros, R, P, the digest, the length asked for, the tag and its length: 195 bytes.
            mstore(input, 0)
            mstore(add(input, 32), 0)
            mstore8(add(input, 64), add(2, and(ry, 1)))
            mstore(add(input, 65), rx)
            mstore8(add(input, 97), parity)
            mstore(add(input, 98), x)
            mstore(add(input, 130), digest)
            mstore(add(input, 162), LENGTH_AND_TAG)
            mstore8(add(input, 194), 29)
            hashed := staticcall(gas(), 2, input, 195, input, 32)
            let whole := mload(input)
            mstore(add(input, 32), FIRST_BLOCK)
            hashed := and(hashed, staticcall(gas(), 2, input, 63, 0, 32))
            let first := mload(0)
            mstore(input, xor(whole, first))
            mstore(add(input, 32), SECOND_BLOCK)
            hashed := and(hashed, staticcall(gas(), 2, input, 63, 0, 32))
            // 48 bytes, big-endian, modulo the order.
            c := addmod(mulmod(first, shl(128, 1), ORDER), shr(128, mload(0)), ORDER)
        }
    }
}
