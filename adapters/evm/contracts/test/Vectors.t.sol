// SPDX-License-Identifier: Apache-2.0
pragma solidity ^0.8.30;

import {Test} from "forge-std/Test.sol";
import {MandateHash} from "../MandateHash.sol";
import {Act, Mandate} from "../TocsinTypes.sol";
import {TocsinVerifier} from "../TocsinVerifier.sol";
import {GroupKeys} from "../VerifierTypes.sol";

/// The other implementation's vectors: what it signs is what the contracts check.
contract VectorsTest is Test {
    string private _json;

    function setUp() public {
        _json = vm.readFile("../../tests/vectors/mandate.json");
        vm.warp(1_659_390_000);
    }

    function digestOf(Mandate calldata mandate) external pure returns (bytes32) {
        return MandateHash.ofMandate(mandate);
    }

    function includes(bytes32 root, bytes32 leaf, bytes32[] calldata proof) external pure returns (bool) {
        return MandateHash.includes(root, leaf, proof);
    }

    function test_the_domain_separator_is_that_of_name_and_version() public pure {
        bytes32 domain = keccak256("EIP712Domain(string name,string version)");
        bytes32 expected = keccak256(abi.encode(domain, keccak256("Tocsin"), keccak256("1")));
        assertEq(MandateHash.DOMAIN_SEPARATOR, expected);
    }

    function test_mandate_digests_agree() public view {
        for (uint256 i = 0; _has(_case(i)); ++i) {
            assertEq(this.digestOf(_mandate(_at(_case(i), ".mandate"))), _bytes32(_case(i), ".digest"));
        }
    }

    function test_each_signed_field_changes_the_digest() public view {
        for (uint256 i = 0; _has(_case(i)); ++i) {
            uint256 fields = 0;
            for (; _has(_negative(i, fields)); ++fields) {
                bytes32 digest = this.digestOf(_mandate(_at(_negative(i, fields), ".mandate")));
                assertEq(digest, _bytes32(_negative(i, fields), ".digest"));
                assertNotEq(digest, _bytes32(_case(i), ".digest"));
            }
            assertEq(fields, 9, "one negative per field");
        }
    }

    function test_act_hashes_agree() public view {
        for (uint256 i = 0; _has(_case(i)); ++i) {
            for (uint256 j = 0; _has(_index(i, ".acts", j)); ++j) {
                string memory path = _index(i, ".acts", j);
                assertEq(MandateHash.ofAct(_act(path)), _bytes32(path, ".hash"));
            }
        }
    }

    function test_leaves_roots_and_proofs_agree() public view {
        for (uint256 i = 0; _has(_case(i)); ++i) {
            bytes32 root = _bytes32(_case(i), ".root");
            uint256 j = 0;
            for (; _has(_index(i, ".leaves", j)); ++j) {
                string memory path = _index(i, ".leaves", j);
                bytes32 leaf = MandateHash.ofLeaf(
                    keccak256(bytes(vm.parseJsonString(_json, _at(path, ".chain")))),
                    address(uint160(uint256(_bytes32(path, ".gateway")))),
                    _bytes32(path, ".actId"),
                    _bytes32(path, ".actHash"),
                    uint64(_uint(path, ".durationS"))
                );
                assertEq(leaf, _bytes32(path, ".leaf"));
                bytes32[] memory proof = vm.parseJsonBytes32Array(_json, _index(i, ".proofs", j));
                assertTrue(this.includes(root, leaf, proof));
                assertFalse(this.includes(root, keccak256(abi.encode(leaf)), proof));
            }
            assertGt(j, 0);
        }
    }

    function test_certificates_agree() public {
        for (uint256 i = 0; _has(_case(i)); ++i) {
            TocsinVerifier verifier = _verifier(i);
            bytes32 digest = _bytes32(_case(i), ".digest");
            uint8 tier = uint8(_uint(_case(i), ".mandate.tier"));
            assertTrue(verifier.verify(digest, tier, 1, _bytes(_case(i), ".certificate.bytes")), "valid");
            uint256 j = 0;
            for (; _has(_index(i, ".certificate.negatives", j)); ++j) {
                string memory path = _index(i, ".certificate.negatives", j);
                string memory why = vm.parseJsonString(_json, _at(path, ".why"));
                assertFalse(verifier.verify(digest, tier, 1, _bytes(path, ".bytes")), why);
            }
            assertGt(j, 5);
        }
    }

    // ---- reading

    function _verifier(uint256 i) private returns (TocsinVerifier) {
        address[] memory attesters = vm.parseJsonAddressArray(_json, _at(_case(i), ".certificate.attesters"));
        uint256 faulty = (attesters.length - 1) / 3;
        uint8 fast = uint8(faulty + 1 > 2 ? faulty + 1 : 2);
        uint8 full = uint8((attesters.length + faulty) / 2 + 1);
        assertEq(
            _uint(_case(i), ".certificate.threshold"), _uint(_case(i), ".mandate.tier") == 1 ? fast : full
        );
        GroupKeys memory none;
        return new TocsinVerifier(0, 1, attesters, fast, full, none, 1 days, 6 hours);
    }

    function _mandate(string memory path) private view returns (Mandate memory) {
        return Mandate({
            network: _bytes32(path, ".network"),
            keyEpoch: uint32(_uint(path, ".keyEpoch")),
            tier: uint8(_uint(path, ".tier")),
            planHash: _bytes32(path, ".planHash"),
            op: uint8(_uint(path, ".op")),
            decisionId: _bytes32(path, ".decisionId"),
            actsRoot: _bytes32(path, ".actsRoot"),
            notBefore: uint64(_uint(path, ".notBefore")),
            notAfter: uint64(_uint(path, ".notAfter"))
        });
    }

    function _act(string memory path) private view returns (Act memory) {
        return Act({
            target: vm.parseJsonAddress(_json, _at(path, ".target")),
            call: _bytes(path, ".call"),
            stateTarget: vm.parseJsonAddress(_json, _at(path, ".stateTarget")),
            stateCall: _bytes(path, ".stateCall"),
            stateWord: uint8(_uint(path, ".stateWord")),
            value: uint256(_bytes32(path, ".value")),
            compare: uint8(_uint(path, ".compare")),
            undo: uint8(_uint(path, ".undo")),
            undoCall: _bytes(path, ".undoCall"),
            restoreAt: uint16(_uint(path, ".restoreAt")),
            gasCap: uint64(_uint(path, ".gasCap"))
        });
    }

    function _has(string memory path) private view returns (bool) {
        return vm.keyExistsJson(_json, path);
    }

    function _case(uint256 i) private pure returns (string memory) {
        return string.concat(".cases[", vm.toString(i), "]");
    }

    function _index(uint256 i, string memory list, uint256 j) private pure returns (string memory) {
        return string.concat(_case(i), list, "[", vm.toString(j), "]");
    }

    function _negative(uint256 i, uint256 j) private pure returns (string memory) {
        return _index(i, ".negatives", j);
    }

    function _at(string memory path, string memory key) private pure returns (string memory) {
        return string.concat(path, key);
    }

    function _bytes32(string memory path, string memory key) private view returns (bytes32) {
        return vm.parseJsonBytes32(_json, _at(path, key));
    }

    function _bytes(string memory path, string memory key) private view returns (bytes memory) {
        return vm.parseJsonBytes(_json, _at(path, key));
    }

    function _uint(string memory path, string memory key) private view returns (uint256) {
        return vm.parseJsonUint(_json, _at(path, key));
    }
}
