// SPDX-License-Identifier: Apache-2.0
pragma solidity ^0.8.30;

/// Says whether a certificate carries enough of a committee's keys for a digest.
interface ITocsinVerifier {
    /// Whether `certificate` (core SPEC 4.5) signs `digest` with enough keys of `keyEpoch` for `tier`; never reverts.
    function verify(bytes32 digest, uint8 tier, uint32 keyEpoch, bytes calldata certificate)
        external
        view
        returns (bool);

    /// The network id: the hash of the genesis committee.
    function network() external view returns (bytes32);

    /// The key epoch in force now.
    function keyEpoch() external view returns (uint32);

    /// Whether certificates of this key epoch are accepted now (the one in force, or the one before for a while).
    function accepts(uint32 epoch) external view returns (bool);
}
