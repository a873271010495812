// SPDX-License-Identifier: Apache-2.0
pragma solidity ^0.8.30;

// What a verifier and its callers exchange. Times are whole seconds of this chain's clock.

/// What a full quorum of the epoch in force signs to hand over to the next one; bound to this chain and verifier.
struct Rotation {
    bytes32 network;
    uint256 chainId;
    address verifier;
    uint32 newEpoch;
    /// Keccak-256 of the new attesters, 20 bytes each, ascending.
    bytes32 attestersHash;
    /// Keccak-256 of both group keys, compressed, 33 bytes each, fast then full; of 66 zero bytes where there is none.
    bytes32 groupsHash;
    uint8 fast;
    uint8 full;
    uint64 notBefore;
    uint64 notAfter;
    /// True when keys were stolen: the epoch before dies when the new one begins.
    bool revokePrevious;
}

/// The key by which a whole tier signs with one signature; all zero and empty where there is none.
struct GroupKey {
    uint256 x;
    /// 2 where y is even, 3 where it is odd: the first byte of the compressed key.
    uint8 parity;
    /// By that very key, over its `KeyProof`, in the form of a certificate of kind 0x02.
    bytes possession;
}

/// Both or none.
struct GroupKeys {
    GroupKey fast;
    GroupKey full;
}
