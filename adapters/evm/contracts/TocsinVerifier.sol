// SPDX-License-Identifier: Apache-2.0
pragma solidity ^0.8.30;

import {CodeStore} from "./CodeStore.sol";
import {FrostSignature} from "./FrostSignature.sol";
import {ITocsinVerifier} from "./ITocsinVerifier.sol";
import {MandateHash} from "./MandateHash.sol";
import {TIER_FAST, TIER_FULL} from "./TocsinTypes.sol";
import {GroupKey, GroupKeys, Rotation} from "./VerifierTypes.sol";

/// Checks certificates of one committee. It has no owner: only a full quorum changes its keys, with notice, and each
/// gateway's owner may leave for another verifier meanwhile.
contract TocsinVerifier is ITocsinVerifier {
    /// A key epoch as it is shown.
    struct Epoch {
        /// Account whose code holds the attesters, 20 bytes each, ascending.
        address attesters;
        uint8 fast;
        uint8 full;
        uint40 validFrom;
        uint40 validUntil;
        /// The group keys for certificates of kind 0x02: coordinate x, and 2 (even) or 3 (odd); zero means none.
        uint256 frostFast;
        uint256 frostFull;
        uint8 frostFastParity;
        uint8 frostFullParity;
    }

    /// A key epoch as it is kept: a certificate of kind 0x01 reads one slot, one of kind 0x02 two.
    struct Kept {
        address attesters;
        /// Thresholds, at most 50; the top bit is that of the group key with an odd y.
        uint8 fast;
        uint8 full;
        uint40 validFrom;
        uint40 validUntil;
        uint256 frostFast;
        uint256 frostFull;
    }

    bytes32 public constant ROTATION_TYPE = keccak256(
        "Rotation(bytes32 network,uint256 chainId,address verifier,uint32 newEpoch,bytes32 attestersHash,bytes32 groupsHash,uint8 fast,uint8 full,uint64 notBefore,uint64 notAfter,bool revokePrevious)"
    );
    bytes32 public constant KEY_PROOF_TYPE =
        keccak256("KeyProof(bytes32 network,uint32 keyEpoch,uint8 tier,uint256 x,uint8 parity)");
    uint256 public constant MIN_ATTESTERS = 4;
    uint256 public constant MAX_ATTESTERS = 50;
    /// Of a rotation: times are kept in 40 bits, and a longer delay could be cut to a short one.
    uint64 private constant MAX_DELAY = 366 days;

    bytes1 private constant KIND_ECDSA = 0x01;
    bytes1 private constant KIND_FROST = 0x02;
    uint256 private constant SIGNATURE_BYTES = 65;
    uint256 private constant FROST_BYTES = 97;
    uint8 private constant ODD = 0x80;
    /// Half of the order of secp256k1: a signature with a larger s is the same one in another form.
    uint256 private constant HALF_ORDER = 0x7FFFFFFFFFFFFFFFFFFFFFFFFFFFFFFF5D576E7357A4501DDFE92F46681B20A0;

    bytes32 public immutable network;
    /// How long a rotation is announced before it takes effect.
    uint64 public immutable rotationDelay;
    /// How long the epoch before stays valid: one full mandate lifetime.
    uint64 public immutable overlap;

    uint32 private _newest;
    mapping(uint32 keyEpoch => Kept) private _epochs;

    event RotationScheduled(
        uint32 indexed newEpoch, bytes32 indexed rotation, uint64 validFrom, bool revokePrevious
    );

    error EcrecoverBroken(address expected, address got);
    error FrostBroken();
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
    error WrongGroupKeys(bytes32 expected, bytes32 got);
    error GroupKeyMissing(uint8 tier);
    error GroupKeysAlike(uint256 x);
    error GroupKeyNotPossessed(uint8 tier, bytes32 digest);
    error CertificateRefused(bytes32 digest);

    /// `overlap_` is one full mandate lifetime; the delay is at least as long, so that two epochs at most are valid.
    constructor(
        bytes32 network_,
        uint32 firstEpoch,
        address[] memory attesters,
        uint8 fast,
        uint8 full,
        GroupKeys memory groups,
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
        _checkGroups(network_, firstEpoch, groups);
        _store(firstEpoch, _pack(attesters), fast, full, groups, 0);
    }

    /// @inheritdoc ITocsinVerifier
    function verify(bytes32 digest, uint8 tier, uint32 epoch, bytes calldata certificate)
        public
        view
        returns (bool)
    {
        if (certificate.length == 0 || (tier != TIER_FAST && tier != TIER_FULL)) return false;
        Kept storage kept = _epochs[epoch];
        (uint40 from, uint40 until) = (kept.validFrom, kept.validUntil);
        (address attesters, uint8 size) = (kept.attesters, tier == TIER_FAST ? kept.fast : kept.full);
        if (block.timestamp < from || block.timestamp > until) return false;
        if (certificate[0] == KIND_ECDSA) {
            return _verifyEcdsa(digest, certificate[1:], attesters, size & ~ODD);
        }
        if (certificate[0] != KIND_FROST || certificate.length != FROST_BYTES) return false;
        return _verifyFrost(
            digest, certificate[1:], tier == TIER_FAST ? kept.frostFast : kept.frostFull, _parity(size)
        );
    }

    /// Announce the next epoch. Anybody may bring it; the first one stands until it is in force.
    function rotate(
        Rotation calldata rotation,
        address[] calldata attesters,
        GroupKeys memory groups,
        bytes calldata certificate
    ) external {
        uint32 current = keyEpoch();
        bytes memory packed = _pack(attesters);
        _checkRotation(rotation, current, keccak256(packed), groupsHash(groups));
        bytes32 digest = rotationDigest(rotation);
        if (!verify(digest, TIER_FULL, current, certificate)) revert CertificateRefused(digest);
        _checkGroups(network, rotation.newEpoch, groups);
        uint40 validFrom = uint40(block.timestamp + rotationDelay);
        _newest = rotation.newEpoch;
        _store(rotation.newEpoch, packed, rotation.fast, rotation.full, groups, validFrom);
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
        Kept storage keys = _epochs[epoch];
        return block.timestamp >= keys.validFrom && block.timestamp <= keys.validUntil;
    }

    /// What is known of a key epoch, zeros when nothing; the attesters are read from code.
    function epochKeys(uint32 epoch) external view returns (Epoch memory keys, address[] memory attesters) {
        keys = _shown(_epochs[epoch]);
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

    /// What the possession of a group key is shown over.
    function keyProofDigest(bytes32 network_, uint32 epoch, uint8 tier, uint256 x, uint8 parity)
        public
        pure
        returns (bytes32)
    {
        return MandateHash.typed(keccak256(abi.encode(KEY_PROOF_TYPE, network_, epoch, tier, x, parity)));
    }

    /// What a rotation names its group keys by.
    function groupsHash(GroupKeys memory groups) public pure returns (bytes32) {
        return
            keccak256(abi.encodePacked(groups.fast.parity, groups.fast.x, groups.full.parity, groups.full.x));
    }

    function _checkRotation(
        Rotation calldata rotation,
        uint32 current,
        bytes32 attestersHash,
        bytes32 groupsHash_
    ) private view {
        if (rotation.network != network) {
            revert WrongNetwork(network, rotation.network);
        }
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
        if (rotation.groupsHash != groupsHash_) revert WrongGroupKeys(rotation.groupsHash, groupsHash_);
    }

    /// No key, or one for each tier of which somebody has shown that he can sign with it for this tier and epoch: a key
    /// by mistake would be a tier that nobody can use, and one key for both tiers would make every fast quorum a full one.
    function _checkGroups(bytes32 network_, uint32 epoch, GroupKeys memory groups) private view {
        (GroupKey memory fast, GroupKey memory full) = (groups.fast, groups.full);
        if (fast.x | fast.parity | full.x | full.parity == 0) return;
        if (fast.x == 0) revert GroupKeyMissing(TIER_FAST);
        if (full.x == 0) revert GroupKeyMissing(TIER_FULL);
        if (fast.x == full.x) revert GroupKeysAlike(fast.x);
        _checkPossession(network_, epoch, TIER_FAST, fast);
        _checkPossession(network_, epoch, TIER_FULL, full);
    }

    function _checkPossession(bytes32 network_, uint32 epoch, uint8 tier, GroupKey memory group)
        private
        view
    {
        bytes32 digest = keyProofDigest(network_, epoch, tier, group.x, group.parity);
        bytes memory proof = group.possession;
        bool valid = proof.length == FROST_BYTES && proof[0] == KIND_FROST;
        if (valid) {
            (uint256 rx, uint256 ry, uint256 z) = (_word(proof, 1), _word(proof, 33), _word(proof, 65));
            valid = FrostSignature.verify(group.x, group.parity, digest, rx, ry, z);
        }
        if (!valid) revert GroupKeyNotPossessed(tier, digest);
    }

    function _word(bytes memory data, uint256 offset) private pure returns (uint256 word) {
        assembly ("memory-safe") {
            word := mload(add(add(data, 32), offset))
        }
    }

    /// A quorum below core SPEC 2.1's sizes is refused: one member could act alone, or two quorums not meet.
    function _store(
        uint32 epoch,
        bytes memory packed,
        uint8 fast,
        uint8 full,
        GroupKeys memory groups,
        uint40 validFrom
    ) private {
        uint256 count = packed.length / 20;
        uint256 faulty = (count - 1) / 3;
        bool weak = fast < 2 || fast < faulty + 1 || full < (count + faulty) / 2 + 1 || full > count;
        if (weak || fast > full) revert Thresholds(count, fast, full);
        Kept storage kept = _epochs[epoch];
        kept.attesters = CodeStore.write(packed);
        (kept.fast, kept.full) = (fast | _oddness(groups.fast), full | _oddness(groups.full));
        (kept.validFrom, kept.validUntil) = (validFrom, type(uint40).max);
        // Every epoch is stored once, in empty slots.
        if (groups.fast.x != 0) (kept.frostFast, kept.frostFull) = (groups.fast.x, groups.full.x);
    }

    function _oddness(GroupKey memory group) private pure returns (uint8) {
        return group.parity == 3 ? ODD : 0;
    }

    /// The parity that stands beside a threshold.
    function _parity(uint8 size) private pure returns (uint8) {
        return 2 + (size >> 7);
    }

    function _shown(Kept memory kept) private pure returns (Epoch memory) {
        return Epoch({
            attesters: kept.attesters,
            fast: kept.fast & ~ODD,
            full: kept.full & ~ODD,
            validFrom: kept.validFrom,
            validUntil: kept.validUntil,
            frostFast: kept.frostFast,
            frostFull: kept.frostFull,
            frostFastParity: kept.frostFast == 0 ? 0 : _parity(kept.fast),
            frostFullParity: kept.frostFull == 0 ? 0 : _parity(kept.full)
        });
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

    /// Rx, Ry and z, 32 bytes each, by the group key.
    function _verifyFrost(bytes32 digest, bytes calldata signature, uint256 x, uint8 parity)
        private
        view
        returns (bool)
    {
        uint256 rx;
        uint256 ry;
        uint256 z;
        assembly ("memory-safe") {
            rx := calldataload(signature.offset)
            ry := calldataload(add(signature.offset, 32))
            z := calldataload(add(signature.offset, 64))
        }
        return FrostSignature.verify(x, parity, digest, rx, ry, z);
    }

    /// Known answers: on a chain whose ecrecover or SHA-256 is missing or different, nothing is deployed. The group key is
    /// that of RFC 9591, E.5; it signed the SHA-256 of "tocsin known answer".
    function _selfTest() private view {
        address expected = 0x12affAD16AF89751AfeC94E7aB97243a9de7d18f;
        address got = ecrecover(
            0xd9b53eca0d0c8f187f862c6df75966c5e2dab524839ca5a97536f326e8f15eb9,
            27,
            0xf11bc2e16323573f5d3d82b9c650fb9f615763738ed6ba88ec4d1ed0118a9ca3,
            0x355f141ab009bb89b3ca5ea98b214379ca72a897115662886345e6793d8c8268
        );
        if (got != expected) revert EcrecoverBroken(expected, got);
        bool known = FrostSignature.verify(
            0xf37c34b66ced1fb51c34a90bdae006901f10625cc06c4f64663b0eae87d87b4f,
            2,
            0x76ead491c6f2d940e47d8039655ae01f1dddc937126eebad96cb438c9c8f51e7,
            0x39ebfc5ef71fb6fb5c80fe896b49d01252fb1149d90193d8877e2b434f67f87f,
            0xf2d510bbb8b1c1580c46250f0dcc185c275369d557e2b72245a43b38dd0c11dd,
            0xe240cc6f54d0f19a1b65f985a16da2894c7b61e295e2ad4abd62845838a02b6f
        );
        if (!known) revert FrostBroken();
    }
}
