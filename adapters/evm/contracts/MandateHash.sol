// SPDX-License-Identifier: Apache-2.0
pragma solidity ^0.8.30;

import {Act, Mandate} from "./TocsinTypes.sol";

/// The hashes that are signed, and that every implementation must agree on (core SPEC 4.2 to 4.4).
library MandateHash {
    bytes32 internal constant DOMAIN_SEPARATOR = keccak256(
        abi.encode(keccak256("EIP712Domain(string name,string version)"), keccak256("Tocsin"), keccak256("1"))
    );
    bytes32 internal constant MANDATE_TYPE = keccak256(
        "Mandate(bytes32 network,uint32 keyEpoch,uint8 tier,bytes32 planHash,uint8 op,bytes32 decisionId,bytes32 actsRoot,uint64 notBefore,uint64 notAfter)"
    );

    /// The EIP-712 digest of a struct hash; the domain names no chain, the leaves do.
    function typed(bytes32 structHash) internal pure returns (bytes32) {
        return keccak256(abi.encodePacked(hex"1901", DOMAIN_SEPARATOR, structHash));
    }

    function ofMandate(Mandate calldata mandate) internal pure returns (bytes32) {
        return typed(keccak256(abi.encode(MANDATE_TYPE, mandate)));
    }

    function ofAct(Act memory act) internal pure returns (bytes32) {
        return keccak256(
            abi.encode(
                act.target,
                keccak256(act.call),
                act.stateTarget,
                keccak256(act.stateCall),
                act.stateWord,
                act.value,
                act.compare,
                act.undo,
                keccak256(act.undoCall),
                act.restoreAt,
                act.gasCap
            )
        );
    }

    /// `chain` is the Keccak-256 of the CAIP-2 name.
    function ofLeaf(bytes32 chain, address gateway, bytes32 actId, bytes32 actHash, uint64 duration)
        internal
        pure
        returns (bytes32)
    {
        bytes32 place = bytes32(uint256(uint160(gateway)));
        return keccak256(abi.encodePacked(hex"00", abi.encode(chain, place, actId, actHash, duration)));
    }

    /// Whether `leaf` stands under `root`; the proof lists the siblings, leaf side first.
    function includes(bytes32 root, bytes32 leaf, bytes32[] calldata proof) internal pure returns (bool) {
        bytes32 node = leaf;
        for (uint256 i = 0; i < proof.length; ++i) {
            bytes32 sibling = proof[i];
            (bytes32 low, bytes32 high) = node < sibling ? (node, sibling) : (sibling, node);
            node = keccak256(abi.encodePacked(hex"01", low, high));
        }
        return node == root;
    }
}
