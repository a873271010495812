// SPDX-License-Identifier: Apache-2.0
pragma solidity ^0.8.30;

import {RealFixture} from "./RealFixture.sol";

/// What the tests call of a Safe 1.4.1.
interface ISafe {
    function setup(
        address[] calldata owners,
        uint256 threshold,
        address to,
        bytes calldata data,
        address fallbackHandler,
        address paymentToken,
        uint256 payment,
        address payable paymentReceiver
    ) external;
    function execTransaction(
        address to,
        uint256 value,
        bytes calldata data,
        uint8 operation,
        uint256 safeTxGas,
        uint256 baseGas,
        uint256 gasPrice,
        address gasToken,
        address payable refundReceiver,
        bytes calldata signatures
    ) external payable returns (bool);
    function getTransactionHash(
        address to,
        uint256 value,
        bytes calldata data,
        uint8 operation,
        uint256 safeTxGas,
        uint256 baseGas,
        uint256 gasPrice,
        address gasToken,
        address refundReceiver,
        uint256 nonce
    ) external view returns (bytes32);
    function execTransactionFromModule(address to, uint256 value, bytes calldata data, uint8 operation)
        external
        returns (bool);
    function enableModule(address module) external;
    function disableModule(address previous, address module) external;
    function isModuleEnabled(address module) external view returns (bool);
    function nonce() external view returns (uint256);
}

interface ISafeProxyFactory {
    function createProxyWithNonce(address singleton, bytes calldata initializer, uint256 saltNonce)
        external
        returns (address);
}

interface IMultiSend {
    function multiSend(bytes calldata transactions) external payable;
}

/// A real Safe of three owners, two of whom sign.
abstract contract SafeAccount is RealFixture {
    uint8 internal constant CALL = 0;
    uint8 internal constant DELEGATECALL = 1;
    address internal constant FIRST_MODULE = address(1);

    ISafe internal safe;
    address internal multiSend;
    uint256[] internal safeKeys;

    function setUp() public virtual override {
        super.setUp();
        safeKeys = _sortedKeys("safe", 3);
        address singleton = _deployForeign("Safe", "");
        address factory = _deployForeign("SafeProxyFactory", "");
        multiSend = _deployForeign("MultiSendCallOnly", "");
        bytes memory initializer = abi.encodeCall(
            ISafe.setup,
            (_addresses(safeKeys), 2, address(0), "", address(0), address(0), 0, payable(address(0)))
        );
        safe = ISafe(ISafeProxyFactory(factory).createProxyWithNonce(singleton, initializer, 0));
    }

    /// A transaction of the Safe, signed by the first two owners, sent by a stranger.
    function _safeExecutes(address to, bytes memory data, uint8 operation) internal {
        bytes32 digest =
            safe.getTransactionHash(to, 0, data, operation, 0, 0, 0, address(0), address(0), safe.nonce());
        bytes memory signatures;
        for (uint256 i = 0; i < 2; ++i) {
            (uint8 v, bytes32 r, bytes32 s) = vm.sign(safeKeys[i], digest);
            signatures = abi.encodePacked(signatures, r, s, v);
        }
        vm.prank(stranger);
        bool done = safe.execTransaction(
            to, 0, data, operation, 0, 0, 0, address(0), payable(address(0)), signatures
        );
        assertTrue(done);
    }

    /// Several calls to one contract in one transaction of the Safe, as Transaction Builder makes it.
    function _safeExecutesAll(address to, bytes[] memory calls) internal {
        bytes memory packed;
        for (uint256 i = 0; i < calls.length; ++i) {
            packed = abi.encodePacked(packed, CALL, to, uint256(0), calls[i].length, calls[i]);
        }
        _safeExecutes(multiSend, abi.encodeCall(IMultiSend.multiSend, (packed)), DELEGATECALL);
    }
}
