// SPDX-License-Identifier: Apache-2.0
pragma solidity ^0.8.30;

import {Test} from "forge-std/Test.sol";
import {TIER_FAST, TIER_FULL} from "../TocsinTypes.sol";
import {TocsinVerifier} from "../TocsinVerifier.sol";
import {GroupKey, GroupKeys, Rotation} from "../VerifierTypes.sol";

/// The other implementation's vectors: what groups sign there is what the verifier takes here.
contract FrostVectorsTest is Test {
    string private _json;

    function setUp() public {
        _json = vm.readFile("../../tests/vectors/frost.json");
        vm.warp(1_659_390_000);
    }

    function test_keys_are_taken_with_the_possession_of_the_vectors() public {
        for (uint256 i = 0; _has(_case(i, "")); ++i) {
            GroupKeys memory groups = _groups(i);
            TocsinVerifier verifier = _verifier(i, groups);
            (bytes32 network, uint32 epoch) = (_bytes32(i, ".network"), uint32(_uint(i, ".keyEpoch")));
            assertEq(
                verifier.keyProofDigest(network, epoch, TIER_FAST, groups.fast.x, groups.fast.parity),
                _bytes32(i, ".groups.fast.proofDigest")
            );
            assertEq(
                verifier.keyProofDigest(network, epoch, TIER_FULL, groups.full.x, groups.full.parity),
                _bytes32(i, ".groups.full.proofDigest")
            );
            assertEq(verifier.groupsHash(groups), _bytes32(i, ".groups.hash"));
        }
    }

    function test_certificates_agree() public {
        uint256 cases = 0;
        for (; _has(_case(cases, "")); ++cases) {
            TocsinVerifier verifier = _verifier(cases, _groups(cases));
            uint32 epoch = uint32(_uint(cases, ".keyEpoch"));
            uint256 count = 0;
            for (; _has(_case(cases, _certificate(count))); ++count) {
                _check(verifier, epoch, cases, _certificate(count));
            }
            assertGt(count, 1);
        }
        assertGt(cases, 2);
    }

    function test_rotations_agree() public {
        for (uint256 i = 0; _has(_case(i, "")); ++i) {
            Rotation memory rotation = Rotation({
                network: _bytes32(i, ".rotation.network"),
                chainId: _uint(i, ".rotation.chainId"),
                verifier: vm.parseJsonAddress(_json, _case(i, ".rotation.verifier")),
                newEpoch: uint32(_uint(i, ".rotation.newEpoch")),
                attestersHash: _bytes32(i, ".rotation.attestersHash"),
                groupsHash: _bytes32(i, ".rotation.groupsHash"),
                fast: uint8(_uint(i, ".rotation.fast")),
                full: uint8(_uint(i, ".rotation.full")),
                notBefore: uint64(_uint(i, ".rotation.notBefore")),
                notAfter: uint64(_uint(i, ".rotation.notAfter")),
                revokePrevious: vm.parseJsonBool(_json, _case(i, ".rotation.revokePrevious"))
            });
            assertEq(_verifier(i, _groups(i)).rotationDigest(rotation), _bytes32(i, ".rotation.digest"));
        }
    }

    // ---- reading

    function _check(TocsinVerifier verifier, uint32 epoch, uint256 i, string memory path) private view {
        bytes32 digest = _bytes32(i, string.concat(path, ".digest"));
        uint8 tier = uint8(_uint(i, string.concat(path, ".tier")));
        assertTrue(verifier.verify(digest, tier, epoch, _bytes(i, string.concat(path, ".certificate"))));
        uint256 j = 0;
        for (; _has(_case(i, _negative(path, j, ""))); ++j) {
            string memory why = vm.parseJsonString(_json, _case(i, _negative(path, j, ".why")));
            assertFalse(verifier.verify(digest, tier, epoch, _bytes(i, _negative(path, j, ".bytes"))), why);
        }
        assertGt(j, 10);
    }

    function _verifier(uint256 i, GroupKeys memory groups) private returns (TocsinVerifier) {
        address[] memory attesters = new address[](4);
        for (uint160 j = 0; j < 4; ++j) {
            attesters[j] = address(j + 1);
        }
        return new TocsinVerifier(
            _bytes32(i, ".network"), uint32(_uint(i, ".keyEpoch")), attesters, 2, 3, groups, 1 days, 6 hours
        );
    }

    function _groups(uint256 i) private view returns (GroupKeys memory) {
        return GroupKeys(_group(i, ".groups.fast"), _group(i, ".groups.full"));
    }

    function _group(uint256 i, string memory path) private view returns (GroupKey memory) {
        return GroupKey({
            x: uint256(_bytes32(i, string.concat(path, ".x"))),
            parity: uint8(_uint(i, string.concat(path, ".parity"))),
            possession: _bytes(i, string.concat(path, ".possession"))
        });
    }

    function _has(string memory path) private view returns (bool) {
        return vm.keyExistsJson(_json, path);
    }

    function _case(uint256 i, string memory path) private pure returns (string memory) {
        return string.concat(".cases[", vm.toString(i), "]", path);
    }

    function _certificate(uint256 j) private pure returns (string memory) {
        return string.concat(".certificates[", vm.toString(j), "]");
    }

    function _negative(string memory path, uint256 j, string memory key)
        private
        pure
        returns (string memory)
    {
        return string.concat(path, ".negatives[", vm.toString(j), "]", key);
    }

    function _bytes32(uint256 i, string memory path) private view returns (bytes32) {
        return vm.parseJsonBytes32(_json, _case(i, path));
    }

    function _bytes(uint256 i, string memory path) private view returns (bytes memory) {
        return vm.parseJsonBytes(_json, _case(i, path));
    }

    function _uint(uint256 i, string memory path) private view returns (uint256) {
        return vm.parseJsonUint(_json, _case(i, path));
    }
}
