// SPDX-License-Identifier: Apache-2.0
pragma solidity ^0.8.30;

import {Test} from "forge-std/Test.sol";

/// Puts contracts on the chain that another compiler built (third_party/artifacts), libraries linked.
abstract contract ForeignCode is Test {
    mapping(string name => address) private _libraries;

    /// The creation code of a foreign contract with its libraries' addresses in place; deploys those it needs.
    function _foreignCode(string memory name) internal returns (bytes memory code) {
        string memory json = vm.readFile(string.concat("third_party/artifacts/", name, ".json"));
        code = vm.parseJsonBytes(json, ".bytecode");
        string[] memory libraries = vm.parseJsonStringArray(json, ".libraries");
        uint256[] memory offsets = vm.parseJsonUintArray(json, ".offsets");
        for (uint256 i = 0; i < libraries.length; ++i) {
            _put(code, offsets[i], _library(libraries[i]));
        }
    }

    function _deployForeign(string memory name, bytes memory arguments) internal returns (address made) {
        bytes memory code = bytes.concat(_foreignCode(name), arguments);
        assembly ("memory-safe") {
            made := create(0, add(code, 32), mload(code))
        }
        require(made != address(0), string.concat("not deployed: ", name));
    }

    function _library(string memory name) private returns (address) {
        if (_libraries[name] == address(0)) _libraries[name] = _deployForeign(name, "");
        return _libraries[name];
    }

    /// Zeros stand where a library's address goes.
    function _put(bytes memory code, uint256 offset, address made) private pure {
        assembly ("memory-safe") {
            let place := add(add(code, 32), offset)
            mstore(place, or(mload(place), shl(96, made)))
        }
    }
}
