// SPDX-License-Identifier: Apache-2.0
pragma solidity ^0.8.30;

/// Bytes kept as the code of an account that nobody can call: one cold access instead of one a word.
library CodeStore {
    error CodeNotStored(uint256 size);

    /// Returns the address whose code is a STOP byte and `data` (at most 24,575 bytes).
    function write(bytes memory data) internal returns (address pointer) {
        // The creation code returns everything after its own 11 bytes; the STOP byte makes the rest uncallable.
        bytes memory creation = abi.encodePacked(hex"600b5981380380925939f300", data);
        assembly ("memory-safe") {
            pointer := create(0, add(creation, 32), mload(creation))
        }
        if (pointer == address(0)) revert CodeNotStored(data.length);
    }

    /// What `write` kept at `pointer`.
    function read(address pointer) internal view returns (bytes memory data) {
        assembly ("memory-safe") {
            data := mload(0x40)
            let size := sub(extcodesize(pointer), 1)
            mstore(data, size)
            extcodecopy(pointer, add(data, 32), 1, size)
            mstore(0x40, add(data, and(add(size, 63), not(31))))
        }
    }
}
