// SPDX-License-Identifier: Apache-2.0
pragma solidity ^0.8.30;

import {Test, Vm} from "forge-std/Test.sol";
import {MandateHash} from "../MandateHash.sol";
import {TIER_FAST, TIER_FULL} from "../TocsinTypes.sol";
import {GroupKey, GroupKeys} from "../VerifierTypes.sol";

/// Signs as a whole group would, by its one secret; its challenge is written without the contracts' own code.
abstract contract FrostSigner is Test {
    uint256 internal constant N = 0xFFFFFFFFFFFFFFFFFFFFFFFFFFFFFFFEBAAEDCE6AF48A03BBFD25E8CD0364141;
    uint256 internal constant P = 0xFFFFFFFFFFFFFFFFFFFFFFFFFFFFFFFFFFFFFFFFFFFFFFFFFFFFFFFEFFFFFC2F;
    bytes private constant TAG = "FROST-secp256k1-SHA256-v1chal";

    /// Both keys of an epoch, each with its possession.
    function _groups(bytes32 network, uint32 epoch, uint256 fastSecret, uint256 fullSecret)
        internal
        returns (GroupKeys memory groups)
    {
        groups.fast = _group(network, epoch, TIER_FAST, fastSecret);
        groups.full = _group(network, epoch, TIER_FULL, fullSecret);
    }

    function _group(bytes32 network, uint32 epoch, uint8 tier, uint256 secret)
        internal
        returns (GroupKey memory group)
    {
        (uint256 x, uint8 parity) = _publicKey(secret);
        bytes32 digest = _keyProof(network, epoch, tier, x, parity);
        return GroupKey({x: x, parity: parity, possession: _signByGroup(secret, digest)});
    }

    function _keyProof(bytes32 network, uint32 epoch, uint8 tier, uint256 x, uint8 parity)
        internal
        pure
        returns (bytes32)
    {
        bytes32 type_ =
            keccak256("KeyProof(bytes32 network,uint32 keyEpoch,uint8 tier,uint256 x,uint8 parity)");
        bytes32 hash = keccak256(abi.encode(type_, network, epoch, tier, x, parity));
        return keccak256(abi.encodePacked(hex"1901", MandateHash.DOMAIN_SEPARATOR, hash));
    }

    /// A certificate of kind 0x02; its nonce follows from secret and digest.
    function _signByGroup(uint256 secret, bytes32 digest) internal returns (bytes memory) {
        return _signWithNonce(secret, digest, uint256(keccak256(abi.encode("nonce", secret, digest))) >> 1);
    }

    function _signWithNonce(uint256 secret, bytes32 digest, uint256 nonce) internal returns (bytes memory) {
        Vm.Wallet memory r = vm.createWallet(nonce);
        (uint256 x, uint8 parity) = _publicKey(secret);
        uint256 c = _challenge(r.publicKeyX, r.publicKeyY, x, parity, digest);
        return abi.encodePacked(hex"02", r.publicKeyX, r.publicKeyY, addmod(nonce, mulmod(c, secret, N), N));
    }

    function _publicKey(uint256 secret) internal returns (uint256 x, uint8 parity) {
        Vm.Wallet memory key = vm.createWallet(secret);
        return (key.publicKeyX, 2 + uint8(key.publicKeyY & 1));
    }

    /// RFC 9591, 6.5, H2: hash_to_field by expand_message_xmd with SHA-256 (RFC 9380, 5.3.1).
    function _challenge(uint256 rx, uint256 ry, uint256 x, uint8 parity, bytes32 digest)
        internal
        pure
        returns (uint256)
    {
        bytes memory tag = abi.encodePacked(TAG, uint8(29));
        bytes memory message = abi.encodePacked(uint8(2 + (ry & 1)), rx, parity, x, digest);
        bytes32 whole = sha256(abi.encodePacked(new bytes(64), message, uint16(48), uint8(0), tag));
        bytes32 first = sha256(abi.encodePacked(whole, uint8(1), tag));
        bytes32 second = sha256(abi.encodePacked(whole ^ first, uint8(2), tag));
        uint256 high = mulmod(uint256(first), 1 << 128, N);
        return addmod(high, uint256(second) >> 128, N);
    }
}
