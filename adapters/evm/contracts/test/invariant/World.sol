// SPDX-License-Identifier: Apache-2.0
pragma solidity ^0.8.30;

import {Test} from "forge-std/Test.sol";
import {ITocsinVerifier} from "../../ITocsinVerifier.sol";
import {TocsinGateway} from "../../TocsinGateway.sol";
import {Act, Budget, Limits, TIER_FAST, TIER_FULL} from "../../TocsinTypes.sol";
import {CapTarget, RogueTarget, SwitchTarget} from "../Targets.sol";

/// A verifier whose keys are all stolen: every certificate is good.
contract StolenKeys is ITocsinVerifier {
    bytes32 public immutable network;

    constructor(bytes32 network_) {
        network = network_;
    }

    function verify(bytes32, uint8, uint32, bytes calldata) external pure returns (bool) {
        return true;
    }

    function keyEpoch() external pure returns (uint32) {
        return 1;
    }

    function accepts(uint32) external pure returns (bool) {
        return true;
    }
}

/// One gateway with an act of each kind, small numbers, and people who meddle.
abstract contract World is Test {
    bytes32 internal constant NETWORK = keccak256("network");
    bytes32 internal constant PLAN_A = keccak256("plan a");
    bytes32 internal constant PLAN_B = keccak256("plan b");
    uint64 internal constant SKEW = 60;
    uint64 internal constant DELAY = 1 hours;
    uint64 internal constant WINDOW = 1 hours;
    uint64 internal constant START = 1_800_000_000;
    uint256 internal constant ACTS = 4;
    /// A switch; a number that is restored; a number that stays; a target that enters again, fails or ignores us.
    uint256 internal constant PAUSE = 0;
    uint256 internal constant CAP = 1;
    uint256 internal constant FLOOR = 2;
    uint256 internal constant ROGUE = 3;

    address internal owner = makeAddr("owner");
    address internal guardian = makeAddr("guardian");
    address internal stranger = makeAddr("mallory");
    ITocsinVerifier internal stolen;
    TocsinGateway internal gateway;
    SwitchTarget internal switcher;
    CapTarget internal capper;
    CapTarget internal floorer;
    RogueTarget internal rogue;
    bytes32[ACTS] internal ids;
    /// What is registered now, as the owner knows it.
    mapping(uint256 number => Act) internal acts;
    uint8[ACTS] internal tiers = [TIER_FAST, TIER_FULL, TIER_FAST, TIER_FAST];
    uint64[ACTS] internal durations = [uint64(30 minutes), 50 minutes, 20 minutes, 15 minutes];

    function build() public virtual {
        vm.warp(START);
        stolen = new StolenKeys(NETWORK);
        gateway = new TocsinGateway(
            owner, guardian, stolen, NETWORK, Limits(SKEW, DELAY, WINDOW), Budget(20 minutes, 40 minutes, 2)
        );
        switcher = new SwitchTarget();
        (capper, floorer, rogue) = (new CapTarget(), new CapTarget(), new RogueTarget());
        switcher.allow(address(gateway));
        switcher.allow(guardian);
        acts[PAUSE] = _act(address(switcher), "pause()", "unpause()", "paused()", 1);
        acts[CAP] = _capAct(10);
        acts[FLOOR] = _floorAct();
        acts[ROGUE] = _act(address(rogue), "on()", "off()", "state()", 1);
        // Enough for an execution within the execution, if the gateway let it.
        acts[ROGUE].gasCap = 3_000_000;
        vm.startPrank(owner);
        for (uint256 i = 0; i < ACTS; ++i) {
            ids[i] = keccak256(abi.encode("act", i));
            gateway.registerAct(ids[i], acts[i], tiers[i], durations[i]);
        }
        gateway.setPlan(PLAN_A, 0, 0);
        vm.stopPrank();
    }

    function _act(address target, string memory on, string memory off, string memory state, uint256 value)
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
            value: value,
            compare: 0,
            undo: 1,
            undoCall: abi.encodeWithSignature(off),
            restoreAt: 0,
            gasCap: 100_000
        });
    }

    function _capAct(uint256 value) internal view returns (Act memory act) {
        act = _act(address(capper), "", "", "config()", value);
        (act.call, act.undoCall) =
            (abi.encodeCall(CapTarget.setCap, (value)), abi.encodeCall(CapTarget.setCap, (0)));
        (act.stateWord, act.compare, act.undo, act.restoreAt) = (1, 1, 2, 4);
    }

    function _floorAct() internal view returns (Act memory act) {
        act = _act(address(floorer), "", "", "cap()", 500);
        act.call = abi.encodeCall(CapTarget.setCap, (500));
        (act.compare, act.undo, act.undoCall) = (2, 0, "");
    }

    function _now() internal view returns (uint64) {
        return uint64(vm.getBlockTimestamp());
    }
}
