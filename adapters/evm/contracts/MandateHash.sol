// SPDX-License-Identifier: Apache-2.0
pragma solidity ^0.8.30;

import {MessageHashUtils} from "@openzeppelin/contracts/utils/cryptography/MessageHashUtils.sol";
import {Act, Mandate} from "./TocsinTypes.sol";

/// The hashes that are signed, and that every implementation must agree on (core SPEC 4.2 to 4.4).
library MandateHash {
    /// Of `EIP712Domain(string name,string version)` with "Tocsin" and "1"; in full, as the compiler would hash it anew.
    bytes32 internal constant DOMAIN_SEPARATOR =
        0x1c405776b0594a4900d5ce23afd869cfc996366d62ad8d2191c74e187c68ee59;
    bytes32 internal constant MANDATE_TYPE = keccak256(
        "Mandate(bytes32 network,uint32 keyEpoch,uint8 tier,bytes32 planHash,uint8 op,bytes32 decisionId,bytes32 actsRoot,uint64 notBefore,uint64 notAfter)"
    );

    /// The EIP-712 digest of a struct hash; the domain names no chain, the leaves do.
    function typed(bytes32 structHash) internal pure returns (bytes32) {
        return MessageHashUtils.toTypedDataHash(DOMAIN_SEPARATOR, structHash);
    }

    /// A mandate's nine words are hashed as they came; whoever reads a field has it checked to be in range.
    function ofMandate(Mandate calldata mandate) internal pure returns (bytes32) {
        bytes32 structHash;
        bytes32 mandateType = MANDATE_TYPE;
        assembly ("memory-safe") {
            let words := mload(0x40)
            mstore(words, mandateType)
            calldatacopy(add(words, 32), mandate, 288)
            structHash := keccak256(words, 320)
        }
        return typed(structHash);
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
        return keccak256(abi.encodePacked(hex"00", chain, place, actId, actHash, uint256(duration)));
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
