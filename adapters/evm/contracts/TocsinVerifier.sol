// SPDX-License-Identifier: Apache-2.0
pragma solidity ^0.8.30;

import {CodeStore} from "./CodeStore.sol";
import {ITocsinVerifier} from "./ITocsinVerifier.sol";
import {MandateHash} from "./MandateHash.sol";
import {TIER_FAST, TIER_FULL} from "./TocsinTypes.sol";

/// What a full quorum of the epoch in force signs to hand over to the next one; bound to this chain and verifier.
struct Rotation {
    bytes32 network;
    uint256 chainId;
    address verifier;
    uint32 newEpoch;
    /// Keccak-256 of the new attesters, 20 bytes each, ascending.
    bytes32 attestersHash;
    uint8 fast;
    uint8 full;
    uint64 notBefore;
    uint64 notAfter;
    /// True when keys were stolen: the epoch before dies when the new one begins.
    bool revokePrevious;
}

/// Checks certificates of one committee. It has no owner: only a full quorum changes its keys, with notice, and each
/// gateway's owner may leave for another verifier meanwhile.
contract TocsinVerifier is ITocsinVerifier {
    struct Epoch {
        /// Account whose code holds the attesters, 20 bytes each, ascending.
        address attesters;
        uint8 fast;
        uint8 full;
        uint40 validFrom;
        uint40 validUntil;
        /// x coordinates of the group keys for certificates of kind 0x02; zero means none.
        uint256 frostFast;
        uint256 frostFull;
        uint8 frostFastParity;
        uint8 frostFullParity;
    }

    bytes32 public constant ROTATION_TYPE = keccak256(
        "Rotation(bytes32 network,uint256 chainId,address verifier,uint32 newEpoch,bytes32 attestersHash,uint8 fast,uint8 full,uint64 notBefore,uint64 notAfter,bool revokePrevious)"
    );
    uint256 public constant MIN_ATTESTERS = 4;
    uint256 public constant MAX_ATTESTERS = 50;
    /// Of a rotation: times are kept in 40 bits, and a longer delay could be cut to a short one.
    uint64 private constant MAX_DELAY = 366 days;

    bytes1 private constant KIND_ECDSA = 0x01;
    uint256 private constant SIGNATURE_BYTES = 65;
    /// Half of the order of secp256k1: a signature with a larger s is the same one in another form.
    uint256 private constant HALF_ORDER = 0x7FFFFFFFFFFFFFFFFFFFFFFFFFFFFFFF5D576E7357A4501DDFE92F46681B20A0;

    bytes32 public immutable network;
    /// How long a rotation is announced before it takes effect.
    uint64 public immutable rotationDelay;
    /// How long the epoch before stays valid: one full mandate lifetime.
    uint64 public immutable overlap;

    uint32 private _newest;
    mapping(uint32 keyEpoch => Epoch) private _epochs;

    event RotationScheduled(
        uint32 indexed newEpoch, bytes32 indexed rotation, uint64 validFrom, bool revokePrevious
    );

    error EcrecoverBroken(address expected, address got);
    error AttesterCount(uint256 count);
    error AttesterOrder(uint256 index);
    error Thresholds(uint256 count, uint8 fast, uint8 full);
    error DelayTooShort(uint64 delay, uint64 overlap);
    error DelayTooLong(uint64 delay, uint64 longest);
    error WrongNetwork(bytes32 expected, bytes32 got);
    error WrongPlace(uint256 chainId, address verifier);
    error WrongEpoch(uint32 expected, uint32 got);
    error RotationPending(uint32 newEpoch);
    error RotationNotFresh(uint64 notBefore, uint64 notAfter);
    error WrongAttesters(bytes32 expected, bytes32 got);
    error CertificateRefused(bytes32 digest);

    /// `overlap_` is one full mandate lifetime; the delay is at least as long, so that two epochs at most are valid.
    constructor(
        bytes32 network_,
        uint32 firstEpoch,
        address[] memory attesters,
        uint8 fast,
        uint8 full,
        uint64 rotationDelay_,
        uint64 overlap_
    ) {
        _selfTest();
        if (rotationDelay_ < overlap_) revert DelayTooShort(rotationDelay_, overlap_);
        if (rotationDelay_ > MAX_DELAY) revert DelayTooLong(rotationDelay_, MAX_DELAY);
        network = network_;
        rotationDelay = rotationDelay_;
        overlap = overlap_;
        _newest = firstEpoch;
        _store(firstEpoch, _pack(attesters), fast, full, 0);
    }

    /// @inheritdoc ITocsinVerifier
    function verify(bytes32 digest, uint8 tier, uint32 epoch, bytes calldata certificate)
        public
        view
        returns (bool)
    {
        if (certificate.length == 0 || certificate[0] != KIND_ECDSA || !accepts(epoch)) return false;
        if (tier != TIER_FAST && tier != TIER_FULL) return false;
        Epoch storage keys = _epochs[epoch];
        (address attesters, uint8 fast, uint8 full) = (keys.attesters, keys.fast, keys.full);
        return _verifyEcdsa(digest, certificate[1:], attesters, tier == TIER_FAST ? fast : full);
    }

    /// Announce the next epoch. Anybody may bring it; the first one stands until it is in force.
    function rotate(Rotation calldata rotation, address[] calldata attesters, bytes calldata certificate)
        external
    {
        uint32 current = keyEpoch();
        bytes memory packed = _pack(attesters);
        _checkRotation(rotation, current, keccak256(packed));
        bytes32 digest = rotationDigest(rotation);
        if (!verify(digest, TIER_FULL, current, certificate)) revert CertificateRefused(digest);
        uint40 validFrom = uint40(block.timestamp + rotationDelay);
        _newest = rotation.newEpoch;
        _store(rotation.newEpoch, packed, rotation.fast, rotation.full, validFrom);
        // The last second: so no third epoch is valid where the delay is no longer than the overlap.
        _epochs[current].validUntil = validFrom - 1 + (rotation.revokePrevious ? 0 : uint40(overlap));
        emit RotationScheduled(rotation.newEpoch, digest, validFrom, rotation.revokePrevious);
    }

    /// @inheritdoc ITocsinVerifier
    function keyEpoch() public view returns (uint32) {
        return _epochs[_newest].validFrom <= block.timestamp ? _newest : _newest - 1;
    }

    /// @inheritdoc ITocsinVerifier
    function accepts(uint32 epoch) public view returns (bool) {
        Epoch storage keys = _epochs[epoch];
        return block.timestamp >= keys.validFrom && block.timestamp <= keys.validUntil;
    }

    /// What is known of a key epoch, zeros when nothing; the attesters are read from code.
    function epochKeys(uint32 epoch) external view returns (Epoch memory keys, address[] memory attesters) {
        keys = _epochs[epoch];
        if (keys.attesters == address(0)) return (keys, attesters);
        bytes memory packed = CodeStore.read(keys.attesters);
        attesters = new address[](packed.length / 20);
        for (uint256 i = 0; i < attesters.length; ++i) {
            address attester;
            assembly ("memory-safe") {
                attester := shr(96, mload(add(add(packed, 32), mul(i, 20))))
            }
            attesters[i] = attester;
        }
    }

    function rotationDigest(Rotation calldata rotation) public pure returns (bytes32) {
        return MandateHash.typed(keccak256(abi.encode(ROTATION_TYPE, rotation)));
    }

    function _checkRotation(Rotation calldata rotation, uint32 current, bytes32 attestersHash) private view {
        if (rotation.network != network) revert WrongNetwork(network, rotation.network);
        if (rotation.chainId != block.chainid || rotation.verifier != address(this)) {
            revert WrongPlace(rotation.chainId, rotation.verifier);
        }
        if (_newest != current) revert RotationPending(_newest);
        if (rotation.newEpoch != current + 1) revert WrongEpoch(current + 1, rotation.newEpoch);
        if (block.timestamp < rotation.notBefore || block.timestamp > rotation.notAfter) {
            revert RotationNotFresh(rotation.notBefore, rotation.notAfter);
        }
        if (rotation.attestersHash != attestersHash) {
            revert WrongAttesters(rotation.attestersHash, attestersHash);
        }
    }

    /// A quorum below core SPEC 2.1's sizes is refused: one member could act alone, or two quorums not meet.
    function _store(uint32 epoch, bytes memory packed, uint8 fast, uint8 full, uint40 validFrom) private {
        uint256 count = packed.length / 20;
        uint256 faulty = (count - 1) / 3;
        bool weak = fast < 2 || fast < faulty + 1 || full < (count + faulty) / 2 + 1 || full > count;
        if (weak || fast > full) revert Thresholds(count, fast, full);
        Epoch storage keys = _epochs[epoch];
        keys.attesters = CodeStore.write(packed);
        (keys.fast, keys.full, keys.validFrom, keys.validUntil) = (fast, full, validFrom, type(uint40).max);
    }

    function _pack(address[] memory attesters) private pure returns (bytes memory packed) {
        uint256 count = attesters.length;
        if (count < MIN_ATTESTERS || count > MAX_ATTESTERS) revert AttesterCount(count);
        address previous = address(0);
        for (uint256 i = 0; i < count; ++i) {
            if (attesters[i] <= previous) revert AttesterOrder(i);
            previous = attesters[i];
            packed = abi.encodePacked(packed, previous);
        }
    }

    /// Every signature by an attester, signers ascending: one walk over the list, which also excludes doubles.
    function _verifyEcdsa(bytes32 digest, bytes calldata signatures, address attesters, uint256 threshold)
        private
        view
        returns (bool valid)
    {
        uint256 count = signatures.length / SIGNATURE_BYTES;
        if (signatures.length != count * SIGNATURE_BYTES || count < threshold) return false;
        assembly ("memory-safe") {
            let next := mload(0x40)
            let end := add(next, sub(extcodesize(attesters), 1))
            extcodecopy(attesters, next, 1, sub(end, next))
            // The list is followed by ecrecover's input: digest, v, r, s.
            let input := end
            mstore(input, digest)
            valid := 1
            for { let i := 0 } lt(i, count) { i := add(i, 1) } {
                let signature := add(signatures.offset, mul(i, SIGNATURE_BYTES))
                let v := byte(0, calldataload(add(signature, 64)))
                if or(gt(calldataload(add(signature, 32)), HALF_ORDER), gt(sub(v, 27), 1)) {
                    valid := 0
                    break
                }
                mstore(add(input, 32), v)
                calldatacopy(add(input, 64), signature, 64)
                // ecrecover answers nothing when it fails, so the zero stays.
                mstore(0, 0)
                pop(staticcall(gas(), 1, input, 128, 0, 32))
                let signer := mload(0)
                let found := 0
                for {} and(iszero(found), lt(next, end)) { next := add(next, 20) } {
                    found := and(eq(shr(96, mload(next)), signer), gt(signer, 0))
                }
                if iszero(found) {
                    valid := 0
                    break
                }
            }
        }
    }

    /// A known answer: on a chain whose ecrecover is missing or different, nothing is deployed.
    function _selfTest() private pure {
        address expected = 0x12affAD16AF89751AfeC94E7aB97243a9de7d18f;
        address got = ecrecover(
            0xd9b53eca0d0c8f187f862c6df75966c5e2dab524839ca5a97536f326e8f15eb9,
            27,
            0xf11bc2e16323573f5d3d82b9c650fb9f615763738ed6ba88ec4d1ed0118a9ca3,
            0x355f141ab009bb89b3ca5ea98b214379ca72a897115662886345e6793d8c8268
        );
        if (got != expected) revert EcrecoverBroken(expected, got);
    }
}
