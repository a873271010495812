// SPDX-License-Identifier: Apache-2.0
pragma solidity ^0.8.30;

import {MandateHash} from "../MandateHash.sol";
import {TocsinGateway} from "../TocsinGateway.sol";
import {
    Act,
    Budget,
    Limits,
    Mandate,
    OP_PROTECT,
    Record,
    Result,
    TIER_FAST,
    TIER_FULL
} from "../TocsinTypes.sol";
import {TocsinVerifier} from "../TocsinVerifier.sol";
import {GroupKeys} from "../VerifierTypes.sol";
import {FrostSigner} from "./FrostSigner.sol";
import {CapTarget, SwitchTarget} from "./Targets.sol";

/// A committee of four with two targets behind one gateway.
abstract contract Fixture is FrostSigner {
    bytes32 internal constant NETWORK = keccak256("network");
    bytes32 internal constant PLAN = keccak256("plan 1");
    bytes32 internal constant PAUSE = keccak256("halt");
    bytes32 internal constant CAP = keccak256("cap");
    uint64 internal constant SKEW = 60;
    uint64 internal constant DELAY = 2 days;
    uint64 internal constant WINDOW = 30 days;
    uint64 internal constant HOURS_6 = 6 hours;
    uint64 internal constant START = 1_800_000_000;
    uint32 internal constant EPOCH = 1;
    uint256 internal constant FAST_SECRET = uint256(keccak256("fast group")) >> 1;
    uint256 internal constant FULL_SECRET = uint256(keccak256("full group")) >> 1;

    address internal owner = makeAddr("owner");
    address internal guardian = makeAddr("guardian");
    address internal stranger = makeAddr("mallory");
    uint256[] internal keys;
    TocsinVerifier internal verifier;
    TocsinGateway internal gateway;
    SwitchTarget internal switcher;
    CapTarget internal capper;

    function setUp() public virtual {
        // Mandates from before an act's registration are dead.
        vm.warp(START - 1 hours);
        keys = _sortedKeys("attester", 4);
        verifier = _newVerifier(NETWORK, EPOCH, _addresses(keys));
        gateway = _newGateway(Budget({fastSeconds: 24 hours, allSeconds: 21 days, fastRecords: 3}));
        switcher = new SwitchTarget();
        switcher.allow(address(gateway));
        switcher.allow(guardian);
        capper = new CapTarget();
        vm.startPrank(owner);
        gateway.registerAct(PAUSE, _pauseAct(), TIER_FAST, 72 hours);
        gateway.registerAct(CAP, _capAct(), TIER_FULL, 72 hours);
        gateway.setPlan(PLAN, 0, 0);
        vm.stopPrank();
        vm.warp(START);
    }

    // ---- makers

    /// Of four attesters, with group keys for both tiers.
    function _newVerifier(bytes32 network, uint32 epoch, address[] memory attesters)
        internal
        returns (TocsinVerifier)
    {
        GroupKeys memory groups = _groups(network, epoch, FAST_SECRET, FULL_SECRET);
        return new TocsinVerifier(network, epoch, attesters, 2, 3, groups, 1 days, 6 hours);
    }

    function _noGroups() internal pure returns (GroupKeys memory groups) {}

    /// What a rotation names no group keys by.
    function _noGroupsHash() internal pure returns (bytes32) {
        return keccak256(new bytes(66));
    }

    function _newGateway(Budget memory budget) internal returns (TocsinGateway) {
        Limits memory limits = Limits({skew: SKEW, weakeningDelay: DELAY, window: WINDOW});
        return new TocsinGateway(owner, guardian, verifier, NETWORK, limits, budget);
    }

    function _pauseAct() internal view returns (Act memory) {
        return _switchAct(address(switcher), "pause()", "unpause()", "paused()");
    }

    function _switchAct(address target, string memory on, string memory off, string memory state)
        internal
        pure
        returns (Act memory)
    {
        return Act({
            target: target,
            call: abi.encodeWithSignature(on),
            stateTarget: target,
            stateCall: abi.encodeWithSignature(state),
            stateWord: 0,
            value: 1,
            compare: 0,
            undo: 1,
            undoCall: abi.encodeWithSignature(off),
            restoreAt: 0,
            gasCap: 100_000
        });
    }

    function _capAct() internal view returns (Act memory) {
        return Act({
            target: address(capper),
            call: abi.encodeCall(CapTarget.setCap, (10)),
            stateTarget: address(capper),
            stateCall: abi.encodeCall(CapTarget.config, ()),
            stateWord: 1,
            value: 10,
            compare: 1,
            undo: 2,
            undoCall: abi.encodeCall(CapTarget.setCap, (0)),
            restoreAt: 4,
            gasCap: 100_000
        });
    }

    function _sortedKeys(string memory seed, uint256 count) internal pure returns (uint256[] memory sorted) {
        sorted = new uint256[](count);
        for (uint256 i = 0; i < count; ++i) {
            uint256 key = uint256(keccak256(abi.encode(seed, i))) >> 1;
            uint256 j = i;
            for (; j > 0 && vm.addr(sorted[j - 1]) > vm.addr(key); --j) {
                sorted[j] = sorted[j - 1];
            }
            sorted[j] = key;
        }
    }

    function _addresses(uint256[] memory keys_) internal pure returns (address[] memory list) {
        list = new address[](keys_.length);
        for (uint256 i = 0; i < list.length; ++i) {
            list[i] = vm.addr(keys_[i]);
        }
    }

    // ---- mandates

    function _now() internal view returns (uint64) {
        return uint64(vm.getBlockTimestamp());
    }

    function _mandate(uint8 op, uint8 tier, uint64 notBefore) internal pure returns (Mandate memory) {
        return Mandate({
            network: NETWORK,
            keyEpoch: EPOCH,
            tier: tier,
            planHash: PLAN,
            op: op,
            decisionId: keccak256(abi.encode("decision", op, tier, notBefore)),
            actsRoot: 0,
            notBefore: notBefore,
            notAfter: notBefore + (tier == TIER_FAST ? 30 minutes : 6 hours)
        });
    }

    function _leaf(bytes32 actId, uint64 duration) internal view returns (bytes32) {
        (Act memory act,,,) = gateway.act(actId);
        bytes32 chain = keccak256(bytes(string.concat("eip155:", vm.toString(block.chainid))));
        return MandateHash.ofLeaf(chain, address(gateway), actId, MandateHash.ofAct(act), duration);
    }

    function _certificate(bytes32 digest, uint256 signers) internal view returns (bytes memory) {
        return _certificateBy(digest, keys, 0, signers);
    }

    function _certificateBy(bytes32 digest, uint256[] memory keys_, uint256 from, uint256 to)
        internal
        pure
        returns (bytes memory certificate)
    {
        certificate = hex"01";
        for (uint256 i = from; i < to; ++i) {
            (uint8 v, bytes32 r, bytes32 s) = vm.sign(keys_[i], digest);
            certificate = abi.encodePacked(certificate, r, s, v);
        }
    }

    /// The call of `execute` for a mandate over one act, signed by just enough of the committee.
    function _signed(Mandate memory mandate, bytes32 actId, uint64 duration)
        internal
        view
        returns (bytes memory)
    {
        mandate.actsRoot = _leaf(actId, duration);
        bytes memory certificate =
            _certificate(gateway.mandateDigest(mandate), mandate.tier == TIER_FAST ? 2 : 3);
        return
            abi.encodeCall(TocsinGateway.execute, (mandate, actId, duration, new bytes32[](0), certificate));
    }

    function _bring(bytes memory call_) internal returns (Result) {
        vm.prank(stranger);
        (bool success, bytes memory answer) = address(gateway).call(call_);
        if (!success) {
            assembly {
                revert(add(answer, 32), mload(answer))
            }
        }
        return abi.decode(answer, (Result));
    }

    function _bringReverts(bytes memory call_, bytes memory reason) internal {
        vm.prank(stranger);
        (bool success, bytes memory answer) = address(gateway).call(call_);
        assertFalse(success, "expected a revert");
        assertEq(answer, reason);
    }

    function _execute(uint8 op, uint8 tier, uint64 notBefore, bytes32 actId, uint64 duration)
        internal
        returns (Result)
    {
        return _bring(_signed(_mandate(op, tier, notBefore), actId, duration));
    }

    function _protectFast() internal returns (Result) {
        return _execute(OP_PROTECT, TIER_FAST, _now(), PAUSE, HOURS_6);
    }

    function _protectCap() internal returns (Result) {
        return _execute(OP_PROTECT, TIER_FULL, _now(), CAP, 24 hours);
    }

    function _assertResult(Result got, Result expected) internal pure {
        assertEq(uint8(got), uint8(expected), "result");
    }

    function _record(bytes32 actId) internal view returns (Record memory) {
        return gateway.record(actId);
    }
}
