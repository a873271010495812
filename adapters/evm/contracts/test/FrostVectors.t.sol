// SPDX-License-Identifier: Apache-2.0
pragma solidity ^0.8.30;

import {Test} from "forge-std/Test.sol";
import {FrostSignature} from "../FrostSignature.sol";
import {TIER_FAST, TIER_FULL} from "../TocsinTypes.sol";
import {GroupKey, GroupKeys, TocsinVerifier} from "../TocsinVerifier.sol";

/// The other implementation's vectors: what threshold holders sign there is what the contracts take here.
contract FrostVectorsTest is Test {
    string private _json;

    function setUp() public {
        _json = vm.readFile("../../tests/vectors/frost.json");
        vm.warp(1_659_390_000);
    }

    function verified(GroupKey calldata key, bytes32 digest, bytes calldata certificate)
        external
        view
        returns (bool)
    {
        (uint256 rx, uint256 ry, uint256 z) = abi.decode(certificate[1:], (uint256, uint256, uint256));
        return FrostSignature.verify(key.x, key.parity, digest, rx, ry, z);
    }

    function test_possessions_and_certificates_are_taken_and_negatives_refused() public {
        uint256 i = 0;
        for (; vm.keyExistsJson(_json, _case(i)); ++i) {
            TocsinVerifier verifier = _verifier(i);
            _checkTier(verifier, i, TIER_FAST, ".fast", ".full");
            _checkTier(verifier, i, TIER_FULL, ".full", ".fast");
        }
        assertEq(i, 4);
    }

    function test_what_shows_possession_is_the_same_digest() public view {
        for (uint256 i = 0; vm.keyExistsJson(_json, _case(i)); ++i) {
            string[2] memory tiers = [".fast", ".full"];
            for (uint256 j = 0; j < tiers.length; ++j) {
                string memory path = string.concat(_case(i), tiers[j]);
                GroupKey memory key = _key(path);
                bytes32 digest = vm.parseJsonBytes32(_json, string.concat(path, ".proofDigest"));
                assertTrue(this.verified(key, digest, key.possession));
                assertFalse(this.verified(key, ~digest, key.possession));
            }
        }
    }

    function test_keys_of_another_tier_network_or_epoch_are_not_taken() public {
        bytes32 network = _network(0);
        uint32 epoch = _epoch(0);
        GroupKeys memory groups = _groups(0);

        vm.expectRevert();
        this.deploy(~network, epoch, groups);
        vm.expectRevert();
        this.deploy(network, epoch - 1, groups);
        vm.expectRevert();
        this.deploy(network, epoch, GroupKeys({fast: groups.full, full: groups.fast}));
        this.deploy(network, epoch, groups);
    }

    function deploy(bytes32 network, uint32 epoch, GroupKeys memory groups) public returns (TocsinVerifier) {
        address[] memory attesters = new address[](4);
        for (uint160 i = 0; i < 4; ++i) {
            attesters[i] = address(i + 1);
        }
        return new TocsinVerifier(network, epoch, attesters, 2, 3, groups, 1 days, 6 hours);
    }

    function _checkTier(
        TocsinVerifier verifier,
        uint256 i,
        uint8 tier,
        string memory name,
        string memory otherName
    ) private view {
        string memory path = string.concat(_case(i), name);
        bytes32 digest = vm.parseJsonBytes32(_json, string.concat(_case(i), ".digest"));
        assertTrue(verifier.verify(digest, tier, _epoch(i), _bytes(path, ".certificate")), name);
        bytes memory other = _bytes(string.concat(_case(i), otherName), ".certificate");
        assertFalse(verifier.verify(digest, tier, _epoch(i), other), "of the other tier");
        uint256 j = 0;
        for (; vm.keyExistsJson(_json, _negative(path, j)); ++j) {
            string memory why = vm.parseJsonString(_json, string.concat(_negative(path, j), ".why"));
            assertFalse(verifier.verify(digest, tier, _epoch(i), _bytes(_negative(path, j), ".bytes")), why);
        }
        assertEq(j, 14);
    }

    // ---- reading

    function _verifier(uint256 i) private returns (TocsinVerifier) {
        return deploy(_network(i), _epoch(i), _groups(i));
    }

    function _groups(uint256 i) private view returns (GroupKeys memory) {
        return GroupKeys({
            fast: _key(string.concat(_case(i), ".fast")), full: _key(string.concat(_case(i), ".full"))
        });
    }

    function _key(string memory path) private view returns (GroupKey memory) {
        return GroupKey({
            x: uint256(vm.parseJsonBytes32(_json, string.concat(path, ".x"))),
            parity: uint8(vm.parseJsonUint(_json, string.concat(path, ".parity"))),
            possession: _bytes(path, ".possession")
        });
    }

    function _network(uint256 i) private view returns (bytes32) {
        return vm.parseJsonBytes32(_json, string.concat(_case(i), ".network"));
    }

    function _epoch(uint256 i) private view returns (uint32) {
        return uint32(vm.parseJsonUint(_json, string.concat(_case(i), ".keyEpoch")));
    }

    function _case(uint256 i) private pure returns (string memory) {
        return string.concat(".cases[", vm.toString(i), "]");
    }

    function _negative(string memory path, uint256 j) private pure returns (string memory) {
        return string.concat(path, ".negatives[", vm.toString(j), "]");
    }

    function _bytes(string memory path, string memory key) private view returns (bytes memory) {
        return vm.parseJsonBytes(_json, string.concat(path, key));
    }
}
