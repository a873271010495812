// SPDX-License-Identifier: Apache-2.0
pragma solidity ^0.8.30;

/// A multisignature over a set in storage, in the way of message bridges: signatures carry the signer's index, indices
/// rise, and each recovered address is compared with the one that storage holds there. A peer to measure beside.
contract GuardianSet {
    address[] public guardians;
    uint256 public immutable threshold;

    struct Signature {
        bytes32 r;
        bytes32 s;
        uint8 v;
        uint8 index;
    }

    error NotSigned();

    constructor(address[] memory guardians_, uint256 threshold_) {
        (guardians, threshold) = (guardians_, threshold_);
    }

    function verify(bytes32 digest, Signature[] calldata signatures) external view {
        if (signatures.length < threshold) revert NotSigned();
        uint256 next = 0;
        for (uint256 i = 0; i < signatures.length; ++i) {
            Signature calldata each = signatures[i];
            if (each.index < next) revert NotSigned();
            next = uint256(each.index) + 1;
            address signer = ecrecover(digest, each.v, each.r, each.s);
            if (signer == address(0) || signer != guardians[each.index]) revert NotSigned();
        }
    }
}
